/*
 * A chart on its way: the request's parameters, the data that are asked for, the drawing on the render thread, the answer.
 * What is common to all charts (picture.c); the kinds of charts are in charts.c and group.c.
 */
#ifndef LUNETTE_API_PICTURE_H
#define LUNETTE_API_PICTURE_H

#include "api/chart_query.h"
#include "api/means.h"
#include "api/render.h"

struct picture;

/* A component of a group while its data are collected; first and second become those of struct group_component. */
struct component {
	struct object_name object;
	char text[STATS_NAME_MAX + 16]; /* "lun:vol1" */
	double first, second;
};

struct picture {
	struct render render;
	struct chart_query query;
	char title[400];
	/* On the render thread: the SVG, malloc'ed; NULL without memory. */
	char *(*svg)(const struct picture *picture, const struct chart_options *options);
	/* Likewise its JSON; NULL: it has none. */
	char *(*json)(const struct picture *picture, double threshold);
	/* Data, whichever the chart needs; freed with it. */
	struct series_set *set;
	struct heat_map *map;
	struct means means;
	enum metric_unit unit;
	const char *group, *first_name, *second_name; /* group: into the request */
	struct component *components;
	size_t component_count, left_out;
};

/* NULL: answered 503. */
struct picture *picture_new(struct request *rq, const struct chart_query *query);
/* The data are there. */
void picture_draw(struct picture *picture);
/* They are not; missing may be NULL. */
void picture_fail(struct picture *picture, int error, const struct object_name *missing);
void picture_refuse(struct picture *picture, const struct problem *problem);
/* Asks for the values of means.objects (NULL: no memory), which become those of means.value; or fails. */
void picture_means(struct picture *picture, void (*done)(struct means *means, int error));
/* Every object of a kind, in order of names: malloc'ed; NULL without memory. */
struct object_name *objects_of(const struct monitor *monitor, enum object_kind kind, size_t *ret_count);

/* group.c */
void group_start(struct picture *picture);

#endif
