/*
 * Shared and exclusive locks on ranges of a 64-bit space, first come, first served among overlapping ranges. Nobody
 * blocks: a lock that must wait is granted later, on its taker's thread, through the mailbox.
 *
 * While nobody holds or wants an exclusive lock, taking a shared one is one atomic add and its range is not recorded.
 * The price: an exclusive lock first waits until those anonymous shared ones are gone, whatever their range. Later
 * shared locks are recorded and wait only where they overlap.
 *
 * Shared locks may be ordered: then those of different takers exclude each other where they overlap. An ordered lock is
 * recorded; it does not see anonymous ones.
 *
 * Used by lun_lock_take() (COMPARE AND WRITE against WRITE, writes of one host by several paths) and by the file store
 * (read-modify-write of sectors).
 */
#ifndef LUNETTE_STORE_RANGE_LOCK_H
#define LUNETTE_STORE_RANGE_LOCK_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "list.h"
#include "mailbox.h"

#define RANGE_REGIONS 16

struct range_locks {
	_Atomic uint64_t users; /* low half: anonymous shared locks; high half: exclusive locks held or wanted */
	pthread_mutex_t lock;   /* guards the lists */
	struct list held[RANGE_REGIONS + 1]; /* recorded locks that are granted, by region; the last: those of several regions */
	struct list waiting;    /* oldest first */
};

struct range_grant;

struct range_lock {
	uint64_t first, count; /* count 0 overlaps nothing */
	bool exclusive;
	const void *taker; /* NULL: no other lock is ordered against this one */
	bool ordered;      /* against shared locks of other takers, ordered themselves or not; has a taker */
	void (*granted)(struct range_lock *lock); /* on reply_to's thread; only when take returned false */
	struct mailbox *reply_to;                 /* of the thread that takes and releases */
	/* private */
	uint8_t state;  /* of a recorded lock; guarded by locks->lock */
	bool anonymous; /* counted, not recorded; the taker's thread alone */
	struct list link;
	struct range_locks *locks;
	struct range_grant *grant;
};

void range_locks_init(struct range_locks *locks);
void range_locks_fini(struct range_locks *locks); /* nobody holds or waits */

/* True: granted at once; false: later, through granted(). */
bool range_lock_take(struct range_locks *locks, struct range_lock *lock);
/* Whether it was taken and not granted yet. Taker's thread. */
bool range_lock_waits(const struct range_lock *lock);
/* Taker's thread. A lock that waits is withdrawn, granted() is not called. The lock's memory is free afterwards. */
void range_lock_release(struct range_lock *lock);

#endif
