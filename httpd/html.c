/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "html.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/alloc.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "utf8.h"

void html_raw(struct html *h, const char *markup)
{
	str_add(&h->out, markup);
}

/* Characters that nobody sees, or that change how others are read. */
static bool is_deceptive(uint32_t c)
{
	static const struct {
		uint32_t first, last;
	} ranges[] = {
		{0x00, 0x1f},	    {0x7f, 0x9f},	{0xad, 0xad},
		{0x34f, 0x34f},	    {0x61c, 0x61c},	{0x115f, 0x1160},
		{0x17b4, 0x17b5},   {0x180b, 0x180f},	{0x200b, 0x200f},
		{0x2028, 0x202e},   {0x2060, 0x206f},	{0x3164, 0x3164},
		{0xfe00, 0xfe0f},   {0xfeff, 0xfeff},	{0xfff0, 0xfffb},
		{0x1d173, 0x1d17a}, {0xe0000, 0xe0fff},
	};
	size_t i;

	for (i = 0; i < sizeof(ranges) / sizeof(*ranges); i++)
		if (c >= ranges[i].first && c <= ranges[i].last)
			return true;
	return false;
}

static void add_char(struct str *out, const char *s, size_t n)
{
	uint32_t c = utf8_char(s, n);

	if (c == '<')
		str_add(out, "&lt;");
	else if (c == '>')
		str_add(out, "&gt;");
	else if (c == '&')
		str_add(out, "&amp;");
	else if (c == '"')
		str_add(out, "&#34;");
	else if (c == '\'')
		str_add(out, "&#39;");
	else if (c < 0x80 && is_deceptive(c))
		str_addf(out, "\\x%02x", c);
	else if (is_deceptive(c))
		str_addf(out, "\\u%04x", c);
	else
		str_addn(out, s, n);
}

void html_text(struct html *h, const char *text)
{
	size_t len = strlen(text), i, n;

	for (i = 0; i < len; i += n) {
		n = utf8_length(text + i, len - i);
		if (n) {
			add_char(&h->out, text + i, n);
		} else {
			str_addf(&h->out, "\\x%02x", (unsigned char)text[i]);
			n = 1;
		}
	}
}

bool html_is_plain(const char *text)
{
	size_t len = strlen(text), i, n;

	for (i = 0; i < len; i += n) {
		n = utf8_length(text + i, len - i);
		if (!n || is_deceptive(utf8_char(text + i, n)))
			return false;
	}
	return true;
}

/* One conversion, at its letter; where the next one begins. */
static const char *convert(struct html *h, const char *p, va_list *ap)
{
	if (*p == 's')
		html_text(h, va_arg(*ap, const char *));
	else if (*p == 'd')
		str_addf(&h->out, "%d", va_arg(*ap, int));
	else if (*p == 'u')
		str_addf(&h->out, "%u", va_arg(*ap, unsigned int));
	else if (*p == '%')
		str_add(&h->out, "%");
	else if (!strncmp(p, "lld", 3))
		str_addf(&h->out, "%lld", va_arg(*ap, long long)), p += 2;
	else if (!strncmp(p, "zu", 2))
		str_addf(&h->out, "%zu", va_arg(*ap, size_t)), p++;
	else
		panic("html_addf: %%%c", *p);
	return p + 1;
}

void html_addf(struct html *h, const char *markup, ...)
{
	const char *p;
	va_list ap;

	va_start(ap, markup);
	while ((p = strchr(markup, '%'))) {
		str_addn(&h->out, markup, (size_t)(p - markup));
		markup = convert(h, p + 1, &ap);
	}
	va_end(ap);
	str_add(&h->out, markup);
}

void html_say_args(struct html *h, enum text id, const char *const *args, int n)
{
	const char *text = lang_text(h->lang, id), *p;
	struct str plain = {0};

	while ((p = strchr(text, '{'))) {
		int k = p[1] - '0';

		str_addn(&plain, text, (size_t)(p - text));
		html_text(h, str_get(&plain));
		str_clear(&plain);
		if (k < 0 || k >= n || p[2] != '}')
			panic("a text wants {%c}: %s", p[1], p);
		html_text(h, args[k]);
		text = p + 3;
	}
	html_text(h, text);
	str_free(&plain);
}

char *html_say_text(enum lang lang, enum text id, const char *arg)
{
	const char *text = lang_text(lang, id), *p = strstr(text, "{0}");

	if (!p)
		return xstrdup(text);
	return xasprintf("%.*s%s%s", (int)(p - text), text, arg, p + 3);
}

char *html_number_text(char *out, size_t size, int64_t n)
{
	return str_grouped(out, size, n);
}

void html_number(struct html *h, int64_t n)
{
	char text[48];

	str_add(&h->out, html_number_text(text, sizeof(text), n));
}

void html_time(struct html *h, int64_t ns)
{
	time_t s = (time_t)(ns / (int64_t)CLOCK_NS_PER_S);
	static const char *const forms[LANGS] = {
		[LANG_EN] = "%e %b %Y, %H:%M:%S",
		[LANG_JA] = "%Y年%-m月%-d日 %H:%M:%S",
	};
	char iso[40], text[64];
	struct tm tm;

	if (ns <= 0 || !localtime_r(&s, &tm)) {
		html_raw(h, "–");
		return;
	}
	strftime(iso, sizeof(iso), "%Y-%m-%dT%H:%M:%S%z", &tm);
	strftime(text, sizeof(text), forms[h->lang], &tm);
	html_addf(h, "<time datetime=\"%s\">%s</time>", iso,
		  text + strspn(text, " "));
}

void html_size(struct html *h, int64_t bytes)
{
	char text[32];

	html_text(h, str_size(text, sizeof(text),
			      bytes < 0 ? 0 : (uint64_t)bytes));
}

void html_duration(struct html *h, int64_t ms)
{
	char text[48];

	html_text(h, words_duration(h->lang, text, sizeof(text),
				    ms < 0 ? 0 : (uint64_t)ms));
}
