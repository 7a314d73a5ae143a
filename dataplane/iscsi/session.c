/*
 * Sessions: establishing and reinstating them, the command window, changes of the configuration, their end.
 *
 * Reinstatement (RFC 7143 6.3.5): a login with the names and ISID of a session that exists, after it was authenticated,
 * ends that session; the new one begins when every task of the old is quiet. The wait is bounded by the login deadline: a
 * store that hangs costs the new login its time, and never lets an old write land behind a new one.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "dataplane/iscsi/iscsi.h"
#include "hash.h"
#include "log.h"

struct successor {
	struct list link; /* old session->successors; node->lock */
	struct mail mail;
	struct iscsi_connection *connection;
};

/* A message to a session that may be gone when it arrives. */
struct kick {
	struct mail mail;
	struct iscsi_reactor *reactor;
	uint64_t session_id;
};

static struct list *bucket(struct iscsi_node *node, const char *initiator_name, const uint8_t *isid)
{
	return &node->sessions[hash_bytes(hash_text(initiator_name), isid, 6) % ISCSI_SESSION_BUCKETS];
}

static struct iscsi_session *find(struct iscsi_node *node, const struct iscsi_login_facts *facts, const char *target_name,
				  uint16_t tag)
{
	list_for_each(pos, bucket(node, facts->initiator_name, facts->isid)) {
		struct iscsi_session *session = container_of(pos, struct iscsi_session, node_link);

		if (memcmp(session->isid, facts->isid, 6) == 0 && session->tag == tag &&
		    strcmp(session->initiator_name, facts->initiator_name) == 0 &&
		    strcmp(session->target_name, target_name) == 0)
			return session;
	}
	return NULL;
}

struct iscsi_session *iscsi_session_of_id(struct iscsi_reactor *reactor, uint64_t id)
{
	list_for_each(node, &reactor->connections) {
		struct iscsi_connection *connection = container_of(node, struct iscsi_connection, reactor_link);

		if (connection->session && connection->session->id == id)
			return connection->session;
	}
	return NULL;
}

/* --- reinstatement --- */

static void kicked(struct mail *mail)
{
	struct kick *kick = container_of(mail, struct kick, mail);
	struct iscsi_session *session = iscsi_session_of_id(kick->reactor, kick->session_id);

	if (session) {
		session->reinstated = true;
		iscsi_connection_drop(session->connection, "reinstated by a new login");
	}
	free(kick);
}

static void predecessor_gone(struct mail *mail)
{
	struct successor *successor = container_of(mail, struct successor, mail);
	struct iscsi_connection *connection = successor->connection;

	free(successor);
	connection->holds--;
	if (connection->phase == ISCSI_PHASE_ESTABLISH)
		iscsi_session_establish(connection);
	else
		iscsi_connection_maybe_bury(connection);
}

/* Lock held. Asks `old` to end; the connection is called again when it has. False: no memory. */
static bool succeed(struct iscsi_session *old, struct iscsi_connection *connection)
{
	struct successor *successor = malloc(sizeof *successor);
	struct kick *kick = malloc(sizeof *kick);

	if (!successor || !kick) {
		free(successor);
		free(kick);
		return false;
	}
	successor->connection = connection;
	successor->mail.run = predecessor_gone;
	connection->holds++;
	list_append(&old->successors, &successor->link);
	*kick = (struct kick){ .mail.run = kicked, .reactor = old->reactor, .session_id = old->id };
	mailbox_post(old->reactor->scsi.mailbox, &kick->mail);
	return true;
}

/* --- establishing --- */

static uint16_t new_tsih(struct iscsi_node *node)
{
	if (++node->last_tsih == 0)
		node->last_tsih = 1;
	return node->last_tsih;
}

static struct scsi_nexus *new_nexus(struct iscsi_node *node, struct iscsi_session *session)
{
	struct scsi_port port = { .portal_group_tag = session->tag,
				  .relative_port_id = iscsi_target_relative_port(session->target, session->tag) };
	struct scsi_nexus *nexus;

