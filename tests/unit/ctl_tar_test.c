/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl/tar.h"
#include "lib/alloc.h"
#include "lib/fdutil.h"

static char dir[PATH_MAX];

static int setup(void **state)
{
	strcpy(dir, "/tmp/splx-tar-XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int run(const char *fmt)
{
	char *command = xasprintf("cd %s && %s", dir, fmt);
	int rc = system(command);

	free(command);
	return rc;
}

static int teardown(void **state)
{
	return run("rm -rf \"$PWD\"");
}

static int make(const char *name)
{
	char *path = xasprintf("%s/%s", dir, name);
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);

	assert_true(fd >= 0);
	free(path);
	return fd;
}

static void check_content(const char *name, const char *data, size_t len)
{
	char *path = xasprintf("%s/%s", dir, name), *got;
	size_t n;

	assert_int_equal(fd_read_file(path, 4u << 20, &got, &n, NULL), 0);
	assert_int_equal(n, len);
	assert_memory_equal(got, data, len);
	free(got);
	free(path);
}

static void tar_reads_back_every_byte_that_was_added(void **state)
{
	static const size_t sizes[] = {0, 1, 511, 512, 513, 3u << 20};
	char *data = xmalloc(3u << 20), name[32];
	struct tar *tar;
	size_t i;
	int fd = make("a.tar.gz");

	for (i = 0; i < 3u << 20; i++)
		data[i] = (char)(i * 2654435761u >> 13);
	tar = tar_new(fd, "top", NULL);
	assert_non_null(tar);
	for (i = 0; i < 6; i++) {
		snprintf(name, sizeof(name), "d/f%zu", i);
		tar_add(tar, name, data, sizes[i]);
	}
	assert_int_equal(tar_finish(&tar, NULL), 0);
	assert_null(tar);
	close(fd);
	assert_int_equal(run("tar xzf a.tar.gz 2>err && [ ! -s err ]"), 0);
	for (i = 0; i < 6; i++) {
		snprintf(name, sizeof(name), "top/d/f%zu", i);
		check_content(name, data, sizes[i]);
	}
	free(data);
}

static void a_name_of_a_hundred_bytes_fits_and_one_more_is_told(void **state)
{
	struct err err = {0};
	struct tar *tar;
	char name[102];
	int fd = make("a.tar.gz");

	memset(name, 'n', sizeof(name));
	name[98] = '\0'; /* "p/" and 98 are 100 */
	tar = tar_new(fd, "p", NULL);
	tar_add(tar, name, "x", 1);
	assert_int_equal(tar_finish(&tar, NULL), 0);
	close(fd);
	assert_int_equal(run("tar tzf a.tar.gz | grep -q '^p/n\\{98\\}$'"), 0);

	name[98] = 'n';
	name[99] = '\0';
	fd = make("b.tar.gz");
	tar = tar_new(fd, "p", NULL);
	tar_add(tar, name, "x", 1);
	assert_int_equal(tar_finish(&tar, &err), -1);
	assert_int_equal(err.code, ENAMETOOLONG);
	close(fd);
}

static void a_full_disk_is_told_at_the_end(void **state)
{
	char *data = xcalloc(1, 1u << 20);
	struct err err = {0};
	struct tar *tar;
	size_t i;
	int fd = open("/dev/full", O_WRONLY);

	for (i = 0; i < 1u << 20; i++)
		data[i] = (char)(random() >> 7);
	tar = tar_new(fd, "p", NULL);
	tar_add(tar, "a", data, 1u << 20);
	tar_add(tar, "b", data, 1u << 20);
	assert_int_equal(tar_finish(&tar, &err), -1);
	assert_int_equal(err.code, ENOSPC);
	close(fd);
	free(data);
}

#define DISK(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		DISK(tar_reads_back_every_byte_that_was_added),
		DISK(a_name_of_a_hundred_bytes_fits_and_one_more_is_told),
		cmocka_unit_test(a_full_disk_is_told_at_the_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
