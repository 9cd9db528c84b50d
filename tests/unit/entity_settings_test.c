/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "entity_bed.h"

#define LIMIT_S 240

static int setup(void **state)
{
	struct bed *b = malloc(sizeof(*b));

	bed_new(b);
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	bed_free(*state);
	free(*state);
	return 0;
}

static json_t *set(const struct bed *b, const char *key, const char *value,
		   char code[32])
{
	return bed_call(b, "config.set",
			json_pack("{s:s, s:s}", "key", key, "value", value),
			code);
}

/* The member of the setting's row as text. */
static void assert_setting(const struct bed *b, const char *key,
			   const char *member, const char *want)
{
	json_t *row =
		bed_call(b, "config.get", json_pack("{s:s}", "key", key), NULL);

	assert_non_null(row);
	assert_string_equal(json_string_value(json_object_get(row, member)),
			    want);
	json_decref(row);
}

static json_t *health(const struct bed *b, const char *field)
{
	json_t *data =
		bed_call(b, "health", json_pack("{s:s}", "field", field), NULL);
	json_t *value = json_incref(json_object_get(data, "value"));

	json_decref(data);
	return value;
}

/* The text of the issue with that code; NULL when there is none. */
static char *issue(const struct bed *b, int code)
{
	json_t *list = health(b, "health_issues"), *e;
	char *text = NULL;
	size_t i;

	json_array_foreach (list, i, e)
		if (!text &&
		    json_integer_value(json_object_get(e, "code")) == code)
			text = strdup(
				json_string_value(json_object_get(e, "text")));
	json_decref(list);
	return text;
}

static void assert_file_has(const struct bed *b, const char *name,
			    const char *text, bool has)
{
	char *file = bed_read(b, name);

	if (has != (strstr(file, text) != NULL))
		fail_msg("%s: \"%s\" %s in:\n%s", name, text,
			 has ? "is not" : "is", file);
	free(file);
}

static void a_change_is_written_in_force_and_taken_over(void **state)
{
	struct bed *b = *state;
	json_t *data;

	bed_start(b, "-a");
	data = set(b, "VerdictTimeout", "7s", NULL);
	assert_non_null(data);
	assert_true(json_is_true(json_object_get(data, "applied")));
	assert_string_equal(json_string_value(json_array_get(
				    json_object_get(data, "changed"), 0)),
			    "VerdictTimeout");
	json_decref(data);
	assert_setting(b, "VerdictTimeout", "value", "7s");
	assert_setting(b, "VerdictTimeout", "origin", "file");
	assert_file_has(b, "etc/splx/splx.conf", "# kept", true);
	assert_file_has(b, "etc/splx/splx.conf", "VerdictTimeout = 7s", true);
	assert_file_has(b, "run/splx/active.conf", "VerdictTimeout = 7s", true);
	assert_file_has(b, "var/lib/splx/last-good.conf", "VerdictTimeout = 7s",
			true);
	data = bed_call(b, "config.reset",
			json_pack("{s:s}", "key", "VerdictTimeout"), NULL);
	assert_non_null(data);
	json_decref(data);
	assert_setting(b, "VerdictTimeout", "value", "5s");
	assert_setting(b, "VerdictTimeout", "origin", "default");
}

static void a_value_that_is_not_allowed_changes_nothing(void **state)
{
	static const char *const bad[][2] = {
		{"VerdictTimeout", "1ms"},
		{"OnError", "maybe"},
		{"ScanUser", "nobody-there"},
		{"ScanUser", "root"},
	};
	struct bed *b = *state;
	char *before, *after, code[32];
	size_t i;

	bed_start(b, NULL);
	before = bed_read(b, "etc/splx/splx.conf");
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_null(set(b, bad[i][0], bad[i][1], code));
		assert_string_equal(code, "invalid");
	}
	assert_null(set(b, "NoSuchKey", "1", code));
	assert_string_equal(code, "not_found");
	after = bed_read(b, "etc/splx/splx.conf");
	assert_string_equal(before, after);
	free(before);
	free(after);
}

