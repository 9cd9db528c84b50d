// SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/scanjob.h"
#include "lib/alloc.h"
#include "lib/fdutil.h"
#include "lib/log.h"
#include "lib/str.h"
#include "worker_in.h"

/*
 * Scan jobs (common/scanjob.h). All back workers hold the same connection and
 * compete for its requests; one of low priority is the low worker's alone.
 * Everything that comes over it was written by somebody who may be hostile.
 */
/* More than the master lets in (jobs.c), as one that ended may still stand. */
#define CLIENTS_MAX 96
/* How often a reply that found no room is tried again. */
#define STUCK_MS 10

struct client {
	int fd; /* -1: free */
	uint64_t job;
	uint64_t sources; /* that it may name, a bit each */
	bool stuck; /* `reply` waits for room; nothing is taken until then */
	struct scanjob_reply reply;
};

struct jobs {
	struct client clients[CLIENTS_MAX];
	bool more; /* some client had a request in the last turn */
};

static struct file current;
static struct scanjob_request request;

void jobs_begin(struct worker *w)
{
	w->jobs = xcalloc(1, sizeof(*w->jobs));
	for (int i = 0; i < CLIENTS_MAX; i++)
		w->jobs->clients[i].fd = -1;
}

static void drop(struct worker *w, struct client *c)
{
	if (!c->stuck)
		worker_unlisten(w, c->fd);
	fd_close(&c->fd);
	c->stuck = false;
}

/* A client that takes no answers gets no ears either. */
static void set_stuck(struct worker *w, struct client *c, bool stuck)
{
	if (stuck && !c->stuck)
		worker_unlisten(w, c->fd);
	else if (!stuck && c->stuck)
		worker_listen(w, c->fd, false);
	c->stuck = stuck;
}

void jobs_add(struct worker *w, int fd, uint64_t job, uint64_t sources)
{
	for (int i = 0; i < CLIENTS_MAX; i++) {
		struct client *c = &w->jobs->clients[i];

		if (c->fd >= 0)
			continue;
		c->fd = fd_move(fd, WORKER_FLOOR);
		if (c->fd < 0)
			break;
		c->job = job;
		c->sources = sources;
		c->stuck = false;
		worker_listen(w, c->fd, false);
		return;
	}
	/* The other workers serve it. */
	log_warn("job %llu not taken: too many at once",
		 (unsigned long long)job);
	close(fd);
}

/* Sends the reply; what has no room is tried again in the next turns. */
static void send_reply(struct worker *w, struct client *c)
{
	int rc = fd_send(c->fd, &c->reply, sizeof(c->reply), NULL, 0,
			 MSG_DONTWAIT);
	bool room = rc == 0 || (errno != EAGAIN && errno != ENOBUFS);

	set_stuck(w, c, !room);
	if (rc < 0 && room)
		drop(w, c);
}

/* Why its source is none of this client's; NULL when it may name it. By some
 * sources who uses an infected file is ended. */
static const char *refuse_source(const struct client *c)
{
	if (c->sources >> request.source & 1)
		return NULL;
	return request.source == SOURCE_IN_USE
		       ? "what is in use is scanned for root alone"
		       : "this source is the service's own";
}

static void set_result(struct scanjob_reply *r, enum verdict v,
		       const char *text)
{
	r->verdict = v;
	str_copy(r->virus, sizeof(r->virus), text);
}

static void say_hello(struct worker *w, struct client *c)
{
	const char *why = refuse_source(c);
	uint32_t workers = 0;

	for (int i = 0; i < SCOREBOARD_SLOTS; i++)
		workers += atomic_load(&w->sb->slots[i].role) == w->s.role;
	c->reply = (struct scanjob_reply){
		.version = SCANJOB_VERSION,
		.kind = SCANJOB_HELLO,
		.workers = workers ? workers : 1,
		.job = c->job,
	};
	if (why)
		set_result(&c->reply, VERDICT_ERROR, why);
	send_reply(w, c);
}

/* Why a file cannot be scanned as it came; NULL when it can. */
static const char *refuse(struct worker *w, const struct client *c,
			  struct file *f, int nfds)
{
	const char *why = refuse_source(c);
	int flags;

	if (why)
		return why;
	if (nfds != 1)
		return "one open file belongs to a request";
	flags = fcntl(f->fd, F_GETFL);
	if (flags < 0 || (flags & O_PATH) || (flags & O_ACCMODE) == O_WRONLY)
		return "the file is not open for reading";
	if (file_look(f) < 0)
		return strerror(errno);
	if (!S_ISREG(f->st.st_mode))
		return "not a regular file";
	if (file_is_poison(w, f))
		return "the file ended two scan workers and is not tried again";
	return NULL;
}

