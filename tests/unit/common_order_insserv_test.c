/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/*
 * The start order where insserv makes it. insserv itself is met in the virtual
 * machines (tests/vm/test_order.py); here a script stands in its place that
 * does as much of its work as these promises need, and fails when told to. It
 * is run as the real one is: with the tree as its root, on a copy first.
 */
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mount.h>

#include <cmocka.h>
#include <jansson.h>

#include "orderbed.h"

#define OVERRIDE "/etc/insserv/overrides/splx"

/*
 * Numbers splx 02 when its header names somebody to come after, else 01, and
 * writes who splx is to come after. /run counts its runs: the first is the
 * rehearsal, the second what counts. /told-N is sourced in run N.
 */
static const char insserv[] =
	"#!/bin/sh\n"
	"echo x >>/runs\n"
	"n=0; while read -r _; do n=$((n + 1)); done </runs\n"
	"h=" OVERRIDE "; [ -e $h ] || h=/etc/init.d/splx\n"
	"after=$(sed -n 's/^# Should-Start: *//p' $h)\n"
	"number=01; [ -z \"$after\" ] || number=02\n"
	"for l in 2 3 4 5; do\n"
	"	[ -e /etc/rc$l.d/S${number}splx ] ||\n"
	"		mv /etc/rc$l.d/S??splx /etc/rc$l.d/S${number}splx\n"
	"done\n"
	"echo \"splx: $after\" >/etc/init.d/.depend.start\n"
	"[ ! -e /told-$n ] || . /told-$n\n";

/* The machine's own programs, to be found in the tree. */
static void bring(const char *name)
{
	const char *to = bed_path(name);
	struct stat st;
	char target[128];
	ssize_t n;

	if (lstat(name, &st) < 0)
		return;
	if (S_ISLNK(st.st_mode)) {
		n = readlink(name, target, sizeof(target) - 1);
		assert_true(n > 0);
		target[n] = '\0';
		assert_int_equal(symlink(target, to), 0);
		return;
	}
	assert_int_equal(mkdir(to, 0755), 0);
	assert_int_equal(mount(name, to, NULL, MS_BIND, NULL), 0);
	/* nothing that removes the tree may get at them */
	assert_int_equal(
		mount(NULL, to, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL),
		0);
}

static bool is_gone(const char *name)
{
	struct stat here, there;

	return lstat(bed_path(name), &there) < 0 || S_ISLNK(there.st_mode) ||
	       (stat(name, &here) == 0 && here.st_ino != there.st_ino);
}

static int setup(void **state)
{
	if (bed_setup(state) < 0)
		return -1;
	bring("/bin");
	bring("/usr");
	bring("/lib");
	bring("/lib64");
	bed_insserv();
	bed_put("/sbin/insserv", insserv, 0755);
	bed_put("/etc/init.d/.depend.boot", "TARGETS = x\n", 0644);
	bed_put("/etc/init.d/.depend.stop", "TARGETS = x\n", 0644);
	bed_put("/etc/init.d/.depend.start", "splx:\n", 0644);
	bed_script("abc", "$remote_fs", "");
	bed_script("cron", "$remote_fs", "");
	bed_links("splx", 1, 1);
	bed_links("abc", 1, 1);
	bed_links("cron", 2, 1);
	return 0;
}

static int teardown(void **state)
{
	static const char *const names[] = {"/bin", "/usr", "/lib", "/lib64"};
	size_t i;

	forget();
	for (i = 0; i < 4; i++) {
		umount2(bed_path(names[i]), MNT_DETACH | UMOUNT_NOFOLLOW);
		if (!is_gone(names[i]))
			return -1;
	}
	return bed_teardown(state);
}

static int make(const char *after, bool early, char level)
{
	struct order_wish wish = {after, level, early};

	forget();
	unlink(bed_path("/runs"));
	v.boot = boot_read(bed);
	v.list = conflist_parse("[abc]\nProduct = ABC\n", "conflicts.conf");
	v.level = boot_level(v.boot);
	v.deps = bootdeps_new(v.boot, v.level, NULL);
	conflicts_find(v.boot, v.deps, v.list, NULL, &v.found);
	return order_plan(&v, &wish, &plan, &err);
}

