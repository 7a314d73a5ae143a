/* Block commands against the memory store. */
#include "tests/unit/scsi/check.h"

#define CAPACITY (WORLD_BYTES / 512)

static void what_was_written_is_read_back_by_every_cdb_length(void **state)
{
	static const struct {
		uint8_t read[16], write[16];
		unsigned len;
	} forms[] = {
		{ { 0x08, 0, 0, 7, 2 }, { 0x0a, 0, 0, 7, 2 }, 6 },
		{ { 0x28, 0, 0, 0, 0, 7, 0, 0, 2 }, { 0x2a, 0x18, 0, 0, 0, 7, 0x1f, 0, 2 }, 10 },
		{ { 0xa8, 0, 0, 0, 0, 7, 0, 0, 0, 2 }, { 0xaa, 0, 0, 0, 0, 7, 0, 0, 0, 2 }, 12 },
		{ { 0x88, 0x18, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 2 }, { 0x8a, 0, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 2 }, 16 },
	};
	uint8_t bytes[1024];

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		memset(bytes, (int)(0xa0 + i), sizeof bytes);
		send_from(0, forms[i].write, forms[i].len, bytes, sizeof bytes);
		expect_good();
		assert_int_equal(outcome.begin, SCSI_NEEDS_DATA_OUT);
		assert_int_equal(outcome.data_bytes, 1024);
		send(forms[i].read, forms[i].len);
		expect_good();
		assert_int_equal(outcome.data_in_bytes, 1024);
		assert_memory_equal(outcome.data, bytes, 1024);
	}
}

static void a_zero_count_in_a_six_byte_cdb_is_256_blocks(void **state)
{
	(void)state;
	send(BYTES(0x08, 0, 0, 0, 0, 0));
	expect_good();
	assert_int_equal(outcome.data_in_bytes, 256 * 512);
}

static void ranges_beyond_the_end_are_out_of_range(void **state)
{
	static const struct {
		uint64_t lba;
		uint32_t blocks;
	} bad[] = { { CAPACITY, 1 }, { CAPACITY - 1, 2 }, { CAPACITY + 1, 0 }, { UINT64_MAX, 0 }, { UINT64_MAX, 2 },
		    { UINT64_MAX, UINT32_MAX }, { 0, UINT32_MAX } };
	static const uint8_t opcodes[] = { 0x88, 0x8a, 0x8b, 0x8e, 0x8f, 0x90, 0x91, 0x93 };

	(void)state;
	for (unsigned o = 0; o < sizeof opcodes; o++)
		for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
			send_block(0, opcodes[o], 0, bad[i].lba, bad[i].blocks, NULL, 0);
			expect_sense(KEY_ILLEGAL_REQUEST, ASC_LBA_OUT_OF_RANGE);
		}
}

static void transfers_of_no_blocks_are_good_up_to_the_capacity(void **state)
{
	static const uint8_t opcodes[] = { 0x88, 0x8a, 0x8b, 0x8e, 0x8f, 0x90, 0x91 };

	(void)state;
	for (unsigned o = 0; o < sizeof opcodes; o++) {
		send_block(0, opcodes[o], 0, CAPACITY, 0, NULL, 0);
		expect_good();
		assert_int_equal(outcome.data_bytes, 0);
	}
}

static void transfers_longer_than_the_limit_are_refused(void **state)
{
	(void)state;
	assert_true(CAPACITY >= SCSI_DATA_MAX / 512);
	send_block(0, 0x88, 0, 0, SCSI_DATA_MAX / 512 + 1, NULL, 0);
	if (CAPACITY > SCSI_DATA_MAX / 512)
		expect_sense(KEY_ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_CDB);
	send_block(0, 0x88, 0, 0, SCSI_DATA_MAX / 512, NULL, 0);
	expect_good();
}

