/*
 * Sessions in which the nth allocation or the nth store I/O fails, for every n: login, write, read, flush, task management, text,
 * reinstatement, a new configuration, logout. Each run: no crash, everything is given back, a write that was answered GOOD
 * is there and any other is there whole or not at all, and an innocent session works afterwards.
 */
#include "tests/unit/nth.h"

#include "tests/fuzz/inline_offload.h"
#include "tests/unit/iscsi/full_feature_fixture.h"

#define BLOCKS 16
#define BYTES  (BLOCKS * 512)

static const char keys[] = "InitialR2T=No\nFirstBurstLength=1024\nMaxBurstLength=2048\nMaxOutstandingR2T=2";
static struct house *house;
static struct iscsi_config *all_luns, *one_lun;
static uint8_t old[BYTES], new[BYTES];

/* What was said so far. */
static struct said {
	bool written, flushed;
	uint8_t read_status;
} said;

static int setup(void **state)
{
	(void)state;
	nth_watch_json();
	house = house_new(NULL);
	all_luns = iscsi_config_ref(house->node.config);
	one_lun = house_config(&(struct house_options){ 0 }, "'0':{'lun':'vol0'}");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	house_free(house);
	iscsi_config_unref(all_luns);
	iscsi_config_unref(one_lun);
	return 0;
}

static bool alive(const struct wire *wire)
{
	return wire && wire->connection && !wire->terminated;
}

/* The next PDU of this kind; NULL: the connection ended, or there is none. Others on the way are looked at by nobody. */
static struct came *await(struct wire *wire, enum iscsi_opcode opcode)
{
	struct came *came;

	while ((came = wire_next(wire)))
		if (bhs_opcode(came->bhs) == opcode)
			return came;
	return NULL;
}

static bool log_in(struct wire *wire, uint8_t isid)
{
	struct came *came;

	if (!wire)
		return false;
	wire_login_request(wire, isid, NORMAL_NAMES, keys);
	came = await(wire, ISCSI_LOGIN_RESPONSE);
	if (came && get_be16(came->bhs + 36) != 0) /* refused in words: out of resources, or service unavailable */
		assert_int_equal(came->bhs[36], 3);
	return came && get_be16(came->bhs + 36) == 0 && alive(wire);
}

static bool settle(struct wire *wire)
{
	for (int i = 0; i < 8 && alive(wire); i++) {
		struct came *came;

		wire_command(wire, 0x81, 0, test_unit_ready, NULL, 0);
		came = await(wire, ISCSI_SCSI_RESPONSE);
		if (came && came->bhs[3] == SCSI_GOOD)
			return true;
	}
	return false;
}

/* Immediate and unsolicited data, then what R2Ts ask for. */
static void write_it(struct wire *wire)
{
	uint32_t itt = wire_command(wire, 0x21, BYTES, cdb10(WRITE10, 8, BLOCKS), new, 512);
	struct came *came;

	if (alive(wire))
		wire_data_out(wire, itt, ISCSI_NO_TAG, 0, 512, new + 512, 512, true);
	while (alive(wire) && (came = wire_next(wire))) {
		if (bhs_opcode(came->bhs) == ISCSI_R2T)
			wire_answer_r2t(wire, came, new);
		else if (bhs_opcode(came->bhs) == ISCSI_SCSI_RESPONSE && bhs_itt(came->bhs) == itt)
			said.written |= came->bhs[3] == SCSI_GOOD;
	}
}

static void read_it(struct wire *wire)
{
	uint32_t itt = wire_read10(wire, 8, BLOCKS);
	struct came *came;

	while (alive(wire) && (came = wire_next(wire)))
		if (bhs_opcode(came->bhs) == ISCSI_DATA_IN && bhs_itt(came->bhs) == itt && came->bhs[3] == SCSI_GOOD)
			assert_memory_equal(came->data, said.written ? new : came->data[0] == new[0] ? new : old, BYTES);
}

