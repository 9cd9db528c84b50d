/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/* Who is in the kernel module's way, and what helps. Root reads it here, so
 * that it is told whatever state the service is in. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/conflicts.h"
#include "common/paths.h"
#include "order.h"
#include "output.h"
#include "render.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))

static const char *text_of(json_t *o, const char *key)
{
	const char *text = json_string_value(json_object_get(o, key));

	return text ? text : "";
}

/* A line of a row's texts, made safe for a terminal. */
static void say(const char *before, const char *text)
{
	struct str b = {0};
	json_t *value = json_string(text);

	output_value(&b, value, OUTPUT_SAID);
	printf("%s%s\n", T(before), str_get(&b));
	json_decref(value);
	str_free(&b);
}

void conflicts_problems(json_t *data)
{
	json_t *list = json_object_get(data, "problems"), *p;
	size_t i;

	json_array_foreach (list, i, p)
		ctl_complain("%s", json_string_value(p));
	if (json_is_null(json_object_get(data, "loaded")))
		ctl_complain("what the kernel shows is for root alone (or ask "
			     "the service); this is by name");
}

/* ---- remedies ---- */

static const char *who(json_t *c)
{
	return *text_of(c, "service") ? text_of(c, "service")
				      : text_of(c, "module");
}

/* A module shows itself in several places; what helps is told once. */
static bool told_before(json_t *rows, size_t row)
{
	json_t *c = json_array_get(rows, row), *o;
	size_t i;

	for (i = 0; i < row; i++) {
		o = json_array_get(rows, i);
		if (strcmp(who(o), who(c)) == 0 &&
		    strcmp(text_of(o, "effect"), text_of(c, "effect")) == 0)
			return true;
	}
	return false;
}

static void say_remedies(json_t *c)
{
	json_t *list = json_object_get(c, "remedies"), *r;
	size_t i;

	json_array_foreach (list, i, r) {
		printf(T("  Remedy %lld: "),
		       (long long)json_integer_value(
			       json_object_get(r, "number")));
		say("", text_of(r, "text"));
		if (*text_of(r, "command"))
			say("      ", text_of(r, "command"));
	}
	if (*text_of(c, "no_order"))
		say("  Order is no remedy: ", text_of(c, "no_order"));
}

static void say_one(json_t *c)
{
	puts("");
	if (*text_of(c, "product")) {
		struct str head = {0};

		str_addf(&head, "%s (%s):", who(c), text_of(c, "product"));
		say("", str_get(&head));
		str_free(&head);
	} else {
		printf("%s:\n", who(c));
	}
	say("  ", text_of(c, "meaning"));
	if (*text_of(c, "text"))
		say("  ", text_of(c, "text"));
	if (*text_of(c, "source"))
		say("  known by ", text_of(c, "source"));
	say_remedies(c);
}

void conflicts_explain(json_t *rows)
{
	json_t *c;
	size_t i;

	json_array_foreach (rows, i, c)
		if (strcmp(text_of(c, "effect"), "safe") != 0 &&
		    !told_before(rows, i))
			say_one(c);
}

/* ---- the verb ---- */

static void show(json_t *data)
{
	static const struct output_column cols[] = {
		{"service", "SERVICE", OUTPUT_TEXT},
		{"module", "MODULE", OUTPUT_TEXT},
		{"kind", "KIND", OUTPUT_WORD},
		{"symbol", "SYMBOL", OUTPUT_TEXT},
		{"effect", "EFFECT", OUTPUT_WORD},
		{"link", "STARTS", OUTPUT_TEXT},
		{"runlevels", "RUNLEVELS", OUTPUT_TEXT},
		{"place", "ORDER", OUTPUT_WORD},
		{"running", "RUNS", OUTPUT_WORD},
	};
	json_t *rows = json_object_get(data, "conflicts");

	if (json_is_false(json_object_get(data, "loaded")))
		puts(T("The kernel module is not loaded, so the kernel shows "
		       "nobody in its way."));
	output_rows(stdout, rows, cols, N(cols),
		    "no service is known to be in the way");
	conflicts_explain(rows);
}

/* For init scripts and the like: a line each, and no more. */
static void show_blocking(json_t *data)
{
	json_t *rows = json_object_get(data, "conflicts"), *c, *r;
	size_t i;

	json_array_foreach (rows, i, c) {
		struct str line = {0};

		if (told_before(rows, i))
			continue;
		str_add(&line, who(c));
		if (*text_of(c, "service"))
			str_addf(&line, " (module %s)", text_of(c, "module"));
		str_add(&line, " keeps the kernel module");
		r = json_array_get(json_object_get(c, "remedies"), 0);
		if (*text_of(r, "command"))
			str_addf(&line, ": first: %s", text_of(r, "command"));
		else if (r)
			str_addf(&line, ": %s", text_of(r, "text"));
		say("", str_get(&line));
		str_free(&line);
	}
}

int conflicts_ask(struct ctl *ctl, const char *verb, json_t *(*own)(void *),
		  void *arg, json_t **data_r, struct err *err)
{
	int rc = CTL_UNREACHABLE;

	if (geteuid() != 0)
		rc = ctl_call(ctl, verb, ctl->args, data_r, err);
	if (rc != CTL_UNREACHABLE)
		return rc;
	err_clear(err);
	*data_r = own(arg);
	return *data_r ? CTL_OK : CTL_ERROR;
}

static json_t *own(void *arg)
{
	const bool *blocking = arg;

	return conflicts_json(*blocking);
}

int conflicts_run(struct ctl *ctl)
{
	bool blocking = ctl_flag(ctl, "blocking");
	struct err err = {0};
	json_t *data = NULL;
	int rc = conflicts_ask(ctl, "conflicts", own, &blocking, &data, &err);

	if (rc != CTL_OK)
		return ctl_failed(rc, &err);
	if (!blocking)
		conflicts_problems(data);
	if (ctl->output == CTL_JSON)
		output_json(stdout, data);
	else if (blocking)
		show_blocking(data);
	else
		show(data);
	if (json_is_null(json_object_get(data, "loaded")))
		rc = CTL_ERROR;
	else if (json_integer_value(json_object_get(data, "blocking")) > 0)
		rc = CTL_NO;
	json_decref(data);
	return rc;
}
