// SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
/*
 * Real workers behind their walls, on a real fanotify group that marks a
 * tmpfs made here and nothing else. This program plays the master. Every
 * worker dies with it, and an alarm ends it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <iconv.h>
#include <linux/capability.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/fanotify.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/conf.h"
#include "common/exclude.h"
#include "common/finding.h"
#include "common/guard.h"
#include "common/pass.h"
#include "common/paths.h"
#include "common/scanjob.h"
#include "lib/alloc.h"
#include "lib/clock.h"
#include "lib/fangroup.h"
#include "lib/fdutil.h"
#include "lib/sandbox.h"
#include "lib/str.h"
#include "vsapiapp/link.h"
#include "vsapiapp/worker.h"
#include "vsapiapp/worker_in.h"

#define SCAN_UID 61184
#define WORKERS_MAX 6
#define TESTFILES "/usr/share/clamav-testfiles"

static char root[] = "/tmp/splx-worker-XXXXXX";
static char fs[64]; /* the protected tmpfs */
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

static void run(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static void run(const char *fmt, ...)
{
	char cmd[4096];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(cmd, sizeof(cmd), fmt, ap);
	va_end(ap);
	if (system(cmd) != 0)
		fail_msg("failed: %s", cmd);
}

static const char *in_fs(const char *name)
{
	static char path[8][256];
	static int next;

	next = (next + 1) % 8;
	snprintf(path[next], sizeof(path[next]), "%s/%s", fs, name);
	return path[next];
}

/* Makes a file without asking anybody: this process is exempt. */
static void put(const char *path, const void *data, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, len), len);
	close(fd);
}

static void put_text(const char *path, const char *text)
{
	put(path, text, strlen(text));
}

static const char *marker(void)
{
	static char s[64];

	snprintf(s, sizeof(s), "%s%s", "SPLX-MARKER-7c1f09e3",
		 "-d52b86a4-NOT-A-VIRUS");
	return s;
}

/* A file that takes the engine a good while (about `mib` tenths of a
 * second); with `bad` the marker at its end. */
static void put_slow(const char *path, int mib, bool bad)
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

static uint64_t count(enum counter_id id)
{
	return scoreboard_count(sb, id);
}

/* Opens in a process of its own, which is asked for. */
static pid_t open_later(const char *path, int flags)
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

static int result_of(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (!WIFEXITED(status))
		fail_msg("the opener died: %#x", status);
	return WEXITSTATUS(status);
}

static int try_open(const char *path)
{
	return result_of(open_later(path, O_RDONLY));
}

static void settle(void)
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
static void expect_count(enum counter_id id, uint64_t n)
{
	for (int i = 0; i < 2000 && count(id) < n; i++)
		usleep(1000);
	if (count(id) != n)
		fail_msg("%s is %llu, not %llu", counter_names[id],
			 (unsigned long long)count(id), (unsigned long long)n);
}

/* ---- workers ---- */

static char *jail_of(int slot)
{
	return xasprintf("%s/jail%d", root, slot);
}

/* What a generation does for its workers, in the forked child. */
static void become_worker(struct worker_setup *s)
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

static void setup_of(struct worker_setup *s, int slot, enum slot_role role)
{
	*s = (struct worker_setup){
		.sb = sb,
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
		.finding_sock = finding_tx,
		.master_sock = -1,
		.log_sock = -1,
	};
}

static int start_worker(enum slot_role role)
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
static int bury(int slot)
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

static void stop_workers(void)
{
	for (int i = 0; i < SCOREBOARD_SLOTS; i++)
		if (workers[i].pid > 0) {
			kill(workers[i].pid, SIGKILL);
			bury(i);
		}
}

static void start_front(int n)
{
	for (int i = 0; i < n; i++)
		start_worker(SLOT_FRONT);
}

/* A worker's message, waited for up to 5 s; *fd_r may be NULL. */
static bool message_of(int slot, struct work_msg *msg, int *fd_r)
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

static bool next_finding(struct finding *f, int *fd_r)
{
	struct pollfd p = {.fd = finding_rx, .events = POLLIN};
	struct err err;

	*fd_r = -1;
	if (poll(&p, 1, 5000) <= 0)
		return false;
	return finding_recv(finding_rx, f, fd_r, &err) == 1;
}

static void expect_finding(struct finding *f)
{
	int fd;

	if (!next_finding(f, &fd))
		fail_msg("no finding came");
	assert_true(fd >= 0);
	close(fd);
}

static void set(const char *key, const char *value)
{
	struct err err;

	if (conf_set(conf, key, value, &err) < 0)
		fail_msg("%s", err.text);
	if (engine_configure(engine, conf, &err) < 0)
		fail_msg("%s", err.text);
}

/* ---- the verdict path ---- */

static void infected_is_denied_and_clean_is_allowed(void **state)
{
	struct finding f;
	char link[64];
	int fd;

	start_front(2);
	put_text(in_fs("clean"), "nothing to see\n");
	put_text(in_fs("bad"), marker());
	assert_int_equal(try_open(in_fs("clean")), 0);
	assert_int_equal(try_open(in_fs("bad")), EPERM);
	assert_true(next_finding(&f, &fd));
	assert_string_equal(f.virus, "Splx.Test.Marker");
	assert_string_equal(f.path, in_fs("bad"));
	assert_int_equal(f.verdict, VERDICT_INFECTED);
	assert_int_equal(f.source, SOURCE_OPEN);
	assert_int_equal(f.denied, 1);
	assert_int_equal(f.late, 0);
	assert_int_equal(f.first_action, ACTION_QUARANTINE);
	assert_int_equal(f.second_action, ACTION_DENY);
	/* The descriptor is the very file. */
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	assert_true(fd >= 0);
	close(fd);
	expect_count(COUNTER_DENIED_INFECTED, 1);
	expect_count(COUNTER_ALLOWED_CLEAN, 1);
	/* Ours, while the files were written, among them. */
	expect_count(COUNTER_ALLOWED_EXEMPT, 2);
	expect_count(COUNTER_QUESTIONS, 4);
}

