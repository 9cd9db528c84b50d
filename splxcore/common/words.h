/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_COMMON_WORDS_H
#define SPLX_COMMON_WORDS_H

#include <stddef.h>
#include <stdint.h>

/*
 * What the suite says, in the language of who reads it. All parts speak
 * English to each other, to logs, events, the store and programs; where a
 * person reads (splxctl's tables, the console's pages) it is told in his
 * language. There is one table a language (words_ja.def …), keyed by the
 * English text or printf format as it stands in the source.
 */
enum lang { LANG_EN, LANG_JA, LANGS };

/*
 * The language that LC_ALL, LC_MESSAGES or LANG (the first that is set) ask
 * for. One of another charset than UTF-8 is English.
 */
enum lang words_lang(void);

/*
 * A text of our own, or a format with the same conversions; `english` itself
 * where there is none.
 */
const char *words_text(enum lang lang, const char *english)
	__attribute__((format_arg(2)));

/*
 * A message that was made of such formats elsewhere (an error, a reason):
 * found by what it is made of, with what was put in, parts of a chain
 * "context: cause" each by itself. What is not known stays as it is. Names are
 * never translated: a value that stands in quotes, begins with a slash or has
 * no blank in it is taken over as it is. New string.
 */
char *words_said(enum lang lang, const char *said);

/* A duration as str_duration() writes it, with units in words. Returns out. */
char *words_duration(enum lang lang, char *out, size_t size, uint64_t ms);

#endif
