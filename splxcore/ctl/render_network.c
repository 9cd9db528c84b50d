/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include <stdio.h>
#include <string.h>

#include "lib/str.h"
#include "output.h"
#include "render.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))

static const char *text_of(json_t *data, const char *path)
{
	const char *text = json_string_value(output_member(data, path));

	return text ? text : "";
}

/* A text that is not ours, in a line of its own. */
static void print_text(const char *title, json_t *value)
{
	struct str text = {0};

	output_value(&text, value, OUTPUT_SAID);
	output_title(stdout, title, 12);
	puts(str_get(&text));
	str_free(&text);
}

/* ---- status ---- */

static void print_model(json_t *data)
{
	const char *state = text_of(data, "model.state");
	char left[48];

	output_duration(left, sizeof(left),
			(uint64_t)json_integer_value(
				output_member(data, "model.left_ms")));
	output_title(stdout, "Model", 12);
	if (strcmp(state, "learning") == 0)
		printf(T("is learnt, for %s more\n"), left);
	else
		puts(strcmp(state, "off") == 0 ? T("off (NetworkLearning = 0)")
					       : T("watches what is new"));
}

static void print_state(json_t *data)
{
	bool enabled = json_is_true(json_object_get(data, "enabled"));
	json_t *reason = json_object_get(data, "reason");

	output_title(stdout, "Monitor", 12);
	if (json_is_true(json_object_get(data, "active")))
		output_colour(stdout, OUTPUT_GREEN, T("active"));
	else if (!enabled)
		fputs(T("off (splxctl config set NetworkMonitor yes switches "
			"it "
			"on)"),
		      stdout);
	else
		output_colour(stdout, OUTPUT_YELLOW,
			      T("not active: connections pass"));
	putchar('\n');
	if (enabled && json_is_string(reason))
		print_text("", reason);
	if (json_is_string(json_object_get(data, "broken"))) {
		print_text("Broken", json_object_get(data, "broken"));
		output_title(stdout, "", 12);
		puts(T("the former rules stay in force"));
	}
}

void network_status_render(json_t *data)
{
	static const struct output_column cols[] = {
		{"since", "Since", OUTPUT_TIME},
		{"rules", "Rules", OUTPUT_NUMBER},
		{"lists", "Lists", OUTPUT_NUMBER},
		{"networks", "Networks", OUTPUT_COUNT},
		{"seen", "Seen", OUTPUT_COUNT},
		{"judged", "Judged", OUTPUT_COUNT},
		{"uninspected", "Uninspected", OUTPUT_COUNT},
		{"alerted", "Alerted", OUTPUT_COUNT},
		{"dropped", "Dropped", OUTPUT_COUNT},
		{"reset", "Reset", OUTPUT_COUNT},
		{"unreported", "Unreported", OUTPUT_COUNT},
		{"stalls", "Stalls", OUTPUT_NUMBER},
		{"released", "Released", OUTPUT_NUMBER},
		{"restarts", "Restarts", OUTPUT_NUMBER},
		{"overruns", "Overruns", OUTPUT_NUMBER},
		{"put_back", "Put back", OUTPUT_NUMBER},
	};

	print_state(data);
	if (!json_is_true(json_object_get(data, "enabled")) &&
	    !json_integer_value(json_object_get(data, "seen")))
		return;
	print_model(data);
	output_pairs(stdout, data, cols, N(cols), false);
}

/* ---- connections ---- */

void network_connections_render(json_t *data)
{
	static const struct output_column cols[] = {
		{"time", "TIME", OUTPUT_TIME},
		{"verdict", "VERDICT", OUTPUT_WORD},
		{"direction", "DIR", OUTPUT_TEXT},
		{"address", "ADDRESS", OUTPUT_TEXT},
		{"port", "PORT", OUTPUT_NUMBER},
		{"times", "TIMES", OUTPUT_COUNT},
		{"program", "PROGRAM", OUTPUT_TEXT},
		{"pid", "PID", OUTPUT_NUMBER},
		{"uid", "UID", OUTPUT_NUMBER},
		{"rule", "RULE", OUTPUT_TEXT},
		{"list", "LIST", OUTPUT_TEXT},
	};

	output_rows(stdout, json_object_get(data, "connections"), cols, N(cols),
		    json_is_true(json_object_get(data, "active"))
			    ? "no connection was seen yet"
			    : "no connection was seen: the network monitor is "
			      "not active (splxctl network status)");
}

/* ---- rules ---- */