static void every_test_file_is_scanned_behind_the_walls(void **state)
{
	uint64_t questions;

	/* Shows that seccomp allows all that the unpackers call. */
	start_front(2);
	run("cp %s/* %s && cp /bin/bash /usr/share/doc/libc6/* %s", TESTFILES,
	    fs, fs);
	run("cd %s && for t in gzip bzip2 xz; do $t -k bash; done && "
	    "tar cf t.tar bash && printf '<html>%%s</html>' x >h.html && "
	    "python3 -c 'import zipfile as z,os;a=z.ZipFile(\"z.zip\",\"w\",8)"
	    ";[a.writestr(str(i),os.urandom(5000)) for i in range(50)]'",
	    fs);
	questions = count(COUNTER_QUESTIONS);
	run("cat %s/* >/dev/null 2>&1 || true", fs);
	assert_true(count(COUNTER_QUESTIONS) > questions + 44);
	expect_count(COUNTER_POLICY_ERROR, 0);
	assert_true(count(COUNTER_DENIED_INFECTED) >= 44);
	for (int i = 0; i < SCOREBOARD_SLOTS; i++)
		if (workers[i].pid > 0)
			assert_int_equal(waitpid(workers[i].pid, NULL, WNOHANG),
					 0);
}

static void many_openers_cause_one_scan(void **state)
{
	pid_t openers[12];
	uint64_t scans;

	start_front(4);
	put_slow(in_fs("slow"), 6, false);
	usleep(100000); /* just written it would be scanned for the later ones
			 */
	scans = count(COUNTER_SCANS);
	for (int i = 0; i < 12; i++)
		openers[i] = open_later(in_fs("slow"), O_RDONLY);
	for (int i = 0; i < 12; i++)
		assert_int_equal(result_of(openers[i]), 0);
	assert_int_equal(count(COUNTER_SCANS) - scans, 1);
	expect_count(COUNTER_COALESCED, 11);
	put_slow(in_fs("slow2"), 6, true);
	for (int i = 0; i < 12; i++)
		openers[i] = open_later(in_fs("slow2"), O_RDONLY);
	for (int i = 0; i < 12; i++)
		assert_int_equal(result_of(openers[i]), EPERM);
	assert_int_equal(count(COUNTER_SCANS) - scans, 2);
	expect_count(COUNTER_DENIED_INFECTED, 12);
}

static int scanning_slot(void)
{
	for (int i = 0; i < SCOREBOARD_SLOTS; i++)
		if (atomic_load(&sb->slots[i].scan_start_ns) != 0)
			return i;
	return -1;
}

static int parked(void)
{
	int n = 0;

	for (int i = 0; i < SCOREBOARD_SLOTS; i++)
		for (int h = 0; h < SLOT_NUMBERS; h++)
			n += atomic_load(&sb->slots[i].holds[h].state) ==
			     HOLD_PARKED;
	return n;
}

static void parked_openers_survive_their_scanner(void **state)
{
	pid_t first, others[5];
	uint64_t scans;
	int slot;

	start_front(3);
	put_slow(in_fs("slow"), 12, true);
	scans = count(COUNTER_SCANS);
	first = open_later(in_fs("slow"), O_RDONLY);
	wait_until(scanning_slot() >= 0);
	slot = scanning_slot();
	for (int i = 0; i < 5; i++)
		others[i] = open_later(in_fs("slow"), O_RDONLY);
	wait_until(parked() == 5);
	kill(workers[slot].pid, SIGKILL);
	assert_true(WIFSIGNALED(bury(slot)));
	/* Policy for the one, a true verdict for the others. */
	assert_int_equal(result_of(first), 0);
	for (int i = 0; i < 5; i++)
		assert_int_equal(result_of(others[i]), EPERM);
	assert_int_equal(count(COUNTER_SCANS) - scans, 1);
	expect_count(COUNTER_POLICY_CRASH, 1);
}

static void a_file_that_ended_two_workers_is_not_fed(void **state)
{
	struct file_key key;
	struct stat st;
	int fd;

	set("OnError", "deny");
	start_front(1);
	put_text(in_fs("f"), "deadly");
	fd = open(in_fs("f"), O_RDONLY);
	assert_int_equal(file_key_get(fd, &key, &st), 0);
	close(fd);
	sb->poison[3].key = key;
	atomic_store(&sb->poison[3].deaths, 1);
	assert_int_equal(try_open(in_fs("f")), 0);
	atomic_store(&sb->poison[3].deaths, 2);
	assert_int_equal(try_open(in_fs("f")), EPERM);
	expect_count(COUNTER_POLICY_POISON, 1);
}

static void a_finding_after_the_timeout_is_late(void **state)
{
	struct finding f;
	pid_t opener;
	int slot;

	start_front(1);
	put_slow(in_fs("slow"), 8, true);
	opener = open_later(in_fs("slow"), O_RDONLY);
	wait_until((slot = scanning_slot()) >= 0);
	/* What a guard does. */
	for (int h = 0; h < SLOT_NUMBERS; h++) {
		struct hold *hold = &sb->slots[slot].holds[h];
		uint32_t expected = HOLD_SCANNING;

		if (!atomic_compare_exchange_strong(&hold->state, &expected,
						    HOLD_ANSWERED))
			continue;
		assert_int_equal(
			fangroup_answer(group, slot_number(slot) + h, true), 0);
	}
	assert_int_equal(result_of(opener), 0);
	expect_finding(&f);
	assert_int_equal(f.late, 1);
	assert_int_equal(f.denied, 0);
	/* The number is free again. */
	wait_until(atomic_load(&sb->slots[slot].holds[0].state) == HOLD_FREE);
	assert_int_equal(try_open(in_fs("slow")), EPERM);
	expect_count(COUNTER_FINDINGS_LATE, 1);
}

