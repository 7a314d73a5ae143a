/* The full feature phase: reading without copying, the command window, residuals, what each phase refuses. */
#include <malloc.h>

#include "tests/unit/iscsi/full_feature_fixture.h"

/* --- the path of a read --- */

static void a_read_is_sent_from_the_memory_that_the_store_filled(void **state)
{
	struct house *house = house_new(NULL);
	struct wire *wire = wire_login(house, "");
	uint8_t blocks[8192];
	struct came *came;

	(void)state;
	pattern(blocks, sizeof blocks, 1);
	wire_response(wire, wire_write10(wire, 8, 16, blocks, sizeof blocks), SCSI_GOOD);
	wire_read10(wire, 8, 16);
	came = wire_expect(wire, ISCSI_DATA_IN);
	assert_ptr_equal(came->pointer, house->store_pointer);
	assert_memory_equal(came->data, blocks, sizeof blocks);
	house_free(house);
}

/* The wire itself allocates what it records, so a read is followed step by step between its allocations. */
static void a_read_allocates_nothing(void **state)
{
	struct house *house = house_new(NULL);
	struct wire *wire = wire_login(house, "");
	uint8_t bhs[ISCSI_BHS_BYTES];
	struct mallinfo2 before, after;

	(void)state;
	wire_read10(wire, 0, 16);
	wire_expect(wire, ISCSI_DATA_IN); /* pools are warm now */
	wire->stuck = true;
	command_init(wire, bhs, 0xc1, 8192, cdb10(READ10, 0, 16));
	before = mallinfo2();
	wire->mover.sink.list = NULL;
	assert_int_equal(iscsi_receive_header(wire->connection, bhs), ISCSI_RECEIVE_OK);
	assert_int_equal(iscsi_receive_done(wire->connection), ISCSI_RECEIVE_OK);
	house_turn(house);
	after = mallinfo2();
	assert_int_equal(after.uordblks, before.uordblks);
	assert_false(list_empty(&wire->queue));
	wire->stuck = false;
	wire_expect(wire, ISCSI_DATA_IN);
	house_free(house);
}

/* --- the command window --- */

static void commands_outside_the_window_are_ignored(void **state)
{
	struct house *house = house_new(&(struct house_options){ .params = "'queue_depth':4" });
	struct wire *wire = wire_login(house, "");
	uint32_t expected = wire->cmdsn;
	const uint32_t wrong[] = { expected - 1, expected - 1000, expected + 4, expected + 100000, expected + 0x80000000 };

	(void)state;
	for (unsigned i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		wire->cmdsn = wrong[i];
		wire_command(wire, 0x81, 0, test_unit_ready, NULL, 0);
		wire_nothing(wire);
	}
	wire->cmdsn = expected;
	wire_response(wire, wire_command(wire, 0x81, 0, test_unit_ready, NULL, 0), SCSI_GOOD);
	house_free(house);
}

static void the_sequence_numbers_wrap(void **state)
{
	struct house *house = house_new(&(struct house_options){ .params = "'queue_depth':4" });
	struct wire *wire = wire_new(house, 0);

	(void)state;
	wire->cmdsn = 0xfffffffe;
	wire_login_request(wire, 1, NORMAL_NAMES, "");
	wire_expect(wire, ISCSI_LOGIN_RESPONSE);
	wire_settle(wire);
	for (int i = 0; i < 10; i++)
		wire_response(wire, wire_command(wire, 0x81, 0, test_unit_ready, NULL, 0), SCSI_GOOD);
	house_free(house);
}

static void what_comes_ahead_of_a_gap_waits_for_it(void **state)
{
	struct house *house = house_new(NULL);
	struct wire *wire = wire_login(house, "");
	uint32_t first = wire->cmdsn, itt[4];
	uint8_t blocks[1024];

	(void)state;
	pattern(blocks, sizeof blocks, 9);
	wire->cmdsn = first + 2;
	itt[2] = wire_command(wire, 0x81, 0, test_unit_ready, NULL, 0);
	wire->cmdsn = first + 1;
	itt[1] = wire_write10(wire, 0, 2, blocks, sizeof blocks);
	wire->cmdsn = first + 1; /* again: ignored */
	wire_write10(wire, 0, 2, blocks, sizeof blocks);
	wire->cmdsn = first + 3;
	itt[3] = wire_read10(wire, 0, 2);
	wire_nothing(wire);
	assert_int_equal(house->store_writes, 0);
	wire->cmdsn = first;
	itt[0] = wire_command(wire, 0x81, 0, test_unit_ready, NULL, 0);
	for (int i = 0; i < 3; i++)
		wire_response(wire, itt[i], SCSI_GOOD);
	assert_memory_equal(wire_expect(wire, ISCSI_DATA_IN)->data, blocks, sizeof blocks);
	assert_int_equal(wire->connection->session->held_count, 0);
	house_free(house);
}

