/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "words.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/alloc.h"
#include "lib/str.h"

#define VALUES_MAX 9 /* of one format */
#define DEPTH_MAX 8  /* causes of causes, and values in values */
/* A text may be made to need many. So many take some milliseconds; then the
 * rest stays as it is. */
#define STEPS_MAX 2000000

struct row {
	const char *english, *text;
};

#define WORDS(english, text) {english, text},
static const struct row japanese[] = {
#include "words_ja.def"
};
/* What only its own place shows: no message is made of it. */
static const struct row japanese_own[] = {
#include "words_ja_own.def"
};
#undef WORDS

#define N(a) (sizeof(a) / sizeof((a)[0]))

static const struct table {
	const struct row *rows;
	size_t n;
	const struct row *own;
	size_t n_own;
} tables[LANGS] = {
	[LANG_JA] = {japanese, N(japanese), japanese_own, N(japanese_own)},
};

enum lang words_lang(void)
{
	static const char *const names[] = {"LC_ALL", "LC_MESSAGES", "LANG"};
	const char *value = NULL, *charset;
	size_t i;

	for (i = 0; i < 3 && (!value || !*value); i++)
		value = getenv(names[i]);
	if (!value || strncmp(value, "ja", 2) != 0 || !strchr("_.", value[2]))
		return LANG_EN;
	charset = strchr(value, '.');
	if (!charset || (strncasecmp(charset + 1, "utf-8", 5) != 0 &&
			 strncasecmp(charset + 1, "utf8", 4) != 0))
		return LANG_EN;
	return LANG_JA;
}

const char *words_text(enum lang lang, const char *english)
{
	const struct table *t = &tables[lang];
	size_t i;

	for (i = 0; i < t->n; i++)
		if (strcmp(t->rows[i].english, english) == 0)
			return t->rows[i].text;
	for (i = 0; i < t->n_own; i++)
		if (strcmp(t->own[i].english, english) == 0)
			return t->own[i].text;
	return english;
}

/* ---- a message against a format ---- */

/* A part of the message that a conversion of the format stands for. */
struct value {
	const char *text;
	size_t len;
	bool name; /* never translated */
};

/* A message on its way into a language. */
struct saying {
	enum lang lang;
	struct str out;
	int steps;
};

struct match {
	struct saying *saying;
	const char *format;
	struct value values[VALUES_MAX];
	int n;
	size_t literal; /* bytes of the format that stand in the message */
};

/*
 * The conversion that begins at `format` ('%'): its kind (s, d, c, or % for
 * "%%"), its number for "%2$s", else 0, and where the format goes on.
 */
static char conversion(const char *format, int *number_r, const char **next_r)
{
	const char *p = format + 1;
	char *end;
	long n = strtol(p, &end, 10);

	*number_r = 0;
	if (end != p && *end == '$' && n > 0 && n <= VALUES_MAX) {
		*number_r = (int)n;
		p = end + 1;
	}
	while (*p && strchr("0123456789.*#-+ lzjht", *p))
		p++;
	*next_r = *p ? p + 1 : p;
	return *p && strchr("diuxXf", *p) ? 'd' : *p;
}

static bool compare(struct match *m, const char *format, const char *text,
		    size_t len);

/* How much of the text is a number, written in any way. */
static size_t number_len(const char *text, size_t len)
{
	bool hex = len > 2 && text[0] == '0' && text[1] == 'x';
	size_t n = hex ? 2 : len && *text == '-';

	while (n < len &&
	       (hex ? isxdigit((unsigned char)text[n])
		    : isdigit((unsigned char)text[n]) || text[n] == '.'))
		n++;
	return n;
}

/* A conversion may stand for any text that lets the rest fit. */
static bool compare_value(struct match *m, const char *rest, char kind,
			  bool quoted, const char *text, size_t len)
{
	struct value *v = &m->values[m->n];
	size_t n = 0;

	if (m->n == VALUES_MAX)
		return false;
	m->n++;
	v->text = text;
	/* behind one value at once another: all of it is the last one's */
	if (kind == 's' && rest[0] == '%' && rest[1] == 's') {
		*v = (struct value){text, 0, true};
		return compare(m, rest, text, len);
	}
	if (kind == 'd') {
		n = number_len(text, len);
		*v = (struct value){text, n, true};
		return n && compare(m, rest, text + n, len - n);
	}
	for (; n <= len && m->saying->steps <= STEPS_MAX; n++) {
		*v = (struct value){text, n, kind != 's' || quoted};
		if (compare(m, rest, text + n, len - n))
			return true;
	}
	return false;
}

/* Does what stands for the conversion at `at` stand in quotes? */
static bool is_quoted(const struct match *m, const char *at)
{
	while (at >= m->format + 2 && at[-1] == 's' && at[-2] == '%')
		at -= 2;
	return at > m->format && at[-1] == '"';
}

static bool compare(struct match *m, const char *format, const char *text,
		    size_t len)
{
	int values = m->n;
	size_t literal = m->literal;
	const char *at, *next;

	for (at = format; *at; at = next) {
		int number;
		char kind = '%';

		next = at + 1;
		if (*at == '%')
			kind = conversion(at, &number, &next);
		if (kind != '%') {
			if (compare_value(m, next, kind, is_quoted(m, at), text,
					  len))
				return true;
			break;
		}
		if (++m->saying->steps > STEPS_MAX || !len || *text != *at)
			break;
		text++;
		len--;
		m->literal++;
	}
	if (!*at && !len)
		return true;
	m->n = values;
	m->literal = literal;
	return false;
}

