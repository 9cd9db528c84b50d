/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "jail.h"

#include <errno.h>
#include <sched.h>
#include <unistd.h>

#include "lib/log.h"
#include "lib/sandbox.h"

/* What MHD, GnuTLS, libevent and entity's socket take; nothing that opens a
 * file, makes a process or listens. */
static const char *const calls[] = {
	"accept4",	 "brk",
	"clock_gettime", "clock_nanosleep",
	"close",	 "connect",
	"epoll_create1", "epoll_ctl",
	"epoll_pwait",	 "epoll_pwait2",
	"epoll_wait",	 "exit",
	"exit_group",	 "fcntl",
	"futex",	 "getpeername",
	"getpid",	 "getppid",
	"getrandom",	 "getrusage",
	"getsockname",	 "getsockopt",
	"gettid",	 "gettimeofday",
	"madvise",	 "mmap",
	"mprotect",	 "mremap",
	"munmap",	 "poll",
	"ppoll",	 "read",
	"readv",	 "recvfrom",
	"recvmsg",	 "restart_syscall",
	"rt_sigaction",	 "rt_sigprocmask",
	"rt_sigreturn",	 "sched_yield",
	"sendmsg",	 "sendto",
	"setsockopt",	 "shutdown",
	"sigaltstack",	 "socket",
	"tgkill",	 "timerfd_settime",
	"write",	 "writev",
	"newfstatat",	 "fstat",
};

int jail_enter(const char *dir, uid_t uid, gid_t gid, struct err *err)
{
	int rc;

	/* Where a container allows none, the other walls stand. */
	if (unshare(CLONE_NEWNET | CLONE_NEWIPC) < 0)
		log_warn("no namespaces of our own: %m");
	if (chroot(dir) < 0 || chdir("/") < 0)
		return err_set(err, errno, "chroot(%s)", dir);
	if (sandbox_become(uid, gid, 0, err) < 0)
		return -1;
	rc = sandbox_landlock_all(err);
	if (rc == 0)
		log_info("this kernel has no Landlock; the other walls stand");
	return rc < 0 ? -1 : 0;
}

int jail_seal(struct err *err)
{
	return sandbox_seccomp(calls, sizeof(calls) / sizeof(*calls), NULL,
			       false, err);
}
