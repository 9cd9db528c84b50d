/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/* All settings, by their groups, each a form of its own: what it takes comes
 * from the table of options by way of entity. */
#include <string.h>

#include "lib/alloc.h"
#include "lib/str.h"
#include "parts.h"

static void words(struct visit *v, const char *list, const char *value)
{
	char *copy = xstrdup(list), *word, *save = NULL;

	html_addf(&v->html, "<select name=\"value\" aria-label=\"%s\">",
		  lang_text(v->lang, TEXT_value));
	for (word = strtok_r(copy, "|", &save); word;
	     word = strtok_r(NULL, "|", &save)) {
		html_addf(&v->html, "<option value=\"%s\"", word);
		html_raw(&v->html, strcmp(word, value) ? ">" : " selected>");
		html_addf(&v->html, "%s</option>", word);
	}
	html_raw(&v->html, "</select>");
	free(copy);
}

static void input(struct visit *v, json_t *o)
{
	const char *value = part_value(v, "value", json_text(o, "value"));
	const char *type = json_text(o, "type");

	if (!strcmp(type, "bool"))
		words(v, "yes|no", value);
	else if (!strcmp(type, "enum"))
		words(v, json_text(o, "unit"), value);
	else
		html_addf(&v->html,
			  "<input type=\"text\" name=\"value\" value=\"%s\" "
			  "aria-label=\"%s\">",
			  value, lang_text(v->lang, TEXT_value));
}

static void option(struct visit *v, json_t *o)
{
	struct html *h = &v->html;
	const char *key = json_text(o, "key");

	html_addf(h,
		  "<div class=\"option\"><div><strong id=\"%s\">%s</strong>"
		  "<p class=\"muted\">%s</p></div>",
		  key, key, json_text(o, "text"));
	if (v->role < VERB_ADMIN) {
		html_addf(h, "<code>%s</code></div>", json_text(o, "value"));
		return;
	}
	html_raw(h, "<div>");
	part_form(v, "/settings/set", "row");
	part_hidden(v, "key", key);
	input(v, o);
	part_button(&v->html, "", TEXT_save);
	part_form_end(&v->html);
	if (json_is_true(json_object_get(o, "changed"))) {
		html_addf(h, "<p class=\"muted\">%s <code>%s</code></p>",
			  lang_text(v->lang, TEXT_default),
			  json_text(o, "default"));
		part_action(v, "/settings/reset", "", TEXT_to_default, "key",
			    key);
	}
	html_raw(h, "</div></div>");
}

static const struct part_word groups[] = {
	{"general", TEXT_group_general, NULL},
	{"scan", TEXT_scan, NULL},
	{"policy", TEXT_group_policy, NULL},
	{"action", TEXT_group_action, NULL},
	{"exclusion", TEXT_exclusions, NULL},
	{"cache", TEXT_group_cache, NULL},
	{"quarantine", TEXT_quarantine, NULL},
	{"events", TEXT_group_events, NULL},
	{"pattern", TEXT_patterns, NULL},
	{"network", TEXT_group_network, NULL},
	{"console", TEXT_group_console, NULL},
	PART_WORDS_END,
};

static void show(struct visit *v)
{
	json_t *all = visit_data(v, "config.show"), *o;
	struct html *h = &v->html;
	const char *group = "";
	size_t i;

	page_begin(v, TEXT_settings, "/settings");
	part_failed(v, "config.show");
	json_array_foreach (all, i, o) {
		if (strcmp(group, json_text(o, "group")) != 0) {
			if (*group)
				html_raw(h, "</section>");
			group = json_text(o, "group");
			html_addf(h, "<section class=\"card\"><h2>%s</h2>",
				  part_word_text(v->lang, groups, group));
		}
		option(v, o);
	}
	if (*group)
		html_raw(h, "</section>");
	page_end(v);
}

void page_settings(struct visit *v)
{
	visit_ask(v, "config.show", NULL);
	visit_then(v, show);
}
