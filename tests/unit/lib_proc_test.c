/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/fdutil.h"
#include "lib/proc.h"

static char dir[64], pidfile[128];

static int setup(void **state)
{
	strcpy(dir, "/tmp/splx-proc-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(pidfile, sizeof(pidfile), "%s/pid", dir);
	alarm(60);
	return 0;
}

static int teardown(void **state)
{
	alarm(0);
	unlink(pidfile);
	return rmdir(dir);
}

static pid_t sleeper(const char *name)
{
	pid_t pid = fork();

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		prctl(PR_SET_NAME, name);
		for (;;)
			pause();
	}
	return pid;
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void a_living_process_is_identified(void **state)
{
	struct proc_id self, again;

	assert_int_equal(proc_identify(getpid(), &self), 0);
	assert_int_equal(self.pid, getpid());
	assert_true(self.start > 0);
	assert_true(proc_alive(&self));
	assert_int_equal(proc_identify(getpid(), &again), 0);
	assert_true(again.start == self.start);
}

static void a_name_with_brackets_and_blanks_does_not_deceive(void **state)
{
	pid_t plain = sleeper("plain"), odd = sleeper(") S 1 2 (x) 9");
	struct proc_id a, b;

	usleep(50000); /* until it has its name */
	assert_int_equal(proc_identify(plain, &a), 0);
	assert_int_equal(proc_identify(odd, &b), 0);
	assert_true(b.start >= a.start && b.start < a.start + 1000);
	assert_true(proc_alive(&b));
	end(plain);
	end(odd);
}

static void who_is_gone_has_no_identity(void **state)
{
	struct proc_id id;
	pid_t pid = sleeper("x");

	assert_int_equal(proc_identify(pid, &id), 0);
	end(pid);
	assert_false(proc_alive(&id));
	assert_int_equal(proc_pidfd(&id), -1);
	errno = 0;
	assert_int_equal(proc_identify(pid, &id), -1);
	assert_int_equal(errno, ESRCH);
	assert_int_equal(proc_identify(0, &id), -1);
	assert_int_equal(proc_identify(-1, &id), -1);
}

static void a_reused_pid_is_told_apart(void **state)
{
	struct proc_id id;

	assert_int_equal(proc_identify(getpid(), &id), 0);
	id.start--;
	assert_false(proc_alive(&id));
	assert_false(proc_stopped(&id));
	errno = 0;
	assert_int_equal(proc_pidfd(&id), -1);
	assert_int_equal(errno, ESRCH);
}

static void a_zombie_does_not_live(void **state)
{
	struct proc_id id, other;
	siginfo_t info;
	pid_t pid = sleeper("x");

	assert_int_equal(proc_identify(pid, &id), 0);
	kill(pid, SIGKILL);
	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	assert_false(proc_alive(&id));
	assert_int_equal(proc_identify(pid, &other), -1);
	waitpid(pid, NULL, 0);
}

static void stopped_is_told_from_running(void **state)
{
	struct proc_id id;
	pid_t pid = sleeper("x");
	int status;

	assert_int_equal(proc_identify(pid, &id), 0);
	assert_false(proc_stopped(&id));
	kill(pid, SIGSTOP);
	waitpid(pid, &status, WUNTRACED);
	assert_true(proc_stopped(&id));
	assert_true(proc_alive(&id));
	kill(pid, SIGCONT);
	waitpid(pid, &status, WCONTINUED);
	assert_false(proc_stopped(&id));
	end(pid);
}

static void a_pidfd_signals_and_tells_the_end(void **state)
{
	struct proc_id id;
	pid_t pid = sleeper("x");
	struct pollfd p = {.events = POLLIN};
	int status;

	assert_int_equal(proc_identify(pid, &id), 0);
	p.fd = proc_pidfd(&id);
	assert_true(p.fd >= 0);
	assert_int_equal(fcntl(p.fd, F_GETFD), FD_CLOEXEC);
	assert_int_equal(poll(&p, 1, 0), 0);
	assert_int_equal(proc_signal(p.fd, SIGTERM), 0);
	assert_int_equal(poll(&p, 1, 5000), 1);
	waitpid(pid, &status, 0);
	assert_int_equal(WTERMSIG(status), SIGTERM);
	assert_int_equal(proc_signal(p.fd, SIGTERM), -1);
	close(p.fd);
}

static void the_pid_file_holds_our_pid_and_is_readable(void **state)
{
	mode_t mask = umask(077);
	struct err err;
	struct stat st;
	char *text, want[32];
	size_t len;
	int fd = proc_pidfile_take(pidfile, &err);

	umask(mask);
	assert_true(fd >= 0);
	assert_int_equal(fd_read_file(pidfile, 100, &text, &len, &err), 0);
	snprintf(want, sizeof(want), "%d\n", (int)getpid());
	assert_string_equal(text, want);
	free(text);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0644);
	proc_pidfile_drop(pidfile, &fd);
	assert_int_equal(fd, -1);
	assert_int_equal(access(pidfile, F_OK), -1);
}

