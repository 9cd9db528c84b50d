// SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
/* What front workers remember, and mark to be ignored. */
#include "vsapi_workerbed.h"

/* Opens f0 to f99 one after another in one process. */
static int open_hundred(void)
{
	char name[16];
	pid_t pid = fork();

	if (pid)
		return result_of(pid);
	alarm(60);
	for (int i = 0; i < 100; i++) {
		int fd;

		snprintf(name, sizeof(name), "f%d", i);
		fd = open(in_fs(name), O_RDONLY);
		if (fd < 0)
			_exit(errno);
		close(fd);
	}
	_exit(0);
}

/* By it the file is found again. */
static void expect_trace(const struct work_key *told)
{
	int mount = open(in_fs("."), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int fd = known_trace_open(mount, &told->trace, O_PATH | O_CLOEXEC);
	struct stat st;

	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_ino, told->key.ino);
	close(fd);
	close(mount);
}

/* Nobody waits for the master: it hears of many in one record. */
static void clean_files_are_told_of_together(void **state)
{
	struct work_keys rec;
	int fds[FD_PASS_MAX], nfds, slot;
	uint64_t told = 0, records = 0;
	char name[16];

	need_disk();
	set("IgnoreMarks", "off");
	slot = start_worker(SLOT_FRONT);
	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		put_text(in_fs(name), name);
	}
	settle();
	assert_int_equal(open_hundred(), 0);
	while (told < 100) {
		ssize_t len = fd_recv(workers[slot].sock, &rec, sizeof(rec),
				      fds, &nfds, 0);

		assert_true(len >= (ssize_t)sizeof(rec.first));
		assert_int_equal(rec.first.kind, WORK_REMEMBER);
		assert_int_equal(rec.first.epoch, 77);
		assert_in_range(rec.first.job, 1, WORK_KEYS_MAX);
		assert_int_equal((size_t)len,
				 sizeof(rec.first) + (rec.first.job -
						      1) * sizeof(rec.more[0]));
		assert_true(rec.first.trace.len > 0);
		assert_in_range(time(NULL) - rec.first.trace.used_s, 0, 60);
		for (uint64_t i = 0; i + 1 < rec.first.job; i++)
			expect_trace(&rec.more[i]);
		told += rec.first.job;
		records++;
	}
	assert_int_equal(told, 100);
	assert_true(records < 50);
}

static void known_files_are_trusted_while_they_cannot_change(void **state)
{
	uint64_t scans;
	int slot, w;

	need_disk();
	set("IgnoreMarks", "off");
	slot = start_worker(SLOT_FRONT);
	put_text(in_fs("f"), "known text");
	settle();
	assert_int_equal(try_open(in_fs("f")), 0);
	remember(slot);
	scans = count(COUNTER_SCANS);
	assert_int_equal(try_open(in_fs("f")), 0);
	expect_count(COUNTER_ALLOWED_KNOWN, 1);
	assert_int_equal(count(COUNTER_SCANS), scans);
	/* A writer, then a change. */
	w = open(in_fs("f"), O_RDWR | O_CLOEXEC);
	assert_int_equal(try_open(in_fs("f")), 0);
	expect_count(COUNTER_SCANS, scans + 1);
	assert_int_equal(pwrite(w, marker(), strlen(marker()), 0),
			 strlen(marker()));
	assert_int_equal(try_open(in_fs("f")), EPERM);
	close(w);
	assert_int_equal(try_open(in_fs("f")), EPERM);
}

/* Else a file that is used all day would look like one of long ago. */
static void use_of_a_known_file_is_told_now_and_then(void **state)
{
	struct work_msg msg;
	struct pollfd p = {.events = POLLIN};
	int slot;

	need_disk();
	set("IgnoreMarks", "off");
	slot = start_worker(SLOT_FRONT);
	p.fd = workers[slot].sock;
	put_text(in_fs("f"), "known text");
	settle();
	assert_int_equal(try_open(in_fs("f")), 0);
	assert_true(message_of(slot, &msg, NULL));
	msg.trace.used_s -= 590;
	known_put_trace(known, &msg.key, msg.epoch, &msg.trace);
	assert_int_equal(try_open(in_fs("f")), 0);
	assert_int_equal(poll(&p, 1, 200), 0);
	known_forget(known, msg.key.dev);
	msg.trace.used_s -= 20;
	known_put_trace(known, &msg.key, msg.epoch, &msg.trace);
	assert_int_equal(try_open(in_fs("f")), 0);
	expect_count(COUNTER_ALLOWED_KNOWN, 2);
	assert_true(message_of(slot, &msg, NULL));
	assert_int_equal(msg.kind, WORK_REMEMBER);
	assert_in_range(time(NULL) - msg.trace.used_s, 0, 60);
}

