/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "lib/mounts.h"

static const char sample[] =
	"22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw,discard\n"
	"23 22 0:21 / /proc rw,nosuid - proc proc rw\n"
	"30 22 0:30 / /srv rw - tmpfs tmpfs rw,size=4k\n"
	"31 30 254:0 /home/a\\040b /srv/with\\040blank\\134x rw,ro shared:5 "
	"master:2 propagate_from:7 - ext4 /dev/disk\\011one rw\n"
	"33 22 0:41 / /nosource rw - tmpfs  rw\n"
	"34 22 0:42 / /cover rw - tmpfs first rw\n"
	"35 34 0:43 / /cover rw - tmpfs second rw";

static void fields_are_read_and_escapes_undone(void **state)
{
	struct mount_list list = {0};
	const struct mount *m;

	(void)state;
	mounts_parse(sample, &list);
	m = &list.items[0];
	assert_int_equal(m->id, 22);
	assert_int_equal(m->parent, 1);
	assert_true(m->dev == makedev(254, 0));
	assert_string_equal(m->root, "/");
	assert_string_equal(m->fstype, "ext4");
	assert_string_equal(m->source, "/dev/vda");
	assert_string_equal(m->options, "rw,relatime,rw,discard");
	m = &list.items[3];
	assert_string_equal(m->root, "/home/a b");
	assert_string_equal(m->point, "/srv/with blank\\x");
	assert_string_equal(m->source, "/dev/disk\tone");
	mounts_free(&list);
	assert_int_equal(list.len, 0);
}

static void empty_source_is_a_source(void **state)
{
	struct mount_list list = {0};
	const struct mount *m;

	(void)state;
	mounts_parse(sample, &list);
	m = mounts_find(&list, "/nosource");
	assert_string_equal(m->fstype, "tmpfs");
	assert_string_equal(m->source, "");
	mounts_free(&list);
}

static void lines_without_sense_are_skipped(void **state)
{
	static const char *const bad[] = {
		"",
		"\n\n",
		"22",
		"22 1 254:0 / /",
		"a b c d e f - g h i\n",
		"22 1 254:0 / /x rw - ext4 dev",
		"22 1 254 / /x rw - t d o",
		"-1 1 254:0 / /x rw - t d o",
		"22 1 254:0 / x rw - t d o",
		"22 1 254:0 / /x rw shared:1 ext4 dev rw",
		"99999999999 1 254:0 / /x rw - t d o",
		"22 1 254:0x / /x rw - t d o",
	};
	struct mount_list list = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		mounts_parse(bad[i], &list);
	assert_int_equal(list.len, 0);
	mounts_parse("nonsense\n22 1 8:1 / /x rw - t d o\nrest", &list);
	assert_int_equal(list.len, 1);
	mounts_free(&list);
}

static void path_lies_on_the_longest_mount_point_and_the_last(void **state)
{
	struct mount_list list = {0};

	(void)state;
	mounts_parse(sample, &list);
	assert_int_equal(mounts_find(&list, "/")->id, 22);
	assert_int_equal(mounts_find(&list, "/etc/passwd")->id, 22);
	assert_int_equal(mounts_find(&list, "/srv")->id, 30);
	assert_int_equal(mounts_find(&list, "/srv/x")->id, 30);
	assert_int_equal(mounts_find(&list, "/srvx")->id, 22);
	assert_int_equal(mounts_find(&list, "/srv/with blank\\x/f")->id, 31);
	assert_int_equal(mounts_find(&list, "/cover/f")->id, 35);
	assert_null(mounts_find(&list, "relative"));
	mounts_free(&list);
	assert_null(mounts_find(&list, "/"));
}

static void own_mounts_are_read(void **state)
{
	struct mount_list list = {0};
	const struct mount *m;
	struct err err;

	(void)state;
	assert_int_equal(mounts_read(0, &list, &err), 0);
	assert_non_null(mounts_find(&list, "/etc"));
	m = mounts_find(&list, "/proc/self");
	assert_string_equal(m->fstype, "proc");
	mounts_free(&list);
}

static void mounts_of_another_namespace_are_read_by_pid(void **state)
{
	struct mount_list here = {0}, there = {0};
	const char *point = "/tmp";
	struct err err;
	int ready[2];
	char c;
	pid_t pid;

	(void)state;
	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (pid == 0) {
		alarm(20);
		if (unshare(CLONE_NEWNS) ||
		    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
		    mount("splx-test-mark", point, "tmpfs", 0, "size=4k") ||
		    write(ready[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(ready[1]);
	if (read(ready[0], &c, 1) != 1)
		skip();
	assert_int_equal(mounts_read(pid, &there, &err), 0);
	assert_int_equal(mounts_read(0, &here, &err), 0);
	assert_string_equal(mounts_find(&there, point)->source,
			    "splx-test-mark");
	assert_string_not_equal(mounts_find(&here, point)->source,
				"splx-test-mark");
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(ready[0]);
	mounts_free(&there);
	mounts_free(&here);
}

static void absent_process_is_an_error(void **state)
{
	struct mount_list list = {0};
	struct err err;

	(void)state;
	assert_int_equal(mounts_read(INT32_MAX, &list, &err), -1);
	assert_int_equal(err.code, ENOENT);
	assert_int_equal(list.len, 0);
}

static void types_are_told_apart_and_the_unknown_is_scanned(void **state)
{
	static const struct {
		const char *type;
		enum mount_kind kind;
	} rows[] = {
		{"ext4", MOUNT_LOCAL},	       {"xfs", MOUNT_LOCAL},
		{"btrfs", MOUNT_LOCAL},	       {"tmpfs", MOUNT_LOCAL},
		{"overlay", MOUNT_LOCAL},      {"vfat", MOUNT_LOCAL},
		{"devtmpfs", MOUNT_LOCAL},     {"squashfs", MOUNT_LOCAL},
		{"somethingnew", MOUNT_LOCAL}, {"", MOUNT_LOCAL},
		{"nfs", MOUNT_NETWORK},	       {"nfs4", MOUNT_NETWORK},
		{"cifs", MOUNT_NETWORK},       {"9p", MOUNT_NETWORK},
		{"ceph", MOUNT_NETWORK},       {"virtiofs", MOUNT_NETWORK},
		{"ocfs2", MOUNT_NETWORK},      {"fuse", MOUNT_FUSE},
		{"fuseblk", MOUNT_FUSE},       {"fuse.sshfs", MOUNT_FUSE},
		{"fusectl", MOUNT_PSEUDO},     {"proc", MOUNT_PSEUDO},
		{"sysfs", MOUNT_PSEUDO},       {"cgroup2", MOUNT_PSEUDO},
		{"autofs", MOUNT_PSEUDO},      {"nfsd", MOUNT_PSEUDO},
		{"devpts", MOUNT_PSEUDO},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		if (mounts_kind(rows[i].type) != rows[i].kind)
			fail_msg("%s", rows[i].type);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fields_are_read_and_escapes_undone),
		cmocka_unit_test(empty_source_is_a_source),
		cmocka_unit_test(lines_without_sense_are_skipped),
		cmocka_unit_test(
			path_lies_on_the_longest_mount_point_and_the_last),
		cmocka_unit_test(own_mounts_are_read),
		cmocka_unit_test(mounts_of_another_namespace_are_read_by_pid),
		cmocka_unit_test(absent_process_is_an_error),
		cmocka_unit_test(
			types_are_told_apart_and_the_unknown_is_scanned),
	};

	alarm(60);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
