/*
 * Whole sessions: several connections at once, of several initiators, to two targets with two LUNs, on the real iSCSI, SCSI,
 * LUN and fault-over-memory layers, without threads, sockets or waiting. What the input says is said in terms of the
 * protocol, so that deep states are near: a record of zeros but for its kind is a well-formed PDU, what is not zero
 * spoils it.
 *
 * Input: records of RECORD bytes:
 *
 *   0 kind   1 bits 0-1 connection, bits 2-3 LUN, bits 4-7 initiator task tag (15: the reserved one)
 *   2 choice among what there is of the kind   3 XOR on byte 1 of the header   4 added to CmdSN (signed)
 *   5, 6 the header's byte [5] (below 48) is XORed with [6]   7 how much data and where   8-9 a number   10 more choice
 *   11-22 XOR on bytes 1 to 12 of the CDB, or on the parameter list or text   23 repeated so often
 *
 * The ROD token that came last to any of them, at first that of zeroes, is what WRITE USING TOKEN presents.
 *
 * Held after each record: the numbering of RFC 7143 4.2.2 (the fixture), no response to what was not asked, Data-In and R2T
 * inside the expected length. At the end: tasks, buffers, connections and sessions are given back, the gauges are zero,
 * and a new session can write and read each LUN.
 */
#include <assert.h>
#include <stdlib.h>

#include "dataplane/iscsi/chap.h"
#include "dataplane/scsi/copy_list.h"
#include "dataplane/scsi/token.h"
#include "tests/fuzz/inline_offload.h"
#include "tests/unit/iscsi/full_feature_fixture.h"

#define RECORD     24
#define RECORDS    96
#define PEERS      4
#define TAGS       8
#define LOGINS     24
#define R2TS       16
#define DATA_MAX   65536 /* of one PDU; two bytes of the input can say so much */
#define CHAP_TARGET "iqn.2026-11.io.lunette:c1"
#define CHAP_SECRET "secretofhosts01"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len_bytes);

enum kind {
	LOGIN, COMMAND, DATA_OUT, FUNCTION, NOP, TEXT, LOGOUT, RAW, COMMAND_AGAIN, STORE, TIME, PEER, CONFIGURE, KINDS,
};

struct r2t {
	uint32_t itt, ttt, offset, len_bytes;
};

/* One initiator's end of a connection. */
struct peer {
	struct wire *wire;      /* NULL: none */
	bool in, immediate_data, unsolicited;
	uint32_t first_burst_bytes, max_data_bytes;
	uint32_t cmdsn;
	unsigned asked[TAGS + 1]; /* commands sent and not answered, by tag; the last: of all other tags */
	uint32_t most[TAGS + 1]; /* largest expected length sent under the tag */
	struct r2t r2t[R2TS];
	unsigned r2t_count;
	uint32_t ping_ttt, text_ttt;
	uint8_t challenge[ISCSI_CHAP_CHALLENGE_BYTES], chap_id; /* of the target */
	unsigned chap_algorithm;
};

static struct house *house;
static struct peer peer[PEERS];
static unsigned logins;
static uint8_t payload[DATA_MAX + 256];
static uint8_t rod_token[COPY_TOKEN_BYTES]; /* the last that came */
static const struct house_options options = { .params = "'queue_depth':16,'max_outstanding_r2t':8", .small = 6, .large = 66 };
static const uint64_t luns[4] = { 0, UINT64_C(1) << 48, UINT64_C(0xc101000000000000), UINT64_C(7) << 48 };

/* --- what a command can be --- */

enum data { NONE, IN, OUT, LIST, TOKEN };

