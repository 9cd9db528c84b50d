/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_CTL_FETCH_H
#define SPLX_CTL_FETCH_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/err.h"

/*
 * Files from a web server (http, https), into a directory, by libcurl. The
 * bytes are not trusted, nor are the server's words on how many there are.
 */
struct fetch {
	const char *base;     /* the address of the directory, without "/" */
	const char *dir;      /* where they go */
	const char *proxy;    /* its address, "environment" or "none" */
	uint64_t patience_ms; /* nothing comes for so long: failed */
	bool progress;	      /* on standard error */
};

/*
 * Fetches base/name to dir/name, at most `max` bytes; a longer one is an
 * error. With `resume` what is there already is gone on with, where the server
 * can do that, and kept when it fails; else it is replaced. -1 and *err.
 */
int fetch_file(const struct fetch *f, const char *name, uint64_t max,
	       bool resume, struct err *err);

#endif