static void policies_decide_where_no_verdict_is(void **state)
{
	set("MaxFileSize", "64K");
	set("OnOversize", "deny");
	set("OnEncrypted", "deny");
	start_front(1);
	run("head -c 100000 /dev/zero >%s", in_fs("big"));
	assert_int_equal(try_open(in_fs("big")), EPERM);
	expect_count(COUNTER_POLICY_OVERSIZE, 1);
	run("cd %s && python3 -c 'import zipfile as z\n"
	    "a=z.ZipFile(\"enc.zip\",\"w\");a.writestr(\"f\",b\"x\"*200)\n"
	    "a.close();d=bytearray(open(\"enc.zip\",\"rb\").read())\n"
	    "d[6]|=1;d[d.find(b\"PK\\1\\2\")+8]|=1\n"
	    "open(\"enc2.zip\",\"wb\").write(d)'",
	    fs);
	assert_int_equal(try_open(in_fs("enc2.zip")), EPERM);
	expect_count(COUNTER_POLICY_ENCRYPTED, 1);
}

static void pass_allows_and_reports(void **state)
{
	struct finding f;

	set("FirstAction", "pass");
	start_front(1);
	put_text(in_fs("bad"), marker());
	assert_int_equal(try_open(in_fs("bad")), 0);
	expect_finding(&f);
	assert_int_equal(f.denied, 0);
	assert_int_equal(f.first_action, ACTION_PASS);
	expect_count(COUNTER_ALLOWED_PASS, 1);
}

static void a_restored_file_passes_without_a_word(void **state)
{
	struct file_key key;
	struct stat st;
	int fd;

	start_front(1);
	put_text(in_fs("bad"), marker());
	fd = open(in_fs("bad"), O_RDONLY);
	assert_int_equal(file_key_get(fd, &key, &st), 0);
	close(fd);
	pass_put(sb, &key);
	assert_int_equal(try_open(in_fs("bad")), 0);
	expect_count(COUNTER_ALLOWED_PASS, 1);
	expect_count(COUNTER_FINDINGS, 0);
	pass_drop(sb, &key);
	assert_int_equal(try_open(in_fs("bad")), EPERM);
}

static void exclusions_hold_and_exempt_processes_are_let_through(void **state)
{
	char list[128];

	snprintf(list, sizeof(list), "{\"%s/out\"}", fs);
	set("ExcludeDirectory", list);
	start_front(1);
	mkdir(in_fs("out"), 0755);
	put_text(in_fs("out/bad"), marker());
	put_text(in_fs("bad"), marker());
	assert_int_equal(try_open(in_fs("out/bad")), 0);
	assert_int_equal(try_open(in_fs("bad")), EPERM);
	expect_count(COUNTER_ALLOWED_EXCLUDED, 1);
	/* This process is exempt; or it would wait for itself. */
	close(open(in_fs("bad"), O_RDONLY));
	assert_true(count(COUNTER_ALLOWED_EXEMPT) > 0);
}

static void openers_are_judged_by_path_where_that_is_asked_for(void **state)
{
	char list[128];

	snprintf(list, sizeof(list), "{\"%s/in\"}", fs);
	set("Include", list);
	atomic_store(&sb->path_filter, 1);
	start_front(1);
	mkdir(in_fs("in"), 0755);
	put_text(in_fs("in/bad"), marker());
	put_text(in_fs("bad"), marker());
	assert_int_equal(try_open(in_fs("in/bad")), EPERM);
	assert_int_equal(try_open(in_fs("bad")), 0);
	atomic_store(&sb->path_filter, 0);
	assert_int_equal(try_open(in_fs("bad")), EPERM);
}

static void programs_are_excluded_by_the_masters_word(void **state)
{
	struct work_msg msg;
	uint64_t start;
	pid_t opener;
	int slot;

	set("ExcludeExecutable", "{\"/bin/true\"}");
	slot = start_worker(SLOT_FRONT);
	put_text(in_fs("bad"), marker());
	opener = open_later(in_fs("bad"), O_RDONLY);
	assert_true(message_of(slot, &msg, NULL));
	assert_int_equal(msg.kind, WORK_ASK_EXE);
	assert_int_equal(msg.pid, opener);
	msg.kind = WORK_EXE;
	msg.job = 1;
	assert_int_equal(
		fd_send(workers[slot].sock, &msg, sizeof(msg), NULL, 0, 0), 0);
	assert_int_equal(result_of(opener), 0);
	/* A master that says nothing costs 200 ms, then it is scanned. */
	start = clock_mono_ns();
	assert_int_equal(try_open(in_fs("bad")), EPERM);
	assert_true(clock_mono_ns() - start < 2 * CLOCK_NS_PER_S);
	start = clock_mono_ns();
	assert_int_equal(try_open(in_fs("bad")), EPERM);
	assert_true(clock_mono_ns() - start < 150 * CLOCK_NS_PER_MS);
}

static void what_is_no_file_never_hangs_anybody(void **state)
{
	pid_t reader, writer;

	start_front(1);
	mkfifo(in_fs("pipe"), 0666);
	mknod(in_fs("null"), S_IFCHR | 0666, makedev(1, 3));
	reader = open_later(in_fs("pipe"), O_RDONLY);
	writer = open_later(in_fs("pipe"), O_WRONLY);
	assert_int_equal(result_of(reader), 0);
	assert_int_equal(result_of(writer), 0);
	result_of(open_later(in_fs("null"), O_RDONLY));
	assert_int_equal(symlink("nowhere", in_fs("dangling")), 0);
	assert_int_equal(try_open(in_fs("dangling")), ENOENT);
	assert_int_equal(try_open(fs), 0);
	put_text(in_fs("empty"), "");
	assert_int_equal(try_open(in_fs("empty")), 0);
}

