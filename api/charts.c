/* Charts over time, heat maps and rankings; the group chart is in group.c. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/handlers.h"
#include "api/picture.h"
#include "api/request.h"
#include "api/selection.h"
#include "api/service.h"

/* --- over time --- */

static char *lines_svg(const struct picture *p, const struct chart_options *options)
{
	return chart_lines_svg(options, p->set);
}

static void lines_known(void *arg, int error, const struct object_name *missing, struct series_set *set)
{
	struct picture *p = arg;

	p->set = set;
	if (error)
		picture_fail(p, error, missing);
	else
		picture_draw(p);
}

/* The objects of the request, or all of the chart's kind. False: refused. */
static bool resolve(struct picture *p, struct series_query *query, struct problem *problem)
{
	struct request *rq = p->render.rq;
	const struct chart_row *row = p->query.row;
	const char *metric = request_query(rq, "metric");
	struct selection selection = { 0 };
	char all[32];
	bool ok;

	snprintf(all, sizeof all, "%s:*", object_kind_name(row->kind));
	if (!metric && row->metrics[0])
		metric = row->metrics;
	ok = selection_parse(request_query(rq, "object"), all, metric, &selection, problem) &&
	     selection_resolve(&selection, rq->service->monitoring.monitor, SERIES_MAX, &query->objects, &query->object_count,
			       problem);
	if (ok)
		memcpy(query->metric, selection.metric, sizeof query->metric);
	selection_free(&selection);
	return ok;
}

static void title_of(struct picture *p, const struct series_query *query)
{
	const struct object_name *one = query->object_count == 1 ? &query->objects[0] : NULL;

	if (one)
		snprintf(p->title, sizeof p->title, "%s, %s:%s", p->query.row->title, object_kind_name(one->kind), one->name);
	else
		snprintf(p->title, sizeof p->title, "%s", p->query.row->title);
}

static void lines_start(struct picture *p)
{
	struct series_query query = p->query.range;
	struct problem problem = { 0 };

	p->svg = lines_svg;
	if (!resolve(p, &query, &problem)) {
		picture_refuse(p, &problem);
		return;
	}
	if (!series_size_check(&query, &problem)) {
		free(query.objects);
		picture_refuse(p, &problem);
		return;
	}
	title_of(p, &query);
	monitor_series(p->means.monitor, &query, lines_known, p);
}

/* --- heat map --- */

static char *heat_svg(const struct picture *p, const struct chart_options *options)
{
	return chart_heat_svg(options, p->map);
}

static void heat_known(void *arg, int error, struct heat_map *map)
{
	struct picture *p = arg;

	p->map = map;
	if (error)
		picture_fail(p, error, &p->means.objects[0]);
	else
		picture_draw(p);
}

static void heat_start(struct picture *p)
{
	struct series_query query = p->query.range;
	struct problem problem = { 0 };
	int kind = p->query.kind < 0 ? CHART_KIND_BOTH : p->query.kind;

	p->svg = heat_svg;
	if (kind < OBJECT_KINDS)
		problem_set(&problem, 400, "invalid-kind", "", "kind of a heat map must be read, write or both.");
	else if (!request_query(p->render.rq, "object"))
		problem_set(&problem, 400, "invalid-object", "", "A heat map is of one LUN: object=lun:NAME.");
	else if (resolve(p, &query, &problem) && (query.object_count != 1 || query.objects[0].kind != OBJECT_LUN))
		problem_set(&problem, 400, "invalid-object", "", "A heat map is of one LUN: object=lun:NAME.");
	p->means.objects = query.objects; /* freed with it */
	if (problem.status) {
		picture_refuse(p, &problem);
		return;
	}
	title_of(p, &query);
	monitor_heat(p->means.monitor, &query.objects[0], kind != CHART_KIND_WRITE, kind != CHART_KIND_READ, query.from_s,
		     query.to_s, heat_known, p);
}

