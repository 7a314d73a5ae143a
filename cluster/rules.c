/* Rules that span several members or several objects, and what the server decides at creation: one function a kind. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cluster/config_private.h"
#include "cluster/secrets.h"

#define OBJECTS_MAX 65536 /* backend objects of one LUN: LUN_OBJECTS_MAX of dataplane/lun/lun.h */
#define PORT_ID_MAX 65535

static json_int_t integer_of(const json_t *object, const char *name)
{
	return json_integer_value(json_object_get(object, name));
}

static const char *text_of(const json_t *object, const char *name)
{
	return json_string_value(json_object_get(object, name));
}

static int invalid_member(struct change *c, const char *member, const char *why)
{
	struct where where = { NULL, member };

	return refuse(c, 422, "validation-failed", &where, "%s", why);
}

static bool has_object(const struct change *c, enum config_kind kind, const char *name)
{
	const struct config_ref ref = { kind, name, NULL };

	return config_find(c->config, &ref) != NULL;
}

/* --- luns --- */

static void random_hex(struct change *c, char *text, unsigned digits)
{
	unsigned char bytes[32];

	c->env->random(c->env->random_arg, bytes, sizeof bytes);
	for (unsigned i = 0; i < digits; i++)
		text[i] = "0123456789abcdef"[i % 2 ? bytes[i / 2] & 15 : bytes[i / 2] >> 4];
	text[digits] = '\0';
}

/* RFC 9562 version 4. */
static void make_uuid(struct change *c, char ret_text[37])
{
	char hex[33];

	random_hex(c, hex, 32);
	hex[12] = '4';
	hex[16] = "89ab"[hex[16] & 3];
	snprintf(ret_text, 37, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16, hex + 20);
}

/* NAA 6h: "6", an OUI, 25 digits of our own. We own no OUI, so each installation draws one from the locally administered
 * space (the 2 bit of its first octet set, the 1 bit clear) when it makes its first LUN. */
static const char *naa_prefix(struct change *c)
{
	const char *known = text_of(c->config, "naa_prefix");
	char text[8] = "6";

	if (known && strlen(known) == 7)
		return known;
	random_hex(c, text + 1, 6);
	text[2] = "26ae"[text[2] & 3];
	if (json_object_set_new(c->config, "naa_prefix", json_string(text)) < 0)
		return NULL;
	return text_of(c->config, "naa_prefix");
}

/* Fills in what the body of an import has not brought. */
static int give_identity(struct change *c, json_t *lun)
{
	struct config_identity id;
	const char *prefix = naa_prefix(c);
	char hex[33];
	int rc = 0;

	if (!prefix)
		return refuse_memory(c);
	make_uuid(c, id.id);
	random_hex(c, hex, 25);
	snprintf(id.naa, sizeof id.naa, "%.7s%.25s", prefix, hex);
	random_hex(c, hex, 16);
	snprintf(id.serial, sizeof id.serial, "LN%.16s", hex);
	if (!json_object_get(lun, "id"))
		rc |= json_object_set_new(lun, "id", json_string(id.id));
	if (!json_object_get(lun, "serial"))
		rc |= json_object_set_new(lun, "serial", json_string(id.serial));
	if (!json_object_get(lun, "naa"))
		rc |= json_object_set_new(lun, "naa", json_string(id.naa));
	return rc < 0 ? refuse_memory(c) : 0;
}

static const char *const identity_members[] = { "id", "serial", "naa" };
#define IDENTITY_MEMBERS 3

static int remember_identity(struct change *c, const json_t *lun, const char *name)
{
	int rc = 0;

	for (unsigned i = 0; i < IDENTITY_MEMBERS; i++) {
		const char *text = text_of(lun, identity_members[i]);

		if (text)
			rc |= json_object_set_new(c->identities, text, json_string(name));
	}
	return rc < 0 ? refuse_memory(c) : 0;
}

/* An import may bring identities: nobody else has them. */
static int check_identity_is_new(struct change *c, const json_t *lun)
{
	const char *name;
	json_t *other;

	if (!c->identities) {
		c->identities = json_object();
		json_object_foreach((json_t *)config_map(c->config, CONFIG_LUN, NULL), name, other) {
			if (remember_identity(c, other, name) < 0)
				return -1;
		}
	}
	for (unsigned i = 0; i < IDENTITY_MEMBERS; i++) {
		const struct where where = { NULL, identity_members[i] };
		const char *text = text_of(lun, identity_members[i]);
		const char *owner = text ? text_of(c->identities, text) : NULL;

		if (owner)
			return refuse(c, 422, "validation-failed", &where, "LUN %s has it already.", owner);
	}
	return 0;
}