static void a_write_with_less_data_writes_the_whole_blocks_that_came(void **state)
{
	uint8_t bytes[1000];

	(void)state;
	fill_blocks(10, 3, 0x11);
	memset(bytes, 0x22, sizeof bytes);
	send_block(0, 0x8a, 0, 10, 3, bytes, sizeof bytes);
	expect_good();
	expect_blocks(10, 1, 0x22);
	expect_blocks(11, 2, 0x11);
	send_block(0, 0x8a, 0, 10, 3, bytes, 0);
	expect_good();
	expect_blocks(10, 1, 0x22);
}

static void protection_bits_are_refused_with_a_field_pointer(void **state)
{
	(void)state;
	for (unsigned protect = 1; protect < 8; protect++) {
		send_block(0, 0x88, (uint8_t)(protect << 5), 0, 1, NULL, 0);
		expect_sense(KEY_ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_CDB);
		assert_int_equal(outcome.sense[15], 0xc0);
		assert_int_equal(get_be16(outcome.sense + 16), 1);
	}
}

static void verify_compares_only_when_asked(void **state)
{
	uint8_t bytes[1024];

	(void)state;
	fill_blocks(0, 2, 0x33);
	memset(bytes, 0x33, sizeof bytes);
	send_block(0, 0x8f, 0x02, 0, 2, bytes, sizeof bytes);
	expect_good();
	bytes[1000] = 0;
	send_block(0, 0x8f, 0x02, 0, 2, bytes, sizeof bytes);
	expect_sense(KEY_MISCOMPARE, ASC_MISCOMPARE);
	assert_true(outcome.has_information);
	assert_int_equal(outcome.information, 1000);
	send_block(0, 0x8f, 0x00, 0, 2, bytes, sizeof bytes);
	expect_good();
	assert_int_equal(outcome.data_bytes, 0);
	send_block(0, 0x8f, 0x06, 0, 2, bytes, 512); /* one block for all */
	expect_good();
	fill_blocks(1, 1, 0x34);
	send_block(0, 0x8f, 0x06, 0, 2, bytes, 512);
	expect_sense(KEY_MISCOMPARE, ASC_MISCOMPARE);
	assert_int_equal(outcome.information, 512);
	send_block(0, 0x8f, 0x04, 0, 2, bytes, sizeof bytes);
	expect_sense(KEY_ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_CDB);
}

static void verify_of_many_chunks_finds_the_last_byte(void **state)
{
	uint32_t len = 3 * SCSI_CHUNK_BYTES + 512;
	uint8_t *bytes = malloc(len);

	(void)state;
	memset(bytes, 0x5c, len);
	fill_blocks(5, len / 512, 0x5c);
	send_block(0, 0x8f, 0x02, 5, len / 512, bytes, len);
	expect_good();
	bytes[len - 1] ^= 1;
	send_block(0, 0x8f, 0x02, 5, len / 512, bytes, len);
	expect_sense(KEY_MISCOMPARE, ASC_MISCOMPARE);
	assert_int_equal(outcome.information, len - 1);
	free(bytes);
}

static void write_and_verify_writes(void **state)
{
	uint8_t bytes[2048];

	(void)state;
	memset(bytes, 0x77, sizeof bytes);
	send_block(0, 0x8e, 0x02, 3, 4, bytes, sizeof bytes);
	expect_good();
	expect_blocks(3, 4, 0x77);
	send_from(0, BYTES(0x2e, 0x10, 0, 0, 0, 9, 0, 0, 1), bytes, 512);
	expect_good();
	expect_blocks(9, 1, 0x77);
}

static void compare_cdb(uint8_t *cdb, uint64_t lba, uint8_t blocks)
{
	block_cdb(cdb, 0x89, 0, lba, 0);
	cdb[13] = blocks;
}

