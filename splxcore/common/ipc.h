/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_COMMON_IPC_H
#define SPLX_COMMON_IPC_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/err.h"
#include "lib/loop.h"

/*
 * Verbs over a unix stream socket: one JSON object a line, at most
 * IPC_LINE_MAX bytes for a request and IPC_ANSWER_MAX for an answer or a part
 * of one. What is no request gets an error answer (id null where none can be
 * told); only a line that is too long ends the connection.
 *   request  {"id":1,"verb":"quarantine.list","args":{...}}
 *   answer   {"id":1,"ok":true,"data":...}
 *   or       {"id":1,"ok":false,"error":{"code":"...","message":"..."}}
 *            (and, for some errors, "data":{...} beside the message)
 *   A request on somebody's behalf (the web console's) has two members more:
 *   "as" {"session":"..."} or {"token":"..."}, and "from", an IP address.
 *   What they are worth is the handler's to judge.
 *   A verb that streams sends {"id":1,"ok":true,"more":true,"data":...} any
 *   number of times before its answer.
 * Error codes are words: bad_request, unknown_verb, denied, not_found,
 * invalid, conflict, unavailable, failed, no_session (who asks has to log in
 * anew), must_change (… has to set a password first).
 */
#define IPC_LINE_MAX (1u << 20)
#define IPC_ANSWER_MAX (16u << 20)
/* Connections at once: in all, of all users but root, of one such user. */
#define IPC_CLIENTS_MAX 64
#define IPC_CLIENTS_USERS 48
#define IPC_CLIENTS_USER 16

struct ipc_server;
struct ipc_conn; /* one client */
struct ipc_call; /* one request that awaits its answer */

struct ipc_peer {
	uid_t uid;
	gid_t gid;
	pid_t pid;
};

/*
 * Called for each request. `args` is borrowed (never NULL). The handler
 * answers now or later, exactly once, by ipc_reply() or ipc_fail(). When the
 * client leaves before that: a call with ipc_on_gone() is ended by it; one
 * without stays valid until it is answered, and the answer is dropped.
 */
typedef void (*ipc_request_fn)(struct ipc_call *call, const char *verb,
			       json_t *args, void *arg);

/*
 * Listens on `path` (mode 0666: permission is by peer credentials and verb).
 * A dead socket file is replaced; a living one is an error (EADDRINUSE).
 */
struct ipc_server *ipc_listen(struct loop *loop, const char *path,
			      ipc_request_fn fn, void *arg, struct err *err);
void ipc_server_free(struct ipc_server **srv);

const struct ipc_peer *ipc_call_peer(const struct ipc_call *call);
/* "as" and "from" of the request; borrowed, NULL where there are none. */
json_t *ipc_call_as(const struct ipc_call *call);
const char *ipc_call_from(const struct ipc_call *call);
/*
 * Takes over the reference to data (NULL: null). Ends the call. An answer over
 * IPC_ANSWER_MAX becomes the error "failed".
 */
void ipc_reply(struct ipc_call **call, json_t *data);
void ipc_fail(struct ipc_call **call, const char *code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* The same with "data" beside the message; takes over the reference. */
void ipc_fail_data(struct ipc_call **call, const char *code, json_t *data,
		   const char *fmt, ...) __attribute__((format(printf, 4, 5)));
/*
 * One part of a stream; takes over the reference. False when the client
 * reads too slowly (over 4 MiB wait; the part is kept all the same): stop and
 * continue from on_writable, or end the call. A client for which 64 MiB wait
 * is put out.
 */
bool ipc_more(struct ipc_call *call, json_t *data);
/*
 * When the client leaves, `fn` is called and the call is gone afterwards; fn
 * must not answer it. To be set while the request handler runs.
 */
void ipc_on_gone(struct ipc_call *call, void (*fn)(void *arg), void *arg);
/*
 * `fn` is called each time there is room again after ipc_more() had returned
 * false. It may go on with ipc_more() or end the call.
 */
void ipc_on_writable(struct ipc_call *call, void (*fn)(void *arg), void *arg);

/*
 * Client side, blocking. ipc_call_sync: *data_r is a new reference; -1 and
 * *err (message of the service, code word in code_r[32] if given; "" there:
 * the service did not answer). A service
 * that does not answer within timeout_ms (of a stream: with the next part; -1:
 * no limit) is an error (ETIMEDOUT), after which the connection is of no use.
 * args is borrowed and may be NULL; data_r may be NULL.
 */
struct ipc_client;
struct ipc_client *ipc_connect(const char *path, int timeout_ms,
			       struct err *err);
int ipc_call_sync(struct ipc_client *c, const char *verb, json_t *args,
		  json_t **data_r, char code_r[32], struct err *err);
/* The same for a streaming verb: `fn` for each part; non-zero from it ends
 * the stream (the connection is then no longer usable). -1 with EINTR in
 * err->code when a signal handler ran meanwhile. */
int ipc_call_stream(struct ipc_client *c, const char *verb, json_t *args,
		    int (*fn)(json_t *part, void *arg), void *arg,
		    json_t **data_r, char code_r[32], struct err *err);
void ipc_client_free(struct ipc_client **c);

#endif
