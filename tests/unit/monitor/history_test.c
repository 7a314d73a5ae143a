/* monitor/history.h with small files: what is handed over comes back, and what goes wrong costs history alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "clock.h"
#include "mailbox.h"
#include "monitor/history.h"
#include "monitor/history_files.h"
#include "monitor/rrd.h"
#include "tests/unit/cluster/scratch.h"

#define assert_near(value, expected, tolerance) assert_true(fabs((value) - (expected)) <= (tolerance))
#define WAIT_MS 20000
#define SHRINK  20 /* 180 s of seconds, 72 min of 10 s, 8.4 h of minutes */

struct rig {
	char dir[200], log[256];
	struct mailbox mailbox;
	struct history_options options;
	struct history *history;
	int64_t base_s;      /* a multiple of 600, at least 600 s ago */
	int saved_stderr;
	unsigned answers;    /* of the questions */
	int error;
	struct object_name missing;
	struct series_set *set;
	struct heat_map *map;
};

static const struct object_name lun = { OBJECT_LUN, "vol1" };

static void open_history(struct rig *rig)
{
	rig->history = history_open(&rig->options);
	assert_non_null(rig->history);
}

static void close_history(struct rig *rig)
{
	history_free(rig->history);
	mailbox_run(&rig->mailbox);
	rig->history = NULL;
}

static int setup(void **state)
{
	struct rig *rig = calloc(1, sizeof *rig);
	int fd;

	scratch_make(rig->dir, sizeof rig->dir);
	snprintf(rig->log, sizeof rig->log, "%s/log", rig->dir);
	strcat(rig->dir, "/history");
	mailbox_init(&rig->mailbox);
	rig->options = (struct history_options){ .dir = rig->dir, .keep_days = 7, .mailbox = &rig->mailbox, .shrink = SHRINK,
						 .reserve_bytes = 1 };
	rig->base_s = (int64_t)(clock_wall_ms() / 1000) / 600 * 600 - 600;
	rig->saved_stderr = dup(2);
	fd = open(rig->log, O_RDWR | O_CREAT | O_TRUNC | O_APPEND, 0600);
	dup2(fd, 2);
	close(fd);
	open_history(rig);
	*state = rig;
	return 0;
}

static int teardown(void **state)
{
	struct rig *rig = *state;

	close_history(rig);
	dup2(rig->saved_stderr, 2);
	close(rig->saved_stderr);
	series_set_free(rig->set);
	heat_map_free(rig->map);
	mailbox_fini(&rig->mailbox);
	*strrchr(rig->dir, '/') = '\0';
	scratch_remove(rig->dir);
	free(rig);
	return 0;
}

/* --- asking --- */

static void series_came(void *arg, int error, const struct object_name *missing, struct series_set *set)
{
	struct rig *rig = arg;

	series_set_free(rig->set);
	rig->set = set;
	rig->error = error;
	if (missing)
		rig->missing = *missing;
	rig->answers++;
}

static void heat_came(void *arg, int error, struct heat_map *map)
{
	struct rig *rig = arg;

	heat_map_free(rig->map);
	rig->map = map;
	rig->error = error;
	rig->answers++;
}

static void wait_for(struct rig *rig, unsigned answers)
{
	struct pollfd pollfd = { .fd = mailbox_fd(&rig->mailbox), .events = POLLIN };

	while (rig->answers < answers) {
		assert_int_equal(poll(&pollfd, 1, WAIT_MS), 1);
		mailbox_run(&rig->mailbox);
	}
}

static struct series_query query_of(const struct object_name *objects, size_t count, int64_t from_s, int64_t to_s, unsigned step_s)
{
	struct series_query query = { .objects = malloc(count * sizeof *objects), .object_count = count, .from_s = from_s,
				      .to_s = to_s, .step_s = step_s };

	memcpy(query.objects, objects, count * sizeof *objects);
	query.metric[METRIC_read_iops] = query.metric[METRIC_queue_depth] = true;
	return query;
}

/* Asks for vol1; rig->set is the answer. */
static int ask(struct rig *rig, int64_t from_s, int64_t to_s, unsigned step_s, enum series_cf cf, struct history_rows *pending)
{
	struct series_query query = query_of(&lun, 1, from_s, to_s, step_s);

	query.cf = cf;
	history_series(rig->history, &query, &pending, series_came, rig);
	wait_for(rig, rig->answers + 1);
	return rig->error;
}

static double value_at(const struct rig *rig, size_t series, size_t point)
{
	assert_non_null(rig->set);
	assert_true(series < rig->set->series_count && point < rig->set->point_count);
	return rig->set->series[series].value[point];
}

