/* monitor/reduction.h: what VIZ-1 to VIZ-4 ask for, and properties that hold for any group. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include <float.h>
#include <math.h>

#include "monitor/reduction.h"

#define GIB        0x1p30
#define TIB        0x1p40
#define GROUPS     4000
#define ITEMS_MAX  60
#define HEIGHT_EPS 1e-9

#define assert_near(a, b, eps) assert_true(fabs((a) - (b)) <= (eps))

/* --- random groups, the same in each run --- */

static uint64_t seed = 1;

static double random_part(void) /* 0 to 1 */
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (double)(seed >> 11) / 0x1p53;
}

static double random_value(double scale)
{
	double kind = random_part();

	if (kind < 0.1)
		return NAN;
	if (kind < 0.2)
		return 0;
	if (kind < 0.3)
		return scale * 0x1p20 * random_part(); /* one that is far from the others */
	return kind < 0.5 ? floor(scale * 10 * random_part()) : scale * random_part();
}

static size_t random_group(struct reduction_item item[ITEMS_MAX])
{
	size_t count = 1 + (size_t)(random_part() * (ITEMS_MAX - 1) * random_part());
	double scale = exp2(floor(random_part() * 80) - 20);

	for (size_t i = 0; i < count; i++)
		item[i] = (struct reduction_item){ random_value(scale), random_value(scale) };
	return count;
}

static struct reduction compute(const struct reduction_item *item, size_t count, double threshold)
{
	struct reduction r;

	assert_int_equal(reduction_compute(item, count, threshold, &r), 0);
	return r;
}

static bool missing(double value)
{
	return !isfinite(value) || value < 0;
}

/* --- what has to hold for any reduction --- */

static void check_shape(const struct reduction *r)
{
	const struct reduction_segment *s = r->segment;
	unsigned breaks = 0;

	assert_in_range(r->count, 1, 2 * REDUCTION_BREAKS_MAX + 1);
	assert_true(s[0].from_value == 0 && s[0].from_height == 0); /* nothing is cut off at the bottom */
	assert_true(s[r->count - 1].to_value == r->max_value && s[r->count - 1].to_height == 1);
	for (unsigned i = 0; i < r->count; i++) {
		assert_true(s[i].to_value >= s[i].from_value && s[i].to_height > s[i].from_height);
		assert_true(isfinite(s[i].factor) && s[i].factor >= 1);
		breaks += s[i].factor > 1;
		if (i > 0) {
			assert_true(s[i].from_value == s[i - 1].to_value);
			assert_true(s[i].from_height == s[i - 1].to_height);
			assert_true((s[i].factor > 1) != (s[i - 1].factor > 1));
		}
	}
	assert_int_equal(r->breaks, breaks);
	assert_int_equal(r->count, 2 * breaks + 1);
}

/* f = region / reduced region: all that is not a break has one slope, a break that slope divided by its factor. */
static void check_slopes(const struct reduction *r)
{
	double true_region = 0, slope;

	for (unsigned i = 0; i < r->count; i++)
		if (r->segment[i].factor == 1)
			true_region += r->segment[i].to_value - r->segment[i].from_value;
	if (true_region < r->max_value * 1e-6)
		return; /* doubles cannot tell its ends well enough to divide by them */
	slope = (1 - r->breaks * REDUCTION_BREAK_HEIGHT) / true_region;
	for (unsigned i = 0; i < r->count; i++) {
		const struct reduction_segment *s = &r->segment[i];

		assert_near(s->to_height - s->from_height, (s->to_value - s->from_value) * slope / s->factor, 1e-6);
		if (s->factor > 1)
			assert_near(s->to_height - s->from_height, REDUCTION_BREAK_HEIGHT, HEIGHT_EPS);
	}
}

static void check_datum(const struct reduction *r, double value)
{
	double height = reduction_height(r, value);

	if (missing(value)) {
		assert_true(isnan(height));
		return;
	}
	assert_true(height >= 0 && height <= 1);
	assert_true(value == 0 ? height == 0 : height > 0 || value < r->max_value * 1e-300); /* 0 only for 0 */
	assert_true(value <= r->max_value);
	for (unsigned i = 0; i < r->count; i++)
		if (r->segment[i].factor > 1)
			assert_false(value > r->segment[i].from_value && value < r->segment[i].to_value);
}

