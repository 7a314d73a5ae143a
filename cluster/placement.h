/*
 * Which worker serves which target. Pure and deterministic. Targets that share a LUN go to the same worker, because a
 * worker opens a LUN alone (store_object_open takes its lock). Placements that exist stay, new ones go where there is
 * least: weight of a target = 1 + the LUNs it maps.
 */
#ifndef LUNETTE_CLUSTER_PLACEMENT_H
#define LUNETTE_CLUSTER_PLACEMENT_H

#include <jansson.h>

/* previous: an earlier result for the same number of workers, or NULL. A group of targets joined by a common LUN stays
 * with the worker that has most of its weight. New object {"<target>": <worker index>, ...}; NULL: no memory. */
json_t *placement_compute(const json_t *config, unsigned worker_count, const json_t *previous);

#endif
