/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/* Every family of verbs over the socket of a real core: what is asked in a
 * wrong way gets a code word and no more, and core lives on. */
#include "entity_bed.h"

#include <grp.h>

#define LIMIT_S 120
#define VIEWER 61991u
#define OPERATOR 61992u

static struct bed bed;
static pid_t core;

static int setup(void **state)
{
	(void)state;
	bed_new(&bed);
	bed_write(&bed, "etc/splx/splx.conf",
		  "ScanUser = \"61184\"\nLogSyslog = no\n"
		  "ViewerUsers = {\"61991\"}\nOperatorUsers = {\"61992\"}\n");
	bed_start(&bed, NULL);
	core = bed_pid(&bed, "entity", "running");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	bed_free(&bed);
	return 0;
}

struct row {
	const char *verb;
	const char *args; /* JSON */
	const char *want; /* the code word; "" an answer */
	uid_t uid;
};

static void check_rows(const struct row *rows, size_t n)
{
	char code[32];
	json_t *args;
	size_t i;

	for (i = 0; i < n; i++) {
		args = json_loads(rows[i].args, 0, NULL);
		assert_non_null(args);
		bed_ask(&bed, rows[i].uid, rows[i].verb, args, code);
		if (strcmp(code, rows[i].want))
			fail_msg("%s %s by %u: \"%s\", not \"%s\"",
				 rows[i].verb, rows[i].args, rows[i].uid, code,
				 rows[i].want);
	}
	/* None of it has ended core. */
	assert_int_equal(bed_pid(&bed, "entity", "running"), core);
}
#define CHECK(rows) check_rows(rows, sizeof(rows) / sizeof((rows)[0]))

static void events_are_asked_for_in_the_right_way_only(void **state)
{
	static const struct row rows[] = {
		{"events.list", "{}", "", VIEWER},
		{"events.list", "{\"limit\":\"1\",\"before\":\"1\"}", "", 0},
		{"events.list", "{\"limit\":\"10000\"}", "", 0},
		{"events.list", "{\"kind\":\"audit\",\"text\":\"\"}", "", 0},
		{"events.list", "{\"since\":\"2026-01-01\"}", "", 0},
		{"events.list", "{\"limit\":\"0\"}", "invalid", 0},
		{"events.list", "{\"limit\":\"-1\"}", "invalid", 0},
		{"events.list", "{\"limit\":\"10001\"}", "invalid", 0},
		{"events.list", "{\"limit\":\"99999999999999999999\"}",
		 "invalid", 0},
		{"events.list", "{\"limit\":\"ten\"}", "invalid", 0},
		{"events.list", "{\"limit\":\"\"}", "invalid", 0},
		{"events.list", "{\"limit\":[1]}", "bad_request", 0},
		{"events.list", "{\"limit\":true}", "bad_request", 0},
		{"events.list", "{\"limit\":null}", "bad_request", 0},
		{"events.list", "{\"before\":\"-5\"}", "invalid", 0},
		{"events.list", "{\"kind\":\"weather\"}", "invalid", 0},
		{"events.list", "{\"kind\":\"\"}", "invalid", 0},
		{"events.list", "{\"since\":\"yesterdayish\"}", "invalid", 0},
		{"events.list", "{\"until\":\"2026-13-45\"}", "invalid", 0},
		{"events.list", "{\"colour\":\"red\"}", "bad_request", 0},
		{"events.list", "[1]", "bad_request", 0},
		{"events.list", "[]", "bad_request", 0},
		{"events.list", "{}", "denied", 61990},
		{"events.follow", "{\"kind\":\"weather\"}", "invalid", 0},
		{"events.follow", "{\"limit\":\"1\"}", "bad_request", 0},
		{"events.follow", "{}", "denied", 61990},
		{"events.export", "{\"format\":\"csv\"}", "", VIEWER},
		{"events.export", "{\"format\":\"jsonl\"}", "", 0},
		{"events.export", "{\"format\":\"xml\"}", "invalid", 0},
		{"events.export", "{\"format\":1}", "bad_request", 0},
		{"events.export", "{\"since\":\"x\"}", "invalid", 0},
	};

	(void)state;
	CHECK(rows);
}

