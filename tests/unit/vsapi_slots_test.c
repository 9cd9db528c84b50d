/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/* How many workers there are, and the files that ended some. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/alloc.h"
#include "vsapiapp/poison.h"
#include "vsapiapp/slots.h"

static struct slots_view busy(void)
{
	struct slots_view v = {
		.serving = 3,
		.min = 3,
		.max = 8,
		.free_slots = 40,
		.reserve = 5,
	};

	return v;
}

static void test_one_more_is_forked_while_all_are_busy(void **state)
{
	struct slots_view v = busy();

	assert_int_equal(slots_advise(&v), SLOTS_GROW);
	v.idle = 1;
	assert_int_equal(slots_advise(&v), SLOTS_STAY);
}

static void test_one_at_a_time_is_forked(void **state)
{
	struct slots_view v = busy();

	v.starting = 1;
	assert_int_equal(slots_advise(&v), SLOTS_STAY);
}

static void test_there_are_never_more_than_the_limit(void **state)
{
	struct slots_view v = busy();

	v.serving = v.max;
	assert_int_equal(slots_advise(&v), SLOTS_STAY);
}

static void test_slots_stay_free_for_the_next_line(void **state)
{
	struct slots_view v = busy();

	v.free_slots = v.reserve;
	assert_int_equal(slots_advise(&v), SLOTS_STAY);
	/* but the minimum may use them */
	v.serving = 2;
	assert_int_equal(slots_advise(&v), SLOTS_GROW);
	v.free_slots = 0;
	assert_int_equal(slots_advise(&v), SLOTS_STAY);
}

static void test_surplus_is_retired_after_a_while_and_never_below_the_minimum(
	void **state)
{
	struct slots_view v = busy();

	v.serving = 5;
	v.idle = 4;
	v.idle_ms = SLOTS_RETIRE_MS - 1;
	assert_int_equal(slots_advise(&v), SLOTS_STAY);
	v.idle_ms = SLOTS_RETIRE_MS;
	assert_int_equal(slots_advise(&v), SLOTS_RETIRE);
	v.serving = v.min;
	assert_int_equal(slots_advise(&v), SLOTS_STAY);
}

static void test_workers_and_a_reserve_for_their_successors_fit_the_slots(
	void **state)
{
	struct slots_limits limits;
	struct conf *conf = conf_new();

	slots_limits_from(&limits, conf, true);
	assert_true(limits.front_min >= 2);
	assert_true(limits.front_max >= limits.front_min);
	assert_true(limits.back >= 2);
	assert_true(limits.front_max + limits.back < SCOREBOARD_SLOTS);
	slots_limits_from(&limits, conf, false);
	assert_int_equal(limits.front_min, 0);
	assert_int_equal(limits.front_max, 0);
	conf_free(&conf);
}

static struct file_key key_of(uint64_t ino)
{
	struct file_key key = {.dev = 1, .ino = ino, .size = 10};

	return key;
}

static struct scoreboard *fresh(void)
{
	struct scoreboard *sb = aligned_alloc(SCOREBOARD_PAGE, sizeof(*sb));

	assert_non_null(sb);
	return memset(sb, 0, sizeof(*sb));
}

static void test_the_second_death_poisons_a_file_until_patterns_change(
	void **state)
{
	struct scoreboard *sb = fresh();
	struct file_key a = key_of(1), b = key_of(2), changed = key_of(1);

	changed.ctime_ns = 5;
	poison_add(sb, &a);
	assert_false(poison_is(sb, &a));
	poison_add(sb, &b);
	poison_add(sb, &a);
	assert_true(poison_is(sb, &a));
	assert_false(poison_is(sb, &b));
	assert_false(poison_is(sb, &changed));
	poison_clear(sb);
	assert_false(poison_is(sb, &a));
	free(sb);
}

static void test_a_full_poison_table_keeps_those_that_kill_again(void **state)
{
	struct scoreboard *sb = fresh();
	struct file_key bad = key_of(1), other;
	uint64_t i;

	poison_add(sb, &bad);
	poison_add(sb, &bad);
	for (i = 0; i < 3 * SCOREBOARD_POISON; i++) {
		other = key_of(100 + i);
		poison_add(sb, &other);
	}
	assert_true(poison_is(sb, &bad));
	free(sb);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_more_is_forked_while_all_are_busy),
		cmocka_unit_test(test_one_at_a_time_is_forked),
		cmocka_unit_test(test_there_are_never_more_than_the_limit),
		cmocka_unit_test(test_slots_stay_free_for_the_next_line),
		cmocka_unit_test(
			test_surplus_is_retired_after_a_while_and_never_below_the_minimum),
		cmocka_unit_test(
			test_workers_and_a_reserve_for_their_successors_fit_the_slots),
		cmocka_unit_test(
			test_the_second_death_poisons_a_file_until_patterns_change),
		cmocka_unit_test(
			test_a_full_poison_table_keeps_those_that_kill_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
