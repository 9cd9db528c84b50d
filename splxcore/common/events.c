/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include <string.h>

#include "events.h"

/*
 * One array for each kind: an EVENT row ends the array before it and begins
 * its own, the COLUMN rows fill it. Each ends in a row without a name.
 */
/* clang-format off */
#define COLUMNS_END {NULL, EVENT_TYPE_TEXT, NULL}

static const struct event_column columns_before[] __attribute__((unused)) = {
#define EVENT(kind, text)                                                      \
	COLUMNS_END                                                            \
	}                                                                      \
	;                                                                      \
	static const struct event_column columns_##kind[] = {
#define COLUMN(kind, name, type, text) {#name, EVENT_TYPE_##type, text},
#include "events.def"
#undef COLUMN
#undef EVENT
	COLUMNS_END
};
/* clang-format on */

const struct event_kind event_kinds[EVENT_KIND_COUNT] = {
#define EVENT(kind, text)                                                      \
	{EVENT_##kind, #kind, text, columns_##kind,                            \
	 sizeof(columns_##kind) / sizeof(*columns_##kind) - 1},
#define COLUMN(kind, name, type, text)
#include "events.def"
#undef COLUMN
#undef EVENT
};

const struct event_column event_common[] = {
	{"id", EVENT_TYPE_INT, "the event's number"},
	{"time", EVENT_TYPE_INT, "when it happened"},
	{"severity", EVENT_TYPE_TEXT, "info, low, medium, high"},
	{"message", EVENT_TYPE_TEXT, "what happened, for people"},
};
const size_t event_common_count = sizeof(event_common) / sizeof(*event_common);

const struct event_kind *events_kind_find(const char *name)
{
	int i;

	for (i = 0; i < EVENT_KIND_COUNT; i++)
		if (strcmp(event_kinds[i].name, name) == 0)
			return &event_kinds[i];
	return NULL;
}

const struct event_column *events_column(const struct event_kind *kind,
					 size_t i)
{
	if (i < event_common_count)
		return &event_common[i];
	i -= event_common_count;
	return i < kind->column_count ? &kind->columns[i] : NULL;
}

const struct event_column *events_column_find(const struct event_kind *kind,
					      const char *name)
{
	const struct event_column *c;
	size_t i;

	for (i = 0; (c = events_column(kind, i)); i++)
		if (strcmp(c->name, name) == 0)
			return c;
	return NULL;
}

static const char *const severities[] = {
	[EVENT_SEVERITY_INFO] = "info",
	[EVENT_SEVERITY_LOW] = "low",
	[EVENT_SEVERITY_MEDIUM] = "medium",
	[EVENT_SEVERITY_HIGH] = "high",
};
#define SEVERITY_COUNT (sizeof(severities) / sizeof(*severities))

const char *events_severity_name(enum event_severity severity)
{
	return severity < SEVERITY_COUNT ? severities[severity] : "unknown";
}

int events_severity_parse(const char *name)
{
	size_t i;

	for (i = 0; i < SEVERITY_COUNT; i++)
		if (strcmp(severities[i], name) == 0)
			return (int)i;
	return -1;
}
