/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/* The words of a value. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "entryfile.h"
#include "lib/alloc.h"
#include "lib/str.h"

void entryfile_words_free(struct entryfile_words *words)
{
	char **w;

	vec_each (w, words)
		free(*w);
	vec_free(words);
}

/* One word of a value, in quotes; *at is moved behind it. NULL: not closed. */
static char *quoted(const char **at)
{
	struct str b = {0};
	const char *p = *at + 1;

	str_add(&b, "");
	for (; *p && *p != '"'; p++) {
		if (*p == '\\' && (p[1] == '"' || p[1] == '\\'))
			p++;
		str_addn(&b, p, 1);
	}
	*at = *p ? p + 1 : p;
	if (*p)
		return b.s ? str_take(&b) : xstrdup("");
	str_free(&b);
	return NULL;
}

static char *plain(const char **at)
{
	size_t n = strcspn(*at, ",#");
	char *copy, *word;

	/* A comment begins after a blank. */
	while ((*at)[n] == '#' && n > 0 &&
	       !isblank((unsigned char)(*at)[n - 1]))
		n += 1 + strcspn(*at + n + 1, ",#");
	copy = xstrndup(*at, n);
	word = xstrdup(str_trim(copy));

	*at += n;
	free(copy);
	return word;
}

int entryfile_words(const char *value, struct entryfile_words *words,
		    struct err *err)
{
	const char *at = value;
	char *word;

	for (;;) {
		at += strspn(at, " \t\r");
		word = *at == '"' ? quoted(&at) : plain(&at);
		if (!word)
			return err_set(err, 0, "the closing \" is missing");
		vec_push(words, word);
		if (!*word)
			return err_set(err, 0, "a value is missing");
		if (words->len > ENTRYFILE_WORDS_MAX)
			return err_set(err, 0, "more than %d values",
				       ENTRYFILE_WORDS_MAX);
		at += strspn(at, " \t\r");
		if (entryfile_is_rest(at))
			return 0;
		if (*at++ != ',')
			return err_set(err, 0, "a comma is missing after %s",
				       word);
	}
}

static bool needs_quotes(const char *word)
{
	size_t n = strlen(word);

	return n == 0 || strpbrk(word, ",#\"\\") || word[0] == ' ' ||
	       word[n - 1] == ' ';
}

void entryfile_word_add(struct str *out, const char *word)
{
	if (!needs_quotes(word)) {
		str_add(out, word);
		return;
	}
	str_add(out, "\"");
	for (; *word; word++) {
		if (*word == '"' || *word == '\\')
			str_add(out, "\\");
		str_addn(out, word, 1);
	}
	str_add(out, "\"");
}

char *entryfile_words_text(const struct entryfile_words *words)
{
	struct str out = {0};
	char **w;

	str_add(&out, "");
	vec_each (w, words) {
		if (out.len)
			str_add(&out, ", ");
		entryfile_word_add(&out, *w);
	}
	return out.s ? str_take(&out) : xstrdup("");
}
