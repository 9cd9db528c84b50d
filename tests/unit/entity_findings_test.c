/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "entity_findingsbed.h"

#include "common/pass.h"
#include "entity/holders.h"

/* ---- */

static void a_finding_becomes_an_action_and_an_event(void **state)
{
	json_t *all;
	char exe[PATH_MAX];
	ssize_t n;

	sb_puts(sb_path("f"), VIRUS);
	send_about(sb_path("f"));
	all = events(1);
	assert_false(sb_exists(sb_path("f")));
	assert_int_equal(sb_items(bed.store), 1);
	assert_string_equal(text_of(all, 0, "virus"), "Test.Virus");
	assert_string_equal(text_of(all, 0, "path"), sb_path("f"));
	assert_string_equal(text_of(all, 0, "source"), "open");
	assert_string_equal(text_of(all, 0, "result"), "denied");
	assert_string_equal(text_of(all, 0, "action"), "quarantine");
	assert_string_equal(text_of(all, 0, "severity"), "medium");
	assert_int_equal(strlen(text_of(all, 0, "sha256")), 64);
	n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	exe[n > 0 ? n : 0] = '\0';
	assert_string_equal(text_of(all, 0, "program"), exe);
	assert_int_equal(json_integer_value(json_object_get(
				 json_array_get(all, 0), "uid")),
			 getuid());
	assert_int_equal(json_integer_value(json_object_get(
				 json_array_get(all, 0), "pid")),
			 getpid());
	json_decref(all);
}

static void a_storm_is_one_action_and_two_events(void **state)
{
	json_t *all;
	struct findings_stats stats;
	struct finding f;
	int fd;

	set("FirstAction", "deny");
	sb_puts(sb_path("f"), VIRUS);
	f = about(sb_path("f"), &fd);
	for (int i = 0; i < 200; i++) {
		f.pid = i % 2 ? getpid() : 1;
		send_it(&f, fd);
		if (i % 10 == 0)
			run_for(5);
	}
	close(fd);
	all = events(2);
	assert_string_equal(text_of(all, 0, "action"), "deny");
	assert_non_null(strstr(text_of(all, 1, "message"), "199 more times"));
	findings_stats(bed.fs, &stats);
	assert_int_equal(stats.received, 200);
	assert_int_equal(stats.repeated, 199);
	json_decref(all);
	run_for(2500);
	json_decref(events(2)); /* and no more */
}

static void different_files_are_not_one(void **state)
{
	char name[32];

	for (int i = 0; i < 40; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		sb_puts(sb_path(name), VIRUS);
		send_about(sb_path(name));
		if (i % 10 == 0)
			run_for(1);
	}
	json_decref(events(40));
	assert_int_equal(sb_items(bed.store), 40);
	assert_int_equal(sb_count(sb_files, ""), 0);
}

static void nothing_but_infected_is_acted_upon(void **state)
{
	struct findings_stats stats;
	struct finding f;
	int fd;

	sb_puts(sb_path("f"), OTHER);
	f = about(sb_path("f"), &fd);
	for (uint32_t v = VERDICT_CLEAN; v <= VERDICT_ERROR; v++) {
		f.verdict = v;
		if (v != VERDICT_INFECTED)
			send_it(&f, fd);
	}
	close(fd);
	run_for(300);
	findings_stats(bed.fs, &stats);
	assert_int_equal(stats.refused, VERDICT_ERROR);
	assert_true(sb_is(sb_path("f"), OTHER));
	assert_int_equal(sb_items(bed.store), 0);
	json_decref(events(0));
}

static void another_file_than_the_one_named_is_left_alone(void **state)
{
	json_t *all;
	struct finding f;
	int fd, other;

	sb_puts(sb_path("f"), VIRUS);
	sb_puts(sb_path("other"), OTHER);
	f = about(sb_path("f"), &fd);
	other = open(sb_path("other"), O_RDONLY);
	send_it(&f, other);
	f.virus[0] = 'B';
	send_it(&f, -1);
	close(fd);
	fd = open(sb_files, O_RDONLY | O_DIRECTORY);
	f.virus[0] = 'C';
	send_it(&f, fd);
	close(fd);
	close(other);
	all = events(3);
	for (size_t i = 0; i < 3; i++) {
		assert_string_equal(text_of(all, i, "action"), "none");
		assert_string_equal(text_of(all, i, "severity"), "high");
	}
	assert_true(sb_is(sb_path("other"), OTHER));
	assert_true(sb_is(sb_path("f"), VIRUS));
	json_decref(all);
}

static void a_file_changed_since_its_scan_is_left_alone(void **state)
{
	json_t *all;
	struct finding f;
	int fd;

	sb_puts(sb_path("f"), VIRUS);
	f = about(sb_path("f"), &fd);
	usleep(20000);
	sb_puts(sb_path("f"), OTHER);
	send_it(&f, fd);
	close(fd);
	all = events(1);
	assert_non_null(strstr(text_of(all, 0, "detail"), "changed"));
	assert_true(sb_is(sb_path("f"), OTHER));
	json_decref(all);
}

