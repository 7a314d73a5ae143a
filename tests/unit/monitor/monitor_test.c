/* monitor/monitor.h with segments as workers write them, and a history that keeps what it is given (instead of history.c). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "monitor/history.h"
#include "monitor/monitor.h"

#define SECOND_MS UINT64_C(1000)
#define SECOND_NS UINT64_C(1000000000)
#define START_S   INT64_C(1800000000)
#define MANY      1000

/* --- a history that keeps everything --- */

struct history {
	struct history_rows **batch; /* count, in order */
	size_t count;
	struct object_name *retained;
	size_t retained_count, retains;
	struct history_rows *pending;      /* of the last question's first object */
};

static struct history kept;
static bool no_history;

static unsigned column_count(enum history_table table, enum object_kind kind)
{
	unsigned count = 0;

	for (int i = 0; i < METRICS; i++)
		count += metric_of(i, kind);
	return table == HISTORY_HEAT ? 2 * HEAT_BUCKETS : count;
}

int history_column(enum object_kind kind, enum metric_id metric)
{
	int column = 0;

	for (int i = 0; i < (int)metric; i++)
		column += metric_of(i, kind);
	return metric_of(metric, kind) ? column : -1;
}

struct history_rows *history_rows_new(enum history_table table, const struct object_name *object, size_t room)
{
	struct history_rows *rows = calloc(1, sizeof *rows);

	*rows = (struct history_rows){ .table = table, .object = *object, .room = room, .width = column_count(table, object->kind) };
	rows->time_s = calloc(room, sizeof *rows->time_s);
	rows->value = calloc(room * rows->width, sizeof *rows->value);
	return rows;
}

void history_rows_free(struct history_rows *rows)
{
	if (!rows)
		return;
	free(rows->time_s);
	free(rows->value);
	free(rows);
}

double *history_rows_add(struct history_rows *rows, int64_t time_s)
{
	double *value = rows->value + rows->count * rows->width;

	if (rows->count == rows->room || (rows->count && time_s <= rows->time_s[rows->count - 1]))
		return NULL;
	rows->time_s[rows->count++] = time_s;
	for (size_t i = 0; i < rows->width; i++)
		value[i] = NAN;
	return value;
}

struct history_rows *history_rows_copy(const struct history_rows *rows)
{
	struct history_rows *copy = history_rows_new(rows->table, &rows->object, rows->room);

	copy->count = rows->count;
	memcpy(copy->time_s, rows->time_s, rows->count * sizeof *rows->time_s);
	memcpy(copy->value, rows->value, rows->count * rows->width * sizeof *rows->value);
	return copy;
}

struct history *history_new(const char *dir, unsigned keep_days, struct mailbox *mailbox)
{
	(void)dir, (void)keep_days, (void)mailbox;
	memset(&kept, 0, sizeof kept);
	return no_history ? NULL : &kept;
}

void history_free(struct history *history)
{
	(void)history; /* the test looks at it still: forget_kept() */
}

static void forget_kept(void)
{
	for (size_t i = 0; i < kept.count; i++)
		history_rows_free(kept.batch[i]);
	free(kept.batch);
	free(kept.retained);
	history_rows_free(kept.pending);
	memset(&kept, 0, sizeof kept);
}

void history_keep_days(struct history *history, unsigned keep_days)
{
	(void)history, (void)keep_days;
}

void history_write(struct history *history, struct history_rows *rows)
{
	history->batch = realloc(history->batch, (history->count + 1) * sizeof *history->batch);
	history->batch[history->count++] = rows;
}

void history_retain(struct history *history, struct object_name *objects, size_t count)
{
	free(history->retained);
	history->retained = objects;
	history->retained_count = count;
	history->retains++;
}

void history_series(struct history *history, struct series_query *query, struct history_rows *const *pending,
		    monitor_series_done done, void *arg)
{
	(void)done, (void)arg;
	history_rows_free(history->pending);
	history->pending = pending[0];
	for (size_t i = 1; i < query->object_count; i++)
		history_rows_free(pending[i]);
	free(query->objects);
	query->objects = NULL;
}

