/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/* What a plan becomes for the kernel module, and the master's side without
 * one. With one: tests/system/test_khm.py in a virtual machine. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/control.h"
#include "common/paths.h"
#include "vsapiapp/khm_side.h"

static struct conf *conf;
static struct mount_list mounts;
static struct cover_list plan;
static struct khm_rules rules;

static const char table[] = "20 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
			    "22 20 0:6 / /tmp rw - tmpfs tmpfs rw\n"
			    "24 20 0:8 / /mnt/f rw - fuse.sshfs h: rw\n"
			    "25 20 8:1 /srv /mnt/bind rw - ext4 /dev/sda1 rw\n";

static void row(int i, bool covered)
{
	struct cover_row r = {
		.mount = &mounts.items[i],
		.point = xstrdup(mounts.items[i].point),
		.fstype = xstrdup(mounts.items[i].fstype),
		.source = xstrdup(""),
		.reason = xstrdup(covered ? "" : "not wanted"),
		.covered = covered,
	};

	vec_push(&plan, r);
}

static void include(const char *path)
{
	struct err err;

	if (conf_set(conf, "Include", path, &err))
		fail_msg("%s", err.text);
}

static bool has(enum splxmod_rule_kind kind, uint64_t dev)
{
	const struct splxmod_rule *r;

	vec_each (r, &rules) {
		if (r->kind == kind && r->dev == dev)
			return true;
	}
	return false;
}

static size_t count(enum splxmod_rule_kind kind)
{
	const struct splxmod_rule *r;
	size_t n = 0;

	vec_each (r, &rules)
		n += r->kind == kind;
	return n;
}

static int setup(void **state)
{
	conf = conf_new();
	mounts_parse(table, &mounts);
	return 0;
}

static int teardown(void **state)
{
	khm_rules_free(&rules);
	cover_list_free(&plan);
	mounts_free(&mounts);
	conf_free(&conf);
	return 0;
}

static void without_include_all_is_asked_about(void **state)
{
	row(0, true);
	row(1, true);
	khm_side_plan_rules(conf, &plan, &rules);
	assert_int_equal(rules.len, 0);
}

static void with_include_its_file_systems_alone_are(void **state)
{
	include("{\"/tmp\"}");
	row(0, false);
	row(1, true);
	khm_side_plan_rules(conf, &plan, &rules);
	assert_true(has(SPLXMOD_RULE_ONLY_DEV, makedev(0, 6)));
	assert_false(has(SPLXMOD_RULE_ONLY_DEV, makedev(8, 1)));
}

/* No rule at all would mean everything. */
static void an_include_that_names_nothing_now_means_nothing(void **state)
{
	include("{\"/gone\"}");
	row(0, false);
	khm_side_plan_rules(conf, &plan, &rules);
	assert_int_equal(count(SPLXMOD_RULE_ONLY_DEV), 1);
	assert_false(has(SPLXMOD_RULE_ONLY_DEV, makedev(8, 1)));
	assert_true(rules.items[0].dev <= UINT32_MAX);
}

/* A row for the mount that our own directory lies on, and no other. */
static void real_row(const char *dir)
{
	static struct mount_list own;
	char real[4096];
	struct err err;
	const struct mount *m;

	mounts_free(&own);
	assert_int_equal(mounts_read(0, &own, &err), 0);
	assert_non_null(realpath(".", real));
	m = mounts_find(&own, real);
	assert_non_null(m);
	mounts.items[0].id = m->id;
	row(0, true);
	vec_push(&plan.items[plan.len - 1].within, xstrdup(dir));
	mounts_free(&own);
}

