/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "events_text.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/events.h"
#include "lib/clock.h"
#include "store.h"

/* A bare number below this is no count of nanoseconds but a mistake. */
#define LEAST_NS 1000000000000000ll /* 1970-01-12 */

static const char *const common[] = {"id", "time", "kind", "severity",
				     "message"};
#define COMMON_COUNT (sizeof(common) / sizeof(common[0]))

/* Column i of the export; NULL past the last. */
static const char *column_name(int kind, size_t i)
{
	const struct event_column *c;

	if (i < COMMON_COUNT)
		return common[i];
	i -= COMMON_COUNT;
	if (kind < 0)
		c = store_event_column(i);
	else
		c = i < event_kinds[kind].column_count
			    ? &event_kinds[kind].columns[i]
			    : NULL;
	return c ? c->name : NULL;
}

char *events_text_when(char out[40], int64_t ns)
{
	time_t s = (time_t)(ns / (int64_t)CLOCK_NS_PER_S);
	int ms = (int)(ns / (int64_t)CLOCK_NS_PER_MS % 1000);
	struct tm tm;
	char day[32];

	gmtime_r(&s, &tm);
	strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(out, 40, "%s.%03dZ", day, ms);
	return out;
}

/* ---- CSV ---- */

static void csv_field(struct str *out, const char *text)
{
	if (!strpbrk(text, "\",\r\n")) {
		str_add(out, text);
		return;
	}
	str_add(out, "\"");
	for (; *text; text++) {
		if (*text == '"')
			str_add(out, "\"");
		str_addn(out, text, 1);
	}
	str_add(out, "\"");
}

void events_text_csv_head(struct str *out, int kind)
{
	const char *name;

	for (size_t i = 0; (name = column_name(kind, i)); i++)
		str_addf(out, "%s%s", i ? "," : "", name);
	str_add(out, "\r\n");
}

void events_text_csv(struct str *out, json_t *event, int kind)
{
	const char *name;
	json_t *value;
	char when[40];

	for (size_t i = 0; (name = column_name(kind, i)); i++) {
		if (i)
			str_add(out, ",");
		value = json_object_get(event, name);
		if (!strcmp(name, "time"))
			str_add(out, events_text_when(
					     when, json_integer_value(value)));
		else if (json_is_integer(value))
			str_addf(out, "%lld",
				 (long long)json_integer_value(value));
		else if (json_is_string(value))
			csv_field(out, json_string_value(value));
	}
	str_add(out, "\r\n");
}

void events_text_jsonl(struct str *out, json_t *event)
{
	json_t *copy = json_copy(event);
	char when[40];
	char *text;

	events_text_when(when,
			 json_integer_value(json_object_get(event, "time")));
	json_object_set_new(copy, "time", json_string(when));
	text = json_dumps(copy, JSON_COMPACT);
	json_decref(copy);
	if (!text)
		return;
	str_add(out, text);
	str_add(out, "\n");
	free(text);
}

/* ---- times ---- */

static int time_number(const char *text, int64_t *ns_r, struct err *err)
{
	return str_to_i64(text, LEAST_NS, INT64_MAX, ns_r, err);
}

/* "2026-11-21", and maybe a time of day; what follows it to *rest_r. */
static bool time_date(const char *text, struct tm *tm, const char **rest_r)
{
	const char *p, *q;

	memset(tm, 0, sizeof(*tm));
	tm->tm_isdst = -1;
	p = strptime(text, "%Y-%m-%d", tm);
	if (!p)
		return false;
	if (*p == 'T' || *p == ' ') {
		q = strptime(p + 1, "%H:%M", tm);
		if (!q)
			return false;
		p = q;
		if (*p == ':') {
			p = strptime(p + 1, "%S", tm);
			if (!p)
				return false;
		}
	}
	if (*p == '.') /* parts of a second are not looked at */
		p += 1 + strspn(p + 1, "0123456789");
	*rest_r = p;
	return true;
}

int events_text_time(const char *text, int64_t *ns_r, struct err *err)
{
	const char *rest;
	struct tm tm;
	uint64_t ms;
	time_t s;

	if (time_date(text, &tm, &rest)) {
		if (!strcmp(rest, "Z"))
			s = timegm(&tm);
		else if (!*rest)
			s = mktime(&tm);
		else
			goto wrong;
		*ns_r = (int64_t)s * (int64_t)CLOCK_NS_PER_S;
		return 0;
	}
	if (time_number(text, ns_r, NULL) == 0)
		return 0;
	/* A bare number is no duration: its unit would be a guess. */
	if (text[strspn(text, "0123456789")] &&
	    str_to_duration(text, 1, &ms, NULL) == 0) {
		*ns_r = clock_real_ns() - (int64_t)(ms * CLOCK_NS_PER_MS);
		return 0;
	}
wrong:
	return err_set(err, 0,
		       "\"%s\" is no time: 2026-11-21, \"2026-11-21 20:47\" "
		       "(local; Z behind it for UTC), a duration before now "
		       "such as 2h, or ns since 1970",
		       text);
}
