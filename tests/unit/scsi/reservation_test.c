/* PERSISTENT RESERVE IN and OUT and RESERVE(6) as commands, with real documents on disk; TransportIDs. */
#include <errno.h>

#include "dataplane/scsi/transport_id.h"
#include "tests/unit/scsi/documents.h"

static int begin(void **state)
{
	(void)state;
	return begin_with((struct world_options){ .epoch = 1 });
}

static void out_list(unsigned who, uint8_t action, uint8_t type, const uint8_t *list, uint32_t cdb_len, size_t len)
{
	uint8_t cdb[10] = { 0x5f, action, type };

	put_be32(cdb + 5, cdb_len);
	send_from(who, cdb, sizeof cdb, list, len);
}

static void pr_out(unsigned who, uint8_t action, uint8_t type, uint64_t key, uint64_t service_key, uint8_t flags)
{
	uint8_t list[24] = { 0 };

	put_be64(list, key);
	put_be64(list + 8, service_key);
	list[20] = flags;
	out_list(who, action, type, list, sizeof list, sizeof list);
}

static void pr_in(unsigned who, uint8_t action, uint16_t len)
{
	uint8_t cdb[10] = { 0x5e, action };

	put_be16(cdb + 7, len);
	send_from(who, cdb, sizeof cdb, NULL, 0);
}

static void registered(unsigned who, uint64_t key)
{
	pr_out(who, 0, 0, 0, key, 0);
	expect_good();
}

static void read_from(unsigned who)
{
	send_block(who, 0x88, 0, 0, 1, NULL, 0);
}

static void write_from(unsigned who)
{
	uint8_t block[512] = { 0 };

	send_block(who, 0x8a, 0, 0, 1, block, sizeof block);
}

static void keys_and_reservation_can_be_read(void **state)
{
	(void)state;
	registered(0, 0x1111);
	registered(1, 0x2222);
	pr_in(0, 0, 1024);
	expect_good();
	assert_int_equal(outcome.data_in_bytes, 24);
	assert_int_equal(get_be32(outcome.data), 2);
	assert_int_equal(get_be32(outcome.data + 4), 16);
	assert_int_equal(get_be64(outcome.data + 8), 0x1111);
	pr_in(0, 0, 8); /* the length is that of the whole list */
	assert_int_equal(outcome.data_in_bytes, 8);
	assert_int_equal(get_be32(outcome.data + 4), 16);
	pr_in(0, 1, 1024);
	assert_int_equal(outcome.data_in_bytes, 8);
	pr_out(0, 1, 3, 0x1111, 0, 0);
	expect_good();
	pr_in(1, 1, 1024);
	assert_int_equal(outcome.data_in_bytes, 24);
	assert_int_equal(get_be64(outcome.data + 8), 0x1111);
	assert_int_equal(outcome.data[21], 3);
	pr_in(1, 2, 1024);
	assert_memory_equal(outcome.data, ((uint8_t[]){ 0, 8, 0x0d, 0xc0, 0xea, 0x01, 0, 0 }), 8);
	for (uint16_t len = 0; len < 8; len++) {
		pr_in(1, 3, len);
		expect_good();
		assert_int_equal(outcome.data_in_bytes, len);
	}
}

static void full_status_names_every_nexus(void **state)
{
	struct pr_nexus nexus;

	(void)state;
	registered(0, 0x1111);
	pr_out(2, 6, 0, 0, 0x3333, 0x04); /* REGISTER AND IGNORE, ALL_TG_PT */
	expect_good();
	pr_out(0, 1, 1, 0x1111, 0, 0);
	pr_in(0, 3, 4096);
	expect_good();
	assert_int_equal(get_be32(outcome.data + 4), outcome.data_in_bytes - 8);
	assert_int_equal(get_be64(outcome.data + 8), 0x1111);
	assert_int_equal(outcome.data[20], 0x01);
	assert_int_equal(outcome.data[21], 0x01);
	assert_int_equal(get_be16(outcome.data + 26), 1);
	assert_int_equal(transport_id_decode(outcome.data + 32, get_be32(outcome.data + 28), &nexus),
			 get_be32(outcome.data + 28));
	assert_string_equal(nexus.initiator, "iqn.1994-05.com.example:host0");
	assert_int_equal(outcome.data[32 + get_be32(outcome.data + 28) + 12], 0x02);
}

