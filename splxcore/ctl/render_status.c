/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/codes.h"
#include "common/jsontext.h"
#include "common/khm_json.h"
#include "common/paths.h"
#include "common/version.h"
#include "lib/clock.h"
#include "lib/proc.h"
#include "output.h"
#include "render.h"
#include "service.h"

#define CONTROL_MS 2000

static const char *text_of(json_t *data, const char *path)
{
	const char *s = json_string_value(output_member(data, path));

	return s ? s : "";
}

static json_int_t number_of(json_t *data, const char *path)
{
	return json_integer_value(output_member(data, path));
}

/* ---- without entity ---- */

/* What is known of the service when entity keeps silent. */
struct silence {
	enum status_code code;
	const char *overall;
	const char *operational;
	const char *action; /* what to do */
	char message[256];
	char module[256];  /* why the kernel module is still there; "" */
	json_t *processes; /* or NULL */
};

/* "abc, xyz": the modules that keep ours from leaving, as root sees them. */
static void add_holders(struct str *b)
{
	json_t *rivals = khm_rivals_json(), *r;
	const char *between = "held by ";
	size_t i;

	json_array_foreach (rivals, i, r) {
		if (strcmp(text_of(r, "effect"), "blocks-unload") != 0)
			continue;
		str_addf(b, "%s%s", between, text_of(r, "module"));
		between = ", ";
	}
	if (!b->len)
		str_add(b, geteuid() == 0 ? "nobody holds it any more"
					  : "who holds it only root sees");
	json_decref(rivals);
}

/* A module that could not be unloaded when the service stopped. */
static void judge_module(struct silence *s)
{
	json_t *module = khm_status_json();
	struct str b = {0};

	if (strcmp(text_of(module, "status.state"), "passive") == 0) {
		add_holders(&b);
		s->operational = "Unload pending";
		snprintf(s->module, sizeof(s->module),
			 "the kernel module stays loaded and lets all pass, %s",
			 str_get(&b));
	}
	str_free(&b);
	json_decref(module);
}

static void judge_stopped(struct silence *s, pid_t pid)
{
	s->code = STATUS_STOPPED;
	s->overall = "Unprotected";
	s->operational = "Stopped";
	s->action = "service splx start";
	if (pid > 0)
		snprintf(s->message, sizeof(s->message),
			 "splx is dead (pid %d in its pid file is gone)",
			 (int)pid);
	else
		snprintf(s->message, sizeof(s->message), "splx is not running");
	judge_module(s);
}

/* The supervisor told its processes. */
static void judge_processes(struct silence *s)
{
	const char *entity = service_state(s->processes, "entity");
	const char *vsapiapp = service_state(s->processes, "vsapiapp");
	bool scanning = strcmp(vsapiapp, "running") == 0;
	bool stalled = strcmp(vsapiapp, "stalled") == 0;

	s->code =
		strcmp(entity, "running") == 0 || strcmp(entity, "stalled") == 0
			? STATUS_ENTITY_STALLED
			: STATUS_ENTITY_GONE;
	s->overall = scanning ? "Partially protected" : "Unprotected";
	s->operational = "Degraded";
	s->action = "wait a moment; if it stays so: service splx restart";
	snprintf(s->message, sizeof(s->message),
		 "entity does not answer (%s); %s", *entity ? entity : "?",
		 scanning  ? "scanning goes on, findings wait"
		 : stalled ? "nor does vsapiapp's master; its workers may go on"
			   : "nothing is scanned");
}

static void learn(struct silence *s)
{
	struct err err = {0};
	pid_t pid = 0;

	memset(s, 0, sizeof(*s));
	s->processes = service_processes(CONTROL_MS, &err);
	if (s->processes) {
		judge_processes(s);
		return;
	}
	if (proc_pidfile_check(paths()->pid_file, &pid, NULL) != 1) {
		judge_stopped(s, pid);
		return;
	}
	s->code = STATUS_ENTITY_STALLED;
	s->overall = "Unprotected";
	s->operational = "Degraded";
	s->action = geteuid() == 0 ? "splxctl diagnose, service splx restart"
				   : "ask root: splxctl service status";
	snprintf(s->message, sizeof(s->message),
		 "splx runs (pid %d) but does not answer", (int)pid);
}

static json_t *issue_json(enum status_code code, const char *severity,
			  const char *part, const char *text,
			  const char *action)
{
	return json_pack("{s:i, s:s, s:s, s:s, s:s, s:s}", "code", (int)code,
			 "name", status_name(code), "severity", severity,
			 "part", part, "text", text, "action", action);
}

