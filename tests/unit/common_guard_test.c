/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "lib/log.h"

#include "guardbed.h"

/* --- step 1 -------------------------------------------------------------- */

static void held_question_is_allowed_when_the_timeout_is_over(void **state)
{
	pid_t w = worker_start(WORKER_HOLDS, NULL);

	(void)state;
	bed_opener(&bed, 0);
	tick_until_back(0, 1);
	assert_waited(0, TIMEOUT - 1, TIMEOUT + SLACK, 0);
	assert_int_equal(counted(POLICY_TIMEOUT), 1);
	assert_int_equal(atomic_load(&sb->timeouts_in_row), 1);
	assert_int_equal(atomic_load(&sb->holds[0][0].state), HOLD_ANSWERED);
	bed_kill(w);
}

static void held_question_is_denied_where_policy_says_so(void **state)
{
	pid_t w = worker_start(WORKER_HOLDS, NULL);

	(void)state;
	sb->allow_on_timeout = 0;
	bed_opener(&bed, 0);
	tick_until_back(0, 1);
	assert_waited(0, TIMEOUT - 1, TIMEOUT + SLACK, EPERM);
	assert_int_equal(counted(POLICY_TIMEOUT), 1);
	bed_kill(w);
}

static void held_question_of_an_exempt_process_is_allowed_under_deny(
	void **state)
{
	pid_t w = worker_start(WORKER_HOLDS, NULL);
	_Atomic int *gate = &bed.openers[15].done;

	(void)state;
	sb->allow_on_timeout = 0;
	assert_true(scoreboard_exempt(sb, bed_opener_gated(&bed, 0, gate)));
	atomic_store(gate, 1);
	tick_until_back(0, 1);
	assert_waited(0, TIMEOUT - 1, TIMEOUT + SLACK, 0);
	assert_int_equal(counted(ALLOWED_EXEMPT), 1);
	assert_int_equal(counted(POLICY_TIMEOUT), 0);
	bed_kill(w);
}

static void worker_stopped_between_winning_and_answering_holds_nobody(
	void **state)
{
	pid_t w = worker_start(WORKER_STOPS_WON, NULL);

	(void)state;
	sb->allow_on_timeout = 0;
	bed_opener(&bed, 0);
	wait_stopped(w);
	tick_until_back(0, 1);
	assert_waited(0, TIMEOUT - 1, TIMEOUT + GUARD_GRACE_MS + SLACK, EPERM);
	assert_int_equal(counted(POLICY_TIMEOUT), 1);
	/* Its own answer comes too late and hits nothing. */
	kill(w, SIGCONT);
	tick_for(100);
	bed_opener(&bed, 1);
	wait_stopped(w);
	kill(w, SIGCONT);
	tick_until_back(1, 2);
	assert_waited(1, 0, TIMEOUT - 1, 0);
	bed_kill(w);
}

static void worker_stopped_before_entering_what_it_took_holds_nobody(
	void **state)
{
	pid_t w = worker_start(WORKER_STOPS_BLIND, NULL);

	(void)state;
	bed_opener(&bed, 0);
	wait_stopped(w);
	assert_int_equal(atomic_load(&sb->holds[0][0].state), HOLD_FREE);
	tick_until_back(0, 1);
	assert_waited(0, TIMEOUT, TIMEOUT + GUARD_GRACE_MS + SLACK, 0);
	assert_int_equal(counted(POLICY_TIMEOUT), 1);
	bed_kill(w);
}

static void worker_stopped_before_counting_what_it_took_holds_nobody(
	void **state)
{
	pid_t w = worker_start(WORKER_STOPS_TAKEN, NULL);

	(void)state;
	bed_opener(&bed, 0);
	wait_stopped(w);
	tick_until_back(0, 1);
	assert_waited(0, TIMEOUT - 1, TIMEOUT + GUARD_GRACE_MS, 0);
	assert_int_equal(counted(POLICY_TIMEOUT), 1);
	/* Nor does it disturb the reckoning of the queue. */
	bed_opener(&bed, 1);
	tick_until_back(1, 2);
	assert_waited(1, TIMEOUT, TIMEOUT + SLACK, 0);
	assert_int_equal(counted(POLICY_QUEUE), 1);
	bed_kill(w);
}

