/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "proc.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "alloc.h"
#include "fdutil.h"
#include "str.h"

/* Who looks at a pid file holds its lock this long at the most. */
#define PROC_PIDFILE_TRIES 20
#define PROC_PIDFILE_PAUSE_US 5000

/*
 * State (field 3) and start time (field 22) of /proc/PID/stat. The name in
 * field 2 may hold anything, so fields count from its last bracket.
 */
static int proc_stat(pid_t pid, char *state_r, uint64_t *start_r)
{
	char path[40], text[1024], *p;
	unsigned long long start;
	ssize_t n;
	int fd, field;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		if (errno == ENOENT)
			errno = ESRCH;
		return -1;
	}
	n = read(fd, text, sizeof(text) - 1);
	fd_close(&fd);
	if (n < 0)
		return -1; /* ESRCH when it went in between */
	text[n] = '\0';
	p = strrchr(text, ')');
	if (!p || p[1] != ' ' || !p[2])
		goto bad;
	*state_r = p[2];
	p++;
	for (field = 2; p && field < 22 - 1; field++)
		p = strchr(p + 1, ' ');
	if (!p || sscanf(p, " %llu", &start) != 1)
		goto bad;
	*start_r = start;
	return 0;
bad:
	errno = ESRCH;
	return -1;
}

/* The state of that very process; 0 when it is gone. */
static char proc_state(const struct proc_id *id)
{
	uint64_t start;
	char state;

	if (id->pid <= 0 || proc_stat(id->pid, &state, &start) < 0)
		return 0;
	if (start != id->start || state == 'Z' || state == 'X')
		return 0;
	return state;
}

int proc_identify(pid_t pid, struct proc_id *id_r)
{
	uint64_t start;
	char state;

	if (pid <= 0) {
		errno = ESRCH;
		return -1;
	}
	if (proc_stat(pid, &state, &start) < 0)
		return -1;
	if (state == 'Z' || state == 'X') {
		errno = ESRCH;
		return -1;
	}
	id_r->pid = pid;
	id_r->start = start;
	return 0;
}

bool proc_alive(const struct proc_id *id)
{
	return proc_state(id) != 0;
}

bool proc_stopped(const struct proc_id *id)
{
	char state = proc_state(id);

	return state == 'T' || state == 't';
}

bool proc_runs(const struct proc_id *id, const char *program)
{
	char path[PATH_MAX];
	const char *base;
	struct stat st;
	dev_t dev;
	ino_t ino;

	snprintf(path, sizeof(path), "/proc/%d", (int)id->pid);
	if (id->pid <= 0 || stat(path, &st) < 0 || st.st_uid != geteuid() ||
	    proc_exe(id->pid, path, sizeof(path), &dev, &ino) < 0)
		return false;
	base = strrchr(path, '/');
	/* Last, so that all of it was this process. */
	return base && str_starts(base + 1, program) && proc_alive(id);
}

int proc_pidfd(const struct proc_id *id)
{
	int fd;

	if (id->pid <= 0) {
		errno = ESRCH;
		return -1;
	}
	fd = (int)syscall(SYS_pidfd_open, id->pid, 0u); /* has close-on-exec */
	if (fd < 0)
		return -1;
	/* Looked at after the open: from here on the pid is not reused. */
	if (!proc_alive(id)) {
		fd_close(&fd);
		errno = ESRCH;
		return -1;
	}
	return fd;
}

int proc_pidfd_now(pid_t pid)
{
	return (int)syscall(SYS_pidfd_open, pid, 0u);
}

int proc_signal(int pidfd, int sig)
{
	return (int)syscall(SYS_pidfd_send_signal, pidfd, sig, NULL, 0u);
}

/* The pid in an open pid file, 0 when there is none. */
static pid_t proc_pidfile_read(int fd)
{
	char text[32], *end;
	long pid;
	ssize_t n;

	n = pread(fd, text, sizeof(text) - 1, 0);
	if (n <= 0)
		return 0;
	text[n] = '\0';
	if (!isdigit((unsigned char)text[0]))
		return 0;
	pid = strtol(text, &end, 10);
	if ((*end && *end != '\n') || pid <= 0 || pid > INT_MAX)
		return 0;
	return (pid_t)pid;
}