/* Rows of the seconds after from_s: reads are the second's number, the queue depth is 1. */
static struct history_rows *numbers(struct rig *rig, const struct object_name *object, int64_t from_s, size_t count)
{
	struct history_rows *rows = history_rows_new(HISTORY_METRICS, object, count);

	for (size_t i = 0; i < count; i++) {
		int64_t time_s = from_s + 1 + (int64_t)i;
		double *value = history_rows_add(rows, time_s);

		value[history_column(object->kind, METRIC_read_iops)] = (double)(time_s - rig->base_s);
		value[history_column(object->kind, METRIC_queue_depth)] = 1;
	}
	return rows;
}

static void write_numbers(struct rig *rig, int64_t from_s, size_t count)
{
	history_write(rig->history, numbers(rig, &lun, from_s, count));
}

static unsigned lines_with(const struct rig *rig, const char *text)
{
	FILE *log = fopen(rig->log, "r");
	char line[4096];
	unsigned count = 0;

	while (fgets(line, sizeof line, log))
		count += strstr(line, text) != NULL;
	fclose(log);
	return count;
}

static void path_of(const struct rig *rig, enum history_table table, const struct object_name *object, char path[600])
{
	char name[300];

	history_file_name(table, object, name, sizeof name);
	snprintf(path, 600, "%s/%s", rig->dir, name);
}

static unsigned files_in(const struct rig *rig, const char *kind, const char *containing)
{
	char path[600];
	struct dirent *entry;
	unsigned count = 0;
	DIR *dir;

	snprintf(path, sizeof path, "%s/%s", rig->dir, kind);
	dir = opendir(path);
	while (dir && (entry = readdir(dir)))
		count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 && strstr(entry->d_name, containing);
	if (dir)
		closedir(dir);
	return count;
}

/* --- what comes back --- */

static void what_was_written_comes_back_at_every_step(void **state)
{
	static const unsigned steps[] = { 1, 2, 7, 10, 30, 60, 90, 600 };
	struct rig *rig = *state;
	int64_t base_s = rig->base_s;

	write_numbers(rig, base_s - 600, 600);
	write_numbers(rig, base_s, 600);
	for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
		int64_t step = steps[i], from_s = (base_s + 480) / step * step; /* the seconds are still kept from there on */

		if (step == 600)
			from_s = base_s;
		assert_int_equal(ask(rig, from_s, base_s + 600, steps[i], SERIES_CF_AVERAGE, NULL), 0);
		assert_int_equal(rig->set->from_s, from_s);
		assert_int_equal(rig->set->step_s, step);
		assert_int_equal(rig->set->series_count, 2);
		assert_int_equal(rig->set->series[0].metric, METRIC_read_iops);
		for (size_t p = 0; p < rig->set->point_count; p++) {
			double first = (double)(from_s - base_s + (int64_t)p * step), last = first + (double)step;

			if (last > 600)
				continue;
			assert_near(value_at(rig, 0, p), (first + 1 + last) / 2, 1e-6);
			assert_near(value_at(rig, 1, p), 1, 1e-9);
		}
		assert_int_equal(ask(rig, from_s, base_s + 600, steps[i], SERIES_CF_MAX, NULL), 0);
		for (size_t p = 0; p < rig->set->point_count; p++)
			if (from_s - base_s + (int64_t)(p + 1) * step <= 600)
				assert_near(value_at(rig, 0, p), (double)(from_s - base_s + (int64_t)(p + 1) * step), 1e-6);
	}
}

static void what_is_older_than_the_seconds_comes_from_coarser_archives(void **state)
{
	struct rig *rig = *state;

	write_numbers(rig, rig->base_s, 600);
	assert_int_equal(ask(rig, rig->base_s, rig->base_s + 600, 1, SERIES_CF_AVERAGE, NULL), 0);
	assert_int_equal(rig->set->point_count, 600);
	assert_near(value_at(rig, 0, 0), 5.5, 1e-9);
	assert_near(value_at(rig, 0, 9), 5.5, 1e-9);
	assert_near(value_at(rig, 0, 10), 15.5, 1e-9);
	assert_near(value_at(rig, 0, 599), 600, 1e-9);
	assert_near(value_at(rig, 0, 500), 501, 1e-9);
}

static void pending_rows_follow_those_of_the_file_once(void **state)
{
	struct rig *rig = *state;
	struct history_rows *pending = numbers(rig, &lun, rig->base_s + 95, 15);

	write_numbers(rig, rig->base_s, 100);
	for (int i = 0; i < 5; i++) /* those of the file count */
		pending->value[i * (int)pending->width + history_column(OBJECT_LUN, METRIC_read_iops)] = 1e6;
	assert_int_equal(ask(rig, rig->base_s, rig->base_s + 120, 1, SERIES_CF_AVERAGE, pending), 0);
	for (size_t p = 0; p < 110; p++)
		assert_near(value_at(rig, 0, p), (double)p + 1, 1e-9);
	for (size_t p = 110; p < 120; p++)
		assert_true(isnan(value_at(rig, 0, p)));
	assert_int_equal(ask(rig, rig->base_s, rig->base_s + 120, 60, SERIES_CF_MAX, numbers(rig, &lun, rig->base_s + 100, 10)),
			 0);
	assert_near(value_at(rig, 0, 0), 60, 1e-9);
	assert_near(value_at(rig, 0, 1), 110, 1e-9);
}

