/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_LIB_MOUNTS_H
#define SPLX_LIB_MOUNTS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "err.h"
#include "vec.h"

/* One line of /proc/PID/mountinfo (proc(5)), octal escapes undone. */
struct mount {
	int id;
	int parent;
	dev_t dev;
	char *root;  /* what of the file system is mounted: "/" for all of it */
	char *point; /* where, as seen in that namespace */
	char *fstype;
	char *source;
	char *options; /* the mount's, then the file system's, by commas */
};
struct mount_list {
	VEC(struct mount);
};

/* Parses mountinfo text; a line that makes no sense is skipped. */
void mounts_parse(const char *text, struct mount_list *list);
/* The mounts that a process sees; pid 0 is the caller. */
int mounts_read(pid_t pid, struct mount_list *list, struct err *err);
/* The mount that `path` lies on (longest mount point); NULL when none. */
const struct mount *mounts_find(const struct mount_list *list,
				const char *path);
void mounts_free(struct mount_list *list);

/* What kind of file system a type is, for the question of scanning it. */
enum mount_kind {
	MOUNT_LOCAL,   /* disk, tmpfs, overlay: scanned */
	MOUNT_NETWORK, /* nfs, cifs, ceph, 9p …: by setting */
	MOUNT_FUSE,    /* by setting: reading one can hang */
	MOUNT_PSEUDO,  /* proc, sysfs, cgroup …: holds no files to scan */
};
enum mount_kind mounts_kind(const char *fstype);
/* The types of a kind one by one, as the kernel names them (of FUSE's without
 * what follows a dot); NULL past the last. There are none of MOUNT_LOCAL. */
const char *mounts_type(enum mount_kind kind, size_t i);

#endif
