/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef TESTS_UNIT_GUARDBED_H
#define TESTS_UNIT_GUARDBED_H

/* The bed of the guard's tests: a group, a guard, and workers that behave or
 * do not. To be included by one test program, behind cmocka.h. */
#include <poll.h>

#include "common/guard.h"
#include "lib/fangroup.h"
#include "lib/fdutil.h"

#include "fanbed.h"

#define TIMEOUT 400 /* ms */
#define SLACK 900   /* of a busy machine */

static struct bed bed;
static struct scoreboard *sb;
static int sb_fd = -1, group = -1;
static struct guard *guard;

/* --- a worker: a process of its own that does as it is told ------------- */

enum manner {
	WORKER_ANSWERS,	       /* at once, as after a finished scan */
	WORKER_HOLDS,	       /* scans for ever, taking one event only */
	WORKER_HOLDS_STRANGER, /* the same, from another pid namespace */
	WORKER_PARKS,	       /* holds all it gets, the first scanned */
	WORKER_STOPS_BLIND,    /* takes without entering, and stops */
	WORKER_STOPS_TAKEN,    /* stops when it has taken and not counted */
	WORKER_DAWDLES,	       /* answers, but is slow to count what it took */
	WORKER_STOPS_WON,      /* stops between winning and answering */
};

/* Before reading; how many are held already tells which hold it will be. */
static void worker_prepare(struct hold *hold)
{
	hold->pid = 0;
	atomic_store(&hold->start_ns, clock_mono_ns());
	atomic_store(&hold->state, HOLD_SCANNING);
}

static void worker_enter(struct slot *slot, struct hold *hold, pid_t pid,
			 enum hold_state state)
{
	atomic_fetch_add(&slot->counters[COUNTER_QUESTIONS], 1);
	hold->pid = pid;
	atomic_store(&hold->start_ns, clock_mono_ns());
	atomic_store(&hold->state, state);
}

static void worker_answer(struct slot *slot, struct hold *hold,
			  struct fangroup_event *ev, bool stop)
{
	uint32_t state = HOLD_SCANNING;

	if (atomic_compare_exchange_strong(&hold->state, &state,
					   HOLD_ANSWERED)) {
		if (stop)
			raise(SIGSTOP);
		fangroup_answer(group, ev->fd, true);
		atomic_fetch_add(&slot->counters[COUNTER_ALLOWED_CLEAN], 1);
		atomic_fetch_add(&slot->in_time, 1);
	}
	fd_close(&ev->fd);
	atomic_store(&hold->state, HOLD_FREE);
}

static void worker_event(int no, enum manner manner, struct fangroup_event *ev)
{
	struct slot *slot = &sb->slots[no];
	struct hold *hold;
	bool first = ev->fd == slot_number(no);

	if (ev->fd < slot_number(no) ||
	    ev->fd >= slot_number(no) + SLOT_NUMBERS)
		abort();
	hold = &sb->holds[no][ev->fd - slot_number(no)];
	if (manner == WORKER_STOPS_BLIND || manner == WORKER_STOPS_TAKEN)
		raise(SIGSTOP);
	if (manner == WORKER_DAWDLES)
		usleep(150000);
	worker_enter(slot, hold, manner == WORKER_HOLDS_STRANGER ? 0 : ev->pid,
		     manner == WORKER_PARKS && !first ? HOLD_PARKED
						      : HOLD_SCANNING);
	switch (manner) {
	case WORKER_ANSWERS:
	case WORKER_DAWDLES:
	case WORKER_STOPS_BLIND:
	case WORKER_STOPS_TAKEN:
	case WORKER_STOPS_WON:
		worker_answer(slot, hold, ev, manner == WORKER_STOPS_WON);
		break;
	case WORKER_HOLDS:
	case WORKER_HOLDS_STRANGER:
		atomic_store(&slot->scan_start_ns, clock_mono_ns());
		for (;;)
			pause();
	case WORKER_PARKS:
		break;
	}
}

