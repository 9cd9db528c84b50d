/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/* A scheduled scan's settings: those of scans.conf, a field each. */
#include <stdlib.h>
#include <string.h>

#include "common/entryfile.h"
#include "lib/alloc.h"
#include "lib/str.h"
#include "page_scan.h"

#define N(a) ((int)(sizeof(a) / sizeof(*(a))))
#define HERE "/scan/schedule"

static const struct part_word yes_no[] = {
	{"yes", TEXT_yes, NULL},
	{"no", TEXT_no, NULL},
	PART_WORDS_END,
};
static const struct part_word first[] = {
	{"default", TEXT_action_as_set, NULL},
	{"deny", TEXT_action_none, NULL},
	{"clean", TEXT_action_clean, NULL},
	{"quarantine", TEXT_action_quarantine, NULL},
	{"rename", TEXT_action_rename, NULL},
	{"delete", TEXT_action_delete, NULL},
	{"pass", TEXT_action_pass, NULL},
	PART_WORDS_END,
};
static const struct part_word second[] = {
	{"default", TEXT_action_as_set, NULL},
	{"deny", TEXT_action_none, NULL},
	{"quarantine", TEXT_action_quarantine, NULL},
	{"rename", TEXT_action_rename, NULL},
	{"delete", TEXT_action_delete, NULL},
	{"pass", TEXT_action_pass, NULL},
	PART_WORDS_END,
};
static const struct part_word priorities[] = {
	{"low", TEXT_priority_low, NULL},
	{"normal", TEXT_priority_normal, NULL},
	PART_WORDS_END,
};
static const struct part_word missed[] = {
	{"run", TEXT_missed_run, NULL},
	{"skip", TEXT_missed_skip, NULL},
	PART_WORDS_END,
};

/* The keys of scans.conf, in the order of the form. */
static const struct field {
	const char *key;
	enum text label, hint;
	const struct part_word *choices; /* NULL: a text */
	bool lines;			 /* words, one a line */
	const char *value;		 /* a new one's */
} fields[] = {
	{"When", TEXT_when, TEXT_when_hint, NULL, false, "daily"},
	{"Paths", TEXT_scan_paths, TEXTS, NULL, true, ""},
	{"Exclude", TEXT_schedule_exclude, TEXT_schedule_exclude_hint, NULL,
	 true, ""},
	{"Exclusions", TEXT_schedule_exclusions, TEXTS, yes_no, false, "yes"},
	{"All", TEXT_scan_all, TEXTS, yes_no, false, "no"},
	{"FirstAction", TEXT_scan_action, TEXTS, first, false, "default"},
	{"SecondAction", TEXT_second_action, TEXTS, second, false, "default"},
	{"Priority", TEXT_priority, TEXTS, priorities, false, "low"},
	{"MaxTime", TEXT_max_time, TEXT_max_time_hint, NULL, false, "0"},
	{"Resume", TEXT_schedule_resume, TEXTS, yes_no, false, "yes"},
	{"Missed", TEXT_missed, TEXTS, missed, false, "run"},
	{"Report", TEXT_report, TEXT_report_hint, NULL, false, "none"},
};

/* ---- the form ---- */

/* A value's words, one a line; the caller frees it. */
static char *as_lines(const char *value)
{
	struct entryfile_words words = {0};
	struct str text = {0};
	char **w;

	/* What entity says of it can be read. */
	if (entryfile_words(value, &words, NULL) == 0)
		vec_each (w, &words)
			str_addf(&text, "%s\n", *w);
	entryfile_words_free(&words);
	return str_take(&text);
}

static const char *setting(json_t *schedule, const struct field *f)
{
	json_t *s;
	size_t i;

	json_array_foreach (json_object_get(schedule, "settings"), i, s)
		if (!strcmp(json_text(s, "key"), f->key))
			return json_text(s, "value");
	return f->value;
}

static void field(struct visit *v, const struct field *f, json_t *schedule)
{
	const char *value = setting(schedule, f);
	char *lines;

	if (f->choices) {
		part_select(v, f->label, f->key, f->choices, value);
	} else if (f->lines) {
		lines = as_lines(value);
		part_area(v, f->label, f->key, lines, 3, f->hint);
		free(lines);
	} else {
		part_field(v, f->label, "text", f->key, value, f->hint);
	}
}

static const char *asked(const struct visit *v, const char *name)
{
	return v->form.len ? visit_form(v, name) : visit_query(v, name);
}

static void show(struct visit *v)
{
	json_t *schedule = visit_data(v, "schedule.show");
	struct html *h = &v->html;
	int i;

	if (visit_error(v, "schedule.show")) {
		visit_failed(v, 404, visit_error(v, "schedule.show"));
		return;
	}
	page_begin(v, schedule ? TEXT_schedule_set : TEXT_schedule_add,
		   "/scan");
	part_form(v, HERE, "card");
	html_raw(h, "<div class=\"fields\">");
	if (schedule)
		part_hidden(v, "name", asked(v, "name"));
	else
		part_field(v, TEXT_name, "text", "name", "",
			   TEXT_channel_name_hint);
	part_hidden(v, "is", schedule ? "known" : "new");
	for (i = 0; i < N(fields); i++)
		field(v, &fields[i], schedule);
	html_raw(h, "</div><div class=\"actions\">");
	part_button(h, "primary", TEXT_save);
	part_link(h, "/scan", TEXT_back);
	html_raw(h, "</div>");
	part_form_end(h);
	page_end(v);
}

void page_schedule(struct visit *v)
{
	bool known = v->form.len ? !strcmp(visit_form(v, "is"), "known")
				 : *visit_query(v, "name") != '\0';

	if (known)
		visit_ask(v, "schedule.show",
			  json_pack("{s:s}", "name", asked(v, "name")));
	visit_then(v, show);
}

/* ---- what is sent ---- */

/* Lines as a value of words; the caller frees it. */
static char *as_value(const char *lines)
{
	char *copy = xstrdup(lines), *line, *save = NULL;
	struct str text = {0};

	for (line = strtok_r(copy, "\r\n", &save); line;
	     line = strtok_r(NULL, "\r\n", &save)) {
		line = str_trim(line);
		if (!*line)
			continue;
		if (text.len)
			str_add(&text, ", ");
		entryfile_word_add(&text, line);
	}
	free(copy);
	return str_take(&text);
}

void page_schedule_save(struct visit *v)
{
	json_t *list = json_array();
	char *value;
	int i;

	for (i = 0; i < N(fields); i++) {
		const char *sent = visit_form(v, fields[i].key);

		value = fields[i].lines ? as_value(sent) : xstrdup(sent);
		json_array_append_new(
			list, json_sprintf("%s=%s", fields[i].key, value));
		free(value);
	}
	visit_change(v, "schedule.set",
		     json_pack("{s:s, s:o}", "name", visit_form(v, "name"),
			       "setting", list),
		     page_schedule, "/scan?note=saved");
}
