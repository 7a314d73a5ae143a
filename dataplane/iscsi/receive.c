/*
 * Incoming PDUs: one table says in which phases a kind is allowed, whether it is ordered by CmdSN, whether it may have
 * AHS, and which two functions handle it: `header` decides where the data segment goes, `done` acts on the whole PDU.
 *
 * A PDU that came ahead of its CmdSN is kept and offered again when the gap is filled (RFC 7143 4.2.2.1). So is a command
 * for which there are no buffers, as long as Data-Out of earlier commands is to come behind it in the stream: not to read
 * on would be to wait for ourselves. Otherwise the connection is not read until there are buffers.
 */
#include <stdlib.h>
#include <string.h>

#include "dataplane/iscsi/iscsi.h"

enum { IN_LOGIN = 1 << ISCSI_PHASE_LOGIN, IN_FULL = 1 << ISCSI_PHASE_FULL, IN_LOGOUT = 1 << ISCSI_PHASE_LOGOUT };

struct iscsi_receive_row {
	unsigned phases;  /* mask; 0: no PDU that an initiator sends */
	bool ordered;     /* carries a CmdSN that counts */
	bool discovery;   /* allowed in a discovery session */
	bool ahs;
	enum iscsi_receive (*header)(struct iscsi_connection *connection, const uint8_t *bhs);
	enum iscsi_receive (*done)(struct iscsi_connection *connection);
};

static enum iscsi_receive snack_done(struct iscsi_connection *connection)
{
	iscsi_reject(connection, ISCSI_REJECT_SNACK, connection->bhs); /* ErrorRecoveryLevel is 0 */
	return ISCSI_RECEIVE_OK;
}

/* Who is not logged in yet gets no buffer of the pool: else those who never go on would leave none for anybody. */
static enum iscsi_receive login_header(struct iscsi_connection *connection, const uint8_t *bhs)
{
	struct sgl *list = &connection->receive_list;

	list->count = 1;
	list->len_bytes = bhs_data_bytes(bhs);
	if (list->len_bytes == 0)
		return ISCSI_RECEIVE_OK;
	if (!connection->login_data)
		connection->login_data = malloc(ISCSI_LOGIN_DATA_MAX);
	if (!connection->login_data) {
		iscsi_connection_drop(connection, "out of memory");
		return ISCSI_RECEIVE_CLOSED;
	}
	connection->login_text_bytes += list->len_bytes;
	connection->reactor->login_text_bytes += list->len_bytes;
	if (connection->login_text_bytes > ISCSI_LOGIN_DATA_MAX &&
	    connection->reactor->login_text_bytes > ISCSI_LOGIN_TEXT_MAX) {
		iscsi_connection_drop(connection, "too much text of logins that are continued");
		return ISCSI_RECEIVE_CLOSED;
	}
	list->element[0] = (struct iovec){ connection->login_data, list->len_bytes };
	connection->mover->sink = (struct iscsi_sink){ list, 0 };
	return ISCSI_RECEIVE_OK;
}

static const struct iscsi_receive_row rows[64] = {
	/*                         phases              ordered discov ahs    header                   done */
	[ISCSI_LOGIN_REQUEST]  = { IN_LOGIN,             false, true,  false, login_header,            iscsi_login_done },
	[ISCSI_NOP_OUT]        = { IN_FULL | IN_LOGOUT,  true,  true,  false, iscsi_receive_into_list, iscsi_nop_done },
	[ISCSI_SCSI_COMMAND]   = { IN_FULL,              true,  false, true,  iscsi_command_header,    iscsi_command_done },
	[ISCSI_TASK_REQUEST]   = { IN_FULL,              true,  false, false, iscsi_receive_into_list, iscsi_task_management_done },
	[ISCSI_TEXT_REQUEST]   = { IN_FULL,              true,  true,  false, iscsi_receive_into_list, iscsi_text_done },
	[ISCSI_DATA_OUT]       = { IN_FULL | IN_LOGOUT,  false, false, false, iscsi_data_out_header,   iscsi_data_out_done },
	[ISCSI_LOGOUT_REQUEST] = { IN_FULL,              true,  true,  false, iscsi_receive_into_list, iscsi_logout_done },
	[ISCSI_SNACK_REQUEST]  = { IN_FULL,              false, false, false, iscsi_receive_into_list, snack_done },
};

/* --- PDUs that are kept for later --- */

