/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "notifyconf.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "address.h"
#include "jsontext.h"
#include "lib/alloc.h"
#include "lib/str.h"
#include "nearest.h"
#include "notifyconf_impl.h"
#include "paths.h"

#define SECRET_MAX 256
#define COLLECT_MAX_MS (3600 * 1000)

static void entry_free(struct notify_channel *c)
{
	char *const secrets[] = {c->password, c->key};

	for (int i = 0; i < 2; i++)
		if (secrets[i])
			explicit_bzero(secrets[i], strlen(secrets[i]));
	xfree(&c->server);
	xfree(&c->protocol);
	xfree(&c->ca);
	xfree(&c->user);
	xfree(&c->password);
	xfree(&c->key);
	xfree(&c->from);
	xfree(&c->format);
	xfree(&c->facility);
	xfree(&c->proxy);
	entryfile_words_free(&c->to);
	entryfile_words_free(&c->codes);
	entryfile_words_free(&c->silent);
}

static void entry_begin(struct notify_channel *c, int line)
{
	memset(c, 0, sizeof(*c));
	c->line = line;
	c->type = -1;
	c->enabled = true;
	c->kinds = (1u << EVENT_KIND_COUNT) - 1;
	c->severity = EVENT_SEVERITY_MEDIUM;
	c->rate = c->digest = -1;
}

/* ---- the keys ---- */

static int set_collect(void *to, const struct entryfile_words *words,
		       const char *const *hint, struct err *err)
{
	uint64_t ms;

	if (words->len != 1 ||
	    str_to_duration(words->items[0], 1000, &ms, NULL) < 0 ||
	    ms > COLLECT_MAX_MS)
		return err_set(err, 0, "0 to 1h is allowed, such as 10s");
	*(uint64_t *)to = ms;
	return 0;
}

#define NO_HINT                                                                \
	{                                                                      \
		NULL                                                           \
	}
#define FACILITIES                                                             \
	{                                                                      \
		"daemon", "user", "auth", "authpriv", "cron", "local0",        \
			"local1", "local2", "local3", "local4", "local5",      \
			"local6", "local7", NULL                               \
	}
#define FORMATS                                                                \
	{                                                                      \
		"rfc5424", "cef", NULL                                         \
	}
#define RATES                                                                  \
	{                                                                      \
		"messages an hour; 0: no limit", NULL                          \
	}
#define DIGESTS                                                                \
	{                                                                      \
		"events; 0: never", NULL                                       \
	}
/* set NULL: a secret, see take_secret(). */
#define KEYS(KEY)                                                              \
	KEY(Type, notify_set_type, type, NO_HINT)                              \
	KEY(Enabled, notify_set_bool, enabled, NO_HINT)                        \
	KEY(Server, notify_set_word, server, NO_HINT)                          \
	KEY(Protocol, notify_set_word, protocol, NO_HINT)                      \
	KEY(CA, notify_set_path, ca, NO_HINT)                                  \
	KEY(User, notify_set_word, user, NO_HINT)                              \
	KEY(Password, NULL, password, NO_HINT)                                 \
	KEY(Key, NULL, key, NO_HINT)                                           \
	KEY(From, notify_set_from, from, NO_HINT)                              \
	KEY(To, notify_set_to, to, NO_HINT)                                    \
	KEY(Format, notify_set_word, format, FORMATS)                          \
	KEY(Facility, notify_set_word, facility, FACILITIES)                   \
	KEY(Proxy, notify_set_url, proxy, NO_HINT)                             \
	KEY(Kinds, notify_set_kinds, kinds, NO_HINT)                           \
	KEY(Severity, notify_set_severity, severity, NO_HINT)                  \
	KEY(Codes, notify_set_codes, codes, NO_HINT)                           \
	KEY(NotCodes, notify_set_codes, silent, NO_HINT)                       \
	KEY(Rate, notify_set_number, rate, RATES)                              \
	KEY(Digest, notify_set_number, digest, DIGESTS)                        \
	KEY(Collect, set_collect, collect_ms, NO_HINT)

