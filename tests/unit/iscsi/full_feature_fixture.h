/*
 * The iSCSI layer on real parts (login, SCSI, LUN, fault store over memory) between two tests' ends: below, a store that
 * fails or withholds by rule; above, a wire that records what is sent and lets the test decide when it has been sent.
 * Reactors are turned by the test itself, one thread.
 *
 * Every PDU that goes out is held against the laws of RFC 7143 4.2.2: StatSN is one more for each PDU that has one and
 * shown unchanged by the others; ExpCmdSN and MaxCmdSN never move backwards.
 */
#ifndef LUNETTE_TESTS_FULL_FEATURE_FIXTURE_H
#define LUNETTE_TESTS_FULL_FEATURE_FIXTURE_H

#include <poll.h>
#include <unistd.h>

#include "clock.h"
#include "dataplane/iscsi/iscsi.h"
#include "dataplane/store/fault.h"
#include "log.h"
#include "tests/unit/iscsi/login_client.h"

#define HOUSE_REACTORS   2
#define HOUSE_LUNS       2
#define HOUSE_WIRES      256
#define HOUSE_LUN_BYTES  (16u << 20)
#define WIRE_SENT        1024
#define READ10           0x28
#define WRITE10          0x2a

struct house_reactor {
	struct iscsi_reactor iscsi; /* first */
	struct mailbox mailbox;
};

struct house {
	struct iscsi_node node;
	struct house_reactor reactor[HOUSE_REACTORS];
	struct offload *offload;
	struct store *store;
	struct iscsi_lun lun[HOUSE_LUNS];
	struct scsi_services services;
	struct wire *wire[HOUSE_WIRES];
	unsigned wire_count, closed_count;
	uint64_t later_ns;          /* added to the clock */
	const void *store_pointer;  /* first byte of the last I/O that the store was given */
	unsigned store_writes;
};

struct house_options {
	const char *params;         /* of the target: members of "params"; NULL: none */
	const char *settings;       /* members of "settings"; NULL: none */
	unsigned small, large;      /* elements of each reactor's pool; 0: plenty */
};

/* A PDU that came to the initiator. */
struct came {
	uint8_t bhs[ISCSI_BHS_BYTES];
	uint8_t *data;
	uint32_t data_bytes;
	const void *pointer; /* where its data was, in the sender's memory */
};

struct input {
	struct list link;
	uint32_t data_bytes;
	uint8_t header[ISCSI_BHS_BYTES + 1024];
	uint8_t data[];
};

/* A connection: the datamover, and the initiator at its other end. */
struct wire {
	struct datamover mover; /* first */
	struct house *house;
	struct iscsi_connection *connection;
	struct list queue, built, input;
	bool stuck;             /* nothing is built: the peer takes no data */
	bool keep;              /* what is built is not reported as sent */
	bool paused, finishing, terminated, freed, inside;
	bool peer_closed;       /* the peer has, and we have not read so far */
	struct iscsi_params params;
	struct came came[WIRE_SENT];
	unsigned came_count, read_at;
	uint32_t statsn, expcmdsn, maxcmdsn; /* statsn: expected next */
	bool sequenced;
	/* the initiator */
	uint32_t cmdsn, itt;
};

/* --- the wire as a datamover --- */

static inline void wire_law(struct wire *wire, const struct iscsi_pdu *pdu, const uint8_t *bhs)
{
	uint32_t expcmdsn = get_be32(bhs + 28), maxcmdsn = get_be32(bhs + 32), statsn = get_be32(bhs + 24);

	if (wire->sequenced) {
		assert_int_equal(statsn, wire->statsn);
		assert_false(serial_lt(expcmdsn, wire->expcmdsn));
		assert_false(serial_lt(maxcmdsn, wire->maxcmdsn));
	}
	assert_false(serial_lt(maxcmdsn + 1, expcmdsn));
	wire->statsn = statsn + pdu->advances_statsn;
	if (bhs_opcode(bhs) == ISCSI_LOGIN_RESPONSE && (bhs[1] & 0x83) != 0x83)
		return;
	wire->expcmdsn = expcmdsn;
	wire->maxcmdsn = maxcmdsn;
	wire->sequenced = true;
}

