/* The request target: any bytes lead to a decoded path or to a problem, and to at most one route. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "api/route.h"
#include "api/target_uri.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct target_uri *uri)
{
	struct route_params params;
	unsigned allow;

	assert(uri->segment_count <= URI_SEGMENTS_MAX && uri->query_count <= URI_QUERIES_MAX);
	for (unsigned i = 0; i < uri->segment_count; i++) {
		assert(uri->segment[i][0] && strlen(uri->segment[i]) < URI_SEGMENT_MAX);
		assert(strcmp(uri->segment[i], "..") != 0);
		for (const char *c = uri->segment[i]; *c; c++)
			assert((unsigned char)*c >= 0x20 && *c != 0x7f);
	}
	for (int method = 0; method < HTTP_METHODS; method++) {
		const struct route *route = route_find(method, uri, &params, &allow);

		assert(!route || (allow & 1u << method));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct problem problem = { 0 };
	static struct target_uri uri;
	char *text = malloc(size + 1);

	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	if (target_uri_decode(text, &uri, &problem) == 0)
		check(&uri);
	else
		assert(problem.status == 400 || problem.status == 404);
	free(text);
	return 0;
}
