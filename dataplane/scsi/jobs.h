/*
 * Commands that run long (SANITIZE, third-party copies), as people see them: what runs on which LUN, for whom, how far
 * it is. Control asks for the list (QUERY "jobs") and shows it as /operations; a start and an end are events.
 *
 * At most SCSI_JOBS_MAX run at a time; of those that ended the last SCSI_JOBS_KEPT stay listed. In memory: what survives a
 * restart registers again. Any thread.
 */
#ifndef LUNETTE_SCSI_JOBS_H
#define LUNETTE_SCSI_JOBS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define SCSI_JOBS_MAX  64
#define SCSI_JOBS_KEPT 64

struct scsi_jobs; /* of one worker */
struct scsi_job;  /* one that runs */

enum scsi_job_state { JOB_RUNNING, JOB_SUCCEEDED, JOB_FAILED, JOB_CANCELLED };

struct scsi_job_facts {
	const char *kind;      /* a literal: "sanitize", "extended-copy", "write-using-token" */
	const char *lun;       /* the name of the LUN whose command it is; copied, as is the next */
	const char *initiator; /* who asked; NULL: nobody now, it goes on after a restart */
	uint64_t total_bytes;  /* 0: not known */
	bool cancellable;      /* the standard lets it stop half way */
};

/* event: told of each start and end, from the thread where it happens; may be NULL. NULL: no memory. */
struct scsi_jobs *scsi_jobs_new(unsigned worker, void (*event)(const char *kind, const char *object, const char *text));
void scsi_jobs_free(struct scsi_jobs *jobs); /* nobody uses it or its jobs any more */

/* false: SCSI_JOBS_MAX run already, the command is to be refused (TASK SET FULL). Without a registry (jobs NULL) it may
 * run, unseen: *ret_job is NULL, which the other calls take. Ends with scsi_job_end(). */
bool scsi_job_start(struct scsi_jobs *jobs, const struct scsi_job_facts *facts, struct scsi_job **ret_job);
void scsi_job_set_total(struct scsi_job *job, uint64_t total_bytes);
void scsi_job_progress(struct scsi_job *job, uint64_t done_bytes);
/* An administrator asked for its end: stop before the next step, then end it as JOB_CANCELLED. */
bool scsi_job_cancelled(const struct scsi_job *job);
/* why: a sentence, for JOB_FAILED and perhaps JOB_CANCELLED; else NULL. The job is the registry's again. */
void scsi_job_end(struct scsi_job *job, enum scsi_job_state state, const char *why);

/* New reference: an array of objects as the REST resource Operation has them, oldest first. */
json_t *scsi_jobs_json(struct scsi_jobs *jobs);
/* 0; -ENOENT: no such job; -EALREADY: it has ended; -EPERM: it is of a kind that may not stop half way. */
int scsi_jobs_cancel(struct scsi_jobs *jobs, const char *id);

#endif
