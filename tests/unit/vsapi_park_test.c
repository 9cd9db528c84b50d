// SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
/*
 * The protocol by which many openers of one file get one scan, under real
 * threads: each thread is a worker with a slot, a mutex-guarded table stands
 * for the kernel's questions and their answers.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/scoreboard.h"
#include "lib/alloc.h"
#include "lib/clock.h"
#include "vsapiapp/park.h"

#define WORKERS 6
#define ROUNDS 100000

static struct scoreboard *sb;

/* What the kernel would know: who waits at which number for which file. */
static struct {
	_Atomic uint64_t file;	  /* 0: nobody waits */
	_Atomic uint64_t answers; /* how often this number was answered */
} questions[SCOREBOARD_SLOTS * SLOT_NUMBERS];
static _Atomic uint64_t wrong, twice, scans, joined, retaken;

static int index_of(int slot, int h)
{
	return slot * SLOT_NUMBERS + h;
}

/* An answer: `file` is what the answerer believes to answer for. */
static void give_answer(int q, uint64_t file)
{
	uint64_t waits = atomic_exchange(&questions[q].file, 0);

	if (waits == 0)
		atomic_fetch_add(&twice, 1); /* or a guard was faster */
	else if (waits != file)
		atomic_fetch_add(&wrong, 1);
	atomic_fetch_add(&questions[q].answers, 1);
}

static void on_parked(struct hold *hold, int number, void *arg)
{
	give_answer(number - NUMBER_BASE, *(uint64_t *)arg);
	atomic_fetch_add(&joined, 1);
}

struct thread_arg {
	int slot;
	unsigned int seed;
	uint64_t seen_ns[SLOT_NUMBERS];
	uint64_t end_ns; /* when it takes no more questions */
	int die_every;	 /* leaves a scan as a killed worker would; 0: never */
};

static void free_hold(struct thread_arg *a, struct hold *hold)
{
	park_free(sb, a->slot, hold);
}

static void scan_now(struct thread_arg *a, struct hold *hold, int h)
{
	uint64_t file = hold->key.ino;
	bool own;

	atomic_fetch_add(&scans, 1);
	for (int i = rand_r(&a->seed) % 4; i > 0; i--)
		sched_yield();
	if (a->die_every && rand_r(&a->seed) % a->die_every == 0) {
		/* What the master does for a dead worker. */
		own = park_take(hold, HOLD_SCANNING);
		if (own)
			give_answer(index_of(a->slot, h), file);
		atomic_store(&sb->slots[a->slot].scan_ticket, 0);
	} else {
		own = park_take(hold, HOLD_SCANNING);
		if (own)
			give_answer(index_of(a->slot, h), file);
		/* Not each scan speaks for those who came behind it. */
		park_finish(sb, a->slot, hold,
			    rand_r(&a->seed) % 2 ? UINT64_MAX
						 : clock_mono_ns() - 20000,
			    on_parked, &file);
	}
	if (own)
		free_hold(a, hold);
}

static void follow_up(struct thread_arg *a, struct hold *hold, int h,
		      enum park_state state)
{
	if (state == PARK_SCAN) {
		scan_now(a, hold, h);
	} else if (state == PARK_ANSWERED) {
		/* As a worker does: the guard is given time to write. */
		if (!a->seen_ns[h])
			a->seen_ns[h] = clock_mono_ns();
		if (clock_mono_ns() - a->seen_ns[h] < 20 * CLOCK_NS_PER_MS)
			return;
		atomic_store(&questions[index_of(a->slot, h)].file, 0);
		free_hold(a, hold);
	} else if (state == PARK_DONE) {
		free_hold(a, hold);
	}
}

static void take_question(struct thread_arg *a, int h)
{
	struct hold *hold = &sb->holds[a->slot][h];

	a->seen_ns[h] = 0;
	memset(&hold->key, 0, sizeof(hold->key));
	hold->key.ino = 1 + (uint64_t)(rand_r(&a->seed) % 3);
	atomic_store(&questions[index_of(a->slot, h)].file, hold->key.ino);
	atomic_store(&hold->start_ns, clock_mono_ns());
	atomic_store(&hold->state, HOLD_SCANNING);
	follow_up(a, hold, h, park_enter(sb, a->slot, hold));
}

