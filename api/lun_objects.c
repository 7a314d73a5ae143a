/*
 * LUNs and their backend objects. What a commit has made is remembered in `made` (LUN id -> what), so that a second attempt
 * makes nothing twice and a failed one takes everything back.
 *
 * Locks: a commit holds `commits` shared, the reaper exclusively: it never sees a LUN half made. A commit that grows a LUN
 * holds `growing` from its first grow to its end, so that two never extend the same objects. Order: commits, growing.
 */
#include "api/lun_objects.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "cluster/secrets.h"
#include "dataplane/lun/lun.h"
#include "dataplane/store/store.h"
#include "json_text.h"
#include "log.h"

static pthread_rwlock_t commits = PTHREAD_RWLOCK_INITIALIZER;
static pthread_mutex_t growing = PTHREAD_MUTEX_INITIALIZER;

/* Documents <kind>/<lun id> that go with a LUN. */
static const char *const lun_documents[] = { "map", "reservation", "sanitize", "identifying", "atomic" };

struct lun_commit {
	struct docstore *documents;
	const char *state_dir;
	json_t *made;       /* LUN id -> {"store", "map", "old" (grown from; absent: new), "version" (of map/<id>)} */
	bool growing;       /* we hold the lock */
};

static const char *text_of(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text ? text : "";
}

static json_int_t integer_of(const json_t *object, const char *name)
{
	return json_integer_value(json_object_get(object, name));
}

static json_t *luns_of(const json_t *config)
{
	return (json_t *)config_map(config, CONFIG_LUN, NULL);
}

#define DOCUMENT_NAME_MAX 256

static void document_name(char ret_name[DOCUMENT_NAME_MAX], const char *kind, const char *id)
{
	snprintf(ret_name, DOCUMENT_NAME_MAX, "%s/%.230s", kind, id);
}

/* The store of a LUN, opened; NULL with *err. store: {"kind", "params"}. */
static struct store *open_store(const json_t *store, const char *state_dir, struct err *err)
{
	char *params = json_text(json_object_get(store, "params"), JSON_COMPACT);
	struct store *opened = NULL;

	if (params)
		opened = store_open(text_of(store, "kind"), params, state_dir, err);
	else
		err_set(err, -ENOMEM, "out of memory");
	free(params);
	return opened;
}

/* Bytes that a map covers. */
static json_int_t map_bytes(const json_t *map)
{
	const json_t *objects = json_object_get(map, "objects");
	const json_t *last = json_array_get(objects, json_array_size(objects) - 1);

	return (integer_of(last, "first_lba") + integer_of(last, "blocks")) * integer_of(map, "block_size");
}

static int out_of_memory(struct err *err)
{
	return err_set(err, -ENOMEM, "out of memory");
}

/* --- create and grow --- */

/* Objects of the plan that `old` has not may be left from a grow that was cut off: they hold nothing that anybody saw. */
static int remove_leftovers(struct store *store, const json_t *old, const json_t *plan, struct err *err)
{
	const json_t *objects = json_object_get(plan, "objects");
	int rc = 0;

	for (size_t i = json_array_size(json_object_get(old, "objects")); rc == 0 && i < json_array_size(objects); i++)
		rc = store_object_remove(store, text_of(json_array_get(objects, i), "id"), err);
	return rc;
}

static int remember(struct lun_commit *c, const char *id, const json_t *store, const json_t *old, const json_t *plan,
		    uint64_t version, struct err *err)
{
	json_t *entry = json_pack("{s:O, s:O, s:O*, s:I}", "store", store, "map", plan, "old", old, "version",
				  (json_int_t)version);

	return json_object_set_new(c->made, id, entry) < 0 ? out_of_memory(err) : 0;
}

