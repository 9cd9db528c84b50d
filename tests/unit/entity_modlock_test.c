/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/* The service's side of the load lock, in a machine of our own making. */
#include "entity_bed.h"

#include <time.h>

#include "common/codes.h"
#include "common/loadlock.h"
#include "entity/core.h"
#include "entity/health.h"
#include "entity/modlock.h"
#include "entity/service.h"
#include "entity/settings.h"
#include "entity/store.h"
#include "lib/log.h"

static struct bed the_root;
static struct core core;
static int sb_fd;
static struct modlock_sight sight;
static int boots;

static void tell_state(void)
{
	json_t *state = json_pack(
		"{s:i, s:i, s:s, s:[], s:b, s:i, s:{s:i, s:i, s:i}, s:[], "
		"s:[]}",
		"generation", 1, "signatures", 9, "engine", "1.4", "reasons",
		"builtin_only", 0, "pattern_time", (int)time(NULL), "workers",
		"front", 2, "back", 1, "wanted", 2, "errors", "coverage");

	assert_int_equal(state_write(state, NULL), 0);
	json_decref(state);
}

static void boot(void)
{
	snprintf(sight.now.boot, sizeof(sight.now.boot),
		 "%08x-1111-4222-8333-444455556666", (unsigned int)++boots);
	sight.now.real += 20;
	sight.now.up = 20;
}

static void pass(int64_t seconds)
{
	sight.now.real += seconds;
	sight.now.up += seconds;
}

/* A service that starts now, in this boot or another. */
static void start(void)
{
	modlock_deinit(&core);
	atomic_store(&core.sb->module_lock, MODULE_LOCK_UNJUDGED);
	modlock_begin(&core, &sight);
}

#define LIVE(place)                                                            \
	do {                                                                   \
		struct proc_id id_;                                            \
		proc_identify(getpid(), &id_);                                 \
		atomic_store(&(place)->pid, id_.pid);                          \
		atomic_store(&(place)->start, id_.start);                      \
		atomic_store(&(place)->beat_ns, clock_mono_ns());              \
	} while (0)

