/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/* The start order made where links or chkconfig make it: plans, what they do
 * to a tree, and how it is undone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>

#include "orderbed.h"

static const char known[] =
	"[abc]\nProduct = ABC\n[def]\nProduct = DEF\n"
	"[restless]\nProduct = Restless\nRestartsItself = \"at night\"\n";

static int teardown(void **state)
{
	forget();
	return bed_teardown(state);
}

/* Makes a plan of "--after", "--early" and a runlevel. */
static int make(const char *after, bool early, char level)
{
	struct order_wish wish = {after, level, early};

	forget();
	v.boot = boot_read(bed);
	v.list = conflist_parse(known, "conflicts.conf");
	v.level = boot_level(v.boot);
	v.deps = v.level ? bootdeps_new(v.boot, v.level, NULL) : NULL;
	conflicts_find(v.boot, v.deps, v.list, NULL, &v.found);
	return order_plan(&v, &wish, &plan, &err);
}

static void apply(const char *after, bool early, char level)
{
	if (make(after, early, level) < 0 || order_apply(&plan, &err) < 0)
		fail_msg("%s", err.text);
}

static void refused(const char *why)
{
	if (!strstr(err.text, why))
		fail_msg("%s, not %s", err.text, why);
}

#define START(level, want) assert_string_equal(bed_rc(level, 'S'), want)
#define STOP(level, want) assert_string_equal(bed_rc(level, 'K'), want)

/* As in the support case: splx first of all, abc at 90. */
static void the_case(void)
{
	bed_links("splx", 1, 99);
	bed_script("abc", "", "");
	bed_links("abc", 90, 10);
}

static void splx_goes_right_behind_the_service(void **state)
{
	the_case();
	apply(NULL, false, 0);
	START('2', "S90abc S91splx");
	START('5', "S90abc S91splx");
	STOP('1', "K09splx K10abc");
	STOP('0', "K09splx K10abc");
}

static void in_one_runlevel_when_it_is_named(void **state)
{
	the_case();
	apply("abc", false, '3');
	START('3', "S90abc S91splx");
	START('2', "S01splx S90abc");
}

static void early_brings_both_to_the_front(void **state)
{
	the_case();
	apply("abc", true, '3');
	START('3', "S01abc S02splx");
	START('2', "S01splx S90abc");
	apply(NULL, true, 0);
	START('2', "S01abc S02splx");
	/* from a late place too */
	apply("abc", false, 0);
	START('2', "S01abc S02splx");
}

static void done_again_nothing_changes(void **state)
{
	the_case();
	apply(NULL, false, 0);
	assert_int_equal(make(NULL, false, 0), 0);
	assert_int_equal(plan.steps.len, 0);
	assert_int_equal(make("abc", false, '3'), 0);
	assert_int_equal(plan.steps.len, 0);
	apply("abc", true, 0);
	assert_int_equal(make("abc", true, 0), 0);
	assert_int_equal(plan.steps.len, 0);
	assert_int_equal(plan.notes.len, 0);
}

static void a_plan_alone_changes_nothing(void **state)
{
	the_case();
	assert_int_equal(make(NULL, false, 0), 0);
	assert_int_equal(plan.steps.len, 7);
	assert_string_equal(plan.steps.items[0].path, "/etc/rc2.d/S01splx");
	assert_string_equal(plan.steps.items[0].to, "/etc/rc2.d/S91splx");
	START('3', "S01splx S90abc");
	STOP('1', "K10abc K99splx");
}

static void equal_numbers_go_by_name(void **state)
{
	bed_links("splx", 90, 10);
	bed_script("abc", "", "");
	bed_script("zzz", "", "");
	bed_links("abc", 90, 10);
	bed_links("zzz", 90, 10);
	assert_int_equal(make("abc", false, 0), 0);
	START('3', "S90abc S90splx S90zzz");
	apply("zzz", false, 0);
	START('3', "S90abc S90zzz S91splx");
	/* stopped before zzz it is, by the same rule */
	STOP('1', "K10abc K10splx K10zzz");
}

