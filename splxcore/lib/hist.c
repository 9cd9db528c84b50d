/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "hist.h"

#define HIST_STEPS 8		    /* buckets an octave */
#define HIST_UNIT_NS 1000	    /* where the first bucket begins */
#define HIST_MAX_NS (1000ull << 33) /* where the last one ends */

/* 2^(k/8) with 32 bits behind the point. */
static const uint64_t hist_edge[HIST_STEPS] = {
	4294967296, 4683695047, 5107605667, 5569883475,
	6074000999, 6623745058, 7223245205, 7877004751,
};

_Static_assert(HIST_BUCKETS == 33 * HIST_STEPS, "33 octaves");

/* Where bucket i begins, in ns; i may be HIST_BUCKETS. */
static double hist_begin(unsigned int i)
{
	double edge = (double)hist_edge[i % HIST_STEPS] / 4294967296.0;

	return HIST_UNIT_NS * edge * (double)(1ull << (i / HIST_STEPS));
}

static unsigned int hist_index(uint64_t ns)
{
	unsigned int octave, step;
	uint64_t mantissa;

	if (ns <= HIST_UNIT_NS)
		return 0;
	if (ns >= HIST_MAX_NS)
		return HIST_BUCKETS - 1;
	octave = 63 - (unsigned int)__builtin_clzll(ns / HIST_UNIT_NS);
	/* 1.0 to 2.0 with 16 bits behind the point; ns has 44 bits. */
	mantissa = (ns << 16) / ((uint64_t)HIST_UNIT_NS << octave);
	for (step = HIST_STEPS - 1; step > 0; step--)
		if (mantissa >= hist_edge[step] >> 16)
			break;
	return octave * HIST_STEPS + step;
}

void hist_add(struct hist *h, uint64_t ns)
{
	atomic_fetch_add_explicit(&h->bucket[hist_index(ns)], 1,
				  memory_order_relaxed);
}

void hist_merge(struct hist *into, const struct hist *from)
{
	unsigned int i;
	uint64_t n;

	for (i = 0; i < HIST_BUCKETS; i++) {
		n = atomic_load_explicit(&from->bucket[i],
					 memory_order_relaxed);
		if (n)
			atomic_fetch_add_explicit(&into->bucket[i], n,
						  memory_order_relaxed);
	}
}

uint64_t hist_count(const struct hist *h)
{
	uint64_t sum = 0;
	unsigned int i;

	for (i = 0; i < HIST_BUCKETS; i++)
		sum += atomic_load_explicit(&h->bucket[i],
					    memory_order_relaxed);
	return sum;
}

uint64_t hist_quantile(const struct hist *h, double q)
{
	uint64_t n[HIST_BUCKETS], total = 0;
	unsigned int i, last = 0;
	double want, below = 0, begin, share;

	/* A copy: the writer may add while we count. */
	for (i = 0; i < HIST_BUCKETS; i++) {
		n[i] = atomic_load_explicit(&h->bucket[i],
					    memory_order_relaxed);
		total += n[i];
		if (n[i])
			last = i;
	}
	if (total == 0)
		return 0;
	want = (q < 0 ? 0 : q > 1 ? 1 : q) * (double)total;
	for (i = 0; i < last; i++) {
		if (n[i] && below + (double)n[i] >= want)
			break;
		below += (double)n[i];
	}
	begin = hist_begin(i);
	share = (want - below) / (double)n[i];
	return (uint64_t)(begin + (hist_begin(i + 1) - begin) * share);
}
