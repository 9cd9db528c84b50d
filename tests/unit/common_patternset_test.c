/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/* Sets of patterns: made, switched, taken back, pruned; and cut off in the
 * middle, or without room. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/paths.h"
#include "common/patternset.h"
#include "lib/alloc.h"
#include "lib/clock.h"
#include "lib/fdutil.h"

static char root[] = "/tmp/splx-patternset-XXXXXX";
static struct err err;

static void run(const char *fmt, ...)
{
	char *line;
	va_list ap;

	va_start(ap, fmt);
	assert_true(vasprintf(&line, fmt, ap) > 0);
	va_end(ap);
	if (system(line) != 0)
		fail_msg("failed: %s", line);
	free(line);
}

static void must(int rc)
{
	if (rc < 0)
		fail_msg("%s", err.text);
}

/* A directory "incoming" with one file a, and what its manifest is. */
static struct manifest bundle(const char *name, uint64_t version,
			      const char *content)
{
	char *path = xasprintf("%s/incoming/a.ndb", root);
	struct manifest m = {.version = version, .created = 1790000000};
	struct manifest_file f = {.name = "a.ndb", .size = strlen(content)};
	int fd;

	snprintf(m.name, sizeof(m.name), "%s", name);
	unlink(path);
	must(fd_replace_file(path, content, strlen(content), 0644, &err));
	fd = open(path, O_RDONLY);
	must(hash_fd_hex(fd, f.sha256, NULL, &err));
	close(fd);
	free(path);
	vec_push(&m, f);
	return m;
}

static int stage_part(struct patternset_stage *stage, struct manifest *m)
{
	char *from = xasprintf("%s/incoming", root);
	int rc = patternset_stage_part(stage, m, from, "a test", "", &err);

	free(from);
	return rc;
}

/* What is in incoming; the set's number, 0 and err when it failed. */
static uint64_t update_to(struct manifest *m)
{
	struct patternset_stage stage = {0};
	uint64_t number = 0;
	int lock = patternset_lock(&err), rc;

	if (lock < 0)
		return 0;
	rc = patternset_stage_begin(&stage, &err);
	if (rc == 0)
		rc = stage_part(&stage, m);
	if (rc == 0)
		rc = patternset_install(&stage, &number, &err);
	if (rc == 0)
		rc = patternset_switch(number, &err);
	patternset_stage_end(&stage);
	manifest_free(m);
	close(lock);
	return rc == 0 ? number : 0;
}

/* A whole update. */
static uint64_t update(const char *name, uint64_t version, const char *content)
{
	struct manifest m = bundle(name, version, content);

	return update_to(&m);
}

/* The current set's number; all of it must be what it says. */
static uint64_t current(void)
{
	struct patternset set;
	uint64_t number;
	int rc = patternset_current(&set, &err);

	must(rc);
	number = set.number;
	if (rc > 0)
		must(patternset_verify(&set, &err));
	patternset_free(&set);
	return number;
}

static bool holds(const char *part, const char *content)
{
	char *path =
		xasprintf("%s/current/%s/a.ndb", paths()->pattern_dir, part);
	char *text;
	size_t len;
	bool same = false;

	if (fd_read_file(path, 1u << 20, &text, &len, NULL) == 0) {
		same = strcmp(text, content) == 0;
		free(text);
	}
	free(path);
	return same;
}

static size_t sets(void)
{
	struct patternset_list list;
	size_t n;

	patternset_list(&list, &err);
	n = list.len;
	patternset_list_free(&list);
	return n;
}

static int setup(void **state)
{
	(void)state;
	run("rm -rf %s/var %s/incoming && mkdir %s/incoming", root, root, root);
	err_clear(&err);
	return 0;
}

/* ---- */

