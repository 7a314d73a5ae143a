/*
 * What was sampled, kept in RRD files below a directory: DIR/KIND/NAME.rrd, and NAME.heat.rrd for the latency heat maps
 * of LUNs (monitor/rrd.h says what is in them). All functions: control thread; none blocks but history_free. Every file is
 * opened, read and written on one thread of its own; answers come back through the mailbox.
 *
 *   rows of one object, a minute or so ─► history_write ─► queue ─► thread ─► librrd ─► file
 *   question with what is not written yet ─► history_series ─► same queue ─► thread ─► mailbox ─► done
 *
 * The queue keeps its order: a question sees every row that was handed over before it.
 *
 * What goes wrong costs history and a log line, never more: a file that is not as it should be is set aside as
 * NAME.rrd.bad-TIME (the newest HISTORY_BAD_MAX of a kind are kept) and begun anew; without space nothing new is begun; a
 * disk that hangs loses the oldest batches. A new file is begun at most once a second (after a first HISTORY_NEW_BURST);
 * rows of an object that has to wait for it are lost.
 *
 * A file has its size from the first second on. Measured, in MB: LUN 38.2 and its heat map 2.3, target 32.2, worker 44.2,
 * host 58.3; 1,000 busy LUNs cost 0.8 % of a CPU (6.4 us a row of a second, 15 us a row of a heat map; 1.3 us when idle).
 */
#ifndef LUNETTE_MONITOR_HISTORY_H
#define LUNETTE_MONITOR_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mailbox.h"
#include "monitor/metric.h"
#include "monitor/monitor.h"
#include "monitor/series.h"

#define HISTORY_QUESTIONS_MAX 32                /* waiting; then -EBUSY */
#define HISTORY_QUEUE_BYTES   (64 * 1024 * 1024) /* batches waiting; then the oldest is dropped */
#define HISTORY_NEW_BURST     16
#define HISTORY_BAD_MAX       3
#define HISTORY_GAP_STEPS     5                 /* a row further than that from the one before it: a gap */
#define HISTORY_REMOVE_MAX    16                /* files removed by one history_retain */

/* A table of rows of one object. */
enum history_table {
	HISTORY_METRICS, /* each second; columns: the metrics of the object's kind in the order of metrics.def */
	HISTORY_HEAT,    /* each 10 s; columns: HEAT_BUCKETS rates of reads, then as many of writes, operations/s */
	HISTORY_TABLES
};

struct history_rows {
	enum history_table table;
	struct object_name object;
	size_t width, room, count;
	int64_t *time_s;  /* count; seconds since 1970, rising. A row is for the time since the row before it, at most 5 steps
			   * (5 s, 50 s): what is longer than that is a gap */
	double *value;    /* count * width; NAN: unknown */
	bool begins_no_file; /* the object was never active: its rows are dropped unless it has a file already */
	struct history_rows *next; /* for lists of whoever owns the rows */
};

unsigned history_width(enum history_table table, enum object_kind kind);
int history_column(enum object_kind kind, enum metric_id metric); /* in HISTORY_METRICS; -1: the kind lacks it */

/* room: rows that fit. NULL without memory. One allocation: history_rows_free is free. */
struct history_rows *history_rows_new(enum history_table table, const struct object_name *object, size_t room);
void history_rows_free(struct history_rows *rows);
/* The values of a new last row, all NAN, for the caller to set; NULL: no room, or time_s is not after the last row's. */
double *history_rows_add(struct history_rows *rows, int64_t time_s);
struct history_rows *history_rows_copy(const struct history_rows *rows); /* NULL without memory */

struct history;

/* dir: made when missing, its parent must be there; NULL: no files, questions are answered from their pending rows alone.
 * NULL: no memory or no thread. */
struct history *history_new(const char *dir, unsigned keep_days, struct mailbox *mailbox);
/* history_new with what tests want otherwise; 0: as there. */
struct history_options {
	const char *dir;
	unsigned keep_days;
	struct mailbox *mailbox;
	unsigned shrink;        /* archives with so many times fewer rows */
	unsigned new_burst;     /* HISTORY_NEW_BURST */
	size_t queue_bytes;     /* HISTORY_QUEUE_BYTES */
	uint64_t reserve_bytes; /* that stay free on the file system; default the larger of 256 MiB and 5 % */
};
struct history *history_open(const struct history_options *options);

/* Writes what was handed over, for at most a few seconds; questions without an answer get -ECANCELED now. The mailbox is to
 * be run once more before it ends. */
void history_free(struct history *history);
void history_keep_days(struct history *history, unsigned keep_days);

/* Rows for the object's file; taken over. NULL and empty ones are freed. */
void history_write(struct history *history, struct history_rows *rows);

/* Every object that exists now (malloc'ed, taken over): files of others that were last written more than keep_days ago are
 * removed, at most HISTORY_REMOVE_MAX each call. To be called each hour. */
void history_retain(struct history *history, struct object_name *objects, size_t count);

/* monitor_series: the query's objects are taken over in any case, the query itself is borrowed. pending: one pointer for each
 * object of the query, NULL: the object does not exist now, so -ENOENT when there is no file either; otherwise the rows
 * (HISTORY_METRICS) that were not handed over yet, maybe none. The array is borrowed (NULL: no memory was left for it), what
 * it points to is taken over. Objects without a file (sessions) have only these. A further error: -E2BIG, beyond SERIES_MAX,
 * SERIES_POINTS_MAX or SERIES_VALUES_MAX. Without memory for the question itself done runs at once, with -ENOMEM. */
void history_series(struct history *history, struct series_query *query, struct history_rows *const *pending,
		    monitor_series_done done, void *arg);
/* monitor_heat. pending (HISTORY_HEAT, taken over) likewise. */
void history_heat(struct history *history, const struct object_name *object, bool reads, bool writes, int64_t from_s,
		  int64_t to_s, struct history_rows *pending, monitor_heat_done done, void *arg);

struct monitor_state history_state(const struct history *history);

#endif
