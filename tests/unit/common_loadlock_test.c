/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/* The load lock: what counts, and how old it is. */
#include "loadlockbed.h"

/* ---- starts, ends, crashes ---- */

static void a_start_is_written_and_a_clean_end_leaves_nothing(void **state)
{
	char *text;

	(void)state;
	assert_true(begin());
	assert_int_equal(st.noticed, 0);
	text = text_of_file();
	assert_non_null(strstr(text, "\nstart boot=00000001-1111-4222-8333-"
				     "444455556666 time=2025-11-24T16:00:20Z "
				     "up=20 by=service "
				     "kernel=6.1.0-56-amd64 sum="));
	free(text);
	end();
	assert_false(is_there());
	end(); /* again does no harm */
}

static void after_a_clean_end_the_next_boot_counts_nothing(void **state)
{
	(void)state;
	for (int i = 0; i < 5; i++) {
		assert_true(begin());
		assert_int_equal(st.noticed, 0);
		assert_int_equal(loadlock_crashes(&st.lock), 0);
		pass(60);
		end();
		boot();
	}
}

static void one_crash_is_noticed_and_does_not_lock(void **state)
{
	(void)state;
	crash_after(100);
	assert_true(begin());
	assert_int_equal(st.noticed, 1);
	assert_int_equal(loadlock_crashes(&st.lock), 1);
	assert_int_equal(st.free_in, 0);
	/* it is told once */
	assert_true(begin());
	assert_int_equal(st.noticed, 0);
	assert_int_equal(loadlock_crashes(&st.lock), 1);
}

static void two_crashes_within_the_window_lock(void **state)
{
	char words[400], *text;

	(void)state;
	crash_after(100);
	crash_after(100);
	assert_false(begin());
	assert_int_equal(st.noticed, 1);
	assert_int_equal(loadlock_crashes(&st.lock), 2);
	text = text_of_file();
	assert_null(strstr(text, "\nstart "));
	assert_non_null(strstr(text, "\ncrash boot=00000001-"));
	assert_non_null(strstr(text, "\ncrash boot=00000002-"));
	free(text);
	assert_string_equal(
		loadlock_text(&st, &now, &policy, words, sizeof(words)),
		"the machine went down without a clean end 2 times within 1h "
		"while the kernel module was in use (last 20s ago, kernel "
		"6.1.0-56-amd64)");
}

static void a_crash_is_dated_by_the_boot_that_found_it(void **state)
{
	(void)state;
	assert_true(begin());
	pass(50 * HOUR); /* it ran for days before */
	boot();
	pass(10);
	assert_true(begin());
	assert_int_equal(st.lock.entries[0].kind, LOADLOCK_CRASH);
	assert_int_equal(st.lock.entries[0].at, 0);
	assert_int_equal(st.lock.entries[0].time, now.real - now.up);
}

static void a_locked_boot_adds_no_crash_and_a_reboot_does_not_unlock(
	void **state)
{
	(void)state;
	crash_after(100);
	crash_after(100);
	for (int i = 0; i < 4; i++) {
		assert_false(begin());
		assert_int_equal(loadlock_crashes(&st.lock), 2);
		pass(60);
		boot(); /* whether cleanly or not */
	}
}

static void the_number_of_crashes_is_settable_and_0_never_locks(void **state)
{
	(void)state;
	crash_after(100);
	policy.max = 1;
	assert_true(is_locked());
	policy.max = 2;
	assert_false(is_locked());
	crash_after(100);
	policy.max = 3;
	crash_after(100);
	assert_true(is_locked());
	assert_int_equal(loadlock_crashes(&st.lock), 3);
	policy.max = 4;
	assert_true(begin());
	end();
	policy.max = 0;
	assert_true(begin());
	end();
	policy.max = 1;
	assert_false(begin());
}

static void the_suites_own_crash_in_a_living_machine_counts_nothing(
	void **state)
{
	(void)state;
	policy.max = 1;
	for (int i = 0; i < 5; i++) {
		assert_true(begin());
		assert_int_equal(st.noticed, 0);
		pass(10);
	}
	assert_int_equal(loadlock_crashes(&st.lock), 0);
	assert_int_equal(st.lock.n, 1);
}