static void compare_and_write_writes_only_on_a_match(void **state)
{
	uint8_t cdb[16], bytes[4 * 512];

	(void)state;
	fill_blocks(20, 2, 0x41);
	memset(bytes, 0x41, 1024);
	memset(bytes + 1024, 0x42, 1024);
	compare_cdb(cdb, 20, 2);
	send_from(0, cdb, 16, bytes, sizeof bytes);
	expect_good();
	expect_blocks(20, 2, 0x42);
	send_from(0, cdb, 16, bytes, sizeof bytes);
	expect_sense(KEY_MISCOMPARE, ASC_MISCOMPARE);
	expect_blocks(20, 2, 0x42);
}

static void a_miscompare_says_where(void **state)
{
	static const uint32_t places[] = { 0, 1, 511, 512, 1023 };
	uint8_t cdb[16], bytes[4 * 512];

	(void)state;
	fill_blocks(20, 2, 0x41);
	compare_cdb(cdb, 20, 2);
	for (unsigned i = 0; i < 5; i++) {
		memset(bytes, 0x41, sizeof bytes);
		bytes[places[i]] = 0;
		send_from(0, cdb, 16, bytes, sizeof bytes);
		expect_sense(KEY_MISCOMPARE, ASC_MISCOMPARE);
		assert_true(outcome.has_information);
		assert_int_equal(outcome.information, places[i]);
	}
}

static void compare_and_write_wants_exactly_twice_its_blocks(void **state)
{
	uint8_t cdb[16], bytes[4 * 512] = { 0 };

	(void)state;
	compare_cdb(cdb, 0, 1);
	send_from(0, cdb, 16, bytes, 4 * 512);
	expect_sense(KEY_ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_CDB);
	compare_cdb(cdb, 0, 3);
	send_from(0, cdb, 16, bytes, 4 * 512);
	expect_sense(KEY_ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_CDB);
	compare_cdb(cdb, 0, 0);
	send_from(0, cdb, 16, NULL, 0);
	expect_good();
	send_from(0, cdb, 16, bytes, 4 * 512); /* 256 blocks do not fit into the field */
	expect_sense(KEY_ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_CDB);
	compare_cdb(cdb, CAPACITY - 1, 2);
	send_from(0, cdb, 16, bytes, 4 * 512);
	expect_sense(KEY_ILLEGAL_REQUEST, ASC_LBA_OUT_OF_RANGE);
}

static void orwrite_merges(void **state)
{
	uint32_t len = SCSI_CHUNK_BYTES + 1024;
	uint8_t *bytes = malloc(len);

	(void)state;
	fill_blocks(8, len / 512, 0xa5);
	memset(bytes, 0x5a, len);
	send_block(0, 0x8b, 0, 8, len / 512, bytes, len);
	expect_good();
	expect_blocks(8, len / 512, 0xff);
	free(bytes);
}

/* --- UNMAP, WRITE SAME, GET LBA STATUS --- */

static void send_unmap(uint16_t descriptor_bytes, const uint64_t (*ranges)[2], unsigned count, unsigned list_bytes)
{
	uint8_t list[8 + 16 * 300] = { 0 }, cdb[10] = { 0x42 };

	put_be16(list, (uint16_t)(descriptor_bytes + 6));
	put_be16(list + 2, descriptor_bytes);
	for (unsigned i = 0; i < count; i++) {
		put_be64(list + 8 + 16 * i, ranges[i][0]);
		put_be32(list + 16 + 16 * i, (uint32_t)ranges[i][1]);
	}
	put_be16(cdb + 7, (uint16_t)list_bytes);
	send_from(0, cdb, sizeof cdb, list, list_bytes);
}

static void unmapped_ranges_read_as_zero(void **state)
{
	static const uint64_t ranges[][2] = { { 8, 8 }, { 24, 0 }, { 32, 16 } };

	(void)state;
	fill_blocks(0, 64, 0x99);
	send_unmap(48, ranges, 3, 8 + 48);
	expect_good();
	expect_blocks(0, 8, 0x99);
	expect_blocks(8, 8, 0);
	expect_blocks(16, 16, 0x99);
	expect_blocks(32, 16, 0);
	expect_blocks(48, 16, 0x99);
}