/* Objects, then map/<id>. Takes the objects back when the map is not published. */
static int allocate_and_publish(struct lun_commit *c, struct store *store, const json_t *store_json, const json_t *lun,
				const json_t *old, const json_t *plan, uint64_t version, struct err *err)
{
	const char *id = text_of(lun, "id");
	json_t *earlier;
	char name[DOCUMENT_NAME_MAX];
	int rc = old ? remove_leftovers(store, old, plan, err) : 0;

	document_name(name, "map", id);
	if (rc == 0)
		rc = lun_map_allocate(store, old, plan, json_is_true(json_object_get(lun, "thin")), err);
	if (rc < 0)
		return rc;
	/* remembered first: what is made and not remembered could not be taken back */
	earlier = json_incref(json_object_get(c->made, id));
	rc = remember(c, id, store_json, old, plan, version + 1, err);
	if (rc == 0)
		rc = docstore_publish(c->documents, name, plan, version, NULL, err);
	if (rc < 0 && json_object_set(c->made, id, earlier) < 0)
		json_object_del(c->made, id);
	json_decref(earlier);
	if (rc < 0 && rc != -EIO) /* then the map may be there, and its objects must be; the reaper decides later */
		remove_leftovers(store, old, plan, NULL);
	return rc;
}

static int make_lun(struct lun_commit *c, const json_t *config, const json_t *lun, const json_t *old, uint64_t version,
		    struct err *err)
{
	json_t *store_json = config_store(config, text_of(lun, "store"), c->state_dir), *plan = NULL;
	struct store *store = store_json ? open_store(store_json, c->state_dir, err) : NULL;
	struct store_limits limits;
	int rc = -EINVAL;

	if (!store_json)
		rc = err_set(err, -ENOENT, "there is no store %s", text_of(lun, "store"));
	else if (!store)
		rc = err ? err->code : -EIO;
	if (store) {
		store_get_limits(store, &limits);
		plan = lun_map_plan(old, text_of(lun, "id"), (uint64_t)integer_of(lun, "size_bytes"),
				    (uint32_t)integer_of(lun, "block_size"),
				    (uint64_t)integer_of(lun, "target_object_size_bytes"), &limits, err);
		rc = plan ? allocate_and_publish(c, store, store_json, lun, old, plan, version, err) :
			    (err && err->code ? err->code : -EINVAL);
		store_close(store);
	}
	json_decref(plan);
	json_decref(store_json);
	return rc;
}

static int grow_lun(struct lun_commit *c, const json_t *config, const json_t *lun, struct err *err)
{
	char name[DOCUMENT_NAME_MAX];
	json_t *old;
	uint64_t version;
	int rc;

	if (!c->growing)
		pthread_mutex_lock(&growing);
	c->growing = true;
	document_name(name, "map", text_of(lun, "id"));
	rc = docstore_load(c->documents, name, &old, &version, err);
	if (rc < 0)
		return rc;
	if (!old)
		return err_set(err, -ENOENT, "the LUN has no map");
	if (map_bytes(old) < integer_of(lun, "size_bytes"))
		rc = make_lun(c, config, lun, old, version, err);
	json_decref(old);
	return rc;
}

/* Whether an earlier attempt of this commit made it already, as large as it is wanted. */
static bool already_made(const struct lun_commit *c, const json_t *lun)
{
	const json_t *entry = json_object_get(c->made, text_of(lun, "id"));

	return entry && map_bytes(json_object_get(entry, "map")) >= integer_of(lun, "size_bytes");
}

static int prepare(void *arg, const json_t *before, const json_t *after, struct err *err)
{
	struct lun_commit *c = arg;
	const char *name;
	json_t *lun;

	json_object_foreach(luns_of(after), name, lun) {
		const json_t *old = json_object_get(luns_of(before), name);
		int rc = 0;

		if (old == lun || already_made(c, lun))
			continue;
		if (!old)
			rc = make_lun(c, after, lun, NULL, 0, err);
		else if (integer_of(old, "size_bytes") < integer_of(lun, "size_bytes"))
			rc = grow_lun(c, after, lun, err);
		if (rc < 0)
			return err_wrap(err, "cannot %s LUN %s", old ? "grow" : "create", name), rc;
	}
	return 0;
}

