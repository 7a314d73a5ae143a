/* Asymmetric access: the states of target port groups, what runs in which, who is told, what is kept. */
#include <fcntl.h>

#include "clock.h"
#include "tests/unit/scsi/documents.h"

#define TARGET_NAME "iqn.2026-11.io.lunette:t1"
#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static const uint8_t states[] = { ALUA_OPTIMIZED, ALUA_NONOPTIMIZED, ALUA_STANDBY, ALUA_UNAVAILABLE, ALUA_TRANSITIONING };

static int begin(void **state)
{
	(void)state;
	begin_with((struct world_options){ .explicit_alua = true });
	for (unsigned i = 0; i < WORLD_NEXUSES; i++)
		send_from(i, BYTES(0x00), NULL, 0);
	return 0;
}

static void configure(bool sets, uint8_t first, uint64_t first_revision, uint8_t second, uint64_t second_revision)
{
	const struct alua_configured configured[] = { { 1, 1, first, false, first_revision },
						      { 2, 2, second, true, second_revision } };
	struct err err = { 0 };

	assert_int_equal(scsi_port_groups_configure(world.groups, sets, configured, 2, &err), 0);
}

static void set_groups(unsigned nexus, const uint8_t *descriptors, size_t len)
{
	uint8_t list[4 + 256] = { 0 };
	uint8_t cdb[12] = { 0xa4, 0x0a, 0, 0, 0, 0, 0, 0, 0, (uint8_t)(4 + len) };

	if (len)
		memcpy(list + 4, descriptors, len);
	send_from(nexus, cdb, sizeof cdb, list, 4 + len);
}

/* What REPORT TARGET PORT GROUPS says of a group. */
static uint8_t reported(uint16_t tag)
{
	send_from(0, BYTES(0xa3, 0x2a, 0, 0, 0, 0, 0, 0, 0, 255), NULL, 0);
	for (int i = 0; i < 3 && outcome.status; i++) /* unit attentions are not for this */
		send_from(0, BYTES(0xa3, 0x2a, 0, 0, 0, 0, 0, 0, 0, 255), NULL, 0);
	expect_good();
	for (unsigned at = 8; at < outcome.data_in_bytes; at += 12)
		if (get_be16(outcome.data + at + 2) == tag)
			return outcome.data[at] & 0x0f;
	return 0xff;
}

static void no_attention(void)
{
	for (unsigned i = 0; i < WORLD_NEXUSES; i++)
		for (int n = 0; n < 3; n++)
			send_from(i, BYTES(0x03, 0, 0, 0, 252), NULL, 0);
}

/* --- the pure machine --- */

static struct alua_group group_in(uint8_t state)
{
	struct alua_group group;

	alua_init(&group, &(struct alua_configured){ .tag = 1, .state = state, .revision = 5 }, 1000);
	return group;
}

static void every_event_in_every_state_leads_where_it_should(void **state)
{
	(void)state;
	for (unsigned i = 0; i < COUNT(states); i++)
		for (unsigned n = 0; n < COUNT(states); n++) {
			struct alua_group group = group_in(states[i]);
			struct alua_event words = { ALUA_CONFIGURED, { 1, 1, states[n], true, 6 }, 0, 2000 };
			bool same = i == n;

			assert_int_equal(group.state, states[i]);
			assert_int_equal(group.status, ALUA_STATUS_NONE);
			assert_int_equal(alua_step(&group, &words), same ? ALUA_NOTHING : ALUA_CHANGED);
			assert_int_equal(group.state, states[n]);
			assert_int_equal(group.status, same ? ALUA_STATUS_NONE : ALUA_STATUS_IMPLICIT);
			assert_true(group.configured.preferred);
			assert_int_equal(alua_step(&group, &words), ALUA_NOTHING); /* twice is once */
			if (states[n] == ALUA_TRANSITIONING)
				continue;
			group = group_in(states[i]);
			words = (struct alua_event){ .kind = ALUA_SET, .state = states[n] };
			assert_int_equal(alua_step(&group, &words), same ? ALUA_NOTHING : ALUA_CHANGED);
			assert_int_equal(group.state, states[n]);
			words.kind = ALUA_UNSET;
			assert_int_equal(alua_step(&group, &words), same ? ALUA_NOTHING : ALUA_CHANGED);
			assert_int_equal(group.state, states[i]);
		}
}

