/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/*
 * What the kernel module and its peers add to an open, a read and a spawn,
 * counted in instructions: for a machine of one processor whose time is made
 * of the instructions it executes (QEMU's -icount), and nowhere else.
 *
 *   rounds MODULE.ko ROUNDS STATE...   measures the states in turn, each round
 *
 *   bare       no module, no listener
 *   idle       the module is loaded, was armed and is disarmed again
 *   ftrace, fsnotify   armed by that method, on everything, with a rule of
 *              each kind that never applies
 *   fanotify   a permission mark on the file system, and an ignore mark on
 *              each file that was allowed, as the suite's fanotify mode has
 *   clamonacc  whatever watches /clam already
 *
 * Questions are answered here, by a process of its own that looks at nothing
 * and allows all. For each state it says a line of JSON for each load:
 *
 *   known  open and close of a file that is known to be clean
 *   read   1 MiB in reads of 4 KiB, of a known file
 *   spawn  vfork, exec and end of a known, static program
 *   first  open and close of files never seen before, which are remembered
 *   asked  open and close of a file that is asked about each time
 *
 * each: instructions for one, over all; p50: the median of the single ones.
 * That a known file is asked about by nobody, and a new one once, is checked.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fanotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../../khm/uapi/splxmod.h"

#define CLAM_DIR "/clam"
#define OWN_DIR "/measured"
#define SPAWNED "spawned"
#define MOST 4000 /* of one load */

/* Between the openers and who answers them. */
struct shared {
	_Atomic unsigned long questions;
	_Atomic bool remember;
	_Atomic bool ready;
};

static struct shared *sh;
static const char *module_file;
static double per_tick; /* instructions */
static int control = -1;
static pid_t answerer;

#define check(what)                                                            \
	do {                                                                   \
		if (!(what))                                                   \
			die(__LINE__, #what);                                  \
	} while (0)

static void die(int line, const char *what)
{
	printf("rounds.c:%d: not so: %s (%s)\n", line, what, strerror(errno));
	fflush(stdout);
	if (answerer > 0)
		kill(answerer, SIGKILL);
	_exit(1);
}

static uint64_t ticks(void)
{
	uint32_t low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high) : : "memory");
	return (uint64_t)high << 32 | low;
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/*
 * How many instructions a tick of the processor's clock is. Where time is
 * something else no two runs of the same loop take equally long.
 */
static void calibrate(void)
{
	enum { TURNS = 9, LOOPS = 200000 };
	uint64_t took[TURNS];

	for (int i = 0; i < TURNS; i++) {
		unsigned long n = LOOPS;
		uint64_t begin = ticks();

		__asm__ volatile("1: dec %0\n\tjnz 1b" : "+r"(n) : : "cc");
		took[i] = ticks() - begin;
	}
	qsort(took, TURNS, sizeof(took[0]), compare);
	check(took[TURNS / 2] - took[0] <= took[0] / 10000);
	per_tick = 2.0 * LOOPS / (double)took[0];
}

/* ---- files ---- */

static void make_file(const char *dir, const char *name, size_t size, int mode)
{
	static char text[4096];
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
	check(fd >= 0);
	for (size_t done = 0; done < size; done += sizeof(text)) {
		snprintf(text, sizeof(text), "%s %zu is clean\n", path, done);
		check(write(fd, text, sizeof(text)) == sizeof(text));
	}
	close(fd);
}

static void copy_program(const char *dir)
{
	char path[256];
	struct stat st;
	int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC), to;
	off_t at = 0;

	snprintf(path, sizeof(path), "%s/" SPAWNED, dir);
	unlink(path);
	to = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
	check(from >= 0 && to >= 0 && !fstat(from, &st));
	while (at < st.st_size) {
		char buf[65536];
		ssize_t n = pread(from, buf, sizeof(buf), at);

		check(n > 0 && write(to, buf, (size_t)n) == n);
		at += n;
	}
	close(from);
	close(to);
}

static void make_files(const char *dir, unsigned int new_files)
{
	char name[32];

	make_file(dir, "known", 4096, 0644);
	make_file(dir, "asked", 4096, 0644);
	make_file(dir, "mib", 1 << 20, 0644);
	copy_program(dir);
	for (unsigned int i = 0; i < new_files; i++) {
		snprintf(name, sizeof(name), "%u", i);
		make_file(dir, name, 4096, 0644);
	}
	usleep(100000); /* no longer within the tick of the last change */
}

/* ---- who answers ---- */

static void answer_module(void)
{
	struct splxmod_reader_setup setup = {
		.classes = SPLXMOD_OPEN | SPLXMOD_EXEC,
	};
	struct splxmod_event e[16];
	int fd = open("/dev/" SPLXMOD_NAME, O_RDWR | O_CLOEXEC);
	ssize_t n;

	check(fd >= 0 && !ioctl(fd, SPLXMOD_IOC_READER, &setup));
	sh->ready = true;
	while ((n = read(fd, e, sizeof(e))) > 0) {
		for (size_t i = 0; i < (size_t)n / sizeof(e[0]); i++) {
			struct splxmod_verdict v = {
				.id = e[i].id,
				.epoch = 1,
				.verdict = SPLXMOD_ALLOW,
				.flags = sh->remember ? SPLXMOD_REMEMBER : 0,
			};

			check(e[i].fd >= 0);
			close(e[i].fd);
			sh->questions++;
			check(write(fd, &v, sizeof(v)) == sizeof(v));
		}
	}
	die(__LINE__, "read");
}

