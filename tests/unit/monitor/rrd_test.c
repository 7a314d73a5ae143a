/* monitor/rrd.h: small files, and what a file may never do to us. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#define RRD_EXPORT_DEPRECATED /* the layout of the file */
#include <rrd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "monitor/rrd.h"
#include "tests/unit/cluster/scratch.h"

#define assert_near(value, expected, tolerance) assert_true(fabs((value) - (expected)) <= (tolerance))
#define BASE_S INT64_C(1700000400) /* a multiple of 600 */
#define NOW_S  (BASE_S + 100000)
#define WIDTH  3

static const char *const names[] = { "first", "second", "third" };
static const struct rrd_archive archives[] = {
	{ SERIES_CF_AVERAGE, 1, 120 }, { SERIES_CF_AVERAGE, 10, 60 }, { SERIES_CF_MAX, 10, 60 },
	{ SERIES_CF_AVERAGE, 60, 40 }, { SERIES_CF_MAX, 60, 40 },
};
enum { EACH_SECOND, TEN_AVERAGE, TEN_MAX, MINUTE_AVERAGE, MINUTE_MAX, ARCHIVES };

struct rig {
	char dir[200], path[256];
	struct rrd_schema schema, older; /* older: without the third source */
	struct err err;
};

static int setup(void **state)
{
	struct rig *rig = calloc(1, sizeof *rig);

	scratch_make(rig->dir, sizeof rig->dir);
	snprintf(rig->path, sizeof rig->path, "%s/x.rrd", rig->dir);
	rig->schema = (struct rrd_schema){ .names = names, .source_count = WIDTH, .step_s = 1, .archives = archives,
					   .archive_count = ARCHIVES };
	rig->older = rig->schema;
	rig->older.source_count = 2;
	assert_int_equal(rrd_schema_init(&rig->schema, rig->dir, &rig->err), 0);
	assert_int_equal(rrd_schema_init(&rig->older, rig->dir, &rig->err), 0);
	*state = rig;
	return 0;
}

static int teardown(void **state)
{
	struct rig *rig = *state;

	rrd_schema_fini(&rig->schema);
	rrd_schema_fini(&rig->older);
	scratch_remove(rig->dir);
	free(rig);
	return 0;
}

static int check(struct rig *rig, int64_t *ret_last_s)
{
	int64_t last_s = -1;
	int error;

	rig->err = (struct err){ 0 };
	error = rrd_file_check(&rig->schema, rig->path, NOW_S, &last_s, &rig->err);
	if (ret_last_s)
		*ret_last_s = last_s;
	return error;
}

static void update(struct rig *rig, const int64_t *time_s, const double *value, size_t count)
{
	int64_t last_s;

	assert_int_equal(check(rig, &last_s), 0);
	assert_int_equal(rrd_file_update(&rig->schema, rig->path, last_s, 5, time_s, value, count, &rig->err), 0);
}

/* Rows from from_s + 1 on: the first source is the second's number, the second source twice that, the third unknown. */
static void write_numbers(struct rig *rig, int64_t from_s, size_t count)
{
	int64_t *time_s = calloc(count, sizeof *time_s);
	double *value = calloc(count * WIDTH, sizeof *value);

	for (size_t i = 0; i < count; i++) {
		time_s[i] = from_s + 1 + (int64_t)i;
		value[i * WIDTH] = (double)(time_s[i] - BASE_S);
		value[i * WIDTH + 1] = 2 * (double)(time_s[i] - BASE_S);
		value[i * WIDTH + 2] = NAN;
	}
	update(rig, time_s, value, count);
	free(time_s);
	free(value);
}

static void make_file(struct rig *rig)
{
	assert_int_equal(rrd_file_create(&rig->schema, rig->path, BASE_S, &rig->err), 0);
}

static double *fetch(struct rig *rig, unsigned archive, int64_t from_s, int64_t to_s, size_t expected_rows)
{
	double *value;
	size_t rows;
	int64_t first_s;

	assert_int_equal(rrd_file_fetch(&rig->schema, rig->path, &archives[archive], from_s, to_s, &value, &rows, &first_s,
					&rig->err), 0);
	assert_int_equal(rows, expected_rows);
	assert_int_equal(first_s, from_s);
	return value;
}

