/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/*
 * schedule.*.
 * schedule.list {"schedules": [{"name", "when", "paths": text, "next": ns
 *   since 1970 or null, "last": JOB of scans.h or null}], "problems": [text]}
 * schedule.show, schedule.set {"name", "settings": [{"key", "value"}], "next",
 *   "last"}; schedule.remove null
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/jsontext.h"
#include "common/paths.h"
#include "common/schedules.h"
#include "cronfile.h"
#include "dispatch.h"
#include "entries.h"
#include "lib/alloc.h"
#include "lib/clock.h"
#include "lib/cron.h"
#include "lib/fdutil.h"
#include "lib/str.h"
#include "scans.h"

#define MODE 0644

static json_t *next_json(const struct schedule *s)
{
	time_t now = (time_t)(clock_real_ns() / (int64_t)CLOCK_NS_PER_S);
	struct cron cron;
	time_t next;

	if (cron_parse(s->when, schedule_seed(cronfile_seed(), s->name), &cron,
		       NULL) < 0 ||
	    cron.off)
		return json_null();
	next = cron_next(&cron, now);
	return next == (time_t)-1 ? json_null()
				  : json_integer((json_int_t)next *
						 (json_int_t)CLOCK_NS_PER_S);
}

static json_t *last_json(struct core *core, const char *name)
{
	struct err err;
	struct scan *scan = scans_last(core, name, &err);
	json_t *job = scan ? scan_json(scan) : json_null();

	scans_release(&scan);
	return job;
}

static const char *setting(json_t *settings, const char *key)
{
	json_t *row;
	size_t i;

	json_array_foreach (settings, i, row)
		if (strcmp(json_string_value(json_object_get(row, "key")),
			   key) == 0)
			return json_string_value(json_object_get(row, "value"));
	return "";
}

static json_t *describe(struct core *core, const struct schedule *s)
{
	return json_pack("{s:s, s:o, s:o, s:o}", "name", s->name, "settings",
			 schedule_json(s), "next", next_json(s), "last",
			 last_json(core, s->name));
}

void verb_schedule_list(struct core *core, struct ipc_call *call, json_t *args)
{
	struct schedules *list = schedules_read();
	json_t *rows = json_array(), *problems = json_array(), *settings;
	const struct entryfile_problem *p;
	const struct schedule *s;

	vec_each (s, &list->entries) {
		settings = schedule_json(s);
		json_array_append_new(
			rows, json_pack("{s:s, s:s, s:s, s:o, s:o}", "name",
					s->name, "when", s->when, "paths",
					setting(settings, "Paths"), "next",
					next_json(s), "last",
					last_json(core, s->name)));
		json_decref(settings);
	}
	vec_each (p, &list->problems)
		json_array_append_new(problems, jsontext_new(p->text));
	schedules_free(&list);
	dispatch_reply(core, call,
		       json_pack("{s:o, s:o}", "schedules", rows, "problems",
				 problems));
}

void verb_schedule_show(struct core *core, struct ipc_call *call, json_t *args)
{
	const char *name = dispatch_arg(args, "name");
	struct schedules *list = schedules_read();
	const struct schedule *s = schedules_find(list, name);

	if (s)
		dispatch_reply(core, call, describe(core, s));
	else
		dispatch_fail(core, call, "not_found",
			      "there is no schedule %s, or it is void", name);
	schedules_free(&list);
}

/* ---- changes ---- */

/* The text must read as what was meant. */
static int check(const char *old, const char *text, const char *name,
		 struct err *err)
{
	struct schedules *before = schedules_parse(old, "");
	struct schedules *after = schedules_parse(text, "");
	const char *wrong =
		entries_new_problem(&before->problems, &after->problems);
	int rc = 0;

	if (wrong)
		rc = err_set(err, EINVAL, "%s", wrong);
	else if (name && !schedules_find(after, name))
		rc = err_set(err, EINVAL,
			     "%s is void, as it stands in the file: splxctl "
			     "schedule list",
			     name);
	schedules_free(&before);
	schedules_free(&after);
	return rc;
}

/* The settings of a schedule as they stand; NULL when there is none. */
static json_t *settings_now(const char *name)
{
	struct schedules *list = schedules_read();
	const struct schedule *s = schedules_find(list, name);
	json_t *out = s ? schedule_json(s) : NULL;

	schedules_free(&list);
	return out;
}

void verb_schedule_set(struct core *core, struct ipc_call *call, json_t *args)
{
	json_t *before = settings_now(dispatch_arg(args, "name"));
	const char *name = dispatch_arg(args, "name");
	struct schedules *list;
	struct err err = {0};
	char *old = entries_read(paths()->scans, SCHEDULES_FILE_MAX, &err);
	char *text = old ? xstrdup(old) : NULL;

	if (!old ||
	    entries_set_all(&text, name, json_object_get(args, "setting"),
			    schedules_edit, &err) < 0 ||
	    check(old, text, name, &err) < 0 ||
	    entries_write(paths()->scans, text, MODE, &err) < 0) {
		dispatch_fail(core, call, entries_code(&err), "%s", err.text);
	} else {
		cronfile_write(core, core_conf(core));
		dispatch_audit_change(core, call, json_incref(before),
				      settings_now(name));
		list = schedules_read();
		dispatch_reply(core, call,
			       describe(core, schedules_find(list, name)));
		schedules_free(&list);
	}
	json_decref(before);
	free(old);
	free(text);
}

void verb_schedule_remove(struct core *core, struct ipc_call *call,
			  json_t *args)
{
	struct err err = {0};
	char *old = entries_read(paths()->scans, SCHEDULES_FILE_MAX, &err),
	     *text = NULL;

	dispatch_audit_change(core, call,
			      settings_now(dispatch_arg(args, "name")), NULL);
	if (old)
		text = schedules_edit(old, dispatch_arg(args, "name"), NULL,
				      NULL, &err);
	if (!text || entries_write(paths()->scans, text, MODE, &err) < 0) {
		dispatch_fail(core, call, entries_code(&err), "%s", err.text);
	} else {
		cronfile_write(core, core_conf(core));
		dispatch_reply(core, call, NULL);
	}
	free(old);
	free(text);
}
