/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_CTL_PATTERN_CLAMAV_H
#define SPLX_CTL_PATTERN_CLAMAV_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/vec.h"
#include "pattern.h"
#include "pattern_child.h"

/* What the files pattern_clamav*.c share: one run of splxfresh and what it
 * says, none of which is trusted. */

struct clamav_database {
	const char *name;
	uint64_t here;	/* the version that is installed; 0: none */
	uint64_t there; /* the mirror's */
	bool wanted;
};
struct clamav {
	struct pattern_change *c;
	const char *source; /* as it was said */
	char *server;	    /* its address, or "official" */
	bool official;
	char *dir; /* where it works: in the hands of the scan user */
	int dirfd;
	struct pattern_child child;
	struct {
		VEC(struct clamav_database);
	} databases;
	struct err missed; /* what could not be had; the first is told */
};

/*
 * Has splxfresh ask for versions, or fetch what is wanted. 0 and what it says
 * of each database (new reference); -1 and *err.
 */
json_t *clamav_run(struct clamav *a, bool fetch, struct err *err);

/*
 * Whether the server may be asked: one that answered 403 or 429 said until
 * when it does not want to be, and that is remembered. A private one may
 * always be asked by hand. -1 and *err telling the time.
 */
int clamav_may_ask(const struct clamav *a, struct err *err);

#endif