static void flush_it(struct wire *wire)
{
	static const uint8_t synchronize[16] = { 0x35 };
	uint32_t itt = wire_command(wire, 0x81, 0, synchronize, NULL, 0);
	struct came *came = await(wire, ISCSI_SCSI_RESPONSE);

	said.flushed |= came && bhs_itt(came->bhs) == itt && came->bhs[3] == SCSI_GOOD;
}

static void ask(struct wire *wire)
{
	uint8_t bhs[ISCSI_BHS_BYTES];

	header_init(bhs, ISCSI_TEXT_REQUEST, 0x80, wire->itt++, wire->cmdsn++);
	wire_send(wire, bhs, "SendTargets=", 13);
	house_turn(house);
	if (!alive(wire))
		return;
	header_init(bhs, ISCSI_NOP_OUT, 0x80, wire->itt++, wire->cmdsn++);
	wire_send(wire, bhs, "ping", 4);
	house_turn(house);
}

static void hold_writes(void)
{
	nth_disarm();
	house_rules(house, "[{\"op\": \"write\", \"count\": 0, \"hold\": true}]");
	nth_arm();
}

static void release(void)
{
	nth_disarm();
	house_rules(house, NULL);
	nth_arm();
	store_fault_release(house->store);
	house_turn(house);
}

/* Each function of task management on a write that the store withholds, and on a command that came too early. */
static void abort_it(struct wire *wire)
{
	static const uint8_t functions[] = { 1, 2, 3, 5 };
	uint8_t bhs[ISCSI_BHS_BYTES];

	for (unsigned i = 0; i < sizeof functions && alive(wire); i++) {
		uint32_t itt;

		hold_writes();
		itt = wire_command(wire, 0xa1, 512, cdb10(WRITE10, 1000, 1), new, 512);
		house_turn(house);
		if (alive(wire))
			wire_task_management(wire, functions[i], 0, itt, wire->cmdsn - 1);
		release();
	}
	if (!alive(wire))
		return;
	command_init(wire, bhs, 0x81, 0, test_unit_ready); /* the first of two stays away for a while */
	wire_command(wire, 0xa1, 512, cdb10(WRITE10, 1000, 1), new, 512);
	house_turn(house);
	if (alive(wire))
		wire_send(wire, bhs, NULL, 0);
	house_turn(house);
	settle(wire);
}

/* Documents that were read before: how reading one fails is no_memory_test.c's. */
static void reconfigure(struct iscsi_config *config)
{
	iscsi_config_unref(house->node.config);
	house->node.config = iscsi_config_ref(config);
	for (unsigned i = 0; i < HOUSE_REACTORS; i++)
		iscsi_reactor_reconfigure(&house->reactor[i].iscsi, config);
	house_turn(house);
}

static void log_out(struct wire *wire)
{
	uint8_t bhs[ISCSI_BHS_BYTES];

	header_init(bhs, ISCSI_LOGOUT_REQUEST, 0x80, wire->itt++, wire->cmdsn++);
	wire_send(wire, bhs, NULL, 0);
	house_turn(house);
}

/* --- scenarios --- */

static void write_read_log_out(void)
{
	struct wire *wire = wire_try_new(house, 0);

	if (!log_in(wire, 1) || !settle(wire))
		return;
	write_it(wire);
	if (alive(wire))
		read_it(wire);
	if (alive(wire))
		flush_it(wire);
	if (alive(wire))
		ask(wire);
	if (alive(wire))
		log_out(wire);
}

static void abort_and_reset(void)
{
	struct wire *wire = wire_try_new(house, 0), *other = wire_try_new(house, 1);

	if (log_in(wire, 1) && log_in(other, 2) && settle(wire))
		abort_it(wire);
}

static void log_in_again(void)
{
	struct wire *wire = wire_try_new(house, 0), *successor = NULL;

	if (!log_in(wire, 1) || !settle(wire))
		return;
	hold_writes();
	wire_write10(wire, 8, BLOCKS, new, 1024);
	house_turn(house);
	successor = wire_try_new(house, 1);
	if (successor)
		wire_login_request(successor, 1, NORMAL_NAMES, keys);
	house_turn(house);
	release();
	if (alive(successor))
		settle(successor);
}

