/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/* Whether a file has to be read again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "filebed.h"
#include "lib/filemark.h"

static void what_is_as_it_was_is_not_read_again(void **state)
{
	struct filemark mark = {0};

	(void)state;
	assert_true(filemark_changed(&mark, in("file")));
	assert_false(filemark_changed(&mark, in("file"))); /* there is none */
	put("file", "one");
	assert_true(filemark_changed(&mark, in("file")));
	sleep(3);
	assert_true(filemark_changed(&mark, in("file")));
	assert_false(filemark_changed(&mark, in("file")));
	assert_false(filemark_changed(&mark, in("file")));
	assert_int_equal(unlink(in("file")), 0);
	assert_true(filemark_changed(&mark, in("file")));
	assert_false(filemark_changed(&mark, in("file")));
}

/* Within one tick of the clock, and with the same inode again. */
static void no_change_is_missed_however_fast_they_come(void **state)
{
	struct filemark mark = {0};
	char text[2] = "", said[8] = "", *now;
	size_t len;

	(void)state;
	for (int i = 0; i < 2000; i++) {
		text[0] = (char)('a' + i % 26);
		put("file", text);
		if (i % 3 == 0)
			put("file", text);
		if (filemark_changed(&mark, in("file"))) {
			assert_int_equal(
				fd_read_file(in("file"), 8, &now, &len, NULL),
				0);
			strcpy(said, now);
			free(now);
		}
		assert_string_equal(said, text);
	}
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, file_setup, file_teardown)
	const struct CMUnitTest tests[] = {
		T(what_is_as_it_was_is_not_read_again),
		T(no_change_is_missed_however_fast_they_come),
	};

	alarm(120);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
