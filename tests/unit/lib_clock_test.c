/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lib/clock.h"

static void mono_never_goes_back_and_counts_nanoseconds(void **state)
{
	uint64_t a = clock_mono_ns(), b;

	usleep(20000);
	b = clock_mono_ns();
	assert_true(b - a >= 20 * CLOCK_NS_PER_MS);
	assert_true(b - a < 5 * CLOCK_NS_PER_S);
}

static void real_is_the_time_of_day(void **state)
{
	int64_t s = clock_real_ns() / (int64_t)CLOCK_NS_PER_S;

	assert_in_range(s, time(NULL) - 1, time(NULL) + 1);
}

static void coarse_is_the_clock_of_ctime(void **state)
{
	char path[] = "/tmp/splx-clock-XXXXXX";
	int64_t before, after, ctime;
	struct stat st;
	int i, fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_int_equal(unlink(path), 0);
	/* A finer clock would be past ctime in most rounds. */
	for (i = 0; i < 1000; i++) {
		before = clock_coarse_ns();
		assert_int_equal(fchmod(fd, 0640), 0);
		assert_int_equal(fstat(fd, &st), 0);
		after = clock_real_ns();
		ctime = clock_timespec_ns(&st.st_ctim);
		assert_true(ctime >= before && ctime <= after);
	}
	close(fd);
	assert_true(after - before < (int64_t)CLOCK_NS_PER_S);
}

static void timespec_becomes_nanoseconds(void **state)
{
	struct timespec ts = {.tv_sec = 5000000000ll, .tv_nsec = 7};

	assert_true(clock_timespec_ns(&ts) == 5000000000000000007ll);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mono_never_goes_back_and_counts_nanoseconds),
		cmocka_unit_test(real_is_the_time_of_day),
		cmocka_unit_test(coarse_is_the_clock_of_ctime),
		cmocka_unit_test(timespec_becomes_nanoseconds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
