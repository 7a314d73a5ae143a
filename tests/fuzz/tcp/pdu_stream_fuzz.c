/*
 * Streams of PDUs through tcp_input() into the real layers on a memory LUN whose store can be told to withhold completions.
 *
 * Byte 0: bit 0: raw bytes before login, to the end of the input; otherwise a scripted login comes first, bit 1 with header
 * digests, bit 2 with data digests, bit 3 without immediate data and with InitialR2T. Byte 1: the stream is cut into pieces of so many bytes (0: whole).
 * Then records of RECORD bytes, each followed by data as far as the input reaches:
 *
 *   0 opcode (0xf0 and above: an event, see happen())   1 flags   2-3 data bytes   4 AHS words (2 bits), what is spoilt
 *   5 task tag   6 added to CmdSN (signed)   7 target transfer tag: 0 none, 1 of the last R2T, else raw
 *   8-11 word 20 of a command, a task's tag   12-27 CDB; DataSN at 16 and buffer offset at 20 of a Data-Out
 *
 * Afterwards everything must have been given back.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"
#include "crc32c.h"
#include "dataplane/store/fault.h"
#include "dataplane/tcp/connection.h"
#include "log.h"

#define RECORD    28
#define LUN_BYTES (1u << 20)
#define TAGS      16 /* so that commands and their data meet */

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len_bytes);

static struct iscsi_node node;
static struct iscsi_reactor reactor;
static struct tcp_reactor tcp_reactor;
static struct mailbox mailbox;
static struct store *store;
static struct iscsi_lun lun;
static struct scsi_services services;

static struct run {
	struct iscsi_connection *connection; /* NULL: gone */
	int peer;
	bool header_digest, data_digest, deaf;
	unsigned piece;
	uint32_t cmdsn, r2t_ttt;
	uint64_t later_ns;
	uint8_t came[1 << 20];
	size_t came_bytes;
} run;

static void check(bool right)
{
	if (!right)
		abort();
}

static const char serve[] =
	"{\"portals\":{\"default\":{\"address\":\"127.0.0.1:3260\"}},\"targets\":{"
	"\"iqn.2026-11.io.lunette:t1\":{\"open\":true,\"params\":{\"queue_depth\":8,\"max_outstanding_r2t\":8},"
	"\"luns\":{\"0\":{\"lun\":\"v\"}}}}}";

static void closed(const struct iscsi_peer *peer)
{
	(void)peer;
	run.connection = NULL;
}

static void set_up(void)
{
	json_t *json = json_loads(serve, 0, NULL);
	struct err err = { 0 };
	int fd = stats_create();

	log_open("fuzz", LOG_ERROR);
	check(iscsi_node_init(&node, 0, 1) == 0 && mailbox_init(&mailbox) == 0);
	node.stats = stats_map(fd, 1);
	close(fd);
	node.config = iscsi_config_new(json, &err);
	node.connection_closed = closed;
	json_decref(json);
	check(node.config && iscsi_reactor_init(&reactor, &node, 0) == 0);
	check(tcp_reactor_init(&tcp_reactor, epoll_create1(EPOLL_CLOEXEC)) == 0);
	reactor.stats = stats_claim(node.stats, STATS_WORKER, "worker", 0);
	reactor.scsi.offload = services.offload = offload_new(1);
	reactor.scsi.mailbox = &mailbox;
	reactor.scsi.pool = sgl_pool_new(4, 66); /* small: waiting is part of the game */
	reactor.scsi.store = store_ctx_new(16, reactor.scsi.offload, &mailbox, &err);
	node.reactor[0] = &reactor;
	check(reactor.stats && reactor.scsi.store && reactor.scsi.pool);
}

static void open_lun(void)
{
	struct lun_attributes attributes = { .name = "v", .id = "0f6b2c52-8f4e-4f51-9d3e-1a2b3c4d5e01", .serial = "LN",
					     .naa = { 0x6e }, .block_bytes = 512, .physical_block_bytes = 4096, .thin = true };
	struct store_limits limits;
	struct err err = { 0 };
	json_t *map;

	store = store_open("fault", "{\"inner\": {\"kind\": \"memory\"}, \"rules\": []}", "/nonexistent", &err);
	check(store);
	store_get_limits(store, &limits);
	map = lun_map_plan(NULL, attributes.id, LUN_BYTES, 512, 0, &limits, &err);
	check(map && lun_map_allocate(store, NULL, map, true, &err) >= 0);
	lun.lun = lun_open(&attributes, store, map, &err);
	json_decref(map);
	check(lun.lun);
	lun.lu = scsi_lu_new(lun.lun, &services, &err);
	check(lun.lu);
	scsi_lu_set_user(lun.lu, &lun);
	lun.unique++;
	list_init(&lun.link);
	iscsi_node_add_lun(&node, &lun);
}

static void close_lun(void)
{
	list_remove(&lun.link);
	scsi_lu_free(lun.lu);
	lun_close(lun.lun);
	store_close(store);
}

/* --- the peer's end --- */

