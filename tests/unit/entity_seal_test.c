/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "entity_storebed.h"

#include <sys/mman.h>

#include "common/hash.h"
#include "entity/seal.h"
#include "lib/alloc.h"

static struct seal_key key = {.bytes = "0123456789abcdef0123456789abcde"};

static int memfd(const void *data, size_t len)
{
	int fd = memfd_create("seal-test", MFD_CLOEXEC);

	assert_true(fd >= 0);
	if (len)
		assert_int_equal(fd_write_all(fd, data, len), 0);
	lseek(fd, 0, SEEK_SET);
	return fd;
}

/* All of a memfd; the caller frees. */
static uint8_t *contents(int fd, size_t *len_r)
{
	off_t len = lseek(fd, 0, SEEK_END);
	uint8_t *data = xmalloc((size_t)len + 1);

	lseek(fd, 0, SEEK_SET);
	assert_int_equal(fd_read_all(fd, data, (size_t)len), 0);
	*len_r = (size_t)len;
	return data;
}

static uint8_t *sealed(const void *data, size_t len, const char *meta,
		       size_t *len_r)
{
	int in = memfd(data, len), out = memfd(NULL, 0);
	struct seal_info info;
	struct err err;
	uint8_t *result;

	assert_int_equal(
		seal_write(&key, in, out, meta, strlen(meta), 0, &info, &err),
		0);
	assert_int_equal(info.size, len);
	result = contents(out, len_r);
	close(in);
	close(out);
	return result;
}

/* 0 when it opens, else the errno of the refusal. */
static int opens(const void *data, size_t len)
{
	int in = memfd(data, len), out = memfd(NULL, 0);
	struct seal_info info;
	struct err err;
	int rc = seal_read(&key, in, out, NULL, &info, &err);

	close(in);
	close(out);
	return rc < 0 ? err.code : 0;
}

static void fill(uint8_t *data, size_t len, bool random)
{
	if (random)
		seal_random(data, len);
	else
		memset(data, 'x', len);
}

static void check_round(size_t len, bool random, const char *meta)
{
	uint8_t *data = xmalloc(len + 1), *out, *file;
	size_t file_len, out_len;
	struct seal_info info, end;
	char *meta_back = NULL;
	uint8_t hash[32];
	struct err err;
	int in, to;

	fill(data, len, random);
	file = sealed(data, len, meta, &file_len);
	in = memfd(file, file_len);
	to = memfd(NULL, 0);
	assert_int_equal(seal_read(&key, in, to, &meta_back, &info, &err), 0);
	out = contents(to, &out_len);
	assert_int_equal(out_len, len);
	assert_memory_equal(out, data, len);
	assert_string_equal(meta_back, meta);
	lseek(to, 0, SEEK_SET);
	assert_int_equal(hash_fd(to, 0, hash, NULL, &err), 0);
	assert_memory_equal(hash, info.sha256, 32);
	lseek(in, 0, SEEK_SET);
	assert_int_equal(seal_read_end(&key, in, &end, &err), 0);
	assert_int_equal(end.size, len);
	assert_memory_equal(hash, end.sha256, 32);
	free(meta_back);
	free(out);
	free(file);
	free(data);
	close(in);
	close(to);
}

static void what_was_sealed_comes_back_whole(void **state)
{
	static const size_t lengths[] = {0,	1,     4095,   65535,  65536,
					 65537, 65540, 131072, 200001, 1 << 21};
	char *long_meta = xmalloc(200001);

	for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
		check_round(lengths[i], true, "{\"path\":\"/x\"}");
		check_round(lengths[i], false, "");
	}
	memset(long_meta, 'm', 200000);
	for (size_t len = 65500; len < 65560; len += 4) {
		long_meta[len] = '\0';
		check_round(10, true, long_meta);
		long_meta[len] = 'm';
	}
	long_meta[200000] = '\0';
	check_round(100, true, long_meta);
	free(long_meta);
}

static void sealing_moves_no_offset_and_needs_none(void **state)
{
	int in = memfd("0123456789", 10), out = memfd(NULL, 0);
	struct seal_info info;
	struct err err;

	lseek(in, 7, SEEK_SET);
	assert_int_equal(seal_write(&key, in, out, "", 0, 0, &info, &err), 0);
	assert_int_equal(info.size, 10);
	assert_int_equal(lseek(in, 0, SEEK_CUR), 7);
	close(in);
	close(out);
}