/* Opens files again and again for some time. */
static pid_t busy_opener(int i, int ms)
{
	struct opener *o = &bed.openers[i];
	uint64_t end = clock_mono_ns() + (uint64_t)ms * CLOCK_NS_PER_MS;
	pid_t pid;

	memset(o, 0, sizeof(*o));
	pid = bed_fork();
	o->pid = pid ? pid : getpid();
	if (pid)
		return pid;
	while (clock_mono_ns() < end) {
		int fd = open(bed_file(&bed, i), O_RDONLY | O_CLOEXEC);

		if (fd < 0)
			o->error = errno;
		close(fd);
		o->waited_ms++;
	}
	atomic_store(&o->done, 1);
	_exit(0);
}

/*
 * Any look of the guard falls somewhere into the handling of a question; a
 * short limit, and deny, so that one wrong answer is seen.
 */
static void busy_workers_lose_no_question_to_the_guard(void **state)
{
	pid_t w[2] = {worker_start(WORKER_ANSWERS, NULL),
		      worker_start(WORKER_ANSWERS, NULL)};
	uint64_t end;

	(void)state;
	sb->verdict_timeout_ms = 100;
	sb->allow_on_timeout = sb->allow_on_error = 0;
	bed_opener(&bed, 9); /* one long ago */
	tick_until_back(9, 10);
	tick_for(300);
	for (int i = 0; i < 3; i++)
		busy_opener(i, 1500);
	end = clock_mono_ns() + 1400 * CLOCK_NS_PER_MS;
	while (clock_mono_ns() < end) {
		guard_tick(guard);
		usleep(300);
	}
	tick_until_back(0, 3);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(bed.openers[i].error, 0);
		assert_true(bed.openers[i].waited_ms > 100);
	}
	assert_int_equal(counted(POLICY_TIMEOUT), 0);
	assert_int_equal(counted(POLICY_QUEUE), 0);
	assert_int_equal(counted(POLICY_GONE), 0);
	bed_kill(w[0]);
	bed_kill(w[1]);
}

static void question_not_counted_yet_is_not_taken_for_an_older_one(void **state)
{
	pid_t w = worker_start(WORKER_DAWDLES, NULL);

	(void)state;
	for (int i = 0; i < 3; i++) {
		bed_opener(&bed, i);
		tick_until_back(i, i + 1);
		/* Far longer ago than the limit, when the next one comes. */
		tick_for(TIMEOUT + 100);
	}
	assert_int_equal(counted(POLICY_TIMEOUT), 0);
	assert_int_equal(counted(ALLOWED_CLEAN), 3);
	bed_kill(w);
}

static void time_in_the_queue_counts_for_a_held_question(void **state)
{
	pid_t w = worker_start(WORKER_HOLDS, NULL);

	(void)state;
	sb->verdict_timeout_ms = 1000;
	worker_stop(w);
	bed_opener(&bed, 0);
	wait_pending(1);
	tick_for(800);
	kill(w, SIGCONT);
	tick_until_back(0, 1);
	/* Not 1800. */
	assert_waited(0, 990, 1600, 0);
	assert_int_equal(counted(POLICY_TIMEOUT), 1);
	assert_int_equal(counted(POLICY_QUEUE), 0);
	bed_kill(w);
}

static void many_quick_questions_under_one_number_are_not_one_long(void **state)
{
	int slot = scoreboard_claim(sb, SLOT_FRONT);
	struct hold *hold = &sb->holds[slot][0];

	(void)state;
	for (int i = 0; i < 2 * TIMEOUT / 50; i++) {
		atomic_fetch_add(&sb->slots[slot].counters[0], 1);
		hold->pid = 1;
		atomic_store(&hold->start_ns, clock_mono_ns());
		atomic_store(&hold->state, HOLD_SCANNING);
		tick_for(50);
		assert_int_equal(atomic_load(&hold->state), HOLD_SCANNING);
	}
	tick_for(TIMEOUT + 50);
	assert_int_equal(atomic_load(&hold->state), HOLD_ANSWERED);
}

