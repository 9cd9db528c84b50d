/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_TESTS_LOADLOCKBED_H
#define SPLX_TESTS_LOADLOCKBED_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/loadlock.h"
#include "common/paths.h"
#include "lib/fdutil.h"

/*
 * A machine whose clocks are ours. What it stores lies on a tmpfs of its own,
 * in the place of /etc/splx/km.
 */
#define BED __attribute__((unused)) static

#define HOUR 3600
#define EPOCH 1764000000ll /* when it is first switched on */

static struct loadlock_now now;
static struct loadlock_policy policy;
static struct loadlock_state st;
static int boots;

/* Time goes by. */
BED void pass(int64_t seconds)
{
	now.real += seconds;
	now.up += seconds;
}

/* Somebody sets the clock. */
BED void set_clock(int64_t by)
{
	now.real += by;
}

BED void boot(void)
{
	snprintf(now.boot, sizeof(now.boot), "%08x-1111-4222-8333-444455556666",
		 (unsigned int)++boots);
	now.real += 20;
	now.up = 20;
}

BED bool begin(void)
{
	loadlock_begin(&now, &policy, LOADLOCK_BY_SERVICE, &st);
	return !st.locked;
}

BED void end(void)
{
	assert_int_equal(loadlock_end(&now, LOADLOCK_BY_ANY, NULL), 0);
}

/* The module is used for so long, and the machine goes down by it. */
BED void crash_after(int64_t seconds)
{
	assert_true(begin());
	assert_true(st.known);
	pass(seconds);
	boot();
}

BED void keep(void)
{
	loadlock_keep(&now, &policy, &st);
}

BED bool is_locked(void)
{
	loadlock_look(&now, &policy, &st);
	return st.locked;
}

BED char *text_of_file(void)
{
	char *text;
	size_t len;

	if (fd_read_file(paths()->load_lock, LOADLOCK_SIZE, &text, &len, NULL))
		return NULL;
	return text;
}

BED void write_file(const char *text, size_t len)
{
	assert_int_equal(
		fd_replace_file(paths()->load_lock, text, len, 0600, NULL), 0);
}

BED bool is_there(void)
{
	return access(paths()->load_lock, F_OK) == 0;
}

BED void mount_km(const char *options)
{
	assert_int_equal(mount("test", paths()->km_dir, "tmpfs", 0, options),
			 0);
}

BED void read_only(void)
{
	assert_int_equal(mount(NULL, paths()->km_dir, NULL,
			       MS_REMOUNT | MS_RDONLY, NULL),
			 0);
}

BED void fill_up(void)
{
	char path[256], block[4096] = {1};
	int fd;

	snprintf(path, sizeof(path), "%s/filler", paths()->km_dir);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	while (write(fd, block, sizeof(block)) == sizeof(block))
		;
	assert_int_equal(errno, ENOSPC);
	close(fd);
}

BED int setup(void **state)
{
	(void)state;
	memset(&now, 0, sizeof(now));
	strcpy(now.kernel, "6.1.0-56-amd64");
	now.real = EPOCH;
	boots = 0;
	policy = (struct loadlock_policy){HOUR, 2};
	boot();
	fd_mkdirs(paths()->km_dir, 0700, NULL);
	mount_km("size=64k,mode=700");
	return 0;
}

BED int teardown(void **state)
{
	(void)state;
	while (umount2(paths()->km_dir, MNT_DETACH) == 0)
		;
	return 0;
}

/* Runs the tests in a root of their own. */
#define RUN(tests)                                                             \
	do {                                                                   \
		char root_[] = "/tmp/splx-loadlock-XXXXXX", command_[64];      \
		int rc_;                                                       \
                                                                               \
		alarm(120);                                                    \
		if (!mkdtemp(root_))                                           \
			return 1;                                              \
		paths_init(root_);                                             \
		rc_ = cmocka_run_group_tests(tests, NULL, NULL);               \
		snprintf(command_, sizeof(command_), "rm -rf %s", root_);      \
		return system(command_) || rc_;                                \
	} while (0)
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

#endif
