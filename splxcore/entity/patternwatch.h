/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_ENTITY_PATTERNWATCH_H
#define SPLX_ENTITY_PATTERNWATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "common/patternlaid.h"
#include "common/patternset.h"
#include "lib/err.h"
#include "lib/filemark.h"

/*
 * What updates of the patterns left behind, for whoever asks each second: read
 * again when it changed. All zeroes to begin with.
 */
struct patternwatch {
	/* how the last update went */
	struct filemark told_mark;
	bool failed;
	int64_t when; /* seconds since 1970 */
	struct err why;

	/* the current set; one without parts when there is none, or when it
	 * cannot be read */
	struct filemark set_mark;
	struct patternset set;

	/* what lies beside the sets, and is not loaded */
	struct filemark place_mark;
	struct patternlaid laid;
};

/* Brings it up to date. */
void patternwatch_look(struct patternwatch *watch);
void patternwatch_deinit(struct patternwatch *watch);

#endif
