/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "entity_bed.h"

#include "common/codes.h"
#include "entity/core.h"
#include "entity/health.h"
#include "entity/modlock.h"
#include "entity/service.h"
#include "entity/settings.h"
#include "entity/store.h"

/* One root for all: paths_init() is for life. */
static struct bed the_root;

/* One core without processes; we ourselves are every part that lives. */
struct world {
	struct core core;
	struct scoreboard *sb;
	int sb_fd;
};

static json_t *sound_state(void)
{
	return json_pack("{s:i, s:i, s:s, s:[], s:b, s:i, s:{s:i, s:i, s:i},"
			 " s:{s:b, s:b}, s:[], s:[{s:s, s:s, s:b, s:s}]}",
			 "generation", 1, "signatures", 9, "engine", "1.4",
			 "reasons", "builtin_only", 0, "pattern_time",
			 (int)time(NULL), "workers", "front", 2, "back", 1,
			 "wanted", 2, "sandbox", "seccomp", 1, "landlock", 1,
			 "errors", "coverage", "point", "/", "fstype", "ext4",
			 "covered", 1, "reason", "");
}

static void tell_state(json_t *state)
{
	assert_int_equal(state_write(state, NULL), 0);
	json_decref(state);
}

#define LIVE(place)                                                            \
	do {                                                                   \
		struct proc_id id_;                                            \
		proc_identify(getpid(), &id_);                                 \
		atomic_store(&(place)->pid, id_.pid);                          \
		atomic_store(&(place)->start, id_.start);                      \
		atomic_store(&(place)->beat_ns, clock_mono_ns());              \
	} while (0)

static void dead_id(struct proc_id *id)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	waitpid(pid, NULL, 0);
	id->pid = pid;
	id->start = 1;
}

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	struct err err;
	int i;

	bed_write(&the_root, "etc/splx/splx.conf",
		  "ScanUser = \"61184\"\nLogSyslog = no\n");
	assert_int_equal(fd_mkdirs(paths()->run_dir, 0755, NULL), 0);
	assert_int_equal(fd_mkdirs(paths()->lib_dir, 0755, NULL), 0);
	w->sb = scoreboard_new(&w->sb_fd, &err);
	assert_non_null(w->sb);
	LIVE(&w->sb->supervisor);
	LIVE(&w->sb->core);
	LIVE(&w->sb->master);
	for (i = 0; i < 2; i++) {
		atomic_store(&w->sb->slots[i].role, SLOT_FRONT);
		LIVE(&w->sb->slots[i]);
	}
	atomic_store(&w->sb->master_state, MASTER_READY);
	atomic_store(&w->sb->interceptor, INTERCEPTOR_FANOTIFY);
	tell_state(sound_state());
	w->core.sb = w->sb;
	w->core.loop = loop_new();
	assert_int_equal(health_init(&w->core, &err), 0);
	assert_int_equal(settings_init(&w->core, &err), 0);
	w->core.store = store_new(paths()->store);
	assert_int_equal(modlock_init(&w->core, &err), 0);
	assert_int_equal(service_init(&w->core, &err), 0);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	service_deinit(&w->core);
	modlock_deinit(&w->core);
	store_free(&w->core.store);
	settings_deinit(&w->core);
	health_deinit(&w->core);
	loop_free(&w->core.loop);
	munmap(w->sb, sizeof(*w->sb));
	close(w->sb_fd);
	free(w);
	unlink(paths()->store);
	return 0;
}

static bool has_issue(json_t *data, int code)
{
	json_t *e;
	size_t i;

	json_array_foreach (json_object_get(data, "health_issues"), i, e)
		if (json_integer_value(json_object_get(e, "code")) == code) {
			assert_string_not_equal(
				json_string_value(json_object_get(e, "text")),
				"");
			return true;
		}
	return false;
}

/* Health says so; code 0: nothing but perhaps information. */
static void assert_health(struct world *w, const char *overall,
			  const char *operational, int code)
{
	json_t *data = health_json(&w->core);
	char *text = json_dumps(data, JSON_INDENT(1));
	const char *o = json_string_value(json_object_get(data, "overall"));
	const char *p = json_string_value(json_object_get(data, "operational"));
	bool healthy = json_is_true(json_object_get(data, "healthy"));

	if (strcmp(o, overall) || strcmp(p, operational) ||
	    healthy != (code == 0) || (code && !has_issue(data, code)))
		fail_msg("not %s, %s, %d: %s", overall, operational, code,
			 text);
	free(text);
	json_decref(data);
}

static void set_conf(struct world *w, const char *key, const char *value)
{
	/* The running settings, without the way through file and takeover. */
	struct conf *conf = (struct conf *)core_conf(&w->core);

	assert_int_equal(conf_set(conf, key, value, NULL), 0);
}

