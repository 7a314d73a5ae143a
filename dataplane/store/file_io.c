/*
 * Reads, writes, flushes and unmaps of the file store.
 *
 * Happy path: an aligned READ or WRITE becomes one iocb; the completion is checked for its length and that is all.
 *
 * Alignment (O_DIRECT): what is not aligned, in the file or in memory, is bounced on a pool thread. A WRITE that covers
 * part of a sector is read-modify-write there, and must not run beside another WRITE to that sector, or the neighbour
 * block would lose an acknowledged write: where a sector holds several blocks every WRITE takes its sectors shared
 * and a read-modify-write takes them exclusively (range_lock.h). A disk with 512-byte sectors never needs that.
 *
 * Durability: FUA is RWF_DSYNC, FLUSH is IOCB_CMD_FDSYNC; a kernel that refuses that iocb gets fdatasync on a pool
 * thread. Through the page cache a failed FLUSH stays failed until the object is opened again (store rule 5).
 *
 * A short transfer is continued on a pool thread; what ends at the end of the file is -EIO, never a short success.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "dataplane/store/file.h"
#include "log.h"

#define BOUNCE_BYTES (256 * 1024)
#define BOUNCE_ALIGN 4096
#define CONTINUE_IOV 64 /* iovecs per system call when a short transfer is continued */

static_assert(sizeof(struct file_io) <= STORE_DRIVER_WRAP * sizeof(uint64_t), "file_io fits into store_io.driver");

static struct file_io *file_io(struct store_io *io)
{
	return (struct file_io *)io->driver;
}

static void file_complete(struct store_ctx *ctx, struct store_io *io, int result)
{
	struct file_object *object = file_object(io->object);

	if (object->serialise && (io->op == STORE_WRITE || io->op == STORE_UNMAP))
		range_lock_release(&file_io(io)->sectors);
	store_complete(ctx, io, result);
}

static void worked(struct store_ctx *ctx, struct store_io *io, long result)
{
	file_complete(ctx, io, (int)result);
}

/* ---- short transfers ---- */

/* The iovecs from byte `skip` on, at most `max`; returns how many. */
static int iov_from(const struct store_io *io, uint64_t skip, struct iovec *ret_iov, int max)
{
	int count = 0;

	for (unsigned i = 0; i < io->iov_count && count < max; i++) {
		if (skip >= io->iov[i].iov_len) {
			skip -= io->iov[i].iov_len;
			continue;
		}
		ret_iov[count].iov_base = (char *)io->iov[i].iov_base + skip;
		ret_iov[count++].iov_len = io->iov[i].iov_len - skip;
		skip = 0;
	}
	return count;
}

static int continue_short(struct store_io *io)
{
	int fd = file_object(io->object)->fd, flags = io->fua ? RWF_DSYNC : 0;
	uint64_t moved = (uint64_t)file_io(io)->aio.result;
	struct iovec iov[CONTINUE_IOV];

	while (moved < io->len_bytes) {
		int count = iov_from(io, moved, iov, CONTINUE_IOV);
		off_t at = (off_t)(io->offset_bytes + moved);
		ssize_t n = io->op == STORE_READ ? preadv2(fd, iov, count, at, 0) : pwritev2(fd, iov, count, at, flags);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -EIO;
		moved += (uint64_t)n;
	}
	return 0;
}

static void transferred(struct store_ctx *ctx, struct store_io *io, long result)
{
	if (__builtin_expect(result == (long)io->len_bytes, 1)) {
		file_complete(ctx, io, 0);
		return;
	}
	if (result < 0) {
		file_complete(ctx, io, (int)result);
		return;
	}
	file_io(io)->aio.result = result;
	file_io(io)->aio.reaped = worked;
	store_offload(ctx, io, continue_short);
}

/* ---- bouncing ---- */

