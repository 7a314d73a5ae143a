/*
 * LUNs and their backend objects: config_commit() with the objects made before the configuration names them and removed
 * after it forgot them (LU-1, LU-4, LU-6, LU-7). Every configuration change may go this road; one that touches no LUN
 * costs nothing more. Blocking: offload threads only; any number at a time.
 *
 * Create: plan the map, allocate the objects, publish map/<id>, publish config. Grow: plan the next generation, resize and
 * append, publish map/<id>, publish config. Delete: config first, then map/<id>, reservation/<id>, the objects.
 */
#ifndef LUNETTE_API_LUN_OBJECTS_H
#define LUNETTE_API_LUN_OBJECTS_H

#include "cluster/commit.h"

/* As config_commit(). state_dir: where the built-in file store lives. Errors of the store (ENOSPC ...) come back as
 * negative errno with *err. */
int lun_objects_commit(struct docstore *store, const char *state_dir, const struct config_request *request, bool dry_run,
		       struct config_result *ret, uint64_t *ret_version, struct problem *problem, struct err *err);

/*
 * Housekeeping; waits until no commit of this process is under way. Removes objects in the configured stores that no map of
 * a configured LUN names and that are older than age_s (LU-7); map/<id> and reservation/<id> of LUNs that are gone; CHAP
 * secrets that nobody refers to (secrets.h). Completes a grow that was cut off between its two documents.
 * How many objects were removed; negative errno with *err: nothing is removed when not everything that is in use is known.
 */
int lun_objects_reap(struct docstore *store, const char *state_dir, unsigned age_s, struct err *err);

#endif
