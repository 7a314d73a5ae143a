/*
 * The file store: an object is a sparse file DIR/<object id>. This half opens, creates, removes; file_io.c does
 * the I/O.
 *
 * Durability: create and remove return after fsync of the file and of the directory, resize after fsync of the file. A
 * file is as large as its object, rounded up to FILE_ROUND_BYTES, so that the last sector is whole.
 *
 * Locks: an opened object holds an OFD lock on its file (exclusive when writable, shared when read-only). It belongs to
 * the open file description, so it goes away with the process, however that ends.
 *
 * At open, a nameless file in DIR tells what the file system can do: O_DIRECT and its alignment, hole
 * punching, the largest file.
 *
 * Parameter: "path": DIR; absolute, or STATE/store when absent. It is made when it is not there, mode 0700.
 */
#include "dataplane/store/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "log.h"

#define FILE_ROUND_BYTES 4096
#define SECTOR_MIN       512
#define SECTOR_MAX       4096

static struct file_store *file_store(struct store *store)
{
	return container_of(store, struct file_store, store);
}

static off_t file_bytes(uint64_t size_bytes)
{
	return (off_t)((size_bytes + FILE_ROUND_BYTES - 1) / FILE_ROUND_BYTES * FILE_ROUND_BYTES);
}

/* ---- opening the store ---- */

/* mkdir -p, without touching what is there. */
static int make_path(const char *path)
{
	char part[4096];
	size_t len = strlen(path);

	if (len == 0 || len >= sizeof part)
		return -ENAMETOOLONG;
	memcpy(part, path, len + 1);
	for (char *slash = strchr(part + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(part, 0700) < 0 && errno != EEXIST)
			return -errno;
		*slash = '/';
	}
	return mkdir(part, 0700) < 0 && errno != EEXIST ? -errno : 0;
}

static char *store_path(const json_t *params, const char *state_dir)
{
	const char *path = json_string_value(json_object_get(params, "path"));
	char *made = NULL;

	if (path)
		return path[0] == '/' ? strdup(path) : NULL;
	if (!state_dir || asprintf(&made, "%s/store", state_dir) < 0)
		return NULL;
	return made;
}

/* The logical block size of the disk under a file; for kernels that do not tell the alignment of O_DIRECT. */
static uint32_t disk_sector_bytes(dev_t dev)
{
	static const char *const forms[] = {"/sys/dev/block/%u:%u/queue/logical_block_size",
					    "/sys/dev/block/%u:%u/../queue/logical_block_size"};
	char path[128];
	unsigned bytes = 0;

	for (size_t i = 0; i < 2 && bytes == 0; i++) {
		FILE *file;

		snprintf(path, sizeof path, forms[i], major(dev), minor(dev));
		file = fopen(path, "re");
		if (file && fscanf(file, "%u", &bytes) != 1)
			bytes = 0;
		if (file)
			fclose(file);
	}
	return bytes >= SECTOR_MIN && bytes <= SECTOR_MAX ? bytes : SECTOR_MAX;
}

static void probe_direct(struct file_store *store, int fd)
{
	struct stat st;

	store->direct = fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_DIRECT) == 0;
	store->offset_align = store->memory_align = 1;
	if (!store->direct)
		return;
	store->offset_align = store->memory_align = fstat(fd, &st) == 0 ? disk_sector_bytes(st.st_dev) : SECTOR_MAX;
#ifdef STATX_DIOALIGN
	struct statx stx;

	if (statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &stx) == 0 && (stx.stx_mask & STATX_DIOALIGN)) {
		store->direct = stx.stx_dio_offset_align != 0 && stx.stx_dio_offset_align <= SECTOR_MAX;
		store->offset_align = store->direct ? stx.stx_dio_offset_align : 1;
		store->memory_align = store->direct ? stx.stx_dio_mem_align : 1;
	}
#endif
}

static bool probe_punch(int fd)
{
	static const char byte = 1;

	return pwrite(fd, &byte, 1, 0) == 1 &&
	       fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, FILE_ROUND_BYTES) == 0;
}

