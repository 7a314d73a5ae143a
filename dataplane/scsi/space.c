/*
 * Space of the store, as a thin LU tells of it (SBC-3 4.7.3.8): LBA mapping resources in threshold sets of
 * SCSI_THRESHOLD_SET_BYTES, one soft threshold on what is available. The worker looks every few seconds and says what it
 * found; crossing the threshold is a unit attention for every initiator, once, until the space has come back by a margin.
 */
#include "dataplane/scsi/internal.h"

#define MARGIN_PERCENT 2 /* of the store: above the threshold by this, it is armed again */

void scsi_lu_set_space_threshold(struct scsi_lu *lu, unsigned percent)
{
	pthread_mutex_lock(&lu->lock);
	if (lu->space.threshold_percent != percent)
		lu->space.reached = false; /* it may be reached anew */
	lu->space.threshold_percent = percent;
	pthread_mutex_unlock(&lu->lock);
}

enum scsi_space scsi_lu_set_space(struct scsi_lu *lu, uint64_t total_bytes, uint64_t available_bytes, uint64_t used_bytes)
{
	uint64_t percent_bytes = total_bytes / 100, threshold_bytes;
	enum scsi_space result;
	bool crossed = false;

	pthread_mutex_lock(&lu->lock);
	lu->space.known = true;
	lu->space.total_bytes = total_bytes;
	lu->space.available_bytes = available_bytes;
	lu->space.used_bytes = used_bytes;
	threshold_bytes = lu->space.threshold_percent * percent_bytes;
	if (!lu->provisioned || available_bytes >= threshold_bytes + MARGIN_PERCENT * percent_bytes)
		lu->space.reached = false;
	else if (available_bytes < threshold_bytes && !lu->space.reached)
		crossed = true;
	result = crossed ? SPACE_SHORT_NOW : lu->space.reached ? SPACE_SHORT : SPACE_ENOUGH;
	if (crossed)
		scsi_ua_set_others(lu, NULL, UA_SPACE_THRESHOLD);
	lu->space.reached = result != SPACE_ENOUGH;
	pthread_mutex_unlock(&lu->lock);
	return result;
}

static uint32_t sets_of(uint64_t bytes)
{
	uint64_t sets = bytes / SCSI_THRESHOLD_SET_BYTES;

	return sets > UINT32_MAX ? UINT32_MAX : (uint32_t)sets;
}

uint8_t scsi_threshold_exponent(const struct scsi_lu *lu)
{
	return (uint8_t)(__builtin_ctz(SCSI_THRESHOLD_SET_BYTES) - lu->block_shift);
}

/* --- mode page 1Ch/02h, from byte 4 on (SBC-3 6.4.7) --- */

enum { SITUA = 0x01, ENABLED = 0x80, DECREASING = 0x00, AVAILABLE = 0x01 };

void scsi_provisioning_page(const struct scsi_lu *lu, unsigned pc, uint8_t *page)
{
	struct scsi_lu *locked = (struct scsi_lu *)lu;
	unsigned percent;
	uint64_t total_bytes;

	if (pc == 1) /* nothing is changeable here: an administrator sets it */
		return;
	pthread_mutex_lock(&locked->lock);
	percent = lu->space.threshold_percent;
	total_bytes = lu->space.total_bytes;
	pthread_mutex_unlock(&locked->lock);
	page[16] = (uint8_t)((percent ? ENABLED : 0) | DECREASING); /* THRESHOLD TYPE 000b: soft */
	page[17] = AVAILABLE;
	put_be32(page + 20, sets_of(total_bytes / 100 * percent));
}

/* --- log page 0Ch (SBC-3 6.3.2) --- */

enum { PARAMETER_AVAILABLE = 0x0001, PARAMETER_USED = 0x0002, SCOPE_LU = 1, SCOPE_SHARED = 2, BINARY_LIST = 0x03 };

static void put_parameter(struct wire_writer *w, uint16_t code, uint64_t bytes, uint8_t scope)
{
	wire_put_u16(w, code);
	wire_put_u8(w, BINARY_LIST);
	wire_put_u8(w, 8); /* PARAMETER LENGTH */
	wire_put_u32(w, sets_of(bytes));
	wire_put_u8(w, scope);
	wire_put_zeroes(w, 3);
}

void scsi_log_provisioning(const struct scsi_lu *lu, struct wire_writer *w)
{
	struct scsi_lu *locked = (struct scsi_lu *)lu;

	pthread_mutex_lock(&locked->lock);
	if (lu->space.known) {
		put_parameter(w, PARAMETER_AVAILABLE, lu->space.available_bytes, SCOPE_SHARED);
		put_parameter(w, PARAMETER_USED, lu->space.used_bytes, SCOPE_LU);
	}
	pthread_mutex_unlock(&locked->lock);
}
