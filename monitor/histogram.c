/* Percentiles of log-linear histograms: see histogram.h. */
#include "monitor/histogram.h"

#include <math.h>

uint64_t histogram_count(const uint64_t bucket[STATS_BUCKETS])
{
	uint64_t count = 0;

	for (unsigned i = 0; i < STATS_BUCKETS; i++)
		count += bucket[i];
	return count;
}

/* The last bucket is open: at least its lower limit. */
static double inside(unsigned bucket, double part)
{
	double low = bucket ? (double)stats_bucket_limit_ns(bucket - 1) : 0;
	double high = bucket + 1 < STATS_BUCKETS ? (double)stats_bucket_limit_ns(bucket) : low;

	return (low + (high - low) * part) / 1e9;
}

double histogram_percentile(const uint64_t bucket[STATS_BUCKETS], double fraction)
{
	double wanted = fraction * (double)histogram_count(bucket);
	uint64_t below = 0;

	for (unsigned i = 0; i < STATS_BUCKETS; i++) {
		if (bucket[i] && (double)(below + bucket[i]) >= wanted)
			return inside(i, (wanted - (double)below) / (double)bucket[i]);
		below += bucket[i];
	}
	return NAN;
}

/* Four buckets a power of two: heat row 0 is below 4 us, row n below 4 us * 2^n. */
unsigned heat_bucket(unsigned bucket)
{
	return bucket / 4 < HEAT_BUCKETS ? bucket / 4 : HEAT_BUCKETS - 1;
}

double heat_limit_s(unsigned row)
{
	return row + 1 >= HEAT_BUCKETS ? INFINITY : 4e-6 * (double)(1u << row);
}
