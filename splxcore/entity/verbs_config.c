/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/address.h"
#include "common/exclude.h"
#include "common/jsontext.h"
#include "common/scoreboard.h"
#include "common/state.h"
#include "cronfile.h"
#include "dispatch.h"
#include "lib/alloc.h"
#include "lib/log.h"
#include "lib/proc.h"
#include "network.h"
#include "notify.h"
#include "portable.h"
#include "settings.h"

/* A pattern set of 8 million signatures takes 15 s on a fast machine. */
#define PATTERNS_MS 150000

/* The words of `exclusion` and their options. */
static const struct {
	const char *type;
	const char *key;
} exclusions[] = {
	{"directory", "ExcludeDirectory"},   {"file", "ExcludeFile"},
	{"extension", "ExcludeExtension"},   {"pattern", "ExcludePattern"},
	{"regex", "ExcludeRegex"},	     {"fstype", "ExcludeFsType"},
	{"executable", "ExcludeExecutable"},
};
#define EXCLUSIONS (sizeof(exclusions) / sizeof(exclusions[0]))

/* ---- show ---- */

static const char *type_name(enum conf_type type)
{
	static const char *const names[] = {
		[CONF_BOOL] = "bool", [CONF_INT] = "int",
		[CONF_SIZE] = "size", [CONF_DURATION] = "duration",
		[CONF_ENUM] = "enum", [CONF_STRING] = "string",
		[CONF_LIST] = "list",
	};

	return names[type];
}

/* A value as it may be shown; the caller frees it. */
static char *shown(const struct conf *conf, const char *key)
{
	char *value = conf_get(conf, key), *masked = address_mask(value);

	free(value);
	return masked;
}

static json_t *describe(const struct core *core, const struct conf *defaults,
			const struct conf_option *opt)
{
	char *value = shown(core_conf(core), opt->key);
	char *def = conf_get(defaults, opt->key);
	bool changed = strcmp(value, def) != 0;
	json_t *row;

	row = json_pack("{s:s, s:s, s:o, s:o, s:s, s:b, s:s, s:s, s:s}",
			"group", opt->group, "key", opt->key, "value",
			jsontext_new(value), "default", jsontext_new(def),
			"origin",
			changed ? settings_origin(core->settings) : "default",
			"changed", changed, "type", type_name(opt->type),
			"unit", opt->unit, "text", opt->text);
	free(value);
	free(def);
	return row;
}

void verb_config_show(struct core *core, struct ipc_call *call, json_t *args)
{
	bool changed_only = json_is_true(json_object_get(args, "changed"));
	struct conf *defaults = conf_new();
	json_t *list = json_array(), *row;
	size_t i;

	for (i = 0; i < conf_option_count; i++) {
		row = describe(core, defaults, &conf_options[i]);
		if (changed_only &&
		    !json_is_true(json_object_get(row, "changed")))
			json_decref(row);
		else
			json_array_append_new(list, row);
	}
	conf_free(&defaults);
	dispatch_reply(core, call, list);
}

/* The option that `key` names; NULL, and the call has failed, if none. */
static const struct conf_option *option(struct core *core,
					struct ipc_call *call, const char *key)
{
	const struct conf_option *opt = conf_option_find(key), *like;

	if (opt)
		return opt;
	like = conf_option_nearest(key);
	if (like)
		dispatch_fail(core, call, "not_found",
			      "%s: no such setting; did you mean %s?", key,
			      like->key);
	else
		dispatch_fail(core, call, "not_found", "%s: no such setting",
			      key);
	return NULL;
}

void verb_config_get(struct core *core, struct ipc_call *call, json_t *args)
{
	const struct conf_option *opt;
	struct conf *defaults;

	opt = option(core, call, dispatch_arg(args, "key"));
	if (!opt)
		return;
	defaults = conf_new();
	dispatch_reply(core, call, describe(core, defaults, opt));
	conf_free(&defaults);
}

/* ---- change ---- */

struct change {
	struct core *core;
	struct ipc_call *call;
};

