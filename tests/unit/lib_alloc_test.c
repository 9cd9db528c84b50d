/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/alloc.h"

/* So that the allocator of a sanitizer build fails as the real one does. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "allocator_may_return_null=1";
}

/* How a child that runs fn() ends; its core and complaints kept away. */
static int ended_by(void (*fn)(void))
{
	struct rlimit none = {0, 0};
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		setrlimit(RLIMIT_CORE, &none);
		signal(SIGABRT, SIG_DFL);
		if (!freopen("/dev/null", "w", stderr))
			_exit(9);
		fn();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

/* volatile: the compiler would see through sizes that cannot be had. */
static volatile size_t too_much = SIZE_MAX / 4;

static void overflowing_array(void)
{
	/* 16 bytes, once the carry is lost. */
	free(xreallocarray(NULL, too_much / 4 + 2, 16));
}

static void impossible_malloc(void)
{
	free(xmalloc(too_much));
}

static void size_zero_is_no_failure(void **state)
{
	void *p;

	p = xmalloc(0);
	assert_non_null(p);
	free(p);
	p = xcalloc(0, 8);
	assert_non_null(p);
	p = xrealloc(p, 0);
	assert_non_null(p);
	free(p);
}

static void calloc_gives_zeros(void **state)
{
	char *p = xcalloc(100, 3);
	int i;

	for (i = 0; i < 300; i++)
		assert_int_equal(p[i], 0);
	free(p);
}

static void strings_are_copied(void **state)
{
	char *s = xstrdup("abc"), *t = xstrndup("abcdef", 2);
	char *u = xasprintf("%s-%d", s, 5);

	assert_string_equal(s, "abc");
	assert_string_equal(t, "ab");
	assert_string_equal(u, "abc-5");
	xfree(&s);
	assert_null(s);
	free(t);
	free(u);
}

static void an_array_size_that_overflows_ends_the_process(void **state)
{
	assert_int_equal(ended_by(overflowing_array), SIGABRT);
}

static void memory_that_cannot_be_had_ends_the_process(void **state)
{
	assert_int_equal(ended_by(impossible_malloc), SIGABRT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(size_zero_is_no_failure),
		cmocka_unit_test(calloc_gives_zeros),
		cmocka_unit_test(strings_are_copied),
		cmocka_unit_test(an_array_size_that_overflows_ends_the_process),
		cmocka_unit_test(memory_that_cannot_be_had_ends_the_process),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
