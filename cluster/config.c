/* Reading the configuration: finding, showing, exporting. */
#include "cluster/config.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "clock.h"
#include "cluster/config_private.h"
#include "json_text.h"

const struct config_kind_row config_kinds[CONFIG_KIND_COUNT] = {
	[CONFIG_LUN]       = { "luns",             "lun",             false, false, 4096 },
	[CONFIG_TARGET]    = { "targets",          "target",          false, false, 4096 },
	[CONFIG_GROUP]     = { "initiator_groups", "initiator-group", false, false, 1024 },
	[CONFIG_PORTAL]    = { "portals",          "portal",          false, false, 64 },
	[CONFIG_STORE]     = { "stores",           "store",           false, false, 64 },
	[CONFIG_SETTINGS]  = { "settings",         "settings",        false, true,  1 },
	[CONFIG_MAPPING]   = { "luns",             "target-lun",      true,  false, 4096 },
	[CONFIG_INITIATOR] = { "initiators",       "initiator",       true,  false, 1024 },
	[CONFIG_GRANT]     = { "groups",           "target-group",    true,  false, 256 },
};

enum config_schema config_kind_schema(enum config_kind kind)
{
	static const enum config_schema schemas[CONFIG_KIND_COUNT] = {
		[CONFIG_LUN] = SCHEMA_LUN, [CONFIG_TARGET] = SCHEMA_TARGET, [CONFIG_GROUP] = SCHEMA_GROUP,
		[CONFIG_PORTAL] = SCHEMA_PORTAL, [CONFIG_STORE] = SCHEMA_STORE, [CONFIG_SETTINGS] = SCHEMA_SETTINGS,
		[CONFIG_MAPPING] = SCHEMA_MAPPING, [CONFIG_INITIATOR] = SCHEMA_INITIATOR, [CONFIG_GRANT] = SCHEMA_GRANT,
	};

	return schemas[kind];
}

static void system_random(void *arg, void *bytes, size_t len_bytes)
{
	(void)arg;
	while (len_bytes) {
		ssize_t n = getrandom(bytes, len_bytes, 0);

		if (n > 0) {
			bytes = (char *)bytes + n;
			len_bytes -= (size_t)n;
		}
	}
}

void config_env_init(struct config_env *env)
{
	*env = (struct config_env){ .now_ms = clock_wall_ms(), .random = system_random };
}

void config_result_fini(struct config_result *result)
{
	json_decref(result->config);
	json_decref(result->before);
	json_decref(result->after);
	json_decref(result->secrets_add);
	json_decref(result->secrets_drop);
	json_decref(result->diff);
	memset(result, 0, sizeof *result);
}

const json_t *config_map(const json_t *config, enum config_kind kind, const char *target)
{
	const json_t *parent = config;

	if (config_kinds[kind].below_target)
		parent = target ? json_object_get(json_object_get(config, "targets"), target) : NULL;
	return json_object_get(parent, config_kinds[kind].member);
}

const json_t *config_find(const json_t *config, const struct config_ref *ref)
{
	const json_t *map = config_map(config, ref->kind, ref->name);
	const char *key = config_kinds[ref->kind].below_target ? ref->sub : ref->name;

	if (config_kinds[ref->kind].singleton)
		return map;
	return key ? json_object_get(map, key) : NULL;
}

uint64_t config_revision(const json_t *config, const struct config_ref *ref)
{
	return (uint64_t)json_integer_value(json_object_get(config_find(config, ref), "revision"));
}

/* --- views --- */

/* What a walk over an object's fields leaves out. */
enum view { VIEW_CLIENT, VIEW_EXPORT };

static json_t *view_object(enum config_schema schema, const json_t *object, const char *name, enum view view);

static json_t *view_map(enum config_schema schema, const json_t *map, enum view view)
{
	json_t *made = json_object(), *entry;
	const char *key;

	json_object_foreach((json_t *)map, key, entry) {
		if (json_object_set_new(made, key, view_object(schema, entry, key, view)) < 0) {
			json_decref(made);
			return NULL;
		}
	}
	return made;
}

static bool view_hides(const struct config_field *f, enum view view)
{
	if (f->flags & (F_SECRET | F_INTERNAL))
		return true;
	return view == VIEW_EXPORT && ((f->flags & F_IGNORED) || strcmp(f->name, "name") == 0);
}

