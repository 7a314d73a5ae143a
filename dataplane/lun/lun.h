/*
 * A logical unit over backend objects (LU-1 to LU-7, US11176053B2): LUN id -> mapping -> tuple that holds the LBA ->
 * object. Splits requests at object borders, submits the parts together, completes once, first error wins. Grows by
 * swapping in the next generation of the mapping while I/O on the old one finishes.
 *
 * Blocks here are logical blocks of the LUN (512 or 4096 bytes). A lun is shared by the reactors of one worker:
 * lun_submit() from any reactor, with that reactor's store_ctx; done() on the same reactor. Everything else says its
 * thread. No allocation per I/O but for parts beyond the first LUN_PARTS_INLINE objects, which come from a pool.
 */
#ifndef LUNETTE_LUN_H
#define LUNETTE_LUN_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "dataplane/store/range_lock.h"
#include "dataplane/store/store.h"
#include "sgl.h"
#include "stats.h"

#define LUN_SIZE_MIN_BYTES   (UINT64_C(1) << 20)
#define LUN_SIZE_MAX_BYTES   (UINT64_C(64) << 40)
#define LUN_OBJECTS_MAX      65536
#define LUN_NAME_MAX         64
#define LUN_PARTS_INLINE     2
#define LUN_IO_DRIVER_WORDS  208

/* What is fixed at creation, or changed only by the administrator. Made from the "luns" member of the serve document. */
struct lun_attributes {
	char     name[LUN_NAME_MAX];
	char     id[40];              /* UUID, for ever */
	char     serial[40];          /* unit serial number, VPD 80h, for ever */
	uint8_t  naa[16];             /* NAA 6h identifier, VPD 83h, for ever */
	uint32_t block_bytes;         /* 512 or 4096 */
	uint32_t physical_block_bytes;
	bool     read_only, thin;
	bool     removable;
};

struct lun;

/* One generation of the mapping, as JSON: {"id": "...", "generation": 3, "block_size": 512,
 * "objects": [{"id": "vol1.0000", "first_lba": 0, "blocks": 2097152}, ...]}; the ranges are gapless from 0. */

/* Pure (LU-1, LU-2, LU-4): the mapping for a new LUN of size_bytes, or the next generation of `old` grown to size_bytes.
 * target_object_bytes 0: from limits or by table. New reference, NULL with *err (-EINVAL: not whole blocks, overflow,
 * too many objects, smaller than now). */
json_t *lun_map_plan(const json_t *old, const char *lun_id, uint64_t size_bytes, uint32_t block_bytes,
		     uint64_t target_object_bytes, const struct store_limits *limits, struct err *err);
/* Blocking. Creates (or, with old, resizes and appends) the objects of the plan; at failure removes those it made. */
int lun_map_allocate(struct store *store, const json_t *old, const json_t *plan, bool thin, struct err *err);
int lun_map_remove(struct store *store, const json_t *map, struct err *err);
bool lun_map_valid(const json_t *map, struct err *err);
/* Blocking. Bytes that the store has allocated for the objects of a valid mapping; without those it cannot tell of. */
uint64_t lun_map_allocated(struct store *store, const json_t *map);

/* --- runtime, in a worker --- */

/* Blocking (manager thread). Opens every object; one that is missing or short degrades its range (medium error), it
 * never reads as zeroes (LU-7). The store must outlive the lun. */
struct lun *lun_open(const struct lun_attributes *attributes, struct store *store, const json_t *map, struct err *err);
/* Manager thread; no I/O may be in flight. */
void lun_close(struct lun *lun);
/* Manager thread. Swaps in a later generation; I/O on the old one finishes; 1 when the capacity changed. */
int lun_remap(struct lun *lun, const json_t *map, struct err *err);

/* Manager thread. A LUN that was opened read-only takes writes from now on (nothing needs to be done for the other way:
 * the SCSI layer protects it). -EBUSY: another process serves it, too. */
int lun_make_writable(struct lun *lun, struct err *err);

/* Manager thread, before I/O. Where the time that each READ and WRITE through this context takes in the store is counted,
 * as STATS_STORE_*_LATENCY; NULL: nowhere. */
void lun_set_stats(struct lun *lun, const struct store_ctx *ctx, struct stats_slot *stats);

const struct lun_attributes *lun_attributes(const struct lun *lun);
uint64_t lun_capacity_blocks(const struct lun *lun); /* any thread */
void lun_limits(const struct lun *lun, struct store_limits *ret_limits);
json_t *lun_map_json(const struct lun *lun); /* manager thread; new reference; with "degraded": true on bad objects */

enum lun_op { LUN_READ, LUN_WRITE, LUN_FLUSH, LUN_UNMAP, LUN_WRITE_SAME };

struct lun_io {
	enum lun_op op;
	struct lun *lun;
	uint64_t lba;
	uint64_t blocks;          /* READ, WRITE: fit the list slice; UNMAP, WRITE_SAME: any; FLUSH: 0: to the end */
	struct sgl *data;         /* READ: filled in place; WRITE: source; WRITE_SAME: one block at data_offset */
	uint32_t data_offset;     /* where in `data` the first block is */
	bool fua;
	void (*done)(struct lun_io *io, int result); /* reactor's thread; 0 or -errno: -ENOSPC, -EIO, -ENODATA (degraded) ... */
	/* private; need not be initialised */
	uint64_t driver[LUN_IO_DRIVER_WORDS];
};

/* The caller has checked lba + blocks against the capacity; beyond it the result is -ERANGE. WRITE_SAME with data NULL
 * writes zeroes (punches where the store reads holes as zero). */
void lun_submit(struct lun_io *io, struct store_ctx *ctx);

/* Whether lba is mapped and for how many blocks that holds (GET LBA STATUS). Blocking but short. */
int lun_extent(struct lun *lun, uint64_t lba, bool *ret_mapped, uint64_t *ret_blocks);

/*
 * Range locks, so that COMPARE AND WRITE and ORWRITE are atomic against other writes: a write takes its range shared, a
 * read-modify-write exclusive. Granted at once or later through granted() on the taker's reactor (reply_to). First come,
 * first served among overlapping ranges. The common case (no exclusive lock anywhere) is one atomic add.
 */
struct lun_lock {
	struct lun *lun;
	uint64_t lba, blocks;
	bool exclusive;
	const void *taker; /* of range_lock.h, as is: */
	bool ordered;
	void (*granted)(struct lun_lock *lock); /* not called when lun_lock_take returned true */
	struct mailbox *reply_to;
	/* private */
	struct range_lock range;
};
bool lun_lock_take(struct lun_lock *lock);    /* true: granted at once */
bool lun_lock_waits(const struct lun_lock *lock); /* taken and not granted yet; its reactor */
/* Also of a lock that waits: it is withdrawn and granted() is not called. On the reactor that took it; the lock's memory
 * is free afterwards. */
void lun_lock_release(struct lun_lock *lock);

#endif
