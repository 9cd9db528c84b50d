// SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/conf.h"
#include "common/paths.h"
#include "vsapiapp/engine.h"
#include "vsapiapp/scratch.h"

static char root[] = "/tmp/splx-scratch-XXXXXX";
static int home; /* where the test began */

static const char *in_root(const char *name)
{
	static char path[4][512];
	static int next;

	next = (next + 1) % 4;
	snprintf(path[next], sizeof(path[next]), "%s/%s", root, name);
	return path[next];
}

/* Past the C library, whose functions are what is tried. */
static bool is_there(const char *path)
{
	return syscall(SYS_faccessat, AT_FDCWD, path, F_OK) == 0;
}

static int setup(void **state)
{
	assert_non_null(mkdtemp(root));
	home = open(".", O_PATH | O_DIRECTORY);
	assert_true(home >= 0);
	return 0;
}

static int teardown(void **state)
{
	char cmd[600];

	close(home);
	snprintf(cmd, sizeof(cmd), "umount '%s/full' 2>/dev/null; rm -rf '%s'",
		 root, root);
	return system(cmd);
}

static int begin(void **state)
{
	scratch_defer(root);
	return 0;
}

static int end(void **state)
{
	scratch_defer(NULL);
	return fchdir(home);
}

static void test_a_directory_that_is_not_used_is_never_made(void **state)
{
	const char *dir = in_root("unused");
	unsigned long before = scratch_spared();

	assert_int_equal(mkdir(dir, 0700), 0);
	assert_false(is_there(dir));
	assert_int_equal(chmod(dir, 0700), 0);
	assert_null(opendir(dir));
	assert_int_equal(errno, ENOENT);
	assert_int_equal(scratch_spared(), before + 1);
	/* Only now it is not owed any more. */
	assert_int_equal(chmod(dir, 0700), -1);
}

/* Each way by which something may come into it, or be looked for. */
static void by_open(const char *path)
{
	int fd = open(path, O_CREAT | O_WRONLY, 0600);

	assert_true(fd >= 0);
	close(fd);
}

static void by_open64(const char *path)
{
	int fd = open64(path, O_CREAT | O_WRONLY, 0600);

	assert_true(fd >= 0);
	close(fd);
}

static void by_fopen(const char *path)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fclose(f);
}

static void by_fopen64(const char *path)
{
	FILE *f = fopen64(path, "w");

	assert_non_null(f);
	fclose(f);
}

static void by_mkdir(const char *path)
{
	assert_int_equal(mkdir(path, 0700), 0);
}

static void by_symlink(const char *path)
{
	assert_int_equal(symlink("/", path), 0);
}

static void by_rename(const char *path)
{
	by_open(in_root("elsewhere"));
	assert_int_equal(rename(in_root("elsewhere"), path), 0);
}

static void test_a_directory_is_there_when_something_comes_into_it(void **state)
{
	static void (*const ways[])(const char *path) = {
		by_open,  by_open64,  by_fopen,	 by_fopen64,
		by_mkdir, by_symlink, by_rename,
	};

	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		char dir[64], path[128];
		struct stat64 st;

		snprintf(dir, sizeof(dir), "%s/used-%zu", root, i);
		snprintf(path, sizeof(path), "%s/it", dir);
		assert_int_equal(mkdir(dir, 0700), 0);
		assert_false(is_there(dir));
		ways[i](path);
		assert_int_equal(lstat64(path, &st), 0);
		assert_int_equal(stat64(dir, &st), 0);
		assert_int_equal(st.st_mode & 0777, 0700);
	}
}

static void test_a_directory_is_there_when_it_is_looked_for(void **state)
{
	struct stat64 st;

	assert_int_equal(mkdir(in_root("looked"), 0700), 0);
	assert_int_equal(access(in_root("looked"), W_OK), 0);
	assert_int_equal(mkdir(in_root("looked2"), 0700), 0);
	assert_int_equal(stat64(in_root("looked2"), &st), 0);
	/* One at a time is owed. */
	assert_int_equal(mkdir(in_root("first"), 0700), 0);
	assert_int_equal(mkdir(in_root("second"), 0700), 0);
	assert_true(is_there(in_root("first")));
	assert_int_equal(access(in_root("second"), W_OK), 0);
}

static void test_no_spelling_of_its_path_misses_it(void **state)
{
	static const char *const ways_there[] = {"/", "./", "spelt/../", ""};
	char path[256];

	assert_int_equal(mkdir(in_root("spelt"), 0755), 0);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(mkdir(in_root("spelt-it"), 0700), 0);
		assert_false(is_there(in_root("spelt-it")));
		snprintf(path, sizeof(path), "%s%s%sspelt-it/it",
			 i < 3 ? root : "", i < 3 ? "/" : "", ways_there[i]);
		assert_int_equal(chdir(root), 0);
		by_open(path);
		assert_int_equal(fchdir(home), 0);
		assert_int_equal(unlink(in_root("spelt-it/it")), 0);
		assert_int_equal(rmdir(in_root("spelt-it")), 0);
	}
	/* What is there for sure is never owed. */
	assert_int_equal(mkdir(in_root("."), 0700), -1);
	assert_int_equal(errno, EEXIST);
	assert_int_equal(mkdir(in_root(".."), 0700), -1);
	assert_int_equal(errno, EEXIST);
}