static int check_lun_sizes(struct change *c, const json_t *lun)
{
	json_int_t block = integer_of(lun, "block_size"), size = integer_of(lun, "size_bytes");
	json_int_t object = integer_of(lun, "target_object_size_bytes");

	if (size % block)
		return invalid_member(c, "size_bytes", "It must be a whole number of blocks.");
	if (integer_of(lun, "physical_block_size") < block)
		return invalid_member(c, "physical_block_size", "It must not be smaller than block_size.");
	if (object == 0)
		return 0;
	if (object < CONFIG_LUN_MIN_BYTES || object % 4096)
		return invalid_member(c, "target_object_size_bytes", "It must be 0, or at least 1 MiB and a multiple of 4096.");
	if ((size + object - 1) / object > OBJECTS_MAX)
		return invalid_member(c, "target_object_size_bytes", "It would take more than 65536 objects.");
	return 0;
}

static int check_lun(struct change *c, const struct config_ref *ref, json_t *lun, const json_t *old)
{
	json_t *store;

	if (check_lun_sizes(c, lun) < 0)
		return -1;
	if (old)
		return 0;
	store = config_store(c->config, text_of(lun, "store"), "");
	if (!store)
		return invalid_member(c, "store", "There is no such store.");
	json_decref(store);
	if (c->import && check_identity_is_new(c, lun) < 0)
		return -1;
	if (give_identity(c, lun) < 0)
		return -1;
	return c->import ? remember_identity(c, lun, ref->name) : 0;
}

/* --- targets --- */

static int check_auth(struct change *c, const json_t *auth, const struct where *where)
{
	const struct where mutual = { where, "mutual" };

	if (json_object_get(auth, "mutual") && !json_object_get(auth, "chap"))
		return refuse(c, 422, "validation-failed", &mutual, "Mutual CHAP needs chap as well.");
	return 0;
}

static int check_mapping_of(struct change *c, const json_t *mapping, const json_t *seen, const struct where *up)
{
	const struct where where = { up, "lun" };
	const char *lun = text_of(mapping, "lun"), *number = json_string_value(json_object_get(seen, lun));

	if (!has_object(c, CONFIG_LUN, lun))
		return refuse(c, 422, "no-such-lun", &where, "There is no LUN %s.", lun);
	if (number)
		return refuse(c, 422, "validation-failed", &where, "It is LUN %s of this target already.", number);
	return 0;
}

/* Every mapping names a LUN that exists, and no LUN twice. changed: the one entry to look at, NULL for all. */
static int check_mappings(struct change *c, const json_t *luns, const char *skip, json_t *ret_seen, const struct where *up)
{
	const char *number;
	json_t *mapping;

	json_object_foreach((json_t *)luns, number, mapping) {
		const struct where where = { up, number };

		if (skip && strcmp(skip, number) == 0)
			continue;
		if (up && check_mapping_of(c, mapping, ret_seen, &where) < 0)
			return -1;
		if (json_object_set_new(ret_seen, text_of(mapping, "lun"), json_string(number)) < 0)
			return refuse_memory(c);
	}
	return 0;
}

static int check_target_luns(struct change *c, const json_t *target)
{
	const struct where where = { NULL, "luns" };
	json_t *seen = json_object();
	int rc = check_mappings(c, json_object_get(target, "luns"), NULL, seen, &where);

	json_decref(seen);
	return rc;
}

static int check_target_groups(struct change *c, const json_t *target)
{
	const struct where up = { NULL, "groups" };
	const char *name;
	json_t *grant;

	json_object_foreach(json_object_get(target, "groups"), name, grant) {
		const struct where where = { &up, name };

		if (!has_object(c, CONFIG_GROUP, name))
			return refuse(c, 422, "no-such-initiator-group", &where, "There is no initiator group %s.", name);
	}
	return 0;
}

static int check_target_portals(struct change *c, const json_t *target)
{
	const struct where up = { NULL, "portals" };
	json_t *portal;
	size_t n;

	json_array_foreach(json_object_get(target, "portals"), n, portal) {
		char segment[24];
		const struct where where = { &up, segment };
		const char *name = json_string_value(portal);

		snprintf(segment, sizeof segment, "%zu", n);
		if (strcmp(name, "default") != 0 && !has_object(c, CONFIG_PORTAL, name))
			return refuse(c, 422, "no-such-portal", &where, "There is no portal %s.", name);
	}
	return 0;
}

