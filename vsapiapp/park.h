/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_VSAPIAPP_PARK_H
#define SPLX_VSAPIAPP_PARK_H

#include <stdbool.h>
#include <stdint.h>

#include "common/scoreboard.h"

/*
 * Many openers of one file, one scan: the protocol between front workers, in
 * the scoreboard alone, without locks, so that a worker may die or be stopped
 * at any point of it.
 *
 * A slot says what it scans by scan_key and scan_ticket. Who finds a scan of
 * its file under way parks its hold on that ticket. The finisher closes its
 * ticket first and then answers what is parked on it; who parks looks after
 * parking whether the ticket is still open. As all of this is in one
 * total order (memory_order_seq_cst), at least one of the two sees the other.
 * Tickets are numbered when a scan is entered: of two that enter the same file
 * at once the later one parks.
 */
enum park_state {
	PARK_SCAN,     /* the caller is to scan the file now */
	PARK_PARKED,   /* it awaits another slot's scan */
	PARK_TAKEN,    /* the finisher of that scan is about to answer it */
	PARK_DONE,     /* the finisher has answered it: it may be freed */
	PARK_ANSWERED, /* a guard has taken it, and writes an answer soon or
			* has done so */
};

/*
 * For a hold in state HOLD_SCANNING with its key set. On PARK_SCAN the scan
 * is entered in the slot: park_finish() has to follow.
 */
enum park_state park_enter(struct scoreboard *sb, int slot, struct hold *hold);

/*
 * How a hold stands that is neither free nor being scanned by its owner. When
 * the scan that it awaits is no longer under way and did not answer it (that
 * worker died, or finished as this one parked) the hold is the caller's again
 * and entered as by park_enter().
 */
enum park_state park_check(struct scoreboard *sb, int slot, struct hold *hold);

/*
 * Ends the scan of `hold`. Then each hold that is parked on it and was taken
 * (start_ns) by `before_ns` is handed to `answer` with its descriptor number,
 * to be answered there and then: until that returns its owner keeps the
 * number. The others are their owners' again (park_check()). Returns how many
 * were answered.
 */
typedef void (*park_answer_fn)(struct hold *hold, int number, void *arg);
unsigned int park_finish(struct scoreboard *sb, int slot, struct hold *hold,
			 uint64_t before_ns, park_answer_fn answer, void *arg);

/*
 * For a parked hold of the caller's own slot: takes it back though the scan
 * that it awaits may be under way. True when it is the caller's to answer
 * (HOLD_SCANNING, entered nowhere).
 */
bool park_reclaim(struct scoreboard *sb, int slot, struct hold *hold);

/* Makes a hold free. Its number is the caller's to have closed. */
void park_free(struct scoreboard *sb, int slot, struct hold *hold);

/* Takes a hold out of `from` to HOLD_ANSWERED; false: somebody was faster. */
bool park_take(struct hold *hold, enum hold_state from);

#endif
