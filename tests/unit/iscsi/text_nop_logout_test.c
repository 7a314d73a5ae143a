/* NOP, Text and Logout in the full feature phase. */
#include "tests/unit/iscsi/full_feature_fixture.h"

static uint8_t data[8192];

/* --- NOP --- */

static void wire_ping(struct wire *wire, uint32_t itt, uint32_t ttt, bool immediate, uint32_t bytes)
{
	uint8_t bhs[ISCSI_BHS_BYTES];

	header_init(bhs, immediate ? 0x40 : 0, 0x80, itt, immediate ? wire->cmdsn : wire->cmdsn++);
	put_be32(bhs + 20, ttt);
	put_be64(bhs + 8, UINT64_C(0x0001000000000000));
	wire_send(wire, bhs, data, bytes);
}

static void a_ping_is_echoed_as_far_as_the_initiator_takes_it(void **state)
{
	static const uint32_t sizes[] = { 0, 1, 2, 3, 4, 511, 512, 513, 8192 };
	struct house *house = house_new(NULL);
	struct wire *wire = wire_login(house, "MaxRecvDataSegmentLength=512");

	(void)state;
	pattern(data, sizeof data, 1);
	for (unsigned i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		struct came *came;

		wire_ping(wire, 0x900 + i, ISCSI_NO_TAG, i % 2, sizes[i]);
		came = wire_expect(wire, ISCSI_NOP_IN);
		assert_int_equal(bhs_itt(came->bhs), 0x900 + i);
		assert_int_equal(bhs_ttt(came->bhs), ISCSI_NO_TAG);
		assert_int_equal(came->data_bytes, sizes[i] < 512 ? sizes[i] : 512);
		assert_memory_equal(came->data, data, came->data_bytes);
	}
	assert_int_equal(sgl_pool_in_use(house->reactor[0].iscsi.scsi.pool), 0);
	house_free(house);
}

static void a_silent_initiator_is_pinged_and_dropped_when_it_does_not_answer(void **state)
{
	struct house *house = house_new(&(struct house_options){ .params = "'nop_interval_s':10,'nop_timeout_s':5" });
	struct wire *answers = wire_login(house, ""), *silent = wire_login(house, ""), *wrong = wire_login(house, "");

	(void)state;
	for (int round = 0; round < 3; round++) {
		struct came *ping;

		house_wait_s(house, 11);
		ping = wire_expect(answers, ISCSI_NOP_IN);
		assert_int_equal(bhs_itt(ping->bhs), ISCSI_NO_TAG);
		assert_int_not_equal(bhs_ttt(ping->bhs), ISCSI_NO_TAG);
		if (round == 0) {
			ping = wire_expect(wrong, ISCSI_NOP_IN);
			wire_ping(wrong, ISCSI_NO_TAG, bhs_ttt(ping->bhs) + 1, true, 0);
			assert_int_equal(wire_expect(wrong, ISCSI_REJECT)->bhs[2], ISCSI_REJECT_INVALID_FIELD);
			ping = &answers->came[answers->read_at - 1];
		}
		wire_ping(answers, ISCSI_NO_TAG, bhs_ttt(ping->bhs), true, 0);
		house_wait_s(house, 6);
		assert_false(answers->terminated);
		assert_true(silent->freed && wrong->freed);
	}
	wire_ping(answers, ISCSI_NO_TAG, 0x77, true, 0); /* a second answer, and one to nothing */
	assert_int_equal(wire_expect(answers, ISCSI_REJECT)->bhs[2], ISCSI_REJECT_INVALID_FIELD);
	wire_ping(answers, ISCSI_NO_TAG, ISCSI_NO_TAG, false, 0);
	assert_int_equal(wire_expect(answers, ISCSI_REJECT)->bhs[2], ISCSI_REJECT_INVALID_FIELD);
	wire_ping(answers, ISCSI_NO_TAG, ISCSI_NO_TAG, true, 0);
	wire_nothing(answers);
	house_free(house);
}

/* As long as we do not read, nobody is blamed for not answering. */
static void a_connection_that_waits_for_buffers_is_not_dropped_for_silence(void **state)
{
	struct house *house = house_new(&(struct house_options){ .params = "'nop_interval_s':10,'nop_timeout_s':5",
								.small = 1, .large = 2 });
	struct wire *holds = wire_login_as(house, 0, 9, NORMAL_NAMES, ""), *waits = wire_login(house, "");

	(void)state;
	wire_settle(holds);
	house_rules(house, "[{\"op\": \"read\", \"count\": 0, \"hold\": true}]");
	wire_read10(holds, 0, 256);
	house_until_held(house, 1);
	wire_read10(waits, 0, 256);
	assert_true(waits->paused);
	for (int i = 0; i < 10; i++)
		house_wait_s(house, 11);
	assert_false(waits->terminated);
	house_release(house);
	wire_expect(waits, ISCSI_DATA_IN);
	house_free(house);
}

