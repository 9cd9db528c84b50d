/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_HTTPD_SERVER_H
#define SPLX_HTTPD_SERVER_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/err.h"
#include "lib/loop.h"
#include "lib/str.h"

/*
 * HTTP over TLS (libmicrohttpd), and plain HTTP that only leads there. One
 * thread, in the caller's loop. What is slow, huge, many or malformed is
 * bounded and answered here; above come whole requests alone.
 */
struct server;
struct http; /* one request */

#define SERVER_HEADERS_MAX 24576

struct server_handlers {
	/*
	 * How long a body this request may have, by method and path; or -1, and
	 * the request was answered already.
	 */
	long (*begin)(struct http *http, void *arg);
	/* All of it is there: answer it now or later, exactly once. */
	void (*request)(struct http *http, void *arg);
	void *arg;
};

/*
 * `chain` and `key` are PEM texts, of no use any more afterwards. -1 and *err
 * when they cannot be used.
 */
struct server *server_new(struct loop *loop, const char *chain, const char *key,
			  int max_connections, int https_port,
			  const struct server_handlers *handlers,
			  struct err *err);
/* Takes connections from a listening socket, which stays the caller's. */
void server_listen(struct server *server, int fd, bool tls);
/*
 * No more connections; `done` is called when all that was asked is answered.
 */
void server_end(struct server *server, void (*done)(void *arg), void *arg);

/* ---- a request; what is told of it lives as long as it ---- */

const char *http_method(const struct http *http); /* "GET", "POST" */
/* Decoded; "" when that cannot be. */
const char *http_path(const struct http *http);
/* What stands behind the ?, as it came; "" for none. */
const char *http_query(const struct http *http);
/* NULL when there is none. */
const char *http_header(const struct http *http, const char *name);
const char *http_body(const struct http *http, size_t *len_r);
const char *http_from(const struct http *http); /* the client's address */

/* A header of the answer; name and value without line ends. */
void http_add_header(struct http *http, const char *name, const char *value);
/*
 * Answers. body is emptied; with type NULL no Content-Type is sent. The
 * request may be gone afterwards.
 */
void http_answer(struct http *http, int status, const char *type,
		 struct str *body);

/*
 * An answer in parts, of a length that nobody knows yet. `want` is called each
 * time when all that was added is on its way, never by http_add(): add the next
 * part, now or later, or end it. `gone` is called once, at its end or when the
 * client has left: the request is of no use afterwards. No time is too long for
 * all of it, but for a part it is.
 */
struct http_parts {
	void (*want)(void *arg);
	void (*gone)(void *arg);
	void *arg;
};
void http_answer_parts(struct http *http, int status, const char *type,
		       const struct http_parts *parts);
/* text is emptied; nothing in it is as good as an end. */
void http_add(struct http *http, struct str *text);
/* whole false: the client shall see that something is missing. */
void http_end(struct http *http, bool whole);

#endif
