// SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
/* Back workers: closed files and the requests of scan clients. */
#include "vsapi_workerbed.h"

static void written_files_are_examined_when_closed(void **state)
{
	struct finding f;
	struct work_msg msg;
	int slot = start_worker(SLOT_BACK);

	need_disk();
	run("head -c 2000000 /dev/zero >%s", in_fs("good"));
	/* A large one is scanned when its time is settled, hence remembered. */
	assert_true(message_of(slot, &msg, NULL));
	assert_int_equal(msg.kind, WORK_REMEMBER);
	run("printf '%%s%%s' '%.20s' '%s' >%s", marker(), marker() + 20,
	    in_fs("bad"));
	expect_finding(&f);
	assert_int_equal(f.source, SOURCE_CLOSE);
	assert_int_equal(f.denied, 0);
	assert_string_equal(f.path, in_fs("bad"));
	assert_true(count(COUNTER_CLOSE_EVENTS) >= 2);
}

static void who_is_not_clean_loses_its_mark(void **state)
{
	struct work_msg msg;
	struct finding f;
	struct stat st, seen;
	int slot, fd = -1;

	set("IgnoreMarks", "system");
	slot = start_worker(SLOT_BACK);
	run("echo fine >%s", in_fs("good"));
	run("printf '%%s%%s' '%.20s' '%s' >%s", marker(), marker() + 20,
	    in_fs("bad"));
	expect_finding(&f);
	assert_int_equal(stat(in_fs("bad"), &st), 0);
	do {
		if (fd >= 0)
			close(fd);
		assert_true(message_of(slot, &msg, &fd));
	} while (msg.kind != WORK_UNMARK);
	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &seen), 0);
	assert_int_equal(seen.st_ino, st.st_ino);
	close(fd);
}

/* What root may say of a scan. */
#define ANY_SOURCE                                                             \
	(1ull << SOURCE_MANUAL | 1ull << SOURCE_SCHEDULED |                    \
	 1ull << SOURCE_IN_USE | 1ull << SOURCE_REFRESH)

/* A client's connection, handed to a worker. */
static int connect_as(int slot, uint64_t job, uint64_t sources)
{
	struct work_msg msg = {.kind = WORK_CLIENT, .job = job, .ino = sources};
	int ends[2];

	assert_int_equal(
		socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	assert_int_equal(
		fd_send(workers[slot].sock, &msg, sizeof(msg), &ends[1], 1, 0),
		0);
	close(ends[1]);
	return ends[0];
}

static int connect_job(int slot, uint64_t job)
{
	return connect_as(slot, job, ANY_SOURCE);
}

static void request_file(int sock, uint64_t id, const char *path,
			 uint32_t flags)
{
	struct scanjob_request req = {
		.version = SCANJOB_VERSION,
		.kind = SCANJOB_FILE,
		.id = id,
		.flags = flags,
		.source = SOURCE_MANUAL,
		.first_action = ACTION_NONE,
		.second_action = ACTION_NONE,
	};
	int fd = path ? open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK) : -1;

	assert_int_equal(fd_send(sock, &req, sizeof(req), &fd, fd >= 0, 0), 0);
	if (fd >= 0)
		close(fd);
}

/* 1; 0 when the connection was ended. */
static int reply_of(int sock, struct scanjob_reply *r)
{
	struct pollfd p = {.fd = sock, .events = POLLIN};
	int fds[FD_PASS_MAX], nfds;

	if (poll(&p, 1, 10000) <= 0)
		fail_msg("no reply");
	return fd_recv(sock, r, sizeof(*r), fds, &nfds, 0) ==
	       (ssize_t)sizeof(*r);
}

