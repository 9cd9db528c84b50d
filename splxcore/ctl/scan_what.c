/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "scan_what.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/paths.h"
#include "lib/alloc.h"
#include "render.h"

/* ---- settings ---- */

/* Told by entity, for an operator, who may not read the files. */
static struct conf *settings_told(const struct ctl *ctl, int *rc_r)
{
	struct err err = {0};
	json_t *list = NULL, *row;
	struct conf *conf;
	size_t i;

	*rc_r = ctl_call(ctl, "config.show", NULL, &list, &err);
	if (*rc_r != CTL_OK)
		return NULL;
	conf = conf_new();
	json_array_foreach (list, i, row) {
		const char *key =
			json_string_value(json_object_get(row, "key"));
		const char *value =
			json_string_value(json_object_get(row, "value"));

		if (key && value && conf_set(conf, key, value, &err) < 0)
			ctl_complain("%s: %s", key, err.text);
	}
	json_decref(list);
	return conf;
}

struct conf *scan_what_settings(const struct ctl *ctl)
{
	struct err err = {0};
	struct conf *conf = conf_load(paths()->active_conf, NULL);
	int rc = CTL_OK;

	if (!conf)
		conf = settings_told(ctl, &rc);
	if (!conf)
		conf = conf_load(paths()->conf, &err);
	if (!conf && rc != CTL_ERROR && !status_is_stopped())
		ctl_complain("settings cannot be read, nothing is excluded: "
			     "%s",
			     err.text);
	return conf ? conf : conf_new();
}

/* ---- a command line ---- */

/* Either paths, or what is in use. */
static bool is_told_what(const struct ctl *ctl)
{
	bool in_use = ctl_flag(ctl, "in-use");
	bool paths = json_object_get(ctl->args, "path");

	if (in_use && geteuid() != 0)
		ctl_complain("scan --in-use: only root may look into all "
			     "processes");
	else if (in_use && paths)
		ctl_complain("scan --in-use takes no paths: what runs is "
			     "scanned wherever it lies");
	else if (!in_use && !paths)
		ctl_complain("scan: a path is missing, or --in-use: splxctl "
			     "scan PATH...");
	else
		return true;
	return false;
}

static int set_actions(struct scan_what *what, const struct ctl *ctl)
{
	const char *action = ctl_arg(ctl, "action");

	/* What runs is dealt with as if it began now. */
	what->first_action = conf_action(
		what->conf, what->in_use ? "FirstAction" : "ManualFirstAction");
	what->second_action =
		conf_action(what->conf, what->in_use ? "SecondAction"
						     : "ManualSecondAction");
	if (!action)
		return 0;
	what->first_action = action_parse(action);
	if (what->first_action < 0) {
		ctl_complain("--action=%s: clean, quarantine, delete, rename, "
			     "deny, pass or none is allowed",
			     action);
		return -1;
	}
	if (what->first_action == ACTION_NONE)
		what->second_action = ACTION_NONE;
	return 0;
}

/* As it is found now: entity does not look for files. */
static void add_path(struct scan_what *what, const char *path,
		     void (*error)(const char *path, int code, void *arg),
		     void *arg)
{
	char full[PATH_MAX];

	if (realpath(path, full))
		vec_push(&what->paths, xstrdup(full));
	else
		error(path, errno, arg);
}

int scan_what_args(struct scan_what *what, const struct ctl *ctl,
		   void (*error)(const char *path, int code, void *arg),
		   void *arg)
{
	json_t *list = json_object_get(ctl->args, "path"), *item;
	size_t i;

	if (!is_told_what(ctl))
		return -1;
	what->conf = scan_what_settings(ctl);
	what->in_use = ctl_flag(ctl, "in-use");
	what->source = what->in_use ? SOURCE_IN_USE : SOURCE_MANUAL;
	what->all = ctl_flag(ctl, "all");
	what->exclusions = !ctl_flag(ctl, "no-exclusions");
	what->stay = ctl_flag(ctl, "stay");
	if (set_actions(what, ctl) < 0)
		return -1;
	json_array_foreach (list, i, item)
		add_path(what, json_string_value(item), error, arg);
	return 0;
}

/* ---- a job ---- */

