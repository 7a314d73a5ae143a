/*
 * The directory driver of the versioned-document store: load, publish, update (CFG-1 to CFG-8, US11163461B1).
 *
 * Publish of version N+1, each step durable before the next:
 *   1. ROOT/tmp/<unique>/document written and fsynced, ROOT/tmp/<unique> fsynced              crash: an orphan, reaped by age
 *   2. renamed onto ROOT/<name>/v/<N+1>, refused when that exists                             crash: old or new, never half
 *   3. parent checked (below), ROOT/<name>/v fsynced, success reported
 * fsync of the last step failing: the version exists and others may have built on it, so it stays; the caller is told
 * the error and finds the truth by loading.
 *
 * Stale writer against compaction: a writer that read version N long ago may find N+1 free, because its tombstone was
 * removed. Tombstones go in ascending order, so then N is gone as well: after the rename the parent is looked for, and
 * without it the version is taken back and the publish is lost. The parent of version 1 is absent by nature; there the
 * sign is v/0, which compaction makes before it removes anything. A version that was left behind by a crash between the
 * rename and this check lies below a gap: nobody takes it for the newest, and the reaper removes it.
 */
#include "docstore.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cluster/docstore_private.h"
#include "log.h"

#define LOAD_ATTEMPTS_MAX   64   /* versions pruned under our eyes, one after the other */
#define UPDATE_ATTEMPTS_MAX 4096 /* publishes lost in a row */
#define BACKOFF_AFTER       4
#define BACKOFF_MAX_NS      2000000

static int libc_openat(int dir_fd, const char *path, int flags, mode_t mode)
{
	return openat(dir_fd, path, flags, mode);
}

const struct docstore_port docstore_port_libc = {
	.mkdirat = mkdirat, .openat = libc_openat, .read = read, .write = write, .fsync = fsync,
	.faccessat = faccessat, .renameat2 = renameat2, .unlinkat = unlinkat,
};

/* --- hints --- */

static int hint_compare(const void *a, const void *b)
{
	return strcmp(((const struct docstore_hint *)a)->name, ((const struct docstore_hint *)b)->name);
}

void docstore_hint_get(struct docstore *store, const char *name, struct docstore_hint *ret_hint)
{
	struct docstore_hint key, **found;

	memset(ret_hint, 0, sizeof *ret_hint);
	snprintf(key.name, sizeof key.name, "%s", name);
	pthread_mutex_lock(&store->lock);
	found = tfind(&key, &store->hints, hint_compare);
	if (found)
		*ret_hint = **found;
	pthread_mutex_unlock(&store->lock);
}

void docstore_hint_set(struct docstore *store, const char *name, uint64_t version, const char *writer, bool removed)
{
	struct docstore_hint *hint = calloc(1, sizeof *hint), **slot;

	if (!hint)
		return; /* a hint only */
	snprintf(hint->name, sizeof hint->name, "%s", name);
	hint->version = version;
	snprintf(hint->writer, sizeof hint->writer, "%s", writer);
	hint->removed = removed;
	pthread_mutex_lock(&store->lock);
	slot = tsearch(hint, &store->hints, hint_compare);
	if (slot && *slot != hint && (*slot)->version <= version)
		**slot = *hint;
	if (!slot || *slot != hint)
		free(hint);
	pthread_mutex_unlock(&store->lock);
}

void docstore_unique(struct docstore *store, char ret_text[DOCUMENT_WRITER_MAX])
{
	snprintf(ret_text, DOCUMENT_WRITER_MAX, "%s.%" PRIu64, store->writer, atomic_fetch_add(&store->publications, 1));
}

/* --- open --- */

static int make_root(const char *root, struct err *err)
{
	if (mkdir(root, 0700) < 0 && errno != EEXIST)
		return err_errno(err, -errno, "cannot create \"%s\"", root);
	return 0;
}

