/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "guard.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/alloc.h"
#include "lib/clock.h"
#include "lib/fangroup.h"
#include "lib/fdutil.h"
#include "lib/log.h"

#define TIMEOUT_UNSET_MS 5000 /* before the master has told the setting */
#define IDLE_FRESH_NS (1000 * CLOCK_NS_PER_MS)
#define TRANSIT_NS (200 * CLOCK_NS_PER_MS)
#define STALE_AGAIN_NS (1000 * CLOCK_NS_PER_MS)
#define DRAIN_MAX 4096 /* in one tick; the caller has other work too */

/*
 * The queue as it was at a tick. Events are numbered in the order in which
 * they came: the queue's head is the one after those taken.
 */
#define SNAPS 2048
struct snap {
	uint64_t at_ns;
	uint64_t end; /* the number of the last event in the queue */
};

/* What the guard remembers of a hold between ticks. */
struct watch {
	uint64_t start_ns;    /* of which question, 0: of none */
	uint64_t since_ns;    /* since when its opener has waited */
	uint64_t answered_ns; /* when it was first seen answered, 0: not yet */
	bool counted;	      /* it is among those taken, as of the next look */
	bool queued;	      /* since_ns holds its time in the queue */
	bool repeated;	      /* the guard has written for it */
};

struct guard {
	struct scoreboard *sb;
	int group;
	bool may_read;
	bool inert; /* no fanotify here */
	uint64_t patience_ns;
	uint64_t now;
	uint64_t taken;	  /* how many were taken; never goes back */
	uint64_t transit; /* how many more may just be taken */
	uint64_t before;  /* end of the queue at the last tick */
	uint64_t in_time; /* what the slots' counts of it were together */
	struct watch watch[SCOREBOARD_SLOTS][SLOT_NUMBERS];
	uint64_t stale_ns[SCOREBOARD_SLOTS]; /* last answered blindly */
	unsigned int first, count; /* of snaps, a ring, the oldest first */
	struct snap snaps[SNAPS];
	struct log_limit number_limit, read_limit, answer_limit;
};

static uint64_t answered_in_time(const struct scoreboard *sb)
{
	uint64_t sum = 0;

	for (int i = 0; i < SCOREBOARD_SLOTS; i++)
		sum += atomic_load(&sb->slots[i].in_time);
	return sum;
}

struct guard *guard_new(struct scoreboard *sb, int group, bool may_read,
			unsigned int patience_ms)
{
	struct guard *guard = xcalloc(1, sizeof(*guard));

	guard->sb = sb;
	guard->group = group;
	guard->may_read = may_read;
	guard->patience_ns = patience_ms * CLOCK_NS_PER_MS;
	guard->inert = fangroup_pending(group) < 0;
	guard->taken = scoreboard_taken(sb);
	guard->in_time = answered_in_time(sb);
	return guard;
}

void guard_free(struct guard **guard)
{
	xfree(guard);
}

static void count(struct scoreboard *sb, enum counter_id id)
{
	atomic_fetch_add(&sb->counters[id], 1);
}

static uint64_t limit_ns(const struct guard *guard)
{
	uint64_t ms = atomic_load(&guard->sb->verdict_timeout_ms);

	return (ms ? ms : TIMEOUT_UNSET_MS) * CLOCK_NS_PER_MS +
	       guard->patience_ns;
}

/* Time since `then`; 0 for what lies ahead by the blink in which it was
 * written after our look at the clock, endless for what is nonsense. */
static uint64_t age(uint64_t now, uint64_t then)
{
	if (then <= now)
		return now - then;
	return then - now < CLOCK_NS_PER_S ? 0 : UINT64_MAX;
}

/* --- what is known of the queue ---------------------------------------- */

static const struct snap *snap_at(const struct guard *guard, unsigned int i)
{
	return &guard->snaps[(guard->first + i) % SNAPS];
}

static void snap_take(struct guard *guard, uint64_t pending)
{
	uint64_t apart = limit_ns(guard) / (SNAPS / 2);
	struct snap *snap;

	if (guard->count &&
	    guard->now - snap_at(guard, guard->count - 1)->at_ns < apart)
		return;
	if (guard->count == SNAPS) {
		guard->first = (guard->first + 1) % SNAPS;
		guard->count--;
	}
	snap = &guard->snaps[(guard->first + guard->count++) % SNAPS];
	snap->at_ns = guard->now;
	snap->end = guard->taken + pending;
}

/* The number of the last event that had been in the queue `limit` ago. */
static uint64_t end_before(const struct guard *guard, uint64_t limit)
{
	unsigned int low = 0, high = guard->count;

	/* The newest snapshot that is old enough. */
	while (low < high) {
		unsigned int mid = (low + high) / 2;

		if (guard->now - snap_at(guard, mid)->at_ns > limit)
			low = mid + 1;
		else
			high = mid;
	}
	return low ? snap_at(guard, low - 1)->end : 0;
}

