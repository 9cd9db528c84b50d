/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include <microhttpd.h>

#include "lib/alloc.h"
#include "lib/clock.h"
#include "lib/fdutil.h"
#include "lib/log.h"
#include "lib/vec.h"
#include "framing.h"
#include "params.h"

#define ACCEPTS 64 /* in one turn of the loop */
#define TICK_MS 1000
#define REST_MS 100
/* From the first byte of a connection (TLS) to the end of a request's headers,
 * of its body; how long an answer may take to be read, and how long nothing
 * may be asked. A byte now and then lengthens none of them. */
#define HEADERS_NS (30 * CLOCK_NS_PER_S)
#define BODY_NS (60 * CLOCK_NS_PER_S)
#define ANSWER_NS (180 * CLOCK_NS_PER_S)
#define FRESH_NS (3 * CLOCK_NS_PER_S)
#define IDLE_NS (60 * CLOCK_NS_PER_S)
#define PATH_BYTES 512
#define PART_BYTES 65536
#define HEADERS_OWN 8

#define TLS_PRIORITIES                                                         \
	"SECURE128:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:-RSA:"                  \
	"-AES-128-CBC:-AES-256-CBC:%SERVER_PRECEDENCE"

struct conn {
	size_t at; /* in the server's */
	struct server *server;
	int fd;
	uint64_t until_ns;
	bool busy;  /* a request is under way */
	bool fresh; /* nothing was asked yet */
	bool held;  /* its answer is being made: no deadline of the client's */
};

struct http {
	struct server *server;
	struct MHD_Connection *mhd;
	struct conn *conn;
	const char *method;
	char *uri;
	char path[PATH_BYTES];
	const char *query;
	char from[INET6_ADDRSTRLEN];
	struct str body;
	long body_max;
	bool begun, complete, suspended, answered, queued, redirects, cut;
	int status;
	const char *type;
	struct str answer;
	struct http_parts parts; /* want: answered in parts */
	size_t taken;		 /* of `answer`, a part */
	bool ended, whole, wanted;
	struct {
		char *name, *value;
	} headers[HEADERS_OWN];
	int n_headers;
};

struct side { /* https, or http */
	struct server *server;
	struct MHD_Daemon *mhd;
	struct loop_event *readable, *soon;
	bool tls;
};

struct listening {
	int fd;
	bool tls;
	struct loop_event *ev; /* NULL while it rests */
};

struct server {
	struct loop *loop;
	struct side https, http;
	struct server_handlers handlers;
	struct {
		VEC(struct conn *);
	} conns;
	int max_conns, https_port;
	struct {
		VEC(struct listening);
	} listening;
	struct loop_event *tick, *resting;
	void (*done)(void *arg);
	void *done_arg;
	bool pumping, again;
	struct log_limit full;
};

/* ---- the loop ---- */

static void pump(struct side *side);

static void pump_soon(void *arg)
{
	pump(arg);
}

static void pump_at(struct side *side, uint64_t ms)
{
	loop_cancel(&side->soon);
	side->soon = loop_timer(side->server->loop, ms, false, pump_soon, side);
}

static void pump(struct side *side)
{
	MHD_UNSIGNED_LONG_LONG ms;

	if (side->server->pumping) {
		side->server->again = true;
		return;
	}
	loop_cancel(&side->soon);
	side->server->pumping = true;
	side->server->again = false;
	MHD_run(side->mhd);
	side->server->pumping = false;
	if (side->server->again)
		pump_at(side, 0);
	else if (MHD_get_timeout(side->mhd, &ms) == MHD_YES)
		pump_at(side, ms > TICK_MS ? TICK_MS : ms);
}

static void on_epoll(int fd, int what, void *arg)
{
	(void)fd, (void)what;
	pump(arg);
}

/* ---- connections ---- */

static void on_connection(void *arg, struct MHD_Connection *mhd, void **ctx,
			  enum MHD_ConnectionNotificationCode code)
{
	struct server *s = arg;
	const union MHD_ConnectionInfo *info;
	struct conn *c = *ctx;

	if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
		if (!c)
			return;
		s->conns.items[c->at] = s->conns.items[--s->conns.len];
		s->conns.items[c->at]->at = c->at;
		xfree(&c);
		*ctx = NULL;
		return;
	}
	info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
	c = xcalloc(1, sizeof(*c));
	c->server = s;
	c->fd = info ? info->connect_fd : -1;
	c->until_ns = clock_mono_ns() + HEADERS_NS;
	c->fresh = true;
	c->at = s->conns.len;
	vec_push(&s->conns, c);
	*ctx = c;
}

