/* A chart on its way: see picture.h. */
#include "api/picture.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/request.h"
#include "api/service.h"
#include "monitor/png.h"

/* What rsvg-convert could not do. */
static void png_problem(struct problem *problem, int error, const struct err *err)
{
	if (error == -ENOENT)
		problem_set(problem, 503, "png-unavailable", "",
			    "PNG needs rsvg-convert, which is not installed here (package librsvg2-bin); SVG is there without it.");
	else
		problem_set(problem, 503, "png-failed", "", "The picture could not be made into PNG: %s. SVG is there.",
			    err->text[0] ? err->text : strerror(-error));
}

static void draw_png(struct render *render, char *svg)
{
	struct err err = { 0 };
	char *png = NULL;
	int error = svg ? png_of_svg(svg, &png, &render->len_bytes, &err) : -ENOMEM;

	free(svg);
	if (error)
		png_problem(&render->problem, error, &err);
	else
		render->bytes = png;
}

static void draw(struct render *render)
{
	const struct picture *p = container_of(render, struct picture, render);
	const struct chart_query *q = &p->query;
	bool reduced = q->reduction == CHART_REDUCTION_ON || (q->reduction < 0 && q->row->drawing == CHART_GROUP);
	struct chart_options options = {
		.width_px = (unsigned)q->width, .height_px = (unsigned)q->height,
		.theme = q->theme == CHART_DARK ? CHART_DARK : CHART_LIGHT, .title = p->title,
		.threshold = reduced ? q->threshold : 1,
	};
	char *text = q->format == CHART_JSON ? p->json(p, options.threshold) : p->svg(p, &options);

	if (q->format == CHART_PNG) {
		draw_png(render, text);
		return;
	}
	render->bytes = text;
	render->len_bytes = text ? strlen(text) : 0;
}

static void release(struct render *render)
{
	struct picture *p = container_of(render, struct picture, render);

	series_set_free(p->set);
	heat_map_free(p->map);
	free(p->means.objects);
	free(p->means.value);
	free(p->components);
	free(p);
}

struct picture *picture_new(struct request *rq, const struct chart_query *query)
{
	static const char *const types[] = { "image/svg+xml", "image/png", "application/json" };
	static const char *const suffixes[] = { "svg", "png", "json" };
	struct monitoring *m = &rq->service->monitoring;
	struct picture *p = calloc(1, sizeof *p);

	if (!p) {
		answer_monitor_error(rq, -ENOMEM, NULL);
		return NULL;
	}
	p->query = *query;
	p->render.draw = draw;
	p->render.release = release;
	p->render.content_type = types[query->format];
	p->means.monitor = m->monitor;
	if (!render_begin(&m->charts, &p->render, rq)) {
		free(p);
		return NULL;
	}
	rq->answer.vary = "Accept";
	snprintf(rq->answer.disposition, sizeof rq->answer.disposition, "inline; filename=\"%s.%s\"", query->row->name,
		 suffixes[query->format]);
	return p;
}

void picture_draw(struct picture *p)
{
	if (p->render.rq->service->stopping)
		picture_fail(p, -ECANCELED, NULL);
	else
		render_submit(&p->render);
}

void picture_fail(struct picture *p, int error, const struct object_name *missing)
{
	answer_monitor_error(p->render.rq, error, missing);
	render_end(&p->render);
}

void picture_refuse(struct picture *p, const struct problem *problem)
{
	answer_problem(p->render.rq, problem);
	render_end(&p->render);
}

void picture_means(struct picture *p, void (*done)(struct means *means, int error))
{
	const struct series_query *range = &p->query.range;

	p->means.value = calloc(p->means.count + 1, sizeof *p->means.value);
	if (!p->means.value || !p->means.objects) {
		picture_fail(p, -ENOMEM, NULL);
		return;
	}
	p->means.from_s = range->from_s;
	p->means.to_s = range->to_s;
	p->means.step_s = range->step_s;
	p->means.done = done;
	means_ask(&p->means);
}

struct object_name *objects_of(const struct monitor *monitor, enum object_kind kind, size_t *ret_count)
{
	const struct monitor_object **list;
	size_t count = monitor_list(monitor, kind, &list);
	struct object_name *objects = calloc(count + 1, sizeof *objects);

	for (size_t i = 0; objects && i < count; i++)
		objects[i] = list[i]->object;
	free(list);
	*ret_count = objects ? count : 0;
	return objects;
}
