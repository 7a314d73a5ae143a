/* INQUIRY, REPORT LUNS, mode pages, write protection, removable media. */
#include "tests/unit/scsi/check.h"

static void inquiry_is_cut_to_the_allocation_length(void **state)
{
	static const uint16_t lengths[] = { 0, 1, 4, 5, 35, 36, 95, 96, 97, 255, 511, 512, 65535 };

	(void)state;
	for (unsigned i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
		send(BYTES(0x12, 0, 0, (uint8_t)(lengths[i] >> 8), (uint8_t)lengths[i], 0));
		expect_good();
		assert_int_equal(outcome.data_in_bytes, lengths[i] < 96 ? lengths[i] : 96);
	}
	send(BYTES(0x12, 0, 0x80, 0, 255, 0));
	expect_sense(KEY_ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_CDB);
	send(BYTES(0x12, 2, 0, 0, 255, 0)); /* CMDDT */
	expect_sense(KEY_ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_CDB);
}

static void exactly_the_listed_vpd_pages_exist(void **state)
{
	uint8_t listed[256] = { 0 };

	(void)state;
	send(BYTES(0x12, 1, 0, 0, 255, 0));
	for (unsigned i = 0; i < outcome.data[3]; i++) {
		listed[outcome.data[4 + i]] = 1;
		if (i)
			assert_true(outcome.data[4 + i] > outcome.data[3 + i]);
	}
	for (unsigned page = 0; page < 256; page++) {
		send(BYTES(0x12, 1, (uint8_t)page, 1, 255, 0));
		if (!listed[page]) {
			expect_sense(KEY_ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_CDB);
			continue;
		}
		expect_good();
		assert_int_equal(outcome.data[1], page);
		assert_int_equal(get_be16(outcome.data + 2) + 4, outcome.data_in_bytes);
	}
}

static void send_lun(uint64_t lun, const uint8_t *cdb, size_t len)
{
	world_run(&world, world.nexus[0], lun, cdb, (unsigned)len, NULL, 0, &outcome);
}

static void numbers_without_a_unit_answer_as_sam_says(void **state)
{
	static const uint64_t absent[] = { UINT64_C(5) << 48, UINT64_MAX, UINT64_C(0xc102000000000000) };

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		send_lun(absent[i], BYTES(0x12, 0, 0, 0, 96, 0));
		expect_good();
		assert_int_equal(outcome.data[0], 0x7f);
		send_lun(absent[i], BYTES(0x03, 0, 0, 0, 96, 0));
		expect_good();
		assert_int_equal(outcome.data[2], KEY_ILLEGAL_REQUEST);
		send_lun(absent[i], BYTES(0x00));
		expect_sense(KEY_ILLEGAL_REQUEST, ASC_NO_SUCH_LU);
		send_lun(absent[i], BYTES(0xa0, 0, 0, 0, 0, 0, 0, 0, 1, 0));
		expect_sense(KEY_ILLEGAL_REQUEST, ASC_NO_SUCH_LU);
	}
	send_lun(UINT64_C(0x412c000000000000), BYTES(0x00)); /* LUN 300, flat */
	expect_good();
	send_lun(UINT64_C(0xc101000000000000), BYTES(0x12, 0, 0, 0, 96, 0));
	expect_good();
	assert_int_equal(outcome.data[0], 0x1e);
	send_lun(UINT64_C(0xc101000000000000), BYTES(0x00));
	expect_good();
	send_lun(UINT64_C(0xc101000000000000), BYTES(0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0));
	expect_sense(KEY_ILLEGAL_REQUEST, ASC_INVALID_OPCODE);
}

static void lun_zero_answers_without_a_unit(void **state)
{
	struct scsi_inventory *empty = scsi_inventory_new(NULL, 0);

	(void)state;
	assert_true(scsi_nexus_set_inventory(world.nexus[0], empty));
	scsi_inventory_unref(empty);
	send(BYTES(0x12, 0, 0, 0, 96, 0));
	expect_good();
	assert_int_equal(outcome.data[0], 0x3f);
	send(BYTES(0x12, 1, 0x83, 0, 255, 0));
	expect_good();
	send(BYTES(0x12, 1, 0xb0, 0, 255, 0));
	expect_sense(KEY_ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_CDB);
	send(BYTES(0xa0, 0, 0, 0, 0, 0, 0, 0, 1, 0));
	expect_good();
	assert_int_equal(outcome.data_in_bytes, 8);
	send(BYTES(0x00));
	expect_sense(KEY_ILLEGAL_REQUEST, ASC_NO_SUCH_LU);
}

