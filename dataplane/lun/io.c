/*
 * I/O of a LUN: LUN -> generation of the mapping -> tuple that holds the LBA -> object (LU-3, LU-5).
 *
 * Happy path: a READ or WRITE inside one object whose data is a whole list goes to the store with the list's own
 * elements, in one store_io inside lun_io; nothing is allocated, copied or locked.
 *
 * Everything else is a run: pieces of the range, each inside one object, are handed to parts. There are
 * LUN_PARTS_INLINE parts in lun_io and LUN_PARTS_MORE from a pool when the request crosses more objects; without memory
 * for those the run goes on with the inline ones. A part that is done takes the next piece, so memory is bounded whatever the range. The
 * first error wins and no further piece is started. The run completes once, when no part is busy.
 *
 * A store may complete inside store_submit(). `submitting` keeps that from recursing: the loop takes the next piece.
 *
 *   READ, WRITE   a piece: to the end of the object, or as far as PART_IOV elements reach
 *   UNMAP         a piece: UNMAP_PIECE_BYTES at most, so that one request does not hold a pool thread for long
 *   FLUSH         a piece: one object that has writes to flush (lun_private.h)
 *   WRITE_SAME    zeroes: as UNMAP; when the store cannot, all is written. Else a piece of PART_IOV times a buffer that
 *                 is filled with copies of the block
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/lun/lun_private.h"

#define PART_IOV          24
#define LUN_PARTS_MORE    14
#define MORE_SPARE_MAX    16
#define UNMAP_PIECE_BYTES (UINT64_C(1) << 30)
#define PATTERN_BYTES     65536

struct part {
	struct store_io sio;
	struct lun_io *io;
	struct lun_object *object;
	uint64_t flush_token;
	bool busy;
};

/* Parts beyond the inline ones. */
struct more {
	struct more *next; /* spare ones */
	struct part part[LUN_PARTS_MORE];
	struct iovec iov[LUN_PARTS_MORE * PART_IOV];
};

struct run {
	struct lun_generation *generation;
	struct store_ctx *ctx;
	uint64_t next_lba, end_lba; /* not yet handed to a part */
	uint64_t began_ns;   /* READ, WRITE: when it was submitted; 0: not counted */
	uint64_t turn;       /* of the context, then */
	bool alike;          /* to one that was timed in this turn */
	uint32_t slot;
	uint32_t busy;
	int result;
	bool submitting;
	bool punch;          /* WRITE_SAME: by UNMAP */
	bool punch_refused;
	bool keep_allocated;
	struct more *more;
	uint8_t *pattern;    /* WRITE_SAME: PATTERN_BYTES of copies; NULL: zeroes */
	struct part part[LUN_PARTS_INLINE];
	struct iovec iov[LUN_PARTS_INLINE * PART_IOV];
};

static_assert(sizeof(struct run) <= sizeof(((struct lun_io *)0)->driver), "a run fits into lun_io.driver");

static uint8_t zeroes[PATTERN_BYTES] __attribute__((aligned(4096)));
static pthread_mutex_t spare_lock = PTHREAD_MUTEX_INITIALIZER;
static struct more *spare;
static unsigned spare_count;

static struct run *run_of(struct lun_io *io)
{
	return (struct run *)io->driver;
}

static struct more *more_get(void)
{
	struct more *more;

	pthread_mutex_lock(&spare_lock);
	more = spare;
	if (more) {
		spare = more->next;
		spare_count--;
	}
	pthread_mutex_unlock(&spare_lock);
	if (!more)
		more = malloc(sizeof *more);
	for (unsigned i = 0; more && i < LUN_PARTS_MORE; i++)
		more->part[i].busy = false;
	return more;
}

static void more_put(struct more *more)
{
	if (!more)
		return;
	pthread_mutex_lock(&spare_lock);
	if (spare_count < MORE_SPARE_MAX) {
		more->next = spare;
		spare = more;
		spare_count++;
		more = NULL;
	}
	pthread_mutex_unlock(&spare_lock);
	free(more);
}

