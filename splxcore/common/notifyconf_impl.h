/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_COMMON_NOTIFYCONF_IMPL_H
#define SPLX_COMMON_NOTIFYCONF_IMPL_H

#include "notifyconf.h"

/* What the files notifyconf*.c share. */

extern const char *const notify_protocols[4][5];

/*
 * Values (notifyconf_value.c). Each takes the words of a value to `to`, a field
 * of the channel; `hint` is its key's. -1 and *err with what is allowed.
 */
typedef int (*notify_set_fn)(void *to, const struct entryfile_words *words,
			     const char *const *hint, struct err *err);
int notify_set_word(void *to, const struct entryfile_words *words,
		    const char *const *hint, struct err *err);
int notify_set_type(void *to, const struct entryfile_words *words,
		    const char *const *hint, struct err *err);
int notify_set_bool(void *to, const struct entryfile_words *words,
		    const char *const *hint, struct err *err);
int notify_set_path(void *to, const struct entryfile_words *words,
		    const char *const *hint, struct err *err);
int notify_set_url(void *to, const struct entryfile_words *words,
		   const char *const *hint, struct err *err);
int notify_set_from(void *to, const struct entryfile_words *words,
		    const char *const *hint, struct err *err);
int notify_set_to(void *to, const struct entryfile_words *words,
		  const char *const *hint, struct err *err);
int notify_set_kinds(void *to, const struct entryfile_words *words,
		     const char *const *hint, struct err *err);
int notify_set_severity(void *to, const struct entryfile_words *words,
			const char *const *hint, struct err *err);
int notify_set_codes(void *to, const struct entryfile_words *words,
		     const char *const *hint, struct err *err);
int notify_set_number(void *to, const struct entryfile_words *words,
		      const char *const *hint, struct err *err);

/* Defaults by type, and whether the entry makes sense as a whole. */
int notify_complete(struct notify_channel *c, struct err *err);

#endif
