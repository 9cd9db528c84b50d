/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/log.h"

static const struct log_sinks nowhere = {.fd = -1, .file_fd = -1};

/* The socket sink: pair[0] is ours to read, records land there. */
static int pair[2];

static int setup(void **state)
{
	struct log_sinks sinks = nowhere;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -1;
	sinks.fd = pair[1];
	log_init("unit", &sinks, LOG_LVL_INFO);
	alarm(60); /* a sink that blocks must not hang the run */
	return 0;
}

static int teardown(void **state)
{
	log_init("unit", &nowhere, LOG_LVL_INFO);
	close(pair[0]);
	close(pair[1]);
	alarm(0);
	return 0;
}

/* The next record, "" when none is there. */
static const char *next(void)
{
	static char record[8192];
	ssize_t n = recv(pair[0], record, sizeof(record) - 1, MSG_DONTWAIT);

	record[n > 0 ? n : 0] = '\0';
	return record;
}

static void a_line_names_program_and_level(void **state)
{
	log_error("a %d", 1);
	assert_string_equal(next(), "unit: error: a 1");
	log_warn("b");
	assert_string_equal(next(), "unit: warn: b");
	log_info("c");
	assert_string_equal(next(), "unit: info: c");
}

static void lines_below_the_level_are_left_out(void **state)
{
	log_debug("x");
	assert_string_equal(next(), "");
	log_set_level(LOG_LVL_DEBUG);
	log_debug("x");
	assert_string_equal(next(), "unit: debug: x");
	log_set_level(LOG_LVL_ERROR);
	log_warn("x");
	assert_string_equal(next(), "");
}

static void percent_m_is_the_callers_errno_and_errno_stays(void **state)
{
	errno = ENOSPC;
	log_error("write: %m");
	assert_int_equal(errno, ENOSPC);
	assert_string_equal(next(),
			    "unit: error: write: No space left on device");
}

static void untrusted_text_cannot_forge_a_line(void **state)
{
	log_info("%s", "a\nroot: info: b\r\033[2Jc\x9b\x7f");
	assert_string_equal(next(), "unit: info: a\\x0aroot: info: b\\x0d"
				    "\\x1b[2Jc\\x9b\\x7f");
}

static void text_escaped_before_is_not_escaped_again(void **state)
{
	char out[64];

	log_info("%s", log_escape(out, sizeof(out), "a\nb"));
	assert_string_equal(next(), "unit: info: a\\x0ab");
}

static void a_long_line_is_cut_and_sent(void **state)
{
	char big[20000];
	size_t n;

	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	log_info("%s", big);
	n = strlen(next());
	assert_in_range(n, 3000, 4096);
}

static void a_full_receiver_costs_lines_not_time(void **state)
{
	unsigned long before = log_dropped();
	unsigned long sent = 20000, taken = 0, i;

	for (i = 0; i < sent; i++)
		log_info("line %lu", i);
	while (*next())
		taken++;
	assert_true(taken > 0 && taken < sent);
	assert_int_equal(log_dropped() - before, sent - taken);
}

static void a_receiver_that_left_costs_no_signal(void **state)
{
	unsigned long before = log_dropped();

	close(pair[0]);
	log_info("x");
	assert_int_equal(log_dropped(), before + 1);
	pair[0] = open("/dev/null", O_RDONLY);
}

static void a_full_stderr_does_not_block(void **state)
{
	struct log_sinks sinks = {.to_stderr = true, .fd = -1, .file_fd = -1};
	int ends[2], saved = dup(2), i;
	unsigned long before = log_dropped();
	char big[3000];

	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	assert_int_equal(pipe(ends), 0);
	log_init("unit", &sinks, LOG_LVL_INFO);
	dup2(ends[1], 2);
	for (i = 0; i < 100; i++)
		log_info("%s", big);
	dup2(saved, 2);
	close(saved);
	close(ends[0]);
	close(ends[1]);
	assert_true(log_dropped() > before);
	assert_true(log_dropped() < before + 100);
}

