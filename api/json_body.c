/*
 * Strict JSON bodies: see json_body.h. jansson does the grammar, duplicates, UTF-8, surrogates and \u0000; a first pass over
 * the bytes does what it cannot: it bounds depth and size before anything is allocated, and judges numbers by their text.
 */
#include "api/json_body.h"

#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include "json_text.h"

#define INTEGER_MAX (INT64_C(1) << 53)

struct scan {
	const char *at, *end;
	unsigned depth, values;
};

static int refuse(struct problem *problem, const char *why)
{
	return problem_set(problem, 400, "invalid-json", "", "The body is not acceptable JSON: %s.", why);
}

static void skip_string(struct scan *s)
{
	for (s->at++; s->at < s->end && *s->at != '"'; s->at++)
		if (*s->at == '\\' && s->at + 1 < s->end)
			s->at++;
	if (s->at < s->end)
		s->at++;
}

static bool in_number(char c)
{
	return (c >= '0' && c <= '9') || strchr("+-.eE", c);
}

static int check_number(struct scan *s, struct problem *problem)
{
	const char *start = s->at;
	bool negative = *start == '-', real = false;
	uint64_t value = 0;

	for (; s->at < s->end && *s->at && in_number(*s->at); s->at++) {
		if (*s->at == '.' || *s->at == 'e' || *s->at == 'E')
			real = true;
		else if (*s->at >= '0' && *s->at <= '9' && value <= INTEGER_MAX)
			value = value * 10 + (uint64_t)(*s->at - '0');
	}
	if (real)
		return 0;
	if (value > (uint64_t)INTEGER_MAX)
		return refuse(problem, "an integer is beyond 2^53");
	if (negative && value == 0)
		return refuse(problem, "-0 is no number here");
	return 0;
}

static int scan(struct scan *s, struct problem *problem)
{
	while (s->at < s->end) {
		char c = *s->at;

		if (c == '\0')
			return refuse(problem, "it has a NUL byte (only UTF-8 is read)");
		if (c == '{' || c == '[') {
			if (++s->depth > JSON_BODY_DEPTH_MAX)
				return refuse(problem, "it is nested too deeply");
		} else if ((c == '}' || c == ']') && s->depth > 0) {
			s->depth--;
		}
		if ((c == ',' || c == ':') && ++s->values > JSON_BODY_VALUES_MAX)
			return refuse(problem, "it has too many values");
		if (c == '"') {
			skip_string(s);
		} else if (c == '-' || (c >= '0' && c <= '9')) {
			if (check_number(s, problem))
				return -1;
		} else {
			s->at++;
		}
	}
	return 0;
}

json_t *json_body_decode(const void *bytes, size_t len_bytes, struct problem *problem)
{
	struct scan s = { .at = bytes, .end = (const char *)bytes + len_bytes };
	json_error_t error;
	json_t *root;

	if (len_bytes == 0) {
		refuse(problem, "it is empty; send at least {}");
		return NULL;
	}
	if (len_bytes >= 3 && memcmp(bytes, "\xef\xbb\xbf", 3) == 0) {
		refuse(problem, "it starts with a byte order mark");
		return NULL;
	}
	if (scan(&s, problem))
		return NULL;
	root = json_read(bytes, len_bytes, JSON_REJECT_DUPLICATES, &error);
	if (!root) {
		char why[200];

		/* jansson quotes the bytes it stumbled over: the position is enough, the client has the text */
		snprintf(why, sizeof why, "line %d, column %d: %.*s", error.line, error.column,
			 (int)strcspn(error.text, "'\"\\"), error.text);
		refuse(problem, why);
		return NULL;
	}
	if (!json_is_object(root)) {
		refuse(problem, "the body must be an object");
		json_decref(root);
		return NULL;
	}
	return root;
}
