/*
 * Series: values of metrics of objects over time, all on one grid. Pure data, its parsing and writing.
 */
#ifndef LUNETTE_MONITOR_SERIES_H
#define LUNETTE_MONITOR_SERIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "monitor/histogram.h"
#include "monitor/metric.h"
#include "problem.h"

#define SERIES_MAX         512     /* series of one query */
#define SERIES_POINTS_MAX  4000    /* points of one series */
#define SERIES_VALUES_MAX  500000  /* of one query */
#define SERIES_POINTS_AUTO 1000    /* step=auto takes the finest step with no more points than that */
#define SERIES_RANGE_MAX_S (3 * 366 * 86400)

enum series_cf { SERIES_CF_AVERAGE, SERIES_CF_MAX };

struct series_query {
	struct object_name *objects; /* no wildcards any more */
	size_t object_count;
	bool metric[METRICS];
	int64_t from_s, to_s;        /* seconds since 1970; from_s < to_s */
	unsigned step_s;             /* 0: auto */
	enum series_cf cf;
};

struct series {
	struct object_name object;
	enum metric_id metric;
	double *value;               /* point_count; NAN: unknown, a gap */
};

/* Value i is for the time from_s + i * step_s (not included) to from_s + (i + 1) * step_s (included). */
struct series_set {
	int64_t from_s;
	unsigned step_s;
	size_t point_count;
	enum series_cf cf;
	struct series *series;       /* by object in the order asked for, then by metric; only metrics that the object's kind has */
	size_t series_count;
};

void series_set_free(struct series_set *set);

/* Operations a second by latency and time: value[column * HEAT_BUCKETS + row]. */
struct heat_map {
	struct object_name object;
	int64_t from_s;
	unsigned step_s;
	size_t columns;
	double *value;               /* NAN: unknown */
};

void heat_map_free(struct heat_map *map);

/* "now", "-1h", "-30m", "-2w" (s m h d w y), seconds since 1970, RFC 3339. false: none of these. */
bool series_time_parse(const char *text, int64_t now_s, int64_t *ret_s);
/* Texts as in the query string, NULL: default (-1h, now, auto, average). The range is widened to whole steps; a step finer
 * than what is still kept of from_s becomes the finest that is. false: problem (400, with its code) was set. */
bool series_range_parse(const char *from, const char *to, const char *step, const char *cf, int64_t now_s,
			struct series_query *ret_query, struct problem *problem);
/* With its objects: no more than SERIES_MAX series and SERIES_VALUES_MAX values. false: problem (400 too-large) was set. */
bool series_size_check(const struct series_query *query, struct problem *problem);

/* What is kept, finest first: every file has these archives. */
struct series_archive {
	unsigned step_s, rows;
};
#define SERIES_ARCHIVES 4
extern const struct series_archive series_archives[SERIES_ARCHIVES];
/* The step of the finest archive that still holds from_s. */
unsigned series_archive_step(int64_t from_s, int64_t now_s);
/* The finest multiple of it that gives at most SERIES_POINTS_AUTO points. */
unsigned series_step(int64_t from_s, int64_t to_s, int64_t now_s);

/* Both malloc'ed, NULL without memory; they may take long: not on the control thread. */
char *series_json(const struct series_set *set); /* the schema is SeriesSet of the contract */
char *series_csv(const struct series_set *set);  /* RFC 4180; the first column is the end of each step, RFC 3339 */

#endif