/* Its end is what MHD sees next. */
static void cut(struct conn *c)
{
	c->until_ns = UINT64_MAX;
	shutdown(c->fd, SHUT_RDWR);
}

/* Who asks for nothing, and is here for longest, makes room. */
static void make_room(struct server *s)
{
	struct conn *c, *oldest = NULL;
	size_t i;

	for (i = 0; i < s->conns.len; i++) {
		c = s->conns.items[i];
		if (!c->busy && c->until_ns != UINT64_MAX &&
		    (!oldest || c->until_ns < oldest->until_ns))
			oldest = c;
	}
	if (oldest)
		cut(oldest);
	log_limited(&s->full, 1, 60000, LOG_LVL_WARN,
		    "%d connections are open (ConsoleMaxConnections): who asks "
		    "for nothing makes room",
		    (int)s->conns.len);
}

static void on_https(int fd, int what, void *arg);
static void on_http(int fd, int what, void *arg);

static void rested(void *arg)
{
	struct server *s = arg;
	struct listening *l;

	loop_cancel(&s->resting);
	vec_each (l, &s->listening)
		if (!l->ev)
			l->ev = loop_fd(s->loop, l->fd, LOOP_READ,
					l->tls ? on_https : on_http, s);
}

/* There is no room: who wants to connect waits in the kernel's queue. */
static void rest(struct server *s)
{
	struct listening *l;

	vec_each (l, &s->listening)
		loop_cancel(&l->ev);
	if (!s->resting)
		s->resting = loop_timer(s->loop, REST_MS, false, rested, s);
}