void history_heat(struct history *history, const struct object_name *object, bool reads, bool writes, int64_t from_s,
		  int64_t to_s, struct history_rows *pending, monitor_heat_done done, void *arg)
{
	(void)object, (void)reads, (void)writes, (void)from_s, (void)to_s, (void)done, (void)arg;
	history_rows_free(history->pending);
	history->pending = pending;
}

struct monitor_state history_state(const struct history *history)
{
	return (struct monitor_state){ .files = history->count };
}

/* --- the scene: one worker, at most MANY LUNs --- */

static struct scene {
	struct monitor *monitor;
	struct stats_segment *segment;
	const struct stats_segment *segments[1];
	pid_t pids[1];
	struct monitor_lun luns[MANY];
	char lun_names[MANY][16];
	const char *targets[1];
	struct monitor_input input;
} scene;

static int open_scene(void **state)
{
	int fd = stats_create();

	memset(&scene, 0, sizeof scene);
	scene.segment = fd < 0 ? NULL : stats_map(fd, 1);
	close(fd);
	scene.monitor = monitor_new("anywhere", 30, NULL);
	if (!scene.segment || !scene.monitor)
		return -1;
	stats_clear(scene.segment);
	scene.segments[0] = scene.segment;
	for (unsigned i = 0; i < MANY; i++) {
		snprintf(scene.lun_names[i], sizeof scene.lun_names[i], "vol%03u", MANY - 1 - i); /* not in order */
		scene.luns[i] = (struct monitor_lun){ scene.lun_names[i], 1 << 20 };
	}
	scene.targets[0] = "iqn.2026-11.io.lunette:demo";
	scene.input = (struct monitor_input){
		.segments = scene.segments, .pids = scene.pids, .worker_count = 1, .luns = scene.luns, .targets = scene.targets,
		.wall_ms = (uint64_t)START_S * SECOND_MS, .now_ns = 100 * SECOND_NS,
	};
	*state = &scene;
	return 0;
}

static int close_scene(void **state)
{
	struct scene *s = *state;

	monitor_free(s->monitor);
	forget_kept();
	stats_unmap(s->segment);
	return 0;
}

static void sample(struct scene *s)
{
	monitor_sample(s->monitor, &s->input);
	s->input.wall_ms += SECOND_MS;
	s->input.now_ns += SECOND_NS;
}

static void samples(struct scene *s, unsigned count)
{
	while (count--)
		sample(s);
}

static const struct monitor_object *object(const struct scene *s, enum object_kind kind, const char *name)
{
	struct object_name wanted = { .kind = kind };

	snprintf(wanted.name, sizeof wanted.name, "%s", name);
	return monitor_find(s->monitor, &wanted);
}

static double value(const struct scene *s, enum object_kind kind, const char *name, enum metric_id metric)
{
	const struct monitor_object *found = object(s, kind, name);

	if (!found)
		fail_msg("no object %s", name);
	return found->value[metric];
}

static struct stats_slot *claim(struct scene *s, enum stats_kind kind, const char *name)
{
	return stats_claim(s->segment, kind, name, 0);
}

static bool is_batch(const struct history_rows *rows, enum history_table table, enum object_kind kind, const char *name)
{
	return rows->table == table && rows->object.kind == kind && (!name || strcmp(rows->object.name, name) == 0);
}

static size_t batches_of(enum history_table table, enum object_kind kind, const char *name)
{
	size_t count = 0;

	for (size_t i = 0; i < kept.count; i++)
		count += is_batch(kept.batch[i], table, kind, name);
	return count;
}

static const struct history_rows *last_batch(enum history_table table, enum object_kind kind, const char *name)
{
	for (size_t i = kept.count; i-- > 0;)
		if (is_batch(kept.batch[i], table, kind, name))
			return kept.batch[i];
	fail_msg("no rows of %s", name);
	return NULL;
}