/* Nobody pings a discovery session: one whose host is gone would stay for ever. */
static void a_discovery_session_that_asks_for_nothing_ends(void **state)
{
	struct house *house = house_new(NULL);
	struct wire *idle = wire_login_as(house, 0, 1, DISCOVERY_NAMES, "");
	struct wire *busy = wire_login_as(house, 0, 2, DISCOVERY_NAMES, "");

	(void)state;
	for (int i = 0; i < 3; i++) {
		house_wait_s(house, ISCSI_DISCOVERY_IDLE_S - 10);
		wire_ping(busy, 0x900, ISCSI_NO_TAG, true, 0);
		wire_expect(busy, ISCSI_NOP_IN);
	}
	assert_true(idle->freed && !busy->terminated);
	house_free(house);
}

/* --- text --- */

static void wire_text(struct wire *wire, uint8_t flags, uint32_t ttt, const char *text, uint32_t len)
{
	uint8_t bhs[ISCSI_BHS_BYTES];

	header_init(bhs, 0x44, flags, 0x5e, wire->cmdsn);
	put_be32(bhs + 20, ttt);
	wire_send(wire, bhs, text, len);
}

/* Many targets: their list does not fit the initiator's MaxRecvDataSegmentLength. */
static struct iscsi_config *many_targets(unsigned count)
{
	char *text = malloc(256 + count * 128), *at = text;
	struct iscsi_config *config;

	at += sprintf(at, "{\"portals\":{\"default\":{\"address\":\"127.0.0.1:3260\",\"tag\":1}},\"targets\":{");
	for (unsigned i = 0; i < count; i++)
		at += sprintf(at, "%s\"iqn.2026-11.io.lunette:many%u\":{\"open\":true}", i ? "," : "", i);
	sprintf(at, "}}");
	config = config_of(text);
	free(text);
	return config;
}

static void a_long_list_of_targets_comes_in_pieces(void **state)
{
	struct house *house = house_new(NULL);
	struct wire *wire;
	char *whole = calloc(1, 1 << 20);
	unsigned targets = 0, pieces = 1;
	size_t len = 0;
	struct came *came;

	(void)state;
	iscsi_config_unref(house->node.config);
	house->node.config = many_targets(500);
	wire = wire_login_as(house, 0, 1, DISCOVERY, "MaxRecvDataSegmentLength=512");
	wire_text(wire, 0x80, ISCSI_NO_TAG, "SendTargets=All", 16);
	for (;; pieces++) {
		came = wire_expect(wire, ISCSI_TEXT_RESPONSE);
		assert_true(came->data_bytes <= 512);
		memcpy(whole + len, came->data, came->data_bytes);
		len += came->data_bytes;
		if (came->bhs[1] & 0x80)
			break;
		assert_int_equal(came->bhs[1] & 0x40, 0x40);
		assert_int_not_equal(bhs_ttt(came->bhs), ISCSI_NO_TAG);
		wire_text(wire, 0x80, bhs_ttt(came->bhs), NULL, 0);
	}
	assert_int_equal(bhs_ttt(came->bhs), ISCSI_NO_TAG);
	for (char *at = whole; at < whole + len; at += strlen(at) + 1)
		targets += strncmp(at, "TargetName=", 11) == 0;
	assert_int_equal(targets, 500);
	assert_true(pieces > 10);
	free(whole);
	house_free(house);
}

/* The same, asked for in a text that goes on (F=0): no piece is longer than the initiator takes. */
static void the_answer_to_an_unfinished_text_is_cut_too(void **state)
{
	struct house *house = house_new(NULL);
	struct wire *wire;
	struct came *came;

	(void)state;
	iscsi_config_unref(house->node.config);
	house->node.config = many_targets(50);
	wire = wire_login_as(house, 0, 1, DISCOVERY, "MaxRecvDataSegmentLength=512");
	wire_text(wire, 0, ISCSI_NO_TAG, "SendTargets=All", 16);
	do {
		came = wire_expect(wire, ISCSI_TEXT_RESPONSE);
		assert_true(came->data_bytes <= 512);
		assert_int_equal(came->bhs[1] & 0x80, 0);
		if (came->bhs[1] & 0x40)
			wire_text(wire, 0, bhs_ttt(came->bhs), NULL, 0);
	} while (came->bhs[1] & 0x40);
	wire_text(wire, 0x80, bhs_ttt(came->bhs), NULL, 0);
	came = wire_expect(wire, ISCSI_TEXT_RESPONSE);
	assert_int_equal(came->bhs[1], 0x80);
	assert_int_equal(came->data_bytes, 0);
	house_free(house);
}