/* New reference; NULL: absent. */
static json_t *view_field(const struct config_field *f, const json_t *object, const char *name, enum view view)
{
	json_t *value = json_object_get(object, f->name), *fallback, *made;

	if (strcmp(f->name, "name") == 0 && (f->flags & F_SERVER))
		return name ? json_string(name) : NULL;
	if (!value && (f->flags & (F_OPTIONAL | F_REQUIRED)))
		return NULL;
	fallback = value ? json_incref(value) : json_read(f->fallback, strlen(f->fallback), JSON_DECODE_ANY, NULL);
	if (f->type == TYPE_OBJECT)
		made = view_object(f->sub, fallback, NULL, view);
	else if (f->type == TYPE_MAP)
		made = view_map(f->sub, fallback, view);
	else
		return fallback;
	json_decref(fallback);
	return made;
}

static json_t *view_object(enum config_schema schema, const json_t *object, const char *name, enum view view)
{
	unsigned count;
	const struct config_field *fields = config_schema_fields(schema, &count);
	json_t *made = json_object();

	for (unsigned i = 0; made && i < count; i++) {
		json_t *value = view_hides(&fields[i], view) ? NULL : view_field(&fields[i], object, name, view);

		if (value && json_object_set_new(made, fields[i].name, value) < 0) {
			json_decref(made);
			made = NULL;
		}
	}
	return made;
}

json_t *config_view(const json_t *config, const struct config_ref *ref)
{
	const json_t *object = config_find(config, ref);
	const struct config_kind_row *row = &config_kinds[ref->kind];
	json_t *view;

	if (!object && !row->singleton)
		return NULL;
	view = view_object(config_kind_schema(ref->kind), object, row->below_target ? ref->sub : ref->name, VIEW_CLIENT);
	if (!object && json_object_set_new(view, "revision", json_integer(0)) < 0) {
		json_decref(view);
		return NULL;
	}
	return view;
}

json_t *config_export(const json_t *config)
{
	json_t *made = json_pack("{s:i}", "format", CONFIG_FORMAT);

	for (unsigned kind = 0; made && kind < CONFIG_KIND_COUNT; kind++) {
		const struct config_kind_row *row = &config_kinds[kind];
		const json_t *section = config_map(config, kind, NULL);
		enum config_schema schema = config_kind_schema(kind);
		json_t *view;

		if (row->below_target)
			continue;
		view = row->singleton ? view_object(schema, section, NULL, VIEW_EXPORT) : view_map(schema, section, VIEW_EXPORT);
		if (json_object_set_new(made, row->member, view) < 0) {
			json_decref(made);
			made = NULL;
		}
	}
	return made;
}

json_t *config_lun_users(const json_t *config, const char *lun)
{
	json_t *users = json_array(), *target, *mapping;
	const char *iqn, *number;

	json_object_foreach((json_t *)config_map(config, CONFIG_TARGET, NULL), iqn, target) {
		json_object_foreach(json_object_get(target, "luns"), number, mapping) {
			const char *name = json_string_value(json_object_get(mapping, "lun"));

			if (name && strcmp(name, lun) == 0 &&
			    json_array_append_new(users, json_pack("{s:s, s:s}", "target", iqn, "number", number)) < 0) {
				json_decref(users);
				return NULL;
			}
		}
	}
	return users;
}

json_t *config_store(const json_t *config, const char *store, const char *state_dir)
{
	static const char *const built_in[] = { "memory", "null" };
	const json_t *found = json_object_get(json_object_get(config, "stores"), store);
	char path[4096];

	if (found)
		return json_pack("{s:O, s:O}", "kind", json_object_get(found, "kind"), "params",
				 json_object_get(found, "params"));
	for (unsigned i = 0; i < sizeof built_in / sizeof built_in[0]; i++) {
		if (strcmp(built_in[i], store) == 0)
			return json_pack("{s:s, s:{}}", "kind", store, "params");
	}
	if (strcmp(store, "default") != 0)
		return NULL;
	snprintf(path, sizeof path, "%s/store", state_dir);
	return json_pack("{s:s, s:{s:s}}", "kind", "file", "params", "path", path);
}
