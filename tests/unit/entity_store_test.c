/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "entity_storebed.h"

#include <sqlite3.h>

#include "entity/events_text.h"
#include "lib/clock.h"

#define HOUR_NS (3600ll * 1000000000ll)

static void add(struct store *store, const char *virus, const char *path)
{
	store_event(store, EVENT_virus, EVENT_SEVERITY_HIGH,
		    json_pack("{s:s, s:s, s:i}", "virus", virus, "path", path,
			      "pid", 77),
		    "%s in %s", virus, path);
}

/* SQL behind the store's back, while it is closed. */
static void behind(const char *sql)
{
	sqlite3 *db;
	char *why = NULL;

	assert_int_equal(sqlite3_open(paths()->store, &db), SQLITE_OK);
	if (sqlite3_exec(db, sql, NULL, NULL, &why) != SQLITE_OK)
		fail_msg("%s: %s", sql, why);
	sqlite3_close(db);
}

static void collect(json_t *event, void *arg)
{
	json_array_append(arg, event);
}

/* All that match, in as many slices as it takes. */
static json_t *ask(struct store *store, struct event_query q, int *slices_r)
{
	json_t *all = json_array();
	struct err err;
	int rc, slices = 0;

	if (!q.limit)
		q.limit = 100;
	do {
		rc = store_events(store, &q, collect, all, &err);
		slices++;
	} while (rc > 0);
	if (rc < 0)
		fail_msg("%s", err.text);
	if (slices_r)
		*slices_r = slices;
	return all;
}

static size_t count(struct store *store, struct event_query q)
{
	json_t *all = ask(store, q, NULL);
	size_t n = json_array_size(all);

	json_decref(all);
	return n;
}

static const char *text_of(json_t *event, const char *name)
{
	const char *text = json_string_value(json_object_get(event, name));

	return text ? text : "";
}

/* ---- events ---- */

static void an_event_comes_back_with_what_it_was_given(void **state)
{
	struct store *store = store_new(paths()->store);
	json_t *all, *e;

	store_event(store, EVENT_virus, EVENT_SEVERITY_HIGH,
		    json_pack("{s:s, s:s, s:I, s:n}", "virus", "Eicar", "path",
			      "/a", "size", (json_int_t)1 << 40, "job"),
		    "found %d", 7);
	all = ask(store, (struct event_query){.kind = -1}, NULL);
	assert_int_equal(json_array_size(all), 1);
	e = json_array_get(all, 0);
	assert_string_equal(text_of(e, "kind"), "virus");
	assert_string_equal(text_of(e, "severity"), "high");
	assert_string_equal(text_of(e, "message"), "found 7");
	assert_string_equal(text_of(e, "virus"), "Eicar");
	assert_int_equal(json_integer_value(json_object_get(e, "size")),
			 (json_int_t)1 << 40);
	assert_true(json_is_null(json_object_get(e, "job")));
	assert_null(json_object_get(e, "files"));
	assert_true(clock_real_ns() -
			    json_integer_value(json_object_get(e, "time")) <
		    10 * 1000000000ll);
	json_decref(all);
	store_free(&store);
}

static void any_bytes_become_text_that_can_be_shown(void **state)
{
	struct store *store = store_new(paths()->store);
	json_t *all, *cols = json_object();
	char *dumped;

	json_object_set_new(cols, "path",
			    json_string_nocheck("/a\xff\nb\x1b[2J\\"));
	store_event(store, EVENT_virus, EVENT_SEVERITY_LOW, cols, "x\r\ny\xfe");
	all = ask(store, (struct event_query){.kind = EVENT_virus}, NULL);
	assert_string_equal(text_of(json_array_get(all, 0), "path"),
			    "/a\\xff\\x0ab\\x1b[2J\\x5c");
	assert_string_equal(text_of(json_array_get(all, 0), "message"),
			    "x\\x0d\\x0ay\\xfe");
	dumped = json_dumps(all, 0);
	assert_non_null(dumped);
	free(dumped);
	json_decref(all);
	store_free(&store);
}

