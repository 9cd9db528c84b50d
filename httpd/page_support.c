/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/* Maintenance: all settings as a file, out and in; a bundle for a support case;
 * what splxctl did in the background. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/alloc.h"
#include "parts.h"

#define HOME "/maintenance"

/* ---- the page ---- */

static void settings_card(struct visit *v)
{
	struct html *h = &v->html;

	part_card(h, TEXT_settings_file);
	html_addf(h, "<p>%s</p><div class=\"actions\">",
		  lang_text(h->lang, TEXT_export_what));
	part_link(h, HOME "/export", TEXT_export_settings);
	html_raw(h, "</div>");
	part_form_files(v, HOME "/import", "");
	v->other_form = false;
	part_file(v, TEXT_import_file, "file");
	part_area(v, TEXT_import_text, "text", "", 6, TEXT_import_hint);
	part_button(h, "", TEXT_import_look);
	part_form_end(h);
	part_card_end(h);
}

static void task_row(struct html *h, json_t *t)
{
	html_raw(h, "<tr>");
	part_cell_time(h, TEXTS, json_number(t, "started"));
	part_cell(h, TEXTS, "");
	html_addf(h, "<a href=\"/task?id=%lld\">%s</a>",
		  (long long)json_number(t, "id"), json_text(t, "verb"));
	part_cell_end(h);
	part_cell(h, TEXT_state, "");
	part_word(h, part_states, json_text(t, "state"));
	part_cell_end(h);
	part_cell_text(h, TEXT_by, "", json_text(t, "by"));
	part_cell_text(h, TEXTS, "", json_text(t, "progress"));
	html_raw(h, "</tr>");
}

static void tasks_card(struct visit *v)
{
	json_t *list = visit_data(v, "task.list"), *t;
	struct html *h = &v->html;
	size_t i;

	part_card(h, TEXT_tasks_all);
	if (part_failed(v, "task.list")) {
		part_card_end(h);
		return;
	}
	if (!json_array_size(list)) {
		part_empty(h, TEXT_tasks_none);
		part_card_end(h);
		return;
	}
	part_table(h, TEXT_begun, TEXT_task_verb, TEXT_state, TEXT_by,
		   TEXT_task_said);
	json_array_foreach (list, i, t)
		task_row(h, t);
	part_table_end(h);
	part_card_end(h);
}

static void show(struct visit *v)
{
	struct html *h = &v->html;

	page_begin(v, TEXT_maintenance, HOME);
	settings_card(v);
	part_card(h, TEXT_diagnose);
	html_addf(h, "<p>%s</p><div class=\"actions\">",
		  lang_text(h->lang, TEXT_diagnose_what));
	part_action(v, HOME "/diagnose", "", TEXT_diagnose_make);
	html_raw(h, "</div>");
	part_card_end(h);
	tasks_card(v);
	page_end(v);
}

void page_support(struct visit *v)
{
	visit_ask(v, "task.list", NULL);
	visit_then(v, show);
}

void page_support_diagnose(struct visit *v)
{
	part_task(v, "diagnose", NULL, page_support);
}

/* ---- out ---- */

static void exported(struct visit *v)
{
	json_t *data = visit_data(v, "config.export");

	if (!data) {
		visit_failed(v, 500, visit_error(v, "config.export"));
		return;
	}
	http_add_header(v->http, "Content-Disposition",
			"attachment; filename=\"splx-settings.txt\"");
	visit_text(v, 200, "text/plain; charset=utf-8",
		   json_text(data, "text"));
}

void page_support_export(struct visit *v)
{
	visit_ask(v, "config.export", NULL);
	visit_then(v, exported);
}

/* ---- in: what would change is shown first ---- */

/* What was sent, with line ends as files here have them. */
static char *sent_text(const struct visit *v)
{
	const char *file = visit_form(v, "file");
	const char *from = *file ? file : visit_form(v, "text");
	char *text = xstrdup(from), *to = text;

	for (; *from; from++)
		if (*from != '\r')
			*to++ = *from;
	*to = '\0';
	return text;
}

/* Does a form bring it back as it is? */
static bool is_shown_as_it_is(const char *text)
{
	char *flat = xstrdup(text);
	bool plain;
	size_t i;

	for (i = 0; flat[i]; i++)
		if (flat[i] == '\n' || flat[i] == '\t')
			flat[i] = ' ';
	plain = html_is_plain(flat);
	free(flat);
	return plain;
}

static void changes(struct html *h, json_t *list)
{
	json_t *c;
	size_t i;

	part_table(h, TEXT_setting, TEXT_before, TEXT_after);
	json_array_foreach (list, i, c) {
		html_raw(h, "<tr>");
		part_cell_text(h, TEXTS, "path", json_text(c, "key"));
		part_cell_text(h, TEXT_before, "path", json_text(c, "before"));
		part_cell_text(h, TEXT_after, "path", json_text(c, "after"));
		html_raw(h, "</tr>");
	}
	part_table_end(h);
}

static void looked(struct visit *v)
{
	json_t *data = visit_data(v, "config.import");
	json_t *list = json_object_get(data, "changes");
	struct html *h = &v->html;

	if (!data) {
		visit_again(v, "config.import", page_support);
		return;
	}
	if (!json_array_size(list)) {
		visit_redirect(v, HOME "?note=import_nothing");
		return;
	}
	page_begin(v, TEXT_import_title, HOME);
	part_note(h, "warn", TEXT_import_sure);
	part_card(h, TEXT_import_changes);
	changes(h, list);
	part_card_end(h);
	part_form(v, HOME "/import", "card");
	html_addf(h, "<details><summary>%s</summary>",
		  lang_text(h->lang, TEXT_import_text));
	html_raw(h, "<div>");
	part_area(v, TEXT_import_text, "text", "", 10, TEXTS);
	html_raw(h, "</div></details>");
	part_hidden(v, "sure", "yes");
	html_raw(h, "<div class=\"actions\">");
	part_button(h, "danger", TEXT_import_do);
	part_link(h, HOME, TEXT_back);
	html_raw(h, "</div>");
	part_form_end(h);
	page_end(v);
}

/* The file's text becomes the form's, so that it is shown, and sent again. */
static void keep_text(struct visit *v, const char *text)
{
	struct param *p;

	vec_each (p, &v->form) {
		if (!strcmp(p->name, "text")) {
			free(p->value);
			p->value = xstrdup(text);
		}
	}
}

void page_support_import(struct visit *v)
{
	bool sure = !strcmp(visit_form(v, "sure"), "yes");
	char *text = sent_text(v);
	json_t *args;

	keep_text(v, text);
	if (!is_shown_as_it_is(text)) {
		v->problem = lang_text(v->lang, TEXT_import_odd);
		v->status = 422;
		page_support(v);
	} else {
		args = json_pack("{s:s}", "text", text);
		if (sure) {
			visit_change(v, "config.import", args, page_support,
				     HOME "?note=imported");
		} else {
			json_object_set_new(args, "dry-run", json_true());
			visit_ask(v, "config.import", args);
			visit_then(v, looked);
		}
	}
	free(text);
}
