/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/* The start order and plans as the verbs tell them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "jsontext.h"
#include "order.h"

static json_t *level_json(char level)
{
	char word[2] = {level, '\0'};

	return level ? json_string(word) : json_null();
}

static json_t *words_json(const struct conflist_words *words)
{
	json_t *list = json_array();
	char **w;

	vec_each (w, words)
		json_array_append_new(list, jsontext_new(*w));
	return list;
}

/* ---- show ---- */

/* A conflict that has to do with order: what does no harm has not. */
static bool counts(const struct conflict *c)
{
	return c->service && c->effect != CONFLICT_SAFE;
}

static bool is_conflict(const struct conflict_view *v, const char *service)
{
	const struct conflict *c;

	vec_each (c, &v->found)
		if (counts(c) && strcmp(c->service, service) == 0)
			return true;
	return false;
}

static json_t *service_json(const struct conflict_view *v,
			    const struct boot_link *l)
{
	bool own = strcmp(l->service, BOOT_SPLX) == 0;
	struct boot_placing p = {.firm = true};

	if (!own)
		bootdeps_place(v->deps, l->service, &p);
	return json_pack(
		"{s:o, s:o, s:s, s:b, s:o, s:b}", "link", jsontext_new(l->file),
		"service", jsontext_new(l->service), "place",
		own ? "splx" : boot_place_name(p.place), "firm", p.firm, "why",
		jsontext_new(p.why), "conflict", is_conflict(v, l->service));
}

/* What the boot starts before any runlevel, then the runlevel itself. */
static json_t *services_json(const struct conflict_view *v)
{
	const char levels[] = {'S', v->level, '\0'}, *level;
	const struct boot_link *l;
	json_t *list = json_array();

	for (level = v->level == 'S' ? levels + 1 : levels; *level; level++)
		vec_each (l, &v->boot->links)
			if (l->level == *level && l->start && !l->dangling)
				json_array_append_new(list, service_json(v, l));
	return list;
}

static json_t *late_json(const struct conflict_view *v)
{
	const struct conflict *c, *o;
	json_t *list = json_array();

	vec_each (c, &v->found) {
		if (!counts(c) || (c->placing.place != BOOT_AFTER &&
				   c->placing.place != BOOT_WITH))
			continue;
		for (o = v->found.items; o < c; o++)
			if (counts(o) && strcmp(o->service, c->service) == 0)
				break;
		if (o == c)
			json_array_append_new(list, jsontext_new(c->service));
	}
	return list;
}

static void note(json_t *notes, const char *text)
{
	json_array_append_new(notes, jsontext_new(text));
}

static json_t *notes_json(const struct conflict_view *v)
{
	const struct boot_script *s = boot_script(v->boot, BOOT_SPLX);
	const struct conflict *c;
	json_t *notes = json_array();
	char text[256];

	if (v->boot->kind == BOOT_SYSTEMD)
		note(notes, "systemd starts services here: by units, made of "
			    "the scripts' headers, not by the links' numbers. "
			    "What a unit of its own says is not read here.");
	if (order_is_stale(v->boot))
		note(notes, "the override " BOOT_OVERRIDES "/" BOOT_SPLX
			    " was made of another version of init.d/splx: "
			    "splxctl order apply makes it anew");
	else if (s && s->source == BOOT_SRC_ETC)
		note(notes, v->boot->kind == BOOT_CHKCONFIG
				    ? "an override sets the order of splx: "
				      "" BOOT_CHKCONFIG_DIR "/" BOOT_SPLX
				    : "an override sets the order of splx: "
				      "" BOOT_OVERRIDES "/" BOOT_SPLX);
	vec_each (c, &v->found) {
		if (!counts(c) || c->placing.place != BOOT_BEFORE ||
		    c->placing.firm)
			continue;
		snprintf(text, sizeof(text),
			 "%s starts before splx by chance: nothing says so, "
			 "and the next run of insserv may change it",
			 c->service);
		note(notes, text);
	}
	return notes;
}

static json_t *conflicts_of(const struct conflict_view *v)
{
	const struct conflict *c;
	json_t *list = json_array();

	vec_each (c, &v->found)
		if (counts(c))
			json_array_append_new(list, conflict_json(v, c));
	return list;
}

static json_t *problems_json(const struct conflict_view *v)
{
	const struct entryfile_problem *p;
	json_t *list = json_array();

	vec_each (p, &v->list->problems)
		json_array_append_new(list, jsontext_new(p->text));
	return list;
}

static json_t *view_json(const struct conflict_view *v)
{
	const struct boot_link *own =
		boot_link(v->boot, v->level, true, BOOT_SPLX);

	return json_pack(
		"{s:o, s:o, s:o, s:s, s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:o}",
		"runlevel", level_json(v->level), "current",
		level_json(v->boot->current), "initial",
		level_json(v->boot->initial), "ruled_by",
		boot_kind_name(v->boot->kind), "concurrent",
		v->boot->concurrent, "link",
		own ? jsontext_new(own->file) : json_null(), "services",
		services_json(v), "conflicts", conflicts_of(v), "late",
		late_json(v), "notes", notes_json(v), "problems",
		problems_json(v), "loaded",
		v->loaded < 0 ? json_null() : json_boolean(v->loaded));
}

json_t *order_json(char level, struct err *err)
{
	struct conflict_view v;
	json_t *data = NULL;

	conflict_view_read(&v, level);
	if (!v.level)
		err_set(err, 0,
			"there are no start links below %s/etc: services are "
			"not started by runlevels here",
			v.boot->root);
	else
		data = view_json(&v);
	conflict_view_free(&v);
	return data;
}

/* ---- plans ---- */

static json_t *step_json(const struct order_step *s)
{
	const char *what = s->what == ORDER_WRITE ? "write"
			   : s->what == ORDER_RUN ? "run"
			   : s->to		  ? "rename"
						  : "remove";

	return json_pack("{s:s, s:s?, s:o, s:o, s:o}", "what", what, "by",
			 s->by_tool ? "insserv" : NULL, "path",
			 jsontext_new(s->path), "to",
			 s->to ? jsontext_new(s->to) : json_null(), "text",
			 s->text ? jsontext_new(s->text) : json_null());
}

json_t *order_plan_json(const struct order_plan *plan)
{
	const struct order_step *s;
	json_t *steps = json_array();

	vec_each (s, &plan->steps)
		json_array_append_new(steps, step_json(s));
	return json_pack("{s:o, s:o, s:o, s:o}", "after",
			 words_json(&plan->after), "notes",
			 words_json(&plan->notes), "left",
			 words_json(&plan->left), "steps", steps);
}
