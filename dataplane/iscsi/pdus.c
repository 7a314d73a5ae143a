/* Login, NOP, Text and Logout PDUs of a connection (RFC 7143 sections 11.10 to 11.15, 11.18, 11.19). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/iscsi/iscsi.h"
#include "log.h"

/* The data segment of the PDU at hand in one piece: login data always fits one element, a long text may not. */
static const uint8_t *flat_data(struct iscsi_connection *connection)
{
	return connection->receive_list.count == 1 ? connection->receive_list.element[0].iov_base : NULL;
}

/* --- login --- */

static void send_login_response(struct iscsi_connection *connection, const struct iscsi_login_response *response)
{
	struct iscsi_pdu *pdu = iscsi_reply_new(connection, ISCSI_LOGIN_RESPONSE, response->data, response->data_bytes);

	if (!pdu)
		return;
	memcpy(pdu->bhs, response->bhs, ISCSI_BHS_BYTES);
	iscsi_reply_send(connection, pdu);
}

void iscsi_login_refused(struct iscsi_connection *connection, const struct iscsi_login_response *response)
{
	const struct iscsi_login_facts *facts = iscsi_login_facts(connection->login);

	stats_add(connection->reactor->stats, STAT_logins_refused, 1);
	log_limited(LOG_NOTICE, "login refused, %s initiator=%s peer=%s portal=%s", facts->reason,
		    log_quoted(facts->initiator_name), connection->peer_text, connection->peer.portal->name);
	if (!response) {
		iscsi_connection_drop(connection, NULL);
		return;
	}
	send_login_response(connection, response);
	iscsi_connection_finish(connection);
}

/* The target is another worker's: the socket goes there, with this PDU, which is all that was said so far. */
static void hand_over(struct iscsi_connection *connection)
{
	uint8_t bytes[ISCSI_BHS_BYTES + ISCSI_LOGIN_DATA_MAX];
	uint32_t data_bytes = pdu_padded(bhs_data_bytes(connection->bhs));
	unsigned owner = iscsi_login_facts(connection->login)->owner;
	int fd, result;

	memset(bytes, 0, sizeof bytes);
	memcpy(bytes, connection->bhs, ISCSI_BHS_BYTES);
	sgl_copy_out(&connection->receive_list, 0, bytes + ISCSI_BHS_BYTES, data_bytes);
	fd = connection->mover->ops->release(connection->mover);
	result = fd < 0 ? -EOPNOTSUPP
			: connection->reactor->node->hand_over(owner, connection->peer.portal->name, fd, bytes,
							       ISCSI_BHS_BYTES + data_bytes);
	if (result < 0) {
		stats_add(connection->reactor->stats, STAT_logins_refused, 1);
		log_limited(LOG_WARNING, "connection closed, worker %u takes no hand-over: %s peer=%s", owner,
			    strerror(-result), connection->peer_text);
	}
	iscsi_connection_drop(connection, NULL);
}

enum iscsi_receive iscsi_login_done(struct iscsi_connection *connection)
{
	struct iscsi_login_response response;
	uint8_t none = 0;
	const uint8_t *data = bhs_data_bytes(connection->bhs) ? flat_data(connection) : &none;
	enum iscsi_login_next next = iscsi_login_step(connection->login, connection->bhs, data, &response);

	connection->login_pdus++;
	connection->cid = iscsi_login_facts(connection->login)->cid;
	switch (next) {
	case ISCSI_LOGIN_REPLY:
		send_login_response(connection, &response);
		break;
	case ISCSI_LOGIN_DONE:
		connection->phase = ISCSI_PHASE_ESTABLISH;
		iscsi_session_establish(connection);
		break;
	case ISCSI_LOGIN_HANDOVER:
		if (connection->login_pdus == 1 && !connection->handed_over) {
			hand_over(connection);
			break;
		}
		iscsi_login_finish(connection->login, 0x0301, 0, &response);
		iscsi_login_refused(connection, &response);
		break;
	case ISCSI_LOGIN_FAILED:
		iscsi_login_refused(connection, &response);
		break;
	case ISCSI_LOGIN_DROP:
		iscsi_login_refused(connection, NULL);
		break;
	}
	return connection->phase == ISCSI_PHASE_DEAD ? ISCSI_RECEIVE_CLOSED : ISCSI_RECEIVE_OK;
}

void iscsi_login_accepted(struct iscsi_connection *connection)
{
	struct iscsi_login_response response;

	iscsi_login_finish(connection->login, 0, connection->session->tsih, &response);
	send_login_response(connection, &response);
}

/* --- NOP --- */

