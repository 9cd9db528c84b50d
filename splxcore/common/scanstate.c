/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "scanstate.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/alloc.h"
#include "lib/str.h"

static const char *const state_names[SCAN_STATES] = {
	[SCAN_RUNNING] = "running",
	[SCAN_PAUSED] = "paused",
	[SCAN_INTERRUPTED] = "interrupted",
	[SCAN_CANCELLED] = "cancelled",
	[SCAN_DONE] = "done",
	[SCAN_FAILED] = "failed",
};
static const char *const order_names[SCAN_ORDERS] = {
	[SCAN_GO] = "go",
	[SCAN_PAUSE] = "pause",
	[SCAN_CANCEL] = "cancel",
};
static const char *const number_names[SCAN_NUMBERS] = {
	[SCAN_FILES] = "files",	      [SCAN_BYTES] = "bytes",
	[SCAN_KNOWN] = "known",	      [SCAN_INFECTED] = "infected",
	[SCAN_PARTLY] = "partly",     [SCAN_ERRORS] = "errors",
	[SCAN_EXCLUDED] = "excluded", [SCAN_SKIPPED] = "skipped",
};

static int find(const char *const *names, int n, const char *name)
{
	for (int i = 0; i < n; i++)
		if (strcmp(names[i], name) == 0)
			return i;
	return -1;
}

const char *scan_state_name(enum scan_state s)
{
	return s < SCAN_STATES ? state_names[s] : "unknown";
}

int scan_state_parse(const char *name)
{
	return find(state_names, SCAN_STATES, name);
}

const char *scan_order_name(enum scan_order o)
{
	return o < SCAN_ORDERS ? order_names[o] : "unknown";
}

int scan_order_parse(const char *name)
{
	return find(order_names, SCAN_ORDERS, name);
}

const char *scan_number_name(enum scan_number n)
{
	return n < SCAN_NUMBERS ? number_names[n] : "unknown";
}

char *scan_path_encode(const char *path)
{
	struct str out = {0};

	str_add(&out, "");
	for (const unsigned char *p = (const unsigned char *)path; *p; p++) {
		if (*p > ' ' && *p < 0x7f && *p != '%')
			str_addn(&out, (const char *)p, 1);
		else
			str_addf(&out, "%%%02X", *p);
	}
	return out.s ? str_take(&out) : xstrdup("");
}

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

int scan_path_decode(const char *word, char out[PATH_MAX], struct err *err)
{
	size_t n = 0;

	for (const char *p = word; *p; p++) {
		char c = *p;

		if (n + 1 >= PATH_MAX)
			return err_set(err, ENAMETOOLONG, "path");
		if (c == '%') {
			if (hex(p[1]) < 0 || hex(p[2]) < 0)
				return err_set(err, 0, "no path: %s", word);
			c = (char)(hex(p[1]) << 4 | hex(p[2]));
			p += 2;
		}
		if (!c)
			return err_set(err, 0, "no path: %s", word);
		out[n++] = c;
	}
	out[n] = '\0';
	if (out[0] != '/')
		return err_set(err, 0, "not a full path: %s", word);
	return 0;
}

char *scan_position_text(const struct scan_position *pos)
{
	char *path = scan_path_encode(pos->path);
	char *text = xasprintf("%lld:%s", (long long)pos->time_ns, path);

	free(path);
	return text;
}

int scan_position_parse(const char *text, struct scan_position *pos_r,
			struct err *err)
{
	char *end;
	long long t;

	errno = 0;
	t = strtoll(text, &end, 10);
	if (errno || end == text || *end != ':' || t < 0 ||
	    !isdigit((unsigned char)*text))
		return err_set(err, 0, "no position of a scan: %s", text);
	pos_r->time_ns = t;
	return scan_path_decode(end + 1, pos_r->path, err);
}

bool scan_name_valid(const char *name)
{
	size_t n = strlen(name);

	if (n == 0 || n > SCAN_NAME_MAX || !isascii(*name) ||
	    !isalpha((unsigned char)*name))
		return false;
	for (; *name; name++)
		if (!isascii(*name) || (!isalnum((unsigned char)*name) &&
					*name != '-' && *name != '_'))
			return false;
	return true;
}
