/*
 * Incoming PDUs: one table says in which phases a kind is allowed, whether it is ordered by CmdSN, whether it may have
 * AHS, and which two functions handle it: `header` decides where the data segment goes, `done` acts on the whole PDU.
 *
 * A PDU that came ahead of its CmdSN is kept and offered again when the gap is filled (RFC 7143 4.2.2.1).
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

static const struct iscsi_receive_row rows[64] = {
	/*                         phases              ordered discov ahs    header                   done */
	[ISCSI_LOGIN_REQUEST]  = { IN_LOGIN,             false, true,  false, iscsi_receive_into_list, iscsi_login_done },
	[ISCSI_NOP_OUT]        = { IN_FULL | IN_LOGOUT,  true,  true,  false, iscsi_receive_into_list, iscsi_nop_done },
	[ISCSI_SCSI_COMMAND]   = { IN_FULL,              true,  false, true,  iscsi_command_header,    iscsi_command_done },
	[ISCSI_TASK_REQUEST]   = { IN_FULL,              true,  false, false, iscsi_receive_into_list, iscsi_task_management_done },
	[ISCSI_TEXT_REQUEST]   = { IN_FULL,              true,  true,  false, iscsi_receive_into_list, iscsi_text_done },
	[ISCSI_DATA_OUT]       = { IN_FULL | IN_LOGOUT,  false, false, false, iscsi_data_out_header,   iscsi_data_out_done },
	[ISCSI_LOGOUT_REQUEST] = { IN_FULL,              true,  true,  false, iscsi_receive_into_list, iscsi_logout_done },
	[ISCSI_SNACK_REQUEST]  = { IN_FULL,              false, false, false, iscsi_receive_into_list, snack_done },
};

/* --- PDUs ahead of their CmdSN --- */

static enum iscsi_receive held_done(struct iscsi_connection *connection)
{
	struct iscsi_session *session = connection->session;
	uint32_t data_bytes = bhs_data_bytes(connection->bhs);
	struct iscsi_held *held = malloc(sizeof *held + data_bytes);
	struct list *before = &session->held;

	if (!held) {
		iscsi_connection_drop(connection, "out of memory");
		return ISCSI_RECEIVE_CLOSED;
	}
	held->cmdsn = bhs_cmdsn(connection->bhs);
	held->data_bytes = data_bytes;
	memcpy(held->bhs, connection->bhs, sizeof held->bhs);
	sgl_copy_out(&connection->receive_list, 0, held->data, data_bytes);
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

static const struct iscsi_receive_row held_row = { .header = iscsi_receive_into_list, .done = held_done };

static bool held_already(const struct iscsi_session *session, uint32_t cmdsn)
{
	list_for_each(node, &session->held)
		if (container_of(node, struct iscsi_held, link)->cmdsn == cmdsn)
			return true;
	return false;
}

/* Offers the first held PDU when its turn has come; true when it was taken. */
static bool replay_one(struct iscsi_connection *connection)
{
	struct iscsi_session *session = connection->session;
	struct iscsi_held *held;
	struct iscsi_sink *sink = &connection->mover->sink;
	const struct iscsi_receive_row *row;

	if (!session || list_empty(&session->held))
		return false;
	held = container_of(session->held.next, struct iscsi_held, link);
	if (serial_lt(session->expcmdsn, held->cmdsn))
		return false;
	sink->list = NULL;
	if (!serial_lt(held->cmdsn, session->expcmdsn)) { /* else: a task management function took its place */
		if (iscsi_receive_header(connection, held->bhs) != ISCSI_RECEIVE_OK)
			return false;
		if (sink->list)
			sgl_copy_in(sink->list, sink->offset, held->data, held->data_bytes);
	}
	list_remove(&held->link);
	session->held_count--;
	session->gap_since_ns = session->reactor->now_ns;
	free(held);
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
	else if (connection->session && connection->session->discovery && !row->discovery) {
		iscsi_reject(connection, ISCSI_REJECT_PROTOCOL, bhs);
		*ret_result = connection->phase == ISCSI_PHASE_DEAD ? ISCSI_RECEIVE_CLOSED : discard(connection);
	} else
		return row;
	return NULL;
}

enum iscsi_receive iscsi_receive_header(struct iscsi_connection *connection, const uint8_t *bhs)
{
	struct iscsi_session *session = connection->session;
	enum iscsi_receive result;
	const struct iscsi_receive_row *row;

	if (connection->phase == ISCSI_PHASE_DEAD)
		return ISCSI_RECEIVE_CLOSED;
	connection->last_receive_ns = connection->reactor->now_ns;
	connection->receiving = NULL;
	row = admit(connection, bhs, &result);
	if (!row)
		return result;
	if (connection->replies_queued >= ISCSI_REPLIES_MAX) {
		iscsi_connection_wait(connection);
		return ISCSI_RECEIVE_WAIT;
	}
	if (row->ordered && !bhs_immediate(bhs)) {
		switch (iscsi_session_order(session, bhs)) {
		case ISCSI_IN_ORDER:
			break;
		case ISCSI_OUTSIDE:
			return discard(connection);
		case ISCSI_AHEAD:
			if (held_already(session, bhs_cmdsn(bhs)))
				return discard(connection);
			if (session->held_count >= ISCSI_HELD_MAX)
				return closed(connection, "too many PDUs ahead of a missing CmdSN");
			row = &held_row;
		}
	}
	memcpy(connection->bhs, bhs, ISCSI_BHS_BYTES + bhs_ahs_bytes(bhs));
	connection->row = row;
	result = row->header(connection, connection->bhs);
	if (result == ISCSI_RECEIVE_OK && row->ordered)
		iscsi_session_accept(session, bhs);
	return result;
}

enum iscsi_receive iscsi_receive_done(struct iscsi_connection *connection)
{
	const struct iscsi_receive_row *row = connection->row;
	enum iscsi_receive result = row ? row->done(connection) : ISCSI_RECEIVE_OK;

	if (connection->phase == ISCSI_PHASE_DEAD)
		return ISCSI_RECEIVE_CLOSED;
	iscsi_release_receive_list(connection);
	connection->receiving = NULL;
	connection->row = NULL;
	if (connection->session && connection->session->held_count)
		iscsi_receive_replay(connection);
	if (connection->phase == ISCSI_PHASE_DEAD)
		return ISCSI_RECEIVE_CLOSED;
	return connection->waiting ? ISCSI_RECEIVE_WAIT : result;
}

enum iscsi_receive iscsi_receive_into_list(struct iscsi_connection *connection, const uint8_t *bhs)
{
	if (bhs_data_bytes(bhs) == 0)
		return ISCSI_RECEIVE_OK;
	if (!sgl_alloc(connection->reactor->scsi.pool, &connection->receive_list, bhs_data_bytes(bhs), SGL_ISCSI)) {
		iscsi_connection_wait(connection);
		return ISCSI_RECEIVE_WAIT;
	}
	connection->mover->sink = (struct iscsi_sink){ &connection->receive_list, 0 };
	return ISCSI_RECEIVE_OK;
}