/* ---- what is written and not flushed ---- */

static void mark_dirty(struct lun_object *object)
{
	if (atomic_load(&object->flush) != LUN_DIRTY)
		atomic_store(&object->flush, LUN_DIRTY);
}

/* False: nothing to flush. */
static bool flush_begin(struct lun *lun, struct lun_object *object, uint64_t *ret_token)
{
	uint64_t seen = atomic_load(&object->flush), token = atomic_fetch_add(&lun->flush_token, 1);

	while (seen == LUN_DIRTY && !atomic_compare_exchange_weak(&object->flush, &seen, token))
		;
	*ret_token = seen == LUN_DIRTY ? token : seen;
	return seen != LUN_CLEAN;
}

static void flush_end(struct lun_object *object, uint64_t token, int result)
{
	if (result < 0)
		atomic_store(&object->flush, LUN_DIRTY);
	else
		atomic_compare_exchange_strong(&object->flush, &token, LUN_CLEAN);
}

static void after(struct part *part, int result)
{
	const struct store_io *sio = &part->sio;

	if (sio->op == STORE_FLUSH)
		flush_end(part->object, part->flush_token, result);
	else if (result == 0 && sio->op != STORE_READ && !sio->fua)
		mark_dirty(part->object);
}

/* ---- time in the store ----
 *
 * Two readings of the clock cost more than all else here for an I/O that the store does at once (memory, null). Of those,
 * the first of its kind and length in a turn of the reactor is timed, and stands for the others in the same turn.
 */

static uint64_t kind_of(const struct lun_io *io)
{
	return io->blocks << 1 | (io->op == LUN_WRITE);
}

static void clock_start(struct lun_io *io, struct run *run)
{
	const struct lun_slot *slot = &io->lun->slot[run->slot];

	if (!STATS_COUNTING || !slot->stats)
		return;
	run->turn = *slot->turn;
	run->alike = slot->at_once_turn == run->turn && slot->at_once_kind == kind_of(io);
	run->began_ns = run->alike ? slot->at_once_ended_ns : stats_now_ns();
}

static void clock_stop(struct lun_io *io, const struct run *run)
{
	struct lun_slot *slot = &io->lun->slot[run->slot];
	bool at_once = *slot->turn == run->turn;
	uint64_t took_ns = slot->at_once_took_ns, ended_ns;

	if (!at_once || !run->alike) {
		ended_ns = stats_now_ns();
		took_ns = ended_ns - run->began_ns;
		if (at_once) {
			slot->at_once_turn = run->turn;
			slot->at_once_kind = kind_of(io);
			slot->at_once_took_ns = took_ns;
			slot->at_once_ended_ns = ended_ns;
		}
	}
	stats_latency(slot->stats, io->op == LUN_READ ? STATS_STORE_READ_LATENCY : STATS_STORE_WRITE_LATENCY, took_ns);
}

/* ---- the happy path ---- */

static void finish(struct lun_io *io, int result)
{
	struct run *run = run_of(io);

	if (run->began_ns && result == 0)
		clock_stop(io, run);
	lun_generation_put(io->lun, run->generation, run->slot);
	io->done(io, result);
}

static void single_done(struct store_io *sio, int result)
{
	struct part *part = container_of(sio, struct part, sio);

	after(part, result);
	finish(part->io, result);
}

