/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/* Accounts, sessions, tokens, certificate, tasks and settings as a whole. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/alloc.h"
#include "lib/fdutil.h"
#include "lib/str.h"
#include "output.h"
#include "render.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))
#define INPUT_MAX (1u << 20)

static const char *text_of(json_t *data, const char *key)
{
	const char *text = json_string_value(json_object_get(data, key));

	return text ? text : "";
}

/* ---- accounts ---- */

void secret_render(json_t *data)
{
	printf(T("user      %s (%s)\npassword  %s\n"), text_of(data, "user"),
	       text_of(data, "role"), text_of(data, "secret"));
	printf(T("It is good for one login within %lld minutes; then an own "
		 "one "
		 "has to be set.\n"),
	       (long long)json_integer_value(json_object_get(data, "valid_s")) /
		       60);
}

void user_list_render(json_t *data)
{
	static const struct output_column cols[] = {
		{"user", "USER", OUTPUT_TEXT},
		{"role", "ROLE", OUTPUT_WORD},
		{"disabled", "DISABLED", OUTPUT_TEXT},
		{"password", "PASSWORD", OUTPUT_TEXT},
		{"last_login", "LAST LOGIN", OUTPUT_TIME},
		{"last_from", "FROM", OUTPUT_TEXT},
		{"sessions", "SESSIONS", OUTPUT_NUMBER},
	};

	output_rows(stdout, data, cols, N(cols),
		    "there is no account: splxctl console setup");
}

void user_set_render(json_t *data)
{
	static const struct output_column cols[] = {
		{"user", "User", OUTPUT_TEXT},
		{"role", "Role", OUTPUT_WORD},
		{"disabled", "Disabled", OUTPUT_TEXT},
	};

	output_pairs(stdout, data, cols, N(cols), false);
}

void session_list_render(json_t *data)
{
	static const struct output_column cols[] = {
		{"id", "ID", OUTPUT_NUMBER},
		{"user", "USER", OUTPUT_TEXT},
		{"role", "ROLE", OUTPUT_WORD},
		{"created", "SINCE", OUTPUT_TIME},
		{"seen", "USED", OUTPUT_TIME},
		{"expires", "UNTIL", OUTPUT_TIME},
		{"from", "FROM", OUTPUT_TEXT},
		{"agent", "AGENT", OUTPUT_TEXT},
	};

	output_rows(stdout, data, cols, N(cols), "nobody is logged in");
}

void token_list_render(json_t *data)
{
	static const struct output_column cols[] = {
		{"id", "ID", OUTPUT_NUMBER},
		{"name", "NAME", OUTPUT_TEXT},
		{"role", "ROLE", OUTPUT_WORD},
		{"expires", "UNTIL", OUTPUT_TIME},
		{"used", "USED", OUTPUT_TIME},
		{"used_from", "FROM", OUTPUT_TEXT},
		{"by", "BY", OUTPUT_TEXT},
	};

	output_rows(stdout, data, cols, N(cols), "there is no token");
}

void token_add_render(json_t *data)
{
	printf(T("token  %s\nIt is told this once. Role %s.\n"),
	       text_of(data, "token"), text_of(data, "role"));
}

void done_render(json_t *data)
{
	puts(T("done"));
}

/* ---- what comes from files ---- */

/* A file, or standard input for "-"; NULL, and it was complained about. */
static char *read_input(const char *name, size_t max)
{
	const char *path = strcmp(name, "-") == 0 ? "/dev/stdin" : name;
	char *text;
	size_t len;
	struct err err;

	if (fd_read_file(path, max, &text, &len, &err) == 0)
		return text;
	ctl_complain("%s", err.text);
	return NULL;
}

bool render_take_file(struct ctl *ctl, const char *arg)
{
	const char *name = ctl_arg(ctl, arg);
	char *text;
	json_t *value;

	if (!name) {
		ctl_complain("--%s=FILE is wanted", arg);
		return false;
	}
	text = read_input(name, INPUT_MAX);
	if (!text)
		return false;
	value = json_string(text);
	explicit_bzero(text, strlen(text));
	free(text);
	if (!value)
		ctl_complain("%s: this is no text (UTF-8)", name);
	else
		json_object_set_new(ctl->args, arg, value);
	return value != NULL;
}

int render_send(struct ctl *ctl, void (*render)(json_t *data))
{
	struct err err = {0};
	char wire[64];
	json_t *data;
	int rc;

	verbs_wire(ctl->verb, wire, sizeof(wire));
	rc = ctl_call(ctl, wire, ctl->args, &data, &err);
	if (rc != CTL_OK)
		return ctl_failed(rc, &err);
	if (ctl->output == CTL_JSON)
		output_json(stdout, data);
	else
		render(data);
	json_decref(data);
	return CTL_OK;
}

void certificate_render(json_t *data)
{
	static const struct output_column cols[] = {
		{"subject", "Subject", OUTPUT_TEXT},
		{"issuer", "Issuer", OUTPUT_TEXT},
		{"names", "Names", OUTPUT_TEXT},
		{"key", "Key", OUTPUT_TEXT},
		{"not_before", "From", OUTPUT_TIME},
		{"not_after", "Until", OUTPUT_TIME},
		{"fingerprint", "SHA-256", OUTPUT_TEXT},
	};

	output_pairs(stdout, data, cols, N(cols), false);
}

int certificate_set_run(struct ctl *ctl)
{
	if (!render_take_file(ctl, "certificate") ||
	    !render_take_file(ctl, "key"))
		return CTL_ERROR;
	return render_send(ctl, certificate_render);
}

static void export_render(json_t *data)
{
	fputs(text_of(data, "text"), stdout);
}

int config_export_run(struct ctl *ctl)
{
	return render_send(ctl, export_render);
}

