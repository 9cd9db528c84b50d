/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "visit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/alloc.h"
#include "lib/log.h"
#include "lib/str.h"
#include "page.h"
#include "routes.h"
#include "said.h"

static void visit_free(struct visit *v)
{
	int i;

	for (i = 0; i < v->n_asks; i++) {
		link_cancel(&v->asks[i].call);
		json_decref(v->asks[i].data);
		free(v->asks[i].message);
	}
	params_free(&v->query);
	params_free(&v->form);
	params_free(&v->cookies);
	json_decref(v->as);
	json_decref(v->who);
	str_free(&v->html.out);
	free(v->scratch);
	str_free(&v->stream);
	json_decref(v->export);
	if (v->stream_counted)
		v->app->streams--;
	if (v->exports)
		v->app->exports--;
	free(v);
}

/* ---- entity ---- */

static void go_on(struct visit *v);

static void answered(const struct link_answer *a, void *arg)
{
	struct visit *v = arg;
	struct visit_ask *k = NULL;
	int i;

	/* Those of one visit are answered in any order. */
	for (i = 0; i < v->n_asks; i++)
		if (v->asks[i].call == a->call)
			k = &v->asks[i];
	if (!k)
		return;
	k->call = NULL;
	k->ok = a->ok;
	k->data = json_incref(a->data);
	str_copy(k->code, sizeof(k->code), a->ok ? "" : a->code);
	k->message = NULL;
	if (!v->api)
		said_translate(v->lang, k->verb, k->data);
	if (!a->ok)
		k->message = words_said(v->api ? LANG_EN : v->lang, a->message);
	if (--v->open == 0 && v->then)
		go_on(v);
}

static struct visit_ask *ask(struct visit *v, const char *verb, json_t *args)
{
	struct visit_ask *k;
	int i;

	/* Of one verb the last answer counts. */
	for (i = 0; i < v->n_asks; i++)
		if (!v->asks[i].call && !strcmp(v->asks[i].verb, verb))
			break;
	if (i == VISIT_ASKS)
		panic("a page asks too much");
	k = &v->asks[i];
	if (i == v->n_asks) {
		v->n_asks++;
	} else {
		json_decref(k->data);
		free(k->message);
	}
	*k = (struct visit_ask){.verb = verb};
	v->open++;
	k->call = link_ask(v->app->link, verb, args, v->as, http_from(v->http),
			   answered, v);
	json_decref(args);
	return k;
}

void visit_ask(struct visit *v, const char *verb, json_t *args)
{
	ask(v, verb, args);
}

static void on_part(json_t *data, void *arg)
{
	struct visit *v = arg;
	json_t *text = json_object_get(data, v->stream_member);

	if (v->stream.len + json_string_length(text) > VISIT_STREAM_MAX)
		v->stream_cut = true;
	else if (text && !v->stream_cut)
		str_addn(&v->stream, json_string_value(text),
			 json_string_length(text));
}

void visit_ask_stream(struct visit *v, const char *verb, json_t *args,
		      const char *member)
{
	struct visit_ask *k = ask(v, verb, args);

	v->stream_member = member;
	link_parts(k->call, on_part);
	if (v->exports || v->stream_counted)
		return; /* of a bounded size */
	v->stream_counted = true;
	if (++v->app->streams > VISIT_STREAMS)
		v->stream_cut = true; /* not kept, and told so at its end */
}

/* Is there an answer that no page has to do with? Then it was dealt with. */
static bool is_over(struct visit *v)
{
	int i;

	if (v->parts)
		return false; /* it has begun: only its end is left to tell */
	for (i = 0; i < v->n_asks; i++) {
		const struct visit_ask *k = &v->asks[i];

		if (k->ok)
			continue;
		if (!strcmp(k->code, "away")) {
			visit_failed(v, 503, NULL);
			return true;
		}
		if (!v->api && !strcmp(k->code, "no_session")) {
			visit_cookie(v, COOKIE_SESSION, "", 0);
			visit_redirect(v, "/login?note=ended");
			return true;
		}
		if (!v->api && !strcmp(k->code, "must_change")) {
			visit_redirect(v, "/password");
			return true;
		}
	}
	return false;
}

