/*
 * Task sets and task attributes (SAM-5 4.10, 8): which task waits for which.
 *
 * There is one task set for each I_T_L nexus (control mode page, TST 001b): initiators do not wait for each other, and as
 * a nexus belongs to one reactor, nothing here is shared: no lock, no atomic. A common task set (TST 000b) could not hold
 * for a LUN that several hosts serve.
 *
 * Happy path: every task is SIMPLE. Then it is counted in, counted out, and never looks here. From the first task of
 * another attribute on, tasks are `sequenced`: in a list by age, until the list is empty again. What was counted before
 * is older than everything in it.
 *
 * A task joins when its command is accepted, ends in scsi_finish() or, never executed, in scsi_task_end(). One that may
 * not start when its data is there is BLOCKED; when the last that it waits for has ended it is READY, and the reactor
 * starts it from its mailbox: the response of the older task goes out first, and the stack does not grow.
 *
 * Blocked tasks cannot dam up their own connection: those they wait for are older, so they have their buffers already,
 * and the connection is read on while Data-Out is to come (iscsi/receive.c). Their number is bounded by MaxCmdSN.
 */
#include <assert.h>

#include "dataplane/scsi/internal.h"

enum attribute { SIMPLE, ORDERED, HEAD_OF_QUEUE, ATTRIBUTES };

/* Task attributes of a SCSI Command PDU (RFC 7143 11.3.1.3) that are accepted. Untagged tasks are SIMPLE. */
static const enum attribute attributes[] = {
	[SCSI_UNTAGGED] = SIMPLE, [SCSI_SIMPLE] = SIMPLE, [SCSI_ORDERED] = ORDERED, [SCSI_HEAD_OF_QUEUE] = HEAD_OF_QUEUE,
};

/* May the newer start before the older has ended (SAM-5 8.6)? An absent cell: it waits. */
enum action { WAITS, STARTS };
static const enum action order_table[ATTRIBUTES][ATTRIBUTES] = {
	/* newer \ older      SIMPLE              ORDERED             HEAD OF QUEUE */
	[SIMPLE]        = { [SIMPLE] = STARTS, [ORDERED] = WAITS,  [HEAD_OF_QUEUE] = WAITS },
	[ORDERED]       = { [SIMPLE] = WAITS,  [ORDERED] = WAITS,  [HEAD_OF_QUEUE] = WAITS },
	[HEAD_OF_QUEUE] = { [SIMPLE] = STARTS, [ORDERED] = STARTS, [HEAD_OF_QUEUE] = STARTS },
};

bool scsi_order_waits(uint8_t newer, uint8_t older)
{
	return order_table[attributes[newer]][attributes[older]] == WAITS;
}

void scsi_order_join_sequenced(struct scsi_task *task)
{
	task->order = ORDER_DORMANT;
	list_init(&task->in_ready);
	list_append(&task->itl->set.sequenced, &task->in_set);
}

/* Does it wait for any of these attributes (a mask by enum scsi_attribute)? */
static bool waits_for(const struct scsi_task *task, unsigned older)
{
	for (uint8_t attribute = 0; older; attribute++, older >>= 1)
		if (older & 1 && scsi_order_waits(task->attribute, attribute))
			return true;
	return false;
}

bool scsi_order_start(struct scsi_task *task)
{
	struct scsi_task_set *set = &task->itl->set;
	unsigned older = set->simple ? 1u << SCSI_SIMPLE : 0;

	assert(task->order == ORDER_DORMANT);
	for (struct list *at = set->sequenced.next; at != &task->in_set; at = at->next)
		older |= 1u << container_of(at, struct scsi_task, in_set)->attribute;
	task->order = waits_for(task, older) ? ORDER_BLOCKED : ORDER_ENABLED;
	return task->order == ORDER_ENABLED;
}

static void run_ready(struct mail *mail)
{
	struct scsi_reactor *reactor = container_of(mail, struct scsi_reactor, ready_mail);
	struct list now, *at;

	reactor->ready_posted = false;
	list_init(&now);
	list_splice(&now, &reactor->ready);
	while ((at = list_take(&now))) {
		struct scsi_task *task = container_of(at, struct scsi_task, in_ready);

		task->order = ORDER_ENABLED;
		scsi_task_run(task);
	}
}

static void make_ready(struct scsi_task *task)
{
	struct scsi_reactor *reactor = task->reactor;

	task->order = ORDER_READY;
	list_append(&reactor->ready, &task->in_ready);
	if (reactor->ready_posted)
		return;
	reactor->ready_posted = true;
	reactor->ready_mail.run = run_ready;
	mailbox_post(reactor->mailbox, &reactor->ready_mail);
}

/* A task has ended: who may start now? */
static void release(struct scsi_task_set *set)
{
	unsigned older = set->simple ? 1u << SCSI_SIMPLE : 0;

	list_for_each(at, &set->sequenced) {
		struct scsi_task *task = container_of(at, struct scsi_task, in_set);

		if (task->order == ORDER_BLOCKED && !waits_for(task, older))
			make_ready(task);
		older |= 1u << task->attribute;
	}
}

void scsi_order_leave_sequenced(struct scsi_task *task)
{
	struct scsi_task_set *set = &task->itl->set;

	if (task->order == ORDER_SIMPLE) {
		set->simple--;
	} else {
		list_remove(&task->in_set);
		list_remove(&task->in_ready);
	}
	task->order = ORDER_OUT;
	release(set);
}

void scsi_reactor_init(struct scsi_reactor *reactor)
{
	list_init(&reactor->ready);
	reactor->ready_posted = false;
	list_init(&reactor->paused);
	list_init(&reactor->locked);
	reactor->copy_due_ns = 0;
}

void scsi_task_aborted(struct scsi_task *task)
{
	if (task->order == ORDER_BLOCKED || task->order == ORDER_READY || scsi_block_lock_waits(task))
		scsi_finish(task);
	else
		scsi_abandon(task);
}
