/* monitor/histogram.h: percentiles against the samples themselves, sorted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "monitor/histogram.h"

#define LAST (STATS_BUCKETS - 1)

static const double fractions[] = { 0.001, 0.25, 0.5, 0.9, 0.99, 0.999, 1 };
#define FRACTIONS (sizeof fractions / sizeof fractions[0])

static double low_s(unsigned bucket)
{
	return bucket ? (double)stats_bucket_limit_ns(bucket - 1) / 1e9 : 0;
}

static double high_s(unsigned bucket)
{
	return (double)stats_bucket_limit_ns(bucket) / 1e9;
}

static int ns_order(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static void an_empty_histogram_knows_nothing(void **state)
{
	const uint64_t bucket[STATS_BUCKETS] = { 0 };

	(void)state;
	assert_int_equal(histogram_count(bucket), 0);
	for (size_t i = 0; i < FRACTIONS; i++)
		assert_true(isnan(histogram_percentile(bucket, fractions[i])));
}

static void one_value_is_every_percentile_within_its_bucket(void **state)
{
	(void)state;
	for (unsigned b = 0; b < LAST; b++) {
		uint64_t bucket[STATS_BUCKETS] = { 0 };

		bucket[b] = 1;
		assert_int_equal(histogram_count(bucket), 1);
		for (size_t i = 0; i < FRACTIONS; i++) {
			double value = histogram_percentile(bucket, fractions[i]);

			assert_true(value > low_s(b) && value <= high_s(b));
		}
		assert_true(histogram_percentile(bucket, 1) == high_s(b));
	}
}

static void the_last_bucket_is_open_and_says_at_least(void **state)
{
	uint64_t bucket[STATS_BUCKETS] = { 0 };

	(void)state;
	bucket[LAST] = 1000;
	for (size_t i = 0; i < FRACTIONS; i++)
		assert_true(histogram_percentile(bucket, fractions[i]) == low_s(LAST));
	bucket[0] = 1000;
	assert_true(histogram_percentile(bucket, 0.5) <= high_s(0));
	assert_true(histogram_percentile(bucket, 0.51) == low_s(LAST));
}

/* Latencies from below a microsecond to tens of seconds, each power of two as likely as the others. */
static uint64_t any_latency_ns(unsigned *seed)
{
	uint64_t random = (uint64_t)(unsigned)rand_r(seed) << 31 | (uint64_t)(unsigned)rand_r(seed);

	return random >> (26 + (unsigned)rand_r(seed) % 30);
}

static void a_percentile_lies_in_the_bucket_of_the_sample_it_stands_for(void **state)
{
	unsigned seed = 20261124;
	uint64_t sample[3000];

	(void)state;
	for (int round = 0; round < 300; round++) {
		size_t count = 1 + (size_t)rand_r(&seed) % 3000;
		uint64_t bucket[STATS_BUCKETS] = { 0 };
		double before = 0;

		for (size_t i = 0; i < count; i++) {
			sample[i] = any_latency_ns(&seed);
			bucket[stats_bucket(sample[i])]++;
		}
		qsort(sample, count, sizeof sample[0], ns_order);
		assert_int_equal(histogram_count(bucket), count);
		for (size_t i = 0; i < FRACTIONS; i++) {
			double value = histogram_percentile(bucket, fractions[i]);
			uint64_t truth = sample[(size_t)ceil(fractions[i] * (double)count) - 1];
			unsigned b = stats_bucket(truth);

			assert_true(value >= low_s(b));
			assert_true(b == LAST || value <= high_s(b));
			assert_true(value >= before);
			before = value;
		}
	}
}

static void a_bucket_is_at_most_a_quarter_of_its_latency_wide(void **state)
{
	(void)state;
	for (unsigned b = 4; b < LAST; b++)
		assert_true((high_s(b) - low_s(b)) / low_s(b) <= 0.25 + 1e-9);
}

static void a_row_of_the_heat_map_holds_exactly_the_latencies_below_its_limit(void **state)
{
	(void)state;
	assert_true(heat_limit_s(0) == 4e-6);
	assert_true(isinf(heat_limit_s(HEAT_BUCKETS - 1)));
	for (unsigned b = 0; b < STATS_BUCKETS; b++) {
		unsigned row = heat_bucket(b);

		assert_in_range(row, 0, HEAT_BUCKETS - 1);
		assert_true(b == LAST || high_s(b) <= heat_limit_s(row) * (1 + 1e-12));
		assert_true(row == 0 || low_s(b) >= heat_limit_s(row - 1) * (1 - 1e-12));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_histogram_knows_nothing),
		cmocka_unit_test(one_value_is_every_percentile_within_its_bucket),
		cmocka_unit_test(the_last_bucket_is_open_and_says_at_least),
		cmocka_unit_test(a_percentile_lies_in_the_bucket_of_the_sample_it_stands_for),
		cmocka_unit_test(a_bucket_is_at_most_a_quarter_of_its_latency_wide),
		cmocka_unit_test(a_row_of_the_heat_map_holds_exactly_the_latencies_below_its_limit),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
