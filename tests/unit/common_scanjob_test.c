/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/scanjob.h"
#include "common/unixsock.h"
#include "lib/fdutil.h"

#define WORKERS 3
#define WINDOW (4 * WORKERS)

/*
 * The service's side of the protocol with real descriptors over a real
 * socket: WORKERS threads take records from one connection, as back workers
 * do. What a "scan" finds is what the file says.
 */
enum mood {
	MOOD_WELL,
	MOOD_HOLD,     /* once a file came, takes none until that changes */
	MOOD_DIE,      /* leaves after 20 files */
	MOOD_SHORT,    /* answers with records cut short */
	MOOD_WRONG_ID, /* answers what nobody asked */
	MOOD_VERSION,  /* is of another version */
};
static atomic_int mood, taken, dead;
static char dir[32], sock_path[64];
static int listener;
static atomic_int served = -1; /* the connection that is served, or -1 */
static pthread_t accepter;

static void fill_reply(struct scanjob_reply *reply, int fd)
{
	char text[16] = "";

	reply->bytes = (uint64_t)pread(fd, text, sizeof(text) - 1, 0);
	if (text[0] == 'X') {
		reply->verdict = VERDICT_INFECTED;
		strcpy(reply->virus, "Test");
	}
}

/* Lets go of the file before it answers: who has the answer counts what is
 * open. */
static void answer(int sock, const struct scanjob_request *req, int *fd)
{
	struct scanjob_reply reply = {
		.version = SCANJOB_VERSION,
		.kind = req->kind,
		.id = req->id,
	};
	size_t len = sizeof(reply);

	if (req->kind == SCANJOB_HELLO) {
		reply.workers = WORKERS;
		reply.job = 77;
	} else {
		fill_reply(&reply, *fd);
		fd_close(fd);
		if (mood == MOOD_SHORT)
			len -= 8;
		if (mood == MOOD_WRONG_ID)
			reply.id += 1000;
	}
	if (mood == MOOD_VERSION)
		reply.version++;
	send(sock, &reply, len, MSG_NOSIGNAL);
}

static void *work(void *arg)
{
	int sock = *(int *)arg;
	struct scanjob_request req;
	int fd, nfds;

	for (;;) {
		while (mood == MOOD_HOLD && taken)
			usleep(1000);
		fd = -1;
		if (fd_recv(sock, &req, sizeof(req), &fd, &nfds, 0) <= 0)
			break;
		if (req.kind == SCANJOB_FILE)
			atomic_fetch_add(&taken, 1);
		if (mood == MOOD_DIE && taken > 20) {
			dead = 1;
			shutdown(sock, SHUT_RDWR);
		} else {
			answer(sock, &req, &fd);
		}
		fd_close(&fd);
	}
	return NULL;
}

static void *serve(void *arg)
{
	pthread_t threads[WORKERS];
	int sock, i;

	while ((sock = accept(listener, NULL, NULL)) >= 0) {
		served = sock;
		for (i = 0; i < WORKERS; i++)
			pthread_create(&threads[i], NULL, work, &sock);
		for (i = 0; i < WORKERS; i++)
			pthread_join(threads[i], NULL);
		served = -1;
		close(sock);
	}
	return NULL;
}