static void go_on(struct visit *v)
{
	visit_fn then = v->then;

	v->then = NULL;
	if (!is_over(v))
		then(v);
}

void visit_then(struct visit *v, visit_fn fn)
{
	v->then = fn;
	if (!v->open)
		go_on(v);
}

static const struct visit_ask *find(const struct visit *v, const char *verb)
{
	int i;

	for (i = 0; i < v->n_asks; i++)
		if (!v->asks[i].call && !strcmp(v->asks[i].verb, verb))
			return &v->asks[i];
	return NULL;
}

json_t *visit_data(const struct visit *v, const char *verb)
{
	const struct visit_ask *k = find(v, verb);

	return k && k->ok ? k->data : NULL;
}

const char *visit_error(const struct visit *v, const char *verb)
{
	const struct visit_ask *k = find(v, verb);

	return k && !k->ok ? k->message : NULL;
}

const char *visit_code(const struct visit *v, const char *verb)
{
	const struct visit_ask *k = find(v, verb);

	return k ? k->code : "";
}

const char *visit_query(const struct visit *v, const char *name)
{
	const char *value = params_get(&v->query, name);

	return value ? value : "";
}

const char *visit_form(const struct visit *v, const char *name)
{
	const char *value = params_get(&v->form, name);

	return value ? value : "";
}

const char *visit_csrf(const struct visit *v)
{
	const char *csrf = json_string_value(json_object_get(v->who, "csrf"));

	return csrf ? csrf : "";
}

/* ---- answers ---- */

static void answer(struct visit *v, int status, const char *type,
		   struct str *body)
{
	struct http *http = v->http;

	visit_free(v);
	http_answer(http, status, type, body);
}

void visit_html(struct visit *v)
{
	struct str body = v->html.out;

	v->html.out = (struct str){0};
	http_add_header(v->http, "Vary", "Cookie, Accept-Language");
	answer(v, v->status ? v->status : 200, "text/html; charset=utf-8",
	       &body);
}

void visit_text(struct visit *v, int status, const char *type, const char *text)
{
	struct str body = {0};

	str_add(&body, text);
	answer(v, status, type, &body);
}

void visit_stream(struct visit *v, const char *type)
{
	struct str body = v->stream;

	if (v->stream_cut) {
		visit_failed(v, 503, lang_text(v->lang, TEXT_error_much));
		return;
	}
	v->stream = (struct str){0};
	answer(v, 200, type, &body);
}

void visit_redirect(struct visit *v, const char *path)
{
	struct str body = {0};

	http_add_header(v->http, "Location", path);
	answer(v, 303, NULL, &body);
}

static int status_of(const char *code)
{
	static const struct {
		const char *code;
		int status;
	} all[] = {
		{"bad_request", 400}, {"no_session", 401},
		{"denied", 403},      {"must_change", 403},
		{"not_found", 404},   {"unknown_verb", 404},
		{"conflict", 409},    {"invalid", 422},
		{"unavailable", 503}, {"away", 503},
	};
	size_t i;

	for (i = 0; i < sizeof(all) / sizeof(*all); i++)
		if (!strcmp(code, all[i].code))
			return all[i].status;
	return 500;
}

void visit_failed(struct visit *v, int status, const char *message)
{
	if (v->api) {
		json_t *j = json_pack(
			"{s:{s:i, s:s}}", "error", "status", status, "message",
			message ? message
				: lang_text(LANG_EN, page_error_text(status)));
		char *text = json_dumps(j, JSON_COMPACT);

		visit_text(v, status, "application/json", text);
		free(text);
		json_decref(j);
		return;
	}
	v->status = status;
	page_error(v, status, message);
}

