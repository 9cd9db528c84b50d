/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/codes.h"

static const int all[] = {
#define CODE(id, ...) STATUS_##id,
#include "common/codes.def"
#undef CODE
};
#define COUNT (sizeof(all) / sizeof(*all))

static void every_code_has_a_number_and_a_name_of_its_own(void **state)
{
	size_t i, j;

	for (i = 0; i < COUNT; i++) {
		assert_true(*status_text(all[i]));
		assert_string_not_equal(status_name(all[i]), "unknown");
		for (j = 0; j < i; j++) {
			assert_int_not_equal(all[i], all[j]);
			assert_string_not_equal(status_name(all[i]),
						status_name(all[j]));
		}
	}
}

static void zero_is_healthy_and_all_others_are_in_the_20000s(void **state)
{
	size_t i;

	assert_int_equal(STATUS_OK, 0);
	assert_string_equal(status_name(0), "ok");
	for (i = 0; i < COUNT; i++)
		if (all[i] != 0)
			assert_in_range(all[i], 20001, 29999);
}

static void the_published_numbers_stay(void **state)
{
	assert_string_equal(status_name(20003), "locked");
	assert_string_equal(status_name(20010), "scannerGone");
	assert_string_equal(status_name(20040), "configBroken");
}

static void a_number_without_a_row_is_unknown(void **state)
{
	assert_string_equal(status_name(-1), "unknown");
	assert_string_equal(status_text(20999), "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_code_has_a_number_and_a_name_of_its_own),
		cmocka_unit_test(
			zero_is_healthy_and_all_others_are_in_the_20000s),
		cmocka_unit_test(the_published_numbers_stay),
		cmocka_unit_test(a_number_without_a_row_is_unknown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
