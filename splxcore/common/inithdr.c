/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "inithdr.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/alloc.h"
#include "lib/str.h"

#define BEGIN "### BEGIN INIT INFO"
#define END "### END INIT INFO"
#define BLANKS " \t\r,;"
#define WORDS_MAX 256

static const struct {
	const char *name;
	bool required; /* insserv(8) wants the line even when it is empty */
	bool vendor;   /* written X-..., or X-Vendor-... */
} fields[INITHDR_FIELDS] = {
	[INITHDR_PROVIDES] = {"Provides", true, false},
	[INITHDR_REQUIRED_START] = {"Required-Start", true, false},
	[INITHDR_REQUIRED_STOP] = {"Required-Stop", true, false},
	[INITHDR_SHOULD_START] = {"Should-Start", false, true},
	[INITHDR_SHOULD_STOP] = {"Should-Stop", false, true},
	[INITHDR_START_BEFORE] = {"X-Start-Before", false, true},
	[INITHDR_STOP_AFTER] = {"X-Stop-After", false, true},
	[INITHDR_DEFAULT_START] = {"Default-Start", true, false},
	[INITHDR_DEFAULT_STOP] = {"Default-Stop", true, false},
};

const char *inithdr_name(enum inithdr_field field)
{
	return fields[field].name;
}

/* ---- lines ---- */

/* The next line as a copy that the caller frees, NULL at the end. */
static char *next_line(const char **text)
{
	size_t n = strcspn(*text, "\n");
	char *line;

	if (!**text)
		return NULL;
	line = xstrndup(*text, n);
	*text += n + ((*text)[n] == '\n');
	return line;
}

/* Behind "#" and blanks; NULL for what is no comment. */
static char *comment(char *line)
{
	if (*line != '#')
		return NULL;
	return line + 1 + strspn(line + 1, " \t");
}

/*
 * The field that a line sets and its value. Names are read as insserv does:
 * in any case, and those beyond LSB with a vendor's name between "X-" and the
 * rest ("X-Debian-Should-Start").
 */
static int line_field(char *line, char **value_r)
{
	char *name = comment(line);
	char *colon = name ? strchr(name, ':') : NULL;
	size_t len = colon ? (size_t)(colon - name) : 0, want;
	int i;

	for (i = 0; colon && i < INITHDR_FIELDS; i++) {
		const char *plain = fields[i].name;

		if (fields[i].vendor && str_starts(plain, "X-"))
			plain += 2;
		want = strlen(plain);
		if (len < want || strncasecmp(colon - want, plain, want) != 0)
			continue;
		if (len == want ||
		    (fields[i].vendor && tolower((unsigned char)*name) == 'x' &&
		     strchr("-_", name[1]) && strchr("-_", colon[-1 - want]))) {
			*value_r = colon + 1;
			return i;
		}
	}
	return -1;
}

/* ---- words ---- */

static void words_free(struct inithdr_words *words)
{
	char **w;

	vec_each (w, words)
		free(*w);
	vec_free(words);
}

static void split(struct inithdr_words *words, char *value)
{
	char *save, *word;

	for (word = strtok_r(value, BLANKS, &save);
	     word && words->len < WORDS_MAX;
	     word = strtok_r(NULL, BLANKS, &save))
		vec_push(words, xstrdup(word));
}

static void copy_words(struct inithdr_words *to,
		       const struct inithdr_words *from)
{
	char **w;

	words_free(to);
	vec_each (w, from)
		vec_push(to, xstrdup(*w));
}

static size_t find(const struct inithdr *hdr, enum inithdr_field field,
		   const char *word)
{
	size_t i;

	for (i = 0; i < hdr->words[field].len; i++)
		if (strcmp(hdr->words[field].items[i], word) == 0)
			break;
	return i;
}

bool inithdr_lists(const struct inithdr *hdr, enum inithdr_field field,
		   const char *word)
{
	return find(hdr, field, word) < hdr->words[field].len;
}

bool inithdr_add(struct inithdr *hdr, enum inithdr_field field,
		 const char *word)
{
	if (inithdr_lists(hdr, field, word))
		return false;
	hdr->has[field] = true;
	vec_push(&hdr->words[field], xstrdup(word));
	return true;
}

bool inithdr_remove(struct inithdr *hdr, enum inithdr_field field,
		    const char *word)
{
	size_t i = find(hdr, field, word);

	if (i == hdr->words[field].len)
		return false;
	free(hdr->words[field].items[i]);
	vec_remove(&hdr->words[field], i);
	return true;
}

/* ---- reading ---- */