static void a_request_in_pieces_is_put_together(void **state)
{
	struct house *house = house_new(NULL);
	struct wire *wire = wire_login(house, "");
	static const char text[] = "SendTargets=";
	struct came *came;
	uint32_t ttt = ISCSI_NO_TAG;

	(void)state;
	for (unsigned at = 0; at < sizeof text; at += 3) {
		bool last = at + 3 >= sizeof text;

		wire_text(wire, last ? 0x80 : 0x40, ttt, text + at, last ? sizeof text - at : 3);
		came = wire_expect(wire, ISCSI_TEXT_RESPONSE);
		assert_int_equal(came->bhs[1] & 0x40, 0);
		assert_int_equal(came->bhs[1] >> 7, last);
		ttt = bhs_ttt(came->bhs);
		if (!last)
			assert_int_equal(came->data_bytes, 0);
	}
	assert_string_equal((char *)came->data, "TargetName=" TARGET);
	house_free(house);
}

static void wrong_text_is_rejected_and_the_session_lives(void **state)
{
	struct house *house = house_new(NULL);
	struct wire *wire = wire_login(house, "");
	struct came *came;

	(void)state;
	wire_text(wire, 0xc0, ISCSI_NO_TAG, "SendTargets=", 13); /* F and C */
	assert_int_equal(wire_expect(wire, ISCSI_REJECT)->bhs[2], ISCSI_REJECT_PROTOCOL);
	wire_text(wire, 0x80, 0x1234, "SendTargets=", 13); /* a tag that we did not give */
	wire_expect(wire, ISCSI_REJECT);
	wire_text(wire, 0x80, 0, "SendTargets=", 13); /* nor this: no exchange is open */
	wire_expect(wire, ISCSI_REJECT);
	wire_text(wire, 0x80, ISCSI_NO_TAG, "nonsense", 9);
	wire_expect(wire, ISCSI_REJECT);
	wire_text(wire, 0x80, ISCSI_NO_TAG, "SendTargets=All", 16); /* not in a normal session */
	came = wire_next(wire);
	assert_true(came->bhs[0] == ISCSI_REJECT || strstr((char *)came->data, "Reject"));
	for (uint32_t ttt = ISCSI_NO_TAG, i = 0; i < 20; i++) { /* without end */
		memset(data, 'a', sizeof data);
		wire_text(wire, 0x40, ttt, (char *)data, sizeof data);
		came = wire_next(wire);
		if (came->bhs[0] == ISCSI_REJECT)
			break;
		ttt = bhs_ttt(came->bhs);
		assert_true(i < 9);
	}
	wire_response(wire, wire_command(wire, 0x81, 0, test_unit_ready, NULL, 0), SCSI_GOOD);
	house_free(house);
}

static void a_discovery_session_takes_text_nop_and_logout_alone(void **state)
{
	struct house *house = house_new(NULL);
	struct wire *wire = wire_login_as(house, 0, 1, DISCOVERY, "");
	uint8_t bhs[ISCSI_BHS_BYTES];

	(void)state;
	header_init(bhs, 0x41, 0x81, 1, wire->cmdsn);
	wire_send(wire, bhs, NULL, 0);
	assert_int_equal(wire_expect(wire, ISCSI_REJECT)->bhs[2], ISCSI_REJECT_PROTOCOL);
	wire_task_management(wire, 5, 0, 0, 0);
	assert_int_equal(wire_expect(wire, ISCSI_REJECT)->bhs[2], ISCSI_REJECT_PROTOCOL);
	wire_data_out(wire, 1, ISCSI_NO_TAG, 0, 0, data, 512, true);
	assert_int_equal(wire_expect(wire, ISCSI_REJECT)->bhs[2], ISCSI_REJECT_PROTOCOL);
	wire_ping(wire, 5, ISCSI_NO_TAG, true, 0);
	wire_expect(wire, ISCSI_NOP_IN);
	house_free(house);
}

/* --- logout --- */

static void wire_logout(struct wire *wire, uint8_t reason, uint16_t cid)
{
	uint8_t bhs[ISCSI_BHS_BYTES];

	header_init(bhs, 0x46, 0x80 | reason, 0x106, wire->cmdsn);
	put_be16(bhs + 20, cid);
	wire_send(wire, bhs, NULL, 0);
}

