/*
 * What the drawings share: a text that grows, escaping, colours by theme, axes, and values with units for people.
 */
#ifndef LUNETTE_MONITOR_SVG_H
#define LUNETTE_MONITOR_SVG_H

#include <stdio.h>

#include "monitor/chart.h"

#define SVG_TICKS_MAX 12
#define SVG_COLOURS   8

struct svg_palette {
	const char *background, *text, *faint, *grid, *border, *hatch;
	const char *series[SVG_COLOURS]; /* Okabe and Ito: told apart by people with any kind of colour vision */
};

struct svg {
	FILE *out;
	char *text;
	size_t size;
	const struct chart_options *options;
	const struct svg_palette *palette;
	double left, top, width, height; /* of the plot */
};

extern const char *const svg_dashes[SVG_COLOURS];

/* Opens the text and draws the frame: background, title (also as <title>), description. false: no memory. */
bool svg_begin(struct svg *svg, const struct chart_options *options, const char *kind, const char *description);
/* The finished text, malloc'ed; NULL: no memory. */
char *svg_end(struct svg *svg);
/* As XML text or attribute; what XML cannot say (control characters, bytes that are not UTF-8) becomes "?". */
void svg_escape(FILE *out, const char *text);
/* Text at x, y; anchor: "start", "middle", "end"; class for tests and style; at most max_px wide (0: any), elided in the
 * middle. */
void svg_text(struct svg *svg, double x, double y, const char *anchor, const char *class, double max_px, const char *text);
double svg_text_width(const char *text); /* an upper estimate in px, of the 11 px font */

/* Round values from 0 (or the least) to the most, at most `wanted`; binary: powers of two of bytes. Returns how many. */
unsigned svg_ticks(double from, double to, bool binary, unsigned wanted, double ret_tick[SVG_TICKS_MAX]);
unsigned svg_ticks_wanted(double height_px); /* as many as the height has room for, 1 to 8 */
/* Horizontal axis of time: lines and labels in UTC. */
void svg_time_axis(struct svg *svg, int64_t from_s, int64_t to_s);
/* Vertical axis from 0 to reduction->max_value: lines and labels at true values, none inside a break. */
void svg_value_axis(struct svg *svg, const struct reduction *reduction, enum metric_unit unit);
/* "1 : 18,400" */
void svg_factor_text(double factor, char *ret_text, size_t size);
double svg_y(const struct svg *svg, const struct reduction *reduction, double value);
/* A break, hatched between zigzag edges, from x to x + width. */
void svg_break(struct svg *svg, double x, double width, const struct reduction_segment *segment);
void svg_break_edges(struct svg *svg, double x, double width, const struct reduction_segment *segment);
/* The labels of all breaks, above everything else: factor and true values of the ends. */
void svg_factors(struct svg *svg, const struct reduction *reduction, enum metric_unit unit);
/* In the middle of the plot: "no data between ... and ...", or another text. */
void svg_empty(struct svg *svg, int64_t from_s, int64_t to_s);
void svg_note(struct svg *svg, const char *text);

#endif