static void on_accept(struct side *side, int fd)
{
	struct server *s = side->server;
	struct sockaddr_storage addr;
	int i, sock, one = 1;
	socklen_t len;

	for (i = 0; i < ACCEPTS; i++) {
		if ((int)s->conns.len >= s->max_conns) {
			make_room(s);
			pump(&s->https);
			pump(&s->http);
			if ((int)s->conns.len >= s->max_conns) {
				rest(s);
				return;
			}
		}
		len = sizeof(addr);
		sock = accept4(fd, (struct sockaddr *)&addr, &len,
			       SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (sock < 0) {
			if (errno != EAGAIN && errno != ECONNABORTED)
				rest(s); /* EMFILE, ENOMEM */
			break;
		}
		setsockopt(sock, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		/* It closes the socket when it does not take it. */
		MHD_add_connection(side->mhd, sock, (struct sockaddr *)&addr,
				   len);
	}
	pump(side);
}

static void on_https(int fd, int what, void *arg)
{
	struct server *s = arg;

	(void)what;
	on_accept(&s->https, fd);
}

static void on_http(int fd, int what, void *arg)
{
	struct server *s = arg;

	(void)what;
	on_accept(&s->http, fd);
}

static void tick(void *arg)
{
	uint64_t now = clock_mono_ns();
	struct server *s = arg;
	bool busy = false;
	struct conn *c;
	size_t i;

	for (i = 0; i < s->conns.len; i++) {
		c = s->conns.items[i];
		if (!c->held && now > c->until_ns)
			cut(c);
		/* Who has just come is about to ask. */
		busy = busy || c->busy ||
		       (c->fresh && now < c->until_ns - HEADERS_NS + FRESH_NS);
	}
	pump(&s->https);
	pump(&s->http);
	if (s->done && !busy)
		s->done(s->done_arg);
}

/* ---- answers ---- */

static void own_headers(const struct http *h, struct MHD_Response *r)
{
	static const struct {
		const char *name, *value;
	} all[] = {
		{"X-Content-Type-Options", "nosniff"},
		/* With no-referrer a browser would not say where a form of ours
		 * comes from. */
		{"Referrer-Policy", "same-origin"},
		{"X-Frame-Options", "DENY"},
		{"Cross-Origin-Opener-Policy", "same-origin"},
		{"Cross-Origin-Resource-Policy", "same-origin"},
		{"Permissions-Policy",
		 "camera=(), geolocation=(), microphone=()"},
		{"Content-Security-Policy",
		 "default-src 'none'; style-src 'self'; script-src 'self'; "
		 "img-src 'self'; connect-src 'self'; form-action 'self'; "
		 "base-uri 'none'; frame-ancestors 'none'"},
	};
	bool cached = false;
	size_t i;
	int k;

	for (i = 0; i < sizeof(all) / sizeof(*all); i++)
		/* A name that plain http is used for, too, stays usable. */
		if (!h->redirects || i < 3)
			MHD_add_response_header(r, all[i].name, all[i].value);
	for (k = 0; k < h->n_headers; k++) {
		MHD_add_response_header(r, h->headers[k].name,
					h->headers[k].value);
		cached = cached ||
			 !strcasecmp(h->headers[k].name, "Cache-Control");
	}
	if (!cached)
		MHD_add_response_header(r, "Cache-Control", "no-store");
}

static void hold(struct http *h)
{
	h->suspended = true;
	if (h->conn)
		h->conn->held = true;
	MHD_suspend_connection(h->mhd);
}

static void let_go(struct http *h)
{
	if (!h->suspended)
		return;
	h->suspended = false;
	if (h->conn) {
		h->conn->held = false;
		h->conn->until_ns = clock_mono_ns() + ANSWER_NS;
	}
	MHD_resume_connection(h->mhd);
	if (h->server->pumping)
		h->server->again = true;
	pump_at(&h->server->https, 0);
}

/* The next bytes of an answer in parts; what is not there yet is waited for. */
static ssize_t next_bytes(void *arg, uint64_t at, char *out, size_t max)
{
	struct http *h = arg;
	size_t n = h->answer.len - h->taken;

	(void)at;
	if (n) {
		n = n < max ? n : max;
		memcpy(out, h->answer.s + h->taken, n);
		h->taken += n;
		if (h->conn)
			h->conn->until_ns = clock_mono_ns() + ANSWER_NS;
		return (ssize_t)n;
	}
	if (h->ended)
		return h->whole ? MHD_CONTENT_READER_END_OF_STREAM
				: MHD_CONTENT_READER_END_WITH_ERROR;
	hold(h);
	if (!h->wanted) {
		h->wanted = true;
		h->parts.want(h->parts.arg);
	}
	return 0;
}

static struct MHD_Response *response(struct http *h)
{
	size_t len = h->answer.len;

	if (h->parts.want)
		return MHD_create_response_from_callback(
			MHD_SIZE_UNKNOWN, PART_BYTES, next_bytes, h, NULL);
	return MHD_create_response_from_buffer(len, str_take(&h->answer),
					       MHD_RESPMEM_MUST_FREE);
}

static enum MHD_Result queue(struct http *h)
{
	struct MHD_Response *r = response(h);
	enum MHD_Result rc;

	if (!r)
		return MHD_NO;
	own_headers(h, r);
	if (h->type)
		MHD_add_response_header(r, "Content-Type", h->type);
	/* What is left of the request is not to be taken for another one. */
	if (!h->complete || h->cut)
		MHD_add_response_header(r, "Connection", "close");
	h->queued = true;
	if (h->conn) {
		h->conn->held = false;
		h->conn->until_ns = clock_mono_ns() + ANSWER_NS;
	}
	rc = MHD_queue_response(h->mhd, (unsigned int)h->status, r);
	MHD_destroy_response(r);
	return rc;
}

void http_add_header(struct http *h, const char *name, const char *value)
{
	if (h->n_headers == HEADERS_OWN)
		panic("too many headers for %s", name);
	if (strpbrk(value, "\r\n"))
		return;
	h->headers[h->n_headers].name = xstrdup(name);
	h->headers[h->n_headers++].value = xstrdup(value);
}

void http_answer(struct http *h, int status, const char *type, struct str *body)
{
	if (h->answered)
		panic("a request is answered twice");
	h->answered = true;
	h->status = status;
	h->type = type;
	h->answer = *body;
	*body = (struct str){0};
	let_go(h); /* else on_request() queues it */
}

void http_answer_parts(struct http *h, int status, const char *type,
		       const struct http_parts *parts)
{
	struct str none = {0};

	h->parts = *parts;
	http_answer(h, status, type, &none);
}

void http_add(struct http *h, struct str *text)
{
	str_free(&h->answer);
	h->answer = *text;
	*text = (struct str){0};
	h->taken = 0;
	h->wanted = false;
	if (!h->answer.len)
		h->ended = h->whole = true;
	let_go(h);
}

void http_end(struct http *h, bool whole)
{
	h->ended = true;
	h->whole = whole;
	let_go(h);
}

static void refuse(struct http *h, int status, const char *text)
{
	struct str body = {0};

	str_addf(&body, "%d %s\n", status, text);
	http_answer(h, status, "text/plain; charset=utf-8", &body);
}

/* ---- requests ---- */

/* Called when the first line of a request is there. */
static void *on_uri(void *arg, const char *uri, struct MHD_Connection *mhd)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(
		mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	struct http *h = xcalloc(1, sizeof(*h));
	char *mark;

	h->server = arg;
	h->mhd = mhd;
	h->conn = info ? info->socket_context : NULL;
	h->uri = xstrdup(uri);
	mark = strchr(h->uri, '?');
	h->query = mark ? mark + 1 : "";
	if (mark)
		*mark = '\0';
	if (params_decode(h->uri, strlen(h->uri), false, h->path,
			  sizeof(h->path)) < 0)
		h->path[0] = '\0';
	return h;
}

static void take_from(struct http *h)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(
		h->mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	const struct sockaddr *a = info ? info->client_addr : NULL;
	const void *bytes = NULL;

	if (a && a->sa_family == AF_INET)
		bytes = &((const struct sockaddr_in *)(const void *)a)
				 ->sin_addr;
	else if (a && a->sa_family == AF_INET6)
		bytes = &((const struct sockaddr_in6 *)(const void *)a)
				 ->sin6_addr;
	if (bytes)
		inet_ntop(a->sa_family, bytes, h->from, sizeof(h->from));
}

static enum MHD_Result on_header(void *arg, enum MHD_ValueKind kind,
				 const char *name, const char *value)
{
	(void)kind;
	framing_header(arg, name, value);
	return MHD_YES;
}

/* What is refused is answered, and the connection's last. */
static void check_framing(struct http *h)
{
	struct framing f = {0};
	int status;

	MHD_get_connection_values(h->mhd, MHD_HEADER_KIND, on_header, &f);
	status = framing_judge(&f, h->body_max);
	if (!status)
		return;
	h->cut = true;
	refuse(h, status, framing_reason(status));
}

/* To the same name by https. */
static void redirect(struct http *h)
{
	char *to = framing_https(http_header(h, "Host"), h->server->https_port);
	struct str body = {0};

	if (!to) {
		refuse(h, 400, framing_reason(400));
		return;
	}
	http_add_header(h, "Location", to);
	free(to);
	str_add(&body, "https\n");
	http_answer(h, 308, "text/plain; charset=utf-8", &body);
}

static void begin(struct http *h)
{
	struct server *s = h->server;

	h->begun = true;
	take_from(h);
	if (h->conn) {
		h->conn->busy = true;
		h->conn->fresh = false;
		h->conn->until_ns = clock_mono_ns() + BODY_NS;
	}
	if (h->redirects) {
		h->cut = true;
		redirect(h);
		return;
	}
	if (strcmp(h->method, "GET") && strcmp(h->method, "HEAD") &&
	    strcmp(h->method, "POST")) {
		http_add_header(h, "Allow", "GET, HEAD, POST");
		h->cut = true;
		refuse(h, 405, "Method Not Allowed");
		return;
	}
	h->body_max = 0;
	h->body_max = s->handlers.begin(h, s->handlers.arg);
	if (!h->answered)
		check_framing(h);
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *mhd,
				  const char *url, const char *method,
				  const char *version, const char *data,
				  size_t *size, void **ctx)
{
	struct side *side = arg;
	struct http *h = *ctx;

	(void)url, (void)version;
	if (!h->begun) {
		h->mhd = mhd;
		h->method = method;
		h->redirects = !side->tls;
		begin(h);
		return h->answered ? queue(h) : MHD_YES;
	}
	if (*size) {
		if (h->body.len + *size > (size_t)h->body_max)
			return MHD_NO; /* check_framing() knew */
		str_addn(&h->body, data, *size);
		*size = 0;
		return MHD_YES;
	}
	if (h->queued)
		return MHD_YES;
	if (!h->complete) {
		h->complete = true;
		side->server->handlers.request(h, side->server->handlers.arg);
		if (!h->answered) {
			hold(h);
			return MHD_YES;
		}
	}
	return h->answered ? queue(h) : MHD_YES;
}

static void on_completed(void *arg, struct MHD_Connection *mhd, void **ctx,
			 enum MHD_RequestTerminationCode code)
{
	struct http *h = *ctx;
	int i;

	(void)arg, (void)mhd, (void)code;
	if (!h)
		return;
	*ctx = NULL;
	if (h->parts.gone)
		h->parts.gone(h->parts.arg);
	if (h->conn) {
		h->conn->busy = h->conn->held = false;
		h->conn->until_ns = clock_mono_ns() + IDLE_NS;
	}
	if (h->body.s)
		explicit_bzero(h->body.s, h->body.len);
	str_free(&h->body);
	str_free(&h->answer);
	for (i = 0; i < h->n_headers; i++) {
		free(h->headers[i].name);
		free(h->headers[i].value);
	}
	free(h->uri);
	free(h);
}

const char *http_method(const struct http *h)
{
	return h->method;
}

const char *http_path(const struct http *h)
{
	return h->path;
}

const char *http_query(const struct http *h)
{
	return h->query;
}

const char *http_header(const struct http *h, const char *name)
{
	return MHD_lookup_connection_value(h->mhd, MHD_HEADER_KIND, name);
}

const char *http_body(const struct http *h, size_t *len_r)
{
	*len_r = h->body.len;
	return str_get(&h->body);
}

const char *http_from(const struct http *h)
{
	return h->from;
}

/* ---- life ---- */

static void on_log(void *arg, const char *fmt, va_list ap)
	__attribute__((format(printf, 2, 0)));

static void on_log(void *arg, const char *fmt, va_list ap)
{
	char text[512];

	(void)arg;
	/* Most of it is what clients do: not worth a line each. */
	vsnprintf(text, sizeof(text), fmt, ap);
	text[strcspn(text, "\n")] = '\0';
	log_debug("http: %s", text);
}

static void on_panic(void *arg, const char *file, unsigned int line,
		     const char *reason)
{
	(void)arg;
	panic("libmicrohttpd %s:%u: %s", file, line, reason ? reason : "");
}

/* We decode by ourselves, and more strictly. */
static size_t keep_escaped(void *arg, struct MHD_Connection *mhd, char *s)
{
	(void)arg, (void)mhd;
	return strlen(s);
}

static int side_start(struct side *side, const char *chain, const char *key,
		      struct err *err)
{
	struct server *s = side->server;
	unsigned int flags = MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET |
			     MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG |
			     (side->tls ? MHD_USE_TLS : 0);
	struct MHD_OptionItem tls[] = {
		{MHD_OPTION_HTTPS_MEM_CERT, 0, (void *)(uintptr_t)chain},
		{MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)(uintptr_t)key},
		{MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)TLS_PRIORITIES},
		{MHD_OPTION_END, 0, NULL},
	};
	const union MHD_DaemonInfo *info;

	if (!side->tls)
		tls[0] = (struct MHD_OptionItem){MHD_OPTION_END, 0, NULL};
	side->mhd = MHD_start_daemon(
		flags, 0, NULL, NULL, on_request, side,
		MHD_OPTION_EXTERNAL_LOGGER, on_log, NULL,
		MHD_OPTION_CONNECTION_LIMIT, (unsigned int)s->max_conns + 8,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)SERVER_HEADERS_MAX,
		MHD_OPTION_URI_LOG_CALLBACK, on_uri, s,
		MHD_OPTION_UNESCAPE_CALLBACK, keep_escaped, NULL,
		MHD_OPTION_NOTIFY_COMPLETED, on_completed, s,
		MHD_OPTION_NOTIFY_CONNECTION, on_connection, s,
		MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_ARRAY, tls,
		MHD_OPTION_END);
	if (!side->mhd)
		return err_set(err, 0,
			       "the certificate or its key cannot be "
			       "used (splxctl certificate show)");
	info = MHD_get_daemon_info(side->mhd, MHD_DAEMON_INFO_EPOLL_FD);
	side->readable =
		loop_fd(s->loop, info->epoll_fd, LOOP_READ, on_epoll, side);
	return 0;
}

struct server *server_new(struct loop *loop, const char *chain, const char *key,
			  int max_connections, int https_port,
			  const struct server_handlers *handlers,
			  struct err *err)
{
	struct server *s = xcalloc(1, sizeof(*s));

	MHD_set_panic_func(on_panic, NULL);
	s->loop = loop;
	s->handlers = *handlers;
	s->max_conns = max_connections;
	s->https_port = https_port;
	s->https = (struct side){.server = s, .tls = true};
	s->http = (struct side){.server = s};
	if (side_start(&s->https, chain, key, err) < 0 ||
	    side_start(&s->http, NULL, NULL, err) < 0) {
		free(s); /* the process ends */
		return NULL;
	}
	s->tick = loop_timer(loop, TICK_MS, true, tick, s);
	return s;
}

void server_listen(struct server *s, int fd, bool tls)
{
	struct listening l = {fd, tls, NULL};

	vec_push(&s->listening, l);
	rested(s);
}

void server_end(struct server *s, void (*done)(void *arg), void *arg)
{
	struct listening *l;

	vec_each (l, &s->listening)
		loop_cancel(&l->ev);
	loop_cancel(&s->resting);
	vec_free(&s->listening);
	s->done = done;
	s->done_arg = arg;
	tick(s);
}