static void several_services_are_all_before(void **state)
{
	the_case();
	bed_script("def", "", "");
	bed_links("def", 95, 5);
	apply("abc,def", false, 0);
	START('3', "S90abc S95def S96splx");
	STOP('1', "K04splx K05def K10abc");
}

static void behind_the_last_of_all_there_is_no_place(void **state)
{
	bed_links("splx", 1, 99);
	bed_script("abc", "", "");
	bed_links("abc", 99, 0);
	apply("abc", false, 0);
	START('3', "S99abc S99splx");
	bed_script("zzz", "", "");
	bed_links("zzz", 99, 0);
	assert_int_equal(make("zzz", false, 0), -1);
	refused("starts last of all in runlevel 2 (S99zzz)");
	refused("--early");
	apply("zzz", true, 0);
	START('3', "S01zzz S99abc S99splx");
}

static void one_that_is_stopped_first_of_all_is_told(void **state)
{
	bed_links("splx", 1, 99);
	bed_script("abc", "", "");
	bed_links("abc", 90, 0);
	apply("abc", false, 0);
	STOP('1', "K00abc K00splx");
	assert_int_equal(plan.notes.len, 1);
	assert_non_null(strstr(plan.notes.items[0], "stopped first of all"));
}

static void early_is_not_earlier_than_its_header_allows(void **state)
{
	the_case();
	bed_script("net", "", "");
	bed_links("net", 20, 80);
	bed_script("abc", "net", "");
	apply("abc", true, 0);
	START('3', "S20net S21abc S22splx");
	assert_int_equal(plan.notes.len, 0);
}

static void early_tells_when_a_service_says_nothing_of_its_needs(void **state)
{
	the_case();
	bed_put("/etc/init.d/abc", "#!/bin/sh\n", 0755);
	apply("abc", true, 0);
	assert_int_equal(plan.notes.len, 1);
	assert_non_null(strstr(plan.notes.items[0], "no LSB header"));
}

static void early_leaves_no_other_conflict_behind(void **state)
{
	the_case();
	bed_script("def", "", "");
	bed_links("def", 95, 5);
	apply("abc,def", false, 0);
	apply("abc", true, 0);
	START('3', "S01abc S95def S96splx");
	assert_non_null(strstr(plan.notes.items[0], "stays behind def"));
}

static void who_wants_splx_before_is_named(void **state)
{
	the_case();
	bed_script("mail", "splx", "");
	bed_links("mail", 50, 50);
	assert_int_equal(make("abc", false, 0), 0);
	assert_non_null(strstr(plan.notes.items[0],
			       "mail asks to be started after splx"));
}

/* ---- refusals ---- */

static void one_that_restarts_itself_is_refused_with_the_reason(void **state)
{
	bed_links("splx", 1, 99);
	bed_script("restless", "", "");
	bed_links("restless", 90, 10);
	assert_int_equal(make("restless", false, 0), -1);
	refused("restarts itself at night");
	refused("Only remedy 1");
	assert_int_equal(make(NULL, false, 0), -1);
	refused("order is no remedy here: restless restarts itself");
	/* beside another one it is left out, and that is told */
	bed_script("abc", "", "");
	bed_links("abc", 80, 20);
	apply(NULL, false, 0);
	START('3', "S80abc S81splx S90restless");
	assert_int_equal(plan.left.len, 1);
	assert_non_null(strstr(plan.left.items[0], "restless restarts"));
}

static void what_cannot_be_meant_is_refused(void **state)
{
	the_case();
	bed_script("off", "", "");
	assert_int_equal(make("nobody", false, 0), -1);
	refused("no such init script");
	assert_int_equal(make("splx", false, 0), -1);
	refused("after itself");
	assert_int_equal(make("off", false, 0), -1);
	refused("no runlevel starts both");
	assert_int_equal(make(",", false, 0), -1);
	refused("names no service");
	assert_int_equal(make("abc", false, 'S'), -1);
	refused("not started in runlevel S");
	START('3', "S01splx S90abc");
}

static void without_a_conflict_nothing_is_done(void **state)
{
	bed_links("splx", 1, 99);
	assert_int_equal(make(NULL, false, 0), 0);
	assert_int_equal(plan.steps.len, 0);
	assert_non_null(strstr(plan.notes.items[0], "no service is known"));
}

