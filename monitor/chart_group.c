/*
 * Group charts (VIZ-1 to VIZ-6): see chart.h. The graphics of a component are computed once, here; JSON and SVG show the
 * same. A bar is the first datum (filled) and what the second has beyond it (outlined); a second that is less than the first
 * is outlined inside it. Where a bar passes a break, the piece inside is its third graphic.
 */
#include "monitor/chart.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "monitor/svg.h"

#define GRAPHICS_MAX  (2 * (REDUCTION_BREAKS_MAX + 1) + REDUCTION_BREAKS_MAX)
#define SLOT_WIDE_PX  62 /* from here on labels lie; below, they stand */
#define SLOT_LABEL_PX 11 /* below, there is no room for any */
#define BAR_PX_MAX    72

enum graphic_kind { FIRST, SECOND, THIRD };

static const char *const graphic_names[] = { [FIRST] = "first", [SECOND] = "second", [THIRD] = "third" };

struct graphic {
	enum graphic_kind kind;
	double from_height, to_height;
	double factor; /* of a THIRD */
};

/* --- rendering information --- */

static void add_graphic(struct graphic *list, unsigned *count, enum graphic_kind kind, double from, double to, double factor)
{
	if (to > from && *count < GRAPHICS_MAX)
		list[(*count)++] = (struct graphic){ kind, from, to, factor };
}

/* The parts of from..to that lie at true scale. */
static void add_span(const struct reduction *r, struct graphic *list, unsigned *count, enum graphic_kind kind, double from,
		     double to)
{
	for (unsigned i = 0; i < r->count; i++)
		if (r->segment[i].factor <= 1)
			add_graphic(list, count, kind, fmax(from, r->segment[i].from_height),
				    fmin(to, r->segment[i].to_height), 1);
}

/* From the bottom up; what lies inside the first comes after it. */
static unsigned graphics_of(const struct reduction *r, const struct group_component *c, struct graphic list[GRAPHICS_MAX])
{
	double first = reduction_height(r, c->first), second = reduction_height(r, c->second);
	double top = isnan(first) ? second : isnan(second) ? first : fmax(first, second);
	unsigned count = 0;

	if (!isnan(first))
		add_span(r, list, &count, FIRST, 0, first);
	if (!isnan(second))
		add_span(r, list, &count, SECOND, first < second ? first : 0, second);
	for (unsigned i = 0; i < r->count && !isnan(top); i++)
		if (r->segment[i].factor > 1 && top >= r->segment[i].to_height)
			add_graphic(list, &count, THIRD, r->segment[i].from_height, r->segment[i].to_height,
				    r->segment[i].factor);
	return count;
}

static json_t *number_json(double value)
{
	return isnan(value) || isinf(value) ? json_null() : json_real(value);
}

static json_t *segments_json(const struct reduction *r)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < r->count; i++) {
		const struct reduction_segment *s = &r->segment[i];

		json_array_append_new(list, json_pack("{s:f, s:f, s:f, s:f, s:f}", "from_value", s->from_value, "to_value",
						      s->to_value, "from_height", s->from_height, "to_height", s->to_height,
						      "factor", s->factor));
	}
	return list;
}

static json_t *component_json(const struct reduction *r, const struct group_component *c)
{
	struct graphic graphic[GRAPHICS_MAX];
	unsigned count = graphics_of(r, c, graphic);
	json_t *list = json_array();

	for (unsigned i = 0; i < count; i++) {
		json_t *g = json_pack("{s:s, s:f, s:f}", "kind", graphic_names[graphic[i].kind], "from_height",
				      graphic[i].from_height, "to_height", graphic[i].to_height);
		char label[64];

		if (graphic[i].kind == THIRD) {
			svg_factor_text(graphic[i].factor, label, sizeof label);
			json_object_set_new(g, "factor", json_real(graphic[i].factor));
			json_object_set_new(g, "label", json_string(label));
		}
		json_array_append_new(list, g);
	}
	return json_pack("{s:s, s:s, s:o, s:o, s:o, s:o, s:o}", "object", c->object, "label", c->label, "first",
			 number_json(c->first), "second", number_json(c->second), "first_height",
			 number_json(reduction_height(r, c->first)), "second_height",
			 number_json(reduction_height(r, c->second)), "graphics", list);
}

