/* Tasks: a reactor's pool of them, their life, and aborting one. See iscsi.h. */
#include <string.h>

#include "dataplane/iscsi/iscsi.h"

static struct list *bucket(struct iscsi_session *session, uint32_t itt)
{
	return &session->itt[(itt ^ itt >> 16) % ISCSI_ITT_BUCKETS];
}

static struct iscsi_task *take(struct iscsi_reactor *reactor)
{
	struct list *node = list_take(&reactor->free_tasks);
	struct iscsi_task *task;

	if (node)
		return container_of(node, struct iscsi_task, link);
	if (reactor->tasks_touched == ISCSI_TASKS_PER_REACTOR)
		return NULL;
	task = &reactor->tasks[reactor->tasks_touched];
	task->slot = reactor->tasks_touched++;
	return task;
}

static void prepare_scsi(struct iscsi_task *task, struct iscsi_session *session, const uint8_t *bhs)
{
	struct scsi_task *scsi = &task->scsi;

	scsi->nexus = session->nexus;
	scsi->reactor = &session->reactor->scsi;
	scsi->lun = bhs_lun(bhs);
	scsi->tag = task->itt;
	scsi->attribute = bhs[1] & 7;
	scsi->direction = SCSI_DATA_NONE;
	scsi->data_bytes = scsi->data_in_bytes = 0;
	scsi->data.count = 0;
	scsi->data.len_bytes = 0;
	scsi->data.owner = SGL_NOBODY;
	scsi->scratch.count = 0;
	scsi->scratch.len_bytes = 0;
	scsi->scratch.owner = SGL_NOBODY;
	scsi->expected_bytes = task->write ? task->edtl : 0;
	scsi->status = SCSI_GOOD;
	scsi->sense_len_bytes = 0;
	scsi->aborted = scsi->background = false;
	scsi->itl = NULL;
	scsi->copy = NULL;
	scsi->command = NULL;
}

struct iscsi_task *iscsi_task_new(struct iscsi_session *session, const uint8_t *bhs)
{
	struct iscsi_task *task = take(session->reactor);

	if (!task)
		return NULL;
	task->session = session;
	task->seq = ++session->reactor->task_seq;
	task->began_ns = session->reactor->now_ns;
	task->itt = bhs_itt(bhs);
	task->cmdsn = bhs_cmdsn(bhs);
	task->edtl = bhs_edtl(bhs);
	task->immediate = bhs_immediate(bhs);
	task->read = bhs[1] & 0x40;
	task->write = bhs[1] & 0x20;
	task->finished_early = task->unsolicited_open = false;
	task->unsolicited_datasn = task->received_bytes = task->requested_bytes = task->wanted_bytes = 0;
	task->next_r2tsn = 0;
	task->pdus_queued = task->r2ts_active = 0;
	for (unsigned i = 0; i < ISCSI_R2TS_MAX; i++)
		task->r2t[i].active = task->r2t[i].queued = false;
	task->lun = NULL;
	task->state = ISCSI_TASK_RECEIVING;
	prepare_scsi(task, session, bhs);
	list_append(&session->tasks, &task->link);
	list_append(bucket(session, task->itt), &task->itt_link);
	session->task_count++;
	session->reactor->tasks_in_use++;
	session->immediate_count += task->immediate;
	return task;
}

struct iscsi_task *iscsi_task_find(struct iscsi_session *session, uint32_t itt)
{
	list_for_each(node, bucket(session, itt)) {
		struct iscsi_task *task = container_of(node, struct iscsi_task, itt_link);

		if (task->itt == itt)
			return task;
	}
	return NULL;
}

void iscsi_task_free(struct iscsi_task *task)
{
	struct iscsi_session *session = task->session;
	struct iscsi_reactor *reactor = session->reactor;

	if (task->state != ISCSI_TASK_RESPONDING)
		scsi_task_end(&task->scsi);
	if (task->scsi.data.owner != SGL_NOBODY)
		sgl_release_share(reactor->scsi.pool, &session->connection->share, &task->scsi.data, task->scsi.data.owner);
	list_remove(&task->link);
	list_remove(&task->itt_link);
	session->task_count--;
	reactor->tasks_in_use--;
	session->immediate_count -= task->immediate;
	task->state = ISCSI_TASK_FREE;
	task->generation++;
	list_prepend(&reactor->free_tasks, &task->link);
	reactor->released = true;
	reactor->check_aborts |= !list_empty(&reactor->aborts);
	iscsi_session_task_ended(session);
}

void iscsi_task_worked(struct iscsi_task *task)
{
	iscsi_count_end(task);
	if (!task->immediate)
		iscsi_session_command_ended(task->session);
}

/* A task that nobody works on any more: aborted, or its response is sent. */
static void end(struct iscsi_task *task)
{
	if (task->state != ISCSI_TASK_RESPONDING)
		iscsi_task_worked(task);
	iscsi_task_free(task);
}

void iscsi_task_quiet(struct iscsi_task *task)
{
	if (task->pdus_queued == 0)
		end(task);
}

void iscsi_task_abort(struct iscsi_task *task)
{
	struct iscsi_session *session = task->session;
	struct iscsi_connection *connection = session->connection;
	bool executing = task->state == ISCSI_TASK_EXECUTING;

	if (task->scsi.aborted || task->state == ISCSI_TASK_RESPONDING)
		return; /* on its way out; an answer in the transport goes before ours */
	task->scsi.aborted = true;
	session->aborted_ns = session->reactor->now_ns;
	stats_add(session->reactor->stats, STAT_aborted_tasks, 1);
	if (connection->receiving == task) {
		connection->receiving = NULL;
		connection->mover->sink.list = NULL;
	}
	if (executing)
		scsi_task_aborted(&task->scsi);
	else
		iscsi_task_quiet(task);
}
