/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/* The header of ClamAV's databases: read when it is one, else refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/cvd.h"
#include "lib/fdutil.h"

#define GOOD "ClamAV-VDB:22 Jun 2021 21-31 -0400:5:13:81:ab:cd:who:1624411902"

static int parse(const char *text, struct cvd_head *head)
{
	struct err err = {0};
	int rc = cvd_head_parse(text, strlen(text), head, &err);

	assert_int_equal(rc < 0, err.text[0] != '\0');
	return rc;
}

static void a_header_is_read(void **state)
{
	struct cvd_head h;

	(void)state;
	assert_int_equal(parse(GOOD, &h), 0);
	assert_int_equal(h.version, 5);
	assert_int_equal(h.signatures, 13);
	assert_int_equal(h.level, 81);
	assert_int_equal(h.time, 1624411902);
	assert_int_equal(parse(GOOD "      ", &h), 0);
	assert_int_equal(h.time, 1624411902);
}

static void what_is_no_header_is_refused(void **state)
{
	static const char *const bad[] = {
		"",
		":",
		"ClamAV-VDB",
		"ClamAV-VDB:date:5:13:81:ab:cd:who",
		"ClamAV-VDB:date:5:13:81:ab:cd:who:",
		"ClamAV-VDB:date:5:13:81:ab:cd:who:7:8",
		"ClamAV-VDC:date:5:13:81:ab:cd:who:7",
		"ClamAV-VDB:date::13:81:ab:cd:who:7",
		"ClamAV-VDB:date:0:13:81:ab:cd:who:7",
		"ClamAV-VDB:date:-5:13:81:ab:cd:who:7",
		"ClamAV-VDB:date:5x:13:81:ab:cd:who:7",
		"ClamAV-VDB:date:99999999999:13:81:ab:cd:who:7",
		"ClamAV-VDB:date:5:13:81:ab:cd:who:99999999999",
		"ClamAV-VDB:date:5:x:81:ab:cd:who:7",
		"ClamAV-VDB:date:5:13:x:ab:cd:who:7",
		"ClamAV-VDB:da\nte:5:13:81:ab:cd:who:7",
		"ClamAV-VDB:da\xffte:5:13:81:ab:cd:who:7",
	};
	struct cvd_head h;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		if (parse(bad[i], &h) == 0)
			fail_msg("taken: %s", bad[i]);
	assert_int_equal(h.version, 0);
}

static void bytes_behind_the_header_are_none_of_it(void **state)
{
	char path[] = "/tmp/splx-cvd-XXXXXX", text[CVD_HEAD_LEN + 100];
	int fd = mkstemp(path);
	struct cvd_head h;
	struct err err;

	(void)state;
	assert_true(fd >= 0 && unlink(path) == 0);
	memset(text, ' ', sizeof(text));
	memcpy(text, GOOD, sizeof(GOOD) - 1);
	memset(text + CVD_HEAD_LEN, '\0', 100);
	assert_int_equal(fd_write_all(fd, text, sizeof(text)), 0);
	assert_int_equal(cvd_head_read(fd, &h, &err), 0);
	assert_int_equal(h.version, 5);
	assert_int_equal(cvd_head_parse(text, sizeof(text), &h, &err), -1);
	assert_int_equal(ftruncate(fd, CVD_HEAD_LEN - 1), 0);
	assert_int_equal(cvd_head_read(fd, &h, &err), -1);
	assert_non_null(strstr(err.text, "shorter"));
	close(fd);
}

static void a_name_is_safe_in_a_path(void **state)
{
	(void)state;
	assert_true(cvd_is_name("daily"));
	assert_true(cvd_is_name("a-2_b"));
	assert_false(cvd_is_name(""));
	assert_false(cvd_is_name(".."));
	assert_false(cvd_is_name("a/b"));
	assert_false(cvd_is_name("a.b"));
	assert_false(cvd_is_name("Daily"));
	assert_false(cvd_is_name("-d"));
	assert_false(cvd_is_name("a=b"));
	assert_false(cvd_is_name("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_header_is_read),
		cmocka_unit_test(what_is_no_header_is_refused),
		cmocka_unit_test(bytes_behind_the_header_are_none_of_it),
		cmocka_unit_test(a_name_is_safe_in_a_path),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