	snprintf(port.initiator_name, sizeof port.initiator_name, "%s", session->initiator_name);
	snprintf(port.target_name, sizeof port.target_name, "%s", session->target_name);
	memcpy(port.isid, session->isid, 6);
	session->view = iscsi_view_new(node, session->target, session->initiator_name);
	nexus = session->view ? scsi_nexus_new(session->id, &port, session->view->inventory) : NULL;
	if (nexus)
		scsi_nexus_set_port_groups(nexus, iscsi_node_port_groups(node, session->target_name));
	return nexus;
}

static void init_lists(struct iscsi_session *session)
{
	list_init(&session->node_link);
	list_init(&session->held);
	list_init(&session->tasks);
	list_init(&session->successors);
	for (unsigned i = 0; i < ISCSI_ITT_BUCKETS; i++)
		list_init(&session->itt[i]);
}

static void release(struct iscsi_session *session)
{
	if (session->nexus)
		scsi_nexus_free(session->nexus);
	iscsi_view_free(session->view);
	iscsi_view_free(session->next_view);
	iscsi_count_flush(session->reactor); /* it may refer to us */
	stats_release(session->stats);
	iscsi_config_unref(session->config);
	iscsi_config_unref(session->next_config);
	free(session->facts);
	free(session);
}

/* Lock held. NULL: no memory. */
static struct iscsi_session *make(struct iscsi_connection *connection, const struct iscsi_target *target)
{
	struct iscsi_node *node = connection->reactor->node;
	const struct iscsi_login_facts *facts = iscsi_login_facts(connection->login);
	struct iscsi_session *session = calloc(1, sizeof *session);

	if (!session)
		return NULL;
	init_lists(session);
	session->connection = connection;
	session->reactor = connection->reactor;
	session->id = ++node->last_nexus_id;
	session->since_wall_ms = clock_wall_ms();
	memcpy(session->initiator_name, facts->initiator_name, sizeof session->initiator_name);
	memcpy(session->initiator_alias, facts->initiator_alias, sizeof session->initiator_alias);
	memcpy(session->isid, facts->isid, 6);
	session->tsih = new_tsih(node);
	session->tag = connection->peer.portal->tag;
	session->discovery = facts->discovery;
	session->authenticated = facts->authenticated;
	session->config = iscsi_config_ref(node->config);
	session->target = target;
	session->expcmdsn = facts->cmdsn;
	session->maxcmdsn = facts->cmdsn + (target ? iscsi_target_params(target)->queue_depth : 16U) - 1;
	session->facts = malloc(sizeof *session->facts);
	if (session->facts)
		*session->facts = *facts;
	if (target) {
		snprintf(session->target_name, sizeof session->target_name, "%s", iscsi_target_name(target));
		session->nexus = new_nexus(node, session);
	}
	if (!session->facts || (target && !session->nexus)) {
		release(session);
		return NULL;
	}
	session->facts->target = target;
	list_append(bucket(node, session->initiator_name, session->isid), &session->node_link);
	node->session_count++;
	return session;
}

static unsigned sessions_of(struct iscsi_node *node, const char *target_name)
{
	unsigned count = 0;

	for (unsigned i = 0; i < ISCSI_SESSION_BUCKETS; i++)
		list_for_each(pos, &node->sessions[i])
			count += strcmp(container_of(pos, struct iscsi_session, node_link)->target_name, target_name) == 0;
	return count;
}

enum { WAIT_FOR_PREDECESSOR = 1 };

/* Lock held. The configuration may have changed since the login began: what counts is what is in force now. 0: the
 * session is in connection->session; WAIT_FOR_PREDECESSOR; a login status otherwise. */
