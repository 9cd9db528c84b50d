// SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
/* Front workers: the verdict path, findings, beginning and end. */
#include "vsapi_workerbed.h"

#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

/* ---- the verdict path ---- */

static void infected_is_denied_and_clean_is_allowed(void **state)
{
	struct finding f;
	char link[64];
	int fd;

	start_front(2);
	put_text(in_fs("clean"), "nothing to see\n");
	put_text(in_fs("bad"), marker());
	assert_int_equal(try_open(in_fs("clean")), 0);
	assert_int_equal(try_open(in_fs("bad")), EPERM);
	assert_true(next_finding(&f, &fd));
	assert_string_equal(f.virus, "Splx.Test.Marker");
	assert_string_equal(f.path, in_fs("bad"));
	assert_int_equal(f.verdict, VERDICT_INFECTED);
	assert_int_equal(f.source, SOURCE_OPEN);
	assert_int_equal(f.denied, 1);
	assert_int_equal(f.late, 0);
	assert_int_equal(f.first_action, ACTION_QUARANTINE);
	assert_int_equal(f.second_action, ACTION_DENY);
	/* The descriptor is the very file. */
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	assert_true(fd >= 0);
	close(fd);
	expect_count(COUNTER_DENIED_INFECTED, 1);
	expect_count(COUNTER_ALLOWED_CLEAN, 1);
	/* Ours, while the files were written, among them. */
	expect_count(COUNTER_ALLOWED_EXEMPT, 2);
	expect_count(COUNTER_QUESTIONS, 4);
}

static void every_test_file_is_scanned_behind_the_walls(void **state)
{
	uint64_t questions;

	/* Shows that seccomp allows all that the unpackers call. */
	start_front(2);
	run("cp %s/* %s && cp /bin/bash /usr/share/doc/libc6/* %s", TESTFILES,
	    fs, fs);
	run("cd %s && for t in gzip bzip2 xz; do $t -k bash; done && "
	    "tar cf t.tar bash && printf '<html>%%s</html>' x >h.html && "
	    "python3 -c 'import zipfile as z,os;a=z.ZipFile(\"z.zip\",\"w\",8)"
	    ";[a.writestr(str(i),os.urandom(5000)) for i in range(50)]'",
	    fs);
	questions = count(COUNTER_QUESTIONS);
	run("cat %s/* >/dev/null 2>&1 || true", fs);
	assert_true(count(COUNTER_QUESTIONS) > questions + 44);
	expect_count(COUNTER_POLICY_ERROR, 0);
	assert_true(count(COUNTER_DENIED_INFECTED) >= 44);
	for (int i = 0; i < SCOREBOARD_SLOTS; i++)
		if (workers[i].pid > 0)
			assert_int_equal(waitpid(workers[i].pid, NULL, WNOHANG),
					 0);
}

static void many_openers_cause_one_scan(void **state)
{
	pid_t openers[12];
	uint64_t scans;

	start_front(4);
	put_slow(in_fs("slow"), 6, false);
	usleep(100000); /* just written it would be scanned for the later ones
			 */
	scans = count(COUNTER_SCANS);
	for (int i = 0; i < 12; i++)
		openers[i] = open_later(in_fs("slow"), O_RDONLY);
	for (int i = 0; i < 12; i++)
		assert_int_equal(result_of(openers[i]), 0);
	expect_count(COUNTER_SCANS, scans + 1);
	expect_count(COUNTER_COALESCED, 11);
	put_slow(in_fs("slow2"), 6, true);
	for (int i = 0; i < 12; i++)
		openers[i] = open_later(in_fs("slow2"), O_RDONLY);
	for (int i = 0; i < 12; i++)
		assert_int_equal(result_of(openers[i]), EPERM);
	expect_count(COUNTER_SCANS, scans + 2);
	expect_count(COUNTER_DENIED_INFECTED, 12);
}

static int parked(void)
{
	int n = 0;

	for (int i = 0; i < SCOREBOARD_SLOTS; i++)
		for (int h = 0; h < SLOT_NUMBERS; h++)
			n += atomic_load(&sb->holds[i][h].state) == HOLD_PARKED;
	return n;
}

