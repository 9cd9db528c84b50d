/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/alloc.h"
#include "output.h"
#include "render.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))

/* What is shown of a job though it is no member of it. */
static void add_shown(json_t *job)
{
	json_t *paths = json_object_get(job, "paths"), *all;
	const char *order =
		json_string_value(json_object_get(job, "order")) ?: "";
	const char *state =
		json_string_value(json_object_get(job, "state")) ?: "";
	struct str text = {0};

	if (json_array_size(paths) > 1) {
		output_value(&text, json_array_get(paths, 0), OUTPUT_TEXT);
		str_addf(&text, " +%zu", json_array_size(paths) - 1);
		json_object_set_new(job, "where", json_string(str_get(&text)));
	} else if (json_array_size(paths) == 1) {
		json_object_set(job, "where", json_array_get(paths, 0));
	}
	str_clear(&text);
	str_add(&text, state);
	if ((strcmp(order, "pause") == 0 && strcmp(state, "running") == 0) ||
	    strcmp(order, "cancel") == 0)
		str_addf(&text, " (to %s)", order);
	json_object_set_new(job, "is", json_string(str_get(&text)));
	all = json_object_get(job, "all_files");
	str_clear(&text);
	output_value(&text, json_object_get(job, "files"), OUTPUT_COUNT);
	if (json_is_integer(all)) {
		str_add(&text, " of ");
		output_value(&text, all, OUTPUT_COUNT);
	}
	json_object_set_new(job, "progress", json_string(str_get(&text)));
	str_free(&text);
}

void scan_list_render(json_t *data)
{
	static const struct output_column cols[] = {
		{"id", "ID", OUTPUT_NUMBER},
		{"begun", "BEGUN", OUTPUT_TIME},
		{"source", "SOURCE", OUTPUT_WORD},
		{"name", "NAME", OUTPUT_TEXT},
		{"is", "STATE", OUTPUT_WORD},
		{"progress", "FILES", OUTPUT_COUNT},
		{"infected", "INFECTED", OUTPUT_COUNT},
		{"errors", "ERRORS", OUTPUT_COUNT},
		{"duration_ms", "TOOK", OUTPUT_MS},
		{"where", "PATHS", OUTPUT_TEXT},
	};
	json_t *jobs = json_object_get(data, "jobs"), *job;
	json_t *next = json_object_get(data, "next");
	size_t i;

	json_array_foreach (jobs, i, job)
		add_shown(job);
	output_rows(stdout, jobs, cols, N(cols), "no scans");
	if (json_is_integer(next))
		printf(T("\nolder ones: --before=%lld\n"),
		       (long long)json_integer_value(next));
}

static void job_pairs(FILE *f, json_t *job)
{
	static const struct output_column cols[] = {
		{"id", "ID", OUTPUT_NUMBER},
		{"name", "Schedule", OUTPUT_TEXT},
		{"source", "Source", OUTPUT_WORD},
		{"is", "State", OUTPUT_WORD},
		{"reason", "Because", OUTPUT_SAID},
		{"uid", "Begun by user", OUTPUT_NUMBER},
		{"begun", "Begun", OUTPUT_TIME},
		{"ended", "Ended", OUTPUT_TIME},
		{"duration_ms", "Took", OUTPUT_MS},
		{"runs", "Runs", OUTPUT_NUMBER},
		{"paths", "Paths", OUTPUT_TEXT},
		{"action", "Action", OUTPUT_TEXT},
		{"second_action", "Second action", OUTPUT_TEXT},
		{"progress", "Files", OUTPUT_TEXT},
		{"bytes", "Size", OUTPUT_SIZE},
		{"known", "Known clean", OUTPUT_COUNT},
		{"infected", "Infected", OUTPUT_COUNT},
		{"partly", "Partly", OUTPUT_COUNT},
		{"errors", "Errors", OUTPUT_COUNT},
		{"excluded", "Excluded", OUTPUT_COUNT},
		{"skipped", "Left out", OUTPUT_NUMBER},
		{"current", "At", OUTPUT_TEXT},
	};

	add_shown(job);
	output_pairs(f, job, cols, N(cols), false);
}

void scan_print(FILE *f, json_t *data)
{
	static const struct output_column cols[] = {
		{"time", "TIME", OUTPUT_TIME},
		{"virus", "VIRUS", OUTPUT_TEXT},
		{"action", "ACTION", OUTPUT_TEXT},
		{"path", "PATH", OUTPUT_TEXT},
	};
	json_t *findings = json_object_get(data, "findings");

	job_pairs(f, json_object_get(data, "job"));
	if (json_array_size(findings) == 0)
		return;
	fputc('\n', f);
	output_rows(f, findings, cols, N(cols), NULL);
	if (json_is_true(json_object_get(data, "more")))
		fputs(T("\nthere are more: splxctl scan show ID --limit=N\n"),
		      f);
}

void scan_show_render(json_t *data)
{
	scan_print(stdout, data);
}

/* Where relative paths begin only the caller knows. */
int scan_start_run(struct ctl *ctl)
{
	json_t *list = json_object_get(ctl->args, "path"), *item;
	char cwd[PATH_MAX], *full;
	struct err err = {0};
	json_t *data;
	size_t i;
	int rc;

	json_array_foreach (list, i, item) {
		const char *path = json_string_value(item);

		if (*path == '/' || !getcwd(cwd, sizeof(cwd)))
			continue;
		full = xasprintf("%s/%s", cwd, path);
		json_array_set_new(list, i, json_string(full));
		free(full);
	}
	rc = ctl_call(ctl, "scan.start", ctl->args, &data, &err);
	if (rc != CTL_OK)
		return ctl_failed(rc, &err);
	if (ctl->output == CTL_JSON)
		output_json(stdout, data);
	else
		scan_job_render(data);
	json_decref(data);
	return CTL_OK;
}

/* One line: what it is, and what it is told. */
void scan_job_render(json_t *data)
{
	const char *order =
		json_string_value(json_object_get(data, "order")) ?: "";

	const char *state =
		json_string_value(json_object_get(data, "state")) ?: "";
	long long id = json_integer_value(json_object_get(data, "id"));

	if (strcmp(order, "go") == 0)
		printf(T("scan %lld: %s\n"), id, T(state));
	else
		printf(T("scan %lld: %s, told to %s\n"), id, T(state),
		       T(order));
}
