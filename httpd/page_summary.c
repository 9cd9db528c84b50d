/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/* Summary: what is protected, what is wrong and what helps, what happened. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chart.h"
#include "lib/clock.h"
#include "common/codes.h"
#include "page.h"
#include "scanning.h"

#define FINDINGS 8
#define POINTS 96 /* quarters of an hour of a day */

struct words {
	const char *word; /* entity's */
	enum text text;
	const char *class, *icon;
};

static const struct words overalls[] = {
	{"Protected", TEXT_protected, "ok", "shield-ok"},
	{"Partially protected", TEXT_partially, "warn", "shield-half"},
	{"Unprotected", TEXT_unprotected, "bad", "shield-off"},
	{NULL, TEXT_unknown, "bad", "shield-off"},
};

static const struct words operationals[] = {
	{"Functional", TEXT_functional, NULL, NULL},
	{"Kernel Module Locked", TEXT_locked, NULL, NULL},
	{"Unload pending", TEXT_unload_pending, NULL, NULL},
	{"Degraded", TEXT_degraded, NULL, NULL},
	{"Stopped", TEXT_stopped, NULL, NULL},
	{NULL, TEXT_unknown, NULL, NULL},
};

static const struct words severities[] = {
	{"info", TEXT_severity_info, "info", "info"},
	{"warning", TEXT_severity_warning, "warn", "warning"},
	{"critical", TEXT_severity_critical, "bad", "critical"},
	{NULL, TEXT_severity_info, "info", "info"},
};

static const struct words interceptors[] = {
	{"khm", TEXT_by_module, NULL, NULL},
	{"fanotify", TEXT_by_fanotify, NULL, NULL},
	{"async", TEXT_by_async, NULL, NULL},
	{NULL, TEXT_by_nothing, NULL, NULL},
};

static const struct words *words_of(const struct words *list, const char *word)
{
	while (list->word && strcmp(list->word, word) != 0)
		list++;
	return list;
}

/* ---- state ---- */

static void issue(struct html *h, json_t *i)
{
	const struct words *s = words_of(severities, json_text(i, "severity"));

	html_addf(h, "<li class=\"%s\">", s->class);
	page_icon(h, s->icon);
	html_addf(h, "<div><p><strong>%s:</strong> %s</p>",
		  lang_text(h->lang, s->text), json_text(i, "text"));
	if (*json_text(i, "action"))
		html_addf(h, "<p class=\"next\"><span>%s</span> %s</p>",
			  lang_text(h->lang, TEXT_next_step),
			  json_text(i, "action"));
	html_addf(h, "</div><span class=\"code muted\">%lld</span></li>",
		  (long long)json_number(i, "code"));
}

static void state(struct html *h, json_t *status)
{
	const struct words *o =
		words_of(overalls, json_text(status, "overall"));
	json_t *i;
	size_t n;

	html_addf(h,
		  "<section class=\"card state %s\" data-overall=\"%s\" "
		  "data-operational=\"%s\">",
		  o->class, json_text(status, "overall"),
		  json_text(status, "operational"));
	page_icon(h, o->icon);
	html_addf(h, "<div><p class=\"overall\">%s</p><p class=\"muted\">%s · ",
		  lang_text(h->lang, o->text),
		  lang_text(h->lang, words_of(operationals,
					      json_text(status, "operational"))
					     ->text));
	html_addf(h, "%s · %s ", json_text(status, "host"),
		  lang_text(h->lang, TEXT_running_for));
	html_duration(h, json_number(status, "uptime_s") * 1000);
	html_raw(h, "</p></div></section>");
	if (!json_array_size(json_object_get(status, "health_issues")))
		return;
	html_addf(h, "<section class=\"card\"><h2>%s</h2><ul class=\"issues\">",
		  lang_text(h->lang, TEXT_issues));
	json_array_foreach (json_object_get(status, "health_issues"), n, i)
		issue(h, i);
	html_raw(h, "</ul></section>");
}

/* ---- facts ---- */

static void fact_begin(struct html *h, enum text name)
{
	html_addf(h, "<div class=\"fact\"><dt>%s</dt><dd>",
		  lang_text(h->lang, name));
}

static void fact_end(struct html *h)
{
	html_raw(h, "</dd></div>");
}

