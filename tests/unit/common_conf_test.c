/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/conf.h"
#include "lib/alloc.h"
#include "lib/fdutil.h"
#include "lib/str.h"

#define FILE_NAME "/etc/splx/splx.conf"

static struct conf *parse_ok(const char *text)
{
	struct err err = {0};
	struct conf *conf = conf_parse(text, FILE_NAME, &err);

	if (!conf)
		fail_msg("%s", err.text);
	return conf;
}

static void parse_fails(const char *text, const char *message)
{
	struct err err = {0};

	assert_null(conf_parse(text, FILE_NAME, &err));
	assert_string_equal(err.text, message);
}

static void parse_fails_with(const char *text, const char *part)
{
	struct err err = {0};

	assert_null(conf_parse(text, FILE_NAME, &err));
	if (!strstr(err.text, part))
		fail_msg("\"%s\" is not in: %s", part, err.text);
	assert_true(str_starts(err.text, FILE_NAME ":"));
}

static void assert_get(const struct conf *conf, const char *key,
		       const char *value)
{
	char *got = conf_get(conf, key);

	assert_string_equal(got, value);
	free(got);
}

static void empty_text_gives_the_defaults(void **state)
{
	struct conf *conf = parse_ok(""), *defaults = conf_new();

	assert_true(conf_equal(conf, defaults));
	assert_int_equal(conf->verdict_timeout, 5000);
	assert_int_equal(conf->max_file_size, 256u << 20);
	assert_int_equal(conf->quarantine_max_age, 90ull * 86400000);
	assert_int_equal(conf->realtime_scan, 7);
	assert_true(conf->log_syslog);
	assert_string_equal(conf->scan_user, "splx");
	assert_int_equal(conf->interceptor, CONF_INTERCEPTOR_AUTO);
	assert_int_equal(conf->known_clean, CONF_KNOWN_PERSISTENT);
	assert_int_equal(conf->ignore_marks, CONF_MARKS_SYSTEM);
	assert_int_equal(conf->on_error, CONF_POLICY_ALLOW);
	assert_int_equal(conf->on_timeout, CONF_POLICY_DEFAULT);
	assert_int_equal(conf->log_level, CONF_LOG_INFO);
	assert_int_equal(conf->exclude_file.len, 0);
	conf_free(&conf);
	conf_free(&defaults);
	assert_null(conf);
}

static void each_kind_of_value_is_read(void **state)
{
	struct conf *conf = parse_ok("Interceptor = fanotify # comment\n"
				     "LogSyslog = off\n"
				     "Workers=3\r\n"
				     "MaxFileSize = \"1G\" // comment\n"
				     "VerdictTimeout = 1500ms /* c */\n"
				     "ScanUser = 'a b'\n"
				     "Include = {\"/a\", '/b', /c,\n"
				     "  # comment \"\n"
				     "  \"/d\\\"\\\\\\x41\\t\\$\",}\n"
				     "ExcludeRegex = {'\\.tmp$', '\\'\\\\'}\n"
				     "ExcludeFile = /one\n"
				     "ExcludeExtension = {}");

	assert_int_equal(conf->interceptor, CONF_INTERCEPTOR_FANOTIFY);
	assert_false(conf->log_syslog);
	assert_int_equal(conf->workers, 3);
	assert_int_equal(conf->max_file_size, 1u << 30);
	assert_int_equal(conf->verdict_timeout, 1500);
	assert_string_equal(conf->scan_user, "a b");
	assert_int_equal(conf->include.len, 4);
	assert_string_equal(conf->include.items[2], "/c");
	assert_string_equal(conf->include.items[3], "/d\"\\A\t$");
	assert_string_equal(conf->exclude_regex.items[0], "\\.tmp$");
	assert_string_equal(conf->exclude_regex.items[1], "'\\");
	assert_int_equal(conf->exclude_file.len, 1);
	assert_int_equal(conf->exclude_extension.len, 0);
	conf_free(&conf);
}

