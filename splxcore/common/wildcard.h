/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_COMMON_WILDCARD_H
#define SPLX_COMMON_WILDCARD_H

#include <stdbool.h>

/*
 * Path patterns: ? is one character and * any number, both within a
 * directory; ** any number across directories, and a whole component ** may
 * stand for none ("/a/" "**" "/b" fits /a/b); a backslash takes the next
 * character as it is. All of the path has to fit.
 */
#define WILDCARD_MAX 1024

struct wildcard;

/* NULL and *why_r (static) when the pattern makes no sense. */
struct wildcard *wildcard_new(const char *pattern, const char **why_r);
void wildcard_free(struct wildcard **w);
/* In time proportional to both lengths, whatever the pattern. */
bool wildcard_match(const struct wildcard *w, const char *path);

#endif
