/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "tasks.h"

#include <string.h>

#include "lib/str.h"
#include "page.h"
#include "table.h"

#define SHOWN 10

void tasks_ask(struct visit *v)
{
	if (v->role >= VERB_ADMIN)
		visit_ask(v, "task.list", NULL);
}

void tasks_draw(struct visit *v, const char *begin)
{
	static const struct column columns[] = {
		{"verb", TEXT_task, CELL_TEXT, NULL},
		{"state", TEXT_state, CELL_WORD, part_states},
		{"started", TEXT_begun, CELL_TIME, NULL},
		{"ended", TEXT_ended, CELL_TIME, NULL},
		{"by", TEXT_by, CELL_TEXT, NULL},
		{"progress", TEXT_last_words, CELL_TEXT, NULL},
	};
	const struct table t = {columns, 6, TEXT_none, NULL, NULL, NULL};
	json_t *all = visit_data(v, "task.list"), *mine = json_array(), *task;
	bool running = false;
	size_t i;

	json_array_foreach (all, i, task) {
		if (!str_starts(json_text(task, "verb"), begin) ||
		    json_array_size(mine) == SHOWN)
			continue;
		json_array_append(mine, task);
		running =
			running || !strcmp(json_text(task, "state"), "running");
	}
	if (json_array_size(mine)) {
		html_raw(&v->html,
			 running ? "<div data-again=\"3\">" : "<div>");
		part_card(&v->html, TEXT_tasks);
		table_draw(v, mine, &t);
		part_card_end(&v->html);
		html_raw(&v->html, "</div>");
	}
	json_decref(mine);
}
