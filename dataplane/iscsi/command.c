/*
 * SCSI Command, Data-Out, R2T and SCSI Response (RFC 7143 sections 4.2.4, 11.2 to 11.4, 11.7, 11.8).
 *
 *   command --begin--> data-in or no data ------------------------------------> execute --> respond
 *                 \--> data-out: immediate, unsolicited, then R2Ts until all is there ---^
 *                 \--> finished early (sense): what is owed unsolicited is taken and discarded first ---> respond
 */
#include <string.h>

#include "clock.h"
#include "dataplane/iscsi/iscsi.h"
#include "log.h"

#define ASC_UNEXPECTED_UNSOLICITED_DATA 0x0c0c
#define ASC_PROTOCOL_SERVICE_CRC_ERROR  0x4705
#define KEY_ABORTED_COMMAND             0x0b
#define LATE_DATA_NS                    (30 * NS_PER_S) /* Data-Out of aborted tasks may still come so long */

/* Target transfer tags name the place in the pool, its use, and the R2T: 16 + 8 + 3 bits, never all ones. */
static uint32_t make_ttt(const struct iscsi_task *task, unsigned index)
{
	return task->slot << 11 | (uint32_t)task->generation << 3 | index;
}

static struct iscsi_r2t *find_r2t(struct iscsi_session *session, uint32_t ttt)
{
	uint32_t slot = ttt >> 11;
	struct iscsi_task *task;
	struct iscsi_r2t *r2t;

	if (slot >= session->reactor->tasks_touched)
		return NULL;
	task = &session->reactor->tasks[slot];
	r2t = &task->r2t[ttt & 7];
	if (task->state != ISCSI_TASK_RECEIVING || task->session != session || !r2t->active || r2t->ttt != ttt)
		return NULL;
	return r2t;
}

/* --- response --- */

/* An R2T may be reported as sent long after its data came, and the task executes: then it is not quiet. */
static void pdu_gone(struct iscsi_task *task)
{
	if (--task->pdus_queued == 0 && task->state != ISCSI_TASK_EXECUTING &&
	    (task->scsi.aborted || task->state == ISCSI_TASK_RESPONDING))
		iscsi_task_quiet(task);
}

static void response_sent(struct iscsi_pdu *pdu)
{
	pdu_gone(container_of(pdu, struct iscsi_task, response));
}

/* How much the CDB moves against what the initiator expects (RFC 7143 11.4.5): O, U and the count, at the places that
 * SCSI Response and Data-In share. */
static void put_residual(const struct iscsi_task *task, uint32_t moves_bytes, uint8_t *bhs)
{
	uint32_t expects = task->read || task->write ? task->edtl : 0;

	if (moves_bytes > expects) {
		bhs[1] |= 0x04;
		put_be32(bhs + 44, moves_bytes - expects);
	} else if (moves_bytes < expects) {
		bhs[1] |= 0x02;
		put_be32(bhs + 44, expects - moves_bytes);
	}
}

static uint32_t bytes_moved(const struct iscsi_task *task)
{
	switch (task->scsi.direction) {
	case SCSI_DATA_IN:
		return task->scsi.status == SCSI_GOOD ? task->scsi.data_in_bytes : 0;
	case SCSI_DATA_OUT:
		return task->scsi.data_bytes;
	case SCSI_DATA_NONE:
		break;
	}
	return 0;
}

static void put_sense(struct iscsi_task *task)
{
	struct iscsi_pdu *pdu = &task->response;

	if (task->scsi.sense_len_bytes == 0)
		return;
	put_be16(task->sense_segment, task->scsi.sense_len_bytes);
	memcpy(task->sense_segment + 2, task->scsi.sense, task->scsi.sense_len_bytes);
	pdu->data = task->sense_segment;
	pdu->data_bytes = 2U + task->scsi.sense_len_bytes;
}

