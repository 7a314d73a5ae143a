/* Jobs: see jobs.h. A slot is free, runs, or has ended; the oldest that has ended makes room. */
#include "dataplane/scsi/jobs.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "dataplane/lun/lun.h"
#include "dataplane/scsi/scsi.h"

#define JOB_SLOTS    (SCSI_JOBS_MAX + SCSI_JOBS_KEPT)
#define JOB_WHY_MAX  256
#define JOB_TEXT_MAX (JOB_WHY_MAX + SCSI_NAME_MAX + 64)

struct scsi_job {
	struct scsi_jobs *jobs;
	uint64_t number;        /* wall clock when it started, made unique; 0: the slot is free */
	const char *kind;
	char lun[LUN_NAME_MAX], initiator[SCSI_NAME_MAX], why[JOB_WHY_MAX];
	uint64_t finished_ms;   /* wall clock; 0: it runs */
	enum scsi_job_state state;
	bool cancellable;
	_Atomic uint64_t total_bytes, done_bytes;
	_Atomic bool cancelled;
};

struct scsi_jobs {
	pthread_mutex_t lock;   /* everything but the atomics */
	unsigned worker;
	unsigned running;
	uint64_t last_number;
	void (*event)(const char *kind, const char *object, const char *text);
	struct scsi_job slot[JOB_SLOTS];
};

struct scsi_jobs *scsi_jobs_new(unsigned worker, void (*event)(const char *kind, const char *object, const char *text))
{
	struct scsi_jobs *jobs = calloc(1, sizeof *jobs);

	if (!jobs)
		return NULL;
	jobs->worker = worker;
	jobs->event = event;
	pthread_mutex_init(&jobs->lock, NULL);
	return jobs;
}

void scsi_jobs_free(struct scsi_jobs *jobs)
{
	if (!jobs)
		return;
	pthread_mutex_destroy(&jobs->lock);
	free(jobs);
}

/* Lock held. A free slot, or that of the job that ended first; there is one while fewer than SCSI_JOBS_MAX run. */
static struct scsi_job *take_slot(struct scsi_jobs *jobs)
{
	struct scsi_job *oldest = NULL;

	for (unsigned i = 0; i < JOB_SLOTS; i++) {
		struct scsi_job *job = &jobs->slot[i];

		if (!job->number)
			return job;
		if (job->state != JOB_RUNNING && (!oldest || job->finished_ms < oldest->finished_ms))
			oldest = job;
	}
	return oldest;
}

static void tell(const struct scsi_job *job, const char *text)
{
	char object[LUN_NAME_MAX + 8];

	if (!job->jobs->event)
		return;
	snprintf(object, sizeof object, "lun:%s", job->lun);
	job->jobs->event("job", object, text);
}

bool scsi_job_start(struct scsi_jobs *jobs, const struct scsi_job_facts *facts, struct scsi_job **ret_job)
{
	char text[JOB_TEXT_MAX];
	struct scsi_job *job;
	uint64_t now_ms = clock_wall_ms();

	*ret_job = NULL;
	if (!jobs)
		return true;
	pthread_mutex_lock(&jobs->lock);
	if (jobs->running == SCSI_JOBS_MAX) {
		pthread_mutex_unlock(&jobs->lock);
		return false;
	}
	job = take_slot(jobs);
	jobs->running++;
	jobs->last_number = now_ms > jobs->last_number ? now_ms : jobs->last_number + 1;
	*job = (struct scsi_job){ .jobs = jobs, .number = jobs->last_number, .kind = facts->kind,
				  .cancellable = facts->cancellable, .total_bytes = facts->total_bytes };
	snprintf(job->lun, sizeof job->lun, "%s", facts->lun);
	snprintf(job->initiator, sizeof job->initiator, "%s", facts->initiator ? facts->initiator : "");
	pthread_mutex_unlock(&jobs->lock);
	snprintf(text, sizeof text, "%s started%s%s", job->kind, *job->initiator ? " by " : " again", job->initiator);
	tell(job, text);
	*ret_job = job;
	return true;
}

void scsi_job_set_total(struct scsi_job *job, uint64_t total_bytes)
{
	if (job)
		atomic_store(&job->total_bytes, total_bytes);
}

void scsi_job_progress(struct scsi_job *job, uint64_t done_bytes)
{
	if (job)
		atomic_store(&job->done_bytes, done_bytes);
}

