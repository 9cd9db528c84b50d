/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_ENTITY_LOOK_H
#define SPLX_ENTITY_LOOK_H

#include "common/scoreboard.h"
#include "common/verdict.h"
#include "holding.h"
#include "lib/loop.h"

/*
 * The first look at a file: whatever may have to wait for its file system
 * (attributes, the walk along its path) is done by a child with a time limit,
 * so that a server that is dead (FUSE, NFS) does not hold the loop.
 */
struct look;

struct look_request {
	struct loop *loop;
	struct scoreboard *sb; /* the child is exempt while it opens; or NULL */
	int fd;		       /* the file; -1: open `path` */
	const char *path;      /* borrowed */
	pid_t pid;	       /* whose view the path is of; 0: ours */
	bool locate;	       /* find its name, too */
	unsigned int limit_ms; /* 0: LOOK_LIMIT_MS */
};
#define LOOK_LIMIT_MS 10000

struct look_result {
	int rc; /* 0, or -1: it cannot be opened or looked at */
	struct file_key key;
	struct stat st;
	/* With `locate`: where it is, for holding_begin(). */
	struct holding_place place;
};

/*
 * `done` is called once, from the loop. fd is the file opened by path (the
 * callee's from then on), or -1. result is borrowed; result->place.h.dir
 * too. NULL: there was no answer in time.
 */
typedef void (*look_fn)(const struct look_result *result, int fd, void *arg);
/* NULL and *err when there can be no child. */
struct look *look_start(const struct look_request *request, look_fn done,
			void *arg, struct err *err);
/* `done` is not called. Nulls the pointer; NULL is allowed. */
void look_cancel(struct look **look);

/* Opens a file for reading by its path; no link is followed. -1 (errno). */
int look_open(const char *path);

#endif
