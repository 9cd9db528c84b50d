/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "notify_bed.h"

#include "notify/mail.h"

static void check_quote(const char *text, const char *want)
{
	struct str out = {0};

	mail_quote(&out, text);
	assert_string_equal(str_get(&out), want);
	str_free(&out);
}

static void bodies_are_quoted_printable(void **state)
{
	(void)state;
	check_quote("", "\r\n");
	check_quote("plain text", "plain text\r\n");
	check_quote("a\nb", "a\r\nb\r\n");
	check_quote("1 = 2", "1 =3D 2\r\n");
	check_quote("end \nx", "end=20\r\nx\r\n");
	check_quote("gr\xc3\xbc", "gr=C3=BC\r\n");
	/* What the way of mail itself would change. */
	check_quote(".\n..x\nFrom me", "=2E\r\n=2E.x\r\n=46rom me\r\n");
	check_quote("a\rb\tc", "a=0Db=09c\r\n");
}

/* Whatever stands in it: short lines of plain characters. */
static void no_line_of_a_body_gets_long(void **state)
{
	static const char *const pieces[] = {"x", "\xc3\xa9", " ", ".",
					     "=", "F",	      "x."};

	(void)state;
	for (size_t i = 0; i < sizeof(pieces) / sizeof(*pieces); i++) {
		struct str text = {0}, out = {0};
		size_t width = 0;

		for (int n = 0; n < 500; n++)
			str_add(&text, pieces[i]);
		mail_quote(&out, str_get(&text));
		for (const char *p = str_get(&out); *p; p++) {
			assert_false(width == 0 && *p == '.');
			width = *p == '\n' ? 0 : width + 1;
			assert_true(width <= 77);
		}
		str_free(&text);
		str_free(&out);
	}
}

static void check_header(const char *text, const char *want)
{
	struct str out = {0};

	mail_header(&out, "Subject", text);
	assert_string_equal(str_get(&out), want);
	str_free(&out);
}

static void headers_are_ascii_and_folded(void **state)
{
	(void)state;
	check_header("plain", "Subject: plain\r\n");
	check_header("gr\xc3\xbc\xc3\x9f", "Subject: =?utf-8?q?gr=C3=BC=C3=9F?="
					   "\r\n");
	/* It looks like an encoded word and is none. */
	check_header("a =?x", "Subject: =?utf-8?q?a_=3D=3Fx?=\r\n");
	check_header("0123456789 0123456789 0123456789 0123456789 0123456789 "
		     "0123456789 0123456789",
		     "Subject: 0123456789 0123456789 0123456789 0123456789 "
		     "0123456789 0123456789\r\n 0123456789\r\n");
}

/* What is between characters is never between bytes of one. */
static void encoded_words_are_short_and_whole(void **state)
{
	struct str text = {0}, out = {0};
	size_t width = 0;

	(void)state;
	for (int i = 0; i < 80; i++)
		str_add(&text, "\xe6\x97\xa5");
	mail_header(&out, "Subject", str_get(&text));
	for (const char *p = str_get(&out); *p; p++) {
		width = *p == '\n' ? 0 : width + 1;
		assert_true(width <= 79);
	}
	for (char *p = strstr(out.s, "=?utf-8?q?"); p;
	     p = strstr(p + 1, "=?utf-8?q?"))
		assert_int_equal(strncmp(p + 10, "=E6=97=A5", 9), 0);
	str_free(&text);
	str_free(&out);
}

static void hostile_text_makes_no_header(void **state)
{
	struct str out = {0};
	struct job job;
	char *body;

	(void)state;
	bed_job(&job, "\"to\": [\"a@x\", \"b@x\"], \"from\": \"f@x\"");
	for (size_t i = 0; i < 3; i++) {
		str_clear(&out);
		mail_encode(&job, bed_message(&job, i), BED_TIME, "u", &out);
		bed_harmless(str_get(&out), "\r\n");
		for (const char *p = out.s; *p; p++)
			if (*p == '\r' || *p == '\n')
				assert_true(p[*p == '\r' ? 1 : -1] ==
					    (*p == '\r' ? '\n' : '\r'));
		body = strstr(out.s, "\r\n\r\n");
		assert_non_null(body);
		*body = '\0';
		assert_null(strstr(out.s, "\r\nBcc"));
		assert_int_equal(
			strncmp(out.s,
				"Date: Fri, 1 May 2026 12:00:00 +0000\r\n"
				"From: splx <f@x>\r\n"
				"To: a@x,\r\n b@x\r\n"
				"Subject: [splx] h___st: ",
				95),
			0);
		assert_non_null(strstr(out.s, "Message-ID: <u@h___st>\r\n"));
	}
	str_free(&out);
	job_free(&job);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bodies_are_quoted_printable),
		cmocka_unit_test(no_line_of_a_body_gets_long),
		cmocka_unit_test(headers_are_ascii_and_folded),
		cmocka_unit_test(encoded_words_are_short_and_whole),
		cmocka_unit_test(hostile_text_makes_no_header),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