static void without_links_of_ours_it_is_refused(void **state)
{
	bed_script("abc", "", "");
	bed_links("abc", 90, 10);
	assert_int_equal(make(NULL, false, 0), -1);
	refused("not installed as a service");
}

static void two_links_of_one_service_are_for_a_person(void **state)
{
	the_case();
	bed_link('3', "S50splx");
	assert_int_equal(make("abc", false, 0), -1);
	refused("splx has two links in /etc/rc3.d, S01splx and S50splx");
}

static void systemd_is_told_by_its_own_words(void **state)
{
	the_case();
	bed_put("/run/systemd/system/x", "", 0644);
	assert_int_equal(make("abc", false, 0), -1);
	refused("After=abc.service");
}

static void renaming_is_refused_where_startpar_would_not_see_it(void **state)
{
	the_case();
	bed_put("/etc/init.d/.depend.boot", "TARGETS = x\n", 0644);
	bed_put("/etc/init.d/.depend.stop", "TARGETS = x\n", 0644);
	bed_put("/etc/init.d/.depend.start", "TARGETS = x\n", 0644);
	assert_int_equal(make("abc", false, 0), -1);
	refused(".legacy-bootordering");
	bed_put("/etc/init.d/.legacy-bootordering", "", 0644);
	apply("abc", false, 0);
	START('3', "S90abc S91splx");
}

/* ---- what goes wrong on the way ---- */

static void what_fails_half_way_is_undone(void **state)
{
	the_case();
	assert_int_equal(make(NULL, false, 0), 0);
	/* somebody puts a link where ours is to go, meanwhile */
	bed_put("/etc/rc5.d/S91splx", "in the way", 0644);
	assert_int_equal(order_apply(&plan, &err), -1);
	refused("nothing is changed, all is put back");
	START('2', "S01splx S90abc");
	START('3', "S01splx S90abc");
	START('5', "S01splx S90abc S91splx");
	STOP('1', "K10abc K99splx");
	assert_string_equal(bed_text("/etc/rc5.d/S91splx"), "in the way");
}

static void a_result_that_is_not_right_is_undone(void **state)
{
	the_case();
	assert_int_equal(make(NULL, false, 0), 0);
	/* another service went away, and abc behind splx, meanwhile */
	assert_int_equal(rename(bed_path("/etc/rc3.d/S90abc"),
				bed_path("/etc/rc3.d/S95abc")),
			 0);
	assert_int_equal(order_apply(&plan, &err), -1);
	refused("abc would not start before splx in runlevel 3");
	START('2', "S01splx S90abc");
	assert_non_null(strstr(bed_rc('3', 'S'), "S01splx"));
}

static void two_at_a_time_do_not_work_on_it(void **state)
{
	char command[256];
	FILE *f;

	the_case();
	assert_int_equal(make(NULL, false, 0), 0);
	bed_put("/run/splx/order.lock", "", 0600);
	snprintf(command, sizeof(command),
		 "exec flock %s/run/splx/order.lock sh -c 'echo; read x'", bed);
	f = popen(command, "w");
	assert_non_null(f);
	for (int i = 0; i < 200; i++) {
		usleep(10000);
		if (order_apply(&plan, &err) < 0)
			break;
		make("abc", i % 2 == 0, 0);
	}
	refused("another splxctl order apply is at work");
	pclose(f);
}

/* ---- chkconfig ---- */

static void the_case_of_chkconfig(void)
{
	bed_put("/sbin/chkconfig", "", 0755);
	the_case();
	bed_put("/etc/init.d/abc",
		"#!/bin/sh\n# chkconfig: 345 90 10\n# description: abc\n",
		0755);
	bed_put("/etc/init.d/splx",
		"#!/bin/sh\n# chkconfig: 2345 01 99\n"
		"### BEGIN INIT INFO\n# Provides: splx\n"
		"# Required-Start: $local_fs\n# Required-Stop:\n"
		"# Default-Start: 2 3 4 5\n# Default-Stop: 0 1 6\n"
		"### END INIT INFO\n",
		0755);
}

