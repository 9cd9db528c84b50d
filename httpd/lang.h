/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_HTTPD_LANG_H
#define SPLX_HTTPD_LANG_H

#include "common/words.h"

/*
 * The texts of the console: one table a language (lang_en.def, lang_ja.def).
 * The English one names them all. {0}, {1} … stand for what is put in.
 */
enum text {
#define TEXT(id, text) TEXT_##id,
#include "lang_en.def"
#undef TEXT
	TEXTS
};

/* Never NULL: what a language lacks is told in English. */
const char *lang_text(enum lang lang, enum text id);
/* By its name in English's table, for what is told by a word ("saved");
 * TEXTS when there is none. */
enum text lang_find(const char *name);
const char *lang_code(enum lang lang); /* "en" */
const char *lang_name(enum lang lang); /* as it calls itself */
/* "ja", "ja-JP"; -1 for one that is none of ours. */
int lang_parse(const char *code);
/* The best of an Accept-Language header; English when it names none of ours,
 * or is NULL. */
enum lang lang_accept(const char *header);

#endif
