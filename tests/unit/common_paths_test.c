/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/paths.h"
#include "common/state.h"
#include "lib/fdutil.h"
#include "lib/str.h"

/* paths_init() counts once a process, so each test is a child. */
static int in_child(void (*fn)(void))
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		close(STDERR_FILENO);
		fn();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

#define CHECK(what)                                                            \
	do {                                                                   \
		if (!(what))                                                   \
			_exit(__LINE__ % 200 + 1);                             \
	} while (0)

static void installed(void)
{
	unsetenv("SPLX_ROOT");
	paths_init(NULL);
	CHECK(strcmp(paths()->root, "") == 0);
	CHECK(strcmp(paths()->conf, "/etc/splx/splx.conf") == 0);
	CHECK(strcmp(paths()->entity_sock, "/run/splx/entity.sock") == 0);
	CHECK(strcmp(paths()->store, "/var/lib/splx/splx.db") == 0);
	CHECK(strcmp(paths()->libexec_dir, "/usr/lib/splx") == 0);
}

static void without_a_root_the_paths_are_the_installed_ones(void **state)
{
	assert_int_equal(in_child(installed), 0);
}

static void staged(void)
{
	setenv("SPLX_ROOT", "/somewhere/else", 1);
	paths_init("/stage//");
	CHECK(strcmp(paths()->root, "/stage") == 0);
	CHECK(strcmp(paths()->conf, "/stage/etc/splx/splx.conf") == 0);
	CHECK(strcmp(paths()->builtin_dir, "/stage/usr/share/splx/patterns") ==
	      0);
	paths_init("/stage");
}

static void a_given_root_goes_before_the_environment(void **state)
{
	assert_int_equal(in_child(staged), 0);
}

static void from_environment(void)
{
	setenv("SPLX_ROOT", "/stage", 1);
	paths_init(NULL);
	CHECK(strcmp(paths()->run_dir, "/stage/run/splx") == 0);
}

static void the_environment_names_a_root(void **state)
{
	assert_int_equal(in_child(from_environment), 0);
}

static void relative(void)
{
	CHECK(chdir("/usr") == 0);
	paths_init("lib");
	CHECK(paths()->conf[0] == '/');
	CHECK(str_ends(paths()->conf, "/lib/etc/splx/splx.conf"));
	CHECK(chdir("/") == 0);
}

static void a_relative_root_is_made_full(void **state)
{
	assert_int_equal(in_child(relative), 0);
}

static void two_roots(void)
{
	paths_init("/a");
	paths_init("/b");
}

static void no_root(void)
{
	paths();
}

static void misuse_ends_the_process(void **state)
{
	int status = in_child(two_roots);

	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	status = in_child(no_root);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

static char stage[] = "/tmp/splx_paths_XXXXXX";

static void tell_state(void)
{
	struct err err = {0};
	json_t *state, *back;

	paths_init(stage);
	CHECK(!state_read(&err));
	CHECK(err.code == ENOENT);
	CHECK(fd_mkdirs(paths()->run_dir, 0755, &err) == 0);
	state = json_pack("{s:i, s:s}", "generation", 3, "interceptor", "off");
	CHECK(state_write(state, &err) == 0);
	back = state_read(&err);
	CHECK(json_equal(state, back));
	json_decref(state);
	json_decref(back);
	CHECK(fd_replace_file(paths()->state_file, "{\"a\":", 5, 0644, &err) ==
	      0);
	CHECK(!state_read(&err));
	CHECK(fd_replace_file(paths()->state_file, "[]", 2, 0644, &err) == 0);
	CHECK(!state_read(&err));
	unlink(paths()->state_file);
}

static void the_state_is_written_whole_and_read_back(void **state)
{
	char path[64];

	assert_non_null(mkdtemp(stage));
	assert_int_equal(in_child(tell_state), 0);
	snprintf(path, sizeof(path), "%s/run/splx", stage);
	assert_int_equal(rmdir(path), 0);
	snprintf(path, sizeof(path), "%s/run", stage);
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(rmdir(stage), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			without_a_root_the_paths_are_the_installed_ones),
		cmocka_unit_test(a_given_root_goes_before_the_environment),
		cmocka_unit_test(the_environment_names_a_root),
		cmocka_unit_test(a_relative_root_is_made_full),
		cmocka_unit_test(misuse_ends_the_process),
		cmocka_unit_test(the_state_is_written_whole_and_read_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
