/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/* Scans that take long: over a change of masters, and at low priority. */
#include "vsapi_bed.h"

/* An opener of that file, once a front worker scans it; *slot_r is its. */
static pid_t open_slow(const char *path, int *slot_r)
{
	pid_t pid = fork();

	if (pid == 0) {
		alarm(LIMIT_S);
		_exit(open(path, O_RDONLY) < 0);
	}
	assert_true(wait_until(front_scans, 20000));
	*slot_r = scanning_slot(SLOT_FRONT);
	assert_true(*slot_r >= 0);
	return pid;
}

static void replace_master(void)
{
	kill(master_pid, SIGKILL);
	reap(master_pid);
	start_master();
	wait_ready();
}

static void test_a_long_scan_outlives_its_master(void **state)
{
	const char *slow;
	pid_t pid;
	int slot;

	hup("RealtimeScan = 2\nScanTimeout = \"60s\"\nVerdictTimeout = "
	    "\"60s\"\n");
	slow = make_slow_of(prot, "slow.bin", 20);
	old_count = scoreboard_count(sb, COUNTER_WORKER_KILLED);
	pid = open_slow(slow, &slot);
	/* so that it takes longer than a new master needs to look at it */
	kill(atomic_load(&sb->slots[slot].pid), SIGSTOP);
	settle(1000);
	replace_master();
	settle(500);
	assert_false(killed_grew());
	kill(atomic_load(&sb->slots[slot].pid), SIGCONT);
	assert_int_equal(WEXITSTATUS(reap(pid)), 0);
	assert_false(killed_grew());
	unlink(slow);
}

static void test_who_died_with_the_master_is_answered_for_by_the_settings(
	void **state)
{
	uint64_t start;
	const char *slow;
	pid_t pid;
	int slot;

	hup("RealtimeScan = 2\nScanTimeout = \"60s\"\nVerdictTimeout = "
	    "\"60s\"\n");
	slow = make_slow_of(prot, "slow.bin", 20);
	pid = open_slow(slow, &slot);
	kill(master_pid, SIGSTOP);
	kill(atomic_load(&sb->slots[slot].pid), SIGKILL);
	start = clock_mono_ns();
	replace_master();
	assert_int_equal(WEXITSTATUS(reap(pid)), 0); /* OnError: allow */
	assert_true(clock_mono_ns() - start < 30 * CLOCK_NS_PER_S);
	unlink(slow);
}

static bool low_scans(void)
{
	return scanning_slot(SLOT_LOW) >= 0;
}

static bool no_low_worker(void)
{
	for (int i = 0; i < SCOREBOARD_SLOTS; i++)
		if (atomic_load(&sb->slots[i].role) == SLOT_LOW)
			return false;
	return true;
}

/* Scans one file at low priority. */
static pid_t scan_low(const char *path)
{
	struct scanclient *sc;
	struct err err;
	pid_t pid = fork();
	int fd;

	if (pid)
		return pid;
	alarm(90);
	memset(replies, 0, sizeof(replies));
	fd = open(path, O_RDONLY);
	sc = scanclient_open(paths()->low_sock, SOURCE_SCHEDULED, ACTION_NONE,
			     ACTION_NONE, on_reply, NULL, &err);
	if (!sc || scanclient_workers(sc) != 1)
		_exit(1);
	if (scanclient_put(sc, fd, path, SCANJOB_IGNORE_KNOWN, &err) ||
	    scanclient_drain(sc, &err))
		_exit(2);
	_exit(replies[VERDICT_ERROR] ? 3 : 0);
}

static void test_what_is_scanned_at_low_priority_may_take_long(void **state)
{
	struct file_key key;
	const char *slow;
	struct stat st;
	pid_t pid;
	int slot, fd;

	hup("RealtimeScan = 2\nScanTimeout = \"1s\"\n");
	old_count = scoreboard_count(sb, COUNTER_WORKER_KILLED);
	slow = make_slow_of(root, "slow.bin", 20);
	assert_true(no_low_worker());
	fd = open(slow, O_RDONLY | O_CLOEXEC);
	assert_int_equal(file_key_get(fd, &key, &st), 0);
	close(fd);
	pid = scan_low(slow);
	assert_true(wait_until(low_scans, 20000));
	slot = scanning_slot(SLOT_LOW);
	/* it gets no turn */
	kill(atomic_load(&sb->slots[slot].pid), SIGSTOP);
	settle(4000);
	assert_false(killed_grew());
	/* but there is an end, and it is not the file's fault */
	assert_true(wait_until(killed_grew, 20000));
	assert_int_equal(WEXITSTATUS(reap(pid)), 3);
	for (int i = 0; i < SCOREBOARD_POISON; i++)
		assert_false(atomic_load(&sb->poison[i].deaths) &&
			     file_key_same(&sb->poison[i].key, &key));
	assert_true(wait_until(no_low_worker, 20000));
	unlink(slow);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(test_a_long_scan_outlives_its_master),
		T(test_who_died_with_the_master_is_answered_for_by_the_settings),
		T(test_what_is_scanned_at_low_priority_may_take_long),
	};

	bed_args(argc, argv);
	return cmocka_run_group_tests(tests, setup_group, teardown_group);
}
