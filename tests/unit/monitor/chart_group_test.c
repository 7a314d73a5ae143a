/* Group charts: the rendering information (VIZ-3, VIZ-6) and the picture, which show the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <math.h>
#include <string.h>

#include "monitor/chart.h"
#include "picture.h"

#define GIB 0x1p30
#define TIB 0x1p40

static const struct chart_options normal = { .width_px = 900, .height_px = 420, .title = "LUNs", .threshold = 0.6 };

static const struct group_component archive_and_others[] = {
	{ "lun:archive", "archive", 30 * TIB, 40 * TIB }, { "lun:a", "a", 2 * GIB, 20 * GIB },
	{ "lun:over", "over", 26 * GIB, 20 * GIB },       { "lun:half", "half", NAN, 20 * GIB },
	{ "lun:unknown", "unknown", NAN, NAN },           { "lun:empty", "empty", 0, 0 },
};
#define COUNT (sizeof archive_and_others / sizeof archive_and_others[0])

static struct group_chart make_chart(const struct group_component *components, size_t count, double threshold)
{
	struct group_chart chart = { .title = "LUNs", .first_name = "used", .second_name = "provisioned", .unit = UNIT_BYTES,
				     .components = components, .count = count };
	struct reduction_item *items = calloc(count + 1, sizeof *items);

	for (size_t i = 0; i < count; i++)
		items[i] = (struct reduction_item){ components[i].first, components[i].second };
	assert_int_equal(reduction_compute(items, count, threshold, &chart.reduction), 0);
	free(items);
	return chart;
}

static char *draw(const struct chart_options *options, const struct group_chart *chart)
{
	char *svg = group_chart_svg(options, chart);

	assert_non_null(svg);
	assert_true(picture_is_well_formed(svg));
	return svg;
}

static const char *component_of(const char *svg, const char *object)
{
	char mark[128];
	const char *at;

	snprintf(mark, sizeof mark, "<g class=\"component\" data-object=\"%s\"", object);
	at = strstr(svg, mark);
	assert_non_null(at);
	return at;
}

/* Elements of the class in the component that starts at `at`. */
static unsigned count_in(const char *at, const char *mark)
{
	const char *end = strstr(at + 1, "<g class=\"component\"");
	unsigned count = 0;

	if (!end)
		end = strstr(at, "<g class=\"key\"");
	for (at = strstr(at, mark); at && at < end; at = strstr(at + 1, mark))
		count++;
	return count;
}

static double number(const json_t *object, const char *name)
{
	const json_t *value = json_object_get(object, name);

	assert_non_null(value);
	return json_is_null(value) ? NAN : json_number_value(value);
}

/* --- rendering information --- */

static void the_json_has_the_segments_of_the_scale_and_the_true_values(void **state)
{
	struct group_chart chart = make_chart(archive_and_others, COUNT, 0.6);
	json_t *json = group_chart_json(&chart, 0.6), *segment;
	size_t i;

	(void)state;
	assert_non_null(json);
	assert_int_equal(number(json, "breaks"), 2);
	assert_int_equal(json_array_size(json_object_get(json, "segments")), 5);
	json_array_foreach(json_object_get(json, "segments"), i, segment) {
		assert_true(number(segment, "from_value") == chart.reduction.segment[i].from_value);
		assert_true(number(segment, "to_value") == chart.reduction.segment[i].to_value);
		assert_true(number(segment, "from_height") == chart.reduction.segment[i].from_height);
		assert_true(number(segment, "to_height") == chart.reduction.segment[i].to_height);
		assert_true(number(segment, "factor") == chart.reduction.segment[i].factor);
	}
	assert_true(number(json, "max_value") == 40 * TIB);
	assert_string_equal(json_string_value(json_object_get(json, "unit")), "bytes");
	assert_string_equal(json_string_value(json_object_get(json, "first_name")), "used");
	json_decref(json);
}

