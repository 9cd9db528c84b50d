/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/*
 * What the pages' forms do: each is one verb, whose grammar says which fields
 * it takes (ACTION rows in actions.def).
 */
#include <stdlib.h>
#include <string.h>

#include "lib/alloc.h"
#include "lib/str.h"
#include "parts.h"
#include "routes.h"

static const struct action {
	const char *path, *verb, *back;
	bool confirm;
} actions[] = {
#define ACTION(path, verb, access, back, confirm) {path, verb, back, confirm},
#include "actions.def"
#undef ACTION
};

static const struct action *action_of(const struct visit *v)
{
	size_t i = 0;

	while (strcmp(actions[i].path, v->route->path) != 0)
		i++;
	return &actions[i];
}

/* A word a line: for lists that people write. */
static void add_lines(json_t *list, const char *text)
{
	char *copy = xstrdup(text), *line, *save = NULL;

	for (line = strtok_r(copy, "\r\n", &save); line;
	     line = strtok_r(NULL, "\r\n", &save)) {
		line = str_trim(line);
		if (*line)
			json_array_append_new(list, json_string(line));
	}
	free(copy);
}

/* A field and a file may have one name: what is there counts. */
static const char *said(const struct visit *v, const char *name)
{
	const struct param *p;

	vec_each (p, &v->form)
		if (!strcmp(p->name, name) && *p->value)
			return p->value;
	return "";
}

static void add_argument(struct visit *v, const struct verb_arg *a,
			 json_t *args)
{
	const char *value = said(v, a->name);
	json_t *list;
	struct param *p;

	if (a->option && !a->value[0]) {
		if (!strcmp(value, "true"))
			json_object_set_new(args, a->name, json_true());
	} else if (a->repeats) {
		list = json_array();
		vec_each (p, &v->form)
			if (!strcmp(p->name, a->name))
				add_lines(list, p->value);
		if (json_array_size(list))
			json_object_set_new(args, a->name, list);
		else
			json_decref(list);
	} else if (*value || (a->required && params_get(&v->form, a->name))) {
		json_object_set_new(args, a->name, json_string(value));
	}
}

static json_t *arguments(struct visit *v, const struct verb *verb)
{
	struct verb_arg all[VERB_ARGS_MAX];
	int n = verbs_grammar(verb, all, VERB_ARGS_MAX), i;
	json_t *args = json_object();

	for (i = 0; i < n; i++)
		add_argument(v, &all[i], args);
	return args;
}

/* What is told this once: a password, a token. */
static void show_secret(struct visit *v, const struct action *a,
			const char *secret)
{
	struct html *h = &v->html;

	page_begin(v, TEXT_secret, a->back);
	html_addf(h, "<section class=\"card\"><p>%s</p>",
		  lang_text(v->lang, TEXT_secret_once));
	html_addf(h, "<p class=\"secret\"><code>%s</code></p>", secret);
	html_addf(h, "<p><a class=\"button\" href=\"%s\">%s</a></p></section>",
		  a->back, lang_text(v->lang, TEXT_back));
	page_end(v);
}

static void done(struct visit *v)
{
	const struct action *a = action_of(v);
	json_t *data = visit_data(v, a->verb);
	const char *secret = json_text(data, "secret");
	char *to;

	if (visit_error(v, a->verb)) {
		visit_again(v, a->verb, routes_find("GET", a->back)->handle);
		return;
	}
	if (!*secret)
		secret = json_text(data, "token");
	if (*secret) {
		show_secret(v, a, secret);
		return;
	}
	to = xasprintf("%s?note=done", a->back);
	visit_redirect(v, to);
	free(to);
}

void page_action(struct visit *v)
{
	const struct action *a = action_of(v);
	const struct part_question q = {
		.title = TEXT_sure,
		.text = TEXT_sure_about,
		.button = TEXT_do_it,
		.back = a->back,
		.verb = *visit_form(v, "verb") ? visit_form(v, "verb")
					       : a->verb,
	};

	if (a->confirm && !part_confirmed(v, &q))
		return;
	visit_ask(v, a->verb, arguments(v, verbs_find(a->verb)));
	visit_then(v, done);
}