static void a_write_lease_does_not_stall_a_worker(void **state)
{
	pid_t holder, opener;
	int ready[2];
	char c;

	start_front(1);
	put_text(in_fs("leased"), "text");
	put_text(in_fs("other"), "text");
	assert_int_equal(pipe(ready), 0);
	holder = fork();
	if (holder == 0) {
		int fd = open(in_fs("leased"), O_RDWR);

		signal(SIGIO, SIG_IGN);
		fcntl(fd, F_SETLEASE, F_WRLCK);
		if (write(ready[1], "x", 1) != 1)
			_exit(1);
		sleep(3);
		_exit(0);
	}
	assert_int_equal(read(ready[0], &c, 1), 1);
	opener = open_later(in_fs("leased"), O_RDONLY | O_NONBLOCK);
	result_of(opener);
	assert_int_equal(try_open(in_fs("other")), 0);
	kill(holder, SIGKILL);
	waitpid(holder, NULL, 0);
	close(ready[0]);
	close(ready[1]);
}

/* ---- remembering ---- */

static void remember(int slot)
{
	struct work_msg msg;

	assert_true(message_of(slot, &msg, NULL));
	assert_int_equal(msg.kind, WORK_REMEMBER);
	assert_int_equal(msg.epoch, 77);
	known_put(known, &msg.key, msg.epoch);
}

/* Nobody waits for the master: it hears of many in one record. */
static void clean_files_are_told_of_together(void **state)
{
	struct work_keys rec;
	int fds[FD_PASS_MAX], nfds, slot;
	uint64_t told = 0, records = 0;
	char name[16];

	set("IgnoreMarks", "off");
	slot = start_worker(SLOT_FRONT);
	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		put_text(in_fs(name), name);
	}
	settle();
	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		assert_int_equal(try_open(in_fs(name)), 0);
	}
	while (told < 100) {
		ssize_t len = fd_recv(workers[slot].sock, &rec, sizeof(rec),
				      fds, &nfds, 0);

		assert_true(len >= (ssize_t)sizeof(rec.first));
		assert_int_equal(rec.first.kind, WORK_REMEMBER);
		assert_int_equal(rec.first.epoch, 77);
		assert_in_range(rec.first.job, 1, WORK_KEYS_MAX);
		assert_int_equal((size_t)len,
				 sizeof(rec.first) + (rec.first.job -
						      1) * sizeof(rec.more[0]));
		told += rec.first.job;
		records++;
	}
	assert_int_equal(told, 100);
	assert_true(records < 50);
}

static void known_files_are_trusted_while_they_cannot_change(void **state)
{
	uint64_t scans;
	int slot, w;

	set("IgnoreMarks", "off");
	slot = start_worker(SLOT_FRONT);
	put_text(in_fs("f"), "known text");
	settle();
	assert_int_equal(try_open(in_fs("f")), 0);
	remember(slot);
	scans = count(COUNTER_SCANS);
	assert_int_equal(try_open(in_fs("f")), 0);
	expect_count(COUNTER_ALLOWED_KNOWN, 1);
	assert_int_equal(count(COUNTER_SCANS), scans);
	/* A writer, then a change. */
	w = open(in_fs("f"), O_RDWR | O_CLOEXEC);
	assert_int_equal(try_open(in_fs("f")), 0);
	assert_int_equal(count(COUNTER_SCANS), scans + 1);
	assert_int_equal(pwrite(w, marker(), strlen(marker()), 0),
			 strlen(marker()));
	assert_int_equal(try_open(in_fs("f")), EPERM);
	close(w);
	assert_int_equal(try_open(in_fs("f")), EPERM);
}

static void what_was_just_written_is_not_remembered(void **state)
{
	struct pollfd p = {.events = POLLIN};
	int slot = start_worker(SLOT_FRONT);

	put_text(in_fs("f"), "fresh");
	assert_int_equal(try_open(in_fs("f")), 0);
	p.fd = workers[slot].sock;
	assert_int_equal(poll(&p, 1, 200), 0);
}

static void ignored_files_are_not_asked_for_until_they_change(void **state)
{
	uint64_t questions;

	set("IgnoreMarks", "system");
	start_front(1);
	put_text(in_fs("sys"), "of root");
	put_text(in_fs("user"), "of all");
	assert_int_equal(chmod(in_fs("user"), 0666), 0);
	settle();
	assert_int_equal(try_open(in_fs("sys")), 0);
	assert_int_equal(try_open(in_fs("user")), 0);
	wait_until(count(COUNTER_MARKED) == 1);
	questions = count(COUNTER_QUESTIONS);
	assert_int_equal(try_open(in_fs("sys")), 0);
	assert_int_equal(count(COUNTER_QUESTIONS), questions);
	assert_int_equal(try_open(in_fs("user")), 0);
	assert_int_equal(count(COUNTER_QUESTIONS), questions + 1);
	put_text(in_fs("sys"), marker());
	assert_int_equal(try_open(in_fs("sys")), EPERM);
}

static void marks_that_only_root_may_set_are_asked_of_the_master(void **state)
{
	struct work_msg msg;
	bool seen = false;
	int slot, fd = -1;

	set("IgnoreMarks", "system");
	slot = start_worker(SLOT_FRONT);
	put_text(in_fs("secret"), "of root");
	assert_int_equal(chmod(in_fs("secret"), 0600), 0);
	settle();
	assert_int_equal(try_open(in_fs("secret")), 0);
	for (int i = 0; i < 2 && !seen; i++) {
		assert_true(message_of(slot, &msg, &fd));
		seen = msg.kind == WORK_MARK;
		if (!seen && fd >= 0)
			close(fd);
	}
	assert_true(seen);
	assert_true(fd >= 0);
	close(fd);
	expect_count(COUNTER_MARKED, 0);
}

