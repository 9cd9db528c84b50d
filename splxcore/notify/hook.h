/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_NOTIFY_HOOK_H
#define SPLX_NOTIFY_HOOK_H

#include "job.h"

/*
 * A webhook's body: {"product": "splx", "version", "host", "events": [...]} or
 * {..., "digest": {...}} or {..., "test": {...}}, as struct job has them, with
 * times as text. The caller frees it.
 */
char *hook_body(const struct job *job, const json_t *message);
/*
 * "X-Splx-Signature: t=SECONDS,v1=HEX": HMAC-SHA-256 with the key over
 * "SECONDS.BODY", so that what was recorded cannot be sent again later.
 */
int hook_signature(const char *key, int64_t seconds, const char *body,
		   char out[128], struct err *err);

#endif
