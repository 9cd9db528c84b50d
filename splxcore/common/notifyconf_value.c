/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/* What the keys of notify.conf may hold. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codes.h"
#include "lib/alloc.h"
#include "lib/str.h"
#include "notifyconf_impl.h"

#define TEXT_MAX 1000
#define RATE_MAX 100000

/* The first of each is its default. */
const char *const notify_protocols[4][5] = {
	[NOTIFY_SMTP] = {"starttls", "tls", "plain"},
	[NOTIFY_SNMP] = {"v2c", "v3"},
	[NOTIFY_SYSLOG] = {"udp", "tcp", "tls", "local"},
	[NOTIFY_WEBHOOK] = {"https", "http"},
};

static const char *const types[] = {
	[NOTIFY_SMTP] = "smtp",
	[NOTIFY_SNMP] = "snmp",
	[NOTIFY_SYSLOG] = "syslog",
	[NOTIFY_WEBHOOK] = "webhook",
};

const char *notify_type_name(int type)
{
	return types[type];
}

static const char *only(const struct entryfile_words *words)
{
	return words->len == 1 ? words->items[0] : "";
}

/* ---- single values ---- */

/* Printable ASCII without blanks, as hosts and URLs are. */
static bool is_plain(const char *word)
{
	size_t n = strlen(word);

	for (const char *p = word; *p; p++)
		if (*p <= ' ' || *p >= 0x7f || strchr("\"<>\\^`{|}", *p))
			return false;
	return n > 0 && n < TEXT_MAX;
}

int notify_set_word(void *to, const struct entryfile_words *words,
		    const char *const *hint, struct err *err)
{
	size_t i;

	if (!is_plain(only(words)))
		return err_set(err, 0, "one word is allowed, without blanks");
	for (i = 0; hint[i]; i++)
		if (strcmp(hint[i], only(words)) == 0)
			break;
	if (hint[0] && !hint[i]) {
		err_set(err, 0, "%s is none; allowed:", only(words));
		for (i = 0; err && hint[i]; i++) {
			size_t n = strlen(err->text);

			snprintf(err->text + n, sizeof(err->text) - n, "%s %s",
				 i ? "," : "", hint[i]);
		}
		return -1;
	}
	*(char **)to = xstrdup(only(words));
	return 0;
}

int notify_set_type(void *to, const struct entryfile_words *words,
		    const char *const *hint, struct err *err)
{
	for (int i = 0; i < 4; i++)
		if (strcmp(types[i], only(words)) == 0) {
			*(int *)to = i;
			return 0;
		}
	return err_set(err, 0, "smtp, snmp, syslog or webhook is allowed");
}

int notify_set_bool(void *to, const struct entryfile_words *words,
		    const char *const *hint, struct err *err)
{
	*(bool *)to = strcmp(only(words), "yes") == 0;
	return *(bool *)to || strcmp(only(words), "no") == 0
		       ? 0
		       : err_set(err, 0, "yes or no is allowed");
}

int notify_set_path(void *to, const struct entryfile_words *words,
		    const char *const *hint, struct err *err)
{
	if (*only(words) != '/' || strlen(only(words)) >= TEXT_MAX)
		return err_set(err, 0, "the full path of a file is allowed");
	*(char **)to = xstrdup(only(words));
	return 0;
}

int notify_set_url(void *to, const struct entryfile_words *words,
		   const char *const *hint, struct err *err)
{
	if (!is_plain(only(words)) || !strstr(only(words), "://"))
		return err_set(err, 0, "http://HOST:PORT is allowed");
	*(char **)to = xstrdup(only(words));
	return 0;
}

/* It stands in a header and in the dialogue with a server. */
static bool is_address(const char *text)
{
	const char *at = strchr(text, '@');

	for (const char *p = text; *p; p++)
		if (!isascii(*p) || (!isalnum((unsigned char)*p) &&
				     !strchr("@._+-=/!#$%&'*?~", *p)))
			return false;
	return at && at > text && at[1] && !strchr(at + 1, '@') &&
	       *text != '-' && strlen(text) < 255;
}

