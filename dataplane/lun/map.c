/*
 * The metadata mapping of a LUN (LU-1, LU-2, LU-4; US11176053B2): planned, checked, allocated. No runtime state here.
 *
 * lun_map_plan() is pure. A LUN of S bytes with target size T gets ceil(S / T) objects; the last holds the remainder.
 * Growing keeps the target of the old mapping, fills the last object up to it and appends objects (LU-6).
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "dataplane/lun/lun.h"

#define GIB (UINT64_C(1) << 30)

/* LU-4: target backend object size when neither the LUN nor the store says one. */
static const struct {
	uint64_t lun_bytes_max, target_bytes;
} target_table[] = {
	{64 * GIB, 16 * GIB},
	{1024 * GIB, 64 * GIB},
	{16384 * GIB, 256 * GIB},
	{LUN_SIZE_MAX_BYTES, 1024 * GIB},
};

static uint64_t target_from_table(uint64_t size_bytes)
{
	size_t i = 0;

	while (size_bytes > target_table[i].lun_bytes_max)
		i++;
	return target_table[i].target_bytes;
}

/* ---- reading a mapping ---- */

/* Only of a mapping that lun_map_valid() has accepted. */
static uint64_t get_u64(const json_t *object, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(object, key));
}

static const char *get_id(const json_t *object)
{
	return json_string_value(json_object_get(object, "id"));
}

static uint64_t map_blocks(const json_t *map)
{
	const json_t *objects = json_object_get(map, "objects");
	const json_t *last = json_array_get(objects, json_array_size(objects) - 1);

	return get_u64(last, "first_lba") + get_u64(last, "blocks");
}