static void a_second_instance_is_told_who_holds_it(void **state)
{
	struct err err;
	char want[32];
	pid_t pid;
	int fd = proc_pidfile_take(pidfile, &err);

	assert_true(fd >= 0);
	snprintf(want, sizeof(want), "%d", (int)getpid());
	assert_int_equal(proc_pidfile_take(pidfile, &err), -1);
	assert_int_equal(err.code, EEXIST);
	assert_non_null(strstr(err.text, want));
	assert_int_equal(proc_pidfile_check(pidfile, &pid, &err), 1);
	assert_int_equal(pid, getpid());
	proc_pidfile_drop(pidfile, &fd);
}

static void a_stale_pid_file_is_told_and_taken_over(void **state)
{
	struct err err;
	pid_t pid, seen;
	int fd;

	pid = fork();
	if (pid == 0)
		_exit(proc_pidfile_take(pidfile, NULL) < 0);
	waitpid(pid, NULL, 0);
	assert_int_equal(proc_pidfile_check(pidfile, &seen, &err), 0);
	assert_int_equal(seen, pid);
	fd = proc_pidfile_take(pidfile, &err);
	assert_true(fd >= 0);
	assert_int_equal(proc_pidfile_check(pidfile, &seen, &err), 1);
	assert_int_equal(seen, getpid());
	proc_pidfile_drop(pidfile, &fd);
}

static void a_longer_old_pid_leaves_no_digits_behind(void **state)
{
	char *text, want[32];
	struct err err;
	size_t len;
	int fd;

	fd_replace_file(pidfile, "1234567890\n\n\n", 13, 0644, &err);
	fd = proc_pidfile_take(pidfile, &err);
	assert_true(fd >= 0);
	assert_int_equal(fd_read_file(pidfile, 100, &text, &len, &err), 0);
	snprintf(want, sizeof(want), "%d\n", (int)getpid());
	assert_string_equal(text, want);
	free(text);
	proc_pidfile_drop(pidfile, &fd);
}

static void no_pid_file_is_told_from_an_unreadable_one(void **state)
{
	struct err err;
	pid_t seen = 5;

	assert_int_equal(proc_pidfile_check(pidfile, &seen, &err), 0);
	assert_int_equal(seen, 0);
	fd_replace_file(pidfile, "junk", 4, 0644, &err);
	assert_int_equal(proc_pidfile_check(pidfile, &seen, &err), -1);
	assert_int_equal(proc_pidfile_check("/proc/self/mem/x", &seen, &err),
			 -1);
}

static void looking_never_keeps_an_instance_from_starting(void **state)
{
	struct err err;
	pid_t pid, seen;
	int fd, i, rc;

	fd_replace_file(pidfile, "1\n", 2, 0644, &err);
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			proc_pidfile_check(pidfile, &seen, NULL);
	}
	for (i = 0; i < 200; i++) {
		fd = proc_pidfile_take(pidfile, &err);
		if (fd < 0)
			fail_msg("%s", err.text);
		rc = proc_pidfile_check(pidfile, &seen, &err);
		assert_int_equal(rc, 1);
		proc_pidfile_drop(pidfile, &fd);
	}
	end(pid);
}