static const struct command {
	uint8_t cdb[16];
	uint8_t data;       /* enum data */
	uint32_t len_bytes; /* expected; LIST, TOKEN: those of `list` and of the token in it */
	uint8_t list[144];
} commands[] = {
#define KEY(k)      0, 0, 0, 0, 0, 0, 0, (k)
#define PR_OUT(sa, type, key, new_key, flags) \
	{ { 0x5f, sa, type, 0, 0, 0, 0, 0, 24 }, LIST, 24, { KEY(key), KEY(new_key), 0, 0, 0, 0, flags } }
	{ { 0x00 }, NONE, 0, { 0 } },
	{ { 0x28, 0, 0, 0, 0, 0, 0, 0, 1 }, IN, 512, { 0 } },
	{ { 0x2a, 0, 0, 0, 0, 0, 0, 0, 1 }, OUT, 512, { 0 } },
	{ { 0x28, 0, 0, 0, 0, 8, 0, 0, 16 }, IN, 8192, { 0 } },
	{ { 0x2a, 0, 0, 0, 0, 8, 0, 0, 16 }, OUT, 8192, { 0 } },
	{ { 0x8a, 8, 0, 0, 0, 0, 0, 0, 0, 64, 0, 0, 0, 72 }, OUT, 36864, { 0 } },
	{ { 0x88, 0, 0, 0, 0, 0, 0, 0, 0, 64, 0, 0, 1, 0 }, IN, 131072, { 0 } },
	{ { 0x89, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1 }, OUT, 1024, { 0 } },
	{ { 0x2e, 2, 0, 0, 0, 4, 0, 0, 2 }, OUT, 1024, { 0 } },
	{ { 0x2f, 2, 0, 0, 0, 4, 0, 0, 2 }, OUT, 1024, { 0 } },
	{ { 0x8b, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 2 }, OUT, 1024, { 0 } },
	{ { 0x41, 0, 0, 0, 0, 32, 0, 0, 64 }, OUT, 512, { 0 } },
	{ { 0x93, 9, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0, 0, 64 }, OUT, 512, { 0 } },
	{ { 0x42, 0, 0, 0, 0, 0, 0, 0, 40 }, LIST, 40,
	  { 0, 38, 0, 32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 64, 0, 0, 0, 16 } },
	{ { 0x35 }, NONE, 0, { 0 } },
	{ { 0x12, 0, 0, 0, 96 }, IN, 96, { 0 } },
	{ { 0x12, 1, 0x83, 0, 255 }, IN, 255, { 0 } },
	{ { 0xa0, 0, 0, 0, 0, 0, 0, 0, 1, 0 }, IN, 256, { 0 } },
	{ { 0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32 }, IN, 32, { 0 } },
	{ { 0x9e, 0x12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0 }, IN, 256, { 0 } },
	{ { 0x03, 0, 0, 0, 252 }, IN, 252, { 0 } },
	{ { 0x5a, 0, 0x3f, 0xff, 0, 0, 0, 0, 255 }, IN, 255, { 0 } },
	{ { 0x55, 0x10, 0, 0, 0, 0, 0, 0, 28 }, LIST, 28, { 0, 0, 0, 0, 0, 0, 0, 0, 0x08, 0x12, 0x04 } },
	{ { 0xa3, 0x0c, 0, 0, 0, 0, 0, 0, 16, 0 }, IN, 4096, { 0 } },
	{ { 0xa3, 0x0a, 0, 0, 0, 0, 0, 0, 1, 0 }, IN, 256, { 0 } },
	{ { 0x16 }, NONE, 0, { 0 } },
	{ { 0x17 }, NONE, 0, { 0 } },
	{ { 0x1b, 0, 0, 0, 2 }, NONE, 0, { 0 } },
	{ { 0x1e, 0, 0, 0, 1 }, NONE, 0, { 0 } },
	PR_OUT(0, 0, 0, 1, 0), PR_OUT(6, 0, 0, 2, 0), PR_OUT(1, 1, 1, 0, 0), PR_OUT(1, 5, 1, 0, 0), PR_OUT(1, 7, 2, 0, 0),
	PR_OUT(2, 5, 1, 0, 0), PR_OUT(3, 0, 1, 0, 0), PR_OUT(4, 1, 2, 1, 0), PR_OUT(5, 5, 2, 1, 0), PR_OUT(6, 0, 0, 1, 4),
	{ { 0x5f, 0, 0, 0, 0, 0, 0, 0, 56 }, LIST, 56,
	  { KEY(0), KEY(1), 0, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 28, 0x05, 0, 0, 24, 'i', 'q', 'n', '.', '1', '9', '9', '4', '-', '0',
	    '5', '.', 'c', 'o', 'm', ':', 'h', '2' } },
	{ { 0x5e, 0, 0, 0, 0, 0, 0, 1, 0 }, IN, 256, { 0 } },
	{ { 0x5e, 3, 0, 0, 0, 0, 0, 1, 0 }, IN, 256, { 0 } },
	/* third-party copies: from LUN 0 to LUN 1, by the names that the house gives them (SPC-4 6.4) */
#define CSCD(at, lun) \
	[(at)] = 0xe4, [(at) + 4] = 1, [(at) + 5] = 3, [(at) + 7] = 16, [(at) + 8] = 0x6e, [(at) + 23] = (lun), [(at) + 30] = 2
#define LID1(segment_bytes) [0] = 4, [3] = 64, [11] = (segment_bytes), CSCD(16, 0), CSCD(48, 1)
	{ { [0] = 0x83, [13] = 108 }, LIST, 108, { LID1(28), [80] = 0x02, [83] = 0x18, [87] = 1, [91] = 8, [99] = 4, [107] = 32 } },
	{ { [0] = 0x83, [13] = 112 }, LIST, 112, { LID1(32), [80] = 0x0a, [83] = 0x1c, [87] = 1, [89] = 0x10, [98] = 1, [106] = 2 } },
	{ { [0] = 0x83, 1, [13] = 140 }, LIST, 140,
	  { [0] = 1, [3] = 0x20, [15] = 1, 0xff, [23] = 3, [43] = 64, [45] = 28, CSCD(48, 0), CSCD(80, 1), [112] = 0x02, [115] = 0x18,
	    [119] = 1, [122] = 0x20, [131] = 4, [139] = 32 } },
	{ { 0x84, 0x00, 4, [12] = 1 }, IN, 256, { 0 } },
	{ { 0x84, 0x01, 4, [12] = 1 }, IN, 256, { 0 } },
	{ { 0x84, 0x03, [12] = 1 }, IN, 256, { 0 } },
	{ { 0x84, 0x04, 4, [12] = 1 }, IN, 256, { 0 } },
	{ { 0x84, 0x05, [5] = 3, [12] = 1 }, IN, 256, { 0 } },
	{ { 0x83, 0x1c, [5] = 3 }, NONE, 0, { 0 } },
	{ { 0x83, 0x10, [9] = 1, [13] = 32 }, LIST, 32, { 0, 30, [15] = 16, [23] = 8, [27] = 64 } },
	{ { 0x84, 0x07, [5] = 1, [12] = 4 }, IN, 1024, { 0 } },
	{ { 0x83, 0x11, [9] = 2, [12] = 2, 40 }, TOKEN, 552, { 2, 38, [23] = 16, [27] = 32 } },
	{ { 0x83, 0x11, [9] = 2, [12] = 2, 40 }, TOKEN, 552, { 2, 38, 3, [23] = 64, [27] = 64 } },
	/* and the rest */
	{ { 0x9c, 0, [13] = 8 }, OUT, 4096, { 0 } },
	{ { 0xa3, 0x05, [8] = 1 }, IN, 256, { 0 } },
	{ { 0xa4, 0x06, [9] = 16 }, LIST, 16, { 'a', ' ', 'n', 'a', 'm', 'e' } },
	{ { 0xa4, 0x0a, [9] = 8 }, LIST, 8, { [4] = 2, [7] = 1 } },
	{ { 0xa4, 0x0a, [9] = 8 }, LIST, 8, { [4] = 0, [7] = 1 } },
	{ { 0x37, 0, 0x18, [7] = 1 }, IN, 256, { 0 } },
	{ { 0xb7, 0x18, [8] = 1 }, IN, 256, { 0 } },
	{ { 0x4d, 0, 0x4c, [7] = 1 }, IN, 256, { 0 } },
};

