/* The largest first, as bars: see chart.h. */
#include "monitor/chart.h"

#include <math.h>

#include "monitor/svg.h"

#define ROW_PX_MAX 30
#define ROW_PX_MIN 14
#define NAMES_PART 0.34 /* of the width */

static double largest(const struct top_item *items, size_t count)
{
	double max = 0;

	for (size_t i = 0; i < count; i++)
		if (items[i].value > max)
			max = items[i].value;
	return max;
}

static void put_bar(struct svg *svg, const struct top_item *item, enum metric_unit unit, double max, double y, double height)
{
	double names = svg->width * NAMES_PART, room = svg->width - names - 80;
	double width = isnan(item->value) || max <= 0 ? 0 : room * item->value / max;
	char value[48];

	value_text(item->value, unit, value, sizeof value);
	fputs("<g class=\"bar\" data-object=\"", svg->out);
	svg_escape(svg->out, item->name);
	fprintf(svg->out, "\" data-value=\"%.9g\">\n", item->value);
	svg_text(svg, svg->left + names - 8, y + height / 2 + 4, "end", "name", names - 8, item->name);
	if (width > 0)
		fprintf(svg->out, "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" rx=\"2\" fill=\"%s\"/>\n",
			svg->left + names, y + height * 0.14, fmax(width, 0.5), height * 0.72, svg->palette->series[0]);
	svg_text(svg, svg->left + names + width + 6, y + height / 2 + 4, "start", "value", 0, value);
	fputs("</g>\n", svg->out);
}

char *chart_top_svg(const struct chart_options *options, const struct top_item *items, size_t count, enum metric_unit unit)
{
	double max = largest(items, count), row_px;
	char more[64];
	struct svg svg;
	size_t shown;

	if (!svg_begin(&svg, options, "top", "The largest values of the range, the largest first."))
		return NULL;
	svg.left = 12;
	svg.width = options->width_px - 24;
	svg.height = options->height_px - svg.top - 8;
	row_px = count ? fmin(svg.height / (double)count, ROW_PX_MAX) : ROW_PX_MAX;
	shown = row_px < ROW_PX_MIN ? (size_t)(svg.height / ROW_PX_MIN) - 1 : count;
	row_px = fmax(row_px, ROW_PX_MIN);
	for (size_t i = 0; i < shown; i++)
		put_bar(&svg, &items[i], unit, max, svg.top + (double)i * row_px, row_px);
	if (shown < count) {
		snprintf(more, sizeof more, "and %zu more", count - shown);
		svg_text(&svg, svg.left + svg.width * NAMES_PART, svg.top + (double)shown * row_px + 11, "start", "more faint", 0, more);
	}
	if (count == 0)
		svg_note(&svg, "no data in this time");
	return svg_end(&svg);
}