static void questions_by_kind_text_time_and_page_are_exact(void **state)
{
	struct store *store = store_new(paths()->store);
	struct event_query q = {.kind = -1, .limit = 3, .newest_first = true};
	int64_t begin = clock_real_ns(), middle = 0;
	json_t *page = json_array();
	struct err err;

	for (int i = 0; i < 10; i++) {
		char path[32];

		if (i == 5) {
			usleep(2000);
			middle = clock_real_ns();
		}
		snprintf(path, sizeof(path), "/50%%_%d", i);
		add(store, i % 2 ? "Odd.Virus" : "Even", path);
	}
	store_event(store, EVENT_audit, EVENT_SEVERITY_INFO, NULL, "done");

	assert_int_equal(count(store, (struct event_query){.kind = -1}), 11);
	assert_int_equal(
		count(store, (struct event_query){.kind = EVENT_audit}), 1);
	assert_int_equal(
		count(store, (struct event_query){.kind = -1, .text = "odd.v"}),
		5);
	/* Signs that mean something to LIKE are meant as they stand. */
	assert_int_equal(
		count(store, (struct event_query){.kind = -1, .text = "%_3"}),
		1);
	assert_int_equal(
		count(store, (struct event_query){.kind = -1, .text = "0%3"}),
		0);
	assert_int_equal(count(store, (struct event_query){.kind = -1,
							   .since_ns = middle}),
			 6);
	assert_int_equal(count(store, (struct event_query){.kind = -1,
							   .until_ns = middle}),
			 5);
	assert_int_equal(count(store, (struct event_query){.kind = -1,
							   .until_ns = begin}),
			 0);
	assert_int_equal(store_events(store, &q, collect, page, &err), 1);
	assert_int_equal(json_array_size(page), 3);
	assert_string_equal(text_of(json_array_get(page, 0), "kind"), "audit");
	assert_string_equal(text_of(json_array_get(page, 2), "path"), "/50%_8");
	assert_int_equal(store_events(store, &q, collect, page, &err), 1);
	assert_string_equal(text_of(json_array_get(page, 3), "path"), "/50%_7");
	json_decref(page);
	store_free(&store);
}

static void the_clock_set_back_hides_no_event(void **state)
{
	struct store *store = store_new(paths()->store);
	int64_t now = clock_real_ns();

	add(store, "future", "/f");
	add(store, "now", "/n");
	store_free(&store);
	behind("UPDATE event SET time=time+3600000000000 WHERE id=1");
	store = store_new(paths()->store);
	assert_int_equal(
		count(store,
		      (struct event_query){.kind = -1,
					   .since_ns = now + HOUR_NS / 2}),
		1);
	assert_int_equal(
		count(store, (struct event_query){.kind = -1, .since_ns = now}),
		2);
	store_free(&store);
}

static int64_t told;
static int tellings;

static void on_told(int64_t id, void *arg)
{
	told = id;
	tellings++;
}

static void followers_are_told_until_they_leave(void **state)
{
	struct store *store = store_new(paths()->store);
	struct store_follower *a = store_follow(store, on_told, NULL);
	struct store_follower *b = store_follow(store, on_told, NULL);

	tellings = 0;
	add(store, "x", "/x");
	assert_int_equal(tellings, 2);
	assert_int_equal(told, store_last_event(store));
	store_unfollow(&a);
	assert_null(a);
	add(store, "x", "/x");
	assert_int_equal(tellings, 3);
	store_unfollow(&b);
	add(store, "x", "/x");
	assert_int_equal(tellings, 3);
	store_free(&store);
}

static struct store_follower *leaving;
static void on_told_leave(int64_t id, void *arg)
{
	tellings++;
	store_unfollow(&leaving);
}

static void a_follower_may_leave_while_it_is_told(void **state)
{
	struct store *store = store_new(paths()->store);

	tellings = 0;
	leaving = store_follow(store, on_told_leave, NULL);
	add(store, "x", "/x");
	add(store, "x", "/x");
	assert_int_equal(tellings, 1);
	store_free(&store);
}