static void two_guards_count_a_timeout_once(void **state)
{
	struct guard *second = guard_new(sb, group, false, 0);
	pid_t w = worker_start(WORKER_HOLDS, NULL);

	(void)state;
	bed_opener(&bed, 0);
	while (!bed_done(&bed, 0)) {
		guard_tick(second);
		guard_tick(guard);
		usleep(5000);
	}
	tick_for(GUARD_GRACE_MS + 200);
	guard_tick(second);
	assert_int_equal(counted(POLICY_TIMEOUT), 1);
	assert_int_equal(atomic_load(&sb->timeouts_in_row), 1);
	guard_free(&second);
	bed_kill(w);
}

static void parked_questions_time_out_but_are_no_row(void **state)
{
	pid_t w = worker_start(WORKER_PARKS, NULL);

	(void)state;
	for (int i = 0; i < 4; i++)
		bed_opener(&bed, i);
	tick_until_back(0, 4);
	for (int i = 0; i < 4; i++)
		assert_waited(i, TIMEOUT - 50, TIMEOUT + SLACK, 0);
	assert_int_equal(counted(POLICY_TIMEOUT), 4);
	assert_int_equal(atomic_load(&sb->timeouts_in_row), 1);
	bed_kill(w);
}

/* --- step 2 -------------------------------------------------------------- */

static void overdue_in_the_queue_are_drained_and_no_others(void **state)
{
	pid_t w = worker_start(WORKER_ANSWERS, NULL);

	(void)state;
	sb->verdict_timeout_ms = 1000;
	for (int i = 8; i < 12; i++)
		bed_opener(&bed, i);
	tick_until_back(8, 12);
	worker_stop(w);
	for (int i = 0; i < 3; i++)
		bed_opener(&bed, i);
	wait_pending(3);
	tick_for(600);
	for (int i = 3; i < 8; i++)
		bed_opener(&bed, i);
	wait_pending(8);
	tick_until_back(0, 3);
	assert_int_equal(counted(POLICY_QUEUE), 3);
	assert_int_equal(counted(QUESTIONS), 4 + 3);
	assert_int_equal(fangroup_pending(group), 5);
	for (int i = 0; i < 3; i++)
		assert_waited(i, 1000, 1400, 0);
	tick_until_back(3, 8);
	assert_int_equal(counted(POLICY_QUEUE), 8);
	for (int i = 3; i < 8; i++)
		assert_waited(i, 1000, 1000 + SLACK, 0);
	assert_int_equal(atomic_load(&sb->timeouts_in_row), 8);
	bed_kill(w);
}

static void what_workers_take_meanwhile_is_not_drained(void **state)
{
	pid_t w = worker_start(WORKER_ANSWERS, NULL);

	(void)state;
	worker_stop(w);
	for (int i = 0; i < 4; i++)
		bed_opener(&bed, i);
	wait_pending(4);
	tick_for(TIMEOUT / 2);
	kill(w, SIGCONT);
	tick_until_back(0, 4);
	worker_stop(w);
	/* These came later; the guard still remembers the first four. */
	bed_opener(&bed, 4);
	wait_pending(1);
	tick_until_back(4, 5);
	assert_waited(4, TIMEOUT, TIMEOUT + SLACK, 0);
	assert_int_equal(counted(ALLOWED_CLEAN), 4);
	assert_int_equal(counted(POLICY_QUEUE), 1);
	bed_kill(w);
}

static void question_not_counted_yet_is_not_drained_in_the_next_ones_place(
	void **state)
{
	pid_t w = worker_start(WORKER_DAWDLES, NULL);

	(void)state;
	sb->verdict_timeout_ms = 1000;
	worker_stop(w);
	bed_opener(&bed, 0);
	wait_pending(1);
	tick_for(930);
	kill(w, SIGCONT);
	wait_pending(0);
	bed_opener(&bed, 1);
	tick_until_back(0, 2);
	assert_int_equal(counted(POLICY_QUEUE), 0);
	bed_kill(w);
}

