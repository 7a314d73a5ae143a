/* REPORT and SET IDENTIFYING INFORMATION, READ DEFECT DATA. */
#include "tests/unit/scsi/documents.h"

static int begin(void **state)
{
	(void)state;
	return begin_with((struct world_options){ 0 });
}

static void set(unsigned nexus, uint8_t type, const void *bytes, uint16_t len_bytes)
{
	send_from(nexus, (uint8_t[]){ 0xa4, 0x06, 0, 0, 0, 0, 0, 0, (uint8_t)(len_bytes >> 8), (uint8_t)len_bytes,
				      (uint8_t)(type << 1), 0 }, 12, bytes, len_bytes);
}

static void report(unsigned nexus, uint8_t type)
{
	send_from(nexus, (uint8_t[]){ 0xa3, 0x05, 0, 0, 0, 0, 0, 0, 2, 0, (uint8_t)(type << 1), 0 }, 12, NULL, 0);
}

static void what_was_set_is_reported_on_every_path_and_after_a_restart(void **state)
{
	(void)state;
	report(0, 0);
	expect_good();
	assert_int_equal(outcome.data_in_bytes, 4);
	report(1, 0);
	set(0, 0, "\1\2\0\4", 4);
	expect_good();
	set(0, 2, "shelf 7", 8);
	expect_good();
	report(1, 0);
	expect_sense(KEY_UNIT_ATTENTION, 0x3f05); /* DEVICE IDENTIFIER CHANGED */
	report(1, 0);
	expect_good();
	assert_int_equal(get_be32(outcome.data), 4);
	assert_memory_equal(outcome.data + 4, "\1\2\0\4", 4);
	restart();
	report(2, 2);
	expect_good();
	assert_int_equal(get_be32(outcome.data), 8);
	assert_memory_equal(outcome.data + 4, "shelf 7", 8);
	set(0, 2, NULL, 0);
	expect_good();
	report(0, 2);
	assert_int_equal(outcome.data_in_bytes, 4);
}

static void types_and_lengths_have_their_limits(void **state)
{
	uint8_t bytes[512] = { 0 };

	(void)state;
	report(0, 0x7f);
	expect_good();
	assert_int_equal(outcome.data_in_bytes, 12);
	assert_int_equal(get_be16(outcome.data + 6), 64);
	assert_int_equal(get_be16(outcome.data + 10), 256);
	set(0, 0, bytes, 64);
	expect_good();
	set(0, 0, bytes, 65);
	expect_sense(KEY_ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_CDB);
	memset(bytes, 'x', 255);
	set(0, 2, bytes, 256);
	expect_good();
	set(0, 2, bytes, 257);
	expect_sense(KEY_ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_CDB);
	set(0, 2, bytes, 5); /* no NUL at its end */
	expect_sense(KEY_ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_LIST);
	set(0, 0x7f, bytes, 4);
	expect_sense(KEY_ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_CDB);
	report(0, 1);
	expect_sense(KEY_ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_CDB);
	send_from(0, BYTES(0xa4, 0x06, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0), "half", 4);
	expect_sense(KEY_ILLEGAL_REQUEST, ASC_PARAMETER_LIST_LENGTH);
}

static void what_cannot_be_published_is_not_set(void **state)
{
	(void)state;
	world_fini(&world);
	world_init(&world, &(struct world_options){ 0 });
	set(0, 0, "abc", 3);
	assert_int_equal(outcome.status, SCSI_CHECK_CONDITION);
	report(0, 0);
	expect_good();
	assert_int_equal(outcome.data_in_bytes, 4);
}

static void there_are_no_defects(void **state)
{
	(void)state;
	for (uint8_t how = 0; how < 0x20; how++) {
		send((uint8_t[]){ 0x37, 0, how, 0, 0, 0, 0, 0, 32, 0 }, 10);
		expect_good();
		assert_int_equal(outcome.data_in_bytes, 4);
		assert_int_equal(get_be32(outcome.data), (uint32_t)how << 16);
		send((uint8_t[]){ 0xb7, how, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0 }, 12);
		expect_good();
		assert_int_equal(outcome.data_in_bytes, 8);
		assert_int_equal(outcome.data[1], how);
		assert_int_equal(get_be32(outcome.data + 4), 0);
	}
	send(BYTES(0x37, 0, 0x20, 0, 0, 0, 0, 0, 32, 0));
	expect_sense(KEY_ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_CDB);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		DOCUMENTS_TEST(what_was_set_is_reported_on_every_path_and_after_a_restart),
		DOCUMENTS_TEST(types_and_lengths_have_their_limits),
		DOCUMENTS_TEST(what_cannot_be_published_is_not_set),
		DOCUMENTS_TEST(there_are_no_defects),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
