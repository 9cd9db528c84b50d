/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/* Others rename, and fill the disk, while a file is put or restored. */
#include "entity_quarantinebed.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/syscall.h>

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_swapped_name_never_costs_the_other_file),
		T(a_name_swapped_for_a_link_never_costs_its_target),
		T(a_name_given_away_just_before_taking_is_noticed),
		T(killed_with_the_wrong_file_in_hold),
		T(a_full_disk_of_ours_leaves_the_file_in_its_place),
		T(a_full_disk_of_theirs_does_no_harm),
	};

	return cmocka_run_group_tests(tests, sb_group_setup, sb_group_teardown);
}
