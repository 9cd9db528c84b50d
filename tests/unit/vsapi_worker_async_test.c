/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/* Back workers in async mode: what is used is examined after the fact. */
#include "vsapi_workerbed.h"

#define LARGE (1 << 20) /* from here on a closed file is kept back a little */
#define SETTLE_NS (30 * CLOCK_NS_PER_MS)

static void watch(uint32_t what)
{
	struct err err;

	if (fangroup_mark(notify, FANGROUP_FILESYSTEM, what, false, AT_FDCWD,
			  fs, &err) < 0)
		fail_msg("%s", err.text);
}

/* An infected one, made while nobody watches. */
static void make_bad(const char *name, size_t size, const char *head)
{
	fangroup_flush_all(notify);
	run("printf '%s%%s%%s\\n' '%.20s' '%s' >%s", head, marker(),
	    marker() + 20, in_fs(name));
	if (size)
		run("truncate -s %zu %s", size, in_fs(name));
	run("chmod 755 %s", in_fs(name));
}

static int set_up_async(void **state)
{
	*state = (void *)(uintptr_t) "back";
	bed_async = true;
	return set_up(state);
}

static void assert_async(const struct finding *f, enum finding_use use)
{
	assert_int_equal(f->source, SOURCE_ASYNC);
	assert_int_equal(f->use, use);
	assert_int_equal(f->denied, 0);
	assert_true(f->exposed_ns >= f->scan_ns);
	assert_true(f->exposed_ns < 20 * CLOCK_NS_PER_S);
}

static void what_is_opened_is_examined_and_nobody_waits(void **state)
{
	struct finding f;

	(void)state;
	make_bad("bad", 0, "");
	watch(FANGROUP_OPEN | FANGROUP_EXEC | FANGROUP_CLOSE);
	start_worker(SLOT_BACK);
	run("cat %s >/dev/null", in_fs("bad"));
	expect_finding(&f);
	assert_async(&f, USE_OPENED);
	assert_string_equal(f.path, in_fs("bad"));
	assert_true(f.pid > 0);
}

static void what_is_executed_is_told_as_executed(void **state)
{
	struct finding f;

	(void)state;
	make_bad("prog", 0, "#!/bin/true\\n");
	watch(FANGROUP_EXEC); /* opens alone are another class */
	start_worker(SLOT_BACK);
	run("cat %s >/dev/null", in_fs("prog"));
	run("%s", in_fs("prog"));
	expect_finding(&f);
	assert_async(&f, USE_EXECUTED);
}

static void an_execution_among_opens_is_an_execution(void **state)
{
	struct finding f;

	(void)state;
	make_bad("prog", 0, "#!/bin/true\\n");
	watch(FANGROUP_OPEN | FANGROUP_EXEC);
	start_worker(SLOT_BACK);
	run("%s", in_fs("prog"));
	expect_finding(&f);
	assert_async(&f, USE_EXECUTED);
}

static void what_is_written_is_examined_when_closed(void **state)
{
	struct finding f;

	(void)state;
	fangroup_flush_all(notify);
	watch(FANGROUP_CLOSE);
	start_worker(SLOT_BACK);
	run("printf '%%s%%s' '%.20s' '%s' >%s", marker(), marker() + 20,
	    in_fs("bad"));
	expect_finding(&f);
	assert_async(&f, USE_WRITTEN);
}

static void a_large_file_in_use_is_not_kept_back(void **state)
{
	uint64_t best = UINT64_MAX;
	struct finding f;

	(void)state;
	need_disk();
	make_bad("large", LARGE, "");
	watch(FANGROUP_OPEN);
	start_worker(SLOT_BACK);
	for (int i = 0; i < 5; i++) {
		run("cat %s >/dev/null", in_fs("large"));
		expect_finding(&f);
		assert_async(&f, USE_OPENED);
		if (f.exposed_ns < best)
			best = f.exposed_ns;
	}
	assert_true(best < SETTLE_NS);
}

static void drain(void)
{
	struct finding f;
	int fd;

	while (next_finding_within(&f, &fd, 300))
		close(fd);
}

/* Written and closed it is kept back; before its time somebody opens it. */
static void who_opens_a_file_that_is_kept_back_has_it_examined(void **state)
{
	struct finding f = {.use = USE_NONE};

	(void)state;
	need_disk();
	make_bad("large", LARGE, "");
	start_worker(SLOT_BACK);
	for (int i = 0; i < 20 && f.use != USE_OPENED; i++) {
		fangroup_flush_all(notify);
		drain();
		watch(FANGROUP_CLOSE);
		run(": >>%s", in_fs("large"));
		watch(FANGROUP_OPEN);
		run("cat %s >/dev/null", in_fs("large"));
		expect_finding(&f); /* the first of the two */
	}
	assert_int_equal(f.use, USE_OPENED);
}

static void outside_async_mode_there_is_no_exposure(void **state)
{
	struct finding f;

	(void)state;
	bed_async = false;
	start_worker(SLOT_BACK);
	run("printf '%%s%%s' '%.20s' '%s' >%s", marker(), marker() + 20,
	    in_fs("bad"));
	expect_finding(&f);
	assert_int_equal(f.source, SOURCE_CLOSE);
	assert_int_equal(f.use, USE_NONE);
	assert_int_equal(f.exposed_ns, 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, set_up_async, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(what_is_opened_is_examined_and_nobody_waits),
		T(what_is_executed_is_told_as_executed),
		T(an_execution_among_opens_is_an_execution),
		T(what_is_written_is_examined_when_closed),
		T(a_large_file_in_use_is_not_kept_back),
		T(who_opens_a_file_that_is_kept_back_has_it_examined),
		T(outside_async_mode_there_is_no_exposure),
	};

	fs_on_disk = true;
	return cmocka_run_group_tests(tests, set_up_group, tear_down_group);
}
