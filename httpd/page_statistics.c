/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/* Statistics: what examining costs, who causes it, and the way to exclude it.
 */
#include <stdio.h>
#include <string.h>

#include "parts.h"

#define TOP "15"
#define N(a) ((int)(sizeof(a) / sizeof((a)[0])))

/* ---- numbers ---- */

static void nanoseconds(struct html *h, int64_t ns)
{
	char text[32];

	if (ns >= 1000000000)
		snprintf(text, sizeof(text), "%.1f s", (double)ns / 1e9);
	else if (ns >= 1000000)
		snprintf(text, sizeof(text), "%.1f ms", (double)ns / 1e6);
	else
		snprintf(text, sizeof(text), "%.1f µs", (double)ns / 1e3);
	html_text(h, text);
}

static void cell_ns(struct html *h, enum text label, int64_t ns)
{
	part_cell(h, label, "num");
	nanoseconds(h, ns);
	part_cell_end(h);
}

static void facts(struct visit *v, json_t *s)
{
	json_t *counters = json_object_get(s, "counters");
	struct html *h = &v->html;

	part_facts(h);
	part_fact_time(h, TEXT_since, json_number(s, "since"));
	part_fact_number(h, TEXT_questions, json_number(counters, "questions"));
	part_fact_number(h, TEXT_scans, json_number(counters, "scans"));
	part_fact(h, TEXT_scan_bytes);
	html_size(h, json_number(counters, "scanBytes"));
	part_fact_end(h);
	part_fact_number(h, TEXT_findings, json_number(counters, "findings"));
	part_facts_end(h);
}

static void times(struct visit *v, json_t *s)
{
	static const struct {
		const char *name;
		enum text text;
	} rows[] = {{"wait", TEXT_time_wait}, {"scan", TEXT_time_scan}};
	struct html *h = &v->html;
	int i;

	part_card(h, TEXT_times);
	html_raw(h, "<div class=\"sums\">");
	part_table(h, TEXT_what, TEXT_count, TEXT_chart_p50, TEXT_chart_p99,
		   TEXT_longest);
	for (i = 0; i < N(rows); i++) {
		json_t *t = json_object_get(s, rows[i].name);

		html_raw(h, "<tr>");
		part_cell_text(h, TEXTS, "", lang_text(h->lang, rows[i].text));
		part_cell_number(h, TEXT_count, json_number(t, "count"));
		cell_ns(h, TEXT_chart_p50, json_number(t, "p50_ns"));
		cell_ns(h, TEXT_chart_p99, json_number(t, "p99_ns"));
		cell_ns(h, TEXT_longest, json_number(t, "max_ns"));
		html_raw(h, "</tr>");
	}
	part_table_end(h);
	html_raw(h, "</div>");
	part_card_end(h);
}

/* ---- who costs most ---- */

struct top {
	const char *list, *key;
	enum text title, head, hint;
	const char *type; /* of an exclusion */
};

static const struct top tops[] = {
	{"top_processes", "program", TEXT_top_programs, TEXT_program,
	 TEXT_exclude_this_program, "executable"},
	{"top_directories", "path", TEXT_top_directories, TEXT_directory,
	 TEXT_exclude_this_directory, "directory"},
	{"top_files", "path", TEXT_top_files, TEXT_file, TEXT_exclude_this_file,
	 "file"},
};

/* Can this be excluded by what is shown of it? Names that were cut begin with
 * no slash; one that is not shown as it is, or that entity may have escaped,
 * would come back as another. */
static bool is_whole(const char *path)
{
	return path[0] == '/' && path[1] && !strchr(path, '\\') &&
	       !str_ends(path, " (deleted)") && html_is_plain(path);
}

static void row(struct visit *v, const struct top *t, json_t *r)
{
	const char *name = json_text(r, t->key);
	struct html *h = &v->html;

	html_raw(h, "<tr>");
	part_cell_text(h, TEXTS, "path", name);
	part_cell_number(h, TEXT_scans, json_number(r, "scans"));
	cell_ns(h, TEXT_time_scan, json_number(r, "scan_ns"));
	cell_ns(h, TEXT_time_wait, json_number(r, "wait_ns"));
	part_cell(h, TEXT_size, "num");
	html_size(h, json_number(r, "bytes"));
	part_cell_end(h);
	if (v->role >= VERB_ADMIN) {
		part_cell(h, TEXTS, "last");
		if (is_whole(name)) {
			part_form(v, "/statistics/exclude", "inline");
			part_hidden(v, "type", t->type);
			part_hidden(v, "value", name);
			html_addf(h,
				  "<button aria-label=\"%s: %s\">%s</button>",
				  lang_text(h->lang, t->hint), name,
				  lang_text(h->lang, TEXT_exclude));
			part_form_end(h);
		}
		part_cell_end(h);
	}
	html_raw(h, "</tr>");
}

