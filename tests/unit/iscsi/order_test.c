/* Task attributes: which command starts before which, and that nobody waits for what has ended otherwise. */
#include "dataplane/scsi/internal.h"
#include "tests/unit/iscsi/full_feature_fixture.h"

enum { ABORT_TASK = 1, ABORT_TASK_SET = 2, CLEAR_TASK_SET = 4, LU_RESET = 5 };

static const char hold_reads[] = "[{\"op\": \"read\", \"count\": 0, \"hold\": true}]";
static uint8_t data[65536];

static uint32_t read_as(struct wire *wire, uint8_t attribute)
{
	return wire_command(wire, 0xc0 | attribute, 512, cdb10(READ10, 0, 1), NULL, 0);
}

static uint32_t ready_as(struct wire *wire, uint8_t attribute)
{
	return wire_command(wire, 0x80 | attribute, 0, test_unit_ready, NULL, 0);
}

/* These are answered, GOOD or FUNCTION COMPLETE, in whatever order. */
static void answered(struct wire *wire, const uint32_t *itts, unsigned count)
{
	unsigned found = 0;

	for (unsigned i = 0; i < count; i++) {
		struct came *came = wire_next(wire);

		assert_non_null(came);
		assert_int_equal(came->bhs[2] | came->bhs[3], 0);
		for (unsigned n = 0; n < count; n++)
			found |= bhs_itt(came->bhs) == itts[n] ? 1u << n : 0;
	}
	assert_int_equal(found, (1u << count) - 1);
	wire_nothing(wire);
}

#define ANSWERED(wire, ...)                                                                                            \
	answered(wire, (const uint32_t[]){ __VA_ARGS__ }, sizeof((const uint32_t[]){ __VA_ARGS__ }) / sizeof(uint32_t))

/* SAM-5 8.6, written down a second time: '.' starts, 'w' waits. */
static void the_matrix_is_that_of_sam(void **state)
{
	static const char *const expected[] = {
		/* older:        untagged, simple, ordered, head of queue */
		[SCSI_UNTAGGED] = "..ww", [SCSI_SIMPLE] = "..ww", [SCSI_ORDERED] = "wwww", [SCSI_HEAD_OF_QUEUE] = "....",
	};

	(void)state;
	for (uint8_t newer = 0; newer < 4; newer++)
		for (uint8_t older = 0; older < 4; older++)
			assert_int_equal(scsi_order_waits(newer, older), expected[newer][older] == 'w');
	for (unsigned attribute = 0; attribute < 256; attribute++)
		assert_int_equal(scsi_order_accepts((uint8_t)attribute), attribute < 4);
}

static void every_pair_of_attributes_starts_as_the_matrix_says(void **state)
{
	struct house *house = house_new(NULL);
	struct wire *wire = wire_login(house, "");

	(void)state;
	for (uint8_t newer = 0; newer < 4; newer++)
		for (uint8_t older = 0; older < 4; older++) {
			uint32_t first, second;

			house_rules(house, hold_reads);
			first = read_as(wire, older);
			house_until_held(house, 1);
			second = ready_as(wire, newer);
			if (scsi_order_waits(newer, older))
				wire_nothing(wire);
			else
				wire_response(wire, second, SCSI_GOOD);
			house_release(house);
			assert_int_equal(bhs_itt(wire_expect(wire, ISCSI_DATA_IN)->bhs), first);
			if (scsi_order_waits(newer, older))
				wire_response(wire, second, SCSI_GOOD);
			wire_nothing(wire);
			assert_int_equal(house_tasks(house), 0);
		}
	house_free(house);
}

static void an_ordered_task_waits_for_all_older_ones_and_holds_back_the_younger(void **state)
{
	struct house *house = house_new(NULL);
	struct wire *wire = wire_login(house, "");
	uint32_t ordered, simple, head, second;

	(void)state;
	house_rules(house, hold_reads);
	read_as(wire, SCSI_SIMPLE);
	read_as(wire, SCSI_SIMPLE);
	house_until_held(house, 2);
	ordered = ready_as(wire, SCSI_ORDERED);
	simple = ready_as(wire, SCSI_SIMPLE);
	second = ready_as(wire, SCSI_ORDERED);
	wire_nothing(wire);
	head = ready_as(wire, SCSI_HEAD_OF_QUEUE);
	wire_response(wire, head, SCSI_GOOD); /* at once */
	wire_nothing(wire);
	house_release(house);
	wire_expect(wire, ISCSI_DATA_IN);
	wire_expect(wire, ISCSI_DATA_IN);
	wire_response(wire, ordered, SCSI_GOOD);
	wire_response(wire, simple, SCSI_GOOD);
	wire_response(wire, second, SCSI_GOOD);
	wire_response(wire, ready_as(wire, SCSI_SIMPLE), SCSI_GOOD); /* and all is as before */
	house_free(house);
}

