/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "link.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/ipc.h"
#include "common/unixsock.h"
#include "lib/alloc.h"
#include "lib/clock.h"
#include "lib/fdutil.h"
#include "lib/log.h"
#include "lib/str.h"
#include "lib/vec.h"

#define CONNECT_MS 200
#define ANSWER_NS (60 * CLOCK_NS_PER_S)
#define TICK_MS 1000
#define CHUNK 65536
/* entity reads no more of one connection while so many are unanswered; the
 * rest waits in its socket and in our buffer. */
#define WAITING_MAX 2000
#define AWAY "away"

struct link_call {
	struct link *link;
	json_int_t id;
	uint64_t until_ns;
	link_fn fn; /* NULL: cancelled */
	link_part_fn part;
	void *arg;
	const char *failed; /* it could not be sent; the text is a literal */
};

struct link {
	struct loop *loop;
	char *path;
	int sock;
	struct {
		VEC(struct link_call *);
	} calls; /* unanswered, oldest first */
	json_int_t last_id;
	struct str in, out;
	size_t sent;	/* of out */
	size_t scanned; /* of in: no newline before */
	struct loop_event *readable, *writable, *tick, *soon;
	struct log_limit told;
};

static void call_end(struct link_call *c, const struct link_answer *answer)
{
	struct link *l = c->link;
	size_t i = 0;

	while (l->calls.items[i] != c)
		i++;
	vec_remove(&l->calls, i);
	if (c->fn)
		c->fn(answer, c->arg);
	free(c);
}

static void call_fail(struct link_call *c, const char *message)
{
	struct link_answer a = {.call = c, .code = AWAY, .message = message};

	call_end(c, &a);
}

static void disconnect(struct link *l)
{
	loop_cancel(&l->readable);
	loop_cancel(&l->writable);
	fd_close(&l->sock);
	str_clear(&l->in);
	str_clear(&l->out);
	l->sent = l->scanned = 0;
}

/* All that was asked so far fails; what is asked from its callbacks on does
 * not. */
static void broken(struct link *l, const char *message)
{
	json_int_t last = l->last_id;

	disconnect(l);
	/* What is freed is out of the array: call_end(). */
	// NOLINTNEXTLINE(clang-analyzer-unix.Malloc)
	while (l->calls.len && l->calls.items[0]->id <= last)
		call_fail(l->calls.items[0], message);
}

/* ---- answers ---- */

static struct link_call *find(struct link *l, json_int_t id)
{
	struct link_call **c;

	vec_each (c, &l->calls)
		if ((*c)->id == id)
			return *c;
	return NULL;
}

static void take(struct link *l, const char *line, size_t len)
{
	json_t *all = json_loadb(line, len, 0, NULL), *error;
	struct link_answer a = {0};
	struct link_call *c;

	c = find(l, json_integer_value(json_object_get(all, "id")));
	if (c && json_is_true(json_object_get(all, "more"))) {
		c->until_ns = clock_mono_ns() + ANSWER_NS;
		if (c->fn && c->part)
			c->part(json_object_get(all, "data"), c->arg);
	} else if (c) {
		a.call = c;
		a.ok = json_is_true(json_object_get(all, "ok"));
		error = json_object_get(all, "error");
		a.data = json_object_get(a.ok ? all : error, "data");
		a.code = json_string_value(json_object_get(error, "code"));
		a.message =
			json_string_value(json_object_get(error, "message"));
		if (!a.ok && !a.code)
			a.code = "failed";
		if (!a.ok && !a.message)
			a.message = "";
		call_end(c, &a);
	}
	json_decref(all);
}

/* Each whole line in `in`. Their callbacks may ask more, but not free us. */
static void take_lines(struct link *l)
{
	size_t begin = 0;
	char *end;

	while (l->sock >= 0 && l->in.len > l->scanned &&
	       (end = memchr(l->in.s + l->scanned, '\n',
			     l->in.len - l->scanned))) {
		size_t len = (size_t)(end - (l->in.s + begin));

		l->scanned = begin + len + 1;
		take(l, l->in.s + begin, len);
		begin += len + 1;
	}
	if (l->sock < 0)
		return; /* emptied meanwhile */
	if (begin) {
		l->in.len -= begin;
		memmove(l->in.s, l->in.s + begin, l->in.len);
		l->in.s[l->in.len] = '\0';
	}
	l->scanned = l->in.len;
}