static void a_transition_ends_in_time_where_it_came_from(void **state)
{
	const uint64_t limit_ns = ALUA_TRANSITION_S * NS_PER_S;

	(void)state;
	for (unsigned i = 0; i < COUNT(states) - 1; i++) {
		struct alua_group group = group_in(states[i]);
		struct alua_event words = { ALUA_CONFIGURED, { 1, 1, ALUA_TRANSITIONING, false, 6 }, 0, 2000 };
		struct alua_event time = { .kind = ALUA_TIME, .now_ns = 2000 + limit_ns - 1 };

		alua_step(&group, &words);
		assert_int_equal(alua_step(&group, &time), ALUA_NOTHING);
		time.now_ns++;
		assert_int_equal(alua_step(&group, &time), ALUA_TRANSITION_FAILED);
		assert_int_equal(group.state, states[i]);
		assert_int_equal(alua_step(&group, &time), ALUA_NOTHING);
		assert_int_equal(alua_step(&group, &words), ALUA_NOTHING); /* the same words do not begin it again */
		assert_int_equal(group.state, states[i]);
	}
}

static void a_transition_without_a_state_before_ends_unavailable(void **state)
{
	struct alua_group group = group_in(ALUA_TRANSITIONING);

	(void)state;
	alua_step(&group, &(struct alua_event){ .kind = ALUA_TIME, .now_ns = UINT64_MAX });
	assert_int_equal(group.state, ALUA_UNAVAILABLE);
}

static void states_have_names(void **state)
{
	(void)state;
	for (int code = -1; code < 300; code++) {
		bool known = (code >= 0 && code <= 3) || code == 15;
		const char *name = code < 0 || code > 255 ? NULL : alua_state_name((uint8_t)code);

		assert_int_equal(name != NULL, known);
		if (name)
			assert_int_equal(alua_state_of_name(name), code);
	}
	assert_int_equal(alua_state_of_name("offline"), -1);
	assert_int_equal(alua_state_of_name(""), -1);
}

/* --- which command runs in which state: SPC-4 5.15.2.4.4, 5.15.2.4.5, 5.15.2.5, written down a second time --- */

static const char *const in_standby[] = {
	"INQUIRY", "LOG SENSE", "LOG SELECT", "MODE SELECT(6)", "MODE SELECT(10)", "MODE SENSE(6)", "MODE SENSE(10)",
	"REPORT LUNS", "RECEIVE DIAGNOSTIC RESULTS", "SEND DIAGNOSTIC", "REPORT TARGET PORT GROUPS", "SET TARGET PORT GROUPS",
	"REQUEST SENSE", "PERSISTENT RESERVE",
	/* what else may be: nothing of it needs the data, and a path is made a device of with it */
	"READ CAPACITY(10)", "READ CAPACITY(16)", "REPORT SUPPORTED",
};
static const char *const in_unavailable[] = {
	"INQUIRY", "REPORT LUNS", "REPORT TARGET PORT GROUPS", "SET TARGET PORT GROUPS", "REQUEST SENSE",
};
static const char *const in_transition[] = { "INQUIRY", "REPORT LUNS", "REPORT TARGET PORT GROUPS", "REQUEST SENSE" };

static bool listed(const char *name, const char *const *list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (strncmp(name, list[i], strlen(list[i])) == 0)
			return true;
	return false;
}