static void a_new_file_is_private_whole_and_unknown(void **state)
{
	struct rig *rig = *state;
	struct stat st;
	int64_t last_s;
	double *value;

	make_file(rig);
	assert_int_equal(stat(rig->path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(st.st_size, rig->schema.file_bytes);
	assert_true((size_t)st.st_blocks * 512 >= rig->schema.file_bytes); /* no holes: writing to it needs no space */
	assert_int_equal(check(rig, &last_s), 0);
	assert_int_equal(last_s, BASE_S);
	value = fetch(rig, EACH_SECOND, BASE_S - 120, BASE_S, 120);
	for (size_t i = 0; i < 120 * WIDTH; i++)
		assert_true(isnan(value[i]));
	free(value);
}

static void a_known_input_gives_the_expected_rows_at_each_resolution(void **state)
{
	static const struct {
		unsigned archive, step;
		double first; /* of the first row; each next one is a step more */
	} cases[] = { { EACH_SECOND, 1, 181 }, { TEN_AVERAGE, 10, 185.5 }, { TEN_MAX, 10, 190 },
		      { MINUTE_AVERAGE, 60, 210.5 }, { MINUTE_MAX, 60, 240 } };
	struct rig *rig = *state;

	make_file(rig);
	write_numbers(rig, BASE_S, 300);
	for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
		size_t rows = 120 / cases[c].step;
		double *value = fetch(rig, cases[c].archive, BASE_S + 180, BASE_S + 300, rows);

		for (size_t i = 0; i < rows; i++) {
			double expected = cases[c].first + (double)(i * cases[c].step);

			assert_near(value[i * WIDTH], expected, 1e-9);
			assert_near(value[i * WIDTH + 1], 2 * expected, 1e-9);
			assert_true(isnan(value[i * WIDTH + 2]));
		}
		free(value);
	}
}

static void a_stopped_time_is_unknown_to_the_second(void **state)
{
	struct rig *rig = *state;
	double *value;

	make_file(rig);
	write_numbers(rig, BASE_S, 30);
	write_numbers(rig, BASE_S + 60, 40); /* 30 s nothing: less than librrd's own heartbeat */
	value = fetch(rig, EACH_SECOND, BASE_S, BASE_S + 100, 100);
	for (int i = 0; i < 100; i++) {
		if (i < 30 || i >= 60)
			assert_near(value[i * WIDTH], i + 1, 0);
		else
			assert_true(isnan(value[i * WIDTH]));
	}
	free(value);
	value = fetch(rig, TEN_AVERAGE, BASE_S, BASE_S + 100, 10);
	for (int i = 0; i < 10; i++)
		assert_int_equal(isnan(value[i * WIDTH]), i >= 3 && i < 6);
	free(value);
}

static void a_second_or_two_without_a_sample_is_no_gap(void **state)
{
	static const int64_t time_s[] = { BASE_S + 1, BASE_S + 4 };
	static const double rows[] = { 1, 1, 1, 7, 7, 7 };
	struct rig *rig = *state;
	double *value;

	make_file(rig);
	update(rig, time_s, rows, 2);
	value = fetch(rig, EACH_SECOND, BASE_S, BASE_S + 4, 4);
	assert_near(value[0], 1, 0);
	for (int i = 1; i < 4; i++)
		assert_near(value[i * WIDTH], 7, 0);
	free(value);
}

static void equal_rows_written_as_one_are_read_as_many(void **state)
{
	enum { COUNT = 700 };
	struct rig *rig = *state;
	int64_t time_s[COUNT];
	double rows[COUNT * WIDTH], *value;

	for (int i = 0; i < COUNT; i++) {
		time_s[i] = BASE_S + 1 + i;
		for (int c = 0; c < WIDTH; c++)
			rows[i * WIDTH + c] = i < 650 ? 5 : 8;
	}
	make_file(rig);
	update(rig, time_s, rows, COUNT);
	value = fetch(rig, EACH_SECOND, BASE_S + 600, BASE_S + 700, 100);
	for (int i = 0; i < 100; i++)
		assert_near(value[i * WIDTH], i < 50 ? 5 : 8, 0);
	free(value);
	value = fetch(rig, MINUTE_AVERAGE, BASE_S, BASE_S + 660, 11);
	for (int i = 0; i < 10; i++)
		assert_near(value[i * WIDTH], 5, 1e-12);
	assert_near(value[10 * WIDTH], (50 * 5 + 10 * 8) / 60.0, 1e-12);
	free(value);
}

static void numbers_arrive_as_they_were(void **state)
{
	static const double numbers[] = { 0, 1, 1e15, 123456789012345, 0.000123456789, 2.5, 1e-9, 43980465111040, 99.999999, 1e300,
					  -3, -0.25 };
	struct rig *rig = *state;

	make_file(rig);
	for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
		int64_t at_s = BASE_S + 1 + (int64_t)i;
		double row[WIDTH] = { numbers[i], INFINITY, NAN }, *value;

		update(rig, &at_s, row, 1);
		value = fetch(rig, EACH_SECOND, at_s - 1, at_s, 1);
		assert_near(value[0], numbers[i], fabs(numbers[i]) * 1e-8);
		assert_true(isnan(value[1]) && isnan(value[2]));
		free(value);
	}
}

