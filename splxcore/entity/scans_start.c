/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/* Scans that run as children of core. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/adopt.h"
#include "common/paths.h"
#include "lib/alloc.h"
#include "lib/fdutil.h"
#include "lib/log.h"
#include "scans.h"

/* Waits for one of them, whatever becomes of its job. */
struct child {
	pid_t pid;
	int pidfd;
	struct loop_event *event;
};

static void on_exit_event(int fd, int what, void *arg)
{
	struct child *c = arg;
	int status = 0;

	waitpid(c->pid, &status, WNOHANG);
	/* 0 to 2 are what a scan comes to. */
	if (WIFEXITED(status) && WEXITSTATUS(status) > 2)
		log_error("a scan in the background failed: status %d",
			  WEXITSTATUS(status));
	loop_cancel(&c->event);
	fd_close(&c->pidfd);
	free(c);
}

static void __attribute__((noreturn)) run(const char *program, int64_t id)
{
	char job[40];
	int null = open("/dev/null", O_RDWR);

	snprintf(job, sizeof(job), "--job=%lld", (long long)id);
	setsid();
	if (null < 0 || chdir("/") < 0)
		_exit(127);
	for (int fd = 0; fd < 3; fd++)
		dup2(null, fd);
	close_range(3, ~0U, 0);
	if (paths()->root[0])
		execl(program, "splxctl", "-R", paths()->root, "scan", job,
		      "--quiet", NULL);
	else
		execl(program, "splxctl", "scan", job, "--quiet", NULL);
	_exit(127);
}

static struct child *spawn(struct core *core, int64_t id, struct err *err)
{
	char *program = xasprintf("%s/usr/sbin/splxctl", paths()->root);
	struct child *c = NULL;
	pid_t pid = -1;
	int pidfd;

	if (access(program, X_OK) < 0)
		err_set(err, errno, "%s", program);
	else if ((pid = adopt_fork()) < 0)
		err_set(err, errno, "fork");
	if (pid == 0)
		run(program, id);
	free(program);
	if (pid < 0)
		return NULL;
	pidfd = proc_pidfd_now(pid);
	if (pidfd < 0) {
		err_set(err, errno, "pidfd_open");
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		return NULL;
	}
	c = xcalloc(1, sizeof(*c));
	c->pid = pid;
	c->pidfd = pidfd;
	c->event = loop_fd(core->loop, pidfd, LOOP_READ, on_exit_event, c);
	return c;
}

int scans_start(struct scan *scan, struct err *err)
{
	struct core *core = scan->core;
	struct child *c;

	scan->background = true;
	if (!scan->id && scans_add(scan, err) < 0) {
		scans_release(&scan);
		return -1;
	}
	c = spawn(core, scan->id, err);
	if (!c) {
		scans_end(scan, SCAN_FAILED, err->text);
		return -1;
	}
	return scans_attach(scan, c->pid, err);
}
