/*
 * One value for each of many objects and one or two metrics: the mean, or the largest, of a range of time. Asks the history
 * in as many questions as it takes, one after the other. Control thread only.
 */
#ifndef LUNETTE_API_MEANS_H
#define LUNETTE_API_MEANS_H

#include <stddef.h>
#include <stdint.h>

#include "monitor/monitor.h"

#define MEANS_METRICS_MAX 2

struct means {
	/* given */
	struct monitor *monitor;
	enum object_kind kind;         /* of all objects; it has the metrics */
	enum metric_id metric[MEANS_METRICS_MAX];
	unsigned metric_count;
	int64_t from_s, to_s;          /* as series_range_parse gives them */
	unsigned step_s;
	enum series_cf cf;             /* the mean, or the largest */
	struct object_name *objects;   /* owned by the caller; an object without history leaves it (the last takes its place) */
	size_t count;
	double (*value)[MEANS_METRICS_MAX]; /* count rows: the result; NAN: unknown */
	void (*done)(struct means *means, int error); /* 0 or as of monitor_series; never -ENOENT */
	/* private */
	size_t at, asked;
};

/* done may run before this returns. */
void means_ask(struct means *means);

#endif
