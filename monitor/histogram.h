/* Percentiles and means of log-linear latency histograms (stats.h). Pure. */
#ifndef LUNETTE_MONITOR_HISTOGRAM_H
#define LUNETTE_MONITOR_HISTOGRAM_H

#include <stdint.h>

#include "stats.h"

#define HEAT_BUCKETS 24 /* rows of a heat map, one a power of two: below 4 us (row 0) to 16 s and more */

/* The upper limit, in seconds, of the bucket that holds the fraction (0 < fraction <= 1) of what was counted, in a straight
 * line within the bucket; NAN when nothing was. Never below the true value by more than a bucket's width. */
double histogram_percentile(const uint64_t bucket[STATS_BUCKETS], double fraction);
uint64_t histogram_count(const uint64_t bucket[STATS_BUCKETS]);
unsigned heat_bucket(unsigned bucket);         /* row of a bucket of stats_bucket() */
double heat_limit_s(unsigned row);             /* first latency above the row, in seconds; INFINITY for the last */

#endif
