/* The named charts, and time series as lines: see chart.h. */
#include "monitor/chart.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "monitor/svg.h"

#define LEGEND_ROW_PX 16
#define LEGEND_PART   0.36 /* of the height, at most */

const struct chart_row chart_rows[] = {
#define CHART(name, title, drawing, objects, metrics, meaning) \
	{ #name, title, CHART_##drawing, OBJECT_##objects, metrics, meaning },
#include "monitor/charts.def"
#undef CHART
};
const size_t chart_row_count = sizeof chart_rows / sizeof chart_rows[0];

const struct chart_row *chart_find(const char *name, size_t len)
{
	for (size_t i = 0; i < chart_row_count; i++)
		if (strlen(chart_rows[i].name) == len && memcmp(chart_rows[i].name, name, len) == 0)
			return &chart_rows[i];
	return NULL;
}

/* --- what the lines say --- */

struct summary {
	double now, mean, max;
};

static struct summary summarize(const struct series *series, size_t point_count)
{
	struct summary s = { NAN, 0, NAN };
	size_t known = 0;

	for (size_t i = 0; i < point_count; i++) {
		double value = series->value[i];

		if (isnan(value))
			continue;
		s.now = value;
		s.mean += value;
		s.max = isnan(s.max) || value > s.max ? value : s.max;
		known++;
	}
	s.mean = known ? s.mean / (double)known : NAN;
	return s;
}

static double largest(const struct series_set *set)
{
	double max = NAN;

	for (size_t i = 0; i < set->series_count; i++) {
		struct summary s = summarize(&set->series[i], set->point_count);

		if (!isnan(s.max) && (isnan(max) || s.max > max))
			max = s.max;
	}
	return max;
}

/* At full scale the axis ends at a round value. */
static double round_top(double max, enum metric_unit unit)
{
	double tick[SVG_TICKS_MAX];
	unsigned count = svg_ticks(0, max, unit == UNIT_BYTES || unit == UNIT_BPS, 5, tick);
	double step = count > 1 ? tick[1] - tick[0] : 0;

	return step > 0 ? ceil(max / step - 1e-9) * step : max;
}

static int make_scale(const struct series_set *set, double threshold, enum metric_unit unit, double max,
		      struct reduction *ret_reduction)
{
	size_t room = set->series_count * set->point_count + 1, n = 0;
	struct reduction_item top = { round_top(max, unit), NAN }, *items;
	int error;

	if (threshold >= 1)
		return reduction_compute(&top, 1, threshold, ret_reduction);
	items = malloc(room * sizeof *items);
	for (size_t i = 0; items && i < set->series_count; i++)
		for (size_t p = 0; p < set->point_count; p++)
			items[n++] = (struct reduction_item){ set->series[i].value[p], NAN };
	error = items ? reduction_compute(items, n, threshold, ret_reduction) : -1;
	if (!error && ret_reduction->breaks == 0)
		error = reduction_compute(&top, 1, 1, ret_reduction);
	free(items);
	return error;
}

/* --- legend --- */

static bool all_same_object(const struct series_set *set)
{
	for (size_t i = 1; i < set->series_count; i++)
		if (object_compare(&set->series[i].object, &set->series[0].object) != 0)
			return false;
	return true;
}

static bool all_same_metric(const struct series_set *set)
{
	for (size_t i = 1; i < set->series_count; i++)
		if (set->series[i].metric != set->series[0].metric)
			return false;
	return true;
}

static void label_of(const struct series_set *set, size_t i, char *ret_text, size_t size)
{
	const struct series *s = &set->series[i];

	if (set->series_count > 1 && all_same_object(set))
		snprintf(ret_text, size, "%s", metric_rows[s->metric].title);
	else if (all_same_metric(set) && set->series_count > 1)
		snprintf(ret_text, size, "%s", s->object.name);
	else
		snprintf(ret_text, size, "%s, %s", s->object.name, metric_rows[s->metric].title);
}

static void put_number(struct svg *svg, double x, double y, const char *name, double value, enum metric_unit unit)
{
	char number[48], text[64];

	value_text(value, unit, number, sizeof number);
	snprintf(text, sizeof text, "%s %s", name, number);
	svg_text(svg, x, y, "end", "number", 0, text);
}

static void put_legend_row(struct svg *svg, const struct series_set *set, size_t i, double y)
{
	enum metric_unit unit = metric_rows[set->series[i].metric].unit;
	struct summary s = summarize(&set->series[i], set->point_count);
	double right = svg->left + svg->width, numbers = svg->width > 620 ? 390 : svg->width > 420 ? 260 : 130;
	char label[2 * STATS_NAME_MAX];

	fprintf(svg->out,
		"<g class=\"legend\"><line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"%s\" stroke-width=\"2.5\" "
		"stroke-dasharray=\"%s\"/>\n",
		svg->left, y - 4, svg->left + 22, y - 4, svg->palette->series[i % SVG_COLOURS],
		i < SVG_COLOURS ? svg_dashes[i] : svg_dashes[(i / SVG_COLOURS) % SVG_COLOURS]);
	label_of(set, i, label, sizeof label);
	svg_text(svg, svg->left + 28, y, "start", "name", svg->width - numbers - 28, label);
	put_number(svg, right, y, "max", s.max, unit);
	if (numbers > 130)
		put_number(svg, right - 130, y, "mean", s.mean, unit);
	if (numbers > 260)
		put_number(svg, right - 260, y, "now", s.now, unit);
	fputs("</g>\n", svg->out);
}

static void put_legend(struct svg *svg, const struct series_set *set, size_t rows)
{
	double y = svg->top + svg->height + 24 + LEGEND_ROW_PX - 2;
	size_t shown = rows < set->series_count ? rows - 1 : rows;
	char text[64];

	for (size_t i = 0; i < shown; i++, y += LEGEND_ROW_PX)
		put_legend_row(svg, set, i, y);
	if (shown < set->series_count) {
		snprintf(text, sizeof text, "and %zu more", set->series_count - shown);
		svg_text(svg, svg->left + 28, y, "start", "more faint", 0, text);
	}
}

static size_t legend_rows(const struct svg *svg, const struct series_set *set)
{
	size_t fit = (size_t)(svg->options->height_px * LEGEND_PART / LEGEND_ROW_PX);

	return set->series_count < fit ? set->series_count : fit;
}

/* --- lines --- */

/* A picture has no more columns than pixels: the points of one are their mean or their largest. */
static double column_value(const struct series_set *set, const struct series *series, size_t column, size_t columns)
{
	size_t from = column * set->point_count / columns, to = (column + 1) * set->point_count / columns, known = 0;
	double sum = 0, max = NAN;

	for (size_t i = from; i < to; i++) {
		double value = series->value[i];

		if (isnan(value))
			continue;
		sum += value;
		max = isnan(max) || value > max ? value : max;
		known++;
	}
	return set->cf == SERIES_CF_MAX || known == 0 ? max : sum / (double)known;
}

static void put_line(struct svg *svg, const struct series_set *set, size_t i, const struct reduction *reduction)
{
	const struct series *s = &set->series[i];
	size_t columns = set->point_count < (size_t)svg->width ? set->point_count : (size_t)svg->width;
	bool drawn = false, alone = false;
	char object[STATS_NAME_MAX + 16];

	snprintf(object, sizeof object, "%s:%s", object_kind_name(s->object.kind), s->object.name);
	fputs("<path class=\"line\" stroke-linecap=\"round\" data-object=\"", svg->out);
	svg_escape(svg->out, object);
	fprintf(svg->out, "\" data-series=\"%s\" stroke=\"%s\" stroke-dasharray=\"%s\" d=\"", metric_rows[s->metric].name,
		svg->palette->series[i % SVG_COLOURS],
		i < SVG_COLOURS ? svg_dashes[i] : svg_dashes[(i / SVG_COLOURS) % SVG_COLOURS]);
	for (size_t c = 0; c < columns; c++) {
		double value = column_value(set, s, c, columns);

		if (isnan(value)) {
			if (alone)
				fputs("h0.5", svg->out); /* a point between two gaps is seen */
			drawn = alone = false;
			continue;
		}
		fprintf(svg->out, "%c%.1f %.1f", drawn ? 'L' : 'M', svg->left + svg->width * ((double)c + 1) / (double)columns,
			svg_y(svg, reduction, value));
		alone = !drawn;
		drawn = true;
	}
	fputs(alone ? "h0.5\"/>\n" : "\"/>\n", svg->out);
}

/* The breaks last: nothing is drawn inside them. */
static void put_breaks(struct svg *svg, const struct reduction *reduction, enum metric_unit unit)
{
	for (unsigned i = 0; i < reduction->count; i++) {
		const struct reduction_segment *s = &reduction->segment[i];
		char factor[64], from[48], to[48], text[200];

		if (s->factor <= 1)
			continue;
		svg_break(svg, svg->left, svg->width, s);
		svg_factor_text(s->factor, factor, sizeof factor);
		value_text(s->from_value, unit, from, sizeof from);
		value_text(s->to_value, unit, to, sizeof to);
		snprintf(text, sizeof text, "%s to %s drawn %s", from, to, factor);
		svg_label(svg, svg->left + svg->width / 2,
			  svg->top + svg->height * (1 - (s->from_height + s->to_height) / 2) + 4, text);
	}
}

static void put_plot(struct svg *svg, const struct series_set *set, double max)
{
	enum metric_unit unit = metric_rows[set->series[0].metric].unit;
	struct reduction reduction;

	if (make_scale(set, svg->options->threshold, unit, max > 0 ? max : 1, &reduction))
		return;
	svg_value_axis(svg, &reduction, unit);
	svg_time_axis(svg, set->from_s, set->from_s + (int64_t)(set->point_count * set->step_s));
	for (size_t i = set->series_count; i-- > 0;) /* the first is on top */
		put_line(svg, set, i, &reduction);
	put_breaks(svg, &reduction, unit);
}

char *chart_lines_svg(const struct chart_options *options, const struct series_set *set)
{
	double max = largest(set);
	struct svg svg;
	size_t rows;

	if (!svg_begin(&svg, options, "lines", "Values over time; the legend gives the newest, the mean and the largest of each line."))
		return NULL;
	rows = legend_rows(&svg, set);
	svg.height -= rows ? (double)(rows * LEGEND_ROW_PX) + 4 : 0;
	if (isnan(max) || set->series_count == 0) {
		svg_time_axis(&svg, set->from_s, set->from_s + (int64_t)(set->point_count * set->step_s));
		svg_empty(&svg, "no data in this time");
	} else {
		put_plot(&svg, set, max);
	}
	if (rows)
		put_legend(&svg, set, rows);
	return svg_end(&svg);
}
