/* A LUN on a store, its lists of buffers, and synchronous I/O on it. */
#ifndef LUNETTE_TESTS_LUN_RIG_H
#define LUNETTE_TESTS_LUN_RIG_H

#include "dataplane/lun/lun.h"
#include "tests/unit/store/rig.h"

static inline json_t *plan(const json_t *old, uint64_t size, uint32_t block_bytes, uint64_t target, struct store *store)
{
	struct store_limits limits;
	struct err err = {0};
	json_t *map;

	store_get_limits(store, &limits);
	map = lun_map_plan(old, "lun1", size, block_bytes, target, &limits, &err);
	if (!map)
		fail_msg("%s", err.text);
	return map;
}

static inline struct lun_attributes attributes(uint32_t block_bytes)
{
	return (struct lun_attributes){.name = "vol1", .id = "lun1", .block_bytes = block_bytes,
				       .physical_block_bytes = 4096, .thin = true};
}

/* map: from plan(); allocated here. */
static inline struct lun *lun_on(struct store *store, const json_t *map, uint32_t block_bytes)
{
	struct lun_attributes a = attributes(block_bytes);
	struct err err = {0};
	struct lun *lun;

	if (lun_map_allocate(store, NULL, map, true, &err) < 0)
		fail_msg("%s", err.text);
	lun = lun_open(&a, store, map, &err);
	if (!lun)
		fail_msg("%s", err.text);
	return lun;
}

struct rig_lun_io {
	struct lun_io io;
	int result;
	bool done;
};

static inline void rig_lun_done(struct lun_io *io, int result)
{
	struct rig_lun_io *r = container_of(io, struct rig_lun_io, io);

	assert_false(r->done);
	r->done = true;
	r->result = result;
}

static inline void rig_lun_start(struct rig *rig, struct rig_lun_io *r, struct lun *lun, enum lun_op op, uint64_t lba,
				 uint64_t blocks, struct sgl *data, uint32_t data_offset)
{
	memset(r, 0x5a, sizeof *r); /* nothing may depend on zeroed memory */
	r->done = false;
	r->io.op = op;
	r->io.lun = lun;
	r->io.lba = lba;
	r->io.blocks = blocks;
	r->io.data = data;
	r->io.data_offset = data_offset;
	r->io.fua = false;
	r->io.done = rig_lun_done;
	lun_submit(&r->io, rig->ctx);
}

static inline int rig_lun_io(struct rig *rig, struct lun *lun, enum lun_op op, uint64_t lba, uint64_t blocks,
			     struct sgl *data, uint32_t data_offset)
{
	struct rig_lun_io r;

	rig_lun_start(rig, &r, lun, op, lba, blocks, data, data_offset);
	while (!r.done)
		rig_turn(rig);
	return r.result;
}

#endif
