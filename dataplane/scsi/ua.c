/* Unit attention conditions (SAM-5 5.14): one atomic word per I_T_L nexus, a bit per condition, lowest bit first. */
#include "dataplane/scsi/internal.h"

static const uint16_t codes[] = {
#define X(name, asc_ascq) [UA_##name] = asc_ascq,
	UNIT_ATTENTIONS(X)
#undef X
};

void scsi_ua_set(struct scsi_itl *itl, enum scsi_ua ua)
{
	atomic_fetch_or(&itl->ua, 1u << ua);
}

void scsi_ua_clear(struct scsi_itl *itl, enum scsi_ua ua)
{
	atomic_fetch_and(&itl->ua, ~(1u << ua));
}

bool scsi_ua_take(struct scsi_itl *itl, uint16_t *ret_asc_ascq)
{
	uint32_t pending = atomic_load(&itl->ua);

	while (pending) {
		unsigned first = (unsigned)__builtin_ctz(pending);

		if (atomic_compare_exchange_weak(&itl->ua, &pending, pending & ~(1u << first))) {
			*ret_asc_ascq = codes[first];
			return true;
		}
	}
	return false;
}

int scsi_ua_from_asc(uint16_t asc_ascq)
{
	for (int i = 0; i < UA_COUNT; i++)
		if (codes[i] == asc_ascq)
			return i;
	return -1;
}

void scsi_ua_set_others(struct scsi_lu *lu, const struct scsi_itl *except, enum scsi_ua ua)
{
	list_for_each(at, &lu->itls) {
		struct scsi_itl *itl = container_of(at, struct scsi_itl, in_lu);

		if (itl != except)
			scsi_ua_set(itl, ua);
	}
}
