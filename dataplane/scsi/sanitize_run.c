/*
 * The thread of a sanitize: see sanitize.h. It has a store context of its own, one piece is under way at a time. What it
 * writes is written through (FUA) and never punched: zeroes, too. While it waits it looks after the command that waits for
 * its answer, for that may be aborted meanwhile.
 */
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "clock.h"
#include "dataplane/scsi/blocking_io.h"
#include "dataplane/scsi/sanitize.h"
#include "dataplane/scsi/token.h"
#include "log.h"
#include "thread.h"

#define PIECE_BYTES        (4u << 20)
#define UNMAP_PIECE_BYTES  (UINT64_C(256) << 20)
#define SAVE_INTERVAL_NS   (5 * NS_PER_S)
#define STARTED_AT         "sanitize of LUN %s"

static _Atomic uint64_t bytes_per_s = SCSI_SANITIZE_BYTES_PER_S;

void scsi_sanitize_set_rate(uint64_t rate_bytes_per_s)
{
	atomic_store(&bytes_per_s, rate_bytes_per_s);
}

struct run {
	struct sanitize *sanitize;
	struct blocking_io io;
	struct lun_lock lock;
	struct sgl block;        /* one logical block: what is written */
	bool locked;
	uint64_t capacity;       /* blocks */
	uint64_t due_ns;         /* when the next piece may start */
	uint64_t saved_ns;
	bool dirty;              /* not flushed */
};

/* --- the waiting command --- */

static void look_at_task(struct mail *mail)
{
	struct sanitize *sanitize = container_of(mail, struct sanitize, waiter.mail);
	struct scsi_task *task = sanitize->waiter.task;
	bool ready = atomic_load(&sanitize->waiter.ready);

	if (!ready && !task->aborted) {
		atomic_store(&sanitize->waiter.posted, false);
		return;
	}
	if (ready) {
		atomic_store(&sanitize->lu->sanitize_state, sanitize->waiter.state);
		if (sanitize->waiter.failed)
			scsi_set_sense(task, &sanitize->waiter.sense);
	}
	/* When the task has ended the LU may go, and the sanitize with it. */
	atomic_store(&sanitize->waiter.answered, ready ? WAITER_ANSWERED : WAITER_ABORTED);
	atomic_store(&sanitize->waiter.posted, false);
	scsi_finish(task);
}

static void look(struct sanitize *sanitize)
{
	if (!sanitize->waiter.reply_to || atomic_load(&sanitize->waiter.answered) ||
	    atomic_exchange(&sanitize->waiter.posted, true))
		return;
	if (atomic_load(&sanitize->waiter.answered)) {
		atomic_store(&sanitize->waiter.posted, false);
		return;
	}
	sanitize->waiter.mail.run = look_at_task;
	mailbox_post(sanitize->waiter.reply_to, &sanitize->waiter.mail);
}

/* Waits, at most until the time given or BLOCKING_IO_LOOK_MS; false: the LU goes. */
static bool pause_until(struct sanitize *sanitize, uint64_t until_ns)
{
	uint64_t now_ns = clock_now_ns(), look_ns = now_ns + BLOCKING_IO_LOOK_MS * NS_PER_MS;
	struct timespec at;
	bool go_on;

	if (until_ns > look_ns)
		until_ns = look_ns;
	at = (struct timespec){ .tv_sec = (time_t)(until_ns / NS_PER_S), .tv_nsec = (long)(until_ns % NS_PER_S) };
	pthread_mutex_lock(&sanitize->lock);
	if (!sanitize->stop && until_ns > now_ns)
		pthread_cond_timedwait(&sanitize->wake, &sanitize->lock, &at);
	go_on = !sanitize->stop;
	pthread_mutex_unlock(&sanitize->lock);
	look(sanitize);
	return go_on;
}

/* The state from now on, and the answer of the command, if it still waits for one: not before the state is that, and not
 * after others may see it, for they might want the thread's place. */
static void answer(struct sanitize *sanitize, enum scsi_sanitize_state state, const struct scsi_sense *sense)
{
	if (!sanitize->waiter.reply_to || atomic_load(&sanitize->waiter.answered)) {
		atomic_store(&sanitize->lu->sanitize_state, state);
		return;
	}
	sanitize->waiter.state = state;
	sanitize->waiter.failed = sense != NULL;
	if (sense)
		sanitize->waiter.sense = *sense;
	atomic_store(&sanitize->waiter.ready, true);
	look(sanitize);
	while (!atomic_load(&sanitize->waiter.answered) && pause_until(sanitize, clock_now_ns() + NS_PER_MS))
		;
	if (atomic_load(&sanitize->waiter.answered) == WAITER_ABORTED) /* just now */
		atomic_store(&sanitize->lu->sanitize_state, state);
}

/* --- I/O --- */

static int do_io(struct run *run, enum lun_op op, uint64_t lba, uint64_t blocks)
{
	return blocking_io_do(&run->io, run->sanitize->lu->lun, op, lba, blocks, op == LUN_WRITE_SAME ? &run->block : NULL);
}