static void the_graphics_of_a_component_fill_its_height_without_gaps(void **state)
{
	struct group_chart chart = make_chart(archive_and_others, COUNT, 0.6);
	json_t *json = group_chart_json(&chart, 0.6), *component, *graphic;
	size_t i, g;

	(void)state;
	json_array_foreach(json_object_get(json, "components"), i, component) {
		double covered = 0, top = fmax(number(component, "first_height"), number(component, "second_height"));
		double inside = number(component, "second_height") < number(component, "first_height") ? 2 : 1;

		json_array_foreach(json_object_get(component, "graphics"), g, graphic) {
			assert_true(number(graphic, "to_height") > number(graphic, "from_height"));
			assert_true(number(graphic, "to_height") <= top + 1e-12);
			covered += number(graphic, "to_height") - number(graphic, "from_height");
		}
		if (inside == 2) /* a second that is less lies inside the first */
			covered -= number(component, "second_height");
		assert_true(isnan(top) ? covered == 0 : fabs(covered - top) < 1e-9);
	}
	json_decref(json);
}

static void what_passes_a_break_has_a_third_graphic_with_its_factor(void **state)
{
	struct group_chart chart = make_chart(archive_and_others, COUNT, 0.6);
	json_t *json = group_chart_json(&chart, 0.6), *component, *graphic;
	size_t i, g;

	(void)state;
	json_array_foreach(json_object_get(json, "components"), i, component) {
		unsigned thirds = 0;

		json_array_foreach(json_object_get(component, "graphics"), g, graphic)
			if (strcmp(json_string_value(json_object_get(graphic, "kind")), "third") == 0) {
				const struct reduction_segment *s = &chart.reduction.segment[2 * thirds + 1];

				assert_true(number(graphic, "factor") == s->factor);
				assert_true(number(graphic, "from_height") == s->from_height);
				assert_true(number(graphic, "to_height") == s->to_height);
				assert_true(strncmp(json_string_value(json_object_get(graphic, "label")), "1 : ", 4) == 0);
				thirds++;
			}
		assert_int_equal(thirds, i == 0 ? 2 : 0);
	}
	json_decref(json);
}

static void what_is_unknown_is_null_and_has_no_graphics(void **state)
{
	struct group_chart chart = make_chart(archive_and_others, COUNT, 0.6);
	json_t *json = group_chart_json(&chart, 0.6), *component = json_array_get(json_object_get(json, "components"), 4);

	(void)state;
	assert_true(json_is_null(json_object_get(component, "first")));
	assert_true(json_is_null(json_object_get(component, "second_height")));
	assert_int_equal(json_array_size(json_object_get(component, "graphics")), 0);
	component = json_array_get(json_object_get(json, "components"), 3);
	assert_true(json_is_null(json_object_get(component, "first")));
	assert_int_equal(json_array_size(json_object_get(component, "graphics")), 1);
	json_decref(json);
}

/* --- picture --- */

static void the_picture_shows_what_the_json_says(void **state)
{
	struct group_chart chart = make_chart(archive_and_others, COUNT, 0.6);
	json_t *json = group_chart_json(&chart, 0.6), *component, *graphic;
	char *svg = draw(&normal, &chart);
	double plot_px = picture_number(picture_next(svg, "<rect class=\"border\""), "height");
	size_t i, g;

	(void)state;
	json_array_foreach(json_object_get(json, "components"), i, component) {
		const char *at = component_of(svg, json_string_value(json_object_get(component, "object")));

		json_array_foreach(json_object_get(component, "graphics"), g, graphic) {
			char mark[32];

			snprintf(mark, sizeof mark, "<rect class=\"%s\"", json_string_value(json_object_get(graphic, "kind")));
			at = strstr(at + 1, "<rect class=");
			assert_int_equal(strncmp(at, mark, strlen(mark)), 0);
			assert_true(fabs(picture_number(at, "height") -
					 plot_px * (number(graphic, "to_height") - number(graphic, "from_height"))) < 0.1);
		}
	}
	free(svg);
	json_decref(json);
}