static void report_luns_selects_and_cuts(void **state)
{
	static const struct {
		uint8_t select;
		unsigned luns;
	} cases[] = { { 0, 2 }, { 1, 1 }, { 2, 3 } };

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		send(BYTES(0xa0, 0, cases[i].select, 0, 0, 0, 0, 0, 0, 16, 0, 0));
		expect_good();
		assert_int_equal(get_be32(outcome.data), cases[i].luns * 8);
		assert_int_equal(outcome.data_in_bytes, 16);
	}
	for (uint8_t length = 0; length < 16; length++) {
		send(BYTES(0xa0, 0, 0, 0, 0, 0, 0, 0, 0, length, 0, 0));
		expect_sense(KEY_ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_CDB);
	}
	for (unsigned select = 3; select < 256; select++) {
		send(BYTES(0xa0, 0, (uint8_t)select, 0, 0, 0, 0, 0, 1, 0, 0, 0));
		expect_sense(KEY_ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_CDB);
	}
}

static void every_one_of_4096_luns_is_reported(void **state)
{
	struct scsi_inventory_entry *entries = calloc(4096, sizeof *entries);
	struct scsi_inventory *inventory;

	(void)state;
	for (unsigned i = 0; i < 4096; i++)
		entries[i] = (struct scsi_inventory_entry){ (uint16_t)i, false, world.lu };
	inventory = scsi_inventory_new(entries, 4096);
	assert_true(scsi_nexus_set_inventory(world.nexus[0], inventory));
	scsi_inventory_unref(inventory);
	free(entries);
	send(BYTES(0xa0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0));
	expect_good();
	assert_int_equal(get_be32(outcome.data), 4096 * 8);
	assert_int_equal(outcome.data_in_bytes, 8 + 4096 * 8);
	for (unsigned i = 0; i < 4096; i++) {
		uint16_t number = 0xffff;

		assert_int_equal(scsi_lun_decode(get_be64(outcome.data + 8 + 8 * i), &number), LUN_NUMBER);
		assert_int_equal(number, i);
	}
	send_lun(scsi_lun_encode(4095), BYTES(0x00)); /* REPORT LUNS told that the LUNs have changed */
	expect_good();
}

/* --- mode pages --- */

static void every_mode_page_request_is_answered_or_refused(void **state)
{
	(void)state;
	for (unsigned page = 0; page < 256; page++)
		for (unsigned subpage = 0; subpage < 256; subpage++) {
			unsigned code = page & 0x3f;
			bool known = code == 0x08 || code == 0x0a || code == 0x1c || code == 0x3f;

			send(BYTES(0x1a, 0, (uint8_t)page, (uint8_t)subpage, 255, 0));
			if (page >> 6 == 3) {
				expect_sense(KEY_ILLEGAL_REQUEST, ASC_SAVING_NOT_SUPPORTED);
			} else if (!known || (subpage && subpage != 0xff && !(code == 0x1c && subpage == 0x02))) {
				expect_sense(KEY_ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_CDB);
			} else {
				expect_good();
				assert_int_equal(outcome.data[0] + 1, outcome.data_in_bytes);
			}
		}
	for (uint8_t length = 0; length < 8; length++) {
		send(BYTES(0x1a, 0, 0x3f, 0, length, 0));
		expect_good();
		assert_int_equal(outcome.data_in_bytes, length);
	}
}

/* MODE SELECT(6) of the control page with its current values, two bytes changed. */
static void select_control(unsigned nexus, uint8_t byte2, uint8_t byte4)
{
	uint8_t list[4 + 12] = { [4] = 0x0a, [5] = 0x0a, [6] = 0x20 | byte2, [7] = 0x10, [8] = byte4 };

	send_from(nexus, BYTES(0x15, 0x10, 0, 0, sizeof list, 0), list, sizeof list);
}

static void descriptor_sense_can_be_turned_on_and_off(void **state)
{
	(void)state;
	send_from(1, BYTES(0x00), NULL, 0);
	select_control(0, 0x04, 0);
	expect_good();
	send(BYTES(0xff));
	assert_int_equal(outcome.sense[0], 0x72);
	send_from(1, BYTES(0x00), NULL, 0);
	assert_int_equal(outcome.sense[0], 0x72);
	expect_sense(KEY_UNIT_ATTENTION, 0x2a01);
	send(BYTES(0x1a, 8, 0x0a, 0, 255, 0));
	assert_int_equal(outcome.data[6], 0x24);
	send(BYTES(0x1a, 8, 0x8a, 0, 255, 0));
	assert_int_equal(outcome.data[6], 0x20);
	select_control(0, 0, 0);
	expect_good();
	send(BYTES(0xff));
	assert_int_equal(outcome.sense[0], 0x70);
}

