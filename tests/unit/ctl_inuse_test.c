/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ctl/inuse.h"
#include "lib/str.h"

#define PAGE 4096

/* A program of the test is a page that somebody has mapped. */
static char dir[] = "/tmp/splx-inuse-XXXXXX";
static pid_t users[8];
static int user_count;

static const char *at(const char *name)
{
	static char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

/* What of the test's own files a walk came to. */
struct seen {
	int files;
	char first_byte;
	char path[PATH_MAX];
	const char *skip; /* this one is to be left out */
	int stop_after;	  /* of all files; 0: never */
	int all;
};

static int on_file(int fd, const struct stat *st, const char *path, void *arg)
{
	struct seen *s = arg;

	assert_true(S_ISREG(st->st_mode));
	s->all++;
	if (str_starts(path, dir)) {
		s->files++;
		assert_int_equal(pread(fd, &s->first_byte, 1, 0), 1);
		str_copy(s->path, sizeof(s->path), path);
	}
	return s->stop_after && s->all >= s->stop_after;
}

static bool on_skip(const char *path, bool directory, void *arg)
{
	struct seen *s = arg;

	return s->skip && strcmp(path, s->skip) == 0;
}

static void on_error(const char *path, int code, void *arg)
{
	/* Other people's processes come and go. */
	(void)path, (void)code, (void)arg;
}

static const struct walk_ops ops = {
	.file = on_file,
	.skip = on_skip,
	.error = on_error,
};

static struct seen walk_for(const char *skip)
{
	struct conf *conf = conf_new();
	struct seen s = {.skip = skip};

	assert_int_equal(inuse_walk(conf, &ops, &s), 0);
	conf_free(&conf);
	return s;
}

/* A file of one page, and a process that has it mapped. */
static void use(const char *name, char first_byte, int prot)
{
	char page[PAGE] = {first_byte};
	int fd = open(at(name), O_RDWR | O_CREAT, 0755), ready[2];

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, page, PAGE, 0), PAGE);
	assert_int_equal(pipe(ready), 0);
	users[user_count] = fork();
	if (!users[user_count]) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (mmap(NULL, PAGE, prot, MAP_PRIVATE, fd, 0) == MAP_FAILED)
			_exit(1);
		if (write(ready[1], "", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	user_count++;
	close(ready[1]);
	assert_int_equal(read(ready[0], page, 1), 1);
	close(ready[0]);
	close(fd);
}

static int setup(void **state)
{
	strcpy(dir + strlen("/tmp/splx-inuse-"), "XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
	while (user_count > 0) {
		kill(users[--user_count], SIGKILL);
		waitpid(users[user_count], NULL, 0);
	}
	unlink(at("a"));
	unlink(at("b"));
	return rmdir(dir);
}

static void what_two_run_is_seen_once(void **state)
{
	struct seen s;

	use("a", 'x', PROT_READ | PROT_EXEC);
	use("a", 'x', PROT_READ | PROT_EXEC);
	s = walk_for(NULL);
	assert_int_equal(s.files, 1);
	assert_string_equal(s.path, at("a"));
	/* the test itself, its libraries */
	assert_true(s.all > 1);
}

static void what_is_mapped_as_data_is_not_in_use(void **state)
{
	use("a", 'x', PROT_READ);
	assert_int_equal(walk_for(NULL).files, 0);
}

static void the_file_is_the_one_that_runs_not_its_successor(void **state)
{
	char gone[PATH_MAX + 16];
	struct seen s;
	int fd;

	use("a", 'x', PROT_READ | PROT_EXEC);
	assert_int_equal(unlink(at("a")), 0);
	fd = open(at("a"), O_RDWR | O_CREAT, 0755);
	assert_int_equal(write(fd, "new", 3), 3);
	close(fd);
	s = walk_for(NULL);
	assert_int_equal(s.files, 1);
	assert_int_equal(s.first_byte, 'x');
	snprintf(gone, sizeof(gone), "%s (deleted)", at("a"));
	assert_string_equal(s.path, gone);
}

static void what_is_skipped_is_not_opened(void **state)
{
	struct seen s;

	use("a", 'a', PROT_READ | PROT_EXEC);
	use("b", 'b', PROT_READ | PROT_EXEC);
	s = walk_for(at("a"));
	assert_int_equal(s.files, 1);
	assert_int_equal(s.first_byte, 'b');
}

static void a_callback_ends_it(void **state)
{
	struct conf *conf = conf_new();
	struct seen s = {.stop_after = 1};

	assert_int_equal(inuse_walk(conf, &ops, &s), 1);
	assert_int_equal(s.all, 1);
	conf_free(&conf);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(what_two_run_is_seen_once),
		T(what_is_mapped_as_data_is_not_in_use),
		T(the_file_is_the_one_that_runs_not_its_successor),
		T(what_is_skipped_is_not_opened),
		T(a_callback_ends_it),
	};

	if (geteuid() != 0) {
		puts("skip: what others run only root may see");
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
