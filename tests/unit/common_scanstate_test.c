/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "common/scanstate.h"

static struct err err;

static void any_path_comes_back_as_it_was(void **state)
{
	static const char *const paths[] = {
		"/",	     "/a b/c%d", "/\xff\x80/\n\t", "/\xc3\xa4/100%",
		"/\x01\x7f",
	};
	char back[PATH_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++) {
		char *word = scan_path_encode(paths[i]);

		for (const char *p = word; *p; p++)
			assert_in_range((unsigned char)*p, '!', '~');
		assert_int_equal(scan_path_decode(word, back, &err), 0);
		assert_string_equal(back, paths[i]);
		free(word);
	}
}

static void what_is_no_path_is_refused(void **state)
{
	static const char *const words[] = {"",	    "a",    "/%",   "/%4",
					    "/%zz", "/%00", "/a%2", "%2F%00a"};
	static char longer[PATH_MAX + 2];
	char back[PATH_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		assert_int_equal(scan_path_decode(words[i], back, &err), -1);
	memset(longer, 'a', sizeof(longer) - 1);
	longer[0] = '/';
	assert_int_equal(scan_path_decode(longer, back, &err), -1);
	longer[PATH_MAX - 1] = '\0';
	assert_int_equal(scan_path_decode(longer, back, &err), 0);
}

static void a_position_is_a_time_and_a_path(void **state)
{
	struct scan_position pos = {.time_ns = 1795358915197000001ll,
				    .path = "/srv/a b:c"},
			     back;
	static const char *const wrong[] = {
		"",
		":/a",
		"-1:/a",
		"1/a",
		"1:a",
		"x:/a",
		"99999999999999999999999:/a",
		" 1:/a",
	};
	char *text = scan_position_text(&pos);

	(void)state;
	assert_int_equal(scan_position_parse(text, &back, &err), 0);
	assert_true(back.time_ns == pos.time_ns);
	assert_string_equal(back.path, pos.path);
	free(text);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		assert_int_equal(scan_position_parse(wrong[i], &back, &err),
				 -1);
}

static void words_are_there_and_back(void **state)
{
	(void)state;
	for (int i = 0; i < SCAN_STATES; i++)
		assert_int_equal(
			scan_state_parse(scan_state_name((enum scan_state)i)),
			i);
	for (int i = 0; i < SCAN_ORDERS; i++)
		assert_int_equal(
			scan_order_parse(scan_order_name((enum scan_order)i)),
			i);
	assert_int_equal(scan_state_parse("finished"), -1);
	assert_int_equal(scan_order_parse(""), -1);
}

static void a_name_can_do_no_harm_in_a_crontab_or_a_path(void **state)
{
	static const char *const wrong[] = {
		"",
		"-a",
		"1a",
		"a b",
		"a%b",
		"a/b",
		"..",
		"a;b",
		"a\nb",
		"a$b",
		"\xc3\xa4",
		"a.b",
		"a23456789012345678901234567890123",
	};

	(void)state;
	assert_true(scan_name_valid("nightly"));
	assert_true(scan_name_valid("Web_srv-2"));
	assert_true(scan_name_valid("a2345678901234567890123456789012"));
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		assert_false(scan_name_valid(wrong[i]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_path_comes_back_as_it_was),
		cmocka_unit_test(what_is_no_path_is_refused),
		cmocka_unit_test(a_position_is_a_time_and_a_path),
		cmocka_unit_test(words_are_there_and_back),
		cmocka_unit_test(a_name_can_do_no_harm_in_a_crontab_or_a_path),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
