/* Every row of counters.def, in every kind of slot that its `objects` name, and in no other. */
#include "tests/unit/iscsi/full_feature_fixture.h"

enum { SESSION, TARGET_SLOT, LUN, WORKER, SLOTS };
enum { S = 1 << SESSION, T = 1 << TARGET_SLOT, L = 1 << LUN, W = 1 << WORKER };

static const unsigned objects_of[STATS_COUNTERS] = {
#define COUNTER(name, unit, type, objects, meaning) [STAT_##name] = objects,
#include "counters.def"
#undef COUNTER
};
static const char *const names[STATS_COUNTERS] = {
#define COUNTER(name, unit, type, objects, meaning) [STAT_##name] = #name,
#include "counters.def"
#undef COUNTER
};

static uint8_t data[8192];

/* The slots that a session's commands on the first LUN are counted in. */
struct slots {
	struct stats_slot *slot[SLOTS];
	uint64_t before[SLOTS][STATS_COUNTERS];
};

static struct slots slots_of(struct wire *wire)
{
	const struct iscsi_session *session = wire->connection->session;
	struct slots slots = { .slot = { session->stats, session->target_stats,
					 wire->house->lun[0].stats[session->reactor->index], session->reactor->stats } };

	for (unsigned s = 0; s < SLOTS; s++) {
		assert_non_null(slots.slot[s]);
		for (unsigned c = 0; c < STATS_COUNTERS; c++)
			slots.before[s][c] = slots.slot[s]->value[c];
	}
	return slots;
}

/* Since slots_of(), the counter grew by n in its objects' slots, and nowhere else. A session that ended has no slot. */
static void grew_by(const struct slots *slots, enum stats_counter counter, uint64_t n)
{
	for (unsigned s = 0; s < SLOTS; s++) {
		uint64_t grown = slots->slot[s]->value[counter] - slots->before[s][counter];

		if (slots->slot[s]->kind == STATS_FREE && s == SESSION)
			continue;
		if (grown != (objects_of[counter] & 1u << s ? n : 0))
			fail_msg("%s of slot %u grew by %llu", names[counter], s, (unsigned long long)grown);
	}
}

static uint64_t latencies(const struct stats_slot *slot, enum stats_histogram histogram)
{
	uint64_t count = 0;

	for (unsigned b = 0; b < STATS_BUCKETS; b++)
		count += slot->bucket[histogram][b];
	return count;
}

/* --- commands by kind and status --- */

static const struct {
	const char *title;
	uint8_t cdb[16], flags;
	uint32_t edtl, sent;
	enum stats_counter counter, bytes;
	uint32_t moved;
} commands[] = {
	{ "READ", { READ10, [8] = 4 }, 0xc1, 2048, 0, STAT_reads, STAT_read_bytes, 2048 },
	{ "READ, of which the initiator takes less", { READ10, [8] = 4 }, 0xc1, 512, 0, STAT_reads, STAT_read_bytes, 512 },
	{ "READ of nothing", { READ10 }, 0x81, 0, 0, STAT_reads, STAT_read_bytes, 0 },
	{ "WRITE", { WRITE10, [8] = 2 }, 0xa1, 1024, 1024, STAT_writes, STAT_write_bytes, 1024 },
	{ "WRITE AND VERIFY", { 0x2e, [8] = 1 }, 0xa1, 512, 512, STAT_writes, STAT_write_bytes, 512 },
	{ "SYNCHRONIZE CACHE", { 0x35 }, 0x81, 0, 0, STAT_flushes, STAT_flushes, 1 },
	{ "UNMAP", { 0x42, [8] = 24 }, 0xa1, 24, 24, STAT_unmaps, STAT_unmaps, 1 },
	{ "WRITE SAME", { 0x41, [8] = 1 }, 0xa1, 512, 512, STAT_unmaps, STAT_unmaps, 1 },
	{ "COMPARE AND WRITE", { 0x89, [13] = 1 }, 0xa1, 1024, 1024, STAT_compare_writes, STAT_compare_writes, 1 },
	{ "TEST UNIT READY", { 0 }, 0x81, 0, 0, STAT_other_commands, STAT_other_commands, 1 },
	{ "an opcode that is not", { 0x02 }, 0x81, 0, 0, STAT_check_conditions, STAT_check_conditions, 1 },
	{ "READ beyond the end", { READ10, 0, 0xff, [8] = 1 }, 0xc1, 512, 0, STAT_check_conditions, STAT_check_conditions, 1 },
};