static void quarantine_is_asked_for_in_the_right_way_only(void **state)
{
	static const struct row rows[] = {
		{"quarantine.list", "{}", "", OPERATOR},
		{"quarantine.list", "{\"virus\":\"%\",\"path\":\"_\"}", "", 0},
		{"quarantine.list", "{\"limit\":\"0\"}", "invalid", 0},
		{"quarantine.list", "{\"limit\":\"10001\"}", "invalid", 0},
		{"quarantine.list", "{\"offset\":\"-1\"}", "invalid", 0},
		{"quarantine.list", "{\"offset\":\"9223372036854775807\"}", "",
		 0},
		{"quarantine.list", "{\"virus\":7}", "bad_request", 0},
		{"quarantine.list", "{}", "denied", VIEWER},
		{"quarantine.show", "{\"id\":\"1\"}", "not_found", OPERATOR},
		{"quarantine.show", "{\"id\":\"0\"}", "invalid", 0},
		{"quarantine.show", "{\"id\":\"one\"}", "invalid", 0},
		{"quarantine.show", "{\"id\":\"9223372036854775808\"}",
		 "invalid", 0},
		{"quarantine.show", "{\"id\":[\"1\"]}", "bad_request", 0},
		{"quarantine.show", "{}", "bad_request", 0},
		{"quarantine.restore", "{\"id\":[\"1\"]}", "not_found", 0},
		{"quarantine.restore", "{\"id\":[\"x\",\"\",\"-1\"]}",
		 "invalid", 0},
		{"quarantine.restore", "{\"id\":[]}", "bad_request", 0},
		{"quarantine.restore", "{\"id\":[1.5]}", "bad_request", 0},
		{"quarantine.restore", "{\"id\":[null]}", "bad_request", 0},
		{"quarantine.restore", "{\"id\":[[\"1\"]]}", "bad_request", 0},
		{"quarantine.restore", "{\"id\":{\"1\":1}}", "bad_request", 0},
		{"quarantine.restore", "{\"id\":[\"1\"],\"to\":[\"/\"]}",
		 "bad_request", 0},
		{"quarantine.restore", "{\"id\":[\"1\"],\"force\":\"yes\"}",
		 "bad_request", 0},
		{"quarantine.restore", "{}", "bad_request", 0},
		{"quarantine.restore", "{\"id\":[\"1\"]}", "denied", OPERATOR},
		{"quarantine.delete", "{\"id\":[\"1\",\"2\"]}", "not_found", 0},
		{"quarantine.delete", "{\"id\":[\"0\"]}", "invalid", 0},
		{"quarantine.delete", "{\"id\":[]}", "bad_request", 0},
		{"quarantine.delete", "{\"id\":[\"1\"]}", "denied", OPERATOR},
		{"quarantine.purge", "{}", "", 0},
		{"quarantine.purge", "{\"age\":\"30d\"}", "", 0},
		{"quarantine.purge", "{\"age\":\"\"}", "invalid", 0},
		{"quarantine.purge", "{\"age\":\"-1d\"}", "invalid", 0},
		{"quarantine.purge", "{\"age\":\"99999999999999999999d\"}",
		 "invalid", 0},
		{"quarantine.purge", "{\"age\":30}", "bad_request", 0},
		{"quarantine.purge", "{}", "denied", OPERATOR},
	};

	(void)state;
	CHECK(rows);
}

static void exclusions_are_asked_for_in_the_right_way_only(void **state)
{
	static const struct row rows[] = {
		{"exclusion.list", "{}", "", VIEWER},
		{"exclusion.list", "{\"type\":\"file\"}", "bad_request", 0},
		{"exclusion.add", "{\"type\":\"file\",\"value\":\"/a\"}", "",
		 0},
		{"exclusion.add", "{\"type\":\"file\",\"value\":\"/a\"}", "",
		 0},
		{"exclusion.remove", "{\"type\":\"file\",\"value\":\"/a\"}", "",
		 0},
		{"exclusion.remove", "{\"type\":\"file\",\"value\":\"/a\"}", "",
		 0},
		{"exclusion.add", "{\"type\":\"file\",\"value\":\"\"}",
		 "invalid", 0},
		{"exclusion.add", "{\"type\":\"file\",\"value\":\"a\"}",
		 "invalid", 0},
		{"exclusion.add", "{\"type\":\"directory\",\"value\":\"/\"}",
		 "invalid", 0},
		{"exclusion.add", "{\"type\":\"regex\",\"value\":\"(\"}",
		 "invalid", 0},
		{"exclusion.add", "{\"type\":\"folder\",\"value\":\"/a\"}",
		 "invalid", 0},
		{"exclusion.add", "{\"type\":\"file\"}", "bad_request", 0},
		{"exclusion.add", "{\"type\":1,\"value\":\"/a\"}",
		 "bad_request", 0},
		{"exclusion.add", "{\"type\":\"file\",\"value\":[\"/a\"]}",
		 "bad_request", 0},
		{"exclusion.add", "{\"type\":\"file\",\"value\":\"/a\"}",
		 "denied", OPERATOR},
		{"exclusion.remove", "{\"type\":\"file\",\"value\":\"/a\"}",
		 "denied", VIEWER},
		{"exclusion.remove", "{\"type\":\"\",\"value\":\"/a\"}",
		 "invalid", 0},
	};

	(void)state;
	CHECK(rows);
}

