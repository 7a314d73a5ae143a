/* What the files of the directory driver share: docstore.c (load, publish), versions.c (which versions there are),
 * docstore_tree.c (list, watch, reap). */
#ifndef LUNETTE_CLUSTER_DOCSTORE_PRIVATE_H
#define LUNETTE_CLUSTER_DOCSTORE_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "cluster/docstore_port.h"
#include "cluster/document.h"

#define DOCSTORE_TOMBSTONES 1024 /* versions below the kept ones that stay as tombstones before compaction */

/* What this process knows of a document: a place to start looking, never the truth. */
struct docstore_hint {
	char     name[DOCUMENT_NAME_MAX];
	uint64_t version;                   /* 0: nothing known */
	char     writer[DOCUMENT_WRITER_MAX]; /* of that version; "": torn */
	bool     removed;
};

struct docstore {
	const struct docstore_port *port;
	int  root_fd, tmp_fd;
	char root[4096];
	char writer[DOCUMENT_WRITER_MAX - 24]; /* without the number of the publication */
	_Atomic uint64_t publications;
	pthread_mutex_t lock;               /* protects hints */
	void *hints;                        /* tsearch tree of struct docstore_hint */
};

/* "name/v/17/document" */
#define DOCSTORE_PATH_MAX (DOCUMENT_NAME_MAX + 48)

/* All return -1 with errno like the calls they repeat while interrupted. */
int docstore_openat(struct docstore *store, int dir_fd, const char *path, int flags);
int docstore_fsync(struct docstore *store, int fd);
/* 1: there; 0: not there; negative errno. */
int docstore_exists(struct docstore *store, int dir_fd, const char *path);

void docstore_hint_get(struct docstore *store, const char *name, struct docstore_hint *ret_hint);
void docstore_hint_set(struct docstore *store, const char *name, uint64_t version, const char *writer, bool removed);

/* --- versions.c --- */

/* A version number as a directory name: decimal, no leading zero. 0 when it is none. */
uint64_t version_parse(const char *text);
/* ROOT/<name>/v, opened; negative errno, -ENOENT when no version was ever published. */
int versions_open(struct docstore *store, const char *name);
/* Newest version in the directory; near: where to start looking (0: nowhere). 0: *ret_version (0: none). */
int versions_newest(struct docstore *store, int versions_fd, uint64_t near, uint64_t *ret_version);
/* All version numbers in the directory, ascending, malloc'ed. */
int versions_scan(int versions_fd, uint64_t **ret_versions, size_t *ret_count);
/* Reads and decodes one version. -ENOENT: no document in it (pruned, compacted away). -EBADMSG: torn. */
int version_read(struct docstore *store, int versions_fd, uint64_t version, const char *name,
		 struct document_header *ret_header, json_t **ret_content, struct err *err);
/* Moves a version directory out of the way in one step and removes it; never leaves an empty one. */
int version_remove(struct docstore *store, int versions_fd, uint64_t version);
/* Removes ROOT/tmp/<unique>. */
void temporary_remove(struct docstore *store, const char *unique);
/* A name in ROOT/tmp and a writer id that nobody has. */
void docstore_unique(struct docstore *store, char ret_text[DOCUMENT_WRITER_MAX]);

#endif
