/*
 * Request bodies: strict JSON (RFC 8259, I-JSON where it matters). Pure; safe on any bytes (B131 to B138).
 *
 * Refused: a byte order mark, UTF-16, NUL bytes and \u0000, lone surrogates, duplicate member names, nesting beyond
 * JSON_BODY_DEPTH_MAX, more than JSON_BODY_VALUES_MAX values, integers beyond +-2^53, "-0", numbers that overflow, a second
 * value or anything else behind the first, a root that is no object.
 */
#ifndef LUNETTE_API_JSON_BODY_H
#define LUNETTE_API_JSON_BODY_H

#include <jansson.h>
#include <stddef.h>

#include "problem.h"

#define JSON_BODY_DEPTH_MAX  32
#define JSON_BODY_VALUES_MAX 1000000

/* The object, a new reference; NULL with a 400 "invalid-json" problem. */
json_t *json_body_decode(const void *bytes, size_t len_bytes, struct problem *problem);

#endif
