/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/* Verbs over a unix socket: the service's side. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ipc.h"
#include "lib/alloc.h"
#include "lib/fdutil.h"
#include "lib/log.h"
#include "lib/str.h"
#include "lib/vec.h"
#include "unixsock.h"

#define READ_CHUNK 65536
#define OUT_HIGH (4u << 20)   /* a stream is asked to pause */
#define OUT_LOW (1u << 20)    /* and to go on */
#define OUT_LIMIT (64u << 20) /* a client that never reads */
#define OUT_KEEP (256u << 10) /* memory that an idle connection keeps */
#define IPC_FROM_MAX 64	      /* of "from": an address in text */
#define CALLS_MAX 32	      /* unanswered ones of one connection */
#define ACCEPT_PAUSE_MS 1000

struct ipc_server {
	struct loop *loop;
	char *path;
	int sock;
	struct loop_event *on_accept;
	struct loop_event *accept_again;
	ipc_request_fn fn;
	void *arg;
	struct {
		VEC(struct ipc_conn *);
	} conns;
	struct log_limit accept_limit;
};

struct ipc_conn {
	struct ipc_server *srv;
	int sock;
	struct ipc_peer peer;
	struct loop_event *on_read;
	struct loop_event *on_write;
	struct loop_event *kick; /* work put off to the next turn of the loop */
	struct str in;
	size_t scanned; /* of in: there is no newline before */
	struct str out;
	size_t sent;   /* of out */
	bool eof;      /* the client sends nothing more, but may listen */
	bool no_more;  /* takes no requests; ends when all is answered */
	bool handling; /* handle_lines() is at work further up the stack */
	bool broken;   /* ends at once */
	struct {
		VEC(struct ipc_call *);
	} calls;
};

struct ipc_call {
	struct ipc_conn *conn; /* NULL: the client left */
	struct ipc_peer peer;
	json_t *id;
	json_t *as;
	char *from;
	bool paused; /* ipc_more() returned false */
	void (*gone)(void *arg);
	void *gone_arg;
	void (*writable)(void *arg);
	void *writable_arg;
};

static void conn_update(struct ipc_conn *conn);
static void conn_on_kick(void *arg);

static size_t out_waiting(const struct ipc_conn *conn)
{
	return conn->out.len - conn->sent;
}

static void call_free(struct ipc_call *call)
{
	json_decref(call->id);
	json_decref(call->as);
	free(call->from);
	free(call);
}

/* Takes a call out of its connection. */
static void call_detach(struct ipc_call *call)
{
	struct ipc_conn *conn = call->conn;
	size_t i;

	call->conn = NULL;
	for (i = 0; i < conn->calls.len; i++) {
		if (conn->calls.items[i] == call) {
			vec_remove(&conn->calls, i);
			return;
		}
	}
}

static void conn_free(struct ipc_conn *conn)
{
	struct ipc_server *srv = conn->srv;
	size_t i;

	while (conn->calls.len) {
		struct ipc_call *call = conn->calls.items[0];

		/* Each is another one: detached, so no longer in the list. */
		call_detach(call); // NOLINT(clang-analyzer-unix.Malloc)
		if (!call->gone)
			continue; /* its handler will answer it some time */
		call->gone(call->gone_arg);
		call_free(call);
	}
	vec_free(&conn->calls);
	loop_cancel(&conn->on_read);
	loop_cancel(&conn->on_write);
	loop_cancel(&conn->kick);
	fd_close(&conn->sock);
	str_free(&conn->in);
	str_free(&conn->out);
	for (i = 0; i < srv->conns.len; i++) {
		if (srv->conns.items[i] == conn) {
			vec_remove(&srv->conns, i);
			break;
		}
	}
	free(conn);
}

/* Anything that may end the connection or call a handler waits for the next
 * turn of the loop: nobody's pointer dies under him. */
static void conn_kick(struct ipc_conn *conn)
{
	if (!conn->kick)
		conn->kick = loop_timer(conn->srv->loop, 0, false, conn_on_kick,
					conn);
}

