/*
 * The runtime LUN: opening, growing, closing. I/O is in io.c, the mapping as a document in map.c.
 *
 * Growing (LU-6): the next generation is built beside the current one (it shares the open objects), published with one
 * atomic store, and the old one is retired. Each reactor protects the generation that its I/Os use with its slot
 * (lun_private.h); a retired generation is freed at a later remap or at close, when no slot names it and its stragglers
 * are gone. So at most one retired generation per reactor lives on.
 *
 * A tuple whose object is missing or short is degraded (LU-7): I/O on its range is -ENODATA. Everything else that
 * prevents opening an object (in use elsewhere, no descriptors) fails the open.
 */
#include "dataplane/lun/lun.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/lun/lun_private.h"
#include "log.h"

/* ---- generations ---- */

/* The reactor's first I/O on the lun, or on a new generation. */
static struct lun_generation *slot_move(struct lun *lun, struct lun_slot *slot)
{
	struct lun_generation *old = atomic_load(&slot->generation), *generation;

	if (slot->in_flight)
		atomic_fetch_add(&old->stragglers, (int64_t)slot->in_flight);
	slot->in_flight = 0;
	do {
		generation = atomic_load(&lun->generation);
		atomic_store(&slot->generation, generation);
	} while (atomic_load(&lun->generation) != generation);
	return generation;
}

struct lun_generation *lun_generation_get(struct lun *lun, struct store_ctx *ctx)
{
	struct lun_slot *slot = &lun->slot[store_ctx_index(ctx)];
	struct lun_generation *generation = atomic_load_explicit(&lun->generation, memory_order_acquire);

	if (__builtin_expect(atomic_load_explicit(&slot->generation, memory_order_relaxed) != generation, 0))
		generation = slot_move(lun, slot);
	slot->in_flight++;
	return generation;
}

void lun_generation_put(struct lun *lun, struct lun_generation *generation, unsigned index)
{
	struct lun_slot *slot = &lun->slot[index];

	if (__builtin_expect(atomic_load_explicit(&slot->generation, memory_order_relaxed) == generation, 1))
		slot->in_flight--;
	else
		atomic_fetch_sub(&generation->stragglers, 1);
}

static void object_unref(struct lun_object *object)
{
	if (--object->generations)
		return;
	store_object_close(object->handle);
	free(object);
}

static void generation_free(struct lun_generation *generation)
{
	if (!generation)
		return;
	for (uint32_t i = 0; i < generation->count; i++)
		object_unref(generation->tuple[i].object);
	json_decref(generation->map);
	free(generation);
}

static bool generation_used(struct lun *lun, struct lun_generation *generation)
{
	for (unsigned i = 0; i < STORE_CTX_MAX; i++)
		if (atomic_load(&lun->slot[i].generation) == generation)
			return true;
	return atomic_load(&generation->stragglers) != 0;
}

static void free_retired(struct lun *lun)
{
	struct lun_generation **link = &lun->retired, *generation;

	pthread_mutex_lock(&lun->retire_lock);
	while ((generation = *link)) {
		if (generation_used(lun, generation)) {
			link = &generation->next;
			continue;
		}
		*link = generation->next;
		generation_free(generation);
	}
	pthread_mutex_unlock(&lun->retire_lock);
}

const struct lun_tuple *lun_find(const struct lun_generation *generation, uint64_t lba)
{
	uint32_t low = 0, high = generation->count - 1;

	if (high == 0)
		return generation->tuple;
	if (generation->uniform_blocks)
		return &generation->tuple[lba / generation->uniform_blocks];
	while (low < high) {
		uint32_t middle = (low + high) / 2;

		if (lba < generation->tuple[middle].end_lba)
			high = middle;
		else
			low = middle + 1;
	}
	return &generation->tuple[low];
}

/* ---- building a generation ---- */

static uint64_t get_u64(const json_t *object, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(object, key));
}

static int object_open(struct lun *lun, const char *id, uint64_t bytes, struct lun_object **ret_object,
		       struct err *err)
{
	struct lun_object *object = calloc(1, sizeof *object);
	int rc;