static void jobs_are_served_by_several_workers(void **state)
{
	struct scanjob_request hello = {
		.version = SCANJOB_VERSION,
		.kind = SCANJOB_HELLO,
		.source = SOURCE_MANUAL,
	};
	struct work_msg msg = {
		.kind = WORK_CLIENT, .job = 5, .ino = ANY_SOURCE};
	int a = start_worker(SLOT_BACK), b = start_worker(SLOT_BACK), ends[2];
	bool seen[40] = {0};
	struct scanjob_reply r;
	struct finding f;

	assert_int_equal(
		socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	fd_send(workers[a].sock, &msg, sizeof(msg), &ends[1], 1, 0);
	fd_send(workers[b].sock, &msg, sizeof(msg), &ends[1], 1, 0);
	close(ends[1]);
	fd_send(ends[0], &hello, sizeof(hello), NULL, 0, 0);
	assert_int_equal(reply_of(ends[0], &r), 1);
	assert_int_equal(r.kind, SCANJOB_HELLO);
	assert_int_equal(r.workers, 2);
	assert_int_equal(r.job, 5);
	put_slow(in_fs("good"), 1, false);
	put_text(in_fs("bad"), marker());
	for (uint64_t id = 1; id < 40; id++)
		request_file(ends[0], id, in_fs(id == 7 ? "bad" : "good"), 0);
	for (int i = 1; i < 40; i++) {
		assert_int_equal(reply_of(ends[0], &r), 1);
		assert_in_range(r.id, 1, 39);
		assert_false(seen[r.id]);
		seen[r.id] = true;
		assert_int_equal(r.verdict,
				 r.id == 7 ? VERDICT_INFECTED : VERDICT_CLEAN);
		if (r.id == 7)
			assert_string_equal(r.virus, "Splx.Test.Marker");
		else
			assert_int_equal(r.bytes, 1 << 20);
	}
	expect_finding(&f);
	assert_int_equal(f.source, SOURCE_MANUAL);
	assert_int_equal(f.job, 5);
	assert_int_equal(f.first_action, ACTION_NONE);
	assert_true(atomic_load(&sb->slots[a].counters[COUNTER_SCANS]) > 0);
	assert_true(atomic_load(&sb->slots[b].counters[COUNTER_SCANS]) > 0);
	close(ends[0]);
}

static void jobs_use_what_is_known_unless_told_not_to(void **state)
{
	int slot = start_worker(SLOT_BACK), sock = connect_job(slot, 1);
	struct scanjob_reply r;

	need_disk();
	put_text(in_fs("f"), "a text");
	settle();
	request_file(sock, 1, in_fs("f"), 0);
	assert_int_equal(reply_of(sock, &r), 1);
	assert_int_equal(r.known, 0);
	remember(slot);
	request_file(sock, 2, in_fs("f"), 0);
	assert_int_equal(reply_of(sock, &r), 1);
	assert_int_equal(r.known, 1);
	request_file(sock, 3, in_fs("f"), SCANJOB_IGNORE_KNOWN);
	assert_int_equal(reply_of(sock, &r), 1);
	assert_int_equal(r.known, 0);
	close(sock);
}

static void requests_that_cannot_be_scanned_are_errors(void **state)
{
	int slot = start_worker(SLOT_BACK), sock = connect_job(slot, 1);
	struct scanjob_request req = {
		.version = SCANJOB_VERSION,
		.kind = SCANJOB_FILE,
		.id = 9,
		.source = SOURCE_MANUAL,
	};
	struct scanjob_reply r;
	int fd;

	request_file(sock, 1, NULL, 0);
	assert_int_equal(reply_of(sock, &r), 1);
	assert_int_equal(r.verdict, VERDICT_ERROR);
	request_file(sock, 2, fs, 0);
	assert_int_equal(reply_of(sock, &r), 1);
	assert_int_equal(r.verdict, VERDICT_ERROR);
	request_file(sock, 3, "/dev/null", 0);
	assert_int_equal(reply_of(sock, &r), 1);
	assert_int_equal(r.verdict, VERDICT_ERROR);
	put_text(in_fs("f"), "text");
	fd = open(in_fs("f"), O_WRONLY | O_CLOEXEC);
	fd_send(sock, &req, sizeof(req), &fd, 1, 0);
	assert_int_equal(reply_of(sock, &r), 1);
	assert_int_equal(r.id, 9);
	assert_int_equal(r.verdict, VERDICT_ERROR);
	close(fd);
	fd = open(in_fs("f"), O_PATH | O_CLOEXEC);
	fd_send(sock, &req, sizeof(req), &fd, 1, 0);
	assert_int_equal(reply_of(sock, &r), 1);
	assert_int_equal(r.verdict, VERDICT_ERROR);
	close(fd);
	close(sock);
}

/* By the source it is decided what is done to who uses the file. */
static void a_source_that_is_not_the_clients_is_refused(void **state)
{
	struct scanjob_request req = {
		.version = SCANJOB_VERSION,
		.first_action = ACTION_DENY,
		.second_action = ACTION_DENY,
	};
	int slot = start_worker(SLOT_BACK);
	int sock = connect_as(slot, 1, 1ull << SOURCE_MANUAL);
	struct scanjob_reply r;
	struct finding f;
	int fd;

	put_text(in_fs("bad"), marker());
	fd = open(in_fs("bad"), O_RDONLY | O_CLOEXEC);
	for (int i = SOURCE_SCHEDULED; i < SOURCE_COUNT; i++) {
		req.source = (uint32_t)i;
		req.kind = SCANJOB_HELLO;
		fd_send(sock, &req, sizeof(req), NULL, 0, 0);
		assert_int_equal(reply_of(sock, &r), 1);
		assert_int_equal(r.kind, SCANJOB_HELLO);
		assert_int_equal(r.verdict, VERDICT_ERROR);
		assert_non_null(
			strstr(r.virus, i == SOURCE_IN_USE ? "root" : "own"));
		req.kind = SCANJOB_FILE;
		req.id = (uint64_t)i;
		fd_send(sock, &req, sizeof(req), &fd, 1, 0);
		assert_int_equal(reply_of(sock, &r), 1);
		assert_int_equal(r.id, i);
		assert_int_equal(r.verdict, VERDICT_ERROR);
	}
	assert_int_equal(count(COUNTER_SCANS), 0);
	req.source = SOURCE_MANUAL;
	fd_send(sock, &req, sizeof(req), &fd, 1, 0);
	assert_int_equal(reply_of(sock, &r), 1);
	assert_int_equal(r.verdict, VERDICT_INFECTED);
	expect_finding(&f);
	assert_int_equal(f.source, SOURCE_MANUAL);
	close(fd);
	close(sock);
}

static void nonsense_ends_its_connection_alone(void **state)
{
	struct scanjob_request bad = {
		.version = SCANJOB_VERSION,
		.kind = SCANJOB_FILE,
		.id = 1,
		.source = SOURCE_MANUAL,
	};
	int slot = start_worker(SLOT_BACK), good = connect_job(slot, 1);
	struct scanjob_reply r;

	for (int i = 0; i < 7; i++) {
		struct scanjob_request req = bad;
		size_t len = sizeof(req);
		int sock = connect_job(slot, 2);

		switch (i) {
		case 0:
			req.version++;
			break;
		case 1:
			req.kind = 99;
			break;
		case 2:
			req.id = 0;
			break;
		case 3:
			req.source = SOURCE_OPEN;
			break;
		case 4:
			req.first_action = 99;
			break;
		case 5:
			memset(req.path, 'x', sizeof(req.path));
			break;
		default:
			len = 3;
		}
		fd_send(sock, &req, len, NULL, 0, 0);
		assert_int_equal(reply_of(sock, &r), 0);
		close(sock);
	}
	put_text(in_fs("f"), "text");
	request_file(good, 1, in_fs("f"), 0);
	assert_int_equal(reply_of(good, &r), 1);
	assert_int_equal(r.verdict, VERDICT_CLEAN);
	close(good);
}

static void a_client_that_reads_nothing_stops_nobody(void **state)
{
	int slot = start_worker(SLOT_BACK), deaf = connect_job(slot, 1);
	int sock = connect_job(slot, 2), sent = 0;
	struct scanjob_reply r;

	put_text(in_fs("f"), "text");
	/* The replies fill its receiving side. */
	for (; sent < 2000; sent++) {
		struct scanjob_request req = {
			.version = SCANJOB_VERSION,
			.kind = SCANJOB_FILE,
			.id = (uint64_t)sent + 1,
			.source = SOURCE_MANUAL,
		};

		if (fd_send(deaf, &req, sizeof(req), NULL, 0, MSG_DONTWAIT) < 0)
			break;
		if (sent % 20 == 0)
			usleep(1000);
	}
	request_file(sock, 1, in_fs("f"), 0);
	assert_int_equal(reply_of(sock, &r), 1);
	assert_int_equal(r.verdict, VERDICT_CLEAN);
	/* And when it reads at last it gets every answer. */
	for (int i = 0; i < sent; i++) {
		assert_int_equal(reply_of(deaf, &r), 1);
		assert_int_equal(r.id, i + 1);
	}
	close(deaf);
	close(sock);
}

static void the_master_finds_whose_request_a_worker_died_on(void **state)
{
	int slot = start_worker(SLOT_BACK), sock = connect_job(slot, 33);

	struct file_key key;
	struct stat st;
	int fd;

	put_slow(in_fs("slow"), 12, false);
	fd = open(in_fs("slow"), O_RDONLY | O_CLOEXEC);
	assert_int_equal(file_key_get(fd, &key, &st), 0);
	close(fd);
	request_file(sock, 77, in_fs("slow"), 0);
	wait_until(scanning_slot() == slot);
	/* and which file it was that it died on */
	assert_true(file_key_same(&sb->slots[slot].scan_key, &key));
	assert_true(atomic_load(&sb->slots[slot].job) == 33);
	assert_true(atomic_load(&sb->slots[slot].job_request) == 77);
	close(sock);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BACK(written_files_are_examined_when_closed),
		BACK(who_is_not_clean_loses_its_mark),
		BACK(jobs_are_served_by_several_workers),
		BACK(jobs_use_what_is_known_unless_told_not_to),
		BACK(requests_that_cannot_be_scanned_are_errors),
		BACK(a_source_that_is_not_the_clients_is_refused),
		BACK(nonsense_ends_its_connection_alone),
		BACK(a_client_that_reads_nothing_stops_nobody),
		BACK(the_master_finds_whose_request_a_worker_died_on),
	};

	fs_on_disk = true;
	return cmocka_run_group_tests(tests, set_up_group, tear_down_group);
}
