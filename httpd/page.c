/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "page.h"

#include <stdlib.h>
#include <string.h>

#include "common/version.h"
#include "lib/alloc.h"

static const struct {
	const char *path, *icon;
	enum text name;
	enum verb_role role;
} navigation[] = {
	{"/", "summary", TEXT_summary, VERB_VIEWER},
	{"/scan", "scan", TEXT_scan, VERB_OPERATOR},
	{"/quarantine", "quarantine", TEXT_quarantine, VERB_OPERATOR},
	{"/patterns", "patterns", TEXT_patterns, VERB_VIEWER},
	{"/logs", "logs", TEXT_logs, VERB_VIEWER},
	{"/statistics", "statistics", TEXT_statistics, VERB_VIEWER},
	{"/network", "network", TEXT_net_title, VERB_VIEWER},
	{"/module", "module", TEXT_module, VERB_VIEWER},
	{"/notifications", "notify", TEXT_notifications, VERB_VIEWER},
	{"/settings", "settings", TEXT_settings, VERB_VIEWER},
	{"/admin", "admin", TEXT_administration, VERB_ADMIN},
	{"/maintenance", "tools", TEXT_maintenance, VERB_ADMIN},
};

const char *json_text(json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text ? text : "";
}

int64_t json_number(json_t *object, const char *name)
{
	return json_integer_value(json_object_get(object, name));
}

void page_csrf(struct visit *v)
{
	html_addf(&v->html,
		  "<input type=\"hidden\" name=\"csrf\" value=\"%s\">",
		  visit_csrf(v));
}

static void head(struct visit *v, enum text title)
{
	struct html *h = &v->html;

	html_addf(h, "<!doctype html>\n<html lang=\"%s\"", lang_code(h->lang));
	if (v->theme[0])
		html_addf(h, " data-theme=\"%s\"", v->theme);
	html_raw(h, "><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
		    "content=\"width=device-width, initial-scale=1\"><title>");
	html_say(h, title);
	html_addf(h, " – %s</title><link rel=\"stylesheet\" href=\"%s\">",
		  SPLX_PRODUCT, asset_url("console.css"));
	html_addf(h, "<link rel=\"icon\" type=\"image/svg+xml\" href=\"%s\">",
		  asset_url("icon.svg"));
	html_addf(h, "<script type=\"module\" src=\"%s\"></script></head>",
		  asset_url("console.js"));
}

static void nav(struct visit *v, const char *path)
{
	struct html *h = &v->html;
	size_t i;

	html_addf(h, "<nav class=\"nav\" aria-label=\"%s\"><ul>",
		  lang_text(h->lang, TEXT_navigation));
	for (i = 0; i < sizeof(navigation) / sizeof(*navigation); i++) {
		if (v->role < navigation[i].role)
			continue;
		html_addf(h, "<li><a href=\"%s\"", navigation[i].path);
		if (!strcmp(path, navigation[i].path))
			html_raw(h, " aria-current=\"page\"");
		html_raw(h, ">");
		page_icon(h, navigation[i].icon);
		html_raw(h, "<span>");
		html_say(h, navigation[i].name);
		html_raw(h, "</span></a></li>");
	}
	html_raw(h, "</ul></nav>");
}

static void account(struct visit *v)
{
	static const enum text roles[] = {
		[VERB_CONSOLE] = TEXT_role_viewer,
		[VERB_VIEWER] = TEXT_role_viewer,
		[VERB_OPERATOR] = TEXT_role_operator,
		[VERB_ADMIN] = TEXT_role_admin,
	};
	struct html *h = &v->html;

	html_addf(h,
		  "<div class=\"who\"><a href=\"/password\"><strong>%s</strong>"
		  " <span class=\"muted\">",
		  json_text(v->who, "user"));
	html_say(h, roles[v->role]);
	html_raw(h, "</span></a><form method=\"post\" action=\"/logout\">");
	page_csrf(v);
	html_raw(h, "<button class=\"quiet\">");
	page_icon(h, "logout");
	html_raw(h, "<span>");
	html_say(h, TEXT_log_out);
	html_raw(h, "</span></button></form></div>");
}

