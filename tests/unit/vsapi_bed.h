/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/*
 * A bed for tests of the whole of vsapiapp without entity: the test plays the
 * supervisor. What is protected is a tmpfs of its own and nothing else. For
 * one test program; it sets `program` to build/libexec/vsapiapp.
 */
#ifndef TESTS_UNIT_VSAPI_BED_H
#define TESTS_UNIT_VSAPI_BED_H

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/control.h"
#include "common/finding.h"
#include "common/guard.h"
#include "common/paths.h"
#include "common/scanjob.h"
#include "common/state.h"
#include "lib/clock.h"
#include "lib/fangroup.h"
#include "lib/fdutil.h"
#include "lib/log.h"
#include "vsapiapp/poison.h"

#include "diskbed.h"

#define SCAN_UID "61184"
#define BED __attribute__((unused)) static
#define LIMIT_S 110

/* Never whole in a file of ours. */
static const char eicar[] = "X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR-"
			    "STANDARD-ANTIVIRUS-TEST-FILE!$H+H*";

static char root[64], prot[80], program[PATH_MAX];
static struct scoreboard *sb;
static int sb_fd, group, finding[2], logs[2], life[2];
static pid_t guard_pid, core_pid, master_pid;
/* What the loops of openers saw. */
static struct seen {
	_Atomic uint64_t opens, through, longest_ns;
	_Atomic int stop;
} * seen;

/* --- the test's own bed -------------------------------------------------- */

static const char *in(const char *dir, const char *name)
{
	static char path[8][PATH_MAX];
	static int i;

	i = (i + 1) % 8;
	snprintf(path[i], sizeof(path[i]), "%s/%s", dir, name);
	return path[i];
}

static void write_file(const char *path, const char *data, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(fd_write_all(fd, data, len), 0);
	close(fd);
}

/* Written without a name first, so that only its opening can find it. */
BED const char *put_eicar(const char *dir, const char *name)
{
	const char *path = in(dir, name);

	unlink(path);
	write_file(path, eicar, strlen(eicar));
	return path;
}

static void write_settings(const char *more)
{
	char text[2048];

	snprintf(text, sizeof(text),
		 "Include = {\"%s\"}\nScanUser = \"" SCAN_UID "\"\n"
		 "%sKnownClean = \"persistent\"\n"
		 "FirstAction = \"deny\"\n%s",
		 prot,
		 strstr(more, "VerdictTimeout") ? ""
						: "VerdictTimeout = \"10s\"\n",
		 more);
	write_file(paths()->active_conf, text, strlen(text));
}

static void kill_workers(void)
{
	int i;

	for (i = 0; i < SCOREBOARD_SLOTS; i++) {
		struct proc_id id = {
			.pid = atomic_load(&sb->slots[i].pid),
			.start = atomic_load(&sb->slots[i].start),
		};

		if (atomic_load(&sb->slots[i].role) && id.pid > 1 &&
		    proc_alive(&id))
			kill(id.pid, SIGKILL);
	}
}

static void on_alarm(int sig)
{
	static const char text[] = "the test took too long\n";

	if (write(2, text, sizeof(text) - 1) < 0) {
	}
	kill_workers();
	_exit(99);
}

/* The supervisor's guard, in a process that opens nothing else. */
static void be_guard(void)
{
	struct timespec tick = {.tv_nsec = GUARD_TICK_MS * 1000000};
	struct guard *guard = guard_new(sb, group, true, 0);
	struct err err;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	assert_int_equal(fd_fill(GUARD_NUMBER, &err), 0);
	for (;;) {
		guard_tick(guard);
		nanosleep(&tick, NULL);
	}
}

/* Core takes findings as they come. */
static void be_core(void)
{
	struct pollfd p = {.fd = finding[1], .events = POLLIN};
	struct finding f;
	struct err err;
	int fd;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (poll(&p, 1, -1) >= 0)
		while (finding_recv(finding[1], &f, &fd, &err) == 1)
			if (fd >= 0)
				close(fd);
	_exit(0);
}

/* Log lines of vsapiapp come out of here when asked for. */
static void pump_log(void)
{
	char line[4096];
	ssize_t n;

	while ((n = recv(logs[1], line, sizeof(line), MSG_DONTWAIT)) > 0)
		if (getenv("TEST_LOG") &&
		    !memmem(line, (size_t)n, "finding", 7))
			fprintf(stderr, "%.*s\n", (int)n, line);
}

