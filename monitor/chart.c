/* The named charts, and time series as lines: see chart.h. */
#include "monitor/chart.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "monitor/svg.h"

#define LEGEND_ROW_PX 16
#define LEGEND_PART   0.36 /* of the height, at most */
#define LEGEND_PX     460  /* of a column, where there are several */
#define NUMBER_PX     112
#define PLOT_PX_MIN   64

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
static double round_top(const struct svg *svg, double max, enum metric_unit unit)
{
	double tick[SVG_TICKS_MAX];
	unsigned count = svg_ticks(0, max, unit == UNIT_BYTES || unit == UNIT_BPS, svg_ticks_wanted(svg->height), tick);
	double step = count > 1 ? tick[1] - tick[0] : 0;

	return step > 0 ? ceil(max / step - 1e-9) * step : max;
}

static int make_scale(const struct svg *svg, const struct series_set *set, double max, struct reduction *ret_reduction)
{
	double threshold = svg->options->threshold;
	size_t room = set->series_count * set->point_count + 1, n = 0;
	struct reduction_item top = { round_top(svg, max, metric_rows[set->series[0].metric].unit), NAN }, *items;
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

/* With the colour, 64 lines that differ. */
static const char *dash_of(size_t i)
{
	return svg_dashes[(i + i / SVG_COLOURS) % SVG_COLOURS];
}

static void put_number(struct svg *svg, double x, double y, const char *name, double value, enum metric_unit unit)
{
	char number[48], text[64];

	value_text(value, unit, number, sizeof number);
	snprintf(text, sizeof text, "%s %s", name, number);
	svg_text(svg, x, y, "end", "number", 0, text);
}

static void put_legend_row(struct svg *svg, const struct series_set *set, size_t i, double left, double right, double y)
{
	enum metric_unit unit = metric_rows[set->series[i].metric].unit;
	struct summary s = summarize(&set->series[i], set->point_count);
	static const char *const names[] = { "max", "mean", "now" };
	const double values[] = { s.max, s.mean, s.now }, name_px = 120; /* of a name at least */
	unsigned numbers = (unsigned)fmin(fmax((right - left - name_px) / NUMBER_PX, 0), 3);
	char label[2 * STATS_NAME_MAX];

	fprintf(svg->out,
		"<g class=\"legend\"><line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"%s\" stroke-width=\"2.5\" "
		"stroke-dasharray=\"%s\"/>\n",
		left, y - 4, left + 26, y - 4, svg->palette->series[i % SVG_COLOURS], dash_of(i));
	label_of(set, i, label, sizeof label);
	svg_text(svg, left + 32, y, "start", "name", right - left - 32 - numbers * NUMBER_PX, label);
	for (unsigned n = 0; n < numbers; n++)
		put_number(svg, right - n * NUMBER_PX, y, names[n], values[n], unit);
	fputs("</g>\n", svg->out);
}

static unsigned legend_columns(const struct svg *svg, const struct series_set *set)
{
	return set->series_count > 4 ? (unsigned)fmax(svg->width / LEGEND_PX, 1) : 1;
}

/* What the height has room for; the plot goes first. */
static size_t legend_rows(const struct svg *svg, const struct series_set *set)
{
	double room = fmin(svg->options->height_px * LEGEND_PART, svg->height - PLOT_PX_MIN);
	size_t fit = (size_t)fmax(room / LEGEND_ROW_PX, 0), columns = legend_columns(svg, set);
	size_t needed = (set->series_count + columns - 1) / columns;

	return needed < fit ? needed : fit;
}

static void put_legend(struct svg *svg, const struct series_set *set, size_t rows)
{
	double top = svg->top + svg->height + 26 + LEGEND_ROW_PX;
	unsigned columns = legend_columns(svg, set);
	double column_px = svg->width / columns;
	size_t room = rows * columns, shown = set->series_count <= room ? set->series_count : room - 1;
	char text[64];

	for (size_t i = 0; i < shown; i++) {
		double left = svg->left + (double)(i / rows) * column_px;

		put_legend_row(svg, set, i, left, left + column_px - (columns > 1 ? 24 : 0), top + (double)(i % rows) * LEGEND_ROW_PX);
	}
	if (shown < set->series_count) {
		snprintf(text, sizeof text, "and %zu more", set->series_count - shown);
		svg_text(svg, svg->left + (columns - 1) * column_px + 32, top + (double)(rows - 1) * LEGEND_ROW_PX, "start",
			 "more faint", 0, text);
	}
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

struct line {
	const struct series_set *set;
	const struct series *series;
	const struct reduction *reduction;
	size_t columns;
};

/* A path of all values with neighbours, or, alone, of those between two gaps: drawn as points. */
static void put_path(struct svg *svg, const struct line *l, bool alone)
{
	bool drawn = false;

	for (size_t c = 0; c < l->columns; c++) {
		double value = column_value(l->set, l->series, c, l->columns);
		bool single = !drawn && (c + 1 == l->columns || isnan(column_value(l->set, l->series, c + 1, l->columns)));

		if (!isnan(value) && single == alone)
			fprintf(svg->out, "%c%.1f %.1f%s", drawn ? 'L' : 'M',
				svg->left + svg->width * ((double)c + 1) / (double)l->columns, svg_y(svg, l->reduction, value),
				alone ? "h0" : "");
		drawn = !isnan(value) && !single;
	}
}

static void put_line(struct svg *svg, const struct series_set *set, size_t i, const struct reduction *reduction)
{
	const struct series *s = &set->series[i];
	struct line line = { set, s, reduction, set->point_count < (size_t)svg->width ? set->point_count : (size_t)svg->width };
	const char *colour = svg->palette->series[i % SVG_COLOURS];

	fprintf(svg->out, "<g data-object=\"%s:", object_kind_name(s->object.kind));
	svg_escape(svg->out, s->object.name);
	fprintf(svg->out, "\" data-series=\"%s\" stroke=\"%s\"><path class=\"line\" stroke-dasharray=\"%s\" d=\"",
		metric_rows[s->metric].name, colour, dash_of(i));
	put_path(svg, &line, false);
	fputs("\"/><path class=\"point\" d=\"", svg->out);
	put_path(svg, &line, true);
	fputs("\"/></g>\n", svg->out);
}

/* The breaks last: nothing is drawn inside them. */
static void put_breaks(struct svg *svg, const struct reduction *reduction, enum metric_unit unit)
{
	for (unsigned i = 0; i < reduction->count; i++)
		if (reduction->segment[i].factor > 1)
			svg_break(svg, svg->left, svg->width, &reduction->segment[i]);
	svg_factors(svg, reduction, unit);
}

static void put_plot(struct svg *svg, const struct series_set *set, double max)
{
	enum metric_unit unit = metric_rows[set->series[0].metric].unit;
	struct reduction reduction;

	if (make_scale(svg, set, max > 0 ? max : 1, &reduction))
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
	svg.height -= rows ? (double)(rows * LEGEND_ROW_PX) + 6 : 0;
	if (isnan(max) || set->series_count == 0) {
		svg_time_axis(&svg, set->from_s, set->from_s + (int64_t)(set->point_count * set->step_s));
		svg_empty(&svg, set->from_s, set->from_s + (int64_t)(set->point_count * set->step_s));
	} else {
		put_plot(&svg, set, max);
	}
	if (rows)
		put_legend(&svg, set, rows);
	return svg_end(&svg);
}
