/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include <stddef.h>

#include "codes.h"

struct row {
	int code;
	const char *name;
	enum status_field field;
	enum status_level level;
	const char *text;
	const char *action;
};

static const struct row rows[] = {
#define CODE(id, number, name, field, level, text, action)                     \
	{number, name,	STATUS_FIELD_##field, STATUS_LEVEL_##level,            \
	 text,	 action},
#include "codes.def"
#undef CODE
};

static const struct row *find(int code)
{
	static const struct row none = {
		-1,
		"unknown",
		STATUS_FIELD_GENERAL,
		STATUS_LEVEL_WARNING,
		"unknown",
		"",
	};
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		if (rows[i].code == code)
			return &rows[i];
	return &none;
}

const char *status_name(int code)
{
	return find(code)->name;
}

const char *status_text(int code)
{
	return find(code)->text;
}

const char *status_action(int code)
{
	return find(code)->action;
}

enum status_field status_field(int code)
{
	return find(code)->field;
}

enum status_level status_level(int code)
{
	return find(code)->level;
}
