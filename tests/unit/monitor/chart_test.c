/* monitor/chart.h: the named charts, lines, heat maps and top lists, read as pictures. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "monitor/chart.h"
#include "monitor/svg.h"
#include "picture.h"

#define FROM_S  1795500000 /* 2026-11-24 06:00:00 UTC */
#define MIB     0x1p20
#define HOSTILE "<\"&'>]]>\x01\xff--></svg>"

static const struct chart_options normal = { .width_px = 800, .height_px = 320, .title = "Throughput", .threshold = 1 };

static const struct {
	unsigned width_px, height_px;
} sizes[] = { { 200, 120 }, { 200, 2000 }, { 320, 180 }, { 640, 240 }, { 800, 320 }, { 4000, 120 }, { 4000, 2000 } };

/* --- what is drawn --- */

static struct series_set *new_set(size_t series, size_t points, const char *name)
{
	struct series_set *set = calloc(1, sizeof *set);

	*set = (struct series_set){ .from_s = FROM_S, .step_s = 10, .point_count = points, .series_count = series };
	set->series = calloc(series + 1, sizeof *set->series);
	for (size_t i = 0; i < series; i++) {
		set->series[i].object.kind = OBJECT_LUN;
		snprintf(set->series[i].object.name, sizeof set->series[i].object.name, "%s%zu", name, i);
		set->series[i].metric = METRIC_read_bytes_per_s;
		set->series[i].value = calloc(points + 1, sizeof(double));
		for (size_t p = 0; p < points; p++)
			set->series[i].value[p] = MIB * (double)(10 + i % 7 + p % 5);
	}
	return set;
}

static void free_set(struct series_set *set)
{
	for (size_t i = 0; i < set->series_count; i++)
		free(set->series[i].value);
	free(set->series);
	free(set);
}

static struct heat_map *new_map(size_t columns, double value)
{
	struct heat_map *map = calloc(1, sizeof *map);

	*map = (struct heat_map){ .from_s = FROM_S, .step_s = 60, .columns = columns };
	map->value = calloc(columns * HEAT_BUCKETS + 1, sizeof(double));
	for (size_t i = 0; i < columns * HEAT_BUCKETS; i++)
		map->value[i] = value;
	return map;
}

static void free_map(struct heat_map *map)
{
	free(map->value);
	free(map);
}

static char *lines(const struct chart_options *options, const struct series_set *set)
{
	char *svg = chart_lines_svg(options, set);

	assert_non_null(svg);
	assert_true(picture_is_well_formed(svg));
	return svg;
}

static char *heat(const struct chart_options *options, const struct heat_map *map)
{
	char *svg = chart_heat_svg(options, map);

	assert_non_null(svg);
	assert_true(picture_is_well_formed(svg));
	return svg;
}

static char *top(const struct chart_options *options, const struct top_item *items, size_t count)
{
	char *svg = chart_top_svg(options, items, count, UNIT_BPS);

	assert_non_null(svg);
	assert_true(picture_is_well_formed(svg));
	return svg;
}

/* --- the table --- */

static void the_named_charts_are_there_and_their_metrics_exist(void **state)
{
	static const char *const names[] = { "throughput", "iops", "latency", "queue", "capacity", "cpu",
					     "memory", "errors", "sessions", "heatmap", "top", "group" };

	(void)state;
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		assert_non_null(chart_find(names[i], strlen(names[i])));
	assert_null(chart_find("", 0));
	assert_null(chart_find("iopsx", 5));
	assert_null(chart_find("iops.svg", 8));
	for (size_t i = 0; i < chart_row_count; i++) {
		const struct chart_row *row = &chart_rows[i];
		const char *at = row->metrics;

		assert_ptr_equal(chart_find(row->name, strlen(row->name)), row);
		assert_true(row->title[0] && row->meaning[0] && row->kind < OBJECT_KINDS);
		assert_int_equal(row->metrics[0] != '\0', row->drawing == CHART_LINES);
		while (*at) { /* one unit, so that one axis is true for all lines */
			size_t len = strcspn(at, ",");
			int metric = metric_find(at, len), first = metric_find(row->metrics, strcspn(row->metrics, ","));

			assert_true(metric >= 0 && metric_of((enum metric_id)metric, row->kind));
			assert_int_equal(metric_rows[metric].unit, metric_rows[first].unit);
			at += len + (at[len] == ',');
		}
	}
}

