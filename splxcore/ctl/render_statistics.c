/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include <stdio.h>
#include <string.h>

#include "common/scoreboard.h"
#include "output.h"
#include "render.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))

/* What a counter counts, by its name; "" for one that is not known here. */
static const char *counter_text(const char *name)
{
	int i;

	for (i = 0; i < COUNTER_COUNT; i++) {
		if (strcmp(counter_names[i], name) == 0)
			return counter_texts[i];
	}
	return "";
}

static void show_counters(json_t *counters)
{
	static const struct output_column cols[] = {
		{"name", "COUNTER", OUTPUT_TEXT},
		{"value", "VALUE", OUTPUT_COUNT},
		{"text", "MEANING", OUTPUT_SAID},
	};
	json_t *rows = json_array(), *value;
	const char *name;

	json_object_foreach (counters, name, value)
		json_array_append_new(rows,
				      json_pack("{s:s, s:O, s:s}", "name", name,
						"value", value, "text",
						counter_text(name)));
	output_rows(stdout, rows, cols, N(cols), NULL);
	json_decref(rows);
}

static void show_times(json_t *data)
{
	static const char *const names[] = {"wait", "scan"};
	static const struct output_column cols[] = {
		{"name", "TIME", OUTPUT_TEXT},
		{"count", "COUNT", OUTPUT_COUNT},
		{"p50_ns", "HALF BELOW", OUTPUT_NS},
		{"p99_ns", "99 % BELOW", OUTPUT_NS},
		{"max_ns", "LONGEST", OUTPUT_NS},
	};
	json_t *rows = json_array(), *o;
	size_t i;

	for (i = 0; i < N(names); i++) {
		o = json_copy(json_object_get(data, names[i]));
		if (!o)
			continue;
		json_object_set_new(o, "name", json_string(names[i]));
		json_array_append_new(rows, o);
	}
	if (json_array_size(rows) > 0)
		puts("");
	output_rows(stdout, rows, cols, N(cols), NULL);
	json_decref(rows);
}

static void show_top(json_t *data, const char *list, const char *key,
		     const char *title)
{
	const struct output_column cols[] = {
		{"scans", "SCANS", OUTPUT_COUNT},
		{"scan_ns", "SCAN TIME", OUTPUT_NS},
		{"wait_ns", "WAIT", OUTPUT_NS},
		{"bytes", "BYTES", OUTPUT_SIZE},
		{key, title, OUTPUT_TEXT},
	};
	json_t *rows = json_object_get(data, list);

	if (json_array_size(rows) == 0)
		return;
	puts("");
	output_rows(stdout, rows, cols, N(cols), NULL);
}

void statistics_render(json_t *data)
{
	struct str since = {0};

	output_value(&since, json_object_get(data, "since"), OUTPUT_TIME);
	if (since.len)
		printf(T("since %s\n\n"), str_get(&since));
	str_free(&since);
	show_counters(json_object_get(data, "counters"));
	show_times(data);
	show_top(data, "top_processes", "program", "PROGRAM");
	show_top(data, "top_files", "path", "FILE");
	show_top(data, "top_directories", "path", "DIRECTORY");
}
