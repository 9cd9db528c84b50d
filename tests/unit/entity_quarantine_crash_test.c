/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/* A file is in its place or in the quarantine, whenever we die. */
#include "entity_quarantinebed.h"

#include "lib/clock.h"

#define STEPS_MAX 60

/*
 * The one promise: in place or in quarantine, not both and not neither; and
 * nothing of ours is left lying about.
 */
static void check_one_copy(const char *path, const char *content)
{
	struct sb_both b = sb_open(NULL);
	bool in_place = sb_is(path, content);
	int64_t items = sb_items(b.store);
	struct err err;

	assert_int_equal(quarantine_recover(b.q, &err), 0);
	assert_int_equal(items, sb_items(b.store));
	assert_int_equal(in_place + items, 1);
	assert_int_equal(sb_intents(b.store), 0);
	assert_int_equal(sb_count(sb_files, ".splx"), 0);
	assert_int_equal(sb_count(sb_files, ""), in_place);
	assert_int_equal(sb_count(paths()->quarantine_dir, ""), items);
	sb_close(&b);
}

static void restore_any(const char *path)
{
	struct sb_both b = sb_open(NULL);
	struct err err;

	/* Ids are given in order, so one of the first few hundred it is. */
	for (int64_t id = 1; id < 400 && sb_items(b.store); id++)
		restore(&b, id, path, false, &err);
	assert_true(sb_is(path, VIRUS));
	sb_close(&b);
}

static void killed_at_every_step_of_putting(void **state)
{
	struct kill_case k = {.path = sb_path("victim")};
	bool killed = true;
	int step;

	for (step = 1; killed; step++) {
		sb_setup(NULL);
		sb_puts(k.path, VIRUS);
		killed = sb_killed_at(step, do_put, &k);
		do_recover(NULL);
		check_one_copy(k.path, VIRUS);
		if (!sb_exists(k.path))
			restore_any(k.path);
	}
	assert_in_range(step, 10, STEPS_MAX);
}

static void killed_at_every_step_of_recovering_from_that(void **state)
{
	struct kill_case k = {.path = sb_path("victim")};
	bool killed = true, again;

	for (int step = 1; killed; step++) {
		again = true;
		for (int second = 1; again; second++) {
			sb_setup(NULL);
			sb_puts(k.path, VIRUS);
			killed = sb_killed_at(step, do_put, &k);
			again = sb_killed_at(second, do_recover, &k);
			do_recover(NULL);
			check_one_copy(k.path, VIRUS);
		}
	}
}

static void do_put_failing(void *arg)
{
	const struct kill_case *k = arg;
	struct sb_both b = sb_open(NULL);
	struct item item;
	struct err err;
	int fd;

	/* The sealed file cannot be made: undone after it was taken. */
	fd_mkdirs(paths()->quarantine_dir, 0700, &err);
	for (int id = 1; id < 9; id++) {
		char name[256];

		snprintf(name, sizeof(name), "%s/%d.tmp/x",
			 paths()->quarantine_dir, id);
		fd_mkdirs(name, 0700, &err);
	}
	fd = open(k->path, O_RDONLY);
	if (fd >= 0 && put(&b, k->path, &item, &err) == 0)
		_exit(3);
}

static void killed_at_every_step_of_undoing(void **state)
{
	struct kill_case k = {.path = sb_path("victim")};
	bool killed = true;

	for (int step = 1; killed; step++) {
		sb_setup(NULL);
		sb_puts(k.path, VIRUS);
		killed = sb_killed_at(step, do_put_failing, &k);
		sb_empty(paths()->quarantine_dir);
		do_recover(NULL);
		assert_true(sb_is(k.path, VIRUS));
		assert_int_equal(sb_count(sb_files, ""), 1);
	}
}

static void do_restore(void *arg)
{
	const struct kill_case *k = arg;
	struct sb_both b = sb_open(NULL);
	struct err err;

	if (restore(&b, k->id, k->to, false, &err) < 0)
		_exit(4);
}

static void killed_at_every_step_of_restoring(void **state)
{
	struct kill_case k = {.path = sb_path("victim"), .to = NULL};
	bool killed = true;
	struct sb_both b;
	int step;

	for (step = 1; killed; step++) {
		sb_setup(NULL);
		sb_puts(k.path, VIRUS);
		b = sb_open(NULL);
		k.id = put_well(&b, k.path);
		sb_close(&b);
		killed = sb_killed_at(step, do_restore, &k);
		do_recover(NULL);
		check_one_copy(k.path, VIRUS);
		if (!killed)
			assert_true(sb_is(k.path, VIRUS));
	}
	assert_in_range(step, 8, STEPS_MAX);
}

static void do_delete(void *arg)
{
	const struct kill_case *k = arg;
	struct sb_both b = sb_open(NULL);
	struct err err;

	if (quarantine_delete(b.q, k->id, &err) != 1)
		_exit(5);
}