/* A READ or WRITE that is one store_io with the list's elements or at most all inline iovecs; false: it is a run. */
static bool submit_single(struct lun_io *io, struct run *run, const struct lun_tuple *tuple, uint32_t len_bytes)
{
	struct part *part = &run->part[0];
	struct store_io *sio = &part->sio;
	uint32_t covered;

	if (io->data_offset == 0 && len_bytes == io->data->len_bytes) {
		sio->iov = io->data->element;
		sio->iov_count = io->data->count;
	} else {
		sio->iov = run->iov;
		sio->iov_count = sgl_slice(io->data, io->data_offset, len_bytes, run->iov,
					   LUN_PARTS_INLINE * PART_IOV, &covered);
		if (covered < len_bytes)
			return false;
	}
	part->io = io;
	part->object = tuple->object;
	sio->op = io->op == LUN_READ ? STORE_READ : STORE_WRITE;
	sio->object = tuple->object->handle;
	sio->offset_bytes = (io->lba - tuple->first_lba) << io->lun->block_shift;
	sio->len_bytes = len_bytes;
	sio->fua = io->fua;
	sio->keep_allocated = false;
	sio->done = single_done;
	store_submit(run->ctx, sio);
	return true;
}

/* ---- runs ---- */

static void advance(struct lun_io *io);

static struct part *part_find(struct run *run)
{
	for (unsigned i = 0; i < LUN_PARTS_INLINE; i++)
		if (!run->part[i].busy)
			return &run->part[i];
	for (unsigned i = 0; run->more && i < LUN_PARTS_MORE; i++)
		if (!run->more->part[i].busy)
			return &run->more->part[i];
	return NULL;
}

static struct iovec *part_iov(struct run *run, const struct part *part)
{
	if (part >= run->part && part < run->part + LUN_PARTS_INLINE)
		return run->iov + (part - run->part) * PART_IOV;
	return run->more->iov + (part - run->more->part) * PART_IOV;
}

static void part_done(struct store_io *sio, int result)
{
	struct part *part = container_of(sio, struct part, sio);
	struct lun_io *io = part->io;
	struct run *run = run_of(io);

	after(part, result);
	part->busy = false;
	run->busy--;
	if (result == -EOPNOTSUPP && run->punch)
		run->punch_refused = true;
	else if (result < 0 && run->result == 0)
		run->result = result;
	if (!run->submitting)
		advance(io);
}

/* iov: count of them, for READ and WRITE. */
static void part_submit(struct lun_io *io, struct part *part, enum store_op op, const struct lun_tuple *tuple,
			uint64_t lba, uint64_t len_bytes, unsigned iov_count)
{
	struct run *run = run_of(io);

	part->io = io;
	part->object = tuple->object;
	part->busy = true;
	run->busy++;
	part->sio.op = op;
	part->sio.object = tuple->object->handle;
	part->sio.offset_bytes = (lba - tuple->first_lba) << io->lun->block_shift;
	part->sio.len_bytes = len_bytes;
	part->sio.iov = iov_count ? part_iov(run, part) : NULL;
	part->sio.iov_count = iov_count;
	part->sio.fua = op == STORE_WRITE && io->fua;
	part->sio.keep_allocated = run->keep_allocated;
	part->sio.done = part_done;
	store_submit(run->ctx, &part->sio);
}

/* Bytes of [lba, end) that lie in the tuple, `max` at most. */
static uint64_t piece_bytes(const struct lun_io *io, const struct lun_tuple *tuple, uint64_t lba, uint64_t end_lba,
			    uint64_t max)
{
	uint64_t blocks = (end_lba < tuple->end_lba ? end_lba : tuple->end_lba) - lba;
	uint64_t max_blocks = max >> io->lun->block_shift;

	return (blocks < max_blocks ? blocks : max_blocks) << io->lun->block_shift;
}

static void step_data(struct lun_io *io, struct part *part, const struct lun_tuple *tuple)
{
	struct run *run = run_of(io);
	uint64_t lba = run->next_lba;
	uint32_t len = (uint32_t)piece_bytes(io, tuple, lba, run->end_lba, SGL_BYTES_MAX);
	uint32_t offset = io->data_offset + (uint32_t)((lba - io->lba) << io->lun->block_shift), covered;
	unsigned count = sgl_slice(io->data, offset, len, part_iov(run, part), PART_IOV, &covered);

	if (covered < len) {
		len = covered >> io->lun->block_shift << io->lun->block_shift;
		count = sgl_slice(io->data, offset, len, part_iov(run, part), PART_IOV, &covered);
	}
	if (len == 0) {
		run->result = -EINVAL; /* elements smaller than a block */
		return;
	}
	run->next_lba += len >> io->lun->block_shift;
	part_submit(io, part, io->op == LUN_READ ? STORE_READ : STORE_WRITE, tuple, lba, len, count);
}

