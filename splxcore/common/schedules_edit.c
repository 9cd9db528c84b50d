/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/* Writing schedules: one key in a file that is somebody's own, and as JSON. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "jsontext.h"
#include "lib/alloc.h"
#include "lib/str.h"
#include "schedules_impl.h"
#include "verdict.h"

char *schedules_edit(const char *old_text, const char *name, const char *key,
		     const char *value, struct err *err)
{
	if (scan_name_valid(name))
		return entryfile_edit(schedules_kind(), old_text, name, key,
				      value, err);
	err_set(err, EINVAL,
		"%s: a name is a letter and then at most %d letters, "
		"digits, _ and -",
		name, SCAN_NAME_MAX - 1);
	return NULL;
}

/* ---- as JSON ---- */

static void add(json_t *list, const char *key, const char *value)
{
	json_array_append_new(list, json_pack("{s:s, s:o}", "key", key, "value",
					      jsontext_new(value)));
}

static void add_words(json_t *list, const char *key,
		      const struct entryfile_words *words)
{
	char *text = entryfile_words_text(words);

	add(list, key, text);
	free(text);
}

static const char *action_word(int action)
{
	return action < 0 ? "default" : action_name((enum action)action);
}

json_t *schedule_json(const struct schedule *s)
{
	json_t *list = json_array();
	char time[32] = "0";

	/* As the file takes it: whole seconds. */
	if (s->max_ms)
		snprintf(time, sizeof(time), "%llums",
			 (unsigned long long)s->max_ms);
	if (s->max_ms && s->max_ms % 1000 == 0)
		snprintf(time, sizeof(time), "%llus",
			 (unsigned long long)(s->max_ms / 1000));
	add(list, "When", s->when);
	add_words(list, "Paths", &s->paths);
	add(list, "Exclusions", s->exclusions ? "yes" : "no");
	add_words(list, "Exclude", &s->exclude);
	add(list, "All", s->all ? "yes" : "no");
	add(list, "FirstAction", action_word(s->first_action));
	add(list, "SecondAction", action_word(s->second_action));
	add(list, "Priority", s->low ? "low" : "normal");
	add(list, "MaxTime", time);
	add(list, "Resume", s->resume ? "yes" : "no");
	add(list, "Missed", s->missed ? "run" : "skip");
	add(list, "Report", s->report);
	return list;
}