int notify_set_from(void *to, const struct entryfile_words *words,
		    const char *const *hint, struct err *err)
{
	if (!is_address(only(words)))
		return err_set(err, 0, "one address is allowed, NAME@DOMAIN");
	*(char **)to = xstrdup(only(words));
	return 0;
}

int notify_set_to(void *to, const struct entryfile_words *words,
		  const char *const *hint, struct err *err)
{
	struct entryfile_words *list = to;
	char **w;

	if (words->len > NOTIFY_TO_MAX)
		return err_set(err, 0, "at most %d addresses are allowed",
			       NOTIFY_TO_MAX);
	vec_each (w, words)
		if (!is_address(*w))
			return err_set(err, 0,
				       "%s: addresses are allowed, "
				       "NAME@DOMAIN, separated by commas",
				       *w);
	vec_each (w, words)
		vec_push(list, xstrdup(*w));
	return 0;
}

/* ---- which events ---- */

int notify_set_kinds(void *to, const struct entryfile_words *words,
		     const char *const *hint, struct err *err)
{
	unsigned int *kinds = to;
	const struct event_kind *kind;
	char **w;

	*kinds = 0;
	vec_each (w, words) {
		kind = events_kind_find(*w);
		if (strcmp(*w, "all") == 0)
			*kinds |= (1u << EVENT_KIND_COUNT) - 1;
		else if (kind)
			*kinds |= 1u << kind->id;
		else
			return err_set(err, 0,
				       "%s: all, or some of virus, scan, "
				       "update, system, network, audit are "
				       "allowed",
				       *w);
	}
	return 0;
}

int notify_set_severity(void *to, const struct entryfile_words *words,
			const char *const *hint, struct err *err)
{
	*(int *)to = events_severity_parse(only(words));
	return *(int *)to < 0
		       ? err_set(err, 0, "info, low, medium or high is allowed")
		       : 0;
}

/* By number or name; "" when there is none. */
static void code_number(const char *word, char out[16])
{
	static const struct {
		int number;
		const char *name;
	} all[] = {
#define CODE(id, number, name, field, level, text, action) {number, name},
#include "codes.def"
#undef CODE
	};
	char number[16];

	*out = '\0';
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		snprintf(number, sizeof(number), "%d", all[i].number);
		if (strcmp(word, number) == 0 || strcmp(word, all[i].name) == 0)
			str_copy(out, 16, number);
	}
}

int notify_set_codes(void *to, const struct entryfile_words *words,
		     const char *const *hint, struct err *err)
{
	struct entryfile_words *list = to;
	char number[16];
	char **w;

	vec_each (w, words) {
		code_number(*w, number);
		if (!*number)
			return err_set(err, 0,
				       "%s: status codes are allowed, see "
				       "splx(8)",
				       *w);
		vec_push(list, xstrdup(number));
	}
	return 0;
}

/* Hint: what is counted. */
int notify_set_number(void *to, const struct entryfile_words *words,
		      const char *const *hint, struct err *err)
{
	if (str_to_i64(only(words), 0, RATE_MAX, to, NULL) < 0)
		return err_set(err, 0, "0 to %d is allowed, %s", RATE_MAX,
			       hint[0]);
	return 0;
}

/* ---- the entry as a whole ---- */

struct type_defaults {
	int64_t rate, digest;
	uint64_t collect_ms;
};
/* Machines want each event, people a summary. */
static const struct type_defaults defaults[] = {
	[NOTIFY_SMTP] = {60, 5, 10000},
	[NOTIFY_SNMP] = {600, 50, 1000},
	[NOTIFY_SYSLOG] = {0, 0, 1000},
	[NOTIFY_WEBHOOK] = {600, 200, 2000},
};

/* HOST, HOST:PORT, [ADDRESS]:PORT */
static bool is_server(const char *text)
{
	const char *end = *text == '[' ? strchr(text, ']') : NULL;
	size_t n = end ? (size_t)(end + 1 - text) : strcspn(text, ":");
	const char *allowed = end ? ":.%_-" : "._-";
	int64_t port;

	for (size_t i = end ? 1 : 0; i < n - (end ? 1 : 0); i++)
		if (!isascii(text[i]) || (!isalnum((unsigned char)text[i]) &&
					  !strchr(allowed, text[i])))
			return false;
	if (n == 0 || *text == '-' || n > 255)
		return false;
	return !text[n] || (text[n] == ':' && str_to_i64(text + n + 1, 1, 65535,
							 &port, NULL) == 0);
}

