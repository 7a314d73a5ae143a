/*
 * The parameter lists of third-party copy as structs: EXTENDED COPY (SPC-4 6.4, 6.5, descriptors 6.4.5 and 6.4.6), POPULATE
 * TOKEN and WRITE USING TOKEN (SBC-3 5.7, 5.50). Pure: bytes in, struct or sense out; no I/O, no log, nothing allocated.
 * Whether a copy source or destination may be reached and whether a range lies inside it is not asked here.
 */
#ifndef LUNETTE_SCSI_COPY_LIST_H
#define LUNETTE_SCSI_COPY_LIST_H

#include <stdbool.h>
#include <stdint.h>

#define COPY_CSCD_MAX       16u   /* CSCD descriptors in a list */
#define COPY_SEGMENT_MAX    64u   /* segment descriptors in a list */
#define COPY_CSCD_BYTES     32u
#define COPY_SEGMENT_BYTES  32u   /* the longest: 0Ah; 02h has 28 */
#define COPY_DESCRIPTORS_MAX_BYTES (COPY_CSCD_MAX * COPY_CSCD_BYTES + COPY_SEGMENT_MAX * COPY_SEGMENT_BYTES)
#define COPY_SEGMENT_MAX_BYTES (256u << 20)
#define COPY_RANGE_MAX      64u   /* block device range descriptors in a list */
#define COPY_TOKEN_BYTES    512u  /* a ROD token */

enum { COPY_CSCD_IDENTIFICATION = 0xe4, COPY_SEGMENT_BLOCKS = 0x02, COPY_SEGMENT_BYTES_OFFSET = 0x0a };

struct scsi_sense;

/* Identification descriptor CSCD descriptor, E4h. */
struct copy_cscd {
	uint8_t  device_type;
	uint8_t  association, designator_type, designator_len_bytes; /* as in VPD page 83h */
	uint8_t  designator[20];
	uint32_t block_bytes; /* what the initiator thinks; 0: it does not say */
};

enum copy_unit { COPY_SOURCE_BLOCKS, COPY_DESTINATION_BLOCKS, COPY_BYTES };

struct copy_segment {
	uint16_t source, destination; /* CSCD descriptor ids, not checked against cscd_count */
	enum copy_unit unit;
	uint32_t amount;              /* of units */
	uint64_t source_lba, destination_lba;
	uint16_t source_offset_bytes, destination_offset_bytes;
};

struct copy_list {
	uint32_t list_id;
	bool     identified; /* false: LIST ID USAGE 11b, nobody will ask for it */
	bool     immediate;  /* IMMED; then identified */
	unsigned cscd_count, segment_count;
	struct copy_cscd cscd[COPY_CSCD_MAX];
	struct copy_segment segment[COPY_SEGMENT_MAX];
};

/* len_bytes > 0. lid4: the list of EXTENDED COPY(LID4). False: *ret_sense says why. */
bool copy_list_decode(const uint8_t *bytes, uint32_t len_bytes, bool lid4, struct copy_list *ret,
		      struct scsi_sense *ret_sense);

struct copy_range {
	uint64_t lba, blocks;
};

struct copy_ranges {
	unsigned count;
	struct copy_range range[COPY_RANGE_MAX]; /* lba + blocks does not overflow; disjoint */
	uint64_t blocks;                         /* of all */
};

struct populate_list {
	uint32_t inactivity_s; /* 0: the default */
	uint32_t rod_type;     /* 0: ours to choose */
	struct copy_ranges ranges;
};

struct write_token_list {
	bool     delete_token;
	bool     immediate;    /* IMMED */
	uint64_t offset_blocks;
	const uint8_t *token;  /* COPY_TOKEN_BYTES inside the caller's bytes */
	struct copy_ranges ranges;
};

bool populate_list_decode(const uint8_t *bytes, uint32_t len_bytes, struct populate_list *ret,
			  struct scsi_sense *ret_sense);
bool write_token_list_decode(const uint8_t *bytes, uint32_t len_bytes, struct write_token_list *ret,
			     struct scsi_sense *ret_sense);

#endif
