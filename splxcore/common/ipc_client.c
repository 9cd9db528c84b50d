/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/* Verbs over a unix socket: the caller's side, blocking. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "ipc.h"
#include "lib/alloc.h"
#include "lib/clock.h"
#include "lib/fdutil.h"
#include "lib/str.h"
#include "unixsock.h"

#define CONNECT_MS 10000
#define READ_CHUNK 65536

struct ipc_client {
	int sock;
	int timeout_ms; /* -1: no limit */
	long long last_id;
	struct str in;
	size_t used;	/* of in: lines that were given out */
	size_t scanned; /* of in: there is no newline between used and here */
	bool broken;
};

struct ipc_client *ipc_connect(const char *path, int timeout_ms,
			       struct err *err)
{
	int sock =
		unixsock_connect(path, SOCK_STREAM,
				 timeout_ms < 0 ? CONNECT_MS : timeout_ms, err);
	struct ipc_client *c;

	if (sock < 0)
		return NULL;
	if (fd_set_nonblock(sock, true) < 0) {
		err_set(err, errno, "fcntl(%s)", path);
		fd_close(&sock);
		return NULL;
	}
	c = xcalloc(1, sizeof(*c));
	c->sock = sock;
	c->timeout_ms = timeout_ms;
	return c;
}

void ipc_client_free(struct ipc_client **c)
{
	if (!*c)
		return;
	fd_close(&(*c)->sock);
	str_free(&(*c)->in);
	xfree(c);
}

static int broken(struct ipc_client *c, int code, const char *what,
		  struct err *err)
{
	c->broken = true;
	return err_set(err, code, "%s", what);
}

/*
 * Waits until `end` (monotonic, 0: no limit) for the socket. 0, or -1 and
 * *err; a signal is an error only with `stop_on_signal`.
 */
static int wait_for(struct ipc_client *c, short events, uint64_t end,
		    bool stop_on_signal, struct err *err)
{
	struct pollfd pfd = {.fd = c->sock, .events = events};

	for (;;) {
		uint64_t now = clock_mono_ns();
		int ms = -1, rc;

		if (end && now >= end)
			return broken(c, ETIMEDOUT,
				      "no answer from the service", err);
		if (end)
			ms = (int)((end - now) / CLOCK_NS_PER_MS) + 1;
		rc = poll(&pfd, 1, ms);
		if (rc > 0)
			return 0;
		if (rc < 0 && (errno != EINTR || stop_on_signal))
			return broken(c, errno, "waiting for the service", err);
	}
}

static uint64_t deadline(const struct ipc_client *c)
{
	if (c->timeout_ms < 0)
		return 0;
	return clock_mono_ns() + (uint64_t)c->timeout_ms * CLOCK_NS_PER_MS;
}

/*
 * Sends all of it. A service that refuses the connection has closed it by
 * now, but its reason can still be read: so EPIPE is no error here.
 */
static int send_all(struct ipc_client *c, const char *text, size_t len,
		    struct err *err)
{
	uint64_t end = deadline(c);

	while (len) {
		ssize_t n = send(c->sock, text, len, MSG_NOSIGNAL);

		if (n >= 0) {
			text += n;
			len -= (size_t)n;
		} else if (errno == EPIPE || errno == ECONNRESET) {
			return 0;
		} else if (errno == EAGAIN) {
			if (wait_for(c, POLLOUT, end, false, err) < 0)
				return -1;
		} else if (errno != EINTR) {
			return broken(c, errno, "send to the service", err);
		}
	}
	return 0;
}

/* A whole line that is there already: its start, terminated; or NULL. */
static char *buffered_line(struct ipc_client *c, size_t *len_r)
{
	char *begin, *end;

	if (c->scanned < c->used)
		c->scanned = c->used;
	if (c->in.len == c->scanned)
		return NULL;
	end = memchr(c->in.s + c->scanned, '\n', c->in.len - c->scanned);
	c->scanned = c->in.len;
	if (!end)
		return NULL;
	begin = c->in.s + c->used;
	*end = '\0';
	*len_r = (size_t)(end - begin);
	c->used = c->scanned = (size_t)(end - c->in.s) + 1;
	return begin;
}

/* Drops the lines that were given out. */
static void compact(struct ipc_client *c)
{
	if (!c->used)
		return;
	c->in.len -= c->used;
	c->scanned -= c->scanned > c->used ? c->used : c->scanned;
	memmove(c->in.s, c->in.s + c->used, c->in.len + 1);
	c->used = 0;
}

/* The next line from the service, valid until the next call. */
static char *read_line(struct ipc_client *c, size_t *len_r, bool stream,
		       struct err *err)
{
	uint64_t end = deadline(c);
	char buf[READ_CHUNK];
	char *line;

