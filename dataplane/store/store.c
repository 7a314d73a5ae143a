/* What is the same for every driver: the table of drivers, and the checks before a driver is called. */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "dataplane/store/driver.h"
#include "json_text.h"

static const struct store_ops *const drivers[] = {
	&store_file_ops,
	&store_memory_ops,
	&store_null_ops,
	&store_fault_ops,
};

static const struct store_ops *driver_find(const char *kind)
{
	for (size_t i = 0; i < sizeof drivers / sizeof drivers[0]; i++)
		if (kind && strcmp(drivers[i]->kind, kind) == 0)
			return drivers[i];
	return NULL;
}

struct store *store_open(const char *kind, const char *params_json, const char *state_dir, struct err *err)
{
	const struct store_ops *ops = driver_find(kind);
	json_error_t where;
	json_t *params;
	struct store *store = NULL;

	if (!ops) {
		err_set(err, -EINVAL, "there is no store of kind \"%.32s\"", kind ? kind : "");
		return NULL;
	}
	params = params_json ? json_read(params_json, strlen(params_json), JSON_REJECT_DUPLICATES, &where) : json_object();
	if (!json_is_object(params))
		err_set(err, -EINVAL, "the parameters of the %s store are not a JSON object", kind);
	else
		store = ops->open(params, state_dir, err);
	json_decref(params);
	if (store)
		store->ops = ops;
	return store;
}

void store_close(struct store *store)
{
	if (store)
		store->ops->close(store);
}

const char *store_kind(const struct store *store)
{
	return store->ops->kind;
}

void store_get_limits(const struct store *store, struct store_limits *ret_limits)
{
	*ret_limits = store->limits;
}

bool store_object_id_valid(const char *id)
{
	size_t len = strspn(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-");

	return len > 0 && len < STORE_OBJECT_ID_MAX && id[len] == '\0' && id[0] != '.';
}

static int check_id(const char *id, struct err *err)
{
	if (store_object_id_valid(id))
		return 0;
	return err_set(err, -EINVAL, "\"%.32s\" cannot be the id of an object", id);
}

static int check_size(const struct store *store, const char *id, uint64_t size_bytes, struct err *err)
{
	if (size_bytes == 0)
		return err_set(err, -EINVAL, "object %s: the size is 0", id);
	if (size_bytes > store->limits.object_bytes_max)
		return err_set(err, -EFBIG, "object %s: %llu bytes are more than one object of the store holds (%llu)",
			       id, (unsigned long long)size_bytes, (unsigned long long)store->limits.object_bytes_max);
	return 0;
}

int store_object_create(struct store *store, const char *object_id, uint64_t size_bytes, bool thin, struct err *err)
{
	int rc = check_id(object_id, err);

	if (rc == 0)
		rc = check_size(store, object_id, size_bytes, err);
	if (rc < 0)
		return rc;
	if (!store->ops->create)
		return err_set(err, -EOPNOTSUPP, "the %s store cannot create objects", store->ops->kind);
	return store->ops->create(store, object_id, size_bytes, thin, err);
}

int store_object_resize(struct store *store, const char *object_id, uint64_t size_bytes, bool thin, struct err *err)
{
	int rc = check_id(object_id, err);

	if (rc == 0)
		rc = check_size(store, object_id, size_bytes, err);
	if (rc < 0)
		return rc;
	if (!store->ops->resize)
		return err_set(err, -EOPNOTSUPP, "the %s store cannot resize objects", store->ops->kind);
	return store->ops->resize(store, object_id, size_bytes, thin, err);
}

int store_object_remove(struct store *store, const char *object_id, struct err *err)
{
	int rc = check_id(object_id, err);

	if (rc < 0)
		return rc;
	if (!store->ops->remove)
		return err_set(err, -EOPNOTSUPP, "the %s store cannot remove objects", store->ops->kind);
	return store->ops->remove(store, object_id, err);
}

int store_object_allocated(struct store *store, const char *object_id, uint64_t *ret_bytes)
{
	if (!store_object_id_valid(object_id))
		return -EINVAL;
	return store->ops->allocated ? store->ops->allocated(store, object_id, ret_bytes) : -EOPNOTSUPP;
}

int store_object_list(struct store *store, void (*each)(const char *object_id, uint64_t age_s, void *arg), void *arg,
		      struct err *err)
{
	if (!store->ops->list)
		return err_set(err, -EOPNOTSUPP, "the %s store cannot list objects", store->ops->kind);
	return store->ops->list(store, each, arg, err);
}

int store_space(struct store *store, uint64_t *ret_total_bytes, uint64_t *ret_free_bytes)
{
	return store->ops->space ? store->ops->space(store, ret_total_bytes, ret_free_bytes) : -EOPNOTSUPP;
}

int store_object_open(struct store *store, const char *object_id, uint64_t size_bytes, bool read_only,
		      struct store_object **ret_object, struct err *err)
{
	struct store_object *object;
	int rc = check_id(object_id, err);

	if (rc < 0)
		return rc;
	if (!store->ops->object_open)
		return err_set(err, -EOPNOTSUPP, "the %s store cannot open objects", store->ops->kind);
	rc = store->ops->object_open(store, object_id, size_bytes, read_only, &object, err);
	if (rc < 0)
		return rc;
	object->ops = store->ops;
	object->store = store;
	atomic_store(&object->read_only, read_only);
	atomic_store(&object->size_bytes, size_bytes);
	strcpy(object->id, object_id); /* check_id: it fits */
	*ret_object = object;
	return 0;
}

void store_object_close(struct store_object *object)
{
	if (object)
		object->ops->object_close(object);
}

int store_object_make_writable(struct store_object *object, struct err *err)
{
	int rc;

	if (!atomic_load(&object->read_only))
		return 0;
	if (!object->ops->object_writable)
		return err_set(err, -EOPNOTSUPP, "object %s cannot become writable", object->id);
	rc = object->ops->object_writable(object, err);
	if (rc == 0)
		atomic_store(&object->read_only, false);
	return rc;
}

int store_object_grown(struct store_object *object, uint64_t size_bytes)
{
	int rc;

	if (size_bytes < atomic_load(&object->size_bytes))
		return -EINVAL;
	rc = object->ops->object_grown ? object->ops->object_grown(object, size_bytes) : -EOPNOTSUPP;
	if (rc == 0)
		atomic_store(&object->size_bytes, size_bytes);
	return rc;
}

int store_object_extent(struct store_object *object, uint64_t offset_bytes, bool *ret_mapped, uint64_t *ret_len_bytes)
{
	if (offset_bytes >= atomic_load(&object->size_bytes))
		return -EINVAL;
	if (!object->ops->object_extent)
		return -EOPNOTSUPP;
	return object->ops->object_extent(object, offset_bytes, ret_mapped, ret_len_bytes);
}
