#include "cluster/serve.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "cluster/config.h"
#include "cluster/secrets.h"
#include "log.h"

/* Members of the serve document that are members of config, as they are. */
static const char *const lun_members[] = { "id", "serial", "naa", "block_size", "physical_block_size", "size_bytes",
					   "read_only", "thin", "removable", "store", "space_threshold_percent" };
static const char *const target_members[] = { "alias", "open", "enabled", "relative_port_ids", "portals", "params",
					      "redirect", "addresses", "explicit_alua" };
static const char *const setting_members[] = { "login_timeout_s", "max_connections", "max_connections_per_address",
					       "max_login_text_bytes", "buffer_bytes", "sanitize_bytes_per_s",
					       "copy_bytes_per_s" };
static const char *const mapping_members[] = { "lun", "read_only" };
static const char *const grant_members[] = { "luns", "read_only" };
static const char *const port_group_members[] = { "state", "preferred", "revision" };
static const char *const group_members[] = { "initiators" };
static const char *const portal_members[] = { "address", "tag" };
static const char *const store_members[] = { "kind", "params" };

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* A new object with those members of `object` that it has. */
static json_t *pick(const json_t *object, const char *const *members, size_t count)
{
	json_t *made = json_object();

	for (size_t i = 0; made && i < count; i++) {
		json_t *value = json_object_get(object, members[i]);

		if (value && json_object_set_new_nocheck(made, members[i], json_incref(value)) < 0) {
			json_decref(made);
			made = NULL;
		}
	}
	return made;
}

/* pick() of each object of a map. */
static json_t *pick_map(const json_t *map, const char *const *members, size_t count)
{
	json_t *made = json_object(), *object;
	const char *key;

	json_object_foreach((json_t *)map, key, object) {
		if (json_object_set_new_nocheck(made, key, pick(object, members, count)) < 0) {
			json_decref(made);
			return NULL;
		}
	}
	return made;
}

/* A credential whose secret is gone must not open the door: it gets one that nobody knows. */
static json_t *unknown_secret(const char *reference)
{
	unsigned char bytes[32];
	char text[2 * sizeof bytes + 1];

	log_error("CHAP secret is missing from the document secrets, its logins fail reference=%s", log_quoted(reference));
	if (getrandom(bytes, sizeof bytes, 0) != sizeof bytes)
		return NULL;
	for (unsigned i = 0; i < sizeof bytes; i++)
		sprintf(text + 2 * i, "%02x", bytes[i]);
	return json_string(text);
}

static json_t *serve_credential(const struct serve_input *in, const json_t *credential)
{
	const char *reference = json_string_value(json_object_get(credential, "secret_ref"));
	const char *secret = secrets_find(in->secrets, reference);

	return json_pack("{s:O, s:o}", "user", json_object_get(credential, "user"), "secret",
			 secret ? json_string(secret) : unknown_secret(reference));
}

/* {"chap": {...}, "mutual": {...}} with the secrets in. */
static json_t *serve_auth(const struct serve_input *in, const json_t *auth)
{
	static const char *const directions[] = { "chap", "mutual" };
	json_t *made = json_object();

	for (unsigned i = 0; i < COUNT(directions); i++) {
		const json_t *credential = json_object_get(auth, directions[i]);

		if (credential && json_object_set_new(made, directions[i], serve_credential(in, credential)) < 0) {
			json_decref(made);
			return NULL;
		}
	}
	return made;
}

static json_t *serve_initiators(const struct serve_input *in, const json_t *initiators)
{
	json_t *made = json_object(), *initiator;
	const char *name;

	json_object_foreach((json_t *)initiators, name, initiator) {
		json_t *entry = pick(initiator, grant_members, COUNT(grant_members));
		const json_t *auth = json_object_get(initiator, "auth");

		if ((auth && json_object_set_new(entry, "auth", serve_auth(in, auth)) < 0) ||
		    json_object_set(made, name, entry) < 0) {
			json_decref(entry);
			json_decref(made);
			return NULL;
		}
		json_decref(entry);
	}
	return made;
}

static json_t *serve_target(const struct serve_input *in, const char *name, const json_t *target)
{
	json_t *made = pick(target, target_members, COUNT(target_members));
	json_t *worker = json_object_get(in->placement, name);
	const json_t *luns = json_object_get(target, "luns"), *groups = json_object_get(target, "groups");
	int rc = 0;

	rc |= json_object_set_new(made, "worker", worker ? json_incref(worker) : json_integer(0));
	rc |= json_object_set_new(made, "auth", serve_auth(in, json_object_get(target, "auth")));
	rc |= json_object_set_new(made, "initiators", serve_initiators(in, json_object_get(target, "initiators")));
	rc |= json_object_set_new(made, "groups", pick_map(groups, grant_members, COUNT(grant_members)));
	rc |= json_object_set_new(made, "port_groups", pick_map(json_object_get(target, "port_groups"), port_group_members,
								 COUNT(port_group_members)));
	rc |= json_object_set_new(made, "luns", pick_map(luns, mapping_members, COUNT(mapping_members)));
	if (rc < 0) {
		json_decref(made);
		return NULL;
	}
	return made;
}

static json_t *serve_targets(const struct serve_input *in)
{
	json_t *made = json_object(), *target;
	const char *name;

	json_object_foreach((json_t *)config_map(in->config, CONFIG_TARGET, NULL), name, target) {
		if (json_object_set_new(made, name, serve_target(in, name, target)) < 0) {
			json_decref(made);
			return NULL;
		}
	}
	return made;
}