static void import_render(json_t *data)
{
	static const struct output_column cols[] = {
		{"key", "KEY", OUTPUT_TEXT},
		{"before", "BEFORE", OUTPUT_TEXT},
		{"after", "AFTER", OUTPUT_TEXT},
	};

	if (json_object_get(data, "changes"))
		output_rows(stdout, json_object_get(data, "changes"), cols,
			    N(cols), "nothing changes");
	else
		config_change_render(data);
}

int config_import_run(struct ctl *ctl)
{
	return render_take_file(ctl, "text") ? render_send(ctl, import_render)
					     : CTL_ERROR;
}

/* ---- tasks ---- */

static const struct output_column task_cols[] = {
	{"id", "ID", OUTPUT_NUMBER},	   {"verb", "VERB", OUTPUT_TEXT},
	{"state", "STATE", OUTPUT_WORD},   {"code", "CODE", OUTPUT_NUMBER},
	{"started", "BEGUN", OUTPUT_TIME}, {"ended", "ENDED", OUTPUT_TIME},
	{"by", "BY", OUTPUT_TEXT},	   {"progress", "SAID", OUTPUT_TEXT},
};

void task_list_render(json_t *data)
{
	output_rows(stdout, data, task_cols, N(task_cols),
		    "nothing was done so");
}

void task_show_render(json_t *data)
{
	/* It came without control characters, but for its line ends. */
	output_pairs(stdout, data, task_cols, N(task_cols) - 1, false);
	printf("\n%s", text_of(data, "output"));
}

void task_start_render(json_t *data)
{
	printf(T("task %lld\n"),
	       (long long)json_integer_value(json_object_get(data, "task")));
}

static int digit(char c)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmn"
				     "opqrstuvwxyz0123456789+/";
	const char *p = c ? strchr(digits, c) : NULL;

	return p ? (int)(p - digits) : -1;
}

/* One part of a file, base64, to standard output. */
static int on_part(json_t *part, void *arg)
{
	const char *p = text_of(part, "data");
	unsigned int bits = 0;
	int have = 0, n;

	for (; (n = digit(*p)) >= 0; p++) {
		bits = bits << 6 | (unsigned int)n;
		have += 6;
		if (have >= 8) {
			have -= 8;
			putchar((int)(bits >> have & 255));
		}
	}
	return ferror(stdout);
}

int task_result_run(struct ctl *ctl)
{
	struct err err = {0};
	json_t *data = NULL;
	int rc;

	if (isatty(STDOUT_FILENO)) {
		ctl_complain("it is no text: send standard output to a file");
		return CTL_ERROR;
	}
	rc = ctl_stream(ctl, "task.result", ctl->args, on_part, NULL, &data,
			&err);
	json_decref(data);
	return rc == CTL_OK ? CTL_OK : ctl_failed(rc, &err);
}

/* ---- statistics.history, metrics ---- */

static double value_at(json_t *series, const char *name, size_t i)
{
	return json_number_value(
		json_array_get(json_object_get(series, name), i));
}

void history_render(json_t *data)
{
	static const char *const names[] = {"opens",  "asked",	  "scans",
					    "hits",   "findings", "timeouts",
					    "p50_ns", "p99_ns"};
	static const struct output_column cols[] = {
		{"time", "TIME", OUTPUT_TIME},
		{"opens", "OPENS", OUTPUT_COUNT},
		{"asked", "ASKED", OUTPUT_COUNT},
		{"scans", "SCANS", OUTPUT_COUNT},
		{"hits", "KNOWN", OUTPUT_COUNT},
		{"findings", "FOUND", OUTPUT_COUNT},
		{"timeouts", "TIMEOUTS", OUTPUT_COUNT},
		{"p50_ns", "P50", OUTPUT_NS},
		{"p99_ns", "P99", OUTPUT_NS},
	};
	json_t *series = json_object_get(data, "series"), *rows = json_array();
	json_int_t from = json_integer_value(json_object_get(data, "from"));
	json_int_t step = json_integer_value(json_object_get(data, "step_s"));
	size_t i, k, n = json_array_size(json_object_get(series, "opens"));

	for (i = 0; i < n; i++) {
		json_t *row;

		if (json_is_null(json_array_get(
			    json_object_get(series, "opens"), i)))
			continue;
		row = json_pack("{s:I}", "time", from + (json_int_t)i * step);
		for (k = 0; k < N(names); k++)
			json_object_set_new(row, names[k],
					    json_integer((json_int_t)value_at(
						    series, names[k], i)));
		json_array_append_new(rows, row);
	}
	output_rows(stdout, rows, cols, N(cols), "nothing was measured then");
	json_decref(rows);
}

/* A label's value as Prometheus' text format writes it. */
static void put_label(const char *name, const char *value)
{
	printf("{%s=\"", name);
	for (; *value; value++) {
		if (*value == '"' || *value == '\\')
			putchar('\\');
		putchar(*value == '\n' ? ' ' : *value);
	}
	fputs("\"}", stdout);
}

static void put_sample(const char *metric, json_t *sample)
{
	const char *name;
	json_t *value;

	printf("%s%s", metric, text_of(sample, "suffix"));
	json_object_foreach (json_object_get(sample, "labels"), name, value)
		put_label(name, json_string_value(value));
	printf(" %.17g\n", json_number_value(json_object_get(sample, "value")));
}

void metrics_render(json_t *data)
{
	json_t *metric, *sample;
	size_t i, k;

	json_array_foreach (data, i, metric) {
		const char *name = text_of(metric, "name");

		printf("# HELP %s %s\n# TYPE %s %s\n", name,
		       text_of(metric, "help"), name, text_of(metric, "type"));
		json_array_foreach (json_object_get(metric, "samples"), k,
				    sample)
			put_sample(name, sample);
	}
}
