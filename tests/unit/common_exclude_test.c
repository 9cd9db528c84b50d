/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/exclude.h"
#include "common/wildcard.h"
#include "lib/clock.h"
#include "lib/err.h"

static struct conf *conf;
static struct exclude *ex;
static struct exclude_problems problems;

static void add(const char *key, const char *item)
{
	struct err err;

	if (!conf)
		conf = conf_new();
	if (*item)
		assert_int_equal(conf_list_add(conf, key, item, &err), 0);
	else /* only by hand in the file */
		vec_push(&conf->exclude_directory, xstrdup(""));
}

static void compile(void)
{
	if (!conf)
		conf = conf_new();
	ex = exclude_new(conf, &problems);
}

static int teardown(void **state)
{
	exclude_free(&ex);
	exclude_problems_free(&problems);
	conf_free(&conf);
	return 0;
}

static void excluded_by(const char *path, const char *key)
{
	const char *why = NULL;

	if (!exclude_path(ex, path, &why))
		fail_msg("%s is not excluded", path);
	assert_string_equal(why, key);
}

static void not_excluded(const char *path)
{
	const char *why = NULL;

	if (exclude_path(ex, path, &why))
		fail_msg("%s is excluded by %s", path, why);
}

static void nothing_is_excluded_by_default(void **state)
{
	compile();
	assert_int_equal(problems.len, 0);
	not_excluded("/");
	not_excluded("/etc/passwd");
	assert_false(exclude_fstype(ex, "tmpfs"));
	assert_false(exclude_has_executables(ex));
	assert_false(exclude_needs_path(ex));
	assert_true(exclude_included(ex, "/anything"));
}

static void a_directory_excludes_what_is_below_and_not_its_namesakes(
	void **state)
{
	add("ExcludeDirectory", "/srv//./cache/");
	compile();
	excluded_by("/srv/cache", "ExcludeDirectory");
	excluded_by("/srv/cache/a/b", "ExcludeDirectory");
	not_excluded("/srv/cache2");
	not_excluded("/srv/cach");
	not_excluded("/a/srv/cache/b");
	not_excluded("srv/cache/a");
	assert_true(exclude_needs_path(ex));
}

static void a_file_excludes_itself_alone(void **state)
{
	add("ExcludeFile", "/srv/a.db");
	compile();
	excluded_by("/srv/a.db", "ExcludeFile");
	not_excluded("/srv/a.db2");
	not_excluded("/srv/a.db/x");
}

static void an_extension_counts_in_any_case_at_the_end_of_the_name(void **state)
{
	add("ExcludeExtension", "log");
	add("ExcludeExtension", ".TAR.gz");
	compile();
	excluded_by("/a/x.log", "ExcludeExtension");
	excluded_by("/a/x.LoG", "ExcludeExtension");
	excluded_by("/a/x.tar.gz", "ExcludeExtension");
	not_excluded("/a/x.gz");
	not_excluded("/a/xlog");
	not_excluded("/a/.log");
	not_excluded("/a.log/x");
	not_excluded("/a/x.log.exe");
}

static void a_pattern_keeps_to_its_directory_unless_it_has_two_stars(
	void **state)
{
	add("ExcludePattern", "/home/*/cache/*.tmp");
	add("ExcludePattern", "/srv/**/build/x?");
	add("ExcludePattern", "**/core");
	compile();
	excluded_by("/home/u/cache/a.tmp", "ExcludePattern");
	not_excluded("/home/u/v/cache/a.tmp");
	not_excluded("/home/u/cache/v/a.tmp");
	excluded_by("/srv/a/b/build/x1", "ExcludePattern");
	excluded_by("/srv/build/x1", "ExcludePattern");
	excluded_by("/srv/build/x\303\244", "ExcludePattern");
	not_excluded("/srv/abuild/x1");
	not_excluded("/srv/build/x/");
	excluded_by("/core", "ExcludePattern");
	excluded_by("/a/b/core", "ExcludePattern");
	not_excluded("/a/score");
}

