/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/mman.h>
#include <unistd.h>

#include "common/pass.h"

static struct scoreboard *sb;
static int fd;

static int setup(void **state)
{
	(void)state;
	sb = scoreboard_new(&fd, NULL);
	return sb ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	munmap(sb, sizeof(*sb));
	close(fd);
	return 0;
}

static struct file_key key_of(uint64_t ino)
{
	return (struct file_key){.dev = 1, .ino = ino, .size = 7};
}

static bool put(uint64_t ino)
{
	struct file_key key = key_of(ino);

	return pass_put(sb, &key);
}

static bool has(uint64_t ino)
{
	struct file_key key = key_of(ino);

	return pass_has(sb, &key);
}

static void a_file_passes_until_it_is_dropped(void **state)
{
	struct file_key key = key_of(5);

	(void)state;
	assert_false(has(5));
	assert_true(put(5));
	assert_true(has(5));
	pass_drop(sb, &key);
	assert_false(has(5));
}

static void thousands_of_files_pass_at_once(void **state)
{
	(void)state;
	for (uint64_t i = 1; i <= 4000; i++)
		assert_true(put(i));
	for (uint64_t i = 1; i <= 4000; i++)
		assert_true(has(i));
}

static void when_all_places_are_taken_the_oldest_goes_and_it_is_told(
	void **state)
{
	(void)state;
	for (uint64_t i = 1; i <= SCOREBOARD_PASS; i++)
		assert_true(put(i));
	assert_true(put(1)); /* it is there already */
	assert_false(put(SCOREBOARD_PASS + 1));
	assert_true(has(SCOREBOARD_PASS + 1));
	assert_false(has(1));
	assert_true(has(2));
	assert_false(put(SCOREBOARD_PASS + 2));
	assert_false(has(2));
	assert_true(has(3));
}

static void a_place_that_was_dropped_is_used_before_any_goes(void **state)
{
	struct file_key key = key_of(9);

	(void)state;
	for (uint64_t i = 1; i <= SCOREBOARD_PASS; i++)
		put(i);
	pass_drop(sb, &key);
	assert_true(put(SCOREBOARD_PASS + 1));
	assert_true(has(1));
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_file_passes_until_it_is_dropped),
		T(thousands_of_files_pass_at_once),
		T(when_all_places_are_taken_the_oldest_goes_and_it_is_told),
		T(a_place_that_was_dropped_is_used_before_any_goes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