static int job_action(json_t *spec, const char *key, int *action_r,
		      struct err *err)
{
	const char *name = json_string_value(json_object_get(spec, key));

	*action_r = name ? action_parse(name) : -1;
	if (*action_r < 0)
		return err_set(err, 0, "%s: no action", key);
	return 0;
}

static int job_paths(struct scan_what *what, json_t *list,
		     void (*error)(const char *path, int code, void *arg),
		     void *arg, struct err *err)
{
	char path[PATH_MAX];
	json_t *item;
	size_t i;

	json_array_foreach (list, i, item) {
		if (scan_path_decode(json_string_value(item) ?: "", path, err) <
		    0)
			return -1;
		add_path(what, path, error, arg);
	}
	if (!json_array_size(list))
		return err_set(err, 0, "the job has no paths");
	return 0;
}

int scan_what_job(struct scan_what *what, json_t *data,
		  void (*error)(const char *path, int code, void *arg),
		  void *arg, struct err *err)
{
	json_t *spec = json_object_get(data, "spec");
	const char *pos = json_string_value(json_object_get(data, "position"));
	const char *source = json_string_value(json_object_get(spec, "source"));

	what->source = source && strcmp(source, "scheduled") == 0
			       ? SOURCE_SCHEDULED
			       : SOURCE_MANUAL;
	what->all = json_is_true(json_object_get(spec, "all"));
	what->exclusions =
		!json_is_true(json_object_get(spec, "no-exclusions"));
	what->stay = json_is_true(json_object_get(spec, "stay"));
	if (pos && scan_position_parse(pos, &what->from, err) < 0)
		return -1;
	what->resumed = pos != NULL;
	if (job_action(spec, "action", &what->first_action, err) < 0 ||
	    job_action(spec, "second", &what->second_action, err) < 0)
		return -1;
	return job_paths(what, json_object_get(spec, "path"), error, arg, err);
}

/* ---- a schedule ---- */

static int add_excludes(struct conf *conf, const struct schedule *s,
			struct err *err)
{
	static const char *const keys[] = {
		"ExcludeDirectory", "ExcludeFile",  "ExcludeExtension",
		"ExcludePattern",   "ExcludeRegex", "ExcludeFsType",
	};
	char **path;

	for (size_t i = 0; !s->exclusions && i < sizeof(keys) / sizeof(*keys);
	     i++)
		if (conf_set(conf, keys[i], "{}", err) < 0)
			return -1;
	vec_each (path, &s->exclude)
		if (conf_list_add(conf, "ExcludePattern", *path, err) < 0)
			return err_add(err, "Exclude");
	return 0;
}

int scan_what_schedule(struct scan_what *what, const struct schedule *s,
		       struct err *err)
{
	what->schedule = xstrdup(s->name);
	what->report = xstrdup(s->report);
	what->max_ms = s->max_ms;
	what->low = s->low;
	/* What is left out stands in the settings of this scan now. */
	what->exclusions = true;
	return add_excludes(what->conf, s, err);
}

json_t *scan_what_json(const struct scan_what *what)
{
	json_t *args = json_object(), *list = json_array();
	char **path;

	vec_each (path, &what->paths) {
		char *word = scan_path_encode(*path);

		json_array_append_new(list, json_string(word));
		free(word);
	}
	/* No empty array: the grammar knows none. */
	if (what->paths.len)
		json_object_set(args, "path", list);
	json_decref(list);
	json_object_set_new(args, "source",
			    json_string(source_name(what->source)));
	json_object_set_new(
		args, "action",
		json_string(action_name((enum action)what->first_action)));
	json_object_set_new(
		args, "second",
		json_string(action_name((enum action)what->second_action)));
	if (what->all)
		json_object_set_new(args, "all", json_true());
	if (!what->exclusions)
		json_object_set_new(args, "no-exclusions", json_true());
	if (what->stay)
		json_object_set_new(args, "stay", json_true());
	return args;
}

void scan_what_free(struct scan_what *what)
{
	char **path;

	vec_each (path, &what->paths)
		free(*path);
	vec_free(&what->paths);
	free(what->schedule);
	free(what->report);
	conf_free(&what->conf);
}
