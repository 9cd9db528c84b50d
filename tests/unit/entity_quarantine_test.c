/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "entity_storebed.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <sys/xattr.h>

#include "common/pass.h"
#include "common/scoreboard.h"
#include "lib/clock.h"

#define VIRUS "infected content of the test\n"
#define OTHER "an innocent file that nobody may touch\n"
#define STEPS_MAX 60

/* Puts the file at `path`; 0 or -1. */
static int put(struct sb_both *b, const char *path, struct item *item,
	       struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct quarantine_file file = sb_file(fd);
	int rc;

	if (fd < 0) /* no assert: this runs in children too */
		return err_set(err, errno, "open %s", path);
	rc = quarantine_put_now(b->q, &file, item, err);
	close(fd);
	return rc;
}

static int64_t put_well(struct sb_both *b, const char *path)
{
	static struct item item;
	struct err err;

	if (put(b, path, &item, &err) < 0)
		fail_msg("%s", err.text);
	return item.id;
}

static int restore(struct sb_both *b, int64_t id, const char *to, bool force,
		   struct err *err)
{
	static struct item item;

	return quarantine_restore_now(b->q, id, to, force, &item, err);
}

/* ---- there and back ---- */

static void a_file_goes_and_comes_back_as_it_was(void **state)
{
	static const char cap[20] = {1, 0, 0, 2, 0, 4};
	const char *path = sb_path("a file");
	struct timespec times[2] = {{1000, 5}, {2000, 7}};
	struct sb_both b = sb_open(NULL);
	struct stat before, after;
	char value[64];
	struct item item;
	struct err err;

	sb_puts(path, VIRUS);
	assert_int_equal(chown(path, 1234, 4321), 0);
	assert_int_equal(chmod(path, 06751), 0);
	assert_int_equal(setxattr(path, "trusted.test", "val\0ue", 6, 0), 0);
	assert_int_equal(
		setxattr(path, "security.capability", cap, sizeof(cap), 0), 0);
	assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
	assert_int_equal(stat(path, &before), 0);

	assert_int_equal(put(&b, path, &item, &err), 0);
	assert_false(sb_exists(path));
	assert_int_equal(sb_count(sb_files, ""), 0);
	assert_int_equal(sb_count(paths()->quarantine_dir, ""), 1);
	assert_int_equal(sb_intents(b.store), 0);
	assert_string_equal(item.path, path);
	assert_string_equal(item.virus, "Test.Virus");
	assert_int_equal(item.size, strlen(VIRUS));
	assert_int_equal(item.mode, 06751);
	assert_int_equal(item.uid, 1234);

	assert_int_equal(restore(&b, item.id, NULL, false, &err), 0);
	assert_true(sb_is(path, VIRUS));
	assert_int_equal(stat(path, &after), 0);
	assert_int_equal(after.st_mode, before.st_mode);
	assert_int_equal(after.st_uid, 1234);
	assert_int_equal(after.st_gid, 4321);
	assert_int_equal(after.st_mtim.tv_sec, 2000);
	assert_int_equal(after.st_mtim.tv_nsec, 7);
	assert_int_equal(getxattr(path, "trusted.test", value, 64), 6);
	assert_memory_equal(value, "val\0ue", 6);
	assert_int_equal(getxattr(path, "security.capability", value, 64), 20);
	assert_int_equal(sb_items(b.store), 0);
	assert_int_equal(sb_intents(b.store), 0);
	assert_int_equal(sb_count(paths()->quarantine_dir, ""), 0);
	assert_int_equal(sb_count(sb_files, ""), 1);
	sb_close(&b);
}

static void names_of_any_bytes_come_back(void **state)
{
	static const char *const names[] = {
		"new\nline", "back\\slash",  "\xff\xfe no utf-8",
		"-rf *",     ".splx-q-0000", "\xc3\xa4\xc3\xb6"};
	struct sb_both b = sb_open(NULL);
	struct err err;
	int64_t id;

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		sb_puts(sb_path(names[i]), VIRUS);
		id = put_well(&b, sb_path(names[i]));
		assert_false(sb_exists(sb_path(names[i])));
		assert_int_equal(restore(&b, id, NULL, false, &err), 0);
		assert_true(sb_is(sb_path(names[i]), VIRUS));
	}
	sb_close(&b);
}

static void restoring_never_replaces_a_file_unless_forced(void **state)
{
	const char *path = sb_path("victim");
	struct sb_both b = sb_open(NULL);
	struct err err;
	int64_t id;

	sb_puts(path, VIRUS);
	id = put_well(&b, path);
	sb_puts(path, OTHER);
	assert_int_equal(restore(&b, id, NULL, false, &err), -1);
	assert_int_equal(err.code, EEXIST);
	assert_true(sb_is(path, OTHER));
	assert_int_equal(sb_items(b.store), 1);
	assert_int_equal(restore(&b, id, NULL, true, &err), 0);
	assert_true(sb_is(path, VIRUS));
	assert_int_equal(sb_intents(b.store), 0);
	sb_close(&b);
}

