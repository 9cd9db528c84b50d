/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/* The whole of vsapiapp without entity; see vsapi_bed.h. */
#include "vsapi_bed.h"

/* What is over at once, on a machine that is busy with other things. */
#define MOMENT_NS (5 * CLOCK_NS_PER_S)

/* --- openers ------------------------------------------------------------- */

/* A process that opens an infected file all the time. */
static pid_t open_in_a_loop(const char *path)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	alarm(LIMIT_S);
	while (!atomic_load(&seen->stop)) {
		uint64_t start = clock_mono_ns(), ns;
		int fd = open(path, O_RDONLY);

		ns = clock_mono_ns() - start;
		if (fd >= 0) {
			atomic_fetch_add(&seen->through, 1);
			close(fd);
		}
		if (ns > atomic_load(&seen->longest_ns))
			atomic_store(&seen->longest_ns, ns);
		atomic_fetch_add(&seen->opens, 1);
	}
	_exit(0);
}

static void end_loop(pid_t pid)
{
	atomic_store(&seen->stop, 1);
	reap(pid);
}

static void assert_nothing_through(void)
{
	if (seen->through)
		fail_msg("%llu of %llu opens went through, longest wait "
			 "%llu ms, timeouts %llu crashes %llu gone %llu",
			 (unsigned long long)seen->through,
			 (unsigned long long)seen->opens,
			 (unsigned long long)(seen->longest_ns / 1000000),
			 (unsigned long long)scoreboard_count(
				 sb, COUNTER_POLICY_TIMEOUT),
			 (unsigned long long)scoreboard_count(
				 sb, COUNTER_POLICY_CRASH),
			 (unsigned long long)scoreboard_count(
				 sb, COUNTER_POLICY_GONE));
}

static bool generation_grew(void)
{
	return atomic_load(&sb->generation) > old_number;
}

static int32_t old_front[SCOREBOARD_SLOTS];
static void note_workers(void)
{
	int i;

	for (i = 0; i < SCOREBOARD_SLOTS; i++)
		old_front[i] = atomic_load(&sb->slots[i].role)
				       ? atomic_load(&sb->slots[i].pid)
				       : 0;
}

static bool old_workers_are_gone(void)
{
	int i, j;

	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
	for (i = 0; i < SCOREBOARD_SLOTS; i++)
		for (j = 0; j < SCOREBOARD_SLOTS; j++)
			if (old_front[i] &&
			    old_front[i] == atomic_load(&sb->slots[j].pid))
				return false;
	return true;
}

static bool told_patterns_broken(void)
{
	return told(20032);
}

static bool told_nothing(void)
{
	json_t *state = state_read(NULL);
	bool nothing =
		state && json_array_size(json_object_get(state, "errors")) == 0;

	json_decref(state);
	return nothing;
}

/* What serves is told a moment after it does. */
static bool told_armed(void)
{
	struct err err;
	json_t *state = state_read(&err);
	const char *name =
		json_string_value(json_object_get(state, "interceptor"));
	bool armed = name && !strcmp(name, "fanotify");

	json_decref(state);
	return armed;
}

static bool told_conf_broken(void)
{
	return told(20040);
}

/* --- the promises -------------------------------------------------------- */

static void test_an_infected_file_is_denied_and_a_clean_one_opens(void **state)
{
	json_t *st, *c, *found = NULL;
	struct err err;
	size_t i;

	assert_int_equal(opens(put_eicar(prot, "bad.com")), EPERM);
	write_file(in(prot, "fine"), "fine", 4);
	assert_int_equal(opens(in(prot, "fine")), 0);
	/* outside nothing is held */
	assert_int_equal(opens(put_eicar(root, "outside.com")), 0);

	wait_until(told_armed, 10000);
	wait_until(told_nothing, 10000);
	st = state_read(&err);
	assert_non_null(st);
	assert_string_equal(
		json_string_value(json_object_get(st, "interceptor")),
		"fanotify");
	json_array_foreach (json_object_get(st, "coverage"), i, c)
		if (!strcmp(json_string_value(json_object_get(c, "point")),
			    prot))
			found = c;
	assert_non_null(found);
	assert_true(json_is_true(json_object_get(found, "covered")));
	assert_true(json_is_true(
		json_object_get(json_object_get(st, "sandbox"), "seccomp")));
	assert_true(json_array_size(json_object_get(st, "reasons")) >= 1);
	json_decref(st);
}

