/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/* Network: how the monitor does, who talks to whom, the last connections, the
 * rules, their lists, and what is usual. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/alloc.h"
#include "lib/str.h"
#include "page.h"
#include "page_network.h"
#include "table.h"
#include "talks.h"

#define N(a) ((int)(sizeof(a) / sizeof(*(a))))
#define CONNECTIONS "50"
#define MODEL "50"

const struct part_word network_verdicts[] = {
	{"allow", TEXT_net_allow, "ok"},
	{"alert", TEXT_net_alert, "warn"},
	{"drop", TEXT_net_drop, "bad"},
	{"reset", TEXT_net_reset, "bad"},
	PART_WORDS_END,
};

static const struct part_word directions[] = {
	{"in", TEXT_net_in, NULL},
	{"out", TEXT_net_out, NULL},
	PART_WORDS_END,
};

/* ---- how it does ---- */

static void facts(struct html *h, json_t *s)
{
	part_facts(h);
	part_fact_number(h, TEXT_net_seen, json_number(s, "seen"));
	part_fact_number(h, TEXT_net_uninspected,
			 json_number(s, "uninspected"));
	part_fact_number(h, TEXT_net_alerted, json_number(s, "alerted"));
	part_fact_number(h, TEXT_net_prevented,
			 json_number(s, "dropped") + json_number(s, "reset"));
	part_fact_number(h, TEXT_rules, json_number(s, "rules"));
	part_fact_number(h, TEXT_net_networks, json_number(s, "networks"));
	part_facts_end(h);
}

static void state(struct visit *v)
{
	json_t *s = visit_data(v, "network.status");
	struct html *h = &v->html;

	if (part_failed(v, "network.status"))
		return;
	if (!json_is_true(json_object_get(s, "enabled"))) {
		part_note(h, "info", TEXT_net_off);
		return;
	}
	if (!json_is_true(json_object_get(s, "active")))
		part_note_text(h, "warn",
			       *json_text(s, "reason")
				       ? json_text(s, "reason")
				       : lang_text(h->lang, TEXT_net_inactive));
	if (*json_text(s, "broken"))
		part_note_text(h, "warn", json_text(s, "broken"));
	facts(h, s);
}

/* ---- connections ---- */

static void connections(struct visit *v)
{
	static const struct column columns[] = {
		{"time", TEXT_time, CELL_TIME, NULL},
		{"verdict", TEXT_net_verdict, CELL_WORD, network_verdicts},
		{"direction", TEXT_net_direction, CELL_WORD, directions},
		{"address", TEXT_net_address, CELL_PATH, NULL},
		{"port", TEXT_net_port, CELL_TEXT, NULL},
		{"program", TEXT_program, CELL_PATH, NULL},
		{"rule", TEXT_net_rule, CELL_TEXT, NULL},
		{"times", TEXT_net_times, CELL_NUMBER, NULL},
	};
	const struct table t = {columns, N(columns), TEXT_net_no_connections,
				NULL,	 NULL,	     NULL};
	json_t *data = visit_data(v, "network.connections");

	html_raw(&v->html, json_is_true(json_object_get(data, "active"))
				   ? "<div data-again=\"5\">"
				   : "<div>");
	part_card(&v->html, TEXT_net_talks);
	talks_draw(&v->html, json_object_get(data, "peers"));
	part_card_end(&v->html);
	part_card(&v->html, TEXT_net_connections);
	part_failed(v, "network.connections");
	table_draw(v, json_object_get(data, "connections"), &t);
	part_card_end(&v->html);
	html_raw(&v->html, "</div>");
}

/* ---- rules ---- */

static void rule_actions(struct visit *v, json_t *row)
{
	const char *name = json_text(row, "name");
	char *encoded;

	if (v->role < VERB_ADMIN)
		return;
	html_raw(&v->html, "<div class=\"row\">");
	if (*json_text(row, "above"))
		part_action(v, "/network/move", "", TEXT_net_up, "name", name,
			    "before", json_text(row, "above"));
	encoded = part_urlencode(name);
	html_addf(&v->html,
		  "<a class=\"button\" href=\"/network/rule?name=%s\">%s</a>",
		  encoded, lang_text(v->lang, TEXT_change));
	free(encoded);
	part_action(v, "/network/remove", "danger", TEXT_remove, "name", name);
	html_raw(&v->html, "</div>");
}