struct key {
	notify_set_fn set;
	size_t field;
	const char *hint[16];
};
#define KEY_NAME(name, setter, member, ...) #name,
#define KEY_ROW(name, setter, member, ...)                                     \
	{setter, offsetof(struct notify_channel, member), __VA_ARGS__},
#define KEY_NUMBER(name, setter, member, ...) KEY_##name,
enum { KEYS(KEY_NUMBER) KEY_COUNT };
static const char *const key_names[] = {KEYS(KEY_NAME)};
static const struct key keys[] = {KEYS(KEY_ROW)};

/*
 * A secret may hold anything. In quotes it is as other words are; else it is
 * the line to its end. What is wrong is told without it.
 */
static int take_secret(char **to, const char *value, struct err *err)
{
	struct entryfile_words words = {0};
	char *line = xstrdup(value);
	int rc = 0;

	if (*value != '"')
		vec_push(&words, xstrdup(str_trim(line)));
	else if (entryfile_words(value, &words, NULL) < 0 || words.len != 1)
		rc = err_set(err, 0, "in quotes, \" is \\\" and \\ is \\\\");
	if (rc == 0 &&
	    (!*words.items[0] || strlen(words.items[0]) > SECRET_MAX))
		rc = err_set(err, 0, "1 to %d bytes are allowed", SECRET_MAX);
	if (rc == 0)
		*to = xstrdup(words.items[0]);
	explicit_bzero(line, strlen(line));
	free(line);
	entryfile_words_free(&words);
	return rc;
}

static int take_value(struct notify_channel *c, int key, const char *value,
		      struct err *err)
{
	struct entryfile_words words = {0};
	void *to = (char *)c + keys[key].field;
	int rc;

	if (!keys[key].set) {
		rc = take_secret(to, value, err);
	} else {
		rc = entryfile_words(value, &words, err);
		if (rc == 0)
			rc = keys[key].set(to, &words, keys[key].hint, err);
		entryfile_words_free(&words);
	}
	if (key == KEY_Collect)
		c->collect_set = true;
	return rc < 0 ? err_add(err, "%s", key_names[key]) : 0;
}

bool notify_key_secret(const char *key)
{
	static const char *const names[] = {"Password", "Key"};

	/* One letter wrong is no reason to write it down. */
	for (int i = 0; i < 2; i++)
		if (nearest_distance(key, names[i]) <= 2)
			return true;
	return false;
}

/* ---- reading ---- */

struct reader {
	struct notify_conf *conf;
	struct notify_channel entry;
};

const struct notify_channel *notify_conf_find(const struct notify_conf *conf,
					      const char *name)
{
	const struct notify_channel *c;

	vec_each (c, &conf->entries)
		if (strcmp(c->name, name) == 0)
			return c;
	return NULL;
}

static void end_entry(struct entryfile *ef, void *arg)
{
	struct reader *r = arg;
	struct notify_channel *c = &r->entry;
	struct err err;

	if (!entryfile_is_void(ef) && notify_complete(c, &err) < 0)
		entryfile_wrong(ef, "%s: %s; it is void", c->name, err.text);
	if (!entryfile_is_void(ef) && notify_conf_find(r->conf, c->name))
		entryfile_wrong(ef, "%s: stands twice; this one is void",
				c->name);
	if (!entryfile_is_void(ef) &&
	    r->conf->entries.len >= NOTIFY_CHANNELS_MAX)
		entryfile_wrong(ef, "more than %d entries; this one is void",
				NOTIFY_CHANNELS_MAX);
	if (entryfile_is_void(ef))
		entry_free(c);
	else
		vec_push(&r->conf->entries, *c);
}

static void begin_entry(struct entryfile *ef, char *text, void *arg)
{
	struct reader *r = arg;

	entry_begin(&r->entry, entryfile_line(ef));
	text = str_trim(text);
	if (!entryfile_is_void(ef) &&
	    !(scan_name_valid(text) &&
	      str_copy(r->entry.name, sizeof(r->entry.name), text)))
		entryfile_wrong(ef,
				"an entry begins with [NAME], a letter and "
				"then at most %d letters, digits, _ and -; "
				"this one is void",
				SCAN_NAME_MAX - 1);
}

