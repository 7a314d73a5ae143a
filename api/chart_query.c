/* Parameters of charts: see chart_query.h. */
#include "api/chart_query.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/accept.h"
#include "api/request.h"
#include "clock.h"

#define CHOICES_MAX 8

struct param {
	const char *name;
	size_t offset;
	double least, most, fallback; /* numbers */
	bool whole;
	const char *choices[CHOICES_MAX + 1]; /* none: a number */
};

#define AT(member) offsetof(struct chart_query, member)
static const struct param params[] = {
	{ "width", AT(width), CHART_WIDTH_MIN, CHART_WIDTH_MAX, CHART_WIDTH_DEFAULT, true, { NULL } },
	{ "height", AT(height), CHART_HEIGHT_MIN, CHART_HEIGHT_MAX, CHART_HEIGHT_DEFAULT, true, { NULL } },
	{ "limit", AT(limit), 1, CHART_TOP_MAX, CHART_TOP_DEFAULT, true, { NULL } },
	{ "threshold", AT(threshold), REDUCTION_THRESHOLD_MIN, REDUCTION_THRESHOLD_MAX, REDUCTION_THRESHOLD_DEFAULT, false,
	  { NULL } },
	{ "theme", AT(theme), 0, 0, 0, false, { "light", "dark" } },
	{ "reduction", AT(reduction), 0, 0, 0, false, { "on", "off" } },
	{ "kind", AT(kind), 0, 0, 0, false, { "lun", "target", "session", "worker", "host", "read", "write", "both" } },
	{ "data", AT(data), 0, 0, 0, false, { "capacity", "peak", "read_write" } },
};

static bool refuse(const struct param *param, struct problem *problem)
{
	char code[48], words[128] = "";

	snprintf(code, sizeof code, "invalid-%s", param->name);
	for (unsigned i = 0; param->choices[i]; i++) {
		size_t n = strlen(words);

		snprintf(words + n, sizeof words - n, "%s%s", i ? ", " : "", param->choices[i]);
	}
	if (param->choices[0])
		problem_set(problem, 400, code, "", "%s must be one of: %s.", param->name, words);
	else
		problem_set(problem, 400, code, "", "%s must be a %snumber from %g to %g.", param->name,
			    param->whole ? "whole " : "", param->least, param->most);
	return false;
}

static bool parse_choice(const struct param *param, const char *text, int *ret_choice, struct problem *problem)
{
	*ret_choice = -1;
	for (int i = 0; text && param->choices[i]; i++)
		if (strcmp(text, param->choices[i]) == 0)
			*ret_choice = i;
	return !text || *ret_choice >= 0 || refuse(param, problem);
}

static bool parse_number(const struct param *param, const char *text, double *ret_number, struct problem *problem)
{
	*ret_number = param->fallback;
	if (!text)
		return true;
	if (!text[0] || strlen(text) > 16 || text[strspn(text, param->whole ? "0123456789" : "0123456789.")])
		return refuse(param, problem);
	*ret_number = strtod(text, NULL);
	return (*ret_number >= param->least && *ret_number <= param->most) || refuse(param, problem);
}

static bool parse_params(const struct request *rq, struct chart_query *query, struct problem *problem)
{
	for (size_t i = 0; i < sizeof params / sizeof params[0]; i++) {
		void *field = (char *)query + params[i].offset;
		const char *text = request_query(rq, params[i].name);

		if (params[i].choices[0] ? !parse_choice(&params[i], text, field, problem) :
					   !parse_number(&params[i], text, field, problem))
			return false;
	}
	return true;
}

/* NAME.svg, NAME.png, NAME. */
static bool parse_name(const struct request *rq, struct chart_query *query, struct problem *problem)
{
	static const char *const types[] = { "image/svg+xml", "image/png", "application/json" };
	const char *name = request_param(rq, 0), *suffix = strchr(name, '.');
	int format = -1;

	query->row = chart_find(name, strcspn(name, "."));
	if (!query->row || (suffix && strcmp(suffix, ".svg") != 0 && strcmp(suffix, ".png") != 0)) {
		problem_set(problem, 404, "no-such-chart", "", "There is no chart '%.60s': GET /api/v1/charts lists them, each as "
			    "NAME.svg and NAME.png.", name);
		return false;
	}
	if (suffix)
		format = suffix[1] == 'p' ? CHART_PNG : CHART_SVG;
	else
		format = accept_choose(rq->accept, types, query->row->drawing == CHART_GROUP ? 3 : 2);
	if (format < 0) {
		problem_set(problem, 406, "not-acceptable", "", "A chart is image/svg+xml or image/png, the group chart "
			    "application/json as well.");
		return false;
	}
	query->format = (enum chart_format)format;
	return true;
}

bool chart_query_parse(struct request *rq, struct chart_query *ret_query)
{
	struct chart_query query = { 0 };
	struct problem problem = { 0 };

	if (parse_name(rq, &query, &problem) && parse_params(rq, &query, &problem) &&
	    series_range_parse(request_query(rq, "from"), request_query(rq, "to"), request_query(rq, "step"),
			       request_query(rq, "cf"), (int64_t)(clock_wall_ms() / 1000), &query.range, &problem)) {
		*ret_query = query;
		return true;
	}
	answer_problem(rq, &problem);
	return false;
}