static const char *const key_sets[] = {
	"", "ImmediateData=Yes\nInitialR2T=No\nMaxBurstLength=4096\nFirstBurstLength=2048\nMaxOutstandingR2T=8",
	"ImmediateData=No\nInitialR2T=No\nFirstBurstLength=1024\nMaxBurstLength=2048\nMaxRecvDataSegmentLength=512",
	"ImmediateData=No\nInitialR2T=Yes\nMaxBurstLength=512\nMaxOutstandingR2T=4",
	"MaxRecvDataSegmentLength=16777215\nErrorRecoveryLevel=2\nMaxConnections=8\nTaskReporting=FastAbort",
	"X-more=1\nIFMarker=Yes\nDefaultTime2Retain=60\nHeaderDigest=CRC32C,None",
};

static const char *const texts[] = {
	"SendTargets=All", "SendTargets=", ("SendTargets=" TARGET), "MaxRecvDataSegmentLength=1024", "X-other=1\nInitiatorAlias=me", "",
};

/* --- what comes from the target --- */

static struct peer *peer_at(const uint8_t *record)
{
	return &peer[(record[1] & 3) % PEERS];
}

static uint32_t slot_of(uint32_t itt)
{
	return itt < TAGS ? itt : TAGS;
}

static void hear_r2t(struct peer *p, const uint8_t *bhs)
{
	struct r2t r2t = { bhs_itt(bhs), bhs_ttt(bhs), get_be32(bhs + 40), get_be32(bhs + 44) };

	assert(p->asked[slot_of(r2t.itt)] && r2t.len_bytes > 0);
	assert((uint64_t)r2t.offset + r2t.len_bytes <= p->most[slot_of(r2t.itt)]);
	p->r2t[p->r2t_count++ % R2TS] = r2t;
}

static void hear_login(struct peer *p, const struct came *came)
{
	const uint8_t *bhs = came->bhs;
	const char *text = (const char *)came->data, *end = text + came->data_bytes;
	char none[1] = "";

	assert(get_be16(bhs + 36) != 0 || came->data_bytes <= ISCSI_LOGIN_DATA_MAX);
	if (get_be16(bhs + 36) == 0 && (bhs[1] & 0x83) == 0x83) {
		assert(p->wire->connection == NULL || p->wire->connection->phase != ISCSI_PHASE_LOGIN);
		p->in = true;
		p->immediate_data = p->wire->params.immediate_data;
		p->unsolicited = !p->wire->params.initial_r2t;
		p->first_burst_bytes = p->wire->params.first_burst_bytes;
		p->max_data_bytes = p->wire->params.max_recv_bytes;
	}
	for (; text < end; text += strlen(text) + 1) {
		if (!memchr(text, 0, (size_t)(end - text)))
			text = none;
		if (strncmp(text, "CHAP_C=", 7) == 0)
			iscsi_binary_decode(text + 7, p->challenge, sizeof p->challenge);
		else if (strncmp(text, "CHAP_I=", 7) == 0)
			p->chap_id = (uint8_t)atoi(text + 7);
		else if (strncmp(text, "CHAP_A=", 7) == 0)
			p->chap_algorithm = (unsigned)atoi(text + 7);
		if (text == none)
			break;
	}
}

/* RECEIVE ROD TOKEN INFORMATION's parameter data, by what it looks like. */
static void hear_token(const struct came *came)
{
	static const size_t at = 38;

	if (came->data_bytes >= at + COPY_TOKEN_BYTES && get_be32(came->data + at - 6) == 2 + COPY_TOKEN_BYTES)
		memcpy(rod_token, came->data + at, COPY_TOKEN_BYTES);
}

