/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/* Which rung of the ladder serves; with the whole of vsapiapp. */
#include "vsapi_bed.h"

#include "common/codes.h"

static uint64_t old_findings;
static bool findings_grew(void)
{
	return scoreboard_count(sb, COUNTER_FINDINGS) > old_findings;
}

static void test_the_interceptor_is_switched_at_run_time(void **state)
{
	const char *bad = put_eicar(prot, "bad.com");

	assert_int_equal(opens(bad), EPERM);
	hup("Interceptor = \"off\"\n");
	assert_int_equal(opens(bad), 0);
	assert_int_equal(atomic_load(&sb->interceptor), INTERCEPTOR_OFF);
	hup("Interceptor = \"async\"\n");
	assert_int_equal(atomic_load(&sb->interceptor), INTERCEPTOR_ASYNC);
	settle(300);
	old_findings = scoreboard_count(sb, COUNTER_FINDINGS);
	assert_int_equal(opens(bad), 0);
	assert_true(wait_until(findings_grew, 10000));
	hup("RealtimeScan = 4\n");
	assert_int_equal(opens(bad), 0); /* executions alone */
	hup("RealtimeScan = 1\n");
	settle(300);
	old_findings = scoreboard_count(sb, COUNTER_FINDINGS);
	put_eicar(prot, "closed.com");
	assert_true(wait_until(findings_grew, 10000));
	hup("Interceptor = \"khm\"\n");
	assert_int_equal(opens(bad), EPERM);
}

static bool reason_is_told(int code)
{
	json_t *state = state_read(NULL), *e;
	bool found = false;
	size_t i;

	json_array_foreach (json_object_get(state, "reasons"), i, e)
		if (json_integer_value(json_object_get(e, "code")) == code)
			found = true;
	json_decref(state);
	return found;
}

static bool told_locked(void)
{
	return reason_is_told(STATUS_LOCKED);
}

static bool told_not_locked(void)
{
	return !reason_is_told(STATUS_LOCKED);
}

static void test_a_locked_module_leaves_what_WhenLocked_says(void **state)
{
	const char *bad = put_eicar(prot, "bad.com");

	assert_int_equal(opens(bad), EPERM);
	atomic_store(&sb->module_lock, MODULE_LOCK_LOCKED);
	hup("Interceptor = \"auto\"\n"); /* async is the default */
	assert_int_equal(atomic_load(&sb->interceptor), INTERCEPTOR_ASYNC);
	assert_true(wait_until(told_locked, 10000));
	settle(300);
	old_findings = scoreboard_count(sb, COUNTER_FINDINGS);
	assert_int_equal(opens(bad), 0);
	assert_true(wait_until(findings_grew, 10000));
	hup("WhenLocked = \"fanotify\"\n");
	assert_int_equal(atomic_load(&sb->interceptor), INTERCEPTOR_FANOTIFY);
	assert_int_equal(opens(bad), EPERM);
	hup("WhenLocked = \"off\"\n");
	assert_int_equal(atomic_load(&sb->interceptor), INTERCEPTOR_OFF);
	assert_int_equal(opens(bad), 0);
	/* off is what was asked for: no fault */
	assert_int_equal(atomic_load(&sb->master_state), MASTER_READY);
	assert_false(told(STATUS_NO_FANOTIFY));
	/* the lock is no matter to who does not want the module */
	hup("Interceptor = \"fanotify\"\nWhenLocked = \"off\"\n");
	assert_int_equal(atomic_load(&sb->interceptor), INTERCEPTOR_FANOTIFY);
	assert_true(wait_until(told_not_locked, 10000));
	/* unlocked, the usual ladder is back */
	atomic_store(&sb->module_lock, MODULE_LOCK_UNJUDGED);
	hup("WhenLocked = \"off\"\n");
	assert_int_equal(atomic_load(&sb->interceptor), INTERCEPTOR_FANOTIFY);
	assert_int_equal(opens(bad), EPERM);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(test_the_interceptor_is_switched_at_run_time),
		T(test_a_locked_module_leaves_what_WhenLocked_says),
	};

	bed_args(argc, argv);
	return cmocka_run_group_tests(tests, setup_group, teardown_group);
}