static void test_other_ways_to_begin_or_end_do_no_harm(void **state)
{
	unsigned long before = scratch_spared();

	assert_int_equal(mkdir(in_root("removed"), 0700), 0);
	assert_int_equal(rmdir(in_root("removed")), 0);
	assert_int_equal(scratch_spared(), before + 1);
	assert_int_equal(rmdir(in_root("removed")), -1);
	assert_int_equal(errno, ENOENT);
	/* A mode that says something else than "I come to remove it". */
	assert_int_equal(mkdir(in_root("shared"), 0700), 0);
	assert_int_equal(chmod(in_root("shared"), 0755), 0);
	assert_true(is_there(in_root("shared")));
	/* One that is never removed is no hindrance to the next. */
	assert_int_equal(mkdir(in_root("kept"), 0700), 0);
	assert_int_equal(mkdir(in_root("next"), 0700), 0);
	assert_true(is_there(in_root("kept")));
	assert_false(is_there(in_root("next")));
	by_open(in_root("next/it"));
	assert_int_equal(rmdir(in_root("kept")), 0);
	assert_int_equal(rmdir(in_root("next")), -1);
	assert_int_equal(errno, ENOTEMPTY);
}

static void test_why_it_cannot_be_made_is_told_at_first_use(void **state)
{
	char full[64], dir[80], path[96];
	struct stat64 st;

	snprintf(full, sizeof(full), "%s/full", root);
	snprintf(dir, sizeof(dir), "%s/d", full);
	snprintf(path, sizeof(path), "%s/it", dir);
	assert_int_equal(mkdir(full, 0755), 0);
	assert_int_equal(mount("tmpfs", full, "tmpfs", 0, "nr_inodes=1"), 0);
	scratch_defer(full);
	assert_int_equal(mkdir(dir, 0700), 0);
	assert_int_equal(open(path, O_CREAT | O_WRONLY, 0600), -1);
	assert_int_equal(errno, ENOSPC);
	assert_int_equal(open64(path, O_CREAT | O_WRONLY, 0600), -1);
	assert_int_equal(errno, ENOSPC);
	assert_null(fopen(path, "w"));
	assert_int_equal(errno, ENOSPC);
	assert_int_equal(mkdir(path, 0700), -1);
	assert_int_equal(errno, ENOSPC);
	assert_int_equal(stat64(dir, &st), -1);
	assert_int_equal(errno, ENOSPC);
	assert_int_equal(access(dir, W_OK), -1);
	assert_int_equal(errno, ENOSPC);
	/* And it is removed as if it were there. */
	assert_int_equal(chmod(dir, 0700), 0);
	assert_null(opendir(dir));
	assert_int_equal(chmod(dir, 0700), -1);
	assert_int_equal(umount2(full, MNT_DETACH), 0);
}

static void test_success_leaves_errno_alone(void **state)
{
	errno = 0;
	assert_int_equal(mkdir(in_root("errno"), 0700), 0);
	assert_int_equal(errno, 0);
	by_open(in_root("errno/it"));
	assert_int_equal(errno, 0);
}

static void test_all_else_is_as_in_the_c_library(void **state)
{
	assert_int_equal(mkdir(in_root("open"), 0755), 0);
	assert_true(is_there(in_root("open")));
	assert_int_equal(mkdir(in_root("open/deep"), 0700), 0);
	assert_true(is_there(in_root("open/deep")));
	assert_int_equal(mkdir(in_root("open"), 0755), -1);
	assert_int_equal(errno, EEXIST);
	scratch_defer(NULL);
	assert_int_equal(mkdir(in_root("at once"), 0700), 0);
	assert_true(is_there(in_root("at once")));
}

static int entries(const char *dir)
{
	DIR *d = opendir(dir);
	int n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n - 2;
}

static struct engine_result scan(struct engine *e, const char *name)
{
	struct engine_result r;
	int fd = open(in_root(name), O_RDONLY);

	assert_true(fd >= 0);
	engine_scan(e, fd, in_root(name), &r);
	close(fd);
	return r;
}

