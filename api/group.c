/* The group chart: its components and their two usage data (VIZ-1). */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/picture.h"
#include "api/request.h"
#include "api/service.h"
#include "cluster/config.h"
#include "json_text.h"

/* --- what the components are --- */

static const struct group_name {
	const char *name, *title;
	enum object_kind kind;
} group_names[] = {
	{ "luns", "LUNs", OBJECT_LUN },
	{ "targets", "targets", OBJECT_TARGET },
	{ "workers", "workers", OBJECT_WORKER },
	{ "hosts", "hosts", OBJECT_HOST },
};

#define TARGET_PREFIX "target:"

/* Called with each LUN that a target shows (it shows none twice). */
static void each_lun(const json_t *config, const char *target, void (*take)(void *arg, const char *lun), void *arg)
{
	json_t *mappings = (json_t *)config_map(config, CONFIG_MAPPING, target), *mapping;
	const char *number;

	json_object_foreach(mappings, number, mapping)
		if (json_string_value(json_object_get(mapping, "lun")))
			take(arg, json_string_value(json_object_get(mapping, "lun")));
}

static void add_object(void *arg, const char *lun)
{
	struct means *m = arg;
	struct object_name *object = &m->objects[m->count++];

	object->kind = OBJECT_LUN;
	snprintf(object->name, sizeof object->name, "%s", lun);
}

/* The LUNs of a target as means.objects (NULL without memory). False: there is no such target. */
static bool find_luns(const struct service *s, const char *target, struct means *m)
{
	struct config_ref ref = { CONFIG_TARGET, target, NULL };

	if (!config_find(s->config, &ref))
		return false;
	m->objects = calloc(json_object_size(config_map(s->config, CONFIG_MAPPING, target)) + 1, sizeof *m->objects);
	if (m->objects)
		each_lun(s->config, target, add_object, m);
	return true;
}

/* Sets means.kind and means.objects. */
static bool find_objects(struct picture *p, struct problem *problem)
{
	const char *text = request_query(p->render.rq, "group");
	struct means *m = &p->means;

	p->group = text ? text : group_names[0].name;
	for (size_t i = 0; i < sizeof group_names / sizeof group_names[0]; i++) {
		if (strcmp(p->group, group_names[i].name) == 0) {
			m->kind = group_names[i].kind;
			m->objects = objects_of(m->monitor, m->kind, &m->count);
			snprintf(p->title, sizeof p->title, "%s", group_names[i].title);
			return true;
		}
	}
	if (strncmp(p->group, TARGET_PREFIX, strlen(TARGET_PREFIX)) != 0) {
		problem_set(problem, 400, "invalid-group", "", "group must be luns, target:NAME, targets, workers or hosts.");
		return false;
	}
	m->kind = OBJECT_LUN;
	snprintf(p->title, sizeof p->title, "LUNs of %s", p->group + strlen(TARGET_PREFIX));
	if (find_luns(p->render.rq->service, p->group + strlen(TARGET_PREFIX), m))
		return true;
	problem_set(problem, 404, "no-such-object", "", "There is no such target.");
	return false;
}

/* --- capacity --- */

static void add_known(double *sum, double value)
{
	if (!isnan(value))
		*sum = isnan(*sum) ? value : *sum + value;
}

struct capacity {
	const struct monitor *monitor;
	struct component *component;
};

static void add_lun(void *arg, const char *lun)
{
	struct capacity *capacity = arg;
	struct object_name name = { .kind = OBJECT_LUN };
	const struct monitor_object *object;

	snprintf(name.name, sizeof name.name, "%s", lun);
	object = monitor_find(capacity->monitor, &name);
	if (!object)
		return;
	add_known(&capacity->component->first, object->value[METRIC_allocated_bytes]);
	add_known(&capacity->component->second, object->value[METRIC_size_bytes]);
}