static void parked_openers_survive_their_scanner(void **state)
{
	pid_t first, others[5];
	uint64_t scans;
	int slot;

	start_front(3);
	put_slow(in_fs("slow"), 12, true);
	scans = count(COUNTER_SCANS);
	first = open_later(in_fs("slow"), O_RDONLY);
	wait_until(scanning_slot() >= 0);
	slot = scanning_slot();
	for (int i = 0; i < 5; i++)
		others[i] = open_later(in_fs("slow"), O_RDONLY);
	wait_until(parked() == 5);
	kill(workers[slot].pid, SIGKILL);
	assert_true(WIFSIGNALED(bury(slot)));
	/* Policy for the one, a true verdict for the others. */
	assert_int_equal(result_of(first), 0);
	for (int i = 0; i < 5; i++)
		assert_int_equal(result_of(others[i]), EPERM);
	expect_count(COUNTER_SCANS, scans + 1);
	expect_count(COUNTER_POLICY_CRASH, 1);
}

static void a_file_that_ended_two_workers_is_not_fed(void **state)
{
	struct file_key key;
	struct stat st;
	int fd;

	set("OnError", "deny");
	start_front(1);
	put_text(in_fs("f"), "deadly");
	fd = open(in_fs("f"), O_RDONLY);
	assert_int_equal(file_key_get(fd, &key, &st), 0);
	close(fd);
	sb->poison[3].key = key;
	atomic_store(&sb->poison[3].deaths, 1);
	assert_int_equal(try_open(in_fs("f")), 0);
	atomic_store(&sb->poison[3].deaths, 2);
	assert_int_equal(try_open(in_fs("f")), EPERM);
	expect_count(COUNTER_POLICY_POISON, 1);
}

static void a_finding_after_the_timeout_is_late(void **state)
{
	struct finding f;
	pid_t opener;
	int slot;

	start_front(1);
	put_slow(in_fs("slow"), 8, true);
	opener = open_later(in_fs("slow"), O_RDONLY);
	wait_until((slot = scanning_slot()) >= 0);
	/* What a guard does. */
	for (int h = 0; h < SLOT_NUMBERS; h++) {
		struct hold *hold = &sb->holds[slot][h];
		uint32_t expected = HOLD_SCANNING;

		if (!atomic_compare_exchange_strong(&hold->state, &expected,
						    HOLD_ANSWERED))
			continue;
		assert_int_equal(
			fangroup_answer(group, slot_number(slot) + h, true), 0);
	}
	assert_int_equal(result_of(opener), 0);
	expect_finding(&f);
	assert_int_equal(f.late, 1);
	assert_int_equal(f.denied, 0);
	/* The number is free again. */
	wait_until(atomic_load(&sb->holds[slot][0].state) == HOLD_FREE);
	assert_int_equal(try_open(in_fs("slow")), EPERM);
	expect_count(COUNTER_FINDINGS_LATE, 1);
}

static void policies_decide_where_no_verdict_is(void **state)
{
	set("MaxFileSize", "64K");
	set("OnOversize", "deny");
	set("OnEncrypted", "deny");
	start_front(1);
	run("head -c 100000 /dev/zero >%s", in_fs("big"));
	assert_int_equal(try_open(in_fs("big")), EPERM);
	expect_count(COUNTER_POLICY_OVERSIZE, 1);
	run("cd %s && python3 -c 'import zipfile as z\n"
	    "a=z.ZipFile(\"enc.zip\",\"w\");a.writestr(\"f\",b\"x\"*200)\n"
	    "a.close();d=bytearray(open(\"enc.zip\",\"rb\").read())\n"
	    "d[6]|=1;d[d.find(b\"PK\\1\\2\")+8]|=1\n"
	    "open(\"enc2.zip\",\"wb\").write(d)'",
	    fs);
	assert_int_equal(try_open(in_fs("enc2.zip")), EPERM);
	expect_count(COUNTER_POLICY_ENCRYPTED, 1);
}

/* Lets a traced worker go on until it is about to write something. */
static void go_on_until_it_writes(pid_t worker)
{
	struct __ptrace_syscall_info info = {0};
	int status;

	do {
		assert_int_equal(ptrace(PTRACE_SYSCALL, worker, 0, 0), 0);
		assert_int_equal(waitpid(worker, &status, 0), worker);
		assert_true(WIFSTOPPED(status));
		assert_true(ptrace(PTRACE_GET_SYSCALL_INFO, worker,
				   sizeof(info), &info) > 0);
	} while (info.op != PTRACE_SYSCALL_INFO_ENTRY ||
		 info.entry.nr != SYS_write);
}

