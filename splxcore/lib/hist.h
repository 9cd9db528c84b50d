/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_LIB_HIST_H
#define SPLX_LIB_HIST_H

#include <stdatomic.h>
#include <stdint.h>

/*
 * A histogram of durations from 1 us to over an hour in constant memory:
 * eight buckets an octave, so a quantile is within 9 % of the truth. It may
 * live in shared memory: one writer, any readers.
 */
#define HIST_BUCKETS 264

struct hist {
	_Atomic uint64_t bucket[HIST_BUCKETS];
};

void hist_add(struct hist *h, uint64_t ns);
/* Adds all of `from` to `into`. */
void hist_merge(struct hist *into, const struct hist *from);
uint64_t hist_count(const struct hist *h);
/* The duration in ns below which the share q (0..1) lies; 0 when empty. */
uint64_t hist_quantile(const struct hist *h, double q);

#endif
