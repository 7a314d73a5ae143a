/* Sizes as people write them: 512, 4K, 512M, 10G, 1.5T; powers of 1024; "10GiB", "10GB" and lower case mean the same. */
#ifndef LUNETTE_CLI_SIZE_H
#define LUNETTE_CLI_SIZE_H

#include <stddef.h>
#include <stdint.h>

/* 0 with *ret_bytes; -EINVAL: not a size, not a whole number of bytes, or beyond 2^62. */
int size_parse(const char *text, int64_t *ret_bytes);
/* "10G", "1.5T", "1000"; at most 16 bytes with NUL. Rounded down to a tenth when it is not exact. */
void size_format(int64_t bytes, char *text, size_t size);

#endif
