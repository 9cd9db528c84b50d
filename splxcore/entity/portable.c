/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "portable.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "common/address.h"
#include "common/conflist.h"
#include "common/jsontext.h"
#include "common/netconf.h"
#include "common/notifyconf.h"
#include "common/paths.h"
#include "common/schedules.h"
#include "entries.h"
#include "lib/alloc.h"
#include "lib/log.h"
#include "lib/str.h"
#include "lib/vec.h"

#define CONF_NAME "splx.conf"
#define N(a) (sizeof(a) / sizeof((a)[0]))

/* ---- the files of entries ---- */

/* The first of a kind's problems as an error. */
#define CHECK(name, type, parse, release)                                      \
	static int check_##name(const char *text, const char *file,            \
				struct err *err)                               \
	{                                                                      \
		struct type *all = parse(text, file);                          \
		int rc = 0;                                                    \
                                                                               \
		if (all->problems.len)                                         \
			rc = err_set(err, EINVAL, "%s",                        \
				     all->problems.items[0].text);             \
		release(&all);                                                 \
		return rc;                                                     \
	}

CHECK(scans, schedules, schedules_parse, schedules_free)
CHECK(notify, notify_conf, notify_conf_parse, notify_conf_free)
CHECK(network, netconf, netconf_parse, netconf_free)
CHECK(conflicts, conflist, conflist_parse, conflist_free)

static const struct kind {
	const char *name;
	size_t path; /* in struct paths */
	size_t max;
	mode_t mode;
	bool secrets; /* it has keys whose values are none to be shown */
	int (*check)(const char *text, const char *file, struct err *err);
} kinds[] = {
	{"scans.conf", offsetof(struct paths, scans), SCHEDULES_FILE_MAX, 0644,
	 false, check_scans},
	{"notify.conf", offsetof(struct paths, notify), NOTIFY_FILE_MAX, 0600,
	 true, check_notify},
	{"network.conf", offsetof(struct paths, network), NETCONF_FILE_MAX,
	 0644, false, check_network},
	{"conflicts.conf", offsetof(struct paths, conflicts), CONFLIST_FILE_MAX,
	 0644, false, check_conflicts},
};

static const char *path_of(const struct kind *k)
{
	return *(const char *const *)((const char *)paths() + k->path);
}

struct file {
	bool is_named;
	char *then; /* as it is to be, whole */
	char *now;
	bool is_written;
};

struct portable {
	struct conf *conf;
	struct file files[N(kinds)];
};

/* ---- lines ---- */

/* The next line of a text, without its end; NULL: there is none. */
static char *next_line(const char **at)
{
	size_t len = strcspn(*at, "\n");
	char *line;

	if (!**at)
		return NULL;
	line = xstrndup(*at, len);
	*at += len + ((*at)[len] == '\n');
	return line;
}

/* The NAME of "# === NAME ==="; NULL: it is another line. */
static char *part_name(const char *line)
{
	size_t len = strlen(line);

	if (!str_starts(line, "# === ") || !str_ends(line, " ===") || len < 11)
		return NULL;
	return xstrndup(line + 6, len - 10);
}

/* Says it something? */
static bool is_empty(const char *line)
{
	line += strspn(line, " \t\r");
	return !*line || *line == '#';
}

/* The head of the entry that begins with the line; NULL: none does. */
static char *entry_head(const char *line)
{
	const char *end;

	line += strspn(line, " \t");
	end = *line == '[' ? strchr(line, ']') : NULL;
	return end ? xstrndup(line, (size_t)(end - line) + 1) : NULL;
}

/* The value of "Key = value" where the key is that of a secret. */
static const char *secret_of(const char *line, char key[32])
{
	const char *eq = strchr(line, '=');
	char name[32];
	size_t len;

	line += strspn(line, " \t");
	len = eq && eq > line ? (size_t)(eq - line) : 0;
	if (!len || len >= sizeof(name) || *line == '#')
		return NULL;
	memcpy(name, line, len);
	name[len] = '\0';
	str_copy(key, sizeof(name), str_trim(name));
	if (!notify_key_secret(key))
		return NULL;
	return eq + 1 + strspn(eq + 1, " \t");
}

/* ---- secrets ---- */

static char *mask(const struct kind *k, const char *text)
{
	struct str out = {0};
	char key[32], *line, *all;

	while (k->secrets && (line = next_line(&text))) {
		const char *value = secret_of(line, key);

		if (value && *value)
			str_addf(&out, "%s = " ADDRESS_MASK "\n", key);
		else
			str_addf(&out, "%s\n", line);
		explicit_bzero(line, strlen(line));
		free(line);
	}
	all = address_mask(k->secrets ? str_get(&out) : text);
	str_free(&out);
	return all;
}

/* The line that has the secret of an entry here; NULL: there is none. */
static char *secret_line(const char *now, const char *head, const char *key)
{
	char *at = NULL, *line, *found = NULL, *other, name[32];

	while (!found && (line = next_line(&now))) {
		other = entry_head(line);
		if (other) {
			free(at);
			at = other;
		} else if (at && !strcmp(at, head) && secret_of(line, name) &&
			   !strcmp(name, key)) {
			found = xstrdup(line);
		}
		explicit_bzero(line, strlen(line));
		free(line);
	}
	free(at);
	return found;
}

