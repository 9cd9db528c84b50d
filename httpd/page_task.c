/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/* A task: what splxctl does by itself in the background, and what it said. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/alloc.h"
#include "parts.h"

/* Its pages are below the one it was started from. */
static const char *home_of(const char *verb)
{
	if (!strncmp(verb, "module.", 7) || !strncmp(verb, "order.", 6))
		return "/module";
	if (!strncmp(verb, "service.", 8))
		return "/";
	return "/maintenance";
}

static void words_in(struct html *h, const char *text)
{
	const char *end;
	char *line;

	html_raw(h, "<pre class=\"said\">");
	for (; *text; text = end + (*end != '\0')) {
		end = text + strcspn(text, "\n");
		line = xstrndup(text, (size_t)(end - text));
		html_text(h, line);
		html_raw(h, "\n");
		free(line);
	}
	html_raw(h, "</pre>");
}

static void show(struct visit *v)
{
	json_t *t = visit_data(v, "task.show");
	struct html *h = &v->html;
	const char *verb, *home;
	char id[24];
	bool runs;

	if (!t) {
		visit_failed(v, 404, visit_error(v, "task.show"));
		return;
	}
	verb = json_text(t, "verb");
	home = home_of(verb);
	runs = !strcmp(json_text(t, "state"), "running");
	/* The browser comes again by itself, without a script. */
	if (runs)
		http_add_header(v->http, "Refresh", "2");
	page_begin(v, TEXT_task, home);
	part_facts(h);
	part_fact_text(h, TEXT_task_verb, verb);
	part_fact(h, TEXT_state);
	part_word(h, part_states, json_text(t, "state"));
	part_fact_end(h);
	part_fact_time(h, TEXT_begun, json_number(t, "started"));
	part_fact_time(h, TEXT_ended, json_number(t, "ended"));
	part_fact_text(h, TEXT_by, json_text(t, "by"));
	part_facts_end(h);
	part_card(h, TEXT_task_said);
	if (*json_text(t, "output"))
		words_in(h, json_text(t, "output"));
	else
		part_empty(h, runs ? TEXT_task_silent : TEXT_task_said_none);
	part_card_end(h);
	html_raw(h, "<div class=\"actions\">");
	snprintf(id, sizeof(id), "%lld", (long long)json_number(t, "id"));
	if (json_is_true(json_object_get(t, "result")))
		html_addf(h,
			  "<a class=\"button primary\" "
			  "href=\"/task/result?id=%s\">%s</a>",
			  id, lang_text(h->lang, TEXT_task_result));
	if (runs)
		part_action(v, "/task/cancel", "danger", TEXT_cancel, "id", id);
	part_link(h, home, TEXT_back);
	html_raw(h, "</div>");
	page_end(v);
}

void page_task(struct visit *v)
{
	visit_ask(v, "task.show",
		  json_pack("{s:s}", "id", visit_query(v, "id")));
	visit_then(v, show);
}

static void cancelled(struct visit *v)
{
	char *to;

	if (visit_error(v, "task.cancel")) {
		visit_failed(v, 409, visit_error(v, "task.cancel"));
		return;
	}
	to = part_urlencode(visit_form(v, "id"));
	char *path = xasprintf("/task?id=%s", to);

	visit_redirect(v, path);
	free(path);
	free(to);
}

void page_task_cancel(struct visit *v)
{
	visit_ask(v, "task.cancel",
		  json_pack("{s:s}", "id", visit_form(v, "id")));
	visit_then(v, cancelled);
}

/* ---- the file it made ---- */

static int digit(char c)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmn"
				     "opqrstuvwxyz0123456789+/";
	const char *p = c ? strchr(digits, c) : NULL;

	return p ? (int)(p - digits) : -1;
}

/* Base64, each part filled up by = for itself, to the bytes, in place. */
static void decode(struct str *b)
{
	unsigned int bits = 0;
	size_t i, out = 0;
	int have = 0, n;

	for (i = 0; i < b->len; i++) {
		n = digit(b->s[i]);
		if (n < 0) { /* the end of a part */
			have = 0;
			continue;
		}
		bits = bits << 6 | (unsigned int)n;
		have += 6;
		if (have >= 8) {
			have -= 8;
			b->s[out++] = (char)(bits >> have & 255);
		}
	}
	b->len = out;
}

static void sent(struct visit *v)
{
	int64_t id = strtoll(visit_query(v, "id"), NULL, 10);
	char name[96];

	if (visit_error(v, "task.result")) {
		visit_failed(v, 404, visit_error(v, "task.result"));
		return;
	}
	decode(&v->stream);
	snprintf(name, sizeof(name),
		 "attachment; filename=\"splx-diagnose-%lld.tar.gz\"",
		 (long long)id);
	http_add_header(v->http, "Content-Disposition", name);
	visit_stream(v, "application/gzip");
}

void page_task_result(struct visit *v)
{
	visit_ask_stream(v, "task.result",
			 json_pack("{s:s}", "id", visit_query(v, "id")),
			 "data");
	visit_then(v, sent);
}

/* ---- beginning one ---- */

static void begun(struct visit *v)
{
	json_t *data = visit_data(v, "task.start");
	visit_fn again = v->after;
	char path[64];

	if (!data) {
		visit_again(v, "task.start", again);
		return;
	}
	snprintf(path, sizeof(path), "/task?id=%lld",
		 (long long)json_number(data, "task"));
	visit_redirect(v, path);
}

void part_task(struct visit *v, const char *verb, json_t *words, visit_fn again)
{
	json_t *args = json_pack("{s:s}", "verb", verb);

	if (words)
		json_object_set_new(args, "arg", words);
	v->after = again;
	visit_ask(v, "task.start", args);
	visit_then(v, begun);
}