/* TST 001b: a task set for each I_T nexus; and for each LU. */
static void other_sessions_and_luns_are_not_held_back(void **state)
{
	struct house *house = house_new(NULL);
	struct wire *wire = wire_login(house, ""), *other = wire_login(house, "");
	struct wire *elsewhere = wire_login_as(house, 1, 77, NORMAL_NAMES, "");
	uint8_t bhs[ISCSI_BHS_BYTES];

	(void)state;
	wire_settle(elsewhere);
	house_rules(house, hold_reads);
	read_as(wire, SCSI_ORDERED);
	house_until_held(house, 1);
	wire_response(other, ready_as(other, SCSI_ORDERED), SCSI_GOOD);
	wire_response(elsewhere, ready_as(elsewhere, SCSI_ORDERED), SCSI_GOOD);
	command_init(wire, bhs, 0x82, 0, test_unit_ready);
	put_be64(bhs + 8, UINT64_C(1) << 48);
	wire_send(wire, bhs, NULL, 0);
	wire_response(wire, bhs_itt(bhs), SCSI_GOOD);
	house_free(house);
}

/* However many of them there are, the stack does not grow and they end in order. */
static void a_long_row_of_ordered_tasks_ends_in_order(void **state)
{
	struct house *house = house_new(&(struct house_options){ .params = "'queue_depth':512" });
	struct wire *wire = wire_login(house, "");
	uint32_t itt[500];

	(void)state;
	house_rules(house, hold_reads);
	read_as(wire, SCSI_SIMPLE);
	house_until_held(house, 1);
	for (unsigned i = 0; i < 500; i++)
		itt[i] = ready_as(wire, (i + 1) % 3 ? SCSI_ORDERED : SCSI_SIMPLE);
	wire_nothing(wire);
	house_release(house);
	wire_expect(wire, ISCSI_DATA_IN);
	for (unsigned i = 0; i < 500; i++)
		wire_response(wire, itt[i], SCSI_GOOD);
	house_free(house);
}

/* The older write still wants its data, which comes behind the blocked ones in the stream, and the pool is empty. */
static void blocked_tasks_let_the_data_of_older_ones_in(void **state)
{
	struct house *house = house_new(&(struct house_options){ .small = 8, .large = 4 });
	struct wire *wire = wire_login(house, "ImmediateData=Yes\nInitialR2T=Yes\nMaxOutstandingR2T=1");
	uint32_t older = wire_write10(wire, 0, 128, NULL, 0), itt[40];
	struct came *r2t = wire_expect(wire, ISCSI_R2T);

	(void)state;
	for (unsigned i = 0; i < 40; i++)
		itt[i] = wire_command(wire, 0xa2, 8192, cdb10(WRITE10, 16 * i, 16), data, 8192);
	wire_nothing(wire);
	wire_answer_r2t(wire, r2t, data);
	wire_response(wire, older, SCSI_GOOD);
	for (unsigned i = 0; i < 40; i++)
		wire_response(wire, itt[i], SCSI_GOOD);
	house_free(house);
}

/* Whatever ends a task ends the waiting for it, and a task that waits can itself be ended by all of them. */
static void every_way_to_end_tasks_releases_those_that_wait(void **state)
{
	static const uint8_t functions[] = { ABORT_TASK, ABORT_TASK_SET, CLEAR_TASK_SET, LU_RESET };

	(void)state;
	for (unsigned i = 0; i < sizeof functions; i++) {
		struct house *house = house_new(NULL);
		struct wire *wire = wire_login(house, "ImmediateData=No\nInitialR2T=Yes");
		uint32_t older = wire_write10(wire, 0, 8, NULL, 0), blocked, younger, tmf;

		wire_expect(wire, ISCSI_R2T);
		blocked = ready_as(wire, SCSI_ORDERED);
		younger = ready_as(wire, SCSI_SIMPLE);
		wire_nothing(wire);
		tmf = wire_task_management(wire, functions[i], 0, older, wire->cmdsn - 3);
		if (functions[i] == ABORT_TASK)
			ANSWERED(wire, tmf, blocked, younger);
		else
			ANSWERED(wire, tmf);
		assert_int_equal(house_tasks(house), 0);
		house_free(house);
	}
}