static void a_new_set_has_the_new_part_and_all_others(void **state)
{
	struct patternset set;
	struct stat before, after;
	char *path;

	(void)state;
	assert_int_equal(current(), 0);
	assert_int_equal(update("office", 1, "one"), 1);
	assert_int_equal(current(), 1);
	assert_int_equal(update("other", 5, "five"), 2);
	assert_int_equal(current(), 2);
	assert_true(holds("office", "one") && holds("other", "five"));
	path = xasprintf("%s/current/other/a.ndb", paths()->pattern_dir);
	assert_int_equal(stat(path, &before), 0);
	assert_int_equal(update("office", 2, "two"), 3);
	assert_true(holds("office", "two") && holds("other", "five"));
	/* what did not change is the same file, not a copy of it */
	assert_int_equal(stat(path, &after), 0);
	assert_int_equal(before.st_ino, after.st_ino);
	free(path);
	must(patternset_read(3, &set, &err));
	assert_int_equal(set.len, 2);
	assert_true(set.current);
	assert_int_equal(patternset_part(&set, "office")->m.version, 2);
	assert_string_equal(patternset_part(&set, "office")->origin, "a test");
	assert_null(patternset_part(&set, "none"));
	patternset_free(&set);
	/* the former ones are as they were */
	must(patternset_read(1, &set, &err));
	must(patternset_verify(&set, &err));
	assert_false(set.current);
	patternset_free(&set);
}

static void what_is_not_as_its_manifest_says_does_not_come_in(void **state)
{
	struct manifest m;
	struct patternset_stage stage;
	int lock;

	(void)state;
	assert_int_equal(update("office", 1, "one"), 1);
	lock = patternset_lock(&err);
	must(patternset_stage_begin(&stage, &err));
	m = bundle("office", 2, "two");
	run("printf owt >%s/incoming/a.ndb", root);
	assert_int_equal(stage_part(&stage, &m), -1);
	assert_non_null(strstr(err.text, "not what its manifest says"));
	run("printf longer >%s/incoming/a.ndb", root);
	assert_int_equal(stage_part(&stage, &m), -1);
	run("rm %s/incoming/a.ndb && ln -s /etc/passwd %s/incoming/a.ndb", root,
	    root);
	assert_int_equal(stage_part(&stage, &m), -1);
	run("rm %s/incoming/a.ndb", root);
	assert_int_equal(stage_part(&stage, &m), -1);
	manifest_free(&m);
	patternset_stage_end(&stage);
	close(lock);
	assert_int_equal(current(), 1);
	assert_int_equal(sets(), 1);
	run("! ls -A %s/sets | grep -q new", paths()->pattern_dir);
}

static void a_set_that_is_damaged_is_named(void **state)
{
	struct patternset set;
	struct patternset_list list;

	(void)state;
	update("office", 1, "one");
	run("printf eno >%s/sets/1/office/a.ndb", paths()->pattern_dir);
	must(patternset_read(1, &set, &err));
	assert_int_equal(patternset_verify(&set, &err), -1);
	assert_non_null(strstr(err.text, "office"));
	patternset_free(&set);
	run("printf '{' >%s/sets/1/set.json", paths()->pattern_dir);
	assert_int_equal(patternset_current(&set, &err), -1);
	assert_non_null(strstr(err.text, "set.json"));
	patternset_list(&list, &err);
	assert_int_equal(list.len, 0);
	assert_non_null(strstr(err.text, "set.json"));
	patternset_list_free(&list);
}

static void only_one_changes_them_at_a_time(void **state)
{
	int lock = patternset_lock(&err);

	(void)state;
	assert_true(lock >= 0);
	assert_int_equal(patternset_lock(&err), -1);
	assert_int_equal(err.code, EBUSY);
	close(lock);
	lock = patternset_lock(&err);
	assert_true(lock >= 0);
	patternset_unlock(&lock);
	assert_int_equal(lock, -1);
	lock = patternset_lock(&err);
	assert_true(lock >= 0);
	patternset_unlock(&lock);
}

static bool is_stopped(void)
{
	struct patternset_holder h;

	return patternset_holder(&h) && h.stopped;
}

