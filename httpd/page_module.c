/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/* The kernel module: what it does, by which method, who is in its way, its
 * load lock, and the order in which services start. */
#include <stdio.h>
#include <string.h>

#include "parts.h"

#define N(a) ((int)(sizeof(a) / sizeof((a)[0])))

static const struct part_word module_states[] = {
	{"armed", TEXT_module_armed, "ok"},
	{"idle", TEXT_module_idle, "info"},
	{"passive", TEXT_module_passive, "warn"},
	PART_WORDS_END,
};

static const struct part_word effects[] = {
	{"safe", TEXT_effect_safe, "ok"},
	{"named", TEXT_effect_named, "info"},
	{"blocks-arm", TEXT_effect_arm, "bad"},
	{"blocks-unload", TEXT_effect_unload, "warn"},
	PART_WORDS_END,
};

/* ---- what it is and does ---- */

static enum text method_text(const char *method)
{
	return !strcmp(method, "ftrace")     ? TEXT_method_ftrace
	       : !strcmp(method, "fsnotify") ? TEXT_method_fsnotify
					     : TEXT_method_none;
}

static void loaded_facts(struct html *h, json_t *s)
{
	part_facts(h);
	part_fact(h, TEXT_state);
	part_word(h, module_states, json_text(s, "state"));
	part_fact_end(h);
	part_fact_text(h, TEXT_method, json_text(s, "method"));
	part_fact_text(h, TEXT_version, json_text(s, "version"));
	part_fact_number(h, TEXT_readers, json_number(s, "readers"));
	part_fact_number(h, TEXT_queue, json_number(s, "pending"));
	part_fact_number(h, TEXT_cache, json_number(s, "cached"));
	part_fact_number(h, TEXT_rules, json_number(s, "rules"));
	part_facts_end(h);
}

static void method(struct html *h, json_t *s)
{
	const char *blind = json_text(s, "blind");

	part_card(h, TEXT_method);
	html_addf(h, "<p>%s</p>",
		  lang_text(h->lang, method_text(json_text(s, "method"))));
	if (*blind && strcmp(blind, "-") != 0)
		html_addf(h, "<p><strong>%s</strong> %s</p>",
			  lang_text(h->lang, TEXT_not_seen), blind);
	if (json_number(s, "breaker_open"))
		part_note(h, "bad", TEXT_breaker_open);
	part_card_end(h);
}

/* All that it has counted; the names are those of /proc/splx/status. */
static void counted(struct html *h, json_t *s)
{
	const char *name;
	json_t *value;

	html_addf(h,
		  "<details class=\"card\"><summary>%s</summary>"
		  "<dl class=\"codes\">",
		  lang_text(h->lang, TEXT_counters));
	json_object_foreach (s, name, value) {
		if (!json_is_integer(value))
			continue;
		html_addf(h, "<div><dt><code>%s</code></dt><dd>", name);
		html_number(h, json_integer_value(value));
		html_raw(h, "</dd></div>");
	}
	html_raw(h, "</dl></details>");
}

static void not_loaded(struct html *h, json_t *m)
{
	html_raw(h, "<section class=\"card state info\">");
	page_icon(h, "module");
	html_addf(h, "<div><p class=\"overall\">%s</p><p>%s</p>",
		  lang_text(h->lang, TEXT_module_not_loaded),
		  json_text(m, "text"));
	html_addf(h, "<p class=\"muted\">%s</p></div>",
		  lang_text(h->lang, TEXT_module_not_loaded_means));
	html_raw(h, "</section>");
}

static void buttons(struct visit *v, bool loaded)
{
	struct html *h = &v->html;

	if (v->role < VERB_ADMIN)
		return;
	html_raw(h, "<div class=\"actions\">");
	if (loaded)
		part_action(v, "/module/unload", "danger", TEXT_module_unload);
	else
		part_action(v, "/module/load", "primary", TEXT_module_load);
	html_raw(h, "</div>");
}

/* ---- the load lock ---- */

static void lock_entries(struct html *h, json_t *list)
{
	json_t *e;
	size_t i;

	if (!json_array_size(list))
		return;
	part_table(h, TEXT_time, TEXT_what, TEXT_kernel);
	json_array_foreach (list, i, e) {
		html_raw(h, "<tr>");
		part_cell_time(h, TEXTS, json_number(e, "time"));
		part_cell_text(h, TEXTS, "", json_text(e, "kind"));
		part_cell_text(h, TEXT_kernel, "", json_text(e, "kernel"));
		html_raw(h, "</tr>");
	}
	part_table_end(h);
}

