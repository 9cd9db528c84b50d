/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/* Who fetches patterns: what it may, and when it is ended. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl/pattern_child.h"
#include "lib/alloc.h"
#include "lib/fdutil.h"
#include "lib/sandbox.h"

#define BED_USER 61184

static char dir[PATH_MAX], own[PATH_MAX + 8];
static struct err err;

static int setup(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/splx-child-XXXXXX");
	err_clear(&err);
	if (!mkdtemp(dir) || chmod(dir, 0777) < 0)
		return -1;
	snprintf(own, sizeof(own), "%s/own", dir);
	return 0;
}

static int teardown(void **state)
{
	char *line = xasprintf("rm -rf '%s'", dir);

	(void)state;
	if (system(line) != 0)
		return -1;
	free(line);
	return 0;
}

static int run(struct pattern_child *c, struct str *said)
{
	int fd;

	c->uid = c->gid = BED_USER;
	c->dir = own;
	fd = pattern_child_dir(c, &err);
	assert_true(fd >= 0);
	close(fd);
	return pattern_child_run(c, said, &err);
}

/* ---- what they do ---- */

static int make(const char *name)
{
	return open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
}

static int try_walls(const void *arg, int out, struct err *why)
{
	char other[PATH_MAX + 8], inside[PATH_MAX + 16];
	int fd;

	(void)arg;
	snprintf(other, sizeof(other), "%s/f", dir);
	snprintf(inside, sizeof(inside), "%s/f", own);
	fd = make(inside);
	if (fd < 0 || write(fd, "x", 1) != 1)
		return err_set(why, errno, "inside");
	if (getuid() != BED_USER || getgid() != BED_USER || setuid(0) == 0)
		return err_set(why, 0, "still somebody");
	/* Everybody may write there: it is Landlock that forbids it. */
	if (make(other) >= 0 || errno != EACCES)
		return err_set(why, errno, "outside");
	if (kill(getppid(), 0) == 0)
		return err_set(why, 0, "it may signal others");
	fd = open("/etc/passwd", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_set(why, errno, "/etc/passwd");
	return write(out, "well", 4) == 4 ? 0 : -1;
}

static void it_writes_in_its_directory_alone(void **state)
{
	struct pattern_child c = {.work = try_walls};
	struct str said = {0};
	int rc;

	(void)state;
	rc = run(&c, &said);
	if (rc < 0 && strstr(err.text, "outside")) {
		struct err ignored;

		/* A kernel without Landlock. */
		if (sandbox_landlock_writes("/nowhere", &ignored) == 0)
			skip();
	}
	if (rc < 0)
		fail_msg("%s", err.text);
	assert_string_equal(str_get(&said), "well");
	str_free(&said);
}

static int connect_out(const void *arg, int out, struct err *why)
{
	const struct sockaddr_in *to = arg;
	int sock = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)out;
	if (sock < 0 ||
	    connect(sock, (const struct sockaddr *)to, sizeof(*to)) < 0)
		return err_set(why, errno, "connect");
	execl("/bin/true", "true", (char *)NULL);
	return err_set(why, errno, "execl");
}

static void it_has_the_network_and_may_run_a_program(void **state)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
				.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(a);
	int sock = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct pattern_child c = {.work = connect_out, .arg = &a};
	struct str said = {0};

	(void)state;
	assert_int_equal(bind(sock, (struct sockaddr *)&a, len), 0);
	assert_int_equal(listen(sock, 1), 0);
	assert_int_equal(getsockname(sock, (struct sockaddr *)&a, &len), 0);
	if (run(&c, &said) < 0)
		fail_msg("%s", err.text);
	str_free(&said);
	close(sock);
}

static int give_up(const void *arg, int out, struct err *why)
{
	(void)out;
	return err_set(why, 0, "%s", (const char *)arg);
}

static void its_failure_is_told(void **state)
{
	struct pattern_child c = {.work = give_up, .arg = "because"};
	struct str said = {0};

	(void)state;
	assert_int_equal(run(&c, &said), -1);
	assert_string_equal(err.text, "because");
	str_free(&said);
}

static int crash(const void *arg, int out, struct err *why)
{
	(void)arg;
	(void)out;
	(void)why;
	raise(SIGKILL);
	return 0;
}

static void its_death_is_told(void **state)
{
	struct pattern_child c = {.work = crash};
	struct str said = {0};

	(void)state;
	assert_int_equal(run(&c, &said), -1);
	assert_non_null(strstr(err.text, "signal 9"));
	str_free(&said);
}

/* Many files, or one. */
static int fill(const void *arg, int out, struct err *why)
{
	static char buf[65536];
	char path[PATH_MAX + 32];
	int fd = -1;

	(void)out;
	memset(buf, 'x', sizeof(buf));
	for (int i = 0; i < 400; i++) {
		snprintf(path, sizeof(path), "%s/%d", own, arg ? i : 0);
		if (fd < 0 || arg)
			fd = make(path);
		if (fd < 0 || fd_write_all(fd, buf, sizeof(buf)) < 0)
			return err_set(why, errno, "write");
		usleep(10000);
	}
	return 0;
}

