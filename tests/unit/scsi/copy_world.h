/* Two more logical units beside the world's own: number 1, which nexus 0 and 1 see, and one that only nexus 2 does. */
#ifndef LUNETTE_TESTS_SCSI_COPY_WORLD_H
#define LUNETTE_TESTS_SCSI_COPY_WORLD_H

#include "dataplane/scsi/copy.h"
#include "dataplane/scsi/token.h"
#include "tests/unit/scsi/check.h"

#define LUN_1   (UINT64_C(1) << 48)
#define BLOCK   512u
#define BLOCKS  ((uint32_t)(WORLD_BYTES / BLOCK))

static struct side {
	struct lun_attributes attributes;
	struct lun *lun;
	struct scsi_lu *lu;
} second, foreign;

static struct scsi_inventory *tenant, *other_tenant;

static inline void side_open(struct side *side, const char *name, uint8_t last_byte, const struct world_options *options)
{
	struct store_limits limits;
	struct err err = { 0 };
	json_t *map;

	side->attributes = world_attributes(options);
	snprintf(side->attributes.name, sizeof side->attributes.name, "%s", name);
	snprintf(side->attributes.id, sizeof side->attributes.id, "0f6b2c52-8f4e-4f51-9d3e-1a2b3c4d5e%02x", last_byte);
	snprintf(side->attributes.serial, sizeof side->attributes.serial, "LN%02x", last_byte);
	side->attributes.naa[15] = last_byte;
	store_get_limits(world.store, &limits);
	map = lun_map_plan(NULL, side->attributes.id, WORLD_BYTES, side->attributes.block_bytes, 0, &limits, &err);
	assert(map && lun_map_allocate(world.store, NULL, map, side->attributes.thin, &err) >= 0);
	side->lun = lun_open(&side->attributes, world.store, map, &err);
	assert(side->lun);
	json_decref(map);
	side->lu = scsi_lu_new(side->lun, &world.services, &err);
	assert(side->lu);
}

static inline void side_close(struct side *side)
{
	json_t *map = lun_map_json(side->lun);

	scsi_lu_free(side->lu);
	lun_close(side->lun);
	lun_map_remove(world.store, map, NULL);
	json_decref(map);
}

static inline void clear_attentions(void)
{
	for (unsigned i = 0; i < WORLD_NEXUSES; i++)
		for (uint64_t lun = 0; lun <= LUN_1; lun += LUN_1)
			world_run(&world, world.nexus[i], lun, BYTES(0x03, 0, 0, 0, 18, 0), NULL, 0, &outcome);
}

static inline void copy_world_init(const struct world_options *options, const struct world_options *second_options)
{
	world_init(&world, options);
	side_open(&second, "vol2", 0x02, second_options);
	side_open(&foreign, "vol3", 0x03, options);
	tenant = scsi_inventory_new((struct scsi_inventory_entry[]){ { 0, false, world.lu }, { 1, false, second.lu },
								     { 300, true, world.lu } }, 3);
	other_tenant = scsi_inventory_new((struct scsi_inventory_entry[]){ { 0, false, foreign.lu } }, 1);
	for (unsigned i = 0; i < WORLD_NEXUSES; i++)
		assert(scsi_nexus_set_inventory(world.nexus[i], i == 2 ? other_tenant : tenant));
	clear_attentions();
}

static inline int copy_set_up(void **state)
{
	(void)state;
	copy_world_init(&(struct world_options){ 0 }, &(struct world_options){ 0 });
	return 0;
}

static inline int copy_tear_down(void **state)
{
	(void)state;
	for (unsigned i = 0; i < WORLD_NEXUSES; i++)
		world_drop_nexus(&world, i);
	side_close(&second);
	side_close(&foreign);
	scsi_inventory_unref(tenant);
	scsi_inventory_unref(other_tenant);
	world_fini(&world);
	return 0;
}

#define COPY_TEST(name) cmocka_unit_test_setup_teardown(name, copy_set_up, copy_tear_down)

/* --- parameter lists --- */

static uint8_t list[70000];
static uint32_t list_bytes;

static inline void list_start(uint8_t list_id)
{
	memset(list, 0, sizeof list);
	list[0] = list_id;
	list_bytes = 16;
}

static inline uint8_t *list_cscd(const struct lun *lun)
{
	const struct lun_attributes *attributes = lun_attributes(lun);
	uint8_t *d = list + list_bytes;

	d[0] = 0xe4;
	d[4] = 1;
	d[5] = DESIGNATOR_NAA;
	d[7] = 16;
	memcpy(d + 8, attributes->naa, 16);
	put_be24(d + 29, attributes->block_bytes);
	list_bytes += 32;
	put_be16(list + 2, (uint16_t)(get_be16(list + 2) + 32));
	return d;
}

static inline uint8_t *list_segment(uint16_t from, uint16_t to, uint64_t from_lba, uint64_t to_lba, uint16_t blocks)
{
	uint8_t *d = list + list_bytes;

	d[0] = 0x02;
	put_be16(d + 2, 0x18);
	put_be16(d + 4, from);
	put_be16(d + 6, to);
	put_be16(d + 10, blocks);
	put_be64(d + 12, from_lba);
	put_be64(d + 20, to_lba);
	list_bytes += 28;
	put_be32(list + 8, get_be32(list + 8) + 28);
	return d;
}

