/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/* One scan: how far it is, what it found, and what may be done with it. */
#include <stdio.h>
#include <string.h>

#include "page_scan.h"

#define N(a) ((int)(sizeof(a) / sizeof(*(a))))
#define FINDINGS "200"

const struct part_word scan_sources[] = {
	{"manual", TEXT_source_manual, NULL},
	{"scheduled", TEXT_source_scheduled, NULL},
	{"in-use", TEXT_source_in_use, NULL},
	PART_WORDS_END,
};

const struct part_word scan_actions[] = {
	{"", TEXT_action_as_set, NULL},
	{"deny", TEXT_action_none, NULL},
	{"clean", TEXT_action_clean, NULL},
	{"quarantine", TEXT_action_quarantine, NULL},
	{"rename", TEXT_action_rename, NULL},
	{"delete", TEXT_action_delete, NULL},
	PART_WORDS_END,
};

void scan_add_progress(struct visit *v, json_t *job)
{
	struct html text = {.lang = v->lang};

	html_number(&text, json_number(job, "files"));
	if (json_number(job, "all_files")) {
		html_raw(&text, " / ");
		html_number(&text, json_number(job, "all_files"));
	}
	json_object_set_new(job, "progress", json_string(str_get(&text.out)));
	str_free(&text.out);
}

static void button(struct visit *v, json_t *job, const char *action,
		   const char *class, enum text name)
{
	char id[24];

	snprintf(id, sizeof(id), "%lld", (long long)json_number(job, "id"));
	part_action(v, action, class, name, "id", id);
}

void scan_job_buttons(struct visit *v, json_t *job)
{
	const char *state = json_text(job, "state");
	bool running = !strcmp(state, "running");
	bool waits = !strcmp(state, "paused") || !strcmp(state, "interrupted");

	if (running)
		button(v, job, "/scan/pause", "", TEXT_pause);
	if (waits)
		button(v, job, "/scan/resume", "", TEXT_resume);
	if (running || waits)
		button(v, job, "/scan/cancel", "danger", TEXT_cancel);
}

/* As much of it as is done, when it was counted what there is. */
static void bar(struct visit *v, json_t *job)
{
	int64_t done = json_number(job, "files");
	int64_t all = json_number(job, "all_files");

	if (all <= 0 || done > all)
		return;
	html_addf(&v->html,
		  "<progress max=\"%lld\" value=\"%lld\" "
		  "aria-label=\"%s\">%d %%</progress>",
		  (long long)all, (long long)done,
		  lang_text(v->lang, TEXT_files), (int)(done * 100 / all));
}

static void about(struct visit *v, json_t *job)
{
	static const struct column all[] = {
		{"name", TEXT_schedule, CELL_TEXT, NULL},
		{"state", TEXT_state, CELL_WORD, part_states},
		{"reason", TEXT_because, CELL_TEXT, NULL},
		{"source", TEXT_source, CELL_WORD, scan_sources},
		{"uid", TEXT_begun_by, CELL_TEXT, NULL},
		{"begun", TEXT_begun, CELL_TIME, NULL},
		{"ended", TEXT_ended, CELL_TIME, NULL},
		{"duration_ms", TEXT_took, CELL_MS, NULL},
		{"runs", TEXT_runs, CELL_NUMBER, NULL},
		{"paths", TEXT_paths, CELL_PATHS, NULL},
		{"action", TEXT_scan_action, CELL_WORD, scan_actions},
		{"all", TEXT_scan_all, CELL_YESNO, NULL},
		{"exclusions", TEXT_exclusions, CELL_YESNO, NULL},
		{"progress", TEXT_files, CELL_TEXT, NULL},
		{"bytes", TEXT_size, CELL_SIZE, NULL},
		{"known", TEXT_known_clean, CELL_NUMBER, NULL},
		{"infected", TEXT_infected, CELL_NUMBER, NULL},
		{"partly", TEXT_partly, CELL_NUMBER, NULL},
		{"errors", TEXT_errors, CELL_NUMBER, NULL},
		{"excluded", TEXT_excluded, CELL_NUMBER, NULL},
		{"skipped", TEXT_left_out, CELL_NUMBER, NULL},
		{"current", TEXT_is_at, CELL_PATH, NULL},
	};

	scan_add_progress(v, job);
	part_card(&v->html, TEXT_state);
	bar(v, job);
	pairs_draw(v, job, all, N(all));
	html_raw(&v->html, "<div class=\"row\">");
	scan_job_buttons(v, job);
	part_link(&v->html, "/scan", TEXT_back);
	html_raw(&v->html, "</div>");
	part_card_end(&v->html);
}

static void findings(struct visit *v, json_t *data)
{
	static const struct column columns[] = {
		{"time", TEXT_time, CELL_TIME, NULL},
		{"virus", TEXT_virus, CELL_TEXT, NULL},
		{"action", TEXT_action, CELL_TEXT, NULL},
		{"path", TEXT_file, CELL_PATH, NULL},
	};
	const struct table t = {columns, N(columns), TEXT_no_findings,
				NULL,	 NULL,	     NULL};

	part_card(&v->html, TEXT_findings);
	table_draw(v, json_object_get(data, "findings"), &t);
	if (json_is_true(json_object_get(data, "more")))
		part_note(&v->html, "info", TEXT_more_findings);
	part_card_end(&v->html);
}

static void show(struct visit *v)
{
	json_t *data = visit_data(v, "scan.show");
	json_t *job = json_object_get(data, "job");
	const char *state = json_text(job, "state");

	if (!data) {
		visit_failed(v, 404, visit_error(v, "scan.show"));
		return;
	}
	page_begin(v, TEXT_scan_one, "/scan");
	html_raw(&v->html, !strcmp(state, "running") || !strcmp(state, "paused")
				   ? "<div data-again=\"3\">"
				   : "<div>");
	about(v, job);
	findings(v, data);
	html_raw(&v->html, "</div>");
	page_end(v);
}

void page_scan_job(struct visit *v)
{
	visit_ask(v, "scan.show",
		  json_pack("{s:s, s:s}", "id", visit_query(v, "id"), "limit",
			    FINDINGS));
	visit_then(v, show);
}