static void answer_fanotify(void)
{
	const uint64_t mask = FAN_OPEN_PERM | FAN_OPEN_EXEC_PERM;
	int group = fanotify_init(FAN_CLASS_CONTENT | FAN_CLOEXEC |
					  FAN_UNLIMITED_MARKS,
				  O_RDONLY | O_CLOEXEC | O_NOATIME);
	char buf[4096] __attribute__((aligned(8)));
	ssize_t n;

	check(group >= 0);
	check(!fanotify_mark(group, FAN_MARK_ADD | FAN_MARK_FILESYSTEM, mask,
			     AT_FDCWD, OWN_DIR));
	sh->ready = true;
	while ((n = read(group, buf, sizeof(buf))) > 0) {
		const struct fanotify_event_metadata *m = (void *)buf;

		for (; FAN_EVENT_OK(m, n); m = FAN_EVENT_NEXT(m, n)) {
			struct fanotify_response r = {
				.fd = m->fd,
				.response = FAN_ALLOW,
			};

			if (sh->remember)
				check(!fanotify_mark(
					group,
					FAN_MARK_ADD | FAN_MARK_IGNORED_MASK,
					mask, m->fd, NULL));
			close(m->fd);
			sh->questions++;
			check(write(group, &r, sizeof(r)) == sizeof(r));
		}
	}
	die(__LINE__, "read");
}

static void answer_by(void (*how)(void))
{
	sh->ready = false;
	answerer = fork();
	check(answerer >= 0);
	if (answerer == 0) {
		answerer = -1;
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		how();
	}
	while (!sh->ready) {
		check(waitpid(answerer, NULL, WNOHANG) == 0);
		usleep(10000);
	}
}

static void answer_no_more(void)
{
	if (answerer <= 0)
		return;
	kill(answerer, SIGKILL);
	check(waitpid(answerer, NULL, 0) == answerer);
	answerer = 0;
}

/* ---- the module ---- */

static void arming(unsigned long command)
{
	static struct splxmod_arming a;

	memset(&a, 0, sizeof(a));
	if (ioctl(control, command, &a)) {
		printf("%s", a.report);
		die(__LINE__, "arming or disarming");
	}
}

/* What no file, user or program here has. */
static void set_rules(void)
{
	struct splxmod_rule rule[] = {
		{.kind = SPLXMOD_RULE_EXE, .dev = 1, .ino = 4711},
		{.kind = SPLXMOD_RULE_UID, .ino = 4711},
		{.kind = SPLXMOD_RULE_FSTYPE, .text = "none"},
		{.kind = SPLXMOD_RULE_DEV, .dev = 4711},
		{.kind = SPLXMOD_RULE_DIRECTORY,
		 .dev = 1,
		 .ino = 4711,
		 .text = "/none/there"},
	};
	struct splxmod_rules rules = {
		.count = sizeof(rule) / sizeof(rule[0]),
		.rules = (uintptr_t)rule,
	};

	check(!ioctl(control, SPLXMOD_IOC_RULES, &rules));
}

static void module_load(void)
{
	int fd = open(module_file, O_RDONLY | O_CLOEXEC);

	check(fd >= 0 && !syscall(SYS_finit_module, fd, "", 0));
	close(fd);
	control = open("/dev/" SPLXMOD_NAME, O_RDWR | O_CLOEXEC);
	check(control >= 0);
}

static void module_arm(enum splxmod_method method)
{
	struct splxmod_config c = {
		.classes = SPLXMOD_OPEN | SPLXMOD_EXEC,
		.method = method,
		.flags = SPLXMOD_CACHE,
		.verdict_timeout_ms = 60000,
		.max_pending = 1024,
		.max_close = 1024,
		.breaker_timeouts = 1000,
		.breaker_retry_ms = 1000,
		.epoch = 1,
	};

	module_load();
	check(!ioctl(control, SPLXMOD_IOC_CONFIG, &c));
	set_rules();
	answer_by(answer_module);
	arming(SPLXMOD_IOC_ARM);
}

static void module_leave(void)
{
	close(control);
	control = -1;
	check(!syscall(SYS_delete_module, SPLXMOD_NAME, O_NONBLOCK));
}

static void module_disarm(void)
{
	arming(SPLXMOD_IOC_DISARM);
	answer_no_more();
}

/* ---- states ---- */

static void begin_idle(void)
{
	module_arm(SPLXMOD_METHOD_FTRACE);
	module_disarm();
	close(control);
	control = -1;
}
static void begin_ftrace(void)
{
	module_arm(SPLXMOD_METHOD_FTRACE);
}
static void begin_fsnotify(void)
{
	module_arm(SPLXMOD_METHOD_FSNOTIFY);
}
static void begin_fanotify(void)
{
	answer_by(answer_fanotify);
}
static void end_armed(void)
{
	module_disarm();
	module_leave();
}

