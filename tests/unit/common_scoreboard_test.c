/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "common/scoreboard.h"
#include "lib/clock.h"

static struct scoreboard *sb;
static int fd = -1;
static struct err err;

static int up(void **state)
{
	(void)state;
	sb = scoreboard_new(&fd, &err);
	return sb ? 0 : -1;
}

static int down(void **state)
{
	(void)state;
	munmap(sb, sizeof(*sb));
	close(fd);
	return 0;
}

static void every_counter_has_a_name_of_its_own_and_a_text(void **state)
{
	(void)state;
	for (int i = 0; i < COUNTER_COUNT; i++) {
		assert_true(strlen(counter_names[i]) > 2);
		assert_true(strlen(counter_texts[i]) > 5);
		for (int k = 0; k < i; k++)
			assert_string_not_equal(counter_names[i],
						counter_names[k]);
	}
	assert_string_equal(counter_names[COUNTER_POLICY_QUEUE],
			    "policyQueueTimeout");
}

static void inherited_board_shows_what_others_write(void **state)
{
	pid_t pid = fork();
	int status;

	(void)state;
	if (pid == 0) {
		struct scoreboard *mine = scoreboard_map(fd, &err);

		if (!mine)
			_exit(1);
		atomic_store(&mine->generation, 77);
		atomic_fetch_add(&mine->counters[COUNTER_SCANS], 5);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(atomic_load(&sb->generation), 77);
	assert_int_equal(scoreboard_count(sb, COUNTER_SCANS), 5);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
}

static void nobody_can_shrink_it_under_the_others(void **state)
{
	(void)state;
	assert_int_equal(ftruncate(fd, 0), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(ftruncate(fd, sizeof(*sb) * 2), -1);
}

static void what_is_no_scoreboard_is_not_mapped(void **state)
{
	int null = open("/dev/null", O_RDWR), plain;
	static char page[4096];

	(void)state;
	assert_null(scoreboard_map(null, &err));
	close(null);
	plain = memfd_create("plain", MFD_ALLOW_SEALING);
	assert_int_equal(ftruncate(plain, sizeof(*sb)), 0);
	assert_int_equal(pwrite(plain, sb, 4096, 0), 4096);
	assert_null(scoreboard_map(plain, &err)); /* could shrink */
	assert_non_null(strstr(err.text, "shrink"));
	memset(page, 0, sizeof(page));
	assert_int_equal(pwrite(plain, page, 4096, 0), 4096);
	assert_int_equal(fcntl(plain, F_ADD_SEALS, F_SEAL_SHRINK), 0);
	assert_null(scoreboard_map(plain, &err)); /* no magic */
	close(plain);
	sb->version++;
	assert_null(scoreboard_map(fd, &err));
	assert_non_null(strstr(err.text, "version"));
	assert_int_equal(err.code, ESTALE);
}

static void numbers_of_slots_do_not_meet(void **state)
{
	(void)state;
	assert_true(slot_number(0) > GUARD_NUMBER);
	for (int i = 1; i < SCOREBOARD_SLOTS; i++)
		assert_int_equal(slot_number(i),
				 slot_number(i - 1) + SLOT_NUMBERS);
	/* Within the usual limit of descriptors. */
	assert_true(slot_number(SCOREBOARD_SLOTS) <= 1024);
}

static void each_slot_is_claimed_once(void **state)
{
	bool taken[SCOREBOARD_SLOTS] = {false};

	(void)state;
	for (int i = 0; i < SCOREBOARD_SLOTS; i++) {
		int slot = scoreboard_claim(sb, SLOT_FRONT);

		assert_in_range(slot, 0, SCOREBOARD_SLOTS - 1);
		assert_false(taken[slot]);
		taken[slot] = true;
	}
	assert_int_equal(scoreboard_claim(sb, SLOT_BACK), -1);
	scoreboard_release(sb, 7);
	assert_int_equal(scoreboard_claim(sb, SLOT_BACK), 7);
	assert_int_equal(atomic_load(&sb->slots[7].role), SLOT_BACK);
	scoreboard_release(sb, -1);
	scoreboard_release(sb, SCOREBOARD_SLOTS);
}

static void counts_outlive_the_worker_that_made_them(void **state)
{
	int slot = scoreboard_claim(sb, SLOT_FRONT);
	struct hist h;

	(void)state;
	atomic_fetch_add(&sb->slots[slot].counters[COUNTER_SCANS], 10);
	atomic_fetch_add(&sb->counters[COUNTER_SCANS], 1);
	hist_add(&sb->slots[slot].wait, 5000000);
	hist_add(&sb->slots[slot].scan, 5000000);
	for (int i = 0; i < 3; i++) {
		scoreboard_release(sb, slot);
		assert_int_equal(scoreboard_count(sb, COUNTER_SCANS), 11);
		assert_int_equal(scoreboard_claim(sb, SLOT_FRONT), slot);
		assert_int_equal(scoreboard_count(sb, COUNTER_SCANS), 11);
		assert_int_equal(
			atomic_load(&sb->slots[slot].counters[COUNTER_SCANS]),
			0);
		scoreboard_wait(sb, &h);
		assert_int_equal(hist_count(&h), 1);
		scoreboard_scan(sb, &h);
		assert_int_equal(hist_count(&h), 1);
	}
}

static void new_worker_finds_nothing_of_the_old_one(void **state)
{
	int slot = scoreboard_claim(sb, SLOT_FRONT);
	struct slot *s = &sb->slots[slot];

	(void)state;
	atomic_store(&sb->holds[slot][3].state, HOLD_SCANNING);
	atomic_store(&sb->holds[slot][3].ticket, 9);
	atomic_store(&s->scan_start_ns, 1);
	atomic_store(&s->drain, 1);
	atomic_store(&s->pid, 12345);
	atomic_store(&s->beat_ns, 1);
	scoreboard_release(sb, slot);
	assert_int_equal(scoreboard_claim(sb, SLOT_FRONT), slot);
	assert_int_equal(atomic_load(&sb->holds[slot][3].state), HOLD_FREE);
	assert_int_equal(atomic_load(&sb->holds[slot][3].ticket), 0);
	assert_int_equal(atomic_load(&s->scan_start_ns), 0);
	assert_int_equal(atomic_load(&s->drain), 0);
	assert_int_equal(atomic_load(&s->pid), 0);
	/* It has not begun, so it is not late yet. */
	assert_true(clock_mono_ns() - atomic_load(&s->beat_ns) <
		    CLOCK_NS_PER_S);
}

static _Atomic bool stop;
/* When the retirer began: one that the machine keeps from its work for longer
 * than a reader waits for is not waited for. */
static _Atomic uint64_t begun_ns;
#define KEPT_NS (3 * CLOCK_NS_PER_MS)

static void *claim_again_and_again(void *arg)
{
	int slot = *(int *)arg;

	while (!atomic_load(&stop)) {
		atomic_fetch_add(&sb->slots[slot].counters[COUNTER_QUESTIONS],
				 1);
		scoreboard_release(sb, slot);
		atomic_store(&begun_ns, clock_mono_ns());
		if (scoreboard_claim(sb, SLOT_FRONT) != slot)
			return (void *)1;
		usleep(20);
	}
	return NULL;
}

/* As a master that is put to sleep in the middle of it. */
static void *retire_slowly(void *arg)
{
	_Atomic uint64_t *from = &sb->slots[*(int *)arg].counters[0];
	_Atomic uint64_t *to = &sb->retired[0];

	_Static_assert(COUNTER_QUESTIONS == 0, "the first row");
	while (!atomic_load(&stop)) {
		atomic_fetch_add(from, 1);
		usleep(1000);
		atomic_store(&begun_ns, clock_mono_ns());
		atomic_fetch_add(&sb->retire_seq, 1);
		uint64_t n = atomic_exchange(from, 0);

		usleep(1000);
		atomic_fetch_add(to, n);
		atomic_fetch_add(&sb->retire_seq, 1);
	}
	return NULL;
}

/* The guard reckons with it: too few taken, and it would drain too many. */
static void never_goes_back(void *(*retirer)(void *))
{
	int slot = scoreboard_claim(sb, SLOT_FRONT);
	uint64_t last = 0, end = clock_mono_ns() + CLOCK_NS_PER_S / 2;
	unsigned int kept = 0;
	pthread_t thread;
	void *result;

	atomic_store(&stop, false);
	assert_int_equal(pthread_create(&thread, NULL, retirer, &slot), 0);
	while (clock_mono_ns() < end) {
		uint64_t now = scoreboard_taken(sb);

		if (now < last &&
		    clock_mono_ns() - atomic_load(&begun_ns) > KEPT_NS) {
			assert_true(kept++ < 20);
		} else if (now < last) {
			atomic_store(&stop, true);
			fail_msg("%llu after %llu", (unsigned long long)now,
				 (unsigned long long)last);
		}
		last = now;
	}
	atomic_store(&stop, true);
	pthread_join(thread, &result);
	assert_null(result);
	assert_true(last > 50);
}

static void taken_never_goes_back_while_slots_are_retired(void **state)
{
	(void)state;
	never_goes_back(claim_again_and_again);
	never_goes_back(retire_slowly);
}

static void master_killed_while_retiring_blocks_nobody(void **state)
{
	int slot;

	(void)state;
	atomic_store(&sb->counters[COUNTER_QUESTIONS], 3);
	atomic_store(&sb->retire_seq, 5);
	assert_int_equal(scoreboard_taken(sb), 3);
	slot = scoreboard_claim(sb, SLOT_FRONT);
	assert_true(slot >= 0);
	assert_int_equal(atomic_load(&sb->retire_seq) % 2, 0);
}

static void exempt_are_those_that_were_entered(void **state)
{
	(void)state;
	assert_false(scoreboard_is_exempt(sb, 10));
	assert_true(scoreboard_exempt(sb, 10));
	assert_true(scoreboard_exempt(sb, 10));
	assert_true(scoreboard_exempt(sb, 11));
	assert_true(scoreboard_is_exempt(sb, 10));
	scoreboard_unexempt(sb, 10);
	assert_false(scoreboard_is_exempt(sb, 10));
	assert_true(scoreboard_is_exempt(sb, 11));
	/* A free place is no exemption of pid 0, which the kernel tells for
	 * processes outside the namespace. */
	assert_false(scoreboard_is_exempt(sb, 0));
	assert_false(scoreboard_exempt(sb, 0));
	assert_false(scoreboard_exempt(sb, -1));
	scoreboard_unexempt(sb, 0);
	assert_true(scoreboard_is_exempt(sb, 11));
}

static void full_list_of_exempt_says_so(void **state)
{
	(void)state;
	for (int i = 1; i <= SCOREBOARD_EXEMPT; i++)
		assert_true(scoreboard_exempt(sb, i));
	assert_false(scoreboard_exempt(sb, 1000));
	assert_true(scoreboard_exempt(sb, 5));
	scoreboard_unexempt(sb, 5);
	assert_true(scoreboard_exempt(sb, 1000));
}

static void entering_names_the_calling_process(void **state)
{
	struct proc_id id;
	uint64_t before = clock_mono_ns();

	(void)state;
	scoreboard_enter(sb, master);
	id.pid = atomic_load(&sb->master.pid);
	id.start = atomic_load(&sb->master.start);
	assert_int_equal(id.pid, getpid());
	assert_true(proc_alive(&id));
	assert_true(atomic_load(&sb->master.beat_ns) >= before);
	before = clock_mono_ns();
	scoreboard_beat(sb, master);
	assert_true(atomic_load(&sb->master.beat_ns) >= before);
	assert_int_equal(atomic_load(&sb->core.pid), 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, up, down)

static void what_is_forgotten_is_told_by_its_device(void **state)
{
	uint64_t since = atomic_load(&sb->forgets), within;

	(void)state;
	assert_false(scoreboard_forgotten(sb, since, 7));
	scoreboard_forget_begin(sb, 7);
	/* while it is being forgotten, and after */
	within = atomic_load(&sb->forgets);
	assert_true(scoreboard_forgotten(sb, since, 7));
	assert_true(scoreboard_forgotten(sb, within, 7));
	assert_false(scoreboard_forgotten(sb, since, 8));
	scoreboard_forget_end(sb);
	assert_true(scoreboard_forgotten(sb, since, 7));
	assert_true(scoreboard_forgotten(sb, within, 7));
	assert_false(scoreboard_forgotten(sb, since, 8));
	assert_false(scoreboard_forgotten(sb, atomic_load(&sb->forgets), 7));
	/* too many to be told apart */
	for (int i = 0; i < SCOREBOARD_FORGOTTEN; i++) {
		scoreboard_forget_begin(sb, 9);
		scoreboard_forget_end(sb);
	}
	assert_true(scoreboard_forgotten(sb, since, 8));
	/* one that was killed in the midst of it */
	since = atomic_load(&sb->forgets);
	scoreboard_forget_begin(sb, 9);
	scoreboard_forget_begin(sb, 10);
	scoreboard_forget_end(sb);
	assert_true(scoreboard_forgotten(sb, since, 8));
	assert_int_equal(atomic_load(&sb->forgets) % 2, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(every_counter_has_a_name_of_its_own_and_a_text),
		T(inherited_board_shows_what_others_write),
		T(nobody_can_shrink_it_under_the_others),
		T(what_is_no_scoreboard_is_not_mapped),
		T(numbers_of_slots_do_not_meet),
		T(each_slot_is_claimed_once),
		T(what_is_forgotten_is_told_by_its_device),
		T(counts_outlive_the_worker_that_made_them),
		T(new_worker_finds_nothing_of_the_old_one),
		T(taken_never_goes_back_while_slots_are_retired),
		T(master_killed_while_retiring_blocks_nobody),
		T(exempt_are_those_that_were_entered),
		T(full_list_of_exempt_says_so),
		T(entering_names_the_calling_process),
	};

	alarm(60);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
