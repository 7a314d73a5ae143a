/*
 * The null store: writes are discarded, reads are zeroes. It measures everything above the store. Every object exists,
 * of any size; nothing is kept.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/store/driver.h"

#define NULL_OBJECT_BYTES_MAX (UINT64_C(1) << 50)

static struct store *null_open(const json_t *params, const char *state_dir, struct err *err)
{
	struct store *store = calloc(1, sizeof *store);

	(void)params, (void)state_dir;
	if (!store) {
		err_errno(err, -ENOMEM, "cannot open the null store");
		return NULL;
	}
	store->limits = (struct store_limits){
		.object_bytes_max = NULL_OBJECT_BYTES_MAX,
		.align_bytes = 512,
		.unmap_granularity_bytes = 4096,
		.unmap_zeroes = true,
	};
	return store;
}

static void null_close(struct store *store)
{
	free(store);
}

static int null_create(struct store *store, const char *id, uint64_t size_bytes, bool thin, struct err *err)
{
	(void)store, (void)id, (void)size_bytes, (void)thin, (void)err;
	return 0;
}

static int null_remove(struct store *store, const char *id, struct err *err)
{
	(void)store, (void)id, (void)err;
	return 0;
}

static int null_allocated(struct store *store, const char *id, uint64_t *ret_bytes)
{
	(void)store, (void)id;
	*ret_bytes = 0;
	return 0;
}

static int null_list(struct store *store, void (*each)(const char *id, uint64_t age_s, void *arg), void *arg,
		     struct err *err)
{
	(void)store, (void)each, (void)arg, (void)err;
	return 0;
}

static int null_space(struct store *store, uint64_t *ret_total_bytes, uint64_t *ret_free_bytes)
{
	*ret_total_bytes = *ret_free_bytes = store->limits.object_bytes_max;
	return 0;
}

static int null_object_open(struct store *store, const char *id, uint64_t size_bytes, bool read_only,
			    struct store_object **ret_object, struct err *err)
{
	struct store_object *object = calloc(1, sizeof *object);

	(void)store, (void)size_bytes, (void)read_only;
	if (!object)
		return err_errno(err, -ENOMEM, "cannot open object %s", id);
	*ret_object = object;
	return 0;
}

static void null_object_close(struct store_object *object)
{
	free(object);
}

static int null_object_writable(struct store_object *object, struct err *err)
{
	(void)object, (void)err;
	return 0;
}

static int null_object_grown(struct store_object *object, uint64_t size_bytes)
{
	(void)object, (void)size_bytes;
	return 0;
}

static int null_object_extent(struct store_object *object, uint64_t offset_bytes, bool *ret_mapped,
			      uint64_t *ret_len_bytes)
{
	*ret_mapped = false;
	*ret_len_bytes = atomic_load(&object->size_bytes) - offset_bytes;
	return 0;
}

/* Zeroed and not left as it is: the buffers come from a pool and hold other sessions' data. */
static void null_read(struct store_ctx *ctx, struct store_io *io)
{
	for (unsigned i = 0; i < io->iov_count; i++)
		memset(io->iov[i].iov_base, 0, io->iov[i].iov_len);
	store_complete_inline(ctx, io, 0);
}

static void null_done(struct store_ctx *ctx, struct store_io *io)
{
	store_complete_inline(ctx, io, 0);
}

const struct store_ops store_null_ops = {
	.kind = "null",
	.open = null_open,
	.close = null_close,
	.create = null_create,
	.resize = null_create,
	.remove = null_remove,
	.allocated = null_allocated,
	.list = null_list,
	.space = null_space,
	.object_open = null_object_open,
	.object_close = null_object_close,
	.object_writable = null_object_writable,
	.object_grown = null_object_grown,
	.object_extent = null_object_extent,
	.submit = {
		[STORE_READ] = null_read,
		[STORE_WRITE] = null_done,
		[STORE_FLUSH] = null_done,
		[STORE_UNMAP] = null_done,
	},
};
