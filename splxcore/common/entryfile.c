/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "entryfile.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "lib/alloc.h"
#include "lib/fdutil.h"
#include "lib/log.h"
#include "lib/str.h"
#include "nearest.h"

struct entryfile {
	const struct entryfile_kind *kind;
	const char *name;
	struct entryfile_problems *problems;
	void *arg;
	int line;
	int first;	   /* line of the entry */
	bool open;	   /* there is one */
	bool is_void;	   /* something in it is wrong */
	unsigned int seen; /* bits of its keys */
};

/* Takes the words over. */
static void add_problem(struct entryfile_problems *problems, const char *name,
			int line, struct str *said)
{
	struct entryfile_problem p = {.line = line};
	struct str text = {0};
	size_t size;

	if (line)
		str_addf(&text, "%s:%d: %s", name, line, str_get(said));
	else
		str_addf(&text, "%s: %s", name, str_get(said));
	size = text.len * 4 + 1;
	p.text = xmalloc(size);
	log_escape(p.text, size, str_get(&text));
	str_free(said);
	str_free(&text);
	vec_push(problems, p);
}

void entryfile_problem(struct entryfile_problems *problems, const char *name,
		       const char *fmt, ...)
{
	struct str said = {0};
	va_list ap;

	va_start(ap, fmt);
	str_vaddf(&said, fmt, ap);
	va_end(ap);
	add_problem(problems, name, 0, &said);
}

void entryfile_wrong(struct entryfile *ef, const char *fmt, ...)
{
	struct str said = {0};
	va_list ap;

	va_start(ap, fmt);
	str_vaddf(&said, fmt, ap);
	va_end(ap);
	add_problem(ef->problems, ef->name, ef->line, &said);
	ef->is_void = true;
}

void entryfile_problems_free(struct entryfile_problems *problems)
{
	struct entryfile_problem *p;

	vec_each (p, problems)
		free(p->text);
	vec_free(problems);
}

bool entryfile_is_void(const struct entryfile *ef)
{
	return ef->is_void;
}

int entryfile_line(const struct entryfile *ef)
{
	return ef->line;
}

bool entryfile_is_rest(const char *rest)
{
	rest += strspn(rest, " \t\r");
	return !*rest || *rest == '#';
}

static void all_keys(const struct entryfile_kind *kind, const char *word,
		     struct err *err)
{
	struct str all = {0};

	for (int i = 0; i < kind->keys_len; i++)
		str_addf(&all, "%s%s", i ? ", " : "", kind->keys[i]);
	err_set(err, 0, "%s: no such key; allowed: %s", word, str_get(&all));
	str_free(&all);
}

int entryfile_key(const struct entryfile_kind *kind, const char *word,
		  struct err *err)
{
	int best = -1, least = INT_MAX;

	for (int i = 0; i < kind->keys_len; i++) {
		int d = nearest_distance(word, kind->keys[i]);

		if (strcmp(word, kind->keys[i]) == 0)
			return i;
		if (d < least && nearest_plausible(word, kind->keys[i], d)) {
			best = i;
			least = d;
		}
	}
	if (best >= 0)
		err_set(err, 0, "%s: no such key; did you mean %s?", word,
			kind->keys[best]);
	else
		all_keys(kind, word, err);
	return -1;
}

static void end_entry(struct entryfile *ef)
{
	int line = ef->line;

	if (!ef->open)
		return;
	ef->open = false;
	ef->line = ef->first;
	ef->kind->end(ef, ef->arg);
	ef->line = line;
}

static void begin_entry(struct entryfile *ef, char *line)
{
	char *close = strchr(line, ']');
	bool sound = close && entryfile_is_rest(close + 1);

	end_entry(ef);
	ef->open = true;
	ef->is_void = false;
	ef->seen = 0;
	ef->first = ef->line;
	if (!sound)
		entryfile_wrong(ef, "an entry begins with %s; this one is void",
				ef->kind->head);
	else
		*close = '\0';
	ef->kind->begin(ef, sound ? line + 1 : line + strlen(line), ef->arg);
}

static bool has_control(const char *line)
{
	for (; *line; line++)
		if (((unsigned char)*line < ' ' && *line != '\t') ||
		    *line == 0x7f)
			return true;
	return false;
}

static void take_key(struct entryfile *ef, char *line, char *value)
{
	struct err err;
	int key = entryfile_key(ef->kind, str_trim(line), &err);

	if (key < 0) {
		entryfile_wrong(ef, "%s; the entry is void", err.text);
		return;
	}
	if (ef->seen & 1u << key) {
		entryfile_wrong(ef, "%s: stands twice in the entry; it is void",
				ef->kind->keys[key]);
		return;
	}
	ef->seen |= 1u << key;
	ef->kind->set(ef, key, value, ef->arg);
}

static void take_line(struct entryfile *ef, char *line)
{
	char *eq;

	line = str_trim(line);
	if (!*line || *line == '#')
		return;
	if (*line == '[') {
		begin_entry(ef, line);
		return;
	}
	if (!ef->open) {
		entryfile_wrong(ef, "belongs to no entry: it begins with %s",
				ef->kind->head);
		return;
	}
	eq = strchr(line, '=');
	if (has_control(line)) {
		entryfile_wrong(ef, "holds a control character; the entry is "
				    "void");
	} else if (!eq) {
		entryfile_wrong(ef, "is no \"Key = value\"; the entry is void");
	} else {
		*eq = '\0';
		take_key(ef, line, eq + 1 + strspn(eq + 1, " \t"));
	}
}

void entryfile_parse(const struct entryfile_kind *kind, const char *text,
		     const char *name, struct entryfile_problems *problems,
		     void *arg)
{
	struct entryfile ef = {
		.kind = kind,
		.name = name,
		.problems = problems,
		.arg = arg,
	};

	while (*text) {
		size_t n = strcspn(text, "\n");
		char *line = xstrndup(text, n);

		ef.line++;
		take_line(&ef, line);
		free(line);
		text += n + (text[n] == '\n');
	}
	end_entry(&ef);
}

char *entryfile_read(const char *path, size_t max, struct err *err)
{
	char *text;
	size_t len;

	if (fd_read_file(path, max, &text, &len, err) < 0)
		return NULL;
	if (!memchr(text, '\0', len))
		return text;
	free(text);
	err_set(err, 0, "holds a NUL byte; this is no text");
	return NULL;
}