static void restoring_elsewhere_takes_a_directory_or_a_name(void **state)
{
	struct sb_both b = sb_open(NULL);
	struct err err;
	int64_t id;

	mkdir(sb_path("dir"), 0755);
	sb_puts(sb_path("victim"), VIRUS);
	id = put_well(&b, sb_path("victim"));
	assert_int_equal(restore(&b, id, sb_path("dir"), false, &err), 0);
	assert_true(sb_is(sb_path("dir/victim"), VIRUS));
	id = put_well(&b, sb_path("dir/victim"));
	assert_int_equal(restore(&b, id, sb_path("dir/new"), false, &err), 0);
	assert_true(sb_is(sb_path("dir/new"), VIRUS));
	id = put_well(&b, sb_path("dir/new"));
	assert_int_equal(restore(&b, id, "relative", false, &err), -1);
	assert_int_equal(restore(&b, id, sb_path("no/such"), false, &err), -1);
	assert_int_equal(err.code, ENOENT);
	assert_int_equal(sb_items(b.store), 1);
	assert_int_equal(sb_intents(b.store), 0);
	sb_close(&b);
}

static void restoring_follows_no_symbolic_link(void **state)
{
	struct sb_both b = sb_open(NULL);
	struct err err;
	int64_t id;

	mkdir(sb_path("dir"), 0755);
	mkdir(sb_path("target"), 0755);
	sb_puts(sb_path("dir/victim"), VIRUS);
	id = put_well(&b, sb_path("dir/victim"));
	rmdir(sb_path("dir"));
	assert_int_equal(symlink("target", sb_path("dir")), 0);
	assert_int_equal(restore(&b, id, NULL, false, &err), -1);
	assert_int_equal(err.code, ELOOP);
	assert_int_equal(restore(&b, id, sb_path("dir/x"), true, &err), -1);
	assert_int_equal(sb_count(sb_path("target"), ""), 0);

	/* A link as the last part is a name that is taken. */
	assert_int_equal(symlink("passwd", sb_path("target/victim")), 0);
	assert_int_equal(restore(&b, id, sb_path("target/victim"), false, &err),
			 -1);
	assert_int_equal(restore(&b, id, sb_path("target/victim"), true, &err),
			 0);
	assert_false(sb_exists(sb_path("target/passwd")));
	assert_true(sb_is(sb_path("target/victim"), VIRUS));
	sb_close(&b);
}

static void a_damaged_item_is_not_restored_and_leaves_nothing(void **state)
{
	struct sb_both b = sb_open(NULL);
	char name[256];
	struct err err;
	int64_t id;
	int fd;

	sb_puts(sb_path("victim"), VIRUS);
	id = put_well(&b, sb_path("victim"));
	snprintf(name, sizeof(name), "%s/%lld.q", paths()->quarantine_dir,
		 (long long)id);
	fd = open(name, O_WRONLY);
	assert_int_equal(lseek(fd, -70, SEEK_END) > 0, 1);
	assert_int_equal(write(fd, "\0\0\0\0", 4), 4);
	close(fd);
	assert_int_equal(restore(&b, id, NULL, false, &err), -1);
	assert_int_equal(err.code, EBADMSG);
	assert_int_equal(sb_count(sb_files, ""), 0);
	assert_int_equal(sb_items(b.store), 1);
	assert_int_equal(sb_intents(b.store), 0);
	sb_close(&b);
}

static void links_that_are_left_are_told(void **state)
{
	struct sb_both b = sb_open(NULL);
	struct item item;
	struct err err;

	sb_puts(sb_path("victim"), VIRUS);
	assert_int_equal(link(sb_path("victim"), sb_path("other")), 0);
	assert_int_equal(put(&b, sb_path("victim"), &item, &err), 0);
	assert_non_null(strstr(item.detail, "1 other link"));
	assert_false(sb_exists(sb_path("victim")));
	assert_true(sb_is(sb_path("other"), VIRUS));
	sb_close(&b);
}

static void a_writer_is_told(void **state)
{
	struct sb_both b = sb_open(NULL);
	struct item item;
	struct err err;
	int fd;

	sb_puts(sb_path("victim"), VIRUS);
	fd = open(sb_path("victim"), O_WRONLY | O_APPEND);
	assert_int_equal(put(&b, sb_path("victim"), &item, &err), 0);
	assert_non_null(strstr(item.detail, "open for writing"));
	close(fd);
	sb_close(&b);
}