static void ask(struct scene *s, enum object_kind kind, const char *name)
{
	struct series_query query = { .objects = calloc(1, sizeof *query.objects), .object_count = 1 };

	query.objects[0].kind = kind;
	snprintf(query.objects[0].name, sizeof query.objects[0].name, "%s", name);
	monitor_series(s->monitor, &query, NULL, NULL);
}

static double cell(const struct history_rows *rows, size_t row, enum metric_id metric)
{
	return rows->value[row * rows->width + (size_t)history_column(rows->object.kind, metric)];
}

/* --- objects and values --- */

static void a_lun_has_its_rates_and_its_size(void **state)
{
	struct scene *s = *state;
	struct stats_slot *slot = claim(s, STATS_LUN, "vol999");

	s->input.lun_count = 1;
	sample(s);
	assert_true(isnan(value(s, OBJECT_LUN, "vol999", METRIC_read_iops)));
	assert_true(value(s, OBJECT_LUN, "vol999", METRIC_size_bytes) == 1 << 20);
	stats_add(slot, STAT_reads, 25);
	sample(s);
	assert_true(value(s, OBJECT_LUN, "vol999", METRIC_read_iops) == 25);
	assert_true(value(s, OBJECT_LUN, "vol999", METRIC_size_bytes) == 1 << 20);
	assert_int_equal(object(s, OBJECT_LUN, "vol999")->sampled_ms, s->input.wall_ms - SECOND_MS);
}

static void what_is_new_on_a_worker_that_was_sampled_loses_nothing(void **state)
{
	struct scene *s = *state;
	struct stats_slot *slot;

	claim(s, STATS_WORKER, "worker");
	sample(s);
	slot = claim(s, STATS_LUN, "vol999");
	stats_add(slot, STAT_reads, 25);
	sample(s);
	assert_true(value(s, OBJECT_LUN, "vol999", METRIC_read_iops) == 25);
}

static void what_is_new_to_us_on_a_worker_that_was_not_sampled_is_no_spike(void **state)
{
	struct scene *s = *state;
	struct stats_slot *slot;

	sample(s);
	claim(s, STATS_WORKER, "worker");
	slot = claim(s, STATS_LUN, "vol999");
	stats_add(slot, STAT_reads, 1000000);
	sample(s);
	assert_true(isnan(value(s, OBJECT_LUN, "vol999", METRIC_read_iops)));
}

static void what_is_configured_and_not_served_is_there_without_rates(void **state)
{
	struct scene *s = *state;

	s->input.lun_count = 1;
	s->input.target_count = 1;
	s->input.worker_count = 0;
	samples(s, 3);
	for (int i = 0; i < METRICS; i++) {
		assert_true(isnan(value(s, OBJECT_LUN, "vol999", i)) == (i != METRIC_size_bytes));
		assert_true(isnan(value(s, OBJECT_TARGET, s->targets[0], i)));
	}
}

static void a_lun_that_is_no_longer_served_loses_its_rates_and_keeps_its_size(void **state)
{
	struct scene *s = *state;
	struct stats_slot *slot = claim(s, STATS_LUN, "vol999");

	s->input.lun_count = 1;
	samples(s, 2);
	assert_true(value(s, OBJECT_LUN, "vol999", METRIC_read_iops) == 0);
	stats_release(slot);
	sample(s);
	assert_true(isnan(value(s, OBJECT_LUN, "vol999", METRIC_read_iops)));
	assert_true(value(s, OBJECT_LUN, "vol999", METRIC_size_bytes) == 1 << 20);
}