static void no_mark_outlives_its_generation(void **state)
{
	set("IgnoreMarks", "all");
	start_front(1);
	put_text(in_fs("f"), "text");
	settle();
	atomic_store(&sb->generation, 2);
	assert_int_equal(try_open(in_fs("f")), 0);
	assert_int_equal(try_open(in_fs("f")), 0);
	expect_count(COUNTER_MARKED, 0);
	expect_count(COUNTER_ALLOWED_CLEAN, 2);
}

/* ---- findings ---- */

static void findings_wait_for_room_and_none_is_lost(void **state)
{
	struct finding f = {.magic = FINDING_MAGIC, .version = FINDING_VERSION};
	struct err err;
	int filler = 0, fd, got = 0;

	while (finding_send(finding_tx, &f, -1, &err) == 0)
		filler++;
	assert_true(filler > 0);
	start_front(1);
	for (int i = 0; i < 10; i++) {
		char name[16];

		snprintf(name, sizeof(name), "bad%d", i);
		put_text(in_fs(name), marker());
		assert_int_equal(try_open(in_fs(name)), EPERM);
	}
	expect_count(COUNTER_FINDINGS_HELD, 10);
	expect_count(COUNTER_FINDINGS, 0);
	while (got < filler + 10 && next_finding(&f, &fd)) {
		char name[16];

		if (got >= filler) {
			snprintf(name, sizeof(name), "bad%d", got - filler);
			assert_string_equal(f.path, in_fs(name));
			assert_true(fd >= 0);
			close(fd);
		}
		got++;
	}
	assert_int_equal(got, filler + 10);
	expect_count(COUNTER_FINDINGS, 10);
	expect_count(COUNTER_FINDINGS_LOST, 0);
}

/* ---- beginning and end ---- */