static void load_lock(struct visit *v, json_t *lock)
{
	struct html *h = &v->html;
	bool locked = json_is_true(json_object_get(lock, "locked"));
	char crashes[24], max[24];

	part_card(h, TEXT_load_lock);
	html_addf(h, "<p>%s</p>", lang_text(h->lang, TEXT_load_lock_what));
	if (json_is_false(json_object_get(lock, "known")) || locked)
		part_note_text(h, "bad", json_text(lock, "text"));
	snprintf(crashes, sizeof(crashes), "%lld",
		 (long long)json_number(lock, "crashes"));
	snprintf(max, sizeof(max), "%lld", (long long)json_number(lock, "max"));
	html_raw(h, "<p><strong>");
	html_say(h, locked ? TEXT_lock_locked : TEXT_lock_open, crashes, max);
	html_raw(h, "</strong></p>");
	if (locked) {
		html_addf(h, "<p>%s ", lang_text(h->lang, TEXT_lock_frees));
		html_duration(h, json_number(lock, "free_in_s") * 1000);
		html_raw(h, "</p>");
	}
	lock_entries(h, json_object_get(lock, "entries"));
	if (v->role >= VERB_ADMIN &&
	    (locked || json_number(lock, "crashes") > 0)) {
		html_raw(h, "<div class=\"actions\">");
		part_action(v, "/module/unlock", "danger", TEXT_unlock);
		html_raw(h, "</div>");
	}
	part_card_end(h);
}

/* ---- who is in the way ---- */

static void remedies(struct html *h, json_t *c)
{
	json_t *list = json_object_get(c, "remedies"), *r;
	size_t i;

	if (!json_array_size(list) && !*json_text(c, "no_order"))
		return;
	html_raw(h, "<ol>");
	json_array_foreach (list, i, r) {
		html_addf(h, "<li>%s", json_text(r, "text"));
		if (*json_text(r, "command"))
			html_addf(h, "<br><code>%s</code>",
				  json_text(r, "command"));
		html_raw(h, "</li>");
	}
	if (*json_text(c, "no_order"))
		html_addf(h, "<li class=\"muted\">%s %s</li>",
			  lang_text(h->lang, TEXT_no_order),
			  json_text(c, "no_order"));
	html_raw(h, "</ol>");
}

static const char *who_of(json_t *c)
{
	return *json_text(c, "service") ? json_text(c, "service")
					: json_text(c, "module");
}

static void conflict(struct html *h, json_t *c)
{
	html_addf(h, "<li><div><p><strong>%s</strong> ", who_of(c));
	part_word(h, effects, json_text(c, "effect"));
	if (*json_text(c, "product"))
		html_addf(h, " <span class=\"muted\">%s</span>",
			  json_text(c, "product"));
	html_addf(h, "</p><p>%s</p>", json_text(c, "meaning"));
	if (*json_text(c, "text"))
		html_addf(h, "<p>%s</p>", json_text(c, "text"));
	if (*json_text(c, "symbol"))
		html_addf(h, "<p class=\"muted\">%s %s</p>",
			  json_text(c, "kind"), json_text(c, "symbol"));
	remedies(h, c);
	html_raw(h, "</div></li>");
}

static void conflicts(struct visit *v)
{
	json_t *data = visit_data(v, "conflicts"), *c;
	json_t *rows = json_object_get(data, "conflicts");
	struct html *h = &v->html;
	size_t i;

	part_card(h, TEXT_conflicts);
	if (part_failed(v, "conflicts")) {
		part_card_end(h);
		return;
	}
	if (json_array_size(rows) &&
	    json_is_false(json_object_get(data, "loaded")))
		html_addf(h, "<p class=\"muted\">%s</p>",
			  lang_text(h->lang, TEXT_conflicts_by_name));
	if (!json_array_size(rows))
		part_empty(h, TEXT_conflicts_none);
	html_raw(h, "<ul class=\"issues\">");
	json_array_foreach (rows, i, c)
		conflict(h, c);
	html_raw(h, "</ul>");
	json_array_foreach (json_object_get(data, "problems"), i, c)
		part_note_text(h, "warn",
			       json_is_string(c) ? json_string_value(c) : "");
	part_card_end(h);
}

static void rivals(struct visit *v)
{
	json_t *rows =
		json_object_get(visit_data(v, "module.rivals"), "rivals");
	struct html *h = &v->html;
	json_t *r;
	size_t i;

	if (!visit_data(v, "module.rivals"))
		return; /* it is not loaded, which is told above */
	part_card(h, TEXT_rivals);
	if (!json_array_size(rows)) {
		part_empty(h, TEXT_rivals_none);
		part_card_end(h);
		return;
	}
	part_table(h, TEXT_module_name, TEXT_kind, TEXT_symbol, TEXT_effect);
	json_array_foreach (rows, i, r) {
		html_raw(h, "<tr>");
		part_cell_text(h, TEXTS, "path", json_text(r, "module"));
		part_cell_text(h, TEXT_kind, "", json_text(r, "kind"));
		part_cell_text(h, TEXT_symbol, "path", json_text(r, "symbol"));
		part_cell(h, TEXT_effect, "");
		part_word(h, effects, json_text(r, "effect"));
		part_cell_end(h);
		html_raw(h, "</tr>");
	}
	part_table_end(h);
	part_card_end(h);
}

/* ---- the order in which services start ---- */

static const struct part_word places[] = {
	{"splx", TEXT_place_splx, "ok"},
	{"before", TEXT_place_before, NULL},
	{"after", TEXT_place_after, NULL},
	{"with", TEXT_place_with, NULL},
	PART_WORDS_END,
};

