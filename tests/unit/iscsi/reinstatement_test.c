/* Sessions that end and begin: reinstatement, loss of the connection, new configurations while commands run. */
#include "tests/unit/iscsi/full_feature_fixture.h"

static uint8_t data[8192];

static const char hold_writes[] = "[{\"op\": \"write\", \"count\": 0, \"hold\": true}]";

/* RFC 7143 6.3.5: an old write must not land behind a new one. */
static void a_new_login_waits_until_the_old_tasks_are_quiet(void **state)
{
	struct house *house = house_new(NULL);
	struct wire *old = wire_login_as(house, 0, 5, NORMAL_NAMES, ""), *new = wire_new(house, 1);
	struct came *came;

	(void)state;
	wire_settle(old);
	house_rules(house, hold_writes);
	wire_write10(old, 0, 1, data, 512);
	house_until_held(house, 1);
	wire_login_request(new, 5, NORMAL_NAMES, "");
	wire_nothing(new);
	assert_true(old->terminated && !old->freed);
	house_release(house);
	came = wire_expect(new, ISCSI_LOGIN_RESPONSE);
	assert_int_equal(get_be16(came->bhs + 36), 0);
	assert_true(old->freed);
	assert_int_equal(house->node.session_count, 1);
	came = wire_response(new, wire_command(new, 0x81, 0, test_unit_ready, NULL, 0), SCSI_CHECK_CONDITION);
	assert_int_equal(get_be16(came->data + 2 + 12) >> 8, 0x29);
	house_free(house);
}

static void a_login_that_waits_too_long_for_the_old_session_ends(void **state)
{
	struct house *house = house_new(&(struct house_options){ .settings = "'login_timeout_s':5" });
	struct wire *old = wire_login_as(house, 0, 5, NORMAL_NAMES, ""), *new = wire_new(house, 1);

	(void)state;
	wire_settle(old);
	house_rules(house, hold_writes);
	wire_write10(old, 0, 1, data, 512);
	house_until_held(house, 1);
	wire_login_request(new, 5, NORMAL_NAMES, "");
	house_wait_s(house, 6);
	assert_true(new->terminated);
	house_release(house);
	assert_true(old->freed && new->freed);
	house_free(house);
}

static void many_logins_with_one_name_leave_one_session(void **state)
{
	struct house *house = house_new(NULL);
	struct wire *wire[20];
	unsigned alive = 0;

	(void)state;
	for (unsigned i = 0; i < 20; i++) {
		wire[i] = wire_new(house, i % HOUSE_REACTORS);
		wire_login_request(wire[i], 5, NORMAL_NAMES, "");
	}
	house_turn(house);
	for (unsigned i = 0; i < 20; i++)
		alive += !wire[i]->terminated;
	assert_int_equal(alive, 1);
	assert_int_equal(house->node.session_count, 1);
	house_free(house);
}

static void another_name_isid_or_discovery_reinstates_nobody(void **state)
{
	struct house *house = house_new(NULL);
	struct wire *mine = wire_login_as(house, 0, 5, NORMAL_NAMES, "");

	(void)state;
	wire_login_as(house, 0, 6, NORMAL_NAMES, "");
	wire_login_as(house, 0, 5, "InitiatorName=" INITIATOR "x\nSessionType=Normal\nTargetName=" TARGET, "");
	wire_login_as(house, 0, 5, DISCOVERY, "");
	wire_login_as(house, 0, 5, DISCOVERY, "");
	assert_false(mine->terminated);
	assert_int_equal(house->node.session_count, 5);
	house_free(house);
}

