/*
 * The monitor as control sees it: a sample of every object each second, the newest ones in memory, all of them in RRD files
 * below DIR (design section 7). All functions: control thread. Files are read and written on the monitor's own thread;
 * what asks for them is answered through the mailbox.
 *
 * Nothing here can fail I/O: whatever goes wrong costs statistics and one log line.
 */
#ifndef LUNETTE_MONITOR_MONITOR_H
#define LUNETTE_MONITOR_MONITOR_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "mailbox.h"
#include "monitor/metric.h"
#include "monitor/series.h"
#include "stats.h"

#define MONITOR_SESSIONS_MAX 2000 /* sessions that are sampled */

struct monitor;

struct monitor_lun {
	const char *name;
	uint64_t size_bytes;
};

/* What is sampled; borrowed for the call. */
struct monitor_input {
	const struct stats_segment *const *segments; /* one a worker, NULL: none */
	const pid_t *pids;                           /* one a worker, 0: not running */
	unsigned worker_count;
	const struct monitor_lun *luns;              /* configured LUNs; also those that no worker serves */
	size_t lun_count;
	const char *const *targets;                  /* configured targets */
	size_t target_count;
	uint64_t wall_ms, now_ns;
	uint64_t state_size_bytes, state_used_bytes; /* 0, 0: unknown */
};

struct monitor_object {
	struct object_name object;
	uint64_t sampled_ms;     /* wall clock; 0: never */
	double value[METRICS];   /* the newest sample; NAN: unknown or not of this kind */
	double peak[METRICS];    /* largest of the last half to whole minute; NAN likewise */
};

/* dir: STATE/history, made when missing; NULL: nothing is recorded. keep_days: how long the files of objects that are gone
 * are kept. NULL: no memory or no thread. */
struct monitor *monitor_new(const char *dir, unsigned keep_days, struct mailbox *mailbox);
/* The same over a history that was opened with other options; it is taken over. NULL: none, or no memory. */
struct history;
struct monitor *monitor_open(struct history *history);
/* Writes what is pending of objects that have a file, within at most a few seconds; queries that wait are answered -ECANCELED. */
void monitor_free(struct monitor *monitor);
void monitor_keep_days(struct monitor *monitor, unsigned keep_days);

/* One sample; to be called each second (a missed second is a gap or a longer interval, never a spike). */
void monitor_sample(struct monitor *monitor, const struct monitor_input *input);
/* Configured LUNs and targets (of the input no more is read) are known at once, not only from the next sample on. */
void monitor_know(struct monitor *monitor, const struct monitor_input *input);
const char *monitor_host(const struct monitor *monitor); /* name of this host's object */

/* NULL: no such object. Borrowed until the next monitor_sample. */
const struct monitor_object *monitor_find(const struct monitor *monitor, const struct object_name *object);
/* Objects of a kind in order of names; *ret_list (borrowed pointers) is the caller's to free. 0 and NULL without memory. */
size_t monitor_list(const struct monitor *monitor, enum object_kind kind, const struct monitor_object ***ret_list);

/* A question to the files and what is pending. The query's objects are taken over, the query is borrowed. done runs on the
 * control thread, before this returns only with -ENOMEM for the question itself; it owns the set. error: 0; -ENOENT with
 * *missing, an object without any history; -ENOMEM; -EBUSY: too many questions wait; -ECANCELED. */
typedef void (*monitor_series_done)(void *arg, int error, const struct object_name *missing, struct series_set *set);
void monitor_series(struct monitor *monitor, struct series_query *query, monitor_series_done done, void *arg);

/* Likewise the heat map of one object (LUN): reads, writes or both. step: chosen. */
typedef void (*monitor_heat_done)(void *arg, int error, struct heat_map *map);
void monitor_heat(struct monitor *monitor, const struct object_name *object, bool reads, bool writes, int64_t from_s,
		  int64_t to_s, monitor_heat_done done, void *arg);

struct monitor_state { /* for health and /metrics */
	uint64_t files, set_aside, write_failures; /* since the start */
	bool paused;                               /* no space: nothing new is recorded */
};
struct monitor_state monitor_state(const struct monitor *monitor);

#endif
