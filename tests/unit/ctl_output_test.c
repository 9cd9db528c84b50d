/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/output.h"
#include "common/jsontext.h"

static char *text;
static size_t len;

static FILE *begin(void)
{
	free(text);
	text = NULL;
	return open_memstream(&text, &len);
}

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static void width_counts_columns_not_bytes(void **state)
{
	assert_int_equal(output_width(""), 0);
	assert_int_equal(output_width("abc"), 3);
	assert_int_equal(output_width("gr\xc3\xbc\xc3\x9f"), 4); /* grüß */
	assert_int_equal(output_width("\xe6\x97\xa5\xe6\x9c\xac"), 4); /* CJK */
	assert_int_equal(output_width("e\xcc\x81"), 1); /* combining accent */
	assert_int_equal(output_width("a\xff\xc3"), 3); /* no UTF-8 at all */
}

static void tables_align_by_width_and_numbers_to_the_right(void **state)
{
	static const struct output_column cols[] = {
		{"id", "ID", OUTPUT_NUMBER},
		{"name", "NAME", OUTPUT_TEXT},
		{"path", "PATH", OUTPUT_TEXT},
	};
	json_t *rows = json_pack("[{s:i,s:s,s:s},{s:i,s:s,s:s}]", "id", 7,
				 "name", "\xe6\x97\xa5\xe6\x9c\xac", "path",
				 "/a", "id", 1234, "name", "ab", "path", "/b");
	FILE *f = begin();

	output_rows(f, rows, cols, COUNT(cols), "none");
	fclose(f);
	assert_string_equal(text, "  ID  NAME  PATH\n"
				  "   7  \xe6\x97\xa5\xe6\x9c\xac  /a\n"
				  "1234  ab    /b\n");
	json_decref(rows);
}

static void a_column_in_which_no_row_has_anything_is_left_out(void **state)
{
	static const struct output_column cols[] = {
		{"id", "ID", OUTPUT_NUMBER},
		{"detail", "DETAIL", OUTPUT_TEXT},
		{"path", "PATH", OUTPUT_TEXT},
	};
	json_t *rows =
		json_pack("[{s:i,s:s,s:n}]", "id", 1, "path", "/a", "detail");
	FILE *f = begin();

	output_rows(f, rows, cols, COUNT(cols), NULL);
	fclose(f);
	assert_string_equal(text, "ID  PATH\n 1  /a\n");
	json_decref(rows);
}

static void no_rows_are_told_in_words(void **state)
{
	static const struct output_column cols[] = {
		{"id", "ID", OUTPUT_NUMBER},
	};
	FILE *f = begin();

	output_rows(f, NULL, cols, 1, "nothing");
	fclose(f);
	assert_string_equal(text, "nothing\n");
}

static void text_from_elsewhere_cannot_drive_a_terminal(void **state)
{
	static const struct output_column cols[] = {
		{"path", "PATH", OUTPUT_TEXT},
	};
	json_t *rows = json_pack("[{s:s}]", "path", "/a\n\033[31mb");
	FILE *f = begin();

	output_rows(f, rows, cols, 1, NULL);
	fclose(f);
	assert_string_equal(text, "PATH\n/a\\x0a\\x1b[31mb\n");
	json_decref(rows);
}

static void there_is_no_colour_off_a_terminal_nor_with_no_color(void **state)
{
	FILE *f = begin();

	setenv("TERM", "xterm", 1);
	output_colour(f, OUTPUT_RED, "bad");
	fclose(f);
	assert_string_equal(text, "bad");

	f = fopen("/dev/ptmx", "r+");
	assert_non_null(f);
	unsetenv("NO_COLOR");
	assert_true(output_has_colour(f));
	setenv("NO_COLOR", "1", 1);
	assert_false(output_has_colour(f));
	setenv("NO_COLOR", "", 1);
	assert_true(output_has_colour(f));
	setenv("TERM", "dumb", 1);
	assert_false(output_has_colour(f));
	fclose(f);
}

static void pairs_show_known_members_first_then_the_rest(void **state)
{
	static const struct output_column cols[] = {
		{"a.b", "Inner", OUTPUT_TEXT},
		{"size", "Size", OUTPUT_SIZE},
		{"gone", "Gone", OUTPUT_TEXT},
	};
	json_t *o = json_pack("{s:i,s:{s:s},s:b}", "size", 2048, "a", "b", "x",
			      "brand_new", 1);
	FILE *f = begin();

	output_pairs(f, o, cols, COUNT(cols), true);
	fclose(f);
	assert_string_equal(text, "Inner      x\n"
				  "Size       2 KiB\n"
				  "brand_new  yes\n");
	json_decref(o);
}

