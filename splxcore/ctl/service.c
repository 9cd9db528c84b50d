/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "service.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/control.h"
#include "common/jsontext.h"
#include "common/paths.h"
#include "lib/alloc.h"
#include "lib/str.h"
#include "output.h"
#include "render.h"

/* One word "key=value"; whole numbers become numbers. */
static void parse_pair(json_t *o, char *word)
{
	char *value = strchr(word, '=');
	int64_t n;

	if (!value)
		return;
	*value++ = '\0';
	if (str_to_i64(value, INT64_MIN, INT64_MAX, &n, NULL) == 0)
		json_object_set_new(o, word, json_integer(n));
	else
		json_object_set_new(o, word, jsontext_new(value));
}

static json_t *parse_line(char *line)
{
	char *save, *word = strtok_r(line, " ", &save);
	json_t *o;

	if (!word)
		return NULL;
	o = json_object();
	json_object_set_new(o, "part", jsontext_new(word));
	while ((word = strtok_r(NULL, " ", &save)))
		parse_pair(o, word);
	return o;
}

json_t *service_parse(const char *text)
{
	json_t *list = json_array(), *o;
	char *copy = xstrdup(text), *save, *line;

	for (line = strtok_r(copy, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		o = parse_line(line);
		if (o)
			json_array_append_new(list, o);
	}
	free(copy);
	return list;
}

json_t *service_processes(int timeout_ms, struct err *err)
{
	char reply[CONTROL_MAX];

	if (control_call(paths()->control_sock, "status", timeout_ms, reply,
			 sizeof(reply), err) < 0)
		return NULL;
	return service_parse(reply);
}

const char *service_state(json_t *processes, const char *part)
{
	const char *name, *state;
	json_t *o;
	size_t i;

	json_array_foreach (processes, i, o) {
		name = json_string_value(json_object_get(o, "part"));
		state = json_string_value(json_object_get(o, "state"));
		if (name && state && strcmp(name, part) == 0)
			return state;
	}
	return "";
}

void service_show(json_t *processes)
{
	static const struct output_column cols[] = {
		{"part", "PART", OUTPUT_TEXT},
		{"pid", "PID", OUTPUT_NUMBER},
		{"state", "STATE", OUTPUT_WORD},
		{"since_s", "FOR", OUTPUT_S},
		{"restarts", "RESTARTS", OUTPUT_NUMBER},
	};

	output_rows(stdout, processes, cols, sizeof(cols) / sizeof(cols[0]),
		    "no processes");
}

/*
 * The supervisor's refusal comes as a message without errno; with one it was
 * not reached.
 */
static int fail(struct err *err)
{
	if (err->code == 0) {
		ctl_complain("%s", err->text);
		return CTL_ERROR;
	}
	if (err->code == EACCES || err->code == EPERM) {
		ctl_complain("only root may do this: %s", err->text);
		return CTL_ERROR;
	}
	err_add(err, "the supervisor does not answer");
	status_complain(err);
	return CTL_UNREACHABLE;
}

/* One word to the supervisor; reply is CONTROL_MAX long. */
static int order(struct ctl *ctl, const char *what, const char *part,
		 char *reply)
{
	char words[64];
	struct err err = {0};

	snprintf(words, sizeof(words), "%s %s", what, part);
	if (control_call(paths()->control_sock, words, ctl->timeout_ms, reply,
			 CONTROL_MAX, &err) < 0)
		return fail(&err);
	return CTL_OK;
}

static int command(struct ctl *ctl, const char *what)
{
	const char *part = ctl_arg(ctl, "part");
	bool again = !strcmp(what, "restart");
	char reply[CONTROL_MAX];
	int rc = CTL_OK;
	json_t *o;

	if (strcmp(part, "vsapiapp") != 0 &&
	    (strcmp(part, "all") != 0 || strcmp(what, "stop") != 0)) {
		ctl_complain(strcmp(what, "stop") == 0
				     ? "service %s %s: the part is vsapiapp or "
				       "all"
				     : "service %s %s: the part is vsapiapp",
			     what, part);
		return CTL_ERROR;
	}
	if (again)
		rc = order(ctl, "stop", part, reply);
	if (rc == CTL_OK)
		rc = order(ctl, again ? "start" : what, part, reply);
	if (rc != CTL_OK)
		return rc;
	if (ctl->output == CTL_JSON) {
		o = json_pack("{s:s, s:s, s:o}", "part", part, "done", what,
			      "message", jsontext_new(str_trim(reply)));
		output_json(stdout, o);
		json_decref(o);
	} else if (*str_trim(reply)) {
		puts(str_trim(reply));
	}
	return CTL_OK;
}

int service_start_run(struct ctl *ctl)
{
	return command(ctl, "start");
}

int service_stop_run(struct ctl *ctl)
{
	return command(ctl, "stop");
}

int service_restart_run(struct ctl *ctl)
{
	return command(ctl, "restart");
}

int service_status_run(struct ctl *ctl)
{
	struct err err = {0};
	json_t *processes = service_processes(ctl->timeout_ms, &err);

	if (!processes)
		return fail(&err);
	if (ctl->output == CTL_JSON)
		output_json(stdout, processes);
	else
		service_show(processes);
	json_decref(processes);
	return CTL_OK;
}
