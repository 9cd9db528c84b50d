/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/* A channel's settings. Secrets go in and never come out: of one that is set
 * only that is told, and an empty field leaves it as it is. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/alloc.h"
#include "lib/str.h"
#include "page_notify.h"

#define HOME "/notifications"
#define N(a) ((int)(sizeof(a) / sizeof((a)[0])))

enum { SMTP = 1, SNMP = 2, SYSLOG = 4, HOOK = 8, ALL = 15 };

struct field {
	const char *key;
	int types;
	enum text label, hint;
	const char *choices; /* separated by blanks; NULL: a free text */
};

static const struct field fields[] = {
	{"Enabled", ALL, TEXT_enabled, TEXTS, "yes no"},
	{"Server", SMTP | SNMP, TEXT_server, TEXT_server_plain, NULL},
	{"Server", SYSLOG, TEXT_server, TEXT_server_hint, NULL},
	{"Server", HOOK, TEXT_url, TEXT_url_hint, NULL},
	{"Protocol", SMTP, TEXT_protocol, TEXTS, "starttls tls plain"},
	{"Protocol", SNMP, TEXT_protocol, TEXTS, "v2c v3"},
	{"Protocol", SYSLOG, TEXT_protocol, TEXTS, "udp tcp tls local"},
	{"CA", SMTP | SYSLOG | HOOK, TEXT_ca, TEXT_ca_hint, NULL},
	{"User", SMTP | SNMP | HOOK, TEXT_user, TEXTS, NULL},
	{"From", SMTP, TEXT_mail_from, TEXT_mail_from_hint, NULL},
	{"To", SMTP, TEXT_mail_to, TEXT_mail_to_hint, NULL},
	{"Format", SYSLOG, TEXT_format, TEXTS, "rfc5424 cef"},
	{"Facility", SYSLOG, TEXT_facility, TEXTS,
	 "daemon user auth authpriv cron local0 local1 local2 local3 local4 "
	 "local5 local6 local7"},
	{"Proxy", HOOK, TEXT_proxy, TEXT_proxy_hint, NULL},
	{"Severity", ALL, TEXT_least_severity, TEXTS, "info low medium high"},
	{"Codes", ALL, TEXT_codes_always, TEXT_codes_hint, NULL},
	{"NotCodes", ALL, TEXT_codes_never, TEXT_codes_hint, NULL},
	{"Rate", ALL, TEXT_rate, TEXT_rate_hint, NULL},
	{"Digest", ALL, TEXT_digest, TEXT_digest_hint, NULL},
	{"Collect", ALL, TEXT_collect, TEXT_collect_hint, NULL},
};

static const struct {
	const char *key, *arg; /* of notify.set */
	int types;
	enum text label, hint;
} secrets[] = {
	{"Password", "password", SMTP | SNMP | HOOK, TEXT_password,
	 TEXT_password_hint},
	{"Key", "key", SNMP | HOOK, TEXT_secret_key, TEXT_secret_key_hint},
};

static int type_of(const char *word)
{
	return !strcmp(word, "smtp")	  ? SMTP
	       : !strcmp(word, "snmp")	  ? SNMP
	       : !strcmp(word, "syslog")  ? SYSLOG
	       : !strcmp(word, "webhook") ? HOOK
					  : 0;
}

/* A key's value as it is; "" when it has none, or the channel is a new one. */
static const char *setting(json_t *channel, const char *key)
{
	json_t *s;
	size_t i;

	json_array_foreach (json_object_get(channel, "settings"), i, s)
		if (!strcmp(json_text(s, "key"), key))
			return json_text(s, "value");
	return "";
}

/* ---- the form ---- */

static void choose(struct visit *v, const struct field *f, const char *value)
{
	struct part_word options[17] = {0};
	char *words = xstrdup(f->choices), *save, *word;
	int n = 0;

	for (word = strtok_r(words, " ", &save); word && n + 1 < N(options);
	     word = strtok_r(NULL, " ", &save))
		options[n++] =
			(struct part_word){word,
					   !strcmp(word, "yes")	 ? TEXT_yes
					   : !strcmp(word, "no") ? TEXT_no
								 : TEXTS,
					   NULL};
	part_select(v, f->label, f->key, options, value);
	free(words);
}

/* What a select shows of a new channel is what the form then sends. */
static const char *first_value(const struct field *f, int type)
{
	return strcmp(f->key, "Severity") != 0 ? ""
	       : type == SYSLOG		       ? "info"
					       : "medium";
}

static void field(struct visit *v, const struct field *f, json_t *channel,
		  int type)
{
	const char *value = setting(channel, f->key);

	if (!channel)
		value = first_value(f, type);
	if (f->choices)
		choose(v, f, value);
	else
		part_field(v, f->label, "text", f->key, value, f->hint);
}

static void secret(struct visit *v, int i, json_t *channel, int type)
{
	struct html *h = &v->html;
	char name[32];

	if (!channel || !*setting(channel, secrets[i].key)) {
		part_field(v, secrets[i].label, "password", secrets[i].key, "",
			   type == SMTP ? TEXTS : secrets[i].hint);
		return;
	}
	part_field(v, secrets[i].label, "password", secrets[i].key, "",
		   TEXT_secret_is_set);
	snprintf(name, sizeof(name), "clear_%s", secrets[i].key);
	html_addf(h,
		  "<label class=\"tick\"><input type=\"checkbox\" name=\"%s\" "
		  "value=\"yes\"> %s: %s</label>",
		  name, lang_text(h->lang, secrets[i].label),
		  lang_text(h->lang, TEXT_secret_clear));
}