static void conn_break(struct ipc_conn *conn)
{
	conn->broken = true;
	loop_cancel(&conn->on_read);
	loop_cancel(&conn->on_write);
	conn_kick(conn);
}

/* Sends what the client takes now. */
static void conn_flush(struct ipc_conn *conn)
{
	while (!conn->broken && out_waiting(conn)) {
		ssize_t n =
			send(conn->sock, conn->out.s + conn->sent,
			     out_waiting(conn), MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n >= 0)
			conn->sent += (size_t)n;
		else if (errno == EAGAIN)
			break;
		else if (errno != EINTR)
			conn_break(conn);
	}
	if (!out_waiting(conn)) {
		conn->sent = 0;
		if (conn->out.cap > OUT_KEEP)
			str_free(&conn->out);
		else
			str_clear(&conn->out);
	} else if (conn->sent > OUT_LOW) {
		memmove(conn->out.s, conn->out.s + conn->sent,
			out_waiting(conn) + 1);
		conn->out.len -= conn->sent;
		conn->sent = 0;
	}
}

/* Queues one object as a line; takes over the reference. -1: too large. */
static int conn_send(struct ipc_conn *conn, json_t *object)
{
	char *text = json_dumps(object, JSON_COMPACT);
	size_t len = text ? strlen(text) : 0;

	json_decref(object);
	if (!text || len >= IPC_ANSWER_MAX) {
		free(text);
		return -1;
	}
	if (!conn->broken) {
		str_addn(&conn->out, text, len);
		str_addn(&conn->out, "\n", 1);
		if (out_waiting(conn) > OUT_LIMIT)
			conn_break(conn);
		conn_flush(conn);
		if (!conn->broken)
			conn_update(conn);
	}
	free(text);
	return 0;
}

static void send_error(struct ipc_conn *conn, json_t *id, const char *code,
		       const char *message, json_t *data)
{
	json_t *text = json_string(message);
	char escaped[1024];

	if (!text) /* a path in it is no UTF-8 */
		text = json_string(
			log_escape(escaped, sizeof(escaped), message));
	conn_send(conn, json_pack("{s:O?, s:b, s:{s:s, s:o, s:O*}}", "id", id,
				  "ok", 0, "error", "code", code, "message",
				  text, "data", data));
}

/* May more requests be taken? */
static bool wants_requests(const struct ipc_conn *conn)
{
	return !conn->broken && !conn->no_more && conn->calls.len < CALLS_MAX &&
	       out_waiting(conn) < OUT_HIGH;
}

static void bad_request(struct ipc_conn *conn, json_t *id, const char *why)
{
	send_error(conn, id, "bad_request", why, NULL);
}

/* What is wrong with who asks, by its kinds alone; NULL when nothing is. */
static const char *wrong_caller(json_t *as, json_t *from)
{
	if (as && !json_is_object(as))
		return "as is no object";
	if (from &&
	    (!json_is_string(from) || json_string_length(from) > IPC_FROM_MAX))
		return "from is no address";
	return NULL;
}

/* Hands a request to the service; its call lives until it is answered. */
static void handle_request(struct ipc_conn *conn, json_t *request)
{
	json_t *id = json_object_get(request, "id");
	const char *verb = json_string_value(json_object_get(request, "verb"));
	json_t *args = json_object_get(request, "args");
	json_t *as = json_object_get(request, "as");
	json_t *from = json_object_get(request, "from");
	const char *wrong = wrong_caller(as, from);
	struct ipc_call *call;

	if (id && !json_is_integer(id) && !json_is_string(id)) {
		bad_request(conn, NULL, "id is neither a number nor a string");
		return;
	}
	if (!verb) {
		bad_request(conn, id, "verb is missing or no string");
		return;
	}
	if (args && !json_is_object(args)) {
		bad_request(conn, id, "args is no object");
		return;
	}
	if (wrong) {
		bad_request(conn, id, wrong);
		return;
	}
	args = args ? json_incref(args) : json_object();
	call = xcalloc(1, sizeof(*call));
	call->conn = conn;
	call->peer = conn->peer;
	call->id = id ? json_incref(id) : json_null();
	call->as = json_incref(as);
	call->from = from ? xstrdup(json_string_value(from)) : NULL;
	vec_push(&conn->calls, call);
	conn->srv->fn(call, verb, args, conn->srv->arg);
	json_decref(args);
}

