/*
 * A lean iSCSI initiator for the benchmarks: login without authentication, one connection, no digests, no recovery. It
 * exists so that the client is not what is measured: PDUs are built in place, sent together, and data is received into
 * one buffer and not looked at. It trusts the target; it is no test of it. RFC 7143 sections 11.2 to 11.13.
 */
#ifndef LUNETTE_BENCH_INITIATOR_H
#define LUNETTE_BENCH_INITIATOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BHS_BYTES     48
#define RECEIVE_BYTES (2u << 20)
#define SEND_BYTES    (16u << 20)

enum opcode {
	OP_NOP_OUT = 0x00, OP_COMMAND = 0x01, OP_LOGIN = 0x03, OP_DATA_OUT = 0x05,
	OP_NOP_IN = 0x20, OP_RESPONSE = 0x21, OP_LOGIN_RESPONSE = 0x23, OP_DATA_IN = 0x25, OP_R2T = 0x31,
	OP_ASYNC = 0x32, OP_REJECT = 0x3f,
};

struct initiator {
	int      fd;                       /* non-blocking after login */
	uint32_t cmd_sn, exp_stat_sn, max_cmd_sn;
	bool     immediate_data, initial_r2t;
	uint32_t first_burst, max_burst, target_mrdsl;
	uint8_t *in, *out;                 /* received and not yet taken; built and not yet sent */
	size_t   in_from, in_to, out_from, out_to;
	size_t   taken;                    /* bytes of the PDU that initiator_receive() gave last */
};

/* Connects and logs in. address: "127.0.0.1:3260". host: the end of the
 * initiator name; isid: the initiator port of that host. 0, or -1 with a line on stderr. */
int  initiator_open(struct initiator *i, const char *address, const char *target, uint32_t host, uint32_t isid);
void initiator_close(struct initiator *i);

/* Room for a PDU with this data segment behind what is built already; NULL: send first. The header is zeroed and has its
 * opcode and length; the data is as it was. */
uint8_t *initiator_room(struct initiator *i, enum opcode opcode, uint32_t data_bytes);
/* Sends what was built, as far as the socket takes it. False: the connection is gone. */
bool initiator_flush(struct initiator *i);
static inline bool initiator_pending(const struct initiator *i)
{
	return i->out_from < i->out_to;
}

/* One whole received PDU. Serial numbers are taken from it, NOP-In is answered. 1: *ret_header is its header, the data
 * segment behind it, valid until the next call; 0: none is there yet; -1: gone. */
int initiator_receive(struct initiator *i, const uint8_t **ret_header);

/* A command without or with up to `len` bytes of data in, waiting for its end. SCSI status, or -1. */
int initiator_command(struct initiator *i, uint64_t lun, const uint8_t *cdb, size_t cdb_bytes, void *data, uint32_t len);

uint64_t now_ns(void);
static inline uint32_t take_be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}
static inline void give_be32(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 24);
	p[1] = (uint8_t)(v >> 16);
	p[2] = (uint8_t)(v >> 8);
	p[3] = (uint8_t)v;
}

#endif