static void software_write_protection_protects(void **state)
{
	uint8_t block[512] = { 0 };

	(void)state;
	select_control(0, 0, 0x08);
	expect_good();
	send_block(0, 0x8a, 0, 0, 1, block, 512);
	expect_sense(KEY_DATA_PROTECT, ASC_SOFTWARE_WRITE_PROTECTED);
	send(BYTES(0x1a, 8, 0x3f, 0, 255, 0));
	assert_int_equal(outcome.data[2], 0x90);
	scsi_lu_reset(world.lu, world.nexus[0]);
	send_block(0, 0x8a, 0, 0, 1, block, 512);
	expect_good();
}

static void mode_select_changes_only_what_is_changeable(void **state)
{
	uint8_t page[12], list[4 + 12];

	(void)state;
	send(BYTES(0x1a, 8, 0x0a, 0, 255, 0));
	memcpy(page, outcome.data + 4, 12);
	for (unsigned bit = 8; bit < 12 * 8; bit++) {
		memset(list, 0, 4);
		memcpy(list + 4, page, 12);
		list[4 + bit / 8] ^= (uint8_t)(1u << bit % 8);
		send_from(0, BYTES(0x15, 0x10, 0, 0, 16, 0), list, 16);
		if (bit == 18 || bit == 35) /* D_SENSE, SWP */
			expect_good();
		else
			expect_sense(KEY_ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_LIST);
		select_control(0, 0, 0);
		expect_good();
	}
}

static void mode_select_never_changes_the_geometry(void **state)
{
	uint8_t list[12 + 12] = { [3] = 8, [12] = 0x0a, [13] = 0x0a, [14] = 0x20, [15] = 0x10 };
	static const uint32_t sizes[] = { 0, 1, 511, 513, 4096, 0xffffff };

	(void)state;
	put_be32(list + 8, 512);
	send_from(0, BYTES(0x15, 0x10, 0, 0, 24, 0), list, 24);
	expect_good();
	put_be32(list + 4, 0xffffffff);
	send_from(0, BYTES(0x15, 0x10, 0, 0, 24, 0), list, 24);
	expect_good();
	put_be32(list + 4, 1000);
	send_from(0, BYTES(0x15, 0x10, 0, 0, 24, 0), list, 24);
	expect_sense(KEY_ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_LIST);
	put_be32(list + 4, 0);
	for (unsigned i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		put_be32(list + 8, sizes[i]);
		send_from(0, BYTES(0x15, 0x10, 0, 0, 24, 0), list, 24);
		expect_sense(KEY_ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_LIST);
	}
	put_be32(list + 8, 512);
	for (unsigned length = 1; length < 256; length++) {
		if (length == 8)
			continue;
		list[3] = (uint8_t)length;
		send_from(0, BYTES(0x15, 0x10, 0, 0, 24, 0), list, 24);
		assert_int_equal(outcome.status, SCSI_CHECK_CONDITION);
	}
}

static void mode_lists_that_are_cut_are_refused(void **state)
{
	uint8_t list[16] = { [4] = 0x0a, [5] = 0x0a, [6] = 0x20, [7] = 0x10 };

	(void)state;
	for (uint8_t len = 1; len < 16; len++) {
		send_from(0, BYTES(0x15, 0x10, 0, 0, len, 0), list, len);
		if (len == 4) /* a header alone */
			expect_good();
		else
			expect_sense(KEY_ILLEGAL_REQUEST, ASC_PARAMETER_LIST_LENGTH);
		send_from(0, BYTES(0x15, 0x10, 0, 0, 16, 0), list, len);
		expect_sense(KEY_ILLEGAL_REQUEST, ASC_PARAMETER_LIST_LENGTH);
	}
	send_from(0, BYTES(0x15, 0x10, 0, 0, 0, 0), NULL, 0);
	expect_good();
	send_from(0, BYTES(0x15, 0x11, 0, 0, 16, 0), list, 16); /* SP */
	expect_sense(KEY_ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_CDB);
	send_from(0, BYTES(0x15, 0x00, 0, 0, 16, 0), list, 16); /* not PF */
	expect_sense(KEY_ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_CDB);
	list[4] = 0x4a; /* subpage format */
	send_from(0, BYTES(0x15, 0x10, 0, 0, 16, 0), list, 16);
	expect_sense(KEY_ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_LIST);
	list[4] = 0x3e;
	send_from(0, BYTES(0x15, 0x10, 0, 0, 16, 0), list, 16);
	expect_sense(KEY_ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_LIST);
}

/* --- write protection, media --- */