static void a_deleted_file_or_a_directory_is_an_error(void **state)
{
	struct sb_both b = sb_open(NULL);
	struct quarantine_file file;
	struct item item;
	struct err err;
	int fd;

	sb_puts(sb_path("victim"), VIRUS);
	fd = open(sb_path("victim"), O_RDONLY);
	unlink(sb_path("victim"));
	file = sb_file(fd);
	assert_int_equal(quarantine_put_now(b.q, &file, &item, &err), -1);
	assert_non_null(strstr(err.text, "deleted"));
	close(fd);
	fd = open(sb_files, O_RDONLY | O_DIRECTORY);
	file = sb_file(fd);
	assert_int_equal(quarantine_put_now(b.q, &file, &item, &err), -1);
	close(fd);
	assert_int_equal(sb_items(b.store), 0);
	assert_int_equal(sb_intents(b.store), 0);
	sb_close(&b);
}

static void a_file_larger_than_the_quarantine_stays(void **state)
{
	struct sb_both b = sb_open(NULL);
	struct item item;
	struct err err;

	sb_puts(sb_path("victim"), VIRUS);
	quarantine_configure(b.q, 0, strlen(VIRUS) - 1);
	assert_int_equal(put(&b, sb_path("victim"), &item, &err), -1);
	assert_int_equal(err.code, EFBIG);
	assert_true(sb_is(sb_path("victim"), VIRUS));
	sb_close(&b);
}

static void a_read_only_or_immutable_place_leaves_the_file(void **state)
{
	struct sb_both b = sb_open(NULL);
	struct item item;
	struct err err;

	sb_puts(sb_path("victim"), VIRUS);
	assert_int_equal(
		mount(NULL, sb_files, NULL, MS_REMOUNT | MS_RDONLY, NULL), 0);
	assert_int_equal(put(&b, sb_path("victim"), &item, &err), -1);
	assert_int_equal(err.code, EROFS);
	assert_int_equal(mount(NULL, sb_files, NULL, MS_REMOUNT, NULL), 0);
	assert_true(sb_is(sb_path("victim"), VIRUS));
	assert_int_equal(sb_count(sb_files, ""), 1);
	assert_int_equal(sb_intents(b.store), 0);
	sb_close(&b);
}

/* ---- deleting, purging ---- */

static void deleting_leaves_nothing(void **state)
{
	struct sb_both b = sb_open(NULL);
	struct err err;
	int64_t id;

	sb_puts(sb_path("victim"), VIRUS);
	id = put_well(&b, sb_path("victim"));
	assert_int_equal(quarantine_delete(b.q, id, &err), 1);
	assert_int_equal(quarantine_delete(b.q, id, &err), 0);
	assert_int_equal(sb_items(b.store), 0);
	assert_int_equal(sb_intents(b.store), 0);
	assert_int_equal(sb_count(paths()->quarantine_dir, ""), 0);
	sb_close(&b);
}

static void the_oldest_go_when_there_is_too_much(void **state)
{
	static uint8_t data[100000];
	struct sb_both b = sb_open(NULL);
	struct item item;
	struct err err;
	int64_t first, last = 0;

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(random() >> 3);
	sb_write(sb_path("victim"), data, sizeof(data));
	first = put_well(&b, sb_path("victim"));
	quarantine_configure(b.q, 0, 450000);
	for (int i = 0; i < 5; i++) {
		sb_write(sb_path("victim"), data, sizeof(data));
		last = put_well(&b, sb_path("victim"));
	}
	assert_int_equal(sb_items(b.store), 4);
	assert_int_equal(store_item_get(b.store, first, &item, &err), 0);
	assert_int_equal(store_item_get(b.store, last, &item, &err), 1);
	assert_int_equal(sb_count(paths()->quarantine_dir, ""), 4);
	usleep(20000);
	assert_int_equal(quarantine_purge(b.q, 100000, &err), 0);
	assert_int_equal(quarantine_purge(b.q, 1, &err), 4);
	assert_int_equal(sb_count(paths()->quarantine_dir, ""), 0);
	sb_close(&b);
}

/* ---- killed at every step ---- */

struct kill_case {
	const char *path;
	const char *to;
	int64_t id;
};

static void do_put(void *arg)
{
	const struct kill_case *k = arg;
	struct sb_both b = sb_open(NULL);
	struct item item;
	struct err err;

	if (put(&b, k->path, &item, &err) < 0)
		_exit(1);
}

static void do_recover(void *arg)
{
	struct sb_both b = sb_open(NULL);
	struct err err;

	(void)arg;
	if (quarantine_recover(b.q, &err) != 0)
		fprintf(stderr, "recovery left something: %s\n", err.text);
	sb_close(&b);
}

/*
 * The one promise: in place or in quarantine, not both and not neither; and
 * nothing of ours is left lying about.
 */