	if (!object)
		return err_errno(err, -ENOMEM, "cannot open object %s", id);
	strcpy(object->id, id); /* lun_map_valid(): it fits */
	object->open_bytes = bytes;
	/* Another process may have written it and died before the initiator's next SYNCHRONIZE CACHE. */
	atomic_init(&object->flush, LUN_DIRTY);
	rc = store_object_open(lun->store, id, bytes, lun->open_read_only, &object->handle, err);
	if (rc < 0)
		object->handle = NULL;
	if (rc == -ENOENT || rc == -EIO) {
		log_error("a backend object cannot be used, its range gives medium errors lun=%s object=%s: %s",
			  log_quoted(lun->attributes.name), id, err->text);
		rc = 0;
	}
	if (rc == 0)
		*ret_object = object;
	else
		free(object);
	return rc;
}

/* The object of tuple i: that of the old generation when it is the same and usable, else newly opened. */
static int object_for(struct lun *lun, const struct lun_generation *old, uint32_t i, const char *id, uint64_t bytes,
		      struct lun_object **ret_object, struct err *err)
{
	struct lun_object *object = old && i < old->count ? old->tuple[i].object : NULL;
	int rc;

	if (!object || !object->handle || strcmp(object->id, id) != 0)
		return object_open(lun, id, bytes, ret_object, err);
	if (bytes > object->open_bytes) {
		rc = store_object_grown(object->handle, bytes);
		if (rc < 0)
			return err_errno(err, rc, "object %s has not grown to %llu bytes", id,
					 (unsigned long long)bytes);
		object->open_bytes = bytes;
	}
	*ret_object = object;
	return 0;
}

static uint64_t uniform_blocks(const struct lun_generation *generation)
{
	uint64_t blocks = generation->tuple[0].end_lba;

	for (uint32_t i = 0; i + 1 < generation->count; i++)
		if (generation->tuple[i].end_lba - generation->tuple[i].first_lba != blocks)
			return 0;
	return generation->capacity_blocks <= blocks * generation->count ? blocks : 0;
}

/* map: valid. */
static struct lun_generation *generation_new(struct lun *lun, const struct lun_generation *old, const json_t *map,
					     struct err *err)
{
	const json_t *objects = json_object_get(map, "objects");
	size_t count = json_array_size(objects);
	struct lun_generation *made = calloc(1, sizeof *made + count * sizeof made->tuple[0]);
	int rc = 0;

	if (made)
		made->map = json_deep_copy(map);
	if (!made || !made->map) {
		free(made);
		err_errno(err, -ENOMEM, "cannot open the mapping");
		return NULL;
	}
	for (uint32_t i = 0; i < count && rc == 0; i++) {
		const json_t *tuple = json_array_get(objects, i);
		struct lun_tuple *t = &made->tuple[i];

		t->first_lba = get_u64(tuple, "first_lba");
		t->end_lba = t->first_lba + get_u64(tuple, "blocks");
		rc = object_for(lun, old, i, json_string_value(json_object_get(tuple, "id")),
				(t->end_lba - t->first_lba) << lun->block_shift, &t->object, err);
		if (rc == 0) {
			t->object->generations++;
			made->count++;
			made->capacity_blocks = t->end_lba;
		}
	}
	if (rc < 0) {
		generation_free(made);
		return NULL;
	}
	made->uniform_blocks = uniform_blocks(made);
	return made;
}

/* ---- open, remap, close ---- */

struct lun *lun_open(const struct lun_attributes *attributes, struct store *store, const json_t *map, struct err *err)
{
	struct lun_generation *generation;
	struct err local = {0};
	struct lun *lun;