static int check_server(struct notify_channel *c, struct err *err)
{
	bool local = strcmp(c->protocol, "local") == 0;

	if (!c->server && local)
		c->server = xstrdup("/dev/log");
	if (!c->server)
		return err_set(err, 0, "has no Server");
	if (c->type == NOTIFY_WEBHOOK)
		return (str_starts(c->server, "https://") ||
			str_starts(c->server, "http://")) &&
				       !strchr(c->server, '@')
			       ? 0
			       : err_set(err, 0,
					 "Server: the URL of a webhook is "
					 "allowed, https://HOST/PATH");
	if (local)
		return *c->server == '/' && strlen(c->server) < 108
			       ? 0
			       : err_set(err, 0,
					 "Server: the path of a socket is "
					 "allowed with Protocol = local");
	return is_server(c->server)
		       ? 0
		       : err_set(err, 0,
				 "Server: HOST, HOST:PORT or [ADDRESS]:PORT is "
				 "allowed");
}

static int check_protocol(struct notify_channel *c, struct err *err)
{
	const char *const *p = notify_protocols[c->type];

	if (c->type == NOTIFY_WEBHOOK) {
		free(c->protocol);
		c->protocol = xstrdup(
			c->server && str_starts(c->server, "http:") ? "http"
								    : "https");
		return 0;
	}
	if (!c->protocol)
		c->protocol = xstrdup(p[0]);
	for (int i = 0; p[i]; i++)
		if (strcmp(p[i], c->protocol) == 0)
			return 0;
	return err_set(err, 0, "Protocol: %s is none of %s: %s, %s%s%s%s%s",
		       c->protocol, notify_type_name(c->type), p[0], p[1],
		       p[2] ? ", " : "", p[2] ? p[2] : "", p[3] ? ", " : "",
		       p[3] ? p[3] : "");
}

/* No password in the clear: whoever listens would have it. */
static int check_secrets(const struct notify_channel *c, struct err *err)
{
	bool v3 = strcmp(c->protocol, "v3") == 0;

	if (c->password && (strcmp(c->protocol, "plain") == 0 ||
			    strcmp(c->protocol, "http") == 0))
		return err_set(err, 0,
			       "Password: not with %s, where anybody "
			       "on the way reads it",
			       c->protocol);
	if (c->type == NOTIFY_SMTP && !c->user != !c->password)
		return err_set(err, 0,
			       "User and Password: both are wanted, or "
			       "none");
	if (v3 && (!c->user || strlen(c->user) > 32))
		return err_set(err, 0,
			       "User: one of at most 32 characters is "
			       "wanted with v3");
	if (v3 && ((c->password && strlen(c->password) < 8) ||
		   (c->key && strlen(c->key) < 8)))
		return err_set(err, 0,
			       "Password and Key: at least 8 "
			       "characters are wanted with v3");
	if (v3 && c->key && !c->password)
		return err_set(err, 0, "Key: it needs a Password, too");
	return 0;
}

int notify_complete(struct notify_channel *c, struct err *err)
{
	const struct type_defaults *d;

	if (c->type < 0)
		return err_set(err, 0, "has no Type");
	d = &defaults[c->type];
	if (check_protocol(c, err) < 0 || check_server(c, err) < 0 ||
	    check_secrets(c, err) < 0)
		return -1;
	if (c->type == NOTIFY_SMTP && !c->to.len)
		return err_set(err, 0, "has no To");
	if (!c->format)
		c->format = xstrdup("rfc5424");
	if (!c->facility)
		c->facility = xstrdup("daemon");
	if (c->rate < 0)
		c->rate = d->rate;
	if (c->digest < 0)
		c->digest = d->digest;
	if (!c->collect_set)
		c->collect_ms = d->collect_ms;
	return 0;
}