static void top(struct visit *v, const struct top *t, json_t *rows)
{
	enum text heads[] = {t->head,	     TEXT_scans, TEXT_time_scan,
			     TEXT_time_wait, TEXT_size,	 TEXTS};
	struct html *h = &v->html;
	json_t *r;
	size_t i;

	part_card(h, t->title);
	if (!json_array_size(rows)) {
		part_empty(h, TEXT_top_none);
		part_card_end(h);
		return;
	}
	html_raw(h, "<div class=\"sums\">");
	part_table_heads(h, heads, N(heads) - (v->role < VERB_ADMIN));
	json_array_foreach (rows, i, r)
		row(v, t, r);
	part_table_end(h);
	html_raw(h, "</div>");
	part_card_end(h);
}

static void counters(struct visit *v, json_t *s)
{
	struct html *h = &v->html;
	const char *name;
	json_t *value;

	html_addf(h,
		  "<details class=\"card\"><summary>%s</summary>"
		  "<dl class=\"codes\">",
		  lang_text(h->lang, TEXT_counters));
	json_object_foreach (json_object_get(s, "counters"), name, value) {
		html_addf(h, "<div><dt><code>%s</code></dt><dd>", name);
		html_number(h, json_integer_value(value));
		html_raw(h, "</dd></div>");
	}
	html_raw(h, "</dl></details>");
}

static void show(struct visit *v)
{
	json_t *s = visit_data(v, "statistics");
	struct html *h = &v->html;
	int i;

	if (!s) {
		visit_failed(v, 500, visit_error(v, "statistics"));
		return;
	}
	page_begin(v, TEXT_statistics, "/statistics");
	facts(v, s);
	for (i = 0; i < N(tops); i++)
		top(v, &tops[i], json_object_get(s, tops[i].list));
	times(v, s);
	counters(v, s);
	if (v->role >= VERB_OPERATOR) {
		html_raw(h, "<div class=\"actions\">");
		part_action(v, "/statistics/reset", "", TEXT_reset_counts);
		html_raw(h, "</div>");
	}
	page_end(v);
}

void page_statistics(struct visit *v)
{
	visit_ask(v, "statistics", json_pack("{s:s}", "top", TOP));
	visit_then(v, show);
}

/* ---- changes ---- */

void page_statistics_reset(struct visit *v)
{
	static const struct part_question q = {
		.title = TEXT_reset_counts,
		.text = TEXT_reset_counts_sure,
		.button = TEXT_reset_counts,
		.back = "/statistics",
	};

	if (part_confirmed(v, &q))
		visit_change(v, "statistics", json_pack("{s:b}", "reset", 1),
			     page_statistics, "/statistics?note=counts_reset");
}

void page_statistics_exclude(struct visit *v)
{
	static const enum text file[] = {TEXT_opens_file, TEXT_opens_replace,
					 TEXT_opens_manual},
			       directory[] = {TEXT_opens_directory,
					      TEXT_opens_writers,
					      TEXT_opens_manual},
			       program[] = {TEXT_opens_program,
					    TEXT_opens_program_bad,
					    TEXT_opens_narrower};
	const char *type = visit_form(v, "type");
	bool is_program = !strcmp(type, "executable");
	bool is_directory = !strcmp(type, "directory");
	struct part_question q = {
		.title = TEXT_exclude_title,
		.text = is_program     ? TEXT_exclude_program_sure
			: is_directory ? TEXT_exclude_directory_sure
				       : TEXT_exclude_file_sure,
		.button = TEXT_exclude,
		.arg = visit_form(v, "value"),
		.back = "/statistics",
		.opens = is_program	? program
			 : is_directory ? directory
					: file,
		.n_opens = 3,
	};

	if (!part_confirmed(v, &q))
		return;
	visit_change(v, "exclusion.add",
		     json_pack("{s:s, s:s}", "type", type, "value",
			       visit_form(v, "value")),
		     page_statistics, "/statistics?note=excluded");
}
