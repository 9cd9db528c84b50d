/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "lib/hist.h"

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void assert_near(uint64_t seen, uint64_t truth)
{
	if ((double)seen > (double)truth * 1.0906 ||
	    (double)seen < (double)truth / 1.0906)
		fail_msg("%llu is not within 9 %% of %llu",
			 (unsigned long long)seen, (unsigned long long)truth);
}

static void an_empty_one_has_no_quantile(void **state)
{
	static struct hist h;

	assert_int_equal(hist_count(&h), 0);
	assert_int_equal(hist_quantile(&h, 0.5), 0);
}

static void one_value_comes_back_within_9_percent_at_every_size(void **state)
{
	uint64_t ns;

	/* From 1 us to the last edge, 3 % at a time. */
	for (ns = 1000; ns < 1000ull << 33; ns += ns / 33) {
		struct hist h = {0};

		hist_add(&h, ns);
		assert_int_equal(hist_count(&h), 1);
		assert_near(hist_quantile(&h, 0.01), ns);
		assert_near(hist_quantile(&h, 0.5), ns);
		assert_near(hist_quantile(&h, 1), ns);
	}
}

static void buckets_keep_the_order_of_values(void **state)
{
	uint64_t ns, last = 0, seen;

	for (ns = 1000; ns < 1000ull << 33; ns += ns / 100) {
		struct hist h = {0};

		hist_add(&h, ns);
		seen = hist_quantile(&h, 0.5);
		assert_true(seen >= last);
		last = seen;
	}
}

static void quantiles_of_many_values_are_within_9_percent(void **state)
{
	static const double q[] = {0.001, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999};
	static uint64_t v[20000];
	static struct hist h;
	unsigned int seed = 7, i;
	const size_t n = sizeof(v) / sizeof(v[0]);

	for (i = 0; i < n; i++) {
		/* Spread over six decades. */
		v[i] = 1000 + (uint64_t)rand_r(&seed) % 1000 *
				      (1ull << (rand_r(&seed) % 20));
		hist_add(&h, v[i]);
	}
	qsort(v, n, sizeof(v[0]), compare);
	assert_int_equal(hist_count(&h), n);
	for (i = 0; i < sizeof(q) / sizeof(q[0]); i++)
		assert_near(hist_quantile(&h, q[i]),
			    v[(size_t)(q[i] * (double)n)]);
}

static void what_lies_outside_goes_into_the_end_buckets(void **state)
{
	static struct hist h;

	hist_add(&h, 0);
	hist_add(&h, 999);
	hist_add(&h, UINT64_MAX);
	hist_add(&h, 1000ull << 33);
	assert_int_equal(atomic_load(&h.bucket[0]), 2);
	assert_int_equal(atomic_load(&h.bucket[HIST_BUCKETS - 1]), 2);
}

static void it_reaches_over_an_hour(void **state)
{
	struct hist h = {0};

	hist_add(&h, 3600ull * 1000000000ull);
	assert_near(hist_quantile(&h, 0.5), 3600ull * 1000000000ull);
}

static void merge_adds_all_counts(void **state)
{
	static struct hist a, b;

	hist_add(&a, 5000);
	hist_add(&b, 5000);
	hist_add(&b, 7000000);
	hist_merge(&a, &b);
	assert_int_equal(hist_count(&a), 3);
	assert_int_equal(hist_count(&b), 2);
	assert_near(hist_quantile(&a, 0.5), 5000);
	assert_near(hist_quantile(&a, 1), 7000000);
}

static void a_share_outside_0_to_1_is_taken_as_the_end(void **state)
{
	static struct hist h;

	hist_add(&h, 2000);
	hist_add(&h, 9000000);
	assert_near(hist_quantile(&h, -1), 2000);
	assert_near(hist_quantile(&h, 2), 9000000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_one_has_no_quantile),
		cmocka_unit_test(
			one_value_comes_back_within_9_percent_at_every_size),
		cmocka_unit_test(buckets_keep_the_order_of_values),
		cmocka_unit_test(quantiles_of_many_values_are_within_9_percent),
		cmocka_unit_test(what_lies_outside_goes_into_the_end_buckets),
		cmocka_unit_test(it_reaches_over_an_hour),
		cmocka_unit_test(merge_adds_all_counts),
		cmocka_unit_test(a_share_outside_0_to_1_is_taken_as_the_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
