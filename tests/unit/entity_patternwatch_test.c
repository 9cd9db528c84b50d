/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/* What updates left behind, looked at again and again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/paths.h"
#include "entity/patternwatch.h"
#include "lib/alloc.h"
#include "lib/fdutil.h"

static char root[PATH_MAX];
static struct patternwatch watch;

static void run(const char *fmt, const char *a)
{
	char *line = xasprintf(fmt, a);

	assert_int_equal(system(line), 0);
	free(line);
}

static int setup(void **state)
{
	(void)state;
	memset(&watch, 0, sizeof(watch));
	run("mkdir -p %s/sets", paths()->pattern_dir);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	patternwatch_deinit(&watch);
	run("rm -rf '%s'", root);
	return 0;
}

static void each_update_is_seen(void **state)
{
	struct err why = {.text = "because"};

	(void)state;
	patternwatch_look(&watch);
	assert_false(watch.failed);
	for (int i = 0; i < 50; i++) {
		patternset_tell("somewhere", &why);
		patternwatch_look(&watch);
		assert_true(watch.failed);
		assert_string_equal(watch.why.text, "because");
		patternset_tell("somewhere", NULL);
		patternwatch_look(&watch);
		assert_false(watch.failed);
	}
}

/* A set with one part, good until a time. */
static void make_set(int number, int version, int until)
{
	char *dir = xasprintf("%s/sets/%d", paths()->pattern_dir, number);
	char *part = xasprintf("%s/part", dir), *text, *path;

	assert_int_equal(fd_mkdirs(part, 0755, NULL), 0);
	text = xasprintf("{\"format\": 1, \"name\": \"part\", \"version\": %d, "
			 "\"created\": 1, \"valid_until\": %d, \"files\": "
			 "[{\"name\": \"a.ndb\", \"size\": 1, "
			 "\"sha256\": \"%064d\"}]}",
			 version, until, 0);
	path = xasprintf("%s/manifest.json", part);
	assert_int_equal(fd_replace_file(path, text, strlen(text), 0644, NULL),
			 0);
	free(text);
	free(path);
	text = xasprintf(
		"{\"format\": 1, \"created\": 1, \"parts\": [{\"name\": "
		"\"part\", \"origin\": \"\", \"signed_by\": \"\"}]}");
	path = xasprintf("%s/set.json", dir);
	assert_int_equal(fd_replace_file(path, text, strlen(text), 0644, NULL),
			 0);
	free(text);
	free(path);
	free(part);
	free(dir);
}

static void look_for(uint64_t version)
{
	patternwatch_look(&watch);
	if (!version) {
		assert_int_equal(watch.set.len, 0);
		return;
	}
	assert_int_equal(watch.set.len, 1);
	assert_int_equal(watch.set.items[0].m.version, version);
}

static void each_switch_is_seen(void **state)
{
	struct err err;

	(void)state;
	look_for(0);
	make_set(1, 5, 0);
	make_set(2, 6, 1700000000);
	look_for(0);
	for (int i = 0; i < 20; i++) {
		assert_int_equal(patternset_switch(1, &err), 0);
		look_for(5);
		assert_int_equal(patternset_switch(2, &err), 0);
		look_for(6);
		assert_int_equal(watch.set.items[0].m.valid_until, 1700000000);
	}
	/* also after it was quiet for so long that nothing is read */
	sleep(3);
	look_for(6);
	look_for(6);
	assert_int_equal(patternset_switch(1, &err), 0);
	look_for(5);
	assert_int_equal(patternset_switch(0, &err), 0);
	look_for(0);
}

static void what_is_laid_beside_the_sets_is_seen(void **state)
{
	(void)state;
	patternwatch_look(&watch);
	assert_int_equal(watch.laid.len, 0);
	run("cd %s && touch b.ndb state.json lock README && mkdir d.ndb && "
	    "mkfifo p.hdb && ln -s b.ndb a.CVD && ln -s nowhere c.ldb",
	    paths()->pattern_dir);
	patternwatch_look(&watch);
	assert_int_equal(watch.laid.len, 2);
	assert_string_equal(watch.laid.items[0], "a.CVD");
	assert_string_equal(watch.laid.items[1], "b.ndb");
	/* also after it was quiet for so long that nothing is read */
	sleep(3);
	patternwatch_look(&watch);
	patternwatch_look(&watch);
	run("rm -r %s/?.*", paths()->pattern_dir);
	patternwatch_look(&watch);
	assert_int_equal(watch.laid.len, 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(each_update_is_seen),
		T(each_switch_is_seen),
		T(what_is_laid_beside_the_sets_is_seen),
	};

	alarm(120);
	strcpy(root, "/tmp/splx-watch-XXXXXX");
	if (!mkdtemp(root))
		return 1;
	paths_init(root);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
