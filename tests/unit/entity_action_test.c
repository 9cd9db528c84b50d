/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "entity_storebed.h"

#include "entity/action.h"

#define VIRUS "infected content of the test\n"
#define OTHER "an innocent file that nobody may touch\n"

static struct action_result got;
static int calls;

static void on_done(const struct action_result *result, void *arg)
{
	got = *result;
	calls++;
}

static void run(struct sb_both *b, const char *path, enum action first,
		enum action second)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct action_request request = {
		.file = sb_file(fd), .first = first, .second = second};

	calls = 0;
	memset(&got, 0, sizeof(got));
	assert_true(fd >= 0);
	action_run(b->q, b->store, &request, on_done, NULL);
	close(fd);
	assert_int_equal(calls, 1);
}

static void quarantine_takes_the_file(void **state)
{
	struct sb_both b = sb_open(NULL);

	sb_puts(sb_path("f"), VIRUS);
	run(&b, sb_path("f"), ACTION_QUARANTINE, ACTION_DENY);
	assert_int_equal(got.done, ACTION_QUARANTINE);
	assert_false(got.failed);
	assert_true(got.item > 0);
	assert_int_equal(strlen(got.sha256), 64);
	assert_false(sb_exists(sb_path("f")));
	sb_close(&b);
}

static void delete_takes_this_name_alone(void **state)
{
	struct sb_both b = sb_open(NULL);

	sb_puts(sb_path("f"), VIRUS);
	sb_puts(sb_path("g"), OTHER);
	assert_int_equal(link(sb_path("f"), sb_path("h")), 0);
	run(&b, sb_path("f"), ACTION_DELETE, ACTION_DENY);
	assert_int_equal(got.done, ACTION_DELETE);
	assert_non_null(strstr(got.detail, "1 other link"));
	assert_false(sb_exists(sb_path("f")));
	assert_true(sb_is(sb_path("g"), OTHER));
	assert_true(sb_is(sb_path("h"), VIRUS));
	assert_int_equal(sb_count(sb_files, ""), 2);
	assert_int_equal(sb_intents(b.store), 0);
	sb_close(&b);
}

static void rename_never_replaces_and_is_done_once(void **state)
{
	struct sb_both b = sb_open(NULL);

	sb_puts(sb_path("f"), VIRUS);
	sb_puts(sb_path("f.infected"), OTHER);
	run(&b, sb_path("f"), ACTION_RENAME, ACTION_DENY);
	assert_int_equal(got.done, ACTION_RENAME);
	assert_non_null(strstr(got.detail, "f.infected.1"));
	assert_true(sb_is(sb_path("f.infected"), OTHER));
	assert_true(sb_is(sb_path("f.infected.1"), VIRUS));

	sb_puts(sb_path("k"), VIRUS);
	run(&b, sb_path("k"), ACTION_RENAME, ACTION_DENY);
	run(&b, sb_path("k.infected"), ACTION_RENAME, ACTION_DENY);
	assert_int_equal(got.done, ACTION_DENY);
	assert_true(sb_is(sb_path("k.infected"), VIRUS));
	assert_int_equal(sb_count(sb_files, ""), 3);
	assert_int_equal(sb_intents(b.store), 0);
	sb_close(&b);
}

static void a_name_as_long_as_can_be_is_renamed_too(void **state)
{
	struct sb_both b = sb_open(NULL);
	char name[256], path[512];

	memset(name, 'n', 255);
	name[255] = '\0';
	snprintf(path, sizeof(path), "%s/%s", sb_files, name);
	sb_puts(path, VIRUS);
	run(&b, path, ACTION_RENAME, ACTION_DENY);
	assert_int_equal(got.done, ACTION_RENAME);
	assert_false(sb_exists(path));
	strcpy(path + strlen(path) - 9, ".infected");
	assert_true(sb_is(path, VIRUS));
	sb_close(&b);
}

static void what_cannot_be_cleaned_gets_the_second_action(void **state)
{
	struct sb_both b = sb_open(NULL);

	sb_puts(sb_path("f"), VIRUS);
	run(&b, sb_path("f"), ACTION_CLEAN, ACTION_QUARANTINE);
	assert_int_equal(got.done, ACTION_QUARANTINE);
	assert_non_null(strstr(got.detail, "cannot be cleaned"));
	sb_puts(sb_path("f"), VIRUS);
	run(&b, sb_path("f"), ACTION_CLEAN, ACTION_PASS);
	assert_int_equal(got.done, ACTION_PASS);
	assert_true(sb_exists(sb_path("f")));
	sb_close(&b);
}

static void deny_pass_and_none_leave_the_file(void **state)
{
	static const enum action leave[] = {ACTION_DENY, ACTION_PASS,
					    ACTION_NONE};
	struct sb_both b = sb_open(NULL);

	sb_puts(sb_path("f"), VIRUS);
	for (int i = 0; i < 3; i++) {
		run(&b, sb_path("f"), leave[i], ACTION_DELETE);
		assert_int_equal(got.done, leave[i]);
		assert_false(got.failed);
		assert_true(sb_is(sb_path("f"), VIRUS));
	}
	sb_close(&b);
}

