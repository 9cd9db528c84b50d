/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "lib/str.h"

static void add_grows_and_stays_terminated(void **state)
{
	struct str b = {0};
	int i;

	assert_string_equal(str_get(&b), "");
	for (i = 0; i < 500; i++)
		str_add(&b, "0123456789");
	assert_int_equal(b.len, 5000);
	assert_int_equal(strlen(str_get(&b)), 5000);
	str_addn(&b, "xyz", 2);
	assert_string_equal(str_get(&b) + 5000, "xy");
	str_free(&b);
	assert_null(b.s);
}

static void addf_formats_at_every_length(void **state)
{
	struct str b = {0};
	size_t want = 0;
	int i;

	for (i = 0; i < 200; i++) {
		str_addf(&b, "%*d", i, 7);
		want += i > 0 ? (size_t)i : 1;
		assert_int_equal(b.len, want);
		assert_int_equal(b.s[b.len], 0);
		assert_int_equal(b.s[b.len - 1], '7');
	}
	str_free(&b);
}

static void bytes_of_zero_are_kept(void **state)
{
	struct str b = {0};

	str_addn(&b, "a\0b", 3);
	assert_int_equal(b.len, 3);
	assert_memory_equal(b.s, "a\0b", 4);
	str_free(&b);
}

static void take_hands_over_and_empties(void **state)
{
	struct str b = {0};
	char *s;

	s = str_take(&b);
	assert_string_equal(s, "");
	free(s);
	str_add(&b, "text");
	s = str_take(&b);
	assert_string_equal(s, "text");
	assert_int_equal(b.len, 0);
	assert_string_equal(str_get(&b), "");
	free(s);
}

static void clear_empties_and_keeps_the_memory(void **state)
{
	struct str b = {0};
	size_t cap;

	str_clear(&b);
	str_add(&b, "text");
	cap = b.cap;
	str_clear(&b);
	assert_string_equal(str_get(&b), "");
	assert_int_equal(b.cap, cap);
	str_free(&b);
}

static void starts_and_ends_compare_whole_affixes(void **state)
{
	assert_true(str_starts("config", "con"));
	assert_true(str_starts("config", ""));
	assert_false(str_starts("co", "con"));
	assert_true(str_ends("file.zip", ".zip"));
	assert_false(str_ends("zip", ".zip"));
	assert_false(str_ends("file.zip.x", ".zip"));
}

static void copy_says_when_it_cut(void **state)
{
	char out[4] = "zzz";

	assert_true(str_copy(out, sizeof(out), "abc"));
	assert_string_equal(out, "abc");
	assert_false(str_copy(out, sizeof(out), "abcd"));
	assert_string_equal(out, "abc");
	assert_false(str_copy(out, 0, "x"));
	assert_string_equal(out, "abc");
}

static void trim_strips_both_ends(void **state)
{
	char a[] = " \t a b\r\n", b[] = "   ", c[] = "";

	assert_string_equal(str_trim(a), "a b");
	assert_string_equal(str_trim(b), "");
	assert_string_equal(str_trim(c), "");
}

static void i64_takes_exactly_the_allowed_numbers(void **state)
{
	static const char *const bad[] = {
		"",    "-",   "+",   " 1",
		"1 ",  "1x",  "0x1", "--1",
		"11",  "-6",  "1.0", "9223372036854775808",
		"abc", "\n1", "1\n", "99999999999999999999",
	};
	struct err err;
	int64_t v = 77;
	size_t i;

	assert_int_equal(str_to_i64("10", -5, 10, &v, &err), 0);
	assert_int_equal(v, 10);
	assert_int_equal(str_to_i64("-5", -5, 10, &v, &err), 0);
	assert_int_equal(v, -5);
	assert_int_equal(str_to_i64("+007", -5, 10, &v, &err), 0);
	assert_int_equal(v, 7);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(str_to_i64(bad[i], -5, 10, &v, &err), -1);
		assert_int_equal(v, 7);
	}
	assert_int_equal(
		str_to_i64("-9223372036854775808", INT64_MIN, 0, &v, &err), 0);
	assert_true(v == INT64_MIN);
}

static void a_refused_number_says_what_was_read_and_allowed(void **state)
{
	struct err err;
	int64_t v;
	uint64_t u;

	str_to_i64("many", 1, 9, &v, &err);
	assert_non_null(strstr(err.text, "\"many\""));
	assert_non_null(strstr(err.text, "from 1 to 9"));
	str_to_size("big", &u, &err);
	assert_non_null(strstr(err.text, "\"big\""));
	str_to_duration("long", 0, &u, &err);
	assert_non_null(strstr(err.text, "\"long\""));
}

