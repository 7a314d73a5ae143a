/*
 * VPD page 8Fh, third-party copy (SPC-4 7.8.17, SBC-3 6.5.6). Windows looks for the block device ROD token limits, which must
 * come first; libiscsi and others for the supported commands, which come from the command table.
 */
#include "dataplane/scsi/copy.h"
#include "dataplane/scsi/token.h"

enum { /* third-party copy descriptor types */
	BLOCK_DEVICE_ROD_LIMITS = 0x0000, SUPPORTED_COMMANDS = 0x0001, PARAMETER_DATA = 0x0004, SUPPORTED_DESCRIPTORS = 0x0008,
	ROD_TOKEN_FEATURES = 0x0106, SUPPORTED_RODS = 0x0108, GENERAL_COPY_OPERATIONS = 0x8001,
};
enum { ROD_TYPE_BYTES = 64, ROD_TOKEN_IN = 0x02, ROD_TOKEN_OUT = 0x01 };

static void begin(struct wire_writer *w, uint16_t type, uint16_t len_bytes)
{
	wire_put_u16(w, type);
	wire_put_u16(w, len_bytes);
}

static void rod_limits(const struct scsi_lu *lu, struct wire_writer *w)
{
	begin(w, BLOCK_DEVICE_ROD_LIMITS, 0x20);
	wire_put_zeroes(w, 6);
	wire_put_u16(w, COPY_RANGE_MAX);
	wire_put_u32(w, TOKEN_INACTIVITY_MAX_S);
	wire_put_u32(w, TOKEN_INACTIVITY_S);
	wire_put_u64(w, TOKEN_BYTES_MAX >> lu->block_shift);
	wire_put_u64(w, TOKEN_OPTIMAL_BYTES >> lu->block_shift);
}

/* The operation code and its service actions; returns the bytes. */
static unsigned put_actions(uint8_t *bytes, uint8_t opcode)
{
	unsigned count = 0;

	for (unsigned i = 0; i < scsi_command_count; i++)
		if (scsi_commands[i].opcode == opcode)
			bytes[2 + count++] = (uint8_t)scsi_commands[i].service_action;
	bytes[0] = opcode;
	bytes[1] = (uint8_t)count;
	return 2 + count;
}

static void supported_commands(struct wire_writer *w)
{
	uint8_t bytes[2 * (2 + 32)];
	unsigned len = put_actions(bytes, 0x83);
	unsigned padded;

	len += put_actions(bytes + len, 0x84);
	padded = (1 + len + 3) / 4 * 4;
	begin(w, SUPPORTED_COMMANDS, (uint16_t)padded);
	wire_put_u8(w, (uint8_t)len);
	wire_put_bytes(w, bytes, len);
	wire_put_zeroes(w, padded - 1 - len);
}

static void parameter_data(struct wire_writer *w)
{
	begin(w, PARAMETER_DATA, 0x1c);
	wire_put_zeroes(w, 4);
	wire_put_u16(w, COPY_CSCD_MAX);
	wire_put_u16(w, COPY_SEGMENT_MAX);
	wire_put_u32(w, COPY_DESCRIPTORS_MAX_BYTES);
	wire_put_zeroes(w, 4 + 12); /* no inline data */
}

static void supported_descriptors(struct wire_writer *w)
{
	static const uint8_t codes[] = { COPY_SEGMENT_BLOCKS, COPY_SEGMENT_BYTES_OFFSET, COPY_CSCD_IDENTIFICATION };

	begin(w, SUPPORTED_DESCRIPTORS, 4);
	wire_put_u8(w, sizeof codes);
	wire_put_bytes(w, codes, sizeof codes);
}

static void token_features(struct wire_writer *w)
{
	begin(w, ROD_TOKEN_FEATURES, 0x2c + 48);
	wire_put_zeroes(w, 12);     /* REMOTE TOKENS: none */
	wire_put_u32(w, 1);         /* MINIMUM TOKEN LIFETIME, seconds */
	wire_put_u32(w, TOKEN_LIFETIME_MAX_S);
	wire_put_u32(w, TOKEN_INACTIVITY_MAX_S);
	wire_put_zeroes(w, 18);
	wire_put_u16(w, 48);
	wire_put_u16(w, 0);         /* block devices */
	wire_put_u16(w, 44);
	wire_put_zeroes(w, 2);
	wire_put_u16(w, 0);         /* OPTIMAL BLOCK ROD LENGTH GRANULARITY */
	wire_put_u64(w, TOKEN_BYTES_MAX);
	wire_put_u64(w, TOKEN_OPTIMAL_BYTES);
	wire_put_u64(w, TOKEN_BYTES_MAX);     /* to a token, for each segment */
	wire_put_u64(w, TOKEN_OPTIMAL_BYTES); /* from a token */
	wire_put_zeroes(w, 8);
}

static void rod_type(struct wire_writer *w, uint32_t type, uint8_t flags)
{
	wire_put_u32(w, type);
	wire_put_u8(w, flags);
	wire_put_zeroes(w, ROD_TYPE_BYTES - 5);
}

static void supported_rods(struct wire_writer *w)
{
	begin(w, SUPPORTED_RODS, 4 + 2 * ROD_TYPE_BYTES);
	wire_put_zeroes(w, 2);
	wire_put_u16(w, 2 * ROD_TYPE_BYTES);
	rod_type(w, ROD_CHANGE_VULNERABLE, ROD_TOKEN_IN | ROD_TOKEN_OUT);
	rod_type(w, (uint32_t)ROD_BLOCK_ZERO, ROD_TOKEN_IN);
}

static void general_operations(const struct scsi_lu *lu, struct wire_writer *w)
{
	begin(w, GENERAL_COPY_OPERATIONS, 0x20);
	wire_put_u32(w, COPIES_PER_NEXUS);
	wire_put_u32(w, COPIES_PER_NEXUS);
	wire_put_u32(w, COPY_SEGMENT_MAX_BYTES);
	wire_put_u8(w, lu->block_shift); /* DATA SEGMENT GRANULARITY */
	wire_put_zeroes(w, 19);
}

void scsi_third_party_copy_page(const struct scsi_task *task, struct wire_writer *w)
{
	const struct scsi_lu *lu = task->itl->lu;

	rod_limits(lu, w);
	supported_commands(w);
	parameter_data(w);
	supported_descriptors(w);
	token_features(w);
	supported_rods(w);
	general_operations(lu, w);
}
