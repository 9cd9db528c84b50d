/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "pattern_child.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/fdutil.h"
#include "lib/sandbox.h"
#include "pattern_wait.h"

#define BYTES_PER_MS 8 /* who is slower than this keeps us too long */
#define DEPTH_MAX 4

struct watch {
	const struct pattern_child *c;
	pid_t pid;
	uint64_t begin_ns;
	uint64_t bytes; /* in its directory now */
	uint64_t grown; /* what came in all, also what is gone again */
	bool shown;
};

/* ---- the child ---- */

static void limit(int what, rlim_t value)
{
	/* At the second one of RLIMIT_CPU the kernel kills without a word. */
	struct rlimit l = {value, what == RLIMIT_CPU ? value + 5 : value};

	setrlimit(what, &l);
}

static void be_child(const struct pattern_child *c, pid_t parent, int out)
	__attribute__((noreturn));
static void be_child(const struct pattern_child *c, pid_t parent, int out)
{
	struct err err = {0};
	int rc;

	umask(022);
	limit(RLIMIT_CORE, 0);
	if (c->bytes_max)
		limit(RLIMIT_FSIZE, c->bytes_max);
	if (c->cpu_seconds)
		limit(RLIMIT_CPU, c->cpu_seconds);
	rc = sandbox_become(c->uid, c->gid, 0, &err);
	/* The kernel forgets it when the user changes. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (rc == 0 && getppid() == parent &&
	    sandbox_landlock_writes(c->dir, &err) >= 0 &&
	    c->work(c->arg, out, &err) == 0)
		_exit(0);
	(void)!write(out, err.text, strlen(err.text));
	_exit(1);
}

/* ---- who watches it ---- */

/* Bytes below a directory that is somebody else's; closes it. */
static uint64_t bytes_at(int dir, uid_t uid, int depth)
{
	DIR *d = dir >= 0 ? fdopendir(dir) : NULL;
	uint64_t sum = 0;
	struct dirent *de;
	struct stat st;

	if (!d) {
		fd_close(&dir);
		return 0;
	}
	while ((de = readdir(d))) {
		const char *name = de->d_name;

		if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 ||
		    fstatat(dirfd(d), name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		/* By what it takes: no hole, and not what is root's. */
		if (S_ISREG(st.st_mode) && st.st_uid == uid)
			sum += (uint64_t)st.st_blocks * 512;
		else if (S_ISDIR(st.st_mode) && depth < DEPTH_MAX)
			sum += bytes_at(openat(dirfd(d), name,
					       O_RDONLY | O_DIRECTORY |
						       O_NOFOLLOW | O_CLOEXEC),
					uid, depth + 1);
	}
	closedir(d);
	return sum;
}

static uint64_t cpu_ms(pid_t pid)
{
	struct timespec ts;
	clockid_t clock;

	if (clock_getcpuclockid(pid, &clock) != 0 ||
	    clock_gettime(clock, &ts) < 0)
		return 0;
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static void measure(struct watch *w)
{
	uint64_t bytes =
		bytes_at(open(w->c->dir,
			      O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC),
			 w->c->uid, 0);

	if (bytes > w->bytes)
		w->grown += bytes - w->bytes;
	w->bytes = bytes;
}

static void show(struct watch *w)
{
	char size[24];

	if (!w->c->progress)
		return;
	fprintf(stderr, "\r%s: %s \033[K", w->c->progress,
		str_size(size, sizeof(size), w->grown));
	w->shown = true;
}

/* -1 and *err: it has to be ended. */
static int tick(void *arg, struct err *err)
{
	struct watch *w = arg;
	uint64_t ms = (clock_mono_ns() - w->begin_ns) / CLOCK_NS_PER_MS;

	if (!w->c->bytes_max)
		return 0;
	measure(w);
	show(w);
	if (w->bytes > w->c->bytes_max)
		return err_set(err, 0,
			       "what comes is more than the %llu bytes that "
			       "it may have",
			       (unsigned long long)w->c->bytes_max);
	if (ms > w->c->patience_ms + w->grown / BYTES_PER_MS + cpu_ms(w->pid))
		return err_set(err, 0,
			       "the server takes too long (%llu bytes so far)",
			       (unsigned long long)w->grown);
	return 0;
}

static int judge(const struct pattern_child *c, int status,
		 const struct str *said, struct err *err)
{
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGXFSZ)
		return err_set(err, 0,
			       "a file that comes has more than the %llu "
			       "bytes that it may have",
			       (unsigned long long)c->bytes_max);
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGXCPU)
		return err_set(err, 0, "what comes takes too much work");
	if (WIFSIGNALED(status))
		return err_set(err, 0, "fetching was ended by signal %d",
			       WTERMSIG(status));
	if (!said->len)
		return err_set(err, 0, "fetching ended with status %d",
			       WEXITSTATUS(status));
	return err_set(err, 0, "%s", str_get(said));
}

int pattern_child_run(const struct pattern_child *c, struct str *said,
		      struct err *err)
{
	struct watch w = {.c = c, .begin_ns = clock_mono_ns()};
	struct pattern_wait wait = {.tick = tick, .arg = &w};
	int ends[2], status = 0, rc;
	pid_t self = getpid();

	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_set(err, errno, "pipe");
	if (c->bytes_max)
		measure(&w);
	w.grown = 0;
	fflush(NULL);
	w.pid = fork();
	if (w.pid == 0)
		be_child(c, self, ends[1]);
	close(ends[1]);
	if (w.pid < 0) {
		close(ends[0]);
		return err_set(err, errno, "fork");
	}
	wait.pid = w.pid;
	wait.in = ends[0];
	rc = pattern_wait(&wait, said, &status, err);
	if (w.shown)
		fputs("\r\033[K", stderr);
	return rc < 0 ? -1 : judge(c, status, said, err);
}

int pattern_child_dir(const struct pattern_child *c, struct err *err)
{
	int fd = -1;

	if ((mkdir(c->dir, 0700) < 0 && errno != EEXIST) ||
	    (fd = open(c->dir,
		       O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)) < 0 ||
	    fchown(fd, c->uid, c->gid) < 0) {
		err_set(err, errno, "%s", c->dir);
		fd_close(&fd);
	}
	return fd;
}
