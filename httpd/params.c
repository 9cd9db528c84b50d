/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "params.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/alloc.h"
#include "utf8.h"

#define BOUNDARY_MAX 70 /* RFC 2046, 5.1.1 */
#define PART_HEADERS_MAX 2048

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

static bool is_text(const char *s, size_t len)
{
	size_t i, step;

	for (i = 0; i < len; i += step) {
		unsigned char c = (unsigned char)s[i];

		if ((c < 0x20 && c != '\t' && c != '\n' && c != '\r') ||
		    c == 0x7f)
			return false;
		step = utf8_length(s + i, len - i);
		if (!step)
			return false;
	}
	return true;
}

long params_decode(const char *in, size_t len, bool plus, char *out,
		   size_t size)
{
	size_t i, n = 0;

	for (i = 0; i < len; i++) {
		char c = in[i];

		if (n + 1 >= size)
			return -1;
		if (c == '%') {
			if (i + 2 >= len || hex(in[i + 1]) < 0 ||
			    hex(in[i + 2]) < 0)
				return -1;
			c = (char)(hex(in[i + 1]) * 16 + hex(in[i + 2]));
			i += 2;
		} else if (c == '+' && plus) {
			c = ' ';
		}
		out[n++] = c;
	}
	out[n] = '\0';
	return is_text(out, n) ? (long)n : -1;
}

void params_free(struct params *p)
{
	struct param *q;

	vec_each (q, p) {
		explicit_bzero(q->value, strlen(q->value));
		free(q->name);
		free(q->value);
	}
	vec_free(p);
}

const char *params_get(const struct params *p, const char *name)
{
	const struct param *q;

	vec_each (q, p)
		if (!strcmp(q->name, name))
			return q->value;
	return NULL;
}

static int add_decoded(struct params *out, const char *name, size_t name_len,
		       const char *value, size_t value_len)
{
	struct param p;

	if (out->len == PARAMS_MAX || name_len > 3 * PARAMS_NAME_MAX)
		return -1;
	p.name = xmalloc(name_len + 1);
	p.value = xmalloc(value_len + 1);
	if (params_decode(name, name_len, true, p.name, name_len + 1) < 0 ||
	    params_decode(value, value_len, true, p.value, value_len + 1) < 0 ||
	    strlen(p.name) > PARAMS_NAME_MAX) {
		free(p.name);
		free(p.value);
		return -1;
	}
	vec_push(out, p);
	return 0;
}

int params_urlencoded(struct params *out, const char *text, size_t len)
{
	const char *end = text + len, *amp, *eq;

	*out = (struct params){0};
	while (text < end) {
		amp = memchr(text, '&', (size_t)(end - text));
		if (!amp)
			amp = end;
		eq = memchr(text, '=', (size_t)(amp - text));
		if (amp > text &&
		    add_decoded(out, text, (size_t)((eq ? eq : amp) - text),
				eq ? eq + 1 : amp,
				eq ? (size_t)(amp - eq - 1) : 0) < 0) {
			params_free(out);
			return -1;
		}
		text = amp + (amp < end);
	}
	return 0;
}

/* ---- multipart ---- */

/* The boundary with the -- before it, or NULL. The caller frees it. */
static char *boundary_of(const char *type)
{
	const char *p = strcasestr(type, "boundary=");
	size_t len;

	if (strncasecmp(type, "multipart/form-data", 19) != 0 || !p)
		return NULL;
	p += strlen("boundary=");
	if (*p == '"') {
		p++;
		len = strcspn(p, "\"");
		if (p[len] != '"')
			return NULL;
	} else {
		len = strcspn(p, "; \t");
	}
	if (!len || len > BOUNDARY_MAX || !is_text(p, len))
		return NULL;
	return xasprintf("--%.*s", (int)len, p);
}

/* name="..." of a Content-Disposition in a part's headers. */
static char *part_name(const char *headers, size_t len)
{
	char *text = xstrndup(headers, len), *line, *save = NULL, *name = NULL;

	for (line = strtok_r(text, "\r\n", &save); line && !name;
	     line = strtok_r(NULL, "\r\n", &save)) {
		char *p, *end;

		if (strncasecmp(line, "Content-Disposition:", 20) != 0)
			continue;
		p = strcasestr(line, "; name=\"");
		end = p ? strchr(p + 8, '"') : NULL;
		if (end && end - (p + 8) <= PARAMS_NAME_MAX &&
		    is_text(p + 8, (size_t)(end - (p + 8))))
			name = xstrndup(p + 8, (size_t)(end - (p + 8)));
	}
	free(text);
	return name;
}

/* One part, between two boundaries: headers, an empty line, the value. */
static int add_part(struct params *out, const char *part, size_t len)
{
	const char *gap = memmem(part, len, "\r\n\r\n", 4);
	size_t headers = gap ? (size_t)(gap - part) : 0, value_len;
	struct param p;

	if (!gap || headers > PART_HEADERS_MAX || out->len == PARAMS_MAX)
		return -1;
	value_len = len - headers - 4;
	if (!is_text(gap + 4, value_len))
		return -1;
	p.name = part_name(part, headers);
	if (!p.name)
		return -1;
	p.value = xstrndup(gap + 4, value_len);
	vec_push(out, p);
	return 0;
}

static int parts(struct params *out, const char *mark, const char *body,
		 size_t len)
{
	size_t n = strlen(mark);
	const char *end = body + len, *next;
	char *inner = xasprintf("\r\n%s", mark);
	int rc = -1;

	if (len < n || memcmp(body, mark, n) != 0)
		goto out;
	body += n;
	for (;;) {
		if (end - body >= 2 && !memcmp(body, "--", 2)) {
			rc = 0;
			break;
		}
		if (end - body < 2 || memcmp(body, "\r\n", 2) != 0)
			break;
		body += 2;
		next = memmem(body, (size_t)(end - body), inner, n + 2);
		if (!next || add_part(out, body, (size_t)(next - body)) < 0)
			break;
		body = next + n + 2;
	}
out:
	free(inner);
	return rc;
}

int params_multipart(struct params *out, const char *type, const char *body,
		     size_t len)
{
	char *mark = boundary_of(type);
	int rc;

	*out = (struct params){0};
	if (!mark)
		return -1;
	rc = parts(out, mark, body, len);
	if (rc < 0)
		params_free(out);
	free(mark);
	return rc;
}

void params_cookies(struct params *out, const char *text)
{
	int n;

	*out = (struct params){0};
	for (n = 0; *text && n < PARAMS_COOKIES_MAX; n++) {
		size_t len, eq;

		text += strspn(text, "; \t");
		len = strcspn(text, ";");
		eq = strcspn(text, "=");
		if (eq < len && eq && eq <= PARAMS_NAME_MAX &&
		    is_text(text, len)) {
			struct param p = {
				xstrndup(text, eq),
				xstrndup(text + eq + 1, len - eq - 1)};

			vec_push(out, p);
		}
		text += len;
	}
}
