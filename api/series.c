/* What is measured, and its history as numbers. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/accept.h"
#include "api/handlers.h"
#include "api/request.h"
#include "api/selection.h"
#include "api/service.h"
#include "clock.h"

struct series_answer {
	struct render render;
	struct series_set *set;
	bool csv;
};

void list_metrics(struct request *rq)
{
	static const char *const hows[] = {
		[HOW_RATE] = "rate", [HOW_LEVEL] = "level", [HOW_P50] = "p50", [HOW_P99] = "p99",
		[HOW_P999] = "p999", [HOW_MEAN] = "mean", [HOW_CPU] = "cpu", [HOW_GIVEN] = "given",
	};
	json_t *items = json_array();

	for (unsigned i = 0; i < METRICS; i++) {
		const struct metric_row *row = &metric_rows[i];
		json_t *objects = json_array();

		for (int kind = 0; kind < OBJECT_KINDS; kind++)
			if (metric_of((enum metric_id)i, (enum object_kind)kind))
				json_array_append_new(objects, json_string(object_kind_name((enum object_kind)kind)));
		json_array_append_new(items, json_pack("{s:s, s:s, s:s, s:s, s:o, s:s}", "name", row->name, "unit",
						       metric_unit_name(row->unit), "title", row->title, "meaning",
						       row->meaning, "objects", objects, "how", hows[row->how]));
	}
	answer_list(rq, items);
}

static void draw(struct render *render)
{
	struct series_answer *a = container_of(render, struct series_answer, render);

	render->content_type = a->csv ? "text/csv; charset=utf-8; header=present" : "application/json";
	render->bytes = a->csv ? series_csv(a->set) : series_json(a->set);
	render->len_bytes = render->bytes ? strlen(render->bytes) : 0;
}

static void release(struct render *render)
{
	struct series_answer *a = container_of(render, struct series_answer, render);

	series_set_free(a->set);
	free(a);
}

static void known(void *arg, int error, const struct object_name *missing, struct series_set *set)
{
	struct series_answer *a = arg;

	a->set = set;
	if (!error && !a->render.rq->service->stopping) {
		render_submit(&a->render);
		return;
	}
	answer_monitor_error(a->render.rq, error ? error : -ECANCELED, missing);
	render_end(&a->render);
}

/* The query of the request with its objects; false: answered. */
static bool query_of(struct request *rq, struct series_query *ret_query)
{
	const struct monitoring *m = &rq->service->monitoring;
	struct problem problem = { 0 };
	struct selection selection = { 0 };
	bool ok;

	ok = series_range_parse(request_query(rq, "from"), request_query(rq, "to"), request_query(rq, "step"),
				request_query(rq, "cf"), (int64_t)(clock_wall_ms() / 1000), ret_query, &problem) &&
	     selection_parse(request_query(rq, "object"), NULL, request_query(rq, "metric"), &selection, &problem) &&
	     selection_resolve(&selection, m->monitor, SERIES_MAX, &ret_query->objects, &ret_query->object_count, &problem);
	if (ok) {
		memcpy(ret_query->metric, selection.metric, sizeof ret_query->metric);
		ok = series_size_check(ret_query, &problem);
		if (!ok)
			free(ret_query->objects);
	}
	selection_free(&selection);
	if (!ok)
		answer_problem(rq, &problem);
	return ok;
}

static void answer_series(struct request *rq, bool csv)
{
	struct monitoring *m = &rq->service->monitoring;
	struct series_query query = { 0 };
	struct series_answer *a;

	if (!query_of(rq, &query))
		return;
	a = calloc(1, sizeof *a);
	if (!a) {
		free(query.objects);
		answer_monitor_error(rq, -ENOMEM, NULL);
		return;
	}
	a->csv = csv;
	a->render.draw = draw;
	a->render.release = release;
	if (render_begin(&m->series, &a->render, rq)) {
		monitor_series(m->monitor, &query, known, a);
	} else {
		free(query.objects);
		free(a);
	}
}

void get_series(struct request *rq)
{
	static const char *const types[] = { "application/json", "text/csv" };

	rq->answer.vary = "Accept";
	answer_series(rq, accept_choose(rq->accept, types, 2) == 1);
}

void get_series_csv(struct request *rq)
{
	answer_series(rq, true);
}