static void luns_go_and_come(void)
{
	struct wire *wire = wire_try_new(house, 0);

	if (log_in(wire, 1) && settle(wire)) {
		reconfigure(one_lun);
		if (alive(wire))
			settle(wire);
	}
	reconfigure(all_luns);
	if (alive(wire))
		settle(wire);
}

/* --- one run --- */

static void before_it(void)
{
	struct wire *wire;

	pattern(old, sizeof old, (uint8_t)(2 * nth.run));
	pattern(new, sizeof new, (uint8_t)(2 * nth.run + 1));
	said = (struct said){ 0 };
	wire = wire_login(house, "");
	wire_response(wire, wire_write10(wire, 8, BLOCKS, old, BYTES), SCSI_GOOD);
	house_clear(house);
}

/* Old or new in each block of an aborted or failed write; new when GOOD was said. */
static void after_it(void)
{
	struct wire *wire;
	struct came *came;

	house_clear(house);
	wire = wire_login(house, "");
	wire_read10(wire, 8, BLOCKS);
	came = wire_expect(wire, ISCSI_DATA_IN);
	for (unsigned i = 0; i < BYTES; i += 512)
		if (said.written || memcmp(came->data + i, old + i, 512) != 0)
			assert_memory_equal(came->data + i, new + i, 512);
	wire_response(wire, wire_write10(wire, 8, BLOCKS, new, BYTES), SCSI_GOOD);
	wire_check_blocks(wire, 8, BLOCKS, new);
	house_clear(house);
}

static void each_time(unsigned classes, long failures, void (*scenario)(void))
{
	for (nth_start(classes, ENOMEM, failures); nth_next();) {
		before_it();
		nth_arm();
		scenario();
		nth_disarm();
		after_it();
	}
	assert_true(nth.run > 5);
}

static void allocations_of_a_session_fail(void **state)
{
	(void)state;
	each_time(NTH_MEMORY, 1, write_read_log_out);
	assert_true(said.written && said.flushed);
	each_time(NTH_MEMORY, 0, write_read_log_out);
}

static void allocations_of_task_management_fail(void **state)
{
	(void)state;
	each_time(NTH_MEMORY, 1, abort_and_reset);
	each_time(NTH_MEMORY, 0, abort_and_reset);
}

static void allocations_of_reinstatement_fail(void **state)
{
	(void)state;
	each_time(NTH_MEMORY, 1, log_in_again);
	each_time(NTH_MEMORY, 0, log_in_again);
}

static void allocations_fail_while_luns_go_and_come(void **state)
{
	(void)state;
	each_time(NTH_MEMORY, 1, luns_go_and_come);
	each_time(NTH_MEMORY, 0, luns_go_and_come);
}

/* The nth store I/O fails, with each error that a medium has. */
static void store_errors_are_never_good(void **state)
{
	static const char *const errors[] = { "EIO", "ENOSPC", "ETIMEDOUT", "ENOMEM" };
	static const char *const ops[] = { "write", "read", "flush" };

	(void)state;
	for (unsigned e = 0; e < 4; e++)
		for (unsigned op = 0; op < 3; op++) {
			char rules[128];

			nth_start(0, 0, 1);
			before_it();
			snprintf(rules, sizeof rules, "[{\"op\": \"%s\", \"nth\": 1, \"error\": \"%s\"}]", ops[op], errors[e]);
			house_rules(house, rules);
			write_read_log_out();
			assert_true(said.written == (op != 0) && said.flushed == (op != 2));
			after_it();
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(allocations_of_a_session_fail, setup, teardown),
		cmocka_unit_test_setup_teardown(allocations_of_task_management_fail, setup, teardown),
		cmocka_unit_test_setup_teardown(allocations_of_reinstatement_fail, setup, teardown),
		cmocka_unit_test_setup_teardown(allocations_fail_while_luns_go_and_come, setup, teardown),
		cmocka_unit_test_setup_teardown(store_errors_are_never_good, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
