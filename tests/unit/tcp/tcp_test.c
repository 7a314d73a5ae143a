/* The TCP datamover over a socket pair: PDUs cut anywhere, digests, a peer that reads slowly, pauses, the end. */
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "crc32c.h"
#include "dataplane/tcp/connection.h"
#include "tests/unit/iscsi/full_feature_fixture.h"

#define LONG_BURSTS "FirstBurstLength=262144\nMaxBurstLength=262144"

/* A connection whose other end is a socket. Its reactor is the first of the house. */
struct line {
	struct house *house;
	struct tcp_reactor tcp;
	struct iscsi_connection *connection; /* dangling once it was freed: see closed */
	struct tcp_connection *mover;
	int peer;
	bool header_digest, data_digest, deaf;
	uint32_t cmdsn, itt;
	uint8_t *came;
	size_t came_bytes, came_room;
	unsigned closed_before;
};

static bool gone(const struct line *line)
{
	return house_closed > line->closed_before;
}

/* One turn as the reactor makes it. */
static unsigned line_turn_once(struct line *line)
{
	struct epoll_event events[4];
	int count = epoll_wait(line->tcp.epoll_fd, events, 4, 0);
	bool dirty;

	for (int i = 0; i < count; i++) {
		struct poll_source *source = events[i].data.ptr;

		source->ready(source, events[i].events);
	}
	dirty = !list_empty(&line->tcp.dirty);
	tcp_reactor_flush(&line->tcp);
	return (unsigned)(count > 0) + dirty + house_turn_one(line->house, &line->house->reactor[0]);
}

/* What came to the peer; whether there was anything. */
static bool line_read(struct line *line)
{
	size_t before = line->came_bytes;
	ssize_t n;

	do {
		if (line->came_room - line->came_bytes < 65536)
			line->came = realloc(line->came, line->came_room = 2 * line->came_room + 65536);
		n = recv(line->peer, line->came + line->came_bytes, line->came_room - line->came_bytes, MSG_DONTWAIT);
		line->came_bytes += n > 0 ? (size_t)n : 0;
	} while (n > 0);
	return line->came_bytes > before;
}

static void line_turn(struct line *line)
{
	for (unsigned round = 0, busy = 1; busy; round++) {
		assert_true(round < 100000); /* else it spins */
		busy = line_turn_once(line);
		if (!line->deaf)
			busy += line_read(line);
	}
}

static uint32_t crc(const uint8_t *bytes, size_t len_bytes)
{
	return crc32c_value(crc32c_update(CRC32C_INIT, bytes, len_bytes));
}

static void put_crc(uint8_t *at, uint32_t value)
{
	for (int i = 0; i < 4; i++)
		at[i] = (uint8_t)(value >> 8 * i);
}

/* The bytes of a PDU (header with its AHS) into `ret`; how many. */
static size_t encode(const struct line *line, uint8_t *header, const void *data, uint32_t data_bytes, uint8_t *ret)
{
	size_t at = ISCSI_BHS_BYTES + bhs_ahs_bytes(header), from;

	put_be24(header + 5, data_bytes);
	memcpy(ret, header, at);
	if (line->header_digest) {
		put_crc(ret + at, crc(ret, at));
		at += 4;
	}
	from = at;
	if (data_bytes)
		memcpy(ret + at, data, data_bytes);
	memset(ret + at + data_bytes, 0, 3);
	at += pdu_padded(data_bytes);
	if (line->data_digest && data_bytes) {
		put_crc(ret + at, crc(ret + from, at - from));
		at += 4;
	}
	return at;
}

static void line_say(struct line *line, const uint8_t *bytes, size_t len_bytes)
{
	while (len_bytes && !gone(line)) {
		ssize_t n = send(line->peer, bytes, len_bytes, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n > 0) {
			bytes += n;
			len_bytes -= (size_t)n;
		}
		line_turn(line);
		if (n < 0 && line->mover->paused)
			return;
	}
}