static void pattern_facts(struct html *h, json_t *patterns)
{
	int64_t built = json_number(patterns, "time");

	fact_begin(h, TEXT_signatures);
	html_number(h, json_number(patterns, "signatures"));
	if (json_is_true(json_object_get(patterns, "builtin_only")))
		html_addf(h, "<small>%s</small>",
			  lang_text(h->lang, TEXT_builtin_only));
	fact_end(h);
	fact_begin(h, TEXT_pattern_age);
	if (built > 0)
		html_duration(h, (clock_real_ns() / 1000000000 - built) / 3600 *
					 3600 * 1000);
	else
		html_raw(h, "–");
	fact_end(h);
	fact_begin(h, TEXT_engine);
	html_addf(h, "ClamAV %s", json_text(patterns, "engine"));
	fact_end(h);
}

static void coverage_fact(struct html *h, json_t *coverage)
{
	int covered = 0;
	json_t *c;
	size_t i;
	char a[16], b[16];

	json_array_foreach (coverage, i, c)
		covered += json_is_true(json_object_get(c, "covered"));
	snprintf(a, sizeof(a), "%d", covered);
	snprintf(b, sizeof(b), "%zu", json_array_size(coverage));
	fact_begin(h, TEXT_file_systems);
	html_say(h, TEXT_n_of_m, a, b);
	fact_end(h);
}

/* A number that a script keeps up to date (/live). */
static void live_fact(struct html *h, enum text name, json_t *counters,
		      const char *counter)
{
	fact_begin(h, name);
	html_addf(h, "<span data-live=\"%s\">", counter);
	html_number(h, json_number(counters, counter));
	html_raw(h, "</span>");
	fact_end(h);
}

static void facts(struct html *h, json_t *status, json_t *counters)
{
	json_t *workers = json_object_get(status, "workers");

	html_raw(h, "<dl class=\"facts card\">");
	fact_begin(h, TEXT_interceptor);
	html_say(
		h,
		words_of(interceptors, json_text(status, "interceptor"))->text);
	fact_end(h);
	coverage_fact(h, json_object_get(status, "coverage"));
	pattern_facts(h, json_object_get(status, "patterns"));
	fact_begin(h, TEXT_workers);
	html_number(h, json_number(workers, "front") +
			       json_number(workers, "back"));
	fact_end(h);
	live_fact(h, TEXT_questions_answered, counters, "questions");
	live_fact(h, TEXT_scanned_files, counters, "scans");
	live_fact(h, TEXT_chart_findings, counters, "findings");
	html_raw(h, "</dl>");
}

static void coverage(struct html *h, json_t *list)
{
	json_t *c;
	size_t i;

	html_addf(h,
		  "<details class=\"card\"><summary>%s</summary><div "
		  "class=\"scroll\"><table><thead><tr><th>%s</th><th>%s</th>"
		  "<th>%s</th></tr></thead><tbody>",
		  lang_text(h->lang, TEXT_coverage),
		  lang_text(h->lang, TEXT_mounted_at),
		  lang_text(h->lang, TEXT_file_system),
		  lang_text(h->lang, TEXT_covered));
	json_array_foreach (list, i, c) {
		bool yes = json_is_true(json_object_get(c, "covered"));

		html_addf(h, "<tr><td class=\"path\">%s</td><td>%s</td><td>%s",
			  json_text(c, "point"), json_text(c, "fstype"),
			  lang_text(h->lang, yes ? TEXT_yes : TEXT_no));
		if (*json_text(c, "reason"))
			html_addf(h, " <span class=\"muted\">%s</span>",
				  json_text(c, "reason"));
		html_raw(h, "</td></tr>");
	}
	html_raw(h, "</tbody></table></div></details>");
}

/* ---- what happened ---- */

