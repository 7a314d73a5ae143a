#include "cluster/secrets.h"

#include <errno.h>
#include <string.h>

#include "cluster/config_private.h"

static json_t *chap_of(json_t *secrets)
{
	json_t *chap = json_object_get(secrets, "chap");

	if (!json_is_object(chap) && json_object_set_new(secrets, "chap", json_object()) == 0)
		chap = json_object_get(secrets, "chap");
	return chap;
}

int secrets_edit(json_t **secrets, const json_t *add, const json_t *drop)
{
	json_t *chap, *entry;
	size_t n;
	bool changed = json_object_size(add) > 0;

	if (!*secrets)
		*secrets = json_object();
	chap = chap_of(*secrets);
	if (!chap || (add && json_object_update(chap, (json_t *)add) < 0))
		return -ENOMEM;
	json_array_foreach(drop, n, entry)
		changed |= json_object_del(chap, json_string_value(entry)) == 0;
	return changed ? 0 : 1;
}

const char *secrets_find(const json_t *secrets, const char *reference)
{
	json_t *chap = json_object_get(secrets, "chap");

	return reference ? json_string_value(json_object_get(json_object_get(chap, reference), "secret")) : NULL;
}

int secrets_sweep(json_t *secrets, const json_t *config, uint64_t now_ms, uint64_t age_ms)
{
	json_t *used = json_array(), *set = json_object(), *entry;
	const char *reference;
	void *next;
	size_t n;
	int rc = secret_references(config, NULL, used), removed = 0;

	json_array_foreach(used, n, entry)
		rc |= json_object_set_new(set, json_string_value(entry), json_true());
	json_object_foreach_safe(json_object_get(secrets, "chap"), next, reference, entry) {
		uint64_t created_ms = (uint64_t)json_integer_value(json_object_get(entry, "created_ms"));

		if (rc < 0 || json_object_get(set, reference) || created_ms + age_ms > now_ms)
			continue;
		json_object_del(json_object_get(secrets, "chap"), reference);
		removed++;
	}
	if (!used || !set)
		rc = -1;
	json_decref(used);
	json_decref(set);
	return rc < 0 ? -ENOMEM : removed;
}

static int mask_members(json_t *value)
{
	json_t *entry;
	const char *key;
	size_t n;
	int rc = 0;

	json_object_foreach(value, key, entry) {
		if (strcmp(key, "secret") == 0)
			rc |= json_object_set_new(value, key, json_string("********"));
		else
			rc |= mask_members(entry);
	}
	json_array_foreach(value, n, entry)
		rc |= mask_members(entry);
	return rc;
}

json_t *secrets_mask(const json_t *value)
{
	json_t *copy = json_deep_copy(value);

	if (copy && mask_members(copy) < 0) {
		json_decref(copy);
		return NULL;
	}
	return copy;
}
