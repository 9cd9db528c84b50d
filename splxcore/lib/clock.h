/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_LIB_CLOCK_H
#define SPLX_LIB_CLOCK_H

#include <stdint.h>
#include <time.h>

#define CLOCK_NS_PER_MS 1000000ull
#define CLOCK_NS_PER_S 1000000000ull

/* CLOCK_MONOTONIC in nanoseconds: for every duration and deadline. */
uint64_t clock_mono_ns(void);
/* CLOCK_REALTIME in nanoseconds since 1970: for what people read. */
int64_t clock_real_ns(void);
/*
 * CLOCK_REALTIME_COARSE in nanoseconds: the clock that file systems stamp
 * ctime with (current_time() in the kernel), so the one to compare it with.
 */
int64_t clock_coarse_ns(void);
int64_t clock_timespec_ns(const struct timespec *ts);

#endif