json_t *status_without_entity(const char *why)
{
	char host[256] = "";
	struct silence s;
	json_t *o, *issues = json_array();

	learn(&s);
	gethostname(host, sizeof(host) - 1);
	json_array_append_new(issues, issue_json(s.code, "critical", "entity",
						 s.message, s.action));
	if (*s.module)
		json_array_append_new(
			issues,
			issue_json(STATUS_MODULE_PASSIVE, "warning",
				   "interceptor", s.module,
				   "splxctl conflicts; when it is gone: "
				   "splxctl module unload"));
	o = json_pack("{s:s, s:s, s:b, s:b, s:i, s:i, s:o, s:o}", "overall",
		      s.overall, "operational", s.operational, "healthy", 0,
		      "reachable", 0, "generalStatus", (int)s.code,
		      "kernelStatus",
		      (int)(*s.module ? STATUS_MODULE_PASSIVE : STATUS_OK),
		      "health_issues", issues, "processes",
		      s.processes ? s.processes : json_array());
	json_object_set_new(o, "message", jsontext_new(why));
	json_object_set_new(o, "version", json_string(SPLX_VERSION));
	json_object_set_new(o, "host", jsontext_new(host));
	json_object_set_new(o, "time", json_integer(clock_real_ns()));
	return o;
}

bool status_is_stopped(void)
{
	pid_t pid;

	return proc_pidfile_check(paths()->pid_file, &pid, NULL) != 1;
}

void status_complain(const struct err *why)
{
	struct silence s;

	learn(&s);
	if (s.code == STATUS_STOPPED)
		ctl_complain("%s: %s", s.message, s.action);
	else
		ctl_complain("%s: %s (%s)", s.message, s.action, why->text);
	json_decref(s.processes);
}

/* ---- status ---- */

static void line(const char *title, enum output_colour colour, const char *text)
{
	output_title(stdout, title, 12);
	output_colour(stdout, colour, text);
	fputc('\n', stdout);
}

static void add_value(struct str *b, json_t *data, const char *path,
		      enum output_format format)
{
	output_value(b, output_member(data, path), format);
}

static enum output_colour overall_colour(const char *overall)
{
	if (strcmp(overall, "Protected") == 0)
		return OUTPUT_GREEN;
	return strcmp(overall, "Unprotected") == 0 ? OUTPUT_RED : OUTPUT_YELLOW;
}

static void show_interceptor(json_t *data)
{
	static const char *const names[] = {"incoming", "outgoing", "running"};
	const char *between = " (";
	struct str b = {0};
	char path[32];
	size_t i;

	add_value(&b, data, "interceptor", OUTPUT_TEXT);
	if (*text_of(data, "hook.method"))
		str_addf(&b, T(" by %s"), text_of(data, "hook.method"));
	for (i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "classes.%s", names[i]);
		if (!json_is_true(output_member(data, path)))
			continue;
		str_addf(&b, "%s%s", between, T(names[i]));
		between = ", ";
	}
	if (strcmp(between, ", ") == 0)
		str_add(&b, ")");
	if (b.len)
		line("Interceptor:", OUTPUT_PLAIN, str_get(&b));
	str_free(&b);
}

static void show_patterns(json_t *data)
{
	long long n = number_of(data, "patterns.signatures");
	struct str b = {0}, time = {0}, engine = {0};

	/* Before vsapiapp has loaded any there is no engine to name. */
	if (!*text_of(data, "patterns.engine"))
		return;
	add_value(&time, data, "patterns.time", OUTPUT_TIME);
	add_value(&engine, data, "patterns.engine", OUTPUT_TEXT);
	if (json_is_true(output_member(data, "patterns.builtin_only")))
		str_addf(&b,
			 T("%lld signatures, built-in test signatures only, "
			   "engine %s"),
			 n, str_get(&engine));
	else if (time.len)
		str_addf(&b, T("%lld signatures of %s, engine %s"), n,
			 str_get(&time), str_get(&engine));
	else
		str_addf(&b, T("%lld signatures, engine %s"), n,
			 str_get(&engine));
	line("Patterns:", OUTPUT_PLAIN, str_get(&b));
	str_free(&b);
	str_free(&time);
	str_free(&engine);
}

static void show_workers(json_t *data)
{
	struct str b = {0};

	if (!json_object_get(data, "workers"))
		return;
	str_addf(&b, T("%lld of %lld, %lld busy"),
		 (long long)(number_of(data, "workers.front") +
			     number_of(data, "workers.back")),
		 (long long)number_of(data, "workers.wanted"),
		 (long long)number_of(data, "workers.busy"));
	line("Workers:", OUTPUT_PLAIN, str_get(&b));
	str_free(&b);
}

static void show_coverage(json_t *data)
{
	json_t *list = json_object_get(data, "coverage"), *o;
	size_t i, covered = 0, n = json_array_size(list);
	struct str b = {0};

	if (!list)
		return;
	json_array_foreach (list, i, o)
		covered += json_is_true(json_object_get(o, "covered"));
	str_addf(&b, T("%zu file systems"), covered);
	if (n > covered)
		str_addf(&b, T(", %zu not covered (splxctl health)"),
			 n - covered);
	line("Coverage:", OUTPUT_PLAIN, str_get(&b));
	str_free(&b);
}

