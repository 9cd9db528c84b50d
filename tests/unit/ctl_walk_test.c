/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <malloc.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "ctl/walk.h"
#include "lib/alloc.h"
#include "lib/clock.h"
#include "lib/str.h"

/* On a tmpfs of its own, so that names and inodes are its alone. */
static char dir[PATH_MAX];

/* What a walk saw. */
struct seen {
	size_t files;
	unsigned long long inodes; /* all of them added up */
	size_t errors;
	int last_error;
	char last_path[256]; /* of an error */
	size_t most_open;    /* descriptors */
	size_t most_memory;
	size_t crossings;
	size_t stop_after;
	bool measure;
	void (*on_file)(const char *path);
};

static size_t count_open(void)
{
	DIR *d = opendir("/proc/self/fd");
	size_t n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n - 3; /* ".", ".." and d itself */
}

static int on_file(int fd, const struct stat *st, const char *path, void *arg)
{
	struct seen *s = arg;
	size_t n;

	s->files++;
	s->inodes += st->st_ino;
	assert_true(S_ISREG(st->st_mode));
	if (s->measure) {
		n = count_open();
		s->most_open = n > s->most_open ? n : s->most_open;
		n = mallinfo2().uordblks + mallinfo2().hblkhd;
		s->most_memory = n > s->most_memory ? n : s->most_memory;
	}
	if (s->on_file)
		s->on_file(path);
	return s->stop_after && s->files >= s->stop_after;
}

static void on_error(const char *path, int code, void *arg)
{
	struct seen *s = arg;

	s->errors++;
	s->last_error = code;
	str_copy(s->last_path, sizeof(s->last_path), path);
}

static bool on_cross(const char *path, void *arg)
{
	struct seen *s = arg;

	s->crossings++;
	return true;
}

static const struct walk_ops plain = {.file = on_file, .error = on_error};

static int walk(const char *path, unsigned int flags,
		const struct walk_ops *ops, struct seen *s)
{
	return walk_tree(path, flags, ops, s);
}

static int setup(void **state)
{
	strcpy(dir, "/tmp/splx-walk-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	alarm(120);
	return mount("tmpfs", dir, "tmpfs", 0, "size=64m,mode=755");
}

static int teardown(void **state)
{
	alarm(0);
	umount2(dir, MNT_DETACH);
	return rmdir(dir);
}

static const char *at(const char *name)
{
	static char path[PATH_MAX + 256];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static void touch(const char *name)
{
	int fd = open(at(name), O_WRONLY | O_CREAT, 0644);

	assert_true(fd >= 0);
	close(fd);
}

static void touch_at(int fd, const char *name)
{
	int file = openat(fd, name, O_WRONLY | O_CREAT, 0644);

	assert_true(file >= 0);
	close(file);
}

/* A chain of directories, each with two files beside the next one. */
static void make_chain(int depth)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY), next, i;

	for (i = 0; i < depth; i++) {
		touch_at(fd, "a");
		assert_int_equal(mkdirat(fd, "deep", 0755), 0);
		touch_at(fd, "z");
		next = openat(fd, "deep", O_RDONLY | O_DIRECTORY);
		assert_true(next >= 0);
		close(fd);
		fd = next;
	}
	close(fd);
}

static void every_regular_file_is_seen_once(void **state)
{
	struct seen s = {0};

	touch("a");
	assert_int_equal(mkdir(at("d"), 0755), 0);
	touch("d/b");
	touch("d/.c");
	assert_int_equal(mkdir(at("d/empty"), 0755), 0);
	assert_int_equal(walk(dir, 0, &plain, &s), 0);
	assert_int_equal(s.files, 3);
	assert_int_equal(s.errors, 0);
	memset(&s, 0, sizeof(s));
	assert_int_equal(walk(dir, WALK_COUNT, &plain, &s), 0);
	assert_int_equal(s.files, 3);
	memset(&s, 0, sizeof(s));
	assert_int_equal(walk(at("d/b"), 0, &plain, &s), 0);
	assert_int_equal(s.files, 1);
}

static void links_below_the_beginning_are_not_followed(void **state)
{
	struct seen s = {0};

	assert_int_equal(mkdir(at("d"), 0755), 0);
	touch("d/a");
	assert_int_equal(symlink("..", at("d/up")), 0);
	assert_int_equal(symlink("a", at("d/b")), 0);
	assert_int_equal(symlink("/nowhere", at("d/c")), 0);
	assert_int_equal(symlink("self", at("d/self")), 0);
	assert_int_equal(walk(dir, 0, &plain, &s), 0);
	assert_int_equal(s.files, 1);
	assert_int_equal(s.errors, 0);
}

