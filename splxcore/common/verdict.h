/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_COMMON_VERDICT_H
#define SPLX_COMMON_VERDICT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

/* The words that the verdict path, the events and the console share. */

/* What a scan found. */
enum verdict {
	VERDICT_CLEAN,
	VERDICT_INFECTED,
	VERDICT_OVERSIZE,  /* too large, too deep, too many: nothing so far */
	VERDICT_ENCRYPTED, /* nothing so far, and part of it unreadable */
	VERDICT_TIMEOUT,   /* the scan's own limit */
	VERDICT_ERROR,	   /* unreadable, engine error, worker crashed */
};
const char *verdict_name(enum verdict v);

/* What made a file be examined. */
enum scan_source {
	SOURCE_OPEN,
	SOURCE_EXEC,
	SOURCE_CLOSE, /* written and closed */
	SOURCE_ASYNC, /* async mode: while it is in use */
	SOURCE_MANUAL,
	SOURCE_SCHEDULED,
	SOURCE_IN_USE,	/* a scan of what ran before it was examined */
	SOURCE_REFRESH, /* known clean by former patterns, after an update */
	SOURCE_COUNT
};
const char *source_name(enum scan_source s);

enum action {
	ACTION_CLEAN,
	ACTION_QUARANTINE,
	ACTION_DELETE,
	ACTION_RENAME,
	ACTION_DENY,
	ACTION_PASS,
	ACTION_NONE, /* for a manual scan: report alone */
};
const char *action_name(enum action a);
/* The action of that name, or -1. */
int action_parse(const char *name);

/*
 * A file's identity and state: while all of it is the same and no writer has
 * it, its content is the same (see known.h for the full rule).
 */
struct file_key {
	uint64_t fsid; /* f_fsid of statfs(2) */
	uint64_t dev;
	uint64_t ino;
	uint64_t size;
	int64_t ctime_ns;
	int64_t mtime_ns;
};
/* From an open descriptor; -1 (errno). *st_r is filled too. */
int file_key_get(int fd, struct file_key *key_r, struct stat *st_r);
/* The same, and what kind of file system it lies on: f_type of statfs(2). */
int file_key_get_fs(int fd, struct file_key *key_r, struct stat *st_r,
		    uint32_t *fs_magic_r);
/* Whether an open file, whose key was taken through this descriptor, still
 * has it. (An open file does not change its file system: one call less.) */
bool file_key_holds(int fd, const struct file_key *key);
bool file_key_same(const struct file_key *a, const struct file_key *b);
uint64_t file_key_hash(const struct file_key *key);

#endif
