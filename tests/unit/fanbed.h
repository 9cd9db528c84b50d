/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef TESTS_UNIT_FANBED_H
#define TESTS_UNIT_FANBED_H

/*
 * A tmpfs of the test's own, the only thing that is ever marked, and
 * processes that open files on it. Whatever goes wrong, the test program
 * ends by alarm(), its children by PR_SET_PDEATHSIG; with the last holder of
 * the group the kernel lets everybody go on.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/clock.h"

#define BED_FILES 16
#define BED_USER 61184 /* owns nothing */

struct opener {
	_Atomic int done;
	int error; /* errno of open(), 0 when it succeeded */
	uint64_t waited_ms;
	pid_t pid;
};

struct bed {
	char dir[64];
	struct opener *openers; /* shared with the children */
};

/* Ends the program after a minute. Its mounts are in a namespace of their own
 * and go with it. */
static inline void bed_watchdog(void)
{
	alarm(60);
	if (unshare(CLONE_NEWNS) == 0)
		mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
}

static inline const char *bed_file(const struct bed *bed, int i)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/file%d", bed->dir, i);
	return path;
}

/* False where this cannot be done (not root); then a test skips. */
static inline int bed_up(struct bed *bed)
{
	strcpy(bed->dir, "/tmp/splx-bed-XXXXXX");
	if (!mkdtemp(bed->dir))
		return 0;
	if (mount("tmpfs", bed->dir, "tmpfs", 0, "size=16m,mode=0755") < 0) {
		rmdir(bed->dir);
		return 0;
	}
	for (int i = 0; i < BED_FILES; i++) {
		int fd = open(bed_file(bed, i), O_WRONLY | O_CREAT, 0644);

		if (fd < 0 || write(fd, "content\n", 8) != 8)
			abort();
		close(fd);
	}
	bed->openers =
		mmap(NULL, BED_FILES * sizeof(struct opener),
		     PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return 1;
}

static inline void bed_down(struct bed *bed)
{
	munmap(bed->openers, BED_FILES * sizeof(struct opener));
	if (umount2(bed->dir, MNT_DETACH) == 0)
		rmdir(bed->dir);
}

/* A child that lives no longer than the test. */
static inline pid_t bed_fork(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		alarm(30);
	}
	return pid;
}

/* A process that opens file i; waits before it while *gate is 0. */
static inline pid_t bed_opener_gated(struct bed *bed, int i, _Atomic int *gate)
{
	struct opener *o = &bed->openers[i];
	uint64_t start;
	pid_t pid;
	int fd;

	memset(o, 0, sizeof(*o));
	pid = bed_fork();
	if (pid) {
		o->pid = pid;
		return pid;
	}
	while (gate && !atomic_load(gate))
		usleep(500);
	start = clock_mono_ns();
	fd = open(bed_file(bed, i), O_RDONLY | O_CLOEXEC);
	o->error = fd < 0 ? errno : 0;
	o->waited_ms = (clock_mono_ns() - start) / CLOCK_NS_PER_MS;
	atomic_store(&o->done, 1);
	_exit(0);
}

static inline pid_t bed_opener(struct bed *bed, int i)
{
	return bed_opener_gated(bed, i, NULL);
}

static inline int bed_done(const struct bed *bed, int i)
{
	return atomic_load(&bed->openers[i].done);
}

static inline void bed_reap(pid_t pid)
{
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

static inline void bed_kill(pid_t pid)
{
	kill(pid, SIGKILL);
	bed_reap(pid);
}

#endif
