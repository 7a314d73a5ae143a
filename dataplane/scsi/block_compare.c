/*
 * Commands that look at what is on the medium: VERIFY, WRITE AND VERIFY, COMPARE AND WRITE, ORWRITE (SBC-3 5.39, 5.45,
 * 5.2, 5.10).
 *
 * One loop: a chunk is read into task->scratch, a step function looks at it, until the range is through; then
 * after() follows. COMPARE AND WRITE and ORWRITE hold the range exclusively from the first read to the end of the write.
 * No buffers for the scratch list: BUSY, the initiator tries again.
 */
#include "dataplane/scsi/internal.h"

enum { /* task->state */
	AT,        /* bytes of the range that are done */
	TOTAL,     /* bytes of the range */
	LBA,       /* where the range starts */
	BUSY, AGAIN, RESULT,
	STEP,      /* chunk_step * */
	AFTER,     /* void (*)(struct scsi_task *): what follows the last chunk */
};

typedef bool chunk_step(struct scsi_task *task, uint32_t at, uint32_t len_bytes); /* false: stop, sense is set */

static void chunk_run(struct scsi_task *task);

static void chunk_done(struct lun_io *io, int result)
{
	struct scsi_task *task = scsi_task_of_io(io);
	uint32_t len_bytes = task->scratch.len_bytes, at = (uint32_t)task->state[AT];
	chunk_step *step = (chunk_step *)(uintptr_t)task->state[STEP];

	sgl_hand(&task->scratch, SGL_LUN, SGL_SCSI);
	if (result) {
		scsi_fail_errno(task, result, false);
		task->state[RESULT] = 1;
	} else if (!task->aborted && step && !step(task, at, len_bytes)) {
		task->state[RESULT] = 1;
	}
	task->state[AT] += len_bytes;
	sgl_release(task->reactor->pool, &task->scratch, SGL_SCSI);
	task->scratch.owner = SGL_NOBODY;
	chunk_run(task);
}

/* Reads the next chunk; false: the loop ends here. */
static bool chunk_submit(struct scsi_task *task)
{
	uint8_t shift = task->itl->lu->block_shift;
	uint64_t left = task->state[TOTAL] - task->state[AT];
	uint32_t len_bytes = left < SCSI_CHUNK_BYTES ? (uint32_t)left : SCSI_CHUNK_BYTES;

	if (!left)
		return false;
	if (!sgl_alloc(task->reactor->pool, &task->scratch, len_bytes, SGL_SCSI)) {
		task->scratch.owner = SGL_NOBODY;
		task->status = SCSI_BUSY;
		task->state[RESULT] = 1;
		return false;
	}
	task->io.op = LUN_READ;
	task->io.lba = task->state[LBA] + (task->state[AT] >> shift);
	task->io.blocks = len_bytes >> shift;
	task->io.data = &task->scratch;
	task->io.data_offset = 0;
	task->io.fua = false;
	sgl_hand(&task->scratch, SGL_SCSI, SGL_LUN);
	scsi_block_submit(task, chunk_done);
	return true;
}

static void chunk_run(struct scsi_task *task)
{
	void (*after)(struct scsi_task *) = (void (*)(struct scsi_task *))(uintptr_t)task->state[AFTER];

	task->state[AGAIN] = 1;
	if (task->state[BUSY])
		return;
	task->state[BUSY] = 1;
	while (task->state[AGAIN]) {
		task->state[AGAIN] = 0;
		if (!task->aborted && !task->state[RESULT] && chunk_submit(task))
			continue;
		if (task->aborted || task->state[RESULT])
			scsi_finish(task);
		else
			after(task);
		return;
	}
	task->state[BUSY] = 0;
}

/* Reads [lba, lba + total_bytes), calls step (may be NULL) for each chunk, then after; on failure the task ends. */
static void chunk_loop(struct scsi_task *task, uint64_t lba, uint64_t total_bytes, chunk_step *step,
		       void (*after)(struct scsi_task *))
{
	task->state[AT] = task->state[BUSY] = task->state[RESULT] = 0;
	task->state[TOTAL] = total_bytes;
	task->state[LBA] = lba;
	task->state[STEP] = (uintptr_t)step;
	task->state[AFTER] = (uintptr_t)after;
	chunk_run(task);
}

/* --- steps --- */

