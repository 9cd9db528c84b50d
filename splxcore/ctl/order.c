/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/* The start order: what comes before splx and after it, and changing it. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/order.h"
#include "order.h"
#include "output.h"
#include "render.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))

static const char *text_of(json_t *o, const char *key)
{
	const char *text = json_string_value(json_object_get(o, key));

	return text ? text : "";
}

/* Texts in lines, made safe for a terminal. */
static void say_all(json_t *list, const char *before)
{
	struct str b = {0};
	json_t *text;
	size_t i;

	json_array_foreach (list, i, text) {
		str_clear(&b);
		output_value(&b, text, OUTPUT_SAID);
		printf("%s%s\n", T(before), str_get(&b));
	}
	str_free(&b);
}

/* ---- reading it ---- */

struct question {
	char level;
	struct err *err;
};

static json_t *own(void *arg)
{
	const struct question *q = arg;

	return order_json(q->level, q->err);
}

/* The runlevel that was named, 0 for none; false when there is no such. */
static bool take_level(struct ctl *ctl, char *level_r)
{
	const char *word = ctl_arg(ctl, "runlevel");

	*level_r = word ? boot_level_parse(word) : 0;
	if (!word || *level_r)
		return true;
	ctl_complain("%s: is no runlevel; allowed: 0 to 6 and S", word);
	return false;
}

static int ask(struct ctl *ctl, const char *verb, json_t **data_r)
{
	struct question q;
	struct err err = {0};
	int rc;

	if (!take_level(ctl, &q.level))
		return CTL_ERROR;
	q.err = &err;
	rc = conflicts_ask(ctl, verb, own, &q, data_r, &err);
	if (rc != CTL_OK)
		return ctl_failed(rc, &err);
	conflicts_problems(*data_r);
	return CTL_OK;
}

/* ---- show ---- */

static void say_head(json_t *data)
{
	const char *level = text_of(data, "runlevel");
	const char *by = text_of(data, "ruled_by");
	bool current = strcmp(level, text_of(data, "current")) == 0;
	bool initial = strcmp(level, text_of(data, "initial")) == 0;

	printf(T("Runlevel %s%s. "), level,
	       current && initial ? T(" (now, and after a boot)")
	       : current	  ? T(" (now)")
	       : initial	  ? T(" (after a boot)")
				  : "");
	if (strcmp(by, "insserv") == 0)
		fputs(T("insserv makes the order, by the scripts' headers"),
		      stdout);
	else if (strcmp(by, "chkconfig") == 0)
		fputs(T("The links' numbers make the order, and chkconfig "
			"takes "
			"them from the scripts"),
		      stdout);
	else if (strcmp(by, "systemd") == 0)
		fputs(T("systemd makes the order, by units"), stdout);
	else
		fputs(T("The links' numbers make the order"), stdout);
	puts(json_is_true(json_object_get(data, "concurrent"))
		     ? T(";\nstartpar starts side by side what does not need "
			 "each other, whatever the number.")
		     : T("."));
}

static void say_cost(json_t *data)
{
	json_t *list = json_object_get(data, "services"), *s;
	int before = 0, with = 0;
	size_t i;

	json_array_foreach (list, i, s) {
		before += strcmp(text_of(s, "place"), "before") == 0;
		with += strcmp(text_of(s, "place"), "with") == 0;
	}
	printf(before == 1 ? T("\n%d service starts before splx")
			   : T("\n%d services start before splx"),
	       before);
	if (with)
		printf(T(", and %d more may"), with);
	puts(T(". What comes in by them until splx runs is not\nexamined at "
	       "that "
	       "moment, but when it is next opened."));
}

static void show(json_t *data)
{
	static const struct output_column cols[] = {
		{"place", "ORDER", OUTPUT_WORD},
		{"link", "LINK", OUTPUT_TEXT},
		{"service", "SERVICE", OUTPUT_TEXT},
		{"mark", "CONFLICT", OUTPUT_TEXT},
		{"why", "WHY", OUTPUT_SAID},
	};
	json_t *services = json_object_get(data, "services"), *s;
	size_t i;

	say_head(data);
	if (!*text_of(data, "link"))
		printf(T("splx is not started in this runlevel.\n"));
	puts("");
	json_array_foreach (services, i, s)
		if (json_is_true(json_object_get(s, "conflict")))
			json_object_set_new(s, "mark", json_string("yes"));
	output_rows(stdout, services, cols, N(cols), "nothing is started");
	if (*text_of(data, "link"))
		say_cost(data);
	if (json_array_size(json_object_get(data, "notes")))
		puts("");
	say_all(json_object_get(data, "notes"), "");
	conflicts_explain(json_object_get(data, "conflicts"));
}

int order_show_run(struct ctl *ctl)
{
	json_t *data = NULL;
	int rc = ask(ctl, "order.show", &data);

	if (rc != CTL_OK)
		return rc;
	if (ctl->output == CTL_JSON)
		output_json(stdout, data);
	else
		show(data);
	json_decref(data);
	return CTL_OK;
}

/* ---- check ---- */

static json_t *row_of(json_t *data, const char *service)
{
	json_t *list = json_object_get(data, "conflicts"), *c;
	size_t i;

	json_array_foreach (list, i, c)
		if (strcmp(text_of(c, "service"), service) == 0)
			return c;
	return NULL;
}

