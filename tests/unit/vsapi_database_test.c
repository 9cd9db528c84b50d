/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/* Databases: whole, or not. (What ClamAV signed: tests/system.) */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/hash.h"
#include "lib/fdutil.h"
#include "lib/str.h"
#include "vsapiapp/database.h"

#define HEAD(version) "ClamAV-VDB:today:" version ":1:90:X:X:me:1795348800"
#define TEXT "Test.A:0:*:41424344\n"

static struct err err;
static struct cvd_head head;
static struct str archive;

static void add_bytes(const void *data, size_t len)
{
	static const char zeros[512];

	str_addn(&archive, data, len);
	str_addn(&archive, zeros, (512 - len % 512) % 512);
}

/* A file in the form of ustar. */
static void add(const char *name, char type, const char *size,
		const char *content)
{
	char block[512] = {0};

	str_copy(block, 100, name);
	snprintf(block + 124, 12, "%s", size);
	block[156] = type;
	add_bytes(block, sizeof(block));
	add_bytes(content, strlen(content));
}

static void add_file(const char *name, const char *content)
{
	char size[24];

	snprintf(size, sizeof(size), "%011zo", strlen(content));
	add(name, '0', size, content);
}

/* The list, of one file called `name` with the content TEXT. */
static void add_list(const char *list, const char *version, const char *name)
{
	struct hash *h = hash_new();
	uint8_t bytes[HASH_LEN];
	char hex[HASH_HEX_LEN + 1];
	struct str text = {0};

	hash_add(h, TEXT, strlen(TEXT));
	hash_end(&h, bytes);
	hash_hex(hex, bytes);
	str_addf(&text, "%s\n", version);
	if (name)
		str_addf(&text, "%s:%zu:%s\n", name, strlen(TEXT), hex);
	str_add(&text, "DSIG:none\nbehind it:1:2\n");
	add_file(list, str_get(&text));
	str_free(&text);
}

static int begin(void **state)
{
	char block[512];

	(void)state;
	err_clear(&err);
	memset(block, ' ', sizeof(block));
	memcpy(block, HEAD("7"), strlen(HEAD("7")));
	str_addn(&archive, block, sizeof(block));
	return 0;
}

static int end(void **state)
{
	(void)state;
	str_free(&archive);
	return 0;
}

static int look_at(size_t cut)
{
	int fd = memfd_create("database", MFD_CLOEXEC), rc;

	assert_int_equal(fd_write_all(fd, str_get(&archive), archive.len - cut),
			 0);
	rc = database_content(fd, "test", &head, &err);
	close(fd);
	return rc;
}

static void refused(const char *word)
{
	assert_int_equal(look_at(0), -1);
	if (!strstr(err.text, word))
		fail_msg("%s: %s", word, err.text);
}

static void a_whole_one_is_good(void **state)
{
	(void)state;
	add_file("COPYING", "As you like.\n");
	add_list("test.info", HEAD("7"), "test.ndb");
	add_file("test.ndb", TEXT);
	assert_int_equal(look_at(0), 0);
	assert_int_equal(head.version, 7);
	assert_int_equal(head.time, 1795348800);
	/* Its end may be missing, nothing else. */
	assert_int_equal(look_at(1), -1);
	assert_int_equal(look_at(512), -1);
}

static void the_list_may_come_last(void **state)
{
	(void)state;
	add_file("test.ndb", TEXT);
	add_list("test.info", HEAD("7"), "test.ndb");
	assert_int_equal(look_at(0), 0);
}

static void a_file_that_is_missing_is_missed(void **state)
{
	(void)state;
	add_list("test.info", HEAD("7"), "test.ndb");
	refused("its test.ndb is missing");
}

static void a_file_behind_the_end_is_none(void **state)
{
	static const char zeros[512];

	(void)state;
	add_list("test.info", HEAD("7"), "test.ndb");
	add_bytes(zeros, sizeof(zeros));
	add_file("test.ndb", TEXT);
	refused("its test.ndb is missing");
}

static void a_file_with_other_content_is_refused(void **state)
{
	(void)state;
	add_list("test.info", HEAD("7"), "test.ndb");
	add_file("test.ndb", "Test.A:0:*:41424345\n");
	refused("not the one that is signed");
}

static void an_empty_file_is_refused(void **state)
{
	(void)state;
	add_list("test.info", HEAD("7"), "test.ndb");
	add_file("test.ndb", "");
	refused("not the one that is signed");
}

static void a_file_that_comes_twice_is_refused(void **state)
{
	(void)state;
	add_list("test.info", HEAD("7"), "test.ndb");
	add_file("test.ndb", TEXT);
	add_file("test.ndb", TEXT);
	refused("twice");
}

static void a_second_list_is_refused(void **state)
{
	(void)state;
	add_list("test.info", HEAD("7"), "test.ndb");
	add_file("test.ndb", TEXT);
	add_list("other.INFO", HEAD("7"), NULL);
	refused("more than one list");
}

static void the_list_of_another_database_is_refused(void **state)
{
	(void)state;
	add_list("other.info", HEAD("7"), "test.ndb");
	add_file("test.ndb", TEXT);
	refused("another database");
}

static void another_version_than_the_headers_is_refused(void **state)
{
	(void)state;
	add_list("test.info", HEAD("8"), "test.ndb");
	add_file("test.ndb", TEXT);
	refused("its header");
}

static void what_is_not_a_plain_file_is_refused(void **state)
{
	(void)state;
	add("test.ndb", '2', "00000000000", "");
	refused("plain files");
}

static void a_directory_is_refused(void **state)
{
	(void)state;
	add_file("a/test.info", "");
	refused("directory");
}

static void a_size_that_is_none_is_refused(void **state)
{
	(void)state;
	add("test.ndb", '0', "0x10", "");
	refused("size");
}

static void a_size_beyond_all_is_refused(void **state)
{
	(void)state;
	add("test.ndb", '0', "77777777777", "");
	refused("size");
}

static void without_a_list_it_is_none(void **state)
{
	(void)state;
	add_file("test.ndb", TEXT);
	refused("holds no test.info");
}

static void a_list_without_a_signature_is_none(void **state)
{
	(void)state;
	add_file("test.info", HEAD("7"));
	refused("not signed");
}

#define T(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_whole_one_is_good),
		T(the_list_may_come_last),
		T(a_file_that_is_missing_is_missed),
		T(a_file_behind_the_end_is_none),
		T(a_file_with_other_content_is_refused),
		T(an_empty_file_is_refused),
		T(a_file_that_comes_twice_is_refused),
		T(a_second_list_is_refused),
		T(the_list_of_another_database_is_refused),
		T(another_version_than_the_headers_is_refused),
		T(what_is_not_a_plain_file_is_refused),
		T(a_directory_is_refused),
		T(a_size_that_is_none_is_refused),
		T(a_size_beyond_all_is_refused),
		T(without_a_list_it_is_none),
		T(a_list_without_a_signature_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
