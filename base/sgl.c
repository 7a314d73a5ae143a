#include "sgl.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* Free elements are chained through their first bytes. */
struct element {
	struct element *next;
};

struct class {
	struct element *free;
	unsigned free_count, count;
};

struct sgl_pool {
	uint8_t *base;
	size_t bytes, large_at; /* elements of the large class lie from base + large_at on */
	struct class small, large;
};

/* Elements enter the free list when first needed, so that an idle daemon touches no page of the pool. */
static struct element *class_take(struct sgl_pool *pool, struct class *class, size_t at, size_t element_bytes)
{
	struct element *element = class->free;

	if (element) {
		class->free = element->next;
	} else {
		static_assert(sizeof(struct element) <= SGL_SMALL_BYTES, "a free element holds its link");
		element = (struct element *)(pool->base + at + (size_t)(class->count - class->free_count) * element_bytes);
	}
	class->free_count--;
	return element;
}

struct sgl_pool *sgl_pool_new(unsigned small, unsigned large)
{
	struct sgl_pool *pool = calloc(1, sizeof *pool);

	if (!pool)
		return NULL;
	pool->large_at = (size_t)small * SGL_SMALL_BYTES;
	pool->bytes = pool->large_at + (size_t)large * SGL_LARGE_BYTES;
	pool->base = mmap(NULL, pool->bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (pool->base == MAP_FAILED) {
		free(pool);
		return NULL;
	}
	madvise(pool->base, pool->bytes, MADV_HUGEPAGE); /* a wish: without it all works, a little slower */
	pool->small.count = pool->small.free_count = small;
	pool->large.count = pool->large.free_count = large;
	return pool;
}

void sgl_pool_free(struct sgl_pool *pool)
{
	if (!pool)
		return;
	assert(sgl_pool_in_use(pool) == 0);
	munmap(pool->base, pool->bytes);
	free(pool);
}

unsigned sgl_pool_in_use(const struct sgl_pool *pool)
{
	return pool->small.count - pool->small.free_count + pool->large.count - pool->large.free_count;
}

static unsigned large_count(uint32_t len_bytes)
{
	return (len_bytes + SGL_LARGE_BYTES - 1) / SGL_LARGE_BYTES;
}

/* Elements of one class, which has enough of them. */
static void fill(struct sgl_pool *pool, struct sgl *list, uint32_t len_bytes, bool small, enum sgl_owner owner)
{
	unsigned count = small ? len_bytes > 0 : large_count(len_bytes);
	uint32_t left = len_bytes;

	for (unsigned i = 0; i < count; i++) {
		uint32_t n = left < SGL_LARGE_BYTES ? left : SGL_LARGE_BYTES;

		list->element[i].iov_base = small ? class_take(pool, &pool->small, 0, SGL_SMALL_BYTES)
						  : class_take(pool, &pool->large, pool->large_at, SGL_LARGE_BYTES);
		list->element[i].iov_len = n;
		left -= n;
	}
	list->count = (uint16_t)count;
	list->len_bytes = len_bytes;
	list->owner = (uint8_t)owner;
}

bool sgl_alloc(struct sgl_pool *pool, struct sgl *list, uint32_t len_bytes, enum sgl_owner owner)
{
	bool small = len_bytes <= SGL_SMALL_BYTES && pool->small.free_count;

	if (len_bytes > SGL_BYTES_MAX || (!small && large_count(len_bytes) > pool->large.free_count))
		return false;
	fill(pool, list, len_bytes, small, owner);
	return true;
}

static bool within_share(const struct class *class, unsigned held, unsigned count)
{
	if (class->free_count == class->count)
		return count <= class->count;
	return held + 2 * count <= class->free_count;
}

bool sgl_alloc_share(struct sgl_pool *pool, struct sgl_share *share, struct sgl *list, uint32_t len_bytes,
		     enum sgl_owner owner, bool *ret_share_used)
{
	unsigned count = large_count(len_bytes);
	bool small = len_bytes <= SGL_SMALL_BYTES && within_share(&pool->small, share->small, 1);

	if (len_bytes > SGL_BYTES_MAX || (count && !small && !within_share(&pool->large, share->large, count))) {
		*ret_share_used = share->small + share->large > 0;
		return false;
	}
	fill(pool, list, len_bytes, small, owner);
	if (small)
		share->small += list->count;
	else
		share->large += list->count;
	return true;
}

static bool is_small(const struct sgl_pool *pool, const void *element)
{
	return (const uint8_t *)element < pool->base + pool->large_at;
}

void sgl_release_share(struct sgl_pool *pool, struct sgl_share *share, struct sgl *list, enum sgl_owner owner)
{
	if (list->count && is_small(pool, list->element[0].iov_base))
		share->small -= list->count;
	else
		share->large -= list->count;
	sgl_release(pool, list, owner);
}

void sgl_release(struct sgl_pool *pool, struct sgl *list, enum sgl_owner owner)
{
	assert(list->owner == owner);
	(void)owner;
	for (unsigned i = 0; i < list->count; i++) {
		struct element *element = list->element[i].iov_base;
		struct class *class = is_small(pool, element) ? &pool->small : &pool->large;

		element->next = class->free;
		class->free = element;
		class->free_count++;
	}
	list->count = 0;
	list->len_bytes = 0;
	list->owner = SGL_NOBODY;
}

unsigned sgl_slice(const struct sgl *list, uint32_t offset, uint32_t len_bytes, struct iovec *ret_iov, unsigned max,
		   uint32_t *ret_len_bytes)
{
	unsigned count = 0;
	uint32_t covered = 0;

	for (unsigned i = 0; i < list->count && len_bytes && count < max; i++) {
		size_t here = list->element[i].iov_len;
		uint32_t n;

		if (offset >= here) {
			offset -= (uint32_t)here;
			continue;
		}
		n = here - offset < len_bytes ? (uint32_t)here - offset : len_bytes;
		ret_iov[count].iov_base = (uint8_t *)list->element[i].iov_base + offset;
		ret_iov[count++].iov_len = n;
		covered += n;
		len_bytes -= n;
		offset = 0;
	}
	*ret_len_bytes = covered;
	return count;
}

uint32_t sgl_copy_in(struct sgl *list, uint32_t offset, const void *bytes, uint32_t len_bytes)
{
	struct iovec iov[SGL_ELEMENTS];
	uint32_t covered;
	unsigned count = sgl_slice(list, offset, len_bytes, iov, SGL_ELEMENTS, &covered);
	const uint8_t *at = bytes;

	for (unsigned i = 0; i < count; at += iov[i].iov_len, i++)
		memcpy(iov[i].iov_base, at, iov[i].iov_len);
	return covered;
}

uint32_t sgl_copy_out(const struct sgl *list, uint32_t offset, void *bytes, uint32_t len_bytes)
{
	struct iovec iov[SGL_ELEMENTS];
	uint32_t covered;
	unsigned count = sgl_slice(list, offset, len_bytes, iov, SGL_ELEMENTS, &covered);
	uint8_t *at = bytes;

	for (unsigned i = 0; i < count; at += iov[i].iov_len, i++)
		memcpy(at, iov[i].iov_base, iov[i].iov_len);
	return covered;
}
