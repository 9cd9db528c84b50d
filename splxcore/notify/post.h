/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_NOTIFY_POST_H
#define SPLX_NOTIFY_POST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "job.h"
#include "lib/err.h"

/*
 * What goes over a connection, by libcurl: requests to a web server, mail, and
 * a stream of bytes. Certificates are verified always, by the channel's CA or
 * the system's. One connection serves all messages of a job.
 */
struct post;

void post_free(struct post **post);

/*
 * Has every message of a job sent by post_one(), which uses post_http() or
 * post_mail(); stops at the first that fails and when the job is late. Counts
 * in out->sent; -1 and *err.
 */
typedef int post_one_fn(struct post *post, const struct job *job,
			json_t *message, struct outcome *out, struct err *err);
int post_all(struct job *job, post_one_fn *post_one, struct outcome *out,
	     struct err *err);

/*
 * Posts a body; `headers` end with NULL. 0: the server said 2xx. -1 and *err;
 * out->refused when it understood and does not want it. out->answer,
 * out->retry_after.
 */
int post_http(struct post *post, const char *body, const char *const *headers,
	      struct outcome *out, struct err *err);
/* Hands a mail over (lines end with CRLF), to all of the channel's To. */
int post_mail(struct post *post, const char *text, struct outcome *out,
	      struct err *err);

/* A connection to the channel's Server, with TLS where Protocol = tls. */
struct post *post_stream(const struct job *job, struct err *err);
/* All of it, or -1 and *err. */
int post_send(struct post *post, const void *data, size_t len, struct err *err);
/* Waits until the other end has got everything; -1 and *err. */
int post_stream_end(struct post *post, struct err *err);

#endif
