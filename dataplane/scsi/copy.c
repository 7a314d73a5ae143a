#include "dataplane/scsi/copy.h"

#include <stdio.h>
#include <stdlib.h>

#include "clock.h"
#include "dataplane/scsi/token.h"
#include "log.h"

#define BUFFER_ALIGN 4096
#define BURST_NS     NS_PER_S /* what may be caught up with of the rate: scsi_reactor_tick() comes once a second */

static _Atomic uint64_t bytes_per_s = SCSI_COPY_BYTES_PER_S;

struct lane {
	struct scsi_copy *copy;
	bool busy, zeroes, writing;
	struct copy_extent piece;
	uint64_t position;   /* of the piece in the whole copy */
	uint32_t sanitize_epoch; /* of the destination, when the piece was started */
	struct lun_io io;
	struct lun_lock lock; /* lock.lun NULL: not taken, not waited for */
	struct scsi_abandoned abandoned; /* the piece that it is writing */
	struct sgl list;
	uint8_t *buffer;
};

struct scsi_copy {
	struct scsi_task *task;
	struct copy_result *result;
	struct scsi_lu *token_lu;
	uint64_t token_id, deadline_ns, began_ns;
	struct scsi_job *job;    /* once it has run for COPY_SHOWN_MS; NULL: not yet, or there was no room */
	bool shown;
	struct copy_extent extent[COPY_EXTENTS_MAX];
	unsigned extent_count, current;
	uint64_t at_bytes;   /* of the current extent: handed to lanes */
	uint64_t position;   /* of the whole: handed to lanes */
	uint64_t failed_at;  /* position of the first piece that failed */
	uint64_t done_bytes; /* pieces that are written, not always the first ones */
	unsigned busy, turn_left;
	bool running, again, posted; /* copy_run(), and its mail to itself */
	bool paused;         /* waits for the rate */
	struct list in_paused;
	bool failed, stopped, expired, token_consumed;
	struct mail mail;
	uint8_t *buffers;
	struct lane lane[COPY_LANES];
};

/* --- results --- */

struct copy_result *copy_result_find(const struct scsi_itl *itl, uint32_t list_id)
{
	list_for_each(node, &itl->copies) {
		struct copy_result *result = container_of(node, struct copy_result, link);

		if (result->list_id == list_id)
			return result;
	}
	return NULL;
}

static void drop_result(struct scsi_itl *itl, struct copy_result *result)
{
	list_remove(&result->link);
	itl->copy_count--;
	free(result);
}

/* Room for one more: the oldest that has ended goes. */
static void make_room(struct scsi_itl *itl)
{
	list_for_each_safe(node, &itl->copies) {
		struct copy_result *result = container_of(node, struct copy_result, link);

		if (itl->copy_count < COPY_RESULTS_MAX)
			return;
		if (!result->copy)
			drop_result(itl, result);
	}
}

struct copy_result *copy_result_new(struct scsi_task *task, uint32_t list_id)
{
	struct scsi_itl *itl = task->itl;
	struct copy_result *result = copy_result_find(itl, list_id);

	if (result && result->copy) {
		scsi_refuse(task, ASC_OPERATION_IN_PROGRESS);
		return NULL;
	}
	if (result)
		drop_result(itl, result);
	make_room(itl);
	result = itl->copy_count < COPY_RESULTS_MAX ? calloc(1, sizeof *result) : NULL;
	if (!result) {
		task->status = SCSI_BUSY;
		return NULL;
	}
	result->list_id = list_id;
	result->service_action = task->cdb[1] & 0x1f;
	result->state = COPY_IN_PROGRESS;
	list_append(&itl->copies, &result->link);
	itl->copy_count++;
	return result;
}

void copy_result_end(struct copy_result *result, const struct scsi_task *task, enum copy_state state)
{
	if (!result)
		return;
	result->copy = NULL;
	result->state = (uint8_t)state;
	result->status = task->status;
	result->sense_len_bytes = task->sense_len_bytes;
	memcpy(result->sense, task->sense, task->sense_len_bytes);
}