static void a_bad_value_is_told_with_file_line_key_and_what_is_allowed(
	void **state)
{
	parse_fails("# one\n/* two\n three */\n\nVerdictTimeout = 5x\n",
		    FILE_NAME ":5: VerdictTimeout: \"5x\" is not a duration; "
			      "allowed: 100ms to 2m, such as 5s");
	parse_fails("VerdictTimeout = 10m",
		    FILE_NAME ":1: VerdictTimeout: \"10m\" is out of bounds; "
			      "allowed: 100ms to 2m, such as 5s");
	parse_fails("MaxFileSize = 3K",
		    FILE_NAME ":1: MaxFileSize: \"3K\" is out of bounds; "
			      "allowed: 4K to 4294967295, such as 256M");
	parse_fails("Workers = 25", FILE_NAME ":1: Workers: \"25\" is out of "
					      "bounds; allowed: 0 to 24");
	parse_fails("Workers = -1", FILE_NAME ":1: Workers: \"-1\" is out of "
					      "bounds; allowed: 0 to 24");
	parse_fails("Workers = two", FILE_NAME ":1: Workers: \"two\" is not a "
					       "number; allowed: 0 to 24");
	parse_fails("OnError = default",
		    FILE_NAME ":1: OnError: \"default\" "
			      "is not known; allowed: allow or deny");
	parse_fails("LogSyslog = maybe",
		    FILE_NAME ":1: LogSyslog: \"maybe\" "
			      "is neither yes nor no; allowed: yes or no");
	parse_fails("ScanUser = \"\"", FILE_NAME
		    ":1: ScanUser: \"\" is "
		    "empty; allowed: 1 to 4095 characters, such as splx");
}

static void a_duration_needs_its_unit_but_zero_does_not(void **state)
{
	struct conf *conf = parse_ok("QuarantineMaxAge = 0");

	assert_int_equal(conf->quarantine_max_age, 0);
	conf_free(&conf);
	parse_fails_with("QuarantineMaxAge = 90", "has no unit");
}

static void bounds_belong_to_what_is_allowed(void **state)
{
	static const struct {
		const char *key, *value;
		int rc;
	} cases[] = {
		{"VerdictTimeout", "100ms", 0},
		{"VerdictTimeout", "99ms", -1},
		{"VerdictTimeout", "2m", 0},
		{"VerdictTimeout", "120001ms", -1},
		{"MaxFileSize", "4096", 0},
		{"MaxFileSize", "4095", -1},
		{"MaxFileSize", "4294967295", 0},
		{"MaxFileSize", "4G", -1},
		{"Workers", "24", 0},
		{"MaxFiles", "0", -1},
		{"VerdictTimeout", "0", -1},
		{"VerdictTimeout", "", -1},
	};
	struct conf *conf = conf_new();
	struct err err;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		if (conf_set(conf, cases[i].key, cases[i].value, &err) !=
		    cases[i].rc)
			fail_msg("%s = %s", cases[i].key, cases[i].value);
	conf_free(&conf);
}

static void an_unknown_key_names_the_nearest(void **state)
{
	parse_fails("VerdicTimeout = 5s",
		    FILE_NAME ":1: VerdicTimeout: no "
			      "such setting; did you mean VerdictTimeout?");
	parse_fails("\nonerror = deny",
		    FILE_NAME ":2: onerror: no such "
			      "setting; did you mean OnError?");
	parse_fails("Xyzzy = 1", FILE_NAME ":1: Xyzzy: no such setting");
}

static void syntax_errors_name_their_line(void **state)
{
	parse_fails_with("Workers", ":1: Workers: = is missing");
	parse_fails_with("\nWorkers =\n1", ":2: Workers: has no value");
	parse_fails_with("Workers = 1 2", ":1: Workers: more than one value");
	parse_fails_with("Workers = {1}", ":1: Workers: takes one value");
	parse_fails_with("Include = {\n\"a\"\n\"b\"}", ":3: Include: ");
	parse_fails_with("Include = {\"a\"", ":1: Include: the file ends");
	parse_fails_with("Include = {\"a\n\"}", "closing \" is missing");
	parse_fails_with("Include = {\"\\.\"}", "unknown escape");
	parse_fails_with("Include = {\"\\x00\"}", "\\x00");
	parse_fails_with("Include = {\"\001\"}", "control character");
	parse_fails_with("\n/* never", ":2: this comment is never closed");
	parse_fails_with("Workers = 1\nWorkers = 2",
			 ":2: Workers: stands in line 1 already");
	parse_fails_with("Include += {\"a\"}", "= is missing");
	parse_fails_with("= 1", ":1: unexpected =");
	parse_fails_with("\377", ":1: unexpected character 0xff");
}

static void neither_environment_nor_includes_are_reachable(void **state)
{
	setenv("SPLX_TEST", "/secret", 1);
	parse_fails_with("Include = {\"${SPLX_TEST}\"}", "environment");
	parse_fails_with("Include = ${SPLX_TEST}", "unexpected $");
	parse_fails_with("include(\"/etc/passwd\")", "no such setting");
	parse_fails_with("include = /etc/passwd", "no such setting");

	struct conf *conf = parse_ok("Include = {'${SPLX_TEST}'}");

	assert_string_equal(conf->include.items[0], "${SPLX_TEST}");
	conf_free(&conf);
}

