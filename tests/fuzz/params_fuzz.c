/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/*
 * What browsers send to the console: whatever it is, what is taken out of it
 * are short names with values that are UTF-8 without control characters, and
 * shown on a page they are text and nothing else. The first byte chooses the
 * parser.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "httpd/html.h"
#include "httpd/lang.h"
#include "httpd/params.h"
#include "httpd/utf8.h"
#include "lib/alloc.h"

#define TYPE "multipart/form-data; boundary=B"

static void check(int holds)
{
	if (!holds)
		abort();
}

static void check_text(const char *text)
{
	size_t len = strlen(text), i, n;

	for (i = 0; i < len; i += n) {
		n = utf8_length(text + i, len - i);
		check(n > 0);
		check((unsigned char)text[i] >= 0x20 ||
		      strchr("\t\r\n", text[i]));
	}
}

static void check_shown(const char *text)
{
	struct html h = {0};
	const char *p;

	html_text(&h, text);
	for (p = str_get(&h.out); *p; p++) {
		check(!strchr("<>\"'", *p) && (unsigned char)*p >= 0x20);
		if (*p == '&')
			check(strchr("lga#", p[1]) != NULL);
	}
	check_text(str_get(&h.out));
	str_free(&h.out);
}

static void check_all(struct params *p)
{
	const struct param *q;

	check(p->len <= PARAMS_MAX);
	vec_each (q, p) {
		check(strlen(q->name) <= PARAMS_NAME_MAX);
		check_text(q->name);
		check_text(q->value);
		check_shown(q->value);
	}
	params_free(p);
}

static void decode(const char *text, size_t len)
{
	char out[64];
	long n = params_decode(text, len, false, out, sizeof(out));

	if (n >= 0) {
		check((size_t)n == strlen(out) && (size_t)n <= len);
		check_text(out);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text;
	size_t len;
	struct params p;

	if (!size)
		return 0;
	len = size - 1;
	text = xmalloc(len + 1); /* of just this size: overreads are seen */
	memcpy(text, data + 1, len);
	text[len] = '\0';
	switch (data[0] % 6) {
	case 0:
		if (params_urlencoded(&p, text, len) < 0)
			check(!p.len);
		check_all(&p);
		break;
	case 1:
		if (params_multipart(&p, TYPE, text, len) < 0)
			check(!p.len);
		check_all(&p);
		break;
	case 2:
		if (params_multipart(&p, text, "--B--", 5) < 0)
			check(!p.len);
		check_all(&p);
		break;
	case 3:
		params_cookies(&p, text);
		check_all(&p);
		break;
	case 4:
		decode(text, len);
		check_shown(text);
		break;
	default:
		check(lang_accept(text) < LANGS);
	}
	free(text);
	return 0;
}
