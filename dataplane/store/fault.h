/*
 * Handles on the fault store (kind "fault") for tests in the same process. In a daemon the rules come with the store's
 * parameters; their syntax is in README.md. Every function is for any thread, and only for a store of that kind.
 */
#ifndef LUNETTE_STORE_FAULT_H
#define LUNETTE_STORE_FAULT_H

#include "dataplane/store/store.h"

/* Replaces all rules, their counts begin anew. rules_json: the array; NULL: none. I/O that is held stays held. */
int store_fault_set_rules(struct store *store, const char *rules_json, struct err *err);
/* Completes what "hold" rules withhold; returns how many I/Os. */
unsigned store_fault_release(struct store *store);
unsigned store_fault_held(struct store *store);
/* each() sees every I/O on its submitter's thread before any rule is applied. Set it while there is no I/O. */
void store_fault_trace(struct store *store, void (*each)(const struct store_io *io, void *arg), void *arg);

#endif
