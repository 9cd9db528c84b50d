/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/cert.h"
#include "lib/fdutil.h"

static char dir[] = "/tmp/splx-cert-XXXXXX";
static struct cert one, two;

static int setup(void **state)
{
	struct err err;

	assert_non_null(mkdtemp(dir));
	assert_int_equal(cert_make(&one, &err), 0);
	assert_int_equal(cert_make(&two, &err), 0);
	return 0;
}

static int teardown(void **state)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", dir);
	return system(command);
}

/* A certificate as openssl(1) makes one, with its key. */
static void openssl(const char *args, char **chain_r, char **key_r)
{
	char command[512], path[128];
	size_t len;

	snprintf(command, sizeof(command),
		 "cd %s && { openssl req -x509 -nodes -keyout k -out c -subj "
		 "/CN=test %s; } 2>/dev/null",
		 dir, args);
	assert_int_equal(system(command), 0);
	snprintf(path, sizeof(path), "%s/c", dir);
	assert_int_equal(fd_read_file(path, 65536, chain_r, &len, NULL), 0);
	snprintf(path, sizeof(path), "%s/k", dir);
	assert_int_equal(fd_read_file(path, 65536, key_r, &len, NULL), 0);
}

static void assert_refused(const char *chain, const char *key, const char *why)
{
	struct cert out;
	struct err err = {0};

	assert_int_equal(cert_read(chain, key, &out, &err), -1);
	if (!strstr(err.text, why))
		fail_msg("\"%s\", not \"%s\"", err.text, why);
}

static void one_made_here_is_taken_and_described(void **state)
{
	static struct cert out;
	struct err err;
	int64_t now = time(NULL);

	assert_int_equal(cert_read(one.chain, one.key, &out, &err), 0);
	assert_string_equal(out.chain, one.chain);
	assert_string_equal(out.key, one.key);
	assert_true(out.info.self_made);
	assert_string_equal(out.info.key, "EC 256");
	assert_non_null(strstr(out.info.names, "localhost"));
	assert_non_null(strstr(out.info.names, "127.0.0.1"));
	assert_true(out.info.not_before_s < now);
	assert_true(out.info.not_after_s > now + 800 * 86400l);
	assert_true(out.info.not_after_s <= now + CERT_DAYS * 86400l);
}

static void a_key_that_does_not_fit_is_refused(void **state)
{
	assert_refused(one.chain, two.key, "not that of the certificate");
}

static void what_is_none_is_refused(void **state)
{
	static char much[CERT_CHAIN_MAX + 10];

	memset(much, 'x', sizeof(much) - 1);
	assert_refused("", one.key, "no certificate");
	assert_refused(one.key, one.key, "no certificate");
	assert_refused(one.chain, "", "no private key");
	assert_refused(one.chain, one.chain, "no private key");
	assert_refused(much, one.key, "too long");
	assert_refused(one.chain, much, "too long");
}

static void a_weak_or_expired_one_is_refused(void **state)
{
	char *chain, *key;

	openssl("-newkey rsa:1024 -days 10", &chain, &key);
	assert_refused(chain, key, "too weak");
	free(chain);
	free(key);
	openssl("-newkey rsa:2048 && openssl x509 -in c -days 0 -signkey k "
		"-out d && mv d c && sleep 1.1",
		&chain, &key);
	assert_refused(chain, key, "expired");
	free(chain);
	free(key);
	openssl("-newkey ed25519 -days 10", &chain, &key);
	assert_refused(chain, key, "neither RSA nor EC");
	free(chain);
	free(key);
}

static void a_key_with_a_password_is_refused_without_asking_for_it(void **state)
{
	char *chain, *key, command[256], path[128], *locked;
	size_t len;

	openssl("-newkey rsa:2048 -days 10", &chain, &key);
	snprintf(command, sizeof(command),
		 "cd %s && openssl pkcs8 -topk8 -in k -out e -passout pass:xyz",
		 dir);
	assert_int_equal(system(command), 0);
	snprintf(path, sizeof(path), "%s/e", dir);
	assert_int_equal(fd_read_file(path, 65536, &locked, &len, NULL), 0);
	assert_refused(chain, locked, "password");
	free(chain);
	free(key);
	free(locked);
}

static void a_chain_out_of_order_is_refused(void **state)
{
	static char both[2 * CERT_CHAIN_MAX];

	snprintf(both, sizeof(both), "%s%s", one.chain, two.chain);
	assert_refused(both, one.key, "not issued by");
	assert_refused(two.chain, one.key, "not that of the certificate");
}

static void what_stands_between_is_left_out(void **state)
{
	static char text[CERT_CHAIN_MAX + 100];
	static struct cert out;
	struct err err;

	snprintf(text, sizeof(text), "secret words\n%s", one.chain);
	assert_int_equal(cert_read(text, one.key, &out, &err), 0);
	assert_null(strstr(out.chain, "secret"));
}

static void read_current(const char *name, char **text_r)
{
	char path[128];
	size_t len;

	snprintf(path, sizeof(path), "%s/console/current/%s", dir, name);
	assert_int_equal(fd_read_file(path, 65536, text_r, &len, NULL), 0);
}

static void a_new_one_takes_over_whole_and_the_former_is_kept(void **state)
{
	char path[128], *text;
	struct cert_info info;
	struct err err;
	struct stat st;

	snprintf(path, sizeof(path), "%s/console", dir);
	assert_int_equal(cert_show(path, &info, &err), -1);
	assert_int_equal(err.code, ENOENT);
	assert_int_equal(cert_install(path, &one, 61185, &err), 0);
	assert_int_equal(cert_install(path, &one, 61185, &err), 0);
	assert_int_equal(cert_install(path, &two, 61185, &err), 0);
	read_current("key.pem", &text);
	assert_string_equal(text, two.key);
	free(text);
	read_current("certificate.pem", &text);
	assert_string_equal(text, two.chain);
	free(text);
	assert_int_equal(cert_show(path, &info, &err), 0);
	assert_string_equal(info.fingerprint, two.info.fingerprint);
	snprintf(path, sizeof(path), "%s/console/set-3/key.pem", dir);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	assert_int_equal(st.st_uid, 0);
	assert_int_equal(st.st_gid, 61185);
	snprintf(path, sizeof(path), "%s/console/set-2", dir);
	assert_int_equal(access(path, F_OK), 0);
	snprintf(path, sizeof(path), "%s/console/set-1", dir);
	assert_int_equal(access(path, F_OK), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_made_here_is_taken_and_described),
		cmocka_unit_test(a_key_that_does_not_fit_is_refused),
		cmocka_unit_test(what_is_none_is_refused),
		cmocka_unit_test(a_weak_or_expired_one_is_refused),
		cmocka_unit_test(
			a_key_with_a_password_is_refused_without_asking_for_it),
		cmocka_unit_test(a_chain_out_of_order_is_refused),
		cmocka_unit_test(what_stands_between_is_left_out),
		cmocka_unit_test(
			a_new_one_takes_over_whole_and_the_former_is_kept),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
