/*
 * PERSISTENT RESERVE OUT with any parameter lists, and reservation documents with any content.
 *
 * Input: first byte 0xff: the rest is a document (JSON text); else commands, each of them 1 byte (bits 0-1 nexus, bits 3-5
 * service action), 1 byte scope and type, 1 byte length of the list, the list. Properties: what the state machine
 * promises (tests/unit/scsi/pr_state_test.c), and that a document that is accepted comes back the same.
 */
#include "tests/unit/scsi/world.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len_bytes);

static struct world world;
static struct outcome outcome;

static void check_state(const struct pr_state *state)
{
	assert(state->count <= PR_REGISTRATIONS_MAX);
	assert(state->type == PR_NONE || (pr_type_valid(state->type) && state->holder < state->count));
	for (unsigned i = 0; i < state->count; i++) {
		assert(state->registration[i].key);
		assert(memchr(state->registration[i].nexus.initiator, 0, PR_NAME_MAX));
	}
}

static void document(const uint8_t *bytes, size_t len_bytes)
{
	json_t *json = json_loadb((const char *)bytes, len_bytes, 0, NULL), *encoded;
	struct pr_state *state = json ? pr_state_decode(json, 1, NULL) : NULL, *again;

	if (state) {
		check_state(state);
		encoded = pr_state_encode(state, 1);
		again = encoded ? pr_state_decode(encoded, 1, NULL) : NULL;
		/* A name that is not UTF-8 cannot be in JSON; all that was read can be written. */
		assert(again && again->count == state->count && again->type == state->type);
		free(again);
		json_decref(encoded);
	}
	free(state);
	json_decref(json);
}

static void command(uint8_t how, uint8_t type, const uint8_t *list, uint8_t len_bytes)
{
	uint8_t cdb[10] = { 0x5f, how >> 3 & 7, type, 0, 0, 0, 0, 0, len_bytes };

	world_run(&world, world.nexus[(how & 3) % WORLD_NEXUSES], 0, cdb, sizeof cdb, list, len_bytes, &outcome);
	check_state(world.lu->pr);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len_bytes)
{
	struct wire_reader r = wire_reader(bytes, len_bytes);
	static bool ready;

	if (len_bytes && bytes[0] == 0xff) {
		document(bytes + 1, len_bytes - 1);
		return 0;
	}
	if (!ready)
		world_init(&world, &(struct world_options){ 0 });
	ready = true;
	assert(scsi_lu_reservations_clear(world.lu, NULL) == 0);
	for (unsigned i = 0; i < WORLD_NEXUSES; i++) /* no unit attention in the way */
		while (outcome.key = 0, world_run(&world, world.nexus[i], 0, (const uint8_t[6]){ 0 }, 6, NULL, 0, &outcome),
		       outcome.key == KEY_UNIT_ATTENTION)
			;
	for (unsigned i = 0; i < 64 && wire_left(&r) >= 3; i++) {
		uint8_t how = wire_get_u8(&r), type = wire_get_u8(&r), wanted = wire_get_u8(&r);
		uint8_t list_bytes = wanted < wire_left(&r) ? wanted : (uint8_t)wire_left(&r);

		command(how, type, wire_get_bytes(&r, list_bytes), list_bytes);
	}
	return 0;
}
