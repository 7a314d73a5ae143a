/* monitor/sampler.h: from two looks at the counters to values. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "monitor/sampler.h"

#define SECOND UINT64_C(1000000000)
#define START  (100 * SECOND)

static struct scene {
	struct sampler sampler;
	struct counters counters; /* as collect would give them now */
	struct sample sample;
} scene;

static int open_scene(void **state)
{
	memset(&scene, 0, sizeof scene);
	scene.counters.object = (struct object_name){ OBJECT_LUN, "vol1" };
	scene.counters.workers = 1;
	*state = &scene;
	return 0;
}

static void take(struct scene *s, uint64_t now_ns)
{
	sampler_take(&s->sampler, &s->counters, now_ns, &s->sample);
}

static double value(const struct scene *s, enum metric_id metric)
{
	return s->sample.value[metric];
}

static void count_latency(struct scene *s, enum stats_histogram histogram, uint64_t ns, uint64_t times)
{
	s->counters.bucket[histogram][stats_bucket(ns)] += times;
	s->counters.sum_ns[histogram] += ns * times;
}

static void assert_nothing_but_levels_is_known(const struct scene *s)
{
	for (int i = 0; i < METRICS; i++)
		if (metric_rows[i].how == HOW_LEVEL && metric_of(i, s->counters.object.kind))
			assert_false(isnan(s->sample.value[i]));
		else
			assert_true(isnan(s->sample.value[i]));
	for (unsigned row = 0; row < HEAT_BUCKETS; row++)
		assert_true(s->sample.heat_reads[row] == 0 && s->sample.heat_writes[row] == 0);
}

static void at_first_sight_only_levels_are_known(void **state)
{
	struct scene *s = *state;

	s->counters.value[STAT_reads] = 1000000;
	s->counters.value[STAT_queue_depth] = 7;
	count_latency(s, STATS_READ_LATENCY, 5000, 1000000);
	take(s, START);
	assert_nothing_but_levels_is_known(s);
	assert_true(value(s, METRIC_queue_depth) == 7);
	assert_false(s->sample.active);
}

static void a_rate_is_the_growth_over_the_true_time(void **state)
{
	struct scene *s = *state;

	s->counters.value[STAT_reads] = UINT64_C(1) << 60; /* beyond what a double holds exactly */
	take(s, START);
	s->counters.value[STAT_reads] += 300;
	s->counters.value[STAT_write_bytes] += 4096;
	take(s, START + SECOND * 3 / 2);
	assert_true(value(s, METRIC_read_iops) == 200);
	assert_true(fabs(value(s, METRIC_write_bytes_per_s) - 4096 / 1.5) < 1e-6);
	assert_true(value(s, METRIC_write_iops) == 0);
	assert_true(s->sample.active);
}

static void errors_are_check_conditions_and_conflicts(void **state)
{
	struct scene *s = *state;

	take(s, START);
	s->counters.value[STAT_check_conditions] += 3;
	s->counters.value[STAT_conflicts] += 4;
	take(s, START + SECOND);
	assert_true(value(s, METRIC_errors_per_s) == 7);
}

static void cpu_time_is_percent_of_one_cpu(void **state)
{
	struct scene *s = *state;

	s->counters.object.kind = OBJECT_WORKER;
	take(s, START);
	s->counters.value[STAT_cpu_ns] += SECOND * 3 / 2;
	take(s, START + SECOND);
	assert_true(fabs(value(s, METRIC_reactor_percent) - 150) < 1e-9);
}

static void an_object_has_only_the_metrics_of_its_kind(void **state)
{
	struct scene *s = *state;

	take(s, START);
	take(s, START + SECOND);
	for (int i = 0; i < METRICS; i++)
		assert_true(metric_of(i, OBJECT_LUN) || isnan(s->sample.value[i]));
	assert_true(isnan(value(s, METRIC_size_bytes))); /* given by who samples */
}