static void a_gap_that_stays_ends_the_session(void **state)
{
	struct house *house = house_new(&(struct house_options){ .params = "'nop_interval_s':0" });
	struct wire *wire = wire_login(house, "");

	(void)state;
	wire->cmdsn++;
	wire_command(wire, 0x81, 0, test_unit_ready, NULL, 0);
	house_wait_s(house, ISCSI_GAP_S - 1);
	assert_false(wire->terminated);
	house_wait_s(house, 2);
	assert_true(wire->freed);
	house_free(house);
}

static void the_window_closes_and_opens_with_the_commands(void **state)
{
	struct house *house = house_new(&(struct house_options){ .params = "'queue_depth':4" });
	struct wire *wire = wire_login(house, "");

	(void)state;
	house_rules(house, "[{\"op\": \"read\", \"count\": 0, \"hold\": true}]");
	for (int i = 0; i < 4; i++)
		wire_read10(wire, 0, 1);
	house_until_held(house, 4);
	assert_int_equal(wire->connection->session->maxcmdsn, wire->connection->session->expcmdsn - 1);
	wire_read10(wire, 0, 1); /* outside */
	wire_nothing(wire);
	wire->cmdsn--;
	house_release(house);
	for (int i = 0; i < 4; i++)
		wire_expect(wire, ISCSI_DATA_IN);
	wire_read10(wire, 0, 1);
	wire_expect(wire, ISCSI_DATA_IN);
	house_free(house);
}

/* A command that is answered with a Reject leaves the window as wide as it was. */
static void rejected_commands_do_not_close_the_window(void **state)
{
	struct house *house = house_new(&(struct house_options){ .params = "'queue_depth':4" });
	struct wire *wire = wire_login(house, "");

	(void)state;
	for (int i = 0; i < 20; i++) {
		wire_command(wire, 0xe1, 512, cdb10(READ10, 0, 1), NULL, 0);
		assert_int_equal(wire_expect(wire, ISCSI_REJECT)->bhs[2], ISCSI_REJECT_INVALID_FIELD);
	}
	wire_response(wire, wire_command(wire, 0x81, 0, test_unit_ready, NULL, 0), SCSI_GOOD);
	assert_int_equal(wire->connection->session->maxcmdsn, wire->connection->session->expcmdsn + 3);
	house_free(house);
}

static void immediate_commands_are_answered_beside_the_window_but_not_without_end(void **state)
{
	struct house *house = house_new(&(struct house_options){ .params = "'queue_depth':4" });
	struct wire *wire = wire_login(house, "");
	uint8_t bhs[ISCSI_BHS_BYTES];

	(void)state;
	house_rules(house, "[{\"op\": \"read\", \"count\": 0, \"hold\": true}]");
	for (unsigned i = 0; i < ISCSI_IMMEDIATE_MAX + 5; i++) {
		command_init(wire, bhs, 0xc1, 512, cdb10(READ10, 0, 1));
		wire->cmdsn--;
		bhs[0] |= 0x40;
		wire_send(wire, bhs, NULL, 0);
	}
	for (int i = 0; i < 5; i++)
		assert_int_equal(wire_expect(wire, ISCSI_REJECT)->bhs[2], ISCSI_REJECT_IMMEDIATE);
	wire_nothing(wire);
	house_release(house);
	for (unsigned i = 0; i < ISCSI_IMMEDIATE_MAX; i++)
		wire_expect(wire, ISCSI_DATA_IN);
	house_free(house);
}

static void a_task_tag_in_use_is_rejected_and_free_again_after_the_response(void **state)
{
	struct house *house = house_new(NULL);
	struct wire *wire = wire_login(house, "");
	uint32_t itt;

	(void)state;
	house_rules(house, "[{\"op\": \"read\", \"hold\": true}]");
	itt = wire_read10(wire, 0, 1);
	house_until_held(house, 1);
	wire->itt = itt;
	wire_read10(wire, 0, 1);
	assert_int_equal(wire_expect(wire, ISCSI_REJECT)->bhs[2], ISCSI_REJECT_TASK_IN_PROGRESS);
	house_release(house);
	wire_expect(wire, ISCSI_DATA_IN);
	wire->itt = itt;
	wire_read10(wire, 0, 1);
	wire_expect(wire, ISCSI_DATA_IN);
	wire->itt = ISCSI_NO_TAG;
	wire_read10(wire, 0, 1);
	assert_int_equal(wire_expect(wire, ISCSI_REJECT)->bhs[2], ISCSI_REJECT_INVALID_FIELD);
	house_free(house);
}