static void a_suite_in_order_is_protected_functional_and_healthy(void **state)
{
	assert_health(*state, "Protected", "Functional", 0);
}

static void a_stopped_vsapiapp_is_unprotected_and_stopped(void **state)
{
	struct world *w = *state;

	atomic_store(&w->sb->master_state, MASTER_NONE);
	assert_health(w, "Unprotected", "Stopped", STATUS_STOPPED);
}

static void a_dead_master_with_living_workers_is_degraded_only(void **state)
{
	struct world *w = *state;
	struct proc_id id;

	dead_id(&id);
	atomic_store(&w->sb->master.pid, id.pid);
	atomic_store(&w->sb->master.start, id.start);
	assert_health(w, "Partially protected", "Degraded",
		      STATUS_SCANNER_GONE);
}

static void workers_before_anything_is_armed_protect_nobody(void **state)
{
	struct world *w = *state;

	atomic_store(&w->sb->master_state, MASTER_STARTING);
	atomic_store(&w->sb->interceptor, INTERCEPTOR_NONE);
	assert_health(w, "Unprotected", "Functional", STATUS_STARTING);
	/* but those of a master before this one go on */
	atomic_store(&w->sb->interceptor, INTERCEPTOR_FANOTIFY);
	assert_health(w, "Protected", "Functional", 0);
}

static void a_dead_master_without_workers_is_unprotected(void **state)
{
	struct world *w = *state;
	struct proc_id id;

	dead_id(&id);
	atomic_store(&w->sb->master.pid, id.pid);
	atomic_store(&w->sb->slots[0].role, SLOT_UNUSED);
	atomic_store(&w->sb->slots[1].role, SLOT_UNUSED);
	assert_health(w, "Unprotected", "Degraded", STATUS_NO_WORKER);
}

static void a_master_without_beats_is_told_as_stalled(void **state)
{
	struct world *w = *state;

	atomic_store(&w->sb->master.beat_ns,
		     clock_mono_ns() - 3 * CLOCK_NS_PER_S);
	assert_health(w, "Partially protected", "Degraded",
		      STATUS_SCANNER_STALLED);
}

static void a_supervisor_without_beats_is_told_and_costs_no_protection(
	void **state)
{
	struct world *w = *state;

	atomic_store(&w->sb->supervisor.beat_ns,
		     clock_mono_ns() - 3 * CLOCK_NS_PER_S);
	assert_health(w, "Protected", "Degraded", STATUS_SUPERVISOR_GONE);
}