/*
 * Since when the event with this number has surely waited: the first
 * snapshot that held it. Now, when none did.
 */
static uint64_t in_queue_since(const struct guard *guard, uint64_t number)
{
	unsigned int low = 0, high = guard->count;

	while (low < high) {
		unsigned int mid = (low + high) / 2;

		if (snap_at(guard, mid)->end >= number)
			high = mid;
		else
			low = mid + 1;
	}
	return low < guard->count ? snap_at(guard, low)->at_ns : guard->now;
}

/* --- the breaker ------------------------------------------------------- */

static void timed_out(struct guard *guard)
{
	atomic_fetch_add(&guard->sb->timeouts_in_row, 1);
}

/* Before the timeouts of a tick are counted: those come behind. */
static void note_answers(struct guard *guard)
{
	uint64_t now = answered_in_time(guard->sb);

	if (now != guard->in_time)
		atomic_store(&guard->sb->timeouts_in_row, 0);
	guard->in_time = now;
}

static void breaker_set(struct guard *guard, bool open, const char *why)
{
	struct scoreboard *sb = guard->sb;

	atomic_store(&sb->breaker_since_ns, guard->now);
	atomic_store(&sb->breaker_open, open);
	if (open)
		log_warn("guard breaker opens timeouts=%u: %s",
			 atomic_load(&sb->timeouts_in_row), why);
	else
		log_info("guard breaker closes: %s", why);
}

static void breaker_tick(struct guard *guard)
{
	struct scoreboard *sb = guard->sb;
	uint32_t most = atomic_load(&sb->breaker_timeouts);
	uint32_t row = atomic_load(&sb->timeouts_in_row);
	uint64_t retry_ns =
		atomic_load(&sb->breaker_retry_ms) * CLOCK_NS_PER_MS;

	if (!atomic_load(&sb->breaker_open)) {
		if (most && row >= most)
			breaker_set(guard, true, "no opener waits any more");
		return;
	}
	if (row == 0 || !most) {
		breaker_set(guard, false, "the scanner answers");
		return;
	}
	if (age(guard->now, atomic_load(&sb->breaker_since_ns)) < retry_ns)
		return;
	/* One more timeout opens it again at once. */
	if (row >= most)
		atomic_compare_exchange_strong(&sb->timeouts_in_row, &row,
					       most - 1);
	breaker_set(guard, false, "trying the scanner again");
}

/* --- questions that workers hold --------------------------------------- */

/* Answers a number by policy; true when somebody was waiting for it. */
static bool answer_number(struct guard *guard, int slot, int n, int32_t pid)
{
	struct scoreboard *sb = guard->sb;
	bool exempt = scoreboard_is_exempt(sb, pid);
	bool allow = exempt || atomic_load(&sb->allow_on_timeout);
	int rc = fangroup_answer(guard->group, slot_number(slot) + n, allow);

	if (rc < 0)
		log_limited(&guard->answer_limit, 3, 60000, LOG_LVL_WARN,
			    "guard cannot answer number=%d: %m",
			    slot_number(slot) + n);
	if (rc != 0)
		return false;
	count(sb, exempt ? COUNTER_ALLOWED_EXEMPT : COUNTER_POLICY_TIMEOUT);
	return true;
}

/*
 * The right to answer is won by the step to HOLD_ANSWERED. A parked question
 * turns into a scanned one at any time, hence the second try.
 */
static bool win(struct hold *hold, uint32_t *state)
{
	for (int tries = 0; tries < 2; tries++) {
		if (*state != HOLD_PARKED && *state != HOLD_SCANNING)
			return false;
		if (atomic_compare_exchange_strong(&hold->state, state,
						   HOLD_ANSWERED))
			return true;
	}
	return false;
}

/*
 * Each question has a start_ns of its own. Its time in the queue is looked up
 * one tick after it was first seen with an opener: only then is it surely
 * among those taken, and an older number would stand for an older wait.
 */
static void watch_hold(struct guard *guard, struct watch *watch,
		       const struct hold *hold, uint64_t start)
{
	if (watch->start_ns != start) {
		memset(watch, 0, sizeof(*watch));
		watch->start_ns = watch->since_ns = start;
	} else if (watch->counted && !watch->queued) {
		uint64_t queued =
			in_queue_since(guard, guard->taken + guard->transit);

		watch->queued = true;
		if (queued < start)
			watch->since_ns = queued;
	}
	watch->counted = hold->pid != 0;
}

