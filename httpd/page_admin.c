/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/* Administration: accounts, sessions, tokens, the certificate. */
#include <stdio.h>
#include <string.h>

#include "parts.h"
#include "table.h"

#define N(a) ((int)(sizeof(a) / sizeof(*(a))))

static const struct part_word yes_no[] = {
	{"no", TEXT_no, NULL},
	{"yes", TEXT_yes, NULL},
	PART_WORDS_END,
};

static void user_actions(struct visit *v, json_t *row)
{
	const char *name = json_text(row, "user");
	bool off = json_is_true(json_object_get(row, "disabled"));

	html_addf(&v->html, "<details><summary>%s</summary>",
		  lang_text(v->lang, TEXT_change));
	part_form(v, "/admin/user-set", "row");
	part_hidden(v, "name", name);
	part_select(v, TEXT_role, "role", part_roles, json_text(row, "role"));
	part_select(v, TEXT_disabled, "disabled", yes_no, off ? "yes" : "no");
	part_button(&v->html, "", TEXT_save);
	part_form_end(&v->html);
	html_raw(&v->html, "<div class=\"row\">");
	part_action(v, "/admin/user-reset", "", TEXT_user_reset, "name", name);
	part_action(v, "/admin/user-remove", "danger", TEXT_remove, "name",
		    name);
	html_raw(&v->html, "</div></details>");
}

static void users(struct visit *v)
{
	static const struct column columns[] = {
		{"user", TEXT_user, CELL_TEXT, NULL},
		{"role", TEXT_role, CELL_WORD, part_roles},
		{"disabled", TEXT_disabled, CELL_YESNO, NULL},
		{"password", TEXT_password, CELL_TEXT, NULL},
		{"last_login", TEXT_last_login, CELL_TIME, NULL},
		{"last_from", TEXT_from, CELL_TEXT, NULL},
		{"sessions", TEXT_sessions, CELL_NUMBER, NULL},
	};
	const struct table t = {columns, N(columns), TEXT_none,
				NULL,	 NULL,	     user_actions};

	part_card(&v->html, TEXT_users);
	table_draw(v, visit_data(v, "user.list"), &t);
	part_form(v, "/admin/user-add", "row");
	part_field_needed(v, TEXT_user, "text", "name", "");
	part_select(v, TEXT_role, "role", part_roles, "viewer");
	part_button(&v->html, "primary", TEXT_add);
	part_form_end(&v->html);
	part_card_end(&v->html);
}

static void id_button(struct visit *v, json_t *row, const char *action,
		      enum text name)
{
	char id[24];

	snprintf(id, sizeof(id), "%lld", (long long)json_number(row, "id"));
	part_action(v, action, "", name, "id", id);
}

static void session_actions(struct visit *v, json_t *row)
{
	if (json_is_true(json_object_get(row, "own")))
		html_addf(&v->html, "<strong>%s</strong> ",
			  lang_text(v->lang, TEXT_session_own));
	id_button(v, row, "/admin/session-end", TEXT_end);
}

static void sessions(struct visit *v)
{
	static const struct column columns[] = {
		{"user", TEXT_user, CELL_TEXT, NULL},
		{"from", TEXT_from, CELL_TEXT, NULL},
		{"created", TEXT_since, CELL_TIME, NULL},
		{"seen", TEXT_last_used, CELL_TIME, NULL},
		{"agent", TEXT_browser, CELL_TEXT, NULL},
	};
	const struct table t = {columns, N(columns), TEXT_none,
				NULL,	 NULL,	     session_actions};

	part_card(&v->html, TEXT_sessions);
	table_draw(v, visit_data(v, "session.list"), &t);
	part_card_end(&v->html);
}

static void token_actions(struct visit *v, json_t *row)
{
	id_button(v, row, "/admin/token-revoke", TEXT_revoke);
}

static void tokens(struct visit *v)
{
	static const struct column columns[] = {
		{"name", TEXT_name, CELL_TEXT, NULL},
		{"role", TEXT_role, CELL_WORD, part_roles},
		{"expires", TEXT_expires, CELL_TIME, NULL},
		{"used", TEXT_last_used, CELL_TIME, NULL},
		{"used_from", TEXT_from, CELL_TEXT, NULL},
		{"by", TEXT_made_by, CELL_TEXT, NULL},
	};
	const struct table t = {columns, N(columns), TEXT_none,
				NULL,	 NULL,	     token_actions};

	part_card(&v->html, TEXT_tokens);
	html_addf(&v->html,
		  "<p class=\"muted\">%s <code>/api/v1/openapi.json"
		  "</code></p>",
		  lang_text(v->lang, TEXT_tokens_why));
	table_draw(v, visit_data(v, "token.list"), &t);
	part_form(v, "/admin/token-add", "row");
	part_field_needed(v, TEXT_name, "text", "name", "");
	part_select(v, TEXT_role, "role", part_roles, "viewer");
	part_field_needed(v, TEXT_good_for, "text", "expires", "90d");
	part_button(&v->html, "primary", TEXT_add);
	part_form_end(&v->html);
	part_card_end(&v->html);
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

	part_card(&v->html, TEXT_certificate);
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
	part_failed(v, "certificate.show");
	html_addf(h, "<details><summary>%s</summary>",
		  lang_text(v->lang, TEXT_certificate_other));
	part_form_files(v, "/admin/certificate", "");
	part_file(v, TEXT_certificate_file, "certificate");
	part_area(v, TEXT_certificate_pem, "certificate", "", 6, TEXTS);
	part_file(v, TEXT_key_file, "key");
	part_area(v, TEXT_key_pem, "key", "", 6, TEXTS);
	part_button(&v->html, "primary", TEXT_save);
	part_form_end(&v->html);
	html_raw(h, "</details>");
	part_action(v, "/admin/certificate-renew", "", TEXT_certificate_renew);
	part_card_end(&v->html);
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