static void a_session_that_does_not_exist_cannot_be_joined(void **state)
{
	struct house *house = house_new(NULL);
	struct wire *mine = wire_login_as(house, 0, 5, NORMAL_NAMES, ""), *wire = wire_new(house, 0);
	uint8_t bhs[ISCSI_BHS_BYTES];
	static const char text[] = "InitiatorName=" INITIATOR "\0SessionType=Normal\0TargetName=" TARGET;

	(void)state;
	header_init(bhs, 0x43, 0x87, 1, 1);
	memcpy(bhs + 8, "\x00\x02\x3d\x01\x02\x05\x77\x77", 8);
	put_be32(bhs + 20, 0x10000);
	wire_send(wire, bhs, text, sizeof text);
	assert_int_equal(get_be16(wire_expect(wire, ISCSI_LOGIN_RESPONSE)->bhs + 36), 0x020a);
	wire = wire_new(house, 0);
	put_be16(bhs + 14, mine->connection->session->tsih);
	wire_send(wire, bhs, text, sizeof text);
	assert_int_equal(get_be16(wire_expect(wire, ISCSI_LOGIN_RESPONSE)->bhs + 36), 0x0206);
	assert_false(mine->terminated);
	house_free(house);
}

/* --- loss --- */

static void a_lost_connection_gives_everything_back_when_its_tasks_are_quiet(void **state)
{
	struct house *house = house_new(NULL);
	struct wire *wire = wire_login(house, "ImmediateData=Yes\nInitialR2T=No");
	uint8_t bhs[ISCSI_BHS_BYTES];

	(void)state;
	house_rules(house, "[{\"count\": 0, \"hold\": true}]");
	wire_read10(wire, 0, 8);
	wire_write10(wire, 0, 1, data, 512);
	wire_write10(wire, 8, 8, data, 512);                             /* R2T */
	wire_command(wire, 0x21, 4096, cdb10(WRITE10, 0, 8), data, 512); /* unsolicited data to come */
	wire->cmdsn++;
	wire_write10(wire, 16, 1, data, 512);                            /* ahead of a gap */
	house_until_held(house, 2);
	command_init(wire, bhs, 0xa1, 4096, cdb10(WRITE10, 0, 8));
	put_be24(bhs + 5, 4096);
	put_be32(bhs + 24, wire->connection->session->expcmdsn);
	assert_int_equal(iscsi_receive_header(wire->connection, bhs), ISCSI_RECEIVE_OK); /* in the middle of its data */
	iscsi_transport_lost(wire->connection, "gone");
	house_turn(house);
	assert_false(wire->freed);
	assert_int_equal(wire->connection->session->task_count, 2);
	house_release(house);
	assert_true(wire->freed);
	assert_int_equal(house->node.session_count, 0);
	assert_int_equal(house->reactor[0].iscsi.held_bytes, 0);
	house_free(house);
}

static void login_ends_at_its_deadline_however_often_something_comes(void **state)
{
	struct house *house = house_new(&(struct house_options){ .settings = "'login_timeout_s':5" });
	struct wire *silent = wire_new(house, 0), *slow = wire_new(house, 0);
	uint8_t bhs[ISCSI_BHS_BYTES];

	(void)state;
	for (int i = 0; i < 5; i++) {
		header_init(bhs, 0x43, i ? 0x04 : 0x44, 1, 1);
		put_be32(bhs + 20, 0x10000);
		wire_send(slow, bhs, i ? "" : "InitiatorName=" INITIATOR, i ? 0 : sizeof "InitiatorName=" INITIATOR);
		house_wait_s(house, 1);
	}
	house_wait_s(house, 1);
	assert_true(silent->freed && slow->freed);
	house_free(house);
}

/* --- new configurations --- */

static void put_in_force(struct house *house, struct iscsi_config *config)
{
	pthread_mutex_lock(&house->node.lock);
	iscsi_config_unref(house->node.config);
	house->node.config = config;
	pthread_mutex_unlock(&house->node.lock);
	for (unsigned i = 0; i < HOUSE_REACTORS; i++)
		iscsi_reactor_reconfigure(&house->reactor[i].iscsi, config);
}

static bool all_follow(struct house *house)
{
	house_turn(house);
	for (unsigned i = 0; i < HOUSE_REACTORS; i++)
		if (!iscsi_reactor_follows(&house->reactor[i].iscsi, house->node.config))
			return false;
	return true;
}

