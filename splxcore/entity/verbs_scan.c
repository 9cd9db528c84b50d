/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/* scan.*; what they answer is told in scans.h. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/schedules.h"
#include "common/verbs.h"
#include "common/verdict.h"
#include "dispatch.h"
#include "lib/alloc.h"
#include "lib/clock.h"
#include "lib/str.h"
#include "scans.h"
#include "store.h"

#define LIST_DEFAULT 50
#define LIST_MAX 1000
#define FINDINGS_DEFAULT 1000
#define FINDINGS_MAX 10000
/* How often what a scan tells is written. */
#define SAVE_NS (3 * CLOCK_NS_PER_S)

static const char *code_of(const struct err *err)
{
	switch (err->code) {
	case ENOENT:
		return "not_found";
	case EBUSY:
		return "conflict";
	case EINVAL:
		return "invalid";
	case EPERM:
		return "denied";
	default:
		return "unavailable";
	}
}

static int read_id(json_t *args, const char *name, int64_t *id_r,
		   struct err *err)
{
	long long id;

	if (dispatch_arg_i64(args, name, 0, 1, INT64_MAX, &id, err) < 0) {
		err->code = EINVAL;
		return -1;
	}
	*id_r = id;
	return 0;
}

static bool is_admin(struct core *core, const struct ipc_call *call)
{
	return dispatch_role(core, call) == VERB_ADMIN;
}

/* ---- begin ---- */

static int check_spec(json_t *args, struct err *err)
{
	static const char *const actions[] = {"action", "second"};
	const char *name = dispatch_arg(args, "schedule");
	const char *word = dispatch_arg(args, "source");
	char path[PATH_MAX];
	json_t *item;
	size_t i;

	if (name && !scan_name_valid(name))
		return err_set(err, EINVAL, "schedule");
	if (word && strcmp(word, "manual") != 0 &&
	    strcmp(word, "in-use") != 0 &&
	    !(name && strcmp(word, "scheduled") == 0))
		return err_set(err, EINVAL, "source");
	for (i = 0; i < 2; i++) {
		word = dispatch_arg(args, actions[i]);
		if (word && action_parse(word) < 0)
			return err_set(err, EINVAL, "%s", actions[i]);
	}
	json_array_foreach (json_object_get(args, "path"), i, item)
		if (scan_path_decode(json_string_value(item), path, err) < 0) {
			err->code = EINVAL;
			return -1;
		}
	return 0;
}

/* A scan that nobody has heard of. */
static struct scan *begin_new(struct core *core, const struct ipc_call *call,
			      json_t *args, struct err *err)
{
	const struct ipc_peer *peer = ipc_call_peer(call);
	struct scan *scan;

	if (check_spec(args, err) < 0)
		return NULL;
	if (dispatch_arg(args, "schedule")) {
		if (!is_admin(core, call)) {
			err_set(err, EPERM, "this needs the role admin");
			return NULL;
		}
		scan = scans_scheduled(core, args, peer->uid, err);
		return scan && scans_attach(scan, peer->pid, err) == 0 ? scan
								       : NULL;
	}
	scan = scan_new(core);
	scan->spec = json_copy(args);
	json_object_del(scan->spec, "job");
	scan->uid = peer->uid;
	return scans_attach(scan, peer->pid, err) == 0 ? scan : NULL;
}

/* One that stopped goes on, in this process. */
static struct scan *begin_again(struct core *core, const struct ipc_call *call,
				int64_t id, struct err *err)
{
	const struct ipc_peer *peer = ipc_call_peer(call);
	struct scan *scan = scans_get(core, id, err);
	bool allowed;

	if (!scan)
		return NULL;
	if (scan->proc.pid == peer->pid && scans_live(core, id))
		return scan;
	allowed = scan->uid == (int64_t)peer->uid || is_admin(core, call);
	if (!allowed)
		err_set(err, EPERM, "job %" PRId64 " is not yours", id);
	else if (scan->state != SCAN_INTERRUPTED)
		err_set(err, EBUSY, "job %" PRId64 " is %s", id,
			scan_state_name(scan->state));
	else if (strcmp(dispatch_arg(scan->spec, "source") ?: "", "in-use") ==
		 0)
		err_set(err, EBUSY, "job %" PRId64 " has no paths to go on in",
			id);
	else
		return scans_attach(scan, peer->pid, err) == 0 ? scan : NULL;
	scans_release(&scan);
	return NULL;
}

