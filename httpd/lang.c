/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "lang.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define ACCEPT_MAX 20 /* entries that are looked at */

#define TEXT(id, text) [TEXT_##id] = (text),
static const char *const texts[LANGS][TEXTS] = {
	[LANG_EN] =
		{
#include "lang_en.def"
		},
	[LANG_JA] =
		{
#include "lang_ja.def"
		},
};
#undef TEXT

static const char *const names[TEXTS] = {
#define TEXT(id, text) [TEXT_##id] = #id,
#include "lang_en.def"
#undef TEXT
};

static const struct {
	const char *code, *name;
} langs[LANGS] = {
	[LANG_EN] = {"en", "English"},
	[LANG_JA] = {"ja", "日本語"},
};

const char *lang_text(enum lang lang, enum text id)
{
	return texts[lang][id] ? texts[lang][id] : texts[LANG_EN][id];
}

enum text lang_find(const char *name)
{
	int i;

	for (i = 0; i < TEXTS; i++)
		if (!strcmp(names[i], name))
			break;
	return (enum text)i;
}

const char *lang_code(enum lang lang)
{
	return langs[lang].code;
}

const char *lang_name(enum lang lang)
{
	return langs[lang].name;
}

int lang_parse(const char *code)
{
	int i;

	for (i = 0; i < LANGS; i++)
		if (!strncasecmp(code, langs[i].code, 2) &&
		    (!code[2] || code[2] == '-'))
			return i;
	return -1;
}

/* "ja-JP;q=0.8" ... */
static int parse_range(const char *text, size_t len, double *q_r)
{
	char range[32];
	char *semi;

	if (len >= sizeof(range))
		return -1;
	memcpy(range, text, len);
	range[len] = '\0';
	*q_r = 1;
	semi = strchr(range, ';');
	if (semi) {
		char *q = strstr(semi, "q=");

		*semi = '\0';
		if (q)
			*q_r = strtod(q + 2, NULL);
	}
	range[strcspn(range, " \t")] = '\0';
	return lang_parse(range);
}

enum lang lang_accept(const char *header)
{
	double best = 0, q = 0;
	int found = LANG_EN, n, one;

	for (n = 0; header && *header && n < ACCEPT_MAX; n++) {
		size_t len;

		header += strspn(header, ", \t");
		len = strcspn(header, ",");
		one = parse_range(header, len, &q);
		if (one >= 0 && q > best && q <= 1) {
			best = q;
			found = one;
		}
		header += len;
	}
	return (enum lang)found;
}
