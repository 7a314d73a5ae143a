/*
 * The memory store: a sparse table of chunks per object, for tests, benchmarks and scratch LUNs. Content lives in the
 * process that opened the store and only there: control's create is a promise, the worker makes the object at open, a
 * worker that restarts has zeroes. Content outlives store_object_close(); store_object_remove() and store_close() free.
 *
 * Chunks of CHUNK_BYTES are allocated at the first write. A chunk knows which of its pages were written, so that
 * extents and UNMAP are exact to PAGE_BYTES; pages not written are zero. A chunk whose last page is unmapped is freed.
 *
 * Threads: any number of reactors. Each chunk has a spinning reader-writer lock, held for one copy of at most a chunk;
 * so a read never sees half of a block that is being written. The object table has a mutex.
 *
 * Parameter: "limit_bytes", content at most, all objects together (default: unlimited); beyond it -ENOSPC.
 */
#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "dataplane/store/driver.h"

#define PAGE_BYTES              UINT64_C(4096)
#define CHUNK_BYTES             UINT64_C(65536)
#define PAGES_PER_CHUNK         (CHUNK_BYTES / PAGE_BYTES)
#define CHUNKS_PER_LEAF         UINT64_C(1024)
#define LEAF_BYTES              (CHUNKS_PER_LEAF * CHUNK_BYTES)
#define LEAVES_MAX              UINT64_C(16384)
#define MEMORY_OBJECT_BYTES_MAX (LEAVES_MAX * LEAF_BYTES) /* 1 TiB */

struct chunk {
	_Atomic uint32_t lock;  /* readers; WRITER when exclusive */
	uint32_t written;       /* bit per page; guarded by lock */
	uint8_t *bytes;         /* NULL: nothing written; guarded by lock */
};
#define WRITER UINT32_C(0x80000000)

struct leaf {
	struct chunk chunk[CHUNKS_PER_LEAF];
};

/* The content; struct memory_object is one opening of it. */
struct content {
	struct list link; /* memory_store.contents */
	char id[STORE_OBJECT_ID_MAX];
	unsigned opens;
	bool removed;
	uint64_t size_bytes, created_ns;
	_Atomic uint64_t allocated_bytes;
	struct memory_store *store;
	_Atomic(struct leaf *) leaf[LEAVES_MAX];
};

struct memory_store {
	struct store store;
	pthread_mutex_t lock; /* contents and their fields but for the chunks; recursive: each() of list may remove */
	struct list contents;
	uint64_t limit_bytes;
	_Atomic uint64_t used_bytes;
};

struct memory_object {
	struct store_object object;
	struct content *content;
};

static struct memory_store *memory_store(struct store *store)
{
	return container_of(store, struct memory_store, store);
}

static struct content *content_of(struct store_object *object)
{
	return container_of(object, struct memory_object, object)->content;
}

/* ---- chunks ---- */

static void chunk_lock_shared(struct chunk *chunk)
{
	uint32_t seen = atomic_load_explicit(&chunk->lock, memory_order_relaxed);

	for (unsigned spins = 0;; spins++) {
		if (!(seen & WRITER) &&
		    atomic_compare_exchange_weak_explicit(&chunk->lock, &seen, seen + 1, memory_order_acquire,
							  memory_order_relaxed))
			return;
		if (spins > 100)
			sched_yield();
		seen = atomic_load_explicit(&chunk->lock, memory_order_relaxed);
	}
}

static void chunk_unlock_shared(struct chunk *chunk)
{
	atomic_fetch_sub_explicit(&chunk->lock, 1, memory_order_release);
}

static void chunk_lock(struct chunk *chunk)
{
	for (unsigned spins = 0;; spins++) {
		uint32_t unlocked = 0;

		if (atomic_compare_exchange_weak_explicit(&chunk->lock, &unlocked, WRITER, memory_order_acquire,
							  memory_order_relaxed))
			return;
		if (spins > 100)
			sched_yield();
	}
}

static void chunk_unlock(struct chunk *chunk)
{
	atomic_store_explicit(&chunk->lock, 0, memory_order_release);
}

/* NULL: never written. */
static struct chunk *chunk_find(struct content *content, uint64_t offset)
{
	struct leaf *leaf = atomic_load_explicit(&content->leaf[offset / LEAF_BYTES], memory_order_acquire);

	return leaf ? &leaf->chunk[offset % LEAF_BYTES / CHUNK_BYTES] : NULL;
}

/* NULL: no memory. */
static struct chunk *chunk_make(struct content *content, uint64_t offset)
{
	_Atomic(struct leaf *) *slot = &content->leaf[offset / LEAF_BYTES];
	struct leaf *leaf = atomic_load_explicit(slot, memory_order_acquire), *made;

