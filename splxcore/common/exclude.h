/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_COMMON_EXCLUDE_H
#define SPLX_COMMON_EXCLUDE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "lib/err.h"
#include "lib/vec.h"
#include "conf.h"

/*
 * Exclusions, compiled once from the settings. Paths are compared as the
 * kernel tells them: byte by byte, symbolic links resolved in the path that is
 * asked about and never in the settings (or who may place a link could widen
 * an exclusion).
 *
 * Wildcards: * and ? stay within a directory, ** crosses them, and between two
 * slashes it stands for no directory too; a backslash takes the next
 * character as it is. Expressions see bytes, not UTF-8 characters.
 */
struct exclude;

/* An entry that made no sense and was left out; the others hold. */
struct exclude_problem {
	const char *key; /* the option */
	char *entry;
	char *reason;
};
struct exclude_problems {
	VEC(struct exclude_problem);
};

/*
 * Compiles all of them. Each bad entry voids only itself and is added to
 * *problems_r (free with exclude_problems_free()); NULL is allowed there.
 */
struct exclude *exclude_new(const struct conf *conf,
			    struct exclude_problems *problems_r);
void exclude_free(struct exclude **ex);
void exclude_problems_free(struct exclude_problems *p);
/*
 * The exclusions of these settings that would be void, as others tell them:
 * [{"key", "entry", "reason"}...]. New reference.
 */
json_t *exclude_void(const struct conf *conf);

/*
 * True when the full path is excluded; *why_r, if given, is the option's key
 * (static). Relative paths are never excluded. Time is bounded: expressions
 * run with a match limit, and one that reaches it does not exclude.
 */
bool exclude_path(const struct exclude *ex, const char *path,
		  const char **why_r);
bool exclude_fstype(const struct exclude *ex, const char *fstype);
/* Any ExcludeExecutable at all? Only then need openers be looked up. */
bool exclude_has_executables(const struct exclude *ex);
/* By device and inode of the running file; entries are looked up anew when
 * their file was replaced (at most once a second). */
bool exclude_executable(struct exclude *ex, dev_t dev, ino_t ino);
/* True when a path has to be known to judge (any path rule, or Include). */
bool exclude_needs_path(const struct exclude *ex);
/* True when Include is empty or the path lies below one of its entries. */
bool exclude_included(const struct exclude *ex, const char *path);

#endif
