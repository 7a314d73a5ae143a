/*
 * Ranges of monitor/series.c from a query string. Input: from, to, step, cf, separated by newlines; an empty one is not given.
 * What is accepted must be a range that the history can answer.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "monitor/series.h"

#define NOW_S INT64_C(1764000123)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct series_query query = { 0 };
	struct problem problem = { 0 };
	char text[512], *part[4] = { NULL }, *rest = text;
	int64_t time_s;

	if (size >= sizeof text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	for (unsigned i = 0; i < 4 && rest; i++) {
		part[i] = strsep(&rest, "\n");
		if (*part[i] == '\0')
			part[i] = NULL;
	}
	if (part[0] && series_time_parse(part[0], NOW_S, &time_s) && time_s < 0)
		abort();
	if (series_range_parse(part[0], part[1], part[2], part[3], NOW_S, &query, &problem)) {
		if (query.from_s < 0 || query.from_s >= query.to_s || query.step_s == 0 || query.from_s % query.step_s ||
		    query.to_s % query.step_s || (query.to_s - query.from_s) / query.step_s > SERIES_POINTS_MAX)
			abort();
	} else if (problem.status != 400 || problem.code[0] == '\0') {
		abort();
	}
	return 0;
}
