/*
 * Secrets: CHAP secrets and API tokens, in the document `secrets` (files 0600 in directories 0700), never in `config`,
 * never in a log line, an export or an answer.
 *
 *   { "chap":   { "<reference>": { "secret": "...", "created_ms": 1790000000000 } },
 *     "tokens": { ... as api/ likes; kept as it is ... } }
 *
 * A credential in `config` is {"user": "u", "secret_set": true, "secret_ref": "<32 hex digits>"}. Each new secret gets a
 * new random reference, so one change over two documents stays atomic: first the secret is added to `secrets`, then
 * `config` is published with the reference; readers see the old pair or the new pair. A crash between the two leaves an
 * entry that nobody refers to; secrets_sweep() removes those when they are old enough that no publish can be under way.
 * Any thread; nothing here blocks.
 */
#ifndef LUNETTE_CLUSTER_SECRETS_H
#define LUNETTE_CLUSTER_SECRETS_H

#include <jansson.h>
#include <stdint.h>

#define SECRETS_DOCUMENT      "secrets"
#define SECRETS_ORPHAN_AGE_MS (UINT64_C(3600) * 1000)

/* Adds and removes CHAP entries in place (config_result's secrets_add and secrets_drop; either may be NULL). *secrets may
 * be NULL: an empty document is made. 1: nothing to do; 0: changed; -ENOMEM. */
int secrets_edit(json_t **secrets, const json_t *add, const json_t *drop);
/* The secret behind a reference; NULL when it is not there. Borrowed: do not print it. */
const char *secrets_find(const json_t *secrets, const char *reference);
/* Removes CHAP entries older than age_ms that `config` does not refer to. How many were removed; -ENOMEM. */
int secrets_sweep(json_t *secrets, const json_t *config, uint64_t now_ms, uint64_t age_ms);
/* A copy of any JSON value in which every member named "secret" is "********": for the audit log. NULL: no memory. */
json_t *secrets_mask(const json_t *value);

#endif