void iscsi_ping(struct iscsi_connection *connection)
{
	struct iscsi_pdu *pdu = iscsi_reply_new(connection, ISCSI_NOP_IN, NULL, 0);

	if (!pdu)
		return;
	if (++connection->ping_ttt == ISCSI_NO_TAG)
		connection->ping_ttt = 0;
	connection->ping_sent_ns = connection->reactor->now_ns;
	put_be32(pdu->bhs + 16, ISCSI_NO_TAG);
	put_be32(pdu->bhs + 20, connection->ping_ttt);
	pdu->advances_statsn = false;
	iscsi_reply_send(connection, pdu);
}

/* A NOP-Out that answers our NOP-In, or asks for nothing. */
static void ping_answered(struct iscsi_connection *connection)
{
	uint32_t ttt = bhs_ttt(connection->bhs);

	if (!bhs_immediate(connection->bhs))
		iscsi_reject(connection, ISCSI_REJECT_INVALID_FIELD, connection->bhs);
	else if (ttt == ISCSI_NO_TAG || (connection->ping_sent_ns && ttt == connection->ping_ttt))
		connection->ping_sent_ns = 0;
	else
		iscsi_reject(connection, ISCSI_REJECT_INVALID_FIELD, connection->bhs);
}

enum iscsi_receive iscsi_nop_done(struct iscsi_connection *connection)
{
	const uint8_t *bhs = connection->bhs;
	uint32_t echo_bytes = bhs_data_bytes(bhs);
	struct iscsi_pdu *pdu;

	if (bhs_itt(bhs) == ISCSI_NO_TAG) {
		ping_answered(connection);
		return ISCSI_RECEIVE_OK;
	}
	pdu = iscsi_reply_new(connection, ISCSI_NOP_IN, NULL, 0);
	if (!pdu)
		return ISCSI_RECEIVE_CLOSED;
	memcpy(pdu->bhs + 8, bhs + 8, 8);
	put_be32(pdu->bhs + 16, bhs_itt(bhs));
	put_be32(pdu->bhs + 20, ISCSI_NO_TAG);
	if (echo_bytes > connection->params.max_send_bytes)
		echo_bytes = connection->params.max_send_bytes;
	if (echo_bytes)
		iscsi_reply_take_list(pdu, &connection->receive_list, echo_bytes);
	iscsi_reply_send(connection, pdu);
	return ISCSI_RECEIVE_OK;
}

/* --- text --- */

static void text_end(struct iscsi_connection *connection)
{
	free(connection->text);
	connection->text = NULL;
	connection->text_bytes = connection->text_sent = 0;
	connection->text_answering = false;
}

static void send_text(struct iscsi_connection *connection, const void *data, uint32_t data_bytes, bool final, bool more)
{
	struct iscsi_pdu *pdu = iscsi_reply_new(connection, ISCSI_TEXT_RESPONSE, data, data_bytes);

	if (!pdu)
		return;
	pdu->bhs[1] = (uint8_t)((final ? 0x80 : 0) | (more ? 0x40 : 0));
	memcpy(pdu->bhs + 8, connection->bhs + 8, 8);
	put_be32(pdu->bhs + 16, bhs_itt(connection->bhs));
	connection->text_open = !final;
	if (!final && ++connection->text_ttt == ISCSI_NO_TAG)
		connection->text_ttt = 0;
	put_be32(pdu->bhs + 20, final ? ISCSI_NO_TAG : connection->text_ttt);
	iscsi_reply_send(connection, pdu);
}

/* The next piece of an answer that may be longer than the initiator's MaxRecvDataSegmentLength. */
static void send_text_piece(struct iscsi_connection *connection)
{
	size_t left = connection->text_bytes - connection->text_sent;
	uint32_t n = left < connection->params.max_send_bytes ? (uint32_t)left : connection->params.max_send_bytes;
	const char *at = connection->text + connection->text_sent;

	connection->text_sent += n;
	send_text(connection, at, n, n == left && bhs_final(connection->bhs), n < left);
	if (n == left)
		text_end(connection);
}

static bool gather_text(struct iscsi_connection *connection)
{
	uint32_t n = bhs_data_bytes(connection->bhs);
	char *text;

	if (connection->text_bytes + n > iscsi_config_settings(connection->session->config)->max_login_text_bytes)
		return false;
	text = realloc(connection->text, connection->text_bytes + n + 1);
	if (!text)
		return false;
	connection->text = text;
	sgl_copy_out(&connection->receive_list, 0, text + connection->text_bytes, n);
	connection->text_bytes += n;
	return true;
}

