/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/* Conflicts as the verb tells them, with what they mean and what helps. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conflicts.h"
#include "jsontext.h"
#include "khm_json.h"
#include "lib/str.h"
#include "paths.h"

static json_t *text_or_null(const char *text)
{
	return text && *text ? jsontext_new(text) : json_null();
}

static const char *effect_name(enum conflict_effect effect)
{
	static const char *const names[] = {
		[CONFLICT_NAMED] = "named",
		[CONFLICT_SAFE] = "safe",
		[CONFLICT_ARM] = "blocks-arm",
		[CONFLICT_UNLOAD] = "blocks-unload",
	};

	return names[effect];
}

/* What it means for us, in a sentence. */
static const char *meaning(const struct conflict *c)
{
	switch (c->effect) {
	case CONFLICT_SAFE:
		return "does no harm";
	case CONFLICT_ARM:
		return "holds the place in the kernel that splx would take; "
		       "splx protects in another way, which splxctl status "
		       "tells";
	case CONFLICT_UNLOAD:
		return "keeps splx's kernel module from being unloaded: it "
		       "would stay, do nothing, and be used again by the next "
		       "start";
	default:
		break;
	}
	if (c->placing.place == BOOT_BEFORE)
		return "starts before splx, so it would not keep the kernel "
		       "module; the kernel shows nothing of it now";
	return "known to keep the kernel module from being unloaded when it "
	       "starts after splx; the kernel shows nothing of it now";
}

/* ---- remedies ---- */

static void add_remedy(json_t *list, int number, const char *text,
		       const char *command)
{
	json_array_append_new(list,
			      json_pack("{s:i, s:o, s:o}", "number", number,
					"text", jsontext_new(text), "command",
					text_or_null(command)));
}

/* Remedy 1: it goes before splx does. */
static void remedy_stop(json_t *list, const struct boot *b,
			const struct conflict *c)
{
	const char *when = c->effect == CONFLICT_ARM
				   ? "stop it, then let splx try again"
				   : "stop it before splx is stopped";
	struct str command = {0};
	char text[256];

	/* What a list of modules loads, no service takes out again. */
	if (c->service && c->tie != CONFLICT_BY_FILE) {
		bool unit =
			b->kind == BOOT_SYSTEMD && !boot_script(b, c->service);

		str_addf(&command, "%s %s%s%s",
			 unit ? "systemctl stop" : "service", c->service,
			 unit ? "" : " stop",
			 c->effect == CONFLICT_ARM ? "; splxctl config reload"
						   : "");
		add_remedy(list, 1, when, str_get(&command));
	} else if (*c->module && strcmp(c->module, "-") != 0) {
		snprintf(text, sizeof(text),
			 "stop what uses the module %s, then unload it, "
			 "before splx is stopped",
			 c->module);
		str_addf(&command, "modprobe -r %s", c->module);
		add_remedy(list, 1, text, str_get(&command));
	} else {
		snprintf(text, sizeof(text),
			 "take out what shows itself as %s %s, before splx is "
			 "stopped",
			 c->kind, c->symbol);
		add_remedy(list, 1, text, NULL);
	}
	str_free(&command);
}

/* Remedy 2: splx starts after it. */
static void remedy_order(json_t *list, const struct boot *b,
			 const struct conflict *c)
{
	struct str command = {0};

	if (b->kind == BOOT_SYSTEMD)
		str_addf(&command,
			 "systemctl edit splx   ([Unit] After=%s.service)",
			 c->service);
	else
		str_addf(&command, "splxctl order apply --after=%s",
			 c->service);
	add_remedy(list, 2,
		   "start splx after it, from the next boot on (splxctl "
		   "order show tells what that costs)",
		   str_get(&command));
	str_free(&command);
}

bool conflict_wants_order(const struct conflict_view *v,
			  const struct conflict *c, char *why_r, size_t size)
{
	if (!conflict_may_order(v->deps, v->boot, c, why_r, size))
		return false;
	if (c->placing.place != BOOT_BEFORE || !c->placing.firm)
		return true;
	snprintf(why_r, size,
		 c->effect == CONFLICT_UNLOAD
			 ? "%s starts before splx already: it was started "
			   "again after it"
			 : "%s starts before splx already",
		 c->service);
	return false;
}