json_t *group_chart_json(const struct group_chart *chart, double threshold)
{
	json_t *components = json_array();

	for (size_t i = 0; i < chart->count; i++)
		json_array_append_new(components, component_json(&chart->reduction, &chart->components[i]));
	return json_pack("{s:s, s:s, s:s, s:s, s:f, s:f, s:i, s:o, s:o, s:i}", "title", chart->title, "unit",
			 metric_unit_name(chart->unit), "first_name", chart->first_name, "second_name", chart->second_name,
			 "threshold", threshold, "max_value", chart->reduction.max_value, "breaks",
			 (int)chart->reduction.breaks, "segments", segments_json(&chart->reduction), "components", components,
			 "left_out", (int)chart->left_out);
}

/* --- picture --- */

struct layout {
	const struct group_chart *chart;
	double slot_px, bar_px;
	bool wide, labels;
};

static double height_y(const struct svg *svg, double height)
{
	return svg->top + svg->height * (1 - height);
}

static void put_graphic(struct svg *svg, const struct graphic *g, double x, double width)
{
	double y = height_y(svg, g->to_height), height = height_y(svg, g->from_height) - y;
	const char *colour = svg->palette->series[0];

	if (g->kind == THIRD)
		fprintf(svg->out,
			"<rect class=\"third\" data-factor=\"%.6g\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" "
			"fill=\"%s\" fill-opacity=\"0.3\"/>\n",
			g->factor, x, y, width, height, colour);
	else if (g->kind == FIRST)
		fprintf(svg->out, "<rect class=\"first\" x=\"%.1f\" y=\"%.2f\" width=\"%.1f\" height=\"%.2f\" fill=\"%s\"/>\n", x,
			y, width, height, colour);
	else
		fprintf(svg->out,
			"<rect class=\"second\" x=\"%.1f\" y=\"%.2f\" width=\"%.1f\" height=\"%.2f\" fill=\"%s\" "
			"fill-opacity=\"0.14\" stroke=\"%s\" stroke-width=\"1.3\"/>\n",
			x + 0.6, y, fmax(width - 1.2, 0.5), height, colour, svg->palette->series[1]);
}

static void values_of(const struct group_chart *chart, const struct group_component *c, char *text, size_t size)
{
	char first[48], second[48];

	value_text(c->first, chart->unit, first, sizeof first);
	value_text(c->second, chart->unit, second, sizeof second);
	if (isnan(c->first) && isnan(c->second))
		snprintf(text, size, "unknown");
	else
		snprintf(text, size, "%s / %s", first, second);
}

/* Values first, the name in the room that is left. */
static void put_standing(struct svg *svg, double x, const char *name, const char *values)
{
	double y = svg->top + svg->height + 8, room = svg->options->height_px - y - 26, values_px = svg_text_width(values);

	fprintf(svg->out, "<g transform=\"rotate(-90 %.1f %.1f)\">", x + 4, y);
	svg_text(svg, x + 4, y, "end", "value", 0, values);
	if (room - values_px > 30)
		svg_text(svg, x + 4 - values_px - 8, y, "end", "name", room - values_px - 8, name);
	fputs("</g>\n", svg->out);
}

static void put_labels(struct svg *svg, const struct layout *l, const struct group_component *c, double x)
{
	double bottom = svg->top + svg->height;
	char values[112];

	if (l->wide) {
		svg_text(svg, x, bottom + 15, "middle", "name", l->slot_px - 4, c->label);
		value_text(c->first, l->chart->unit, values, sizeof values);
		svg_text(svg, x, bottom + 30, "middle", "value", l->slot_px, values);
		value_text(c->second, l->chart->unit, values, sizeof values);
		svg_text(svg, x, bottom + 44, "middle", "second-value faint", l->slot_px, values);
	} else if (l->labels) {
		values_of(l->chart, c, values, sizeof values);
		put_standing(svg, x, c->label, values);
	}
}

static void put_component(struct svg *svg, const struct layout *l, size_t i)
{
	const struct group_component *c = &l->chart->components[i];
	double x = svg->left + l->slot_px * ((double)i + 0.5);
	struct graphic graphic[GRAPHICS_MAX];
	unsigned count = graphics_of(&l->chart->reduction, c, graphic);
	char values[112];

	fputs("<g class=\"component\" data-object=\"", svg->out);
	svg_escape(svg->out, c->object);
	fprintf(svg->out, "\" data-first=\"%.17g\" data-second=\"%.17g\"><title>", c->first, c->second);
	values_of(l->chart, c, values, sizeof values);
	svg_escape(svg->out, c->label);
	fprintf(svg->out, ": %s %s / %s</title>\n", values, l->chart->first_name, l->chart->second_name);
	for (unsigned g = 0; g < count; g++)
		put_graphic(svg, &graphic[g], x - l->bar_px / 2, l->bar_px);
	if (count == 0 && isnan(c->first) && isnan(c->second))
		svg_text(svg, x, svg->top + svg->height - 6, "middle", "unknown faint", 0, l->wide ? "unknown" : "?");
	put_labels(svg, l, c, x);
	fputs("</g>\n", svg->out);
}

