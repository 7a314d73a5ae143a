/* The parameters of GET /api/v1/charts/{chart}, by one table. */
#ifndef LUNETTE_API_CHART_QUERY_H
#define LUNETTE_API_CHART_QUERY_H

#include <stdbool.h>

#include "monitor/chart.h"
#include "problem.h"

#define CHART_TOP_DEFAULT 10
#define CHART_TOP_MAX     50

enum chart_format { CHART_SVG, CHART_PNG, CHART_JSON };
/* The first are as enum object_kind. */
enum chart_kind { CHART_KIND_READ = OBJECT_KINDS, CHART_KIND_WRITE, CHART_KIND_BOTH };
enum chart_data { CHART_CAPACITY, CHART_PEAK, CHART_READ_WRITE };
enum chart_reduction { CHART_REDUCTION_ON, CHART_REDUCTION_OFF };

struct chart_query {
	const struct chart_row *row;
	enum chart_format format;
	struct series_query range; /* without objects and metrics */
	double width, height, threshold, limit;
	int theme, reduction, kind, data; /* the enums; -1: not given */
};

struct request;

/* The chart of the path in the format asked for; false: answered 400, 404 or 406. */
bool chart_query_parse(struct request *rq, struct chart_query *ret_query);

#endif
