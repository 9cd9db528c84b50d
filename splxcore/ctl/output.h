/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_CTL_OUTPUT_H
#define SPLX_CTL_OUTPUT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "common/words.h"
#include "lib/str.h"

/*
 * What people and programs read: aligned tables and JSON. Text that came from
 * elsewhere (paths, names) is escaped, so it can drive no terminal.
 */

/*
 * The language of what a person reads here: titles, words, times, durations,
 * complaints. English until something else is said; JSON is never translated.
 */
void output_speak(enum lang lang);
/* A text or format of ours in that language. */
const char *output_text(const char *english) __attribute__((format_arg(1)));
#define T(english) output_text(english)
/* A message that was made elsewhere, see words_said(). New string. */
char *output_said(const char *message);
/* str_duration() in that language. Returns out. */
char *output_duration(char *out, size_t size, uint64_t ms);
/* A title in a column of that width, with a blank behind it. */
void output_title(FILE *f, const char *english, size_t width);

enum output_colour {
	OUTPUT_PLAIN,
	OUTPUT_BOLD,
	OUTPUT_GREEN,
	OUTPUT_YELLOW,
	OUTPUT_RED,
};

/* How a value is shown in a table. */
enum output_format {
	OUTPUT_TEXT,
	OUTPUT_WORD,   /* a word of ours: a state, a kind */
	OUTPUT_SAID,   /* what we say to people: a reason, an error */
	OUTPUT_NUMBER, /* to the right */
	OUTPUT_COUNT,  /* … of things, as the language writes it */
	OUTPUT_SIZE,   /* bytes */
	OUTPUT_S,      /* a duration in seconds */
	OUTPUT_MS,     /* a duration in milliseconds */
	OUTPUT_NS,     /* a duration in nanoseconds */
	OUTPUT_TIME,   /* nanoseconds, milliseconds or seconds since 1970 */
};

/* A column of a table, or a line of a list of pairs. */
struct output_column {
	const char *key; /* of the JSON object; "a.b" goes into objects */
	const char *title;
	enum output_format format;
};

/* The width that a UTF-8 text takes on a terminal, in columns. */
size_t output_width(const char *text);

/* Colour when `f` is a terminal that has it and NO_COLOR is not set. */
bool output_has_colour(FILE *f);
/* Prints text in a colour where output_has_colour(). */
void output_colour(FILE *f, enum output_colour colour, const char *text);

/* The member at a dotted path, borrowed; NULL when there is none. */
json_t *output_member(json_t *object, const char *path);

/* A JSON value as a cell: escaped, "" for null or NULL. Appends to *b. */
void output_value(struct str *b, json_t *value, enum output_format format);

/*
 * An array of objects as a table, with those of the columns in which any row
 * has something. `empty` is printed alone when there are no rows.
 */
void output_rows(FILE *f, json_t *rows, const struct output_column *cols,
		 size_t n, const char *empty);

/*
 * An object as "title   value" lines: the listed members first; with `rest`
 * all others too, under their own names. Members that are not there are not
 * shown.
 */
void output_pairs(FILE *f, json_t *object, const struct output_column *cols,
		  size_t n, bool rest);

/* A table by rows of texts (not escaped before), NULL for an empty cell. */
struct output_table;
struct output_table *output_table_new(const struct output_column *cols,
				      size_t n);
/* Adds a row of n cells; the texts are copied. */
void output_table_row(struct output_table *t, const char *const *cells);
void output_table_print(struct output_table *t, FILE *f);
void output_table_free(struct output_table **t);

/* JSON for programs: indented, and as one line. Both end in a newline. */
void output_json(FILE *f, json_t *value);
void output_json_line(FILE *f, json_t *value);

#endif
