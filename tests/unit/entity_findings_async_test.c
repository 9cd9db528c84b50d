/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/* Findings of async mode: who uses the file is ended, and what is told. */
#include "entity_findingsbed.h"
#include "pidbed.h"

enum holder { HOLDS_FD, RUNS, BYSTANDER };

/* Another program than the test's own: that one counts as ours. */
static pid_t start_holder(enum holder how, const char *path)
{
	int ready[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		if (how == HOLDS_FD && open(path, O_RDONLY) < 0)
			_exit(1);
		execl(how == RUNS ? path : "/bin/sleep", "sleep", "60", NULL);
		_exit(1);
	}
	close(ready[1]);
	(void)!read(ready[0], &byte, 1); /* the exec closes it */
	close(ready[0]);
	return pid;
}

static bool ended(pid_t pid)
{
	int status;

	for (int i = 0; i < 100; i++) {
		if (waitpid(pid, &status, WNOHANG) == pid)
			return WIFSIGNALED(status) &&
			       WTERMSIG(status) == SIGKILL;
		usleep(10000);
	}
	return false;
}

static void put_down(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void copy_program(const char *to)
{
	char *data;
	size_t len;

	assert_int_equal(fd_read_file("/bin/sleep", 1 << 24, &data, &len, NULL),
			 0);
	sb_write(to, data, len);
	chmod(to, 0755);
	free(data);
}

static void async_ends_who_runs_or_holds_the_file_and_nobody_else(void **state)
{
	pid_t runs, holds, bystander, spared;
	json_t *all;
	struct finding f;
	int fd;

	copy_program(sb_path("prog"));
	runs = start_holder(RUNS, sb_path("prog"));
	spared = start_holder(RUNS, sb_path("prog"));
	scoreboard_exempt(bed.sb, spared);
	holds = start_holder(HOLDS_FD, sb_path("prog"));
	bystander = start_holder(BYSTANDER, NULL);
	f = about(sb_path("prog"), &fd);
	f.source = SOURCE_ASYNC;
	f.denied = 0;
	send_it(&f, fd);
	close(fd);
	all = events(1);
	assert_true(ended(runs));
	assert_true(ended(holds));
	assert_int_equal(kill(bystander, 0), 0);
	assert_int_equal(waitpid(bystander, NULL, WNOHANG), 0);
	assert_int_equal(waitpid(spared, NULL, WNOHANG), 0);
	assert_string_equal(text_of(all, 0, "severity"), "high");
	assert_string_equal(text_of(all, 0, "action"), "quarantine");
	assert_non_null(strstr(text_of(all, 0, "detail"), "2 processes ended"));
	put_down(bystander);
	put_down(spared);
	json_decref(all);
}

static void without_async_nobody_is_ended(void **state)
{
	pid_t holds;

	sb_puts(sb_path("f"), VIRUS);
	holds = start_holder(HOLDS_FD, sb_path("f"));
	send_about(sb_path("f"));
	json_decref(events(1));
	assert_int_equal(waitpid(holds, NULL, WNOHANG), 0);
	put_down(holds);
}

/* A finding of async mode; it was seen `seen_ms` before its verdict. */
static json_t *found_in_use(const char *path, enum finding_use use,
			    unsigned int seen_ms)
{
	struct finding f;
	int fd;

	f = about(path, &fd);
	f.source = SOURCE_ASYNC;
	f.denied = 0;
	f.use = use;
	f.exposed_ns = seen_ms * CLOCK_NS_PER_MS;
	send_it(&f, fd);
	close(fd);
	return events(1);
}

static json_int_t exposure(json_t *all)
{
	json_t *ms = json_object_get(json_array_get(all, 0), "exposure_ms");

	return json_is_null(ms) ? -1 : json_integer_value(ms);
}

static void the_event_tells_how_long_and_how_it_was_used(void **state)
{
	static const char *const results[] = {
		[USE_OPENED] = "allowed: asynchronous, opened",
		[USE_EXECUTED] = "allowed: asynchronous, executed",
		[USE_WRITTEN] = "allowed: asynchronous, written",
	};
	json_t *all;

	sb_puts(sb_path("f"), VIRUS);
	all = found_in_use(sb_path("f"), USE_EXECUTED, 1234);
	assert_string_equal(text_of(all, 0, "result"), results[USE_EXECUTED]);
	assert_string_equal(text_of(all, 0, "severity"), "high");
	assert_true(exposure(all) >= 1234);
	assert_true(exposure(all) < 1234 + 10000);
	assert_non_null(strstr(text_of(all, 0, "detail"),
			       "in use for 1234 ms before the verdict, "));
	assert_null(strstr(text_of(all, 0, "detail"), "holds it"));
	json_decref(all);
}

static void what_ran_before_is_ended_and_told_as_such(void **state)
{
	struct finding f;
	json_t *all;
	pid_t runs;
	int fd;

	copy_program(sb_path("prog"));
	runs = start_holder(RUNS, sb_path("prog"));
	f = about(sb_path("prog"), &fd);
	f.source = SOURCE_IN_USE;
	f.denied = 0;
	f.first_action = ACTION_DENY; /* the client's word */
	send_it(&f, fd);
	close(fd);
	all = events(1);
	assert_string_equal(text_of(all, 0, "source"), "in-use");
	assert_string_equal(text_of(all, 0, "severity"), "high");
	assert_non_null(strstr(text_of(all, 0, "detail"), "1 process ended: "));
	assert_int_equal(exposure(all), -1); /* who knows since when */
	json_decref(all);
	assert_true(ended(runs));
}

/* Somebody was refused the file a moment before. */
static void what_runs_is_ended_though_its_file_was_found_by_an_opener(
	void **state)
{
	struct finding f;
	json_t *all;
	pid_t runs;
	int fd;

	set("FirstAction", "deny");
	copy_program(sb_path("prog"));
	runs = start_holder(RUNS, sb_path("prog"));
	send_about(sb_path("prog"));
	json_decref(events(1));
	f = about(sb_path("prog"), &fd);
	f.source = SOURCE_REFRESH;
	f.denied = 0;
	send_it(&f, fd);
	/* the other way round there is nothing new to do */
	f.source = SOURCE_OPEN;
	send_it(&f, fd);
	close(fd);
	all = events(2);
	assert_true(ended(runs));
	assert_string_equal(text_of(all, 1, "source"), "refresh");
	json_decref(all);
}

static void what_waited_for_the_action_counts_as_exposure(void **state)
{
	struct finding f;
	json_t *all;
	int fd;

	sb_puts(sb_path("f"), VIRUS);
	f = about(sb_path("f"), &fd);
	f.source = SOURCE_ASYNC;
	f.use = USE_OPENED;
	f.denied = 0;
	f.when_ns -= 7000 * (int64_t)CLOCK_NS_PER_MS; /* core was away */
	send_it(&f, fd);
	close(fd);
	usleep(300000); /* and is slow */
	all = events(1);
	assert_true(exposure(all) >= 7000);
	json_decref(all);
}

static void a_sender_cannot_tell_tales_of_its_exposure(void **state)
{
	static const int64_t when[] = {INT64_MIN, -1, 1, INT64_MAX};
	struct finding f;
	json_t *all;
	int fd;

	for (size_t i = 0; i < sizeof(when) / sizeof(*when); i++) {
		sb_puts(sb_path("f"), VIRUS);
		f = about(sb_path("f"), &fd);
		f.source = SOURCE_ASYNC;
		f.use = USE_OPENED;
		f.when_ns = when[i];
		send_it(&f, fd);
		close(fd);
		all = events(i + 1);
		for (size_t j = 0; j <= i; j++)
			assert_in_range(
				json_integer_value(json_object_get(
					json_array_get(all, j), "exposure_ms")),
				0, 60000);
		json_decref(all);
		run_for(FINDINGS_WINDOW_MS + 500);
	}
}

static void running_leaves_who_only_holds_it_and_says_so(void **state)
{
	pid_t runs, holds;
	char left[64];
	json_t *all;

	set("AsyncEndProcesses", "running");
	copy_program(sb_path("prog"));
	runs = start_holder(RUNS, sb_path("prog"));
	holds = start_holder(HOLDS_FD, sb_path("prog"));
	all = found_in_use(sb_path("prog"), USE_EXECUTED, 1);
	assert_true(ended(runs));
	assert_int_equal(waitpid(holds, NULL, WNOHANG), 0);
	snprintf(left, sizeof(left),
		 "left alone by AsyncEndProcesses, and holds it: sleep (%d)",
		 (int)holds);
	assert_non_null(strstr(text_of(all, 0, "detail"), left));
	assert_non_null(strstr(text_of(all, 0, "detail"), "1 process ended"));
	assert_string_equal(text_of(all, 0, "action"), "quarantine");
	put_down(holds);
	json_decref(all);
}

static void no_ends_nobody_and_still_does_the_action(void **state)
{
	pid_t runs;
	json_t *all;

	set("AsyncEndProcesses", "no");
	copy_program(sb_path("prog"));
	runs = start_holder(RUNS, sb_path("prog"));
	all = found_in_use(sb_path("prog"), USE_EXECUTED, 1);
	assert_int_equal(waitpid(runs, NULL, WNOHANG), 0);
	assert_string_equal(text_of(all, 0, "action"), "quarantine");
	assert_false(sb_exists(sb_path("prog")));
	assert_non_null(strstr(text_of(all, 0, "detail"), "left alone by"));
	put_down(runs);
	json_decref(all);
}

static void who_must_not_be_ended_is_told(void **state)
{
	char told[64];
	pid_t spared;
	json_t *all;

	copy_program(sb_path("prog"));
	spared = start_holder(RUNS, sb_path("prog"));
	scoreboard_exempt(bed.sb, spared);
	all = found_in_use(sb_path("prog"), USE_EXECUTED, 1);
	assert_int_equal(waitpid(spared, NULL, WNOHANG), 0);
	snprintf(told, sizeof(told),
		 "must not be ended, and holds it: prog (%d, ours)",
		 (int)spared);
	assert_non_null(strstr(text_of(all, 0, "detail"), told));
	put_down(spared);
	json_decref(all);
}

static void denying_ends_who_runs_it_and_calls_nothing_denied(void **state)
{
	pid_t runs;
	json_t *all;

	set("FirstAction", "deny");
	copy_program(sb_path("prog"));
	runs = start_holder(RUNS, sb_path("prog"));
	all = found_in_use(sb_path("prog"), USE_EXECUTED, 1);
	assert_true(ended(runs));
	assert_true(sb_exists(sb_path("prog")));
	assert_non_null(strstr(text_of(all, 0, "message"), "left where it is"));
	json_decref(all);
}

static void what_shall_pass_ends_nobody(void **state)
{
	pid_t runs;
	json_t *all;

	set("FirstAction", "pass");
	copy_program(sb_path("prog"));
	runs = start_holder(RUNS, sb_path("prog"));
	all = found_in_use(sb_path("prog"), USE_EXECUTED, 1);
	assert_int_equal(waitpid(runs, NULL, WNOHANG), 0);
	put_down(runs);
	json_decref(all);
}

static void what_was_held_back_in_time_has_no_exposure(void **state)
{
	json_t *all;

	sb_puts(sb_path("f"), VIRUS);
	send_about(sb_path("f"));
	all = events(1);
	assert_int_equal(exposure(all), -1);
	assert_null(strstr(text_of(all, 0, "detail"), "in use"));
	json_decref(all);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(async_ends_who_runs_or_holds_the_file_and_nobody_else),
		T(without_async_nobody_is_ended),
		T(the_event_tells_how_long_and_how_it_was_used),
		T(what_ran_before_is_ended_and_told_as_such),
		T(what_runs_is_ended_though_its_file_was_found_by_an_opener),
		T(what_waited_for_the_action_counts_as_exposure),
		T(a_sender_cannot_tell_tales_of_its_exposure),
		T(running_leaves_who_only_holds_it_and_says_so),
		T(no_ends_nobody_and_still_does_the_action),
		T(who_must_not_be_ended_is_told),
		T(denying_ends_who_runs_it_and_calls_nothing_denied),
		T(what_shall_pass_ends_nobody),
		T(what_was_held_back_in_time_has_no_exposure),
	};

	pidbed_enter();
	return cmocka_run_group_tests(tests, sb_group_setup, sb_group_teardown);
}
