/* Latency heat maps: see chart.h. */
#include "monitor/chart.h"

#include <math.h>
#include <stdlib.h>

#include "monitor/svg.h"

#define SHADES    9
#define CELLS_MAX 30000

/* Perceptually even from little to much (viridis, sampled); light on dark and dark on light both keep their order. */
static const char *const shades[][SHADES] = {
	[CHART_LIGHT] = { "#dce8f2", "#b5d3e7", "#86bcd9", "#55a0c8", "#3182b4", "#22669c", "#1b4b80", "#163462", "#0f1f42" },
	[CHART_DARK] = { "#1c2b4a", "#24437a", "#2a62a0", "#2d84b5", "#3aa6b9", "#61c5b0", "#97dda0", "#d0ef95", "#fdf9a5" },
};

static double largest(const struct heat_map *map)
{
	double max = 0;

	for (size_t i = 0; i < map->columns * HEAT_BUCKETS; i++)
		if (map->value[i] > max)
			max = map->value[i];
	return max;
}

/* By the logarithm: a thousandth of the most is still seen. */
static int shade_of(double value, double max)
{
	double part;

	if (!(value > 0))
		return -1;
	part = 1 + log10(value / max) / 3;
	return part <= 0 ? 0 : (int)fmin(part * SHADES, SHADES - 1);
}

static void latency_text(double seconds, char *text, size_t size)
{
	value_text(seconds, UNIT_SECONDS, text, size);
}

/* The rows that are drawn: those with something in them, and their neighbours. */
static void used_rows(const struct heat_map *map, unsigned *ret_low, unsigned *ret_high)
{
	unsigned low = HEAT_BUCKETS, high = 0;

	for (size_t c = 0; c < map->columns; c++)
		for (unsigned r = 0; r < HEAT_BUCKETS; r++)
			if (map->value[c * HEAT_BUCKETS + r] > 0) {
				low = r < low ? r : low;
				high = r > high ? r : high;
			}
	*ret_low = low > 1 ? (low < HEAT_BUCKETS ? low - 2 : 0) : 0;
	*ret_high = high + 2 < HEAT_BUCKETS ? high + 2 : HEAT_BUCKETS - 1;
}

struct grid {
	const struct heat_map *map;
	unsigned low, high;
	double max, cell_width, cell_height;
};

static void put_cells(struct svg *svg, const struct grid *g, unsigned row)
{
	const char *const *colours = shades[svg->options->theme == CHART_DARK ? CHART_DARK : CHART_LIGHT];
	double y = round(svg->top + svg->height - (row - g->low + 1) * g->cell_height); /* whole pixels: no seams */
	double height = round(svg->top + svg->height - (row - g->low) * g->cell_height) - y;

	for (size_t c = 0; c < g->map->columns;) {
		double x = round(svg->left + (double)c * g->cell_width);
		int shade = shade_of(g->map->value[c * HEAT_BUCKETS + row], g->max);
		size_t end = c + 1;

		while (end < g->map->columns && shade_of(g->map->value[end * HEAT_BUCKETS + row], g->max) == shade)
			end++;
		if (shade >= 0)
			fprintf(svg->out, "<rect class=\"cell\" x=\"%g\" y=\"%g\" width=\"%g\" height=\"%g\" fill=\"%s\"/>\n", x, y,
				round(svg->left + (double)end * g->cell_width) - x, height, colours[shade]);
		c = end;
	}
}

/* Columns of which nothing is known. */
static void put_unknown(struct svg *svg, const struct grid *g)
{
	for (size_t c = 0; c < g->map->columns;) {
		size_t end = c;

		while (end < g->map->columns && isnan(g->map->value[end * HEAT_BUCKETS]))
			end++;
		if (end > c)
			fprintf(svg->out,
				"<rect class=\"unknown\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill=\"url(#hatch-unknown)\" "
				"opacity=\"0.6\"/>\n",
				svg->left + (double)c * g->cell_width, svg->top, (double)(end - c) * g->cell_width, svg->height);
		c = end > c ? end : c + 1;
	}
}