static void test_a_reload_of_patterns_lets_nothing_through(void **state)
{
	pid_t loop = open_in_a_loop(put_eicar(prot, "bad.com"));
	int i;

	for (i = 0; i < 3; i++) {
		note_workers();
		old_number = atomic_load(&sb->generation);
		kill(master_pid, SIGUSR1);
		assert_true(wait_until(generation_grew, 20000));
		assert_true(wait_until(old_workers_are_gone, 10000));
	}
	end_loop(loop);
	assert_nothing_through();
	assert_true(seen->opens > 100);
	assert_true(seen->longest_ns < MOMENT_NS);
}

static void test_new_settings_let_nothing_through_and_take_hold(void **state)
{
	pid_t loop = open_in_a_loop(put_eicar(prot, "bad.com"));
	char exclude[256];

	note_workers();
	hup("MaxRecursion = 9\n");
	assert_true(wait_until(old_workers_are_gone, 10000));
	hup("RealtimeScan = 6\n");
	hup("PatternDirectory = {\"/nowhere\"}\n");
	end_loop(loop);
	assert_nothing_through();

	snprintf(exclude, sizeof(exclude), "ExcludeFile = {\"%s/bad.com\"}\n",
		 prot);
	hup(exclude);
	assert_int_equal(opens(in(prot, "bad.com")), 0);
	hup("");
	assert_int_equal(opens(in(prot, "bad.com")), EPERM);
}

static void test_broken_settings_and_patterns_leave_the_old_at_work(
	void **state)
{
	char dirs[PATH_MAX], db[PATH_MAX];
	uint64_t policy;

	snprintf(db, sizeof(db), "%s/broken.ndb", in(root, "db"));
	snprintf(dirs, sizeof(dirs), "PatternDirectory = {\"%s\"}\n",
		 in(root, "db"));
	assert_int_equal(mkdir(in(root, "db"), 0755), 0);
	hup(dirs);
	policy = atomic_load(&sb->policy_generation);
	put_eicar(prot, "bad.com");
	write_settings("NoSuchKey = 1\n");
	kill(master_pid, SIGHUP);
	assert_true(wait_until(told_conf_broken, 10000));
	assert_int_equal(atomic_load(&sb->policy_generation), policy);
	assert_int_equal(opens(in(prot, "bad.com")), EPERM);
	hup(dirs);
	assert_true(wait_until(told_nothing, 10000));

	write_file(db, "this is no signature\n", 21);
	kill(master_pid, SIGUSR1);
	assert_true(wait_until(told_patterns_broken, 20000));
	assert_int_equal(opens(in(prot, "bad.com")), EPERM);
	unlink(db);
	old_number = atomic_load(&sb->generation);
	kill(master_pid, SIGUSR1);
	assert_true(wait_until(generation_grew, 20000));
	assert_true(wait_until(told_nothing, 10000));
	assert_int_equal(opens(in(prot, "bad.com")), EPERM);
	hup("");
}

static bool crashes_grew(void)
{
	return scoreboard_count(sb, COUNTER_POLICY_CRASH) > old_count;
}

static bool is_poison(void)
{
	return scoreboard_count(sb, COUNTER_POLICY_POISON) >= 1;
}

static void test_a_worker_killed_in_its_scan_costs_one_policy_answer(
	void **state)
{
	uint64_t crashes = scoreboard_count(sb, COUNTER_POLICY_CRASH);
	const char *slow;
	int i;

	/* opens alone: else closing it after writing would have it scanned */
	hup("RealtimeScan = 2\nScanTimeout = \"30s\"\nVerdictTimeout = "
	    "\"9s\"\n");
	slow = make_slow("slow.bin");
	for (i = 0; i < 2; i++) {
		uint64_t start;
		int status, slot;
		pid_t pid = fork();

		if (pid == 0) {
			alarm(30);
			_exit(open(slow, O_RDONLY) < 0);
		}
		assert_true(wait_until(front_scans, 20000));
		slot = scanning_slot(SLOT_FRONT);
		assert_true(slot >= 0);
		start = clock_mono_ns();
		kill(atomic_load(&sb->slots[slot].pid), SIGKILL);
		status = reap(pid);
		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), 0); /* OnError: allow */
		assert_true(clock_mono_ns() - start < MOMENT_NS);
		old_count = crashes + (uint64_t)i;
		assert_true(wait_until(crashes_grew, 10000));
	}
	/* it has killed twice: not fed again */
	assert_int_equal(opens(slow), 0);
	assert_true(wait_until(is_poison, 10000));
	/* and everything else is served */
	assert_int_equal(opens(put_eicar(prot, "bad.com")), EPERM);
	unlink(slow);
}