/* Is this kind told by the channel, or was its box ticked before? */
static bool is_told(const struct visit *v, json_t *channel, const char *kind)
{
	char name[32], *words, *save, *word;
	bool found = false;

	snprintf(name, sizeof(name), "kind_%s", kind);
	if (v->form.len)
		return params_get(&v->form, name) != NULL;
	if (!channel || !strcmp(setting(channel, "Kinds"), "all"))
		return true;
	words = xstrdup(setting(channel, "Kinds"));
	for (word = strtok_r(words, ", ", &save); word;
	     word = strtok_r(NULL, ", ", &save))
		found |= !strcmp(word, kind);
	free(words);
	return found;
}

static void kind_boxes(struct visit *v, json_t *channel)
{
	const struct part_word *k;
	struct html *h = &v->html;
	char name[32];

	html_addf(h, "<fieldset class=\"full ticks\"><legend>%s</legend>",
		  lang_text(h->lang, TEXT_kinds));
	for (k = part_kinds; k->word; k++) {
		snprintf(name, sizeof(name), "kind_%s", k->word);
		part_check(v, k->text, name, is_told(v, channel, k->word));
	}
	html_raw(h, "</fieldset>");
}

static void form(struct visit *v, const char *name, const char *type,
		 json_t *channel)
{
	struct html *h = &v->html;
	int bit = type_of(type), i;

	part_form(v, HOME "/edit", "card");
	html_raw(h, "<h2>");
	part_word(h, notify_types, type);
	html_addf(h, " %s</h2>", channel ? name : "");
	part_hidden(v, "Type", type);
	html_raw(h, "<div class=\"fields\">");
	if (channel)
		part_hidden(v, "name", name);
	else
		part_field(v, TEXT_channel_name, "text", "name", "",
			   TEXT_channel_name_hint);
	part_hidden(v, "is", channel ? "known" : "new");
	for (i = 0; i < N(fields); i++)
		if (fields[i].types & bit)
			field(v, &fields[i], channel, bit);
	for (i = 0; i < N(secrets); i++)
		if (secrets[i].types & bit)
			secret(v, i, channel, bit);
	kind_boxes(v, channel);
	html_raw(h, "</div><div class=\"actions\">");
	part_button(h, "primary", TEXT_save);
	part_link(h, HOME, TEXT_back);
	html_raw(h, "</div>");
	part_form_end(h);
}

static const char *asked(const struct visit *v, const char *name)
{
	return v->form.len ? visit_form(v, name) : visit_query(v, name);
}

static void show(struct visit *v)
{
	json_t *channel = visit_data(v, "notify.show");
	const char *name = asked(v, "name");
	const char *type = channel ? setting(channel, "Type")
				   : asked(v, v->form.len ? "Type" : "type");

	if (visit_error(v, "notify.show")) {
		visit_failed(v, 404, visit_error(v, "notify.show"));
		return;
	}
	if (!type_of(type)) {
		visit_failed(v, 404, NULL);
		return;
	}
	page_begin(v, channel ? TEXT_channel_change : TEXT_channel_add, HOME);
	form(v, name, type, channel);
	page_end(v);
}

void page_notify_edit(struct visit *v)
{
	bool known = v->form.len ? !strcmp(visit_form(v, "is"), "known")
				 : *visit_query(v, "name") != '\0';

	if (known)
		visit_ask(v, "notify.show",
			  json_pack("{s:s}", "name", asked(v, "name")));
	visit_then(v, show);
}

/* ---- what is sent ---- */

static void add(json_t *list, const char *key, const char *value)
{
	json_array_append_new(list, json_sprintf("%s=%s", key, value));
}

static void add_kinds(const struct visit *v, json_t *list)
{
	struct str text = {0};
	const struct part_word *k;
	bool all = true, first = true;
	char name[32];

	for (k = part_kinds; k->word; k++) {
		snprintf(name, sizeof(name), "kind_%s", k->word);
		if (!params_get(&v->form, name)) {
			all = false;
			continue;
		}
		str_addf(&text, "%s%s", first ? "" : ", ", k->word);
		first = false;
	}
	add(list, "Kinds", all ? "all" : str_get(&text));
	str_free(&text);
}

static json_t *settings(const struct visit *v, int type)
{
	json_t *list = json_array();
	char name[32];
	int i;

	add(list, "Type", visit_form(v, "Type"));
	for (i = 0; i < N(fields); i++)
		if ((fields[i].types & type) &&
		    params_get(&v->form, fields[i].key))
			add(list, fields[i].key, visit_form(v, fields[i].key));
	add_kinds(v, list);
	for (i = 0; i < N(secrets); i++) {
		snprintf(name, sizeof(name), "clear_%s", secrets[i].key);
		if (params_get(&v->form, name))
			add(list, secrets[i].key, "");
	}
	return list;
}

static bool any_kind(const struct visit *v)
{
	const struct param *p;

	vec_each (p, &v->form)
		if (str_starts(p->name, "kind_"))
			return true;
	return false;
}

void page_notify_save(struct visit *v)
{
	int type = type_of(visit_form(v, "Type")), i;
	json_t *args;

	if (!any_kind(v)) {
		v->problem = lang_text(v->lang, TEXT_kinds_none);
		v->status = 422;
		page_notify_edit(v);
		return;
	}
	args = json_pack("{s:s, s:o}", "name", visit_form(v, "name"), "setting",
			 settings(v, type));
	for (i = 0; i < N(secrets); i++)
		if ((secrets[i].types & type) && *visit_form(v, secrets[i].key))
			json_object_set_new(
				args, secrets[i].arg,
				json_string(visit_form(v, secrets[i].key)));
	visit_change(v, "notify.set", args, page_notify_edit,
		     HOME "?note=saved");
}