void network_rules_render(json_t *data)
{
	static const struct output_column cols[] = {
		{"name", "NAME", OUTPUT_TEXT},
		{"action", "ACTION", OUTPUT_TEXT},
		{"enabled", "ENABLED", OUTPUT_TEXT},
		{"what", "WHAT", OUTPUT_TEXT},
		{"text", "TEXT", OUTPUT_TEXT},
	};
	json_t *rules = json_object_get(data, "rules"), *row, *problem;
	json_t *problems = json_object_get(data, "problems");
	size_t i;

	output_rows(
		stdout, rules, cols, N(cols),
		json_array_size(problems)
			? "no rule can be read"
			: "there are no rules: every connection is allowed");
	json_array_foreach (rules, i, row) {
		json_t *missing = json_object_get(row, "missing");

		if (json_array_size(missing))
			ctl_complain(
				"%s: there is no list %s; the rule fits "
				"nothing by it",
				text_of(row, "name"),
				json_string_value(json_array_get(missing, 0)));
	}
	json_array_foreach (problems, i, problem)
		ctl_complain("%s", json_string_value(problem));
	if (json_array_size(problems))
		ctl_complain("the file is not taken over as long as something "
			     "in it is wrong: the former rules stay in force");
}

void network_show_render(json_t *data)
{
	render_settings(json_object_get(data, "settings"));
	if (json_is_string(json_object_get(data, "note")))
		ctl_complain("%s", text_of(data, "note"));
}

void network_test_render(json_t *data)
{
	const char *rule = text_of(data, "rule"), *list = text_of(data, "list");

	printf("%s", T(text_of(data, "verdict")));
	if (*rule)
		printf(*list ? T(" (rule %s, list %s)") : T(" (rule %s)"), rule,
		       list);
	else
		fputs(T(" (no rule fits)"), stdout);
	putchar('\n');
}

/* ---- lists ---- */

static void add_names(struct str *out, json_t *array, const char *member)
{
	json_t *item;
	size_t i;

	json_array_foreach (array, i, item) {
		if (out->len)
			str_add(out, ", ");
		output_value(out, member ? json_object_get(item, member) : item,
			     OUTPUT_TEXT);
	}
}

void network_lists_render(json_t *data)
{
	static const struct output_column cols[] = {
		{"", "NAME", OUTPUT_TEXT},   {"", "NETWORKS", OUTPUT_COUNT},
		{"", "MEMORY", OUTPUT_SIZE}, {"", "VERSION", OUTPUT_NUMBER},
		{"", "PARTS", OUTPUT_TEXT},  {"", "RULES", OUTPUT_TEXT},
	};
	json_t *lists = json_object_get(data, "lists"), *row;
	struct output_table *table = output_table_new(cols, N(cols));
	size_t i;

	json_array_foreach (lists, i, row) {
		json_t *sources = json_object_get(row, "sources");
		struct str cell[N(cols)] = {0};
		const char *cells[N(cols)];

		output_value(&cell[0], json_object_get(row, "name"),
			     OUTPUT_TEXT);
		output_value(&cell[1], json_object_get(row, "networks"),
			     OUTPUT_COUNT);
		output_value(&cell[2], json_object_get(row, "bytes"),
			     OUTPUT_SIZE);
		output_value(
			&cell[3],
			json_object_get(json_array_get(sources, 0), "version"),
			OUTPUT_NUMBER);
		add_names(&cell[4], sources, "part");
		add_names(&cell[5], json_object_get(row, "rules"), NULL);
		for (size_t k = 0; k < N(cols); k++)
			cells[k] = str_get(&cell[k]);
		output_table_row(table, cells);
		for (size_t k = 0; k < N(cols); k++)
			str_free(&cell[k]);
	}
	if (json_array_size(lists))
		output_table_print(table, stdout);
	else
		puts(T("there are no lists: they come with the patterns, as "
		       "NAME.netlist (splxctl pattern update)"));
	output_table_free(&table);
	if (json_is_string(json_object_get(data, "fault")))
		ctl_complain("%s", text_of(data, "fault"));
}

/* ---- the model ---- */

void network_model_render(json_t *data)
{
	static const struct output_column cols[] = {
		{"id", "ID", OUTPUT_NUMBER},
		{"program", "PROGRAM", OUTPUT_TEXT},
		{"network", "NETWORK", OUTPUT_TEXT},
		{"port", "PORT", OUTPUT_NUMBER},
		{"times", "TIMES", OUTPUT_COUNT},
		{"first", "FIRST", OUTPUT_TIME},
		{"last", "LAST", OUTPUT_TIME},
		{"alerted", "ALERTED", OUTPUT_TEXT},
	};
	const char *state = text_of(data, "state");
	char left[48];

	output_rows(stdout, json_object_get(data, "entries"), cols, N(cols),
		    "nothing was learnt yet");
	output_duration(
		left, sizeof(left),
		(uint64_t)json_integer_value(json_object_get(data, "left_ms")));
	if (strcmp(state, "learning") == 0)
		printf(T("It is being learnt, for %s more: nothing is an alert "
			 "by it yet.\n"),
		       left);
	else if (strcmp(state, "off") == 0)
		puts(T("Nothing is learnt (NetworkLearning = 0)."));
}

void network_learn_render(json_t *data)
{
	(void)data;
	puts(T("it is learnt anew"));
}

void network_forget_render(json_t *data)
{
	printf(T("forgotten: %lld\n"),
	       (long long)json_integer_value(
		       json_object_get(data, "forgotten")));
}