static void set_key(struct entryfile *ef, int key, char *value, void *arg)
{
	struct notify_channel *c = &((struct reader *)arg)->entry;
	struct err err;

	if (take_value(c, key, value, &err) < 0)
		entryfile_wrong(ef, "%s; %s is void", err.text, c->name);
}

static const struct entryfile_kind kind = {
	.head = "[NAME]",
	.keys = key_names,
	.keys_len = KEY_COUNT,
	.begin = begin_entry,
	.set = set_key,
	.end = end_entry,
};

struct notify_conf *notify_conf_parse(const char *text, const char *name)
{
	struct notify_conf *conf = xcalloc(1, sizeof(*conf));
	struct reader r = {.conf = conf};

	entryfile_parse(&kind, text, name, &conf->problems, &r);
	return conf;
}

/* What others can read is no secret. */
static void check_mode(struct notify_conf *conf, const char *path)
{
	const struct notify_channel *c;
	struct stat st;

	if (stat(path, &st) < 0 || !(st.st_mode & 077))
		return;
	vec_each (c, &conf->entries) {
		if (!c->password && !c->key)
			continue;
		entryfile_problem(&conf->problems, path,
				  "others than root may read it, and it holds "
				  "secrets: chmod 600 %s, and change them",
				  path);
		return;
	}
}

struct notify_conf *notify_conf_read(void)
{
	const char *path = paths()->notify;
	struct notify_conf *conf;
	struct err err;
	char *text = entryfile_read(path, NOTIFY_FILE_MAX, &err);

	if (text) {
		conf = notify_conf_parse(text, path);
		check_mode(conf, path);
		explicit_bzero(text, strlen(text));
	} else {
		conf = xcalloc(1, sizeof(*conf));
		if (err.code != ENOENT)
			entryfile_problem(&conf->problems, path,
					  "cannot be read, nobody is told of "
					  "anything: %s",
					  err.code ? strerror(err.code)
						   : err.text);
	}
	free(text);
	return conf;
}

void notify_conf_free(struct notify_conf **conf)
{
	struct notify_channel *c;

	if (!*conf)
		return;
	vec_each (c, &(*conf)->entries)
		entry_free(c);
	vec_free(&(*conf)->entries);
	entryfile_problems_free(&(*conf)->problems);
	xfree(conf);
}

char *notify_conf_edit(const char *old_text, const char *name, const char *key,
		       const char *value, bool quote, struct err *err)
{
	struct str word = {0};
	char *out;

	if (!scan_name_valid(name)) {
		err_set(err, EINVAL,
			"%s: a name is a letter and then at most %d letters, "
			"digits, _ and -",
			name, SCAN_NAME_MAX - 1);
		return NULL;
	}
	if (quote && *value) {
		/* Always in quotes: a # or a blank is part of it. */
		str_add(&word, "\"");
		for (; *value; value++) {
			if (*value == '"' || *value == '\\')
				str_add(&word, "\\");
			str_addn(&word, value, 1);
		}
		str_add(&word, "\"");
		value = str_get(&word);
	}
	out = entryfile_edit(&kind, old_text, name, key, value, err);
	if (word.s)
		explicit_bzero(word.s, word.len);
	str_free(&word);
	return out;
}

/* ---- what follows ---- */

static bool has_code(const struct entryfile_words *codes, const char *number)
{
	char **w;

	vec_each (w, codes)
		if (strcmp(*w, number) == 0)
			return true;
	return false;
}

bool notify_wants(const struct notify_channel *c, json_t *event)
{
	const char *name =
		json_string_value(json_object_get(event, "severity"));
	const struct event_kind *k = events_kind_find(
		json_string_value(json_object_get(event, "kind")));
	json_t *code = json_object_get(event, "code");
	char number[24] = "";

	if (!k || !(c->kinds & 1u << k->id))
		return false;
	if (json_is_integer(code))
		snprintf(number, sizeof(number), "%lld",
			 (long long)json_integer_value(code));
	if (has_code(&c->silent, number))
		return false;
	return events_severity_parse(name ? name : "") >= c->severity ||
	       has_code(&c->codes, number);
}

static void add(json_t *list, int key, const char *value)
{
	json_array_append_new(
		list, json_pack("{s:s, s:o}", "key", key_names[key], "value",
				jsontext_new(value ? value : "")));
}

