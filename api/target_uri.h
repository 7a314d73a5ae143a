/*
 * The request target of HTTP (RFC 9112 section 3.2, origin form), decoded strictly. Pure; safe on any bytes (B116).
 *
 * The path is split at '/' first and each segment percent-decoded after, so that %2F stays inside a segment. Refused with
 * 400 "invalid-path": a '%' without two hex digits, decoded control characters, NUL and bytes that are no UTF-8, "." and
 * "..", ';' parameters; with 404: empty segments, too many and too long ones (no resource of ours has such a path).
 * Query parameters: name=value pairs joined by '&', '+' is a space; a name twice or a broken one is 400 "invalid-query".
 */
#ifndef LUNETTE_API_TARGET_URI_H
#define LUNETTE_API_TARGET_URI_H

#include "problem.h"

#define URI_SEGMENTS_MAX 8
#define URI_SEGMENT_MAX  256 /* bytes with NUL */
#define URI_QUERIES_MAX  16
#define URI_QUERY_MAX    8192 /* bytes of all values, each with NUL */

struct uri_query {
	char name[32];
	const char *value; /* in query_text */
};

struct target_uri {
	unsigned segment_count; /* "/" has none */
	char segment[URI_SEGMENTS_MAX][URI_SEGMENT_MAX];
	unsigned query_count;
	struct uri_query query[URI_QUERIES_MAX];
	char query_text[URI_QUERY_MAX];
};

/* 0, or -1 with the problem. `text` is NUL-terminated: a NUL in the request line never gets here. */
int target_uri_decode(const char *text, struct target_uri *ret_uri, struct problem *problem);
/* NULL when absent. */
const char *target_uri_query(const struct target_uri *uri, const char *name);

#endif