static void access_follows_the_type(void **state)
{
	static const struct {
		uint8_t type;
		bool registrant_writes, registrant_reads, stranger_reads;
	} cases[] = {
		{ 1, false, true, true }, { 3, false, false, false }, { 5, true, true, true },
		{ 6, true, true, false }, { 7, true, true, true },    { 8, true, true, false },
	};

	(void)state;
	registered(0, 1);
	registered(1, 2);
	for (unsigned i = 0; i < 6; i++) {
		pr_out(0, 1, cases[i].type, 1, 0, 0);
		expect_good();
		write_from(0);
		expect_good();
		read_from(1);
		assert_int_equal(outcome.status, cases[i].registrant_reads ? SCSI_GOOD : SCSI_RESERVATION_CONFLICT);
		write_from(1);
		assert_int_equal(outcome.status, cases[i].registrant_writes ? SCSI_GOOD : SCSI_RESERVATION_CONFLICT);
		read_from(2);
		assert_int_equal(outcome.status, cases[i].stranger_reads ? SCSI_GOOD : SCSI_RESERVATION_CONFLICT);
		write_from(2);
		expect_conflict();
		for (unsigned who = 0; who < 3; who++) {
			send_from(who, BYTES(0x00), NULL, 0);
			expect_good();
			send_from(who, BYTES(0x25), NULL, 0);
			expect_good();
		}
		pr_out(2, 1, 1, 0, 0, 0);
		expect_conflict();
		pr_out(0, 2, cases[i].type, 1, 0, 0);
		expect_good();
		send_from(1, BYTES(0x00), NULL, 0); /* perhaps 2A/04 */
		write_from(2);
		expect_good();
	}
}

static void every_write_class_command_conflicts_for_a_stranger(void **state)
{
	(void)state;
	registered(0, 1);
	pr_out(0, 1, 1, 1, 0, 0);
	for (unsigned i = 0; i < scsi_command_count; i++) {
		const struct scsi_command *row = &scsi_commands[i];
		uint8_t cdb[16] = { row->opcode, row->service_action == SCSI_SA_NONE ? 0 : (uint8_t)row->service_action };

		if ((row->access != ACCESS_WRITE && row->access != ACCESS_MANAGE) || row->flags & CMD_TPGS)
			continue; /* not on this target: alua_test.c */
		if (row->relaxed && row->relaxed(cdb))
			cdb[4] = 0x01; /* PREVENT */
		send_from(2, cdb, 16, NULL, 0);
		if (outcome.status != SCSI_RESERVATION_CONFLICT)
			fail_msg("%s", row->name);
	}
	send_from(2, BYTES(0x1e, 0, 0, 0, 0, 0), NULL, 0); /* ALLOW */
	expect_good();
	send_from(2, BYTES(0x1b, 0, 0, 0, 1, 0), NULL, 0); /* START */
	expect_good();
	send_from(2, BYTES(0x16), NULL, 0);
	expect_conflict();
}

static void unit_attentions_reach_those_who_lose(void **state)
{
	(void)state;
	registered(0, 1);
	registered(1, 2);
	registered(2, 3);
	pr_out(0, 1, 5, 1, 0, 0);
	pr_out(1, 4, 6, 2, 1, 0);
	expect_good();
	send_from(0, BYTES(0x00), NULL, 0);
	expect_sense(KEY_UNIT_ATTENTION, 0x2a05);
	send_from(2, BYTES(0x00), NULL, 0);
	expect_sense(KEY_UNIT_ATTENTION, 0x2a04);
	send_from(1, BYTES(0x00), NULL, 0);
	expect_good();
	pr_out(1, 3, 0, 2, 0, 0);
	expect_good();
	send_from(2, BYTES(0x00), NULL, 0);
	expect_sense(KEY_UNIT_ATTENTION, 0x2a03);
}

static uint64_t aborted[8];
static unsigned aborted_count;

static int abort_nexuses(void *arg, struct scsi_lu *lu, const uint64_t *ids, unsigned count, void (*done)(void *),
			  void *done_arg, struct mailbox *reply_to)
{
	(void)arg, (void)lu, (void)reply_to;
	aborted_count = count;
	memcpy(aborted, ids, count * sizeof *ids);
	done(done_arg);
	return 0;
}

