/*
 * SVG to PNG by rsvg-convert (librsvg) in a process of its own with limits on time and memory: whatever it does, control
 * goes on. Blocking: offload threads only.
 */
#ifndef LUNETTE_MONITOR_PNG_H
#define LUNETTE_MONITOR_PNG_H

#include <stddef.h>

#include "err.h"

#define PNG_WAIT_MS 10000

/* 0 and *ret_png (malloc'ed); -ENOENT: rsvg-convert is not installed; -ETIMEDOUT; -EIO: it failed; -ENOMEM. */
int png_of_svg(const char *svg, char **ret_png, size_t *ret_len_bytes, struct err *err);

#endif
