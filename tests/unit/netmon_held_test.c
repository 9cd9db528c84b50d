/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "netmon/held.h"

/* As a 6.18 kernel writes them. */
static const char two[] =
	" 1494 3376296005    27 2   256     3     4     4294967295  1\n"
	"    5  31621     0 2 65531     0     0       12  1\n";

static void our_line_is_found(void **state)
{
	struct held h;

	(void)state;
	assert_int_equal(held_parse(two, 1494, &h), 0);
	assert_int_equal(h.port, 3376296005u);
	assert_int_equal(h.waiting, 27);
	assert_int_equal(h.dropped, 3);
	assert_int_equal(h.user_dropped, 4);
	assert_int_equal(h.last_id, 4294967295u);
	assert_int_equal(held_parse(two, 5, &h), 0);
	assert_int_equal(h.waiting, 0);
	assert_int_equal(h.last_id, 12);
}

static void a_queue_that_is_not_there_is_not_found(void **state)
{
	struct held h;

	(void)state;
	assert_int_equal(held_parse(two, 14, &h), -1);
	assert_int_equal(held_parse("", 5, &h), -1);
	assert_int_equal(held_parse("\n", 5, &h), -1);
	assert_int_equal(held_parse("5 1 2 3", 5, &h), -1);
	assert_int_equal(held_parse("no such file\n5 x", 5, &h), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(our_line_is_found),
		cmocka_unit_test(a_queue_that_is_not_there_is_not_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