static void line_send(struct line *line, uint8_t *header, const void *data, uint32_t data_bytes)
{
	uint8_t *bytes = malloc(ISCSI_BHS_BYTES + 1024 + data_bytes + 12);

	line_say(line, bytes, encode(line, header, data, data_bytes, bytes));
	free(bytes);
}

struct pdu {
	uint8_t bhs[ISCSI_BHS_BYTES];
	uint32_t data_bytes;
	uint8_t data[1 << 20];
};

/* The next whole PDU that came, its digests checked; false: there is none. */
static bool line_next(struct line *line, struct pdu *ret)
{
	size_t at = ISCSI_BHS_BYTES + (line->header_digest ? 4 : 0), padded;

	line_turn(line);
	if (line->came_bytes < at)
		return false;
	memcpy(ret->bhs, line->came, ISCSI_BHS_BYTES);
	ret->data_bytes = bhs_data_bytes(ret->bhs);
	padded = pdu_padded(ret->data_bytes);
	if (line->came_bytes < at + padded + (line->data_digest && padded ? 4 : 0))
		return false;
	if (line->header_digest) {
		uint8_t digest[4];

		put_crc(digest, crc(line->came, ISCSI_BHS_BYTES));
		assert_memory_equal(digest, line->came + ISCSI_BHS_BYTES, 4);
	}
	assert_true(ret->data_bytes <= sizeof ret->data);
	memcpy(ret->data, line->came + at, ret->data_bytes);
	if (line->data_digest && padded) {
		uint8_t digest[4];

		put_crc(digest, crc(line->came + at, padded));
		assert_memory_equal(digest, line->came + at + padded, 4);
		at += 4;
	}
	at += padded;
	line->came_bytes -= at;
	memmove(line->came, line->came + at, line->came_bytes);
	return true;
}

static void line_expect(struct line *line, enum iscsi_opcode opcode, struct pdu *ret)
{
	if (!line_next(line, ret))
		fail_msg("nothing came, where opcode 0x%02x should have", opcode);
	assert_int_equal(ret->bhs[0], opcode);
}

