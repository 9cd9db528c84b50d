/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "parent.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/codes.h"
#include "common/paths.h"
#include "lib/alloc.h"
#include "lib/clock.h"
#include "lib/fdutil.h"
#include "lib/log.h"
#include "lib/loop.h"
#include "lib/proc.h"
#include "listeners.h"
#include "serve.h"
#include "settings.h"

#define LOOK_MS 2000
#define ENTITY_WAIT_S 10
#define START_NS (30 * CLOCK_NS_PER_S)
/* One that lived so long has not failed at once. */
#define LIVED_NS (60 * CLOCK_NS_PER_S)
#define PAUSE_MAX_MS 30000
/* Former ones that still answer what was asked. */
#define DRAIN_NS (20 * CLOCK_NS_PER_S)
#define OLD_MAX 4
#define RECORD_MAX 8192

struct child {
	pid_t pid; /* 0: none */
	uint64_t since_ns;
};

struct parent {
	struct loop *loop;
	struct settings *settings;
	struct listeners listeners;
	struct child now;
	struct child old[OLD_MAX];
	bool ready; /* the one of now serves */
	int pid_fd;
	int ready_fd; /* of proc_daemonize(), -1 when told */
	int log_rx, log_tx;
	int log_file;
	bool foreground;
	bool quitting;
	int status;
	unsigned int pause_ms;
	struct loop_event *look, *pause, *rx, *readiness, *limit;
	struct loop_event *signals[4];
};

static void use_log(const struct parent *p)
{
	struct log_sinks sinks = {
		.to_stderr = p->foreground || p->ready_fd == -2,
		.to_syslog = p->settings && p->settings->log_syslog,
		.fd = -1,
		.file_fd = p->log_file,
	};

	log_init("splxhttpd", &sinks, LOG_LVL_INFO);
}

static void open_log(struct parent *p)
{
	p->log_file = open(paths()->console_log,
			   O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC |
				   O_NOFOLLOW | O_NONBLOCK,
			   0640);
	use_log(p);
}

static void log_ready(int fd, int what, void *arg)
{
	char record[RECORD_MAX];
	ssize_t n;
	int i;

	(void)what, (void)arg;
	for (i = 0; i < 64; i++) {
		n = recv(fd, record, sizeof(record) - 1, MSG_DONTWAIT);
		if (n <= 0)
			return;
		record[n] = '\0';
		log_relay(record);
	}
}

static void told(struct parent *p, int status)
{
	if (p->ready_fd >= 0)
		proc_daemon_ready(&p->ready_fd, status);
	p->ready_fd = -1;
}

static void quit(struct parent *p, int status)
{
	if (!p->quitting)
		p->status = status;
	p->quitting = true;
	if (p->now.pid)
		kill(p->now.pid, SIGTERM);
	loop_cancel(&p->pause);
	listeners_close(&p->listeners);
	if (!p->now.pid)
		loop_stop(p->loop);
}

/* ---- the process that serves ---- */

static void start(struct parent *p);

static void on_ready(int fd, int what, void *arg)
{
	struct parent *p = arg;
	char byte;

	(void)what;
	p->ready = read(fd, &byte, 1) == 1;
	loop_cancel(&p->readiness);
	loop_cancel(&p->limit);
	close(fd);
	if (!p->ready)
		return; /* it ended: reap() */
	log_info("serving pid=%d https_port=%d", (int)p->now.pid,
		 p->settings->https_port);
	told(p, LSB_OK);
}

static void too_late(void *arg)
{
	struct parent *p = arg;

	loop_cancel(&p->limit);
	log_error("the process that serves does not come up");
	if (p->now.pid)
		kill(p->now.pid, SIGKILL);
}

static void in_child(struct parent *p, int ready)
{
	struct log_sinks sinks = {.fd = p->log_tx, .file_fd = -1};

	loop_forget(&p->loop); /* while its descriptors are there */
	fd_close(&p->log_rx);
	fd_close(&p->pid_fd);
	fd_close(&p->log_file);
	if (p->ready_fd >= 0)
		fd_close(&p->ready_fd);
	log_init("splxhttpd", &sinks, LOG_LVL_INFO);
	serve(p->settings, &p->listeners, ready);
}

static void pause_over(void *arg)
{
	struct parent *p = arg;

	loop_cancel(&p->pause);
	start(p);
}

