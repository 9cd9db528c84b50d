/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/* What is to be covered, reckoned from mount tables made up here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/alloc.h"
#include "vsapiapp/cover.h"

static struct follow_ns ns[3];
static const struct follow_ns *all[3] = {&ns[0], &ns[1], &ns[2]};
static size_t spaces;
static struct conf *conf;
static struct cover *cover;
static struct cover_list plan;
static char dir[64]; /* Include is resolved, so it has to exist */

static void table(int i, const char *text)
{
	char *s = xstrdup(text), *at;

	mounts_free(&ns[i].mounts);
	while ((at = strstr(s, "@D"))) {
		char *more =
			xasprintf("%.*s%s%s", (int)(at - s), s, dir, at + 2);

		free(s);
		s = more;
	}
	mounts_parse(s, &ns[i].mounts);
	free(s);
	ns[i].pid = i ? 1000 + i : 0;
	if (spaces <= (size_t)i)
		spaces = (size_t)i + 1;
}

static void set(const char *key, const char *value)
{
	struct err err;

	if (conf_set(conf, key, value, &err))
		fail_msg("%s", err.text);
}

static void reckon(void)
{
	struct exclude *ex = exclude_new(conf, NULL);

	cover_list_free(&plan);
	cover_plan(cover, all, spaces, conf, ex, &plan);
	exclude_free(&ex);
}

static const struct cover_row *row_at(const char *point)
{
	const struct cover_row *row;
	char full[128];

	if (point[0] == '@')
		snprintf(full, sizeof(full), "%s%s", dir, point + 2);
	else
		snprintf(full, sizeof(full), "%s", point);
	vec_each (row, &plan) {
		if (!strcmp(row->point, full))
			return row;
	}
	return NULL;
}

static bool covered(const char *point)
{
	const struct cover_row *row = row_at(point);

	return row && row->covered;
}

static int setup(void **state)
{
	strcpy(dir, "/tmp/splx-cover-XXXXXX");
	assert_non_null(mkdtemp(dir));
	spaces = 0;
	conf = conf_new();
	cover = cover_new();
	return 0;
}

static int teardown(void **state)
{
	int i;

	cover_list_free(&plan);
	conf_free(&conf);
	cover_free(&cover);
	for (i = 0; i < 3; i++)
		mounts_free(&ns[i].mounts);
	rmdir(dir);
	return 0;
}

static const char usual[] = "20 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
			    "21 20 0:5 / /proc rw - proc proc rw\n"
			    "22 20 0:6 / /tmp rw - tmpfs tmpfs rw\n"
			    "23 20 0:7 / /mnt/n rw - nfs4 srv:/x rw\n"
			    "24 20 0:8 / /mnt/f rw - fuse.sshfs h: rw\n"
			    "25 20 8:1 /srv /mnt/bind rw - ext4 /dev/sda1 rw\n";

static void test_without_include_every_local_file_system_is_covered(
	void **state)
{
	table(0, usual);
	reckon();
	assert_true(covered("/"));
	assert_true(covered("/tmp"));
	assert_true(covered("/mnt/bind"));
	assert_null(row_at("/proc"));
	assert_false(covered("/mnt/n"));
	assert_non_null(strstr(row_at("/mnt/n")->reason, "ScanNetworkFs"));
	assert_false(covered("/mnt/f"));
	assert_non_null(strstr(row_at("/mnt/f")->reason, "ScanFuse"));
	assert_false(cover_needs_filter(cover));
}

static void test_network_and_fuse_are_covered_when_asked_for(void **state)
{
	table(0, usual);
	set("ScanNetworkFs", "yes");
	set("ScanFuse", "yes");
	reckon();
	assert_true(covered("/mnt/n"));
	assert_true(covered("/mnt/f"));
}

static void test_an_excluded_type_is_named_as_the_reason(void **state)
{
	table(0, usual);
	set("ExcludeFsType", "{\"tmpfs\"}");
	reckon();
	assert_false(covered("/tmp"));
	assert_non_null(strstr(row_at("/tmp")->reason, "ExcludeFsType"));
	assert_true(covered("/"));
}

static void include(const char *more)
{
	char value[256];

	snprintf(value, sizeof(value), "{\"%s\"%s}", dir, more);
	set("Include", value);
}

static void test_an_included_mount_is_covered_and_nothing_else(void **state)
{
	table(0, "20 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
		 "22 20 0:6 / @D rw - tmpfs t rw\n"
		 "23 22 0:9 / @D/sub rw - tmpfs t rw\n"
		 "24 20 0:10 / @Dother rw - tmpfs t rw\n");
	include("");
	reckon();
	assert_true(covered("@D"));
	assert_true(covered("@D/sub"));
	assert_int_equal(row_at("@D")->scope, FANGROUP_FILESYSTEM);
	assert_false(covered("@Dother"));
	assert_false(covered("/"));
	assert_string_equal(row_at("/")->reason, "not in Include");
	assert_false(cover_needs_filter(cover));
}