static void what_is_too_large_is_refused(void **state)
{
	struct conf *conf = conf_new();
	char *big = xmalloc(CONF_FILE_MAX + 2);
	struct err err;
	int i;

	memset(big, '\n', CONF_FILE_MAX + 1);
	big[CONF_FILE_MAX + 1] = '\0';
	parse_fails_with(big, "too large");
	memset(big, 'a', CONF_TEXT_MAX + 1);
	big[CONF_TEXT_MAX + 1] = '\0';
	assert_int_equal(conf_set(conf, "ScanUser", big, &err), -1);
	assert_int_equal(conf_list_add(conf, "Include", big, &err), -1);
	big[CONF_TEXT_MAX] = '\0';
	assert_int_equal(conf_list_add(conf, "Include", big, &err), 0);
	for (i = 1; i < CONF_LIST_MAX; i++) {
		snprintf(big, 16, "%d", i);
		assert_int_equal(conf_list_add(conf, "Include", big, &err), 0);
	}
	assert_int_equal(conf_list_add(conf, "Include", "x", &err), -1);
	conf_free(&conf);
	free(big);
}

static void a_file_is_read_and_a_missing_one_is_told(void **state)
{
	char dir[] = "/tmp/splx_conf_XXXXXX";
	char path[64];
	struct conf *conf;
	struct err err;

	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/splx.conf", dir);
	assert_null(conf_load(path, &err));
	assert_int_equal(err.code, ENOENT);
	assert_int_equal(fd_replace_file(path, "Workers = 2\n", 12, 0600, &err),
			 0);
	conf = conf_load(path, &err);
	assert_int_equal(conf->workers, 2);
	conf_free(&conf);
	assert_int_equal(
		fd_replace_file(path, "Workers = 2\0\n", 13, 0600, &err), 0);
	assert_null(conf_load(path, &err));
	assert_non_null(strstr(err.text, "NUL"));
	unlink(path);
	rmdir(dir);
}

static void sample_and_dump_say_the_defaults_and_are_read_back(void **state)
{
	struct conf *defaults = conf_new(), *conf;
	char *text = NULL, *dump;
	size_t len, i;
	FILE *out = open_memstream(&text, &len);

	conf_sample(out);
	fclose(out);
	conf = parse_ok(text);
	assert_true(conf_equal(conf, defaults));
	for (i = 0; i < conf_option_count; i++) {
		char line[80];

		snprintf(line, sizeof(line), "\n%s = ", conf_options[i].key);
		if (!strstr(text, line))
			fail_msg("%s is not in the sample",
				 conf_options[i].key);
	}
	conf_free(&conf);
	dump = conf_dump(defaults);
	assert_null(strchr(dump, '#'));
	conf = parse_ok(dump);
	assert_true(conf_equal(conf, defaults));
	conf_free(&conf);
	conf_free(&defaults);
	free(dump);
	free(text);
}

static void any_text_survives_writing_and_reading(void **state)
{
	struct conf *conf = conf_new(), *again;
	char all[256], *dump;
	struct err err;
	int i;

	for (i = 1; i < 256; i++)
		all[i - 1] = (char)i;
	all[255] = '\0';
	assert_int_equal(conf_list_add(conf, "ExcludeFile", all, &err), 0);
	assert_int_equal(conf_list_add(conf, "ExcludeFile", "${HOME}", &err),
			 0);
	assert_int_equal(conf_set(conf, "ScanUser", "// \"x\\", &err), 0);
	dump = conf_dump(conf);
	again = parse_ok(dump);
	assert_true(conf_equal(conf, again));
	conf_free(&again);
	conf_free(&conf);
	free(dump);
}

static void set_takes_a_value_as_the_file_has_it_or_plain(void **state)
{
	struct conf *conf = conf_new();
	struct err err = {0};

	assert_int_equal(conf_set(conf, "VerdictTimeout", "7s", &err), 0);
	assert_get(conf, "VerdictTimeout", "7s");
	assert_int_equal(conf_set(conf, "VerdictTimeout", "\"8s\"", &err), 0);
	assert_get(conf, "VerdictTimeout", "8s");
	assert_int_equal(conf_set(conf, "ExcludeFile", "{\"/a\", '/b'}", &err),
			 0);
	assert_get(conf, "ExcludeFile", "{\"/a\", \"/b\"}");
	assert_int_equal(conf_set(conf, "ExcludeFile", "/c d", &err), 0);
	assert_get(conf, "ExcludeFile", "{\"/c d\"}");
	assert_int_equal(conf_set(conf, "ExcludeFile", "", &err), 0);
	assert_get(conf, "ExcludeFile", "{}");
	assert_get(conf, "ScanUser", "splx");
	assert_null(conf_get(conf, "Nothing"));
	conf_free(&conf);
}

