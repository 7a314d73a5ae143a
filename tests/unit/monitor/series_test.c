/* monitor/series.h: ranges as people write them, and answers that JSON and CSV readers take. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "monitor/series.h"

#define NOW_S INT64_C(1764000123)

static void times_are_read_as_people_write_them(void **state)
{
	static const struct {
		const char *text;
		int64_t expected_s;
	} cases[] = {
		{ "now", NOW_S }, { "-1s", NOW_S - 1 }, { "-30m", NOW_S - 1800 }, { "-1h", NOW_S - 3600 }, { "-2d", NOW_S - 172800 },
		{ "-2w", NOW_S - 1209600 }, { "-1y", NOW_S - 31536000 }, { "-0s", NOW_S }, { "0", 0 }, { "1764000000", 1764000000 },
		{ "2025-11-24T16:02:03Z", NOW_S }, { "2025-11-24t16:02:03z", NOW_S }, { "2025-11-24 16:02:03Z", NOW_S },
		{ "2025-11-24T16:02:03.999Z", NOW_S }, { "2025-11-24T18:02:03+02:00", NOW_S },
		{ "2025-11-24T12:32:03-03:30", NOW_S }, { "2024-02-29T00:00:00Z", 1709164800 }, { "1970-01-01T00:00:00Z", 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		int64_t found_s = -1;

		if (!series_time_parse(cases[i].text, NOW_S, &found_s) || found_s != cases[i].expected_s)
			fail_msg("%s: %lld", cases[i].text, (long long)found_s);
	}
}

static void what_is_no_time_is_refused(void **state)
{
	static const char *const cases[] = {
		"", " ", "-", "-h", "-1", "-1x", "-1hh", "--1h", "-+1h", "- 1h", "+1h", "1h", "now ", "NOW", "tomorrow", "12345678901234",
		"-99999999999y", "-100000001s", "-1000y", "1e9", "0x10", "-1h30m", "2025-11-24", "2025-11-24T16:02Z",
		"2025-11-24T16:02:03", "2025-13-01T00:00:00Z", "2025-02-29T00:00:00Z", "2025-00-10T00:00:00Z", "2025-01-00T00:00:00Z",
		"2025-11-24T24:00:00Z", "2025-11-24T16:60:00Z", "2025-11-24T16:02:61Z", "1969-12-31T23:59:59Z", "2025-11-24T16:02:03.Z",
		"2025-11-24T16:02:03+2:00", "2025-11-24T16:02:03+24:00", "2025-11-24T16:02:03Zx", "2025-11-24T16:02:03+02:00x",
		"2025-+1-24T16:02:03Z", "+202-11-24T16:02:03Z", "1970-01-01T00:00:00+01:00", "20251124T160203Z", "\xff\xff",
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		int64_t found_s = -7;

		if (series_time_parse(cases[i], NOW_S, &found_s) || found_s != -7)
			fail_msg("%s: %lld", cases[i], (long long)found_s);
	}
}

static void nothing_said_is_the_last_hour(void **state)
{
	struct series_query query = { 0 };
	struct problem problem = { 0 };

	(void)state;
	assert_true(series_range_parse(NULL, NULL, NULL, NULL, NOW_S, &query, &problem));
	assert_int_equal(query.step_s, 4);
	assert_int_equal(query.from_s, (NOW_S - 3600) / 4 * 4);
	assert_int_equal(query.to_s, (NOW_S + 3) / 4 * 4);
	assert_int_equal(query.cf, SERIES_CF_AVERAGE);
}

static void a_range_that_makes_no_sense_says_which_part(void **state)
{
	static const struct {
		const char *from, *to, *step, *cf, *code;
	} cases[] = {
		{ "yesterday", NULL, NULL, NULL, "invalid-range" }, { NULL, "soon", NULL, NULL, "invalid-range" },
		{ "now", "now", NULL, NULL, "invalid-range" }, { "now", "-1h", NULL, NULL, "invalid-range" },
		{ "0", "now", NULL, NULL, "invalid-range" }, { "-4y", NULL, NULL, NULL, "invalid-range" },
		{ "now", "999999999999", NULL, NULL, "invalid-range" }, { NULL, NULL, "0", NULL, "invalid-step" },
		{ NULL, NULL, "-1", NULL, "invalid-step" }, { NULL, NULL, "1.5", NULL, "invalid-step" },
		{ NULL, NULL, "", NULL, "invalid-step" }, { NULL, NULL, "9999999999", NULL, "invalid-step" },
		{ NULL, NULL, "10s", NULL, "invalid-step" }, { NULL, NULL, NULL, "min", "invalid-cf" },
		{ NULL, NULL, NULL, "", "invalid-cf" }, { NULL, NULL, NULL, "AVERAGE", "invalid-cf" },
		{ "-1d", NULL, "10", NULL, "too-large" }, { "-2y", NULL, "600", NULL, "too-large" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct series_query query = { 0 };
		struct problem problem = { 0 };

		if (series_range_parse(cases[i].from, cases[i].to, cases[i].step, cases[i].cf, NOW_S, &query, &problem) ||
		    problem.status != 400 || strcmp(problem.code, cases[i].code) != 0 || problem.detail[0] == '\0')
			fail_msg("case %zu: %d %s", i, problem.status, problem.code);
	}
}

static void a_step_divides_the_range_and_is_one_that_is_kept(void **state)
{
	static const struct {
		const char *from, *step;
		unsigned expected_s;
	} cases[] = {
		{ "-10m", NULL, 1 }, { "-1h", NULL, 4 }, { "-2h", NULL, 10 }, { "-1d", NULL, 90 }, { "-1w", NULL, 660 },
		{ "-2y", NULL, 63600 }, { "-10m", "7", 7 }, { "-2h", "7", 10 }, { "-2d", "61", 120 }, { "-3d", "600", 600 },
		{ "-1h", "999999999", 999999999 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct series_query query = { 0 };
		struct problem problem = { 0 };

		if (!series_range_parse(cases[i].from, NULL, cases[i].step, "max", NOW_S, &query, &problem) ||
		    query.step_s != cases[i].expected_s)
			fail_msg("%s %s: %u", cases[i].from, cases[i].step ? cases[i].step : "auto", query.step_s);
		assert_int_equal(query.from_s % query.step_s, 0);
		assert_int_equal(query.to_s % query.step_s, 0);
		assert_true(query.from_s < query.to_s && query.to_s >= NOW_S);
		assert_true((query.to_s - query.from_s) / query.step_s <= (cases[i].step ? SERIES_POINTS_MAX : SERIES_POINTS_AUTO + 1));
		assert_int_equal(query.cf, SERIES_CF_MAX);
	}
}

static void no_range_gets_more_points_than_auto_allows(void **state)
{
	(void)state;
	for (int64_t range_s = 1; range_s < SERIES_RANGE_MAX_S; range_s += 1 + range_s / 3) {
		unsigned step_s = series_step(NOW_S - range_s, NOW_S, NOW_S), archive_s = series_archive_step(NOW_S - range_s, NOW_S);

		assert_true(range_s <= (int64_t)step_s * SERIES_POINTS_AUTO);
		assert_int_equal(step_s % archive_s, 0);
		if (step_s > archive_s)
			assert_true(range_s > (int64_t)(step_s - archive_s) * SERIES_POINTS_AUTO); /* none finer would do */
	}
}