static void preempt_and_abort_aborts_the_preempted(void **state)
{
	(void)state;
	aborted_count = 0;
	world.lu->services.abort_nexuses = abort_nexuses;
	registered(0, 1);
	registered(1, 2);
	registered(2, 2);
	pr_out(1, 1, 1, 2, 0, 0);
	pr_out(0, 5, 3, 1, 2, 0);
	expect_good();
	assert_int_equal(aborted_count, 2);
	assert_int_equal(aborted[0] + aborted[1], 2 + 3);
	pr_in(0, 1, 64);
	assert_int_equal(outcome.data[21], 3);
}

static int no_memory_to_abort(void *arg, struct scsi_lu *lu, const uint64_t *ids, unsigned count, void (*done)(void *),
			      void *done_arg, struct mailbox *reply_to)
{
	(void)arg, (void)lu, (void)ids, (void)count, (void)done, (void)done_arg, (void)reply_to;
	return -ENOMEM;
}

/* Preempted, but their tasks may still write: never GOOD. */
static void preempt_and_abort_that_cannot_abort_is_not_good(void **state)
{
	(void)state;
	world.lu->services.abort_nexuses = no_memory_to_abort;
	registered(0, 1);
	registered(1, 2);
	pr_out(1, 1, 1, 2, 0, 0);
	pr_out(0, 5, 3, 1, 2, 0);
	expect_sense(KEY_HARDWARE_ERROR, ASC_INTERNAL_TARGET_FAILURE);
	pr_in(0, 1, 64);
	assert_int_equal(outcome.data[21], 3);
}

static void parameter_lists_of_other_lengths_are_refused(void **state)
{
	static const uint32_t lengths[] = { 0, 8, 23, 25, 28, 0xffffffff };
	uint8_t list[64] = { 0 };

	(void)state;
	for (unsigned i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
		out_list(0, 0, 0, list, lengths[i], 24);
		expect_sense(KEY_ILLEGAL_REQUEST, ASC_PARAMETER_LIST_LENGTH);
	}
	out_list(0, 0, 0, list, 24, 20); /* the initiator sends less */
	expect_sense(KEY_ILLEGAL_REQUEST, ASC_PARAMETER_LIST_LENGTH);
	for (uint8_t type = 0; type < 16; type++)
		if (!pr_type_valid(type)) {
			pr_out(0, 1, type, 0, 0, 0);
			expect_sense(KEY_ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_CDB);
		}
	pr_out(0, 1, 0x11, 0, 0, 0); /* scope */
	expect_sense(KEY_ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_CDB);
	pr_out(0, 2, 1, 0, 0, 0);
	expect_conflict();
}

static unsigned spec_list(uint8_t *list, const struct pr_nexus *nexuses, unsigned count, uint8_t flags)
{
	unsigned at = 28;

	memset(list, 0, 24);
	list[15] = 7;
	list[20] = (uint8_t)(0x08 | flags);
	for (unsigned i = 0; i < count; i++)
		at += transport_id_encode(&nexuses[i], list + at);
	put_be32(list + 24, at - 28);
	return at;
}

static void spec_i_pt_registers_others(void **state)
{
	struct pr_nexus nexuses[2] = { scsi_port_pr_nexus(&world.nexus[1]->port),
				       scsi_port_pr_nexus(&world.nexus[2]->port) };
	uint8_t list[1024];
	unsigned len = spec_list(list, nexuses, 2, 0);

	(void)state;
	put_be32(list + 24, len - 28 + 4); /* lies */
	out_list(0, 0, 0, list, len, len);
	expect_sense(KEY_ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_LIST);
	len = spec_list(list, nexuses, 0, 0);
	out_list(0, 0, 0, list, len, len);
	expect_sense(KEY_ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_LIST);
	len = spec_list(list, nexuses, 2, 0);
	out_list(0, 6, 0, list, len, len); /* not with REGISTER AND IGNORE */
	expect_sense(KEY_ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_LIST);
	out_list(0, 0, 0, list, 24, 24); /* the bit, but no list */
	expect_sense(KEY_ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_LIST);
	out_list(0, 0, 0, list, len, len);
	expect_good();
	pr_in(0, 0, 64);
	assert_int_equal(get_be32(outcome.data + 4), 24);
	/* registered on the port that was asked: nexus 2 comes through another one */
	pr_out(1, 1, 1, 7, 0, 0);
	expect_good();
	pr_out(2, 2, 1, 7, 0, 0);
	expect_conflict();
}

