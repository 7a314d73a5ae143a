/*
 * Connections: their life, outgoing control PDUs, time-outs. See iscsi.h.
 *
 * A connection ends in one place, iscsi_connection_drop(): the transport is closed (which gives back every queued PDU),
 * the tasks are aborted, and when the last of them is quiet the session ends and the memory is freed at the end of the
 * reactor's turn, because events fetched in this turn may still name it.
 */
#include "dataplane/iscsi/iscsi.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "log.h"

static void address_text(const struct sockaddr_storage *address, char *ret_text, size_t size)
{
	char host[INET6_ADDRSTRLEN] = "?";

	if (address->ss_family == AF_INET) {
		const struct sockaddr_in *in = (const struct sockaddr_in *)address;

		inet_ntop(AF_INET, &in->sin_addr, host, sizeof host);
		snprintf(ret_text, size, "%s:%u", host, ntohs(in->sin_port));
	} else if (address->ss_family == AF_INET6) {
		const struct sockaddr_in6 *in = (const struct sockaddr_in6 *)address;

		inet_ntop(AF_INET6, &in->sin6_addr, host, sizeof host);
		snprintf(ret_text, size, "[%s]:%u", host, ntohs(in->sin6_port));
	} else {
		snprintf(ret_text, size, "local");
	}
}

struct iscsi_connection *iscsi_connection_new(struct iscsi_reactor *reactor, const struct iscsi_peer *peer)
{
	struct iscsi_connection *connection = calloc(1, sizeof *connection);
	struct iscsi_config *config = iscsi_node_config(reactor->node);

	if (!connection || !config)
		goto fail;
	connection->login = iscsi_login_new(config, reactor->node->worker, peer);
	if (!connection->login)
		goto fail;
	connection->reactor = reactor;
	connection->peer = *peer;
	address_text(&peer->peer, connection->peer_text, sizeof connection->peer_text);
	connection->statsn = 1;
	connection->last_receive_ns = reactor->now_ns;
	connection->deadline_ns = reactor->now_ns + iscsi_config_settings(config)->login_timeout_s * NS_PER_S;
	list_init(&connection->wait_link);
	list_append(&reactor->connections, &connection->reactor_link);
	reactor->connection_count++;
	stats_add(reactor->stats, STAT_connections, 1);
	iscsi_config_unref(config);
	return connection;
fail:
	iscsi_config_unref(config);
	free(connection);
	return NULL;
}

void iscsi_release_receive_list(struct iscsi_connection *connection)
{
	if (connection->receive_list.owner == SGL_NOBODY)
		return;
	sgl_release_share(connection->reactor->scsi.pool, &connection->share, &connection->receive_list, SGL_ISCSI);
	connection->reactor->released = true;
}

void iscsi_release_login_data(struct iscsi_connection *connection)
{
	free(connection->login_data);
	connection->login_data = NULL;
	connection->receive_list.count = 0; /* it was its element */
	connection->reactor->login_text_bytes -= connection->login_text_bytes;
	connection->login_text_bytes = 0;
}

static void log_drop(struct iscsi_connection *connection, const char *why)
{
	struct iscsi_session *session = connection->session;

	if (!why)
		return;
	if (session)
		log_limited(LOG_NOTICE, "session ended, %s initiator=%s target=%s peer=%s", why,
			    log_quoted(session->initiator_name), session->target_name, connection->peer_text);
	else
		log_limited(connection->login_pdus ? LOG_NOTICE : LOG_INFO, "connection closed before login, %s peer=%s", why,
			    connection->peer_text);
}

static void count_end(struct iscsi_connection *connection)
{
	struct stats_slot *stats = connection->reactor->stats;
	enum stats_counter counter = connection->logged_out ? STAT_logouts : STAT_sessions_dropped;

	stats_add(stats, STAT_connections, (uint64_t)-1);
	if (!connection->session)
		return;
	stats_add(stats, counter, 1);
	stats_add(stats, STAT_sessions, (uint64_t)-1);
	if (connection->session->target_stats) {
		stats_add(connection->session->target_stats, counter, 1);
		stats_add(connection->session->target_stats, STAT_sessions, (uint64_t)-1);
	}
}

void iscsi_connection_drop(struct iscsi_connection *connection, const char *why)
{
	bool wanted = connection->phase == ISCSI_PHASE_FINISH;
	bool full = connection->session && connection->phase >= ISCSI_PHASE_FULL;

	if (connection->phase == ISCSI_PHASE_DEAD)
		return;
	connection->phase = ISCSI_PHASE_DEAD;
	connection->holds++;
	if (connection->session) { /* first of all: its initiator may be writing the same blocks through another path already */
		iscsi_held_abort(connection->session, NULL, NULL);
		iscsi_session_abort_tasks(connection->session, NULL);
	}
	log_drop(connection, wanted ? NULL : why);
	if (full)
		iscsi_session_tell(connection, "logout", connection->logged_out ? "logged out" : why ? why : "ended");
	count_end(connection);
	list_remove(&connection->wait_link);
	connection->waiting = false;
	connection->row = NULL;
	connection->receiving = NULL;
	if (connection->mover) {
		connection->mover->sink.list = NULL;
		connection->mover->ops->terminate(connection->mover);
	}
	iscsi_release_receive_list(connection);
	connection->holds--;
	iscsi_connection_maybe_bury(connection);
}

