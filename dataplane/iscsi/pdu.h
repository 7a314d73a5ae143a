/*
 * iSCSI PDUs: the Basic Header Segment (RFC 7143 section 11) as offsets and accessors; no packed structs.
 */
#ifndef LUNETTE_ISCSI_PDU_H
#define LUNETTE_ISCSI_PDU_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "wire.h"

#define ISCSI_BHS_BYTES    48
#define ISCSI_NO_TAG       UINT32_C(0xffffffff)
#define ISCSI_NAME_MAX     224 /* with NUL; RFC 7143 4.2.7.1: 223 bytes */
#define ISCSI_PORT         3260
#define ISCSI_LOGIN_DATA_MAX 8192 /* default MaxRecvDataSegmentLength, in force for login */

enum iscsi_opcode {
	/* initiator */
	ISCSI_NOP_OUT = 0x00, ISCSI_SCSI_COMMAND = 0x01, ISCSI_TASK_REQUEST = 0x02, ISCSI_LOGIN_REQUEST = 0x03,
	ISCSI_TEXT_REQUEST = 0x04, ISCSI_DATA_OUT = 0x05, ISCSI_LOGOUT_REQUEST = 0x06, ISCSI_SNACK_REQUEST = 0x10,
	/* target */
	ISCSI_NOP_IN = 0x20, ISCSI_SCSI_RESPONSE = 0x21, ISCSI_TASK_RESPONSE = 0x22, ISCSI_LOGIN_RESPONSE = 0x23,
	ISCSI_TEXT_RESPONSE = 0x24, ISCSI_DATA_IN = 0x25, ISCSI_LOGOUT_RESPONSE = 0x26, ISCSI_R2T = 0x31,
	ISCSI_ASYNC_MESSAGE = 0x32, ISCSI_REJECT = 0x3f,
};

enum iscsi_reject { /* RFC 7143 11.17.1 */
	ISCSI_REJECT_DATA_DIGEST = 0x02, ISCSI_REJECT_SNACK = 0x03, ISCSI_REJECT_PROTOCOL = 0x04,
	ISCSI_REJECT_NOT_SUPPORTED = 0x05, ISCSI_REJECT_IMMEDIATE = 0x06, ISCSI_REJECT_TASK_IN_PROGRESS = 0x07,
	ISCSI_REJECT_INVALID_ACK = 0x08, ISCSI_REJECT_INVALID_FIELD = 0x09, ISCSI_REJECT_LONG_OP = 0x0a,
	ISCSI_REJECT_WAITING_LOGOUT = 0x0c,
};

/* byte 0 */
static inline uint8_t bhs_opcode(const uint8_t *bhs) { return bhs[0] & 0x3f; }
static inline bool bhs_immediate(const uint8_t *bhs) { return bhs[0] & 0x40; }
/* byte 1: the final bit stands in every PDU that has one */
static inline bool bhs_final(const uint8_t *bhs) { return bhs[1] & 0x80; }
static inline bool bhs_continue(const uint8_t *bhs) { return bhs[1] & 0x40; } /* Login, Text */
static inline uint8_t bhs_login_csg(const uint8_t *bhs) { return bhs[1] >> 2 & 3; }
static inline uint8_t bhs_login_nsg(const uint8_t *bhs) { return bhs[1] & 3; }
/* lengths */
static inline uint32_t bhs_ahs_bytes(const uint8_t *bhs) { return (uint32_t)bhs[4] * 4; }
static inline uint32_t bhs_data_bytes(const uint8_t *bhs) { return get_be24(bhs + 5); }
static inline uint32_t pdu_padded(uint32_t len_bytes) { return (len_bytes + 3) & ~UINT32_C(3); }
/* common fields */
static inline uint64_t bhs_lun(const uint8_t *bhs) { return get_be64(bhs + 8); }
static inline const uint8_t *bhs_isid(const uint8_t *bhs) { return bhs + 8; }  /* Login: 6 bytes */
static inline uint16_t bhs_tsih(const uint8_t *bhs) { return get_be16(bhs + 14); } /* Login */
static inline uint32_t bhs_itt(const uint8_t *bhs) { return get_be32(bhs + 16); }
static inline uint32_t bhs_ttt(const uint8_t *bhs) { return get_be32(bhs + 20); } /* NOP, Text, Data-Out, R2T */
static inline uint16_t bhs_cid(const uint8_t *bhs) { return get_be16(bhs + 20); } /* Login, Logout */
static inline uint32_t bhs_edtl(const uint8_t *bhs) { return get_be32(bhs + 20); } /* SCSI Command */
static inline uint32_t bhs_rtt(const uint8_t *bhs) { return get_be32(bhs + 20); } /* Task Management: referenced task tag */
static inline uint32_t bhs_cmdsn(const uint8_t *bhs) { return get_be32(bhs + 24); }
static inline uint32_t bhs_expstatsn(const uint8_t *bhs) { return get_be32(bhs + 28); }
static inline uint32_t bhs_refcmdsn(const uint8_t *bhs) { return get_be32(bhs + 32); } /* Task Management */
static inline uint32_t bhs_datasn(const uint8_t *bhs) { return get_be32(bhs + 36); }
static inline uint32_t bhs_buffer_offset(const uint8_t *bhs) { return get_be32(bhs + 40); }
static inline const uint8_t *bhs_cdb(const uint8_t *bhs) { return bhs + 32; }

/* RFC 1982 serial arithmetic: a before b */
static inline bool serial_lt(uint32_t a, uint32_t b) { return (int32_t)(a - b) < 0; }

#endif
