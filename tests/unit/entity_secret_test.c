/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "entity/passwords.h"
#include "entity/secret.h"
#include "lib/alloc.h"
#include "lib/clock.h"

static void tokens_differ_and_look_like_tokens(void **state)
{
	char a[SECRET_TOKEN], b[SECRET_TOKEN];

	assert_string_not_equal(secret_token(a), secret_token(b));
	assert_true(secret_is_token(a));
	a[5] = '!';
	assert_false(secret_is_token(a));
	assert_false(secret_is_token(""));
	assert_false(secret_is_token(
		"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"));
}

static void what_is_kept_of_a_token_is_its_sha256(void **state)
{
	char hash[SECRET_HASH];

	/* FIPS 180-2, B.1 */
	assert_string_equal(secret_hash("abc", hash),
			    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb"
			    "410ff61f20015ad");
}

static void what_follows_from_a_token_is_the_same_each_time(void **state)
{
	char t[SECRET_TOKEN], a[SECRET_TOKEN], b[SECRET_TOKEN];

	secret_token(t);
	assert_string_equal(secret_derive(t, "csrf", a),
			    secret_derive(t, "csrf", b));
	assert_true(secret_is_token(a));
	assert_string_not_equal(a, t);
	assert_string_not_equal(a, secret_derive(t, "other", b));
}

static void one_time_passwords_are_easy_to_type(void **state)
{
	char a[SECRET_ONCE], b[SECRET_ONCE];

	assert_string_not_equal(secret_once(a), secret_once(b));
	assert_int_equal(strlen(a), SECRET_ONCE - 1);
	assert_int_equal(strcspn(a, "01ilo"), strlen(a));
	assert_int_equal(a[5], '-');
}

static void a_password_is_known_again_and_no_other_is(void **state)
{
	char kept[SECRET_SCRYPT], again[SECRET_SCRYPT];
	struct err err;

	assert_int_equal(secret_make("correct horse", kept, &err), 0);
	assert_int_equal(secret_make("correct horse", again, &err), 0);
	assert_string_not_equal(kept, again); /* the salt */
	assert_null(strstr(kept, "horse"));
	assert_true(secret_check("correct horse", kept));
	assert_true(secret_check("correct horse", again));
	assert_false(secret_check("correct horsf", kept));
	assert_false(secret_check("", kept));
}

static void what_is_no_hash_is_nobodys_password(void **state)
{
	char kept[SECRET_SCRYPT];
	struct err err;

	assert_int_equal(secret_make("x", kept, &err), 0);
	assert_false(secret_check("x", NULL));
	assert_false(secret_check("", ""));
	assert_false(secret_check("x", "scrypt$99$8$3$00$00"));
	kept[strlen(kept) - 1] = '\0';
	assert_false(secret_check("x", kept));
	kept[20] = 'g';
	assert_false(secret_check("x", kept));
}

static uint64_t took(const char *kept)
{
	uint64_t start = clock_mono_ns();

	secret_check("some password", kept);
	return clock_mono_ns() - start;
}

/* The least of some: others run beside. */
static uint64_t least(const char *kept)
{
	uint64_t best = UINT64_MAX, t;
	int i;

	for (i = 0; i < 5; i++) {
		t = took(kept);
		best = t < best ? t : best;
	}
	return best;
}

static void an_unknown_name_takes_as_long_as_a_wrong_password(void **state)
{
	char kept[SECRET_SCRYPT];
	struct err err;
	uint64_t known, unknown;

	assert_int_equal(secret_make("another", kept, &err), 0);
	known = least(kept);
	unknown = least("");
	assert_true(unknown > known / 2 && known > unknown / 2);
}

/* ---- the queue ---- */

static struct {
	struct loop *loop;
	int done, right;
} bed;

static void on_done(const struct passwords_result *result, void *arg)
{
	bed.done++;
	bed.right += result && result->right[0];
	if (bed.done == PASSWORDS_AT_ONCE + PASSWORDS_WAITING)
		loop_stop(bed.loop);
}

static int begin(struct passwords *p, const char *password, const char *kept)
{
	struct passwords_work work = {.checks = 1};
	struct err err;

	work.check[0].password = xstrdup(password);
	work.check[0].kept = xstrdup(kept);
	return passwords_begin(p, &work, on_done, NULL, &err);
}

static void so_many_wait_and_no_more_and_each_is_answered(void **state)
{
	char kept[SECRET_SCRYPT];
	struct passwords *p;
	struct err err;
	int i, n = 0;

	assert_int_equal(secret_make("right", kept, &err), 0);
	bed.loop = loop_new();
	p = passwords_new(bed.loop);
	for (i = 0; i < 1000; i++)
		n += begin(p, i % 2 ? "right" : "wrong", kept) == 0;
	assert_int_equal(n, PASSWORDS_AT_ONCE + PASSWORDS_WAITING);
	loop_run(bed.loop);
	assert_int_equal(bed.done, n);
	assert_int_equal(bed.right, n / 2);
	/* What is under way at the end ends without a word. */
	assert_int_equal(begin(p, "right", kept), 0);
	passwords_free(&p);
	loop_free(&bed.loop);
	assert_int_equal(bed.done, n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tokens_differ_and_look_like_tokens),
		cmocka_unit_test(what_is_kept_of_a_token_is_its_sha256),
		cmocka_unit_test(
			what_follows_from_a_token_is_the_same_each_time),
		cmocka_unit_test(one_time_passwords_are_easy_to_type),
		cmocka_unit_test(a_password_is_known_again_and_no_other_is),
		cmocka_unit_test(what_is_no_hash_is_nobodys_password),
		cmocka_unit_test(
			an_unknown_name_takes_as_long_as_a_wrong_password),
		cmocka_unit_test(so_many_wait_and_no_more_and_each_is_answered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
