/* WRITE ATOMIC: all or nothing, whatever fails at whichever step. */
#include "tests/unit/scsi/documents.h"

#define CAPACITY     (WORLD_BYTES / 512)
#define OBJECT_BYTES (1u << 20)
#define BORDER       (OBJECT_BYTES / 512) /* the first block of the second object */
#define BLOCKS       64
#define OLD          0x11
#define NEW          0x22

static int begin(void **state)
{
	(void)state;
	return begin_with((struct world_options){ .object_bytes = OBJECT_BYTES });
}

static void write_atomic(uint64_t lba, uint16_t blocks, uint8_t fill, uint16_t boundary)
{
	static uint8_t bytes[512 * 512];
	uint8_t cdb[16] = { 0x9c };

	put_be64(cdb + 2, lba);
	put_be16(cdb + 10, boundary);
	put_be16(cdb + 12, blocks);
	memset(bytes, fill, sizeof bytes);
	send_from(0, cdb, sizeof cdb, bytes, (size_t)blocks * 512);
}

static json_t *document(void)
{
	return document_of("atomic");
}

static void what_was_written_is_read_back(void **state)
{
	(void)state;
	fill_blocks(BORDER - BLOCKS, 3 * BLOCKS, OLD);
	write_atomic(BORDER - 32, BLOCKS, NEW, 0);
	expect_good();
	expect_blocks(BORDER - BLOCKS, 32, OLD);
	expect_blocks(BORDER - 32, BLOCKS, NEW);
	expect_blocks(BORDER + 32, 32, OLD);
	assert_null(document());
	write_atomic(5, 1, NEW, 0); /* within a sector */
	expect_good();
	expect_blocks(5, 1, NEW);
	write_atomic(CAPACITY - 256, 256, NEW, 0);
	expect_good();
	expect_blocks(CAPACITY - 256, 256, NEW);
	restart();
	expect_blocks(BORDER - 32, BLOCKS, NEW);
}

static void its_limits_are_those_of_the_block_limits_page(void **state)
{
	uint8_t half[16 * 512] = { 0 };

	(void)state;
	send(BYTES(0x12, 1, 0xb0, 0, 64, 0));
	expect_good();
	assert_int_equal(get_be32(outcome.data + 44), 256); /* MAXIMUM ATOMIC TRANSFER LENGTH */
	for (unsigned at = 48; at < 64; at++)
		assert_int_equal(outcome.data[at], 0);
	write_atomic(0, 257, NEW, 0);
	expect_sense(KEY_ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_CDB);
	write_atomic(0, 8, NEW, 8);
	expect_sense(KEY_ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_CDB);
	write_atomic(CAPACITY - 1, 2, NEW, 0);
	expect_sense(KEY_ILLEGAL_REQUEST, ASC_LBA_OUT_OF_RANGE);
	write_atomic(CAPACITY + 1, 0, NEW, 0);
	expect_sense(KEY_ILLEGAL_REQUEST, ASC_LBA_OUT_OF_RANGE);
	write_atomic(CAPACITY, 0, NEW, 0);
	expect_good();
	send_from(0, BYTES(0x9c, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0), half, sizeof half); /* half of the data */
	expect_sense(KEY_ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_CDB);
	expect_blocks(0, 32, 0);
}

/* Every block the same: which value; a mixture fails. */
static uint8_t value_of_all(uint64_t lba, uint32_t blocks)
{
	send_block(0, 0x88, 0, lba, blocks, NULL, 0);
	expect_good();
	for (uint32_t i = 1; i < outcome.data_in_bytes; i++)
		if (outcome.data[i] != outcome.data[0])
			fail_msg("torn: byte %u is %02x, the first %02x", i, outcome.data[i], outcome.data[0]);
	return outcome.data[0];
}