static void hold_tick(struct guard *guard, int slot, int n, uint64_t limit)
{
	struct hold *hold = &guard->sb->holds[slot][n];
	struct watch *watch = &guard->watch[slot][n];
	uint64_t start = atomic_load(&hold->start_ns);
	uint32_t state = atomic_load(&hold->state);

	if (state == HOLD_FREE) {
		memset(watch, 0, sizeof(*watch));
		return;
	}
	watch_hold(guard, watch, hold, start);
	if (state == HOLD_ANSWERED && !watch->answered_ns)
		watch->answered_ns = guard->now;
	if (age(guard->now, watch->since_ns) <= limit)
		return;
	if (state != HOLD_ANSWERED) {
		bool alone = state == HOLD_SCANNING;

		/* The next question may have come under our hands; then it
		 * is its worker's, or ours when its own time is over. */
		if (!win(hold, &state) || atomic_load(&hold->start_ns) != start)
			return;
		if (answer_number(guard, slot, n, hold->pid) && alone)
			timed_out(guard);
		watch->answered_ns = guard->now;
		watch->repeated = true;
	} else if (!watch->repeated &&
		   guard->now - watch->answered_ns >=
			   GUARD_GRACE_MS * CLOCK_NS_PER_MS) {
		watch->repeated = true;
		if (answer_number(guard, slot, n, hold->pid))
			timed_out(guard);
	}
}

/*
 * A worker that stood still between taking an event and entering it: nothing
 * tells of that event. Its last sign of life is older than any wait may be,
 * so whatever it has taken is overdue; the kernel says which of its numbers
 * somebody waits for.
 */
static void stale_tick(struct guard *guard, int slot, uint64_t limit)
{
	struct slot *s = &guard->sb->slots[slot];

	if (atomic_load(&s->role) != SLOT_FRONT ||
	    atomic_load(&s->scan_start_ns) != 0 ||
	    age(guard->now, atomic_load(&s->beat_ns)) <=
		    limit + GUARD_GRACE_MS * CLOCK_NS_PER_MS ||
	    age(guard->now, guard->stale_ns[slot]) < STALE_AGAIN_NS)
		return;
	guard->stale_ns[slot] = guard->now;
	for (int n = 0; n < SLOT_NUMBERS; n++)
		if (atomic_load(&guard->sb->holds[slot][n].state) ==
			    HOLD_FREE &&
		    answer_number(guard, slot, n, 0))
			timed_out(guard);
}

static void holds_tick(struct guard *guard)
{
	uint64_t limit = limit_ns(guard);

	for (int slot = 0; slot < SCOREBOARD_SLOTS; slot++) {
		if (atomic_load(&guard->sb->slots[slot].role) == SLOT_UNUSED)
			continue;
		for (int n = 0; n < SLOT_NUMBERS; n++)
			hold_tick(guard, slot, n, limit);
		stale_tick(guard, slot, limit);
	}
}

/* --- questions that nobody has taken ----------------------------------- */

/* Takes one and answers it. False when there is none to be had. */
static bool drain_one(struct guard *guard, enum counter_id why, bool allow)
{
	struct scoreboard *sb = guard->sb;
	struct fangroup_event ev;
	bool exempt;
	int rc = fangroup_read(guard->group, &ev);

	if (rc < 0) {
		/* The kernel has denied this one, as it could not be given a
		 * descriptor. */
		log_limited(&guard->read_limit, 3, 60000, LOG_LVL_ERROR,
			    "guard cannot read an event: %m");
		if (errno != EBADF && errno != EINVAL && errno != EPROTO) {
			count(sb, COUNTER_QUESTIONS);
			count(sb, COUNTER_POLICY_ERROR);
		}
		return false;
	}
	if (rc == 0)
		return false;
	count(sb, COUNTER_QUESTIONS);
	exempt = scoreboard_is_exempt(sb, ev.pid);
	if (fangroup_answer(guard->group, ev.fd, exempt || allow) < 0)
		log_limited(&guard->answer_limit, 3, 60000, LOG_LVL_WARN,
			    "guard cannot answer number=%d: %m", ev.fd);
	if (ev.fd != GUARD_NUMBER)
		log_limited(&guard->number_limit, 1, 60000, LOG_LVL_ERROR,
			    "guard event has number=%d, not %d", ev.fd,
			    GUARD_NUMBER);
	fd_close(&ev.fd);
	count(sb, exempt ? COUNTER_ALLOWED_EXEMPT : why);
	if (!exempt && why == COUNTER_POLICY_QUEUE)
		timed_out(guard);
	return true;
}

static void drain(struct guard *guard, uint64_t n, enum counter_id why,
		  bool allow)
{
	if (n > DRAIN_MAX)
		n = DRAIN_MAX;
	while (n-- > 0 && drain_one(guard, why, allow))
		;
}