static inline void wire_build(struct wire *wire, struct iscsi_pdu *pdu)
{
	struct came *came = &wire->came[wire->came_count++];

	assert_true(wire->came_count < WIRE_SENT);
	memcpy(came->bhs, pdu->bhs, ISCSI_BHS_BYTES);
	iscsi_stamp(wire->connection, came->bhs, pdu->advances_statsn);
	wire_law(wire, pdu, came->bhs);
	if (pdu->data_in)
		came->bhs[1] |= 0x81;
	put_be24(came->bhs + 5, pdu->data_bytes);
	came->data_bytes = pdu->data_bytes;
	came->data = malloc(pdu->data_bytes + 1);
	assert_non_null(came->data);
	if (pdu->list) {
		assert_int_equal(pdu->list->owner, SGL_DATAMOVER);
		came->pointer = pdu->list->element[0].iov_base;
		assert_int_equal(sgl_copy_out(pdu->list, 0, came->data, pdu->data_bytes), pdu->data_bytes);
	} else if (pdu->data_bytes) {
		memcpy(came->data, pdu->data, pdu->data_bytes);
	}
	list_append(&wire->built, &pdu->link);
}

static inline unsigned wire_report(struct list *pdus)
{
	struct list *node;
	unsigned count = 0;

	for (; (node = list_take(pdus)); count++) {
		struct iscsi_pdu *pdu = container_of(node, struct iscsi_pdu, link);

		pdu->sent(pdu);
	}
	return count;
}

/* What a reactor does at the end of its turn; how many PDUs it moved. */
static inline unsigned wire_flush(struct wire *wire)
{
	unsigned count = 0;
	struct list *node;

	if (wire->terminated || wire->stuck)
		return 0;
	for (; (node = list_take(&wire->queue)); count++)
		wire_build(wire, container_of(node, struct iscsi_pdu, link));
	return count + (wire->keep ? 0 : wire_report(&wire->built));
}

static inline struct wire *wire_of(struct datamover *mover)
{
	return (struct wire *)mover;
}

static inline void wire_queue(struct datamover *mover, struct iscsi_pdu *pdu)
{
	list_append(&wire_of(mover)->queue, &pdu->link);
}

static inline void wire_get_data(struct datamover *mover, struct iscsi_r2t *r2t)
{
	r2t->pdu.advances_statsn = false;
	wire_queue(mover, &r2t->pdu);
}

static inline void wire_enable(struct datamover *mover, const struct iscsi_params *params)
{
	wire_of(mover)->params = *params;
}

static inline void wire_set_max_send(struct datamover *mover, uint32_t bytes)
{
	wire_of(mover)->params.max_send_bytes = bytes;
}

/* Offers one PDU; false when the reading stops. */
static inline bool wire_offer(struct wire *wire, struct input *input)
{
	struct iscsi_sink *sink = &wire->mover.sink;

	sink->list = NULL;
	switch (iscsi_receive_header(wire->connection, input->header)) {
	case ISCSI_RECEIVE_CLOSED:
		return false;
	case ISCSI_RECEIVE_WAIT:
		wire->paused = true;
		return false;
	case ISCSI_RECEIVE_OK:
		break;
	}
	list_remove(&input->link);
	for (uint32_t at = 0; at < input->data_bytes; at += 512) /* in pieces, as from a stream */
		if (sink->list)
			sink->offset += sgl_copy_in(sink->list, sink->offset, input->data + at,
						    input->data_bytes - at < 512 ? input->data_bytes - at : 512);
	free(input);
	wire->paused = iscsi_receive_done(wire->connection) == ISCSI_RECEIVE_WAIT;
	return !wire->terminated;
}