static void miscompare(struct scsi_task *task, uint64_t offset)
{
	scsi_set_sense(task, &(struct scsi_sense){ .key = KEY_MISCOMPARE, .asc_ascq = ASC_MISCOMPARE,
						   .has_information = true, .information = offset });
}

/* Length of the common prefix of len_bytes of scratch at scratch_at and data at data_at. */
static uint32_t common_prefix(const struct scsi_task *task, uint32_t scratch_at, uint32_t data_at, uint32_t len_bytes)
{
	uint8_t ours[512], theirs[512]; /* a compare is not on the fast path: pieces that never straddle elements */

	for (uint32_t at = 0; at < len_bytes; at += sizeof ours) {
		uint32_t n = len_bytes - at < sizeof ours ? len_bytes - at : (uint32_t)sizeof ours;

		sgl_copy_out(&task->scratch, scratch_at + at, ours, n);
		sgl_copy_out(&task->data, data_at + at, theirs, n);
		if (!memcmp(ours, theirs, n))
			continue;
		for (uint32_t i = 0; i < n; i++)
			if (ours[i] != theirs[i])
				return at + i;
	}
	return len_bytes;
}

static bool compare_step(struct scsi_task *task, uint32_t at, uint32_t len_bytes)
{
	uint32_t same = common_prefix(task, 0, at, len_bytes);

	if (same < len_bytes)
		miscompare(task, (uint64_t)at + same);
	return same == len_bytes;
}

/* BYTCHK 11b: one block of data for all blocks of the range. */
static bool compare_block_step(struct scsi_task *task, uint32_t at, uint32_t len_bytes)
{
	uint32_t block_bytes = task->itl->lu->block_bytes;

	for (uint32_t block = 0; block < len_bytes; block += block_bytes) {
		uint32_t same = common_prefix(task, block, 0, block_bytes);

		if (same < block_bytes) {
			miscompare(task, (uint64_t)at + block + same);
			return false;
		}
	}
	return true;
}

static bool or_step(struct scsi_task *task, uint32_t at, uint32_t len_bytes)
{
	uint8_t ours[512], theirs[512];

	for (uint32_t done = 0; done < len_bytes; done += sizeof ours) {
		uint32_t n = len_bytes - done < sizeof ours ? len_bytes - done : (uint32_t)sizeof ours;

		sgl_copy_out(&task->scratch, done, ours, n);
		sgl_copy_out(&task->data, at + done, theirs, n);
		for (uint32_t i = 0; i < n; i++)
			theirs[i] |= ours[i];
		sgl_copy_in(&task->data, at + done, theirs, n);
	}
	return true;
}

/* --- VERIFY --- */

static unsigned byte_check(const struct scsi_task *task)
{
	return task->cdb[1] >> 1 & 0x03;
}

bool scsi_prepare_verify(struct scsi_task *task)
{
	struct scsi_lu *lu = task->itl->lu;
	unsigned check = byte_check(task);

	if (check == 2)
		return scsi_refuse_field(task, 1);
	if (!scsi_prepare_block(task))
		return false;
	if (check == 0)
		task->data_bytes = 0;
	else if (check == 3 && task->data_bytes)
		task->data_bytes = lu->block_bytes;
	if (!task->data_bytes)
		task->direction = SCSI_DATA_NONE;
	return true;
}

void scsi_verify(struct scsi_task *task)
{
	uint8_t shift = task->itl->lu->block_shift;
	uint64_t total_bytes = task->io.blocks << shift;
	chunk_step *step = NULL;

	if (byte_check(task) == 1 && total_bytes) {
		step = compare_step;
		total_bytes = task->data.len_bytes >> shift << shift;
	} else if (byte_check(task) == 3 && total_bytes) {
		step = compare_block_step;
		if (task->data.len_bytes < task->itl->lu->block_bytes)
			total_bytes = 0;
	}
	chunk_loop(task, task->io.lba, total_bytes, step, scsi_finish);
}

/* --- WRITE AND VERIFY --- */

bool scsi_prepare_write_verify(struct scsi_task *task)
{
	if (byte_check(task) > 1)
		return scsi_refuse_field(task, 1);
	return scsi_prepare_block(task);
}

