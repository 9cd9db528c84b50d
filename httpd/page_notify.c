/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/* Notifications: who is told of events, how that goes, and what waits. */
#include <stdlib.h>
#include <string.h>

#include "lib/alloc.h"
#include "page_notify.h"
#include "parts.h"

#define HOME "/notifications"

static const struct part_word states[] = {
	{"idle", TEXT_channel_idle, "ok"},
	{"sending", TEXT_channel_sending, "info"},
	{"waiting", TEXT_channel_waiting, "info"},
	{"failing", TEXT_channel_failing, "bad"},
	{"off", TEXT_channel_off, NULL},
	PART_WORDS_END,
};

const struct part_word notify_types[] = {
	{"smtp", TEXT_type_smtp, NULL},
	{"snmp", TEXT_type_snmp, NULL},
	{"syslog", TEXT_type_syslog, NULL},
	{"webhook", TEXT_type_webhook, NULL},
	PART_WORDS_END,
};

/* ---- the channels ---- */

static void link_to(struct html *h, const char *path, const char *name,
		    enum text text)
{
	char *n = part_urlencode(name);

	html_addf(h, "<a class=\"button\" href=\"%s?name=%s\">%s</a>", path, n,
		  lang_text(h->lang, text));
	free(n);
}

static void channel_facts(struct html *h, json_t *c)
{
	html_raw(h, "<dl class=\"facts\">");
	part_fact_number(h, TEXT_waiting, json_number(c, "waiting"));
	part_fact_number(h, TEXT_sent, json_number(c, "sent"));
	part_fact_number(h, TEXT_dropped, json_number(c, "dropped"));
	part_fact_time(h, TEXT_last_sent, json_number(c, "ok_at"));
	if (json_number(c, "failing_since"))
		part_fact_time(h, TEXT_failing_since,
			       json_number(c, "failing_since"));
	part_facts_end(h);
}

static void channel_buttons(struct visit *v, const char *name)
{
	struct html *h = &v->html;

	html_raw(h, "<div class=\"actions\">");
	if (v->role >= VERB_ADMIN) {
		part_action(v, HOME "/test", "", TEXT_test, "name", name);
		link_to(h, HOME "/edit", name, TEXT_change);
	}
	link_to(h, HOME "/queue", name, TEXT_show_queue);
	if (v->role >= VERB_ADMIN)
		part_action(v, HOME "/remove", "danger", TEXT_remove, "name",
			    name);
	html_raw(h, "</div>");
}

static void channel(struct visit *v, json_t *c)
{
	const char *name = json_text(c, "name");
	struct html *h = &v->html;

	html_addf(h, "<section class=\"card\"><h2>%s ", name);
	part_word(h, states, json_text(c, "state"));
	html_raw(h, "</h2><p class=\"muted\">");
	part_word(h, notify_types, json_text(c, "type"));
	html_addf(h, " <span class=\"path\">%s</span></p>",
		  json_text(c, "target"));
	if (*json_text(c, "error"))
		part_note_text(h, "bad", json_text(c, "error"));
	channel_facts(h, c);
	channel_buttons(v, name);
	part_card_end(h);
}

static void add_links(struct visit *v)
{
	const struct part_word *t;
	struct html *h = &v->html;

	if (v->role < VERB_ADMIN)
		return;
	part_card(h, TEXT_channel_add);
	html_raw(h, "<div class=\"actions\">");
	for (t = notify_types; t->word; t++)
		html_addf(h,
			  "<a class=\"button\" href=\"" HOME
			  "/edit?type=%s\">%s</a>",
			  t->word, lang_text(h->lang, t->text));
	html_raw(h, "</div>");
	part_card_end(h);
}

static void show(struct visit *v)
{
	json_t *data = visit_data(v, "notify.list"), *item;
	json_t *list = json_object_get(data, "channels");
	struct html *h = &v->html;
	size_t i;

	if (!data) {
		visit_failed(v, 500, visit_error(v, "notify.list"));
		return;
	}
	page_begin(v, TEXT_notifications, HOME);
	json_array_foreach (json_object_get(data, "problems"), i, item)
		if (json_is_string(item))
			part_note_text(h, "warn", json_string_value(item));
	if (!json_array_size(list)) {
		html_raw(h, "<section class=\"card\">");
		part_empty(h, TEXT_channels_none);
		part_card_end(h);
	}
	json_array_foreach (list, i, item)
		channel(v, item);
	add_links(v);
	page_end(v);
}

