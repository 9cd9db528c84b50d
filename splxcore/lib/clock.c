/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "clock.h"

#include "log.h"

static struct timespec clock_read(clockid_t id)
{
	struct timespec ts;

	if (clock_gettime(id, &ts) < 0)
		panic("clock_gettime(%d): %m", (int)id);
	return ts;
}

uint64_t clock_mono_ns(void)
{
	struct timespec ts = clock_read(CLOCK_MONOTONIC);

	return (uint64_t)clock_timespec_ns(&ts);
}

int64_t clock_real_ns(void)
{
	struct timespec ts = clock_read(CLOCK_REALTIME);

	return clock_timespec_ns(&ts);
}

int64_t clock_coarse_ns(void)
{
	struct timespec ts = clock_read(CLOCK_REALTIME_COARSE);

	return clock_timespec_ns(&ts);
}

int64_t clock_timespec_ns(const struct timespec *ts)
{
	return (int64_t)ts->tv_sec * (int64_t)CLOCK_NS_PER_S + ts->tv_nsec;
}