/* Each rule knows the one above it. */
static json_t *with_order(json_t *rules)
{
	const char *above = "";
	json_t *r;
	size_t i;

	json_array_foreach (rules, i, r) {
		json_object_set_new(r, "above", json_string(above));
		above = json_text(r, "name");
	}
	return rules;
}

static void missing_lists(struct visit *v, json_t *rules)
{
	json_t *r, *list;
	size_t i, k;

	json_array_foreach (rules, i, r)
		json_array_foreach (json_object_get(r, "missing"), k, list) {
			char *text =
				html_say_text(v->lang, TEXT_net_list_missing,
					      json_string_value(list));

			part_note_text(&v->html, "info", text);
			free(text);
		}
}

static void try_form(struct visit *v)
{
	html_addf(&v->html, "<details><summary>%s</summary>",
		  lang_text(v->lang, TEXT_net_try));
	part_form(v, "/network/test", "row");
	part_field_needed(v, TEXT_net_address, "text", "address", "");
	part_field(v, TEXT_net_port, "text", "port", "", TEXTS);
	part_check(v, TEXT_net_comes_in, "in", false);
	part_button(&v->html, "", TEXT_net_ask);
	part_form_end(&v->html);
	html_raw(&v->html, "</details>");
}

static void rules(struct visit *v)
{
	static const struct column columns[] = {
		{"name", TEXT_name, CELL_TEXT, NULL},
		{"action", TEXT_action, CELL_WORD, network_verdicts},
		{"what", TEXT_net_what, CELL_PATH, NULL},
		{"text", TEXT_net_text, CELL_TEXT, NULL},
		{"enabled", TEXT_enabled, CELL_YESNO, NULL},
	};
	const struct table t = {columns, N(columns), TEXT_net_no_rules,
				NULL,	 NULL,	     rule_actions};
	json_t *data = visit_data(v, "network.rules"), *problem;
	struct html *h = &v->html;
	size_t i;

	part_card(h, TEXT_rules);
	html_addf(h, "<p class=\"muted\">%s</p>",
		  lang_text(h->lang, TEXT_net_rules_what));
	part_failed(v, "network.rules");
	json_array_foreach (json_object_get(data, "problems"), i, problem)
		part_note_text(h, "warn", json_string_value(problem));
	missing_lists(v, json_object_get(data, "rules"));
	table_draw(v, with_order(json_object_get(data, "rules")), &t);
	if (v->role >= VERB_ADMIN) {
		html_raw(h, "<div class=\"actions\">");
		part_link(h, "/network/rule", TEXT_net_rule_new);
		html_raw(h, "</div>");
	}
	try_form(v);
	part_card_end(h);
}

/* ---- lists ---- */

static void lists(struct visit *v)
{
	static const struct column columns[] = {
		{"name", TEXT_name, CELL_TEXT, NULL},
		{"networks", TEXT_net_networks, CELL_NUMBER, NULL},
		{"bytes", TEXT_size, CELL_SIZE, NULL},
		{"version", TEXT_version, CELL_TEXT, NULL},
	};
	const struct table t = {columns, N(columns), TEXT_net_no_lists,
				NULL,	 NULL,	     NULL};
	json_t *data = visit_data(v, "network.lists"), *row;
	size_t i;

	json_array_foreach (json_object_get(data, "lists"), i, row)
		json_object_set(
			row, "version",
			json_object_get(
				json_array_get(json_object_get(row, "sources"),
					       0),
				"version"));
	part_card(&v->html, TEXT_net_lists);
	part_failed(v, "network.lists");
	if (*json_text(data, "fault"))
		part_note_text(&v->html, "warn", json_text(data, "fault"));
	table_draw(v, json_object_get(data, "lists"), &t);
	part_card_end(&v->html);
}

