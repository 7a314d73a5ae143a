/*
 * The configuration model: what an administrator can say, which values are right, and what a change makes of it. Pure:
 * no I/O, no clock, no randomness but what `struct config_env` brings; the same input gives the same output, so a change
 * can be applied again to newer content after a lost publish (design section 4).
 *
 * The document `config` is one JSON object; every member is a map by name but `settings`, which is one object:
 *
 *   { "format": 1, "naa_prefix": "6e61c2f", "relative_port_next": 4,
 *     "luns":             { "vol1":     { "revision": 3, "created_at": "...", "id": ..., "size_bytes": ... } },
 *     "targets":          { "iqn....":  { ..., "luns": { "0": {...} }, "initiators": { "iqn...": {...} }, "groups": {} } },
 *     "initiator_groups": { "esx":      { "initiators": [...] } },
 *     "portals":          { "default":  { "address": "127.0.0.1:3260", "tag": 1 } },
 *     "stores":           { "fast":     { "kind": "file", "params": {...} } },
 *     "settings":         { ... } }
 *
 * `revision` is the version of the document in which the object last changed: its ETag. A change to a sub-resource
 * (targets/{iqn}/luns/{number}) changes the revision of the sub-resource and of its target.
 * Members, their types, ranges, defaults and what may be done with them: the rows of fields.def; unknown members are
 * refused. Secrets are not in here: see secrets.h.
 *
 * Present without being configured: the stores "default" (file), "memory" and "null", and the portal "default".
 * Any thread; nothing here blocks. Content is never changed in place: a result shares what did not change with the input
 * (copy on write), so treat both as read only.
 */
#ifndef LUNETTE_CLUSTER_CONFIG_H
#define LUNETTE_CLUSTER_CONFIG_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "problem.h"

#define CONFIG_FORMAT           1
#define CONFIG_ISCSI_NAME_MAX   223     /* bytes, RFC 7143 section 4.2.7.1 */
#define CONFIG_LUN_NUMBER_MAX   16383   /* flat addressing, SAM-5 */
#define CONFIG_LUN_MIN_BYTES    (INT64_C(1) << 20)
#define CONFIG_LUN_MAX_BYTES    (INT64_C(64) << 40)
#define CONFIG_REVISIONS_MAX    16      /* entity tags in one If-Match */

/* --- what there is: one row a kind in config_kinds[] --- */

enum config_kind {
	CONFIG_LUN, CONFIG_TARGET, CONFIG_GROUP, CONFIG_PORTAL, CONFIG_STORE,
	CONFIG_SETTINGS,                              /* one object; no name */
	CONFIG_MAPPING, CONFIG_INITIATOR, CONFIG_GRANT, /* below a target: luns/{n}, initiators/{iqn}, groups/{name} */
	CONFIG_KIND_COUNT
};

struct config_kind_row {
	const char *member;  /* "luns"; of the parent object for sub-resources */
	const char *noun;    /* "lun", in problem codes and sentences: "lun-in-use", "no-such-lun" */
	bool        below_target;
	bool        singleton;
	unsigned    limit;   /* objects in one map */
};
extern const struct config_kind_row config_kinds[CONFIG_KIND_COUNT];

/* Which object: kind and name; below a target `name` is the target and `sub` the LUN number, initiator or group.
 * `name` is ignored for CONFIG_SETTINGS. Borrowed strings. */
struct config_ref {
	enum config_kind kind;
	const char *name;
	const char *sub;
};

/* --- the fields, from fields.def --- */

enum config_schema {
	SCHEMA_LUN, SCHEMA_TARGET, SCHEMA_GROUP, SCHEMA_PORTAL, SCHEMA_STORE, SCHEMA_SETTINGS,
	SCHEMA_MAPPING, SCHEMA_INITIATOR, SCHEMA_GRANT, SCHEMA_PORT_GROUP,
	SCHEMA_PARAMS, SCHEMA_AUTH, SCHEMA_CREDENTIAL, SCHEMA_REDIRECT,
	SCHEMA_COUNT,
	SCHEMA_NONE = SCHEMA_COUNT
};

enum config_type {
	TYPE_BOOL,
	TYPE_INTEGER, /* min..max */
	TYPE_TEXT,    /* min..max bytes, and a rule */
	TYPE_CHOICE,  /* rule: the words, "none|crc32c|any" */
	TYPE_TEXTS,   /* array of at most max different texts, each by the rule */
	TYPE_NUMBERS, /* array of different integers min..max */
	TYPE_OBJECT,  /* sub: its schema */
	TYPE_MAP,     /* object of objects; rule for the keys, sub for the values, at most max */
	TYPE_JSON,    /* any JSON object: the parameters of a store driver */
};

enum config_flags {
	F_REQUIRED  = 1,  /* must be in the body */
	F_IMMUTABLE = 2,  /* fixed at creation; absent in a later PUT: as it is */
	F_SERVER    = 4,  /* the server decides; in a body only with the value it has (so that GET, edit, PUT works) */
	F_SECRET    = 8,  /* goes to the document `secrets`, never comes back */
	F_KEEP      = 16, /* absent in a PUT: as it is (collections with resources of their own) */
	F_INTERNAL  = 32, /* never shown and never accepted */
	F_OPTIONAL  = 64, /* no default: absent is a value */
	F_GROW      = 128, /* may become larger, never smaller */
	F_IGNORED   = 256, /* in a body without meaning: a GET shows it, a later PUT may bring it back stale */
};

