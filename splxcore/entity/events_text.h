/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_ENTITY_EVENTS_TEXT_H
#define SPLX_ENTITY_EVENTS_TEXT_H

#include <jansson.h>
#include <stdint.h>

#include "lib/err.h"
#include "lib/str.h"

/* Events as text, for export, and times as people write them. */

/*
 * CSV by RFC 4180. `kind` is an enum event_kind_id, or -1 for the columns of
 * all kinds. Lines end in CR LF.
 */
void events_text_csv_head(struct str *out, int kind);
void events_text_csv(struct str *out, json_t *event, int kind);
/* One JSON object and a newline. */
void events_text_jsonl(struct str *out, json_t *event);

/* "2026-11-21T20:47:59.123Z". Returns out. */
char *events_text_when(char out[40], int64_t ns);
/*
 * The forms that store.h names for --since and --until, to ns since 1970.
 * -1 and *err with what is allowed.
 */
int events_text_time(const char *text, int64_t *ns_r, struct err *err);

#endif
