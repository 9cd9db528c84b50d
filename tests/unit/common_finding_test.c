/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <grp.h>
#include <unistd.h>
#include <cmocka.h>

#include "common/finding.h"
#include "lib/fdutil.h"

static int pair[2];
static struct err err;

static struct finding good(void)
{
	struct finding f = {.magic = FINDING_MAGIC,
			    .version = FINDING_VERSION,
			    .source = SOURCE_EXEC,
			    .verdict = VERDICT_INFECTED,
			    .denied = 1,
			    .pid = 42,
			    .first_action = ACTION_QUARANTINE,
			    .second_action = ACTION_DENY};

	strcpy(f.virus, "Some.Virus");
	strcpy(f.path, "/srv/file");
	return f;
}

static int up(void **state)
{
	(void)state;
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair);
}

static int down(void **state)
{
	(void)state;
	fd_close(&pair[0]);
	fd_close(&pair[1]);
	return 0;
}

static int open_fds(void)
{
	int n = 0;

	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void finding_arrives_whole_with_its_file(void **state)
{
	struct finding f = good(), got;
	int fd = open("/etc/passwd", O_RDONLY), got_fd;
	struct stat a, b;

	(void)state;
	assert_int_equal(finding_send(pair[0], &f, fd, &err), 0);
	assert_int_equal(finding_recv(pair[1], &got, &got_fd, &err), 1);
	assert_memory_equal(&f, &got, sizeof(f));
	assert_true(got_fd >= 0 && got_fd != fd);
	fstat(fd, &a);
	fstat(got_fd, &b);
	assert_true(a.st_ino == b.st_ino && a.st_dev == b.st_dev);
	assert_true(fcntl(got_fd, F_GETFD) & FD_CLOEXEC);
	close(fd);
	close(got_fd);
	assert_int_equal(finding_send(pair[0], &f, -1, &err), 0);
	assert_int_equal(finding_recv(pair[1], &got, &got_fd, &err), 1);
	assert_int_equal(got_fd, -1);
}

static void nothing_there_is_no_error_and_does_not_wait(void **state)
{
	struct finding got;
	int fd;

	(void)state;
	assert_int_equal(finding_recv(pair[1], &got, &fd, &err), 0);
}

static void full_socket_says_so_and_loses_nothing(void **state)
{
	struct finding f = good(), got;
	int sent = 0, received = 0, fd, rc;

	(void)state;
	while ((rc = finding_send(pair[0], &f, -1, &err)) == 0) {
		f.job = (uint64_t)++sent;
		assert_true(sent < 100000);
	}
	assert_int_equal(rc, 1);
	while (finding_recv(pair[1], &got, &fd, &err) == 1)
		assert_int_equal(got.job, received++);
	assert_int_equal(received, sent);
	assert_int_equal(finding_send(pair[0], &f, -1, &err), 0);
}

/* An unprivileged sender may have only so many descriptors under way. */
static void too_many_files_under_way_is_no_room(void **state)
{
	int status;
	pid_t pid = fork();

	(void)state;
	if (pid == 0) {
		struct finding f = good();
		int fd = open("/dev/null", O_RDONLY), rc = 0;
		int size = 8 << 20, sent = 0;
		struct rlimit few = {64, 64};

		alarm(20);
		setsockopt(pair[0], SOL_SOCKET, SO_SNDBUFFORCE, &size,
			   sizeof(size));
		setrlimit(RLIMIT_NOFILE, &few);
		if (setgroups(0, NULL) || setresgid(61184, 61184, 61184) ||
		    setresuid(61184, 61184, 61184))
			_exit(9);
		while (sent < 100000 &&
		       (rc = finding_send(pair[0], &f, fd, &err)) == 0)
			sent++;
		_exit(rc == 1 && sent < 100 ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void nobody_there_is_an_error(void **state)
{
	struct finding f = good(), got;
	int fd;

	(void)state;
	fd_close(&pair[1]);
	assert_int_equal(finding_send(pair[0], &f, -1, &err), -1);
	assert_int_equal(err.code, EPIPE);
	assert_int_equal(finding_recv(pair[0], &got, &fd, &err), -1);
	assert_int_equal(err.code, EPIPE);
}

/* Sends anything with n descriptors, as a worker gone bad would. */
static void send_raw(const void *data, size_t len, int n)
{
	int fds[FD_PASS_MAX];

	for (int i = 0; i < n; i++)
		fds[i] = STDIN_FILENO;
	assert_int_equal(fd_send(pair[0], data, len, fds, n, 0), 0);
}

static void assert_refused(const char *what)
{
	struct finding got, fine = good();
	int fd = 77, before = open_fds();

	if (finding_recv(pair[1], &got, &fd, &err) != -1)
		fail_msg("taken: %s", what);
	assert_true(err.code == EBADMSG || err.code == EMSGSIZE);
	assert_int_equal(fd, -1);
	if (open_fds() > before)
		fail_msg("leaked: %s", what);
	/* The next one is not harmed. */
	assert_int_equal(finding_send(pair[0], &fine, -1, &err), 0);
	assert_int_equal(finding_recv(pair[1], &got, &fd, &err), 1);
}

#define REFUSED(change)                                                        \
	do {                                                                   \
		struct finding f = good();                                     \
		change;                                                        \
		send_raw(&f, sizeof(f), 1);                                    \
		assert_refused(#change);                                       \
	} while (0)

static void whatever_is_out_of_bounds_is_refused_and_nothing_leaks(void **state)
{
	(void)state;
	REFUSED(f.magic++);
	REFUSED(f.version++);
	REFUSED(f.source = SOURCE_COUNT);
	REFUSED(f.verdict = VERDICT_ERROR + 1);
	REFUSED(f.verdict = UINT32_MAX);
	REFUSED(f.denied = 2);
	REFUSED(f.late = 2);
	REFUSED(f.pid = -1);
	REFUSED(f.use = USE_WRITTEN + 1);
	REFUSED(f.exposed_ns = FINDING_EXPOSED_MAX + 1);
	REFUSED(f.first_action = ACTION_NONE + 1);
	REFUSED(f.second_action = 99);
	REFUSED(memset(f.virus, 'v', sizeof(f.virus)));
	REFUSED(memset(f.path, 'p', sizeof(f.path)));
}

static void wrong_lengths_and_counts_are_refused(void **state)
{
	char big[sizeof(struct finding) + 1] = {0};
	struct finding f = good();

	(void)state;
	memcpy(big, &f, sizeof(f));
	send_raw(big, sizeof(big), 1);
	assert_refused("too long");
	send_raw(&f, sizeof(f) - 1, 1);
	assert_refused("too short");
	send_raw("x", 1, 2);
	assert_refused("one byte");
	send_raw(&f, sizeof(f), 2);
	assert_refused("two files");
	send_raw(&f, sizeof(f), FD_PASS_MAX);
	assert_refused("eight files");
	/* Not the end, though it reads like it. */
	assert_int_equal(send(pair[0], "", 0, 0), 0);
	assert_refused("empty");
}

#define T(name) cmocka_unit_test_setup_teardown(name, up, down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(finding_arrives_whole_with_its_file),
		T(nothing_there_is_no_error_and_does_not_wait),
		T(full_socket_says_so_and_loses_nothing),
		T(too_many_files_under_way_is_no_room),
		T(nobody_there_is_an_error),
		T(whatever_is_out_of_bounds_is_refused_and_nothing_leaks),
		T(wrong_lengths_and_counts_are_refused),
	};

	alarm(60);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
