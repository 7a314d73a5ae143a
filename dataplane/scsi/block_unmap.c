/* UNMAP, WRITE SAME and GET LBA STATUS (SBC-3 5.33, 5.49, 5.7). */
#include <stdlib.h>

#include "dataplane/scsi/token.h"

/* --- UNMAP --- */

enum { UNMAP_NEXT, UNMAP_COUNT, UNMAP_BUSY, UNMAP_AGAIN, UNMAP_RESULT }; /* task->state */

struct unmap_range {
	uint64_t lba, blocks;
};

static struct unmap_range unmap_range(const struct scsi_task *task, unsigned index)
{
	uint8_t bytes[16] = { 0 };

	sgl_copy_out(&task->data, 8 + index * 16, bytes, sizeof bytes);
	return (struct unmap_range){ get_be64(bytes), get_be32(bytes + 8) };
}

/* The number of block descriptors of a valid list; -1: the sense has been set. */
static int check_unmap_list(struct scsi_task *task)
{
	uint8_t header[8];
	uint64_t total = 0;
	unsigned len_bytes, count;

	if (task->data_bytes < 8 || sgl_copy_out(&task->data, 0, header, 8) < 8) {
		scsi_refuse(task, ASC_PARAMETER_LIST_LENGTH);
		return -1;
	}
	len_bytes = get_be16(header + 2);
	if (len_bytes > task->data.len_bytes - 8) {
		scsi_refuse(task, ASC_PARAMETER_LIST_LENGTH);
		return -1;
	}
	count = len_bytes / 16; /* an incomplete last descriptor is ignored */
	if (count > SCSI_UNMAP_MAX_RANGES) {
		scsi_refuse_list(task, 2);
		return -1;
	}
	for (unsigned i = 0; i < count; i++) {
		struct unmap_range range = unmap_range(task, i);

		if (!scsi_block_check(task, range.lba, range.blocks))
			return -1;
		total += range.blocks;
	}
	if (total > SCSI_UNMAP_MAX_BLOCKS) {
		scsi_refuse_list(task, 8);
		return -1;
	}
	return (int)count;
}

static void unmap_run(struct scsi_task *task);

static void unmap_done(struct lun_io *io, int result)
{
	struct scsi_task *task = scsi_task_of_io(io);

	if (result && !task->state[UNMAP_RESULT])
		task->state[UNMAP_RESULT] = (uint64_t)-result;
	unmap_run(task);
}

/* Submits the next range that is not empty; false: there is none. */
static bool unmap_one(struct scsi_task *task)
{
	while (task->state[UNMAP_NEXT] < task->state[UNMAP_COUNT]) {
		struct unmap_range range = unmap_range(task, (unsigned)task->state[UNMAP_NEXT]++);

		if (!range.blocks)
			continue;
		scsi_tokens_overwritten(task->itl->lu, range.lba, range.blocks);
		task->io.op = LUN_UNMAP;
		task->io.lba = range.lba;
		task->io.blocks = range.blocks;
		task->io.data = NULL;
		task->io.fua = false;
		scsi_block_submit(task, unmap_done);
		return true;
	}
	return false;
}

/* One range after the other; a completion inside the submission does not recurse. */
static void unmap_run(struct scsi_task *task)
{
	task->state[UNMAP_AGAIN] = 1;
	if (task->state[UNMAP_BUSY])
		return;
	task->state[UNMAP_BUSY] = 1;
	while (task->state[UNMAP_AGAIN]) {
		task->state[UNMAP_AGAIN] = 0;
		if (task->aborted || task->state[UNMAP_RESULT] || !unmap_one(task)) {
			if (task->state[UNMAP_RESULT])
				scsi_fail_errno(task, -(int)task->state[UNMAP_RESULT], true);
			scsi_finish(task);
			return;
		}
	}
	task->state[UNMAP_BUSY] = 0;
}

static void unmap_granted(struct scsi_task *task)
{
	if (scsi_path_is_there(task, task->itl, &task->lock))
		unmap_run(task);
	else
		scsi_finish(task);
}

/* The range that holds all ranges. */
static struct unmap_range unmap_hull(const struct scsi_task *task)
{
	uint64_t first = UINT64_MAX, end = 0;