/* True while `path` still names the file behind fd. */
static bool proc_pidfile_same(const char *path, int fd)
{
	struct stat a, b;

	return fstat(fd, &a) == 0 && lstat(path, &b) == 0 &&
	       a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/*
 * Opens and locks. A lock held for an instant is somebody who looks
 * (proc_pidfile_check()), so it is tried for a while; and a file that its
 * holder removed meanwhile is not the one to hold. -1 with errno.
 */
static int proc_pidfile_lock(const char *path, pid_t *holder_r,
			     const char **call_r)
{
	int try, fd;

	for (try = 0; try < PROC_PIDFILE_TRIES; try++) {
		*call_r = "open";
		fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW,
			  0644);
		if (fd < 0)
			return -1;
		*call_r = "flock";
		if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
			if (proc_pidfile_same(path, fd))
				return fd;
			fd_close(&fd);
			continue;
		}
		if (errno != EWOULDBLOCK) {
			fd_close(&fd);
			return -1;
		}
		*holder_r = proc_pidfile_read(fd);
		fd_close(&fd);
		usleep(PROC_PIDFILE_PAUSE_US);
	}
	errno = EEXIST;
	return -1;
}

int proc_pidfile_take(const char *path, struct err *err)
{
	const char *call;
	pid_t holder = 0;
	char text[24];
	int fd, n;

	fd = proc_pidfile_lock(path, &holder, &call);
	if (fd < 0 && errno == EEXIST) {
		err_set(err, 0, "%s: held by the running process %d", path,
			(int)holder);
		if (err)
			err->code = EEXIST;
		return -1;
	}
	if (fd < 0)
		return err_set(err, errno, "%s(%s)", call, path);
	n = snprintf(text, sizeof(text), "%d\n", (int)getpid());
	/* fchmod: others may read it whatever the umask. */
	if (fchmod(fd, 0644) < 0 || ftruncate(fd, 0) < 0 ||
	    fd_write_all(fd, text, (size_t)n) < 0) {
		err_set(err, errno, "cannot write %s", path);
		proc_pidfile_drop(path, &fd);
		return -1;
	}
	return fd;
}

void proc_pidfile_drop(const char *path, int *fd)
{
	if (*fd == -1)
		return;
	if (proc_pidfile_same(path, *fd))
		unlink(path);
	/* Children that inherited the descriptor share the lock. */
	flock(*fd, LOCK_UN);
	fd_close(fd);
}

/* One look: 1 held, 0 stale, -1 with errno. */
static int proc_pidfile_look(const char *path, pid_t *pid_r)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	int rc;

	if (fd < 0)
		return -1;
	rc = flock(fd, LOCK_SH | LOCK_NB);
	if (rc < 0 && errno == EWOULDBLOCK)
		rc = 1;
	if (rc >= 0)
		*pid_r = proc_pidfile_read(fd);
	fd_close(&fd);
	return rc;
}

int proc_pidfile_check(const char *path, pid_t *pid_r, struct err *err)
{
	int try, rc;

	*pid_r = 0;
	for (try = 0; try < PROC_PIDFILE_TRIES; try++) {
		rc = proc_pidfile_look(path, pid_r);
		if (rc < 0 && errno == ENOENT)
			return 0;
		if (rc < 0)
			return err_set(err, errno, "cannot read %s", path);
		if (*pid_r > 0)
			return rc;
		/* Taken this instant, and the pid not yet in it. */
		usleep(PROC_PIDFILE_PAUSE_US);
	}
	return err_set(err, 0, "%s: no process id in it", path);
}

/* The parent's end: waits for the child's word and goes with it. */
static void __attribute__((noreturn)) proc_daemon_wait(int fd)
{
	unsigned char status;

	if (fd_read_all(fd, &status, 1) < 0)
		status = 1;
	/* Buffers and exit handlers are the child's now. */
	_exit(status);
}

