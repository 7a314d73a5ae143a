/*
 * Counters in shared memory (design section 7): one segment (a memfd made by the supervisor) per worker, written by the
 * worker's reactors without locks or system calls, read by control at any time.
 *
 * A slot is one (object, reactor): only that reactor writes its values (relaxed stores), readers add up the slots of an
 * object. Some values have another writer: the gauges of a LUN (allocated_bytes, space_short, store_full) are the manager
 * thread's, in the LUN's slot of reactor 0. Slots are claimed and released by the worker's manager thread or by the reactor
 * for its sessions. Counters only grow within a worker's life; a worker that starts anew clears the segment, so readers see
 * a counter reset, not a jump.
 * The values are declared once, in counters.def.
 *
 * Built with LUNETTE_NO_COUNTERS, nothing is counted and no clock is read for it: tests/bench/counters measures against
 * that what counting costs.
 */
#ifndef LUNETTE_STATS_H
#define LUNETTE_STATS_H

#include <stdatomic.h>
#include <stdint.h>

#include "clock.h"

#ifdef LUNETTE_NO_COUNTERS
#define STATS_COUNTING 0
#else
#define STATS_COUNTING 1
#endif

#define STATS_SLOTS     16384
#define STATS_NAME_MAX  288
#define STATS_BUCKETS   96 /* latency histogram, log-linear: see stats_bucket() */
#define STATS_VERSION   3

enum stats_kind { STATS_FREE, STATS_WORKER, STATS_LUN, STATS_TARGET, STATS_SESSION };

enum stats_counter {
#define COUNTER(name, unit, type, objects, meaning) STAT_##name,
#include "counters.def"
#undef COUNTER
	STATS_COUNTERS
};

enum stats_histogram {
	STATS_READ_LATENCY, STATS_WRITE_LATENCY,             /* command to response */
	STATS_STORE_READ_LATENCY, STATS_STORE_WRITE_LATENCY, /* of the LUN's I/O in its store; LUN slots only */
	STATS_HISTOGRAMS
};

struct stats_slot {
	_Atomic uint32_t kind;     /* enum stats_kind; written last when claimed */
	uint32_t reactor;
	char     name[STATS_NAME_MAX]; /* LUN name, target name, session id, "worker" */
	_Atomic uint64_t value[STATS_COUNTERS];
	_Atomic uint64_t bucket[STATS_HISTOGRAMS][STATS_BUCKETS];
	_Atomic uint64_t sum_ns[STATS_HISTOGRAMS];
} __attribute__((aligned(64)));

struct stats_segment {
	uint32_t version, slot_bytes;
	_Atomic uint32_t slots_used; /* highest slot ever claimed + 1: where readers may stop */
	struct stats_slot slot[STATS_SLOTS] __attribute__((aligned(64)));
};

/* A memfd of the right size; negative errno. */
int stats_create(void);
/* Maps it; NULL on failure. Readers and the writer map the same. */
struct stats_segment *stats_map(int fd, int writable);
void stats_unmap(struct stats_segment *segment);
void stats_clear(struct stats_segment *segment); /* the writer, at its start */

/* The manager thread or any reactor (takes a lock inside the process). NULL when all slots are taken: the caller counts
 * into a private dummy, statistics are lost, never I/O. */
struct stats_slot *stats_claim(struct stats_segment *segment, enum stats_kind kind, const char *name, unsigned reactor);
void stats_release(struct stats_slot *slot);

/* The slot's reactor only. */
static inline void stats_add(struct stats_slot *slot, enum stats_counter counter, uint64_t n)
{
	_Atomic uint64_t *v = &slot->value[counter];

	if (STATS_COUNTING)
		atomic_store_explicit(v, atomic_load_explicit(v, memory_order_relaxed) + n, memory_order_relaxed);
}

/* The clock, for durations that are only counted. */
static inline uint64_t stats_now_ns(void)
{
	return STATS_COUNTING ? clock_now_ns() : 0;
}

/* Bucket of a latency: four per power of two from 1 us on; bucket 0 is below 1 us, the last is open. */
static inline unsigned stats_bucket(uint64_t ns)
{
	uint64_t us = ns / 1000;
	unsigned log, index;

	if (us < 4)
		return (unsigned)us;
	log = 63 - (unsigned)__builtin_clzll(us);
	index = (log - 1) * 4 + (unsigned)(us >> (log - 2) & 3);
	return index < STATS_BUCKETS ? index : STATS_BUCKETS - 1;
}
/* First latency above the bucket, in nanoseconds (the "le" of an exported histogram); UINT64_MAX for the last. */
uint64_t stats_bucket_limit_ns(unsigned bucket);

/* n events that took ns each. */
static inline void stats_latencies(struct stats_slot *slot, enum stats_histogram histogram, uint64_t ns, uint64_t n)
{
	_Atomic uint64_t *b = &slot->bucket[histogram][stats_bucket(ns)], *s = &slot->sum_ns[histogram];

	if (!STATS_COUNTING)
		return;
	atomic_store_explicit(b, atomic_load_explicit(b, memory_order_relaxed) + n, memory_order_relaxed);
	atomic_store_explicit(s, atomic_load_explicit(s, memory_order_relaxed) + n * ns, memory_order_relaxed);
}

static inline void stats_latency(struct stats_slot *slot, enum stats_histogram histogram, uint64_t ns)
{
	stats_latencies(slot, histogram, ns, 1);
}

#endif
