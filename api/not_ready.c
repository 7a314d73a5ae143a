/* Routes whose handlers are not written yet. */
#include "api/handlers.h"
#include "api/request.h"

void list_metrics(struct request *rq)
{
	answer_error(rq, 503, "not-ready-yet", "This is not there yet.");
}

void get_series(struct request *rq)
{
	answer_error(rq, 503, "not-ready-yet", "This is not there yet.");
}

void get_series_csv(struct request *rq)
{
	answer_error(rq, 503, "not-ready-yet", "This is not there yet.");
}

void list_charts(struct request *rq)
{
	answer_error(rq, 503, "not-ready-yet", "This is not there yet.");
}

void get_chart(struct request *rq)
{
	answer_error(rq, 503, "not-ready-yet", "This is not there yet.");
}

void get_top(struct request *rq)
{
	answer_error(rq, 503, "not-ready-yet", "This is not there yet.");
}

void get_live(struct request *rq)
{
	answer_error(rq, 503, "not-ready-yet", "This is not there yet.");
}