void scsi_itl_forget_copies(struct scsi_itl *itl)
{
	struct list *node;

	while ((node = list_take(&itl->copies)))
		free(container_of(node, struct copy_result, link));
	itl->copy_count = 0;
}

/* --- making one --- */

struct scsi_copy *copy_new(struct scsi_task *task)
{
	struct scsi_copy *copy = NULL;

	if (task->reactor->copies < COPIES_PER_REACTOR && task->nexus->copies < COPIES_PER_NEXUS)
		copy = calloc(1, sizeof *copy);
	if (copy)
		copy->buffers = aligned_alloc(BUFFER_ALIGN, COPY_LANES * COPY_PIECE_BYTES);
	if (!copy || !copy->buffers) {
		free(copy);
		task->status = SCSI_BUSY;
		return NULL;
	}
	task->reactor->copies++;
	task->nexus->copies++;
	copy->task = task;
	copy->failed_at = UINT64_MAX;
	copy->began_ns = clock_now_ns();
	for (unsigned i = 0; i < COPY_LANES; i++) {
		copy->lane[i].copy = copy;
		copy->lane[i].buffer = copy->buffers + i * COPY_PIECE_BYTES;
	}
	return copy;
}

void copy_free(struct scsi_copy *copy)
{
	if (!copy)
		return;
	copy->task->reactor->copies--;
	copy->task->nexus->copies--;
	free(copy->buffers);
	free(copy);
}

bool copy_add(struct scsi_copy *copy, const struct copy_extent *extent)
{
	if (copy->extent_count == COPY_EXTENTS_MAX)
		return false;
	copy->extent[copy->extent_count++] = *extent;
	return true;
}

void copy_set_token(struct scsi_copy *copy, struct scsi_lu *lu, uint64_t token_id, bool consume)
{
	copy->token_consumed = consume;
	copy->token_lu = lu;
	copy->token_id = token_id;
}

void copy_set_deadline(struct scsi_copy *copy, uint64_t deadline_ns)
{
	copy->deadline_ns = deadline_ns;
}

/* --- who may --- */

static bool names(const struct copy_cscd *cscd, const struct lun_attributes *attributes)
{
	char t10[SCSI_T10_ID_MAX];

	if (cscd->association != 0)
		return false;
	switch (cscd->designator_type) {
	case DESIGNATOR_NAA:
		return cscd->designator_len_bytes == sizeof attributes->naa &&
		       !memcmp(cscd->designator, attributes->naa, sizeof attributes->naa);
	case DESIGNATOR_T10:
		return cscd->designator_len_bytes == scsi_t10_id(attributes, t10) &&
		       !memcmp(cscd->designator, t10, cscd->designator_len_bytes);
	default:
		return false;
	}
}

/* The entry of the inventory that the descriptor names: that of the task if it is, else the first; -1: none. A logical
 * unit that others see and this nexus does not is not there. */
static int find_named(const struct scsi_task *task, const struct copy_cscd *cscd)
{
	const struct scsi_inventory *inventory = task->nexus->inventory;

	if (names(cscd, lun_attributes(task->itl->lu->lun)))
		return scsi_inventory_find(inventory, task->itl->number);
	for (unsigned i = 0; i < inventory->count; i++)
		if (names(cscd, lun_attributes(inventory->entry[i].lu->lun)))
			return (int)i;
	return -1;
}

static void refuse_reach(struct scsi_task *task, uint16_t asc_ascq)
{
	scsi_task_fail(task, KEY_COPY_ABORTED, asc_ascq);
}

struct scsi_itl *copy_reach(struct scsi_task *task, const struct copy_cscd *cscd, unsigned id)
{
	int index = find_named(task, cscd);
	struct scsi_itl *itl;

