/* monitor/svg.h, and value_text() of monitor/chart.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "monitor/svg.h"
#include "picture.h"

#define UMLAUTS "\xc3\xb6\xc3\xa4\xc3\xbc"

static void check_value(double value, enum metric_unit unit, const char *expected)
{
	char text[64];

	value_text(value, unit, text, sizeof text);
	assert_string_equal(text, expected);
}

static void values_have_three_digits_and_their_unit(void **state)
{
	(void)state;
	check_value(18400, UNIT_OPS, "18.4 k/s");
	check_value(1.5 * 0x1p30, UNIT_BYTES, "1.5 GiB");
	check_value(40 * 0x1p40, UNIT_BYTES, "40 TiB");
	check_value(0x1p63, UNIT_BYTES, "8 EiB");
	check_value(123456, UNIT_BPS, "121 KiB/s");
	check_value(0.0023, UNIT_SECONDS, "2.3 ms");
	check_value(0.000310, UNIT_SECONDS, "310 us");
	check_value(12.5, UNIT_SECONDS, "12.5 s");
	check_value(99.44, UNIT_PERCENT, "99.4%");
	check_value(7, UNIT_COUNT, "7");
	check_value(0, UNIT_OPS, "0/s");
	check_value(0, UNIT_BYTES, "0 B");
}

static void a_value_that_is_not_known_is_said_to_be_so(void **state)
{
	(void)state;
	check_value(NAN, UNIT_BYTES, "unknown");
	check_value(INFINITY, UNIT_OPS, "unknown");
}

static void a_value_that_is_small_is_not_zero(void **state)
{
	(void)state;
	check_value(0.00317, UNIT_OPS, "0.00317/s");
	check_value(0.2, UNIT_COUNT, "0.2");
	check_value(2.5e-9, UNIT_SECONDS, "0.0025 us");
}

static void a_value_just_below_a_prefix_takes_the_prefix(void **state)
{
	(void)state;
	check_value(999.9, UNIT_OPS, "1 k/s");
	check_value(1023.9, UNIT_BYTES, "1 KiB");
	check_value(0.0009999, UNIT_SECONDS, "1 ms");
	check_value(0.9999, UNIT_SECONDS, "1 s");
}

static void a_round_value_is_said_exactly(void **state)
{
	(void)state;
	check_value(1.125 * 0x1p40, UNIT_BYTES, "1.125 TiB");
	check_value(112.5, UNIT_COUNT, "112.5");
}

static void a_text_is_never_longer_than_its_buffer(void **state)
{
	const double values[] = { 0, 5e-324, 1e-9, 0.1, 1, 1e9, 1e300, 1.7e308, -5, -0.001 };

	(void)state;
	for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
		for (int unit = 0; unit < UNITS; unit++) {
			char text[16];

			value_text(values[i], (enum metric_unit)unit, text, sizeof text);
			assert_true(memchr(text, '\0', sizeof text) != NULL);
		}
}

static void factors_have_three_digits_in_groups(void **state)
{
	const struct {
		double factor;
		const char *text;
	} cases[] = { { 18432, "1 : 18,400" }, { 1234567, "1 : 1,230,000" }, { 2.84, "1 : 2.84" }, { 999.6, "1 : 1,000" },
		      { 100, "1 : 100" }, { 43.66, "1 : 43.7" } };

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		char text[64];

		svg_factor_text(cases[i].factor, text, sizeof text);
		assert_string_equal(text, cases[i].text);
	}
}

static void ticks_are_round_and_within_their_range(void **state)
{
	(void)state;
	for (double to = 1e-6; to < 1e19; to *= 1.37)
		for (int binary = 0; binary < 2; binary++)
			for (unsigned wanted = 1; wanted <= 8; wanted++) {
				double tick[SVG_TICKS_MAX], mantissa;
				unsigned count = svg_ticks(0, to, binary, wanted, tick);

				assert_in_range(count, 1, wanted + 1);
				assert_true(tick[0] == 0 && tick[count - 1] <= to * (1 + 1e-9));
				if (count < 2)
					continue;
				mantissa = tick[1] / pow(10, floor(log10(tick[1]) + 1e-9));
				assert_true((binary && log2(tick[1]) == floor(log2(tick[1]))) || fabs(mantissa - 1) < 1e-6 ||
					    fabs(mantissa - 2) < 1e-6 || fabs(mantissa - 5) < 1e-6);
				for (unsigned t = 1; t < count; t++)
					assert_true(fabs(tick[t] - t * tick[1]) <= tick[1] * 1e-6);
			}
}

static void ticks_of_no_range_are_none(void **state)
{
	double tick[SVG_TICKS_MAX];

	(void)state;
	assert_int_equal(svg_ticks(5, 5, false, 4, tick), 0);
	assert_int_equal(svg_ticks(0, NAN, false, 4, tick), 0);
	assert_int_equal(svg_ticks(0, INFINITY, false, 4, tick), 0);
}

static void check_escaped(const char *text, const char *expected)
{
	char *written = NULL;
	size_t size;
	FILE *out = open_memstream(&written, &size);

	svg_escape(out, text);
	assert_int_equal(fclose(out), 0);
	assert_string_equal(written, expected);
	free(written);
}

static void markup_in_a_name_stays_a_name(void **state)
{
	(void)state;
	check_escaped("<script>alert(\"1\")</script> & 'x'", "&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt; &amp; 'x'");
	check_escaped("]]>", "]]&gt;");
}

static void names_in_utf_8_stay_and_other_bytes_do_not(void **state)
{
	(void)state;
	check_escaped("Gr\xc3\xb6\xc3\x9f" "e \xe2\x82\xac \xf0\x9f\x98\x80", "Gr\xc3\xb6\xc3\x9f" "e \xe2\x82\xac \xf0\x9f\x98\x80");
	check_escaped("a\x01\x1f\x7f\tb", "a????b");
	check_escaped("\xff\xfe", "??");
	check_escaped("\xc3", "?");                 /* it ends too early */
	check_escaped("\xc0\xbc", "??");            /* "<", longer than needed */
	check_escaped("\xe0\x80\xbc", "???");
	check_escaped("\xed\xa0\x80", "???");       /* a surrogate */
	check_escaped("\xef\xbf\xbe", "???");       /* U+FFFE */
	check_escaped("\xf4\x90\x80\x80", "????");  /* above U+10FFFF */
}