void iscsi_connection_maybe_bury(struct iscsi_connection *connection)
{
	struct iscsi_session *session = connection->session;

	if (connection->phase != ISCSI_PHASE_DEAD || connection->buried || connection->holds ||
	    connection->replies_queued)
		return;
	if (session && session->task_count)
		return;
	if (session) {
		connection->session = NULL;
		iscsi_session_free(session);
	}
	list_remove(&connection->reactor_link);
	list_append(&connection->reactor->dead, &connection->reactor_link);
	connection->buried = true;
}

void iscsi_connection_free(struct iscsi_connection *connection)
{
	connection->reactor->connection_count--;
	if (connection->reactor->node->connection_closed)
		connection->reactor->node->connection_closed(&connection->peer);
	if (connection->mover)
		connection->mover->ops->free(connection->mover);
	if (connection->login)
		iscsi_release_login_data(connection);
	iscsi_login_free(connection->login);
	if (connection->held)
		iscsi_held_free(connection->reactor, connection->held);
	free(connection->text);
	free(connection);
}

enum iscsi_receive iscsi_connection_wait(struct iscsi_connection *connection, enum iscsi_wait reason)
{
	connection->wait_reason = reason;
	if (connection->waiting)
		return ISCSI_RECEIVE_WAIT;
	connection->waiting = true;
	list_append(&connection->reactor->waiting, &connection->wait_link);
	if (reason != ISCSI_WAIT_OWN)
		stats_add(connection->reactor->stats, STAT_buffer_waits, 1);
	return ISCSI_RECEIVE_WAIT;
}

void iscsi_connection_resume(struct iscsi_connection *connection)
{
	if (connection->phase == ISCSI_PHASE_DEAD || connection->waiting)
		return;
	if (!connection->inside_pdu) /* else that is done when the PDU is */
		iscsi_receive_replay(connection);
	if (connection->phase != ISCSI_PHASE_DEAD && (!connection->waiting || iscsi_must_read_on(connection)))
		connection->mover->ops->resume(connection->mover);
}

void iscsi_connection_finish(struct iscsi_connection *connection)
{
	if (connection->phase == ISCSI_PHASE_DEAD)
		return;
	connection->phase = ISCSI_PHASE_FINISH;
	connection->deadline_ns = connection->reactor->now_ns + ISCSI_FINISH_S * NS_PER_S;
	connection->mover->ops->finish(connection->mover);
}

void iscsi_transport_lost(struct iscsi_connection *connection, const char *why)
{
	iscsi_connection_drop(connection, why);
}

void iscsi_digest_error(struct iscsi_connection *connection, bool header)
{
	stats_add(connection->reactor->stats, STAT_digest_errors, 1);
	if (connection->session && connection->session->target_stats)
		stats_add(connection->session->target_stats, STAT_digest_errors, 1);
	iscsi_connection_drop(connection, header ? "header digest error" : "data digest error");
}

/* --- outgoing control PDUs --- */

struct reply {
	struct iscsi_pdu pdu;
	struct iscsi_connection *connection;
	struct sgl list; /* ping data */
	uint8_t data[];
};

static void reply_sent(struct iscsi_pdu *pdu)
{
	struct reply *reply = container_of(pdu, struct reply, pdu);
	struct iscsi_connection *connection = reply->connection;
	bool was_full = connection->replies_queued-- == ISCSI_REPLIES_MAX;

	if (reply->list.owner != SGL_NOBODY) {
		sgl_release_share(connection->reactor->scsi.pool, &connection->share, &reply->list, SGL_DATAMOVER);
		connection->reactor->released = true;
	}
	free(reply);
	if (was_full)
		connection->reactor->released = true; /* it waits with those for buffers */
	iscsi_connection_maybe_bury(connection);
}

struct iscsi_pdu *iscsi_reply_new(struct iscsi_connection *connection, enum iscsi_opcode opcode, const void *data,
				  uint32_t data_bytes)
{
	struct reply *reply = calloc(1, sizeof *reply + data_bytes);

	if (!reply) {
		iscsi_connection_drop(connection, "out of memory");
		return NULL;
	}
	reply->connection = connection;
	reply->pdu.sent = reply_sent;
	reply->pdu.advances_statsn = true;
	reply->pdu.bhs[0] = (uint8_t)opcode;
	reply->pdu.bhs[1] = 0x80;
	if (data_bytes) {
		memcpy(reply->data, data, data_bytes);
		reply->pdu.data = reply->data;
		reply->pdu.data_bytes = data_bytes;
	}
	list_init(&reply->pdu.link);
	return &reply->pdu;
}