/* The row that says most of the message; NULL when none fits. */
static const struct row *find(struct saying *s, const char *text, size_t len,
			      struct match *best_r)
{
	const struct row *found = NULL;
	size_t i;

	best_r->literal = 0;
	for (i = 0; i < tables[s->lang].n; i++) {
		const struct row *row = &tables[s->lang].rows[i];
		struct match m = {.saying = s, .format = row->english};

		if (*row->english != '%' && (!len || *row->english != *text))
			continue;
		if (!compare(&m, row->english, text, len) ||
		    m.literal <= best_r->literal)
			continue;
		*best_r = m;
		found = row;
	}
	return found;
}

static void say(struct saying *s, const char *text, size_t len, int depth);

/* "2d 5h", as str_duration() writes it: its units in words. */
static bool say_duration(enum lang lang, struct str *out, const char *text,
			 size_t len)
{
	const char *end = text + len, *p = text, *q;
	struct str said = {0};
	bool whole = false;
	char unit[4];

	while (p < end && isdigit((unsigned char)*p)) {
		for (q = p; q < end && isdigit((unsigned char)*q); q++)
			;
		str_addn(&said, p, (size_t)(q - p));
		for (p = q; q < end && islower((unsigned char)*q); q++)
			;
		if (q == p || (size_t)(q - p) >= sizeof(unit))
			break;
		snprintf(unit, sizeof(unit), "%.*s", (int)(q - p), p);
		if (words_text(lang, unit) == unit)
			break;
		str_addf(&said, " %s", words_text(lang, unit));
		whole = q == end;
		if (whole || *q != ' ')
			break;
		str_add(&said, " ");
		p = q + 1;
	}
	if (whole)
		str_add(out, str_get(&said));
	str_free(&said);
	return whole;
}

char *words_duration(enum lang lang, char *out, size_t size, uint64_t ms)
{
	struct str other = {0};

	str_duration(out, size, ms);
	if (lang != LANG_EN && say_duration(lang, &other, out, strlen(out)))
		str_copy(out, size, str_get(&other));
	str_free(&other);
	return out;
}

/* "one, two or three" words. */
static bool say_choice(struct saying *s, const char *text, size_t len)
{
	const char * or = memmem(text, len, " or ", 4), *p, *end = text + len;

	if (! or || memchr(or +4, ' ', (size_t)(end - or) - 4))
		return false;
	for (p = text; p < or ; p++)
		if (*p == ' ' && (p == text || p[-1] != ','))
			return false;
	str_addn(&s->out, text, (size_t)(or -text));
	str_add(&s->out, words_text(s->lang, " or "));
	str_addn(&s->out, or +4, (size_t)(end - or) - 4);
	return true;
}

/*
 * By what the row has for it: "%.0s" is one that this language has no use for,
 * "%-s" one that is to be typed as it stands.
 */
static void say_value(struct saying *s, const char *conversion, size_t n,
		      const struct value *v, int depth)
{
	if (memmem(conversion, n, ".0s", 3))
		return;
	if (memchr(conversion, '-', n)) {
		str_addn(&s->out, v->text, v->len);
		return;
	}
	if (!v->name && (say_duration(s->lang, &s->out, v->text, v->len) ||
			 say_choice(s, v->text, v->len)))
		return;
	if (v->name || !v->len || *v->text == '/' ||
	    !memchr(v->text, ' ', v->len))
		str_addn(&s->out, v->text, v->len);
	else
		say(s, v->text, v->len, depth + 1);
}

static void say_row(struct saying *s, const struct row *row,
		    const struct match *m, int depth)
{
	const char *at, *next;
	int count = 0;

	for (at = row->text; *at; at = next) {
		int number;

		next = at + 1;
		if (*at != '%') {
			str_addn(&s->out, at, 1);
			continue;
		}
		if (conversion(at, &number, &next) == '%') {
			str_add(&s->out, "%");
			continue;
		}
		if (!number)
			number = ++count;
		if (number <= m->n)
			say_value(s, at, (size_t)(next - at),
				  &m->values[number - 1], depth);
	}
}

/* Where ": " stands first from `at` on; NULL when it does not. */
static const char *colon(const char *at, const char *end)
{
	return memmem(at, (size_t)(end - at), ": ", 2);
}

static void say(struct saying *s, const char *text, size_t len, int depth)
{
	const char *end = text + len, *c, *cut = NULL;
	const struct row *row = NULL;
	struct match m;

	if (depth < DEPTH_MAX)
		row = find(s, text, len, &m);
	if (row) {
		say_row(s, row, &m, depth);
		return;
	}
	/* a context that is known, or whatever stands before the first colon */
	for (c = colon(text, end); c && depth < DEPTH_MAX && !row;
	     c = colon(c + 1, end)) {
		row = find(s, text, (size_t)(c - text), &m);
		if (row || !cut)
			cut = c;
	}
	if (!cut) {
		str_addn(&s->out, text, len);
		return;
	}
	if (row)
		say_row(s, row, &m, depth);
	else
		str_addn(&s->out, text, (size_t)(cut - text));
	str_add(&s->out, ": ");
	say(s, cut + 2, (size_t)(end - cut) - 2, depth + 1);
}

char *words_said(enum lang lang, const char *said)
{
	struct saying s = {.lang = lang};

	if (tables[lang].n)
		say(&s, said, strlen(said), 0);
	else
		str_add(&s.out, said);
	return str_take(&s.out);
}