static void the_oldest_and_the_too_many_go(void **state)
{
	struct store *store = store_new(paths()->store);
	int64_t deleted = 0;
	struct err err;
	json_t *all;

	for (int i = 0; i < 100; i++)
		add(store, "x", "/x");
	store_free(&store);
	behind("UPDATE event SET time=time-7200000000000 WHERE id<=30");
	store = store_new(paths()->store);
	assert_int_equal(store_event_count(store), 100);
	assert_int_equal(
		store_events_purge(store, 3600 * 1000, 0, &deleted, &err), 0);
	assert_int_equal(deleted, 30);
	assert_int_equal(store_events_purge(store, 0, 10, &deleted, &err), 0);
	assert_int_equal(deleted, 90);
	assert_int_equal(store_event_count(store), 10);
	all = ask(store, (struct event_query){.kind = -1}, NULL);
	assert_int_equal(json_integer_value(
				 json_object_get(json_array_get(all, 0), "id")),
			 91);
	json_decref(all);
	/* An id is never given twice. */
	store_events_purge(store, 0, 1, &deleted, &err);
	add(store, "x", "/x");
	assert_int_equal(store_last_event(store), 101);
	store_free(&store);
}

/* ---- a million ---- */

static uint64_t slowest_ns;

static size_t timed(struct store *store, struct event_query q)
{
	json_t *all = json_array();
	struct err err;
	uint64_t start;
	size_t n;
	int rc;

	q.limit = 100;
	do {
		start = clock_mono_ns();
		rc = store_events(store, &q, collect, all, &err);
		start = clock_mono_ns() - start;
		if (start > slowest_ns)
			slowest_ns = start;
	} while (rc > 0 && json_array_size(all) < 1000);
	n = json_array_size(all);
	json_decref(all);
	return n;
}

static void no_question_holds_up_the_loop_with_a_million_rows(void **state)
{
	struct store *store = store_new(paths()->store);
	int64_t now = clock_real_ns(), deleted = 0;
	struct err err;
	uint64_t start;

	store_free(&store);
	/* One an ms, until now; every ten thousandth is an audit event. */
	behind("PRAGMA synchronous=OFF; WITH RECURSIVE n(i) AS (SELECT 1 UNION "
	       "ALL SELECT i+1 FROM n WHERE i<1000000) INSERT INTO "
	       "event(time,kind,severity,message,virus,path) SELECT "
	       "(strftime('%s','now')*1000-1000000+i)*1000000,"
	       "CASE WHEN i%10000 THEN 'virus' ELSE 'audit' END,1,"
	       "'Some.Virus in /srv/data/file'||i,'Some.Virus',"
	       "'/srv/data/file'||i FROM n");
	start = clock_mono_ns();
	store = store_new(paths()->store);
	assert_true(store_healthy(store, NULL));
	assert_int_equal(store_event_count(store), 1000000);
	print_message("open %llu ms\n",
		      (unsigned long long)(clock_mono_ns() - start) / 1000000);

	for (int newest = 0; newest < 2; newest++) {
		struct event_query q = {.kind = -1, .newest_first = newest};

		assert_int_equal(timed(store, q), 1000);
		q.kind = EVENT_audit;
		assert_int_equal(timed(store, q), 100);
		q.text = "nothing has this";
		assert_int_equal(timed(store, q), 0);
		q.kind = -1;
		q.text = "file999999";
		assert_int_equal(timed(store, q), 1);
		q.text = NULL;
		q.since_ns = now - 10ll * 1000000000;
		assert_int_equal(timed(store, q), 1000);
		q.kind = EVENT_network;
		assert_int_equal(timed(store, q), 0);
		q.since_ns = now - 900ll * 1000000000;
		q.until_ns = now - 100ll * 1000000000;
		assert_int_equal(timed(store, q), 0);
	}
	start = clock_mono_ns();
	assert_int_equal(store_events_purge(store, 0, 900000, &deleted, &err),
			 1);
	start = clock_mono_ns() - start;
	print_message("slowest slice %llu ms, purge step %llu ms\n",
		      (unsigned long long)slowest_ns / 1000000,
		      (unsigned long long)start / 1000000);
	/* Far from what is seen, but other tests may run beside. */
	assert_true(slowest_ns < 300 * CLOCK_NS_PER_MS);
	assert_true(start < 500 * CLOCK_NS_PER_MS);
	store_free(&store);
}

