/* The newest sample in JSON: see values.h. */
#include "api/values.h"

#include <math.h>

#include "clock.h"

json_t *object_values(const struct monitor_object *object, const bool *metric)
{
	json_t *values = json_object();

	for (unsigned i = 0; i < METRICS; i++) {
		double value = object->value[i];

		if ((!metric || metric[i]) && metric_of((enum metric_id)i, object->object.kind))
			json_object_set_new(values, metric_rows[i].name, isfinite(value) ? json_real(value) : json_null());
	}
	return json_pack("{s:o, s:o}", "object",
			 json_sprintf("%s:%s", object_kind_name(object->object.kind), object->object.name), "values", values);
}

json_t *sample_head(uint64_t sampled_ms)
{
	char time[CLOCK_TEXT_LEN];

	clock_format(sampled_ms, time);
	return json_pack("{s:s, s:I}", "time", time, "time_ms", (json_int_t)sampled_ms);
}