static void dropping_leaves_a_successors_file_alone(void **state)
{
	struct err err;
	int fd = proc_pidfile_take(pidfile, &err);

	assert_true(fd >= 0);
	fd_replace_file(pidfile, "1\n", 2, 0644, &err);
	proc_pidfile_drop(pidfile, &fd);
	assert_int_equal(access(pidfile, F_OK), 0);
}

static void the_lock_ends_although_a_child_inherited_it(void **state)
{
	char aside[160];
	struct err err;
	int fd = proc_pidfile_take(pidfile, &err);
	pid_t pid = sleeper("x");

	/* Out of reach, so that the drop does not remove it. */
	snprintf(aside, sizeof(aside), "%s.aside", pidfile);
	assert_int_equal(rename(pidfile, aside), 0);
	proc_pidfile_drop(pidfile, &fd);
	assert_int_equal(rename(aside, pidfile), 0);
	fd = proc_pidfile_take(pidfile, &err);
	assert_true(fd >= 0);
	proc_pidfile_drop(pidfile, &fd);
	end(pid);
}

/* How the start of a daemon ends that says `status`, or dies with -1. */
static int start_daemon(int status, int report)
{
	struct err err;
	char facts[128];
	pid_t pid = fork();
	int fd, ended, i;

	if (pid == 0) {
		umask(0);
		fd = proc_daemonize(&err);
		if (fd < 0)
			_exit(99);
		if (status < 0)
			_exit(0);
		snprintf(facts, sizeof(facts), "%d %d %s %03o %d",
			 getsid(0) == getpid(), (int)isatty(0),
			 access("proc", F_OK) == 0 ? "root" : "elsewhere",
			 (unsigned int)umask(0), fcntl(fd, F_GETFD));
		for (i = 0; i <= 2; i++)
			fd_path(i, facts + strlen(facts),
				sizeof(facts) - strlen(facts));
		fd_write_all(report, facts, strlen(facts));
		proc_daemon_ready(&fd, status);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &ended, 0), pid);
	assert_true(WIFEXITED(ended));
	return WEXITSTATUS(ended);
}

static void a_daemon_reports_its_start_to_who_waits(void **state)
{
	char facts[256] = "";
	int ends[2];

	/* Its number is kept: daemons give up 0 to 2 alone. */
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(start_daemon(0, ends[1]), 0);
	assert_true(read(ends[0], facts, sizeof(facts) - 1) > 0);
	assert_string_equal(facts, "1 0 root 022 1/dev/null/dev/null/dev/null");
	assert_int_equal(start_daemon(5, ends[1]), 5);
	assert_int_equal(start_daemon(-1, ends[1]), 1);
	close(ends[0]);
	close(ends[1]);
}

static void a_daemon_started_without_standard_descriptors_works(void **state)
{
	char facts[256] = "";
	int ends[2], status;
	pid_t pid;

	assert_int_equal(pipe(ends), 0);
	pid = fork();
	if (pid == 0) {
		close(0);
		close(1);
		close(2);
		_exit(start_daemon(4, ends[1]));
	}
	waitpid(pid, &status, 0);
	assert_int_equal(WEXITSTATUS(status), 4);
	assert_true(read(ends[0], facts, sizeof(facts) - 1) > 0);
	assert_string_equal(facts, "1 0 root 022 1/dev/null/dev/null/dev/null");
	close(ends[0]);
	close(ends[1]);
}

/* The command line that others see, blanks between its parts. */
static void cmdline(char *out, size_t size)
{
	char *data;
	size_t len;

	assert_int_equal(
		fd_read_file("/proc/self/cmdline", 1 << 20, &data, &len, NULL),
		0);
	snprintf(out, size, "%s", data);
	/* The old title is gone to its last byte. */
	while (len > strlen(data) && data[len - 1] == '\0')
		len--;
	assert_int_equal(len, strlen(data));
	free(data);
}

static char **main_argv;

