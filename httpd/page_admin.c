/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/* Administration: accounts, sessions, tokens, the certificate. */
#include <stdio.h>
#include <string.h>

#include "parts.h"
#include "widgets.h"

#define N(a) ((int)(sizeof(a) / sizeof(*(a))))

static const struct choice yes_no[] = {{"no", TEXT_no}, {"yes", TEXT_yes}};

static void user_actions(struct visit *v, json_t *row)
{
	const char *name = json_text(row, "user");
	const char *fields[] = {"name", name, NULL};
	bool off = json_is_true(json_object_get(row, "disabled"));

	html_addf(&v->html, "<details><summary>%s</summary>",
		  lang_text(v->lang, TEXT_change));
	form(v, "/admin/user-set", "row");
	form_hidden(v, "name", name);
	form_select(v, TEXT_role, "role", widgets_roles, 3,
		    json_text(row, "role"));
	form_select(v, TEXT_disabled, "disabled", yes_no, 2,
		    off ? "yes" : "no");
	form_button(v, TEXT_save, "");
	form_end(v);
	html_raw(&v->html, "<div class=\"row\">");
	button_form(v, "/admin/user-reset", TEXT_user_reset, "", fields);
	button_form(v, "/admin/user-remove", TEXT_remove, "danger", fields);
	html_raw(&v->html, "</div></details>");
}

static void users(struct visit *v)
{
	static const struct column columns[] = {
		{"user", TEXT_user, CELL_TEXT},
		{"role", TEXT_role, CELL_WORD},
		{"disabled", TEXT_disabled, CELL_YESNO},
		{"password", TEXT_password, CELL_TEXT},
		{"last_login", TEXT_last_login, CELL_TIME},
		{"last_from", TEXT_from, CELL_TEXT},
		{"sessions", TEXT_sessions, CELL_NUMBER},
	};
	const struct table t = {columns, N(columns), TEXT_none,
				NULL,	 NULL,	     user_actions};

	card(v, TEXT_users);
	table_draw(v, visit_data(v, "user.list"), &t);
	form(v, "/admin/user-add", "row");
	form_input(v, TEXT_user, "text", "name", "", true);
	form_select(v, TEXT_role, "role", widgets_roles, 3, "viewer");
	form_button(v, TEXT_add, "primary");
	form_end(v);
	card_end(v);
}

static void id_button(struct visit *v, json_t *row, const char *action,
		      enum text name)
{
	char id[24];
	const char *fields[] = {"id", id, NULL};

	snprintf(id, sizeof(id), "%lld", (long long)json_number(row, "id"));
	button_form(v, action, name, "", fields);
}

static void session_actions(struct visit *v, json_t *row)
{
	id_button(v, row, "/admin/session-end", TEXT_end);
}

static void sessions(struct visit *v)
{
	static const struct column columns[] = {
		{"user", TEXT_user, CELL_TEXT},
		{"from", TEXT_from, CELL_TEXT},
		{"created", TEXT_since, CELL_TIME},
		{"seen", TEXT_last_used, CELL_TIME},
		{"agent", TEXT_browser, CELL_TEXT},
	};
	const struct table t = {columns, N(columns), TEXT_none,
				NULL,	 NULL,	     session_actions};

	card(v, TEXT_sessions);
	table_draw(v, visit_data(v, "session.list"), &t);
	card_end(v);
}

static void token_actions(struct visit *v, json_t *row)
{
	id_button(v, row, "/admin/token-revoke", TEXT_revoke);
}

static void tokens(struct visit *v)
{
	static const struct column columns[] = {
		{"name", TEXT_name, CELL_TEXT},
		{"role", TEXT_role, CELL_WORD},
		{"expires", TEXT_expires, CELL_TIME},
		{"used", TEXT_last_used, CELL_TIME},
		{"used_from", TEXT_from, CELL_TEXT},
		{"by", TEXT_made_by, CELL_TEXT},
	};
	const struct table t = {columns, N(columns), TEXT_none,
				NULL,	 NULL,	     token_actions};

	card(v, TEXT_tokens);
	html_addf(&v->html,
		  "<p class=\"muted\">%s <code>/api/v1/openapi.json"
		  "</code></p>",
		  lang_text(v->lang, TEXT_tokens_why));
	table_draw(v, visit_data(v, "token.list"), &t);
	form(v, "/admin/token-add", "row");
	form_input(v, TEXT_name, "text", "name", "", true);
	form_select(v, TEXT_role, "role", widgets_roles, 3, "viewer");
	form_input(v, TEXT_good_for, "text", "expires", "90d", true);
	form_button(v, TEXT_add, "primary");
	form_end(v);
	card_end(v);
}

static void pair(struct visit *v, enum text name, const char *value)
{
	html_addf(&v->html, "<dt>%s</dt><dd class=\"path\">%s</dd>",
		  lang_text(v->lang, name), value);
}

static void certificate(struct visit *v)
{
	json_t *c = visit_data(v, "certificate.show");
	struct html *h = &v->html;

	card(v, TEXT_certificate);
	if (c) {
		html_raw(h, "<dl class=\"pairs\">");
		pair(v, TEXT_subject, json_text(c, "subject"));
		pair(v, TEXT_issuer, json_text(c, "issuer"));
		pair(v, TEXT_names, json_text(c, "names"));
		pair(v, TEXT_key, json_text(c, "key"));
		pair(v, TEXT_fingerprint, json_text(c, "fingerprint"));
		html_addf(h, "<dt>%s</dt><dd>",
			  lang_text(v->lang, TEXT_expires));
		html_time(h, json_number(c, "not_after"));
		html_raw(h, "</dd></dl>");
	}
	card_problem(v, "certificate.show");
	html_addf(h, "<details><summary>%s</summary>",
		  lang_text(v->lang, TEXT_certificate_other));
	form(v, "/admin/certificate", "");
	form_area(v, TEXT_certificate_pem, "certificate", 6, "");
	form_area(v, TEXT_key_pem, "key", 6, "");
	form_button(v, TEXT_save, "primary");
	form_end(v);
	html_raw(h, "</details>");
	button_form(v, "/admin/certificate-renew", TEXT_certificate_renew, "",
		    NULL);
	card_end(v);
}

static void show(struct visit *v)
{
	page_begin(v, TEXT_administration, "/admin");
	html_raw(&v->html, "<div class=\"actions\">");
	part_link(&v->html, "/password", TEXT_own_password);
	part_link(&v->html, "/logs?kind=audit", TEXT_audit_log);
	part_link(&v->html, "/settings", TEXT_settings);
	part_link(&v->html, "/maintenance", TEXT_maintenance);
	html_raw(&v->html, "</div>");
	users(v);
	sessions(v);
	tokens(v);
	certificate(v);
	page_end(v);
}

void page_admin(struct visit *v)
{
	visit_ask(v, "user.list", NULL);
	visit_ask(v, "session.list", NULL);
	visit_ask(v, "token.list", NULL);
	visit_ask(v, "certificate.show", NULL);
	visit_then(v, show);
}
