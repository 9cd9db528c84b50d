/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_COMMON_GUARD_H
#define SPLX_COMMON_GUARD_H

#include <stdbool.h>
#include <stdint.h>

#include "scoreboard.h"

/*
 * The guard of a fanotify permission group: it keeps every wait bounded,
 * whoever sleeps, is stopped or is gone. The supervisor runs it every
 * GUARD_TICK_MS; vsapiapp's master runs it too, a little more patiently, so
 * that a stopped supervisor changes nothing. It scans nothing.
 *
 * In one tick it
 *  1. answers questions that a worker has held longer than VerdictTimeout
 *     (OnTimeout); the scan goes on, its finding will be late. The time that
 *     a question spent in the queue before counts too;
 *  2. reads and answers by policy what has been in the kernel's queue longer
 *     than VerdictTimeout: it remembers how many questions were waiting and
 *     how many had been taken at each tick, so it knows how many of them are
 *     overdue though the kernel tells no times;
 *  3. opens the breaker after BreakerTimeouts timeouts in a row, then drains
 *     the queue at once; but while a worker is idle and well it leaves to it
 *     what came since the last tick, so that a few slow files do not open the
 *     door for others. It closes it again when a worker has answered by
 *     scanning, or after BreakerRetry lets workers try; then one timeout more
 *     opens it again. A question parked behind another's scan is no timeout
 *     in the row of its own;
 *  4. when no front worker lives and what waited at the last tick still
 *     waits, drains the queue (OnError, scanner gone).
 * Exempt processes are always allowed. Everything is counted.
 *
 * Who answers what (struct hold):
 *  - A worker keeps its slot's beat_ns fresh (scoreboard.h). Before it reads
 *    an event it enters the hold that the event will have: pid 0, a start_ns
 *    that no question before had, HOLD_SCANNING. Then it reads, adds 1 to
 *    COUNTER_QUESTIONS, fills in the opener's pid, start_ns again and the
 *    rest, and HOLD_SCANNING or HOLD_PARKED.
 *  - Whoever wants to answer, worker or guard, takes the state from there to
 *    HOLD_ANSWERED by compare-and-exchange. The one who succeeds writes the
 *    answer, nobody else. The worker closes the descriptor when the state is
 *    HOLD_ANSWERED and (its own case) the answer is written, and only then
 *    sets HOLD_FREE.
 *  - It may be stopped between winning and writing. So a guard that finds a
 *    question answered since GUARD_GRACE_MS, whose descriptor is still kept,
 *    after VerdictTimeout is over writes the answer (OnTimeout) once more:
 *    if the opener was answered the kernel says ENOENT and nothing happens.
 *  - Should one not have entered what it took: when the beat of a front
 *    worker that scans nothing is older than VerdictTimeout and
 *    GUARD_GRACE_MS, every number of its slot without a hold is answered in
 *    the same way, once a second.
 *  - Two guards (supervisor and master) may do all this at once.
 *    A worker that wakes up in the microseconds between a guard's last look
 *    and its write, and takes its next event under the same number, can have
 *    that one answered by policy; it is counted as such.
 *  - A scan that was answered in time (struct slot, in_time) sets
 *    timeouts_in_row to 0.
 */
#define GUARD_GRACE_MS 500

#define GUARD_TICK_MS 50

struct guard;

/*
 * `group` is the shared permission group (the caller's). `patience_ms` is
 * added to every limit. `may_read`: descriptors of events that this process
 * reads land on GUARD_NUMBER (the supervisor has arranged so); without it
 * only step 1 is done.
 */
struct guard *guard_new(struct scoreboard *sb, int group, bool may_read,
			unsigned int patience_ms);
void guard_free(struct guard **guard);
/* Does nothing when `group` is no fanotify group (/dev/null). */
void guard_tick(struct guard *guard);

/*
 * Answers everything a dead worker's slot holds, by policy (`counter` tells
 * which), and what it had taken and not entered yet. The caller is certain
 * that the worker is gone, and releases the slot afterwards. Returns how many
 * openers were waiting.
 */
int guard_answer_slot(struct scoreboard *sb, int group, int slot,
		      enum counter_id counter, bool allow);

#endif