/* "2345 91 09", as chkconfig(8) takes it. */
static void take_chkconfig(struct inithdr *h, const char *value)
{
	char levels[16];
	int start, stop;
	char *p;

	if (h->chkconfig ||
	    sscanf(value, "%15s %d %d", levels, &start, &stop) != 3)
		return;
	if (start < 0 || start > 99 || stop < 0 || stop > 99)
		return;
	for (p = levels; *p; p++)
		if ((*p < '0' || *p > '6') && strcmp(levels, "-") != 0)
			return;
	if (!str_copy(h->levels, sizeof(h->levels), levels))
		return;
	h->chkconfig = true;
	h->start = start;
	h->stop = stop;
}

void inithdr_parse(const char *text, struct inithdr *hdr_r)
{
	bool inside = false;
	char *line, *value;
	int field;

	memset(hdr_r, 0, sizeof(*hdr_r));
	while ((line = next_line(&text))) {
		value = comment(line);
		if (value && str_starts(value, "chkconfig:"))
			take_chkconfig(hdr_r, value + strlen("chkconfig:"));
		if (!inside && !hdr_r->lsb && strstr(line, BEGIN)) {
			inside = true;
		} else if (inside && strstr(line, END)) {
			inside = false;
			hdr_r->lsb = true;
		} else if (inside) {
			field = line_field(line, &value);
			if (field >= 0 && !hdr_r->has[field]) {
				hdr_r->has[field] = true;
				split(&hdr_r->words[field], value);
			}
		}
		free(line);
	}
	hdr_r->broken = inside;
	if (!hdr_r->lsb)
		for (field = 0; field < INITHDR_FIELDS; field++) {
			words_free(&hdr_r->words[field]);
			hdr_r->has[field] = false;
		}
}

void inithdr_free(struct inithdr *hdr)
{
	int i;

	for (i = 0; i < INITHDR_FIELDS; i++)
		words_free(&hdr->words[i]);
	memset(hdr, 0, sizeof(*hdr));
}

void inithdr_copy(struct inithdr *to_r, const struct inithdr *from)
{
	int i;

	*to_r = *from;
	memset(to_r->words, 0, sizeof(to_r->words));
	for (i = 0; i < INITHDR_FIELDS; i++)
		copy_words(&to_r->words[i], &from->words[i]);
}

void inithdr_overlay(struct inithdr *hdr, const struct inithdr *over)
{
	int i;

	if (over->chkconfig) {
		hdr->chkconfig = true;
		memcpy(hdr->levels, over->levels, sizeof(hdr->levels));
		hdr->start = over->start;
		hdr->stop = over->stop;
	}
	hdr->lsb = hdr->lsb || over->lsb;
	for (i = 0; i < INITHDR_FIELDS; i++) {
		if (!over->has[i])
			continue;
		hdr->has[i] = true;
		copy_words(&hdr->words[i], &over->words[i]);
	}
}

/* ---- writing ---- */

static bool same(const struct inithdr *a, const struct inithdr *b, int field)
{
	size_t i;

	if (a->words[field].len != b->words[field].len)
		return false;
	for (i = 0; i < a->words[field].len; i++)
		if (strcmp(a->words[field].items[i],
			   b->words[field].items[i]) != 0)
			return false;
	return true;
}

static void put_field(struct str *out, const struct inithdr *h, int field)
{
	char **w;
	char head[40];

	if (!h->words[field].len && !fields[field].required)
		return;
	snprintf(head, sizeof(head), "# %s:", fields[field].name);
	str_addf(out, h->words[field].len ? "%-20s" : "%s", head);
	vec_each (w, &h->words[field])
		str_addf(out, " %s", *w);
	str_add(out, "\n");
}

/* Fields that were not there, before the header's end. */
static void put_new(struct str *out, const struct inithdr *was,
		    const struct inithdr *now)
{
	int i;

	for (i = 0; i < INITHDR_FIELDS; i++)
		if (!was->has[i] && !same(was, now, i))
			put_field(out, now, i);
}

char *inithdr_rewrite(const char *text, const struct inithdr *was,
		      const struct inithdr *now)
{
	bool inside = false, ended = false, seen[INITHDR_FIELDS] = {false};
	struct str out = {0};
	char *line, *value;
	int field;

	while (!ended && (line = next_line(&text))) {
		if (!inside && strstr(line, BEGIN)) {
			inside = true;
			str_add(&out, BEGIN "\n");
		} else if (inside && strstr(line, END)) {
			ended = true;
			put_new(&out, was, now);
			str_add(&out, END "\n");
		} else if (inside) {
			field = line_field(line, &value);
			if (field < 0 || seen[field] || same(was, now, field))
				str_addf(&out, "%s\n", line);
			else
				put_field(&out, now, field);
			if (field >= 0)
				seen[field] = true;
		}
		free(line);
	}
	if (ended)
		return str_take(&out);
	str_free(&out);
	return NULL;
}