static int open_directories(struct docstore *store, const char *root, struct err *err)
{
	int rc = make_root(root, err);

	if (rc < 0)
		return rc;
	store->root_fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (store->root_fd < 0)
		return err_errno(err, -errno, "cannot open \"%s\"", root);
	if (!realpath(root, store->root)) /* we may not pass through a directory above; the path that we were given is a way */
		snprintf(store->root, sizeof store->root, "%s", root);
	if (mkdirat(store->root_fd, "tmp", 0700) < 0 && errno != EEXIST)
		return err_errno(err, -errno, "cannot create \"%s/tmp\"", root);
	store->tmp_fd = openat(store->root_fd, "tmp", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (store->tmp_fd < 0)
		return err_errno(err, -errno, "cannot open \"%s/tmp\"", root);
	return 0;
}

static int make_writer(struct docstore *store, const char *writer, struct err *err)
{
	uint64_t unique;

	if (getrandom(&unique, sizeof unique, 0) != sizeof unique)
		return err_errno(err, -errno, "no random numbers");
	if (strlen(writer) > 40 || !document_name_valid(writer) || strchr(writer, '/'))
		return err_set(err, -EINVAL, "\"%s\" is no name for a writer", writer);
	snprintf(store->writer, sizeof store->writer, "%s.%016" PRIx64, writer, unique);
	return 0;
}

struct docstore *docstore_open_port(const char *root, const char *writer, const struct docstore_port *port,
				    struct err *err)
{
	struct docstore *store = calloc(1, sizeof *store);

	if (!store) {
		err_set(err, -ENOMEM, "out of memory");
		return NULL;
	}
	store->port = port;
	store->root_fd = store->tmp_fd = -1;
	pthread_mutex_init(&store->lock, NULL);
	if (make_writer(store, writer, err) < 0 || open_directories(store, root, err) < 0) {
		err_wrap(err, "cannot open the document store");
		docstore_close(store);
		return NULL;
	}
	return store;
}

struct docstore *docstore_open(const char *root, const char *writer, struct err *err)
{
	return docstore_open_port(root, writer, &docstore_port_libc, err);
}

void docstore_close(struct docstore *store)
{
	if (!store)
		return;
	if (store->root_fd >= 0)
		close(store->root_fd);
	if (store->tmp_fd >= 0)
		close(store->tmp_fd);
	tdestroy(store->hints, free);
	pthread_mutex_destroy(&store->lock);
	free(store);
}

static int check_name(const char *name, struct err *err)
{
	if (document_name_valid(name))
		return 0;
	return err_set(err, -EINVAL, "%s is no name for a document", log_quoted(name));
}

/* --- load --- */

/* CFG-7: the next version must have been made from the one that we saw. */
static void check_chain(const struct docstore_hint *hint, const struct document_header *header)
{
	if (header->parent != hint->version || !hint->writer[0] || !header->parent_writer[0])
		return;
	if (strcmp(header->parent_writer, hint->writer) != 0)
		log_error("document chain is broken, a version was replaced document=\"%s\" version=%" PRIu64
			  " made_from=%s expected=%s", header->name, header->version, log_quoted(header->parent_writer),
			  log_quoted(hint->writer));
}

/* The newest version is torn: the newest whole one below it (CFG-7). */
static int load_below_torn(struct docstore *store, int versions_fd, const char *name, uint64_t torn,
			   struct document_header *ret_header, json_t **ret_content, struct err *err)
{
	log_error("document is torn, using an older version document=\"%s\" why=%s", name, err ? log_quoted(err->text) : "-");
	for (uint64_t version = torn - 1; version > 0; version--) {
		int rc = version_read(store, versions_fd, version, name, ret_header, ret_content, err);

		if (rc == 0 || rc == -ENOMEM)
			return rc;
		if (rc == -ENOENT)
			break; /* a tombstone: all below are, too */
	}
	return err_set(err, -EBADMSG, "version %" PRIu64 " is torn and no whole version is below it", torn);
}

/* One try. 1: the version went away meanwhile, or the hint may have led astray: look again without it. */
static int load_once(struct docstore *store, int versions_fd, const char *name, const struct docstore_hint *hint,
		     json_t **ret_content, uint64_t *ret_version, struct err *err)
{
	struct document_header header = { 0 };
	struct err why = { 0 };
	uint64_t version;
	const char *writer = header.writer;
	json_t *content = NULL;
	int rc = versions_newest(store, versions_fd, hint->version, &version);

	if (rc < 0)
		return err_errno(err, rc, "cannot look for versions");
	if (version == 0) {
		*ret_content = NULL;
		*ret_version = 0;
		return 0;
	}
	rc = version_read(store, versions_fd, version, name, &header, &content, &why);
	if (rc == -ENOENT || (rc == -EBADMSG && hint->version))
		return 1;
	if (rc == -EBADMSG) {
		rc = load_below_torn(store, versions_fd, name, version, &header, &content, &why);
		writer = "";
	}
	if (rc < 0)
		return err_set(err, rc, "%s", why.text);
	if (version == hint->version && hint->writer[0] && *writer && strcmp(hint->writer, writer) != 0) {
		json_decref(content);
		return 1; /* left behind by a stale writer (see above) */
	}
	check_chain(hint, &header);
	docstore_hint_set(store, name, version, writer, header.removed);
	*ret_content = content;
	*ret_version = version;
	return 0;
}

static int load_opened(struct docstore *store, int versions_fd, const char *name, json_t **ret_content,
		       uint64_t *ret_version, struct err *err)
{
	struct docstore_hint hint;
	int rc = 1;

	docstore_hint_get(store, name, &hint);
	for (unsigned attempt = 0; rc == 1 && attempt < LOAD_ATTEMPTS_MAX; attempt++) {
		rc = load_once(store, versions_fd, name, &hint, ret_content, ret_version, err);
		memset(&hint, 0, sizeof hint);
	}
	if (rc == 1)
		return err_set(err, -EIO, "the newest version has no content");
	return rc;
}

int docstore_load(struct docstore *store, const char *name, json_t **ret_content, uint64_t *ret_version, struct err *err)
{
	int fd, rc = check_name(name, err);

	if (rc < 0)
		return rc;
	fd = versions_open(store, name);
	if (fd == -ENOENT) {
		*ret_content = NULL;
		*ret_version = 0;
		return 0;
	}
	if (fd < 0)
		return err_errno(err, fd, "cannot load document \"%s\"", name);
	rc = load_opened(store, fd, name, ret_content, ret_version, err);
	close(fd);
	return rc < 0 ? err_wrap(err, "cannot load document \"%s\"", name) : 0;
}

/* --- publish --- */

struct publication {
	const char *name;
	int  versions_fd;                 /* -1: not opened */
	char unique[DOCUMENT_WRITER_MAX]; /* writer id and name in ROOT/tmp */
	struct document_header header;
};

static int write_all(struct docstore *store, int fd, const char *bytes, size_t len)
{
	while (len) {
		ssize_t n = store->port->write(fd, bytes, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		bytes += n;
		len -= (size_t)n;
	}
	return 0;
}

/* Step 1: ROOT/tmp/<unique>/document, durable. */
static int write_temporary(struct docstore *store, const struct publication *p, const char *bytes, size_t len)
{
	int dir_fd, fd, rc = 0;

	if (store->port->mkdirat(store->tmp_fd, p->unique, 0700) < 0)
		return -errno;
	dir_fd = docstore_openat(store, store->tmp_fd, p->unique, O_RDONLY | O_DIRECTORY);
	if (dir_fd < 0)
		return -errno;
	fd = docstore_openat(store, dir_fd, "document", O_WRONLY | O_CREAT | O_EXCL);
	if (fd < 0) {
		rc = -errno;
	} else {
		rc = write_all(store, fd, bytes, len);
		if (rc == 0 && docstore_fsync(store, fd) < 0)
			rc = -errno;
		if (close(fd) < 0 && rc == 0)
			rc = -errno;
	}
	if (rc == 0 && docstore_fsync(store, dir_fd) < 0)
		rc = -errno;
	close(dir_fd);
	return rc;
}

/* Makes path a directory of ROOT, durably. Also when it is there: whoever made it may not have come to its fsync. */
static int make_directory(struct docstore *store, const char *path)
{
	char parent[DOCSTORE_PATH_MAX];
	char *slash;
	int fd, rc;

	if (store->port->mkdirat(store->root_fd, path, 0700) < 0 && errno != EEXIST)
		return -errno;
	snprintf(parent, sizeof parent, "%s", path);
	slash = strrchr(parent, '/');
	if (slash)
		*slash = '\0';
	fd = docstore_openat(store, store->root_fd, slash ? parent : ".", O_RDONLY | O_DIRECTORY);
	if (fd < 0)
		return -errno;
	rc = docstore_fsync(store, fd) < 0 ? -errno : 0;
	close(fd);
	return rc;
}

/* ROOT/<name>/v and what is above it, for the first version. */
static int make_versions(struct docstore *store, const char *name)
{
	char path[DOCSTORE_PATH_MAX];
	int rc;

	for (const char *at = strchr(name, '/'); at; at = strchr(at + 1, '/')) {
		snprintf(path, sizeof path, "%.*s", (int)(at - name), name);
		rc = make_directory(store, path);
		if (rc < 0)
			return rc;
	}
	rc = make_directory(store, name);
	if (rc < 0)
		return rc;
	snprintf(path, sizeof path, "%s/v", name);
	return make_directory(store, path);
}

/* Whether the version that we wanted to make is there and ours (CFG-8). 1: ours; 0: another's or none; negative errno. */
static int is_ours(struct docstore *store, const struct publication *p)
{
	struct document_header header;
	int rc = version_read(store, p->versions_fd, p->header.version, p->name, &header, NULL, NULL);

	if (rc == -ENOENT || rc == -EBADMSG)
		return 0;
	return rc < 0 ? rc : strcmp(header.writer, p->unique) == 0;
}

/* Step 2. 0: the version is made and ours; -EAGAIN: somebody was first (CFG-4, CFG-5, CFG-8). */
static int rename_into_place(struct docstore *store, const struct publication *p)
{
	char target[32];
	int rc, ours;

	snprintf(target, sizeof target, "%" PRIu64, p->header.version);
	rc = store->port->renameat2(store->tmp_fd, p->unique, p->versions_fd, target, RENAME_NOREPLACE);
	if (rc < 0 && (errno == EINVAL || errno == ENOSYS))
		rc = store->port->renameat2(store->tmp_fd, p->unique, p->versions_fd, target, 0);
	if (rc == 0)
		return 0;
	rc = -errno;
	ours = is_ours(store, p);
	if (ours != 0)
		return ours == 1 ? 0 : -EIO; /* it may be ours, and cannot be read */
	return rc == -EEXIST || rc == -ENOTEMPTY ? -EAGAIN : rc;
}

/* 1: the parent is there (for version 1: nothing was ever compacted); 0: not; negative errno. */
static int parent_there(struct docstore *store, const struct publication *p)
{
	char path[32];
	int rc;

	snprintf(path, sizeof path, "%" PRIu64, p->header.parent);
	rc = docstore_exists(store, p->versions_fd, path);
	return rc < 0 ? rc : (p->header.parent == 0) != (rc == 1);
}

/* After the rename; what goes wrong here leaves open whether the version is made: -EIO. Whether we made the next version, or
 * filled a hole that compaction left. */
static int verify_parent(struct docstore *store, const struct publication *p)
{
	int rc = parent_there(store, p);

	if (rc == 1)
		return 0;
	if (rc == 0)
		rc = is_ours(store, p);
	if (rc == 1)
		rc = version_remove(store, p->versions_fd, p->header.version);
	else if (rc == 0)
		rc = -EIO; /* published, built upon, pruned and compacted while we were not looking: cannot be told */
	return rc < 0 ? -EIO : -EAGAIN;
}

/* Before anything is written: is there a chance? */
static int check_expected(struct docstore *store, const struct publication *p)
{
	char path[32];
	int rc = parent_there(store, p);

	if (rc != 1)
		return rc < 0 ? rc : -EAGAIN;
	snprintf(path, sizeof path, "%" PRIu64, p->header.version);
	rc = docstore_exists(store, p->versions_fd, path);
	return rc == 1 ? -EAGAIN : rc;
}

/* Who wrote the version that ours is made from: what this process saw, or what the disk says. */
static void fill_parent_writer(struct docstore *store, struct publication *p)
{
	struct docstore_hint hint;
	struct document_header parent;

	docstore_hint_get(store, p->name, &hint);
	if (p->header.parent && hint.version == p->header.parent)
		snprintf(p->header.parent_writer, sizeof p->header.parent_writer, "%s", hint.writer);
	else if (p->header.parent &&
		 version_read(store, p->versions_fd, p->header.parent, p->name, &parent, NULL, NULL) == 0)
		snprintf(p->header.parent_writer, sizeof p->header.parent_writer, "%s", parent.writer);
}

/* The versions directory is open: steps 1 to 3. *ret_renamed: the temporary directory is no longer ours to remove. */
static int publish_opened(struct docstore *store, struct publication *p, const json_t *content, bool *ret_renamed,
			  struct err *err)
{
	size_t len;
	char *bytes;
	int rc = check_expected(store, p);

	if (rc < 0)
		return err_errno(err, rc, "version %" PRIu64, p->header.version);
	fill_parent_writer(store, p);
	bytes = document_encode(&p->header, content, &len, err);
	if (!bytes)
		return err ? err->code : -ENOMEM;
	rc = write_temporary(store, p, bytes, len);
	free(bytes);
	if (rc < 0)
		return err_errno(err, rc, "cannot write version %" PRIu64, p->header.version);
	rc = rename_into_place(store, p);
	if (rc < 0)
		return err_errno(err, rc, "cannot make version %" PRIu64, p->header.version);
	*ret_renamed = true;
	rc = verify_parent(store, p);
	if (rc < 0)
		return err_errno(err, rc, "version %" PRIu64 " was made from one that is gone", p->header.version);
	if (docstore_fsync(store, p->versions_fd) < 0) {
		err_errno(err, -errno, "version %" PRIu64 " is made but may not be durable", p->header.version);
		return -EIO;
	}
	docstore_hint_set(store, p->name, p->header.version, p->unique, p->header.removed);
	return 0;
}

static int open_for_publish(struct docstore *store, struct publication *p)
{
	int rc = p->header.parent == 0 ? make_versions(store, p->name) : 0;

	if (rc < 0)
		return rc;
	p->versions_fd = versions_open(store, p->name);
	if (p->versions_fd == -ENOENT)
		return -EAGAIN; /* expected a version of what never was */
	return p->versions_fd < 0 ? p->versions_fd : 0;
}

int docstore_publish(struct docstore *store, const char *name, const json_t *content, uint64_t expected,
		     uint64_t *ret_version, struct err *err)
{
	struct publication p = { .name = name, .versions_fd = -1 };
	bool renamed = false;
	int rc = check_name(name, err);

	if (rc < 0)
		return rc;
	if (expected >= INT64_MAX || (content && !json_is_object(content)))
		return err_set(err, -EINVAL, "cannot publish \"%s\": not an object, or no version", name);
	snprintf(p.header.name, sizeof p.header.name, "%s", name);
	p.header.parent = expected;
	p.header.version = expected + 1;
	p.header.removed = content == NULL;
	docstore_unique(store, p.unique);
	snprintf(p.header.writer, sizeof p.header.writer, "%s", p.unique);
	rc = open_for_publish(store, &p);
	if (rc < 0)
		err_errno(err, rc, "version %" PRIu64, p.header.version);
	else
		rc = publish_opened(store, &p, content, &renamed, err);
	if (!renamed)
		temporary_remove(store, p.unique);
	if (p.versions_fd >= 0)
		close(p.versions_fd);
	if (rc < 0)
		return err_wrap(err, "cannot publish document \"%s\"", name), rc;
	if (ret_version)
		*ret_version = p.header.version;
	return 0;
}

/* --- update --- */

static void back_off(unsigned attempt)
{
	struct timespec pause = { 0 };

	if (attempt < BACKOFF_AFTER)
		return;
	pause.tv_nsec = random() % BACKOFF_MAX_NS;
	nanosleep(&pause, NULL); /* only spreads the writers; being right does not depend on it */
}

int docstore_update(struct docstore *store, const char *name, docstore_change_fn *change, void *arg,
		    uint64_t *ret_version, struct err *err)
{
	for (unsigned attempt = 0; attempt < UPDATE_ATTEMPTS_MAX; attempt++) {
		json_t *content;
		uint64_t version;
		int rc = docstore_load(store, name, &content, &version, err);
		bool was;

		if (rc < 0)
			return rc;
		was = content != NULL;
		rc = change(&content, version, arg, err);
		if (rc == 1 || (rc == 0 && !was && !content)) {
			json_decref(content);
			if (ret_version)
				*ret_version = version;
			return 0;
		}
		if (rc == 0)
			rc = docstore_publish(store, name, content, version, ret_version, err);
		json_decref(content);
		if (rc != -EAGAIN)
			return rc;
		back_off(attempt);
	}
	return err_set(err, -EAGAIN, "cannot change document \"%s\": others were first every time", name);
}
