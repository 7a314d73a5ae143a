/*
 * A reactor's submission context. Happy path of one turn of the loop:
 *
 *   store_submit() ... store_submit()   fill the batch, no system call
 *   store_ctx_flush()                   one io_submit
 *   store_ctx_reap()                    events are read from the completion ring that the kernel shares with us
 *                                       (struct aio_ring below, the head is ours, the tail the kernel's); one read(2)
 *                                       resets the eventfd, and only when it has been or will be signalled
 *
 * The eventfd is signalled once per completion, after the event is in the ring, and once per kick(). `owed` counts the
 * events consumed and kicks made whose signal has not been read back yet; it may be negative when a signal was read
 * before its event was seen, so the ring is looked at again after each read. Therefore no wake-up is lost.
 *
 * Failure modes: io_submit says EAGAIN (system-wide limits): the batch stays and is tried again at the next reap; it
 * refuses one iocb: that I/O completes with the error at the next reap, the others go on.
 *
 * One thread, no locks.
 */
#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "dataplane/store/driver.h"
#include "log.h"

#define BATCH_MAX 128 /* more are submitted before flush */

/* fs/aio.c of the kernel; stable since 2.6 (fio, MariaDB and QEMU read it, too). */
#define AIO_RING_MAGIC 0xa10a10a1
struct aio_ring {
	unsigned id, nr;
	unsigned head, tail;
	unsigned magic, compat_features, incompat_features, header_length;
	struct io_event event[];
};

struct store_ctx {
	io_context_t aio;
	struct aio_ring *ring; /* NULL: a kernel whose ring we do not know; io_getevents instead */
	struct offload *pool;
	struct mailbox *reply_to;
	int event_fd;
	unsigned index;
	unsigned depth;      /* kernel + batched never exceed it */
	unsigned in_flight;  /* submitted, not done; wherever they are */
	unsigned in_kernel;
	unsigned batched;
	unsigned nested;     /* store_complete_inline() on the stack */
	bool reaping, stalled;
	uint64_t turn;
	int64_t owed;        /* signals of the eventfd to read back */
	struct list pending; /* store_io.link: beyond depth, oldest first */
	struct list ready;   /* store_io.link: have a result, wait for reap */
	struct iocb *batch[BATCH_MAX];
};

static pthread_mutex_t index_lock = PTHREAD_MUTEX_INITIALIZER;
static bool index_used[STORE_CTX_MAX];

static int index_take(void)
{
	int index = 0;

	pthread_mutex_lock(&index_lock);
	while (index < STORE_CTX_MAX && index_used[index])
		index++;
	if (index < STORE_CTX_MAX)
		index_used[index] = true;
	pthread_mutex_unlock(&index_lock);
	return index < STORE_CTX_MAX ? index : -EMFILE;
}

static void index_release(unsigned index)
{
	pthread_mutex_lock(&index_lock);
	index_used[index] = false;
	pthread_mutex_unlock(&index_lock);
}

/* The system has aio-max-nr requests for everybody: take fewer rather than none. */
static int setup_aio(struct store_ctx *ctx)
{
	int rc = io_setup((int)ctx->depth, &ctx->aio);
	struct aio_ring *ring;

	while (rc == -EAGAIN && ctx->depth > 16) {
		ctx->depth /= 2;
		rc = io_setup((int)ctx->depth, &ctx->aio);
		if (rc == 0)
			log_warning("fs.aio-max-nr is nearly used up, fewer requests in flight depth=%u", ctx->depth);
	}
	if (rc < 0)
		return rc;
	ring = (struct aio_ring *)ctx->aio;
	if (ring->magic == AIO_RING_MAGIC && ring->incompat_features == 0 && ring->header_length == sizeof *ring)
		ctx->ring = ring;
	return 0;
}

struct store_ctx *store_ctx_new(unsigned depth, struct offload *pool, struct mailbox *reply_to, struct err *err)
{
	struct store_ctx *ctx = calloc(1, sizeof *ctx);
	int rc = ctx ? index_take() : -ENOMEM;

	if (rc < 0) {
		err_errno(err, rc, "cannot make a store context");
		free(ctx);
		return NULL;
	}
	ctx->index = (unsigned)rc;
	ctx->depth = depth ? depth : 1;
	ctx->pool = pool;
	ctx->reply_to = reply_to;
	list_init(&ctx->pending);
	list_init(&ctx->ready);
	ctx->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	rc = ctx->event_fd < 0 ? -errno : setup_aio(ctx);
	if (rc == 0)
		return ctx;
	err_errno(err, rc, "cannot make a store context of depth %u", depth);
	store_ctx_free(ctx);
	return NULL;
}

