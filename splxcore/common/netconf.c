/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "netconf.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "jsontext.h"
#include "lib/alloc.h"
#include "lib/proc.h"
#include "lib/str.h"
#include "paths.h"

#define TEXT_MAX 500

static void entry_free(struct netrule *r)
{
	entryfile_words_free(&r->address);
	entryfile_words_free(&r->local);
	entryfile_words_free(&r->port);
	entryfile_words_free(&r->user);
	entryfile_words_free(&r->list);
	xfree(&r->text);
	addrset_free(&r->remote_set);
	addrset_free(&r->local_set);
	vec_free(&r->ports);
	vec_free(&r->uids);
}

static void entry_begin(struct netrule *r, int line)
{
	memset(r, 0, sizeof(*r));
	r->line = line;
	r->enabled = true;
	r->action = -1;
}

bool netrule_name_valid(const char *name)
{
	for (const char *p = name; *p; p++)
		if (!isascii(*p) ||
		    (!isalnum((unsigned char)*p) && !strchr("_-", *p)))
			return false;
	return isalpha((unsigned char)*name) && strlen(name) <= NET_NAME_MAX;
}

static const char *const actions[CONN_VERDICTS] = {
	[CONN_ALLOW] = "allow",
	[CONN_ALERT] = "alert",
	[CONN_DROP] = "drop",
	[CONN_RESET] = "reset",
};
static const char *const directions[] = {
	[NETRULE_BOTH] = "both",
	[NETRULE_IN] = "in",
	[NETRULE_OUT] = "out",
};

const char *netrule_action(int action)
{
	return action >= 0 && action < CONN_VERDICTS ? actions[action] : "";
}

const char *netrule_direction(int direction)
{
	return directions[direction];
}

/* ---- the keys ---- */

static const char *only(const struct entryfile_words *words)
{
	return words->len == 1 ? words->items[0] : "";
}

static bool is_any(const struct entryfile_words *words)
{
	return strcasecmp(only(words), "any") == 0;
}

static void keep(struct entryfile_words *to,
		 const struct entryfile_words *words)
{
	char **w;

	vec_each (w, words)
		vec_push(to, xstrdup(*w));
}

static int set_action(struct netrule *r, const struct entryfile_words *words,
		      struct err *err)
{
	for (int i = 0; i < CONN_VERDICTS; i++)
		if (strcmp(only(words), actions[i]) == 0)
			r->action = i;
	return r->action >= 0 ? 0
			      : err_set(err, 0,
					"allow, alert, drop or reset is "
					"allowed");
}

static int set_direction(struct netrule *r, const struct entryfile_words *words,
			 struct err *err)
{
	for (int i = 0; i <= NETRULE_OUT; i++)
		if (strcmp(only(words), directions[i]) == 0) {
			r->direction = i;
			return 0;
		}
	return err_set(err, 0, "in, out or both is allowed");
}

static int take_networks(struct addrset **set_r, struct entryfile_words *to,
			 const struct entryfile_words *words, struct err *err)
{
	struct addrset *set = addrset_new();
	struct netaddr net;
	char **w;

	vec_each (w, words) {
		if (netaddr_parse(*w, &net, NULL) < 0) {
			addrset_free(&set);
			return err_set(err, 0,
				       "%s: addresses and networks are "
				       "allowed, such as 192.0.2.0/24, "
				       "2001:db8::/32, or any",
				       *w);
		}
		addrset_add(set, &net);
	}
	addrset_seal(set);
	keep(to, words);
	*set_r = set;
	return 0;
}

static int set_address(struct netrule *r, const struct entryfile_words *words,
		       struct err *err)
{
	if (!is_any(words))
		return take_networks(&r->remote_set, &r->address, words, err);
	keep(&r->address, words);
	return 0;
}

static int set_local(struct netrule *r, const struct entryfile_words *words,
		     struct err *err)
{
	if (!is_any(words))
		return take_networks(&r->local_set, &r->local, words, err);
	keep(&r->local, words);
	return 0;
}

/* "22", "8000-8080" */
static int take_ports(const char *word, struct netrule_ports *ports_r,
		      struct err *err)
{
	const char *dash = strchr(word, '-');
	char *first =
		xstrndup(word, dash ? (size_t)(dash - word) : strlen(word));
	int64_t a, b;
	int rc = str_to_i64(first, 1, 65535, &a, NULL);

	b = a;
	if (rc == 0 && dash)
		rc = str_to_i64(dash + 1, a, 65535, &b, NULL);
	free(first);
	if (rc < 0)
		return err_set(err, 0,
			       "%s: ports from 1 to 65535 are allowed, such "
			       "as 22, 8000-8080, or any",
			       word);
	*ports_r = (struct netrule_ports){(uint16_t)a, (uint16_t)b};
	return 0;
}