static void line_open(struct line *line, struct house *house)
{
	struct iscsi_config *config = iscsi_node_config(&house->node);
	struct iscsi_peer peer = peer_of(config, "127.0.0.1", "127.0.0.1");
	int fds[2];

	memset(line, 0, sizeof *line);
	line->house = house;
	line->closed_before = house_closed;
	assert_int_equal(tcp_reactor_init(&line->tcp, epoll_create1(EPOLL_CLOEXEC)), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	line->peer = fds[1];
	line->connection = iscsi_connection_new(&house->reactor[0].iscsi, &peer);
	assert_int_equal(tcp_attach(&line->tcp, line->connection, fds[0], NULL, 0), 0);
	line->mover = tcp_of(line->connection->mover);
	line->cmdsn = 1;
	line->itt = 0x100;
	iscsi_config_unref(config);
}

static void line_test_unit_ready(struct line *line, struct pdu *pdu)
{
	uint8_t bhs[ISCSI_BHS_BYTES];

	header_init(bhs, ISCSI_SCSI_COMMAND, 0x81, line->itt++, line->cmdsn++);
	put_be32(bhs + 20, 0);
	line_send(line, bhs, NULL, 0);
	line_expect(line, ISCSI_SCSI_RESPONSE, pdu);
}

static struct pdu pdu; /* a big one */

static void line_login(struct line *line, struct house *house, const char *keys)
{
	uint8_t bhs[ISCSI_BHS_BYTES];
	char text[1024];
	int len = snprintf(text, sizeof text, "%s%s%s", NORMAL_NAMES, *keys ? "\n" : "", keys);

	line_open(line, house);
	for (int i = 0; i < len; i++)
		if (text[i] == '\n')
			text[i] = '\0';
	header_init(bhs, 0x43, 0x87, 1, line->cmdsn);
	memcpy(bhs + 8, "\x80\1\2\3\4\5\0\0", 8);
	put_be32(bhs + 20, 0x10000);
	line_send(line, bhs, text, (uint32_t)len + 1);
	line_expect(line, ISCSI_LOGIN_RESPONSE, &pdu);
	assert_int_equal(get_be16(pdu.bhs + 36), 0);
	line->header_digest = strstr(keys, "HeaderDigest=CRC32C");
	line->data_digest = strstr(keys, "DataDigest=CRC32C");
	do
		line_test_unit_ready(line, &pdu);
	while (pdu.bhs[3]);
}

static void line_close(struct line *line)
{
	close(line->peer);
	line->peer = -1;
	line_turn(line);
	if (!gone(line)) {
		iscsi_connection_drop(line->connection, NULL);
		house_turn(line->house);
	}
	assert_true(gone(line));
	tcp_reactor_fini(&line->tcp);
	close(line->tcp.epoll_fd);
	free(line->came);
	house_closed--; /* house_free() knows wires alone */
}

static size_t command_bytes(struct line *line, uint8_t *ret, uint8_t flags, const uint8_t *cdb, uint32_t edtl, const void *data,
			    uint32_t data_bytes)
{
	uint8_t bhs[ISCSI_BHS_BYTES];

	header_init(bhs, ISCSI_SCSI_COMMAND, flags, line->itt++, line->cmdsn++);
	put_be32(bhs + 20, edtl);
	memcpy(bhs + 32, cdb, 16);
	return encode(line, bhs, data, data_bytes, ret);
}

/* --- receiving --- */

/* A command with AHS, one with data that needs padding, a ping: cut in two at every byte, and byte by byte. */
static size_t some_pdus(struct line *line, uint8_t *ret, const uint8_t *data)
{
	uint8_t header[ISCSI_BHS_BYTES + 32];
	size_t at;

	header_init(header, ISCSI_SCSI_COMMAND, 0x81, line->itt++, line->cmdsn++);
	put_be32(header + 20, 0);
	memset(header + 32, 0, sizeof header - 32);
	header[4] = 2;
	put_be16(header + 48, 5); /* a Bidirectional Read AHS: not looked at */
	header[50] = 2;
	at = encode(line, header, NULL, 0, ret);
	at += command_bytes(line, ret + at, 0xa1, cdb10(WRITE10, 0, 1), 512, data, 512);
	header_init(header, 0x40, 0x80, line->itt++, line->cmdsn);
	at += encode(line, header, data, 13, ret + at);
	return at + command_bytes(line, ret + at, 0xc1, cdb10(READ10, 0, 1), 512, NULL, 0);
}

static void expect_answers(struct line *line, const uint8_t *data)
{
	line_expect(line, ISCSI_SCSI_RESPONSE, &pdu);
	assert_int_equal(pdu.bhs[3], 0);
	/* the ping may be answered before the write and the read */
	for (int i = 0; i < 3; i++) {
		assert_true(line_next(line, &pdu));
		if (pdu.bhs[0] == ISCSI_NOP_IN) {
			assert_int_equal(pdu.data_bytes, 13);
			assert_memory_equal(pdu.data, data, 13);
		} else if (pdu.bhs[0] == ISCSI_DATA_IN) {
			assert_int_equal(pdu.data_bytes, 512);
			assert_memory_equal(pdu.data, data, 512);
		} else {
			assert_int_equal(pdu.bhs[0], ISCSI_SCSI_RESPONSE);
			assert_int_equal(pdu.bhs[3], 0);
		}
	}
}

static void a_stream_cut_anywhere_means_the_same(void **state)
{
	static const char *const digests[] = { "", "HeaderDigest=CRC32C", "DataDigest=CRC32C", "HeaderDigest=CRC32C\nDataDigest=CRC32C" };
	static uint8_t bytes[2048], data[512];

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		struct house *house = house_new(NULL);
		struct line line;
		size_t len = 1;

		line_login(&line, house, digests[i]);
		for (size_t cut = 0; cut <= len; cut++) {
			pattern(data, sizeof data, (uint8_t)cut);
			len = some_pdus(&line, bytes, data);
			line_say(&line, bytes, cut);
			line_say(&line, bytes + cut, len - cut);
			expect_answers(&line, data);
		}
		for (size_t piece = 1; piece < 50; piece += 6) {
			pattern(data, sizeof data, (uint8_t)piece);
			len = some_pdus(&line, bytes, data);
			for (size_t at = 0; at < len; at += piece)
				line_say(&line, bytes + at, len - at < piece ? len - at : piece);
			expect_answers(&line, data);
		}
		line_close(&line);
		house_free(house);
	}
}