static void a_task_that_waits_can_be_aborted(void **state)
{
	struct house *house = house_new(NULL);
	struct wire *wire = wire_login(house, "");
	uint32_t blocked, younger, tmf;

	(void)state;
	house_rules(house, hold_reads);
	read_as(wire, SCSI_SIMPLE);
	house_until_held(house, 1);
	blocked = ready_as(wire, SCSI_ORDERED);
	younger = ready_as(wire, SCSI_SIMPLE);
	wire_nothing(wire);
	tmf = wire_task_management(wire, ABORT_TASK, 0, blocked, wire->cmdsn - 2);
	ANSWERED(wire, tmf, younger); /* it waited for nothing else */
	house_release(house);
	wire_expect(wire, ISCSI_DATA_IN);
	wire_nothing(wire);
	house_free(house);
}

/* An ordered write starts only when the store is through with the aborted one before it. */
static void an_aborted_task_is_waited_for_until_the_store_is_through(void **state)
{
	struct house *house = house_new(NULL);
	struct wire *wire = wire_login(house, "");
	uint32_t older, ordered, tmf;

	(void)state;
	house_rules(house, hold_reads);
	older = read_as(wire, SCSI_SIMPLE);
	house_until_held(house, 1);
	ordered = ready_as(wire, SCSI_ORDERED);
	tmf = wire_task_management(wire, ABORT_TASK, 0, older, wire->cmdsn - 2);
	wire_nothing(wire);
	house_release(house);
	ANSWERED(wire, tmf, ordered);
	house_free(house);
}

static void a_connection_may_end_while_tasks_wait_or_are_about_to_start(void **state)
{
	(void)state;
	for (unsigned released = 0; released < 2; released++) {
		struct house *house = house_new(NULL);
		struct wire *wire = wire_login(house, "");

		house_rules(house, hold_reads);
		read_as(wire, SCSI_SIMPLE);
		house_until_held(house, 1);
		for (unsigned i = 0; i < 10; i++)
			ready_as(wire, i % 4);
		if (released) {
			house_rules(house, NULL);
			store_fault_release(house->store);
			scsi_reactor_flush(&house->reactor[0].iscsi.scsi);
			store_ctx_reap(house->reactor[0].iscsi.scsi.store);
		}
		iscsi_connection_drop(wire->connection, NULL);
		house_free(house);
	}
}

/* RFC 7143 7.8: a write that fails because its data was lost holds nobody back. */
static void a_write_that_lost_data_is_not_waited_for(void **state)
{
	struct house *house = house_new(NULL);
	struct wire *wire = wire_login(house, "ImmediateData=No\nInitialR2T=Yes");
	uint32_t older = wire_write10(wire, 0, 8, NULL, 0), ordered;
	struct came *r2t = wire_expect(wire, ISCSI_R2T);

	(void)state;
	wire_data_out(wire, older, bhs_ttt(r2t->bhs), 1, 0, data, 1024, false);
	ordered = ready_as(wire, SCSI_ORDERED);
	wire_response(wire, ordered, SCSI_GOOD);
	wire_data_out(wire, older, bhs_ttt(r2t->bhs), 2, 1024, data, 3072, true);
	wire_response(wire, older, SCSI_CHECK_CONDITION);
	house_free(house);
}

static void attributes_that_need_aca_or_do_not_exist_are_refused(void **state)
{
	struct house *house = house_new(NULL);
	struct wire *wire = wire_login(house, "");

	(void)state;
	for (uint8_t attribute = SCSI_ACA; attribute < 8; attribute++) {
		struct came *came = wire_response(wire, ready_as(wire, attribute), SCSI_CHECK_CONDITION);

		assert_int_equal(came->data[2 + 2], KEY_ILLEGAL_REQUEST);
		assert_int_equal(get_be16(came->data + 2 + 12), ASC_INVALID_MESSAGE);
	}
	wire_response(wire, ready_as(wire, SCSI_SIMPLE), SCSI_GOOD);
	house_free(house);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_matrix_is_that_of_sam),
		cmocka_unit_test(every_pair_of_attributes_starts_as_the_matrix_says),
		cmocka_unit_test(an_ordered_task_waits_for_all_older_ones_and_holds_back_the_younger),
		cmocka_unit_test(other_sessions_and_luns_are_not_held_back),
		cmocka_unit_test(a_long_row_of_ordered_tasks_ends_in_order),
		cmocka_unit_test(blocked_tasks_let_the_data_of_older_ones_in),
		cmocka_unit_test(every_way_to_end_tasks_releases_those_that_wait),
		cmocka_unit_test(a_task_that_waits_can_be_aborted),
		cmocka_unit_test(an_aborted_task_is_waited_for_until_the_store_is_through),
		cmocka_unit_test(a_connection_may_end_while_tasks_wait_or_are_about_to_start),
		cmocka_unit_test(a_write_that_lost_data_is_not_waited_for),
		cmocka_unit_test(attributes_that_need_aca_or_do_not_exist_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
