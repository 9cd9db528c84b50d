/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "output.h"

#include <locale.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <wchar.h>

#include "lib/alloc.h"
#include "lib/log.h"
#include "lib/vec.h"

#define GAP 2 /* blanks between columns */

struct row {
	char **cells;
};

struct output_table {
	const struct output_column *cols;
	size_t n;
	struct {
		VEC(struct row);
	} rows;
};

static enum lang spoken = LANG_EN;

void output_speak(enum lang lang)
{
	spoken = lang;
}

const char *output_text(const char *english)
{
	return words_text(spoken, english);
}

char *output_said(const char *message)
{
	return words_said(spoken, message);
}

char *output_duration(char *out, size_t size, uint64_t ms)
{
	return words_duration(spoken, out, size, ms);
}

void output_title(FILE *f, const char *english, size_t width)
{
	size_t w = output_width(T(english));

	fprintf(f, "%s%*s ", T(english), w < width ? (int)(width - w) : 0, "");
}

/*
 * wcwidth() knows the widths of the process's locale only, and a service tool
 * often runs in "C": the widths are asked for in C.UTF-8, which is built into
 * glibc. Without it every character counts as one column.
 */
static int char_width(wchar_t wc)
{
	static locale_t utf8;
	static bool tried;
	locale_t old;
	int w;

	if (!tried) {
		utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
		tried = true;
	}
	if (!utf8)
		return 1;
	old = uselocale(utf8);
	w = wcwidth(wc);
	uselocale(old);
	return w < 0 ? 1 : w;
}