static int check_target_auth(struct change *c, const json_t *target)
{
	const struct where auth = { NULL, "auth" }, initiators = { NULL, "initiators" };
	const char *name;
	json_t *initiator;

	if (check_auth(c, json_object_get(target, "auth"), &auth) < 0)
		return -1;
	json_object_foreach(json_object_get(target, "initiators"), name, initiator) {
		const struct where where = { &initiators, name }, its_auth = { &where, "auth" };

		if (check_auth(c, json_object_get(initiator, "auth"), &its_auth) < 0)
			return -1;
	}
	return 0;
}

static int check_target(struct change *c, const struct config_ref *ref, json_t *target, const json_t *old)
{
	const struct where params = { NULL, "params" }, first = { &params, "first_burst_bytes" };
	const json_t *values = json_object_get(target, "params");

	(void)ref;
	(void)old;
	if (integer_of(values, "first_burst_bytes") > integer_of(values, "max_burst_bytes"))
		return refuse(c, 422, "validation-failed", &first, "It must not be larger than max_burst_bytes.");
	if (check_target_portals(c, target) < 0 || check_target_luns(c, target) < 0 || check_target_groups(c, target) < 0)
		return -1;
	return check_target_auth(c, target);
}

static int check_mapping(struct change *c, const struct config_ref *ref, json_t *mapping, const json_t *old)
{
	json_t *seen = json_object();
	int rc = check_mappings(c, config_map(c->config, CONFIG_MAPPING, ref->name), ref->sub, seen, NULL);

	(void)old;
	if (rc == 0)
		rc = check_mapping_of(c, mapping, seen, NULL);
	json_decref(seen);
	return rc;
}

static int check_initiator(struct change *c, const struct config_ref *ref, json_t *initiator, const json_t *old)
{
	const struct where auth = { NULL, "auth" };

	(void)ref;
	(void)old;
	return check_auth(c, json_object_get(initiator, "auth"), &auth);
}

static int check_grant(struct change *c, const struct config_ref *ref, json_t *grant, const json_t *old)
{
	(void)grant;
	(void)old;
	if (!has_object(c, CONFIG_GROUP, ref->sub))
		return refuse(c, 422, "no-such-initiator-group", NULL, "There is no initiator group %s.", ref->sub);
	return 0;
}

/* --- portals, stores, settings --- */

static int check_portal(struct change *c, const struct config_ref *ref, json_t *portal, const json_t *old)
{
	struct config_address address, other_address;
	const char *name;
	json_t *other;

	(void)old;
	config_socket_address(text_of(portal, "address"), &address);
	json_object_foreach((json_t *)config_map(c->config, CONFIG_PORTAL, NULL), name, other) {
		if (strcmp(name, ref->name) == 0 || !config_socket_address(text_of(other, "address"), &other_address))
			continue;
		if (address.port != 0 && memcmp(&address, &other_address, sizeof address) == 0)
			return invalid_member(c, "address", "Another portal has this address.");
	}
	return 0;
}

static bool path_valid(const char *path)
{
	size_t len = path ? strlen(path) : 0;

	return path && path[0] == '/' && len < 3072 && !strstr(path, "/../") && !(len >= 3 && !strcmp(path + len - 3, "/..")) &&
	       !config_rule_check("text", path);
}

/* A LUN that lives in the store, NULL when there is none. */
static const char *store_user(const struct change *c, const char *store)
{
	const char *name;
	json_t *lun;

	json_object_foreach((json_t *)config_map(c->config, CONFIG_LUN, NULL), name, lun) {
		if (strcmp(text_of(lun, "store"), store) == 0)
			return name;
	}
	return NULL;
}

static int check_store_path(struct change *c, const struct config_ref *ref, const json_t *store)
{
	const struct where up = { NULL, "params" }, where = { &up, "path" };
	const char *path = text_of(json_object_get(store, "params"), "path"), *name;
	json_t *other;

	if (!path_valid(path))
		return refuse(c, 422, "validation-failed", &where, "It must be an absolute path without \"..\".");
	json_object_foreach((json_t *)config_map(c->config, CONFIG_STORE, NULL), name, other) {
		const char *theirs = text_of(json_object_get(other, "params"), "path");

		if (strcmp(name, ref->name) != 0 && theirs && strcmp(theirs, path) == 0)
			return refuse(c, 422, "validation-failed", &where, "Store %s has this path.", name);
	}
	return 0;
}

