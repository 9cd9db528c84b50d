/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "entity/lockout.h"
#include "lib/clock.h"

#define S CLOCK_NS_PER_S
#define HERE "192.0.2.1"

static struct lockout *l;
static uint64_t now;

static int setup(void **state)
{
	l = lockout_new();
	now = 1000 * S;
	return 0;
}

static int teardown(void **state)
{
	lockout_free(&l);
	return 0;
}

static int try_from(const char *account, int n)
{
	char address[32];

	snprintf(address, sizeof(address), "10.%d.%d.%d", n >> 16 & 255,
		 n >> 8 & 255, n & 255);
	return lockout_begin(l, account, address, false, now);
}

/* One wrong password after the other, each when it is allowed: the waits. */
static void each_wrong_one_doubles_the_wait_up_to_a_bound(void **state)
{
	static const int want[] = {0,  0,  0,  0,   0,	 2,   4,   8,
				   16, 32, 64, 128, 256, 300, 300, 300};
	size_t i;
	int wait;

	for (i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		assert_int_equal(try_from("admin", (int)i), 0);
		wait = try_from("admin", 99);
		if (want[i] == 0)
			lockout_undo(l, "admin", "10.0.0.99", false);
		assert_int_equal(wait, want[i]);
		now += (uint64_t)wait * S;
	}
}

static void what_is_tried_while_locked_makes_it_no_longer(void **state)
{
	int i;

	for (i = 0; i < 6; i++)
		assert_int_equal(try_from("admin", i), 0);
	for (i = 0; i < 100000; i++)
		assert_int_equal(try_from("admin", i), 2);
	now += 2 * S;
	assert_int_equal(try_from("admin", 7), 0);
}

static void an_unknown_name_is_locked_as_a_known_one(void **state)
{
	int i;

	for (i = 0; i < 6; i++) {
		assert_int_equal(try_from("admin", i), 0);
		assert_int_equal(try_from("no such", i), 0);
	}
	assert_int_equal(try_from("admin", 9), try_from("no such", 9));
}

static void names_by_the_thousand_wash_no_count_away(void **state)
{
	char name[32];
	int i;

	for (i = 0; i < 12; i++) {
		int wait = try_from("admin", i);

		now += (uint64_t)wait * S;
		if (wait)
			assert_int_equal(try_from("admin", i), 0);
	}
	assert_true(try_from("admin", 50) > 60);
	for (i = 0; i < 50000; i++) {
		snprintf(name, sizeof(name), "user%d", i);
		try_from(name, 1000 + i);
	}
	assert_true(try_from("admin", 51) > 60);
}

static void one_address_is_locked_whatever_names_it_tries(void **state)
{
	char name[32];
	int i, wait = 0;

	for (i = 0; i < LOCKOUT_FREE_ADDRESS + 1; i++) {
		snprintf(name, sizeof(name), "user%d", i);
		wait = lockout_begin(l, name, "2001:db8::1", false, now);
		assert_int_equal(wait, 0);
	}
	/* IPv6: all of its network are one. */
	assert_int_equal(lockout_begin(l, "x", "2001:db8::ffff", false, now),
			 LOCKOUT_FIRST_S);
	assert_int_equal(lockout_begin(l, "x", "2001:db8:0:1::1", false, now),
			 0);
	assert_int_equal(lockout_begin(l, "y", HERE, false, now), 0);
}

static void ipv4_by_another_form_is_the_same_address(void **state)
{
	char name[32];
	int i;

	for (i = 0; i < LOCKOUT_FREE_ADDRESS + 1; i++) {
		snprintf(name, sizeof(name), "user%d", i);
		lockout_begin(l, name, i % 2 ? "::ffff:192.0.2.1" : HERE, false,
			      now);
	}
	assert_int_equal(lockout_begin(l, "x", HERE, false, now),
			 LOCKOUT_FIRST_S);
}

static void the_owner_gets_in_from_where_he_was_last(void **state)
{
	int i;

	for (i = 0; i < 12; i++)
		now += (uint64_t)try_from("admin", i) * S;
	assert_true(lockout_begin(l, "admin", HERE, false, now) > 0);
	assert_int_equal(lockout_begin(l, "admin", HERE, true, now), 0);
	/* But not without end: somebody may only say that he is there. */
	for (i = 1; i < LOCKOUT_FREE_ADDRESS + 1; i++)
		assert_int_equal(lockout_begin(l, "admin", HERE, true, now), 0);
	assert_true(lockout_begin(l, "admin", HERE, true, now) > 0);
}

static void the_right_one_ends_the_count(void **state)
{
	int i;

	for (i = 0; i < 6; i++)
		try_from("admin", i);
	assert_int_equal(try_from("admin", 7), 2);
	lockout_right(l, "admin", HERE);
	for (i = 0; i < LOCKOUT_FREE_ACCOUNT + 1; i++)
		assert_int_equal(try_from("admin", 10 + i), 0);
	assert_int_equal(try_from("admin", 20), 2);
}

static void an_hour_of_silence_forgets_all(void **state)
{
	int i;

	for (i = 0; i < 20; i++)
		now += (uint64_t)try_from("admin", i) * S;
	now += (LOCKOUT_FORGET_S + 1) * S;
	for (i = 0; i < LOCKOUT_FREE_ACCOUNT + 1; i++)
		assert_int_equal(try_from("admin", i), 0);
}

static void many_at_once_are_not_free(void **state)
{
	int i, begun = 0;

	for (i = 0; i < 100; i++)
		begun += try_from("admin", i) == 0;
	assert_int_equal(begun, LOCKOUT_FREE_ACCOUNT + 1);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(each_wrong_one_doubles_the_wait_up_to_a_bound),
		T(what_is_tried_while_locked_makes_it_no_longer),
		T(an_unknown_name_is_locked_as_a_known_one),
		T(names_by_the_thousand_wash_no_count_away),
		T(one_address_is_locked_whatever_names_it_tries),
		T(ipv4_by_another_form_is_the_same_address),
		T(the_owner_gets_in_from_where_he_was_last),
		T(the_right_one_ends_the_count),
		T(an_hour_of_silence_forgets_all),
		T(many_at_once_are_not_free),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
