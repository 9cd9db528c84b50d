/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "ctl/mask.h"

static void check(char *(*fn)(const char *), const char *in, const char *want)
{
	char *got = fn(in);

	assert_string_equal(got, want);
	free(got);
}

static void settings_are_secret_by_their_name(void **state)
{
	assert_true(mask_is_secret("SmtpPassword"));
	assert_true(mask_is_secret("WebhookToken"));
	assert_true(mask_is_secret("SnmpCommunity"));
	assert_false(mask_is_secret("VerdictTimeout"));
	assert_false(mask_is_secret("ExcludePattern"));
}

static void secret_values_are_left_out_of_a_settings_file(void **state)
{
	check(mask_conf, "A = 1\nSmtpPassword = \"x\"\nB = 2\n",
	      "A = 1\nSmtpPassword = (left out)\nB = 2\n");
	check(mask_conf, "ApiTokens = {\"a\",\n  \"b\"}\nB = 2",
	      "ApiTokens = (left out)\nB = 2");
	check(mask_conf, "  # SmtpPassword = old\nB = 2\n",
	      "SmtpPassword = (left out)\nB = 2\n");
	check(mask_conf, "SmtpPassword=x", "SmtpPassword = (left out)\n");
	check(mask_conf, "", "");
}

static void a_broken_file_is_masked_too(void **state)
{
	check(mask_conf, "}}\nSmtpSecret == {{ \"x\n junk\nB = 2\n",
	      "}}\nSmtpSecret = (left out)\nB = 2\n");
}

static void secret_rows_of_the_running_settings_are_masked(void **state)
{
	json_t *rows =
		json_pack("[{s:s,s:s},{s:s,s:s}]", "key", "Workers", "value",
			  "3", "key", "SmtpPassword", "value", "x");
	json_t *v;

	mask_config_json(rows);
	v = json_object_get(json_array_get(rows, 0), "value");
	assert_string_equal(json_string_value(v), "3");
	v = json_object_get(json_array_get(rows, 1), "value");
	assert_string_equal(json_string_value(v), MASK_TEXT);
	json_decref(rows);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(settings_are_secret_by_their_name),
		cmocka_unit_test(secret_values_are_left_out_of_a_settings_file),
		cmocka_unit_test(a_broken_file_is_masked_too),
		cmocka_unit_test(
			secret_rows_of_the_running_settings_are_masked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