static void an_opener_does_not_wait_for_the_statistics(void **state)
{
	int slot = start_worker(SLOT_FRONT), status;
	struct slot *s = &sb->slots[slot];
	pid_t worker = workers[slot].pid, opener;

	put_text(in_fs("f"), "nothing to see\n");
	assert_int_equal(ptrace(PTRACE_SEIZE, worker, 0, PTRACE_O_TRACESYSGOOD),
			 0);
	assert_int_equal(ptrace(PTRACE_INTERRUPT, worker, 0, 0), 0);
	assert_int_equal(waitpid(worker, &status, 0), worker);
	opener = open_later(in_fs("f"), O_RDONLY);
	go_on_until_it_writes(worker);
	assert_int_equal(count(COUNTER_SCANS), 0);
	assert_int_equal(atomic_load(&s->sample_next), 0);
	assert_int_equal(hist_count(&s->scan), 0);
	assert_int_equal(ptrace(PTRACE_DETACH, worker, 0, 0), 0);
	assert_int_equal(result_of(opener), 0);
	expect_count(COUNTER_SCANS, 1);
	wait_until(atomic_load(&s->samples[0].seq) == 2);
	assert_string_equal(s->samples[0].path, in_fs("f"));
	assert_int_equal(s->samples[0].pid, opener);
	assert_true(s->samples[0].wait_ns >= s->samples[0].scan_ns);
	assert_int_equal(hist_count(&s->scan), 1);
}

/* What a master does with what it is told. */
static void keep_what_is_told(int slot)
{
	struct work_msg msg;

	settle();
	while (poll(&(struct pollfd){.fd = workers[slot].sock,
				     .events = POLLIN},
		    1, 0) > 0 &&
	       message_of(slot, &msg, NULL))
		if (msg.kind == WORK_REMEMBER)
			known_put(known, &msg.key, msg.epoch);
}

/* There a write through a mapping moves none of the file's times. */
static void what_is_in_memory_is_scanned_at_each_open(void **state)
{
	const char *path = in_fs("mapped");
	uint64_t scans;
	char *at;
	int fd, slot = start_worker(SLOT_FRONT);

	put_text(path, "This is fine, and long enough for what comes later.");
	settle();
	scans = count(COUNTER_SCANS);
	assert_int_equal(try_open(path), 0);
	keep_what_is_told(slot);
	assert_int_equal(try_open(path), 0);
	expect_count(COUNTER_SCANS, scans + 2);
	fd = open(path, O_RDWR);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, 4096), 0);
	at = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	settle();
	assert_int_equal(try_open(path), 0);
	keep_what_is_told(slot);
	memcpy(at, marker(), strlen(marker()));
	munmap(at, 4096);
	assert_int_equal(try_open(path), EPERM);
}

/* The master ends a worker that shows none for seconds and scans nothing. */
static void a_worker_shows_life_between_two_scans(void **state)
{
	_Atomic uint64_t *scanning;
	pid_t openers[2];
	uint64_t first;
	int slot;

	slot = start_worker(SLOT_FRONT);
	scanning = &sb->slots[slot].scan_start_ns;
	put_slow(in_fs("slow1"), 4, false);
	put_slow(in_fs("slow2"), 4, false);
	kill(workers[slot].pid, SIGSTOP);
	openers[0] = open_later(in_fs("slow1"), O_RDONLY);
	openers[1] = open_later(in_fs("slow2"), O_RDONLY);
	settle(); /* both are taken in one turn */
	kill(workers[slot].pid, SIGCONT);
	wait_until((first = atomic_load(scanning)) != 0);
	wait_until(atomic_load(scanning) > first);
	assert_true(atomic_load(&sb->slots[slot].beat_ns) > first);
	assert_int_equal(result_of(openers[0]), 0);
	assert_int_equal(result_of(openers[1]), 0);
}

static void pass_allows_and_reports(void **state)
{
	struct finding f;

	set("FirstAction", "pass");
	start_front(1);
	put_text(in_fs("bad"), marker());
	assert_int_equal(try_open(in_fs("bad")), 0);
	expect_finding(&f);
	assert_int_equal(f.denied, 0);
	assert_int_equal(f.first_action, ACTION_PASS);
	expect_count(COUNTER_ALLOWED_PASS, 1);
}

static void a_restored_file_passes_without_a_word(void **state)
{
	struct file_key key;
	struct stat st;
	int fd;

	start_front(1);
	put_text(in_fs("bad"), marker());
	fd = open(in_fs("bad"), O_RDONLY);
	assert_int_equal(file_key_get(fd, &key, &st), 0);
	close(fd);
	pass_put(sb, &key);
	assert_int_equal(try_open(in_fs("bad")), 0);
	expect_count(COUNTER_ALLOWED_PASS, 1);
	expect_count(COUNTER_FINDINGS, 0);
	pass_drop(sb, &key);
	assert_int_equal(try_open(in_fs("bad")), EPERM);
}

