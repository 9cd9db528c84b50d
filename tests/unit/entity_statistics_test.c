/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "entity_bed.h"

#include "entity/core.h"
#include "entity/statistics.h"

struct world {
	struct core core;
	struct scoreboard *sb;
	int sb_fd;
};

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	struct err err;

	w->sb = scoreboard_new(&w->sb_fd, &err);
	assert_non_null(w->sb);
	w->core.sb = w->sb;
	w->core.loop = loop_new();
	assert_int_equal(statistics_init(&w->core, &err), 0);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	statistics_deinit(&w->core);
	loop_free(&w->core.loop);
	munmap(w->sb, sizeof(*w->sb));
	close(w->sb_fd);
	free(w);
	return 0;
}

/* As a worker leaves one. */
static void leave(struct world *w, int slot, pid_t pid, const char *path,
		  uint64_t scan_ns)
{
	struct slot *s = &w->sb->slots[slot];
	uint32_t n = atomic_load(&s->sample_next);
	struct sample *sample = &s->samples[n % SLOT_SAMPLES];

	atomic_fetch_add(&sample->seq, 1);
	sample->pid = pid;
	sample->source = SOURCE_OPEN;
	sample->verdict = VERDICT_CLEAN;
	sample->scan_ns = scan_ns;
	sample->wait_ns = 2 * scan_ns;
	sample->size = 100;
	str_copy(sample->path, sizeof(sample->path), path);
	atomic_fetch_add(&sample->seq, 1);
	atomic_store(&s->sample_next, n + 1);
}

/* Member `name` of row i of `list`. */
static json_int_t number(json_t *data, const char *list, size_t i,
			 const char *name)
{
	json_t *row = json_array_get(json_object_get(data, list), i);

	return json_integer_value(json_object_get(row, name));
}

static const char *text(json_t *data, const char *list, size_t i,
			const char *name)
{
	json_t *row = json_array_get(json_object_get(data, list), i);
	const char *s = json_string_value(json_object_get(row, name));

	return s ? s : "";
}

static json_int_t counter(json_t *data, const char *name)
{
	return json_integer_value(
		json_object_get(json_object_get(data, "counters"), name));
}

static void what_costs_most_stands_first(void **state)
{
	struct world *w = *state;
	char exe[PATH_MAX];
	json_t *data;
	ssize_t n;

	n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	exe[n] = '\0';
	leave(w, 0, getpid(), "/a", 10);
	leave(w, 0, getpid(), "/b", 500);
	leave(w, 1, getpid(), "/a", 20);
	leave(w, 1, getpid(), "/c", 1);
	data = statistics_json(&w->core, 2);
	assert_int_equal(json_array_size(json_object_get(data, "top_files")),
			 2);
	assert_string_equal(text(data, "top_files", 0, "path"), "/b");
	assert_string_equal(text(data, "top_files", 1, "path"), "/a");
	assert_int_equal(number(data, "top_files", 1, "scans"), 2);
	assert_int_equal(number(data, "top_files", 1, "scan_ns"), 30);
	assert_int_equal(number(data, "top_files", 1, "wait_ns"), 60);
	assert_int_equal(number(data, "top_files", 1, "bytes"), 200);
	assert_string_equal(text(data, "top_processes", 0, "program"), exe);
	assert_int_equal(number(data, "top_processes", 0, "scans"), 4);
	json_decref(data);
}

static void directories_cost_what_their_files_do(void **state)
{
	struct world *w = *state;
	json_t *data;

	leave(w, 0, getpid(), "/top", 5);
	leave(w, 0, getpid(), "/srv/data/a", 10);
	leave(w, 1, getpid(), "/srv/data/b", 20);
	leave(w, 1, getpid(), "/srv/c", 1);
	leave(w, 1, getpid(), "cut/off/d", 2);
	leave(w, 1, getpid(), "nothing", 99);
	data = statistics_json(&w->core, 9);
	assert_int_equal(
		json_array_size(json_object_get(data, "top_directories")), 4);
	assert_string_equal(text(data, "top_directories", 0, "path"),
			    "/srv/data");
	assert_int_equal(number(data, "top_directories", 0, "scan_ns"), 30);
	assert_int_equal(number(data, "top_directories", 0, "scans"), 2);
	assert_string_equal(text(data, "top_directories", 1, "path"), "/");
	assert_string_equal(text(data, "top_directories", 2, "path"),
			    "cut/off");
	assert_string_equal(text(data, "top_directories", 3, "path"), "/srv");
	json_decref(data);
}

static void a_program_that_has_ended_is_counted_as_such(void **state)
{
	struct world *w = *state;
	json_t *data;
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	waitpid(pid, NULL, 0);
	leave(w, 0, pid, "/a", 10);
	data = statistics_json(&w->core, 5);
	assert_string_equal(text(data, "top_processes", 0, "program"),
			    "(ended since)");
	json_decref(data);
}