	if (index < 0) {
		char text[2 * sizeof cscd->designator + 1] = "";

		for (unsigned i = 0; i < cscd->designator_len_bytes; i++)
			snprintf(text + 2 * i, 3, "%02x", cscd->designator[i]);
		log_limited(LOG_NOTICE, "copy refused, not a logical unit of this initiator designator=%s initiator=%s target=%s",
			    text, log_quoted(task->nexus->port.initiator_name), task->nexus->port.target_name);
		refuse_reach(task, ASC_COPY_TARGET_NOT_REACHABLE);
		return NULL;
	}
	if (cscd->device_type != 0) {
		refuse_reach(task, ASC_INCORRECT_COPY_TARGET_TYPE);
		return NULL;
	}
	itl = scsi_nexus_itl(task->nexus, (unsigned)index);
	if (!itl) {
		task->status = SCSI_BUSY;
	} else if (cscd->block_bytes && cscd->block_bytes != itl->lu->block_bytes) {
		scsi_refuse_list(task, 16 + id * COPY_CSCD_BYTES + 29);
		return NULL;
	}
	return itl;
}

static bool in_range(const struct scsi_itl *itl, uint64_t lba, uint64_t bytes)
{
	uint64_t capacity = lun_capacity_blocks(itl->lu->lun), blocks = bytes >> itl->lu->block_shift;

	return lba <= capacity && blocks <= capacity - lba;
}

static bool access_allows(struct scsi_copy *copy, const struct copy_extent *extent)
{
	return (!extent->source || scsi_access_allows(copy->task, extent->source, ACCESS_READ)) &&
	       scsi_access_allows(copy->task, extent->destination, ACCESS_WRITE);
}

bool copy_check(struct scsi_copy *copy)
{
	for (unsigned i = 0; i < copy->extent_count; i++) {
		const struct copy_extent *extent = &copy->extent[i];

		if (!access_allows(copy, extent))
			return false;
		if ((extent->source && !in_range(extent->source, extent->source_lba, extent->bytes)) ||
		    !in_range(extent->destination, extent->destination_lba, extent->bytes)) {
			scsi_set_sense(copy->task, &(struct scsi_sense){ .key = KEY_COPY_ABORTED, .has_command = true,
									 .command_specific = i });
			return false;
		}
	}
	return true;
}

/* --- pieces --- */

static void copy_run(struct scsi_copy *copy);

/* The first failure is the one that the initiator hears of. */
static void fail(struct scsi_copy *copy, uint64_t position)
{
	copy->failed = true;
	if (position < copy->failed_at)
		copy->failed_at = position;
}

/* A full store is said as it is, for who keeps thin LUNs waits for that; anything else is a device that failed. */
static void fail_io(struct lane *lane, int error, bool write)
{
	struct scsi_copy *copy = lane->copy;
	struct scsi_sense sense = scsi_sense_from_errno(error, write);

	if (sense.asc_ascq != ASC_SPACE_ALLOCATION_FAILED) {
		sense.key = KEY_COPY_ABORTED;
		sense.asc_ascq = ASC_THIRD_PARTY_DEVICE_FAILURE;
	}
	sense.has_command = true;
	sense.command_specific = copy->current;
	if (!copy->failed)
		scsi_set_sense(copy->task, &sense);
	fail(copy, lane->position);
}

static uint64_t end_lba(const struct copy_extent *piece)
{
	return piece->destination_lba + (piece->bytes >> piece->destination->lu->block_shift);
}

static bool gives_up(const struct scsi_copy *copy)
{
	return copy->task->aborted || copy->stopped || copy->failed;
}

static void lane_end(struct lane *lane)
{
	if (lane->lock.lun) {
		lun_lock_release(&lane->lock);
		lane->lock.lun = NULL;
	}
	lane->busy = false;
	lane->copy->busy--;
	copy_run(lane->copy);
}

