/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "scans.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/jsontext.h"
#include "dispatch.h"
#include "lib/alloc.h"
#include "lib/clock.h"
#include "lib/fdutil.h"
#include "lib/log.h"
#include "lib/str.h"
#include "lib/vec.h"
#include "store.h"

struct scans {
	char boot[40]; /* pids of another boot mean nothing */
	struct {
		VEC(struct scan *);
	} live;
};

/* ---- one of them ---- */

struct scan *scan_new(struct core *core)
{
	struct scan *scan = xcalloc(1, sizeof(*scan));

	scan->core = core;
	scan->pidfd = -1;
	return scan;
}

static void scan_free(struct scan *scan)
{
	loop_cancel(&scan->exit_event);
	fd_close(&scan->pidfd);
	json_decref(scan->spec);
	free(scan->position);
	free(scan->reason);
	free(scan);
}

static bool is_live(const struct scan *scan)
{
	const struct scans *s = scan->core->scans;

	for (size_t i = 0; i < s->live.len; i++)
		if (s->live.items[i] == scan)
			return true;
	return false;
}

void scans_release(struct scan **scan)
{
	if (*scan && !is_live(*scan))
		scan_free(*scan);
	*scan = NULL;
}

/* ---- in the store ---- */

static json_t *numbers_json(const uint64_t *numbers)
{
	json_t *o = json_object();

	for (int i = 0; i < SCAN_NUMBERS; i++)
		json_object_set_new(o, scan_number_name((enum scan_number)i),
				    json_integer((json_int_t)numbers[i]));
	return o;
}

static void numbers_read(json_t *o, uint64_t *numbers)
{
	for (int i = 0; i < SCAN_NUMBERS; i++)
		numbers[i] = (uint64_t)json_integer_value(json_object_get(
			o, scan_number_name((enum scan_number)i)));
}

static char *scan_text(const struct scan *scan)
{
	json_t *o = json_pack(
		"{s:O, s:I, s:I, s:i, s:o, s:o, s:I, s:I, s:I, s:I, s:b, s:i, "
		"s:I, s:s, s:s*, s:o*}",
		"spec", scan->spec, "uid", (json_int_t)scan->uid, "ended",
		(json_int_t)scan->ended_ns, "runs", (int)scan->runs, "before",
		numbers_json(scan->before), "now", numbers_json(scan->now),
		"before_ms", (json_int_t)scan->before_ms, "now_ms",
		(json_int_t)scan->now_ms, "all_files",
		(json_int_t)scan->all_files, "all_bytes",
		(json_int_t)scan->all_bytes, "background", scan->background,
		"pid", (int)scan->proc.pid, "start",
		(json_int_t)scan->proc.start, "boot", scan->core->scans->boot,
		"position", scan->position, "reason",
		scan->reason ? jsontext_new(scan->reason) : NULL);
	char *text = json_dumps(o, JSON_COMPACT);

	json_decref(o);
	return text ? text : xstrdup("{}");
}

void scan_save(struct scan *scan)
{
	struct scan_row row = {
		.id = scan->id,
		.state = scan->state,
		.name = scan->name,
		.begun_ns = scan->begun_ns,
	};
	struct err err;
	char *text;

	scan->saved_ns = clock_mono_ns();
	scan->told = false;
	if (!scan->id)
		return;
	text = scan_text(scan);
	row.data = text;
	/* The store tells health. */
	if (store_scan_save(scan->core->store, &row, &err) < 0)
		log_debug("job %lld: %s", (long long)scan->id, err.text);
	free(text);
}

int scans_add(struct scan *scan, struct err *err)
{
	struct scan_row row = {.state = scan->state, .name = scan->name};
	char *text;
	int rc;

	scan->begun_ns = row.begun_ns = clock_real_ns();
	scan->saved_ns = clock_mono_ns();
	text = scan_text(scan);
	row.data = text;
	rc = store_scan_add(scan->core->store, &row, err);
	if (rc == 0)
		scan->id = row.id;
	free(text);
	return rc;
}

static char *text_of(json_t *o, const char *key)
{
	const char *text = json_string_value(json_object_get(o, key));

	return text ? xstrdup(text) : NULL;
}

static uint64_t number_of(json_t *o, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(o, key));
}

struct loading {
	struct core *core;
	struct {
		VEC(struct scan *);
	} found;
};

