/* Task management: no answer before every task that is concerned is quiet, in whichever reactor it runs. */
#include "tests/unit/iscsi/full_feature_fixture.h"

enum { ABORT_TASK = 1, ABORT_TASK_SET = 2, CLEAR_TASK_SET = 4, LU_RESET = 5, WARM_RESET = 6, COLD_RESET = 7 };

static uint8_t data[8192];

static const char hold_reads[] = "[{\"op\": \"read\", \"count\": 0, \"hold\": true}]";
static const char hold_writes[] = "[{\"op\": \"write\", \"count\": 0, \"hold\": true}]";

/* A session in the second reactor. */
static struct wire *login_elsewhere(struct house *house, uint8_t isid)
{
	struct wire *wire = wire_login_as(house, 1, isid, NORMAL_NAMES, "");

	wire_settle(wire);
	return wire;
}

static void abort_task_is_answered_when_the_store_is_through(void **state)
{
	struct house *house = house_new(NULL);
	struct wire *wire = wire_login(house, "");
	uint32_t itt, tmf;

	(void)state;
	house_rules(house, hold_writes);
	itt = wire_write10(wire, 0, 1, data, 512);
	house_until_held(house, 1);
	tmf = wire_task_management(wire, ABORT_TASK, 0, itt, wire->cmdsn - 1);
	wire_nothing(wire);
	house_release(house);
	wire_task_response(wire, tmf, 0);
	wire_nothing(wire); /* an aborted task is not answered */
	wire_response(wire, wire_command(wire, 0x81, 0, test_unit_ready, NULL, 0), SCSI_GOOD);
	assert_int_equal(house_tasks(house), 0);
	house_free(house);
}

static void abort_task_of_a_write_that_waits_for_data_is_answered_at_once(void **state)
{
	struct house *house = house_new(NULL);
	struct wire *wire = wire_login(house, "ImmediateData=No\nInitialR2T=Yes");
	uint32_t itt = wire_write10(wire, 0, 8, NULL, 0), tmf;
	struct came *r2t = wire_expect(wire, ISCSI_R2T);

	(void)state;
	tmf = wire_task_management(wire, ABORT_TASK, 0, itt, wire->cmdsn - 1);
	wire_task_response(wire, tmf, 0);
	wire_answer_r2t(wire, r2t, data); /* was under way: no error */
	wire_nothing(wire);
	assert_false(wire->terminated);
	assert_int_equal(house->store_writes, 0);
	house_free(house);
}

/* An R2T that is reported as sent late, after its data came: the task executes, and must not be freed by the report. */
static void an_aborted_task_lives_as_long_as_the_store_works_on_it(void **state)
{
	struct house *house = house_new(NULL);
	struct wire *wire = wire_login(house, "ImmediateData=No\nInitialR2T=Yes");
	uint32_t itt, tmf;

	(void)state;
	house_rules(house, hold_writes);
	wire->keep = true;
	itt = wire_write10(wire, 0, 8, NULL, 0);
	wire_answer_r2t(wire, wire_expect(wire, ISCSI_R2T), data);
	house_until_held(house, 1);
	tmf = wire_task_management(wire, ABORT_TASK, 0, itt, wire->cmdsn - 1);
	wire->keep = false;
	wire_nothing(wire);
	assert_int_equal(house_tasks(house), 1);
	house_release(house);
	wire_task_response(wire, tmf, 0);
	assert_int_equal(house_tasks(house), 0);
	house_free(house);
}

static void abort_task_during_the_data_of_a_write_discards_the_rest(void **state)
{
	struct house *house = house_new(NULL);
	struct wire *wire = wire_login(house, "");
	uint8_t bhs[ISCSI_BHS_BYTES];

	(void)state;
	command_init(wire, bhs, 0xa1, 8192, cdb10(WRITE10, 0, 16));
	put_be24(bhs + 5, 8192);
	assert_int_equal(iscsi_receive_header(wire->connection, bhs), ISCSI_RECEIVE_OK);
	assert_non_null(wire->mover.sink.list);
	iscsi_session_abort_tasks(wire->connection->session, NULL);
	assert_null(wire->mover.sink.list);
	assert_int_equal(iscsi_receive_done(wire->connection), ISCSI_RECEIVE_OK);
	wire_nothing(wire);
	wire_response(wire, wire_command(wire, 0x81, 0, test_unit_ready, NULL, 0), SCSI_GOOD);
	house_free(house);
}