/* The largest power of two that a file can be long. Beyond RLIMIT_FSIZE trying would cost a SIGXFSZ. */
static uint64_t probe_size(int fd)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_FSIZE, &limit) < 0)
		limit.rlim_cur = RLIM_INFINITY;
	for (unsigned shift = 62; shift > 30; shift--)
		if (UINT64_C(1) << shift <= limit.rlim_cur && ftruncate(fd, (off_t)1 << shift) == 0)
			return UINT64_C(1) << shift;
	return UINT64_C(1) << 30;
}

/* A file without a name; where the file system has none, with one for a moment. */
static int open_probe(const struct file_store *store)
{
	int fd = openat(store->dir_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	char name[48];

	if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != ENOENT))
		return fd;
	snprintf(name, sizeof name, ".probe-%ld-%p", (long)getpid(), (const void *)store);
	fd = openat(store->dir_fd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd >= 0)
		unlinkat(store->dir_fd, name, 0);
	return fd;
}

static int probe(struct file_store *store, struct err *err)
{
	int fd = open_probe(store);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0) {
		int rc = err_errno(err, -errno, "cannot write in \"%s\"", store->path);

		if (fd >= 0)
			close(fd);
		return rc;
	}
	store->store.limits = (struct store_limits){
		.unmap_granularity_bytes = probe_punch(fd) ? (uint32_t)st.st_blksize : 0,
		.unmap_zeroes = true,
		.volatile_cache = true, /* even with O_DIRECT: the disk's cache, and the file's own metadata */
		.object_bytes_max = probe_size(fd),
	};
	probe_direct(store, fd);
	store->store.limits.align_bytes = store->offset_align > SECTOR_MIN ? store->offset_align : SECTOR_MIN;
	close(fd);
	if (!store->direct)
		log_notice("the file system refuses O_DIRECT, the page cache is used store=%s",
			   log_quoted(store->path));
	return 0;
}

static void file_close(struct store *base)
{
	struct file_store *store = file_store(base);

	if (store->dir_fd >= 0)
		close(store->dir_fd);
	free(store->path);
	free(store);
}

static struct store *file_open(const json_t *params, const char *state_dir, struct err *err)
{
	struct file_store *store = calloc(1, sizeof *store);
	int rc;

	if (!store) {
		err_errno(err, -ENOMEM, "cannot open the file store");
		return NULL;
	}
	store->dir_fd = -1;
	store->path = store_path(params, state_dir);
	if (!store->path) {
		err_set(err, -EINVAL, "the file store needs \"path\", an absolute path");
		file_close(&store->store);
		return NULL;
	}
	rc = make_path(store->path);
	if (rc == 0) {
		store->dir_fd = open(store->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		rc = store->dir_fd < 0 ? -errno : 0;
	}
	if (rc < 0)
		err_errno(err, rc, "cannot use \"%s\" as a store", store->path);
	else
		rc = probe(store, err);
	if (rc == 0)
		return &store->store;
	file_close(&store->store);
	return NULL;
}

/* ---- management ---- */

static int set_size(int fd, uint64_t size_bytes, bool thin)
{
	struct stat st;
	off_t bytes = file_bytes(size_bytes);

	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_size >= bytes)
		return 0;
	if (!thin && fallocate(fd, 0, st.st_size, bytes - st.st_size) < 0)
		return -errno;
	if (thin && ftruncate(fd, bytes) < 0)
		return -errno;
	return fsync(fd) < 0 ? -errno : 0;
}

