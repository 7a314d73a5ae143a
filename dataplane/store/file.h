/* The file store's two halves share this: file.c opens and manages, file_io.c does the I/O. Not for others. */
#ifndef LUNETTE_STORE_FILE_H
#define LUNETTE_STORE_FILE_H

#include "dataplane/store/driver.h"
#include "dataplane/store/range_lock.h"

struct file_store {
	struct store store;
	char *path;
	int dir_fd;
	bool direct;           /* the file system takes O_DIRECT */
	uint32_t offset_align; /* of O_DIRECT, for offsets and lengths; 1 when buffered */
	uint32_t memory_align; /* of O_DIRECT, for addresses */
};

struct file_object {
	struct store_object object;
	int fd;
	uint32_t offset_mask, memory_mask; /* alignment - 1; 0 when buffered */
	bool serialise;                    /* a sector holds several blocks (store rule 6) */
	bool buffered;
	_Atomic bool flush_failed;         /* buffered: the page cache forgets what it could not write, we do not */
	struct range_locks sectors;
};

/* io->driver of the file store. */
struct file_io {
	struct store_aio aio;
	struct range_lock sectors; /* taken when object->serialise and the op is WRITE or UNMAP */
	bool bounced;
};

static inline struct file_object *file_object(struct store_object *object)
{
	return container_of(object, struct file_object, object);
}

void file_rw(struct store_ctx *ctx, struct store_io *io);
void file_flush(struct store_ctx *ctx, struct store_io *io);
void file_unmap(struct store_ctx *ctx, struct store_io *io);

#endif
