/* CRC32C (Castagnoli) as iSCSI digests use it (RFC 7143 section 13.1): start with CRC32C_INIT, feed bytes, finish with
 * crc32c_value(). Computed by ISA-L. Any thread. */
#ifndef LUNETTE_CRC32C_H
#define LUNETTE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

#define CRC32C_INIT UINT32_C(0xffffffff)

uint32_t crc32c_update(uint32_t state, const void *bytes, size_t len_bytes);
/* The digest's numeric value. On the wire an iSCSI digest is this value in little-endian byte order. */
static inline uint32_t crc32c_value(uint32_t state)
{
	return ~state;
}

#endif