static int establish_locked(struct iscsi_connection *connection)
{
	struct iscsi_node *node = connection->reactor->node;
	const struct iscsi_login_facts *facts = iscsi_login_facts(connection->login);
	const struct iscsi_target *target = NULL;
	struct iscsi_session *old;
	struct iscsi_grant grant;

	if (node->draining)
		return 0x0301;
	if (!facts->discovery) {
		target = iscsi_config_find_target(node->config, iscsi_target_name(facts->target));
		if (!target)
			return 0x0203;
		if (iscsi_target_worker(target) != node->worker)
			return 0x0301;
		iscsi_access_check(node->config, target, facts->initiator_name, &connection->peer, &grant);
		if (grant.access != ISCSI_ACCESS_OK)
			return grant.access == ISCSI_ACCESS_UNAVAILABLE ? 0x0301 : 0x0203;
	}
	old = find(node, facts, target ? iscsi_target_name(target) : "", connection->peer.portal->tag);
	if (facts->tsih)
		return old && old->tsih == facts->tsih ? 0x0206 : 0x020a;
	if (old && !facts->discovery)
		return succeed(old, connection) ? WAIT_FOR_PREDECESSOR : 0x0302;
	if (target && iscsi_target_params(target)->max_sessions &&
	    sessions_of(node, iscsi_target_name(target)) >= iscsi_target_params(target)->max_sessions)
		return 0x0302;
	connection->session = make(connection, target);
	return connection->session ? 0 : 0x0302;
}

static void count_login(struct iscsi_connection *connection)
{
	struct iscsi_session *session = connection->session;
	struct stats_segment *segment = connection->reactor->node->stats;
	char name[32];

	stats_add(connection->reactor->stats, STAT_logins, 1);
	stats_add(connection->reactor->stats, STAT_sessions, 1);
	if (session->discovery)
		return;
	snprintf(name, sizeof name, "%u-%llu", connection->reactor->node->worker, (unsigned long long)session->id);
	session->stats = stats_claim(segment, STATS_SESSION, name, connection->reactor->index);
	session->target_stats = iscsi_target_stats(connection->reactor, session->target_name);
	if (session->target_stats) {
		stats_add(session->target_stats, STAT_logins, 1);
		stats_add(session->target_stats, STAT_sessions, 1);
	}
}

void iscsi_session_tell(const struct iscsi_connection *connection, const char *kind, const char *what)
{
	const struct iscsi_session *session = connection->session;
	const struct iscsi_node *node = connection->reactor->node;
	char object[40], text[768];

	if (!node->event || session->discovery)
		return;
	snprintf(object, sizeof object, "session:%u-%llu", node->worker, (unsigned long long)session->id);
	snprintf(text, sizeof text, "%s of %s from %s: %s", session->initiator_name, session->target_name, connection->peer_text,
		 what);
	node->event(kind, object, text);
}

static void enter_full_feature_phase(struct iscsi_connection *connection)
{
	struct iscsi_session *session = connection->session;

	connection->params = *iscsi_login_params(connection->login);
	count_login(connection); /* first: when the response cannot be sent, it counts as dropped */
	iscsi_login_accepted(connection);
	if (connection->phase == ISCSI_PHASE_DEAD)
		return;
	connection->mover->ops->enable(connection->mover, &connection->params);
	connection->phase = ISCSI_PHASE_FULL;
	connection->deadline_ns = 0;
	iscsi_login_free(connection->login);
	connection->login = NULL;
	iscsi_release_login_data(connection);
	if (session->discovery) {
		log_debug("discovery session initiator=%s peer=%s", log_quoted(session->initiator_name),
			  connection->peer_text);
		return;
	}
	log_limited(LOG_INFO, "session established initiator=%s target=%s peer=%s session=%u-%llu",
		    log_quoted(session->initiator_name), session->target_name, connection->peer_text,
		    connection->reactor->node->worker, (unsigned long long)session->id);
	iscsi_session_tell(connection, "login", "logged in");
}