static void look_again(void *arg)
{
	look(arg);
}

static void granted(struct lun_lock *lock)
{
	container_of(lock, struct run, lock)->locked = true;
}

/* Waits for the writes that were under way; -ECANCELED: the LU goes. */
static int lock_all(struct run *run)
{
	run->lock = (struct lun_lock){ .lun = run->sanitize->lu->lun, .lba = 0, .blocks = run->capacity, .exclusive = true,
				       .granted = granted, .reply_to = &run->io.mailbox };
	if (lun_lock_take(&run->lock))
		run->locked = true;
	while (!run->locked) {
		if (!pause_until(run->sanitize, clock_now_ns() + NS_PER_MS))
			return -ECANCELED;
		mailbox_run(&run->io.mailbox);
	}
	scsi_tokens_overwritten(run->sanitize->lu, 0, run->capacity);
	return 0;
}

/* --- the passes --- */

static void fill_block(struct run *run)
{
	const struct sanitize_plan *plan = &run->sanitize->plan;
	uint8_t *block = run->block.element[0].iov_base;
	uint8_t inverted = plan->invert && (plan->passes - 1 - plan->pass) % 2 ? 0xff : 0;

	for (uint32_t i = 0; i < run->block.len_bytes; i++)
		block[i] = plan->action == SANITIZE_OVERWRITE ? plan->pattern[i % plan->pattern_bytes] ^ inverted : 0;
}

/* The piece at plan.lba; how many blocks it has. 0 or negative errno. */
static int do_piece(struct run *run, uint64_t *ret_blocks)
{
	struct scsi_lu *lu = run->sanitize->lu;
	const struct sanitize_plan *plan = &run->sanitize->plan;
	bool erase = plan->action == SANITIZE_BLOCK_ERASE, unmap = erase && plan->pass == 1, mapped = true;
	uint64_t left = run->capacity - plan->lba, blocks = (unmap ? UNMAP_PIECE_BYTES : PIECE_BYTES) >> lu->block_shift;
	int result = 0;

	if (blocks > left)
		blocks = left;
	if (erase && !unmap) {
		uint64_t alike = 0;

		result = lun_extent(lu->lun, plan->lba, &mapped, &alike);
		if (result == 0 && alike && (!mapped || alike < blocks))
			blocks = alike < left ? alike : left;
	}
	*ret_blocks = blocks;
	if (result < 0 || !mapped)
		return result;
	run->dirty = true;
	if (run->due_ns < clock_now_ns())
		run->due_ns = clock_now_ns();
	run->due_ns += unmap ? 0 : (blocks << lu->block_shift) * NS_PER_S / atomic_load(&bytes_per_s);
	scsi_lu_changed(lu);
	return do_io(run, unmap ? LUN_UNMAP : LUN_WRITE_SAME, plan->lba, blocks);
}

static void show_progress(struct run *run)
{
	struct sanitize *sanitize = run->sanitize;
	uint8_t shift = sanitize->lu->block_shift;
	double total = (double)run->capacity * sanitize->plan.passes;
	double done = (double)run->capacity * sanitize->plan.pass + (double)sanitize->plan.lba;

	atomic_store(&sanitize->progress, (uint16_t)(done / total * 65535));
	scsi_job_set_total(sanitize->job, (run->capacity << shift) * sanitize->plan.passes);
	scsi_job_progress(sanitize->job, (uint64_t)done << shift);
}

/* Flushes, then notes in the document how far it is. */
static int note(struct run *run, struct err *err)
{
	int result = run->dirty ? do_io(run, LUN_FLUSH, 0, 0) : 0;

	if (result < 0)
		return err_errno(err, result, "flush");
	run->dirty = false;
	run->saved_ns = clock_now_ns();
	return sanitize_save(run->sanitize, err);
}

/* All passes from where the plan is; -ECANCELED: the LU goes. */
static int do_passes(struct run *run, struct err *err)
{
	struct sanitize_plan *plan = &run->sanitize->plan;

	run->due_ns = run->saved_ns = clock_now_ns();
	for (; plan->pass < plan->passes; plan->pass++, plan->lba = 0) {
		fill_block(run);
		while (plan->lba < run->capacity) {
			uint64_t blocks = 0;
			int result = do_piece(run, &blocks);

			if (result < 0)
				return err_errno(err, result, "block %llu", (unsigned long long)plan->lba);
			plan->lba += blocks;
			show_progress(run);
			while (clock_now_ns() < run->due_ns)
				if (!pause_until(run->sanitize, run->due_ns))
					return -ECANCELED;
			if (!pause_until(run->sanitize, 0))
				return -ECANCELED;
			if (clock_now_ns() - run->saved_ns > SAVE_INTERVAL_NS && plan->lba < run->capacity &&
			    note(run, err) < 0)
				return err->code;
		}
	}
	plan->pass = (uint8_t)(plan->passes - 1);
	plan->lba = run->capacity;
	return do_io(run, LUN_FLUSH, 0, 0);
}

