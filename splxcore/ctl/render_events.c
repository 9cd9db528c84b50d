/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include <ctype.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/events.h"
#include "lib/alloc.h"
#include "output.h"
#include "render.h"

#define PROBE_MS 10000
#define N(a) (sizeof(a) / sizeof((a)[0]))

static enum output_format column_format(const struct event_column *c)
{
	if (strcmp(c->name, "time") == 0)
		return OUTPUT_TIME;
	if (strcmp(c->name, "size") == 0 || strcmp(c->name, "bytes") == 0)
		return OUTPUT_SIZE;
	if (strcmp(c->name, "duration_ms") == 0)
		return OUTPUT_MS;
	return c->type == EVENT_TYPE_INT ? OUTPUT_NUMBER : OUTPUT_TEXT;
}

/* "quarantine_id" as the title of a column. */
static char *title_of(const char *name)
{
	char *title = xstrdup(name), *p;

	for (p = title; *p; p++)
		*p = *p == '_' ? ' ' : (char)toupper((unsigned char)*p);
	return title;
}

/*
 * The columns of one kind: id, time, severity, its own ones, and the message
 * at the end, where its length does no harm. free_columns() when done.
 */
static struct output_column *kind_columns(const struct event_kind *kind,
					  size_t *n_r)
{
	const struct event_column *c, *message = NULL;
	struct output_column *cols;
	size_t i, n = 0;

	cols = xcalloc(event_common_count + kind->column_count, sizeof(*cols));
	for (i = 0; (c = events_column(kind, i)); i++) {
		if (strcmp(c->name, "message") == 0) {
			message = c;
			continue;
		}
		cols[n++] = (struct output_column){c->name, title_of(c->name),
						   column_format(c)};
	}
	if (message)
		cols[n++] = (struct output_column){
			message->name, title_of(message->name), OUTPUT_TEXT};
	*n_r = n;
	return cols;
}

static void free_columns(struct output_column *cols, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		free((char *)cols[i].title);
	free(cols);
}

static void list_render(struct ctl *ctl, json_t *data)
{
	static const struct output_column any[] = {
		{"id", "ID", OUTPUT_NUMBER},
		{"time", "TIME", OUTPUT_TIME},
		{"kind", "KIND", OUTPUT_WORD},
		{"severity", "SEVERITY", OUTPUT_WORD},
		{"message", "MESSAGE", OUTPUT_SAID},
	};
	const char *name = ctl_arg(ctl, "kind");
	const struct event_kind *kind = name ? events_kind_find(name) : NULL;
	json_t *events = json_object_get(data, "events");
	json_t *next = json_object_get(data, "next");
	struct output_column *cols;
	size_t n;

	if (kind) {
		cols = kind_columns(kind, &n);
		output_rows(stdout, events, cols, n, "no events");
		free_columns(cols, n);
	} else {
		output_rows(stdout, events, any, N(any), "no events");
	}
	if (json_is_integer(next))
		printf(T("\nolder ones: --before=%lld\n"),
		       (long long)json_integer_value(next));
}

int events_list_run(struct ctl *ctl)
{
	struct err err = {0};
	json_t *data;
	int rc = ctl_call(ctl, "events.list", ctl->args, &data, &err);

	if (rc != CTL_OK)
		ctl_failed(rc, &err);
	else if (ctl->output == CTL_JSON)
		output_json(stdout, data);
	else
		list_render(ctl, data);
	json_decref(data);
	return rc;
}

/* One line for each, as in a log. */
static void follow_line(json_t *event)
{
	static const char *const parts[] = {"kind", "severity", "message"};
	struct str b = {0};
	size_t i;

	output_value(&b, json_object_get(event, "time"), OUTPUT_TIME);
	for (i = 0; i < N(parts); i++) {
		str_add(&b, " ");
		output_value(&b, json_object_get(event, parts[i]),
			     i < 2 ? OUTPUT_WORD : OUTPUT_SAID);
	}
	puts(str_get(&b));
	str_free(&b);
}

/* Non-zero when nobody reads our output any more. */
static int on_event(json_t *event, void *arg)
{
	const struct ctl *ctl = arg;

	if (ctl->output == CTL_JSON)
		output_json_line(stdout, event);
	else
		follow_line(event);
	return fflush(stdout) != 0;
}

static void on_interrupt(int sig)
{
	/* Nothing is half done: whole lines were written. */
	_exit(CTL_OK);
}

/* Events may be long in coming, a living service answers this at once. */
static int probe(const struct ctl *ctl, struct err *err)
{
	struct ctl quick = *ctl;
	json_t *args = json_pack("{s:s}", "limit", "1"), *data;
	int rc;

	if (quick.timeout_ms < 0)
		quick.timeout_ms = PROBE_MS;
	rc = ctl_call(&quick, "events.list", args, &data, err);
	json_decref(data);
	json_decref(args);
	return rc;
}

int events_follow_run(struct ctl *ctl)
{
	struct err err = {0};
	json_t *data = NULL;
	int rc;

	signal(SIGINT, on_interrupt);
	signal(SIGTERM, on_interrupt);
	rc = probe(ctl, &err);
	if (rc == CTL_OK)
		rc = ctl_stream(ctl, "events.follow", ctl->args, on_event, ctl,
				&data, &err);
	if (rc != CTL_OK)
		ctl_failed(rc, &err);
	json_decref(data);
	return rc;
}

/* The lines come ready made. */
static int on_text(json_t *part, void *arg)
{
	json_t *text = json_object_get(part, "text");

	return fwrite(json_string_value(text), 1, json_string_length(text),
		      stdout) != json_string_length(text);
}

int events_export_run(struct ctl *ctl)
{
	struct err err = {0};
	json_t *data;
	int rc;

	/* Of the two formats one is JSON: -o json asks for it. */
	if (ctl->output == CTL_JSON && !ctl_arg(ctl, "format"))
		json_object_set_new(ctl->args, "format", json_string("jsonl"));
	rc = ctl_stream(ctl, "events.export", ctl->args, on_text, NULL, &data,
			&err);
	if (rc != CTL_OK)
		ctl_failed(rc, &err);
	json_decref(data);
	return rc;
}