struct config_field {
	enum config_schema schema;
	const char *name;
	enum config_type type;
	const char *rule;          /* name of a text rule or the words of a choice; "" */
	enum config_schema sub;
	int64_t min, max;
	const char *fallback;      /* default as JSON text; "" when there is none */
	unsigned flags;
	const char *doc;           /* one sentence for people */
};
extern const struct config_field config_fields[];
extern const unsigned config_field_count;
/* "lun", "target-params" ...: for documentation and the comparison with the OpenAPI schemas. */
const char *config_schema_name(enum config_schema schema);
enum config_schema config_kind_schema(enum config_kind kind);
/* Whether text keeps a rule of fields.def ("iscsi-name", "lun-name", "socket-address" ...); NULL, or why not (static). */
const char *config_rule_check(const char *rule, const char *text);

/* --- a change --- */

enum config_op {
	CONFIG_PUT,    /* body is the whole object; creates it when absent */
	CONFIG_PATCH,  /* body is an RFC 7396 merge patch of what config_view() shows; the object must exist */
	CONFIG_DELETE,
	CONFIG_IMPORT, /* body is what config_export() makes; ref is ignored */
};

/* If-Match and If-None-Match. An object that exists is changed or removed only when one of `revisions` is its revision,
 * or `any` (If-Match: *), or `optional` (the caller waives it); otherwise 412, or 428 when nothing was given.
 * A PUT that changes nothing needs none. */
struct config_precondition {
	bool optional, any;
	bool absent;         /* If-None-Match: *; the object must not exist */
	unsigned count;
	uint64_t revisions[CONFIG_REVISIONS_MAX];
};

struct config_request {
	enum config_op op;
	struct config_ref ref;
	const json_t *body;              /* borrowed; NULL for CONFIG_DELETE */
	struct config_precondition precondition;
	bool force;                      /* CONFIG_DELETE: also what is referenced; the references go with it */
	bool prune;                      /* CONFIG_IMPORT: remove what the body does not name */
};

/* Who a LUN is, for ever. */
struct config_identity {
	char id[40];     /* UUID, lower case */
	char serial[40]; /* VPD 80h */
	char naa[33];    /* 32 hex digits, NAA 6h */
};

struct config_env {
	uint64_t now_ms;   /* wall clock, since 1970 */
	uint64_t version;  /* what the changed document will have: the loaded one plus 1 */
	void (*random)(void *arg, void *bytes, size_t len_bytes);
	void *random_arg;
};
/* now and getrandom(2); version must be set by the caller. */
void config_env_init(struct config_env *env);

enum config_outcome { CONFIG_SAME, CONFIG_CREATED, CONFIG_CHANGED, CONFIG_DELETED };

struct config_result {
	enum config_outcome outcome;
	uint64_t revision;      /* of the object after the change; 0 when deleted */
	json_t *config;         /* the new content; with CONFIG_SAME a reference to the old */
	json_t *before, *after; /* config_view() of the object; NULL: was, is not there. CONFIG_IMPORT: NULL */
	json_t *secrets_add;    /* object: reference -> entry, to be in `secrets` before config is published; NULL: none */
	json_t *secrets_drop;   /* array of references that config no longer uses; NULL: none */
	json_t *diff;           /* CONFIG_IMPORT: array of {"change": "create" | "change" | "delete", "kind", "name",
				 * "before", "after"}; otherwise NULL */
};
void config_result_fini(struct config_result *result);

/*
 * Applies one request to `config` (NULL: the empty configuration). secrets: the document `secrets`, for the rule that the
 * two directions of CHAP have different secrets; may be NULL. 0 with *ret filled (free it with config_result_fini), or
 * -1 with *problem:
 *   404 no-such-<noun>, 409 <noun>-in-use, 412 precondition-failed, 422 validation-failed with a pointer,
 *   422 immutable, 422 shrink-refused, 422 too-many, 428 precondition-required, 500 out-of-memory.
 */
int config_change(const json_t *config, const json_t *secrets, const struct config_request *request,
		  const struct config_env *env, struct config_result *ret, struct problem *problem);

/* --- reading --- */

/* The object as stored, borrowed; NULL when there is none. */
const json_t *config_find(const json_t *config, const struct config_ref *ref);
/* The map of all objects of a kind (of that target), borrowed; NULL when there are none. */
const json_t *config_map(const json_t *config, enum config_kind kind, const char *target);
/* What a client may see of a stored object: with "name", defaults filled in, without internal members. New reference;
 * NULL when out of memory or there is no such object. */
json_t *config_view(const json_t *config, const struct config_ref *ref);
uint64_t config_revision(const json_t *config, const struct config_ref *ref); /* 0: no such object */
/* Targets whose LUN maps name this LUN: new array of {"target", "number"}. */
json_t *config_lun_users(const json_t *config, const char *lun);
/* Everything that CONFIG_IMPORT takes, without secrets, revisions and what the server decides but the identities of the
 * LUNs. New reference. */
json_t *config_export(const json_t *config);
/* "file" for the built-in "default", and so on: kind and parameters of a store by name; a new reference, NULL when there
 * is none. state_dir fills in the path of "default" when none is configured. */
json_t *config_store(const json_t *config, const char *store, const char *state_dir);

#endif