static inline void wire_read(struct wire *wire)
{
	while (!wire->terminated && !wire->paused && !list_empty(&wire->input))
		if (!wire_offer(wire, container_of(wire->input.next, struct input, link)))
			return;
}

static inline void wire_resume(struct datamover *mover)
{
	wire_of(mover)->paused = false;
	wire_read(wire_of(mover));
}

static inline void wire_finish(struct datamover *mover)
{
	wire_of(mover)->finishing = true;
}

static inline void wire_terminate(struct datamover *mover)
{
	struct wire *wire = wire_of(mover);

	assert_false(wire->terminated);
	wire->terminated = true;
	wire_report(&wire->built);
	wire_report(&wire->queue);
}

static inline bool wire_peer_closed(const struct datamover *mover)
{
	return container_of(mover, struct wire, mover)->peer_closed;
}

static inline void wire_gone(struct datamover *mover)
{
	struct wire *wire = wire_of(mover);

	assert_true(wire->terminated && !wire->freed);
	wire->freed = true;
	wire->connection = NULL;
}

static const struct datamover_ops wire_ops = {
	.name = "test", .send_control = wire_queue, .put_data = wire_queue, .get_data = wire_get_data,
	.enable = wire_enable, .set_max_send = wire_set_max_send, .resume = wire_resume, .finish = wire_finish,
	.terminate = wire_terminate, .peer_closed = wire_peer_closed, .free = wire_gone,
};

/* --- the house --- */

static inline struct iscsi_config *house_config(const struct house_options *options, const char *luns)
{
	char text[2048];

	snprintf(text, sizeof text,
		 "{'settings':{%s},'portals':{'default':{'address':'127.0.0.1:3260','tag':1}},'targets':{'" TARGET
		 "':{'open':true,'params':{%s},'luns':{%s}}}}",
		 options->settings ? options->settings : "", options->params ? options->params : "", luns);
	return config_of_quoted(text);
}

#define HOUSE_ALL_LUNS "'0':{'lun':'vol0'},'1':{'lun':'vol1'}"

static inline void house_trace(const struct store_io *io, void *arg)
{
	struct house *house = arg;

	if (io->op == STORE_READ || io->op == STORE_WRITE)
		house->store_pointer = io->iov[0].iov_base;
	house->store_writes += io->op == STORE_WRITE;
}

static inline void house_lun(struct house *house, unsigned index)
{
	struct lun_attributes attributes = { .block_bytes = 512, .physical_block_bytes = 4096, .thin = true,
					     .naa = { 0x6e, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, (uint8_t)index } };
	struct iscsi_lun *lun = &house->lun[index];
	struct store_limits limits;
	struct err err = { 0 };
	json_t *map;

	snprintf(attributes.name, sizeof attributes.name, "vol%u", index);
	snprintf(attributes.id, sizeof attributes.id, "0f6b2c52-8f4e-4f51-9d3e-1a2b3c4d5e0%u", index);
	snprintf(attributes.serial, sizeof attributes.serial, "LN%u", index);
	store_get_limits(house->store, &limits);
	map = lun_map_plan(NULL, attributes.id, HOUSE_LUN_BYTES, 512, 0, &limits, &err);
	assert_non_null(map);
	assert_true(lun_map_allocate(house->store, NULL, map, true, &err) >= 0);
	lun->lun = lun_open(&attributes, house->store, map, &err);
	assert_non_null(lun->lun);
	json_decref(map);
	lun->lu = scsi_lu_new(lun->lun, &house->services, &err);
	assert_non_null(lun->lu);
	scsi_lu_set_user(lun->lu, lun);
	lun->stats = calloc(HOUSE_REACTORS + 1, sizeof *lun->stats);
	assert_non_null(lun->stats);
	for (unsigned i = 0; i < HOUSE_REACTORS; i++)
		lun->stats[i] = stats_claim(house->node.stats, STATS_LUN, attributes.name, i);
	lun->unique = index + 1;
	list_init(&lun->link);
	iscsi_node_add_lun(&house->node, lun);
}