static void start_master(void)
{
	int from[INHERIT_COUNT] = {[INHERIT_SCOREBOARD] = sb_fd,
				   [INHERIT_GROUP] = group,
				   [INHERIT_FINDING_TX] = finding[0],
				   [INHERIT_FINDING_RX] = finding[1],
				   [INHERIT_LOG] = logs[0],
				   [INHERIT_LOG_RX] = logs[1],
				   [INHERIT_LIFE] = life[0]};
	int i;

	atomic_store(&sb->master_state, MASTER_NONE);
	master_pid = fork();
	if (master_pid)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (i = INHERIT_SCOREBOARD; i < INHERIT_COUNT; i++)
		from[i] = fcntl(from[i], F_DUPFD, 100);
	for (i = INHERIT_SCOREBOARD; i < INHERIT_COUNT; i++)
		dup2(from[i], i);
	close_range(INHERIT_COUNT, ~0u, 0);
	execl(program, "vsapiapp", "-R", root, (char *)NULL);
	_exit(127);
}

static bool wait_until(bool (*what)(void), int ms)
{
	struct timespec step = {.tv_nsec = 10000000};

	for (; ms > 0; ms -= 10) {
		pump_log();
		if (what())
			return true;
		nanosleep(&step, NULL);
	}
	return what();
}

static bool is_ready(void)
{
	return atomic_load(&sb->master_state) == MASTER_READY;
}

static void wait_ready(void)
{
	if (!wait_until(is_ready, 30000))
		fail_msg("the master is not ready");
}

static void copy_patterns(void)
{
	char cmd[PATH_MAX * 2];

	snprintf(cmd, sizeof(cmd), "cp etc/patterns/* '%s'",
		 paths()->builtin_dir);
	assert_int_equal(system(cmd), 0);
}

static void make_root(void)
{
	struct err err;

	assert_int_equal(fd_mkdirs(paths()->conf_dir, 0755, &err), 0);
	assert_int_equal(fd_mkdirs(paths()->run_dir, 0755, &err), 0);
	assert_int_equal(fd_mkdirs(paths()->pattern_dir, 0755, &err), 0);
	assert_int_equal(fd_mkdirs(paths()->builtin_dir, 0755, &err), 0);
	copy_patterns();
	assert_int_equal(mkdir(prot, 0755), 0);
	if (!disk_mount(prot, in(root, "disk")))
		assert_int_equal(mount("prot", prot, "tmpfs", 0, "size=256M"),
				 0);
}