static void who_brings_too_much_is_ended(void **state)
{
	struct pattern_child c = {
		.work = fill, .bytes_max = 1 << 20, .patience_ms = 60000};
	struct str said = {0};

	(void)state;
	assert_int_equal(run(&c, &said), -1);
	assert_non_null(strstr(err.text, "1048576 bytes"));
	c.arg = "many";
	assert_int_equal(run(&c, &said), -1);
	assert_non_null(strstr(err.text, "1048576 bytes"));
	str_free(&said);
}

static int sleep_long(const void *arg, int out, struct err *why)
{
	(void)arg;
	(void)out;
	(void)why;
	sleep(60);
	return 0;
}

static void who_takes_too_long_is_ended(void **state)
{
	struct pattern_child c = {
		.work = sleep_long, .bytes_max = 1 << 20, .patience_ms = 500};
	struct str said = {0};

	(void)state;
	assert_int_equal(run(&c, &said), -1);
	assert_non_null(strstr(err.text, "too long"));
	str_free(&said);
}

static int be_silent(const void *arg, int out, struct err *why)
{
	close(out);
	return sleep_long(arg, out, why);
}

static void who_has_nothing_more_to_say_is_watched_all_the_same(void **state)
{
	struct pattern_child c = {
		.work = be_silent, .bytes_max = 1 << 20, .patience_ms = 500};
	struct str said = {0};

	(void)state;
	assert_int_equal(run(&c, &said), -1);
	assert_non_null(strstr(err.text, "too long"));
	str_free(&said);
}

static int work_long(const void *arg, int out, struct err *why)
{
	volatile unsigned long n = 0;

	(void)arg;
	(void)out;
	(void)why;
	for (;;)
		n++;
	return 0;
}

static void who_works_without_an_end_is_ended(void **state)
{
	struct pattern_child c = {.work = work_long,
				  .bytes_max = 1 << 20,
				  .patience_ms = 60000,
				  .cpu_seconds = 1};
	struct str said = {0};

	(void)state;
	assert_int_equal(run(&c, &said), -1);
	assert_string_equal(err.text, "what comes takes too much work");
	str_free(&said);
}

static int fill_names(const void *arg, int out, struct err *why)
{
	static char buf[65536];
	char path[PATH_MAX + 32], other[PATH_MAX + 36];
	int fd;

	(void)arg;
	(void)out;
	for (int i = 0; i < 400; i++) {
		snprintf(path, sizeof(path), "%s/%d", own, i);
		snprintf(other, sizeof(other), "%s.two", path);
		fd = make(path);
		if (fd < 0 || link(path, other) < 0 ||
		    fd_write_all(fd, buf, sizeof(buf)) < 0)
			return err_set(why, errno, "write");
		usleep(10000);
	}
	return 0;
}

static void files_with_two_names_count(void **state)
{
	struct pattern_child c = {
		.work = fill_names, .bytes_max = 1 << 20, .patience_ms = 60000};
	struct str said = {0};

	(void)state;
	assert_int_equal(run(&c, &said), -1);
	assert_non_null(strstr(err.text, "1048576 bytes"));
	str_free(&said);
}

static int stop(const void *arg, int out, struct err *why)
{
	raise(SIGSTOP);
	return be_silent(arg, out, why);
}

static void who_is_stopped_is_not_waited_for(void **state)
{
	struct pattern_child c = {.work = stop};
	struct str said = {0};

	(void)state;
	assert_int_equal(run(&c, &said), -1);
	assert_non_null(strstr(err.text, "was stopped"));
	str_free(&said);
}

static int say_much(const void *arg, int out, struct err *why)
{
	static const char line[1000];

	(void)arg;
	(void)why;
	for (int i = 0; i < 1000; i++)
		if (write(out, line, sizeof(line)) < 0)
			return -1;
	return 0;
}

static void who_says_too_much_is_ended(void **state)
{
	struct pattern_child c = {.work = say_much};
	struct str said = {0};

	(void)state;
	assert_int_equal(run(&c, &said), -1);
	assert_non_null(strstr(err.text, "too much"));
	str_free(&said);
}

static void its_directory_is_no_link(void **state)
{
	struct pattern_child c = {.uid = BED_USER, .gid = BED_USER, .dir = own};
	struct stat st;

	(void)state;
	assert_int_equal(symlink("/tmp", own), 0);
	assert_int_equal(pattern_child_dir(&c, &err), -1);
	assert_int_equal(stat("/tmp", &st), 0);
	assert_int_not_equal(st.st_uid, BED_USER);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(it_writes_in_its_directory_alone),
		T(it_has_the_network_and_may_run_a_program),
		T(its_failure_is_told),
		T(its_death_is_told),
		T(who_brings_too_much_is_ended),
		T(who_takes_too_long_is_ended),
		T(who_has_nothing_more_to_say_is_watched_all_the_same),
		T(who_works_without_an_end_is_ended),
		T(files_with_two_names_count),
		T(who_is_stopped_is_not_waited_for),
		T(who_says_too_much_is_ended),
		T(its_directory_is_no_link),
	};

	alarm(120);
	if (geteuid() != 0) {
		fprintf(stderr, "needs root: skipped\n");
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
