/* What a client takes: see accept.h. */
#include "api/accept.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* The weight of one element ("text/html;q=0.5") in thousandths; *ret_len: of its name. */
static unsigned element_weight(const char *element, size_t len, size_t *ret_len)
{
	const char *q = memmem(element, len, ";q=", 3), *q2 = memmem(element, len, "; q=", 4);
	double weight = 1;

	*ret_len = strcspn(element, ",; \t");
	if (q2)
		q = q2 + 1;
	if (q)
		weight = strtod(q + 3, NULL);
	return weight > 0 && weight <= 1 ? (unsigned)(weight * 1000) : 0;
}

/* How well `range` ("*" "/" "*", "image/" "*", "image/png") fits: 3 exactly ... 0 not. */
static unsigned range_fits(const char *range, size_t len, const char *type)
{
	size_t slash = strcspn(type, "/");

	if (len == strlen(type) && strncasecmp(range, type, len) == 0)
		return 3;
	if (len == slash + 2 && strncasecmp(range, type, slash + 1) == 0 && range[len - 1] == '*')
		return 2;
	return len == 3 && memcmp(range, "*/*", 3) == 0;
}

int accept_choose(const char *accept, const char *const *types, int count)
{
	unsigned best_weight = 0;
	int best = -1;

	for (int i = 0; i < count; i++) {
		unsigned fit = 0, weight = accept[0] ? 0 : 1000;

		for (const char *at = accept; *at; at += strcspn(at, ","), at += *at == ',') {
			size_t len;
			unsigned this_weight, this_fit;

			at += strspn(at, " \t");
			this_weight = element_weight(at, strcspn(at, ","), &len);
			this_fit = range_fits(at, len, types[i]);
			if (this_fit > fit) {
				fit = this_fit;
				weight = this_weight;
			}
		}
		if (weight > best_weight) {
			best_weight = weight;
			best = i;
		}
	}
	return best;
}

bool encoding_accepted(const char *text, const char *coding)
{
	for (const char *at = text; *at; at += strcspn(at, ","), at += *at == ',') {
		size_t len;
		unsigned weight;

		at += strspn(at, " \t");
		weight = element_weight(at, strcspn(at, ","), &len);
		if (len == strlen(coding) && strncasecmp(at, coding, len) == 0)
			return weight > 0;
	}
	return false;
}