static void a_busy_second_among_idle_ones_is_not_hidden(void **state)
{
	static const int64_t time_s[] = { BASE_S + 1, BASE_S + 2, BASE_S + 10 };
	static const double rows[] = { NAN, NAN, NAN, 4, 4, 4, NAN, NAN, NAN };
	struct rig *rig = *state;
	double *value;

	make_file(rig);
	update(rig, time_s, rows, 3);
	value = fetch(rig, TEN_AVERAGE, BASE_S, BASE_S + 10, 1);
	assert_near(value[0], 4, 1e-12);
	free(value);
}

static void rows_that_are_not_newer_are_left_out(void **state)
{
	static const int64_t time_s[] = { BASE_S + 3, BASE_S + 10, BASE_S + 11 };
	static const double rows[] = { 9, 9, 9, 9, 9, 9, 9, 9, 9 };
	struct rig *rig = *state;
	int64_t last_s;
	double *value;

	make_file(rig);
	write_numbers(rig, BASE_S, 10);
	update(rig, time_s, rows, 3);
	assert_int_equal(check(rig, &last_s), 0);
	assert_int_equal(last_s, BASE_S + 11);
	value = fetch(rig, EACH_SECOND, BASE_S, BASE_S + 11, 11);
	assert_near(value[2 * WIDTH], 3, 0);
	assert_near(value[10 * WIDTH], 9, 0);
	free(value);
}

/* --- files that are not sound --- */

static void overwrite(struct rig *rig, size_t at, const void *bytes, size_t len)
{
	int fd = open(rig->path, O_WRONLY);

	assert_int_equal(pwrite(fd, bytes, len, (off_t)at), len);
	close(fd);
}

static size_t live_at(void)
{
	return sizeof(stat_head_t) + WIDTH * sizeof(ds_def_t) + ARCHIVES * sizeof(rra_def_t);
}

static size_t pointers_at(void)
{
	return live_at() + sizeof(live_head_t) + WIDTH * sizeof(pdp_prep_t) + WIDTH * ARCHIVES * sizeof(cdp_prep_t);
}

static void a_truncated_file_is_refused_wherever_it_ends(void **state)
{
	struct rig *rig = *state;
	size_t ends[] = { 0, 4, 9, sizeof(stat_head_t), sizeof(stat_head_t) + WIDTH * sizeof(ds_def_t), live_at(),
			  live_at() + sizeof(live_head_t), live_at() + sizeof(live_head_t) + WIDTH * sizeof(pdp_prep_t),
			  pointers_at(), rig->schema.head_bytes, rig->schema.head_bytes + 120 * WIDTH * 8,
			  rig->schema.file_bytes - 8 };

	make_file(rig);
	assert_int_equal(truncate(rig->path, (off_t)rig->schema.file_bytes + 1), 0);
	assert_true(check(rig, NULL) < 0);
	for (size_t i = sizeof ends / sizeof ends[0]; i-- > 0;) {
		assert_int_equal(truncate(rig->path, (off_t)ends[i] + 1), 0);
		assert_int_equal(check(rig, NULL), -EBADMSG);
		assert_int_equal(truncate(rig->path, (off_t)ends[i]), 0);
		assert_int_equal(check(rig, NULL), -EBADMSG);
	}
}

static void no_flipped_bit_of_the_definitions_passes(void **state)
{
	struct rig *rig = *state;

	make_file(rig);
	for (size_t at = 0; at < live_at(); at += at < 256 ? 1 : 7) {
		char was, is;
		int fd = open(rig->path, O_RDONLY);

		assert_int_equal(pread(fd, &was, 1, (off_t)at), 1);
		close(fd);
		is = (char)(was ^ 1 << at % 8);
		overwrite(rig, at, &is, 1);
		assert_int_equal(check(rig, NULL), -EBADMSG);
		overwrite(rig, at, &was, 1);
	}
	assert_int_equal(check(rig, NULL), 0);
}