/* ---- when it does not work ---- */

static int health_changes;
static bool last_health;
static void on_health(bool healthy, const char *why, void *arg)
{
	health_changes++;
	last_health = healthy;
	/* What core does: it tells so by an event, from in here. */
	if (healthy)
		add(arg, "well again", "/w");
}

static void fill_up(void)
{
	static char block[4096];
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "%s/ballast", paths()->root);
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
	while (write(fd, block, sizeof(block)) > 0)
		;
	close(fd);
}

static void a_full_disk_loses_no_event_and_is_told(void **state)
{
	struct store *store;
	char ballast[256];
	struct err why;

	assert_int_equal(
		mount(NULL, paths()->root, NULL, MS_REMOUNT, "size=1m"), 0);
	store = store_new(paths()->store);
	store_on_health(store, on_health, store);
	health_changes = 0;
	add(store, "before", "/b");
	fill_up();
	for (int i = 0; i < 500; i++)
		add(store, "meanwhile", "/some/path/that/takes/room");
	assert_false(store_healthy(store, &why));
	assert_int_equal(why.code, ENOSPC);
	assert_false(last_health);
	snprintf(ballast, sizeof(ballast), "%s/ballast", paths()->root);
	unlink(ballast);
	assert_int_equal(store_retry(store, &why), 0);
	assert_true(store_healthy(store, NULL));
	assert_true(last_health);
	assert_int_equal(count(store, (struct event_query){.kind = -1,
							   .text = "before"}),
			 1);
	assert_int_equal(
		count(store,
		      (struct event_query){.kind = -1, .text = "meanwhile"}),
		500);
	assert_int_equal(
		count(store,
		      (struct event_query){.kind = -1, .text = "well again"}),
		health_changes / 2);
	store_free(&store);
	assert_int_equal(
		mount(NULL, paths()->root, NULL, MS_REMOUNT, "size=64m"), 0);
}

static void a_full_disk_at_the_start_is_survived(void **state)
{
	struct store *store;
	char ballast[256];
	struct intent intent = {.kind = INTENT_PUT};
	struct err err;

	assert_int_equal(
		mount(NULL, paths()->root, NULL, MS_REMOUNT, "size=256k"), 0);
	fill_up();
	store = store_new(paths()->store);
	assert_non_null(store);
	assert_false(store_healthy(store, NULL));
	add(store, "early", "/e");
	assert_int_equal(store_intent_begin(store, &intent, &err), -1);
	assert_int_equal(store_last_event(store), 0);
	assert_int_equal(
		mount(NULL, paths()->root, NULL, MS_REMOUNT, "size=64m"), 0);
	snprintf(ballast, sizeof(ballast), "%s/ballast", paths()->root);
	unlink(ballast);
	usleep(1100000); /* it tries once a second */
	assert_int_equal(store_retry(store, &err), 0);
	assert_int_equal(count(store, (struct event_query){.kind = -1}), 1);
	store_free(&store);
}

static void a_read_only_place_is_told_and_survived(void **state)
{
	struct store *store = store_new(paths()->store);
	struct err why;

	add(store, "a", "/a");
	store_free(&store);
	assert_int_equal(
		mount(NULL, paths()->root, NULL, MS_REMOUNT | MS_RDONLY, NULL),
		0);
	store = store_new(paths()->store);
	add(store, "b", "/b");
	assert_false(store_healthy(store, &why));
	assert_int_equal(mount(NULL, paths()->root, NULL, MS_REMOUNT, NULL), 0);
	usleep(1100000);
	assert_int_equal(store_retry(store, &why), 0);
	assert_int_equal(count(store, (struct event_query){.kind = -1}), 2);
	store_free(&store);
}