static void a_break_is_hatched_between_zigzag_edges_and_says_its_factor_and_ends(void **state)
{
	struct group_chart chart = make_chart(archive_and_others, COUNT, 0.6);
	char *svg = draw(&normal, &chart);
	const char *at = picture_next(svg, "<g class=\"break\"");

	(void)state;
	assert_int_equal(picture_count(svg, "<g class=\"break\""), 2);
	assert_true(picture_number(at, "data-from") == chart.reduction.segment[1].from_value);
	assert_true(picture_number(at, "data-to") == chart.reduction.segment[1].to_value);
	assert_non_null(strstr(at, "fill=\"url(#hatch)\""));
	assert_int_equal(picture_count(svg, "class=\"edge\""), 8); /* behind the bars and in front of them */
	assert_non_null(strstr(svg, "GiB to 30 TiB is drawn 1 : "));
	assert_non_null(strstr(svg, ">30 TiB to 40 TiB is drawn 1 : "));
	assert_int_equal(count_in(component_of(svg, "lun:archive"), "class=\"third\""), 2);
	assert_int_equal(count_in(component_of(svg, "lun:a"), "class=\"third\""), 0);
	assert_non_null(strstr(component_of(svg, "lun:archive"), "url(#hatch-first)"));
	assert_non_null(strstr(svg, "reduction=off"));
	free(svg);
}

static void no_tick_lies_inside_a_break_and_labels_are_true_values(void **state)
{
	struct group_chart chart = make_chart(archive_and_others, COUNT, 0.6);
	char *svg = draw(&normal, &chart);
	double top = picture_number(picture_next(svg, "<rect class=\"border\""), "y");
	double plot_px = picture_number(picture_next(svg, "<rect class=\"border\""), "height");
	unsigned ticks = 0;

	(void)state;
	for (const char *at = strstr(svg, "<line class=\"grid\""); at; at = strstr(at + 1, "<line class=\"grid\"")) {
		double height = 1 - (picture_number(at, "y1") - top) / plot_px;

		for (unsigned i = 1; i < chart.reduction.count; i += 2)
			assert_false(height > chart.reduction.segment[i].from_height + 0.001 &&
				     height < chart.reduction.segment[i].to_height - 0.001);
		ticks++;
	}
	assert_in_range(ticks, 3, 12);
	assert_non_null(strstr(svg, ">40 TiB</text>"));
	assert_non_null(strstr(svg, ">16 GiB</text>"));
	free(svg);
}

static void every_component_has_its_true_values_and_unknown_ones_say_so(void **state)
{
	struct group_chart chart = make_chart(archive_and_others, COUNT, 0.6);
	char *svg = draw(&normal, &chart);
	const char *at = component_of(svg, "lun:archive");

	(void)state;
	assert_true(picture_number(at, "data-first") == 30 * TIB && picture_number(at, "data-second") == 40 * TIB);
	assert_int_equal(count_in(at, ">30 TiB<"), 1);
	assert_int_equal(count_in(at, ">40 TiB<"), 1);
	assert_int_equal(count_in(at, "<title>archive: used 30 TiB, provisioned 40 TiB</title>"), 1);
	at = component_of(svg, "lun:over");
	assert_int_equal(count_in(at, "class=\"first\""), 1);
	assert_int_equal(count_in(at, "class=\"second\""), 1); /* inside the first */
	at = component_of(svg, "lun:half");
	assert_int_equal(count_in(at, "class=\"first\""), 0);
	assert_int_equal(count_in(at, "stroke-dasharray"), 1);
	assert_int_equal(count_in(at, "class=\"unknown\""), 1);
	at = component_of(svg, "lun:unknown");
	assert_int_equal(count_in(at, "<rect"), 0);
	assert_int_equal(count_in(at, "class=\"unknown\""), 1);
	at = component_of(svg, "lun:empty"); /* zero is not unknown */
	assert_int_equal(count_in(at, "class=\"unknown\""), 0);
	assert_int_equal(count_in(at, ">0 B<"), 2);
	free(svg);
}

