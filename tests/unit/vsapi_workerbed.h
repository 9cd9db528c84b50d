/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef TESTS_UNIT_VSAPI_WORKERBED_H
#define TESTS_UNIT_VSAPI_WORKERBED_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/conf.h"
#include "common/exclude.h"
#include "common/finding.h"
#include "common/guard.h"
#include "common/hostmounts.h"
#include "common/pass.h"
#include "common/paths.h"
#include "common/scanjob.h"
#include "lib/alloc.h"
#include "lib/clock.h"
#include "lib/fangroup.h"
#include "lib/fdutil.h"
#include "lib/mounts.h"
#include "lib/sandbox.h"
#include "lib/str.h"
#include "vsapiapp/link.h"
#include "vsapiapp/worker.h"
#include "vsapiapp/worker_in.h"

#include "diskbed.h"

/*
 * Real workers behind their walls, on a real fanotify group that marks a
 * tmpfs made here and nothing else. The test that includes this plays the
 * master. Every worker dies with it, and an alarm ends it.
 */
#define SCAN_UID 61184
#define WORKERS_MAX 6
#define TESTFILES "/usr/share/clamav-testfiles"

static char root[] = "/tmp/splx-worker-XXXXXX";
static char fs[64];	/* the protected file system */
static bool fs_on_disk; /* asked for by the program; else a tmpfs */
static struct conf *conf;
static struct engine *engine;
static struct scoreboard *sb;
static int sb_fd;
static struct known *known;
static int known_fd;
static int group = -1, notify = -1;
static int finding_tx, finding_rx;

static struct {
	pid_t pid;
	int sock; /* the master's end */
} workers[SCOREBOARD_SLOTS];

/* ---- helpers ---- */

static inline void run(const char *fmt, ...)
	__attribute__((format(printf, 1, 2)));
static inline void run(const char *fmt, ...)
{
	char cmd[4096];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(cmd, sizeof(cmd), fmt, ap);
	va_end(ap);
	if (system(cmd) != 0)
		fail_msg("failed: %s", cmd);
}

static inline const char *in_fs(const char *name)
{
	static char path[8][256];
	static int next;

	next = (next + 1) % 8;
	snprintf(path[next], sizeof(path[next]), "%s/%s", fs, name);
	return path[next];
}

/* Makes a file without asking anybody: this process is exempt. */
static inline void put(const char *path, const void *data, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, len), len);
	close(fd);
}

static inline void put_text(const char *path, const char *text)
{
	put(path, text, strlen(text));
}

static inline const char *marker(void)
{
	static char s[64];

	snprintf(s, sizeof(s), "%s%s", "SPLX-MARKER-7c1f09e3",
		 "-d52b86a4-NOT-A-VIRUS");
	return s;
}

/* A file that takes the engine a good while (about `mib` tenths of a
 * second); with `bad` the marker at its end. */
static inline void put_slow(const char *path, int mib, bool bad)
{
	size_t size = (size_t)mib << 20;
	char *data = xmalloc(size + 64);
	uint64_t x = 88172645463325252ull;

	for (size_t i = 0; i + 8 <= size; i += 8) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		memcpy(data + i, &x, 8);
	}
	if (bad)
		memcpy(data + size, marker(), strlen(marker()));
	put(path, data, size + (bad ? strlen(marker()) : 0));
	xfree(&data);
}

static inline uint64_t count(enum counter_id id)
{
	return scoreboard_count(sb, id);
}

/* Opens in a process of its own, which is asked for. */
static inline pid_t open_later(const char *path, int flags)
{
	pid_t pid = fork();

	if (pid == 0) {
		int fd;

		alarm(60);
		fd = open(path, flags);
		_exit(fd >= 0 ? 0 : errno);
	}
	assert_true(pid > 0);
	return pid;
}

static inline int result_of(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (!WIFEXITED(status))
		fail_msg("the opener died: %#x", status);
	return WEXITSTATUS(status);
}

static inline int try_open(const char *path)
{
	return result_of(open_later(path, O_RDONLY));
}

static inline void settle(void)
{
	usleep(60000);
}