static void an_error_at_any_step_leaves_all_or_nothing(void **state)
{
	static const char *const ops[] = { "write", "read", "flush" };
	unsigned failures = 0, closed = 0;
	char params[256];

	(void)state;
	for (unsigned op = 0; op < 3; op++)
		for (unsigned nth = 1; nth < (op == 0 ? 8 : 3); nth++)
			for (unsigned count = 1; count < 4; count++) {
				bool good;

				snprintf(params, sizeof params, "{\"inner\":{\"kind\":\"memory\"},\"rules\":[{\"op\":\"%s\","
					 "\"nth\":%u,\"count\":%u,\"error\":\"EIO\"}]}", ops[op], nth + 2 * (op == 0), count);
				with_store("fault", params);
				fill_blocks(BORDER - 32, BLOCKS, OLD); /* two writes */
				write_atomic(BORDER - 32, BLOCKS, NEW, 0);
				good = outcome.status == SCSI_GOOD;
				failures += !good;
				if (atomic_load(&world.lu->protect)) { /* the journal is there */
					json_t *journal = document();

					assert_non_null(journal);
					json_decref(journal);
					closed++;
					write_atomic(0, 1, NEW, 0);
					expect_sense(KEY_DATA_PROTECT, ASC_WRITE_PROTECTED);
				}
				restart_within(10); /* what fails keeps the LU closed */
				for (unsigned i = 0; i < nth + count; i++)
					send_block(0, 0x88, 0, 0, 1, NULL, 0); /* reads that still fail */
				assert_int_equal(value_of_all(BORDER - 32, BLOCKS), good ? NEW : OLD);
				assert_null(document());
				assert_int_equal(atomic_load(&world.lu->protect), 0);
			}
	assert_true(failures > 10);
	assert_true(closed > 0);
}

static void an_interrupted_write_is_undone_when_the_lun_is_opened(void **state)
{
	char hex[2 * BLOCKS * 512 + 1], name[64];
	json_t *content;

	(void)state;
	fill_blocks(BORDER - 32, BLOCKS, OLD);
	for (unsigned i = 0; i < sizeof hex - 1; i++)
		hex[i] = '1';
	hex[sizeof hex - 1] = '\0';
	document_name("atomic", name);
	content = json_pack("{s:i, s:s}", "lba", BORDER - 32, "data", hex);
	assert_int_equal(docstore_publish(options.documents, name, content, 0, NULL, NULL), 0);
	json_decref(content);
	fill_blocks(BORDER - 32, 20, NEW); /* as far as it came */
	fill_blocks(BORDER + 8, 3, NEW);
	restart();
	assert_int_equal(value_of_all(BORDER - 32, BLOCKS), OLD);
	assert_null(document());
}

static void a_journal_that_is_not_valid_keeps_the_lun_closed(void **state)
{
	static const char *const bad[] = { "{}", "{\"lba\":0,\"data\":\"11\"}", "{\"lba\":-1,\"data\":\"\"}" };
	struct err err = { 0 };
	char name[64];

	(void)state;
	document_name("atomic", name);
	for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		json_t *content = json_loads(bad[i], 0, NULL);

		assert_int_equal(docstore_publish(options.documents, name, content, i, NULL, NULL), 0);
		json_decref(content);
		assert_null(scsi_lu_new(world.lun, &world.services, &err));
	}
}

static void reads_lock_only_where_there_are_atomic_writes(void **state)
{
	(void)state;
	fill_blocks(0, 8, OLD);
	assert_false(atomic_load(&world.lu->reads_lock));
	write_atomic(0, 16, NEW, 0);
	expect_good();
	assert_true(atomic_load(&world.lu->reads_lock));
	expect_blocks(0, 16, NEW);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		DOCUMENTS_TEST(what_was_written_is_read_back),
		DOCUMENTS_TEST(its_limits_are_those_of_the_block_limits_page),
		DOCUMENTS_TEST(an_error_at_any_step_leaves_all_or_nothing),
		DOCUMENTS_TEST(an_interrupted_write_is_undone_when_the_lun_is_opened),
		DOCUMENTS_TEST(a_journal_that_is_not_valid_keeps_the_lun_closed),
		DOCUMENTS_TEST(reads_lock_only_where_there_are_atomic_writes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