static void apply(const char *after)
{
	if (make(after, false, 0) < 0 || order_apply(&plan, &err) < 0)
		fail_msg("%s", err.text);
}

static void refused(const char *why)
{
	if (!strstr(err.text, why))
		fail_msg("%s, not %s", err.text, why);
}

#define START(level, want) assert_string_equal(bed_rc(level, 'S'), want)

/* All is as it was at first. */
static void untouched(void)
{
	START('2', "S01abc S01splx S02cron");
	START('3', "S01abc S01splx S02cron");
	assert_string_equal(bed_rc('1', 'K'), "K01abc K01cron K01splx");
	assert_string_equal(bed_text(OVERRIDE), "");
	assert_string_equal(bed_text("/etc/init.d/.depend.start"), "splx:\n");
}

static bool has_line(const char *line)
{
	return strstr(bed_text(OVERRIDE), line) != NULL;
}

/* ---- what is done ---- */

static void an_override_names_the_service_and_keeps_the_rest(void **state)
{
	apply(NULL);
	START('3', "S01abc S02cron S02splx");
	assert_true(has_line("\n# Should-Start:      abc\n"));
	assert_true(has_line("\n# Should-Stop:       abc\n"));
	assert_true(has_line("\n# Required-Start:    $local_fs\n"));
	assert_true(has_line("# X-Start-Before:    cron ssh apache2 nginx\n"));
	assert_true(has_line("\n# Default-Start:     2 3 4 5\n"));
	assert_int_equal(plan.notes.len, 0);
}

static void a_plan_foretells_every_link_and_changes_none(void **state)
{
	assert_int_equal(make(NULL, false, 0), 0);
	assert_int_equal(plan.steps.len, 6);
	assert_int_equal(plan.steps.items[0].what, ORDER_WRITE);
	assert_int_equal(plan.steps.items[1].what, ORDER_RUN);
	assert_true(plan.steps.items[2].by_tool);
	assert_string_equal(plan.steps.items[2].path, "/etc/rc2.d/S01splx");
	assert_string_equal(plan.steps.items[2].to, "/etc/rc2.d/S02splx");
	untouched();
	/* nothing is left of the rehearsal */
	assert_int_equal(rmdir(bed_path("/run/splx")), 0);
}

static void done_again_nothing_changes(void **state)
{
	apply(NULL);
	assert_int_equal(make(NULL, false, 0), 0);
	assert_int_equal(plan.steps.len, 0);
	assert_int_equal(make("abc", false, 0), 0);
	assert_int_equal(plan.steps.len, 0);
}

static void what_was_asked_for_before_is_kept_while_it_is_there(void **state)
{
	bed_script("def", "", "");
	bed_links("def", 1, 1);
	apply("abc");
	apply("def");
	assert_true(has_line("# Should-Start:      abc def\n"));
	assert_int_equal(unlink(bed_path("/etc/init.d/abc")), 0);
	bed_script("ghi", "", "");
	bed_links("ghi", 1, 1);
	assert_int_equal(make("ghi", false, 0), 0);
	assert_non_null(strstr(plan.steps.items[0].text,
			       "# Should-Start:      def ghi\n"));
}

static void a_service_is_named_by_what_it_provides(void **state)
{
	bed_put("/etc/init.d/abc",
		"### BEGIN INIT INFO\n# Provides: scanner other\n"
		"# Required-Start:\n# Required-Stop:\n# Default-Start: 3\n"
		"# Default-Stop:\n### END INIT INFO\n",
		0755);
	/* whose script that is, the stand-in does not know */
	bed_put("/told-1", "echo splx: abc >/etc/init.d/.depend.start\n", 0644);
	assert_int_equal(make("abc", false, 0), 0);
	assert_non_null(strstr(plan.steps.items[0].text,
			       "# Should-Start:      scanner\n"));
}

static void who_has_to_come_before_the_service_is_no_longer_after_us(
	void **state)
{
	bed_script("abc", "cron", "");
	apply(NULL);
	assert_true(has_line("# X-Start-Before:    ssh apache2 nginx\n"));
	assert_int_equal(plan.notes.len, 1);
	assert_non_null(strstr(plan.notes.items[0],
			       "splx starts before cron no longer: abc has to "
			       "start after cron (abc: Required-Start: cron)"));
}

