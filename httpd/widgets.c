/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "widgets.h"

#include <stdio.h>
#include <string.h>

#include "parts.h"

#define T(id) lang_text(v->lang, (id))

const struct choice widgets_roles[3] = {
	{"viewer", TEXT_role_viewer},
	{"operator", TEXT_role_operator},
	{"admin", TEXT_role_admin},
};

static const struct choice told[] = {
	{"viewer", TEXT_role_viewer},
	{"operator", TEXT_role_operator},
	{"admin", TEXT_role_admin},
	{"running", TEXT_task_running},
	{"paused", TEXT_paused},
	{"interrupted", TEXT_task_interrupted},
	{"cancelled", TEXT_task_cancelled},
	{"done", TEXT_task_done},
	{"failed", TEXT_task_failed},
	{"virus", TEXT_kind_virus},
	{"scan", TEXT_kind_scan},
	{"update", TEXT_kind_update},
	{"system", TEXT_kind_system},
	{"network", TEXT_kind_network},
	{"audit", TEXT_kind_audit},
};

const char *word_text(enum lang lang, const char *word)
{
	size_t i;

	for (i = 0; i < sizeof(told) / sizeof(*told); i++)
		if (!strcmp(told[i].value, word))
			return lang_text(lang, told[i].name);
	return word;
}

/* ---- tables ---- */

static void nanoseconds(struct html *h, int64_t ns)
{
	if (ns >= 1000000000)
		str_addf(&h->out, "%.3g s", (double)ns / 1e9);
	else if (ns >= 1000000)
		str_addf(&h->out, "%.3g ms", (double)ns / 1e6);
	else
		str_addf(&h->out, "%.3g µs", (double)ns / 1e3);
}

static void plain(struct html *h, json_t *value)
{
	char text[32];

	if (json_is_string(value)) {
		html_text(h, json_string_value(value));
	} else if (json_is_integer(value)) {
		snprintf(text, sizeof(text), "%lld",
			 (long long)json_integer_value(value));
		html_text(h, text);
	} else {
		html_raw(h, "–");
	}
}

static void content(struct visit *v, json_t *value, enum cell cell)
{
	struct html *h = &v->html;
	int64_t n = json_integer_value(value);

	if (cell == CELL_YESNO)
		html_text(h, T(json_is_true(value) ? TEXT_yes : TEXT_no));
	else if (cell == CELL_WORD && json_is_string(value))
		html_text(h, word_text(h->lang, json_string_value(value)));
	else if (!json_is_integer(value) || cell == CELL_TEXT ||
		 cell == CELL_PATH)
		plain(h, value);
	else if (cell == CELL_TIME)
		html_time(h, n);
	else if (cell == CELL_NUMBER)
		html_number(h, n);
	else if (cell == CELL_SIZE)
		html_size(h, n);
	else if (cell == CELL_NS)
		nanoseconds(h, n);
	else
		html_duration(h, n);
}

static const char *class_of(enum cell cell)
{
	switch (cell) {
	case CELL_PATH:
		return "path";
	case CELL_TIME:
		return "when";
	case CELL_TEXT:
	case CELL_WORD:
	case CELL_YESNO:
		return "word";
	default:
		return "num";
	}
}

static void head(struct visit *v, const struct table *t)
{
	struct html *h = &v->html;
	int i;

	html_raw(h, "<thead><tr>");
	if (t->check)
		html_addf(h, "<th><span class=\"hidden\">%s</span></th>",
			  T(TEXT_choose));
	for (i = 0; i < t->n; i++)
		html_addf(h, "<th class=\"%s\">%s</th>",
			  class_of(t->columns[i].cell), T(t->columns[i].title));
	if (t->last)
		html_addf(h, "<th><span class=\"hidden\">%s</span></th>",
			  T(TEXT_actions));
	html_raw(h, "</tr></thead>");
}

static void check_box(struct visit *v, const struct table *t, json_t *row)
{
	html_addf(&v->html,
		  "<td class=\"check\"><input type=\"checkbox\" name=\"%s\" "
		  "value=\"%lld\" form=\"%s\" aria-label=\"%s %lld\"></td>",
		  t->check, (long long)json_number(row, "id"), t->form,
		  T(TEXT_choose), (long long)json_number(row, "id"));
}