static bool admits_host_one(void *arg, struct scsi_lu *lu, uint16_t relative_port_id, const char *initiator_name)
{
	(void)arg;
	assert_ptr_equal(lu, world.lu);
	assert_int_equal(relative_port_id, 1);
	return !strcmp(initiator_name, "iqn.1994-05.com.example:host1");
}

static void initiators_without_access_cannot_be_registered(void **state)
{
	struct pr_nexus nexuses[2] = { scsi_port_pr_nexus(&world.nexus[1]->port),
				       scsi_port_pr_nexus(&world.nexus[2]->port) };
	uint8_t list[1024];
	unsigned len = spec_list(list, nexuses, 2, 0);

	(void)state;
	world.lu->services.admits = admits_host_one;
	out_list(0, 0, 0, list, len, len);
	expect_sense(KEY_ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_LIST);
	pr_in(0, 0, 64);
	assert_int_equal(get_be32(outcome.data + 4), 0); /* nothing was registered */
	len = spec_list(list, nexuses, 1, 0);
	out_list(0, 0, 0, list, len, len);
	expect_good();
}

static void register_and_move_names_a_nexus(void **state)
{
	struct pr_nexus to = scsi_port_pr_nexus(&world.nexus[2]->port);
	uint8_t list[512] = { 0 };
	unsigned id_len = transport_id_encode(&to, list + 24);

	(void)state;
	registered(0, 1);
	pr_out(0, 1, 1, 1, 0, 0);
	put_be64(list, 1);
	put_be64(list + 8, 9);
	put_be32(list + 20, id_len);
	out_list(0, 7, 0, list, 24 + id_len, 24 + id_len); /* no target port */
	expect_sense(KEY_ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_LIST);
	put_be16(list + 18, to.target_port);
	put_be32(list + 20, id_len + 4);
	out_list(0, 7, 0, list, 24 + id_len, 24 + id_len);
	expect_sense(KEY_ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_LIST);
	put_be32(list + 20, id_len);
	list[17] = 0x02; /* UNREG */
	out_list(0, 7, 0, list, 24 + id_len, 24 + id_len);
	expect_good();
	write_from(2);
	expect_good();
	write_from(0);
	expect_conflict();
}

/* --- documents --- */

static void a_worker_that_starts_again_keeps_reservations(void **state)
{
	(void)state;
	registered(0, 1);
	pr_out(0, 1, 1, 1, 0, 0);
	renew_world();
	write_from(2);
	expect_conflict();
	write_from(0);
	expect_good();
	pr_in(0, 0, 64);
	assert_int_equal(get_be32(outcome.data), 1);
}

static void a_daemon_that_starts_again_keeps_only_aptpl(void **state)
{
	(void)state;
	registered(0, 1);
	pr_out(0, 1, 1, 1, 0, 0);
	options.epoch = 2;
	renew_world();
	pr_in(0, 0, 64);
	assert_int_equal(get_be32(outcome.data + 4), 0);
	pr_out(0, 0, 0, 0, 1, 0x01); /* APTPL */
	expect_good();
	pr_out(0, 1, 3, 1, 0, 0);
	expect_good();
	pr_in(0, 2, 8);
	assert_int_equal(outcome.data[3], 0xc1);
	options.epoch = 3;
	renew_world();
	read_from(2);
	expect_conflict();
	pr_in(0, 1, 24);
	assert_int_equal(get_be64(outcome.data + 8), 1);
}

static void what_cannot_be_published_fails_and_changes_nothing(void **state)
{
	(void)state;
	registered(0, 1);
	scratch_remove(root); /* the store is gone from under us */
	pr_out(0, 1, 1, 1, 0, 0);
	assert_int_not_equal(outcome.status, SCSI_GOOD);
	write_from(2);
	expect_good();
}

static void another_writer_is_not_overwritten(void **state)
{
	struct pr_state *other = calloc(1, sizeof *other + sizeof other->registration[0]);
	uint64_t version;
	json_t *json, *now;

	(void)state;
	registered(0, 1);
	other->generation = 9; /* another node has cleared and registered host 1 */
	other->count = 1;
	other->registration[0].key = 5;
	other->registration[0].nexus = scsi_port_pr_nexus(&world.nexus[1]->port);
	json = pr_state_encode(other, options.epoch);
	free(other);
	assert_int_equal(docstore_load(options.documents, world.lu->document, &now, &version, NULL), 0);
	json_decref(now);
	assert_int_equal(docstore_publish(options.documents, world.lu->document, json, version, NULL, NULL), 0);
	json_decref(json);
	pr_out(0, 1, 1, 1, 0, 0); /* no longer registered */
	expect_conflict();
	registered(2, 6);
	pr_in(0, 0, 64);
	assert_int_equal(get_be32(outcome.data), 10);
	assert_int_equal(get_be32(outcome.data + 4), 16);
}

