/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/* What a manifest may hold, and whether files are what it says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/manifest.h"
#include "lib/alloc.h"
#include "lib/fdutil.h"

#define ABC "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define HEAD                                                                   \
	"{\"format\": 1, \"name\": \"office\", \"version\": 7, "               \
	"\"created\": 1790000000, \"valid_until\": 1792000000, "
#define FILE_A "{\"name\": \"a.ndb\", \"size\": 3, \"sha256\": \"" ABC "\"}"
#define GOOD HEAD "\"files\": [" FILE_A "]}"

static struct err err;

static int parse(const char *text, struct manifest *m)
{
	err_clear(&err);
	return manifest_parse(text, strlen(text), m, &err);
}

static void what_is_written_is_read(void **state)
{
	struct manifest m, again;
	char *text;

	(void)state;
	assert_int_equal(parse(GOOD, &m), 0);
	assert_string_equal(m.name, "office");
	assert_int_equal(m.version, 7);
	assert_true(m.created == 1790000000 && m.valid_until == 1792000000);
	assert_int_equal(m.len, 1);
	assert_string_equal(m.items[0].name, "a.ndb");
	assert_string_equal(m.items[0].sha256, ABC);
	assert_int_equal(manifest_bytes(&m), 3);
	text = manifest_text(&m);
	assert_int_equal(parse(text, &again), 0);
	assert_string_equal(again.items[0].name, "a.ndb");
	assert_true(again.version == 7 && again.valid_until == 1792000000);
	free(text);
	manifest_free(&m);
	manifest_free(&again);
	/* what a later version may add */
	assert_int_equal(
		parse(HEAD "\"new\": {}, \"files\": [" FILE_A "]}", &m), 0);
	manifest_free(&m);
}

static void what_is_wrong_is_named(void **state)
{
	static const struct {
		const char *text, *why;
	} bad[] = {
		{"", "line 1"},
		{"[]", "no object"},
		{"{}", "\"format\""},
		{GOOD "x", "line 1"},
		{"{\"format\": 2}", "format 2"},
		{"{\"format\": \"1\"}", "whole number"},
		{"{\"format\": 1, \"format\": 1}", "uplicate"},
		{HEAD "\"files\": []}", "1 to"},
		{HEAD "\"files\": {}}", "1 to"},
		{HEAD "\"x\": 1}", "\"files\""},
		{HEAD "\"files\": [" FILE_A ", " FILE_A "]}", "twice"},
		{HEAD "\"files\": [1]}", "file 1"},
		{"{\"format\": 1, \"name\": \"../x\"}", "\"name\""},
		{"{\"format\": 1, \"name\": \"x\", \"version\": 0}",
		 "\"version\""},
		{"{\"format\": 1, \"name\": \"x\", \"version\": 1.5}",
		 "\"version\""},
		{"{\"format\": 1, \"name\": \"x\", \"version\": "
		 "9999999999999999}",
		 "\"version\""},
		{"{\"format\": 1, \"name\": \"x\", \"version\": 1, "
		 "\"created\": -1}",
		 "\"created\""},
		{"{\"format\": 1, \"name\": \"x\", \"version\": 1, "
		 "\"created\": 1}",
		 "\"valid_until\""},
	};
	struct manifest m;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(parse(bad[i].text, &m), -1);
		if (!strstr(err.text, bad[i].why))
			fail_msg("%s: %s", bad[i].text, err.text);
		assert_null(m.items);
	}
}

static void only_safe_names_are_files(void **state)
{
	static const char *const bad[] = {"",
					  ".",
					  "..",
					  ".x",
					  "-x",
					  "a/b",
					  "/etc/passwd",
					  "../a",
					  "a b",
					  "a\\n",
					  "\\u0000a",
					  "\\u00e4",
					  "manifest.json",
					  "MANIFEST.SIG"};
	struct manifest m;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char *text = xasprintf(
			HEAD "\"files\": [{\"name\": \"%s\", \"size\": 3, "
			     "\"sha256\": \"" ABC "\"}]}",
			bad[i]);

		if (parse(text, &m) == 0)
			fail_msg("taken: %s", bad[i]);
		free(text);
	}
}

static void sizes_and_hashes_have_bounds(void **state)
{
	static const struct {
		const char *size, *hash;
	} bad[] = {
		{"0", ABC},
		{"-1", ABC},
		{"1e3", ABC},
		{"99999999999999999999", ABC},
		{"4294967297", ABC},
		{"3", "abc"},
		{"3", "BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61"
		      "F20015AD"},
	};
	struct manifest m;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char *text = xasprintf(HEAD "\"files\": [{\"name\": \"a\", "
					    "\"size\": %s, \"sha256\": "
					    "\"%s\"}]}",
				       bad[i].size, bad[i].hash);

		if (parse(text, &m) == 0)
			fail_msg("taken: %s %s", bad[i].size, bad[i].hash);
		free(text);
	}
	/* each may be as large, both together not */
	assert_int_equal(parse(HEAD "\"files\": [" FILE_A ", {\"name\": \"b\", "
				    "\"size\": 4294967296, \"sha256\": \"" ABC
				    "\"}]}",
			       &m),
			 -1);
	assert_non_null(strstr(err.text, "together"));
}

/* ---- files ---- */

static char dir[PATH_MAX];

static void put(const char *name, const char *text)
{
	char *path = xasprintf("%s/%s", dir, name);

	assert_int_equal(fd_replace_file(path, text, strlen(text), 0644, NULL),
			 0);
	free(path);
}

static int setup(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/splx-manifest-XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
	char *line = xasprintf("rm -rf '%s'", dir);
	int rc = system(line);

	(void)state;
	free(line);
	return rc;
}

/* NULL when the directory is as the manifest says, else why not. */
static const char *fault(void)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY), rc;
	struct manifest m;

	assert_int_equal(parse(GOOD, &m), 0);
	rc = manifest_check_dir(&m, fd, &err);
	manifest_free(&m);
	close(fd);
	return rc < 0 ? err.text : NULL;
}

static void files_are_what_it_says_or_named(void **state)
{
	char *path = xasprintf("%s/a.ndb", dir);

	(void)state;
	assert_non_null(strstr(fault(), "a.ndb: No such file"));
	put("a.ndb", "abc");
	assert_null(fault());
	put(MANIFEST_FILE, "x");
	put(MANIFEST_SIGNATURE, "x");
	assert_null(fault());
	put("a.ndb", "abd");
	assert_non_null(strstr(fault(), "a.ndb is not what its manifest says"));
	put("a.ndb", "ab");
	assert_non_null(strstr(fault(), "2 bytes, and should have 3"));
	put("a.ndb", "abcd");
	assert_non_null(strstr(fault(), "4 bytes, and should have 3"));
	put("a.ndb", "abc");
	put("b.ndb", "more");
	assert_non_null(strstr(fault(), "b.ndb is not in its manifest"));
	assert_int_equal(unlink(path), 0);
	assert_int_equal(symlink("/etc/passwd", path), 0);
	assert_non_null(fault());
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_non_null(strstr(fault(), "no regular file"));
	free(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_is_read),
		cmocka_unit_test(what_is_wrong_is_named),
		cmocka_unit_test(only_safe_names_are_files),
		cmocka_unit_test(sizes_and_hashes_have_bounds),
		cmocka_unit_test_setup_teardown(files_are_what_it_says_or_named,
						setup, teardown),
	};

	alarm(60);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