static void unmap_lists_are_checked_before_anything_happens(void **state)
{
	static const uint64_t good_then_bad[][2] = { { 0, 8 }, { CAPACITY, 1 } };
	static const uint64_t overflow[][2] = { { UINT64_MAX, UINT32_MAX } };
	static const uint64_t end[][2] = { { CAPACITY, 0 } };

	(void)state;
	fill_blocks(0, 8, 0x99);
	for (unsigned len = 1; len < 8; len++) {
		send_unmap(0, NULL, 0, len);
		expect_sense(KEY_ILLEGAL_REQUEST, ASC_PARAMETER_LIST_LENGTH);
	}
	send_unmap(0, NULL, 0, 0);
	expect_good();
	send_unmap(0, NULL, 0, 8);
	expect_good();
	send_unmap(16, end, 1, 8); /* says more than it has */
	expect_sense(KEY_ILLEGAL_REQUEST, ASC_PARAMETER_LIST_LENGTH);
	send_unmap(32, good_then_bad, 2, 8 + 32);
	expect_sense(KEY_ILLEGAL_REQUEST, ASC_LBA_OUT_OF_RANGE);
	send_unmap(16, overflow, 1, 8 + 16);
	expect_sense(KEY_ILLEGAL_REQUEST, ASC_LBA_OUT_OF_RANGE);
	send_unmap(16, end, 1, 8 + 16);
	expect_good();
	send_unmap(257 * 16, NULL, 0, 8 + 257 * 16);
	expect_sense(KEY_ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_LIST);
	send_unmap(23, good_then_bad, 1, 8 + 23); /* the incomplete second descriptor is ignored */
	expect_good();
	expect_blocks(0, 8, 0);
}

static void a_full_list_of_ranges_is_unmapped(void **state)
{
	uint64_t ranges[256][2];

	(void)state;
	fill_blocks(0, 512, 0x99);
	for (unsigned i = 0; i < 256; i++) {
		ranges[i][0] = 2 * i;
		ranges[i][1] = 2;
	}
	send_unmap(256 * 16, (const uint64_t (*)[2])ranges, 256, 8 + 256 * 16);
	expect_good();
	expect_blocks(0, 512, 0);
}

static void write_same_repeats_its_block(void **state)
{
	uint8_t block[1024];

	(void)state;
	memset(block, 0x6b, sizeof block);
	send_block(0, 0x93, 0, 40, 100, block, 512);
	expect_good();
	expect_blocks(40, 100, 0x6b);
	send_from(0, BYTES(0x41, 0, 0, 0, 0, 30, 0, 0, 10), block, 512);
	expect_good();
	expect_blocks(30, 110, 0x6b);
	send_block(0, 0x93, 0, 40, 1, block, 1024);
	expect_sense(KEY_ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_CDB);
	send_block(0, 0x93, 0, 40, 1, block, 256);
	expect_sense(KEY_ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_CDB);
	send_block(0, 0x93, 0, 40, 1, block, 0);
	expect_sense(KEY_ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_CDB);
}

static void write_same_without_data_or_with_unmap_zeroes(void **state)
{
	uint8_t block[512] = { 0 };

	(void)state;
	fill_blocks(0, 64, 0x13);
	send_block(0, 0x93, 0x01, 8, 8, NULL, 0); /* NDOB */
	expect_good();
	assert_int_equal(outcome.data_bytes, 0);
	send_block(0, 0x93, 0x09, 16, 8, NULL, 0);
	expect_good();
	send_block(0, 0x93, 0x08, 24, 7, block, 512);
	expect_good();
	expect_blocks(0, 8, 0x13);
	expect_blocks(8, 23, 0);
	expect_blocks(31, 33, 0x13);
	send_block(0, 0x93, 0x10, 0, 1, block, 512); /* ANCHOR */
	expect_sense(KEY_ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_CDB);
}