/* RFC 7143 11.5.5, 4.2.3.3: the command has not come yet: its CmdSN is taken out of the sequence. */
static void abort_task_fills_the_gap_of_a_command_that_has_not_come(void **state)
{
	struct house *house = house_new(NULL);
	struct wire *wire = wire_login(house, "");
	uint32_t missing = wire->cmdsn++, itt = wire_command(wire, 0x81, 0, test_unit_ready, NULL, 0), tmf;

	(void)state;
	wire_nothing(wire);
	tmf = wire_task_management(wire, ABORT_TASK, 0, 0x9999, missing);
	wire_task_response(wire, tmf, 0);
	wire_response(wire, itt, SCSI_GOOD);
	wire->cmdsn = missing; /* it comes after all: ignored */
	wire_command(wire, 0x81, 0, test_unit_ready, NULL, 0);
	wire_nothing(wire);
	house_free(house);
}

static void functions_that_concern_nothing_are_answered_with_why(void **state)
{
	struct house *house = house_new(NULL);
	struct wire *wire = wire_login(house, "");
	uint64_t no_lun = UINT64_C(7) << 48;

	(void)state;
	wire_task_response(wire, wire_task_management(wire, ABORT_TASK, 0, 0x9999, wire->cmdsn + 5), 1);
	wire_task_response(wire, wire_task_management(wire, ABORT_TASK, 0, 0x9999, wire->cmdsn - 5), 1);
	wire_task_response(wire, wire_task_management(wire, ABORT_TASK, no_lun, 0x9999, 0), 2);
	wire_task_response(wire, wire_task_management(wire, LU_RESET, no_lun, 0, 0), 2);
	wire_task_response(wire, wire_task_management(wire, LU_RESET, UINT64_MAX, 0, 0), 2);
	wire_task_response(wire, wire_task_management(wire, 3, 0, 0, 0), 5);
	wire_task_response(wire, wire_task_management(wire, 8, 0, 0, 0), 4);
	for (unsigned function = 9; function < 128; function += 7)
		wire_task_response(wire, wire_task_management(wire, (uint8_t)function, 0, 0, 0), 5);
	wire_task_response(wire, wire_task_management(wire, 0, 0, 0, 0), 5);
	house_free(house);
}

static void abort_task_set_concerns_one_session_and_one_lun(void **state)
{
	struct house *house = house_new(NULL);
	struct wire *wire = wire_login(house, ""), *other = login_elsewhere(house, 77);
	uint8_t bhs[ISCSI_BHS_BYTES];
	uint32_t tmf, mine;

	(void)state;
	house_rules(house, hold_reads);
	wire_read10(wire, 0, 1);
	wire_read10(wire, 8, 1);
	command_init(wire, bhs, 0xc1, 512, cdb10(READ10, 0, 1));
	put_be64(bhs + 8, UINT64_C(1) << 48);
	mine = bhs_itt(bhs);
	wire_send(wire, bhs, NULL, 0);
	wire_read10(other, 0, 1);
	house_until_held(house, 4);
	tmf = wire_task_management(wire, ABORT_TASK_SET, 0, 0, 0);
	wire_nothing(wire);
	house_release(house);
	assert_int_equal(bhs_itt(wire_next(wire)->bhs) == tmf ? bhs_itt(wire_next(wire)->bhs) : mine, mine);
	wire->read_at = wire->came_count;
	wire_expect(other, ISCSI_DATA_IN);
	house_free(house);
}

static void a_lun_reset_waits_for_the_tasks_of_every_session(void **state)
{
	struct house *house = house_new(NULL);
	struct wire *wire = wire_login(house, ""), *other = login_elsewhere(house, 77);
	uint32_t tmf, late;
	struct came *came;

	(void)state;
	house_rules(house, hold_writes);
	wire_write10(other, 0, 1, data, 512);
	wire_write10(wire, 1, 1, data, 512);
	house_until_held(house, 2);
	tmf = wire_task_management(wire, LU_RESET, 0, 0, 0);
	wire_nothing(wire);
	wire_nothing(other);
	house_release(house);
	wire_task_response(wire, tmf, 0);
	wire_nothing(wire);
	late = wire_command(other, 0x81, 0, test_unit_ready, NULL, 0);
	came = wire_response(other, late, SCSI_CHECK_CONDITION); /* and not for the aborted write */
	assert_int_equal(came->data[2 + 2], 6);
	assert_int_equal(came->data[2 + 12], 0x29);
	came = wire_response(wire, wire_command(wire, 0x81, 0, test_unit_ready, NULL, 0), SCSI_CHECK_CONDITION);
	assert_int_equal(came->data[2 + 12], 0x29);
	house_free(house);
}