/* --- residuals (RFC 7143 11.4.5) --- */

static void residuals_say_what_was_not_moved(void **state)
{
	static const struct {
		uint8_t flags;
		uint32_t edtl;
		uint16_t blocks;
		uint8_t opcode, residual_flag;
		uint32_t residual, comes;
	} cases[] = {
		{ 0xc1, 4096, 8, READ10, 0, 0, 4096 },
		{ 0xc1, 512, 9, READ10, 4, 4096, 512 },
		{ 0xc1, 8192, 8, READ10, 2, 4096, 4096 },
		{ 0xc1, UINT32_MAX, 1, READ10, 2, UINT32_MAX - 512, 512 },
		{ 0xc1, 0, 1, READ10, 4, 512, 0 },
		{ 0xc1, 512, 0, READ10, 2, 512, 0 },
		{ 0x81, 4096, 1, READ10, 4, 512, 0 },
		{ 0xa1, 0, 1, WRITE10, 4, 512, 0 },
		{ 0xa1, 512, 2, WRITE10, 4, 512, 0 },
		{ 0xa1, 1024, 1, WRITE10, 2, 512, 0 },
		{ 0xc1, 77, 0, 0, 2, 77, 0 },
		{ 0xa1, 512, 0, 0, 2, 512, 0 },
	};
	struct house *house = house_new(NULL);
	struct wire *wire = wire_login(house, "");
	uint8_t data[4096] = { 0 };

	(void)state;
	for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		bool write = cases[i].flags & 0x20;
		struct came *came;

		wire_command(wire, cases[i].flags, cases[i].edtl, cdb10(cases[i].opcode, 0, cases[i].blocks), data,
			     write ? cases[i].edtl : 0);
		came = wire_expect(wire, cases[i].comes ? ISCSI_DATA_IN : ISCSI_SCSI_RESPONSE);
		if (came->data_bytes != cases[i].comes || (came->bhs[1] & 6) != cases[i].residual_flag ||
		    get_be32(came->bhs + 44) != cases[i].residual || came->bhs[3] != SCSI_GOOD)
			fail_msg("case %u: %u bytes, flags 0x%02x, residual %u, status 0x%02x", i, came->data_bytes, came->bhs[1],
				 get_be32(came->bhs + 44), came->bhs[3]);
	}
	house_free(house);
}

/* --- what is refused --- */

static bool initiators_may_send(unsigned opcode)
{
	return opcode <= ISCSI_LOGOUT_REQUEST || opcode == ISCSI_SNACK_REQUEST;
}

/* One PDU of nearly nothing, before login and after it. */
static void try_opcode(struct house *house, uint8_t opcode, uint8_t flags)
{
	struct wire *fresh = wire_new(house, 0), *wire = wire_login(house, "");
	unsigned before = wire->came_count;
	uint8_t bhs[ISCSI_BHS_BYTES];

	header_init(bhs, opcode | (flags & 0x40), flags, 0x77, 1);
	if (opcode != ISCSI_LOGIN_REQUEST) {
		wire_send(fresh, bhs, NULL, 0);
		house_turn(house);
		assert_true(fresh->freed);
	}
	put_be32(bhs + 24, wire->cmdsn);
	wire_send(wire, bhs, NULL, 0);
	house_turn(house);
	if (initiators_may_send(opcode))
		return;
	assert_false(wire->terminated);
	assert_int_equal(wire->came_count, before + 1);
	assert_int_equal(wire->came[before].bhs[0], ISCSI_REJECT);
	assert_int_equal(wire->came[before].bhs[2], ISCSI_REJECT_NOT_SUPPORTED);
}

static void every_opcode_is_answered_rejected_or_closed_in_every_phase(void **state)
{
	struct house *house = NULL;

	(void)state;
	for (unsigned opcode = 0; opcode < 64; opcode++) {
		if (opcode % 16 == 0 && house)
			house_free(house);
		if (opcode % 16 == 0)
			house = house_new(NULL);
		for (unsigned flags = 0; flags < 256; flags += 51)
			try_opcode(house, (uint8_t)opcode, (uint8_t)flags);
	}
	house_free(house);
}

static void snack_is_rejected_at_error_recovery_level_0(void **state)
{
	struct house *house = house_new(NULL);
	struct wire *wire = wire_login(house, "");
	uint8_t bhs[ISCSI_BHS_BYTES];

	(void)state;
	for (uint8_t type = 0; type < 16; type++) {
		header_init(bhs, ISCSI_SNACK_REQUEST, 0x80 | type, 0x55, 0);
		put_be32(bhs + 44, UINT32_MAX);
		wire_send(wire, bhs, NULL, 0);
		assert_int_equal(wire_expect(wire, ISCSI_REJECT)->bhs[2], ISCSI_REJECT_SNACK);
	}
	house_free(house);
}