/* --- taking back and removing --- */

/* The store and the objects of a map from `first` on. Trouble is logged: the reaper comes again. */
static void remove_objects(struct lun_commit *c, const json_t *store_json, const json_t *old, const json_t *map)
{
	struct err err = { 0 };
	struct store *store = open_store(store_json, c->state_dir, &err);

	if (!store || remove_leftovers(store, old, map, &err) < 0)
		log_warning("objects of a LUN stay for a while: %s", err.text);
	store_close(store);
}

static int remove_document_change(json_t **content, uint64_t version, void *arg, struct err *err)
{
	(void)version, (void)arg, (void)err;
	json_decref(*content);
	*content = NULL;
	return 0;
}

static int remove_document(struct lun_commit *c, const char *kind, const char *id)
{
	struct err err;
	char name[DOCUMENT_NAME_MAX];
	int rc;

	document_name(name, kind, id);
	rc = docstore_update(c->documents, name, remove_document_change, NULL, NULL, &err);
	if (rc < 0)
		log_warning("a document of what was removed stays for a while: %s", err.text);
	return rc;
}

/* Back to the old map, under a later generation: a worker may have seen the new one. */
static int restore_map(struct lun_commit *c, const char *id, const json_t *entry)
{
	json_t *map = json_copy(json_object_get(entry, "old"));
	json_int_t generation = integer_of(json_object_get(entry, "map"), "generation") + 1;
	struct err err;
	char name[DOCUMENT_NAME_MAX];
	int rc = -ENOMEM;

	document_name(name, "map", id);
	err_set(&err, rc, "out of memory");
	if (json_object_set_new(map, "generation", json_integer(generation)) == 0)
		rc = docstore_publish(c->documents, name, map, (uint64_t)integer_of(entry, "version"), NULL, &err);
	if (rc < 0)
		log_warning("the map of a LUN stays larger than the LUN: %s", err.text);
	json_decref(map);
	return rc;
}

static void abandon(void *arg)
{
	struct lun_commit *c = arg;
	const char *id;
	json_t *entry;

	json_object_foreach(c->made, id, entry) {
		const json_t *old = json_object_get(entry, "old");

		if ((old ? restore_map(c, id, entry) : remove_document(c, "map", id)) == 0)
			remove_objects(c, json_object_get(entry, "store"), old, json_object_get(entry, "map"));
	}
}

static void remove_lun(struct lun_commit *c, const json_t *config, const json_t *lun)
{
	const char *id = text_of(lun, "id");
	json_t *store_json = config_store(config, text_of(lun, "store"), c->state_dir), *map = NULL;
	struct err err = { 0 };
	char name[DOCUMENT_NAME_MAX];
	uint64_t version;

	document_name(name, "map", id);
	if (docstore_load(c->documents, name, &map, &version, &err) < 0)
		log_warning("objects of a LUN stay for a while: %s", err.text);
	for (unsigned i = 0; i < sizeof lun_documents / sizeof lun_documents[0]; i++)
		remove_document(c, lun_documents[i], id);
	if (map && store_json)
		remove_objects(c, store_json, NULL, map);
	json_decref(map);
	json_decref(store_json);
}

/* What initiators set on a target that is gone must not hold for another of its name. */
static void forget_targets(struct lun_commit *c, const json_t *before, const json_t *after)
{
	const json_t *left = config_map(after, CONFIG_TARGET, NULL);
	const char *name;
	json_t *target;

	json_object_foreach((json_t *)config_map(before, CONFIG_TARGET, NULL), name, target)
		if (!json_object_get(left, name) && json_is_true(json_object_get(target, "explicit_alua")))
			remove_document(c, "alua", name);
}

