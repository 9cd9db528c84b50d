/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/alloc.h"
#include "lib/clock.h"
#include "lib/fdutil.h"
#include "lib/str.h"
#include "scanjob.h"
#include "unixsock.h"

#define HELLO_MS 10000
#define WINDOW_PER_WORKER 4
#define WINDOW_MAX 256
/* how long to stand back when the kernel holds too many descriptors of ours
 * in flight: no event tells when it does not any more */
#define CROWDED_MS 10

/* A file under way; id 0: free. */
struct flight {
	uint64_t id;
	char *path;
};

struct scanclient {
	int sock;
	enum scan_source source;
	int first_action, second_action;
	scanclient_fn fn;
	void *arg;
	unsigned int workers;
	uint64_t job;	   /* the connection's */
	uint64_t scan_job; /* what findings carry; 0: the connection's */
	uint64_t last_id;
	struct flight *flights;
	unsigned int window; /* of flights[] */
	unsigned int limit;  /* at most window */
	unsigned int pending;
	struct err broken; /* text is empty while the service is there */
};

static void deliver(struct scanclient *sc, struct flight *f,
		    const struct scanjob_reply *reply)
{
	char *path = f->path;

	f->id = 0;
	f->path = NULL;
	sc->pending--;
	sc->fn(reply, path, sc->arg);
	free(path);
}

/* The service is of no use any more: says so for each file under way. */
static int give_up(struct scanclient *sc, int code, const char *why,
		   struct err *err)
{
	struct scanjob_reply reply = {
		.version = SCANJOB_VERSION,
		.kind = SCANJOB_FILE,
		.verdict = VERDICT_ERROR,
		.job = sc->job,
	};
	unsigned int i;

	if (!*sc->broken.text) {
		err_set(&sc->broken, code, "scan service: %s", why);
		str_copy(reply.virus, sizeof(reply.virus), sc->broken.text);
		for (i = 0; i < sc->window; i++) {
			reply.id = sc->flights[i].id;
			if (reply.id)
				deliver(sc, &sc->flights[i], &reply);
		}
	}
	if (err)
		*err = sc->broken;
	return -1;
}

/*
 * Takes one reply if there is one: 1, 0 when there is none, -1 (errno; 0 when
 * the service left). What is not a reply of this version is EPROTO.
 */
static int receive(struct scanclient *sc, struct scanjob_reply *reply)
{
	int fds[FD_PASS_MAX], nfds = 0, i;
	ssize_t n;

	n = fd_recv(sc->sock, reply, sizeof(*reply), fds, &nfds, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n < 0)
		return -1;
	for (i = 0; i < nfds; i++)
		fd_close(&fds[i]);
	errno = 0;
	if (n == 0)
		return -1;
	if ((size_t)n != sizeof(*reply) || reply->version != SCANJOB_VERSION ||
	    reply->verdict > VERDICT_ERROR) {
		errno = EPROTO;
		return -1;
	}
	reply->virus[sizeof(reply->virus) - 1] = '\0';
	return 1;
}

static struct flight *find_flight(struct scanclient *sc, uint64_t id)
{
	unsigned int i;

	for (i = 0; i < sc->window; i++)
		if (sc->flights[i].id == id)
			return &sc->flights[i];
	return NULL;
}

/* Delivers all answers that are there. 0, or -1 when the service left. */
static int collect(struct scanclient *sc, struct err *err)
{
	struct scanjob_reply reply;
	struct flight *f;
	int rc;

	while ((rc = receive(sc, &reply)) > 0) {
		f = reply.kind == SCANJOB_FILE && reply.id
			    ? find_flight(sc, reply.id)
			    : NULL;
		if (!f)
			return give_up(sc, EPROTO, "unexpected answer", err);
		deliver(sc, f, &reply);
	}
	if (rc == 0)
		return 0;
	return give_up(sc, errno, errno ? "connection" : "went away", err);
}

/* Waits for the socket: 0, or -1 and *err (EINTR: a signal). */
static int wait_for(struct scanclient *sc, short events, int timeout_ms,
		    struct err *err)
{
	struct pollfd pfd = {.fd = sc->sock, .events = events};

	if (poll(&pfd, 1, timeout_ms) >= 0)
		return 0;
	return err_set(err, errno, "waiting for the scan service");
}

