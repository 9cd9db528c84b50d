/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/verbs.h"
#include "lib/str.h"

static const struct verb *find(const char *wire)
{
	const struct verb *v = verbs_find(wire);

	assert_non_null(v);
	return v;
}

#define WORDS(...) ((char *[]){__VA_ARGS__})
#define COUNT(...) (sizeof(WORDS(__VA_ARGS__)) / sizeof(char *))
#define PARSE(wire, err, ...)                                                  \
	verbs_parse(find(wire), (int)COUNT(__VA_ARGS__), WORDS(__VA_ARGS__),   \
		    err)

static void parses_to(json_t *got, const char *want)
{
	json_t *expected = json_loads(want, 0, NULL);

	assert_non_null(got);
	assert_non_null(expected);
	if (!json_equal(got, expected))
		fail_msg("not %s", want);
	json_decref(got);
	json_decref(expected);
}

static void every_row_is_found_by_its_wire_name(void **state)
{
	char wire[64];
	int i;

	for (i = 0; i < VERB_COUNT; i++) {
		assert_int_equal(verbs[i].id, i);
		assert_ptr_equal(
			verbs_find(verbs_wire(&verbs[i], wire, sizeof(wire))),
			&verbs[i]);
	}
	assert_null(verbs_find("quarantine"));
	assert_null(verbs_find("status."));
	assert_null(verbs_find(""));
}

static void every_grammar_fits_and_names_each_argument_once(void **state)
{
	int i, j, k;

	for (i = 0; i < VERB_COUNT; i++) {
		struct verb_arg args[VERB_ARGS_MAX + 1];
		int n = verbs_grammar(&verbs[i], args, VERB_ARGS_MAX + 1);

		assert_true(n <= VERB_ARGS_MAX);
		for (j = 0; j < n; j++) {
			assert_true(*args[j].name);
			/* what repeats takes all words: nothing may follow */
			for (k = j + 1; args[j].repeats && k < n; k++)
				assert_true(args[k].option);
			for (k = 0; k < j; k++)
				assert_string_not_equal(args[j].name,
							args[k].name);
		}
	}
}

static void a_grammar_is_split_into_its_arguments(void **state)
{
	struct verb_arg args[VERB_ARGS_MAX];

	assert_int_equal(verbs_grammar(find("scan"), args, VERB_ARGS_MAX), 8);
	assert_string_equal(args[0].name, "path");
	assert_true(!args[0].required && args[0].repeats && !args[0].option);
	assert_string_equal(args[2].name, "action");
	assert_string_equal(args[2].value, "ACTION");
	assert_true(args[2].option && !args[2].required);
	assert_string_equal(args[4].name, "no-exclusions");
	assert_string_equal(args[4].value, "");
	assert_int_equal(verbs_grammar(find("diagnose"), args, 1), 1);
	assert_string_equal(args[0].name, "file");
	assert_false(args[0].required);
}

static void the_words_of_a_command_line_choose_the_verb(void **state)
{
	int used = 0;

	assert_int_equal(
		verbs_match(3, WORDS("quarantine", "list", "x"), &used)->id,
		VERB_ID_quarantine_list);
	assert_int_equal(used, 2);
	assert_int_equal(verbs_match(2, WORDS("scan", "/srv"), &used)->id,
			 VERB_ID_scan);
	assert_int_equal(used, 1);
	assert_int_equal(verbs_match(2, WORDS("scan", "list"), &used)->id,
			 VERB_ID_scan_list);
	assert_int_equal(verbs_match(2, WORDS("scan", "./list"), &used)->id,
			 VERB_ID_scan);
	assert_int_equal(verbs_match(1, WORDS("status"), &used)->id,
			 VERB_ID_status);
	assert_null(verbs_match(1, WORDS("quarantine"), &used));
	assert_null(verbs_match(2, WORDS("quarantine", "lst"), &used));
	assert_null(verbs_match(0, NULL, &used));
}

static void a_hidden_verb_is_a_plain_word_on_the_command_line(void **state)
{
	int used = 0;

	assert_int_equal(verbs_match(2, WORDS("scan", "begin"), &used)->id,
			 VERB_ID_scan);
	assert_int_equal(used, 1);
	assert_int_equal(find("scan.begin")->where, VERB_HIDDEN);
}

static void a_slip_is_told_the_nearest_command(void **state)
{
	char out[128];

	assert_string_equal(
		verbs_nearest(2, WORDS("quarantine", "lsit"), out, sizeof(out)),
		"quarantine list");
	assert_string_equal(verbs_nearest(2, WORDS("quarantin", "restor"), out,
					  sizeof(out)),
			    "quarantine restore");
	assert_string_equal(verbs_nearest(1, WORDS("stats"), out, sizeof(out)),
			    "status");
	assert_string_equal(
		verbs_nearest(1, WORDS("exclusion"), out, sizeof(out)),
		"exclusion add, remove, list");
	assert_string_equal(
		verbs_nearest(2, WORDS("config", "xyzzy"), out, sizeof(out)),
		"config show, get, set, reset, export, import, check, "
		"reload, sample, merge");
	assert_null(verbs_nearest(1, WORDS("xyzzy"), out, sizeof(out)));
	assert_null(verbs_nearest(0, NULL, out, sizeof(out)));
}

