/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_ENTITY_FINDINGS_H
#define SPLX_ENTITY_FINDINGS_H

#include "common/conf.h"
#include "common/scoreboard.h"
#include "lib/loop.h"
#include "quarantine.h"
#include "store.h"

/*
 * Receives findings and sees to it that what the settings say is done to the
 * file, once, and that the event is written.
 *
 * - The senders are not trusted: the descriptor beside a finding must be the
 *   regular file that the finding names, and for real-time findings the
 *   actions are those of the settings, not those in the record.
 * - Only VERDICT_INFECTED is acted upon. A file whose size or times changed
 *   since it was scanned is not: what was found may be gone. It is examined
 *   again when it is next closed or opened.
 * - Many findings for one file within FINDINGS_WINDOW_MS are one action, one
 *   event, and one more event that counts the rest.
 * - One that was taken is in the store until its event is written: a core
 *   that comes after one that was killed goes on with it.
 * - A restored file that has not changed passes.
 * - Files of our own are never acted upon.
 * - In async mode processes that run, map or hold the file are ended as
 *   AsyncEndProcesses says (never init, never ours), before and after the
 *   action; the event tells who, who was spared, and for how long the file
 *   could be used.
 */
#define FINDINGS_WINDOW_MS 1000

struct findings;
struct findings_setup {
	struct loop *loop;
	struct store *store;
	struct quarantine *quarantine;
	struct scoreboard *sb; /* NULL: nobody is exempt */
	int sock;	       /* INHERIT_FINDING_RX; stays the caller's */
	/* The settings in force, asked anew each time. */
	const struct conf *(*conf)(void *arg);
	void *arg;
	/* How long a file system may take to show the file; 0: the usual. */
	unsigned int look_limit_ms;
};
struct findings *findings_new(const struct findings_setup *setup);
/* What is under way is cut off; the journal knows it. */
void findings_free(struct findings **findings);

struct findings_stats {
	uint64_t received;
	uint64_t refused;  /* made no sense, or not INFECTED */
	uint64_t repeated; /* folded into an earlier one */
	unsigned int waiting, running;
};
void findings_stats(const struct findings *findings,
		    struct findings_stats *stats_r);

/* ---- as a part of core ---- */
int findings_init(struct core *core, struct err *err);
void findings_deinit(struct core *core);

#endif
