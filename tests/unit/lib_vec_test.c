/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "lib/vec.h"

struct ints {
	VEC(int);
};

static void push_grows_and_keeps_the_order(void **state)
{
	struct ints v = {0};
	int i;

	for (i = 0; i < 1000; i++)
		vec_push(&v, i);
	assert_int_equal(v.len, 1000);
	for (i = 0; i < 1000; i++)
		assert_int_equal(v.items[i], i);
	vec_free(&v);
}

static void remove_closes_the_gap_in_order(void **state)
{
	struct ints v = {0};
	int i;

	for (i = 0; i < 4; i++)
		vec_push(&v, i);
	vec_remove(&v, 1);
	assert_int_equal(v.len, 3);
	assert_int_equal(v.items[0], 0);
	assert_int_equal(v.items[1], 2);
	assert_int_equal(v.items[2], 3);
	vec_remove(&v, 2);
	vec_remove(&v, 0);
	assert_int_equal(v.len, 1);
	assert_int_equal(v.items[0], 2);
	vec_free(&v);
}

static void each_visits_all_and_an_empty_one_not_at_all(void **state)
{
	struct ints v = {0};
	int *p, sum = 0;

	vec_each (p, &v)
		fail();
	vec_push(&v, 3);
	vec_push(&v, 4);
	vec_each (p, &v)
		sum += *p;
	assert_int_equal(sum, 7);
	vec_free(&v);
}

static void free_leaves_an_empty_one_to_use_again(void **state)
{
	struct ints v = {0};

	vec_push(&v, 1);
	vec_free(&v);
	assert_null(v.items);
	assert_int_equal(v.len, 0);
	vec_push(&v, 2);
	assert_int_equal(v.items[0], 2);
	vec_free(&v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(push_grows_and_keeps_the_order),
		cmocka_unit_test(remove_closes_the_gap_in_order),
		cmocka_unit_test(each_visits_all_and_an_empty_one_not_at_all),
		cmocka_unit_test(free_leaves_an_empty_one_to_use_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
