/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/* events.*; what they answer is told in store.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dispatch.h"
#include "events_text.h"
#include "lib/alloc.h"
#include "lib/str.h"
#include "store.h"

#define LIST_DEFAULT 100
#define LIST_MAX 10000
#define EXPORT_MAX 1000000000
#define PART_EVENTS 200 /* in one turn of the loop */

/* ---- what is asked for ---- */

/* Fills in what all three share; the text is borrowed from args. */
static int read_query(json_t *args, struct event_query *query, struct err *err)
{
	const char *kind = dispatch_arg(args, "kind");
	const char *since = dispatch_arg(args, "since");
	const char *until = dispatch_arg(args, "until");
	const struct event_kind *row;

	memset(query, 0, sizeof(*query));
	query->kind = -1;
	query->text = dispatch_arg(args, "text");
	if (query->text && !*query->text)
		query->text = NULL;
	if (kind) {
		row = events_kind_find(kind);
		if (!row)
			return err_set(err, 0, "%s is no kind of event", kind);
		query->kind = row->id;
	}
	if (since && events_text_time(since, &query->since_ns, err) < 0)
		return err_add(err, "since");
	if (until && events_text_time(until, &query->until_ns, err) < 0)
		return err_add(err, "until");
	return 0;
}

/* ---- a stream, or a list that takes several slices ---- */

struct stream {
	struct core *core;
	struct ipc_call *call;
	struct event_query query;
	char *text;
	struct loop_event *turn;
	bool blocked; /* the client reads slowly */
	bool gone;    /* it left while a slice was being sent */
	bool busy;

	json_t *list;			 /* list: what was found */
	struct store_follower *follower; /* follow */
	bool csv, jsonl;		 /* export */
	struct str part;
	long long count, limit; /* export; limit 0: all */
};

static void stream_free(struct stream *s)
{
	loop_cancel(&s->turn);
	store_unfollow(&s->follower);
	json_decref(s->list);
	str_free(&s->part);
	free(s->text);
	free(s);
}

static void on_gone(void *arg)
{
	struct stream *s = arg;

	s->gone = true;
	if (!s->busy)
		stream_free(s);
}

static void stream_turn(void *arg);

static void stream_schedule(struct stream *s)
{
	if (!s->turn && !s->blocked)
		s->turn = loop_timer(s->core->loop, 0, false, stream_turn, s);
}

static void on_writable(void *arg)
{
	struct stream *s = arg;

	s->blocked = false;
	stream_schedule(s);
}

static void stream_send(struct stream *s, json_t *data)
{
	if (!ipc_more(s->call, data))
		s->blocked = true;
}

static void on_event(json_t *event, void *arg)
{
	struct stream *s = arg;

	s->count++;
	if (s->list)
		json_array_append(s->list, event);
	else if (s->csv)
		events_text_csv(&s->part, event, s->query.kind);
	else if (s->jsonl)
		events_text_jsonl(&s->part, event);
	else if (!s->gone)
		stream_send(s, json_incref(event));
}

static void send_part(struct stream *s)
{
	json_t *data;

	if (!s->part.len || s->gone)
		return;
	data = json_object();
	json_object_set_new(
		data, "text",
		json_stringn_nocheck(str_get(&s->part), s->part.len));
	str_clear(&s->part);
	stream_send(s, data);
}

/* All has been sent; the call ends, but for a follower's. */
static void stream_end(struct stream *s, int more)
{
	if (s->list)
		dispatch_reply(s->core, s->call,
			       json_pack("{s:O, s:o}", "events", s->list,
					 "next",
					 more ? json_integer(s->query.cursor)
					      : json_null()));
	else
		dispatch_reply(s->core, s->call,
			       json_pack("{s:I, s:o}", "events",
					 (json_int_t)s->count, "next",
					 more ? json_integer(s->query.cursor)
					      : json_null()));
	stream_free(s);
}

