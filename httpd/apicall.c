/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "apicall.h"

#include <string.h>
#include <strings.h>

#include "lib/str.h"

bool apicall_is_open(const struct verb *verb)
{
	return verb->where == VERB_ENTITY && verb->role != VERB_CONSOLE &&
	       verb->id != VERB_ID_events_follow &&
	       verb->id != VERB_ID_task_result &&
	       verb->id != VERB_ID_console_setup;
}

const struct verb *apicall_verb(const char *path)
{
	const struct verb *verb;
	char wire[64];
	char *slash;

	if (strchr(path, '.') || !str_copy(wire, sizeof(wire), path))
		return NULL;
	slash = strchr(wire, '/');
	if (slash)
		*slash = '.';
	verb = verbs_find(wire);
	return verb && apicall_is_open(verb) ? verb : NULL;
}

json_t *apicall_query(const struct verb *verb, const struct params *query)
{
	struct verb_arg all[VERB_ARGS_MAX];
	int n = verbs_grammar(verb, all, VERB_ARGS_MAX), i;
	json_t *args = json_object(), *old;
	const struct param *p;

	vec_each (p, query) {
		for (i = 0; i < n && strcmp(all[i].name, p->name) != 0; i++)
			;
		old = json_object_get(args, p->name);
		if (i < n && all[i].option && !all[i].value[0])
			json_object_set_new(args, p->name, json_true());
		else if (i < n && all[i].repeats && old)
			json_array_append_new(old, json_string(p->value));
		else if (i < n && all[i].repeats)
			json_object_set_new(args, p->name,
					    json_pack("[s]", p->value));
		else
			json_object_set_new(args, p->name,
					    json_string(p->value));
	}
	return args;
}

json_t *apicall_body(const char *type, const char *body, size_t len)
{
	json_t *args;

	if (!len)
		return json_object();
	/* A form of somebody else's page cannot say so. */
	if (!type || strncasecmp(type, "application/json", 16) != 0)
		return NULL;
	args = json_loadb(body, len, JSON_REJECT_DUPLICATES, NULL);
	if (json_is_object(args))
		return args;
	json_decref(args);
	return NULL;
}
