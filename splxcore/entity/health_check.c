/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "health_check.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/khm.h"
#include "common/khm_json.h"
#include "common/paths.h"
#include "common/patternset.h"
#include "health.h"
#include "lib/clock.h"
#include "lib/proc.h"
#include "lib/str.h"
#include "modlock.h"
#include "notify.h"
#include "service.h"
#include "settings.h"

#define LOST_FRESH_NS (600 * CLOCK_NS_PER_S)
#define RESTARTS_MANY 3
/* Beyond so many one line tells how many more there are. */
#define VOIDS_TOLD 5

/* ---- processes ---- */

struct place {
	const char *part;
	struct proc_id id;
	uint64_t beat_ns;
	unsigned int restarts;
};

#define PLACE(sb, who, name)                                                   \
	((struct place){                                                       \
		.part = (name),                                                \
		.id = {.pid = atomic_load(&(sb)->who.pid),                     \
		       .start = atomic_load(&(sb)->who.start)},                \
		.beat_ns = atomic_load(&(sb)->who.beat_ns),                    \
		.restarts = atomic_load(&(sb)->who.restarts),                  \
	})

static bool stale(const struct place *p)
{
	uint64_t now = clock_mono_ns();

	return p->beat_ns && now > p->beat_ns + SERVICE_STALE_NS;
}

static const char *why_silent(const struct place *p)
{
	return proc_stopped(&p->id) ? "it was stopped by a signal"
				    : "it gets no processor, or hangs";
}

static const char *state_of(const struct place *p, bool stopped)
{
	if (stopped)
		return "stopped";
	if (p->id.pid <= 0 || !proc_alive(&p->id))
		return "restarting";
	if (!p->beat_ns)
		return "starting";
	return stale(p) ? "stalled" : "running";
}

/* proc_id counts in clock ticks since boot; so does /proc/uptime's clock. */
static json_int_t age_s(const struct place *p)
{
	long hz = sysconf(_SC_CLK_TCK);
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return p->id.pid > 0 ? ts.tv_sec - (json_int_t)p->id.start / hz : 0;
}

json_t *health_processes(const struct core *core)
{
	const struct scoreboard *sb = core->sb;
	const struct place places[] = {
		PLACE(sb, supervisor, "supervisor"),
		PLACE(sb, core, "entity"),
		PLACE(sb, master, "vsapiapp"),
		PLACE(sb, netmon, "splxnetmon"),
	};
	size_t n = atomic_load(&sb->net_wanted) ? 4 : 3;
	bool stopped = atomic_load(&sb->master_state) == MASTER_NONE;
	json_t *list = json_array();
	const char *state;
	size_t i;

	for (i = 0; i < n; i++) {
		state = state_of(&places[i], stopped && i == 2);
		json_array_append_new(
			list,
			json_pack("{s:s, s:i, s:s, s:I, s:i}", "part",
				  places[i].part, "pid", (int)places[i].id.pid,
				  "state", state, "since_s", age_s(&places[i]),
				  "restarts", (int)places[i].restarts));
	}
	return list;
}

/* ---- workers ---- */

struct workers {
	int front, back, busy; /* those that are stopped are none of these */
	int stopped;
};

static struct workers count_workers(const struct core *core)
{
	struct workers w = {0};
	int i;

	for (i = 0; i < SCOREBOARD_SLOTS; i++) {
		const struct slot *slot = &core->sb->slots[i];
		uint32_t role = atomic_load(&slot->role);
		struct proc_id id = {
			.pid = atomic_load(&slot->pid),
			.start = atomic_load(&slot->start),
		};

		if (role == SLOT_UNUSED || !proc_alive(&id))
			continue;
		if (proc_stopped(&id)) {
			w.stopped++;
			continue;
		}
		if (role == SLOT_FRONT)
			w.front++;
		else if (role == SLOT_BACK)
			w.back++;
		if (atomic_load(&slot->scan_start_ns))
			w.busy++;
	}
	return w;
}

static json_int_t wanted(const struct core *core)
{
	json_t *told = json_object_get(service_state(core), "workers");

	return json_integer_value(json_object_get(told, "wanted"));
}

json_t *health_workers(const struct core *core)
{
	struct workers w = count_workers(core);

	return json_pack("{s:i, s:i, s:I, s:i}", "front", w.front, "back",
			 w.back, "wanted", wanted(core), "busy", w.busy);
}