static bool expected_in(const char *name, uint8_t state)
{
	switch (state) {
	case ALUA_STANDBY:
		return listed(name, in_standby, COUNT(in_standby));
	case ALUA_UNAVAILABLE:
		return listed(name, in_unavailable, COUNT(in_unavailable));
	case ALUA_TRANSITIONING:
		return listed(name, in_transition, COUNT(in_transition));
	default:
		return true;
	}
}

static uint16_t refusal(uint8_t state)
{
	return state == ALUA_STANDBY ? 0x040b : state == ALUA_UNAVAILABLE ? 0x040c : 0x040a;
}

/* Every row in every state, as a command where paths are not active; those that run may fail, but not for this reason. */
static void every_command_in_every_state_runs_or_is_refused_as_listed(void **state)
{
	(void)state;
	for (unsigned s = 0; s < COUNT(states); s++) {
		configure(true, states[s], s + 1, ALUA_OPTIMIZED, 0);
		for (unsigned i = 0; i < scsi_command_count; i++) {
			const struct scsi_command *row = &scsi_commands[i];
			bool expected = expected_in(row->name, states[s]);
			uint8_t cdb[16] = { row->opcode };

			if (row->service_action != SCSI_SA_NONE)
				cdb[1] = (uint8_t)row->service_action;
			if (expected != scsi_command_runs_in(row, states[s]))
				fail_msg("%s in state %u", row->name, states[s]);
			if (states[s] <= ALUA_NONOPTIMIZED)
				continue;
			no_attention();
			send(cdb, 16);
			if (!expected)
				expect_sense(KEY_NOT_READY, refusal(states[s]));
			else if (outcome.key == KEY_NOT_READY)
				fail_msg("%s was refused in state %u: %04x", row->name, states[s], outcome.asc);
		}
		no_attention();
		send_from(1, BYTES(0x00), NULL, 0); /* the path of the other group */
		expect_good();
	}
	for (unsigned code = 4; code < 15; code++)
		assert_false(scsi_command_runs_in(&scsi_commands[0], (uint8_t)code));
}

static void request_sense_tells_the_state(void **state)
{
	(void)state;
	configure(true, ALUA_STANDBY, 1, ALUA_OPTIMIZED, 0);
	no_attention();
	send(BYTES(0x03, 0, 0, 0, 252));
	expect_good();
	assert_int_equal(outcome.data[2], KEY_NOT_READY);
	assert_int_equal(get_be16(outcome.data + 12), 0x040b);
}

static void a_transition_that_takes_too_long_is_over_and_told(void **state)
{
	(void)state;
	configure(true, ALUA_TRANSITIONING, 1, ALUA_OPTIMIZED, 0);
	no_attention();
	send(BYTES(0x00));
	expect_sense(KEY_NOT_READY, 0x040a);
	scsi_port_groups_pass_time(world.groups, clock_now_ns() + (ALUA_TRANSITION_S - 5) * NS_PER_S);
	send(BYTES(0x00));
	expect_sense(KEY_NOT_READY, 0x040a);
	scsi_port_groups_pass_time(world.groups, clock_now_ns() + (ALUA_TRANSITION_S + 1) * NS_PER_S);
	for (unsigned i = 0; i < WORLD_NEXUSES; i++) {
		send_from(i, BYTES(0x00), NULL, 0);
		expect_sense(KEY_UNIT_ATTENTION, 0x2a07);
		send_from(i, BYTES(0x00), NULL, 0);
		expect_good();
	}
}

/* --- REPORT and SET TARGET PORT GROUPS --- */

static void groups_are_reported_with_their_states(void **state)
{
	static const uint8_t expected[] = {
		0, 0, 0, 28, 0x10, ALUA_TRANSITION_S, 0, 0, 0x01, 0x8f, 0, 1, 0, 2, 0, 1, 0, 0, 0, 1,
		0x82, 0x8f, 0, 2, 0, 2, 0, 1, 0, 0, 0, 2,
	};

	(void)state;
	configure(true, ALUA_NONOPTIMIZED, 1, ALUA_STANDBY, 1);
	no_attention();
	send(BYTES(0xa3, 0x2a, 0, 0, 0, 0, 0, 0, 0, 255));
	expect_good();
	assert_int_equal(outcome.data_in_bytes, sizeof expected);
	assert_memory_equal(outcome.data, expected, sizeof expected);
	send(BYTES(0xa3, 0x0a, 0, 0, 0, 0, 0, 0, 0, 255));
	assert_int_equal(outcome.data_in_bytes, sizeof expected - 4);
	assert_memory_equal(outcome.data + 4, expected + 8, sizeof expected - 8);
}