static int check_store(struct change *c, const struct config_ref *ref, json_t *store, const json_t *old)
{
	const char *kind = text_of(store, "kind"), *user = store_user(c, ref->name);

	if (strcmp(ref->name, "memory") == 0 || strcmp(ref->name, "null") == 0)
		return refuse(c, 422, "validation-failed", NULL, "The store %s is built in and cannot be changed.", ref->name);
	if (strcmp(kind, "file") == 0 && check_store_path(c, ref, store) < 0)
		return -1;
	if (user && !(old && objects_equal(SCHEMA_STORE, old, store)) &&
	    !(old && json_equal(json_object_get(old, "params"), json_object_get(store, "params"))))
		return refuse(c, 409, "store-in-use", NULL, "LUN %s lives in it.", user);
	return 0;
}

static int check_settings(struct change *c, const struct config_ref *ref, json_t *settings, const json_t *old)
{
	const struct where auth = { NULL, "discovery_auth" };

	(void)ref;
	(void)old;
	return check_auth(c, json_object_get(settings, "discovery_auth"), &auth);
}

static int check_nothing(struct change *c, const struct config_ref *ref, json_t *object, const json_t *old)
{
	(void)c, (void)ref, (void)object, (void)old;
	return 0;
}

int rules_check(struct change *c, const struct config_ref *ref, json_t *object, const json_t *old)
{
	static int (*const by_kind[CONFIG_KIND_COUNT])(struct change *c, const struct config_ref *ref, json_t *object,
						       const json_t *old) = {
		[CONFIG_LUN] = check_lun, [CONFIG_TARGET] = check_target, [CONFIG_GROUP] = check_nothing,
		[CONFIG_PORTAL] = check_portal, [CONFIG_STORE] = check_store, [CONFIG_SETTINGS] = check_settings,
		[CONFIG_MAPPING] = check_mapping, [CONFIG_INITIATOR] = check_initiator, [CONFIG_GRANT] = check_grant,
	};

	return by_kind[ref->kind](c, ref, object, old);
}

/* --- relative target port identifiers --- */

struct port_ids {
	bool *used; /* PORT_ID_MAX + 1; NULL: not yet looked */
	json_int_t next;
};

static int port_ids_look(struct change *c, struct port_ids *ids)
{
	const char *name, *tag;
	json_t *target, *id;

	ids->used = calloc(PORT_ID_MAX + 1, sizeof *ids->used);
	if (!ids->used)
		return refuse_memory(c);
	json_object_foreach((json_t *)config_map(c->config, CONFIG_TARGET, NULL), name, target) {
		json_object_foreach(json_object_get(target, "relative_port_ids"), tag, id) {
			if (json_integer_value(id) >= 1 && json_integer_value(id) <= PORT_ID_MAX)
				ids->used[json_integer_value(id)] = true;
		}
	}
	ids->next = integer_of(c->config, "relative_port_next");
	return 0;
}

/* The next identifier that nobody has; identifiers of removed targets are used again as late as possible. */
static json_int_t port_ids_take(struct port_ids *ids)
{
	for (unsigned tries = 0; tries <= PORT_ID_MAX; tries++) {
		json_int_t id = ids->next < 1 || ids->next > PORT_ID_MAX ? 1 : ids->next;

		ids->next = id + 1;
		if (!ids->used[id]) {
			ids->used[id] = true;
			return id;
		}
	}
	return 0;
}

static json_int_t portal_tag(const struct change *c, const char *portal)
{
	const struct config_ref ref = { CONFIG_PORTAL, portal, NULL };
	const json_t *found = config_find(c->config, &ref);

	return found ? integer_of(found, "tag") : 1;
}