static void opener_without_a_pid_delays_no_draining(void **state)
{
	pid_t w = worker_start(WORKER_HOLDS_STRANGER, NULL);

	(void)state;
	sb->verdict_timeout_ms = 1000;
	worker_stop(w);
	bed_opener(&bed, 0);
	bed_opener(&bed, 1);
	wait_pending(2);
	tick_for(600);
	kill(w, SIGCONT);
	wait_pending(1);
	tick_until_back(0, 2);
	assert_int_equal(counted(POLICY_QUEUE), 1);
	/* One was drained when due, the other held until its limit. */
	assert_true(bed.openers[0].waited_ms < 1350 ||
		    bed.openers[1].waited_ms < 1350);
	bed_kill(w);
}

static void draining_denies_by_policy_but_never_the_exempt(void **state)
{
	pid_t w = worker_start(WORKER_ANSWERS, NULL);
	_Atomic int *gate = &bed.openers[15].done;

	(void)state;
	sb->allow_on_timeout = 0;
	worker_stop(w);
	scoreboard_exempt(sb, bed_opener_gated(&bed, 0, gate));
	bed_opener_gated(&bed, 1, gate);
	atomic_store(gate, 1);
	tick_until_back(0, 2);
	assert_waited(0, TIMEOUT, TIMEOUT + SLACK, 0);
	assert_waited(1, TIMEOUT, TIMEOUT + SLACK, EPERM);
	assert_int_equal(counted(POLICY_QUEUE), 1);
	assert_int_equal(counted(ALLOWED_EXEMPT), 1);
	bed_kill(w);
}

static void guard_that_may_not_read_leaves_the_queue(void **state)
{
	struct guard *blind = guard_new(sb, group, false, 0);
	pid_t w = worker_start(WORKER_ANSWERS, NULL);

	(void)state;
	worker_stop(w);
	bed_opener(&bed, 0);
	wait_pending(1);
	for (int i = 0; i < (TIMEOUT + 300) / 10; i++) {
		guard_tick(blind);
		usleep(10000);
	}
	assert_int_equal(fangroup_pending(group), 1);
	assert_false(bed_done(&bed, 0));
	guard_free(&blind);
	kill(w, SIGCONT);
	tick_until_back(0, 1);
	bed_kill(w);
}

static void event_under_a_wrong_number_is_answered_too(void **state)
{
	pid_t w = worker_start(WORKER_ANSWERS, NULL);
	struct err err;

	(void)state;
	worker_stop(w);
	close(GUARD_NUMBER - 1);
	bed_opener(&bed, 0);
	tick_until_back(0, 1);
	assert_waited(0, TIMEOUT, TIMEOUT + SLACK, 0);
	assert_int_equal(fd_fill(GUARD_NUMBER, &err), 0);
	bed_kill(w);
}

/* --- steps 3 and 4 ------------------------------------------------------- */

static void breaker_lets_nobody_wait_and_closes_when_scans_finish(void **state)
{
	pid_t w = worker_start(WORKER_ANSWERS, NULL);

	(void)state;
	sb->breaker_timeouts = 3;
	sb->breaker_retry_ms = 60000;
	worker_stop(w);
	for (int i = 0; i < 3; i++)
		bed_opener(&bed, i);
	tick_until_back(0, 3);
	tick_for(1200); /* its last beat is old now: nobody is idle */
	assert_int_equal(atomic_load(&sb->breaker_open), 1);
	bed_opener(&bed, 3);
	tick_until_back(3, 4);
	assert_waited(3, 0, TIMEOUT / 2, 0);
	assert_int_equal(counted(POLICY_BREAKER), 1);
	assert_int_equal(counted(POLICY_QUEUE), 3);
	/* The worker is back; what it answers closes the breaker. */
	kill(w, SIGCONT);
	usleep(200000);
	bed_opener(&bed, 4);
	tick_until_back(4, 5);
	tick_for(50);
	assert_int_equal(counted(ALLOWED_CLEAN), 1);
	assert_int_equal(atomic_load(&sb->breaker_open), 0);
	bed_kill(w);
}

