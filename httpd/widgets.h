/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_HTTPD_WIDGETS_H
#define SPLX_HTTPD_WIDGETS_H

#include "visit.h"

/* Tables and forms, as all pages have them. */

enum cell {
	CELL_TEXT,
	CELL_WORD, /* one that entity uses for a state or a role */
	CELL_PATH,
	CELL_TIME, /* ns since 1970 */
	CELL_NUMBER,
	CELL_SIZE,
	CELL_NS, /* a duration */
	CELL_MS, /* a duration */
	CELL_YESNO,
};

struct column {
	const char *key;
	enum text title;
	enum cell cell;
};

struct table {
	const struct column *columns;
	int n;
	enum text empty;
	/* A check box before each row, of that name and the row's "id"; NULL:
	 * none. form: whose it is. */
	const char *check, *form;
	/* What stands at a row's end (forms); NULL: nothing. */
	void (*last)(struct visit *v, json_t *row);
};

void table_draw(struct visit *v, json_t *rows, const struct table *table);

/* A card with a heading, until card_end(). */
void card(struct visit *v, enum text title);
void card_end(struct visit *v);
/* "Nothing there", and why entity does not tell. */
void card_problem(struct visit *v, const char *verb);

/* A form that is posted, with its CSRF token; class may be "". */
void form(struct visit *v, const char *action, const char *class);
void form_end(struct visit *v);
void form_hidden(struct visit *v, const char *name, const char *value);
/* type: "text", "password", "number" … */
void form_input(struct visit *v, enum text label, const char *type,
		const char *name, const char *value, bool required);
void form_area(struct visit *v, enum text label, const char *name, int rows,
	       const char *value);
struct choice {
	const char *value;
	enum text name;
};
void form_select(struct visit *v, enum text label, const char *name,
		 const struct choice *choices, int n, const char *value);
void form_check(struct visit *v, enum text label, const char *name, bool on);
/* class: "", "primary", "danger". */
void form_button(struct visit *v, enum text name, const char *class);
/* A form of one button: what it sends, up to a NULL: name, value … */
void button_form(struct visit *v, const char *action, enum text name,
		 const char *class, const char *const *fields);

/* The three roles. */
extern const struct choice widgets_roles[3];
/* Entity's word for a role, a state of a scan or task, a kind of events; one
 * that is none of these comes back as it is. */
const char *word_text(enum lang lang, const char *word);

#endif