static void an_object_without_a_file_has_its_pending_rows(void **state)
{
	static const struct object_name session = { OBJECT_SESSION, "iqn.2026-11.example:a,i,0x1" };
	struct rig *rig = *state;
	struct history_rows *pending = numbers(rig, &session, rig->base_s, 10);
	struct series_query query = query_of(&session, 1, rig->base_s, rig->base_s + 10, 1);

	history_series(rig->history, &query, &pending, series_came, rig);
	wait_for(rig, 1);
	assert_int_equal(rig->error, 0);
	assert_near(value_at(rig, 0, 9), 10, 0);
	assert_int_equal(files_in(rig, "", "session"), 0); /* not even a directory */
	assert_int_equal(ask(rig, rig->base_s, rig->base_s + 10, 1, SERIES_CF_AVERAGE,
			     history_rows_new(HISTORY_METRICS, &lun, 0)), 0); /* exists, nothing measured yet */
	assert_true(isnan(value_at(rig, 0, 0)));
}

static void an_object_with_neither_is_told_by_name(void **state)
{
	struct object_name objects[] = { lun, { OBJECT_LUN, "nobody" } };
	struct history_rows *pending[] = { NULL, NULL };
	struct rig *rig = *state;
	struct series_query query = query_of(objects, 2, rig->base_s, rig->base_s + 60, 10);

	write_numbers(rig, rig->base_s, 60);
	history_series(rig->history, &query, pending, series_came, rig);
	wait_for(rig, 1);
	assert_int_equal(rig->error, -ENOENT);
	assert_string_equal(rig->missing.name, "nobody");
	assert_null(rig->set);
}

static void no_point_lies_in_the_future(void **state)
{
	struct rig *rig = *state;
	int64_t now_s = (int64_t)(clock_wall_ms() / 1000);

	write_numbers(rig, now_s - 30, 30);
	assert_int_equal(ask(rig, now_s - 3600, now_s + 3600, 10, SERIES_CF_AVERAGE, NULL), 0);
	assert_true(rig->set->from_s + (int64_t)rig->set->point_count * 10 <= (int64_t)(clock_wall_ms() / 1000));
	assert_true(rig->set->point_count >= 359);
	assert_int_equal(ask(rig, now_s - 1, now_s, 86400, SERIES_CF_AVERAGE, NULL), 0);
	assert_int_equal(rig->set->point_count, 1); /* what there is of the day */
	assert_false(isnan(value_at(rig, 0, 0)));
}

static void too_many_points_are_refused(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(ask(rig, rig->base_s - SERIES_POINTS_MAX - 1, rig->base_s, 1, SERIES_CF_AVERAGE,
			     numbers(rig, &lun, rig->base_s, 1)), -E2BIG);
}

static void a_restart_goes_on_and_leaves_a_gap(void **state)
{
	struct rig *rig = *state;

	write_numbers(rig, rig->base_s, 50);
	close_history(rig); /* writes what waits */
	open_history(rig);
	write_numbers(rig, rig->base_s + 80, 50);
	assert_int_equal(ask(rig, rig->base_s, rig->base_s + 130, 1, SERIES_CF_AVERAGE, NULL), 0);
	for (size_t p = 0; p < 130; p++) {
		if (p < 50 || p >= 80)
			assert_near(value_at(rig, 0, p), (double)p + 1, 1e-9);
		else
			assert_true(isnan(value_at(rig, 0, p)));
	}
	assert_int_equal(history_state(rig->history).set_aside, 0);
}

static void a_clock_set_back_costs_the_rows_until_it_catches_up(void **state)
{
	struct rig *rig = *state;

	write_numbers(rig, rig->base_s, 100);
	write_numbers(rig, rig->base_s + 50, 60);
	assert_int_equal(ask(rig, rig->base_s, rig->base_s + 110, 1, SERIES_CF_AVERAGE, NULL), 0);
	for (size_t p = 0; p < 110; p++)
		assert_near(value_at(rig, 0, p), (double)p + 1, 1e-9);
	assert_int_equal(lines_with(rig, "history"), 0);
}

