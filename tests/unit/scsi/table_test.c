/* Properties of every row of the command table, and what is derived from it. */
#include "tests/unit/scsi/check.h"

static const struct scsi_command *row(unsigned i)
{
	return &scsi_commands[i];
}

static void every_row_is_whole(void **state)
{
	(void)state;
	for (unsigned i = 0; i < scsi_command_count; i++) {
		const struct scsi_command *c = row(i);
		unsigned group = c->opcode >> 5;

		assert_true(c->name && *c->name && c->prepare && c->execute);
		assert_in_range(c->access, ACCESS_NONE + 1, ACCESS_COUNT - 1);
		assert_int_equal(c->cdb_len_bytes, group == 0 ? 6 : group <= 2 ? 10 : group == 4 ? 16 : 12);
		for (unsigned at = c->cdb_len_bytes; at < 16; at++)
			assert_int_equal(c->mask[at], 0);
		assert_int_equal(c->mask[c->cdb_len_bytes - 1] & 0x04, 0); /* NACA: there is no ACA here */
		if (c->service_action != SCSI_SA_NONE)
			assert_int_equal(c->mask[1] & 0x1f, 0);
	}
}

static void no_command_is_there_twice(void **state)
{
	(void)state;
	for (unsigned i = 0; i < scsi_command_count; i++)
		for (unsigned j = 0; j < i; j++) {
			bool same_opcode = row(i)->opcode == row(j)->opcode;

			assert_false(same_opcode && row(i)->service_action == row(j)->service_action);
			if (same_opcode)
				assert_true(row(i)->service_action != SCSI_SA_NONE &&
					    row(j)->service_action != SCSI_SA_NONE);
		}
}

static void length_fields_are_inside_their_masks(void **state)
{
	(void)state;
	for (unsigned i = 0; i < scsi_command_count; i++)
		for (unsigned at = 0; at < row(i)->length_width; at++)
			assert_int_equal(row(i)->mask[row(i)->length_at + at], 0xff);
}

static void what_writes_the_medium_needs_it_and_is_write_protected(void **state)
{
	(void)state;
	for (unsigned i = 0; i < scsi_command_count; i++)
		if (row(i)->access == ACCESS_WRITE) {
			assert_true(row(i)->flags & CMD_MEDIUM);
			assert_int_equal(row(i)->direction, SCSI_DATA_OUT);
			assert_int_equal(row(i)->flags & (CMD_UA | CMD_NO_LU | CMD_WLUN), 0);
		}
}

static void what_is_answered_without_a_unit_never_conflicts(void **state)
{
	(void)state;
	for (unsigned i = 0; i < scsi_command_count; i++)
		if (row(i)->flags & (CMD_UA | CMD_NO_LU))
			assert_int_equal(row(i)->access, ACCESS_ANY);
}

static void every_opcode_without_a_row_is_refused(void **state)
{
	(void)state;
	for (unsigned opcode = 0; opcode < 256; opcode++) {
		uint8_t cdb[16] = { (uint8_t)opcode };
		bool known;

		scsi_command_find(cdb, &known);
		if (known)
			continue;
		send(cdb, 16);
		expect_sense(KEY_ILLEGAL_REQUEST, ASC_INVALID_OPCODE);
	}
}

static void every_absent_service_action_is_an_invalid_field(void **state)
{
	static const uint8_t opcodes[] = { 0x5e, 0x5f, 0x83, 0x84, 0x9e, 0xa3, 0xa4 };

	(void)state;
	for (unsigned o = 0; o < sizeof opcodes; o++)
		for (uint8_t action = 0; action < 0x20; action++) {
			uint8_t cdb[16] = { opcodes[o], action };

			if (scsi_command_row(opcodes[o], action))
				continue;
			send(cdb, 16);
			expect_sense(KEY_ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_CDB);
		}
}

/* Each bit outside the mask, one at a time, in every row. */
static void every_reserved_bit_is_refused(void **state)
{
	(void)state;
	for (unsigned i = 0; i < scsi_command_count; i++)
		for (unsigned bit = 8; bit < row(i)->cdb_len_bytes * 8u; bit++) {
			uint8_t cdb[16] = { row(i)->opcode }, flag = (uint8_t)(1u << bit % 8);
			uint8_t action = row(i)->service_action == SCSI_SA_NONE ? 0 : 0x1f;

			if (row(i)->service_action != SCSI_SA_NONE)
				cdb[1] = (uint8_t)row(i)->service_action;
			if ((row(i)->mask[bit / 8] | (bit / 8 == 1 ? action : 0)) & flag)
				continue;
			cdb[bit / 8] |= flag;
			send(cdb, 16);
			if (outcome.status != SCSI_CHECK_CONDITION)
				fail_msg("%s: byte %u, bit %u", row(i)->name, bit / 8, bit % 8);
			expect_sense(KEY_ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_CDB);
			assert_int_equal(get_be16(outcome.sense + 16), bit / 8);
		}
}

static void a_cdb_that_is_too_short_is_refused(void **state)
{
	uint8_t cdb[16] = { 0x88 };
	struct scsi_task *task = world_task(&world, world.nexus[0], 0, cdb, 16, 0);

	(void)state;
	task->cdb_len_bytes = 15;
	assert_int_equal(scsi_task_begin(task), SCSI_FINISHED);
	assert_int_equal(task->status, SCSI_CHECK_CONDITION);
	scsi_task_end(task);
	free(task);
}

/* --- reservations: what each access class may do, SPC-4 table 65 --- */

static void expected_access(bool others_type_reads, uint32_t *ret_unregistered)
{
	uint32_t allowed = 1u << ACCESS_ANY | 1u << ACCESS_STATUS | 1u << ACCESS_PR_IN | 1u << ACCESS_PR_OUT;

	*ret_unregistered = others_type_reads ? allowed | 1u << ACCESS_READ : allowed;
}