static void add_target(const struct picture *p, const char *target, struct component *c)
{
	struct capacity capacity = { p->means.monitor, c };

	each_lun(p->render.rq->service->config, target, add_lun, &capacity);
}

/* A LUN that several targets show is served by one worker: its targets stay together. It counts there once a target. */
static void add_worker(const struct picture *p, const char *index, struct component *c)
{
	const struct service *s = p->render.rq->service;
	const char *target;
	json_t *worker;

	json_object_foreach(s->placement, target, worker)
		if (json_integer_value(worker) == atoi(index))
			add_target(p, target, c);
}

static void capacity_of(const struct picture *p, struct component *c)
{
	const struct monitor_object *object;

	switch (c->object.kind) {
	case OBJECT_TARGET:
		add_target(p, c->object.name, c);
		break;
	case OBJECT_WORKER:
		add_worker(p, c->object.name, c);
		break;
	default:
		object = monitor_find(p->means.monitor, &c->object);
		c->first = object ? object->value[METRIC_allocated_bytes] : NAN;
		c->second = object ? object->value[METRIC_size_bytes] : NAN;
	}
}

/* --- the picture --- */

static int by_size(const void *a, const void *b)
{
	const struct component *x = a, *y = b;
	double m = fmax(x->first, x->second), n = fmax(y->first, y->second);

	if (isnan(m) != isnan(n))
		return isnan(m) ? 1 : -1;
	if (!isnan(m) && m != n)
		return m < n ? 1 : -1;
	return object_compare(&x->object, &y->object);
}

static int by_object(const void *a, const void *b)
{
	return object_compare(&((const struct component *)a)->object, &((const struct component *)b)->object);
}

/* The largest stay; in order of names. */
static void choose(struct picture *p)
{
	if (p->component_count > CHART_COMPONENTS_MAX) {
		qsort(p->components, p->component_count, sizeof *p->components, by_size);
		p->left_out = p->component_count - CHART_COMPONENTS_MAX;
		p->component_count = CHART_COMPONENTS_MAX;
	}
	qsort(p->components, p->component_count, sizeof *p->components, by_object);
}

static char *render_as(const struct picture *p, double threshold, char *(*make)(const struct picture *p,
		       const struct group_chart *chart, const void *arg), const void *arg)
{
	struct group_component *components = calloc(p->component_count + 1, sizeof *components);
	struct reduction_item *items = calloc(p->component_count + 1, sizeof *items);
	struct group_chart chart = {
		.title = p->title, .first_name = p->first_name, .second_name = p->second_name, .unit = p->unit,
		.components = components, .count = p->component_count, .left_out = p->left_out,
	};
	char *text = NULL;

	for (size_t i = 0; components && items && i < p->component_count; i++) {
		const struct component *c = &p->components[i];

		components[i] = (struct group_component){ c->text, c->object.name, c->first, c->second };
		items[i] = (struct reduction_item){ c->first, c->second };
	}
	if (components && items && reduction_compute(items, p->component_count, threshold, &chart.reduction) == 0)
		text = make(p, &chart, arg);
	free(components);
	free(items);
	return text;
}

static char *make_svg(const struct picture *p, const struct group_chart *chart, const void *options)
{
	(void)p;
	return group_chart_svg(options, chart);
}

static char *make_json(const struct picture *p, const struct group_chart *chart, const void *threshold)
{
	static const char *const data[] = { "capacity", "peak", "read_write" };
	json_t *json = group_chart_json(chart, *(const double *)threshold);
	char *text = NULL;

	if (json) {
		json_object_set_new(json, "group", json_string(p->group));
		json_object_set_new(json, "data", json_string(data[p->query.data]));
		text = json_text(json, JSON_COMPACT | JSON_REAL_PRECISION(15));
	}
	json_decref(json);
	return text;
}

static char *group_svg(const struct picture *p, const struct chart_options *options)
{
	return render_as(p, options->threshold, make_svg, options);
}

static char *group_json(const struct picture *p, double threshold)
{
	return render_as(p, threshold, make_json, &threshold);
}

