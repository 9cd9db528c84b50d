/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/* One rule of the network monitor: made, or changed. */
#include <stdlib.h>
#include <string.h>

#include "lib/alloc.h"
#include "lib/str.h"
#include "page_network.h"

#define HOME "/network"
#define N(a) (sizeof(a) / sizeof((a)[0]))

static const struct part_word directions[] = {
	{"both", TEXT_net_both, NULL},
	{"in", TEXT_net_in, NULL},
	{"out", TEXT_net_out, NULL},
	PART_WORDS_END,
};
static const struct part_word yes_no[] = {
	{"yes", TEXT_yes, NULL},
	{"no", TEXT_no, NULL},
	PART_WORDS_END,
};

/* The keys of network.conf, and how they are asked for. */
static const struct {
	const char *key;
	enum text label, hint;
	const struct part_word *words; /* NULL: a free text */
} fields[] = {
	{"Action", TEXT_action, TEXTS, network_verdicts},
	{"Direction", TEXT_net_direction, TEXTS, directions},
	{"Address", TEXT_net_address, TEXT_net_address_hint, NULL},
	{"Port", TEXT_net_port, TEXT_net_port_hint, NULL},
	{"List", TEXT_net_list, TEXT_net_list_hint, NULL},
	{"User", TEXT_user, TEXT_net_user_hint, NULL},
	{"Local", TEXT_net_local, TEXT_net_local_hint, NULL},
	{"Text", TEXT_net_text, TEXTS, NULL},
	{"Enabled", TEXT_enabled, TEXTS, yes_no},
};

/* A key's value as it is; "" when it has none, or the rule is a new one. */
static const char *setting(json_t *rule, const char *key)
{
	json_t *s;
	size_t i;

	json_array_foreach (json_object_get(rule, "settings"), i, s)
		if (!strcmp(json_text(s, "key"), key))
			return json_text(s, "value");
	return "";
}

static void form(struct visit *v, json_t *rule)
{
	struct html *h = &v->html;
	size_t i;

	part_form(v, HOME "/rule", "");
	if (rule)
		part_hidden(v, "name", json_text(rule, "name"));
	else
		part_field_needed(v, TEXT_name, "text", "name", "");
	for (i = 0; i < N(fields); i++)
		if (fields[i].words)
			part_select(v, fields[i].label, fields[i].key,
				    fields[i].words,
				    setting(rule, fields[i].key));
		else
			part_field(v, fields[i].label, "text", fields[i].key,
				   setting(rule, fields[i].key),
				   fields[i].hint);
	part_field(v, TEXT_net_before, "text", "before", "",
		   TEXT_net_before_hint);
	html_raw(h, "<div class=\"actions\">");
	part_button(h, "primary", TEXT_save);
	part_link(h, HOME, TEXT_back);
	html_raw(h, "</div>");
	part_form_end(h);
}

static void show(struct visit *v)
{
	json_t *rule = visit_data(v, "network.show");
	const char *name = json_text(rule, "name");
	struct html *h = &v->html;

	if (!rule && visit_error(v, "network.show") &&
	    *visit_query(v, "name")) {
		visit_failed(v, 404, visit_error(v, "network.show"));
		return;
	}
	page_begin(v, rule ? TEXT_net_rule : TEXT_net_rule_new, HOME);
	html_addf(h, "<section class=\"card\"><h2>%s</h2>",
		  rule ? name : lang_text(h->lang, TEXT_net_rule_new));
	form(v, rule);
	part_card_end(h);
	page_end(v);
}

/* After a refused form too: of a rule that is there its settings. */
void page_network_rule(struct visit *v)
{
	const char *name = visit_query(v, "name");

	if (!*name)
		name = visit_form(v, "name");
	if (*name)
		visit_ask(v, "network.show", json_pack("{s:s}", "name", name));
	visit_then(v, show);
}

void page_network_rule_save(struct visit *v)
{
	json_t *settings = json_array();
	json_t *args = json_pack("{s:s, s:o}", "name", visit_form(v, "name"),
				 "setting", settings);
	struct str text = {0};
	size_t i;

	for (i = 0; i < N(fields); i++) {
		str_clear(&text);
		str_addf(&text, "%s=%s", fields[i].key,
			 visit_form(v, fields[i].key));
		json_array_append_new(settings, json_string(str_get(&text)));
	}
	str_free(&text);
	if (*visit_form(v, "before"))
		json_object_set_new(args, "before",
				    json_string(visit_form(v, "before")));
	visit_change(v, "network.set", args, page_network_rule,
		     HOME "?note=saved");
}
