/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_LIB_FANGROUP_H
#define SPLX_LIB_FANGROUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "err.h"

/*
 * Thin wrapper of the fanotify system calls (fanotify(7)); it knows no
 * product. A group is a plain descriptor: several processes may share it,
 * each event goes to one reader, and anybody who holds the group may answer,
 * naming the event by the number that its descriptor has in the READER.
 */
#define FANGROUP_OPEN 1u  /* FAN_OPEN_PERM, or FAN_OPEN in a notify group */
#define FANGROUP_EXEC 2u  /* FAN_OPEN_EXEC_PERM, or FAN_OPEN_EXEC */
#define FANGROUP_CLOSE 4u /* FAN_CLOSE_WRITE (notify groups) */

struct fangroup_event {
	int fd;	       /* the opened file, the reader's; -1 on overflow */
	pid_t pid;     /* who caused it; 0 when outside our pid namespace */
	uint32_t what; /* FANGROUP_* */
	bool overflow; /* events were lost (FAN_Q_OVERFLOW) */
};

/* What this kernel's fanotify can do; filled once by fangroup_probe(). */
struct fangroup_caps {
	bool permission; /* permission events at all */
	bool evictable;	 /* FAN_MARK_EVICTABLE (5.19) */
	bool filesystem; /* FAN_MARK_FILESYSTEM (4.20) */
	bool exec;	 /* FAN_OPEN_EXEC_PERM (5.0) */
};
int fangroup_probe(struct fangroup_caps *caps_r, struct err *err);

/*
 * A permission group (its events hold their callers) or a notify group.
 * Descriptors of events: O_RDONLY | O_LARGEFILE | O_NOATIME | O_NONBLOCK |
 * O_CLOEXEC: a write lease or a FIFO cannot stall the reader.
 */
int fangroup_new(bool permission, struct err *err);

enum fangroup_scope { FANGROUP_FILESYSTEM, FANGROUP_MOUNT };
/* Watches (or stops watching) what `path`, relative to dirfd, lies on. */
int fangroup_mark(int group, enum fangroup_scope scope, uint32_t what,
		  bool permission, int dirfd, const char *path,
		  struct err *err);
/* Whether the group has any mark on what `path` lies on (of that scope). */
bool fangroup_is_marked(int group, enum fangroup_scope scope, int dirfd,
			const char *path);
int fangroup_unmark(int group, enum fangroup_scope scope, uint32_t what,
		    bool permission, int dirfd, const char *path,
		    struct err *err);

/*
 * Ignores opens of one file until it is modified (with `forever`, for good).
 * The kernel adds no mark while a writer has the file open. 0, or -1 with
 * errno (EACCES: the caller may not read the file).
 */
int fangroup_ignore(int group, int fd, uint32_t what, bool evictable,
		    bool forever);
int fangroup_unignore(int group, int fd, uint32_t what);
/* Drops the marks of all single files (all that fangroup_ignore() made). */
int fangroup_flush_ignored(int group);
/* Drops every mark of the group. */
int fangroup_flush_all(int group);

/* Takes exactly one event. 1, 0 when there is none, -1 (errno). */
int fangroup_read(int group, struct fangroup_event *ev_r);
/* 0; 1 when no event with this number waits (somebody answered); -1. */
int fangroup_answer(int group, int number, bool allow);
/* Events not read yet, by FIONREAD; -1 on error. */
long fangroup_pending(int group);

#endif