static struct change *change_new(struct core *core, struct ipc_call *call)
{
	struct change *c = xcalloc(1, sizeof(*c));

	c->core = core;
	c->call = call;
	return c;
}

static json_t *answer(struct core *core, bool applied, const char *note,
		      json_t *changed)
{
	return json_pack("{s:b, s:s, s:O, s:O}", "applied", applied, "note",
			 note, "changed", changed, "void",
			 settings_void(core->settings));
}

static void changed(const struct settings_result *result, void *arg)
{
	struct change *c = arg;
	/* Where nothing runs there is nothing left to be done. */
	bool applied = result->takeover == TAKEOVER_DONE ||
		       result->takeover == TAKEOVER_LATER;

	if (result->takeover == TAKEOVER_FAILED)
		dispatch_fail(c->core, c->call, "failed",
			      "saved, but vsapiapp cannot take it over: %s",
			      result->note);
	else
		dispatch_reply(c->core, c->call,
			       answer(c->core, applied, result->note,
				      result->changed));
	free(c);
}

static void unchanged(struct core *core, struct ipc_call *call)
{
	json_t *none = json_array();

	dispatch_reply(core, call,
		       answer(core, true, "nothing to change", none));
	json_decref(none);
}

/* What another conf would change: {key: value} as it is, and as it would be.
 * How many keys. */
static size_t differences(const struct conf *now, const struct conf *then,
			  json_t **before_r, json_t **after_r)
{
	size_t i;

	*before_r = json_object();
	*after_r = json_object();
	for (i = 0; i < conf_option_count; i++) {
		const char *key = conf_options[i].key;
		char *a = conf_get(now, key), *b = conf_get(then, key);

		if (strcmp(a, b) != 0) {
			char *was = address_mask(a), *is = address_mask(b);

			json_object_set_new(*before_r, key, jsontext_new(was));
			json_object_set_new(*after_r, key, jsontext_new(is));
			free(was);
			free(is);
		}
		free(a);
		free(b);
	}
	return json_object_size(*after_r);
}

static void audit_differences(struct core *core, const struct ipc_call *call,
			      const struct conf *conf)
{
	json_t *before, *after;

	differences(core_conf(core), conf, &before, &after);
	dispatch_audit_change(core, call, before, after);
}

static void save(struct core *core, struct ipc_call *call,
		 const struct conf *conf)
{
	struct change *c = change_new(core, call);
	struct err err;

	audit_differences(core, call, conf);
	if (settings_save(core, conf, changed, c, &err) == 0)
		return;
	free(c);
	dispatch_fail(core, call, "invalid", "%s", err.text);
}

/* A verb that has to wait until the change before it is through. */
struct turn {
	struct core *core;
	struct ipc_call *call;
	json_t *args;
	dispatch_fn fn;
};

static void turn_come(void *arg)
{
	struct turn *t = arg;

	t->fn(t->core, t->call, t->args);
	json_decref(t->args);
	free(t);
}

static bool wait_turn(struct core *core, struct ipc_call *call, json_t *args,
		      dispatch_fn fn)
{
	struct turn *t;

	if (!settings_busy(core->settings))
		return false;
	t = xcalloc(1, sizeof(*t));
	t->core = core;
	t->call = call;
	t->args = json_incref(args);
	t->fn = fn;
	settings_wait(core->settings, turn_come, t);
	return true;
}

static void set_one(struct core *core, struct ipc_call *call, const char *key,
		    const char *value)
{
	struct conf *conf = settings_edit(core->settings);
	char *now = conf_get(conf, key), *full;
	struct err err;

	/* What was shown may come back. */
	full = address_fill(value, now, &err);
	if (!full || conf_set(conf, key, full, &err))
		dispatch_fail(core, call, "invalid", "%s", err.text);
	else
		save(core, call, conf);
	conf_free(&conf);
	free(full);
	free(now);
}

static void set_turn(struct core *core, struct ipc_call *call, json_t *args)
{
	const struct conf_option *opt;

	opt = option(core, call, dispatch_arg(args, "key"));
	if (opt)
		set_one(core, call, opt->key, dispatch_arg(args, "value"));
}