static void what_could_not_be_done_says_why_and_stays_denied(void **state)
{
	struct sb_both b = sb_open(NULL);

	sb_puts(sb_path("f"), VIRUS);
	assert_int_equal(
		mount(NULL, sb_files, NULL, MS_REMOUNT | MS_RDONLY, NULL), 0);
	run(&b, sb_path("f"), ACTION_QUARANTINE, ACTION_DELETE);
	assert_int_equal(mount(NULL, sb_files, NULL, MS_REMOUNT, NULL), 0);
	assert_int_equal(got.done, ACTION_DENY);
	assert_true(got.failed);
	assert_non_null(strstr(got.detail, "quarantine: "));
	assert_non_null(strstr(got.detail, "delete: "));
	assert_non_null(strstr(got.detail, "Read-only"));
	assert_true(sb_is(sb_path("f"), VIRUS));
	sb_close(&b);
}

static void a_second_action_of_deny_is_no_failure(void **state)
{
	struct sb_both b = sb_open(NULL);

	sb_puts(sb_path("f"), VIRUS);
	assert_int_equal(
		mount(NULL, sb_files, NULL, MS_REMOUNT | MS_RDONLY, NULL), 0);
	run(&b, sb_path("f"), ACTION_DELETE, ACTION_DENY);
	assert_int_equal(mount(NULL, sb_files, NULL, MS_REMOUNT, NULL), 0);
	assert_int_equal(got.done, ACTION_DENY);
	assert_false(got.failed);
	assert_non_null(strstr(got.detail, "delete: "));
	sb_close(&b);
}

static void our_own_files_are_never_acted_upon(void **state)
{
	struct sb_both b = sb_open(NULL);
	char path[256];

	snprintf(path, sizeof(path), "%s/f", paths()->lib_dir);
	sb_puts(path, VIRUS);
	run(&b, path, ACTION_DELETE, ACTION_QUARANTINE);
	assert_int_equal(got.done, ACTION_DENY);
	assert_true(got.failed);
	assert_non_null(strstr(got.detail, "our own"));
	assert_true(sb_is(path, VIRUS));
	assert_true(action_is_own(path));
	assert_false(action_is_own("/var/library/x"));
	sb_close(&b);
}

static bool dead_at(int step, void (*fn)(void *arg), void *arg)
{
	struct sb_both b;
	struct err err;
	bool killed;

	sb_setup(NULL);
	sb_puts(sb_path("f"), VIRUS);
	killed = sb_killed_at(step, fn, arg);
	b = sb_open(NULL);
	assert_int_equal(quarantine_recover(b.q, &err), 0);
	assert_int_equal(sb_intents(b.store), 0);
	assert_int_equal(sb_count(sb_files, ".splx"), 0);
	sb_close(&b);
	return killed;
}

static void do_action(void *arg)
{
	struct sb_both b = sb_open(NULL);
	char detail[256];
	struct err err;
	int fd = open(sb_path("f"), O_RDONLY | O_CLOEXEC);
	struct quarantine_file file = sb_file(fd);

	if (*(enum action *)arg == ACTION_DELETE)
		action_delete(b.store, &file, detail, sizeof(detail), &err);
	else
		action_rename(b.store, &file, detail, sizeof(detail), &err);
}

static void killed_at_every_step_the_file_is_there_or_done(void **state)
{
	enum action action = ACTION_DELETE;

	for (int step = 1; dead_at(step, do_action, &action); step++)
		assert_int_equal(sb_count(sb_files, ""),
				 sb_is(sb_path("f"), VIRUS));
	assert_int_equal(sb_count(sb_files, ""), 0);
	action = ACTION_RENAME;
	for (int step = 1; dead_at(step, do_action, &action); step++)
		assert_int_equal(sb_is(sb_path("f"), VIRUS) +
					 sb_is(sb_path("f.infected"), VIRUS),
				 1);
	assert_true(sb_is(sb_path("f.infected"), VIRUS));
}

#define T(name) cmocka_unit_test_setup(name, sb_setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(quarantine_takes_the_file),
		T(delete_takes_this_name_alone),
		T(rename_never_replaces_and_is_done_once),
		T(a_name_as_long_as_can_be_is_renamed_too),
		T(what_cannot_be_cleaned_gets_the_second_action),
		T(deny_pass_and_none_leave_the_file),
		T(what_could_not_be_done_says_why_and_stays_denied),
		T(a_second_action_of_deny_is_no_failure),
		T(our_own_files_are_never_acted_upon),
		T(killed_at_every_step_the_file_is_there_or_done),
	};

	return cmocka_run_group_tests(tests, sb_group_setup, sb_group_teardown);
}
