/*
 * From counters to values: what one object did since its last sample. Pure but for the object's own memory of it.
 */
#ifndef LUNETTE_MONITOR_SAMPLER_H
#define LUNETTE_MONITOR_SAMPLER_H

#include <stdbool.h>
#include <stdint.h>

#include "monitor/collect.h"
#include "monitor/histogram.h"
#include "monitor/metric.h"

#define SAMPLE_GAP_NS (5 * UINT64_C(1000000000)) /* a longer time between two samples is a gap, not an average */

/* What an object's counters were. All zero at first. */
struct sampler {
	bool known;
	uint64_t sampled_ns;     /* monotonic */
	struct counters counters; /* but for the object */
};

struct sample {
	double value[METRICS];   /* NAN: unknown, not of this kind, or GIVEN */
	bool active;             /* something was counted since the last sample */
	/* operations by latency since the last sample; not set when nothing is known */
	uint64_t heat_reads[HEAT_BUCKETS], heat_writes[HEAT_BUCKETS];
};

/* The object was not there at sampled_ns, though these workers (struct counters) were sampled then: whatever is counted was
 * counted since. */
void sampler_begin(struct sampler *sampler, uint64_t workers, uint64_t sampled_ns);
/* At first sight, after a gap, when a counter fell (its worker was restarted) and when other workers count than before, rates
 * and latencies are unknown: never a spike, never negative. */
void sampler_take(struct sampler *sampler, const struct counters *counters, uint64_t now_ns, struct sample *ret_sample);

#endif