	while (!(line = buffered_line(c, len_r))) {
		ssize_t n;

		compact(c);
		if (c->in.len > IPC_ANSWER_MAX) {
			broken(c, 0, "the service's answer is too long", err);
			return NULL;
		}
		n = recv(c->sock, buf, sizeof(buf), 0);
		if (n > 0) {
			str_addn(&c->in, buf, (size_t)n);
		} else if (n == 0) {
			broken(c, 0, "the service closed the connection", err);
			return NULL;
		} else if (errno == EAGAIN) {
			if (wait_for(c, POLLIN, end, stream, err) < 0)
				return NULL;
		} else if (errno != EINTR) {
			broken(c, errno, "answer of the service", err);
			return NULL;
		}
	}
	return line;
}

/* The next object with our id, or with none (an error that ends us). */
static json_t *read_answer(struct ipc_client *c, bool stream, struct err *err)
{
	for (;;) {
		size_t len;
		char *line = read_line(c, &len, stream, err);
		json_t *answer, *id;

		if (!line)
			return NULL;
		answer = json_loadb(line, len, 0, NULL);
		if (!json_is_object(answer)) {
			json_decref(answer);
			broken(c, 0, "the service's answer makes no sense",
			       err);
			return NULL;
		}
		id = json_object_get(answer, "id");
		if (!json_is_integer(id) ||
		    json_integer_value(id) == c->last_id)
			return answer;
		json_decref(answer); /* of a call that ran out of time */
	}
}

/* An answer with "ok":false: -1 and *err. */
static int take_error(json_t *answer, char code_r[32], struct err *err)
{
	json_t *error = json_object_get(answer, "error");
	const char *code = json_string_value(json_object_get(error, "code"));
	const char *message =
		json_string_value(json_object_get(error, "message"));

	if (code_r)
		str_copy(code_r, 32, code ? code : "failed");
	return err_set(err, 0, "%s", message ? message : "failed");
}

static int send_request(struct ipc_client *c, const char *verb, json_t *args,
			struct err *err)
{
	json_t *request;
	char *text;
	size_t len;
	int rc;

	if (c->broken)
		return err_set(err, 0, "the connection is of no use any more");
	request = json_pack("{s:I, s:s, s:O*}", "id", (json_int_t)++c->last_id,
			    "verb", verb, "args", args);
	text = request ? json_dumps(request, JSON_COMPACT) : NULL;
	json_decref(request);
	if (!text)
		return err_set(err, 0, "the request is no JSON");
	len = strlen(text);
	if (len > IPC_LINE_MAX) {
		free(text);
		return err_set(err, EMSGSIZE, "request");
	}
	text[len] = '\n'; /* instead of its end */
	rc = send_all(c, text, len + 1, err);
	free(text);
	return rc;
}

/* One answer: 1 for a part of a stream (*data_r is its data), 0 for the last
 * one, -1 and *err. */
static int next_answer(struct ipc_client *c, bool stream, json_t **data_r,
		       char code_r[32], struct err *err)
{
	json_t *answer = read_answer(c, stream, err);
	int rc;

	if (!answer)
		return -1;
	if (json_is_true(json_object_get(answer, "ok"))) {
		*data_r = json_object_get(answer, "data");
		*data_r = *data_r ? json_incref(*data_r) : json_null();
		rc = json_is_true(json_object_get(answer, "more"));
	} else {
		rc = take_error(answer, code_r, err);
	}
	json_decref(answer);
	return rc;
}

static int call(struct ipc_client *c, const char *verb, json_t *args,
		int (*fn)(json_t *part, void *arg), void *arg, json_t **data_r,
		char code_r[32], struct err *err)
{
	json_t *data = NULL;
	int rc;

	if (code_r)
		*code_r = '\0';
	if (send_request(c, verb, args, err) < 0)
		return -1;
	while ((rc = next_answer(c, fn, &data, code_r, err)) == 1) {
		int stop = fn ? fn(data, arg) : 0;

		json_decref(data);
		data = NULL;
		if (stop)
			return broken(c, ECANCELED, "stopped", err);
	}
	if (rc < 0)
		return -1;
	if (data_r)
		*data_r = data;
	else
		json_decref(data);
	return 0;
}

int ipc_call_sync(struct ipc_client *c, const char *verb, json_t *args,
		  json_t **data_r, char code_r[32], struct err *err)
{
	return call(c, verb, args, NULL, NULL, data_r, code_r, err);
}

int ipc_call_stream(struct ipc_client *c, const char *verb, json_t *args,
		    int (*fn)(json_t *part, void *arg), void *arg,
		    json_t **data_r, char code_r[32], struct err *err)
{
	return call(c, verb, args, fn, arg, data_r, code_r, err);
}
