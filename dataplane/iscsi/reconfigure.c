/*
 * Sessions follow the configuration: access rules, LUN maps and LUNs change while I/O runs.
 *
 * A session whose initiator is still admitted and whose LUNs are the same notices nothing. If its LUNs changed, tasks on
 * logical units that it no longer sees under the same number are aborted, new commands wait until those are quiet, then the new view is in
 * force (REPORTED LUNS DATA HAS CHANGED). A session that is no longer admitted is dropped.
 */
#include <stdlib.h>
#include <string.h>

#include "dataplane/iscsi/iscsi.h"

struct iscsi_view *iscsi_view_new(struct iscsi_node *node, const struct iscsi_target *target, const char *initiator_name)
{
	unsigned count, present = 0;
	struct iscsi_lun_mapping *mappings = iscsi_target_luns(target, initiator_name, &count);
	struct iscsi_view *view = calloc(1, sizeof *view + count * sizeof view->entry[0]);
	struct scsi_inventory_entry *entries = calloc(count + 1, sizeof *entries);

	for (unsigned i = 0; view && entries && i < count; i++) {
		struct iscsi_lun *lun = iscsi_node_find_lun(node, mappings[i].lun);

		if (!lun)
			continue; /* it could not be opened: reported when that was tried */
		entries[present] = (struct scsi_inventory_entry){ mappings[i].number, mappings[i].read_only, lun->lu };
		view->entry[present].number = mappings[i].number;
		view->entry[present].read_only = mappings[i].read_only;
		view->entry[present].lu = lun->lu;
		view->entry[present++].unique = lun->unique;
	}
	if (view && entries) {
		view->count = present;
		view->inventory = scsi_inventory_new(entries, present);
	}
	free(entries);
	free(mappings);
	if (view && view->inventory)
		return view;
	free(view);
	return NULL;
}

void iscsi_view_free(struct iscsi_view *view)
{
	if (view)
		scsi_inventory_unref(view->inventory);
	free(view);
}

static bool same_view(const struct iscsi_view *a, const struct iscsi_view *b)
{
	if (a->count != b->count)
		return false;
	for (unsigned i = 0; i < a->count; i++)
		if (a->entry[i].number != b->entry[i].number || a->entry[i].read_only != b->entry[i].read_only ||
		    a->entry[i].unique != b->entry[i].unique)
			return false;
	return true;
}

static void adopt(struct iscsi_session *session, struct iscsi_config *config)
{
	iscsi_config_ref(config);
	iscsi_config_unref(session->config);
	session->config = config;
	if (session->discovery)
		return;
	session->target = iscsi_config_find_target(config, session->target_name);
	session->facts->target = session->target;
}

void iscsi_session_try_switch(struct iscsi_session *session)
{
	list_for_each(node, &session->tasks)
		if (container_of(node, struct iscsi_task, link)->scsi.aborted)
			return;
	if (!scsi_nexus_set_inventory(session->nexus, session->next_view->inventory)) {
		iscsi_connection_drop(session->connection, "out of memory for its LUNs");
		return;
	}
	iscsi_view_free(session->view);
	session->view = session->next_view;
	session->next_view = NULL;
	adopt(session, session->next_config);
	iscsi_config_unref(session->next_config);
	session->next_config = NULL;
	session->reactor->released = true; /* its commands wait for this */
}

static bool admitted(struct iscsi_session *session, const struct iscsi_config *config, const struct iscsi_target *target)
{
	struct iscsi_grant grant;

	if (!target || iscsi_target_worker(target) != session->reactor->node->worker)
		return false;
	iscsi_access_check(config, target, session->initiator_name, &session->connection->peer, &grant);
	return grant.access == ISCSI_ACCESS_OK;
}

/* A LUN under another number is another one: what the nexus knew of it goes. Before the session has its next view: the end
 * of the first of these tasks must not put that in force for the others. */
static void abort_vanished(struct iscsi_session *session, const struct iscsi_view *next)
{
	list_for_each_safe(node, &session->tasks) {
		struct iscsi_task *task = container_of(node, struct iscsi_task, link);

		if (!scsi_inventory_keeps(next->inventory, &task->scsi))
			iscsi_task_abort(task);
	}
}

static void reconfigure(struct iscsi_session *session, struct iscsi_config *config)
{
	const struct iscsi_target *target;
	struct iscsi_node *node = session->reactor->node;
	struct iscsi_view *next;

	if (session->discovery) {
		adopt(session, config);
		return;
	}
	target = iscsi_config_find_target(config, session->target_name);
	if (!admitted(session, config, target)) {
		iscsi_connection_drop(session->connection, "the target is not served to it any more");
		return;
	}
	pthread_mutex_lock(&node->lock);
	next = iscsi_view_new(node, target, session->initiator_name);
	pthread_mutex_unlock(&node->lock);
	if (!next) {
		iscsi_connection_drop(session->connection, "out of memory for its LUNs");
		return;
	}
	if (same_view(session->view, next)) {
		iscsi_view_free(next);
		adopt(session, config);
		return;
	}
	session->connection->holds++; /* the last aborted task's end may drop it */
	abort_vanished(session, next);
	session->next_view = next;
	session->next_config = iscsi_config_ref(config);
	if (session->connection->phase != ISCSI_PHASE_DEAD)
		iscsi_session_try_switch(session);
	session->connection->holds--;
	iscsi_connection_maybe_bury(session->connection);
}

void iscsi_reactor_reconfigure(struct iscsi_reactor *reactor, struct iscsi_config *config)
{
	list_for_each_safe(node, &reactor->connections) {
		struct iscsi_connection *connection = container_of(node, struct iscsi_connection, reactor_link);

		if (connection->session && connection->phase != ISCSI_PHASE_DEAD)
			reconfigure(connection->session, config);
	}
}

bool iscsi_reactor_follows(const struct iscsi_reactor *reactor, const struct iscsi_config *config)
{
	list_for_each(node, &reactor->connections) {
		const struct iscsi_session *session = container_of(node, struct iscsi_connection, reactor_link)->session;

		if (session && !session->discovery && session->config != config)
			return false;
	}
	return true;
}