static void who_was_let_in_stays_in_for_this_boot(void **state)
{
	(void)state;
	crash_after(100);
	assert_true(begin());
	policy.max = 1;
	assert_true(begin());
	end();
	assert_false(begin());
}

static void loading_and_serving_end_by_themselves_and_are_one_crash(
	void **state)
{
	(void)state;
	loadlock_begin(&now, &policy, LOADLOCK_BY_LOAD, &st);
	assert_false(st.locked);
	assert_true(begin());
	assert_int_equal(st.lock.n, 2);
	loadlock_end(&now, LOADLOCK_BY_LOAD, NULL);
	assert_false(is_locked());
	assert_int_equal(st.lock.n, 1);
	assert_int_equal(st.lock.entries[0].by, LOADLOCK_BY_SERVICE);
	loadlock_begin(&now, &policy, LOADLOCK_BY_LOAD, &st);
	boot();
	assert_true(begin());
	assert_int_equal(st.noticed, 1);
	assert_int_equal(loadlock_crashes(&st.lock), 1);
}

static void a_file_that_was_removed_locks_no_more(void **state)
{
	(void)state;
	crash_after(100);
	crash_after(100);
	assert_false(begin());
	unlink(paths()->load_lock);
	assert_true(begin());
	assert_true(is_there());
	assert_int_equal(loadlock_crashes(&st.lock), 0);
}

static void a_crash_that_the_loader_found_first_is_told_to_the_service(
	void **state)
{
	(void)state;
	crash_after(100);
	loadlock_begin(&now, &policy, LOADLOCK_BY_LOAD, &st);
	assert_int_equal(st.noticed, 0);
	loadlock_end(&now, LOADLOCK_BY_LOAD, NULL);
	crash_after(100);
	assert_int_equal(st.noticed, 1);
	/* where it is not wanted, too */
	keep();
	assert_int_equal(st.noticed, 1);
	keep();
	assert_int_equal(st.noticed, 0);
}

/* ---- ages ---- */

static void an_old_crash_ages_out(void **state)
{
	(void)state;
	crash_after(100);
	crash_after(100);
	assert_false(begin());
	/* the first is 120 s older than the second, which is 20 s old */
	assert_int_equal(st.free_in, HOUR - 140);
	pass(HOUR - 141);
	assert_true(is_locked());
	assert_int_equal(st.free_in, 1);
	pass(1);
	assert_false(is_locked());
	assert_int_equal(loadlock_crashes(&st.lock), 1);
	assert_true(begin());
}

static void crashes_farther_apart_than_the_window_never_lock(void **state)
{
	(void)state;
	for (int i = 0; i < 6; i++) {
		crash_after(HOUR);
		assert_int_equal(i ? loadlock_crashes(&st.lock) : 1, 1);
	}
	assert_true(begin());
}

static void with_more_crashes_than_lock_the_newest_decide_for_how_long(
	void **state)
{
	(void)state;
	policy.max = 0;
	for (int i = 0; i < 5; i++)
		crash_after(280); /* 300 s apart */
	policy.max = 2;
	assert_true(is_locked());
	/* locked until but one is too old: the second newest */
	assert_int_equal(st.free_in, HOUR - 320);
}

static void a_machine_that_was_off_for_long_starts_with_the_module(void **state)
{
	(void)state;
	crash_after(100);
	crash_after(100);
	assert_false(begin());
	set_clock(2 * HOUR); /* the clock ran on while it was off */
	boot();
	assert_true(begin());
}

static void only_so_many_are_kept_and_they_are_the_newest(void **state)
{
	(void)state;
	policy.max = 0;
	policy.window = 30 * 24 * HOUR;
	for (int i = 0; i < LOADLOCK_MAX + 10; i++)
		crash_after(100);
	assert_true(begin());
	assert_int_equal(st.lock.n, LOADLOCK_MAX);
	assert_int_equal(st.lock.entries[st.lock.n - 1].kind, LOADLOCK_START);
	assert_int_equal(st.lock.entries[st.lock.n - 2].at, 0);
	policy.max = 2;
	end();
	assert_false(begin());
}

/* ---- clocks ---- */