static void a_damaged_database_is_put_aside_and_a_new_one_begun(void **state)
{
	struct store *store = store_new(paths()->store);

	add(store, "a", "/a");
	store_free(&store);
	sb_puts(paths()->store, "this is no database, but it is long enough "
				"that nobody takes it for an empty one");
	store = store_new(paths()->store);
	assert_true(store_healthy(store, NULL));
	add(store, "b", "/b");
	assert_int_equal(count(store, (struct event_query){.kind = -1}), 1);
	assert_int_equal(sb_count(paths()->lib_dir, "splx.db.broken-"), 1);
	store_free(&store);
}

static void damage_in_the_middle_is_noticed_and_survived(void **state)
{
	struct store *store = store_new(paths()->store);
	char junk[4096];
	struct stat st;
	int fd;

	for (int i = 0; i < 2000; i++)
		add(store, "a", "/a/long/path/to/fill/pages");
	store_free(&store);
	memset(junk, 0x5a, sizeof(junk));
	fd = open(paths()->store, O_WRONLY);
	assert_int_equal(fstat(fd, &st), 0);
	for (off_t at = 4096; at + 4096 <= st.st_size; at += 4096)
		assert_int_equal(pwrite(fd, junk, sizeof(junk), at), 4096);
	close(fd);
	store = store_new(paths()->store);
	for (int i = 0; i < 3; i++) {
		add(store, "b", "/b");
		store_retry(store, NULL);
		usleep(1100000);
	}
	store_retry(store, NULL);
	assert_true(store_healthy(store, NULL));
	assert_int_equal(
		count(store, (struct event_query){.kind = -1, .text = "/b"}),
		3);
	store_free(&store);
}

static void a_database_of_a_newer_version_is_left_alone(void **state)
{
	struct store *store = store_new(paths()->store);
	struct err why;

	add(store, "a", "/a");
	store_free(&store);
	behind("PRAGMA user_version=4711");
	store = store_new(paths()->store);
	assert_false(store_healthy(store, &why));
	assert_non_null(strstr(why.text, "4711"));
	add(store, "b", "/b");
	store_free(&store);
	assert_int_equal(sb_count(paths()->lib_dir, "splx.db.broken-"), 0);
	behind("UPDATE event SET severity=0"); /* still a database */
}

static void a_removed_database_is_begun_anew(void **state)
{
	struct store *store = store_new(paths()->store);

	add(store, "a", "/a");
	unlink(paths()->store);
	usleep(1100000);
	add(store, "b", "/b");
	assert_true(store_healthy(store, NULL));
	assert_true(sb_exists(paths()->store));
	store_free(&store);
	store = store_new(paths()->store);
	assert_int_equal(
		count(store, (struct event_query){.kind = -1, .text = "/b"}),
		1);
	store_free(&store);
}

static void there_is_one_writer(void **state)
{
	struct store *store = store_new(paths()->store);
	int status;
	pid_t pid;

	add(store, "a", "/a");
	pid = fork(); /* locks are a process's */
	if (pid == 0) {
		struct store *second = store_new(paths()->store);

		_exit(store_healthy(second, NULL) ? 1 : 0);
	}
	waitpid(pid, &status, 0);
	assert_int_equal(status, 0);
	add(store, "b", "/b");
	assert_true(store_healthy(store, NULL));
	store_free(&store);
}

static void a_column_that_is_new_in_events_def_is_added(void **state)
{
	struct store *store = store_new(paths()->store);

	add(store, "a", "/a");
	store_free(&store);
	behind("ALTER TABLE event DROP COLUMN sha256");
	store = store_new(paths()->store);
	store_event(store, EVENT_virus, EVENT_SEVERITY_LOW,
		    json_pack("{s:s}", "sha256", "abc"), "x");
	assert_true(store_healthy(store, NULL));
	assert_int_equal(
		count(store, (struct event_query){.kind = -1, .text = "abc"}),
		1);
	store_free(&store);
}