	for (unsigned i = 0; i < task->state[UNMAP_COUNT]; i++) {
		struct unmap_range range = unmap_range(task, i);

		first = range.lba < first ? range.lba : first;
		end = range.lba + range.blocks > end ? range.lba + range.blocks : end;
	}
	return (struct unmap_range){ first, end - first };
}

void scsi_unmap(struct scsi_task *task)
{
	int count = task->data_bytes ? check_unmap_list(task) : 0; /* an empty list is not an error */
	struct unmap_range hull;

	if (count <= 0) {
		scsi_finish(task);
		return;
	}
	task->state[UNMAP_NEXT] = task->state[UNMAP_BUSY] = task->state[UNMAP_RESULT] = 0;
	task->state[UNMAP_COUNT] = (uint64_t)count;
	hull = unmap_hull(task);
	scsi_block_quiesce(task, hull.lba, hull.blocks, false, unmap_granted);
}

/* --- WRITE SAME --- */

enum { WS_UNMAP = 0x08, WS_NDOB = 0x01 };

bool scsi_prepare_write_same(struct scsi_task *task)
{
	struct scsi_lu *lu = task->itl->lu;
	uint64_t lba, blocks;
	unsigned count_at = task->command->cdb_len_bytes == 10 ? 7 : 10;

	scsi_block_range(task, &lba, &blocks);
	if (task->cdb[1] & WS_UNMAP && !lu->provisioned)
		return scsi_refuse_field(task, 1);
	if (!scsi_block_check(task, lba, blocks))
		return false;
	if (!blocks) /* WSNZ is zero: all to the end, within the limit that is (SBC-3 5.43) */
		blocks = lun_capacity_blocks(lu->lun) - lba;
	if (blocks > SCSI_WRITE_SAME_MAX)
		return scsi_refuse_field(task, count_at);
	task->io.lba = lba;
	task->io.blocks = blocks;
	if (task->command->cdb_len_bytes == 16 && task->cdb[1] & WS_NDOB)
		return true;
	if (task->expected_bytes > lu->block_bytes) /* more data than the one block */
		return scsi_refuse_field(task, count_at);
	task->data_bytes = lu->block_bytes;
	task->direction = SCSI_DATA_OUT;
	return true;
}

static bool all_zero(const struct sgl *list)
{
	static const uint8_t zeroes[4096];

	for (unsigned i = 0; i < list->count; i++) {
		const uint8_t *at = list->element[i].iov_base;

		for (size_t left = list->element[i].iov_len; left;) {
			size_t n = left < sizeof zeroes ? left : sizeof zeroes;

			if (memcmp(at, zeroes, n))
				return false;
			at += n;
			left -= n;
		}
	}
	return true;
}

static void write_same_done(struct lun_io *io, int result)
{
	struct scsi_task *task = scsi_task_of_io(io);

	if (io->data)
		sgl_hand(&task->data, SGL_LUN, SGL_SCSI);
	if (result)
		scsi_fail_errno(task, result, true);
	scsi_finish(task);
}

/* Zeroes without data let the store punch a hole, whether UNMAP asks for it or not: they read the same. */
static void write_same_granted(struct scsi_task *task)
{
	bool zeroes = task->direction == SCSI_DATA_NONE || all_zero(&task->data);

	task->io.op = LUN_WRITE_SAME;
	task->io.data = zeroes ? NULL : &task->data;
	task->io.data_offset = 0;
	task->io.fua = false;
	if (!zeroes)
		sgl_hand(&task->data, SGL_SCSI, SGL_LUN);
	scsi_block_submit(task, write_same_done);
}

void scsi_write_same(struct scsi_task *task)
{
	if (task->data_bytes && task->data.len_bytes != task->data_bytes) {
		scsi_refuse_field(task, task->command->cdb_len_bytes == 10 ? 7 : 10);
		scsi_finish(task);
	} else {
		scsi_block_lock(task, task->io.lba, task->io.blocks, false, write_same_granted);
	}
}

/* --- GET LBA STATUS --- */

#define STATUS_RANGES_MAX 64
#define STATUS_LOOKS_MAX  4096 /* ranges that are looked at for one command; then the answer is shorter */

