/*
 * What is measured, by name (design section 7): kinds of objects, their metrics (metrics.def), units. Pure; any thread.
 * An object is written KIND:NAME, "lun:vol1", "target:iqn.2026-11.io.lunette:demo", "session:...", "worker:0",
 * "host:NAME" with the host name of the machine.
 */
#ifndef LUNETTE_MONITOR_METRIC_H
#define LUNETTE_MONITOR_METRIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "stats.h"

enum object_kind { OBJECT_LUN, OBJECT_TARGET, OBJECT_SESSION, OBJECT_WORKER, OBJECT_HOST, OBJECT_KINDS };

struct object_name {
	enum object_kind kind;
	char name[STATS_NAME_MAX]; /* "*": every object of the kind, where a query allows it */
};

enum metric_id {
#define METRIC(name, objects, unit, how, source, second, title, meaning) METRIC_##name,
#include "monitor/metrics.def"
#undef METRIC
	METRICS
};

enum metric_unit { UNIT_OPS, UNIT_BPS, UNIT_SECONDS, UNIT_COUNT, UNIT_EVENTS, UNIT_BYTES, UNIT_PERCENT, UNITS };
enum metric_how { HOW_RATE, HOW_LEVEL, HOW_P50, HOW_P99, HOW_P999, HOW_MEAN, HOW_CPU, HOW_GIVEN };

#define METRIC_NO_COUNTER (-1)

struct metric_row {
	const char *name;
	unsigned objects;      /* a bit per enum object_kind */
	enum metric_unit unit;
	enum metric_how how;
	int source, second;    /* enum stats_counter, or stats_histogram for P50..MEAN; METRIC_NO_COUNTER */
	const char *title, *meaning;
};

extern const struct metric_row metric_rows[METRICS];

const char *metric_unit_name(enum metric_unit unit); /* "operations/s", "bytes/s", "seconds", "1", "events/s", "bytes", "percent" */
int metric_find(const char *name, size_t len);       /* enum metric_id, or -1 */
bool metric_of(enum metric_id metric, enum object_kind kind); /* objects of the kind have it */
/* The metrics of a kind in order of the table: the columns of its rows and files. Returns their number. */
unsigned metric_columns(enum object_kind kind, enum metric_id ret_column[METRICS]);

const char *object_kind_name(enum object_kind kind); /* "lun" */
int object_kind_find(const char *name, size_t len);  /* enum object_kind, or -1 */
/* KIND:NAME of len bytes; false: no such kind, or a name that is empty, too long or has control characters. */
bool object_parse(const char *text, size_t len, struct object_name *ret_object);
int object_compare(const struct object_name *a, const struct object_name *b); /* by kind, then name */

#endif