static void send_response(struct iscsi_task *task)
{
	struct iscsi_session *session = task->session;
	struct iscsi_connection *connection = session->connection;
	struct scsi_task *scsi = &task->scsi;
	struct iscsi_pdu *pdu = &task->response;
	uint32_t moves = bytes_moved(task), expects = task->read ? task->edtl : 0;
	uint32_t send_bytes = scsi->direction != SCSI_DATA_IN ? 0 : moves < expects ? moves : expects;

	task->pdus_queued++;
	memset(pdu->bhs, 0, sizeof pdu->bhs);
	pdu->bhs[1] = 0x80;
	pdu->bhs[3] = scsi->status;
	put_be32(pdu->bhs + 16, task->itt);
	put_residual(task, moves, pdu->bhs);
	pdu->advances_statsn = true;
	pdu->sent = response_sent;
	pdu->data = NULL;
	pdu->list = NULL;
	if (send_bytes) {
		sgl_hand(&scsi->data, SGL_SCSI, SGL_ISCSI);
		pdu->bhs[0] = ISCSI_DATA_IN;
		put_be32(pdu->bhs + 20, ISCSI_NO_TAG);
		pdu->data_in = true;
		pdu->list = &scsi->data;
		pdu->data_bytes = send_bytes;
		sgl_hand(&scsi->data, SGL_ISCSI, SGL_DATAMOVER);
		connection->mover->ops->put_data(connection->mover, pdu);
		return;
	}
	if (scsi->data.owner != SGL_NOBODY) {
		sgl_release_share(session->reactor->scsi.pool, &connection->share, &scsi->data, SGL_SCSI);
		session->reactor->released = true;
	}
	pdu->bhs[0] = ISCSI_SCSI_RESPONSE;
	pdu->data_in = false;
	pdu->data_bytes = 0;
	put_be32(pdu->bhs + 36, task->next_r2tsn); /* ExpDataSN */
	put_sense(task);
	connection->mover->ops->send_control(connection->mover, pdu);
}

static void respond(struct iscsi_task *task)
{
	iscsi_count_response(task);
	iscsi_task_worked(task);
	scsi_task_end(&task->scsi);
	task->state = ISCSI_TASK_RESPONDING;
	send_response(task);
}

/* It stays in the session, executing, until it is done; its command has ended, and the tag may come again. */
static void scsi_answered(struct scsi_task *scsi)
{
	struct iscsi_task *task = container_of(scsi, struct iscsi_task, scsi);

	list_remove(&task->itt_link);
	iscsi_count_response(task);
	iscsi_task_worked(task);
	send_response(task);
}

static void background_done(struct iscsi_task *task)
{
	scsi_task_end(&task->scsi);
	task->state = ISCSI_TASK_RESPONDING; /* that was before; the PDU may still be in the transport */
	task->session->reactor->check_aborts |= !list_empty(&task->session->reactor->aborts);
	iscsi_task_quiet(task);
}

static void scsi_done(struct scsi_task *scsi)
{
	struct iscsi_task *task = container_of(scsi, struct iscsi_task, scsi);

	if (scsi->background) {
		background_done(task);
	} else if (scsi->aborted) {
		task->state = ISCSI_TASK_RECEIVING; /* nobody works on it any more */
		task->session->reactor->check_aborts |= !list_empty(&task->session->reactor->aborts);
		iscsi_task_quiet(task);
	} else {
		respond(task);
	}
}

static bool path_gone(const struct scsi_task *scsi)
{
	struct datamover *mover = container_of(scsi, struct iscsi_task, scsi)->session->connection->mover;

	return mover->ops->peer_closed(mover);
}

/* --- getting the data-out --- */

static void r2t_sent(struct iscsi_pdu *pdu);

static struct iscsi_r2t *free_r2t(struct iscsi_task *task)
{
	for (unsigned i = 0; i < ISCSI_R2TS_MAX; i++)
		if (!task->r2t[i].active && !task->r2t[i].queued)
			return &task->r2t[i];
	return NULL;
}

static void send_r2t(struct iscsi_task *task, struct iscsi_r2t *r2t, uint32_t len_bytes)
{
	struct iscsi_connection *connection = task->session->connection;
	uint8_t *bhs = r2t->pdu.bhs;

	r2t->task = task;
	r2t->ttt = make_ttt(task, (unsigned)(r2t - task->r2t));
	r2t->offset = task->requested_bytes;
	r2t->len_bytes = len_bytes;
	r2t->received_bytes = r2t->next_datasn = 0;
	r2t->active = r2t->queued = true;
	memset(bhs, 0, ISCSI_BHS_BYTES);
	bhs[0] = ISCSI_R2T;
	bhs[1] = 0x80;
	put_be64(bhs + 8, task->scsi.lun);
	put_be32(bhs + 16, task->itt);
	put_be32(bhs + 20, r2t->ttt);
	put_be32(bhs + 36, task->next_r2tsn++);
	put_be32(bhs + 40, r2t->offset);
	put_be32(bhs + 44, len_bytes);
	r2t->pdu.data = NULL;
	r2t->pdu.list = NULL;
	r2t->pdu.data_bytes = 0;
	r2t->pdu.data_in = false;
	r2t->pdu.sent = r2t_sent;
	task->requested_bytes += len_bytes;
	task->r2ts_active++;
	task->pdus_queued++;
	connection->mover->ops->get_data(connection->mover, r2t);
}

