/* What the files of this folder share: the runtime LUN. Not for others. */
#ifndef LUNETTE_LUN_PRIVATE_H
#define LUNETTE_LUN_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "dataplane/lun/lun.h"

/*
 * Whether an object has writes that a FLUSH must cover (PROTOCOL 2.2: no acknowledged write is lost). A write that
 * completed stores DIRTY; a FLUSH exchanges DIRTY for a token of its own and, when it succeeded, its token for CLEAN. A
 * FLUSH that finds a token runs, too: that other one is not durable yet. A FLUSH that failed stores DIRTY.
 */
enum { LUN_CLEAN, LUN_DIRTY, LUN_FIRST_TOKEN };

/* An open backend object; shared by the generations that name it. */
struct lun_object {
	struct store_object *handle; /* NULL: degraded, its range is a medium error (LU-7) */
	unsigned generations;        /* how many name it; manager thread */
	_Atomic uint64_t flush;      /* LUN_CLEAN ... */
	uint64_t open_bytes;         /* what the store was told; manager thread */
	char id[STORE_OBJECT_ID_MAX];
};

/* (object id, LBA range), LU-2. */
struct lun_tuple {
	uint64_t first_lba, end_lba;
	struct lun_object *object;
};

/* One generation of the mapping; never changes once published. */
struct lun_generation {
	struct lun_generation *next; /* retired ones; manager thread */
	json_t *map;                 /* manager thread */
	uint64_t capacity_blocks;
	uint64_t uniform_blocks;     /* every tuple but the last has as many; 0: they differ, search */
	uint32_t count;
	_Atomic int64_t stragglers;  /* I/O in flight whose reactor has moved on to a later generation */
	struct lun_tuple tuple[];
};

/*
 * What a reactor holds of a lun; only that reactor writes, on a cache line of its own. `generation` protects that
 * generation from being freed like a hazard pointer, and stays set between I/Os, so that the common case is two loads,
 * a comparison and a plain increment: no atomic read-modify-write per I/O.
 */
struct lun_slot {
	_Atomic(struct lun_generation *) generation;
	uint64_t in_flight; /* I/Os on it */
	struct stats_slot *stats; /* time in the store; NULL: not counted */
	const uint64_t *turn;     /* store_ctx_turn(), when there are stats */
	/* the last I/O that was timed and that the store did at once (io.c) */
	uint64_t at_once_turn, at_once_kind, at_once_took_ns, at_once_ended_ns;
} __attribute__((aligned(64)));

struct lun {
	struct lun_attributes attributes;
	struct store *store;
	struct store_limits limits;
	uint8_t block_shift;
	bool open_read_only; /* how objects are opened; manager thread */
	_Atomic(struct lun_generation *) generation; /* the current one */
	_Atomic uint64_t capacity_blocks;            /* of it */
	_Atomic uint64_t flush_token;
	pthread_mutex_t retire_lock; /* held while generations are freed, and by who looks at one without a slot */
	struct range_locks locks;
	struct lun_generation *retired; /* manager thread */
	struct lun_slot slot[STORE_CTX_MAX];
};

/* The tuple that holds lba, which is below the capacity. */
const struct lun_tuple *lun_find(const struct lun_generation *generation, uint64_t lba);
/* Protects the current generation until it is put back by the same reactor. */
struct lun_generation *lun_generation_get(struct lun *lun, struct store_ctx *ctx);
void lun_generation_put(struct lun *lun, struct lun_generation *generation, unsigned slot);

#endif