static void a_directory_mounted_into_itself_is_not_entered_again(void **state)
{
	struct seen s = {0};

	assert_int_equal(mkdir(at("d"), 0755), 0);
	assert_int_equal(mkdir(at("d/loop"), 0755), 0);
	touch("d/a");
	assert_int_equal(mount(dir, at("d/loop"), NULL, MS_BIND, NULL), 0);
	assert_int_equal(walk(dir, 0, &plain, &s), 0);
	umount2(at("d/loop"), MNT_DETACH);
	assert_int_equal(s.files, 1);
	assert_int_equal(s.errors, 0);
}

static void nothing_but_regular_files_is_opened(void **state)
{
	struct seen s = {0};

	assert_int_equal(mkfifo(at("fifo"), 0644), 0);
	assert_int_equal(mknod(at("dev"), S_IFCHR | 0644, makedev(1, 7)), 0);
	touch("a");
	assert_int_equal(walk(dir, 0, &plain, &s), 0);
	assert_int_equal(s.files, 1);
	assert_int_equal(s.errors, 0);
	assert_int_equal(walk(at("fifo"), 0, &plain, &s), 0);
	assert_int_equal(s.last_error, EINVAL);
}

static void thousands_of_levels_need_few_descriptors(void **state)
{
	struct seen s = {.measure = true};
	size_t before = count_open();

	make_chain(2000); /* 10,000 bytes of path, more than PATH_MAX */
	assert_int_equal(walk(dir, 0, &plain, &s), 0);
	assert_int_equal(s.files, 4000);
	assert_int_equal(s.errors, 0);
	assert_true(s.most_open <= before + WALK_OPEN_DIRS + 3);
	assert_int_equal(count_open(), before);
}

static void memory_does_not_grow_with_the_number_of_files(void **state)
{
	struct seen s = {.measure = true};
	size_t before, i;
	char name[32];

	for (i = 0; i < 20000; i++) {
		snprintf(name, sizeof(name), "file-number-%zu", i);
		touch(name);
	}
	before = mallinfo2().uordblks + mallinfo2().hblkhd;
	assert_int_equal(walk(dir, 0, &plain, &s), 0);
	assert_int_equal(s.files, 20000);
	assert_true(s.most_memory < before + (256u << 10));
}

static void what_cannot_be_read_is_an_error_and_the_rest_goes_on(void **state)
{
	struct seen s = {0};

	assert_int_equal(mkdir(at("locked"), 0700), 0);
	touch("locked/a");
	touch("b");
	touch("c");
	assert_int_equal(chmod(at("c"), 0), 0);
	assert_int_equal(seteuid(65534), 0);
	walk(dir, 0, &plain, &s);
	assert_int_equal(seteuid(0), 0);
	assert_int_equal(s.files, 1); /* b, though O_NOATIME is not ours */
	assert_int_equal(s.errors, 2);
	assert_int_equal(s.last_error, EACCES);
	memset(&s, 0, sizeof(s));
	walk(at("absent"), 0, &plain, &s);
	assert_int_equal(s.last_error, ENOENT);
}

static void remove_the_others(const char *path)
{
	unlink(at("d/a"));
	unlink(at("d/b"));
	unlink(at("d/c"));
	rmdir(at("d/e"));
	rmdir(at("d"));
}

static void what_disappears_meanwhile_is_no_error(void **state)
{
	struct seen s = {.on_file = remove_the_others};

	assert_int_equal(mkdir(at("d"), 0755), 0);
	assert_int_equal(mkdir(at("d/e"), 0755), 0);
	touch("d/a");
	touch("d/b");
	touch("d/c");
	assert_int_equal(walk(dir, 0, &plain, &s), 0);
	assert_true(s.files >= 1);
	assert_int_equal(s.errors, 0);
}

/* While the bottom of the chain is read its upper part is moved away. */
static void move_the_chain(const char *path)
{
	char from[PATH_MAX];

	if (strlen(path) < strlen(dir) + 190 * strlen("/deep"))
		return;
	snprintf(from, sizeof(from), "%.64s/deep/deep/deep", dir);
	if (access(from, F_OK) == 0)
		assert_int_equal(rename(from, at("moved")), 0);
}