static int look_after(struct thread_arg *a)
{
	int busy = 0;

	for (int h = 0; h < SLOT_NUMBERS; h++) {
		struct hold *hold = &sb->holds[a->slot][h];
		enum park_state state;

		if (atomic_load(&hold->state) == HOLD_FREE)
			continue;
		state = park_check(sb, a->slot, hold);
		if (state == PARK_SCAN)
			atomic_fetch_add(&retaken, 1);
		follow_up(a, hold, h, state);
		busy += atomic_load(&hold->state) != HOLD_FREE;
	}
	return busy;
}

static void *work(void *arg)
{
	struct thread_arg *a = arg;

	/* A busy machine manages fewer rounds. */
	for (int round = 0; round < ROUNDS && clock_mono_ns() < a->end_ns;
	     round++) {
		for (int h = 0; h < SLOT_NUMBERS; h++) {
			if (atomic_load(&sb->holds[a->slot][h].state) !=
			    HOLD_FREE)
				continue;
			take_question(a, h);
			break;
		}
		if (rand_r(&a->seed) % 3 == 0)
			look_after(a);
	}
	while (look_after(a) > 0)
		sched_yield();
	return NULL;
}

static void *guard(void *arg)
{
	_Atomic int *stop = arg;
	unsigned int seed = 7;

	/* Now and then answers a question that is held, as on a timeout. */
	while (!atomic_load(stop)) {
		int slot = rand_r(&seed) % WORKERS;
		int h = rand_r(&seed) % SLOT_NUMBERS;
		struct hold *hold = &sb->holds[slot][h];
		uint32_t state = atomic_load(&hold->state);

		/* Its answer is a policy: right for every file. */
		if ((state == HOLD_PARKED || state == HOLD_SCANNING) &&
		    park_take(hold, state))
			atomic_store(&questions[index_of(slot, h)].file, 0);
		usleep(500);
	}
	return NULL;
}

static void run(int die_every, bool guarded)
{
	pthread_t threads[WORKERS], g;
	struct thread_arg args[WORKERS];
	static _Atomic int stop;

	memset(sb, 0, sizeof(*sb));
	memset(questions, 0, sizeof(questions));
	wrong = twice = scans = joined = retaken = 0;
	atomic_store(&stop, 0);
	for (int i = 0; i < WORKERS; i++) {
		atomic_store(&sb->slots[i].role, SLOT_FRONT);
		args[i] = (struct thread_arg){
			.slot = i,
			.seed = (unsigned int)i + 1,
			.die_every = die_every,
			.end_ns = clock_mono_ns() + 20 * CLOCK_NS_PER_S,
		};
	}
	if (guarded)
		pthread_create(&g, NULL, guard, &stop);
	for (int i = 0; i < WORKERS; i++)
		pthread_create(&threads[i], NULL, work, &args[i]);
	for (int i = 0; i < WORKERS; i++)
		pthread_join(threads[i], NULL);
	atomic_store(&stop, 1);
	if (guarded)
		pthread_join(g, NULL);
	for (size_t i = 0; i < sizeof(questions) / sizeof(questions[0]); i++)
		assert_true(atomic_load(&questions[i].file) == 0);
	print_message("scans=%llu joined=%llu retaken=%llu\n",
		      (unsigned long long)scans, (unsigned long long)joined,
		      (unsigned long long)retaken);
}

static void every_opener_is_answered_once_and_for_its_file(void **state)
{
	run(0, false);
	assert_true(wrong == 0);
	assert_true(twice == 0);
	assert_true(joined > 0);
}

static void those_who_wait_for_a_dead_worker_are_not_forgotten(void **state)
{
	run(5, false);
	assert_true(wrong == 0);
	assert_true(twice == 0);
	assert_true(joined > 0);
}

static void a_guard_in_between_leaves_nobody_waiting(void **state)
{
	run(5, true);
	assert_true(wrong == 0);
}

static int set_up(void **state)
{
	alarm(120);
	sb = aligned_alloc(SCOREBOARD_PAGE, sizeof(*sb));
	assert_non_null(sb);
	return 0;
}

static int tear_down(void **state)
{
	xfree(&sb);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			every_opener_is_answered_once_and_for_its_file),
		cmocka_unit_test(
			those_who_wait_for_a_dead_worker_are_not_forgotten),
		cmocka_unit_test(a_guard_in_between_leaves_nobody_waiting),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
