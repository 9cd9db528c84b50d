/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/* What waits for a channel. */
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "notify_impl.h"

#define ROWS 200       /* of the log, in one go */
#define HOOK_EVENTS 50 /* in one request to a webhook */

void gather_free(struct gather *g)
{
	json_decref(g->events);
	for (int i = 0; i < GATHER_SEVERITIES; i++)
		json_decref(g->worst[i]);
	memset(g, 0, sizeof(*g));
}

void gather_begin(struct gather *g, int64_t told)
{
	gather_free(g);
	g->read = told;
	g->more = true;
	g->events = json_array();
	for (int i = 0; i < GATHER_SEVERITIES; i++)
		g->worst[i] = json_array();
}

static int64_t number(const json_t *object, const char *name)
{
	return json_integer_value(json_object_get(object, name));
}

/* Columns that an event does not have say nothing. */
static json_t *without_nulls(json_t *event)
{
	json_t *out = json_object(), *value;
	const char *name;

	json_object_foreach (event, name, value)
		if (!json_is_null(value))
			json_object_set(out, name, value);
	return out;
}

static void on_event(json_t *event, void *arg)
{
	struct gather *g = arg;
	int64_t when = number(event, "time");
	const struct event_kind *kind;
	int severity;
	json_t *kept;

	if (!notify_wants(g->conf, event))
		return;
	if (when < g->too_old_ns) {
		g->dropped++;
		return;
	}
	kind = events_kind_find(
		json_string_value(json_object_get(event, "kind")));
	severity = events_severity_parse(
		json_string_value(json_object_get(event, "severity")));
	if (g->count == 0 || when < g->first_ns)
		g->first_ns = when;
	if (g->count == 0 || when > g->last_ns)
		g->last_ns = when;
	g->count++;
	g->tally[kind->id][severity]++;
	kept = without_nulls(event);
	if (json_array_size(g->events) < GATHER_EVENTS)
		json_array_append(g->events, kept);
	if (json_array_size(g->worst[severity]) < GATHER_WORST)
		json_array_append(g->worst[severity], kept);
	json_decref(kept);
}

int gather_step(struct gather *g, struct store *store,
		const struct notify_channel *conf, struct err *err)
{
	struct event_query q = {
		.kind = -1,
		.cursor = g->read,
		.limit = ROWS,
	};
	int64_t age = (int64_t)NOTIFY_AGE_MAX_S * (int64_t)CLOCK_NS_PER_S;
	int rc;

	if (!g->more)
		return 0;
	/* Without digests what does not go now is looked at again later. */
	if (conf->digest == 0) {
		if (g->count >= GATHER_EVENTS)
			return 0;
		q.limit = GATHER_EVENTS - (int)g->count;
	}
	g->conf = conf;
	g->too_old_ns = clock_real_ns() - age;
	rc = store_events(store, &q, on_event, g, err);
	g->conf = NULL;
	if (rc < 0)
		return -1;
	if (q.cursor > g->read)
		g->read = q.cursor;
	g->more = rc > 0;
	return rc;
}

/* ---- messages ---- */

json_t *gather_digest(const struct gather *g)
{
	json_t *counts = json_array(), *events = json_array(), *event;
	size_t i;

	for (int s = GATHER_SEVERITIES - 1; s >= 0; s--) {
		for (int k = 0; k < EVENT_KIND_COUNT; k++)
			if (g->tally[k][s])
				json_array_append_new(
					counts,
					json_pack("{s:s, s:s, s:I}", "kind",
						  event_kinds[k].name,
						  "severity",
						  events_severity_name(s),
						  "count",
						  (json_int_t)g->tally[k][s]));
		json_array_foreach (g->worst[s], i, event)
			if (json_array_size(events) < GATHER_WORST)
				json_array_append(events, event);
	}
	return json_pack("[{s:{s:I, s:I, s:I, s:o, s:o}}]", "digest", "count",
			 (json_int_t)g->count, "first", (json_int_t)g->first_ns,
			 "last", (json_int_t)g->last_ns, "counts", counts,
			 "events", events);
}

json_t *gather_messages(const struct gather *g,
			const struct notify_channel *conf, size_t max)
{
	size_t i, each = conf->type == NOTIFY_WEBHOOK ? HOOK_EVENTS : 1;
	json_t *messages = json_array(), *events = NULL, *event;

	json_array_foreach (g->events, i, event) {
		if (i % each == 0) {
			if (json_array_size(messages) >= max)
				break;
			events = json_array();
			json_array_append_new(
				messages, json_pack("{s:o}", "events", events));
		}
		json_array_append(events, event);
	}
	return messages;
}

int64_t gather_last_id(json_t *messages, size_t n, int64_t *events_r)
{
	int64_t last = 0;
	json_t *events;
	size_t len;

	*events_r = 0;
	for (size_t i = 0; i < n; i++) {
		events = json_object_get(json_array_get(messages, i), "events");
		len = json_array_size(events);
		*events_r += (int64_t)len;
		if (len)
			last = number(json_array_get(events, len - 1), "id");
	}
	return last;
}