/* Starts a worker in a slot of its own; it is ready when this returns. */
static pid_t worker_start(enum manner manner, int *slot_r)
{
	int no = scoreboard_claim(sb, SLOT_FRONT);
	struct slot *slot = &sb->slots[no];
	_Atomic int32_t *ready = &slot->pid;
	pid_t pid = bed_fork();

	if (pid == 0) {
		struct proc_id id = {0};
		struct err err;

		if (fd_fill(slot_number(no), &err) < 0 ||
		    proc_identify(getpid(), &id) < 0)
			abort();
		atomic_store(&slot->start, id.start);
		atomic_store(&slot->pid, id.pid);
		for (;;) {
			struct pollfd p = {.fd = group, .events = POLLIN};
			struct fangroup_event ev;
			int n = 0;

			atomic_store(&slot->beat_ns, clock_mono_ns());
			if (poll(&p, 1, 100) <= 0)
				continue;
			while (atomic_load(&sb->holds[no][n].state) !=
			       HOLD_FREE)
				n++;
			if (manner != WORKER_STOPS_BLIND)
				worker_prepare(&sb->holds[no][n]);
			if (fangroup_read(group, &ev) == 1)
				worker_event(no, manner, &ev);
			else
				atomic_store(&sb->holds[no][n].state,
					     HOLD_FREE);
		}
	}
	while (atomic_load(ready) == 0)
		usleep(1000);
	if (slot_r)
		*slot_r = no;
	return pid;
}

static void wait_stopped(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
	assert_true(WIFSTOPPED(status));
}

/* Stops it while it waits for events. */
static void worker_stop(pid_t pid)
{
	kill(pid, SIGSTOP);
	wait_stopped(pid);
}

/* --- the bed of each test ----------------------------------------------- */

static int up(void **state)
{
	struct err err;

	(void)state;
	if (!bed_up(&bed)) {
		fprintf(stderr, "cannot mount here\n");
		return -1;
	}
	sb = scoreboard_new(&sb_fd, &err);
	group = fangroup_new(true, &err);
	if (!sb || group < 0 ||
	    fangroup_mark(group, FANGROUP_FILESYSTEM, FANGROUP_OPEN, true,
			  AT_FDCWD, bed.dir, &err) < 0 ||
	    fd_fill(GUARD_NUMBER, &err) < 0) {
		fprintf(stderr, "%s\n", err.text);
		return -1;
	}
	sb->verdict_timeout_ms = TIMEOUT;
	sb->allow_on_error = 1;
	sb->allow_on_timeout = 1;
	sb->breaker_timeouts = 1000;
	sb->breaker_retry_ms = 500;
	guard = guard_new(sb, group, true, 0);
	return 0;
}

static int down(void **state)
{
	(void)state;
	guard_free(&guard);
	fd_close(&group);
	munmap(sb, sizeof(*sb));
	fd_close(&sb_fd);
	/* The filling stays for the next test. */
	bed_down(&bed);
	return 0;
}

static void tick_for(int ms)
{
	uint64_t end = clock_mono_ns() + (uint64_t)ms * CLOCK_NS_PER_MS;

	do {
		guard_tick(guard);
		usleep(10000);
	} while (clock_mono_ns() < end);
}

/* Ticks until openers first..last-1 are back. */
static void tick_until_back(int first, int last)
{
	uint64_t end = clock_mono_ns() + 10 * CLOCK_NS_PER_S;
	int back;

	do {
		guard_tick(guard);
		usleep(10000);
		back = 0;
		for (int i = first; i < last; i++)
			back += bed_done(&bed, i);
	} while (back < last - first && clock_mono_ns() < end);
	assert_int_equal(back, last - first);
	for (int i = first; i < last; i++)
		bed_reap(bed.openers[i].pid);
}

static void wait_pending(long n)
{
	while (fangroup_pending(group) != n)
		usleep(1000);
}

static void assert_waited(int i, unsigned int least, unsigned int most,
			  int error)
{
	assert_in_range(bed.openers[i].waited_ms, least, most);
	assert_int_equal(bed.openers[i].error, error);
}

#define counted(id) ((int)scoreboard_count(sb, COUNTER_##id))

#endif
