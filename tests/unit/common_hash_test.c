/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/* SHA-256, of files and of bytes as they come. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "common/hash.h"
#include "filebed.h"

static struct err err;

static int setup(void **state)
{
	err_clear(&err);
	return file_setup(state);
}

static void a_file_is_hashed_as_sha256sum_does(void **state)
{
	char hex[HASH_HEX_LEN + 1];
	uint64_t size;
	int fd;

	(void)state;
	put("abc", "abc");
	fd = open(in("abc"), O_RDONLY);
	assert_int_equal(lseek(fd, 2, SEEK_SET), 2);
	assert_int_equal(hash_fd_hex(fd, hex, &size, &err), 0);
	close(fd);
	/* FIPS 180-2, appendix B.1 */
	assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223"
				 "b00361a396177a9cb410ff61f20015ad");
	assert_int_equal(size, 3);
	run("head -c 1000000 /dev/urandom >big; sha256sum <big >sum");
	fd = open(in("big"), O_RDONLY);
	assert_int_equal(hash_fd_hex(fd, hex, &size, &err), 0);
	close(fd);
	assert_int_equal(size, 1000000);
	put("ours", hex);
	run("grep -q -f ours sum");
	fd = open(dir, O_RDONLY);
	assert_int_equal(hash_fd_hex(fd, hex, &size, &err), -1);
	close(fd);
}

static void bytes_that_come_in_pieces_are_hashed_as_one(void **state)
{
	struct hash *hash = hash_new();
	uint8_t whole[HASH_LEN], pieces[HASH_LEN];
	int fd;

	(void)state;
	put("text", "in pieces");
	fd = open(in("text"), O_RDONLY);
	assert_int_equal(hash_fd(fd, 0, whole, NULL, &err), 0);
	hash_add(hash, "in ", 3);
	hash_add(hash, "", 0);
	hash_add(hash, "pieces", 6);
	hash_end(&hash, pieces);
	assert_null(hash);
	assert_memory_equal(whole, pieces, HASH_LEN);
	close(fd);
	hash = hash_new();
	hash_free(&hash);
	hash_free(&hash);
}

static void no_more_than_the_limit_is_read(void **state)
{
	uint8_t out[HASH_LEN];
	int fd;

	(void)state;
	put("four", "1234");
	fd = open(in("four"), O_RDONLY);
	assert_int_equal(hash_fd(fd, 4, out, NULL, &err), 0);
	assert_int_equal(hash_fd(fd, 3, out, NULL, &err), -1);
	assert_int_equal(err.code, EFBIG);
	close(fd);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, file_teardown)
	const struct CMUnitTest tests[] = {
		T(a_file_is_hashed_as_sha256sum_does),
		T(bytes_that_come_in_pieces_are_hashed_as_one),
		T(no_more_than_the_limit_is_read),
	};

	alarm(120);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
