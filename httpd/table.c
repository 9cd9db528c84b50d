/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "table.h"

#include <stdio.h>
#include <string.h>

#define T(id) lang_text(v->lang, (id))

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

static void paths(struct html *h, json_t *list)
{
	json_t *path;
	size_t i;

	json_array_foreach (list, i, path) {
		html_raw(h, i ? "<br>" : "");
		plain(h, path);
	}
}

static void content(struct visit *v, json_t *value, const struct column *c)
{
	struct html *h = &v->html;
	enum cell cell = c->cell;
	int64_t n = json_integer_value(value);

	if (cell == CELL_PATHS)
		paths(h, value);
	else if (cell == CELL_YESNO)
		html_text(h, T(json_is_true(value) ? TEXT_yes : TEXT_no));
	else if (cell == CELL_WORD && json_is_string(value))
		part_word(h, c->words, json_string_value(value));
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
	case CELL_PATHS:
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
		content(v, json_object_get(row, c->key), c);
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

static bool is_there(json_t *value)
{
	return value && !json_is_null(value) &&
	       (!json_is_string(value) || *json_string_value(value)) &&
	       (!json_is_array(value) || json_array_size(value));
}

void pairs_draw(struct visit *v, json_t *object, const struct column *columns,
		int n)
{
	struct html *h = &v->html;
	int i;

	html_raw(h, "<dl class=\"pairs\">");
	for (i = 0; i < n; i++) {
		json_t *value = json_object_get(object, columns[i].key);

		if (!is_there(value))
			continue;
		html_addf(h, "<dt>%s</dt><dd class=\"%s\">",
			  T(columns[i].title), class_of(columns[i].cell));
		content(v, value, &columns[i]);
		html_raw(h, "</dd>");
	}
	html_raw(h, "</dl>");
}
