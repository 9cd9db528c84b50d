/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_HTTPD_FRAMING_H
#define SPLX_HTTPD_FRAMING_H

#include <stdbool.h>

/*
 * Where a request ends, and for which host it is, by its headers: what two
 * programs might read differently is refused.
 */
struct framing {
	int lengths, hosts;
	bool chunked;
	const char *length; /* borrowed */
};

void framing_header(struct framing *f, const char *name, const char *value);
/* 0, or the status to refuse it with. body_max: bytes, or less than 0. */
int framing_judge(const struct framing *f, long body_max);
/* What such a status is called. */
const char *framing_reason(int status);
/* The same host by https; NULL when host (may be NULL) is none. */
char *framing_https(const char *host, int port);

#endif