static void over_another_service_it_is_the_same(void **state)
{
	bed_script("mid", "cron", "");
	bed_links("mid", 3, 1);
	bed_script("abc", "mid", "");
	apply(NULL);
	assert_true(has_line("# X-Start-Before:    ssh apache2 nginx\n"));
}

static void the_service_itself_is_dropped_without_a_word(void **state)
{
	bed_script("splx", "$local_fs", "# X-Start-Before:    abc\n");
	apply(NULL);
	assert_false(has_line("X-Start-Before"));
	assert_int_equal(plan.notes.len, 0);
}

static void a_service_that_stops_before_us_by_its_own_word_does(void **state)
{
	bed_script("abc", "$remote_fs", "# Should-Stop:       splx\n");
	apply(NULL);
	assert_true(has_line("# Should-Start:      abc\n"));
	assert_false(has_line("Should-Stop"));
}

static void a_changed_header_makes_the_override_stale(void **state)
{
	struct boot *b;

	apply(NULL);
	b = boot_read(bed);
	assert_false(order_is_stale(b));
	boot_free(&b);
	bed_script("splx", "$local_fs $time", "");
	b = boot_read(bed);
	assert_true(order_is_stale(b));
	boot_free(&b);
	apply(NULL);
	assert_true(has_line("# Required-Start:    $local_fs $time\n"));
	b = boot_read(bed);
	assert_false(order_is_stale(b));
	boot_free(&b);
}

static void an_administrators_override_stays_his(void **state)
{
	bed_put(OVERRIDE,
		"# mine\n### BEGIN INIT INFO\n# Provides: splx\n"
		"# Required-Start: $mine\n# Required-Stop:\n"
		"# Default-Start: 3\n# Default-Stop: 0\n"
		"### END INIT INFO\n# the end\n",
		0644);
	apply(NULL);
	assert_string_equal(bed_text(OVERRIDE),
			    "# mine\n### BEGIN INIT INFO\n# Provides: splx\n"
			    "# Required-Start: $mine\n# Required-Stop:\n"
			    "# Default-Start: 3\n# Default-Stop: 0\n"
			    "# Should-Start:      abc\n"
			    "# Should-Stop:       abc\n"
			    "### END INIT INFO\n# the end\n");
}

static void what_means_nothing_to_insserv_is_told(void **state)
{
	assert_int_equal(make(NULL, true, '3'), 0);
	assert_int_equal(plan.notes.len, 2);
	assert_non_null(strstr(plan.notes.items[0], "--early changes nothing"));
	assert_non_null(strstr(plan.notes.items[1], "all runlevels"));
}

/* ---- refusals ---- */

static void one_that_wants_splx_first_is_refused(void **state)
{
	bed_script("abc", "splx", "");
	assert_int_equal(make("abc", false, 0), -1);
	refused("abc is to start after splx by headers that are not ours "
		"(abc: Required-Start: splx)");
	untouched();
}

static void one_that_wants_to_be_last_is_refused(void **state)
{
	bed_script("abc", "$all", "");
	assert_int_equal(make("abc", false, 0), -1);
	refused("asks to be started after all others ($all)");
	untouched();
}

static void a_script_of_ours_without_a_header_is_refused(void **state)
{
	bed_put("/etc/init.d/splx", "#!/bin/sh\n", 0755);
	assert_int_equal(make("abc", false, 0), -1);
	refused("has no LSB header");
}

static void what_insserv_refuses_never_gets_to_the_machine(void **state)
{
	bed_put("/told-1", "echo 'insserv: There is a loop'; exit 1\n", 0644);
	assert_int_equal(make(NULL, false, 0), -1);
	refused("does not accept the new order, nothing is changed");
	refused("There is a loop");
	untouched();
}

static void a_machine_that_was_wrong_before_is_told_apart(void **state)
{
	bed_put("/told-1", "echo 'insserv: FATAL: else'; exit 1\n", 0644);
	bed_put("/told-2", "exit 1\n", 0644);
	assert_int_equal(make(NULL, false, 0), -1);
	refused("even without a change of ours");
	refused("FATAL: else");
	untouched();
}

