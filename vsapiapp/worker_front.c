// SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "lib/fangroup.h"
#include "lib/hist.h"
#include "lib/log.h"
#include "park.h"
#include "worker_in.h"

/*
 * Questions of the permission group. A hold (common/scoreboard.h) goes
 *
 *   FREE -> SCANNING -> ANSWERED -> FREE
 *              |  ^        ^
 *              v  |        |
 *             PARKED ------+
 *
 * Whoever moves it to ANSWERED writes the answer: this worker, the worker
 * whose scan it awaited, or a guard. Only this worker frees it, which makes
 * the number of its descriptor available for the next event.
 */

/* Questions taken in one turn before the rest of the loop gets its turn. */
#define TURN_MAX 64
/* How often the scans that others do for us are looked after. */
#define PARKED_MS 10
/*
 * A number is not given to another event while somebody may be about to write
 * an answer for it: so long a guard is given for that after it took a hold,
 * and another worker, which is normally done in microseconds.
 */
#define GUARD_GRACE_MS 20
#define TAKEN_GRACE_MS 1000

/* One at a time is looked at. */
static struct file current;

/* Of each hold that somebody else took; since_ns 0: not seen yet. */
static struct taken {
	uint64_t since_ns;
	enum counter_id counter; /* if we have to answer after all */
	bool allow;
} taken[SLOT_NUMBERS];

static int number_of(const struct worker *w, const struct hold *hold)
{
	return slot_number(w->s.slot) + (int)(hold - w->holds);
}

/* The hold whose descriptor the kernel will give the next event. */
static struct hold *next_hold(struct worker *w)
{
	for (int i = 0; i < SLOT_NUMBERS; i++)
		if (atomic_load(&w->holds[i].state) == HOLD_FREE)
			return &w->holds[i];
	return NULL;
}

/*
 * Writes an answer; false when nobody waits for it. One that cannot be
 * written would leave the opener waiting for good: then this process ends,
 * and the master answers for all its numbers.
 */
static bool write_answer(struct worker *w, int number, bool allow)
{
	int rc = fangroup_answer(w->s.group, number, allow);

	if (rc < 0) {
		log_error("question answer number=%d: %m", number);
		_exit(1);
	}
	return rc == 0;
}

/* Remembers that somebody else has a hold, and what it should have got. */
static void note_taken(struct worker *w, struct hold *hold,
		       enum counter_id counter, bool allow)
{
	taken[hold - w->holds] = (struct taken){
		.since_ns = clock_mono_ns(),
		.counter = counter,
		.allow = allow,
	};
}

/* The descriptor of a hold is closed: the number may be given out again. */
static void set_free(struct worker *w, struct hold *hold)
{
	park_free(w->sb, w->s.slot, hold);
	w->busy--;
}

/*
 * Answers a hold of ours that is being looked at; false, and the descriptor
 * stays open, when somebody was faster. Unless it is to stay open anyhow it
 * goes before the answer is written (the kernel knows the question by the
 * number alone): an opener that goes on shall not meet us on its file, where
 * we stand in the way of write leases and umount.
 */
static bool answer_own(struct worker *w, struct hold *hold,
		       enum counter_id counter, bool allow, bool stay_open)
{
	if (!park_take(hold, HOLD_SCANNING)) {
		note_taken(w, hold, counter, allow);
		return false;
	}
	if (!stay_open)
		close(number_of(w, hold));
	write_answer(w, number_of(w, hold), allow);
	worker_count(w, counter);
	hist_add(&w->slot->wait,
		 clock_mono_ns() - atomic_load(&hold->start_ns));
	return true;
}

static void answer(struct worker *w, struct hold *hold, enum counter_id counter,
		   bool allow)
{
	if (answer_own(w, hold, counter, allow, false))
		set_free(w, hold);
}

/*
 * Frees a hold that somebody else took to answer it. Should that process have
 * died before it wrote, the opener still waits: so it is answered once more,
 * which finds nobody otherwise.
 */
static void confirm(struct worker *w, struct hold *hold)
{
	const struct taken *t = &taken[hold - w->holds];

	close(number_of(w, hold));
	if (write_answer(w, number_of(w, hold), t->allow))
		worker_count(w, t->counter);
	set_free(w, hold);
}

/* What the parked get with the verdict of the one that was scanned. */
struct shared_answer {
	struct worker *w;
	enum counter_id counter;
	bool allow;
};

static void answer_parked(struct hold *hold, int number, void *arg)
{
	struct shared_answer *sa = arg;

	if (!write_answer(sa->w, number, sa->allow))
		return;
	worker_count(sa->w, sa->counter);
	hist_add(&sa->w->slot->wait,
		 clock_mono_ns() - atomic_load(&hold->start_ns));
}

/* Answers a hold whose scan this worker had entered, and all that are parked
 * on it and were taken by before_ns. As answer_own(). */