/* ---- the verdict path ---- */

const char *health_interceptor(const struct core *core)
{
	switch (atomic_load(&core->sb->interceptor)) {
	case INTERCEPTOR_KHM:
		return "khm";
	case INTERCEPTOR_FANOTIFY:
		return "fanotify";
	case INTERCEPTOR_ASYNC:
		return "async";
	case INTERCEPTOR_OFF:
		return "off";
	default:
		return "none";
	}
}

/* A part that is not as it should be. */
#define degraded(r, code, part, ...)                                           \
	do {                                                                   \
		(r)->degraded = true;                                          \
		health_issue(r, code, part, __VA_ARGS__);                      \
	} while (0)

/* True when vsapiapp is there to be asked about the rest. */
static bool check_master(const struct core *core, struct report *r,
			 const struct workers *w)
{
	const struct place p = PLACE(core->sb, master, "vsapiapp");
	uint32_t state = atomic_load(&core->sb->master_state);
	bool alive = p.id.pid > 0 && proc_alive(&p.id);

	if (state == MASTER_NONE ||
	    (state == MASTER_STOPPING && atomic_load(&core->sb->quit))) {
		health_issue(r, STATUS_STOPPED, "vsapiapp", "%s",
			     status_text(STATUS_STOPPED));
		return false;
	}
	if (!alive)
		degraded(r, STATUS_SCANNER_GONE, "vsapiapp",
			 "vsapiapp does not run and is being restarted; %d of "
			 "its workers go on",
			 w->front);
	else if (stale(&p))
		degraded(r, STATUS_SCANNER_STALLED, "vsapiapp",
			 "vsapiapp (process %d) does not answer: %s",
			 (int)p.id.pid, why_silent(&p));
	/* Workers that are there before anything is armed protect nobody;
	 * those of a master that was killed do. */
	if (state != MASTER_READY &&
	    (w->front == 0 ||
	     atomic_load(&core->sb->interceptor) == INTERCEPTOR_NONE))
		health_issue(r, STATUS_STARTING, "vsapiapp", "%s",
			     status_text(STATUS_STARTING));
	return state == MASTER_READY;
}

static void check_breaker(const struct core *core, struct report *r)
{
	bool allow = atomic_load(&core->sb->allow_on_timeout);

	if (!atomic_load(&core->sb->breaker_open) &&
	    !atomic_load(&core->sb->module_breaker))
		return;
	r->degraded = true;
	health_issue_at(r, allow ? STATUS_LEVEL_NONE : STATUS_LEVEL_PARTIAL,
			STATUS_BREAKER_OPEN, "interceptor",
			"too many timeouts in a row: opens are %s at once",
			allow ? "allowed" : "denied");
}

static void check_workers(const struct core *core, struct report *r,
			  const struct workers *w)
{
	json_int_t want = wanted(core);

	if (w->front == 0 && atomic_load(&core->sb->unload.pid))
		degraded(r, STATUS_NO_WORKER, "worker",
			 "the patterns are unloaded while others are tried, as "
			 "memory is short (LowMemoryUpdate): OnError decides");
	else if (w->front == 0)
		degraded(r, STATUS_NO_WORKER, "worker",
			 w->stopped ? "no scan worker answers, %d are stopped: "
				      "OnTimeout decides"
				    : "no scan worker lives: OnError decides",
			 w->stopped);
	else if (w->stopped || w->front + w->back < want)
		degraded(r, STATUS_WORKERS_FEW, "worker",
			 "%d of %lld scan workers work", w->front + w->back,
			 (long long)want);
}

static void check_classes(const struct core *core, struct report *r)
{
	int64_t classes = core_conf(core)->realtime_scan;
	int held = CONF_CLASS_OUTGOING | CONF_CLASS_RUNNING;

	if (classes == 0)
		health_issue(r, STATUS_SWITCHED_OFF, "interceptor",
			     "RealtimeScan is 0");
	else if ((classes & held) != held)
		health_issue(r, STATUS_CLASSES_OFF, "interceptor",
			     "RealtimeScan is %lld: %s", (long long)classes,
			     classes & CONF_CLASS_OUTGOING
				     ? "executions are not examined"
				     : "opens are not examined");
}