static void write_same_of_no_blocks_goes_to_the_end(void **state)
{
	uint8_t block[512];

	(void)state;
	memset(block, 0x66, sizeof block);
	fill_blocks(CAPACITY - 8, 8, 0x13);
	send_block(0, 0x93, 0, CAPACITY - 5, 0, block, 512);
	expect_good();
	expect_blocks(CAPACITY - 8, 3, 0x13);
	expect_blocks(CAPACITY - 5, 5, 0x66);
	send_from(0, BYTES(0x41, 0, 0, 0, (CAPACITY - 2) >> 8, (CAPACITY - 2) & 0xff, 0, 0, 0, 0), (uint8_t[512]){ 0 }, 512);
	expect_good();
	expect_blocks(CAPACITY - 2, 2, 0);
	send_block(0, 0x93, 0, CAPACITY, 0, block, 512);
	expect_good();
	send_block(0, 0x93, 0, CAPACITY + 1, 0, block, 512);
	expect_sense(KEY_ILLEGAL_REQUEST, ASC_LBA_OUT_OF_RANGE);
	send(BYTES(0x12, 1, 0xb0, 0, 255, 0));
	assert_int_equal(outcome.data[4], 0); /* WSNZ */
	assert_int_equal(get_be64(outcome.data + 36), SCSI_WRITE_SAME_MAX);
}

/* All to the end is more than MAXIMUM WRITE SAME LENGTH on a large LUN. */
static void write_same_of_too_many_blocks_is_refused(void **state)
{
	uint8_t block[512] = { 0 };

	(void)state;
	world_fini(&world);
	world_init(&world, &(struct world_options){ .size_bytes = UINT64_C(64) << 20 });
	fill_blocks(0, 1, 0x13);
	send_block(0, 0x93, 0, 0, 0, block, 512);
	expect_sense(KEY_ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_CDB);
	send_block(0, 0x93, 0, 0, SCSI_WRITE_SAME_MAX + 1, block, 512);
	expect_sense(KEY_ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_CDB);
	expect_blocks(0, 1, 0x13);
	send_block(0, 0x93, 0, 0, SCSI_WRITE_SAME_MAX, block, 512);
	expect_good();
}

static void get_lba_status_tells_mapped_from_deallocated(void **state)
{
	uint8_t cdb[16] = { 0x9e, 0x12 };

	(void)state;
	fill_blocks(256, 256, 0x42);
	put_be64(cdb + 2, 256);
	put_be32(cdb + 10, 24);
	send(cdb, 16);
	expect_good();
	assert_int_equal(outcome.data_in_bytes, 24);
	assert_int_equal(get_be32(outcome.data), 20);
	assert_int_equal(get_be64(outcome.data + 8), 256);
	assert_true(get_be32(outcome.data + 16) >= 256);
	assert_int_equal(outcome.data[20], 0);
	put_be64(cdb + 2, CAPACITY - 1);
	send(cdb, 16);
	expect_good();
	assert_int_equal(outcome.data[20], 1);
	assert_int_equal(get_be32(outcome.data + 16), 1);
	put_be64(cdb + 2, CAPACITY);
	send(cdb, 16);
	expect_sense(KEY_ILLEGAL_REQUEST, ASC_LBA_OUT_OF_RANGE);
}

