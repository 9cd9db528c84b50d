/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_HTTPD_TABLE_H
#define SPLX_HTTPD_TABLE_H

#include "parts.h"

/* Tables of what entity lists, and one thing in pairs of name and value, as
 * most pages have them. */

enum cell {
	CELL_TEXT,
	CELL_WORD, /* one of the column's words */
	CELL_PATH,
	CELL_PATHS, /* an array of them */
	CELL_TIME,  /* ns since 1970 */
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
	const struct part_word *words; /* of CELL_WORD */
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
/* Those of the columns whose member is there and neither null nor "". */
void pairs_draw(struct visit *v, json_t *object, const struct column *columns,
		int n);

#endif
