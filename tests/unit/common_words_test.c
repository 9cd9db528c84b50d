/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/words.h"
#include "lib/str.h"

static const struct row {
	const char *english, *text;
} rows[] = {
#define WORDS(english, text) {english, text},
#include "common/words_ja.def"
#undef WORDS
};

static void said(const char *english, const char *expected)
{
	char *text = words_said(LANG_JA, english);

	assert_string_equal(text, expected);
	free(text);
}

static void asked_for(const char *all, const char *messages, const char *lang,
		      enum lang expected)
{
	unsetenv("LC_ALL");
	unsetenv("LC_MESSAGES");
	unsetenv("LANG");
	if (all)
		setenv("LC_ALL", all, 1);
	if (messages)
		setenv("LC_MESSAGES", messages, 1);
	if (lang)
		setenv("LANG", lang, 1);
	assert_int_equal(words_lang(), expected);
}

static void test_the_language_is_that_of_the_environment(void **state)
{
	(void)state;
	asked_for(NULL, NULL, NULL, LANG_EN);
	asked_for(NULL, NULL, "ja_JP.UTF-8", LANG_JA);
	asked_for(NULL, NULL, "ja_JP.utf8", LANG_JA);
	asked_for(NULL, NULL, "ja.UTF-8@x", LANG_JA);
	asked_for(NULL, "ja_JP.UTF-8", "C", LANG_JA);
	asked_for("", "", "ja_JP.UTF-8", LANG_JA);
	asked_for("C", "ja_JP.UTF-8", "ja_JP.UTF-8", LANG_EN);
	asked_for("C.UTF-8", NULL, "ja_JP.UTF-8", LANG_EN);
	asked_for(NULL, "en_GB.UTF-8", "ja_JP.UTF-8", LANG_EN);
	/* a terminal that would show something else */
	asked_for(NULL, NULL, "ja_JP.eucJP", LANG_EN);
	asked_for(NULL, NULL, "ja_JP", LANG_EN);
	asked_for(NULL, NULL, "jam_JM.UTF-8", LANG_EN);
	asked_for(NULL, NULL, "j", LANG_EN);
}

static void test_english_stays_as_it_is(void **state)
{
	char *text = words_said(LANG_EN, "RealtimeScan is 0");

	(void)state;
	assert_string_equal(text, "RealtimeScan is 0");
	free(text);
	assert_string_equal(words_text(LANG_EN, "healthy"), "healthy");
}

static void test_a_message_is_known_by_its_format(void **state)
{
	(void)state;
	assert_string_equal(words_text(LANG_JA, "healthy"), "正常");
	assert_string_equal(words_text(LANG_JA, "no such text"),
			    "no such text");
	said("RealtimeScan is 0", "RealtimeScan が 0 です");
	said("RealtimeScan is 3: executions are not examined",
	     "RealtimeScan が 3 です: 実行は検査されません");
	said("the web console's certificate ends in -3 days",
	     "Web コンソールの証明書は -3 日後に期限が切れます");
	/* in another order; one that is not said */
	said("Eicar-Test in /tmp/a b: found 2 more times",
	     "/tmp/a b で Eicar-Test をさらに 2 回検出");
	said("the patterns are 9d 3h old; PatternMaxAge is 7d",
	     "パターンが古くなっています（経過 9 日 3 時間、PatternMaxAge 7 "
	     "日）");
}

static void test_what_is_put_in_is_told_as_its_kind_wants(void **state)
{
	(void)state;
	/* what is to be typed stays as it is; a name is in quotes */
	said("ScanTimeout: \"is empty\" is not a duration; allowed: 1s to 1h, "
	     "such as 1m",
	     "ScanTimeout: \"is empty\" は時間ではありません。使用できる値: "
	     "1s～1h（例: 1m）");
	said("OnError: \"x\" is not known; allowed: allow or deny",
	     "OnError: \"x\" は使用できません。使用できる値: allow, deny");
	said("unknown option: --x; usage: status",
	     "不明なオプション: --x。使用法: status");
	said("open(/etc/splx/km): Permission denied",
	     "open(/etc/splx/km): 権限がありません");
}