static void a_drained_worker_ends_when_it_holds_nothing(void **state)
{
	struct work_msg msg = {.kind = WORK_DRAIN};
	pid_t opener;
	int slot = start_worker(SLOT_FRONT), other, status;

	put_slow(in_fs("slow"), 5, false);
	opener = open_later(in_fs("slow"), O_RDONLY);
	wait_until(scanning_slot() == slot);
	atomic_store(&sb->slots[slot].drain, 1);
	assert_int_equal(result_of(opener), 0);
	expect_count(COUNTER_ALLOWED_CLEAN, 1);
	status = bury(slot);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	/* By message too. */
	other = start_worker(SLOT_FRONT);
	fd_send(workers[other].sock, &msg, sizeof(msg), NULL, 0, 0);
	status = bury(other);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void workers_end_with_the_suite(void **state)
{
	int front = start_worker(SLOT_FRONT), back = start_worker(SLOT_BACK);

	atomic_store(&sb->quit, 1);
	assert_int_equal(bury(front), 0);
	assert_int_equal(bury(back), 0);
	atomic_store(&sb->quit, 0);
}

static void workers_outlive_their_master_until_another_serves(void **state)
{
	int slot = start_worker(SLOT_FRONT);

	put_text(in_fs("bad"), marker());
	shutdown(workers[slot].sock, SHUT_RDWR);
	usleep(50000);
	assert_int_equal(try_open(in_fs("bad")), EPERM);
	atomic_store(&sb->master.start, 4711);
	atomic_store(&sb->master_state, MASTER_READY);
	assert_int_equal(bury(slot), 0);
	atomic_store(&sb->master.start, 0);
	atomic_store(&sb->master_state, MASTER_NONE);
}

/* ---- back workers ---- */

static void written_files_are_examined_when_closed(void **state)
{
	struct finding f;
	struct work_msg msg;
	int slot = start_worker(SLOT_BACK);

	run("head -c 2000000 /dev/zero >%s", in_fs("good"));
	/* A large one is scanned when its time is settled, hence remembered. */
	assert_true(message_of(slot, &msg, NULL));
	assert_int_equal(msg.kind, WORK_REMEMBER);
	run("printf '%%s%%s' '%.20s' '%s' >%s", marker(), marker() + 20,
	    in_fs("bad"));
	expect_finding(&f);
	assert_int_equal(f.source, SOURCE_CLOSE);
	assert_int_equal(f.denied, 0);
	assert_string_equal(f.path, in_fs("bad"));
	assert_true(count(COUNTER_CLOSE_EVENTS) >= 2);
}

/* A client's connection, handed to a worker. */
static int connect_job(int slot, uint64_t job)
{
	struct work_msg msg = {.kind = WORK_CLIENT, .job = job};
	int ends[2];

	assert_int_equal(
		socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	assert_int_equal(
		fd_send(workers[slot].sock, &msg, sizeof(msg), &ends[1], 1, 0),
		0);
	close(ends[1]);
	return ends[0];
}

static void request_file(int sock, uint64_t id, const char *path,
			 uint32_t flags)
{
	struct scanjob_request req = {
		.version = SCANJOB_VERSION,
		.kind = SCANJOB_FILE,
		.id = id,
		.flags = flags,
		.source = SOURCE_MANUAL,
		.first_action = ACTION_NONE,
		.second_action = ACTION_NONE,
	};
	int fd = path ? open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK) : -1;

	assert_int_equal(fd_send(sock, &req, sizeof(req), &fd, fd >= 0, 0), 0);
	if (fd >= 0)
		close(fd);
}

/* 1; 0 when the connection was ended. */
static int reply_of(int sock, struct scanjob_reply *r)
{
	struct pollfd p = {.fd = sock, .events = POLLIN};
	int fds[FD_PASS_MAX], nfds;

	if (poll(&p, 1, 10000) <= 0)
		fail_msg("no reply");
	return fd_recv(sock, r, sizeof(*r), fds, &nfds, 0) ==
	       (ssize_t)sizeof(*r);
}

static void jobs_are_served_by_several_workers(void **state)
{
	struct scanjob_request hello = {
		.version = SCANJOB_VERSION,
		.kind = SCANJOB_HELLO,
		.source = SOURCE_MANUAL,
	};
	struct work_msg msg = {.kind = WORK_CLIENT, .job = 5};
	int a = start_worker(SLOT_BACK), b = start_worker(SLOT_BACK), ends[2];
	bool seen[40] = {0};
	struct scanjob_reply r;
	struct finding f;

	assert_int_equal(
		socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	fd_send(workers[a].sock, &msg, sizeof(msg), &ends[1], 1, 0);
	fd_send(workers[b].sock, &msg, sizeof(msg), &ends[1], 1, 0);
	close(ends[1]);
	fd_send(ends[0], &hello, sizeof(hello), NULL, 0, 0);
	assert_int_equal(reply_of(ends[0], &r), 1);
	assert_int_equal(r.kind, SCANJOB_HELLO);
	assert_int_equal(r.workers, 2);
	assert_int_equal(r.job, 5);
	put_slow(in_fs("good"), 1, false);
	put_text(in_fs("bad"), marker());
	for (uint64_t id = 1; id < 40; id++)
		request_file(ends[0], id, in_fs(id == 7 ? "bad" : "good"), 0);
	for (int i = 1; i < 40; i++) {
		assert_int_equal(reply_of(ends[0], &r), 1);
		assert_in_range(r.id, 1, 39);
		assert_false(seen[r.id]);
		seen[r.id] = true;
		assert_int_equal(r.verdict,
				 r.id == 7 ? VERDICT_INFECTED : VERDICT_CLEAN);
		if (r.id == 7)
			assert_string_equal(r.virus, "Splx.Test.Marker");
		else
			assert_int_equal(r.bytes, 1 << 20);
	}
	expect_finding(&f);
	assert_int_equal(f.source, SOURCE_MANUAL);
	assert_int_equal(f.job, 5);
	assert_int_equal(f.first_action, ACTION_NONE);
	assert_true(atomic_load(&sb->slots[a].counters[COUNTER_SCANS]) > 0);
	assert_true(atomic_load(&sb->slots[b].counters[COUNTER_SCANS]) > 0);
	close(ends[0]);
}

static void jobs_use_what_is_known_unless_told_not_to(void **state)
{
	int slot = start_worker(SLOT_BACK), sock = connect_job(slot, 1);
	struct scanjob_reply r;

	put_text(in_fs("f"), "a text");
	settle();
	request_file(sock, 1, in_fs("f"), 0);
	assert_int_equal(reply_of(sock, &r), 1);
	assert_int_equal(r.known, 0);
	remember(slot);
	request_file(sock, 2, in_fs("f"), 0);
	assert_int_equal(reply_of(sock, &r), 1);
	assert_int_equal(r.known, 1);
	request_file(sock, 3, in_fs("f"), SCANJOB_IGNORE_KNOWN);
	assert_int_equal(reply_of(sock, &r), 1);
	assert_int_equal(r.known, 0);
	close(sock);
}

static void requests_that_cannot_be_scanned_are_errors(void **state)
{
	int slot = start_worker(SLOT_BACK), sock = connect_job(slot, 1);
	struct scanjob_request req = {
		.version = SCANJOB_VERSION,
		.kind = SCANJOB_FILE,
		.id = 9,
		.source = SOURCE_MANUAL,
	};
	struct scanjob_reply r;
	int fd;

	request_file(sock, 1, NULL, 0);
	assert_int_equal(reply_of(sock, &r), 1);
	assert_int_equal(r.verdict, VERDICT_ERROR);
	request_file(sock, 2, fs, 0);
	assert_int_equal(reply_of(sock, &r), 1);
	assert_int_equal(r.verdict, VERDICT_ERROR);
	request_file(sock, 3, "/dev/null", 0);
	assert_int_equal(reply_of(sock, &r), 1);
	assert_int_equal(r.verdict, VERDICT_ERROR);
	put_text(in_fs("f"), "text");
	fd = open(in_fs("f"), O_WRONLY | O_CLOEXEC);
	fd_send(sock, &req, sizeof(req), &fd, 1, 0);
	assert_int_equal(reply_of(sock, &r), 1);
	assert_int_equal(r.id, 9);
	assert_int_equal(r.verdict, VERDICT_ERROR);
	close(fd);
	fd = open(in_fs("f"), O_PATH | O_CLOEXEC);
	fd_send(sock, &req, sizeof(req), &fd, 1, 0);
	assert_int_equal(reply_of(sock, &r), 1);
	assert_int_equal(r.verdict, VERDICT_ERROR);
	close(fd);
	close(sock);
}

static void nonsense_ends_its_connection_alone(void **state)
{
	struct scanjob_request bad = {
		.version = SCANJOB_VERSION,
		.kind = SCANJOB_FILE,
		.id = 1,
		.source = SOURCE_MANUAL,
	};
	int slot = start_worker(SLOT_BACK), good = connect_job(slot, 1);
	struct scanjob_reply r;

	for (int i = 0; i < 7; i++) {
		struct scanjob_request req = bad;
		size_t len = sizeof(req);
		int sock = connect_job(slot, 2);

		switch (i) {
		case 0:
			req.version++;
			break;
		case 1:
			req.kind = 99;
			break;
		case 2:
			req.id = 0;
			break;
		case 3:
			req.source = SOURCE_OPEN;
			break;
		case 4:
			req.first_action = 99;
			break;
		case 5:
			memset(req.path, 'x', sizeof(req.path));
			break;
		default:
			len = 3;
		}
		fd_send(sock, &req, len, NULL, 0, 0);
		assert_int_equal(reply_of(sock, &r), 0);
		close(sock);
	}
	put_text(in_fs("f"), "text");
	request_file(good, 1, in_fs("f"), 0);
	assert_int_equal(reply_of(good, &r), 1);
	assert_int_equal(r.verdict, VERDICT_CLEAN);
	close(good);
}

static void a_client_that_reads_nothing_stops_nobody(void **state)
{
	int slot = start_worker(SLOT_BACK), deaf = connect_job(slot, 1);
	int sock = connect_job(slot, 2), sent = 0;
	struct scanjob_reply r;

	put_text(in_fs("f"), "text");
	/* The replies fill its receiving side. */
	for (; sent < 2000; sent++) {
		struct scanjob_request req = {
			.version = SCANJOB_VERSION,
			.kind = SCANJOB_FILE,
			.id = (uint64_t)sent + 1,
			.source = SOURCE_MANUAL,
		};

		if (fd_send(deaf, &req, sizeof(req), NULL, 0, MSG_DONTWAIT) < 0)
			break;
		if (sent % 20 == 0)
			usleep(1000);
	}
	request_file(sock, 1, in_fs("f"), 0);
	assert_int_equal(reply_of(sock, &r), 1);
	assert_int_equal(r.verdict, VERDICT_CLEAN);
	/* And when it reads at last it gets every answer. */
	for (int i = 0; i < sent; i++) {
		assert_int_equal(reply_of(deaf, &r), 1);
		assert_int_equal(r.id, i + 1);
	}
	close(deaf);
	close(sock);
}

static void the_master_finds_whose_request_a_worker_died_on(void **state)
{
	int slot = start_worker(SLOT_BACK), sock = connect_job(slot, 33);

	put_slow(in_fs("slow"), 12, false);
	request_file(sock, 77, in_fs("slow"), 0);
	wait_until(scanning_slot() == slot);
	assert_true(atomic_load(&sb->slots[slot].job) == 33);
	assert_true(atomic_load(&sb->slots[slot].job_request) == 77);
	close(sock);
}

/* ---- walls: tried from inside ---- */

/* Runs fn behind the walls. Returns the wait status. */
static int behind_walls(int (*fn)(void))
{
	int slot = scoreboard_claim(sb, SLOT_FRONT), status;
	char *jail = jail_of(slot);
	struct worker_setup s;
	pid_t pid;

	mkdir(jail, 0755);
	xfree(&jail);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct err err;

		setup_of(&s, slot, SLOT_FRONT);
		/* Any socket: so it leaves the terminal. */
		s.log_sock = dup(finding_tx);
		become_worker(&s);
		if (worker_own_descriptors(&s, &err) < 0 ||
		    worker_walls(&s, &err) < 0)
			_exit(99);
		_exit(fn());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	scoreboard_release(sb, slot);
	return status;
}

static int do_nothing(void)
{
	return 42;
}

static int do_socket(void)
{
	socket(AF_INET, SOCK_STREAM, 0);
	return 0;
}

static int do_unix_socket(void)
{
	socket(AF_UNIX, SOCK_STREAM, 0);
	return 0;
}

static int do_exec(void)
{
	execl("/bin/sh", "sh", "-c", "true", NULL);
	return 0;
}

static int do_fork(void)
{
	return fork() < 0;
}

static int do_kill(void)
{
	kill(getppid(), 0);
	return 0;
}

static int do_tgkill(void)
{
	return (int)syscall(SYS_tgkill, 1, 1, 0);
}

static int do_ptrace(void)
{
	return (int)ptrace(PTRACE_ATTACH, 1, 0, 0);
}

static int do_vm_read(void)
{
	char c;
	struct iovec iov = {.iov_base = &c, .iov_len = 1};

	return (int)process_vm_readv(1, &iov, 1, &iov, 1, 0);
}

static int do_mount(void)
{
	return mount("tmpfs", "/tmp", "tmpfs", 0, NULL);
}

static int do_setuid(void)
{
	return setuid(0);
}

static int do_chroot(void)
{
	return chroot("..");
}

static int do_unshare(void)
{
	return unshare(CLONE_NEWUSER);
}

static int do_bpf(void)
{
	return (int)syscall(SYS_bpf, 0, NULL, 0);
}

static int do_io_uring(void)
{
	return (int)syscall(425 /* io_uring_setup */, 8, NULL);
}

static int do_by_handle(void)
{
	return (int)syscall(SYS_open_by_handle_at, -1, NULL, 0);
}

static void forbidden_calls_kill_the_worker(void **state)
{
	static const struct {
		const char *name;
		int (*fn)(void);
	} tries[] = {
		{"socket(inet)", do_socket},
		{"socket(unix)", do_unix_socket},
		{"exec", do_exec},
		{"fork", do_fork},
		{"kill", do_kill},
		{"tgkill", do_tgkill},
		{"ptrace", do_ptrace},
		{"process_vm_readv", do_vm_read},
		{"mount", do_mount},
		{"setuid", do_setuid},
		{"chroot", do_chroot},
		{"unshare", do_unshare},
		{"bpf", do_bpf},
		{"io_uring_setup", do_io_uring},
		{"open_by_handle_at", do_by_handle},
	};
	int status = behind_walls(do_nothing);

	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 42);
	for (size_t i = 0; i < sizeof(tries) / sizeof(tries[0]); i++) {
		status = behind_walls(tries[i].fn);
		if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGSYS)
			fail_msg("%s: status %#x", tries[i].name, status);
	}
}