static void inquiry_says_whether_initiators_may_set_states(void **state)
{
	(void)state;
	send(BYTES(0x12, 0, 0, 0, 255));
	assert_int_equal(outcome.data[5] & 0x30, 0x30);
	configure(false, ALUA_OPTIMIZED, 0, ALUA_OPTIMIZED, 0);
	send(BYTES(0x12, 0, 0, 0, 255));
	assert_int_equal(outcome.data[5] & 0x30, 0x10);
	set_groups(0, BYTES(ALUA_STANDBY, 0, 0, 2));
	expect_sense(KEY_ILLEGAL_REQUEST, ASC_INVALID_OPCODE);
	send(BYTES(0xa3, 0x0c, 3, 0xa4, 0, 0x0a, 0, 0, 0, 255));
	assert_int_equal(outcome.data[1], 1);
}

/* SPC-4 6.45, SAM-5 5.14: every nexus but the one that set it, once; also for LUs that it addresses later. */
static void a_state_that_was_set_is_told_to_all_others_once(void **state)
{
	(void)state;
	set_groups(0, BYTES(ALUA_STANDBY, 0, 0, 2));
	expect_good();
	assert_int_equal(reported(2), ALUA_STANDBY);
	assert_int_equal(outcome.data[8 + 12 + 5], ALUA_STATUS_EXPLICIT);
	send(BYTES(0x00));
	expect_good();
	send_from(1, BYTES(0x00), NULL, 0);
	expect_sense(KEY_UNIT_ATTENTION, 0x2a06);
	send_from(1, BYTES(0x00), NULL, 0);
	expect_sense(KEY_NOT_READY, 0x040b);
	send_from(2, BYTES(0x00), NULL, 0);
	expect_sense(KEY_UNIT_ATTENTION, 0x2a06);
	send_from(2, BYTES(0x00), NULL, 0);
	expect_good();
	for (unsigned i = 0; i < 3; i += 2) { /* LUN 300 was not addressed yet */
		world_run(&world, world.nexus[i], scsi_lun_encode(300), BYTES(0x00), NULL, 0, &outcome);
		if (i)
			expect_sense(KEY_UNIT_ATTENTION, 0x2a06);
		else
			expect_good();
	}
	set_groups(0, BYTES(ALUA_STANDBY, 0, 0, 2)); /* it is so already */
	expect_good();
	send_from(2, BYTES(0x00), NULL, 0);
	expect_good();
}

static void an_own_path_can_be_set_and_is_out_of_use_at_once(void **state)
{
	(void)state;
	set_groups(0, BYTES(ALUA_UNAVAILABLE, 0, 0, 1, ALUA_NONOPTIMIZED, 0, 0, 2));
	expect_good();
	send(BYTES(0x00));
	expect_sense(KEY_NOT_READY, 0x040c);
	set_groups(0, BYTES(ALUA_OPTIMIZED, 0, 0, 1)); /* and it can come back by itself */
	expect_good();
	send(BYTES(0x00));
	expect_good();
}

