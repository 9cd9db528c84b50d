/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/* What is read of a machine's start order, from trees made here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <utmpx.h>

#include <cmocka.h>

#include "bootbed.h"
#include "common/bootdeps.h"

static struct boot *boot;
static struct bootdeps *deps;

static int teardown(void **state)
{
	bootdeps_free(&deps);
	boot_free(&boot);
	return bed_teardown(state);
}

static void look(char level)
{
	bootdeps_free(&deps);
	boot_free(&boot);
	boot = boot_read(bed);
	deps = bootdeps_new(boot, level, NULL);
}

static struct boot_placing place(const char *service)
{
	struct boot_placing p;

	bootdeps_place(deps, service, &p);
	return p;
}

#define EXPECT(service, where, surely, text)                                   \
	do {                                                                   \
		struct boot_placing p_ = place(service);                       \
		assert_string_equal(boot_place_name(p_.place), where);         \
		assert_int_equal(p_.firm, surely);                             \
		if (!strstr(p_.why, text))                                     \
			fail_msg("%s, not %s", p_.why, text);                  \
	} while (0)

/* ---- reading ---- */

static void who_makes_the_order_is_told_by_what_is_installed(void **state)
{
	look('3');
	assert_int_equal(boot->kind, BOOT_LINKS);
	bed_put("/sbin/chkconfig", "", 0755);
	look('3');
	assert_int_equal(boot->kind, BOOT_CHKCONFIG);
	/* unpacked, and not yet set up */
	bed_put("/sbin/insserv", "", 0755);
	look('3');
	assert_int_equal(boot->kind, BOOT_CHKCONFIG);
	bed_put("/etc/insserv.conf", "", 0644);
	look('3');
	assert_int_equal(boot->kind, BOOT_INSSERV);
	assert_string_equal(boot->insserv, "/sbin/insserv");
	bed_put("/run/systemd/system/x", "", 0644);
	look('3');
	assert_int_equal(boot->kind, BOOT_SYSTEMD);
}

static void an_init_that_is_systemd_is_known_without_running(void **state)
{
	assert_int_equal(unlink(bed_path("/etc/inittab")), 0);
	bed_put("/sbin/x", "", 0755);
	assert_int_equal(
		symlink("/lib/systemd/systemd", bed_path("/sbin/init")), 0);
	look('3');
	assert_int_equal(boot->kind, BOOT_SYSTEMD);
}

static void links_are_read_in_the_order_in_which_they_run(void **state)
{
	static const char *const odd[] = {"S9x", "Sxxabc", "README",
					  "S50", "s10low", "K1"};
	const struct boot_link *l;
	char all[256] = "";
	size_t i;

	bed_script("abc", "", "");
	bed_link('3', "S10splx");
	bed_link('3', "S10abc");
	bed_link('3', "S02abc-late");
	bed_link('3', "K20abc");
	bed_link('S', "S05abc");
	for (i = 0; i < sizeof(odd) / sizeof(*odd); i++) {
		char *path = xasprintf("/etc/rc3.d/%s", odd[i]);

		bed_put(path, "", 0755);
		free(path);
	}
	look('3');
	vec_each (l, &boot->links)
		sprintf(all + strlen(all), "%c:%s ", l->level, l->file);
	assert_string_equal(all, "S:S05abc 3:K20abc 3:S02abc-late 3:S10abc "
				 "3:S10splx ");
	assert_true(boot_link(boot, '3', true, "abc")->number == 10);
	/* it points to nothing */
	assert_null(boot_link(boot, '3', true, "abc-late"));
	assert_string_equal(boot_levels_of(boot, "abc", all, sizeof(all)),
			    "S3");
}

static void red_hats_folders_are_found(void **state)
{
	char dir[40];

	bed_put("/etc/rc.d/rc3.d/S50abc", "", 0755);
	bed_put("/etc/rc.d/init.d/abc", "", 0755);
	look('3');
	assert_string_equal(boot_dir(boot, '3', dir, sizeof(dir)),
			    "/etc/rc.d/rc3.d");
	assert_non_null(boot_link(boot, '3', true, "abc"));
	/* where both lead to the same, the shorter is told */
	assert_int_equal(symlink("rc.d/rc3.d", bed_path("/etc/rc3.d")), 0);
	look('3');
	assert_string_equal(boot_dir(boot, '3', dir, sizeof(dir)),
			    "/etc/rc3.d");
	assert_non_null(boot_link(boot, '3', true, "abc"));
}

