/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "notify_bed.h"

static void check_clean(const char *text, const char *want)
{
	char *got = job_clean(text);

	assert_string_equal(got, want);
	free(got);
}

static void text_is_made_harmless_and_letters_stay(void **state)
{
	(void)state;
	check_clean("", "");
	check_clean("plain \\ text", "plain \\ text");
	check_clean("gr\xc3\xbc\xc3\x9f \xe6\x97\xa5 \xf0\x9f\x98\x80",
		    "gr\xc3\xbc\xc3\x9f \xe6\x97\xa5 \xf0\x9f\x98\x80");
	check_clean("a\r\n\t\x1b[2J\x7f", "a\\x0d\\x0a\\x09\\x1b[2J\\x7f");
	check_clean("\xc2\x85\xc2\xad", "\\x85\\xad");
	check_clean("\xe2\x80\xae"
		    "gpj\xe2\x81\xa6\xe2\x80\x8b\xef\xbb\xbf",
		    "\\u202egpj\\u2066\\u200b\\ufeff");
	/* Not UTF-8: alone, cut off, too long, a surrogate, past the end. */
	check_clean("\xff\x80", "\\xff\\x80");
	check_clean("a\xe6\x97", "a\\xe6\\x97");
	check_clean("\xc0\xaf\xe0\x80\xaf", "\\xc0\\xaf\\xe0\\x80\\xaf");
	check_clean("\xed\xa0\x80", "\\xed\\xa0\\x80");
	check_clean("\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80");
}

static void text_is_cut_between_characters(void **state)
{
	struct str s = {0};

	(void)state;
	str_add(&s, "a\xe6\x97\xa5z");
	job_cut(&s, 5);
	assert_int_equal(s.len, 5);
	job_cut(&s, 3);
	assert_string_equal(s.s, "a");
	job_cut(&s, 0);
	assert_string_equal(s.s, "");
	str_free(&s);
}

static void times_are_told_in_utc(void **state)
{
	char out[40];

	(void)state;
	assert_string_equal(job_time(out, BED_TIME),
			    "2026-05-01T12:00:00.123Z");
	assert_string_equal(job_time(out, 0), "1970-01-01T00:00:00.000Z");
	job_time(out, -5);
	job_time(out, INT64_MAX);
}

static void what_is_no_job_is_refused(void **state)
{
	static const char *const texts[] = {
		"",
		"[]",
		"{}",
		"{\"channel\": {}}",
		"{\"messages\": []}",
		"{\"channel\": [], \"messages\": []}",
	};
	struct job job;
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		assert_int_equal(
			job_parse(&job, texts[i], strlen(texts[i]), &err), -1);
}

static void a_job_is_clean_before_anybody_writes_of_it(void **state)
{
	struct job job;
	char *text;

	(void)state;
	bed_job(&job, "\"type\": \"syslog\"");
	text = json_dumps(job.messages, JSON_COMPACT);
	bed_harmless(text, "");
	free(text);
	assert_string_equal(job.host, "h___st");
	assert_true(job_is(&job, "type", "syslog"));
	assert_false(job_is(&job, "server", ""));
	job_free(&job);
}

static void each_kind_of_message_says_what_it_is(void **state)
{
	struct str line = {0};
	struct job job;

	(void)state;
	bed_job(&job, "");
	assert_string_equal(message_kind(bed_message(&job, 0)), "virus");
	assert_string_equal(message_kind(bed_message(&job, 1)), "digest");
	assert_string_equal(message_kind(bed_message(&job, 2)), "test");
	assert_int_equal(message_severity(bed_message(&job, 1)), 3);
	assert_int_equal(message_severity(bed_message(&job, 2)), 0);
	assert_true(message_time(bed_message(&job, 1)) == BED_TIME);
	message_line(bed_message(&job, 1), &line);
	assert_string_equal(str_get(&line),
			    "12 events: virus high 10, system medium 2");
	str_clear(&line);
	message_body(&job, bed_message(&job, 0), &line);
	assert_non_null(strstr(line.s, "\nvirus: Eicar\n"));
	assert_non_null(strstr(line.s, "\npid: 12\n"));
	assert_null(strstr(line.s, "\nBcc"));
	str_clear(&line);
	message_body(&job, bed_message(&job, 1), &line);
	assert_non_null(strstr(line.s, "10  virus, high\n"));
	assert_non_null(strstr(line.s, "the worst first"));
	assert_non_null(strstr(line.s, "high virus: one\\x0atwo\n"));
	str_free(&line);
	job_free(&job);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_is_made_harmless_and_letters_stay),
		cmocka_unit_test(text_is_cut_between_characters),
		cmocka_unit_test(times_are_told_in_utc),
		cmocka_unit_test(what_is_no_job_is_refused),
		cmocka_unit_test(a_job_is_clean_before_anybody_writes_of_it),
		cmocka_unit_test(each_kind_of_message_says_what_it_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
