// SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/fdutil.h"
#include "lib/log.h"
#include "lib/sandbox.h"
#include "scratch.h"
#include "worker_in.h"

/* Inside the jail. */
#define TMP "/tmp"

/*
 * What a worker calls: its own loop, then what libclamav needs for its
 * scratch files. Nothing that makes a socket, a process or a program, or
 * reaches another process.
 */
static const char *const allowed[] = {
	/* the loop and its messages */
	"read",
	"write",
	"writev",
	"epoll_wait",
	"epoll_pwait",
	"epoll_ctl",
	"poll",
	"ppoll",
	"recvmsg",
	"sendmsg",
	"sendto",
	"clock_gettime",
	"clock_nanosleep",
	"nanosleep",
	"gettimeofday",
	"time",
	/* events and files */
	"fanotify_mark",
	"fstat",
	"newfstatat",
	"fstatfs",
	"name_to_handle_at",
	"readlink",
	"readlinkat",
	"fcntl",
	"close",
	"pread64",
	"lseek",
	/* scratch files; Landlock says where */
	"open",
	"openat",
	"stat",
	"lstat",
	"statx",
	"access",
	"faccessat",
	"faccessat2",
	"mkdir",
	"mkdirat",
	"rmdir",
	"unlink",
	"unlinkat",
	"rename",
	"renameat",
	"renameat2",
	"getdents64",
	"ftruncate",
	"pwrite64",
	"readv",
	"fsync",
	"dup",
	"dup2",
	"dup3",
	"umask",
	"chmod",
	"fchmod",
	"fchmodat",
	"getcwd",
	/* memory */
	"brk",
	"mmap",
	"munmap",
	"mprotect",
	"madvise",
	/* itself */
	"getpid",
	"gettid",
	"getuid",
	"geteuid",
	"getgid",
	"getegid",
	"getpriority",
	"getrandom",
	"sched_yield",
	"futex",
	"set_robust_list",
	"rt_sigaction",
	"rt_sigprocmask",
	"rt_sigreturn",
	"sigaltstack",
	"restart_syscall",
	"rseq",
	"exit",
	"exit_group",
};

/* close_range(2); kernels before 5.9 do without. */
static void close_between(unsigned int first, unsigned int last)
{
#ifdef SYS_close_range
	if (syscall(SYS_close_range, first, last, 0) == 0)
		return;
#endif
	for (unsigned int fd = first; fd <= last; fd++)
		close((int)fd);
}

static int by_number(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

/* All descriptors from 3 up but keep[n]. */
static void close_others(int *keep, size_t n)
{
	struct rlimit lim;
	unsigned int from = 3, top = 65536;

	if (getrlimit(RLIMIT_NOFILE, &lim) == 0 && lim.rlim_cur < top)
		top = (unsigned int)lim.rlim_cur;
	qsort(keep, n, sizeof(*keep), by_number);
	for (size_t i = 0; i < n; i++) {
		if (keep[i] < (int)from)
			continue;
		if (keep[i] > (int)from)
			close_between(from, (unsigned int)keep[i] - 1);
		from = (unsigned int)keep[i] + 1;
	}
	if (from < top)
		close_between(from, top - 1);
}

/* A worker has nothing to read from, and nothing to say to, a terminal. */
static int leave_terminal(struct err *err)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null < 0)
		return err_set(err, errno, "open(/dev/null)");
	for (int fd = 0; fd <= 2; fd++)
		if (fd != null && dup2(null, fd) < 0)
			return err_set(err, errno, "dup2(/dev/null, %d)", fd);
	if (null > 2)
		close(null);
	return 0;
}

int worker_own_descriptors(struct worker_setup *s, struct err *err)
{
	int *own[] = {&s->sb_readonly,	&s->group,	 &s->notify,  &s->khm,
		      &s->finding_sock, &s->master_sock, &s->log_sock};
	int keep[sizeof(own) / sizeof(own[0])];
	size_t n = 0;

	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
		if (*own[i] < 0)
			continue;
		if (*own[i] < WORKER_FLOOR) {
			int moved = fd_move(*own[i], WORKER_FLOOR);

			if (moved < 0)
				return err_set(err, errno,
					       "moving a descriptor above %d",
					       WORKER_FLOOR);
			*own[i] = moved;
		}
		keep[n++] = *own[i];
	}
	close_others(keep, n);
	if (s->log_sock >= 0 && leave_terminal(err) < 0)
		return -1;
	return fd_fill(slot_number(s->slot), err);
}

static int set_limit(int what, rlim_t value, const char *name, struct err *err)
{
	struct rlimit lim = {.rlim_cur = value, .rlim_max = value};

	if (setrlimit(what, &lim) < 0)
		return err_set(err, errno, "setrlimit(%s)", name);
	return 0;
}

int worker_walls(const struct worker_setup *s, struct err *err)
{
	const struct sandbox_memory board = {s->sb, sizeof(*s->sb)};

	if (scoreboard_restrict(s->sb, s->sb_readonly, s->slot, err) < 0)
		return -1;
	close(s->sb_readonly);
	if (sandbox_jail_enter(s->scratch, err) < 0)
		return -1;
	if (engine_tmpdir(s->engine, TMP, err) < 0)
		return -1;
	scratch_defer(engine_is_reviewed() ? TMP : NULL);
	if (chdir(TMP) < 0)
		return err_set(err, errno, "chdir(%s)", TMP);
	if (sandbox_become(getuid(), getgid(), 1ull << CAP_LEASE, err) < 0)
		return -1;
	/* Both signals would end us: a broken lease, a file at its limit. */
	signal(SIGIO, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	if (set_limit(RLIMIT_CORE, 0, "CORE", err) < 0 ||
	    set_limit(RLIMIT_FSIZE, s->conf->scratch_size, "FSIZE", err) < 0)
		return -1;
	if (sandbox_landlock(TMP, err) < 0)
		return -1;
	return sandbox_seccomp(allowed, sizeof(allowed) / sizeof(allowed[0]),
			       &board, false, err);
}
