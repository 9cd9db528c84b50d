/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_FRESH_LIBRARY_H
#define SPLX_FRESH_LIBRARY_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/err.h"

/*
 * libfreshclam behind one door. What the library says (it writes to standard
 * output and error) is caught, and the line that names the cause becomes the
 * error's text.
 */
struct library {
	const char *dir;      /* databases; must be there, and be ours */
	const char *tmp;      /* below it */
	const char *server;   /* http(s)://…, no "/" at its end */
	bool official;	      /* ClamAV's own: versions by DNS, .cvd alone */
	unsigned int seconds; /* nothing comes for so long: failed */
	int said;	      /* what the library says goes there */
	char *dns;	      /* what DNS says of the versions */
	int64_t old_refusal;  /* of a run before */
};

/* Once, before all else; -1 and *err. */
int library_start(struct library *l, struct err *err);

/* The version of a database by DNS, 0 when it is not told there; -1 and *err
 * when DNS does not answer. */
int64_t library_version(struct library *l, const char *name, struct err *err);

/*
 * Brings a database to the newest version there is, by differences where it
 * can, or (with `whole`) as one file. -1 and *err.
 */
int library_update(struct library *l, const char *name, bool whole,
		   struct err *err);

/* Until when the server does not want to be asked, as it answered 403 or 429 in
 * this run; seconds since 1970, 0: it did not. */
int64_t library_not_before(const struct library *l);

#endif
