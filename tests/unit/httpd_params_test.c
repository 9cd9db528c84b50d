/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "httpd/params.h"
#include "lib/alloc.h"
#include "lib/str.h"

#define TYPE "multipart/form-data; boundary=XyZ"

static int form(struct params *p, const char *text)
{
	return params_urlencoded(p, text, strlen(text));
}

static void test_a_form_is_read(void **state)
{
	struct params p;

	(void)state;
	assert_int_equal(form(&p, "a=1&b=x+y%2Bz&c&d=%e6%97%a5&&a=2"), 0);
	assert_int_equal(p.len, 5);
	assert_string_equal(params_get(&p, "a"), "1");
	assert_string_equal(params_get(&p, "b"), "x y+z");
	assert_string_equal(params_get(&p, "c"), "");
	assert_string_equal(params_get(&p, "d"), "\xe6\x97\xa5");
	assert_null(params_get(&p, "e"));
	params_free(&p);
	assert_int_equal(form(&p, ""), 0);
	assert_int_equal(p.len, 0);
}

static void test_what_is_no_text_is_no_form(void **state)
{
	static const char *const bad[] = {
		"a=%",
		"a=%1",
		"a=%zz",
		"a=%00",
		"a=%ff",
		"a=%c0%af",
		"a=%ed%a0%80",
		"a=%01",
		"a=b%7f",
		"%ff=a",
		"x=1&a=%f5%80%80%80",
	};
	struct params p;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		assert_int_equal(form(&p, bad[i]), -1);
		assert_int_equal(p.len, 0);
	}
}

static void test_too_much_is_no_form(void **state)
{
	struct str text = {0};
	struct params p;
	int i;

	(void)state;
	for (i = 0; i <= PARAMS_MAX; i++)
		str_add(&text, "a=1&");
	assert_int_equal(form(&p, text.s), -1);
	str_clear(&text);
	for (i = 0; i <= PARAMS_NAME_MAX; i++)
		str_add(&text, "n");
	str_add(&text, "=1");
	assert_int_equal(form(&p, text.s), -1);
	str_free(&text);
}

static int parts(struct params *p, const char *text)
{
	return params_multipart(p, TYPE, text, strlen(text));
}

#define PART(name, value)                                                      \
	"--XyZ\r\nContent-Disposition: form-data; name=\"" name                \
	"\"; filename=\"../../x\"\r\nContent-Type: a/b\r\n\r\n" value "\r\n"

static void test_an_upload_is_read(void **state)
{
	struct params p;

	(void)state;
	assert_int_equal(
		parts(&p, PART("a", "1") PART("b", "x\r\n--Xy\r\n") "--XyZ--"),
		0);
	assert_string_equal(params_get(&p, "a"), "1");
	assert_string_equal(params_get(&p, "b"), "x\r\n--Xy\r\n");
	params_free(&p);
	assert_int_equal(
		params_multipart(&p, "Multipart/Form-Data;boundary=\"X Z\"",
				 "--X Z--", 7),
		0);
}

static void test_what_is_no_upload_is_refused(void **state)
{
	static const char *const bad[] = {
		"",
		"--XyZ",
		"--XyZ\r\n",
		PART("a", "1"),
		PART("a", "1") "--XyZ",
		"preamble\r\n" PART("a", "1") "--XyZ--",
		"--XyZ\r\nname=\"a\"\r\n\r\n1\r\n--XyZ--",
		"--XyZ\r\n\r\n\r\n--XyZ--",
		PART("a", "\xff") "--XyZ--",
	};
	static const char *const types[] = {
		"multipart/form-data",
		"multipart/form-data; boundary=",
		"multipart/form-data; boundary=\"x",
		"multipart/mixed; boundary=XyZ",
		"text/plain",
	};
	struct params p;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		assert_int_equal(parts(&p, bad[i]), -1);
		assert_int_equal(p.len, 0);
	}
	for (i = 0; i < sizeof(types) / sizeof(*types); i++)
		assert_int_equal(params_multipart(&p, types[i], "--XyZ--", 7),
				 -1);
}

static void test_cookies_of_others_do_not_hinder_ours(void **state)
{
	struct params p;

	(void)state;
	params_cookies(&p, "x=\xff; =; ;;novalue; __Host-splx=abc;a=b=c ; d=");
	assert_string_equal(params_get(&p, "__Host-splx"), "abc");
	assert_string_equal(params_get(&p, "a"), "b=c ");
	assert_string_equal(params_get(&p, "d"), "");
	assert_null(params_get(&p, "x"));
	params_free(&p);
}

static void test_a_path_is_decoded_once(void **state)
{
	char out[32];

	(void)state;
	assert_int_equal(params_decode("/a%2e%2e/b+c", 12, false, out, 32), 8);
	assert_string_equal(out, "/a../b+c");
	assert_int_equal(params_decode("/%252e", 6, false, out, 32), 4);
	assert_string_equal(out, "/%2e");
	assert_int_equal(params_decode("/%00", 4, false, out, 32), -1);
	assert_int_equal(params_decode("123", 3, false, out, 3), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_form_is_read),
		cmocka_unit_test(test_what_is_no_text_is_no_form),
		cmocka_unit_test(test_too_much_is_no_form),
		cmocka_unit_test(test_an_upload_is_read),
		cmocka_unit_test(test_what_is_no_upload_is_refused),
		cmocka_unit_test(test_cookies_of_others_do_not_hinder_ours),
		cmocka_unit_test(test_a_path_is_decoded_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
