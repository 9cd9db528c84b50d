/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/* Logs: events by kind, newest first; by their number, so that a page of a
 * million costs what the first one costs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "export.h"
#include "table.h"

#define EVENTS 100

static const struct part_word spans[] = {
	{"", TEXT_all, NULL},		{"1h", TEXT_last_hour, NULL},
	{"24h", TEXT_last_day, NULL},	{"7d", TEXT_last_week, NULL},
	{"30d", TEXT_last_month, NULL}, PART_WORDS_END,
};

static const struct {
	const char *word, *class, *icon;
	enum text text;
} severities[] = {
	{"info", "info", "info", TEXT_severity_info},
	{"low", "info", "info", TEXT_severity_low},
	{"medium", "warn", "warning", TEXT_severity_medium},
	{"high", "bad", "critical", TEXT_severity_high},
};

static void severity(struct visit *v, const char *word)
{
	size_t i, n = sizeof(severities) / sizeof(*severities);

	for (i = 0; i + 1 < n && strcmp(severities[i].word, word) != 0; i++)
		;
	html_addf(&v->html, "<td class=\"mark %s\">", severities[i].class);
	page_icon(&v->html, severities[i].icon);
	html_addf(&v->html, "<span>%s</span></td>",
		  lang_text(v->lang, severities[i].text));
}

/* The columns of all kinds (events.def), but for those that a line shows. */
static const struct column columns[] = {
	{"virus", TEXT_virus, CELL_TEXT, NULL},
	{"path", TEXT_file, CELL_PATH, NULL},
	{"source", TEXT_source, CELL_TEXT, NULL},
	{"result", TEXT_result, CELL_TEXT, NULL},
	{"action", TEXT_action, CELL_TEXT, NULL},
	{"detail", TEXT_details, CELL_TEXT, NULL},
	{"verdict", TEXT_verdict, CELL_TEXT, NULL},
	{"direction", TEXT_direction, CELL_TEXT, NULL},
	{"address", TEXT_address, CELL_PATH, NULL},
	{"port", TEXT_port, CELL_TEXT, NULL},
	{"local", TEXT_local_address, CELL_PATH, NULL},
	{"user", TEXT_user, CELL_TEXT, NULL},
	{"from", TEXT_from_address, CELL_PATH, NULL},
	{"pid", TEXT_process, CELL_TEXT, NULL},
	{"uid", TEXT_uid, CELL_TEXT, NULL},
	{"program", TEXT_program, CELL_PATH, NULL},
	{"rule", TEXT_rule, CELL_TEXT, NULL},
	{"list", TEXT_list, CELL_TEXT, NULL},
	{"times", TEXT_how_often, CELL_NUMBER, NULL},
	{"size", TEXT_size, CELL_SIZE, NULL},
	{"sha256", TEXT_sha256, CELL_PATH, NULL},
	{"quarantine_id", TEXT_quarantine_item, CELL_TEXT, NULL},
	{"exposure_ms", TEXT_exposure, CELL_MS, NULL},
	{"job", TEXT_scan, CELL_TEXT, NULL},
	{"state", TEXT_state, CELL_WORD, part_states},
	{"name", TEXT_name, CELL_TEXT, NULL},
	{"reason", TEXT_because, CELL_TEXT, NULL},
	{"files", TEXT_files, CELL_NUMBER, NULL},
	{"infected", TEXT_infected, CELL_NUMBER, NULL},
	{"errors", TEXT_errors, CELL_NUMBER, NULL},
	{"bytes", TEXT_size, CELL_SIZE, NULL},
	{"duration_ms", TEXT_took, CELL_MS, NULL},
	{"generation", TEXT_generation, CELL_TEXT, NULL},
	{"signatures", TEXT_signatures, CELL_NUMBER, NULL},
	{"part", TEXT_part, CELL_TEXT, NULL},
	{"code", TEXT_code, CELL_TEXT, NULL},
	{"verb", TEXT_verb, CELL_TEXT, NULL},
	{"args", TEXT_verb_args, CELL_PATH, NULL},
	{"before", TEXT_value_before, CELL_PATH, NULL},
	{"after", TEXT_value_after, CELL_PATH, NULL},
};

static void more(struct visit *v, json_t *event)
{
	html_addf(&v->html, "<details><summary>%s</summary>",
		  lang_text(v->lang, TEXT_details));
	pairs_draw(v, event, columns,
		   (int)(sizeof(columns) / sizeof(*columns)));
	html_raw(&v->html, "</details>");
}