static void heat_comes_back_by_latency_and_time(void **state)
{
	struct rig *rig = *state;
	struct history_rows *rows = history_rows_new(HISTORY_HEAT, &lun, 30), *pending = history_rows_new(HISTORY_HEAT, &lun, 1);
	int64_t now_s = (int64_t)(clock_wall_ms() / 1000) / 10 * 10, from_s = now_s - 310;
	double *value;

	for (int i = 0; i < 30; i++) {
		value = history_rows_add(rows, from_s + 10 * (i + 1));
		for (int b = 0; b < 2 * HEAT_BUCKETS; b++)
			value[b] = b < HEAT_BUCKETS ? i : 100 * b;
	}
	history_write(rig->history, rows);
	value = history_rows_add(pending, now_s);
	value[3] = 5;
	history_heat(rig->history, &lun, true, false, from_s, now_s, pending, heat_came, rig);
	wait_for(rig, 1);
	assert_int_equal(rig->error, 0);
	assert_int_equal(rig->map->step_s, 10);
	assert_int_equal(rig->map->columns, 31);
	assert_near(rig->map->value[20 * HEAT_BUCKETS + 2], 20, 1e-9);
	assert_near(rig->map->value[30 * HEAT_BUCKETS + 3], 5, 1e-9);
	history_heat(rig->history, &lun, true, true, from_s, now_s, NULL, heat_came, rig);
	wait_for(rig, 2);
	assert_near(rig->map->value[20 * HEAT_BUCKETS + 2], 20 + 100 * (HEAT_BUCKETS + 2), 1e-6);
	history_heat(rig->history, &(struct object_name){ OBJECT_LUN, "nobody" }, true, true, from_s, now_s, NULL, heat_came, rig);
	wait_for(rig, 3);
	assert_int_equal(rig->error, -ENOENT);
}

static void without_a_directory_there_are_pending_rows(void **state)
{
	struct rig *rig = *state;

	close_history(rig);
	rig->options.dir = NULL;
	open_history(rig);
	write_numbers(rig, rig->base_s, 100);
	assert_int_equal(ask(rig, rig->base_s, rig->base_s + 10, 1, SERIES_CF_AVERAGE, NULL), -ENOENT);
	assert_int_equal(ask(rig, rig->base_s, rig->base_s + 10, 1, SERIES_CF_AVERAGE, numbers(rig, &lun, rig->base_s, 10)), 0);
	assert_near(value_at(rig, 0, 9), 10, 0);
	assert_int_equal(access(rig->dir, F_OK), -1);
}

/* --- files --- */

static void names_become_files_that_stay_inside(void **state)
{
	static const struct {
		const char *name, *file;
	} cases[] = {
		{ "vol1", "lun/vol1.rrd" }, { "iqn.2026-11.io.lunette:demo", "lun/iqn.2026-11.io.lunette:demo.rrd" },
		{ "../../etc/passwd", "lun/..%2F..%2Fetc%2Fpasswd.rrd" }, { "..", "lun/...rrd" }, { "a b%\xc3\xa9", "lun/a%20b%25%C3%A9.rrd" },
		{ "x.heat", "lun/x%2Eheat.rrd" }, { "~", "lun/%7E.rrd" },
	};
	struct object_name a = { .kind = OBJECT_LUN }, b;
	char name[300], other[300];

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		snprintf(a.name, sizeof a.name, "%s", cases[i].name);
		history_file_name(HISTORY_METRICS, &a, name, sizeof name);
		assert_string_equal(name, cases[i].file);
	}
	memset(a.name, 0xe9, sizeof a.name - 1);
	a.name[sizeof a.name - 1] = '\0';
	b = a;
	b.name[sizeof b.name - 2] = '\xe8';
	history_file_name(HISTORY_HEAT, &a, name, sizeof name);
	history_file_name(HISTORY_HEAT, &b, other, sizeof other);
	assert_true(strlen(name) - strlen("lun/") + strlen(".bad-1764000000") <= 255);
	assert_string_not_equal(name, other);
}

