/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "address.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "lib/alloc.h"
#include "lib/str.h"

#define MARK "://"

static bool is_scheme(char c)
{
	return isalnum((unsigned char)c) || c == '+' || c == '-' || c == '.';
}

/* The next address from p on and its length; NULL when there is none. */
static const char *next(const char *p, const char *from, size_t *len_r)
{
	const char *hit = strstr(p, MARK), *begin;
	size_t len;

	if (!hit)
		return NULL;
	for (begin = hit; begin > from && is_scheme(begin[-1]); begin--)
		;
	len = (size_t)(hit - begin) + strlen(MARK);
	len += strcspn(begin + len, " \t\r\n\"'<>\\");
	/* Of a list or a sentence. */
	while (len && strchr(",.;:)", begin[len - 1]))
		len--;
	*len_r = len;
	return begin;
}

/* Everything behind the = of each pair. */
static void mask_query(struct str *out, const char *p, const char *end)
{
	bool value = false;

	for (; p < end; p++) {
		if (*p == '&' || *p == '#')
			value = false;
		if (value)
			continue;
		str_addn(out, p, 1);
		if (*p == '=') {
			str_add(out, ADDRESS_MASK);
			value = true;
		}
	}
}

static void mask_one(struct str *out, const char *p, size_t len)
{
	const char *end = p + len, *host = strstr(p, MARK) + strlen(MARK);
	const char *rest = host, *at, *query;
	bool web = !strncasecmp(p, "http", 4);

	while (rest < end && !strchr("/?#", *rest))
		rest++;
	at = memrchr(host, '@', (size_t)(rest - host));
	str_addn(out, p, (size_t)(host - p));
	/* A name alone may be a token, where it is for a web server. */
	if (at && (web || memchr(host, ':', (size_t)(at - host)))) {
		str_add(out, ADDRESS_MASK);
		host = at;
	}
	query = memchr(host, '?', (size_t)(end - host));
	if (!query)
		query = end;
	str_addn(out, host, (size_t)(query - host));
	mask_query(out, query, end);
}

static char *taken(struct str *out)
{
	char *s = str_take(out);

	return s ? s : xstrdup("");
}

char *address_mask(const char *text)
{
	struct str out = {0};
	const char *p = text, *one;
	size_t len;

	while ((one = next(p, p, &len))) {
		str_addn(&out, p, (size_t)(one - p));
		mask_one(&out, one, len);
		p = one + len;
	}
	str_add(&out, p);
	return taken(&out);
}

/* Appends the one in old that looks like this when it is masked. */
static bool fill_one(struct str *out, const char *masked, size_t len,
		     const char *old)
{
	const char *p = old, *one;
	struct str shown = {0};
	bool found = false;
	size_t n;

	while (!found && (one = next(p, p, &n))) {
		str_clear(&shown);
		mask_one(&shown, one, n);
		found = shown.len == len && !memcmp(shown.s, masked, len);
		if (found)
			str_addn(out, one, n);
		p = one + n;
	}
	str_free(&shown);
	return found;
}

char *address_fill(const char *text, const char *old, struct err *err)
{
	struct str out = {0};
	const char *p = text, *one;
	size_t len;

	while ((one = next(p, p, &len))) {
		str_addn(&out, p, (size_t)(one - p));
		p = one + len;
		if (!memmem(one, len, ADDRESS_MASK, strlen(ADDRESS_MASK))) {
			str_addn(&out, one, len);
		} else if (!fill_one(&out, one, len, old)) {
			err_set(err, EINVAL,
				"%.*s: " ADDRESS_MASK
				" stands for a secret that "
				"is not known here: write it out",
				(int)len, one);
			str_free(&out);
			return NULL;
		}
	}
	str_add(&out, p);
	return taken(&out);
}