static void step_unmap(struct lun_io *io, struct part *part, const struct lun_tuple *tuple)
{
	struct run *run = run_of(io);
	uint64_t lba = run->next_lba, len = piece_bytes(io, tuple, lba, run->end_lba, UNMAP_PIECE_BYTES);

	run->next_lba += len >> io->lun->block_shift;
	part_submit(io, part, STORE_UNMAP, tuple, lba, len, 0);
}

static void step_write_same(struct lun_io *io, struct part *part, const struct lun_tuple *tuple)
{
	struct run *run = run_of(io);
	struct iovec *iov = part_iov(run, part);
	uint64_t lba = run->next_lba, len, left;
	unsigned count = 0;

	if (run->punch) {
		step_unmap(io, part, tuple);
		return;
	}
	len = piece_bytes(io, tuple, lba, run->end_lba, (uint64_t)PART_IOV * PATTERN_BYTES);
	for (left = len; left; left -= iov[count++].iov_len) {
		iov[count].iov_base = run->pattern ? run->pattern : zeroes;
		iov[count].iov_len = left < PATTERN_BYTES ? left : PATTERN_BYTES;
	}
	run->next_lba += len >> io->lun->block_shift;
	part_submit(io, part, STORE_WRITE, tuple, lba, len, count);
}

/* Degraded objects have nothing to flush: no write to them was ever acknowledged. */
static void step_flush(struct lun_io *io, struct part *part, const struct lun_tuple *tuple)
{
	struct run *run = run_of(io);

	run->next_lba = tuple->end_lba;
	if (tuple->object->handle && flush_begin(io->lun, tuple->object, &part->flush_token))
		part_submit(io, part, STORE_FLUSH, tuple, tuple->first_lba, 0, 0);
}

static void step(struct lun_io *io, struct part *part)
{
	static void (*const steps[])(struct lun_io *, struct part *, const struct lun_tuple *) = {
		[LUN_READ] = step_data,
		[LUN_WRITE] = step_data,
		[LUN_FLUSH] = step_flush,
		[LUN_UNMAP] = step_unmap,
		[LUN_WRITE_SAME] = step_write_same,
	};
	struct run *run = run_of(io);
	const struct lun_tuple *tuple = lun_find(run->generation, run->next_lba);

	if (io->op != LUN_FLUSH && !tuple->object->handle)
		run->result = -ENODATA;
	else
		steps[io->op](io, part, tuple);
}

static void run_finish(struct lun_io *io)
{
	struct run *run = run_of(io);

	more_put(run->more);
	free(run->pattern);
	finish(io, run->result);
}

static void advance(struct lun_io *io)
{
	struct run *run = run_of(io);
	struct part *part;

	run->submitting = true;
	do {
		while (run->next_lba < run->end_lba && run->result == 0 && !run->punch_refused &&
		       (part = part_find(run)))
			step(io, part);
		if (run->punch_refused && run->busy == 0) {
			run->punch = run->punch_refused = false;
			run->next_lba = io->lba;
		}
	} while (run->busy == 0 && run->result == 0 && run->next_lba < run->end_lba);
	run->submitting = false;
	if (run->busy == 0)
		run_finish(io);
}

static void run_begin(struct lun_io *io, uint64_t end_lba)
{
	struct run *run = run_of(io);

	run->next_lba = io->lba;
	run->end_lba = end_lba;
	run->busy = 0;
	run->result = 0;
	run->punch_refused = false;
	for (unsigned i = 0; i < LUN_PARTS_INLINE; i++)
		run->part[i].busy = false;
	advance(io);
}

/* ---- the operations ---- */

