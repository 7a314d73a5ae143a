/*
 * From the serve document (docs/serve-document.md) to a snapshot. Each level reads its members by a table of fields or by
 * a function of its name; the first mistake ends it with words that say where. Runs on the manager thread; the result is
 * immutable and shared by reference count.
 */
#include "dataplane/iscsi/config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/iscsi/config_data.h"
#include "dataplane/iscsi/keys.h"
#include "dataplane/iscsi/name.h"
#include "log.h"

/* A number or boolean member of a settings struct. */
struct field {
	const char *name;
	size_t offset, width_bytes;
	bool boolean;
	uint32_t min, max, initial;
};
#define NUMBER(type, member, least, most, first)                                                               \
	{ #member, offsetof(struct type, member), sizeof(((struct type *)0)->member), false, least, most, first }
#define BOOLEAN(type, member, first) { #member, offsetof(struct type, member), sizeof(bool), true, 0, 1, first }

static const struct field settings_fields[] = {
	NUMBER(iscsi_settings, login_timeout_s, 1, 3600, 15),
	NUMBER(iscsi_settings, max_connections, 1, 1048576, 16384),
	NUMBER(iscsi_settings, max_connections_per_address, 0, 1048576, 1024),
	NUMBER(iscsi_settings, max_login_text_bytes, 16384, 1048576, 65536), /* RFC 7143 6.1 asks for 16384 */
	NUMBER(iscsi_settings, buffer_bytes, 1048576, UINT32_MAX, 64 << 20),
	NUMBER(iscsi_settings, sanitize_bytes_per_s, 1048576, UINT32_MAX, 256 << 20),
	NUMBER(iscsi_settings, copy_bytes_per_s, 1048576, UINT32_MAX, 1024 << 20),
};

static const struct field params_fields[] = {
	BOOLEAN(iscsi_target_params, initial_r2t, false),
	BOOLEAN(iscsi_target_params, immediate_data, true),
	NUMBER(iscsi_target_params, max_recv_data_segment_bytes, 512, 16777215, 262144),
	NUMBER(iscsi_target_params, max_burst_bytes, 512, 16777215, 1048576),
	NUMBER(iscsi_target_params, first_burst_bytes, 512, 16777215, 262144),
	NUMBER(iscsi_target_params, max_outstanding_r2t, 1, 65535, 4),
	NUMBER(iscsi_target_params, time2wait_s, 0, 3600, 2),
	NUMBER(iscsi_target_params, time2retain_s, 0, 3600, 0),
	NUMBER(iscsi_target_params, queue_depth, 1, 4096, 128),
	NUMBER(iscsi_target_params, nop_interval_s, 0, 3600, 15),
	NUMBER(iscsi_target_params, nop_timeout_s, 0, 3600, 15),
	NUMBER(iscsi_target_params, max_sessions, 0, 65535, 0),
};

#define COUNT(array) (sizeof(array) / sizeof *(array))

static int no_memory(struct err *err)
{
	return err_set(err, -ENOMEM, "out of memory");
}

static int read_bool(const json_t *object, const char *name, bool initial, bool *ret_value, struct err *err)
{
	const json_t *value = json_object_get(object, name);

	if (value && !json_is_boolean(value))
		return err_set(err, -EINVAL, "%s is not true or false", name);
	*ret_value = value ? json_is_true(value) : initial;
	return 0;
}

static int read_number(const json_t *object, const char *name, uint32_t min, uint32_t max, uint32_t initial,
		       uint32_t *ret_value, struct err *err)
{
	const json_t *value = json_object_get(object, name);

	if (value && (!json_is_integer(value) || json_integer_value(value) < min || json_integer_value(value) > max))
		return err_set(err, -EINVAL, "%s is not a number from %u to %u", name, min, max);
	*ret_value = value ? (uint32_t)json_integer_value(value) : initial;
	return 0;
}

/* Absent: "". Text with a NUL inside does not exist on the wire and is refused. */
static int read_text(const json_t *object, const char *name, char *ret_text, size_t room_bytes, struct err *err)
{
	const json_t *value = json_object_get(object, name);
	const char *text = value ? json_string_value(value) : "";

	if (!text || (value && strlen(text) != json_string_length(value)))
		return err_set(err, -EINVAL, "%s is not a text", name);
	if (strlen(text) >= room_bytes)
		return err_set(err, -EINVAL, "%s is longer than %zu bytes", name, room_bytes - 1);
	strcpy(ret_text, text);
	return 0;
}

/* A member that must be an object or an array when it is there. */
static int read_container(const json_t *object, const char *name, bool array, const json_t **ret_value, struct err *err)
{
	const json_t *value = json_object_get(object, name);

	if (value && !(array ? json_is_array(value) : json_is_object(value)))
		return err_set(err, -EINVAL, "%s is not %s", name, array ? "a list" : "an object");
	*ret_value = value;
	return 0;
}

static int read_fields(const json_t *object, const struct field *fields, size_t count, void *ret_struct, struct err *err)
{
	for (const struct field *f = fields; f < fields + count; f++) {
		uint8_t *to = (uint8_t *)ret_struct + f->offset;
		uint32_t number = 0;
		bool boolean = false;
		int rc;

		rc = f->boolean ? read_bool(object, f->name, f->initial, &boolean, err) :
				  read_number(object, f->name, f->min, f->max, f->initial, &number, err);
		if (rc)
			return rc;
		if (f->boolean)
			memcpy(to, &boolean, sizeof boolean);
		else
			memcpy(to, &number, f->width_bytes); /* little-endian, wire.h sees to it */
	}
	return 0;
}

static int read_digest(const json_t *params, const char *name, uint8_t *ret_digest, struct err *err)
{
	static const struct { const char *word; uint8_t digest; } words[] = {
		{ "any", ISCSI_DIGEST_ANY }, { "none", ISCSI_DIGEST_NONE }, { "crc32c", ISCSI_DIGEST_CRC32C },
	};
	const json_t *value = json_object_get(params, name);

	*ret_digest = ISCSI_DIGEST_ANY;
	if (!value)
		return 0;
	for (size_t i = 0; i < COUNT(words); i++) {
		if (json_is_string(value) && strcmp(json_string_value(value), words[i].word) == 0) {
			*ret_digest = words[i].digest;
			return 0;
		}
	}
	return err_set(err, -EINVAL, "%s is not any, none or crc32c", name);
}

static int read_params(const json_t *object, struct iscsi_target_params *ret_params, struct err *err)
{
	const json_t *params;
	int rc = read_container(object, "params", false, &params, err);

	if (!rc)
		rc = read_fields(params, params_fields, COUNT(params_fields), ret_params, err);
	if (!rc)
		rc = read_digest(params, "header_digest", &ret_params->header_digest, err);
	if (!rc)
		rc = read_digest(params, "data_digest", &ret_params->data_digest, err);
	return rc ? err_wrap(err, "params") : 0;
}

/* "chap" or "mutual" of an auth object. Absent or {}: none. */
static int read_credential(const json_t *auth, const char *name, bool *ret_present,
			   struct iscsi_credential *ret_credential, struct err *err)
{
	const json_t *object, *secret;
	int rc = read_container(auth, name, false, &object, err);

	*ret_present = false;
	if (rc || json_object_size(object) == 0)
		return rc;
	secret = json_object_get(object, "secret");
	rc = read_text(object, "user", ret_credential->user, sizeof ret_credential->user, err);
	if (!rc && !*ret_credential->user)
		rc = err_set(err, -EINVAL, "user is missing");
	if (!rc && (!json_is_string(secret) || json_string_length(secret) == 0 ||
		    !secret_set(&ret_credential->secret, json_string_value(secret), json_string_length(secret))))
		rc = err_set(err, -EINVAL, "secret is not a text of 1 to %d bytes", SECRET_MAX);
	*ret_present = true;
	return rc ? err_wrap(err, "%s", name) : 0;
}

static void free_auth(struct iscsi_auth *auth)
{
	if (auth)
		explicit_bzero(auth, sizeof *auth);
	free(auth);
}

/* Absent: NULL. RFC 7143 12.1.3: the two directions must not share a secret. */
static int read_auth(const json_t *parent, const char *name, struct iscsi_auth **ret_auth, struct err *err)
{
	struct iscsi_auth *auth;
	const json_t *object;
	int rc = read_container(parent, name, false, &object, err);

	*ret_auth = NULL;
	if (rc || !object)
		return rc;
	auth = calloc(1, sizeof *auth);
	if (!auth)
		return no_memory(err);
	rc = read_credential(object, "chap", &auth->chap, &auth->peer, err);
	if (!rc)
		rc = read_credential(object, "mutual", &auth->mutual, &auth->own, err);
	if (!rc && auth->mutual && !auth->chap)
		rc = err_set(err, -EINVAL, "mutual without chap");
	if (!rc && auth->mutual && secret_equal(&auth->peer.secret, &auth->own.secret))
		rc = err_set(err, -EINVAL, "chap and mutual have the same secret");
	if (rc) {
		free_auth(auth);
		return err_wrap(err, "%s", name);
	}
	*ret_auth = auth;
	return 0;
}

static int read_portals(struct iscsi_config *config, const json_t *serve, struct err *err)
{
	const json_t *portals, *value;
	const char *name;
	uint32_t tag;
	int rc = read_container(serve, "portals", false, &portals, err);

	if (rc)
		return rc;
	config->portals = calloc(json_object_size(portals) + 1, sizeof *config->portals);
	if (!config->portals)
		return no_memory(err);
	json_object_foreach((json_t *)portals, name, value) {
		struct iscsi_portal *portal = &config->portals[config->portal_count++];

		if (strlen(name) >= sizeof portal->name)
			return err_set(err, -EINVAL, "portal name %s is too long", log_quoted(name));
		strcpy(portal->name, name);
		rc = read_text(value, "address", portal->address, sizeof portal->address, err);
		if (!rc && !ip_endpoint_parse(portal->address, &portal->bound))
			rc = err_set(err, -EINVAL, "address %s is not ADDRESS:PORT", log_quoted(portal->address));
		if (!rc)
			rc = read_number(value, "tag", 1, 65535, 1, &tag, err);
		if (rc)
			return err_wrap(err, "portal %s", log_quoted(name));
		portal->tag = (uint16_t)tag;
	}
	return 0;
}

static int read_group(struct iscsi_group *group, const char *name, const json_t *value, struct err *err)
{
	const json_t *initiators, *initiator;
	size_t i;
	int rc = read_container(value, "initiators", true, &initiators, err);

	if (rc)
		return rc;
	group->name = strdup(name);
	group->members = calloc(json_array_size(initiators) + 1, sizeof *group->members);
	if (!group->name || !group->members || !name_map_init(&group->by_name, json_array_size(initiators)))
		return no_memory(err);
	json_array_foreach(initiators, i, initiator) {
		if (!json_is_string(initiator) || !iscsi_name_fold(group->members[i], json_string_value(initiator)))
			return err_set(err, -EINVAL, "initiators[%zu] is not a name", i);
		name_map_put(&group->by_name, group->members[i], group);
	}
	return 0;
}

static int read_groups(struct iscsi_config *config, const json_t *serve, struct err *err)
{
	const json_t *groups, *value;
	const char *name;
	int rc = read_container(serve, "groups", false, &groups, err);

	if (rc)
		return rc;
	config->groups = calloc(json_object_size(groups) + 1, sizeof *config->groups);
	if (!config->groups || !name_map_init(&config->group_by_name, json_object_size(groups)))
		return no_memory(err);
	json_object_foreach((json_t *)groups, name, value) {
		struct iscsi_group *group = &config->groups[config->group_count++];

		if (read_group(group, name, value, err))
			return err_wrap(err, "group %s", log_quoted(name));
		name_map_put(&config->group_by_name, group->name, group);
	}
	return 0;
}

static int compare_number(const void *a, const void *b)
{
	return *(const uint16_t *)a - *(const uint16_t *)b; /* first member of struct iscsi_lun_mapping, too */
}

static int read_entry_luns(struct iscsi_entry *entry, const json_t *object, struct err *err)
{
	const json_t *luns, *lun;
	size_t i;
	int rc = read_container(object, "luns", true, &luns, err);

	entry->all_luns = !luns;
	if (rc || !luns)
		return rc;
	entry->luns = calloc(json_array_size(luns) + 1, sizeof *entry->luns);
	if (!entry->luns)
		return no_memory(err);
	json_array_foreach(luns, i, lun) {
		if (!json_is_integer(lun) || json_integer_value(lun) < 0 || json_integer_value(lun) > ISCSI_LUN_MAX)
			return err_set(err, -EINVAL, "luns[%zu] is not a LUN number", i);
		entry->luns[entry->lun_count++] = (uint16_t)json_integer_value(lun);
	}
	qsort(entry->luns, entry->lun_count, sizeof *entry->luns, compare_number);
	return 0;
}

static int read_entry(struct iscsi_entry *entry, const json_t *object, struct err *err)
{
	int rc = json_is_object(object) ? 0 : err_set(err, -EINVAL, "not an object");

	if (!rc)
		rc = read_bool(object, "read_only", false, &entry->read_only, err);
	if (!rc)
		rc = read_entry_luns(entry, object, err);
	return rc;
}

static int read_initiators(struct iscsi_target *target, const json_t *object, struct err *err)
{
	const json_t *initiators, *value;
	const char *name;
	int rc = read_container(object, "initiators", false, &initiators, err);

	if (rc || !json_object_size(initiators))
		return rc;
	target->initiators = calloc(json_object_size(initiators), sizeof *target->initiators);
	if (!target->initiators || !name_map_init(&target->initiator_by_name, json_object_size(initiators)))
		return no_memory(err);
	json_object_foreach((json_t *)initiators, name, value) {
		struct iscsi_entry *entry = &target->initiators[target->initiator_count++];

		if (!iscsi_name_fold(entry->initiator, name))
			return err_set(err, -EINVAL, "initiator name %s is too long", log_quoted(name));
		rc = read_entry(entry, value, err);
		if (!rc)
			rc = read_auth(value, "auth", &entry->auth, err);
		if (rc)
			return err_wrap(err, "initiator %s", log_quoted(name));
		name_map_put(&target->initiator_by_name, entry->initiator, entry);
	}
	return 0;
}

/* A group that the document does not define has no members. */
static int read_target_groups(const struct iscsi_config *config, struct iscsi_target *target, const json_t *object,
			      struct err *err)
{
	static const struct iscsi_group nobody;
	const json_t *groups, *value;
	const char *name;
	int rc = read_container(object, "groups", false, &groups, err);

	if (rc || !json_object_size(groups))
		return rc;
	target->groups = calloc(json_object_size(groups), sizeof *target->groups);
	if (!target->groups)
		return no_memory(err);
	json_object_foreach((json_t *)groups, name, value) {
		struct iscsi_entry *entry = &target->groups[target->group_count++];

		entry->group = name_map_find(&config->group_by_name, name);
		if (!entry->group)
			entry->group = &nobody;
		if (read_entry(entry, value, err))
			return err_wrap(err, "group %s", log_quoted(name));
	}
	return 0;
}

static int read_addresses(struct iscsi_target *target, const json_t *object, struct err *err)
{
	const json_t *addresses, *value;
	size_t i;
	int rc = read_container(object, "addresses", true, &addresses, err);

	if (rc || !json_array_size(addresses))
		return rc;
	target->addresses = calloc(json_array_size(addresses), sizeof *target->addresses);
	if (!target->addresses)
		return no_memory(err);
	json_array_foreach(addresses, i, value) {
		if (!json_is_string(value) || !ip_range_parse(json_string_value(value), &target->addresses[i]))
			return err_set(err, -EINVAL, "addresses[%zu] is not an address range", i);
		target->address_count++;
	}
	return 0;
}

/* A portal that the document does not define (one of another host) is left out. Absent: "default". */
static int read_target_portals(const struct iscsi_config *config, struct iscsi_target *target, const json_t *object,
			       struct err *err)
{
	const struct iscsi_portal *portal;
	const json_t *portals, *value;
	size_t i;
	int rc = read_container(object, "portals", true, &portals, err);

	if (rc)
		return rc;
	target->portals = calloc(json_array_size(portals) + 1, sizeof(const struct iscsi_portal *));
	if (!target->portals)
		return no_memory(err);
	portal = portals ? NULL : iscsi_config_find_portal(config, "default");
	if (portal)
		target->portals[target->portal_count++] = portal;
	json_array_foreach(portals, i, value) {
		if (!json_is_string(value))
			return err_set(err, -EINVAL, "portals[%zu] is not a name", i);
		portal = iscsi_config_find_portal(config, json_string_value(value));
		if (portal)
			target->portals[target->portal_count++] = portal;
	}
	return 0;
}

static int read_relative_ports(struct iscsi_target *target, const json_t *object, struct err *err)
{
	const json_t *ids, *value;
	const char *name;
	uint32_t tag;
	int rc = read_container(object, "relative_port_ids", false, &ids, err);

	if (rc || !json_object_size(ids))
		return rc;
	target->relative_ports = calloc(json_object_size(ids), sizeof *target->relative_ports);
	if (!target->relative_ports)
		return no_memory(err);
	json_object_foreach((json_t *)ids, name, value) {
		if (!iscsi_number_decode(name, 1, 65535, &tag) || !json_is_integer(value) ||
		    json_integer_value(value) < 1 || json_integer_value(value) > 65535)
			return err_set(err, -EINVAL, "relative_port_ids: %s is not a tag with a number from 1 to 65535",
				       log_quoted(name));
		target->relative_ports[target->relative_port_count++] =
			(struct iscsi_relative_port){ (uint16_t)tag, (uint16_t)json_integer_value(value) };
	}
	return 0;
}

static int read_port_group(struct alua_configured *group, const char *name, const json_t *value, struct err *err)
{
	const json_t *state = json_object_get(value, "state"), *revision = json_object_get(value, "revision");
	int code = state ? alua_state_of_name(json_is_string(state) ? json_string_value(state) : "") : ALUA_OPTIMIZED;
	uint32_t tag;

	if (!iscsi_number_decode(name, 1, 65535, &tag) || !json_is_object(value) || code < 0)
		return err_set(err, -EINVAL, "port_groups: %s is not a tag with an access state", log_quoted(name));
	group->tag = (uint16_t)tag;
	group->state = (uint8_t)code;
	group->revision = (uint64_t)json_integer_value(revision);
	return read_bool(value, "preferred", false, &group->preferred, err);
}

static int read_port_groups(struct iscsi_target *target, const json_t *object, struct err *err)
{
	const json_t *groups, *value;
	const char *name;
	int rc = read_container(object, "port_groups", false, &groups, err);

	if (rc || !json_object_size(groups))
		return rc;
	target->port_groups = calloc(json_object_size(groups), sizeof *target->port_groups);
	if (!target->port_groups)
		return no_memory(err);
	json_object_foreach((json_t *)groups, name, value) {
		rc = read_port_group(&target->port_groups[target->port_group_count++], name, value, err);
		if (rc)
			return rc;
	}
	return 0;
}

static int read_luns(struct iscsi_target *target, const json_t *object, struct err *err)
{
	const json_t *luns, *value;
	const char *name;
	uint32_t number;
	int rc = read_container(object, "luns", false, &luns, err);

	if (rc || !json_object_size(luns))
		return rc;
	target->luns = calloc(json_object_size(luns), sizeof *target->luns);
	if (!target->luns)
		return no_memory(err);
	json_object_foreach((json_t *)luns, name, value) {
		struct iscsi_lun_mapping *lun = &target->luns[target->lun_count++];

		if (!iscsi_number_decode(name, 0, ISCSI_LUN_MAX, &number))
			return err_set(err, -EINVAL, "%s is not a LUN number", log_quoted(name));
		lun->number = (uint16_t)number;
		rc = read_text(value, "lun", lun->lun, sizeof lun->lun, err);
		if (!rc && !*lun->lun)
			rc = err_set(err, -EINVAL, "lun is missing");
		if (!rc)
			rc = read_bool(value, "read_only", false, &lun->read_only, err);
		if (rc)
			return err_wrap(err, "luns: %s", log_quoted(name));
	}
	qsort(target->luns, target->lun_count, sizeof *target->luns, compare_number);
	return 0;
}

static int read_redirect(struct iscsi_target *target, const json_t *object, struct err *err)
{
	const json_t *redirect;
	const char *colon;
	uint32_t port;
	int rc = read_container(object, "redirect", false, &redirect, err);

	if (rc || !redirect)
		return rc;
	rc = read_text(redirect, "address", target->redirect, sizeof target->redirect, err);
	colon = strrchr(target->redirect, ':');
	if (!rc && (!colon || colon == target->redirect || !iscsi_number_decode(colon + 1, 1, 65535, &port)))
		rc = err_set(err, -EINVAL, "address is not HOST:PORT");
	if (!rc)
		rc = read_bool(redirect, "permanent", false, &target->redirect_permanent, err);
	return rc ? err_wrap(err, "redirect") : 0;
}

static int read_target(const struct iscsi_config *config, struct iscsi_target *target, const char *name,
		       const json_t *object, struct err *err)
{
	uint32_t worker = 0;
	int rc = json_is_object(object) ? 0 : err_set(err, -EINVAL, "not an object");

	if (!rc && (!*name || strlen(name) >= sizeof target->name))
		rc = err_set(err, -EINVAL, "the name has not 1 to 223 bytes");
	if (rc)
		return rc;
	strcpy(target->name, name);
	rc = read_number(object, "worker", 0, 65535, 0, &worker, err);
	target->worker = worker;
	if (!rc)
		rc = read_text(object, "alias", target->alias, sizeof target->alias, err);
	if (!rc)
		rc = read_bool(object, "open", false, &target->open, err);
	if (!rc)
		rc = read_bool(object, "enabled", true, &target->enabled, err);
	if (!rc)
		rc = read_params(object, &target->params, err);
	if (!rc)
		rc = read_auth(object, "auth", &target->auth, err);
	if (!rc)
		rc = read_redirect(target, object, err);
	if (!rc)
		rc = read_target_portals(config, target, object, err);
	if (!rc)
		rc = read_relative_ports(target, object, err);
	if (!rc)
		rc = read_port_groups(target, object, err);
	if (!rc)
		rc = read_bool(object, "explicit_alua", false, &target->explicit_alua, err);
	if (!rc)
		rc = read_initiators(target, object, err);
	if (!rc)
		rc = read_target_groups(config, target, object, err);
	if (!rc)
		rc = read_addresses(target, object, err);
	if (!rc)
		rc = read_luns(target, object, err);
	return rc;
}

static int read_targets(struct iscsi_config *config, const json_t *serve, struct err *err)
{
	const json_t *targets, *value;
	const char *name;
	int rc = read_container(serve, "targets", false, &targets, err);

	if (rc)
		return rc;
	config->targets = calloc(json_object_size(targets) + 1, sizeof *config->targets);
	if (!config->targets || !name_map_init(&config->target_by_name, json_object_size(targets)))
		return no_memory(err);
	json_object_foreach((json_t *)targets, name, value) {
		struct iscsi_target *target = &config->targets[config->target_count++];

		if (read_target(config, target, name, value, err))
			return err_wrap(err, "target %s", log_quoted(name));
		name_map_put(&config->target_by_name, target->name, target);
	}
	return 0;
}

static int read_serve(struct iscsi_config *config, const json_t *serve, struct err *err)
{
	const json_t *settings;
	int rc = json_is_object(serve) ? 0 : err_set(err, -EINVAL, "not an object");

	if (!rc)
		rc = read_container(serve, "settings", false, &settings, err);
	if (!rc && read_fields(settings, settings_fields, COUNT(settings_fields), &config->settings, err))
		rc = err_wrap(err, "settings");
	if (!rc)
		rc = read_auth(serve, "discovery_auth", &config->discovery_auth, err);
	if (!rc)
		rc = read_portals(config, serve, err);
	if (!rc)
		rc = read_groups(config, serve, err);
	if (!rc)
		rc = read_targets(config, serve, err);
	return rc;
}

static void free_target(struct iscsi_target *target)
{
	for (unsigned i = 0; i < target->initiator_count; i++) {
		free_auth(target->initiators[i].auth);
		free(target->initiators[i].luns);
	}
	for (unsigned i = 0; i < target->group_count; i++)
		free(target->groups[i].luns);
	name_map_fini(&target->initiator_by_name);
	free_auth(target->auth);
	free(target->portals);
	free(target->addresses);
	free(target->relative_ports);
	free(target->port_groups);
	free(target->luns);
	free(target->initiators);
	free(target->groups);
}

static void free_config(struct iscsi_config *config)
{
	for (unsigned i = 0; i < config->target_count; i++)
		free_target(&config->targets[i]);
	for (unsigned i = 0; i < config->group_count; i++) {
		free(config->groups[i].name);
		free(config->groups[i].members);
		name_map_fini(&config->groups[i].by_name);
	}
	name_map_fini(&config->group_by_name);
	name_map_fini(&config->target_by_name);
	free_auth(config->discovery_auth);
	free(config->portals);
	free(config->groups);
	free(config->targets);
	free(config);
}

struct iscsi_config *iscsi_config_new(const json_t *serve, struct err *err)
{
	struct iscsi_config *config = calloc(1, sizeof *config);

	if (!config) {
		no_memory(err);
		return NULL;
	}
	atomic_init(&config->references, 1);
	if (read_serve(config, serve, err)) {
		free_config(config);
		return NULL;
	}
	return config;
}

struct iscsi_config *iscsi_config_ref(struct iscsi_config *config)
{
	atomic_fetch_add_explicit(&config->references, 1, memory_order_relaxed);
	return config;
}

void iscsi_config_unref(struct iscsi_config *config)
{
	if (config && atomic_fetch_sub_explicit(&config->references, 1, memory_order_acq_rel) == 1)
		free_config(config);
}

const struct iscsi_settings *iscsi_config_settings(const struct iscsi_config *config)
{
	return &config->settings;
}

const struct iscsi_target *iscsi_config_find_target(const struct iscsi_config *config, const char *name)
{
	return name_map_find(&config->target_by_name, name);
}

const char *iscsi_target_name(const struct iscsi_target *target)
{
	return target->name;
}

const char *iscsi_target_alias(const struct iscsi_target *target)
{
	return target->alias;
}

unsigned iscsi_target_worker(const struct iscsi_target *target)
{
	return target->worker;
}

const struct iscsi_target_params *iscsi_target_params(const struct iscsi_target *target)
{
	return &target->params;
}

uint16_t iscsi_target_relative_port(const struct iscsi_target *target, uint16_t portal_tag)
{
	for (unsigned i = 0; i < target->relative_port_count; i++)
		if (target->relative_ports[i].tag == portal_tag)
			return target->relative_ports[i].id;
	return portal_tag;
}

const struct iscsi_target *iscsi_config_find_port(const struct iscsi_config *config, uint16_t relative_port_id)
{
	for (unsigned i = 0; i < config->target_count; i++)
		for (unsigned port = 0; port < config->targets[i].relative_port_count; port++)
			if (config->targets[i].relative_ports[port].id == relative_port_id)
				return &config->targets[i];
	return NULL;
}

static struct alua_configured port_group(const struct iscsi_target *target, uint16_t tag)
{
	struct alua_configured group = { .tag = tag, .state = ALUA_OPTIMIZED };

	for (unsigned i = 0; i < target->port_group_count; i++)
		if (target->port_groups[i].tag == tag)
			group = target->port_groups[i];
	group.relative_port_id = iscsi_target_relative_port(target, tag);
	return group;
}

struct alua_configured *iscsi_target_port_groups(const struct iscsi_target *target, unsigned *ret_count)
{
	struct alua_configured *groups = calloc(target->portal_count + 1, sizeof *groups);

	*ret_count = 0;
	for (unsigned i = 0; groups && i < target->portal_count; i++) {
		uint16_t tag = target->portals[i]->tag;
		bool known = false;

		for (unsigned n = 0; n < *ret_count; n++)
			known |= groups[n].tag == tag;
		if (!known)
			groups[(*ret_count)++] = port_group(target, tag);
	}
	return groups;
}

bool iscsi_target_explicit_alua(const struct iscsi_target *target)
{
	return target->explicit_alua;
}

const struct iscsi_target *iscsi_config_next_target(const struct iscsi_config *config, unsigned worker,
						    const struct iscsi_target *previous)
{
	for (unsigned i = previous ? (unsigned)(previous - config->targets) + 1 : 0; i < config->target_count; i++)
		if (config->targets[i].worker == worker)
			return &config->targets[i];
	return NULL;
}

const struct iscsi_portal *iscsi_config_portals(const struct iscsi_config *config, unsigned *ret_count)
{
	*ret_count = config->portal_count;
	return config->portals;
}

const struct iscsi_portal *iscsi_config_find_portal(const struct iscsi_config *config, const char *name)
{
	for (unsigned i = 0; i < config->portal_count; i++)
		if (strcmp(config->portals[i].name, name) == 0)
			return &config->portals[i];
	return NULL;
}
