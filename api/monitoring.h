/*
 * The monitor in the control process: a sample each second, aligned to the wall clock, of what workers count and what is
 * configured; the live streams that show it, and the threads that draw it. Control thread only.
 */
#ifndef LUNETTE_API_MONITORING_H
#define LUNETTE_API_MONITORING_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api/loop.h"
#include "api/render.h"
#include "err.h"
#include "list.h"
#include "monitor/monitor.h"

struct request;
struct service;

struct monitoring {
	struct service *service;
	struct monitor *monitor;
	struct loop_timer timer;
	unsigned keep_days;
	uint64_t sampled_ms;           /* wall clock, of the newest sample; 0: none yet */
	/* of `config`, which is held so that the names stay */
	json_t *config;
	struct monitor_lun *luns;
	size_t lun_count;
	const char **targets;
	size_t target_count;
	struct renderer series, charts; /* series are written apart from pictures, which take longer */
	struct list streams;            /* live.c */
	unsigned stream_count;
};

/* The history is in STATE/history. 0 or negative errno with *err. */
int  monitoring_start(struct monitoring *monitoring, struct service *service, struct err *err);
/* Answers what waits, writes what is pending. The mailbox is run. Harmless when it was not started. */
void monitoring_stop(struct monitoring *monitoring);
/* The configuration was changed: what is new in it can be asked for at once. */
void monitoring_know(struct monitoring *monitoring);
/* live.c: a new sample is there. */
void live_sampled(struct monitoring *monitoring);
/* Answers what monitor_series and monitor_heat say instead of data. missing may be NULL. */
struct object_name;
void answer_monitor_error(struct request *rq, int error, const struct object_name *missing);

#endif
