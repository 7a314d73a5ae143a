/* Import: many objects in one change, in the order in which they need each other, with a list of the differences. */
#include <string.h>

#include "cluster/config_private.h"

/* What is named comes before what names it. */
static const enum config_kind order[] = { CONFIG_STORE, CONFIG_PORTAL, CONFIG_GROUP, CONFIG_LUN, CONFIG_TARGET };
#define ORDER_COUNT (sizeof order / sizeof order[0])

static int add_difference(struct change *c, json_t *diff, const char *change, const struct config_ref *ref, json_t *before,
			  json_t *after)
{
	json_t *row = json_pack("{s:s, s:s, s:s*, s:o*, s:o*}", "change", change, "kind", config_kinds[ref->kind].noun,
				"name", ref->name, "before", before, "after", after);

	return json_array_append_new(diff, row) < 0 ? refuse_memory(c) : 0;
}

static int import_object(struct change *c, const struct config_ref *ref, const json_t *body, const struct where *where,
			 json_t *diff)
{
	json_t *before = config_view(c->config, ref);
	enum config_outcome outcome = CONFIG_SAME;
	int rc;

	c->base = where;
	rc = change_put(c, ref, body, &outcome);
	c->base = NULL;
	if (outcome == CONFIG_SAME || rc < 0) {
		json_decref(before);
		return rc;
	}
	return add_difference(c, diff, outcome == CONFIG_CREATED ? "create" : "change", ref, before,
			      config_view(c->config, ref));
}

static int import_section(struct change *c, enum config_kind kind, const json_t *body, json_t *diff)
{
	const struct where section = { NULL, config_kinds[kind].member };
	json_t *object;
	const char *name;

	if (body && !json_is_object(body))
		return refuse(c, 422, "validation-failed", &section, "It must be an object.");
	json_object_foreach((json_t *)body, name, object) {
		const struct where where = { &section, name };
		const struct config_ref ref = { kind, name, NULL };

		if (import_object(c, &ref, object, &where, diff) < 0)
			return -1;
	}
	return 0;
}

static int prune_section(struct change *c, enum config_kind kind, const json_t *body, json_t *diff)
{
	json_t *known = json_copy((json_t *)config_map(c->config, kind, NULL)), *object;
	const char *name;
	int rc = 0;

	json_object_foreach(known, name, object) {
		const struct config_ref ref = { kind, name, NULL };
		json_t *before;

		if (json_object_get(body, name))
			continue;
		before = config_view(c->config, &ref);
		rc = change_delete(c, &ref, false);
		if (rc == 0)
			rc = add_difference(c, diff, "delete", &ref, before, NULL);
		else
			json_decref(before);
		if (rc < 0)
			break;
	}
	json_decref(known);
	return rc;
}

static int check_members(struct change *c, const json_t *body)
{
	const char *member;
	json_t *value;

	if (!json_is_object(body))
		return refuse(c, 422, "validation-failed", NULL, "It must be an object.");
	if (json_integer_value(json_object_get(body, "format")) != CONFIG_FORMAT)
		return refuse(c, 422, "validation-failed", &(struct where){ NULL, "format" }, "It must be %d.", CONFIG_FORMAT);
	json_object_foreach((json_t *)body, member, value) {
		const struct where where = { NULL, member };
		bool known = strcmp(member, "format") == 0 || strcmp(member, config_kinds[CONFIG_SETTINGS].member) == 0;

		for (unsigned i = 0; i < ORDER_COUNT; i++)
			known |= strcmp(member, config_kinds[order[i]].member) == 0;
		if (!known)
			return refuse(c, 422, "unknown-member", &where, "There is no such member.");
	}
	return 0;
}

int change_import(struct change *c, const json_t *body, bool prune, json_t *diff)
{
	const struct config_ref settings = { CONFIG_SETTINGS, NULL, NULL };
	const struct where where = { NULL, config_kinds[CONFIG_SETTINGS].member };
	const json_t *object = json_object_get(body, config_kinds[CONFIG_SETTINGS].member);

	if (check_members(c, body) < 0)
		return -1;
	for (unsigned i = 0; i < ORDER_COUNT; i++) {
		if (import_section(c, order[i], json_object_get(body, config_kinds[order[i]].member), diff) < 0)
			return -1;
	}
	if (object && import_object(c, &settings, object, &where, diff) < 0)
		return -1;
	for (unsigned i = ORDER_COUNT; prune && i-- > 0;) {
		if (prune_section(c, order[i], json_object_get(body, config_kinds[order[i]].member), diff) < 0)
			return -1;
	}
	return 0;
}
