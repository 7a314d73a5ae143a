/*
 * Charts as SVG 1.1 text: pure functions from data to a picture. Each returns malloc'ed text, NULL without memory. No
 * scripts, no outside references, any text escaped; classes and data- attributes name the parts (data-series, data-object,
 * data-from, ...), so that tests and people can read them. PNG is the same picture: png.h.
 */
#ifndef LUNETTE_MONITOR_CHART_H
#define LUNETTE_MONITOR_CHART_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "monitor/metric.h"
#include "monitor/reduction.h"
#include "monitor/series.h"

#define CHART_WIDTH_MIN      200
#define CHART_WIDTH_MAX      4000
#define CHART_WIDTH_DEFAULT  800
#define CHART_HEIGHT_MIN     120
#define CHART_HEIGHT_MAX     2000
#define CHART_HEIGHT_DEFAULT 320
#define CHART_COMPONENTS_MAX 200 /* of a group chart; the largest stay, the rest is told */

enum chart_drawing { CHART_LINES, CHART_HEAT, CHART_TOP, CHART_GROUP };

/* charts.def: the named charts. */
struct chart_row {
	const char *name;        /* "throughput": the path is charts/throughput.svg */
	const char *title;
	enum chart_drawing drawing;
	enum object_kind kind;   /* of the objects when none is named: all hosts, all workers, ... */
	const char *metrics;     /* comma-separated, the default ?metric= */
	const char *meaning;
};
extern const struct chart_row chart_rows[];
extern const size_t chart_row_count;
const struct chart_row *chart_find(const char *name, size_t len); /* NULL: none */

enum chart_theme { CHART_LIGHT, CHART_DARK };

struct chart_options {
	unsigned width_px, height_px;
	enum chart_theme theme;
	const char *title;       /* "" or NULL: none */
	double threshold;        /* of the reduction; 1: full scale */
};

/* Time series: axes in the unit of the first metric (all should have the same), gaps as gaps, legend with newest, mean and
 * largest value. Lines differ in dash as well as in colour. */
char *chart_lines_svg(const struct chart_options *options, const struct series_set *set);
char *chart_heat_svg(const struct chart_options *options, const struct heat_map *map);

/* A bar for each component, the longest first, with its true value: top n. */
struct top_item {
	const char *name;
	double value;
};
char *chart_top_svg(const struct chart_options *options, const struct top_item *items, size_t count, enum metric_unit unit);

/* A group: each component has two usage data (VIZ-1). */
struct group_component {
	const char *object;      /* "lun:vol1" */
	const char *label;       /* "vol1" */
	double first, second;    /* NAN: unknown */
};
struct group_chart {
	const char *title;
	const char *first_name, *second_name; /* "used", "provisioned" */
	enum metric_unit unit;
	const struct group_component *components;
	size_t count, left_out;  /* left_out: components beyond CHART_COMPONENTS_MAX that are not drawn */
	struct reduction reduction;
};
/* The rendering information (VIZ-3): the scale's segments and, for each component, its first, second and (where a break is
 * passed) third graphic. New reference; the schema is GroupChart of the contract. */
json_t *group_chart_json(const struct group_chart *chart, double threshold);
char *group_chart_svg(const struct chart_options *options, const struct group_chart *chart);

/* A value with its unit for people: "18.4 k/s", "1.5 GiB", "2.3 ms", "40 TiB", "unknown". */
void value_text(double value, enum metric_unit unit, char *ret_text, size_t size);

#endif