static void put_rows_axis(struct svg *svg, const struct grid *g)
{
	unsigned every = (unsigned)ceil(15 / g->cell_height);

	for (unsigned r = g->low; r < g->high; r++) {
		double y = svg->top + svg->height - (r - g->low + 1) * g->cell_height;
		char label[32];

		if ((r - g->low) % (every ? every : 1) != 0)
			continue;
		latency_text(heat_limit_s(r), label, sizeof label);
		svg_text(svg, svg->left - 6, y + 4, "end", "tick faint", 0, label);
	}
	fprintf(svg->out, "<rect class=\"border\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/>\n", svg->left, svg->top,
		svg->width, svg->height);
}

static void put_scale(struct svg *svg, double max)
{
	const char *const *colours = shades[svg->options->theme == CHART_DARK ? CHART_DARK : CHART_LIGHT];
	double y = svg->top + svg->height + 26, x = svg->left, width = fmin(18, (svg->width - 180) / SHADES);
	char text[128], least[32], most[32];

	if (width < 4)
		return;
	for (unsigned i = 0; i < SHADES; i++)
		fprintf(svg->out, "<rect class=\"shade\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"9\" fill=\"%s\"/>\n",
			x + i * width, y, width, colours[i]);
	value_text(max, UNIT_OPS, most, sizeof most);
	value_text(max * 1e-3, UNIT_OPS, least, sizeof least);
	snprintf(text, sizeof text, "%s to %s in a cell; hatched: unknown", least, most);
	svg_text(svg, x + SHADES * width + 8, y + 9, "start", "faint", svg->width - SHADES * width - 8, text);
}

/* Nothing was done, or nothing is known. */
static void empty(struct svg *svg, const struct heat_map *map, int64_t to_s)
{
	for (size_t c = 0; c < map->columns; c++)
		if (!isnan(map->value[c * HEAT_BUCKETS])) {
			svg_note(svg, "no operations in this time");
			return;
		}
	svg_empty(svg, map->from_s, to_s);
}

/* No more columns than there are pixels, and CELLS_MAX: the mean of several, as far as it is known. */
static bool narrow(const struct heat_map *map, size_t columns, struct heat_map *ret_map)
{
	*ret_map = *map;
	ret_map->columns = columns;
	ret_map->value = malloc((columns * HEAT_BUCKETS + 1) * sizeof *ret_map->value);
	for (size_t c = 0; ret_map->value && c < columns; c++) {
		size_t from = c * map->columns / columns, to = (c + 1) * map->columns / columns;

		for (unsigned r = 0; r < HEAT_BUCKETS; r++) {
			double sum = 0, known = 0;

			for (size_t i = from; i < to; i++) {
				double value = map->value[i * HEAT_BUCKETS + r];

				sum += isnan(value) ? 0 : value;
				known += !isnan(value);
			}
			ret_map->value[c * HEAT_BUCKETS + r] = known > 0 ? sum / known : NAN;
		}
	}
	return ret_map->value != NULL;
}

static void put_plot(struct svg *svg, const struct heat_map *map, int64_t to_s)
{
	struct grid g = { .map = map, .max = largest(map) };

	used_rows(map, &g.low, &g.high);
	g.cell_width = map->columns ? svg->width / (double)map->columns : svg->width;
	g.cell_height = svg->height / (g.high - g.low + 1);
	put_unknown(svg, &g);
	for (unsigned r = g.low; g.max > 0 && r <= g.high; r++)
		put_cells(svg, &g, r);
	if (g.max > 0) {
		put_rows_axis(svg, &g);
		put_scale(svg, g.max);
	} else {
		empty(svg, map, to_s);
	}
}

char *chart_heat_svg(const struct chart_options *options, const struct heat_map *map)
{
	struct heat_map narrowed;
	struct svg svg;
	int64_t to_s;
	size_t fit;

	if (!svg_begin(&svg, options, "heat",
		       "Operations a second by latency (upwards) and time: the darker, or in the dark theme the lighter, the more."))
		return NULL;
	svg.height -= 18;
	fit = (size_t)fmin(svg.width, CELLS_MAX / HEAT_BUCKETS);
	to_s = map->from_s + (int64_t)(map->columns * map->step_s);
	svg_time_axis(&svg, map->from_s, to_s);
	if (narrow(map, map->columns < fit ? map->columns : fit, &narrowed)) {
		put_plot(&svg, &narrowed, to_s);
		free(narrowed.value);
	}
	return svg_end(&svg);
}