static void directories_and_files_are_private(void **state)
{
	struct rig *rig = *state;
	char path[600];
	struct stat st;

	write_numbers(rig, rig->base_s, 10);
	assert_int_equal(ask(rig, rig->base_s, rig->base_s + 10, 1, SERIES_CF_AVERAGE, NULL), 0);
	assert_int_equal(stat(rig->dir, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	path_of(rig, HISTORY_METRICS, &lun, path);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	*strrchr(path, '/') = '\0';
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	assert_int_equal(files_in(rig, "lun", ""), 1); /* nothing left over */
}

static void rows_of_an_object_that_was_never_active_begin_no_file(void **state)
{
	struct rig *rig = *state;
	struct history_rows *rows = numbers(rig, &lun, rig->base_s, 10);

	rows->begins_no_file = true;
	history_write(rig->history, rows);
	assert_int_equal(ask(rig, rig->base_s, rig->base_s + 10, 1, SERIES_CF_AVERAGE, NULL), -ENOENT);
	write_numbers(rig, rig->base_s + 10, 10);
	rows = numbers(rig, &lun, rig->base_s + 20, 10);
	rows->begins_no_file = true;
	history_write(rig->history, rows);
	assert_int_equal(ask(rig, rig->base_s, rig->base_s + 30, 1, SERIES_CF_AVERAGE, NULL), 0);
	assert_near(value_at(rig, 0, 29), 30, 0);
}

static void a_new_file_is_begun_at_most_once_a_second_after_a_burst(void **state)
{
	struct rig *rig = *state;
	unsigned files;

	close_history(rig);
	rig->options.new_burst = 3;
	open_history(rig);
	for (int i = 0; i < 20; i++) {
		struct object_name object = { .kind = OBJECT_LUN };

		snprintf(object.name, sizeof object.name, "vol%d", i);
		history_write(rig->history, numbers(rig, &object, rig->base_s, 10));
	}
	assert_int_equal(ask(rig, rig->base_s, rig->base_s + 10, 1, SERIES_CF_AVERAGE, NULL), 0);
	files = files_in(rig, "lun", ".rrd");
	assert_true(files >= 3 && files < 20);
	assert_int_equal(history_state(rig->history).files, files);
}

enum damage {
	DAMAGE_EMPTY, DAMAGE_SHORT, DAMAGE_RANDOM, DAMAGE_DIRECTORY, DAMAGE_LINK, DAMAGE_FIFO, DAMAGE_FUTURE, DAMAGE_FOREIGN,
	DAMAGES
};

static void damage(const char *path, enum damage kind)
{
	char bytes[4096];
	uint32_t word = 12345;
	int fd = open(path, O_RDWR);
	int64_t future = INT64_MAX / 2;
	off_t live_at;

	assert_true(fd >= 0);
	switch (kind) {
	case DAMAGE_EMPTY:
	case DAMAGE_SHORT:
		assert_int_equal(ftruncate(fd, kind == DAMAGE_EMPTY ? 0 : 5000), 0);
		break;
	case DAMAGE_RANDOM:
		for (size_t i = 0; i < sizeof bytes; i++)
			bytes[i] = (char)((word = word * 1664525 + 1013904223) >> 24);
		assert_int_equal(pwrite(fd, bytes, sizeof bytes, 0), sizeof bytes);
		break;
	case DAMAGE_DIRECTORY:
		assert_int_equal(unlink(path), 0);
		assert_int_equal(mkdir(path, 0700), 0);
		break;
	case DAMAGE_LINK:
		assert_int_equal(unlink(path), 0);
		assert_int_equal(symlink("/etc/passwd", path), 0);
		break;
	case DAMAGE_FIFO:
		assert_int_equal(unlink(path), 0);
		assert_int_equal(mkfifo(path, 0600), 0);
		break;
	case DAMAGE_FUTURE: /* behind the definitions; that it is the right place the log line says */
		live_at = 128 + 120 * (history_width(HISTORY_METRICS, OBJECT_LUN) + 7);
		assert_int_equal(pwrite(fd, &future, sizeof future, live_at), sizeof future);
		break;
	default:
		memset(bytes, 0x5a, 8);
		assert_int_equal(pwrite(fd, bytes, 8, 16), 8); /* the float cookie */
		break;
	}
	close(fd);
}

static void a_file_that_is_not_sound_is_set_aside_with_one_line_and_begun_anew(void **state)
{
	static const char *const reasons[DAMAGES] = {
		[DAMAGE_EMPTY] = "truncated", [DAMAGE_SHORT] = "bytes instead of", [DAMAGE_RANDOM] = "no RRD file",
		[DAMAGE_DIRECTORY] = "cannot be opened", [DAMAGE_LINK] = "cannot be opened", [DAMAGE_FIFO] = "not a regular file",
		[DAMAGE_FUTURE] = "future", [DAMAGE_FOREIGN] = "another architecture",
	};
	struct rig *rig = *state;
	char path[600];

	path_of(rig, HISTORY_METRICS, &lun, path);
	write_numbers(rig, rig->base_s, 10);
	for (unsigned i = 0; i < DAMAGES; i++) {
		int64_t from_s = rig->base_s + 10 * (i + 1);

		assert_int_equal(ask(rig, rig->base_s, rig->base_s + 10, 1, SERIES_CF_AVERAGE, NULL), 0);
		damage(path, i);
		write_numbers(rig, from_s, 10);
		assert_int_equal(ask(rig, from_s, from_s + 10, 1, SERIES_CF_AVERAGE, NULL), 0);
		assert_near(value_at(rig, 0, 9), 10. * (i + 2), 0);
		assert_int_equal(lines_with(rig, "history set aside"), i + 1);
		assert_int_equal(lines_with(rig, reasons[i]), i == DAMAGE_LINK ? 2 : 1);
		assert_int_equal(history_state(rig->history).set_aside, i + 1);
		assert_true(files_in(rig, "lun", ".bad-") <= HISTORY_BAD_MAX + 1); /* the directory is not counted */
	}
	assert_int_equal(history_state(rig->history).files, DAMAGES + 1);
}

static void a_file_that_is_not_sound_is_no_history_to_a_question(void **state)
{
	struct rig *rig = *state;
	char path[600];

	path_of(rig, HISTORY_METRICS, &lun, path);
	write_numbers(rig, rig->base_s, 10);
	assert_int_equal(ask(rig, rig->base_s, rig->base_s + 10, 1, SERIES_CF_AVERAGE, NULL), 0);
	damage(path, DAMAGE_SHORT);
	assert_int_equal(ask(rig, rig->base_s, rig->base_s + 10, 1, SERIES_CF_AVERAGE, NULL), -ENOENT);
	assert_int_equal(lines_with(rig, "history set aside"), 1);
}

/* As a version with fewer metrics made it. */
static void make_older_file(struct rig *rig, const char *path)
{
	static const unsigned steps[] = { 10, 60, 600 }, rows[] = { 8640, 10080, 105120 };
	struct rrd_archive archives[7] = { { SERIES_CF_AVERAGE, 1, 3600 / SHRINK } };
	enum metric_id column[METRICS];
	const char *names[10];
	struct rrd_schema schema = { .names = names, .source_count = 10, .step_s = 1, .archives = archives, .archive_count = 7 };
	double row[10] = { 33 };
	struct err err = { 0 };
	int64_t time_s = rig->base_s + 1;

	metric_columns(OBJECT_LUN, column);
	for (unsigned i = 0; i < 10; i++)
		names[i] = metric_rows[column[i]].name;
	for (unsigned i = 0; i < 6; i++)
		archives[1 + i] = (struct rrd_archive){ i % 2 ? SERIES_CF_MAX : SERIES_CF_AVERAGE, steps[i / 2], rows[i / 2] / SHRINK };
	assert_int_equal(rrd_schema_init(&schema, rig->dir, &err), 0);
	assert_int_equal(rrd_file_create(&schema, path, rig->base_s, &err), 0);
	assert_int_equal(rrd_file_update(&schema, path, rig->base_s, 5, &time_s, row, 1, &err), 0);
	rrd_schema_fini(&schema);
}

static void a_file_of_a_version_with_fewer_metrics_goes_on(void **state)
{
	struct rig *rig = *state;
	char path[600];

	write_numbers(rig, rig->base_s, 1);
	assert_int_equal(ask(rig, rig->base_s, rig->base_s + 1, 1, SERIES_CF_AVERAGE, NULL), 0);
	path_of(rig, HISTORY_METRICS, &lun, path);
	make_older_file(rig, path);
	write_numbers(rig, rig->base_s + 1, 9);
	assert_int_equal(ask(rig, rig->base_s, rig->base_s + 10, 1, SERIES_CF_AVERAGE, NULL), 0);
	assert_near(value_at(rig, 0, 0), 33, 0);
	assert_true(isnan(value_at(rig, 1, 0)));
	assert_near(value_at(rig, 0, 9), 10, 0);
	assert_near(value_at(rig, 1, 9), 1, 0);
	assert_int_equal(history_state(rig->history).set_aside, 0);
}

/* --- space --- */

static void without_space_nothing_new_is_begun_and_old_files_go_on(void **state)
{
	static const struct object_name other = { OBJECT_LUN, "vol2" };
	struct rig *rig = *state;

	write_numbers(rig, rig->base_s, 10);
	assert_int_equal(ask(rig, rig->base_s, rig->base_s + 10, 1, SERIES_CF_AVERAGE, NULL), 0);
	close_history(rig);
	rig->options.reserve_bytes = UINT64_MAX / 2;
	open_history(rig);
	for (int i = 1; i < 4; i++) {
		history_write(rig->history, numbers(rig, &other, rig->base_s + 10 * i, 10));
		write_numbers(rig, rig->base_s + 10 * i, 10);
	}
	assert_int_equal(ask(rig, rig->base_s, rig->base_s + 40, 1, SERIES_CF_AVERAGE, NULL), 0);
	assert_near(value_at(rig, 0, 39), 40, 0);
	assert_int_equal(files_in(rig, "lun", "vol2"), 0);
	assert_true(history_state(rig->history).paused);
	assert_int_equal(lines_with(rig, "nearly full"), 1);
	assert_int_equal(history_state(rig->history).write_failures, 0);
}

static void a_write_without_space_leaves_nothing_behind_and_is_told_once(void **state)
{
	struct rig *rig = *state;
	struct rlimit old, small;

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	small = (struct rlimit){ .rlim_cur = 100000, .rlim_max = old.rlim_max };
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	for (int i = 0; i < 3; i++)
		write_numbers(rig, rig->base_s + 10 * i, 10);
	assert_int_equal(ask(rig, rig->base_s, rig->base_s + 10, 1, SERIES_CF_AVERAGE, NULL), -ENOENT);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_int_equal(files_in(rig, "lun", ""), 0);
	assert_true(history_state(rig->history).paused);
	assert_int_equal(lines_with(rig, "nearly full"), 1);
}

static void a_directory_that_cannot_be_made_is_told_once_a_minute(void **state)
{
	struct rig *rig = *state;
	int fd = open(rig->dir, O_WRONLY | O_CREAT, 0600); /* a file lies there */

	close(fd);
	for (int i = 0; i < 5; i++)
		write_numbers(rig, rig->base_s + 10 * i, 10);
	assert_int_equal(ask(rig, rig->base_s, rig->base_s + 10, 1, SERIES_CF_AVERAGE, NULL), -ENOENT);
	assert_true(history_state(rig->history).write_failures >= 5);
	assert_int_equal(lines_with(rig, "history is not written"), 1);
}

/* --- retention --- */

static void set_age(const char *path, int64_t days)
{
	struct timespec times[2] = { { .tv_sec = (time_t)(clock_wall_ms() / 1000) - days * 86400 } };

	times[1] = times[0];
	assert_int_equal(utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW), 0);
}

static void make_old(struct rig *rig, const char *file, int64_t days)
{
	char path[600];
	int fd;

	snprintf(path, sizeof path, "%s/%s", rig->dir, file);
	fd = open(path, O_WRONLY | O_CREAT, 0600);
	assert_true(fd >= 0);
	close(fd);
	set_age(path, days);
}

static void retain(struct rig *rig)
{
	struct object_name *objects = calloc(1, sizeof *objects);

	objects[0] = lun;
	history_retain(rig->history, objects, 1);
	ask(rig, rig->base_s, rig->base_s + 10, 1, SERIES_CF_AVERAGE, NULL); /* it is through then */
}

static void files_of_objects_long_gone_are_removed(void **state)
{
	static const struct {
		const char *file;
		int64_t days;
		bool stays;
	} cases[] = {
		{ "lun/vol1.rrd", 100, true }, { "lun/vol1.heat.rrd", 100, true }, { "lun/gone.rrd", 8, false },
		{ "lun/gone.heat.rrd", 8, false }, { "lun/recent.rrd", 6, true }, { "lun/vol1.rrd.bad-1700000000", 8, false },
		{ "lun/vol1.rrd.bad-1700000001", 6, true }, { "lun/half.rrd.new", 1, false }, { "lun/notes.txt", 1000, true },
		{ "lun/vol1%20.rrd", 8, false },
	};
	struct rig *rig = *state;
	char path[600];

	write_numbers(rig, rig->base_s, 10);
	assert_int_equal(ask(rig, rig->base_s, rig->base_s + 10, 1, SERIES_CF_AVERAGE, NULL), 0);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		make_old(rig, cases[i].file, cases[i].days);
	retain(rig);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		snprintf(path, sizeof path, "%s/%s", rig->dir, cases[i].file);
		if ((access(path, F_OK) == 0) != cases[i].stays)
			fail_msg("%s", cases[i].file);
	}
	make_old(rig, "lun/gone.rrd", 8);
	history_keep_days(rig->history, 9);
	retain(rig);
	snprintf(path, sizeof path, "%s/lun/gone.rrd", rig->dir);
	assert_int_equal(access(path, F_OK), 0);
}

