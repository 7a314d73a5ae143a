/* Persistent reservations as a pure state machine, and their document. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/scsi/pr_state.h"

enum { A, B, C };

static struct pr_state *state;
static struct pr_effect *effects; /* of the last command */
static unsigned effects_count;

static struct pr_nexus nexus(unsigned who)
{
	struct pr_nexus n = { .isid = { 0x40, 0, 0, 0, 0, (uint8_t)who }, .target_port = 1 };

	strcpy(n.initiator, "iqn.1994-05.com.example:a");
	n.initiator[24] = (char)('a' + who);
	return n;
}

static enum pr_outcome run(struct pr_command command)
{
	struct pr_state *next;
	enum pr_outcome outcome;

	free(effects);
	effects = NULL;
	effects_count = state->count;
	outcome = pr_apply(state, &command, &next, &effects);
	if (outcome == PR_GOOD) {
		free(state);
		state = next;
	}
	return outcome;
}

static enum pr_outcome act(unsigned who, enum pr_action action, uint8_t type, uint64_t key, uint64_t service_key)
{
	return run((struct pr_command){ .action = action, .from = nexus(who), .type = type, .key = key,
					.service_key = service_key });
}

static void expect_effect(unsigned index, uint16_t unit_attention)
{
	assert_true(index < effects_count);
	assert_int_equal(effects[index].unit_attention, unit_attention);
}

static int start(void **unused)
{
	(void)unused;
	state = pr_state_new();
	return 0;
}

static int stop(void **unused)
{
	(void)unused;
	free(state);
	free(effects);
	effects = NULL;
	return 0;
}

/* A, B and C with keys 10, 11, 12. */
static void register_three(void)
{
	for (unsigned who = A; who <= C; who++)
		assert_int_equal(act(who, PR_REGISTER, 0, 0, 10 + who), PR_GOOD);
}

static void registering_wants_the_key_that_is_there(void **unused)
{
	(void)unused;
	assert_int_equal(act(A, PR_REGISTER, 0, 99, 10), PR_CONFLICT);
	assert_int_equal(act(A, PR_REGISTER, 0, 0, 0), PR_GOOD);
	assert_int_equal(state->count, 0);
	assert_int_equal(state->generation, 0);
	assert_int_equal(act(A, PR_REGISTER, 0, 0, 10), PR_GOOD);
	assert_int_equal(state->generation, 1);
	assert_int_equal(act(A, PR_REGISTER, 0, 0, 11), PR_CONFLICT);
	assert_int_equal(act(A, PR_REGISTER, 0, 10, 11), PR_GOOD);
	assert_int_equal(state->registration[0].key, 11);
	assert_int_equal(act(A, PR_REGISTER_AND_IGNORE, 0, 99, 12), PR_GOOD);
	assert_int_equal(state->registration[0].key, 12);
	assert_int_equal(act(A, PR_REGISTER, 0, 12, 0), PR_GOOD);
	assert_int_equal(state->count, 0);
	assert_int_equal(state->generation, 4);
}

static void only_registrants_with_their_key_may_reserve(void **unused)
{
	(void)unused;
	assert_int_equal(act(A, PR_RESERVE, PR_WRITE_EXCLUSIVE, 0, 0), PR_CONFLICT);
	register_three();
	assert_int_equal(act(A, PR_RESERVE, PR_WRITE_EXCLUSIVE, 11, 0), PR_CONFLICT);
	assert_int_equal(act(A, PR_RESERVE, PR_WRITE_EXCLUSIVE, 10, 0), PR_GOOD);
	assert_int_equal(act(A, PR_RESERVE, PR_WRITE_EXCLUSIVE, 10, 0), PR_GOOD);
	assert_int_equal(act(A, PR_RESERVE, PR_EXCLUSIVE_ACCESS, 10, 0), PR_CONFLICT);
	assert_int_equal(act(B, PR_RESERVE, PR_WRITE_EXCLUSIVE, 11, 0), PR_CONFLICT);
	assert_int_equal(state->generation, 3);
	assert_true(pr_state_holds(state, 0) && !pr_state_holds(state, 1));
}

