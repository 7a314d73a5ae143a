/* Aborting the tasks of a filter in every reactor of the worker; see struct iscsi_abort in iscsi.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/iscsi/iscsi.h"

struct iscsi_abort_part {
	struct mail mail;
	struct list link;              /* reactor->aborts */
	struct iscsi_abort *abort;
	struct iscsi_reactor *reactor;
	uint64_t last_seq;             /* tasks begun later are not concerned */
};

static bool session_matches(const struct iscsi_abort_filter *filter, const struct iscsi_session *session)
{
	if (session->discovery || (filter->session_id && session->id != filter->session_id))
		return false;
	if (filter->target_name && strcmp(session->target_name, filter->target_name) != 0)
		return false;
	for (unsigned i = 0; i < filter->session_id_count; i++)
		if (filter->session_ids[i] == session->id)
			return true;
	return filter->session_ids == NULL;
}

static bool task_matches(const struct iscsi_abort_part *part, const struct iscsi_task *task)
{
	const struct iscsi_abort_filter *filter = &part->abort->filter;

	if (task->seq > part->last_seq || (filter->one_task && task->itt != filter->itt) ||
	    (filter->commands && task->scsi.background))
		return false;
	if (!filter->lu || scsi_nexus_find_lu(task->session->nexus, task->scsi.lun) == filter->lu)
		return true;
	return !filter->one_task && scsi_task_uses(&task->scsi, filter->lu);
}

static void abort_in_session(struct iscsi_abort_part *part, struct iscsi_session *session)
{
	struct iscsi_connection *connection = session->connection;

	connection->holds++;
	list_for_each_safe(node, &session->tasks) {
		struct iscsi_task *task = container_of(node, struct iscsi_task, link);

		if (task_matches(part, task))
			iscsi_task_abort(task);
	}
	connection->holds--;
	iscsi_connection_maybe_bury(connection);
}

static void begin_part(struct mail *mail)
{
	struct iscsi_abort_part *part = container_of(mail, struct iscsi_abort_part, mail);
	struct iscsi_reactor *reactor = part->reactor;

	if (part->last_seq == 0)
		part->last_seq = reactor->task_seq;
	list_for_each_safe(node, &reactor->connections) {
		struct iscsi_session *session = container_of(node, struct iscsi_connection, reactor_link)->session;

		if (session && session_matches(&part->abort->filter, session))
			abort_in_session(part, session);
	}
	list_append(&reactor->aborts, &part->link);
	reactor->check_aborts = true;
}

/* Nobody works on its tasks any more. What is left of one may be a PDU in the transport: it does nothing to the LU, and a
 * peer that does not read must not keep others waiting. */
static bool quiet(const struct iscsi_abort_part *part)
{
	list_for_each(node, &part->reactor->connections) {
		struct iscsi_session *session = container_of(node, struct iscsi_connection, reactor_link)->session;

		if (!session || !session_matches(&part->abort->filter, session))
			continue;
		list_for_each(pos, &session->tasks) {
			struct iscsi_task *task = container_of(pos, struct iscsi_task, link);

			if (task->scsi.aborted && task->state == ISCSI_TASK_EXECUTING && task_matches(part, task))
				return false;
		}
	}
	return true;
}

static void all_parts_done(struct mail *mail)
{
	struct iscsi_abort *abort = container_of(mail, struct iscsi_abort, mail);

	free(abort->parts);
	abort->done(abort);
}

static void end_part(struct iscsi_abort_part *part)
{
	struct iscsi_abort *abort = part->abort;

	list_remove(&part->link);
	if (abort->each)
		abort->each(abort, part->reactor);
	if (atomic_fetch_sub(&abort->parts_left, 1) == 1) {
		abort->mail.run = all_parts_done;
		mailbox_post(abort->reply_to, &abort->mail);
	}
}

void iscsi_abort_check(struct iscsi_reactor *reactor)
{
	reactor->check_aborts = false;
	list_for_each_safe(node, &reactor->aborts) {
		struct iscsi_abort_part *part = container_of(node, struct iscsi_abort_part, link);

		if (quiet(part))
			end_part(part);
	}
}

int iscsi_abort_start(struct iscsi_abort *abort, const struct iscsi_reactor *from)
{
	unsigned count = abort->node->reactor_count;

	abort->parts = calloc(count, sizeof *abort->parts);
	if (!abort->parts)
		return -ENOMEM;
	atomic_init(&abort->parts_left, count);
	for (unsigned i = 0; i < count; i++) {
		struct iscsi_abort_part *part = &abort->parts[i];

		part->mail.run = begin_part;
		list_init(&part->link);
		part->abort = abort;
		part->reactor = abort->node->reactor[i];
		if (part->reactor == from)
			part->last_seq = from->task_seq;
	}
	for (unsigned i = 0; i < count; i++)
		mailbox_post(abort->parts[i].reactor->scsi.mailbox, &abort->parts[i].mail);
	return 0;
}
