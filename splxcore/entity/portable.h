/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_ENTITY_PORTABLE_H
#define SPLX_ENTITY_PORTABLE_H

#include <jansson.h>

#include "common/conf.h"
#include "lib/err.h"

/*
 * All settings as one text, to be kept or taken to another machine: splx.conf
 * and the files of entries beside it (scans.conf, notify.conf, network.conf,
 * conflicts.conf), each behind a line
 *
 *   # === NAME ===
 *
 * A text without such lines is a splx.conf. Secrets are ADDRESS_MASK in it;
 * where that comes back it stands for the secret that is here.
 */
struct portable;

/* Everything that is here; `conf` is in force. The caller frees it. */
char *portable_export(const struct conf *conf);
/*
 * Reads such a text. What it does not name stays as it is. NULL and *err
 * (EINVAL) when anything in it is wrong; the caller frees it.
 */
struct portable *portable_parse(const char *text, const struct conf *now,
				struct err *err);
void portable_free(struct portable **p);
/* Its splx.conf; NULL: it has none. Borrowed. */
const struct conf *portable_conf(const struct portable *p);
/* Adds what its files of entries would change, entry by entry, with secrets
 * masked: {"scans.conf [nightly]": text}, "" where there is none. How many. */
size_t portable_differences(const struct portable *p, json_t *before,
			    json_t *after);
/* Writes the files of entries. -1 and *err: all are as they were, or that is
 * told too. */
int portable_write(struct portable *p, struct err *err);
/* Puts back what portable_write() has changed. */
void portable_undo(struct portable *p);

#endif
