/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "httpd/html.h"
#include "httpd/lang.h"

static void shown(const char *text, const char *expected)
{
	struct html h = {0};

	html_text(&h, text);
	assert_string_equal(str_get(&h.out), expected);
	str_free(&h.out);
}

static void test_a_hostile_name_is_only_a_name(void **state)
{
	(void)state;
	shown("<script>alert(1)</script>",
	      "&lt;script&gt;alert(1)&lt;/script&gt;");
	shown("\" onclick='x' &amp;", "&#34; onclick=&#39;x&#39; &amp;amp;");
	shown("a\nb\r\tc\x7f", "a\\x0ab\\x0d\\x09c\\x7f");
	/* turned around, made invisible */
	shown("exe.\xe2\x80\xaegpj", "exe.\\u202egpj");
	shown("\xe2\x81\xa6x\xe2\x80\x8b\xef\xbb\xbf",
	      "\\u2066x\\u200b\\ufeff");
	shown("\xf3\xa0\x81\x81", "\\ue0041");
	/* no UTF-8: cut, overlong, a surrogate, too great */
	shown("\xff\xc3", "\\xff\\xc3");
	shown("\xc0\xaf", "\\xc0\\xaf");
	shown("\xed\xa0\x80", "\\xed\\xa0\\x80");
	shown("\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80");
	shown("日本語 é 😀", "日本語 é 😀");
}

static void test_what_is_put_in_is_escaped(void **state)
{
	struct html h = {0};

	(void)state;
	html_addf(&h, "<p class=\"%s\">%d%% of %lld, %zu%u</p>", "<\">", -3,
		  12345678901ll, (size_t)7, 8u);
	html_say(&h, TEXT_n_of_m, "<1>", "2");
	assert_string_equal(str_get(&h.out),
			    "<p class=\"&lt;&#34;&gt;\">-3% of 12345678901, "
			    "78</p>&lt;1&gt; of 2");
	str_free(&h.out);
}

static void test_numbers_are_grouped(void **state)
{
	char text[48];

	(void)state;
	assert_string_equal(html_number_text(text, 48, 0), "0");
	assert_string_equal(html_number_text(text, 48, 999), "999");
	assert_string_equal(html_number_text(text, 48, -1000), "-1,000");
	assert_string_equal(html_number_text(text, 48, 12345678), "12,345,678");
	assert_string_equal(html_number_text(text, 48, INT64_MIN),
			    "-9,223,372,036,854,775,808");
}

static void test_the_browser_chooses_the_language(void **state)
{
	(void)state;
	assert_int_equal(lang_accept(NULL), LANG_EN);
	assert_int_equal(lang_accept(""), LANG_EN);
	assert_int_equal(lang_accept("ja"), LANG_JA);
	assert_int_equal(lang_accept("ja-JP,ja;q=0.9,en;q=0.8"), LANG_JA);
	assert_int_equal(lang_accept("en;q=0.8, ja;q=0.9"), LANG_JA);
	assert_int_equal(lang_accept("fr, de;q=0.9, ja;q=0.1"), LANG_JA);
	assert_int_equal(lang_accept("fr,de"), LANG_EN);
	assert_int_equal(lang_accept("ja;q=0"), LANG_EN);
	assert_int_equal(lang_accept("ja;q=junk,,,;;q"), LANG_EN);
	assert_int_equal(lang_accept("jazz"), LANG_EN);
}

/* Names, which are the same everywhere. */
static bool is_name(int id)
{
	return id == TEXT_by_fanotify || id == TEXT_type_syslog ||
	       id == TEXT_type_webhook || id == TEXT_url ||
	       id == TEXT_url_hint || id == TEXT_sha256 || id == TEXT_uid;
}

static void test_no_language_lacks_a_text(void **state)
{
	int lang, id;

	(void)state;
	for (lang = 1; lang < LANGS; lang++)
		for (id = 0; id < TEXTS; id++)
			if (!is_name(id))
				assert_string_not_equal(
					lang_text((enum lang)lang,
						  (enum text)id),
					lang_text(LANG_EN, (enum text)id));
	assert_int_equal(lang_find("summary"), TEXT_summary);
	assert_int_equal(lang_find("nothing"), TEXTS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_hostile_name_is_only_a_name),
		cmocka_unit_test(test_what_is_put_in_is_escaped),
		cmocka_unit_test(test_numbers_are_grouped),
		cmocka_unit_test(test_the_browser_chooses_the_language),
		cmocka_unit_test(test_no_language_lacks_a_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