static bool id_valid(const char *id)
{
	static const char set[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
	size_t len = id ? strspn(id, set) : 0;

	return len > 0 && len < STORE_OBJECT_ID_MAX && id[len] == '\0' && id[0] != '.';
}

/* A tuple that begins at first_lba; the LBA behind it in *ret_end. */
static int check_tuple(const json_t *tuple, size_t index, uint64_t first_lba, uint64_t blocks_max, uint64_t *ret_end,
		       struct err *err)
{
	const json_t *first = json_object_get(tuple, "first_lba"), *blocks = json_object_get(tuple, "blocks");

	if (!json_is_object(tuple) || !id_valid(get_id(tuple)) ||
	    strlen(get_id(tuple)) != json_string_length(json_object_get(tuple, "id")))
		return err_set(err, -EINVAL, "object %zu of the mapping has no valid id", index);
	if (!json_is_integer(first) || json_integer_value(first) < 0 ||
	    (uint64_t)json_integer_value(first) != first_lba)
		return err_set(err, -EINVAL, "object %zu of the mapping does not begin at block %llu", index,
			       (unsigned long long)first_lba);
	if (!json_is_integer(blocks) || json_integer_value(blocks) <= 0 ||
	    (uint64_t)json_integer_value(blocks) > blocks_max - first_lba)
		return err_set(err, -EINVAL, "object %zu of the mapping has no valid number of blocks", index);
	*ret_end = first_lba + (uint64_t)json_integer_value(blocks);
	return 0;
}

static int check_objects(const json_t *objects, uint64_t blocks_max, struct err *err)
{
	json_t *seen = json_object(), *tuple;
	uint64_t lba = 0;
	size_t i;
	int rc = seen ? 0 : err_errno(err, -ENOMEM, "cannot check the mapping");

	json_array_foreach(objects, i, tuple) {
		if (rc == 0)
			rc = check_tuple(tuple, i, lba, blocks_max, &lba, err);
		if (rc == 0 && json_object_get(seen, get_id(tuple)))
			rc = err_set(err, -EINVAL, "the mapping names object %s twice", get_id(tuple));
		if (rc == 0 && json_object_set_new(seen, get_id(tuple), json_true()) < 0)
			rc = err_errno(err, -ENOMEM, "cannot check the mapping");
		if (rc < 0)
			break;
	}
	json_decref(seen);
	return rc;
}

bool lun_map_valid(const json_t *map, struct err *err)
{
	const json_t *generation = json_object_get(map, "generation"), *objects = json_object_get(map, "objects");
	json_int_t block_bytes = json_integer_value(json_object_get(map, "block_size"));
	int rc = 0;

	if (!json_is_object(map))
		rc = err_set(err, -EINVAL, "the mapping is not an object");
	else if (!json_is_string(json_object_get(map, "id")) || !get_id(map)[0])
		rc = err_set(err, -EINVAL, "the mapping has no id");
	else if (!json_is_integer(generation) || json_integer_value(generation) < 1)
		rc = err_set(err, -EINVAL, "the mapping has no valid generation");
	else if (block_bytes != 512 && block_bytes != 4096)
		rc = err_set(err, -EINVAL, "the mapping's block size is neither 512 nor 4096");
	else if (!json_is_array(objects) || json_array_size(objects) == 0 ||
		 json_array_size(objects) > LUN_OBJECTS_MAX)
		rc = err_set(err, -EINVAL, "the mapping does not have 1 to %u objects", LUN_OBJECTS_MAX);
	else
		rc = check_objects(objects, LUN_SIZE_MAX_BYTES / (uint64_t)block_bytes, err);
	return rc == 0;
}

/* ---- planning ---- */

static int check_plan_size(uint64_t size_bytes, uint32_t block_bytes, struct err *err)
{
	if (block_bytes != 512 && block_bytes != 4096)
		return err_set(err, -EINVAL, "the block size must be 512 or 4096");
	if (size_bytes < LUN_SIZE_MIN_BYTES || size_bytes > LUN_SIZE_MAX_BYTES)
		return err_set(err, -EINVAL, "the size must be between %llu and %llu bytes",
			       (unsigned long long)LUN_SIZE_MIN_BYTES, (unsigned long long)LUN_SIZE_MAX_BYTES);
	if (size_bytes % block_bytes)
		return err_set(err, -EINVAL, "the size is not a multiple of the block size %u", block_bytes);
	return 0;
}

static int check_growth(const json_t *old, uint64_t size_bytes, uint32_t block_bytes, struct err *err)
{
	if (!lun_map_valid(old, err))
		return -EINVAL;
	if (get_u64(old, "block_size") != block_bytes)
		return err_set(err, -EINVAL, "the block size cannot change");
	if (map_blocks(old) > size_bytes / block_bytes)
		return err_set(err, -EINVAL, "the size cannot shrink below %llu bytes",
			       (unsigned long long)(map_blocks(old) * block_bytes));
	return 0;
}

/* Blocks per object: explicit, else as the old mapping has it, else the store's default, else the table. A choice of
 * ours is lowered to what the store can keep; an explicit one is refused. */
static int choose_target(const json_t *old, uint64_t size_bytes, uint32_t block_bytes, uint64_t target_bytes,
			 const struct store_limits *limits, uint64_t *ret_blocks, struct err *err)
{
	const json_t *objects = json_object_get(old, "objects");
	uint64_t max_bytes = limits->object_bytes_max / block_bytes * block_bytes;

	if (target_bytes) {
		if (target_bytes % block_bytes)
			return err_set(err, -EINVAL, "the target object size is not a multiple of the block size %u",
				       block_bytes);
		if (target_bytes > max_bytes)
			return err_set(err, -EINVAL, "the target object size %llu is above the store's largest, %llu",
				       (unsigned long long)target_bytes, (unsigned long long)max_bytes);
	} else if (json_array_size(objects) > 1) {
		target_bytes = get_u64(json_array_get(objects, 0), "blocks") * block_bytes;
	} else {
		target_bytes = limits->target_object_bytes;
		if (!target_bytes)
			target_bytes = target_from_table(size_bytes);
		target_bytes = target_bytes / block_bytes * block_bytes;
		if (target_bytes > max_bytes)
			target_bytes = max_bytes;
	}
	if (target_bytes == 0)
		return err_set(err, -EINVAL, "the store cannot keep one block in an object");
	*ret_blocks = target_bytes / block_bytes;
	return 0;
}

static json_t *tuple_new(const char *id, uint64_t first_lba, uint64_t blocks)
{
	return json_pack("{s:s, s:I, s:I}", "id", id, "first_lba", (json_int_t)first_lba, "blocks", (json_int_t)blocks);
}

/* The old tuples, the last one filled up to the target. */
static int copy_tuples(const json_t *old, json_t *objects, uint64_t end_lba, uint64_t target_blocks)
{
	const json_t *old_objects = json_object_get(old, "objects");
	size_t count = json_array_size(old_objects);

	for (size_t i = 0; i < count; i++) {
		const json_t *tuple = json_array_get(old_objects, i);
		uint64_t first = get_u64(tuple, "first_lba"), blocks = get_u64(tuple, "blocks");

		if (i == count - 1 && blocks < target_blocks)
			blocks = target_blocks < end_lba - first ? target_blocks : end_lba - first;
		if (json_array_append_new(objects, tuple_new(get_id(tuple), first, blocks)) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int append_tuples(json_t *objects, const char *lun_id, uint64_t lba, uint64_t end_lba, uint64_t target_blocks)
{
	char id[STORE_OBJECT_ID_MAX];

	while (lba < end_lba) {
		uint64_t blocks = end_lba - lba < target_blocks ? end_lba - lba : target_blocks;

		snprintf(id, sizeof id, "%.100s.%04zu", lun_id, json_array_size(objects));
		if (json_array_append_new(objects, tuple_new(id, lba, blocks)) < 0)
			return -ENOMEM;
		lba += blocks;
	}
	return 0;
}

static json_t *map_new(const json_t *old, const char *lun_id, uint32_t block_bytes, json_t *objects)
{
	char id[STORE_OBJECT_ID_MAX];

	snprintf(id, sizeof id, "%.100s.map", lun_id);
	return json_pack("{s:s, s:I, s:I, s:o}", "id", old ? get_id(old) : id, "generation",
			 old ? json_integer_value(json_object_get(old, "generation")) + 1 : (json_int_t)1, "block_size",
			 (json_int_t)block_bytes, "objects", objects);
}

/* Checked before the first tuple is made: a tiny target must not cost memory. */
static int check_count(const json_t *old, uint64_t end_lba, uint64_t target_blocks, struct err *err)
{
	uint64_t count = json_array_size(json_object_get(old, "objects"));
	uint64_t left = end_lba - (old ? map_blocks(old) : 0);

	count += left / target_blocks + (left % target_blocks != 0);
	if (count > LUN_OBJECTS_MAX)
		return err_set(err, -EINVAL, "%llu objects would be needed, at most %u are possible; "
			       "choose a larger target object size", (unsigned long long)count, LUN_OBJECTS_MAX);
	return 0;
}

json_t *lun_map_plan(const json_t *old, const char *lun_id, uint64_t size_bytes, uint32_t block_bytes,
		     uint64_t target_object_bytes, const struct store_limits *limits, struct err *err)
{
	uint64_t target_blocks = 0, end_lba, lba = 0;
	json_t *objects, *map = NULL;
	int rc = check_plan_size(size_bytes, block_bytes, err);

	if (rc == 0 && (!id_valid(lun_id) || strlen(lun_id) > 100))
		rc = err_set(err, -EINVAL, "the LUN id cannot begin the id of an object");
	if (rc == 0 && old)
		rc = check_growth(old, size_bytes, block_bytes, err);
	if (rc == 0)
		rc = choose_target(old, size_bytes, block_bytes, target_object_bytes, limits, &target_blocks, err);
	if (rc < 0)
		return NULL;
	end_lba = size_bytes / block_bytes;
	if (check_count(old, end_lba, target_blocks, err) < 0)
		return NULL;
	objects = json_array();
	rc = objects ? 0 : -ENOMEM;
	if (rc == 0 && old) {
		rc = copy_tuples(old, objects, end_lba, target_blocks);
		if (rc == 0) {
			const json_t *last = json_array_get(objects, json_array_size(objects) - 1);

			lba = get_u64(last, "first_lba") + get_u64(last, "blocks");
		}
	}
	if (rc == 0)
		rc = append_tuples(objects, lun_id, lba, end_lba, target_blocks);
	if (rc == 0)
		map = map_new(old, lun_id, block_bytes, objects);
	else
		json_decref(objects);
	if (!map)
		err_errno(err, -ENOMEM, "cannot plan the mapping");
	if (map && !lun_map_valid(map, err)) { /* a new id is that of an old object */
		json_decref(map);
		return NULL;
	}
	return map;
}

/* ---- allocating ---- */

static int allocate_one(struct store *store, const json_t *old_tuple, const json_t *tuple, uint32_t block_bytes,
			bool thin, struct err *err)
{
	uint64_t bytes = get_u64(tuple, "blocks") * block_bytes;

	if (!old_tuple)
		return store_object_create(store, get_id(tuple), bytes, thin, err);
	if (strcmp(get_id(old_tuple), get_id(tuple)) != 0)
		return err_set(err, -EINVAL, "the plan replaces object %s", get_id(old_tuple));
	if (get_u64(old_tuple, "blocks") == get_u64(tuple, "blocks"))
		return 0;
	return store_object_resize(store, get_id(tuple), bytes, thin, err);
}

int lun_map_allocate(struct store *store, const json_t *old, const json_t *plan, bool thin, struct err *err)
{
	const json_t *old_objects = json_object_get(old, "objects"), *objects = json_object_get(plan, "objects");
	size_t old_count = json_array_size(old_objects), i;
	int rc = lun_map_valid(plan, err) && (!old || lun_map_valid(old, err)) ? 0 : -EINVAL;

	if (rc == 0 && old_count > json_array_size(objects))
		rc = err_set(err, -EINVAL, "the plan has fewer objects than the mapping");
	if (rc < 0)
		return rc;
	for (i = 0; i < json_array_size(objects); i++) {
		rc = allocate_one(store, json_array_get(old_objects, i), json_array_get(objects, i),
				  (uint32_t)get_u64(plan, "block_size"), thin, err);
		if (rc < 0)
			break;
	}
	if (rc == 0)
		return 0;
	err_wrap(err, "cannot allocate object %zu of %zu", i + 1, json_array_size(objects));
	/* What cannot be removed now has no tuple, and is reaped by age (LU-7). */
	while (i-- > old_count)
		store_object_remove(store, get_id(json_array_get(objects, i)), NULL);
	return rc;
}

uint64_t lun_map_allocated(struct store *store, const json_t *map)
{
	uint64_t total = 0, bytes;
	json_t *tuple;
	size_t i;

	json_array_foreach(json_object_get(map, "objects"), i, tuple)
		if (store_object_allocated(store, get_id(tuple), &bytes) == 0)
			total += bytes;
	return total;
}

int lun_map_remove(struct store *store, const json_t *map, struct err *err)
{
	json_t *tuple;
	size_t i;
	int rc = 0;

	if (!lun_map_valid(map, err))
		return -EINVAL;
	json_array_foreach(json_object_get(map, "objects"), i, tuple) {
		int one = store_object_remove(store, get_id(tuple), rc == 0 ? err : NULL);

		if (rc == 0)
			rc = one;
	}
	return rc;
}