static void an_unmapped_lun_waits_for_its_commands_and_others_go_on(void **state)
{
	static const struct house_options options;
	struct house *house = house_new(NULL);
	struct wire *wire = wire_login(house, "");
	uint8_t bhs[ISCSI_BHS_BYTES];
	uint32_t stays, waits;

	(void)state;
	house_rules(house, "[{\"op\": \"read\", \"count\": 0, \"hold\": true}]");
	stays = wire_read10(wire, 0, 1);
	command_init(wire, bhs, 0xc1, 512, cdb10(READ10, 0, 1));
	put_be64(bhs + 8, UINT64_C(1) << 48);
	wire_send(wire, bhs, NULL, 0);
	house_until_held(house, 2);
	put_in_force(house, house_config(&options, "'0':{'lun':'vol0'}"));
	assert_false(all_follow(house));
	waits = wire_command(wire, 0x81, 0, test_unit_ready, NULL, 0);
	wire_nothing(wire);
	house_release(house);
	assert_true(all_follow(house));
	assert_int_equal(bhs_itt(wire_expect(wire, ISCSI_DATA_IN)->bhs), stays);
	assert_int_equal(get_be16(wire_response(wire, waits, SCSI_CHECK_CONDITION)->data + 14), 0x3f0e);
	put_be32(bhs + 24, wire->cmdsn++);
	wire_send(wire, bhs, NULL, 0);
	assert_int_equal(get_be16(wire_response(wire, bhs_itt(bhs), SCSI_CHECK_CONDITION)->data + 14), 0x2500);
	house_free(house);
}

/* What the nexus knew of a LUN goes with its number, and the commands under that number must not outlive it. */
static void commands_to_a_lun_that_changes_its_number_are_aborted(void **state)
{
	static const struct house_options options;
	struct house *house = house_new(NULL);
	struct wire *wire = wire_login(house, "");

	(void)state;
	house_rules(house, hold_writes);
	wire_write10(wire, 0, 1, data, 512);
	wire_write10(wire, 8, 8, data, 512); /* its data is still to come */
	house_until_held(house, 1);
	put_in_force(house, house_config(&options, "'0':{'lun':'vol1'},'1':{'lun':'vol0'}"));
	assert_false(all_follow(house));
	house_release(house);
	assert_true(all_follow(house));
	assert_int_equal(house_tasks(house), 0);
	wire->read_at = wire->came_count;
	wire_settle(wire);
	house_free(house);
}

/* The first of them ends at once, for no I/O of it is under way. */
static void no_command_outlives_an_unmapped_lun_when_another_ends_at_once(void **state)
{
	static const struct house_options options;
	struct house *house = house_new(NULL);
	struct wire *wire = wire_login(house, "InitialR2T=Yes");
	struct came *r2t[3];
	uint8_t bhs[ISCSI_BHS_BYTES];

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		command_init(wire, bhs, 0xa1, 4096, cdb10(WRITE10, 0, 8));
		put_be64(bhs + 8, UINT64_C(1) << 48);
		wire_send(wire, bhs, NULL, 0);
		r2t[i] = wire_expect(wire, ISCSI_R2T);
	}
	put_in_force(house, house_config(&options, "'0':{'lun':'vol0'}"));
	assert_int_equal(house_tasks(house), 0);
	assert_true(all_follow(house));
	for (unsigned i = 0; i < 3; i++)
		wire_answer_r2t(wire, r2t[i], data);
	wire_nothing(wire);
	assert_false(wire->terminated);
	house_free(house);
}

/* A READ of LUN 1 whose answer stays in the transport. */
static void read_that_sticks(struct wire *wire)
{
	uint8_t bhs[ISCSI_BHS_BYTES];

	wire->stuck = true;
	command_init(wire, bhs, 0xc1, 512, cdb10(READ10, 0, 1));
	put_be64(bhs + 8, UINT64_C(1) << 48);
	wire_send(wire, bhs, NULL, 0);
	house_turn(wire->house);
}