static void hear(struct peer *p, const struct came *came)
{
	const uint8_t *bhs = came->bhs;
	uint32_t slot = slot_of(bhs_itt(bhs));

	switch (bhs_opcode(bhs)) {
	case ISCSI_LOGIN_RESPONSE:
		hear_login(p, came);
		break;
	case ISCSI_SCSI_RESPONSE:
		assert(p->asked[slot]);
		assert((bhs[3] == SCSI_CHECK_CONDITION) == (came->data_bytes > 2));
		p->asked[slot]--;
		break;
	case ISCSI_DATA_IN: /* the fixture shows it whole, with its status */
		assert(p->asked[slot] && came->data_bytes <= p->most[slot]);
		p->asked[slot]--;
		hear_token(came);
		break;
	case ISCSI_R2T:
		hear_r2t(p, bhs);
		break;
	case ISCSI_NOP_IN:
		if (bhs_ttt(bhs) != ISCSI_NO_TAG)
			p->ping_ttt = bhs_ttt(bhs);
		break;
	case ISCSI_TEXT_RESPONSE:
		p->text_ttt = bhs_ttt(bhs);
		break;
	default:
		assert(bhs_opcode(bhs) >= 0x20);
	}
}

static void listen_to(struct peer *p)
{
	struct wire *wire = p->wire;

	if (!wire)
		return;
	for (; wire->read_at < wire->came_count; wire->read_at++) {
		hear(p, &wire->came[wire->read_at]);
		free(wire->came[wire->read_at].data);
	}
	wire->read_at = wire->came_count = 0;
}

static void turn(void)
{
	house_turn(house);
	for (unsigned i = 0; i < PEERS; i++)
		listen_to(&peer[i]);
}

/* --- what goes to it --- */

static uint32_t tag_of(const uint8_t *record)
{
	return record[1] >> 4 == 15 ? ISCSI_NO_TAG : (uint32_t)(record[1] >> 4) % TAGS;
}

/* Where the record says it differs from what is right. */
static void spoil(const uint8_t *record, uint8_t *header)
{
	header[1] ^= record[3];
	if (record[5] < ISCSI_BHS_BYTES && record[5] != 0)
		header[record[5]] ^= record[6];
	else if (record[5] == 0)
		header[0] ^= record[6] & 0x7f;
	if (bhs_ahs_bytes(header) > 1024) /* as much as the fixture's input holds; the transport's own targets send more */
		header[4] = 0xff;
}

/* A PDU with a CmdSN that counts when it is not spoilt. */
static void number(struct peer *p, const uint8_t *record, uint8_t *header)
{
	put_be32(header + 24, p->cmdsn + (uint32_t)(int8_t)record[4]);
	p->cmdsn += !bhs_immediate(header) && record[4] == 0;
}

static void send_pdu(struct peer *p, const uint8_t *record, const uint8_t *bhs, const void *data, uint32_t data_bytes)
{
	uint8_t header[ISCSI_BHS_BYTES + 1024] = { 0 };
	uint32_t slot;

	memcpy(header, bhs, ISCSI_BHS_BYTES);
	memcpy(header + ISCSI_BHS_BYTES, record + 11, 12);
	spoil(record, header);
	slot = slot_of(bhs_itt(header));
	if (bhs_opcode(header) == ISCSI_SCSI_COMMAND) {
		p->asked[slot]++;
		p->most[slot] = bhs_edtl(header) > p->most[slot] ? bhs_edtl(header) : p->most[slot];
	}
	wire_send(p->wire, header, data, data_bytes);
}

static void connect_peer(struct peer *p, unsigned reactor)
{
	if (p->wire && p->wire->connection)
		iscsi_connection_drop(p->wire->connection, NULL);
	turn();
	memset(p, 0, sizeof *p);
	p->wire = wire_new(house, reactor);
	p->cmdsn = 1;
	p->ping_ttt = p->text_ttt = ISCSI_NO_TAG;
}

/* The keys of one login request: by choice 0-1 discovery, CHAP or the open target; in pieces when the record wants it. */
static size_t login_text(const struct peer *p, const uint8_t *record, char *text, size_t room)
{
	uint8_t response[ISCSI_CHAP_DIGEST_MAX];
	struct secret secret;
	size_t len;
	int n;

	switch (record[10] & 7) {
	case 1:
		n = snprintf(text, room, "InitiatorName=" INITIATOR "\nSessionType=Discovery");
		break;
	case 2:
		n = snprintf(text, room, "InitiatorName=" INITIATOR "\nTargetName=" CHAP_TARGET "\nAuthMethod=CHAP");
		break;
	case 3:
		n = snprintf(text, room, "CHAP_A=%u", 5u + (record[2] & 3));
		break;
	case 4:
		secret_set(&secret, CHAP_SECRET, strlen(CHAP_SECRET));
		len = iscsi_chap_response(p->chap_algorithm, p->chap_id, &secret, p->challenge, sizeof p->challenge, response);
		n = snprintf(text, room, "CHAP_N=u\nCHAP_R=0x");
		for (size_t i = 0; i < len; i++)
			n += snprintf(text + n, room - (size_t)n, "%02x", response[i]);
		break;
	case 5:
		n = snprintf(text, room, "%s", key_sets[record[2] % (sizeof key_sets / sizeof *key_sets)]);
		break;
	default:
		n = snprintf(text, room, "InitiatorName=%s\nTargetName=" TARGET "\n%s", record[10] & 1 ? INITIATOR "2" : INITIATOR,
			     key_sets[record[2] % (sizeof key_sets / sizeof *key_sets)]);
	}
	for (int i = 0; i < n; i++)
		if (text[i] == '\n')
			text[i] = '\0';
	return (size_t)n + 1;
}