void visit_again(struct visit *v, const char *verb, visit_fn page)
{
	v->problem = visit_error(v, verb);
	v->status = status_of(visit_code(v, verb));
	if (page)
		page(v);
	else
		visit_failed(v, v->status, v->problem);
}

static void changed(struct visit *v)
{
	if (visit_error(v, v->change))
		visit_again(v, v->change, v->after);
	else
		visit_redirect(v, v->change_to);
}

void visit_change(struct visit *v, const char *verb, json_t *args,
		  visit_fn page, const char *path)
{
	v->change = verb;
	v->change_to = path;
	v->after = page;
	visit_ask(v, verb, args);
	visit_then(v, changed);
}

void visit_cookie(struct visit *v, const char *name, const char *value,
		  long max_age_s)
{
	char *age = max_age_s < 0 ? xstrdup("")
				  : xasprintf("; Max-Age=%ld", max_age_s);
	char *all =
		xasprintf("%s=%s; Path=/; Secure; HttpOnly; SameSite=Strict%s",
			  name, value, age);

	http_add_header(v->http, "Set-Cookie", all);
	free(all);
	free(age);
}

/* ---- who asks ---- */

static bool same(const char *a, const char *b)
{
	size_t i, len = strlen(a);
	unsigned char differs = len != strlen(b);

	for (i = 0; i < len && !differs; i++)
		differs |= (unsigned char)(a[i] ^ b[i]);
	return !differs && len;
}

/* A browser says from where a form is sent; a page of ours, or nobody's. */
static bool is_own_origin(const struct visit *v)
{
	const char *origin = http_header(v->http, "Origin");
	const char *site = http_header(v->http, "Sec-Fetch-Site");
	const char *host = http_header(v->http, "Host");

	if (origin)
		return str_starts(origin, "https://") && host &&
		       !strcasecmp(origin + strlen("https://"), host);
	return !site || !strcmp(site, "same-origin") || !strcmp(site, "none");
}

static void to_login(struct visit *v)
{
	char *to;

	if (strcmp(v->route->method, "GET") != 0 || v->api) {
		visit_failed(v, 401, NULL);
		return;
	}
	to = strcmp(v->route->path, "/")
		     ? xasprintf("/login?next=%s", v->route->path)
		     : xstrdup("/login");
	visit_redirect(v, to);
	free(to);
}

static enum verb_role role_needed(enum access access)
{
	return access == ACCESS_ADMIN	   ? VERB_ADMIN
	       : access == ACCESS_OPERATOR ? VERB_OPERATOR
					   : VERB_VIEWER;
}

static void admitted(struct visit *v)
{
	bool post = !strcmp(v->route->method, "POST");
	enum access access = v->route->access;

	if (!v->who && access != ACCESS_ALL) {
		to_login(v);
		return;
	}
	if (json_is_true(json_object_get(v->who, "must_change")) &&
	    access > ACCESS_SESSION) {
		visit_redirect(v, "/password");
		return;
	}
	if (access > ACCESS_SESSION && v->role < role_needed(access)) {
		visit_failed(v, 403, NULL);
		return;
	}
	/* Who logs in anew has a page without a token. */
	if (post && v->who && strcmp(v->route->path, "/login") != 0 &&
	    !same(visit_csrf(v), visit_form(v, "csrf"))) {
		visit_failed(v, 403, lang_text(v->lang, TEXT_error_csrf));
		return;
	}
	v->route->handle(v);
}

static void know_who(struct visit *v, json_t *data)
{
	const char *text;

	v->who = json_incref(data);
	text = json_string_value(json_object_get(data, "role"));
	if (text)
		v->role = (enum verb_role)verbs_role_parse(text);
	text = json_string_value(json_object_get(data, "lang"));
	if (text && lang_parse(text) >= 0)
		v->lang = (enum lang)lang_parse(text);
	text = json_string_value(json_object_get(data, "theme"));
	if (text && *text)
		str_copy(v->theme, sizeof(v->theme), text);
	v->html.lang = v->lang;
}