static void check_one_copy(const char *path, const char *content)
{
	struct sb_both b = sb_open(NULL);
	bool in_place = sb_is(path, content);
	int64_t items = sb_items(b.store);
	struct err err;

	assert_int_equal(quarantine_recover(b.q, &err), 0);
	assert_int_equal(items, sb_items(b.store));
	assert_int_equal(in_place + items, 1);
	assert_int_equal(sb_intents(b.store), 0);
	assert_int_equal(sb_count(sb_files, ".splx"), 0);
	assert_int_equal(sb_count(sb_files, ""), in_place);
	assert_int_equal(sb_count(paths()->quarantine_dir, ""), items);
	sb_close(&b);
}

static void restore_any(const char *path)
{
	struct sb_both b = sb_open(NULL);
	struct err err;

	/* Ids are given in order, so one of the first few hundred it is. */
	for (int64_t id = 1; id < 400 && sb_items(b.store); id++)
		restore(&b, id, path, false, &err);
	assert_true(sb_is(path, VIRUS));
	sb_close(&b);
}

static void killed_at_every_step_of_putting(void **state)
{
	struct kill_case k = {.path = sb_path("victim")};
	bool killed = true;
	int step;

	for (step = 1; killed; step++) {
		sb_setup(NULL);
		sb_puts(k.path, VIRUS);
		killed = sb_killed_at(step, do_put, &k);
		do_recover(NULL);
		check_one_copy(k.path, VIRUS);
		if (!sb_exists(k.path))
			restore_any(k.path);
	}
	assert_in_range(step, 10, STEPS_MAX);
}

static void killed_at_every_step_of_recovering_from_that(void **state)
{
	struct kill_case k = {.path = sb_path("victim")};
	bool killed = true, again;

	for (int step = 1; killed; step++) {
		again = true;
		for (int second = 1; again; second++) {
			sb_setup(NULL);
			sb_puts(k.path, VIRUS);
			killed = sb_killed_at(step, do_put, &k);
			again = sb_killed_at(second, do_recover, &k);
			do_recover(NULL);
			check_one_copy(k.path, VIRUS);
		}
	}
}

static void do_put_failing(void *arg)
{
	const struct kill_case *k = arg;
	struct sb_both b = sb_open(NULL);
	struct item item;
	struct err err;
	int fd;

	/* The sealed file cannot be made: undone after it was taken. */
	fd_mkdirs(paths()->quarantine_dir, 0700, &err);
	for (int id = 1; id < 9; id++) {
		char name[256];

		snprintf(name, sizeof(name), "%s/%d.tmp/x",
			 paths()->quarantine_dir, id);
		fd_mkdirs(name, 0700, &err);
	}
	fd = open(k->path, O_RDONLY);
	if (fd >= 0 && put(&b, k->path, &item, &err) == 0)
		_exit(3);
}

static void killed_at_every_step_of_undoing(void **state)
{
	struct kill_case k = {.path = sb_path("victim")};
	bool killed = true;

	for (int step = 1; killed; step++) {
		sb_setup(NULL);
		sb_puts(k.path, VIRUS);
		killed = sb_killed_at(step, do_put_failing, &k);
		sb_empty(paths()->quarantine_dir);
		do_recover(NULL);
		assert_true(sb_is(k.path, VIRUS));
		assert_int_equal(sb_count(sb_files, ""), 1);
	}
}

static void do_restore(void *arg)
{
	const struct kill_case *k = arg;
	struct sb_both b = sb_open(NULL);
	struct err err;

	if (restore(&b, k->id, k->to, false, &err) < 0)
		_exit(4);
}

static void killed_at_every_step_of_restoring(void **state)
{
	struct kill_case k = {.path = sb_path("victim"), .to = NULL};
	bool killed = true;
	struct sb_both b;
	int step;

	for (step = 1; killed; step++) {
		sb_setup(NULL);
		sb_puts(k.path, VIRUS);
		b = sb_open(NULL);
		k.id = put_well(&b, k.path);
		sb_close(&b);
		killed = sb_killed_at(step, do_restore, &k);
		do_recover(NULL);
		check_one_copy(k.path, VIRUS);
		if (!killed)
			assert_true(sb_is(k.path, VIRUS));
	}
	assert_in_range(step, 8, STEPS_MAX);
}

static void do_delete(void *arg)
{
	const struct kill_case *k = arg;
	struct sb_both b = sb_open(NULL);
	struct err err;

	if (quarantine_delete(b.q, k->id, &err) != 1)
		_exit(5);
}

static void killed_at_every_step_of_deleting(void **state)
{
	struct kill_case k = {.path = sb_path("victim")};
	bool killed = true;
	struct sb_both b;

	for (int step = 1; killed; step++) {
		sb_setup(NULL);
		sb_puts(k.path, VIRUS);
		b = sb_open(NULL);
		k.id = put_well(&b, k.path);
		sb_close(&b);
		killed = sb_killed_at(step, do_delete, &k);
		do_recover(NULL);
		b = sb_open(NULL);
		assert_int_equal(sb_intents(b.store), 0);
		assert_int_equal(sb_items(b.store),
				 sb_count(paths()->quarantine_dir, ""));
		sb_close(&b);
	}
}

