/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "health.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/conflicts.h"
#include "common/jsontext.h"
#include "common/version.h"
#include "dispatch.h"
#include "health_check.h"
#include "lib/alloc.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "modlock.h"
#include "service.h"
#include "settings.h"

struct fault {
	enum status_code code;
	char *text;
};

struct health {
	struct {
		VEC(struct fault);
	} faults;
	char *told;	   /* the codes that the log was told last */
	json_t *conflicts; /* as last looked for, at: */
	uint64_t conflicts_ns;
	struct patternwatch patterns;
};

#define CONFLICTS_FRESH_MS 10000 /* to look reads every init script */

int health_init(struct core *core, struct err *err)
{
	(void)err;
	core->health = xcalloc(1, sizeof(*core->health));
	return 0;
}

void health_deinit(struct core *core)
{
	struct fault *f;

	if (!core->health)
		return;
	vec_each (f, &core->health->faults)
		free(f->text);
	vec_free(&core->health->faults);
	free(core->health->told);
	patternwatch_deinit(&core->health->patterns);
	json_decref(core->health->conflicts);
	xfree(&core->health);
}

bool health_fault(struct health *health, enum status_code code,
		  const char *text)
{
	struct fault *f, fresh = {code, NULL};
	size_t i;

	for (i = 0; i < health->faults.len; i++)
		if (health->faults.items[i].code == code)
			break;
	if (i == health->faults.len) {
		if (!text)
			return false;
		fresh.text = xstrdup(text);
		vec_push(&health->faults, fresh);
		return true;
	}
	f = &health->faults.items[i];
	if (text && !strcmp(f->text, text))
		return false;
	free(f->text);
	f->text = text ? xstrdup(text) : NULL;
	if (!text)
		vec_remove(&health->faults, i);
	return true;
}

void health_faults(const struct health *health,
		   void (*fn)(enum status_code code, const char *text,
			      void *arg),
		   void *arg)
{
	const struct fault *f;

	vec_each (f, &health->faults)
		fn(f->code, f->text, arg);
}

const struct patternwatch *health_patterns(struct health *health)
{
	patternwatch_look(&health->patterns);
	return &health->patterns;
}

/* ---- the report ---- */

static const char *severity(enum status_level level)
{
	static const char *const names[] = {
		[STATUS_LEVEL_INFO] = "info",
		[STATUS_LEVEL_WARNING] = "warning",
		[STATUS_LEVEL_PARTIAL] = "warning",
		[STATUS_LEVEL_NONE] = "critical",
	};

	return names[level];
}

/* Worst first, and in the order of the checks among equals. */
static size_t place(const struct report *r, enum status_level level)
{
	size_t i;

	for (i = 0; i < r->levels.len; i++)
		if (r->levels.items[i] < (int)level)
			break;
	return i;
}

void health_issue_at(struct report *r, enum status_level level,
		     enum status_code code, const char *part, const char *fmt,
		     ...)
{
	enum status_field field = status_field(code);
	size_t at = place(r, level), i;
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	json_array_insert_new(
		r->issues, at,
		json_pack("{s:i, s:s, s:s, s:s, s:o, s:s}", "code", (int)code,
			  "name", status_name(code), "severity",
			  severity(level), "part", part, "text",
			  jsontext_new(text), "action", status_action(code)));
	vec_push(&r->levels, 0);
	for (i = r->levels.len - 1; i > at; i--)
		r->levels.items[i] = r->levels.items[i - 1];
	r->levels.items[at] = (int)level;
	if (level > r->worst)
		r->worst = level;
	if (level > STATUS_LEVEL_INFO && level > r->field_level[field]) {
		r->field[field] = code;
		r->field_level[field] = level;
	}
}

static const char *overall(const struct report *r)
{
	switch (r->worst) {
	case STATUS_LEVEL_NONE:
		return "Unprotected";
	case STATUS_LEVEL_PARTIAL:
		return "Partially protected";
	default:
		return "Protected";
	}
}

static const char *operational(const struct report *r)
{
	if (r->field[STATUS_FIELD_ANTIMALWARE] == STATUS_STOPPED)
		return "Stopped";
	if (r->field[STATUS_FIELD_KERNEL] == STATUS_LOCKED)
		return "Kernel Module Locked";
	if (r->field[STATUS_FIELD_KERNEL] == STATUS_MODULE_PASSIVE)
		return "Unload pending";
	return r->degraded ? "Degraded" : "Functional";
}

static json_t *member(json_t *state, const char *name, json_t *otherwise)
{
	json_t *value = json_object_get(state, name);

	if (!value)
		return otherwise;
	json_decref(otherwise);
	return json_incref(value);
}

static json_t *patterns_json(json_t *state)
{
	return json_pack("{s:o, s:o, s:o, s:o, s:o}", "generation",
			 member(state, "generation", json_integer(0)),
			 "signatures",
			 member(state, "signatures", json_integer(0)), "engine",
			 member(state, "engine", json_null()), "builtin_only",
			 member(state, "builtin_only", json_null()), "time",
			 member(state, "pattern_time", json_integer(0)));
}

static json_t *settings_json(struct core *core)
{
	const char *broken = settings_broken(core->settings);

	return json_pack("{s:s, s:I, s:o}", "origin",
			 settings_origin(core->settings), "policy_generation",
			 (json_int_t)atomic_load(&core->sb->policy_generation),
			 "broken", broken ? jsontext_new(broken) : json_null());
}

