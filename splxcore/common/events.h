/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_COMMON_EVENTS_H
#define SPLX_COMMON_EVENTS_H

#include <stddef.h>

/* The kinds of events and their columns (events.def). */
enum event_kind_id {
#define EVENT(kind, text) EVENT_##kind,
#define COLUMN(kind, name, type, text)
#include "events.def"
#undef COLUMN
#undef EVENT
	EVENT_KIND_COUNT
};

enum event_type { EVENT_TYPE_TEXT, EVENT_TYPE_INT };

struct event_column {
	const char *name;
	enum event_type type;
	const char *text;
};

struct event_kind {
	enum event_kind_id id;
	const char *name;
	const char *text;
	const struct event_column *columns; /* its own, after the common ones */
	size_t column_count;
};

extern const struct event_kind event_kinds[EVENT_KIND_COUNT];

/* What every kind begins with: id, time, severity, message. */
extern const struct event_column event_common[];
extern const size_t event_common_count;

/* By name ("virus"); NULL when there is no such kind. */
const struct event_kind *events_kind_find(const char *name);
/* A column of the kind by name, common ones too; NULL when it has none. */
const struct event_column *events_column_find(const struct event_kind *kind,
					      const char *name);
/*
 * Column number i of the kind, the common ones first; NULL past the last:
 *   for (i = 0; (c = events_column(kind, i)); i++)
 */
const struct event_column *events_column(const struct event_kind *kind,
					 size_t i);

enum event_severity {
	EVENT_SEVERITY_INFO,
	EVENT_SEVERITY_LOW,
	EVENT_SEVERITY_MEDIUM,
	EVENT_SEVERITY_HIGH,
};
const char *events_severity_name(enum event_severity severity);
/* The severity of that name, or -1. */
int events_severity_parse(const char *name);

#endif
