/*
 * Which objects and metrics a request means: ?object=lun:vol1,target:*&metric=read_iops,write_iops. Shared by series,
 * charts and the live stream.
 */
#ifndef LUNETTE_API_SELECTION_H
#define LUNETTE_API_SELECTION_H

#include <stdbool.h>
#include <stddef.h>

#include "monitor/metric.h"
#include "monitor/monitor.h"
#include "problem.h"

struct selection {
	struct object_name *objects; /* as written: "*" is every object of the kind */
	size_t count;
	bool metric[METRICS];
};

/* object NULL or "": 400 unless fallback, which is used then; metric NULL: all that the objects have. False: problem was set
 * (400 invalid-object, invalid-metric, 503), nothing to free. */
bool selection_parse(const char *object, const char *fallback, const char *metric, struct selection *ret_selection,
		     struct problem *problem);
void selection_free(struct selection *selection);
/* The objects meant, each once, in the order of the request; "*" as it is now. At most max of them, else 400 too-large.
 * *ret_objects is the caller's to free. False: problem was set. */
bool selection_resolve(const struct selection *selection, const struct monitor *monitor, size_t max,
		       struct object_name **ret_objects, size_t *ret_count, struct problem *problem);

#endif