static void verify_written(struct lun_io *io, int result)
{
	struct scsi_task *task = scsi_task_of_io(io);
	uint64_t total_bytes = io->blocks << task->itl->lu->block_shift;

	sgl_hand(&task->data, SGL_LUN, SGL_SCSI);
	if (result || task->aborted) {
		if (result)
			scsi_fail_errno(task, result, true);
		scsi_finish(task);
		return;
	}
	chunk_loop(task, io->lba, total_bytes, byte_check(task) ? compare_step : NULL, scsi_finish);
}

/* Writes the data from data_offset on; the range is locked. */
static void write_data(struct scsi_task *task, uint64_t lba, uint64_t blocks, uint32_t data_offset, bool fua,
		       void (*done)(struct lun_io *io, int result))
{
	task->io.op = LUN_WRITE;
	task->io.lba = lba;
	task->io.blocks = blocks;
	task->io.data = &task->data;
	task->io.data_offset = data_offset;
	task->io.fua = fua;
	sgl_hand(&task->data, SGL_SCSI, SGL_LUN);
	scsi_block_submit(task, done);
}

static void write_verify_granted(struct scsi_task *task)
{
	/* On the medium before it is verified (SBC-3 5.45). */
	write_data(task, task->io.lba, task->io.blocks, 0, true, verify_written);
}

void scsi_write_verify(struct scsi_task *task)
{
	if (task->direction == SCSI_DATA_OUT)
		task->io.blocks = task->data.len_bytes >> task->itl->lu->block_shift;
	if (task->io.blocks)
		scsi_block_lock(task, task->io.lba, task->io.blocks, false, write_verify_granted);
	else
		scsi_finish(task);
}

static void locked_write_done(struct lun_io *io, int result)
{
	struct scsi_task *task = scsi_task_of_io(io);

	sgl_hand(&task->data, SGL_LUN, SGL_SCSI);
	if (result)
		scsi_fail_errno(task, result, true);
	scsi_finish(task);
}

/* --- COMPARE AND WRITE --- */

bool scsi_prepare_compare_and_write(struct scsi_task *task)
{
	struct scsi_lu *lu = task->itl->lu;
	uint64_t lba = get_be64(task->cdb + 2), blocks = task->cdb[13];

	if (!scsi_block_check(task, lba, blocks))
		return false;
	if (2 * blocks > (uint64_t)SCSI_DATA_MAX >> lu->block_shift)
		return scsi_refuse_field(task, 13);
	task->data_bytes = (uint32_t)(2 * blocks << lu->block_shift);
	if (task->expected_bytes > task->data_bytes)
		return scsi_refuse_field(task, 13);
	task->direction = blocks ? SCSI_DATA_OUT : SCSI_DATA_NONE;
	task->io.lba = lba;
	task->io.blocks = blocks;
	return true;
}

static void compare_matched(struct scsi_task *task)
{
	uint64_t total_bytes = task->state[TOTAL];

	write_data(task, task->state[LBA], total_bytes >> task->itl->lu->block_shift, (uint32_t)total_bytes,
		   task->cdb[1] & 0x08, locked_write_done);
}

static void compare_granted(struct scsi_task *task)
{
	chunk_loop(task, task->io.lba, task->io.blocks << task->itl->lu->block_shift, compare_step, compare_matched);
}

void scsi_compare_and_write(struct scsi_task *task)
{
	if (!task->io.blocks) {
		scsi_finish(task);
	} else if (task->data.len_bytes != task->data_bytes) {
		scsi_refuse_field(task, 13);
		scsi_finish(task);
	} else {
		scsi_block_lock(task, task->io.lba, task->io.blocks, true, compare_granted);
	}
}

/* --- ORWRITE --- */

static void or_merged(struct scsi_task *task)
{
	write_data(task, task->state[LBA], task->state[TOTAL] >> task->itl->lu->block_shift, 0, task->cdb[1] & 0x08,
		   locked_write_done);
}

static void or_granted(struct scsi_task *task)
{
	chunk_loop(task, task->io.lba, task->io.blocks << task->itl->lu->block_shift, or_step, or_merged);
}

void scsi_orwrite(struct scsi_task *task)
{
	if (task->direction == SCSI_DATA_OUT)
		task->io.blocks = task->data.len_bytes >> task->itl->lu->block_shift;
	if (task->io.blocks)
		scsi_block_lock(task, task->io.lba, task->io.blocks, true, or_granted);
	else
		scsi_finish(task);
}