static void the_title_shows_and_overruns_nothing(void **state)
{
	char seen[8192], big[6000], *path = getenv("PATH");
	char kept[4096];

	assert_non_null(path);
	snprintf(kept, sizeof(kept), "%s", path);
	proc_title_set("unit: %s %d", "title", 1);
	cmdline(seen, sizeof(seen));
	assert_string_equal(seen, "unit: title 1");

	/* Longer than arguments and environment together: cut. */
	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	proc_title_set("%s%s%s%s", big, big, big, big);
	proc_title_set("y");
	cmdline(seen, sizeof(seen));
	assert_string_equal(seen, "y");

	/* What lay there before is still right. */
	assert_string_equal(getenv("PATH"), kept);
	assert_non_null(strstr(main_argv[0], "lib_proc_test"));
	assert_string_equal(program_invocation_short_name, "lib_proc_test");
	assert_int_equal(setenv("SPLX_UNIT", "1", 1), 0);
	assert_string_equal(getenv("SPLX_UNIT"), "1");
}

static void a_long_title_reaches_into_the_environments_room(void **state)
{
	char seen[8192], title[200];

	memset(title, 't', sizeof(title) - 1);
	title[sizeof(title) - 1] = '\0';
	proc_title_set("%s", title);
	cmdline(seen, sizeof(seen));
	assert_string_equal(seen, title);
}

static void only_usable_cpus_count(void **state)
{
	cpu_set_t old, one;
	int i;

	assert_true(proc_cpus() >= 1);
	assert_int_equal(sched_getaffinity(0, sizeof(old), &old), 0);
	assert_int_equal(proc_cpus(), CPU_COUNT(&old));
	CPU_ZERO(&one);
	for (i = 0; !CPU_ISSET(i, &old); i++)
		;
	CPU_SET(i, &one);
	assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
	assert_int_equal(proc_cpus(), 1);
	sched_setaffinity(0, sizeof(old), &old);
}

static void the_executable_is_told_by_path_and_file(void **state)
{
	char path[4096], self[4096];
	struct stat st;
	dev_t dev;
	ino_t ino;
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	assert_true(n > 0);
	self[n] = '\0';
	assert_int_equal(stat(self, &st), 0);
	assert_int_equal(proc_exe(getpid(), path, sizeof(path), &dev, &ino), 0);
	assert_string_equal(path, self);
	assert_true(dev == st.st_dev && ino == st.st_ino);
	assert_int_equal(proc_exe(getpid(), path, 4, &dev, &ino), -1);
	assert_int_equal(errno, ENAMETOOLONG);
	assert_int_equal(proc_exe(0x7ffffff0, path, 4, &dev, &ino), -1);
}

static void users_are_found_by_name_and_number(void **state)
{
	struct err err;
	uid_t uid = 1;
	gid_t gid = 1;

	assert_int_equal(proc_user("root", &uid, &gid, &err), 0);
	assert_int_equal(uid, 0);
	assert_int_equal(gid, 0);
	assert_int_equal(proc_user("games", &uid, &gid, &err), 0);
	assert_int_equal(uid, 5);
	assert_int_equal(gid, 60);
	assert_int_equal(proc_user("5", &uid, &gid, &err), 0);
	assert_int_equal(uid, 5);
	assert_int_equal(gid, 60);
	assert_int_equal(proc_user("3141592", &uid, &gid, &err), 0);
	assert_int_equal(uid, 3141592);
	assert_int_equal(gid, 3141592);
}

static void an_unknown_user_is_an_error_that_names_it(void **state)
{
	static const char *const bad[] = {"no-such-user-here", "", "-1",
					  "4294967295", "5x"};
	struct err err;
	uid_t uid;
	gid_t gid;
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(proc_user(bad[i], &uid, &gid, &err), -1);
		assert_non_null(strstr(err.text, bad[i]));
	}
}

#define TEST(f) cmocka_unit_test(f)
#define FILES(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

static void a_priority_is_given_and_taken_back(void **state)
{
	pid_t pid = fork();

	if (pid == 0) {
		pause();
		_exit(0);
	}
	assert_int_equal(proc_priority(pid, 7, 200000), 0);
	assert_int_equal(getpriority(PRIO_PROCESS, (id_t)pid), 7);
	assert_int_equal(proc_priority(pid, 10, 0), 0);
	assert_int_equal(getpriority(PRIO_PROCESS, (id_t)pid), 10);
	assert_int_equal(sched_getscheduler(pid), SCHED_OTHER);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	assert_int_equal(proc_priority(pid, 7, 0), -1);
	assert_int_equal(errno, ESRCH);
}