void verb_scan_begin(struct core *core, struct ipc_call *call, json_t *args)
{
	const struct ipc_peer *peer = ipc_call_peer(call);
	struct scan *scan = scans_of(core, peer->pid);
	struct err err = {0};
	int64_t id = 0;

	if (json_object_get(args, "job") &&
	    read_id(args, "job", &id, &err) < 0) {
		dispatch_fail(core, call, "invalid", "%s", err.text);
		return;
	}
	if (!scan && id)
		scan = begin_again(core, call, id, &err);
	else if (!scan)
		scan = begin_new(core, call, args, &err);
	if (!scan) {
		dispatch_fail(core, call, code_of(&err), "%s", err.text);
		return;
	}
	dispatch_reply(core, call,
		       json_pack("{s:i, s:I, s:O, s:s?}", "pid", (int)peer->pid,
				 "job", (json_int_t)scan->id, "spec",
				 scan->spec, "position", scan->position));
}

/* ---- progress and end ---- */

struct told {
	enum scan_state state;
	long long numbers[SCAN_NUMBERS];
	long long duration, all_files, all_bytes;
	const char *position; /* borrowed; NULL: none */
	const char *reason;
};

static int read_numbers(json_t *args, struct told *told, struct err *err)
{
	for (int i = 0; i < SCAN_NUMBERS; i++)
		if (dispatch_arg_i64(args,
				     scan_number_name((enum scan_number)i), 0,
				     0, INT64_MAX, &told->numbers[i], err) < 0)
			return -1;
	if (dispatch_arg_i64(args, "duration", 0, 0, INT64_MAX, &told->duration,
			     err) < 0 ||
	    dispatch_arg_i64(args, "all-files", 0, 0, INT64_MAX,
			     &told->all_files, err) < 0)
		return -1;
	return dispatch_arg_i64(args, "all-bytes", 0, 0, INT64_MAX,
				&told->all_bytes, err);
}

static int read_told(json_t *args, struct told *told, struct err *err)
{
	const char *state = dispatch_arg(args, "state");
	struct scan_position *pos;
	int rc = 0;

	memset(told, 0, sizeof(*told));
	rc = scan_state_parse(state ? state : "done");
	if (rc < 0)
		return err_set(err, 0, "state: %s", state);
	told->state = (enum scan_state)rc;
	told->position = dispatch_arg(args, "position");
	told->reason = dispatch_arg(args, "reason");
	if (read_numbers(args, told, err) < 0)
		return -1;
	if (!told->position)
		return 0;
	pos = xmalloc(sizeof(*pos));
	rc = scan_position_parse(told->position, pos, err);
	free(pos);
	return rc;
}

static void take(struct scan *scan, const struct told *told)
{
	for (int i = 0; i < SCAN_NUMBERS; i++)
		scan->now[i] = (uint64_t)told->numbers[i];
	scan->now_ms = (uint64_t)told->duration;
	if (told->all_files) {
		scan->all_files = (uint64_t)told->all_files;
		scan->all_bytes = (uint64_t)told->all_bytes;
	}
	if (told->position) {
		free(scan->position);
		scan->position = xstrdup(told->position);
	}
	scan->told = true;
}

/* The scan of whoever calls. NULL, and the call has failed, when there is none
 * or what it tells makes no sense. */
static struct scan *listen_to(struct core *core, struct ipc_call *call,
			      json_t *args, struct told *told)
{
	struct scan *scan = scans_of(core, ipc_call_peer(call)->pid);
	struct err err = {0};

	if (read_told(args, told, &err) < 0)
		dispatch_fail(core, call, "invalid", "%s", err.text);
	else if (!scan)
		dispatch_fail(core, call, "not_found",
			      "this process has not registered a scan");
	else
		return scan;
	return NULL;
}