	if (!leaf) {
		made = calloc(1, sizeof *made);
		if (!made)
			return NULL;
		if (atomic_compare_exchange_strong(slot, &leaf, made))
			leaf = made;
		else
			free(made);
	}
	return &leaf->chunk[offset % LEAF_BYTES / CHUNK_BYTES];
}

static bool account(struct content *content, uint64_t bytes)
{
	struct memory_store *store = content->store;

	if (atomic_fetch_add(&store->used_bytes, bytes) + bytes > store->limit_bytes) {
		atomic_fetch_sub(&store->used_bytes, bytes);
		return false;
	}
	atomic_fetch_add(&content->allocated_bytes, bytes);
	return true;
}

static void unaccount(struct content *content, uint64_t bytes)
{
	atomic_fetch_sub(&content->store->used_bytes, bytes);
	atomic_fetch_sub(&content->allocated_bytes, bytes);
}

/* Pages that [at, at + len) of a chunk touches. */
static uint32_t pages_touched(uint64_t at, uint64_t len)
{
	uint64_t first = at / PAGE_BYTES, end = (at + len + PAGE_BYTES - 1) / PAGE_BYTES;

	return (uint32_t)(((UINT64_C(1) << end) - 1) & ~((UINT64_C(1) << first) - 1));
}

static uint64_t page_count_bytes(uint32_t pages)
{
	return (uint64_t)__builtin_popcount(pages) * PAGE_BYTES;
}

static void chunk_read(struct content *content, uint64_t offset, uint8_t *to, uint64_t len)
{
	struct chunk *chunk = chunk_find(content, offset);

	if (!chunk) {
		memset(to, 0, len);
		return;
	}
	chunk_lock_shared(chunk);
	if (chunk->bytes)
		memcpy(to, chunk->bytes + offset % CHUNK_BYTES, len);
	else
		memset(to, 0, len);
	chunk_unlock_shared(chunk);
}

static int chunk_write(struct content *content, uint64_t offset, const uint8_t *from, uint64_t len)
{
	struct chunk *chunk = chunk_make(content, offset);
	uint32_t fresh;
	int rc = 0;

	if (!chunk)
		return -ENOMEM;
	chunk_lock(chunk);
	fresh = pages_touched(offset % CHUNK_BYTES, len) & ~chunk->written;
	if (!chunk->bytes && !(chunk->bytes = calloc(1, CHUNK_BYTES)))
		rc = -ENOSPC;
	else if (fresh && !account(content, page_count_bytes(fresh)))
		rc = -ENOSPC;
	if (rc == 0) {
		chunk->written |= fresh;
		memcpy(chunk->bytes + offset % CHUNK_BYTES, from, len);
	}
	chunk_unlock(chunk);
	return rc;
}

static void chunk_unmap(struct content *content, uint64_t offset, uint64_t len, bool keep_allocated)
{
	struct chunk *chunk = chunk_find(content, offset);
	uint64_t at = offset % CHUNK_BYTES;
	uint32_t whole = 0;

	if (!chunk)
		return;
	chunk_lock(chunk);
	if (chunk->bytes) {
		memset(chunk->bytes + at, 0, len);
		for (uint64_t page = (at + PAGE_BYTES - 1) / PAGE_BYTES; (page + 1) * PAGE_BYTES <= at + len; page++)
			whole |= 1u << page;
		if (keep_allocated)
			whole = 0;
		unaccount(content, page_count_bytes(whole & chunk->written));
		chunk->written &= ~whole;
		if (chunk->written == 0) {
			free(chunk->bytes);
			chunk->bytes = NULL;
		}
	}
	chunk_unlock(chunk);
}

/* ---- I/O ---- */

static uint64_t within_chunk(uint64_t offset, uint64_t len)
{
	uint64_t left = CHUNK_BYTES - offset % CHUNK_BYTES;

	return len < left ? len : left;
}

static int copy(struct content *content, const struct store_io *io)
{
	uint64_t offset = io->offset_bytes;
	int rc = 0;

	for (unsigned i = 0; i < io->iov_count && rc == 0; i++) {
		uint8_t *at = io->iov[i].iov_base;
		uint64_t left = io->iov[i].iov_len, len;

		for (; left && rc == 0; left -= len, at += len, offset += len) {
			len = within_chunk(offset, left);
			if (io->op == STORE_READ)
				chunk_read(content, offset, at, len);
			else
				rc = chunk_write(content, offset, at, len);
		}
	}
	return rc;
}

static void memory_copy(struct store_ctx *ctx, struct store_io *io)
{
	store_complete_inline(ctx, io, copy(content_of(io->object), io));
}

static void memory_flush(struct store_ctx *ctx, struct store_io *io)
{
	store_complete_inline(ctx, io, 0);
}