static void a_refused_set_changes_nothing(void **state)
{
	struct conf *conf = conf_new(), *defaults = conf_new();
	struct err err = {0};

	assert_int_equal(conf_set(conf, "VerdictTimeout", "1h", &err), -1);
	assert_string_equal(err.text,
			    "VerdictTimeout: \"1h\" is out of "
			    "bounds; allowed: 100ms to 2m, such as 5s");
	assert_int_equal(conf_set(conf, "Verdicttimeou", "1s", &err), -1);
	assert_non_null(strstr(err.text, "did you mean VerdictTimeout?"));
	assert_int_equal(conf_set(conf, "Include", "{\"/a\"", &err), -1);
	assert_int_equal(
		conf_set(conf, "Include", "{\"/a\"}\nWorkers = 3", &err), -1);
	assert_int_equal(conf_set(conf, "ScanUser", "'a'\nWorkers = 3", &err),
			 -1);
	assert_true(conf_equal(conf, defaults));
	conf_free(&conf);
	conf_free(&defaults);
}

static void lists_take_and_lose_single_items(void **state)
{
	struct conf *conf = conf_new();
	struct err err;

	assert_int_equal(conf_list_add(conf, "Include", "/a", &err), 0);
	assert_int_equal(conf_list_add(conf, "Include", "/b", &err), 0);
	assert_int_equal(conf_list_add(conf, "Include", "/a", &err), 1);
	assert_int_equal(conf_list_remove(conf, "Include", "/a", &err), 0);
	assert_int_equal(conf_list_remove(conf, "Include", "/a", &err), 1);
	assert_get(conf, "Include", "{\"/b\"}");
	assert_int_equal(conf_list_add(conf, "Include", "", &err), -1);
	assert_int_equal(conf_list_add(conf, "Workers", "1", &err), -1);
	assert_int_equal(conf_list_remove(conf, "Nothing", "1", &err), -1);
	conf_free(&conf);
}

static void a_copy_is_equal_and_its_own(void **state)
{
	struct conf *a = parse_ok("Include = {\"/a\"}\nScanUser = u"), *b;
	struct err err;

	b = conf_copy(a);
	assert_true(conf_equal(a, b));
	assert_int_equal(conf_list_add(b, "Include", "/b", &err), 0);
	assert_false(conf_equal(a, b));
	assert_get(a, "Include", "{\"/a\"}");
	conf_free(&a);
	assert_get(b, "ScanUser", "u");
	conf_free(&b);
}

static void an_edit_keeps_comments_order_and_what_did_not_change(void **state)
{
	static const char old[] = "# mine\n"
				  "Workers = 2   # two\n"
				  "MaxFileSize=268435456\n"
				  "Include = {\"/a\", # first\n"
				  "\t\"/b\"} /* end */\n"
				  "LogLevel = debug";
	struct conf *conf = parse_ok(old), *again;
	struct err err;
	char *text;

	text = conf_edit(old, conf, &err);
	assert_true(str_starts(text, old));
	free(text);
	assert_int_equal(conf_set(conf, "Workers", "4", &err), 0);
	assert_int_equal(conf_set(conf, "LogLevel", "info", &err), 0);
	assert_int_equal(conf_set(conf, "VerdictTimeout", "6s", &err), 0);
	assert_int_equal(conf_list_remove(conf, "Include", "/a", &err), 0);
	text = conf_edit(old, conf, &err);
	assert_string_equal(text, "# mine\n"
				  "Workers = 4   # two\n"
				  "MaxFileSize=268435456\n"
				  "Include = {\"/b\"} /* end */\n"
				  "LogLevel = info\n"
				  "VerdictTimeout = 6s\n");
	again = parse_ok(text);
	assert_true(conf_equal(conf, again));
	conf_free(&again);
	conf_free(&conf);
	free(text);
}

static void an_edit_begins_a_file_and_mends_a_bad_value(void **state)
{
	struct conf *conf = conf_new();
	struct err err = {0};
	char *text;

	text = conf_edit(NULL, conf, &err);
	assert_string_equal(text, "");
	free(text);
	text = conf_edit("VerdictTimeout = 5x # ?\n", conf, &err);
	assert_string_equal(text, "VerdictTimeout = 5s # ?\n");
	free(text);
	assert_null(conf_edit("VerdictTimeout =\n", conf, &err));
	assert_string_equal(err.text, "VerdictTimeout: has no value");
	conf_free(&conf);
}