static void it_is_told_who_does(void **state)
{
	struct patternset_holder h;
	char text[PATTERNSET_HOLDER_TEXT];
	int lock;
	pid_t pid;

	(void)state;
	assert_int_equal(patternset_holder(&h), 0);
	lock = patternset_lock(&err);
	assert_int_equal(patternset_holder(&h), 1);
	assert_int_equal(h.id.pid, getpid());
	assert_false(h.stopped);
	assert_true(h.held_ms < 5000);
	assert_false(patternset_holder_hangs(&h));
	patternset_unlock(&lock);
	assert_int_equal(patternset_holder(&h), 0);
	pid = fork();
	if (pid == 0) {
		lock = patternset_lock(&err);
		raise(SIGSTOP);
		_exit(lock < 0);
	}
	for (int i = 0; i < 500 && !is_stopped(); i++)
		usleep(20000);
	assert_int_equal(patternset_holder(&h), 1);
	assert_int_equal(h.id.pid, pid);
	assert_true(h.stopped);
	assert_int_equal(patternset_lock(&err), -1);
	snprintf(text, sizeof(text), "process %d", (int)pid);
	assert_non_null(strstr(err.text, text));
	assert_non_null(strstr(err.text, "stopped"));
	/* not at once, and one that works may take its time */
	h.held_ms = 1000;
	assert_false(patternset_holder_hangs(&h));
	h.held_ms = 60000;
	assert_true(patternset_holder_hangs(&h));
	h.stopped = false;
	assert_false(patternset_holder_hangs(&h));
	h.held_ms = 3 * 3600 * 1000;
	assert_true(patternset_holder_hangs(&h));
	/* the dead hold nothing, whatever stands there */
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	assert_int_equal(patternset_holder(&h), 0);
	lock = patternset_lock(&err);
	assert_true(lock >= 0);
	patternset_unlock(&lock);
}

static void old_ones_go_and_the_ones_before_stay(void **state)
{
	struct patternset_stage stage;

	(void)state;
	for (uint64_t v = 1; v <= 6; v++)
		assert_int_equal(update("office", v, "text"), v);
	/* one that was never finished */
	must(patternset_stage_begin(&stage, &err));
	patternset_prune(2);
	assert_int_equal(access(stage.dir, F_OK), -1);
	patternset_stage_end(&stage);
	assert_int_equal(sets(), 3);
	assert_int_equal(current(), 6);
	must(patternset_switch(4, &err));
	patternset_prune(5);
	assert_int_equal(sets(), 1); /* 5 and 6 were behind it, 3 is gone */
	assert_int_equal(current(), 4);
	must(patternset_switch(0, &err));
	assert_int_equal(current(), 0);
	patternset_prune(0);
	assert_int_equal(sets(), 1);
}

static void what_was_taken_back_or_is_older_stays_away(void **state)
{
	struct patternset good, bad;

	(void)state;
	update("office", 7, "seven");
	update("office", 8, "eight");
	must(patternset_read(1, &good, &err));
	must(patternset_read(2, &bad, &err));
	/* also before that is written down */
	assert_int_equal(patternset_may("office", 7, &err), -1);
	assert_non_null(strstr(err.text, "older than 8"));
	must(patternset_saw(&bad, &err));
	must(patternset_switch(1, &err));
	assert_int_equal(patternset_may("office", 7, &err), -1);
	assert_non_null(strstr(err.text, "older than 8"));
	assert_int_equal(patternset_may("office", 8, &err), 0);
	assert_int_equal(patternset_may("other", 1, &err), 0);
	must(patternset_hold(&bad, &good, &err));
	assert_int_equal(patternset_may("office", 8, &err), -1);
	assert_non_null(strstr(err.text, "taken back"));
	assert_int_equal(patternset_may("office", 9, &err), 0);
	patternset_free(&good);
	patternset_free(&bad);
	/* what cannot be read lets nothing in */
	run("printf x >%s/state.json", paths()->pattern_dir);
	assert_int_equal(patternset_may("office", 9, &err), -1);
	assert_non_null(strstr(err.text, "state.json"));
}

