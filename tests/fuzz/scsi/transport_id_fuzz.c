/* TransportIDs: what is accepted stays inside its length, and is the same after encoding and decoding it again. */
#include <assert.h>
#include <string.h>

#include "dataplane/scsi/transport_id.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len_bytes);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len_bytes)
{
	struct pr_nexus nexus, again;
	uint8_t encoded[TRANSPORT_ID_MAX_BYTES];
	unsigned used, len;

	if (len_bytes > 4096)
		return 0;
	used = transport_id_decode(bytes, (unsigned)len_bytes, &nexus);
	assert(used <= len_bytes);
	if (!used)
		return 0;
	len = transport_id_encode(&nexus, encoded);
	assert(len <= sizeof encoded && len % 4 == 0);
	assert(transport_id_decode(encoded, len, &again) == len);
	assert(!memcmp(&again, &nexus, sizeof nexus));
	return 0;
}
