/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_LIB_STR_H
#define SPLX_LIB_STR_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"

/* A growing string. Zero it to begin; str_free() when done. */
struct str {
	char *s; /* NULL while empty, else terminated */
	size_t len;
	size_t cap;
};

void str_add(struct str *b, const char *s);
void str_addn(struct str *b, const char *s, size_t n);
void str_addf(struct str *b, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
void str_vaddf(struct str *b, const char *fmt, va_list ap)
	__attribute__((format(printf, 2, 0)));
/* Never NULL: "" for an empty one. */
const char *str_get(const struct str *b) __attribute__((returns_nonnull));
/* Hands the string over to the caller, who frees it; *b is empty again. */
char *str_take(struct str *b) __attribute__((returns_nonnull));
void str_clear(struct str *b); /* empty, memory kept */
void str_free(struct str *b);

bool str_starts(const char *s, const char *prefix);
bool str_ends(const char *s, const char *suffix);
/* strlcpy: always terminates; false if it had to cut. */
bool str_copy(char *dst, size_t size, const char *src);
/* Strips blanks from both ends in place; returns the new start. */
char *str_trim(char *s);

/*
 * Numbers. The whole string must be the number; -1 and *err (what was read,
 * what is allowed) otherwise.
 * Sizes: bytes, or K, M, G, T (powers of 1024), such as "256M".
 * Durations: ms, s, m, h, d, such as "5s"; a bare number is in `bare_unit_ms`.
 */
int str_to_i64(const char *s, int64_t min, int64_t max, int64_t *out_r,
	       struct err *err);
int str_to_size(const char *s, uint64_t *bytes_r, struct err *err);
int str_to_duration(const char *s, uint64_t bare_unit_ms, uint64_t *ms_r,
		    struct err *err);
/* "1,234,567". Returns out. */
char *str_grouped(char *out, size_t size, int64_t n);
/* For people: "1.4 GiB", "5s", "2d 3h". Return out. */
char *str_size(char *out, size_t size, uint64_t bytes);
char *str_duration(char *out, size_t size, uint64_t ms);

#endif
