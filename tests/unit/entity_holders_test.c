/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/*
 * Who uses a file, and who of them is ended. What uses it is this program by
 * another file (its own one counts as ours), in a role.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/paths.h"
#include "entity/holders.h"
#include "lib/fdutil.h"
#include "lib/str.h"
#include "pidbed.h"

static char root[64], other[96], file[96];
static struct holders found;

/* ---- what a process does that is to be found ---- */

static int ready_fd = 9;

static void forever(void)
{
	(void)!write(ready_fd, "r", 1);
	for (;;)
		pause();
}

static void map(const char *path, int prot)
{
	int fd = open(path, O_RDONLY);

	if (mmap(NULL, 4096, prot, MAP_PRIVATE, fd, 0) == MAP_FAILED)
		_exit(3);
	close(fd);
}

static void *own_files(void *path)
{
	if (unshare(CLONE_FILES) || open(path, O_RDONLY) < 0)
		_exit(4);
	forever();
	return NULL;
}

static void *keep_file(void *path)
{
	if (open(path, O_RDONLY) < 0)
		_exit(5);
	usleep(100000); /* the first thread ends meanwhile */
	forever();
	return NULL;
}

static void *keep_nothing(void *path)
{
	(void)path;
	usleep(100000);
	forever();
	return NULL;
}

static void *keep_mapping(void *path)
{
	map(path, PROT_READ | PROT_EXEC);
	usleep(100000);
	forever();
	return NULL;
}

static int role(const char *what, char *path)
{
	pthread_t t;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	alarm(60);
	if (!strcmp(what, "open"))
		(void)!open(path, O_RDONLY);
	else if (!strcmp(what, "map"))
		map(path, PROT_READ);
	else if (!strcmp(what, "map-exec"))
		map(path, PROT_READ | PROT_EXEC);
	else if (!strcmp(what, "thread"))
		pthread_create(&t, NULL, own_files, path);
	else if (!strcmp(what, "orphan-file"))
		pthread_create(&t, NULL, keep_file, path);
	else if (!strcmp(what, "orphan-mapping"))
		pthread_create(&t, NULL, keep_mapping, path);
	else if (!strcmp(what, "orphan-run"))
		pthread_create(&t, NULL, keep_nothing, path);
	if (!strncmp(what, "orphan", 6))
		pthread_exit(NULL);
	if (!strcmp(what, "thread"))
		for (;;)
			pause(); /* the thread tells when it is ready */
	forever();
	return 0;
}

static pid_t start(const char *program, const char *what)
{
	int ends[2];
	pid_t pid;
	char c;

	assert_int_equal(pipe(ends), 0);
	pid = fork();
	if (pid == 0) {
		dup2(ends[1], ready_fd);
		close_range(3, (unsigned int)ready_fd - 1, 0);
		execl(program, program, what, file, NULL);
		_exit(1);
	}
	close(ends[1]);
	if (read(ends[0], &c, 1) != 1)
		fail_msg("%s did not come up", what);
	close(ends[0]);
	return pid;
}

static bool lives(pid_t pid)
{
	return waitpid(pid, NULL, WNOHANG) == 0;
}

