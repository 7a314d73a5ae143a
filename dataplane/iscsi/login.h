/*
 * Login phase of one connection (RFC 7143 sections 6, 12, 13), without sockets: PDUs in, PDUs out. Exists once, for TCP
 * and iSER. Keys are rows of a table (keys.def): name, type, result function, stage, who may send it, default.
 *
 * The caller feeds each Login Request; iscsi_login_step() answers with a Login Response and says what comes next.
 * Text longer than a PDU is continued with the C bit in both directions. Every limit is enforced here: text bytes,
 * number of PDUs and keys. Never full feature phase without the authentication that the access rule asks for.
 */
#ifndef LUNETTE_ISCSI_LOGIN_H
#define LUNETTE_ISCSI_LOGIN_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/iscsi/config.h"
#include "dataplane/iscsi/pdu.h"

/* What was negotiated. Our own limits where a key was not offered: RFC 7143 section 13 defaults. */
struct iscsi_params {
	bool     header_digest, data_digest; /* CRC32C */
	bool     initial_r2t, immediate_data;
	uint32_t max_recv_bytes;  /* ours: largest data segment we accept (MaxRecvDataSegmentLength we declared) */
	uint32_t max_send_bytes;  /* the peer's declaration: largest data segment we send */
	uint32_t max_burst_bytes, first_burst_bytes;
	uint16_t max_outstanding_r2t;
	uint16_t time2wait_s, time2retain_s;
	uint8_t  error_recovery_level;
	bool     rdma_extensions; /* iSER, later */
};

enum iscsi_login_status { /* class << 8 | detail, RFC 7143 11.13.5 */
#define LOGIN_STATUS(id, value, words) ISCSI_LOGIN_##id = value,
#include "dataplane/iscsi/login_status.def"
#undef LOGIN_STATUS
};
/* "authentication failure"; "unknown status" for others. */
const char *iscsi_login_status_words(uint16_t status);

enum iscsi_login_next {
	ISCSI_LOGIN_REPLY,    /* send the response, wait for the next request */
	ISCSI_LOGIN_HANDOVER, /* nothing to send: the target belongs to worker login->owner; pass the connection and the PDU on */
	ISCSI_LOGIN_DONE,     /* authenticated and negotiated: establish the session, then iscsi_login_finish() makes the final response */
	ISCSI_LOGIN_FAILED,   /* send the response, then close */
	ISCSI_LOGIN_DROP,     /* close without a word */
};

struct iscsi_login_response {
	uint8_t  bhs[ISCSI_BHS_BYTES]; /* complete but for StatSN, ExpCmdSN, MaxCmdSN: the caller stamps them */
	const uint8_t *data;           /* in the login object, until the next step */
	uint32_t data_bytes;
};

struct iscsi_login;

/* What a login has found out so far; valid from the named moment on. */
struct iscsi_login_facts {
	char     initiator_name[ISCSI_NAME_MAX]; /* first request */
	char     initiator_alias[ISCSI_NAME_MAX];
	uint8_t  isid[6];
	uint16_t tsih, cid;                      /* as requested */
	uint32_t cmdsn, expstatsn;               /* of the last request */
	bool     discovery;                      /* SessionType=Discovery */
	const struct iscsi_target *target;       /* NULL for discovery */
	unsigned owner;                          /* ISCSI_LOGIN_HANDOVER: the worker to pass to */
	bool     authenticated;                  /* by CHAP */
	char     chap_user[256];
	char     reason[160];                    /* FAILED, DROP: why, for the log line; peer-chosen bytes already quoted */
};

/* config: a reference is taken. worker: our own number (a target owned by another: HANDOVER). peer: copied. NULL: no memory. */
struct iscsi_login *iscsi_login_new(struct iscsi_config *config, unsigned worker, const struct iscsi_peer *peer);
void iscsi_login_free(struct iscsi_login *login);
/* bhs: a whole Basic Header Segment (any opcode: others than Login are refused here); data: bhs_data_bytes(bhs) bytes,
 * not looked at when there are more than ISCSI_LOGIN_DATA_MAX or an additional header segment: such a PDU is refused by
 * its header, so it need not be read first. */
enum iscsi_login_next iscsi_login_step(struct iscsi_login *login, const uint8_t *bhs, const uint8_t *data,
				       struct iscsi_login_response *ret_response);
const struct iscsi_login_facts *iscsi_login_facts(const struct iscsi_login *login);
const struct iscsi_params *iscsi_login_params(const struct iscsi_login *login);
struct iscsi_config *iscsi_login_config(const struct iscsi_login *login);
/* After DONE: the final response. status 0: success with this TSIH; otherwise a failure (class << 8 | detail), e.g. 0x020a
 * session does not exist, 0x0302 out of resources. */
void iscsi_login_finish(struct iscsi_login *login, uint16_t status, uint16_t tsih,
			struct iscsi_login_response *ret_response);

/* Full-feature text exchange (SendTargets, re-declared MaxRecvDataSegmentLength), same keys table. text: the whole request
 * text, assembled over C-bit PDUs. Returns the malloc'ed answer text (may be empty). NULL: to be rejected with *ret_reject
 * (enum iscsi_reject), or out of memory when that is 0. May change params->max_send_bytes. */
char *iscsi_text_answer(const struct iscsi_config *config, const struct iscsi_login_facts *session,
			const struct iscsi_peer *peer, const char *text, size_t text_bytes, struct iscsi_params *params,
			size_t *ret_len_bytes, uint8_t *ret_reject);

#endif