static void written(struct lun_io *io, int result)
{
	struct lane *lane = container_of(io, struct lane, io);
	struct scsi_copy *copy = lane->copy;

	lane->writing = false;
	if (lane->abandoned.lu)
		scsi_abandoned_is_done(&lane->abandoned);
	if (io->data)
		sgl_hand(&lane->list, SGL_LUN, SGL_SCSI);
	if (result) {
		fail_io(lane, result, true);
	} else {
		scsi_lu_changed(lane->piece.destination->lu);
		copy->done_bytes += lane->piece.bytes;
		if (copy->result)
			copy->result->operations++;
	}
	lane_end(lane);
}

static void submit(struct lane *lane, enum lun_op op, struct scsi_itl *itl, uint64_t lba,
		   void (*done)(struct lun_io *io, int result))
{
	struct lun_io *io = &lane->io;

	io->op = op;
	io->lun = itl->lu->lun;
	io->lba = lba;
	io->blocks = lane->piece.bytes >> itl->lu->block_shift;
	io->data = op == LUN_WRITE_SAME ? NULL : &lane->list;
	io->data_offset = 0;
	io->fua = false;
	io->done = done;
	if (io->data)
		sgl_hand(&lane->list, SGL_SCSI, SGL_LUN);
	lun_submit(io, lane->copy->task->reactor->store);
}

static void fail_for_sanitize(struct lane *lane)
{
	if (!lane->copy->failed)
		scsi_task_fail(lane->copy->task, KEY_NOT_READY, ASC_SANITIZE_IN_PROGRESS);
	fail(lane->copy, lane->position);
	lane_end(lane);
}

static bool sanitized(const struct scsi_itl *itl)
{
	return itl && atomic_load(&itl->lu->sanitize_state) != SANITIZE_NONE;
}

/* Not behind what was given up and may still land there: of a path of its host, of anyone. False: the task has sense. */
static bool may_write(const struct lane *lane)
{
	const struct copy_extent *piece = &lane->piece;
	struct scsi_task *task = lane->copy->task;

	if (!scsi_path_is_there(task, piece->destination, &lane->lock))
		return false;
	if (!scsi_range_is_abandoned(piece->destination->lu, piece->destination_lba, end_lba(piece)))
		return true;
	scsi_task_fail(task, KEY_COPY_ABORTED, ASC_NONE);
	return false;
}

static void write_piece(struct lane *lane)
{
	const struct copy_extent *piece = &lane->piece;
	struct scsi_lu *lu = piece->destination->lu;

	if (atomic_load(&lu->sanitize_epoch) != lane->sanitize_epoch) { /* it may have waited for a sanitize */
		fail_for_sanitize(lane);
		return;
	}
	if (gives_up(lane->copy) || !may_write(lane)) {
		fail(lane->copy, lane->position);
		lane_end(lane);
		return;
	}
	scsi_tokens_overwritten(lu, piece->destination_lba, piece->bytes >> lu->block_shift);
	lane->writing = true;
	submit(lane, lane->zeroes ? LUN_WRITE_SAME : LUN_WRITE, piece->destination, piece->destination_lba, written);
}

static void granted(struct lun_lock *lock)
{
	write_piece(container_of(lock, struct lane, lock));
}

static void lock_and_write(struct lane *lane)
{
	struct scsi_lu *lu = lane->piece.destination->lu;

	lane->lock = (struct lun_lock){ .lun = lu->lun, .lba = lane->piece.destination_lba,
					.blocks = lane->piece.bytes >> lu->block_shift, .granted = granted,
					.reply_to = lane->copy->task->reactor->mailbox };
	if (sanitized(lane->piece.destination)) { /* it holds the lock for as long as it takes */
		lane->lock.lun = NULL;
		fail_for_sanitize(lane);
		return;
	}
	if (scsi_paths_lock(&lane->lock, lane->piece.destination))
		write_piece(lane);
}

