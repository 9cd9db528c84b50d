/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/* The load lock: files that are torn, foreign, or cannot be written. */
#include "loadlockbed.h"

/* ---- files that are not as they should be ---- */

/* Two crashes and a start, as a text. */
static char *three_lines(void)
{
	policy.max = 3;
	crash_after(100);
	crash_after(100);
	assert_true(begin());
	policy.max = 2;
	return text_of_file();
}

static void a_torn_file_never_counts_more_than_its_whole_lines(void **state)
{
	char *text = three_lines();
	const char *body = strstr(text, "\ncrash ") + 1;
	size_t len = strlen(text);

	(void)state;
	for (size_t cut = 0; cut <= len; cut++) {
		struct loadlock lock;
		char part[4096];
		unsigned int whole = 0;

		memcpy(part, text, cut);
		part[cut] = '\0';
		for (const char *p = body; p < text + cut; p++)
			whole += *p == '\n';
		loadlock_parse(&lock, part, &now);
		assert_int_equal(lock.n, whole);
		assert_true(lock.voids <= 1);
		/* told where a line is cut; a comment is none */
		assert_int_equal(lock.voids, cut > (size_t)(body - text) &&
						     part[cut - 1] != '\n');
	}
	free(text);
}

static void a_byte_that_is_another_makes_its_line_void(void **state)
{
	char *text = three_lines();
	const char *body = strstr(text, "\ncrash ") + 1;

	(void)state;
	for (char *p = text + (body - text); *p; p++) {
		struct loadlock lock;
		char was = *p;

		for (int bit = 0; bit < 8; bit++) {
			*p = (char)(was ^ (1 << bit));
			loadlock_parse(&lock, text, &now);
			assert_true(lock.n < 3);
			if (*p && was != '\n')
				assert_int_equal(lock.n, 2);
		}
		*p = was;
	}
	free(text);
}

static void lines_of_others_are_told_and_ignored_and_go(void **state)
{
	static const char foreign[] =
		"crash\nrm -rf /\nstart boot=x time=y up=z by=w\n"
		"crash boot=00000009-1111-4222-8333-444455556666 "
		"time=2026-01-01T00:00:00Z up=0 "
		"seen=00000009-1111-4222-8333-444455556666 sum=00000000\n\n"
		"# a remark\n";
	char *text;

	(void)state;
	policy.max = 1;
	write_file(foreign, strlen(foreign));
	assert_true(begin());
	assert_int_equal(st.lock.voids, 4);
	assert_string_equal(st.lock.void_line, "crash");
	assert_int_equal(st.noticed, 0);
	text = text_of_file();
	assert_null(strstr(text, "rm -rf"));
	free(text);
}

static void zeros_after_a_power_cut_are_told_and_ignored(void **state)
{
	char zeros[4096] = {0};

	(void)state;
	policy.max = 1;
	write_file(zeros, sizeof(zeros));
	assert_true(begin());
	assert_int_equal(st.lock.voids, 1);
	assert_true(st.known);
}

static void a_file_that_is_far_too_long_locks_nothing(void **state)
{
	char *text = malloc(2 * LOADLOCK_SIZE);

	(void)state;
	umount2(paths()->km_dir, MNT_DETACH);
	mount_km("size=1m,mode=700");
	policy.max = 1;
	memset(text, 'x', 2 * LOADLOCK_SIZE);
	write_file(text, 2 * LOADLOCK_SIZE);
	free(text);
	assert_true(begin());
	assert_true(st.known); /* it was replaced */
	assert_int_equal(st.lock.n, 1);
}

static void a_folder_in_the_files_place_locks_nothing_and_is_told(void **state)
{
	(void)state;
	policy.max = 1;
	assert_int_equal(mkdir(paths()->load_lock, 0700), 0);
	assert_true(begin());
	assert_false(st.known);
	assert_non_null(strstr(st.why.text, ".load_lock"));
}

