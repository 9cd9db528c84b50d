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

/*
 * A word of entity's and how it is told; PART_WORDS_END is the last of a table,
 * for words that are not known: those are shown as they are.
 */
struct part_word {
	const char *word;
	enum text text;	   /* TEXTS: the word itself */
	const char *class; /* ok, warn, bad, info; NULL: plain */
};
#define PART_WORDS_END                                                         \
	{                                                                      \
		NULL, TEXTS, NULL                                              \
	}
void part_word(struct html *h, const struct part_word *words, const char *word);
/* As a text alone. */
const char *part_word_text(enum lang lang, const struct part_word *words,
			   const char *word);

/* Roles, states of scans and tasks, kinds of events. */
extern const struct part_word part_roles[], part_states[];
extern const struct part_word part_kinds_all[]; /* the word "" is all */
#define part_kinds (part_kinds_all + 1)

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
/* The same of one that may send files. */
void part_form_files(struct visit *v, const char *action, const char *class);
void part_form_end(struct html *h);
void part_hidden(struct visit *v, const char *name, const char *value);
/* A field with its label; hint, below it, may be TEXTS. After a refused form
 * what was typed is shown again instead of value, but for passwords. */
void part_field(struct visit *v, enum text label, const char *type,
		const char *name, const char *value, enum text hint);
/* The same of one that may not be left empty. */
void part_field_needed(struct visit *v, enum text label, const char *type,
		       const char *name, const char *value);
/* A private key (name "key") goes in and never comes out. */
void part_area(struct visit *v, enum text label, const char *name,
	       const char *value, int rows, enum text hint);
/* A file to be sent: its content is the value. */
void part_file(struct visit *v, enum text label, const char *name);
/* The first is chosen where the value is none of the words. */
void part_select(struct visit *v, enum text label, const char *name,
		 const struct part_word *words, const char *value);
/* A box to tick, with the value "true". */
void part_check(struct visit *v, enum text label, const char *name, bool on);
/* class: primary, danger, quiet, "" */
void part_button(struct html *h, const char *class, enum text text);
/* A form of one button; what it sends stands behind: name, value ... */
void part_action_sends(struct visit *v, const char *action, const char *class,
		       enum text text, const char *const *fields);
#define part_action(v, action, class, text, ...)                               \
	part_action_sends((v), (action), (class), (text),                      \
			  (const char *const[]){"", ##__VA_ARGS__, NULL} + 1)
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
	/* The verb as splxctl knows it: it is told, with all that is sent.
	 * NULL: the text says it. */
	const char *verb;
};
/*
 * At the beginning of a handler of a form: true when the question was answered
 * with yes. Otherwise it is asked, which ends the visit; its form holds all
 * that was sent, so none that holds passwords may be asked about.
 */
bool part_confirmed(struct visit *v, const struct part_question *q);

/* ---- tasks: what splxctl does by itself ---- */

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