static void scan_file(struct worker *w, struct client *c, int nfds)
{
	struct file *f = &current;
	const char *why = refuse(w, c, f, nfds);

	if (why) {
		set_result(&c->reply, VERDICT_ERROR, why);
		return;
	}
	c->reply.bytes = f->key.size;
	if (!(request.flags & SCANJOB_IGNORE_KNOWN) && file_is_known(w, f)) {
		set_result(&c->reply, VERDICT_CLEAN, "");
		c->reply.known = 1;
		return;
	}
	/* Should the scan end this process it is known by it. */
	w->slot->scan_key = f->key;
	file_scan(w, f);
	file_account(w, f, f->scan_ns);
	c->reply.scan_ns = f->scan_ns;
	set_result(&c->reply, f->result.verdict, f->result.name);
	if (f->result.verdict != VERDICT_CLEAN)
		file_unmark(w, f);
	if (f->result.verdict == VERDICT_CLEAN && file_is_steady(f))
		file_remember(w, f);
	else if (f->result.verdict == VERDICT_INFECTED && !f->passed)
		report_finding(w, f, false, false, 0, (int)request.first_action,
			       (int)request.second_action);
}

static void serve_file(struct worker *w, struct client *c, const int *fds,
		       int nfds)
{
	/* From here the master can answer for us. */
	atomic_store(&w->slot->job, c->job);
	atomic_store(&w->slot->job_request, request.id);
	c->reply = (struct scanjob_reply){
		.version = SCANJOB_VERSION,
		.kind = SCANJOB_FILE,
		.id = request.id,
		.job = c->job,
	};
	current.fd = nfds > 0 ? fds[0] : -1;
	current.pid = 0;
	current.source = (enum scan_source)request.source;
	/* Whoever may scan may also say for which of his scans it is: a
	 * wrong number is a wrong entry in a list, no more. */
	current.job = request.job ? request.job : c->job;
	scan_file(w, c, nfds);
	send_reply(w, c);
	atomic_store(&w->slot->job_request, 0);
}

static bool is_sound(const struct scanjob_request *r, ssize_t len)
{
	return len == (ssize_t)sizeof(*r) && r->version == SCANJOB_VERSION &&
	       r->kind <= SCANJOB_FILE && r->source >= SOURCE_MANUAL &&
	       r->source < SOURCE_COUNT &&
	       (r->flags & ~SCANJOB_IGNORE_KNOWN) == 0 &&
	       r->first_action <= ACTION_NONE &&
	       r->second_action <= ACTION_NONE &&
	       memchr(r->path, '\0', sizeof(r->path)) != NULL &&
	       (r->kind == SCANJOB_HELLO || r->id != 0);
}

/* One request of a client. True when there was one. */
static bool serve(struct worker *w, struct client *c)
{
	int fds[FD_PASS_MAX], nfds = 0;
	ssize_t len = fd_recv(c->fd, &request, sizeof(request), fds, &nfds,
			      MSG_DONTWAIT);

	if (len < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (len <= 0) {
		drop(w, c);
		return false;
	}
	if (!is_sound(&request, len)) {
		log_warn("job %llu ended: a request that makes no sense",
			 (unsigned long long)c->job);
		drop(w, c);
	} else if (request.kind == SCANJOB_HELLO) {
		say_hello(w, c);
	} else {
		serve_file(w, c, fds, nfds);
	}
	for (int i = 0; i < nfds; i++)
		fd_close(&fds[i]);
	return true;
}

void jobs_turn(struct worker *w)
{
	w->jobs->more = false;
	for (int i = 0; i < CLIENTS_MAX; i++) {
		struct client *c = &w->jobs->clients[i];

		if (c->fd >= 0 && c->stuck)
			send_reply(w, c);
		if (c->fd >= 0 && !c->stuck && serve(w, c))
			w->jobs->more = true;
	}
}

int jobs_patience(const struct worker *w)
{
	if (w->jobs->more)
		return 0;
	for (int i = 0; i < CLIENTS_MAX; i++)
		if (w->jobs->clients[i].fd >= 0 && w->jobs->clients[i].stuck)
			return STUCK_MS;
	return -1;
}

void jobs_end(struct worker *w)
{
	/* A reply that still waits is owed. */
	for (int i = 0; i < CLIENTS_MAX; i++) {
		struct client *c = &w->jobs->clients[i];

		for (int n = 0; n < 100 && c->fd >= 0 && c->stuck; n++) {
			struct timespec step = {.tv_nsec = 10000000};

			nanosleep(&step, NULL);
			send_reply(w, c);
		}
		if (c->fd >= 0)
			drop(w, c);
	}
	xfree(&w->jobs);
}
