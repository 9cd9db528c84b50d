/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "common/address.h"

static void masked(const char *in, const char *want)
{
	char *got = address_mask(in);

	assert_string_equal(got, want);
	free(got);
}

static void filled(const char *in, const char *old, const char *want)
{
	struct err err;
	char *got = address_fill(in, old, &err);

	if (want)
		assert_string_equal(got, want);
	else
		assert_null(got);
	free(got);
}

static void passwords_are_masked_wherever_an_address_stands(void **state)
{
	masked("get https://me:pw@host/x and http://host/y",
	       "get https://***@host/x and http://host/y");
	masked("{\"a\":\"http://u:p@ss@h:1/?q\",\"b\":1}",
	       "{\"a\":\"http://***@h:1/?q\",\"b\":1}");
	masked("https://token@host", "https://***@host");
	masked("ssh://me@host ://", "ssh://me@host ://");
	masked("http://host/a:b@c", "http://host/a:b@c");
	masked("http://u:p@", "http://***@");
	masked("", "");
}

static void what_a_query_says_is_masked(void **state)
{
	masked("https://h/x?token=abc,def&k=v&flag#top, http://h",
	       "https://h/x?token=***&k=***&flag#top, http://h");
	masked("see http://h/?a=b.", "see http://h/?a=***.");
	masked("https://u:p@h?x=", "https://***@h?x=***");
}

static void what_was_shown_comes_back_as_it_was(void **state)
{
	const char *old = "http://a/x, https://u:p@b/x?t=1, https://u:q@c";

	filled("https://***@b/x?t=***", old, "https://u:p@b/x?t=1");
	filled("https://***@c, http://new/?a=b", old,
	       "https://u:q@c, http://new/?a=b");
	filled("plain", old, "plain");
}

static void a_mask_is_never_taken_for_a_secret(void **state)
{
	filled("https://***@elsewhere/x?t=***", "https://u:p@b/x?t=1", NULL);
	filled("https://***@b/x", "", NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			passwords_are_masked_wherever_an_address_stands),
		cmocka_unit_test(what_a_query_says_is_masked),
		cmocka_unit_test(what_was_shown_comes_back_as_it_was),
		cmocka_unit_test(a_mask_is_never_taken_for_a_secret),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