/* With the real thing, so that it shows when its ways change. */
static void test_libclamav_is_spared_and_finds_as_before(void **state)
{
	struct conf *conf = conf_new();
	unsigned long before;
	struct engine *e;
	char cmd[1024], tmp[64];
	enum verdict cut;
	struct err err;

	scratch_defer(NULL);
	paths_init(in_root("suite"));
	snprintf(cmd, sizeof(cmd),
		 "cd %s && mkdir -p tmp %s %s && cp \"$OLDPWD\"/etc/patterns/* "
		 "%s && echo text >text && python3 -c 'import zipfile as z\n"
		 "m=\"SPLX-MARKER-7c1f09e3\"+\"-d52b86a4-NOT-A-VIRUS\"\n"
		 "a=z.ZipFile(\"bad.zip\",\"w\",8);a.writestr(\"d/m\",m*9)\n"
		 "a.close();b=open(\"bad.zip\",\"rb\").read()\n"
		 "a=z.ZipFile(\"deep.zip\",\"w\",8);a.writestr(\"m\",b)\n"
		 "a.close();open(\"cut.zip\",\"wb\").write(b[:-40])\n"
		 "'",
		 root, paths()->builtin_dir, paths()->pattern_dir,
		 paths()->builtin_dir);
	assert_int_equal(system(cmd), 0);
	e = engine_new(conf, &err);
	if (!e)
		fail_msg("%s", err.text);
	assert_true(engine_is_reviewed());
	assert_int_equal(engine_tmpdir(e, in_root("tmp"), &err), 0);
	cut = scan(e, "cut.zip").verdict;
	snprintf(tmp, sizeof(tmp), "%s", in_root("tmp"));
	scratch_defer(tmp);
	for (int i = 0; i < 3; i++) {
		before = scratch_spared();
		assert_int_equal(scan(e, "text").verdict, VERDICT_CLEAN);
		assert_int_equal(scratch_spared(), before + 1);
		assert_int_equal(scan(e, "bad.zip").verdict, VERDICT_INFECTED);
		assert_int_equal(scan(e, "deep.zip").verdict, VERDICT_INFECTED);
		assert_int_equal(scan(e, "cut.zip").verdict, cut);
		assert_int_equal(entries(in_root("tmp")), 0);
	}
	engine_free(&e);
	conf_free(&conf);
}

/* A name that libclamav imports and we do not know of might put something
 * into a directory that is not there. */
static void test_we_know_how_libclamav_may_name_a_file(void **state)
{
	static const char *const known[] = {
		/* here */
		"access",
		"chmod",
		"fopen",
		"fopen64",
		"lstat64",
		"mkdir",
		"open",
		"open64",
		"opendir",
		"rename",
		"rmdir",
		"stat64",
		"symlink",
		/* of what is there alone */
		"chown",
		"lchown",
		"readlink",
		"realpath",
		"remove",
		"unlink",
		"unlinkat",
		"utimensat",
		"fstatat64",
		"statx",
		"chdir",
		/* the library's own Rust runtime, which libclamav has no use
		 * for: relative to an open directory, or refused by seccomp */
		"openat64",
		"linkat",
		"mkfifo",
	};
	static const char *const suspect =
		"access$|chmod|fopen|stat(64|x)?$|mk|^open|opendir|rename|"
		"link|chown|readlink|realpath|remove|rmdir|utimens|chdir$|"
		"creat(64)?$|temp";
	char cmd[1024], line[256];
	Dl_info info;
	FILE *in;
	int n = 0;

	assert_true(dladdr(dlsym(RTLD_DEFAULT, "cl_init"), &info));
	snprintf(cmd, sizeof(cmd),
		 "nm -D --undefined-only '%s' | sed 's/.* //; s/@.*//' | "
		 "grep -E '%s' | grep -vE '^(f|mktime|posix_|EVP|xml|X509|"
		 "pthread_|mspack_|pcre2|BIO|_)' ; "
		 "nm -D --undefined-only '%s' | sed 's/.* //; s/@.*//' | "
		 "grep -E '^f(open|statat)'",
		 info.dli_fname, suspect, info.dli_fname);
	in = popen(cmd, "r");
	assert_non_null(in);
	while (fgets(line, sizeof(line), in)) {
		bool found = false;

		line[strcspn(line, "\n")] = '\0';
		for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
			found = found || !strcmp(known[i], line);
		if (!found)
			fail_msg("libclamav calls %s", line);
		n++;
	}
	pclose(in);
	assert_true(n > 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, begin, end)
		T(test_a_directory_that_is_not_used_is_never_made),
		T(test_a_directory_is_there_when_something_comes_into_it),
		T(test_a_directory_is_there_when_it_is_looked_for),
		T(test_no_spelling_of_its_path_misses_it),
		T(test_other_ways_to_begin_or_end_do_no_harm),
		T(test_why_it_cannot_be_made_is_told_at_first_use),
		T(test_success_leaves_errno_alone),
		T(test_all_else_is_as_in_the_c_library),
		T(test_libclamav_is_spared_and_finds_as_before),
		T(test_we_know_how_libclamav_may_name_a_file),
#undef T
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
