/* Sampling each second: see monitoring.h. */
#include "api/monitoring.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/request.h"
#include "api/service.h"
#include "clock.h"
#include "cluster/config.h"

#define SECOND_MS       1000
#define LATE_MS         5   /* the timer goes off so long after the second has begun: never before it */
#define KEEP_DAYS       30  /* as in fields.def, for a configuration without settings */

static unsigned keep_days(const json_t *config)
{
	static const struct config_ref settings = { CONFIG_SETTINGS, NULL, NULL };
	const json_t *days = json_object_get(config_find(config, &settings), "history_keep_days");

	return json_is_integer(days) ? (unsigned)json_integer_value(days) : KEEP_DAYS;
}

/* Names and sizes of the configuration, taken anew when it has changed. */
static void take_config(struct monitoring *m)
{
	json_t *config = m->service->config, *luns = (json_t *)config_map(config, CONFIG_LUN, NULL);
	json_t *targets = (json_t *)config_map(config, CONFIG_TARGET, NULL), *lun;
	const char *name;

	if (config == m->config)
		return;
	free(m->luns);
	free(m->targets);
	m->lun_count = m->target_count = 0;
	m->luns = calloc(json_object_size(luns) + 1, sizeof *m->luns);
	m->targets = calloc(json_object_size(targets) + 1, sizeof *m->targets);
	json_decref(m->config);
	m->config = json_incref(config);
	json_object_foreach(luns, name, lun) {
		if (m->luns)
			m->luns[m->lun_count++] = (struct monitor_lun){
				name, (uint64_t)json_integer_value(json_object_get(lun, "size_bytes"))
			};
	}
	json_object_foreach(targets, name, lun)
		if (m->targets)
			m->targets[m->target_count++] = name;
	if (m->keep_days != keep_days(config)) {
		m->keep_days = keep_days(config);
		monitor_keep_days(m->monitor, m->keep_days);
	}
}

static void sample(struct monitoring *m)
{
	const struct stats_segment *segments[WORKERS_MAX];
	const struct service *s = m->service;
	pid_t pids[WORKERS_MAX];
	struct monitor_input input = {
		.segments = segments, .pids = pids, .worker_count = s->workers.count, .luns = m->luns,
		.lun_count = m->lun_count, .targets = m->targets, .target_count = m->target_count,
		.wall_ms = clock_wall_ms(), .now_ns = clock_now_ns(), .state_size_bytes = s->disk_total_bytes,
		.state_used_bytes = s->disk_total_bytes - s->disk_free_bytes,
	};

	for (unsigned i = 0; i < s->workers.count; i++) {
		segments[i] = s->workers.worker[i].stats;
		pids[i] = worker_up(&s->workers.worker[i]) ? (pid_t)s->workers.worker[i].state.pid : 0;
	}
	monitor_sample(m->monitor, &input);
	m->sampled_ms = input.wall_ms;
}

static void start_timer(struct monitoring *m)
{
	uint64_t delay_ms = SECOND_MS + LATE_MS - clock_wall_ms() % SECOND_MS;

	loop_timer_start(&m->service->loop, &m->timer, delay_ms);
}

static void on_second(struct loop_timer *timer)
{
	struct monitoring *m = container_of(timer, struct monitoring, timer);

	take_config(m);
	sample(m);
	live_sampled(m);
	start_timer(m);
}

void monitoring_know(struct monitoring *m)
{
	struct monitor_input input;

	if (!m->sampled_ms) /* not started, or about to take the first sample */
		return;
	take_config(m);
	input = (struct monitor_input){ .luns = m->luns, .lun_count = m->lun_count, .targets = m->targets,
					.target_count = m->target_count };
	monitor_know(m->monitor, &input);
}

int monitoring_start(struct monitoring *m, struct service *service, struct err *err)
{
	char dir[512];

	m->service = service;
	m->keep_days = keep_days(service->config);
	list_init(&m->streams);
	loop_timer_init(&m->timer, on_second);
	snprintf(dir, sizeof dir, "%s/history", service->options->state_dir);
	m->monitor = monitor_new(dir, m->keep_days, &service->mailbox);
	if (!m->monitor || renderer_init(&m->series, &service->mailbox) || renderer_init(&m->charts, &service->mailbox))
		return err_set(err, -ENOMEM, "no memory or no threads for the monitor");
	start_timer(m);
	return 0;
}

void monitoring_stop(struct monitoring *m)
{
	if (!m->service)
		return;
	loop_timer_stop(&m->timer);
	monitor_free(m->monitor);
	mailbox_run(&m->service->mailbox); /* what was read is drawn or refused now */
	renderer_fini(&m->series);
	renderer_fini(&m->charts);
	mailbox_run(&m->service->mailbox);
	json_decref(m->config);
	free(m->luns);
	free(m->targets);
	m->monitor = NULL;
	m->service = NULL;
	m->sampled_ms = 0;
}

void answer_monitor_error(struct request *rq, int error, const struct object_name *missing)
{
	switch (error) {
	case -ENOENT:
		answer_error(rq, 404, "no-such-object", "There is no object %s:%s, nor any history of it.",
			     missing ? object_kind_name(missing->kind) : "?", missing ? missing->name : "?");
		break;
	case -EBUSY:
		rq->answer.retry_after_s = 1;
		answer_error(rq, 503, "busy", "Too many questions to the history wait: try again.");
		break;
	case -ECANCELED:
		answer_error(rq, 503, "stopping", "The daemon is stopping.");
		break;
	default:
		answer_error(rq, 503, "out-of-memory", "There is no memory for this request now.");
	}
}
