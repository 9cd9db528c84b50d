/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include <stdio.h>

#include "output.h"
#include "render.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))

void schedule_list_render(json_t *data)
{
	static const struct output_column cols[] = {
		{"name", "NAME", OUTPUT_TEXT},
		{"when", "WHEN", OUTPUT_TEXT},
		{"next", "NEXT", OUTPUT_TIME},
		{"last.begun", "LAST", OUTPUT_TIME},
		{"last.state", "STATE", OUTPUT_WORD},
		{"last.infected", "INFECTED", OUTPUT_COUNT},
		{"last.id", "JOB", OUTPUT_NUMBER},
		{"paths", "PATHS", OUTPUT_TEXT},
	};
	json_t *problem;
	size_t i;

	output_rows(stdout, json_object_get(data, "schedules"), cols, N(cols),
		    "no scan is scheduled");
	json_array_foreach (json_object_get(data, "problems"), i, problem)
		ctl_complain("%s", json_string_value(problem));
}

void render_settings(json_t *settings)
{
	json_t *row;
	size_t i;

	json_array_foreach (settings, i, row) {
		struct str value = {0};

		output_value(&value, json_object_get(row, "value"),
			     OUTPUT_TEXT);
		printf("%s = %s\n",
		       json_string_value(json_object_get(row, "key")),
		       str_get(&value));
		str_free(&value);
	}
}

void schedule_show_render(json_t *data)
{
	static const struct output_column cols[] = {
		{"name", "Name", OUTPUT_TEXT},
		{"next", "Next", OUTPUT_TIME},
		{"last.begun", "Last", OUTPUT_TIME},
		{"last.state", "State", OUTPUT_WORD},
		{"last.id", "Job", OUTPUT_NUMBER},
	};

	output_pairs(stdout, data, cols, N(cols), false);
	putchar('\n');
	render_settings(json_object_get(data, "settings"));
}

void schedule_remove_render(json_t *data)
{
	puts(T("removed"));
}