static void the_host_has_the_sums_of_its_luns_and_its_file_system(void **state)
{
	struct scene *s = *state;
	const char *host = monitor_host(s->monitor);

	atomic_store(&claim(s, STATS_LUN, "vol999")->value[STAT_allocated_bytes], 1000);
	atomic_store(&claim(s, STATS_LUN, "vol998")->value[STAT_allocated_bytes], 500);
	s->input.lun_count = 3;
	s->input.state_size_bytes = 900;
	s->input.state_used_bytes = 90;
	samples(s, 2);
	assert_true(value(s, OBJECT_HOST, host, METRIC_size_bytes) == 3 << 20);
	assert_true(value(s, OBJECT_HOST, host, METRIC_allocated_bytes) == 1500);
	assert_true(value(s, OBJECT_HOST, host, METRIC_state_size_bytes) == 900);
	assert_true(value(s, OBJECT_HOST, host, METRIC_state_used_bytes) == 90);
	assert_true(value(s, OBJECT_HOST, host, METRIC_memory_bytes) > 0);
	assert_true(value(s, OBJECT_HOST, host, METRIC_cpu_percent) >= 0);
	s->input.state_size_bytes = s->input.state_used_bytes = 0;
	sample(s);
	assert_true(isnan(value(s, OBJECT_HOST, host, METRIC_state_size_bytes)));
}

static void a_worker_has_cpu_and_memory_of_its_process(void **state)
{
	struct scene *s = *state;

	sample(s);
	assert_true(isnan(value(s, OBJECT_WORKER, "0", METRIC_memory_bytes)));
	s->pids[0] = getpid();
	samples(s, 2);
	assert_true(value(s, OBJECT_WORKER, "0", METRIC_memory_bytes) > 0);
	assert_true(value(s, OBJECT_WORKER, "0", METRIC_cpu_percent) >= 0);
}

static void objects_of_a_kind_are_listed_in_order(void **state)
{
	struct scene *s = *state;
	const struct monitor_object **list;

	s->input.lun_count = 3;
	s->input.target_count = 1;
	sample(s);
	assert_int_equal(monitor_list(s->monitor, OBJECT_LUN, &list), 3);
	assert_string_equal(list[0]->object.name, "vol997");
	assert_string_equal(list[2]->object.name, "vol999");
	free(list);
	assert_int_equal(monitor_list(s->monitor, OBJECT_HOST, &list), 1);
	assert_string_equal(list[0]->object.name, monitor_host(s->monitor));
	free(list);
	assert_int_equal(monitor_list(s->monitor, OBJECT_SESSION, &list), 0);
	free(list);
}

static void the_peak_is_the_largest_of_the_last_minute(void **state)
{
	struct scene *s = *state;
	struct stats_slot *slot = claim(s, STATS_LUN, "vol1");

	samples(s, 2);
	stats_add(slot, STAT_reads, 500);
	samples(s, 2);
	assert_true(value(s, OBJECT_LUN, "vol1", METRIC_read_iops) == 0);
	samples(s, 28);
	assert_true(object(s, OBJECT_LUN, "vol1")->peak[METRIC_read_iops] == 500);
	samples(s, 30);
	assert_true(object(s, OBJECT_LUN, "vol1")->peak[METRIC_read_iops] == 0);
	assert_true(isnan(object(s, OBJECT_LUN, "vol1")->peak[METRIC_size_bytes]));
}

static void an_object_that_vanished_is_unknown_at_once_and_soon_gone_with_its_rows_written(void **state)
{
	struct scene *s = *state;
	struct stats_slot *slot = claim(s, STATS_LUN, "vol1");

	samples(s, 3);
	stats_release(slot);
	sample(s);
	assert_true(isnan(value(s, OBJECT_LUN, "vol1", METRIC_read_iops)));
	assert_int_equal(batches_of(HISTORY_METRICS, OBJECT_LUN, "vol1"), 0);
	samples(s, 4);
	assert_null(object(s, OBJECT_LUN, "vol1"));
	assert_int_equal(last_batch(HISTORY_METRICS, OBJECT_LUN, "vol1")->count, 3);
	claim(s, STATS_LUN, "vol1");
	sample(s);
	assert_true(isnan(value(s, OBJECT_LUN, "vol1", METRIC_read_iops)));
}

/* --- rows --- */