static void an_additional_header_segment_is_taken_only_where_it_belongs(void **state)
{
	struct house *house = house_new(NULL);
	struct wire *wire = wire_login(house, ""), *other = wire_login(house, ""), *bad = wire_login(house, "");
	uint8_t header[ISCSI_BHS_BYTES + 1024] = { 0 };

	(void)state;
	command_init(wire, header, 0x81, 0, test_unit_ready);
	header[32] = 0x7f; /* a variable length CDB that we do not know */
	header[39] = 24;
	header[4] = 5;
	put_be16(header + 48, 17); /* Extended CDB: 16 more bytes and one reserved */
	header[50] = 1;
	wire_send(wire, header, NULL, 0);
	assert_int_equal(wire_expect(wire, ISCSI_SCSI_RESPONSE)->bhs[3], SCSI_CHECK_CONDITION);
	header_init(header, ISCSI_NOP_OUT, 0x80, 1, other->cmdsn);
	header[4] = 1;
	wire_send(other, header, NULL, 0);
	house_turn(house);
	assert_true(other->freed);
	memset(header, 0, sizeof header);
	command_init(bad, header, 0x81, 0, test_unit_ready);
	header[4] = 1; /* its length says 0 */
	wire_send(bad, header, NULL, 0);
	house_turn(house);
	assert_true(bad->freed);
	assert_false(wire->terminated);
	house_free(house);
}

static void data_longer_than_we_declared_closes_before_it_is_read(void **state)
{
	struct house *house = house_new(&(struct house_options){ .params = "'max_recv_data_segment_bytes':8192" });
	struct wire *wire = wire_login(house, "");
	uint8_t bhs[ISCSI_BHS_BYTES];

	(void)state;
	header_init(bhs, 0x40, 0x80, 1, wire->cmdsn);
	put_be24(bhs + 5, 8193);
	wire->mover.sink.list = NULL;
	assert_int_equal(iscsi_receive_header(wire->connection, bhs), ISCSI_RECEIVE_CLOSED);
	house_turn(house);
	assert_true(wire->freed);
	house_free(house);
}

static void a_lun_that_is_not_there_is_a_check_condition(void **state)
{
	static const uint64_t luns[] = { UINT64_MAX, UINT64_C(0xc000000000000000), UINT64_C(0x0007000000000000),
					 UINT64_C(0x4000000100000000) };
	struct house *house = house_new(NULL);
	struct wire *wire = wire_login(house, "");

	(void)state;
	for (unsigned i = 0; i < sizeof luns / sizeof luns[0]; i++) {
		uint8_t bhs[ISCSI_BHS_BYTES];
		struct came *came;

		command_init(wire, bhs, 0xc1, 512, cdb10(READ10, 0, 1));
		put_be64(bhs + 8, luns[i]);
		wire_send(wire, bhs, NULL, 0);
		came = wire_expect(wire, ISCSI_SCSI_RESPONSE);
		assert_int_equal(came->bhs[3], SCSI_CHECK_CONDITION);
		assert_int_equal(get_be16(came->data + 2 + 12), 0x2500);
	}
	house_free(house);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_read_is_sent_from_the_memory_that_the_store_filled),
		cmocka_unit_test(a_read_allocates_nothing),
		cmocka_unit_test(commands_outside_the_window_are_ignored),
		cmocka_unit_test(the_sequence_numbers_wrap),
		cmocka_unit_test(what_comes_ahead_of_a_gap_waits_for_it),
		cmocka_unit_test(a_gap_that_stays_ends_the_session),
		cmocka_unit_test(the_window_closes_and_opens_with_the_commands),
		cmocka_unit_test(rejected_commands_do_not_close_the_window),
		cmocka_unit_test(immediate_commands_are_answered_beside_the_window_but_not_without_end),
		cmocka_unit_test(a_task_tag_in_use_is_rejected_and_free_again_after_the_response),
		cmocka_unit_test(residuals_say_what_was_not_moved),
		cmocka_unit_test(every_opcode_is_answered_rejected_or_closed_in_every_phase),
		cmocka_unit_test(snack_is_rejected_at_error_recovery_level_0),
		cmocka_unit_test(an_additional_header_segment_is_taken_only_where_it_belongs),
		cmocka_unit_test(data_longer_than_we_declared_closes_before_it_is_read),
		cmocka_unit_test(a_lun_that_is_not_there_is_a_check_condition),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
