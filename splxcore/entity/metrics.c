/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/*
 * metrics: [{"name", "type": counter, gauge or summary, "help", "samples":
 * [{"suffix": "" or "_count", "labels": {name: value}, "value": number}]}], to
 * be written as Prometheus' text format. One row here, or in counters.def, is
 * one metric.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "dispatch.h"
#include "health.h"
#include "lib/alloc.h"
#include "lib/clock.h"
#include "lib/hist.h"
#include "lib/str.h"
#include "store.h"

#define NS (double)CLOCK_NS_PER_S

/* What a metric may be made of; reckoned once an answer. */
struct source {
	struct core *core;
	json_t *health;
};

static void put(json_t *samples, const char *suffix, const char *label,
		const char *value, double number)
{
	json_t *labels = json_object();

	if (label)
		json_object_set_new(labels, label, json_string(value));
	json_array_append_new(samples,
			      json_pack("{s:s, s:o, s:f}", "suffix", suffix,
					"labels", labels, "value", number));
}

static double number_at(json_t *object, const char *a, const char *b)
{
	json_t *value = json_object_get(object, a);

	if (b)
		value = json_object_get(value, b);
	return json_is_true(value) ? 1 : json_number_value(value);
}

static const char *text_at(json_t *object, const char *a, const char *b)
{
	json_t *value = json_object_get(object, a);
	const char *text =
		json_string_value(b ? json_object_get(value, b) : value);

	return text ? text : "";
}

/* ---- one function a metric ---- */

static void info(const struct source *s, json_t *out)
{
	put(out, "", "version", text_at(s->health, "version", NULL), 1);
}

static void interceptor(const struct source *s, json_t *out)
{
	put(out, "", "kind", text_at(s->health, "interceptor", NULL), 1);
}

static void overall(const struct source *s, json_t *out)
{
	static const char *const states[] = {
		"Protected",
		"Partially protected",
		"Unprotected",
	};
	const char *now = text_at(s->health, "overall", NULL);

	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++)
		put(out, "", "state", states[i], !strcmp(now, states[i]));
}

static void healthy(const struct source *s, json_t *out)
{
	put(out, "", NULL, NULL, number_at(s->health, "healthy", NULL));
}

static void codes(const struct source *s, json_t *out)
{
	static const char *const parts[] = {
		"general", "antimalware", "kernel",
		"pattern", "network",	  "console",
	};
	char name[40];

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		snprintf(name, sizeof(name), "%sStatus", parts[i]);
		put(out, "", "part", parts[i],
		    number_at(s->health, name, NULL));
	}
}

static void uptime(const struct source *s, json_t *out)
{
	put(out, "", NULL, NULL, number_at(s->health, "uptime_s", NULL));
}

static void workers(const struct source *s, json_t *out)
{
	static const char *const kinds[] = {"front", "back", "busy"};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		put(out, "", "kind", kinds[i],
		    number_at(s->health, "workers", kinds[i]));
}

static void signatures(const struct source *s, json_t *out)
{
	put(out, "", NULL, NULL,
	    number_at(s->health, "patterns", "signatures"));
}

static void pattern_time(const struct source *s, json_t *out)
{
	put(out, "", NULL, NULL, number_at(s->health, "patterns", "time"));
}

static void quarantine_items(const struct source *s, json_t *out)
{
	int64_t count = 0;
	uint64_t bytes = 0;

	store_item_totals(s->core->store, &count, &bytes, NULL);
	put(out, "", NULL, NULL, (double)count);
}

static void quarantine_bytes(const struct source *s, json_t *out)
{
	int64_t count = 0;
	uint64_t bytes = 0;

	store_item_totals(s->core->store, &count, &bytes, NULL);
	put(out, "", NULL, NULL, (double)bytes);
}

static void events(const struct source *s, json_t *out)
{
	put(out, "", NULL, NULL, (double)store_event_count(s->core->store));
}

static void put_times(const struct hist *h, json_t *out)
{
	put(out, "", "quantile", "0.5", (double)hist_quantile(h, 0.5) / NS);
	put(out, "", "quantile", "0.99", (double)hist_quantile(h, 0.99) / NS);
	put(out, "_count", NULL, NULL, (double)hist_count(h));
}

static void waits(const struct source *s, json_t *out)
{
	struct hist h = {0};

	scoreboard_wait(s->core->sb, &h);
	put_times(&h, out);
}

static void scans(const struct source *s, json_t *out)
{
	struct hist h = {0};

	scoreboard_scan(s->core->sb, &h);
	put_times(&h, out);
}

static const struct {
	const char *name, *type, *help;
	void (*fn)(const struct source *s, json_t *out);
} rows[] = {
	{"splx_info", "gauge", "The version that runs.", info},
	{"splx_protection", "gauge", "1 for the state that protection is in.",
	 overall},
	{"splx_healthy", "gauge", "1 when nothing is wrong.", healthy},
	{"splx_status_code", "gauge", "Status code of a part, 0 is healthy.",
	 codes},
	{"splx_interceptor", "gauge", "How opens are intercepted.",
	 interceptor},
	{"splx_uptime_seconds", "gauge", "How long the service runs.", uptime},
	{"splx_workers", "gauge", "Scan workers.", workers},
	{"splx_pattern_signatures", "gauge", "Signatures in use.", signatures},
	{"splx_pattern_timestamp_seconds", "gauge",
	 "When the newest patterns were built; 0 unknown.", pattern_time},
	{"splx_quarantine_items", "gauge", "Files in quarantine.",
	 quarantine_items},
	{"splx_quarantine_bytes", "gauge", "What they take on the disk.",
	 quarantine_bytes},
	{"splx_events", "gauge", "Events that are kept.", events},
	{"splx_wait_seconds", "summary", "How long openers waited.", waits},
	{"splx_scan_seconds", "summary", "How long scans took.", scans},
};

/* ---- the answer ---- */

/* "allowedClean" to "splx_allowed_clean_total". */
static void counter_name(const char *name, struct str *out)
{
	str_clear(out);
	str_add(out, "splx_");
	for (; *name; name++)
		str_addf(out, "%s%c", isupper((unsigned char)*name) ? "_" : "",
			 tolower((unsigned char)*name));
	str_add(out, "_total");
}

static void add_counters(struct core *core, json_t *list)
{
	static const char *const texts[COUNTER_COUNT] = {
#define COUNTER(id, name, text) text,
#include "common/counters.def"
#undef COUNTER
	};
	struct str name = {0};
	json_t *samples;
	int i;

	for (i = 0; i < COUNTER_COUNT; i++) {
		counter_name(counter_names[i], &name);
		samples = json_array();
		put(samples, "", NULL, NULL,
		    (double)scoreboard_count(core->sb, (enum counter_id)i));
		json_array_append_new(
			list, json_pack("{s:s, s:s, s:s, s:o}", "name",
					str_get(&name), "type", "counter",
					"help", texts[i], "samples", samples));
	}
	str_free(&name);
}

void verb_metrics(struct core *core, struct ipc_call *call, json_t *args)
{
	struct source s = {core, health_json(core)};
	json_t *list = json_array(), *samples;

	(void)args;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		samples = json_array();
		rows[i].fn(&s, samples);
		json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:o}",
						      "name", rows[i].name,
						      "type", rows[i].type,
						      "help", rows[i].help,
						      "samples", samples));
	}
	json_decref(s.health);
	add_counters(core, list);
	dispatch_reply(core, call, list);
}
