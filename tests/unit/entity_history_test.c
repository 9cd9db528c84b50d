/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/* Statistics over time, in the store. */
#include "entity_storebed.h"

#include "entity/history.h"

#define NOW 1700000000ll

static void put(struct store *store, int level, int64_t time_s, uint64_t opens,
		uint64_t ns)
{
	struct history_row row = {.level = level, .time_s = time_s};
	struct err err;

	row.count[HISTORY_OPENS] = opens;
	if (ns)
		hist_add(&row.waits, ns);
	assert_int_equal(store_history_add(store, &row, &err), 0);
}

static int64_t sum(json_t *data, const char *name, int *points_r)
{
	json_t *list = json_object_get(json_object_get(data, "series"), name);
	json_t *value;
	int64_t n = 0;
	size_t i;

	*points_r = 0;
	json_array_foreach (list, i, value) {
		n += json_integer_value(value);
		*points_r += json_is_integer(value);
	}
	return n;
}

static void rows_of_one_time_add_up_and_gaps_are_null(void **state)
{
	struct store *store = store_new(paths()->store);
	int64_t t = NOW - NOW % 60;
	json_t *data, *p99;
	struct err err;
	int points;

	put(store, 0, t - 600, 3, 1000000);
	put(store, 0, t - 600, 4, 9000000);
	put(store, 0, t - 60, 5, 0);
	data = history_json(store, t - 3600, t + 60, 240, NOW, &err);
	assert_non_null(data);
	assert_int_equal(sum(data, "opens", &points), 12);
	assert_int_equal(points, 2);
	p99 = json_object_get(json_object_get(data, "series"), "p99_ns");
	assert_int_equal(sum(data, "p99_ns", &points),
			 json_integer_value(json_array_get(p99, 50)));
	assert_int_equal(points, 1);
	assert_true(json_integer_value(json_array_get(p99, 50)) > 8000000);
	json_decref(data);
	store_free(&store);
}

static void fewer_points_are_longer_steps_of_the_same_sum(void **state)
{
	struct store *store = store_new(paths()->store);
	int64_t t = NOW - NOW % 60, i;
	struct err err;
	int points;

	for (i = 0; i < 1440; i++)
		put(store, 0, t - i * 60, 1, 0);
	for (int want = 1; want <= 2000; want *= 7) {
		json_t *data = history_json(store, t - 1439 * 60, t + 60, want,
					    NOW, &err);

		assert_int_equal(sum(data, "opens", &points), 1440);
		assert_true(points <= want + 1);
		json_decref(data);
	}
	store_free(&store);
}

static void what_reaches_far_back_is_read_from_longer_steps(void **state)
{
	struct store *store = store_new(paths()->store);
	struct err err;
	json_t *data;
	int points;

	put(store, 0, NOW - NOW % 60, 1, 0);
	put(store, 1, NOW - NOW % 900, 10, 0);
	put(store, 2, NOW - NOW % 21600, 100, 0);
	data = history_json(store, NOW - 86400, NOW + 1, 240, NOW, &err);
	assert_int_equal(sum(data, "opens", &points), 1);
	json_decref(data);
	data = history_json(store, NOW - 20 * 86400, NOW + 1, 240, NOW, &err);
	assert_int_equal(sum(data, "opens", &points), 10);
	json_decref(data);
	data = history_json(store, NOW - 300 * 86400, NOW + 1, 240, NOW, &err);
	assert_int_equal(sum(data, "opens", &points), 100);
	json_decref(data);
	store_free(&store);
}

static void count(const struct history_row *row, void *arg)
{
	++*(int *)arg;
}

static void so_many_rows_are_kept_and_none_of_a_wrong_clock(void **state)
{
	struct store *store = store_new(paths()->store);
	struct err err;
	int n = 0, i;

	for (i = 0; i < 50; i++)
		put(store, 0, i * 60, 1, 0);
	put(store, 0, 4000000000ll, 1, 0);
	put(store, 1, 0, 1, 0);
	assert_int_equal(store_history_trim(store, 0, 10, 100000, &err), 0);
	assert_int_equal(store_history_trim(store, 0, 10, 100000, &err), 0);
	assert_int_equal(store_history(store, 0, 0, INT64_MAX, count, &n, &err),
			 0);
	assert_int_equal(n, 10);
	assert_int_equal(store_history(store, 1, 0, INT64_MAX, count, &n, &err),
			 0);
	assert_int_equal(n, 11);
	store_free(&store);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(
			rows_of_one_time_add_up_and_gaps_are_null, sb_setup),
		cmocka_unit_test_setup(
			fewer_points_are_longer_steps_of_the_same_sum,
			sb_setup),
		cmocka_unit_test_setup(
			what_reaches_far_back_is_read_from_longer_steps,
			sb_setup),
		cmocka_unit_test_setup(
			so_many_rows_are_kept_and_none_of_a_wrong_clock,
			sb_setup),
	};

	return cmocka_run_group_tests(tests, sb_group_setup, sb_group_teardown);
}