/* Puts in what a mask stands for. NULL and *err. */
static char *fill(const struct kind *k, const char *text, const char *now,
		  struct err *err)
{
	struct str out = {0};
	char key[32], *line, *head = xstrdup(""), *other, *all = NULL;
	int rc = 0;

	while (rc == 0 && (line = next_line(&text))) {
		const char *value = k->secrets ? secret_of(line, key) : NULL;

		other = entry_head(line);
		if (other) {
			free(head);
			head = other;
		}
		if (value && !strcmp(value, ADDRESS_MASK)) {
			char *own = secret_line(now, head, key);

			if (own)
				str_addf(&out, "%s\n", own);
			else
				rc = err_set(err, EINVAL,
					     "%s: %s: %s is %s, and there is "
					     "no secret here that it could "
					     "stand for: write it, or leave "
					     "the line out",
					     k->name, head, key, ADDRESS_MASK);
			free(own);
		} else {
			str_addf(&out, "%s\n", line);
		}
		free(line);
	}
	if (rc == 0)
		all = address_fill(str_get(&out), now, err);
	free(head);
	str_free(&out);
	return all;
}

/* ---- out ---- */

/* A part's text; a line in it that looks like a part's head becomes none. */
static void add_part(struct str *out, const char *name, const char *text)
{
	char *line, *other;

	str_addf(out, "# === %s ===\n", name);
	while ((line = next_line(&text))) {
		other = part_name(line);
		str_addf(out, "%s%s\n", other ? "# " : "", line);
		free(other);
		free(line);
	}
}

char *portable_export(const struct conf *conf)
{
	char *dump = conf_dump(conf), *text = address_mask(dump), *now;
	struct str out = {0};
	struct err err;
	size_t i;

	add_part(&out, CONF_NAME, text);
	free(text);
	free(dump);
	for (i = 0; i < N(kinds); i++) {
		now = entries_read(path_of(&kinds[i]), kinds[i].max, &err);
		if (!now) {
			/* A comment, so that who imports it loses nothing. */
			str_addf(&out, "# %s cannot be read: %s\n",
				 kinds[i].name, err.text);
			continue;
		}
		text = mask(&kinds[i], now);
		add_part(&out, kinds[i].name, text);
		free(text);
		explicit_bzero(now, strlen(now));
		free(now);
	}
	return str_take(&out);
}

/* ---- in ---- */

void portable_free(struct portable **p)
{
	size_t i;

	if (!*p)
		return;
	for (i = 0; i < N(kinds); i++) {
		free((*p)->files[i].then);
		free((*p)->files[i].now);
	}
	conf_free(&(*p)->conf);
	free(*p);
	*p = NULL;
}

const struct conf *portable_conf(const struct portable *p)
{
	return p->conf;
}

/* 0: splx.conf, from 1: kinds; -1 and *err. */
static int part_of(const char *name, struct err *err)
{
	size_t i;

	if (!strcmp(name, CONF_NAME))
		return 0;
	for (i = 0; i < N(kinds); i++)
		if (!strcmp(name, kinds[i].name))
			return (int)i + 1;
	return err_set(err, EINVAL,
		       "%s: no such part of the settings; there are splx.conf, "
		       "scans.conf, notify.conf, network.conf, conflicts.conf",
		       name);
}

/* Cuts the text into parts; named[i]: it is there. */
static int split(const char *text, struct str parts[], bool named[],
		 struct err *err)
{
	bool any = false, said = false;
	char *line, *name;
	int at = 0, rc = 0;

	while (rc == 0 && (line = next_line(&text))) {
		name = part_name(line);
		if (name) {
			any = true;
			at = part_of(name, err);
			rc = at < 0 ? -1 : 0;
			if (rc == 0 && named[at])
				rc = err_set(err, EINVAL, "%s: stands twice",
					     name);
			if (rc == 0)
				named[at] = true;
		} else {
			/* What stands before the first head. */
			said |= !any && !is_empty(line);
			str_addf(&parts[at], "%s\n", line);
		}
		free(name);
		free(line);
	}
	if (rc == 0 && any && said)
		return err_set(err, EINVAL,
			       "settings stand before the first line of the "
			       "form # === NAME ===");
	named[0] |= !any;
	return rc;
}

static int take_conf(struct portable *p, const char *text,
		     const struct conf *now, struct err *err)
{
	char *old = conf_dump(now), *full = address_fill(text, old, err);

	if (full)
		p->conf = conf_parse(full, "text", err);
	free(full);
	free(old);
	return p->conf ? 0 : -1;
}

static int take_file(struct file *f, const struct kind *k, const char *text,
		     struct err *err)
{
	f->is_named = true;
	f->now = entries_read(path_of(k), k->max, err);
	f->then = f->now ? fill(k, text, f->now, err) : NULL;
	if (!f->then)
		return -1;
	if (strlen(f->then) > k->max)
		return err_set(err, EINVAL, "%s: too long", k->name);
	return k->check(f->then, k->name, err);
}