static void handle_line(struct ipc_conn *conn, const char *line, size_t len)
{
	json_error_t why;
	json_t *request;

	if (len && line[len - 1] == '\r')
		len--;
	if (!len)
		return;
	request = json_loadb(line, len, 0, &why);
	if (!request)
		bad_request(conn, NULL, why.text);
	else if (!json_is_object(request))
		bad_request(conn, NULL, "a request is an object");
	else
		handle_request(conn, request);
	json_decref(request);
}

static void too_long(struct ipc_conn *conn)
{
	conn->no_more = true;
	str_clear(&conn->in);
	conn->scanned = 0;
	bad_request(conn, NULL, "the line is too long");
}

/* Handles the whole lines that came, as far as more requests may be taken. */
static void handle_lines(struct ipc_conn *conn)
{
	size_t at = 0;

	conn->handling = true;
	while (wants_requests(conn) && at < conn->in.len) {
		const char *begin = conn->in.s + at;
		const char *from =
			conn->in.s + (conn->scanned > at ? conn->scanned : at);
		const char *end = memchr(
			from, '\n', (size_t)(conn->in.s + conn->in.len - from));
		size_t len = end ? (size_t)(end - begin) : conn->in.len - at;

		if (len > IPC_LINE_MAX) {
			too_long(conn);
			at = 0;
			break;
		}
		if (!end) {
			conn->scanned = conn->in.len;
			break;
		}
		handle_line(conn, begin, len);
		at += len + 1;
	}
	if (at) {
		conn->in.len -= at;
		conn->scanned -= conn->scanned > at ? at : conn->scanned;
		memmove(conn->in.s, conn->in.s + at, conn->in.len + 1);
	}
	if (!conn->in.len && conn->in.cap > OUT_KEEP)
		str_free(&conn->in);
	conn->handling = false;
}

/* The client sends nothing more. Gone for good, or does it still listen
 * ("echo ... | nc -U")? */
static void conn_eof(struct ipc_conn *conn)
{
	struct pollfd pfd = {.fd = conn->sock};

	conn->eof = true;
	if (poll(&pfd, 1, 0) != 0 && (pfd.revents & (POLLHUP | POLLERR)))
		conn_break(conn);
}

static void conn_on_read(int fd, int what, void *arg)
{
	struct ipc_conn *conn = arg;
	char buf[READ_CHUNK];
	ssize_t n;

	n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);
	if (n > 0) {
		str_addn(&conn->in, buf, (size_t)n);
		handle_lines(conn);
	} else if (n == 0) {
		conn_eof(conn);
	} else if (errno != EAGAIN && errno != EINTR) {
		conn_break(conn);
	}
	conn_update(conn);
}

/* Lets paused streams go on, one after the other while there is room. */
static void wake_streams(struct ipc_conn *conn)
{
	size_t i;

	for (i = 0; i < conn->calls.len; i++) {
		struct ipc_call *call = conn->calls.items[i];

		if (!call->paused || conn->broken ||
		    out_waiting(conn) >= OUT_LOW)
			continue;
		call->paused = false;
		if (!call->writable)
			continue;
		/* it may end its own call and others: begin anew */
		call->writable(call->writable_arg);
		i = (size_t)-1;
	}
}

static void conn_on_write(int fd, int what, void *arg)
{
	struct ipc_conn *conn = arg;

	conn_flush(conn);
	wake_streams(conn);
	conn_update(conn);
}

static void conn_on_kick(void *arg)
{
	struct ipc_conn *conn = arg;

	loop_cancel(&conn->kick);
	if (!conn->broken) {
		wake_streams(conn);
		handle_lines(conn);
		conn_update(conn);
	}
	if (conn->broken)
		conn_free(conn);
}