static void the_database_is_ours_alone(void **state)
{
	struct store *store = store_new(paths()->store);
	struct stat st;

	add(store, "a", "/a");
	assert_int_equal(stat(paths()->store, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	store_free(&store);
}

/* ---- export and times ---- */

static void csv_is_quoted_by_rfc_4180(void **state)
{
	json_t *e = json_pack("{s:i, s:I, s:s, s:s, s:s, s:s}", "id", 1, "time",
			      (json_int_t)1795294079123456789ll, "kind",
			      "virus", "severity", "high", "message",
			      "a \"b\", c", "virus", "x");
	struct str out = {0};

	events_text_csv_head(&out, EVENT_virus);
	assert_true(str_starts(str_get(&out),
			       "id,time,kind,severity,message,virus,path,"));
	assert_true(str_ends(str_get(&out), "\r\n"));
	str_clear(&out);
	events_text_csv(&out, e, EVENT_virus);
	assert_true(str_starts(str_get(&out),
			       "1,2026-11-21T20:47:59.123Z,virus,high,"
			       "\"a \"\"b\"\", c\",x,,"));
	str_free(&out);
	json_decref(e);
}

static void times_are_read_as_people_write_them(void **state)
{
	static const char *const wrong[] = {
		"",   "yesterday",   "2026-13-01",
		"12", "2026-11-21x", "2026-11-21T25:00"};
	int64_t ns;
	struct err err;

	setenv("TZ", "UTC-2", 1); /* two hours before UTC */
	tzset();
	assert_int_equal(events_text_time("2026-11-21T20:47:59Z", &ns, &err),
			 0);
	assert_int_equal(ns, 1795294079ll * 1000000000);
	assert_int_equal(events_text_time("2026-11-21 22:47:59", &ns, &err), 0);
	assert_int_equal(ns, 1795294079ll * 1000000000);
	assert_int_equal(events_text_time("2026-11-21", &ns, &err), 0);
	assert_int_equal(ns, 1795212000ll * 1000000000);
	assert_int_equal(events_text_time("1795294079123456789", &ns, &err), 0);
	assert_int_equal(ns, 1795294079123456789ll);
	assert_int_equal(events_text_time("2h", &ns, &err), 0);
	assert_true(llabs(clock_real_ns() - 2 * HOUR_NS - ns) < 1000000000ll);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		assert_int_equal(events_text_time(wrong[i], &ns, &err), -1);
}

#define T(name) cmocka_unit_test_setup(name, sb_setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(an_event_comes_back_with_what_it_was_given),
		T(any_bytes_become_text_that_can_be_shown),
		T(questions_by_kind_text_time_and_page_are_exact),
		T(the_clock_set_back_hides_no_event),
		T(followers_are_told_until_they_leave),
		T(a_follower_may_leave_while_it_is_told),
		T(the_oldest_and_the_too_many_go),
		T(a_full_disk_loses_no_event_and_is_told),
		T(a_full_disk_at_the_start_is_survived),
		T(a_read_only_place_is_told_and_survived),
		T(a_damaged_database_is_put_aside_and_a_new_one_begun),
		T(damage_in_the_middle_is_noticed_and_survived),
		T(a_database_of_a_newer_version_is_left_alone),
		T(a_removed_database_is_begun_anew),
		T(there_is_one_writer),
		T(a_column_that_is_new_in_events_def_is_added),
		T(the_database_is_ours_alone),
		T(csv_is_quoted_by_rfc_4180),
		T(times_are_read_as_people_write_them),
	};
	const struct CMUnitTest large[] = {
		T(no_question_holds_up_the_loop_with_a_million_rows),
	};
	int rc = cmocka_run_group_tests(tests, sb_group_setup, NULL);

	/* Room for it. */
	if (mount(NULL, paths()->root, NULL, MS_REMOUNT, "size=700m") < 0)
		perror("remount");
	return rc + cmocka_run_group_tests(large, NULL, sb_group_teardown);
}
