/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statfs.h>
#include <unistd.h>
#include <cmocka.h>

#include "common/conf.h"
#include "common/verdict.h"

static void every_word_has_a_name_and_no_two_the_same(void **state)
{
	(void)state;
	for (int i = 0; i <= ACTION_NONE; i++)
		for (int k = 0; k < i; k++)
			assert_string_not_equal(action_name(i), action_name(k));
	for (int i = 0; i <= VERDICT_ERROR; i++)
		assert_string_not_equal(verdict_name(i), "unknown");
	for (int i = 0; i <= SOURCE_SCHEDULED; i++)
		assert_string_not_equal(source_name(i), "unknown");
	assert_string_equal(verdict_name(VERDICT_INFECTED), "infected");
	assert_string_equal(source_name(SOURCE_CLOSE), "close");
}

static void what_is_out_of_range_is_unknown(void **state)
{
	(void)state;
	assert_string_equal(verdict_name(VERDICT_ERROR + 1), "unknown");
	assert_string_equal(verdict_name((enum verdict) - 1), "unknown");
	assert_string_equal(source_name((enum scan_source)77), "unknown");
	assert_string_equal(action_name((enum action)77), "unknown");
}

static void actions_are_parsed_back(void **state)
{
	(void)state;
	for (int i = 0; i <= ACTION_NONE; i++)
		assert_int_equal(action_parse(action_name(i)), i);
	assert_int_equal(action_parse("unknown"), -1);
	assert_int_equal(action_parse(""), -1);
	assert_int_equal(action_parse("Deny"), -1);
}

/* FirstAction is kept as the index of its word. */
static void actions_stand_in_the_order_of_the_setting(void **state)
{
	const struct conf_option *o = conf_option_find("FirstAction");
	char words[128], *rest = words, *word;
	int i = 0;

	(void)state;
	assert_non_null(o);
	snprintf(words, sizeof(words), "%s", o->unit);
	while ((word = strsep(&rest, "|")))
		assert_int_equal(action_parse(word), i++);
}

static void key_follows_the_file(void **state)
{
	char path[] = "/tmp/splx-key-XXXXXX";
	int fd = mkstemp(path), other;
	struct file_key a, b;
	struct stat st;
	struct statfs fs;

	(void)state;
	assert_int_equal(file_key_get(fd, &a, &st), 0);
	assert_int_equal(a.ino, st.st_ino);
	assert_int_equal(fstatfs(fd, &fs), 0);
	assert_memory_equal(&a.fsid, &fs.f_fsid, sizeof(a.fsid));
	other = open(path, O_RDONLY);
	assert_int_equal(file_key_get(other, &b, &st), 0);
	assert_true(file_key_same(&a, &b));
	usleep(30000);
	assert_int_equal(write(fd, "x", 1), 1);
	assert_int_equal(file_key_get(other, &b, &st), 0);
	assert_false(file_key_same(&a, &b));
	/* Same size, times put back: the ctime tells. */
	assert_int_equal(file_key_get(fd, &a, &st), 0);
	usleep(30000);
	assert_int_equal(pwrite(fd, "y", 1, 0), 1);
	futimens(fd, (struct timespec[2]){st.st_atim, st.st_mtim});
	assert_int_equal(file_key_get(other, &b, &st), 0);
	assert_int_equal(a.mtime_ns, b.mtime_ns);
	assert_int_equal(a.size, b.size);
	assert_false(file_key_same(&a, &b));
	close(fd);
	close(other);
	unlink(path);
	errno = 0;
	assert_int_equal(file_key_get(-1, &a, &st), -1);
	assert_int_equal(errno, EBADF);
}

static void every_member_makes_a_difference(void **state)
{
	struct file_key a = {1, 2, 3, 4, 5, 6}, b;

	(void)state;
	for (size_t i = 0; i < sizeof(a) / sizeof(uint64_t); i++) {
		b = a;
		((uint64_t *)&b)[i] ^= 1ull << 40;
		assert_false(file_key_same(&a, &b));
		assert_true(file_key_hash(&a) != file_key_hash(&b));
	}
	assert_true(file_key_same(&a, &a));
}

/* Neighbouring inodes must not meet in one bucket. */
static void hash_spreads_neighbours(void **state)
{
	static unsigned char bucket[1024];
	unsigned int used = 0, most = 0;

	(void)state;
	for (uint64_t i = 0; i < 4096; i++) {
		struct file_key k = {.fsid = 1, .dev = 2, .ino = i * 8};
		unsigned char *b = &bucket[file_key_hash(&k) % 1024];

		used += !*b;
		if (++*b > most)
			most = *b;
	}
	assert_true(used > 980);
	assert_true(most < 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_word_has_a_name_and_no_two_the_same),
		cmocka_unit_test(what_is_out_of_range_is_unknown),
		cmocka_unit_test(actions_are_parsed_back),
		cmocka_unit_test(actions_stand_in_the_order_of_the_setting),
		cmocka_unit_test(key_follows_the_file),
		cmocka_unit_test(every_member_makes_a_difference),
		cmocka_unit_test(hash_spreads_neighbours),
	};

	alarm(60);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
