/* What the files of the configuration model share: fields.c (the table and the rules for texts), validate.c (one object
 * against its schema), rules.c (what spans several fields or objects), change.c (put, patch, delete), import.c,
 * config.c (reading). */
#ifndef LUNETTE_CLUSTER_CONFIG_PRIVATE_H
#define LUNETTE_CLUSTER_CONFIG_PRIVATE_H

#include "cluster/config.h"

/* The rows of a schema lie together in fields.def. */
const struct config_field *config_schema_fields(enum config_schema schema, unsigned *ret_count);
const struct config_field *config_field_find(enum config_schema schema, const char *name);

struct config_address {
	bool v6;
	unsigned char bytes[16];
	unsigned port;
};
/* "10.0.0.1:3260", "[fd00::1]:3260"; false: is none. */
bool config_socket_address(const char *text, struct config_address *ret_address);

/* Where in the body we are, innermost first; becomes the JSON pointer of a problem. */
struct where {
	const struct where *up; /* NULL: the body itself */
	const char *segment;
};

/* A change in the making. */
struct change {
	json_t *config;             /* new content; sections are copied before their first change */
	unsigned copied;            /* bit k: the map of kind k is ours */
	const json_t *secrets;
	const struct config_env *env;
	bool import;                /* identities of new LUNs may come with the body */
	json_t *added;              /* new secrets: reference -> entry */
	json_t *identities;         /* import: ids, serials and NAA identifiers that LUNs have: text -> LUN; NULL: not yet looked */
	json_t *pointers;           /* where in the body they were: reference -> text */
	const struct where *base;   /* where the object is in the body; NULL: it is the body */
	struct problem *problem;
};

/* problem_set with a pointer made from c->base and `where`; returns -1. */
int refuse(struct change *c, int status, const char *code, const struct where *where, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));
int refuse_memory(struct change *c);

/* --- validate.c --- */

/* The object that `body` describes: checked, defaults filled in, server members taken from `old` (NULL: it is new), entries
 * of maps stamped. New reference; NULL with a problem. */
json_t *validate_object(struct change *c, enum config_schema schema, const json_t *body, const json_t *old,
			const char *name, const struct where *where);
/* Whether two objects differ in what is not just stamps. */
bool objects_equal(enum config_schema schema, const json_t *a, const json_t *b);
/* Sets revision and created_at (kept from old). -1: no memory. */
int stamp(struct change *c, json_t *object, const json_t *old);

/* --- rules.c --- */

/* Rules over several members and over other objects. `object` is new content of ref, not yet in c->config; rules may fill
 * in what the server decides. 0, or -1 with a problem. */
int rules_check(struct change *c, const struct config_ref *ref, json_t *object, const json_t *old);
/* Relative port identifiers for every portal group tag that a target is reachable by. */
int rules_allot_ports(struct change *c);
/* The two directions of CHAP never share a secret (B038). Looks only at secrets that this change brings. */
int rules_check_secrets(struct change *c);
/* All secret references below a value, appended to an array; but what `other` shares with it (the same object in memory) is
 * left out. other: NULL for all. */
int secret_references(const json_t *value, const json_t *other, json_t *array);

/* --- change.c --- */

/* The map of a kind, ours to change (made when absent); NULL: no memory. Only for kinds that are not below a target. */
json_t *section_edit(struct change *c, enum config_kind kind);
/* One PUT without preconditions and its outcome. 0, or -1 with a problem. */
int change_put(struct change *c, const struct config_ref *ref, const json_t *body, enum config_outcome *ret_outcome);
int change_delete(struct change *c, const struct config_ref *ref, bool force);

/* --- import.c --- */

int change_import(struct change *c, const json_t *body, bool prune, json_t *diff);

#endif