static void what_would_not_fit_in_one_answer_is_refused(void **state)
{
	static struct object_name objects[SERIES_MAX + 1];
	struct series_query query = { .objects = objects, .object_count = SERIES_MAX, .from_s = 0, .to_s = 900, .step_s = 1 };
	struct problem problem = { 0 };

	(void)state;
	query.metric[METRIC_read_iops] = true;
	query.metric[METRIC_cpu_percent] = true; /* LUNs have none */
	assert_true(series_size_check(&query, &problem));
	query.object_count++;
	assert_false(series_size_check(&query, &problem));
	assert_string_equal(problem.code, "too-large");
	query.object_count--;
	query.to_s = SERIES_VALUES_MAX / SERIES_MAX + 1;
	problem = (struct problem){ 0 };
	assert_false(series_size_check(&query, &problem));
	assert_string_equal(problem.code, "too-large");
	assert_int_equal(problem.status, 400);
}

/* --- writing --- */

static double first_values[] = { 1.5, NAN, 43980465111040 }, second_values[] = { 0, -1, INFINITY };
static struct series two_series[] = {
	{ { OBJECT_LUN, "a\"b,c\\d" }, METRIC_read_iops, first_values },
	{ { OBJECT_TARGET, "iqn.2026-11.example:\xc3\xa9\xff" }, METRIC_write_bytes_per_s, second_values },
};
static const struct series_set two = { .from_s = 1764000000, .step_s = 10, .point_count = 3, .cf = SERIES_CF_MAX,
				       .series = two_series, .series_count = 2 };