static inline void house_reactor_init(struct house *house, unsigned index, const struct house_options *options)
{
	struct house_reactor *part = &house->reactor[index];
	struct err err = { 0 };

	assert_int_equal(mailbox_init(&part->mailbox), 0);
	assert_int_equal(iscsi_reactor_init(&part->iscsi, &house->node, index), 0);
	part->iscsi.stats = aligned_alloc(64, sizeof *part->iscsi.stats);
	memset(part->iscsi.stats, 0, sizeof *part->iscsi.stats);
	part->iscsi.scsi.offload = house->offload;
	part->iscsi.scsi.mailbox = &part->mailbox;
	part->iscsi.scsi.pool = sgl_pool_new(options->large ? options->small : 256, options->large ? options->large : 512);
	part->iscsi.scsi.store = store_ctx_new(256, house->offload, &part->mailbox, &err);
	assert_non_null(part->iscsi.scsi.store);
	house->node.reactor[index] = &part->iscsi;
}

static unsigned house_closed; /* connections that the node was told to be gone */

static inline void house_connection_closed(const struct iscsi_peer *peer)
{
	assert_non_null(peer->portal);
	house_closed++;
}

static inline struct house *house_new(const struct house_options *options)
{
	static const struct house_options none;
	struct house *house = calloc(1, sizeof *house);
	struct err err = { 0 };
	int fd = stats_create();

	assert_non_null(house);
	log_open("test", LOG_ERROR);
	options = options ? options : &none;
	house_closed = 0;
	assert_int_equal(iscsi_node_init(&house->node, 0, HOUSE_REACTORS), 0);
	house->node.stats = stats_map(fd, 1);
	close(fd);
	assert_non_null(house->node.stats);
	house->node.config = house_config(options, HOUSE_ALL_LUNS);
	house->node.connection_closed = house_connection_closed;
	house->offload = offload_new(1);
	house->services.offload = house->offload;
	house->store = store_open("fault", "{\"inner\": {\"kind\": \"memory\"}, \"rules\": []}", "/nonexistent", &err);
	if (!house->store)
		fail_msg("%s", err.text);
	store_fault_trace(house->store, house_trace, house);
	for (unsigned i = 0; i < HOUSE_LUNS; i++)
		house_lun(house, i);
	for (unsigned i = 0; i < HOUSE_REACTORS; i++) {
		house_reactor_init(house, i, options);
		for (unsigned n = 0; n < HOUSE_LUNS; n++)
			lun_set_stats(house->lun[n].lun, house->reactor[i].iscsi.scsi.store, house->lun[n].stats[i]);
	}
	return house;
}

/* One turn of one reactor; how much happened. */
static inline unsigned house_turn_one(struct house *house, struct house_reactor *part)
{
	unsigned count;

	part->iscsi.now_ns = clock_now_ns() + house->later_ns;
	count = mailbox_run(&part->mailbox);
	count += scsi_reactor_flush(&part->iscsi.scsi);
	count += store_ctx_reap(part->iscsi.scsi.store);
	for (unsigned i = 0; i < house->wire_count; i++)
		if (house->wire[i]->connection && house->wire[i]->connection->reactor == &part->iscsi)
			count += wire_flush(house->wire[i]);
	count += part->iscsi.released || part->iscsi.check_aborts;
	iscsi_reactor_turn_end(&part->iscsi);
	return count;
}

/* Turns every reactor until nothing more happens by itself. */
static inline void house_turn(struct house *house)
{
	unsigned busy = 1;

	for (unsigned round = 0; busy; round++) {
		assert_true(round < 10000); /* else it never comes to rest */
		busy = 0;
		for (unsigned i = 0; i < HOUSE_REACTORS; i++)
			busy += house_turn_one(house, &house->reactor[i]);
	}
}