static void the_administrator_clears(void **state)
{
	json_t *json;

	(void)state;
	registered(0, 1);
	pr_out(0, 1, 3, 1, 0, 0);
	json = scsi_lu_reservations_json(world.lu);
	assert_string_equal(json_string_value(json_object_get(json, "type")), "exclusive-access");
	assert_int_equal(json_array_size(json_object_get(json, "registrations")), 1);
	json_decref(json);
	assert_int_equal(scsi_lu_reservations_clear(world.lu, NULL), 0);
	write_from(2);
	expect_good();
	send_from(0, BYTES(0x00), NULL, 0);
	expect_sense(KEY_UNIT_ATTENTION, 0x2a03);
	renew_world();
	pr_in(0, 0, 64);
	assert_int_equal(get_be32(outcome.data + 4), 0);
}

static void without_documents_aptpl_is_refused(void **state)
{
	(void)state;
	world_fini(&world);
	world_init(&world, &(struct world_options){ 0 });
	pr_out(0, 0, 0, 0, 1, 0x01);
	expect_sense(KEY_ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_LIST);
	registered(0, 1);
	pr_in(0, 2, 8);
	assert_int_equal(outcome.data[2] & 0x01, 0);
}

/* --- RESERVE(6) --- */

static void reserve_six_keeps_others_out(void **state)
{
	(void)state;
	send(BYTES(0x16));
	expect_good();
	send(BYTES(0x16));
	expect_good();
	write_from(0);
	expect_good();
	send_from(1, BYTES(0x16), NULL, 0);
	expect_conflict();
	send_from(1, BYTES(0x17), NULL, 0); /* ignored */
	expect_good();
	send_from(1, BYTES(0x1a, 0, 0x3f, 0, 255, 0), NULL, 0);
	expect_conflict();
	send_from(1, BYTES(0x00), NULL, 0);
	expect_conflict();
	send_from(1, BYTES(0x12, 0, 0, 0, 96, 0), NULL, 0);
	expect_good();
	pr_out(1, 0, 0, 0, 1, 0);
	expect_conflict();
	send(BYTES(0x17));
	expect_good();
	send_from(1, BYTES(0x16), NULL, 0);
	expect_good();
}

static void reserve_six_ends_with_the_nexus_or_a_reset(void **state)
{
	(void)state;
	send(BYTES(0x16));
	world_drop_nexus(&world, 0);
	send_from(1, BYTES(0x16), NULL, 0);
	expect_good();
	scsi_lu_reset(world.lu, NULL);
	send_from(2, BYTES(0x00), NULL, 0);
	write_from(2);
	expect_good();
	send_from(2, BYTES(0x16), NULL, 0);
	expect_good();
}

static void registrations_forbid_reserve_six(void **state)
{
	(void)state;
	registered(0, 1);
	send(BYTES(0x16));
	expect_conflict();
	send(BYTES(0x57));
	expect_conflict();
}

/* --- TransportIDs --- */

static void transport_ids_survive_a_round_trip(void **state)
{
	struct pr_nexus port = scsi_port_pr_nexus(&world.nexus[0]->port), back;
	uint8_t bytes[TRANSPORT_ID_MAX_BYTES];
	unsigned len;

	(void)state;
	port.target_port = PR_TARGET_PORT_ANY;
	len = transport_id_encode(&port, bytes);
	assert_int_equal(len % 4, 0);
	assert_int_equal(bytes[0], 0x45);
	assert_int_equal(transport_id_decode(bytes, len, &back), len);
	assert_memory_equal(&back, &port, sizeof port);
	memset(port.isid, 0, sizeof port.isid);
	port.any_isid = true;
	memset(port.initiator, 0, sizeof port.initiator);
	memset(port.initiator, 'i', 223);
	len = transport_id_encode(&port, bytes);
	assert_int_equal(bytes[0], 0x05);
	assert_int_equal(transport_id_decode(bytes, len, &back), len);
	assert_memory_equal(&back, &port, sizeof port);
}

