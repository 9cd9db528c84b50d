/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "entity_bed.h"

#include <grp.h>

#include "common/jsontext.h"
#include "entity/dispatch.h"

#define LIMIT_S 120

#define NOBODY 61990u
#define VIEWER 61991u
#define OPERATOR 61992u
#define ADMIN 61993u

static int setup(void **state)
{
	struct bed *b = malloc(sizeof(*b));

	bed_new(b);
	bed_write(b, "etc/splx/splx.conf",
		  "ScanUser = \"61184\"\nLogSyslog = no\n"
		  "ViewerUsers = {\"61991\"}\nOperatorUsers = {\"61992\"}\n"
		  "AdminUsers = {\"61993\"}\n");
	bed_start(b, NULL);
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	bed_free(*state);
	free(*state);
	return 0;
}

static void assert_ask(const struct bed *b, uid_t uid, const char *verb,
		       json_t *args, const char *want)
{
	char code[32];

	bed_ask(b, uid, verb, args, code);
	if (strcmp(code, want))
		fail_msg("%s by %u: \"%s\", not \"%s\"", verb, uid, code, want);
}

static json_t *set_args(void)
{
	return json_pack("{s:s, s:s}", "key", "Workers", "value", "2");
}

static json_t *list_args(void)
{
	return json_pack("{s:s}", "limit", "5");
}

static void who_is_in_no_list_may_nothing(void **state)
{
	struct bed *b = *state;

	assert_ask(b, NOBODY, "status", NULL, "denied");
	assert_ask(b, NOBODY, "statistics", NULL, "denied");
	assert_ask(b, NOBODY, "config.set", set_args(), "denied");
}

static void each_role_may_what_its_row_says_and_no_more(void **state)
{
	struct bed *b = *state;

	assert_ask(b, VIEWER, "status", NULL, "");
	assert_ask(b, VIEWER, "config.show", NULL, "");
	assert_ask(b, VIEWER, "quarantine.list", list_args(), "denied");
	assert_ask(b, VIEWER, "config.set", set_args(), "denied");
	assert_ask(b, OPERATOR, "quarantine.list", list_args(), "");
	assert_ask(b, OPERATOR, "config.set", set_args(), "denied");
	assert_ask(b, ADMIN, "config.set", set_args(), "");
	assert_ask(b, 0, "status", NULL, "");
}

static void resetting_statistics_needs_more_than_looking_at_them(void **state)
{
	struct bed *b = *state;

	assert_ask(b, VIEWER, "statistics", NULL, "");
	assert_ask(b, VIEWER, "statistics", json_pack("{s:b}", "reset", 1),
		   "denied");
	assert_ask(b, OPERATOR, "statistics", json_pack("{s:b}", "reset", 1),
		   "");
}

static void a_change_of_the_lists_counts_at_once(void **state)
{
	struct bed *b = *state;
	json_t *args = json_pack("{s:s, s:s}", "key", "ViewerUsers", "value",
				 "{\"61990\"}");

	json_decref(bed_call(b, "config.set", args, NULL));
	assert_ask(b, NOBODY, "status", NULL, "");
	assert_ask(b, VIEWER, "status", NULL, "denied");
}

static void what_is_no_verb_or_no_argument_is_refused(void **state)
{
	struct bed *b = *state;

	assert_ask(b, 0, "no.such", NULL, "unknown_verb");
	/* splxctl's own, not entity's */
	assert_ask(b, 0, "diagnose", NULL, "unknown_verb");
	assert_ask(b, 0, "config.get", NULL, "bad_request");
	assert_ask(b, 0, "config.get",
		   json_pack("{s:s, s:s}", "key", "Workers", "more", "x"),
		   "bad_request");
	assert_ask(b, 0, "config.get", json_pack("{s:[s]}", "key", "Workers"),
		   "bad_request");
	assert_ask(b, 0, "statistics", json_pack("{s:s}", "top", "ten"),
		   "invalid");
}

/* Audit events by result; `uid` of all must be that one. */
static int audits(const struct bed *b, const char *verb, const char *result,
		  uid_t uid)
{
	json_t *data = bed_call(b, "events.list",
				json_pack("{s:s}", "kind", "audit"), NULL);
	json_t *e;
	int n = 0;
	size_t i;

	json_array_foreach (json_object_get(data, "events"), i, e) {
		const char *v = json_string_value(json_object_get(e, "verb"));
		const char *r = json_string_value(json_object_get(e, "result"));

		if (strcmp(v, verb) || !str_starts(r, result))
			continue;
		assert_int_equal(json_integer_value(json_object_get(e, "uid")),
				 uid);
		n++;
	}
	json_decref(data);
	return n;
}

static void what_changes_something_is_audited_with_its_result(void **state)
{
	struct bed *b = *state;
	json_t *bad =
		json_pack("{s:s, s:s}", "key", "Workers", "value", "lots");

	assert_ask(b, ADMIN, "config.set", set_args(), "");
	assert_int_equal(audits(b, "config.set", "ok", ADMIN), 1);
	assert_ask(b, ADMIN, "config.set", bad, "invalid");
	assert_int_equal(audits(b, "config.set", "Workers", ADMIN), 1);
	assert_ask(b, VIEWER, "config.set", set_args(), "denied");
	assert_int_equal(audits(b, "config.set", "denied", VIEWER), 1);
	assert_ask(b, ADMIN, "status", NULL, "");
	assert_int_equal(audits(b, "status", "", ADMIN), 0);
}

/* ---- arguments, without a process ---- */

static void numbers_may_be_digits_or_integers(void **state)
{
	json_t *args = json_pack("{s:i, s:s, s:s, s:b}", "n", 7, "s", "8", "x",
				 "8x", "b", 1);
	struct err err;
	long long n;

	(void)state;
	assert_int_equal(dispatch_arg_i64(args, "n", 1, 0, 9, &n, &err), 0);
	assert_int_equal(n, 7);
	assert_int_equal(dispatch_arg_i64(args, "s", 1, 0, 9, &n, &err), 0);
	assert_int_equal(n, 8);
	assert_int_equal(dispatch_arg_i64(args, "none", 5, 0, 9, &n, &err), 0);
	assert_int_equal(n, 5);
	assert_int_equal(dispatch_arg_i64(args, "n", 1, 0, 6, &n, &err), -1);
	assert_int_equal(dispatch_arg_i64(args, "x", 1, 0, 9, &n, &err), -1);
	assert_int_equal(dispatch_arg_i64(args, "b", 1, 0, 9, &n, &err), -1);
	json_decref(args);
}

static void text_of_any_bytes_becomes_json(void **state)
{
	json_t *s = jsontext_new("plain \xc3\xa4");

	(void)state;
	assert_string_equal(json_string_value(s), "plain \xc3\xa4");
	json_decref(s);
	s = jsontext_new("a\xff\x62");
	assert_string_equal(json_string_value(s), "a\\xffb");
	json_decref(s);
}

int main(int argc, char **argv)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(who_is_in_no_list_may_nothing),
		T(each_role_may_what_its_row_says_and_no_more),
		T(resetting_statistics_needs_more_than_looking_at_them),
		T(a_change_of_the_lists_counts_at_once),
		T(what_is_no_verb_or_no_argument_is_refused),
		T(what_changes_something_is_audited_with_its_result),
		cmocka_unit_test(numbers_may_be_digits_or_integers),
		cmocka_unit_test(text_of_any_bytes_becomes_json),
	};
	int status;

	if (bed_role(argc, argv, &status))
		return status;
	alarm(LIMIT_S);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
