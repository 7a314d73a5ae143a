/*
 * One RRD file: made, judged, written, read. The format is rrdtool's ("0003"); values are written and read by librrd, which
 * maps the file and trusts it: so each file is judged here first, against what librrd itself makes of the same schema.
 * Blocking; librrd keeps its errors per thread: all calls from one thread.
 */
#ifndef LUNETTE_MONITOR_RRD_H
#define LUNETTE_MONITOR_RRD_H

#include <stddef.h>
#include <stdint.h>

#include "err.h"
#include "monitor/series.h"

#define RRD_SOURCES_MAX  64
#define RRD_HEARTBEAT_S  180 /* a value is known at most so long; a gap is written as unknown, whatever its length */

struct rrd_archive {
	enum series_cf cf;
	unsigned steps; /* of the schema's step, one row */
	unsigned rows;
};

struct rrd_schema {
	const char *const *names; /* of the sources, all GAUGE */
	unsigned source_count;
	unsigned step_s;
	const struct rrd_archive *archives;
	unsigned archive_count;
	/* Made by rrd_schema_init: what every sound file of this schema begins with, and its length. */
	void *head;
	size_t head_bytes;
	size_t file_bytes;
};

/* Makes a small file in `dir` and removes it. 0 or negative errno with *err. */
int  rrd_schema_init(struct rrd_schema *schema, const char *dir, struct err *err);
void rrd_schema_fini(struct rrd_schema *schema);

/* A new file, all unknown up to last_s; written beside `path` and renamed. 0 or negative errno (-ENOSPC) with *err. */
int rrd_file_create(const struct rrd_schema *schema, const char *path, int64_t last_s, struct err *err);

/* 0: sound, *ret_last_s is its newest second. -ENOENT. Any other negative errno: not to be used, *err says why: another
 * architecture, another set of sources, damaged, truncated, from the future (beyond now_s + an hour). */
int rrd_file_check(const struct rrd_schema *schema, const char *path, int64_t now_s, int64_t *ret_last_s, struct err *err);

/* Rows in order of time, newer than last_s: value[row * source_count + source], NAN: unknown. What lies between the file's
 * last second and a row more than gap_s later is unknown. 0 or -EIO with *err. */
int rrd_file_update(const struct rrd_schema *schema, const char *path, int64_t last_s, unsigned gap_s, const int64_t *time_s,
		    const double *value, size_t row_count, struct err *err);

/* What one archive holds between from_s and to_s: value[point * source_count + source] (malloc'ed) for the time up to
 * *ret_from_s + (point + 1) * *ret_step_s. 0 or -EIO with *err. */
int rrd_file_fetch(const struct rrd_schema *schema, const char *path, enum series_cf cf, unsigned step_s, int64_t from_s,
		   int64_t to_s, double **ret_value, size_t *ret_points, int64_t *ret_from_s, unsigned *ret_step_s,
		   struct err *err);

#endif