static void stream_turn(void *arg)
{
	struct stream *s = arg;
	struct err err;
	int rc;

	loop_cancel(&s->turn);
	/* What goes on for days is for whoever may see it now. */
	if (s->follower && dispatch_role(s->core, s->call) < VERB_VIEWER) {
		dispatch_fail(s->core, s->call, "no_session",
			      "who asked may not look any more");
		stream_free(s);
		return;
	}
	if (s->follower)
		s->query.high = 0; /* what has come since */
	if (s->list)
		s->query.limit = (int)(s->query.limit - s->count);
	s->count = s->list ? 0 : s->count;
	if (s->limit && s->limit - s->count < PART_EVENTS)
		s->query.limit = (int)(s->limit - s->count);
	s->busy = true;
	rc = store_events(s->core->store, &s->query, on_event, s, &err);
	send_part(s);
	s->busy = false;
	if (s->gone) {
		stream_free(s);
		return;
	}
	if (rc < 0) {
		dispatch_fail(s->core, s->call, "unavailable", "%s", err.text);
		stream_free(s);
		return;
	}
	if ((s->list && (rc == 0 || s->count >= s->query.limit)) ||
	    (s->limit && s->count >= s->limit)) {
		stream_end(s, rc);
		return;
	}
	if (rc > 0)
		stream_schedule(s);
	else if (!s->follower)
		stream_end(s, 0);
}

static struct stream *stream_new(struct core *core, struct ipc_call *call,
				 json_t *args)
{
	struct stream *s = xcalloc(1, sizeof(*s));
	struct err err;

	s->core = core;
	s->call = call;
	if (read_query(args, &s->query, &err) < 0) {
		dispatch_fail(core, call, "invalid", "%s", err.text);
		free(s);
		return NULL;
	}
	if (s->query.text)
		s->query.text = s->text = xstrdup(s->query.text);
	s->query.limit = PART_EVENTS;
	return s;
}

static void stream_begin(struct stream *s)
{
	ipc_on_gone(s->call, on_gone, s);
	ipc_on_writable(s->call, on_writable, s);
	stream_schedule(s);
}

/* ---- the verbs ---- */

void verb_events_list(struct core *core, struct ipc_call *call, json_t *args)
{
	struct dispatch_page page = {.limit = LIST_DEFAULT, .max = LIST_MAX};
	struct stream *s;

	if (!dispatch_page(core, call, args, "before", &page))
		return;
	s = stream_new(core, call, args);
	if (!s)
		return;
	s->query.limit = (int)page.limit;
	s->query.newest_first = true;
	s->query.cursor = page.from;
	s->list = json_array();
	stream_begin(s);
}

static void on_new_event(int64_t id, void *arg)
{
	stream_schedule(arg);
}

void verb_events_follow(struct core *core, struct ipc_call *call, json_t *args)
{
	struct stream *s = stream_new(core, call, args);

	if (!s)
		return;
	s->query.cursor = store_last_event(core->store);
	s->follower = store_follow(core->store, on_new_event, s);
	stream_begin(s);
}

void verb_events_export(struct core *core, struct ipc_call *call, json_t *args)
{
	const char *format = dispatch_arg(args, "format");
	struct dispatch_page page = {.max = EXPORT_MAX};
	struct stream *s;

	if (!dispatch_page(core, call, args, "after", &page))
		return;
	if (format && strcmp(format, "csv") != 0 &&
	    strcmp(format, "jsonl") != 0) {
		dispatch_fail(core, call, "invalid",
			      "format: csv or jsonl, not %s", format);
		return;
	}
	s = stream_new(core, call, args);
	if (!s)
		return;
	s->jsonl = format && !strcmp(format, "jsonl");
	s->csv = !s->jsonl;
	s->limit = page.limit;
	s->query.cursor = page.from;
	if (s->csv && !page.from)
		events_text_csv_head(&s->part, s->query.kind);
	stream_begin(s);
}