static int set_port(struct netrule *r, const struct entryfile_words *words,
		    struct err *err)
{
	struct netrule_ports ports;
	char **w;

	if (!is_any(words))
		vec_each (w, words) {
			if (take_ports(*w, &ports, err) < 0)
				return -1;
			vec_push(&r->ports, ports);
		}
	keep(&r->port, words);
	return 0;
}

static int set_user(struct netrule *r, const struct entryfile_words *words,
		    struct err *err)
{
	uid_t uid;
	gid_t gid;
	char **w;

	if (!is_any(words))
		vec_each (w, words) {
			if (proc_user(*w, &uid, &gid, NULL) < 0)
				return err_set(err, 0,
					       "%s: there is no such user", *w);
			vec_push(&r->uids, (uint32_t)uid);
		}
	keep(&r->user, words);
	return 0;
}

static int set_list(struct netrule *r, const struct entryfile_words *words,
		    struct err *err)
{
	char **w;

	vec_each (w, words)
		if (strlen(*w) > NET_NAME_MAX || strchr(*w, '/'))
			return err_set(err, 0,
				       "%s: names of lists are allowed, as "
				       "splxctl network lists shows them",
				       *w);
	keep(&r->list, words);
	return 0;
}

static int set_enabled(struct netrule *r, const struct entryfile_words *words,
		       struct err *err)
{
	r->enabled = strcmp(only(words), "yes") == 0;
	return r->enabled || strcmp(only(words), "no") == 0
		       ? 0
		       : err_set(err, 0, "yes or no is allowed");
}

static int set_text(struct netrule *r, const struct entryfile_words *words,
		    struct err *err)
{
	if (words->len != 1 || strlen(only(words)) > TEXT_MAX)
		return err_set(err, 0,
			       "one text of at most %d bytes is allowed, in "
			       "\"\" where it has commas",
			       TEXT_MAX);
	r->text = xstrdup(only(words));
	return 0;
}

/* Each takes the words of a value; -1 and *err with what is allowed. */
#define KEYS(KEY)                                                              \
	KEY("Action", set_action)                                              \
	KEY("Direction", set_direction)                                        \
	KEY("Address", set_address)                                            \
	KEY("Local", set_local)                                                \
	KEY("Port", set_port)                                                  \
	KEY("User", set_user)                                                  \
	KEY("List", set_list)                                                  \
	KEY("Enabled", set_enabled)                                            \
	KEY("Text", set_text)

#define KEY_NAME(name, set) name,
#define KEY_SETTER(name, set) set,
static const char *const key_names[] = {KEYS(KEY_NAME)};
static int (*const setters[])(struct netrule *r,
			      const struct entryfile_words *words,
			      struct err *err) = {KEYS(KEY_SETTER)};

/* ---- reading ---- */

/* A file on its way to a list. */
struct reader {
	struct netconf *conf;
	struct netrule entry; /* the one that is being read */
};

const struct netrule *netconf_find(const struct netconf *conf, const char *name)
{
	const struct netrule *r;

	vec_each (r, &conf->entries)
		if (strcmp(r->name, name) == 0)
			return r;
	return NULL;
}

static bool fits_all(const struct netrule *r)
{
	return !r->address.len && !r->local.len && !r->port.len &&
	       !r->user.len && !r->list.len;
}

static void check_entry(struct entryfile *ef, const struct reader *reader)
{
	const struct netrule *r = &reader->entry;

	if (r->action < 0)
		entryfile_wrong(ef,
				"%s: has no Action: allow, alert, drop or "
				"reset",
				r->name);
	else if (r->action >= CONN_DROP && fits_all(r))
		entryfile_wrong(ef,
				"%s: would prevent every connection: it wants "
				"an Address, Local, Port, User or List "
				"(Address = any when that is meant)",
				r->name);
	else if (netconf_find(reader->conf, r->name))
		entryfile_wrong(ef, "%s: stands twice", r->name);
	else if (reader->conf->entries.len >= NETCONF_RULES_MAX)
		entryfile_wrong(ef, "more than %d rules", NETCONF_RULES_MAX);
}

static void end_entry(struct entryfile *ef, void *arg)
{
	struct reader *reader = arg;

	if (!entryfile_is_void(ef))
		check_entry(ef, reader);
	if (entryfile_is_void(ef))
		entry_free(&reader->entry);
	else
		vec_push(&reader->conf->entries, reader->entry);
}

static void begin_entry(struct entryfile *ef, char *text, void *arg)
{
	struct netrule *r = &((struct reader *)arg)->entry;

	entry_begin(r, entryfile_line(ef));
	text = str_trim(text);
	if (entryfile_is_void(ef))
		return;
	if (netrule_name_valid(text))
		str_copy(r->name, sizeof(r->name), text);
	else
		entryfile_wrong(ef,
				"a rule begins with [NAME], a letter and then "
				"at most %d letters, digits, _ and -",
				NET_NAME_MAX - 1);
}