static void load(const struct scan_row *row, void *arg)
{
	struct loading *l = arg;
	json_t *o = json_loads(row->data, 0, NULL);
	struct scan *scan = scan_new(l->core);
	const char *boot = json_string_value(json_object_get(o, "boot"));

	scan->id = row->id;
	if (row->state >= 0 && row->state < SCAN_STATES)
		scan->state = (enum scan_state)row->state;
	str_copy(scan->name, sizeof(scan->name), row->name);
	scan->begun_ns = row->begun_ns;
	scan->spec = json_object_get(o, "spec");
	scan->spec = scan->spec ? json_incref(scan->spec) : json_object();
	scan->uid = (int64_t)number_of(o, "uid");
	scan->ended_ns = (int64_t)number_of(o, "ended");
	scan->runs = (unsigned int)number_of(o, "runs");
	numbers_read(json_object_get(o, "before"), scan->before);
	numbers_read(json_object_get(o, "now"), scan->now);
	scan->before_ms = number_of(o, "before_ms");
	scan->now_ms = number_of(o, "now_ms");
	scan->all_files = number_of(o, "all_files");
	scan->all_bytes = number_of(o, "all_bytes");
	scan->background = json_is_true(json_object_get(o, "background"));
	if (boot && strcmp(boot, l->core->scans->boot) == 0) {
		scan->proc.pid = (pid_t)number_of(o, "pid");
		scan->proc.start = number_of(o, "start");
	}
	scan->position = text_of(o, "position");
	scan->reason = text_of(o, "reason");
	json_decref(o);
	vec_push(&l->found, scan);
}

/* The one that was found; others there are none. */
static struct scan *loaded(struct loading *l)
{
	struct scan *scan = l->found.len ? l->found.items[0] : NULL;

	vec_free(&l->found);
	return scan;
}

struct scan *scans_live(const struct core *core, int64_t id)
{
	const struct scans *s = core->scans;

	for (size_t i = 0; id && i < s->live.len; i++)
		if (s->live.items[i]->id == id)
			return s->live.items[i];
	return NULL;
}

struct scan *scans_of(const struct core *core, pid_t pid)
{
	const struct scans *s = core->scans;

	for (size_t i = 0; s && i < s->live.len; i++)
		if (s->live.items[i]->proc.pid == pid)
			return s->live.items[i];
	return NULL;
}

bool scans_has(const struct core *core, pid_t pid)
{
	return scans_of(core, pid) != NULL;
}

struct scan *scans_get(struct core *core, int64_t id, struct err *err)
{
	struct loading l = {.core = core};
	struct scan *scan = scans_live(core, id);
	int rc;

	if (scan)
		return scan;
	rc = store_scan_get(core->store, id, load, &l, err);
	if (rc == 0)
		err_set(err, ENOENT, "job %lld", (long long)id);
	return loaded(&l);
}

struct scan *scans_last(struct core *core, const char *name, struct err *err)
{
	struct loading l = {.core = core};
	struct scan *scan, *live;
	int rc = store_scans(core->store, name, 0, 1, load, &l, err);

	scan = loaded(&l);
	if (rc == 0 && !scan)
		err_set(err, ENOENT, "%s has not run yet", name);
	live = scan ? scans_live(core, scan->id) : NULL;
	if (live)
		scans_release(&scan);
	return live ? live : scan;
}

/* ---- events ---- */

static const char *source_of(const struct scan *scan)
{
	const char *source =
		json_string_value(json_object_get(scan->spec, "source"));

	return source ? source : "manual";
}

static uint64_t total(const struct scan *scan, enum scan_number n)
{
	return scan->before[n] + scan->now[n];
}

static json_int_t duration_ms(const struct scan *scan)
{
	uint64_t ms = scan->before_ms + scan->now_ms;

	return (json_int_t)ms;
}

static void add_event(const struct scan *scan, const char *state)
{
	json_t *cols = json_pack(
		"{s:I, s:s, s:s, s:s, s:o*}", "job", (json_int_t)scan->id,
		"state", state, "name", scan->name, "source", source_of(scan),
		"reason", scan->reason ? jsontext_new(scan->reason) : NULL);
	static const enum scan_number shown[] = {SCAN_FILES, SCAN_INFECTED,
						 SCAN_ERRORS, SCAN_BYTES};
	bool begins = !strcmp(state, "begun") || !strcmp(state, "resumed");

	for (size_t i = 0; !begins && i < sizeof(shown) / sizeof(*shown); i++)
		json_object_set_new(
			cols, scan_number_name(shown[i]),
			json_integer((json_int_t)total(scan, shown[i])));
	if (!begins)
		json_object_set_new(cols, "duration_ms",
				    json_integer(duration_ms(scan)));
	store_event(scan->core->store, EVENT_scan,
		    total(scan, SCAN_INFECTED) && !begins
			    ? EVENT_SEVERITY_MEDIUM
			    : EVENT_SEVERITY_INFO,
		    cols, "scan %s%s%s: %llu files, %llu infected", scan->name,
		    *scan->name ? " " : "", state,
		    (unsigned long long)total(scan, SCAN_FILES),
		    (unsigned long long)total(scan, SCAN_INFECTED));
}