static void test_a_scan_past_its_limit_costs_one_worker(void **state)
{
	const char *slow;
	uint64_t start;
	pid_t pid;
	int slot;

	old_count = scoreboard_count(sb, COUNTER_WORKER_KILLED);
	hup("RealtimeScan = 2\nScanTimeout = \"1s\"\n");
	slow = make_slow("slow.bin");
	pid = fork();
	if (pid == 0) {
		alarm(30);
		_exit(open(slow, O_RDONLY) < 0);
	}
	assert_true(wait_until(front_scans, 20000));
	slot = scanning_slot(SLOT_FRONT);
	/* the engine cannot look at its own clock now */
	kill(atomic_load(&sb->slots[slot].pid), SIGSTOP);
	start = clock_mono_ns();
	assert_int_equal(WEXITSTATUS(reap(pid)), 0);
	/* sooner than VerdictTimeout would have been */
	assert_true(clock_mono_ns() - start < 8 * CLOCK_NS_PER_S);
	assert_true(wait_until(killed_grew, 10000));
	assert_int_equal(opens(put_eicar(prot, "bad.com")), EPERM);
	unlink(slow);
}

static pid_t generation_of_master(void)
{
	char path[64], text[256];
	FILE *f;
	int pid = 0;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", master_pid,
		 master_pid);
	f = fopen(path, "re");
	if (f && fgets(text, sizeof(text), f))
		pid = atoi(text);
	if (f)
		fclose(f);
	return pid;
}

static void test_a_killed_generation_is_replaced_and_lets_nothing_through(
	void **state)
{
	pid_t loop = open_in_a_loop(put_eicar(prot, "bad.com"));
	pid_t gen;

	settle(300);
	gen = generation_of_master();
	assert_true(gen > 1);
	old_number = atomic_load(&sb->generation);
	note_workers();
	kill(gen, SIGKILL);
	assert_true(wait_until(generation_grew, 20000));
	assert_true(wait_until(old_workers_are_gone, 10000));
	end_loop(loop);
	assert_nothing_through();
	assert_true(seen->longest_ns < MOMENT_NS);
}

static void test_a_killed_master_leaves_its_workers_until_the_next(void **state)
{
	pid_t loop = open_in_a_loop(put_eicar(prot, "bad.com"));

	settle(300);
	note_workers();
	kill(master_pid, SIGKILL);
	reap(master_pid);
	settle(1000);
	start_master();
	wait_ready();
	assert_true(wait_until(old_workers_are_gone, 10000));
	settle(300);
	end_loop(loop);
	assert_nothing_through();
	assert_true(seen->opens > 100);
	assert_int_equal(opens(in(prot, "bad.com")), EPERM);
}