/* What librrd prepares may be nonsense: then values are, but nothing is read or written outside the file. */
static void a_flipped_bit_of_the_live_part_is_refused_or_does_no_harm(void **state)
{
	struct rig *rig = *state;
	int64_t last_s;

	make_file(rig);
	write_numbers(rig, BASE_S, 100);
	for (size_t at = live_at(); at < rig->schema.head_bytes; at += 3) {
		char was, is;
		int fd = open(rig->path, O_RDONLY);

		assert_int_equal(pread(fd, &was, 1, (off_t)at), 1);
		close(fd);
		is = (char)(was ^ 1 << at % 8);
		overwrite(rig, at, &is, 1);
		if (check(rig, &last_s) == 0) {
			int64_t next_s = last_s + 1;
			double row[WIDTH] = { 1, 2, 3 };

			rrd_file_update(&rig->schema, rig->path, last_s, 5, &next_s, row, 1, &rig->err);
			free(fetch(rig, EACH_SECOND, next_s - 100, next_s, 100));
		}
		unlink(rig->path);
		make_file(rig);
	}
}

static void a_row_outside_its_archive_is_refused(void **state)
{
	struct rig *rig = *state;

	for (unsigned i = 0; i < ARCHIVES; i++) {
		static const unsigned long beyond[] = { 1, 1000000, ULONG_MAX, LONG_MAX };

		for (size_t b = 0; b < sizeof beyond / sizeof beyond[0]; b++) {
			rra_ptr_t pointer = { b ? beyond[b] : archives[i].rows };

			make_file(rig);
			overwrite(rig, pointers_at() + i * sizeof pointer, &pointer, sizeof pointer);
			assert_int_equal(check(rig, NULL), -EBADMSG);
			assert_non_null(strstr(rig->err.text, "row"));
		}
	}
}

static void the_time_of_the_last_update_must_make_sense(void **state)
{
	static const struct {
		live_head_t live;
		int error;
	} cases[] = {
		{ { NOW_S + 3601, 0 }, -EBADMSG }, { { NOW_S + 3600, 0 }, 0 }, { { 0, 0 }, -EBADMSG }, { { -1, 0 }, -EBADMSG },
		{ { INT64_MAX, 0 }, -EBADMSG }, { { INT64_MIN, 0 }, -EBADMSG }, { { BASE_S, 1000000 }, -EBADMSG },
		{ { BASE_S, -1 }, -EBADMSG }, { { BASE_S, 999999 }, 0 },
	};
	struct rig *rig = *state;

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		make_file(rig);
		overwrite(rig, live_at(), &cases[i].live, sizeof cases[i].live);
		assert_int_equal(check(rig, NULL), cases[i].error);
	}
}

static void swap_words(char *bytes, size_t len)
{
	for (size_t i = 0; i + 8 <= len; i += 8)
		for (size_t b = 0; b < 4; b++) {
			char c = bytes[i + b];

			bytes[i + b] = bytes[i + 7 - b];
			bytes[i + 7 - b] = c;
		}
}

static void a_file_of_another_architecture_is_refused_by_name(void **state)
{
	struct rig *rig = *state;
	char head[sizeof(stat_head_t)];
	int fd;

	make_file(rig);
	fd = open(rig->path, O_RDONLY);
	assert_int_equal(pread(fd, head, sizeof head, 0), sizeof head);
	close(fd);
	swap_words(head + offsetof(stat_head_t, float_cookie), sizeof head - offsetof(stat_head_t, float_cookie));
	overwrite(rig, 0, head, sizeof head);
	assert_int_equal(check(rig, NULL), -EBADMSG);
	assert_non_null(strstr(rig->err.text, "architecture"));
	swap_words(head, offsetof(stat_head_t, float_cookie));
	overwrite(rig, 0, head, sizeof head);
	assert_int_equal(check(rig, NULL), -EBADMSG);
}

static void what_is_no_regular_file_is_refused_and_no_link_is_followed(void **state)
{
	struct rig *rig = *state;
	char other[256];

	assert_int_equal(check(rig, NULL), -ENOENT);
	assert_int_equal(mkdir(rig->path, 0700), 0);
	assert_true(check(rig, NULL) < 0 && check(rig, NULL) != -ENOENT);
	assert_int_equal(rmdir(rig->path), 0);
	assert_int_equal(mkfifo(rig->path, 0600), 0);
	assert_int_equal(check(rig, NULL), -EBADMSG);
	assert_int_equal(unlink(rig->path), 0);
	make_file(rig);
	snprintf(other, sizeof other, "%s/other.rrd", rig->dir);
	assert_int_equal(rename(rig->path, other), 0);
	assert_int_equal(symlink(other, rig->path), 0);
	assert_int_equal(check(rig, NULL), -ELOOP);
}