/* A worker that waits for events: it will take what is in the queue. */
static bool somebody_is_idle(const struct guard *guard)
{
	for (int i = 0; i < SCOREBOARD_SLOTS; i++) {
		const struct slot *s = &guard->sb->slots[i];

		if (atomic_load(&s->role) == SLOT_FRONT &&
		    atomic_load(&s->scan_start_ns) == 0 &&
		    age(guard->now, atomic_load(&s->beat_ns)) < IDLE_FRESH_NS)
			return true;
	}
	return false;
}

static bool somebody_lives(const struct guard *guard)
{
	for (int i = 0; i < SCOREBOARD_SLOTS; i++) {
		const struct slot *s = &guard->sb->slots[i];
		struct proc_id id = {
			.pid = atomic_load(&s->pid),
			.start = atomic_load(&s->start),
		};

		if (atomic_load(&s->role) == SLOT_FRONT && id.pid > 0 &&
		    proc_alive(&id))
			return true;
	}
	return false;
}

static void queue_tick(struct guard *guard, uint64_t pending)
{
	struct scoreboard *sb = guard->sb;
	uint64_t taken = guard->taken + guard->transit;
	uint64_t overdue = end_before(guard, limit_ns(guard));
	uint64_t left = guard->before > taken ? guard->before - taken : 0;

	if (pending == 0)
		return;
	/* Nothing of what was there at the last tick is left: a worker lives,
	 * and it is not worth while to look for it in /proc. */
	if (left > 0 && !somebody_lives(guard)) {
		drain(guard, pending, COUNTER_POLICY_GONE,
		      atomic_load(&sb->allow_on_error));
		return;
	}
	if (atomic_load(&sb->breaker_open)) {
		uint64_t n = somebody_is_idle(guard) ? left : pending;

		drain(guard, n < pending ? n : pending, COUNTER_POLICY_BREAKER,
		      atomic_load(&sb->allow_on_timeout));
		return;
	}
	if (overdue > taken) {
		overdue -= taken;
		drain(guard, overdue < pending ? overdue : pending,
		      COUNTER_POLICY_QUEUE, atomic_load(&sb->allow_on_timeout));
	}
}

/*
 * Events that a worker is just about to take, or has taken and not counted:
 * its hold has no opener yet. One that stands so for longer is stopped, or its
 * opener has no pid in our namespace.
 */
static uint64_t in_transit(const struct guard *guard)
{
	uint64_t n = 0;

	for (int i = 0; i < SCOREBOARD_SLOTS; i++) {
		const struct slot *s = &guard->sb->slots[i];

		if (atomic_load(&s->role) != SLOT_FRONT)
			continue;
		for (int k = 0; k < SLOT_NUMBERS; k++) {
			const struct hold *hold = &guard->sb->holds[i][k];

			n += atomic_load(&hold->state) == HOLD_SCANNING &&
			     hold->pid == 0 &&
			     age(guard->now, atomic_load(&hold->start_ns)) <
				     TRANSIT_NS;
		}
	}
	return n;
}

static void look(struct guard *guard, uint64_t *pending_r)
{
	long pending = fangroup_pending(guard->group);
	uint64_t taken = scoreboard_taken(guard->sb);

	/* A worker may have spoilt its counter: time does not go back. */
	if (taken > guard->taken)
		guard->taken = taken;
	guard->transit = in_transit(guard);
	*pending_r = pending > 0 ? (uint64_t)pending : 0;
}

void guard_tick(struct guard *guard)
{
	uint64_t pending;

	if (guard->inert)
		return;
	guard->now = clock_mono_ns();
	look(guard, &pending);
	snap_take(guard, pending);
	if (guard->may_read)
		note_answers(guard);
	holds_tick(guard);
	if (!guard->may_read)
		return;
	breaker_tick(guard);
	queue_tick(guard, pending);
	look(guard, &pending);
	guard->before = guard->taken + pending;
}

int guard_answer_slot(struct scoreboard *sb, int group, int slot,
		      enum counter_id counter, bool allow)
{
	int answered = 0;

	if (slot < 0 || slot >= SCOREBOARD_SLOTS || fangroup_pending(group) < 0)
		return 0;
	for (int n = 0; n < SLOT_NUMBERS; n++) {
		struct hold *hold = &sb->holds[slot][n];
		uint32_t state = atomic_load(&hold->state);
		bool exempt = state != HOLD_FREE &&
			      scoreboard_is_exempt(sb, hold->pid);

		if (state != HOLD_FREE)
			atomic_store(&hold->state, HOLD_ANSWERED);
		if (fangroup_answer(group, slot_number(slot) + n,
				    exempt || allow) != 0)
			continue;
		if (state == HOLD_FREE || hold->pid == 0)
			count(sb, COUNTER_QUESTIONS); /* it did not get to it */
		count(sb, exempt ? COUNTER_ALLOWED_EXEMPT : counter);
		answered++;
	}
	return answered;
}
