/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/cron.h"

static struct err err;

static struct cron parsed(const char *text)
{
	struct cron c;

	if (cron_parse(text, 12345, &c, &err) < 0)
		fail_msg("%s", err.text);
	return c;
}

static void is_written(const char *text, const char *as)
{
	struct cron c = parsed(text), again;
	char out[CRON_TEXT_MAX];

	assert_string_equal(cron_text(&c, out, sizeof(out)), as);
	again = parsed(out);
	assert_true(again.minutes == c.minutes && again.hours == c.hours &&
		    again.days == c.days && again.months == c.months &&
		    again.weekdays == c.weekdays);
}

static void what_people_write_becomes_numbers(void **state)
{
	(void)state;
	is_written("* * * * *", "* * * * *");
	is_written("17 3 * * *", "17 3 * * *");
	is_written("*/15 0-6/2 1,15 * *", "0,15,30,45 0,2,4,6 1,15 * *");
	is_written("5 4 * jan-MAR,Dec mon-fri", "5 4 * 1-3,12 1-5");
	is_written(" 0\t12 * * 7 ", "0 12 * * 0");
	is_written("0 0 1 1 0-7", "0 0 1 1 0-6");
	is_written("59 23 31 12 sat,sun", "59 23 31 12 0,6");
	is_written("0-59 * 29 2 *", "* * 29 2 *");
	is_written("1,2,3,5 * * * *", "1-3,5 * * * *");
}

static void what_is_wrong_is_named(void **state)
{
	static const struct {
		const char *text, *why;
	} bad[] = {
		{"", "five fields"},
		{"* * * *", "five fields"},
		{"* * * * * *", "five fields"},
		{"fortnightly", "five fields"},
		{"@daily", "five fields"},
		{"60 * * * *", "minute"},
		{"-1 * * * *", "minute"},
		{"x * * * *", "minute"},
		{"1-  * * * *", "minute"},
		{"5-1 * * * *", "minute"},
		{"*/0 * * * *", "minute"},
		{"1/2 * * * *", "minute"},
		{"1,,2 * * * *", "minute"},
		{",1 * * * *", "minute"},
		{"1, * * * *", "minute"},
		{"1a * * * *", "minute"},
		{"00001 * * * *", "minute"},
		{"* 24 * * *", "hour"},
		{"* * 0 * *", "day of the month"},
		{"* * 32 * *", "day of the month"},
		{"* * * 13 *", "month"},
		{"* * * janu *", "month"},
		{"* * * * 8", "day of the week"},
		{"* * * * mond", "day of the week"},
		{"0 0 30 2 *", "ever comes"},
		{"0 0 31 4,6 *", "ever comes"},
		{"1 * * * *;id", "day of the week"},
		{"1 * * * %", "day of the week"},
	};
	struct cron c;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(cron_parse(bad[i].text, 0, &c, &err), -1);
		if (!strstr(err.text, bad[i].why))
			fail_msg("%s: %s", bad[i].text, err.text);
	}
}

static void words_come_at_night_and_not_all_at_once(void **state)
{
	static const char *const words[] = {"hourly", "daily", "Weekly",
					    "monthly"};
	char first[CRON_TEXT_MAX], out[CRON_TEXT_MAX];
	struct cron c;
	int others;

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		others = 0;
		assert_int_equal(cron_parse(words[i], 0, &c, &err), 0);
		cron_text(&c, first, sizeof(first));
		for (uint64_t seed = 1; seed < 1000; seed++) {
			assert_int_equal(cron_parse(words[i], seed, &c, &err),
					 0);
			others += strcmp(first,
					 cron_text(&c, out, sizeof(out))) != 0;
			if (i > 0)
				assert_true(c.hours & 0x38 &&
					    !(c.hours & ~0x38u));
			parsed(out);
		}
		assert_true(others > 900);
	}
	assert_int_equal(cron_parse("off", 0, &c, &err), 0);
	assert_true(c.off);
	assert_true(cron_next(&c, 0) == (time_t)-1);
}

/* The first match by trying every minute. */
static time_t by_trying(const struct cron *c, time_t after)
{
	struct tm tm;

	for (time_t t = after - after % 60 + 60;; t += 60)
		if (localtime_r(&t, &tm) && cron_matches(c, &tm))
			return t;
}

static void the_next_time_is_the_first_that_matches(void **state)
{
	static const char *const texts[] = {
		"* * * * *",   "17 3 * * *",	"30 2 * * *",
		"0 0 1 * *",   "59 23 * * sun", "*/7 */5 1-7 * mon",
		"0 12 13 * 5", "15 2,3 * * 0",	"0 22-23 31 * *",
	};
	/* over the nights in which the clock is put forward and back */
	static const time_t from[] = {1790000000, 1774742000, 1792885000,
				      1798670000, 1772280000};
	static const char *const zones[] = {"UTC", "Europe/Berlin",
					    "America/St_Johns",
					    "Australia/Lord_Howe"};

	(void)state;
	for (size_t z = 0; z < sizeof(zones) / sizeof(zones[0]); z++) {
		setenv("TZ", zones[z], 1);
		tzset();
		for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
			for (size_t k = 0; k < 5; k++) {
				struct cron c = parsed(texts[i]);

				assert_true(cron_next(&c, from[k]) ==
					    by_trying(&c, from[k]));
			}
	}
	unsetenv("TZ");
	tzset();
}

static void either_day_counts_when_both_are_named(void **state)
{
	struct cron c = parsed("0 0 13 * fri");
	struct tm a_friday = {.tm_mday = 6, .tm_wday = 5};
	struct tm the_13th = {.tm_mday = 13, .tm_wday = 1};
	struct tm neither = {.tm_mday = 12, .tm_wday = 1};

	(void)state;
	assert_true(cron_matches(&c, &a_friday));
	assert_true(cron_matches(&c, &the_13th));
	assert_false(cron_matches(&c, &neither));
	c = parsed("0 0 * * fri");
	assert_false(cron_matches(&c, &the_13th));
	assert_true(cron_matches(&c, &a_friday));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_people_write_becomes_numbers),
		cmocka_unit_test(what_is_wrong_is_named),
		cmocka_unit_test(words_come_at_night_and_not_all_at_once),
		cmocka_unit_test(the_next_time_is_the_first_that_matches),
		cmocka_unit_test(either_day_counts_when_both_are_named),
	};

	alarm(60);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