static void settings_are_asked_for_in_the_right_way_only(void **state)
{
	static const struct row rows[] = {
		{"config.show", "{}", "", VIEWER},
		{"config.show", "{\"changed\":true}", "", 0},
		{"config.show", "{\"changed\":\"yes\"}", "bad_request", 0},
		{"config.get", "{\"key\":\"Workers\"}", "", VIEWER},
		{"config.get", "{\"key\":\"Wrokers\"}", "not_found", 0},
		{"config.get", "{\"key\":\"\"}", "not_found", 0},
		{"config.get", "{\"key\":7}", "bad_request", 0},
		{"config.get", "{}", "bad_request", 0},
		{"config.set", "{\"key\":\"Workers\",\"value\":\"3\"}", "", 0},
		{"config.set", "{\"key\":\"Workers\",\"value\":\"many\"}",
		 "invalid", 0},
		{"config.set", "{\"key\":\"Workers\",\"value\":\"1000000\"}",
		 "invalid", 0},
		{"config.set", "{\"key\":\"Workers\",\"value\":\"\"}",
		 "invalid", 0},
		{"config.set", "{\"key\":\"Workers\",\"value\":3}",
		 "bad_request", 0},
		{"config.set", "{\"key\":\"Workers\"}", "bad_request", 0},
		{"config.set", "{\"key\":\"Nothing\",\"value\":\"3\"}",
		 "not_found", 0},
		{"config.set", "{\"key\":\"ScanUser\",\"value\":\"a\\nb\"}",
		 "invalid", 0},
		{"config.set", "{\"key\":\"ScanUser\",\"value\":\"nobody-x\"}",
		 "invalid", 0},
		{"config.set", "{\"key\":\"ScanUser\",\"value\":\"0\"}",
		 "invalid", 0},
		{"config.set", "{\"key\":\"Workers\",\"value\":\"3\"}",
		 "denied", OPERATOR},
		{"config.reset", "{\"key\":\"Workers\"}", "", 0},
		{"config.reset", "{\"key\":\"Nothing\"}", "not_found", 0},
		{"config.reset", "{\"key\":[\"Workers\"]}", "bad_request", 0},
		{"config.reset", "{\"key\":\"Workers\"}", "denied", VIEWER},
		{"config.reload", "{}", "", 0},
		{"config.reload", "{\"file\":\"/etc/passwd\"}", "bad_request",
		 0},
		{"config.reload", "{}", "denied", OPERATOR},
		{"pattern.show", "{}", "unavailable", VIEWER},
		{"pattern.reload", "{}", "unavailable", 0},
		{"pattern.reload", "{}", "denied", OPERATOR},
	};

	(void)state;
	CHECK(rows);
}