/* -100 where the kernel has no autogroups. */
static int autogroup_nice(pid_t pid)
{
	char path[64], text[128] = "";
	int value = -100;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/autogroup", (int)pid);
	f = fopen(path, "re");
	if (!f)
		return value;
	if (fgets(text, sizeof(text), f) && strstr(text, "nice "))
		value = atoi(strstr(text, "nice ") + 5);
	fclose(f);
	return value;
}

static void the_lowest_gets_what_nobody_else_wants(void **state)
{
	int before = autogroup_nice(getpid()), own;
	pid_t pid = fork();

	if (pid == 0) {
		alarm(60); /* nobody's, once it is alone in its session */
		setsid();
		pause();
		_exit(0);
	}
	for (int i = 0; i < 500 && getsid(pid) != pid; i++)
		usleep(10000);
	/* Its own session's: the first session of a machine has none. */
	own = autogroup_nice(pid);
	assert_int_equal(proc_lowest(pid), 0);
	assert_int_equal(sched_getscheduler(pid), SCHED_IDLE);
	assert_int_equal(syscall(SYS_ioprio_get, 1, pid), 3 << 13);
	assert_int_equal(autogroup_nice(pid), own == -100 ? -100 : 19);
	assert_int_equal(autogroup_nice(getpid()), before);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	assert_int_equal(proc_lowest(pid), -1);
}

static void only_a_process_of_ours_that_runs_it_runs_it(void **state)
{
	struct proc_id id;
	pid_t pid;

	assert_int_equal(proc_identify(getpid(), &id), 0);
	assert_true(proc_runs(&id, "lib_proc_test"));
	assert_true(proc_runs(&id, "lib_proc")); /* renamed at an upgrade */
	assert_false(proc_runs(&id, "vsapiapp"));
	id.start++;
	assert_false(proc_runs(&id, "lib_proc_test"));
	pid = fork();
	if (pid == 0) {
		if (setuid(61184))
			_exit(1);
		pause();
		_exit(0);
	}
	assert_int_equal(proc_identify(pid, &id), 0);
	for (int i = 0; i < 200 && proc_runs(&id, "lib_proc_test"); i++)
		usleep(10000);
	assert_false(proc_runs(&id, "lib_proc_test"));
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(a_living_process_is_identified),
		TEST(a_name_with_brackets_and_blanks_does_not_deceive),
		TEST(who_is_gone_has_no_identity),
		TEST(a_reused_pid_is_told_apart),
		TEST(a_zombie_does_not_live),
		TEST(only_a_process_of_ours_that_runs_it_runs_it),
		TEST(stopped_is_told_from_running),
		TEST(a_pidfd_signals_and_tells_the_end),
		FILES(the_pid_file_holds_our_pid_and_is_readable),
		FILES(a_second_instance_is_told_who_holds_it),
		FILES(a_stale_pid_file_is_told_and_taken_over),
		FILES(a_longer_old_pid_leaves_no_digits_behind),
		FILES(no_pid_file_is_told_from_an_unreadable_one),
		FILES(looking_never_keeps_an_instance_from_starting),
		FILES(dropping_leaves_a_successors_file_alone),
		FILES(the_lock_ends_although_a_child_inherited_it),
		TEST(a_daemon_reports_its_start_to_who_waits),
		TEST(a_daemon_started_without_standard_descriptors_works),
		TEST(the_title_shows_and_overruns_nothing),
		TEST(a_long_title_reaches_into_the_environments_room),
		TEST(a_priority_is_given_and_taken_back),
		TEST(the_lowest_gets_what_nobody_else_wants),
		TEST(only_usable_cpus_count),
		TEST(the_executable_is_told_by_path_and_file),
		TEST(users_are_found_by_name_and_number),
		TEST(an_unknown_user_is_an_error_that_names_it),
	};

	main_argv = argv;
	proc_title_init(argc, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