static void latencies_are_those_of_the_last_second_alone(void **state)
{
	struct scene *s = *state;

	count_latency(s, STATS_READ_LATENCY, 10000000000, 1000);
	take(s, START);
	count_latency(s, STATS_READ_LATENCY, 100500, 990);
	count_latency(s, STATS_READ_LATENCY, 9500000, 10);
	count_latency(s, STATS_STORE_WRITE_LATENCY, 1000, 3);
	count_latency(s, STATS_STORE_WRITE_LATENCY, 5000, 1);
	take(s, START + SECOND);
	assert_true(value(s, METRIC_read_latency_p50) > 80e-6 && value(s, METRIC_read_latency_p50) < 112e-6);
	assert_true(value(s, METRIC_read_latency_p99) < 113e-6);
	assert_true(value(s, METRIC_read_latency_p999) > 8e-3 && value(s, METRIC_read_latency_p999) < 11e-3);
	assert_true(fabs(value(s, METRIC_store_write_latency) - 2e-6) < 1e-12);
	assert_true(isnan(value(s, METRIC_write_latency_p50)));
	assert_true(isnan(value(s, METRIC_store_read_latency)));
}

static void a_second_without_a_command_has_rates_of_zero_and_no_latency(void **state)
{
	struct scene *s = *state;

	count_latency(s, STATS_READ_LATENCY, 5000, 10);
	s->counters.value[STAT_reads] = 10;
	take(s, START);
	take(s, START + SECOND);
	assert_true(value(s, METRIC_read_iops) == 0);
	assert_true(isnan(value(s, METRIC_read_latency_p50)));
	assert_true(isnan(value(s, METRIC_read_latency_p999)));
	assert_false(s->sample.active);
}

static void the_heat_is_counted_by_latency(void **state)
{
	struct scene *s = *state;

	count_latency(s, STATS_READ_LATENCY, 3000, 5);
	take(s, START);
	count_latency(s, STATS_READ_LATENCY, 500, 1);
	count_latency(s, STATS_READ_LATENCY, 3900, 1);
	count_latency(s, STATS_READ_LATENCY, 4000, 7);
	count_latency(s, STATS_WRITE_LATENCY, 100 * SECOND, 9);
	take(s, START + SECOND);
	assert_int_equal(s->sample.heat_reads[0], 2);
	assert_int_equal(s->sample.heat_reads[1], 7);
	assert_int_equal(s->sample.heat_writes[HEAT_BUCKETS - 1], 9);
	assert_int_equal(s->sample.heat_writes[0], 0);
}

/* Whichever counter falls: the others may have grown beyond what they were. */
static void a_counter_that_fell_makes_the_second_unknown_and_the_next_is_known_again(void **state)
{
	struct scene *s = *state;

	for (int counter = 0; counter < STATS_COUNTERS; counter++) {
		if (counter_rows[counter].gauge)
			continue;
		memset(&s->sampler, 0, sizeof s->sampler);
		s->counters.value[counter] = 1000;
		take(s, START);
		s->counters.value[counter] = 999;
		s->counters.value[(counter + 1) % STATS_COUNTERS] += 5000;
		take(s, START + SECOND);
		assert_nothing_but_levels_is_known(s);
		s->counters.value[STAT_reads] += 5;
		take(s, START + 2 * SECOND);
		assert_true(value(s, METRIC_read_iops) == 5);
	}
}

static void a_bucket_that_fell_makes_the_second_unknown(void **state)
{
	struct scene *s = *state;

	count_latency(s, STATS_READ_LATENCY, 5000, 10);
	take(s, START);
	s->counters.bucket[STATS_READ_LATENCY][stats_bucket(5000)] = 9;
	count_latency(s, STATS_READ_LATENCY, 1000000, 10);
	take(s, START + SECOND);
	assert_nothing_but_levels_is_known(s);
}

static void a_level_may_fall(void **state)
{
	struct scene *s = *state;

	s->counters.value[STAT_queue_depth] = 8;
	take(s, START);
	s->counters.value[STAT_queue_depth] = 2;
	s->counters.value[STAT_reads] = 4;
	take(s, START + SECOND);
	assert_true(value(s, METRIC_queue_depth) == 2);
	assert_true(value(s, METRIC_read_iops) == 4);
}

static void a_level_is_never_negative(void **state)
{
	struct scene *s = *state;

	s->counters.value[STAT_queue_depth] = (uint64_t)-1;
	take(s, START);
	assert_true(value(s, METRIC_queue_depth) == 0);
}

/* A host's counters when a worker is not seen for a second, or is seen later than the others: all that the worker ever did
 * comes back at once. */