/* Rungs left on the way down tell why we are where we are. */
static void check_reasons(const struct core *core, struct report *r,
			  bool fallen)
{
	json_t *reason;
	const char *text;
	size_t i;
	int code;

	json_array_foreach (json_object_get(service_state(core), "reasons"), i,
			    reason) {
		code = (int)json_integer_value(json_object_get(reason, "code"));
		text = json_string_value(json_object_get(reason, "text"));
		/* modlock_check() says it better */
		if (code == STATUS_LOCKED && modlock_holds(core))
			continue;
		if (status_field(code) == STATUS_FIELD_KERNEL &&
		    !r->field[STATUS_FIELD_KERNEL])
			r->field[STATUS_FIELD_KERNEL] = code;
		if (fallen || status_level(code) > STATUS_LEVEL_INFO)
			health_issue(r, (enum status_code)code, "interceptor",
				     "%s", text ? text : status_text(code));
	}
}

static const char *text_of(json_t *object, const char *name)
{
	const char *s = json_string_value(json_object_get(object, name));

	return s ? s : "";
}

/* The kernel module's second choice, where it was left the choice. */
static void check_hook(const struct core *core, struct report *r)
{
	json_t *hook = json_object_get(service_state(core), "hook");
	const char *why = text_of(hook, "why");

	if (strcmp(text_of(hook, "method"), "fsnotify") != 0 ||
	    core_conf(core)->hook_method == CONF_HOOK_FSNOTIFY)
		return;
	if (*why)
		health_issue(r, STATUS_HOOK_SECOND, "interceptor",
			     "the kernel module listens by fsnotify, not by "
			     "ftrace: %s; it does not see %s",
			     why, text_of(hook, "unseen"));
	else
		health_issue(r, STATUS_HOOK_SECOND, "interceptor",
			     "the kernel module listens by fsnotify; it does "
			     "not see %s",
			     text_of(hook, "unseen"));
	if (!r->field[STATUS_FIELD_KERNEL])
		r->field[STATUS_FIELD_KERNEL] = STATUS_HOOK_SECOND;
}

/* It could not be disarmed: it stays, and lets all pass. */
static void check_passive(struct report *r)
{
	json_t *module = khm_status_json();
	json_t *status = json_object_get(module, "status");

	if (!strcmp(text_of(status, "state"), "passive"))
		health_issue(r, STATUS_MODULE_PASSIVE, "interceptor", "%s",
			     status_text(STATUS_MODULE_PASSIVE));
	json_decref(module);
}

/* After an upgrade that could not exchange it, or before the restart. */
static void check_build(const struct core *core, struct report *r, bool serves)
{
	int asked = core_conf(core)->interceptor;
	struct err why;

	if ((asked == CONF_INTERCEPTOR_AUTO || asked == CONF_INTERCEPTOR_KHM) &&
	    khm_is_other(&why))
		health_issue(r, STATUS_MODULE_OTHER, "interceptor",
			     serves ? "%s; the former one serves" : "%s",
			     why.text);
}

/*
 * The load lock holds back what would hold openers. What serves instead is no
 * fault of its own, but not as good.
 */
static void held_back(struct report *r, enum status_level level)
{
	r->field[STATUS_FIELD_ANTIMALWARE] = STATUS_LOCKED;
	r->field_level[STATUS_FIELD_ANTIMALWARE] = level;
	if (level > r->worst)
		r->worst = level;
}

static void check_interceptor(const struct core *core, struct report *r,
			      const struct workers *w)
{
	uint32_t kind = atomic_load(&core->sb->interceptor);
	int asked = core_conf(core)->interceptor;

	modlock_check(core, r);
	switch (kind) {
	case INTERCEPTOR_FANOTIFY:
	case INTERCEPTOR_KHM:
		check_workers(core, r, w);
		check_breaker(core, r);
		check_classes(core, r);
		break;
	case INTERCEPTOR_ASYNC:
		if (modlock_holds(core))
			held_back(r, STATUS_LEVEL_PARTIAL);
		else
			health_issue(r, STATUS_ASYNC, "interceptor", "%s",
				     status_text(STATUS_ASYNC));
		break;
	default:
		if (modlock_holds(core) &&
		    core_conf(core)->when_locked == CONF_LOCKED_OFF)
			held_back(r, STATUS_LEVEL_NONE);
		else
			health_issue(r, STATUS_SWITCHED_OFF, "interceptor",
				     asked == CONF_INTERCEPTOR_OFF
					     ? "Interceptor is off"
					     : "no way of interception works "
					       "here");
		break;
	}
	if (kind == INTERCEPTOR_KHM)
		check_hook(core, r);
	else if (!access(KHM_DEVICE, F_OK))
		check_passive(r);
	check_build(core, r, kind == INTERCEPTOR_KHM);
	check_reasons(core, r,
		      kind == INTERCEPTOR_FANOTIFY &&
			      asked == CONF_INTERCEPTOR_KHM);
}