static int setup(void **state)
{
	struct err err;

	strcpy(dir, "/tmp/splx_scan_XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(sock_path, sizeof(sock_path), "%s/scan.sock", dir);
	mood = MOOD_WELL;
	taken = dead = 0;
	listener = unixsock_listen(sock_path, SOCK_SEQPACKET, 0600, &err);
	assert_true(listener >= 0);
	fd_set_nonblock(listener, false);
	return pthread_create(&accepter, NULL, serve, NULL);
}

static int teardown(void **state)
{
	mood = MOOD_WELL;
	shutdown(listener, SHUT_RDWR);
	shutdown(served, SHUT_RDWR); /* a test that failed left it open */
	pthread_join(accepter, NULL);
	close(listener);
	unlink(sock_path);
	return rmdir(dir);
}

/* What came back. */
static struct {
	int count, clean, infected, errors;
	uint64_t bytes;
	unsigned char seen[30000];
} got;

static void on_reply(const struct scanjob_reply *reply, const char *path,
		     void *arg)
{
	int n = atoi(path + strlen("/file/"));

	assert_ptr_equal(arg, &got);
	got.count++;
	got.seen[n]++;
	got.bytes += reply->bytes;
	if (reply->verdict == VERDICT_CLEAN)
		got.clean++;
	else if (reply->verdict == VERDICT_INFECTED)
		got.infected++;
	else
		got.errors++;
	if (reply->verdict == VERDICT_INFECTED)
		assert_string_equal(reply->virus, "Test");
	if (reply->verdict == VERDICT_ERROR)
		assert_true(*reply->virus);
}

static struct scanclient *open_client(void)
{
	struct err err = {0};
	struct scanclient *sc;

	memset(&got, 0, sizeof(got));
	sc = scanclient_open(sock_path, SOURCE_MANUAL, ACTION_NONE, ACTION_NONE,
			     on_reply, &got, &err);
	if (!sc)
		fail_msg("%s", err.text);
	return sc;
}

/* A file without a name that says `text`; closed after it was put. */
static int put(struct scanclient *sc, int n, const char *text, struct err *err)
{
	char path[32];
	int fd = memfd_create("t", MFD_CLOEXEC), rc;

	assert_true(fd >= 0);
	assert_int_equal(fd_write_all(fd, text, strlen(text)), 0);
	snprintf(path, sizeof(path), "/file/%d", n);
	rc = scanclient_put(sc, fd, path, 0, err);
	close(fd);
	return rc;
}

static int open_fds(void)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	close(fd);
	return fd;
}

static void hello_tells_workers_and_job(void **state)
{
	struct scanclient *sc = open_client();

	assert_int_equal(scanclient_workers(sc), WORKERS);
	assert_int_equal(scanclient_job(sc), 77);
	assert_int_equal(scanclient_pending(sc), 0);
	scanclient_close(&sc);
	assert_null(sc);
}

static void every_file_is_answered_once_in_constant_space(void **state)
{
	struct scanclient *sc = open_client();
	struct rusage before, after;
	int fds = open_fds(), i;
	struct err err;

	for (i = 0; i < 1000; i++)
		assert_int_equal(put(sc, i, "clean", &err), 0);
	getrusage(RUSAGE_SELF, &before);
	for (; i < 20000; i++)
		assert_int_equal(put(sc, i, i % 100 ? "clean" : "Xyz", &err),
				 0);
	assert_int_equal(scanclient_drain(sc, &err), 0);
	getrusage(RUSAGE_SELF, &after);
	assert_int_equal(got.count, 20000);
	assert_int_equal(got.infected, 190);
	assert_int_equal(got.clean, 20000 - 190);
	assert_int_equal(got.bytes, 5 * (20000 - 190) + 3 * 190);
	for (i = 0; i < 20000; i++)
		assert_int_equal(got.seen[i], 1);
	assert_int_equal(scanclient_pending(sc), 0);
	assert_int_equal(open_fds(), fds);
#ifndef __SANITIZE_ADDRESS__
	assert_true(after.ru_maxrss - before.ru_maxrss < 512);
#endif
	scanclient_close(&sc);
}

static void interrupt(int sig)
{
}

/* Again and again, so that no wait is missed. */
static void interrupts(bool on)
{
	struct sigaction sa = {.sa_handler = interrupt};

	sigaction(SIGALRM, &sa, NULL);
	ualarm(on ? 200000 : 0, on ? 100000 : 0);
}

static void no_more_than_the_window_is_under_way_and_signals_end_the_wait(
	void **state)
{
	struct scanclient *sc = open_client();
	struct err err = {0};
	int n = 0;

	taken = 1;
	mood = MOOD_HOLD;
	interrupts(true);
	while (n < 100 && put(sc, n, "clean", &err) == 0)
		n++;
	/* each worker may have been waiting for one more already */
	assert_in_range(n, WINDOW, WINDOW + WORKERS);
	assert_int_equal(err.code, EINTR);
	assert_int_equal(scanclient_pending(sc), WINDOW);
	assert_int_equal(scanclient_drain(sc, &err), -1);
	assert_int_equal(err.code, EINTR);
	interrupts(false);
	mood = MOOD_WELL;
	assert_int_equal(put(sc, n++, "clean", &err), 0);
	assert_int_equal(scanclient_drain(sc, &err), 0);
	assert_int_equal(got.count, n);
	scanclient_close(&sc);
}

