// SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
/*
 * Drives splxmod for the tests of its hook, with nothing of the suite:
 *
 *  khmctl arm METHOD CLASSES    configures and arms; says the report
 *  khmctl again                 arms once more, as it is configured
 *  khmctl disarm [passive]
 *  khmctl status                one "name value" a line
 *  khmctl serve METHOD CLASSES [readers N] [delay MS] [timeout MS] [closed]
 *               [only PATH]
 *      arms, answers until SIGTERM, disarms. A file that begins with DENY, or
 *      ends with hook's mark, is denied. With a PATH it is asked about files
 *      on that file system alone. With "closed" every way out by policy ends
 *      in EPERM. Says "ready" once it answers, and each question on a line of
 *      its own: "open|exec|close PATH PID".
 *  khmctl hold SECONDS          holds a descriptor of the device open
 *  khmctl open FILE             opens and closes it
 *  khmctl inotify DIR           watches it for a moment; how many ms that took
 *  khmctl cycle N METHOD CLASSES   arms and disarms so often
 *
 * METHOD: auto ftrace fsnotify. CLASSES: of the letters o(pen) e(xec)
 * c(lose). Ends with the errno of what failed.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "../../../khm/uapi/splxmod.h"

struct options {
	uint32_t method;
	uint32_t classes;
	int readers;
	int delay_ms;
	int timeout_ms;
	bool closed;
	const char *only;
};

static int control = -1;

static void fail(const char *what)
{
	int error = errno;

	fprintf(stderr, "khmctl: %s: %s\n", what, strerror(error));
	exit(error);
}

static int device(void)
{
	int fd = open("/dev/splxmod", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		fail("open(/dev/splxmod)");
	return fd;
}

/* ---- arming ---- */

static void restrict_to(const char *path)
{
	struct splxmod_rule rule = {.kind = SPLXMOD_RULE_ONLY_DEV};
	struct splxmod_rules rules = {
		.count = path ? 1 : 0,
		.rules = (uintptr_t)&rule,
	};
	struct stat st;

	if (path) {
		if (stat(path, &st))
			fail(path);
		rule.dev = st.st_dev;
	}
	if (ioctl(control, SPLXMOD_IOC_RULES, &rules))
		fail("RULES");
}

static void configure(const struct options *o)
{
	struct splxmod_config c = {
		.classes = o->classes,
		.method = o->method,
		.deny = o->closed ? SPLXMOD_DENY_ERROR | SPLXMOD_DENY_TIMEOUT |
					    SPLXMOD_DENY_FULL
				  : 0,
		.verdict_timeout_ms = o->timeout_ms,
		.max_pending = 1024,
		.max_close = 1024,
		.breaker_timeouts = 1000,
		.breaker_retry_ms = 1000,
		.epoch = 1,
	};

	if (ioctl(control, SPLXMOD_IOC_CONFIG, &c))
		fail("CONFIG");
	restrict_to(o->only);
}

/* 0 or the errno; says method, number of rivals and report. */
static int arming(unsigned long command, uint32_t flags)
{
	static struct splxmod_arming a;
	int error = 0;

	memset(&a, 0, sizeof(a));
	a.flags = flags;
	if (ioctl(control, command, &a))
		error = errno;
	printf("method %u rivals %u\n%s", a.method, a.rivals, a.report);
	if (error)
		printf("error %s\n", strerror(error));
	fflush(stdout);
	return error;
}

static void status(void)
{
	static const char *const names[] = {
#define NAME(id, name, text) name,
		SPLXMOD_COUNTERS(NAME)
#undef NAME
	};
	struct splxmod_status s;

	if (ioctl(control, SPLXMOD_IOC_STATUS, &s))
		fail("STATUS");
	printf("state %u\nmethod %u\nreaders %u\npending %u\nmarked %u\n"
	       "closes_waiting %u\n",
	       s.state, s.method, s.readers, s.pending, s.marked, s.closes);
	for (unsigned int i = 0; i < s.counters && i < SPLXMOD_COUNTS; i++)
		printf("%s %llu\n", names[i], (unsigned long long)s.counter[i]);
}

/* ---- answering ---- */

/* Begins with DENY, or ends with the mark of hook. */
static uint32_t verdict_on(const struct splxmod_event *e)
{
	static const char mark[] = "SPLX-HOOK-DENY-ME";
	const size_t n = sizeof(mark) - 1;
	char part[sizeof(mark)];

	if (e->fd < 0)
		return SPLXMOD_ALLOW;
	if (pread(e->fd, part, 4, 0) == 4 && !memcmp(part, "DENY", 4))
		return SPLXMOD_DENY;
	if (e->size >= n && pread(e->fd, part, n, e->size - n) == (ssize_t)n &&
	    !memcmp(part, mark, n))
		return SPLXMOD_DENY;
	return SPLXMOD_ALLOW;
}

static void say(const struct splxmod_event *e)
{
	char link[32], path[4096];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", e->fd);
	n = readlink(link, path, sizeof(path) - 1);
	path[n < 0 ? 0 : n] = 0;
	printf("%s %s %d\n",
	       e->kind == SPLXMOD_EXEC	  ? "exec"
	       : e->kind == SPLXMOD_CLOSE ? "close"
					  : "open",
	       path, e->pid);
}

