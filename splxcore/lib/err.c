/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* The text is one line whatever went into it. */
static void err_store(struct err *err, const char *text)
{
	size_t n = strnlen(text, sizeof(err->text) - 1);
	size_t i;

	while (n > 0 && text[n - 1] == '\n')
		n--;
	for (i = 0; i < n; i++)
		err->text[i] = text[i] == '\n' ? ' ' : text[i];
	err->text[n] = '\0';
}

void err_clear(struct err *err)
{
	if (!err)
		return;
	err->code = 0;
	err->text[0] = '\0';
}

/* Both functions format beside *err: its old text may be an argument. */

int(err_set)(struct err *err, int code, const char *fmt, ...)
{
	char text[sizeof(err->text)];
	size_t n;
	va_list ap;

	if (!err)
		return -1;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (code) {
		n = strlen(text);
		snprintf(text + n, sizeof(text) - n, ": %s", strerror(code));
	}
	err_store(err, text);
	err->code = code;
	return -1;
}

int(err_add)(struct err *err, const char *fmt, ...)
{
	char text[2 * sizeof(err->text) + 2];
	size_t n;
	va_list ap;

	if (!err)
		return -1;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(err->text), fmt, ap);
	va_end(ap);
	n = strlen(text);
	if (err->text[0])
		snprintf(text + n, sizeof(text) - n, ": %s", err->text);
	err_store(err, text);
	return -1;
}