static void answer_text(struct iscsi_connection *connection)
{
	struct iscsi_session *session = connection->session;
	size_t answer_bytes;
	uint8_t reject = 0;
	char *answer = iscsi_text_answer(session->config, session->facts, &connection->peer, connection->text,
					 connection->text_bytes, &connection->params, &answer_bytes, &reject);

	text_end(connection);
	if (reject) {
		free(answer);
		iscsi_reject(connection, reject, connection->bhs);
		return;
	}
	if (!answer) {
		iscsi_connection_drop(connection, "out of memory");
		return;
	}
	connection->mover->ops->set_max_send(connection->mover, connection->params.max_send_bytes);
	connection->text = answer;
	connection->text_bytes = answer_bytes;
	connection->text_answering = true;
	send_text_piece(connection);
}

enum iscsi_receive iscsi_text_done(struct iscsi_connection *connection)
{
	const uint8_t *bhs = connection->bhs;
	bool fresh = bhs_ttt(bhs) == ISCSI_NO_TAG;

	if (fresh)
		text_end(connection); /* a new exchange ends an unfinished one */
	if ((!fresh && (!connection->text_open || bhs_ttt(bhs) != connection->text_ttt)) ||
	    (bhs_final(bhs) && bhs_continue(bhs)))
		iscsi_reject(connection, ISCSI_REJECT_PROTOCOL, bhs);
	else if (connection->text_answering && bhs_data_bytes(bhs) == 0)
		send_text_piece(connection);
	else if (connection->text_answering || !gather_text(connection)) {
		text_end(connection);
		iscsi_reject(connection, ISCSI_REJECT_PROTOCOL, bhs);
	} else if (bhs_continue(bhs))
		send_text(connection, NULL, 0, false, false);
	else
		answer_text(connection);
	return connection->phase == ISCSI_PHASE_DEAD ? ISCSI_RECEIVE_CLOSED : ISCSI_RECEIVE_OK;
}

/* --- logout --- */

enum { LOGOUT_SESSION = 0, LOGOUT_CONNECTION = 1, LOGOUT_RECOVERY = 2 };
enum { LOGOUT_DONE = 0, LOGOUT_CID_NOT_FOUND = 1, LOGOUT_NO_RECOVERY = 2 };

static void answer_logout(struct iscsi_connection *connection, uint32_t itt, uint8_t response)
{
	struct iscsi_pdu *pdu = iscsi_reply_new(connection, ISCSI_LOGOUT_RESPONSE, NULL, 0);

	if (!pdu)
		return;
	pdu->bhs[2] = response;
	put_be32(pdu->bhs + 16, itt);
	put_be16(pdu->bhs + 40, connection->params.time2wait_s);
	put_be16(pdu->bhs + 42, connection->params.time2retain_s);
	iscsi_reply_send(connection, pdu);
}

void iscsi_logout_maybe_answer(struct iscsi_connection *connection)
{
	if (connection->phase != ISCSI_PHASE_LOGOUT || connection->session->task_count)
		return;
	connection->logged_out = true;
	answer_logout(connection, connection->logout_itt, LOGOUT_DONE);
	iscsi_connection_finish(connection);
}

/* Tasks that still wait for data end now, and what goes on in the background, for its nexus ends; those that execute are
 * answered before the logout is (RFC 7143 11.14). */
static void begin_logout(struct iscsi_connection *connection)
{
	connection->phase = ISCSI_PHASE_LOGOUT;
	connection->logout_itt = bhs_itt(connection->bhs);
	list_for_each_safe(node, &connection->session->tasks) {
		struct iscsi_task *task = container_of(node, struct iscsi_task, link);

		if (task->state == ISCSI_TASK_RECEIVING || task->scsi.background)
			iscsi_task_abort(task);
	}
	iscsi_logout_maybe_answer(connection);
}

enum iscsi_receive iscsi_logout_done(struct iscsi_connection *connection)
{
	const uint8_t *bhs = connection->bhs;
	uint8_t reason = bhs[1] & 0x7f;

	if (reason == LOGOUT_SESSION || (reason == LOGOUT_CONNECTION && bhs_cid(bhs) == connection->cid))
		begin_logout(connection);
	else if (reason == LOGOUT_CONNECTION)
		answer_logout(connection, bhs_itt(bhs), LOGOUT_CID_NOT_FOUND);
	else if (reason == LOGOUT_RECOVERY)
		answer_logout(connection, bhs_itt(bhs), LOGOUT_NO_RECOVERY);
	else
		iscsi_reject(connection, ISCSI_REJECT_INVALID_FIELD, bhs);
	return connection->phase == ISCSI_PHASE_DEAD ? ISCSI_RECEIVE_CLOSED : ISCSI_RECEIVE_OK;
}
