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

double histogram_percentile(const uint64_t bucket[STATS_BUCKETS], double fraction)
{
	uint64_t count = histogram_count(bucket);
	double wanted = fraction * (double)count, below = 0;

	for (unsigned i = 0; i < STATS_BUCKETS; i++) {
		double low = i ? (double)stats_bucket_limit_ns(i - 1) : 0, high = (double)stats_bucket_limit_ns(i);

		if (bucket[i] == 0 || below + (double)bucket[i] < wanted) {
			below += (double)bucket[i];
			continue;
		}
		if (i + 1 == STATS_BUCKETS)
			return low / 1e9; /* open: at least that */
		return (low + (high - low) * (wanted - below) / (double)bucket[i]) / 1e9;
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