/* What the administrator chose to leave out is no issue. */
static bool chosen(const char *reason)
{
	return !strcmp(reason, "not in Include") ||
	       str_starts(reason, "excluded by ") ||
	       str_ends(reason, " is off");
}

static void check_coverage(const struct core *core, struct report *r)
{
	json_t *row, *coverage;
	const char *first = NULL, *why = NULL;
	size_t i, n = 0;

	coverage = json_object_get(service_state(core), "coverage");
	json_array_foreach (coverage, i, row) {
		if (json_is_true(json_object_get(row, "covered")) ||
		    chosen(text_of(row, "reason")))
			continue;
		if (n++ == 0) {
			first = text_of(row, "point");
			why = text_of(row, "reason");
		}
	}
	if (n == 1)
		health_issue(r, STATUS_NOT_COVERED, "interceptor",
			     "%s is not covered: %s", first, why);
	else if (n)
		health_issue(r, STATUS_NOT_COVERED, "interceptor",
			     "%s (%s) and %zu more are not covered", first, why,
			     n - 1);
	if (core_conf(core)->include.len)
		health_issue(r, STATUS_CONF_OPEN, "interceptor", "%s",
			     status_text(STATUS_CONF_OPEN));
}

static void check_lost(const struct core *core, struct report *r)
{
	uint64_t when = service_events_lost_ns(core);

	if (when && clock_mono_ns() - when < LOST_FRESH_NS)
		health_issue(r, STATUS_EVENTS_LOST, "interceptor", "%s",
			     status_text(STATUS_EVENTS_LOST));
}

/* ---- patterns, settings, the rest ---- */

static void check_patterns(const struct core *core, struct report *r)
{
	json_t *state = service_state(core);
	uint64_t limit = core_conf(core)->pattern_max_age;
	json_int_t made, age_ms;
	char age[32], max[32];

	if (!state)
		return;
	if (json_is_true(json_object_get(state, "builtin_only"))) {
		health_issue(r, STATUS_NO_PATTERNS, "patterns", "%s",
			     status_text(STATUS_NO_PATTERNS));
		return;
	}
	made = json_integer_value(json_object_get(state, "pattern_time"));
	age_ms = clock_real_ns() / 1000000 - made * 1000;
	if (limit && made && age_ms > (json_int_t)limit)
		health_issue(r, STATUS_PATTERNS_OLD, "patterns",
			     "the patterns are %s old; PatternMaxAge is %s",
			     str_duration(age, sizeof(age), (uint64_t)age_ms),
			     str_duration(max, sizeof(max), limit));
}

/* The last update, and what is past its time. */
static void check_updates(const struct core *core, struct report *r)
{
	const struct patternwatch *w = health_patterns(core->health);
	const json_t *fault = json_object_get(service_state(core), "set_fault");
	int64_t now = clock_real_ns() / (int64_t)CLOCK_NS_PER_S;
	const struct patternset_part *p;
	char age[32];

	if (w->failed)
		health_issue(
			r, STATUS_UPDATE_FAILED, "patterns",
			"the last update of the patterns, %s ago, failed; "
			"the old ones serve on: %s",
			str_duration(age, sizeof(age),
				     now > w->when
					     ? (uint64_t)(now - w->when) * 1000
					     : 0),
			w->why.text);
	if (json_is_string(fault))
		health_issue(r, STATUS_PATTERNS_BROKEN, "patterns", "%s",
			     json_string_value(fault));
	/* What cannot be read says that itself, by what loads it. */
	vec_each (p, &w->set)
		if (p->m.valid_until && now > p->m.valid_until)
			health_issue(r, STATUS_PATTERNS_EXPIRED, "patterns",
				     "%s %llu is past the time that its maker "
				     "gave it; it serves on",
				     p->m.name,
				     (unsigned long long)p->m.version);
}