void page_begin(struct visit *v, enum text title, const char *path)
{
	struct html *h = &v->html;
	bool all =
		v->who && !json_is_true(json_object_get(v->who, "must_change"));

	head(v, title);
	html_addf(h,
		  "<body%s><a class=\"skip\" href=\"#main\">", /* keyboards */
		  all ? "" : " class=\"alone\"");
	html_say(h, TEXT_skip);
	html_raw(h, "</a><header class=\"top\"><a class=\"brand\" href=\"/\">");
	page_icon(h, "shield");
	html_addf(h, "<span>%s</span></a>", SPLX_PRODUCT);
	if (v->who)
		account(v);
	html_raw(h, "</header>");
	if (all)
		nav(v, path);
	html_raw(h, "<main id=\"main\" tabindex=\"-1\"><h1>");
	html_say(h, title);
	html_raw(h, "</h1>");
	page_notes(v);
}

void page_notes(struct visit *v)
{
	struct html *h = &v->html;
	const char *note = visit_query(v, "note");
	char *name = xasprintf("note_%s", note);
	enum text id = lang_find(name);

	free(name);
	if (v->problem) {
		html_raw(h, "<div class=\"note bad\" role=\"alert\">");
		page_icon(h, "critical");
		html_addf(h, "<p>%s</p></div>", v->problem);
	} else if (v->said || (*note && id < TEXTS)) {
		html_raw(h, "<div class=\"note ok\" role=\"status\">");
		page_icon(h, "ok");
		html_addf(h, "<p>%s</p></div>",
			  v->said ? v->said : lang_text(h->lang, id));
	}
}

static void choice(struct html *h, const char *name, const char *value,
		   const char *text, bool chosen)
{
	html_addf(h, "<button name=\"%s\" value=\"%s\">%s%s</button>", name,
		  value, chosen ? "✓ " : "", text);
}

/* Language and look. They work without a script, and before a login. */
static void preferences(struct visit *v)
{
	static const struct {
		const char *value;
		enum text name;
	} themes[] = {
		{"", TEXT_theme_auto},
		{"light", TEXT_theme_light},
		{"dark", TEXT_theme_dark},
	};
	struct html *h = &v->html;
	size_t i;

	html_raw(h, "<form class=\"look\" method=\"post\" "
		    "action=\"/preferences\">");
	page_csrf(v);
	html_addf(h, "<input type=\"hidden\" name=\"back\" value=\"%s\">",
		  !strcmp(v->route->method, "GET") ? v->route->path : "/");
	html_addf(h, "<fieldset><legend>%s</legend>",
		  lang_text(h->lang, TEXT_language));
	for (i = 0; i < LANGS; i++)
		choice(h, "lang", lang_code((enum lang)i),
		       lang_name((enum lang)i), v->lang == (enum lang)i);
	html_addf(h, "</fieldset><fieldset><legend>%s</legend>",
		  lang_text(h->lang, TEXT_theme));
	for (i = 0; i < sizeof(themes) / sizeof(*themes); i++)
		choice(h, "theme", themes[i].value,
		       lang_text(h->lang, themes[i].name),
		       !strcmp(v->theme, themes[i].value));
	html_raw(h, "</fieldset></form>");
}

void page_end(struct visit *v)
{
	struct html *h = &v->html;

	html_raw(h, "</main><footer class=\"foot\">");
	preferences(v);
	if (v->who)
		html_addf(h, "<p class=\"muted\">%s %s</p>", SPLX_PRODUCT,
			  SPLX_VERSION);
	html_raw(h, "</footer></body></html>\n");
	visit_html(v);
}

enum text page_error_text(int status)
{
	switch (status) {
	case 400:
		return TEXT_error_400;
	case 401:
		return TEXT_error_401;
	case 403:
		return TEXT_error_403;
	case 404:
		return TEXT_error_404;
	case 405:
		return TEXT_error_405;
	case 409:
		return TEXT_error_409;
	case 422:
		return TEXT_error_422;
	case 503:
		return TEXT_error_503;
	default:
		return TEXT_error_500;
	}
}

void page_error(struct visit *v, int status, const char *message)
{
	struct html *h = &v->html;

	str_clear(&h->out);
	v->status = status;
	v->problem = NULL;
	page_begin(v, TEXT_error, "");
	html_raw(h, "<section class=\"card empty\">");
	page_icon(h, status == 503 ? "shield-off" : "warning");
	html_addf(h, "<p class=\"lead\">%s</p>",
		  lang_text(h->lang, page_error_text(status)));
	if (message)
		html_addf(h, "<p>%s</p>", message);
	if (status == 503)
		html_raw(h, "<p><code>service splx status</code></p>");
	html_addf(h, "<p><a class=\"button\" href=\"/\">%s</a></p></section>",
		  lang_text(h->lang, TEXT_to_summary));
	page_end(v);
}