static void breaker_tries_the_scanner_again_and_opens_at_one_timeout(
	void **state)
{
	pid_t w = worker_start(WORKER_ANSWERS, NULL);

	(void)state;
	sb->breaker_timeouts = 3;
	sb->breaker_retry_ms = 100;
	worker_stop(w);
	for (int i = 0; i < 3; i++)
		bed_opener(&bed, i);
	tick_until_back(0, 3);
	tick_for(400);
	assert_int_equal(atomic_load(&sb->breaker_open), 0);
	assert_int_equal(atomic_load(&sb->timeouts_in_row), 2);
	sb->breaker_retry_ms = 60000;
	bed_opener(&bed, 3);
	tick_until_back(3, 4);
	assert_waited(3, TIMEOUT, TIMEOUT + SLACK, 0);
	tick_for(30);
	assert_int_equal(atomic_load(&sb->breaker_open), 1);
	bed_kill(w);
}

static void open_breaker_leaves_files_to_a_worker_that_is_well(void **state)
{
	pid_t slow = worker_start(WORKER_HOLDS, NULL), well;

	(void)state;
	sb->breaker_timeouts = 1;
	sb->breaker_retry_ms = 60000;
	bed_opener(&bed, 0);
	tick_until_back(0, 1);
	tick_for(30);
	assert_int_equal(atomic_load(&sb->breaker_open), 1);
	well = worker_start(WORKER_ANSWERS, NULL);
	for (int i = 1; i < 8; i++)
		bed_opener(&bed, i);
	tick_until_back(1, 8);
	assert_int_equal(counted(POLICY_BREAKER), 0);
	assert_int_equal(counted(ALLOWED_CLEAN), 7);
	tick_for(30);
	assert_int_equal(atomic_load(&sb->breaker_open), 0);
	bed_kill(slow);
	bed_kill(well);
}

static void open_breaker_gives_an_idle_worker_a_tick(void **state)
{
	struct slot *idle = &sb->slots[scoreboard_claim(sb, SLOT_FRONT)];
	struct proc_id self;

	(void)state;
	assert_int_equal(proc_identify(getpid(), &self), 0);
	atomic_store(&idle->start, self.start);
	atomic_store(&idle->pid, self.pid);
	sb->breaker_retry_ms = 60000;
	atomic_store(&sb->timeouts_in_row, 5);
	atomic_store(&sb->breaker_since_ns, clock_mono_ns());
	atomic_store(&sb->breaker_open, 1);
	guard_tick(guard);
	bed_opener(&bed, 0);
	wait_pending(1);
	atomic_store(&idle->beat_ns, clock_mono_ns());
	guard_tick(guard);
	assert_int_equal(fangroup_pending(group), 1);
	guard_tick(guard);
	assert_int_equal(fangroup_pending(group), 0);
	/* With nobody idle nothing is put off. */
	bed_opener(&bed, 1);
	wait_pending(1);
	atomic_store(&idle->scan_start_ns, clock_mono_ns());
	guard_tick(guard);
	assert_int_equal(fangroup_pending(group), 0);
	tick_until_back(0, 2);
	assert_int_equal(counted(POLICY_BREAKER), 2);
}

static void without_any_worker_nobody_waits(void **state)
{
	pid_t w = worker_start(WORKER_ANSWERS, NULL);

	(void)state;
	sb->verdict_timeout_ms = 5000;
	bed_kill(w);
	bed_opener(&bed, 0);
	tick_until_back(0, 1);
	assert_waited(0, 0, 1000, 0);
	sb->allow_on_error = 0;
	bed_opener(&bed, 1);
	tick_until_back(1, 2);
	assert_waited(1, 0, 1000, EPERM);
	assert_int_equal(counted(POLICY_GONE), 2);
	assert_int_equal(counted(QUESTIONS), 2);
}

