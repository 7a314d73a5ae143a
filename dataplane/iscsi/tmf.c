/*
 * Task management (RFC 7143 sections 4.2.3.4, 11.5, 11.6; SAM-5 7): a function is answered only when every task that it
 * concerns is quiet, in whichever reactor it runs.
 */
#include <stdlib.h>
#include <string.h>

#include "dataplane/iscsi/iscsi.h"
#include "log.h"

enum {
	ABORT_TASK = 1, ABORT_TASK_SET = 2, CLEAR_ACA = 3, CLEAR_TASK_SET = 4, LOGICAL_UNIT_RESET = 5,
	TARGET_WARM_RESET = 6, TARGET_COLD_RESET = 7, TASK_REASSIGN = 8,
};

enum {
	FUNCTION_COMPLETE = 0, TASK_DOES_NOT_EXIST = 1, LUN_DOES_NOT_EXIST = 2, REASSIGN_NOT_SUPPORTED = 4,
	FUNCTION_NOT_SUPPORTED = 5, FUNCTION_REJECTED = 255,
};

struct tmf {
	struct iscsi_abort abort; /* first */
	struct iscsi_connection *connection;
	struct scsi_lu *lu;
	uint32_t itt;
	uint8_t function;
	char target_name[ISCSI_NAME_MAX];
};

static void answer(struct iscsi_connection *connection, uint32_t itt, uint8_t response)
{
	struct iscsi_pdu *pdu;

	if (connection->phase != ISCSI_PHASE_FULL && connection->phase != ISCSI_PHASE_LOGOUT)
		return;
	pdu = iscsi_reply_new(connection, ISCSI_TASK_RESPONSE, NULL, 0);
	if (!pdu)
		return;
	pdu->bhs[2] = response;
	put_be32(pdu->bhs + 16, itt);
	iscsi_reply_send(connection, pdu);
}

/* The reset of every LU of the target, after the tasks are gone: unit attentions, reservations of RESERVE(6). */
static void reset_target(const struct tmf *tmf)
{
	struct iscsi_node *node = tmf->abort.node;
	const struct iscsi_target *target;
	struct iscsi_lun_mapping *mappings;
	unsigned count = 0;

	pthread_mutex_lock(&node->lock);
	target = iscsi_config_find_target(node->config, tmf->target_name);
	mappings = target ? iscsi_target_luns(target, NULL, &count) : NULL;
	for (unsigned i = 0; i < count; i++) {
		struct iscsi_lun *lun = iscsi_node_find_lun(node, mappings[i].lun);

		if (lun)
			scsi_lu_reset(lun->lu, NULL);
	}
	pthread_mutex_unlock(&node->lock);
	free(mappings);
}

/* The LU's own part of its reset, after the tasks are gone. Nothing of ours kept it open meanwhile: a LUN that is being
 * closed is not in the node any more. */
static void reset_lu(const struct tmf *tmf)
{
	struct iscsi_node *node = tmf->abort.node;

	pthread_mutex_lock(&node->lock);
	if (iscsi_node_serves(node, tmf->lu))
		scsi_lu_reset(tmf->lu, NULL);
	pthread_mutex_unlock(&node->lock);
}

/* TARGET COLD RESET ends all sessions of the target; the one that asked is told first. */
static void close_sessions(struct iscsi_abort *abort, struct iscsi_reactor *reactor)
{
	struct tmf *tmf = (struct tmf *)abort;

	list_for_each_safe(node, &reactor->connections) {
		struct iscsi_connection *connection = container_of(node, struct iscsi_connection, reactor_link);

		if (connection != tmf->connection && connection->session &&
		    strcmp(connection->session->target_name, tmf->target_name) == 0)
			iscsi_connection_drop(connection, "target cold reset");
	}
}

static void done(struct iscsi_abort *abort)
{
	struct tmf *tmf = (struct tmf *)abort;
	struct iscsi_connection *connection = tmf->connection;

	if (tmf->function == LOGICAL_UNIT_RESET)
		reset_lu(tmf);
	if (tmf->function == TARGET_WARM_RESET || tmf->function == TARGET_COLD_RESET)
		reset_target(tmf);
	answer(connection, tmf->itt, FUNCTION_COMPLETE);
	if (tmf->function == TARGET_COLD_RESET && connection->phase != ISCSI_PHASE_DEAD)
		iscsi_connection_finish(connection);
	connection->functions--;
	connection->holds--;
	iscsi_connection_maybe_bury(connection);
	free(tmf);
}

/* A task set belongs to one I_T nexus (control mode page, TST): CLEAR TASK SET is like ABORT TASK SET (SAM-5 7.5), and there
 * is nobody else to be told. */