/* How long after a file's last change the next scan of a slot began, at the
 * most. */
static int64_t open_and_tell_age(int slot, const char *path)
{
	uint32_t n = atomic_load(&sb->slots[slot].sample_next);
	struct sample *s = &sb->slots[slot].samples[n % SLOT_SAMPLES];
	struct stat st;

	assert_int_equal(try_open(path), 0);
	wait_until(atomic_load(&sb->slots[slot].sample_next) > n);
	wait_until(atomic_load(&s->seq) % 2 == 0);
	assert_int_equal(stat(path, &st), 0);
	return s->when_ns - (int64_t)s->scan_ns -
	       (st.st_ctim.tv_sec * (int64_t)CLOCK_NS_PER_S +
		st.st_ctim.tv_nsec);
}

static void what_was_just_written_is_not_remembered(void **state)
{
	/* On a busy machine it is not fresh any more when it is scanned. */
	for (int i = 0; i < 300; i++) {
		int slot = start_worker(SLOT_FRONT);
		struct pollfd p = {.fd = workers[slot].sock, .events = POLLIN};

		put_text(in_fs("f"), "fresh");
		if (open_and_tell_age(slot, in_fs("f")) <
		    15 * (int64_t)CLOCK_NS_PER_MS) {
			assert_int_equal(poll(&p, 1, 200), 0);
			return;
		}
		kill(workers[slot].pid, SIGKILL);
		bury(slot);
	}
	fail_msg("no scan began soon enough");
}

static void ignored_files_are_not_asked_for_until_they_change(void **state)
{
	uint64_t questions;

	set("IgnoreMarks", "system");
	start_front(1);
	put_text(in_fs("sys"), "of root");
	put_text(in_fs("user"), "of all");
	assert_int_equal(chmod(in_fs("user"), 0666), 0);
	settle();
	assert_int_equal(try_open(in_fs("sys")), 0);
	assert_int_equal(try_open(in_fs("user")), 0);
	wait_until(count(COUNTER_MARKED) == 1);
	questions = count(COUNTER_QUESTIONS);
	assert_int_equal(try_open(in_fs("sys")), 0);
	assert_int_equal(count(COUNTER_QUESTIONS), questions);
	assert_int_equal(try_open(in_fs("user")), 0);
	assert_int_equal(count(COUNTER_QUESTIONS), questions + 1);
	put_text(in_fs("sys"), marker());
	assert_int_equal(try_open(in_fs("sys")), EPERM);
}

static void marks_that_only_root_may_set_are_asked_of_the_master(void **state)
{
	struct work_msg msg;
	bool seen = false;
	int slot, fd = -1;

	set("IgnoreMarks", "system");
	slot = start_worker(SLOT_FRONT);
	put_text(in_fs("secret"), "of root");
	assert_int_equal(chmod(in_fs("secret"), 0600), 0);
	settle();
	assert_int_equal(try_open(in_fs("secret")), 0);
	for (int i = 0; i < 2 && !seen; i++) {
		assert_true(message_of(slot, &msg, &fd));
		seen = msg.kind == WORK_MARK;
		if (!seen && fd >= 0)
			close(fd);
	}
	assert_true(seen);
	assert_true(fd >= 0);
	close(fd);
	expect_count(COUNTER_MARKED, 0);
}

static void no_mark_outlives_its_generation(void **state)
{
	set("IgnoreMarks", "all");
	start_front(1);
	put_text(in_fs("f"), "text");
	settle();
	atomic_store(&sb->generation, 2);
	assert_int_equal(try_open(in_fs("f")), 0);
	assert_int_equal(try_open(in_fs("f")), 0);
	expect_count(COUNTER_MARKED, 0);
	expect_count(COUNTER_ALLOWED_CLEAN, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FRONT(clean_files_are_told_of_together),
		FRONT(known_files_are_trusted_while_they_cannot_change),
		FRONT(use_of_a_known_file_is_told_now_and_then),
		FRONT(what_was_just_written_is_not_remembered),
		FRONT(ignored_files_are_not_asked_for_until_they_change),
		FRONT(marks_that_only_root_may_set_are_asked_of_the_master),
		FRONT(no_mark_outlives_its_generation),
	};

	fs_on_disk = true;
	return cmocka_run_group_tests(tests, set_up_group, tear_down_group);
}