bool scsi_job_cancelled(const struct scsi_job *job)
{
	return job && atomic_load(&job->cancelled);
}

void scsi_job_end(struct scsi_job *job, enum scsi_job_state state, const char *why)
{
	static const char *const words[] = { [JOB_SUCCEEDED] = "done", [JOB_FAILED] = "failed", [JOB_CANCELLED] = "cancelled" };
	char text[JOB_TEXT_MAX];

	if (!job)
		return;
	snprintf(text, sizeof text, "%s %s%s%s", job->kind, words[state], why ? ": " : "", why ? why : "");
	tell(job, text); /* before the slot may become another's */
	pthread_mutex_lock(&job->jobs->lock);
	snprintf(job->why, sizeof job->why, "%s", why ? why : "");
	job->finished_ms = clock_wall_ms();
	job->state = state;
	job->jobs->running--;
	pthread_mutex_unlock(&job->jobs->lock);
}

/* --- what control sees --- */

static void id_of(const struct scsi_job *job, char *ret_id, size_t size)
{
	snprintf(ret_id, size, "%" PRIu64 "-%u", job->number, job->jobs->worker);
}

static int percent_of(const struct scsi_job *job)
{
	uint64_t total = atomic_load(&job->total_bytes), done = atomic_load(&job->done_bytes);

	if (job->state == JOB_SUCCEEDED)
		return 100;
	if (!total)
		return 0;
	return done < total ? (int)(100.0 * (double)done / (double)total) : 100;
}

static json_t *job_json(const struct scsi_job *job)
{
	static const char *const states[] = { "running", "succeeded", "failed", "cancelled" };
	char id[48], time[CLOCK_TEXT_LEN], object[LUN_NAME_MAX + 8];
	json_t *view;

	id_of(job, id, sizeof id);
	snprintf(object, sizeof object, "lun:%s", job->lun);
	clock_format(job->number, time);
	view = json_pack("{s:s, s:s, s:s, s:s, s:s, s:i, s:s, s:s, s:I, s:I, s:b}", "id", id, "state", states[job->state],
			 "method", "SCSI", "object", object, "actor", job->initiator, "progress_percent", percent_of(job),
			 "started_at", time, "kind", job->kind, "done_bytes", (json_int_t)atomic_load(&job->done_bytes),
			 "total_bytes", (json_int_t)atomic_load(&job->total_bytes), "cancellable",
			 job->cancellable && job->state == JOB_RUNNING);
	if (job->state != JOB_RUNNING) {
		clock_format(job->finished_ms, time);
		json_object_set_new(view, "finished_at", json_string(time));
	}
	if (job->state == JOB_FAILED)
		json_object_set_new(view, "problem", json_pack("{s:i, s:s, s:s}", "status", 500, "code", "command-failed",
							       "detail", job->why));
	return view;
}

static int by_number(const void *a, const void *b)
{
	const struct scsi_job *const *x = a, *const *y = b;

	return ((*x)->number > (*y)->number) - ((*x)->number < (*y)->number);
}

json_t *scsi_jobs_json(struct scsi_jobs *jobs)
{
	const struct scsi_job *sorted[JOB_SLOTS];
	unsigned count = 0;
	json_t *list = json_array();

	pthread_mutex_lock(&jobs->lock);
	for (unsigned i = 0; i < JOB_SLOTS; i++)
		if (jobs->slot[i].number)
			sorted[count++] = &jobs->slot[i];
	qsort(sorted, count, sizeof sorted[0], by_number);
	for (unsigned i = 0; i < count; i++)
		json_array_append_new(list, job_json(sorted[i]));
	pthread_mutex_unlock(&jobs->lock);
	return list;
}

int scsi_jobs_cancel(struct scsi_jobs *jobs, const char *id)
{
	int result = -ENOENT;
	char text[48];

	pthread_mutex_lock(&jobs->lock);
	for (unsigned i = 0; i < JOB_SLOTS; i++) {
		struct scsi_job *job = &jobs->slot[i];

		if (!job->number)
			continue;
		id_of(job, text, sizeof text);
		if (strcmp(text, id) != 0)
			continue;
		result = job->state != JOB_RUNNING ? -EALREADY : job->cancellable ? 0 : -EPERM;
		if (result == 0)
			atomic_store(&job->cancelled, true);
	}
	pthread_mutex_unlock(&jobs->lock);
	return result;
}