static void request_data(struct iscsi_task *task)
{
	const struct iscsi_params *params = &task->session->connection->params;

	if (task->requested_bytes < task->received_bytes)
		task->requested_bytes = task->received_bytes;
	while (task->requested_bytes < task->wanted_bytes && task->r2ts_active < params->max_outstanding_r2t) {
		uint32_t left = task->wanted_bytes - task->requested_bytes;
		struct iscsi_r2t *r2t = free_r2t(task);

		if (!r2t)
			return;
		send_r2t(task, r2t, left < params->max_burst_bytes ? left : params->max_burst_bytes);
	}
}

/* When every R2T of the task was still in the transport, the next could not be sent before now. */
static void r2t_sent(struct iscsi_pdu *pdu)
{
	struct iscsi_r2t *r2t = container_of(pdu, struct iscsi_r2t, pdu);
	struct iscsi_task *task = r2t->task;

	r2t->queued = false;
	if (task->state == ISCSI_TASK_RECEIVING && !task->scsi.aborted && !task->finished_early &&
	    task->session->connection->phase != ISCSI_PHASE_DEAD)
		request_data(task);
	pdu_gone(task);
}

/* After each piece: is all there that the task waits for? */
static void progress(struct iscsi_task *task)
{
	if (task->unsolicited_open)
		return;
	if (task->finished_early) {
		if (task->r2ts_active == 0)
			respond(task);
		return;
	}
	if (task->received_bytes < task->wanted_bytes) {
		request_data(task);
		return;
	}
	task->state = ISCSI_TASK_EXECUTING;
	scsi_task_execute(&task->scsi);
}

/* --- SCSI Command --- */

static enum iscsi_receive reject(struct iscsi_connection *connection, enum iscsi_reject reason, const uint8_t *bhs)
{
	connection->row = NULL; /* its data is discarded */
	if (!bhs_immediate(bhs))
		iscsi_session_command_ended(connection->session);
	iscsi_reject(connection, reason, bhs);
	return connection->phase == ISCSI_PHASE_DEAD ? ISCSI_RECEIVE_CLOSED : ISCSI_RECEIVE_OK;
}

/* The CDB, with what an Extended CDB AHS adds (RFC 7143 11.2.2.3). False: malformed AHS. */
static bool take_cdb(struct scsi_task *scsi, const uint8_t *bhs)
{
	struct wire_reader r = wire_reader(bhs + ISCSI_BHS_BYTES, bhs_ahs_bytes(bhs));

	memcpy(scsi->cdb, bhs_cdb(bhs), 16);
	scsi->cdb_len_bytes = 16;
	while (wire_left(&r)) {
		uint16_t length = wire_get_u16(&r);
		uint8_t type = wire_get_u8(&r) & 0x3f;
		const uint8_t *body = wire_get_bytes(&r, pdu_padded(3U + length) - 3U);

		if (!body || length == 0)
			return false;
		if (type != 1 || scsi->cdb_len_bytes != 16)
			continue;
		scsi->cdb_len_bytes = (uint16_t)(16 + length - 1);
		memcpy(scsi->cdb + 16, body + 1, length - 1 < SCSI_CDB_MAX - 16 ? length - 1 : SCSI_CDB_MAX - 16);
	}
	return true;
}

/* Data that comes without being asked for, where the parameters do not allow it. */
static bool unsolicited_allowed(const struct iscsi_connection *connection, const struct iscsi_task *task,
				const uint8_t *bhs)
{
	uint32_t immediate_bytes = bhs_data_bytes(bhs);
	const struct iscsi_params *params = &connection->params;

	if (!bhs_final(bhs) && (params->initial_r2t || !task->write))
		return false;
	if (immediate_bytes == 0)
		return true;
	return params->immediate_data && task->write && immediate_bytes <= params->first_burst_bytes &&
	       immediate_bytes <= task->edtl;
}

/* False: no buffers now, and *ret_reason is what to wait for. */
static bool allocate_data(struct iscsi_task *task, enum iscsi_wait *ret_reason)
{
	struct iscsi_session *session = task->session;
	struct scsi_task *scsi = &task->scsi;
	uint32_t edtl = task->write ? task->edtl : 0, bytes = scsi->data_bytes;
	bool share_used;

	if (scsi->direction == SCSI_DATA_OUT) {
		if (bytes > edtl)
			bytes = edtl;
		task->wanted_bytes = bytes;
	}
	if (scsi->direction == SCSI_DATA_NONE)
		bytes = 0;
	if (sgl_alloc_share(session->reactor->scsi.pool, &session->connection->share, &scsi->data, bytes, SGL_SCSI,
			    &share_used))
		return true;
	*ret_reason = share_used ? ISCSI_WAIT_SHARE : ISCSI_WAIT_POOL;
	return false;
}