/* kill -9 at any instant: what is current is whole, and the next update
 * works. */
static void an_update_that_is_killed_leaves_a_whole_set(void **state)
{
	struct timespec wait = {0};
	uint64_t last = 1, now, begin, step;
	struct manifest m;
	int status, done = 0;
	pid_t pid;

	(void)state;
	begin = clock_mono_ns();
	assert_int_equal(update("office", 1, "one"), 1);
	/* up to three times what one takes on this machine, now */
	step = (clock_mono_ns() - begin) / 40;
	if (step > 5000000)
		step = 5000000;
	for (int i = 0; i < 120; i++) {
		m = bundle("office", (uint64_t)i + 2, "next");
		pid = fork();
		if (pid == 0)
			_exit(update_to(&m) ? 0 : 1);
		manifest_free(&m);
		wait.tv_nsec = (long)(step * (uint64_t)i);
		nanosleep(&wait, NULL);
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
		done += WIFEXITED(status);
		now = current();
		assert_true(now >= last);
		last = now;
	}
	/* both before the end and behind it */
	assert_in_range(done, 1, 119);
	assert_true(update("office", 1000, "last") > last);
	patternset_prune(1);
	assert_int_equal(sets(), 2);
	run("! ls -A %s/sets | grep -q new", paths()->pattern_dir);
}

static void without_room_nothing_changes_and_it_is_told(void **state)
{
	char *big = xmalloc(300001);
	struct err why;
	int64_t when;

	(void)state;
	assert_int_equal(update("office", 1, "one"), 1);
	run("mkdir -p %s/small && cp -a %s %s/small/keep", root,
	    paths()->pattern_dir, root);
	run("mount -t tmpfs -o size=400k,nr_inodes=60 none %s && "
	    "cp -a %s/small/keep/. %s",
	    paths()->pattern_dir, root, paths()->pattern_dir);
	memset(big, 'x', 300000);
	big[300000] = '\0';
	for (uint64_t v = 2; v < 40; v++) {
		memset(big, 'a' + (int)(v % 26), 4);
		if (!update("office", v, v % 2 ? "small" : big))
			break;
		assert_true(v < 39);
	}
	if (!strstr(err.text, "No space left"))
		fail_msg("%s", err.text);
	/* what has to be written down has its room, and what was begun goes */
	run("cat /dev/zero >%s/sets/zero 2>&1 | true; touch %s/state.json.x1",
	    paths()->pattern_dir, paths()->pattern_dir);
	patternset_tell("somewhere", &err);
	assert_int_equal(patternset_told(&when, &why), 1);
	assert_string_equal(why.text, err.text);
	run("rm %s/sets/zero", paths()->pattern_dir);
	assert_true(current() >= 1);
	patternset_prune(0);
	assert_int_equal(sets(), 1);
	run("! ls %s/state.json.*", paths()->pattern_dir);
	assert_true(update("office", 100, "small again") > 0);
	run("umount %s", paths()->pattern_dir);
	free(big);
}

static int group_setup(void **state)
{
	(void)state;
	if (unshare(CLONE_NEWNS) ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) || !mkdtemp(root))
		return -1;
	paths_init(root);
	return 0;
}

static int group_teardown(void **state)
{
	(void)state;
	run("rm -rf %s", root);
	return 0;
}

int main(void)
{
#define T(name) cmocka_unit_test_setup(name, setup)
	const struct CMUnitTest tests[] = {
		T(a_new_set_has_the_new_part_and_all_others),
		T(what_is_not_as_its_manifest_says_does_not_come_in),
		T(a_set_that_is_damaged_is_named),
		T(only_one_changes_them_at_a_time),
		T(it_is_told_who_does),
		T(old_ones_go_and_the_ones_before_stay),
		T(what_was_taken_back_or_is_older_stays_away),
		T(an_update_that_is_killed_leaves_a_whole_set),
		T(without_room_nothing_changes_and_it_is_told),
	};

	alarm(120);
	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