static json_t *classes_json(struct core *core)
{
	int64_t classes = core_conf(core)->realtime_scan;

	return json_pack("{s:b, s:b, s:b}", "incoming",
			 (int)(classes & CONF_CLASS_INCOMING), "outgoing",
			 (int)(classes & CONF_CLASS_OUTGOING), "running",
			 (int)(classes & CONF_CLASS_RUNNING));
}

static void add_fields(json_t *data, const struct report *r)
{
	static const char *const names[STATUS_FIELDS] = {
		[STATUS_FIELD_GENERAL] = "generalStatus",
		[STATUS_FIELD_ANTIMALWARE] = "antimalwareStatus",
		[STATUS_FIELD_KERNEL] = "kernelStatus",
		[STATUS_FIELD_PATTERN] = "patternStatus",
		[STATUS_FIELD_NETWORK] = "networkStatus",
		[STATUS_FIELD_CONSOLE] = "consoleStatus",
	};
	int i;

	for (i = 0; i < STATUS_FIELDS; i++)
		json_object_set_new(data, names[i], json_integer(r->field[i]));
}

static json_t *find_conflicts(void)
{
	json_t *all = conflicts_json(false), *found = json_array(), *c;
	const char *effect, *name;
	size_t i;

	json_array_foreach (json_object_get(all, "conflicts"), i, c) {
		effect = json_string_value(json_object_get(c, "effect"));
		name = json_string_value(json_object_get(c, "service"));
		if (!name)
			name = json_string_value(json_object_get(c, "module"));
		/* What the list alone names may be another program. */
		if (strncmp(effect, "blocks", 6) == 0)
			json_array_append_new(
				found,
				json_pack("{s:s*, s:s, s:O, s:O, s:s}", "name",
					  name, "effect", effect, "module",
					  json_object_get(c, "module"), "text",
					  json_object_get(c, "meaning"),
					  "action", "splxctl conflicts"));
	}
	json_decref(all);
	return found;
}

/* Who is in the way, seconds ago. New reference. */
static json_t *conflicts_of(struct health *health)
{
	uint64_t now = clock_mono_ns();

	if (!health->conflicts ||
	    now - health->conflicts_ns > CONFLICTS_FRESH_MS * CLOCK_NS_PER_MS) {
		json_decref(health->conflicts);
		health->conflicts = find_conflicts();
		health->conflicts_ns = now;
	}
	return json_incref(health->conflicts);
}

static void add_rest(struct core *core, json_t *data, const struct report *r)
{
	json_t *state = service_state(core);
	char host[256] = "";
	uint64_t age = clock_mono_ns() - core->sb->boot_ns;

	gethostname(host, sizeof(host) - 1);
	json_object_set(data, "health_issues", r->issues);
	json_object_set_new(data, "conflicting_applications",
			    conflicts_of(core->health));
	json_object_set_new(data, "interceptor",
			    json_string(health_interceptor(core)));
	json_object_set_new(data, "load_lock", modlock_json(core));
	json_object_set_new(data, "hook", member(state, "hook", json_null()));
	json_object_set_new(data, "classes", classes_json(core));
	json_object_set_new(data, "reasons",
			    member(state, "reasons", json_array()));
	json_object_set_new(data, "coverage",
			    member(state, "coverage", json_array()));
	json_object_set_new(data, "workers", health_workers(core));
	json_object_set_new(data, "patterns", patterns_json(state));
	json_object_set_new(data, "settings", settings_json(core));
	json_object_set_new(data, "processes", health_processes(core));
	json_object_set_new(data, "version", json_string(SPLX_VERSION));
	json_object_set_new(data, "host", jsontext_new(host));
	json_object_set_new(data, "time", json_integer(clock_real_ns()));
	json_object_set_new(data, "uptime_s",
			    json_integer((json_int_t)(age / CLOCK_NS_PER_S)));
}

json_t *health_json(struct core *core)
{
	struct report r = {.issues = json_array()};
	json_t *data = json_object();

	service_look(core);
	health_check(core, &r);
	json_object_set_new(data, "overall", json_string(overall(&r)));
	json_object_set_new(data, "operational", json_string(operational(&r)));
	json_object_set_new(data, "healthy",
			    json_boolean(r.worst == STATUS_LEVEL_INFO));
	add_fields(data, &r);
	add_rest(core, data, &r);
	json_decref(r.issues);
	vec_free(&r.levels);
	return data;
}

/* ---- the log ---- */

void health_watch(struct core *core)
{
	struct report r = {.issues = json_array()};
	json_t *codes = json_object();
	char *text;

	health_check(core, &r);
	add_fields(codes, &r);
	text = json_dumps(codes, JSON_SORT_KEYS);
	if (!core->health->told || strcmp(core->health->told, text) != 0)
		log_info("status overall=\"%s\" operational=\"%s\" codes=%s",
			 overall(&r), operational(&r), text);
	free(core->health->told);
	core->health->told = text;
	json_decref(codes);
	json_decref(r.issues);
	vec_free(&r.levels);
}

/* ---- verbs ---- */

void verb_status(struct core *core, struct ipc_call *call, json_t *args)
{
	(void)args;
	dispatch_reply(core, call, health_json(core));
}

void verb_health(struct core *core, struct ipc_call *call, json_t *args)
{
	const char *field = dispatch_arg(args, "field");
	json_t *data = health_json(core), *value;

	if (!field) {
		dispatch_reply(core, call, data);
		return;
	}
	value = json_object_get(data, field);
	if (value)
		dispatch_reply(core, call,
			       json_pack("{s:s, s:O, s:O}", "field", field,
					 "value", value, "healthy",
					 json_object_get(data, "healthy")));
	else
		dispatch_fail(core, call, "not_found",
			      "%s: health has no such field", field);
	json_decref(data);
}