void verb_scan_progress(struct core *core, struct ipc_call *call, json_t *args)
{
	struct told told;
	struct scan *scan = listen_to(core, call, args, &told);
	enum scan_state state;

	if (!scan)
		return;
	state = told.state == SCAN_PAUSED ? SCAN_PAUSED : SCAN_RUNNING;
	take(scan, &told);
	if (state != scan->state ||
	    clock_mono_ns() - scan->saved_ns >= SAVE_NS) {
		scan->state = state;
		scan_save(scan);
	}
	dispatch_reply(core, call,
		       json_pack("{s:I, s:s}", "job", (json_int_t)scan->id,
				 "order", scan_order_name(scan->order)));
}

void verb_scan_end(struct core *core, struct ipc_call *call, json_t *args)
{
	struct told told;
	struct scan *scan = listen_to(core, call, args, &told);

	if (!scan)
		return;
	if (told.state == SCAN_RUNNING || told.state == SCAN_PAUSED) {
		dispatch_fail(core, call, "invalid",
			      "state: interrupted, cancelled, done or failed");
		return;
	}
	take(scan, &told);
	scans_end(scan, told.state, told.reason);
	dispatch_reply(core, call, NULL);
}

void verb_scan_report(struct core *core, struct ipc_call *call, json_t *args)
{
	const char *error = dispatch_arg(args, "error");

	if (error)
		core_fault(core, STATUS_REPORT_FAILED, "%s", error);
	else
		core_well(core, STATUS_REPORT_FAILED);
	dispatch_reply(core, call, NULL);
}

/* ---- list, show ---- */

struct listing {
	struct core *core;
	json_t *ids;
	int64_t last;
};

static void add_id(const struct scan_row *row, void *arg)
{
	struct listing *l = arg;

	json_array_append_new(l->ids, json_integer(row->id));
	l->last = row->id;
}

static json_t *list_jobs(struct listing *l, bool live_only)
{
	json_t *jobs = json_array(), *id;
	struct scan *scan;
	size_t i;

	json_array_foreach (l->ids, i, id) {
		scan = scans_get(l->core, json_integer_value(id), NULL);
		if (scan && (!live_only || scans_live(l->core, scan->id)))
			json_array_append_new(jobs, scan_json(scan));
		scans_release(&scan);
	}
	return jobs;
}

void verb_scan_list(struct core *core, struct ipc_call *call, json_t *args)
{
	struct listing l = {.core = core};
	bool live = json_is_true(json_object_get(args, "live"));
	struct dispatch_page page = {.limit = LIST_DEFAULT, .max = LIST_MAX};
	struct err err = {0};
	json_t *jobs;
	int rc;

	if (!dispatch_page(core, call, args, "before", &page))
		return;
	l.ids = json_array();
	rc = live ? store_scans_alive(core->store, add_id, &l, &err)
		  : store_scans(core->store, NULL, page.from, (int)page.limit,
				add_id, &l, &err);
	jobs = list_jobs(&l, live);
	if (rc < 0)
		dispatch_fail(core, call, "unavailable", "%s", err.text);
	else
		dispatch_reply(
			core, call,
			json_pack("{s:O, s:o}", "jobs", jobs, "next",
				  !live && json_array_size(l.ids) ==
							  (size_t)page.limit
					  ? json_integer(l.last)
					  : json_null()));
	json_decref(jobs);
	json_decref(l.ids);
}

static void add_finding(json_t *event, void *arg)
{
	json_array_append(arg, event);
}

