/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/schedules.h"
#include "common/verdict.h"

static struct err err;

static const char sample[] = "# mine\n"
			     "[nightly]\n"
			     "When = 30 1 * * mon-fri # at night\n"
			     "Paths = /srv, \"/home/a, b\" , /x#y\n"
			     "Exclude = /srv/tmp\n"
			     "Exclusions = no\n"
			     "All = yes\n"
			     "FirstAction = quarantine\n"
			     "Priority = low\n"
			     "MaxTime = 6h\n"
			     "Resume = no\n"
			     "Missed = run\n"
			     "Report = mail:root\n"
			     "\n"
			     "# the other\n"
			     "[b]\n"
			     "Paths = /\n";

static void what_stands_in_the_file_is_read(void **state)
{
	struct schedules *list = schedules_parse(sample, "f");
	const struct schedule *s = schedules_find(list, "nightly");

	(void)state;
	assert_int_equal(list->problems.len, 0);
	assert_int_equal(list->entries.len, 2);
	assert_string_equal(s->when, "30 1 * * mon-fri");
	assert_int_equal(s->paths.len, 3);
	assert_string_equal(s->paths.items[1], "/home/a, b");
	assert_string_equal(s->paths.items[2], "/x#y");
	assert_string_equal(s->exclude.items[0], "/srv/tmp");
	assert_false(s->exclusions);
	assert_true(s->all && s->low && s->missed && !s->resume);
	assert_int_equal(s->first_action, ACTION_QUARANTINE);
	assert_int_equal(s->second_action, -1);
	assert_true(s->max_ms == 6 * 3600 * 1000);
	assert_string_equal(schedule_mail(s), "root");
	s = schedules_find(list, "b");
	assert_string_equal(s->when, "off");
	assert_string_equal(s->report, "none");
	assert_true(s->exclusions && s->resume && !s->low && !s->missed);
	assert_null(schedule_mail(s));
	schedules_free(&list);
}

static bool told(const struct schedules *list, const char *said)
{
	const struct entryfile_problem *p;

	vec_each (p, &list->problems)
		if (strstr(p->text, said))
			return true;
	return false;
}

