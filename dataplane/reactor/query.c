/* What control asks of a worker: sessions, jobs, port groups, reservations, maps; logging a session out, cancelling a job ... */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "dataplane/reactor/internal.h"
#include "json_text.h"
#include "log.h"

#define LOGOUT_GRACE_S 10

struct question {
	struct worker *worker;
	uint64_t id;
	unsigned reactors_left;
	pthread_mutex_t lock;   /* result, found: reactors add to them */
	json_t *result;
	uint64_t session_id;
	bool found;
};

static void reply(struct worker *worker, uint64_t id, unsigned status, const json_t *value)
{
	char *text = json_text(value, JSON_COMPACT | JSON_ENCODE_ANY);
	int fd = text ? memfd_with("lunette-reply", text, strlen(text)) : -ENOMEM;

	free(text);
	if (fd < 0) {
		log_error("cannot answer control: %s", strerror(-fd));
		return;
	}
	worker_send(worker, MSG_REPLY, &(struct msg_REPLY){ id, status, fd });
	close(fd);
}

static void reply_error(struct worker *worker, uint64_t id, int error, const char *text)
{
	json_t *value = json_string(text);

	reply(worker, id, (unsigned)-error, value);
	json_decref(value);
}

/* --- sessions --- */

static json_t *session_json(const struct iscsi_session *session)
{
	const struct iscsi_connection *connection = session->connection;
	const struct iscsi_params *params = &connection->params;
	unsigned worker = session->reactor->node->worker;
	char id[32], isid[16], since[CLOCK_TEXT_LEN];
	const uint8_t *i = session->isid;

	snprintf(id, sizeof id, "%u-%llu", worker, (unsigned long long)session->id);
	snprintf(isid, sizeof isid, "%02x%02x%02x%02x%02x%02x", i[0], i[1], i[2], i[3], i[4], i[5]);
	clock_format(session->since_wall_ms, since);
	return json_pack("{s:s, s:i, s:i, s:s, s:s, s:s, s:s, s:i, s:i, s:b, s:b, s:s, s:s, s:s, s:s, s:I, s:i, "
			 "s:{s:b, s:b, s:b, s:b, s:I, s:I, s:I, s:I, s:i}}",
			 "id", id, "worker", worker, "reactor", session->reactor->index,
			 "initiator", session->initiator_name, "initiator_alias", session->initiator_alias,
			 "target", session->target_name, "isid", isid, "tsih", session->tsih,
			 "portal_group_tag", session->tag, "discovery", session->discovery, "authenticated",
			 session->authenticated, "address", connection->peer_text, "portal", connection->peer.portal->name,
			 "transport", connection->mover->ops->name, "since", since, "tasks", (json_int_t)session->task_count,
			 "luns", session->view ? (int)session->view->count : 0,
			 "parameters", "header_digest", params->header_digest, "data_digest", params->data_digest,
			 "initial_r2t", params->initial_r2t, "immediate_data", params->immediate_data,
			 "max_recv_data_segment_bytes", (json_int_t)params->max_recv_bytes,
			 "max_send_data_segment_bytes", (json_int_t)params->max_send_bytes,
			 "max_burst_bytes", (json_int_t)params->max_burst_bytes,
			 "first_burst_bytes", (json_int_t)params->first_burst_bytes,
			 "max_outstanding_r2t", params->max_outstanding_r2t);
}

static void list_sessions(struct reactor *reactor, void *arg)
{
	struct question *question = arg;

	list_for_each(node, &reactor->iscsi.connections) {
		struct iscsi_session *session = container_of(node, struct iscsi_connection, reactor_link)->session;
		json_t *value;

		if (!session || session->connection->phase == ISCSI_PHASE_DEAD)
			continue;
		value = session_json(session);
		pthread_mutex_lock(&question->lock);
		json_array_append_new(question->result, value);
		pthread_mutex_unlock(&question->lock);
	}
}

static void log_out(struct reactor *reactor, void *arg)
{
	struct question *question = arg;
	struct iscsi_session *session = iscsi_session_of_id(&reactor->iscsi, question->session_id);

	if (!session)
		return;
	iscsi_session_request_logout(session, LOGOUT_GRACE_S);
	pthread_mutex_lock(&question->lock);
	question->found = true;
	pthread_mutex_unlock(&question->lock);
}

static void answered(void *arg)
{
	struct question *question = arg;

	if (--question->reactors_left)
		return;
	if (question->session_id && !question->found)
		reply_error(question->worker, question->id, -ENOENT, "no such session");
	else
		reply(question->worker, question->id, 0, question->result);
	json_decref(question->result);
	pthread_mutex_destroy(&question->lock);
	free(question);
}