void verb_scan_show(struct core *core, struct ipc_call *call, json_t *args)
{
	json_t *findings = json_array();
	struct scan *scan = NULL;
	struct err err = {0};
	long long limit = 0;
	bool more = false;
	int64_t id;
	int rc = -1;

	if (read_id(args, "id", &id, &err) == 0) {
		rc = dispatch_arg_i64(args, "limit", FINDINGS_DEFAULT, 1,
				      FINDINGS_MAX, &limit, &err);
		err.code = EINVAL;
	}
	scan = rc == 0 ? scans_get(core, id, &err) : NULL;
	if (scan && store_scan_findings(core->store, id, (int)limit + 1,
					add_finding, findings, &err) == 0) {
		more = json_array_size(findings) > (size_t)limit;
		if (more)
			json_array_remove(findings, (size_t)limit);
		dispatch_reply(core, call,
			       json_pack("{s:o, s:O, s:b}", "job",
					 scan_json(scan), "findings", findings,
					 "more", more));
	} else {
		dispatch_fail(core, call, code_of(&err), "%s", err.text);
	}
	scans_release(&scan);
	json_decref(findings);
}

/* ---- in the background ---- */

/* Whether a file is another one afterwards, or is not there. */
static bool changes_files(const char *action)
{
	int a = action_parse(action);

	return a >= 0 && a != ACTION_DENY && a != ACTION_PASS &&
	       a != ACTION_NONE;
}

/*
 * What entity runs may read what its caller may not, so nobody but an
 * administrator chooses what is done to files there: others get what the
 * settings say. False, and the call has failed.
 */
static bool may_run(struct core *core, struct ipc_call *call, json_t *spec)
{
	const struct conf *conf = core_conf(core);
	const char *first = dispatch_arg(spec, "action") ?: "deny";
	const char *second = dispatch_arg(spec, "second") ?: "deny";

	if (is_admin(core, call) ||
	    (!changes_files(first) && !changes_files(second)) ||
	    dispatch_arg(spec, "schedule") ||
	    (action_parse(first) == conf_action(conf, "ManualFirstAction") &&
	     action_parse(second) == conf_action(conf, "ManualSecondAction")))
		return true;
	dispatch_fail(core, call, "denied",
		      "%s, in the background, needs the role admin; without "
		      "--action it is as ManualFirstAction says",
		      first);
	return false;
}

static void answer_start(struct core *core, struct ipc_call *call,
			 struct scan *scan)
{
	struct err err;

	if (scans_start(scan, &err) < 0)
		dispatch_fail(core, call, "failed", "%s", err.text);
	else
		dispatch_reply(core, call, scan_json(scan));
}

static int start_paths(json_t *args, json_t *spec, struct err *err)
{
	json_t *list = json_array(), *item;
	size_t i;

	json_object_set_new(spec, "path", list);
	json_array_foreach (json_object_get(args, "path"), i, item) {
		const char *path = json_string_value(item);
		char *word;

		if (*path != '/' || strlen(path) >= PATH_MAX)
			return err_set(err, EINVAL, "%s: a full path is wanted",
				       path);
		word = scan_path_encode(path);
		json_array_append_new(list, json_string(word));
		free(word);
	}
	return 0;
}

static int start_spec(struct core *core, json_t *args, json_t *spec,
		      struct err *err)
{
	static const char *const flags[] = {"all", "no-exclusions", "stay"};
	const struct conf *conf = core_conf(core);
	const char *action = dispatch_arg(args, "action");
	int first = conf_action(conf, "ManualFirstAction");
	int second = conf_action(conf, "ManualSecondAction");

	if (action) {
		first = action_parse(action);
		if (first < 0)
			return err_set(err, EINVAL,
				       "action: clean, quarantine, delete, "
				       "rename, deny, pass or none, not %s",
				       action);
		if (first == ACTION_NONE)
			second = ACTION_NONE;
	}
	json_object_set_new(spec, "source", json_string("manual"));
	json_object_set_new(spec, "action",
			    json_string(action_name((enum action)first)));
	json_object_set_new(spec, "second",
			    json_string(action_name((enum action)second)));
	for (size_t i = 0; i < sizeof(flags) / sizeof(*flags); i++)
		if (json_is_true(json_object_get(args, flags[i])))
			json_object_set_new(spec, flags[i], json_true());
	return start_paths(args, spec, err);
}

