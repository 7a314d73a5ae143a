/* The directory driver of the document store: which documents there are, watching them, and reaping (CFG-6, CFG-7). */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cluster/docstore_private.h"
#include "docstore.h"
#include "log.h"

#define COMPONENTS_MAX 3

/* --- walking --- */

struct walk {
	struct docstore *store;
	const char *prefix;
	int (*each)(struct docstore *store, const char *name, void *arg, struct err *err);
	void *arg;
};

/* Whether `path` or something below it can start with the prefix. */
static bool may_match(const char *path, const char *prefix)
{
	size_t path_len = strlen(path), prefix_len = strlen(prefix);

	return strncmp(path, prefix, path_len < prefix_len ? path_len : prefix_len) == 0 &&
	       (path_len >= prefix_len || prefix[path_len] == '/' || path_len == 0);
}

static DIR *open_dir(struct docstore *store, const char *path)
{
	int fd = openat(store->root_fd, *path ? path : ".", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (!dir && fd >= 0)
		close(fd);
	return dir;
}

/* Depth is at most COMPONENTS_MAX: names are no longer. */
static int walk_below(const struct walk *walk, const char *path, unsigned depth, struct err *err)
{
	DIR *dir = open_dir(walk->store, path);
	struct dirent *entry;
	int rc = 0;

	if (!dir)
		return errno == ENOENT || errno == ENOTDIR ? 0 : err_errno(err, -errno, "cannot read \"%s\"", path);
	while (rc == 0 && (errno = 0, entry = readdir(dir)) != NULL) {
		char child[DOCUMENT_NAME_MAX + 1];
		int n = snprintf(child, sizeof child, "%s%s%s", path, *path ? "/" : "", entry->d_name);

		if (strcmp(entry->d_name, "v") == 0 && depth > 0 && strncmp(path, walk->prefix, strlen(walk->prefix)) == 0)
			rc = walk->each(walk->store, path, walk->arg, err);
		else if (n < (int)sizeof child && depth < COMPONENTS_MAX && document_name_valid(child) &&
			 may_match(child, walk->prefix))
			rc = walk_below(walk, child, depth + 1, err);
	}
	if (rc == 0 && errno)
		rc = err_errno(err, -errno, "cannot read \"%s\"", path);
	closedir(dir);
	return rc;
}

/* --- list --- */

struct names {
	char **text;
	size_t count, size;
};

/* Whether the newest version of the document is not a removal. 1, 0 or negative errno. */
static int document_exists(struct docstore *store, const char *name, struct err *err)
{
	struct docstore_hint hint;
	uint64_t newest;
	json_t *content;
	int rc, fd = versions_open(store, name);

	if (fd < 0)
		return fd == -ENOENT ? 0 : err_errno(err, fd, "cannot open document \"%s\"", name);
	docstore_hint_get(store, name, &hint);
	rc = versions_newest(store, fd, hint.version, &newest);
	close(fd);
	if (rc < 0)
		return err_errno(err, rc, "cannot look for versions of \"%s\"", name);
	if (newest == 0)
		return 0;
	if (newest == hint.version && hint.writer[0])
		return !hint.removed;
	rc = docstore_load(store, name, &content, &newest, err);
	if (rc == -EBADMSG)
		return 1; /* torn is there, and a load says so */
	if (rc < 0)
		return rc;
	rc = content != NULL;
	json_decref(content);
	return rc;
}

static int names_add(struct docstore *store, const char *name, void *arg, struct err *err)
{
	struct names *names = arg;
	int rc = document_exists(store, name, err);

	if (rc != 1)
		return rc;
	if (names->count == names->size) {
		size_t size = names->size ? names->size * 2 : 64;
		char **larger = realloc(names->text, size * sizeof *larger);

		if (!larger)
			return err_set(err, -ENOMEM, "out of memory");
		names->text = larger;
		names->size = size;
	}
	names->text[names->count] = strdup(name);
	if (!names->text[names->count])
		return err_set(err, -ENOMEM, "out of memory");
	names->count++;
	return 0;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static json_t *names_array(struct names *names)
{
	json_t *array = json_array();

	if (names->count)
		qsort(names->text, names->count, sizeof *names->text, by_text);
	for (size_t i = 0; array && i < names->count; i++) {
		if (json_array_append_new(array, json_string(names->text[i])) < 0) {
			json_decref(array);
			array = NULL;
		}
	}
	return array;
}

int docstore_list(struct docstore *store, const char *prefix, json_t **ret_names, struct err *err)
{
	struct names names = { 0 };
	struct walk walk = { store, prefix, names_add, &names };
	json_t *array = NULL;
	int rc = walk_below(&walk, "", 0, err);

	if (rc == 0 && !(array = names_array(&names)))
		rc = err_set(err, -ENOMEM, "out of memory");
	for (size_t i = 0; i < names.count; i++)
		free(names.text[i]);
	free(names.text);
	if (rc < 0)
		return err_wrap(err, "cannot list documents");
	*ret_names = array;
	return 0;
}

/* --- watch --- */

/* Every publish of every process moves a directory out of ROOT/tmp: one watch sees them all. */
int docstore_watch(struct docstore *store, const char *prefix)
{
	char path[sizeof store->root + 8];
	int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);

	(void)prefix;
	if (fd < 0)
		return -errno;
	snprintf(path, sizeof path, "%s/tmp", store->root);
	if (inotify_add_watch(fd, path, IN_MOVED_FROM | IN_ONLYDIR) < 0) {
		int rc = -errno;

		close(fd);
		return rc;
	}
	return fd;
}

void docstore_watch_drain(int fd)
{
	char events[4096] __attribute__((aligned(8)));

	while (read(fd, events, sizeof events) > 0)
		;
}

/* --- reap --- */

struct reap {
	unsigned age_s, keep;
};

/* A file tells its directory's age best: renames do not change it. */
static bool older_than(int dir_fd, const char *path, unsigned age_s)
{
	struct stat st;

	return fstatat(dir_fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0 && time(NULL) - st.st_mtime >= (time_t)age_s;
}

static int reap_temporaries(struct docstore *store, unsigned age_s, struct err *err)
{
	DIR *dir = open_dir(store, "tmp");
	struct dirent *entry;

	if (!dir)
		return err_errno(err, -errno, "cannot read \"%s/tmp\"", store->root);
	while ((entry = readdir(dir)) != NULL) {
		if (entry->d_name[0] != '.' && strlen(entry->d_name) < DOCUMENT_WRITER_MAX &&
		    older_than(store->tmp_fd, entry->d_name, age_s))
			temporary_remove(store, entry->d_name);
	}
	closedir(dir);
	return 0;
}

/* The tombstone is there before the document goes: the directory is never empty. 1: it was one already. */
static int prune(struct docstore *store, int versions_fd, uint64_t version)
{
	char path[48];
	int fd, rc;

	snprintf(path, sizeof path, "%" PRIu64 "/document", version);
	rc = docstore_exists(store, versions_fd, path);
	if (rc <= 0)
		return rc < 0 ? rc : 1;
	snprintf(path, sizeof path, "%" PRIu64 "/pruned", version);
	fd = docstore_openat(store, versions_fd, path, O_WRONLY | O_CREAT);
	if (fd < 0)
		return -errno;
	rc = docstore_fsync(store, fd) < 0 ? -errno : 0;
	close(fd);
	if (rc < 0)
		return rc;
	snprintf(path, sizeof path, "%" PRIu64 "/document", version);
	return store->port->unlinkat(versions_fd, path, 0) < 0 ? -errno : 0;
}

/* Index of the lowest version of the contiguous run that ends with the newest; what is below a gap was left behind by
 * stale writers. */
static size_t run_start(const uint64_t *versions, size_t count)
{
	size_t start = count - 1;

	while (start > 0 && versions[start - 1] == versions[start] - 1)
		start--;
	return start;
}

/* Versions [first, end) become tombstones, in ascending order so that a crash leaves tombstones at the bottom only. */
static int prune_run(struct docstore *store, int versions_fd, const uint64_t *versions, size_t first, size_t end)
{
	size_t at = end;
	int rc = 0;
	char path[48];

	while (at > first) {
		snprintf(path, sizeof path, "%" PRIu64 "/document", versions[at - 1]);
		rc = docstore_exists(store, versions_fd, path);
		if (rc <= 0)
			break;
		at--;
	}
	for (; rc >= 0 && at < end; at++)
		rc = prune(store, versions_fd, versions[at]);
	return rc < 0 ? rc : 0;
}

static int mark_compacted(struct docstore *store, int versions_fd)
{
	if (store->port->mkdirat(versions_fd, "0", 0700) < 0)
		return errno == EEXIST ? 0 : -errno;
	return docstore_fsync(store, versions_fd) < 0 ? -errno : 0;
}

/* Removes [first, end) of the run in ascending order, and strays below the run that are old. */
static int compact(struct docstore *store, int versions_fd, const uint64_t *versions, size_t first, size_t end,
		   unsigned age_s)
{
	int rc = end > first ? mark_compacted(store, versions_fd) : 0;

	for (size_t i = 0; rc == 0 && i < end; i++) {
		char path[32];

		snprintf(path, sizeof path, "%" PRIu64, versions[i]);
		if (i >= first || older_than(versions_fd, path, age_s))
			rc = version_remove(store, versions_fd, versions[i]);
	}
	return rc;
}

/* The newest whole version: normally the newest. 0: none is whole. */
static uint64_t newest_whole(struct docstore *store, int versions_fd, const char *name, const uint64_t *versions,
			     size_t count)
{
	struct document_header header;

	while (count-- > 0) {
		if (version_read(store, versions_fd, versions[count], name, &header, NULL, NULL) == 0)
			return versions[count];
	}
	return 0;
}

static int reap_versions(struct docstore *store, int versions_fd, const char *name, const uint64_t *versions,
			 size_t count, const struct reap *reap)
{
	size_t start, kept_from = count > reap->keep ? count - reap->keep : 0;
	uint64_t whole;
	int rc;

	start = count ? run_start(versions, count) : 0;
	if (kept_from == 0 && start == 0)
		return 0;
	whole = newest_whole(store, versions_fd, name, versions, count);
	while (kept_from > start && versions[kept_from] + 1 > whole) /* keep one below the whole one, too */
		kept_from--;
	rc = kept_from > start ? prune_run(store, versions_fd, versions, start, kept_from) : 0;
	if (rc < 0)
		return rc;
	return compact(store, versions_fd, versions, start,
		       kept_from > start + DOCSTORE_TOMBSTONES ? kept_from - DOCSTORE_TOMBSTONES : start, reap->age_s);
}

static int reap_document(struct docstore *store, const char *name, void *arg, struct err *err)
{
	uint64_t *versions = NULL;
	size_t count = 0;
	int rc, fd = versions_open(store, name);

	if (fd < 0)
		return 0;
	rc = versions_scan(fd, &versions, &count);
	if (rc == 0)
		rc = reap_versions(store, fd, name, versions, count, arg);
	free(versions);
	close(fd);
	if (rc == -ENOENT)
		rc = 0; /* another process reaps as well */
	return rc < 0 ? err_errno(err, rc, "cannot prune document \"%s\"", name) : 0;
}

int docstore_reap(struct docstore *store, unsigned age_s, unsigned keep, struct err *err)
{
	struct reap reap = { age_s, keep < 2 ? 2 : keep };
	struct walk walk = { store, "", reap_document, &reap };
	int rc = reap_temporaries(store, age_s, err);

	return rc < 0 ? rc : walk_below(&walk, "", 0, err);
}