struct state {
	const char *name;
	void (*begin)(void);
	void (*end)(void);
	bool asks; /* our answerer */
	bool slow;
};
static const struct state states[] = {
	{.name = "bare"},
	{.name = "idle", .begin = begin_idle, .end = module_leave},
	{.name = "ftrace",
	 .begin = begin_ftrace,
	 .end = end_armed,
	 .asks = true},
	{.name = "fsnotify",
	 .begin = begin_fsnotify,
	 .end = end_armed,
	 .asks = true},
	{.name = "fanotify",
	 .begin = begin_fanotify,
	 .end = answer_no_more,
	 .asks = true},
	{.name = "clamonacc", .slow = true},
};

/* ---- loads ---- */

static int one_open(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	return fd < 0 ? -1 : close(fd);
}

static int one_read(const char *path)
{
	char buf[4096];
	ssize_t n;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -1;
	while ((n = read(fd, buf, sizeof(buf))) > 0)
		;
	close(fd);
	return (int)n;
}

static int one_spawn(const char *path)
{
	int status = 0;
	pid_t pid = vfork();

	if (pid == 0) {
		execl(path, SPAWNED, (char *)NULL);
		_exit(127);
	}
	return waitpid(pid, &status, 0) == pid ? status : -1;
}

struct load {
	const char *name;
	const char *file; /* NULL: 0, 1, 2, … */
	int (*one)(const char *path);
	unsigned int n, n_slow; /* how many are measured; 0: none */
	bool forgets;		/* no answer is remembered */
};
static const struct load loads[] = {
	{"known", "known", one_open, MOST, 40, false},
	{"read", "mib", one_read, 10, 1, false},
	{"spawn", SPAWNED, one_spawn, 60, 10, false},
	{"first", NULL, one_open, 500, 20, false},
	{"asked", "asked", one_open, 500, 0, true},
};
#define NEW_FILES 500
#define NEW_FILES_SLOW 20

static void measure(const struct state *state, const struct load *load,
		    const char *dir, unsigned int round)
{
	unsigned int n = state->slow ? load->n_slow : load->n;
	static uint64_t took[MOST];
	unsigned long before;
	uint64_t begin, middle, total;
	char path[256];

	if (!n)
		return;
	sh->remember = !load->forgets;
	snprintf(path, sizeof(path), "%s/%s", dir, load->file ?: "0");
	for (int i = 0; load->file && i < 3; i++)
		check(load->one(path) == 0);
	before = sh->questions;
	total = ticks();
	for (unsigned int i = 0; i < n; i++) {
		if (!load->file)
			snprintf(path, sizeof(path), "%s/%u", dir, i);
		begin = ticks();
		if (load->one(path))
			die(__LINE__, path);
		took[i] = ticks() - begin;
	}
	total = ticks() - total;
	check(sh->questions - before ==
	      (state->asks && (load->forgets || !load->file) ? n : 0));
	qsort(took, n, sizeof(took[0]), compare);
	middle = took[n / 2];
	printf("{\"round\": %u, \"state\": \"%s\", \"load\": \"%s\", "
	       "\"n\": %u, \"each\": %.1f, \"p50\": %.0f}\n",
	       round, state->name, load->name, n, (double)total * per_tick / n,
	       (double)middle * per_tick);
	fflush(stdout);
}

/* Its files are there before it begins, so that they are new to it. What the
 * state leaves on a file system goes with that. */
static void run(const struct state *state, unsigned int round)
{
	const char *dir = state->slow ? CLAM_DIR : OWN_DIR;

	if (!state->slow)
		check(!mount("measured", dir, "tmpfs", 0, "mode=755"));
	make_files(dir, state->slow ? NEW_FILES_SLOW : NEW_FILES);
	if (state->begin)
		state->begin();
	for (size_t i = 0; i < sizeof(loads) / sizeof(loads[0]); i++)
		measure(state, &loads[i], dir, round);
	if (state->end)
		state->end();
	if (!state->slow)
		check(!umount(dir));
}

static const struct state *state_named(const char *name)
{
	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++)
		if (!strcmp(states[i].name, name))
			return &states[i];
	errno = EINVAL;
	die(__LINE__, name);
	return NULL;
}

int main(int argc, char **argv)
{
	unsigned int rounds;

	if (!strcmp(argv[0], SPAWNED))
		return 0;
	if (argc < 4) {
		fprintf(stderr, "rounds: see its first comment\n");
		return 2;
	}
	module_file = argv[1];
	rounds = (unsigned int)atoi(argv[2]);
	sh = mmap(NULL, sizeof(*sh), PROT_READ | PROT_WRITE,
		  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	check(sh != MAP_FAILED);
	mkdir(OWN_DIR, 0755);
	calibrate();
	for (unsigned int r = 0; r < rounds; r++)
		for (int i = 3; i < argc; i++)
			run(state_named(argv[i]), r);
	return 0;
}
