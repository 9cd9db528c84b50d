/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_NOTIFY_SYSLOG_H
#define SPLX_NOTIFY_SYSLOG_H

#include "job.h"

/*
 * One message as a receiver of logs takes it, without framing, at most `max`
 * bytes (what is too long is cut at its end). By the channel's Protocol with
 * the header of RFC 5424, or as local receivers read it; by its Format as text
 * with structured data, or CEF.
 */
void syslog_encode(const struct job *job, json_t *message, size_t max,
		   struct str *out);
/* The CEF record alone (cef.c). */
void cef_encode(const struct job *job, json_t *message, struct str *out);

#endif