static void a_read_whose_answer_is_not_sent_yet_does_not_outlive_an_unmapped_lun(void **state)
{
	static const struct house_options options;
	struct house *house = house_new(NULL);
	struct wire *wire = wire_login(house, "");
	struct iscsi_config *first = iscsi_config_ref(house->node.config); /* the connection's portal is in it */

	(void)state;
	read_that_sticks(wire);
	put_in_force(house, house_config(&options, "'0':{'lun':'vol0'}"));
	assert_true(all_follow(house));
	put_in_force(house, house_config(&options, "'3':{'lun':'vol0'}")); /* and once more, with that one still there */
	assert_true(all_follow(house));
	wire->stuck = false;
	wire_expect(wire, ISCSI_DATA_IN);
	house_free(house);
	iscsi_config_unref(first);
}

/* Found by fuzzing whole sessions; a sanitizer sees it. */
static void a_reset_does_not_look_at_the_unmapped_lun_of_a_command_that_is_answered(void **state)
{
	static const struct house_options options;
	struct house *house = house_new(NULL);
	struct wire *wire = wire_login(house, ""), *other = wire_login(house, "");
	struct iscsi_config *first = iscsi_config_ref(house->node.config); /* the connections' portal is in it */

	(void)state;
	read_that_sticks(wire);
	put_in_force(house, house_config(&options, "'0':{'lun':'vol0'}"));
	assert_true(all_follow(house));
	wire_task_response(other, wire_task_management(other, 5, 0, ISCSI_NO_TAG, 0), 0);
	wire->stuck = false;
	wire_expect(wire, ISCSI_DATA_IN);
	house_free(house);
	iscsi_config_unref(first);
}

static void the_same_luns_change_nothing(void **state)
{
	static const struct house_options options = { .params = "'queue_depth':7" };
	struct house *house = house_new(NULL);
	struct wire *wire = wire_login(house, "");

	(void)state;
	put_in_force(house, house_config(&options, HOUSE_ALL_LUNS));
	assert_true(all_follow(house));
	wire_response(wire, wire_command(wire, 0x81, 0, test_unit_ready, NULL, 0), SCSI_GOOD);
	house_free(house);
}

static void a_session_that_is_admitted_no_more_ends(void **state)
{
	struct house *house = house_new(NULL);
	struct wire *wire = wire_login(house, ""), *discovery = wire_login_as(house, 1, 9, DISCOVERY, "");

	(void)state;
	house_rules(house, hold_writes);
	wire_write10(wire, 0, 1, data, 512);
	house_until_held(house, 1);
	put_in_force(house, config_of_quoted("{'portals':{'default':{'address':'127.0.0.1:3260','tag':1}},'targets':{'" TARGET
					     "':{'initiators':{'iqn.a:someone-else':{}},'luns':{'0':{'lun':'vol0'}}}}}"));
	assert_true(wire->terminated);
	assert_false(all_follow(house)); /* its write is still in the store */
	house_release(house);
	assert_true(all_follow(house) && wire->freed);
	assert_false(discovery->terminated);
	house_free(house);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_new_login_waits_until_the_old_tasks_are_quiet),
		cmocka_unit_test(a_login_that_waits_too_long_for_the_old_session_ends),
		cmocka_unit_test(many_logins_with_one_name_leave_one_session),
		cmocka_unit_test(another_name_isid_or_discovery_reinstates_nobody),
		cmocka_unit_test(a_session_that_does_not_exist_cannot_be_joined),
		cmocka_unit_test(a_lost_connection_gives_everything_back_when_its_tasks_are_quiet),
		cmocka_unit_test(login_ends_at_its_deadline_however_often_something_comes),
		cmocka_unit_test(an_unmapped_lun_waits_for_its_commands_and_others_go_on),
		cmocka_unit_test(commands_to_a_lun_that_changes_its_number_are_aborted),
		cmocka_unit_test(no_command_outlives_an_unmapped_lun_when_another_ends_at_once),
		cmocka_unit_test(a_read_whose_answer_is_not_sent_yet_does_not_outlive_an_unmapped_lun),
		cmocka_unit_test(a_reset_does_not_look_at_the_unmapped_lun_of_a_command_that_is_answered),
		cmocka_unit_test(the_same_luns_change_nothing),
		cmocka_unit_test(a_session_that_is_admitted_no_more_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
