/* Operations: see operations.h. */
#include "api/operations.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"

void operations_init(struct operations *operations)
{
	list_init(&operations->list);
	operations->count = 0;
	operations->next = clock_wall_ms();
}

static void free_operation(struct operation *operation)
{
	json_decref(operation->view);
	free(operation);
}

void operations_fini(struct operations *operations)
{
	for (struct list *node; (node = list_take(&operations->list));)
		free_operation(container_of(node, struct operation, link));
}

static bool running(const struct operation *operation)
{
	return strcmp(json_string_value(json_object_get(operation->view, "state")), "running") == 0;
}

/* The oldest finished one goes. */
static void forget(struct operations *operations)
{
	for (struct list *pos = operations->list.prev; pos != &operations->list; pos = pos->prev) {
		struct operation *operation = container_of(pos, struct operation, link);

		if (running(operation))
			continue;
		list_remove(&operation->link);
		operations->count--;
		free_operation(operation);
		return;
	}
}

struct operation *operation_start(struct operations *operations, const char *method, const char *object,
				  const char *actor)
{
	struct operation *operation = calloc(1, sizeof *operation);
	char time[CLOCK_TEXT_LEN];

	if (!operation)
		return NULL;
	if (operations->count >= OPERATIONS_KEPT)
		forget(operations);
	snprintf(operation->id, sizeof operation->id, "%" PRIu64, operations->next++);
	clock_format(clock_wall_ms(), time);
	operation->view = json_pack("{s:s, s:s, s:s, s:s, s:s, s:i, s:s}", "id", operation->id, "state", "running", "method",
				    method, "object", object, "actor", actor, "progress_percent", 0, "started_at", time);
	if (!operation->view) {
		free(operation);
		return NULL;
	}
	list_prepend(&operations->list, &operation->link);
	operations->count++;
	return operation;
}

static struct operation *find(const struct operations *operations, const char *id)
{
	list_for_each(pos, &operations->list) {
		struct operation *operation = container_of(pos, struct operation, link);

		if (strcmp(operation->id, id) == 0)
			return operation;
	}
	return NULL;
}

void operation_finish(struct operations *operations, const char *id, json_t *result, json_t *problem)
{
	struct operation *operation = find(operations, id);
	char time[CLOCK_TEXT_LEN];

	if (!operation) {
		json_decref(result);
		json_decref(problem);
		return;
	}
	clock_format(clock_wall_ms(), time);
	json_object_set_new(operation->view, "state", json_string(problem ? "failed" : "succeeded"));
	json_object_set_new(operation->view, "finished_at", json_string(time));
	json_object_set_new(operation->view, "progress_percent", json_integer(100));
	if (result)
		json_object_set_new(operation->view, "result", result);
	if (problem)
		json_object_set_new(operation->view, "problem", problem);
}

json_t *operations_views(const struct operations *operations)
{
	json_t *views = json_array();

	for (struct list *pos = operations->list.prev; pos != &operations->list; pos = pos->prev)
		json_array_append(views, container_of(pos, struct operation, link)->view);
	return views;
}