static void bad_lists_change_nothing(void **state)
{
	static const struct {
		uint8_t len, list[12];
		uint16_t asc;
	} cases[] = {
		{ 4, { ALUA_TRANSITIONING, 0, 0, 2 }, 0x2600 }, { 4, { 0x0e, 0, 0, 2 }, 0x2600 },
		{ 4, { 0x04, 0, 0, 2 }, 0x2600 }, { 4, { 0x82, 0, 0, 2 }, 0x2600 }, { 4, { ALUA_STANDBY, 0, 0, 3 }, 0x2600 },
		{ 4, { ALUA_STANDBY, 0, 0xff, 2 }, 0x2600 }, { 8, { ALUA_STANDBY, 0, 0, 2, ALUA_STANDBY, 0, 0, 9 }, 0x2600 },
		{ 5, { ALUA_STANDBY, 0, 0, 2 }, 0x1a00 }, { 3, { ALUA_STANDBY, 0, 0 }, 0x1a00 },
	};

	(void)state;
	for (unsigned i = 0; i < COUNT(cases); i++) {
		set_groups(0, cases[i].list, cases[i].len);
		expect_sense(KEY_ILLEGAL_REQUEST, cases[i].asc);
		assert_int_equal(reported(2), ALUA_OPTIMIZED);
	}
	for (uint32_t len = 1; len < 4; len++) {
		uint8_t cdb[12] = { 0xa4, 0x0a, [9] = (uint8_t)len };

		send_from(0, cdb, 12, cdb, len);
		expect_sense(KEY_ILLEGAL_REQUEST, ASC_PARAMETER_LIST_LENGTH);
	}
	send_from(0, BYTES(0xa4, 0x0a, 0, 0, 0, 0, 0, 0x01, 0xff, 0xfc), root, 64);
	expect_sense(KEY_ILLEGAL_REQUEST, ASC_PARAMETER_LIST_LENGTH);
	send_from(0, BYTES(0xa4, 0x0a, 0, 0, 0, 0, 0, 0, 0, 8), root, 4); /* less came than the CDB says */
	expect_sense(KEY_ILLEGAL_REQUEST, ASC_PARAMETER_LIST_LENGTH);
	send(BYTES(0xa4, 0x0a, 0, 0, 0, 0, 0, 0, 0, 0)); /* nothing to set is no error */
	expect_good();
	set_groups(0, NULL, 0);
	expect_good();
	send_from(1, BYTES(0x00), NULL, 0);
	expect_good();
}

static void what_was_set_survives_a_restart(void **state)
{
	(void)state;
	set_groups(0, BYTES(ALUA_STANDBY, 0, 0, 2));
	expect_good();
	renew_world();
	assert_int_equal(reported(2), ALUA_STANDBY);
	assert_int_equal(outcome.data[8 + 12 + 5], ALUA_STATUS_EXPLICIT);
	send_from(1, BYTES(0x00), NULL, 0);
	expect_sense(KEY_NOT_READY, 0x040b);
}

/* Two hosts set different groups: the second publishes again on top of the first. */
static void another_writer_is_not_overwritten(void **state)
{
	json_t *theirs = json_pack("{s:{s:{s:s, s:i}}}", "groups", "1", "state", "active_nonoptimized", "revision", 0);
	json_t *content;
	uint64_t version;

	(void)state;
	assert_int_equal(docstore_publish(options.documents, "alua/" TARGET_NAME, theirs, 0, NULL, NULL), 0);
	set_groups(0, BYTES(ALUA_STANDBY, 0, 0, 2));
	expect_good();
	assert_int_equal(docstore_load(options.documents, "alua/" TARGET_NAME, &content, &version, NULL), 0);
	assert_int_equal(version, 2);
	assert_int_equal(json_object_size(json_object_get(content, "groups")), 2);
	json_decref(content);
	json_decref(theirs);
	configure(true, ALUA_OPTIMIZED, 0, ALUA_OPTIMIZED, 0);
	assert_int_equal(reported(1), ALUA_NONOPTIMIZED);
	assert_int_equal(reported(2), ALUA_STANDBY);
}