static void a_long_name_loses_its_middle_and_is_told_whole_in_its_title(void **state)
{
	const struct chart_options options = { .width_px = 400, .height_px = 200 };
	struct svg svg;
	char *text;

	(void)state;
	assert_true(svg_begin(&svg, &options, "test", "test"));
	svg_text(&svg, 0, 0, "start", "name", 100, "database-production-volume-\xc3\xb6-0042");
	svg_text(&svg, 0, 0, "start", "name", 30, UMLAUTS UMLAUTS UMLAUTS);
	svg_text(&svg, 0, 0, "start", "name", 100, "short");
	text = svg_end(&svg);
	assert_true(picture_is_well_formed(text));
	assert_non_null(strstr(text, ">data\xe2\x80\xa6me-\xc3\xb6-0042<title>database-production-volume-\xc3\xb6-0042</title></text>"));
	assert_non_null(strstr(text, ">short</text>"));
	assert_null(strchr(text, '?')); /* no character was cut in two */
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_have_three_digits_and_their_unit),
		cmocka_unit_test(a_value_that_is_not_known_is_said_to_be_so),
		cmocka_unit_test(a_value_that_is_small_is_not_zero),
		cmocka_unit_test(a_value_just_below_a_prefix_takes_the_prefix),
		cmocka_unit_test(a_round_value_is_said_exactly),
		cmocka_unit_test(a_text_is_never_longer_than_its_buffer),
		cmocka_unit_test(factors_have_three_digits_in_groups),
		cmocka_unit_test(ticks_are_round_and_within_their_range),
		cmocka_unit_test(ticks_of_no_range_are_none),
		cmocka_unit_test(markup_in_a_name_stays_a_name),
		cmocka_unit_test(names_in_utf_8_stay_and_other_bytes_do_not),
		cmocka_unit_test(a_long_name_loses_its_middle_and_is_told_whole_in_its_title),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