static void all_registrants_hold_together(void **unused)
{
	(void)unused;
	register_three();
	assert_int_equal(act(C, PR_RESERVE, PR_EXCLUSIVE_ACCESS_ALL, 12, 0), PR_GOOD);
	assert_int_equal(act(C, PR_REGISTER, 0, 12, 0), PR_GOOD);
	assert_true(state->holder < state->count); /* the document of a state without holder would be damaged */
	assert_int_equal(act(C, PR_REGISTER, 0, 0, 12), PR_GOOD);
	assert_int_equal(act(B, PR_RESERVE, PR_EXCLUSIVE_ACCESS_ALL, 11, 0), PR_GOOD);
	assert_true(pr_state_holds(state, 2));
	assert_int_equal(act(A, PR_REGISTER, 0, 10, 0), PR_GOOD);
	assert_int_equal(state->type, PR_EXCLUSIVE_ACCESS_ALL);
	assert_int_equal(act(B, PR_RELEASE, PR_EXCLUSIVE_ACCESS_ALL, 11, 0), PR_GOOD);
	assert_int_equal(state->type, PR_NONE);
	expect_effect(0, 0);
	expect_effect(1, 0x2a04);
	assert_int_equal(act(B, PR_RESERVE, PR_WRITE_EXCLUSIVE_ALL, 11, 0), PR_GOOD);
	assert_int_equal(act(B, PR_REGISTER, 0, 11, 0), PR_GOOD);
	assert_int_equal(act(C, PR_REGISTER, 0, 12, 0), PR_GOOD); /* the last one */
	assert_int_equal(state->type, PR_NONE);
}

static void release_is_for_the_holder_and_its_type(void **unused)
{
	(void)unused;
	register_three();
	assert_int_equal(act(A, PR_RELEASE, PR_WRITE_EXCLUSIVE, 10, 0), PR_GOOD);
	act(A, PR_RESERVE, PR_WRITE_EXCLUSIVE_REGISTRANTS, 10, 0);
	assert_int_equal(act(B, PR_RELEASE, PR_WRITE_EXCLUSIVE_REGISTRANTS, 11, 0), PR_GOOD);
	assert_int_equal(state->type, PR_WRITE_EXCLUSIVE_REGISTRANTS);
	assert_int_equal(act(A, PR_RELEASE, PR_WRITE_EXCLUSIVE, 10, 0), PR_INVALID_RELEASE);
	assert_int_equal(act(A, PR_RELEASE, PR_WRITE_EXCLUSIVE_REGISTRANTS, 10, 0), PR_GOOD);
	assert_int_equal(state->type, PR_NONE);
	expect_effect(A, 0);
	expect_effect(B, 0x2a04);
	expect_effect(C, 0x2a04);
}

static void releasing_an_exclusive_type_tells_nobody(void **unused)
{
	(void)unused;
	register_three();
	act(A, PR_RESERVE, PR_WRITE_EXCLUSIVE, 10, 0);
	act(A, PR_RELEASE, PR_WRITE_EXCLUSIVE, 10, 0);
	expect_effect(B, 0);
}

static void a_holder_that_unregisters_releases(void **unused)
{
	(void)unused;
	register_three();
	act(B, PR_RESERVE, PR_EXCLUSIVE_ACCESS_REGISTRANTS, 11, 0);
	assert_int_equal(act(B, PR_REGISTER, 0, 11, 0), PR_GOOD);
	assert_int_equal(state->type, PR_NONE);
	assert_int_equal(state->count, 2);
	expect_effect(A, 0x2a04);
	expect_effect(C, 0x2a04);
}

static void the_holder_stays_the_holder_when_others_go(void **unused)
{
	(void)unused;
	register_three();
	act(C, PR_RESERVE, PR_WRITE_EXCLUSIVE, 12, 0);
	act(A, PR_REGISTER, 0, 10, 0);
	assert_int_equal(state->count, 2);
	assert_int_equal(state->registration[state->holder].key, 12);
}