struct portable *portable_parse(const char *text, const struct conf *now,
				struct err *err)
{
	struct portable *p = xcalloc(1, sizeof(*p));
	struct str parts[N(kinds) + 1] = {0};
	bool named[N(kinds) + 1] = {0};
	int rc = split(text, parts, named, err);
	size_t i;

	if (rc == 0 && named[0])
		rc = take_conf(p, str_get(&parts[0]), now, err);
	for (i = 0; i < N(kinds) && rc == 0; i++)
		if (named[i + 1])
			rc = take_file(&p->files[i], &kinds[i],
				       str_get(&parts[i + 1]), err);
	for (i = 0; i < N(parts); i++)
		str_free(&parts[i]);
	if (rc < 0)
		portable_free(&p);
	return p;
}

/* ---- what would change ---- */

struct entry {
	char *head;
	struct str body;
};
struct entries {
	VEC(struct entry);
};

/* A text's entries, without comments; secrets masked. */
static void entries_of(const struct kind *k, const char *text,
		       struct entries *all)
{
	char *shown = mask(k, text), *line, *head;
	const char *at = shown;

	memset(all, 0, sizeof(*all));
	while ((line = next_line(&at))) {
		head = entry_head(line);
		if (head) {
			struct entry e = {.head = head};

			vec_push(all, e);
		} else if (all->len && !is_empty(line)) {
			str_addf(&all->items[all->len - 1].body, "%s\n", line);
		}
		free(line);
	}
	free(shown);
}

static void entries_free(struct entries *all)
{
	struct entry *e;

	vec_each (e, all) {
		free(e->head);
		str_free(&e->body);
	}
	vec_free(all);
}

static const char *body_of(const struct entries *all, const char *head)
{
	struct entry *e;

	vec_each (e, all)
		if (!strcmp(e->head, head))
			return str_get(&e->body);
	return NULL;
}

static char *heads_of(const struct entries *all)
{
	struct str out = {0};
	struct entry *e;

	vec_each (e, all)
		str_addf(&out, "%s\n", e->head);
	return str_take(&out);
}

static void tell(json_t *to, const char *key, const char *text)
{
	json_object_set_new(to, key, jsontext_new(text ? text : ""));
}

/* Entries of `all` that are otherwise in `other`; `is_then`: all is to be. */
static void tell_entries(const struct kind *k, const struct entries *all,
			 const struct entries *other, bool is_then,
			 json_t *before, json_t *after)
{
	struct entry *e;

	vec_each (e, all) {
		const char *mine = str_get(&e->body);
		const char *theirs = body_of(other, e->head);
		char *key;

		if (theirs && !strcmp(theirs, mine))
			continue;
		key = xasprintf("%s %s", k->name, e->head);
		tell(before, key, is_then ? theirs : mine);
		tell(after, key, is_then ? mine : theirs);
		free(key);
	}
}

static size_t file_differences(const struct kind *k, const struct file *f,
			       json_t *before, json_t *after)
{
	size_t was = json_object_size(after);
	struct entries now, then;
	char *a, *b;

	entries_of(k, f->now, &now);
	entries_of(k, f->then, &then);
	tell_entries(k, &then, &now, true, before, after);
	tell_entries(k, &now, &then, false, before, after);
	a = heads_of(&now);
	b = heads_of(&then);
	/* The same entries in another order, which may mean another thing. */
	if (json_object_size(after) == was && strcmp(a, b) != 0) {
		tell(before, k->name, a);
		tell(after, k->name, b);
	}
	/* A secret that is another one shows nowhere else. */
	if (json_object_size(after) == was && k->secrets &&
	    strcmp(f->now, f->then) != 0) {
		tell(before, k->name, ADDRESS_MASK);
		tell(after, k->name, ADDRESS_MASK);
	}
	free(a);
	free(b);
	entries_free(&now);
	entries_free(&then);
	return json_object_size(after) - was;
}

size_t portable_differences(const struct portable *p, json_t *before,
			    json_t *after)
{
	size_t i, n = 0;

	for (i = 0; i < N(kinds); i++)
		if (p->files[i].is_named)
			n += file_differences(&kinds[i], &p->files[i], before,
					      after);
	return n;
}

/* ---- writing ---- */

void portable_undo(struct portable *p)
{
	struct err err;
	size_t i;

	for (i = 0; i < N(kinds); i++) {
		struct file *f = &p->files[i];

		if (f->is_written && entries_write(path_of(&kinds[i]), f->now,
						   kinds[i].mode, &err) < 0)
			log_error("%s: as it was: %s", kinds[i].name, err.text);
		f->is_written = false;
	}
}

int portable_write(struct portable *p, struct err *err)
{
	size_t i;

	for (i = 0; i < N(kinds); i++) {
		struct file *f = &p->files[i];

		if (!f->is_named || !strcmp(f->now, f->then))
			continue;
		if (entries_write(path_of(&kinds[i]), f->then, kinds[i].mode,
				  err) < 0) {
			portable_undo(p);
			return -1;
		}
		f->is_written = true;
	}
	return 0;
}
