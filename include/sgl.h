/*
 * The scatter-gather list: one per command, filled in place by the store, handed from layer to layer, transmitted from
 * the same memory (ISER-1, US11379405B2).
 *
 * Elements are buffers of a pool. Exactly one layer owns the list at each moment (sgl->owner); a hand-over is
 * sgl_hand(list, from, to), which in debug builds traps when `from` is not the owner. The owner alone may read, write
 * or release the elements.
 *
 * A pool belongs to one reactor thread: no locks. It is sized at start: sgl_alloc() returns false when the pool is
 * empty, and the caller waits (stops reading that connection) until buffers come back.
 */
#ifndef LUNETTE_SGL_H
#define LUNETTE_SGL_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#define SGL_ALIGN       4096        /* every element starts on this border */
#define SGL_SMALL_BYTES 8192        /* element size of the small class */
#define SGL_LARGE_BYTES (64 * 1024) /* element size of the large class */
#define SGL_ELEMENTS    128         /* so a list holds up to 8 MiB */
#define SGL_BYTES_MAX   (SGL_ELEMENTS * SGL_LARGE_BYTES)

enum sgl_owner { SGL_NOBODY, SGL_SCSI, SGL_LUN, SGL_ISCSI, SGL_DATAMOVER };

struct sgl {
	struct iovec element[SGL_ELEMENTS]; /* [0, count): base and used length; the lengths add up to len_bytes */
	uint16_t count;
	uint8_t  owner; /* enum sgl_owner */
	uint32_t len_bytes;
};

struct sgl_pool;

/* small, large: elements of each class; one anonymous mapping, backed by huge pages where the kernel has them. */
struct sgl_pool *sgl_pool_new(unsigned small, unsigned large);
void sgl_pool_free(struct sgl_pool *pool); /* every list must have been released */
/* Elements out of the pool now: a check that nothing leaks. */
unsigned sgl_pool_in_use(const struct sgl_pool *pool);

/* An empty list of len_bytes (0 allowed: no elements); false when the pool cannot give it now. Content undefined. */
bool sgl_alloc(struct sgl_pool *pool, struct sgl *list, uint32_t len_bytes, enum sgl_owner owner);
void sgl_release(struct sgl_pool *pool, struct sgl *list, enum sgl_owner owner);

/* What one of many users of a pool holds, in elements. */
struct sgl_share {
	unsigned small, large;
};

/* The same for a user that must not starve the others: it holds at most as many elements of a class as are then still free
 * of it. One greedy user gets half of the class, N of them leave 1/(N+1); nobody is told how many there are. What does not
 * fit that rule is given only out of a class that is all free. False: not now; *ret_share_used: because of what it holds. */
bool sgl_alloc_share(struct sgl_pool *pool, struct sgl_share *share, struct sgl *list, uint32_t len_bytes,
		     enum sgl_owner owner, bool *ret_share_used);
void sgl_release_share(struct sgl_pool *pool, struct sgl_share *share, struct sgl *list, enum sgl_owner owner);

static inline void sgl_hand(struct sgl *list, enum sgl_owner from, enum sgl_owner to)
{
	assert(list->owner == from);
	(void)from;
	list->owner = (uint8_t)to;
}

/* iovecs for the bytes [offset, offset + len) of the list: at most `max` entries into ret_iov; returns how many, and the
 * bytes they cover in *ret_len_bytes (less than len only when max was too small). Nothing is copied. */
unsigned sgl_slice(const struct sgl *list, uint32_t offset, uint32_t len_bytes, struct iovec *ret_iov, unsigned max,
		   uint32_t *ret_len_bytes);
/* For headers, parameter lists and comparisons, not for payload on its way. Bytes outside the list are not touched;
 * the number copied is returned. */
uint32_t sgl_copy_in(struct sgl *list, uint32_t offset, const void *bytes, uint32_t len_bytes);
uint32_t sgl_copy_out(const struct sgl *list, uint32_t offset, void *bytes, uint32_t len_bytes);

#endif
