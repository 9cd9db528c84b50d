/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "str.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "log.h"

#define STR_FIRST 64

/* Makes room for n more bytes and the terminator. */
static void str_reserve(struct str *b, size_t n)
{
	size_t need, cap = b->cap ? b->cap : STR_FIRST;

	if (__builtin_add_overflow(b->len, n, &need) || need >= SIZE_MAX / 2)
		panic("a string of %zu and %zu bytes", b->len, n);
	need++;
	if (b->s && need <= b->cap)
		return;
	while (cap < need)
		cap *= 2;
	b->s = xrealloc(b->s, cap);
	b->cap = cap;
}

void str_add(struct str *b, const char *s)
{
	str_addn(b, s, strlen(s));
}

void str_addn(struct str *b, const char *s, size_t n)
{
	str_reserve(b, n);
	if (n)
		memcpy(b->s + b->len, s, n);
	b->len += n;
	b->s[b->len] = '\0';
}

void str_addf(struct str *b, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	str_vaddf(b, fmt, ap);
	va_end(ap);
}

void str_vaddf(struct str *b, const char *fmt, va_list ap)
{
	va_list again;
	int n;

	va_copy(again, ap);
	n = vsnprintf(NULL, 0, fmt, ap);
	if (n < 0)
		panic("vsnprintf(%s): %m", fmt);
	str_reserve(b, (size_t)n);
	vsnprintf(b->s + b->len, (size_t)n + 1, fmt, again);
	va_end(again);
	b->len += (size_t)n;
}

const char *str_get(const struct str *b)
{
	return b->s ? b->s : "";
}

char *str_take(struct str *b)
{
	char *s = b->s ? b->s : xstrdup("");

	*b = (struct str){0};
	return s;
}

void str_clear(struct str *b)
{
	b->len = 0;
	if (b->s)
		b->s[0] = '\0';
}

void str_free(struct str *b)
{
	free(b->s);
	*b = (struct str){0};
}