/* --- collecting --- */

/* A component for each object, data unknown. */
static bool make_components(struct picture *p)
{
	p->components = p->means.objects ? calloc(p->means.count + 1, sizeof *p->components) : NULL;
	if (!p->components)
		return false;
	for (size_t i = 0; i < p->means.count; i++) {
		struct component *c = &p->components[i];

		c->object = p->means.objects[i];
		c->first = c->second = NAN;
		snprintf(c->text, sizeof c->text, "%s:%s", object_kind_name(c->object.kind), c->object.name);
	}
	p->component_count = p->means.count;
	return true;
}

static void values_known(struct means *means, int error)
{
	struct picture *p = container_of(means, struct picture, means);

	if (error || !make_components(p)) {
		picture_fail(p, error ? error : -ENOMEM, NULL);
		return;
	}
	for (size_t i = 0; i < p->component_count; i++) {
		struct component *c = &p->components[i];
		const struct monitor_object *now = monitor_find(means->monitor, &c->object);

		c->first = p->query.data == CHART_PEAK ? (now ? now->value[means->metric[0]] : NAN) : means->value[i][0];
		c->second = p->query.data == CHART_PEAK ? fmax(means->value[i][0], c->first) : means->value[i][1];
	}
	choose(p);
	picture_draw(p);
}

static void capacity_start(struct picture *p)
{
	p->unit = UNIT_BYTES;
	p->first_name = "used";
	p->second_name = "provisioned";
	if (!make_components(p)) {
		picture_fail(p, -ENOMEM, NULL);
		return;
	}
	for (size_t i = 0; i < p->component_count; i++)
		capacity_of(p, &p->components[i]);
	choose(p);
	picture_draw(p);
}

static bool peak_metric(struct picture *p, struct problem *problem)
{
	const char *text = request_query(p->render.rq, "metric");
	int metric = text ? metric_find(text, strlen(text)) : METRIC_read_bytes_per_s;

	if (metric < 0 || !metric_of((enum metric_id)metric, p->means.kind)) {
		problem_set(problem, 400, "invalid-metric", "", "metric must be one that a %s has.",
			    object_kind_name(p->means.kind));
		return false;
	}
	p->means.metric[0] = (enum metric_id)metric;
	p->means.metric_count = 1;
	p->means.cf = SERIES_CF_MAX;
	p->unit = metric_rows[metric].unit;
	p->first_name = "now";
	p->second_name = "peak";
	return true;
}

static void read_write(struct picture *p)
{
	p->means.metric[0] = METRIC_read_bytes_per_s;
	p->means.metric[1] = METRIC_write_bytes_per_s;
	p->means.metric_count = 2;
	p->means.cf = p->query.range.cf;
	p->unit = UNIT_BPS;
	p->first_name = "read";
	p->second_name = "written";
}

/* "Capacity of LUNs": find_objects has written the objects there. */
static void set_title(struct picture *p)
{
	char objects[sizeof p->title];
	const char *what = p->query.data == CHART_CAPACITY ? "Capacity" :
			   p->query.data == CHART_PEAK ? metric_rows[p->means.metric[0]].title : "Throughput";

	strcpy(objects, p->title);
	snprintf(p->title, sizeof p->title, "%s of %.300s", what, objects);
}

void group_start(struct picture *p)
{
	struct problem problem = { 0 };

	p->svg = group_svg;
	p->json = group_json;
	if (p->query.data < 0)
		p->query.data = CHART_CAPACITY;
	if (!find_objects(p, &problem) || (p->query.data == CHART_PEAK && !peak_metric(p, &problem))) {
		picture_refuse(p, &problem);
		return;
	}
	set_title(p);
	if (p->query.data == CHART_CAPACITY) {
		capacity_start(p);
		return;
	}
	if (p->query.data == CHART_READ_WRITE)
		read_write(p);
	picture_means(p, values_known);
}
