#include "crc32c.h"

#include <isa-l/crc.h>

#define CHUNK_BYTES (1U << 30) /* the library counts in int */

uint32_t crc32c_update(uint32_t state, const void *bytes, size_t len_bytes)
{
	const unsigned char *at = bytes;

	while (len_bytes) {
		size_t n = len_bytes < CHUNK_BYTES ? len_bytes : CHUNK_BYTES;

		state = crc32_iscsi((unsigned char *)(uintptr_t)at, (int)n, state);
		at += n;
		len_bytes -= n;
	}
	return state;
}