static void a_link_in_the_files_place_is_replaced_not_followed(void **state)
{
	char target[256];
	struct stat s;

	(void)state;
	snprintf(target, sizeof(target), "%s/victim", paths()->root);
	assert_int_equal(symlink(target, paths()->load_lock), 0);
	assert_true(begin());
	assert_int_equal(access(target, F_OK), -1);
	assert_int_equal(lstat(paths()->load_lock, &s), 0);
	assert_true(S_ISREG(s.st_mode));
	assert_int_equal(s.st_mode & 0777, 0600);
}

/* ---- where nothing can be written ---- */

static void a_read_only_place_is_told_and_does_not_lock(void **state)
{
	(void)state;
	read_only();
	for (int i = 0; i < 4; i++) {
		assert_true(begin());
		assert_false(st.known);
		assert_non_null(strstr(st.why.text, "Read-only"));
		boot();
	}
}

static void a_read_only_place_does_not_unlock(void **state)
{
	(void)state;
	crash_after(100);
	crash_after(100);
	read_only();
	assert_false(begin());
	assert_false(st.known);
	assert_int_equal(loadlock_crashes(&st.lock), 2);
}

static void a_full_disk_is_told_and_does_not_lock(void **state)
{
	(void)state;
	fill_up();
	assert_true(begin());
	assert_false(st.known);
	assert_non_null(strstr(st.why.text, "No space"));
	assert_int_equal(st.why.code, ENOSPC);
}

static void a_clean_end_on_a_full_disk_is_a_clean_end(void **state)
{
	(void)state;
	crash_after(100);
	assert_true(begin());
	fill_up();
	end();
	assert_true(is_there()); /* the crash of before */
	boot();
	assert_true(begin());
	assert_int_equal(st.noticed, 0);
	assert_int_equal(loadlock_crashes(&st.lock), 1);
}

static void an_end_that_cannot_be_written_is_told(void **state)
{
	struct err err = {0};

	(void)state;
	assert_true(begin());
	read_only();
	assert_int_equal(loadlock_end(&now, LOADLOCK_BY_ANY, &err), -1);
	assert_int_equal(err.code, EROFS);
}

static void without_a_settings_folder_it_is_told_and_not_locked(void **state)
{
	char saved[256];

	(void)state;
	umount2(paths()->km_dir, MNT_DETACH);
	rmdir(paths()->km_dir);
	snprintf(saved, sizeof(saved), "%s.away", paths()->conf_dir);
	assert_int_equal(rename(paths()->conf_dir, saved), 0);
	assert_true(begin());
	assert_false(st.known);
	end(); /* nothing there is nothing to end */
	assert_int_equal(rename(saved, paths()->conf_dir), 0);
}

static void the_folder_is_made_when_needed_and_is_roots_alone(void **state)
{
	struct stat s;

	(void)state;
	umount2(paths()->km_dir, MNT_DETACH);
	assert_int_equal(rmdir(paths()->km_dir), 0);
	keep();
	end();
	assert_false(is_locked());
	assert_int_equal(stat(paths()->km_dir, &s), -1);
	assert_true(begin());
	assert_true(st.known);
	assert_int_equal(stat(paths()->km_dir, &s), 0);
	assert_int_equal(s.st_mode & 0777, 0700);
	end();
}

static void who_holds_the_file_forever_does_not_hold_us(void **state)
{
	int dir;

	(void)state;
	crash_after(100);
	dir = open(paths()->km_dir, O_RDONLY | O_DIRECTORY);
	assert_int_equal(flock(dir, LOCK_EX), 0);
	alarm(20);
	assert_true(begin());
	alarm(0);
	assert_false(st.known);
	assert_int_equal(loadlock_crashes(&st.lock), 1);
	close(dir);
	assert_true(begin());
	assert_true(st.known);
}

