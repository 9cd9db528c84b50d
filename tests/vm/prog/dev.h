/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef TESTS_VM_DEV_H
#define TESTS_VM_DEV_H

/*
 * For programs that try /dev/splxmod: checks, the device, readers and openers
 * as processes of their own. Only files below DIR are asked about, so that the
 * machine itself goes on whatever happens.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../../../khm/uapi/splxmod.h"

#define DEVICE "/dev/" SPLXMOD_NAME
#define DIR "/mnt/asked"
#define UNUSED __attribute__((unused))

#define die(...) die_at(__FILE__, __LINE__, __VA_ARGS__)
#define check(what)                                                            \
	do {                                                                   \
		if (!(what))                                                   \
			die("not so: %s", #what);                              \
	} while (0)
#define equal(got, wanted)                                                     \
	do {                                                                   \
		long long got_ = (got), wanted_ = (wanted);                    \
		if (got_ != wanted_)                                           \
			die("%s is %lld, not %lld", #got, got_, wanted_);      \
	} while (0)

static pid_t started[4096]; /* children that are to be killed at the end */
static unsigned int started_count;

UNUSED static void end_children(void)
{
	for (unsigned int i = 0; i < started_count; i++)
		if (started[i] > 0) {
			kill(started[i], SIGKILL);
			kill(started[i], SIGCONT);
			waitpid(started[i], NULL, 0);
		}
	started_count = 0;
}

__attribute__((format(printf, 3, 4), noreturn)) UNUSED static void die_at(
	const char *file, int line, const char *fmt, ...)
{
	int err = errno;
	va_list ap;

	va_start(ap, fmt);
	printf("%s:%d: ", file, line);
	vprintf(fmt, ap);
	printf(" (errno %d, %s)\n", err, strerror(err));
	va_end(ap);
	fflush(stdout);
	_exit(1);
}

UNUSED static long now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

UNUSED static void sleep_ms(long ms)
{
	struct timespec t = {ms / 1000, ms % 1000 * 1000000};

	while (nanosleep(&t, &t) && errno == EINTR)
		;
}

/* ---- files ---- */

UNUSED static const char *path_of(const char *name)
{
	static _Thread_local char path[4][256];
	static _Thread_local unsigned int turn;

	turn = (turn + 1) % 4;
	snprintf(path[turn], sizeof(path[turn]), "%s/%s", DIR, name);
	return path[turn];
}

/* The first letter is what our readers find: 'D' denied, else allowed. A new
 * file: to write to an old one would be asked about. */
UNUSED static void file_make(const char *path, const char *content)
{
	int fd;

	unlink(path);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
	check(fd >= 0);
	equal(write(fd, content, strlen(content)), strlen(content));
	close(fd);
}

/* ---- the device ---- */

UNUSED static struct splxmod_config conf = {
	.classes = SPLXMOD_OPEN | SPLXMOD_EXEC,
	.verdict_timeout_ms = 20000,
	.max_pending = 1024,
	.max_close = 1024,
	.breaker_timeouts = 1000,
	.breaker_retry_ms = 600000,
	.epoch = 1,
};

UNUSED static int control; /* a controller's descriptor */

UNUSED static void configure(void)
{
	equal(ioctl(control, SPLXMOD_IOC_CONFIG, &conf), 0);
}

UNUSED static int arming(unsigned long cmd)
{
	static struct splxmod_arming a;
	int ret;

	memset(&a, 0, sizeof(a));
	ret = ioctl(control, cmd, &a);
	if (ret)
		printf("%s", a.report);
	return ret;
}

UNUSED static void only_dir(void)
{
	struct splxmod_rule rule = {.kind = SPLXMOD_RULE_ONLY_DEV};
	struct splxmod_rules rules = {.count = 1,
				      .rules = (unsigned long)&rule};
	struct stat st;

	equal(stat(DIR, &st), 0);
	rule.dev = st.st_dev;
	equal(ioctl(control, SPLXMOD_IOC_RULES, &rules), 0);
}

UNUSED static void begin(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	mkdir(DIR, 0755);
	check(!mount("asked", DIR, "tmpfs", 0, NULL));
	control = open(DEVICE, O_RDWR | O_CLOEXEC);
	check(control >= 0);
	only_dir();
	configure();
	equal(arming(SPLXMOD_IOC_ARM), 0);
}

