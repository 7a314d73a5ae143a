/* Sense data in both formats, the translation of errno, unit attentions, LUN addressing. */
#include <errno.h>

#include "tests/unit/scsi/check.h"

static void fixed_format_has_its_fields_in_place(void **state)
{
	struct scsi_sense sense = { .key = KEY_MISCOMPARE, .asc_ascq = ASC_MISCOMPARE, .has_information = true,
				    .information = 0x01020304 };
	uint8_t bytes[SCSI_SENSE_MAX];
	static const uint8_t expected[18] = { 0xf0, 0, 0x0e, 1, 2, 3, 4, 10, 0, 0, 0, 0, 0x1d };

	(void)state;
	assert_int_equal(scsi_sense_encode(&sense, false, bytes), 18);
	assert_memory_equal(bytes, expected, 18);
	sense.information = UINT64_C(1) << 32; /* does not fit: not valid */
	scsi_sense_encode(&sense, false, bytes);
	assert_int_equal(bytes[0], 0x70);
	sense = (struct scsi_sense){ .key = KEY_ILLEGAL_REQUEST, .asc_ascq = ASC_INVALID_FIELD_IN_CDB, .has_field = true,
				     .field_in_cdb = true, .field_byte = 0x0102 };
	scsi_sense_encode(&sense, false, bytes);
	assert_memory_equal(bytes + 15, ((uint8_t[]){ 0xc0, 1, 2 }), 3);
}

static void descriptor_format_has_its_descriptors(void **state)
{
	struct scsi_sense sense = { .key = KEY_MISCOMPARE, .asc_ascq = ASC_MISCOMPARE, .has_information = true,
				    .information = UINT64_C(0x0102030405060708), .has_field = true, .field_byte = 9 };
	uint8_t bytes[SCSI_SENSE_MAX];
	static const uint8_t expected[] = { 0x72, 0x0e, 0x1d, 0, 0, 0, 0, 20, 0x00, 0x0a, 0x80, 0, 1, 2, 3, 4, 5, 6, 7, 8,
					    0x02, 0x06, 0, 0, 0x80, 0, 9, 0 };

	(void)state;
	assert_int_equal(scsi_sense_encode(&sense, true, bytes), sizeof expected);
	assert_memory_equal(bytes, expected, sizeof expected);
}

static void every_errno_has_sense(void **state)
{
	(void)state;
	for (int error = 1; error < 4096; error++)
		for (int write = 0; write < 2; write++) {
			struct scsi_sense sense = scsi_sense_from_errno(-error, write);

			assert_true(sense.key != KEY_NO_SENSE && sense.key <= 0x0f && sense.key != KEY_UNIT_ATTENTION);
			/* Only ABORTED COMMAND may go without a reason. */
			assert_true(sense.asc_ascq || sense.key == KEY_ABORTED_COMMAND);
		}
	assert_int_equal(scsi_sense_from_errno(-EIO, false).asc_ascq, ASC_UNRECOVERED_READ_ERROR);
	assert_int_equal(scsi_sense_from_errno(-EIO, true).asc_ascq, ASC_WRITE_ERROR);
	assert_int_equal(scsi_sense_from_errno(-ENOSPC, true).asc_ascq, ASC_SPACE_ALLOCATION_FAILED);
	assert_int_equal(scsi_sense_from_errno(-ENODATA, false).key, KEY_MEDIUM_ERROR);
	assert_int_equal(scsi_sense_from_errno(-ENXIO, false).asc_ascq, ASC_INTERNAL_TARGET_FAILURE);
}

static void lun_fields_are_decoded_as_sam_says(void **state)
{
	static const struct {
		uint64_t field;
		enum scsi_lun_kind kind;
		uint16_t number;
	} cases[] = {
		{ 0, LUN_NUMBER, 0 },
		{ UINT64_C(0x00ff000000000000), LUN_NUMBER, 255 },
		{ UINT64_C(0x4001000000000000), LUN_NUMBER, 1 },
		{ UINT64_C(0x4100000000000000), LUN_NUMBER, 256 },
		{ UINT64_C(0x7fff000000000000), LUN_NUMBER, 16383 },
		{ UINT64_C(0xc101000000000000), LUN_WELL_KNOWN_REPORT, 0 },
		{ UINT64_C(0xc102000000000000), LUN_INVALID, 0 },
		{ UINT64_C(0x0100000000000000), LUN_INVALID, 0 }, /* bus 1 */
		{ UINT64_C(0x8000000000000000), LUN_INVALID, 0 },
		{ UINT64_C(0x0000000100000000), LUN_INVALID, 0 }, /* second level */
		{ UINT64_MAX, LUN_INVALID, 0 },
	};

	(void)state;
	for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		uint16_t number = 0;

		assert_int_equal(scsi_lun_decode(cases[i].field, &number), cases[i].kind);
		if (cases[i].kind == LUN_NUMBER)
			assert_int_equal(number, cases[i].number);
	}
	for (unsigned n = 0; n <= SCSI_LUN_NUMBER_MAX; n++) {
		uint16_t number = 0xffff;

		assert_int_equal(scsi_lun_decode(scsi_lun_encode((uint16_t)n), &number), LUN_NUMBER);
		assert_int_equal(number, n);
	}
}