/* Remedies, and why the second is none. */
static void add_remedies(json_t *o, const struct conflict_view *v,
			 const struct conflict *c)
{
	json_t *list = json_array();
	char why[256] = "";

	if (c->effect != CONFLICT_SAFE &&
	    (c->effect != CONFLICT_NAMED || c->placing.place != BOOT_BEFORE)) {
		remedy_stop(list, v->boot, c);
		if (conflict_wants_order(v, c, why, sizeof(why)))
			remedy_order(list, v->boot, c);
	}
	json_object_set_new(o, "remedies", list);
	json_object_set_new(o, "no_order", text_or_null(why));
}

/* ---- all of it ---- */

static void add_service(json_t *o, const struct boot *b,
			const struct conflict *c, char level)
{
	const struct boot_link *l = NULL;
	char levels[16] = "";

	if (c->service) {
		boot_levels_of(b, c->service, levels, sizeof(levels));
		l = boot_link(b, level, true, c->service);
		if (!l && *levels)
			l = boot_link(b, levels[0], true, c->service);
	}
	json_object_set_new(o, "runlevels", text_or_null(levels));
	json_object_set_new(o, "link", text_or_null(l ? l->file : NULL));
	json_object_set_new(
		o, "place",
		text_or_null(c->service && level
				     ? boot_place_name(c->placing.place)
				     : NULL));
	json_object_set_new(o, "why", text_or_null(c->placing.why));
	json_object_set_new(o, "running",
			    c->running < 0 ? json_null()
					   : json_boolean(c->running));
}

json_t *conflict_json(const struct conflict_view *v, const struct conflict *c)
{
	json_t *o = json_pack(
		"{s:s, s:b, s:o, s:o, s:o, s:o, s:o, s:o}", "effect",
		effect_name(c->effect), "blocks", c->effect == CONFLICT_UNLOAD,
		"kind", text_or_null(c->kind), "module",
		text_or_null(c->module), "symbol", text_or_null(c->symbol),
		"service", text_or_null(c->service), "product",
		text_or_null(c->known ? c->known->product : NULL), "source",
		text_or_null(c->source));

	add_service(o, v->boot, c, v->level);
	json_object_set_new(o, "restarts_itself",
			    text_or_null(c->known ? c->known->restarts : NULL));
	json_object_set_new(o, "text",
			    text_or_null(c->known ? c->known->text : NULL));
	json_object_set_new(o, "meaning", json_string(meaning(c)));
	add_remedies(o, v, c);
	return o;
}

static json_t *unseen(json_t *rivals)
{
	json_t *list = json_array(), *rival;
	const char *symbol;
	size_t i;

	json_array_foreach (rivals, i, rival) {
		symbol = json_string_value(json_object_get(rival, "symbol"));
		if (symbol && strcmp(symbol, "not-looked-for") == 0)
			json_array_append(list, json_object_get(rival, "kind"));
	}
	return list;
}

json_t *conflict_view_json(const struct conflict_view *v, bool blocking)
{
	json_t *rows = json_array(), *problems = json_array();
	const struct entryfile_problem *p;
	const struct conflict *c;
	char word[2] = {v->level, '\0'};
	int count = 0;

	vec_each (c, &v->found) {
		count += c->effect == CONFLICT_UNLOAD;
		if (!blocking || c->effect == CONFLICT_UNLOAD)
			json_array_append_new(rows, conflict_json(v, c));
	}
	vec_each (p, &v->list->problems)
		json_array_append_new(problems, jsontext_new(p->text));
	return json_pack("{s:o, s:o, s:i, s:o, s:o, s:o}", "loaded",
			 v->loaded < 0 ? json_null() : json_boolean(v->loaded),
			 "runlevel", text_or_null(word), "blocking", count,
			 "conflicts", rows, "unseen", unseen(v->rivals),
			 "problems", problems);
}

void conflict_view_read(struct conflict_view *v, char level)
{
	memset(v, 0, sizeof(*v));
	v->list = conflist_read();
	v->boot = boot_read(paths()->root);
	v->level = level ? level : boot_level(v->boot);
	if (v->level)
		v->deps = bootdeps_new(v->boot, v->level, NULL);
	v->rivals = khm_rivals_json();
	v->loaded = v->rivals ? 1 : errno == ENOENT ? 0 : -1;
	conflicts_find(v->boot, v->deps, v->list, v->rivals, &v->found);
}

void conflict_view_free(struct conflict_view *v)
{
	conflicts_free(&v->found);
	json_decref(v->rivals);
	bootdeps_free(&v->deps);
	boot_free(&v->boot);
	conflist_free(&v->list);
}

json_t *conflicts_json(bool blocking)
{
	struct conflict_view view;
	json_t *data;

	conflict_view_read(&view, 0);
	data = conflict_view_json(&view, blocking);
	conflict_view_free(&view);
	return data;
}
