/*
 * WRITE ATOMIC(16) (SBC-4 5.48, 4.29): all blocks are written or none, also when the worker is killed or the power fails.
 *
 * What a store promises is a sector (store rule 6), so a write within one is a write like others. A larger one has an undo
 * journal, the document `atomic/<lun id>` with the blocks as they were: the LU has one such write at a time, in this order:
 *
 *   read the old blocks -> write them back where they are (thin LUNs: now they have their space) -> publish the journal
 *     -> write the new blocks, through -> remove the journal -> GOOD
 *
 * A journal that is found when the LU is opened is rolled back before it is served. A write that fails is undone at once.
 * When that fails, too, or the journal cannot be removed, nothing may be written until the LU is opened again: the journal
 * would take later writes back (PROTECT_JOURNAL).
 *
 * Nobody else writes the range meanwhile: it is locked exclusively. Once a LU has seen such a write, READ locks its range as
 * well and sees all of it or nothing; only READs that were under way when the first one came may see both.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "dataplane/scsi/blocking_io.h"
#include "dataplane/scsi/internal.h"
#include "log.h"

#define JOURNAL_LOCK UINT64_MAX /* beyond all blocks: who holds this range of the LUN has the journal */

struct scsi_atomic {
	struct offload_job job;
	struct scsi_task *task;
	struct lun_lock journal;
	char *hex;                      /* the old blocks */
	int error;                      /* negative errno: what the command fails with */
};

/* --- the document --- */

static void document_name(const struct scsi_lu *lu, char *ret_name, size_t size)
{
	snprintf(ret_name, size, "atomic/%s", lun_attributes(lu->lun)->id);
}

static int publish(struct scsi_lu *lu, const json_t *content, struct err *err)
{
	char name[64];

	if (!lu->services.documents)
		return 0;
	document_name(lu, name, sizeof name);
	return docstore_publish(lu->services.documents, name, content, lu->journal_version, &lu->journal_version, err);
}

static void hex_of(const struct sgl *list, char *ret_hex)
{
	static const char digits[] = "0123456789abcdef";

	for (unsigned i = 0; i < list->count; i++) {
		const uint8_t *bytes = list->element[i].iov_base;

		for (size_t n = 0; n < list->element[i].iov_len; n++) {
			*ret_hex++ = digits[bytes[n] >> 4];
			*ret_hex++ = digits[bytes[n] & 15];
		}
	}
	*ret_hex = '\0';
}

static int digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The blocks of a journal, aligned, to be freed; NULL: it is not valid. */
static uint8_t *bytes_of(const char *hex, size_t len_bytes)
{
	uint8_t *bytes = aligned_alloc(SGL_ALIGN, (len_bytes + SGL_ALIGN - 1) / SGL_ALIGN * SGL_ALIGN);

	for (size_t i = 0; bytes && i < len_bytes; i++) {
		int high = digit(hex[2 * i]), low = digit(hex[2 * i + 1]);

		if (high < 0 || low < 0) {
			free(bytes);
			return NULL;
		}
		bytes[i] = (uint8_t)(high << 4 | low);
	}
	return bytes;
}

/* --- at opening --- */

static int roll_back(struct scsi_lu *lu, const json_t *content, struct err *err)
{
	const char *hex = json_string_value(json_object_get(content, "data"));
	uint64_t lba = (uint64_t)json_integer_value(json_object_get(content, "lba")), capacity = lun_capacity_blocks(lu->lun);
	size_t len_bytes = hex ? strlen(hex) / 2 : 0, blocks = len_bytes >> lu->block_shift;
	struct blocking_io io;
	uint8_t *bytes;
	int result;

	if (!blocks || blocks > SCSI_ATOMIC_MAX_BLOCKS || blocks << lu->block_shift != len_bytes || lba > capacity ||
	    blocks > capacity - lba)
		return err_set(err, -EBADMSG, "its journal is not valid");
	bytes = bytes_of(hex, len_bytes);
	if (!bytes)
		return err_set(err, -EBADMSG, "its journal is not valid");
	memset(&io, 0, sizeof io);
	result = blocking_io_init(&io, lu->services.offload, err);
	if (result == 0) {
		struct sgl list = { .element = { { bytes, len_bytes } }, .count = 1, .owner = SGL_LUN,
				    .len_bytes = (uint32_t)len_bytes };

		result = blocking_io_do(&io, lu->lun, LUN_WRITE, lba, blocks, &list);
		if (result == 0)
			result = blocking_io_do(&io, lu->lun, LUN_FLUSH, 0, 0, NULL);
		if (result < 0)
			err_errno(err, result, "block %llu", (unsigned long long)lba);
	}
	blocking_io_fini(&io);
	free(bytes);
	if (result == 0)
		log_notice("an atomic write that was interrupted is undone lun=%s lba=%llu blocks=%zu",
			   lun_attributes(lu->lun)->name, (unsigned long long)lba, blocks);
	return result;
}