static void a_transport_id_that_is_cut_is_refused(void **state)
{
	struct pr_nexus port = scsi_port_pr_nexus(&world.nexus[0]->port), back;
	uint8_t bytes[TRANSPORT_ID_MAX_BYTES];
	unsigned len = transport_id_encode(&port, bytes);

	(void)state;
	assert_int_equal(transport_id_decode(bytes, len, &back), len);
	for (unsigned cut = 0; cut < len; cut++)
		assert_int_equal(transport_id_decode(bytes, cut, &back), 0);
}

static void malformed_transport_ids_are_refused(void **state)
{
	static const struct {
		uint8_t first;
		uint16_t length;
		const char *text;
	} bad[] = {
		{ 0x45, 36, "iqn.1994-05.com.example:h" },                /* no separator */
		{ 0x45, 36, "iqn.1994-05.com.example:,i,0x" },            /* separator at the end */
		{ 0x45, 44, "iqn.1994-05.com.example:h,i,0x4000000000001" }, /* 13 digits */
		{ 0x45, 44, "iqn.1994-05.com.example:h,i,0x40000000000z" },
		{ 0x45, 28, "iqn.1994-05.com.example:h,i,0x400000000001" }, /* not terminated */
		{ 0x05, 24, "iqn.1994-05.com.example:" },                 /* not terminated */
		{ 0x05, 20, "" },
		{ 0x05, 21, "iqn.1994-05.com.ex" },                       /* not a multiple of four */
		{ 0x05, 16, "iqn.1994-05" },                              /* shorter than 20 */
		{ 0x05, 0, "" }, { 0x05, 3, "" }, { 0x05, 65535, "iqn.a" },
		{ 0x85, 36, "iqn.1994-05.com.example:h" },                /* format 10b */
		{ 0x06, 36, "iqn.1994-05.com.example:h" },                /* SAS */
		{ 0x05, 36, "iqn.1994-05.com exam\x01ple:h" },
	};

	(void)state;
	for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		uint8_t bytes[64] = { bad[i].first };
		struct pr_nexus nexus;

		put_be16(bytes + 2, bad[i].length);
		memcpy(bytes + 4, bad[i].text, strlen(bad[i].text));
		if (transport_id_decode(bytes, sizeof bytes, &nexus))
			fail_msg("case %u", i);
		for (unsigned len = 0; len < 4; len++)
			assert_int_equal(transport_id_decode(bytes, len, &nexus), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		DOCUMENTS_TEST(keys_and_reservation_can_be_read),
		DOCUMENTS_TEST(full_status_names_every_nexus),
		DOCUMENTS_TEST(access_follows_the_type),
		DOCUMENTS_TEST(every_write_class_command_conflicts_for_a_stranger),
		DOCUMENTS_TEST(unit_attentions_reach_those_who_lose),
		DOCUMENTS_TEST(preempt_and_abort_aborts_the_preempted),
		DOCUMENTS_TEST(preempt_and_abort_that_cannot_abort_is_not_good),
		DOCUMENTS_TEST(parameter_lists_of_other_lengths_are_refused),
		DOCUMENTS_TEST(spec_i_pt_registers_others),
		DOCUMENTS_TEST(initiators_without_access_cannot_be_registered),
		DOCUMENTS_TEST(register_and_move_names_a_nexus),
		DOCUMENTS_TEST(a_worker_that_starts_again_keeps_reservations),
		DOCUMENTS_TEST(a_daemon_that_starts_again_keeps_only_aptpl),
		DOCUMENTS_TEST(what_cannot_be_published_fails_and_changes_nothing),
		DOCUMENTS_TEST(another_writer_is_not_overwritten),
		DOCUMENTS_TEST(the_administrator_clears),
		DOCUMENTS_TEST(without_documents_aptpl_is_refused),
		DOCUMENTS_TEST(reserve_six_keeps_others_out),
		DOCUMENTS_TEST(reserve_six_ends_with_the_nexus_or_a_reset),
		DOCUMENTS_TEST(registrations_forbid_reserve_six),
		DOCUMENTS_TEST(transport_ids_survive_a_round_trip),
		DOCUMENTS_TEST(a_transport_id_that_is_cut_is_refused),
		DOCUMENTS_TEST(malformed_transport_ids_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