static void event(struct visit *v, json_t *e)
{
	struct html *h = &v->html;

	html_raw(h, "<tr><td class=\"when\">");
	html_time(h, json_number(e, "time"));
	html_raw(h, "</td>");
	severity(v, json_text(e, "severity"));
	html_addf(h, "<td>%s</td><td class=\"message\">%s",
		  part_word_text(v->lang, part_kinds, json_text(e, "kind")),
		  json_text(e, "message"));
	more(v, e);
	html_raw(h, "</td></tr>");
}

static void hidden_query(struct visit *v)
{
	part_hidden(v, "kind", visit_query(v, "kind"));
	part_hidden(v, "since", visit_query(v, "since"));
	part_hidden(v, "text", visit_query(v, "text"));
}

static void filter(struct visit *v)
{
	struct html *h = &v->html;

	html_raw(h, "<div class=\"card\"><form class=\"row\" method=\"get\" "
		    "action=\"/logs\">");
	part_select(v, TEXT_kind, "kind", part_kinds_all,
		    visit_query(v, "kind"));
	part_select(v, TEXT_span, "since", spans, visit_query(v, "since"));
	part_field(v, TEXT_search, "search", "text", visit_query(v, "text"),
		   TEXTS);
	part_button(&v->html, "", TEXT_filter);
	html_raw(h, "</form></div>");
}

static void buttons(struct visit *v, json_t *next)
{
	struct html *h = &v->html;
	char before[24];

	html_raw(h, "<div class=\"row\">");
	if (json_is_integer(next)) {
		snprintf(before, sizeof(before), "%lld",
			 (long long)json_integer_value(next));
		html_raw(h, "<form method=\"get\" action=\"/logs\">");
		hidden_query(v);
		part_hidden(v, "before", before);
		part_button(&v->html, "", TEXT_older);
		html_raw(h, "</form>");
	}
	html_raw(h, "<form method=\"get\" action=\"/logs/export\">");
	hidden_query(v);
	html_addf(h,
		  "<button name=\"format\" value=\"csv\">%s CSV</button> "
		  "<button name=\"format\" value=\"jsonl\">%s JSON</button>"
		  "</form></div>",
		  lang_text(v->lang, TEXT_export),
		  lang_text(v->lang, TEXT_export));
}

static void show(struct visit *v)
{
	json_t *data = visit_data(v, "events.list"), *e;
	json_t *list = json_object_get(data, "events");
	struct html *h = &v->html;
	size_t i;

	page_begin(v, TEXT_logs, "/logs");
	filter(v);
	html_raw(h, "<section class=\"card\">");
	part_failed(v, "events.list");
	if (!json_array_size(list)) {
		html_addf(h, "<p class=\"empty\">%s</p>",
			  lang_text(v->lang, TEXT_no_events));
	} else {
		html_addf(
			h,
			"<div class=\"scroll\"><table class=\"log\"><thead><tr>"
			"<th>%s</th><th>%s</th><th>%s</th><th>%s</th></tr>"
			"</thead><tbody>",
			lang_text(v->lang, TEXT_time),
			lang_text(v->lang, TEXT_severity),
			lang_text(v->lang, TEXT_kind),
			lang_text(v->lang, TEXT_message));
		json_array_foreach (list, i, e)
			event(v, e);
		html_raw(h, "</tbody></table></div>");
	}
	buttons(v, json_array_size(list) == EVENTS
			   ? json_object_get(data, "next")
			   : NULL);
	html_raw(h, "</section>");
	page_end(v);
}

static void add(json_t *args, const struct visit *v, const char *name)
{
	if (*visit_query(v, name))
		json_object_set_new(args, name,
				    json_string(visit_query(v, name)));
}

static json_t *query(const struct visit *v)
{
	json_t *args = json_object();

	add(args, v, "kind");
	add(args, v, "since");
	add(args, v, "text");
	return args;
}

void page_logs(struct visit *v)
{
	json_t *args = query(v);
	char limit[16];

	snprintf(limit, sizeof(limit), "%d", EVENTS);
	add(args, v, "before");
	json_object_set_new(args, "limit", json_string(limit));
	visit_ask(v, "events.list", args);
	visit_then(v, show);
}

/* ---- as a file ---- */

void page_logs_export(struct visit *v)
{
	json_t *args = query(v);

	json_object_set_new(
		args, "format",
		json_string(strcmp(visit_query(v, "format"), "jsonl")
				    ? "csv"
				    : "jsonl"));
	export_events(v, args, "splx-events");
}