static void start_schedule(struct core *core, struct ipc_call *call,
			   const char *name)
{
	struct schedules *list = schedules_read();
	const struct schedule *s = schedules_find(list, name);
	struct scan *scan = NULL;
	struct err err;
	json_t *spec;

	err_set(&err, ENOENT, "schedule %s", name);
	if (s) {
		spec = schedule_spec(s, core_conf(core));
		scan = scans_scheduled(core, spec, ipc_call_peer(call)->uid,
				       &err);
		json_decref(spec);
	}
	schedules_free(&list);
	if (scan)
		answer_start(core, call, scan);
	else
		dispatch_fail(core, call, code_of(&err), "%s", err.text);
}

void verb_scan_start(struct core *core, struct ipc_call *call, json_t *args)
{
	const char *schedule = dispatch_arg(args, "schedule");
	bool paths = json_object_get(args, "path") != NULL;
	struct scan *scan;
	json_t *spec;
	struct err err = {0};

	if (paths == (schedule != NULL)) {
		dispatch_fail(core, call, "invalid",
			      "either paths or --schedule=NAME is wanted");
		return;
	}
	if (schedule) {
		start_schedule(core, call, schedule);
		return;
	}
	spec = json_object();
	if (start_spec(core, args, spec, &err) < 0) {
		dispatch_fail(core, call, code_of(&err), "%s", err.text);
		json_decref(spec);
		return;
	}
	if (!may_run(core, call, spec)) {
		json_decref(spec);
		return;
	}
	scan = scan_new(core);
	scan->spec = spec;
	scan->uid = ipc_call_peer(call)->uid;
	answer_start(core, call, scan);
}

/* ---- orders ---- */

/* NULL, and the call has failed, when there is none of that number. */
static struct scan *find(struct core *core, struct ipc_call *call, json_t *args)
{
	struct scan *scan = NULL;
	struct err err = {0};
	int64_t id;

	if (read_id(args, "id", &id, &err) == 0)
		scan = scans_get(core, id, &err);
	if (!scan)
		dispatch_fail(core, call, code_of(&err), "%s", err.text);
	return scan;
}

static void order(struct core *core, struct ipc_call *call, struct scan *scan,
		  enum scan_order what)
{
	scan->order = what;
	dispatch_reply(core, call, scan_json(scan));
}

static void refuse(struct core *core, struct ipc_call *call, struct scan *scan)
{
	dispatch_fail(core, call, "conflict", "job %" PRId64 " is %s", scan->id,
		      scan_state_name(scan->state));
	scans_release(&scan);
}

void verb_scan_pause(struct core *core, struct ipc_call *call, json_t *args)
{
	struct scan *scan = find(core, call, args);

	if (!scan)
		return;
	if (scans_live(core, scan->id) && scan->order != SCAN_CANCEL)
		order(core, call, scan, SCAN_PAUSE);
	else
		refuse(core, call, scan);
}

void verb_scan_resume(struct core *core, struct ipc_call *call, json_t *args)
{
	struct scan *scan = find(core, call, args);

	if (!scan)
		return;
	if (scans_live(core, scan->id) && scan->order != SCAN_CANCEL)
		order(core, call, scan, SCAN_GO);
	else if (scan->state != SCAN_INTERRUPTED ||
		 !json_object_get(scan->spec, "path"))
		refuse(core, call, scan);
	else if (may_run(core, call, scan->spec))
		answer_start(core, call, scan);
	else
		scans_release(&scan);
}

void verb_scan_cancel(struct core *core, struct ipc_call *call, json_t *args)
{
	struct scan *scan = find(core, call, args);
	json_t *job;

	if (!scan)
		return;
	if (scans_live(core, scan->id)) {
		order(core, call, scan, SCAN_CANCEL);
	} else if (scan->state == SCAN_INTERRUPTED) {
		scan->state = SCAN_CANCELLED;
		job = scan_json(scan);
		scans_end(scan, SCAN_CANCELLED, "cancelled");
		dispatch_reply(core, call, job);
	} else {
		refuse(core, call, scan);
	}
}