static void ask_reactors(struct worker *worker, uint64_t id, uint64_t session_id,
			 void (*run)(struct reactor *reactor, void *arg))
{
	struct question *question = calloc(1, sizeof *question);
	unsigned count = worker->reactors ? worker->node.reactor_count : 0;

	if (!question || count == 0) {
		free(question);
		reply_error(worker, id, -EAGAIN, "the worker is not serving yet");
		return;
	}
	question->worker = worker;
	question->id = id;
	question->session_id = session_id;
	question->result = json_array();
	question->reactors_left = count;
	pthread_mutex_init(&question->lock, NULL);
	for (unsigned i = 0; i < count; i++)
		if (reactor_call(&worker->reactors[i], run, &worker->mailbox, answered, question) < 0)
			answered(question);
}

/* --- targets --- */

/* One that another worker serves now is known here, too: the configuration says whose it is. */
static void reply_port_groups(struct worker *worker, uint64_t id, const char *target_name)
{
	struct iscsi_config *config = iscsi_node_config(&worker->node);
	struct scsi_port_groups *groups = NULL;
	json_t *value;

	if (config && iscsi_config_find_target(config, target_name)) {
		pthread_mutex_lock(&worker->node.lock);
		groups = iscsi_node_port_groups(&worker->node, target_name);
		pthread_mutex_unlock(&worker->node.lock);
	}
	iscsi_config_unref(config);
	if (!groups) { /* they stay as long as the node */
		reply_error(worker, id, -ENOENT, "the target is not served by this worker");
		return;
	}
	value = scsi_port_groups_json(groups);
	reply(worker, id, 0, value);
	json_decref(value);
}

/* --- LUNs --- */

static struct iscsi_lun *find_lun(struct worker *worker, uint64_t id, const char *name)
{
	struct iscsi_lun *lun = iscsi_node_find_lun(&worker->node, name);

	if (!lun)
		reply_error(worker, id, -ENOENT, "the LUN is not served by this worker");
	return lun;
}

void worker_query(struct worker *worker, const struct msg_QUERY *query)
{
	struct iscsi_lun *lun;
	json_t *value;

	if (strcmp(query->what, "sessions") == 0) {
		ask_reactors(worker, query->id, 0, list_sessions);
	} else if (strcmp(query->what, "jobs") == 0) {
		value = scsi_jobs_json(worker->jobs);
		reply(worker, query->id, 0, value);
		json_decref(value);
	} else if (strncmp(query->what, "port-groups:", 12) == 0) {
		reply_port_groups(worker, query->id, query->what + 12);
	} else if (strncmp(query->what, "reservations:", 13) == 0) {
		lun = find_lun(worker, query->id, query->what + 13);
		if (!lun)
			return;
		value = scsi_lu_reservations_json(lun->lu);
		reply(worker, query->id, 0, value);
		json_decref(value);
	} else if (strncmp(query->what, "map:", 4) == 0) {
		lun = find_lun(worker, query->id, query->what + 4);
		if (!lun)
			return;
		value = lun_map_json(lun->lun);
		reply(worker, query->id, 0, value);
		json_decref(value);
	} else {
		reply_error(worker, query->id, -EINVAL, "no such question");
	}
}

void worker_command(struct worker *worker, const struct msg_COMMAND *command)
{
	unsigned worker_number;
	unsigned long long session_id;
	struct err err = { 0 };
	struct iscsi_lun *lun;

	if (sscanf(command->what, "logout:%u-%llu", &worker_number, &session_id) == 2) {
		if (worker_number == worker->options->index && session_id)
			ask_reactors(worker, command->id, session_id, log_out);
		else
			reply_error(worker, command->id, -ENOENT, "no such session");
	} else if (strncmp(command->what, "job-cancel:", 11) == 0) {
		int result = scsi_jobs_cancel(worker->jobs, command->what + 11);

		reply(worker, command->id, (unsigned)-result, json_null());
	} else if (strncmp(command->what, "reservations-clear:", 19) == 0) {
		lun = find_lun(worker, command->id, command->what + 19);
		if (lun && scsi_lu_reservations_clear(lun->lu, &err) < 0)
			reply_error(worker, command->id, err.code, err.text);
		else if (lun)
			reply(worker, command->id, 0, json_null());
	} else {
		reply_error(worker, command->id, -EINVAL, "no such command");
	}
}
