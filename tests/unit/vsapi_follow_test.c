/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/* The follower with real mounts, on a tmpfs of the test's own. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/clock.h"
#include "vsapiapp/follow.h"

static char base[64];
static struct loop *loop;
static struct follow *follow;
static int changes;
static ino_t skipped;

static void changed(void *arg)
{
	changes++;
}

static bool skip_ns(pid_t pid, ino_t ns, void *arg)
{
	return skipped && ns == skipped;
}

static void stop_loop(void *arg)
{
	loop_stop(loop);
}

static void run_for(uint64_t ms)
{
	struct loop_event *ev = loop_timer(loop, ms, false, stop_loop, NULL);

	loop_run(loop);
	loop_cancel(&ev);
}

static const struct mount *find(const char *point, const struct follow_ns **ns)
{
	const struct mount *m, *found = NULL;
	size_t i, n;
	const struct follow_ns *const *all = follow_list(follow, &n);

	for (i = 0; i < n; i++) {
		vec_each (m, &all[i]->mounts) {
			if (strcmp(m->point, point) != 0)
				continue;
			found = m;
			if (ns)
				*ns = all[i];
		}
	}
	return found;
}

/* Runs the loop until the point is (or is not) there; how long it took. */
static uint64_t until(const char *point, bool there, uint64_t limit_ms)
{
	uint64_t start = clock_mono_ns();

	while ((find(point, NULL) != NULL) != there) {
		uint64_t ms = (clock_mono_ns() - start) / CLOCK_NS_PER_MS;

		if (ms > limit_ms)
			fail_msg("%s is %sthere after %llu ms", point,
				 there ? "not " : "", (unsigned long long)ms);
		run_for(5);
	}
	return (clock_mono_ns() - start) / CLOCK_NS_PER_MS;
}

static char *at(const char *name)
{
	static char path[4][128];
	static int i;

	i = (i + 1) % 4;
	snprintf(path[i], sizeof(path[i]), "%s/%s", base, name);
	return path[i];
}

static int setup(void **state)
{
	struct err err;

	alarm(60);
	strcpy(base, "/tmp/splx-follow-XXXXXX");
	assert_non_null(mkdtemp(base));
	assert_int_equal(mount("t", base, "tmpfs", 0, "size=8M"), 0);
	assert_int_equal(mount(NULL, base, NULL, MS_PRIVATE, NULL), 0);
	changes = 0;
	skipped = 0;
	loop = loop_new();
	follow = follow_new(loop, skip_ns, changed, NULL, &err);
	assert_non_null(follow);
	return 0;
}

static int teardown(void **state)
{
	follow_free(&follow);
	loop_free(&loop);
	umount2(base, MNT_DETACH);
	rmdir(base);
	return 0;
}

static void test_what_is_mounted_at_the_start_is_known(void **state)
{
	assert_non_null(find(base, NULL));
	assert_int_equal(changes, 0);
}

static void test_a_new_mount_is_noticed_at_once_and_its_end_too(void **state)
{
	run_for(50);
	mkdir(at("new"), 0755);
	assert_int_equal(mount("t", at("new"), "tmpfs", 0, "size=1M"), 0);
	assert_true(until(at("new"), true, 3000) < 500);
	assert_true(changes >= 1);
	run_for(50);
	assert_int_equal(umount(at("new")), 0);
	assert_true(until(at("new"), false, 3000) < 500);
}

static void test_a_storm_of_mounts_is_seen_whole(void **state)
{
	char name[32];
	int i;

	for (i = 0; i < 50; i++) {
		snprintf(name, sizeof(name), "storm%d", i);
		mkdir(at(name), 0755);
		assert_int_equal(mount("t", at(name), "tmpfs", 0, NULL), 0);
		if (i % 7 == 0)
			run_for(3);
	}
	for (i = 0; i < 50; i++) {
		snprintf(name, sizeof(name), "storm%d", i);
		until(at(name), true, 3000);
	}
	for (i = 0; i < 50; i++) {
		snprintf(name, sizeof(name), "storm%d", i);
		umount(at(name));
	}
}