static void at_full_scale_there_is_no_break(void **state)
{
	struct group_chart chart = make_chart(archive_and_others, COUNT, 1);
	char *svg = draw(&normal, &chart);

	(void)state;
	assert_null(strstr(svg, "class=\"break\""));
	assert_null(strstr(svg, "class=\"third\""));
	assert_null(strstr(svg, "class=\"factor\""));
	assert_null(strstr(svg, ">hatched"));
	free(svg);
}

static void an_empty_group_says_so_and_one_too_large_says_what_is_left_out(void **state)
{
	struct group_chart chart = make_chart(NULL, 0, 0.6);
	json_t *json = group_chart_json(&chart, 0.6);
	char *svg = draw(&normal, &chart);

	(void)state;
	assert_non_null(strstr(svg, ">there is nothing in this group<"));
	assert_int_equal(json_array_size(json_object_get(json, "components")), 0);
	free(svg);
	json_decref(json);
	chart = make_chart(archive_and_others, COUNT, 0.6);
	chart.left_out = 57;
	svg = draw(&normal, &chart);
	assert_non_null(strstr(svg, ">57 smaller ones are left out"));
	free(svg);
}

static void groups_of_any_size_and_any_name_are_legible_at_any_size(void **state)
{
	const unsigned widths[] = { 200, 320, 800, 4000 }, heights[] = { 120, 200, 420, 2000 };
	const size_t counts[] = { 1, 2, 3, 11, 40, CHART_COMPONENTS_MAX };
	static struct group_component components[CHART_COMPONENTS_MAX];

	(void)state;
	for (size_t i = 0; i < CHART_COMPONENTS_MAX; i++)
		components[i] = (struct group_component){ "lun:<\"&\x02\xff'>", i % 2 ? "</svg><script>\xfe\"&" : "a-name-that-is-long",
							  (double)(i + 1) * GIB, i ? 20 * GIB + (double)i : 40 * TIB };
	for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++)
		for (unsigned size = 0; size < 16; size++)
			for (int reduced = 0; reduced < 2; reduced++) {
				struct chart_options options = normal;
				struct group_chart chart = make_chart(components, counts[c], reduced ? 0.6 : 1);
				char *svg;

				options.width_px = widths[size % 4];
				options.height_px = heights[size / 4];
				options.theme = size % 2 ? CHART_DARK : CHART_LIGHT;
				svg = draw(&options, &chart);
				assert_int_equal(picture_count(svg, "<g class=\"component\""), counts[c]);
				assert_null(strstr(svg, "<script"));
				picture_check_texts(svg, options.width_px, options.height_px);
				free(svg);
			}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_json_has_the_segments_of_the_scale_and_the_true_values),
		cmocka_unit_test(the_graphics_of_a_component_fill_its_height_without_gaps),
		cmocka_unit_test(what_passes_a_break_has_a_third_graphic_with_its_factor),
		cmocka_unit_test(what_is_unknown_is_null_and_has_no_graphics),
		cmocka_unit_test(the_picture_shows_what_the_json_says),
		cmocka_unit_test(a_break_is_hatched_between_zigzag_edges_and_says_its_factor_and_ends),
		cmocka_unit_test(no_tick_lies_inside_a_break_and_labels_are_true_values),
		cmocka_unit_test(every_component_has_its_true_values_and_unknown_ones_say_so),
		cmocka_unit_test(at_full_scale_there_is_no_break),
		cmocka_unit_test(an_empty_group_says_so_and_one_too_large_says_what_is_left_out),
		cmocka_unit_test(groups_of_any_size_and_any_name_are_legible_at_any_size),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