	err = err ? err : &local;
	if (!lun_map_valid(map, err))
		return NULL;
	if (get_u64(map, "block_size") != attributes->block_bytes) {
		err_set(err, -EINVAL, "the mapping's block size is not that of the LUN");
		return NULL;
	}
	lun = aligned_alloc(_Alignof(struct lun), sizeof *lun);
	if (!lun) {
		err_errno(err, -ENOMEM, "cannot open the LUN");
		return NULL;
	}
	memset(lun, 0, sizeof *lun);
	lun->attributes = *attributes;
	lun->open_read_only = attributes->read_only;
	lun->store = store;
	lun->block_shift = attributes->block_bytes == 512 ? 9 : 12;
	store_get_limits(store, &lun->limits);
	atomic_init(&lun->flush_token, LUN_FIRST_TOKEN);
	range_locks_init(&lun->locks);
	pthread_mutex_init(&lun->retire_lock, NULL);
	generation = generation_new(lun, NULL, map, err);
	if (!generation) {
		err_wrap(err, "cannot open LUN \"%s\"", attributes->name);
		lun_close(lun);
		return NULL;
	}
	atomic_store(&lun->capacity_blocks, generation->capacity_blocks);
	atomic_store(&lun->generation, generation);
	return lun;
}

void lun_close(struct lun *lun)
{
	struct lun_generation *generation;

	if (!lun)
		return;
	for (unsigned i = 0; i < STORE_CTX_MAX; i++)
		assert(lun->slot[i].in_flight == 0);
	while ((generation = lun->retired)) {
		assert(atomic_load(&generation->stragglers) == 0);
		lun->retired = generation->next;
		generation_free(generation);
	}
	generation_free(atomic_load(&lun->generation));
	pthread_mutex_destroy(&lun->retire_lock);
	range_locks_fini(&lun->locks);
	free(lun);
}

/* What stays, stays where it is: I/O in flight has found its object by the old ranges. */
static int check_successor(const struct lun_generation *old, const json_t *map, struct err *err)
{
	const json_t *objects = json_object_get(map, "objects"), *last;

	if (get_u64(map, "generation") <= get_u64(old->map, "generation"))
		return err_set(err, -ESTALE, "the mapping's generation is not later than the current one");
	if (get_u64(map, "block_size") != get_u64(old->map, "block_size"))
		return err_set(err, -EINVAL, "the mapping's block size is not that of the LUN");
	if (json_array_size(objects) < old->count)
		return err_set(err, -EINVAL, "the mapping has fewer objects than before");
	for (uint32_t i = 0; i < old->count; i++)
		if (get_u64(json_array_get(objects, i), "first_lba") != old->tuple[i].first_lba)
			return err_set(err, -EINVAL, "object %u of the mapping has moved to other blocks", i);
	last = json_array_get(objects, json_array_size(objects) - 1);
	if (get_u64(last, "first_lba") + get_u64(last, "blocks") < old->capacity_blocks)
		return err_set(err, -EINVAL, "the mapping is smaller than before");
	return 0;
}

int lun_remap(struct lun *lun, const json_t *map, struct err *err)
{
	struct lun_generation *old = atomic_load(&lun->generation), *generation;
	bool grown;
	struct err local = {0};
	int rc;

	err = err ? err : &local;
	if (!lun_map_valid(map, err))
		return -EINVAL;
	if (json_equal(map, old->map))
		return 0;
	rc = check_successor(old, map, err);
	if (rc < 0)
		return rc;
	generation = generation_new(lun, old, map, err);
	if (!generation) {
		err_wrap(err, "cannot remap LUN \"%s\"", lun->attributes.name);
		return err->code;
	}
	grown = generation->capacity_blocks != old->capacity_blocks;
	atomic_store(&lun->generation, generation);
	atomic_store(&lun->capacity_blocks, generation->capacity_blocks);
	old->next = lun->retired;
	lun->retired = old;
	free_retired(lun);
	return grown;
}

int lun_make_writable(struct lun *lun, struct err *err)
{
	const struct lun_generation *generation = atomic_load(&lun->generation);
	int rc = 0;

	for (uint32_t i = 0; i < generation->count && rc == 0; i++)
		if (generation->tuple[i].object->handle)
			rc = store_object_make_writable(generation->tuple[i].object->handle, err);
	if (rc == 0)
		lun->open_read_only = false;
	return rc;
}

void lun_set_stats(struct lun *lun, const struct store_ctx *ctx, struct stats_slot *stats)
{
	struct lun_slot *slot = &lun->slot[store_ctx_index(ctx)];

	slot->stats = stats;
	slot->turn = store_ctx_turn(ctx);
}

/* ---- questions ---- */

