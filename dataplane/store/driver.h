/*
 * Inside of the store: what a driver is, and what the contexts do for it. Not for other folders.
 *
 * A driver is one struct store_ops. store.c checks arguments once for all drivers (ids, ranges, read-only), so a driver
 * gets only requests inside its object. An absent operation refuses with -EOPNOTSUPP.
 *
 * A driver completes an I/O in one of four ways:
 *   store_complete_inline()  inside submit (memory, null)
 *   store_aio_queue()        through libaio; then aio->reaped() on the reactor's thread
 *   store_offload()          work() on a pool thread returns the result
 *   store_complete()         any other moment on the reactor's thread
 */
#ifndef LUNETTE_STORE_DRIVER_H
#define LUNETTE_STORE_DRIVER_H

#include <jansson.h>
#include <libaio.h>
#include <stdatomic.h>

#include "dataplane/store/store.h"

struct store_ops {
	const char *kind;

	/* params: the borrowed JSON object; fills in store->limits. */
	struct store *(*open)(const json_t *params, const char *state_dir, struct err *err);
	void (*close)(struct store *store);

	/* Management half, as in store.h. */
	int (*create)(struct store *store, const char *id, uint64_t size_bytes, bool thin, struct err *err);
	int (*resize)(struct store *store, const char *id, uint64_t size_bytes, bool thin, struct err *err);
	int (*remove)(struct store *store, const char *id, struct err *err);
	int (*allocated)(struct store *store, const char *id, uint64_t *ret_bytes);
	int (*list)(struct store *store, void (*each)(const char *id, uint64_t age_s, void *arg), void *arg,
		    struct err *err);
	int (*space)(struct store *store, uint64_t *ret_total_bytes, uint64_t *ret_free_bytes);

	/* I/O half. object_open fills in nothing of the common part: store_object_open() does. */
	int (*object_open)(struct store *store, const char *id, uint64_t size_bytes, bool read_only,
			   struct store_object **ret_object, struct err *err);
	void (*object_close)(struct store_object *object);
	int (*object_writable)(struct store_object *object, struct err *err);
	int (*object_grown)(struct store_object *object, uint64_t size_bytes);
	int (*object_extent)(struct store_object *object, uint64_t offset_bytes, bool *ret_mapped,
			     uint64_t *ret_len_bytes);
	void (*submit[STORE_OP_COUNT])(struct store_ctx *ctx, struct store_io *io);
};

struct store {
	const struct store_ops *ops;
	struct store_limits limits;
};

struct store_object {
	const struct store_ops *ops;
	struct store *store;
	_Atomic uint64_t size_bytes; /* grows only */
	_Atomic bool read_only;
	char id[STORE_OBJECT_ID_MAX];
};

extern const struct store_ops store_file_ops, store_memory_ops, store_null_ops, store_fault_ops;

bool store_object_id_valid(const char *id);

/* The first words of io->driver of an I/O that goes through libaio. */
struct store_aio {
	struct iocb iocb; /* all but data and the eventfd is filled in by the driver */
	struct store_ctx *ctx;
	void (*reaped)(struct store_ctx *ctx, struct store_io *io, long result); /* bytes or negative errno */
	int (*work)(struct store_io *io); /* of store_offload() */
	long result; /* while it waits for reap without having been in the kernel */
};

static inline struct store_aio *store_aio(struct store_io *io)
{
	return (struct store_aio *)io->driver;
}

static inline struct store_io *store_io_of_iocb(struct iocb *iocb)
{
	return container_of((void *)iocb, struct store_io, driver);
}

/* Words of io->driver that belong to a wrapping driver (fault); the others stay below. */
#define STORE_DRIVER_WRAP 25

void store_complete(struct store_ctx *ctx, struct store_io *io, int result);
void store_complete_inline(struct store_ctx *ctx, struct store_io *io, int result);
void store_aio_queue(struct store_ctx *ctx, struct store_io *io);
/* aio->ctx must be set. work() gets the I/O and returns the result. */
void store_offload(struct store_ctx *ctx, struct store_io *io, int (*work)(struct store_io *io));
/* An I/O that was completed is in flight once more (a wrapping driver withholds the completion). */
void store_ctx_enter(struct store_ctx *ctx);
struct mailbox *store_ctx_mailbox(const struct store_ctx *ctx);

#endif