static void *reader(void *arg)
{
	const struct options *o = arg;
	struct splxmod_reader_setup setup = {.classes = o->classes};
	struct splxmod_event e;
	int fd = device();

	if (ioctl(fd, SPLXMOD_IOC_READER, &setup))
		fail("READER");
	while (read(fd, &e, sizeof(e)) == sizeof(e)) {
		struct splxmod_verdict v = {
			.id = e.id,
			.epoch = 1,
			.verdict = verdict_on(&e),
		};

		if (o->delay_ms)
			usleep(o->delay_ms * 1000);
		say(&e);
		if (e.fd >= 0)
			close(e.fd);
		if (write(fd, &v, sizeof(v)) < 0 && errno != ESTALE &&
		    errno != ENOENT)
			fail("write");
	}
	fail("read");
	return NULL;
}

static int serve(struct options *o)
{
	pthread_t thread;
	sigset_t end;
	int got, error;

	setvbuf(stdout, NULL, _IOLBF, 0);
	sigemptyset(&end);
	sigaddset(&end, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &end, NULL);
	for (int i = 0; i < o->readers; i++)
		if (pthread_create(&thread, NULL, reader, o))
			fail("thread");
	error = arming(SPLXMOD_IOC_ARM, 0);
	if (error)
		return error;
	printf("ready\n");
	sigwait(&end, &got);
	return arming(SPLXMOD_IOC_DISARM, 0);
}

/* The end of a group waits for what fsnotify is in the middle of. */
static int inotify(const char *dir)
{
	struct timespec begin, end;
	int fd = inotify_init1(IN_CLOEXEC);

	if (fd < 0 || inotify_add_watch(fd, dir, IN_OPEN) < 0)
		fail("inotify");
	clock_gettime(CLOCK_MONOTONIC, &begin);
	close(fd);
	clock_gettime(CLOCK_MONOTONIC, &end);
	printf("%ld\n", (end.tv_sec - begin.tv_sec) * 1000 +
				(end.tv_nsec - begin.tv_nsec) / 1000000);
	return 0;
}

static int cycle(int times)
{
	int error = 0;

	if (!freopen("/dev/null", "w", stdout))
		fail("/dev/null");
	for (int i = 0; i < times && !error; i++) {
		error = arming(SPLXMOD_IOC_ARM, 0);
		if (!error)
			error = arming(SPLXMOD_IOC_DISARM, 0);
		if (error)
			fprintf(stderr, "khmctl: cycle %d: %s\n", i,
				strerror(error));
	}
	return error;
}

/* ---- command line ---- */

static uint32_t classes_of(const char *letters)
{
	return (strchr(letters, 'o') ? SPLXMOD_OPEN : 0) |
	       (strchr(letters, 'e') ? SPLXMOD_EXEC : 0) |
	       (strchr(letters, 'c') ? SPLXMOD_CLOSE : 0);
}

static uint32_t method_of(const char *name)
{
	if (!strcmp(name, "ftrace"))
		return SPLXMOD_METHOD_FTRACE;
	if (!strcmp(name, "fsnotify"))
		return SPLXMOD_METHOD_FSNOTIFY;
	return SPLXMOD_METHOD_AUTO;
}

static void parse(struct options *o, int argc, char **argv)
{
	o->method = method_of(argv[0]);
	o->classes = classes_of(argv[1]);
	for (int i = 2; i < argc; i++) {
		if (!strcmp(argv[i], "closed"))
			o->closed = true;
		else if (i + 1 < argc && !strcmp(argv[i], "only"))
			o->only = argv[++i];
		else if (i + 1 < argc && !strcmp(argv[i], "readers"))
			o->readers = atoi(argv[++i]);
		else if (i + 1 < argc && !strcmp(argv[i], "delay"))
			o->delay_ms = atoi(argv[++i]);
		else if (i + 1 < argc && !strcmp(argv[i], "timeout"))
			o->timeout_ms = atoi(argv[++i]);
	}
}

int main(int argc, char **argv)
{
	struct options o = {.readers = 2, .timeout_ms = 5000};
	const char *verb = argc > 1 ? argv[1] : "";

	if (!strcmp(verb, "open") && argc > 2)
		return open(argv[2], O_RDONLY | O_CLOEXEC) < 0 ? errno : 0;
	if (!strcmp(verb, "inotify") && argc > 2)
		return inotify(argv[2]);
	control = device();
	if (!strcmp(verb, "status")) {
		status();
		return 0;
	}
	if (!strcmp(verb, "again"))
		return arming(SPLXMOD_IOC_ARM, 0);
	if (!strcmp(verb, "disarm"))
		return arming(SPLXMOD_IOC_DISARM,
			      argc > 2 ? SPLXMOD_DISARM_PASSIVE : 0);
	if (!strcmp(verb, "hold") && argc > 2)
		return sleep(atoi(argv[2]));
	if (!strcmp(verb, "cycle") && argc > 4) {
		parse(&o, argc - 3, argv + 3);
		configure(&o);
		return cycle(atoi(argv[2]));
	}
	if (argc > 3) {
		parse(&o, argc - 2, argv + 2);
		configure(&o);
		if (!strcmp(verb, "arm"))
			return arming(SPLXMOD_IOC_ARM, 0);
		if (!strcmp(verb, "serve"))
			return serve(&o);
	}
	fprintf(stderr, "khmctl: see its first comment\n");
	return EINVAL;
}
