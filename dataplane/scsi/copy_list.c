#include "dataplane/scsi/copy_list.h"

#include "dataplane/scsi/internal.h"

enum { LID1_HEADER_BYTES = 16, LID4_HEADER_BYTES = 48, LID4_FORMAT = 0x01, LID4_HEADER_CSCD_BYTES = 32 };
enum { USAGE_HOLD = 0, USAGE_RESERVED = 1, USAGE_DISCARD = 2, USAGE_NONE = 3 };
enum { SEGMENT_DC = 0x02, LID4_IMMED = 0x01 };
enum { POPULATE_HEADER_BYTES = 16, WRITE_HEADER_BYTES = 536, RANGE_BYTES = 16, POPULATE_RTV = 0x02, WRITE_DEL_TKN = 0x02,
       WRITE_IMMED = 0x01 };

static bool refuse(struct scsi_sense *ret, uint16_t asc_ascq)
{
	*ret = (struct scsi_sense){ .key = KEY_ILLEGAL_REQUEST, .asc_ascq = asc_ascq };
	return false;
}

static bool refuse_field(struct scsi_sense *ret, uint32_t at)
{
	*ret = (struct scsi_sense){ .key = KEY_ILLEGAL_REQUEST, .asc_ascq = ASC_INVALID_FIELD_IN_LIST, .has_field = true,
				    .field_byte = (uint16_t)at };
	return false;
}

/* --- EXTENDED COPY --- */

/* What both headers say, and where the descriptors are. */
struct lengths {
	uint32_t header_bytes, cscd_bytes, segment_bytes, inline_bytes;
};

static bool decode_usage(const uint8_t *bytes, struct copy_list *ret, struct scsi_sense *ret_sense)
{
	unsigned usage = bytes[1] >> 3 & 3;

	ret->identified = usage != USAGE_NONE;
	if (usage == USAGE_RESERVED || (usage == USAGE_NONE && ret->list_id))
		return refuse_field(ret_sense, usage == USAGE_NONE ? 0 : 1);
	return true;
}

static bool decode_lid1(const uint8_t *bytes, struct copy_list *ret, struct lengths *ret_lengths,
			struct scsi_sense *ret_sense)
{
	*ret_lengths = (struct lengths){ LID1_HEADER_BYTES, get_be16(bytes + 2), get_be32(bytes + 8), get_be32(bytes + 12) };
	ret->list_id = bytes[0];
	ret->immediate = false;
	return decode_usage(bytes, ret, ret_sense);
}

static bool decode_lid4(const uint8_t *bytes, struct copy_list *ret, struct lengths *ret_lengths,
			struct scsi_sense *ret_sense)
{
	*ret_lengths = (struct lengths){ LID4_HEADER_BYTES, get_be16(bytes + 42), get_be16(bytes + 44), get_be16(bytes + 46) };
	ret->list_id = get_be32(bytes + 20);
	if (bytes[0] != LID4_FORMAT)
		return refuse_field(ret_sense, 0);
	if (get_be16(bytes + 2) != LID4_HEADER_CSCD_BYTES)
		return refuse_field(ret_sense, 2);
	if (bytes[16] != 0xff)
		return refuse_field(ret_sense, 16);
	if (!decode_usage(bytes, ret, ret_sense))
		return false;
	ret->immediate = bytes[15] & LID4_IMMED;
	return ret->identified || !ret->immediate || refuse_field(ret_sense, 15); /* nobody could ask for its result */
}

static bool check_lengths(const struct lengths *lengths, uint32_t len_bytes, struct scsi_sense *ret_sense)
{
	uint64_t descriptors = (uint64_t)lengths->cscd_bytes + lengths->segment_bytes;

	if (descriptors > COPY_DESCRIPTORS_MAX_BYTES || lengths->cscd_bytes % COPY_CSCD_BYTES ||
	    lengths->header_bytes + descriptors > len_bytes)
		return refuse(ret_sense, ASC_PARAMETER_LIST_LENGTH);
	if (lengths->inline_bytes)
		return refuse(ret_sense, ASC_INLINE_DATA_LENGTH);
	if (lengths->cscd_bytes / COPY_CSCD_BYTES > COPY_CSCD_MAX)
		return refuse(ret_sense, ASC_TOO_MANY_CSCDS);
	return true;
}