/* Thin stays thin: what reads as zeroes is unmapped where that reads as zeroes, too. */
static bool better_unmapped(const struct lane *lane)
{
	const struct scsi_lu *lu = lane->piece.destination->lu;
	const uint8_t *bytes = lane->buffer;

	return lu->provisioned && lu->unmap_zeroes && !bytes[0] && !memcmp(bytes, bytes + 1, lane->piece.bytes - 1);
}

static void read_done(struct lun_io *io, int result)
{
	struct lane *lane = container_of(io, struct lane, io);
	struct scsi_copy *copy = lane->copy;

	sgl_hand(&lane->list, SGL_LUN, SGL_SCSI);
	if (result) {
		fail_io(lane, result, false);
		lane_end(lane);
		return;
	}
	/* Who overwrites it revokes the token before: still valid means that what was read is what the token stands for. */
	if (copy->token_lu && !scsi_token_valid(copy->token_lu, copy->token_id)) {
		if (!copy->failed)
			scsi_refuse(copy->task, ASC_TOKEN_REVOKED);
		fail(copy, lane->position);
		lane_end(lane);
		return;
	}
	lane->zeroes = better_unmapped(lane);
	lock_and_write(lane);
}

static void start_piece(struct lane *lane)
{
	struct sgl *list = &lane->list;

	lane->sanitize_epoch = atomic_load(&lane->piece.destination->lu->sanitize_epoch);
	if (sanitized(lane->piece.source) || sanitized(lane->piece.destination)) {
		fail_for_sanitize(lane);
		return;
	}
	lane->zeroes = !lane->piece.source;
	if (lane->zeroes) {
		lock_and_write(lane);
		return;
	}
	list->element[0] = (struct iovec){ lane->buffer, lane->piece.bytes };
	list->count = 1;
	list->len_bytes = (uint32_t)lane->piece.bytes;
	list->owner = SGL_SCSI;
	submit(lane, LUN_READ, lane->piece.source, lane->piece.source_lba, read_done);
}

/* --- the rate --- */

void scsi_copy_set_rate(uint64_t rate_bytes_per_s)
{
	atomic_store(&bytes_per_s, rate_bytes_per_s);
}

/* Zeroes that are unmapped move nothing. */
static bool is_free(const struct copy_extent *extent)
{
	return !extent->source && extent->destination->lu->provisioned && extent->destination->lu->unmap_zeroes;
}

static void charge(struct scsi_reactor *reactor, const struct copy_extent *piece)
{
	uint64_t now_ns = clock_now_ns();

	if (is_free(piece))
		return;
	if (reactor->copy_due_ns + BURST_NS < now_ns)
		reactor->copy_due_ns = now_ns - BURST_NS;
	reactor->copy_due_ns += piece->bytes * NS_PER_S / atomic_load(&bytes_per_s);
}

/* True: the copy waits for the next tick, or has no time for that. */
static bool above_rate(struct scsi_copy *copy)
{
	struct scsi_reactor *reactor = copy->task->reactor;
	uint64_t now_ns = clock_now_ns();

	if (reactor->copy_due_ns <= now_ns || is_free(&copy->extent[copy->current]))
		return false;
	if (copy->deadline_ns && now_ns + BURST_NS >= copy->deadline_ns) {
		copy->expired = true;
		return true;
	}
	copy->paused = true;
	list_append(&reactor->paused, &copy->in_paused);
	return true;
}

void scsi_reactor_tick(struct scsi_reactor *reactor)
{
	struct list now, *at;

	list_init(&now);
	list_splice(&now, &reactor->paused);
	while ((at = list_take(&now))) {
		struct scsi_copy *copy = container_of(at, struct scsi_copy, in_paused);

		copy->paused = false;
		copy_run(copy);
	}
}

/* --- extents --- */

/* Onto itself: its pieces have an order, and there is one at a time. */
static bool overlaps(const struct copy_extent *extent)
{
	uint64_t blocks;

	if (!extent->source || extent->source->lu != extent->destination->lu)
		return false;
	blocks = extent->bytes >> extent->source->lu->block_shift;
	return extent->source_lba < extent->destination_lba + blocks && extent->destination_lba < extent->source_lba + blocks;
}