void iscsi_session_establish(struct iscsi_connection *connection)
{
	struct iscsi_node *node = connection->reactor->node;
	struct iscsi_login_response response;
	int status;

	pthread_mutex_lock(&node->lock);
	status = establish_locked(connection);
	pthread_mutex_unlock(&node->lock);
	if (status == WAIT_FOR_PREDECESSOR) {
		connection->reinstates = true;
		return;
	}
	if (status) {
		iscsi_login_finish(connection->login, (uint16_t)status, 0, &response);
		iscsi_login_refused(connection, &response);
		return;
	}
	if (connection->reinstates && connection->session->nexus)
		scsi_nexus_unit_attention(connection->session->nexus, 0x2907); /* I_T NEXUS LOSS OCCURRED */
	enter_full_feature_phase(connection);
}

void iscsi_session_free(struct iscsi_session *session)
{
	struct iscsi_node *node = session->reactor->node;
	struct list successors, *pos;

	list_init(&successors);
	pthread_mutex_lock(&node->lock);
	list_remove(&session->node_link);
	node->session_count--;
	list_splice(&successors, &session->successors);
	pthread_mutex_unlock(&node->lock);
	while ((pos = list_take(&session->held)))
		iscsi_held_free(session->reactor, container_of(pos, struct iscsi_held, link));
	release(session); /* the nexus is gone before a successor's is made */
	while ((pos = list_take(&successors))) {
		struct successor *successor = container_of(pos, struct successor, link);

		mailbox_post(successor->connection->reactor->scsi.mailbox, &successor->mail);
	}
}

/* --- the command window --- */

enum iscsi_order iscsi_session_order(const struct iscsi_session *session, const uint8_t *bhs)
{
	uint32_t cmdsn = bhs_cmdsn(bhs);

	if (serial_lt(cmdsn, session->expcmdsn) || serial_lt(session->maxcmdsn, cmdsn))
		return ISCSI_OUTSIDE;
	return cmdsn == session->expcmdsn ? ISCSI_IN_ORDER : ISCSI_AHEAD;
}

void iscsi_session_accept(struct iscsi_session *session, const uint8_t *bhs)
{
	if (bhs_immediate(bhs))
		return;
	session->expcmdsn++;
	if (bhs_opcode(bhs) != ISCSI_SCSI_COMMAND)
		session->maxcmdsn++; /* only SCSI commands hold a place in the window until they end */
}

void iscsi_session_command_ended(struct iscsi_session *session)
{
	session->maxcmdsn++;
}

void iscsi_session_task_ended(struct iscsi_session *session)
{
	struct iscsi_connection *connection = session->connection;

	if (connection->phase == ISCSI_PHASE_LOGOUT)
		iscsi_logout_maybe_answer(connection);
	else if (connection->phase == ISCSI_PHASE_DEAD)
		iscsi_connection_maybe_bury(connection);
	else if (session->next_view)
		iscsi_session_try_switch(session);
}

void iscsi_session_abort_tasks(struct iscsi_session *session, const struct scsi_lu *lu)
{
	struct iscsi_connection *connection = session->connection;

	connection->holds++; /* the last task's end may end the session */
	list_for_each_safe(node, &session->tasks) {
		struct iscsi_task *task = container_of(node, struct iscsi_task, link);

		if (!lu || (session->nexus && scsi_nexus_find_lu(session->nexus, task->scsi.lun) == lu))
			iscsi_task_abort(task);
	}
	connection->holds--;
	iscsi_connection_maybe_bury(connection);
}

/* --- the administrator's side --- */

void iscsi_session_request_logout(struct iscsi_session *session, unsigned grace_s)
{
	struct iscsi_connection *connection = session->connection;
	struct iscsi_pdu *pdu;

	if (connection->phase != ISCSI_PHASE_FULL || session->logout_requested)
		return;
	session->logout_requested = true;
	session->logout_deadline_ns = session->reactor->now_ns + grace_s * NS_PER_S;
	pdu = iscsi_reply_new(connection, ISCSI_ASYNC_MESSAGE, NULL, 0);
	if (!pdu)
		return;
	put_be32(pdu->bhs + 16, ISCSI_NO_TAG);
	pdu->bhs[36] = 1; /* AsyncEvent: the target requests logout */
	put_be16(pdu->bhs + 42, (uint16_t)grace_s);
	iscsi_reply_send(connection, pdu);
}
