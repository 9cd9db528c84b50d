/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "entity_quarantinebed.h"

#include <sys/xattr.h>

#include <jansson.h>
#include <sys/mman.h>

#include "common/pass.h"
#include "common/scoreboard.h"

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

static void count_told(json_t *event, void *arg)
{
	const char *text = json_string_value(json_object_get(event, "message"));

	if (strstr(text, "restored files"))
		++*(int *)arg;
}

static int told_of_passes(struct sb_both *b)
{
	struct event_query query = {.kind = EVENT_system, .limit = 100};
	int n = 0;

	while (store_events(b->store, &query, count_told, &n, NULL) > 0)
		;
	return n;
}

static void a_restored_file_too_many_is_told(void **state)
{
	int sbfd;
	struct err err;
	struct scoreboard *sb = scoreboard_new(&sbfd, &err);
	struct sb_both b = sb_open(sb);
	struct file_key key = {.ino = 1};
	const char *path = sb_path("victim");
	int64_t id;

	for (; key.ino <= SCOREBOARD_PASS; key.ino++)
		pass_put(sb, &key);
	assert_int_equal(told_of_passes(&b), 0);
	sb_puts(path, VIRUS);
	id = put_well(&b, path);
	assert_int_equal(restore(&b, id, NULL, false, &err), 0);
	assert_int_equal(told_of_passes(&b), 1);
	key.ino = 1;
	assert_false(pass_has(sb, &key));
	sb_close(&b);
	munmap(sb, sizeof(*sb));
	close(sbfd);
}

static void a_file_that_was_touched_takes_one_place(void **state)
{
	int sbfd, used = 0;
	struct err err;
	struct scoreboard *sb = scoreboard_new(&sbfd, &err);
	struct sb_both b = sb_open(sb);
	const char *path = sb_path("victim");
	struct file_key key;
	struct item item;
	struct stat st;
	int64_t id;
	int fd;

	sb_puts(path, VIRUS);
	id = put_well(&b, path);
	assert_int_equal(store_item_get(b.store, id, &item, &err), 1);
	assert_int_equal(restore(&b, id, NULL, false, &err), 0);
	fd = open(path, O_RDONLY);
	for (int i = 0; i < 3; i++) {
		usleep(20000);
		assert_int_equal(fchmod(fd, i % 2 ? 0600 : 0644), 0);
		assert_int_equal(file_key_get(fd, &key, &st), 0);
		assert_int_equal(
			quarantine_passed(b.q, &key, path, item.sha256, NULL),
			1);
	}
	for (int i = 0; i < SCOREBOARD_PASS; i++)
		used += (int)atomic_load(&sb->pass[i].used);
	assert_int_equal(used, 1);
	close(fd);
	sb_close(&b);
	munmap(sb, sizeof(*sb));
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
		T(a_restored_file_passes_while_it_stays_the_same),
		T(a_restored_file_too_many_is_told),
		T(a_file_that_was_touched_takes_one_place),
		T(passes_are_set_up_again_if_the_content_is_the_same),
		T(a_second_process_cannot_work_on_the_same_quarantine),
	};

	return cmocka_run_group_tests(tests, sb_group_setup, sb_group_teardown);
}
