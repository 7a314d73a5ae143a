/*
 * What the stores have left, for the thin LUNs on them: every LOOK_S seconds each store is asked on a pool thread, one
 * after the other, for it may block; its LUNs are told, and a threshold that is crossed becomes an event. So does a store
 * that is full: commands failed with 27h/07h since the last look.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "dataplane/reactor/internal.h"
#include "log.h"

#define LOOK_S     5
#define FULL_LOOKS 12 /* a store counts as full until so many looks have found no failed command: a minute */

struct look {
	struct offload_job job;
	struct worker *worker;
	struct store *store;
	unsigned index;      /* of the store in worker->stores */
	int result;
	uint64_t total_bytes, free_bytes;
};

static void set_gauge(const struct iscsi_lun *lun, enum stats_counter gauge, bool on)
{
	if (lun->stats[0])
		atomic_store_explicit(&lun->stats[0]->value[gauge], on, memory_order_relaxed);
}

static void tell_control(struct worker *worker, const char *name, struct msg_EVENT *event)
{
	snprintf(event->object, sizeof event->object, "lun:%s", name);
	worker_send(worker, MSG_EVENT, event);
}

static void tell_lun(struct worker *worker, struct iscsi_lun *lun, const struct look *look)
{
	uint64_t used = lun->stats[0] ? atomic_load_explicit(&lun->stats[0]->value[STAT_allocated_bytes], memory_order_relaxed) : 0;
	const char *name = lun_attributes(lun->lun)->name;
	enum scsi_space space = scsi_lu_set_space(lun->lu, look->total_bytes, look->free_bytes, used);
	struct msg_EVENT event = { .kind = "space-threshold" };

	set_gauge(lun, STAT_space_short, space != SPACE_ENOUGH);
	if (space != SPACE_SHORT_NOW)
		return;
	snprintf(event.text, sizeof event.text, "the store has %llu of %llu MiB left, less than the threshold of the LUN",
		 (unsigned long long)(look->free_bytes >> 20), (unsigned long long)(look->total_bytes >> 20));
	log_warning("space threshold reached lun=%s free_mib=%llu total_mib=%llu", name,
		    (unsigned long long)(look->free_bytes >> 20), (unsigned long long)(look->total_bytes >> 20));
	tell_control(worker, name, &event);
}

/* A LUN for which no slot of statistics was left has none. */
static uint64_t space_errors(const struct iscsi_lun *lun)
{
	uint64_t sum = 0;

	for (unsigned i = 0; lun->stats[i]; i++)
		sum += atomic_load_explicit(&lun->stats[i]->value[STAT_space_errors], memory_order_relaxed);
	return sum;
}

static void look_at_errors(struct worker *worker, struct iscsi_lun *lun)
{
	struct msg_EVENT event = { .kind = "store-full", .text = "the store has no space left: writes fail" };
	uint64_t errors = space_errors(lun);
	bool was_full = lun->full_looks > 0;

	if (errors != lun->space_errors)
		lun->full_looks = FULL_LOOKS;
	else if (was_full)
		lun->full_looks--;
	lun->space_errors = errors;
	set_gauge(lun, STAT_store_full, lun->full_looks > 0);
	if (was_full || !lun->full_looks)
		return;
	log_error("store full, writes fail lun=%s", lun_attributes(lun->lun)->name);
	tell_control(worker, lun_attributes(lun->lun)->name, &event);
}

static void look_for_full_stores(struct worker *worker)
{
	for (unsigned i = 0; i < ISCSI_LUN_BUCKETS; i++)
		list_for_each(pos, &worker->node.luns[i])
			look_at_errors(worker, container_of(pos, struct iscsi_lun, link));
}

static void ask_store(struct offload_job *job)
{
	struct look *look = container_of(job, struct look, job);

	look->result = store_space(look->store, &look->total_bytes, &look->free_bytes);
}

static void look_at(struct worker *worker, unsigned index);

static void answered(struct offload_job *job)
{
	struct look *look = container_of(job, struct look, job);
	struct worker *worker = look->worker;
	unsigned next = look->index + 1;

	for (unsigned i = 0; look->result == 0 && i < ISCSI_LUN_BUCKETS; i++)
		list_for_each(pos, &worker->node.luns[i]) {
			struct iscsi_lun *lun = container_of(pos, struct iscsi_lun, link);

			if (lun->store == look->store)
				tell_lun(worker, lun, look);
		}
	free(look);
	look_at(worker, next);
}

/* The table of LUNs and the list of stores are only changed by this thread; a store stays open as long as the worker. */
static void look_at(struct worker *worker, unsigned index)
{
	struct worker_store *entry = NULL;
	struct look *look;
	unsigned n = 0;

	list_for_each(pos, &worker->stores)
		if (n++ == index)
			entry = container_of(pos, struct worker_store, link);
	look = entry ? malloc(sizeof *look) : NULL;
	worker->space.looking = look;
	if (!look)
		return; /* through; without memory, until the next time */
	*look = (struct look){ .job = { .work = ask_store, .done = answered }, .worker = worker, .store = entry->store, .index = index };
	offload_submit(worker->offload, &look->job, &worker->mailbox);
}

static void timer_ready(struct poll_source *source, uint32_t events)
{
	struct worker *worker = container_of(source, struct worker, space.source);
	uint64_t times;

	(void)events;
	if (read(worker->space.timer_fd, &times, sizeof times) != sizeof times)
		return;
	look_for_full_stores(worker);
	if (!worker->space.looking)
		look_at(worker, 0);
}

int worker_space_init(struct worker *worker)
{
	const struct itimerspec every = { { .tv_sec = LOOK_S }, { .tv_sec = LOOK_S } };

	worker->space.source.ready = timer_ready;
	worker->space.timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (worker->space.timer_fd < 0 || timerfd_settime(worker->space.timer_fd, 0, &every, NULL) < 0)
		return -errno;
	return poller_set(worker->epoll_fd, EPOLL_CTL_ADD, worker->space.timer_fd, EPOLLIN, &worker->space.source);
}
