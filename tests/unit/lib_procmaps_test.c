/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <cmocka.h>

#include "lib/procmaps.h"

static void a_line_is_read(void **state)
{
	char name[PROCMAP_NAME_MAX];
	struct procmap m;

	(void)state;
	assert_true(procmap_parse("7f12a4000000-7f12a4021000 r-xp 00002000 "
				  "fe:01 4294967299   /srv/a b (deleted)\n",
				  &m));
	assert_true(m.from == 0x7f12a4000000 && m.to == 0x7f12a4021000);
	assert_true(m.exec);
	assert_true(m.dev == makedev(0xfe, 1));
	assert_true(m.ino == 4294967299);
	procmap_name(&m, name);
	assert_string_equal(name, "7f12a4000000-7f12a4021000");
	assert_true(procmap_parse("1000-2000 rw-s 0 00:1f 0 /zero\n", &m));
	assert_false(m.exec);
	assert_true(procmap_parse("ffffffffff600000-ffffffffff601000 --xp 0 "
				  "00:1f 7 /x",
				  &m));
	procmap_name(&m, name);
	assert_string_equal(name, "ffffffffff600000-ffffffffff601000");
}

static void what_maps_no_file_is_none(void **state)
{
	struct procmap m;

	(void)state;
	assert_false(procmap_parse("1000-2000 rw-p 00000000 00:00 0\n", &m));
	assert_false(procmap_parse("1000-2000 r-xp 00000000 00:00 0   [vdso]\n",
				   &m));
	assert_false(procmap_parse("1000-2000 r-xp\n", &m));
	assert_false(procmap_parse("", &m));
}

/* The kernel's own: this program is mapped to run, and its link leads to it. */
static void our_own_program_is_among_ours(void **state)
{
	char line[4400], name[PROCMAP_NAME_MAX], link[80];
	struct stat self, mapped;
	FILE *in = fopen("/proc/self/maps", "r");
	bool found = false;
	struct procmap m;

	(void)state;
	assert_non_null(in);
	assert_int_equal(stat("/proc/self/exe", &self), 0);
	while (fgets(line, sizeof(line), in)) {
		if (!procmap_parse(line, &m) || !m.exec)
			continue;
		procmap_name(&m, name);
		snprintf(link, sizeof(link), "/proc/self/map_files/%s", name);
		assert_int_equal(stat(link, &mapped), 0);
		found |= mapped.st_dev == self.st_dev &&
			 mapped.st_ino == self.st_ino;
	}
	fclose(in);
	assert_true(found);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_is_read),
		cmocka_unit_test(what_maps_no_file_is_none),
		cmocka_unit_test(our_own_program_is_among_ours),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
