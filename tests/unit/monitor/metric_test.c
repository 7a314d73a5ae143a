/* monitor/metric.h: properties over all rows of metrics.def, and names of objects. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "monitor/collect.h"
#include "monitor/metric.h"

static void every_metric_is_found_by_a_name_that_rrd_files_can_hold(void **state)
{
	(void)state;
	for (int i = 0; i < METRICS; i++) {
		const char *name = metric_rows[i].name;

		assert_int_equal(metric_find(name, strlen(name)), i);
		assert_in_range(strlen(name), 1, 19);
		assert_int_equal(strspn(name, "abcdefghijklmnopqrstuvwxyz_0123456789"), strlen(name));
	}
	assert_int_equal(metric_find("read_iops ", 10), -1);
	assert_int_equal(metric_find("read_iop", 8), -1);
	assert_int_equal(metric_find("", 0), -1);
}

static void every_metric_has_objects_and_words_and_a_unit(void **state)
{
	(void)state;
	for (int i = 0; i < METRICS; i++) {
		const struct metric_row *row = &metric_rows[i];

		assert_true(row->objects != 0 && row->objects < 1u << OBJECT_KINDS);
		assert_true(row->title[0] && row->meaning[0]);
		assert_true(row->unit < UNITS && metric_unit_name(row->unit)[0]);
	}
}

/* The source of a metric suits the way its value is made: a rate of a gauge or a level of a counter would be nonsense. */
static void what_a_metric_is_made_of_suits_how_it_is_made(void **state)
{
	(void)state;
	for (int i = 0; i < METRICS; i++) {
		const struct metric_row *row = &metric_rows[i];

		switch (row->how) {
		case HOW_RATE:
			assert_false(counter_rows[row->source].gauge);
			assert_true(row->second == METRIC_NO_COUNTER || !counter_rows[row->second].gauge);
			break;
		case HOW_LEVEL:
			assert_true(counter_rows[row->source].gauge);
			break;
		case HOW_CPU:
			assert_string_equal(counter_rows[row->source].unit, "ns");
			break;
		case HOW_GIVEN:
			assert_int_equal(row->source, METRIC_NO_COUNTER);
			break;
		default:
			assert_in_range(row->source, 0, STATS_HISTOGRAMS - 1);
			assert_int_equal(row->unit, UNIT_SECONDS);
		}
	}
}

static void a_kind_has_only_the_metrics_of_its_rows(void **state)
{
	(void)state;
	assert_true(metric_of(METRIC_read_iops, OBJECT_LUN));
	assert_true(metric_of(METRIC_state_size_bytes, OBJECT_HOST));
	assert_false(metric_of(METRIC_state_size_bytes, OBJECT_LUN));
	assert_false(metric_of(METRIC_sessions, OBJECT_SESSION));
}

static void every_kind_is_found_by_its_name(void **state)
{
	(void)state;
	for (int kind = 0; kind < OBJECT_KINDS; kind++)
		assert_int_equal(object_kind_find(object_kind_name(kind), strlen(object_kind_name(kind))), kind);
	assert_int_equal(object_kind_find("LUN", 3), -1);
	assert_int_equal(object_kind_find("", 0), -1);
}

static void an_object_is_a_kind_and_a_name(void **state)
{
	static const char text[] = "target:iqn.2026-11.io.lunette:demo";
	struct object_name object;

	(void)state;
	assert_true(object_parse(text, strlen(text), &object));
	assert_int_equal(object.kind, OBJECT_TARGET);
	assert_string_equal(object.name, "iqn.2026-11.io.lunette:demo");
	assert_true(object_parse("lun:*x", 5, &object));
	assert_string_equal(object.name, "*");
}

static void what_is_no_object_is_refused(void **state)
{
	static const struct {
		const char *text, *why;
	} cases[] = {
		{ "", "empty" }, { "lun", "no colon" }, { "lun:", "no name" }, { ":vol1", "no kind" },
		{ "disk:vol1", "unknown kind" }, { "Lun:vol1", "kinds are lower case" }, { " lun:vol1", "a space" },
		{ "lun:a\nb", "a control character" }, { "lun:a\x7f", "delete" }, { "lun:\x01", "a control character" },
	};
	struct object_name object = { OBJECT_HOST, "kept" };

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		if (object_parse(cases[i].text, strlen(cases[i].text), &object))
			fail_msg("\"%s\" passed: %s", cases[i].text, cases[i].why);
	assert_false(object_parse("lun:a\0b", 7, &object));
	assert_string_equal(object.name, "kept");
}

static void the_longest_name_passes_and_a_longer_one_is_refused(void **state)
{
	struct object_name object;
	char text[4 + STATS_NAME_MAX + 1];

	(void)state;
	memset(text, 'x', sizeof text);
	memcpy(text, "lun:", 4);
	assert_true(object_parse(text, 4 + STATS_NAME_MAX - 1, &object));
	assert_int_equal(strlen(object.name), STATS_NAME_MAX - 1);
	assert_false(object_parse(text, 4 + STATS_NAME_MAX, &object));
}

static void objects_are_ordered_by_kind_and_then_by_name(void **state)
{
	static const struct object_name sorted[] = {
		{ OBJECT_LUN, "a" }, { OBJECT_LUN, "b" }, { OBJECT_TARGET, "a" }, { OBJECT_WORKER, "10" }, { OBJECT_WORKER, "9" },
	};

	(void)state;
	for (int i = 0; i < 5; i++)
		for (int j = 0; j < 5; j++) {
			int order = object_compare(&sorted[i], &sorted[j]);

			assert_int_equal(order > 0, i > j);
			assert_int_equal(order == 0, i == j);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_metric_is_found_by_a_name_that_rrd_files_can_hold),
		cmocka_unit_test(every_metric_has_objects_and_words_and_a_unit),
		cmocka_unit_test(what_a_metric_is_made_of_suits_how_it_is_made),
		cmocka_unit_test(a_kind_has_only_the_metrics_of_its_rows),
		cmocka_unit_test(every_kind_is_found_by_its_name),
		cmocka_unit_test(an_object_is_a_kind_and_a_name),
		cmocka_unit_test(what_is_no_object_is_refused),
		cmocka_unit_test(the_longest_name_passes_and_a_longer_one_is_refused),
		cmocka_unit_test(objects_are_ordered_by_kind_and_then_by_name),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
