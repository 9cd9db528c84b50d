/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "alloc.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"

static void *alloc_check(void *p, size_t size)
{
	if (!p)
		panic("out of memory: %zu bytes", size);
	return p;
}

/* A size of 0 gets a byte, so that NULL always means failure. */
void *xmalloc(size_t size)
{
	return alloc_check(malloc(size ? size : 1), size);
}

void *xcalloc(size_t n, size_t size)
{
	if (n == 0 || size == 0)
		n = size = 1;
	return alloc_check(calloc(n, size), size);
}

void *xrealloc(void *p, size_t size)
{
	return alloc_check(realloc(p, size ? size : 1), size);
}

void *xreallocarray(void *p, size_t n, size_t size)
{
	size_t bytes;

	if (__builtin_mul_overflow(n, size, &bytes))
		panic("%zu items of %zu bytes do not fit in memory", n, size);
	return xrealloc(p, bytes);
}

char *xstrdup(const char *s)
{
	return alloc_check(strdup(s), strlen(s) + 1);
}

char *xstrndup(const char *s, size_t n)
{
	return alloc_check(strndup(s, n), n + 1);
}

char *xasprintf(const char *fmt, ...)
{
	char *s = NULL;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&s, fmt, ap);
	va_end(ap);
	if (n < 0)
		panic("vasprintf: %m");
	return s;
}