int scsi_atomic_recover(struct scsi_lu *lu, struct err *err)
{
	json_t *content = NULL;
	char name[64];
	int result;

	if (!lu->services.documents)
		return 0;
	document_name(lu, name, sizeof name);
	result = docstore_load(lu->services.documents, name, &content, &lu->journal_version, err);
	if (result < 0 || !content)
		return result;
	result = roll_back(lu, content, err);
	json_decref(content);
	return result < 0 ? result : publish(lu, NULL, err);
}

/* --- the command --- */

bool scsi_prepare_write_atomic(struct scsi_task *task)
{
	struct scsi_lu *lu = task->itl->lu;
	uint64_t lba = get_be64(task->cdb + 2);
	uint32_t blocks = get_be16(task->cdb + 12);

	if (get_be16(task->cdb + 10)) /* ATOMIC BOUNDARY: none is supported */
		return scsi_refuse_field(task, 10);
	if (!scsi_block_check(task, lba, blocks))
		return false;
	if (blocks > SCSI_ATOMIC_MAX_BLOCKS)
		return scsi_refuse_field(task, 12);
	task->data_bytes = blocks << lu->block_shift;
	task->direction = blocks ? SCSI_DATA_OUT : SCSI_DATA_NONE;
	task->io.lba = lba;
	task->io.blocks = blocks;
	return true;
}

void scsi_atomic_release(struct scsi_task *task)
{
	struct scsi_atomic *atomic = task->atomic;

	task->atomic = NULL;
	if (atomic->journal.lun)
		lun_lock_release(&atomic->journal);
	free(atomic->hex);
	free(atomic);
}

/* The journal stays: from now on it would take back what is written. Who waits for the range must not have it either. */
static void close_for_writes(struct scsi_lu *lu, const char *what)
{
	log_error("the journal of an atomic write stays (%s): nothing is written until the LUN is opened again lun=%s", what,
		  lun_attributes(lu->lun)->name);
	atomic_fetch_or(&lu->protect, PROTECT_JOURNAL);
	atomic_fetch_add(&lu->sanitize_epoch, 1);
}

static void end(struct scsi_atomic *atomic)
{
	if (atomic->error)
		scsi_fail_errno(atomic->task, atomic->error, true);
	scsi_finish(atomic->task);
}

static void submit(struct scsi_atomic *atomic, enum lun_op op, struct sgl *list, bool fua,
		   void (*done)(struct lun_io *io, int result))
{
	struct scsi_task *task = atomic->task;

	task->io.op = op;
	task->io.data = list;
	task->io.data_offset = 0;
	task->io.fua = fua;
	sgl_hand(list, SGL_SCSI, SGL_LUN);
	scsi_block_submit(task, done);
}

static void offload(struct scsi_atomic *atomic, void (*work)(struct offload_job *job), void (*done)(struct offload_job *job))
{
	atomic->job.work = work;
	atomic->job.done = done;
	offload_submit(atomic->task->reactor->offload, &atomic->job, atomic->task->reactor->mailbox);
}

/* Removes the journal, when it is sure that it is not needed. */
static void remove_journal(struct offload_job *job)
{
	struct scsi_atomic *atomic = container_of(job, struct scsi_atomic, job);
	struct err err = { 0 };
	int result = publish(atomic->task->itl->lu, NULL, &err);

	if (result < 0) {
		close_for_writes(atomic->task->itl->lu, err.text);
		if (!atomic->error)
			atomic->error = result;
	}
}

static void removed(struct offload_job *job)
{
	end(container_of(job, struct scsi_atomic, job));
}

static void undone(struct lun_io *io, int result)
{
	struct scsi_atomic *atomic = scsi_task_of_io(io)->atomic;

	sgl_hand(&atomic->task->scratch, SGL_LUN, SGL_SCSI);
	if (result) {
		close_for_writes(atomic->task->itl->lu, "what was written could not be undone");
		end(atomic);
	} else {
		offload(atomic, remove_journal, removed);
	}
}

static void written(struct lun_io *io, int result)
{
	struct scsi_atomic *atomic = scsi_task_of_io(io)->atomic;

	sgl_hand(&atomic->task->data, SGL_LUN, SGL_SCSI);
	atomic->error = result;
	if (result)
		submit(atomic, LUN_WRITE, &atomic->task->scratch, true, undone);
	else
		offload(atomic, remove_journal, removed);
}