static void clear_takes_everything(void **unused)
{
	(void)unused;
	register_three();
	act(A, PR_RESERVE, PR_EXCLUSIVE_ACCESS, 10, 0);
	assert_int_equal(act(B, PR_CLEAR, 0, 12, 0), PR_CONFLICT);
	assert_int_equal(act(B, PR_CLEAR, 0, 11, 0), PR_GOOD);
	assert_int_equal(state->count, 0);
	assert_int_equal(state->type, PR_NONE);
	assert_int_equal(state->generation, 4);
	expect_effect(A, 0x2a03);
	expect_effect(B, 0);
	expect_effect(C, 0x2a03);
}

static void preempt_takes_the_reservation_from_its_holder(void **unused)
{
	(void)unused;
	register_three();
	act(A, PR_RESERVE, PR_WRITE_EXCLUSIVE_REGISTRANTS, 10, 0);
	assert_int_equal(act(B, PR_PREEMPT, PR_EXCLUSIVE_ACCESS_REGISTRANTS, 11, 10), PR_GOOD);
	assert_int_equal(state->count, 2);
	assert_int_equal(state->type, PR_EXCLUSIVE_ACCESS_REGISTRANTS);
	assert_int_equal(state->registration[state->holder].key, 11);
	expect_effect(A, 0x2a05);
	expect_effect(B, 0);
	expect_effect(C, 0x2a04); /* the type changed */
	assert_false(effects[A].preempted);
}

static void preempt_without_the_holders_key_only_unregisters(void **unused)
{
	(void)unused;
	register_three();
	act(A, PR_RESERVE, PR_WRITE_EXCLUSIVE, 10, 0);
	assert_int_equal(act(B, PR_PREEMPT_AND_ABORT, PR_WRITE_EXCLUSIVE, 11, 12), PR_GOOD);
	assert_int_equal(state->count, 2);
	assert_int_equal(state->registration[state->holder].key, 10);
	expect_effect(C, 0x2a05);
	assert_true(effects[C].preempted && !effects[A].preempted);
	assert_int_equal(act(B, PR_PREEMPT, PR_WRITE_EXCLUSIVE, 11, 99), PR_CONFLICT);
	assert_int_equal(act(B, PR_PREEMPT, PR_WRITE_EXCLUSIVE, 11, 0), PR_INVALID_LIST);
	assert_int_equal(act(C, PR_PREEMPT, PR_WRITE_EXCLUSIVE, 12, 10), PR_CONFLICT);
}

static void the_holder_may_preempt_itself_and_keeps_its_registration(void **unused)
{
	(void)unused;
	register_three();
	act(A, PR_RESERVE, PR_WRITE_EXCLUSIVE, 10, 0);
	assert_int_equal(act(A, PR_PREEMPT, PR_EXCLUSIVE_ACCESS, 10, 10), PR_GOOD);
	assert_int_equal(state->count, 3);
	assert_int_equal(state->type, PR_EXCLUSIVE_ACCESS);
	expect_effect(B, 0x2a04);
}

static void preempt_of_all_registrants_by_key_zero_takes_over(void **unused)
{
	(void)unused;
	register_three();
	act(A, PR_RESERVE, PR_WRITE_EXCLUSIVE_ALL, 10, 0);
	assert_int_equal(act(B, PR_PREEMPT, PR_WRITE_EXCLUSIVE, 11, 10), PR_GOOD);
	assert_int_equal(state->count, 2);
	assert_int_equal(state->type, PR_WRITE_EXCLUSIVE_ALL);
	assert_int_equal(act(B, PR_PREEMPT, PR_WRITE_EXCLUSIVE, 11, 0), PR_GOOD);
	assert_int_equal(state->count, 1);
	assert_int_equal(state->type, PR_WRITE_EXCLUSIVE);
	assert_int_equal(state->registration[state->holder].key, 11);
}

