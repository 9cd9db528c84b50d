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
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "common/paths.h"
#include "lib/clock.h"
#include "lib/fdutil.h"
#include "lib/proc.h"
#include "lib/str.h"

#define ROUNDS 4
#define END_WAIT_MS 200
#define OWN_MAX 4

struct file_id {
	dev_t dev;
	ino_t ino;
};

struct search {
	struct file_id file;
	const struct holders_spare *spare;
	struct file_id own[OWN_MAX]; /* our programs */
	int owns;
	struct holders *found;
	size_t names_len;
};

/*
 * AT_STATX_DONT_SYNC: what others hold may lie on a file system whose server
 * does not answer; what the kernel knows is enough.
 */
static bool identify(int dir, const char *name, struct file_id *id_r)
{
	struct statx sx;

	if (statx(dir, name, AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT, STATX_INO,
		  &sx) < 0)
		return false;
	id_r->dev = makedev(sx.stx_dev_major, sx.stx_dev_minor);
	id_r->ino = sx.stx_ino;
	return true;
}

static bool same_id(const struct file_id *a, const struct file_id *b)
{
	return a->dev == b->dev && a->ino == b->ino;
}

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
	if (s->owns < OWN_MAX && identify(AT_FDCWD, path, &s->own[s->owns]))
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

static bool is_spared(const struct search *s, pid_t pid, int dir)
{
	struct file_id exe;

	if (pid == 1 || pid == getpid())
		return true;
	for (int i = 0; i < s->spare->count; i++)
		if (s->spare->pids[i] == pid)
			return true;
	if (!identify(dir, "exe", &exe))
		return false;
	for (int i = 0; i < s->owns; i++)
		if (same_id(&exe, &s->own[i]))
			return true;
	return false;
}

/* ---- who holds it ---- */

static bool links_to(const struct search *s, int dir, const char *links)
{
	int fd = openat(dir, links, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *de;
	struct file_id id;
	bool found = false;

	if (!d) {
		fd_close(&fd);
		return false;
	}
	while (!found && (de = readdir(d)))
		found = de->d_name[0] != '.' &&
			identify(dirfd(d), de->d_name, &id) &&
			same_id(&id, &s->file);
	closedir(d);
	return found;
}

static bool holds(const struct search *s, int dir)
{
	struct file_id exe;

	return (identify(dir, "exe", &exe) && same_id(&exe, &s->file)) ||
	       links_to(s, dir, "fd") || links_to(s, dir, "map_files");
}

static void note_name(struct search *s, int dir, pid_t pid)
{
	struct holders *h = s->found;
	char comm[32] = "?", entry[64];
	int fd = openat(dir, "comm", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, comm, sizeof(comm) - 1);

	fd_close(&fd);
	if (n > 0) {
		comm[n] = '\0';
		comm[strcspn(comm, "\n")] = '\0';
	}
	snprintf(entry, sizeof(entry), "%s%s (%d)", h->ended > 1 ? ", " : "",
		 comm, pid);
	if (s->names_len + strlen(entry) + 5 < sizeof(h->names))
		s->names_len += (size_t)snprintf(
			h->names + s->names_len,
			sizeof(h->names) - s->names_len, "%s", entry);
	else if (!str_ends(h->names, "…"))
		snprintf(h->names + s->names_len,
			 sizeof(h->names) - s->names_len, "…");
}

/* So that the next round does not meet it again. */
static void wait_for_end(int pidfd)
{
	struct pollfd p = {.fd = pidfd, .events = POLLIN};

	poll(&p, 1, END_WAIT_MS);
}

/* True when one was ended: then another round looks for its children. */
static bool end_if_holder(struct search *s, pid_t pid)
{
	struct proc_id id;
	char path[32];
	bool ended = false;
	int pidfd, dir;

	/* The pidfd first: what is looked at afterwards is that process, or
	 * the signal finds it gone. */
	if (proc_identify(pid, &id) < 0 || (pidfd = proc_pidfd(&id)) < 0)
		return false;
	snprintf(path, sizeof(path), "/proc/%d", pid);
	dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir >= 0 && holds(s, dir)) {
		if (is_spared(s, pid, dir)) {
			s->found->spared++;
		} else if (proc_signal(pidfd, SIGKILL) == 0) {
			s->found->ended++;
			note_name(s, dir, pid);
			ended = true;
			wait_for_end(pidfd);
		}
	}
	fd_close(&dir);
	fd_close(&pidfd);
	return ended;
}

static bool round_once(struct search *s)
{
	DIR *proc = opendir("/proc");
	struct dirent *de;
	bool any = false;
	pid_t pid;

	if (!proc)
		return false;
	s->found->spared = 0;
	while ((de = readdir(proc))) {
		pid = atoi(de->d_name);
		if (pid > 0 && end_if_holder(s, pid))
			any = true;
	}
	closedir(proc);
	return any;
}

void holders_end(const struct stat *file, const struct holders_spare *spare,
		 struct holders *holders_r)
{
	struct search s = {
		.file = {file->st_dev, file->st_ino},
		.spare = spare,
		.found = holders_r,
	};

	memset(holders_r, 0, sizeof(*holders_r));
	own_programs(&s);
	for (int i = 0; i < ROUNDS && round_once(&s); i++)
		;
}

bool holders_is_ours(pid_t pid)
{
	struct search s = {0};
	struct file_id exe;
	char path[40];

	own_programs(&s);
	snprintf(path, sizeof(path), "/proc/%d/exe", pid);
	if (!identify(AT_FDCWD, path, &exe))
		return false;
	for (int i = 0; i < s.owns; i++)
		if (same_id(&exe, &s.own[i]))
			return true;
	return false;
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
	    start_real_ns(id.start) > when_ns + 20 * 1000 * 1000)
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
