/* FNV-1a, for hash tables of names and addresses whose size the administrator bounds. Not for anything that a stranger could
 * fill with collisions of his choice to our harm. Pure. */
#ifndef LUNETTE_HASH_H
#define LUNETTE_HASH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define HASH_START UINT32_C(2166136261)

static inline uint32_t hash_bytes(uint32_t hash, const void *bytes, size_t len_bytes)
{
	const uint8_t *at = bytes;

	for (size_t i = 0; i < len_bytes; i++)
		hash = (hash ^ at[i]) * UINT32_C(16777619);
	return hash;
}

static inline uint32_t hash_text(const char *text)
{
	return hash_bytes(HASH_START, text, strlen(text));
}

#endif
