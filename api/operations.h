/*
 * Operations: changes that take longer than OPERATION_PATIENCE_MS are answered with 202 and can be followed at
 * /operations/{id}. The last OPERATIONS_KEPT are remembered, in memory: an operation that runs while control dies is
 * either done or not, and a repeated PUT finds out. Commands that run long in the workers (dataplane/scsi/jobs.h) are
 * shown among them; their ids end in "-<worker>". Control thread only.
 */
#ifndef LUNETTE_API_OPERATIONS_H
#define LUNETTE_API_OPERATIONS_H

#include <jansson.h>
#include <stdint.h>

#include "list.h"

#define OPERATIONS_KEPT       256
#define OPERATION_PATIENCE_MS 1500

struct operation {
	struct list link;     /* newest first */
	char id[24];
	json_t *view;         /* what GET shows */
};

struct operations {
	struct list list;
	unsigned count;
	uint64_t next;
};

void operations_init(struct operations *operations);
void operations_fini(struct operations *operations);
/* A running operation; borrowed. NULL: no memory. */
struct operation *operation_start(struct operations *operations, const char *method, const char *object,
				  const char *actor);
/* What GET shows of each, oldest first; new reference. */
json_t *operations_views(const struct operations *operations);
/* result: taken; may be NULL. problem: taken; NULL when it succeeded. */
void operation_finish(struct operations *operations, const char *id, json_t *result, json_t *problem);

#endif