static void a_file_gets_the_time_before_each_line(void **state)
{
	char path[] = "/tmp/splx-log-XXXXXX", text[512] = "";
	struct log_sinks sinks = nowhere;
	int year, n = 0, fd = mkostemp(path, O_APPEND);

	assert_true(fd >= 0);
	unlink(path);
	sinks.file_fd = fd;
	log_init("unit", &sinks, LOG_LVL_INFO);
	log_info("first");
	log_info("second");
	assert_true(pread(fd, text, sizeof(text) - 1, 0) > 0);
	close(fd);
	assert_int_equal(
		sscanf(text, "%4d-%*2d-%*2dT%*2d:%*2d:%*2d%*5s %n", &year, &n),
		1);
	assert_true(year >= 2024 && n > 0);
	assert_int_equal(strncmp(text + n, "unit: info: first\n", 18), 0);
	assert_non_null(strstr(text, "unit: info: second\n"));
}

static void a_file_without_room_is_counted(void **state)
{
	struct log_sinks sinks = nowhere;
	unsigned long before = log_dropped();

	sinks.file_fd = open("/dev/full", O_WRONLY | O_APPEND);
	log_init("unit", &sinks, LOG_LVL_INFO);
	log_info("x");
	assert_int_equal(log_dropped(), before + 1);
	close(sinks.file_fd);
}

static void limited_lines_hold_back_and_tell_how_many(void **state)
{
	struct log_limit lim = {0};
	int i;

	for (i = 0; i < 10; i++)
		log_limited(&lim, 2, 100, LOG_LVL_WARN, "again %d", i);
	assert_string_equal(next(), "unit: warn: again 0");
	assert_string_equal(next(), "unit: warn: again 1");
	assert_string_equal(next(), "");
	usleep(120000);
	log_limited(&lim, 2, 100, LOG_LVL_WARN, "later");
	assert_string_equal(next(), "unit: warn: later (8 like it held back)");
	log_limited(&lim, 2, 100, LOG_LVL_WARN, "later");
	assert_string_equal(next(), "unit: warn: later");
}

static void escape_writes_what_is_not_plain_text_as_hex(void **state)
{
	char out[64];

	/* Backslash, C1 control, overlong, surrogate, cut short, bidi. */
	assert_string_equal(log_escape(out, sizeof(out), "a\\b"), "a\\x5cb");
	assert_string_equal(log_escape(out, sizeof(out), "\xc2\x9b"),
			    "\\xc2\\x9b");
	assert_string_equal(log_escape(out, sizeof(out), "\xc0\xaf"),
			    "\\xc0\\xaf");
	assert_string_equal(log_escape(out, sizeof(out), "\xed\xa0\x80"),
			    "\\xed\\xa0\\x80");
	assert_string_equal(log_escape(out, sizeof(out), "x\xe2\x82"),
			    "x\\xe2\\x82");
	assert_string_equal(log_escape(out, sizeof(out), "\xe2\x80\xae"),
			    "\\xe2\\x80\\xae");
	assert_string_equal(log_escape(out, sizeof(out), "\xf5\x80\x80\x80"),
			    "\\xf5\\x80\\x80\\x80");
	assert_string_equal(log_escape(out, sizeof(out),
				       "gr\xc3\xbc\xc3\x9f \xf0\x9f\x99\x82"),
			    "gr\xc3\xbc\xc3\x9f \xf0\x9f\x99\x82");
}

static void escape_never_cuts_within_a_unit(void **state)
{
	char out[8];

	assert_string_equal(log_escape(out, 4, "ab\xc3\xbc"), "ab");
	assert_string_equal(log_escape(out, 5, "ab\xc3\xbc"), "ab\xc3\xbc");
	assert_string_equal(log_escape(out, 4, "\n"), "");
	assert_string_equal(log_escape(out, 5, "\n"), "\\x0a");
	assert_string_equal(log_escape(out, 1, "a"), "");
}

static void relay_passes_a_record_on_by_its_own_level(void **state)
{
	log_relay("other: warn: some\nthing");
	assert_string_equal(next(), "other: warn: some\\x0athing");
	log_relay("other: debug: x");
	assert_string_equal(next(), "");
	log_relay("no form at all");
	assert_string_equal(next(), "no form at all");
}