void store_ctx_free(struct store_ctx *ctx)
{
	if (!ctx)
		return;
	assert(ctx->in_flight == 0);
	if (ctx->aio)
		io_destroy(ctx->aio);
	if (ctx->event_fd >= 0)
		close(ctx->event_fd);
	index_release(ctx->index);
	free(ctx);
}

int store_ctx_fd(const struct store_ctx *ctx)
{
	return ctx->event_fd;
}

unsigned store_ctx_index(const struct store_ctx *ctx)
{
	return ctx->index;
}

const uint64_t *store_ctx_turn(const struct store_ctx *ctx)
{
	return &ctx->turn;
}

unsigned store_ctx_in_flight(const struct store_ctx *ctx)
{
	return ctx->in_flight;
}

struct mailbox *store_ctx_mailbox(const struct store_ctx *ctx)
{
	return ctx->reply_to;
}

void store_ctx_enter(struct store_ctx *ctx)
{
	ctx->in_flight++;
}

/* Makes the descriptor readable, so that reap is called. */
static void kick(struct store_ctx *ctx)
{
	uint64_t one = 1;

	if (write(ctx->event_fd, &one, sizeof one) == sizeof one)
		ctx->owed++;
}

static void read_signals(struct store_ctx *ctx)
{
	uint64_t count;

	if (read(ctx->event_fd, &count, sizeof count) == sizeof count)
		ctx->owed -= (int64_t)count;
}

/* ---- completion ---- */

void store_complete(struct store_ctx *ctx, struct store_io *io, int result)
{
	ctx->in_flight--;
	io->done(io, result);
}

static void reap_result(struct store_ctx *ctx, struct store_io *io, long result)
{
	store_complete(ctx, io, (int)result);
}

/* The result waits for the next reap. */
static void complete_later(struct store_ctx *ctx, struct store_io *io, long result)
{
	store_aio(io)->result = result;
	if (list_empty(&ctx->ready))
		kick(ctx);
	list_append(&ctx->ready, &io->link);
}

void store_complete_inline(struct store_ctx *ctx, struct store_io *io, int result)
{
	if (ctx->nested == STORE_INLINE_NESTING) {
		store_aio(io)->reaped = reap_result;
		complete_later(ctx, io, result);
		return;
	}
	ctx->nested++;
	store_complete(ctx, io, result);
	ctx->nested--;
}

/* ---- submission ---- */

static int refuse(const struct store_io *io)
{
	const struct store_object *object = io->object;
	uint64_t size = atomic_load_explicit(&object->size_bytes, memory_order_relaxed);

	if (io->op != STORE_FLUSH && (io->len_bytes > size || io->offset_bytes > size - io->len_bytes))
		return -ERANGE;
	if ((io->op == STORE_WRITE || io->op == STORE_UNMAP) &&
	    atomic_load_explicit(&object->read_only, memory_order_relaxed))
		return -EROFS;
	return object->ops->submit[io->op] ? 0 : -EOPNOTSUPP;
}

void store_submit(struct store_ctx *ctx, struct store_io *io)
{
	int rc = refuse(io);

	ctx->in_flight++;
	if (__builtin_expect(rc < 0, 0))
		store_complete_inline(ctx, io, rc);
	else
		io->object->ops->submit[io->op](ctx, io);
}

void store_aio_queue(struct store_ctx *ctx, struct store_io *io)
{
	struct iocb *iocb = &store_aio(io)->iocb;

	iocb->data = NULL;
	io_set_eventfd(iocb, ctx->event_fd);
	if (ctx->in_kernel + ctx->batched >= ctx->depth || ctx->batched == BATCH_MAX) {
		list_append(&ctx->pending, &io->link);
		return;
	}
	ctx->batch[ctx->batched++] = iocb;
	if (ctx->batched == BATCH_MAX)
		store_ctx_flush(ctx);
}

static void refill(struct store_ctx *ctx)
{
	struct list *link;

	while (ctx->batched < BATCH_MAX && ctx->in_kernel + ctx->batched < ctx->depth &&
	       (link = list_take(&ctx->pending)))
		ctx->batch[ctx->batched++] = &store_aio(container_of(link, struct store_io, link))->iocb;
}

