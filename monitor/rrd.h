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
#define RRD_ARCHIVES_MAX 16
#define RRD_HEARTBEAT_S  180 /* a value is known at most so long; a gap is written as unknown, whatever its length */
#define RRD_EARLIEST_S   946684800 /* 2000: nothing was measured before */
#define RRD_KNOWN        0.01 /* part of a row that must be known: an idle second has no latency, it hides no busy one */

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
	/* Made by rrd_schema_init. */
	void *head;        /* of a new file of this schema; the definitions come first, every sound file has the same */
	size_t head_bytes;
	size_t file_bytes;
};

/* Makes a small file in `dir` and removes it. 0 or negative errno with *err. */
int  rrd_schema_init(struct rrd_schema *schema, const char *dir, struct err *err);
void rrd_schema_fini(struct rrd_schema *schema);

/* A new file, all unknown up to last_s; written beside `path` and renamed. 0 or negative errno (-ENOSPC) with *err. */
int rrd_file_create(const struct rrd_schema *schema, const char *path, int64_t last_s, struct err *err);

/* 0: sound, *ret_last_s is its newest second. -ENOENT. -ESTALE: sound, but its sources are only the first ones of the schema.
 * -ENOSPC: a hole in it cannot be filled. -ENOMEM, -EMFILE, -ENFILE, -EROFS: cannot be told now. Any other negative errno: not
 * to be used, *err says why: another architecture, other sources, damaged, truncated, from the future (beyond now_s + an
 * hour). */
int rrd_file_check(const struct rrd_schema *schema, const char *path, int64_t now_s, int64_t *ret_last_s, struct err *err);
/* The same of the first len_bytes (at least schema->head_bytes, or the whole file) of a file of file_bytes. Pure. */
int rrd_head_check(const struct rrd_schema *schema, const void *bytes, size_t len_bytes, uint64_t file_bytes, int64_t now_s,
		   int64_t *ret_last_s, struct err *err);
/* A file that is -ESTALE gets the sources it lacks, unknown so far; written beside it and renamed. 0 or negative errno. */
int rrd_file_widen(const struct rrd_schema *schema, const char *path, struct err *err);

/* Rows in order of time, newer than last_s: value[row * source_count + source], NAN: unknown. What lies between the file's
 * last second and a row more than gap_s later is unknown. 0 or -EIO with *err. */
int rrd_file_update(const struct rrd_schema *schema, const char *path, int64_t last_s, unsigned gap_s, const int64_t *time_s,
		    const double *value, size_t row_count, struct err *err);

/* What an archive holds between from_s and to_s: value[row * source_count + source] (malloc'ed) for the time from
 * *ret_from_s + row * step (not included) to one step later. The archive must reach back to from_s. 0 or -EIO with *err. */
int rrd_file_fetch(const struct rrd_schema *schema, const char *path, const struct rrd_archive *archive, int64_t from_s,
		   int64_t to_s, double **ret_value, size_t *ret_rows, int64_t *ret_from_s, struct err *err);

#endif