/* Continuous (a small step in value is a small step in height, at the slope of the segment) and strictly increasing. */
static void check_map(const struct reduction *r, double value)
{
	double step = r->max_value * 1e-9, at = reduction_height(r, value), next = reduction_height(r, value + step);
	double steepest = 0;

	for (unsigned i = 0; i < r->count; i++) {
		const struct reduction_segment *s = &r->segment[i];

		if (s->to_value - s->from_value > step)
			steepest = fmax(steepest, (s->to_height - s->from_height) / (s->to_value - s->from_value));
		else
			steepest = INFINITY; /* a region too narrow for doubles at this place */
	}
	assert_true(at >= 0 && at <= 1);
	if (value + step <= r->max_value)
		assert_true(next > at);
	assert_true(next - at <= steepest * step * (1 + 1e-6) + 1e-12);
}

static void check_all(const struct reduction *r, const struct reduction_item *item, size_t count)
{
	check_shape(r);
	check_slopes(r);
	assert_true(reduction_height(r, 0) == 0 && reduction_height(r, r->max_value) == 1);
	assert_true(reduction_height(r, r->max_value * 2) == 1);
	for (size_t i = 0; i < count; i++) {
		check_datum(r, item[i].first);
		check_datum(r, item[i].second);
		if (!missing(item[i].first)) {
			check_map(r, item[i].first);
			check_map(r, item[i].first * (1 - 1e-9));
		}
	}
	for (unsigned i = 0; i < r->count; i++)
		check_map(r, r->segment[i].from_value);
	for (unsigned i = 0; i < 20; i++)
		check_map(r, r->max_value * random_part());
}

/* The largest part of the height, at this scale, between data that are neighbours. */
static double largest_part(const struct reduction *r, const struct reduction_item *item, size_t count)
{
	double best = 0;

	for (size_t i = 0; i < 2 * count; i++) {
		double low = i % 2 ? item[i / 2].second : item[i / 2].first, next = INFINITY;

		for (size_t k = 0; k < 2 * count && !missing(low); k++) {
			double value = k % 2 ? item[k / 2].second : item[k / 2].first;

			if (!missing(value) && value > low && value < next)
				next = value;
		}
		if (!missing(low) && isfinite(next))
			best = fmax(best, reduction_height(r, next) - reduction_height(r, low));
	}
	return best;
}

/* --- properties --- */

static void any_group_is_drawn_in_order_and_without_a_jump(void **state)
{
	(void)state;
	for (unsigned g = 0; g < GROUPS; g++) {
		struct reduction_item item[ITEMS_MAX];
		size_t count = random_group(item);
		struct reduction r = compute(item, count, 0.2 + 0.9 * random_part());

		check_all(&r, item, count);
	}
}

static void a_group_shrinks_exactly_when_a_region_is_above_the_threshold(void **state)
{
	unsigned shrunk = 0, whole = 0;

	(void)state;
	for (unsigned g = 0; g < GROUPS; g++) {
		struct reduction_item item[ITEMS_MAX];
		size_t count = random_group(item);
		double threshold = 0.25 + 0.7 * random_part();
		struct reduction full = compute(item, count, 1), r = compute(item, count, threshold);
		double part = largest_part(&full, item, count);

		assert_int_equal(full.breaks, 0);
		if (part <= threshold * (1 - 1e-9)) {
			assert_int_equal(r.breaks, 0);
			whole++;
		} else if (part > threshold * (1 + 1e-9) && part < 1 - 1e-15) {
			assert_in_range(r.breaks, 1, REDUCTION_BREAKS_MAX);
			shrunk++;
		}
	}
	assert_true(shrunk > GROUPS / 10 && whole > GROUPS / 10); /* the groups say something about both */
}

static void every_datum_at_full_scale_is_its_part_of_the_largest(void **state)
{
	(void)state;
	for (unsigned g = 0; g < GROUPS / 4; g++) {
		struct reduction_item item[ITEMS_MAX];
		size_t count = random_group(item);
		struct reduction r = compute(item, count, 1 + random_part());

		assert_int_equal(r.count, 1);
		for (size_t i = 0; i < count; i++)
			if (!missing(item[i].first))
				assert_near(reduction_height(&r, item[i].first), item[i].first / r.max_value, HEIGHT_EPS);
	}
}

/* --- by hand --- */

