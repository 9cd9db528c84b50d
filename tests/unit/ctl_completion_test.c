/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/completion.h"
#include "lib/alloc.h"

static char script[] = "/tmp/splx-completion-XXXXXX";

static int setup(void **state)
{
	int fd = mkstemp(script);
	FILE *f = fd < 0 ? NULL : fdopen(fd, "w");

	if (!f)
		return -1;
	completion_bash(f);
	return fclose(f);
}

static int teardown(void **state)
{
	return unlink(script);
}

/*
 * What bash offers for words as readline hands them over (it splits at "="),
 * the last one being typed; sorted, in one line.
 */
static char *offered(const char *words)
{
	char *command = xasprintf(
		"bash --norc -c 'source %s; compopt() { :; };"
		"COMP_WORDS=(splxctl %s); COMP_CWORD=$((${#COMP_WORDS[@]} - "
		"1));"
		"_splxctl; printf \"%%s\\n\" \"${COMPREPLY[@]}\" | sort |"
		" tr \"\\n\" \" \"'",
		script, words);
	static char line[4096];
	FILE *f = popen(command, "r");
	size_t n;

	assert_non_null(f);
	n = fread(line, 1, sizeof(line) - 1, f);
	line[n] = '\0';
	assert_int_equal(pclose(f), 0);
	free(command);
	return line;
}

static void bash_reads_the_script_without_a_complaint(void **state)
{
	char *command = xasprintf("bash -n %s 2>&1 | grep -q . && exit 1; "
				  "bash -n %s",
				  script, script);

	assert_int_equal(system(command), 0);
	free(command);
}

static void nouns_verbs_and_options_are_offered(void **state)
{
	assert_string_equal(offered("quar"), "quarantine ");
	assert_string_equal(offered("quarantine \"\""),
			    "delete list purge restore show ");
	assert_string_equal(offered("quarantine re"), "restore ");
	assert_string_equal(offered("quarantine restore --f"), "--force ");
	assert_string_equal(offered("-o json events ex"), "export ");
	assert_string_equal(offered("scan --no"), "--no-exclusions ");
	assert_null(strstr(offered("scan b"), "begin"));
}

static void values_are_offered_where_they_are_known(void **state)
{
	assert_string_equal(offered("events list --kind = v"), "virus ");
	assert_string_equal(offered("scan --action = q"), "quarantine ");
	assert_string_equal(offered("-o j"), "json ");
	assert_string_equal(offered("config get VerdictT"), "VerdictTimeout ");
	assert_string_equal(offered("exclusion add fs"), "fstype ");
	assert_non_null(strstr(offered("scan /et"), "/etc "));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bash_reads_the_script_without_a_complaint),
		cmocka_unit_test(nouns_verbs_and_options_are_offered),
		cmocka_unit_test(values_are_offered_where_they_are_known),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