/* Time passes, and the tick comes. */
static inline void house_wait_s(struct house *house, unsigned seconds)
{
	house->later_ns += seconds * NS_PER_S;
	for (unsigned i = 0; i < HOUSE_REACTORS; i++) {
		house->reactor[i].iscsi.now_ns = clock_now_ns() + house->later_ns;
		iscsi_reactor_tick(&house->reactor[i].iscsi);
	}
	house_turn(house);
}

static inline void house_rules(struct house *house, const char *rules)
{
	struct err err = { 0 };

	if (store_fault_set_rules(house->store, rules, &err) < 0)
		fail_msg("%s", err.text);
}

/* Until `count` I/Os are withheld by the store. */
static inline void house_until_held(struct house *house, unsigned count)
{
	for (unsigned i = 0; store_fault_held(house->store) < count; i++) {
		assert_true(i < 10000);
		house_turn(house);
	}
}

static inline void house_release(struct house *house)
{
	house_rules(house, NULL);
	store_fault_release(house->store);
	house_turn(house);
}

static inline unsigned house_tasks(const struct house *house)
{
	unsigned count = 0;

	for (unsigned i = 0; i < house->wire_count; i++)
		if (house->wire[i]->connection && house->wire[i]->connection->session)
			count += house->wire[i]->connection->session->task_count;
	return count;
}

/* What is counted as being worked on now is nothing. */
static inline void house_gauges(const struct house *house)
{
	for (uint32_t i = 0; i < house->node.stats->slots_used; i++) {
		const struct stats_slot *slot = &house->node.stats->slot[i];

		if (slot->kind == STATS_FREE)
			continue;
		assert_int_equal(slot->value[STAT_queue_depth], 0);
		assert_int_equal(slot->value[STAT_sessions], 0);
	}
}

/* No connection may be left: everything was given back. */
static inline void house_empty(struct house *house)
{
	assert_int_equal(house->node.session_count, 0);
	for (unsigned i = 0; i < HOUSE_REACTORS; i++) {
		struct iscsi_reactor *reactor = &house->reactor[i].iscsi;
		unsigned free_tasks = 0;

		assert_int_equal(sgl_pool_in_use(reactor->scsi.pool), 0);
		assert_int_equal(reactor->connection_count, 0);
		assert_true(list_empty(&reactor->connections) && list_empty(&reactor->waiting) && list_empty(&reactor->aborts));
		list_for_each(node, &reactor->free_tasks)
			free_tasks++;
		assert_int_equal(free_tasks, reactor->tasks_touched);
		assert_int_equal(store_ctx_in_flight(reactor->scsi.store), 0);
		assert_int_equal(reactor->stats->value[STAT_queue_depth], 0);
		assert_int_equal(reactor->stats->value[STAT_sessions], 0);
		assert_int_equal(reactor->stats->value[STAT_connections], 0);
	}
	house_gauges(house);
	assert_int_equal(house_closed, house->wire_count);
}

static inline void wire_free(struct wire *wire)
{
	struct list *node;

	while ((node = list_take(&wire->input)))
		free(container_of(node, struct input, link));
	for (unsigned i = 0; i < wire->came_count; i++)
		free(wire->came[i].data);
	free(wire);
}

/* Drops what is left, checks that all came back, forgets the wires. */
static inline void house_clear(struct house *house)
{
	house_release(house);
	for (unsigned i = 0; i < house->wire_count; i++)
		if (house->wire[i]->connection)
			iscsi_connection_drop(house->wire[i]->connection, NULL);
	house_turn(house);
	house_empty(house);
	for (unsigned i = 0; i < house->wire_count; i++)
		wire_free(house->wire[i]);
	house->wire_count = house_closed = 0;
}

