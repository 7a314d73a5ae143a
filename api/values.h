/* The newest sample in JSON, as the live stream and GET /api/v1/top show it. New references. */
#ifndef LUNETTE_API_VALUES_H
#define LUNETTE_API_VALUES_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "monitor/monitor.h"

/* {"object": "lun:vol1", "values": {...}}: of the metrics that the object has and that are chosen; metric NULL: all. */
json_t *object_values(const struct monitor_object *object, const bool *metric);
/* {"time", "time_ms"} */
json_t *sample_head(uint64_t sampled_ms);

#endif