static void exclusions_hold_and_exempt_processes_are_let_through(void **state)
{
	char list[128];

	snprintf(list, sizeof(list), "{\"%s/out\"}", fs);
	set("ExcludeDirectory", list);
	start_front(1);
	mkdir(in_fs("out"), 0755);
	put_text(in_fs("out/bad"), marker());
	put_text(in_fs("bad"), marker());
	assert_int_equal(try_open(in_fs("out/bad")), 0);
	assert_int_equal(try_open(in_fs("bad")), EPERM);
	expect_count(COUNTER_ALLOWED_EXCLUDED, 1);
	/* This process is exempt; or it would wait for itself. */
	close(open(in_fs("bad"), O_RDONLY));
	assert_true(count(COUNTER_ALLOWED_EXEMPT) > 0);
}

static void openers_are_judged_by_path_where_that_is_asked_for(void **state)
{
	char list[128];

	snprintf(list, sizeof(list), "{\"%s/in\"}", fs);
	set("Include", list);
	atomic_store(&sb->path_filter, 1);
	start_front(1);
	mkdir(in_fs("in"), 0755);
	put_text(in_fs("in/bad"), marker());
	put_text(in_fs("bad"), marker());
	assert_int_equal(try_open(in_fs("in/bad")), EPERM);
	assert_int_equal(try_open(in_fs("bad")), 0);
	atomic_store(&sb->path_filter, 0);
	assert_int_equal(try_open(in_fs("bad")), EPERM);
}

static void programs_are_excluded_by_the_masters_word(void **state)
{
	struct pollfd p = {.events = POLLIN};
	struct work_msg msg;
	uint64_t start;
	pid_t opener;
	int slot;

	set("ExcludeExecutable", "{\"/bin/true\"}");
	slot = start_worker(SLOT_FRONT);
	p.fd = workers[slot].sock;
	put_text(in_fs("bad"), marker());
	opener = open_later(in_fs("bad"), O_RDONLY);
	assert_true(message_of(slot, &msg, NULL));
	assert_int_equal(msg.kind, WORK_ASK_EXE);
	assert_int_equal(msg.pid, opener);
	msg.kind = WORK_EXE;
	msg.job = 1;
	assert_int_equal(
		fd_send(workers[slot].sock, &msg, sizeof(msg), NULL, 0, 0), 0);
	assert_int_equal(result_of(opener), 0);
	/* A master that says nothing costs 200 ms, then it is scanned, and
	 * the master is left alone for a while. */
	start = clock_mono_ns();
	assert_int_equal(try_open(in_fs("bad")), EPERM);
	assert_true(clock_mono_ns() - start < 5 * CLOCK_NS_PER_S);
	assert_true(message_of(slot, &msg, NULL));
	assert_int_equal(msg.kind, WORK_ASK_EXE);
	assert_int_equal(try_open(in_fs("bad")), EPERM);
	assert_int_equal(poll(&p, 1, 0), 0);
}

static void what_is_no_file_never_hangs_anybody(void **state)
{
	pid_t reader, writer;

	start_front(1);
	mkfifo(in_fs("pipe"), 0666);
	mknod(in_fs("null"), S_IFCHR | 0666, makedev(1, 3));
	reader = open_later(in_fs("pipe"), O_RDONLY);
	writer = open_later(in_fs("pipe"), O_WRONLY);
	assert_int_equal(result_of(reader), 0);
	assert_int_equal(result_of(writer), 0);
	result_of(open_later(in_fs("null"), O_RDONLY));
	assert_int_equal(symlink("nowhere", in_fs("dangling")), 0);
	assert_int_equal(try_open(in_fs("dangling")), ENOENT);
	assert_int_equal(try_open(fs), 0);
	put_text(in_fs("empty"), "");
	assert_int_equal(try_open(in_fs("empty")), 0);
}

static void a_write_lease_does_not_stall_a_worker(void **state)
{
	pid_t holder, opener;
	int ready[2];
	char c;

	start_front(1);
	put_text(in_fs("leased"), "text");
	put_text(in_fs("other"), "text");
	assert_int_equal(pipe(ready), 0);
	holder = fork();
	if (holder == 0) {
		int fd = open(in_fs("leased"), O_RDWR);

		signal(SIGIO, SIG_IGN);
		fcntl(fd, F_SETLEASE, F_WRLCK);
		if (write(ready[1], "x", 1) != 1)
			_exit(1);
		sleep(3);
		_exit(0);
	}
	assert_int_equal(read(ready[0], &c, 1), 1);
	opener = open_later(in_fs("leased"), O_RDONLY | O_NONBLOCK);
	result_of(opener);
	assert_int_equal(try_open(in_fs("other")), 0);
	kill(holder, SIGKILL);
	waitpid(holder, NULL, 0);
	close(ready[0]);
	close(ready[1]);
}

