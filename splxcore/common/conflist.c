/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "conflist.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "lib/alloc.h"
#include "lib/fdutil.h"
#include "lib/log.h"
#include "lib/str.h"
#include "nearest.h"
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
	const char *name;
	int line;
	struct conflist_entry entry; /* the one that is being read */
	bool open;		     /* there is one */
	bool is_void;		     /* something in it is wrong */
	unsigned int seen;	     /* bits of its keys */
};

static void problem(struct conflist *list, const char *name, int line,
		    const char *fmt, ...) __attribute__((format(printf, 4, 5)));
static void problem(struct conflist *list, const char *name, int line,
		    const char *fmt, ...)
{
	struct conflist_problem p = {.line = line};
	struct str text = {0}, said = {0};
	va_list ap;
	size_t size;

	va_start(ap, fmt);
	str_vaddf(&said, fmt, ap);
	va_end(ap);
	if (line)
		str_addf(&text, "%s:%d: %s", name, line, str_get(&said));
	else
		str_addf(&text, "%s: %s", name, str_get(&said));
	size = text.len * 4 + 1;
	p.text = xmalloc(size);
	log_escape(p.text, size, str_get(&text));
	str_free(&said);
	str_free(&text);
	vec_push(&list->problems, p);
}

/* The entry that is being read is void. */
#define WRONG(r, ...)                                                          \
	do {                                                                   \
		problem((r)->list, (r)->name, (r)->line, __VA_ARGS__);         \
		(r)->is_void = true;                                           \
	} while (0)

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
static void take_words(struct reader *r, char *text, const char *more,
		       const char *what, struct conflist_words *words)
{
	char *save, *word;

	for (word = strtok_r(text, " \t,", &save); word;
	     word = strtok_r(NULL, " \t,", &save)) {
		if (!is_name(word, more)) {
			WRONG(r, "%s: is no name of a %s", word, what);
			return;
		}
		vec_push(words, xstrdup(word));
	}
	if (!words->len)
		WRONG(r, "the name of a %s is missing", what);
}

/* Puts the entry that was read into the list, unless it is void. */
static void end_entry(struct reader *r)
{
	char **service;
	int line = r->line;

	if (!r->open)
		return;
	r->line = r->entry.line;
	if (!r->is_void && !r->entry.product)
		WRONG(r, "the entry has no Product; it is void");
	vec_each (service, &r->entry.services)
		if (!r->is_void && conflist_service(r->list, *service))
			WRONG(r, "%s: stands twice; this entry is void",
			      *service);
	if (!r->is_void && r->list->entries.len >= CONFLIST_ENTRIES_MAX)
		WRONG(r, "more than %d entries; this one is void",
		      CONFLIST_ENTRIES_MAX);
	if (r->is_void)
		entry_free(&r->entry);
	else
		vec_push(&r->list->entries, r->entry);
	memset(&r->entry, 0, sizeof(r->entry));
	r->open = false;
	r->line = line;
}

/* Only a comment may follow behind what is whole. */
static bool is_rest(const char *rest)
{
	rest += strspn(rest, " \t");
	return !*rest || *rest == '#';
}

static void begin_entry(struct reader *r, char *line)
{
	char *close = strchr(line, ']');

	end_entry(r);
	r->open = true;
	r->is_void = false;
	r->seen = 0;
	r->entry.line = r->line;
	if (!close || !is_rest(close + 1)) {
		WRONG(r, "an entry begins with [NAME ...]; this one is void");
		return;
	}
	*close = '\0';
	take_words(r, line + 1, "", "service", &r->entry.services);
}

/* A value in place, without its quotes. False when it is not right. */
static bool take_value(struct reader *r, char *value)
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
	if (*from != '"' || !is_rest(from + 1)) {
		WRONG(r, "the text has to end with \" and nothing behind it");
		return false;
	}
	*to = '\0';
	return true;
}