/* A long data segment goes straight into its list, in whatever pieces it comes. */
static void a_long_write_arrives_whole(void **state)
{
	static const size_t pieces[] = { 1000, 4096, 5000, 65536, 1000000 };
	static uint8_t bytes[300000], data[262144];
	struct house *house = house_new(NULL);

	(void)state;
	for (unsigned digest = 0; digest < 2; digest++)
		for (unsigned i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
			struct line line;
			size_t len;

			line_login(&line, house, digest ? LONG_BURSTS "\nHeaderDigest=CRC32C\nDataDigest=CRC32C" : LONG_BURSTS);
			pattern(data, sizeof data, (uint8_t)(i + digest));
			len = command_bytes(&line, bytes, 0xa1, cdb10(WRITE10, 0, 512), sizeof data, data, sizeof data);
			for (size_t at = 0; at < len; at += pieces[i])
				line_say(&line, bytes + at, len - at < pieces[i] ? len - at : pieces[i]);
			line_expect(&line, ISCSI_SCSI_RESPONSE, &pdu);
			assert_int_equal(pdu.bhs[3], 0);
			len = command_bytes(&line, bytes, 0xc1, cdb10(READ10, 0, 512), sizeof data, NULL, 0);
			line_say(&line, bytes, len);
			for (uint32_t at = 0; at < sizeof data; at += pdu.data_bytes) {
				line_expect(&line, ISCSI_DATA_IN, &pdu);
				assert_int_equal(get_be32(pdu.bhs + 40), at);
				assert_memory_equal(pdu.data, data + at, pdu.data_bytes);
			}
			line_close(&line);
		}
	house_free(house);
}

static void a_wrong_digest_ends_the_session_and_nothing_is_written(void **state)
{
	static uint8_t bytes[2048], data[512];
	struct house *house = house_new(NULL);
	struct line line;

	(void)state;
	pattern(data, sizeof data, 9);
	for (unsigned i = 0; i < 8; i++) {
		uint8_t bhs[ISCSI_BHS_BYTES];
		size_t len;

		line_login(&line, house, "HeaderDigest=CRC32C\nDataDigest=CRC32C");
		if (i < 4) {
			len = command_bytes(&line, bytes, 0xa1, cdb10(WRITE10, 0, 1), 512, data, 512);
		} else {
			header_init(bhs, i < 6 ? 0x40 : 0x44, 0x80, line.itt++, line.cmdsn);
			len = encode(&line, bhs, "SendTargets=", 13, bytes);
		}
		bytes[i % 2 ? 48 : len - 1] ^= 1; /* header digest, data digest */
		line_say(&line, bytes, len);
		line_turn(&line);
		assert_true(gone(&line));
		line_close(&line);
	}
	assert_int_equal(house->store_writes, 0);
	line_login(&line, house, "");
	line_close(&line);
	house_free(house);
}

