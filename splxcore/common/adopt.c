/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "adopt.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "control.h"
#include "lib/alloc.h"
#include "lib/clock.h"
#include "lib/fdutil.h"
#include "lib/log.h"
#include "lib/proc.h"
#include "paths.h"

#define LOOK_MS 100
#define TRY_FIRST_NS (1 * CLOCK_NS_PER_S)
#define TRY_LAST_NS (10 * CLOCK_NS_PER_S)

struct adopt {
	struct loop *loop;
	struct scoreboard *sb;
	uint64_t patience_ns;
	loop_fn on_quit;
	void *arg;
	int pidfd; /* of the supervisor, once the pipe has told its end */
	struct loop_event *life;
	struct loop_event *look; /* runs while there is no supervisor */
	struct proc_id watched;	 /* whose end is told; it may still be dying */
	uint64_t gone_ns;
	uint64_t next_try_ns;
	uint64_t pause_ns;
};

/*
 * Core starts the image that it runs itself: after an upgrade a new program
 * might not know this scoreboard. The master has no choice.
 */
static void program_path(char *out, size_t size)
{
	char exe[PATH_MAX];
	const char *base;
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);

	exe[n > 0 ? n : 0] = '\0';
	base = strrchr(exe, '/');
	base = base ? base + 1 : exe;
	if (!strcmp(base, "entity") || !strcmp(base, "entity (deleted)"))
		snprintf(out, size, "/proc/self/exe");
	else
		snprintf(out, size, "%s/entity", paths()->libexec_dir);
}

pid_t adopt_fork(void)
{
	sigset_t all, old;
	int sig, saved;
	pid_t pid;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &old);
	pid = fork();
	saved = errno;
	if (pid == 0) {
		for (sig = 1; sig < NSIG; sig++)
			signal(sig, SIG_DFL);
		sigemptyset(&old);
	}
	sigprocmask(SIG_SETMASK, &old, NULL);
	errno = saved;
	return pid;
}

static void become_supervisor(struct scoreboard *sb, const char *program)
{
	const char *argv[] = {"entity", "--adopt", NULL, NULL, NULL};
	int fd;

	if (paths()->root[0]) {
		argv[2] = "-R";
		argv[3] = paths()->root;
	}
	setsid();
	for (fd = 0; fd < INHERIT_COUNT; fd++)
		fd_set_cloexec(fd, false);
	close_range(INHERIT_COUNT, ~0U, 0);
	scoreboard_exempt(sb, getpid());
	execv(program, (char *const *)argv);
	scoreboard_unexempt(sb, getpid());
	_exit(127);
}

int adopt_supervisor(struct scoreboard *sb, struct err *err)
{
	char program[PATH_MAX];
	pid_t pid;
	int status;

	program_path(program, sizeof(program));
	pid = adopt_fork();
	if (pid < 0)
		return err_set(err, errno, "fork");
	if (pid == 0) {
		pid = fork();
		if (pid == 0)
			become_supervisor(sb, program);
		_exit(pid < 0 ? 1 : 0);
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		return err_set(err, 0, "a new supervisor could not be forked");
	return 0;
}

static void lost(struct adopt *a);

static void pidfd_ready(int fd, int what, void *arg)
{
	(void)fd, (void)what;
	lost(arg);
}

/* True when the scoreboard names a living supervisor; then it is watched. */
static bool attach(struct adopt *a)
{
	struct proc_id id = {
		.pid = atomic_load(&a->sb->supervisor.pid),
		.start = atomic_load(&a->sb->supervisor.start),
	};

	if (id.pid <= 0 || !proc_alive(&id) ||
	    (id.pid == a->watched.pid && id.start == a->watched.start))
		return false;
	a->pidfd = proc_pidfd(&id);
	if (a->pidfd < 0)
		return false;
	a->watched = id;
	a->life = loop_fd(a->loop, a->pidfd, LOOP_READ, pidfd_ready, a);
	loop_cancel(&a->look);
	return true;
}

static void look(void *arg)
{
	struct adopt *a = arg;
	uint64_t now = clock_mono_ns();
	struct err err;

	if (atomic_load(&a->sb->quit)) {
		loop_cancel(&a->look);
		a->on_quit(a->arg);
		return;
	}
	if (attach(a)) {
		log_info("supervisor adopted pid=%d",
			 atomic_load(&a->sb->supervisor.pid));
		return;
	}
	if (now - a->gone_ns < a->patience_ns || now < a->next_try_ns)
		return;
	if (adopt_supervisor(a->sb, &err))
		log_error("supervisor adopt: %s", err.text);
	a->next_try_ns = now + a->pause_ns;
	if (a->pause_ns < TRY_LAST_NS)
		a->pause_ns *= 2;
}

static void lost(struct adopt *a)
{
	loop_cancel(&a->life);
	fd_close(&a->pidfd);
	a->gone_ns = clock_mono_ns();
	a->next_try_ns = 0;
	a->pause_ns = TRY_FIRST_NS;
	if (!atomic_load(&a->sb->quit))
		log_warn("supervisor gone pid=%d", (int)a->watched.pid);
	a->look = loop_timer(a->loop, LOOK_MS, true, look, a);
	look(a);
}

static void pipe_ready(int fd, int what, void *arg)
{
	char c;

	(void)what;
	if (read(fd, &c, 1) < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	lost(arg);
}

struct adopt *adopt_watch(struct loop *loop, struct scoreboard *sb,
			  uint64_t patience_ms, loop_fn on_quit, void *arg)
{
	struct adopt *a = xcalloc(1, sizeof(*a));

	a->loop = loop;
	a->sb = sb;
	a->patience_ns = patience_ms * CLOCK_NS_PER_MS;
	a->on_quit = on_quit;
	a->arg = arg;
	a->pidfd = -1;
	a->watched.pid = atomic_load(&sb->supervisor.pid);
	a->watched.start = atomic_load(&sb->supervisor.start);
	fd_set_nonblock(INHERIT_LIFE, true);
	a->life = loop_fd(loop, INHERIT_LIFE, LOOP_READ, pipe_ready, a);
	return a;
}

void adopt_free(struct adopt **adopt)
{
	struct adopt *a = *adopt;

	if (!a)
		return;
	loop_cancel(&a->life);
	loop_cancel(&a->look);
	fd_close(&a->pidfd);
	xfree(adopt);
}