/* One UTF-8 character from s; its length, 1 for a byte that is none. */
static size_t utf8_next(const unsigned char *s, wchar_t *wc_r)
{
	static const unsigned char mask[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
	size_t len = s[0] < 0x80   ? 1
		     : s[0] < 0xc2 ? 0
		     : s[0] < 0xe0 ? 2
		     : s[0] < 0xf0 ? 3
		     : s[0] < 0xf5 ? 4
				   : 0;
	wchar_t wc;
	size_t i;

	if (len == 0) {
		*wc_r = L'?';
		return 1;
	}
	wc = s[0] & mask[len];
	for (i = 1; i < len; i++) {
		if ((s[i] & 0xc0) != 0x80) {
			*wc_r = L'?';
			return 1;
		}
		wc = (wc << 6) | (s[i] & 0x3f);
	}
	*wc_r = wc;
	return len;
}

size_t output_width(const char *text)
{
	const unsigned char *s = (const unsigned char *)text;
	size_t width = 0;
	wchar_t wc;

	while (*s) {
		s += utf8_next(s, &wc);
		width += (size_t)char_width(wc);
	}
	return width;
}

bool output_has_colour(FILE *f)
{
	const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

	if (no && *no)
		return false;
	if (!term || strcmp(term, "dumb") == 0)
		return false;
	return isatty(fileno(f));
}

void output_colour(FILE *f, enum output_colour colour, const char *text)
{
	static const char *const code[] = {"0", "1", "32", "33", "31"};

	if (colour == OUTPUT_PLAIN || !output_has_colour(f))
		fputs(text, f);
	else
		fprintf(f, "\033[%sm%s\033[0m", code[colour], text);
}

json_t *output_member(json_t *object, const char *path)
{
	json_t *v = json_object_get(object, path);
	const char *dot;
	char name[64];

	/* A name with a dot in it may stand for itself. */
	while (!v && (dot = strchr(path, '.'))) {
		if ((size_t)(dot - path) >= sizeof(name))
			return NULL;
		memcpy(name, path, (size_t)(dot - path));
		name[dot - path] = '\0';
		object = json_object_get(object, name);
		path = dot + 1;
		v = json_object_get(object, path);
	}
	return v;
}

static void add_escaped(struct str *b, const char *text)
{
	size_t size = strlen(text) * 4 + 1;
	char *out = xmalloc(size);

	str_add(b, log_escape(out, size, text));
	free(out);
}

static void add_string(struct str *b, const char *text,
		       enum output_format format)
{
	char *said;

	if (format == OUTPUT_WORD) {
		add_escaped(b, T(text));
	} else if (format == OUTPUT_SAID) {
		said = output_said(text);
		add_escaped(b, said);
		free(said);
	} else {
		add_escaped(b, text);
	}
}

/* Seconds, milliseconds and nanoseconds since 1970 are told apart by size. */
static void add_time(struct str *b, json_int_t v)
{
	time_t s = v > 100000000000000000 ? v / 1000000000
		   : v > 100000000000	  ? v / 1000
					  : v;
	static const char *const forms[LANGS] = {
		[LANG_EN] = "%Y-%m-%d %H:%M:%S",
		[LANG_JA] = "%Y/%m/%d %H:%M:%S",
	};
	struct tm tm;
	char text[32];

	if (v == 0)
		return;
	if (!localtime_r(&s, &tm) ||
	    strftime(text, sizeof(text), forms[spoken], &tm) == 0)
		str_addf(b, "%lld", (long long)v);
	else
		str_add(b, text);
}

/* Short durations need more than str_duration() tells. */
static void add_ns(struct str *b, json_int_t ns)
{
	char text[64];

	if (ns < 1000000)
		str_addf(b, "%.1f us", (double)ns / 1e3);
	else if (ns < 10000000000)
		str_addf(b, "%.1f ms", (double)ns / 1e6);
	else
		str_add(b, output_duration(text, sizeof(text),
					   (uint64_t)ns / 1000000));
}

static void add_integer(struct str *b, json_int_t v, enum output_format format)
{
	char text[64];

	if (format == OUTPUT_SIZE && v >= 0)
		str_add(b, str_size(text, sizeof(text), (uint64_t)v));
	else if (format == OUTPUT_S && v >= 0)
		str_add(b, output_duration(text, sizeof(text),
					   (uint64_t)v * 1000));
	else if (format == OUTPUT_MS && v >= 0)
		str_add(b, output_duration(text, sizeof(text), (uint64_t)v));
	else if (format == OUTPUT_NS && v >= 0)
		add_ns(b, v);
	else if (format == OUTPUT_TIME)
		add_time(b, v);
	else if (format == OUTPUT_COUNT && spoken != LANG_EN)
		str_add(b, str_grouped(text, sizeof(text), v));
	else
		str_addf(b, "%lld", (long long)v);
}

static void add_compound(struct str *b, json_t *value,
			 enum output_format format)
{
	json_t *item;
	size_t i;
	char *text;

	if (json_is_array(value)) {
		json_array_foreach (value, i, item) {
			if (i)
				str_add(b, ", ");
			output_value(b, item, format);
		}
		return;
	}
	text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
	add_escaped(b, text ? text : "");
	free(text);
}

void output_value(struct str *b, json_t *value, enum output_format format)
{
	if (!value || json_is_null(value))
		return;
	if (json_is_string(value))
		add_string(b, json_string_value(value), format);
	else if (json_is_boolean(value))
		str_add(b, json_is_true(value) ? T("yes") : T("no"));
	else if (json_is_integer(value))
		add_integer(b, json_integer_value(value), format);
	else if (json_is_real(value))
		str_addf(b, "%.3g", json_real_value(value));
	else
		add_compound(b, value, format);
}

static bool to_the_right(enum output_format format)
{
	return format == OUTPUT_NUMBER || format == OUTPUT_COUNT ||
	       format == OUTPUT_SIZE || format == OUTPUT_S ||
	       format == OUTPUT_MS || format == OUTPUT_NS;
}

struct output_table *output_table_new(const struct output_column *cols,
				      size_t n)
{
	struct output_table *t = xcalloc(1, sizeof(*t));

	t->cols = cols;
	t->n = n;
	return t;
}

void output_table_row(struct output_table *t, const char *const *cells)
{
	struct row row = {xcalloc(t->n, sizeof(char *))};
	size_t i;

	for (i = 0; i < t->n; i++)
		row.cells[i] = xstrdup(cells[i] ? cells[i] : "");
	vec_push(&t->rows, row);
}

/* The columns' widths; 0 for one in which no row has anything. */
static size_t *column_widths(const struct output_table *t)
{
	size_t *width = xcalloc(t->n, sizeof(size_t));
	const struct row *row;
	size_t i, w;

	vec_each (row, &t->rows) {
		for (i = 0; i < t->n; i++) {
			w = output_width(row->cells[i]);
			if (w > width[i])
				width[i] = w;
		}
	}
	for (i = 0; i < t->n; i++) {
		w = output_width(T(t->cols[i].title));
		if (width[i] && w > width[i])
			width[i] = w;
	}
	return width;
}

/* A line without blanks at its end; columns of width 0 are left out. */
static void print_line(FILE *f, const struct output_table *t,
		       const size_t *width, char *const *cells, bool title)
{
	struct str line = {0};
	size_t i, pad, gap = 0;

	for (i = 0; i < t->n; i++) {
		const char *cell = cells ? cells[i] : T(t->cols[i].title);

		if (width[i] == 0)
			continue;
		pad = width[i] - output_width(cell);
		if (to_the_right(t->cols[i].format)) {
			str_addf(&line, "%*s%s", (int)(gap + pad), "", cell);
			gap = GAP;
		} else {
			str_addf(&line, "%*s%s", (int)gap, "", cell);
			gap = pad + GAP;
		}
	}
	output_colour(f, title ? OUTPUT_BOLD : OUTPUT_PLAIN, str_get(&line));
	fputc('\n', f);
	str_free(&line);
}

void output_table_print(struct output_table *t, FILE *f)
{
	size_t *width = column_widths(t);
	const struct row *row;

	print_line(f, t, width, NULL, true);
	vec_each (row, &t->rows)
		print_line(f, t, width, row->cells, false);
	free(width);
}

void output_table_free(struct output_table **tp)
{
	struct output_table *t = *tp;
	struct row *row;
	size_t i;

	if (!t)
		return;
	vec_each (row, &t->rows) {
		for (i = 0; i < t->n; i++)
			free(row->cells[i]);
		free(row->cells);
	}
	vec_free(&t->rows);
	xfree(tp);
}

void output_rows(FILE *f, json_t *rows, const struct output_column *cols,
		 size_t n, const char *empty)
{
	struct output_table *t;
	struct str *cell;
	const char **texts;
	json_t *row;
	size_t i, r;

	if (json_array_size(rows) == 0) {
		if (empty)
			fprintf(f, "%s\n", T(empty));
		return;
	}
	t = output_table_new(cols, n);
	cell = xcalloc(n, sizeof(*cell));
	texts = xcalloc(n, sizeof(*texts));
	json_array_foreach (rows, r, row) {
		for (i = 0; i < n; i++) {
			str_clear(&cell[i]);
			output_value(&cell[i], output_member(row, cols[i].key),
				     cols[i].format);
			texts[i] = str_get(&cell[i]);
		}
		output_table_row(t, texts);
	}
	output_table_print(t, f);
	for (i = 0; i < n; i++)
		str_free(&cell[i]);
	free(cell);
	free(texts);
	output_table_free(&t);
}

static void print_pair(FILE *f, size_t width, const char *title, json_t *value,
		       enum output_format format)
{
	struct str text = {0};

	output_value(&text, value, format);
	fprintf(f, "%s%*s%s\n", title, (int)(width - output_width(title) + GAP),
		"", str_get(&text));
	str_free(&text);
}

/* True when a listed column stands for the member, or goes into it. */
static bool listed(const struct output_column *cols, size_t n, const char *name)
{
	size_t i, len = strlen(name);

	for (i = 0; i < n; i++) {
		if (strncmp(cols[i].key, name, len) == 0 &&
		    (cols[i].key[len] == '\0' || cols[i].key[len] == '.'))
			return true;
	}
	return false;
}

void output_pairs(FILE *f, json_t *object, const struct output_column *cols,
		  size_t n, bool rest)
{
	size_t i, w, width = 0;
	const char *name;
	json_t *value;

	for (i = 0; i < n; i++) {
		w = output_width(T(cols[i].title));
		if (output_member(object, cols[i].key) && w > width)
			width = w;
	}
	json_object_foreach (object, name, value) {
		w = output_width(name);
		if (rest && !listed(cols, n, name) && w > width)
			width = w;
	}
	for (i = 0; i < n; i++) {
		value = output_member(object, cols[i].key);
		if (value && !json_is_null(value))
			print_pair(f, width, T(cols[i].title), value,
				   cols[i].format);
	}
	json_object_foreach (object, name, value) {
		if (rest && !listed(cols, n, name) && !json_is_null(value))
			print_pair(f, width, name, value, OUTPUT_TEXT);
	}
}

void output_json(FILE *f, json_t *value)
{
	json_dumpf(value, f, JSON_INDENT(2) | JSON_ENCODE_ANY);
	fputc('\n', f);
}

void output_json_line(FILE *f, json_t *value)
{
	json_dumpf(value, f, JSON_COMPACT | JSON_ENCODE_ANY);
	fputc('\n', f);
}
