/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl/scan_count.h"
#include "ctl/scan_filter.h"
#include "ctl/scan_show.h"
#include "ctl/service.h"
#include "lib/clock.h"

static char dir[PATH_MAX];

static int setup(void **state)
{
	strcpy(dir, "/tmp/splx-filter-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	alarm(60);
	return mount("tmpfs", dir, "tmpfs", 0, "size=4m,mode=755");
}

static int teardown(void **state)
{
	alarm(0);
	umount2(dir, MNT_DETACH);
	return rmdir(dir);
}

static const char *at(const char *name)
{
	static char path[PATH_MAX + 64];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static void pseudo_file_systems_are_refused_and_passed_over(void **state)
{
	struct conf *conf = conf_new();
	struct scan_filter f;
	struct err err = {0};

	scan_filter_init(&f, conf, true, false);
	assert_int_equal(scan_filter_begin(&f, "/proc/self", &err), -1);
	assert_non_null(strstr(err.text, "proc"));
	assert_int_equal(scan_filter_begin(&f, dir, &err), 0);
	assert_true(scan_filter_cross(&f, "/proc"));
	assert_int_equal(f.skipped, 1);
	scan_filter_deinit(&f);
	conf_free(&conf);
}

static void other_file_systems_are_entered_unless_told_to_stay(void **state)
{
	struct conf *conf = conf_new();
	struct scan_filter f;

	assert_int_equal(mkdir(at("m"), 0755), 0);
	assert_int_equal(mount("tmpfs", at("m"), "tmpfs", 0, "size=1m"), 0);
	scan_filter_init(&f, conf, true, false);
	assert_int_equal(scan_filter_begin(&f, dir, NULL), 0);
	assert_false(scan_filter_cross(&f, at("m")));
	assert_int_equal(conf_list_add(conf, "ExcludeFsType", "tmpfs", NULL),
			 0);
	scan_filter_deinit(&f);
	scan_filter_init(&f, conf, true, false);
	f.mount = -1;
	assert_true(scan_filter_cross(&f, at("m")));
	scan_filter_deinit(&f);
	scan_filter_init(&f, conf, false, true);
	assert_int_equal(scan_filter_begin(&f, dir, NULL), 0);
	assert_true(scan_filter_cross(&f, at("m")));
	/* a directory with another device number, but no mount: a subvolume */
	assert_false(scan_filter_cross(&f, at("x")));
	scan_filter_deinit(&f);
	conf_free(&conf);
	umount2(at("m"), MNT_DETACH);
}

static void exclusions_hold_but_with_no_exclusions(void **state)
{
	struct conf *conf = conf_new();
	struct scan_filter f;
	struct err err = {0};

	assert_int_equal(conf_list_add(conf, "ExcludeDirectory", dir, NULL), 0);
	scan_filter_init(&f, conf, true, false);
	assert_int_equal(scan_filter_begin(&f, dir, &err), 1);
	assert_non_null(strstr(err.text, "ExcludeDirectory"));
	assert_true(scan_filter_skip(&f, at("a")));
	assert_false(scan_filter_skip(&f, "/usr/a"));
	assert_int_equal(f.excluded, 2);
	scan_filter_deinit(&f);
	scan_filter_init(&f, conf, false, false);
	assert_int_equal(scan_filter_begin(&f, dir, &err), 0);
	assert_false(scan_filter_skip(&f, at("a")));
	scan_filter_deinit(&f);
	conf_free(&conf);
}

static void a_count_beside_the_scan_ends_with_all_files(void **state)
{
	struct conf *conf = conf_new();
	char *paths[] = {dir};
	uint64_t files = 0, bytes = 0;
	struct scan_count *c;
	FILE *file;
	int i;

	for (i = 0; i < 3; i++) {
		char name[8] = {(char)('a' + i)};

		file = fopen(at(name), "w");
		assert_int_equal(fwrite("12345", 1, 5, file), 5);
		fclose(file);
	}
	c = scan_count_start(paths, 1, conf, true, false);
	for (i = 0; i < 500 && !scan_count_done(c, &files, &bytes); i++)
		usleep(10000);
	assert_int_equal(files, 3);
	assert_int_equal(bytes, 15);
	scan_count_free(&c);
	assert_null(c);
	scan_count_free(&c);
	conf_free(&conf);
}

static void the_time_left_follows_from_files_and_bytes(void **state)
{
	struct scan_tally t = {.sent = 1000, .sent_bytes = 100 << 20};
	uint64_t s = CLOCK_NS_PER_S;

	/* half of all done in 10 s: 10 s left */
	assert_in_range(scan_show_eta(&t, 2000, 200 << 20, 10 * s), 9, 11);
	assert_int_equal(scan_show_eta(&t, 1000, 100 << 20, 10 * s), 0);
	/* more was done than was counted: the tree has grown */
	assert_int_equal(scan_show_eta(&t, 10, 1 << 20, 10 * s), 0);
	/* too early to tell */
	assert_int_equal(scan_show_eta(&t, 2000, 200 << 20, s), -1);
	t.sent = 0;
	assert_int_equal(scan_show_eta(&t, 2000, 200 << 20, 10 * s), -1);
}

static void the_supervisors_lines_become_processes(void **state)
{
	json_t *list = service_parse("supervisor pid=1 state=running\n"
				     "vsapiapp pid=0 state=stopped restarts=2");
	json_t *o = json_array_get(list, 1);

	assert_int_equal(json_array_size(list), 2);
	assert_string_equal(service_state(list, "vsapiapp"), "stopped");
	assert_string_equal(service_state(list, "entity"), "");
	assert_int_equal(json_integer_value(json_object_get(o, "restarts")), 2);
	json_decref(list);
	list = service_parse("");
	assert_int_equal(json_array_size(list), 0);
	json_decref(list);
}

#define DISK(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		DISK(pseudo_file_systems_are_refused_and_passed_over),
		DISK(other_file_systems_are_entered_unless_told_to_stay),
		DISK(exclusions_hold_but_with_no_exclusions),
		DISK(a_count_beside_the_scan_ends_with_all_files),
		cmocka_unit_test(the_time_left_follows_from_files_and_bytes),
		cmocka_unit_test(the_supervisors_lines_become_processes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