static void one_large_volume_leaves_the_small_ones_most_of_the_height(void **state)
{
	const struct reduction_item item[] = { { 2 * GIB, 20 * GIB }, { 9 * GIB, 20 * GIB }, { 30 * TIB, 40 * TIB } };
	struct reduction r = compute(item, 3, REDUCTION_THRESHOLD_DEFAULT);
	double rest = 20 * GIB + 10 * TIB, slope = (1 - 0.14) / rest;

	(void)state;
	check_all(&r, item, 3);
	assert_int_equal(r.breaks, 2); /* 20 GiB to 30 TiB, then, in what is left, 30 TiB to 40 TiB */
	assert_true((30 * TIB - 20 * GIB) / (40 * TIB) > 0.6 && 10 * TIB * slope > 0.6);
	assert_true(reduction_height(&r, 20 * GIB) > 0.7);
	assert_near(reduction_height(&r, 2 * GIB) / reduction_height(&r, 20 * GIB), 0.1, HEIGHT_EPS);
	assert_near(reduction_height(&r, 20 * GIB), 1 - 2 * (0.08 + 2 * 0.03), HEIGHT_EPS);
}

static void a_break_keeps_its_margin_of_true_scale_from_the_data_beside_it(void **state)
{
	const struct reduction_item item[] = { { 1, 10 }, { 5, 1000 } };
	struct reduction r = compute(item, 2, 0.6);

	(void)state;
	assert_int_equal(r.breaks, 1);
	assert_near(r.segment[1].from_height - reduction_height(&r, 10), REDUCTION_MARGIN, HEIGHT_EPS);
	assert_near(1 - r.segment[1].to_height, REDUCTION_MARGIN, HEIGHT_EPS);
	assert_near(r.segment[1].factor,
			    (r.segment[1].to_value - r.segment[1].from_value) * (0.86 / 10) / REDUCTION_BREAK_HEIGHT, 1e-6);
}

/* 10, 990 and 1000: with the first cut, nothing is above the threshold any more (10 of 20). */
static void a_second_break_is_made_only_when_one_is_not_enough(void **state)
{
	const struct reduction_item one[] = { { 0, 10 }, { 990, 1000 } }, two[] = { { 0.5, 1 }, { 100, 100000 } };
	struct reduction r = compute(one, 2, 0.6);

	(void)state;
	assert_int_equal(r.breaks, 1);
	check_all(&r, one, 2);
	r = compute(two, 2, 0.6);
	assert_int_equal(r.breaks, 2);
	check_all(&r, two, 2);
	assert_true(r.segment[1].from_value > 1 && r.segment[1].to_value < 100);
	assert_true(r.segment[3].from_value > 100 && r.segment[3].to_value < 100000);
}

static void a_region_that_is_the_threshold_does_not_shrink(void **state)
{
	const struct reduction_item exact[] = { { 0, 40 }, { NAN, 100 } }, above[] = { { 0, 39.999 }, { NAN, 100 } };
	/* 0.1 + 0.2 style: the part is the threshold but for rounding */
	const struct reduction_item rounded[] = { { 0.1, 0.3 }, { NAN, 1 } };

	(void)state;
	assert_int_equal(compute(exact, 2, 0.6).breaks, 0);
	assert_int_equal(compute(above, 2, 0.6).breaks, 1);
	assert_int_equal(compute(rounded, 2, 0.7).breaks, 0);
}

static void a_threshold_beyond_its_limits_is_the_limit(void **state)
{
	const struct reduction_item at_70[] = { { 0, 30 }, { NAN, 100 } }, at_30[] = { { 25, 50 }, { 75, 100 } };
	const struct reduction_item at_97[] = { { 0, 3 }, { NAN, 100 } };

	(void)state;
	assert_int_equal(compute(at_30, 2, 0.01).breaks, 0); /* parts of 25 of 100: 0.25 is not above 0.25 */
	assert_int_equal(compute(at_70, 2, 0.95).breaks, 0);
	assert_int_equal(compute(at_97, 2, 0.99).breaks, 1); /* as 0.95 */
	assert_int_equal(compute(at_97, 2, 1).breaks, 0);
}

static void where_nothing_else_could_grow_there_is_no_break(void **state)
{
	const struct reduction_item zero_and_max[] = { { 0, 7 } }, more[] = { { 0, 7 }, { 7, 0 }, { NAN, 7 } };
	const struct reduction_item equal[] = { { 5, 5 }, { 5, 5 } }, one[] = { { 3, NAN } };

	(void)state;
	assert_int_equal(compute(zero_and_max, 1, 0.25).breaks, 0);
	assert_int_equal(compute(more, 3, 0.25).breaks, 0);
	assert_int_equal(compute(equal, 2, 0.25).breaks, 0);
	assert_int_equal(compute(one, 1, 0.25).breaks, 0);
}