/* At any instant, not only between our steps. */
static void killed_at_random_instants(void **state)
{
	const char *path = sb_path("victim");
	struct kill_case k = {.path = path};
	uint64_t start, whole_us;
	int in_place = 0;

	sb_puts(path, VIRUS);
	start = clock_mono_ns();
	sb_killed_at(0, do_put, &k);
	whole_us = (clock_mono_ns() - start) / 1000 + 1;
	for (int i = 0; i < 60; i++) {
		pid_t pid;

		sb_setup(NULL);
		sb_puts(path, VIRUS);
		pid = fork();
		if (pid == 0) {
			do_put(&k);
			_exit(0);
		}
		usleep((useconds_t)((uint64_t)random() % whole_us));
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		do_recover(NULL);
		in_place += sb_exists(path);
		check_one_copy(path, VIRUS);
	}
	print_message("%d of 60 in place\n", in_place);
}

static void recovery_gives_back_what_took_its_name_meanwhile(void **state)
{
	struct kill_case k = {.path = sb_path("victim")};
	struct sb_both b;
	int n = 0;

	for (int step = 1; sb_killed_at(step, do_put, &k); step++) {
		/* Killed with the file in hold; its name is used again. */
		if (!sb_exists(k.path))
			sb_puts(k.path, OTHER);
		do_recover(NULL);
		assert_true(sb_is(k.path, OTHER) || sb_is(k.path, VIRUS));
		b = sb_open(NULL);
		n = (int)sb_items(b.store) + sb_is(k.path, VIRUS) +
		    sb_is(sb_path("victim.splx-1"), VIRUS);
		assert_int_equal(n, 1);
		assert_int_equal(sb_count(sb_files, ".splx"), 0);
		sb_close(&b);
		sb_setup(NULL);
		sb_puts(k.path, VIRUS);
	}
}

static int put_first(void **state)
{
	sb_setup(state);
	sb_puts(sb_path("victim"), VIRUS);
	return 0;
}

static void an_intent_whose_place_is_gone_waits(void **state)
{
	struct kill_case k = {.path = sb_path("dir/victim")};
	struct sb_both b;
	struct err err;

	mkdir(sb_path("dir"), 0755);
	sb_puts(k.path, VIRUS);
	/* 4: taken, before it is looked at */
	assert_true(sb_killed_at(4, do_put, &k));
	assert_false(sb_exists(k.path));
	assert_int_equal(rename(sb_path("dir"), sb_path("away")), 0);
	b = sb_open(NULL);
	assert_int_equal(quarantine_recover(b.q, &err), 1);
	assert_int_equal(rename(sb_path("away"), sb_path("dir")), 0);
	assert_int_equal(quarantine_recover(b.q, &err), 0);
	assert_true(sb_is(k.path, VIRUS));
	sb_close(&b);
}

static void a_lost_index_is_made_anew_from_the_sealed_files(void **state)
{
	struct sb_both b = sb_open(NULL);
	struct item before, after;
	struct err err;
	int64_t id;

	sb_puts(sb_path("a"), VIRUS);
	sb_puts(sb_path("b"), OTHER);
	id = put_well(&b, sb_path("a"));
	put_well(&b, sb_path("b"));
	assert_int_equal(store_item_get(b.store, id, &before, &err), 1);
	sb_close(&b);
	unlink(paths()->store);
	unlink(sb_path("../root/var/lib/splx/splx.db-wal"));

	b = sb_open(NULL);
	assert_int_equal(quarantine_recover(b.q, &err), 0);
	assert_int_equal(sb_items(b.store), 2);
	assert_int_equal(store_item_get(b.store, id, &after, &err), 1);
	assert_string_equal(after.path, before.path);
	assert_string_equal(after.virus, before.virus);
	assert_string_equal(after.sha256, before.sha256);
	assert_int_equal(after.size, before.size);
	assert_int_equal(after.sealed, before.sealed);
	/* And no number is given twice. */
	sb_puts(sb_path("c"), VIRUS);
	assert_true(put_well(&b, sb_path("c")) > 2);
	assert_int_equal(restore(&b, id, NULL, false, &err), 0);
	assert_true(sb_is(sb_path("a"), VIRUS));
	sb_close(&b);
}

/* ---- others change names meanwhile ---- */

struct swapper {
	_Atomic bool stop;
	char path[PATH_MAX], aside[PATH_MAX], other[PATH_MAX];
	bool with_link;
	unsigned long turns;
};

/* What the swapper itself does shall never cost a file. */
static void move(const char *from, const char *to)
{
	syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 1 /* NOREPLACE */);
}

