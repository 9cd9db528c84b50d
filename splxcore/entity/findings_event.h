/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_ENTITY_FINDINGS_EVENT_H
#define SPLX_ENTITY_FINDINGS_EVENT_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/finding.h"
#include "store.h"

/* What became of a finding, in words and columns of a virus event. */
struct found_event {
	enum action action;  /* what was done */
	bool failed;	     /* and it was not what was asked for */
	bool restored;	     /* it passes because it was restored */
	int64_t item;	     /* in quarantine, or 0 */
	int64_t uid;	     /* the opener's, -1 unknown */
	int64_t exposure_ms; /* async: how long it could be used; -1 none */
	char program[PATH_MAX];
	char sha256[65];
	const char *detail; /* borrowed; may be "" */
};

/* Writes the event. High is what was not stopped, or could not be. */
void found_event(struct store *store, const struct finding *f,
		 const struct found_event *ev);
/* The event that stands for `more` findings like `last`. */
void found_event_repeated(struct store *store, const struct finding *last,
			  unsigned int more);

#endif