/* What somebody laid beside the sets is loaded by nobody. */
static void check_laid(const struct core *core, struct report *r)
{
	const struct patternlaid *laid = &health_patterns(core->health)->laid;
	const char *dir = paths()->pattern_dir;

	if (laid->len == 1)
		health_issue(r, STATUS_PATTERNS_LAID, "patterns",
			     "%s/%s was laid there by hand and is not loaded: "
			     "nobody tried it",
			     dir, laid->items[0]);
	else if (laid->len > 1)
		health_issue(r, STATUS_PATTERNS_LAID, "patterns",
			     "%s/%s and %zu more were laid there by hand and "
			     "are not loaded: nobody tried them",
			     dir, laid->items[0], laid->len - 1);
}

/* Nothing new comes as long as another update does not go on. */
static void check_updater(struct report *r)
{
	struct patternset_holder holder;
	char text[PATTERNSET_HOLDER_TEXT];

	if (patternset_holder(&holder) && patternset_holder_hangs(&holder))
		health_issue(r, STATUS_UPDATE_HANGS, "patterns",
			     "an update of the patterns does not end, and no "
			     "other one can begin%s",
			     patternset_holder_text(&holder, text));
}

static void check_unpacking(const struct core *core, struct report *r)
{
	if (json_is_false(json_object_get(service_state(core), "rar")))
		health_issue(r, STATUS_RAR_UNREAD, "patterns", "%s",
			     status_text(STATUS_RAR_UNREAD));
}

static void check_voids(const struct core *core, struct report *r)
{
	json_t *voids = settings_void(core->settings), *v;
	size_t i, n = json_array_size(voids);

	json_array_foreach (voids, i, v) {
		if (i == VOIDS_TOLD)
			break;
		health_issue(r, STATUS_CONF_ENTRY, "entity", "%s \"%s\": %s",
			     text_of(v, "key"), text_of(v, "entry"),
			     text_of(v, "reason"));
	}
	if (n > VOIDS_TOLD)
		health_issue(r, STATUS_CONF_ENTRY, "entity",
			     "%zu more entries are void", n - VOIDS_TOLD);
}

static void check_sandbox(const struct core *core, struct report *r)
{
	json_t *box = json_object_get(service_state(core), "sandbox"), *value;
	const char *name;

	json_object_foreach (box, name, value)
		if (json_is_false(value))
			health_issue(r, STATUS_SANDBOX_WEAK, "worker",
				     "the scan workers run without %s", name);
}

static void check_state_errors(const struct core *core, struct report *r)
{
	json_t *e;
	size_t i;
	int code;

	json_array_foreach (json_object_get(service_state(core), "errors"), i,
			    e) {
		code = (int)json_integer_value(json_object_get(e, "code"));
		if (code != STATUS_OK)
			health_issue(r, (enum status_code)code, "vsapiapp",
				     "%s", text_of(e, "text"));
	}
}

static void check_supervisor(const struct core *core, struct report *r)
{
	const struct place p = PLACE(core->sb, supervisor, "supervisor");

	if (!proc_alive(&p.id))
		degraded(r, STATUS_SUPERVISOR_GONE, "supervisor",
			 "the supervisor is gone; a new one is being started");
	else if (stale(&p))
		degraded(r, STATUS_SUPERVISOR_GONE, "supervisor",
			 "the supervisor (process %d) does not answer: %s",
			 (int)p.id.pid, why_silent(&p));
}

static void check_restarts(const struct core *core, struct report *r)
{
	unsigned int n = service_restarts(core);

	if (n >= RESTARTS_MANY)
		degraded(r, STATUS_RESTARTING, "vsapiapp",
			 "vsapiapp ended %u times within a minute", n);
}

static void add_fault(enum status_code code, const char *text, void *arg)
{
	struct report *r = arg;

	if (code == STATUS_STORE_FAILED || code == STATUS_QUARANTINE_FAILED)
		r->degraded = true;
	health_issue(r, code, "entity", "%s", text);
}

void health_check(struct core *core, struct report *r)
{
	struct workers w = count_workers(core);

	if (check_master(core, r, &w)) {
		check_interceptor(core, r, &w);
		check_coverage(core, r);
		check_lost(core, r);
	}
	check_restarts(core, r);
	check_supervisor(core, r);
	check_patterns(core, r);
	check_unpacking(core, r);
	check_updates(core, r);
	check_laid(core, r);
	check_updater(r);
	check_voids(core, r);
	check_sandbox(core, r);
	check_state_errors(core, r);
	notify_check(core, r);
	health_check_console(core, r);
	health_check_network(core, r);
	health_faults(core->health, add_fault, r);
}