static void leavings_of_packages_are_no_scripts(void **state)
{
	static const char *const names[] = {"abc.dpkg-new", "abc~",
					    "abc.rpmsave",  "README",
					    ".hidden",	    "abc.bak"};
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(*names); i++)
		bed_script(names[i], "", "");
	bed_script("abc.sh", "", "");
	bed_put("/etc/init.d/no-program", "", 0644);
	look('3');
	assert_int_equal(boot->scripts.len, 2);
	assert_non_null(boot_script(boot, "abc.sh"));
	assert_non_null(boot_script(boot, "splx"));
}

static void scripts_count_on_a_file_system_without_execution(void **state)
{
	bed_script("abc", "", "");
	assert_int_equal(mount("none", bed_path("/etc/init.d"), "tmpfs",
			       MS_NOEXEC, "size=64k"),
			 0);
	bed_script("def", "", "");
	look('3');
	umount(bed_path("/etc/init.d"));
	assert_non_null(boot_script(boot, "def"));
}

static void runlevels_are_known_from_utmp_and_inittab(void **state)
{
	struct utmpx u = {.ut_type = RUN_LVL, .ut_pid = 'N' * 256 + '5'};
	int fd;

	bed_links("splx", 1, 99);
	look('3');
	assert_int_equal(boot->current, 0);
	assert_int_equal(boot->initial, '3');
	assert_int_equal(boot_level(boot), '3');
	bed_put("/run/utmp", "", 0644);
	fd = open(bed_path("/run/utmp"), O_WRONLY);
	strcpy(u.ut_user, "runlevel");
	strcpy(u.ut_id, "~~");
	assert_int_equal(fd_write_all(fd, &u, sizeof(u)), 0);
	close(fd);
	look('3');
	assert_int_equal(boot->current, '5');
	assert_int_equal(boot_level(boot), '5');
	assert_int_equal(boot_level_parse("s"), 'S');
	assert_int_equal(boot_level_parse("7"), 0);
	assert_int_equal(boot_level_parse(""), 0);
	assert_int_equal(boot_level_parse("33"), 0);
}

static void without_links_there_is_no_runlevel(void **state)
{
	look('3');
	assert_int_equal(boot_level(boot), 0);
}

static void an_override_counts_as_it_does_for_insserv(void **state)
{
	const struct boot_script *s;

	bed_script("abc", "script", "");
	bed_put("/usr/share/insserv/overrides/abc",
		"### BEGIN INIT INFO\n# Provides: abc\n"
		"# Required-Start: share\n### END INIT INFO\n",
		0644);
	look('3');
	s = boot_script(boot, "abc");
	assert_true(inithdr_lists(&s->hdr, INITHDR_REQUIRED_START, "script"));
	bed_insserv();
	look('3');
	s = boot_script(boot, "abc");
	assert_int_equal(s->source, BOOT_SRC_SHARE);
	assert_true(inithdr_lists(&s->hdr, INITHDR_REQUIRED_START, "share"));
	bed_put("/etc/insserv/overrides/abc",
		"### BEGIN INIT INFO\n# Provides: abc\n### END INIT INFO\n",
		0644);
	look('3');
	s = boot_script(boot, "abc");
	assert_int_equal(s->source, BOOT_SRC_ETC);
	/* it stands for the header as a whole */
	assert_int_equal(s->hdr.words[INITHDR_REQUIRED_START].len, 0);
	/* one without an end is none */
	bed_put("/etc/insserv/overrides/abc",
		"### BEGIN INIT INFO\n# Provides: abc\n", 0644);
	look('3');
	assert_int_equal(boot_script(boot, "abc")->source, BOOT_SRC_SHARE);
}

static void an_override_of_chkconfigs_sets_what_it_has(void **state)
{
	const struct boot_script *s;

	bed_put("/sbin/chkconfig", "", 0755);
	bed_put("/etc/init.d/abc",
		"# chkconfig: 345 50 51\n### BEGIN INIT INFO\n"
		"# Provides: abc\n# Required-Start: x\n### END INIT INFO\n",
		0755);
	bed_put("/etc/chkconfig.d/abc", "# chkconfig: 35 91 09\n", 0644);
	look('3');
	s = boot_script(boot, "abc");
	assert_int_equal(s->hdr.start, 91);
	assert_true(inithdr_lists(&s->hdr, INITHDR_REQUIRED_START, "x"));
}