static void again_later(struct parent *p)
{
	p->pause_ms = p->pause_ms ? p->pause_ms * 2 : 500;
	if (p->pause_ms > PAUSE_MAX_MS)
		p->pause_ms = PAUSE_MAX_MS;
	loop_cancel(&p->pause);
	p->pause = loop_timer(p->loop, p->pause_ms, false, pause_over, p);
}

static void start(struct parent *p)
{
	sigset_t all, before;
	int ends[2];
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0) {
		log_error("pipe2: %m");
		again_later(p);
		return;
	}
	/* A signal between the two would be the parent's loop's. */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	pid = fork();
	if (pid == 0) {
		close(ends[0]);
		in_child(p, ends[1]);
	}
	sigprocmask(SIG_SETMASK, &before, NULL);
	close(ends[1]);
	if (pid < 0) {
		log_error("fork: %m");
		close(ends[0]);
		again_later(p);
		return;
	}
	p->now = (struct child){pid, clock_mono_ns()};
	p->ready = false;
	p->readiness = loop_fd(p->loop, ends[0], LOOP_READ, on_ready, p);
	loop_cancel(&p->limit);
	p->limit = loop_timer(p->loop, START_NS / CLOCK_NS_PER_MS, false,
			      too_late, p);
}

/* It may answer what it was asked, beside the new one. */
static void retire(struct parent *p)
{
	size_t i, oldest = 0;

	for (i = 0; i < OLD_MAX; i++) {
		if (!p->old[i].pid)
			break;
		if (p->old[i].since_ns < p->old[oldest].since_ns)
			oldest = i;
	}
	if (i == OLD_MAX) {
		kill(p->old[oldest].pid, SIGKILL);
		i = oldest;
	}
	kill(p->now.pid, SIGTERM);
	p->old[i] = (struct child){p->now.pid, clock_mono_ns()};
	p->now.pid = 0;
}

static void replace(struct parent *p)
{
	if (p->readiness)
		return; /* one is coming up; the next look sees to it */
	if (p->now.pid)
		retire(p);
	loop_cancel(&p->pause);
	start(p);
}

static void gone(struct parent *p, int status)
{
	uint64_t lived = clock_mono_ns() - p->now.since_ns;

	p->now.pid = 0;
	if (p->quitting) {
		loop_stop(p->loop);
		return;
	}
	if (WIFSIGNALED(status))
		log_error("the process that serves was ended by signal %d",
			  WTERMSIG(status));
	else
		log_error("the process that serves ended with %d",
			  WEXITSTATUS(status));
	if (p->ready_fd >= 0 || (p->foreground && !p->ready)) {
		quit(p, LSB_FAILED); /* the start has failed */
		return;
	}
	if (lived > LIVED_NS)
		p->pause_ms = 0;
	again_later(p);
}

static void reap(int sig, void *arg)
{
	struct parent *p = arg;
	int status, i;
	pid_t pid;

	(void)sig;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		for (i = 0; i < OLD_MAX; i++)
			if (p->old[i].pid == pid)
				p->old[i].pid = 0;
		log_ready(p->log_rx, 0, p);
		if (pid == p->now.pid)
			gone(p, status);
	}
}

/* ---- settings ---- */

static void end_old(struct parent *p)
{
	uint64_t now = clock_mono_ns();
	int i;

	for (i = 0; i < OLD_MAX; i++)
		if (p->old[i].pid && now - p->old[i].since_ns > DRAIN_NS)
			kill(p->old[i].pid, SIGKILL);
}

/* Takes over what is set by now; with `force`, all is read anew. */
static void renew(struct parent *p, bool force)
{
	struct settings *s;
	struct err err;

	end_old(p);
	if (p->quitting || p->readiness)
		return;
	s = settings_get(&err);
	if (!s) {
		if (force || err.code == EINVAL)
			log_error("settings: %s", err.text);
		return;
	}
	if (!force && !strcmp(s->generation, p->settings->generation)) {
		settings_free(&s);
		return;
	}
	if (!s->enabled) {
		settings_free(&s);
		log_info("switched off (ConsoleEnabled)");
		quit(p, LSB_OK);
		return;
	}
	if (settings_certificate(&s, &err) < 0 ||
	    listeners_open(s, &p->listeners, &err) < 0) {
		log_error("%s; the console serves on by its former settings",
			  err.text);
		/* Tried again when they change. */
		free(p->settings->generation);
		p->settings->generation = xstrdup(s->generation);
		settings_free(&s);
		return;
	}
	settings_free(&p->settings);
	p->settings = s;
	use_log(p);
	log_info("settings taken over");
	replace(p);
}

