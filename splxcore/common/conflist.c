/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "conflist.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "lib/alloc.h"
#include "lib/str.h"
#include "paths.h"

#define NAME_MAX_LEN 63

enum key { KEY_PRODUCT, KEY_MODULE, KEY_RESTARTS, KEY_TEXT, KEYS };

static const char *const key_names[KEYS] = {
	[KEY_PRODUCT] = "Product",
	[KEY_MODULE] = "Module",
	[KEY_RESTARTS] = "RestartsItself",
	[KEY_TEXT] = "Text",
};

/* A file on its way to a list. */
struct reader {
	struct conflist *list;
	struct conflist_entry entry; /* the one that is being read */
};

static void words_free(struct conflist_words *words)
{
	char **w;

	vec_each (w, words)
		free(*w);
	vec_free(words);
}

static void entry_free(struct conflist_entry *e)
{
	words_free(&e->services);
	words_free(&e->modules);
	xfree(&e->product);
	xfree(&e->restarts);
	xfree(&e->text);
}

static bool is_name(const char *word, const char *more)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "abcdefghijklmnopqrstuvwxyz"
				      "0123456789_.@+-";
	size_t n = strlen(word), i;

	if (n == 0 || n > NAME_MAX_LEN || *word == '-' || *word == '.')
		return false;
	for (i = 0; i < n; i++)
		if (!strchr(letters, word[i]) && !strchr(more, word[i]))
			return false;
	return true;
}

/* Splits at blanks and commas; each word is a name, or the entry is void. */
static void take_words(struct entryfile *ef, char *text, const char *more,
		       const char *what, struct conflist_words *words)
{
	char *save, *word;

	for (word = strtok_r(text, " \t,", &save); word;
	     word = strtok_r(NULL, " \t,", &save)) {
		if (!is_name(word, more)) {
			entryfile_wrong(ef, "%s: is no name of a %s", word,
					what);
			return;
		}
		vec_push(words, xstrdup(word));
	}
	if (!words->len)
		entryfile_wrong(ef, "the name of a %s is missing", what);
}

static void begin_entry(struct entryfile *ef, char *text, void *arg)
{
	struct reader *r = arg;

	r->entry.line = entryfile_line(ef);
	if (!entryfile_is_void(ef))
		take_words(ef, text, "", "service", &r->entry.services);
}

/* Puts the entry that was read into the list, unless it is void. */
static void end_entry(struct entryfile *ef, void *arg)
{
	struct reader *r = arg;
	char **service;

	if (!entryfile_is_void(ef) && !r->entry.product)
		entryfile_wrong(ef, "the entry has no Product; it is void");
	vec_each (service, &r->entry.services)
		if (!entryfile_is_void(ef) &&
		    conflist_service(r->list, *service))
			entryfile_wrong(ef,
					"%s: stands twice; this entry is void",
					*service);
	if (!entryfile_is_void(ef) &&
	    r->list->entries.len >= CONFLIST_ENTRIES_MAX)
		entryfile_wrong(ef, "more than %d entries; this one is void",
				CONFLIST_ENTRIES_MAX);
	if (entryfile_is_void(ef))
		entry_free(&r->entry);
	else
		vec_push(&r->list->entries, r->entry);
	memset(&r->entry, 0, sizeof(r->entry));
}

/* A value in place, without its quotes. False when it is not right. */
static bool take_value(struct entryfile *ef, char *value)
{
	char *to = value, *from = value + 1;

	if (*value != '"') {
		char *comment = strstr(value, " #");

		if (comment)
			*comment = '\0';
		str_trim(value);
		return true;
	}
	while (*from && *from != '"') {
		if (*from == '\\' && (from[1] == '"' || from[1] == '\\'))
			from++;
		*to++ = *from++;
	}
	if (*from != '"' || !entryfile_is_rest(from + 1)) {
		entryfile_wrong(ef, "the text has to end with \" and nothing "
				    "behind it");
		return false;
	}
	*to = '\0';
	return true;
}

static bool is_no(const char *value)
{
	return !strcasecmp(value, "no") || !strcasecmp(value, "never");
}

static void set_key(struct entryfile *ef, int key, char *value, void *arg)
{
	struct conflist_entry *e = &((struct reader *)arg)->entry;
	char **to = NULL;

	if (!take_value(ef, value))
		return;
	if (!*value || strlen(value) > CONFLIST_TEXT_MAX) {
		entryfile_wrong(ef, "%s: %s", key_names[key],
				*value ? "the text is too long"
				       : "a value is missing");
		return;
	}
	if (key == KEY_MODULE)
		take_words(ef, value, "*?", "kernel module", &e->modules);
	else if (key == KEY_PRODUCT)
		to = &e->product;
	else if (key == KEY_TEXT)
		to = &e->text;
	else if (!is_no(value))
		to = &e->restarts;
	if (to)
		*to = xstrdup(value);
}

struct conflist *conflist_parse(const char *text, const char *name)
{
	static const struct entryfile_kind kind = {
		.head = "[NAME ...]",
		.keys = key_names,
		.keys_len = KEYS,
		.begin = begin_entry,
		.set = set_key,
		.end = end_entry,
	};
	struct conflist *list = xcalloc(1, sizeof(*list));
	struct reader r = {.list = list};

	entryfile_parse(&kind, text, name, &list->problems, &r);
	return list;
}

struct conflist *conflist_read(void)
{
	const char *path = paths()->conflicts;
	struct conflist *list;
	struct err err;
	char *text = entryfile_read(path, CONFLIST_FILE_MAX, &err);

	if (text) {
		list = conflist_parse(text, path);
	} else {
		list = xcalloc(1, sizeof(*list));
		entryfile_problem(&list->problems, path,
				  "no service is known by name: %s",
				  err.code ? strerror(err.code) : err.text);
	}
	free(text);
	return list;
}

void conflist_free(struct conflist **list)
{
	struct conflist_entry *e;

	if (!*list)
		return;
	vec_each (e, &(*list)->entries)
		entry_free(e);
	vec_free(&(*list)->entries);
	entryfile_problems_free(&(*list)->problems);
	xfree(list);
}

const struct conflist_entry *conflist_service(const struct conflist *list,
					      const char *service)
{
	const struct conflist_entry *e;
	char **name;

	vec_each (e, &list->entries)
		vec_each (name, &e->services)
			if (strcmp(*name, service) == 0)
				return e;
	return NULL;
}

/* The kernel writes _ for each - of a file's name. */
static void module_name(char *out, size_t size, const char *name)
{
	str_copy(out, size, name);
	for (; *out; out++)
		if (*out == '-')
			*out = '_';
}

bool conflist_same_module(const char *a, const char *b)
{
	char x[NAME_MAX_LEN + 1], y[NAME_MAX_LEN + 1];

	module_name(x, sizeof(x), a);
	module_name(y, sizeof(y), b);
	return strcmp(x, y) == 0;
}

const struct conflist_entry *conflist_module(const struct conflist *list,
					     const char *module)
{
	char wanted[NAME_MAX_LEN + 1], known[NAME_MAX_LEN + 1];
	const struct conflist_entry *e;
	char **pattern;

	module_name(wanted, sizeof(wanted), module);
	vec_each (e, &list->entries) {
		vec_each (pattern, &e->modules) {
			module_name(known, sizeof(known), *pattern);
			if (fnmatch(known, wanted, 0) == 0)
				return e;
		}
	}
	return NULL;
}
