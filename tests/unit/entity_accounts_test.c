/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/* Accounts, sessions and tokens in the store; names and passwords. */
#include "entity_storebed.h"

#include "entity/accounts.h"

static struct account make(struct store *store, const char *name, int role)
{
	struct account a = {.role = role};
	struct err err;

	snprintf(a.name, sizeof(a.name), "%s", name);
	snprintf(a.hash, sizeof(a.hash), "hash of %s", name);
	assert_int_equal(store_account_save(store, &a, &err), 0);
	assert_true(a.id > 0);
	return a;
}

static int64_t open_session(struct store *store, int64_t account,
			    const char *hash, int64_t at)
{
	struct session s = {
		.account = account, .created_ns = at, .seen_ns = at};
	struct err err;

	snprintf(s.hash, sizeof(s.hash), "%s", hash);
	assert_int_equal(store_session_add(store, &s, &err), 0);
	return s.id;
}

static bool is_open(struct store *store, const char *hash)
{
	struct session s;
	struct err err;

	return store_session_get(store, hash, &s, &err) > 0;
}

static void an_account_is_what_was_saved_also_after_a_restart(void **state)
{
	struct store *store = store_new(paths()->store);
	struct account a = make(store, "anna", VERB_OPERATOR), b;
	struct err err;

	a.disabled = true;
	a.once_until_ns = 77;
	snprintf(a.lang, sizeof(a.lang), "ja");
	assert_int_equal(store_account_save(store, &a, &err), 0);
	store_free(&store);
	store = store_new(paths()->store);
	assert_int_equal(store_account_get(store, "anna", 0, &b, &err), 1);
	assert_int_equal(b.id, a.id);
	assert_int_equal(b.role, VERB_OPERATOR);
	assert_true(b.disabled);
	assert_int_equal(b.once_until_ns, 77);
	assert_string_equal(b.lang, "ja");
	assert_int_equal(store_account_get(store, "Anna", 0, &b, &err), 0);
	store_free(&store);
}

static void a_name_is_one_accounts_alone(void **state)
{
	struct store *store = store_new(paths()->store);
	struct account a = {.name = "anna"};
	struct err err;

	make(store, "anna", VERB_VIEWER);
	assert_int_equal(store_account_save(store, &a, &err), -1);
	assert_int_equal(err.code, EEXIST);
	assert_true(store_healthy(store, NULL));
	store_free(&store);
}

static void who_can_administer_is_counted(void **state)
{
	struct store *store = store_new(paths()->store);
	struct account a = make(store, "a", VERB_ADMIN);
	struct err err;

	make(store, "b", VERB_VIEWER);
	assert_int_equal(store_account_count(store, false, &err), 2);
	assert_int_equal(store_account_count(store, true, &err), 1);
	a.once_until_ns = 5; /* no own password */
	assert_int_equal(store_account_save(store, &a, &err), 0);
	assert_int_equal(store_account_count(store, true, &err), 0);
	store_free(&store);
}

static void sessions_end_with_their_account_alone(void **state)
{
	struct store *store = store_new(paths()->store);
	struct account a = make(store, "a", VERB_ADMIN);
	struct account b = make(store, "b", VERB_ADMIN);
	struct err err;

	open_session(store, a.id, "one", 1);
	open_session(store, b.id, "two", 1);
	assert_int_equal(store_account_remove(store, a.id, &err), 0);
	assert_false(is_open(store, "one"));
	assert_true(is_open(store, "two"));
	store_free(&store);
}

static void all_others_end_but_the_one_that_is_kept(void **state)
{
	struct store *store = store_new(paths()->store);
	struct account a = make(store, "a", VERB_ADMIN);
	struct account b = make(store, "b", VERB_ADMIN);
	struct err err;
	int64_t mine;

	open_session(store, a.id, "one", 1);
	mine = open_session(store, a.id, "mine", 1);
	open_session(store, b.id, "other", 1);
	assert_int_equal(store_session_end(store, 0, a.id, mine, &err), 1);
	assert_false(is_open(store, "one"));
	assert_true(is_open(store, "mine"));
	assert_true(is_open(store, "other"));
	store_free(&store);
}

static void old_unused_and_too_many_sessions_go(void **state)
{
	struct store *store = store_new(paths()->store);
	struct account a = make(store, "a", VERB_ADMIN);
	struct account b = make(store, "b", VERB_ADMIN);
	struct err err;
	char hash[32];
	int i;

	open_session(store, a.id, "old", 10);
	open_session(store, b.id, "new", 1000);
	open_session(store, 999, "nobody's", 1000);
	assert_int_equal(store_session_purge(store, 100, 100, &err), 0);
	assert_false(is_open(store, "old"));
	assert_false(is_open(store, "nobody's"));
	for (i = 0; i < 50; i++) {
		snprintf(hash, sizeof(hash), "s%d", i);
		open_session(store, a.id, hash, 1000);
		assert_int_equal(
			store_session_bound(store, a.id, 20, 1000, &err), 0);
	}
	assert_false(is_open(store, "s29"));
	assert_true(is_open(store, "s30"));
	assert_true(is_open(store, "new"));
	store_free(&store);
}

static void what_was_begun_and_not_committed_never_was(void **state)
{
	struct store *store = store_new(paths()->store);
	struct account a = make(store, "a", VERB_ADMIN);
	struct err err;

	open_session(store, a.id, "one", 1);
	assert_int_equal(store_console_begin(store, &err), 0);
	assert_int_equal(store_account_remove(store, a.id, &err), 0);
	store_console_rollback(store);
	assert_true(is_open(store, "one"));
	store_free(&store);
}

static void names_are_folded_and_hostile_ones_refused(void **state)
{
	static const char *const bad[] = {
		"",
		"-a",
		".a",
		"a b",
		"a/b",
		"a\nb",
		"a'b",
		"a\"b",
		"ü",
		"a%s",
		"<a>",
		("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		 "aaaa"),
	};
	char name[ACCOUNT_NAME];
	struct err err;
	size_t i;

	assert_int_equal(accounts_name("Anna.B@example-1", name, &err), 0);
	assert_string_equal(name, "anna.b@example-1");
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(accounts_name(bad[i], name, &err), -1);
}

static void weak_passwords_are_refused_without_being_told(void **state)
{
	static const char *const bad[] = {
		"",
		"short",
		"elevenbytes",
		"aaaaaaaaaaaaa",
		"abababababababab",
		"administrator",
		"administrator1",
	};
	struct err err;
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(
			accounts_password_ok("administrator", bad[i], &err),
			-1);
		if (*bad[i])
			assert_null(strstr(err.text, bad[i]));
	}
	assert_int_equal(accounts_password_ok("anna", "twelve bytes", &err), 0);
	assert_int_equal(accounts_password_ok("anna", "пароль длинный", &err),
			 0);
}

#define T(fn) cmocka_unit_test_setup(fn, sb_setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(an_account_is_what_was_saved_also_after_a_restart),
		T(a_name_is_one_accounts_alone),
		T(who_can_administer_is_counted),
		T(sessions_end_with_their_account_alone),
		T(all_others_end_but_the_one_that_is_kept),
		T(old_unused_and_too_many_sessions_go),
		T(what_was_begun_and_not_committed_never_was),
		T(names_are_folded_and_hostile_ones_refused),
		T(weak_passwords_are_refused_without_being_told),
	};

	return cmocka_run_group_tests(tests, sb_group_setup, sb_group_teardown);
}