static void every_row_of_the_table_is_sound(void **state)
{
	size_t i, j;
	char out[256];

	for (i = 0; i < conf_option_count; i++) {
		const struct conf_option *opt = &conf_options[i];
		struct conf *conf = conf_new();
		struct err err = {0};
		char *value = conf_get(conf, opt->key);

		assert_ptr_equal(conf_option_find(opt->key), opt);
		assert_true(strlen(conf_option_allowed(opt, out, sizeof(out))) >
			    0);
		if (conf_set(conf, opt->key, value, &err) < 0)
			fail_msg("%s", err.text);
		if (opt->type != CONF_STRING && opt->type != CONF_LIST)
			assert_string_equal(value, opt->def);
		for (j = 0; j < i; j++)
			assert_string_not_equal(opt->key, conf_options[j].key);
		free(value);
		conf_free(&conf);
	}
}

static void policies_fall_back_to_on_error(void **state)
{
	struct conf *conf = parse_ok("OnError = deny\nOnTimeout = allow");

	assert_false(conf_allows(conf, conf->on_error));
	assert_true(conf_allows(conf, conf->on_timeout));
	assert_false(conf_allows(conf, conf->on_oversize));
	assert_true(conf_allows(conf, conf->on_encrypted));
	conf_free(&conf);
	conf = parse_ok("OnEncrypted = deny");
	assert_true(conf_allows(conf, conf->on_error));
	assert_true(conf_allows(conf, conf->on_oversize));
	assert_false(conf_allows(conf, conf->on_encrypted));
	conf_free(&conf);
}

static void actions_have_one_numbering(void **state)
{
	struct conf *conf = parse_ok("SecondAction = quarantine\n"
				     "ManualFirstAction = clean");

	assert_int_equal(conf_action(conf, "FirstAction"),
			 CONF_ACTION_QUARANTINE);
	assert_int_equal(conf_action(conf, "SecondAction"),
			 CONF_ACTION_QUARANTINE);
	assert_int_equal(conf_action(conf, "ManualFirstAction"),
			 CONF_ACTION_CLEAN);
	assert_int_equal(conf_action(conf, "ManualSecondAction"),
			 CONF_ACTION_DENY);
	conf_free(&conf);
}

static void workers_follow_the_cpus(void **state)
{
	struct conf *conf = conf_new();

	assert_int_equal(conf_workers(conf, 2), 3);
	assert_int_equal(conf_workers_max(conf, 1), 8);
	assert_int_equal(conf_workers_max(conf, 4), 16);
	assert_int_equal(conf_workers(conf, 64), 24);
	assert_int_equal(conf_workers_max(conf, 64), 24);
	conf->workers = 10;
	conf->workers_max = 4;
	assert_int_equal(conf_workers(conf, 2), 10);
	assert_int_equal(conf_workers_max(conf, 2), 10);
	conf_free(&conf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(empty_text_gives_the_defaults),
		cmocka_unit_test(each_kind_of_value_is_read),
		cmocka_unit_test(
			a_bad_value_is_told_with_file_line_key_and_what_is_allowed),
		cmocka_unit_test(a_duration_needs_its_unit_but_zero_does_not),
		cmocka_unit_test(bounds_belong_to_what_is_allowed),
		cmocka_unit_test(an_unknown_key_names_the_nearest),
		cmocka_unit_test(syntax_errors_name_their_line),
		cmocka_unit_test(
			neither_environment_nor_includes_are_reachable),
		cmocka_unit_test(what_is_too_large_is_refused),
		cmocka_unit_test(a_file_is_read_and_a_missing_one_is_told),
		cmocka_unit_test(
			sample_and_dump_say_the_defaults_and_are_read_back),
		cmocka_unit_test(any_text_survives_writing_and_reading),
		cmocka_unit_test(set_takes_a_value_as_the_file_has_it_or_plain),
		cmocka_unit_test(a_refused_set_changes_nothing),
		cmocka_unit_test(lists_take_and_lose_single_items),
		cmocka_unit_test(a_copy_is_equal_and_its_own),
		cmocka_unit_test(
			an_edit_keeps_comments_order_and_what_did_not_change),
		cmocka_unit_test(an_edit_begins_a_file_and_mends_a_bad_value),
		cmocka_unit_test(every_row_of_the_table_is_sound),
		cmocka_unit_test(policies_fall_back_to_on_error),
		cmocka_unit_test(actions_have_one_numbering),
		cmocka_unit_test(workers_follow_the_cpus),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