void iscsi_held_free(struct iscsi_reactor *reactor, struct iscsi_held *held)
{
	reactor->held_bytes -= held->data_bytes;
	free(held);
}

unsigned iscsi_held_abort(struct iscsi_session *session, const struct scsi_lu *lu, const uint32_t *itt)
{
	unsigned count = 0;

	list_for_each(node, &session->held) {
		struct iscsi_held *held = container_of(node, struct iscsi_held, link);

		if (bhs_opcode(held->bhs) != ISCSI_SCSI_COMMAND || held->aborted || (itt && bhs_itt(held->bhs) != *itt) ||
		    (lu && scsi_nexus_find_lu(session->nexus, bhs_lun(held->bhs)) != lu))
			continue;
		held->aborted = true;
		count++;
	}
	stats_add(session->reactor->stats, STAT_aborted_tasks, count);
	return count;
}

/* NULL when nothing is kept. */
static struct iscsi_held *first_held(const struct iscsi_session *session)
{
	return list_empty(&session->held) ? NULL : container_of(session->held.next, struct iscsi_held, link);
}

bool iscsi_session_has_gap(const struct iscsi_session *session)
{
	const struct iscsi_held *held = first_held(session);

	return held && serial_lt(session->expcmdsn, held->cmdsn);
}

static enum iscsi_receive held_header(struct iscsi_connection *connection, const uint8_t *bhs)
{
	struct iscsi_reactor *reactor = connection->reactor;
	uint32_t data_bytes = bhs_data_bytes(bhs);
	struct iscsi_held *held = malloc(sizeof *held + data_bytes);

	if (!held) {
		iscsi_connection_drop(connection, "out of memory");
		return ISCSI_RECEIVE_CLOSED;
	}
	held->cmdsn = bhs_cmdsn(bhs);
	held->aborted = false;
	held->data_bytes = data_bytes;
	memcpy(held->bhs, bhs, ISCSI_BHS_BYTES + bhs_ahs_bytes(bhs));
	reactor->held_bytes += data_bytes;
	connection->held = held;
	connection->held_list.element[0] = (struct iovec){ held->data, data_bytes };
	connection->held_list.count = 1;
	connection->held_list.len_bytes = data_bytes;
	connection->mover->sink = (struct iscsi_sink){ data_bytes ? &connection->held_list : NULL, 0 };
	return ISCSI_RECEIVE_OK;
}

static enum iscsi_receive held_done(struct iscsi_connection *connection)
{
	struct iscsi_session *session = connection->session;
	struct iscsi_held *held = connection->held;
	struct list *before = &session->held;

	connection->held = NULL;
	list_for_each(node, &session->held)
		if (serial_lt(held->cmdsn, container_of(node, struct iscsi_held, link)->cmdsn)) {
			before = node;
			break;
		}
	list_append(before, &held->link);
	if (session->held_count++ == 0)
		session->gap_since_ns = session->reactor->now_ns;
	return ISCSI_RECEIVE_OK;
}

static const struct iscsi_receive_row held_row = { .header = held_header, .done = held_done };

static bool held_already(const struct iscsi_session *session, uint32_t cmdsn)
{
	list_for_each(node, &session->held)
		if (container_of(node, struct iscsi_held, link)->cmdsn == cmdsn)
			return true;
	return false;
}

/* --- the two notices --- */

static enum iscsi_receive closed(struct iscsi_connection *connection, const char *why)
{
	iscsi_protocol_error(connection, why);
	return ISCSI_RECEIVE_CLOSED;
}

static enum iscsi_receive discard(struct iscsi_connection *connection)
{
	connection->row = NULL;
	return ISCSI_RECEIVE_OK;
}

static enum iscsi_receive refuse_phase(struct iscsi_connection *connection, const struct iscsi_receive_row *row,
				       const uint8_t *bhs)
{
	if (connection->phase == ISCSI_PHASE_LOGIN)
		return closed(connection, "not a Login Request");
	if (connection->phase == ISCSI_PHASE_ESTABLISH)
		return closed(connection, "a PDU before the final Login Response");
	if (connection->phase == ISCSI_PHASE_LOGOUT && row->phases)
		iscsi_reject(connection, ISCSI_REJECT_WAITING_LOGOUT, bhs);
	else
		iscsi_reject(connection, row->phases ? ISCSI_REJECT_PROTOCOL : ISCSI_REJECT_NOT_SUPPORTED, bhs);
	return connection->phase == ISCSI_PHASE_DEAD ? ISCSI_RECEIVE_CLOSED : discard(connection);
}

