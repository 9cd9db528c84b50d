/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/inithdr.h"
#include "lib/alloc.h"

static const char sample[] = "#!/bin/sh\n"
			     "# chkconfig: 2345 91 09\n"
			     "# Provides: not-yet\n"
			     "### BEGIN INIT INFO\n"
			     "# Provides:          abc abc-two\n"
			     "# Required-Start:    $remote_fs, $syslog\n"
			     "# required-stop:     $remote_fs\n"
			     "# X-Debian-Should-Start: one\ttwo\n"
			     "# Should-Start:      not-this\n"
			     "# X-Start-Before:    cron\n"
			     "# Default-Start:     2 3\n"
			     "# Default-Stop:\n"
			     "# Description:       several\n"
			     "#                    lines\n"
			     "### END INIT INFO\n"
			     "# X-Stop-After: too-late\n"
			     "### BEGIN INIT INFO\n"
			     "# Provides: another\n"
			     "### END INIT INFO\n";

static void check_words(const struct inithdr *h, enum inithdr_field field,
			const char *want)
{
	char all[256] = "", **w;

	vec_each (w, &h->words[field]) {
		if (*all)
			strcat(all, " ");
		strcat(all, *w);
	}
	assert_string_equal(all, want);
}

static void the_header_is_read_as_insserv_reads_it(void **state)
{
	struct inithdr h;

	inithdr_parse(sample, &h);
	assert_true(h.lsb);
	assert_false(h.broken);
	check_words(&h, INITHDR_PROVIDES, "abc abc-two");
	check_words(&h, INITHDR_REQUIRED_START, "$remote_fs $syslog");
	check_words(&h, INITHDR_REQUIRED_STOP, "$remote_fs");
	/* a vendor's name is the same field, and the first counts */
	check_words(&h, INITHDR_SHOULD_START, "one two");
	check_words(&h, INITHDR_START_BEFORE, "cron");
	check_words(&h, INITHDR_DEFAULT_START, "2 3");
	assert_true(h.has[INITHDR_DEFAULT_STOP]);
	check_words(&h, INITHDR_DEFAULT_STOP, "");
	assert_false(h.has[INITHDR_STOP_AFTER]);
	inithdr_free(&h);
}

static void chkconfigs_line_is_read_where_it_is_right(void **state)
{
	static const char *const wrong[] = {
		"# chkconfig: 2345 91\n",     "# chkconfig: 2389 91 09\n",
		"# chkconfig: 2345 100 09\n", "# chkconfig: 2345 -1 9\n",
		"# chkconfig 2345 91 09\n",   "chkconfig: 2345 91 09\n",
		"# chkconfig: 23456012 1 2\n"};
	struct inithdr h;
	size_t i;

	inithdr_parse(sample, &h);
	assert_true(h.chkconfig);
	assert_string_equal(h.levels, "2345");
	assert_int_equal(h.start, 91);
	assert_int_equal(h.stop, 9);
	inithdr_free(&h);
	inithdr_parse("#chkconfig: - 1 2\n", &h);
	assert_true(h.chkconfig);
	assert_string_equal(h.levels, "-");
	inithdr_free(&h);
	for (i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		inithdr_parse(wrong[i], &h);
		if (h.chkconfig)
			fail_msg("%s was taken", wrong[i]);
		inithdr_free(&h);
	}
}

static void what_is_no_whole_header_is_none(void **state)
{
	static const char *const texts[] = {
		"", "#!/bin/sh\nexit 0\n", "### END INIT INFO\n",
		"# Provides: abc\n", "### BEGIN INIT INFO\n# Provides: abc\n"};
	struct inithdr h;
	size_t i;

	for (i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		inithdr_parse(texts[i], &h);
		assert_false(h.lsb);
		assert_int_equal(h.words[INITHDR_PROVIDES].len, 0);
		assert_int_equal(h.broken, i == 4);
		assert_null(inithdr_rewrite(texts[i], &h, &h));
		inithdr_free(&h);
	}
}