static void every_kind_of_command_is_counted_in_session_target_lun_and_worker(void **state)
{
	struct house *house = house_new(NULL);
	struct wire *wire = wire_login(house, "");

	(void)state;
	for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
		struct slots slots = slots_of(wire);

		memset(data, 0, sizeof data);
		if (commands[i].counter == STAT_unmaps && commands[i].sent == 24)
			memcpy(data, "\0\x16\0\x10", 4);
		wire_command(wire, commands[i].flags, commands[i].edtl, commands[i].cdb, data, commands[i].sent);
		assert_non_null(wire_next(wire));
		for (unsigned c = 0; c < STATS_COUNTERS; c++)
			grew_by(&slots, c, c == commands[i].bytes ? commands[i].moved : c == commands[i].counter);
	}
	house_free(house);
}

static void a_failure_of_the_store_is_counted_as_one(void **state)
{
	struct house *house = house_new(NULL);
	struct wire *wire = wire_login(house, "");
	struct slots slots = slots_of(wire);

	(void)state;
	house_rules(house, "[{\"op\": \"read\", \"error\": \"EIO\"}]");
	wire_response(wire, wire_read10(wire, 0, 1), SCSI_CHECK_CONDITION);
	grew_by(&slots, STAT_medium_errors, 1);
	grew_by(&slots, STAT_check_conditions, 1);
	grew_by(&slots, STAT_reads, 0);
	assert_int_equal(latencies(slots.slot[LUN], STATS_STORE_READ_LATENCY), 0);
	house_free(house);
}

static void a_store_without_space_is_counted_as_such(void **state)
{
	struct house *house = house_new(NULL);
	struct wire *wire = wire_login(house, "");
	struct slots slots = slots_of(wire);

	(void)state;
	house_rules(house, "[{\"op\": \"write\", \"error\": \"ENOSPC\"}]");
	wire_response(wire, wire_command(wire, 0xa1, 512, cdb10(0x2a, 0, 1), data, 512), SCSI_CHECK_CONDITION);
	grew_by(&slots, STAT_space_errors, 1);
	grew_by(&slots, STAT_check_conditions, 1);
	grew_by(&slots, STAT_medium_errors, 0);
	house_free(house);
}

static void a_reservation_conflict_is_counted_for_who_met_it(void **state)
{
	struct house *house = house_new(NULL);
	struct wire *holder = wire_login(house, ""), *other = wire_login(house, "");
	struct slots slots = slots_of(other), of_holder = slots_of(holder);

	(void)state;
	wire_response(holder, wire_command(holder, 0x81, 0, cdb10(0x16, 0, 0), NULL, 0), SCSI_GOOD);
	wire_response(other, wire_read10(other, 0, 1), SCSI_RESERVATION_CONFLICT);
	grew_by(&slots, STAT_conflicts, 1);
	grew_by(&slots, STAT_check_conditions, 0);
	assert_int_equal(of_holder.slot[SESSION]->value[STAT_conflicts], 0);
	house_free(house);
}

static void a_command_for_no_lun_is_counted_without_one(void **state)
{
	struct house *house = house_new(NULL);
	struct wire *wire = wire_login(house, "");
	struct slots slots = slots_of(wire);
	uint8_t bhs[ISCSI_BHS_BYTES];

	(void)state;
	command_init(wire, bhs, 0x81, 0, test_unit_ready);
	put_be64(bhs + 8, UINT64_C(9) << 48);
	wire_send(wire, bhs, NULL, 0);
	wire_response(wire, bhs_itt(bhs), SCSI_CHECK_CONDITION);
	assert_int_equal(slots.slot[WORKER]->value[STAT_check_conditions] - slots.before[WORKER][STAT_check_conditions], 1);
	assert_int_equal(slots.slot[LUN]->value[STAT_check_conditions] - slots.before[LUN][STAT_check_conditions], 0);
	house_free(house);
}

/* --- latency --- */

static void each_read_and_write_has_a_latency_and_one_of_its_store(void **state)
{
	struct house *house = house_new(NULL);
	struct wire *wire = wire_login(house, "ImmediateData=Yes");
	struct slots slots = slots_of(wire);

	(void)state;
	for (int turn = 0; turn < 3; turn++) {
		for (int i = 0; i < 5; i++) {
			wire_read10(wire, 0, 1 + i / 3); /* one turn for all: the store does them at once */
			wire_write10(wire, 0, 1, data, 512);
		}
		house_turn(house);
	}
	for (unsigned s = 0; s < SLOTS; s++) {
		assert_int_equal(latencies(slots.slot[s], STATS_READ_LATENCY), 15);
		assert_int_equal(latencies(slots.slot[s], STATS_WRITE_LATENCY), 15);
		assert_int_equal(latencies(slots.slot[s], STATS_STORE_READ_LATENCY), s == LUN ? 15 : 0);
		assert_int_equal(latencies(slots.slot[s], STATS_STORE_WRITE_LATENCY), s == LUN ? 15 : 0);
		assert_true(slots.slot[s]->sum_ns[STATS_READ_LATENCY] >= slots.slot[s]->sum_ns[STATS_STORE_READ_LATENCY]);
	}
	assert_true(slots.slot[LUN]->sum_ns[STATS_STORE_READ_LATENCY] > 0);
	house_free(house);
}

