/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/*
 * The programming interface: the verb table over HTTP. /api/v1/NOUN/VERB, what
 * reads by GET with its arguments in the query, all of them by POST with a JSON
 * object. By a token; reading also with a session. What a verb needs is judged
 * by entity.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/version.h"
#include "apicall.h"
#include "export.h"
#include "lib/alloc.h"
#include "lib/str.h"
#include "page.h"

#define PREFIX "/api/v1/"
#define BEARER "Bearer "

static bool is_stream(const struct verb *verb)
{
	return verb->id == VERB_ID_events_export;
}

/* Who asks: a token, or (to read) the cookie's session. */
static void take_proof(struct visit *v)
{
	const char *header = http_header(v->http, "Authorization");
	const char *session = params_get(&v->cookies, COOKIE_SESSION);
	json_t *token;

	json_decref(v->as);
	v->as = NULL;
	if (header && !strncasecmp(header, BEARER, strlen(BEARER))) {
		token = json_string(header + strlen(BEARER));
		v->as = token ? json_pack("{s:o}", "token", token) : NULL;
	} else if (session && *session && !strcmp(v->route->method, "GET")) {
		v->as = json_pack("{s:s}", "session", session);
	}
}

/* ---- answers ---- */

static void told(struct visit *v)
{
	const struct visit_ask *k = &v->asks[0];
	json_t *all;
	char *text;

	if (!k->ok) {
		visit_again(v, k->verb, NULL);
		return;
	}
	if (v->stream_member) {
		visit_stream(v, strcmp(visit_query(v, "format"), "csv")
					? "application/x-ndjson"
					: "text/csv; charset=utf-8");
		return;
	}
	all = json_pack("{s:O}", "data", k->data ? k->data : json_null());
	text = json_dumps(all, JSON_COMPACT);
	json_decref(all);
	visit_text(v, 200, "application/json", text ? text : "{}");
	free(text);
}

/* ---- its description ---- */

static json_t *schema(const struct verb_arg *a)
{
	if (a->option && !a->value[0])
		return json_pack("{s:s}", "type", "boolean");
	if (a->repeats)
		return json_pack("{s:s, s:{s:s}}", "type", "array", "items",
				 "type", "string");
	return json_pack("{s:s}", "type", "string");
}

static json_t *parameters(const struct verb *verb)
{
	struct verb_arg all[VERB_ARGS_MAX];
	int n = verbs_grammar(verb, all, VERB_ARGS_MAX), i;
	json_t *list = json_array();

	for (i = 0; i < n; i++)
		json_array_append_new(list,
				      json_pack("{s:s, s:s, s:b, s:o}", "name",
						all[i].name, "in", "query",
						"required", all[i].required,
						"schema", schema(&all[i])));
	return list;
}

static json_t *body_schema(const struct verb *verb)
{
	struct verb_arg all[VERB_ARGS_MAX];
	int n = verbs_grammar(verb, all, VERB_ARGS_MAX), i;
	json_t *members = json_object(), *required = json_array(), *s;

	for (i = 0; i < n; i++) {
		json_object_set_new(members, all[i].name, schema(&all[i]));
		if (all[i].required)
			json_array_append_new(required,
					      json_string(all[i].name));
	}
	s = json_pack("{s:s, s:o, s:b}", "type", "object", "properties",
		      members, "additionalProperties", 0);
	if (json_array_size(required))
		json_object_set(s, "required", required);
	json_decref(required);
	return json_pack("{s:{s:{s:o}}}", "content", "application/json",
			 "schema", s);
}

static json_t *operation(const struct verb *verb, bool get)
{
	json_t *op = json_pack(
		"{s:s, s:s, s:[s], s:{s:{s:s}, s:{s:s}, s:{s:s}, s:{s:s}}}",
		"summary", verb->text, "x-role", verbs_role_name(verb->role),
		"tags", verb->noun, "responses", "200", "description",
		"what the verb answers, as \"data\"", "401", "description",
		"no valid token", "403", "description",
		"the token's role is not enough", "422", "description",
		"an argument is not right");

	if (get)
		json_object_set_new(op, "parameters", parameters(verb));
	else
		json_object_set_new(op, "requestBody", body_schema(verb));
	return op;
}

static json_t *paths_of_verbs(void)
{
	json_t *all = json_object(), *path;
	char name[80];
	int i;

	for (i = 0; i < VERB_COUNT; i++) {
		const struct verb *verb = &verbs[i];

		if (!apicall_is_open(verb))
			continue;
		snprintf(name, sizeof(name), "/%s%s%s", verb->noun,
			 *verb->verb ? "/" : "", verb->verb);
		path = json_object();
		if (verb->does == VERB_READS)
			json_object_set_new(path, "get", operation(verb, true));
		json_object_set_new(path, "post", operation(verb, false));
		json_object_set_new(all, name, path);
	}
	return all;
}

