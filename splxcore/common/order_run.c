/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/* Running insserv, and what became of it. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/alloc.h"
#include "lib/clock.h"
#include "lib/fdutil.h"
#include "order.h"

#define RUN_MS 60000
#define SAID_MAX 16384
#define NOT_RUN 127   /* as a shell says it */
#define END_STEPS 200 /* of 10 ms */

/* ---- running ---- */

static int bind(const char *from, const char *to)
{
	return mount(from, to, NULL, MS_BIND, NULL);
}

/*
 * In a mount namespace of its own the copy stands in the place of what is
 * copied: insserv is run as ever, and cannot get at the machine's own files.
 * (With -p it goes on writing its .depend files to /etc/init.d.)
 */
static int cover(const struct boot *b, const char *copy)
{
	static const char *const dirs[] = {"/etc/init.d", BOOT_OVERRIDES};
	const char *level;
	char dir[40], *from, *to;
	size_t i;
	int rc = 0;

	if (unshare(CLONE_NEWNS) < 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return -1;
	for (i = 0; i < 2 && rc == 0; i++) {
		from = xasprintf("%s%s", copy, dirs[i]);
		to = boot_below(b, dirs[i]);
		rc = bind(from, to);
		free(from);
		free(to);
	}
	for (level = BOOT_LEVELS; *level && rc == 0; level++) {
		boot_dir(b, *level, dir, sizeof(dir));
		from = xasprintf("%s%s", copy, dir);
		to = boot_below(b, dir);
		if (access(from, F_OK) == 0)
			rc = bind(from, to);
		free(from);
		free(to);
	}
	return rc;
}

static void child(const struct boot *b, const char *copy, int out)
{
	static char *const env[] = {"PATH=/sbin:/usr/sbin:/bin:/usr/bin",
				    "LC_ALL=C", NULL};
	char program[64], service[] = BOOT_SPLX;
	char *argv[] = {program, service, NULL};
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	dup2(out, STDOUT_FILENO);
	dup2(out, STDERR_FILENO);
	str_copy(program, sizeof(program), b->insserv);
	if (copy && cover(b, copy) < 0) {
		dprintf(out, "it cannot be tried in a place aside: %s\n",
			strerror(errno));
		_exit(NOT_RUN);
	}
	if ((*b->root && chroot(b->root) < 0) || chdir("/") < 0) {
		dprintf(out, "%s: %s\n", b->root, strerror(errno));
		_exit(NOT_RUN);
	}
	execve(program, argv, env);
	dprintf(out, "%s: %s\n", program, strerror(errno));
	_exit(NOT_RUN);
}

/* What it says, until it ends or its time is over. */
static void listen_to(int fd, struct str *said)
{
	uint64_t end = clock_mono_ns() + RUN_MS * CLOCK_NS_PER_MS, now;
	char buf[1024];
	ssize_t n;

	for (;;) {
		struct pollfd p = {.fd = fd, .events = POLLIN};

		now = clock_mono_ns();
		if (now >= end ||
		    poll(&p, 1, (int)((end - now) / CLOCK_NS_PER_MS) + 1) < 0)
			return;
		n = p.revents ? read(fd, buf, sizeof(buf)) : 1;
		if (n <= 0)
			return;
		if (p.revents && said->len < SAID_MAX)
			str_addn(said, buf, (size_t)n);
	}
}

/* It closes its output a moment before it ends. */
static int end_of(pid_t pid)
{
	int status, n;

	for (n = 0; n < END_STEPS; n++) {
		if (waitpid(pid, &status, WNOHANG) != 0)
			return status;
		poll(NULL, 0, 10);
	}
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	return status;
}

/* The lines that tell what is wrong, in one; the same is often said again. */
static void add_said(struct err *err, struct str *said)
{
	struct str all = {0};
	char *line, *save;
	char *text = str_take(said);

	for (line = strtok_r(text, "\n", &save); line && all.len < 400;
	     line = strtok_r(NULL, "\n", &save)) {
		line = str_trim(line);
		if (!*line || strstr(line, "warning") ||
		    (all.len && strstr(str_get(&all), line)))
			continue;
		str_addf(&all, "%s%s", all.len ? "; " : "", line);
	}
	err_set(err, 0, "%s", all.len ? str_get(&all) : "it says nothing");
	str_free(&all);
	free(text);
}

int order_run_insserv(const struct boot *boot, const char *copy,
		      struct err *err)
{
	struct str said = {0};
	int fds[2], status = 0;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return err_set(err, errno, "pipe");
	pid = fork();
	if (pid == 0)
		child(boot, copy, fds[1]);
	fd_close(&fds[1]);
	if (pid > 0) {
		listen_to(fds[0], &said);
		status = end_of(pid);
	}
	fd_close(&fds[0]);
	if (pid < 0) {
		err_set(err, errno, "fork");
	} else if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
		add_said(err, &said);
		err_add(err, "%s", boot->insserv);
		if (WIFEXITED(status) && WEXITSTATUS(status) == NOT_RUN)
			err->code = ENOEXEC;
	}
	str_free(&said);
	return pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0
									: -1;
}

/* ---- judging ---- */

/* Everybody else is started and stopped in the runlevels where they were. */
static int verify_links(const struct boot *was, const struct boot *now,
			struct err *err)
{
	const struct boot_link *l;

	vec_each (l, &was->links)
		if (!l->dangling &&
		    !boot_link(now, l->level, l->start, l->service))
			return err_set(err, 0,
				       "%s would be %s in runlevel %c no "
				       "longer",
				       l->service,
				       l->start ? "started" : "stopped",
				       l->level);
	vec_each (l, &now->links)
		if (!l->dangling && strcmp(l->service, BOOT_SPLX) != 0 &&
		    !boot_link(was, l->level, l->start, l->service))
			return err_set(err, 0,
				       "%s would be %s in runlevel %c, and "
				       "was not before",
				       l->service,
				       l->start ? "started" : "stopped",
				       l->level);
	return 0;
}

static int verify_places(const struct boot *now, const struct order_plan *plan,
			 struct err *err)
{
	struct boot_placing placing = {.place = BOOT_BEFORE};
	char levels[16], *level, **service;

	vec_each (service, &plan->after) {
		order_shared_levels(now, *service, levels, sizeof(levels));
		for (level = levels; *level; level++) {
			struct bootdeps *d;

			if (plan->level && plan->level != *level)
				continue;
			d = bootdeps_new(now, *level, NULL);
			bootdeps_place(d, *service, &placing);
			bootdeps_free(&d);
			if (placing.place == BOOT_BEFORE)
				continue;
			return err_set(err, 0,
				       "%s would not start before splx in "
				       "runlevel %c (%s)",
				       *service, *level, placing.why);
		}
	}
	return 0;
}

int order_verify(const struct boot *was, const struct boot *now,
		 const struct order_plan *plan, struct err *err)
{
	if (verify_links(was, now, err) < 0)
		return -1;
	return verify_places(now, plan, err);
}
