/* Sense data in both formats (SPC-4 4.5) and the one translation of errno into it. */
#include <errno.h>

#include "dataplane/scsi/internal.h"

static uint8_t encode_fixed(const struct scsi_sense *sense, uint8_t *bytes)
{
	bytes[0] = 0x70;
	if (sense->has_information && sense->information <= UINT32_MAX) {
		bytes[0] |= 0x80; /* VALID */
		put_be32(bytes + 3, (uint32_t)sense->information);
	}
	bytes[2] = sense->key;
	bytes[7] = 10; /* ADDITIONAL SENSE LENGTH */
	if (sense->has_command && sense->command_specific <= UINT32_MAX)
		put_be32(bytes + 8, (uint32_t)sense->command_specific);
	put_be16(bytes + 12, sense->asc_ascq);
	if (sense->has_field) {
		bytes[15] = (uint8_t)(0x80 | (sense->field_in_cdb ? 0x40 : 0)); /* SKSV, C/D */
		put_be16(bytes + 16, sense->field_byte);
	}
	if (sense->has_progress) {
		bytes[15] = 0x80; /* SKSV */
		put_be16(bytes + 16, sense->progress);
	}
	return 18;
}

static uint8_t encode_descriptor(const struct scsi_sense *sense, uint8_t *bytes)
{
	uint8_t len = 8;

	bytes[0] = 0x72;
	bytes[1] = sense->key;
	put_be16(bytes + 2, sense->asc_ascq);
	if (sense->has_information) {
		bytes[len + 1] = 0x0a;
		bytes[len + 2] = 0x80; /* VALID */
		put_be64(bytes + len + 4, sense->information);
		len = (uint8_t)(len + 12);
	}
	if (sense->has_command) {
		bytes[len] = 0x01;
		bytes[len + 1] = 0x0a;
		put_be64(bytes + len + 4, sense->command_specific);
		len = (uint8_t)(len + 12);
	}
	if (sense->has_field || sense->has_progress) {
		bytes[len] = 0x02;
		bytes[len + 1] = 0x06;
		bytes[len + 4] = (uint8_t)(0x80 | (sense->field_in_cdb ? 0x40 : 0));
		put_be16(bytes + len + 5, sense->has_progress ? sense->progress : sense->field_byte);
		len = (uint8_t)(len + 8);
	}
	bytes[7] = (uint8_t)(len - 8);
	return len;
}

uint8_t scsi_sense_encode(const struct scsi_sense *sense, bool descriptor, uint8_t *ret_bytes)
{
	memset(ret_bytes, 0, SCSI_SENSE_MAX);
	return descriptor ? encode_descriptor(sense, ret_bytes) : encode_fixed(sense, ret_bytes);
}

static const struct {
	int error;
	uint8_t key;
	uint16_t read_asc, write_asc;
} errno_senses[] = {
	{ -EIO, KEY_MEDIUM_ERROR, ASC_UNRECOVERED_READ_ERROR, ASC_WRITE_ERROR },
	{ -ENODATA, KEY_MEDIUM_ERROR, ASC_UNRECOVERED_READ_ERROR, ASC_WRITE_ERROR },
	{ -EILSEQ, KEY_MEDIUM_ERROR, ASC_UNRECOVERED_READ_ERROR, ASC_WRITE_ERROR },
	{ -ENOSPC, KEY_DATA_PROTECT, ASC_SPACE_ALLOCATION_FAILED, ASC_SPACE_ALLOCATION_FAILED },
	{ -EDQUOT, KEY_DATA_PROTECT, ASC_SPACE_ALLOCATION_FAILED, ASC_SPACE_ALLOCATION_FAILED },
	{ -EROFS, KEY_DATA_PROTECT, ASC_WRITE_PROTECTED, ASC_WRITE_PROTECTED },
	{ -EACCES, KEY_DATA_PROTECT, ASC_WRITE_PROTECTED, ASC_WRITE_PROTECTED },
	{ -EPERM, KEY_DATA_PROTECT, ASC_WRITE_PROTECTED, ASC_WRITE_PROTECTED },
	{ -ERANGE, KEY_ILLEGAL_REQUEST, ASC_LBA_OUT_OF_RANGE, ASC_LBA_OUT_OF_RANGE },
	{ -EINVAL, KEY_ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_CDB, ASC_INVALID_FIELD_IN_CDB },
	{ -EOPNOTSUPP, KEY_ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_CDB, ASC_INVALID_FIELD_IN_CDB },
	{ -ENOMEM, KEY_ABORTED_COMMAND, ASC_INSUFFICIENT_RESOURCES, ASC_INSUFFICIENT_RESOURCES },
	{ -EAGAIN, KEY_ABORTED_COMMAND, ASC_INSUFFICIENT_RESOURCES, ASC_INSUFFICIENT_RESOURCES },
	{ -EBUSY, KEY_ABORTED_COMMAND, ASC_INSUFFICIENT_RESOURCES, ASC_INSUFFICIENT_RESOURCES },
	{ -ECANCELED, KEY_ABORTED_COMMAND, ASC_NONE, ASC_NONE },
	{ -EINTR, KEY_ABORTED_COMMAND, ASC_NONE, ASC_NONE },
	/* Fenced or shutting down: another path or another time may do. */
	{ -ESHUTDOWN, KEY_NOT_READY, ASC_NOT_READY, ASC_NOT_READY },
	{ -ESTALE, KEY_NOT_READY, ASC_NOT_READY, ASC_NOT_READY },
	{ -ENOMEDIUM, KEY_NOT_READY, ASC_MEDIUM_NOT_PRESENT, ASC_MEDIUM_NOT_PRESENT },
};

struct scsi_sense scsi_sense_from_errno(int error, bool write)
{
	for (unsigned i = 0; i < sizeof errno_senses / sizeof errno_senses[0]; i++)
		if (errno_senses[i].error == error)
			return (struct scsi_sense){
				.key = errno_senses[i].key,
				.asc_ascq = write ? errno_senses[i].write_asc : errno_senses[i].read_asc,
			};
	return (struct scsi_sense){ .key = KEY_HARDWARE_ERROR, .asc_ascq = ASC_INTERNAL_TARGET_FAILURE };
}