static void json_says_what_each_series_is(void **state)
{
	char *text = series_json(&two);
	json_t *root = json_loads(text, 0, NULL), *series, *values;

	(void)state;
	assert_non_null(root);
	assert_int_equal(json_integer_value(json_object_get(root, "from")), 1764000000);
	assert_int_equal(json_integer_value(json_object_get(root, "to")), 1764000030);
	assert_int_equal(json_integer_value(json_object_get(root, "step_s")), 10);
	assert_string_equal(json_string_value(json_object_get(root, "cf")), "max");
	assert_int_equal(json_array_size(json_object_get(root, "series")), 2);
	series = json_array_get(json_object_get(root, "series"), 0);
	assert_string_equal(json_string_value(json_object_get(series, "object")), "lun:a\"b,c\\d");
	assert_string_equal(json_string_value(json_object_get(series, "metric")), "read_iops");
	assert_string_equal(json_string_value(json_object_get(series, "unit")), "operations/s");
	assert_string_equal(json_string_value(json_object_get(series, "title")), metric_rows[METRIC_read_iops].title);
	assert_string_equal(json_string_value(json_object_get(series, "meaning")), metric_rows[METRIC_read_iops].meaning);
	values = json_object_get(series, "values");
	assert_int_equal(json_array_size(values), 3);
	assert_true(json_number_value(json_array_get(values, 0)) == 1.5);
	assert_true(json_is_null(json_array_get(values, 1)));
	assert_true(json_number_value(json_array_get(values, 2)) == 43980465111040.);
	series = json_array_get(json_object_get(root, "series"), 1);
	assert_string_equal(json_string_value(json_object_get(series, "object")), "target:iqn.2026-11.example:\xc3\xa9\xef\xbf\xbd");
	assert_true(json_is_null(json_array_get(json_object_get(series, "values"), 2)));
	json_decref(root);
	free(text);
}

static void csv_has_a_column_a_series_and_nothing_for_what_is_unknown(void **state)
{
	char *text = series_csv(&two);

	(void)state;
	assert_string_equal(text, "time,\"lun:a\"\"b,c\\d read_iops\",\"target:iqn.2026-11.example:\xc3\xa9\xff write_bytes_per_s\"\r\n"
				  "2025-11-24T16:00:10.000Z,1.5,0\r\n"
				  "2025-11-24T16:00:20.000Z,,-1\r\n"
				  "2025-11-24T16:00:30.000Z,43980465111040,\r\n");
	free(text);
}

static void an_empty_set_is_an_empty_list(void **state)
{
	const struct series_set none = { .from_s = 0, .step_s = 1 };
	char *text = series_json(&none);

	(void)state;
	assert_string_equal(text, "{\"from\":0,\"to\":0,\"step_s\":1,\"cf\":\"average\",\"series\":[]}");
	free(text);
	text = series_csv(&none);
	assert_string_equal(text, "time\r\n");
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(times_are_read_as_people_write_them),
		cmocka_unit_test(what_is_no_time_is_refused),
		cmocka_unit_test(nothing_said_is_the_last_hour),
		cmocka_unit_test(a_range_that_makes_no_sense_says_which_part),
		cmocka_unit_test(a_step_divides_the_range_and_is_one_that_is_kept),
		cmocka_unit_test(no_range_gets_more_points_than_auto_allows),
		cmocka_unit_test(what_would_not_fit_in_one_answer_is_refused),
		cmocka_unit_test(json_says_what_each_series_is),
		cmocka_unit_test(csv_has_a_column_a_series_and_nothing_for_what_is_unknown),
		cmocka_unit_test(an_empty_set_is_an_empty_list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