static int can_open(const char *path, int flags)
{
	int fd = open(path, flags, 0600);

	if (fd < 0)
		return 0;
	close(fd);
	return 1;
}

/* Each bit of the status is a way out that was open. */
static int reach_for_files(void)
{
	char up[128] = "";

	for (int i = 0; i < 20; i++)
		strcat(up, "../");
	strcat(up, "etc/passwd");
	return can_open("/etc/passwd", O_RDONLY) << 0 |
	       can_open(up, O_RDONLY) << 1 |
	       can_open("/proc/1/environ", O_RDONLY) << 2 |
	       can_open("/new", O_WRONLY | O_CREAT) << 3 |
	       (mkdir("/dir", 0700) == 0) << 4 |
	       can_open("/proc/self/mem", O_RDWR) << 5 |
	       can_open("/proc/sys/kernel/core_pattern", O_RDONLY) << 6 |
	       can_open("/dev/null", O_RDWR) << 7;
}

static int fill_scratch(void)
{
	static char block[1 << 16];
	int fd = open("/tmp/fill", O_WRONLY | O_CREAT, 0600);
	uint64_t n = 0;
	ssize_t rc;

	if (fd < 0)
		return 1;
	while ((rc = write(fd, block, sizeof(block))) > 0)
		n += (uint64_t)rc;
	if (errno != EFBIG && errno != ENOSPC)
		return 2;
	return n <= conf->scratch_size ? 42 : 3;
}