static int send_file(struct scanclient *sc, struct flight *f, int fd,
		     const char *path, uint32_t flags)
{
	struct scanjob_request req = {
		.version = SCANJOB_VERSION,
		.kind = SCANJOB_FILE,
		.id = sc->last_id + 1,
		.flags = flags,
		.source = sc->source,
		.first_action = (uint32_t)sc->first_action,
		.second_action = (uint32_t)sc->second_action,
		.job = sc->scan_job,
	};

	str_copy(req.path, sizeof(req.path), path);
	if (fd_send(sc->sock, &req, sizeof(req), &fd, 1,
		    MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		return -1;
	f->id = ++sc->last_id;
	f->path = xstrdup(path);
	sc->pending++;
	return 0;
}

int scanclient_put(struct scanclient *sc, int fd, const char *path,
		   uint32_t flags, struct err *err)
{
	if (*sc->broken.text)
		return give_up(sc, 0, "", err);
	for (;;) {
		short events = POLLIN;
		int timeout = -1;

		if (collect(sc, err) < 0)
			return -1;
		if (sc->pending < sc->limit) {
			if (send_file(sc, find_flight(sc, 0), fd, path,
				      flags) == 0)
				return 0;
			if (errno == ETOOMANYREFS)
				timeout = CROWDED_MS;
			else if (errno == EAGAIN || errno == ENOBUFS)
				events |= POLLOUT;
			else if (errno == EBADF)
				return err_set(err, errno, "%s", path);
			else if (errno != EINTR)
				return give_up(sc, errno, "send", err);
		}
		if (wait_for(sc, events, timeout, err) < 0)
			return -1;
	}
}

int scanclient_drain(struct scanclient *sc, struct err *err)
{
	if (*sc->broken.text)
		return give_up(sc, 0, "", err);
	for (;;) {
		if (collect(sc, err) < 0)
			return -1;
		if (!sc->pending)
			return 0;
		if (wait_for(sc, POLLIN, -1, err) < 0)
			return -1;
	}
}

/* Asks who is there: how many workers, and the job's number. */
static int say_hello(struct scanclient *sc, struct err *err)
{
	struct scanjob_request req = {
		.version = SCANJOB_VERSION,
		.kind = SCANJOB_HELLO,
		.source = sc->source,
		.first_action = (uint32_t)sc->first_action,
		.second_action = (uint32_t)sc->second_action,
	};
	uint64_t end = clock_mono_ns() + HELLO_MS * CLOCK_NS_PER_MS;
	struct scanjob_reply reply;
	int rc;

	if (fd_send(sc->sock, &req, sizeof(req), NULL, 0, MSG_NOSIGNAL) < 0)
		return err_set(err, errno, "scan service: send");
	while ((rc = receive(sc, &reply)) == 0) {
		uint64_t now = clock_mono_ns();

		if (now >= end)
			return err_set(err, ETIMEDOUT, "scan service");
		if (wait_for(sc, POLLIN,
			     (int)((end - now) / CLOCK_NS_PER_MS) + 1, err) < 0)
			return -1;
	}
	if (rc < 0)
		return err_set(err, errno,
			       errno ? "scan service: connection"
				     : "scan service: went away");
	if (reply.kind != SCANJOB_HELLO)
		return err_set(err, EPROTO, "scan service: unexpected answer");
	if (reply.verdict != VERDICT_CLEAN) /* refused, and why */
		return err_set(err, EACCES, "scan service: %s", reply.virus);
	sc->workers = reply.workers ? reply.workers : 1;
	sc->job = reply.job;
	return 0;
}

struct scanclient *scanclient_open(const char *sock_path,
				   enum scan_source source, int first_action,
				   int second_action, scanclient_fn fn,
				   void *arg, struct err *err)
{
	struct scanclient *sc = xcalloc(1, sizeof(*sc));

	sc->source = source;
	sc->first_action = first_action;
	sc->second_action = second_action;
	sc->fn = fn;
	sc->arg = arg;
	sc->sock = unixsock_connect(sock_path, SOCK_SEQPACKET, HELLO_MS, err);
	if (sc->sock < 0 || say_hello(sc, err) < 0) {
		scanclient_close(&sc);
		return NULL;
	}
	sc->window = WINDOW_MAX;
	if (sc->workers < WINDOW_MAX / WINDOW_PER_WORKER)
		sc->window = sc->workers * WINDOW_PER_WORKER;
	sc->limit = sc->window;
	sc->flights = xcalloc(sc->window, sizeof(*sc->flights));
	return sc;
}

unsigned int scanclient_pending(const struct scanclient *sc)
{
	return sc->pending;
}

unsigned int scanclient_workers(const struct scanclient *sc)
{
	return sc->workers;
}

uint64_t scanclient_job(const struct scanclient *sc)
{
	return sc->job;
}

void scanclient_set_job(struct scanclient *sc, uint64_t job)
{
	sc->scan_job = job;
}

void scanclient_limit(struct scanclient *sc, unsigned int window)
{
	if (window < sc->window)
		sc->limit = window;
}

const char *scanclient_oldest(const struct scanclient *sc)
{
	const struct flight *oldest = NULL;
	unsigned int i;

	for (i = 0; i < sc->window; i++)
		if (sc->flights[i].id &&
		    (!oldest || sc->flights[i].id < oldest->id))
			oldest = &sc->flights[i];
	return oldest ? oldest->path : NULL;
}

bool scanclient_broken(const struct scanclient *sc)
{
	return *sc->broken.text != '\0';
}

void scanclient_close(struct scanclient **sc)
{
	unsigned int i;

	if (!*sc)
		return;
	for (i = 0; i < (*sc)->window; i++)
		free((*sc)->flights[i].path);
	free((*sc)->flights);
	fd_close(&(*sc)->sock);
	xfree(sc);
}