static void take_link_away(const struct swapper *s)
{
	char away[PATH_MAX + 8];
	struct stat st;

	snprintf(away, sizeof(away), "%s.away", s->path);
	move(s->path, away);
	if (lstat(away, &st) == 0 && S_ISLNK(st.st_mode))
		unlink(away);
	else
		move(away, s->path);
}

/* Gives the victim's name to the innocent file, or to a link, and back. */
static void *swap_run(void *arg)
{
	struct swapper *s = arg;

	while (!atomic_load(&s->stop)) {
		move(s->path, s->aside);
		if (s->with_link)
			(void)!symlink(s->other, s->path);
		else
			move(s->other, s->path);
		if (s->with_link)
			take_link_away(s);
		else
			move(s->path, s->other);
		move(s->aside, s->path);
		s->turns++;
	}
	return NULL;
}

/* How many files in the directory (or below it) hold that content. */
static int count_content(const char *text)
{
	DIR *d = opendir(sb_files);
	struct dirent *de;
	int n = 0;

	while ((de = readdir(d)))
		if (de->d_type == DT_REG) {
			char path[PATH_MAX];

			snprintf(path, sizeof(path), "%s/%s", sb_files,
				 de->d_name);
			n += sb_is(path, text);
		}
	closedir(d);
	return n;
}

static void swap_rounds(bool with_link, int rounds)
{
	static struct swapper s;
	struct sb_both b = sb_open(NULL);
	struct quarantine_file file;
	struct stat other, now;
	struct item item;
	struct err err;
	pthread_t thread;
	int fd, rc, taken = 0;

	for (int i = 0; i < rounds; i++) {
		memset(&s, 0, sizeof(s));
		s.with_link = with_link;
		snprintf(s.path, sizeof(s.path), "%s/victim", sb_files);
		snprintf(s.aside, sizeof(s.aside), "%s/aside", sb_files);
		snprintf(s.other, sizeof(s.other), "%s/other", sb_files);
		sb_empty(sb_files);
		sb_puts(s.path, VIRUS);
		sb_puts(s.other, OTHER);
		assert_int_equal(stat(s.other, &other), 0);
		fd = open(s.path, O_RDONLY | O_CLOEXEC);
		file = sb_file(fd);
		assert_int_equal(pthread_create(&thread, NULL, swap_run, &s),
				 0);
		usleep(200);
		rc = quarantine_put_now(b.q, &file, &item, &err);
		atomic_store(&s.stop, true);
		pthread_join(thread, NULL);
		close(fd);
		taken += rc == 0;
		/* The other is there, under some name, as it was. */
		assert_int_equal(count_content(OTHER), 1);
		assert_int_equal(count_content(VIRUS), rc == 0 ? 0 : 1);
		if (with_link) {
			assert_int_equal(stat(s.other, &now), 0);
			assert_int_equal(now.st_ino, other.st_ino);
		}
		assert_int_equal(sb_count(sb_files, ".splx"), 0);
		assert_int_equal(sb_intents(b.store), 0);
		if (rc == 0) {
			assert_int_equal(item.size, strlen(VIRUS));
			quarantine_delete(b.q, item.id, &err);
		}
	}
	print_message("taken %d of %d\n", taken, rounds);
	sb_close(&b);
}

static void a_swapped_name_never_costs_the_other_file(void **state)
{
	swap_rounds(false, 150);
}

static void a_name_swapped_for_a_link_never_costs_its_target(void **state)
{
	swap_rounds(true, 150);
}

static const char *swap_at;
static int swaps_left;

/* The name is given away at exactly the worst instant. */
static void swap_step(const char *step)
{
	if (strcmp(step, swap_at) != 0 || swaps_left-- <= 0)
		return;
	rename(sb_path("victim"), sb_path("aside"));
	rename(sb_path("other"), sb_path("victim"));
}

static void a_name_given_away_just_before_taking_is_noticed(void **state)
{
	struct sb_both b = sb_open(NULL);
	struct item item;
	struct err err;

	sb_puts(sb_path("victim"), VIRUS);
	sb_puts(sb_path("other"), OTHER);
	swap_at = "hold-rename";
	swaps_left = 1;
	holding_step = swap_step;
	/* The kernel tells the new name, so it is found there. */
	assert_int_equal(put(&b, sb_path("victim"), &item, &err), 0);
	holding_step = NULL;
	assert_string_equal(item.path, sb_path("aside"));
	assert_true(sb_is(sb_path("victim"), OTHER));
	assert_int_equal(sb_count(sb_files, ""), 1);
	sb_close(&b);
}

static int die_after_swap;
static void swap_and_die(const char *step)
{
	swap_step(step);
	if (swaps_left <= 0 && die_after_swap-- <= 0)
		kill(getpid(), SIGKILL);
}

static void do_put_swapped_and_die(void *arg)
{
	swap_at = "hold-rename";
	swaps_left = 1;
	holding_step = swap_and_die;
	do_put(arg);
}