static void only_a_few_files_are_removed_at_a_time(void **state)
{
	struct rig *rig = *state;
	char file[100];

	write_numbers(rig, rig->base_s, 10);
	assert_int_equal(ask(rig, rig->base_s, rig->base_s + 10, 1, SERIES_CF_AVERAGE, NULL), 0);
	for (int i = 0; i < HISTORY_REMOVE_MAX + 4; i++) {
		snprintf(file, sizeof file, "lun/gone%d.rrd", i);
		make_old(rig, file, 30);
	}
	retain(rig);
	assert_int_equal(files_in(rig, "lun", "gone"), 4);
	retain(rig);
	assert_int_equal(files_in(rig, "lun", "gone"), 0);
}

/* --- the queue --- */

/* The thread works on the first ones meanwhile; more than may wait were asked all the same. */
static void more_questions_than_may_wait_are_refused_and_all_are_answered(void **state)
{
	struct rig *rig = *state;
	unsigned busy = 0, count = 3 * HISTORY_QUESTIONS_MAX;

	write_numbers(rig, rig->base_s, 600);
	for (unsigned i = 0; i < count; i++) {
		struct series_query query = query_of(&lun, 1, rig->base_s, rig->base_s + 600, 1);
		struct history_rows *pending = NULL;

		history_series(rig->history, &query, &pending, series_came, rig);
		assert_int_equal(rig->answers, 0);
	}
	for (unsigned i = 1; i <= count; i++) {
		struct pollfd pollfd = { .fd = mailbox_fd(&rig->mailbox), .events = POLLIN };

		if (rig->answers >= count)
			break;
		assert_int_equal(poll(&pollfd, 1, WAIT_MS), 1);
		mailbox_run(&rig->mailbox);
		busy += rig->error == -EBUSY;
	}
	wait_for(rig, count);
	assert_int_equal(rig->answers, count);
	assert_true(busy > 0);
	assert_int_equal(ask(rig, rig->base_s, rig->base_s + 600, 1, SERIES_CF_AVERAGE, NULL), 0);
}