/* --- ranking --- */

static int by_value(const void *a, const void *b)
{
	const struct top_item *x = a, *y = b;

	if (x->value != y->value)
		return x->value < y->value ? 1 : -1;
	return strcmp(x->name, y->name);
}

static char *top_svg(const struct picture *p, const struct chart_options *options)
{
	struct top_item *items = calloc(p->means.count + 1, sizeof *items);
	size_t count = 0;
	char *svg;

	if (!items)
		return NULL;
	for (size_t i = 0; i < p->means.count; i++) {
		double value = p->means.value[i][0] + (p->means.metric_count == 2 ? p->means.value[i][1] : 0);

		if (!isnan(value))
			items[count++] = (struct top_item){ p->means.objects[i].name, value };
	}
	qsort(items, count, sizeof *items, by_value);
	svg = chart_top_svg(options, items, count < p->query.limit ? count : (size_t)p->query.limit, p->unit);
	free(items);
	return svg;
}

static void top_known(struct means *means, int error)
{
	struct picture *p = container_of(means, struct picture, means);

	if (error)
		picture_fail(p, error, NULL);
	else
		picture_draw(p);
}

/* One metric of the request, or bytes. False: refused. */
static bool top_metric(struct picture *p, struct problem *problem)
{
	struct means *m = &p->means;
	const char *text = request_query(p->render.rq, "metric");
	int metric = text ? metric_find(text, strlen(text)) : METRIC_read_bytes_per_s;

	if (metric < 0 || !metric_of((enum metric_id)metric, m->kind)) {
		problem_set(problem, 400, "invalid-metric", "", "metric must be one that a %s has.", object_kind_name(m->kind));
		return false;
	}
	m->metric[0] = (enum metric_id)metric;
	m->metric[1] = METRIC_write_bytes_per_s;
	m->metric_count = text ? 1 : 2;
	p->unit = metric_rows[metric].unit;
	snprintf(p->title, sizeof p->title, "%s: %s", p->query.row->title, text ? metric_rows[metric].title : "Throughput");
	return true;
}

static void top_start(struct picture *p)
{
	struct means *m = &p->means;
	struct problem problem = { 0 };

	p->svg = top_svg;
	m->kind = p->query.kind < 0 ? p->query.row->kind : (enum object_kind)p->query.kind;
	m->cf = p->query.range.cf;
	if (p->query.kind >= OBJECT_KINDS)
		problem_set(&problem, 400, "invalid-kind", "", "kind must be lun, target, session, worker or host.");
	if (problem.status || !top_metric(p, &problem)) {
		picture_refuse(p, &problem);
		return;
	}
	m->objects = objects_of(m->monitor, m->kind, &m->count);
	picture_means(p, top_known);
}

/* --- all of them --- */

void list_charts(struct request *rq)
{
	json_t *items = json_array();

	for (size_t i = 0; i < chart_row_count; i++) {
		const struct chart_row *row = &chart_rows[i];
		json_t *metrics = json_array();

		for (const char *at = row->metrics; *at; at += strcspn(at, ","), at += *at == ',')
			json_array_append_new(metrics, json_stringn(at, strcspn(at, ",")));
		json_array_append_new(items, json_pack("{s:s, s:s, s:o, s:s, s:s}", "name", row->name, "title", row->title,
						       "metrics", metrics, "kind", object_kind_name(row->kind), "meaning",
						       row->meaning));
	}
	answer_list(rq, items);
}

void get_chart(struct request *rq)
{
	static void (*const starts[])(struct picture *picture) = {
		[CHART_LINES] = lines_start, [CHART_HEAT] = heat_start, [CHART_TOP] = top_start, [CHART_GROUP] = group_start,
	};
	struct chart_query query;
	struct picture *picture;

	if (!chart_query_parse(rq, &query))
		return;
	picture = picture_new(rq, &query);
	if (picture)
		starts[query.row->drawing](picture);
}
