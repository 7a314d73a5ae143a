/*
 * base/offload.c without threads, for a program that must do the same thing each time: a job is done at once, on the caller's
 * thread; its done() still comes by the mailbox. Included by one file of the program; the linker then leaves the real one out.
 */
#ifndef LUNETTE_TESTS_INLINE_OFFLOAD_H
#define LUNETTE_TESTS_INLINE_OFFLOAD_H

#include <stdlib.h>

#include "list.h"
#include "offload.h"

struct offload {
	char nothing;
};

struct offload *offload_new(unsigned thread_count)
{
	(void)thread_count;
	return calloc(1, sizeof(struct offload));
}

void offload_free(struct offload *pool)
{
	free(pool);
}

static void inline_offload_deliver(struct mail *mail)
{
	struct offload_job *job = container_of(mail, struct offload_job, mail);

	job->done(job);
}

void offload_submit(struct offload *pool, struct offload_job *job, struct mailbox *reply_to)
{
	(void)pool;
	job->reply_to = reply_to;
	job->work(job);
	job->mail.run = inline_offload_deliver;
	mailbox_post(reply_to, &job->mail);
}

#endif