/* The LU ID TYPE and NUL fields are obsolete or ignored. */
static bool decode_cscd(const uint8_t *bytes, uint32_t at, struct copy_cscd *ret, struct scsi_sense *ret_sense)
{
	const uint8_t *d = bytes + at;

	if (d[0] != COPY_CSCD_IDENTIFICATION)
		return refuse(ret_sense, ASC_UNSUPPORTED_CSCD);
	if (d[7] > sizeof ret->designator)
		return refuse_field(ret_sense, at + 7);
	*ret = (struct copy_cscd){ .device_type = d[1] & 0x1f, .association = d[5] >> 4 & 3, .designator_type = d[5] & 0x0f,
				   .designator_len_bytes = d[7], .block_bytes = get_be24(d + 29) };
	memcpy(ret->designator, d + 8, sizeof ret->designator);
	return true;
}

static void decode_blocks(const uint8_t *d, struct copy_segment *ret)
{
	ret->unit = d[1] & SEGMENT_DC ? COPY_DESTINATION_BLOCKS : COPY_SOURCE_BLOCKS;
	ret->amount = get_be16(d + 10);
}

static void decode_bytes(const uint8_t *d, struct copy_segment *ret)
{
	ret->unit = COPY_BYTES;
	ret->amount = get_be32(d + 8);
	ret->source_offset_bytes = get_be16(d + 28);
	ret->destination_offset_bytes = get_be16(d + 30);
}

static const struct {
	uint8_t code, body_bytes; /* body: DESCRIPTOR LENGTH */
	void (*decode)(const uint8_t *descriptor, struct copy_segment *ret);
} segment_types[] = {
	{ COPY_SEGMENT_BLOCKS, 0x18, decode_blocks },
	{ COPY_SEGMENT_BYTES_OFFSET, 0x1c, decode_bytes },
};

/* The descriptor at `at`, of left_bytes at most; its length, 0: the sense is set. */
static uint32_t decode_segment(const uint8_t *bytes, uint32_t at, uint32_t left_bytes, struct copy_segment *ret,
			       struct scsi_sense *ret_sense)
{
	const uint8_t *d = bytes + at;

	for (unsigned i = 0; i < sizeof segment_types / sizeof segment_types[0]; i++) {
		uint32_t body_bytes = segment_types[i].body_bytes;

		if (d[0] != segment_types[i].code)
			continue;
		if (left_bytes < 4 || get_be16(d + 2) != body_bytes)
			return refuse_field(ret_sense, at + 2);
		if (left_bytes < 4 + body_bytes)
			return refuse(ret_sense, ASC_PARAMETER_LIST_LENGTH);
		*ret = (struct copy_segment){ .source = get_be16(d + 4), .destination = get_be16(d + 6),
					      .source_lba = get_be64(d + 12), .destination_lba = get_be64(d + 20) };
		segment_types[i].decode(d, ret);
		return 4 + body_bytes;
	}
	return refuse(ret_sense, ASC_UNSUPPORTED_SEGMENT);
}

static bool decode_segments(const uint8_t *bytes, uint32_t at, uint32_t end, struct copy_list *ret,
			    struct scsi_sense *ret_sense)
{
	while (at < end) {
		uint32_t used;

		if (ret->segment_count == COPY_SEGMENT_MAX)
			return refuse(ret_sense, ASC_TOO_MANY_SEGMENTS);
		used = decode_segment(bytes, at, end - at, &ret->segment[ret->segment_count], ret_sense);
		if (!used)
			return false;
		ret->segment_count++;
		at += used;
	}
	return true;
}

bool copy_list_decode(const uint8_t *bytes, uint32_t len_bytes, bool lid4, struct copy_list *ret,
		      struct scsi_sense *ret_sense)
{
	struct lengths lengths;
	uint32_t at;