static int keep_one_capability(void)
{
	char buf[4096], *at;
	int fd = open("/proc/self/status", O_RDONLY);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, sizeof(buf) - 1);

	if (n <= 0 || getuid() != SCAN_UID || geteuid() != SCAN_UID)
		return 1;
	buf[n] = '\0';
	at = strstr(buf, "CapEff:");
	return at && strtoull(at + 7, NULL, 16) == 1ull << CAP_LEASE ? 42 : 2;
}

/* What libclamav asks for, when nothing can be loaded any more. */
static int convert_charsets(void)
{
	char in[] = "\x83\x41", out[8];
	char *from = in, *to = out;
	size_t left = 2, room = sizeof(out);
	iconv_t ic = iconv_open("UTF-16BE", "SHIFT_JIS");

	if (ic == (iconv_t)-1 ||
	    iconv_open("UTF-8", "WINDOWS-1251") == (iconv_t)-1)
		return 1;
	if (iconv(ic, &from, &left, &to, &room) == (size_t)-1)
		return 2;
	return out[0] == 0x30 && (unsigned char)out[1] == 0xa2 ? 42 : 3;
}

static int list_descriptors(void)
{
	/* Beyond those that belong to it, nothing of the parent's. */
	for (int fd = 3; fd < 2048; fd++) {
		struct stat st;

		if (fstat(fd, &st) < 0)
			continue;
		if (S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3))
			continue;
		if (fd < WORKER_FLOOR)
			return 1;
	}
	return 42;
}

static void nothing_outside_its_scratch_can_be_reached(void **state)
{
	int status;

	set("ScratchSize", "16M");
	status = behind_walls(reach_for_files);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		fail_msg("a way out: status %#x", status);
	status = behind_walls(fill_scratch);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 42);
	status = behind_walls(keep_one_capability);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 42);
	status = behind_walls(convert_charsets);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 42);
	status = behind_walls(list_descriptors);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 42);
}

/* ---- */

static int set_up_group(void **state)
{
	struct err err;

	signal(SIGPIPE, SIG_IGN);
	alarm(300);
	assert_non_null(mkdtemp(root));
	chmod(root, 0755);
	snprintf(fs, sizeof(fs), "%s/fs", root);
	mkdir(fs, 0755);
	paths_init(root);
	run("mkdir -p %s && cp etc/patterns/* %s && mkdir -p %s",
	    paths()->builtin_dir, paths()->builtin_dir, paths()->pattern_dir);
	run("sigtool --md5 %s/clam.exe >%s/clam.hdb", TESTFILES,
	    paths()->pattern_dir);
	conf = conf_new();
	engine = engine_new(conf, &err);
	if (!engine)
		fail_msg("%s", err.text);
	return 0;
}

static int tear_down_group(void **state)
{
	engine_free(&engine);
	conf_free(&conf);
	run("rm -rf %s", root);
	return 0;
}

static void fresh_scoreboard(void)
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

static int set_up(void **state)
{
	int ends[2];
	struct err err;

	conf_free(&conf);
	conf = conf_new();
	set("IgnoreMarks", "off");
	assert_int_equal(mount("tmpfs", fs, "tmpfs", 0, "size=256m"), 0);
	fresh_scoreboard();
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

static int tear_down(void **state)
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		FRONT(infected_is_denied_and_clean_is_allowed),
		FRONT(every_test_file_is_scanned_behind_the_walls),
		FRONT(many_openers_cause_one_scan),
		FRONT(parked_openers_survive_their_scanner),
		FRONT(a_file_that_ended_two_workers_is_not_fed),
		FRONT(a_finding_after_the_timeout_is_late),
		FRONT(policies_decide_where_no_verdict_is),
		FRONT(pass_allows_and_reports),
		FRONT(a_restored_file_passes_without_a_word),
		FRONT(exclusions_hold_and_exempt_processes_are_let_through),
		FRONT(openers_are_judged_by_path_where_that_is_asked_for),
		FRONT(programs_are_excluded_by_the_masters_word),
		FRONT(what_is_no_file_never_hangs_anybody),
		FRONT(a_write_lease_does_not_stall_a_worker),
		FRONT(clean_files_are_told_of_together),
		FRONT(known_files_are_trusted_while_they_cannot_change),
		FRONT(what_was_just_written_is_not_remembered),
		FRONT(ignored_files_are_not_asked_for_until_they_change),
		FRONT(marks_that_only_root_may_set_are_asked_of_the_master),
		FRONT(no_mark_outlives_its_generation),
		FRONT(findings_wait_for_room_and_none_is_lost),
		FRONT(a_drained_worker_ends_when_it_holds_nothing),
		FRONT(workers_end_with_the_suite),
		FRONT(workers_outlive_their_master_until_another_serves),
		BACK(written_files_are_examined_when_closed),
		BACK(jobs_are_served_by_several_workers),
		BACK(jobs_use_what_is_known_unless_told_not_to),
		BACK(requests_that_cannot_be_scanned_are_errors),
		BACK(nonsense_ends_its_connection_alone),
		BACK(a_client_that_reads_nothing_stops_nobody),
		BACK(the_master_finds_whose_request_a_worker_died_on),
		BACK(forbidden_calls_kill_the_worker),
		BACK(nothing_outside_its_scratch_can_be_reached),
	};

	return cmocka_run_group_tests(tests, set_up_group, tear_down_group);
}