static int setup_group(void **state)
{
	struct err err;

	/* One tmpfs around everything: should the inner one ever be missing,
	 * what is marked in its place is this and not the machine's. */
	strcpy(root, "/tmp/splx-master-XXXXXX");
	assert_non_null(mkdtemp(root));
	assert_int_equal(mount("outer", root, "tmpfs", 0, "size=600M"), 0);
	assert_int_equal(mount(NULL, root, NULL, MS_PRIVATE, NULL), 0);
	chmod(root, 0755);
	snprintf(prot, sizeof(prot), "%s/prot", root);
	paths_init(root);
	make_root();
	seen = mmap(NULL, sizeof(*seen), PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	sb = scoreboard_new(&sb_fd, &err);
	assert_non_null(sb);
	signal(SIGALRM, on_alarm);
	signal(SIGPIPE, SIG_IGN);
	return 0;
}

static int teardown_group(void **state)
{
	umount2(prot, MNT_DETACH);
	umount2(root, MNT_DETACH);
	rmdir(root);
	return 0;
}

static int setup(void **state)
{
	struct err err;
	int size = 1 << 20;

	alarm(LIMIT_S);
	memset(seen, 0, sizeof(*seen));
	group = fangroup_new(true, &err);
	assert_true(group >= 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, finding), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, logs), 0);
	setsockopt(logs[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	assert_int_equal(pipe(life), 0);
	guard_pid = fork();
	if (guard_pid == 0)
		be_guard();
	core_pid = fork();
	if (core_pid == 0)
		be_core();
	write_settings("");
	unlink(paths()->verdicts);
	start_master();
	wait_ready();
	return 0;
}

static int reap(pid_t pid)
{
	int status = 0;

	return waitpid(pid, &status, 0) == pid ? status : -1;
}

static bool no_workers(void)
{
	int i;

	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
	for (i = 0; i < SCOREBOARD_SLOTS; i++) {
		struct proc_id id = {
			.pid = atomic_load(&sb->slots[i].pid),
			.start = atomic_load(&sb->slots[i].start),
		};

		if (atomic_load(&sb->slots[i].role) && id.pid > 1 &&
		    proc_alive(&id))
			return false;
	}
	return true;
}

static int teardown(void **state)
{
	int i;

	atomic_store(&seen->stop, 1);
	if (master_pid > 0) {
		kill(master_pid, SIGKILL);
		reap(master_pid);
	}
	kill_workers();
	wait_until(no_workers, 5000);
	fangroup_flush_all(group);
	kill(guard_pid, SIGKILL);
	reap(guard_pid);
	kill(core_pid, SIGKILL);
	reap(core_pid);
	pump_log();
	close(group);
	for (i = 0; i < 2; i++) {
		close(finding[i]);
		close(logs[i]);
		close(life[i]);
	}
	for (i = 0; i < SCOREBOARD_SLOTS; i++)
		scoreboard_release(sb, i);
	atomic_store(&sb->breaker_open, 0);
	atomic_store(&sb->timeouts_in_row, 0);
	poison_clear(sb);
	return 0;
}

/* ---- what tests do and look at ---- */

/* errno of an open, 0 when it works */
BED int opens(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int e = fd < 0 ? errno : 0;

	fd_close(&fd);
	pump_log();
	return e;
}

BED uint64_t old_number;
BED bool policy_grew(void)
{
	return atomic_load(&sb->policy_generation) > old_number;
}

/* Takes settings over. */
BED void hup(const char *settings)
{
	write_settings(settings);
	old_number = atomic_load(&sb->policy_generation);
	kill(master_pid, SIGHUP);
	if (!wait_until(policy_grew, 10000))
		fail_msg("the settings are not taken over");
}

/* Whether it tells of an error with that code. */
BED bool told(int code)
{
	json_t *state = state_read(NULL), *e;
	bool found = false;
	size_t i;

	json_array_foreach (json_object_get(state, "errors"), i, e)
		if (json_integer_value(json_object_get(e, "code")) == code)
			found = true;
	json_decref(state);
	return found;
}

BED void settle(int ms)
{
	struct timespec t = {.tv_sec = ms / 1000,
			     .tv_nsec = ms % 1000 * 1000000l};

	nanosleep(&t, NULL);
	pump_log();
}

BED uint64_t old_count;
BED int scanning_slot(enum slot_role role)
{
	int i;

	for (i = 0; i < SCOREBOARD_SLOTS; i++)
		if (atomic_load(&sb->slots[i].role) == role &&
		    atomic_load(&sb->slots[i].scan_start_ns))
			return i;
	return -1;
}

BED bool front_scans(void)
{
	return scanning_slot(SLOT_FRONT) >= 0;
}

/* Takes long to scan: much text of many kinds. */
BED const char *make_slow_of(const char *dir, const char *name,
			     unsigned int megabytes)
{
	const char *path = in(dir, name);
	size_t len = (size_t)megabytes << 20, i;
	char *data = malloc(len);
	uint32_t x = 1;

	for (i = 0; i < len; i++) {
		x = x * 1664525u + 1013904223u;
		data[i] = (char)(x >> 24);
	}
	write_file(path, data, len);
	free(data);
	return path;
}

BED const char *make_slow(const char *name)
{
	return make_slow_of(prot, name, 100);
}

BED bool killed_grew(void)
{
	return scoreboard_count(sb, COUNTER_WORKER_KILLED) > old_count;
}

BED int replies[VERDICT_ERROR + 1];
BED void on_reply(const struct scanjob_reply *reply, const char *path,
		  void *arg)
{
	replies[reply->verdict]++;
}

/* A test's name as the argument, and which program is tried. */
BED void bed_args(int argc, char **argv)
{
	char self[PATH_MAX];

	assert_non_null(realpath("/proc/self/exe", self));
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	snprintf(program, sizeof(program), "%s/../../libexec/vsapiapp",
		 dirname(self));
}

#endif
