/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "entity_bed.h"

#define LIMIT_S 240

static int setup(void **state)
{
	struct bed *b = malloc(sizeof(*b));

	bed_new(b);
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	bed_free(*state);
	free(*state);
	return 0;
}

/* ---- start and end ---- */

static void a_start_returns_when_core_answers_and_sigterm_ends_all(void **state)
{
	struct bed *b = *state;
	pid_t pids[8], pid;
	json_t *data;

	assert_int_equal(bed_run(b, NULL), 0);
	data = bed_call(b, "status", NULL, NULL);
	assert_non_null(data);
	json_decref(data);
	pid = bed_pid(b, "supervisor", NULL);
	assert_true(pid > 0);
	assert_int_equal(kill(pid, SIGTERM), 0);
	bed_until(bed_pids(b, pids, 8) == 0);
	assert_false(bed_has(b, "run/splx/entity.pid"));
	assert_false(bed_has(b, "run/splx/control.sock"));
	assert_false(bed_has(b, "run/splx/entity.sock"));
}

static void output_of_whoever_started_it_is_let_go(void **state)
{
	struct bed *b = *state;
	char command[256];
	uint64_t begun = clock_mono_ns();

	/* The shell's pipe ends when nobody holds its other end. */
	snprintf(command, sizeof(command),
		 "timeout 10 sh -c 'x=$(%s/usr/lib/splx/entity -R %s 2>&1)'",
		 b->root, b->root);
	assert_int_equal(system(command), 0);
	assert_true(clock_mono_ns() - begun < 10 * CLOCK_NS_PER_S);
}

static void a_second_instance_says_so_in_one_line(void **state)
{
	struct bed *b = *state;
	char *out;

	assert_int_equal(bed_run(b, NULL), 0);
	assert_int_equal(bed_run(b, NULL), 1);
	out = bed_read(b, "out");
	assert_non_null(strstr(out, "running already"));
	assert_ptr_equal(strchr(out, '\n'), out + strlen(out) - 1);
	free(out);
	assert_true(bed_pid(b, "entity", "running") > 0);
}

static void a_stale_pid_file_and_dead_sockets_are_taken_over(void **state)
{
	struct bed *b = *state;
	pid_t pids[8];
	int i, n;

	bed_start(b, NULL);
	/* All at once, so that nobody adopts: what is left is all stale. */
	n = bed_pids(b, pids, 8);
	for (i = 0; i < n; i++)
		kill(pids[i], SIGSTOP);
	for (i = 0; i < n; i++)
		kill(pids[i], SIGKILL);
	bed_wait(b);
	bed_until(bed_pids(b, pids, 8) == 0);
	assert_true(bed_has(b, "run/splx/entity.pid"));
	assert_true(bed_has(b, "run/splx/control.sock"));
	bed_start(b, NULL);
}

static void broken_settings_without_good_ones_name_line_and_key(void **state)
{
	struct bed *b = *state;
	char *out;

	bed_write(b, "etc/splx/splx.conf", "Workers = 2\nWorkerz = 3\n");
	assert_int_equal(bed_run(b, NULL), 6);
	out = bed_read(b, "out");
	assert_non_null(strstr(out, "splx.conf:2"));
	assert_non_null(strstr(out, "Workerz"));
	free(out);
}

static void a_missing_scan_user_is_told(void **state)
{
	struct bed *b = *state;
	char *out;

	bed_write(b, "etc/splx/splx.conf", "ScanUser = \"nobody-there\"\n");
	assert_int_equal(bed_run(b, NULL), 6);
	out = bed_read(b, "out");
	assert_non_null(strstr(out, "nobody-there"));
	free(out);
}

static void stop_all_is_answered_and_leaves_nothing(void **state)
{
	struct bed *b = *state;
	char reply[256];
	pid_t pids[8];

	bed_start(b, "-a");
	assert_int_equal(bed_control(b, "stop all", reply, sizeof(reply)), 0);
	assert_int_equal(bed_wait(b), 0);
	assert_int_equal(bed_pids(b, pids, 8), 0);
	assert_false(bed_has(b, "run/splx/entity.pid"));
}

