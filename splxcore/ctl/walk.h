/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_CTL_WALK_H
#define SPLX_CTL_WALK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

/*
 * Walks a tree of files, depth first, in memory that does not grow with the
 * number of files: directories are read as they come, at most
 * WALK_OPEN_DIRS of them are open, whatever the depth. Symbolic links below
 * the beginning are not followed, a directory that lies in itself (by a bind
 * mount) is not entered again. What disappears or changes its kind meanwhile
 * is no error.
 */
#define WALK_OPEN_DIRS 64

/* Called with full paths; the strings live until the callback returns. */
struct walk_ops {
	/* True to leave this out, with all below it. May be NULL. */
	bool (*skip)(const char *path, bool directory, void *arg);
	/* A directory with another st_dev than its parent's: true to leave it
	 * out. It has not been opened yet. May be NULL. */
	bool (*cross)(const char *path, void *arg);
	/*
	 * A regular file, opened for reading without waiting (O_NONBLOCK,
	 * O_NOATIME where allowed); the descriptor is closed afterwards. With
	 * WALK_COUNT it is -1. Non-zero ends the walk.
	 */
	int (*file)(int fd, const struct stat *st, const char *path, void *arg);
	/* Something could not be read. `code` is an errno value. */
	void (*error)(const char *path, int code, void *arg);
	/* Asked between any two entries; true ends the walk. May be NULL. */
	bool (*stop)(void *arg);
};

#define WALK_COUNT 1u /* open no files */

/*
 * Where an earlier walk of the same tree stood: `path` (the beginning, or
 * below it) comes first, and what directories show before it is passed over.
 * Never is anything left out that the earlier walk did not come by: a
 * directory in which the next part of `path` is not found is walked from its
 * beginning, and what was changed or renamed since `time_ns` (by its ctime) is
 * walked wherever it stands.
 */
struct walk_from {
	const char *path;
	int64_t time_ns; /* CLOCK_REALTIME */
};

/*
 * Walks from `path`, a full path without symbolic links, a directory or a
 * regular file (anything else is EINVAL to ops->error). 0 when all was
 * walked, 1 when a callback ended it.
 */
int walk_tree(const char *path, unsigned int flags, const struct walk_ops *ops,
	      void *arg);
/* The same, going on from there; NULL: from the beginning. */
int walk_tree_from(const char *path, const struct walk_from *from,
		   unsigned int flags, const struct walk_ops *ops, void *arg);
/* Whether `path` is `tree` or lies below it, by its words. */
bool walk_is_below(const char *tree, const char *path);

#endif