static void sparse_inventories_are_searched(void **state)
{
	struct scsi_inventory_entry entries[] = { { 9000, false, NULL }, { 3, false, NULL }, { 0, false, NULL } };
	struct scsi_inventory *inventory = scsi_inventory_new(entries, 3), *empty = scsi_inventory_new(NULL, 0);

	(void)state;
	assert_int_equal(scsi_inventory_find(inventory, 0), 0);
	assert_int_equal(scsi_inventory_find(inventory, 3), 1);
	assert_int_equal(scsi_inventory_find(inventory, 9000), 2);
	assert_int_equal(scsi_inventory_find(inventory, 1), -1);
	assert_int_equal(scsi_inventory_find(inventory, 16383), -1);
	assert_int_equal(scsi_inventory_find(empty, 0), -1);
	scsi_inventory_unref(inventory);
	scsi_inventory_unref(empty);
}

/* --- unit attentions --- */

static void the_first_condition_is_reported_first_and_once(void **state)
{
	(void)state;
	send(BYTES(0x00));
	expect_good();
	scsi_lu_capacity_changed(world.lu);
	scsi_nexus_unit_attention(world.nexus[0], 0x2907);
	send(BYTES(0x00));
	expect_sense(KEY_UNIT_ATTENTION, 0x2907);
	send(BYTES(0x88, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1));
	expect_sense(KEY_UNIT_ATTENTION, 0x2a09);
	send(BYTES(0x00));
	expect_good();
}

static void inquiry_leaves_conditions_and_request_sense_takes_them(void **state)
{
	(void)state;
	send(BYTES(0x00));
	scsi_lu_capacity_changed(world.lu);
	send(BYTES(0x12, 0, 0, 0, 96));
	expect_good();
	send(BYTES(0x03, 0, 0, 0, 252));
	expect_good();
	assert_int_equal(outcome.data[2], KEY_UNIT_ATTENTION);
	assert_int_equal(get_be16(outcome.data + 12), 0x2a09);
	send(BYTES(0x03, 1, 0, 0, 252));
	expect_good();
	assert_int_equal(outcome.data[0], 0x72);
	assert_int_equal(outcome.data[1], KEY_NO_SENSE);
	send(BYTES(0x00));
	expect_good();
}

static void report_luns_clears_that_the_luns_changed(void **state)
{
	(void)state;
	send(BYTES(0x00));
	assert_true(scsi_nexus_set_inventory(world.nexus[0], world.inventory));
	send(BYTES(0x00));
	expect_sense(KEY_UNIT_ATTENTION, 0x3f0e);
	assert_true(scsi_nexus_set_inventory(world.nexus[0], world.inventory));
	send(BYTES(0xa0, 0, 0, 0, 0, 0, 0, 0, 1, 0));
	expect_good();
	send(BYTES(0x00));
	expect_good();
	/* a LUN that had not been addressed learns of it too, once */
	assert_true(scsi_nexus_set_inventory(world.nexus[1], world.inventory));
	send_from(1, BYTES(0x00), NULL, 0);
	expect_sense(KEY_UNIT_ATTENTION, 0x3f0e);
	send_from(1, BYTES(0x00), NULL, 0);
	expect_good();
}

static void a_reset_is_told_to_all_others(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 3; i++)
		send_from(i, BYTES(0x00), NULL, 0);
	scsi_lu_reset(world.lu, world.nexus[0]);
	send(BYTES(0x00));
	expect_good();
	for (unsigned i = 1; i < 3; i++) {
		send_from(i, BYTES(0x00), NULL, 0);
		expect_sense(KEY_UNIT_ATTENTION, 0x2903);
	}
}

static void a_unit_attention_goes_before_an_unknown_operation_code(void **state)
{
	(void)state;
	send(BYTES(0x00));
	scsi_lu_capacity_changed(world.lu);
	send(BYTES(0xff));
	expect_sense(KEY_UNIT_ATTENTION, 0x2a09);
	send(BYTES(0xff));
	expect_sense(KEY_ILLEGAL_REQUEST, ASC_INVALID_OPCODE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fixed_format_has_its_fields_in_place),
		cmocka_unit_test(descriptor_format_has_its_descriptors),
		cmocka_unit_test(every_errno_has_sense),
		cmocka_unit_test(lun_fields_are_decoded_as_sam_says),
		cmocka_unit_test(sparse_inventories_are_searched),
		SCSI_TEST(the_first_condition_is_reported_first_and_once),
		SCSI_TEST(inquiry_leaves_conditions_and_request_sense_takes_them),
		SCSI_TEST(report_luns_clears_that_the_luns_changed),
		SCSI_TEST(a_reset_is_told_to_all_others),
		SCSI_TEST(a_unit_attention_goes_before_an_unknown_operation_code),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
