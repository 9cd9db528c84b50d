/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLXMOD_BREAKER_H
#define SPLXMOD_BREAKER_H

#include "splxmod.h"

/*
 * Readers that stand still must not make every open wait for its timeout.
 * After so many questions in a row that nobody answered in time the breaker
 * opens: nobody waits any more. From time to time, or when a sign of life
 * comes, one opener is let wait as a probe. A verdict in time closes it.
 */
enum splxmod_breaker_pass {
	SPLXMOD_BREAKER_WAIT,
	SPLXMOD_BREAKER_PROBE, /* end with splxmod_breaker_probed() */
	SPLXMOD_BREAKER_REFUSED,
};
enum splxmod_breaker_pass splxmod_breaker_enter(void);
/* The probe is back: it waited in vain (the next one after `retry` jiffies),
 * or found out nothing (the next one at once). */
void splxmod_breaker_probed(bool timed_out, unsigned long retry);
/* A question was not answered in time, the limit-th in a row or not. */
void splxmod_breaker_timeout(u32 limit, unsigned long retry);
/* A verdict came in time. */
void splxmod_breaker_verdict(void);
/* A reader lives, but what it said came late; or there is a new one. */
void splxmod_breaker_sign(void);
void splxmod_breaker_reset(void);
bool splxmod_breaker_open(void);

#endif