static struct copy_extent piece_of(const struct copy_extent *extent, uint64_t at_bytes)
{
	uint64_t left = extent->bytes - at_bytes, max = extent->source ? COPY_PIECE_BYTES : COPY_ZERO_BYTES;
	uint64_t bytes = left < max ? left : max;
	bool from_the_end = overlaps(extent) && extent->source_lba < extent->destination_lba;
	uint64_t offset = from_the_end ? left - bytes : at_bytes;
	struct copy_extent piece = *extent;

	if (extent->source)
		piece.source_lba += offset >> extent->source->lu->block_shift;
	piece.destination_lba += offset >> extent->destination->lu->block_shift;
	piece.bytes = bytes;
	return piece;
}

/* An extent begins when the one before has ended. False: all of the current one is handed out, or all is copied. */
static bool more_to_hand_out(struct scsi_copy *copy)
{
	while (copy->current < copy->extent_count && copy->at_bytes == copy->extent[copy->current].bytes) {
		if (copy->busy)
			return false;
		copy->current++;
		copy->at_bytes = 0;
	}
	return copy->current < copy->extent_count;
}

static void take_piece(struct scsi_copy *copy, struct lane *lane)
{
	lane->piece = piece_of(&copy->extent[copy->current], copy->at_bytes);
	lane->position = copy->position;
	copy->at_bytes += lane->piece.bytes;
	copy->position += lane->piece.bytes;
	charge(copy->task->reactor, &lane->piece);
	copy->turn_left--;
	copy->busy++;
	lane->busy = true;
}

static uint64_t total_bytes(const struct scsi_copy *copy)
{
	uint64_t total = 0;

	for (unsigned i = 0; i < copy->extent_count; i++)
		total += copy->extent[i].bytes;
	return total;
}

/* Among the operations, from now on. */
static void show(struct scsi_copy *copy)
{
	const struct scsi_task *task = copy->task;
	const struct scsi_job_facts facts = {
		.kind = (task->cdb[1] & 0x1f) == COPY_SA_WRITE_USING_TOKEN ? "write-using-token" : "extended-copy",
		.lun = lun_attributes(task->itl->lu->lun)->name, .initiator = task->nexus->port.initiator_name,
		.total_bytes = total_bytes(copy), .cancellable = true,
	};

	copy->shown = true;
	scsi_job_start(task->itl->lu->services.jobs, &facts, &copy->job); /* one too many runs unseen */
}

/* There is more to do: may it be done? */
static bool goes_on(struct scsi_copy *copy)
{
	uint64_t now_ns = clock_now_ns();

	copy->stopped |= scsi_job_cancelled(copy->job);
	if (gives_up(copy) || copy->expired)
		return false;
	if (copy->deadline_ns && now_ns >= copy->deadline_ns) {
		copy->expired = true;
		return false;
	}
	if (!copy->shown && now_ns - copy->began_ns >= COPY_SHOWN_MS * NS_PER_MS)
		show(copy);
	scsi_job_progress(copy->job, copy->done_bytes);
	if (access_allows(copy, &copy->extent[copy->current]))
		return true;
	fail(copy, copy->position);
	return false;
}

static enum copy_state end_state(struct scsi_copy *copy)
{
	struct scsi_task *task = copy->task;

	if (copy->failed)
		return task->aborted || copy->stopped ? COPY_TERMINATED : COPY_FAILED;
	if (copy->current == copy->extent_count)
		return COPY_COMPLETED;
	return copy->expired ? COPY_RESIDUAL : COPY_TERMINATED;
}