static void usage_puts_options_in_brackets(void **state)
{
	char out[128];

	assert_string_equal(
		verbs_usage(find("quarantine.restore"), out, sizeof(out)),
		"quarantine restore ID... [--to=PATH] [--force]");
	assert_string_equal(verbs_usage(find("status"), out, sizeof(out)),
			    "status");
}

static void words_become_an_object(void **state)
{
	struct err err;

	parses_to(PARSE("quarantine.restore", &err, "3", "--force", "4",
			"--to=/x"),
		  "{\"id\":[\"3\",\"4\"],\"force\":true,\"to\":\"/x\"}");
	parses_to(PARSE("config.set", &err, "Workers", "--", "-1"),
		  "{\"key\":\"Workers\",\"value\":\"-1\"}");
	parses_to(PARSE("events.list", &err, "--text", "--x", "--kind="),
		  "{\"text\":\"--x\",\"kind\":\"\"}");
	parses_to(PARSE("scan", &err, "--no-exclusions", "-"),
		  "{\"no-exclusions\":true,\"path\":[\"-\"]}");
	parses_to(verbs_parse(find("status"), 0, NULL, &err), "{}");
	parses_to(verbs_parse(find("config.check"), 0, NULL, &err), "{}");
}

static void fails_with(json_t *got, const struct err *err, const char *text)
{
	assert_null(got);
	assert_string_equal(err->text, text);
}

static void what_is_wrong_is_told_with_the_usage(void **state)
{
	struct err err;

	fails_with(verbs_parse(find("quarantine.show"), 0, NULL, &err), &err,
		   "missing: ID; usage: quarantine show ID");
	fails_with(PARSE("quarantine.show", &err, "1", "2"), &err,
		   "one argument too many: 2; usage: quarantine show ID");
	fails_with(PARSE("status", &err, "--foo"), &err,
		   "unknown option: --foo; usage: status");
	fails_with(PARSE("status", &err, "-v"), &err,
		   "unknown option: -v; usage: status");
	fails_with(PARSE("config.show", &err, "--changed=1"), &err,
		   "takes no value: --changed=1; usage: config show "
		   "[--changed]");
	fails_with(PARSE("health", &err, "--field"), &err,
		   "a value is missing: --field; usage: health "
		   "[--field=NAME]");
	fails_with(PARSE("health", &err, "--field=a", "--field=b"), &err,
		   "given twice: --field=b; usage: health [--field=NAME]");
	assert_null(PARSE("config.get", &err, "\377"));
	assert_true(str_starts(err.text, "not valid UTF-8"));
}

static int check(const char *wire, const char *args, struct err *err)
{
	json_t *object = json_loads(args, JSON_DECODE_ANY, NULL);
	int rc;

	assert_non_null(object);
	rc = verbs_check(find(wire), object, err);
	json_decref(object);
	return rc;
}

static void the_wire_is_held_to_the_same_grammar(void **state)
{
	static const struct {
		const char *wire, *args;
		int rc;
	} cases[] = {
		{"status", "{}", 0},
		{"status", "[]", -1},
		{"status", "{\"x\":\"\"}", -1},
		{"config.get", "{\"key\":\"Workers\"}", 0},
		{"config.get", "{}", -1},
		{"config.get", "{\"key\":1}", -1},
		{"config.get", "{\"key\":[\"Workers\"]}", -1},
		{"quarantine.delete", "{\"id\":[\"1\",\"2\"]}", 0},
		{"quarantine.delete", "{\"id\":[]}", -1},
		{"quarantine.delete", "{\"id\":[1]}", -1},
		{"quarantine.delete", "{\"id\":\"1\"}", -1},
		{"config.show", "{\"changed\":true}", 0},
		{"config.show", "{\"changed\":false}", -1},
		{"config.show", "{\"changed\":\"yes\"}", -1},
		{"health", "{\"field\":\"code\"}", 0},
		{"health", "{\"field\":null}", -1},
	};
	struct err err;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		if (check(cases[i].wire, cases[i].args, &err) != cases[i].rc)
			fail_msg("%s %s", cases[i].wire, cases[i].args);
}

static void roles_have_names(void **state)
{
	assert_string_equal(verbs_role_name(VERB_VIEWER), "viewer");
	assert_string_equal(verbs_role_name(VERB_OPERATOR), "operator");
	assert_string_equal(verbs_role_name(VERB_ADMIN), "admin");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_row_is_found_by_its_wire_name),
		cmocka_unit_test(
			every_grammar_fits_and_names_each_argument_once),
		cmocka_unit_test(a_grammar_is_split_into_its_arguments),
		cmocka_unit_test(the_words_of_a_command_line_choose_the_verb),
		cmocka_unit_test(
			a_hidden_verb_is_a_plain_word_on_the_command_line),
		cmocka_unit_test(a_slip_is_told_the_nearest_command),
		cmocka_unit_test(usage_puts_options_in_brackets),
		cmocka_unit_test(words_become_an_object),
		cmocka_unit_test(what_is_wrong_is_told_with_the_usage),
		cmocka_unit_test(the_wire_is_held_to_the_same_grammar),
		cmocka_unit_test(roles_have_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
