/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "controlsock.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bringup.h"
#include "common/control.h"
#include "common/paths.h"
#include "common/unixsock.h"
#include "lib/alloc.h"
#include "lib/clock.h"
#include "lib/fdutil.h"
#include "lib/log.h"

#define CONNS_MAX 32
/* Loading all of ClamAV's signatures takes 15 s on a fast machine. */
#define START_WAIT_NS (170 * CLOCK_NS_PER_S)

enum conn_wait { WAIT_NONE, WAIT_START, WAIT_STOP };

struct conn {
	struct controlsock *cs;
	struct conn *next;
	int fd;
	struct loop_event *ev;
	enum conn_wait wait;
	uint64_t give_up_ns;
	unsigned int deaths; /* WAIT_START: how many there had been */
};

struct controlsock {
	struct supervisor *sup;
	int fd;
	struct loop_event *ev;
	struct conn *conns;
	unsigned int count;
};

static void conn_free(struct conn *c)
{
	struct conn **p = &c->cs->conns;

	while (*p != c)
		p = &(*p)->next;
	*p = c->next;
	c->cs->count--;
	loop_cancel(&c->ev);
	fd_close(&c->fd);
	free(c);
}

static void reply(struct conn *c, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static void reply(struct conn *c, const char *fmt, ...)
{
	char text[CONTROL_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	c->wait = WAIT_NONE;
	/* A client that does not read gets nothing; we wait for nobody. */
	if (send(c->fd, text, strlen(text), MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		log_debug("control answer: %m");
}

static void cmd_status(struct conn *c)
{
	const struct supervisor *sup = c->cs->sup;

	char netmon[96] = "";

	/* Told only where it is wanted, or still there. */
	if (sup->netmon.state != PART_STOPPED)
		snprintf(netmon, sizeof(netmon),
			 "\nsplxnetmon pid=%d state=%s restarts=%u",
			 sup->netmon.id.pid, part_state_name(&sup->netmon),
			 sup->netmon.deaths);
	reply(c,
	      "ok\nsupervisor pid=%d state=running restarts=%u\n"
	      "entity pid=%d state=%s restarts=%u\n"
	      "vsapiapp pid=%d state=%s restarts=%u%s",
	      (int)getpid(), atomic_load(&sup->sb->supervisor.restarts),
	      sup->core.id.pid, part_state_name(&sup->core), sup->core.deaths,
	      sup->master.id.pid, part_state_name(&sup->master),
	      sup->master.deaths, netmon);
}

static void cmd_start(struct conn *c)
{
	struct supervisor *sup = c->cs->sup;
	struct err err;

	if (sup->quitting) {
		reply(c, "error: the suite is just being stopped");
		return;
	}
	if (sup->master.state == PART_STOPPED)
		bringup_module(sup); /* it may have been loaded by now */
	c->deaths = sup->master.deaths;
	c->wait = WAIT_START;
	c->give_up_ns = clock_mono_ns() + START_WAIT_NS;
	if (supervisor_start_master(sup, &err))
		reply(c, "error: %s", err.text);
}

static void cmd_stop(struct conn *c)
{
	c->wait = WAIT_STOP;
	supervisor_stop_master(c->cs->sup);
}

static void cmd_release(struct conn *c)
{
	struct err err;

	if (supervisor_release_module(c->cs->sup, &err))
		reply(c, "error: %s", err.text);
	else
		reply(c, "ok");
}

static void command(struct conn *c, const char *text)
{
	if (!strcmp(text, "status")) {
		cmd_status(c);
	} else if (!strcmp(text, "start vsapiapp")) {
		log_info("vsapiapp start asked for");
		cmd_start(c);
	} else if (!strcmp(text, "stop vsapiapp")) {
		log_info("vsapiapp stop asked for");
		cmd_stop(c);
	} else if (!strcmp(text, "stop all")) {
		log_info("stop asked for");
		reply(c, "ok");
		supervisor_quit(c->cs->sup);
	} else if (!strcmp(text, "release module")) {
		log_info("release of the kernel module asked for");
		cmd_release(c);
	} else {
		reply(c, "error: unknown command; there are: start vsapiapp, "
			 "stop vsapiapp, stop all, release module, status");
	}
}

static void conn_ready(int fd, int what, void *arg)
{
	char text[CONTROL_MAX];
	struct conn *c = arg;
	ssize_t n;

	(void)what;
	n = recv(fd, text, sizeof(text) - 1, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		conn_free(c);
		return;
	}
	text[n] = '\0';
	if (c->wait != WAIT_NONE)
		reply(c, "error: one command at a time");
	else
		command(c, text);
}

static bool is_root(int fd)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) == 0 &&
	       cred.uid == 0;
}

static void accept_ready(int fd, int what, void *arg)
{
	struct controlsock *cs = arg;
	struct conn *c;
	int s = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK), high;

	(void)what;
	if (s < 0)
		return;
	high = fd_move(s, SUPERVISOR_FD_FLOOR);
	if (high < 0 || cs->count >= CONNS_MAX || !is_root(high)) {
		close(high < 0 ? s : high);
		return;
	}
	c = xcalloc(1, sizeof(*c));
	c->cs = cs;
	c->fd = high;
	c->next = cs->conns;
	cs->conns = c;
	cs->count++;
	c->ev = loop_fd(cs->sup->loop, high, LOOP_READ, conn_ready, c);
}

static void tick_start(struct conn *c, uint64_t now_ns)
{
	struct supervisor *sup = c->cs->sup;
	char text[64];

	if (supervisor_master_ready(sup))
		reply(c, "ok");
	else if (sup->quitting || sup->master.state == PART_STOPPING)
		reply(c, "error: vsapiapp is just being stopped");
	else if (sup->master.deaths != c->deaths)
		reply(c,
		      "error: vsapiapp ended while it started (%s); it is "
		      "tried again with growing pauses; see %s",
		      part_status_text(sup->master.last_status, text,
				       sizeof(text)),
		      paths()->log_file);
	else if (now_ns >= c->give_up_ns)
		reply(c,
		      "error: vsapiapp is still starting after %llu s; see %s",
		      (unsigned long long)(START_WAIT_NS / CLOCK_NS_PER_S),
		      paths()->log_file);
}

void controlsock_tick(struct controlsock *cs, uint64_t now_ns)
{
	struct conn *c;

	for (c = cs->conns; c; c = c->next) {
		if (c->wait == WAIT_START)
			tick_start(c, now_ns);
		else if (c->wait == WAIT_STOP &&
			 supervisor_master_gone(cs->sup))
			reply(c, "ok");
	}
}

struct controlsock *controlsock_new(struct supervisor *sup, struct err *err)
{
	struct controlsock *cs;
	int fd = unixsock_listen(paths()->control_sock, SOCK_SEQPACKET, 0600,
				 err);

	if (fd < 0)
		return NULL;
	cs = xcalloc(1, sizeof(*cs));
	cs->sup = sup;
	cs->fd = fd_move(fd, SUPERVISOR_FD_FLOOR);
	if (cs->fd < 0) {
		err_set(err, errno, "cannot move a descriptor");
		fd_close(&fd);
		xfree(&cs);
		return NULL;
	}
	cs->ev = loop_fd(sup->loop, cs->fd, LOOP_READ, accept_ready, cs);
	return cs;
}

void controlsock_free(struct controlsock **csp)
{
	struct controlsock *cs = *csp;

	if (!cs)
		return;
	while (cs->conns) {
		/* conn_free() took the one before out of the list. */
		// NOLINTNEXTLINE(clang-analyzer-unix.Malloc)
		if (cs->conns->wait == WAIT_STOP)
			reply(cs->conns, "ok");
		else if (cs->conns->wait != WAIT_NONE)
			reply(cs->conns, "error: the suite ends");
		conn_free(cs->conns);
	}
	loop_cancel(&cs->ev);
	fd_close(&cs->fd);
	unlink(paths()->control_sock);
	xfree(csp);
}