static void other_archives_or_names_are_refused(void **state)
{
	static const char *const other_names[] = { "first", "other", "third" };
	struct rig *rig = *state;
	struct rrd_archive other[ARCHIVES];
	struct rrd_schema schema = rig->schema;

	schema.names = other_names;
	assert_int_equal(rrd_schema_init(&schema, rig->dir, &rig->err), 0);
	assert_int_equal(rrd_file_create(&schema, rig->path, BASE_S, &rig->err), 0);
	assert_int_equal(check(rig, NULL), -EBADMSG);
	rrd_schema_fini(&schema);
	memcpy(other, archives, sizeof other);
	other[1].rows -= 1;
	other[2].rows += 1; /* the same size */
	schema = rig->schema;
	schema.archives = other;
	assert_int_equal(rrd_schema_init(&schema, rig->dir, &rig->err), 0);
	assert_int_equal(rrd_file_create(&schema, rig->path, BASE_S, &rig->err), 0);
	assert_int_equal(check(rig, NULL), -EBADMSG);
	rrd_schema_fini(&schema);
}

static void a_file_without_the_newest_sources_is_widened_and_keeps_what_it_has(void **state)
{
	struct rig *rig = *state;
	int64_t time_s[95];
	double rows[95 * 2], *value;

	assert_int_equal(rrd_file_create(&rig->older, rig->path, BASE_S, &rig->err), 0);
	for (int i = 0; i < 95; i++) {
		time_s[i] = BASE_S + 1 + i;
		rows[2 * i] = rows[2 * i + 1] = i + 1;
	}
	assert_int_equal(rrd_file_update(&rig->older, rig->path, BASE_S, 5, time_s, rows, 95, &rig->err), 0);
	assert_int_equal(check(rig, NULL), -ESTALE);
	assert_int_equal(rrd_file_widen(&rig->schema, rig->path, &rig->err), 0);
	for (int i = 0; i < 25; i++) {
		int64_t at_s = BASE_S + 96 + i;
		double row[WIDTH] = { 96 + i, 96 + i, 50 };

		update(rig, &at_s, row, 1);
	}
	value = fetch(rig, EACH_SECOND, BASE_S, BASE_S + 120, 120);
	for (int i = 0; i < 120; i++) {
		assert_near(value[i * WIDTH + 1], i + 1, 0);
		assert_int_equal(isnan(value[i * WIDTH + 2]), i < 95);
	}
	free(value);
	value = fetch(rig, MINUTE_AVERAGE, BASE_S, BASE_S + 120, 2);
	assert_near(value[0], 30.5, 1e-9);
	assert_near(value[WIDTH], 90.5, 1e-9);
	assert_true(isnan(value[2]));
	assert_near(value[WIDTH + 2], 50, 1e-9); /* of what is known of it */
	free(value);
}

static void a_file_of_a_newer_version_is_refused(void **state)
{
	struct rig *rig = *state;
	int64_t last_s;

	make_file(rig);
	assert_int_equal(rrd_file_check(&rig->older, rig->path, NOW_S, &last_s, &rig->err), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(a_new_file_is_private_whole_and_unknown),
		TEST(a_known_input_gives_the_expected_rows_at_each_resolution),
		TEST(a_stopped_time_is_unknown_to_the_second),
		TEST(a_second_or_two_without_a_sample_is_no_gap),
		TEST(equal_rows_written_as_one_are_read_as_many),
		TEST(numbers_arrive_as_they_were),
		TEST(a_busy_second_among_idle_ones_is_not_hidden),
		TEST(rows_that_are_not_newer_are_left_out),
		TEST(a_truncated_file_is_refused_wherever_it_ends),
		TEST(no_flipped_bit_of_the_definitions_passes),
		TEST(a_flipped_bit_of_the_live_part_is_refused_or_does_no_harm),
		TEST(a_row_outside_its_archive_is_refused),
		TEST(the_time_of_the_last_update_must_make_sense),
		TEST(a_file_of_another_architecture_is_refused_by_name),
		TEST(what_is_no_regular_file_is_refused_and_no_link_is_followed),
		TEST(other_archives_or_names_are_refused),
		TEST(a_file_without_the_newest_sources_is_widened_and_keeps_what_it_has),
		TEST(a_file_of_a_newer_version_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
