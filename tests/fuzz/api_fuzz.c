/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/*
 * Requests to the programming interface: G or P, PATH?QUERY, a new line, the
 * body. Whatever it is, what is asked of entity is an open verb
 * with an object of arguments, one line of JSON that says the same when entity
 * reads it, and by GET only what reads.
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "httpd/apicall.h"
#include "lib/alloc.h"

static void check(int holds)
{
	if (!holds)
		abort();
}

static void check_verb(const struct verb *verb, const char *path)
{
	char wire[64];

	check(verb->where == VERB_ENTITY && verb->role != VERB_CONSOLE);
	verbs_wire(verb, wire, sizeof(wire));
	check(verbs_find(wire) == verb);
	check(strlen(path) == strlen(wire) && !strchr(path, '.'));
}

/* As the link sends it and entity reads it. */
static void check_args(const struct verb *verb, json_t *args)
{
	char *text = json_dumps(args, JSON_COMPACT);
	struct err err = {0};
	json_t *again;

	check(json_is_object(args));
	if (!text)
		return; /* the link refuses it */
	check(!strchr(text, '\n'));
	again = json_loads(text, 0, NULL);
	check(again && json_equal(args, again));
	check(verbs_check(verb, args, &err) == verbs_check(verb, again, &err));
	json_decref(again);
	free(text);
}

static void ask(char *path, const char *query, const char *body, bool get)
{
	char decoded[512];
	const struct verb *verb;
	struct params p;
	json_t *args;

	if (params_decode(path, strlen(path), false, decoded, sizeof(decoded)) <
	    0)
		return;
	verb = apicall_verb(decoded);
	if (!verb || (get && verb->does != VERB_READS))
		return;
	check_verb(verb, decoded);
	if (params_urlencoded(&p, query, strlen(query)) < 0)
		return;
	args = get ? apicall_query(verb, &p)
		   : apicall_body("application/json", body, strlen(body));
	if (args)
		check_args(verb, args);
	check(!get || args);
	json_decref(args);
	args = apicall_body("text/plain", body, strlen(body));
	check(!*body || !args); /* a form of somebody else's page */
	json_decref(args);
	params_free(&p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text, *body, *query;

	if (!size)
		return 0;
	text = xmalloc(size);
	memcpy(text, data + 1, size - 1);
	text[size - 1] = '\0';
	body = strchr(text, '\n');
	if (body)
		*body++ = '\0';
	query = strchr(text, '?');
	if (query)
		*query++ = '\0';
	ask(text, query ? query : "", body ? body : "", data[0] == 'G');
	free(text);
	return 0;
}