static int read_fully(int fd, uint8_t *to, uint64_t len, uint64_t offset)
{
	for (uint64_t done = 0; done < len;) {
		ssize_t n = pread(fd, to + done, len - done, (off_t)(offset + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -EIO;
		done += (uint64_t)n;
	}
	return 0;
}

static int write_fully(int fd, uint8_t *from, uint64_t len, uint64_t offset, bool fua)
{
	for (uint64_t done = 0; done < len;) {
		struct iovec iov = {from + done, len - done};
		ssize_t n = pwritev2(fd, &iov, 1, (off_t)(offset + done), fua ? RWF_DSYNC : 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		done += (uint64_t)n;
	}
	return 0;
}

/* Between the bytes [skip, skip + len) of the iovecs and `bytes`. */
static void iov_copy(const struct store_io *io, uint64_t skip, uint8_t *bytes, uint64_t len)
{
	for (unsigned i = 0; i < io->iov_count && len; i++) {
		uint64_t part;
		uint8_t *at;

		if (skip >= io->iov[i].iov_len) {
			skip -= io->iov[i].iov_len;
			continue;
		}
		at = (uint8_t *)io->iov[i].iov_base + skip;
		part = io->iov[i].iov_len - skip < len ? io->iov[i].iov_len - skip : len;
		if (io->op == STORE_READ)
			memcpy(at, bytes, part);
		else
			memcpy(bytes, at, part);
		skip = 0;
		bytes += part;
		len -= part;
	}
}

/* One window [from, to) of the request, widened to [low, high) sectors. */
static int bounce_window(struct store_io *io, uint8_t *buffer, uint64_t from, uint64_t to)
{
	const struct file_object *object = file_object(io->object);
	uint64_t mask = object->offset_mask, sector = mask + 1;
	uint64_t low = from & ~mask, high = (to + mask) & ~mask;
	int rc = 0;

	if (io->op == STORE_READ) {
		rc = read_fully(object->fd, buffer, high - low, low);
		if (rc == 0)
			iov_copy(io, from - io->offset_bytes, buffer + (from - low), to - from);
		return rc;
	}
	if (low < from)
		rc = read_fully(object->fd, buffer, sector, low);
	if (rc == 0 && to < high && (high - low > sector || low == from))
		rc = read_fully(object->fd, buffer + (high - sector - low), sector, high - sector);
	if (rc < 0)
		return rc;
	iov_copy(io, from - io->offset_bytes, buffer + (from - low), to - from);
	return write_fully(object->fd, buffer, high - low, low, io->fua);
}

static int bounce(struct store_io *io)
{
	uint64_t at = io->offset_bytes, end = at + io->len_bytes;
	uint8_t *buffer = aligned_alloc(BOUNCE_ALIGN, BOUNCE_BYTES + 2 * BOUNCE_ALIGN);
	int rc = buffer ? 0 : -ENOMEM;

	while (at < end && rc == 0) {
		uint64_t to = (at & ~(uint64_t)(BOUNCE_ALIGN - 1)) + BOUNCE_BYTES;

		to = to < end ? to : end;
		rc = bounce_window(io, buffer, at, to);
		at = to;
	}
	free(buffer);
	return rc;
}

/* ---- READ, WRITE, UNMAP ---- */

static int punch(struct store_io *io)
{
	int mode = FALLOC_FL_KEEP_SIZE | (io->keep_allocated ? FALLOC_FL_ZERO_RANGE : FALLOC_FL_PUNCH_HOLE);
	int fd = file_object(io->object)->fd;

	while (fallocate(fd, mode, (off_t)io->offset_bytes, (off_t)io->len_bytes) < 0)
		if (errno != EINTR)
			return errno == ENOSYS ? -EOPNOTSUPP : -errno;
	return 0;
}


static bool memory_aligned(const struct store_io *io, uint32_t mask)
{
	uintptr_t bits = 0;

	for (unsigned i = 0; i < io->iov_count; i++)
		bits |= (uintptr_t)io->iov[i].iov_base;
	return (bits & mask) == 0;
}

/* The file system wants every piece to be whole sectors. */
static bool pieces_aligned(const struct store_io *io, uint32_t mask)
{
	uintptr_t bits = 0;

	for (unsigned i = 0; i < io->iov_count; i++)
		bits |= io->iov[i].iov_len;
	return (bits & mask) == 0;
}

static bool range_aligned(const struct store_io *io, uint32_t mask)
{
	return ((io->offset_bytes | io->len_bytes) & mask) == 0;
}

static void fill_iocb(struct iocb *iocb, const struct store_io *io)
{
	bool read = io->op == STORE_READ;

	memset(iocb, 0, sizeof *iocb);
	iocb->aio_fildes = file_object(io->object)->fd;
	iocb->aio_rw_flags = io->fua && !read ? RWF_DSYNC : 0;
	iocb->u.c.offset = (long long)io->offset_bytes;
	if (io->iov_count == 1) {
		iocb->aio_lio_opcode = read ? IO_CMD_PREAD : IO_CMD_PWRITE;
		iocb->u.c.buf = io->iov[0].iov_base;
		iocb->u.c.nbytes = io->iov[0].iov_len;
	} else {
		iocb->aio_lio_opcode = read ? IO_CMD_PREADV : IO_CMD_PWRITEV;
		iocb->u.c.buf = (void *)io->iov;
		iocb->u.c.nbytes = io->iov_count;
	}
}

static void start(struct store_ctx *ctx, struct store_io *io)
{
	struct file_io *d = file_io(io);

	d->aio.ctx = ctx;
	if (__builtin_expect(d->bounced, 0)) {
		d->aio.reaped = worked;
		store_offload(ctx, io, bounce);
		return;
	}
	if (__builtin_expect(io->op == STORE_UNMAP, 0)) {
		d->aio.reaped = worked;
		store_offload(ctx, io, punch);
		return;
	}
	fill_iocb(&d->aio.iocb, io);
	d->aio.reaped = transferred;
	store_aio_queue(ctx, io);
}

static void sectors_granted(struct range_lock *lock)
{
	struct file_io *d = container_of(lock, struct file_io, sectors);
	struct store_ctx *ctx = d->aio.ctx;

	start(ctx, container_of((void *)d, struct store_io, driver));
	store_ctx_flush(ctx); /* the turn of the loop that submitted it is over */
}

/* False: it starts later. */
static bool take_sectors(struct store_ctx *ctx, struct store_io *io, bool modify)
{
	struct file_object *object = file_object(io->object);
	struct file_io *d = file_io(io);
	uint64_t sector = (uint64_t)object->offset_mask + 1;
	uint64_t first = io->offset_bytes / sector, end = (io->offset_bytes + io->len_bytes + sector - 1) / sector;

	d->aio.ctx = ctx;
	d->sectors = (struct range_lock){
		.first = first,
		.count = end - first,
		.exclusive = modify,
		.granted = sectors_granted,
		.reply_to = store_ctx_mailbox(ctx),
	};
	return range_lock_take(&object->sectors, &d->sectors);
}

void file_rw(struct store_ctx *ctx, struct store_io *io)
{
	const struct file_object *object = file_object(io->object);
	bool whole_sectors = range_aligned(io, object->offset_mask);

	if (__builtin_expect(io->len_bytes == 0, 0)) {
		store_complete_inline(ctx, io, 0);
		return;
	}
	file_io(io)->bounced = !whole_sectors || !memory_aligned(io, object->memory_mask) ||
			       !pieces_aligned(io, object->offset_mask);
	if (object->serialise && io->op == STORE_WRITE && !take_sectors(ctx, io, !whole_sectors))
		return;
	start(ctx, io);
}

/* ---- FLUSH ---- */

static int flush_result(struct store_io *io, int result)
{
	struct file_object *object = file_object(io->object);

	if (result < 0 && object->buffered && !atomic_exchange(&object->flush_failed, true))
		log_error("writes may be lost, flushes of this object fail from now on object=%s: %s", io->object->id,
			  strerror(-result));
	return object->buffered && atomic_load(&object->flush_failed) ? -EIO : result;
}

static int sync_object(struct store_io *io)
{
	return fdatasync(file_object(io->object)->fd) < 0 ? -errno : 0;
}

static void synced(struct store_ctx *ctx, struct store_io *io, long result)
{
	store_complete(ctx, io, flush_result(io, (int)result));
}

static void flushed(struct store_ctx *ctx, struct store_io *io, long result)
{
	if (result == -EINVAL || result == -ENOSYS || result == -EOPNOTSUPP) {
		file_io(io)->aio.reaped = synced;
		store_offload(ctx, io, sync_object);
		return;
	}
	synced(ctx, io, result);
}

void file_flush(struct store_ctx *ctx, struct store_io *io)
{
	struct store_aio *aio = store_aio(io);

	memset(&aio->iocb, 0, sizeof aio->iocb);
	aio->iocb.aio_fildes = file_object(io->object)->fd;
	aio->iocb.aio_lio_opcode = IO_CMD_FDSYNC;
	aio->ctx = ctx;
	aio->reaped = flushed;
	store_aio_queue(ctx, io);
}

void file_unmap(struct store_ctx *ctx, struct store_io *io)
{
	const struct file_object *object = file_object(io->object);

	if (io->len_bytes == 0) {
		store_complete_inline(ctx, io, 0);
		return;
	}
	file_io(io)->bounced = false;
	/* The rest of a sector that is punched in part must not be written back by a read-modify-write. */
	if (object->serialise && !take_sectors(ctx, io, !range_aligned(io, object->offset_mask)))
		return;
	start(ctx, io);
}