/* ---- the life of its process ---- */

static void detach(struct scan *scan)
{
	struct scans *s = scan->core->scans;

	scoreboard_unexempt(scan->core->sb, scan->proc.pid);
	for (size_t i = 0; i < s->live.len; i++) {
		if (s->live.items[i] == scan) {
			vec_remove(&s->live, i);
			break;
		}
	}
}

void scans_end(struct scan *scan, enum scan_state state, const char *why)
{
	scan->state = state;
	scan->ended_ns = clock_real_ns();
	scan->order = SCAN_GO;
	free(scan->reason);
	scan->reason = why ? xstrdup(why) : NULL;
	if (is_live(scan))
		detach(scan);
	scan->proc.pid = 0;
	scan_save(scan);
	log_info("job %lld %s files=%llu infected=%llu", (long long)scan->id,
		 scan_state_name(state),
		 (unsigned long long)total(scan, SCAN_FILES),
		 (unsigned long long)total(scan, SCAN_INFECTED));
	add_event(scan, scan_state_name(state));
	scan_free(scan);
}

static void on_exit_event(int fd, int what, void *arg)
{
	struct scan *scan = arg;

	scans_end(scan,
		  scan->order == SCAN_CANCEL ? SCAN_CANCELLED
					     : SCAN_INTERRUPTED,
		  "its process ended");
}

/* Watches the process, which is exempt while it lives. */
static int watch(struct scan *scan, pid_t pid, struct err *err)
{
	struct core *core = scan->core;

	if (pid <= 1 || proc_identify(pid, &scan->proc) < 0 ||
	    (scan->pidfd = proc_pidfd(&scan->proc)) < 0)
		return err_set(err, ESRCH, "process %d", (int)pid);
	if (!scoreboard_exempt(core->sb, pid)) {
		scan->proc.pid = 0;
		return err_set(err, EAGAIN, "too many scanning clients");
	}
	scan->exit_event = loop_fd(core->loop, scan->pidfd, LOOP_READ,
				   on_exit_event, scan);
	vec_push(&core->scans->live, scan);
	return 0;
}

static void go_on(struct scan *scan)
{
	for (int i = 0; i < SCAN_NUMBERS; i++) {
		scan->before[i] += scan->now[i];
		scan->now[i] = 0;
	}
	scan->before_ms += scan->now_ms;
	scan->now_ms = 0;
	scan->ended_ns = 0;
	xfree(&scan->reason);
}

int scans_attach(struct scan *scan, pid_t pid, struct err *err)
{
	bool before = scan->runs > 0;
	struct err why;

	scan->proc.pid = 0;
	if (watch(scan, pid, err) < 0) {
		scan_free(scan);
		return -1;
	}
	scan->state = SCAN_RUNNING;
	scan->runs++;
	if (before)
		go_on(scan);
	if (scan->id)
		scan_save(scan);
	else if (scans_add(scan, &why) < 0)
		log_warn("a scan has no number: %s", why.text);
	log_info("job %lld %s pid=%d uid=%lld", (long long)scan->id,
		 before ? "resumed" : "begun", (int)pid, (long long)scan->uid);
	add_event(scan, before ? "resumed" : "begun");
	return 0;
}

/* ---- of a schedule ---- */

static bool may_go_on(const struct scan *last, json_t *spec)
{
	return last->state == SCAN_INTERRUPTED && last->position &&
	       json_is_true(json_object_get(spec, "resume")) &&
	       json_equal(json_object_get(last->spec, "path"),
			  json_object_get(spec, "path"));
}

struct scan *scans_scheduled(struct core *core, json_t *spec, int64_t uid,
			     struct err *err)
{
	const char *name = dispatch_arg(spec, "schedule");
	struct scan *scan = scans_last(core, name, err);

	if (!scan && err->code != ENOENT)
		return NULL;
	if (scan && is_live(scan)) {
		err_set(err, EBUSY, "%s runs, as job %lld", name,
			(long long)scan->id);
		return NULL;
	}
	if (!scan || !may_go_on(scan, spec)) {
		scans_release(&scan);
		scan = scan_new(core);
		str_copy(scan->name, sizeof(scan->name), name);
		scan->uid = uid;
	}
	json_decref(scan->spec);
	scan->spec = json_copy(spec);
	json_object_del(scan->spec, "job");
	return scan;
}

/* ---- of an earlier core ---- */