/* ---- findings ---- */

static void findings_wait_for_room_and_none_is_lost(void **state)
{
	struct finding f = {.magic = FINDING_MAGIC, .version = FINDING_VERSION};
	struct err err;
	int filler = 0, fd, got = 0;

	while (finding_send(finding_tx, &f, -1, &err) == 0)
		filler++;
	assert_true(filler > 0);
	start_front(1);
	for (int i = 0; i < 10; i++) {
		char name[16];

		snprintf(name, sizeof(name), "bad%d", i);
		put_text(in_fs(name), marker());
		assert_int_equal(try_open(in_fs(name)), EPERM);
	}
	expect_count(COUNTER_FINDINGS_HELD, 10);
	expect_count(COUNTER_FINDINGS, 0);
	while (got < filler + 10 && next_finding(&f, &fd)) {
		char name[16];

		if (got >= filler) {
			snprintf(name, sizeof(name), "bad%d", got - filler);
			assert_string_equal(f.path, in_fs(name));
			assert_true(fd >= 0);
			close(fd);
		}
		got++;
	}
	assert_int_equal(got, filler + 10);
	expect_count(COUNTER_FINDINGS, 10);
	expect_count(COUNTER_FINDINGS_LOST, 0);
}

/* ---- beginning and end ---- */

static void a_drained_worker_ends_when_it_holds_nothing(void **state)
{
	struct work_msg msg = {.kind = WORK_DRAIN};
	pid_t opener;
	int slot = start_worker(SLOT_FRONT), other, status;

	put_slow(in_fs("slow"), 5, false);
	opener = open_later(in_fs("slow"), O_RDONLY);
	wait_until(scanning_slot() == slot);
	atomic_store(&sb->slots[slot].drain, 1);
	assert_int_equal(result_of(opener), 0);
	expect_count(COUNTER_ALLOWED_CLEAN, 1);
	status = bury(slot);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	/* By message too. */
	other = start_worker(SLOT_FRONT);
	fd_send(workers[other].sock, &msg, sizeof(msg), NULL, 0, 0);
	status = bury(other);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void workers_end_with_the_suite(void **state)
{
	int front = start_worker(SLOT_FRONT), back = start_worker(SLOT_BACK);

	atomic_store(&sb->quit, 1);
	assert_int_equal(bury(front), 0);
	assert_int_equal(bury(back), 0);
	atomic_store(&sb->quit, 0);
}

static void workers_outlive_their_master_until_another_serves(void **state)
{
	int slot = start_worker(SLOT_FRONT);

	put_text(in_fs("bad"), marker());
	shutdown(workers[slot].sock, SHUT_RDWR);
	usleep(50000);
	assert_int_equal(try_open(in_fs("bad")), EPERM);
	atomic_store(&sb->master.start, 4711);
	atomic_store(&sb->master_state, MASTER_READY);
	assert_int_equal(bury(slot), 0);
	atomic_store(&sb->master.start, 0);
	atomic_store(&sb->master_state, MASTER_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FRONT(infected_is_denied_and_clean_is_allowed),
		FRONT(every_test_file_is_scanned_behind_the_walls),
		FRONT(many_openers_cause_one_scan),
		FRONT(parked_openers_survive_their_scanner),
		FRONT(a_file_that_ended_two_workers_is_not_fed),
		FRONT(a_finding_after_the_timeout_is_late),
		FRONT(policies_decide_where_no_verdict_is),
		FRONT(an_opener_does_not_wait_for_the_statistics),
		FRONT(what_is_in_memory_is_scanned_at_each_open),
		FRONT(a_worker_shows_life_between_two_scans),
		FRONT(pass_allows_and_reports),
		FRONT(a_restored_file_passes_without_a_word),
		FRONT(exclusions_hold_and_exempt_processes_are_let_through),
		FRONT(openers_are_judged_by_path_where_that_is_asked_for),
		FRONT(programs_are_excluded_by_the_masters_word),
		FRONT(what_is_no_file_never_hangs_anybody),
		FRONT(a_write_lease_does_not_stall_a_worker),
		FRONT(findings_wait_for_room_and_none_is_lost),
		FRONT(a_drained_worker_ends_when_it_holds_nothing),
		FRONT(workers_end_with_the_suite),
		FRONT(workers_outlive_their_master_until_another_serves),
	};

	return cmocka_run_group_tests(tests, set_up_group, tear_down_group);
}
