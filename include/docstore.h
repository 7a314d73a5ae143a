/*
 * The versioned-document store: the one primitive for all state that more than one process or host must agree on
 * (design section 4; CFG-1 to CFG-9, US11163461B1).
 *
 * A document is a JSON object with a name ("config", "map/vol1") and a version, 1, 2, 3 ... A publish either creates
 * exactly the next version or fails with -EAGAIN ("lost") because somebody else did: load again, apply the change
 * again, publish again. docstore_update() is that loop.
 *
 * Happy path of the directory driver: ROOT/<name>/v/<number>/document is written in ROOT/tmp/<unique>/, fsynced with its
 * directory, renamed onto the number, and the parent fsynced, before success is reported.
 * Failures: ENOSPC, EDQUOT, EIO, EROFS, EXDEV are returned at once. A torn newest version is skipped for reading and
 * reported. An ambiguous rename is resolved by reading the version back and comparing the writer id (CFG-8).
 *
 * Names: one to three components of [A-Za-z0-9._:-] separated by '/', no component starts with '.' or is "v", the first is
 * not "tmp"; 240 bytes at most.
 * All calls block on the file system: not for reactor threads (use offload.h). A docstore may be used by several threads.
 */
#ifndef LUNETTE_DOCSTORE_H
#define LUNETTE_DOCSTORE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "err.h"

struct docstore;

/* writer: who publishes, in the documents ("control", "worker0"); a random part is added. Creates ROOT when absent.
 * NULL with *err on failure. */
struct docstore *docstore_open(const char *root, const char *writer, struct err *err);
void docstore_close(struct docstore *store);

/* The newest whole version. 0: *ret_content is a new reference (NULL when the document was removed or never was, with
 * *ret_version the number that a publish must expect, 0 for "never was"). Negative errno with *err otherwise. */
int docstore_load(struct docstore *store, const char *name, json_t **ret_content, uint64_t *ret_version,
		  struct err *err);

/* Creates version expected + 1. content NULL removes the document: a tombstone version that keeps the numbering.
 * 0: durable, *ret_version (may be NULL) = expected + 1; -EAGAIN: lost to another writer; -EIO: it may be published all the
 * same (and may not survive a power failure): load tells; another negative errno: not published. */
int docstore_publish(struct docstore *store, const char *name, const json_t *content, uint64_t expected,
		     uint64_t *ret_version, struct err *err);

/* load, change, publish, again while lost. change() edits *content in place or replaces it (it may be NULL: no such
 * document; setting it to NULL removes); returns 0 to publish, 1 to leave it as it is (success), negative to give up. */
typedef int docstore_change_fn(json_t **content, uint64_t version, void *arg, struct err *err);
int docstore_update(struct docstore *store, const char *name, docstore_change_fn *change, void *arg,
		    uint64_t *ret_version, struct err *err);

/* Names of existing (not removed) documents that start with prefix, as a new JSON array of strings, sorted. */
int docstore_list(struct docstore *store, const char *prefix, json_t **ret_names, struct err *err);

/* A descriptor that becomes readable when a document below prefix may have a new version (inotify; spurious wake-ups
 * allowed); drain it with docstore_watch_drain. Negative errno when the driver cannot. */
int docstore_watch(struct docstore *store, const char *prefix);
void docstore_watch_drain(int fd);

/* Removes temporary directories older than age_s and turns all but the newest `keep` versions of each document into
 * tombstones (CFG-6, CFG-7). */
int docstore_reap(struct docstore *store, unsigned age_s, unsigned keep, struct err *err);

#endif