static void neither_content_nor_attributes_can_be_read_in_it(void **state)
{
	const char *text = "a text that must not be seen in the sealed file";
	const char *meta = "{\"path\":\"/home/of/somebody/secret\"}";
	size_t len;
	uint8_t *file = sealed(text, strlen(text), meta, &len);

	assert_null(memmem(file, len, "must not be seen", 16));
	assert_null(memmem(file, len, "somebody", 8));
	free(file);
}

static void the_same_content_is_sealed_differently_each_time(void **state)
{
	size_t a_len, b_len;
	uint8_t *a = sealed("same", 4, "", &a_len);
	uint8_t *b = sealed("same", 4, "", &b_len);

	assert_int_equal(a_len, b_len);
	assert_memory_not_equal(a + SEAL_HEADER, b + SEAL_HEADER,
				a_len - SEAL_HEADER);
	free(a);
	free(b);
}

static void a_file_cut_short_anywhere_is_refused(void **state)
{
	size_t len;
	uint8_t *file = sealed("hello, content", 14, "{\"a\":1}", &len);

	assert_int_equal(opens(file, len), 0);
	for (size_t cut = 0; cut < len; cut++)
		assert_int_equal(opens(file, cut), EBADMSG);
	free(file);
}

static void a_file_with_any_bit_flipped_is_refused(void **state)
{
	size_t len;
	uint8_t *file = sealed("hello, content", 14, "{\"a\":1}", &len);

	for (size_t i = 0; i < len; i++) {
		for (int bit = 0; bit < 8; bit++) {
			file[i] ^= (uint8_t)(1 << bit);
			assert_int_equal(opens(file, len), EBADMSG);
			file[i] ^= (uint8_t)(1 << bit);
		}
	}
	assert_int_equal(opens(file, len), 0);
	free(file);
}

static void a_file_that_goes_on_after_its_end_is_refused(void **state)
{
	size_t len;
	uint8_t *file = sealed("x", 1, "", &len);

	file = xrealloc(file, 2 * len);
	memcpy(file + len, file, len);
	assert_int_equal(opens(file, len + 1), EBADMSG);
	assert_int_equal(opens(file, 2 * len), EBADMSG);
	free(file);
}

/* The offset of frame number n. */
static size_t frame_at(const uint8_t *file, int n)
{
	size_t at = SEAL_HEADER;

	while (n-- > 0)
		at += 4 +
		      (size_t)(file[at] | file[at + 1] << 8 |
			       file[at + 2] << 16) +
		      16;
	return at;
}

static void frames_exchanged_left_out_or_repeated_are_refused(void **state)
{
	size_t size = 5 * SEAL_FRAME_MAX, len, one, two, three;
	uint8_t *data = xmalloc(size), *file, *made;

	seal_random(data, size);
	file = sealed(data, size, "", &len);
	one = frame_at(file, 1);
	two = frame_at(file, 2);
	three = frame_at(file, 3);
	assert_int_equal(two - one, three - two); /* both are full */
	made = xmalloc(2 * len);

	memcpy(made, file, len); /* exchanged */
	memcpy(made + one, file + two, two - one);
	memcpy(made + two, file + one, two - one);
	assert_int_equal(opens(made, len), EBADMSG);

	memcpy(made, file, one); /* left out */
	memcpy(made + one, file + two, len - two);
	assert_int_equal(opens(made, len - (two - one)), EBADMSG);

	memcpy(made, file, two); /* repeated */
	memcpy(made + two, file + one, len - one);
	assert_int_equal(opens(made, len + (two - one)), EBADMSG);
	free(made);
	free(file);
	free(data);
}

static void the_same_text_twice_in_a_file_is_encrypted_differently(void **state)
{
	char *meta = xmalloc(200001);
	size_t len, one, two, three;
	uint8_t *file;

	memset(meta, 'm', 200000);
	meta[200000] = '\0';
	file = sealed("x", 1, meta, &len);
	one = frame_at(file, 1);
	two = frame_at(file, 2);
	three = frame_at(file, 3);
	assert_int_equal(two - one, three - two);
	assert_memory_not_equal(file + one + 4, file + two + 4, 1024);
	free(file);
	free(meta);
}

