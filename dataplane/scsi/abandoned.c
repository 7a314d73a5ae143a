/*
 * Writes that were given up and are not done yet: the guard against ghost writes (a write that lands behind a later one).
 *
 * When a connection breaks, its tasks are aborted, but what the store has already it may still do. The initiator knows
 * only that the path is gone, and writes the block again through another; nothing in SCSI orders the two. So a write that
 * touches what an abandoned one may still change is answered BUSY until that one is done. Initiators try it again. A copy
 * gives up the pieces that it is writing, wherever they go.
 *
 * Rare: a counter that is zero is all that the fast path sees. Under the lu lock: the list. A record is put into it and
 * taken out by the reactor of its task.
 */
#include "dataplane/scsi/copy.h"
#include "dataplane/scsi/internal.h"

void scsi_abandon_range(struct scsi_abandoned *record, struct scsi_lu *lu, uint64_t lba, uint64_t end_lba)
{
	if (record->lu)
		return;
	*record = (struct scsi_abandoned){ .lu = lu, .lba = lba, .end_lba = end_lba };
	pthread_mutex_lock(&lu->lock);
	list_append(&lu->abandoned, &record->in_lu);
	atomic_fetch_add(&lu->abandoned_count, 1);
	pthread_mutex_unlock(&lu->lock);
}

void scsi_abandoned_is_done(struct scsi_abandoned *record)
{
	struct scsi_lu *lu = record->lu;

	pthread_mutex_lock(&lu->lock);
	list_remove(&record->in_lu);
	atomic_fetch_sub(&lu->abandoned_count, 1);
	pthread_mutex_unlock(&lu->lock);
	record->lu = NULL;
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

void scsi_abandon(struct scsi_task *task)
{
	struct scsi_lu *lu = scsi_task_lu(task);
	uint64_t lba, end_lba;

	if (task->copy) {
		copy_abandon(task->copy);
	} else if (lu && task->command->access == ACCESS_WRITE) {
		write_range(task, &lba, &end_lba);
		scsi_abandon_range(&task->abandoned, lu, lba, end_lba);
	}
}

bool scsi_range_is_abandoned(struct scsi_lu *lu, uint64_t lba, uint64_t end_lba)
{
	bool abandoned = false;

	if (!atomic_load_explicit(&lu->abandoned_count, memory_order_acquire))
		return false;
	pthread_mutex_lock(&lu->lock);
	list_for_each(at, &lu->abandoned) {
		const struct scsi_abandoned *record = container_of(at, struct scsi_abandoned, in_lu);

		abandoned |= lba < record->end_lba && record->lba < end_lba;
	}
	pthread_mutex_unlock(&lu->lock);
	return abandoned;
}

bool scsi_behind_abandoned(const struct scsi_task *task)
{
	struct scsi_lu *lu = scsi_task_lu(task);
	uint64_t lba, end_lba;

	if (task->command->access != ACCESS_WRITE || !lu ||
	    !atomic_load_explicit(&lu->abandoned_count, memory_order_acquire))
		return false;
	write_range(task, &lba, &end_lba);
	return scsi_range_is_abandoned(lu, lba, end_lba);
}