static void a_disk_that_does_not_keep_up_loses_the_oldest_rows_and_is_told_once(void **state)
{
	struct rig *rig = *state;

	close_history(rig);
	rig->options.queue_bytes = 40000;
	open_history(rig);
	for (int i = 0; i < 100; i++) {
		struct history_rows *rows = numbers(rig, &lun, rig->base_s + i, 1);
		struct history_rows *large = history_rows_new(rows->table, &rows->object, 100); /* counts with its room */

		*history_rows_add(large, rows->time_s[0]) = 0;
		memcpy(large->value, rows->value, rows->width * sizeof *rows->value);
		history_rows_free(rows);
		history_write(rig->history, large);
	}
	assert_int_equal(ask(rig, rig->base_s, rig->base_s + 100, 1, SERIES_CF_AVERAGE, NULL), 0);
	assert_near(value_at(rig, 0, 99), 100, 0);
	assert_int_equal(lines_with(rig, "history is lost"), lines_with(rig, "history is written again"));
	assert_true(lines_with(rig, "history is lost") >= 1);
	history_write(rig->history, history_rows_new(HISTORY_METRICS, &lun, 100)); /* empty: not even queued */
	rig->options.queue_bytes = 0;
}

static void questions_without_an_answer_are_cancelled_at_the_end(void **state)
{
	struct rig *rig = *state;

	for (int i = 0; i < 10; i++) {
		struct series_query query = query_of(&lun, 1, rig->base_s, rig->base_s + 600, 1);
		struct history_rows *pending = numbers(rig, &lun, rig->base_s, 10);

		history_series(rig->history, &query, &pending, series_came, rig);
	}
	history_heat(rig->history, &lun, true, true, rig->base_s, rig->base_s + 600, NULL, heat_came, rig);
	history_free(rig->history);
	assert_int_equal(rig->answers, 11);
	assert_int_equal(rig->error, -ECANCELED);
	mailbox_run(&rig->mailbox);
	assert_int_equal(rig->answers, 11);
	open_history(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(what_was_written_comes_back_at_every_step),
		TEST(what_is_older_than_the_seconds_comes_from_coarser_archives),
		TEST(pending_rows_follow_those_of_the_file_once),
		TEST(an_object_without_a_file_has_its_pending_rows),
		TEST(an_object_with_neither_is_told_by_name),
		TEST(no_point_lies_in_the_future),
		TEST(too_many_points_are_refused),
		TEST(a_restart_goes_on_and_leaves_a_gap),
		TEST(a_clock_set_back_costs_the_rows_until_it_catches_up),
		TEST(heat_comes_back_by_latency_and_time),
		TEST(without_a_directory_there_are_pending_rows),
		TEST(names_become_files_that_stay_inside),
		TEST(directories_and_files_are_private),
		TEST(rows_of_an_object_that_was_never_active_begin_no_file),
		TEST(a_new_file_is_begun_at_most_once_a_second_after_a_burst),
		TEST(a_file_that_is_not_sound_is_set_aside_with_one_line_and_begun_anew),
		TEST(a_file_that_is_not_sound_is_no_history_to_a_question),
		TEST(a_file_of_a_version_with_fewer_metrics_goes_on),
		TEST(without_space_nothing_new_is_begun_and_old_files_go_on),
		TEST(a_write_without_space_leaves_nothing_behind_and_is_told_once),
		TEST(a_directory_that_cannot_be_made_is_told_once_a_minute),
		TEST(files_of_objects_long_gone_are_removed),
		TEST(only_a_few_files_are_removed_at_a_time),
		TEST(more_questions_than_may_wait_are_refused_and_all_are_answered),
		TEST(a_disk_that_does_not_keep_up_loses_the_oldest_rows_and_is_told_once),
		TEST(questions_without_an_answer_are_cancelled_at_the_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
