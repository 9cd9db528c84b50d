/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "lib/err.h"

static void set_describes_and_returns_minus_one(void **state)
{
	struct err err;

	assert_int_equal(err_set(&err, 0, "%s is %d", "answer", 42), -1);
	assert_string_equal(err.text, "answer is 42");
	assert_int_equal(err.code, 0);
}

static void set_with_a_code_ends_in_its_meaning(void **state)
{
	struct err err;

	err_set(&err, ENOENT, "open(%s)", "/x");
	assert_string_equal(err.text, "open(/x): No such file or directory");
	assert_int_equal(err.code, ENOENT);
}

static void add_puts_context_in_front_and_keeps_the_code(void **state)
{
	struct err err;

	err_set(&err, EPERM, "open");
	assert_int_equal(err_add(&err, "file %d", 7), -1);
	assert_string_equal(err.text, "file 7: open: Operation not permitted");
	assert_int_equal(err.code, EPERM);
}

static void add_to_an_empty_one_is_the_context_alone(void **state)
{
	struct err err;

	err_clear(&err);
	err_add(&err, "context");
	assert_string_equal(err.text, "context");
}

static void own_text_may_be_an_argument(void **state)
{
	struct err err;

	err_set(&err, 0, "inner");
	err_set(&err, 0, "outer (%s)", err.text);
	assert_string_equal(err.text, "outer (inner)");
	err_add(&err, "<%s>", err.text);
	assert_string_equal(err.text, "<outer (inner)>: outer (inner)");
}

static void text_is_always_one_line(void **state)
{
	struct err err;

	err_set(&err, 0, "first\nsecond\n");
	assert_string_equal(err.text, "first second");
}

static void long_text_is_cut_not_overrun(void **state)
{
	struct {
		struct err err;
		char guard[8];
	} s;
	char big[4096];

	memset(s.guard, 'g', sizeof(s.guard));
	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	err_set(&s.err, EIO, "%s", big);
	assert_int_equal(strlen(s.err.text), sizeof(s.err.text) - 1);
	err_add(&s.err, "%s", big);
	assert_int_equal(strlen(s.err.text), sizeof(s.err.text) - 1);
	assert_memory_equal(s.guard, "gggggggg", 8);
}

static void null_is_allowed_everywhere(void **state)
{
	err_clear(NULL);
	assert_int_equal(err_set(NULL, EIO, "x"), -1);
	assert_int_equal(err_add(NULL, "x"), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(set_describes_and_returns_minus_one),
		cmocka_unit_test(set_with_a_code_ends_in_its_meaning),
		cmocka_unit_test(add_puts_context_in_front_and_keeps_the_code),
		cmocka_unit_test(add_to_an_empty_one_is_the_context_alone),
		cmocka_unit_test(own_text_may_be_an_argument),
		cmocka_unit_test(text_is_always_one_line),
		cmocka_unit_test(long_text_is_cut_not_overrun),
		cmocka_unit_test(null_is_allowed_everywhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