static void log_in(const uint8_t *record)
{
	static const uint8_t stages[] = { 0x87, 0x81, 0x00, 0x04, 0x83, 0x40, 0x44, 0x84 };
	struct peer *p = peer_at(record);
	uint8_t bhs[ISCSI_BHS_BYTES];
	bool next_step = record[7] & 0x80;
	char text[1024];
	size_t len;

	if (!next_step) {
		if (logins++ >= LOGINS)
			return;
		connect_peer(p, record[8] & 1);
	}
	if (!p->wire || !p->wire->connection)
		return;
	len = login_text(p, record, text, sizeof text);
	for (size_t i = 0; i < 12 && i < len; i++)
		text[(record[9] + i) % len] = (char)(text[(record[9] + i) % len] ^ record[11 + i]);
	header_init(bhs, 0x43, stages[record[7] & 7], 1, p->cmdsn);
	memcpy(bhs + 8, "\x00\x02\x3d\x01\x02", 5);
	bhs[13] = record[8] >> 1 & 3;
	put_be16(bhs + 20, 1);
	put_be16(bhs + 22, 0);
	send_pdu(p, record, bhs, text, (uint32_t)len);
}

/* Immediate data of a write: [7] bits 0-1: 0 as much as may be, 1 none, 2 all of it may be and more is to come, 3 so much. */
static uint32_t immediate(const struct peer *p, const uint8_t *record, uint32_t len_bytes, uint8_t *bhs)
{
	uint32_t most = p->immediate_data ? p->first_burst_bytes : 0;

	most = most < p->max_data_bytes ? most : p->max_data_bytes;
	most = most < len_bytes ? most : len_bytes;
	switch (record[7] & 3) {
	case 1:
		return 0;
	case 2:
		bhs[1] &= p->unsolicited ? 0x7f : 0xff;
		return most;
	case 3:
		return get_be16(record + 8);
	default:
		return most;
	}
}

/* The parameter list of a command as it is right, and where the record says it differs. */
static void list_of(const struct command *c, const uint8_t *record, uint8_t *list)
{
	if (c->data == TOKEN) { /* 16 bytes, the token, the ranges */
		memset(list, 0, c->len_bytes);
		memcpy(list, c->list, 16);
		memcpy(list + 16, rod_token, COPY_TOKEN_BYTES);
		list[16 + COPY_TOKEN_BYTES + 7] = 16;
		memcpy(list + 24 + COPY_TOKEN_BYTES, c->list + 16, 16);
	} else {
		memcpy(list, c->list, c->len_bytes);
	}
	for (unsigned i = 0; i < 12; i++)
		list[(record[10] + i) % c->len_bytes] ^= record[11 + i];
}

static void command(const uint8_t *record, unsigned choice)
{
	static const uint8_t flags[] = { [NONE] = 0x80, [IN] = 0xc0, [OUT] = 0xa0, [LIST] = 0xa0, [TOKEN] = 0xa0 };
	const struct command *c = &commands[choice % (sizeof commands / sizeof *commands)];
	struct peer *p = peer_at(record);
	const uint8_t *data = payload + (record[10] & 0x80 ? record[10] : 0);
	uint8_t bhs[ISCSI_BHS_BYTES], list[40 + COPY_TOKEN_BYTES];
	uint32_t data_bytes = 0;

	header_init(bhs, ISCSI_SCSI_COMMAND, flags[c->data] | 1, tag_of(record), 0);
	bhs[0] |= record[7] & 0x40;
	put_be64(bhs + 8, luns[record[1] >> 2 & 3]);
	put_be32(bhs + 20, c->len_bytes);
	memcpy(bhs + 32, c->cdb, 16);
	if (c->data < LIST)
		for (unsigned i = 0; i < 12; i++)
			bhs[33 + i] ^= record[11 + i];
	if (c->data >= OUT)
		data_bytes = immediate(p, record, c->len_bytes, bhs);
	if (c->data >= LIST && data_bytes <= c->len_bytes) {
		list_of(c, record, list);
		data = list;
	}
	number(p, record, bhs);
	send_pdu(p, record, bhs, data, data_bytes);
}

