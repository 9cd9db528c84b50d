/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/* What a message says, for people. */
#include <string.h>

#include "common/events.h"
#include "job.h"

json_t *message_event(json_t *message)
{
	return json_array_get(json_object_get(message, "events"), 0);
}

static json_t *digest_of(const json_t *message)
{
	return json_object_get(message, "digest");
}

static json_t *test_of(const json_t *message)
{
	return json_object_get(message, "test");
}

const char *message_kind(json_t *message)
{
	json_t *event = message_event(message);

	if (digest_of(message))
		return "digest";
	return event ? job_text(event, "kind") : "test";
}

static int severity_of(json_t *object)
{
	int level = events_severity_parse(job_text(object, "severity"));

	return level < 0 ? EVENT_SEVERITY_INFO : level;
}

int message_severity(json_t *message)
{
	json_t *counts = json_object_get(digest_of(message), "counts"), *row;
	int worst = EVENT_SEVERITY_INFO, level;
	size_t i;

	if (message_event(message))
		return severity_of(message_event(message));
	json_array_foreach (counts, i, row) {
		level = severity_of(row);
		if (level > worst)
			worst = level;
	}
	return worst;
}

static int64_t number(const json_t *object, const char *name)
{
	return json_integer_value(json_object_get(object, name));
}

int64_t message_time(json_t *message)
{
	if (digest_of(message))
		return number(digest_of(message), "last");
	if (message_event(message))
		return number(message_event(message), "time");
	return number(test_of(message), "time");
}

/* "12 events: virus high 10, system medium 2" */
static void digest_line(json_t *digest, struct str *out)
{
	json_t *row;
	size_t i;

	str_addf(out, "%lld events", (long long)number(digest, "count"));
	json_array_foreach (json_object_get(digest, "counts"), i, row)
		str_addf(out, "%s %s %s %lld", i ? "," : ":",
			 job_text(row, "kind"), job_text(row, "severity"),
			 (long long)number(row, "count"));
}

void message_line(const json_t *message, struct str *out)
{
	json_t *event = json_array_get(json_object_get(message, "events"), 0);

	if (digest_of(message))
		digest_line(digest_of(message), out);
	else
		str_add(out,
			job_text(event ? event : test_of(message), "message"));
}

/* ---- for a mail ---- */

static bool is_common(const char *name)
{
	return strcmp(name, "id") == 0 || strcmp(name, "time") == 0 ||
	       strcmp(name, "kind") == 0 || strcmp(name, "severity") == 0 ||
	       strcmp(name, "message") == 0;
}

static void event_body(json_t *event, struct str *out)
{
	const char *name;
	char time[40];
	json_t *value;

	str_addf(out, "%s\n\n", job_text(event, "message"));
	str_addf(out, "time: %s\nkind: %s\nseverity: %s\n",
		 job_time(time, number(event, "time")), job_text(event, "kind"),
		 job_text(event, "severity"));
	json_object_foreach (event, name, value) {
		if (is_common(name))
			continue;
		if (json_is_string(value))
			str_addf(out, "%s: %s\n", name,
				 json_string_value(value));
		else if (json_is_integer(value))
			str_addf(out, "%s: %lld\n", name,
				 (long long)json_integer_value(value));
	}
	str_addf(out, "event: %lld\n", (long long)number(event, "id"));
}

static void digest_body(json_t *digest, struct str *out)
{
	int64_t count = number(digest, "count");
	json_t *row, *events = json_object_get(digest, "events");
	char time[40];
	size_t i;

	str_addf(out, "%lld events from %s", (long long)count,
		 job_time(time, number(digest, "first")));
	str_addf(out, " to %s:\n\n", job_time(time, number(digest, "last")));
	json_array_foreach (json_object_get(digest, "counts"), i, row)
		str_addf(out, "%8lld  %s, %s\n",
			 (long long)number(row, "count"), job_text(row, "kind"),
			 job_text(row, "severity"));
	str_add(out, (size_t)count > json_array_size(events)
			     ? "\nAmong them, the worst first:\n\n"
			     : "\n");
	json_array_foreach (events, i, row)
		str_addf(out, "%s %s %s: %s\n",
			 job_time(time, number(row, "time")),
			 job_text(row, "severity"), job_text(row, "kind"),
			 job_text(row, "message"));
}

void message_body(const struct job *job, json_t *message, struct str *out)
{
	if (digest_of(message))
		digest_body(digest_of(message), out);
	else if (message_event(message))
		event_body(message_event(message), out);
	else
		str_addf(out, "%s\n", job_text(test_of(message), "message"));
	str_addf(out, "\n-- \nsplx %s on %s. All of it: splxctl events list\n",
		 job->version, job->host);
}