static void get_lba_status_reports_what_is_asked_for(void **state)
{
	uint8_t cdb[16] = { 0x9e, 0x12 };

	(void)state;
	fill_blocks(1024, 256, 0x42);
	put_be32(cdb + 10, 8 + 16 * 8);
	for (uint8_t type = 0; type < 5; type++) {
		cdb[14] = type;
		send(cdb, 16);
		expect_good();
		assert_int_equal(outcome.data[7], type ? 1 : 0); /* RTP */
		for (uint32_t at = 8; at < outcome.data_in_bytes; at += 16)
			assert_true(type == 0 || (type == 2 ? outcome.data[at + 12] == 0 : outcome.data[at + 12] == 1));
	}
	assert_int_equal(get_be32(outcome.data), 4); /* nothing is anchored */
	cdb[14] = 2;
	send(cdb, 16);
	assert_int_equal(get_be32(outcome.data), 4 + 16);
	assert_int_equal(get_be64(outcome.data + 8), 1024);
	cdb[14] = 5;
	send(cdb, 16);
	expect_sense(KEY_ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_CDB);
}

static void a_thick_lun_is_mapped_from_end_to_end(void **state)
{
	uint8_t cdb[16] = { 0x9e, 0x12 };

	(void)state;
	world_fini(&world);
	world_init(&world, &(struct world_options){ .thick = true });
	put_be64(cdb + 2, 5);
	put_be32(cdb + 10, 64);
	send(cdb, 16);
	expect_good();
	assert_int_equal(get_be32(outcome.data), 4 + 16);
	assert_int_equal(get_be64(outcome.data + 8), 5);
	assert_int_equal(get_be32(outcome.data + 16), CAPACITY - 5);
	assert_int_equal(outcome.data[20], 0);
}

static void a_thick_lun_has_no_unmap_and_says_so(void **state)
{
	uint8_t block[512] = { 0 };

	(void)state;
	world_fini(&world);
	world_init(&world, &(struct world_options){ .thick = true });
	send_unmap(0, NULL, 0, 8);
	expect_sense(KEY_ILLEGAL_REQUEST, ASC_INVALID_OPCODE);
	send_block(0, 0x93, 0x08, 0, 1, block, 512);
	expect_sense(KEY_ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_CDB);
	send(BYTES(0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0));
	expect_good();
	assert_int_equal(outcome.data[14], 0);
	send(BYTES(0x12, 1, 0xb2, 0, 255, 0));
	expect_good();
	assert_int_equal(outcome.data[5], 0);
	send(BYTES(0xa3, 0x0c, 1, 0x42, 0, 0, 0, 0, 1, 0, 0, 0));
	expect_good();
	assert_int_equal(outcome.data[1], 1); /* not supported */
}

static void flush_and_pre_fetch_are_good(void **state)
{
	(void)state;
	send_block(0, 0x91, 0x02, 0, 0, NULL, 0);
	expect_good();
	send(BYTES(0x35, 0, 0, 0, 0, 0, 0, 0, 0, 0));
	expect_good();
	send(BYTES(0x34, 0x02, 0, 0, 0, 0, 0x03, 0, 1, 0));
	expect_good();
}

static void capacity_is_told_in_both_lengths(void **state)
{
	(void)state;
	send(BYTES(0x25));
	expect_good();
	assert_int_equal(outcome.data_in_bytes, 8);
	assert_int_equal(get_be32(outcome.data), CAPACITY - 1);
	assert_int_equal(get_be32(outcome.data + 4), 512);
	for (uint8_t len = 0; len <= 32; len++) {
		send(BYTES(0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, len, 0, 0));
		expect_good();
		assert_int_equal(outcome.data_in_bytes, len);
	}
	assert_int_equal(get_be64(outcome.data), CAPACITY - 1);
	assert_int_equal(outcome.data[13], 3); /* 4096 byte physical blocks */
	assert_int_equal(outcome.data[14], 0xc0);
}

static void four_kilobyte_blocks_work_alike(void **state)
{
	uint8_t cdb[16], *bytes = malloc(2 * 8192);

	(void)state;
	world_fini(&world);
	world_init(&world, &(struct world_options){ .block_bytes = 4096 });
	fill_blocks(1, 2, 0x41);
	memset(bytes, 0x41, 8192);
	memset(bytes + 8192, 0x42, 8192);
	compare_cdb(cdb, 1, 2);
	send_from(0, cdb, 16, bytes, 2 * 8192);
	expect_good();
	expect_blocks(1, 2, 0x42);
	send(BYTES(0x25));
	assert_int_equal(get_be32(outcome.data), WORLD_BYTES / 4096 - 1);
	assert_int_equal(get_be32(outcome.data + 4), 4096);
	free(bytes);
}