static enum iscsi_receive begin(struct iscsi_connection *connection, struct iscsi_task *task, const uint8_t *bhs)
{
	struct scsi_task *scsi = &task->scsi;
	enum iscsi_wait reason;

	scsi->done = scsi_done;
	scsi->answered = scsi_answered;
	scsi->path_gone = path_gone;
	if (!unsolicited_allowed(connection, task, bhs)) {
		scsi_task_fail(scsi, KEY_ABORTED_COMMAND, ASC_UNEXPECTED_UNSOLICITED_DATA);
		task->finished_early = true;
	} else if (scsi_task_begin(scsi) == SCSI_FINISHED) {
		task->finished_early = true;
	} else if (!allocate_data(task, &reason)) {
		iscsi_task_free(task);
		return iscsi_connection_wait(connection, reason);
	}
	task->lun = scsi_task_user(scsi);
	iscsi_count_begin(task);
	task->unsolicited_open = task->write && !bhs_final(bhs);
	connection->receiving = task;
	connection->mover->sink = (struct iscsi_sink){ task->wanted_bytes ? &scsi->data : NULL, 0 };
	return ISCSI_RECEIVE_OK;
}

enum iscsi_receive iscsi_command_header(struct iscsi_connection *connection, const uint8_t *bhs)
{
	struct iscsi_session *session = connection->session;
	struct iscsi_task *task;

	if (bhs_itt(bhs) == ISCSI_NO_TAG || (bhs[1] & 0x60) == 0x60)
		return reject(connection, ISCSI_REJECT_INVALID_FIELD, bhs); /* no bidirectional commands */
	if (iscsi_task_find(session, bhs_itt(bhs)))
		return reject(connection, ISCSI_REJECT_TASK_IN_PROGRESS, bhs);
	if (bhs_immediate(bhs) && session->immediate_count >= ISCSI_IMMEDIATE_MAX)
		return reject(connection, ISCSI_REJECT_IMMEDIATE, bhs);
	/* it does not read its responses; its LUNs are being changed */
	if (session->task_count > 2U * iscsi_target_params(session->target)->queue_depth + ISCSI_IMMEDIATE_MAX ||
	    session->next_view)
		return iscsi_connection_wait(connection, ISCSI_WAIT_OWN);
	/* as with buffers: at most as many tasks as are left for the others */
	if (session->task_count > ISCSI_TASKS_PER_REACTOR - session->reactor->tasks_in_use)
		return iscsi_connection_wait(connection, ISCSI_WAIT_SHARE);
	task = iscsi_task_new(session, bhs);
	if (!task)
		return iscsi_connection_wait(connection, ISCSI_WAIT_POOL);
	if (!take_cdb(&task->scsi, bhs)) {
		iscsi_task_free(task);
		iscsi_protocol_error(connection, "malformed additional header segment");
		return ISCSI_RECEIVE_CLOSED;
	}
	return begin(connection, task, bhs);
}

enum iscsi_receive iscsi_command_done(struct iscsi_connection *connection)
{
	struct iscsi_task *task = connection->receiving;

	if (task) {
		task->received_bytes = bhs_data_bytes(connection->bhs);
		progress(task);
	}
	return ISCSI_RECEIVE_OK;
}

/* --- Data-Out --- */

static enum iscsi_receive bad_data(struct iscsi_connection *connection, const char *why)
{
	connection->row = NULL;
	iscsi_protocol_error(connection, why);
	return ISCSI_RECEIVE_CLOSED;
}

/* Data for a task that is gone: no error when tasks were aborted a short time ago (the R2T was under way). */
static enum iscsi_receive stray_data(struct iscsi_connection *connection, const char *why)
{
	struct iscsi_session *session = connection->session;

	if (session->aborted_ns && session->reactor->now_ns - session->aborted_ns < LATE_DATA_NS) {
		connection->row = NULL;
		return ISCSI_RECEIVE_OK;
	}
	return bad_data(connection, why);
}

/* A DataSN out of sequence means that a PDU was lost: the command fails, the connection lives (RFC 7143 7.8). What is
 * still owed of its data is taken and discarded. */