/* An R2T that its peer does not take did that: for 30 s no reset of the LU was answered to anybody. */
static void a_session_that_does_not_read_keeps_no_reset_waiting(void **state)
{
	struct house *house = house_new(NULL);
	struct wire *wire = wire_login(house, ""), *deaf = wire_login(house, "");

	(void)state;
	wire_settle(wire);
	wire_settle(deaf);
	deaf->stuck = true;
	wire_write10(deaf, 0, 1, NULL, 0);
	wire_task_response(wire, wire_task_management(wire, LU_RESET, 0, 0, 0), 0);
	deaf->stuck = false;
	house_free(house);
}

static void two_sessions_reset_at_once_and_both_are_answered(void **state)
{
	struct house *house = house_new(NULL);
	struct wire *wire = wire_login(house, ""), *other = login_elsewhere(house, 77);

	(void)state;
	for (int round = 0; round < 50; round++) {
		uint32_t a, b;

		wire_settle(wire);
		wire_settle(other);
		house_rules(house, hold_writes);
		wire_write10(wire, 0, 1, data, 512);
		wire_write10(other, 1, 1, data, 512);
		house_until_held(house, 2);
		a = wire_task_management(wire, LU_RESET, 0, 0, 0);
		b = wire_task_management(other, LU_RESET, 0, 0, 0);
		wire_nothing(wire);
		wire_nothing(other);
		house_release(house);
		wire_task_response(wire, a, 0);
		wire_task_response(other, b, 0);
		wire_nothing(wire);
		wire_nothing(other);
	}
	house_free(house);
}

static void a_session_that_ends_during_its_reset_leaves_nothing(void **state)
{
	struct house *house = house_new(NULL);
	struct wire *wire = wire_login(house, ""), *other = login_elsewhere(house, 77);

	(void)state;
	house_rules(house, hold_writes);
	wire_write10(other, 0, 1, data, 512);
	wire_write10(wire, 1, 1, data, 512);
	house_until_held(house, 2);
	wire_task_management(wire, LU_RESET, 0, 0, 0);
	house_turn(house);
	iscsi_transport_lost(wire->connection, "gone");
	house_turn(house);
	assert_false(wire->freed); /* its task is still in the store */
	house_release(house);
	assert_true(wire->freed);
	assert_false(other->terminated);
	house_free(house);
}

static void a_cold_reset_ends_every_session_of_the_target(void **state)
{
	struct house *house = house_new(NULL);
	struct wire *wire = wire_login(house, ""), *here = wire_login(house, ""), *there = login_elsewhere(house, 77);
	uint32_t tmf;

	(void)state;
	house_rules(house, hold_reads);
	wire_read10(there, 0, 1);
	house_until_held(house, 1);
	tmf = wire_task_management(wire, COLD_RESET, 0, 0, 0);
	wire_nothing(wire);
	house_release(house);
	wire_task_response(wire, tmf, 0);
	assert_true(here->freed && there->freed && wire->finishing);
	house_wait_s(house, ISCSI_FINISH_S + 1);
	assert_true(wire->freed);
	house_free(house);
}

static void a_warm_reset_tells_every_session(void **state)
{
	struct house *house = house_new(NULL);
	struct wire *wire = wire_login(house, ""), *other = login_elsewhere(house, 77);

	(void)state;
	wire_task_response(wire, wire_task_management(wire, WARM_RESET, 0, 0, 0), 0);
	assert_int_equal(wire_response(other, wire_command(other, 0x81, 0, test_unit_ready, NULL, 0), SCSI_CHECK_CONDITION)->data[14],
			 0x29);
	house_free(house);
}

/* TST 001b: the task set of one I_T nexus. */
static void clear_task_set_clears_that_of_its_own_session(void **state)
{
	struct house *house = house_new(NULL);
	struct wire *wire = wire_login(house, ""), *other = login_elsewhere(house, 77);
	uint32_t tmf;

	(void)state;
	house_rules(house, hold_reads);
	wire_read10(wire, 0, 1);
	wire_read10(other, 0, 1);
	house_until_held(house, 2);
	tmf = wire_task_management(wire, CLEAR_TASK_SET, 0, 0, 0);
	wire_nothing(wire);
	house_release(house);
	wire_task_response(wire, tmf, 0);
	wire_expect(other, ISCSI_DATA_IN);
	wire_response(other, wire_command(other, 0x81, 0, test_unit_ready, NULL, 0), SCSI_GOOD);
	wire_response(wire, wire_command(wire, 0x81, 0, test_unit_ready, NULL, 0), SCSI_GOOD);
	house_free(house);
}

