/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/* What splxctl is told to do as a task, and what it said. */
#include "entity_storebed.h"

#include "entity/tasks.h"

static char **words(const char *wire, int argc, char *const *argv,
		    const char *extra)
{
	const struct verb *v = verbs_find(wire);
	struct err err = {0};
	json_t *args = verbs_parse(v, argc, argv, &err);
	char **out;

	if (!args)
		fail_msg("%s", err.text);
	out = tasks_argv(v, args, extra);
	json_decref(args);
	return out;
}

static void nothing_that_is_sent_becomes_an_option_of_splxctls(void **state)
{
	char *argv[] = {"--", "-R/evil", NULL};
	char **out = words("pattern.rollback", 2, argv, NULL);

	assert_string_equal(out[0], "splxctl");
	assert_string_equal(out[1], "-R");
	assert_string_equal(out[2], paths()->root);
	assert_string_equal(out[3], "pattern");
	assert_string_equal(out[4], "rollback");
	assert_string_equal(out[5], "--");
	assert_string_equal(out[6], "-R/evil");
	assert_null(out[7]);
	tasks_argv_free(&out);
}

static void options_stand_before_words_as_one_word_each(void **state)
{
	char *argv[] = {"3", "--early", "--after", "--output=x", NULL};
	char **out = words("order.apply", 4, argv, NULL);

	assert_string_equal(out[5], "--after=--output=x");
	assert_string_equal(out[6], "--early");
	assert_string_equal(out[7], "--");
	assert_string_equal(out[8], "3");
	assert_null(out[9]);
	tasks_argv_free(&out);
}

static void where_a_result_goes_is_the_last_word(void **state)
{
	char *argv[] = {NULL};
	char *path = tasks_result(7);
	char **out = words("diagnose", 0, argv, path);

	assert_string_equal(out[4], "--");
	assert_string_equal(out[5], path);
	assert_null(out[6]);
	free(path);
	tasks_argv_free(&out);
}

static void what_is_said_without_end_keeps_its_end_in_bounded_memory(
	void **state)
{
	struct str output = {0};
	char line[200], *text;
	int i;

	for (i = 0; i < 100000; i++) {
		snprintf(line, sizeof(line), "line %d\n", i);
		tasks_say(&output, line, strlen(line));
	}
	assert_true(output.len <= 2 * TASKS_OUTPUT);
	assert_true(output.cap <= 8 * TASKS_OUTPUT);
	text = tasks_text(&output);
	assert_true(strlen(text) <= TASKS_OUTPUT);
	assert_true(str_ends(text, "line 99999\n"));
	assert_int_equal(strncmp(text, "line ", 5), 0);
	free(text);
	str_free(&output);
}

static void control_characters_reach_nobodys_screen(void **state)
{
	struct str output = {0};
	char *text;

	tasks_say(&output, "a\033[2Jb\r\n\xff\xfe\nend", 14);
	text = tasks_text(&output);
	assert_null(strchr(text, '\033'));
	assert_null(strchr(text, '\r'));
	assert_null(strchr(text, '\xff'));
	assert_true(str_ends(text, "\nend\n"));
	free(text);
	str_free(&output);
}

static void keep(const struct task_row *row, void *arg)
{
	*(int *)arg = *(int *)arg * 10 + row->state;
}

static void those_that_run_are_never_trimmed(void **state)
{
	struct store *store = store_new(paths()->store);
	struct task_row row = {.verb = "diagnose",
			       .args = "[]",
			       .by = "x",
			       .code = -1,
			       .output = ""};
	struct err err;
	int seen = 0, i;

	row.state = TASK_RUNNING;
	assert_int_equal(store_task_add(store, &row, &err), 0);
	row.state = TASK_DONE;
	for (i = 0; i < 5; i++)
		assert_int_equal(store_task_add(store, &row, &err), 0);
	assert_int_equal(store_tasks_trim(store, 2, &err), 0);
	assert_int_equal(store_tasks(store, 100, keep, &seen, &err), 0);
	assert_int_equal(seen, 110); /* done, done, running */
	store_free(&store);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			nothing_that_is_sent_becomes_an_option_of_splxctls),
		cmocka_unit_test(options_stand_before_words_as_one_word_each),
		cmocka_unit_test(where_a_result_goes_is_the_last_word),
		cmocka_unit_test(
			what_is_said_without_end_keeps_its_end_in_bounded_memory),
		cmocka_unit_test(control_characters_reach_nobodys_screen),
		cmocka_unit_test_setup(those_that_run_are_never_trimmed,
				       sb_setup),
	};

	return cmocka_run_group_tests(tests, sb_group_setup, sb_group_teardown);
}