static void killed_with_the_wrong_file_in_hold(void **state)
{
	struct kill_case k = {.path = sb_path("victim")};
	int status;
	pid_t pid;

	for (int after = 0; after < 12; after++) {
		sb_setup(NULL);
		sb_puts(sb_path("victim"), VIRUS);
		sb_puts(sb_path("other"), OTHER);
		pid = fork();
		if (pid == 0) {
			die_after_swap = after;
			do_put_swapped_and_die(&k);
			_exit(0);
		}
		waitpid(pid, &status, 0);
		do_recover(NULL);
		assert_int_equal(count_content(OTHER), 1);
		assert_int_equal(sb_count(sb_files, ".splx"), 0);
	}
}

/* ---- no room ---- */

/* Leaves `left` bytes free in the file system of dir. */
static void fill_up(const char *dir, size_t left)
{
	static char block[4096];
	char path[PATH_MAX];
	struct stat st;
	int fd;

	snprintf(path, sizeof(path), "%s/ballast", dir);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	while (write(fd, block, sizeof(block)) > 0)
		;
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(ftruncate(fd, st.st_size - (off_t)left), 0);
	close(fd);
}

static void full_rounds(const char *full_dir)
{
	static uint8_t data[40000];
	char ballast[PATH_MAX];
	int failed = 0;

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(random() >> 5);
	snprintf(ballast, sizeof(ballast), "%s/ballast", full_dir);
	for (size_t left = 0; left < 160000; left += 4096) {
		struct sb_both b;
		struct item item;
		struct err err;
		bool in_place;
		int rc;

		sb_setup(NULL);
		b = sb_open(NULL);
		quarantine_recover(b.q, &err);
		sb_write(sb_path("victim"), data, sizeof(data));
		fill_up(full_dir, left);
		rc = put(&b, sb_path("victim"), &item, &err);
		failed += rc < 0;
		in_place = sb_exists(sb_path("victim"));
		assert_int_equal(in_place, rc < 0);
		unlink(ballast);
		sb_close(&b);
		/* With room again all is as it should be, and works. */
		b = sb_open(NULL);
		assert_int_equal(quarantine_recover(b.q, &err), 0);
		assert_int_equal(sb_exists(sb_path("victim")), in_place);
		assert_int_equal(sb_items(b.store), !in_place);
		assert_int_equal(sb_count(sb_files, ".splx"), 0);
		assert_int_equal(sb_count(paths()->quarantine_dir, ""),
				 !in_place);
		if (in_place)
			put_well(&b, sb_path("victim"));
		sb_close(&b);
	}
	print_message("%d failed for want of room\n", failed);
	assert_true(failed > 0);
}

static void a_full_disk_of_ours_leaves_the_file_in_its_place(void **state)
{
	assert_int_equal(
		mount(NULL, paths()->root, NULL, MS_REMOUNT, "size=1m"), 0);
	full_rounds(paths()->root);
	assert_int_equal(
		mount(NULL, paths()->root, NULL, MS_REMOUNT, "size=64m"), 0);
}

static void a_full_disk_of_theirs_does_no_harm(void **state)
{
	struct sb_both b = sb_open(NULL);
	struct err err;
	int64_t id;
	int rc;

	sb_puts(sb_path("victim"), VIRUS);
	fill_up(sb_files, 0);
	id = put_well(&b, sb_path("victim"));
	fill_up(sb_files, 0);
	rc = restore(&b, id, NULL, false, &err);
	assert_int_equal(rc, -1);
	assert_int_equal(err.code, ENOSPC);
	assert_int_equal(sb_count(sb_files, ""), 1); /* the ballast */
	assert_int_equal(sb_items(b.store), 1);
	unlink(sb_path("ballast"));
	assert_int_equal(restore(&b, id, NULL, false, &err), 0);
	assert_true(sb_is(sb_path("victim"), VIRUS));
	sb_close(&b);
}

/* ---- passes ---- */