static void samples_that_were_overwritten_are_counted_as_lost(void **state)
{
	struct world *w = *state;
	json_t *data;
	int i;

	for (i = 0; i < SLOT_SAMPLES + 10; i++)
		leave(w, 3, 0, "/a", 1);
	data = statistics_json(&w->core, 5);
	assert_int_equal(
		json_integer_value(json_object_get(data, "samples_lost")), 10);
	assert_int_equal(number(data, "top_files", 0, "scans"), SLOT_SAMPLES);
	json_decref(data);
}

static void a_sample_that_is_being_written_is_not_believed(void **state)
{
	struct world *w = *state;
	json_t *data;

	leave(w, 0, 0, "/a", 1);
	leave(w, 0, 0, "/b", 1);
	atomic_fetch_add(&w->sb->slots[0].samples[1].seq, 1);
	data = statistics_json(&w->core, 5);
	assert_int_equal(json_array_size(json_object_get(data, "top_files")),
			 1);
	assert_int_equal(
		json_integer_value(json_object_get(data, "samples_lost")), 1);
	json_decref(data);
}

static void a_hostile_slot_can_neither_hang_nor_overrun_it(void **state)
{
	struct world *w = *state;
	json_t *data;

	memset(w->sb->slots[0].samples, 0x7e, sizeof(w->sb->slots[0].samples));
	atomic_store(&w->sb->slots[0].sample_next, 0xfffffff0u);
	data = statistics_json(&w->core, 5);
	assert_non_null(data);
	json_decref(data);
	atomic_store(&w->sb->slots[0].sample_next, 5);
	data = statistics_json(&w->core, 5);
	assert_non_null(data);
	json_decref(data);
}

static void the_tables_are_bounded_and_keep_what_costs_most(void **state)
{
	struct world *w = *state;
	char path[64];
	json_t *data;
	int i;

	leave(w, 0, 0, "/dear", 1000000);
	for (i = 0; i < 3000; i++) {
		snprintf(path, sizeof(path), "/cheap-%d", i);
		leave(w, 0, 0, path, 1);
		if (i % 50 == 0)
			statistics_drain(&w->core);
	}
	data = statistics_json(&w->core, 100000);
	assert_int_equal(json_array_size(json_object_get(data, "top_files")),
			 512);
	assert_string_equal(text(data, "top_files", 0, "path"), "/dear");
	json_decref(data);
}

static void a_path_of_any_bytes_is_told(void **state)
{
	struct world *w = *state;
	json_t *data;

	leave(w, 0, 0, "/x\xff\xfe", 1);
	data = statistics_json(&w->core, 5);
	assert_string_equal(text(data, "top_files", 0, "path"), "/x\\xff\\xfe");
	json_decref(data);
}

static void counters_and_times_are_those_of_the_scoreboard(void **state)
{
	struct world *w = *state;
	json_t *data, *wait;
	int i;

	atomic_store(&w->sb->slots[2].counters[COUNTER_SCANS], 5);
	atomic_store(&w->sb->retired[COUNTER_SCANS], 2);
	for (i = 0; i < 100; i++)
		hist_add(&w->sb->slots[2].wait, i < 98 ? 1000000 : 900000000);
	data = statistics_json(&w->core, 5);
	assert_int_equal(counter(data, "scans"), 7);
	assert_int_equal(counter(data, "policyTimeout"), 0);
	wait = json_object_get(data, "wait");
	assert_int_equal(json_integer_value(json_object_get(wait, "count")),
			 100);
	assert_in_range(json_integer_value(json_object_get(wait, "p50_ns")),
			900000, 1100000);
	assert_in_range(json_integer_value(json_object_get(wait, "p99_ns")),
			800000000, 1000000000);
	json_decref(data);
}

static void a_reset_begins_at_zero_and_leaves_the_scoreboard(void **state)
{
	struct world *w = *state;
	json_t *data;

	atomic_store(&w->sb->slots[2].counters[COUNTER_SCANS], 5);
	hist_add(&w->sb->slots[2].wait, 1000000);
	leave(w, 0, 0, "/a", 1);
	statistics_reset(&w->core);
	atomic_fetch_add(&w->sb->slots[2].counters[COUNTER_SCANS], 3);
	data = statistics_json(&w->core, 5);
	assert_int_equal(counter(data, "scans"), 3);
	assert_int_equal(json_integer_value(json_object_get(
				 json_object_get(data, "wait"), "count")),
			 0);
	assert_int_equal(json_array_size(json_object_get(data, "top_files")),
			 0);
	json_decref(data);
	assert_int_equal(scoreboard_count(w->sb, COUNTER_SCANS), 8);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(what_costs_most_stands_first),
		T(directories_cost_what_their_files_do),
		T(a_program_that_has_ended_is_counted_as_such),
		T(samples_that_were_overwritten_are_counted_as_lost),
		T(a_sample_that_is_being_written_is_not_believed),
		T(a_hostile_slot_can_neither_hang_nor_overrun_it),
		T(the_tables_are_bounded_and_keep_what_costs_most),
		T(a_path_of_any_bytes_is_told),
		T(counters_and_times_are_those_of_the_scoreboard),
		T(a_reset_begins_at_zero_and_leaves_the_scoreboard),
	};

	alarm(60);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
