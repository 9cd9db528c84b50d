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
 *     (OnTimeout); the scan goes on, its finding will be late;
 *  2. reads and answers by policy what has been in the kernel's queue longer
 *     than VerdictTimeout: it remembers how many questions were waiting and
 *     how many had been taken at each tick, so it knows how many of them are
 *     overdue though the kernel tells no times;
 *  3. opens the breaker after BreakerTimeouts timeouts in a row, then drains
 *     the queue at once; it closes it again when a worker has answered by
 *     scanning, or after BreakerRetry lets workers try;
 *  4. when no worker lives, drains the queue at once (OnError, scanner gone).
 * Exempt processes are always allowed. Everything is counted.
 */
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
void guard_tick(struct guard *guard);

/*
 * Answers everything a dead worker's slot holds, by policy (`counter` tells
 * which). The caller is certain that the worker is gone. Returns how many.
 */
int guard_answer_slot(struct scoreboard *sb, int group, int slot,
		      enum counter_id counter, bool allow);

#endif
