#include "offload.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include "list.h"
#include "thread.h"

struct offload {
	pthread_mutex_t lock; /* guards everything below but `thread` */
	pthread_cond_t work;
	struct offload_job *first, **last;
	bool stopping;
	unsigned thread_count;
	pthread_t thread[];
};

static void deliver(struct mail *mail)
{
	struct offload_job *job = container_of(mail, struct offload_job, mail);

	job->done(job);
}

static struct offload_job *take_job(struct offload *pool)
{
	struct offload_job *job;

	pthread_mutex_lock(&pool->lock);
	while (!pool->first && !pool->stopping)
		pthread_cond_wait(&pool->work, &pool->lock);
	job = pool->first;
	if (job) {
		pool->first = job->next;
		if (!pool->first)
			pool->last = &pool->first;
	}
	pthread_mutex_unlock(&pool->lock);
	return job;
}

static void *run_jobs(void *arg)
{
	struct offload *pool = arg;
	struct offload_job *job;

	while ((job = take_job(pool))) {
		job->work(job);
		job->mail.run = deliver;
		mailbox_post(job->reply_to, &job->mail);
	}
	return NULL;
}

struct offload *offload_new(unsigned thread_count)
{
	struct offload *pool = calloc(1, sizeof *pool + thread_count * sizeof pool->thread[0]);

	if (!pool)
		return NULL;
	pthread_mutex_init(&pool->lock, NULL);
	pthread_cond_init(&pool->work, NULL);
	pool->last = &pool->first;
	while (pool->thread_count < thread_count && thread_start(&pool->thread[pool->thread_count], run_jobs, pool) == 0)
		pool->thread_count++;
	if (pool->thread_count == thread_count)
		return pool;
	offload_free(pool);
	return NULL;
}

void offload_free(struct offload *pool)
{
	if (!pool)
		return;
	pthread_mutex_lock(&pool->lock);
	pool->stopping = true;
	pthread_cond_broadcast(&pool->work);
	pthread_mutex_unlock(&pool->lock);
	for (unsigned i = 0; i < pool->thread_count; i++)
		pthread_join(pool->thread[i], NULL);
	pthread_cond_destroy(&pool->work);
	pthread_mutex_destroy(&pool->lock);
	free(pool);
}

void offload_submit(struct offload *pool, struct offload_job *job, struct mailbox *reply_to)
{
	job->reply_to = reply_to;
	job->next = NULL;
	pthread_mutex_lock(&pool->lock);
	*pool->last = job;
	pool->last = &job->next;
	pthread_cond_signal(&pool->work);
	pthread_mutex_unlock(&pool->lock);
}