static void an_expression_is_not_anchored_and_ends_at_the_end(void **state)
{
	add("ExcludeRegex", "\\.(tmp|bak)$");
	add("ExcludeRegex", "^/opt/([a-z]+)/\\1$");
	compile();
	excluded_by("/a/b.tmp", "ExcludeRegex");
	not_excluded("/a/b.tmp\n");
	not_excluded("/a/b.tmp2");
	excluded_by("/opt/x/x", "ExcludeRegex");
	not_excluded("/opt/x/y");
	excluded_by("/\377\376.bak", "ExcludeRegex");
}

static void a_bad_entry_voids_itself_alone_and_is_reported(void **state)
{
	add("ExcludeDirectory", "");
	add("ExcludeDirectory", "relative");
	add("ExcludeDirectory", "/a/../b");
	add("ExcludeDirectory", "/");
	add("ExcludeDirectory", "/good");
	add("ExcludeFile", "x");
	add("ExcludeExtension", "a/b");
	add("ExcludePattern", "*.tmp");
	add("ExcludeRegex", "(unclosed");
	add("ExcludeRegex", "good$");
	add("ExcludeFsType", "two words");
	add("ExcludeExecutable", "bash");
	add("ExcludeExecutable", "/tmp");
	add("Include", "relative");
	compile();
	assert_int_equal(problems.len, 12);
	assert_string_equal(problems.items[0].key, "Include");
	assert_string_equal(problems.items[0].entry, "relative");
	assert_string_equal(problems.items[0].reason, "is not a full path");
	assert_string_equal(problems.items[8].key, "ExcludeRegex");
	assert_non_null(strstr(problems.items[8].reason,
			       "missing closing parenthesis"));
	excluded_by("/good/x", "ExcludeDirectory");
	excluded_by("/x/good", "ExcludeRegex");
	not_excluded("/a/b");
	assert_true(exclude_included(ex, "/anything"));
	assert_false(exclude_has_executables(ex));
}

/* Of this process: what others do on the machine does not count. */
static uint64_t cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (uint64_t)clock_timespec_ns(&ts);
}

static void a_hostile_path_cannot_make_an_expression_slow(void **state)
{
	static char path[4096];
	uint64_t start, took;

	add("ExcludeRegex", "(a|aa|aaa)+[bc]");
	add("ExcludeRegex", "(a+)+[bc]$");
	add("ExcludeRegex", "(?:a?){30}a{30}[zq]");
	add("ExcludePattern", "/**a**a**a**a**a**a**a**a**b");
	compile();
	assert_int_equal(problems.len, 0);
	memset(path, 'a', sizeof(path) - 2);
	path[0] = '/';
	path[sizeof(path) - 2] = '!';
	start = cpu_ns();
	not_excluded(path);
	took = cpu_ns() - start;
	print_message("took %llu us\n", (unsigned long long)took / 1000);
	assert_true(took < 30 * CLOCK_NS_PER_MS);
}

static void file_system_types_are_compared_whole(void **state)
{
	add("ExcludeFsType", "nfs");
	compile();
	assert_true(exclude_fstype(ex, "nfs"));
	assert_false(exclude_fstype(ex, "nfs4"));
	assert_false(exclude_needs_path(ex));
}

static void include_takes_what_lies_below(void **state)
{
	add("Include", "/srv/");
	compile();
	assert_true(exclude_included(ex, "/srv/x"));
	assert_true(exclude_included(ex, "/srv"));
	assert_false(exclude_included(ex, "/srv2/x"));
	assert_true(exclude_needs_path(ex));
	exclude_free(&ex);
	add("Include", "/");
	compile();
	assert_true(exclude_included(ex, "/anything"));
}

static void touch(const char *path, struct stat *st)
{
	int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0755);

	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, st), 0);
	close(fd);
}

static void an_executable_is_its_file_and_a_replaced_one_is_seen(void **state)
{
	char dir[] = "/tmp/splx_exclude_XXXXXX";
	char path[64], other[64];
	struct stat old, new;

	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/tool", dir);
	snprintf(other, sizeof(other), "%s/other", dir);
	touch(path, &old);
	add("ExcludeExecutable", path);
	compile();
	assert_true(exclude_has_executables(ex));
	assert_false(exclude_needs_path(ex));
	assert_true(exclude_executable(ex, old.st_dev, old.st_ino));
	assert_false(exclude_executable(ex, old.st_dev, old.st_ino + 1));
	assert_false(exclude_executable(ex, old.st_dev + 1, old.st_ino));
	touch(other, &new);
	assert_int_equal(rename(other, path), 0);
	usleep(1100000);
	assert_true(exclude_executable(ex, new.st_dev, new.st_ino));
	assert_false(exclude_executable(ex, old.st_dev, old.st_ino));
	unlink(path);
	usleep(1100000);
	assert_false(exclude_executable(ex, new.st_dev, new.st_ino));
	rmdir(dir);
}