static void killed_at_every_step_of_deleting(void **state)
{
	struct kill_case k = {.path = sb_path("victim")};
	bool killed = true;
	struct sb_both b;

	for (int step = 1; killed; step++) {
		sb_setup(NULL);
		sb_puts(k.path, VIRUS);
		b = sb_open(NULL);
		k.id = put_well(&b, k.path);
		sb_close(&b);
		killed = sb_killed_at(step, do_delete, &k);
		do_recover(NULL);
		b = sb_open(NULL);
		assert_int_equal(sb_intents(b.store), 0);
		assert_int_equal(sb_items(b.store),
				 sb_count(paths()->quarantine_dir, ""));
		sb_close(&b);
	}
}

/* At any instant, not only between our steps. */
static void killed_at_random_instants(void **state)
{
	const char *path = sb_path("victim");
	struct kill_case k = {.path = path};
	uint64_t start, whole_us;
	int in_place = 0;

	sb_puts(path, VIRUS);
	start = clock_mono_ns();
	sb_killed_at(0, do_put, &k);
	whole_us = (clock_mono_ns() - start) / 1000 + 1;
	for (int i = 0; i < 60; i++) {
		pid_t pid;

		sb_setup(NULL);
		sb_puts(path, VIRUS);
		pid = fork();
		if (pid == 0) {
			do_put(&k);
			_exit(0);
		}
		usleep((useconds_t)((uint64_t)random() % whole_us));
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		do_recover(NULL);
		in_place += sb_exists(path);
		check_one_copy(path, VIRUS);
	}
	print_message("%d of 60 in place\n", in_place);
}

static void recovery_gives_back_what_took_its_name_meanwhile(void **state)
{
	struct kill_case k = {.path = sb_path("victim")};
	struct sb_both b;
	int n = 0;

	for (int step = 1; sb_killed_at(step, do_put, &k); step++) {
		/* Killed with the file in hold; its name is used again. */
		if (!sb_exists(k.path))
			sb_puts(k.path, OTHER);
		do_recover(NULL);
		assert_true(sb_is(k.path, OTHER) || sb_is(k.path, VIRUS));
		b = sb_open(NULL);
		n = (int)sb_items(b.store) + sb_is(k.path, VIRUS) +
		    sb_is(sb_path("victim.splx-1"), VIRUS);
		assert_int_equal(n, 1);
		assert_int_equal(sb_count(sb_files, ".splx"), 0);
		sb_close(&b);
		sb_setup(NULL);
		sb_puts(k.path, VIRUS);
	}
}

static int put_first(void **state)
{
	sb_setup(state);
	sb_puts(sb_path("victim"), VIRUS);
	return 0;
}

static void an_intent_whose_place_is_gone_waits(void **state)
{
	struct kill_case k = {.path = sb_path("dir/victim")};
	struct sb_both b;
	struct err err;

	mkdir(sb_path("dir"), 0755);
	sb_puts(k.path, VIRUS);
	/* 4: taken, before it is looked at */
	assert_true(sb_killed_at(4, do_put, &k));
	assert_false(sb_exists(k.path));
	assert_int_equal(rename(sb_path("dir"), sb_path("away")), 0);
	b = sb_open(NULL);
	assert_int_equal(quarantine_recover(b.q, &err), 1);
	assert_int_equal(rename(sb_path("away"), sb_path("dir")), 0);
	assert_int_equal(quarantine_recover(b.q, &err), 0);
	assert_true(sb_is(k.path, VIRUS));
	sb_close(&b);
}

static void a_lost_index_is_made_anew_from_the_sealed_files(void **state)
{
	struct sb_both b = sb_open(NULL);
	struct item before, after;
	struct err err;
	int64_t id;

	sb_puts(sb_path("a"), VIRUS);
	sb_puts(sb_path("b"), OTHER);
	id = put_well(&b, sb_path("a"));
	put_well(&b, sb_path("b"));
	assert_int_equal(store_item_get(b.store, id, &before, &err), 1);
	sb_close(&b);
	unlink(paths()->store);
	unlink(sb_path("../root/var/lib/splx/splx.db-wal"));

	b = sb_open(NULL);
	assert_int_equal(quarantine_recover(b.q, &err), 0);
	assert_int_equal(sb_items(b.store), 2);
	assert_int_equal(store_item_get(b.store, id, &after, &err), 1);
	assert_string_equal(after.path, before.path);
	assert_string_equal(after.virus, before.virus);
	assert_string_equal(after.sha256, before.sha256);
	assert_int_equal(after.size, before.size);
	assert_int_equal(after.sealed, before.sealed);
	/* And no number is given twice. */
	sb_puts(sb_path("c"), VIRUS);
	assert_true(put_well(&b, sb_path("c")) > 2);
	assert_int_equal(restore(&b, id, NULL, false, &err), 0);
	assert_true(sb_is(sb_path("a"), VIRUS));
	sb_close(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(killed_at_every_step_of_putting),
		T(killed_at_every_step_of_recovering_from_that),
		T(killed_at_every_step_of_undoing),
		T(killed_at_every_step_of_restoring),
		T(killed_at_every_step_of_deleting),
		T(killed_at_random_instants),
		cmocka_unit_test_setup(
			recovery_gives_back_what_took_its_name_meanwhile,
			put_first),
		T(an_intent_whose_place_is_gone_waits),
		T(a_lost_index_is_made_anew_from_the_sealed_files),
	};

	return cmocka_run_group_tests(tests, sb_group_setup, sb_group_teardown);
}
