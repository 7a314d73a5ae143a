/*
 * READ, WRITE, SYNCHRONIZE CACHE, PRE-FETCH and READ CAPACITY (SBC-3 clause 5), and what all block commands share.
 *
 * READ and WRITE are the fast path: the task's list goes to the LUN and back, nothing is copied or allocated, and the
 * only lock is the shared range lock of a write, one atomic add unless a COMPARE AND WRITE is under way, or the initiator
 * has several paths (paths.c).
 */
#include <errno.h>

#include "dataplane/scsi/token.h"

void scsi_block_range(const struct scsi_task *task, uint64_t *ret_lba, uint64_t *ret_blocks)
{
	const uint8_t *cdb = task->cdb;

	switch (task->command->cdb_len_bytes) {
	case 6:
		*ret_lba = get_be24(cdb + 1) & 0x1fffff;
		*ret_blocks = cdb[4] ? cdb[4] : 256;
		break;
	case 10:
		*ret_lba = get_be32(cdb + 2);
		*ret_blocks = get_be16(cdb + 7);
		break;
	case 12:
		*ret_lba = get_be32(cdb + 2);
		*ret_blocks = get_be32(cdb + 6);
		break;
	default:
		*ret_lba = get_be64(cdb + 2);
		*ret_blocks = get_be32(cdb + 10);
		break;
	}
}

bool scsi_block_check(struct scsi_task *task, uint64_t lba, uint64_t blocks)
{
	uint64_t capacity = lun_capacity_blocks(task->itl->lu->lun);

	if (lba <= capacity && blocks <= capacity - lba)
		return true;
	return scsi_refuse(task, ASC_LBA_OUT_OF_RANGE);
}

void scsi_block_submit(struct scsi_task *task, void (*done)(struct lun_io *io, int result))
{
	task->io.lun = task->itl->lu->lun;
	task->io.done = done;
	lun_submit(&task->io, task->reactor->store);
}

/* state[15] belongs to scsi_block_lock(). */
void scsi_block_go_on(struct scsi_task *task, bool path_gone)
{
	void (*granted)(struct scsi_task *) = (void (*)(struct scsi_task *))(uintptr_t)task->state[15];

	if (path_gone)
		scsi_task_fail(task, KEY_ABORTED_COMMAND, ASC_NEXUS_LOST);
	if (path_gone || task->aborted || !scsi_sanitize_allows(task)) { /* it may have waited for a sanitize */
		scsi_finish(task);
		return;
	}
	scsi_tokens_overwritten(task->itl->lu, task->lock.lba, task->lock.blocks);
	granted(task);
}

static void write_lock_granted(struct lun_lock *lock)
{
	struct scsi_task *task = container_of(lock, struct scsi_task, lock);

	if (!scsi_paths_look_later(task))
		scsi_block_go_on(task, false);
}

/* True: at once. */
static bool lock_take(struct scsi_task *task, uint64_t lba, uint64_t blocks, bool exclusive,
		      void (*lock_granted)(struct lun_lock *lock), void (*granted)(struct scsi_task *task))
{
	task->lock.lun = task->itl->lu->lun;
	task->lock.lba = lba;
	task->lock.blocks = blocks;
	task->lock.exclusive = exclusive;
	task->lock.granted = lock_granted;
	task->lock.reply_to = task->reactor->mailbox;
	task->lock.taker = NULL;
	task->lock.ordered = false;
	task->state[15] = (uintptr_t)granted;
	return task->command->access == ACCESS_WRITE ? scsi_paths_lock(&task->lock, task->itl) : lun_lock_take(&task->lock);
}

void scsi_block_lock(struct scsi_task *task, uint64_t lba, uint64_t blocks, bool exclusive,
		     void (*granted)(struct scsi_task *task))
{
	if (lock_take(task, lba, blocks, exclusive, write_lock_granted, granted))
		write_lock_granted(&task->lock);
}

bool scsi_block_lock_waits(const struct scsi_task *task)
{
	return task->lock.lun && task->lock.granted == write_lock_granted && lun_lock_waits(&task->lock);
}

static void quiet(struct lun_lock *lock)
{
	struct scsi_task *task = container_of(lock, struct scsi_task, lock);

	((void (*)(struct scsi_task *))(uintptr_t)task->state[15])(task);
}

void scsi_block_quiesce(struct scsi_task *task, uint64_t lba, uint64_t blocks, bool exclusive,
			void (*granted)(struct scsi_task *task))
{
	if (lock_take(task, lba, blocks, exclusive, quiet, granted))
		granted(task);
}

bool scsi_prepare_block(struct scsi_task *task)
{
	uint64_t lba, blocks;

	scsi_block_range(task, &lba, &blocks);
	if (!scsi_block_check(task, lba, blocks))
		return false;
	if (blocks > (uint64_t)SCSI_DATA_MAX >> task->itl->lu->block_shift)
		return scsi_refuse_field(task, task->command->cdb_len_bytes == 10 ? 7 : 10);
	task->data_bytes = (uint32_t)(blocks << task->itl->lu->block_shift);
	task->direction = blocks ? (enum scsi_direction)task->command->direction : SCSI_DATA_NONE;
	task->io.lba = lba;
	task->io.blocks = blocks;
	return true;
}