/* A journal whose publication failed may be there (its last fsync failed): it must not be, for nothing is written. */
static void withdraw_journal(struct scsi_lu *lu)
{
	json_t *content = NULL;
	struct err err = { 0 };
	char name[64];
	int result;

	document_name(lu, name, sizeof name);
	result = lu->services.documents ? docstore_load(lu->services.documents, name, &content, &lu->journal_version, &err) : 0;
	if (result == 0 && content)
		result = publish(lu, NULL, &err);
	if (result < 0)
		close_for_writes(lu, err.text);
	json_decref(content);
}

static void make_journal(struct offload_job *job)
{
	struct scsi_atomic *atomic = container_of(job, struct scsi_atomic, job);
	struct scsi_task *task = atomic->task;
	struct err err = { 0 };
	json_t *content;

	atomic->hex = malloc(2 * (size_t)task->scratch.len_bytes + 1);
	if (!atomic->hex) {
		atomic->error = -ENOMEM;
		return;
	}
	hex_of(&task->scratch, atomic->hex);
	content = json_pack("{s:I, s:s}", "lba", (json_int_t)task->io.lba, "data", atomic->hex);
	atomic->error = content ? publish(task->itl->lu, content, &err) : -ENOMEM;
	json_decref(content);
	if (atomic->error < 0)
		withdraw_journal(task->itl->lu);
}

static void journaled(struct offload_job *job)
{
	struct scsi_atomic *atomic = container_of(job, struct scsi_atomic, job);

	if (atomic->error)
		end(atomic);
	else
		submit(atomic, LUN_WRITE, &atomic->task->data, true, written);
}

/* The old blocks are in scratch, and have their space. */
static void allocated(struct lun_io *io, int result)
{
	struct scsi_atomic *atomic = scsi_task_of_io(io)->atomic;

	sgl_hand(&atomic->task->scratch, SGL_LUN, SGL_SCSI);
	atomic->error = result;
	if (result || atomic->task->aborted)
		end(atomic);
	else
		offload(atomic, make_journal, journaled);
}

static void old_read(struct lun_io *io, int result)
{
	struct scsi_atomic *atomic = scsi_task_of_io(io)->atomic;
	struct scsi_task *task = atomic->task;

	if (result == 0 && !task->aborted && task->itl->lu->provisioned) {
		sgl_hand(&task->scratch, SGL_LUN, SGL_SCSI);
		submit(atomic, LUN_WRITE, &task->scratch, false, allocated);
	} else {
		allocated(io, result);
	}
}

static void range_granted(struct scsi_task *task)
{
	if (!sgl_alloc(task->reactor->pool, &task->scratch, task->data_bytes, SGL_SCSI)) {
		task->scratch.owner = SGL_NOBODY;
		task->status = SCSI_BUSY;
		scsi_finish(task);
		return;
	}
	submit(task->atomic, LUN_READ, &task->scratch, false, old_read);
}

static void lock_range(struct scsi_task *task)
{
	if (task->aborted)
		scsi_finish(task);
	else
		scsi_block_lock(task, task->io.lba, task->io.blocks, true, range_granted);
}

static void journal_granted(struct lun_lock *lock)
{
	lock_range(container_of(lock, struct scsi_atomic, journal)->task);
}

/* No more than a sector of the medium: nothing tears it. */
static bool within_a_sector(const struct scsi_task *task)
{
	const struct scsi_lu *lu = task->itl->lu;
	uint64_t first_byte = task->io.lba << lu->block_shift;

	return first_byte % lu->sector_bytes + task->data_bytes <= lu->sector_bytes;
}

void scsi_write_atomic(struct scsi_task *task)
{
	struct scsi_lu *lu = task->itl->lu;
	struct scsi_atomic *atomic;

	if (task->io.blocks && task->data.len_bytes != task->data_bytes) { /* all or nothing: not what came of it */
		scsi_refuse_field(task, 12);
		scsi_finish(task);
		return;
	}
	if (!task->io.blocks || within_a_sector(task)) {
		scsi_write(task);
		return;
	}
	atomic = calloc(1, sizeof *atomic);
	if (!atomic) {
		task->status = SCSI_BUSY;
		scsi_finish(task);
		return;
	}
	task->atomic = atomic;
	atomic->task = task;
	atomic_store(&lu->reads_lock, true);
	atomic->journal = (struct lun_lock){ .lun = lu->lun, .lba = JOURNAL_LOCK, .blocks = 1, .exclusive = true,
					     .granted = journal_granted, .reply_to = task->reactor->mailbox };
	if (lun_lock_take(&atomic->journal))
		lock_range(task);
}
