/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/* Patterns: what is in use, updates and rollbacks as tasks of entity's. */
#include <stdlib.h>
#include <string.h>

#include "page.h"
#include "tasks.h"
#include "table.h"

#define N(a) ((int)(sizeof(a) / sizeof(*(a))))

static void buttons(struct visit *v)
{
	static const struct {
		const char *verb;
		enum text name;
		const char *class;
	} tasks[] = {
		{"pattern.update", TEXT_update_now, "primary"},
		{"pattern.check", TEXT_update_check, ""},
		{"pattern.rollback", TEXT_rollback, ""},
	};
	int i;

	if (v->role < VERB_ADMIN)
		return;
	html_raw(&v->html, "<div class=\"row\">");
	for (i = 0; i < N(tasks); i++) {
		part_action(v, "/patterns/task", tasks[i].class, tasks[i].name,
			    "verb", tasks[i].verb);
	}
	part_action(v, "/patterns/reload", "", TEXT_reload);
	html_raw(&v->html, "</div>");
}

/* Seconds since 1970 there; the tables know nanoseconds. */
static json_t *in_ns(json_t *patterns)
{
	json_t *copy = json_deep_copy(patterns), *p;
	size_t i;

	json_array_foreach (copy, i, p)
		json_object_set_new(
			p, "time",
			json_integer(json_number(p, "time") * 1000000000));
	return copy;
}

static void show(struct visit *v)
{
	static const struct column columns[] = {
		{"file", TEXT_file, CELL_PATH, NULL},
		{"kind", TEXT_kind, CELL_TEXT, NULL},
		{"version", TEXT_version, CELL_NUMBER, NULL},
		{"signatures", TEXT_signatures, CELL_NUMBER, NULL},
		{"time", TEXT_built, CELL_TIME, NULL},
	};
	const struct table t = {columns, N(columns), TEXT_none,
				NULL,	 NULL,	     NULL};
	json_t *data = visit_data(v, "pattern.show"), *files;
	struct html *h = &v->html;

	page_begin(v, TEXT_patterns, "/patterns");
	part_card(&v->html, TEXT_in_use);
	part_failed(v, "pattern.show");
	html_addf(h, "<p>ClamAV %s · ", json_text(data, "engine"));
	html_number(h, json_number(data, "signatures"));
	html_addf(h, " %s</p>", lang_text(v->lang, TEXT_signatures));
	files = in_ns(json_object_get(data, "patterns"));
	table_draw(v, files, &t);
	json_decref(files);
	buttons(v);
	part_card_end(&v->html);
	tasks_draw(v, "pattern.");
	page_end(v);
}

void page_patterns(struct visit *v)
{
	visit_ask(v, "pattern.show", NULL);
	tasks_ask(v);
	visit_then(v, show);
}