static void say_late(json_t *data, const char *service)
{
	json_t *c = row_of(data, service), *r;
	const char *place = text_of(c, "place");
	struct str line = {0};

	str_addf(&line, "%s %s splx in runlevel %s (%s)", service,
		 strcmp(place, "after") == 0 ? "starts after"
					     : "may start after",
		 text_of(data, "runlevel"), text_of(c, "why"));
	r = json_array_get(json_object_get(c, "remedies"), 1);
	if (r)
		str_addf(&line, ": %s", text_of(r, "command"));
	else if (*text_of(c, "no_order"))
		str_addf(&line, "; order is no remedy: %s",
			 text_of(c, "no_order"));
	r = json_string(str_get(&line));
	str_clear(&line);
	output_value(&line, r, OUTPUT_TEXT);
	puts(str_get(&line));
	json_decref(r);
	str_free(&line);
}

static void check(json_t *data)
{
	json_t *late = json_object_get(data, "late"), *service;
	size_t i;

	json_array_foreach (late, i, service)
		say_late(data, json_string_value(service));
	if (!json_array_size(late))
		printf(T("no known conflict starts after splx in runlevel "
			 "%s\n"),
		       text_of(data, "runlevel"));
	say_all(json_object_get(data, "notes"), "");
}

int order_check_run(struct ctl *ctl)
{
	json_t *data = NULL;
	int rc = ask(ctl, "order.check", &data);

	if (rc != CTL_OK)
		return rc;
	if (ctl->output == CTL_JSON)
		output_json(stdout, data);
	else
		check(data);
	if (json_array_size(json_object_get(data, "late")))
		rc = CTL_NO;
	json_decref(data);
	return rc;
}

/* ---- apply ---- */

static void say_text(const char *text)
{
	json_t *line;
	struct str b = {0};

	while (*text) {
		size_t n = strcspn(text, "\n");

		line = json_stringn(text, n);
		str_clear(&b);
		output_value(&b, line, OUTPUT_TEXT);
		printf("    %s\n", str_get(&b));
		json_decref(line);
		text += n + (text[n] == '\n');
	}
	str_free(&b);
}

static void say_step(const struct order_step *s)
{
	const char *by = s->by_tool ? "  " : "";

	switch (s->what) {
	case ORDER_WRITE:
		printf(T("write %s:\n"), s->path);
		say_text(s->text);
		break;
	case ORDER_RUN:
		printf(T("run %s splx, which does:\n"), s->path);
		break;
	default:
		if (s->to)
			printf(T("%srename %s to %s\n"), by, s->path,
			       strrchr(s->to, '/') + 1);
		else
			printf(T("%sremove %s, which points to nothing\n"), by,
			       s->path);
	}
}

static void say_plan(const struct order_plan *plan)
{
	const struct order_step *s;
	char **w;

	vec_each (s, &plan->steps)
		say_step(s);
	vec_each (w, &plan->notes)
		printf(T("note: %s\n"), *w);
	fflush(stdout);
	vec_each (w, &plan->left)
		ctl_complain("%s", *w);
}

static void say_done(const struct order_plan *plan, bool dry)
{
	char **w;

	if (!plan->steps.len) {
		puts(plan->after.len
			     ? "The order is as it should be; nothing was "
			       "changed."
			     : "Nothing was changed.");
		return;
	}
	if (dry) {
		puts(T("Dry run: nothing was changed."));
		return;
	}
	printf(T("Done. From the next boot on splx starts after"));
	vec_each (w, &plan->after)
		printf("%s %s", w == plan->after.items ? "" : ",", *w);
	puts(T(".\nThe price: what comes in by services that start before splx "
	       "is not examined at that\nmoment, but when it is next opened. "
	       "splxctl order show lists them."));
}

static void print_json(const struct order_plan *plan, bool applied)
{
	json_t *data = order_plan_json(plan);

	json_object_set_new(data, "applied", json_boolean(applied));
	output_json(stdout, data);
	json_decref(data);
}

/* Shown before it is done. */
static int apply(struct ctl *ctl, const struct order_plan *plan)
{
	bool json = ctl->output == CTL_JSON;
	bool dry = ctl_flag(ctl, "dry-run");
	struct err err = {0};

	if (!json)
		say_plan(plan);
	if (!dry && order_apply(plan, &err) < 0) {
		ctl_complain("order apply: %s", err.text);
		return CTL_ERROR;
	}
	if (json)
		print_json(plan, !dry && plan->steps.len);
	else
		say_done(plan, dry);
	return plan->left.len ? CTL_ERROR : CTL_OK;
}

int order_apply_run(struct ctl *ctl)
{
	struct order_wish wish = {.after = ctl_arg(ctl, "after"),
				  .early = ctl_flag(ctl, "early")};
	struct conflict_view view;
	struct order_plan plan;
	struct err err = {0};
	int rc = CTL_ERROR;

	if (!take_level(ctl, &wish.level))
		return CTL_ERROR;
	if (geteuid() != 0) {
		ctl_complain("order apply: only root may do that");
		return CTL_ERROR;
	}
	conflict_view_read(&view, wish.level);
	if (!view.level)
		ctl_complain("order apply: services are not started by "
			     "runlevels here");
	else if (order_plan(&view, &wish, &plan, &err) < 0)
		ctl_complain("order apply: %s", err.text);
	else
		rc = apply(ctl, &plan);
	if (view.level)
		order_plan_free(&plan);
	conflict_view_free(&view);
	return rc;
}