/* A copy of the target, with what it lacks; the target itself when it lacks nothing. New reference. */
static json_t *target_with_ports(struct change *c, struct port_ids *ids, json_t *target)
{
	json_t *known = json_object_get(target, "relative_port_ids"), *more = NULL, *portal, *copy;
	size_t n;

	json_array_foreach(json_object_get(target, "portals"), n, portal) {
		char tag[24];
		json_int_t id;

		snprintf(tag, sizeof tag, "%" JSON_INTEGER_FORMAT, portal_tag(c, json_string_value(portal)));
		if (json_object_get(more ? more : known, tag))
			continue;
		if (!ids->used && port_ids_look(c, ids) < 0)
			goto failed;
		id = port_ids_take(ids);
		if (id == 0) {
			refuse(c, 422, "too-many", NULL, "All 65535 relative target port identifiers are taken.");
			goto failed;
		}
		if (!more)
			more = known ? json_copy(known) : json_object();
		if (json_object_set_new(more, tag, json_integer(id)) < 0)
			goto failed;
	}
	if (!more)
		return json_incref(target);
	copy = json_copy(target);
	if (json_object_set_new(copy, "relative_port_ids", more) == 0 &&
	    json_object_set_new(copy, "revision", json_integer((json_int_t)c->env->version)) == 0)
		return copy;
	more = NULL;
	json_decref(copy);
failed:
	json_decref(more);
	return refuse_memory(c), NULL; /* unless a problem was set before */
}

int rules_allot_ports(struct change *c)
{
	struct port_ids ids = { 0 };
	json_t *targets = section_edit(c, CONFIG_TARGET), *target;
	const char *name;
	void *next;
	int rc = targets ? 0 : -1;

	json_object_foreach_safe(targets, next, name, target) {
		json_t *made = target_with_ports(c, &ids, target);

		if (!made) {
			rc = -1;
			break;
		}
		if (made != target)
			rc |= json_object_set(targets, name, made);
		json_decref(made);
	}
	if (rc == 0 && ids.used)
		rc = json_object_set_new(c->config, "relative_port_next", json_integer(ids.next));
	free(ids.used);
	return rc < 0 ? refuse_memory(c) : 0;
}

/* --- secrets --- */

int secret_references(const json_t *value, const json_t *other, json_t *array)
{
	const char *key;
	json_t *entry;
	int rc = 0;

	json_object_foreach((json_t *)value, key, entry) {
		const json_t *counterpart = json_object_get(other, key);

		if (json_is_string(entry) && strcmp(key, "secret_ref") == 0)
			rc |= json_array_append(array, entry);
		else if (json_is_object(entry) && entry != counterpart)
			rc |= secret_references(entry, counterpart, array);
	}
	return rc;
}

/* The secrets of both directions, as sets. */
struct directions {
	json_t *peer, *own;
};

static int add_direction(struct change *c, json_t *set, const json_t *credential)
{
	const char *reference = text_of(credential, "secret_ref");
	const char *secret = text_of(json_object_get(c->added, reference ? reference : ""), "secret");

	if (!secret)
		secret = secrets_find(c->secrets, reference);
	return secret ? json_object_set_new(set, secret, json_true()) : 0;
}

static int add_auth(struct change *c, struct directions *d, const json_t *auth)
{
	return add_direction(c, d->peer, json_object_get(auth, "chap")) |
	       add_direction(c, d->own, json_object_get(auth, "mutual"));
}

static int collect_directions(struct change *c, struct directions *d)
{
	const char *name, *initiator_name;
	json_t *target, *initiator;
	int rc = add_auth(c, d, json_object_get(json_object_get(c->config, "settings"), "discovery_auth"));

	json_object_foreach((json_t *)config_map(c->config, CONFIG_TARGET, NULL), name, target) {
		rc |= add_auth(c, d, json_object_get(target, "auth"));
		json_object_foreach(json_object_get(target, "initiators"), initiator_name, initiator)
			rc |= add_auth(c, d, json_object_get(initiator, "auth"));
	}
	return rc;
}

int rules_check_secrets(struct change *c)
{
	struct directions d = { json_object(), json_object() };
	const char *reference, *twin = NULL;
	json_t *entry;
	int rc = 0;

	if (json_object_size(c->added) && collect_directions(c, &d) < 0)
		rc = refuse_memory(c);
	json_object_foreach(c->added, reference, entry) {
		const char *secret = text_of(entry, "secret");

		if (json_object_get(d.peer, secret) && json_object_get(d.own, secret))
			twin = reference;
	}
	if (rc == 0 && twin)
		rc = problem_set(c->problem, 422, "validation-failed", text_of(c->pointers, twin),
				 "The secrets of the two directions of CHAP must be different; this one is used in the other "
				 "direction.");
	json_decref(d.peer);
	json_decref(d.own);
	return rc;
}