static void what_the_store_takes_is_in_both_latencies(void **state)
{
	struct house *house = house_new(NULL);
	struct wire *wire = wire_login(house, "");
	struct slots slots = slots_of(wire);
	const uint64_t delay_ns = 30 * NS_PER_MS;

	(void)state;
	house_rules(house, "[{\"op\": \"read\", \"delay_ms\": 30}]");
	wire_read10(wire, 0, 1);
	while (store_ctx_in_flight(house->reactor[0].iscsi.scsi.store))
		house_turn(house);
	wire_expect(wire, ISCSI_DATA_IN);
	for (unsigned s = 0; s < SLOTS; s++)
		assert_true(slots.slot[s]->sum_ns[STATS_READ_LATENCY] >= delay_ns);
	assert_true(slots.slot[LUN]->sum_ns[STATS_STORE_READ_LATENCY] >= delay_ns);
	assert_true(slots.slot[LUN]->sum_ns[STATS_STORE_READ_LATENCY] <= slots.slot[LUN]->sum_ns[STATS_READ_LATENCY]);
	house_free(house);
}

/* --- queue depth --- */

static void commands_are_in_the_queue_depth_from_their_arrival_to_their_answer(void **state)
{
	struct house *house = house_new(NULL);
	struct wire *wire = wire_login(house, "ImmediateData=No\nInitialR2T=Yes");
	struct slots slots = slots_of(wire);
	struct came *r2t;

	(void)state;
	wire_write10(wire, 0, 1, NULL, 0);
	r2t = wire_expect(wire, ISCSI_R2T);
	grew_by(&slots, STAT_queue_depth, 1); /* its data is still to come */
	house_rules(house, "[{\"op\": \"write\", \"hold\": true}, {\"op\": \"read\", \"hold\": true}]");
	wire_answer_r2t(wire, r2t, data);
	wire_read10(wire, 0, 1);
	house_until_held(house, 2);
	house_turn(house);
	grew_by(&slots, STAT_queue_depth, 2);
	wire->keep = true; /* answered, though the peer has not taken it */
	house_release(house);
	grew_by(&slots, STAT_queue_depth, 0);
	wire->keep = false;
	house_free(house);
}

static void an_aborted_command_is_in_the_queue_depth_as_long_as_the_store_works_on_it(void **state)
{
	struct house *house = house_new(NULL);
	struct wire *wire = wire_login(house, ""), *other = wire_login(house, "");
	struct slots slots = slots_of(wire), of_other = slots_of(other);
	uint32_t itt;

	(void)state;
	house_rules(house, "[{\"op\": \"write\", \"count\": 0, \"hold\": true}]");
	itt = wire_write10(wire, 0, 1, data, 512);
	wire_write10(other, 8, 1, data, 512);
	house_until_held(house, 2);
	wire_task_management(wire, 1, 0, itt, wire->cmdsn - 1);
	house_turn(house);
	assert_int_equal(slots.slot[SESSION]->value[STAT_queue_depth], 1);
	assert_int_equal(slots.slot[LUN]->value[STAT_queue_depth], 2);
	iscsi_transport_lost(other->connection, "gone");
	house_turn(house);
	assert_int_equal(of_other.slot[TARGET_SLOT]->value[STAT_queue_depth], 2);
	grew_by(&slots, STAT_aborted_tasks, 2);
	house_release(house);
	grew_by(&slots, STAT_queue_depth, 0);
	assert_int_equal(slots.slot[WORKER]->value[STAT_writes], 0);
	house_free(house);
}

/* --- sessions and what goes wrong with them --- */