static void finish(void *arg, const json_t *before, const json_t *after)
{
	struct lun_commit *c = arg;
	const char *name;
	json_t *lun;

	forget_targets(c, before, after);

	json_object_foreach(luns_of(before), name, lun) {
		const json_t *now = json_object_get(luns_of(after), name);

		if (!now || strcmp(text_of(now, "id"), text_of(lun, "id")) != 0)
			remove_lun(c, before, lun);
	}
}

/* The caller holds `commits`. */
static int commit_locked(struct docstore *store, const char *state_dir, const struct config_request *request, bool dry_run,
			 struct config_result *ret, uint64_t *ret_version, struct problem *problem, struct err *err)
{
	struct lun_commit c = { .documents = store, .state_dir = state_dir, .made = json_object() };
	const struct commit_hooks hooks = { prepare, abandon, finish, &c };
	int rc = c.made ? config_commit(store, request, &hooks, dry_run, ret, ret_version, problem, err) : out_of_memory(err);

	if (c.growing)
		pthread_mutex_unlock(&growing);
	json_decref(c.made);
	return rc;
}

int lun_objects_commit(struct docstore *store, const char *state_dir, const struct config_request *request, bool dry_run,
		       struct config_result *ret, uint64_t *ret_version, struct problem *problem, struct err *err)
{
	int rc;

	pthread_rwlock_rdlock(&commits);
	rc = commit_locked(store, state_dir, request, dry_run, ret, ret_version, problem, err);
	pthread_rwlock_unlock(&commits);
	return rc;
}

/* --- reaping --- */

struct reap {
	struct lun_commit c;
	json_t *config;
	json_t *ids;        /* LUN id -> name */
	json_t *used;       /* object id -> true */
	unsigned age_s;
	struct store *store; /* at work on */
	json_t *found;      /* object ids to remove from it */
};

/* A grow that was cut off after map/<id>: the administrator's wish is on disk, so it is carried out. */
static void complete_grow(struct reap *r, const char *name, const json_t *lun, const json_t *map)
{
	json_t *body = json_pack("{s:I}", "size_bytes", map_bytes(map));
	struct config_request rq = { .op = CONFIG_PATCH, .ref = { CONFIG_LUN, name, NULL }, .body = body,
				     .precondition = { .count = 1, .revisions = { (uint64_t)integer_of(lun, "revision") } } };
	struct config_result result = { 0 };
	struct problem problem = { 0 };
	struct err err = { 0 };
	uint64_t version;

	if (commit_locked(r->c.documents, r->c.state_dir, &rq, false, &result, &version, &problem, &err) != 0)
		log_warning("a grow that was cut off stays so lun=\"%s\": %s%s", name, problem.detail, err.text);
	else
		log_notice("a grow that was cut off is complete lun=\"%s\" size_bytes=%" JSON_INTEGER_FORMAT, name, map_bytes(map));
	config_result_fini(&result);
	json_decref(body);
}

/* Every object of every configured LUN; a map that cannot be read ends the reaping. */
static int collect_used(struct reap *r, struct err *err)
{
	const char *name;
	json_t *lun, *object;

	json_object_foreach(luns_of(r->config), name, lun) {
		char document[DOCUMENT_NAME_MAX];
		json_t *map;
		uint64_t version;
		size_t n;
		int rc;

		document_name(document, "map", text_of(lun, "id"));
		rc = docstore_load(r->c.documents, document, &map, &version, err);
		if (rc < 0)
			return rc;
		if (!map)
			return err_set(err, -ENOENT, "LUN %s has no map", name);
		json_array_foreach(json_object_get(map, "objects"), n, object)
			rc |= json_object_set_new(r->used, text_of(object, "id"), json_true());
		rc |= json_object_set_new(r->ids, text_of(lun, "id"), json_string(name));
		if (rc == 0 && map_bytes(map) > integer_of(lun, "size_bytes"))
			complete_grow(r, name, lun, map);
		json_decref(map);
		if (rc < 0)
			return out_of_memory(err);
	}
	return 0;
}