/* --- lines --- */

static const char *path_of(const char *svg, size_t series)
{
	char mark[64];
	const char *at;

	snprintf(mark, sizeof mark, "data-object=\"lun:vol%zu\"", series);
	at = strstr(svg, mark);
	assert_non_null(at);
	at = strstr(at, " d=\"");
	return at + 4;
}

static unsigned count_until_quote(const char *at, char wanted)
{
	unsigned count = 0;

	for (; *at != '"'; at++)
		count += *at == wanted;
	return count;
}

static void every_series_is_a_line_and_a_row_of_the_legend(void **state)
{
	struct series_set *set = new_set(3, 60, "vol");
	char *svg;

	(void)state;
	set->series[0].value[59] = 30 * MIB;
	svg = lines(&normal, set);
	assert_int_equal(picture_count(svg, "class=\"line\""), 3);
	assert_int_equal(picture_count(svg, "class=\"legend\""), 3);
	assert_int_equal(count_until_quote(path_of(svg, 1), 'L'), 59);
	assert_non_null(strstr(svg, "data-series=\"read_bytes_per_s\""));
	assert_non_null(strstr(svg, ">now 30 MiB/s<"));
	assert_non_null(strstr(svg, ">max 30 MiB/s<"));
	assert_non_null(strstr(svg, ">mean 12.3 MiB/s<"));
	assert_non_null(strstr(svg, ">UTC<"));
	assert_non_null(strstr(svg, ">06:04<"));
	assert_non_null(strstr(svg, ">16 MiB/s<"));
	free(svg);
	free_set(set);
}

static void sixty_four_lines_differ_in_colour_or_dash_and_eight_in_both(void **state)
{
	struct series_set *set = new_set(64, 2, "vol");
	char *svg = lines(&normal, set), look[64][80];

	(void)state;
	for (size_t i = 0; i < 64; i++) {
		char mark[64];
		const char *at;

		snprintf(mark, sizeof mark, "data-object=\"lun:vol%zu\"", i);
		at = strstr(strstr(svg, mark), "stroke=");
		snprintf(look[i], sizeof look[i], "%.16s %.28s", at, strstr(at, "stroke-dasharray="));
		for (size_t k = 0; k < i; k++) {
			assert_string_not_equal(look[i], look[k]);
			if (i < SVG_COLOURS)
				assert_string_not_equal(look[i] + 17, look[k] + 17);
		}
	}
	free(svg);
	free_set(set);
}

static void a_gap_stays_a_gap_and_a_single_value_is_a_point(void **state)
{
	struct series_set *set = new_set(1, 60, "vol");
	char *svg;

	(void)state;
	for (size_t p = 20; p < 40; p++)
		set->series[0].value[p] = p == 30 ? 12 * MIB : NAN;
	svg = lines(&normal, set);
	assert_int_equal(count_until_quote(path_of(svg, 0), 'M'), 2);
	assert_int_equal(count_until_quote(path_of(svg, 0), 'L'), 38);
	assert_int_equal(count_until_quote(strstr(svg, "class=\"point\" d=\"") + 17, 'M'), 1);
	free(svg);
	free_set(set);
}

static void the_first_and_the_last_value_alone_are_points(void **state)
{
	struct series_set *set = new_set(1, 3, "vol");
	char *svg;

	(void)state;
	set->series[0].value[1] = NAN;
	svg = lines(&normal, set);
	assert_int_equal(count_until_quote(path_of(svg, 0), 'M'), 0);
	assert_int_equal(count_until_quote(strstr(svg, "class=\"point\" d=\"") + 17, 'M'), 2);
	free(svg);
	free_set(set);
}

static void without_data_the_chart_says_so_and_for_which_time(void **state)
{
	struct series_set *set = new_set(1, 360, "vol"), *none = new_set(0, 360, "vol");
	char *svg;

	(void)state;
	for (size_t p = 0; p < 360; p++)
		set->series[0].value[p] = NAN;
	svg = lines(&normal, set);
	assert_non_null(strstr(svg, ">no data between 2026-11-24 06:00 and 2026-11-24 07:00 UTC<"));
	assert_non_null(strstr(svg, ">max unknown<"));
	assert_null(strstr(svg, "class=\"line\""));
	free(svg);
	svg = lines(&normal, none);
	assert_non_null(strstr(svg, ">no data between"));
	free(svg);
	free_set(set);
	free_set(none);
}