static void set_key(struct entryfile *ef, int key, char *value, void *arg)
{
	struct netrule *r = &((struct reader *)arg)->entry;
	struct entryfile_words words = {0};
	struct err err;

	if (entryfile_words(value, &words, &err) < 0 ||
	    setters[key](r, &words, &err) < 0)
		entryfile_wrong(ef, "%s: %s", key_names[key], err.text);
	entryfile_words_free(&words);
}

static const struct entryfile_kind kind = {
	.head = "[NAME]",
	.keys = key_names,
	.keys_len = sizeof(key_names) / sizeof(key_names[0]),
	.begin = begin_entry,
	.set = set_key,
	.end = end_entry,
};

struct netconf *netconf_parse(const char *text, const char *name)
{
	struct netconf *conf = xcalloc(1, sizeof(*conf));
	struct reader reader = {.conf = conf};

	entryfile_parse(&kind, text, name, &conf->problems, &reader);
	return conf;
}

struct netconf *netconf_read(void)
{
	const char *path = paths()->network;
	struct netconf *conf;
	struct err err;
	char *text = entryfile_read(path, NETCONF_FILE_MAX, &err);

	if (text) {
		conf = netconf_parse(text, path);
	} else {
		conf = xcalloc(1, sizeof(*conf));
		if (err.code != ENOENT)
			entryfile_problem(
				&conf->problems, path, "cannot be read: %s",
				err.code ? strerror(err.code) : err.text);
	}
	free(text);
	return conf;
}

int netconf_check(const struct netconf *conf, struct err *err)
{
	size_t n = conf->problems.len;

	if (n == 0)
		return 0;
	if (n == 1)
		return err_set(err, EINVAL, "%s", conf->problems.items[0].text);
	return err_set(err, 0, "%s (and %zu more)",
		       conf->problems.items[0].text, n - 1);
}

void netconf_free(struct netconf **conf)
{
	struct netrule *r;

	if (!*conf)
		return;
	vec_each (r, &(*conf)->entries)
		entry_free(r);
	vec_free(&(*conf)->entries);
	entryfile_problems_free(&(*conf)->problems);
	xfree(conf);
}

/* ---- writing ---- */

static void add(json_t *list, const char *key, const char *value)
{
	json_array_append_new(list, json_pack("{s:s, s:o}", "key", key, "value",
					      jsontext_new(value)));
}

static void add_words(json_t *list, const char *key,
		      const struct entryfile_words *words)
{
	char *text = entryfile_words_text(words);

	add(list, key, text);
	free(text);
}

json_t *netrule_json(const struct netrule *r)
{
	json_t *list = json_array();
	struct str text = {0};

	if (r->text)
		entryfile_word_add(&text, r->text);
	add(list, "Action", netrule_action(r->action));
	add(list, "Direction", directions[r->direction]);
	add_words(list, "Address", &r->address);
	add_words(list, "Local", &r->local);
	add_words(list, "Port", &r->port);
	add_words(list, "User", &r->user);
	add_words(list, "List", &r->list);
	add(list, "Enabled", r->enabled ? "yes" : "no");
	add(list, "Text", str_get(&text));
	str_free(&text);
	return list;
}

static void say(struct str *out, const char *what,
		const struct entryfile_words *words)
{
	char *text;

	if (!words->len)
		return;
	text = entryfile_words_text(words);
	str_addf(out, "%s%s%s", out->len ? "; " : "", what, text);
	free(text);
}

char *netrule_summary(const struct netrule *r)
{
	struct str out = {0};

	if (r->direction != NETRULE_BOTH)
		str_add(&out, directions[r->direction]);
	say(&out, "address ", &r->address);
	say(&out, "list ", &r->list);
	say(&out, "port ", &r->port);
	say(&out, "user ", &r->user);
	say(&out, "local ", &r->local);
	if (!out.len)
		str_add(&out, "everything");
	return str_take(&out);
}

static int check_name(const char *name, struct err *err)
{
	return netrule_name_valid(name)
		       ? 0
		       : err_set(err, EINVAL,
				 "%s: a name is a letter and then at most %d "
				 "letters, digits, _ and -",
				 name, NET_NAME_MAX - 1);
}

char *netconf_edit(const char *old_text, const char *name, const char *key,
		   const char *value, struct err *err)
{
	if (check_name(name, err) < 0)
		return NULL;
	return entryfile_edit(&kind, old_text, name, key, value, err);
}

char *netconf_move(const char *old_text, const char *name, const char *before,
		   struct err *err)
{
	if (check_name(name, err) < 0 ||
	    (before && check_name(before, err) < 0))
		return NULL;
	return entryfile_move(old_text, name, before, err);
}