void iscsi_reply_take_list(struct iscsi_pdu *pdu, struct sgl *list, uint32_t data_bytes)
{
	struct reply *reply = container_of(pdu, struct reply, pdu);

	reply->list = *list;
	list->count = 0;
	list->len_bytes = 0;
	list->owner = SGL_NOBODY;
	sgl_hand(&reply->list, SGL_ISCSI, SGL_DATAMOVER);
	pdu->list = &reply->list;
	pdu->data_bytes = data_bytes;
}

void iscsi_reply_send(struct iscsi_connection *connection, struct iscsi_pdu *pdu)
{
	connection->replies_queued++;
	connection->mover->ops->send_control(connection->mover, pdu);
}

void iscsi_reject(struct iscsi_connection *connection, enum iscsi_reject reason, const uint8_t *bhs)
{
	struct iscsi_pdu *pdu = iscsi_reply_new(connection, ISCSI_REJECT, bhs, ISCSI_BHS_BYTES);

	if (!pdu)
		return;
	stats_add(connection->reactor->stats, STAT_protocol_errors, 1);
	log_limited(LOG_NOTICE, "PDU rejected, opcode=0x%02x reason=0x%02x peer=%s", bhs_opcode(bhs), reason,
		    connection->peer_text);
	pdu->bhs[2] = (uint8_t)reason;
	put_be32(pdu->bhs + 16, ISCSI_NO_TAG);
	iscsi_reply_send(connection, pdu);
}

void iscsi_protocol_error(struct iscsi_connection *connection, const char *why)
{
	stats_add(connection->reactor->stats, STAT_protocol_errors, 1);
	iscsi_connection_drop(connection, why);
}

void iscsi_stamp(struct iscsi_connection *connection, uint8_t *bhs, bool advances_statsn)
{
	const struct iscsi_session *session = connection->session;
	uint32_t expcmdsn, maxcmdsn;

	put_be32(bhs + 24, connection->statsn);
	connection->statsn += advances_statsn;
	if (session) {
		expcmdsn = session->expcmdsn;
		maxcmdsn = session->maxcmdsn;
	} else {
		expcmdsn = maxcmdsn = connection->login ? iscsi_login_facts(connection->login)->cmdsn : 0;
	}
	put_be32(bhs + 28, expcmdsn);
	put_be32(bhs + 32, maxcmdsn);
}

/* --- time-outs, once a second --- */

static void tick_pings(struct iscsi_connection *connection)
{
	const struct iscsi_target *target = connection->session->target;
	const struct iscsi_target_params *params = target ? iscsi_target_params(target) : NULL;
	uint64_t now = connection->reactor->now_ns;

	if (!params || params->nop_interval_s == 0)
		return;
	if (connection->waiting && !iscsi_data_to_come(connection)) { /* we do not read: it cannot be blamed for our deafness */
		connection->last_receive_ns = now;
		if (connection->ping_sent_ns)
			connection->ping_sent_ns = now;
		return;
	}
	if (connection->ping_sent_ns) {
		if (now - connection->ping_sent_ns > params->nop_timeout_s * NS_PER_S)
			iscsi_connection_drop(connection, "the initiator does not answer NOP-In");
	} else if (now - connection->last_receive_ns > params->nop_interval_s * NS_PER_S) {
		iscsi_ping(connection);
	}
}

void iscsi_connection_tick(struct iscsi_connection *connection)
{
	uint64_t now = connection->reactor->now_ns;
	struct iscsi_session *session = connection->session;

	if (connection->phase == ISCSI_PHASE_DEAD)
		return;
	if (connection->deadline_ns && now > connection->deadline_ns) {
		iscsi_connection_drop(connection, "login timed out");
		return;
	}
	if (connection->mover->blocked_since_ns && now - connection->mover->blocked_since_ns > ISCSI_WRITE_STALL_S * NS_PER_S) {
		iscsi_connection_drop(connection, "the initiator takes no data");
		return;
	}
	if (!session)
		return;
	if (session->discovery && now - connection->last_receive_ns > ISCSI_DISCOVERY_IDLE_S * NS_PER_S) {
		iscsi_connection_drop(connection, "the discovery session asks for nothing");
		return;
	}
	if (session->logout_requested && now > session->logout_deadline_ns) {
		iscsi_connection_drop(connection, "the initiator did not log out when asked");
		return;
	}
	if (iscsi_session_has_gap(session) && now - session->gap_since_ns > ISCSI_GAP_S * NS_PER_S) {
		iscsi_protocol_error(connection, "a CmdSN is missing for too long");
		return;
	}
	if (connection->phase == ISCSI_PHASE_FULL)
		tick_pings(connection);
}