static void rows_hold_the_values_of_each_second(void **state)
{
	struct scene *s = *state;
	struct stats_slot *slot = claim(s, STATS_LUN, "vol999");
	const struct history_rows *rows;

	s->input.lun_count = 1;
	for (int i = 0; i <= 10; i++) {
		sample(s);
		stats_add(slot, STAT_writes, (uint64_t)i);
	}
	rows = last_batch(HISTORY_METRICS, OBJECT_LUN, "vol999");
	assert_int_equal(rows->count, 11);
	assert_true(isnan(cell(rows, 0, METRIC_write_iops)));
	for (size_t i = 0; i < rows->count; i++) {
		assert_int_equal(rows->time_s[i], START_S + (int64_t)i);
		assert_true(cell(rows, i, METRIC_size_bytes) == 1 << 20);
		assert_true(i == 0 || cell(rows, i, METRIC_write_iops) == (double)(i - 1));
	}
}

static void a_lun_that_was_never_active_begins_no_file(void **state)
{
	struct scene *s = *state;
	struct stats_slot *slot = claim(s, STATS_LUN, "vol999");

	s->input.lun_count = 2;
	stats_add(slot, STAT_reads, 4000); /* before anybody looked */
	samples(s, 11);
	assert_true(last_batch(HISTORY_METRICS, OBJECT_LUN, "vol999")->begins_no_file);
	assert_true(last_batch(HISTORY_HEAT, OBJECT_LUN, "vol999")->begins_no_file);
	assert_false(last_batch(HISTORY_METRICS, OBJECT_WORKER, "0")->begins_no_file);
	assert_false(last_batch(HISTORY_METRICS, OBJECT_HOST, monitor_host(s->monitor))->begins_no_file);
	stats_add(slot, STAT_other_commands, 1);
	samples(s, 70);
	assert_false(last_batch(HISTORY_METRICS, OBJECT_LUN, "vol999")->begins_no_file);
	assert_false(last_batch(HISTORY_HEAT, OBJECT_LUN, "vol999")->begins_no_file);
	assert_true(last_batch(HISTORY_METRICS, OBJECT_LUN, "vol998")->begins_no_file);
}

static void rows_of_many_objects_are_written_spread_over_a_minute(void **state)
{
	struct scene *s = *state;
	size_t before = 0;

	s->input.lun_count = MANY;
	for (int second = 0; second < 300; second++) {
		sample(s);
		if (kept.count - before > 2 * MANY / 15)
			fail_msg("%zu batches in second %d", kept.count - before, second);
		before = kept.count;
	}
	for (unsigned i = 0; i < MANY; i++) {
		int64_t newest = 0;

		for (size_t j = 0; j < kept.count; j++) {
			const struct history_rows *rows = kept.batch[j];

			if (!is_batch(rows, HISTORY_METRICS, OBJECT_LUN, s->lun_names[i]))
				continue;
			assert_int_equal(rows->time_s[0], newest ? newest + 1 : START_S);
			assert_in_range(rows->count, 1, 66);
			newest = rows->time_s[rows->count - 1];
		}
		assert_true(newest >= START_S + 300 - 66);
	}
}

static void the_heat_of_ten_seconds_is_a_row_and_nothing_is_made_up(void **state)
{
	struct scene *s = *state;
	struct stats_slot *slot = claim(s, STATS_LUN, "vol1");
	const struct history_rows *rows;

	s->input.wall_ms += 5 * SECOND_MS;
	for (int i = 0; i < 16; i++) { /* :05 to :20 */
		sample(s);
		for (int io = 0; io < 20; io++)
			stats_latency(slot, STATS_WRITE_LATENCY, 5000);
		stats_latency(slot, STATS_READ_LATENCY, 1000);
	}
	monitor_free(s->monitor);
	s->monitor = NULL;
	rows = last_batch(HISTORY_HEAT, OBJECT_LUN, "vol1");
	assert_int_equal(rows->time_s[rows->count - 1], START_S + 20);
	assert_true(rows->value[(rows->count - 1) * rows->width + HEAT_BUCKETS + 1] == 20);
	assert_true(rows->value[(rows->count - 1) * rows->width + 0] == 1);
	assert_true(rows->value[(rows->count - 1) * rows->width + 1] == 0);
	for (size_t i = 0; i < kept.count; i++)
		assert_true(kept.batch[i]->table == HISTORY_METRICS || kept.batch[i]->time_s[0] >= START_S + 10);
	assert_int_equal(batches_of(HISTORY_HEAT, OBJECT_TARGET, NULL) + batches_of(HISTORY_HEAT, OBJECT_HOST, NULL), 0);
}

