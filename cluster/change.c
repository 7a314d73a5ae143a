/*
 * One change of the configuration: find, check preconditions, validate, apply the rules, publish as a new content that
 * shares with the old one what did not change.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cluster/config_private.h"

/* --- copy on write --- */

json_t *section_edit(struct change *c, enum config_kind kind)
{
	json_t *known = json_object_get(c->config, config_kinds[kind].member), *copy;

	if (c->copied & (1u << kind))
		return known;
	copy = known ? json_copy(known) : json_object();
	if (!copy || json_object_set_new(c->config, config_kinds[kind].member, copy) < 0)
		return refuse_memory(c), NULL;
	c->copied |= 1u << kind;
	return copy;
}

/* The map of a target's sub-resources, ours to change; the target gets the new revision. */
static json_t *sub_section_edit(struct change *c, const struct config_ref *ref)
{
	const char *member = config_kinds[ref->kind].member;
	json_t *targets = section_edit(c, CONFIG_TARGET);
	json_t *target = targets ? json_copy(json_object_get(targets, ref->name)) : NULL;
	json_t *known = json_object_get(target, member);
	json_t *copy = known ? json_copy(known) : json_object();

	if (!target || !copy || json_object_set_new(target, member, copy) < 0 ||
	    json_object_set_new(target, "revision", json_integer((json_int_t)c->env->version)) < 0) {
		json_decref(target);
		return refuse_memory(c), NULL;
	}
	if (json_object_set_new(targets, ref->name, target) < 0)
		return refuse_memory(c), NULL;
	return copy;
}

static int store_object(struct change *c, const struct config_ref *ref, json_t *object)
{
	const struct config_kind_row *row = &config_kinds[ref->kind];
	json_t *map;

	if (row->singleton)
		return json_object_set(c->config, row->member, object) < 0 ? refuse_memory(c) : 0;
	map = row->below_target ? sub_section_edit(c, ref) : section_edit(c, ref->kind);
	if (!map || json_object_set(map, row->below_target ? ref->sub : ref->name, object) < 0)
		return refuse_memory(c);
	return 0;
}

static int remove_object(struct change *c, const struct config_ref *ref)
{
	const struct config_kind_row *row = &config_kinds[ref->kind];
	json_t *map;

	if (row->singleton)
		return json_object_del(c->config, row->member), 0;
	map = row->below_target ? sub_section_edit(c, ref) : section_edit(c, ref->kind);
	if (!map)
		return -1;
	json_object_del(map, row->below_target ? ref->sub : ref->name);
	return 0;
}

/* --- put --- */

static int check_ref_name(struct change *c, const struct config_ref *ref)
{
	const struct config_kind_row *row = &config_kinds[ref->kind];
	const struct config_ref target = { CONFIG_TARGET, ref->name, NULL };
	const struct config_field *field = config_field_find(config_kind_schema(ref->kind), "name");
	const char *name = row->below_target ? ref->sub : ref->name, *fault;

	if (row->singleton)
		return 0;
	if (!ref->name || !name)
		return refuse(c, 422, "invalid-name", NULL, "The name is missing.");
	if (row->below_target && !config_find(c->config, &target))
		return refuse(c, 404, "no-such-target", NULL, "There is no such target.");
	fault = config_rule_check(field->rule, name);
	return fault ? refuse(c, 422, "invalid-name", NULL, "The name of a %s %s.", row->noun, fault) : 0;
}

static int check_room(struct change *c, const struct config_ref *ref)
{
	const struct config_kind_row *row = &config_kinds[ref->kind];

	if (json_object_size(config_map(c->config, ref->kind, ref->name)) < row->limit)
		return 0;
	return refuse(c, 422, "too-many", NULL, "There are %u already, that is the limit.", row->limit);
}