static void scans_and_statistics_are_told_in_the_right_way_only(void **state)
{
	static const struct row rows[] = {
		{"statistics", "{\"top\":\"3\"}", "", VIEWER},
		{"statistics", "{\"top\":\"-1\"}", "invalid", 0},
		{"statistics", "{\"top\":\"999999999\"}", "invalid", 0},
		{"statistics", "{\"reset\":\"yes\"}", "bad_request", 0},
		{"scan.begin", "{\"pid\":\"1\"}", "bad_request", 0},
		{"scan.begin", "{}", "denied", VIEWER},
		{"scan.end", "{\"state\":\"finished\"}", "invalid", 0},
		{"scan.end", "{\"files\":\"-2\"}", "invalid", 0},
		{"scan.end", "{\"files\":\"many\"}", "invalid", 0},
		{"scan.end", "{\"files\":{}}", "bad_request", 0},
		{"scan.end", "{}", "denied", VIEWER},
		{"scan.end", "{}", "not_found", 0},
		{"scan.begin", "{\"job\":\"x\"}", "invalid", 0},
		{"scan.begin", "{\"job\":\"77\"}", "not_found", 0},
		{"scan.begin", "{\"path\":[\"a\"]}", "invalid", 0},
		{"scan.begin", "{\"action\":\"eat\"}", "invalid", 0},
		{"scan.begin", "{\"source\":\"scheduled\"}", "invalid", 0},
		{"scan.begin", "{\"path\":[\"/a%20b\"]}", "", 0},
		{"scan.progress", "{}", "not_found", 0},
		{"scan.progress", "{\"position\":\"1:a\"}", "invalid", 0},
		{"scan.progress", "{\"files\":\"-1\"}", "invalid", 0},
		{"scan.progress", "{}", "denied", VIEWER},
		{"scan.list", "{}", "", 0},
		{"scan.list", "{}", "denied", VIEWER},
		{"scan.list", "{\"limit\":\"0\"}", "invalid", 0},
		{"scan.show", "{\"id\":\"77\"}", "not_found", 0},
		{"scan.show", "{\"id\":\"-1\"}", "invalid", 0},
		{"scan.show", "{\"id\":\"1\",\"limit\":\"0\"}", "invalid", 0},
		{"scan.pause", "{\"id\":\"77\"}", "not_found", 0},
		{"scan.resume", "{\"id\":\"77\"}", "not_found", 0},
		{"scan.cancel", "{}", "bad_request", 0},
		{"scan.cancel", "{\"id\":\"1\"}", "denied", VIEWER},
		{"health", "{\"field\":\"overall\"}", "", VIEWER},
		{"health", "{\"field\":\"nothing\"}", "not_found", 0},
		{"health", "{\"field\":1}", "bad_request", 0},
		{"status", "{\"field\":\"overall\"}", "bad_request", 0},
	};

	(void)state;
	CHECK(rows);
}

static json_t *many(size_t n, const char *id)
{
	json_t *list = json_array();

	while (n--)
		json_array_append_new(list, json_string(id));
	return json_pack("{s:o}", "id", list);
}

/* As many as one record can hold. */
static void very_many_items_at_once_do_not_end_core(void **state)
{
	static const char *const verbs[] = {"quarantine.restore",
					    "quarantine.delete"};
	json_t *args, *data;
	char code[32];

	(void)state;
	for (int i = 0; i < 2; i++) {
		args = many(20000, "7");
		bed_ask(&bed, 0, verbs[i], args, code);
		assert_string_equal(code, "invalid");
		args = many(1000, "7");
		bed_ask(&bed, 0, verbs[i], args, code);
		assert_string_equal(code, "not_found");
	}
	assert_int_equal(bed_pid(&bed, "entity", "running"), core);
	data = bed_call(&bed, "status", NULL, NULL);
	assert_non_null(data);
	json_decref(data);
}

static void a_very_long_word_is_refused_as_any_other(void **state)
{
	static const struct {
		const char *verb, *name, *want;
	} rows[] = {
		{"config.get", "key", "not_found"},
		{"events.list", "kind", "invalid"},
		{"events.list", "since", "invalid"},
		{"quarantine.show", "id", "invalid"},
		{"quarantine.purge", "age", "invalid"},
		{"health", "field", "not_found"},
	};
	char *word = malloc(60001), code[32];
	json_t *args;

	(void)state;
	memset(word, 'x', 60000);
	word[60000] = '\0';
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		args = json_pack("{s:s}", rows[i].name, word);
		bed_ask(&bed, 0, rows[i].verb, args, code);
		if (strcmp(code, rows[i].want))
			fail_msg("%s: \"%s\", not \"%s\"", rows[i].verb, code,
				 rows[i].want);
	}
	free(word);
	assert_int_equal(bed_pid(&bed, "entity", "running"), core);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(events_are_asked_for_in_the_right_way_only),
		cmocka_unit_test(quarantine_is_asked_for_in_the_right_way_only),
		cmocka_unit_test(
			exclusions_are_asked_for_in_the_right_way_only),
		cmocka_unit_test(settings_are_asked_for_in_the_right_way_only),
		cmocka_unit_test(
			scans_and_statistics_are_told_in_the_right_way_only),
		cmocka_unit_test(very_many_items_at_once_do_not_end_core),
		cmocka_unit_test(a_very_long_word_is_refused_as_any_other),
	};
	int status;

	if (bed_role(argc, argv, &status))
		return status;
	alarm(LIMIT_S);
	return cmocka_run_group_tests(tests, setup, teardown);
}