static void test_an_included_bind_mount_is_covered_as_a_mount(void **state)
{
	table(0, "20 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
		 "22 20 8:1 /tmp/x @D rw - ext4 /dev/sda1 rw\n");
	include("");
	reckon();
	assert_true(covered("@D"));
	assert_int_equal(row_at("@D")->scope, FANGROUP_MOUNT);
	assert_false(covered("/"));
}

static void test_a_plain_directory_stands_for_its_file_system(void **state)
{
	table(0, usual);
	include("");
	reckon();
	assert_true(covered("/tmp"));
	assert_false(covered("/"));
	assert_true(cover_needs_filter(cover));
}

static void test_a_directory_is_told_where_it_is_all_that_counts(void **state)
{
	table(0, usual);
	reckon();
	assert_int_equal(row_at("/tmp")->within.len, 0);
	include("");
	reckon();
	assert_int_equal(row_at("/tmp")->within.len, 1);
	assert_string_equal(row_at("/tmp")->within.items[0], dir);
	assert_int_equal(row_at("/")->within.len, 0);
	/* the whole of it, by another entry */
	include(", \"/tmp\"");
	reckon();
	assert_int_equal(row_at("/tmp")->within.len, 0);
	assert_true(covered("/tmp"));
}

/* Its root, in a container, lies where Include names all that is mounted. */
static void test_the_whole_elsewhere_is_not_told_by_a_directory(void **state)
{
	const struct cover_row *row;
	bool whole = false;

	table(0, usual);
	table(1, "30 1 0:6 / @D/in rw - tmpfs tmpfs rw\n");
	include("");
	reckon();
	vec_each (row, &plan)
		whole |= row->covered && row->ns->pid && !row->within.len;
	assert_true(whole);
}

static void test_a_mount_that_goes_is_not_replaced_by_what_is_below(
	void **state)
{
	table(0, "20 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
		 "22 20 0:6 / @D rw - tmpfs t rw\n");
	include("");
	reckon();
	assert_true(covered("@D"));
	table(0, "20 1 8:1 / / rw - ext4 /dev/sda1 rw\n");
	reckon();
	assert_false(covered("/"));
	assert_non_null(strstr(row_at("@D")->reason, "nothing is mounted"));
	assert_false(cover_needs_filter(cover));
}

static void test_an_entry_that_names_nothing_is_told(void **state)
{
	table(0, usual);
	include(", \"/no/such/place\"");
	reckon();
	assert_non_null(row_at("/no/such/place"));
	assert_false(covered("/no/such/place"));
}

static void test_other_namespaces_add_what_is_new_there(void **state)
{
	table(0, "20 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
		 "22 20 0:6 / @D rw - tmpfs t rw\n");
	table(1, "30 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
		 "32 30 0:6 / @D rw - tmpfs t rw\n"
		 "33 32 0:44 / @D/in rw - tmpfs t rw\n"
		 "34 30 0:45 / /out rw - tmpfs t rw\n");
	include("");
	reckon();
	assert_true(covered("@D/in"));
	assert_int_equal(row_at("@D/in")->ns->pid, 1001);
	assert_int_equal(plan.len, 4); /* / and @D once each, /out, @D/in */
	assert_false(covered("/out"));
}

static void test_bind_mounts_are_covered_in_each_namespace(void **state)
{
	const struct cover_row *row;
	int n = 0;

	table(0, "20 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
		 "22 20 8:1 /tmp/x @D rw - ext4 /dev/sda1 rw\n");
	table(1, "30 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
		 "32 30 8:1 /tmp/x @D rw - ext4 /dev/sda1 rw\n");
	include("");
	reckon();
	vec_each (row, &plan) {
		if (row->covered && row->scope == FANGROUP_MOUNT)
			n++;
	}
	assert_int_equal(n, 2);
}

static void test_mount_names_of_any_bytes_come_out_as_json(void **state)
{
	json_t *j;

	table(0, "20 1 8:1 / /\\377\\376 rw - ext4 /dev/sda1 rw\n");
	reckon();
	j = cover_json(&plan);
	assert_int_equal(json_array_size(j), 1);
	assert_non_null(json_object_get(json_array_get(j, 0), "point"));
	json_decref(j);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(test_without_include_every_local_file_system_is_covered),
		T(test_network_and_fuse_are_covered_when_asked_for),
		T(test_an_excluded_type_is_named_as_the_reason),
		T(test_an_included_mount_is_covered_and_nothing_else),
		T(test_an_included_bind_mount_is_covered_as_a_mount),
		T(test_a_plain_directory_stands_for_its_file_system),
		T(test_a_directory_is_told_where_it_is_all_that_counts),
		T(test_the_whole_elsewhere_is_not_told_by_a_directory),
		T(test_a_mount_that_goes_is_not_replaced_by_what_is_below),
		T(test_an_entry_that_names_nothing_is_told),
		T(test_other_namespaces_add_what_is_new_there),
		T(test_bind_mounts_are_covered_in_each_namespace),
		T(test_mount_names_of_any_bytes_come_out_as_json),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