int change_put(struct change *c, const struct config_ref *ref, const json_t *body, enum config_outcome *ret_outcome)
{
	enum config_schema schema = config_kind_schema(ref->kind);
	const struct config_kind_row *row = &config_kinds[ref->kind];
	const json_t *old;
	json_t *object;
	int rc;

	if (check_ref_name(c, ref) < 0)
		return -1;
	old = config_find(c->config, ref);
	if (!old && !row->singleton && check_room(c, ref) < 0)
		return -1;
	object = validate_object(c, schema, body, old, row->below_target ? ref->sub : ref->name, NULL);
	if (!object)
		return -1;
	rc = rules_check(c, ref, object, old);
	*ret_outcome = !old && !row->singleton ? CONFIG_CREATED : CONFIG_CHANGED;
	if (rc == 0 && old && objects_equal(schema, object, old))
		*ret_outcome = CONFIG_SAME;
	else if (rc == 0 && (stamp(c, object, old) < 0 || store_object(c, ref, object) < 0))
		rc = -1;
	json_decref(object);
	return rc;
}

/* --- delete --- */

/* Who names an object: a walk over the targets. `remove` takes the references out of a copied target. */
static bool mappings_name(json_t *target, const char *lun, bool remove)
{
	json_t *luns = json_object_get(target, "luns"), *mapping;
	const char *number;
	void *next;
	bool found = false;

	json_object_foreach_safe(luns, next, number, mapping) {
		const char *name = json_string_value(json_object_get(mapping, "lun"));

		if (name && strcmp(name, lun) == 0) {
			found = true;
			if (remove)
				json_object_del(luns, number);
		}
	}
	return found;
}

static bool grants_name(json_t *target, const char *group, bool remove)
{
	json_t *groups = json_object_get(target, "groups");
	bool found = json_object_get(groups, group) != NULL;

	if (found && remove)
		json_object_del(groups, group);
	return found;
}

static bool portals_name(json_t *target, const char *portal, bool remove)
{
	json_t *portals = json_object_get(target, "portals"), *entry;
	size_t n;

	json_array_foreach(portals, n, entry) {
		if (strcmp(json_string_value(entry), portal) == 0) {
			if (remove)
				json_array_remove(portals, n);
			return true;
		}
	}
	return false;
}

typedef bool names_fn(json_t *target, const char *name, bool remove);

static names_fn *const names_by_kind[CONFIG_KIND_COUNT] = {
	[CONFIG_LUN] = mappings_name, [CONFIG_GROUP] = grants_name, [CONFIG_PORTAL] = portals_name,
};

static int forget(struct change *c, const char *iqn, json_t *target, names_fn *names, const char *name)
{
	json_t *targets = section_edit(c, CONFIG_TARGET);
	json_t *copy = targets ? json_deep_copy(target) : NULL;

	if (!copy || json_object_set_new(copy, "revision", json_integer((json_int_t)c->env->version)) < 0) {
		json_decref(copy);
		return refuse_memory(c);
	}
	names(copy, name, true);
	return json_object_set_new(targets, iqn, copy) < 0 ? refuse_memory(c) : 0;
}

static int check_unused(struct change *c, const struct config_ref *ref, bool force)
{
	names_fn *names = names_by_kind[ref->kind];
	const char *iqn, *noun = config_kinds[ref->kind].noun;
	char code[48], first[CONFIG_ISCSI_NAME_MAX + 1] = "";
	unsigned users = 0;
	json_t *targets = names ? json_copy((json_t *)config_map(c->config, CONFIG_TARGET, NULL)) : NULL, *target;
	int rc = 0;

	json_object_foreach(targets, iqn, target) {
		if (!names(target, ref->name, false))
			continue;
		if (users++ == 0)
			snprintf(first, sizeof first, "%s", iqn);
		if (force && rc == 0)
			rc = forget(c, iqn, target, names, ref->name);
	}
	json_decref(targets);
	if (!users || force)
		return rc;
	snprintf(code, sizeof code, "%s-in-use", noun);
	if (users == 1)
		return refuse(c, 409, code, NULL, "The %s is in use by target %s.", noun, first);
	return refuse(c, 409, code, NULL, "The %s is in use by target %s and %u more.", noun, first, users - 1);
}

static int check_store_unused(struct change *c, const char *store)
{
	const char *name;
	json_t *lun;

	json_object_foreach((json_t *)config_map(c->config, CONFIG_LUN, NULL), name, lun) {
		if (strcmp(json_string_value(json_object_get(lun, "store")), store) == 0)
			return refuse(c, 409, "store-in-use", NULL, "LUN %s lives in it.", name);
	}
	return 0;
}