static void chkconfig_gets_the_numbers_too(void **state)
{
	const char *text;

	the_case_of_chkconfig();
	apply(NULL, false, 0);
	START('3', "S90abc S91splx");
	STOP('1', "K09splx K10abc");
	text = bed_text("/etc/chkconfig.d/splx");
	assert_non_null(strstr(text, "\n# chkconfig: 2345 91 09\n"));
	assert_non_null(strstr(text, "# Should-Start:      abc\n"));
	assert_non_null(strstr(text, "# Should-Stop:       abc\n"));
	assert_string_equal(bed_text("/etc/chkconfig.d/abc"), "");
	assert_int_equal(make(NULL, false, 0), 0);
	assert_int_equal(plan.steps.len, 0);
}

static void what_was_asked_for_before_is_kept(void **state)
{
	the_case_of_chkconfig();
	bed_script("def", "", "");
	bed_links("def", 95, 5);
	apply("abc", false, 0);
	apply("def", false, 0);
	START('3', "S90abc S95def S96splx");
	assert_non_null(strstr(bed_text("/etc/chkconfig.d/splx"),
			       "# Should-Start:      abc def\n"));
}

static void chkconfigs_one_number_holds_in_all_runlevels(void **state)
{
	the_case_of_chkconfig();
	apply("abc", false, '3');
	START('3', "S90abc S91splx");
	START('2', "S90abc S91splx");
	assert_non_null(strstr(plan.notes.items[0], "one number"));
}

static void early_with_chkconfig_overrides_both(void **state)
{
	the_case_of_chkconfig();
	bed_put("/etc/chkconfig.d/abc",
		"# mine\n# chkconfig: 35 90 10\n# description: x\n", 0644);
	apply("abc", true, 0);
	START('3', "S01abc S02splx");
	/* the administrator's own words stay */
	assert_string_equal(bed_text("/etc/chkconfig.d/abc"),
			    "# mine\n# chkconfig: 35 01 10\n"
			    "# description: x\n");
	assert_non_null(strstr(bed_text("/etc/chkconfig.d/splx"),
			       "\n# chkconfig: 2345 02 09\n"));
	assert_int_equal(make("abc", true, 0), 0);
	assert_int_equal(plan.steps.len, 0);
}

static void an_override_of_the_administrators_keeps_its_words(void **state)
{
	the_case_of_chkconfig();
	bed_put("/etc/chkconfig.d/splx", "# mine\n#chkconfig: 35 05 95\n",
		0644);
	apply("abc", false, 0);
	assert_string_equal(bed_text("/etc/chkconfig.d/splx"),
			    "# mine\n# chkconfig: 35 91 09\n");
}

#define T(name) cmocka_unit_test_setup_teardown(name, bed_setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(splx_goes_right_behind_the_service),
		T(in_one_runlevel_when_it_is_named),
		T(early_brings_both_to_the_front),
		T(done_again_nothing_changes),
		T(a_plan_alone_changes_nothing),
		T(equal_numbers_go_by_name),
		T(several_services_are_all_before),
		T(behind_the_last_of_all_there_is_no_place),
		T(one_that_is_stopped_first_of_all_is_told),
		T(early_is_not_earlier_than_its_header_allows),
		T(early_tells_when_a_service_says_nothing_of_its_needs),
		T(early_leaves_no_other_conflict_behind),
		T(who_wants_splx_before_is_named),
		T(one_that_restarts_itself_is_refused_with_the_reason),
		T(what_cannot_be_meant_is_refused),
		T(without_a_conflict_nothing_is_done),
		T(without_links_of_ours_it_is_refused),
		T(two_links_of_one_service_are_for_a_person),
		T(systemd_is_told_by_its_own_words),
		T(renaming_is_refused_where_startpar_would_not_see_it),
		T(what_fails_half_way_is_undone),
		T(a_result_that_is_not_right_is_undone),
		T(two_at_a_time_do_not_work_on_it),
		T(chkconfig_gets_the_numbers_too),
		T(what_was_asked_for_before_is_kept),
		T(chkconfigs_one_number_holds_in_all_runlevels),
		T(early_with_chkconfig_overrides_both),
		T(an_override_of_the_administrators_keeps_its_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