static void a_branch_that_is_moved_meanwhile_does_no_harm(void **state)
{
	struct seen s = {.on_file = move_the_chain}, quiet = {0};
	size_t before = count_open();

	make_chain(200);
	assert_int_equal(walk(at("deep"), 0, &plain, &quiet), 0);
	assert_int_equal(walk(at("deep"), 0, &plain, &s), 0);
	assert_int_equal(s.errors, 0);
	/* each file once, and none of them for another */
	assert_int_equal(s.files, 398);
	assert_int_equal(s.inodes, quiet.inodes);
	assert_int_equal(count_open(), before);
}

static void another_file_system_is_asked_about_before_it_is_entered(
	void **state)
{
	static const struct walk_ops ops = {
		.file = on_file,
		.error = on_error,
		.cross = on_cross,
	};
	struct seen s = {0};

	touch("a");
	assert_int_equal(mkdir(at("mnt"), 0755), 0);
	assert_int_equal(mount("tmpfs", at("mnt"), "tmpfs", 0, "size=1m"), 0);
	touch("mnt/b");
	assert_int_equal(walk(dir, 0, &ops, &s), 0);
	assert_int_equal(s.crossings, 1);
	assert_int_equal(s.files, 1);
	memset(&s, 0, sizeof(s));
	assert_int_equal(walk(dir, 0, &plain, &s), 0);
	assert_int_equal(s.files, 2);
	umount2(at("mnt"), MNT_DETACH);
}

static bool skip_d(const char *path, bool directory, void *arg)
{
	return directory && str_ends(path, "/d");
}

static void what_is_to_be_left_out_is_left_out_with_all_below(void **state)
{
	static const struct walk_ops ops = {
		.file = on_file,
		.error = on_error,
		.skip = skip_d,
	};
	struct seen s = {0};

	touch("a");
	assert_int_equal(mkdir(at("d"), 0755), 0);
	touch("d/b");
	assert_int_equal(walk(dir, 0, &ops, &s), 0);
	assert_int_equal(s.files, 1);
}

static void a_callback_ends_the_walk_and_nothing_stays_open(void **state)
{
	struct seen s = {.stop_after = 150};
	size_t before = count_open();

	make_chain(100);
	assert_int_equal(walk(dir, 0, &plain, &s), 1);
	assert_int_equal(s.files, 150);
	assert_int_equal(count_open(), before);
}

/* ---- going on from where an earlier walk stood ---- */

#define TREE_FILES 60
#define SLACK_S 4 /* what is older than this was changed before */

/* Paths in the order in which they were seen. */
struct trail {
	char paths[2 * TREE_FILES + 8][128];
	size_t n, stop_at;
};

static int on_trail(int fd, const struct stat *st, const char *path, void *arg)
{
	struct trail *t = arg;

	assert_true(t->n < sizeof(t->paths) / sizeof(t->paths[0]));
	str_copy(t->paths[t->n++], sizeof(t->paths[0]), path);
	return t->stop_at && t->n == t->stop_at;
}

static void on_trail_error(const char *path, int code, void *arg)
{
	fail_msg("%s: %s", path, strerror(code));
}

static const struct walk_ops trail_ops = {
	.file = on_trail,
	.error = on_trail_error,
};

static bool has(const struct trail *t, const char *path)
{
	size_t i;

	for (i = 0; i < t->n; i++)
		if (strcmp(t->paths[i], path) == 0)
			return true;
	return false;
}

/* Files in directories of several levels; old when it returns. */
static void make_tree(void)
{
	char name[64];
	int i;

	for (i = 0; i < 4; i++) {
		snprintf(name, sizeof(name), "t%d", i);
		assert_int_equal(mkdir(at(name), 0755), 0);
		snprintf(name, sizeof(name), "t%d/in", i);
		assert_int_equal(mkdir(at(name), 0755), 0);
		snprintf(name, sizeof(name), "t%d/in/deep", i);
		assert_int_equal(mkdir(at(name), 0755), 0);
	}
	for (i = 0; i < TREE_FILES; i++) {
		static const char *const where[] = {"", "/in", "/in/deep"};

		snprintf(name, sizeof(name), "t%d%s/f%d", i % 4, where[i % 3],
			 i);
		touch(name);
	}
	sleep(SLACK_S);
}

static void go_on(struct trail *t, const char *path)
{
	struct walk_from from = {.path = path, .time_ns = clock_real_ns()};

	assert_int_equal(walk_tree_from(dir, &from, 0, &trail_ops, t), 0);
}