/* New logical units on the LUNs: they remember nothing. No wire is left. */
static inline void house_renew_lus(struct house *house)
{
	struct err err = { 0 };

	for (unsigned i = 0; i < HOUSE_LUNS; i++) {
		scsi_lu_free(house->lun[i].lu);
		house->lun[i].lu = scsi_lu_new(house->lun[i].lun, &house->services, &err);
		assert_non_null(house->lun[i].lu);
		scsi_lu_set_user(house->lun[i].lu, &house->lun[i]);
	}
}

static inline void house_free(struct house *house)
{
	house_clear(house);
	for (unsigned i = 0; i < HOUSE_LUNS; i++) {
		free(house->lun[i].stats);
		if (!house->lun[i].lu)
			continue;
		scsi_lu_free(house->lun[i].lu);
		lun_close(house->lun[i].lun);
	}
	store_close(house->store);
	for (unsigned i = 0; i < HOUSE_REACTORS; i++) {
		struct house_reactor *part = &house->reactor[i];

		store_ctx_free(part->iscsi.scsi.store);
		sgl_pool_free(part->iscsi.scsi.pool);
		free(part->iscsi.stats);
		iscsi_reactor_fini(&part->iscsi);
		mailbox_fini(&part->mailbox);
	}
	offload_free(house->offload);
	stats_unmap(house->node.stats);
	iscsi_node_fini(&house->node);
	free(house);
}

/* --- the initiator --- */

/* NULL: the connection was refused, for want of memory. */
static inline struct wire *wire_try_new(struct house *house, unsigned reactor)
{
	struct wire *wire = calloc(1, sizeof *wire);
	struct iscsi_config *config = iscsi_node_config(&house->node);
	struct iscsi_peer peer = peer_of(config, "127.0.0.1", "127.0.0.1");

	assert_non_null(wire);
	wire->mover.ops = &wire_ops;
	wire->house = house;
	list_init(&wire->queue);
	list_init(&wire->built);
	list_init(&wire->input);
	wire->cmdsn = 1;
	wire->itt = 0x100;
	wire->connection = iscsi_connection_new(&house->reactor[reactor].iscsi, &peer);
	iscsi_config_unref(config);
	if (!wire->connection) {
		free(wire);
		return NULL;
	}
	wire->connection->mover = &wire->mover;
	wire->mover.connection = wire->connection;
	assert_true(house->wire_count < HOUSE_WIRES);
	house->wire[house->wire_count++] = wire;
	return wire;
}

static inline struct wire *wire_new(struct house *house, unsigned reactor)
{
	struct wire *wire = wire_try_new(house, reactor);

	assert_non_null(wire);
	return wire;
}

/* Sends a PDU as it is: header (with ahs_words of AHS) and data; the DataSegmentLength is put in. No turn. */
static inline void wire_send(struct wire *wire, const uint8_t *header, const void *data, uint32_t data_bytes)
{
	struct input *input = calloc(1, sizeof *input + data_bytes);

	assert_non_null(input);
	memcpy(input->header, header, ISCSI_BHS_BYTES + bhs_ahs_bytes(header));
	put_be24(input->header + 5, data_bytes);
	input->data_bytes = data_bytes;
	if (data_bytes && data)
		memcpy(input->data, data, data_bytes);
	list_append(&wire->input, &input->link);
	wire_read(wire);
}

/* The next PDU that came, or NULL. */
static inline struct came *wire_next(struct wire *wire)
{
	house_turn(wire->house);
	return wire->read_at < wire->came_count ? &wire->came[wire->read_at++] : NULL;
}

static inline struct came *wire_expect(struct wire *wire, enum iscsi_opcode opcode)
{
	struct came *came = wire_next(wire);

	if (!came)
		fail_msg("nothing came, where opcode 0x%02x should have", opcode);
	if (came->bhs[0] != opcode)
		fail_msg("opcode 0x%02x (byte 2: 0x%02x) came, where 0x%02x should have", came->bhs[0], came->bhs[2], opcode);
	return came;
}

#define wire_nothing(wire) assert_null(wire_next(wire))