static int find_key(struct reader *r, const char *word)
{
	int i, best = -1, least = 99;

	for (i = 0; i < KEYS; i++) {
		int d = nearest_distance(word, key_names[i]);

		if (strcmp(word, key_names[i]) == 0)
			return i;
		if (d < least && nearest_plausible(word, key_names[i], d)) {
			best = i;
			least = d;
		}
	}
	if (best >= 0)
		WRONG(r, "%s: no such key; did you mean %s?", word,
		      key_names[best]);
	else
		WRONG(r,
		      "%s: no such key; allowed: Product, Module, "
		      "RestartsItself, Text",
		      word);
	return -1;
}

static bool is_no(const char *value)
{
	return !strcasecmp(value, "no") || !strcasecmp(value, "never");
}

static void set_key(struct reader *r, int key, char *value)
{
	struct conflist_entry *e = &r->entry;
	char **to = NULL;

	if (r->seen & 1u << key) {
		WRONG(r, "%s: stands twice in the entry", key_names[key]);
		return;
	}
	r->seen |= 1u << key;
	if (!*value || strlen(value) > CONFLIST_TEXT_MAX) {
		WRONG(r, "%s: %s", key_names[key],
		      *value ? "the text is too long" : "a value is missing");
		return;
	}
	if (key == KEY_MODULE)
		take_words(r, value, "*?", "kernel module", &e->modules);
	else if (key == KEY_PRODUCT)
		to = &e->product;
	else if (key == KEY_TEXT)
		to = &e->text;
	else if (!is_no(value))
		to = &e->restarts;
	if (to)
		*to = xstrdup(value);
}

static bool has_control(const char *line)
{
	for (; *line; line++)
		if ((unsigned char)*line < ' ' && *line != '\t')
			return true;
	return false;
}

static void take_line(struct reader *r, char *line)
{
	char *eq, *value;
	int key;

	line = str_trim(line);
	if (!*line || *line == '#')
		return;
	if (*line == '[') {
		begin_entry(r, line);
		return;
	}
	if (!r->open) {
		problem(r->list, r->name, r->line,
			"belongs to no entry: it begins with [NAME ...]");
		return;
	}
	if (has_control(line)) {
		WRONG(r, "holds a control character; the entry is void");
		return;
	}
	eq = strchr(line, '=');
	if (!eq) {
		WRONG(r, "is no \"Key = value\"; the entry is void");
		return;
	}
	*eq = '\0';
	key = find_key(r, str_trim(line));
	value = eq + 1 + strspn(eq + 1, " \t");
	if (key >= 0 && take_value(r, value))
		set_key(r, key, value);
}

struct conflist *conflist_parse(const char *text, const char *name)
{
	struct conflist *list = xcalloc(1, sizeof(*list));
	struct reader r = {.list = list, .name = name};

	while (*text) {
		size_t n = strcspn(text, "\n");
		char *line = xstrndup(text, n);

		r.line++;
		take_line(&r, line);
		free(line);
		text += n + (text[n] == '\n');
	}
	end_entry(&r);
	return list;
}

struct conflist *conflist_read(void)
{
	const char *path = paths()->conflicts;
	struct conflist *list;
	struct err err;
	char *text;
	size_t len;

	if (fd_read_file(path, CONFLIST_FILE_MAX, &text, &len, &err) < 0) {
		list = xcalloc(1, sizeof(*list));
		problem(list, path, 0, "no service is known by name: %s",
			strerror(err.code));
		return list;
	}
	if (memchr(text, '\0', len)) {
		list = xcalloc(1, sizeof(*list));
		problem(list, path, 0, "holds a NUL byte; this is no text");
	} else {
		list = conflist_parse(text, path);
	}
	free(text);
	return list;
}

void conflist_free(struct conflist **list)
{
	struct conflist_problem *p;
	struct conflist_entry *e;

	if (!*list)
		return;
	vec_each (e, &(*list)->entries)
		entry_free(e);
	vec_free(&(*list)->entries);
	vec_each (p, &(*list)->problems)
		free(p->text);
	vec_free(&(*list)->problems);
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