/* Is there something in the input that nobody has looked at? */
static bool has_unread(const struct ipc_conn *conn)
{
	return !conn->no_more && conn->in.len > conn->scanned;
}

static bool has_ended(const struct ipc_conn *conn)
{
	return (conn->no_more || conn->eof) && !has_unread(conn) &&
	       !conn->calls.len && !out_waiting(conn);
}

/* A paused stream for which there is room again? */
static bool can_wake(const struct ipc_conn *conn)
{
	size_t i;

	for (i = 0; i < conn->calls.len; i++)
		if (conn->calls.items[i]->paused)
			return out_waiting(conn) < OUT_LOW;
	return false;
}

/* Asks the loop for what the connection waits for now. */
static void conn_update(struct ipc_conn *conn)
{
	struct loop *loop = conn->srv->loop;
	bool reads = wants_requests(conn) && !conn->eof;
	bool writes = out_waiting(conn);

	if (conn->handling || conn->broken)
		return; /* comes again when that is done */
	if (has_ended(conn)) {
		conn_break(conn);
		return;
	}
	if (reads && !conn->on_read)
		conn->on_read = loop_fd(loop, conn->sock, LOOP_READ,
					conn_on_read, conn);
	else if (!reads)
		loop_cancel(&conn->on_read);
	if (writes && !conn->on_write)
		conn->on_write = loop_fd(loop, conn->sock, LOOP_WRITE,
					 conn_on_write, conn);
	else if (!writes)
		loop_cancel(&conn->on_write);
	if (can_wake(conn) || (has_unread(conn) && wants_requests(conn)))
		conn_kick(conn);
}

/* Why one more connection of this user is one too many; NULL when not. */
static const char *too_many(const struct ipc_server *srv, uid_t uid)
{
	size_t same = 0, users = 0, i;

	for (i = 0; i < srv->conns.len; i++) {
		same += srv->conns.items[i]->peer.uid == uid;
		users += srv->conns.items[i]->peer.uid != 0;
	}
	if (srv->conns.len >= IPC_CLIENTS_MAX)
		return "too many connections";
	if (uid != 0 && users >= IPC_CLIENTS_USERS)
		return "too many connections of users";
	if (uid != 0 && same >= IPC_CLIENTS_USER)
		return "too many connections of this user";
	return NULL;
}

static void refuse(int sock, const char *why)
{
	char line[160];
	int n;

	n = snprintf(line, sizeof(line),
		     "{\"id\":null,\"ok\":false,\"error\":{\"code\":"
		     "\"unavailable\",\"message\":\"%s\"}}\n",
		     why);
	if (send(sock, line, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		log_debug("ipc refuse: %m");
}

static void add_client(struct ipc_server *srv, int sock)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);
	struct ipc_conn *conn;
	const char *why;

	if (getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0) {
		log_warn("getsockopt(SO_PEERCRED): %m");
		close(sock);
		return;
	}
	why = too_many(srv, cred.uid);
	if (why) {
		refuse(sock, why);
		close(sock);
		return;
	}
	conn = xcalloc(1, sizeof(*conn));
	conn->srv = srv;
	conn->sock = sock;
	conn->peer.uid = cred.uid;
	conn->peer.gid = cred.gid;
	conn->peer.pid = cred.pid;
	vec_push(&srv->conns, conn);
	conn_update(conn);
}

static void server_on_accept(int fd, int what, void *arg);

static void server_accept_again(void *arg)
{
	struct ipc_server *srv = arg;

	loop_cancel(&srv->accept_again);
	srv->on_accept =
		loop_fd(srv->loop, srv->sock, LOOP_READ, server_on_accept, srv);
}

static void server_on_accept(int fd, int what, void *arg)
{
	struct ipc_server *srv = arg;
	int sock = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (sock >= 0) {
		add_client(srv, sock);
		return;
	}
	if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED)
		return;
	/* no descriptors left: the connection stays in the backlog, and the
	 * loop must not spin on it meanwhile */
	log_limited(&srv->accept_limit, 1, 60000, LOG_LVL_WARN,
		    "accept(%s): %m", srv->path);
	loop_cancel(&srv->on_accept);
	srv->accept_again = loop_timer(srv->loop, ACCEPT_PAUSE_MS, false,
				       server_accept_again, srv);
}

