/*
 * The gauge allocated_bytes of the LUNs, kept up to date beside the I/O.
 *
 * A pass goes through the LUNs of the node: at once when a document is in force, and every REFRESH_S seconds. A LUN that is
 * new or was written since it was last asked for is asked for on a pool thread, one after the other, for it may have many
 * objects and the store may block. A job has its own copy of the mapping: the LUN may go meanwhile.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "dataplane/reactor/internal.h"

#define REFRESH_S 30

struct question {
	struct offload_job job;
	struct worker *worker;
	struct store *store;
	json_t *map;
	char name[LUN_NAME_MAX];
	uint64_t unique, bytes;
};

/* Grows with each command that may have changed what is allocated; failed ones may have, too. */
static uint64_t changes(const struct iscsi_lun *lun)
{
	static const enum stats_counter counters[] = { STAT_writes, STAT_unmaps, STAT_compare_writes,
						       STAT_check_conditions };
	uint64_t sum = 1 + scsi_lu_other_changes(lun->lu); /* 0 is the mark of one that was never asked for */

	for (unsigned i = 0; lun->stats[i]; i++)
		for (unsigned c = 0; c < sizeof counters / sizeof counters[0]; c++)
			sum += atomic_load_explicit(&lun->stats[i]->value[counters[c]], memory_order_relaxed);
	return sum;
}

/* Each LUN once in a pass: one that is written all the time must not hold up the others. */
static struct iscsi_lun *next_due(struct worker *worker)
{
	for (; worker->allocated.bucket < ISCSI_LUN_BUCKETS; worker->allocated.bucket++)
		list_for_each(pos, &worker->node.luns[worker->allocated.bucket]) {
			struct iscsi_lun *lun = container_of(pos, struct iscsi_lun, link);

			if (lun->stats[0] && lun->allocated_pass != worker->allocated.pass && lun->allocated_as_of != changes(lun))
				return lun;
		}
	return NULL;
}

static void ask(struct offload_job *job)
{
	struct question *question = container_of(job, struct question, job);

	question->bytes = lun_map_allocated(question->store, question->map);
}

static void ask_next(struct worker *worker);

static void answered(struct offload_job *job)
{
	struct question *question = container_of(job, struct question, job);
	struct worker *worker = question->worker;
	struct iscsi_lun *lun = iscsi_node_find_lun(&worker->node, question->name);

	if (lun && lun->unique == question->unique && question->map)
		atomic_store_explicit(&lun->stats[0]->value[STAT_allocated_bytes], question->bytes, memory_order_relaxed);
	json_decref(question->map);
	free(question);
	ask_next(worker);
}

/* The table of LUNs is only changed by this thread. */
static void ask_next(struct worker *worker)
{
	struct iscsi_lun *lun = next_due(worker);
	struct question *question = lun ? malloc(sizeof *question) : NULL;

	worker->allocated.asking = question;
	if (!question)
		return; /* through; without memory, until the next pass */
	lun->allocated_pass = worker->allocated.pass;
	lun->allocated_as_of = changes(lun);
	*question = (struct question){ .job = { .work = ask, .done = answered }, .worker = worker, .store = lun->store,
				       .map = lun_map_json(lun->lun), .unique = lun->unique };
	memcpy(question->name, lun_attributes(lun->lun)->name, sizeof question->name);
	offload_submit(worker->offload, &question->job, &worker->mailbox);
}

void worker_refresh_allocated(struct worker *worker)
{
	worker->allocated.pass++; /* one that is under way begins again */
	worker->allocated.bucket = 0;
	if (!worker->allocated.asking)
		ask_next(worker);
}

static void timer_ready(struct poll_source *source, uint32_t events)
{
	struct worker *worker = container_of(source, struct worker, allocated.source);
	uint64_t times;

	(void)events;
	if (read(worker->allocated.timer_fd, &times, sizeof times) == sizeof times)
		worker_refresh_allocated(worker);
}

int worker_allocated_init(struct worker *worker)
{
	const struct itimerspec every = { { .tv_sec = REFRESH_S }, { .tv_sec = REFRESH_S } };

	worker->allocated.source.ready = timer_ready;
	worker->allocated.timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (worker->allocated.timer_fd < 0 || timerfd_settime(worker->allocated.timer_fd, 0, &every, NULL) < 0)
		return -errno;
	return poller_set(worker->epoll_fd, EPOLL_CTL_ADD, worker->allocated.timer_fd, EPOLLIN, &worker->allocated.source);
}
