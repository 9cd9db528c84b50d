/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_CTL_DIAGNOSE_H
#define SPLX_CTL_DIAGNOSE_H

#include <stdbool.h>

#include "ctl.h"
#include "lib/str.h"
#include "tar.h"

/* A bundle in the making. */
struct diagnose {
	const struct ctl *ctl;
	struct tar *tar;
	struct str problems; /* what could not be had, a line each */
	bool silent;	     /* entity does not answer: do not ask again */
};

/* Notes what could not be had. */
void diagnose_problem(struct diagnose *d, const char *what, const char *why);

/* diagnose_live.c: what the living service tells: verbs, supervisor,
 * scoreboard, its processes. */
void diagnose_live(struct diagnose *d);
/* diagnose_files.c: files of the suite and of the kernel, listings. */
void diagnose_files(struct diagnose *d);

#endif
