/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "notify_child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/adopt.h"
#include "common/paths.h"
#include "lib/alloc.h"
#include "lib/fdutil.h"
#include "lib/proc.h"
#include "lib/sandbox.h"
#include "lib/str.h"

#define CPU_S 30
#define SAID_MAX 16384

struct notify_child {
	pid_t pid;
	int pidfd, pipe;
	struct loop_event *ended, *output, *timer;
	struct str said;
	bool killed;
	notify_child_fn fn;
	void *arg;
};

/* ---- the child ---- */

static void limit(int what, rlim_t value)
{
	struct rlimit l = {value, value};

	setrlimit(what, &l);
}

static void __attribute__((noreturn))
run(const char *program, const char *user, pid_t parent, int in, int out)
{
	char *const argv[] = {(char *)"splxnotify", NULL};
	char *const envp[] = {(char *)"PATH=/usr/sbin:/usr/bin:/sbin:/bin",
			      (char *)"LANG=C.UTF-8", NULL};
	int null = open("/dev/null", O_RDWR);
	struct err err;
	uid_t uid;
	gid_t gid;

	setsid();
	if (null < 0 || chdir("/") < 0 || dup2(in, 0) < 0 || dup2(out, 1) < 0 ||
	    dup2(null, 2) < 0)
		_exit(126);
	close_range(3, ~0U, 0);
	limit(RLIMIT_CORE, 0);
	limit(RLIMIT_FSIZE, 0);
	limit(RLIMIT_CPU, CPU_S);
	if (proc_user(user, &uid, &gid, &err) < 0 ||
	    sandbox_become(uid, gid, 0, &err) < 0 ||
	    sandbox_landlock_writes(NULL, &err) < 0)
		_exit(126);
	/* The kernel forgets it when the user changes. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(126);
	execve(program, argv, envp);
	_exit(127);
}

/* ---- core's side ---- */

static void child_free(struct notify_child *c)
{
	loop_cancel(&c->ended);
	loop_cancel(&c->output);
	loop_cancel(&c->timer);
	fd_close(&c->pidfd);
	fd_close(&c->pipe);
	str_free(&c->said);
	free(c);
}

static void take_output(struct notify_child *c)
{
	char buf[4096];
	ssize_t n;

	while ((n = read(c->pipe, buf, sizeof(buf))) > 0)
		if (c->said.len + (size_t)n <= SAID_MAX)
			str_addn(&c->said, buf, (size_t)n);
	if (n == 0 || (errno != EAGAIN && errno != EINTR))
		loop_cancel(&c->output);
}

static void on_output(int fd, int what, void *arg)
{
	(void)fd;
	(void)what;
	take_output(arg);
}

static json_t *answer_of(const struct notify_child *c, int status)
{
	json_t *answer =
		json_loads(str_get(&c->said), JSON_REJECT_DUPLICATES, NULL);

	if (json_is_object(answer))
		return answer;
	json_decref(answer);
	if (c->killed)
		return json_pack("{s:s}", "why", "no answer in time");
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
		return json_pack("{s:s}", "why",
				 "splxnotify cannot be started");
	if (WIFEXITED(status) && WEXITSTATUS(status) == 126)
		return json_pack("{s:s}", "why",
				 "splxnotify cannot become the scan user");
	return json_pack("{s:s}", "why", "splxnotify ended without an answer");
}

static void on_ended(int fd, int what, void *arg)
{
	struct notify_child *c = arg;
	notify_child_fn fn = c->fn;
	void *fn_arg = c->arg;
	int status = 0;
	json_t *answer;

	(void)fd;
	(void)what;
	while (waitpid(c->pid, &status, 0) < 0 && errno == EINTR)
		;
	take_output(c);
	answer = answer_of(c, status);
	child_free(c);
	fn(answer, fn_arg);
	json_decref(answer);
}

static void on_timeout(void *arg)
{
	struct notify_child *c = arg;

	loop_cancel(&c->timer);
	c->killed = true;
	proc_signal(c->pidfd, SIGKILL);
}

/* The job as a file that has no name. */
static int job_file(json_t *job, struct err *err)
{
	char *text = json_dumps(job, JSON_COMPACT);
	int fd = memfd_create("splx-notify", MFD_CLOEXEC);

	if (!text || fd < 0 || fd_write_all(fd, text, strlen(text)) < 0 ||
	    lseek(fd, 0, SEEK_SET) < 0) {
		err_set(err, errno, "handing over what is to be sent");
		fd_close(&fd);
	}
	if (text)
		explicit_bzero(text, strlen(text));
	free(text);
	return fd;
}

static int spawn(struct notify_child *c, const char *user, int in,
		 struct err *err)
{
	char *program = xasprintf("%s/splxnotify", paths()->libexec_dir);
	pid_t self = getpid();
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0) {
		free(program);
		return err_set(err, errno, "pipe");
	}
	c->pid = adopt_fork();
	if (c->pid == 0)
		run(program, user, self, in, ends[1]);
	free(program);
	close(ends[1]);
	c->pipe = ends[0];
	if (c->pid < 0)
		return err_set(err, errno, "fork");
	fd_set_nonblock(c->pipe, true);
	c->pidfd = proc_pidfd_now(c->pid);
	if (c->pidfd >= 0)
		return 0;
	err_set(err, errno, "pidfd_open");
	kill(c->pid, SIGKILL);
	waitpid(c->pid, NULL, 0);
	return -1;
}

struct notify_child *notify_child_start(struct core *core, json_t *job,
					notify_child_fn fn, void *arg,
					struct err *err)
{
	struct notify_child *c = xcalloc(1, sizeof(*c));
	int in = job_file(job, err);

	c->fn = fn;
	c->arg = arg;
	c->pidfd = c->pipe = -1;
	if (in < 0 || spawn(c, core_conf(core)->scan_user, in, err) < 0) {
		fd_close(&in);
		child_free(c);
		return NULL;
	}
	fd_close(&in);
	c->ended = loop_fd(core->loop, c->pidfd, LOOP_READ, on_ended, c);
	c->output = loop_fd(core->loop, c->pipe, LOOP_READ, on_output, c);
	c->timer =
		loop_timer(core->loop, NOTIFY_CHILD_MS, false, on_timeout, c);
	return c;
}

void notify_child_cancel(struct notify_child **child)
{
	struct notify_child *c = *child;

	if (!c)
		return;
	/* It waits for nobody but the network: SIGKILL ends it at once. */
	proc_signal(c->pidfd, SIGKILL);
	while (waitpid(c->pid, NULL, 0) < 0 && errno == EINTR)
		;
	child_free(c);
	*child = NULL;
}