/* ---- places ---- */

static void links_alone_go_by_their_names(void **state)
{
	bed_script("abc", "", "");
	bed_script("zzz", "", "");
	bed_script("late", "", "");
	bed_link('3', "S50splx");
	bed_link('3', "S50abc");
	bed_link('3', "S50zzz");
	bed_link('S', "S99late");
	bed_link('2', "S01late");
	look('3');
	EXPECT("abc", "before", true, "by number: S50abc before S50splx");
	EXPECT("zzz", "after", true, "S50zzz after S50splx");
	EXPECT("late", "before", true, "before any runlevel");
	EXPECT("none", "absent", true, "not in this runlevel");
	look('2');
	EXPECT("late", "absent", true, "splx is not started");
}

static void a_number_of_insservs_is_not_firm_and_a_header_is(void **state)
{
	bed_insserv();
	bed_script("abc", "", "");
	bed_script("def", "splx", "");
	bed_script("cron", "", "");
	bed_link('3', "S02splx");
	bed_link('3', "S01abc");
	bed_link('3', "S03def");
	bed_link('3', "S03cron");
	look('3');
	assert_false(boot->concurrent);
	EXPECT("abc", "before", false, "by number");
	EXPECT("def", "after", true, "def: Required-Start: splx");
	EXPECT("cron", "after", true, "splx: X-Start-Before: cron");
}

static void side_by_side(const char *start)
{
	bed_put("/etc/init.d/.depend.boot", "TARGETS = x\n", 0644);
	bed_put("/etc/init.d/.depend.stop", "TARGETS = x\n", 0644);
	bed_put("/etc/init.d/.depend.start", start, 0644);
}

static void where_startpar_starts_its_file_counts_and_no_number(void **state)
{
	bed_insserv();
	bed_script("abc", "", "");
	bed_script("def", "", "");
	bed_script("ghi", "", "");
	bed_link('3', "S02splx");
	bed_link('3', "S01abc");
	bed_link('3', "S03def");
	bed_link('3', "S99ghi");
	side_by_side("TARGETS = abc def ghi splx\nINTERACTIVE = abc\n"
		     "splx: def\nghi: abc splx nobody\nbroken\n");
	look('3');
	assert_true(boot->concurrent);
	EXPECT("abc", "with", true, "nothing orders the two");
	EXPECT("def", "before", true, ".depend.start: splx after def");
	EXPECT("ghi", "after", true, ".depend.start: ghi after splx");
	bed_put("/etc/init.d/.legacy-bootordering", "", 0644);
	look('3');
	assert_false(boot->concurrent);
	EXPECT("abc", "before", false, "by number");
	EXPECT("def", "after", false, "by number");
}

static void under_systemd_headers_count_and_links_do_not(void **state)
{
	bed_put("/run/systemd/system/x", "", 0644);
	bed_script("abc", "splx", "");
	bed_script("def", "", "");
	bed_link('3', "S02splx");
	bed_link('3', "S01abc");
	bed_link('3', "S01def");
	look('3');
	EXPECT("abc", "after", true, "abc: Required-Start: splx");
	EXPECT("def", "with", true, "nothing orders");
}

/* ---- needs ---- */

static void needs_go_over_facilities_and_other_services(void **state)
{
	char why[256];

	bed_insserv();
	bed_script("rsyslog", "$remote_fs", "");
	bed_script("mountall", "", "");
	bed_script("mountnfs", "$local_fs", "");
	bed_script("cron", "$syslog", "");
	bed_script("abc", "cron", "");
	bed_script("off", "cron", "");
	bed_link('S', "S01mountall");
	bed_link('S', "S02mountnfs");
	bed_links("rsyslog", 1, 1);
	bed_links("cron", 2, 1);
	bed_links("abc", 3, 1);
	bed_links("splx", 1, 1);
	look('3');
	assert_true(bootdeps_needs(deps, "abc", "mountall", why, sizeof(why)));
	assert_string_equal(why, "abc: Required-Start: cron, "
				 "cron: Required-Start: rsyslog, "
				 "rsyslog: Required-Start: mountall");
	assert_true(bootdeps_needs(deps, "abc", "splx", why, sizeof(why)));
	assert_string_equal(why, "abc: Required-Start: cron, "
				 "splx: X-Start-Before: cron");
	assert_false(bootdeps_needs(deps, "splx", "abc", why, sizeof(why)));
	/* what is not started needs nobody */
	assert_false(bootdeps_needs(deps, "off", "cron", why, sizeof(why)));
	assert_true(bootdeps_word_needed(deps, "abc", "$syslog"));
	assert_true(bootdeps_word_needed(deps, "abc", "abc"));
	assert_false(bootdeps_word_needed(deps, "cron", "abc"));
	assert_false(bootdeps_word_needed(deps, "cron", "$named"));
}