/* The meaning of patterns once more, slow and plain: the model. */
static bool model(const char *p, const char *s)
{
	size_t stars;

	if (!*p)
		return !*s;
	stars = strspn(p, "*");
	if (stars == 1)
		return model(p + 1, s) || (*s && *s != '/' && model(p, s + 1));
	/* a pattern begins with a slash, so there is a byte before stars */
	if (stars > 1 && p[-1] == '/' && p[stars] == '/' &&
	    model(p + stars + 1, s))
		return true;
	for (; stars > 1; s++) {
		if (model(p + stars, s))
			return true;
		if (!*s)
			return false;
	}
	if (*p == '?')
		return *s && *s != '/' && model(p + 1, s + 1);
	if (*p == '\\' && p[1])
		p++;
	return *p == *s && model(p + 1, s + 1);
}

static void random_text(char *out, size_t max, const char *letters)
{
	size_t n = (size_t)rand() % max, i;

	out[0] = '/';
	for (i = 1; i <= n; i++)
		out[i] = letters[(size_t)rand() % strlen(letters)];
	out[i] = '\0';
}

static void patterns_agree_with_a_plain_model(void **state)
{
	char pattern[16], path[16];
	int i, fits = 0;

	srand(1);
	for (i = 0; i < 200000; i++) {
		const char *why;
		struct wildcard *w;
		bool got;

		random_text(pattern, 9, "ab/*?*/\\");
		random_text(path, 9, "ab/*");
		w = wildcard_new(pattern, &why);
		assert_non_null(w);
		got = wildcard_match(w, path);
		if (got != model(pattern, path))
			fail_msg("%s %s %s", pattern, got ? "fits" : "misses",
				 path);
		fits += got;
		wildcard_free(&w);
	}
	assert_true(fits > 1000);
}

static void the_longest_pattern_works(void **state)
{
	char pattern[WILDCARD_MAX + 2], path[WILDCARD_MAX + 2];
	struct wildcard *w;
	const char *why;

	memset(pattern, '?', WILDCARD_MAX);
	memset(path, 'x', WILDCARD_MAX);
	pattern[0] = path[0] = '/';
	pattern[WILDCARD_MAX] = path[WILDCARD_MAX] = '\0';
	w = wildcard_new(pattern, &why);
	assert_true(wildcard_match(w, path));
	assert_false(wildcard_match(w, path + 1));
	wildcard_free(&w);
	strcat(pattern, "?");
	assert_null(wildcard_new(pattern, &why));
	assert_non_null(why);
}

#define WITH_TEARDOWN(fn) cmocka_unit_test_teardown(fn, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_TEARDOWN(nothing_is_excluded_by_default),
		WITH_TEARDOWN(
			a_directory_excludes_what_is_below_and_not_its_namesakes),
		WITH_TEARDOWN(a_file_excludes_itself_alone),
		WITH_TEARDOWN(
			an_extension_counts_in_any_case_at_the_end_of_the_name),
		WITH_TEARDOWN(
			a_pattern_keeps_to_its_directory_unless_it_has_two_stars),
		WITH_TEARDOWN(
			an_expression_is_not_anchored_and_ends_at_the_end),
		WITH_TEARDOWN(a_bad_entry_voids_itself_alone_and_is_reported),
		WITH_TEARDOWN(a_hostile_path_cannot_make_an_expression_slow),
		WITH_TEARDOWN(file_system_types_are_compared_whole),
		WITH_TEARDOWN(include_takes_what_lies_below),
		WITH_TEARDOWN(
			an_executable_is_its_file_and_a_replaced_one_is_seen),
		cmocka_unit_test(patterns_agree_with_a_plain_model),
		cmocka_unit_test(the_longest_pattern_works),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
