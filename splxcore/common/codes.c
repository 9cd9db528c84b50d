/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include <stddef.h>

#include "codes.h"

static const struct {
	int code;
	const char *name;
	const char *text;
} rows[] = {
#define CODE(id, number, name, text) {number, name, text},
#include "codes.def"
#undef CODE
};

static size_t find(int code)
{
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		if (rows[i].code == code)
			break;
	return i;
}

const char *status_name(int code)
{
	size_t i = find(code);

	return i < sizeof(rows) / sizeof(*rows) ? rows[i].name : "unknown";
}

const char *status_text(int code)
{
	size_t i = find(code);

	return i < sizeof(rows) / sizeof(*rows) ? rows[i].text : "unknown";
}