static void add_words(json_t *list, int key,
		      const struct entryfile_words *words)
{
	char *text = entryfile_words_text(words);

	add(list, key, text);
	free(text);
}

static void add_word(json_t *list, int key, const char *word)
{
	struct str out = {0};

	if (word)
		entryfile_word_add(&out, word);
	add(list, key, str_get(&out));
	str_free(&out);
}

static void add_number(json_t *list, int key, int64_t n)
{
	char text[24];

	snprintf(text, sizeof(text), "%lld", (long long)n);
	add(list, key, text);
}

static void add_kinds(json_t *list, unsigned int kinds)
{
	struct str text = {0};

	if (kinds == (1u << EVENT_KIND_COUNT) - 1)
		str_add(&text, "all");
	else
		for (int i = 0; i < EVENT_KIND_COUNT; i++)
			if (kinds & 1u << i)
				str_addf(&text, "%s%s", text.len ? ", " : "",
					 event_kinds[i].name);
	add(list, KEY_Kinds, str_get(&text));
	str_free(&text);
}

static void add_address(json_t *list, int key, const char *value)
{
	char *masked = value ? address_mask(value) : NULL;

	add_word(list, key, masked);
	free(masked);
}

json_t *notify_json(const struct notify_channel *c)
{
	json_t *list = json_array();
	char time[32];

	snprintf(time, sizeof(time), "%llums",
		 (unsigned long long)c->collect_ms);
	if (c->collect_ms % 1000 == 0)
		snprintf(time, sizeof(time), "%llus",
			 (unsigned long long)(c->collect_ms / 1000));
	add(list, KEY_Type, notify_type_name(c->type));
	add(list, KEY_Enabled, c->enabled ? "yes" : "no");
	add_address(list, KEY_Server, c->server);
	add_word(list, KEY_Protocol, c->protocol);
	add_word(list, KEY_CA, c->ca);
	add_word(list, KEY_User, c->user);
	add(list, KEY_Password, c->password ? "set" : "");
	add(list, KEY_Key, c->key ? "set" : "");
	add(list, KEY_From, c->from);
	add_words(list, KEY_To, &c->to);
	add(list, KEY_Format, c->format);
	add(list, KEY_Facility, c->facility);
	add_address(list, KEY_Proxy, c->proxy);
	add_kinds(list, c->kinds);
	add(list, KEY_Severity,
	    events_severity_name((enum event_severity)c->severity));
	add_words(list, KEY_Codes, &c->codes);
	add_words(list, KEY_NotCodes, &c->silent);
	add_number(list, KEY_Rate, c->rate);
	add_number(list, KEY_Digest, c->digest);
	add(list, KEY_Collect, time);
	return list;
}

static void put(json_t *o, const char *name, const char *value)
{
	if (value)
		json_object_set_new(o, name, jsontext_new(value));
}

json_t *notify_job(const struct notify_channel *c)
{
	json_t *o = json_object(), *to = json_array();
	char **w;

	put(o, "name", c->name);
	put(o, "type", notify_type_name(c->type));
	put(o, "server", c->server);
	put(o, "protocol", c->protocol);
	put(o, "ca", c->ca);
	put(o, "user", c->user);
	put(o, "password", c->password);
	put(o, "key", c->key);
	put(o, "from", c->from);
	put(o, "format", c->format);
	put(o, "facility", c->facility);
	put(o, "proxy", c->proxy);
	vec_each (w, &c->to)
		json_array_append_new(to, json_string(*w));
	json_object_set_new(o, "to", to);
	return o;
}

char *notify_target(const struct notify_channel *c)
{
	const char *host = strstr(c->server, "://");

	/* Behind the host there often stands what gives the right to post. */
	if (c->type == NOTIFY_WEBHOOK && host)
		return xstrndup(c->server, (size_t)(host - c->server) + 3 +
						   strcspn(host + 3, "/?#"));
	if (c->type == NOTIFY_SMTP)
		return xasprintf("%s%s by %s (%s)", c->to.items[0],
				 c->to.len > 1 ? ", ..." : "", c->server,
				 c->protocol);
	return xasprintf("%s (%s)", c->server, c->protocol);
}