static void register_and_move_hands_the_reservation_over(void **unused)
{
	struct pr_nexus to = nexus(C), self = nexus(A);
	struct pr_command move = { .action = PR_REGISTER_AND_MOVE, .from = nexus(A), .key = 10, .service_key = 33,
				   .others = &to, .others_count = 1 };

	(void)unused;
	act(A, PR_REGISTER, 0, 0, 10);
	assert_int_equal(run(move), PR_INVALID_ACTION); /* nothing to move */
	act(B, PR_REGISTER, 0, 0, 11);
	act(B, PR_RESERVE, PR_WRITE_EXCLUSIVE, 11, 0);
	assert_int_equal(run(move), PR_CONFLICT); /* not the holder */
	act(B, PR_REGISTER, 0, 11, 0);
	act(A, PR_RESERVE, PR_WRITE_EXCLUSIVE_ALL, 10, 0);
	assert_int_equal(run(move), PR_CONFLICT);
	act(A, PR_RELEASE, PR_WRITE_EXCLUSIVE_ALL, 10, 0);
	act(A, PR_RESERVE, PR_WRITE_EXCLUSIVE, 10, 0);
	move.others = &self;
	assert_int_equal(run(move), PR_INVALID_LIST);
	self.target_port = 2; /* through another port it is the same initiator port */
	assert_int_equal(run(move), PR_INVALID_LIST);
	self.any_isid = true;
	assert_int_equal(run(move), PR_INVALID_LIST);
	move.others = &to;
	move.service_key = 0;
	assert_int_equal(run(move), PR_INVALID_LIST);
	move.service_key = 33;
	move.unregister = true;
	assert_int_equal(run(move), PR_GOOD);
	assert_int_equal(state->count, 1);
	assert_int_equal(state->registration[state->holder].key, 33);
	assert_true(pr_nexus_matches(&state->registration[0].nexus, &to));
	assert_int_equal(state->type, PR_WRITE_EXCLUSIVE);
}

static void spec_i_pt_registers_all_or_nothing(void **unused)
{
	struct pr_nexus others[2] = { nexus(B), nexus(C) };
	struct pr_command command = { .action = PR_REGISTER, .from = nexus(A), .service_key = 7, .others = others,
				      .others_count = 2 };

	(void)unused;
	act(C, PR_REGISTER, 0, 0, 9);
	assert_int_equal(run(command), PR_INVALID_LIST);
	assert_int_equal(state->count, 1);
	act(C, PR_REGISTER, 0, 9, 0);
	assert_int_equal(run(command), PR_GOOD);
	assert_int_equal(state->count, 3);
	assert_int_equal(state->registration[1].nexus.target_port, 1);
	command.key = 7;
	assert_int_equal(run(command), PR_INVALID_LIST); /* registered already */
}

static void all_target_ports_is_one_registration_for_every_port(void **unused)
{
	struct pr_nexus elsewhere = nexus(A);
	struct pr_command command = { .action = PR_REGISTER, .from = nexus(A), .service_key = 7, .all_target_ports = true };

	(void)unused;
	assert_int_equal(run(command), PR_GOOD);
	elsewhere.target_port = 42;
	assert_int_equal(pr_state_find(state, &elsewhere), 0);
	elsewhere.isid[0] ^= 1;
	assert_int_equal(pr_state_find(state, &elsewhere), -1);
}

static struct pr_command all_ports(unsigned who, enum pr_action action, uint64_t key, uint64_t service_key)
{
	return (struct pr_command){ .action = action, .from = nexus(who), .key = key, .service_key = service_key,
				    .all_target_ports = true };
}

/* Registers through port 2. */
static enum pr_outcome act_on_port_two(unsigned who, enum pr_action action, uint8_t type, uint64_t key, uint64_t service_key)
{
	struct pr_command command = { .action = action, .from = nexus(who), .type = type, .key = key,
				      .service_key = service_key };

	command.from.target_port = 2;
	return run(command);
}