static void what_a_worker_did_before_it_was_seen_is_no_spike(void **state)
{
	struct scene *s = *state;

	s->counters.object = (struct object_name){ OBJECT_HOST, "host-1" };
	s->counters.workers = 1;
	s->counters.value[STAT_reads] = 10;
	take(s, START);
	s->counters.workers = 3;
	s->counters.value[STAT_reads] = 5000000;
	take(s, START + SECOND);
	assert_true(isnan(value(s, METRIC_read_iops)));
	s->counters.value[STAT_reads] += 20;
	take(s, START + 2 * SECOND);
	assert_true(value(s, METRIC_read_iops) == 20);
}

static void some_missed_seconds_are_averaged_and_more_are_a_gap(void **state)
{
	struct scene *s = *state;

	take(s, START);
	s->counters.value[STAT_reads] += 400;
	take(s, START + 4 * SECOND);
	assert_true(value(s, METRIC_read_iops) == 100);
	s->counters.value[STAT_reads] += 400;
	take(s, START + 10 * SECOND);
	assert_nothing_but_levels_is_known(s);
	s->counters.value[STAT_reads] += 30;
	take(s, START + 11 * SECOND);
	assert_true(value(s, METRIC_read_iops) == 30);
}

static void a_gap_alone_is_no_activity(void **state)
{
	struct scene *s = *state;

	take(s, START);
	take(s, START + 60 * SECOND);
	assert_false(s->sample.active);
	s->counters.value[STAT_other_commands]++;
	take(s, START + 120 * SECOND);
	assert_true(s->sample.active);
}

static void two_samples_at_one_moment_are_no_division_by_zero(void **state)
{
	struct scene *s = *state;

	take(s, START);
	s->counters.value[STAT_reads] += 5;
	take(s, START);
	assert_nothing_but_levels_is_known(s);
	take(s, START - SECOND);
	assert_nothing_but_levels_is_known(s);
}

/* Whatever happens to the counters: no value is negative, and no rate is above what the counters could have grown. */
static void no_history_of_counters_makes_a_negative_value_or_a_spike(void **state)
{
	struct scene *s = *state;
	uint64_t now_ns = START;
	unsigned seed = 1;

	s->counters.object = (struct object_name){ OBJECT_HOST, "host-1" };
	for (int second = 0; second < 20000; second++) {
		int what = rand_r(&seed) % 20;

		now_ns += SECOND / 2 + (uint64_t)(rand_r(&seed) % 2000) * 1000000;
		if (what == 0) { /* restarted */
			memset(s->counters.value, 0, sizeof s->counters.value);
			memset(s->counters.bucket, 0, sizeof s->counters.bucket);
			memset(s->counters.sum_ns, 0, sizeof s->counters.sum_ns);
		} else if (what == 1) { /* another worker, with a long life behind it */
			s->counters.workers ^= 2;
			s->counters.value[STAT_reads] += 1000000000;
		}
		s->counters.value[STAT_reads] += (uint64_t)(rand_r(&seed) % 1000);
		s->counters.value[STAT_queue_depth] = (uint64_t)(rand_r(&seed) % 100);
		count_latency(s, STATS_READ_LATENCY, 1000 + (uint64_t)(rand_r(&seed) % 1000000), 10);
		take(s, now_ns);
		for (int i = 0; i < METRICS; i++)
			assert_true(isnan(s->sample.value[i]) || (s->sample.value[i] >= 0 && s->sample.value[i] <= 2000));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup(name, open_scene)
		TEST(at_first_sight_only_levels_are_known),
		TEST(a_rate_is_the_growth_over_the_true_time),
		TEST(errors_are_check_conditions_and_conflicts),
		TEST(cpu_time_is_percent_of_one_cpu),
		TEST(an_object_has_only_the_metrics_of_its_kind),
		TEST(latencies_are_those_of_the_last_second_alone),
		TEST(a_second_without_a_command_has_rates_of_zero_and_no_latency),
		TEST(the_heat_is_counted_by_latency),
		TEST(a_counter_that_fell_makes_the_second_unknown_and_the_next_is_known_again),
		TEST(a_bucket_that_fell_makes_the_second_unknown),
		TEST(a_level_may_fall),
		TEST(a_level_is_never_negative),
		TEST(what_a_worker_did_before_it_was_seen_is_no_spike),
		TEST(some_missed_seconds_are_averaged_and_more_are_a_gap),
		TEST(a_gap_alone_is_no_activity),
		TEST(two_samples_at_one_moment_are_no_division_by_zero),
		TEST(no_history_of_counters_makes_a_negative_value_or_a_spike),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