static void an_administrator_has_the_last_word(void **state)
{
	(void)state;
	set_groups(0, BYTES(ALUA_STANDBY, 0, 0, 2));
	expect_good();
	configure(true, ALUA_OPTIMIZED, 0, ALUA_OPTIMIZED, 0); /* something else changed */
	assert_int_equal(reported(2), ALUA_STANDBY);
	configure(true, ALUA_OPTIMIZED, 0, ALUA_NONOPTIMIZED, 7);
	assert_int_equal(reported(2), ALUA_NONOPTIMIZED);
	renew_world();
	configure(true, ALUA_OPTIMIZED, 0, ALUA_NONOPTIMIZED, 7); /* after a restart too */
	assert_int_equal(reported(2), ALUA_NONOPTIMIZED);
	set_groups(0, BYTES(ALUA_STANDBY, 0, 0, 2));
	expect_good();
	configure(false, ALUA_OPTIMIZED, 0, ALUA_NONOPTIMIZED, 7); /* initiators may not any more */
	assert_int_equal(reported(2), ALUA_NONOPTIMIZED);
}

/* Where the document cannot be written, nothing happened. */
static void what_cannot_be_kept_is_not_set(void **state)
{
	char path[128];

	(void)state;
	snprintf(path, sizeof path, "%s/alua", root);
	close(open(path, O_CREAT | O_WRONLY, 0600));
	set_groups(0, BYTES(ALUA_STANDBY, 0, 0, 2));
	expect_sense(KEY_HARDWARE_ERROR, 0x670a);
	send_from(1, BYTES(0x00), NULL, 0);
	expect_good();
	assert_int_equal(reported(2), ALUA_OPTIMIZED);
}

/* The word that is looked at holds both: neither forgets the other. */
static void states_and_reservations_hold_at_once(void **state)
{
	uint8_t list[24] = { [15] = 1 };

	(void)state;
	send_from(0, BYTES(0x5f, 0, 0, 0, 0, 0, 0, 0, 24), list, 24);
	expect_good();
	configure(true, ALUA_OPTIMIZED, 0, ALUA_STANDBY, 1);
	no_attention();
	list[7] = 1;
	send_from(0, BYTES(0x5f, 1, 3, 0, 0, 0, 0, 0, 24), list, 24); /* exclusive access */
	expect_good();
	no_attention();
	send_block(1, 0x88, 0, 0, 1, NULL, 0);
	expect_sense(KEY_NOT_READY, 0x040b);
	set_groups(1, BYTES(ALUA_OPTIMIZED, 0, 0, 2)); /* changes settings: conflicts */
	expect_conflict();
	set_groups(0, BYTES(ALUA_OPTIMIZED, 0, 0, 2));
	expect_good();
	no_attention();
	send_block(1, 0x88, 0, 0, 1, NULL, 0);
	expect_conflict();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_event_in_every_state_leads_where_it_should),
		cmocka_unit_test(a_transition_ends_in_time_where_it_came_from),
		cmocka_unit_test(a_transition_without_a_state_before_ends_unavailable),
		cmocka_unit_test(states_have_names),
		DOCUMENTS_TEST(every_command_in_every_state_runs_or_is_refused_as_listed),
		DOCUMENTS_TEST(request_sense_tells_the_state),
		DOCUMENTS_TEST(a_transition_that_takes_too_long_is_over_and_told),
		DOCUMENTS_TEST(groups_are_reported_with_their_states),
		DOCUMENTS_TEST(inquiry_says_whether_initiators_may_set_states),
		DOCUMENTS_TEST(a_state_that_was_set_is_told_to_all_others_once),
		DOCUMENTS_TEST(an_own_path_can_be_set_and_is_out_of_use_at_once),
		DOCUMENTS_TEST(bad_lists_change_nothing),
		DOCUMENTS_TEST(what_was_set_survives_a_restart),
		DOCUMENTS_TEST(another_writer_is_not_overwritten),
		DOCUMENTS_TEST(an_administrator_has_the_last_word),
		DOCUMENTS_TEST(what_cannot_be_kept_is_not_set),
		DOCUMENTS_TEST(states_and_reservations_hold_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