int proc_daemonize(struct err *err)
{
	int ends[2], null, i;
	pid_t pid;

	/* Before the fork: what can fail is told by the caller. */
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null < 0)
		return err_set(err, errno, "open(/dev/null)");
	/* Not 0 to 2, which are overwritten below. */
	null = fd_move(null, 3);
	if (null < 0 || pipe2(ends, O_CLOEXEC) < 0) {
		err_set(err, errno, "pipe2");
		fd_close(&null);
		return -1;
	}
	fflush(NULL);
	pid = fork();
	if (pid < 0) {
		err_set(err, errno, "fork");
		close(ends[0]);
		close(ends[1]);
		close(null);
		return -1;
	}
	if (pid > 0) {
		close(ends[1]);
		proc_daemon_wait(ends[0]);
	}
	close(ends[0]);
	ends[1] = fd_move(ends[1], 3);
	if (ends[1] < 0 || setsid() < 0 || chdir("/") < 0)
		_exit(1);
	umask(022);
	for (i = 0; i <= 2; i++)
		if (dup2(null, i) < 0)
			_exit(1);
	close(null);
	return ends[1];
}

void proc_daemon_ready(int *fd, int status)
{
	unsigned char byte = (unsigned char)status;

	if (*fd == -1)
		return;
	/* A parent that was killed meanwhile is no failure of ours. */
	(void)!write(*fd, &byte, 1);
	fd_close(fd);
}

/* The memory that the kernel shows as the command line. */
static char *proc_title;
static size_t proc_title_size;
/* Kept, as setenv() may put an array of its own in environ's place. */
static char **proc_title_env;

/* Moves a string out of the area; never freed, as exit() may still read it. */
static void proc_title_save(char **s, char **end)
{
	size_t size = strlen(*s) + 1;

	/* Only what lies right behind belongs to the area. */
	if (*s == *end)
		*end += size;
	*s = xstrdup(*s);
}

void proc_title_init(int argc, char **argv)
{
	char *start = argc > 0 ? argv[0] : NULL;
	char *end = start;
	int i, n = 0;

	if (!start || proc_title)
		return;
	/* These point into argv[0] and into what follows its last slash. */
	program_invocation_name = xstrdup(program_invocation_name);
	program_invocation_short_name = xstrdup(program_invocation_short_name);
	for (i = 0; i < argc; i++)
		proc_title_save(&argv[i], &end);
	while (environ && environ[n])
		n++;
	proc_title_env = xcalloc((size_t)n + 1, sizeof(*proc_title_env));
	for (i = 0; i < n; i++) {
		proc_title_env[i] = environ[i];
		proc_title_save(&proc_title_env[i], &end);
	}
	environ = proc_title_env;
	proc_title = start;
	proc_title_size = (size_t)(end - start);
}

void proc_title_set(const char *fmt, ...)
{
	va_list ap;
	int n;

	if (proc_title_size < 2)
		return;
	va_start(ap, fmt);
	n = vsnprintf(proc_title, proc_title_size, fmt, ap);
	va_end(ap);
	if (n < 0)
		n = 0;
	/* What is left of the old title would show behind the new one. */
	if ((size_t)n < proc_title_size)
		memset(proc_title + n, 0, proc_title_size - (size_t)n);
}

int proc_cpus(void)
{
	size_t size;
	cpu_set_t *set;
	int max, n = 0;

	/* EINVAL: the kernel knows more CPUs than the set has room for. */
	for (max = 1024; max <= 1 << 20 && n == 0; max *= 4) {
		set = CPU_ALLOC((size_t)max);
		size = CPU_ALLOC_SIZE((size_t)max);
		if (set && sched_getaffinity(0, size, set) == 0)
			n = CPU_COUNT_S(size, set);
		else if (set && errno != EINVAL)
			max = 1 << 20;
		CPU_FREE(set);
	}
	return n > 0 ? n : 1;
}