static void all_target_ports_takes_in_what_other_ports_registered(void **unused)
{
	(void)unused;
	assert_int_equal(act_on_port_two(A, PR_REGISTER, 0, 0, 5), PR_GOOD);
	assert_int_equal(act_on_port_two(A, PR_RESERVE, PR_WRITE_EXCLUSIVE, 5, 0), PR_GOOD);
	act(B, PR_REGISTER, 0, 0, 11);
	assert_int_equal(run(all_ports(A, PR_REGISTER, 0, 6)), PR_CONFLICT); /* there the key is 5 */
	assert_int_equal(run(all_ports(A, PR_REGISTER_AND_IGNORE, 0, 6)), PR_GOOD);
	assert_int_equal(state->count, 2);
	assert_int_equal(state->registration[state->holder].key, 6);
	assert_int_equal(state->registration[state->holder].nexus.target_port, PR_TARGET_PORT_ANY);
	assert_int_equal(act_on_port_two(A, PR_RELEASE, PR_WRITE_EXCLUSIVE, 6, 0), PR_GOOD);
	assert_int_equal(state->type, PR_NONE);
	/* a key that is right everywhere is changed everywhere */
	act(B, PR_REGISTER, 0, 11, 9);
	act_on_port_two(B, PR_REGISTER, 0, 0, 9);
	assert_int_equal(run(all_ports(B, PR_REGISTER, 9, 10)), PR_GOOD);
	assert_int_equal(state->count, 2);
}

static void unregistering_through_all_ports_leaves_nothing(void **unused)
{
	(void)unused;
	act(A, PR_REGISTER, 0, 0, 5);
	act_on_port_two(A, PR_REGISTER, 0, 0, 5);
	act_on_port_two(A, PR_RESERVE, PR_WRITE_EXCLUSIVE, 5, 0);
	assert_int_equal(run(all_ports(A, PR_REGISTER, 5, 0)), PR_GOOD);
	assert_int_equal(state->count, 0);
	assert_int_equal(state->type, PR_NONE);
}

static void spec_i_pt_on_all_ports_sees_registrations_on_other_ports(void **unused)
{
	struct pr_nexus other = nexus(B);
	struct pr_command command = all_ports(A, PR_REGISTER, 0, 7);

	(void)unused;
	act_on_port_two(B, PR_REGISTER, 0, 0, 9);
	command.others = &other;
	command.others_count = 1;
	assert_int_equal(run(command), PR_INVALID_LIST);
	command.all_target_ports = false; /* on port 1 it is not registered */
	assert_int_equal(run(command), PR_GOOD);
	assert_int_equal(state->count, 3);
}

/* 5.13.11.2.5 */
static void preempt_of_registrations_ignores_scope_and_type(void **unused)
{
	(void)unused;
	register_three();
	act(A, PR_RESERVE, PR_WRITE_EXCLUSIVE, 10, 0);
	assert_int_equal(act(B, PR_PREEMPT, 0, 11, 12), PR_GOOD);
	assert_int_equal(state->type, PR_WRITE_EXCLUSIVE);
	assert_int_equal(act(B, PR_PREEMPT, 0x21, 11, 10), PR_INVALID_TYPE);
	assert_int_equal(act(B, PR_PREEMPT, 2, 11, 10), PR_INVALID_TYPE);
	assert_int_equal(state->count, 2);
}

/* Table 72: with an all registrants reservation only the key 0 takes it; the others keep it. */
static void preempt_and_abort_of_all_registrants_aborts_all_others(void **unused)
{
	(void)unused;
	register_three();
	act(A, PR_RESERVE, PR_EXCLUSIVE_ACCESS_ALL, 10, 0);
	assert_int_equal(act(C, PR_PREEMPT_AND_ABORT, PR_WRITE_EXCLUSIVE_REGISTRANTS, 12, 0), PR_GOOD);
	assert_true(effects[A].preempted && effects[B].preempted && !effects[C].preempted);
	expect_effect(A, 0x2a05);
	expect_effect(C, 0);
	assert_int_equal(state->count, 1);
	assert_int_equal(state->type, PR_WRITE_EXCLUSIVE_REGISTRANTS);
}

static void a_registrant_that_preempts_its_own_key_is_gone(void **unused)
{
	(void)unused;
	register_three();
	act(A, PR_RESERVE, PR_WRITE_EXCLUSIVE, 10, 0);
	assert_int_equal(act(B, PR_PREEMPT, PR_WRITE_EXCLUSIVE, 11, 11), PR_GOOD);
	assert_int_equal(state->count, 2);
	expect_effect(B, 0);
}