static bool answer_all(struct worker *w, struct hold *hold,
		       enum counter_id counter, bool allow, uint64_t before_ns,
		       bool stay_open)
{
	struct shared_answer sa = {
		.w = w,
		.counter = counter,
		.allow = allow,
	};
	bool in_time = answer_own(w, hold, counter, allow, stay_open);

	if (counter == COUNTER_ALLOWED_CLEAN)
		sa.counter = COUNTER_COALESCED;
	park_finish(w->sb, w->s.slot, hold, before_ns, answer_parked, &sa);
	/* Those of ours that awaited a worker which died meanwhile. */
	for (int i = 0; i < SLOT_NUMBERS; i++) {
		struct hold *other = &w->holds[i];

		if (atomic_load(&other->state) == HOLD_PARKED &&
		    atomic_load(&other->start_ns) <= before_ns &&
		    file_key_same(&other->key, &hold->key) &&
		    park_reclaim(w->sb, w->s.slot, other))
			answer(w, other, sa.counter, allow);
	}
	return in_time;
}

static void conclude(struct worker *w, struct hold *hold, struct file *f)
{
	uint64_t wait = clock_mono_ns() - atomic_load(&hold->start_ns);
	bool report = f->result.verdict == VERDICT_INFECTED && !f->passed;
	uint64_t before_ns = UINT64_MAX;
	bool allow, in_time;
	enum counter_id counter = file_outcome(w, f, &allow);

	if (allow && !file_is_steady(f)) /* written behind the scan? */
		before_ns = f->scan_start_ns;
	else if (f->result.verdict == VERDICT_CLEAN)
		file_remember(w, f);
	in_time = answer_all(w, hold, counter, allow, before_ns, report);
	file_account(w, f, wait);
	if (in_time)
		atomic_fetch_add_explicit(&w->slot->in_time, 1,
					  memory_order_relaxed);
	if (report)
		report_finding(w, f, !allow && in_time, !in_time, wait,
			       conf_action(w->s.conf, "FirstAction"),
			       conf_action(w->s.conf, "SecondAction"));
	if (!in_time)
		return;
	if (report)
		close(number_of(w, hold));
	set_free(w, hold);
	memory_flush(w, false);
}

static void scan(struct worker *w, struct hold *hold, struct file *f)
{
	enum counter_id counter = COUNTER_POLICY_POISON;

	/* Looked at anew: it may have ended the worker that it awaited. */
	if (!file_is_poison(w, f)) {
		file_scan(w, f);
		conclude(w, hold, f);
	} else if (answer_all(w, hold, counter, file_policy(w, counter),
			      UINT64_MAX, false)) {
		set_free(w, hold);
	}
}

/* What has to be seen to now that a hold stands so. */
static void follow(struct worker *w, struct hold *hold, struct file *f,
		   enum park_state state)
{
	struct taken *t = &taken[hold - w->holds];
	unsigned int grace_ms = TAKEN_GRACE_MS;

	switch (state) {
	case PARK_SCAN:
		scan(w, hold, f);
		return;
	case PARK_PARKED:
		return;
	case PARK_DONE:
		close(number_of(w, hold));
		set_free(w, hold);
		return;
	case PARK_ANSWERED:
		grace_ms = GUARD_GRACE_MS;
		break;
	case PARK_TAKEN:
		break;
	}
	if (t->since_ns == 0)
		note_taken(w, hold, COUNTER_POLICY_CRASH,
			   file_policy(w, COUNTER_POLICY_CRASH));
	if (atomic_load(&hold->state) == HOLD_ANSWERED &&
	    clock_mono_ns() - t->since_ns >= grace_ms * CLOCK_NS_PER_MS)
		confirm(w, hold);
}

static void look_at(struct worker *w, struct hold *hold, struct file *f)
{
	enum counter_id counter;

	if (scoreboard_is_exempt(w->sb, f->pid)) {
		answer(w, hold, COUNTER_ALLOWED_EXEMPT, true);
		return;
	}
	if (file_look(f) < 0) {
		answer(w, hold, COUNTER_POLICY_ERROR,
		       file_policy(w, COUNTER_POLICY_ERROR));
		return;
	}
	hold->key = f->key;
	if (!file_judge(w, f, &counter)) {
		follow(w, hold, f, park_enter(w->sb, w->s.slot, hold));
		return;
	}
	/* Marks first: with the answer the descriptor goes. */
	if (counter == COUNTER_ALLOWED_KNOWN)
		file_ignore(w, f);
	switch (counter) {
	case COUNTER_POLICY_OVERSIZE:
	case COUNTER_POLICY_POISON:
		answer(w, hold, counter, file_policy(w, counter));
		break;
	default:
		answer(w, hold, counter, true);
	}
}

/* An event on a number that is not ours to give out: a bug, but answered. */
static void answer_stray(struct worker *w, int number)
{
	static struct log_limit limit;

	log_limited(&limit, 3, 60000, LOG_LVL_ERROR,
		    "question number=%d is outside the slot's", number);
	worker_count(w, COUNTER_POLICY_ERROR);
	write_answer(w, number, file_policy(w, COUNTER_POLICY_ERROR));
	close(number);
}

