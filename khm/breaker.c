// SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
#include <linux/jiffies.h>
#include <linux/kernel.h>
#include <linux/spinlock.h>

#include "breaker.h"

/* Verdicts come all the time: they look at `row` and `open` without the lock,
 * and write only where something is to be changed. */
static DEFINE_SPINLOCK(lock);
static atomic_t row = ATOMIC_INIT(0); /* timeouts without a verdict between */
static bool open;		      /* read without the lock too */
static bool probing;
static unsigned long next; /* jiffies: not before this a probe */

enum splxmod_breaker_pass splxmod_breaker_enter(void)
{
	enum splxmod_breaker_pass pass = SPLXMOD_BREAKER_REFUSED;

	if (!READ_ONCE(open))
		return SPLXMOD_BREAKER_WAIT;
	spin_lock(&lock);
	if (!open) {
		pass = SPLXMOD_BREAKER_WAIT;
	} else if (!probing && time_after_eq(jiffies, next)) {
		probing = true;
		pass = SPLXMOD_BREAKER_PROBE;
	}
	spin_unlock(&lock);
	return pass;
}

void splxmod_breaker_probed(bool timed_out, unsigned long retry)
{
	spin_lock(&lock);
	probing = false;
	next = timed_out ? jiffies + retry : jiffies;
	spin_unlock(&lock);
}

void splxmod_breaker_timeout(u32 limit, unsigned long retry)
{
	bool opened = false;

	if ((u32)atomic_inc_return(&row) < limit)
		return;
	spin_lock(&lock);
	if (!open) {
		WRITE_ONCE(open, true);
		next = jiffies + retry;
		opened = true;
	}
	spin_unlock(&lock);
	if (opened)
		pr_warn_ratelimited(
			"splxmod: no verdict in time, %u times in a row: "
			"nobody waits until the readers answer again\n",
			limit);
}

void splxmod_breaker_verdict(void)
{
	bool closed;

	if (atomic_read(&row))
		atomic_set(&row, 0);
	if (!READ_ONCE(open))
		return;
	spin_lock(&lock);
	closed = open;
	WRITE_ONCE(open, false);
	spin_unlock(&lock);
	if (closed)
		pr_notice_ratelimited("splxmod: the readers answer again\n");
}

void splxmod_breaker_sign(void)
{
	if (!READ_ONCE(open))
		return;
	spin_lock(&lock);
	next = jiffies;
	spin_unlock(&lock);
}

void splxmod_breaker_reset(void)
{
	atomic_set(&row, 0);
	spin_lock(&lock);
	WRITE_ONCE(open, false);
	spin_unlock(&lock);
}

bool splxmod_breaker_open(void)
{
	return READ_ONCE(open);
}
