/*
 * Backend objects: a store keeps objects, an object is a range of bytes. Two halves.
 *
 * Management half (control process and offload threads; blocks): create, resize, remove, list objects.
 * I/O half (workers): open an object, submit reads, writes, flushes, unmaps. A submission belongs to a reactor's
 * store_ctx; its done() runs on that reactor's thread, from store_ctx_reap() or before store_submit() returns.
 *
 * Drivers: file (sparse files, O_DIRECT, libaio), memory, null, fault (wraps another; design section 3). A driver is one
 * struct store_ops; an absent operation refuses with -EOPNOTSUPP.
 *
 * Results are 0 or negative errno; translating them to sense data is the SCSI layer's (scsi_sense_from_errno).
 */
#ifndef LUNETTE_STORE_H
#define LUNETTE_STORE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "err.h"
#include "list.h"
#include "mailbox.h"
#include "offload.h"

enum store_op { STORE_READ, STORE_WRITE, STORE_FLUSH, STORE_UNMAP, STORE_OP_COUNT };

struct store;      /* a configured store: driver, parameters */
struct store_object; /* an open object; shared by the reactors of a worker */
struct store_ctx;  /* a reactor's submission context for every store: one io context, one eventfd, one batch */

#define STORE_OBJECT_ID_MAX 128 /* bytes with NUL; [A-Za-z0-9._-], not starting with a dot */
#define STORE_IO_DRIVER_WORDS 30
#define STORE_INLINE_NESTING 4
#define STORE_CTX_MAX 128       /* contexts in one process at a time */

struct store_io {
	enum store_op op;
	struct store_object *object;
	uint64_t offset_bytes; /* multiple of the object's block_bytes for READ and WRITE */
	uint64_t len_bytes;    /* READ, WRITE: sum of iov; UNMAP: range; FLUSH: ignored */
	const struct iovec *iov; /* elements aligned to SGL_ALIGN but for the first offset within; lives until done() */
	unsigned iov_count;
	bool fua;              /* WRITE: durable before done (RWF_DSYNC) */
	bool keep_allocated;   /* UNMAP: the range reads as zero afterwards, but its space stays reserved; -EOPNOTSUPP
				  where the medium cannot */
	void (*done)(struct store_io *io, int result); /* the submitting reactor's thread; result 0 or -errno, never short */
	/* private to the driver; no allocation per I/O */
	struct list link;
	struct offload_job job;
	uint64_t driver[STORE_IO_DRIVER_WORDS];
};

struct store_limits {
	uint64_t object_bytes_max;      /* largest object */
	uint64_t target_object_bytes;   /* default target backend object size (LU-4); 0: use the table by LUN size */
	uint32_t align_bytes;           /* offsets and lengths of READ and WRITE are multiples of this (smaller allowed: the
					   driver bounces and serialises) */
	uint32_t unmap_granularity_bytes; /* what UNMAP really frees; 0: UNMAP not supported */
	bool     volatile_cache;        /* a completed write may be lost at power failure until FLUSH */
	bool     unmap_zeroes;          /* unmapped ranges read as zero */
};

/* kind "file": params {"path": DIR}; "memory": {}; "null": {}; "fault": {"inner": {...}, "rules": [...]} (store/README).
 * state_dir: default place of the file store, STATE/store. NULL with *err. params: borrowed JSON object text. */
struct store *store_open(const char *kind, const char *params_json, const char *state_dir, struct err *err);
void store_close(struct store *store);
const char *store_kind(const struct store *store);
void store_get_limits(const struct store *store, struct store_limits *ret_limits);

/* --- management half; blocking --- */

/* -EEXIST when there is one. thin: sparse; otherwise space is reserved (fallocate). */
int store_object_create(struct store *store, const char *object_id, uint64_t size_bytes, bool thin, struct err *err);
/* Grow only: an object that is larger already stays as it is. thin: as for create, for the part that is new. */
int store_object_resize(struct store *store, const char *object_id, uint64_t size_bytes, bool thin, struct err *err);
int store_object_remove(struct store *store, const char *object_id, struct err *err); /* 0 also when absent */
/* Bytes of the store really used by the object. */
int store_object_allocated(struct store *store, const char *object_id, uint64_t *ret_bytes);
/* each(id, age_s, arg) for every object; for reaping objects without a tuple (LU-7). */
int store_object_list(struct store *store, void (*each)(const char *object_id, uint64_t age_s, void *arg), void *arg,
		      struct err *err);
/* Total and free bytes of the medium. */
int store_space(struct store *store, uint64_t *ret_total_bytes, uint64_t *ret_free_bytes);

/* --- I/O half --- */

/* Takes the object's lock (an OFD lock for files): -EBUSY while another process has it open for writing.
 * size_bytes: what the mapping says; a shorter object is -EIO. */
int store_object_open(struct store *store, const char *object_id, uint64_t size_bytes, bool read_only,
		      struct store_object **ret_object, struct err *err);
void store_object_close(struct store_object *object); /* no I/O may be in flight */
/* An object that was opened read-only takes writes from now on; its lock becomes exclusive. -EBUSY: another process has it
 * open, too, and nothing has changed. One thread at a time; I/O may be in flight. */
int store_object_make_writable(struct store_object *object, struct err *err);
/* The object grew (store_object_resize elsewhere); from now on I/O up to size_bytes is valid. Any thread. */
int store_object_grown(struct store_object *object, uint64_t size_bytes);
/* From offset: whether it is mapped and for how many bytes the answer holds (SEEK_DATA/SEEK_HOLE). Blocking but short. */
int store_object_extent(struct store_object *object, uint64_t offset_bytes, bool *ret_mapped, uint64_t *ret_len_bytes);

/* reply_to: the reactor's mailbox, for completions that come from offload threads; it must be run until nothing is in
 * flight. depth: I/Os in the kernel at most; more are queued. */
struct store_ctx *store_ctx_new(unsigned depth, struct offload *pool, struct mailbox *reply_to, struct err *err);
void store_ctx_free(struct store_ctx *ctx);
int  store_ctx_fd(const struct store_ctx *ctx); /* readable when store_ctx_reap() has something to do */
/* A number below STORE_CTX_MAX that no other live context has: for per-reactor slots without atomics. */
unsigned store_ctx_index(const struct store_ctx *ctx);
/* Queues; nothing reaches the kernel before store_ctx_flush() (or the batch is full). Errors come through done().
 * done() may run before this returns (memory, null), nested at most STORE_INLINE_NESTING deep, else it waits for
 * reap. */
void store_submit(struct store_ctx *ctx, struct store_io *io);
void store_ctx_flush(struct store_ctx *ctx);     /* one io_submit for all that is queued */
unsigned store_ctx_reap(struct store_ctx *ctx);  /* runs done() of what completed; returns how many */
/* Points to a number that changes with each flush and reap: what is done in the turn in which it was submitted was done at
 * once. The context's thread. */
const uint64_t *store_ctx_turn(const struct store_ctx *ctx);
unsigned store_ctx_in_flight(const struct store_ctx *ctx);

#endif