struct ipc_server *ipc_listen(struct loop *loop, const char *path,
			      ipc_request_fn fn, void *arg, struct err *err)
{
	struct ipc_server *srv;
	int sock = unixsock_listen(path, SOCK_STREAM, 0666, err);

	if (sock < 0)
		return NULL;
	srv = xcalloc(1, sizeof(*srv));
	srv->loop = loop;
	srv->path = xstrdup(path);
	srv->sock = sock;
	srv->fn = fn;
	srv->arg = arg;
	srv->on_accept = loop_fd(loop, sock, LOOP_READ, server_on_accept, srv);
	return srv;
}

void ipc_server_free(struct ipc_server **srvp)
{
	struct ipc_server *srv = *srvp;

	if (!srv)
		return;
	while (srv->conns.len)
		/* conn_free() takes it out of the list. */
		// NOLINTNEXTLINE(clang-analyzer-unix.Malloc)
		conn_free(srv->conns.items[0]);
	vec_free(&srv->conns);
	loop_cancel(&srv->on_accept);
	loop_cancel(&srv->accept_again);
	fd_close(&srv->sock);
	if (unlink(srv->path) < 0 && errno != ENOENT)
		log_warn("unlink(%s): %m", srv->path);
	free(srv->path);
	xfree(srvp);
}

const struct ipc_peer *ipc_call_peer(const struct ipc_call *call)
{
	return &call->peer;
}

json_t *ipc_call_as(const struct ipc_call *call)
{
	return call->as;
}

const char *ipc_call_from(const struct ipc_call *call)
{
	return call->from;
}

/* Takes the call off its connection (NULL when the client left). */
static struct ipc_conn *call_end(struct ipc_call **callp)
{
	struct ipc_call *call = *callp;
	struct ipc_conn *conn = call->conn;

	*callp = NULL;
	if (conn)
		call_detach(call);
	return conn;
}

void ipc_reply(struct ipc_call **callp, json_t *data)
{
	struct ipc_call *call = *callp;
	struct ipc_conn *conn = call_end(callp);

	if (!conn)
		json_decref(data);
	else if (conn_send(conn, json_pack("{s:O, s:b, s:o?}", "id", call->id,
					   "ok", 1, "data", data)) < 0)
		send_error(conn, call->id, "failed",
			   "the answer is too large: ask for less", NULL);
	call_free(call);
}

static void call_fail(struct ipc_call **callp, const char *code, json_t *data,
		      const char *fmt, va_list ap)
{
	struct ipc_call *call = *callp;
	struct ipc_conn *conn = call_end(callp);
	char message[1024];

	vsnprintf(message, sizeof(message), fmt, ap);
	if (conn)
		send_error(conn, call->id, code, message, data);
	json_decref(data);
	call_free(call);
}

void ipc_fail(struct ipc_call **callp, const char *code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	call_fail(callp, code, NULL, fmt, ap);
	va_end(ap);
}

void ipc_fail_data(struct ipc_call **callp, const char *code, json_t *data,
		   const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	call_fail(callp, code, data, fmt, ap);
	va_end(ap);
}

bool ipc_more(struct ipc_call *call, json_t *data)
{
	struct ipc_conn *conn = call->conn;

	if (!conn) {
		json_decref(data);
		return false;
	}
	if (conn_send(conn, json_pack("{s:O, s:b, s:b, s:o?}", "id", call->id,
				      "ok", 1, "more", 1, "data", data)) < 0)
		log_warn("ipc part left out: too large");
	call->paused = conn->broken || out_waiting(conn) > OUT_HIGH;
	return !call->paused;
}

void ipc_on_gone(struct ipc_call *call, void (*fn)(void *arg), void *arg)
{
	call->gone = fn;
	call->gone_arg = arg;
}

void ipc_on_writable(struct ipc_call *call, void (*fn)(void *arg), void *arg)
{
	call->writable = fn;
	call->writable_arg = arg;
}
