/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_HTTPD_PARAMS_H
#define SPLX_HTTPD_PARAMS_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/vec.h"

/*
 * Names with values, out of what a browser sends: queries, forms, cookies. All
 * of it is hostile: what is too much, or is not as it should be, makes the
 * whole of it an error.
 */
#define PARAMS_MAX 1000	   /* pairs */
#define PARAMS_NAME_MAX 64 /* bytes */
#define PARAMS_COOKIES_MAX 50

struct param {
	char *name;
	char *value; /* UTF-8 without NUL */
};

struct params {
	VEC(struct param);
};

/* name=value&name=value, as in a query or a form (application/
 * x-www-form-urlencoded). 0, or -1 and *out is empty. */
int params_urlencoded(struct params *out, const char *text, size_t len);
/*
 * multipart/form-data: type is the header Content-Type with its boundary. The
 * names of files are left out, their content is a value like any other.
 */
int params_multipart(struct params *out, const char *type, const char *body,
		     size_t len);
/* A Cookie header. Cookies of others on the same host that are no text are
 * passed over. */
void params_cookies(struct params *out, const char *text);
/* Values are wiped: passwords are among them. */
void params_free(struct params *p);

/* The first of that name, NULL when there is none. */
const char *params_get(const struct params *p, const char *name);

/*
 * %XX (and, with plus, + as a blank) to bytes: UTF-8 without NUL and control
 * characters but tab and line ends. Its length, or -1.
 */
long params_decode(const char *in, size_t len, bool plus, char *out,
		   size_t size);

#endif
