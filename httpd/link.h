/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_HTTPD_LINK_H
#define SPLX_HTTPD_LINK_H

#include <jansson.h>
#include <stdbool.h>

#include "lib/loop.h"

/*
 * Verbs to entity, without waiting: many at once over one connection, which is
 * made when it is needed and made anew when it broke. A call that entity does
 * not answer in time, or cannot be sent, fails with the code "away".
 */
struct link;
struct link_call;

struct link_answer {
	const struct link_call *call; /* which one; of no use afterwards */
	bool ok;
	json_t *data;	     /* borrowed; of an error what stands beside it */
	const char *code;    /* of an error: a word of ipc.h, or "away" */
	const char *message; /* of an error, for people */
};
typedef void (*link_fn)(const struct link_answer *answer, void *arg);
/* A part of what streams, before its answer. */
typedef void (*link_part_fn)(json_t *data, void *arg);

/* `sock` is entity's socket as this process sees it. It lives as long as the
 * process. */
struct link *link_new(struct loop *loop, const char *sock);

/*
 * args and `as` (both may be NULL) are borrowed; from is an address, or NULL.
 * `fn` is called once, never before this returns; not after link_cancel().
 */
struct link_call *link_ask(struct link *link, const char *verb, json_t *args,
			   json_t *as, const char *from, link_fn fn, void *arg);
/* Of a verb that streams the parts are wanted too. */
void link_parts(struct link_call *call, link_part_fn fn);
void link_cancel(struct link_call **call);

#endif
