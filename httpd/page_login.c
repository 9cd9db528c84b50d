/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/* Coming in, going out, an own password, language and look. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/alloc.h"
#include "lib/str.h"
#include "page.h"
#include "routes.h"

#define LOOK_S (365L * 86400)

/* A page of ours that may be gone to: none else is taken from a browser. */
static const char *page_of_ours(const char *path)
{
	const struct route *r = routes_find("GET", path);

	return r && r->access > ACCESS_SESSION && r->access != ACCESS_TOKEN &&
			       !strcmp(r->path, path)
		       ? r->path
		       : "/";
}

static void field(struct visit *v, enum text label, const char *type,
		  const char *name, const char *value, const char *fill)
{
	html_addf(&v->html, "<label><span>%s</span>",
		  lang_text(v->lang, label));
	html_addf(&v->html,
		  "<input type=\"%s\" name=\"%s\" value=\"%s\" "
		  "autocomplete=\"%s\" required></label>",
		  type, name, value, fill);
}

static void setup_hint(struct visit *v)
{
	struct html *h = &v->html;
	json_t *health = visit_data(v, "console.health");

	if (!json_is_true(json_object_get(health, "setup_needed")))
		return;
	html_raw(h, "<div class=\"note\">");
	page_icon(h, "info");
	html_raw(h, "<p>");
	html_say(h, TEXT_login_setup);
	html_raw(h, " <code>splxctl console setup</code></p></div>");
}

static void login_form(struct visit *v)
{
	const char *next = *visit_form(v, "next") ? visit_form(v, "next")
						  : visit_query(v, "next");
	struct html *h = &v->html;

	page_begin(v, TEXT_login, "");
	setup_hint(v);
	html_raw(h, "<form class=\"card narrow\" method=\"post\" "
		    "action=\"/login\">");
	html_addf(h, "<input type=\"hidden\" name=\"next\" value=\"%s\">",
		  page_of_ours(next));
	field(v, TEXT_user, "text", "user", visit_form(v, "user"), "username");
	field(v, TEXT_password, "password", "password", "", "current-password");
	html_addf(h, "<button class=\"primary\">%s</button></form>",
		  lang_text(h->lang, TEXT_log_in));
	page_end(v);
}

void page_login(struct visit *v)
{
	if (v->who) {
		visit_redirect(v, "/");
		return;
	}
	visit_ask(v, "console.health", NULL);
	visit_then(v, login_form);
}

static void begin_session(struct visit *v, json_t *session, const char *next)
{
	visit_cookie(v, COOKIE_SESSION, json_text(session, "session"), -1);
	visit_redirect(v, json_is_true(json_object_get(session, "must_change"))
				  ? "/password"
				  : page_of_ours(next));
}

static void login_failed(struct visit *v)
{
	json_t *data = v->asks[0].data;
	int64_t wait = json_number(data, "retry_s");
	char text[32], *problem;

	if (wait > 0) {
		snprintf(text, sizeof(text), "%lld", (long long)wait);
		problem = html_say_text(v->lang, TEXT_login_wait, text);
		v->status = 429;
		http_add_header(v->http, "Retry-After", text);
	} else if (!strcmp(visit_code(v, "console.login"), "denied")) {
		problem = xstrdup(lang_text(v->lang, TEXT_login_wrong));
		v->status = 401;
	} else {
		problem = xstrdup(visit_error(v, "console.login"));
		v->status = 503;
	}
	v->problem = problem;
	login_form(v);
	free(problem);
}

static void login_done(struct visit *v)
{
	json_t *session = visit_data(v, "console.login");

	if (session)
		begin_session(v, session, visit_form(v, "next"));
	else
		login_failed(v);
}

/* Whoever comes with a session gets another one: none is ever kept over a
 * login. */
void page_login_try(struct visit *v)
{
	const char *agent = http_header(v->http, "User-Agent");
	char cut[128];

	str_copy(cut, sizeof(cut), agent ? agent : "");
	json_decref(v->as);
	v->as = NULL;
	visit_ask(v, "console.login",
		  json_pack("{s:s, s:s, s:o}", "user", visit_form(v, "user"),
			    "password", visit_form(v, "password"), "agent",
			    json_string(cut) ? json_string(cut)
					     : json_string("")));
	visit_then(v, login_done);
}

static void logged_out(struct visit *v)
{
	visit_cookie(v, COOKIE_SESSION, "", 0);
	visit_redirect(v, "/login?note=out");
}

void page_logout(struct visit *v)
{
	visit_ask(v, "console.logout", NULL);
	visit_then(v, logged_out);
}

/* ---- an own password ---- */

void page_password(struct visit *v)
{
	struct html *h = &v->html;
	bool first = json_is_true(json_object_get(v->who, "must_change"));

	page_begin(v, TEXT_own_password, "/password");
	html_addf(h,
		  "<form class=\"card narrow\" method=\"post\" "
		  "action=\"/password\"><p>%s</p>",
		  lang_text(h->lang,
			    first ? TEXT_password_first : TEXT_password_why));
	page_csrf(v);
	/* For programs that keep passwords. */
	html_addf(h,
		  "<input type=\"text\" name=\"user\" value=\"%s\" "
		  "autocomplete=\"username\" hidden>",
		  json_text(v->who, "user"));
	if (!first)
		field(v, TEXT_password_old, "password", "old", "",
		      "current-password");
	field(v, TEXT_password_new, "password", "new", "", "new-password");
	field(v, TEXT_password_again, "password", "again", "", "new-password");
	html_addf(h, "<button class=\"primary\">%s</button></form>",
		  lang_text(h->lang, TEXT_set_password));
	page_end(v);
}

static void password_done(struct visit *v)
{
	json_t *session = visit_data(v, "console.password");

	if (!session) {
		visit_again(v, "console.password", page_password);
		return;
	}
	visit_cookie(v, COOKIE_SESSION, json_text(session, "session"), -1);
	visit_redirect(v, "/?note=password");
}

void page_password_set(struct visit *v)
{
	json_t *args;

	if (strcmp(visit_form(v, "new"), visit_form(v, "again")) != 0) {
		v->problem = lang_text(v->lang, TEXT_password_differs);
		v->status = 422;
		page_password(v);
		return;
	}
	args = json_pack("{s:s}", "new", visit_form(v, "new"));
	if (*visit_form(v, "old"))
		json_object_set_new(args, "old",
				    json_string(visit_form(v, "old")));
	visit_ask(v, "console.password", args);
	visit_then(v, password_done);
}

/* ---- language and look ---- */

static void go_back(struct visit *v)
{
	const char *back = visit_form(v, "back");

	visit_redirect(v, !strcmp(back, "/login") || !strcmp(back, "/password")
				  ? back
				  : page_of_ours(back));
}

/* The cookie is for before the login, the account for every browser. */
void page_preferences(struct visit *v)
{
	const char *lang = params_get(&v->form, "lang");
	const char *theme = params_get(&v->form, "theme");
	char look[16];

	if (lang && lang_parse(lang) < 0)
		lang = NULL;
	if (theme && *theme && strcmp(theme, "light") && strcmp(theme, "dark"))
		theme = NULL;
	snprintf(look, sizeof(look), "%.2s.%s",
		 lang ? lang : lang_code(v->lang), theme ? theme : v->theme);
	visit_cookie(v, COOKIE_LOOK, look, LOOK_S);
	if (v->who)
		visit_ask(v, "console.preferences",
			  json_pack("{s:s*, s:s*}", "lang", lang, "theme",
				    theme));
	visit_then(v, go_back);
}