static void a_stop_ends_stopped_processes_too(void **state)
{
	struct bed *b = *state;
	uint64_t begun;
	pid_t core, master;

	bed_start(b, "-a");
	core = bed_pid(b, "entity", NULL);
	master = bed_pid(b, "vsapiapp", NULL);
	kill(core, SIGSTOP);
	kill(master, SIGSTOP);
	begun = clock_mono_ns();
	kill(b->pid, SIGTERM);
	assert_int_equal(bed_wait(b), 0);
	assert_true(clock_mono_ns() - begun < 5 * CLOCK_NS_PER_S);
}

/* Whoever is in a hurry: `pid` is asked all the time until it is no more. */
static void ask_until_gone(pid_t pid, bool child, int *status_r)
{
	static const int signals[] = {SIGTERM, SIGHUP, SIGINT, SIGUSR1};
	uint64_t begun = clock_mono_ns();

	for (int i = 0; kill(pid, signals[i % 4]) == 0; i++) {
		if (child && waitpid(pid, status_r, WNOHANG) == pid)
			return;
		if (clock_mono_ns() - begun > 15 * CLOCK_NS_PER_S)
			fail_msg("%d does not end", pid);
		usleep(100); /* or it gets to nothing else */
	}
}

static void a_stop_that_is_asked_for_all_the_time_is_a_whole_one(void **state)
{
	struct bed *b = *state;
	pid_t pids[8];
	int status = -1;

	bed_start(b, "-a");
	ask_until_gone(b->pid, true, &status);
	b->pid = 0;
	if (!WIFEXITED(status))
		fail_msg("the supervisor ended by signal %d", WTERMSIG(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_int_equal(bed_pids(b, pids, 8), 0);
	assert_false(bed_has(b, "run/splx/entity.pid"));
	assert_false(bed_has(b, "run/splx/control.sock"));
}

static void core_that_is_asked_to_end_all_the_time_ends_as_it_should(
	void **state)
{
	struct bed *b = *state;
	char text[64];
	pid_t core;

	bed_start(b, NULL);
	core = bed_pid(b, "entity", NULL);
	/* Ended before its start is over, it ends the start. */
	bed_until(bed_told(b, "supervisor started"));
	ask_until_gone(core, false, NULL);
	bed_until(bed_pid(b, "entity", "running") > 0);
	snprintf(text, sizeof(text), "entity ended pid=%d: exit status 0",
		 core);
	bed_until(bed_told(b, text));
}

static void a_stop_kills_what_does_not_end_by_itself(void **state)
{
	struct bed *b = *state;
	char reply[256];
	uint64_t begun;
	pid_t pids[8];

	bed_write(b, "fake", "stubborn");
	bed_start(b, "-a");
	begun = clock_mono_ns();
	assert_int_equal(
		bed_control_in(b, "stop vsapiapp", reply, sizeof(reply), 20000),
		0);
	assert_in_range(clock_mono_ns() - begun, 9 * CLOCK_NS_PER_S,
			14 * CLOCK_NS_PER_S);
	assert_int_equal(bed_pid(b, "vsapiapp", "stopped"), 0);
	assert_int_equal(bed_pids(b, pids, 8), 2);
}

/* ---- keeping alive ---- */

static void killed_parts_are_started_again(void **state)
{
	struct bed *b = *state;
	pid_t core, master;

	bed_start(b, "-a");
	core = bed_pid(b, "entity", NULL);
	master = bed_pid(b, "vsapiapp", NULL);
	kill(core, SIGKILL);
	bed_until(bed_pid(b, "entity", "running") > 0 &&
		  bed_pid(b, "entity", "running") != core);
	kill(master, SIGKILL);
	bed_until(bed_pid(b, "vsapiapp", "running") > 0 &&
		  bed_pid(b, "vsapiapp", "running") != master);
}

static void a_killed_supervisor_is_replaced_and_parts_live_on(void **state)
{
	struct bed *b = *state;
	pid_t core, master, supervisor = 0;
	struct proc_id ids[2];
	char text[32];
	int round;

	bed_start(b, "-a");
	core = bed_pid(b, "entity", NULL);
	master = bed_pid(b, "vsapiapp", NULL);
	assert_int_equal(proc_identify(core, &ids[0]), 0);
	assert_int_equal(proc_identify(master, &ids[1]), 0);
	for (round = 0; round < 3; round++) {
		supervisor = bed_pid(b, "supervisor", NULL);
		kill(supervisor, SIGKILL);
		bed_until(bed_pid(b, "supervisor", NULL) > 0 &&
			  bed_pid(b, "supervisor", NULL) != supervisor);
		bed_until(bed_pid(b, "entity", "running") == core);
		assert_int_equal(bed_pid(b, "vsapiapp", "running"), master);
	}
	/* The pid file names the new one, and it stops them in order. */
	supervisor = bed_pid(b, "supervisor", NULL);
	snprintf(text, sizeof(text), "%d\n", supervisor);
	{
		char *file = bed_read(b, "run/splx/entity.pid");

		assert_string_equal(file, text);
		free(file);
	}
	kill(supervisor, SIGTERM);
	bed_until(!bed_has(b, "run/splx/entity.pid"));
	/* As zombies too, where process 1 reaps nobody. */
	bed_until(!proc_alive(&ids[0]) && !proc_alive(&ids[1]));
}

static void adopted_parts_are_kept_alive_too(void **state)
{
	struct bed *b = *state;
	pid_t core, master, supervisor;

	bed_start(b, "-a");
	core = bed_pid(b, "entity", NULL);
	master = bed_pid(b, "vsapiapp", NULL);
	supervisor = bed_pid(b, "supervisor", NULL);
	kill(supervisor, SIGKILL);
	bed_until(bed_pid(b, "entity", "running") == core);
	kill(master, SIGKILL);
	bed_until(bed_pid(b, "vsapiapp", "running") > 0 &&
		  bed_pid(b, "vsapiapp", "running") != master);
	kill(core, SIGKILL);
	bed_until(bed_pid(b, "entity", "running") > 0 &&
		  bed_pid(b, "entity", "running") != core);
}

static void supervisor_and_core_killed_at_once_come_back_by_the_master(
	void **state)
{
	struct bed *b = *state;
	pid_t core, master, supervisor;

	bed_start(b, "-a");
	core = bed_pid(b, "entity", NULL);
	master = bed_pid(b, "vsapiapp", NULL);
	supervisor = bed_pid(b, "supervisor", NULL);
	kill(core, SIGSTOP); /* so that it does not adopt in between */
	kill(supervisor, SIGKILL);
	kill(core, SIGKILL);
	bed_until(bed_pid(b, "entity", "running") > 0);
	assert_int_not_equal(bed_pid(b, "entity", NULL), core);
	assert_int_equal(bed_pid(b, "vsapiapp", "running"), master);
}

/* The program was upgraded, and only then it is started to adopt. */
static void what_another_version_left_is_not_adopted_but_started_anew(
	void **state)
{
	struct bed *b = *state;
	pid_t core, master, supervisor;
	struct proc_id id;

	bed_write(b, "fake", "foreign");
	bed_start(b, "-a");
	bed_write(b, "fake", "");
	core = bed_pid(b, "entity", NULL);
	master = bed_pid(b, "vsapiapp", NULL);
	supervisor = b->pid;
	kill(core, SIGSTOP);
	kill(supervisor, SIGKILL);
	kill(core, SIGKILL);
	bed_wait(b);
	bed_until(bed_pid(b, "entity", "running") > 0 &&
		  bed_pid(b, "vsapiapp", "running") > 0);
	assert_int_not_equal(bed_pid(b, "entity", NULL), core);
	assert_int_not_equal(bed_pid(b, "vsapiapp", NULL), master);
	assert_int_equal(proc_identify(master, &id), -1);
	bed_until(bed_told(b, "of another version"));
	bed_until(bed_told(b, "the suite is started anew"));
	/* and it is whole: it ends in order */
	kill(bed_pid(b, "supervisor", NULL), SIGTERM);
	bed_until(!bed_has(b, "run/splx/entity.pid"));
}

static void all_three_killed_one_after_the_other_come_back(void **state)
{
	static const char *const parts[] = {"supervisor", "vsapiapp", "entity"};
	struct bed *b = *state;
	pid_t pid;
	int i;

	bed_start(b, "-a");
	for (i = 0; i < 6; i++) {
		bed_until(bed_pid(b, "entity", "running") > 0 &&
			  bed_pid(b, "vsapiapp", "running") > 0);
		pid = bed_pid(b, parts[i % 3], NULL);
		kill(pid, SIGKILL);
		bed_until(bed_pid(b, parts[i % 3], "running") > 0 &&
			  bed_pid(b, parts[i % 3], "running") != pid);
	}
	bed_until(bed_pid(b, "supervisor", "running") > 0 &&
		  bed_pid(b, "entity", "running") > 0 &&
		  bed_pid(b, "vsapiapp", "running") > 0);
}

static void what_was_stopped_on_purpose_stays_so_after_an_adoption(void **state)
{
	struct bed *b = *state;
	char reply[256];
	pid_t supervisor;

	bed_start(b, "-a");
	assert_int_equal(bed_control(b, "stop vsapiapp", reply, sizeof(reply)),
			 0);
	supervisor = bed_pid(b, "supervisor", NULL);
	kill(supervisor, SIGKILL);
	bed_until(bed_pid(b, "entity", "running") > 0);
	sleep(1);
	assert_int_equal(bed_pid(b, "vsapiapp", NULL), 0);
}

static void a_part_that_dies_at_once_is_started_with_growing_pauses(
	void **state)
{
	struct bed *b = *state;
	char reply[512];
	char *log, *p;
	int n = 0;

	bed_write(b, "fake", "die");
	bed_start(b, NULL);
	assert_int_equal(bed_control(b, "start vsapiapp", reply, sizeof(reply)),
			 -1);
	assert_non_null(strstr(reply, "exit status 3"));
	sleep(3);
	log = bed_read(b, "var/log/splx/splx.log");
	for (p = log; (p = strstr(p, "vsapiapp ended pid=")); p++)
		n++;
	free(log);
	/* at 0, 0, 0.2, 0.7, 1.7 and 3.7 s */
	assert_in_range(n, 4, 6);
	/* and it comes by itself when it can */
	bed_write(b, "fake", "");
	bed_until(bed_pid(b, "vsapiapp", "running") > 0);
}

/* ---- the control socket ---- */

static void start_vsapiapp_is_answered_when_it_blocks(void **state)
{
	struct bed *b = *state;
	char reply[512];

	bed_start(b, NULL);
	assert_int_equal(bed_pid(b, "vsapiapp", "stopped"), 0);
	assert_int_equal(bed_control(b, "start vsapiapp", reply, sizeof(reply)),
			 0);
	assert_true(bed_pid(b, "vsapiapp", "running") > 0);
	/* again: it runs already */
	assert_int_equal(bed_control(b, "start vsapiapp", reply, sizeof(reply)),
			 0);
	assert_int_equal(bed_control(b, "stop vsapiapp", reply, sizeof(reply)),
			 0);
	assert_int_equal(bed_pid(b, "vsapiapp", NULL), 0);
	assert_int_equal(bed_control(b, "stop vsapiapp", reply, sizeof(reply)),
			 0);
}

static void an_unknown_command_is_an_error(void **state)
{
	struct bed *b = *state;
	char reply[512];

	bed_start(b, NULL);
	assert_int_equal(bed_control(b, "dance", reply, sizeof(reply)), -1);
	assert_non_null(strstr(reply, "unknown command"));
}

/* ---- descriptors ---- */

static bool has_fd(pid_t pid, int fd)
{
	char path[64], target[64];

	snprintf(path, sizeof(path), "/proc/%d/fd/%d", pid, fd);
	return readlink(path, target, sizeof(target)) > 0;
}

static void assert_numbers(pid_t pid)
{
	int fd;

	for (fd = 0; fd < GUARD_NUMBER; fd++)
		assert_true(has_fd(pid, fd));
	for (fd = GUARD_NUMBER; fd < 256; fd++)
		assert_false(has_fd(pid, fd));
}

static void the_lowest_free_number_is_always_the_guards(void **state)
{
	struct bed *b = *state;
	char reply[512];
	pid_t pid;

	bed_start(b, "-a");
	assert_numbers(b->pid);
	pid = bed_pid(b, "vsapiapp", NULL);
	kill(pid, SIGKILL);
	bed_until(bed_pid(b, "vsapiapp", "running") > 0 &&
		  bed_pid(b, "vsapiapp", "running") != pid);
	bed_control(b, "stop vsapiapp", reply, sizeof(reply));
	assert_numbers(b->pid);
	kill(b->pid, SIGKILL);
	bed_wait(b);
	bed_until(bed_pid(b, "entity", "running") > 0);
	pid = bed_pid(b, "supervisor", NULL);
	assert_numbers(pid);
}

static void children_inherit_what_they_should_and_nothing_else(void **state)
{
	struct bed *b = *state;
	pid_t pid;
	int fd;

	bed_start(b, "-a");
	pid = bed_pid(b, "vsapiapp", NULL);
	for (fd = 0; fd < INHERIT_COUNT; fd++)
		assert_true(has_fd(pid, fd));
	for (fd = 256; fd < 300; fd++)
		assert_false(has_fd(pid, fd));
}

static void parts_are_exempt_and_the_dead_are_not(void **state)
{
	struct bed *b = *state;
	struct scoreboard *sb;
	char path[64];
	pid_t master;
	int fd;

	bed_start(b, "-a");
	snprintf(path, sizeof(path), "/proc/%d/fd/%d", b->pid,
		 INHERIT_SCOREBOARD);
	fd = open(path, O_RDWR);
	assert_true(fd >= 0);
	sb = scoreboard_map(fd, NULL);
	assert_non_null(sb);
	master = bed_pid(b, "vsapiapp", NULL);
	assert_true(scoreboard_is_exempt(sb, b->pid));
	assert_true(scoreboard_is_exempt(sb, bed_pid(b, "entity", NULL)));
	assert_true(scoreboard_is_exempt(sb, master));
	assert_false(scoreboard_is_exempt(sb, getpid()));
	kill(master, SIGKILL);
	bed_until(!scoreboard_is_exempt(sb, master));
	munmap(sb, sizeof(*sb));
	close(fd);
}

int main(int argc, char **argv)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(a_start_returns_when_core_answers_and_sigterm_ends_all),
		T(output_of_whoever_started_it_is_let_go),
		T(a_second_instance_says_so_in_one_line),
		T(a_stale_pid_file_and_dead_sockets_are_taken_over),
		T(broken_settings_without_good_ones_name_line_and_key),
		T(a_missing_scan_user_is_told),
		T(stop_all_is_answered_and_leaves_nothing),
		T(a_stop_ends_stopped_processes_too),
		T(a_stop_that_is_asked_for_all_the_time_is_a_whole_one),
		T(core_that_is_asked_to_end_all_the_time_ends_as_it_should),
		T(a_stop_kills_what_does_not_end_by_itself),
		T(killed_parts_are_started_again),
		T(a_killed_supervisor_is_replaced_and_parts_live_on),
		T(adopted_parts_are_kept_alive_too),
		T(supervisor_and_core_killed_at_once_come_back_by_the_master),
		T(what_another_version_left_is_not_adopted_but_started_anew),
		T(all_three_killed_one_after_the_other_come_back),
		T(what_was_stopped_on_purpose_stays_so_after_an_adoption),
		T(a_part_that_dies_at_once_is_started_with_growing_pauses),
		T(start_vsapiapp_is_answered_when_it_blocks),
		T(an_unknown_command_is_an_error),
		T(the_lowest_free_number_is_always_the_guards),
		T(children_inherit_what_they_should_and_nothing_else),
		T(parts_are_exempt_and_the_dead_are_not),
	};
	int status;

	if (bed_role(argc, argv, &status))
		return status;
	alarm(LIMIT_S);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