/* 6.15.2: which commands count. */
static void the_generation_counts_what_the_standard_says(void **unused)
{
	static const struct {
		enum pr_action action;
		uint64_t key, service_key;
		bool counts;
	} steps[] = {
		{ PR_REGISTER, 0, 0, false },
		{ PR_REGISTER, 5, 6, false },               /* conflict */
		{ PR_REGISTER, 0, 10, true },
		{ PR_REGISTER, 10, 10, true },              /* the same again */
		{ PR_REGISTER_AND_IGNORE, 0, 10, true },
		{ PR_RESERVE, 10, 0, false },
		{ PR_PREEMPT, 10, 99, false },              /* conflict */
		{ PR_PREEMPT, 10, 10, true },
		{ PR_RELEASE, 10, 0, false },
		{ PR_CLEAR, 10, 0, true },
	};

	(void)unused;
	for (unsigned i = 0; i < sizeof steps / sizeof steps[0]; i++) {
		uint32_t before = state->generation;

		act(A, steps[i].action, PR_WRITE_EXCLUSIVE, steps[i].key, steps[i].service_key);
		if (state->generation != before + steps[i].counts)
			fail_msg("step %u", i);
	}
}

static void registrations_are_limited(void **unused)
{
	(void)unused;
	for (unsigned i = 0; i < PR_REGISTRATIONS_MAX + 1; i++) {
		struct pr_command command = { .action = PR_REGISTER, .from = nexus(A), .service_key = 7 };

		command.from.isid[1] = (uint8_t)(i >> 8);
		command.from.isid[2] = (uint8_t)i;
		assert_int_equal(run(command), i < PR_REGISTRATIONS_MAX ? PR_GOOD : PR_NO_ROOM);
	}
}

/* --- the document --- */

static void the_document_brings_the_state_back(void **unused)
{
	struct pr_state *back;
	json_t *json;

	(void)unused;
	register_three();
	act(B, PR_RESERVE, PR_EXCLUSIVE_ACCESS, 11, 0);
	json = pr_state_encode(state, 5);
	back = pr_state_decode(json, 5, NULL);
	assert_non_null(back);
	assert_memory_equal(back, state, sizeof *state + state->count * sizeof state->registration[0]);
	free(back);
	back = pr_state_decode(json, 6, NULL); /* the daemon was started again, without APTPL */
	assert_int_equal(back->count, 0);
	free(back);
	json_decref(json);
	state->aptpl = true;
	json = pr_state_encode(state, 5);
	back = pr_state_decode(json, 6, NULL);
	assert_int_equal(back->count, 3);
	assert_int_equal(back->type, PR_EXCLUSIVE_ACCESS);
	assert_int_equal(back->generation, 0);
	free(back);
	json_decref(json);
}

static void damaged_documents_are_errors_not_empty_states(void **unused)
{
	static const char *const damaged[] = {
		"{}",
		"{\"epoch\":\"1\",\"aptpl\":true,\"generation\":1,\"type\":0,\"holder\":0,\"registrations\":[]}",
		"{\"epoch\":\"0000000000000001\",\"aptpl\":true,\"generation\":-1,\"type\":0,\"holder\":0,\"registrations\":[]}",
		"{\"epoch\":\"0000000000000001\",\"aptpl\":true,\"generation\":1,\"type\":2,\"holder\":0,\"registrations\":[]}",
		"{\"epoch\":\"0000000000000001\",\"aptpl\":true,\"generation\":1,\"type\":1,\"holder\":0,\"registrations\":[]}",
		"{\"epoch\":\"0000000000000001\",\"aptpl\":true,\"generation\":1,\"type\":0,\"holder\":0,\"registrations\":{}}",
		"{\"epoch\":\"0000000000000001\",\"aptpl\":true,\"generation\":1,\"type\":0,\"holder\":0,\"registrations\":[{}]}",
		"{\"epoch\":\"0000000000000001\",\"aptpl\":true,\"generation\":1,\"type\":0,\"holder\":0,\"registrations\":"
		"[{\"key\":\"0000000000000000\",\"initiator\":\"iqn.a\",\"target_port\":1}]}",
		"{\"epoch\":\"0000000000000001\",\"aptpl\":true,\"generation\":1,\"type\":0,\"holder\":0,\"registrations\":"
		"[{\"key\":\"0000000000000001\",\"initiator\":\"iqn.a\",\"isid\":\"12\",\"target_port\":1}]}",
		"{\"epoch\":\"0000000000000001\",\"aptpl\":true,\"generation\":1,\"type\":0,\"holder\":0,\"registrations\":"
		"[{\"key\":\"0000000000000001\",\"initiator\":\"iqn.a\",\"target_port\":65536}]}",
	};

	(void)unused;
	for (unsigned i = 0; i < sizeof damaged / sizeof damaged[0]; i++) {
		struct err err = { 0 };
		json_t *json = json_loads(damaged[i], 0, NULL);

		assert_non_null(json);
		assert_null(pr_state_decode(json, 1, &err));
		assert_true(err.code < 0);
		json_decref(json);
	}
}

