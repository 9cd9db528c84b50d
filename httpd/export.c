/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/*
 * Events as a file. A page of them is asked for when the one before is on its
 * way: so an export of any length costs the memory of a page, and entity waits
 * for who reads slowly.
 */
#include "export.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/alloc.h"
#include "page.h"

#define VERB "events.export"
#define PAGE_EVENTS "500"
#define AT_ONCE 16

static void ask(struct visit *v, visit_fn then)
{
	visit_ask_stream(v, VERB, json_incref(v->export), "text");
	visit_then(v, then);
}

/* From where the next page goes on; no page is left: false. */
static bool turn(struct visit *v)
{
	json_t *next = json_object_get(visit_data(v, VERB), "next");
	char after[24];

	if (!json_is_integer(next)) {
		json_decref(v->export);
		v->export = NULL;
		return false;
	}
	snprintf(after, sizeof(after), "%lld",
		 (long long)json_integer_value(next));
	json_object_set_new(v->export, "after", json_string(after));
	return true;
}

/* A page is there; an empty one is the file's end. */
static void arrived(struct visit *v)
{
	if (!visit_data(v, VERB) || v->stream_cut)
		http_end(v->http, false);
	else if (v->stream.len || !turn(v))
		http_add(v->http, &v->stream);
	else
		ask(v, arrived);
}

static void want(void *arg)
{
	struct visit *v = arg;

	if (turn(v))
		ask(v, arrived);
	else
		http_end(v->http, true);
}

static void begin(struct visit *v, bool csv)
{
	v->parts = true;
	http_answer_parts(v->http, 200,
			  csv ? "text/csv; charset=utf-8"
			      : "application/x-ndjson",
			  &(struct http_parts){want, visit_gone, v});
	http_add(v->http, &v->stream);
}

static void first(struct visit *v)
{
	bool csv = strcmp(json_text(v->export, "format"), "jsonl") != 0;

	if (visit_error(v, VERB) && v->api) {
		visit_again(v, VERB, NULL);
		return;
	}
	if (visit_error(v, VERB)) {
		visit_failed(v, 422, visit_error(v, VERB));
		return;
	}
	if (v->scratch) {
		char *how = xasprintf("attachment; filename=\"%s.%s\"",
				      v->scratch, csv ? "csv" : "jsonl");

		http_add_header(v->http, "Content-Disposition", how);
		free(how);
	}
	begin(v, csv);
}

void export_events(struct visit *v, json_t *args, const char *file)
{
	if (v->app->exports >= AT_ONCE) {
		json_decref(args);
		visit_failed(v, 503, lang_text(v->lang, TEXT_error_much));
		return;
	}
	v->app->exports++;
	v->export = args;
	v->exports = true;
	v->scratch = file ? xstrdup(file) : NULL;
	json_object_set_new(args, "limit", json_string(PAGE_EVENTS));
	ask(v, first);
}