static void dead_and_stopped_workers_do_not_count(void **state)
{
	struct world *w = *state;
	struct proc_id id;
	pid_t pid;

	dead_id(&id);
	atomic_store(&w->sb->slots[1].pid, id.pid);
	assert_health(w, "Protected", "Degraded", STATUS_WORKERS_FEW);
	pid = fork();
	if (pid == 0) {
		pause();
		_exit(0);
	}
	proc_identify(pid, &id);
	kill(pid, SIGSTOP);
	bed_until(proc_stopped(&id));
	atomic_store(&w->sb->slots[0].pid, id.pid);
	atomic_store(&w->sb->slots[0].start, id.start);
	assert_health(w, "Unprotected", "Degraded", STATUS_NO_WORKER);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void an_open_breaker_that_allows_is_unprotected(void **state)
{
	struct world *w = *state;

	atomic_store(&w->sb->breaker_open, 1);
	atomic_store(&w->sb->allow_on_timeout, 1);
	assert_health(w, "Unprotected", "Degraded", STATUS_BREAKER_OPEN);
	atomic_store(&w->sb->allow_on_timeout, 0);
	assert_health(w, "Partially protected", "Degraded",
		      STATUS_BREAKER_OPEN);
}

static void async_and_off_are_never_called_protected(void **state)
{
	struct world *w = *state;

	atomic_store(&w->sb->interceptor, INTERCEPTOR_ASYNC);
	assert_health(w, "Partially protected", "Functional", STATUS_ASYNC);
	atomic_store(&w->sb->interceptor, INTERCEPTOR_OFF);
	assert_health(w, "Unprotected", "Functional", STATUS_SWITCHED_OFF);
	atomic_store(&w->sb->interceptor, INTERCEPTOR_NONE);
	assert_health(w, "Unprotected", "Functional", STATUS_SWITCHED_OFF);
}

static void classes_that_are_left_out_are_told(void **state)
{
	struct world *w = *state;

	set_conf(w, "RealtimeScan", "3");
	assert_health(w, "Partially protected", "Functional",
		      STATUS_CLASSES_OFF);
	set_conf(w, "RealtimeScan", "0");
	assert_health(w, "Unprotected", "Functional", STATUS_SWITCHED_OFF);
}

static void a_missing_kernel_module_is_a_reason_and_no_illness(void **state)
{
	struct world *w = *state;
	json_t *st = sound_state(), *data;

	json_array_append_new(
		json_object_get(st, "reasons"),
		json_pack("{s:i, s:s}", "code", 20021, "text", "none"));
	tell_state(st);
	assert_health(w, "Protected", "Functional", 0);
	data = health_json(&w->core);
	assert_int_equal(
		json_integer_value(json_object_get(data, "kernelStatus")),
		20021);
	json_decref(data);
}

static void an_uncovered_file_system_counts_unless_it_was_chosen(void **state)
{
	static const char *const chosen[] = {
		"not in Include",
		"excluded by ExcludeFsType",
		"FUSE, ScanFuse is off",
	};
	struct world *w = *state;
	json_t *st, *row;
	size_t i;

	for (i = 0; i < 4; i++) {
		st = sound_state();
		row = json_pack("{s:s, s:s, s:b, s:s}", "point", "/mnt",
				"fstype", "x", "covered", 0, "reason",
				i < 3 ? chosen[i] : "kernel refused: no");
		json_array_append_new(json_object_get(st, "coverage"), row);
		tell_state(st);
		if (i < 3)
			assert_health(w, "Protected", "Functional", 0);
		else
			assert_health(w, "Partially protected", "Functional",
				      STATUS_NOT_COVERED);
	}
}

static void patterns_that_are_built_in_or_old_are_told(void **state)
{
	struct world *w = *state;
	json_t *st = sound_state();

	json_object_set_new(st, "builtin_only", json_true());
	tell_state(st);
	assert_health(w, "Partially protected", "Functional",
		      STATUS_NO_PATTERNS);
	st = sound_state();
	json_object_set_new(st, "pattern_time",
			    json_integer(time(NULL) - 8 * 86400));
	tell_state(st);
	assert_health(w, "Protected", "Functional", STATUS_PATTERNS_OLD);
	set_conf(w, "PatternMaxAge", "30d");
	assert_health(w, "Protected", "Functional", 0);
}

static void archives_that_the_library_cannot_unpack_are_told(void **state)
{
	struct world *w = *state;
	json_t *st = sound_state(), *data;

	json_object_set_new(st, "rar", json_true());
	tell_state(st);
	data = health_json(&w->core);
	assert_false(has_issue(data, STATUS_RAR_UNREAD));
	json_decref(data);
	st = sound_state();
	json_object_set_new(st, "rar", json_false());
	tell_state(st);
	assert_health(w, "Protected", "Functional", 0); /* told, no more */
	data = health_json(&w->core);
	assert_true(has_issue(data, STATUS_RAR_UNREAD));
	json_decref(data);
}

static void a_missing_wall_of_the_sandbox_is_told(void **state)
{
	struct world *w = *state;
	json_t *st = sound_state();

	json_object_set_new(json_object_get(st, "sandbox"), "landlock",
			    json_false());
	tell_state(st);
	assert_health(w, "Protected", "Functional", STATUS_SANDBOX_WEAK);
}

static void what_vsapiapp_calls_an_error_is_an_issue(void **state)
{
	struct world *w = *state;
	json_t *st = sound_state(), *data;

	json_array_append_new(json_object_get(st, "errors"),
			      json_pack("{s:i, s:s, s:i}", "code", 20032,
					"text", "bad.hdb: line 3", "time", 1));
	tell_state(st);
	assert_health(w, "Protected", "Functional", STATUS_PATTERNS_BROKEN);
	data = health_json(&w->core);
	assert_int_equal(
		json_integer_value(json_object_get(data, "patternStatus")),
		20032);
	json_decref(data);
}

static void a_fault_is_an_issue_until_it_is_well(void **state)
{
	struct world *w = *state;

	core_fault(&w->core, STATUS_STORE_FAILED, "disk %s", "full");
	assert_health(w, "Protected", "Degraded", STATUS_STORE_FAILED);
	core_fault(&w->core, STATUS_STORE_FAILED, "disk %s", "full");
	core_well(&w->core, STATUS_STORE_FAILED);
	assert_health(w, "Protected", "Functional", 0);
}

static void many_ends_within_a_minute_are_told(void **state)
{
	struct world *w = *state;
	int i;

	for (i = 0; i < 3; i++) {
		assert_health(w, "Protected", "Functional", 0);
		atomic_fetch_add(&w->sb->master.restarts, 1);
		service_look(&w->core);
	}
	assert_health(w, "Protected", "Degraded", STATUS_RESTARTING);
}

static void the_worst_issue_stands_first(void **state)
{
	struct world *w = *state;
	json_t *data, *list;

	core_fault(&w->core, STATUS_STORE_FAILED, "full");
	set_conf(w, "Include", "{\"/srv\"}");
	atomic_store(&w->sb->interceptor, INTERCEPTOR_OFF);
	data = health_json(&w->core);
	list = json_object_get(data, "health_issues");
	assert_int_equal(json_array_size(list), 3);
	assert_string_equal(json_string_value(json_object_get(
				    json_array_get(list, 0), "severity")),
			    "critical");
	assert_string_equal(json_string_value(json_object_get(
				    json_array_get(list, 1), "severity")),
			    "warning");
	assert_string_equal(json_string_value(json_object_get(
				    json_array_get(list, 2), "severity")),
			    "info");
	assert_int_equal(
		json_integer_value(json_object_get(data, "antimalwareStatus")),
		STATUS_SWITCHED_OFF);
	assert_int_equal(
		json_integer_value(json_object_get(data, "generalStatus")),
		STATUS_STORE_FAILED);
	json_decref(data);
}

/* ---- events ---- */

static void collect(json_t *event, void *arg)
{
	json_array_append(arg, event);
}

/* How many events hold that text. */
static int events_with(struct world *w, int kind, const char *text)
{
	struct event_query q = {.kind = kind, .text = text, .limit = 100};
	json_t *list = json_array();
	int n;

	while (store_events(w->core.store, &q, collect, list, NULL) > 0)
		;
	n = (int)json_array_size(list);
	json_decref(list);
	return n;
}

static void what_happens_to_the_service_becomes_an_event(void **state)
{
	struct world *w = *state;
	json_t *st;

	assert_int_equal(events_with(w, EVENT_system, "entity was started"), 1);
	atomic_store(&w->sb->master.last_status, 9);
	atomic_fetch_add(&w->sb->master.restarts, 1);
	service_look(&w->core);
	service_look(&w->core);
	assert_int_equal(events_with(w, EVENT_system, "signal 9"), 1);
	atomic_store(&w->sb->breaker_open, 1);
	service_look(&w->core);
	assert_int_equal(events_with(w, EVENT_system, "breaker opened"), 1);
	atomic_store(&w->sb->breaker_open, 0);
	service_look(&w->core);
	assert_int_equal(events_with(w, EVENT_system, "breaker closed"), 1);
	atomic_fetch_add(&w->sb->counters[COUNTER_WORKER_CRASHES], 2);
	service_look(&w->core);
	assert_int_equal(events_with(w, EVENT_system, "2 scan workers"), 1);
	st = sound_state();
	json_object_set_new(st, "generation", json_integer(2));
	tell_state(st);
	atomic_store(&w->sb->generation, 2);
	service_look(&w->core);
	assert_int_equal(events_with(w, EVENT_update, "9 signatures"), 1);
	atomic_fetch_add(&w->sb->supervisor.start, 1);
	service_look(&w->core);
	assert_int_equal(events_with(w, EVENT_system, "took over"), 1);
}

static int group_setup(void **state)
{
	(void)state;
	bed_new(&the_root);
	paths_init(the_root.root);
	return 0;
}

static int group_teardown(void **state)
{
	(void)state;
	bed_free(&the_root);
	return 0;
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(a_suite_in_order_is_protected_functional_and_healthy),
		T(a_stopped_vsapiapp_is_unprotected_and_stopped),
		T(a_dead_master_with_living_workers_is_degraded_only),
		T(workers_before_anything_is_armed_protect_nobody),
		T(a_dead_master_without_workers_is_unprotected),
		T(a_master_without_beats_is_told_as_stalled),
		T(a_supervisor_without_beats_is_told_and_costs_no_protection),
		T(dead_and_stopped_workers_do_not_count),
		T(an_open_breaker_that_allows_is_unprotected),
		T(async_and_off_are_never_called_protected),
		T(classes_that_are_left_out_are_told),
		T(a_missing_kernel_module_is_a_reason_and_no_illness),
		T(an_uncovered_file_system_counts_unless_it_was_chosen),
		T(patterns_that_are_built_in_or_old_are_told),
		T(archives_that_the_library_cannot_unpack_are_told),
		T(a_missing_wall_of_the_sandbox_is_told),
		T(what_vsapiapp_calls_an_error_is_an_issue),
		T(a_fault_is_an_issue_until_it_is_well),
		T(many_ends_within_a_minute_are_told),
		T(the_worst_issue_stands_first),
		T(what_happens_to_the_service_becomes_an_event),
	};

	alarm(120);
	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