static void reservation_types_allow_what_the_standard_says(void **state)
{
	static const uint8_t types[] = { 1, 3, 5, 6, 7, 8 };
	struct scsi_itl *holder, *other;

	(void)state;
	send(BYTES(0x00));
	send_from(2, BYTES(0x00), NULL, 0);
	holder = world.nexus[0]->itl[0];
	other = world.nexus[2]->itl[0];
	for (unsigned i = 0; i < sizeof types; i++) {
		struct pr_state *pr = calloc(1, sizeof *pr + sizeof pr->registration[0]);
		uint32_t all = 1u << ACCESS_ANY | 1u << ACCESS_STATUS | 1u << ACCESS_PR_IN | 1u << ACCESS_PR_OUT | 1u << ACCESS_READ |
			       1u << ACCESS_WRITE | 1u << ACCESS_MANAGE;
		uint32_t unregistered;

		pr->count = 1;
		pr->type = types[i];
		pr->registration[0].key = 1;
		pr->registration[0].nexus = scsi_port_pr_nexus(&world.nexus[0]->port);
		free(world.lu->pr);
		world.lu->pr = pr;
		expected_access(types[i] == 1 || types[i] == 5 || types[i] == 7, &unregistered);
		assert_int_equal(scsi_lu_access_of(world.lu, holder), all);
		assert_int_equal(scsi_lu_access_of(world.lu, other), unregistered);
		pr->type = PR_NONE; /* registrations alone forbid only RESERVE(6) and RELEASE(6) */
		assert_int_equal(scsi_lu_access_of(world.lu, other), all);
	}
}

/* --- REPORT SUPPORTED OPERATION CODES --- */

static void all_commands_are_reported_once(void **state)
{
	(void)state;
	send(BYTES(0xa3, 0x0c, 0, 0, 0, 0, 0, 0, 0xff, 0xff));
	expect_good();
	assert_int_equal(get_be32(outcome.data), scsi_command_count * 8);
	assert_int_equal(outcome.data_in_bytes, 4 + scsi_command_count * 8);
	send(BYTES(0xa3, 0x0c, 0x80, 0, 0, 0, 0, 0, 0xff, 0xff));
	assert_int_equal(get_be32(outcome.data), scsi_command_count * 20);
	for (unsigned i = 0; i < scsi_command_count; i++) {
		assert_int_equal(outcome.data[4 + i * 20 + 5] & 0x02, 0x02);
		assert_int_equal(get_be16(outcome.data + 4 + i * 20 + 8), 0x0a);
	}
}

static void one_command_is_reported_by_the_option_that_fits(void **state)
{
	(void)state;
	for (unsigned i = 0; i < scsi_command_count; i++) {
		bool action = row(i)->service_action != SCSI_SA_NONE;
		uint8_t cdb[12] = { 0xa3, 0x0c, 1, row(i)->opcode, 0, action ? (uint8_t)row(i)->service_action : 0, 0, 0, 1 };

		send(cdb, 12);
		if (action)
			expect_sense(KEY_ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_CDB);
		else
			expect_good();
		cdb[2] = 2;
		send(cdb, 12);
		if (!action)
			expect_sense(KEY_ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_CDB);
		cdb[2] = 3;
		send(cdb, 12);
		expect_good();
		assert_int_equal(outcome.data[1], 3);
		assert_int_equal(get_be16(outcome.data + 2), row(i)->cdb_len_bytes);
		assert_int_equal(outcome.data[4], row(i)->opcode);
		assert_int_equal(outcome.data_in_bytes, 4 + row(i)->cdb_len_bytes);
	}
}

static void unknown_commands_are_reported_as_such(void **state)
{
	(void)state;
	send(BYTES(0xa3, 0x0c, 1, 0x04, 0, 0, 0, 0, 1, 0));
	expect_good();
	assert_int_equal(outcome.data_in_bytes, 4);
	assert_int_equal(outcome.data[1], 1);
	send(BYTES(0xa3, 0x0c, 2, 0x9e, 0xff, 0xff, 0, 0, 1, 0));
	expect_good();
	assert_int_equal(outcome.data[1], 1);
	send(BYTES(0xa3, 0x0c, 3, 0x28, 0, 1, 0, 0, 1, 0));
	expect_good();
	assert_int_equal(outcome.data[1], 1);
	for (uint8_t option = 4; option < 8; option++) {
		send(BYTES(0xa3, 0x0c, option, 0x28, 0, 0, 0, 0, 1, 0));
		expect_sense(KEY_ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_CDB);
	}
	for (uint8_t length = 0; length < 20; length++) {
		send(BYTES(0xa3, 0x0c, 0, 0, 0, 0, 0, 0, 0, length));
		expect_good();
		assert_int_equal(outcome.data_in_bytes, length);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_row_is_whole),
		cmocka_unit_test(no_command_is_there_twice),
		cmocka_unit_test(length_fields_are_inside_their_masks),
		cmocka_unit_test(what_writes_the_medium_needs_it_and_is_write_protected),
		cmocka_unit_test(what_is_answered_without_a_unit_never_conflicts),
		WHOLE_TEST(every_opcode_without_a_row_is_refused),
		WHOLE_TEST(every_absent_service_action_is_an_invalid_field),
		WHOLE_TEST(every_reserved_bit_is_refused),
		WHOLE_TEST(a_cdb_that_is_too_short_is_refused),
		WHOLE_TEST(reservation_types_allow_what_the_standard_says),
		WHOLE_TEST(all_commands_are_reported_once),
		WHOLE_TEST(one_command_is_reported_by_the_option_that_fits),
		WHOLE_TEST(unknown_commands_are_reported_as_such),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
