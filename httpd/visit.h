/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_HTTPD_VISIT_H
#define SPLX_HTTPD_VISIT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/verbs.h"
#include "html.h"
#include "link.h"
#include "params.h"
#include "server.h"

/*
 * One request, from its arrival to its answer: who asks, what the page has to
 * ask of entity, and the page as it is written. A page's handler asks verbs
 * (visit_ask()), names what goes on when all are answered (visit_then()), and
 * there writes its answer. Entity judges each verb by the session that stands
 * in the request; nothing is kept here between two requests.
 */
struct visit;
struct app;
typedef void (*visit_fn)(struct visit *v);

/* Who may come by a route. */
enum access {
	ACCESS_ALL,	/* nobody has to be logged in */
	ACCESS_SESSION, /* whoever is, also before he has set a password */
	ACCESS_VIEWER,
	ACCESS_OPERATOR,
	ACCESS_ADMIN,
	ACCESS_TOKEN, /* programs, by a token or a session: answers are JSON */
};

struct route {
	const char *method; /* GET (and HEAD) or POST */
	const char *path;   /* ends with a slash: all below it */
	enum access access;
	size_t body_max;
	visit_fn handle;
};

#define VISIT_ASKS 16
/* What streams is gathered before it is sent, so only so much of it, and so
 * often at once. */
#define VISIT_STREAM_MAX (64u << 20)
#define VISIT_STREAMS 2

struct visit_ask {
	const char *verb;
	struct link_call *call; /* NULL: answered */
	bool ok;
	json_t *data;
	char code[32];
	char *message;
};

struct visit {
	struct app *app;
	struct http *http;
	const struct route *route;
	struct params query, form, cookies;
	enum lang lang;
	char theme[8];	     /* "light", "dark", "": the browser's */
	const char *session; /* the cookie's; NULL: none */
	json_t *as;	     /* who entity is told to act for, or NULL */
	json_t *who;	     /* console.whoami's answer; NULL: nobody */
	enum verb_role role; /* VERB_CONSOLE: nobody */
	struct html html;
	int status;	     /* of the page that is written */
	const char *problem; /* what went wrong, to be shown above it */
	const char *said;    /* what went well, in the same place */
	bool other_form;     /* the form being written is not the one sent */
	bool api;	     /* errors are JSON */
	struct visit_ask asks[VISIT_ASKS];
	int n_asks, open;
	struct str stream;	   /* visit_ask_stream() */
	const char *stream_member; /* NULL: no stream */
	bool stream_cut, stream_counted;
	json_t *export; /* export_events(): what is asked for next */
	bool exports;	/* it is one of them */
	bool parts;	/* the answer has begun, and goes on */
	char wire[64];	/* of page_api() */
	visit_fn then;
	visit_fn after; /* what is shown again: visit_change(), or a page's own
			 */
	const char *change, *change_to; /* visit_change()'s */
	char *scratch; /* a page's own text, freed with the visit */
};

/* ---- entity ---- */

/* args are taken over; NULL: none. verb is a literal. */
void visit_ask(struct visit *v, const char *verb, json_t *args);
/* A verb that streams: the texts that stand in `member` of its parts are
 * gathered, base64 decoded if it is "data", for visit_stream(). */
void visit_ask_stream(struct visit *v, const char *verb, json_t *args,
		      const char *member);
/*
 * `fn` is called when all that was asked is answered. Not if the session has
 * ended or entity is away: then the answer is what that takes.
 */
void visit_then(struct visit *v, visit_fn fn);
/* The last answer of a verb; borrowed, NULL when it is an error. */
json_t *visit_data(const struct visit *v, const char *verb);
/* Its error for people, NULL when there is none. */
const char *visit_error(const struct visit *v, const char *verb);
/* Its error's code, "" when there is none. */
const char *visit_code(const struct visit *v, const char *verb);

/* ---- what was sent ---- */

const char *visit_query(const struct visit *v, const char *name); /* or "" */
const char *visit_form(const struct visit *v, const char *name);  /* or "" */

/* ---- answers: each ends the visit ---- */

void visit_html(struct visit *v);
void visit_redirect(struct visit *v, const char *path);
/* A page that says what is wrong, with a status such as 404. */
void visit_failed(struct visit *v, int status, const char *message);
void visit_text(struct visit *v, int status, const char *type,
		const char *text);
/* What was gathered, as a file. */
void visit_stream(struct visit *v, const char *type);
/*
 * After a form that was refused: the page it stood in, by its handler, with
 * what entity had to say above it; page NULL: an error as JSON.
 */
void visit_again(struct visit *v, const char *verb, visit_fn page);

/*
 * A form's whole answer: asks the verb, and leads to the path; after a refusal
 * visit_again(). verb and path are literals; args are taken over.
 */
void visit_change(struct visit *v, const char *verb, json_t *args,
		  visit_fn page, const char *path);

/* The page's own secret against forged forms; "" without a session. */
const char *visit_csrf(const struct visit *v);
/* Sets a cookie for this host alone; with max_age_s -1 until the browser ends,
 * with 0 it is removed. */
void visit_cookie(struct visit *v, const char *name, const char *value,
		  long max_age_s);

#define COOKIE_SESSION "__Host-splx"
#define COOKIE_LOOK "__Host-splx-look"

/* ---- for the server ---- */

struct app {
	struct link *link;
	struct loop *loop;
	/* /healthz: what entity said last */
	json_t *health;
	unsigned long long health_ns;
	int streams, exports;
};

/* The end of an answer in parts: v is freed. */
void visit_gone(void *v);

long visit_begin(struct http *http, void *app);
void visit_request(struct http *http, void *app);

#endif