static void describe(struct visit *v)
{
	json_t *all;
	char *text;

	if (!v->asks[0].ok) {
		visit_again(v, v->asks[0].verb, NULL);
		return;
	}
	all = json_pack("{s:s, s:{s:s, s:s}, s:[{s:s}], s:[{s:[]}], "
			"s:{s:{s:{s:s, s:s}}}, s:o}",
			"openapi", "3.0.3", "info", "title", SPLX_PRODUCT,
			"version", SPLX_VERSION, "servers", "url", "/api/v1",
			"security", "token", "components", "securitySchemes",
			"token", "type", "http", "scheme", "bearer", "paths",
			paths_of_verbs());
	text = json_dumps(all, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
	json_decref(all);
	visit_text(v, 200, "application/json", text ? text : "{}");
	free(text);
}

/* ---- requests ---- */

void page_api(struct visit *v)
{
	const char *path = http_path(v->http) + strlen(PREFIX);
	bool get = !strcmp(v->route->method, "GET");
	const struct verb *verb = apicall_verb(path);
	const char *body;
	json_t *args;
	size_t len;

	take_proof(v);
	if (!v->as) {
		http_add_header(v->http, "WWW-Authenticate", "Bearer");
		visit_failed(v, 401, NULL);
		return;
	}
	if (get && !strcmp(path, "openapi.json")) {
		visit_ask(v, "console.whoami", NULL);
		visit_then(v, describe);
		return;
	}
	if (!verb) {
		visit_failed(v, 404, NULL);
		return;
	}
	if (get && verb->does != VERB_READS) {
		http_add_header(v->http, "Allow", "POST");
		visit_failed(v, 405, "this changes something: POST");
		return;
	}
	body = http_body(v->http, &len);
	args = get ? apicall_query(verb, &v->query)
		   : apicall_body(http_header(v->http, "Content-Type"), body,
				  len);
	if (!args) {
		visit_failed(v, 400, "a JSON object is wanted");
		return;
	}
	verbs_wire(verb, v->wire, sizeof(v->wire));
	if (is_stream(verb) && !json_object_get(args, "limit")) {
		export_events(v, args, NULL);
		return;
	}
	if (is_stream(verb))
		visit_ask_stream(v, v->wire, args, "text");
	else
		visit_ask(v, v->wire, args);
	visit_then(v, told);
}

/* ---- /metrics ---- */

/* Quotes, backslashes and line ends are escaped in both. */
static void prometheus_text(struct str *out, const char *text)
{
	for (; *text; text++) {
		if (*text == '\n')
			str_add(out, "\\n");
		else if (*text == '\\' || *text == '"')
			str_addf(out, "\\%c", *text);
		else
			str_addn(out, text, 1);
	}
}

static void sample(struct str *out, const char *name, json_t *s)
{
	const char *label, *between = "{";
	json_t *value;

	str_addf(out, "%s%s", name, json_text(s, "suffix"));
	json_object_foreach (json_object_get(s, "labels"), label, value) {
		str_addf(out, "%s%s=\"", between, label);
		prometheus_text(out, json_string_value(value));
		str_add(out, "\"");
		between = ",";
	}
	str_addf(out, "%s %.17g\n", *between == ',' ? "}" : "",
		 json_number_value(json_object_get(s, "value")));
}

static void tell_metrics(struct visit *v)
{
	json_t *m, *s, *list = visit_data(v, "metrics");
	struct str out = {0};
	size_t i, k;

	if (!list && !v->as) {
		http_add_header(v->http, "WWW-Authenticate", "Bearer");
		visit_failed(v, 401, NULL);
		return;
	}
	if (!list) {
		visit_again(v, "metrics", NULL);
		return;
	}
	json_array_foreach (list, i, m) {
		const char *name = json_text(m, "name");

		str_addf(&out, "# HELP %s ", name);
		prometheus_text(&out, json_text(m, "help"));
		str_addf(&out, "\n# TYPE %s %s\n", name, json_text(m, "type"));
		json_array_foreach (json_object_get(m, "samples"), k, s)
			sample(&out, name, s);
	}
	visit_text(v, 200, "text/plain; version=0.0.4; charset=utf-8",
		   str_get(&out));
	str_free(&out);
}

/* Without a token: for addresses of ConsoleMetricsAllow. */
void page_metrics(struct visit *v)
{
	take_proof(v);
	visit_ask(v, "metrics", NULL);
	visit_then(v, tell_metrics);
}
