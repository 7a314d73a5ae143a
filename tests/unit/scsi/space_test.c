/* Space of the store: the threshold and its unit attention, the log page, the mode page, a full store. */
#include "tests/unit/scsi/check.h"

#define GIB (UINT64_C(1) << 30)

static void test_unit_ready(unsigned nexus)
{
	send_from(nexus, BYTES(0x00, 0, 0, 0, 0, 0), NULL, 0);
}

static void a_threshold_is_told_once_to_everyone(void **state)
{
	(void)state;
	test_unit_ready(0);
	test_unit_ready(1);
	assert_int_equal(scsi_lu_set_space(world.lu, 100 * GIB, 5 * GIB, GIB), SPACE_ENOUGH); /* none is set */
	scsi_lu_set_space_threshold(world.lu, 20);
	assert_int_equal(scsi_lu_set_space(world.lu, 100 * GIB, 20 * GIB, GIB), SPACE_ENOUGH);
	assert_int_equal(scsi_lu_set_space(world.lu, 100 * GIB, 19 * GIB, GIB), SPACE_SHORT_NOW);
	assert_int_equal(scsi_lu_set_space(world.lu, 100 * GIB, 10 * GIB, GIB), SPACE_SHORT);
	for (unsigned nexus = 0; nexus < 2; nexus++) {
		test_unit_ready(nexus);
		expect_sense(KEY_UNIT_ATTENTION, 0x3807);
		test_unit_ready(nexus);
		expect_good();
	}
}

static void it_is_told_again_when_the_space_had_come_back(void **state)
{
	(void)state;
	test_unit_ready(0);
	scsi_lu_set_space_threshold(world.lu, 20);
	assert_int_equal(scsi_lu_set_space(world.lu, 100 * GIB, 19 * GIB, GIB), SPACE_SHORT_NOW);
	assert_int_equal(scsi_lu_set_space(world.lu, 100 * GIB, 21 * GIB, GIB), SPACE_SHORT); /* within the margin */
	assert_int_equal(scsi_lu_set_space(world.lu, 100 * GIB, 19 * GIB, GIB), SPACE_SHORT);
	assert_int_equal(scsi_lu_set_space(world.lu, 100 * GIB, 22 * GIB, GIB), SPACE_ENOUGH);
	assert_int_equal(scsi_lu_set_space(world.lu, 100 * GIB, 19 * GIB, GIB), SPACE_SHORT_NOW);
	scsi_lu_set_space_threshold(world.lu, 30);
	assert_int_equal(scsi_lu_set_space(world.lu, 100 * GIB, 29 * GIB, GIB), SPACE_SHORT_NOW); /* another threshold */
}

static void the_log_page_counts_what_is_available_and_used(void **state)
{
	(void)state;
	send(BYTES(0x4d, 0, 0x4c, 0, 0, 0, 0, 0, 64, 0));
	expect_good();
	assert_int_equal(get_be16(outcome.data + 2), 0); /* nothing is known yet */
	scsi_lu_set_space(world.lu, 100 * GIB, 7 * GIB, 3 * GIB);
	send(BYTES(0x4d, 0, 0x4c, 0, 0, 0, 0, 0, 64, 0));
	expect_good();
	assert_int_equal(outcome.data[0], 0x0c);
	assert_int_equal(get_be16(outcome.data + 2), 24);
	assert_int_equal(get_be16(outcome.data + 4), 0x0001);
	assert_int_equal(outcome.data[7], 8);
	assert_int_equal(get_be32(outcome.data + 8), 7 * 1024);
	assert_int_equal(outcome.data[12], 2); /* not dedicated to the logical unit */
	assert_int_equal(get_be16(outcome.data + 16), 0x0002);
	assert_int_equal(get_be32(outcome.data + 20), 3 * 1024);
	assert_int_equal(outcome.data[24], 1);
	send(BYTES(0x4d, 0, 0x4d, 0, 0, 0, 0, 0, 64, 0));
	expect_sense(KEY_ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_CDB);
	send(BYTES(0x4d, 0, 0x4c, 0xff, 0, 0, 0, 0, 64, 0));
	expect_sense(KEY_ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_CDB);
}