/* Each wrong line stands in an entry between two that are right. */
static void a_wrong_entry_voids_itself_alone_and_says_why(void **state)
{
	static const struct {
		const char *line, *said;
	} wrong[] = {
		{"When = every noon", "f:5: When: \"every noon\": hourly"},
		{"When = 61 * * * *", "minute"},
		{"Paths = srv", "full paths"},
		{"Paths = /a,,/b", "Paths: a value is missing"},
		{"Paths = \"/a", "closing \""},
		{"Paths = \"/a\" /b", "a comma is missing after /a"},
		{"FirstAction = eat", "default, clean, quarantine"},
		{"SecondAction = clean", "default, quarantine"},
		{"FirstAction = none", "FirstAction"},
		{"Priority = high", "low or normal"},
		{"MaxTime = 6", "such as 6h"},
		{"MaxTime = 31d", "1s to 30d"},
		{"Resume = maybe", "yes or no"},
		{"Missed = yes", "run or skip"},
		{"Report = somebody", "none, mail:ADDRESS"},
		{"Report = mail:-oQ/tmp", "mail:ADDRESS"},
		{"Report = mail:a b", "mail:ADDRESS"},
		{"Report = mail:a@b@c", "mail:ADDRESS"},
		{"Report = /", "directory"},
		{"Path = /", "did you mean Paths?"},
		{"Colour = red", "no such key; allowed: When, Paths"},
		{"nonsense", "no \"Key = value\""},
		{"All = yes\nAll = no", "stands twice"},
		{"Exclude = /\x01", "control character"},
		{"[a]", "no Paths"},
		{"[1x]", "an entry begins with [NAME]"},
		{"[x] y", "an entry begins with [NAME]"},
		{"[x", "an entry begins with [NAME]"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		char text[512];
		struct schedules *list;

		snprintf(text, sizeof(text),
			 "[a]\nPaths = /a\n[v]\n%s%s\n[z]\nPaths = /z\n",
			 strncmp(wrong[i].line, "Paths", 5) == 0 ||
					 wrong[i].line[0] == '['
				 ? "\n"
				 : "Paths = /v\n",
			 wrong[i].line);
		list = schedules_parse(text, "f");
		if (!told(list, wrong[i].said))
			fail_msg("%s: %s", wrong[i].line,
				 list->problems.len
					 ? list->problems.items[0].text
					 : "taken");
		assert_null(schedules_find(list, "v"));
		assert_non_null(schedules_find(list, "a"));
		assert_non_null(schedules_find(list, "z"));
		schedules_free(&list);
	}
}

static void a_name_that_stands_twice_is_the_first_one(void **state)
{
	struct schedules *list =
		schedules_parse("[a]\nPaths = /1\n[a]\nPaths = /2\n", "f");

	(void)state;
	assert_int_equal(list->entries.len, 1);
	assert_string_equal(list->entries.items[0].paths.items[0], "/1");
	assert_non_null(strstr(list->problems.items[0].text, "f:3: a: stands"));
	schedules_free(&list);
}

static char *edit(const char *text, const char *name, const char *key,
		  const char *value)
{
	char *out = schedules_edit(text, name, key, value, &err);

	if (!out)
		fail_msg("%s", err.text);
	return out;
}

static void an_edit_changes_its_line_and_keeps_the_rest(void **state)
{
	char *one = edit(sample, "nightly", "MaxTime", "2h"), *two, *three;
	struct schedules *list;

	(void)state;
	assert_non_null(strstr(one, "# mine\n[nightly]\n"));
	assert_non_null(strstr(one, "\nMaxTime = 2h\nResume = no\n"));
	assert_null(strstr(one, "6h"));
	two = edit(one, "b", "When", "weekly");
	assert_true(strstr(two, "[b]\nPaths = /\nWhen = weekly\n") != NULL);
	three = edit(two, "new", "Paths", "/n");
	assert_non_null(strstr(three, "\n\n[new]\nPaths = /n\n"));
	list = schedules_parse(three, "f");
	assert_int_equal(list->problems.len, 0);
	assert_int_equal(list->entries.len, 3);
	schedules_free(&list);
	free(one);
	one = edit(three, "nightly", NULL, NULL);
	assert_null(strstr(one, "nightly"));
	assert_non_null(strstr(one, "# mine\n"));
	assert_non_null(strstr(one, "# the other\n[b]\n"));
	free(two);
	two = edit(one, "b", "When", "");
	assert_null(strstr(two, "weekly"));
	free(one);
	free(two);
	free(three);
	one = edit(NULL, "n", "Paths", "/n");
	assert_string_equal(one, "[n]\nPaths = /n\n");
	two = edit("[n]\nPaths = /n", "n", "All", "yes");
	assert_string_equal(two, "[n]\nPaths = /n\nAll = yes\n");
	free(one);
	free(two);
}

static void an_edit_that_makes_no_sense_is_refused(void **state)
{
	(void)state;
	assert_null(schedules_edit(sample, "a b", "When", "off", &err));
	assert_int_equal(err.code, EINVAL);
	assert_null(schedules_edit(sample, "b", "Wen", "off", &err));
	assert_non_null(strstr(err.text, "did you mean When?"));
	assert_null(schedules_edit(sample, "b", "When", "off\n[x]", &err));
	assert_null(schedules_edit(sample, "nothing", NULL, NULL, &err));
	assert_int_equal(err.code, ENOENT);
}

/* What is shown can be set again, and is then the same. */
static void what_is_told_can_be_written_again(void **state)
{
	struct schedules *list = schedules_parse(sample, "f"), *again;
	json_t *told = schedule_json(schedules_find(list, "nightly")), *row,
	       *back;
	char *text = strdup(""), *next;
	size_t i;

	(void)state;
	json_array_foreach (told, i, row) {
		next = edit(text, "nightly",
			    json_string_value(json_object_get(row, "key")),
			    json_string_value(json_object_get(row, "value")));
		free(text);
		text = next;
	}
	again = schedules_parse(text, "f");
	assert_int_equal(again->problems.len, 0);
	back = schedule_json(schedules_find(again, "nightly"));
	assert_true(json_equal(told, back));
	json_decref(told);
	json_decref(back);
	schedules_free(&list);
	schedules_free(&again);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_stands_in_the_file_is_read),
		cmocka_unit_test(a_wrong_entry_voids_itself_alone_and_says_why),
		cmocka_unit_test(a_name_that_stands_twice_is_the_first_one),
		cmocka_unit_test(an_edit_changes_its_line_and_keeps_the_rest),
		cmocka_unit_test(an_edit_that_makes_no_sense_is_refused),
		cmocka_unit_test(what_is_told_can_be_written_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