static void directories_alone_are_asked_about(void **state)
{
	char real[4096];

	include("{\"/somewhere\"}");
	assert_non_null(realpath(".", real));
	real_row(real);
	khm_side_plan_rules(conf, &plan, &rules);
	assert_true(has(SPLXMOD_RULE_ONLY_DEV, makedev(8, 1)));
	assert_int_equal(count(SPLXMOD_RULE_ONLY_BELOW), 1);
	assert_true(has(SPLXMOD_RULE_ONLY_BELOW, 0));
	/* a descriptor of ours, until they are freed */
	assert_true(fcntl((int)rules.items[rules.len - 1].ino, F_GETFD) >= 0);
	assert_true(khm_rules_drop_below(&rules));
	assert_int_equal(count(SPLXMOD_RULE_ONLY_BELOW), 0);
	assert_true(has(SPLXMOD_RULE_ONLY_DEV, makedev(8, 1)));
	assert_false(khm_rules_drop_below(&rules));
}

static void what_cannot_be_told_has_all_asked_about(void **state)
{
	char real[4096];

	include("{\"/somewhere\"}");
	assert_non_null(realpath(".", real));
	real_row(real);
	real_row("/no/such/place");
	khm_side_plan_rules(conf, &plan, &rules);
	assert_int_equal(count(SPLXMOD_RULE_ONLY_BELOW), 0);
	/* it lies on another mount by now */
	cover_list_free(&plan);
	real_row(real);
	mounts.items[0].id++;
	khm_rules_free(&rules);
	khm_side_plan_rules(conf, &plan, &rules);
	assert_int_equal(count(SPLXMOD_RULE_ONLY_BELOW), 0);
	assert_true(has(SPLXMOD_RULE_ONLY_DEV, makedev(8, 1)));
}

/* By another way all of it is reached. */
static void what_is_covered_as_a_whole_elsewhere_is_asked_about(void **state)
{
	char real[4096];

	include("{\"/somewhere\"}");
	assert_non_null(realpath(".", real));
	real_row(real);
	row(3, true);
	khm_side_plan_rules(conf, &plan, &rules);
	assert_int_equal(count(SPLXMOD_RULE_ONLY_BELOW), 0);
}

/* The kernel knows "fuse" alone, the settings also what is behind the dot. */
static void a_users_type_of_file_system_is_left_out_by_its_number(void **state)
{
	row(0, true);
	row(2, false);
	khm_side_plan_rules(conf, &plan, &rules);
	assert_int_equal(rules.len, 1);
	assert_true(has(SPLXMOD_RULE_DEV, makedev(0, 8)));
}

static void what_is_covered_elsewhere_is_not_left_out(void **state)
{
	row(2, false);
	row(2, true);
	khm_side_plan_rules(conf, &plan, &rules);
	assert_int_equal(rules.len, 0);
}

static void without_a_device_there_is_a_reason(void **state)
{
	struct scoreboard *sb;
	struct khm_side *side;
	enum status_code code;
	struct err err = {0};
	int fd;

	if (!access(KHM_DEVICE, F_OK))
		skip();
	sb = scoreboard_new(&fd, &err);
	assert_non_null(sb);
	side = khm_side_new(sb);
	assert_int_equal(khm_side_device(side, &code, &err), -1);
	assert_int_equal(status_field(code), STATUS_FIELD_KERNEL);
	assert_true(*err.text);
	/* a new look finds none either, and keeps the reason */
	khm_side_attach(side);
	assert_int_equal(khm_side_device(side, &code, &err), -1);
	assert_int_equal(status_field(code), STATUS_FIELD_KERNEL);
	assert_null(strstr(err.text, "No such file"));
	/* nothing of this is to be undone */
	khm_side_disarm(side);
	khm_side_detach(side);
	assert_true(khm_side_tick(side));
	assert_null(khm_side_tell(side));
	khm_side_free(&side);
	close(fd);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(without_include_all_is_asked_about),
		T(with_include_its_file_systems_alone_are),
		T(an_include_that_names_nothing_now_means_nothing),
		T(directories_alone_are_asked_about),
		T(what_cannot_be_told_has_all_asked_about),
		T(what_is_covered_as_a_whole_elsewhere_is_asked_about),
		T(a_users_type_of_file_system_is_left_out_by_its_number),
		T(what_is_covered_elsewhere_is_not_left_out),
		T(without_a_device_there_is_a_reason),
	};

	paths_init("/nonexistent/splx");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