/* A store that hangs: functions pile up, but not without end (B062). */
static void functions_that_wait_are_bounded(void **state)
{
	struct house *house = house_new(NULL);
	struct wire *wire = wire_login(house, "");
	unsigned answers = 0, rejects = 0;
	struct came *came;

	(void)state;
	house_rules(house, hold_reads);
	wire_read10(wire, 0, 1);
	house_until_held(house, 1);
	for (unsigned i = 0; i < 200; i++)
		wire_task_management(wire, LU_RESET, 0, 0, 0);
	while ((came = wire_next(wire)))
		rejects += came->bhs[0] == ISCSI_REJECT && came->bhs[2] == ISCSI_REJECT_IMMEDIATE;
	assert_int_equal(rejects, 200 - ISCSI_IMMEDIATE_MAX);
	house_release(house);
	while ((came = wire_next(wire)))
		answers += came->bhs[0] == ISCSI_TASK_RESPONSE;
	assert_int_equal(answers, ISCSI_IMMEDIATE_MAX);
	house_free(house);
}

/* Commands that are kept, for a gap or for want of buffers, are aborted too, and take their CmdSN with them. */
static void commands_that_are_kept_are_aborted_too(void **state)
{
	struct house *house = house_new(NULL);
	struct wire *wire = wire_login(house, "");
	uint32_t missing = wire->cmdsn++, one = wire_write10(wire, 0, 1, data, 512), other;

	(void)state;
	wire_write10(wire, 0, 1, data, 512);
	wire_task_response(wire, wire_task_management(wire, ABORT_TASK, 0, one, wire->cmdsn - 2), 0);
	wire_task_response(wire, wire_task_management(wire, ABORT_TASK_SET, 0, 0, 0), 0);
	other = wire_command(wire, 0x81, 0, test_unit_ready, NULL, 0);
	wire->cmdsn = missing;
	wire_response(wire, wire_command(wire, 0x81, 0, test_unit_ready, NULL, 0), SCSI_GOOD);
	wire_response(wire, other, SCSI_GOOD);
	assert_int_equal(house->store_writes, 0);
	assert_int_equal(wire->connection->session->maxcmdsn, wire->connection->session->expcmdsn + 127);
	house_free(house);
}

/* The LUN is unmapped and closed while a reset of it is on its way from reactor to reactor. */
static void a_reset_of_a_lun_that_is_closed_meanwhile_touches_nothing(void **state)
{
	struct house *house = house_new(NULL);
	struct wire *wire = wire_login(house, "");
	struct iscsi_config *config;

	(void)state;
	wire_task_management(wire, LU_RESET, UINT64_C(1) << 48, 0, 0); /* waits in mailboxes: no turn was made */
	config = house_config(&(struct house_options){ 0 }, "'0':{'lun':'vol0'}");
	list_remove(&house->lun[1].link);
	iscsi_config_unref(house->node.config);
	house->node.config = config;
	for (unsigned i = 0; i < HOUSE_REACTORS; i++) {
		iscsi_reactor_reconfigure(&house->reactor[i].iscsi, config);
		assert_true(iscsi_reactor_follows(&house->reactor[i].iscsi, config));
	}
	scsi_lu_free(house->lun[1].lu);
	lun_close(house->lun[1].lun);
	house->lun[1].lu = NULL;
	house_turn(house);
	assert_int_equal(wire_expect(wire, ISCSI_TASK_RESPONSE)->bhs[2], 0);
	house_free(house);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(abort_task_is_answered_when_the_store_is_through),
		cmocka_unit_test(abort_task_of_a_write_that_waits_for_data_is_answered_at_once),
		cmocka_unit_test(an_aborted_task_lives_as_long_as_the_store_works_on_it),
		cmocka_unit_test(abort_task_during_the_data_of_a_write_discards_the_rest),
		cmocka_unit_test(abort_task_fills_the_gap_of_a_command_that_has_not_come),
		cmocka_unit_test(functions_that_concern_nothing_are_answered_with_why),
		cmocka_unit_test(abort_task_set_concerns_one_session_and_one_lun),
		cmocka_unit_test(a_lun_reset_waits_for_the_tasks_of_every_session),
		cmocka_unit_test(a_session_that_does_not_read_keeps_no_reset_waiting),
		cmocka_unit_test(two_sessions_reset_at_once_and_both_are_answered),
		cmocka_unit_test(a_session_that_ends_during_its_reset_leaves_nothing),
		cmocka_unit_test(a_cold_reset_ends_every_session_of_the_target),
		cmocka_unit_test(a_warm_reset_tells_every_session),
		cmocka_unit_test(clear_task_set_clears_that_of_its_own_session),
		cmocka_unit_test(functions_that_wait_are_bounded),
		cmocka_unit_test(commands_that_are_kept_are_aborted_too),
		cmocka_unit_test(a_reset_of_a_lun_that_is_closed_meanwhile_touches_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