static inline void header_init(uint8_t *bhs, uint8_t opcode, uint8_t flags, uint32_t itt, uint32_t cmdsn)
{
	memset(bhs, 0, ISCSI_BHS_BYTES);
	bhs[0] = opcode;
	bhs[1] = flags;
	put_be32(bhs + 16, itt);
	put_be32(bhs + 20, ISCSI_NO_TAG);
	put_be32(bhs + 24, cmdsn);
}

static inline void wire_login_request(struct wire *wire, uint8_t isid, const char *names, const char *keys)
{
	uint8_t bhs[ISCSI_BHS_BYTES];
	char text[4096];
	int len = snprintf(text, sizeof text, "%s%s%s", names, *keys ? "\n" : "", keys);

	for (int i = 0; i < len; i++)
		if (text[i] == '\n')
			text[i] = '\0';
	header_init(bhs, 0x43, 0x87, 1, wire->cmdsn);
	memcpy(bhs + 8, "\x00\x02\x3d\x01\x02", 5);
	bhs[13] = isid;
	put_be16(bhs + 20, 1);
	put_be16(bhs + 22, 0);
	wire_send(wire, bhs, text, (uint32_t)len + 1);
}

/* Straight into the full feature phase. isid tells sessions of the one initiator apart. */
static inline struct wire *wire_login_as(struct house *house, unsigned reactor, uint8_t isid, const char *names,
					 const char *keys)
{
	struct wire *wire = wire_new(house, reactor);
	struct came *came;

	wire_login_request(wire, isid, names, keys);
	came = wire_expect(wire, ISCSI_LOGIN_RESPONSE);
	assert_int_equal(get_be16(came->bhs + 36), 0);
	assert_int_equal(wire->connection->phase, ISCSI_PHASE_FULL);
	return wire;
}

/* A SCSI Command that is built but not sent. */
static inline void command_init(struct wire *wire, uint8_t *bhs, uint8_t flags, uint32_t edtl, const uint8_t *cdb)
{
	header_init(bhs, ISCSI_SCSI_COMMAND, flags, wire->itt++, wire->cmdsn++);
	put_be32(bhs + 20, edtl);
	memcpy(bhs + 32, cdb, 16);
}

static inline uint32_t wire_command(struct wire *wire, uint8_t flags, uint32_t edtl, const uint8_t *cdb, const void *data,
				    uint32_t data_bytes)
{
	uint8_t bhs[ISCSI_BHS_BYTES];

	command_init(wire, bhs, flags, edtl, cdb);
	wire_send(wire, bhs, data, data_bytes);
	return bhs_itt(bhs);
}

static inline const uint8_t *cdb10(uint8_t opcode, uint32_t lba, uint16_t blocks)
{
	static uint8_t cdb[16];

	memset(cdb, 0, sizeof cdb);
	cdb[0] = opcode;
	put_be32(cdb + 2, lba);
	put_be16(cdb + 7, blocks);
	return cdb;
}

static inline uint32_t wire_read10(struct wire *wire, uint32_t lba, uint16_t blocks)
{
	return wire_command(wire, 0xc1, blocks * 512u, cdb10(READ10, lba, blocks), NULL, 0);
}

/* With `data_bytes` of immediate data, the rest by R2T; final bit set. */
static inline uint32_t wire_write10(struct wire *wire, uint32_t lba, uint16_t blocks, const void *data, uint32_t data_bytes)
{
	return wire_command(wire, 0xa1, blocks * 512u, cdb10(WRITE10, lba, blocks), data, data_bytes);
}

static inline void wire_data_out(struct wire *wire, uint32_t itt, uint32_t ttt, uint32_t datasn, uint32_t offset,
				 const void *data, uint32_t data_bytes, bool final)
{
	uint8_t bhs[ISCSI_BHS_BYTES];

	header_init(bhs, ISCSI_DATA_OUT, final ? 0x80 : 0, itt, 0);
	put_be32(bhs + 20, ttt);
	put_be32(bhs + 36, datasn);
	put_be32(bhs + 40, offset);
	wire_send(wire, bhs, data, data_bytes);
}