static void sessions_are_kept_for_five_minutes_and_never_written(void **state)
{
	struct scene *s = *state;
	struct stats_slot *slot = claim(s, STATS_SESSION, "s1");

	samples(s, 1000);
	ask(s, OBJECT_SESSION, "s1");
	assert_in_range(kept.pending->count, 300, 420);
	assert_int_equal(kept.pending->time_s[kept.pending->count - 1], START_S + 999);
	for (size_t i = 1; i < kept.pending->count; i++)
		assert_int_equal(kept.pending->time_s[i], kept.pending->time_s[i - 1] + 1);
	stats_release(slot);
	samples(s, 10);
	assert_null(object(s, OBJECT_SESSION, "s1"));
	assert_int_equal(batches_of(HISTORY_METRICS, OBJECT_SESSION, NULL), 0);
}

static void a_question_sees_the_newest_second_and_knows_what_is_not_there(void **state)
{
	struct scene *s = *state;
	struct object_name lun = { OBJECT_LUN, "vol999" }, target = { OBJECT_TARGET, "iqn.2026-11.io.lunette:demo" };

	s->input.lun_count = 1;
	s->input.target_count = 1;
	samples(s, 45);
	ask(s, OBJECT_LUN, "vol999");
	assert_int_equal(kept.pending->time_s[kept.pending->count - 1], START_S + 44);
	monitor_heat(s->monitor, &lun, true, true, START_S, START_S + 60, NULL, NULL);
	assert_int_equal(kept.pending->time_s[kept.pending->count - 1], START_S + 40);
	monitor_heat(s->monitor, &target, true, true, START_S, START_S + 60, NULL, NULL);
	assert_null(kept.pending);
	ask(s, OBJECT_LUN, "nobody");
	assert_null(kept.pending);
}

static void a_missed_second_is_a_longer_row_and_a_second_sample_of_a_second_none(void **state)
{
	struct scene *s = *state;
	struct stats_slot *slot = claim(s, STATS_LUN, "vol1");
	const struct history_rows *rows;

	samples(s, 2);
	s->input.wall_ms += 2 * SECOND_MS;
	s->input.now_ns += 2 * SECOND_NS;
	stats_add(slot, STAT_reads, 300);
	sample(s);
	s->input.wall_ms -= SECOND_MS - 10;
	s->input.now_ns -= SECOND_NS - 10000000;
	sample(s);
	monitor_free(s->monitor);
	s->monitor = NULL;
	rows = last_batch(HISTORY_METRICS, OBJECT_LUN, "vol1");
	assert_int_equal(rows->count, 3);
	assert_int_equal(rows->time_s[2], START_S + 4);
	assert_true(cell(rows, 2, METRIC_read_iops) == 100);
}

static void a_wall_clock_that_is_set_back_loses_nothing(void **state)
{
	struct scene *s = *state;
	struct stats_slot *slot = claim(s, STATS_LUN, "vol1");

	claim(s, STATS_SESSION, "s1");
	samples(s, 5);
	s->input.wall_ms -= 3600 * SECOND_MS;
	stats_add(slot, STAT_reads, 100);
	sample(s);
	assert_true(value(s, OBJECT_LUN, "vol1", METRIC_read_iops) == 100);
	assert_int_equal(last_batch(HISTORY_METRICS, OBJECT_LUN, "vol1")->count, 5);
	ask(s, OBJECT_LUN, "vol1");
	assert_int_equal(kept.pending->time_s[0], START_S + 5 - 3600);
	ask(s, OBJECT_SESSION, "s1");
	assert_int_equal(kept.pending->count, 1);
	assert_int_equal(kept.pending->time_s[0], START_S + 5 - 3600);
}