/*
 * Something that the engine opened and forgot would push every event to a
 * number that is not its own, and nothing would be scanned here any more.
 */
static void free_number(struct worker *w, const struct hold *hold)
{
	static struct log_limit limit;

	if (close(number_of(w, hold)) == 0)
		log_limited(&limit, 3, 60000, LOG_LVL_WARN,
			    "a scan left descriptor %d open",
			    number_of(w, hold));
}

/* Takes one question if there is one. */
static bool take_one(struct worker *w)
{
	static struct log_limit limit;
	struct hold *hold = next_hold(w);
	struct fangroup_event ev;
	int rc;

	/* Others are there that know better: look_around() sees to the rest. */
	if (!hold || atomic_load(&w->slot->drain))
		return false;
	/*
	 * Entered before it is read: were this process stopped right behind
	 * the read, nobody would know of the question otherwise.
	 */
	free_number(w, hold);
	atomic_store(&hold->ticket, 0);
	atomic_store(&hold->scanner_ticket, 0);
	hold->pid = 0;
	atomic_store(&hold->start_ns, clock_mono_ns());
	atomic_store(&hold->state, HOLD_SCANNING);
	rc = fangroup_read(w->s.group, &ev);
	if (rc <= 0 || ev.fd < 0) {
		atomic_store(&hold->state, HOLD_FREE);
		if (rc < 0)
			log_limited(&limit, 3, 60000, LOG_LVL_ERROR,
				    "question read: %m");
		return false;
	}
	worker_count(w, COUNTER_QUESTIONS);
	if (ev.fd != number_of(w, hold)) {
		atomic_store(&hold->state, HOLD_FREE);
		answer_stray(w, ev.fd);
		return true;
	}
	w->busy++;
	taken[hold - w->holds].since_ns = 0;
	hold->pid = ev.pid;
	hold->source = ev.what & FANGROUP_EXEC ? SOURCE_EXEC : SOURCE_OPEN;
	/* A guard that saw it stand before the event came has ended it. */
	atomic_store(&hold->start_ns, clock_mono_ns());
	atomic_store(&hold->state, HOLD_SCANNING);
	current.fd = ev.fd;
	current.pid = ev.pid;
	current.source = hold->source;
	current.job = 0;
	look_at(w, hold, &current);
	return true;
}

/* Holds that another worker's scan was to answer. */
static void look_after(struct worker *w, struct hold *hold)
{
	enum park_state state;

	state = park_check(w->sb, w->s.slot, hold);

	if (state == PARK_SCAN) {
		current.fd = number_of(w, hold);
		current.pid = hold->pid;
		current.source = hold->source;
		current.job = 0;
		current.key = hold->key;
		/* It may have been changed while it waited. */
		if (file_look(&current) < 0) {
			memset(&current.st, 0, sizeof(current.st));
			current.fs_magic = 0;
		}
	}
	follow(w, hold, &current, state);
}

static void look_after_all(struct worker *w)
{
	for (int i = 0; i < SLOT_NUMBERS && w->busy > 0; i++) {
		struct hold *hold = &w->holds[i];

		if (atomic_load(&hold->state) != HOLD_FREE)
			look_after(w, hold);
	}
}

void front_begin(struct worker *w)
{
	if (w->s.group < 0)
		return;
	worker_listen(w, w->s.group, true);
	w->listening = true;
}

/* Without a free number an event must not be read, so not waited for. */
static void listen_if_free(struct worker *w)
{
	bool want = !w->draining && w->busy < SLOT_NUMBERS && w->s.group >= 0;

	if (want == w->listening)
		return;
	if (want)
		worker_listen(w, w->s.group, true);
	else
		worker_unlisten(w, w->s.group);
	w->listening = want;
}

void front_turn(struct worker *w)
{
	look_after_all(w);
	for (int i = 0; i < TURN_MAX && !w->draining && w->s.group >= 0; i++) {
		if (!take_one(w))
			break;
		if (w->busy > 0)
			look_after_all(w);
	}
	listen_if_free(w);
}

int front_patience(const struct worker *w)
{
	return w->busy > 0 ? PARKED_MS : -1;
}

/* One that is still held at the end gets its policy. */
static void let_go(struct worker *w, struct hold *hold)
{
	bool allow = file_policy(w, COUNTER_POLICY_GONE);

	if (park_take(hold, HOLD_PARKED) &&
	    write_answer(w, number_of(w, hold), allow))
		worker_count(w, COUNTER_POLICY_GONE);
	close(number_of(w, hold));
	set_free(w, hold);
}

void front_end(struct worker *w)
{
	for (int i = 0; i < SLOT_NUMBERS; i++)
		if (atomic_load(&w->holds[i].state) != HOLD_FREE)
			let_go(w, &w->holds[i]);
}
