/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_COMMON_FETCH_H
#define SPLX_COMMON_FETCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"

/*
 * Files from a web server (http, https), into a directory, by libcurl. The
 * bytes are not trusted, nor are the server's words on how many there are.
 */
struct fetch_answer {
	long status;	      /* of HTTP; 0: none came */
	uint64_t retry_after; /* seconds that it asks to wait; 0: nothing */
};
struct fetch {
	const char *base;     /* the address of the directory, without "/" */
	const char *dir;      /* where they go */
	const char *proxy;    /* its address, "environment" or "none" */
	uint64_t patience_ms; /* nothing comes for so long: failed */
	bool progress;	      /* on standard error */
	struct fetch_answer *answer; /* NULL: not wanted */
};

/*
 * Fetches base/name to dir/name, at most `max` bytes; a longer one is an
 * error. With `resume` what is there already is gone on with, where the server
 * can do that, and kept when it fails; else it is replaced. -1 and *err.
 */
int fetch_file(const struct fetch *f, const char *name, uint64_t max,
	       bool resume, struct err *err);
/*
 * The first `len` bytes of base/name; a server that sends all of it is cut
 * short. Fewer are an error. -1 and *err.
 */
int fetch_beginning(const struct fetch *f, const char *name, void *buf,
		    size_t len, struct err *err);

#endif