static void end_job(struct scsi_copy *copy, enum copy_state state)
{
	scsi_job_progress(copy->job, copy->done_bytes);
	if (state == COPY_FAILED)
		scsi_job_end(copy->job, JOB_FAILED, "a logical unit could not be read or written, or access to it was lost");
	else
		scsi_job_end(copy->job, state == COPY_TERMINATED ? JOB_CANCELLED : JOB_SUCCEEDED, NULL);
}

static void finish(struct scsi_copy *copy)
{
	struct scsi_task *task = copy->task;
	struct copy_result *result = copy->result;
	enum copy_state state = end_state(copy);

	if (state == COPY_COMPLETED && copy->token_consumed)
		scsi_token_delete(copy->token_lu, copy->token_id);
	if (state == COPY_TERMINATED)
		scsi_task_fail(task, KEY_COPY_ABORTED, ASC_NONE);
	if (result) {
		result->bytes = copy->failed_at < copy->position ? copy->failed_at : copy->position;
		result->segments = (uint16_t)copy->current;
		copy_result_end(result, task, state);
	}
	end_job(copy, state);
	task->copy = NULL;
	copy_free(copy);
	scsi_finish(task);
}

static void turn_again(struct mail *mail)
{
	struct scsi_copy *copy = container_of(mail, struct scsi_copy, mail);

	copy->posted = false;
	copy_run(copy);
}

/* Hands pieces to idle lanes. A completion inside a submission does not recurse, and a store that completes everything
 * at once does not keep the reactor: the rest waits for the next turn. */
static void hand_out(struct scsi_copy *copy)
{
	for (unsigned i = 0; i < COPY_LANES && !copy->posted && !copy->paused; i++) {
		struct lane *lane = &copy->lane[i];

		if (lane->busy)
			continue;
		if (!more_to_hand_out(copy) || (copy->busy && overlaps(&copy->extent[copy->current])) || !goes_on(copy) ||
		    above_rate(copy))
			return;
		if (copy->turn_left == 0) {
			copy->posted = true;
			copy->mail.run = turn_again;
			mailbox_post(copy->task->reactor->mailbox, &copy->mail);
			return;
		}
		take_piece(copy, lane);
		start_piece(lane);
	}
}

static void copy_run(struct scsi_copy *copy)
{
	copy->again = true;
	if (copy->running)
		return;
	copy->running = true;
	copy->turn_left = COPY_TURN_PIECES;
	while (copy->again) {
		copy->again = false;
		hand_out(copy);
	}
	copy->running = false;
	if (!copy->busy && !copy->posted && !copy->paused)
		finish(copy);
}

void copy_start(struct scsi_copy *copy, struct copy_result *result, bool immediate)
{
	copy->result = result;
	copy->task->copy = copy;
	if (result)
		result->copy = copy;
	if (immediate)
		scsi_go_on_in_background(copy->task);
	copy_run(copy);
}

void copy_stop(struct scsi_copy *copy)
{
	copy->stopped = true;
}

void copy_abandon(struct scsi_copy *copy)
{
	for (unsigned i = 0; i < COPY_LANES; i++) {
		struct lane *lane = &copy->lane[i];
		const struct copy_extent *piece = &lane->piece;

		if (lane->writing)
			scsi_abandon_range(&lane->abandoned, piece->destination->lu, piece->destination_lba, end_lba(piece));
	}
}

uint64_t copy_done_bytes(const struct scsi_copy *copy)
{
	return copy->done_bytes;
}

unsigned copy_itls(const struct scsi_copy *copy)
{
	return 2 * copy->extent_count;
}

const struct scsi_itl *copy_itl(const struct scsi_copy *copy, unsigned index)
{
	const struct copy_extent *extent = &copy->extent[index / 2];

	return index % 2 && extent->source ? extent->source : extent->destination;
}

bool copy_uses_lu(const struct scsi_copy *copy, const struct scsi_lu *lu)
{
	for (unsigned i = 0; i < copy_itls(copy); i++)
		if (copy_itl(copy, i)->lu == lu)
			return true;
	return false;
}
