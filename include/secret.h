/* A CHAP secret or token: a type that no format string accepts, so that it cannot reach a log line by accident. */
#ifndef LUNETTE_SECRET_H
#define LUNETTE_SECRET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SECRET_MAX 256

struct secret {
	uint16_t len_bytes;
	uint8_t bytes[SECRET_MAX];
};

/* Copies; false when longer than SECRET_MAX. */
bool secret_set(struct secret *secret, const void *bytes, size_t len_bytes);
void secret_wipe(struct secret *secret);
/* Constant time in the length of the shorter. */
bool secret_equal(const struct secret *a, const struct secret *b);

#endif