const struct lun_attributes *lun_attributes(const struct lun *lun)
{
	return &lun->attributes;
}

uint64_t lun_capacity_blocks(const struct lun *lun)
{
	return atomic_load_explicit(&lun->capacity_blocks, memory_order_acquire);
}

void lun_limits(const struct lun *lun, struct store_limits *ret_limits)
{
	*ret_limits = lun->limits;
}

json_t *lun_map_json(const struct lun *lun)
{
	const struct lun_generation *generation = atomic_load(&lun->generation);
	json_t *map = json_deep_copy(generation->map);

	for (uint32_t i = 0; map && i < generation->count; i++)
		if (!generation->tuple[i].object->handle)
			json_object_set_new(json_array_get(json_object_get(map, "objects"), i), "degraded",
					    json_true());
	return map;
}

/* Within one object; in whole blocks. A block that is mapped in part is mapped, and so is what is degraded. */
static int tuple_extent(const struct lun *lun, const struct lun_tuple *tuple, uint64_t lba, bool *ret_mapped,
			uint64_t *ret_blocks)
{
	uint64_t block_bytes = UINT64_C(1) << lun->block_shift, len, blocks;
	int rc;

	*ret_mapped = true;
	*ret_blocks = tuple->end_lba - lba;
	if (!tuple->object->handle)
		return 0;
	rc = store_object_extent(tuple->object->handle, (lba - tuple->first_lba) << lun->block_shift, ret_mapped, &len);
	if (rc < 0)
		return rc;
	blocks = *ret_mapped ? (len + block_bytes - 1) >> lun->block_shift : len >> lun->block_shift;
	if (blocks == 0) {
		*ret_mapped = true;
		blocks = 1;
	}
	if (blocks < *ret_blocks)
		*ret_blocks = blocks;
	return 0;
}

/* Goes on into the next objects while they are in the same state, so that a border between objects does not show. */
static int extent(const struct lun *lun, const struct lun_generation *generation, uint64_t lba, bool *ret_mapped,
		  uint64_t *ret_blocks)
{
	const struct lun_tuple *tuple = lun_find(generation, lba), *end = generation->tuple + generation->count;
	uint64_t total = 0, blocks;
	bool mapped;
	int rc = tuple_extent(lun, tuple, lba, ret_mapped, &total);

	while (rc == 0 && lba + total == tuple->end_lba && ++tuple < end) {
		if (tuple_extent(lun, tuple, tuple->first_lba, &mapped, &blocks) < 0 || mapped != *ret_mapped)
			break;
		total += blocks;
	}
	*ret_blocks = total;
	return rc;
}

int lun_extent(struct lun *lun, uint64_t lba, bool *ret_mapped, uint64_t *ret_blocks)
{
	const struct lun_generation *generation;
	int rc = -ERANGE;

	pthread_mutex_lock(&lun->retire_lock);
	generation = atomic_load(&lun->generation);
	if (lba < generation->capacity_blocks) {
		*ret_mapped = true;
		*ret_blocks = generation->capacity_blocks - lba;
		/* A fully provisioned LUN has no holes to tell of (SBC-4 4.7.2). */
		rc = lun->attributes.thin ? extent(lun, generation, lba, ret_mapped, ret_blocks) : 0;
	}
	pthread_mutex_unlock(&lun->retire_lock);
	return rc;
}

/* ---- range locks ---- */

static void lock_granted(struct range_lock *range)
{
	struct lun_lock *lock = container_of(range, struct lun_lock, range);

	lock->granted(lock);
}

bool lun_lock_take(struct lun_lock *lock)
{
	lock->range = (struct range_lock){
		.first = lock->lba,
		.count = lock->blocks,
		.exclusive = lock->exclusive,
		.taker = lock->taker,
		.ordered = lock->ordered,
		.granted = lock_granted,
		.reply_to = lock->reply_to,
	};
	return range_lock_take(&lock->lun->locks, &lock->range);
}

bool lun_lock_waits(const struct lun_lock *lock)
{
	return range_lock_waits(&lock->range);
}

void lun_lock_release(struct lun_lock *lock)
{
	range_lock_release(&lock->range);
}