static void on_readable(int fd, int what, void *arg)
{
	struct link *l = arg;
	char buf[CHUNK];
	ssize_t n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);

	(void)what;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0 || l->in.len > IPC_ANSWER_MAX + CHUNK) {
		broken(l, "the service closed the connection");
		return;
	}
	str_addn(&l->in, buf, (size_t)n);
	take_lines(l);
	if (l->in.len == 0 && l->in.cap > CHUNK * 16)
		str_free(&l->in);
}

/* ---- requests ---- */

static void flush(struct link *l);

static void on_writable(int fd, int what, void *arg)
{
	(void)fd, (void)what;
	flush(arg);
}

static void flush(struct link *l)
{
	ssize_t n;

	while (l->sent < l->out.len) {
		n = send(l->sock, l->out.s + l->sent, l->out.len - l->sent,
			 MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n > 0) {
			l->sent += (size_t)n;
		} else if (n < 0 && errno == EAGAIN) {
			if (!l->writable)
				l->writable =
					loop_fd(l->loop, l->sock, LOOP_WRITE,
						on_writable, l);
			return;
		} else if (n < 0 && errno != EINTR) {
			/* Its last words may still be read: on_readable(). */
			break;
		}
	}
	loop_cancel(&l->writable);
	str_clear(&l->out);
	l->sent = 0;
}

static bool connected(struct link *l)
{
	struct err err;

	if (l->sock >= 0)
		return true;
	l->sock = unixsock_connect(l->path, SOCK_STREAM, CONNECT_MS, &err);
	if (l->sock < 0) {
		log_limited(&l->told, 1, 60000, LOG_LVL_WARN, "entity: %s",
			    err.text);
		return false;
	}
	fd_set_nonblock(l->sock, true);
	l->readable = loop_fd(l->loop, l->sock, LOOP_READ, on_readable, l);
	return true;
}

/* What could not even be sent. */
static void fail_soon(void *arg)
{
	struct link *l = arg;
	json_int_t last = l->last_id;
	size_t i = 0;

	loop_cancel(&l->soon);
	while (i < l->calls.len && l->calls.items[i]->id <= last) {
		struct link_call *c = l->calls.items[i];

		if (c->failed)
			call_fail(c, c->failed);
		else
			i++;
	}
}

static const char *send_call(struct link *l, const struct link_call *c,
			     const char *verb, json_t *args, json_t *as,
			     const char *from)
{
	json_t *request;
	char *text;
	size_t len;

	if (l->calls.len > WAITING_MAX)
		return "too much is asked of the service at once";
	if (!connected(l))
		return "the service does not answer";
	request = json_pack("{s:I, s:s, s:O*, s:O*, s:s*}", "id", c->id, "verb",
			    verb, "args", args, "as", as, "from", from);
	text = request ? json_dumps(request, JSON_COMPACT) : NULL;
	json_decref(request);
	if (!text)
		return "the request is no JSON";
	len = strlen(text);
	if (len >= IPC_LINE_MAX) {
		free(text);
		return "the request is too long";
	}
	text[len] = '\n'; /* instead of its end */
	str_addn(&l->out, text, len + 1);
	explicit_bzero(text, len); /* passwords, sessions */
	free(text);
	flush(l);
	return NULL;
}

struct link_call *link_ask(struct link *l, const char *verb, json_t *args,
			   json_t *as, const char *from, link_fn fn, void *arg)
{
	struct link_call *c = xcalloc(1, sizeof(*c));

	c->link = l;
	c->id = ++l->last_id;
	c->fn = fn;
	c->arg = arg;
	c->until_ns = clock_mono_ns() + ANSWER_NS;
	vec_push(&l->calls, c);
	c->failed = send_call(l, c, verb, args, as, from);
	if (c->failed && !l->soon)
		l->soon = loop_timer(l->loop, 0, false, fail_soon, l);
	return c;
}

void link_parts(struct link_call *call, link_part_fn fn)
{
	call->part = fn;
}

void link_cancel(struct link_call **call)
{
	if (*call)
		(*call)->fn = NULL;
	*call = NULL;
}

/* ---- life ---- */

static void tick(void *arg)
{
	uint64_t now = clock_mono_ns();
	struct link *l = arg;
	const struct link_call *c = l->calls.len ? l->calls.items[0] : NULL;

	/* The first is the oldest. Who does not answer one in so long a time
	 * has lost it: a new connection. */
	if (c && now > c->until_ns && !c->failed)
		broken(l, "the service did not answer in time");
}

struct link *link_new(struct loop *loop, const char *sock)
{
	struct link *l = xcalloc(1, sizeof(*l));

	l->loop = loop;
	l->path = xstrdup(sock);
	l->sock = -1;
	l->tick = loop_timer(loop, TICK_MS, true, tick, l);
	return l;
}
