/*
 * Everything in the document `config` as REST resources: which object is meant comes from the route's row (its kind and
 * its path parameters), what may be in it from cluster/fields.def. Changes go through change.c.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/change.h"
#include "api/handlers.h"
#include "api/request.h"
#include "api/service.h"

static struct config_ref ref_of(const struct request *rq)
{
	enum config_kind kind = (enum config_kind)rq->route->kind;

	return (struct config_ref){ kind, request_param(rq, 0), config_kinds[kind].below_target ? request_param(rq, 1) : NULL };
}

static void answer_missing(struct request *rq, enum config_kind kind)
{
	char code[48];

	snprintf(code, sizeof code, "no-such-%s", config_kinds[kind].noun);
	answer_error(rq, 404, code, "There is no such %s.", config_kinds[kind].noun);
}

/* False, and answered: the target in the path does not exist. */
static bool target_exists(struct request *rq)
{
	struct config_ref target = { CONFIG_TARGET, request_param(rq, 0), NULL };

	if (!config_kinds[rq->route->kind].below_target || config_find(rq->service->config, &target))
		return true;
	answer_missing(rq, CONFIG_TARGET);
	return false;
}

/* A store that is there without being configured (config.h); NULL: it is not one of those. */
static json_t *builtin_store(struct service *s, const char *name)
{
	json_t *store = config_store(s->config, name, s->options->state_dir);

	if (store) {
		json_object_set_new(store, "name", json_string(name));
		json_object_set_new(store, "revision", json_integer(0));
		json_object_set_new(store, "description", json_string("built in"));
	}
	return store;
}

static json_t *view_of(struct service *s, const struct config_ref *ref)
{
	json_t *view = config_view(s->config, ref);

	if (!view && ref->kind == CONFIG_STORE)
		view = builtin_store(s, ref->name);
	return change_decorate(s, ref->kind, ref->sub ? ref->sub : ref->name, view);
}

/* `sorted` by name; the map keeps the order in which objects were made. */
static int by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static const char **names_of(const json_t *map, const char *builtin, size_t *ret_count)
{
	const char **names = malloc((json_object_size(map) + 4) * sizeof *names);
	size_t count = 0;
	const char *name;
	json_t *object;

	if (!names)
		return NULL;
	json_object_foreach((json_t *)(uintptr_t)map, name, object)
		names[count++] = name;
	for (const char *b = builtin; b && *b; b += strlen(b) + 1)
		if (!json_object_get(map, b))
			names[count++] = b;
	qsort(names, count, sizeof *names, by_name);
	*ret_count = count;
	return names;
}

/* Objects that are there without being configured (config.h). */
static const char *builtin_names(enum config_kind kind)
{
	return kind == CONFIG_STORE ? "default\0memory\0null\0" : NULL;
}

static json_t *named_views(struct request *rq, struct config_ref ref, const char **names, size_t count)
{
	json_t *items = json_array();

	for (size_t i = 0; i < count; i++) {
		json_t *view;

		if (ref.sub)
			ref.sub = names[i];
		else
			ref.name = names[i];
		view = view_of(rq->service, &ref);
		if (view)
			json_array_append_new(items, view);
	}
	return items;
}

/* ?lun=vol1 of /targets: those that map it. */
static bool maps_lun(const json_t *target, const char *lun)
{
	const char *number;
	json_t *mapping;

	json_object_foreach(json_object_get(target, "luns"), number, mapping) {
		const char *name = json_string_value(json_object_get(mapping, "lun"));

		if (name && strcmp(name, lun) == 0)
			return true;
	}
	return false;
}

static void filter(struct request *rq, json_t *items)
{
	const char *lun = rq->route->kind == CONFIG_TARGET ? request_query(rq, "lun") : NULL;

	for (size_t i = json_array_size(items); lun && i-- > 0;)
		if (!maps_lun(json_array_get(items, i), lun))
			json_array_remove(items, i);
}

void resource_list(struct request *rq)
{
	enum config_kind kind = (enum config_kind)rq->route->kind;
	bool below = config_kinds[kind].below_target;
	struct config_ref ref = { kind, below ? request_param(rq, 0) : "", below ? "" : NULL };
	json_t *items, *page;
	const char **names;
	size_t count;

	if (!target_exists(rq))
		return;
	names = names_of(config_map(rq->service->config, kind, below ? request_param(rq, 0) : NULL), builtin_names(kind),
			 &count);
	if (!names) {
		answer_error(rq, 503, "out-of-memory", "There is no memory for this list now.");
		return;
	}
	items = named_views(rq, ref, names, count);
	free(names);
	filter(rq, items);
	page = page_of(rq, items, "name", NULL);
	json_decref(items);
	if (page) {
		char etag[80];

		etag_of(page, etag);
		answer_json(rq, 200, page, etag);
	}
}

void resource_get(struct request *rq)
{
	struct config_ref ref = ref_of(rq);
	json_t *view;
	char etag[32];

	if (!target_exists(rq))
		return;
	view = view_of(rq->service, &ref);
	if (!view) {
		answer_missing(rq, ref.kind);
		return;
	}
	snprintf(etag, sizeof etag, "\"%" PRIu64 "\"", config_revision(rq->service->config, &ref));
	answer_json(rq, 200, view, etag);
}

static void change(struct request *rq, enum config_op op)
{
	struct config_request request = { .op = op, .ref = ref_of(rq) };
	int force = request_query_flag(rq, "force");

	if (force < 0)
		return;
	request.force = force > 0;
	/* what GET adds to the object may come back in a PUT of what was read */
	json_object_del(rq->json, "status");
	json_object_del(rq->json, "warnings");
	change_start(rq, &request);
}

void resource_put(struct request *rq)
{
	change(rq, CONFIG_PUT);
}

void resource_patch(struct request *rq)
{
	change(rq, CONFIG_PATCH);
}

void resource_delete(struct request *rq)
{
	change(rq, CONFIG_DELETE);
}

/* --- the whole configuration --- */

void get_config(struct request *rq)
{
	char etag[32];
	json_t *config = config_export(rq->service->config);

	if (!config) {
		answer_error(rq, 503, "out-of-memory", "There is no memory for this now.");
		return;
	}
	snprintf(etag, sizeof etag, "\"%" PRIu64 "\"", rq->service->config_version);
	answer_json(rq, 200, config, etag);
}

void put_config(struct request *rq)
{
	struct config_request request = { .op = CONFIG_IMPORT };
	int prune = request_query_flag(rq, "prune");

	if (prune < 0)
		return;
	request.prune = prune > 0;
	change_start(rq, &request);
}
