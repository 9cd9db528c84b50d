/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/* In which order what was known is examined again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "vsapiapp/refresh.h"

#define MANY 500

static struct known_file file_of(uint64_t ino, uint32_t used_s)
{
	struct known_file f = {.key = {.dev = 5, .ino = ino},
			       .trace = {.used_s = used_s}};

	return f;
}

static void what_runs_comes_first_then_the_last_used(void **state)
{
	const uint64_t running[] = {3, 7, 99};
	struct known_file f[] = {
		file_of(1, 10), file_of(3, 0),	file_of(2, 30),
		file_of(7, 20), file_of(5, 30), file_of(4, 40),
	};
	const uint64_t want[] = {7, 3, 4, 2, 5, 1};

	(void)state;
	refresh_order(f, 6, running, 3);
	for (size_t i = 0; i < 6; i++)
		assert_int_equal(f[i].key.ino, want[i]);
}

static void each_is_there_once_whatever_the_order(void **state)
{
	struct known_file f[MANY];
	uint64_t running[MANY / 3];
	char seen[MANY] = {0};

	(void)state;
	srandom(1);
	for (size_t i = 0; i < MANY; i++)
		f[i] = file_of(i, (uint32_t)random() % 50);
	for (size_t i = 0; i < MANY / 3; i++)
		running[i] = 3 * i;
	refresh_order(f, MANY, running, MANY / 3);
	for (size_t i = 0; i < MANY; i++) {
		assert_int_equal(f[i].key.ino % 3 == 0 &&
					 f[i].key.ino < 3 * (MANY / 3),
				 i < MANY / 3);
		seen[f[i].key.ino]++;
		if (i > 0 && i != MANY / 3)
			assert_true(f[i].trace.used_s <= f[i - 1].trace.used_s);
	}
	for (size_t i = 0; i < MANY; i++)
		assert_int_equal(seen[i], 1);
}

static void nothing_and_nothing_that_runs_is_no_trouble(void **state)
{
	struct known_file f[] = {file_of(1, 10), file_of(2, 20)};

	(void)state;
	refresh_order(NULL, 0, NULL, 0);
	refresh_order(f, 2, NULL, 0);
	assert_int_equal(f[0].key.ino, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_runs_comes_first_then_the_last_used),
		cmocka_unit_test(each_is_there_once_whatever_the_order),
		cmocka_unit_test(nothing_and_nothing_that_runs_is_no_trouble),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
