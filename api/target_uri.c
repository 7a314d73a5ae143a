/* Decoding of the request target: see target_uri.h. */
#include "api/target_uri.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Percent-decodes text[0..len); the length, or -1: broken escape, control character; -2: does not fit. */
static int decode(const char *text, size_t len, bool plus_is_space, char *out, size_t out_size)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		int c = (unsigned char)text[i];

		if (c == '%') {
			int high = len - i > 2 ? hex(text[i + 1]) : -1, low = len - i > 2 ? hex(text[i + 2]) : -1;

			if (high < 0 || low < 0)
				return -1;
			c = high << 4 | low;
			i += 2;
		} else if (c == '+' && plus_is_space) {
			c = ' ';
		}
		if (c < 0x20 || c == 0x7f)
			return -1;
		if (n + 1 >= out_size)
			return -2;
		out[n++] = (char)c;
	}
	out[n] = '\0';
	return (int)n;
}

/* RFC 3629: no overlong forms, no surrogates, nothing beyond U+10FFFF. */
static bool is_utf8(const char *text)
{
	const unsigned char *s = (const unsigned char *)text;

	while (*s) {
		unsigned more = *s < 0x80 ? 0 : *s >= 0xf0 ? 3 : *s >= 0xe0 ? 2 : 1;
		uint32_t c = more == 0 ? *s : *s & (0x3fu >> more);

		if ((*s >= 0x80 && *s < 0xc2) || *s > 0xf4)
			return false;
		s++;
		for (unsigned i = 0; i < more; i++, s++) {
			if ((*s & 0xc0) != 0x80)
				return false;
			c = c << 6 | (*s & 0x3fu);
		}
		if ((more == 2 && c < 0x800) || (more == 3 && c < 0x10000) || c > 0x10ffff ||
		    (c >= 0xd800 && c <= 0xdfff))
			return false;
	}
	return true;
}

static int bad_path(struct problem *problem, const char *why)
{
	return problem_set(problem, 400, "invalid-path", "", "The path of the request is not acceptable: %s.", why);
}

static int add_segment(struct target_uri *uri, const char *text, size_t len, struct problem *problem)
{
	char *out;
	int n;

	if (len == 0 || uri->segment_count == URI_SEGMENTS_MAX)
		return problem_set(problem, 404, "not-found", "", "There is no such resource.");
	if (memchr(text, ';', len))
		return bad_path(problem, "it has a ';'");
	out = uri->segment[uri->segment_count];
	n = decode(text, len, false, out, URI_SEGMENT_MAX);
	if (n == -2)
		return problem_set(problem, 404, "not-found", "", "There is no such resource.");
	if (n < 0)
		return bad_path(problem, "it has a broken escape or a control character");
	if (!is_utf8(out))
		return bad_path(problem, "it is not UTF-8");
	if (strcmp(out, ".") == 0 || strcmp(out, "..") == 0)
		return bad_path(problem, "it has a dot segment");
	uri->segment_count++;
	return 0;
}

/* used: bytes of uri->query_text. */
static int add_query(struct target_uri *uri, size_t *used, const char *text, size_t len, struct problem *problem)
{
	const char *equals = memchr(text, '=', len);
	size_t name_len = equals ? (size_t)(equals - text) : len;
	size_t room = sizeof uri->query_text - *used;
	char *value = uri->query_text + *used;
	struct uri_query *q;
	int n = -1;

	if (len == 0)
		return 0;
	if (uri->query_count == URI_QUERIES_MAX)
		return problem_set(problem, 400, "invalid-query", "", "There are too many query parameters.");
	q = &uri->query[uri->query_count];
	if (decode(text, name_len, true, q->name, sizeof q->name) <= 0 || !is_utf8(q->name))
		return problem_set(problem, 400, "invalid-query", "", "A query parameter has no acceptable name.");
	if (room > 0)
		n = equals ? decode(equals + 1, len - name_len - 1, true, value, room) : decode("", 0, true, value, room);
	if (n < 0 || !is_utf8(value))
		return problem_set(problem, 400, "invalid-query", "", "A query parameter's value is not acceptable.");
	if (target_uri_query(uri, q->name))
		return problem_set(problem, 400, "invalid-query", "", "A query parameter is given twice.");
	q->value = value;
	*used += (size_t)n + 1;
	uri->query_count++;
	return 0;
}

static int decode_query(struct target_uri *uri, const char *text, struct problem *problem)
{
	size_t used = 0;

	for (;;) {
		size_t len = strcspn(text, "&");

		if (add_query(uri, &used, text, len, problem))
			return -1;
		if (text[len] == '\0')
			return 0;
		text += len + 1;
	}
}

int target_uri_decode(const char *text, struct target_uri *ret_uri, struct problem *problem)
{
	const char *at = text;

	ret_uri->segment_count = 0;
	ret_uri->query_count = 0;
	if (*at++ != '/')
		return bad_path(problem, "it does not start with '/'");
	while (*at && *at != '?') {
		size_t len = strcspn(at, "/?");

		if (add_segment(ret_uri, at, len, problem))
			return -1;
		at += len;
		if (*at == '/' && (at[1] == '\0' || at[1] == '?'))
			return problem_set(problem, 404, "not-found", "", "There is no such resource.");
		if (*at == '/')
			at++;
	}
	return *at == '?' ? decode_query(ret_uri, at + 1, problem) : 0;
}

const char *target_uri_query(const struct target_uri *uri, const char *name)
{
	for (unsigned i = 0; i < uri->query_count; i++)
		if (strcmp(uri->query[i].name, name) == 0)
			return uri->query[i].value;
	return NULL;
}