static void a_wall_clock_that_is_set_forward_is_no_spike(void **state)
{
	struct scene *s = *state;
	struct stats_slot *slot = claim(s, STATS_LUN, "vol1");
	const struct history_rows *rows;

	samples(s, 5);
	s->input.wall_ms += 3600 * SECOND_MS;
	stats_add(slot, STAT_reads, 100);
	sample(s);
	assert_true(value(s, OBJECT_LUN, "vol1", METRIC_read_iops) == 100);
	rows = last_batch(HISTORY_METRICS, OBJECT_LUN, "vol1"); /* it was due long ago */
	assert_int_equal(rows->count, 6);
	assert_int_equal(rows->time_s[5], START_S + 5 + 3600);
}

static void the_end_writes_what_is_pending(void **state)
{
	struct scene *s = *state;

	claim(s, STATS_LUN, "vol1");
	claim(s, STATS_SESSION, "s1");
	samples(s, 3);
	assert_int_equal(kept.count, 0);
	monitor_free(s->monitor);
	s->monitor = NULL;
	assert_int_equal(last_batch(HISTORY_METRICS, OBJECT_LUN, "vol1")->count, 3);
	assert_int_equal(batches_of(HISTORY_METRICS, OBJECT_HOST, NULL), 1);
	assert_int_equal(batches_of(HISTORY_METRICS, OBJECT_SESSION, NULL), 0);
	monitor_free(NULL);
}

static void each_hour_the_history_is_told_what_exists(void **state)
{
	struct scene *s = *state;

	s->input.lun_count = 2;
	samples(s, 3600);
	assert_int_equal(kept.retains, 1);
	samples(s, 2);
	assert_int_equal(kept.retains, 2);
	assert_int_equal(kept.retained_count, 2 + 1 + 1);
	assert_string_equal(kept.retained[0].name, "vol998");
}

static void without_a_history_there_is_no_monitor(void **state)
{
	(void)state;
	no_history = true;
	assert_null(monitor_new("anywhere", 30, NULL));
	no_history = false;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_scene, close_scene)
		TEST(a_lun_has_its_rates_and_its_size),
		TEST(what_is_new_on_a_worker_that_was_sampled_loses_nothing),
		TEST(what_is_new_to_us_on_a_worker_that_was_not_sampled_is_no_spike),
		TEST(what_is_configured_and_not_served_is_there_without_rates),
		TEST(a_lun_that_is_no_longer_served_loses_its_rates_and_keeps_its_size),
		TEST(the_host_has_the_sums_of_its_luns_and_its_file_system),
		TEST(a_worker_has_cpu_and_memory_of_its_process),
		TEST(objects_of_a_kind_are_listed_in_order),
		TEST(the_peak_is_the_largest_of_the_last_minute),
		TEST(an_object_that_vanished_is_unknown_at_once_and_soon_gone_with_its_rows_written),
		TEST(rows_hold_the_values_of_each_second),
		TEST(a_lun_that_was_never_active_begins_no_file),
		TEST(rows_of_many_objects_are_written_spread_over_a_minute),
		TEST(the_heat_of_ten_seconds_is_a_row_and_nothing_is_made_up),
		TEST(sessions_are_kept_for_five_minutes_and_never_written),
		TEST(a_question_sees_the_newest_second_and_knows_what_is_not_there),
		TEST(a_missed_second_is_a_longer_row_and_a_second_sample_of_a_second_none),
		TEST(a_wall_clock_that_is_set_back_loses_nothing),
		TEST(a_wall_clock_that_is_set_forward_is_no_spike),
		TEST(the_end_writes_what_is_pending),
		TEST(each_hour_the_history_is_told_what_exists),
		cmocka_unit_test(without_a_history_there_is_no_monitor),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