/* Answers an R2T with one Data-Out of all that it asks for. `data`: the whole command's. */
static inline void wire_answer_r2t(struct wire *wire, const struct came *r2t, const uint8_t *data)
{
	uint32_t offset = get_be32(r2t->bhs + 40), len = get_be32(r2t->bhs + 44);

	wire_data_out(wire, bhs_itt(r2t->bhs), bhs_ttt(r2t->bhs), 0, offset, data + offset, len, true);
}

static inline struct came *wire_response(struct wire *wire, uint32_t itt, uint8_t status)
{
	struct came *came = wire_expect(wire, ISCSI_SCSI_RESPONSE);

	assert_int_equal(bhs_itt(came->bhs), itt);
	if (came->bhs[3] != status)
		fail_msg("status 0x%02x, sense %02x/%02x%02x", came->bhs[3], came->data[4], came->data[14], came->data[15]);
	return came;
}

static inline uint32_t wire_task_management(struct wire *wire, uint8_t function, uint64_t lun, uint32_t rtt,
					    uint32_t refcmdsn)
{
	uint8_t bhs[ISCSI_BHS_BYTES];

	header_init(bhs, 0x40 | ISCSI_TASK_REQUEST, 0x80 | function, wire->itt++, wire->cmdsn);
	put_be64(bhs + 8, lun);
	put_be32(bhs + 20, rtt);
	put_be32(bhs + 32, refcmdsn);
	wire_send(wire, bhs, NULL, 0);
	return bhs_itt(bhs);
}

static inline void wire_task_response(struct wire *wire, uint32_t itt, uint8_t response)
{
	struct came *came = wire_expect(wire, ISCSI_TASK_RESPONSE);

	assert_int_equal(bhs_itt(came->bhs), itt);
	assert_int_equal(came->bhs[2], response);
}

static const uint8_t test_unit_ready[16];

/* TEST UNIT READY on every LUN until there is no unit attention. */
static inline void wire_settle(struct wire *wire)
{
	for (uint64_t lun = 0; lun < HOUSE_LUNS; lun++)
		for (int i = 0; i < 8; i++) {
			uint8_t bhs[ISCSI_BHS_BYTES];
			struct came *came;

			command_init(wire, bhs, 0x81, 0, test_unit_ready);
			put_be64(bhs + 8, lun << 48);
			wire_send(wire, bhs, NULL, 0);
			came = wire_expect(wire, ISCSI_SCSI_RESPONSE);
			if (came->bhs[3] == 0)
				break;
		}
}

#define NORMAL_NAMES    "InitiatorName=" INITIATOR "\nSessionType=Normal\nTargetName=" TARGET
#define DISCOVERY_NAMES "InitiatorName=" INITIATOR "\nSessionType=Discovery"

static inline struct wire *wire_login(struct house *house, const char *keys)
{
	struct wire *wire = wire_login_as(house, 0, (uint8_t)(house->wire_count + 1), NORMAL_NAMES, keys);

	wire_settle(wire);
	return wire;
}

static inline void pattern(uint8_t *bytes, uint32_t len_bytes, uint8_t seed)
{
	for (uint32_t i = 0; i < len_bytes; i++)
		bytes[i] = (uint8_t)(seed + i + i / 251);
}

/* Reads blocks with a session of its own and compares. */
static inline void wire_check_blocks(struct wire *wire, uint32_t lba, uint16_t blocks, const uint8_t *expected)
{
	uint32_t itt = wire_read10(wire, lba, blocks);
	struct came *came = wire_expect(wire, ISCSI_DATA_IN);

	assert_int_equal(bhs_itt(came->bhs), itt);
	assert_int_equal(came->data_bytes, blocks * 512u);
	assert_memory_equal(came->data, expected, came->data_bytes);
}

#endif