static void a_renamed_or_touched_file_is_still_the_one(void **state)
{
	struct finding f;
	int fd;

	sb_puts(sb_path("f"), VIRUS);
	f = about(sb_path("f"), &fd);
	usleep(20000);
	assert_int_equal(rename(sb_path("f"), sb_path("g")), 0);
	send_it(&f, fd);
	close(fd);
	json_decref(events(1));
	assert_false(sb_exists(sb_path("g")));
	assert_int_equal(sb_items(bed.store), 1);
}

static void what_a_worker_asks_for_does_not_count_but_a_clients_does(
	void **state)
{
	json_t *all;
	struct finding f;
	int fd;

	set("FirstAction", "deny");
	sb_puts(sb_path("f"), VIRUS);
	f = about(sb_path("f"), &fd);
	f.first_action = ACTION_DELETE;
	send_it(&f, fd);
	all = events(1);
	assert_string_equal(text_of(all, 0, "action"), "deny");
	assert_true(sb_is(sb_path("f"), VIRUS));
	json_decref(all);
	f.source = SOURCE_MANUAL;
	f.denied = 0;
	f.job = 42;
	send_it(&f, fd);
	close(fd);
	all = events(2);
	assert_string_equal(text_of(all, 1, "action"), "delete");
	assert_int_equal(json_integer_value(json_object_get(
				 json_array_get(all, 1), "job")),
			 42);
	assert_int_equal(strlen(text_of(all, 1, "sha256")), 64);
	assert_false(sb_exists(sb_path("f")));
	json_decref(all);
}

static void a_late_finding_is_acted_upon_and_of_high_severity(void **state)
{
	json_t *all;
	struct finding f;
	int fd;

	sb_puts(sb_path("f"), VIRUS);
	f = about(sb_path("f"), &fd);
	f.denied = 0;
	f.late = 1;
	send_it(&f, fd);
	close(fd);
	all = events(1);
	assert_string_equal(text_of(all, 0, "severity"), "high");
	assert_non_null(strstr(text_of(all, 0, "result"), "too late"));
	assert_string_equal(text_of(all, 0, "action"), "quarantine");
	json_decref(all);
}

static void records_that_make_no_sense_change_nothing(void **state)
{
	char junk[5000];
	struct findings_stats stats;

	memset(junk, 0x41, sizeof(junk));
	for (int i = 0; i < 20; i++)
		assert_true(send(bed.tx, junk, (size_t)i * 200 + 1, 0) > 0);
	sb_puts(sb_path("f"), VIRUS);
	send_about(sb_path("f"));
	json_decref(events(1));
	findings_stats(bed.fs, &stats);
	assert_int_equal(stats.refused, 20);
	assert_int_equal(sb_items(bed.store), 1);
}

static void a_restored_file_is_not_taken_again(void **state)
{
	struct item item;
	struct err err;
	json_t *all;

	sb_puts(sb_path("f"), VIRUS);
	send_about(sb_path("f"));
	json_decref(events(1));
	run_for(1500);
	assert_int_equal(
		quarantine_restore_now(bed.q, 1, NULL, false, &item, &err), 0);
	send_about(sb_path("f"));
	all = events(2);
	assert_string_equal(text_of(all, 1, "action"), "pass");
	assert_string_equal(text_of(all, 1, "detail"), "passed by restore");
	assert_string_equal(text_of(all, 1, "severity"), "low");
	assert_true(sb_is(sb_path("f"), VIRUS));
	json_decref(all);

	/* Touched and without the shared table: by its hash. */
	run_for(1500);
	pass_clear(bed.sb);
	chmod(sb_path("f"), 0640);
	send_about(sb_path("f"));
	all = events(3);
	assert_string_equal(text_of(all, 2, "action"), "pass");
	json_decref(all);

	/* Another infected file in its place has no pass. */
	run_for(1500);
	sb_puts(sb_path("f"), "infected content of the tesT\n");
	send_about(sb_path("f"));
	all = events(4);
	assert_string_equal(text_of(all, 3, "action"), "quarantine");
	json_decref(all);
}

static void an_opener_that_came_later_is_not_taken_for_it(void **state)
{
	char program[PATH_MAX];
	int64_t uid;

	assert_true(holders_opener(getpid(), clock_real_ns(), program,
				   sizeof(program), &uid));
	assert_int_equal(uid, getuid());
	assert_false(holders_opener(getpid(),
				    clock_real_ns() - 3600ll * 1000000000,
				    program, sizeof(program), &uid));
	assert_string_equal(program, "");
	assert_int_equal(uid, -1);
}

/* ---- the loop goes on ---- */

