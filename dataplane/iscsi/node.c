/* What the reactors of a worker share, and each reactor's part of it: pools, waiters, ticks. See iscsi.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "clock.h"
#include "dataplane/iscsi/iscsi.h"
#include "hash.h"
#include "log.h"

int iscsi_node_init(struct iscsi_node *node, unsigned worker, unsigned reactor_count)
{
	memset(node, 0, sizeof *node);
	node->worker = worker;
	node->reactor = calloc(reactor_count, sizeof(struct iscsi_reactor *));
	if (!node->reactor)
		return -ENOMEM;
	node->reactor_count = reactor_count;
	pthread_mutex_init(&node->lock, NULL);
	for (unsigned i = 0; i < ISCSI_LUN_BUCKETS; i++) {
		list_init(&node->luns[i]);
		list_init(&node->targets[i]);
	}
	for (unsigned i = 0; i < ISCSI_SESSION_BUCKETS; i++)
		list_init(&node->sessions[i]);
	return 0;
}

void iscsi_node_fini(struct iscsi_node *node)
{
	struct list *pos;

	for (unsigned i = 0; i < ISCSI_LUN_BUCKETS; i++)
		while ((pos = list_take(&node->targets[i]))) {
			struct iscsi_known_target *known = container_of(pos, struct iscsi_known_target, link);

			scsi_port_groups_free(known->port_groups);
			free(known);
		}
	iscsi_config_unref(node->config);
	pthread_mutex_destroy(&node->lock);
	free(node->reactor);
}

struct iscsi_config *iscsi_node_config(struct iscsi_node *node)
{
	struct iscsi_config *config;

	pthread_mutex_lock(&node->lock);
	config = iscsi_config_ref(node->config);
	pthread_mutex_unlock(&node->lock);
	return config;
}

static struct list *by_name(struct list *buckets, const char *name)
{
	return &buckets[hash_text(name) % ISCSI_LUN_BUCKETS];
}

struct iscsi_lun *iscsi_node_find_lun(struct iscsi_node *node, const char *name)
{
	list_for_each(pos, by_name(node->luns, name)) {
		struct iscsi_lun *lun = container_of(pos, struct iscsi_lun, link);

		if (strcmp(lun_attributes(lun->lun)->name, name) == 0)
			return lun;
	}
	return NULL;
}

bool iscsi_node_serves(struct iscsi_node *node, const struct scsi_lu *lu)
{
	for (unsigned i = 0; i < ISCSI_LUN_BUCKETS; i++)
		list_for_each(pos, &node->luns[i])
			if (container_of(pos, struct iscsi_lun, link)->lu == lu)
				return true;
	return false;
}

void iscsi_node_add_lun(struct iscsi_node *node, struct iscsi_lun *lun)
{
	list_append(by_name(node->luns, lun_attributes(lun->lun)->name), &lun->link);
}

static struct iscsi_known_target *find_target(struct iscsi_node *node, const char *name)
{
	list_for_each(pos, by_name(node->targets, name)) {
		struct iscsi_known_target *known = container_of(pos, struct iscsi_known_target, link);

		if (strcmp(known->name, name) == 0)
			return known;
	}
	return NULL;
}

/* Made when absent; NULL: no memory. */
static struct iscsi_known_target *know_target(struct iscsi_node *node, const char *name)
{
	struct iscsi_known_target *known = find_target(node, name);

	if (known)
		return known;
	known = calloc(1, sizeof *known + node->reactor_count * sizeof known->slot[0]);
	if (!known)
		return NULL;
	snprintf(known->name, sizeof known->name, "%s", name);
	list_append(by_name(node->targets, name), &known->link);
	return known;
}

struct stats_slot *iscsi_target_stats(struct iscsi_reactor *reactor, const char *target_name)
{
	struct iscsi_node *node = reactor->node;
	struct iscsi_known_target *known;
	struct stats_slot *slot = NULL;