/* [7] bits 0-2: 0 all of the R2T in one, 1 its first half, 2 its second half, 3 unsolicited from [8-9] on, 4 so much of it. */
static void data_out(const uint8_t *record)
{
	struct peer *p = peer_at(record);
	unsigned have = p->r2t_count < R2TS ? p->r2t_count : R2TS;
	struct r2t r2t = have ? p->r2t[(p->r2t_count - 1 - record[2] % have) % R2TS] : (struct r2t){ tag_of(record), 1, 0, 512 };
	uint32_t half = r2t.len_bytes / 2 & ~511u, offset = r2t.offset, len = r2t.len_bytes, datasn = record[10];
	uint8_t bhs[ISCSI_BHS_BYTES];
	bool final = true;

	switch (record[7] & 7) {
	case 1:
		len = half;
		final = false;
		break;
	case 2:
		offset += half;
		len -= half;
		datasn++;
		break;
	case 3:
		r2t = (struct r2t){ tag_of(record), ISCSI_NO_TAG, 0, 0 };
		offset = get_be16(record + 8);
		len = p->first_burst_bytes > offset ? p->first_burst_bytes - offset : 512;
		len = len < p->max_data_bytes ? len : p->max_data_bytes;
		break;
	case 4:
		len = get_be16(record + 8);
		break;
	}
	if (len > DATA_MAX)
		len = DATA_MAX;
	header_init(bhs, ISCSI_DATA_OUT, final ? 0x80 : 0, r2t.itt, 0);
	put_be32(bhs + 20, r2t.ttt);
	put_be32(bhs + 36, datasn);
	put_be32(bhs + 40, offset);
	send_pdu(p, record, bhs, payload + offset % 256, len);
}

static void function(const uint8_t *record)
{
	struct peer *p = peer_at(record);
	uint8_t bhs[ISCSI_BHS_BYTES];

	header_init(bhs, (record[7] & 0x40 ? 0 : 0x40) | ISCSI_TASK_REQUEST, 0x80 | (record[2] % 16), tag_of(record), 0);
	put_be64(bhs + 8, luns[record[1] >> 2 & 3]);
	put_be32(bhs + 20, record[10] % TAGS);
	put_be32(bhs + 32, p->cmdsn - record[8]);
	number(p, record, bhs);
	send_pdu(p, record, bhs, NULL, 0);
}

static void nop(const uint8_t *record)
{
	struct peer *p = peer_at(record);
	bool answer = record[2] & 1;
	uint8_t bhs[ISCSI_BHS_BYTES];

	header_init(bhs, (answer ? 0x40 : 0) | ISCSI_NOP_OUT, 0x80, answer ? ISCSI_NO_TAG : tag_of(record), 0);
	put_be32(bhs + 20, answer ? p->ping_ttt : ISCSI_NO_TAG);
	number(p, record, bhs);
	send_pdu(p, record, bhs, payload, get_be16(record + 8) % 8192);
}

static void text(const uint8_t *record)
{
	struct peer *p = peer_at(record);
	const char *from = texts[record[2] % (sizeof texts / sizeof *texts)];
	uint32_t len = (uint32_t)strlen(from) + 1;
	uint8_t bhs[ISCSI_BHS_BYTES];
	char copy[64];

	memcpy(copy, from, len);
	for (uint32_t i = 0; i < len; i++)
		copy[i] = copy[i] == '\n' ? '\0' : (char)(copy[i] ^ (i >= record[9] && i - record[9] < 12u ? record[11 + i - record[9]] : 0));
	header_init(bhs, ISCSI_TEXT_REQUEST, record[7] & 1 ? 0x40 : 0x80, tag_of(record), 0);
	put_be32(bhs + 20, record[7] & 2 ? p->text_ttt : ISCSI_NO_TAG);
	number(p, record, bhs);
	send_pdu(p, record, bhs, copy, record[7] & 4 ? 0 : len);
}

static void logout(const uint8_t *record)
{
	struct peer *p = peer_at(record);
	uint8_t bhs[ISCSI_BHS_BYTES];

	header_init(bhs, (record[7] & 0x40) | ISCSI_LOGOUT_REQUEST, 0x80 | (record[2] % 4), tag_of(record), 0);
	put_be32(bhs + 20, 1u << 16);
	number(p, record, bhs);
	send_pdu(p, record, bhs, NULL, 0);
}

static void raw(const uint8_t *record)
{
	struct peer *p = peer_at(record);
	uint8_t bhs[ISCSI_BHS_BYTES] = { record[2] & 0x7f };

	memcpy(bhs + 8, record + 8, 12);
	put_be32(bhs + 16, tag_of(record));
	memcpy(bhs + 32, record + 11, 12);
	number(p, record, bhs);
	send_pdu(p, record, bhs, record, record[7] % RECORD);
}

/* --- what happens besides --- */

static void store_event(const uint8_t *record)
{
	static const char *const rules[] = {
		"[{\"op\": \"read\", \"count\": 0, \"hold\": true}]", "[{\"op\": \"write\", \"count\": 0, \"hold\": true}]",
		"[{\"op\": \"flush\", \"count\": 0, \"hold\": true}]", "[{\"op\": \"unmap\", \"count\": 0, \"hold\": true}]",
		"[{\"count\": 1, \"error\": \"EIO\"}]", "[{\"op\": \"write\", \"count\": 2, \"error\": \"ENOSPC\"}]",
	};
	unsigned choice = record[2] % 8;

	if (choice < 6)
		house_rules(house, rules[choice]);
	else if (choice == 6)
		house_rules(house, NULL);
	else
		house_release(house);
}