/* A process in a mount namespace of its own that mounts there on request. */
static pid_t other_namespace(const char *first, int *go)
{
	int p[2], ready[2];
	pid_t pid;
	char c;

	assert_int_equal(pipe(p), 0);
	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (pid == 0) {
		alarm(50);
		close(p[1]);
		if (unshare(CLONE_NEWNS) ||
		    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
		    mount("t", first, "tmpfs", 0, "size=1M"))
			_exit(1);
		if (write(ready[1], "x", 1) != 1)
			_exit(1);
		while (read(p[0], &c, 1) == 1)
			if (mount("t", at("later"), "tmpfs", 0, "size=1M"))
				_exit(1);
		_exit(0);
	}
	close(p[0]);
	assert_int_equal(read(ready[0], &c, 1), 1);
	close(ready[0]);
	close(ready[1]);
	*go = p[1];
	return pid;
}

static void test_another_mount_namespace_is_found_followed_and_let_go(
	void **state)
{
	const struct follow_ns *ns = NULL;
	const struct mount *m;
	struct stat st;
	int go, fd;
	pid_t pid;

	mkdir(at("inner"), 0755);
	mkdir(at("later"), 0755);
	pid = other_namespace(at("inner"), &go);
	until(at("inner"), true, 3000);
	m = find(at("inner"), &ns);
	assert_int_equal(ns->pid, pid);
	fd = follow_open(ns, m);
	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_dev, m->dev);
	close(fd);

	run_for(50);
	assert_int_equal(write(go, "x", 1), 1);
	assert_true(until(at("later"), true, 3000) < 500);

	close(go);
	waitpid(pid, NULL, 0);
	until(at("inner"), false, 3000);
}

static void test_a_namespace_of_our_own_processes_is_skipped(void **state)
{
	char path[64];
	struct stat st;
	int go;
	pid_t pid;

	mkdir(at("mine"), 0755);
	mkdir(at("later"), 0755);
	pid = other_namespace(at("mine"), &go);
	snprintf(path, sizeof(path), "/proc/%d/ns/mnt", pid);
	assert_int_equal(stat(path, &st), 0);
	skipped = st.st_ino;
	run_for(2500);
	assert_null(find(at("mine"), NULL));
	close(go);
	waitpid(pid, NULL, 0);
}

static void test_a_hidden_mount_is_not_taken_for_the_one_on_top(void **state)
{
	const struct follow_ns *ns;
	const struct mount *m, *lower = NULL;
	size_t n;
	int fd;

	mkdir(at("two"), 0755);
	assert_int_equal(mount("a", at("two"), "tmpfs", 0, NULL), 0);
	assert_int_equal(mount("b", at("two"), "tmpfs", 0, NULL), 0);
	until(at("two"), true, 3000);
	run_for(100);
	m = find(at("two"), &ns);
	assert_string_equal(m->source, "b");
	fd = follow_open(ns, m);
	assert_true(fd >= 0);
	close(fd);
	vec_each (m, &follow_list(follow, &n)[0]->mounts) {
		if (!strcmp(m->point, at("two")) && !strcmp(m->source, "a"))
			lower = m;
	}
	assert_non_null(lower);
	assert_int_equal(follow_open(ns, lower), -1);
	assert_int_equal(errno, ESTALE);
	umount(at("two"));
	umount(at("two"));
}

static void test_a_link_in_place_of_a_mount_point_is_not_followed(void **state)
{
	const struct follow_ns *ns;
	const struct mount *m;

	mkdir(at("d"), 0755);
	mkdir(at("d/real"), 0755);
	assert_int_equal(mount("a", at("d/real"), "tmpfs", 0, NULL), 0);
	until(at("d/real"), true, 3000);
	m = find(at("d/real"), &ns);
	/* the way there becomes a link to the same directory */
	assert_int_equal(rename(at("d"), at("e")), 0);
	assert_int_equal(symlink("e", at("d")), 0);
	assert_int_equal(follow_open(ns, m), -1);
	umount(at("e/real"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(test_what_is_mounted_at_the_start_is_known),
		T(test_a_new_mount_is_noticed_at_once_and_its_end_too),
		T(test_a_storm_of_mounts_is_seen_whole),
		T(test_another_mount_namespace_is_found_followed_and_let_go),
		T(test_a_namespace_of_our_own_processes_is_skipped),
		T(test_a_hidden_mount_is_not_taken_for_the_one_on_top),
		T(test_a_link_in_place_of_a_mount_point_is_not_followed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
