/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_HTTPD_PARTS_H
#define SPLX_HTTPD_PARTS_H

#include <stdbool.h>

#include "page.h"

/*
 * What pages are put together of: cards, tables, facts, forms, and the question
 * before what cannot be undone. All of it works without a script.
 */

/* ---- a part with a heading ---- */

void part_card(struct html *h, enum text title);
void part_card_end(struct html *h);
/* What stands where there is nothing to show. */
void part_empty(struct html *h, enum text text);
/* A remark within a page; class: info, ok, warn, bad. */
void part_note(struct html *h, const char *class, enum text text);
/* The same of a text of entity's. */
void part_note_text(struct html *h, const char *class, const char *text);
/* Where a verb failed without which the rest of a page still makes sense:
 * true, and it is told. */
bool part_failed(struct visit *v, const char *verb);

/* ---- states ---- */

/* A word of entity's and how it is told; the last row has word NULL and is for
 * words that are not known: with text TEXTS they are shown as they are. */
struct part_word {
	const char *word;
	enum text text;
	const char *class; /* ok, warn, bad, info; NULL: plain */
};
void part_word(struct html *h, const struct part_word *words, const char *word);

/* ---- tables ---- */

#define part_table(h, ...)                                                     \
	part_table_heads((h), (const enum text[]){__VA_ARGS__},                \
			 (int)(sizeof((const enum text[]){__VA_ARGS__}) /      \
			       sizeof(enum text)))
/* A head of TEXTS is an empty one, for a column of buttons. */
void part_table_heads(struct html *h, const enum text *heads, int n);
void part_table_end(struct html *h);
/* A cell. label is the column's head, told again where the page is narrow, or
 * TEXTS; class may be "" (path, when, num, ...). */
void part_cell(struct html *h, enum text label, const char *class);
void part_cell_end(struct html *h);
void part_cell_text(struct html *h, enum text label, const char *class,
		    const char *text);
void part_cell_number(struct html *h, enum text label, int64_t n);
void part_cell_time(struct html *h, enum text label, int64_t ns);

/* ---- facts: a name and a value ---- */

void part_facts(struct html *h);
void part_facts_end(struct html *h);
void part_fact(struct html *h, enum text name);
void part_fact_end(struct html *h);
void part_fact_text(struct html *h, enum text name, const char *value);
void part_fact_number(struct html *h, enum text name, int64_t n);
void part_fact_time(struct html *h, enum text name, int64_t ns);

/* ---- forms ---- */

/* A form that is posted there, with its CSRF token; class may be "". */
void part_form(struct visit *v, const char *action, const char *class);
void part_form_end(struct html *h);
void part_hidden(struct html *h, const char *name, const char *value);
/* A field with its label; hint, below it, may be TEXTS. After a refused form
 * what was typed is shown again instead of value, but for passwords. */
void part_field(struct visit *v, enum text label, const char *type,
		const char *name, const char *value, enum text hint);
void part_area(struct visit *v, enum text label, const char *name,
	       const char *value, int rows, enum text hint);

struct part_option {
	const char *value;
	enum text text; /* TEXTS: the value itself */
};
void part_select(struct visit *v, enum text label, const char *name,
		 const struct part_option *options, int n, const char *value);
/* class: primary, danger, quiet, "" */
void part_button(struct html *h, const char *class, enum text text);
/* A form of one button and one field that nobody sees (name may be NULL). */
void part_action(struct visit *v, const char *action, const char *class,
		 enum text text, const char *name, const char *value);
/* A link that looks like a button. */
void part_link(struct html *h, const char *path, enum text text);

/*
 * What was typed into a refused form, or the value that stood there: for forms
 * that were not posted the value.
 */
const char *part_value(const struct visit *v, const char *name,
		       const char *value);

/* ---- the question before what cannot be undone ---- */

struct part_question {
	enum text title, text, button;
	const char *arg;  /* put in for {0}; NULL: none */
	const char *back; /* where "no" leads; also the entry of navigation */
	const enum text *opens; /* what becomes possible by it, a line each */
	int n_opens;
};
/*
 * At the beginning of a handler of a form: true when the question was answered
 * with yes. Otherwise it is asked, which ends the visit; its form holds all
 * that was sent, so none that holds passwords may be asked about.
 */
bool part_confirmed(struct visit *v, const struct part_question *q);

/* ---- tasks: what splxctl does by itself ---- */

extern const struct part_word task_states[];

/*
 * Has entity do it (task.start) and leads to its page; a refusal is told on
 * the page `again`. words (NULL: none) are the verb's arguments, taken over.
 */
void part_task(struct visit *v, const char *verb, json_t *words,
	       visit_fn again);

/* Text for a query: everything but letters, digits and -_. as %XX; the caller
 * frees it. */
char *part_urlencode(const char *text);

#endif