static void a_header_that_announces_too_much_is_closed(void **state)
{
	struct house *house = house_new(NULL);
	struct line line;
	uint8_t bhs[ISCSI_BHS_BYTES];

	(void)state;
	line_login(&line, house, "");
	header_init(bhs, 0x40, 0x80, 1, line.cmdsn);
	put_be24(bhs + 5, 0xffffff);
	line_say(&line, bhs, sizeof bhs);
	assert_true(gone(&line));
	line_close(&line);
	line_login(&line, house, "");
	header_init(bhs, ISCSI_SCSI_COMMAND, 0x80, 1, line.cmdsn);
	bhs[4] = 255;
	line_say(&line, bhs, sizeof bhs);
	assert_true(gone(&line));
	line_close(&line);
	house_free(house);
}

/* --- sending --- */

static void reads_are_cut_by_segment_and_burst_with_their_bits(void **state)
{
	static const struct {
		const char *keys;
		uint32_t segment, burst;
	} cases[] = {
		{ "MaxRecvDataSegmentLength=512\nMaxBurstLength=2048\nFirstBurstLength=512", 512, 2048 },
		{ "MaxRecvDataSegmentLength=4096\nMaxBurstLength=10000\nFirstBurstLength=512", 4096, 10000 },
		{ "MaxRecvDataSegmentLength=262144\nMaxBurstLength=8192\nFirstBurstLength=512", 262144, 8192 },
		{ "MaxRecvDataSegmentLength=1000\nMaxBurstLength=3000\nFirstBurstLength=512\nDataDigest=CRC32C", 1000, 3000 },
	};
	static uint8_t bytes[256], data[65536];
	struct house *house = house_new(NULL);
	struct wire *wire = wire_login(house, "");

	(void)state;
	pattern(data, sizeof data, 5);
	wire_response(wire, wire_write10(wire, 0, 128, data, sizeof data), SCSI_GOOD);
	for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct line line;
		uint32_t statsn, datasn = 0;

		line_login(&line, house, cases[i].keys);
		statsn = get_be32(pdu.bhs + 24);
		line_say(&line, bytes, command_bytes(&line, bytes, 0xc1, cdb10(READ10, 0, 128), 80000, NULL, 0));
		for (uint32_t at = 0; at < sizeof data; at += pdu.data_bytes) {
			uint32_t in_burst = at % cases[i].burst;
			bool last;

			line_expect(&line, ISCSI_DATA_IN, &pdu);
			last = at + pdu.data_bytes == sizeof data;
			assert_true(pdu.data_bytes <= cases[i].segment && in_burst + pdu.data_bytes <= cases[i].burst);
			assert_int_equal(get_be32(pdu.bhs + 36), datasn++);
			assert_int_equal(get_be32(pdu.bhs + 40), at);
			assert_int_equal(pdu.bhs[1] & 1, last);
			assert_int_equal(pdu.bhs[1] >> 7, last || in_burst + pdu.data_bytes == cases[i].burst);
			assert_int_equal(pdu.bhs[1] & 2, last ? 2 : 0); /* underflow: EDTL is 80000 */
			assert_int_equal(get_be32(pdu.bhs + 44), last ? 80000 - 65536 : 0);
			assert_int_equal(get_be32(pdu.bhs + 20), ISCSI_NO_TAG);
			if (last)
				assert_int_equal(get_be32(pdu.bhs + 24), statsn + 1);
			assert_memory_equal(pdu.data, data + at, pdu.data_bytes);
		}
		line_close(&line);
	}
	house_free(house);
}