static void one_that_wants_to_be_last_needs_all_others(void **state)
{
	char why[256];

	bed_insserv();
	bed_script("last", "$all", "");
	bed_script("abc", "", "");
	bed_links("last", 9, 1);
	bed_links("abc", 1, 1);
	bed_links("splx", 1, 1);
	look('3');
	assert_true(bootdeps_is_last(deps, "last"));
	assert_false(bootdeps_is_last(deps, "abc"));
	assert_true(bootdeps_needs(deps, "last", "splx", why, sizeof(why)));
	assert_string_equal(why, "last: Required-Start: $all");
}

static void headers_in_a_circle_end(void **state)
{
	char why[256];

	bed_insserv();
	bed_put("/etc/insserv.conf", "$a $b\n$b $a abc\n", 0644);
	bed_script("abc", "def $a", "");
	bed_script("def", "abc", "");
	bed_links("abc", 1, 1);
	bed_links("def", 1, 1);
	bed_links("splx", 1, 1);
	look('3');
	assert_true(bootdeps_needs(deps, "abc", "def", why, sizeof(why)));
	assert_true(bootdeps_needs(deps, "def", "abc", why, sizeof(why)));
	assert_false(bootdeps_needs(deps, "abc", "abc", why, sizeof(why)));
	assert_false(bootdeps_needs(deps, "abc", "splx", why, sizeof(why)));
}

static void a_script_that_says_nothing_has_insservs_own_needs(void **state)
{
	bed_insserv();
	bed_put("/etc/init.d/mute", "#!/bin/sh\n", 0755);
	bed_script("rsyslog", "", "");
	bed_links("mute", 1, 1);
	bed_links("rsyslog", 1, 1);
	bed_links("splx", 1, 1);
	look('3');
	assert_true(bootdeps_needs(deps, "mute", "rsyslog", NULL, 0));
}

static void another_header_may_stand_for_our_own(void **state)
{
	struct inithdr own;
	struct bootdeps *d;

	bed_insserv();
	bed_script("cron", "", "");
	bed_links("cron", 1, 1);
	bed_links("splx", 1, 1);
	look('3');
	assert_true(bootdeps_needs(deps, "cron", "splx", NULL, 0));
	inithdr_copy(&own, &boot_script(boot, "splx")->hdr);
	inithdr_remove(&own, INITHDR_START_BEFORE, "cron");
	inithdr_add(&own, INITHDR_SHOULD_START, "cron");
	d = bootdeps_new(boot, '3', &own);
	assert_false(bootdeps_needs(d, "cron", "splx", NULL, 0));
	assert_true(bootdeps_needs(d, "splx", "cron", NULL, 0));
	bootdeps_free(&d);
	inithdr_free(&own);
}

#define T(name) cmocka_unit_test_setup_teardown(name, bed_setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(who_makes_the_order_is_told_by_what_is_installed),
		T(an_init_that_is_systemd_is_known_without_running),
		T(links_are_read_in_the_order_in_which_they_run),
		T(red_hats_folders_are_found),
		T(leavings_of_packages_are_no_scripts),
		T(scripts_count_on_a_file_system_without_execution),
		T(runlevels_are_known_from_utmp_and_inittab),
		T(without_links_there_is_no_runlevel),
		T(an_override_counts_as_it_does_for_insserv),
		T(an_override_of_chkconfigs_sets_what_it_has),
		T(links_alone_go_by_their_names),
		T(a_number_of_insservs_is_not_firm_and_a_header_is),
		T(where_startpar_starts_its_file_counts_and_no_number),
		T(under_systemd_headers_count_and_links_do_not),
		T(needs_go_over_facilities_and_other_services),
		T(one_that_wants_to_be_last_needs_all_others),
		T(headers_in_a_circle_end),
		T(a_script_that_says_nothing_has_insservs_own_needs),
		T(another_header_may_stand_for_our_own),
	};

	/* what is mounted for a tree is nobody else's */
	if (unshare(CLONE_NEWNS) < 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) {
		perror("common_boot_test");
		return 1;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