static void peer_event(const uint8_t *record)
{
	struct peer *p = peer_at(record);

	switch (record[2] % 6) {
	case 0:
		if (p->wire && record[7] & 1)
			p->wire->peer_closed = true;
		else if (p->wire && p->wire->connection)
			iscsi_connection_drop(p->wire->connection, "the fuzzer says so");
		break;
	case 1:
		if (p->wire)
			p->wire->stuck = record[7] & 1;
		break;
	case 2:
		if (p->wire && p->wire->connection && p->wire->connection->session)
			iscsi_session_request_logout(p->wire->connection->session, record[7] & 3);
		break;
	case 3:
		scsi_lu_reservations_clear(house->lun[record[1] >> 2 & 1].lu, NULL);
		break;
	case 4:
		scsi_lu_capacity_changed(house->lun[record[1] >> 2 & 1].lu);
		break;
	default:
		scsi_lu_read_only_changed(house->lun[record[1] >> 2 & 1].lu, record[7] & 1);
	}
}

static struct iscsi_config *configuration(unsigned which)
{
	static const char *const lists[] = { HOUSE_ALL_LUNS, "'0':{'lun':'vol0'}", "'1':{'lun':'vol0'},'0':{'lun':'vol1','read_only':true}", "" };
	char config_text[2048];

	snprintf(config_text, sizeof config_text,
		 "{'portals':{'default':{'address':'127.0.0.1:3260','tag':1}},'targets':{'" TARGET
		 "':{'open':%s,'params':{%s},'luns':{%s}%s},'" CHAP_TARGET "':{'luns':{%s},'auth':{'chap':{'user':'u','secret':'" CHAP_SECRET
		 "'}}}}}",
		 which & 4 ? "false" : "true", options.params, lists[which & 3],
		 which & 8 ? ",'explicit_alua':true,'port_groups':{'1':{'state':'active_nonoptimized'},'2':{'state':'standby'}}" : "",
		 HOUSE_ALL_LUNS);
	return config_of_quoted(config_text);
}

/* They are kept: connections refer to the portal that they came by, which a worker keeps, too. */
static void configure(unsigned which)
{
	static struct iscsi_config *kept[16];
	struct iscsi_config *old = house->node.config;
	struct err err = { 0 };

	for (unsigned i = 0; i < HOUSE_REACTORS; i++) /* a worker takes the next when all follow the last */
		if (!iscsi_reactor_follows(&house->reactor[i].iscsi, old))
			return;
	which %= 16;
	if (!kept[which])
		kept[which] = configuration(which);
	house->node.config = iscsi_config_ref(kept[which]);
	if (iscsi_node_configure_port_groups(&house->node, iscsi_config_find_target(kept[which], TARGET), &house->services, &err) < 0)
		abort();
	for (unsigned i = 0; i < HOUSE_REACTORS; i++)
		iscsi_reactor_reconfigure(&house->reactor[i].iscsi, house->node.config);
	iscsi_config_unref(old);
}

static void one(const uint8_t *record)
{
	enum kind kind = record[0] % KINDS;
	struct peer *p = peer_at(record);
	bool there = p->wire && p->wire->connection && !p->wire->terminated;

	if (kind == LOGIN)
		log_in(record);
	else if (kind == STORE)
		store_event(record);
	else if (kind == TIME)
		house_wait_s(house, record[2] & 31);
	else if (kind == PEER)
		peer_event(record);
	else if (kind == CONFIGURE)
		configure(record[2]);
	else if (!there)
		return;
	else if (kind == COMMAND || kind == COMMAND_AGAIN)
		command(record, record[2]);
	else if (kind == DATA_OUT)
		data_out(record);
	else if (kind == FUNCTION)
		function(record);
	else if (kind == NOP)
		nop(record);
	else if (kind == TEXT)
		text(record);
	else if (kind == LOGOUT)
		logout(record);
	else
		raw(record);
}

/* Afterwards all is as before: an innocent session does its I/O, and leaves the LUNs as empty as they were. */
static void still_works(void)
{
	static const uint8_t all[24] = { 0, 22, 0, 16, [16] = HOUSE_LUN_BYTES / 512 >> 24, (HOUSE_LUN_BYTES / 512 >> 16) & 0xff,
					 (HOUSE_LUN_BYTES / 512 >> 8) & 0xff, HOUSE_LUN_BYTES / 512 & 0xff };
	static const uint8_t unmap[16] = { 0x42, [8] = sizeof all };
	static uint8_t block[512];
	uint8_t bhs[ISCSI_BHS_BYTES];
	struct wire *wire;

	for (unsigned i = 0; i < HOUSE_LUNS; i++) {
		assert(scsi_lu_reservations_clear(house->lun[i].lu, NULL) == 0);
		scsi_lu_read_only_changed(house->lun[i].lu, false);
	}
	configure(0);
	turn();
	wire = wire_login_as(house, 0, 77, "InitiatorName=" INITIATOR "9\nTargetName=" TARGET, "");
	wire_settle(wire);
	pattern(block, sizeof block, (uint8_t)logins);
	wire_response(wire, wire_write10(wire, 40, 1, block, sizeof block), SCSI_GOOD);
	wire_check_blocks(wire, 40, 1, block);
	for (uint64_t i = 0; i < HOUSE_LUNS; i++) {
		command_init(wire, bhs, 0xa1, sizeof all, unmap);
		put_be64(bhs + 8, i << 48);
		wire_send(wire, bhs, all, sizeof all);
		wire_response(wire, bhs_itt(bhs), SCSI_GOOD);
	}
}