static void nothing_but_zero_is_a_line_at_zero(void **state)
{
	struct series_set *set = new_set(1, 5, "vol");
	char *svg;

	(void)state;
	memset(set->series[0].value, 0, 5 * sizeof(double));
	svg = lines(&normal, set);
	assert_int_equal(count_until_quote(path_of(svg, 0), 'L'), 4);
	assert_null(strstr(svg, "nan"));
	assert_non_null(strstr(svg, ">0 B/s<"));
	free(svg);
	free_set(set);
}

static void a_line_far_above_the_others_is_broken_when_reduction_is_on(void **state)
{
	struct chart_options reduced = normal;
	struct series_set *set = new_set(3, 60, "vol");
	const char *at;
	char *svg;

	(void)state;
	reduced.threshold = 0.6;
	for (size_t p = 0; p < 60; p++)
		set->series[0].value[p] = 50000 * MIB * (1 + 0.0001 * (double)(p % 3));
	svg = lines(&normal, set);
	assert_null(strstr(svg, "class=\"break\""));
	free(svg);
	svg = lines(&reduced, set);
	at = picture_next(svg, "class=\"break\"");
	assert_non_null(at);
	assert_int_equal(picture_count(svg, "class=\"break\""), 1);
	assert_true(picture_number(at, "data-factor") > 100);
	assert_true(picture_number(at, "data-from") > 16 * MIB && picture_number(at, "data-to") < 50000 * MIB);
	assert_int_equal(picture_count(svg, "class=\"edge\""), 2);
	assert_int_equal(picture_count(svg, "class=\"factor\""), 1);
	assert_non_null(strstr(svg, " is drawn 1 : "));
	assert_non_null(strstr(svg, ">48.8 GiB/s<")); /* the axis above the break says its true end */
	free(svg);
	free_set(set);
}

static void without_a_line_that_stands_out_nothing_is_broken(void **state)
{
	struct chart_options reduced = normal;
	struct series_set *set = new_set(3, 60, "vol");
	char *svg, *full;

	(void)state;
	for (size_t p = 0; p < 60; p++)
		set->series[0].value[p] = MIB * (double)p / 3; /* no region between neighbours is large */
	full = lines(&normal, set);
	reduced.threshold = 0.6;
	svg = lines(&reduced, set);
	assert_string_equal(svg, full);
	free(svg);
	free(full);
	free_set(set);
}

static void a_legend_is_bounded_and_tells_how_many_it_leaves_out(void **state)
{
	struct series_set *set = new_set(SERIES_MAX, 2, "vol");
	char *svg = lines(&normal, set), more[64];
	unsigned rows = picture_count(svg, "class=\"legend\"");

	(void)state;
	assert_int_equal(picture_count(svg, "class=\"line\""), SERIES_MAX);
	assert_in_range(rows, 1, 20);
	snprintf(more, sizeof more, ">and %u more<", SERIES_MAX - rows);
	assert_non_null(strstr(svg, more));
	free(svg);
	free_set(set);
}

static void a_small_picture_gives_up_its_legend_and_keeps_its_plot(void **state)
{
	const struct chart_options small = { .width_px = 200, .height_px = 120, .title = "Throughput", .threshold = 1 };
	struct series_set *set = new_set(9, 60, "vol");
	char *svg = lines(&small, set);

	(void)state;
	assert_int_equal(picture_count(svg, "class=\"legend\""), 0);
	assert_true(picture_number(picture_next(svg, "<rect class=\"border\""), "height") >= 60);
	free(svg);
	free_set(set);
}

static void a_line_has_no_more_points_than_the_picture_has_columns(void **state)
{
	struct series_set *set = new_set(1, SERIES_POINTS_MAX, "vol");
	char *svg;

	(void)state;
	set->cf = SERIES_CF_MAX;
	set->series[0].value[2222] = 99 * MIB;
	svg = lines(&normal, set);
	assert_true(count_until_quote(path_of(svg, 0), 'L') < 800);
	assert_non_null(strstr(svg, ">max 99 MiB/s<"));
	free(svg);
	free_set(set);
}