/* ---- what is usual ---- */

static void model_actions(struct visit *v, json_t *row)
{
	char id[24];

	if (v->role < VERB_ADMIN)
		return;
	snprintf(id, sizeof(id), "%lld", (long long)json_number(row, "id"));
	part_action(v, "/network/forget", "", TEXT_net_forget, "id", id);
}

static void model_state(struct visit *v, json_t *data)
{
	const char *s = json_text(data, "state");
	struct html *h = &v->html;

	html_raw(h, "<p class=\"muted\">");
	html_text(h, lang_text(h->lang,
			       !strcmp(s, "learning")	? TEXT_net_learning
			       : !strcmp(s, "watching") ? TEXT_net_watching
							: TEXT_net_model_off));
	if (!strcmp(s, "learning")) {
		html_raw(h, " ");
		html_duration(h, json_number(data, "left_ms"));
	}
	html_raw(h, "</p>");
}

static void model(struct visit *v)
{
	static const struct column columns[] = {
		{"program", TEXT_program, CELL_PATH, NULL},
		{"network", TEXT_net_network, CELL_PATH, NULL},
		{"port", TEXT_net_port, CELL_TEXT, NULL},
		{"times", TEXT_net_times, CELL_NUMBER, NULL},
		{"first", TEXT_net_first, CELL_TIME, NULL},
		{"alerted", TEXT_net_was_alert, CELL_YESNO, NULL},
	};
	const struct table t = {columns, N(columns), TEXT_net_nothing_learnt,
				NULL,	 NULL,	     model_actions};
	json_t *data = visit_data(v, "network.model");
	json_t *status = visit_data(v, "network.status");

	part_card(&v->html, TEXT_net_model);
	part_failed(v, "network.model");
	/* Nothing is learnt while nothing is seen. */
	if (data && json_is_true(json_object_get(status, "active")))
		model_state(v, data);
	table_draw(v, json_object_get(data, "entries"), &t);
	if (v->role >= VERB_ADMIN)
		part_action(v, "/network/learn", "", TEXT_net_learn);
	part_card_end(&v->html);
}

/* ---- the page ---- */

static void show(struct visit *v)
{
	page_begin(v, TEXT_net_title, "/network");
	state(v);
	connections(v);
	rules(v);
	lists(v);
	model(v);
	page_end(v);
}

void page_network(struct visit *v)
{
	visit_ask(v, "network.status", NULL);
	visit_ask(v, "network.connections",
		  json_pack("{s:s}", "limit", CONNECTIONS));
	visit_ask(v, "network.rules", NULL);
	visit_ask(v, "network.lists", NULL);
	visit_ask(v, "network.model", json_pack("{s:s}", "limit", MODEL));
	visit_then(v, show);
}

/* What would be decided stands above the page. */
static void tested(struct visit *v)
{
	json_t *data = visit_data(v, "network.test");
	const char *word = json_text(data, "verdict");
	struct str text = {0};

	if (!data) {
		v->problem = visit_error(v, "network.test");
		v->status = 400;
	} else {
		str_addf(&text, "%s: %s", visit_form(v, "address"),
			 part_word_text(v->lang, network_verdicts, word));
		if (*json_text(data, "rule"))
			str_addf(&text, " (%s%s%s)", json_text(data, "rule"),
				 *json_text(data, "list") ? ", " : "",
				 json_text(data, "list"));
		v->scratch = str_take(&text);
		v->said = v->scratch;
	}
	page_network(v);
}

void page_network_test(struct visit *v)
{
	json_t *args = json_pack("{s:s}", "address", visit_form(v, "address"));

	if (*visit_form(v, "port"))
		json_object_set_new(args, "port",
				    json_string(visit_form(v, "port")));
	if (!strcmp(visit_form(v, "in"), "true"))
		json_object_set_new(args, "in", json_true());
	visit_ask(v, "network.test", args);
	visit_then(v, tested);
}