int proc_exe(pid_t pid, char *path, size_t size, dev_t *dev_r, ino_t *ino_r)
{
	char link[40];
	struct stat st;
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/%d/exe", (int)pid);
	n = readlink(link, path, size);
	if (n < 0 || stat(link, &st) < 0)
		return -1;
	if ((size_t)n >= size) {
		errno = ENAMETOOLONG;
		return -1;
	}
	path[n] = '\0';
	*dev_r = st.st_dev;
	*ino_r = st.st_ino;
	return 0;
}

/* An entry by name (or, with name NULL, by number): 1, 0 none, -1 errno. */
static int proc_passwd(const char *name, uid_t uid, uid_t *uid_r, gid_t *gid_r)
{
	struct passwd pw, *found = NULL;
	size_t size = 1024;
	char *buf = NULL;
	int rc;

	do {
		size *= 2;
		buf = xrealloc(buf, size);
		rc = name ? getpwnam_r(name, &pw, buf, size, &found)
			  : getpwuid_r(uid, &pw, buf, size, &found);
	} while (rc == ERANGE && size < 1 << 20);
	if (found) {
		*uid_r = pw.pw_uid;
		*gid_r = pw.pw_gid;
	}
	free(buf);
	if (found)
		return 1;
	/* getpwnam(3): these too say that there is no such user. */
	if (rc == 0 || rc == ENOENT || rc == ESRCH || rc == EBADF ||
	    rc == EPERM)
		return 0;
	errno = rc;
	return -1;
}

int proc_user(const char *name, uid_t *uid_r, gid_t *gid_r, struct err *err)
{
	int64_t number;
	int rc;

	rc = proc_passwd(name, 0, uid_r, gid_r);
	if (rc < 0)
		return err_set(err, errno, "cannot look up user %s", name);
	if (rc == 1)
		return 0;
	/* (uid_t)-1 means "leave as it is" to the system calls. */
	if (!isdigit((unsigned char)*name) ||
	    str_to_i64(name, 0, (int64_t)UINT32_MAX - 1, &number, NULL) < 0)
		return err_set(err, 0, "there is no user %s", name);
	rc = proc_passwd(NULL, (uid_t)number, uid_r, gid_r);
	if (rc < 0)
		return err_set(err, errno, "cannot look up user %s", name);
	if (rc == 0) {
		*uid_r = (uid_t)number;
		*gid_r = (gid_t)number;
	}
	return 0;
}

/* sched_setattr(2), which the C library does not know. */
struct sched_request {
	uint32_t size;
	uint32_t policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime;
	uint64_t deadline;
	uint64_t period;
};

int proc_priority(pid_t pid, int nice_value, uint64_t slice_ns)
{
	struct sched_request want = {
		.size = sizeof(want),
		.policy = SCHED_OTHER,
		.nice = nice_value,
		.runtime = slice_ns,
	};

	return (int)syscall(SYS_sched_setattr, pid, &want, 0);
}

/* ioprio_set(2) has no wrapper; values from linux/ioprio.h. */
#define IOPRIO_WHO_PROCESS 1
#define IOPRIO_IDLE (3 << 13)

/* sched(7): absent where the kernel has no autogroups. Setting one is refused
 * (EAGAIN) to who may not do all when another was set just now. */
static int lower_autogroup(pid_t pid)
{
	char path[64];
	int fd, rc;

	snprintf(path, sizeof(path), "/proc/%d/autogroup", (int)pid);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : -1;
	rc = fd_write_all(fd, "19", 2);
	fd_close(&fd);
	return rc;
}

int proc_lowest(pid_t pid)
{
	struct sched_request want = {
		.size = sizeof(want),
		.policy = SCHED_IDLE,
		.nice = 19,
	};
	int code = 0;

	/* Each for itself: what can be had is had. */
	if (syscall(SYS_sched_setattr, pid, &want, 0) < 0)
		code = errno;
	if (syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, pid, IOPRIO_IDLE) < 0)
		code = errno;
	if (lower_autogroup(pid) < 0)
		code = errno;
	errno = code;
	return code ? -1 : 0;
}