void page_notify(struct visit *v)
{
	visit_ask(v, "notify.list", NULL);
	visit_then(v, show);
}

/* ---- what waits ---- */

static void queue(struct visit *v)
{
	json_t *data = visit_data(v, "notify.queue"), *e;
	json_t *list = json_object_get(data, "events");
	struct html *h = &v->html;
	size_t i;

	if (!data) {
		visit_failed(v, 404, visit_error(v, "notify.queue"));
		return;
	}
	page_begin(v, TEXT_queue_title, HOME);
	html_addf(h,
		  "<section class=\"card\"><h2>%s: ", json_text(data, "name"));
	html_number(h, json_number(data, "waiting"));
	html_addf(h, "</h2><p class=\"muted\">%s</p>",
		  lang_text(h->lang, TEXT_queue_what));
	if (!json_array_size(list)) {
		part_empty(h, TEXT_queue_empty);
	} else {
		part_table(h, TEXT_time, TEXT_kind, TEXT_message);
		json_array_foreach (list, i, e) {
			html_raw(h, "<tr>");
			part_cell_time(h, TEXTS, json_number(e, "time"));
			part_cell(h, TEXT_kind, "");
			part_word(h, part_kinds, json_text(e, "kind"));
			part_cell_end(h);
			part_cell_text(h, TEXTS, "path",
				       json_text(e, "message"));
			html_raw(h, "</tr>");
		}
		part_table_end(h);
	}
	part_card_end(h);
	html_raw(h, "<div class=\"actions\">");
	if (v->role >= VERB_ADMIN && json_array_size(list))
		part_action(v, HOME "/drop", "danger", TEXT_queue_drop, "name",
			    json_text(data, "name"));
	part_link(h, HOME, TEXT_back);
	html_raw(h, "</div>");
	page_end(v);
}

void page_notify_queue(struct visit *v)
{
	visit_ask(v, "notify.queue",
		  json_pack("{s:s}", "name", visit_query(v, "name")));
	visit_then(v, queue);
}

/* ---- actions ---- */

static json_t *named(const struct visit *v)
{
	return json_pack("{s:s}", "name", visit_form(v, "name"));
}

void page_notify_drop(struct visit *v)
{
	const struct part_question q = {
		.title = TEXT_queue_drop,
		.text = TEXT_queue_drop_sure,
		.arg = visit_form(v, "name"),
		.button = TEXT_queue_drop,
		.back = HOME,
	};

	if (part_confirmed(v, &q))
		visit_change(v, "notify.drop", named(v), page_notify,
			     HOME "?note=queue_dropped");
}

void page_notify_remove(struct visit *v)
{
	const struct part_question q = {
		.title = TEXT_remove,
		.text = TEXT_channel_remove_sure,
		.arg = visit_form(v, "name"),
		.button = TEXT_remove,
		.back = HOME,
	};

	if (part_confirmed(v, &q))
		visit_change(v, "notify.remove", named(v), page_notify,
			     HOME "?note=channel_removed");
}

/* What the server said stands above the page, good or bad. */
static void tested(struct visit *v)
{
	json_t *data = visit_data(v, "notify.test");

	if (!data) {
		v->scratch = html_say_text(v->lang, TEXT_test_failed,
					   visit_error(v, "notify.test"));
		v->problem = v->scratch;
		v->status = 502;
	} else {
		v->scratch = html_say_text(v->lang, TEXT_test_answer,
					   json_text(data, "answer"));
		v->said = v->scratch;
	}
	visit_ask(v, "notify.list", NULL);
	visit_then(v, show);
}

void page_notify_test(struct visit *v)
{
	visit_ask(v, "notify.test", named(v));
	visit_then(v, tested);
}