/* Submits from batch[first]; returns how many of the batch are dealt with, 0: try again later. */
static unsigned submit_some(struct store_ctx *ctx, unsigned first)
{
	int rc = io_submit(ctx->aio, (long)(ctx->batched - first), &ctx->batch[first]);

	if (rc > 0) {
		ctx->in_kernel += (unsigned)rc;
		return (unsigned)rc;
	}
	if (rc == 0 || rc == -EAGAIN || rc == -EINTR)
		return 0;
	complete_later(ctx, store_io_of_iocb(ctx->batch[first]), rc);
	return 1;
}

/* EAGAIN with nothing in the kernel has no completion to wait for: the descriptor stays readable until it works. */
static void stall(struct store_ctx *ctx)
{
	ctx->stalled = true;
	if (ctx->in_kernel == 0 && ctx->owed <= 0)
		kick(ctx);
}

void store_ctx_flush(struct store_ctx *ctx)
{
	ctx->turn++;
	ctx->stalled = false;
	do {
		unsigned dealt_with = 0, n;

		while (dealt_with < ctx->batched && (n = submit_some(ctx, dealt_with)))
			dealt_with += n;
		ctx->batched -= dealt_with;
		memmove(ctx->batch, ctx->batch + dealt_with, ctx->batched * sizeof ctx->batch[0]);
		if (ctx->batched)
			stall(ctx);
		refill(ctx);
	} while (ctx->batched && !ctx->stalled);
}

/* ---- reaping ---- */

static void reap_event(struct store_ctx *ctx, const struct io_event *event)
{
	struct store_io *io = store_io_of_iocb(event->obj);

	ctx->in_kernel--;
	ctx->owed++;
	store_aio(io)->reaped(ctx, io, (long)event->res);
}

static unsigned reap_ring(struct store_ctx *ctx)
{
	struct aio_ring *ring = ctx->ring;
	unsigned head = ring->head, count = 0;

	while (head != __atomic_load_n(&ring->tail, __ATOMIC_ACQUIRE)) {
		struct io_event event = ring->event[head];

		head = head + 1 == ring->nr ? 0 : head + 1;
		__atomic_store_n(&ring->head, head, __ATOMIC_RELEASE);
		reap_event(ctx, &event);
		count++;
	}
	return count;
}

static unsigned reap_getevents(struct store_ctx *ctx)
{
	struct io_event event[64];
	struct timespec now = {0};
	int n = io_getevents(ctx->aio, 0, 64, event, &now);

	for (int i = 0; i < n; i++)
		reap_event(ctx, &event[i]);
	return n > 0 ? (unsigned)n : 0;
}

static unsigned reap_kernel(struct store_ctx *ctx)
{
	if (ctx->in_kernel == 0)
		return 0;
	return ctx->ring ? reap_ring(ctx) : reap_getevents(ctx);
}

/* Those that are ready now; what becomes ready meanwhile waits for the next call, so that this one ends. */
static unsigned reap_ready(struct store_ctx *ctx)
{
	struct list batch, *link;
	unsigned count = 0;

	list_init(&batch);
	list_splice(&batch, &ctx->ready);
	while ((link = list_take(&batch))) {
		struct store_io *io = container_of(link, struct store_io, link);

		store_aio(io)->reaped(ctx, io, store_aio(io)->result);
		count++;
	}
	return count;
}

unsigned store_ctx_reap(struct store_ctx *ctx)
{
	unsigned count, more;

	if (ctx->reaping)
		return 0;
	ctx->reaping = true;
	ctx->turn++;
	count = reap_kernel(ctx);
	do {
		if (ctx->owed > 0)
			read_signals(ctx);
		more = reap_kernel(ctx);
		count += more;
	} while (more);
	count += reap_ready(ctx);
	ctx->reaping = false;
	if (ctx->stalled || !list_empty(&ctx->pending)) {
		refill(ctx);
		store_ctx_flush(ctx);
	}
	return count;
}

/* ---- blocking work ---- */

static void offload_work(struct offload_job *job)
{
	struct store_io *io = container_of(job, struct store_io, job);

	store_aio(io)->result = store_aio(io)->work(io);
}

static void offload_done(struct offload_job *job)
{
	struct store_io *io = container_of(job, struct store_io, job);
	struct store_aio *aio = store_aio(io);

	aio->reaped(aio->ctx, io, aio->result);
}

void store_offload(struct store_ctx *ctx, struct store_io *io, int (*work)(struct store_io *io))
{
	store_aio(io)->ctx = ctx;
	store_aio(io)->work = work;
	io->job.work = offload_work;
	io->job.done = offload_done;
	offload_submit(ctx->pool, &io->job, ctx->reply_to);
}