static void a_peer_that_reads_slowly_gets_everything_in_order(void **state)
{
	static uint8_t bytes[64 * 64], data[65536];
	struct house *house = house_new(NULL);
	struct wire *wire = wire_login(house, "");
	struct line line;
	size_t len = 0;
	int room = 4096;
	uint32_t statsn;

	(void)state;
	pattern(data, sizeof data, 7);
	wire_response(wire, wire_write10(wire, 0, 128, data, sizeof data), SCSI_GOOD);
	line_login(&line, house, "MaxRecvDataSegmentLength=8192\nHeaderDigest=CRC32C\nDataDigest=CRC32C");
	statsn = get_be32(pdu.bhs + 24);
	setsockopt(line.mover->fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
	for (int i = 0; i < 40; i++)
		len += command_bytes(&line, bytes + len, 0xc1, cdb10(READ10, 0, 128), sizeof data, NULL, 0);
	line.deaf = true;
	line_say(&line, bytes, len);
	assert_true(line.mover->blocked && line.mover->mover.blocked_since_ns);
	line.deaf = false;
	for (int i = 0; i < 40; i++)
		for (uint32_t at = 0; at < sizeof data; at += pdu.data_bytes) {
			line_expect(&line, ISCSI_DATA_IN, &pdu);
			assert_int_equal(get_be32(pdu.bhs + 40), at);
			assert_memory_equal(pdu.data, data + at, pdu.data_bytes);
			if (pdu.bhs[1] & 1)
				assert_int_equal(get_be32(pdu.bhs + 24), ++statsn);
		}
	assert_int_equal(sgl_pool_in_use(house->reactor[0].iscsi.scsi.pool), 0);
	line_close(&line);
	house_free(house);
}

static void a_peer_that_reads_nothing_is_dropped_and_its_buffers_come_back(void **state)
{
	static uint8_t bytes[64 * 64];
	struct house *house = house_new(&(struct house_options){ .params = "'nop_interval_s':0" });
	struct line line;
	size_t len = 0;

	(void)state;
	line_login(&line, house, "");
	line.deaf = true;
	for (int i = 0; i < 60; i++)
		len += command_bytes(&line, bytes + len, 0xc1, cdb10(READ10, 0, 512), 262144, NULL, 0);
	line_say(&line, bytes, len);
	assert_true(line.mover->blocked);
	assert_true(sgl_pool_in_use(house->reactor[0].iscsi.scsi.pool) > 0);
	house->later_ns += (ISCSI_WRITE_STALL_S + 1) * NS_PER_S;
	house->reactor[0].iscsi.now_ns = clock_now_ns() + house->later_ns;
	iscsi_reactor_tick(&house->reactor[0].iscsi);
	line_turn(&line);
	assert_true(gone(&line));
	assert_int_equal(sgl_pool_in_use(house->reactor[0].iscsi.scsi.pool), 0);
	line_close(&line);
	house_free(house);
}

/* The socket became full after the turn's time was taken: the difference wrapped, and the session was dropped at once. */
static void a_socket_that_fills_up_in_the_turn_of_a_tick_ends_no_session(void **state)
{
	static uint8_t bytes[64 * 64];
	struct house *house = house_new(NULL);
	struct line line;
	size_t len = 0;

	(void)state;
	line_login(&line, house, "");
	house->later_ns -= NS_PER_S; /* the turn began a second ago */
	line_turn(&line);
	line.deaf = true;
	for (int i = 0; i < 60; i++)
		len += command_bytes(&line, bytes + len, 0xc1, cdb10(READ10, 0, 512), 262144, NULL, 0);
	line_say(&line, bytes, len);
	assert_true(line.mover->blocked);
	iscsi_reactor_tick(&house->reactor[0].iscsi);
	line_turn(&line);
	assert_false(gone(&line));
	line_close(&line);
	house_free(house);
}

/* --- pauses, the end --- */

static void a_paused_connection_keeps_what_it_has_read(void **state)
{
	static uint8_t bytes[200000], data[131072];
	struct house *house = house_new(&(struct house_options){ .small = 1, .large = 2 });
	struct wire *wire = wire_login(house, "");
	struct line line;
	size_t len = 0;

	(void)state;
	pattern(data, sizeof data, 2);
	line_login(&line, house, LONG_BURSTS);
	wire->keep = true;
	wire_read10(wire, 0, 256); /* takes the whole pool */
	wire_expect(wire, ISCSI_DATA_IN);
	len = command_bytes(&line, bytes, 0xa1, cdb10(WRITE10, 0, 256), sizeof data, data, sizeof data);
	len += command_bytes(&line, bytes + len, 0xc1, cdb10(READ10, 0, 256), sizeof data, NULL, 0);
	line_say(&line, bytes, len);
	assert_true(line.mover->paused && line.connection->waiting);
	assert_int_equal(line.came_bytes, 0);
	wire->keep = false;
	line_turn(&line); /* the rest is in the socket */
	line_expect(&line, ISCSI_SCSI_RESPONSE, &pdu);
	for (uint32_t at = 0; at < sizeof data; at += pdu.data_bytes) {
		line_expect(&line, ISCSI_DATA_IN, &pdu);
		assert_memory_equal(pdu.data, data + at, pdu.data_bytes);
	}
	line_close(&line);
	house_free(house);
}

/* The Data-Out that an R2T asks for, in two PDUs, into `ret`; how many bytes. */
static size_t answer_bytes(struct line *line, const uint8_t *r2t, const uint8_t *data, uint8_t *ret)
{
	uint32_t at = get_be32(r2t + 40), n = get_be32(r2t + 44) / 2;
	uint8_t bhs[ISCSI_BHS_BYTES];
	size_t len = 0;

	for (uint32_t half = 0; half < 2; half++) {
		header_init(bhs, ISCSI_DATA_OUT, half ? 0x80 : 0, bhs_itt(r2t), 0);
		put_be32(bhs + 20, bhs_ttt(r2t));
		put_be32(bhs + 36, half);
		put_be32(bhs + 40, at + half * n);
		len += encode(line, bhs, data + at + half * n, n, ret + len);
	}
	return len;
}

/* Buffers come back in the middle of a Data-Out: what waits for them must not take that PDU's place. */
static void writes_beyond_the_pool_end_however_their_data_is_cut(void **state)
{
	static uint8_t bytes[2000000], data[131072];
	struct house *house = house_new(&(struct house_options){ .small = 1, .large = 9 });
	struct line line;
	unsigned done = 0;

	(void)state;
	pattern(data, sizeof data, 2);
	line_login(&line, house, "MaxBurstLength=131072\nFirstBurstLength=8192");
	for (unsigned i = 0; i < 20; i++)
		line_say(&line, bytes, command_bytes(&line, bytes, 0xa1, cdb10(WRITE10, 256 * i, 256), sizeof data, data,
						     i % 2 ? 8192 : 0));
	while (done < 20) {
		size_t len = 0;

		while (line_next(&line, &pdu))
			if (pdu.bhs[0] == ISCSI_SCSI_RESPONSE) {
				assert_int_equal(pdu.bhs[3], SCSI_GOOD);
				done++;
			} else {
				assert_int_equal(pdu.bhs[0], ISCSI_R2T);
				len += answer_bytes(&line, pdu.bhs, data, bytes + len);
			}
		if (!len && done < 20)
			fail_msg("nothing comes any more after %u writes", done);
		for (size_t from = 0; from < len; from += 3000)
			line_say(&line, bytes + from, len - from < 3000 ? len - from : 3000);
	}
	line_close(&line);
	house_free(house);
}

/* epoll reports a hang-up for as long as it lasts: a connection that is not read must end, not spin. */
static void a_paused_connection_whose_peer_goes_ends(void **state)
{
	static uint8_t bytes[200];
	struct house *house = house_new(&(struct house_options){ .small = 1, .large = 2 });
	struct wire *wire = wire_login(house, "");
	struct line line;

	(void)state;
	line_login(&line, house, "");
	wire->keep = true;
	wire_read10(wire, 0, 256);
	wire_expect(wire, ISCSI_DATA_IN);
	line_say(&line, bytes, command_bytes(&line, bytes, 0xc1, cdb10(READ10, 0, 256), 131072, NULL, 0));
	assert_true(line.mover->paused);
	close(line.peer);
	line.peer = -1;
	line_turn(&line);
	assert_true(gone(&line));
	line_close(&line);
	wire->keep = false;
	house_free(house);
}

static void the_peers_end_ends_the_session_at_any_moment(void **state)
{
	static uint8_t bytes[2048], data[512];
	struct house *house = house_new(NULL);
	struct line line;
	size_t len = 1;

	(void)state;
	for (size_t cut = 0; cut <= len; cut += 7) {
		line_login(&line, house, "HeaderDigest=CRC32C\nDataDigest=CRC32C");
		len = some_pdus(&line, bytes, data);
		line_say(&line, bytes, cut);
		if (cut % 2)
			shutdown(line.peer, SHUT_WR);
		line_turn(&line);
		line_close(&line);
		assert_int_equal(sgl_pool_in_use(house->reactor[0].iscsi.scsi.pool), 0);
	}
	house_free(house);
}

/* The old path's write and its end are in the socket when the newer write is acknowledged through another path. */
static void a_write_that_is_read_after_its_path_was_given_up_is_not_done(void **state)
{
	struct house *house = house_new(NULL);
	struct wire *other = wire_login(house, "");
	struct line line;
	uint8_t bytes[1024], old[512], new[512];
	size_t len;
	uint32_t itt;

	(void)state;
	pattern(old, sizeof old, 1);
	pattern(new, sizeof new, 2);
	line_login(&line, house, "");
	len = command_bytes(&line, bytes, 0xa1, cdb10(WRITE10, 0, 1), 512, old, 512);
	assert_int_equal(send(line.peer, bytes, len, 0), len);
	shutdown(line.peer, SHUT_WR);
	itt = wire_write10(other, 0, 1, new, 512);
	wire_response(other, itt, 0);
	line_turn(&line);
	wire_check_blocks(other, 0, 1, new);
	line_close(&line);
	house_free(house);
}

static void logout_is_answered_before_the_connection_ends(void **state)
{
	struct house *house = house_new(NULL);
	struct line line;
	uint8_t bhs[ISCSI_BHS_BYTES];
	char byte;

	(void)state;
	line_login(&line, house, "");
	header_init(bhs, 0x46, 0x80, line.itt++, line.cmdsn);
	put_be16(bhs + 20, 1);
	line_send(&line, bhs, NULL, 0);
	line_expect(&line, ISCSI_LOGOUT_RESPONSE, &pdu);
	assert_int_equal(pdu.bhs[2], 0);
	assert_int_equal(recv(line.peer, &byte, 1, MSG_DONTWAIT), 0); /* our direction is shut */
	line_close(&line);
	house_free(house);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_stream_cut_anywhere_means_the_same),
		cmocka_unit_test(a_long_write_arrives_whole),
		cmocka_unit_test(a_wrong_digest_ends_the_session_and_nothing_is_written),
		cmocka_unit_test(a_header_that_announces_too_much_is_closed),
		cmocka_unit_test(reads_are_cut_by_segment_and_burst_with_their_bits),
		cmocka_unit_test(a_peer_that_reads_slowly_gets_everything_in_order),
		cmocka_unit_test(a_peer_that_reads_nothing_is_dropped_and_its_buffers_come_back),
		cmocka_unit_test(a_socket_that_fills_up_in_the_turn_of_a_tick_ends_no_session),
		cmocka_unit_test(a_paused_connection_keeps_what_it_has_read),
		cmocka_unit_test(writes_beyond_the_pool_end_however_their_data_is_cut),
		cmocka_unit_test(a_paused_connection_whose_peer_goes_ends),
		cmocka_unit_test(the_peers_end_ends_the_session_at_any_moment),
		cmocka_unit_test(a_write_that_is_read_after_its_path_was_given_up_is_not_done),
		cmocka_unit_test(logout_is_answered_before_the_connection_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