	ret->cscd_count = ret->segment_count = 0;
	if (len_bytes < (lid4 ? LID4_HEADER_BYTES : LID1_HEADER_BYTES))
		return refuse(ret_sense, ASC_PARAMETER_LIST_LENGTH);
	if (!(lid4 ? decode_lid4 : decode_lid1)(bytes, ret, &lengths, ret_sense) ||
	    !check_lengths(&lengths, len_bytes, ret_sense))
		return false;
	at = lengths.header_bytes;
	for (uint32_t end = at + lengths.cscd_bytes; at < end; at += COPY_CSCD_BYTES)
		if (!decode_cscd(bytes, at, &ret->cscd[ret->cscd_count++], ret_sense))
			return false;
	return decode_segments(bytes, at, at + lengths.segment_bytes, ret, ret_sense);
}

/* --- block device range descriptors --- */

static bool overlap(const struct copy_range *a, const struct copy_range *b)
{
	return a->blocks && b->blocks && a->lba < b->lba + b->blocks && b->lba < a->lba + a->blocks;
}

/* The list whose two-byte length is at length_at and whose descriptors follow it. */
static bool decode_ranges(const uint8_t *bytes, uint32_t len_bytes, uint32_t length_at, struct copy_ranges *ret,
			  struct scsi_sense *ret_sense)
{
	uint32_t list_bytes = get_be16(bytes + length_at), at = length_at + 2;

	if (list_bytes < RANGE_BYTES || list_bytes % RANGE_BYTES)
		return refuse_field(ret_sense, length_at);
	if (list_bytes > len_bytes - at)
		return refuse(ret_sense, ASC_PARAMETER_LIST_LENGTH);
	if (list_bytes / RANGE_BYTES > COPY_RANGE_MAX)
		return refuse(ret_sense, ASC_TOO_MANY_SEGMENTS);
	ret->count = list_bytes / RANGE_BYTES;
	ret->blocks = 0;
	for (unsigned i = 0; i < ret->count; i++, at += RANGE_BYTES) {
		ret->range[i] = (struct copy_range){ get_be64(bytes + at), get_be32(bytes + at + 8) };
		if (ret->range[i].lba > UINT64_MAX - ret->range[i].blocks)
			return refuse(ret_sense, ASC_LBA_OUT_OF_RANGE);
		for (unsigned j = 0; j < i; j++)
			if (overlap(&ret->range[i], &ret->range[j]))
				return refuse_field(ret_sense, at);
		ret->blocks += ret->range[i].blocks;
	}
	return true;
}

/* The header is whole, and the length at its start covers what is looked at. */
static bool check_data_length(const uint8_t *bytes, uint32_t len_bytes, uint32_t header_bytes, struct scsi_sense *ret_sense)
{
	if (len_bytes < header_bytes)
		return refuse(ret_sense, ASC_PARAMETER_LIST_LENGTH);
	if (get_be16(bytes) < header_bytes - 2 || get_be16(bytes) > len_bytes - 2)
		return refuse_field(ret_sense, 0);
	return true;
}

bool populate_list_decode(const uint8_t *bytes, uint32_t len_bytes, struct populate_list *ret, struct scsi_sense *ret_sense)
{
	if (!check_data_length(bytes, len_bytes, POPULATE_HEADER_BYTES, ret_sense))
		return false;
	ret->inactivity_s = get_be32(bytes + 4);
	ret->rod_type = bytes[2] & POPULATE_RTV ? get_be32(bytes + 8) : 0;
	return decode_ranges(bytes, len_bytes, 14, &ret->ranges, ret_sense);
}

bool write_token_list_decode(const uint8_t *bytes, uint32_t len_bytes, struct write_token_list *ret,
			     struct scsi_sense *ret_sense)
{
	if (!check_data_length(bytes, len_bytes, WRITE_HEADER_BYTES, ret_sense))
		return false;
	ret->delete_token = bytes[2] & WRITE_DEL_TKN;
	ret->immediate = bytes[2] & WRITE_IMMED;
	ret->offset_blocks = get_be64(bytes + 8);
	ret->token = bytes + 16;
	return decode_ranges(bytes, len_bytes, 534, &ret->ranges, ret_sense);
}