/* What lies below all data is never cut: bars that start at 0 would lie about their lengths. */
static void what_lies_below_all_data_is_not_cut(void **state)
{
	const struct reduction_item item[] = { { 1000, 1010 }, { 1020, 1030 } };

	(void)state;
	assert_int_equal(compute(item, 2, 0.25).breaks, 0);
}

static void data_that_are_missing_or_zero_have_a_scale_all_the_same(void **state)
{
	const struct reduction_item missing_all[] = { { NAN, NAN }, { -1, INFINITY }, { -INFINITY, NAN } };
	const struct reduction_item zero[] = { { 0, 0 }, { 0, NAN }, { -0.0, 0 } };
	struct reduction r = compute(missing_all, 3, 0.6);

	(void)state;
	check_all(&r, missing_all, 3);
	assert_true(r.max_value == 1 && r.breaks == 0);
	r = compute(zero, 3, 0.6);
	check_all(&r, zero, 3);
	assert_true(r.max_value == 1 && r.breaks == 0);
	r = compute(NULL, 0, 0.6);
	assert_true(r.max_value == 1 && r.breaks == 0);
}

static void the_largest_and_the_smallest_doubles_do_no_harm(void **state)
{
	const struct reduction_item pair[][2] = {
		{ { 1, 2 }, { 3, 0x1p63 } },
		{ { 4096, 8192 }, { 0x1p63 - 4096, 0x1p63 } },
		{ { 0x1p60, 0x1p60 + 512 }, { 1, 0x1p63 } },
		{ { 5e-324, 1e-323 }, { 0x1p63, 1 } },
		{ { 5e-324, 0 }, { 1e-323, 1.5e-323 } },
		{ { DBL_MIN, DBL_MAX }, { 1, DBL_MAX / 2 } },
		{ { DBL_MAX, DBL_MAX }, { DBL_MAX, 1 } },
	};
	struct reduction r;

	(void)state;
	for (size_t i = 0; i < sizeof pair / sizeof pair[0]; i++) {
		r = compute(pair[i], 2, 0.6);
		check_shape(&r);
		for (unsigned k = 0; k < 2; k++) {
			check_datum(&r, pair[i][k].first);
			check_datum(&r, pair[i][k].second);
		}
	}
	r = compute(pair[0], 2, 0.6);
	assert_near(reduction_height(&r, 2), 0.86 * 2 / 3, 1e-6); /* the small ones stay readable beside 2^63 */
}

static void a_hundred_thousand_components_are_computed(void **state)
{
	size_t count = 100000;
	struct reduction_item *item = calloc(count, sizeof *item);
	struct reduction r;

	(void)state;
	assert_non_null(item);
	for (size_t i = 0; i < count; i++)
		item[i] = (struct reduction_item){ GIB * random_part(), NAN }; /* as the lines of a time series */
	item[count / 2].first = 40 * TIB;
	r = compute(item, count, 0.6);
	check_shape(&r);
	assert_int_equal(r.breaks, 1);
	for (size_t i = 0; i < count; i++)
		check_datum(&r, item[i].first);
	free(item);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_group_is_drawn_in_order_and_without_a_jump),
		cmocka_unit_test(a_group_shrinks_exactly_when_a_region_is_above_the_threshold),
		cmocka_unit_test(every_datum_at_full_scale_is_its_part_of_the_largest),
		cmocka_unit_test(one_large_volume_leaves_the_small_ones_most_of_the_height),
		cmocka_unit_test(a_break_keeps_its_margin_of_true_scale_from_the_data_beside_it),
		cmocka_unit_test(a_second_break_is_made_only_when_one_is_not_enough),
		cmocka_unit_test(a_region_that_is_the_threshold_does_not_shrink),
		cmocka_unit_test(a_threshold_beyond_its_limits_is_the_limit),
		cmocka_unit_test(where_nothing_else_could_grow_there_is_no_break),
		cmocka_unit_test(what_lies_below_all_data_is_not_cut),
		cmocka_unit_test(data_that_are_missing_or_zero_have_a_scale_all_the_same),
		cmocka_unit_test(the_largest_and_the_smallest_doubles_do_no_harm),
		cmocka_unit_test(a_hundred_thousand_components_are_computed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