static int file_create(struct store *base, const char *id, uint64_t size_bytes, bool thin, struct err *err)
{
	struct file_store *store = file_store(base);
	int fd = openat(store->dir_fd, id, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	int rc;

	if (fd < 0)
		return err_errno(err, -errno, "cannot create object %s", id);
	rc = set_size(fd, size_bytes, thin);
	close(fd);
	if (rc == 0 && fsync(store->dir_fd) < 0)
		rc = -errno;
	if (rc == 0)
		return 0;
	unlinkat(store->dir_fd, id, 0);
	return err_errno(err, rc, "cannot create object %s of %llu bytes", id, (unsigned long long)size_bytes);
}

static int file_resize(struct store *base, const char *id, uint64_t size_bytes, bool thin, struct err *err)
{
	struct file_store *store = file_store(base);
	int fd = openat(store->dir_fd, id, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	int rc;

	if (fd < 0)
		return err_errno(err, -errno, "cannot resize object %s", id);
	rc = set_size(fd, size_bytes, thin);
	close(fd);
	if (rc < 0)
		return err_errno(err, rc, "cannot resize object %s to %llu bytes", id, (unsigned long long)size_bytes);
	return 0;
}

static int file_remove(struct store *base, const char *id, struct err *err)
{
	struct file_store *store = file_store(base);

	if (unlinkat(store->dir_fd, id, 0) < 0 && errno != ENOENT)
		return err_errno(err, -errno, "cannot remove object %s", id);
	if (fsync(store->dir_fd) < 0)
		return err_errno(err, -errno, "cannot remove object %s for good", id);
	return 0;
}

static int file_allocated(struct store *base, const char *id, uint64_t *ret_bytes)
{
	struct stat st;

	if (fstatat(file_store(base)->dir_fd, id, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	*ret_bytes = (uint64_t)st.st_blocks * 512;
	return 0;
}

/* Age since the last change of the inode: nobody can set it back. */
static int file_list(struct store *base, void (*each)(const char *id, uint64_t age_s, void *arg), void *arg,
		     struct err *err)
{
	struct file_store *store = file_store(base);
	int fd = openat(store->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	time_t now = time(NULL);
	struct dirent *entry;
	struct stat st;
	int rc;

	if (!dir) {
		rc = err_errno(err, -errno, "cannot list \"%s\"", store->path);
		if (fd >= 0)
			close(fd);
		return rc;
	}
	while ((errno = 0, entry = readdir(dir)))
		if (store_object_id_valid(entry->d_name) && fstatat(fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    S_ISREG(st.st_mode))
			each(entry->d_name, now > st.st_ctime ? (uint64_t)(now - st.st_ctime) : 0, arg);
	rc = errno ? err_errno(err, -errno, "cannot list \"%s\"", store->path) : 0;
	closedir(dir);
	return rc;
}

static int file_space(struct store *base, uint64_t *ret_total_bytes, uint64_t *ret_free_bytes)
{
	struct statvfs st;

	if (fstatvfs(file_store(base)->dir_fd, &st) < 0)
		return -errno;
	*ret_total_bytes = (uint64_t)st.f_blocks * st.f_frsize;
	*ret_free_bytes = (uint64_t)st.f_bavail * st.f_frsize;
	return 0;
}

/* ---- opening an object ---- */

/* type: F_RDLCK, F_WRLCK or F_UNLCK; what the description holds is converted, and kept when that is refused. */
static int lock_file(int fd, short type)
{
	struct flock lock = {.l_type = type, .l_whence = SEEK_SET};

	if (fcntl(fd, F_OFD_SETLK, &lock) == 0)
		return 0;
	return errno == EAGAIN || errno == EACCES ? -EBUSY : -errno;
}

static int check_length(int fd, uint64_t size_bytes)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size < size_bytes)
		return -EIO;
	return 0;
}

static int open_and_lock(const struct file_store *store, const char *id, uint64_t size_bytes, bool read_only,
			 struct err *err)
{
	int flags = (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
	int fd = openat(store->dir_fd, id, flags | (store->direct ? O_DIRECT : 0));
	int rc;

	if (fd < 0)
		return err_errno(err, -errno, "cannot open object %s", id);
	rc = lock_file(fd, read_only ? F_RDLCK : F_WRLCK);
	if (rc == -EBUSY) {
		err_set(err, rc, "object %s is in use by another process", id);
	} else if (rc < 0) {
		err_errno(err, rc, "cannot lock object %s", id);
	} else {
		rc = check_length(fd, size_bytes);
		if (rc < 0)
			err_set(err, rc, "object %s is shorter than the %llu bytes that the mapping says", id,
				(unsigned long long)size_bytes);
	}
	if (rc == 0)
		return fd;
	close(fd);
	return rc;
}

static int file_object_open(struct store *base, const char *id, uint64_t size_bytes, bool read_only,
			    struct store_object **ret_object, struct err *err)
{
	const struct file_store *store = file_store(base);
	struct file_object *object = calloc(1, sizeof *object);

	if (!object)
		return err_errno(err, -ENOMEM, "cannot open object %s", id);
	object->fd = open_and_lock(store, id, size_bytes, read_only, err);
	if (object->fd < 0) {
		int rc = object->fd;

		free(object);
		return rc;
	}
	object->buffered = !store->direct;
	object->offset_mask = store->offset_align - 1;
	object->memory_mask = store->memory_align - 1;
	object->serialise = store->offset_align > SECTOR_MIN;
	range_locks_init(&object->sectors);
	*ret_object = &object->object;
	return 0;
}

static void file_object_close(struct store_object *base)
{
	struct file_object *object = file_object(base);

	close(object->fd);
	range_locks_fini(&object->sectors);
	free(object);
}

/* `fd` is a second description of the object's file. Both hold the shared lock for a moment, so that no writer gets in. */
static int exchange_locks(int old_fd, int fd)
{
	int rc = lock_file(fd, F_RDLCK);

	if (rc < 0)
		return rc;
	lock_file(old_fd, F_UNLCK);
	rc = lock_file(fd, F_WRLCK);
	if (rc < 0)
		lock_file(old_fd, F_RDLCK);
	return rc;
}

/* The new description takes the old one's number: an iocb in a batch goes through either. */
static int file_object_writable(struct store_object *base, struct err *err)
{
	struct file_object *object = file_object(base);
	const struct file_store *store = file_store(base->store);
	int flags = O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | (store->direct ? O_DIRECT : 0);
	int fd = openat(store->dir_fd, base->id, flags);
	struct stat old_st, st;
	int rc;

	if (fd < 0 || fstat(fd, &st) < 0 || fstat(object->fd, &old_st) < 0)
		rc = -errno;
	else if (st.st_ino != old_st.st_ino || st.st_dev != old_st.st_dev)
		rc = -ESTALE;
	else
		rc = exchange_locks(object->fd, fd);
	if (rc == 0 && dup3(fd, object->fd, O_CLOEXEC) < 0)
		rc = -errno;
	if (fd >= 0)
		close(fd);
	return rc < 0 ? err_errno(err, rc, "object %s cannot become writable", base->id) : 0;
}

static int file_object_grown(struct store_object *base, uint64_t size_bytes)
{
	return check_length(file_object(base)->fd, size_bytes);
}

static int file_object_extent(struct store_object *base, uint64_t offset_bytes, bool *ret_mapped,
			      uint64_t *ret_len_bytes)
{
	int fd = file_object(base)->fd;
	uint64_t size = atomic_load(&base->size_bytes);
	off_t at = (off_t)offset_bytes, data = lseek(fd, at, SEEK_DATA), end;

	if (data < 0 && errno != ENXIO)
		return -errno;
	*ret_mapped = data == at;
	end = *ret_mapped ? lseek(fd, at, SEEK_HOLE) : data;
	if (*ret_mapped && end < 0)
		return -errno;
	/* No data up to the end of the file: ENXIO, end is -1. */
	*ret_len_bytes = (end < 0 || (uint64_t)end > size ? size : (uint64_t)end) - offset_bytes;
	return 0;
}

const struct store_ops store_file_ops = {
	.kind = "file",
	.open = file_open,
	.close = file_close,
	.create = file_create,
	.resize = file_resize,
	.remove = file_remove,
	.allocated = file_allocated,
	.list = file_list,
	.space = file_space,
	.object_open = file_object_open,
	.object_close = file_object_close,
	.object_writable = file_object_writable,
	.object_grown = file_object_grown,
	.object_extent = file_object_extent,
	.submit = {
		[STORE_READ] = file_rw,
		[STORE_WRITE] = file_rw,
		[STORE_FLUSH] = file_flush,
		[STORE_UNMAP] = file_unmap,
	},
};