static void one_row(struct visit *v, const struct table *t, json_t *row)
{
	struct html *h = &v->html;
	int i;

	html_raw(h, "<tr>");
	if (t->check)
		check_box(v, t, row);
	for (i = 0; i < t->n; i++) {
		const struct column *c = &t->columns[i];

		html_addf(h, "<td class=\"%s\" data-label=\"%s\">",
			  class_of(c->cell), T(c->title));
		content(v, json_object_get(row, c->key), c->cell);
		html_raw(h, "</td>");
	}
	if (t->last) {
		html_raw(h, "<td class=\"last\">");
		t->last(v, row);
		html_raw(h, "</td>");
	}
	html_raw(h, "</tr>");
}

void table_draw(struct visit *v, json_t *rows, const struct table *t)
{
	struct html *h = &v->html;
	json_t *row;
	size_t i;

	if (!json_array_size(rows)) {
		html_addf(h, "<p class=\"empty\">%s</p>", T(t->empty));
		return;
	}
	html_raw(h, "<div class=\"scroll\"><table>");
	head(v, t);
	html_raw(h, "<tbody>");
	json_array_foreach (rows, i, row)
		one_row(v, t, row);
	html_raw(h, "</tbody></table></div>");
}

void card(struct visit *v, enum text title)
{
	html_addf(&v->html, "<section class=\"card\"><h2>%s</h2>", T(title));
}

void card_end(struct visit *v)
{
	html_raw(&v->html, "</section>");
}

void card_problem(struct visit *v, const char *verb)
{
	const char *why = visit_error(v, verb);

	if (why)
		html_addf(&v->html, "<p class=\"empty\">%s</p>", why);
}

/* ---- forms ---- */

void form(struct visit *v, const char *action, const char *class)
{
	v->other_form = strcmp(action, v->route->path) != 0;
	html_addf(&v->html, "<form method=\"post\" action=\"%s\" class=\"%s\">",
		  action, class);
	page_csrf(v);
}

void form_end(struct visit *v)
{
	html_raw(&v->html, "</form>");
}

void form_hidden(struct visit *v, const char *name, const char *value)
{
	/* Of several forms alike only the one that was sent has what was
	 * typed. */
	if (strcmp(part_value(v, name, value), value) != 0)
		v->other_form = true;
	html_addf(&v->html, "<input type=\"hidden\" name=\"%s\" value=\"%s\">",
		  name, value);
}

void form_input(struct visit *v, enum text label, const char *type,
		const char *name, const char *value, bool required)
{
	if (strcmp(type, "password") != 0)
		value = part_value(v, name, value);
	html_addf(&v->html,
		  "<label><span>%s</span><input type=\"%s\" name=\"%s\" "
		  "value=\"%s\"",
		  T(label), type, name, value);
	html_raw(&v->html, required ? " required></label>" : "></label>");
}

void form_area(struct visit *v, enum text label, const char *name, int rows,
	       const char *value)
{
	/* A private key goes in and never comes out. */
	if (!strcmp(name, "key"))
		v->other_form = true;
	part_area(v, label, name, value, rows, TEXTS);
}

void form_select(struct visit *v, enum text label, const char *name,
		 const struct choice *choices, int n, const char *value)
{
	int i;

	value = part_value(v, name, value);
	html_addf(&v->html, "<label><span>%s</span><select name=\"%s\">",
		  T(label), name);
	for (i = 0; i < n; i++) {
		html_addf(&v->html, "<option value=\"%s\"", choices[i].value);
		html_raw(&v->html,
			 strcmp(choices[i].value, value) ? ">" : " selected>");
		html_addf(&v->html, "%s</option>", T(choices[i].name));
	}
	html_raw(&v->html, "</select></label>");
}

void form_check(struct visit *v, enum text label, const char *name, bool on)
{
	html_addf(&v->html,
		  "<label class=\"tick\"><input type=\"checkbox\" "
		  "name=\"%s\" value=\"true\"",
		  name);
	html_raw(&v->html, on ? " checked>" : ">");
	html_addf(&v->html, " %s</label>", T(label));
}

void form_button(struct visit *v, enum text name, const char *class)
{
	html_addf(&v->html, "<button class=\"%s\">%s</button>", class, T(name));
}

void button_form(struct visit *v, const char *action, enum text name,
		 const char *class, const char *const *fields)
{
	form(v, action, "inline");
	for (; fields && *fields; fields += 2)
		form_hidden(v, fields[0], fields[1]);
	form_button(v, name, class);
	form_end(v);
}