static void begin_data(struct lun_io *io, struct run *run)
{
	const struct lun_tuple *tuple = lun_find(run->generation, io->lba);
	uint64_t len_bytes = io->blocks << io->lun->block_shift, end_lba = io->lba + io->blocks;

	if (__builtin_expect(!io->data || io->blocks > SGL_BYTES_MAX || io->data_offset > io->data->len_bytes ||
				     len_bytes > io->data->len_bytes - io->data_offset, 0)) {
		finish(io, -EINVAL);
		return;
	}
	clock_start(io, run);
	if (__builtin_expect(end_lba <= tuple->end_lba, 1)) {
		if (__builtin_expect(!tuple->object->handle, 0)) {
			finish(io, -ENODATA);
			return;
		}
		if (submit_single(io, run, tuple, (uint32_t)len_bytes))
			return;
	} else if (end_lba > tuple[1].end_lba) {
		run->more = more_get();
	}
	run_begin(io, end_lba);
}

static bool is_zero(const uint8_t *bytes, size_t len)
{
	return bytes[0] == 0 && memcmp(bytes, bytes + 1, len - 1) == 0;
}

/* Reads the block; -EINVAL: the list does not hold one. */
static int prepare_pattern(struct lun_io *io, struct run *run)
{
	uint32_t block_bytes = io->lun->attributes.block_bytes;

	if (!io->data)
		return 0;
	run->pattern = aligned_alloc(4096, PATTERN_BYTES);
	if (!run->pattern)
		return -ENOMEM;
	if (sgl_copy_out(io->data, io->data_offset, run->pattern, block_bytes) < block_bytes)
		return -EINVAL;
	if (is_zero(run->pattern, block_bytes)) {
		free(run->pattern);
		run->pattern = NULL;
		return 0;
	}
	for (size_t filled = block_bytes; filled < PATTERN_BYTES; filled *= 2)
		memcpy(run->pattern + filled, run->pattern, filled);
	return 0;
}

static void begin_write_same(struct lun_io *io, struct run *run)
{
	const struct store_limits *limits = &io->lun->limits;
	int rc = prepare_pattern(io, run);

	if (rc < 0) {
		free(run->pattern);
		finish(io, rc);
		return;
	}
	run->punch = !run->pattern && limits->unmap_zeroes && limits->unmap_granularity_bytes && !io->fua;
	/* Zeroes that the initiator sent are written zeroes: they keep their space. */
	run->keep_allocated = io->data || !io->lun->attributes.thin;
	run_begin(io, io->lba + io->blocks);
}

static void begin_flush(struct lun_io *io, struct run *run)
{
	uint64_t capacity = run->generation->capacity_blocks;

	run_begin(io, io->blocks ? io->lba + io->blocks : capacity);
}

void lun_submit(struct lun_io *io, struct store_ctx *ctx)
{
	struct run *run = run_of(io);
	uint64_t capacity;

	run->slot = store_ctx_index(ctx);
	run->generation = lun_generation_get(io->lun, ctx);
	run->ctx = ctx;
	run->began_ns = 0;
	run->more = NULL;
	run->pattern = NULL;
	run->punch = run->keep_allocated = false;
	capacity = run->generation->capacity_blocks;
	if (__builtin_expect(io->blocks > capacity || io->lba > capacity - io->blocks, 0)) {
		finish(io, -ERANGE);
		return;
	}
	if (__builtin_expect(io->blocks == 0 && io->op != LUN_FLUSH, 0)) {
		finish(io, 0);
		return;
	}
	switch (io->op) {
	case LUN_READ:
	case LUN_WRITE:
		begin_data(io, run);
		break;
	case LUN_FLUSH:
		begin_flush(io, run);
		break;
	case LUN_UNMAP:
		run->keep_allocated = !io->lun->attributes.thin;
		run_begin(io, io->lba + io->blocks);
		break;
	case LUN_WRITE_SAME:
		begin_write_same(io, run);
		break;
	}
}