static void a_broken_file_is_told_by_line_and_the_settings_stay(void **state)
{
	struct bed *b = *state;
	char code[32], *text;

	bed_start(b, "-a");
	json_decref(set(b, "Workers", "3", NULL));
	bed_write(b, "etc/splx/splx.conf", "Workers = 4\nOnError = perhaps\n");
	assert_null(bed_call(b, "config.reload", NULL, code));
	assert_string_equal(code, "invalid");
	assert_setting(b, "Workers", "value", "3");
	text = issue(b, 20040);
	assert_non_null(text);
	assert_non_null(strstr(text, "splx.conf:2"));
	assert_non_null(strstr(text, "OnError"));
	free(text);
	/* mended: taken over by SIGHUP to the supervisor, and told well */
	bed_write(b, "etc/splx/splx.conf",
		  "Workers = 5\nScanUser = \"61184\"\n");
	kill(b->pid, SIGHUP);
	bed_until((text = issue(b, 20040)) == NULL || (free(text), false));
	assert_setting(b, "Workers", "value", "5");
}

static void the_last_good_settings_serve_a_start_with_a_broken_file(
	void **state)
{
	struct bed *b = *state;
	char reply[64], *text;

	bed_start(b, NULL);
	json_decref(set(b, "Workers", "3", NULL));
	bed_control(b, "stop all", reply, sizeof(reply));
	bed_wait(b);
	bed_write(b, "etc/splx/splx.conf", "Workers = lots\n");
	bed_start(b, NULL);
	assert_setting(b, "Workers", "value", "3");
	assert_setting(b, "Workers", "origin", "last-good");
	text = issue(b, 20040);
	assert_non_null(strstr(text, "splx.conf:1"));
	free(text);
}

static void a_setting_can_mend_the_file_that_it_broke(void **state)
{
	struct bed *b = *state;
	json_t *data;

	bed_start(b, NULL);
	bed_write(b, "etc/splx/splx.conf",
		  "# mine\nWorkers = lots\nScanUser = \"61184\"\n");
	data = set(b, "Workers", "2", NULL);
	assert_non_null(data);
	json_decref(data);
	assert_file_has(b, "etc/splx/splx.conf", "# mine", true);
	assert_file_has(b, "etc/splx/splx.conf", "lots", false);
}

static void edits_that_were_not_reloaded_are_not_lost_by_a_change(void **state)
{
	struct bed *b = *state;

	bed_start(b, NULL);
	bed_write(b, "etc/splx/splx.conf",
		  "ScanUser = \"61184\"\nMaxFiles = 77\n");
	json_decref(set(b, "Workers", "2", NULL));
	assert_setting(b, "MaxFiles", "value", "77");
	assert_file_has(b, "etc/splx/splx.conf", "MaxFiles = 77", true);
}

static void a_silent_vsapiapp_costs_five_seconds_and_holds_nobody_else(
	void **state)
{
	struct bed *b = *state;
	uint64_t begun;
	json_t *data;
	int status;
	pid_t pid;

	bed_start(b, "-a");
	bed_write(b, "fake", "silent");
	pid = fork();
	if (pid == 0) {
		data = set(b, "Workers", "2", NULL);
		_exit(data && json_is_false(json_object_get(data, "applied"))
			      ? 0
			      : 1);
	}
	usleep(200000);
	begun = clock_mono_ns();
	assert_setting(b, "Workers", "value", "2");
	assert_true(clock_mono_ns() - begun < CLOCK_NS_PER_S);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_in_range(clock_mono_ns() - begun, 4 * CLOCK_NS_PER_S,
			7 * CLOCK_NS_PER_S);
}

static void a_refusal_of_vsapiapp_is_the_answer(void **state)
{
	struct bed *b = *state;
	char code[32];

	bed_start(b, "-a");
	bed_write(b, "fake", "refuse");
	assert_null(set(b, "Workers", "2", code));
	assert_string_equal(code, "failed");
	assert_null(bed_call(b, "pattern.reload", NULL, code));
	assert_string_equal(code, "failed");
	bed_write(b, "fake", "");
	json_decref(set(b, "Workers", "3", NULL));
	assert_setting(b, "Workers", "value", "3");
}

static void changes_at_once_are_all_made_one_after_the_other(void **state)
{
	static const char *const keys[] = {"Workers", "MaxFiles",
					   "MaxRecursion", "WorkersMax"};
	struct bed *b = *state;
	pid_t pids[4];
	int i, status;
	json_t *data;

	bed_start(b, "-a");
	for (i = 0; i < 4; i++) {
		pids[i] = fork();
		if (pids[i] == 0) {
			data = set(b, keys[i], "9", NULL);
			_exit(!json_is_true(json_object_get(data, "applied")));
		}
	}
	for (i = 0; i < 4; i++) {
		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_int_equal(status, 0);
	}
	for (i = 0; i < 4; i++)
		assert_setting(b, keys[i], "value", "9");
}

