/*
 * A small pool of threads for calls that may block (fallocate, fdatasync, document publishing, name look-up).
 *
 * work() runs on a pool thread; then done() runs on the owner of `reply_to` (a reactor or the control loop), through
 * its mailbox. Order between jobs is not kept. The job is embedded in the caller's object and belongs to the pool until
 * done() runs.
 */
#ifndef LUNETTE_OFFLOAD_H
#define LUNETTE_OFFLOAD_H

#include "mailbox.h"

struct offload;

struct offload_job {
	void (*work)(struct offload_job *job); /* pool thread */
	void (*done)(struct offload_job *job); /* reply_to's thread; may free the job's object */
	/* private */
	struct mail mail;
	struct mailbox *reply_to;
	struct offload_job *next;
};

struct offload *offload_new(unsigned thread_count); /* NULL: no memory or no threads */
void offload_free(struct offload *pool);            /* waits for jobs that were submitted */
void offload_submit(struct offload *pool, struct offload_job *job, struct mailbox *reply_to); /* any thread */

#endif
