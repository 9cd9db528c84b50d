/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/* Keys and signatures: ours, those of the openssl program, and bad ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/signing.h"
#include "filebed.h"

static struct err err;

static int setup(void **state)
{
	err_clear(&err);
	return file_setup(state) || mkdir(in("keys"), 0755) < 0 ? -1 : 0;
}

/* The text, signed by the key NAME.key; the caller frees it. */
static char *sign(const char *name, const char *text)
{
	char *file = xasprintf("%s/%s.key", dir, name), *line;

	if (signing_sign(file, text, strlen(text), &line, &err) < 0)
		fail_msg("%s", err.text);
	free(file);
	return line;
}

static void make_key(const char *name, char *id)
{
	char *private = xasprintf("%s/%s.key", dir, name);
	char *public = xasprintf("%s/keys/%s.pem", dir, name);

	if (signing_key_make(private, public, id, &err) < 0)
		fail_msg("%s", err.text);
	free(private);
	free(public);
}

static int check(const char *text, const char *lines, char *id)
{
	struct signing_keys keys;
	int rc;

	err_clear(&err);
	signing_keys_read(in("keys"), &keys);
	rc = signing_check(&keys, text, strlen(text), lines, id, &err);
	signing_keys_free(&keys);
	return rc;
}

static void what_is_signed_by_a_trusted_key_is_good(void **state)
{
	char a[SIGNING_ID_LEN + 1], b[SIGNING_ID_LEN + 1], id[sizeof(a)];
	char *by_a, *by_b, *both;

	(void)state;
	make_key("a", a);
	make_key("b", b);
	assert_string_not_equal(a, b);
	by_a = sign("a", "text");
	by_b = sign("b", "text");
	assert_int_equal(check("text", by_a, id), 0);
	assert_string_equal(id, a);
	/* one of several is enough, among lines of other kinds */
	assert_int_equal(unlink(in("keys/a.pem")), 0);
	both = xasprintf("# two\nrsa x y\n%s\r\n%s", by_a, by_b);
	assert_int_equal(check("text", both, id), 0);
	assert_string_equal(id, b);
	assert_int_equal(check("text", by_a, id), -1);
	assert_non_null(strstr(err.text, a));
	assert_non_null(strstr(err.text, "not trusted"));
	free(by_a);
	free(by_b);
	free(both);
}

static void what_was_changed_is_not(void **state)
{
	char a[SIGNING_ID_LEN + 1], id[sizeof(a)], *line;
	static const char *const none[] = {"", "\n\n", "ed25519",
					   "ed25519 0123456789abcdef",
					   "# ed25519 0123456789abcdef x"};

	(void)state;
	make_key("a", a);
	line = sign("a", "text");
	assert_int_equal(check("text ", line, id), -1);
	assert_non_null(strstr(err.text, "changed"));
	assert_int_equal(check("tex", line, id), -1);
	assert_int_equal(check("", line, id), -1);
	/* any character of the signature */
	for (size_t i = strlen("ed25519 ") + SIGNING_ID_LEN + 1; line[i] != '=';
	     i++) {
		char was = line[i];

		line[i] = was == 'A' ? 'B' : 'A';
		if (line[i + 1] != '=' && check("text", line, id) == 0)
			fail_msg("good with another character %zu", i);
		line[i] = was;
	}
	assert_int_equal(check("text", line, id), 0);
	line[strlen(line) - 10] = '\0';
	assert_int_equal(check("text", line, id), -1);
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
		assert_int_equal(check("text", none[i], id), -1);
		assert_non_null(strstr(err.text, "no signature"));
	}
	free(line);
}

static void keys_of_the_openssl_program_serve(void **state)
{
	char id[SIGNING_ID_LEN + 1], *line;

	(void)state;
	run("openssl genpkey -algorithm ed25519 -out o.key && "
	    "openssl pkey -in o.key -pubout -out keys/o.pem");
	line = sign("o", "text");
	assert_int_equal(check("text", line, id), 0);
	/* and it finds our signature good */
	put("line", line);
	run("printf 'splx signed text 1\\ntext' >signed && "
	    "cut -d' ' -f3 line | openssl base64 -d -A >sig && "
	    "openssl pkeyutl -verify -rawin -in signed -sigfile sig "
	    "-pubin -inkey keys/o.pem");
	free(line);
}

static void what_is_no_such_key_is_told_and_is_none(void **state)
{
	struct signing_keys keys;
	struct stat st;
	char id[SIGNING_ID_LEN + 1], *line;

	(void)state;
	make_key("good", id);
	put("keys/garbage.pem", "not a key\n");
	put("keys/readme.txt", "not looked at\n");
	put("keys/.hidden.pem", "not looked at\n");
	run("openssl genpkey -algorithm rsa -out r.key && "
	    "openssl pkey -in r.key -pubout -out keys/rsa.pem");
	signing_keys_read(in("keys"), &keys);
	assert_int_equal(keys.len, 1);
	assert_string_equal(keys.items[0].id, id);
	assert_int_equal(keys.problems.len, 2);
	assert_non_null(strstr(keys.problems.items[0].text, "garbage.pem"));
	assert_non_null(strstr(keys.problems.items[1].text, "rsa.pem"));
	signing_keys_free(&keys);
	assert_int_equal(signing_sign(in("r.key"), "x", 1, &line, &err), -1);
	assert_int_equal(signing_sign(in("keys/good.pem"), "x", 1, &line, &err),
			 -1);
	signing_keys_read(in("nowhere"), &keys);
	assert_int_equal(keys.len + keys.problems.len, 0);
	signing_keys_free(&keys);
	/* private is for its owner alone, and nothing is overwritten */
	assert_int_equal(stat(in("good.key"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(
		signing_key_make(in("good.key"), in("new.pem"), id, &err), -1);
	assert_int_equal(
		signing_key_make(in("new.key"), in("keys/good.pem"), id, &err),
		-1);
	assert_int_equal(access(in("new.key"), F_OK), -1);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, file_teardown)
	const struct CMUnitTest tests[] = {
		T(what_is_signed_by_a_trusted_key_is_good),
		T(what_was_changed_is_not),
		T(keys_of_the_openssl_program_serve),
		T(what_is_no_such_key_is_told_and_is_none),
	};

	alarm(120);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
