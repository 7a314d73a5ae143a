/* From counters to values: see sampler.h. */
#include "monitor/sampler.h"

#include <math.h>
#include <string.h>

#define NS 1e9

struct difference {
	const struct counters *now, *before;
	double seconds;
};

static double growth(const struct difference *d, int counter)
{
	return counter < 0 ? 0 : (double)(d->now->value[counter] - d->before->value[counter]);
}

static double percentile(const struct difference *d, int histogram, double fraction)
{
	uint64_t bucket[STATS_BUCKETS];

	if (d->now->sum_ns[histogram] == d->before->sum_ns[histogram])
		return NAN;
	for (unsigned i = 0; i < STATS_BUCKETS; i++)
		bucket[i] = d->now->bucket[histogram][i] - d->before->bucket[histogram][i];
	return histogram_percentile(bucket, fraction);
}

static double mean(const struct difference *d, int histogram)
{
	uint64_t sum_ns = d->now->sum_ns[histogram] - d->before->sum_ns[histogram];
	uint64_t count;

	if (sum_ns == 0)
		return NAN;
	count = histogram_count(d->now->bucket[histogram]) - histogram_count(d->before->bucket[histogram]);
	return count ? (double)sum_ns / NS / (double)count : NAN;
}

static double value_of(const struct metric_row *row, const struct difference *d)
{
	if (row->how == HOW_LEVEL)
		return (double)(int64_t)d->now->value[row->source];
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

static bool fell(const struct counters *now, const struct counters *before)
{
	for (unsigned i = 0; i < STATS_COUNTERS; i++)
		if (!counter_rows[i].gauge && now->value[i] < before->value[i])
			return true;
	for (unsigned h = 0; h < STATS_HISTOGRAMS; h++) {
		if (now->sum_ns[h] < before->sum_ns[h])
			return true;
		if (now->sum_ns[h] == before->sum_ns[h])
			continue;
		for (unsigned b = 0; b < STATS_BUCKETS; b++)
			if (now->bucket[h][b] < before->bucket[h][b])
				return true;
	}
	return false;
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
	if (d->now->sum_ns[histogram] == d->before->sum_ns[histogram])
		return;
	for (unsigned b = 0; b < STATS_BUCKETS; b++)
		ret_heat[heat_bucket(b)] += d->now->bucket[histogram][b] - d->before->bucket[histogram][b];
}

void sampler_take(struct sampler *sampler, const struct counters *counters, uint64_t now_ns, struct sample *ret_sample)
{
	uint64_t elapsed_ns = now_ns - sampler->sampled_ns;
	struct difference d = { .now = counters, .seconds = (double)elapsed_ns / NS };

	memset(ret_sample, 0, sizeof *ret_sample);
	if (sampler->known && elapsed_ns > 0 && elapsed_ns <= SAMPLE_GAP_NS && sampler->counters.workers == counters->workers &&
	    !fell(counters, &sampler->counters))
		d.before = &sampler->counters;
	ret_sample->active = sampler->known && counted(counters, &sampler->counters);
	for (int i = 0; i < METRICS; i++)
		ret_sample->value[i] = metric_of((enum metric_id)i, counters->object.kind) ? value_of(&metric_rows[i], &d) : NAN;
	if (d.before) {
		heat_of(&d, STATS_READ_LATENCY, ret_sample->heat_reads);
		heat_of(&d, STATS_WRITE_LATENCY, ret_sample->heat_writes);
	}
	sampler->counters = *counters;
	sampler->sampled_ns = now_ns;
	sampler->known = true;
}
