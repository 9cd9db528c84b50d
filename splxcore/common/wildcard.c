/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/alloc.h"
#include "wildcard.h"

/*
 * A pattern is a row of steps; matching keeps the set of steps that may come
 * next and moves it on with each byte of the path. Nothing is ever tried
 * twice, so no pattern is slow.
 */
enum step_kind {
	STEP_BYTE, /* this byte */
	STEP_ANY,  /* one byte that is no slash */
	STEP_REST, /* or not: further bytes of a UTF-8 character */
	STEP_STAR, /* or not: bytes that are no slashes */
	STEP_DEEP, /* or not: any bytes */
	STEP_JUMP, /* a way past the two steps after this one */
};

struct step {
	uint8_t kind;
	char byte;
};

struct wildcard {
	size_t literal; /* so many STEP_BYTE at the beginning */
	size_t count;
	struct step steps[];
};

#define WORD_BITS 64
#define SET_WORDS ((2 * WILDCARD_MAX) / WORD_BITS + 1)

static void add_step(struct wildcard *w, enum step_kind kind, char byte)
{
	w->steps[w->count].kind = (uint8_t)kind;
	w->steps[w->count++].byte = byte;
}

/* A pattern's stars at p; returns how many bytes they take. */
static size_t add_stars(struct wildcard *w, const char *pattern, const char *p)
{
	size_t n = strspn(p, "*");

	if (n == 1) {
		add_step(w, STEP_STAR, 0);
	} else {
		/* between slashes the stars and the slash after them may be
		 * nothing at all */
		if (p > pattern && p[-1] == '/' && p[n] == '/')
			add_step(w, STEP_JUMP, 0);
		add_step(w, STEP_DEEP, 0);
	}
	return n;
}

struct wildcard *wildcard_new(const char *pattern, const char **why_r)
{
	size_t len = strlen(pattern);
	struct wildcard *w;
	const char *p;

	*why_r = NULL;
	if (len > WILDCARD_MAX)
		*why_r = "is longer than 1024 bytes";
	else if (*pattern != '/' && strncmp(pattern, "**", 2) != 0)
		*why_r = "does not begin with / or **, so no full path fits it";
	if (*why_r)
		return NULL;
	w = xcalloc(1, sizeof(*w) + (2 * len + 1) * sizeof(w->steps[0]));
	for (p = pattern; *p; p++) {
		if (*p == '*') {
			p += add_stars(w, pattern, p) - 1;
		} else if (*p == '?') {
			add_step(w, STEP_ANY, 0);
			add_step(w, STEP_REST, 0);
		} else {
			if (*p == '\\' && p[1])
				p++;
			add_step(w, STEP_BYTE, *p);
		}
	}
	while (w->literal < w->count && w->steps[w->literal].kind == STEP_BYTE)
		w->literal++;
	return w;
}

void wildcard_free(struct wildcard **w)
{
	xfree(w);
}

static bool has(const uint64_t *set, size_t i)
{
	return set[i / WORD_BITS] >> (i % WORD_BITS) & 1;
}

static void put(uint64_t *set, size_t i)
{
	set[i / WORD_BITS] |= 1ull << (i % WORD_BITS);
}

/* Adds what can be reached without a byte: steps that may be nothing. */
static void close_set(const struct wildcard *w, uint64_t *set)
{
	size_t i;

	for (i = 0; i < w->count; i++) {
		if (i % WORD_BITS == 0 && !set[i / WORD_BITS]) {
			i |= WORD_BITS - 1;
			continue;
		}
		if (!has(set, i) || w->steps[i].kind < STEP_REST)
			continue;
		put(set, i + 1);
		if (w->steps[i].kind == STEP_JUMP)
			put(set, i + 3);
	}
}

/* Moves one byte on: from set to next. */
static void advance(const struct wildcard *w, const uint64_t *set,
		    uint64_t *next, char c)
{
	bool rest = ((unsigned char)c & 0xc0) == 0x80;
	size_t i;

	for (i = 0; i < w->count; i++) {
		const struct step *s = &w->steps[i];

		if (!set[i / WORD_BITS]) {
			i |= WORD_BITS - 1;
			continue;
		}
		if (!has(set, i))
			continue;
		if ((s->kind == STEP_BYTE && s->byte == c) ||
		    (s->kind == STEP_ANY && c != '/'))
			put(next, i + 1);
		else if ((s->kind == STEP_REST && rest) ||
			 (s->kind == STEP_STAR && c != '/') ||
			 s->kind == STEP_DEEP)
			put(next, i);
	}
}

static bool any(const uint64_t *set, size_t words)
{
	size_t i;

	for (i = 0; i < words; i++)
		if (set[i])
			return true;
	return false;
}

bool wildcard_match(const struct wildcard *w, const char *path)
{
	uint64_t sets[2][SET_WORDS];
	size_t words = w->count / WORD_BITS + 1;
	size_t size = words * sizeof(uint64_t);
	uint64_t *now = sets[0], *next = sets[1], *swap;
	size_t i;

	for (i = 0; i < w->literal; i++)
		if (path[i] != w->steps[i].byte)
			return false;
	memset(now, 0, size);
	put(now, w->literal);
	close_set(w, now);
	for (path += w->literal; *path; path++) {
		memset(next, 0, size);
		advance(w, now, next, *path);
		close_set(w, next);
		swap = now;
		now = next;
		next = swap;
		if (!any(now, words))
			return false;
	}
	return has(now, w->count);
}