static void a_walk_goes_on_from_any_point_and_nothing_is_left_out(void **state)
{
	static struct trail whole, begun, rest;
	size_t k, i;

	make_tree();
	whole.n = 0;
	assert_int_equal(walk_tree(dir, 0, &trail_ops, &whole), 0);
	assert_int_equal(whole.n, TREE_FILES);
	for (k = 1; k <= TREE_FILES; k++) {
		begun.n = rest.n = 0;
		begun.stop_at = k;
		walk_tree(dir, 0, &trail_ops, &begun);
		assert_int_equal(begun.n, k);
		go_on(&rest, begun.paths[k - 1]);
		/* The one it stood at comes again, and nothing before it. */
		assert_int_equal(rest.n, TREE_FILES - k + 1);
		assert_string_equal(rest.paths[0], begun.paths[k - 1]);
		for (i = 0; i < TREE_FILES; i++)
			assert_true(has(&begun, whole.paths[i]) ||
				    has(&rest, whole.paths[i]));
	}
}

static void where_the_place_is_gone_the_directory_is_walked_again(void **state)
{
	static struct trail whole, rest;
	char gone[128];
	size_t k, i;

	make_tree();
	for (k = 0; k < TREE_FILES; k += 7) {
		whole.n = rest.n = 0;
		walk_tree(dir, 0, &trail_ops, &whole);
		snprintf(gone, sizeof(gone), "%s.gone", whole.paths[k]);
		go_on(&rest, gone);
		for (i = k; i < TREE_FILES; i++)
			assert_true(has(&rest, whole.paths[i]));
	}
	rest.n = 0;
	go_on(&rest, at("nothing/of/this"));
	assert_int_equal(rest.n, TREE_FILES);
	rest.n = 0;
	go_on(&rest, "/elsewhere");
	assert_int_equal(rest.n, TREE_FILES);
}

/* It stood behind the place when the first walk stopped, and before it now. */
static void what_was_renamed_meanwhile_is_walked_wherever_it_stands(
	void **state)
{
	static struct trail whole, rest;
	char to[PATH_MAX + 32];
	size_t k;

	make_tree();
	whole.n = 0;
	walk_tree(dir, 0, &trail_ops, &whole);
	k = TREE_FILES - 1;
	/* Any name may come first: so each directory gets one. */
	for (int i = 0; i < 4; i++) {
		snprintf(to, sizeof(to), "%s/t%d/moved%d", dir, i, i);
		assert_int_equal(rename(whole.paths[k - 1 - (size_t)i], to), 0);
	}
	go_on(&rest, whole.paths[k]);
	for (int i = 0; i < 4; i++) {
		snprintf(to, sizeof(to), "%s/t%d/moved%d", dir, i, i);
		assert_true(has(&rest, to));
	}
}

static void a_clock_that_was_set_back_is_not_believed(void **state)
{
	static struct trail t;
	struct walk_from from = {
		.path = at("t3/in/deep"),
		.time_ns = clock_real_ns() + 3600 * (int64_t)CLOCK_NS_PER_S,
	};

	make_tree();
	t.n = 0;
	walk_tree_from(dir, &from, 0, &trail_ops, &t);
	assert_int_equal(t.n, TREE_FILES);
}

static void what_lies_below_is_told_by_whole_names(void **state)
{
	assert_true(walk_is_below("/", "/a"));
	assert_true(walk_is_below("/a", "/a"));
	assert_true(walk_is_below("/a", "/a/b"));
	assert_false(walk_is_below("/a", "/ab"));
	assert_false(walk_is_below("/a/b", "/a"));
}

#define DISK(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		DISK(every_regular_file_is_seen_once),
		DISK(links_below_the_beginning_are_not_followed),
		DISK(a_directory_mounted_into_itself_is_not_entered_again),
		DISK(nothing_but_regular_files_is_opened),
		DISK(thousands_of_levels_need_few_descriptors),
		DISK(memory_does_not_grow_with_the_number_of_files),
		DISK(what_cannot_be_read_is_an_error_and_the_rest_goes_on),
		DISK(what_disappears_meanwhile_is_no_error),
		DISK(a_branch_that_is_moved_meanwhile_does_no_harm),
		DISK(another_file_system_is_asked_about_before_it_is_entered),
		DISK(what_is_to_be_left_out_is_left_out_with_all_below),
		DISK(a_callback_ends_the_walk_and_nothing_stays_open),
		DISK(a_walk_goes_on_from_any_point_and_nothing_is_left_out),
		DISK(where_the_place_is_gone_the_directory_is_walked_again),
		DISK(what_was_renamed_meanwhile_is_walked_wherever_it_stands),
		DISK(a_clock_that_was_set_back_is_not_believed),
		cmocka_unit_test(what_lies_below_is_told_by_whole_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