static void odd_lines_in_a_header_do_no_harm(void **state)
{
	struct inithdr h;

	inithdr_parse("### BEGIN INIT INFO\n"
		      "Provides: no-comment\n"
		      "#:\n#\n# : x\n# X-: y\n# X-Should: z\n"
		      "# NotRequired-Start: n\n# X-A-Required-Start: n\n"
		      "# Required-Start : blank\n"
		      "#\tProvides:\tabc\r\n"
		      "### END INIT INFO\n",
		      &h);
	assert_true(h.lsb);
	check_words(&h, INITHDR_PROVIDES, "abc");
	assert_false(h.has[INITHDR_REQUIRED_START]);
	assert_false(h.has[INITHDR_SHOULD_START]);
	inithdr_free(&h);
}

static void words_are_added_once_and_taken_out(void **state)
{
	struct inithdr h;

	inithdr_parse(sample, &h);
	assert_true(inithdr_add(&h, INITHDR_SHOULD_STOP, "x"));
	assert_false(inithdr_add(&h, INITHDR_SHOULD_STOP, "x"));
	assert_true(inithdr_lists(&h, INITHDR_SHOULD_STOP, "x"));
	assert_true(inithdr_remove(&h, INITHDR_START_BEFORE, "cron"));
	assert_false(inithdr_remove(&h, INITHDR_START_BEFORE, "cron"));
	inithdr_free(&h);
}

static void only_what_changed_is_written_anew(void **state)
{
	struct inithdr was, now;
	char *text;

	inithdr_parse(sample, &was);
	inithdr_copy(&now, &was);
	text = inithdr_rewrite(sample, &was, &now);
	assert_true(strncmp(strstr(sample, "### BEGIN"), text, strlen(text)) ==
		    0);
	free(text);
	inithdr_add(&now, INITHDR_SHOULD_START, "new");
	inithdr_add(&now, INITHDR_SHOULD_STOP, "new");
	inithdr_remove(&now, INITHDR_START_BEFORE, "cron");
	inithdr_remove(&now, INITHDR_REQUIRED_STOP, "$remote_fs");
	text = inithdr_rewrite(sample, &was, &now);
	assert_string_equal(text, "### BEGIN INIT INFO\n"
				  "# Provides:          abc abc-two\n"
				  "# Required-Start:    $remote_fs, $syslog\n"
				  "# Required-Stop:\n"
				  "# Should-Start:      one two new\n"
				  "# Should-Start:      not-this\n"
				  "# Default-Start:     2 3\n"
				  "# Default-Stop:\n"
				  "# Description:       several\n"
				  "#                    lines\n"
				  "# Should-Stop:       new\n"
				  "### END INIT INFO\n");
	free(text);
	inithdr_free(&now);
	inithdr_free(&was);
}

static void an_override_sets_what_it_has(void **state)
{
	struct inithdr h, over;

	inithdr_parse(sample, &h);
	inithdr_parse("# chkconfig: 35 95 05\n### BEGIN INIT INFO\n"
		      "# Should-Start: x\n### END INIT INFO\n",
		      &over);
	inithdr_overlay(&h, &over);
	assert_int_equal(h.start, 95);
	assert_string_equal(h.levels, "35");
	check_words(&h, INITHDR_SHOULD_START, "x");
	check_words(&h, INITHDR_PROVIDES, "abc abc-two");
	inithdr_free(&over);
	inithdr_free(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_header_is_read_as_insserv_reads_it),
		cmocka_unit_test(chkconfigs_line_is_read_where_it_is_right),
		cmocka_unit_test(what_is_no_whole_header_is_none),
		cmocka_unit_test(odd_lines_in_a_header_do_no_harm),
		cmocka_unit_test(words_are_added_once_and_taken_out),
		cmocka_unit_test(only_what_changed_is_written_anew),
		cmocka_unit_test(an_override_sets_what_it_has),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