/* The exit status of a child that runs fn(), or 128 and its signal. */
static int ended_by(void (*fn)(void))
{
	struct rlimit none = {0, 0};
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		setrlimit(RLIMIT_CORE, &none);
		signal(SIGABRT, SIG_DFL);
		fn();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status)
				   : WEXITSTATUS(status);
}

static void call_fatal(void)
{
	fatal(7, "no %s", "way");
}

static void call_panic(void)
{
	panic("bug %d", 3);
}

static void fatal_logs_and_exits_with_its_status(void **state)
{
	assert_int_equal(ended_by(call_fatal), 7);
	assert_string_equal(next(), "unit: error: no way");
}

static void panic_logs_its_place_and_aborts(void **state)
{
	const char *record;

	assert_int_equal(ended_by(call_panic), 128 + SIGABRT);
	record = next();
	assert_non_null(strstr(record, "unit: error: panic: "));
	assert_non_null(strstr(record, "lib_log_test.c:"));
	assert_non_null(strstr(record, ": bug 3"));
}

/* A /dev/log of our own, seen by this (child) process alone. */
static int private_syslog(void)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX,
				   .sun_path = "/dev/log"};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	unlink(addr.sun_path);
	if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		_exit(90);
	return fd;
}

static void expect_syslog(int fd, const char *level, const char *text, int code)
{
	char want[128], got[512];
	ssize_t n = recv(fd, got, sizeof(got) - 1, MSG_DONTWAIT);

	got[n > 0 ? n : 0] = '\0';
	snprintf(want, sizeof(want), "%sunit[%d]: %s", level, (int)getpid(),
		 text);
	if (strcmp(got, want) != 0)
		_exit(code);
}

static void use_syslog(void)
{
	struct log_sinks sinks = {.to_syslog = true, .fd = -1, .file_fd = -1};
	unsigned long before;
	int fd, i;

	if (unshare(CLONE_NEWNS) < 0 ||
	    mount("", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("tmpfs", "/dev", "tmpfs", 0, "size=64k") < 0)
		_exit(91);
	log_init("unit", &sinks, LOG_LVL_INFO);
	before = log_dropped();
	log_info("nobody listens");
	if (log_dropped() != before + 1)
		_exit(1);
	fd = private_syslog();
	usleep(1100000); /* it is looked for once a second */
	log_info("one");
	expect_syslog(fd, "<30>", "info: one", 2);
	log_error("two");
	expect_syslog(fd, "<27>", "error: two", 3);

	/* syslog is restarted: a new socket in the old one's place. */
	close(fd);
	fd = private_syslog();
	usleep(1100000);
	log_warn("three");
	expect_syslog(fd, "<28>", "warn: three", 4);

	/* It stands still: nothing blocks, the lost are counted. */
	before = log_dropped();
	for (i = 0; i < 2000; i++)
		log_info("flood");
	if (log_dropped() == before)
		_exit(5);
	_exit(0);
}

static void syslog_is_found_again_and_never_waited_for(void **state)
{
	assert_int_equal(ended_by(use_syslog), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_line_names_program_and_level),
		TEST(lines_below_the_level_are_left_out),
		TEST(percent_m_is_the_callers_errno_and_errno_stays),
		TEST(untrusted_text_cannot_forge_a_line),
		TEST(text_escaped_before_is_not_escaped_again),
		TEST(a_long_line_is_cut_and_sent),
		TEST(a_full_receiver_costs_lines_not_time),
		TEST(a_receiver_that_left_costs_no_signal),
		TEST(a_full_stderr_does_not_block),
		TEST(a_file_gets_the_time_before_each_line),
		TEST(a_file_without_room_is_counted),
		TEST(limited_lines_hold_back_and_tell_how_many),
		TEST(escape_writes_what_is_not_plain_text_as_hex),
		TEST(escape_never_cuts_within_a_unit),
		TEST(relay_passes_a_record_on_by_its_own_level),
		TEST(fatal_logs_and_exits_with_its_status),
		TEST(panic_logs_its_place_and_aborts),
		TEST(syslog_is_found_again_and_never_waited_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