static void show_settings(json_t *data)
{
	struct str b = {0};

	if (strcmp(text_of(data, "settings.origin"), "last-good") == 0)
		line("Settings:", OUTPUT_YELLOW,
		     T("the last good ones, the file is broken"));
	add_value(&b, data, "uptime_s", OUTPUT_S);
	if (b.len)
		line("Up for:", OUTPUT_PLAIN, str_get(&b));
	str_free(&b);
}

static void show_issues(json_t *data)
{
	json_t *list = json_object_get(data, "health_issues"), *o;
	struct str b = {0};
	size_t i;

	if (json_array_size(list) > 0)
		puts("");
	json_array_foreach (list, i, o) {
		const char *severity = text_of(o, "severity");

		output_colour(stdout,
			      strcmp(severity, "critical") == 0	 ? OUTPUT_RED
			      : strcmp(severity, "warning") == 0 ? OUTPUT_YELLOW
								 : OUTPUT_PLAIN,
			      T(*severity ? severity : "issue"));
		str_clear(&b);
		str_add(&b, ": ");
		output_value(&b,
			     json_is_object(o) ? output_member(o, "text") : o,
			     OUTPUT_SAID);
		if (*text_of(o, "action")) {
			str_add(&b, "\n    ");
			add_value(&b, o, "action", OUTPUT_SAID);
		}
		puts(str_get(&b));
	}
	str_free(&b);
}

static void status_render(json_t *data)
{
	struct str b = {0};

	add_value(&b, data, "overall", OUTPUT_WORD);
	line("Protection:", overall_colour(text_of(data, "overall")),
	     str_get(&b));
	str_clear(&b);
	add_value(&b, data, "operational", OUTPUT_WORD);
	line("Operation:", OUTPUT_PLAIN, str_get(&b));
	str_free(&b);
	show_interceptor(data);
	show_patterns(data);
	show_workers(data);
	show_coverage(data);
	show_settings(data);
	if (json_array_size(json_object_get(data, "processes")) > 0) {
		puts("");
		service_show(json_object_get(data, "processes"));
	}
	show_issues(data);
}

/*
 * Asks; without an answer *data_r is what can be told nevertheless, and it is
 * said on standard error too unless `told`: the table says it.
 */
static int ask(struct ctl *ctl, bool told, json_t **data_r)
{
	json_t *none = json_object();
	struct err err = {0};
	int rc = ctl_call(ctl, ctl->verb->noun, none, data_r, &err);

	json_decref(none);
	if (rc == CTL_UNREACHABLE) {
		if (!told)
			status_complain(&err);
		*data_r = status_without_entity(err.text);
	} else if (rc != CTL_OK) {
		ctl_complain("%s", err.text);
	}
	return rc;
}

int status_run(struct ctl *ctl)
{
	json_t *data;
	int rc = ask(ctl, ctl->output == CTL_TABLE, &data);

	if (data && ctl->output == CTL_JSON)
		output_json(stdout, data);
	else if (data)
		status_render(data);
	if (rc == CTL_OK && strcmp(text_of(data, "overall"), "Protected") != 0)
		rc = CTL_NO;
	json_decref(data);
	return rc;
}

/* ---- health ---- */

/* A value alone, for scripts: a text as it is, anything else as JSON. */
static int print_field(struct ctl *ctl, json_t *data, const char *field)
{
	json_t *value = output_member(data, field);
	struct str b = {0};
	const char *name;
	json_t *member;

	if (!value) {
		json_object_foreach (data, name, member)
			str_addf(&b, " %s", name);
		ctl_complain("there is no field %s; fields:%s", field,
			     str_get(&b));
		str_free(&b);
		return -1;
	}
	if (json_is_string(value) && ctl->output == CTL_TABLE) {
		output_value(&b, value, OUTPUT_TEXT);
		puts(str_get(&b));
		str_free(&b);
	} else {
		output_json_line(stdout, value);
	}
	return 0;
}

int health_run(struct ctl *ctl)
{
	const char *field = ctl_arg(ctl, "field");
	json_t *data;
	int rc = ask(ctl, ctl->output == CTL_TABLE && !field, &data);

	if (!data)
		return rc;
	if (rc == CTL_OK && !json_is_true(json_object_get(data, "healthy")))
		rc = CTL_NO;
	if (field) {
		if (print_field(ctl, data, field) < 0 && rc < CTL_ERROR)
			rc = CTL_ERROR;
	} else if (ctl->output == CTL_JSON) {
		output_json(stdout, data);
	} else {
		health_render(data);
	}
	json_decref(data);
	return rc;
}