static void a_logout_is_answered_after_the_commands_that_run(void **state)
{
	struct house *house = house_new(NULL);
	struct wire *wire = wire_login(house, "ImmediateData=No\nInitialR2T=Yes");
	uint32_t reads[8];

	(void)state;
	house_rules(house, "[{\"op\": \"read\", \"count\": 0, \"hold\": true}]");
	for (int i = 0; i < 8; i++)
		reads[i] = wire_read10(wire, 0, 1);
	wire_write10(wire, 0, 8, NULL, 0); /* never gets its data */
	house_until_held(house, 8);
	house_turn(house);
	wire->read_at = wire->came_count;
	wire_logout(wire, 0, 0);
	wire_nothing(wire);
	wire_command(wire, 0x81, 0, test_unit_ready, NULL, 0);
	assert_int_equal(wire_expect(wire, ISCSI_REJECT)->bhs[2], ISCSI_REJECT_WAITING_LOGOUT);
	house_release(house);
	for (int i = 0; i < 8; i++)
		assert_int_equal(bhs_itt(wire_expect(wire, ISCSI_DATA_IN)->bhs), reads[i]);
	assert_int_equal(wire_expect(wire, ISCSI_LOGOUT_RESPONSE)->bhs[2], 0);
	assert_true(wire->finishing);
	wire_command(wire, 0x81, 0, test_unit_ready, NULL, 0); /* after the response: nothing any more */
	wire_nothing(wire);
	house_wait_s(house, ISCSI_FINISH_S + 1);
	assert_true(wire->freed);
	house_free(house);
}

static void logouts_of_something_else_are_answered_with_why(void **state)
{
	struct house *house = house_new(NULL);
	struct wire *wire = wire_login(house, "");

	(void)state;
	wire_logout(wire, 1, 77);
	assert_int_equal(wire_expect(wire, ISCSI_LOGOUT_RESPONSE)->bhs[2], 1); /* CID not found */
	wire_logout(wire, 2, 1);
	assert_int_equal(wire_expect(wire, ISCSI_LOGOUT_RESPONSE)->bhs[2], 2); /* no connection recovery */
	for (unsigned reason = 3; reason < 128; reason++) {
		wire_logout(wire, (uint8_t)reason, 1);
		assert_int_equal(wire_expect(wire, ISCSI_REJECT)->bhs[2], ISCSI_REJECT_INVALID_FIELD);
	}
	assert_int_equal(wire->connection->phase, ISCSI_PHASE_FULL);
	wire_logout(wire, 1, wire->connection->cid);
	assert_int_equal(wire_expect(wire, ISCSI_LOGOUT_RESPONSE)->bhs[2], 0);
	house_free(house);
}

static void an_initiator_that_is_asked_to_log_out_and_does_not_is_dropped(void **state)
{
	struct house *house = house_new(&(struct house_options){ .params = "'nop_interval_s':0" });
	struct wire *obeys = wire_login(house, ""), *stays = wire_login(house, "");
	struct came *came;

	(void)state;
	iscsi_session_request_logout(obeys->connection->session, 5);
	iscsi_session_request_logout(stays->connection->session, 5);
	came = wire_expect(obeys, ISCSI_ASYNC_MESSAGE);
	assert_int_equal(came->bhs[36], 1);
	assert_int_equal(get_be16(came->bhs + 42), 5);
	wire_logout(obeys, 0, 0);
	assert_int_equal(wire_expect(obeys, ISCSI_LOGOUT_RESPONSE)->bhs[2], 0);
	house_wait_s(house, 6);
	assert_true(stays->freed);
	house_free(house);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_ping_is_echoed_as_far_as_the_initiator_takes_it),
		cmocka_unit_test(a_silent_initiator_is_pinged_and_dropped_when_it_does_not_answer),
		cmocka_unit_test(a_connection_that_waits_for_buffers_is_not_dropped_for_silence),
		cmocka_unit_test(a_discovery_session_that_asks_for_nothing_ends),
		cmocka_unit_test(a_long_list_of_targets_comes_in_pieces),
		cmocka_unit_test(the_answer_to_an_unfinished_text_is_cut_too),
		cmocka_unit_test(a_request_in_pieces_is_put_together),
		cmocka_unit_test(wrong_text_is_rejected_and_the_session_lives),
		cmocka_unit_test(a_discovery_session_takes_text_nop_and_logout_alone),
		cmocka_unit_test(a_logout_is_answered_after_the_commands_that_run),
		cmocka_unit_test(logouts_of_something_else_are_answered_with_why),
		cmocka_unit_test(an_initiator_that_is_asked_to_log_out_and_does_not_is_dropped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