static void every_write_is_refused_where_the_lun_is_read_only(void **state)
{
	(void)state;
	for (unsigned i = 0; i < scsi_command_count; i++) {
		int16_t action = scsi_commands[i].service_action;
		uint8_t cdb[16] = { scsi_commands[i].opcode, action == SCSI_SA_NONE ? 0 : (uint8_t)action };

		if (scsi_commands[i].access != ACCESS_WRITE)
			continue;
		send_lun(UINT64_C(0x412c000000000000), cdb, 16); /* mapped read-only as LUN 300 */
		expect_sense(KEY_DATA_PROTECT, ASC_WRITE_PROTECTED);
		scsi_lu_read_only_changed(world.lu, true);
		send(BYTES(0x03, 0, 0, 0, 18, 0));
		send(cdb, 16);
		expect_sense(KEY_DATA_PROTECT, ASC_WRITE_PROTECTED);
		scsi_lu_read_only_changed(world.lu, false);
		send(BYTES(0x03, 0, 0, 0, 18, 0));
		send_lun(UINT64_C(0x412c000000000000), BYTES(0x03, 0, 0, 0, 18, 0));
	}
	send_lun(UINT64_C(0x412c000000000000), BYTES(0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0));
	expect_good();
}

static void a_fixed_disk_stays_ready_and_cannot_be_ejected(void **state)
{
	(void)state;
	send(BYTES(0x1b, 0, 0, 0, 0x00, 0));
	expect_good();
	send(BYTES(0x00));
	expect_good();
	send(BYTES(0x1b, 0, 0, 0, 0x02, 0));
	expect_sense(KEY_ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_CDB);
}

static void an_ejected_medium_is_missed_and_comes_back(void **state)
{
	(void)state;
	world_fini(&world);
	world_init(&world, &(struct world_options){ .removable = true });
	send(BYTES(0x12, 0, 0, 0, 36, 0));
	assert_int_equal(outcome.data[1], 0x80);
	send_from(1, BYTES(0x1e, 0, 0, 0, 1, 0), NULL, 0);
	expect_good();
	send(BYTES(0x1b, 0, 0, 0, 0x02, 0));
	expect_sense(KEY_ILLEGAL_REQUEST, ASC_REMOVAL_PREVENTED);
	world_drop_nexus(&world, 1); /* nexus loss ends its prevention */
	send(BYTES(0x1b, 0, 0, 0, 0x02, 0));
	expect_good();
	for (unsigned i = 0; i < scsi_command_count; i++) {
		uint8_t cdb[16] = { scsi_commands[i].opcode };

		if (scsi_commands[i].service_action != SCSI_SA_NONE)
			cdb[1] = (uint8_t)scsi_commands[i].service_action;
		if (!(scsi_commands[i].flags & CMD_MEDIUM))
			continue;
		send(cdb, 16);
		expect_sense(KEY_NOT_READY, ASC_MEDIUM_NOT_PRESENT);
	}
	for (uint8_t condition = 1; condition < 16; condition++) {
		send(BYTES(0x1b, 1, 0, 0, (uint8_t)(condition << 4 | 2), 0));
		expect_good();
	}
	send(BYTES(0x1b, 0, 0, 0, 0x03, 0));
	expect_good();
	send(BYTES(0x00));
	expect_good();
}

static void diagnostics_are_the_default_self_test(void **state)
{
	(void)state;
	send(BYTES(0x1d, 0x04, 0, 0, 0, 0));
	expect_good();
	send(BYTES(0x1d, 0x10, 0, 0, 8, 0));
	expect_sense(KEY_ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_CDB);
	send(BYTES(0x1c, 0x01, 0, 0, 64, 0));
	expect_good();
	send(BYTES(0x1c, 0x01, 0x40, 0, 64, 0));
	expect_sense(KEY_ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_CDB);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCSI_TEST(inquiry_is_cut_to_the_allocation_length),
		SCSI_TEST(exactly_the_listed_vpd_pages_exist),
		SCSI_TEST(numbers_without_a_unit_answer_as_sam_says),
		SCSI_TEST(lun_zero_answers_without_a_unit),
		SCSI_TEST(report_luns_selects_and_cuts),
		SCSI_TEST(every_one_of_4096_luns_is_reported),
		SCSI_TEST(every_mode_page_request_is_answered_or_refused),
		SCSI_TEST(descriptor_sense_can_be_turned_on_and_off),
		SCSI_TEST(software_write_protection_protects),
		SCSI_TEST(mode_select_changes_only_what_is_changeable),
		SCSI_TEST(mode_select_never_changes_the_geometry),
		SCSI_TEST(mode_lists_that_are_cut_are_refused),
		SCSI_TEST(every_write_is_refused_where_the_lun_is_read_only),
		SCSI_TEST(a_fixed_disk_stays_ready_and_cannot_be_ejected),
		SCSI_TEST(an_ejected_medium_is_missed_and_comes_back),
		SCSI_TEST(diagnostics_are_the_default_self_test),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
