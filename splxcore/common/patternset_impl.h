/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_COMMON_PATTERNSET_IMPL_H
#define SPLX_COMMON_PATTERNSET_IMPL_H

#include <jansson.h>

#include "patternset.h"

/* What the files patternset*.c share. */

#define PATTERNSET_FORMAT 1
#define SET_FILE "set.json"
#define SETS "sets"
#define CURRENT "current"
#define STAGE_PREFIX ".new-"

/* A JSON object from a file; NULL and *err, ENOENT in err->code when there is
 * none. New reference. */
json_t *patternset_json_read(const char *path, struct err *err);
int patternset_json_write(const char *path, json_t *o, struct err *err);
/* Below paths()->pattern_dir; the caller frees it. */
char *patternset_below(const char *fmt, ...)
	__attribute__((format(printf, 1, 2)));
/* The number that a name in sets/ stands for, 0 for any other name. */
uint64_t patternset_number(const char *name);
/*
 * A file that is there for its room and its inode alone: kept since there was
 * some, given back when a write failed for want of it (code is its errno). True
 * when it was, and the write is worth another try.
 */
void patternset_room_keep(void);
bool patternset_room_give(int code);
void patternset_part_free(struct patternset_part *part);

#endif