static void exclusions_are_added_listed_removed_and_bad_ones_refused(
	void **state)
{
	struct bed *b = *state;
	json_t *data;
	char code[32];

#define EXCLUSION(verb, type, value)                                           \
	bed_call(b, verb,                                                      \
		 json_pack("{s:s, s:s}", "type", type, "value", value), code)
	bed_start(b, NULL);
	data = EXCLUSION("exclusion.add", "directory", "/srv/big");
	assert_int_equal(json_array_size(json_object_get(data, "changed")), 1);
	json_decref(data);
	data = EXCLUSION("exclusion.add", "directory", "/srv/big");
	assert_int_equal(json_array_size(json_object_get(data, "changed")), 0);
	json_decref(data);
	assert_null(EXCLUSION("exclusion.add", "regex", "("));
	assert_string_equal(code, "invalid");
	assert_null(EXCLUSION("exclusion.add", "colour", "red"));
	assert_string_equal(code, "invalid");
	data = bed_call(b, "exclusion.list", NULL, NULL);
	assert_int_equal(json_array_size(data), 1);
	assert_string_equal(json_string_value(json_object_get(
				    json_array_get(data, 0), "value")),
			    "/srv/big");
	json_decref(data);
	data = EXCLUSION("exclusion.remove", "directory", "/srv/big");
	assert_int_equal(json_array_size(json_object_get(data, "changed")), 1);
	json_decref(data);
}

static void a_void_entry_is_told_and_the_others_hold(void **state)
{
	struct bed *b = *state;
	json_t *data;
	char *text;

	bed_write(b, "etc/splx/splx.conf",
		  "ScanUser = \"61184\"\n"
		  "ExcludeRegex = {\"good\", \"(bad\"}\n"
		  "ViewerUsers = {\"nobody-there\"}\n");
	bed_start(b, NULL);
	text = issue(b, 20041);
	assert_non_null(text);
	free(text);
	data = bed_call(b, "exclusion.list", NULL, NULL);
	assert_int_equal(json_array_size(data), 2);
	assert_false(
		json_is_true(json_object_get(json_array_get(data, 0), "void")));
	assert_true(
		json_is_true(json_object_get(json_array_get(data, 1), "void")));
	json_decref(data);
}

static void a_file_that_cannot_be_written_leaves_all_as_it_was(void **state)
{
	struct bed *b = *state;
	char command[256], code[32];

	bed_start(b, NULL);
	/* A directory in its place: root could write a read-only one. */
	snprintf(command, sizeof(command),
		 "cd %s/etc/splx && rm splx.conf && mkdir splx.conf", b->root);
	assert_int_equal(system(command), 0);
	assert_null(set(b, "Workers", "2", code));
	assert_setting(b, "Workers", "value", "0");
}

static void the_link_to_a_settings_file_stays_a_link(void **state)
{
	struct bed *b = *state;
	char command[256], path[PATH_MAX];
	struct stat st;

	snprintf(command, sizeof(command),
		 "cd %s/etc/splx && mv splx.conf real && ln -s real splx.conf "
		 "&& chmod 600 real",
		 b->root);
	assert_int_equal(system(command), 0);
	bed_start(b, NULL);
	json_decref(set(b, "Workers", "2", NULL));
	snprintf(path, sizeof(path), "%s/etc/splx/splx.conf", b->root);
	assert_int_equal(lstat(path, &st), 0);
	assert_true(S_ISLNK(st.st_mode));
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_file_has(b, "etc/splx/real", "Workers = 2", true);
}

int main(int argc, char **argv)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(a_change_is_written_in_force_and_taken_over),
		T(a_value_that_is_not_allowed_changes_nothing),
		T(a_broken_file_is_told_by_line_and_the_settings_stay),
		T(the_last_good_settings_serve_a_start_with_a_broken_file),
		T(a_setting_can_mend_the_file_that_it_broke),
		T(edits_that_were_not_reloaded_are_not_lost_by_a_change),
		T(a_silent_vsapiapp_costs_five_seconds_and_holds_nobody_else),
		T(a_refusal_of_vsapiapp_is_the_answer),
		T(changes_at_once_are_all_made_one_after_the_other),
		T(exclusions_are_added_listed_removed_and_bad_ones_refused),
		T(a_void_entry_is_told_and_the_others_hold),
		T(a_file_that_cannot_be_written_leaves_all_as_it_was),
		T(the_link_to_a_settings_file_stays_a_link),
	};
	int status;

	if (bed_role(argc, argv, &status))
		return status;
	alarm(LIMIT_S);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
