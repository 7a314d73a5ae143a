/* Request bodies: any bytes lead to an object that can be written and read again, or to a 400. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "api/json_body.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct problem problem = { 0 };
	json_t *body = json_body_decode(data, size, &problem), *again;
	char *text;

	if (!body) {
		assert(problem.status == 400);
		return 0;
	}
	assert(json_is_object(body));
	text = json_dumps(body, JSON_COMPACT);
	assert(text);
	again = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	assert(again && json_equal(body, again));
	json_decref(again);
	json_decref(body);
	free(text);
	return 0;
}