/* Its CmdSN is used up all the same: what comes behind it is in order. */
static enum iscsi_receive refuse_in_discovery(struct iscsi_connection *connection, const struct iscsi_receive_row *row,
					      const uint8_t *bhs)
{
	struct iscsi_session *session = connection->session;

	if (row->ordered && !bhs_immediate(bhs) && iscsi_session_order(session, bhs) == ISCSI_IN_ORDER) {
		iscsi_session_accept(session, bhs);
		if (bhs_opcode(bhs) == ISCSI_SCSI_COMMAND)
			iscsi_session_command_ended(session);
	}
	iscsi_reject(connection, ISCSI_REJECT_PROTOCOL, bhs);
	return connection->phase == ISCSI_PHASE_DEAD ? ISCSI_RECEIVE_CLOSED : discard(connection);
}

/* Checks what holds for every PDU; NULL with *ret_result when it is not to be handled. */
static const struct iscsi_receive_row *admit(struct iscsi_connection *connection, const uint8_t *bhs,
					     enum iscsi_receive *ret_result)
{
	const struct iscsi_receive_row *row = &rows[bhs_opcode(bhs)];
	uint32_t data_max = connection->session ? connection->params.max_recv_bytes : ISCSI_LOGIN_DATA_MAX;

	if (connection->phase == ISCSI_PHASE_FINISH)
		*ret_result = discard(connection);
	else if (bhs_data_bytes(bhs) > data_max)
		*ret_result = closed(connection, "data segment longer than MaxRecvDataSegmentLength");
	else if (!(row->phases & 1U << connection->phase))
		*ret_result = refuse_phase(connection, row, bhs);
	else if (bhs_ahs_bytes(bhs) && !row->ahs)
		*ret_result = closed(connection, "additional header segments in a PDU that has none");
	else if (connection->session && connection->session->discovery && !row->discovery)
		*ret_result = refuse_in_discovery(connection, row, bhs);
	else
		return row;
	return NULL;
}

/* Keeps a PDU with a CmdSN for later. */
static enum iscsi_receive hold(struct iscsi_connection *connection, const uint8_t *bhs)
{
	struct iscsi_session *session = connection->session;

	if (held_already(session, bhs_cmdsn(bhs)))
		return discard(connection);
	if (session->held_count >= ISCSI_HELD_MAX && iscsi_session_has_gap(session))
		return closed(connection, "too many PDUs ahead of a missing CmdSN");
	if (connection->reactor->held_bytes >= ISCSI_HELD_BYTES_MAX)
		return iscsi_connection_wait(connection, ISCSI_WAIT_OWN);
	connection->row = &held_row;
	return held_header(connection, bhs);
}

static enum iscsi_receive take_header(struct iscsi_connection *connection, const uint8_t *bhs)
{
	struct iscsi_session *session = connection->session;
	enum iscsi_receive result;
	const struct iscsi_receive_row *row;

	connection->last_receive_ns = connection->reactor->now_ns;
	connection->receiving = NULL;
	if (connection->replies_queued >= ISCSI_REPLIES_MAX && connection->phase != ISCSI_PHASE_FINISH)
		return iscsi_connection_wait(connection, ISCSI_WAIT_OWN);
	row = admit(connection, bhs, &result);
	if (!row)
		return result;
	if (row->ordered && !bhs_immediate(bhs))
		switch (iscsi_session_order(session, bhs)) {
		case ISCSI_IN_ORDER:
			break;
		case ISCSI_OUTSIDE:
			return discard(connection);
		case ISCSI_AHEAD:
			return hold(connection, bhs);
		}
	memcpy(connection->bhs, bhs, ISCSI_BHS_BYTES + bhs_ahs_bytes(bhs));
	connection->row = row;
	result = row->header(connection, connection->bhs);
	if (result == ISCSI_RECEIVE_OK && row->ordered)
		iscsi_session_accept(session, bhs);
	return result;
}

bool iscsi_data_to_come(const struct iscsi_connection *connection)
{
	if (!connection->session)
		return false;
	list_for_each(node, &connection->session->tasks) {
		const struct iscsi_task *task = container_of(node, struct iscsi_task, link);

		if (task->state == ISCSI_TASK_RECEIVING && !task->scsi.aborted)
			return true;
	}
	return false;
}

