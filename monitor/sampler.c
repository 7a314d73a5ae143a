/* From counters to values: see sampler.h. */
#include "monitor/sampler.h"

#include <math.h>
#include <string.h>

#define NS 1e9

struct difference {
	const struct counters *now, *before; /* before NULL: nothing is known but levels */
	double seconds;
	uint64_t bucket[STATS_HISTOGRAMS][STATS_BUCKETS]; /* set where count is not 0 */
	uint64_t count[STATS_HISTOGRAMS];                 /* operations since before */
};

/* False: a bucket fell. */
static bool subtract_histogram(struct difference *d, const struct counters *before, unsigned histogram)
{
	const uint64_t *now = d->now->bucket[histogram], *then = before->bucket[histogram];
	bool fell = d->now->sum_ns[histogram] < before->sum_ns[histogram];

	if (d->now->sum_ns[histogram] == before->sum_ns[histogram])
		return true;
	for (unsigned i = 0; i < STATS_BUCKETS; i++) {
		d->bucket[histogram][i] = now[i] - then[i];
		fell |= now[i] < then[i];
	}
	d->count[histogram] = histogram_count(d->bucket[histogram]);
	return !fell;
}

/* False: a counter fell. */
static bool subtract(struct difference *d, const struct counters *before)
{
	for (unsigned i = 0; i < STATS_COUNTERS; i++)
		if (!counter_rows[i].gauge && d->now->value[i] < before->value[i])
			return false;
	for (unsigned h = 0; h < STATS_HISTOGRAMS; h++)
		if (!subtract_histogram(d, before, h))
			return false;
	return true;
}

static double growth(const struct difference *d, int counter)
{
	return counter < 0 ? 0 : (double)(d->now->value[counter] - d->before->value[counter]);
}

static double percentile(const struct difference *d, int histogram, double fraction)
{
	return d->count[histogram] ? histogram_percentile(d->bucket[histogram], fraction) : NAN;
}

static double mean(const struct difference *d, int histogram)
{
	uint64_t sum_ns = d->now->sum_ns[histogram] - d->before->sum_ns[histogram];

	return d->count[histogram] ? (double)sum_ns / NS / (double)d->count[histogram] : NAN;
}

/* Reactors are read one after another: what moved from one to another meanwhile may be missing twice. */
static double level(uint64_t value)
{
	return value <= INT64_MAX ? (double)value : 0;
}

static double value_of(const struct metric_row *row, const struct difference *d)
{
	if (row->how == HOW_LEVEL)
		return level(d->now->value[row->source]);
	if (!d->before)
		return NAN;
	switch (row->how) {
	case HOW_RATE:
		return (growth(d, row->source) + growth(d, row->second)) / d->seconds;
	case HOW_CPU:
		return 100 * growth(d, row->source) / NS / d->seconds;
	case HOW_P50:
		return percentile(d, row->source, 0.5);
	case HOW_P99:
		return percentile(d, row->source, 0.99);
	case HOW_P999:
		return percentile(d, row->source, 0.999);
	case HOW_MEAN:
		return mean(d, row->source);
	case HOW_LEVEL:
	case HOW_GIVEN:
		break;
	}
	return NAN;
}

static bool counted(const struct counters *now, const struct counters *before)
{
	for (unsigned i = 0; i < STATS_COUNTERS; i++)
		if (!counter_rows[i].gauge && now->value[i] != before->value[i])
			return true;
	return false;
}

static void heat_of(const struct difference *d, unsigned histogram, uint64_t ret_heat[HEAT_BUCKETS])
{
	for (unsigned i = 0; d->count[histogram] && i < STATS_BUCKETS; i++)
		ret_heat[heat_bucket(i)] += d->bucket[histogram][i];
}

/* Most of it are buckets, and most of them stay as they are. */
static void remember(struct sampler *sampler, const struct counters *counters, uint64_t now_ns)
{
	struct counters *own = &sampler->counters;

	own->workers = counters->workers;
	memcpy(own->value, counters->value, sizeof own->value);
	for (unsigned h = 0; h < STATS_HISTOGRAMS; h++) {
		if (own->sum_ns[h] == counters->sum_ns[h])
			continue;
		own->sum_ns[h] = counters->sum_ns[h];
		memcpy(own->bucket[h], counters->bucket[h], sizeof own->bucket[h]);
	}
	sampler->sampled_ns = now_ns;
	sampler->known = true;
}

void sampler_begin(struct sampler *sampler, uint64_t workers, uint64_t sampled_ns)
{
	memset(sampler, 0, sizeof *sampler);
	sampler->counters.workers = workers;
	sampler->sampled_ns = sampled_ns;
	sampler->known = true;
}

void sampler_take(struct sampler *sampler, const struct counters *counters, uint64_t now_ns, struct sample *ret_sample)
{
	const struct counters *before = &sampler->counters;
	uint64_t elapsed_ns = now_ns - sampler->sampled_ns;
	struct difference d;

	d.now = counters;
	d.before = NULL;
	d.seconds = (double)elapsed_ns / NS;
	memset(d.count, 0, sizeof d.count);
	memset(ret_sample, 0, sizeof *ret_sample);
	ret_sample->active = sampler->known && counted(counters, before);
	if (sampler->known && elapsed_ns > 0 && elapsed_ns <= SAMPLE_GAP_NS && before->workers == counters->workers &&
	    subtract(&d, before))
		d.before = before;
	for (int i = 0; i < METRICS; i++)
		ret_sample->value[i] = metric_of((enum metric_id)i, counters->object.kind) ? value_of(&metric_rows[i], &d) : NAN;
	if (d.before) {
		heat_of(&d, STATS_READ_LATENCY, ret_sample->heat_reads);
		heat_of(&d, STATS_WRITE_LATENCY, ret_sample->heat_writes);
	}
	remember(sampler, counters, now_ns);
}