int change_delete(struct change *c, const struct config_ref *ref, bool force)
{
	if (ref->kind == CONFIG_STORE && check_store_unused(c, ref->name) < 0)
		return -1;
	if (check_unused(c, ref, force) < 0)
		return -1;
	return remove_object(c, ref);
}

/* --- preconditions --- */

static bool revision_listed(const struct config_precondition *p, uint64_t revision)
{
	for (unsigned i = 0; i < p->count && i < CONFIG_REVISIONS_MAX; i++) {
		if (p->revisions[i] == revision)
			return true;
	}
	return false;
}

static int check_precondition(struct change *c, const struct config_precondition *p, bool exists, uint64_t revision)
{
	bool given = p->any || p->count > 0;

	if (p->absent && exists)
		return refuse(c, 412, "precondition-failed", NULL, "It exists already.");
	if (given && !exists)
		return refuse(c, 412, "precondition-failed", NULL, "It does not exist.");
	if (p->count > 0 && !p->any && !revision_listed(p, revision))
		return refuse(c, 412, "precondition-failed", NULL,
			      "It was changed since you read it: its revision is %" PRIu64 " now. Read it again.", revision);
	if (exists && !given && !p->optional)
		return refuse(c, 428, "precondition-required", NULL,
			      "It exists: send If-Match with the ETag that you read (or * to change it whatever it is).");
	return 0;
}

/* --- RFC 7396 --- */

/* The patched value, new reference; target may be NULL. */
static json_t *merge_patch(const json_t *target, const json_t *patch, unsigned depth)
{
	json_t *made, *value;
	const char *key;

	if (!json_is_object(patch) || depth == 0)
		return json_deep_copy(patch);
	made = json_is_object(target) ? json_copy((json_t *)target) : json_object();
	json_object_foreach((json_t *)patch, key, value) {
		if (json_is_null(value)) {
			json_object_del(made, key);
		} else if (json_object_set_new(made, key, merge_patch(json_object_get(target, key), value, depth - 1)) < 0) {
			json_decref(made);
			return NULL;
		}
	}
	return made;
}

#define PATCH_DEPTH_MAX 32

/* --- one request --- */

static int no_such(struct change *c, const struct config_ref *ref)
{
	char code[48];

	snprintf(code, sizeof code, "no-such-%s", config_kinds[ref->kind].noun);
	return refuse(c, 404, code, NULL, "There is no such %s.", config_kinds[ref->kind].noun);
}

/* PUT and PATCH on `exists`; the precondition is for a change only. */
static int apply_body(struct change *c, const struct config_request *rq, const json_t *view, bool exists,
		      enum config_outcome *ret_outcome)
{
	uint64_t revision = config_revision(c->config, &rq->ref);
	json_t *body;
	int rc;

	if (rq->op == CONFIG_PATCH && (!exists || check_precondition(c, &rq->precondition, exists, revision) < 0))
		return exists ? -1 : no_such(c, &rq->ref);
	if (!exists && check_precondition(c, &rq->precondition, exists, revision) < 0)
		return -1;
	if (rq->op == CONFIG_PATCH && !json_is_object(rq->body))
		return refuse(c, 422, "validation-failed", NULL, "A merge patch must be an object.");
	body = rq->op == CONFIG_PATCH ? merge_patch(view, rq->body, PATCH_DEPTH_MAX) : json_incref((json_t *)rq->body);
	if (!body && rq->op == CONFIG_PATCH)
		return refuse_memory(c);
	rc = change_put(c, &rq->ref, body, ret_outcome);
	json_decref(body);
	if (rc == 0 && (*ret_outcome != CONFIG_SAME || rq->precondition.absent))
		rc = check_precondition(c, &rq->precondition, exists, revision);
	return rc;
}

static int apply_delete(struct change *c, const struct config_request *rq, bool exists)
{
	if (!exists || (config_kinds[rq->ref.kind].singleton && !config_find(c->config, &rq->ref)))
		return no_such(c, &rq->ref);
	if (check_precondition(c, &rq->precondition, true, config_revision(c->config, &rq->ref)) < 0)
		return -1;
	return change_delete(c, &rq->ref, rq->force);
}

