/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include <stdio.h>

#include "output.h"
#include "render.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))

void quarantine_list_render(json_t *data)
{
	static const struct output_column cols[] = {
		{"id", "ID", OUTPUT_NUMBER},
		{"time", "TIME", OUTPUT_TIME},
		{"size", "SIZE", OUTPUT_SIZE},
		{"virus", "VIRUS", OUTPUT_TEXT},
		{"source", "SOURCE", OUTPUT_WORD},
		{"path", "PATH", OUTPUT_TEXT},
	};
	json_t *items = json_object_get(data, "items");
	json_int_t total = json_integer_value(json_object_get(data, "total"));
	struct str size = {0};

	output_rows(stdout, items, cols, N(cols),
		    total ? "no items match" : "the quarantine is empty");
	if (total == 0)
		return;
	output_value(&size, json_object_get(data, "bytes"), OUTPUT_SIZE);
	printf(T("\n%zu of %lld items, %s in all\n"), json_array_size(items),
	       (long long)total, str_get(&size));
	str_free(&size);
}

void quarantine_show_render(json_t *data)
{
	static const struct output_column cols[] = {
		{"id", "ID", OUTPUT_NUMBER},
		{"path", "Path", OUTPUT_TEXT},
		{"virus", "Virus", OUTPUT_TEXT},
		{"time", "Taken", OUTPUT_TIME},
		{"source", "Found by", OUTPUT_WORD},
		{"size", "Size", OUTPUT_SIZE},
		{"sealed", "Sealed size", OUTPUT_SIZE},
		{"sha256", "SHA-256", OUTPUT_TEXT},
		{"mode", "Mode", OUTPUT_TEXT},
		{"uid", "Owner", OUTPUT_NUMBER},
		{"gid", "Group", OUTPUT_NUMBER},
		{"mtime", "Modified", OUTPUT_TIME},
		{"pid", "Opened by pid", OUTPUT_NUMBER},
		{"opener_uid", "Opened by user", OUTPUT_NUMBER},
		{"program", "Program", OUTPUT_TEXT},
		{"detail", "Detail", OUTPUT_TEXT},
	};

	output_pairs(stdout, data, cols, N(cols), true);
}

static void show_failed(json_t *data)
{
	json_t *o;
	size_t i;

	json_array_foreach (json_object_get(data, "failed"), i, o) {
		struct str id = {0}, why = {0};

		output_value(&id, json_object_get(o, "id"), OUTPUT_TEXT);
		output_value(&why, json_object_get(o, "error"), OUTPUT_TEXT);
		ctl_complain("%s: %s", str_get(&id), str_get(&why));
		str_free(&id);
		str_free(&why);
	}
}

void quarantine_restore_render(json_t *data)
{
	static const struct output_column cols[] = {
		{"id", "RESTORED", OUTPUT_NUMBER},
		{"path", "PATH", OUTPUT_TEXT},
		{"detail", "DETAIL", OUTPUT_TEXT},
	};

	output_rows(stdout, json_object_get(data, "restored"), cols, N(cols),
		    NULL);
	show_failed(data);
}

void quarantine_delete_render(json_t *data)
{
	json_t *deleted = json_object_get(data, "deleted");
	struct str ids = {0};

	output_value(&ids, deleted, OUTPUT_TEXT);
	if (json_array_size(deleted) > 0)
		printf(T("deleted %s\n"), str_get(&ids));
	str_free(&ids);
	show_failed(data);
}

void quarantine_purge_render(json_t *data)
{
	static const struct output_column cols[] = {
		{"deleted", "Deleted", OUTPUT_NUMBER},
		{"total", "Items left", OUTPUT_COUNT},
		{"bytes", "Bytes left", OUTPUT_SIZE},
	};

	output_pairs(stdout, data, cols, N(cols), false);
}

int quarantine_judge(json_t *data)
{
	return json_array_size(json_object_get(data, "failed")) ? CTL_ERROR
								: CTL_OK;
}
