#include "secret.h"

#include <string.h>

bool secret_set(struct secret *secret, const void *bytes, size_t len_bytes)
{
	if (len_bytes > SECRET_MAX)
		return false;
	secret_wipe(secret);
	if (len_bytes)
		memcpy(secret->bytes, bytes, len_bytes);
	secret->len_bytes = (uint16_t)len_bytes;
	return true;
}

void secret_wipe(struct secret *secret)
{
	explicit_bzero(secret, sizeof *secret);
}

bool secret_equal(const struct secret *a, const struct secret *b)
{
	size_t n = a->len_bytes < b->len_bytes ? a->len_bytes : b->len_bytes;
	uint8_t difference = a->len_bytes != b->len_bytes;

	for (size_t i = 0; i < n; i++)
		difference |= a->bytes[i] ^ b->bytes[i];
	return difference == 0;
}