/* Whatever happens: the holder is a registration, keys are not zero, no nexus is there twice. */
static void random_commands_keep_the_invariants(void **unused)
{
	static const uint8_t types[] = { 1, 3, 5, 6, 7, 8 };
	unsigned seed = 1;

	(void)unused;
	for (unsigned step = 0; step < 20000; step++) {
		struct pr_nexus other = nexus((unsigned)rand_r(&seed) % 3);
		struct pr_command command = {
			.action = (enum pr_action)(rand_r(&seed) % 8), .from = nexus((unsigned)rand_r(&seed) % 3),
			.type = types[rand_r(&seed) % 6], .key = (uint64_t)(rand_r(&seed) % 3),
			.service_key = (uint64_t)(rand_r(&seed) % 3), .unregister = rand_r(&seed) % 2,
			.all_target_ports = rand_r(&seed) % 4 == 0,
			.others = &other, .others_count = (unsigned)rand_r(&seed) % 2,
		};

		command.from.target_port = (uint16_t)(1 + rand_r(&seed) % 2);
		run(command);
		assert_in_range(state->count, 0, 6);
		assert_true(state->type == PR_NONE || pr_type_valid(state->type));
		assert_true(state->type == PR_NONE || state->count);
		if (state->type != PR_NONE)
			assert_true(state->holder < state->count);
		for (unsigned i = 0; i < state->count; i++) {
			assert_true(state->registration[i].key != 0);
			assert_int_equal(pr_state_find(state, &state->registration[i].nexus), i);
		}
	}
}

#define PR_TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		PR_TEST(registering_wants_the_key_that_is_there),
		PR_TEST(only_registrants_with_their_key_may_reserve),
		PR_TEST(all_registrants_hold_together),
		PR_TEST(release_is_for_the_holder_and_its_type),
		PR_TEST(releasing_an_exclusive_type_tells_nobody),
		PR_TEST(a_holder_that_unregisters_releases),
		PR_TEST(the_holder_stays_the_holder_when_others_go),
		PR_TEST(clear_takes_everything),
		PR_TEST(preempt_takes_the_reservation_from_its_holder),
		PR_TEST(preempt_without_the_holders_key_only_unregisters),
		PR_TEST(the_holder_may_preempt_itself_and_keeps_its_registration),
		PR_TEST(preempt_of_all_registrants_by_key_zero_takes_over),
		PR_TEST(register_and_move_hands_the_reservation_over),
		PR_TEST(spec_i_pt_registers_all_or_nothing),
		PR_TEST(all_target_ports_is_one_registration_for_every_port),
		PR_TEST(all_target_ports_takes_in_what_other_ports_registered),
		PR_TEST(unregistering_through_all_ports_leaves_nothing),
		PR_TEST(spec_i_pt_on_all_ports_sees_registrations_on_other_ports),
		PR_TEST(preempt_of_registrations_ignores_scope_and_type),
		PR_TEST(preempt_and_abort_of_all_registrants_aborts_all_others),
		PR_TEST(a_registrant_that_preempts_its_own_key_is_gone),
		PR_TEST(the_generation_counts_what_the_standard_says),
		PR_TEST(registrations_are_limited),
		PR_TEST(the_document_brings_the_state_back),
		PR_TEST(damaged_documents_are_errors_not_empty_states),
		PR_TEST(random_commands_keep_the_invariants),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
