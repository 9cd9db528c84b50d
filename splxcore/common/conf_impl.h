/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_COMMON_CONF_IMPL_H
#define SPLX_COMMON_CONF_IMPL_H

#include "conf.h"

/* What conf.c, conf_value.c and conf_text.c share. */

/* One `Key = value` of a settings text, by offsets into it. */
struct conf_stmt {
	const struct conf_option *opt;
	size_t key;   /* first byte of the key */
	size_t value; /* first byte of the value */
	size_t end;   /* one past its last byte */
	size_t first; /* index of its first item in conf_scan.lines */
	int line;     /* of the key, from 1 */
};

/* The shape of a settings text. */
struct conf_scan {
	struct {
		VEC(struct conf_stmt);
	} stmts;
	struct {
		VEC(int);
	} lines;     /* the line of each value and list item, in order */
	char *plain; /* the text with its comments blanked out */
};

/*
 * Checks the syntax of a whole text by rules stricter than libconfuse's: known
 * keys, each once, no environment, no control characters, every quote closed.
 * -1 and *err ("NAME:LINE: ..."; without the prefix when name is NULL). To be
 * freed with conf_scan_free() in either case.
 */
int conf_scan_text(const char *text, const char *name, struct conf_scan *scan,
		   struct err *err);
void conf_scan_free(struct conf_scan *scan);
/* True when a value may stand without quotes. */
bool conf_is_word(const char *text);

/* Where the option's value lies. */
void *conf_field(const struct conf *conf, const struct conf_option *opt);

/*
 * Takes over one decoded text: the value of an option, or one more item of a
 * list. -1 and *err with "Key: what is wrong; allowed: ...".
 */
int conf_take(struct conf *conf, const struct conf_option *opt,
	      const char *text, struct err *err);
/* Makes a list empty. */
void conf_list_clear(struct conf_list *list);
/* Copies one option's value; true when they were equal before. */
bool conf_field_equal(const struct conf *a, const struct conf *b,
		      const struct conf_option *opt);
void conf_field_copy(struct conf *to, const struct conf *from,
		     const struct conf_option *opt);

#endif