static void check_value(json_t *value, enum output_format format,
			const char *want)
{
	struct str b = {0};

	output_value(&b, value, format);
	assert_string_equal(str_get(&b), want);
	str_free(&b);
	json_decref(value);
}

static void values_are_shown_by_their_format(void **state)
{
	setenv("TZ", "UTC", 1);
	check_value(json_integer(1500), OUTPUT_NS, "1.5 us");
	check_value(json_integer(2500000), OUTPUT_NS, "2.5 ms");
	check_value(json_integer(1767225600), OUTPUT_TIME,
		    "2026-01-01 00:00:00");
	check_value(json_integer(1767225600000000000), OUTPUT_TIME,
		    "2026-01-01 00:00:00");
	check_value(json_integer(0), OUTPUT_TIME, "");
	check_value(json_integer(-1), OUTPUT_SIZE, "-1");
	check_value(json_pack("[ss]", "a", "b"), OUTPUT_TEXT, "a, b");
	check_value(json_pack("{s:i}", "a", 1), OUTPUT_TEXT, "{\"a\":1}");
	check_value(json_null(), OUTPUT_TEXT, "");
	check_value(json_true(), OUTPUT_TEXT, "yes");
}

static void members_are_found_by_dotted_paths(void **state)
{
	json_t *o = json_pack("{s:{s:{s:i}},s:i}", "a", "b", "c", 5, "x.y", 6);

	assert_int_equal(json_integer_value(output_member(o, "a.b.c")), 5);
	assert_int_equal(json_integer_value(output_member(o, "x.y")), 6);
	assert_null(output_member(o, "a.b.d"));
	assert_null(output_member(o, "x.z"));
	json_decref(o);
}

static void json_is_printed_whole_whatever_the_bytes(void **state)
{
	json_t *o = json_pack("{s:o}", "path", jsontext_new("/a\xff\n"));
	FILE *f = begin();

	output_json_line(f, o);
	fclose(f);
	assert_string_equal(text, "{\"path\":\"/a\\\\xff\\\\x0a\"}\n");
	json_decref(o);
}

static void shown(enum lang lang, json_t *value, enum output_format format,
		  const char *expected)
{
	struct str b = {0};

	output_speak(lang);
	output_value(&b, value, format);
	output_speak(LANG_EN);
	assert_string_equal(str_get(&b), expected);
	str_free(&b);
	json_decref(value);
}

static void test_values_are_written_as_the_language_does(void **state)
{
	json_int_t when = 1795402890;

	(void)state;
	setenv("TZ", "UTC", 1);
	shown(LANG_EN, json_integer(when), OUTPUT_TIME, "2026-11-23 03:01:30");
	shown(LANG_JA, json_integer(when), OUTPUT_TIME, "2026/11/23 03:01:30");
	shown(LANG_EN, json_integer(1234567), OUTPUT_COUNT, "1234567");
	shown(LANG_JA, json_integer(1234567), OUTPUT_COUNT, "1,234,567");
	/* a pid, a code */
	shown(LANG_JA, json_integer(20043), OUTPUT_NUMBER, "20043");
	shown(LANG_EN, json_integer(93600), OUTPUT_S, "1d 2h");
	shown(LANG_JA, json_integer(93600), OUTPUT_S, "1 日 2 時間");
	shown(LANG_JA, json_true(), OUTPUT_TEXT, "はい");
	shown(LANG_JA, json_string("running"), OUTPUT_WORD, "動作中");
	shown(LANG_JA, json_string("running"), OUTPUT_TEXT, "running");
	shown(LANG_JA, json_string("RealtimeScan is 0"), OUTPUT_SAID,
	      "RealtimeScan が 0 です");
	/* nothing that a terminal obeys comes out of it */
	shown(LANG_JA, json_string("x: RealtimeScan is 0\x1b[2J"), OUTPUT_SAID,
	      "x: RealtimeScan is 0\\x1b[2J");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(width_counts_columns_not_bytes),
		cmocka_unit_test(
			tables_align_by_width_and_numbers_to_the_right),
		cmocka_unit_test(
			a_column_in_which_no_row_has_anything_is_left_out),
		cmocka_unit_test(no_rows_are_told_in_words),
		cmocka_unit_test(text_from_elsewhere_cannot_drive_a_terminal),
		cmocka_unit_test(
			there_is_no_colour_off_a_terminal_nor_with_no_color),
		cmocka_unit_test(pairs_show_known_members_first_then_the_rest),
		cmocka_unit_test(values_are_shown_by_their_format),
		cmocka_unit_test(members_are_found_by_dotted_paths),
		cmocka_unit_test(json_is_printed_whole_whatever_the_bytes),
		cmocka_unit_test(test_values_are_written_as_the_language_does),
	};
	int rc = cmocka_run_group_tests(tests, NULL, NULL);

	free(text);
	return rc;
}