static void look(void *arg)
{
	renew(arg, false);
}

static void on_hup(int sig, void *arg)
{
	(void)sig;
	renew(arg, true);
}

static void on_end(int sig, void *arg)
{
	(void)sig;
	quit(arg, LSB_OK);
}

/* ---- start ---- */

static struct settings *first_settings(struct err *err)
{
	struct settings *s;
	int n;

	for (n = 0; n < ENTITY_WAIT_S * 5; n++) {
		s = settings_get(err);
		if (s || (err->code != ENOENT && err->code != ECONNREFUSED))
			return s;
		usleep(200000);
	}
	err_set(err, 0, "entity does not answer: service splx start");
	return NULL;
}

static int prepare(struct parent *p, struct err *err)
{
	p->settings = first_settings(err);
	if (!p->settings)
		return err->code == EINVAL ? LSB_NOT_CONFIGURED : LSB_FAILED;
	if (!p->settings->enabled) {
		err_set(err, 0, "switched off: ConsoleEnabled = no");
		return LSB_NOT_CONFIGURED;
	}
	if (settings_certificate(&p->settings, err) < 0 ||
	    listeners_open(p->settings, &p->listeners, err) < 0)
		return LSB_FAILED;
	return LSB_OK;
}

static int log_pair(struct parent *p, struct err *err)
{
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
		       ends) < 0)
		return err_set(err, errno, "socketpair");
	p->log_rx = ends[0];
	p->log_tx = ends[1];
	return 0;
}

static int live(struct parent *p)
{
	size_t i;

	p->loop = loop_new();
	p->rx = loop_fd(p->loop, p->log_rx, LOOP_READ, log_ready, p);
	p->signals[0] = loop_signal_for_life(p->loop, SIGTERM, on_end, p);
	p->signals[1] = loop_signal_for_life(p->loop, SIGINT, on_end, p);
	p->signals[2] = loop_signal_for_life(p->loop, SIGHUP, on_hup, p);
	p->signals[3] = loop_signal(p->loop, SIGCHLD, reap, p);
	p->look = loop_timer(p->loop, LOOK_MS, true, look, p);
	start(p);
	loop_run(p->loop);
	for (i = 0; i < OLD_MAX; i++)
		if (p->old[i].pid)
			kill(p->old[i].pid, SIGKILL);
	log_ready(p->log_rx, 0, p);
	for (i = 0; i < 4; i++)
		loop_cancel(&p->signals[i]);
	loop_cancel(&p->look);
	loop_cancel(&p->pause);
	loop_cancel(&p->limit);
	loop_cancel(&p->readiness);
	loop_cancel(&p->rx);
	loop_free(&p->loop);
	log_info("ended");
	told(p, p->status);
	return p->status;
}

int parent_run(bool foreground)
{
	struct parent p = {.pid_fd = -1,
			   .ready_fd = -2, /* standard error is ours yet */
			   .log_rx = -1,
			   .log_tx = -1,
			   .log_file = -1,
			   .foreground = foreground};
	struct err err;
	int status;

	status = fd_only_standard(&err) ? LSB_FAILED : LSB_OK;
	use_log(&p);
	if (status == LSB_OK)
		status = prepare(&p, &err);
	if (status == LSB_OK && log_pair(&p, &err) < 0)
		status = LSB_FAILED;
	if (status == LSB_OK && !foreground) {
		p.ready_fd = proc_daemonize(&err);
		if (p.ready_fd < 0)
			status = LSB_FAILED;
	} else {
		p.ready_fd = -1;
	}
	if (status == LSB_OK) {
		open_log(&p);
		p.pid_fd = proc_pidfile_take(paths()->console_pid, &err);
		if (p.pid_fd < 0)
			status = LSB_FAILED;
	}
	if (status == LSB_OK) {
		status = live(&p);
		proc_pidfile_drop(paths()->console_pid, &p.pid_fd);
	} else {
		/* To whoever started us, and nowhere else. */
		log_error("%s", err.text);
		told(&p, status);
	}
	listeners_close(&p.listeners);
	settings_free(&p.settings);
	return status;
}