static int setup(void **state)
{
	struct err err;

	(void)state;
	bed_write(&the_root, "etc/splx/splx.conf",
		  "ScanUser = \"61184\"\nLogSyslog = no\n");
	assert_int_equal(fd_mkdirs(paths()->run_dir, 0755, NULL), 0);
	assert_int_equal(fd_mkdirs(paths()->lib_dir, 0755, NULL), 0);
	memset(&core, 0, sizeof(core));
	core.sb = scoreboard_new(&sb_fd, &err);
	LIVE(&core.sb->supervisor);
	LIVE(&core.sb->core);
	LIVE(&core.sb->master);
	for (int i = 0; i < 2; i++) {
		atomic_store(&core.sb->slots[i].role, SLOT_FRONT);
		LIVE(&core.sb->slots[i]);
	}
	atomic_store(&core.sb->master_state, MASTER_READY);
	atomic_store(&core.sb->interceptor, INTERCEPTOR_FANOTIFY);
	tell_state();
	core.loop = loop_new();
	assert_int_equal(health_init(&core, &err), 0);
	assert_int_equal(settings_init(&core, &err), 0);
	core.store = store_new(paths()->store);
	memset(&sight, 0, sizeof(sight));
	strcpy(sight.now.kernel, "6.1.0-56-amd64");
	sight.now.real = 1764000000;
	sight.wanted = sight.there = true;
	boot();
	sight.wanted = false; /* nothing yet */
	modlock_begin(&core, &sight);
	sight.wanted = true;
	assert_int_equal(service_init(&core, &err), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	service_deinit(&core);
	modlock_deinit(&core);
	store_free(&core.store);
	settings_deinit(&core);
	health_deinit(&core);
	loop_free(&core.loop);
	munmap(core.sb, sizeof(*core.sb));
	close(sb_fd);
	unlink(paths()->store);
	unlink(paths()->load_lock);
	return 0;
}

static void set_conf(const char *key, const char *value)
{
	struct conf *conf = (struct conf *)core_conf(&core);

	assert_int_equal(conf_set(conf, key, value, NULL), 0);
}

static enum module_lock told(void)
{
	return (enum module_lock)atomic_load(&core.sb->module_lock);
}

static bool has_start(void)
{
	char *text;
	size_t len;
	bool has;

	if (fd_read_file(paths()->load_lock, LOADLOCK_SIZE, &text, &len, NULL))
		return false;
	has = strstr(text, "\nstart ") != NULL;
	free(text);
	return has;
}

static int events_found;
static const char *events_text;
static void count_event(json_t *event, void *arg)
{
	const char *severity = arg;
	const char *message =
		json_string_value(json_object_get(event, "message"));

	if (strstr(message, events_text)) {
		events_found++;
		assert_string_equal(
			json_string_value(json_object_get(event, "severity")),
			severity);
	}
}

/* How many events hold the text; all of that severity. */
static int events(const char *text, const char *severity)
{
	struct event_query query = {.kind = -1, .limit = 10000};

	events_found = 0;
	events_text = text;
	while (store_events(core.store, &query, count_event,
			    (void *)(uintptr_t)severity, NULL) > 0)
		;
	return events_found;
}

/* Two boots with the module that ended so, and a third. */
static void crash_twice(void)
{
	start();
	assert_int_equal(told(), MODULE_LOCK_OPEN);
	pass(100);
	boot();
	start();
	assert_int_equal(told(), MODULE_LOCK_OPEN);
	pass(100);
	boot();
	start();
}

/* ---- */

static void vsapiapp_is_let_in_when_the_start_is_written(void **state)
{
	(void)state;
	assert_int_equal(told(), MODULE_LOCK_UNJUDGED);
	start();
	assert_int_equal(told(), MODULE_LOCK_OPEN);
	assert_true(has_start());
	assert_false(modlock_holds(&core));
}

static void without_a_module_nothing_is_written(void **state)
{
	(void)state;
	sight.there = false;
	sight.loadable = true;
	start();
	assert_int_equal(told(), MODULE_LOCK_UNJUDGED);
	assert_int_equal(access(paths()->load_lock, F_OK), -1);
	/* it comes later */
	sight.there = true;
	modlock_step(&core, &sight, false);
	assert_int_equal(told(), MODULE_LOCK_OPEN);
	assert_true(has_start());
}

static void a_module_that_is_not_wanted_has_no_start(void **state)
{
	(void)state;
	sight.wanted = false;
	start();
	assert_int_equal(told(), MODULE_LOCK_UNJUDGED);
	assert_int_equal(access(paths()->load_lock, F_OK), -1);
	sight.wanted = true;
	modlock_step(&core, &sight, true);
	assert_true(has_start());
	/* it is switched off: the start goes when it is disarmed, not before */
	sight.in_use = true;
	sight.wanted = false;
	modlock_step(&core, &sight, true);
	assert_true(has_start());
	sight.in_use = false;
	modlock_step(&core, &sight, false);
	assert_false(has_start());
	assert_int_equal(told(), MODULE_LOCK_UNJUDGED);
}

static void each_crash_becomes_one_event_and_two_hold_the_module(void **state)
{
	(void)state;
	crash_twice();
	assert_int_equal(told(), MODULE_LOCK_LOCKED);
	assert_true(modlock_holds(&core));
	assert_false(has_start());
	start(); /* again in the same boot */
	assert_int_equal(told(), MODULE_LOCK_LOCKED);
	assert_int_equal(events("went down without a clean end 1 time within "
				"1h",
				"high"),
			 1);
	assert_int_equal(events("LoadLockMaxCrashes is 2", "high"), 2);
	assert_int_equal(events("the kernel module is held back: the machine "
				"went down without a clean end 2 times",
				"high"),
			 2);
}

static void it_is_held_also_when_nobody_could_load_it(void **state)
{
	(void)state;
	crash_twice();
	sight.there = false; /* the start script was refused */
	sight.loadable = true;
	start();
	assert_int_equal(told(), MODULE_LOCK_LOCKED);
	/* but where there is none for this kernel the lock is not why */
	sight.loadable = false;
	start();
	assert_int_equal(told(), MODULE_LOCK_UNJUDGED);
}

static void it_stays_held_while_time_goes_by_until_somebody_acts(void **state)
{
	(void)state;
	crash_twice();
	for (int i = 0; i < 10; i++) {
		pass(1000);
		modlock_step(&core, &sight, false);
		assert_int_equal(told(), MODULE_LOCK_LOCKED);
	}
	modlock_step(&core, &sight, true);
	assert_int_equal(told(), MODULE_LOCK_OPEN);
	assert_true(has_start());
	assert_int_equal(events("not held back any more", "info"), 1);
}

static void what_is_in_use_is_not_judged_again(void **state)
{
	(void)state;
	start();
	pass(100);
	boot();
	start(); /* one crash */
	sight.in_use = true;
	set_conf("LoadLockMaxCrashes", "1");
	modlock_step(&core, &sight, true);
	assert_int_equal(told(), MODULE_LOCK_OPEN);
	/* also by a core that comes after one that was killed */
	modlock_deinit(&core);
	modlock_begin(&core, &sight);
	assert_int_equal(told(), MODULE_LOCK_OPEN);
}

static void a_core_that_comes_back_ends_what_another_began(void **state)
{
	(void)state;
	start();
	assert_true(has_start());
	sight.wanted = false; /* changed in the file meanwhile */
	modlock_deinit(&core);
	modlock_begin(&core, &sight);
	modlock_step(&core, &sight, false);
	assert_false(has_start());
	assert_int_equal(told(), MODULE_LOCK_UNJUDGED);
}

static void a_core_that_comes_back_goes_on_holding_it(void **state)
{
	(void)state;
	crash_twice();
	pass(2 * 3600);
	modlock_deinit(&core);
	modlock_begin(&core, &sight);
	assert_int_equal(told(), MODULE_LOCK_LOCKED);
}

static void a_clock_that_is_set_is_seen_and_the_file_keeps_ages(void **state)
{
	struct loadlock_policy policy = {3600, 2};
	struct loadlock_state st;

	(void)state;
	crash_twice();
	sight.now.real += 5 * 3600;
	modlock_step(&core, &sight, false);
	boot(); /* the next one finds it by the wall clock alone */
	loadlock_look(&sight.now, &policy, &st);
	assert_true(st.locked);
	assert_int_equal(st.free_in, 3600 - 160);
}

static void a_clock_that_is_set_before_the_module_is_wanted_counts_too(
	void **state)
{
	struct loadlock_policy policy = {3600, 2};
	struct loadlock_state st;

	(void)state;
	crash_twice();
	sight.wanted = false;
	start();
	assert_int_equal(told(), MODULE_LOCK_UNJUDGED);
	sight.now.real += 5 * 3600;
	modlock_step(&core, &sight, false);
	boot();
	loadlock_look(&sight.now, &policy, &st);
	assert_true(st.locked);
}

static void a_start_that_was_removed_is_written_again(void **state)
{
	(void)state;
	start();
	unlink(paths()->load_lock);
	modlock_step(&core, &sight, false);
	assert_true(has_start());
}

static void what_cannot_be_written_is_told_and_tried_again(void **state)
{
	(void)state;
	fd_mkdirs(paths()->load_lock, 0700, NULL); /* in the file's place */
	start();
	assert_int_equal(told(), MODULE_LOCK_OPEN);
	assert_int_equal(events("would not be noticed", "medium"), 1);
	rmdir(paths()->load_lock);
	pass(30);
	modlock_step(&core, &sight, false);
	assert_false(has_start());
	pass(31);
	modlock_step(&core, &sight, false);
	assert_true(has_start());
	assert_int_equal(events("loadLockUnknown: well again", "info"), 1);
}

static void an_unlocking_without_the_service_is_audited_at_its_start(
	void **state)
{
	unsigned int n;

	(void)state;
	crash_twice();
	assert_int_equal(loadlock_clear(&sight.now, true, &n, NULL), 0);
	start();
	assert_int_equal(told(), MODULE_LOCK_OPEN);
	start();
	assert_int_equal(events("module.unlock while the service did not run: "
				"2 crashes cleared",
				"info"),
			 1);
}

/* ---- what health and the log say ---- */

static json_int_t code_of(json_t *data, const char *field)
{
	return json_integer_value(json_object_get(data, field));
}

static void assert_codes(json_t *data, json_int_t antimalware)
{
	assert_int_equal(code_of(data, "kernelStatus"), 20003);
	assert_int_equal(code_of(data, "antimalwareStatus"), antimalware);
	assert_int_equal(code_of(data, "generalStatus"), 0);
	assert_int_equal(code_of(data, "patternStatus"), 0);
	assert_int_equal(code_of(data, "networkStatus"), 0);
	assert_int_equal(code_of(data, "consoleStatus"), 0);
}

static void assert_says(json_t *data, const char *overall, const char *oper)
{
	assert_string_equal(json_string_value(json_object_get(data, "overall")),
			    overall);
	assert_string_equal(
		json_string_value(json_object_get(data, "operational")), oper);
}

static void held_back_the_codes_are_20003_where_it_holds(void **state)
{
	json_t *data, *issues;

	(void)state;
	crash_twice();
	atomic_store(&core.sb->interceptor, INTERCEPTOR_ASYNC);
	data = health_json(&core);
	assert_codes(data, 20003);
	assert_says(data, "Partially protected", "Kernel Module Locked");
	issues = json_object_get(data, "health_issues");
	assert_int_equal(json_array_size(issues), 1);
	assert_int_equal(code_of(json_array_get(issues, 0), "code"), 20003);
	assert_string_equal(
		json_string_value(json_object_get(
			json_object_get(data, "load_lock"), "state")),
		"locked");
	json_decref(data);
	/* opens are held by the other means: only the module is held back */
	atomic_store(&core.sb->interceptor, INTERCEPTOR_FANOTIFY);
	set_conf("WhenLocked", "fanotify");
	data = health_json(&core);
	assert_codes(data, 0);
	assert_says(data, "Partially protected", "Kernel Module Locked");
	json_decref(data);
	atomic_store(&core.sb->interceptor, INTERCEPTOR_OFF);
	set_conf("WhenLocked", "off");
	data = health_json(&core);
	assert_codes(data, 20003);
	assert_says(data, "Unprotected", "Kernel Module Locked");
	json_decref(data);
}

static void the_log_has_the_codes_as_json_when_they_change(void **state)
{
	static const char line[] =
		"status overall=\"Partially protected\" "
		"operational=\"Kernel Module Locked\" "
		"codes={\"antimalwareStatus\": 20003, \"consoleStatus\": 0, "
		"\"generalStatus\": 0, \"kernelStatus\": 20003, "
		"\"networkStatus\": 0, \"patternStatus\": 0}\n";
	int fd = memfd_create("log", MFD_CLOEXEC);
	struct log_sinks sinks = {.fd = -1, .file_fd = fd};
	char text[8192] = "", *at;

	(void)state;
	log_init("splx", &sinks, LOG_LVL_INFO);
	health_watch(&core);
	crash_twice();
	atomic_store(&core.sb->interceptor, INTERCEPTOR_ASYNC);
	for (int i = 0; i < 5; i++)
		health_watch(&core);
	assert_true(pread(fd, text, sizeof(text) - 1, 0) > 0);
	at = strstr(text, line);
	assert_non_null(at);
	assert_null(strstr(at + 1, line));
	assert_non_null(strstr(text, "operational=\"Functional\""));
	sinks = (struct log_sinks){.fd = -1, .file_fd = -1};
	log_init("splx", &sinks, LOG_LVL_INFO);
	close(fd);
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
		T(vsapiapp_is_let_in_when_the_start_is_written),
		T(without_a_module_nothing_is_written),
		T(a_module_that_is_not_wanted_has_no_start),
		T(each_crash_becomes_one_event_and_two_hold_the_module),
		T(it_is_held_also_when_nobody_could_load_it),
		T(it_stays_held_while_time_goes_by_until_somebody_acts),
		T(what_is_in_use_is_not_judged_again),
		T(a_core_that_comes_back_ends_what_another_began),
		T(a_core_that_comes_back_goes_on_holding_it),
		T(a_clock_that_is_set_is_seen_and_the_file_keeps_ages),
		T(a_clock_that_is_set_before_the_module_is_wanted_counts_too),
		T(a_start_that_was_removed_is_written_again),
		T(what_cannot_be_written_is_told_and_tried_again),
		T(an_unlocking_without_the_service_is_audited_at_its_start),
		T(held_back_the_codes_are_20003_where_it_holds),
		T(the_log_has_the_codes_as_json_when_they_change),
	};

	alarm(120);
	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
