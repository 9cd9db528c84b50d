/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/* Scans as jobs, in the store. */
#include "entity_storebed.h"

#include "common/scanstate.h"

struct rows {
	int64_t ids[64];
	int states[64];
	char data[64][32];
	int n;
};

static void add(const struct scan_row *row, void *arg)
{
	struct rows *r = arg;

	assert_true(r->n < 64);
	r->ids[r->n] = row->id;
	r->states[r->n] = row->state;
	snprintf(r->data[r->n++], sizeof(r->data[0]), "%s", row->data);
}

static int64_t put(struct store *store, int state, const char *name,
		   const char *data)
{
	struct scan_row row = {
		.state = state, .name = name, .begun_ns = 5, .data = data};
	struct err err;

	assert_int_equal(store_scan_add(store, &row, &err), 0);
	assert_true(row.id > 0);
	return row.id;
}

static void a_job_comes_back_after_a_restart_as_it_was_saved(void **state)
{
	struct store *store = store_new(paths()->store);
	int64_t a = put(store, SCAN_RUNNING, "", "{}");
	struct scan_row row = {
		.id = a, .state = SCAN_PAUSED, .name = "", .data = "{\"x\":1}"};
	struct rows rows = {0};
	struct err err;

	(void)state;
	assert_int_equal(store_scan_save(store, &row, &err), 0);
	store_free(&store);
	store = store_new(paths()->store);
	assert_int_equal(store_scan_get(store, a, add, &rows, &err), 1);
	assert_int_equal(rows.states[0], SCAN_PAUSED);
	assert_string_equal(rows.data[0], "{\"x\":1}");
	assert_int_equal(store_scan_get(store, a + 1, add, &rows, &err), 0);
	store_free(&store);
}

static void they_are_listed_newest_first_and_by_name(void **state)
{
	struct store *store = store_new(paths()->store);
	struct rows rows = {0};
	struct err err;
	int64_t ids[4];

	(void)state;
	ids[0] = put(store, SCAN_DONE, "nightly", "a");
	ids[1] = put(store, SCAN_RUNNING, "", "b");
	ids[2] = put(store, SCAN_INTERRUPTED, "nightly", "c");
	ids[3] = put(store, SCAN_PAUSED, "weekly", "d");
	assert_int_equal(store_scans(store, NULL, 0, 3, add, &rows, &err), 0);
	assert_int_equal(rows.n, 3);
	assert_int_equal(rows.ids[0], ids[3]);
	assert_int_equal(rows.ids[2], ids[1]);
	rows.n = 0;
	store_scans(store, NULL, ids[1], 3, add, &rows, &err);
	assert_int_equal(rows.n, 1);
	rows.n = 0;
	store_scans(store, "nightly", 0, 1, add, &rows, &err);
	assert_int_equal(rows.n, 1);
	assert_int_equal(rows.ids[0], ids[2]);
	rows.n = 0;
	assert_int_equal(store_scans_alive(store, add, &rows, &err), 0);
	assert_int_equal(rows.n, 2);
	assert_int_equal(rows.ids[0], ids[1]);
	store_free(&store);
}

static void the_oldest_go_and_those_that_live_stay(void **state)
{
	struct store *store = store_new(paths()->store);
	int64_t alive = put(store, SCAN_RUNNING, "", "r"), last = 0;
	struct rows rows = {0};
	struct err err;

	(void)state;
	for (int i = 0; i < 20; i++)
		last = put(store, i % 2 ? SCAN_DONE : SCAN_INTERRUPTED, "",
			   "d");
	assert_int_equal(store_scans_purge(store, 5, &err), 0);
	store_scans(store, NULL, 0, 64, add, &rows, &err);
	assert_int_equal(rows.n, 6);
	assert_int_equal(rows.ids[0], last);
	assert_int_equal(rows.ids[5], alive);
	/* A number is not given twice, though the last one went. */
	assert_int_equal(store_scans_purge(store, 1, &err), 0);
	assert_true(put(store, SCAN_DONE, "", "") > last);
	store_free(&store);
}

static void count_events(json_t *event, void *arg)
{
	assert_string_equal(json_string_value(json_object_get(event, "virus")),
			    "Mine");
	++*(int *)arg;
}

static void findings_of_a_job_are_its_own(void **state)
{
	struct store *store = store_new(paths()->store);
	struct err err;
	int n = 0;

	(void)state;
	for (int i = 0; i < 5; i++) {
		store_event(store, EVENT_virus, EVENT_SEVERITY_HIGH,
			    json_pack("{s:i, s:s}", "job", 7, "virus", "Mine"),
			    "x");
		store_event(store, EVENT_virus, EVENT_SEVERITY_HIGH,
			    json_pack("{s:i, s:s}", "job", 8, "virus", "Other"),
			    "x");
		store_event(store, EVENT_scan, EVENT_SEVERITY_INFO,
			    json_pack("{s:i}", "job", 7), "x");
	}
	assert_int_equal(
		store_scan_findings(store, 7, 100, count_events, &n, &err), 0);
	assert_int_equal(n, 5);
	n = 0;
	store_scan_findings(store, 7, 3, count_events, &n, &err);
	assert_int_equal(n, 3);
	store_free(&store);
}

#define T(f) cmocka_unit_test_setup(f, sb_setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_job_comes_back_after_a_restart_as_it_was_saved),
		T(they_are_listed_newest_first_and_by_name),
		T(the_oldest_go_and_those_that_live_stay),
		T(findings_of_a_job_are_its_own),
	};

	return cmocka_run_group_tests(tests, sb_group_setup, sb_group_teardown);
}