static void when_the_service_leaves_nothing_under_way_is_forgotten(void **state)
{
	struct scanclient *sc = open_client();
	struct err err = {0};
	int i, put_ok = 0;

	mood = MOOD_DIE;
	for (i = 0; i < 100; i++) {
		if (put(sc, i, "clean", &err) < 0)
			break;
		put_ok++;
	}
	assert_true(i < 100);
	assert_true(*err.text);
	assert_int_equal(got.count, put_ok);
	assert_true(got.errors > 0);
	assert_int_equal(scanclient_pending(sc), 0);
	for (i = 0; i < put_ok; i++)
		assert_int_equal(got.seen[i], 1);
	assert_int_equal(put(sc, 200, "clean", &err), -1);
	assert_int_equal(scanclient_drain(sc, &err), -1);
	assert_int_equal(got.count, put_ok);
	scanclient_close(&sc);
}

static void drain_tells_that_the_service_left(void **state)
{
	struct scanclient *sc = open_client();
	struct err err = {0};

	taken = 20;
	mood = MOOD_DIE;
	assert_int_equal(put(sc, 1, "clean", &err), 0);
	assert_int_equal(scanclient_drain(sc, &err), -1);
	assert_int_equal(got.errors, 1);
	scanclient_close(&sc);
}

static void answers_that_make_no_sense_end_the_job(void **state)
{
	static const int moods[] = {MOOD_SHORT, MOOD_WRONG_ID, MOOD_VERSION};
	size_t i;

	for (i = 0; i < sizeof(moods) / sizeof(*moods); i++) {
		struct scanclient *sc;
		struct err err = {0};

		mood = MOOD_WELL;
		sc = open_client();
		mood = moods[i];
		assert_int_equal(put(sc, 1, "clean", &err), 0);
		assert_int_equal(scanclient_drain(sc, &err), -1);
		assert_int_equal(err.code, EPROTO);
		assert_int_equal(got.errors, 1);
		scanclient_close(&sc);
	}
}

static void a_service_of_another_version_is_refused(void **state)
{
	struct err err = {0};

	mood = MOOD_VERSION;
	assert_null(scanclient_open(sock_path, SOURCE_MANUAL, ACTION_NONE,
				    ACTION_NONE, on_reply, &got, &err));
	assert_int_equal(err.code, EPROTO);
}

static void without_a_service_opening_fails_at_once(void **state)
{
	struct err err = {0};

	assert_null(scanclient_open("/nowhere/scan.sock", SOURCE_MANUAL,
				    ACTION_NONE, ACTION_NONE, on_reply, &got,
				    &err));
	assert_int_equal(err.code, ENOENT);
}

static void a_bad_descriptor_spoils_only_itself(void **state)
{
	struct scanclient *sc = open_client();
	struct err err = {0};

	assert_int_equal(scanclient_put(sc, -1, "/file/0", 0, &err), -1);
	assert_int_equal(err.code, EBADF);
	assert_int_equal(put(sc, 1, "clean", &err), 0);
	assert_int_equal(scanclient_drain(sc, &err), 0);
	assert_int_equal(got.count, 1);
	scanclient_close(&sc);
}

#define WITH_SERVICE(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_SERVICE(hello_tells_workers_and_job),
		WITH_SERVICE(every_file_is_answered_once_in_constant_space),
		WITH_SERVICE(
			no_more_than_the_window_is_under_way_and_signals_end_the_wait),
		WITH_SERVICE(
			when_the_service_leaves_nothing_under_way_is_forgotten),
		WITH_SERVICE(drain_tells_that_the_service_left),
		WITH_SERVICE(answers_that_make_no_sense_end_the_job),
		WITH_SERVICE(a_service_of_another_version_is_refused),
		cmocka_unit_test(without_a_service_opening_fails_at_once),
		WITH_SERVICE(a_bad_descriptor_spoils_only_itself),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