static void setting_the_clock_makes_no_crash_older_or_younger(void **state)
{
	static const int64_t by[] = {2 * HOUR,	 -5 * HOUR, 400 * 24 * HOUR,
				     -30 * HOUR, 10,	    -3};

	(void)state;
	crash_after(100);
	crash_after(100);
	assert_false(begin());
	for (size_t i = 0; i < sizeof(by) / sizeof(*by); i++) {
		set_clock(by[i]);
		assert_true(is_locked());
		assert_int_equal(st.free_in, HOUR - 140);
		keep();
		assert_true(is_locked());
		assert_int_equal(st.free_in, HOUR - 140);
	}
	/* what stands in the file is right for the next boot, too */
	boot();
	assert_true(is_locked());
	assert_int_equal(st.free_in, HOUR - 160);
}

static void a_clock_that_is_set_in_a_boot_is_no_age_in_the_next(void **state)
{
	(void)state;
	/* no clock of its own: 1970 at each start, then the net tells */
	now.real = 0;
	crash_after(30);
	assert_true(begin());
	set_clock(EPOCH);
	keep();
	assert_int_equal(loadlock_crashes(&st.lock), 1);
	pass(100);
	now.real = 0;
	boot();
	/* the crash of before stands in the future: it was just now */
	assert_false(begin());
	assert_int_equal(loadlock_crashes(&st.lock), 2);
	assert_int_equal(st.free_in, HOUR - 20);
	set_clock(EPOCH);
	keep();
	assert_true(is_locked());
	pass(HOUR);
	assert_false(is_locked());
}

static void a_crash_from_the_future_was_just_now_and_is_dated_anew(void **state)
{
	(void)state;
	crash_after(100);
	crash_after(100);
	assert_false(begin());
	set_clock(-20 * HOUR);
	boot();
	assert_false(begin());
	assert_int_equal(st.free_in, HOUR - 20);
	for (unsigned int i = 0; i < 2; i++) {
		assert_int_equal(st.lock.entries[i].at, 0);
	}
	boot();
	/* no more in the future */
	assert_true(is_locked());
	assert_int_equal(st.free_in, HOUR - 40);
	assert_true(st.lock.entries[0].at < 0);
}

static void up_for_a_whole_window_makes_old_whatever_the_clock_says(
	void **state)
{
	(void)state;
	crash_after(100);
	crash_after(100);
	assert_false(begin());
	for (int i = 0; i < 60; i++) {
		pass(61);
		set_clock(-61); /* it stands still */
		keep();
	}
	assert_false(is_locked());
	assert_true(begin());
	assert_int_equal(loadlock_crashes(&st.lock), 0);
}

static void an_earlier_boots_crash_is_at_least_as_old_as_this_boot(void **state)
{
	(void)state;
	crash_after(100);
	assert_true(begin());
	pass(HOUR);
	end();
	/* by the clock it is 0 s old, but this boot is up for an hour */
	set_clock(-HOUR);
	assert_true(begin());
	assert_int_equal(loadlock_crashes(&st.lock), 0);
}

static void a_clock_near_its_beginning_does_no_harm(void **state)
{
	(void)state;
	now.real = -30; /* 1970 and a bit, with up 20 */
	boot();
	crash_after(0);
	crash_after(0);
	assert_false(begin());
	assert_int_equal(loadlock_crashes(&st.lock), 2);
	now.real = 0;
	boot();
	assert_false(begin());
}

static void without_a_boot_id_nothing_is_written_and_nothing_unlocks(
	void **state)
{
	char *before, *after;

	(void)state;
	crash_after(100);
	crash_after(100);
	assert_false(begin());
	before = text_of_file();
	now.boot[0] = '\0';
	assert_false(begin());
	assert_false(st.known);
	policy.max = 3;
	assert_true(begin());
	assert_false(st.known);
	after = text_of_file();
	assert_string_equal(before, after);
	free(before);
	free(after);
}

static void without_a_boot_id_a_start_is_nobodys_crash(void **state)
{
	(void)state;
	policy.max = 1;
	assert_true(begin());
	now.boot[0] = '\0';
	assert_false(is_locked());
	assert_int_equal(loadlock_crashes(&st.lock), 0);
}

static void a_line_from_later_in_this_boot_was_just_now(void **state)
{
	struct loadlock lock;
	char *text;

	(void)state;
	pass(500);
	assert_true(begin());
	text = text_of_file();
	pass(-400);
	loadlock_parse(&lock, text, &now);
	assert_int_equal(lock.entries[0].at, now.up);
	free(text);
}