void verb_config_set(struct core *core, struct ipc_call *call, json_t *args)
{
	if (!wait_turn(core, call, args, set_turn))
		set_turn(core, call, args);
}

static void reset_turn(struct core *core, struct ipc_call *call, json_t *args)
{
	const struct conf_option *opt;
	struct conf *defaults;
	char *value;

	opt = option(core, call, dispatch_arg(args, "key"));
	if (!opt)
		return;
	defaults = conf_new();
	value = conf_get(defaults, opt->key);
	set_one(core, call, opt->key, value);
	free(value);
	conf_free(&defaults);
}

void verb_config_reset(struct core *core, struct ipc_call *call, json_t *args)
{
	if (!wait_turn(core, call, args, reset_turn))
		reset_turn(core, call, args);
}

static void reload_turn(struct core *core, struct ipc_call *call, json_t *args)
{
	struct change *c = change_new(core, call);
	struct err err;

	(void)args;
	if (settings_reload(core, changed, c, &err) == 0)
		return;
	free(c);
	dispatch_fail(core, call, "invalid",
		      "%s; the settings in force stay as they are", err.text);
}

void verb_config_reload(struct core *core, struct ipc_call *call, json_t *args)
{
	if (!wait_turn(core, call, args, reload_turn))
		reload_turn(core, call, args);
}

/* ---- all at once ---- */

void verb_config_export(struct core *core, struct ipc_call *call, json_t *args)
{
	char *text = portable_export(core_conf(core));

	dispatch_audit_now(core, call, VERB_ID_config_export, args);
	dispatch_reply(core, call,
		       json_pack("{s:o}", "text", jsontext_new(text)));
	free(text);
}

/* [{"key", "before", "after"}] */
static json_t *changes_json(json_t *before, json_t *after)
{
	json_t *list = json_array(), *value;
	const char *key;

	json_object_foreach (after, key, value)
		json_array_append_new(
			list, json_pack("{s:s, s:O, s:O}", "key", key, "before",
					json_object_get(before, key), "after",
					value));
	return list;
}

/* Whoever goes by the files of entries looks at them again. */
static void take_over_files(struct core *core)
{
	cronfile_write(core, core_conf(core));
	notify_reload(core);
	network_look(core);
}

static void import_files(struct core *core, struct ipc_call *call,
			 json_t *changes)
{
	take_over_files(core);
	dispatch_reply(core, call,
		       json_pack("{s:b, s:s, s:O}", "applied", 1, "note", "",
				 "changes", changes));
}

/* The files first: they can be put back when the settings are not taken. */
static void import_all(struct core *core, struct ipc_call *call,
		       struct portable *p, bool settings, json_t *changes)
{
	struct change *c;
	struct err err;

	if (portable_write(p, &err) < 0) {
		dispatch_fail(core, call, "failed", "%s", err.text);
		return;
	}
	if (!settings) {
		import_files(core, call, changes);
		return;
	}
	c = change_new(core, call);
	if (settings_save(core, portable_conf(p), changed, c, &err) == 0) {
		take_over_files(core);
		return;
	}
	free(c);
	portable_undo(p);
	dispatch_fail(core, call, "invalid", "%s", err.text);
}

/* Shows what would change, or has it done. */
static void import_some(struct core *core, struct ipc_call *call,
			struct portable *p, bool dry_run)
{
	const struct conf *conf = portable_conf(p);
	json_t *before = json_object(), *after = json_object(), *changes;
	size_t settings = 0, n;

	if (conf) {
		json_decref(before);
		json_decref(after);
		settings = differences(core_conf(core), conf, &before, &after);
	}
	n = settings + portable_differences(p, before, after);
	changes = changes_json(before, after);
	if (dry_run || n == 0) {
		dispatch_audit_skip(core, call);
		dispatch_reply(
			core, call,
			json_pack("{s:b, s:s, s:O}", "applied", n == 0, "note",
				  n ? "this would change" : "nothing to change",
				  "changes", changes));
	} else {
		dispatch_audit_change(core, call, json_incref(before),
				      json_incref(after));
		import_all(core, call, p, settings > 0, changes);
	}
	json_decref(before);
	json_decref(after);
	json_decref(changes);
}