static void logins_logouts_and_losses_are_counted_as_what_they_are(void **state)
{
	enum { COLD_RESET = 7 };
	struct house *house = house_new(NULL);
	struct wire *first = wire_login(house, ""), *leaves = wire_login(house, ""), *refused = wire_new(house, 0);
	struct slots slots = slots_of(first);
	uint8_t bhs[ISCSI_BHS_BYTES];

	(void)state;
	wire_login_request(refused, 50, "InitiatorName=" INITIATOR "\nSessionType=Normal\nTargetName=iqn.2026-11.x:none", "");
	assert_int_not_equal(get_be16(wire_expect(refused, ISCSI_LOGIN_RESPONSE)->bhs + 36), 0);
	grew_by(&slots, STAT_logins_refused, 1);
	grew_by(&slots, STAT_logins, 0);
	wire_login(house, "");
	grew_by(&slots, STAT_logins, 1);
	grew_by(&slots, STAT_sessions, 1);
	header_init(bhs, 0x40 | ISCSI_LOGOUT_REQUEST, 0x80, leaves->itt++, leaves->cmdsn);
	wire_send(leaves, bhs, NULL, 0);
	wire_expect(leaves, ISCSI_LOGOUT_RESPONSE);
	iscsi_transport_lost(leaves->connection, "closed");
	grew_by(&slots, STAT_logouts, 1);
	grew_by(&slots, STAT_sessions, 0);
	grew_by(&slots, STAT_sessions_dropped, 0);
	wire_task_management(first, COLD_RESET, 0, 0, 0); /* ends the other one, too */
	house_turn(house);
	house_wait_s(house, ISCSI_FINISH_S + 1);
	grew_by(&slots, STAT_task_management, 1);
	grew_by(&slots, STAT_sessions_dropped, 2);
	grew_by(&slots, STAT_logouts, 1);
	house_free(house);
}

static void errors_of_the_transport_and_the_protocol_are_counted(void **state)
{
	struct house *house = house_new(NULL);
	struct wire *wire = wire_login(house, ""), *header = wire_login(house, ""), *body = wire_login(house, "");
	struct slots slots = slots_of(wire);
	uint8_t bhs[ISCSI_BHS_BYTES];

	(void)state;
	iscsi_digest_error(header->connection, true);
	iscsi_digest_error(body->connection, false);
	grew_by(&slots, STAT_digest_errors, 2);
	grew_by(&slots, STAT_sessions_dropped, 2);
	grew_by(&slots, STAT_connections, (uint64_t)-2);
	header_init(bhs, ISCSI_SNACK_REQUEST, 0x80, wire->itt++, 0);
	wire_send(wire, bhs, NULL, 0);
	wire_expect(wire, ISCSI_REJECT);
	grew_by(&slots, STAT_protocol_errors, 1);
	iscsi_protocol_error(wire->connection, "wrong");
	grew_by(&slots, STAT_protocol_errors, 2);
	house_free(house);
}

static void a_command_that_is_aborted_before_its_turn_is_counted(void **state)
{
	struct house *house = house_new(NULL);
	struct wire *wire = wire_login(house, "");
	struct slots slots = slots_of(wire);

	(void)state;
	wire->cmdsn++; /* one is missing: the next is kept */
	wire_read10(wire, 0, 1);
	wire_nothing(wire);
	grew_by(&slots, STAT_queue_depth, 0);
	iscsi_transport_lost(wire->connection, "gone");
	grew_by(&slots, STAT_aborted_tasks, 1);
	house_free(house);
}

static void a_wait_for_buffers_is_counted_and_other_waits_are_not(void **state)
{
	struct house *house = house_new(NULL);
	struct wire *wire = wire_login(house, "");
	struct slots slots = slots_of(wire);

	(void)state;
	iscsi_connection_wait(wire->connection, ISCSI_WAIT_OWN);
	grew_by(&slots, STAT_buffer_waits, 0);
	house->reactor[0].iscsi.released = true;
	house_turn(house);
	iscsi_connection_wait(wire->connection, ISCSI_WAIT_POOL);
	grew_by(&slots, STAT_buffer_waits, 1);
	house_free(house);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_kind_of_command_is_counted_in_session_target_lun_and_worker),
		cmocka_unit_test(a_failure_of_the_store_is_counted_as_one),
		cmocka_unit_test(a_store_without_space_is_counted_as_such),
		cmocka_unit_test(a_reservation_conflict_is_counted_for_who_met_it),
		cmocka_unit_test(a_command_for_no_lun_is_counted_without_one),
		cmocka_unit_test(each_read_and_write_has_a_latency_and_one_of_its_store),
		cmocka_unit_test(what_the_store_takes_is_in_both_latencies),
		cmocka_unit_test(commands_are_in_the_queue_depth_from_their_arrival_to_their_answer),
		cmocka_unit_test(an_aborted_command_is_in_the_queue_depth_as_long_as_the_store_works_on_it),
		cmocka_unit_test(logins_logouts_and_losses_are_counted_as_what_they_are),
		cmocka_unit_test(errors_of_the_transport_and_the_protocol_are_counted),
		cmocka_unit_test(a_command_that_is_aborted_before_its_turn_is_counted),
		cmocka_unit_test(a_wait_for_buffers_is_counted_and_other_waits_are_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
