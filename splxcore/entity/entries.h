/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_ENTITY_ENTRIES_H
#define SPLX_ENTITY_ENTRIES_H

#include <jansson.h>
#include <sys/types.h>

#include "common/entryfile.h"
#include "lib/err.h"

/* What the verbs share that change a file of entries (scans.conf,
 * notify.conf). */

/* Its text, "" where there is none; the caller frees it. NULL and *err. */
char *entries_read(const char *path, size_t max, struct err *err);
/* Keeps what a link points at, and the file's mode but for bits that are not
 * in `may`; a new one has `may`. */
int entries_write(const char *path, const char *text, mode_t may,
		  struct err *err);
/* The first problem that was not there before, without its place; NULL: there
 * is none. */
const char *entries_new_problem(const struct entryfile_problems *before,
				const struct entryfile_problems *after);
/* As schedules_edit(). */
typedef char *(*entries_edit_fn)(const char *old_text, const char *name,
				 const char *key, const char *value,
				 struct err *err);
/* Sets each "Key=value" of an array in *text, which is replaced. */
int entries_set_all(char **text, const char *name, json_t *settings,
		    entries_edit_fn edit, struct err *err);
/* The word for a failure, as in common/ipc.h. */
const char *entries_code(const struct err *err);

#endif