static size_t pdu_bytes(const uint8_t *bhs)
{
	bool login = bhs_opcode(bhs) == ISCSI_LOGIN_RESPONSE;
	uint32_t data_bytes = bhs_data_bytes(bhs);

	return ISCSI_BHS_BYTES + (run.header_digest && !login ? 4 : 0) + pdu_padded(data_bytes) +
	       (run.data_digest && !login && data_bytes ? 4 : 0);
}

/* What came: whole PDUs of a target, the last R2T is remembered. */
static void listen_to_it(void)
{
	size_t at = 0;
	ssize_t n;

	if (run.deaf)
		return;
	while ((n = recv(run.peer, run.came + run.came_bytes, sizeof run.came - run.came_bytes, MSG_DONTWAIT)) > 0)
		run.came_bytes += (size_t)n;
	while (run.came_bytes - at >= ISCSI_BHS_BYTES && run.came_bytes - at >= pdu_bytes(run.came + at)) {
		const uint8_t *bhs = run.came + at;

		check(bhs_opcode(bhs) >= 0x20 && bhs_data_bytes(bhs) <= 262144);
		if (bhs_opcode(bhs) == ISCSI_R2T) {
			run.r2t_ttt = bhs_ttt(bhs);
			check(get_be32(bhs + 44) > 0);
		}
		at += pdu_bytes(bhs);
	}
	run.came_bytes -= at;
	memmove(run.came, run.came + at, run.came_bytes);
}

static void turn(void)
{
	for (unsigned busy = 1, round = 0; busy; round++) {
		check(round < 100000);
		reactor.now_ns = clock_now_ns() + run.later_ns;
		busy = mailbox_run(&mailbox);
		scsi_reactor_flush(&reactor.scsi);
		busy += store_ctx_reap(reactor.scsi.store);
		busy += !list_empty(&tcp_reactor.dirty) || reactor.released || reactor.check_aborts;
		tcp_reactor_flush(&tcp_reactor);
		iscsi_reactor_turn_end(&reactor);
		if (run.connection && run.connection->mover) {
			struct tcp_connection *tcp = tcp_of(run.connection->mover);

			listen_to_it();
			if (tcp->blocked && !run.deaf)
				tcp_flush(tcp);
		}
	}
}

/* As the socket would give it: nothing while the connection is paused. */
static void give(const uint8_t *bytes, size_t len_bytes)
{
	while (len_bytes && run.connection && run.connection->mover) {
		struct tcp_connection *tcp = tcp_of(run.connection->mover);
		size_t n = run.piece && run.piece < len_bytes ? run.piece : len_bytes;

		if (tcp->closed || tcp->paused || tcp->shut)
			return;
		tcp_input(tcp, bytes, (uint32_t)n);
		bytes += n;
		len_bytes -= n;
		turn();
	}
}

static void put_crc(uint8_t *at, const uint8_t *bytes, size_t len_bytes)
{
	uint32_t value = crc32c_value(crc32c_update(CRC32C_INIT, bytes, len_bytes));

	for (int i = 0; i < 4; i++)
		at[i] = (uint8_t)(value >> 8 * i);
}

static void give_pdu(uint8_t *header, const uint8_t *data, uint32_t data_bytes, uint8_t spoilt)
{
	uint32_t header_bytes = ISCSI_BHS_BYTES + bhs_ahs_bytes(header), padded = pdu_padded(data_bytes), at = header_bytes;
	uint8_t *pdu = calloc(1, header_bytes + padded + 8);

	check(pdu);
	put_be24(header + 5, data_bytes);
	memcpy(pdu, header, header_bytes);
	if (run.header_digest) {
		put_crc(pdu + at, pdu, header_bytes);
		pdu[at] ^= spoilt == 1;
		at += 4;
	}
	if (data_bytes) {
		memcpy(pdu + at, data, data_bytes);
		if (run.data_digest) {
			put_crc(pdu + at + padded, pdu + at, padded);
			pdu[at + padded] ^= spoilt == 2;
			at += 4;
		}
		at += padded;
	}
	give(pdu, at);
	free(pdu);
}

static void log_in(uint8_t mode)
{
	char text[512];
	uint8_t bhs[ISCSI_BHS_BYTES] = { 0x43, 0x87 };
	int len = snprintf(text, sizeof text,
			   "InitiatorName=iqn.1994-05.com.example:h%cSessionType=Normal%cTargetName=iqn.2026-11.io.lunette:t1%c"
			   "HeaderDigest=%s%cDataDigest=%s%cImmediateData=%s%cInitialR2T=%s%cMaxBurstLength=2048%c"
			   "FirstBurstLength=1024%cMaxOutstandingR2T=8%c",
			   0, 0, 0, mode & 2 ? "CRC32C" : "None", 0, mode & 4 ? "CRC32C" : "None", 0, mode & 8 ? "No" : "Yes", 0,
			   mode & 8 ? "Yes" : "No", 0, 0, 0, 0);

	memcpy(bhs + 8, "\x80\1\2\3\4\5", 6);
	put_be32(bhs + 24, run.cmdsn);
	give_pdu(bhs, (const uint8_t *)text, (uint32_t)len, 0);
	check(run.connection && run.connection->phase == ISCSI_PHASE_FULL);
	run.header_digest = mode & 2;
	run.data_digest = mode & 4;
}