static int apply(struct change *c, const struct config_request *rq, struct config_result *ret)
{
	bool exists = config_find(c->config, &rq->ref) || config_kinds[rq->ref.kind].singleton;
	int rc;

	if (rq->op == CONFIG_IMPORT) {
		ret->outcome = CONFIG_CHANGED;
		ret->diff = json_array();
		rc = ret->diff ? change_import(c, rq->body, rq->prune, ret->diff) : refuse_memory(c);
		if (rc == 0 && json_array_size(ret->diff) == 0)
			ret->outcome = CONFIG_SAME;
		return rc;
	}
	ret->before = config_view(c->config, &rq->ref);
	if (rq->op == CONFIG_DELETE) {
		ret->outcome = CONFIG_DELETED;
		return apply_delete(c, rq, exists);
	}
	return apply_body(c, rq, ret->before, exists, &ret->outcome);
}

/* --- results --- */

/* References that the old content has and the new has not. */
static json_t *dropped_references(const json_t *before, const json_t *after)
{
	json_t *old = json_array(), *new = json_array(), *kept = json_object(), *dropped = json_array(), *entry;
	size_t n;
	int rc = secret_references(before, after, old) | secret_references(after, before, new);

	json_array_foreach(new, n, entry)
		rc |= json_object_set_new(kept, json_string_value(entry), json_true());
	json_array_foreach(old, n, entry) {
		if (!json_object_get(kept, json_string_value(entry)))
			rc |= json_array_append(dropped, entry);
	}
	json_decref(old);
	json_decref(new);
	json_decref(kept);
	if (rc == 0 && dropped)
		return dropped;
	json_decref(dropped);
	return NULL;
}

static int finish_references(struct change *c, const json_t *before, struct config_result *ret)
{
	ret->secrets_drop = dropped_references(before, c->config);
	if (!ret->secrets_drop)
		return refuse_memory(c);
	if (json_array_size(ret->secrets_drop) == 0) {
		json_decref(ret->secrets_drop);
		ret->secrets_drop = NULL;
	}
	if (json_object_size(c->added))
		ret->secrets_add = json_incref(c->added);
	return 0;
}

static int finish(struct change *c, const json_t *before, const struct config_request *rq, struct config_result *ret)
{
	if (ret->outcome == CONFIG_SAME) {
		ret->config = before ? json_incref((json_t *)before) : json_incref(c->config);
	} else {
		bool ports = c->copied & (1u << CONFIG_TARGET | 1u << CONFIG_PORTAL);

		if ((ports && rules_allot_ports(c) < 0) || rules_check_secrets(c) < 0 ||
		    finish_references(c, before, ret) < 0)
			return -1;
		ret->config = json_incref(c->config);
	}
	if (rq->op == CONFIG_IMPORT || ret->outcome == CONFIG_DELETED)
		return 0;
	ret->after = config_view(ret->config, &rq->ref);
	ret->revision = config_revision(ret->config, &rq->ref);
	return ret->after ? 0 : refuse_memory(c);
}

static json_t *empty_config(void)
{
	return json_pack("{s:i}", "format", CONFIG_FORMAT);
}

int config_change(const json_t *config, const json_t *secrets, const struct config_request *request,
		  const struct config_env *env, struct config_result *ret, struct problem *problem)
{
	struct config_result result = { 0 };
	struct change c = {
		.config = config ? json_copy((json_t *)config) : empty_config(), .secrets = secrets, .env = env,
		.import = request->op == CONFIG_IMPORT, .added = json_object(), .pointers = json_object(), .problem = problem,
	};
	int rc;

	memset(problem, 0, sizeof *problem);
	if (!c.config || !c.added || !c.pointers)
		rc = refuse_memory(&c);
	else
		rc = apply(&c, request, &result) < 0 || finish(&c, config, request, &result) < 0 ? -1 : 0;
	json_decref(c.config);
	json_decref(c.added);
	json_decref(c.pointers);
	json_decref(c.identities);
	if (rc < 0)
		config_result_fini(&result);
	else
		*ret = result;
	return rc;
}
