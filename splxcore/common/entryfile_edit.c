/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/* One key, or one entry, of a file that is somebody's own. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "entryfile.h"
#include "lib/alloc.h"
#include "lib/str.h"

/* Where an entry lies in a text; begin == end: it is not there. */
struct span {
	size_t begin; /* of its head's line */
	size_t body;  /* of the line after that */
	size_t end;   /* of its last line that says something */
	size_t key;   /* of the line with the key; 0: there is none */
	size_t key_end;
};

static size_t line_end(const char *text, size_t at)
{
	size_t n = strcspn(text + at, "\n");

	return at + n + (text[at + n] == '\n');
}

static bool is_key(const char *line, const char *key)
{
	char *copy = xstrndup(line, strcspn(line, "\n")), *eq;
	bool is;

	eq = strchr(copy, '=');
	if (eq)
		*eq = '\0';
	is = eq && strcmp(str_trim(copy), key) == 0;
	free(copy);
	return is;
}

/* Whether an entry begins in this line; *is_r: the one of that name. */
static bool is_head(const char *line, const char *name, bool *is_r)
{
	const char *p = line + strspn(line, " \t"), *close;
	char *copy, *head;

	if (*p != '[')
		return false;
	copy = xstrndup(p + 1, strcspn(p + 1, "\n"));
	close = strchr(copy, ']');
	*is_r = false;
	if (close && entryfile_is_rest(close + 1)) {
		copy[close - copy] = '\0';
		head = str_trim(copy);
		*is_r = strcmp(head, name) == 0;
	}
	free(copy);
	return true;
}

static struct span find(const char *text, const char *name, const char *key)
{
	struct span s = {0};
	bool in = false, is;
	size_t at, next;

	for (at = 0; text[at]; at = next) {
		const char *line = text + at;

		next = line_end(text, at);
		if (is_head(line, name, &is)) {
			if (s.end)
				break;
			in = is;
			if (in) {
				s.begin = at;
				s.body = s.end = next;
			}
		} else if (in && key && is_key(line, key)) {
			s.key = at;
			s.key_end = s.end = next;
		} else if (in && !entryfile_is_rest(line) &&
			   line[strspn(line, " \t\r")] != '\n') {
			s.end = next;
		}
	}
	return s;
}

/* What is allowed to stand in a file as one value. */
static int check_value(const char *value, struct err *err)
{
	for (const char *p = value; *p; p++)
		if (((unsigned char)*p < ' ' && *p != '\t') || *p == 0x7f)
			return err_set(err, EINVAL,
				       "a control character is not allowed");
	return 0;
}

static char *without(const char *text, size_t from, size_t to)
{
	struct str out = {0};

	str_addn(&out, text, from);
	str_add(&out, text + to);
	return out.s ? str_take(&out) : xstrdup("");
}

static char *with_key(const char *text, const char *name, const char *key,
		      const char *value)
{
	struct span s = find(text, name, key);
	struct str out = {0};

	if (s.end && !*value)
		return s.key_end ? without(text, s.key, s.key_end)
				 : xstrdup(text);
	if (!s.end) {
		str_add(&out, text);
		if (out.len && out.s[out.len - 1] != '\n')
			str_add(&out, "\n");
		str_addf(&out, "%s[%s]\n", out.len ? "\n" : "", name);
		if (*value)
			str_addf(&out, "%s = %s\n", key, value);
		return str_take(&out);
	}
	str_addn(&out, text, s.key_end ? s.key : s.end);
	/* The last line need not have an end. */
	if (out.len && out.s[out.len - 1] != '\n')
		str_add(&out, "\n");
	str_addf(&out, "%s = %s\n", key, value);
	str_add(&out, text + (s.key_end ? s.key_end : s.end));
	return str_take(&out);
}

char *entryfile_edit(const struct entryfile_kind *kind, const char *old_text,
		     const char *name, const char *key, const char *value,
		     struct err *err)
{
	const char *text = old_text ? old_text : "";
	struct span s;
	int number;

	if (!key) {
		s = find(text, name, NULL);
		if (s.end)
			return without(text, s.begin, s.end);
		err_set(err, ENOENT, "entry %s", name);
		return NULL;
	}
	number = entryfile_key(kind, key, err);
	if (number < 0)
		err->code = EINVAL;
	if (number < 0 || check_value(value, err) < 0)
		return NULL;
	return with_key(text, name, kind->keys[number], value);
}

/* Where the comments begin that stand straight above a line. */
static size_t with_comments(const char *text, size_t at)
{
	while (at > 0) {
		size_t line = at - 1;

		while (line > 0 && text[line - 1] != '\n')
			line--;
		if (text[line + strspn(text + line, " \t")] != '#')
			break;
		at = line;
	}
	return at;
}

/* Where the text goes on behind an entry: blank lines go with it. */
static size_t behind(const char *text, size_t at)
{
	while (text[at] && text[at + strspn(text + at, " \t\r")] == '\n')
		at = line_end(text, at);
	return at;
}

static void add_entry(struct str *out, const char *entry)
{
	if (out->len && out->s[out->len - 1] != '\n')
		str_add(out, "\n");
	if (out->len > 1 && out->s[out->len - 2] != '\n')
		str_add(out, "\n");
	str_add(out, entry);
	if (entry[strlen(entry) - 1] != '\n')
		str_add(out, "\n");
}

char *entryfile_move(const char *old_text, const char *name, const char *before,
		     struct err *err)
{
	struct span s = find(old_text, name, NULL);
	char *entry, *rest;
	struct str out = {0};
	size_t at;

	if (!s.end || (before && !find(old_text, before, NULL).end)) {
		err_set(err, ENOENT, "entry %s", s.end ? before : name);
		return NULL;
	}
	if (before && strcmp(name, before) == 0)
		return xstrdup(old_text);
	at = with_comments(old_text, s.begin);
	entry = xstrndup(old_text + at, s.end - at);
	rest = without(old_text, at, behind(old_text, s.end));
	at = before ? with_comments(rest, find(rest, before, NULL).begin)
		    : strlen(rest);
	str_addn(&out, rest, at);
	add_entry(&out, entry);
	if (rest[at]) {
		str_add(&out, "\n");
		str_add(&out, rest + at);
	}
	free(entry);
	free(rest);
	return str_take(&out);
}