static void many_at_a_time_lose_no_line(void **state)
{
	pid_t pids[4];
	int status;

	(void)state;
	assert_true(begin());
	for (int i = 0; i < 4; i++) {
		pids[i] = fork();
		if (pids[i])
			continue;
		for (int j = 0; j < 50; j++) {
			loadlock_begin(&now, &policy, LOADLOCK_BY_LOAD, &st);
			if (st.locked || !st.known ||
			    loadlock_end(&now, LOADLOCK_BY_LOAD, NULL))
				_exit(1);
		}
		_exit(0);
	}
	for (int i = 0; i < 4; i++) {
		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_int_equal(status, 0);
	}
	assert_false(is_locked());
	assert_int_equal(st.lock.n, 1);
	assert_int_equal(st.lock.voids, 0);
	assert_int_equal(st.lock.entries[0].by, LOADLOCK_BY_SERVICE);
}

/* ---- unlocking ---- */

static void unlocking_removes_the_crashes_and_keeps_this_boots_start(
	void **state)
{
	unsigned int n;

	(void)state;
	crash_after(100);
	assert_true(begin());
	assert_int_equal(loadlock_clear(&now, false, &n, NULL), 0);
	assert_int_equal(n, 1);
	assert_false(is_locked());
	assert_int_equal(st.lock.n, 1);
	assert_int_equal(st.lock.entries[0].kind, LOADLOCK_START);
	assert_int_equal(loadlock_clear(&now, false, &n, NULL), 0);
	assert_int_equal(n, 0);
	end();
	assert_int_equal(loadlock_clear(&now, false, &n, NULL), 0);
	assert_int_equal(n, 0);
	assert_false(is_there());
}

static void unlocking_takes_starts_that_nobody_has_counted_yet(void **state)
{
	unsigned int n;

	(void)state;
	crash_after(100);
	crash_after(100);
	assert_int_equal(loadlock_clear(&now, false, &n, NULL), 0);
	assert_int_equal(n, 2);
	assert_false(is_there());
	assert_true(begin());
	assert_int_equal(st.noticed, 0);
}

static void an_unlocking_without_the_service_is_told_to_it_once(void **state)
{
	unsigned int n;

	(void)state;
	crash_after(100);
	crash_after(100);
	assert_false(begin());
	assert_int_equal(loadlock_clear(&now, true, &n, NULL), 0);
	assert_int_equal(n, 2);
	assert_false(is_locked());
	/* whoever loads the module is not whom to tell */
	loadlock_begin(&now, &policy, LOADLOCK_BY_LOAD, &st);
	assert_int_equal(st.cleared, 0);
	assert_true(begin());
	assert_int_equal(st.cleared, 2);
	assert_true(begin());
	assert_int_equal(st.cleared, 0);
}

static void unlocking_a_file_that_cannot_be_read_removes_it(void **state)
{
	unsigned int n;

	(void)state;
	write_file("garbage\n", 8);
	assert_int_equal(loadlock_clear(&now, true, &n, NULL), 0);
	assert_int_equal(n, 0);
	assert_false(is_there());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_torn_file_never_counts_more_than_its_whole_lines),
		T(a_byte_that_is_another_makes_its_line_void),
		T(lines_of_others_are_told_and_ignored_and_go),
		T(zeros_after_a_power_cut_are_told_and_ignored),
		T(a_file_that_is_far_too_long_locks_nothing),
		T(a_folder_in_the_files_place_locks_nothing_and_is_told),
		T(a_link_in_the_files_place_is_replaced_not_followed),
		T(a_read_only_place_is_told_and_does_not_lock),
		T(a_read_only_place_does_not_unlock),
		T(a_full_disk_is_told_and_does_not_lock),
		T(a_clean_end_on_a_full_disk_is_a_clean_end),
		T(an_end_that_cannot_be_written_is_told),
		T(without_a_settings_folder_it_is_told_and_not_locked),
		T(the_folder_is_made_when_needed_and_is_roots_alone),
		T(who_holds_the_file_forever_does_not_hold_us),
		T(many_at_a_time_lose_no_line),
		T(unlocking_removes_the_crashes_and_keeps_this_boots_start),
		T(unlocking_takes_starts_that_nobody_has_counted_yet),
		T(an_unlocking_without_the_service_is_told_to_it_once),
		T(unlocking_a_file_that_cannot_be_read_removes_it),
	};

	RUN(tests);
}