static void order_services(struct html *h, json_t *list)
{
	json_t *s;
	size_t i;

	html_addf(h, "<details><summary>%s</summary>",
		  lang_text(h->lang, TEXT_order_services));
	part_table(h, TEXT_service, TEXT_place, TEXT_why);
	json_array_foreach (list, i, s) {
		html_raw(h, "<tr>");
		part_cell(h, TEXTS, "path");
		html_text(h, json_text(s, "service"));
		if (json_is_true(json_object_get(s, "conflict")))
			html_addf(h, " <span class=\"badge warn\">%s</span>",
				  lang_text(h->lang, TEXT_in_the_way));
		part_cell_end(h);
		part_cell(h, TEXT_place, "");
		part_word(h, places, json_text(s, "place"));
		part_cell_end(h);
		part_cell_text(h, TEXT_why, "", json_text(s, "why"));
		html_raw(h, "</tr>");
	}
	part_table_end(h);
	html_raw(h, "</details>");
}

static void order_judgement(struct html *h, json_t *data)
{
	json_t *late = json_object_get(data, "late"), *item;
	size_t i;

	if (!json_array_size(late)) {
		part_note(h, "ok", TEXT_order_right);
	} else {
		part_note(h, "warn", TEXT_order_late);
		html_raw(h, "<ul>");
		json_array_foreach (late, i, item)
			html_addf(h, "<li><code>%s</code></li>",
				  json_is_string(item) ? json_string_value(item)
						       : "");
		html_raw(h, "</ul>");
	}
	json_array_foreach (json_object_get(data, "notes"), i, item)
		html_addf(h, "<p class=\"muted\">%s</p>",
			  json_is_string(item) ? json_string_value(item) : "");
}

static void order(struct visit *v)
{
	json_t *data = visit_data(v, "order.show");
	struct html *h = &v->html;

	part_card(h, TEXT_order);
	html_addf(h, "<p>%s</p>", lang_text(h->lang, TEXT_order_what));
	if (part_failed(v, "order.show")) {
		part_card_end(h);
		return;
	}
	order_judgement(h, data);
	order_services(h, json_object_get(data, "services"));
	if (v->role >= VERB_ADMIN) {
		html_raw(h, "<div class=\"actions\">");
		part_action(v, "/module/order", "", TEXT_order_try, "dry-run",
			    "yes");
		part_action(v, "/module/order", "danger", TEXT_order_apply);
		html_raw(h, "</div>");
	}
	part_card_end(h);
}

/* ---- the page ---- */

static void show(struct visit *v)
{
	json_t *m = visit_data(v, "module.status"), *s;
	struct html *h = &v->html;
	bool loaded;

	if (!m) {
		visit_failed(v, 500, visit_error(v, "module.status"));
		return;
	}
	s = json_object_get(m, "status");
	loaded = json_is_true(json_object_get(m, "loaded"));
	page_begin(v, TEXT_module, "/module");
	if (loaded) {
		loaded_facts(h, s);
		if (*json_text(m, "other"))
			part_note_text(h, "warn", json_text(m, "other"));
		method(h, s);
	} else {
		not_loaded(h, m);
	}
	buttons(v, loaded);
	if (v->role >= VERB_OPERATOR) {
		conflicts(v);
		rivals(v);
	}
	load_lock(v, json_object_get(m, "load_lock"));
	if (v->role >= VERB_OPERATOR)
		order(v);
	if (loaded)
		counted(h, s);
	page_end(v);
}

void page_module(struct visit *v)
{
	visit_ask(v, "module.status", NULL);
	if (v->role >= VERB_OPERATOR) {
		visit_ask(v, "conflicts", NULL);
		visit_ask(v, "module.rivals", NULL);
		visit_ask(v, "order.show", NULL);
	}
	visit_then(v, show);
}

/* ---- changes ---- */

void page_module_load(struct visit *v)
{
	part_task(v, "module.load", NULL, page_module);
}

void page_module_unload(struct visit *v)
{
	static const struct part_question q = {
		.title = TEXT_module_unload,
		.text = TEXT_module_unload_sure,
		.button = TEXT_module_unload,
		.back = "/module",
	};

	if (part_confirmed(v, &q))
		part_task(v, "module.unload", NULL, page_module);
}

void page_module_unlock(struct visit *v)
{
	static const struct part_question q = {
		.title = TEXT_unlock,
		.text = TEXT_unlock_sure,
		.button = TEXT_unlock,
		.back = "/module",
	};

	if (part_confirmed(v, &q))
		visit_change(v, "module.unlock", NULL, page_module,
			     "/module?note=unlocked");
}

void page_module_order(struct visit *v)
{
	static const struct part_question q = {
		.title = TEXT_order_apply,
		.text = TEXT_order_sure,
		.button = TEXT_order_apply,
		.back = "/module",
	};
	bool dry = *visit_form(v, "dry-run") != '\0';

	if (dry || part_confirmed(v, &q))
		part_task(v, "order.apply",
			  dry ? json_pack("[s]", "--dry-run") : NULL,
			  page_module);
}