static void import_turn(struct core *core, struct ipc_call *call, json_t *args)
{
	const char *text = dispatch_arg(args, "text");
	struct portable *p = NULL;
	struct err err;

	if (!text || strlen(text) > CONF_FILE_MAX)
		err_set(&err, 0, "--text: settings of up to %d bytes",
			(int)CONF_FILE_MAX);
	else
		p = portable_parse(text, core_conf(core), &err);
	if (!p ||
	    (portable_conf(p) && settings_check(portable_conf(p), &err) < 0))
		dispatch_fail(core, call, "invalid", "%s", err.text);
	else
		import_some(core, call, p,
			    json_is_true(json_object_get(args, "dry-run")));
	portable_free(&p);
}

void verb_config_import(struct core *core, struct ipc_call *call, json_t *args)
{
	/* What it changes is told, not all of it. */
	dispatch_audit_args(core, call, NULL);
	if (!wait_turn(core, call, args, import_turn))
		import_turn(core, call, args);
}

/* ---- exclusions ---- */

/* The option of a type; NULL, and the call has failed, when there is none. */
static const char *exclusion_key(struct core *core, struct ipc_call *call,
				 const char *type)
{
	size_t i;

	for (i = 0; i < EXCLUSIONS; i++)
		if (!strcmp(exclusions[i].type, type))
			return exclusions[i].key;
	dispatch_fail(core, call, "invalid",
		      "%s: no such type; there are directory, file, extension, "
		      "pattern, regex, fstype, executable",
		      type);
	return NULL;
}

/* Why this entry would be void, or NULL; the caller frees it. */
static char *void_reason(const struct conf *conf, const char *key,
			 const char *entry)
{
	struct exclude_problems problems = {0};
	struct exclude *ex = exclude_new(conf, &problems);
	struct exclude_problem *p;
	char *reason = NULL;

	vec_each (p, &problems)
		if (!reason && !strcmp(p->key, key) && !strcmp(p->entry, entry))
			reason = xstrdup(p->reason);
	exclude_problems_free(&problems);
	exclude_free(&ex);
	return reason;
}

static void exclusion_edit(struct core *core, struct ipc_call *call,
			   json_t *args, bool add)
{
	const char *value = dispatch_arg(args, "value"), *key;
	struct conf *conf;
	char *reason = NULL;
	struct err err;
	int rc;

	key = exclusion_key(core, call, dispatch_arg(args, "type"));
	if (!key)
		return;
	conf = settings_edit(core->settings);
	rc = add ? conf_list_add(conf, key, value, &err)
		 : conf_list_remove(conf, key, value, &err);
	if (rc == 0 && add)
		reason = void_reason(conf, key, value);
	if (rc < 0)
		dispatch_fail(core, call, "invalid", "%s", err.text);
	else if (reason)
		dispatch_fail(core, call, "invalid", "%s: %s", value, reason);
	else if (rc > 0)
		unchanged(core, call);
	else
		save(core, call, conf);
	free(reason);
	conf_free(&conf);
}

static void add_turn(struct core *core, struct ipc_call *call, json_t *args)
{
	exclusion_edit(core, call, args, true);
}

static void remove_turn(struct core *core, struct ipc_call *call, json_t *args)
{
	exclusion_edit(core, call, args, false);
}

void verb_exclusion_add(struct core *core, struct ipc_call *call, json_t *args)
{
	if (!wait_turn(core, call, args, add_turn))
		add_turn(core, call, args);
}

void verb_exclusion_remove(struct core *core, struct ipc_call *call,
			   json_t *args)
{
	if (!wait_turn(core, call, args, remove_turn))
		remove_turn(core, call, args);
}