static void memory_unmap(struct store_ctx *ctx, struct store_io *io)
{
	struct content *content = content_of(io->object);
	uint64_t offset = io->offset_bytes, left = io->len_bytes, len;

	while (left) {
		/* Leaves that do not exist are stepped over whole: an UNMAP may cover a terabyte. */
		if (atomic_load_explicit(&content->leaf[offset / LEAF_BYTES], memory_order_acquire)) {
			len = within_chunk(offset, left);
			chunk_unmap(content, offset, len, io->keep_allocated);
		} else {
			len = LEAF_BYTES - offset % LEAF_BYTES;
			len = len < left ? len : left;
		}
		offset += len;
		left -= len;
	}
	store_complete_inline(ctx, io, 0);
}

static bool page_mapped(struct content *content, uint64_t offset)
{
	struct chunk *chunk = chunk_find(content, offset);
	bool mapped;

	if (!chunk)
		return false;
	chunk_lock_shared(chunk);
	mapped = chunk->written >> (offset % CHUNK_BYTES / PAGE_BYTES) & 1;
	chunk_unlock_shared(chunk);
	return mapped;
}

static int memory_object_extent(struct store_object *object, uint64_t offset_bytes, bool *ret_mapped,
				uint64_t *ret_len_bytes)
{
	struct content *content = content_of(object);
	uint64_t size = atomic_load(&object->size_bytes), at = offset_bytes - offset_bytes % PAGE_BYTES;
	bool mapped = page_mapped(content, at);

	do {
		bool absent = !atomic_load_explicit(&content->leaf[at / LEAF_BYTES], memory_order_acquire);

		at += absent ? LEAF_BYTES - at % LEAF_BYTES : PAGE_BYTES;
	} while (at < size && page_mapped(content, at) == mapped);
	*ret_mapped = mapped;
	*ret_len_bytes = (at < size ? at : size) - offset_bytes;
	return 0;
}

/* ---- objects ---- */

static struct content *content_find(struct memory_store *store, const char *id)
{
	list_for_each(pos, &store->contents) {
		struct content *content = container_of(pos, struct content, link);

		if (strcmp(content->id, id) == 0)
			return content;
	}
	return NULL;
}

static struct content *content_new(struct memory_store *store, const char *id, uint64_t size_bytes)
{
	struct content *content = calloc(1, sizeof *content);

	if (!content)
		return NULL;
	strcpy(content->id, id); /* store_object_id_valid(): it fits */
	content->size_bytes = size_bytes;
	content->created_ns = clock_now_ns();
	content->store = store;
	list_append(&store->contents, &content->link);
	return content;
}

static void content_free(struct content *content)
{
	for (uint64_t i = 0; i < LEAVES_MAX; i++) {
		struct leaf *leaf = atomic_load(&content->leaf[i]);

		for (uint64_t k = 0; leaf && k < CHUNKS_PER_LEAF; k++)
			free(leaf->chunk[k].bytes);
		free(leaf);
	}
	atomic_fetch_sub(&content->store->used_bytes, atomic_load(&content->allocated_bytes));
	list_remove(&content->link);
	free(content);
}

static int memory_create(struct store *base, const char *id, uint64_t size_bytes, bool thin, struct err *err)
{
	struct memory_store *store = memory_store(base);
	int rc = 0;

	(void)thin;
	pthread_mutex_lock(&store->lock);
	if (content_find(store, id))
		rc = -EEXIST;
	else if (!content_new(store, id, size_bytes))
		rc = -ENOMEM;
	pthread_mutex_unlock(&store->lock);
	return rc < 0 ? err_errno(err, rc, "cannot create object %s", id) : 0;
}

/* An object that this process does not know lives in a worker, and the worker learns the size from the mapping. */
static int memory_resize(struct store *base, const char *id, uint64_t size_bytes, bool thin, struct err *err)
{
	struct memory_store *store = memory_store(base);
	struct content *content;

	(void)thin, (void)err;
	pthread_mutex_lock(&store->lock);
	content = content_find(store, id);
	if (content && content->size_bytes < size_bytes)
		content->size_bytes = size_bytes;
	pthread_mutex_unlock(&store->lock);
	return 0;
}

static int memory_remove(struct store *base, const char *id, struct err *err)
{
	struct memory_store *store = memory_store(base);
	struct content *content;

	(void)err;
	pthread_mutex_lock(&store->lock);
	content = content_find(store, id);
	if (content && content->opens) {
		list_remove(&content->link);
		content->removed = true;
	} else if (content) {
		content_free(content);
	}
	pthread_mutex_unlock(&store->lock);
	return 0;
}

static int memory_allocated(struct store *base, const char *id, uint64_t *ret_bytes)
{
	struct memory_store *store = memory_store(base);
	struct content *content;

	pthread_mutex_lock(&store->lock);
	content = content_find(store, id);
	*ret_bytes = content ? atomic_load(&content->allocated_bytes) : 0;
	pthread_mutex_unlock(&store->lock);
	return 0;
}