static void charts(struct html *h, json_t *history)
{
	json_t *series = json_object_get(history, "series");
	struct chart c = {
		.from_s = json_number(history, "from"),
		.step_s = json_number(history, "step_s"),
	};

	html_addf(h, "<h2>%s</h2><div class=\"charts\">",
		  lang_text(h->lang, TEXT_last_day));
	c.title = TEXT_chart_opens;
	c.values = json_object_get(series, "opens");
	chart_draw(h, &c);
	c.title = TEXT_chart_scans;
	c.values = json_object_get(series, "scans");
	c.values2 = json_object_get(series, "hits");
	c.name = TEXT_chart_scanned;
	c.name2 = TEXT_chart_known;
	chart_draw(h, &c);
	c.title = TEXT_chart_waits;
	c.unit = CHART_NS;
	c.values = json_object_get(series, "p50_ns");
	c.values2 = json_object_get(series, "p99_ns");
	c.name = TEXT_chart_p50;
	c.name2 = TEXT_chart_p99;
	chart_draw(h, &c);
	c.title = TEXT_chart_findings;
	c.unit = CHART_COUNT;
	c.values = json_object_get(series, "findings");
	c.values2 = NULL;
	chart_draw(h, &c);
	html_raw(h, "</div>");
}

static void finding(struct html *h, json_t *e)
{
	html_raw(h, "<tr><td class=\"when\">");
	html_time(h, json_number(e, "time"));
	html_addf(h,
		  "</td><td class=\"virus\">%s</td><td class=\"path\">%s</td>"
		  "<td data-label=\"%s\">%s</td>",
		  json_text(e, "virus"), json_text(e, "path"),
		  lang_text(h->lang, TEXT_result), json_text(e, "result"));
	html_addf(h, "<td data-label=\"%s\">%s</td></tr>",
		  lang_text(h->lang, TEXT_action), json_text(e, "action"));
}

static void findings(struct html *h, json_t *events)
{
	json_t *list = json_object_get(events, "events"), *e;
	size_t i;

	html_addf(h, "<section class=\"card\" id=\"findings\"><h2>%s</h2>",
		  lang_text(h->lang, TEXT_last_findings));
	if (!json_array_size(list)) {
		html_addf(h, "<p class=\"empty\">%s</p></section>",
			  lang_text(h->lang, TEXT_no_findings));
		return;
	}
	html_addf(h,
		  "<div class=\"scroll\"><table><thead><tr><th>%s</th>"
		  "<th>%s</th><th>%s</th><th>%s</th><th>%s</th></tr></thead>"
		  "<tbody>",
		  lang_text(h->lang, TEXT_time), lang_text(h->lang, TEXT_virus),
		  lang_text(h->lang, TEXT_file),
		  lang_text(h->lang, TEXT_result),
		  lang_text(h->lang, TEXT_action));
	json_array_foreach (list, i, e)
		finding(h, e);
	html_raw(h, "</tbody></table></div></section>");
}

static void codes(struct html *h, json_t *status)
{
	static const char *const names[] = {
		"generalStatus", "antimalwareStatus", "kernelStatus",
		"patternStatus", "networkStatus",     "consoleStatus",
	};
	size_t i;

	html_addf(h,
		  "<details class=\"card\"><summary>%s</summary>"
		  "<dl class=\"codes\">",
		  lang_text(h->lang, TEXT_codes));
	for (i = 0; i < sizeof(names) / sizeof(*names); i++)
		html_addf(h, "<div><dt><code>%s</code></dt><dd>%lld</dd></div>",
			  names[i], (long long)json_number(status, names[i]));
	html_raw(h, "</dl></details>");
}

static void show(struct visit *v)
{
	json_t *status = visit_data(v, "status");
	struct html *h = &v->html;

	if (!status) {
		visit_failed(v, 500, visit_error(v, "status"));
		return;
	}
	page_begin(v, TEXT_summary, "/");
	state(h, status);
	facts(h, status,
	      json_object_get(visit_data(v, "statistics"), "counters"));
	scanning_draw(v, json_number(status, "antimalwareStatus") ==
				 STATUS_STOPPED);
	findings(h, visit_data(v, "events.list"));
	charts(h, visit_data(v, "statistics.history"));
	coverage(h, json_object_get(status, "coverage"));
	codes(h, status);
	page_end(v);
}

void page_summary(struct visit *v)
{
	char points[16], limit[16];

	snprintf(points, sizeof(points), "%d", POINTS);
	snprintf(limit, sizeof(limit), "%d", FINDINGS);
	visit_ask(v, "status", NULL);
	visit_ask(v, "events.list",
		  json_pack("{s:s, s:s}", "kind", "virus", "limit", limit));
	visit_ask(v, "statistics", json_pack("{s:s}", "top", "1"));
	visit_ask(v, "statistics.history",
		  json_pack("{s:s}", "points", points));
	visit_then(v, show);
}