static void the_mode_page_shows_the_threshold(void **state)
{
	uint8_t list[4 + 24] = { 0 };

	(void)state;
	scsi_lu_set_space_threshold(world.lu, 20);
	scsi_lu_set_space(world.lu, 100 * GIB, 50 * GIB, GIB);
	send(BYTES(0x1a, 0x08, 0x1c, 0x02, 255, 0));
	expect_good();
	assert_int_equal(outcome.data_in_bytes, 4 + 24);
	assert_int_equal(outcome.data[4], 0x5c);
	assert_int_equal(outcome.data[5], 0x02);
	assert_int_equal(get_be16(outcome.data + 6), 20);
	assert_int_equal(outcome.data[20], 0x80); /* ENABLED, soft, decreasing */
	assert_int_equal(outcome.data[21], 0x01); /* what is available */
	assert_int_equal(get_be32(outcome.data + 24), 20 * 1024);
	memcpy(list + 4, outcome.data + 4, 24);
	send_from(0, BYTES(0x15, 0x10, 0, 0, 28, 0), list, sizeof list); /* as it is */
	expect_good();
	list[4 + 23]++;
	send_from(0, BYTES(0x15, 0x10, 0, 0, 28, 0), list, sizeof list);
	expect_sense(KEY_ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_LIST);
	send_from(0, BYTES(0x15, 0x10, 0, 0, 20, 0), list, 20);
	expect_sense(KEY_ILLEGAL_REQUEST, ASC_PARAMETER_LIST_LENGTH);
	send(BYTES(0x12, 1, 0xb2, 0, 255, 0));
	assert_int_equal(512u << outcome.data[4], SCSI_THRESHOLD_SET_BYTES);
}

static void a_thick_lun_has_none_of_it(void **state)
{
	(void)state;
	world_fini(&world);
	world_init(&world, &(struct world_options){ .thick = true });
	scsi_lu_set_space_threshold(world.lu, 20);
	assert_int_equal(scsi_lu_set_space(world.lu, 100 * GIB, GIB, GIB), SPACE_ENOUGH);
	send(BYTES(0x4d, 0, 0x4c, 0, 0, 0, 0, 0, 64, 0));
	expect_sense(KEY_ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_CDB);
	send(BYTES(0x1a, 0x08, 0x1c, 0x02, 255, 0));
	expect_sense(KEY_ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_CDB);
	send(BYTES(0x12, 1, 0xb2, 0, 255, 0));
	assert_int_equal(outcome.data[4], 0);
}

/* A write that finds no space loses nothing, and reads go on. */
static void a_full_store_fails_writes_and_keeps_what_there_is(void **state)
{
	uint8_t block[512] = { 0x77 };

	(void)state;
	world_fini(&world);
	world_init(&world, &(struct world_options){
		.store_kind = "fault", .store_params = "{\"inner\":{\"kind\":\"memory\"},\"rules\":[{\"op\":\"write\",\"nth\":2,"
						       "\"count\":2,\"error\":\"ENOSPC\"}]}" });
	fill_blocks(0, 8, 0x11);
	for (unsigned i = 0; i < 2; i++) {
		send_block(0, 0x8a, 0, 0, 1, block, 512);
		expect_sense(KEY_DATA_PROTECT, ASC_SPACE_ALLOCATION_FAILED);
		expect_blocks(0, 8, 0x11);
	}
	fill_blocks(0, 1, 0x77);
	expect_blocks(0, 1, 0x77);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCSI_TEST(a_threshold_is_told_once_to_everyone),
		SCSI_TEST(it_is_told_again_when_the_space_had_come_back),
		SCSI_TEST(the_log_page_counts_what_is_available_and_used),
		SCSI_TEST(the_mode_page_shows_the_threshold),
		SCSI_TEST(a_thick_lun_has_none_of_it),
		SCSI_TEST(a_full_store_fails_writes_and_keeps_what_there_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