static int memory_list(struct store *base, void (*each)(const char *id, uint64_t age_s, void *arg), void *arg,
		       struct err *err)
{
	struct memory_store *store = memory_store(base);
	uint64_t now = clock_now_ns();

	(void)err;
	pthread_mutex_lock(&store->lock);
	list_for_each_safe(pos, &store->contents) {
		struct content *content = container_of(pos, struct content, link);

		each(content->id, (now - content->created_ns) / NS_PER_S, arg);
	}
	pthread_mutex_unlock(&store->lock);
	return 0;
}

static int memory_space(struct store *base, uint64_t *ret_total_bytes, uint64_t *ret_free_bytes)
{
	struct memory_store *store = memory_store(base);

	*ret_total_bytes = store->limit_bytes;
	*ret_free_bytes = store->limit_bytes - atomic_load(&store->used_bytes);
	return 0;
}

static int memory_object_open(struct store *base, const char *id, uint64_t size_bytes, bool read_only,
			      struct store_object **ret_object, struct err *err)
{
	struct memory_store *store = memory_store(base);
	struct memory_object *object = calloc(1, sizeof *object);
	struct content *content = NULL;

	(void)read_only;
	if (size_bytes > MEMORY_OBJECT_BYTES_MAX) {
		free(object);
		return err_set(err, -EFBIG, "object %s is too large for the memory store", id);
	}
	pthread_mutex_lock(&store->lock);
	if (object)
		content = content_find(store, id);
	if (object && !content)
		content = content_new(store, id, size_bytes);
	if (content) {
		content->opens++;
		if (content->size_bytes < size_bytes)
			content->size_bytes = size_bytes;
	}
	pthread_mutex_unlock(&store->lock);
	if (!content) {
		free(object);
		return err_errno(err, -ENOMEM, "cannot open object %s", id);
	}
	object->content = content;
	*ret_object = &object->object;
	return 0;
}

static void memory_object_close(struct store_object *base)
{
	struct content *content = content_of(base);
	struct memory_store *store = content->store;

	pthread_mutex_lock(&store->lock);
	if (--content->opens == 0 && content->removed)
		content_free(content);
	pthread_mutex_unlock(&store->lock);
	free(container_of(base, struct memory_object, object));
}

static int memory_object_writable(struct store_object *object, struct err *err)
{
	(void)object, (void)err;
	return 0;
}

static int memory_object_grown(struct store_object *object, uint64_t size_bytes)
{
	(void)object;
	return size_bytes <= MEMORY_OBJECT_BYTES_MAX ? 0 : -EFBIG;
}

static struct store *memory_open(const json_t *params, const char *state_dir, struct err *err)
{
	struct memory_store *store = calloc(1, sizeof *store);
	json_int_t limit = json_integer_value(json_object_get(params, "limit_bytes"));
	pthread_mutexattr_t recursive;

	(void)state_dir;
	if (!store) {
		err_errno(err, -ENOMEM, "cannot open the memory store");
		return NULL;
	}
	pthread_mutexattr_init(&recursive);
	pthread_mutexattr_settype(&recursive, PTHREAD_MUTEX_RECURSIVE);
	pthread_mutex_init(&store->lock, &recursive);
	pthread_mutexattr_destroy(&recursive);
	list_init(&store->contents);
	store->limit_bytes = limit > 0 ? (uint64_t)limit : UINT64_C(1) << 60;
	store->store.limits = (struct store_limits){
		.object_bytes_max = MEMORY_OBJECT_BYTES_MAX,
		.align_bytes = 512,
		.unmap_granularity_bytes = PAGE_BYTES,
		.unmap_zeroes = true,
	};
	return &store->store;
}

static void memory_close(struct store *base)
{
	struct memory_store *store = memory_store(base);

	list_for_each_safe(pos, &store->contents)
		content_free(container_of(pos, struct content, link));
	pthread_mutex_destroy(&store->lock);
	free(store);
}

const struct store_ops store_memory_ops = {
	.kind = "memory",
	.open = memory_open,
	.close = memory_close,
	.create = memory_create,
	.resize = memory_resize,
	.remove = memory_remove,
	.allocated = memory_allocated,
	.list = memory_list,
	.space = memory_space,
	.object_open = memory_object_open,
	.object_close = memory_object_close,
	.object_writable = memory_object_writable,
	.object_grown = memory_object_grown,
	.object_extent = memory_object_extent,
	.submit = {
		[STORE_READ] = memory_copy,
		[STORE_WRITE] = memory_copy,
		[STORE_FLUSH] = memory_flush,
		[STORE_UNMAP] = memory_unmap,
	},
};