/* One LUN, unless it is there already. A LUN whose map is missing is named in `missing` instead. */
static int add_lun(const struct serve_input *in, const char *name, json_t *luns, json_t *missing)
{
	const struct config_ref ref = { CONFIG_LUN, name, NULL };
	const json_t *lun = config_find(in->config, &ref);
	const char *id = json_string_value(json_object_get(lun, "id"));
	json_t *map = id ? json_object_get(in->maps, id) : NULL, *made;

	if (json_object_get(luns, name))
		return 0;
	if (!map)
		return json_array_append_new(missing, json_string(name));
	made = pick(lun, lun_members, COUNT(lun_members));
	if (json_object_set(made, "map", map) < 0) {
		json_decref(made);
		return -1;
	}
	return json_object_set_new(luns, name, made);
}

/* The LUNs of the targets that this worker owns. */
static json_t *serve_luns(const struct serve_input *in, json_t *missing)
{
	json_t *luns = json_object(), *target, *mapping;
	const char *iqn, *number;
	int rc = 0;

	json_object_foreach((json_t *)config_map(in->config, CONFIG_TARGET, NULL), iqn, target) {
		if ((unsigned)json_integer_value(json_object_get(in->placement, iqn)) != in->worker)
			continue;
		json_object_foreach(json_object_get(target, "luns"), number, mapping)
			rc |= add_lun(in, json_string_value(json_object_get(mapping, "lun")), luns, missing);
	}
	if (rc < 0) {
		json_decref(luns);
		return NULL;
	}
	return luns;
}

/* The configured stores and the built-in ones that are not configured. */
static json_t *serve_stores(const struct serve_input *in)
{
	static const char *const built_in[] = { "default", "memory", "null" };
	json_t *stores = pick_map(config_map(in->config, CONFIG_STORE, NULL), store_members, COUNT(store_members));

	for (unsigned i = 0; stores && i < COUNT(built_in); i++) {
		if (!json_object_get(stores, built_in[i]) &&
		    json_object_set_new(stores, built_in[i], config_store(in->config, built_in[i], in->state_dir)) < 0) {
			json_decref(stores);
			return NULL;
		}
	}
	return stores;
}

static json_t *serve_settings(const json_t *view)
{
	return pick(view, setting_members, COUNT(setting_members));
}

/* With the address that is really bound: nobody can connect to port 0. A portal that waits for its port is left out. */
static json_t *serve_portals(const struct serve_input *in)
{
	json_t *made = pick_map(config_map(in->config, CONFIG_PORTAL, NULL), portal_members, COUNT(portal_members)), *portal;
	const char *name;
	void *next;

	json_object_foreach_safe(made, next, name, portal) {
		json_t *address = json_object_get(in->bound, name);
		const char *text = json_string_value(json_object_get(portal, "address"));

		if (address && json_object_set(portal, "address", address) < 0) {
			json_decref(made);
			return NULL;
		}
		if (!address && text && strcmp(strrchr(text, ':'), ":0") == 0)
			json_object_del(made, name);
	}
	return made;
}

/* Steals value; -1: it is NULL or there is no memory. */
static int set_new(json_t *object, const char *name, json_t *value)
{
	return json_object_set_new(object, name, value);
}

json_t *serve_document(const struct serve_input *in, json_t **ret_missing)
{
	static const struct config_ref settings_ref = { CONFIG_SETTINGS, NULL, NULL };
	const json_t *groups = config_map(in->config, CONFIG_GROUP, NULL);
	const json_t *settings = config_find(in->config, &settings_ref);
	json_t *view = config_view(in->config, &settings_ref), *missing = json_array();
	json_t *made = json_pack("{s:I, s:i}", "generation", (json_int_t)in->generation, "worker", (int)in->worker);
	int rc = made && missing ? 0 : -1;

	rc |= set_new(made, "settings", serve_settings(view));
	rc |= set_new(made, "discovery_auth", serve_auth(in, json_object_get(settings, "discovery_auth")));
	rc |= set_new(made, "stores", serve_stores(in));
	rc |= set_new(made, "luns", serve_luns(in, missing));
	rc |= set_new(made, "targets", serve_targets(in));
	rc |= set_new(made, "groups", pick_map(groups, group_members, COUNT(group_members)));
	rc |= set_new(made, "portals", serve_portals(in));
	json_decref(view);
	if (rc < 0) {
		json_decref(made);
		json_decref(missing);
		return NULL;
	}
	if (ret_missing)
		*ret_missing = missing;
	else
		json_decref(missing);
	return made;
}

int serve_load_maps(struct docstore *store, const json_t *config, json_t **ret_maps, struct err *err)
{
	json_t *maps = json_object(), *lun;
	const char *name;

	if (!maps)
		return err_set(err, -ENOMEM, "out of memory");
	json_object_foreach((json_t *)config_map(config, CONFIG_LUN, NULL), name, lun) {
		const char *id = json_string_value(json_object_get(lun, "id"));
		char document[64];
		struct err why = { 0 };
		json_t *map = NULL;
		uint64_t version;

		snprintf(document, sizeof document, "map/%s", id ? id : "");
		if (docstore_load(store, document, &map, &version, &why) < 0 || !map) {
			log_error("LUN has no map and is not served lun=\"%s\" why=\"%s\"", name,
				  why.code ? why.text : "no such document");
		} else if (json_object_set_new(maps, id, map) < 0) {
			json_decref(maps);
			return err_set(err, -ENOMEM, "out of memory");
		}
	}
	*ret_maps = maps;
	return 0;
}