enum { REPORT_ALL = 0, REPORT_NOT_MAPPED = 1, REPORT_MAPPED = 2, REPORT_DEALLOCATED = 3, REPORT_ANCHORED = 4 }; /* SBC-4 */

struct lba_status {
	struct offload_job job;
	struct scsi_task *task;
	uint64_t lba, capacity;
	unsigned max, count;
	uint8_t type;        /* REPORT TYPE */
	bool provisioned;    /* else all is mapped */
	int result;
	struct {
		uint64_t lba, blocks;
		bool mapped;
	} range[STATUS_RANGES_MAX];
};

bool scsi_prepare_get_lba_status(struct scsi_task *task)
{
	uint64_t lba = get_be64(task->cdb + 2);

	if (task->cdb[14] > REPORT_ANCHORED)
		return scsi_refuse_field(task, 14);
	if (lba >= lun_capacity_blocks(task->itl->lu->lun))
		return scsi_refuse(task, ASC_LBA_OUT_OF_RANGE);
	return scsi_prepare_length(task);
}

static bool wanted(const struct lba_status *status, bool mapped)
{
	switch (status->type) {
	case REPORT_ALL:
		return true;
	case REPORT_MAPPED:
		return mapped;
	case REPORT_ANCHORED: /* nothing is ever anchored */
		return false;
	default:
		return !mapped;
	}
}

static void lba_status_work(struct offload_job *job)
{
	struct lba_status *status = container_of(job, struct lba_status, job);
	uint64_t lba = status->lba;

	for (unsigned looks = 0; lba < status->capacity && status->count < status->max && looks < STATUS_LOOKS_MAX; looks++) {
		uint64_t blocks = status->capacity - lba;
		bool mapped = true;

		if (status->provisioned)
			status->result = lun_extent(status->task->itl->lu->lun, lba, &mapped, &blocks);
		if (status->result || !blocks)
			return;
		if (blocks > status->capacity - lba)
			blocks = status->capacity - lba;
		if (blocks > UINT32_MAX)
			blocks = UINT32_MAX;
		if (wanted(status, mapped)) {
			status->range[status->count].lba = lba;
			status->range[status->count].blocks = blocks;
			status->range[status->count++].mapped = mapped;
		}
		lba += blocks;
	}
}

static void lba_status_reply(struct lba_status *status)
{
	struct scsi_reply reply = { .task = status->task };
	uint8_t header[8] = { 0 };

	put_be32(header, 4 + status->count * 16);
	header[7] = status->type ? 0x01 : 0; /* RTP: only what was asked for */
	scsi_reply_append(&reply, header, sizeof header);
	for (unsigned i = 0; i < status->count; i++) {
		uint8_t bytes[16] = { 0 };

		put_be64(bytes, status->range[i].lba);
		put_be32(bytes + 8, (uint32_t)status->range[i].blocks);
		bytes[12] = status->range[i].mapped ? 0 : 1; /* PROVISIONING STATUS: mapped or deallocated */
		scsi_reply_append(&reply, bytes, sizeof bytes);
	}
	scsi_reply_finish(&reply);
}

static void lba_status_done(struct offload_job *job)
{
	struct lba_status *status = container_of(job, struct lba_status, job);

	if (status->result < 0) {
		scsi_fail_errno(status->task, status->result, false);
		scsi_finish(status->task);
	} else {
		lba_status_reply(status);
	}
	free(status);
}

void scsi_get_lba_status(struct scsi_task *task)
{
	struct lba_status *status;

	status = calloc(1, sizeof *status);
	if (!status) {
		task->status = SCSI_BUSY;
		scsi_finish(task);
		return;
	}
	status->task = task;
	status->lba = get_be64(task->cdb + 2);
	status->capacity = lun_capacity_blocks(task->itl->lu->lun);
	status->type = task->cdb[14];
	status->provisioned = task->itl->lu->provisioned;
	status->max = task->data_bytes < 24 ? 1 : (task->data_bytes - 8) / 16;
	if (status->max > STATUS_RANGES_MAX)
		status->max = STATUS_RANGES_MAX;
	status->job.work = lba_status_work;
	status->job.done = lba_status_done;
	offload_submit(task->reactor->offload, &status->job, task->reactor->mailbox);
}