/* Documents <kind>/<name> of what is not known any more. */
static int reap_documents(struct reap *r, const char *kind, const json_t *known, struct err *err)
{
	char prefix[32];
	json_t *names, *name;
	size_t n;
	int rc;

	snprintf(prefix, sizeof prefix, "%s/", kind);
	rc = docstore_list(r->c.documents, prefix, &names, err);
	if (rc < 0)
		return rc;
	json_array_foreach(names, n, name) {
		const char *id = json_string_value(name) + strlen(prefix);

		if (!json_object_get(known, id))
			remove_document(&r->c, kind, id);
	}
	json_decref(names);
	return 0;
}

static void look_at_object(const char *object_id, uint64_t age_s, void *arg)
{
	struct reap *r = arg;

	if (age_s >= r->age_s && !json_object_get(r->used, object_id))
		json_array_append_new(r->found, json_string(object_id));
}

/* How many objects were removed from one store; negative errno. */
static int reap_store(struct reap *r, const char *name, struct err *err)
{
	json_t *store_json = config_store(r->config, name, r->c.state_dir), *object;
	int rc, removed = 0;
	size_t n;

	r->store = store_json ? open_store(store_json, r->c.state_dir, err) : NULL;
	json_decref(store_json);
	if (!r->store)
		return err && err->code ? err->code : -EIO;
	r->found = json_array();
	rc = store_object_list(r->store, look_at_object, r, err);
	json_array_foreach(r->found, n, object) {
		if (rc == 0)
			rc = store_object_remove(r->store, json_string_value(object), err);
		if (rc == 0) {
			log_notice("removed an object that no LUN has store=\"%s\" object=%s", name, json_string_value(object));
			removed++;
		}
	}
	json_decref(r->found);
	store_close(r->store);
	return rc < 0 && rc != -EOPNOTSUPP ? rc : removed;
}

static int reap_stores(struct reap *r, struct err *err)
{
	json_t *stores = json_copy((json_t *)config_map(r->config, CONFIG_STORE, NULL)), *store;
	const char *name;
	int removed = 0;

	if (!stores)
		stores = json_object();
	if (!json_object_get(stores, "default") && json_object_set_new(stores, "default", json_true()) < 0)
		return out_of_memory(err);
	json_object_foreach(stores, name, store) {
		int rc = reap_store(r, name, err);

		if (rc < 0)
			log_warning("cannot look for orphaned objects store=\"%s\": %s", name, err ? err->text : "");
		else
			removed += rc;
	}
	json_decref(stores);
	return removed;
}

static int reap_all(struct reap *r, struct err *err)
{
	uint64_t version;
	int rc = docstore_load(r->c.documents, CONFIG_DOCUMENT, &r->config, &version, err);

	if (rc == 0 && (!r->ids || !r->used))
		rc = out_of_memory(err);
	if (rc == 0)
		rc = collect_used(r, err);
	for (unsigned i = 0; rc == 0 && i < sizeof lun_documents / sizeof lun_documents[0]; i++)
		rc = reap_documents(r, lun_documents[i], r->ids, err);
	if (rc == 0)
		rc = reap_documents(r, "alua", config_map(r->config, CONFIG_TARGET, NULL), err);
	return rc < 0 ? rc : reap_stores(r, err);
}

int lun_objects_reap(struct docstore *store, const char *state_dir, unsigned age_s, struct err *err)
{
	struct reap r = { .c = { .documents = store, .state_dir = state_dir }, .ids = json_object(), .used = json_object(),
			  .age_s = age_s };
	struct err local = { 0 };
	int rc, swept;

	if (!err)
		err = &local;
	pthread_rwlock_wrlock(&commits);
	rc = reap_all(&r, err);
	swept = config_sweep_secrets(store, SECRETS_ORPHAN_AGE_MS, &local);
	pthread_rwlock_unlock(&commits);
	if (swept < 0)
		log_warning("cannot look for orphaned CHAP secrets: %s", local.text);
	json_decref(r.config);
	json_decref(r.ids);
	json_decref(r.used);
	return rc;
}