static bool fua_of(const struct scsi_task *task)
{
	return task->command->cdb_len_bytes > 6 && task->cdb[1] & 0x08;
}

static void read_done(struct lun_io *io, int result)
{
	struct scsi_task *task = scsi_task_of_io(io);

	sgl_hand(&task->data, SGL_LUN, SGL_SCSI);
	if (result)
		scsi_fail_errno(task, result, false);
	else
		task->data_in_bytes = task->data_bytes;
	scsi_finish(task);
}

static void read_now(struct scsi_task *task)
{
	task->io.op = LUN_READ;
	task->io.data = &task->data;
	task->io.data_offset = 0;
	task->io.fua = fua_of(task);
	sgl_hand(&task->data, SGL_SCSI, SGL_LUN);
	scsi_block_submit(task, read_done);
}

static void read_granted(struct scsi_task *task)
{
	if (task->aborted || !scsi_sanitize_allows(task))
		scsi_finish(task);
	else
		read_now(task);
}

void scsi_read(struct scsi_task *task)
{
	if (!task->io.blocks)
		scsi_finish(task);
	else if (__builtin_expect(atomic_load_explicit(&task->itl->lu->reads_lock, memory_order_acquire), 0))
		scsi_block_quiesce(task, task->io.lba, task->io.blocks, false, read_granted); /* atomic writes: all or none of one */
	else
		read_now(task);
}

static void write_done(struct lun_io *io, int result)
{
	struct scsi_task *task = scsi_task_of_io(io);

	sgl_hand(&task->data, SGL_LUN, SGL_SCSI);
	if (result)
		scsi_fail_errno(task, result, true);
	scsi_finish(task);
}

static void write_granted(struct scsi_task *task)
{
	task->io.op = LUN_WRITE;
	task->io.data = &task->data;
	task->io.data_offset = 0;
	task->io.fua = fua_of(task);
	sgl_hand(&task->data, SGL_SCSI, SGL_LUN);
	scsi_block_submit(task, write_done);
}

void scsi_write(struct scsi_task *task)
{
	/* Less data than the CDB asks for: the whole blocks that came are written, the residual tells the rest. */
	if (task->direction == SCSI_DATA_OUT)
		task->io.blocks = task->data.len_bytes >> task->itl->lu->block_shift;
	if (task->io.blocks)
		scsi_block_lock(task, task->io.lba, task->io.blocks, false, write_granted);
	else
		scsi_finish(task);
}

/* --- SYNCHRONIZE CACHE, PRE-FETCH --- */

bool scsi_prepare_range(struct scsi_task *task)
{
	uint64_t lba, blocks;

	scsi_block_range(task, &lba, &blocks);
	return scsi_block_check(task, lba, blocks);
}

static void flush_done(struct lun_io *io, int result)
{
	struct scsi_task *task = scsi_task_of_io(io);

	if (result)
		scsi_fail_errno(task, result, true);
	scsi_finish(task);
}

/* The whole LUN, whatever the range; GOOD is later than IMMED would allow, never earlier than durable. */
void scsi_synchronize_cache(struct scsi_task *task)
{
	task->io.op = LUN_FLUSH;
	task->io.lba = 0;
	task->io.blocks = 0;
	task->io.data = NULL;
	task->io.fua = false;
	scsi_block_submit(task, flush_done);
}

/* GOOD, not CONDITION MET: the cache does not promise to have room for the blocks (SBC-3 5.11). */
void scsi_pre_fetch(struct scsi_task *task)
{
	scsi_finish(task);
}

/* --- READ CAPACITY --- */

bool scsi_prepare_read_capacity_10(struct scsi_task *task)
{
	task->direction = SCSI_DATA_IN;
	task->data_bytes = 8;
	return true;
}

void scsi_read_capacity_10(struct scsi_task *task)
{
	struct scsi_lu *lu = task->itl->lu;
	uint64_t last = lun_capacity_blocks(lu->lun) - 1;
	uint8_t bytes[8];

	put_be32(bytes, last > UINT32_MAX ? UINT32_MAX : (uint32_t)last);
	put_be32(bytes + 4, lu->block_bytes);
	scsi_reply_bytes(task, bytes, sizeof bytes);
}

void scsi_read_capacity_16(struct scsi_task *task)
{
	struct scsi_lu *lu = task->itl->lu;
	uint8_t bytes[32] = { 0 };

	put_be64(bytes, lun_capacity_blocks(lu->lun) - 1);
	put_be32(bytes + 8, lu->block_bytes);
	bytes[13] = (uint8_t)__builtin_ctz(lu->physical_block_bytes / lu->block_bytes); /* LBPPBE */
	if (lu->provisioned)
		bytes[14] = (uint8_t)(0x80 | (lu->unmap_zeroes ? 0x40 : 0)); /* LBPME, LBPRZ */
	scsi_reply_bytes(task, bytes, sizeof bytes);
}