static void axes_of_months_and_years_have_ticks_on_first_days(void **state)
{
	struct series_set *set = new_set(1, 365, "vol");
	char *svg;

	(void)state;
	set->step_s = 86400;
	svg = lines(&normal, set);
	assert_non_null(strstr(svg, ">Jan 2027<"));
	assert_non_null(strstr(svg, ">Oct 2027<"));
	set->step_s = 3 * 86400;
	free(svg);
	svg = lines(&(struct chart_options){ .width_px = 400, .height_px = 200, .threshold = 1 }, set);
	assert_non_null(strstr(svg, ">2028<"));
	free(svg);
	free_set(set);
}

/* --- heat maps and top lists --- */

static void a_heat_map_tells_zero_from_unknown(void **state)
{
	struct heat_map *map = new_map(10, 0);
	char *svg;

	(void)state;
	map->value[3 * HEAT_BUCKETS + 6] = 1000;
	for (unsigned r = 0; r < HEAT_BUCKETS; r++)
		map->value[5 * HEAT_BUCKETS + r] = map->value[6 * HEAT_BUCKETS + r] = NAN;
	svg = heat(&normal, map);
	assert_int_equal(picture_count(svg, "class=\"cell\""), 1);
	assert_int_equal(picture_count(svg, "class=\"unknown\""), 1); /* neighbours are one */
	assert_true(fabs(picture_number(picture_next(svg, "class=\"unknown\""), "width") / 712 * 10 - 2) < 0.01);
	assert_non_null(strstr(svg, ">256 us<"));
	assert_non_null(strstr(svg, "to 1 k/s in a cell; hatched: unknown"));
	free(svg);
	free_map(map);
}

static void more_operations_are_another_shade(void **state)
{
	struct heat_map *map = new_map(4, 0);
	char *svg;

	(void)state;
	for (size_t c = 0; c < 4; c++)
		map->value[c * HEAT_BUCKETS + 6] = pow(10, (double)c);
	svg = heat(&normal, map);
	assert_int_equal(picture_count(svg, "class=\"cell\""), 4);
	free(svg);
	map->value[1 * HEAT_BUCKETS + 6] = map->value[2 * HEAT_BUCKETS + 6];
	svg = heat(&normal, map);
	assert_int_equal(picture_count(svg, "class=\"cell\""), 3); /* equal neighbours are one */
	free(svg);
	free_map(map);
}

static void a_heat_map_without_operations_or_without_data_says_which(void **state)
{
	struct heat_map *zero = new_map(10, 0), *unknown = new_map(10, NAN), *none = new_map(0, 0);
	char *svg = heat(&normal, zero);

	(void)state;
	assert_non_null(strstr(svg, ">no operations in this time<"));
	free(svg);
	svg = heat(&normal, unknown);
	assert_non_null(strstr(svg, ">no data between 2026-11-24 06:00 and 2026-11-24 06:10 UTC<"));
	free(svg);
	svg = heat(&normal, none);
	free(svg);
	free_map(zero);
	free_map(unknown);
	free_map(none);
}

static void a_heat_map_has_a_bounded_number_of_cells(void **state)
{
	struct heat_map *map = new_map(4000, 0);
	const struct chart_options large = { .width_px = 4000, .height_px = 2000, .threshold = 1 };
	char *svg;

	(void)state;
	for (size_t i = 0; i < 4000 * HEAT_BUCKETS; i++)
		map->value[i] = (i * 2654435761u) % 5000;
	svg = heat(&large, map);
	assert_in_range(picture_count(svg, "class=\"cell\""), 1000, 30000);
	free(svg);
	free_map(map);
}

static void a_top_list_has_bars_by_value_and_none_for_the_unknown(void **state)
{
	const struct top_item items[] = { { "vol1", 4 * MIB }, { "vol2", 1 * MIB }, { "vol3", NAN } };
	char *svg = top(&normal, items, 3);
	const char *first = strstr(svg, "data-object=\"vol1\""), *second = strstr(svg, "data-object=\"vol2\"");
	const char *third = strstr(svg, "data-object=\"vol3\"");

	(void)state;
	assert_true(first && second && third && first < second && second < third);
	assert_true(fabs(picture_number(strstr(first, "<rect"), "width") / picture_number(strstr(second, "<rect"), "width") - 4) < 0.01);
	assert_null(strstr(third, "<rect"));
	assert_non_null(strstr(third, ">unknown<"));
	assert_non_null(strstr(first, ">4 MiB/s<"));
	free(svg);
}