/* Waits up to 10 s until an expression is true. */
#define wait_until(expr)                                                       \
	do {                                                                   \
		int n_ = 0;                                                    \
		while (!(expr) && n_++ < 10000)                                \
			usleep(1000);                                          \
		if (!(expr))                                                   \
			fail_msg("never: %s", #expr);                          \
	} while (0)

/* Counters are entered behind the answer. */
static inline void expect_count(enum counter_id id, uint64_t n)
{
	for (int i = 0; i < 2000 && count(id) < n; i++)
		usleep(1000);
	if (count(id) != n)
		fail_msg("%s is %llu, not %llu", counter_names[id],
			 (unsigned long long)count(id), (unsigned long long)n);
}

/* ---- workers ---- */

static inline char *jail_of(int slot)
{
	return xasprintf("%s/jail%d", root, slot);
}

/* What a generation does for its workers, in the forked child. */
static inline void become_worker(struct worker_setup *s)
{
	struct err err;
	uint64_t caps = 1ull << CAP_LEASE | 1ull << CAP_SYS_CHROOT;

	s->scratch = jail_of(s->slot);
	if (sandbox_unshare(&err) < 0 ||
	    sandbox_tmpfs(s->scratch, s->conf->scratch_size, SCAN_UID, SCAN_UID,
			  &err) < 0 ||
	    sandbox_jail_make(s->scratch, SCAN_UID, SCAN_UID, &err) < 0 ||
	    sandbox_become(SCAN_UID, SCAN_UID, caps, &err) < 0) {
		fprintf(stderr, "worker: %s\n", err.text);
		_exit(2);
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
}

static bool bed_async; /* workers to come are of async mode */

static inline void setup_of(struct worker_setup *s, int slot,
			    enum slot_role role)
{
	*s = (struct worker_setup){
		.sb = sb,
		.sb_readonly = scoreboard_readonly(sb_fd, NULL),
		.slot = slot,
		.role = role,
		.generation = 1,
		.policy_generation = 1,
		.engine = engine,
		.conf = conf,
		.known = known,
		.epoch = 77,
		.group = role == SLOT_FRONT ? group : -1,
		.notify = role == SLOT_BACK ? notify : -1,
		.khm = -1,
		.finding_sock = finding_tx,
		.master_sock = -1,
		.log_sock = -1,
		.async = bed_async,
	};
}

static inline int start_worker(enum slot_role role)
{
	int slot = scoreboard_claim(sb, role), ends[2];
	struct worker_setup s;
	char *jail = jail_of(slot);

	assert_true(slot >= 0);
	mkdir(jail, 0755);
	xfree(&jail);
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	workers[slot].sock = ends[0];
	workers[slot].pid = fork();
	assert_true(workers[slot].pid >= 0);
	if (workers[slot].pid == 0) {
		setup_of(&s, slot, role);
		s.master_sock = ends[1];
		s.exclude = exclude_new(conf, NULL);
		become_worker(&s);
		worker_run(&s);
	}
	close(ends[1]);
	return slot;
}

/* What a master does for a worker that is gone. Returns its status. */
static inline int bury(int slot)
{
	int status;

	assert_int_equal(waitpid(workers[slot].pid, &status, 0),
			 workers[slot].pid);
	guard_answer_slot(sb, group, slot, COUNTER_POLICY_CRASH, true);
	scoreboard_release(sb, slot);
	fd_close(&workers[slot].sock);
	workers[slot].pid = 0;
	return status;
}

static inline void stop_workers(void)
{
	for (int i = 0; i < SCOREBOARD_SLOTS; i++)
		if (workers[i].pid > 0) {
			kill(workers[i].pid, SIGKILL);
			bury(i);
		}
}

static inline void start_front(int n)
{
	for (int i = 0; i < n; i++)
		start_worker(SLOT_FRONT);
}

/* A worker's message, waited for up to 5 s; *fd_r may be NULL. */
static inline bool message_of(int slot, struct work_msg *msg, int *fd_r)
{
	struct pollfd p = {.fd = workers[slot].sock, .events = POLLIN};
	int fds[FD_PASS_MAX], nfds = 0;

	if (poll(&p, 1, 5000) <= 0)
		return false;
	if (fd_recv(workers[slot].sock, msg, sizeof(*msg), fds, &nfds,
		    MSG_DONTWAIT) != (ssize_t)sizeof(*msg))
		return false;
	if (fd_r)
		*fd_r = nfds > 0 ? fds[0] : -1;
	for (int i = fd_r ? 1 : 0; i < nfds; i++)
		close(fds[i]);
	return true;
}

static inline bool next_finding_within(struct finding *f, int *fd_r, int ms)
{
	struct pollfd p = {.fd = finding_rx, .events = POLLIN};
	struct err err;

	*fd_r = -1;
	if (poll(&p, 1, ms) <= 0)
		return false;
	return finding_recv(finding_rx, f, fd_r, &err) == 1;
}

static inline bool next_finding(struct finding *f, int *fd_r)
{
	return next_finding_within(f, fd_r, 5000);
}

static inline void expect_finding(struct finding *f)
{
	int fd;

	if (!next_finding(f, &fd))
		fail_msg("no finding came");
	assert_true(fd >= 0);
	close(fd);
}

static inline void set(const char *key, const char *value)
{
	struct err err;

	if (conf_set(conf, key, value, &err) < 0)
		fail_msg("%s", err.text);
	if (engine_configure(engine, conf, &err) < 0)
		fail_msg("%s", err.text);
}

static inline int scanning_slot(void)
{
	for (int i = 0; i < SCOREBOARD_SLOTS; i++)
		if (atomic_load(&sb->slots[i].scan_start_ns) != 0)
			return i;
	return -1;
}

static inline void remember(int slot)
{
	struct work_msg msg;

	assert_true(message_of(slot, &msg, NULL));
	assert_int_equal(msg.kind, WORK_REMEMBER);
	assert_int_equal(msg.epoch, 77);
	known_put(known, &msg.key, msg.epoch);
}

/* ---- setting up ---- */

static inline int set_up_group(void **state)
{
	char dirs[600];
	struct err err;

	signal(SIGPIPE, SIG_IGN);
	alarm(300);
	assert_non_null(mkdtemp(root));
	chmod(root, 0755);
	snprintf(fs, sizeof(fs), "%s/fs", root);
	mkdir(fs, 0755);
	paths_init(root);
	run("mkdir -p %s && cp etc/patterns/* %s && mkdir -p %s/db",
	    paths()->builtin_dir, paths()->builtin_dir, root);
	run("sigtool --md5 %s/clam.exe >%s/db/clam.hdb", TESTFILES, root);
	conf = conf_new();
	snprintf(dirs, sizeof(dirs), "{\"%s/db\"}", root);
	assert_int_equal(conf_set(conf, "PatternDirectory", dirs, &err), 0);
	engine = engine_new(conf, &err);
	if (!engine)
		fail_msg("%s", err.text);
	return 0;
}

static inline int tear_down_group(void **state)
{
	engine_free(&engine);
	conf_free(&conf);
	run("rm -rf %s", root);
	return 0;
}

static inline void fresh_scoreboard(void)
{
	struct err err;

	sb = scoreboard_new(&sb_fd, &err);
	assert_non_null(sb);
	known = known_new(1024, &known_fd, &err);
	assert_non_null(known);
	atomic_store(&sb->generation, 1);
	atomic_store(&sb->policy_generation, 1);
	atomic_store(&sb->supervisor.beat_ns, clock_mono_ns());
	assert_true(scoreboard_exempt(sb, getpid()));
}

/* As the master does: paths are judged on these mounts alone. */
static inline void publish_mounts(void)
{
	struct mount_list list = {0};
	const struct mount *m;
	uint32_t ids[SCOREBOARD_MOUNTS];
	size_t n = 0;
	struct err err;

	assert_int_equal(mounts_read(0, &list, &err), 0);
	vec_each (m, &list)
		if (n < SCOREBOARD_MOUNTS)
			ids[n++] = (uint32_t)m->id;
	assert_true(hostmounts_publish(sb, ids, n));
	mounts_free(&list);
}

static inline int set_up(void **state)
{
	char image[80];
	int ends[2];
	struct err err;

	conf_free(&conf);
	conf = conf_new();
	set("IgnoreMarks", "off");
	snprintf(image, sizeof(image), "%s/disk", root);
	/* Never without a mount: the machine's own would be marked. */
	if (!fs_on_disk || !disk_mount(fs, image))
		assert_int_equal(mount("tmpfs", fs, "tmpfs", 0, "size=256m"),
				 0);
	fresh_scoreboard();
	publish_mounts();
	assert_int_equal(
		socketpair(AF_UNIX,
			   SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
			   ends),
		0);
	finding_tx = ends[0];
	finding_rx = ends[1];
	group = fangroup_new(true, &err);
	assert_true(group >= 0);
	notify = fangroup_new(false, &err);
	assert_true(notify >= 0);
	if (fangroup_mark(group, FANGROUP_FILESYSTEM, FANGROUP_OPEN, true,
			  AT_FDCWD, fs, &err) < 0 ||
	    fangroup_mark(notify, FANGROUP_FILESYSTEM, FANGROUP_CLOSE, false,
			  AT_FDCWD, fs, &err) < 0)
		fail_msg("%s", err.text);
	/* The shells and copies of run() are asked for too; back tests have
	 * no front worker that would answer. */
	if (*state)
		fangroup_flush_all(group);
	return 0;
}

static inline int tear_down(void **state)
{
	stop_workers();
	fd_close(&group);
	fd_close(&notify);
	fd_close(&finding_tx);
	fd_close(&finding_rx);
	known_free(&known);
	fd_close(&known_fd);
	munmap(sb, sizeof(*sb));
	fd_close(&sb_fd);
	umount2(fs, MNT_DETACH);
	return 0;
}

#define FRONT(f)                                                               \
	cmocka_unit_test_prestate_setup_teardown(f, set_up, tear_down, NULL)
#define BACK(f)                                                                \
	cmocka_unit_test_prestate_setup_teardown(f, set_up, tear_down,         \
						 (void *)"back")

#endif