static bool of_session(uint8_t function)
{
	return function == ABORT_TASK || function == ABORT_TASK_SET || function == CLEAR_TASK_SET;
}

static void start(struct iscsi_connection *connection, uint8_t function, struct scsi_lu *lu)
{
	struct iscsi_session *session = connection->session;
	struct tmf *tmf = calloc(1, sizeof *tmf);
	struct iscsi_abort_filter *filter;

	if (!tmf) {
		answer(connection, bhs_itt(connection->bhs), FUNCTION_REJECTED);
		return;
	}
	filter = &tmf->abort.filter;
	if (function != ABORT_TASK)
		iscsi_held_abort(session, lu, NULL);
	tmf->connection = connection;
	tmf->lu = lu;
	tmf->itt = bhs_itt(connection->bhs);
	tmf->function = function;
	memcpy(tmf->target_name, session->target_name, sizeof tmf->target_name);
	filter->lu = lu;
	if (of_session(function))
		filter->session_id = session->id;
	filter->commands = of_session(function);
	if (function == TARGET_WARM_RESET || function == TARGET_COLD_RESET)
		filter->target_name = tmf->target_name;
	filter->one_task = function == ABORT_TASK;
	filter->itt = bhs_rtt(connection->bhs);
	tmf->abort.node = connection->reactor->node;
	tmf->abort.each = function == TARGET_COLD_RESET ? close_sessions : NULL;
	tmf->abort.done = done;
	tmf->abort.reply_to = connection->reactor->scsi.mailbox;
	if (iscsi_abort_start(&tmf->abort, connection->reactor) < 0) {
		free(tmf);
		answer(connection, bhs_itt(connection->bhs), FUNCTION_REJECTED);
		return;
	}
	connection->functions++;
	connection->holds++;
}

/* A task whose response is on its way has ended. One that has not come yet is aborted by taking its CmdSN out of the
 * sequence (RFC 7143 11.5.5); one that is neither here nor to come does not exist (any more). */
static void abort_task(struct iscsi_connection *connection, struct scsi_lu *lu)
{
	struct iscsi_session *session = connection->session;
	const uint8_t *bhs = connection->bhs;
	struct iscsi_task *task = iscsi_task_find(session, bhs_rtt(bhs));

	if (task && task->state != ISCSI_TASK_RESPONDING) {
		iscsi_task_abort(task); /* now: it must not be answered before we are */
		start(connection, ABORT_TASK, lu);
		return;
	}
	if (!task && iscsi_held_abort(session, lu, &(uint32_t){ bhs_rtt(bhs) })) {
		answer(connection, bhs_itt(bhs), FUNCTION_COMPLETE);
		return;
	}
	if (bhs_refcmdsn(bhs) == session->expcmdsn && serial_lt(bhs_refcmdsn(bhs), bhs_cmdsn(bhs))) {
		session->expcmdsn++;
		session->maxcmdsn++;
		answer(connection, bhs_itt(bhs), FUNCTION_COMPLETE);
		return;
	}
	answer(connection, bhs_itt(bhs), TASK_DOES_NOT_EXIST);
}

enum iscsi_receive iscsi_task_management_done(struct iscsi_connection *connection)
{
	const uint8_t *bhs = connection->bhs;
	uint8_t function = bhs[1] & 0x7f;
	bool of_lun = function == ABORT_TASK || function == ABORT_TASK_SET || function == CLEAR_TASK_SET ||
		      function == LOGICAL_UNIT_RESET;
	struct scsi_lu *lu = of_lun ? scsi_nexus_find_lu(connection->session->nexus, bhs_lun(bhs)) : NULL;

	stats_add(connection->reactor->stats, STAT_task_management, 1);
	if (connection->session->target_stats)
		stats_add(connection->session->target_stats, STAT_task_management, 1);
	log_limited(LOG_INFO, "task management function=%u initiator=%s target=%s", function,
		    log_quoted(connection->session->initiator_name), connection->session->target_name);
	if (connection->functions >= ISCSI_IMMEDIATE_MAX)
		iscsi_reject(connection, ISCSI_REJECT_IMMEDIATE, bhs);
	else if (of_lun && !lu)
		answer(connection, bhs_itt(bhs), LUN_DOES_NOT_EXIST);
	else if (function == ABORT_TASK)
		abort_task(connection, lu);
	else if (of_lun || function == TARGET_WARM_RESET || function == TARGET_COLD_RESET)
		start(connection, function, lu);
	else
		answer(connection, bhs_itt(bhs), function == TASK_REASSIGN ? REASSIGN_NOT_SUPPORTED : FUNCTION_NOT_SUPPORTED);
	return connection->phase == ISCSI_PHASE_DEAD ? ISCSI_RECEIVE_CLOSED : ISCSI_RECEIVE_OK;
}
