/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/* Scan: what runs and ran, a new one, schedules, exclusions. */
#include <stdio.h>
#include <string.h>

#include "page.h"
#include "widgets.h"

#define N(a) ((int)(sizeof(a) / sizeof(*(a))))
#define JOBS "30"

static const struct choice actions[] = {
	{"", TEXT_action_none},
	{"quarantine", TEXT_action_quarantine},
	{"delete", TEXT_action_delete},
};

static void job_button(struct visit *v, const char *id, const char *action,
		       enum text name)
{
	const char *fields[] = {"id", id, NULL};

	button_form(v, action, name, "", fields);
}

static void job_actions(struct visit *v, json_t *row)
{
	const char *state = json_text(row, "state");
	char id[24];

	snprintf(id, sizeof(id), "%lld", (long long)json_number(row, "id"));
	html_raw(&v->html, "<div class=\"row\">");
	if (!strcmp(state, "running"))
		job_button(v, id, "/scan/pause", TEXT_pause);
	if (!strcmp(state, "paused") || !strcmp(state, "interrupted"))
		job_button(v, id, "/scan/resume", TEXT_resume);
	if (!strcmp(state, "running") || !strcmp(state, "paused") ||
	    !strcmp(state, "interrupted"))
		job_button(v, id, "/scan/cancel", TEXT_cancel);
	html_raw(&v->html, "</div>");
}

static void jobs(struct visit *v)
{
	static const struct column columns[] = {
		{"id", TEXT_number, CELL_TEXT},
		{"state", TEXT_state, CELL_WORD},
		{"source", TEXT_source, CELL_TEXT},
		{"begun", TEXT_begun, CELL_TIME},
		{"files", TEXT_files, CELL_NUMBER},
		{"bytes", TEXT_size, CELL_SIZE},
		{"infected", TEXT_infected, CELL_NUMBER},
		{"errors", TEXT_errors, CELL_NUMBER},
	};
	const struct table t = {columns, N(columns), TEXT_no_scans,
				NULL,	 NULL,	     job_actions};
	json_t *all = json_object_get(visit_data(v, "scan.list"), "jobs"), *j;
	bool running = false;
	size_t i;

	json_array_foreach (all, i, j)
		running = running || !strcmp(json_text(j, "state"), "running");
	html_raw(&v->html, running ? "<div data-again=\"3\">" : "<div>");
	card(v, TEXT_scans);
	card_problem(v, "scan.list");
	table_draw(v, all, &t);
	card_end(v);
	html_raw(&v->html, "</div>");
}

static void manual(struct visit *v)
{
	card(v, TEXT_scan_new);
	form(v, "/scan/start", "");
	form_area(v, TEXT_scan_paths, "path", 3, "");
	form_select(v, TEXT_scan_action, "action", actions, N(actions), "");
	form_check(v, TEXT_scan_all, "all", false);
	form_check(v, TEXT_scan_no_exclusions, "no-exclusions", false);
	form_button(v, TEXT_scan_start, "primary");
	form_end(v);
	card_end(v);
}

static void schedule_actions(struct visit *v, json_t *row)
{
	const char *name = json_text(row, "name");
	const char *start[] = {"schedule", name, NULL};
	const char *remove[] = {"name", name, NULL};

	html_raw(&v->html, "<div class=\"row\">");
	button_form(v, "/scan/start", TEXT_scan_start, "", start);
	if (v->role >= VERB_ADMIN)
		button_form(v, "/scan/unschedule", TEXT_remove, "", remove);
	html_raw(&v->html, "</div>");
}

static void schedules(struct visit *v)
{
	static const struct column columns[] = {
		{"name", TEXT_name, CELL_TEXT},
		{"when", TEXT_when, CELL_TEXT},
		{"paths", TEXT_paths, CELL_PATH},
		{"next", TEXT_next, CELL_TIME},
	};
	const struct table t = {columns, N(columns), TEXT_none,
				NULL,	 NULL,	     schedule_actions};
	json_t *data = visit_data(v, "schedule.list");

	card(v, TEXT_schedules);
	card_problem(v, "schedule.list");
	table_draw(v, json_object_get(data, "schedules"), &t);
	if (v->role >= VERB_ADMIN) {
		html_addf(&v->html, "<details><summary>%s</summary>",
			  lang_text(v->lang, TEXT_schedule_set));
		form(v, "/scan/schedule", "");
		form_input(v, TEXT_name, "text", "name", "", true);
		form_area(v, TEXT_schedule_lines, "setting", 4,
			  "When=daily\nPaths=/srv,/home\n");
		form_button(v, TEXT_save, "primary");
		form_end(v);
		html_raw(&v->html, "</details>");
	}
	card_end(v);
}

static void exclusion_actions(struct visit *v, json_t *row)
{
	const char *fields[] = {"type", json_text(row, "type"), "value",
				json_text(row, "value"), NULL};

	if (v->role >= VERB_ADMIN)
		button_form(v, "/scan/include", TEXT_remove, "", fields);
}

static void exclusions(struct visit *v)
{
	static const struct choice types[] = {
		{"directory", TEXT_type_directory},
		{"file", TEXT_file},
		{"extension", TEXT_type_extension},
		{"pattern", TEXT_type_pattern},
		{"regex", TEXT_type_regex},
		{"fstype", TEXT_file_system},
		{"executable", TEXT_type_executable},
	};
	static const struct column columns[] = {
		{"type", TEXT_kind, CELL_TEXT},
		{"value", TEXT_value, CELL_PATH},
		{"reason", TEXT_void, CELL_TEXT},
	};
	const struct table t = {columns, N(columns), TEXT_no_exclusions,
				NULL,	 NULL,	     exclusion_actions};

	card(v, TEXT_exclusions);
	html_addf(&v->html, "<p class=\"muted\">%s</p>",
		  lang_text(v->lang, TEXT_exclusions_why));
	table_draw(v, visit_data(v, "exclusion.list"), &t);
	if (v->role >= VERB_ADMIN) {
		form(v, "/scan/exclude", "row");
		form_select(v, TEXT_kind, "type", types, N(types), "directory");
		form_input(v, TEXT_value, "text", "value", "", true);
		form_button(v, TEXT_add, "");
		form_end(v);
	}
	card_end(v);
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
	visit_ask(v, "scan.list", json_pack("{s:s}", "limit", JOBS));
	visit_ask(v, "schedule.list", NULL);
	visit_ask(v, "exclusion.list", NULL);
	visit_then(v, show);
}
