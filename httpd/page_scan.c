/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/* Scan: what runs and ran, a new one, schedules, exclusions. */
#include <stdlib.h>
#include <string.h>

#include "lib/alloc.h"
#include "page_scan.h"

#define N(a) ((int)(sizeof(a) / sizeof(*(a))))
#define JOBS "30"

static void open_job(struct visit *v, json_t *job)
{
	html_addf(&v->html,
		  "<div class=\"row\"><a class=\"button\" "
		  "href=\"/scan/job?id=%lld\">%s</a>",
		  (long long)json_number(job, "id"),
		  lang_text(v->lang, TEXT_details));
	scan_job_buttons(v, job);
	html_raw(&v->html, "</div>");
}

static void jobs(struct visit *v)
{
	static const struct column columns[] = {
		{"id", TEXT_number, CELL_TEXT, NULL},
		{"state", TEXT_state, CELL_WORD, part_states},
		{"paths", TEXT_paths, CELL_PATHS, NULL},
		{"source", TEXT_source, CELL_WORD, scan_sources},
		{"begun", TEXT_begun, CELL_TIME, NULL},
		{"progress", TEXT_files, CELL_TEXT, NULL},
		{"infected", TEXT_infected, CELL_NUMBER, NULL},
		{"errors", TEXT_errors, CELL_NUMBER, NULL},
	};
	const struct table t = {columns, N(columns), TEXT_no_scans,
				NULL,	 NULL,	     open_job};
	json_t *data = visit_data(v, "scan.list"), *j;
	json_t *all = json_object_get(data, "jobs");
	bool running = false;
	size_t i;

	json_array_foreach (all, i, j) {
		running = running || !strcmp(json_text(j, "state"), "running");
		scan_add_progress(v, j);
	}
	html_raw(&v->html, running ? "<div data-again=\"3\">" : "<div>");
	part_card(&v->html, TEXT_scans);
	part_failed(v, "scan.list");
	table_draw(v, all, &t);
	if (json_number(data, "next"))
		html_addf(&v->html,
			  "<p><a class=\"button\" href=\"/scan?before=%lld\">"
			  "%s</a></p>",
			  (long long)json_number(data, "next"),
			  lang_text(v->lang, TEXT_older));
	part_card_end(&v->html);
	html_raw(&v->html, "</div>");
}

static void manual(struct visit *v)
{
	part_card(&v->html, TEXT_scan_new);
	part_form(v, "/scan/start", "");
	part_area(v, TEXT_scan_paths, "path", "", 3, TEXTS);
	part_select(v, TEXT_scan_action, "action", scan_actions, "");
	part_check(v, TEXT_scan_all, "all", false);
	part_check(v, TEXT_scan_no_exclusions, "no-exclusions", false);
	part_button(&v->html, "primary", TEXT_scan_start);
	part_form_end(&v->html);
	part_card_end(&v->html);
}

static void schedule_actions(struct visit *v, json_t *row)
{
	const char *name = json_text(row, "name");
	char *query;

	html_raw(&v->html, "<div class=\"row\">");
	part_action(v, "/scan/start", "", TEXT_scan_start, "schedule", name);
	if (v->role >= VERB_ADMIN) {
		query = part_urlencode(name);
		html_addf(&v->html,
			  "<a class=\"button\" "
			  "href=\"/scan/schedule?name=%s\">%s</a>",
			  query, lang_text(v->lang, TEXT_change));
		free(query);
		part_action(v, "/scan/unschedule", "", TEXT_remove, "name",
			    name);
	}
	html_raw(&v->html, "</div>");
}

static void schedules(struct visit *v)
{
	static const struct column columns[] = {
		{"name", TEXT_name, CELL_TEXT, NULL},
		{"when", TEXT_when, CELL_TEXT, NULL},
		{"paths", TEXT_paths, CELL_PATH, NULL},
		{"next", TEXT_next, CELL_TIME, NULL},
	};
	const struct table t = {columns, N(columns), TEXT_none,
				NULL,	 NULL,	     schedule_actions};
	json_t *data = visit_data(v, "schedule.list");

	part_card(&v->html, TEXT_schedules);
	part_failed(v, "schedule.list");
	table_draw(v, json_object_get(data, "schedules"), &t);
	if (v->role >= VERB_ADMIN)
		part_link(&v->html, "/scan/schedule", TEXT_schedule_add);
	part_card_end(&v->html);
}

static void exclusion_actions(struct visit *v, json_t *row)
{
	if (v->role >= VERB_ADMIN)
		part_action(v, "/scan/include", "", TEXT_remove, "type",
			    json_text(row, "type"), "value",
			    json_text(row, "value"));
}

static void exclusions(struct visit *v)
{
	static const struct part_word types[] = {
		{"directory", TEXT_type_directory, NULL},
		{"file", TEXT_file, NULL},
		{"extension", TEXT_type_extension, NULL},
		{"pattern", TEXT_type_pattern, NULL},
		{"regex", TEXT_type_regex, NULL},
		{"fstype", TEXT_file_system, NULL},
		{"executable", TEXT_type_executable, NULL},
		PART_WORDS_END,
	};
	static const struct column columns[] = {
		{"type", TEXT_kind, CELL_TEXT, NULL},
		{"value", TEXT_value, CELL_PATH, NULL},
		{"reason", TEXT_void, CELL_TEXT, NULL},
	};
	const struct table t = {columns, N(columns), TEXT_no_exclusions,
				NULL,	 NULL,	     exclusion_actions};

	part_card(&v->html, TEXT_exclusions);
	html_addf(&v->html, "<p class=\"muted\">%s</p>",
		  lang_text(v->lang, TEXT_exclusions_why));
	table_draw(v, visit_data(v, "exclusion.list"), &t);
	if (v->role >= VERB_ADMIN) {
		part_form(v, "/scan/exclude", "row");
		part_select(v, TEXT_kind, "type", types, "directory");
		part_field_needed(v, TEXT_value, "text", "value", "");
		part_button(&v->html, "", TEXT_add);
		part_form_end(&v->html);
	}
	part_card_end(&v->html);
}

static void show(struct visit *v)
{
	page_begin(v, TEXT_scan, "/scan");
	jobs(v);
	manual(v);
	schedules(v);
	exclusions(v);
	page_end(v);
}

void page_scan(struct visit *v)
{
	const char *before = visit_query(v, "before");

	visit_ask(v, "scan.list",
		  json_pack("{s:s, s:s*}", "limit", JOBS, "before",
			    *before ? before : NULL));
	visit_ask(v, "schedule.list", NULL);
	visit_ask(v, "exclusion.list", NULL);
	visit_then(v, show);
}
