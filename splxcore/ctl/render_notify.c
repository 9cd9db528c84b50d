/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include <stdio.h>
#include <string.h>

#include "output.h"
#include "render.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))

void notify_list_render(json_t *data)
{
	static const struct output_column cols[] = {
		{"name", "NAME", OUTPUT_TEXT},
		{"type", "TYPE", OUTPUT_TEXT},
		{"state", "STATE", OUTPUT_WORD},
		{"waiting", "WAITING", OUTPUT_COUNT},
		{"sent", "SENT", OUTPUT_COUNT},
		{"dropped", "DROPPED", OUTPUT_COUNT},
		{"ok_at", "LAST", OUTPUT_TIME},
		{"target", "TO", OUTPUT_TEXT},
		{"error", "ERROR", OUTPUT_SAID},
	};
	json_t *problem;
	size_t i;

	output_rows(stdout, json_object_get(data, "channels"), cols, N(cols),
		    "nobody is told of events");
	json_array_foreach (json_object_get(data, "problems"), i, problem)
		ctl_complain("%s", json_string_value(problem));
}

void notify_show_render(json_t *data)
{
	static const struct output_column cols[] = {
		{"name", "Name", OUTPUT_TEXT},
		{"status.state", "State", OUTPUT_WORD},
		{"status.waiting", "Waiting", OUTPUT_COUNT},
		{"status.sent", "Sent", OUTPUT_COUNT},
		{"status.dropped", "Dropped", OUTPUT_COUNT},
		{"status.ok_at", "Last", OUTPUT_TIME},
		{"status.failing_since", "Fails since", OUTPUT_TIME},
		{"status.error", "Error", OUTPUT_SAID},
	};

	output_pairs(stdout, data, cols, N(cols), false);
	putchar('\n');
	render_settings(json_object_get(data, "settings"));
}

void notify_queue_render(json_t *data)
{
	static const struct output_column cols[] = {
		{"id", "ID", OUTPUT_NUMBER},
		{"time", "TIME", OUTPUT_TIME},
		{"kind", "KIND", OUTPUT_WORD},
		{"severity", "SEVERITY", OUTPUT_WORD},
		{"message", "MESSAGE", OUTPUT_SAID},
	};
	json_t *events = json_object_get(data, "events");
	json_int_t waiting =
		json_integer_value(json_object_get(data, "waiting"));

	output_rows(stdout, events, cols, N(cols), "nothing waits");
	if (waiting > (json_int_t)json_array_size(events))
		printf(T("... %lld in all\n"), (long long)waiting);
}

void notify_test_render(json_t *data)
{
	const char *answer = json_string_value(json_object_get(data, "answer"));

	printf(T("sent; the answer: %s\n"), answer ? answer : "");
}

void notify_drop_render(json_t *data)
{
	printf(T("%lld events dropped\n"),
	       (long long)json_integer_value(json_object_get(data, "dropped")));
}

/* From a file, whose last line end is none of it. */
static bool take_secret(struct ctl *ctl, const char *arg)
{
	const char *text;
	size_t n;

	if (!ctl_arg(ctl, arg))
		return true;
	if (!render_take_file(ctl, arg))
		return false;
	text = ctl_arg(ctl, arg);
	n = strcspn(text, "\r\n");
	json_object_set_new(ctl->args, arg, json_stringn(text, n));
	return true;
}

int notify_set_run(struct ctl *ctl)
{
	return take_secret(ctl, "password") && take_secret(ctl, "key")
		       ? render_send(ctl, notify_show_render)
		       : CTL_ERROR;
}
