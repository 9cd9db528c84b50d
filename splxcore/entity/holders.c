/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "holders.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/paths.h"
#include "holds.h"
#include "lib/clock.h"
#include "lib/fdutil.h"
#include "lib/proc.h"
#include "lib/str.h"

#define ROUNDS 4
#define END_WAIT_MS 500
#define OWN_MAX 4
#define PF_KTHREAD 0x00200000u /* of the kernel's sched.h */

struct search {
	struct file_id file;
	enum holders_whom whom;
	const struct holders_spare *spare;
	struct file_id own[OWN_MAX]; /* our programs */
	int owns;
	struct holders *found;
};

/* ---- whom to spare ---- */

static void spare_add(struct holders_spare *spare, pid_t pid)
{
	if (pid > 0 && spare->count < HOLDERS_SPARE_MAX)
		spare->pids[spare->count++] = pid;
}

void holders_spare(struct holders_spare *spare, const struct scoreboard *sb)
{
	spare->count = 0;
	spare_add(spare, 1);
	spare_add(spare, getpid());
	spare_add(spare, getppid());
	if (!sb)
		return;
	spare_add(spare, atomic_load(&sb->supervisor.pid));
	spare_add(spare, atomic_load(&sb->core.pid));
	spare_add(spare, atomic_load(&sb->master.pid));
	for (int i = 0; i < SCOREBOARD_EXEMPT; i++)
		spare_add(spare, atomic_load(&sb->exempt[i]));
}

static void own_add(struct search *s, const char *path)
{
	if (s->owns < OWN_MAX &&
	    holds_identify(AT_FDCWD, path, &s->own[s->owns]))
		s->owns++;
}

static void own_programs(struct search *s)
{
	struct str path = {0};

	own_add(s, "/proc/self/exe");
	str_addf(&path, "%s/entity", paths()->libexec_dir);
	own_add(s, str_get(&path));
	str_clear(&path);
	str_addf(&path, "%s/vsapiapp", paths()->libexec_dir);
	own_add(s, str_get(&path));
	str_free(&path);
}

static bool runs_ours(const struct search *s, int dir)
{
	struct file_id exe;

	if (!holds_identify(dir, "exe", &exe))
		return false;
	for (int i = 0; i < s->owns; i++)
		if (holds_same(&exe, &s->own[i]))
			return true;
	return false;
}

/* It has no program; what it holds it holds for somebody else. */
static bool is_kernel_thread(int dir)
{
	int fd = openat(dir, "stat", O_RDONLY | O_CLOEXEC);
	unsigned int flags = 0;
	char text[512];
	const char *end;
	ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);

	fd_close(&fd);
	text[n > 0 ? n : 0] = '\0';
	end = strrchr(text, ')'); /* a name may hold anything */
	return end &&
	       sscanf(end, ") %*c %*d %*d %*d %*d %*d %u", &flags) == 1 &&
	       (flags & PF_KTHREAD);
}

/* Why it must not be ended; NULL: it may be. */
static const char *why_spared(const struct search *s, pid_t pid, int dir)
{
	if (pid == 1)
		return "init";
	if (is_kernel_thread(dir))
		return "the kernel's";
	for (int i = 0; i < s->spare->count; i++)
		if (s->spare->pids[i] == pid)
			return "ours";
	return NULL;
}

/* ---- ending ---- */

static void note(struct holders_names *names, int dir, pid_t pid,
		 const char *more)
{
	char comm[32] = "?", entry[80];
	int fd = openat(dir, "comm", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, comm, sizeof(comm) - 1);
	size_t len = strlen(names->text);

	fd_close(&fd);
	if (n > 0) {
		comm[n] = '\0';
		comm[strcspn(comm, "\n")] = '\0';
	}
	snprintf(entry, sizeof(entry), "%s%s (%d%s%s)",
		 names->count++ ? ", " : "", comm, pid, more ? ", " : "",
		 more ? more : "");
	if (str_ends(names->text, "…"))
		return;
	snprintf(names->text + len, sizeof(names->text) - len, "%s",
		 len + strlen(entry) + 5 < sizeof(names->text) ? entry : "…");
}

/* So that the next round does not meet it again. */
static bool has_ended(int pidfd)
{
	struct pollfd p = {.fd = pidfd, .events = POLLIN};

	return poll(&p, 1, END_WAIT_MS) > 0;
}

static bool to_be_ended(const struct search *s, enum holds how)
{
	return (s->whom == HOLDERS_RUNNING && how == HOLDS_RUNS) ||
	       (s->whom == HOLDERS_HOLDING && how >= HOLDS_OPEN);
}

/* How many there are, and would be ended; ends none. */
static bool count(struct search *s, pid_t pid, int pidfd, int dir)
{
	(void)pidfd;
	if (is_kernel_thread(dir) || runs_ours(s, dir))
		return false;
	s->found->processes++;
	if (to_be_ended(s, holds_file(dir, pid, &s->file)))
		s->found->users++;
	return false;
}