static void errors_of_the_store_become_sense(void **state)
{
	(void)state;
	world_fini(&world);
	world_init(&world, &(struct world_options){
				   .store_kind = "fault",
				   .store_params = "{\"inner\": {\"kind\": \"memory\"}, \"rules\": [{\"op\": \"read\", \"count\": 0, \"error\": \"EIO\"}]}" });
	send_block(0, 0x88, 0, 0, 1, NULL, 0);
	expect_sense(KEY_MEDIUM_ERROR, ASC_UNRECOVERED_READ_ERROR);
	assert_int_equal(outcome.data_in_bytes, 0);
	send_block(0, 0x8f, 0, 0, 1, NULL, 0);
	expect_sense(KEY_MEDIUM_ERROR, ASC_UNRECOVERED_READ_ERROR);
}

/* --- atomicity --- */

static void never_granted(struct lun_lock *lock)
{
	(void)lock;
	fail();
}

/* Executes cdb while another has locked LBA 1 (exclusively or not): it must wait until that lock is released. */
static void waits_for_the_lock(const uint8_t *cdb, const void *bytes, uint32_t len, bool exclusive, bool waits)
{
	struct lun_lock lock = { .lun = world.lun, .lba = 1, .blocks = 1, .exclusive = exclusive,
				 .granted = never_granted, .reply_to = &world.mailbox };
	struct scsi_task *task = world_task(&world, world.nexus[0], 0, cdb, 16, len);

	assert_true(lun_lock_take(&lock));
	assert_int_equal(scsi_task_begin(task), SCSI_NEEDS_DATA_OUT);
	world_give_data(&world, task, bytes, len);
	scsi_task_execute(task);
	for (unsigned turn = 0; waits && turn < 3; turn++) {
		scsi_reactor_flush(&world.reactor);
		store_ctx_reap(world.reactor.store);
		mailbox_run(&world.mailbox);
		assert_int_equal(task->tag, 0);
	}
	while (!waits && !task->tag)
		world_turn(&world);
	lun_lock_release(&lock);
	while (!task->tag)
		world_turn(&world);
	assert_int_equal(task->status, SCSI_GOOD);
	sgl_release(world.reactor.pool, &task->data, SGL_SCSI);
	scsi_task_end(task);
	free(task);
}

static void compare_and_write_and_orwrite_exclude_writes(void **state)
{
	uint8_t cdb[16], bytes[4 * 512] = { 0 };

	(void)state;
	compare_cdb(cdb, 0, 2);
	waits_for_the_lock(cdb, bytes, 4 * 512, false, true);
	block_cdb(cdb, 0x8b, 0, 0, 2);
	waits_for_the_lock(cdb, bytes, 2 * 512, false, true);
	block_cdb(cdb, 0x8a, 0, 0, 2);
	waits_for_the_lock(cdb, bytes, 2 * 512, true, true);
	waits_for_the_lock(cdb, bytes, 2 * 512, false, false);
	block_cdb(cdb, 0x8e, 0, 0, 2);
	waits_for_the_lock(cdb, bytes, 2 * 512, true, true);
	block_cdb(cdb, 0x93, 0, 0, 2);
	waits_for_the_lock(cdb, bytes, 512, true, true);
}

/* --- abort --- */