static void the_loop_goes_on_while_a_large_file_is_sealed(void **state)
{
	size_t len = 24 << 20;
	unsigned int x = 1;
	uint32_t *data = malloc(len);

	for (size_t i = 0; i < len / 4; i++)
		data[i] = x = x * 1664525 + 1013904223;
	sb_write(sb_path("large"), data, len);
	free(data);
	sb_pause_watch(bed.loop);
	send_about(sb_path("large"));
	json_decref(events(1));
	sb_pause_end();
	print_message("longest pause %llu ms\n",
		      (unsigned long long)sb_longest_pause / 1000000);
	assert_true(sb_longest_pause < 250 * CLOCK_NS_PER_MS);
	assert_int_equal(sb_items(bed.store), 1);
}

static void ending_in_the_middle_leaves_one_copy(void **state)
{
	size_t len = 24 << 20;
	char *data = calloc(1, len);
	struct err err;

	sb_write(sb_path("large"), data, len);
	free(data);
	send_about(sb_path("large"));
	for (int i = 0; i < 200 && sb_exists(sb_path("large")); i++)
		run_for(1);
	assert_false(sb_exists(sb_path("large")));
	findings_free(&bed.fs);
	quarantine_free(&bed.q);
	bed.q = quarantine_new(&(struct quarantine_setup){.store = bed.store});
	assert_int_equal(quarantine_recover(bed.q, &err), 0);
	assert_int_equal(sb_items(bed.store) + sb_exists(sb_path("large")), 1);
	assert_int_equal(sb_count(sb_files, ".splx"), 0);
}

static void a_core_that_was_killed_leaves_its_findings_to_the_next(void **state)
{
	struct findings_setup setup = {.conf = conf_of};
	char name[32];
	json_t *all;

	for (int i = 0; i < 20; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		sb_puts(sb_path(name), VIRUS);
		send_about(sb_path(name));
	}
	run_for(1); /* received, and little more */
	findings_free(&bed.fs);
	quarantine_free(&bed.q);
	bed.q = quarantine_new(&(struct quarantine_setup){
		.loop = bed.loop, .store = bed.store, .sb = bed.sb});
	assert_true(quarantine_recover(bed.q, NULL) >= 0);
	unlink(sb_path("f19"));
	setup.loop = bed.loop;
	setup.store = bed.store;
	setup.quarantine = bed.q;
	setup.sb = bed.sb;
	setup.sock = bed.rx;
	bed.fs = findings_new(&setup);
	all = events(20);
	assert_int_equal(sb_items(bed.store), 19);
	assert_int_equal(sb_count(sb_files, ""), 0);
	json_decref(all);
	/* Nothing is left to do for a third. */
	findings_free(&bed.fs);
	bed.fs = findings_new(&setup);
	run_for(300);
	json_decref(events(20));
}

static void a_finding_that_ends_core_each_time_is_given_up(void **state)
{
	struct findings_setup setup = {.conf = conf_of};
	json_t *all;

	sb_puts(sb_path("f"), VIRUS);
	send_about(sb_path("f"));
	setup.loop = bed.loop;
	setup.store = bed.store;
	setup.sb = bed.sb;
	setup.sock = bed.rx;
	run_for(0);
	for (int i = 0; i < 4; i++) {
		/* Killed before anything was done. */
		findings_free(&bed.fs);
		quarantine_free(&bed.q);
		bed.q = quarantine_new(&(struct quarantine_setup){
			.loop = bed.loop, .store = bed.store});
		quarantine_recover(bed.q, NULL);
		setup.quarantine = bed.q;
		bed.fs = findings_new(&setup);
	}
	all = events(1);
	assert_string_equal(text_of(all, 0, "action"), "none");
	assert_non_null(strstr(text_of(all, 0, "detail"), "given up"));
	assert_true(sb_is(sb_path("f"), VIRUS));
	json_decref(all);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_finding_becomes_an_action_and_an_event),
		T(a_storm_is_one_action_and_two_events),
		T(different_files_are_not_one),
		T(nothing_but_infected_is_acted_upon),
		T(another_file_than_the_one_named_is_left_alone),
		T(a_file_changed_since_its_scan_is_left_alone),
		T(a_renamed_or_touched_file_is_still_the_one),
		T(what_a_worker_asks_for_does_not_count_but_a_clients_does),
		T(a_late_finding_is_acted_upon_and_of_high_severity),
		T(records_that_make_no_sense_change_nothing),
		T(a_restored_file_is_not_taken_again),
		T(an_opener_that_came_later_is_not_taken_for_it),
		T(the_loop_goes_on_while_a_large_file_is_sealed),
		T(ending_in_the_middle_leaves_one_copy),
		T(a_core_that_was_killed_leaves_its_findings_to_the_next),
		T(a_finding_that_ends_core_each_time_is_given_up),
	};

	return cmocka_run_group_tests(tests, sb_group_setup, sb_group_teardown);
}