/* True when one was ended: then another round looks for its children. */
static bool deal_with(struct search *s, pid_t pid, int pidfd, int dir)
{
	enum holds how = holds_file(dir, pid, &s->file);
	struct holders *h = s->found;
	const char *why;

	/* We hold it ourselves, to examine it and to do this. */
	if (how == HOLDS_NOT || pid == getpid() || runs_ours(s, dir))
		return false;
	if (how == HOLDS_UNKNOWN) {
		note(&h->unseen, dir, pid, NULL);
		return false;
	}
	why = why_spared(s, pid, dir);
	if (why) {
		note(&h->spared, dir, pid, why);
		return false;
	}
	if (!to_be_ended(s, how)) {
		note(&h->left, dir, pid, NULL);
		return false;
	}
	if (proc_signal(pidfd, SIGKILL))
		return false;
	if (has_ended(pidfd)) {
		note(&h->ended, dir, pid, NULL);
		return true;
	}
	note(&h->stuck, dir, pid, NULL);
	return false;
}

typedef bool visit(struct search *s, pid_t pid, int pidfd, int dir);

static bool look_at(struct search *s, pid_t pid, visit *verb)
{
	char path[32];
	bool ended = false;
	int dir, pidfd;

	/* The pidfd first: what is looked at afterwards is that process, or
	 * the signal finds it gone. */
	pidfd = proc_pidfd_now(pid);
	if (pidfd < 0)
		return false;
	snprintf(path, sizeof(path), "/proc/%d", pid);
	dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir >= 0)
		ended = verb(s, pid, pidfd, dir);
	fd_close(&dir);
	fd_close(&pidfd);
	return ended;
}

static bool all_processes(struct search *s, visit *verb)
{
	DIR *proc = opendir("/proc");
	struct dirent *de;
	bool any = false;
	pid_t pid;

	if (!proc)
		return false;
	while ((de = readdir(proc))) {
		pid = atoi(de->d_name);
		if (pid > 0 && look_at(s, pid, verb))
			any = true;
	}
	closedir(proc);
	return any;
}

static bool round_once(struct search *s)
{
	static const struct holders_names none;
	struct holders *h = s->found;

	/* Whoever is still there is met again. */
	h->spared = h->left = h->stuck = h->unseen = none;
	return all_processes(s, deal_with);
}

/*
 * What process 1 runs, or has mapped to run, is what the machine runs on: to
 * end all that use the C library would be the end of the machine.
 */
static bool init_runs_it(const struct search *s)
{
	int dir = open("/proc/1", O_PATH | O_DIRECTORY | O_CLOEXEC);
	bool runs = dir >= 0 && holds_file(dir, 1, &s->file) == HOLDS_RUNS;

	fd_close(&dir);
	return runs;
}

void holders_end(const struct stat *file, enum holders_whom whom,
		 const struct holders_spare *spare, struct holders *holders_r)
{
	struct search s = {
		.file = {file->st_dev, file->st_ino},
		.whom = whom,
		.spare = spare,
		.found = holders_r,
	};

	memset(holders_r, 0, sizeof(*holders_r));
	own_programs(&s);
	holders_r->init_runs = init_runs_it(&s);
	all_processes(&s, count);
	holders_r->too_many = holders_r->users >= HOLDERS_FEW &&
			      holders_r->users > holders_r->processes / 2;
	if (holders_r->init_runs || holders_r->too_many)
		s.whom = HOLDERS_NOBODY;
	for (int i = 0; i < ROUNDS && round_once(&s); i++)
		;
}

bool holders_is_ours(pid_t pid)
{
	struct search s = {0};
	char path[40];
	bool ours;
	int dir;

	own_programs(&s);
	snprintf(path, sizeof(path), "/proc/%d", pid);
	dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	ours = dir >= 0 && runs_ours(&s, dir);
	fd_close(&dir);
	return ours;
}

/* ---- who opened it ---- */

/* When the process with that start began, CLOCK_REALTIME. */
static int64_t start_real_ns(uint64_t start_ticks)
{
	struct timespec boot;
	int64_t hz = sysconf(_SC_CLK_TCK);

	clock_gettime(CLOCK_BOOTTIME, &boot);
	return clock_real_ns() - clock_timespec_ns(&boot) +
	       (int64_t)start_ticks * ((int64_t)CLOCK_NS_PER_S / hz);
}

static int64_t real_uid(pid_t pid)
{
	char path[40], line[256];
	unsigned int uid;
	int64_t found = -1;
	FILE *in;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	in = fopen(path, "re");
	if (!in)
		return -1;
	while (found < 0 && fgets(line, sizeof(line), in))
		if (sscanf(line, "Uid: %u", &uid) == 1)
			found = uid;
	fclose(in);
	return found;
}

bool holders_opener(pid_t pid, int64_t when_ns, char *program, size_t size,
		    int64_t *uid_r)
{
	struct proc_id id, after;
	dev_t dev;
	ino_t ino;

	program[0] = '\0';
	*uid_r = -1;
	/* A start is told in ticks: one of them is the slack. */
	if (pid <= 0 || proc_identify(pid, &id) < 0 ||
	    start_real_ns(id.start) - 20 * 1000 * 1000 > when_ns)
		return false;
	if (proc_exe(pid, program, size, &dev, &ino) < 0)
		program[0] = '\0';
	*uid_r = real_uid(pid);
	if (proc_identify(pid, &after) == 0 && after.start == id.start)
		return true;
	program[0] = '\0';
	*uid_r = -1;
	return false;
}