static void size_knows_bytes_and_powers_of_1024(void **state)
{
	static const char *const bad[] = {
		"",    "M",	    "-1",   "1X", "1 M",
		"1MB", "16777216T", "1.5G", " 1", "18446744073709551616"};
	struct err err;
	uint64_t v;
	size_t i;

	assert_int_equal(str_to_size("0", &v, &err), 0);
	assert_int_equal(v, 0);
	assert_int_equal(str_to_size("3K", &v, &err), 0);
	assert_int_equal(v, 3072);
	assert_int_equal(str_to_size("256M", &v, &err), 0);
	assert_int_equal(v, 256u << 20);
	assert_int_equal(str_to_size("2g", &v, &err), 0);
	assert_int_equal(v, 2ull << 30);
	assert_int_equal(str_to_size("5T", &v, &err), 0);
	assert_int_equal(v, 5ull << 40);
	assert_int_equal(str_to_size("18446744073709551615", &v, &err), 0);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(str_to_size(bad[i], &v, &err), -1);
}

static void duration_knows_its_units_and_a_bare_one(void **state)
{
	static const char *const bad[] = {"",
					  "s",
					  "-1s",
					  "1S",
					  "1 s",
					  "1.5s",
					  "1h30m",
					  "99999999999999999999d",
					  "213503982335d"};
	struct err err;
	uint64_t v;
	size_t i;

	assert_int_equal(str_to_duration("250ms", 1, &v, &err), 0);
	assert_int_equal(v, 250);
	assert_int_equal(str_to_duration("5s", 1, &v, &err), 0);
	assert_int_equal(v, 5000);
	assert_int_equal(str_to_duration("2m", 1, &v, &err), 0);
	assert_int_equal(v, 120000);
	assert_int_equal(str_to_duration("3h", 1, &v, &err), 0);
	assert_int_equal(v, 3 * 3600000);
	assert_int_equal(str_to_duration("2d", 1, &v, &err), 0);
	assert_int_equal(v, 2 * 86400000);
	assert_int_equal(str_to_duration("30", 86400000, &v, &err), 0);
	assert_true(v == 30ull * 86400000);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(str_to_duration(bad[i], 1, &v, &err), -1);
}

static void size_reads_well(void **state)
{
	char out[32];

	assert_string_equal(str_size(out, sizeof(out), 0), "0 B");
	assert_string_equal(str_size(out, sizeof(out), 1023), "1023 B");
	assert_string_equal(str_size(out, sizeof(out), 1024), "1 KiB");
	assert_string_equal(str_size(out, sizeof(out), 256u << 20), "256 MiB");
	assert_string_equal(str_size(out, sizeof(out), 1503238553), "1.4 GiB");
	assert_string_equal(str_size(out, sizeof(out), (1u << 20) - 1),
			    "1 MiB");
	assert_string_equal(str_size(out, sizeof(out), 1ull << 60), "1 EiB");
	assert_string_equal(str_size(out, sizeof(out), UINT64_MAX), "16 EiB");
}

static void duration_reads_well(void **state)
{
	char out[32];

	assert_string_equal(str_duration(out, sizeof(out), 0), "0s");
	assert_string_equal(str_duration(out, sizeof(out), 250), "250ms");
	assert_string_equal(str_duration(out, sizeof(out), 5000), "5s");
	assert_string_equal(str_duration(out, sizeof(out), 90000), "1m 30s");
	assert_string_equal(str_duration(out, sizeof(out), 3600000), "1h");
	assert_string_equal(
		str_duration(out, sizeof(out), 2 * 86400000ull + 3 * 3600000),
		"2d 3h");
	assert_string_equal(str_duration(out, sizeof(out), 86400000 + 59000),
			    "1d");
	assert_string_equal(str_duration(out, 3, 90000), "1m");
}

static void test_a_great_number_is_written_in_groups(void **state)
{
	char text[32];

	(void)state;
	assert_string_equal(str_grouped(text, sizeof(text), 0), "0");
	assert_string_equal(str_grouped(text, sizeof(text), 999), "999");
	assert_string_equal(str_grouped(text, sizeof(text), 1000), "1,000");
	assert_string_equal(str_grouped(text, sizeof(text), -100000),
			    "-100,000");
	assert_string_equal(str_grouped(text, sizeof(text), INT64_MIN),
			    "-9,223,372,036,854,775,808");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(add_grows_and_stays_terminated),
		cmocka_unit_test(addf_formats_at_every_length),
		cmocka_unit_test(bytes_of_zero_are_kept),
		cmocka_unit_test(take_hands_over_and_empties),
		cmocka_unit_test(clear_empties_and_keeps_the_memory),
		cmocka_unit_test(starts_and_ends_compare_whole_affixes),
		cmocka_unit_test(copy_says_when_it_cut),
		cmocka_unit_test(trim_strips_both_ends),
		cmocka_unit_test(i64_takes_exactly_the_allowed_numbers),
		cmocka_unit_test(
			a_refused_number_says_what_was_read_and_allowed),
		cmocka_unit_test(size_knows_bytes_and_powers_of_1024),
		cmocka_unit_test(duration_knows_its_units_and_a_bare_one),
		cmocka_unit_test(size_reads_well),
		cmocka_unit_test(duration_reads_well),
		cmocka_unit_test(test_a_great_number_is_written_in_groups),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