static void a_frame_of_another_file_is_refused(void **state)
{
	size_t a_len, b_len;
	uint8_t *a = sealed("content A", 9, "", &a_len);
	uint8_t *b = sealed("content B", 9, "", &b_len);

	assert_int_equal(a_len, b_len);
	memcpy(a + frame_at(a, 1), b + frame_at(b, 1), a_len - frame_at(a, 1));
	assert_int_equal(opens(a, a_len), EBADMSG);
	free(a);
	free(b);
}

static void another_key_opens_nothing(void **state)
{
	size_t len;
	uint8_t *file = sealed("content", 7, "", &len);

	key.bytes[3] ^= 1;
	assert_int_equal(opens(file, len), EBADMSG);
	key.bytes[3] ^= 1;
	assert_int_equal(opens(file, len), 0);
	free(file);
}

static void a_file_larger_than_the_limit_is_refused(void **state)
{
	int in = memfd("0123456789", 10), out = memfd(NULL, 0);
	struct seal_info info;
	struct err err;

	assert_int_equal(seal_write(&key, in, out, "", 0, 9, &info, &err), -1);
	assert_int_equal(err.code, EFBIG);
	close(out);
	out = memfd(NULL, 0);
	assert_int_equal(seal_write(&key, in, out, "", 0, 10, &info, &err), 0);
	close(in);
	close(out);
}

static void a_full_disk_is_an_error_and_no_more(void **state)
{
	size_t size = 1 << 20;
	uint8_t *data = xmalloc(size);
	struct seal_info info;
	struct err err;
	int in, out;

	seal_random(data, size);
	in = memfd(data, size);
	out = open("/dev/full", O_WRONLY | O_CLOEXEC);
	assert_int_equal(seal_write(&key, in, out, "", 0, 0, &info, &err), -1);
	assert_int_equal(err.code, ENOSPC);
	close(in);
	close(out);
	free(data);
}

static void the_key_is_made_once_and_is_ours_alone(void **state)
{
	struct seal_key a, b;
	struct stat st;
	struct err err;

	assert_int_equal(seal_key_load(paths()->quarantine_key, &a, &err), 0);
	assert_int_equal(stat(paths()->quarantine_key, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(st.st_size, SEAL_KEY_LEN);
	assert_int_equal(seal_key_load(paths()->quarantine_key, &b, &err), 0);
	assert_memory_equal(&a, &b, sizeof(a));
}

static void a_key_that_others_may_read_or_that_is_none_is_refused(void **state)
{
	struct seal_key k;
	struct err err;

	assert_int_equal(seal_key_load(paths()->quarantine_key, &k, &err), 0);
	chmod(paths()->quarantine_key, 0640);
	assert_int_equal(seal_key_load(paths()->quarantine_key, &k, &err), -1);
	assert_non_null(strstr(err.text, "0600"));
	sb_puts(paths()->quarantine_key, "short");
	chmod(paths()->quarantine_key, 0600);
	assert_int_equal(seal_key_load(paths()->quarantine_key, &k, &err), -1);
	unlink(paths()->quarantine_key);
	assert_int_equal(symlink("/dev/zero", paths()->quarantine_key), 0);
	assert_int_equal(seal_key_load(paths()->quarantine_key, &k, &err), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_sealed_comes_back_whole),
		cmocka_unit_test(sealing_moves_no_offset_and_needs_none),
		cmocka_unit_test(
			neither_content_nor_attributes_can_be_read_in_it),
		cmocka_unit_test(
			the_same_content_is_sealed_differently_each_time),
		cmocka_unit_test(a_file_cut_short_anywhere_is_refused),
		cmocka_unit_test(a_file_with_any_bit_flipped_is_refused),
		cmocka_unit_test(a_file_that_goes_on_after_its_end_is_refused),
		cmocka_unit_test(
			frames_exchanged_left_out_or_repeated_are_refused),
		cmocka_unit_test(
			the_same_text_twice_in_a_file_is_encrypted_differently),
		cmocka_unit_test(a_frame_of_another_file_is_refused),
		cmocka_unit_test(another_key_opens_nothing),
		cmocka_unit_test(a_file_larger_than_the_limit_is_refused),
		cmocka_unit_test(a_full_disk_is_an_error_and_no_more),
		cmocka_unit_test_setup(the_key_is_made_once_and_is_ours_alone,
				       sb_setup),
		cmocka_unit_test_setup(
			a_key_that_others_may_read_or_that_is_none_is_refused,
			sb_setup),
	};

	return cmocka_run_group_tests(tests, sb_group_setup, sb_group_teardown);
}
