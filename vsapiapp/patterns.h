/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_VSAPIAPP_PATTERNS_H
#define SPLX_VSAPIAPP_PATTERNS_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/err.h"
#include "lib/vec.h"

/* Which pattern files there are, and what they hold as bytes. */

struct pattern_file {
	char *path;
	char *name;	  /* the last part of path */
	const char *kind; /* its extension without the dot, lower case */
	int order;	  /* files of a lower order are loaded first */
	bool builtin;
	uint32_t version;    /* of a container, as engine.c reads it; else 0 */
	uint32_t signatures; /* filled while loading */
	int64_t time;	     /* when it was made, seconds since 1970 */
};
struct pattern_list {
	VEC(struct pattern_file);
};

/*
 * Adds the regular files of a directory whose names libclamav knows, by name.
 * A directory that is not there adds nothing. -1 and *err when it cannot be
 * read.
 */
int patterns_add(struct pattern_list *list, const char *dir, bool builtin,
		 struct err *err);
/*
 * The same for a set of patterns that updates brought (common/patternset.h):
 * the files of all its parts. Each must be what the set's manifests say; -1
 * and *err otherwise. NULL: the current set, if there is one; when that is
 * damaged a former one, and *fault_r says why (the caller's to free).
 */
int patterns_add_set(struct pattern_list *list, const char *dir, char **fault_r,
		     struct err *err);
/* Removes one file from the list and frees what it holds. */
void patterns_drop(struct pattern_list *list, size_t i);
/* Brings the list into the order of loading (stable). */
void patterns_order(struct pattern_list *list);
void patterns_free(struct pattern_list *list);

/*
 * A hash over names and contents of all files in their order, begun from
 * `seed`. Never 0; 0 is failure with *err naming the file.
 */
uint64_t patterns_hash(const struct pattern_list *list, const char *seed,
		       struct err *err);

#endif