/* New logical units each time: what they remember is part of one input only. */
static void begin(void)
{
	if (!house) {
		house = house_new(&options);
		pattern(payload, sizeof payload, 0);
	}
	memset(peer, 0, sizeof peer);
	memset(rod_token, 0, sizeof rod_token);
	put_be32(rod_token, (uint32_t)ROD_BLOCK_ZERO);
	put_be16(rod_token + 6, COPY_TOKEN_BYTES - 8);
	logins = 0;
	house_renew_lus(house);
	configure(0);
}

static void end(void)
{
	house_release(house);
	for (unsigned i = 0; i < PEERS; i++)
		if (peer[i].wire && peer[i].wire->connection)
			iscsi_connection_drop(peer[i].wire->connection, NULL);
	turn();
	house_wait_s(house, 1); /* copies that wait for their rate see at the tick that they have ended */
	still_works();
	house_clear(house);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len_bytes)
{
	begin();
	for (unsigned i = 0; i < RECORDS && len_bytes >= RECORD; i++, bytes += RECORD, len_bytes -= RECORD) {
		for (unsigned times = 0; times <= (bytes[23] & 7u); times++)
			one(bytes);
		turn();
	}
	end();
	return 0;
}

#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION /* a libFuzzer program: mutations that keep the records where they are */

size_t LLVMFuzzerMutate(uint8_t *bytes, size_t len_bytes, size_t room_bytes);
size_t LLVMFuzzerCustomMutator(uint8_t *bytes, size_t len_bytes, size_t room_bytes, unsigned seed);
size_t LLVMFuzzerCustomCrossOver(const uint8_t *a, size_t a_bytes, const uint8_t *b, size_t b_bytes, uint8_t *out,
				 size_t room_bytes, unsigned seed);

static void fresh_record(uint8_t *record, unsigned seed)
{
	static const uint8_t kinds[] = { COMMAND, COMMAND, DATA_OUT, COMMAND, DATA_OUT, FUNCTION, LOGIN, STORE, PEER };

	memset(record, 0, RECORD);
	record[0] = seed & 1 ? kinds[(seed >> 1) % sizeof kinds] : (uint8_t)((seed >> 1) % KINDS);
	record[1] = (uint8_t)(seed >> 5) & (seed & 0x10000 ? 0xff : 0x71);
	record[2] = (uint8_t)(seed >> 13);
	record[7] = (uint8_t)(seed >> 21) & 7;
	record[10] = (uint8_t)(seed >> 24);
}

size_t LLVMFuzzerCustomMutator(uint8_t *bytes, size_t len_bytes, size_t room_bytes, unsigned seed)
{
	size_t count = len_bytes / RECORD, at = count ? seed / 8 % count : 0, from = count ? seed / 4096 % count : 0;
	uint8_t *record = bytes + at * RECORD, copy[RECORD];

	if (room_bytes < RECORD)
		return 0;
	if (count)
		memcpy(copy, bytes + from * RECORD, RECORD);
	if (!count || (seed % 8 < 3 && count < RECORDS && (count + 1) * RECORD <= room_bytes)) {
		memmove(record + RECORD, record, (count - at) * RECORD);
		if (!count || seed % 8 < 2)
			fresh_record(record, seed / 64);
		else
			memcpy(record, copy, RECORD);
		return (count + 1) * RECORD;
	}
	if (seed % 8 == 3 && count > 1) {
		memmove(record, record + RECORD, (count - at - 1) * RECORD);
		return (count - 1) * RECORD;
	}
	if (seed % 8 == 4) {
		memcpy(bytes + from * RECORD, record, RECORD);
		memcpy(record, copy, RECORD);
	} else if (seed % 8 == 5) {
		record[seed / 4096 % RECORD] = (uint8_t)(seed >> 24);
	} else {
		LLVMFuzzerMutate(record, RECORD, RECORD);
	}
	return count * RECORD;
}

size_t LLVMFuzzerCustomCrossOver(const uint8_t *a, size_t a_bytes, const uint8_t *b, size_t b_bytes, uint8_t *out,
				 size_t room_bytes, unsigned seed)
{
	size_t first = (a_bytes / RECORD ? seed % (a_bytes / RECORD + 1) : 0) * RECORD;
	size_t from = (b_bytes / RECORD ? seed / 256 % (b_bytes / RECORD) : 0) * RECORD, rest = (b_bytes - from) / RECORD * RECORD;

	if (first + rest > room_bytes)
		rest = (room_bytes - first) / RECORD * RECORD;
	memcpy(out, a, first);
	memcpy(out + first, b + from, rest);
	return first + rest;
}

#endif