/* --- any size, any name --- */

static void check_every_size(char *(*draw)(const struct chart_options *, const void *), const void *data)
{
	for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++)
		for (int theme = 0; theme < 2; theme++)
			for (int reduced = 0; reduced < 2; reduced++) {
				struct chart_options options = { .width_px = sizes[s].width_px, .height_px = sizes[s].height_px,
								 .theme = theme ? CHART_DARK : CHART_LIGHT,
								 .title = HOSTILE, .threshold = reduced ? 0.6 : 1 };
				char *svg = draw(&options, data);

				assert_non_null(svg);
				assert_true(picture_is_well_formed(svg));
				picture_check_texts(svg, options.width_px, options.height_px);
				assert_non_null(strstr(svg, "role=\"img\""));
				assert_null(strstr(svg, "<script"));
				assert_int_equal(picture_count(svg, "</svg>"), 1);
				free(svg);
			}
}

static char *draw_lines(const struct chart_options *options, const void *set)
{
	return chart_lines_svg(options, set);
}

static void lines_of_any_name_are_legible_at_any_size(void **state)
{
	const size_t counts[] = { 0, 1, 2, 7, 40 };

	(void)state;
	for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
		struct series_set *set = new_set(counts[i], 50, HOSTILE " a long name that goes on and on and on and on");

		check_every_size(draw_lines, set);
		for (size_t p = 0; p < 50 && counts[i] > 0; p++)
			set->series[0].value[p] = p % 3 ? 1e15 : NAN;
		check_every_size(draw_lines, set);
		free_set(set);
	}
}

static char *draw_heat(const struct chart_options *options, const void *map)
{
	return chart_heat_svg(options, map);
}

static void heat_maps_are_legible_at_any_size(void **state)
{
	(void)state;
	for (double value = -1; value < 2; value++) {
		struct heat_map *map = new_map(37, value < 0 ? NAN : value * 1234);

		check_every_size(draw_heat, map);
		free_map(map);
	}
}

static char *draw_top(const struct chart_options *options, const void *items)
{
	return chart_top_svg(options, items, 50, UNIT_BPS);
}

static void top_lists_of_any_name_are_legible_at_any_size(void **state)
{
	struct top_item items[50];

	(void)state;
	for (size_t i = 0; i < 50; i++)
		items[i] = (struct top_item){ i % 2 ? HOSTILE " that goes on and on and on and on and on" : "v", 1e12 / (double)(i + 1) };
	items[49].value = NAN;
	check_every_size(draw_top, items);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_named_charts_are_there_and_their_metrics_exist),
		cmocka_unit_test(every_series_is_a_line_and_a_row_of_the_legend),
		cmocka_unit_test(sixty_four_lines_differ_in_colour_or_dash_and_eight_in_both),
		cmocka_unit_test(a_gap_stays_a_gap_and_a_single_value_is_a_point),
		cmocka_unit_test(the_first_and_the_last_value_alone_are_points),
		cmocka_unit_test(without_data_the_chart_says_so_and_for_which_time),
		cmocka_unit_test(nothing_but_zero_is_a_line_at_zero),
		cmocka_unit_test(a_line_far_above_the_others_is_broken_when_reduction_is_on),
		cmocka_unit_test(without_a_line_that_stands_out_nothing_is_broken),
		cmocka_unit_test(a_legend_is_bounded_and_tells_how_many_it_leaves_out),
		cmocka_unit_test(a_small_picture_gives_up_its_legend_and_keeps_its_plot),
		cmocka_unit_test(a_line_has_no_more_points_than_the_picture_has_columns),
		cmocka_unit_test(axes_of_months_and_years_have_ticks_on_first_days),
		cmocka_unit_test(a_heat_map_tells_zero_from_unknown),
		cmocka_unit_test(more_operations_are_another_shade),
		cmocka_unit_test(a_heat_map_without_operations_or_without_data_says_which),
		cmocka_unit_test(a_heat_map_has_a_bounded_number_of_cells),
		cmocka_unit_test(a_top_list_has_bars_by_value_and_none_for_the_unknown),
		cmocka_unit_test(lines_of_any_name_are_legible_at_any_size),
		cmocka_unit_test(heat_maps_are_legible_at_any_size),
		cmocka_unit_test(top_lists_of_any_name_are_legible_at_any_size),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
