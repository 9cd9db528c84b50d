/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_ENTITY_TAKEOVER_H
#define SPLX_ENTITY_TAKEOVER_H

#include <stdbool.h>

#include "core.h"

/*
 * Tells vsapiapp's master that there are new settings or patterns, and waits
 * in the loop until it says, by the scoreboard or its state file, that it has
 * taken them over, or cannot.
 */
enum takeover_what { TAKEOVER_SETTINGS, TAKEOVER_PATTERNS };
enum takeover_result {
	TAKEOVER_DONE,
	TAKEOVER_LATER,	 /* it does not run, or starts: it will find them */
	TAKEOVER_FAILED, /* it has said why not */
	TAKEOVER_SILENT, /* it has said nothing in time */
};
/* `note` is "" or says more, for people. */
typedef void (*takeover_fn)(enum takeover_result result, const char *note,
			    void *arg);

struct takeover;
/* `fn` is called once, from the loop, never before this returns. Whether the
 * kernel module may be armed by it is judged first (modlock.h). */
struct takeover *takeover_new(struct core *core, enum takeover_what what,
			      uint64_t timeout_ms, takeover_fn fn, void *arg);
/* `fn` is not called any more. */
void takeover_free(struct takeover **t);

/* Core ends: `fn` is called for all that are under way. */
void takeover_end_all(struct core *core);

#endif