static const char *listed_reason(json_t *voids, const char *key,
				 const char *entry)
{
	json_t *v;
	size_t i;

	json_array_foreach (voids, i, v)
		if (!strcmp(json_string_value(json_object_get(v, "key")),
			    key) &&
		    !strcmp(json_string_value(json_object_get(v, "entry")),
			    entry))
			return json_string_value(json_object_get(v, "reason"));
	return NULL;
}

void verb_exclusion_list(struct core *core, struct ipc_call *call, json_t *args)
{
	json_t *list = json_array(), *row;
	const struct conf_list *items;
	const char *reason;
	char **item;
	size_t i;

	(void)args;
	for (i = 0; i < EXCLUSIONS; i++) {
		items = (const void *)((const char *)core_conf(core) +
				       conf_option_find(exclusions[i].key)
					       ->offset);
		vec_each (item, items) {
			reason = listed_reason(settings_void(core->settings),
					       exclusions[i].key, *item);
			row = json_pack("{s:s, s:o, s:b, s:s}", "type",
					exclusions[i].type, "value",
					jsontext_new(*item), "void",
					reason != NULL, "reason",
					reason ? reason : "");
			json_array_append_new(list, row);
		}
	}
	dispatch_reply(core, call, list);
}

/* ---- patterns ---- */

void verb_pattern_show(struct core *core, struct ipc_call *call, json_t *args)
{
	static const char *const names[] = {
		"generation",	"engine",	"signatures", "pattern_id",
		"pattern_time", "builtin_only", "patterns",   "refresh",
	};
	json_t *data = json_object(), *state, *value;
	struct err err;
	size_t i;

	(void)args;
	state = state_read(&err);
	if (!state) {
		json_decref(data);
		dispatch_fail(core, call, "unavailable",
			      "vsapiapp has not told its patterns yet: %s",
			      err.text);
		return;
	}
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		value = json_object_get(state, names[i]);
		json_object_set(data, names[i], value ? value : json_null());
	}
	json_decref(state);
	dispatch_reply(core, call, data);
}

static void patterns_done(enum takeover_result result, const char *note,
			  void *arg)
{
	struct change *c = arg;
	struct core *core = c->core;

	if (result == TAKEOVER_FAILED)
		dispatch_fail(core, c->call, "failed",
			      "the old patterns stay in force: %s", note);
	else if (result == TAKEOVER_LATER)
		dispatch_fail(core, c->call, "unavailable", "%s", note);
	else
		dispatch_reply(core, c->call,
			       json_pack("{s:b, s:s, s:I}", "applied",
					 result == TAKEOVER_DONE, "note", note,
					 "generation",
					 (json_int_t)atomic_load(
						 &core->sb->generation)));
	free(c);
}

/* Asked again and again until it is so. */
void verb_pattern_unload(struct core *core, struct ipc_call *call, json_t *args)
{
	struct scoreboard *sb = core->sb;
	struct proc_id id;

	(void)args;
	if (core_conf(core)->low_memory_update != CONF_LOW_MEMORY_UNLOAD) {
		dispatch_fail(core, call, "unavailable",
			      "LowMemoryUpdate does not allow it");
		return;
	}
	if (proc_identify(ipc_call_peer(call)->pid, &id) < 0) {
		dispatch_fail(core, call, "unavailable",
			      "the calling process is not known here");
		return;
	}
	if (atomic_load(&sb->unload.pid) != id.pid)
		log_warn("the patterns are unloaded for an update: memory is "
			 "short");
	atomic_store(&sb->unload.start, id.start);
	atomic_store(&sb->unload.pid, id.pid);
	dispatch_reply(core, call,
		       json_pack("{s:b}", "unloaded",
				 (int)atomic_load(&sb->unload.done)));
}

void verb_pattern_reload(struct core *core, struct ipc_call *call, json_t *args)
{
	(void)args;
	atomic_store(&core->sb->unload.pid, 0);
	/* Lists of networks are patterns, too. */
	network_changed(core);
	takeover_new(core, TAKEOVER_PATTERNS, PATTERNS_MS, patterns_done,
		     change_new(core, call));
}
