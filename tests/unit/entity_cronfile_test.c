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
static struct schedules *none;

static void set(struct conf *conf, const char *key, const char *value)
{
	if (conf_set(conf, key, value, &err) < 0)
		fail_msg("%s", err.text);
}

static void the_update_has_its_line_when_there_is_a_source(void **state)
{
	struct conf *conf = conf_new();
	char *text = cronfile_text(conf, none, 1), *other;

	(void)state;
	assert_null(strstr(text, "update"));
	assert_non_null(strstr(text, "SHELL=/bin/sh\n"));
	free(text);
	set(conf, "PatternSource", "{\"https://x.example/p\"}");
	set(conf, "UpdateSchedule", "*/20 1-2 * * mon");
	text = cronfile_text(conf, none, 1);
	assert_non_null(strstr(text, "\n0,20,40 1,2 * * 1 root [ -x "
				     "/usr/sbin/splxctl ] && "
				     "/usr/sbin/splxctl pattern update "
				     "--cron\n"));
	free(text);
	set(conf, "UpdateSchedule", "daily");
	text = cronfile_text(conf, none, 1);
	other = cronfile_text(conf, none, 2);
	assert_string_not_equal(text, other);
	free(text);
	free(other);
	set(conf, "UpdateSchedule", "off");
	text = cronfile_text(conf, none, 1);
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
	text = cronfile_text(conf, none, 99);
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

static void each_schedule_has_its_line_and_void_ones_none(void **state)
{
	static const char file[] = "[nightly]\nWhen = 30 1 * * 1-5\nPaths = "
				   "\"/srv/100% #1\"\n"
				   "[off]\nPaths = /\n"
				   "[a]\nWhen = daily\nPaths = /\n"
				   "[b]\nWhen = daily\nPaths = /\n"
				   "[a;reboot]\nWhen = daily\nPaths = /\n"
				   "[void]\nWhen = daily\nPaths = srv\n";
	struct schedules *list = schedules_parse(file, "x");
	struct conf *conf = conf_new();
	char *text = cronfile_text(conf, list, 5), *a, *b;

	(void)state;
	assert_non_null(strstr(text, "\n30 1 * * 1-5 root [ -x "
				     "/usr/sbin/splxctl ] && /usr/sbin/splxctl "
				     "scan run nightly --cron\n"));
	assert_null(strstr(text, "run off"));
	assert_null(strstr(text, "reboot"));
	assert_null(strstr(text, "void"));
	assert_null(strchr(text, '%'));
	assert_int_equal(list->problems.len, 2);
	/* The same word is another time for each. */
	a = strstr(text, "scan run a ");
	b = strstr(text, "scan run b ");
	assert_non_null(a);
	assert_non_null(b);
	while (a[-1] != '\n')
		a--;
	while (b[-1] != '\n')
		b--;
	assert_int_not_equal(strncmp(a, b, 6), 0);
	free(text);
	conf_free(&conf);
	schedules_free(&list);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			the_update_has_its_line_when_there_is_a_source),
		cmocka_unit_test(it_is_a_crontab_for_every_cron),
		cmocka_unit_test(
			what_cron_cannot_say_is_refused_with_the_reason),
		cmocka_unit_test(each_schedule_has_its_line_and_void_ones_none),
	};
	int rc;

	none = schedules_parse("", "");
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	schedules_free(&none);
	return rc;
}