static void of_a_file_with_too_many_lines_the_newest_count(void **state)
{
	struct loadlock lock = {0};
	struct str text = {0};

	(void)state;
	for (int i = 0; i < LOADLOCK_MAX + 10; i++) {
		lock.n = 1;
		lock.entries[0].kind = LOADLOCK_CRASH;
		snprintf(lock.entries[0].boot, LOADLOCK_BOOT,
			 "%08x-1111-4222-8333-444455556666",
			 0x1000u + (unsigned int)i);
		lock.entries[0].at = i - 1000;
		loadlock_format(&lock, &now, &text);
	}
	loadlock_parse(&lock, str_get(&text), &now);
	str_free(&text);
	assert_int_equal(lock.n, LOADLOCK_MAX);
	for (int i = 0; i < LOADLOCK_MAX; i++)
		assert_int_equal(lock.entries[i].at, i + 10 - 1000);
}

/* ---- against a model ---- */

/*
 * What really happened, on a clock that nobody sets: the wall clock jumps
 * within boots as it likes (and we are told), and is right between them.
 */
static void a_random_life_locks_just_when_it_should(void **state)
{
	int64_t truth = 0, crashes[64];
	int n = 0, locked_boots = 0, free_boots = 0;

	(void)state;
	srandom(4711);
	for (int step = 0; step < 1500; step++) {
		unsigned int within = 0;
		int64_t spend = random() % 1500;

		for (int i = 0; i < n; i++)
			within += truth + 20 - crashes[i] < HOUR;
		assert_int_equal(begin(), within < policy.max);
		locked_boots += st.locked;
		free_boots += !st.locked;
		if (random() % 3 == 0) {
			set_clock(random() % (40 * HOUR) - 20 * HOUR);
			keep();
		}
		pass(spend);
		truth += 20 + spend;
		if (st.locked || random() % 3 == 0) {
			end();
		} else {
			if (n == 64)
				memmove(crashes, crashes + 1,
					--n * sizeof(*crashes));
			crashes[n++] = truth; /* when the next boot begins */
		}
		boot();
	}
	assert_true(locked_boots > 50 && free_boots > 50);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_start_is_written_and_a_clean_end_leaves_nothing),
		T(after_a_clean_end_the_next_boot_counts_nothing),
		T(one_crash_is_noticed_and_does_not_lock),
		T(two_crashes_within_the_window_lock),
		T(a_crash_is_dated_by_the_boot_that_found_it),
		T(a_locked_boot_adds_no_crash_and_a_reboot_does_not_unlock),
		T(the_number_of_crashes_is_settable_and_0_never_locks),
		T(the_suites_own_crash_in_a_living_machine_counts_nothing),
		T(who_was_let_in_stays_in_for_this_boot),
		T(loading_and_serving_end_by_themselves_and_are_one_crash),
		T(a_file_that_was_removed_locks_no_more),
		T(a_crash_that_the_loader_found_first_is_told_to_the_service),
		T(an_old_crash_ages_out),
		T(crashes_farther_apart_than_the_window_never_lock),
		T(with_more_crashes_than_lock_the_newest_decide_for_how_long),
		T(a_machine_that_was_off_for_long_starts_with_the_module),
		T(only_so_many_are_kept_and_they_are_the_newest),
		T(setting_the_clock_makes_no_crash_older_or_younger),
		T(a_clock_that_is_set_in_a_boot_is_no_age_in_the_next),
		T(a_crash_from_the_future_was_just_now_and_is_dated_anew),
		T(up_for_a_whole_window_makes_old_whatever_the_clock_says),
		T(an_earlier_boots_crash_is_at_least_as_old_as_this_boot),
		T(a_clock_near_its_beginning_does_no_harm),
		T(without_a_boot_id_nothing_is_written_and_nothing_unlocks),
		T(without_a_boot_id_a_start_is_nobodys_crash),
		T(a_line_from_later_in_this_boot_was_just_now),
		T(of_a_file_with_too_many_lines_the_newest_count),
		T(a_random_life_locks_just_when_it_should),
	};

	RUN(tests);
}