static void dead_workers_slot_is_answered_whole(void **state)
{
	int slot;
	pid_t w = worker_start(WORKER_PARKS, &slot);

	(void)state;
	for (int i = 0; i < 3; i++)
		bed_opener(&bed, i);
	while (atomic_load(&sb->slots[slot].counters[COUNTER_QUESTIONS]) < 3)
		usleep(1000);
	bed_kill(w);
	assert_int_equal(
		guard_answer_slot(sb, group, slot, COUNTER_POLICY_CRASH, false),
		3);
	tick_until_back(0, 3);
	for (int i = 0; i < 3; i++)
		assert_waited(i, 0, TIMEOUT + SLACK, EPERM);
	assert_int_equal(counted(POLICY_CRASH), 3);
	assert_int_equal(counted(QUESTIONS), 3);
	assert_int_equal(
		guard_answer_slot(sb, group, slot, COUNTER_POLICY_CRASH, false),
		0);
}

static void what_a_killed_worker_had_not_entered_is_answered_too(void **state)
{
	int slot;
	pid_t w = worker_start(WORKER_STOPS_BLIND, &slot);

	(void)state;
	bed_opener(&bed, 0);
	wait_stopped(w);
	bed_kill(w);
	assert_int_equal(
		guard_answer_slot(sb, group, slot, COUNTER_POLICY_CRASH, true),
		1);
	tick_until_back(0, 1);
	assert_waited(0, 0, TIMEOUT + SLACK, 0);
	/* Each that was taken is counted, though its taker could not. */
	assert_int_equal(counted(QUESTIONS), 1);
}

static void without_fanotify_ticks_do_nothing(void **state)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	struct guard *none = guard_new(sb, null, true, 0);
	int slot = scoreboard_claim(sb, SLOT_FRONT);

	(void)state;
	atomic_store(&sb->holds[slot][0].state, HOLD_SCANNING);
	for (int i = 0; i < 5; i++)
		guard_tick(none);
	assert_int_equal(counted(POLICY_TIMEOUT), 0);
	assert_int_equal(
		guard_answer_slot(sb, null, slot, COUNTER_POLICY_CRASH, true),
		0);
	guard_free(&none);
	close(null);
}

#define T(name) cmocka_unit_test_setup_teardown(name, up, down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(held_question_is_allowed_when_the_timeout_is_over),
		T(held_question_is_denied_where_policy_says_so),
		T(held_question_of_an_exempt_process_is_allowed_under_deny),
		T(worker_stopped_between_winning_and_answering_holds_nobody),
		T(worker_stopped_before_entering_what_it_took_holds_nobody),
		T(worker_stopped_before_counting_what_it_took_holds_nobody),
		T(busy_workers_lose_no_question_to_the_guard),
		T(question_not_counted_yet_is_not_taken_for_an_older_one),
		T(time_in_the_queue_counts_for_a_held_question),
		T(many_quick_questions_under_one_number_are_not_one_long),
		T(two_guards_count_a_timeout_once),
		T(parked_questions_time_out_but_are_no_row),
		T(overdue_in_the_queue_are_drained_and_no_others),
		T(what_workers_take_meanwhile_is_not_drained),
		T(question_not_counted_yet_is_not_drained_in_the_next_ones_place),
		T(opener_without_a_pid_delays_no_draining),
		T(draining_denies_by_policy_but_never_the_exempt),
		T(guard_that_may_not_read_leaves_the_queue),
		T(event_under_a_wrong_number_is_answered_too),
		T(breaker_lets_nobody_wait_and_closes_when_scans_finish),
		T(breaker_tries_the_scanner_again_and_opens_at_one_timeout),
		T(open_breaker_leaves_files_to_a_worker_that_is_well),
		T(open_breaker_gives_an_idle_worker_a_tick),
		T(without_any_worker_nobody_waits),
		T(dead_workers_slot_is_answered_whole),
		T(what_a_killed_worker_had_not_entered_is_answered_too),
		T(without_fanotify_ticks_do_nothing),
	};
	struct log_sinks sinks = {.fd = -1, .file_fd = -1};

	bed_watchdog();
	log_init("guard-test", &sinks, LOG_LVL_INFO);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