static void where_it_cannot_be_tried_nothing_is_done(void **state)
{
	bed_put("/sbin/insserv", "\177ELF no program", 0755);
	assert_int_equal(make(NULL, false, 0), -1);
	refused("the new order cannot be tried, nothing is changed");
	untouched();
}

static void an_order_that_would_cost_a_service_is_refused(void **state)
{
	bed_put("/told-1", "rm /etc/rc3.d/S02cron\n", 0644);
	assert_int_equal(make(NULL, false, 0), -1);
	refused("cron would be started in runlevel 3 no longer");
	untouched();
	bed_put("/told-1", "ln -s ../init.d/cron /etc/rc6.d/S09cron\n", 0644);
	assert_int_equal(make(NULL, false, 0), -1);
	refused("cron would be started in runlevel 6, and was not before");
	untouched();
}

/* ---- what goes wrong when it counts ---- */

static void a_failure_is_undone(void **state)
{
	bed_put("/told-2",
		"rm /etc/rc3.d/S02cron; echo bad >/etc/init.d/.depend.boot\n"
		"ln -s ../init.d/cron /etc/rc4.d/S77cron\n"
		"echo 'insserv: no space'; exit 1\n",
		0644);
	assert_int_equal(make(NULL, false, 0), 0);
	assert_int_equal(order_apply(&plan, &err), -1);
	refused("nothing is changed, all is put back");
	refused("no space");
	untouched();
	START('4', "S01abc S01splx S02cron");
	assert_string_equal(bed_text("/etc/init.d/.depend.boot"),
			    "TARGETS = x\n");
}

static void a_success_that_is_none_is_undone(void **state)
{
	bed_put("/told-2", "rm /etc/rc3.d/S02cron\n", 0644);
	assert_int_equal(make(NULL, false, 0), 0);
	assert_int_equal(order_apply(&plan, &err), -1);
	refused("cron would be started in runlevel 3 no longer");
	untouched();
	bed_put("/told-2", "echo splx: >/etc/init.d/.depend.start\n", 0644);
	assert_int_equal(make(NULL, false, 0), 0);
	assert_int_equal(order_apply(&plan, &err), -1);
	refused("abc would not start before splx");
	untouched();
}

static void an_earlier_override_comes_back_as_it_was(void **state)
{
	char *before;

	apply("abc");
	before = xstrdup(bed_text(OVERRIDE));
	bed_script("def", "", "");
	bed_links("def", 1, 1);
	bed_put("/told-2", "exit 1\n", 0644);
	assert_int_equal(make("def", false, 0), 0);
	assert_int_equal(order_apply(&plan, &err), -1);
	assert_string_equal(bed_text(OVERRIDE), before);
	START('3', "S01abc S01def S02cron S02splx");
	free(before);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(an_override_names_the_service_and_keeps_the_rest),
		T(a_plan_foretells_every_link_and_changes_none),
		T(done_again_nothing_changes),
		T(what_was_asked_for_before_is_kept_while_it_is_there),
		T(a_service_is_named_by_what_it_provides),
		T(who_has_to_come_before_the_service_is_no_longer_after_us),
		T(over_another_service_it_is_the_same),
		T(the_service_itself_is_dropped_without_a_word),
		T(a_service_that_stops_before_us_by_its_own_word_does),
		T(a_changed_header_makes_the_override_stale),
		T(an_administrators_override_stays_his),
		T(what_means_nothing_to_insserv_is_told),
		T(one_that_wants_splx_first_is_refused),
		T(one_that_wants_to_be_last_is_refused),
		T(a_script_of_ours_without_a_header_is_refused),
		T(what_insserv_refuses_never_gets_to_the_machine),
		T(a_machine_that_was_wrong_before_is_told_apart),
		T(where_it_cannot_be_tried_nothing_is_done),
		T(an_order_that_would_cost_a_service_is_refused),
		T(a_failure_is_undone),
		T(a_success_that_is_none_is_undone),
		T(an_earlier_override_comes_back_as_it_was),
	};

	/* what is mounted for the trees is nobody else's */
	if (unshare(CLONE_NEWNS) < 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) {
		perror("common_order_insserv_test");
		return 1;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