bool iscsi_must_read_on(const struct iscsi_connection *connection)
{
	return connection->waiting && connection->wait_reason != ISCSI_WAIT_OWN && iscsi_data_to_come(connection);
}

/* There is no task or buffer for a PDU, and the connection must be read on. */
static enum iscsi_receive postpone(struct iscsi_connection *connection, const uint8_t *bhs)
{
	if (!bhs_immediate(bhs) && rows[bhs_opcode(bhs)].ordered)
		return hold(connection, bhs);
	if (!connection->session->held_count) { /* nothing is left that waits */
		list_remove(&connection->wait_link);
		connection->waiting = false;
	}
	iscsi_reject(connection, ISCSI_REJECT_IMMEDIATE, bhs);
	return connection->phase == ISCSI_PHASE_DEAD ? ISCSI_RECEIVE_CLOSED : discard(connection);
}

enum iscsi_receive iscsi_receive_header(struct iscsi_connection *connection, const uint8_t *bhs)
{
	enum iscsi_receive result;

	if (connection->phase == ISCSI_PHASE_DEAD)
		return ISCSI_RECEIVE_CLOSED;
	result = take_header(connection, bhs);
	if (result == ISCSI_RECEIVE_WAIT && iscsi_must_read_on(connection))
		result = postpone(connection, bhs);
	if (result == ISCSI_RECEIVE_OK)
		connection->inside_pdu = true;
	return result;
}

/* Offers the first held PDU when its turn has come; true when it was taken. */
static bool replay_one(struct iscsi_connection *connection)
{
	struct iscsi_session *session = connection->session;
	struct iscsi_held *held = session ? first_held(session) : NULL;
	struct iscsi_sink *sink = &connection->mover->sink;
	const struct iscsi_receive_row *row;

	if (!held || iscsi_session_has_gap(session))
		return false;
	sink->list = NULL;
	connection->row = NULL;
	if (held->aborted && held->cmdsn == session->expcmdsn) {
		session->expcmdsn++;
		session->maxcmdsn++;
	} else if (held->cmdsn == session->expcmdsn) { /* else a task management function took its place */
		if (take_header(connection, held->bhs) != ISCSI_RECEIVE_OK)
			return false;
		if (sink->list)
			sgl_copy_in(sink->list, sink->offset, held->data, held->data_bytes);
	}
	list_remove(&held->link);
	session->held_count--;
	session->gap_since_ns = session->reactor->now_ns;
	iscsi_held_free(session->reactor, held);
	row = connection->row;
	if (row)
		row->done(connection);
	iscsi_release_receive_list(connection);
	return true;
}

void iscsi_receive_replay(struct iscsi_connection *connection)
{
	while (connection->phase != ISCSI_PHASE_DEAD && replay_one(connection))
		;
}

enum iscsi_receive iscsi_receive_done(struct iscsi_connection *connection)
{
	const struct iscsi_receive_row *row = connection->row;
	enum iscsi_receive result = row ? row->done(connection) : ISCSI_RECEIVE_OK;

	connection->inside_pdu = false;
	if (connection->phase == ISCSI_PHASE_DEAD)
		return ISCSI_RECEIVE_CLOSED;
	iscsi_release_receive_list(connection);
	connection->receiving = NULL;
	connection->row = NULL;
	if (!connection->waiting)
		iscsi_receive_replay(connection);
	if (connection->phase == ISCSI_PHASE_DEAD)
		return ISCSI_RECEIVE_CLOSED;
	return connection->waiting && !iscsi_must_read_on(connection) ? ISCSI_RECEIVE_WAIT : result;
}

enum iscsi_receive iscsi_receive_into_list(struct iscsi_connection *connection, const uint8_t *bhs)
{
	bool share_used;

	if (bhs_data_bytes(bhs) == 0)
		return ISCSI_RECEIVE_OK;
	if (!sgl_alloc_share(connection->reactor->scsi.pool, &connection->share, &connection->receive_list,
			     bhs_data_bytes(bhs), SGL_ISCSI, &share_used))
		return iscsi_connection_wait(connection, share_used ? ISCSI_WAIT_SHARE : ISCSI_WAIT_POOL);
	connection->mover->sink = (struct iscsi_sink){ &connection->receive_list, 0 };
	return ISCSI_RECEIVE_OK;
}