static void a_restored_file_passes_while_it_stays_the_same(void **state)
{
	struct err err;
	int sbfd;
	struct scoreboard *sb = scoreboard_new(&sbfd, &err);
	struct sb_both b = sb_open(sb);
	const char *path = sb_path("victim");
	struct file_key key;
	struct stat st;
	char sha[65] = "";
	struct item item;
	bool ask;
	int64_t id;
	int fd;

	sb_puts(path, VIRUS);
	id = put_well(&b, path);
	assert_int_equal(store_item_get(b.store, id, &item, &err), 1);
	strcpy(sha, item.sha256);
	assert_int_equal(restore(&b, id, NULL, false, &err), 0);
	fd = open(path, O_RDONLY);
	assert_int_equal(file_key_get(fd, &key, &st), 0);
	assert_true(pass_has(sb, &key));
	assert_int_equal(quarantine_passed(b.q, &key, path, NULL, &ask), 1);

	/* Touched: the hash decides, and the new key passes from then on. */
	usleep(20000);
	assert_int_equal(fchmod(fd, 0600), 0);
	assert_int_equal(file_key_get(fd, &key, &st), 0);
	assert_false(pass_has(sb, &key));
	assert_int_equal(quarantine_passed(b.q, &key, path, NULL, &ask), 0);
	assert_true(ask);
	assert_int_equal(quarantine_passed(b.q, &key, path, "00", &ask), 0);
	assert_int_equal(quarantine_passed(b.q, &key, path, sha, &ask), 1);
	assert_true(pass_has(sb, &key));

	/* The same content elsewhere does not pass. */
	key.ino++;
	assert_int_equal(quarantine_passed(b.q, &key, "/elsewhere", sha, &ask),
			 0);
	close(fd);
	sb_close(&b);
	scoreboard_map(sbfd, &err);
	close(sbfd);
}

static void passes_are_set_up_again_if_the_content_is_the_same(void **state)
{
	struct err err;
	int sbfd;
	struct scoreboard *sb = scoreboard_new(&sbfd, &err);
	struct sb_both b = sb_open(sb);
	struct file_key same, touched, changed;
	struct stat st;
	int fd;

	static const char *const names[] = {"same", "touched", "changed"};
	struct file_key *const keys[] = {&same, &touched, &changed};

	for (int i = 0; i < 3; i++) {
		sb_puts(sb_path(names[i]), VIRUS);
		restore(&b, put_well(&b, sb_path(names[i])), NULL, false, &err);
	}
	sb_close(&b);
	chmod(sb_path("touched"), 0600);
	sb_puts(sb_path("changed"), OTHER);
	pass_clear(sb);

	b = sb_open(sb);
	assert_int_equal(quarantine_recover(b.q, &err), 0);
	for (int i = 0; i < 3; i++) {
		fd = open(sb_path(names[i]), O_RDONLY);
		assert_int_equal(file_key_get(fd, keys[i], &st), 0);
		close(fd);
	}
	assert_true(pass_has(sb, &same));
	assert_true(pass_has(sb, &touched));
	assert_false(pass_has(sb, &changed));
	sb_close(&b);
	close(sbfd);
}

/* ---- one at a time ---- */

static void a_second_process_cannot_work_on_the_same_quarantine(void **state)
{
	struct sb_both b = sb_open(NULL);
	struct quarantine_setup setup = {.store = b.store};
	struct quarantine *second = quarantine_new(&setup);
	struct err err;

	assert_int_equal(quarantine_recover(b.q, &err), 0);
	assert_int_equal(quarantine_recover(second, &err), -1);
	assert_non_null(strstr(err.text, "in use"));
	quarantine_free(&second);
	sb_close(&b);
}

#define T(name) cmocka_unit_test_setup(name, sb_setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_file_goes_and_comes_back_as_it_was),
		T(names_of_any_bytes_come_back),
		T(restoring_never_replaces_a_file_unless_forced),
		T(restoring_elsewhere_takes_a_directory_or_a_name),
		T(restoring_follows_no_symbolic_link),
		T(a_damaged_item_is_not_restored_and_leaves_nothing),
		T(links_that_are_left_are_told),
		T(a_writer_is_told),
		T(a_deleted_file_or_a_directory_is_an_error),
		T(a_file_larger_than_the_quarantine_stays),
		T(a_read_only_or_immutable_place_leaves_the_file),
		T(deleting_leaves_nothing),
		T(the_oldest_go_when_there_is_too_much),
		T(killed_at_every_step_of_putting),
		T(killed_at_every_step_of_recovering_from_that),
		T(killed_at_every_step_of_undoing),
		T(killed_at_every_step_of_restoring),
		T(killed_at_every_step_of_deleting),
		T(killed_at_random_instants),
		cmocka_unit_test_setup(
			recovery_gives_back_what_took_its_name_meanwhile,
			put_first),
		T(an_intent_whose_place_is_gone_waits),
		T(a_lost_index_is_made_anew_from_the_sealed_files),
		T(a_swapped_name_never_costs_the_other_file),
		T(a_name_swapped_for_a_link_never_costs_its_target),
		T(a_name_given_away_just_before_taking_is_noticed),
		T(killed_with_the_wrong_file_in_hold),
		T(a_full_disk_of_ours_leaves_the_file_in_its_place),
		T(a_full_disk_of_theirs_does_no_harm),
		T(a_restored_file_passes_while_it_stays_the_same),
		T(passes_are_set_up_again_if_the_content_is_the_same),
		T(a_second_process_cannot_work_on_the_same_quarantine),
	};

	return cmocka_run_group_tests(tests, sb_group_setup, sb_group_teardown);
}