static void test_of_a_chain_each_part_is_told(void **state)
{
	(void)state;
	said("no interceptor works here: this kernel has no fanotify",
	     "このマシンで使用できる捕捉方式がありません: "
	     "このカーネルには fanotify がありません");
	said("/mnt/a: b is not covered: not in Include",
	     "/mnt/a: b は保護されていません: Include の対象外");
	/* a context that nobody knows */
	said("whatever: RealtimeScan is 0", "whatever: RealtimeScan が 0 です");
	/* nothing that is known */
	said("some words: of others", "some words: of others");
	said("", "");
	said(": ", ": ");
}

static void test_a_name_is_never_translated(void **state)
{
	(void)state;
	said("healthy is not covered: not in Include",
	     "healthy は保護されていません: Include の対象外");
	said("/RealtimeScan is 0 is not covered: not in Include",
	     "/RealtimeScan is 0 は保護されていません: Include の対象外");
	said("\xff\x01%s%n is not covered: FUSE, ScanFuse is off",
	     "\xff\x01%s%n は保護されていません: FUSE（ScanFuse は無効）");
}

/* What somebody makes of a file's name costs no more than a moment. */
static void test_a_long_message_is_bounded(void **state)
{
	struct str text = {0};
	char *out;
	int i;

	(void)state;
	for (i = 0; i < 20000; i++)
		str_add(&text, " in : (/ and  more ");
	alarm(10);
	out = words_said(LANG_JA, str_get(&text));
	assert_string_equal(out, str_get(&text));
	alarm(0);
	free(out);
	str_free(&text);
}

/* The format with a word or number in each place, as the rows' test fills
 * both sides. */
static void fill(struct str *out, const char *format)
{
	while (*format) {
		const char *at = format++;

		if (*at != '%') {
			str_addn(out, at, 1);
			continue;
		}
		format += strspn(format, "0123456789.*$#-+ lzjht");
		if (*format == '%')
			str_add(out, "%");
		else if (!strstr(at, ".0s") || strstr(at, ".0s") > format)
			str_add(out, *format == 's' ? "Xq" : "7");
		format++;
	}
}

static void test_every_row_is_found_by_its_message(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct str english = {0}, expected = {0};

		fill(&english, rows[i].english);
		fill(&expected, rows[i].text);
		said(str_get(&english), str_get(&expected));
		assert_string_equal(words_text(LANG_JA, rows[i].english),
				    rows[i].text);
		str_free(&english);
		str_free(&expected);
	}
}

static void test_durations_have_units_in_words(void **state)
{
	char text[48];

	(void)state;
	assert_string_equal(
		words_duration(LANG_EN, text, sizeof(text), 93600000), "1d 2h");
	assert_string_equal(
		words_duration(LANG_JA, text, sizeof(text), 93600000),
		"1 日 2 時間");
	assert_string_equal(words_duration(LANG_JA, text, sizeof(text), 5),
			    "5 ミリ秒");
	assert_string_equal(words_duration(LANG_JA, text, sizeof(text), 0),
			    "0 秒");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_language_is_that_of_the_environment),
		cmocka_unit_test(test_english_stays_as_it_is),
		cmocka_unit_test(test_a_message_is_known_by_its_format),
		cmocka_unit_test(test_what_is_put_in_is_told_as_its_kind_wants),
		cmocka_unit_test(test_of_a_chain_each_part_is_told),
		cmocka_unit_test(test_a_name_is_never_translated),
		cmocka_unit_test(test_a_long_message_is_bounded),
		cmocka_unit_test(test_every_row_is_found_by_its_message),
		cmocka_unit_test(test_durations_have_units_in_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