bool str_starts(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

bool str_ends(const char *s, const char *suffix)
{
	size_t n = strlen(s), m = strlen(suffix);

	return n >= m && memcmp(s + n - m, suffix, m) == 0;
}

bool str_copy(char *dst, size_t size, const char *src)
{
	size_t n = strlen(src);
	bool whole = n < size;

	if (size == 0)
		return false;
	if (!whole)
		n = size - 1;
	memcpy(dst, src, n);
	dst[n] = '\0';
	return whole;
}

char *str_trim(char *s)
{
	size_t n;

	while (isspace((unsigned char)*s))
		s++;
	n = strlen(s);
	while (n > 0 && isspace((unsigned char)s[n - 1]))
		n--;
	s[n] = '\0';
	return s;
}

int str_to_i64(const char *s, int64_t min, int64_t max, int64_t *out_r,
	       struct err *err)
{
	const char *digits = *s == '-' || *s == '+' ? s + 1 : s;
	long long v = 0;
	char *end = NULL;

	/* strtoll() itself would let blanks in front pass. */
	if (isdigit((unsigned char)*digits)) {
		errno = 0;
		v = strtoll(s, &end, 10);
		if (errno == 0 && *end == '\0' && v >= min && v <= max) {
			*out_r = v;
			return 0;
		}
	}
	return err_set(err, 0,
		       "\"%.80s\": allowed is a whole number from %" PRId64
		       " to %" PRId64,
		       s, min, max);
}

/*
 * Digits and what follows them, which must be one of units[n] (a unit may be
 * ""); -1 when it is not, or when the product does not fit.
 */
struct str_unit {
	const char *name;
	uint64_t factor;
};

static int str_to_scaled(const char *s, const struct str_unit *units, size_t n,
			 uint64_t *out_r)
{
	unsigned long long v;
	uint64_t product;
	char *end;
	size_t i;

	if (!isdigit((unsigned char)*s))
		return -1;
	errno = 0;
	v = strtoull(s, &end, 10);
	if (errno)
		return -1;
	for (i = 0; i < n; i++) {
		if (strcmp(end, units[i].name) != 0)
			continue;
		if (__builtin_mul_overflow(v, units[i].factor, &product))
			return -1;
		*out_r = product;
		return 0;
	}
	return -1;
}

int str_to_size(const char *s, uint64_t *bytes_r, struct err *err)
{
	static const struct str_unit units[] = {
		{"", 1},	   {"K", 1ull << 10}, {"k", 1ull << 10},
		{"M", 1ull << 20}, {"m", 1ull << 20}, {"G", 1ull << 30},
		{"g", 1ull << 30}, {"T", 1ull << 40}, {"t", 1ull << 40},
	};

	if (str_to_scaled(s, units, sizeof(units) / sizeof(units[0]),
			  bytes_r) == 0)
		return 0;
	return err_set(err, 0,
		       "\"%.80s\": allowed is a size in bytes, or with K, M, "
		       "G or T, such as 256M",
		       s);
}

int str_to_duration(const char *s, uint64_t bare_unit_ms, uint64_t *ms_r,
		    struct err *err)
{
	const struct str_unit units[] = {
		{"", bare_unit_ms}, {"ms", 1},	       {"s", 1000},
		{"m", 60000},	    {"h", 3600000ull}, {"d", 86400000ull},
	};

	if (str_to_scaled(s, units, sizeof(units) / sizeof(units[0]), ms_r) ==
	    0)
		return 0;
	return err_set(err, 0,
		       "\"%.80s\": allowed is a duration in ms, s, m, h or "
		       "d, such as 5s",
		       s);
}

char *str_size(char *out, size_t size, uint64_t bytes)
{
	static const char *const units[] = {"B",   "KiB", "MiB", "GiB",
					    "TiB", "PiB", "EiB"};
	unsigned int u = 0;
	uint64_t tenths = 0, rest;

	if (bytes < 1024) {
		snprintf(out, size, "%" PRIu64 " B", bytes);
		return out;
	}
	for (u = 1; u < 6 && bytes >> (10 * (u + 1)); u++)
		;
	for (;; u++) {
		rest = bytes & ((1ull << (10 * u)) - 1);
		/* Ten bits of the rest tell a tenth well enough. */
		tenths = (bytes >> (10 * u)) * 10 +
			 ((rest >> (10 * (u - 1))) * 10 + 512) / 1024;
		if (tenths < 10240 || u == 6)
			break;
	}
	if (tenths % 10)
		snprintf(out, size, "%" PRIu64 ".%" PRIu64 " %s", tenths / 10,
			 tenths % 10, units[u]);
	else
		snprintf(out, size, "%" PRIu64 " %s", tenths / 10, units[u]);
	return out;
}

char *str_grouped(char *out, size_t size, int64_t n)
{
	char digits[32];
	size_t len, i, k = 0;

	snprintf(digits, sizeof(digits), "%lld", (long long)n);
	len = strlen(digits);
	for (i = 0; i < len && k + 2 < size; i++) {
		out[k++] = digits[i];
		if (digits[i] != '-' && i + 1 < len && (len - i - 1) % 3 == 0)
			out[k++] = ',';
	}
	out[k] = '\0';
	return out;
}

char *str_duration(char *out, size_t size, uint64_t ms)
{
	static const struct str_unit units[] = {
		{"d", 86400000ull}, {"h", 3600000ull}, {"m", 60000},
		{"s", 1000},	    {"ms", 1},
	};
	size_t i = 0, last = sizeof(units) / sizeof(units[0]) - 1;
	uint64_t next;

	if (ms == 0) {
		str_copy(out, size, "0s");
		return out;
	}
	while (ms < units[i].factor)
		i++;
	next = i < last ? ms % units[i].factor / units[i + 1].factor : 0;
	if (next)
		snprintf(out, size, "%" PRIu64 "%s %" PRIu64 "%s",
			 ms / units[i].factor, units[i].name, next,
			 units[i + 1].name);
	else
		snprintf(out, size, "%" PRIu64 "%s", ms / units[i].factor,
			 units[i].name);
	return out;
}
