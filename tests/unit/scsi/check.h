/* Short forms for the SCSI tests: a command in, an outcome that is checked. */
#ifndef LUNETTE_TESTS_SCSI_CHECK_H
#define LUNETTE_TESTS_SCSI_CHECK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/unit/scsi/world.h"

#define BYTES(...) (const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ })

/* One outcome for all: it is large. */
static struct outcome outcome;
static struct world world;

static inline void send_from(unsigned nexus, const uint8_t *cdb, size_t cdb_len, const void *out, size_t out_len)
{
	world_run(&world, world.nexus[nexus], 0, cdb, (unsigned)cdb_len, out, (uint32_t)out_len, &outcome);
}

static inline void send(const uint8_t *cdb, size_t cdb_len)
{
	send_from(0, cdb, cdb_len, NULL, 0);
}

static inline void expect_good(void)
{
	if (outcome.status != SCSI_GOOD)
		fail_msg("status %02x, sense %x/%04x", outcome.status, outcome.key, outcome.asc);
}

static inline void expect_sense(uint8_t key, uint16_t asc)
{
	if (outcome.status != SCSI_CHECK_CONDITION || outcome.key != key || outcome.asc != asc)
		fail_msg("status %02x, sense %x/%04x instead of %x/%04x", outcome.status, outcome.key, outcome.asc, key, asc);
}

static inline void expect_conflict(void)
{
	assert_int_equal(outcome.status, SCSI_RESERVATION_CONFLICT);
}

/* READ(16), WRITE(16) and their relatives. */
static inline void block_cdb(uint8_t *cdb, uint8_t opcode, uint8_t flags, uint64_t lba, uint32_t blocks)
{
	memset(cdb, 0, 16);
	cdb[0] = opcode;
	cdb[1] = flags;
	put_be64(cdb + 2, lba);
	put_be32(cdb + 10, blocks);
}

static inline void send_block(unsigned nexus, uint8_t opcode, uint8_t flags, uint64_t lba, uint32_t blocks, const void *out,
			      size_t out_len)
{
	uint8_t cdb[16];

	block_cdb(cdb, opcode, flags, lba, blocks);
	send_from(nexus, cdb, sizeof cdb, out, out_len);
}

/* Writes blocks full of `fill`. */
static inline void fill_blocks(uint64_t lba, uint32_t blocks, uint8_t fill)
{
	size_t len = (size_t)blocks * world.lu->block_bytes;
	uint8_t *bytes = malloc(len);

	memset(bytes, fill, len);
	send_block(0, 0x8a, 0, lba, blocks, bytes, len);
	expect_good();
	free(bytes);
}

static inline void expect_blocks(uint64_t lba, uint32_t blocks, uint8_t fill)
{
	send_block(0, 0x88, 0, lba, blocks, NULL, 0);
	expect_good();
	assert_int_equal(outcome.data_in_bytes, blocks * world.lu->block_bytes);
	for (uint32_t i = 0; i < outcome.data_in_bytes; i++)
		if (outcome.data[i] != fill)
			fail_msg("byte %u is %02x instead of %02x", i, outcome.data[i], fill);
}

static inline int set_up(void **state)
{
	(void)state;
	world_init(&world, &(struct world_options){ 0 });
	return 0;
}

/* A target on which every command exists. */
static inline int set_up_whole(void **state)
{
	(void)state;
	world_init(&world, &(struct world_options){ .explicit_alua = true });
	return 0;
}

static inline int tear_down(void **state)
{
	(void)state;
	world_fini(&world);
	return 0;
}

#define SCSI_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define WHOLE_TEST(name) cmocka_unit_test_setup_teardown(name, set_up_whole, tear_down)

#endif