static void an_aborted_compare_and_write_does_not_write(void **state)
{
	uint8_t cdb[16], bytes[1024];
	struct scsi_task *task;

	(void)state;
	fill_blocks(0, 1, 0x41);
	memset(bytes, 0x41, sizeof bytes);
	compare_cdb(cdb, 0, 1);
	task = world_task(&world, world.nexus[0], 0, cdb, 16, 1024);
	assert_int_equal(scsi_task_begin(task), SCSI_NEEDS_DATA_OUT);
	memset(bytes + 512, 0x42, 512);
	task->aborted = true;
	world_execute(&world, task, bytes, 1024, &outcome);
	scsi_task_end(task);
	free(task);
	expect_blocks(0, 1, 0x41);
}

static void a_read_goes_from_the_store_to_the_list_without_a_copy(void **state)
{
	uint8_t cdb[16];
	struct scsi_task *task;
	void *base;

	(void)state;
	block_cdb(cdb, 0x88, 0, 0, 8);
	task = world_task(&world, world.nexus[0], 0, cdb, 16, 0);
	assert_int_equal(scsi_task_begin(task), SCSI_READY);
	assert_true(sgl_alloc(world.reactor.pool, &task->data, task->data_bytes, SGL_SCSI));
	base = task->data.element[0].iov_base;
	scsi_task_execute(task);
	while (!task->tag)
		world_turn(&world);
	assert_ptr_equal(task->io.data, &task->data);
	assert_ptr_equal(task->data.element[0].iov_base, base);
	assert_int_equal(task->data.owner, SGL_SCSI);
	sgl_release(world.reactor.pool, &task->data, SGL_SCSI);
	scsi_task_end(task);
	free(task);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCSI_TEST(what_was_written_is_read_back_by_every_cdb_length),
		SCSI_TEST(a_zero_count_in_a_six_byte_cdb_is_256_blocks),
		SCSI_TEST(ranges_beyond_the_end_are_out_of_range),
		SCSI_TEST(transfers_of_no_blocks_are_good_up_to_the_capacity),
		SCSI_TEST(transfers_longer_than_the_limit_are_refused),
		SCSI_TEST(a_write_with_less_data_writes_the_whole_blocks_that_came),
		SCSI_TEST(protection_bits_are_refused_with_a_field_pointer),
		SCSI_TEST(verify_compares_only_when_asked),
		SCSI_TEST(verify_of_many_chunks_finds_the_last_byte),
		SCSI_TEST(write_and_verify_writes),
		SCSI_TEST(compare_and_write_writes_only_on_a_match),
		SCSI_TEST(a_miscompare_says_where),
		SCSI_TEST(compare_and_write_wants_exactly_twice_its_blocks),
		SCSI_TEST(orwrite_merges),
		SCSI_TEST(unmapped_ranges_read_as_zero),
		SCSI_TEST(unmap_lists_are_checked_before_anything_happens),
		SCSI_TEST(a_full_list_of_ranges_is_unmapped),
		SCSI_TEST(write_same_repeats_its_block),
		SCSI_TEST(write_same_without_data_or_with_unmap_zeroes),
		SCSI_TEST(write_same_of_no_blocks_goes_to_the_end),
		SCSI_TEST(write_same_of_too_many_blocks_is_refused),
		SCSI_TEST(get_lba_status_tells_mapped_from_deallocated),
		SCSI_TEST(get_lba_status_reports_what_is_asked_for),
		SCSI_TEST(a_thick_lun_is_mapped_from_end_to_end),
		SCSI_TEST(a_thick_lun_has_no_unmap_and_says_so),
		SCSI_TEST(flush_and_pre_fetch_are_good),
		SCSI_TEST(capacity_is_told_in_both_lengths),
		SCSI_TEST(four_kilobyte_blocks_work_alike),
		SCSI_TEST(errors_of_the_store_become_sense),
		SCSI_TEST(compare_and_write_and_orwrite_exclude_writes),
		SCSI_TEST(an_aborted_compare_and_write_does_not_write),
		SCSI_TEST(a_read_goes_from_the_store_to_the_list_without_a_copy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
