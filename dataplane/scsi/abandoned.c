/*
 * Writes that were given up and are not done yet: the guard against ghost writes (a write that lands behind a later one).
 *
 * When a connection breaks, its tasks are aborted, but what the store has already it may still do. The initiator knows
 * only that the path is gone, and writes the block again through another; nothing in SCSI orders the two. So a write that
 * touches what an abandoned one may still change is answered BUSY until that one is done. Initiators try it again.
 *
 * Rare: a counter that is zero is all that the fast path sees. Under the lu lock: the list. A task is put into it and
 * taken out by its own reactor.
 */
#include "dataplane/scsi/internal.h"

void scsi_abandon(struct scsi_task *task)
{
	struct scsi_lu *lu = scsi_task_lu(task);

	if (!lu || task->abandoned || task->command->access != ACCESS_WRITE)
		return;
	pthread_mutex_lock(&lu->lock);
	list_append(&lu->abandoned, &task->in_abandoned);
	atomic_fetch_add(&lu->abandoned_count, 1);
	pthread_mutex_unlock(&lu->lock);
	task->abandoned = true;
}

void scsi_abandoned_is_done(struct scsi_task *task)
{
	struct scsi_lu *lu = scsi_task_lu(task);

	pthread_mutex_lock(&lu->lock);
	list_remove(&task->in_abandoned);
	atomic_fetch_sub(&lu->abandoned_count, 1);
	pthread_mutex_unlock(&lu->lock);
	task->abandoned = false;
}

/* What a write may change: the whole unit, but for commands that are a range and nothing else. */
static void write_range(const struct scsi_task *task, uint64_t *ret_lba, uint64_t *ret_end)
{
	bool ranged = task->command->prepare == scsi_prepare_block || task->command->prepare == scsi_prepare_write_verify;
	uint64_t blocks;

	*ret_lba = 0;
	*ret_end = UINT64_MAX;
	if (!ranged)
		return;
	scsi_block_range(task, ret_lba, &blocks);
	*ret_end = *ret_lba + blocks;
}

bool scsi_behind_abandoned(const struct scsi_task *task)
{
	struct scsi_lu *lu = scsi_task_lu(task);
	uint64_t lba, end, old_lba, old_end;
	bool behind = false;

	if (task->command->access != ACCESS_WRITE || !lu ||
	    !atomic_load_explicit(&lu->abandoned_count, memory_order_acquire))
		return false;
	write_range(task, &lba, &end);
	pthread_mutex_lock(&lu->lock);
	list_for_each(at, &lu->abandoned) {
		write_range(container_of(at, struct scsi_task, in_abandoned), &old_lba, &old_end);
		behind |= lba < old_end && old_lba < end;
	}
	pthread_mutex_unlock(&lu->lock);
	return behind;
}
