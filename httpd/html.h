/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_HTTPD_HTML_H
#define SPLX_HTTPD_HTML_H

#include <stdbool.h>
#include <stdint.h>

#include "lang.h"
#include "lib/str.h"

/*
 * A page being written. Whatever is put in is escaped here, for text and for
 * values of attributes in double quotes alike: markup, control characters,
 * marks that turn the direction of writing or that nobody sees, and bytes that
 * are no UTF-8 are shown as what they are (\u202e, \x0a, \xff).
 */
struct html {
	struct str out;
	enum lang lang;
};

/* Markup of ours, as it stands. */
void html_raw(struct html *h, const char *markup);
/* A text of anybody's. */
void html_text(struct html *h, const char *text);
/* Is it shown as it is, so that what is copied from a page, or sent back by its
 * forms, is the same text? */
bool html_is_plain(const char *text);
/* Markup of ours with %s (escaped), %d, %lld, %u, %zu, %% in it. */
void html_addf(struct html *h, const char *markup, ...)
	__attribute__((format(printf, 2, 3)));
/* A text of the tables; {0} … are the words behind it, escaped. */
void html_say_args(struct html *h, enum text id, const char *const *args,
		   int n);
#define html_say(h, id, ...)                                                   \
	html_say_args((h), (id), (const char *const[]){"", ##__VA_ARGS__} + 1, \
		      (int)(sizeof((const char *const[]){"", ##__VA_ARGS__}) / \
			    sizeof(char *)) -                                  \
			      1)
/* The same as an own string, to be put in by %s; the caller frees it. */
char *html_say_text(enum lang lang, enum text id, const char *arg);

/* Numbers, times, sizes, durations as the language writes them. */
void html_number(struct html *h, int64_t n);
/* An instant, ns since 1970, with <time>; "–" for 0. */
void html_time(struct html *h, int64_t ns);
void html_size(struct html *h, int64_t bytes);
void html_duration(struct html *h, int64_t ms);
/* The same as plain text into out. */
char *html_number_text(char *out, size_t size, int64_t n);

#endif
