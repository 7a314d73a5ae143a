/*
 * The versions of one document: ROOT/<name>/v/<number>/ holds either `document`, a whole version, or `pruned`, a
 * tombstone that keeps the number from being used again (CFG-7). Numbers are contiguous: compaction removes the oldest
 * tombstones in ascending order, and only far below the newest. Before the first removal it makes the directory v/0, the
 * missing parent of version 1 (see verify_parent() in docstore.c).
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cluster/docstore_private.h"

#define PROBES_MAX 16 /* numbers tried upward from a hint before the directory is read */

int docstore_openat(struct docstore *store, int dir_fd, const char *path, int flags)
{
	int fd;

	do
		fd = store->port->openat(dir_fd, path, flags | O_CLOEXEC | O_NOFOLLOW, 0600);
	while (fd < 0 && errno == EINTR);
	return fd;
}

int docstore_fsync(struct docstore *store, int fd)
{
	int rc;

	do
		rc = store->port->fsync(fd);
	while (rc < 0 && errno == EINTR);
	return rc;
}

int docstore_exists(struct docstore *store, int dir_fd, const char *path)
{
	int rc;

	do
		rc = store->port->faccessat(dir_fd, path, F_OK, 0);
	while (rc < 0 && errno == EINTR);
	if (rc == 0)
		return 1;
	return errno == ENOENT || errno == ENOTDIR ? 0 : -errno;
}

uint64_t version_parse(const char *text)
{
	size_t len = strspn(text, "0123456789");

	if (len == 0 || len > 18 || text[len] != '\0' || text[0] == '0')
		return 0;
	return strtoull(text, NULL, 10);
}

int versions_open(struct docstore *store, const char *name)
{
	char path[DOCSTORE_PATH_MAX];
	int fd;

	snprintf(path, sizeof path, "%s/v", name);
	fd = docstore_openat(store, store->root_fd, path, O_RDONLY | O_DIRECTORY);
	return fd < 0 ? -errno : fd;
}

static int version_exists(struct docstore *store, int versions_fd, uint64_t version)
{
	char path[32];

	snprintf(path, sizeof path, "%" PRIu64, version);
	return docstore_exists(store, versions_fd, path);
}

/* Calls each(number, arg) for every version directory. */
static int versions_each(int versions_fd, int (*each)(uint64_t version, void *arg), void *arg)
{
	int fd = openat(versions_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	int rc = 0;

	if (!dir) {
		rc = -errno;
		if (fd >= 0)
			close(fd);
		return rc;
	}
	while (rc == 0 && (errno = 0, entry = readdir(dir)) != NULL) {
		uint64_t version = version_parse(entry->d_name);

		if (version)
			rc = each(version, arg);
	}
	if (rc == 0 && errno)
		rc = -errno;
	closedir(dir);
	return rc;
}

static int keep_largest(uint64_t version, void *arg)
{
	uint64_t *largest = arg;

	if (version > *largest)
		*largest = version;
	return 0;
}

int versions_newest(struct docstore *store, int versions_fd, uint64_t near, uint64_t *ret_version)
{
	uint64_t newest = near;
	int there = near ? version_exists(store, versions_fd, near) : 0;

	for (unsigned probes = 0;; probes++) {
		if (there < 0)
			return there;
		if (!there || probes == PROBES_MAX) {
			int rc;

			newest = 0;
			rc = versions_each(versions_fd, keep_largest, &newest);
			if (rc < 0 || newest == 0) {
				*ret_version = 0;
				return rc;
			}
			probes = 0;
		}
		/* also after reading the directory: an entry made meanwhile may have been missed */
		there = version_exists(store, versions_fd, newest + 1);
		if (there == 0) {
			*ret_version = newest;
			return 0;
		}
		newest++;
	}
}

struct scan {
	uint64_t *versions;
	size_t count, size;
};

static int scan_add(uint64_t version, void *arg)
{
	struct scan *scan = arg;

	if (scan->count == scan->size) {
		size_t size = scan->size ? scan->size * 2 : 64;
		uint64_t *larger = realloc(scan->versions, size * sizeof *larger);

		if (!larger)
			return -ENOMEM;
		scan->versions = larger;
		scan->size = size;
	}
	scan->versions[scan->count++] = version;
	return 0;
}

static int ascending(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

int versions_scan(int versions_fd, uint64_t **ret_versions, size_t *ret_count)
{
	struct scan scan = { 0 };
	int rc = versions_each(versions_fd, scan_add, &scan);

	if (rc < 0) {
		free(scan.versions);
		return rc;
	}
	if (scan.count)
		qsort(scan.versions, scan.count, sizeof *scan.versions, ascending);
	*ret_versions = scan.versions;
	*ret_count = scan.count;
	return 0;
}

/* The whole file, malloc'ed. */
static int file_read(struct docstore *store, int fd, char **ret_bytes, size_t *ret_len)
{
	struct stat st;
	char *bytes;
	size_t used = 0, size;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_size > (off_t)DOCUMENT_BYTES_MAX)
		return -EBADMSG;
	size = (size_t)st.st_size;
	bytes = malloc(size + 1);
	if (!bytes)
		return -ENOMEM;
	while (used < size) {
		ssize_t n = store->port->read(fd, bytes + used, size - used);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			int rc = -errno;

			free(bytes);
			return rc;
		}
		if (n == 0)
			break;
		used += (size_t)n;
	}
	*ret_bytes = bytes;
	*ret_len = used;
	return 0;
}

int version_read(struct docstore *store, int versions_fd, uint64_t version, const char *name,
		 struct document_header *ret_header, json_t **ret_content, struct err *err)
{
	struct document_header header;
	char path[48], *bytes = NULL;
	size_t len = 0;
	int fd, rc;

	snprintf(path, sizeof path, "%" PRIu64 "/document", version);
	fd = docstore_openat(store, versions_fd, path, O_RDONLY);
	if (fd < 0)
		return err_errno(err, -errno, "cannot open version %" PRIu64, version);
	rc = file_read(store, fd, &bytes, &len);
	close(fd);
	if (rc < 0)
		return err_errno(err, rc, "cannot read version %" PRIu64, version);
	rc = document_decode(bytes, len, &header, ret_content, err);
	free(bytes);
	if (rc == 0 && (header.version != version || strcmp(header.name, name) != 0)) {
		if (ret_content)
			json_decref(*ret_content);
		rc = err_set(err, -EBADMSG, "it is version %" PRIu64 " of \"%s\"", header.version, header.name);
	}
	if (rc < 0)
		return err_wrap(err, "version %" PRIu64, version);
	*ret_header = header;
	return 0;
}

void temporary_remove(struct docstore *store, const char *unique)
{
	static const char *const files[] = { "document", "pruned" };
	char path[DOCUMENT_WRITER_MAX + 16];

	for (unsigned i = 0; i < sizeof files / sizeof files[0]; i++) {
		snprintf(path, sizeof path, "%s/%s", unique, files[i]);
		store->port->unlinkat(store->tmp_fd, path, 0);
	}
	store->port->unlinkat(store->tmp_fd, unique, AT_REMOVEDIR);
}

int version_remove(struct docstore *store, int versions_fd, uint64_t version)
{
	char path[32], unique[DOCUMENT_WRITER_MAX];

	snprintf(path, sizeof path, "%" PRIu64, version);
	docstore_unique(store, unique);
	if (store->port->renameat2(versions_fd, path, store->tmp_fd, unique, 0) < 0)
		return -errno;
	temporary_remove(store, unique);
	return 0;
}
