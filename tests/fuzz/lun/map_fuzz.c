/*
 * Mappings as they come from a document on disk or from another node: lun_map_valid() must refuse or accept without
 * harm, and what it accepts must be good for planning a growth, for allocating and for I/O at both ends.
 *
 * Input: the JSON text of a mapping.
 */
#include <stdint.h>
#include <stdlib.h>

#include "dataplane/lun/lun.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static uint64_t end_of(const json_t *map)
{
	const json_t *objects = json_object_get(map, "objects");
	const json_t *last = json_array_get(objects, json_array_size(objects) - 1);

	return (uint64_t)(json_integer_value(json_object_get(last, "first_lba")) +
			  json_integer_value(json_object_get(last, "blocks")));
}

static void grow(const json_t *map)
{
	static const struct store_limits limits = {.object_bytes_max = UINT64_C(1) << 43};
	uint32_t block_bytes = (uint32_t)json_integer_value(json_object_get(map, "block_size"));
	uint64_t bytes = end_of(map) * block_bytes;
	uint64_t step = UINT64_C(1) << 30;
	json_t *next = lun_map_plan(map, "lun1", bytes + step, block_bytes, step, &limits, NULL);

	if (next && (!lun_map_valid(next, NULL) || end_of(next) * block_bytes != bytes + step))
		abort();
	json_decref(next);
}

static void serve(const json_t *map)
{
	struct lun_attributes attributes = {
		.name = "fuzz", .block_bytes = (uint32_t)json_integer_value(json_object_get(map, "block_size"))};
	struct store *store = store_open("null", NULL, NULL, NULL);
	struct lun *lun = store ? lun_open(&attributes, store, map, NULL) : NULL;

	if (lun && lun_capacity_blocks(lun) != end_of(map))
		abort();
	lun_close(lun);
	store_close(store);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	json_t *map = json_loadb((const char *)bytes, len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
	struct err err = {0};

	if (lun_map_valid(map, &err)) {
		grow(map);
		serve(map);
	} else if (err.code >= 0 || !err.text[0]) {
		abort(); /* refused without words */
	}
	json_decref(map);
	return 0;
}