/* Events between PDUs. */
static void happen(const uint8_t *record)
{
	static const char *const rules[] = {
		NULL, "[{\"op\": \"read\", \"count\": 0, \"hold\": true}]", "[{\"op\": \"write\", \"count\": 0, \"hold\": true}]",
		"[{\"count\": 0, \"error\": \"EIO\"}]",
	};

	switch (record[0] & 7) {
	case 0:
		run.later_ns += (record[1] & 31) * NS_PER_S;
		reactor.now_ns = clock_now_ns() + run.later_ns;
		iscsi_reactor_tick(&reactor);
		break;
	case 1:
		store_fault_set_rules(store, rules[record[1] & 3], NULL);
		break;
	case 2:
		store_fault_release(store);
		break;
	case 3:
		run.deaf = record[1] & 1;
		break;
	case 4:
		iscsi_reactor_reconfigure(&reactor, node.config);
		break;
	case 5:
		if (run.connection && run.connection->session)
			iscsi_session_request_logout(run.connection->session, record[1] & 3);
		break;
	}
	turn();
}

static void one_record(const uint8_t *record, const uint8_t *data, uint32_t data_bytes)
{
	uint8_t header[ISCSI_BHS_BYTES + 12] = { record[0] & 0x7f, record[1] };
	uint8_t opcode = record[0] & 0x3f;
	bool counts = !(record[0] & 0x40) && opcode != ISCSI_DATA_OUT && opcode != ISCSI_SNACK_REQUEST;

	header[4] = record[4] & 3;
	header[9] = (record[4] & 0xf0) == 0xf0;
	put_be32(header + 16, record[5] == 0xff ? ISCSI_NO_TAG : record[5] % TAGS);
	if (opcode == ISCSI_SCSI_COMMAND)
		memcpy(header + 20, record + 8, 4);
	else if (opcode == ISCSI_TASK_REQUEST)
		put_be32(header + 20, record[8] % TAGS);
	else
		put_be32(header + 20, record[7] == 0 ? ISCSI_NO_TAG : record[7] == 1 ? run.r2t_ttt : record[7] - 2u);
	put_be32(header + 24, run.cmdsn + (uint32_t)(int8_t)record[6]);
	run.cmdsn += counts && record[6] == 0;
	memcpy(header + 32, record + 12, 16);
	memcpy(header + 48, record + 8, 12);
	give_pdu(header, data, data_bytes, record[4] >> 2 & 3);
}

static void records(const uint8_t *bytes, size_t len_bytes)
{
	while (len_bytes >= RECORD && run.connection) {
		const uint8_t *record = bytes;
		uint32_t data_bytes = get_be16(record + 2) & 0x1fff;

		bytes += RECORD;
		len_bytes -= RECORD;
		if (record[0] >= 0xf0) {
			happen(record);
			continue;
		}
		if (data_bytes > len_bytes)
			data_bytes = (uint32_t)len_bytes;
		one_record(record, bytes, data_bytes);
		bytes += data_bytes;
		len_bytes -= data_bytes;
	}
}

static void connect_it(void)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct iscsi_peer peer = { .portal = iscsi_config_find_portal(node.config, "default") };
	int fds[2];

	memcpy(&peer.peer, &in, sizeof in);
	memcpy(&peer.local, &in, sizeof in);
	check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) == 0);
	run.peer = fds[1];
	reactor.now_ns = clock_now_ns();
	run.connection = iscsi_connection_new(&reactor, &peer);
	check(run.connection && tcp_attach(&tcp_reactor, run.connection, fds[0], NULL, 0) == 0);
}

/* Drops what is left: all tasks, buffers and sessions must come back. */
static void end(void)
{
	unsigned tasks = 0;

	run.deaf = false;
	store_fault_set_rules(store, NULL, NULL);
	store_fault_release(store);
	turn();
	if (run.connection)
		iscsi_connection_drop(run.connection, NULL);
	for (int i = 0; i < 10000 && (run.connection || store_ctx_in_flight(reactor.scsi.store) || mailbox.head); i++) {
		turn();
		if (i > 100)
			usleep(100); /* the offload thread works */
	}
	list_for_each(pos, &reactor.free_tasks)
		tasks++;
	check(!run.connection && tasks == reactor.tasks_touched && sgl_pool_in_use(reactor.scsi.pool) == 0);
	check(node.session_count == 0 && list_empty(&reactor.waiting) && list_empty(&reactor.aborts) && !reactor.held_bytes);
	close(run.peer);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len_bytes)
{
	if (len_bytes < 2)
		return 0;
	if (!node.config)
		set_up();
	memset(&run, 0, offsetof(struct run, came));
	run.came_bytes = 0;
	run.piece = bytes[1];
	run.cmdsn = 0xfffffffc;
	run.r2t_ttt = ISCSI_NO_TAG;
	open_lun();
	connect_it();
	if (bytes[0] & 1) {
		give(bytes + 2, len_bytes - 2);
	} else {
		log_in(bytes[0]);
		records(bytes + 2, len_bytes - 2);
	}
	end();
	close_lun();
	return 0;
}