static void data_lost(struct iscsi_task *task)
{
	if (task->finished_early)
		return;
	stats_add(task->session->reactor->stats, STAT_protocol_errors, 1);
	log_limited(LOG_NOTICE, "write failed, DataSN out of sequence initiator=%s target=%s",
		    log_quoted(task->session->initiator_name), task->session->target_name);
	scsi_task_give_up(&task->scsi, KEY_ABORTED_COMMAND, ASC_PROTOCOL_SERVICE_CRC_ERROR);
	task->finished_early = true;
}

static enum iscsi_receive receive_data(struct iscsi_connection *connection, struct iscsi_task *task, uint32_t offset)
{
	bool wanted = !task->finished_early && offset < task->wanted_bytes;

	connection->receiving = task;
	connection->mover->sink = (struct iscsi_sink){ wanted ? &task->scsi.data : NULL, offset };
	return ISCSI_RECEIVE_OK;
}

static enum iscsi_receive unsolicited_header(struct iscsi_connection *connection, const uint8_t *bhs)
{
	struct iscsi_task *task = iscsi_task_find(connection->session, bhs_itt(bhs));
	uint32_t first_burst = connection->params.first_burst_bytes;

	if (!task || task->scsi.aborted)
		return stray_data(connection, "unsolicited Data-Out for no task");
	if (task->state != ISCSI_TASK_RECEIVING || !task->unsolicited_open)
		return bad_data(connection, "unsolicited Data-Out that is not expected");
	if (bhs_data_bytes(bhs) > first_burst || task->received_bytes > first_burst - bhs_data_bytes(bhs) ||
	    task->received_bytes + bhs_data_bytes(bhs) > task->edtl)
		return bad_data(connection, "unsolicited data beyond FirstBurstLength");
	if (bhs_datasn(bhs) != task->unsolicited_datasn++)
		data_lost(task);
	else if (bhs_buffer_offset(bhs) != task->received_bytes && !task->finished_early)
		return bad_data(connection, "unsolicited Data-Out out of order");
	return receive_data(connection, task, task->received_bytes);
}

static enum iscsi_receive solicited_header(struct iscsi_connection *connection, const uint8_t *bhs)
{
	struct iscsi_r2t *r2t = find_r2t(connection->session, bhs_ttt(bhs));
	uint32_t n = bhs_data_bytes(bhs);

	if (!r2t || r2t->task->itt != bhs_itt(bhs))
		return stray_data(connection, "Data-Out for an unknown Target Transfer Tag");
	if (r2t->task->scsi.aborted)
		return stray_data(connection, "Data-Out for an aborted task");
	if (n > r2t->len_bytes - r2t->received_bytes)
		return bad_data(connection, "Data-Out beyond the R2T");
	if (bhs_datasn(bhs) != r2t->next_datasn++)
		data_lost(r2t->task);
	if (!r2t->task->finished_early && bhs_buffer_offset(bhs) != r2t->offset + r2t->received_bytes)
		return bad_data(connection, "Data-Out out of order");
	if (!r2t->task->finished_early && bhs_final(bhs) != (r2t->received_bytes + n == r2t->len_bytes))
		return bad_data(connection, "Data-Out with a wrong final bit");
	return receive_data(connection, r2t->task, r2t->offset + r2t->received_bytes);
}

enum iscsi_receive iscsi_data_out_header(struct iscsi_connection *connection, const uint8_t *bhs)
{
	return bhs_ttt(bhs) == ISCSI_NO_TAG ? unsolicited_header(connection, bhs) : solicited_header(connection, bhs);
}

void iscsi_data_arrived(struct iscsi_r2t *r2t)
{
	r2t->active = false;
	r2t->task->r2ts_active--;
	progress(r2t->task);
}

enum iscsi_receive iscsi_data_out_done(struct iscsi_connection *connection)
{
	struct iscsi_task *task = connection->receiving;
	const uint8_t *bhs = connection->bhs;
	uint32_t n = bhs_data_bytes(bhs);
	struct iscsi_r2t *r2t;

	if (!task)
		return ISCSI_RECEIVE_OK; /* aborted meanwhile */
	task->received_bytes += n;
	if (bhs_ttt(bhs) == ISCSI_NO_TAG) {
		if (bhs_final(bhs)) {
			task->unsolicited_open = false;
			progress(task);
		}
		return ISCSI_RECEIVE_OK;
	}
	r2t = &task->r2t[bhs_ttt(bhs) & 7];
	r2t->received_bytes += n;
	if (bhs_final(bhs))
		iscsi_data_arrived(r2t);
	return ISCSI_RECEIVE_OK;
}