static int open_run(struct run *run, struct err *err)
{
	struct scsi_lu *lu = run->sanitize->lu;
	void *block = aligned_alloc(SGL_ALIGN, SGL_ALIGN);

	if (!block)
		return err_set(err, -ENOMEM, "out of memory");
	run->block = (struct sgl){ .element = { { block, lu->block_bytes } }, .count = 1, .owner = SGL_LUN,
				   .len_bytes = lu->block_bytes };
	run->capacity = lun_capacity_blocks(lu->lun);
	if (blocking_io_init(&run->io, lu->services.offload, err) < 0)
		return err->code;
	run->io.idle = look_again;
	run->io.idle_arg = run->sanitize;
	return 0;
}

static void close_run(struct run *run)
{
	if (run->lock.lun) {
		lun_lock_release(&run->lock);
		mailbox_run(&run->io.mailbox); /* a grant that was on its way */
	}
	free(run->block.element[0].iov_base);
	blocking_io_fini(&run->io);
	free(run);
}

static int do_all(struct sanitize *sanitize, struct err *err)
{
	struct run *run = calloc(1, sizeof *run);
	int result;

	if (!run)
		return err_set(err, -ENOMEM, "out of memory");
	run->sanitize = sanitize;
	result = open_run(run, err);
	if (result == 0)
		result = lock_all(run);
	if (result == 0)
		result = do_passes(run, err);
	close_run(run);
	return result;
}

/* --- beginning and end --- */

/* The document could not be made: nothing has begun. */
static void not_begun(struct sanitize *sanitize, const struct err *err)
{
	struct scsi_sense sense = scsi_sense_from_errno(err->code, true);

	log_error(STARTED_AT " not begun: %s", lun_attributes(sanitize->lu->lun)->name, err->text);
	scsi_job_end(sanitize->job, JOB_FAILED, err->text);
	answer(sanitize, sanitize->before, &sense);
}

static void failed(struct sanitize *sanitize, const struct err *why)
{
	const struct scsi_sense sense = { .key = KEY_MEDIUM_ERROR, .asc_ascq = ASC_SANITIZE_FAILED };
	struct err err = { 0 };

	log_error(STARTED_AT " failed: %s", lun_attributes(sanitize->lu->lun)->name, why->text);
	scsi_job_end(sanitize->job, JOB_FAILED, why->text);
	sanitize->plan.failed = true;
	if (sanitize_save(sanitize, &err) < 0)
		log_error(STARTED_AT ": its failure could not be noted, a restart tries again: %s",
			  lun_attributes(sanitize->lu->lun)->name, err.text);
	answer(sanitize, SANITIZE_FAILED, &sense);
}

static void *thread_main(void *arg)
{
	struct sanitize *sanitize = arg;
	struct err err = { 0 };
	int result;

	if (!sanitize->resumed && sanitize_save(sanitize, &err) < 0) {
		not_begun(sanitize, &err);
		return NULL;
	}
	log_notice(STARTED_AT " %s", lun_attributes(sanitize->lu->lun)->name, sanitize->resumed ? "goes on" : "begins");
	if (sanitize->waiter.immediate)
		answer(sanitize, SANITIZE_RUNS, NULL);
	result = do_all(sanitize, &err);
	if (result == -ECANCELED) {
		scsi_job_end(sanitize->job, JOB_CANCELLED, "the LUN is closed; it goes on when that is served again");
		return NULL;
	}
	if (result == 0)
		result = sanitize_remove(sanitize, &err);
	if (result < 0) {
		if (!err.code)
			err_errno(&err, result, "the medium");
		failed(sanitize, &err);
		return NULL;
	}
	log_notice(STARTED_AT " done", lun_attributes(sanitize->lu->lun)->name);
	scsi_job_end(sanitize->job, JOB_SUCCEEDED, NULL);
	answer(sanitize, SANITIZE_NONE, NULL);
	return NULL;
}

int sanitize_start(struct sanitize *sanitize)
{
	const struct scsi_job_facts again = { .kind = "sanitize", .lun = lun_attributes(sanitize->lu->lun)->name };
	int result;

	if (sanitize->resumed)
		scsi_job_start(sanitize->lu->services.jobs, &again, &sanitize->job); /* unseen when there are too many */
	sanitize->stop = false;
	result = thread_start(&sanitize->thread, thread_main, sanitize);
	sanitize->has_thread = result == 0;
	return result;
}

void sanitize_stop(struct sanitize *sanitize)
{
	if (!sanitize->has_thread)
		return;
	pthread_mutex_lock(&sanitize->lock);
	sanitize->stop = true;
	pthread_cond_signal(&sanitize->wake);
	pthread_mutex_unlock(&sanitize->lock);
	pthread_join(sanitize->thread, NULL);
	sanitize->has_thread = false;
}