/* Bands first and bars over them, so that a bar is seen to go on; the factor above all. */
static void put_bands(struct svg *svg, const struct reduction *r)
{
	for (unsigned i = 0; i < r->count; i++)
		if (r->segment[i].factor > 1)
			svg_break(svg, svg->left, svg->width, &r->segment[i]);
}

static void put_factors(struct svg *svg, const struct reduction *r, enum metric_unit unit)
{
	for (unsigned i = 0; i < r->count; i++) {
		const struct reduction_segment *s = &r->segment[i];
		double y = height_y(svg, (s->from_height + s->to_height) / 2) + 4;
		char factor[64], from[48], to[48], text[200];

		if (s->factor <= 1)
			continue;
		svg_factor_text(s->factor, factor, sizeof factor);
		value_text(s->from_value, unit, from, sizeof from);
		value_text(s->to_value, unit, to, sizeof to);
		if (svg->width < 420)
			snprintf(text, sizeof text, "%s", factor);
		else
			snprintf(text, sizeof text, "%s to %s is drawn %s", from, to, factor);
		svg_label(svg, svg->left + svg->width / 2, y, text);
	}
}

static void put_key(struct svg *svg, const struct group_chart *chart)
{
	double y = svg->options->height_px - 8, x = svg->left;
	char note[160] = "";

	fprintf(svg->out, "<g class=\"key\"><rect x=\"%.1f\" y=\"%.1f\" width=\"12\" height=\"10\" fill=\"%s\"/>\n", x, y - 9,
		svg->palette->series[0]);
	svg_text(svg, x + 17, y, "start", "name", 0, chart->first_name);
	x += 17 + svg_text_width(chart->first_name) + 16;
	fprintf(svg->out,
		"<rect x=\"%.1f\" y=\"%.1f\" width=\"12\" height=\"10\" fill=\"%s\" fill-opacity=\"0.14\" stroke=\"%s\" "
		"stroke-width=\"1.3\"/>\n",
		x, y - 9, svg->palette->series[0], svg->palette->series[1]);
	svg_text(svg, x + 17, y, "start", "name", 0, chart->second_name);
	x += 17 + svg_text_width(chart->second_name) + 16;
	if (chart->reduction.breaks)
		snprintf(note, sizeof note, "hatched: drawn smaller; reduction=off shows full scale");
	if (chart->left_out)
		snprintf(note + strlen(note), sizeof note - strlen(note), "%s%zu smaller ones are left out", note[0] ? "; " : "",
			 chart->left_out);
	if (svg->left + svg->width - x > 60)
		svg_text(svg, x, y, "start", "note faint", svg->left + svg->width - x, note);
	fputs("</g>\n", svg->out);
}

char *group_chart_svg(const struct chart_options *options, const struct group_chart *chart)
{
	struct layout l = { .chart = chart };
	struct svg svg;

	if (!svg_begin(&svg, options, "group", "Each bar is a component with two values. A hatched break is drawn smaller by the factor in it; all bars share it."))
		return NULL;
	svg.left = 74;
	svg.width = options->width_px - svg.left - 12;
	l.slot_px = svg.width / (double)(chart->count ? chart->count : 1);
	l.bar_px = fmin(l.slot_px * 0.62, BAR_PX_MAX);
	l.wide = l.slot_px >= SLOT_WIDE_PX;
	l.labels = l.slot_px >= SLOT_LABEL_PX;
	svg.top += 8;
	svg.height = options->height_px - svg.top - 24 - (l.wide ? 50 : l.labels ? fmin(options->height_px * 0.42, 230) : 8);
	if (chart->count == 0) {
		svg_empty(&svg, "there is nothing in this group");
		return svg_end(&svg);
	}
	svg_value_axis(&svg, &chart->reduction, chart->unit);
	put_bands(&svg, &chart->reduction);
	for (size_t i = 0; i < chart->count; i++)
		put_component(&svg, &l, i);
	put_factors(&svg, &chart->reduction, chart->unit);
	put_key(&svg, chart);
	return svg_end(&svg);
}
