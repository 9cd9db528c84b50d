/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_NOTIFY_MAIL_H
#define SPLX_NOTIFY_MAIL_H

#include "job.h"

/*
 * One mail, headers and all, lines ended by CRLF and never longer than 78
 * characters but for words that cannot be parted. `now_ns` is its date,
 * `unique` makes its Message-ID.
 */
void mail_encode(const struct job *job, json_t *message, int64_t now_ns,
		 const char *unique, struct str *out);
/* Text in a header that needs to be ASCII (RFC 2047), behind "NAME: ". */
void mail_header(struct str *out, const char *name, const char *text);
/* Text in a body, as quoted-printable (RFC 2045, 6.7). */
void mail_quote(struct str *out, const char *text);

#endif
