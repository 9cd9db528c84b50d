/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/* The crontab that is made of the settings. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "common/conf.h"
#include "entity/cronfile.h"

static struct err err;

static void set(struct conf *conf, const char *key, const char *value)
{
	if (conf_set(conf, key, value, &err) < 0)
		fail_msg("%s", err.text);
}

static void the_update_has_its_line_when_there_is_a_source(void **state)
{
	struct conf *conf = conf_new();
	char *text = cronfile_text(conf, 1), *other;

	(void)state;
	assert_null(strstr(text, "update"));
	assert_non_null(strstr(text, "SHELL=/bin/sh\n"));
	free(text);
	set(conf, "PatternSource", "{\"https://x.example/p\"}");
	set(conf, "UpdateSchedule", "*/20 1-2 * * mon");
	text = cronfile_text(conf, 1);
	assert_non_null(strstr(text, "\n0,20,40 1,2 * * 1 root [ -x "
				     "/usr/sbin/splxctl ] && "
				     "/usr/sbin/splxctl pattern update "
				     "--cron\n"));
	free(text);
	set(conf, "UpdateSchedule", "daily");
	text = cronfile_text(conf, 1);
	other = cronfile_text(conf, 2);
	assert_string_not_equal(text, other);
	free(text);
	free(other);
	set(conf, "UpdateSchedule", "off");
	text = cronfile_text(conf, 1);
	assert_null(strstr(text, "update"));
	free(text);
	conf_free(&conf);
}

/* Some crons take no other end, and % is theirs. */
static void it_is_a_crontab_for_every_cron(void **state)
{
	struct conf *conf = conf_new();
	char *text;

	(void)state;
	set(conf, "PatternSource", "{\"/srv/100%\"}");
	text = cronfile_text(conf, 99);
	assert_true(text[strlen(text) - 1] == '\n');
	assert_null(strchr(text, '%'));
	assert_null(strchr(text, '@'));
	assert_null(strstr(text, "*/"));
	free(text);
	conf_free(&conf);
}

static void what_cron_cannot_say_is_refused_with_the_reason(void **state)
{
	struct conf *conf = conf_new();

	(void)state;
	assert_int_equal(conf_set(conf, "UpdateSchedule", "61 * * * *", &err),
			 -1);
	assert_non_null(strstr(err.text, "UpdateSchedule"));
	assert_non_null(strstr(err.text, "minute"));
	assert_int_equal(conf_set(conf, "UpdateSchedule", "every noon", &err),
			 -1);
	assert_non_null(strstr(err.text, "five fields"));
	assert_int_equal(conf_set(conf, "UpdateSchedule", "0 0 31 2 *", &err),
			 -1);
	assert_string_equal(conf->update_schedule, "daily");
	conf_free(&conf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			the_update_has_its_line_when_there_is_a_source),
		cmocka_unit_test(it_is_a_crontab_for_every_cron),
		cmocka_unit_test(
			what_cron_cannot_say_is_refused_with_the_reason),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
