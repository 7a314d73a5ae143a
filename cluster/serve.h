/*
 * The serve document (docs/serve-document.md): what one worker is told to serve. Pure. Content of `config` and of the maps
 * is shared by reference, not copied: treat the result as read only, dump it and drop it.
 */
#ifndef LUNETTE_CLUSTER_SERVE_H
#define LUNETTE_CLUSTER_SERVE_H

#include <jansson.h>
#include <stdint.h>

#include "docstore.h"
#include "err.h"

struct serve_input {
	const json_t *config;    /* documents; NULL: empty */
	const json_t *secrets;
	const json_t *maps;      /* object: LUN id -> content of `map/<id>`; a LUN without map is left out and reported */
	const json_t *placement; /* placement_compute() */
	unsigned      worker;
	uint64_t      generation;
	const json_t *bound;     /* portal name -> address that is really bound, for portals with port 0; may be NULL */
	const char   *state_dir; /* for the default path of the store "default" */
};

/* New reference; NULL when out of memory. *ret_missing (may be NULL): new array of names of LUNs that could not be
 * included because their map is missing. */
json_t *serve_document(const struct serve_input *input, json_t **ret_missing);

/* Blocking. Loads `map/<id>` of every LUN of config: new object LUN id -> map. LUNs whose map cannot be loaded are left
 * out and logged. 0 or negative errno (no memory). */
int serve_load_maps(struct docstore *store, const json_t *config, json_t **ret_maps, struct err *err);

#endif