/* A process that goes on though core was another one is watched again. */
static void adopt(struct scan *scan)
{
	struct proc_id was = scan->proc;
	struct err err;

	if (was.pid > 0 && proc_alive(&was) && watch(scan, was.pid, &err) == 0)
		return;
	/* What it had come to counts; when it ended nobody saw. */
	scans_end(scan, SCAN_INTERRUPTED, "its process ended");
}

int scans_init(struct core *core, struct err *err)
{
	struct loading l = {.core = core};
	struct err why;
	char *boot;
	size_t len;

	(void)err;
	core->scans = xcalloc(1, sizeof(*core->scans));
	if (fd_read_file("/proc/sys/kernel/random/boot_id", 64, &boot, &len,
			 NULL) == 0) {
		str_copy(core->scans->boot, sizeof(core->scans->boot),
			 str_trim(boot));
		free(boot);
	}
	if (store_scans_alive(core->store, load, &l, &why) < 0)
		log_warn("jobs of before: %s", why.text);
	for (size_t i = 0; i < l.found.len; i++)
		adopt(l.found.items[i]);
	vec_free(&l.found);
	scans_missed_init(core);
	return 0;
}

void scans_deinit(struct core *core)
{
	struct scan *scan;

	scans_missed_deinit();
	if (!core->scans)
		return;
	/* The next core adopts those that go on. */
	for (size_t i = 0; i < core->scans->live.len; i++) {
		scan = core->scans->live.items[i];
		scan_save(scan);
		if (scan->background)
			proc_signal(scan->pidfd, SIGTERM);
		scoreboard_unexempt(core->sb, scan->proc.pid);
		scan_free(scan);
	}
	vec_free(&core->scans->live);
	xfree(&core->scans);
}

void scans_purge(struct core *core)
{
	struct err err;
	long long keep = core_conf(core)->scan_keep;

	if (keep && store_scans_purge(core->store, keep, &err) < 0)
		log_warn("old jobs could not be deleted: %s", err.text);
}

/* ---- for people ---- */

static json_t *paths_json(const struct scan *scan)
{
	json_t *list = json_array(), *word;
	char path[PATH_MAX];
	size_t i;

	json_array_foreach (json_object_get(scan->spec, "path"), i, word)
		if (scan_path_decode(json_string_value(word) ?: "", path,
				     NULL) == 0)
			json_array_append_new(list, jsontext_new(path));
	return list;
}

static json_t *current_json(const struct scan *scan)
{
	struct scan_position *pos = xmalloc(sizeof(*pos));
	json_t *text = NULL;

	if (scan->position &&
	    scan_position_parse(scan->position, pos, NULL) == 0)
		text = jsontext_new(pos->path);
	free(pos);
	return text ? text : json_null();
}

static json_t *number_or_null(uint64_t n)
{
	return n ? json_integer((json_int_t)n) : json_null();
}

static const char *spec_word(const struct scan *scan, const char *key)
{
	const char *word = json_string_value(json_object_get(scan->spec, key));

	return word ? word : "";
}

static bool spec_flag(const struct scan *scan, const char *key)
{
	return json_is_true(json_object_get(scan->spec, key));
}

json_t *scan_json(const struct scan *scan)
{
	json_t *o = json_pack(
		"{s:I, s:s, s:s, s:s, s:s, s:I, s:i, s:b, s:o, s:s, s:s, s:b, "
		"s:b, s:b, s:I, s:o, s:I, s:i, s:o, s:o, s:o, s:b, s:o}",
		"id", (json_int_t)scan->id, "name", scan->name, "source",
		source_of(scan), "state", scan_state_name(scan->state), "order",
		scan_order_name(scan->order), "uid", (json_int_t)scan->uid,
		"pid", (int)scan->proc.pid, "background", scan->background,
		"paths", paths_json(scan), "action", spec_word(scan, "action"),
		"second_action", spec_word(scan, "second"), "all",
		spec_flag(scan, "all"), "exclusions",
		!spec_flag(scan, "no-exclusions"), "stay",
		spec_flag(scan, "stay"), "begun", (json_int_t)scan->begun_ns,
		"ended", number_or_null((uint64_t)scan->ended_ns),
		"duration_ms", duration_ms(scan), "runs", (int)scan->runs,
		"all_files", number_or_null(scan->all_files), "all_bytes",
		number_or_null(scan->all_bytes), "current", current_json(scan),
		"resumable", scan->state == SCAN_INTERRUPTED, "reason",
		scan->reason ? jsontext_new(scan->reason) : json_null());

	for (int i = 0; i < SCAN_NUMBERS; i++)
		json_object_set_new(o, scan_number_name((enum scan_number)i),
				    json_integer((json_int_t)total(
					    scan, (enum scan_number)i)));
	return o;
}