static const char *where;
static bool is_blocked_there(void)
{
	int fd;

	unlink(in(where, "bad.com"));
	fd = open(in(where, "bad.com"), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	if (fd >= 0) {
		fd_write_all(fd, eicar, strlen(eicar));
		close(fd);
	}
	return opens(in(where, "bad.com")) == EPERM;
}

/* A worker that looks at a file of it keeps it for a moment. */
static bool is_unmounted(void)
{
	return umount(where) == 0;
}

static void test_a_new_mount_below_include_is_followed(void **state)
{
	char at[128];

	snprintf(at, sizeof(at), "%s/later", prot);
	mkdir(at, 0755);
	assert_int_equal(mount("later", at, "tmpfs", 0, "size=4M"), 0);
	where = at;
	assert_true(wait_until(is_blocked_there, 10000));
	assert_true(wait_until(is_unmounted, 10000));
}

static void test_a_mount_in_another_namespace_is_followed(void **state)
{
	char at[128];
	pid_t pid;

	snprintf(at, sizeof(at), "%s/other", prot);
	mkdir(at, 0755);
	pid = fork();
	if (pid == 0) {
		alarm(30);
		if (unshare(CLONE_NEWNS) ||
		    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
		    mount("other", at, "tmpfs", 0, "size=4M"))
			_exit(2);
		where = at;
		_exit(wait_until(is_blocked_there, 10000) ? 0 : 1);
	}
	assert_int_equal(WEXITSTATUS(reap(pid)), 0);
	assert_int_equal(opens(put_eicar(at, "x")), EPERM);
}

static void test_an_included_mount_that_goes_does_not_mark_what_is_below(
	void **state)
{
	char at[128], extra[256];

	snprintf(at, sizeof(at), "%s/second", root);
	mkdir(at, 0755);
	assert_int_equal(mount("second", at, "tmpfs", 0, "size=4M"), 0);
	snprintf(extra, sizeof(extra), "Include = {\"%s\", \"%s\"}\n", prot,
		 at);
	write_file(paths()->active_conf, "", 0);
	{
		char text[1024];

		snprintf(text, sizeof(text), "%sScanUser = \"" SCAN_UID "\"\n",
			 extra);
		write_file(paths()->active_conf, text, strlen(text));
	}
	old_number = atomic_load(&sb->policy_generation);
	kill(master_pid, SIGHUP);
	assert_true(wait_until(policy_grew, 10000));
	assert_int_equal(opens(put_eicar(at, "bad.com")), EPERM);
	where = at;
	assert_true(wait_until(is_unmounted, 10000));
	settle(300);
	assert_int_equal(opens(put_eicar(root, "not-covered.com")), 0);
	rmdir(at);
}

/* The third request of the job. */
static int slow_slot;
static bool the_slow_one_is_scanned(void)
{
	slow_slot = scanning_slot(SLOT_BACK);
	return slow_slot >= 0 &&
	       atomic_load(&sb->slots[slow_slot].job_request) == 3;
}

static void test_scan_jobs_are_served_and_a_dead_worker_is_answered_for(
	void **state)
{
	struct scanclient *sc;
	struct err err;
	pid_t pid;
	int fd;

	memset(replies, 0, sizeof(replies));
	put_eicar(root, "job.com");
	write_file(in(root, "job.txt"), "fine", 4);
	hup("RealtimeScan = 2\n");
	make_slow("slow.bin");
	pid = fork();
	if (pid == 0) {
		alarm(60);
		sc = scanclient_open(paths()->scan_sock, SOURCE_MANUAL,
				     ACTION_NONE, ACTION_NONE, on_reply, NULL,
				     &err);
		if (!sc)
			_exit(1);
		fd = open(in(root, "job.com"), O_RDONLY);
		if (scanclient_put(sc, fd, "job.com", 0, &err))
			_exit(2);
		fd = open(in(root, "job.txt"), O_RDONLY);
		if (scanclient_put(sc, fd, "job.txt", 0, &err) ||
		    scanclient_drain(sc, &err))
			_exit(3);
		if (replies[VERDICT_INFECTED] != 1 ||
		    replies[VERDICT_CLEAN] != 1)
			_exit(4);
		/* by a descriptor that nobody was asked about */
		fd = open(in(prot, "slow.bin"), O_PATH);
		hup("Interceptor = \"off\"\n");
		fd = open(in(prot, "slow.bin"), O_RDONLY);
		if (scanclient_put(sc, fd, "slow", 0, &err) ||
		    scanclient_drain(sc, &err))
			_exit(5);
		_exit(replies[VERDICT_ERROR] == 1 ? 0 : 6);
	}
	assert_true(wait_until(the_slow_one_is_scanned, 20000));
	kill(atomic_load(&sb->slots[slow_slot].pid), SIGKILL);
	assert_int_equal(WEXITSTATUS(reap(pid)), 0);
	unlink(in(prot, "slow.bin"));
}

static bool master_ended(void)
{
	int status;

	if (master_pid <= 0)
		return true;
	if (waitpid(master_pid, &status, WNOHANG) != master_pid)
		return false;
	master_pid = 0;
	if (!WIFEXITED(status))
		fail_msg("the master ended by signal %d", WTERMSIG(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	return true;
}

static uint64_t old_known, old_remembered;
static bool known_grew(void)
{
	return scoreboard_count(sb, COUNTER_ALLOWED_KNOWN) > old_known;
}

static bool remembered_grew(void)
{
	return scoreboard_count(sb, COUNTER_REMEMBERED) > old_remembered;
}

static void test_a_stop_is_quick_and_leaves_nothing(void **state)
{
	struct stat st;

	need_disk();
	unlink(in(prot, "fine"));
	write_file(in(prot, "fine"), "fine", 4);
	settle(100);
	old_remembered = scoreboard_count(sb, COUNTER_REMEMBERED);
	assert_int_equal(opens(in(prot, "fine")), 0);
	assert_true(wait_until(remembered_grew, 10000));
	put_eicar(prot, "bad.com");
	kill(master_pid, SIGTERM);
	assert_true(wait_until(master_ended, 20000));
	assert_true(no_workers());
	assert_int_equal(opens(in(prot, "bad.com")), 0);
	assert_int_equal(stat(paths()->verdicts, &st), 0);
	assert_int_not_equal(stat(paths()->scan_sock, &st), 0);

	/* and the next one trusts no disk that may have been elsewhere */
	old_known = scoreboard_count(sb, COUNTER_ALLOWED_KNOWN);
	start_master();
	wait_ready();
	assert_int_equal(opens(in(prot, "fine")), 0);
	settle(200);
	assert_false(known_grew());
	assert_int_equal(opens(in(prot, "bad.com")), EPERM);
}

/* Whoever is in a hurry: it ends as it should all the same. */
static void test_a_stop_that_is_asked_for_all_the_time_is_a_whole_one(
	void **state)
{
	static const int signals[] = {SIGTERM, SIGHUP, SIGUSR1, SIGINT};
	uint64_t start = clock_mono_ns();
	struct stat st;

	unlink(paths()->verdicts);
	for (int i = 0; !master_ended(); i++) {
		if (clock_mono_ns() - start > 20 * CLOCK_NS_PER_S)
			fail_msg("the master does not end");
		kill(master_pid, signals[i % 4]);
		if (i % 1000 == 0)
			pump_log();
	}
	assert_true(no_workers());
	assert_int_equal(stat(paths()->verdicts, &st), 0);
	assert_int_not_equal(stat(paths()->scan_sock, &st), 0);
}

static int stopped_slot;
static bool the_stopped_one_is_gone(void)
{
	return atomic_load(&sb->slots[stopped_slot].pid) !=
	       old_front[stopped_slot];
}

static void test_a_worker_that_shows_no_life_is_replaced(void **state)
{
	uint64_t crashes = scoreboard_count(sb, COUNTER_WORKER_CRASHES);
	int slot;

	for (slot = 0; atomic_load(&sb->slots[slot].role) != SLOT_FRONT;)
		slot++;
	note_workers();
	stopped_slot = slot;
	kill(atomic_load(&sb->slots[slot].pid), SIGSTOP);
	assert_true(wait_until(the_stopped_one_is_gone, 40000));
	assert_true(scoreboard_count(sb, COUNTER_WORKER_CRASHES) >= crashes);
	assert_int_equal(opens(put_eicar(prot, "bad.com")), EPERM);
}

/* A worker can write its own slot: that shall not make it forgotten. */
static struct proc_id hidden;
static bool the_hidden_one_has_ended(void)
{
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
	return !proc_alive(&hidden);
}

static void test_a_worker_that_hides_is_replaced(void **state)
{
	int slot;

	for (slot = 0; atomic_load(&sb->slots[slot].role) != SLOT_FRONT;)
		slot++;
	hidden.pid = atomic_load(&sb->slots[slot].pid);
	hidden.start = atomic_load(&sb->slots[slot].start);
	note_workers();
	stopped_slot = slot;
	atomic_store(&sb->slots[slot].role, SLOT_UNUSED);
	assert_true(wait_until(the_stopped_one_is_gone, 20000));
	assert_true(wait_until(the_hidden_one_has_ended, 5000));
	assert_int_equal(opens(put_eicar(prot, "bad.com")), EPERM);
}

static void test_started_by_hand_it_says_so(void **state)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		close_range(3, ~0u, 0);
		dup2(open("/dev/null", O_WRONLY), STDERR_FILENO);
		execl(program, "vsapiapp", (char *)NULL);
		_exit(127);
	}
	status = reap(pid);
	assert_int_equal(WEXITSTATUS(status), 1);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(test_an_infected_file_is_denied_and_a_clean_one_opens),
		T(test_a_reload_of_patterns_lets_nothing_through),
		T(test_new_settings_let_nothing_through_and_take_hold),
		T(test_broken_settings_and_patterns_leave_the_old_at_work),
		T(test_a_worker_killed_in_its_scan_costs_one_policy_answer),
		T(test_a_scan_past_its_limit_costs_one_worker),
		T(test_a_killed_generation_is_replaced_and_lets_nothing_through),
		T(test_a_killed_master_leaves_its_workers_until_the_next),
		T(test_a_new_mount_below_include_is_followed),
		T(test_a_mount_in_another_namespace_is_followed),
		T(test_an_included_mount_that_goes_does_not_mark_what_is_below),
		T(test_scan_jobs_are_served_and_a_dead_worker_is_answered_for),
		T(test_a_worker_that_shows_no_life_is_replaced),
		T(test_a_worker_that_hides_is_replaced),
		T(test_a_stop_is_quick_and_leaves_nothing),
		T(test_a_stop_that_is_asked_for_all_the_time_is_a_whole_one),
		cmocka_unit_test(test_started_by_hand_it_says_so),
	};

	bed_args(argc, argv);
	return cmocka_run_group_tests(tests, setup_group, teardown_group);
}