UNUSED static void end(void)
{
	end_children();
	equal(arming(SPLXMOD_IOC_DISARM), 0);
	/* what a case did not close pins the mount */
	for (int fd = 3; fd < 1024; fd++)
		close(fd);
	check(!umount(DIR));
}

UNUSED static struct splxmod_status status(void)
{
	struct splxmod_status s;

	equal(ioctl(control, SPLXMOD_IOC_STATUS, &s), 0);
	return s;
}
#define counter(id) (status().counter[SPLXMOD_COUNT_##id])

/* ---- waiting for something to come true ---- */

#define eventually(what)                                                       \
	do {                                                                   \
		long until_ = now_ms() + 15000;                                \
		while (!(what)) {                                              \
			if (now_ms() > until_)                                 \
				die("does not come true: %s", #what);          \
			sleep_ms(5);                                           \
		}                                                              \
	} while (0)

/* ---- readers ---- */

UNUSED static int reader_open(__u32 classes)
{
	struct splxmod_reader_setup setup = {.classes = classes};
	int fd = open(DEVICE, O_RDWR | O_CLOEXEC);

	check(fd >= 0);
	equal(ioctl(fd, SPLXMOD_IOC_READER, &setup), 0);
	return fd;
}

UNUSED static struct splxmod_event event_read(int fd)
{
	struct splxmod_event ev;

	equal(read(fd, &ev, sizeof(ev)), sizeof(ev));
	equal(ev.len, sizeof(ev));
	equal(ev.abi, SPLXMOD_ABI);
	check(ev.id);
	return ev;
}

UNUSED static struct splxmod_verdict event_judge(const struct splxmod_event *ev)
{
	struct splxmod_verdict v = {.id = ev->id, .epoch = conf.epoch};
	char first = 0;

	if (ev->fd >= 0 && pread(ev->fd, &first, 1, 0) == 1 && first == 'D')
		v.verdict = SPLXMOD_DENY;
	else if (conf.flags & SPLXMOD_CACHE)
		v.flags = SPLXMOD_REMEMBER;
	return v;
}

/* 0 or -errno. */
UNUSED static int verdict_write(int fd, const struct splxmod_verdict *v)
{
	ssize_t n = write(fd, v, sizeof(*v));

	return n < 0 ? -errno : n == sizeof(*v) ? 0 : -EIO;
}

UNUSED static int event_answer(int fd, const struct splxmod_event *ev)
{
	struct splxmod_verdict v = event_judge(ev);

	if (ev->fd >= 0)
		close(ev->fd);
	return verdict_write(fd, &v);
}

/* What a reader that serves does with each. */
struct serving {
	__u32 classes;
	long delay_ms;
	unsigned int number; /* ends after so many; 0: goes on */
};

UNUSED static void serve(int fd, const struct serving *how)
{
	for (unsigned int n = 0; !how->number || n < how->number; n++) {
		struct splxmod_event ev = event_read(fd);
		int err;

		if (how->delay_ms)
			sleep_ms(how->delay_ms);
		err = event_answer(fd, &ev);
		check(!err || err == -ESTALE);
	}
}

UNUSED static pid_t child_start(void (*run)(void *arg), void *arg)
{
	pid_t pid;

	fflush(stdout);
	pid = fork();
	check(pid >= 0);
	if (!pid) {
		run(arg);
		fflush(stdout);
		_exit(0);
	}
	check(started_count < sizeof(started) / sizeof(*started));
	started[started_count++] = pid;
	return pid;
}

/* The child's status: how it exited, or 1000 + the signal. */
UNUSED static int child_wait(pid_t pid)
{
	int st;

	equal(waitpid(pid, &st, 0), pid);
	for (unsigned int i = 0; i < started_count; i++)
		if (started[i] == pid)
			started[i] = started[--started_count];
	return WIFEXITED(st) ? WEXITSTATUS(st) : 1000 + WTERMSIG(st);
}

UNUSED static void child_kill(pid_t pid)
{
	kill(pid, SIGKILL);
	equal(child_wait(pid), 1000 + SIGKILL);
}

UNUSED static void reader_run(void *arg)
{
	const struct serving *how = arg;
	int fd;

	close(control);
	fd = reader_open(how->classes ?: conf.classes);
	serve(fd, how);
}

/* A process that serves; it is there when this returns. */
UNUSED static pid_t reader_start(struct serving how)
{
	unsigned int before = status().readers;
	pid_t pid = child_start(reader_run, &how);

	eventually(status().readers > before);
	return pid;
}

/* Stands still when this returns: it takes nothing any more. */
UNUSED static void reader_stop(pid_t reader)
{
	int how;

	kill(reader, SIGSTOP);
	equal(waitpid(reader, &how, WUNTRACED), reader);
	check(WIFSTOPPED(how));
}

static void holder_run(void *arg)
{
	unsigned int n = *(unsigned int *)arg;
	int fd;

	close(control);
	fd = reader_open(conf.classes);
	while (n--)
		event_read(fd);
	for (;;)
		pause();
}

/* A process that takes so many and answers none. */
UNUSED static pid_t holder_start(unsigned int n)
{
	unsigned int before = status().readers;
	pid_t pid = child_start(holder_run, &n);

	eventually(status().readers > before);
	return pid;
}

/* ---- openers ---- */

static void opener_run(void *arg)
{
	int fd = open(arg, O_RDONLY | O_CLOEXEC);

	_exit(fd >= 0 ? 0 : errno);
}

/* A process that opens a file and ends with the errno of that. */
UNUSED static pid_t opener_start(const char *path)
{
	return child_start(opener_run, (void *)path);
}

/* 0 or the errno. */
UNUSED static int open_once(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return errno;
	close(fd);
	return 0;
}

/* All ways out are counted once. */
UNUSED static void check_sum(void)
{
	struct splxmod_status s = status();
	static const int out[] = {
		SPLXMOD_COUNT_ALLOWED,	SPLXMOD_COUNT_DENIED,
		SPLXMOD_COUNT_KILLED,	SPLXMOD_COUNT_TIMEOUT,
		SPLXMOD_COUNT_BREAKER,	SPLXMOD_COUNT_FULL,
		SPLXMOD_COUNT_GAVE_UP,	SPLXMOD_COUNT_NO_READER,
		SPLXMOD_COUNT_RELEASED,
	};
	__u64 sum = 0;

	for (size_t i = 0; i < sizeof(out) / sizeof(*out); i++)
		sum += s.counter[out[i]];
	equal(sum,
	      s.counter[SPLXMOD_COUNT_ASKED] + s.counter[SPLXMOD_COUNT_JOINED]);
	equal(s.pending, 0);
}

/* ---- what is known, or a rule ---- */

/* Files made less than a tick ago are not remembered. */
#define SETTLE 100

UNUSED static void remember(void)
{
	conf.flags = SPLXMOD_CACHE;
	configure();
	reader_start((struct serving){0});
}

/* A file that readers allow, and that is known from now on. */
UNUSED static const char *known_file(const char *name)
{
	const char *path = path_of(name);

	file_make(path, "clean");
	sleep_ms(SETTLE);
	equal(open_once(path), 0);
	eventually(status().cached == 1);
	return path;
}

UNUSED static void file_write(int fd, const char *content)
{
	equal(pwrite(fd, content, strlen(content), 0), strlen(content));
}

UNUSED static void rule(struct splxmod_rule one)
{
	struct splxmod_rules rules = {
		.count = 1,
		.rules = (unsigned long)&one,
	};

	equal(ioctl(control, SPLXMOD_IOC_RULES, &rules), 0);
}

UNUSED static int exempt(pid_t pid, __u32 flags)
{
	struct splxmod_exempt_setup setup = {.pid = pid, .flags = flags};

	return ioctl(control, SPLXMOD_IOC_EXEMPT, &setup) ? errno : 0;
}

/* ---- cases ---- */

struct test_case {
	const char *name;
	void (*run)(void);
};
#define CASE(name)                                                             \
	{                                                                      \
#name, name                                                    \
	}

/* main(): runs the case that is named, with the module armed; without a name
 * lists them. */
UNUSED static int run_case(const struct test_case *cases, size_t count,
			   int argc, char **argv)
{
	for (size_t i = 0; i < count; i++) {
		if (argc < 2) {
			puts(cases[i].name);
		} else if (!strcmp(argv[1], cases[i].name)) {
			alarm(120);
			begin();
			cases[i].run();
			end_children();
			check_sum();
			end();
			return 0;
		}
	}
	if (argc >= 2)
		die("no case %s", argv[1]);
	return 0;
}

#endif
