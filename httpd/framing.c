/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "framing.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/alloc.h"

#define HOST_MAX 255

void framing_header(struct framing *f, const char *name, const char *value)
{
	if (!strcasecmp(name, "Content-Length")) {
		f->lengths++;
		f->length = value;
	} else if (!strcasecmp(name, "Transfer-Encoding")) {
		f->chunked = true;
	} else if (!strcasecmp(name, "Host")) {
		f->hosts++;
	}
}

int framing_judge(const struct framing *f, long body_max)
{
	long long length = 0;
	char *end;

	if (f->lengths > 1 || f->hosts != 1 || (f->chunked && f->lengths))
		return 400;
	if (f->chunked)
		return 411;
	if (f->lengths) {
		errno = 0;
		length = strtoll(f->length, &end, 10);
		if (errno || *end || *f->length < '0' || *f->length > '9')
			return 400;
	}
	return length > body_max ? 413 : 0;
}

const char *framing_reason(int status)
{
	return status == 411   ? "Length Required"
	       : status == 413 ? "Content Too Large"
			       : "Bad Request";
}

char *framing_https(const char *host, int port)
{
	static const char good[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQ"
				   "RSTUVWXYZ0123456789.-:[]";
	const char *colon;
	size_t len;

	/* A name that is none is not repeated. */
	if (!host || !*host || strspn(host, good) != strlen(host) ||
	    strlen(host) > HOST_MAX)
		return NULL;
	colon = strrchr(host, ':');
	len = colon && !strchr(colon, ']') ? (size_t)(colon - host)
					   : strlen(host);
	return xasprintf("https://%.*s:%d/", (int)len, host, port);
}