static inline void xcopy_cdb(uint8_t *cdb, uint8_t action)
{
	memset(cdb, 0, 16);
	cdb[0] = 0x83;
	cdb[1] = action;
	put_be32(cdb + 10, list_bytes);
}

/* EXTENDED COPY(LID1) to LUN 0 of the nexus. */
static inline void xcopy_from(unsigned nexus)
{
	uint8_t cdb[16];

	xcopy_cdb(cdb, 0);
	send_from(nexus, cdb, sizeof cdb, list, list_bytes);
}

/* One segment from LUN 0 to LUN 1. */
static inline void copy_over(uint8_t list_id, uint64_t from_lba, uint64_t to_lba, uint16_t blocks)
{
	list_start(list_id);
	list_cscd(world.lun);
	list_cscd(second.lun);
	list_segment(0, 1, from_lba, to_lba, blocks);
	xcopy_from(0);
}

/* The list of LID1 becomes one of LID4. */
static inline void to_lid4(uint32_t list_id, bool immediate)
{
	uint16_t cscd_bytes = get_be16(list + 2), segment_bytes = (uint16_t)get_be32(list + 8);

	memmove(list + 48, list + 16, list_bytes - 16);
	list_bytes += 48 - 16;
	memset(list, 0, 48);
	list[0] = 1;
	put_be16(list + 2, 0x20);
	list[15] = immediate;
	list[16] = 0xff;
	put_be32(list + 20, list_id);
	put_be16(list + 42, cscd_bytes);
	put_be16(list + 44, segment_bytes);
}

/* What the list says: EXTENDED COPY(LID1), action 0, or (LID4), action 1. */
static inline struct scsi_task *begin_listed(uint8_t action)
{
	struct scsi_task *task;
	uint8_t cdb[16];

	xcopy_cdb(cdb, action);
	task = world_task(&world, world.nexus[0], 0, cdb, 16, list_bytes);
	assert_int_equal(scsi_task_begin(task), SCSI_NEEDS_DATA_OUT);
	world_give_data(&world, task, list, list_bytes);
	scsi_task_execute(task);
	return task;
}

static inline void end_copy(struct scsi_task *task)
{
	while (!task->tag)
		world_turn(&world);
	sgl_release(world.reactor.pool, &task->data, SGL_SCSI);
	scsi_task_end(task);
}

static inline void pr_out(unsigned nexus, uint64_t lun, uint8_t action, uint8_t type, uint64_t key, uint64_t service_key)
{
	uint8_t cdb[16] = { 0x5f, action, type, 0, 0, 0, 0, 0, 24 }, bytes[24] = { 0 };

	put_be64(bytes, key);
	put_be64(bytes + 8, service_key);
	world_run(&world, world.nexus[nexus], lun, cdb, 16, bytes, 24, &outcome);
	expect_good();
}

static inline void send_to(uint64_t lun, const uint8_t *cdb, const void *out, uint32_t out_len)
{
	world_run(&world, world.nexus[0], lun, cdb, 16, out, out_len, &outcome);
}

/* Every block of a LUN tells where it was written and when. */
static inline void stamp(uint64_t lun, uint64_t lba, uint32_t blocks, uint32_t when)
{
	uint8_t *bytes = calloc(blocks, BLOCK), cdb[16];

	for (uint32_t i = 0; i < blocks; i++) {
		put_be64(bytes + (size_t)i * BLOCK, lba + i + 1);
		put_be32(bytes + (size_t)i * BLOCK + 8, when);
	}
	block_cdb(cdb, 0x8a, 0, lba, blocks);
	send_to(lun, cdb, bytes, blocks * BLOCK);
	expect_good();
	free(bytes);
}

/* The blocks hold what was stamped at stamped_lba. */
static inline void expect_stamps(uint64_t lun, uint64_t lba, uint32_t blocks, uint64_t stamped_lba, uint32_t when)
{
	uint8_t cdb[16];

	block_cdb(cdb, 0x88, 0, lba, blocks);
	send_to(lun, cdb, NULL, 0);
	expect_good();
	for (uint32_t i = 0; i < blocks; i++)
		if (get_be64(outcome.data + (size_t)i * BLOCK) != stamped_lba + i + 1 ||
		    get_be32(outcome.data + (size_t)i * BLOCK + 8) != when)
			fail_msg("block %llu holds stamp %llu, %u", (unsigned long long)lba + i,
				 (unsigned long long)get_be64(outcome.data + (size_t)i * BLOCK),
				 get_be32(outcome.data + (size_t)i * BLOCK + 8));
}

static inline void expect_zeroes(uint64_t lun, uint64_t lba, uint32_t blocks)
{
	uint8_t cdb[16];

	block_cdb(cdb, 0x88, 0, lba, blocks);
	send_to(lun, cdb, NULL, 0);
	expect_good();
	for (uint32_t i = 0; i < blocks * BLOCK; i++)
		if (outcome.data[i])
			fail_msg("block %llu is not zero", (unsigned long long)(lba + i / BLOCK));
}

#endif
