/*
 * A configuration change, all the way to the disk: load, apply (config.h), publish, and again from the newest version
 * while another writer was first. Blocking: offload threads only.
 *
 * Order: load `config` and `secrets` -> config_change() -> prepare() (LUN objects and maps are made) -> add new secrets ->
 * publish `config`: this is the moment of the change -> finish() (objects of removed LUNs go) -> drop old secrets.
 * A crash before the publish leaves orphaned objects, maps and secrets that are reaped by age (LU-7, secrets_sweep); a
 * crash after it leaves leftovers of the same kinds. At no point does config name what is not there.
 */
#ifndef LUNETTE_CLUSTER_COMMIT_H
#define LUNETTE_CLUSTER_COMMIT_H

#include <stdbool.h>

#include "cluster/config.h"
#include "docstore.h"
#include "err.h"

#define CONFIG_DOCUMENT "config"

/* What a change means outside of the documents. before and after are contents of `config`, before may be NULL. */
struct commit_hooks {
	/* Makes what `after` needs. Called again, with newer content, after a lost publish: must not make twice what it made.
	 * 0; or negative errno with *err, which ends the change. */
	int (*prepare)(void *arg, const json_t *before, const json_t *after, struct err *err);
	/* The change did not happen after prepare(): undo it. */
	void (*abandon)(void *arg);
	/* The change is published: remove what `before` had and `after` has not. Trouble here is logged, not reported. */
	void (*finish)(void *arg, const json_t *before, const json_t *after);
	void *arg;
};

/*
 * hooks: NULL when the change touches nothing outside. dry_run: everything but prepare() and the publishing.
 * 0: *ret filled (config_result_fini), *ret_version the version of `config` that holds the change. 1: refused, *problem
 * says why. Negative errno with *err: not published (disk full, no memory, I/O error).
 * Random bits are drawn once a call: a repeated attempt gives a new LUN the same identity.
 */
int config_commit(struct docstore *store, const struct config_request *request, const struct commit_hooks *hooks,
		  bool dry_run, struct config_result *ret, uint64_t *ret_version, struct problem *problem, struct err *err);

/* Blocking. Removes CHAP secrets that `config` does not refer to and that are older than age_ms: what crashes between the two
 * documents left. How many; negative errno with *err. */
int config_sweep_secrets(struct docstore *store, uint64_t age_ms, struct err *err);

#endif