static void put_down(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void search(enum holders_whom whom, pid_t spared)
{
	struct holders_spare spare = {.pids = {spared}, .count = spared != 0};
	struct stat st;

	assert_int_equal(stat(file, &st), 0);
	holders_end(&st, whom, &spare, &found);
}

static void names(const struct holders_names *names, int count, pid_t pid,
		  const char *more)
{
	char text[32];

	assert_int_equal(names->count, count);
	if (!count)
		return;
	snprintf(text, sizeof(text), "(%d%s%s)", (int)pid, *more ? ", " : "",
		 more);
	if (!strstr(names->text, text))
		fail_msg("no %s in: %s", text, names->text);
}

static void copy(const char *to)
{
	char *data;
	size_t len;

	assert_int_equal(
		fd_read_file("/proc/self/exe", 1 << 28, &data, &len, NULL), 0);
	assert_int_equal(fd_replace_file(to, data, len, 0755, NULL), 0);
	free(data);
}

/* A process in that role is ended, or left and told. */
static void ended_if(const char *program, const char *what,
		     enum holders_whom whom, bool end)
{
	pid_t pid = start(program, what);

	search(whom, 0);
	names(&found.ended, end, pid, "");
	names(&found.left, !end, pid, "");
	assert_int_equal(found.spared.count, 0);
	assert_int_equal(found.stuck.count, 0);
	if (lives(pid) == end)
		fail_msg("%s, %d: %s", what, whom, end ? "lives" : "ended");
	if (!end)
		put_down(pid);
}

/* ---- */

static void who_runs_it_is_ended_unless_nobody_is(void **state)
{
	(void)state;
	ended_if(file, "run", HOLDERS_HOLDING, true);
	ended_if(file, "run", HOLDERS_RUNNING, true);
	ended_if(file, "run", HOLDERS_NOBODY, false);
}

static void who_has_it_mapped_to_run_runs_it(void **state)
{
	(void)state;
	ended_if(other, "map-exec", HOLDERS_HOLDING, true);
	ended_if(other, "map-exec", HOLDERS_RUNNING, true);
	ended_if(other, "map-exec", HOLDERS_NOBODY, false);
}

static void who_has_it_open_or_mapped_as_data_holds_it(void **state)
{
	(void)state;
	ended_if(other, "open", HOLDERS_HOLDING, true);
	ended_if(other, "open", HOLDERS_RUNNING, false);
	ended_if(other, "map", HOLDERS_HOLDING, true);
	ended_if(other, "map", HOLDERS_RUNNING, false);
}

static void a_thread_with_descriptors_of_its_own_does_not_hide(void **state)
{
	(void)state;
	ended_if(other, "thread", HOLDERS_HOLDING, true);
	ended_if(other, "thread", HOLDERS_RUNNING, false);
}

static void threads_that_outlive_the_first_one_do_not_hide(void **state)
{
	(void)state;
	ended_if(other, "orphan-file", HOLDERS_HOLDING, true);
	ended_if(other, "orphan-mapping", HOLDERS_RUNNING, true);
	ended_if(file, "orphan-run", HOLDERS_RUNNING, true);
}

static void who_uses_another_file_of_that_name_is_left_alone(void **state)
{
	char aside[112];
	pid_t holds = start(other, "open"), runs = start(file, "run");

	(void)state;
	snprintf(aside, sizeof(aside), "%s.aside", file);
	assert_int_equal(rename(file, aside), 0);
	copy(file);
	search(HOLDERS_HOLDING, 0);
	assert_int_equal(found.ended.count, 0);
	assert_true(lives(holds));
	assert_true(lives(runs));
	put_down(holds);
	put_down(runs);
}

static void ours_are_spared_and_it_is_told(void **state)
{
	pid_t pid = start(other, "open");

	(void)state;
	search(HOLDERS_HOLDING, pid);
	names(&found.spared, 1, pid, "ours");
	assert_int_equal(found.ended.count, 0);
	assert_true(lives(pid));
	put_down(pid);
	/* by its program too, whoever does not know its pid */
	pid = start("/proc/self/exe", "open");
	search(HOLDERS_HOLDING, 0);
	assert_int_equal(found.ended.count, 0);
	/* … and not told: we always hold what we deal with */
	assert_int_equal(found.spared.count, 0);
	assert_true(lives(pid));
	put_down(pid);
}

/* What most processes use is the machine's own. */
static void most_of_the_machine_is_never_ended(void **state)
{
	pid_t users[HOLDERS_FEW], others[HOLDERS_FEW];

	(void)state;
	for (int i = 0; i < HOLDERS_FEW; i++)
		users[i] = start(other, "map-exec");
	search(HOLDERS_RUNNING, 0);
	assert_true(found.too_many);
	assert_int_equal(found.users, HOLDERS_FEW);
	assert_int_equal(found.processes, HOLDERS_FEW);
	assert_int_equal(found.ended.count, 0);
	assert_int_equal(found.left.count, HOLDERS_FEW);
	for (int i = 0; i < HOLDERS_FEW; i++)
		assert_true(lives(users[i]));
	/* as many, but not most of all */
	for (int i = 0; i < HOLDERS_FEW; i++)
		others[i] = start(other, "run");
	search(HOLDERS_RUNNING, 0);
	assert_false(found.too_many);
	assert_int_equal(found.ended.count, HOLDERS_FEW);
	for (int i = 0; i < HOLDERS_FEW; i++) {
		put_down(users[i]);
		put_down(others[i]);
	}
}

static void a_few_are_ended_though_nobody_else_is_there(void **state)
{
	pid_t pids[HOLDERS_FEW - 1];

	(void)state;
	for (int i = 0; i < HOLDERS_FEW - 1; i++)
		pids[i] = start(other, "open");
	search(HOLDERS_HOLDING, 0);
	assert_false(found.too_many);
	assert_int_equal(found.ended.count, HOLDERS_FEW - 1);
	for (int i = 0; i < HOLDERS_FEW - 1; i++)
		assert_false(lives(pids[i]));
}

/* As soon as process 1 is the one in its role. */
static void await_process_1(const char *program)
{
	char exe[PATH_MAX];
	ssize_t n = 0;

	while (n <= 0 || strcmp(exe, program) != 0) {
		usleep(10000);
		n = readlink("/proc/1/exe", exe, sizeof(exe) - 1);
		exe[n > 0 ? n : 0] = '\0';
	}
	usleep(100000); /* it opens the file */
}

/* 0 when it is spared, and with `runs` all others too. */
static int look_at_process_1(bool runs)
{
	pid_t pid = start(runs ? file : other, "open");

	await_process_1(runs ? file : other);
	search(HOLDERS_HOLDING, 0);
	if (found.spared.count != 1 || !strstr(found.spared.text, "(1, init)"))
		return 13;
	if (found.init_runs != runs || found.ended.count == runs ||
	    (found.left.count == 1) != runs)
		return 15;
	return lives(pid) == runs ? 0 : 16;
}

/* In a pid namespace: its first process, which uses the file. */
static void be_process_1(int result, bool runs)
{
	pid_t pid;
	char status;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (mount("proc", "/proc", "proc", 0, NULL))
		_exit(12);
	pid = fork();
	if (pid == 0) {
		alarm(30);
		status = (char)look_at_process_1(runs);
		(void)!write(result, &status, 1);
		_exit(0);
	}
	dup2(open("/dev/null", O_WRONLY), ready_fd);
	execl(runs ? file : other, other, "open", file, NULL);
	_exit(14);
}

static void with_process_1(bool runs)
{
	int result[2];
	char status = 99;
	pid_t pid;

	assert_int_equal(pipe2(result, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		alarm(60);
		if (unshare(CLONE_NEWPID | CLONE_NEWNS) ||
		    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
			_exit(10);
		pid = fork();
		if (pid == 0)
			be_process_1(result[1], runs);
		waitpid(pid, NULL, 0);
		_exit(0);
	}
	close(result[1]);
	assert_int_equal(read(result[0], &status, 1), 1);
	close(result[0]);
	put_down(pid);
	assert_int_equal(status, 0);
}

static void process_1_is_spared_and_it_is_told(void **state)
{
	(void)state;
	with_process_1(false);
}

static void what_process_1_runs_ends_nobody(void **state)
{
	(void)state;
	with_process_1(true);
}

static void many_are_all_ended_and_the_names_are_cut(void **state)
{
	pid_t pids[40], others[40];

	(void)state;
	for (int i = 0; i < 40; i++) {
		pids[i] = start(other, "open");
		others[i] = start(other, "bystander");
	}
	search(HOLDERS_HOLDING, 0);
	assert_int_equal(found.ended.count, 40);
	for (int i = 0; i < 40; i++) {
		assert_false(lives(pids[i]));
		put_down(others[i]);
	}
	assert_true(strlen(found.ended.text) < sizeof(found.ended.text));
	assert_true(str_ends(found.ended.text, "…"));
	assert_ptr_equal(strstr(found.ended.text, "…"),
			 found.ended.text + strlen(found.ended.text) -
				 strlen("…"));
}

/* Its end tells what is not as it must be; it has no say in the group's. */
static int look_without_privilege(pid_t holder)
{
	struct holders_spare spare = {0};
	char text[32];
	struct stat st;

	if (stat(file, &st) || setresuid(65534, 65534, 65534))
		return 2;
	holders_end(&st, HOLDERS_HOLDING, &spare, &found);
	snprintf(text, sizeof(text), "(%d)", (int)holder);
	return found.ended.count || !strstr(found.unseen.text, text);
}

static void who_may_not_be_looked_at_is_told(void **state)
{
	pid_t holder = start(other, "open"), pid = fork();
	int status;

	(void)state;
	if (pid == 0)
		_exit(look_without_privilege(holder));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_true(lives(holder));
	search(HOLDERS_NOBODY, 0);
	assert_int_equal(found.unseen.count, 0);
	put_down(holder);
}

static void nobody_is_nobody(void **state)
{
	pid_t pid = start(other, "bystander");

	(void)state;
	search(HOLDERS_HOLDING, 0);
	assert_int_equal(found.ended.count + found.spared.count +
				 found.left.count + found.stuck.count,
			 0);
	assert_true(lives(pid));
	put_down(pid);
}

/* ---- */

static int group_setup(void **state)
{
	(void)state;
	strcpy(root, "/tmp/splx-holders-XXXXXX");
	assert_non_null(mkdtemp(root));
	paths_init(root);
	snprintf(other, sizeof(other), "%s/other", root);
	snprintf(file, sizeof(file), "%s/infected", root);
	copy(other);
	copy(file);
	return 0;
}

static int group_teardown(void **state)
{
	char command[96];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", root);
	return system(command);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_runs_it_is_ended_unless_nobody_is),
		cmocka_unit_test(who_has_it_mapped_to_run_runs_it),
		cmocka_unit_test(who_has_it_open_or_mapped_as_data_holds_it),
		cmocka_unit_test(
			a_thread_with_descriptors_of_its_own_does_not_hide),
		cmocka_unit_test(
			threads_that_outlive_the_first_one_do_not_hide),
		cmocka_unit_test(
			who_uses_another_file_of_that_name_is_left_alone),
		cmocka_unit_test(ours_are_spared_and_it_is_told),
		cmocka_unit_test(process_1_is_spared_and_it_is_told),
		cmocka_unit_test(what_process_1_runs_ends_nobody),
		cmocka_unit_test(most_of_the_machine_is_never_ended),
		cmocka_unit_test(a_few_are_ended_though_nobody_else_is_there),
		cmocka_unit_test(many_are_all_ended_and_the_names_are_cut),
		cmocka_unit_test(who_may_not_be_looked_at_is_told),
		cmocka_unit_test(nobody_is_nobody),
	};

	if (argc == 3)
		return role(argv[1], argv[2]);
	pidbed_enter();
	alarm(200);
	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
