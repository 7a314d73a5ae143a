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

#define GRAPHICS_MAX     (2 * (REDUCTION_BREAKS_MAX + 1) + REDUCTION_BREAKS_MAX)
#define SLOT_LYING_PX    68 /* from here on labels lie; below, they stand */
#define SLOT_STANDING_PX 13 /* below, there is no room for any */
#define LYING_PX         52
#define STANDING_PART    0.42 /* of the height, at most */
#define NAME_PX_MIN      30
#define KEY_PX           24
#define PLOT_PX_MIN      64
#define BAR_PX_MAX       72

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

enum labels { LABELS_LYING, LABELS_STANDING, LABELS_NONE };

struct layout {
	const struct group_chart *chart;
	double slot_px, bar_px;
	double labels_px; /* height below the plot */
	double values_px; /* of the longest values, where labels stand; 0: there is no room for values, only for names */
	enum labels labels;
};

static double height_y(const struct svg *svg, double height)
{
	return svg->top + svg->height * (1 - height);
}

/* solid: the first goes on through the break, else the second does. */
static void put_graphic(struct svg *svg, const struct graphic *g, double x, double width, bool solid, bool dashed)
{
	double y = height_y(svg, g->to_height), height = height_y(svg, g->from_height) - y;
	const char *const *colour = svg->palette->series;

	if (g->kind == THIRD)
		fprintf(svg->out,
			"<rect class=\"third\" data-factor=\"%.6g\" x=\"%.1f\" y=\"%.2f\" width=\"%.1f\" height=\"%.2f\" "
			"fill=\"url(#hatch-%s)\"/>\n",
			g->factor, x, y, width, height, solid ? "first" : "second");
	else if (g->kind == FIRST)
		fprintf(svg->out, "<rect class=\"first\" x=\"%.1f\" y=\"%.2f\" width=\"%.1f\" height=\"%.2f\" fill=\"%s\"/>\n", x,
			y, width, height, colour[0]);
	else
		fprintf(svg->out,
			"<rect class=\"second\" x=\"%.1f\" y=\"%.2f\" width=\"%.1f\" height=\"%.2f\" fill=\"%s\" "
			"fill-opacity=\"0.14\" stroke=\"%s\" stroke-width=\"1.3\"%s/>\n",
			x + 0.6, y, fmax(width - 1.2, 0.5), height, colour[0], colour[1],
			dashed ? " stroke-dasharray=\"4 3\"" : "");
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

/* Upwards to the bar: the values whole, the name in the room that is left. */
static void put_standing(struct svg *svg, const struct layout *l, double x, const char *name, const char *values)
{
	double y = svg->top + svg->height + 8, room = l->labels_px - 12, values_px = l->values_px > 0 ? l->values_px + 8 : 0;

	fprintf(svg->out, "<g transform=\"rotate(-90 %.1f %.1f)\">", x + 4, y);
	if (values_px > 0)
		svg_text(svg, x + 4, y, "end", "second-value", 0, values);
	if (room - values_px >= NAME_PX_MIN)
		svg_text(svg, x + 4 - values_px, y, "end", "name faint", room - values_px, name);
	fputs("</g>\n", svg->out);
}

static void put_labels(struct svg *svg, const struct layout *l, const struct group_component *c, double x)
{
	double bottom = svg->top + svg->height;
	char values[112];

	if (l->labels == LABELS_LYING) {
		svg_text(svg, x, bottom + 16, "middle", "name", l->slot_px - 4, c->label);
		value_text(c->first, l->chart->unit, values, sizeof values);
		svg_text(svg, x, bottom + 31, "middle", "value", 0, values);
		value_text(c->second, l->chart->unit, values, sizeof values);
		svg_text(svg, x, bottom + 45, "middle", "second-value faint", 0, values);
	} else if (l->labels == LABELS_STANDING) {
		values_of(l->chart, c, values, sizeof values);
		put_standing(svg, l, x, c->label, values);
	}
}

static void put_component(struct svg *svg, const struct layout *l, size_t i)
{
	const struct group_chart *chart = l->chart;
	const struct group_component *c = &chart->components[i];
	double x = svg->left + l->slot_px * ((double)i + 0.5), first_height = reduction_height(&chart->reduction, c->first);
	struct graphic graphic[GRAPHICS_MAX];
	unsigned count = graphics_of(&chart->reduction, c, graphic);
	char first[48], second[48];

	value_text(c->first, chart->unit, first, sizeof first);
	value_text(c->second, chart->unit, second, sizeof second);
	fputs("<g class=\"component\" data-object=\"", svg->out);
	svg_escape(svg->out, c->object);
	fprintf(svg->out, "\" data-first=\"%.17g\" data-second=\"%.17g\"><title>", c->first, c->second);
	svg_escape(svg->out, c->label);
	fprintf(svg->out, ": %s %s, %s %s</title>\n", chart->first_name, first, chart->second_name, second);
	for (unsigned g = 0; g < count; g++)
		put_graphic(svg, &graphic[g], x - l->bar_px / 2, l->bar_px, first_height >= graphic[g].to_height, isnan(c->first));
	if (isnan(c->first))
		svg_text(svg, x, svg->top + svg->height - 6, "middle", "unknown", 0,
			 isnan(c->second) && l->labels == LABELS_LYING ? "unknown" : "?");
	put_labels(svg, l, c, x);
	fputs("</g>\n", svg->out);
}

/* A band lies behind the bars, so that each is seen to go on through it; its edges are in front, so that each is seen to
 * be cut. */
static void put_bars(struct svg *svg, const struct layout *l)
{
	const struct reduction *r = &l->chart->reduction;

	for (unsigned i = 0; i < r->count; i++)
		if (r->segment[i].factor > 1)
			svg_break(svg, svg->left, svg->width, &r->segment[i]);
	for (size_t i = 0; i < l->chart->count; i++)
		put_component(svg, l, i);
	for (unsigned i = 0; i < r->count; i++)
		if (r->segment[i].factor > 1)
			svg_break_edges(svg, svg->left, svg->width, &r->segment[i]);
}

static double put_key_entry(struct svg *svg, double x, double y, const char *name, bool first)
{
	const char *const *colour = svg->palette->series;

	fprintf(svg->out,
		"<rect x=\"%.1f\" y=\"%.1f\" width=\"12\" height=\"10\" fill=\"%s\" fill-opacity=\"%s\" stroke=\"%s\" "
		"stroke-width=\"1.3\"/>\n",
		x, y - 9, colour[0], first ? "1" : "0.14", colour[first ? 0 : 1]);
	svg_text(svg, x + 17, y, "start", "name", svg->options->width_px - x - 17, name);
	return x + 17 + svg_text_width(name) + 16;
}

/* The first of the texts that fits. */
static void put_note(struct svg *svg, double x, double y, const struct group_chart *chart)
{
	double room = svg->left + svg->width - x;
	char left_out[64] = "", text[160];
	const char *const hatched[] = { "hatched: drawn smaller by the factor in it; reduction=off shows full scale",
					"hatched: drawn smaller; reduction=off: full scale", "hatched: drawn smaller", "" };

	if (chart->left_out)
		snprintf(left_out, sizeof left_out, "%zu smaller ones are left out", chart->left_out);
	for (unsigned i = chart->reduction.breaks ? 0 : 3; i < 4; i++) {
		snprintf(text, sizeof text, "%s%s%s", left_out, left_out[0] && hatched[i][0] ? "; " : "", hatched[i]);
		if (svg_text_width(text) <= room)
			break;
	}
	if (text[0] && svg_text_width(text) <= room)
		svg_text(svg, x, y, "start", "note faint", 0, text);
}

static void put_key(struct svg *svg, const struct group_chart *chart)
{
	double y = svg->options->height_px - 8, x = svg->left;

	if (x + svg_text_width(chart->first_name) + svg_text_width(chart->second_name) + 50 > svg->options->width_px)
		x = 8;
	fputs("<g class=\"key\">", svg->out);
	x = put_key_entry(svg, x, y, chart->first_name, true);
	x = put_key_entry(svg, x, y, chart->second_name, false);
	put_note(svg, x, y, chart);
	fputs("</g>\n", svg->out);
}

static void longest_labels(const struct group_chart *chart, double *ret_values_px, double *ret_name_px)
{
	*ret_values_px = *ret_name_px = 0;
	for (size_t i = 0; i < chart->count; i++) {
		char values[112];

		values_of(chart, &chart->components[i], values, sizeof values);
		*ret_values_px = fmax(*ret_values_px, svg_text_width(values));
		*ret_name_px = fmax(*ret_name_px, svg_text_width(chart->components[i].label));
	}
}

/* Labels lie, stand or go, and take no more than leaves the plot its part. */
static void choose_layout(struct svg *svg, struct layout *l)
{
	double room = svg->options->height_px - svg->top - KEY_PX - PLOT_PX_MIN, name_px;

	l->slot_px = svg->width / (double)(l->chart->count ? l->chart->count : 1);
	l->bar_px = fmin(l->slot_px * 0.62, BAR_PX_MAX);
	l->labels = LABELS_NONE;
	l->labels_px = 8;
	if (l->slot_px >= SLOT_LYING_PX && room >= LYING_PX) {
		l->labels = LABELS_LYING;
		l->labels_px = LYING_PX;
	} else if (l->slot_px >= SLOT_STANDING_PX && room >= NAME_PX_MIN + 12) {
		l->labels = LABELS_STANDING;
		room = fmin(room, svg->options->height_px * STANDING_PART);
		longest_labels(l->chart, &l->values_px, &name_px);
		if (l->values_px > room - 12)
			l->values_px = 0;
		l->labels_px = fmin(room, (l->values_px > 0 ? l->values_px + 8 : 0) + name_px + 14);
	}
	svg->height = svg->options->height_px - svg->top - KEY_PX - l->labels_px;
}

char *group_chart_svg(const struct chart_options *options, const struct group_chart *chart)
{
	struct layout l = { .chart = chart };
	struct svg svg;

	if (!svg_begin(&svg, options, "group",
		       "Each bar is a component with two values. A hatched break is drawn smaller by the factor in it; all bars "
		       "share it."))
		return NULL;
	svg.top += 8;
	choose_layout(&svg, &l);
	if (chart->count == 0) {
		svg_note(&svg, "there is nothing in this group");
		return svg_end(&svg);
	}
	svg_value_axis(&svg, &chart->reduction, chart->unit);
	put_bars(&svg, &l);
	svg_factors(&svg, &chart->reduction, chart->unit);
	put_key(&svg, chart);
	return svg_end(&svg);
}