/* An ended session is nobody; only a page for all is told so. */
static void on_whoami(const struct link_answer *a, void *arg)
{
	struct visit *v = arg;

	v->asks[0].call = NULL;
	v->open = v->n_asks = 0;
	if (!a->ok && !strcmp(a->code, "away")) {
		visit_failed(v, 503, NULL);
		return;
	}
	if (a->ok) {
		know_who(v, a->data);
	} else {
		json_decref(v->as);
		v->as = NULL;
		v->session = NULL;
		visit_cookie(v, COOKIE_SESSION, "", 0);
	}
	admitted(v);
}

static void find_out(struct visit *v)
{
	v->session = params_get(&v->cookies, COOKIE_SESSION);
	if (!v->session || !*v->session) {
		v->session = NULL;
		admitted(v);
		return;
	}
	v->as = json_pack("{s:s}", "session", v->session);
	v->n_asks = 1;
	v->open = 1;
	v->asks[0] = (struct visit_ask){.verb = "console.whoami"};
	v->asks[0].call = link_ask(v->app->link, "console.whoami", NULL, v->as,
				   http_from(v->http), on_whoami, v);
}

/* ---- arrival ---- */

static int read_form(struct visit *v)
{
	const char *type = http_header(v->http, "Content-Type"), *body;
	size_t len;

	body = http_body(v->http, &len);
	if (!len)
		return 0;
	if (type && !strncasecmp(type, "application/x-www-form-urlencoded", 33))
		return params_urlencoded(&v->form, body, len);
	if (type && !strncasecmp(type, "multipart/form-data", 19))
		return params_multipart(&v->form, type, body, len);
	return -1;
}

/* The look that was chosen by hand: "ja.dark". */
static void read_look(struct visit *v)
{
	const char *look = params_get(&v->cookies, COOKIE_LOOK);
	char code[3] = "";

	v->lang = lang_accept(http_header(v->http, "Accept-Language"));
	if (look && strlen(look) >= 3 && look[2] == '.') {
		memcpy(code, look, 2);
		if (lang_parse(code) >= 0)
			v->lang = (enum lang)lang_parse(code);
		if (!strcmp(look + 3, "light") || !strcmp(look + 3, "dark"))
			str_copy(v->theme, sizeof(v->theme), look + 3);
	}
	v->html.lang = v->lang;
}

void visit_gone(void *arg)
{
	visit_free(arg);
}

long visit_begin(struct http *http, void *app)
{
	const struct route *r = routes_find(http_method(http), http_path(http));

	(void)app;
	return r ? (long)r->body_max : 0;
}

void visit_request(struct http *http, void *app)
{
	static const struct route nowhere = {"GET", "/", ACCESS_ALL, 0, NULL};
	struct visit *v = xcalloc(1, sizeof(*v));
	const char *cookies = http_header(http, "Cookie"), *query;

	v->app = app;
	v->http = http;
	v->route = routes_find(http_method(http), http_path(http));
	params_cookies(&v->cookies, cookies ? cookies : "");
	read_look(v);
	if (!v->route) {
		v->route = &nowhere;
		visit_failed(v, 404, NULL);
		return;
	}
	v->api = v->route->access == ACCESS_TOKEN;
	query = http_query(http);
	if (params_urlencoded(&v->query, query, strlen(query)) < 0 ||
	    (!v->api && read_form(v) < 0)) {
		visit_failed(v, 400, NULL);
		return;
	}
	if (!strcmp(v->route->method, "POST") && !is_own_origin(v)) {
		visit_failed(v, 403, lang_text(v->lang, TEXT_error_csrf));
		return;
	}
	if (v->route->access == ACCESS_TOKEN ||
	    str_starts(v->route->path, "/static/") ||
	    !strcmp(v->route->path, "/healthz"))
		v->route->handle(v);
	else
		find_out(v);
}
