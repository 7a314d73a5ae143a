/*
 * Reading the workers' counters: the slots of one object are added up over reactors and workers. For /metrics and for the
 * sampler. Control thread (segments are mapped and unmapped there).
 */
#ifndef LUNETTE_MONITOR_COLLECT_H
#define LUNETTE_MONITOR_COLLECT_H

#include <stddef.h>
#include <stdint.h>

#include "monitor/metric.h"
#include "stats.h"

/* One object, added up. Kinds: LUN, TARGET, SESSION, WORKER (named by its index), and one HOST (named by the caller), the
 * sum of the workers' slots. */
struct counters {
	struct object_name object;
	uint64_t workers; /* a bit for each worker whose slots are in it (number modulo 64) */
	uint64_t value[STATS_COUNTERS];
	uint64_t bucket[STATS_HISTOGRAMS][STATS_BUCKETS];
	uint64_t sum_ns[STATS_HISTOGRAMS];
};

struct counter_row { /* counters.def */
	const char *name, *unit, *meaning;
	bool gauge;
};
extern const struct counter_row counter_rows[STATS_COUNTERS];

/* segments: one a worker, NULL where there is none. sessions_max: further sessions are left out (the first in order of
 * names stay). Sorted by object_compare; *ret_list is the caller's to free; 0 and NULL without memory. */
size_t collect(const struct stats_segment *const *segments, unsigned worker_count, const char *host, size_t sessions_max,
	       struct counters **ret_list);

#endif