	pthread_mutex_lock(&node->lock);
	known = know_target(node, target_name);
	if (known) {
		slot = known->slot[reactor->index];
		if (!slot)
			slot = known->slot[reactor->index] =
				stats_claim(node->stats, STATS_TARGET, target_name, reactor->index);
	}
	pthread_mutex_unlock(&node->lock);
	return slot;
}

struct scsi_port_groups *iscsi_node_port_groups(struct iscsi_node *node, const char *target_name)
{
	struct iscsi_known_target *known = find_target(node, target_name);

	return known ? known->port_groups : NULL;
}

int iscsi_node_configure_port_groups(struct iscsi_node *node, const struct iscsi_target *target,
				     const struct scsi_services *services, struct err *err)
{
	unsigned count;
	struct alua_configured *groups = iscsi_target_port_groups(target, &count);
	struct iscsi_known_target *known;
	int rc = -ENOMEM;

	pthread_mutex_lock(&node->lock);
	known = know_target(node, iscsi_target_name(target));
	if (known && !known->port_groups)
		known->port_groups = scsi_port_groups_new(iscsi_target_name(target), services);
	pthread_mutex_unlock(&node->lock);
	if (groups && known && known->port_groups) /* it stays as long as the node */
		rc = scsi_port_groups_configure(known->port_groups, iscsi_target_explicit_alua(target), groups, count, err);
	else
		err_set(err, rc, "out of memory");
	free(groups);
	return rc;
}

int iscsi_reactor_init(struct iscsi_reactor *reactor, struct iscsi_node *node, unsigned index)
{
	void *tasks = mmap(NULL, ISCSI_TASKS_PER_REACTOR * sizeof(struct iscsi_task), PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (tasks == MAP_FAILED)
		return -ENOMEM;
	reactor->tasks = tasks;
	reactor->node = node;
	reactor->index = index;
	scsi_reactor_init(&reactor->scsi);
	list_init(&reactor->free_tasks);
	list_init(&reactor->connections);
	list_init(&reactor->waiting);
	list_init(&reactor->dead);
	list_init(&reactor->aborts);
	reactor->now_ns = clock_now_ns();
	return 0;
}

void iscsi_reactor_fini(struct iscsi_reactor *reactor)
{
	munmap(reactor->tasks, ISCSI_TASKS_PER_REACTOR * sizeof(struct iscsi_task));
}

/* Offers what came back to those that wait, first come first served. The first that must wait for the pool again ends it;
 * one that waits for something of its own (its peer does not read) is in nobody's way. Everybody keeps his place. */
static void wake_waiters(struct iscsi_reactor *reactor)
{
	struct list *node, again, rest;
	bool pool_empty = false;

	list_init(&again);
	list_init(&rest);
	list_splice(&rest, &reactor->waiting);
	while (!pool_empty && (node = list_take(&rest))) {
		struct iscsi_connection *connection = container_of(node, struct iscsi_connection, wait_link);

		connection->waiting = false;
		iscsi_connection_resume(connection);
		if (!connection->waiting)
			continue;
		list_remove(&connection->wait_link);
		list_append(&again, &connection->wait_link);
		pool_empty = connection->wait_reason == ISCSI_WAIT_POOL;
	}
	list_splice(&again, &rest);
	list_splice(&again, &reactor->waiting);
	list_splice(&reactor->waiting, &again);
	reactor->released = false;
}

void iscsi_reactor_turn_end(struct iscsi_reactor *reactor)
{
	struct list *node;

	if (reactor->check_aborts)
		iscsi_abort_check(reactor);
	if (reactor->released)
		wake_waiters(reactor);
	while ((node = list_take(&reactor->dead)))
		iscsi_connection_free(container_of(node, struct iscsi_connection, reactor_link));
	iscsi_count_flush(reactor);
}

void iscsi_reactor_tick(struct iscsi_reactor *reactor)
{
	scsi_reactor_tick(&reactor->scsi);
	list_for_each_safe(node, &reactor->connections)
		iscsi_connection_tick(container_of(node, struct iscsi_connection, reactor_link));
}
