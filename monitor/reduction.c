/*
 * The reduction factor: see reduction.h.
 *
 * With breaks that cut the gaps g1..gn out of the values, everything else has one slope:
 *
 *   slope = (1 - n (BREAK_HEIGHT + 2 MARGIN)) / (max - (g1 + ... + gn))
 *
 * A break lies inside its gap, MARGIN / slope away from the data at both ends, and is BREAK_HEIGHT high.
 */
#include "monitor/reduction.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define HEIGHT_OF_BREAK (REDUCTION_BREAK_HEIGHT + 2 * REDUCTION_MARGIN)
#define ROUNDING        1e-12 /* a region that is the threshold but for rounding is not above it */

struct gap {
	double from, to;
};

static int double_order(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static bool known(double value)
{
	return isfinite(value) && value >= 0;
}

/* All data in rising order; *ret_values is malloc'ed. */
static int sort_data(const struct reduction_item *items, size_t count, double **ret_values, size_t *ret_count)
{
	double *values = malloc((2 * count + 1) * sizeof *values);
	size_t n = 0;

	if (!values)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		if (known(items[i].first))
			values[n++] = items[i].first;
		if (known(items[i].second))
			values[n++] = items[i].second;
	}
	qsort(values, n, sizeof *values, double_order);
	*ret_values = values;
	*ret_count = n;
	return 0;
}

static bool is_cut(const struct gap *cuts, unsigned cut_count, double from)
{
	for (unsigned i = 0; i < cut_count; i++)
		if (cuts[i].from == from)
			return true;
	return false;
}

/* The widest region between neighbouring data that is not cut yet. */
static struct gap widest(const double *values, size_t count, const struct gap *cuts, unsigned cut_count)
{
	struct gap best = { 0, 0 };

	for (size_t i = 0; i + 1 < count; i++)
		if (values[i + 1] - values[i] > best.to - best.from && !is_cut(cuts, cut_count, values[i]))
			best = (struct gap){ values[i], values[i + 1] };
	return best;
}

/* Cuts in order of values. INFINITY when nothing is left beside them. The rest is added up, not what is cut subtracted from
 * the most: that would lose it where one datum is 2^53 times the others. */
static double slope_of(double max, const struct gap *cuts, unsigned cut_count)
{
	double rest = 0, from = 0;

	for (unsigned i = 0; i < cut_count; i++) {
		rest += cuts[i].from - from;
		from = cuts[i].to;
	}
	return (1 - cut_count * HEIGHT_OF_BREAK) / (rest + (max - from));
}

static void add_cut(struct gap *cuts, unsigned count, struct gap gap)
{
	unsigned at = count;

	for (; at > 0 && cuts[at - 1].from > gap.from; at--)
		cuts[at] = cuts[at - 1];
	cuts[at] = gap;
}

/* First the widest region, then, with the space gained, once more. Returns the number of cuts, in order of values. */
static unsigned choose_cuts(const double *values, size_t count, double max, double threshold,
			    struct gap cuts[REDUCTION_BREAKS_MAX])
{
	unsigned n = 0;

	while (n < REDUCTION_BREAKS_MAX) {
		struct gap gap = widest(values, count, cuts, n), next[REDUCTION_BREAKS_MAX];

		if (!((gap.to - gap.from) * slope_of(max, cuts, n) > threshold * (1 + ROUNDING)))
			break;
		memcpy(next, cuts, n * sizeof *next);
		add_cut(next, n, gap);
		if (isinf(max * slope_of(max, next, n + 1) / REDUCTION_BREAK_HEIGHT))
			break; /* nothing else is left that could become larger */
		memcpy(cuts, next, ++n * sizeof *next);
	}
	return n;
}

static void add_segment(struct reduction *r, double to_value, double to_height, double factor)
{
	struct reduction_segment *last = r->count ? &r->segment[r->count - 1] : NULL;

	r->segment[r->count++] = (struct reduction_segment){
		.from_value = last ? last->to_value : 0, .to_value = to_value,
		.from_height = last ? last->to_height : 0, .to_height = to_height, .factor = factor,
	};
}

static void make_segments(struct reduction *r, const struct gap *cuts, unsigned cut_count)
{
	double slope = slope_of(r->max_value, cuts, cut_count), margin = REDUCTION_MARGIN / slope, value = 0, height = 0;

	for (unsigned i = 0; i < cut_count; i++) {
		double from = cuts[i].from + margin, to = cuts[i].to - margin;

		height += (cuts[i].from - value) * slope + REDUCTION_MARGIN; /* exact, where `from` is rounded to the datum */
		add_segment(r, from, height, 1);
		height += REDUCTION_BREAK_HEIGHT;
		add_segment(r, to, height, (to - from) * slope / REDUCTION_BREAK_HEIGHT);
		height += REDUCTION_MARGIN;
		value = cuts[i].to;
	}
	add_segment(r, r->max_value, 1, 1);
	r->breaks = cut_count;
}

int reduction_compute(const struct reduction_item *items, size_t count, double threshold, struct reduction *ret_reduction)
{
	struct gap cuts[REDUCTION_BREAKS_MAX];
	unsigned cut_count = 0;
	double *values;
	size_t n;
	int error = sort_data(items, count, &values, &n);

	if (error)
		return error;
	*ret_reduction = (struct reduction){ .max_value = n && values[n - 1] > 0 ? values[n - 1] : 1 };
	if (threshold < 1) {
		threshold = fmin(fmax(threshold, REDUCTION_THRESHOLD_MIN), REDUCTION_THRESHOLD_MAX);
		cut_count = choose_cuts(values, n, ret_reduction->max_value, threshold, cuts);
	}
	make_segments(ret_reduction, cuts, cut_count);
	free(values);
	return 0;
}

double reduction_height(const struct reduction *r, double value)
{
	if (!known(value))
		return NAN;
	if (value >= r->max_value)
		return 1;
	for (unsigned i = 0; i < r->count; i++) {
		const struct reduction_segment *s = &r->segment[i];

		if (value <= s->to_value)
			return fmin(s->to_height, s->from_height + (value - s->from_value) / (s->to_value - s->from_value) *
								   (s->to_height - s->from_height));
	}
	return 1;
}
