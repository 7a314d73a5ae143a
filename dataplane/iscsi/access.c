/* Who may log in where, and what is seen there (docs/serve-document.md, the rules below the example). Pure functions. */
#include <stdlib.h>
#include <string.h>

#include "dataplane/iscsi/config_data.h"

/* The initiator's own entry, or NULL. */
static const struct iscsi_entry *own_entry(const struct iscsi_target *target, const char *initiator_name)
{
	return name_map_find(&target->initiator_by_name, initiator_name);
}

static bool is_member(const struct iscsi_entry *entry, const char *initiator_name)
{
	return name_map_find(&entry->group->by_name, initiator_name) != NULL;
}

static bool in_any_group(const struct iscsi_target *target, const char *initiator_name)
{
	for (unsigned i = 0; i < target->group_count; i++)
		if (is_member(&target->groups[i], initiator_name))
			return true;
	return false;
}

static bool address_allowed(const struct iscsi_target *target, const struct ip_address *peer)
{
	for (unsigned i = 0; i < target->address_count; i++)
		if (ip_range_contains(&target->addresses[i], peer))
			return true;
	return target->address_count == 0;
}

bool iscsi_target_admits(const struct iscsi_target *target, const char *initiator_name, const struct ip_address *peer,
			 const struct ip_address *local)
{
	if (!address_allowed(target, peer))
		return false;
	if (target->open || own_entry(target, initiator_name) || in_any_group(target, initiator_name))
		return true;
	return !target->initiator_count && !target->group_count && ip_is_loopback(local);
}

bool iscsi_target_may_log_in(const struct iscsi_target *target, const char *initiator_name)
{
	return target->open || own_entry(target, initiator_name) || in_any_group(target, initiator_name) ||
	       (!target->initiator_count && !target->group_count);
}

static bool has_portal(const struct iscsi_target *target, const struct iscsi_portal *portal)
{
	/* By name: the connection may hold the portal of an older snapshot. */
	for (unsigned i = 0; portal && i < target->portal_count; i++)
		if (strcmp(target->portals[i]->name, portal->name) == 0)
			return true;
	return false;
}

static enum iscsi_access access_of(const struct iscsi_target *target, const char *initiator_name,
				   const struct iscsi_peer *peer)
{
	struct ip_address from = ip_address_of(&peer->peer), to = ip_address_of(&peer->local);

	if (!target)
		return ISCSI_ACCESS_NO_TARGET;
	if (!has_portal(target, peer->portal))
		return ISCSI_ACCESS_PORTAL;
	if (!iscsi_target_admits(target, initiator_name, &from, &to))
		return ISCSI_ACCESS_DENIED;
	if (!target->enabled)
		return ISCSI_ACCESS_UNAVAILABLE;
	if (*target->redirect)
		return target->redirect_permanent ? ISCSI_ACCESS_REDIRECT_PERMANENT : ISCSI_ACCESS_REDIRECT_TEMPORARY;
	return ISCSI_ACCESS_OK;
}

void iscsi_access_check(const struct iscsi_config *config, const struct iscsi_target *target, const char *initiator_name,
			const struct iscsi_peer *peer, struct iscsi_grant *ret_grant)
{
	const struct iscsi_auth *auth;
	const struct iscsi_entry *entry;

	(void)config; /* groups are resolved when the snapshot is made */
	memset(ret_grant, 0, sizeof *ret_grant);
	ret_grant->access = access_of(target, initiator_name, peer);
	if (ret_grant->access == ISCSI_ACCESS_REDIRECT_TEMPORARY || ret_grant->access == ISCSI_ACCESS_REDIRECT_PERMANENT)
		strcpy(ret_grant->redirect, target->redirect);
	if (ret_grant->access != ISCSI_ACCESS_OK)
		return;
	entry = own_entry(target, initiator_name);
	auth = entry && entry->auth ? entry->auth : target->auth;
	if (auth)
		ret_grant->auth = *auth;
}

void iscsi_discovery_auth(const struct iscsi_config *config, struct iscsi_auth *ret_auth)
{
	memset(ret_auth, 0, sizeof *ret_auth);
	if (config->discovery_auth)
		*ret_auth = *config->discovery_auth;
}

static int compare_number(const void *a, const void *b)
{
	return *(const uint16_t *)a - *(const uint16_t *)b;
}

/* What one entry says about a LUN: shown at all, and whether read-only; the union is taken by the caller. */
static void merge_entry(const struct iscsi_entry *entry, uint16_t number, bool *shown, bool *read_only)
{
	if (!entry->all_luns && !bsearch(&number, entry->luns, entry->lun_count, sizeof number, compare_number))
		return;
	*read_only = entry->read_only && (!*shown || *read_only);
	*shown = true;
}

struct iscsi_lun_mapping *iscsi_target_luns(const struct iscsi_target *target, const char *initiator_name,
					    unsigned *ret_count)
{
	const struct iscsi_entry *own = initiator_name ? own_entry(target, initiator_name) : NULL;
	bool named = own || (initiator_name && in_any_group(target, initiator_name));
	struct iscsi_lun_mapping *luns;

	*ret_count = 0;
	luns = target->lun_count ? calloc(target->lun_count, sizeof *luns) : NULL;
	if (!luns)
		return NULL;
	for (unsigned i = 0; i < target->lun_count; i++) {
		const struct iscsi_lun_mapping *lun = &target->luns[i];
		bool shown = !initiator_name ||
			     (!named && (target->open || (!target->initiator_count && !target->group_count)));
		bool read_only = false;

		if (own)
			merge_entry(own, lun->number, &shown, &read_only);
		for (unsigned g = 0; initiator_name && g < target->group_count; g++)
			if (is_member(&target->groups[g], initiator_name))
				merge_entry(&target->groups[g], lun->number, &shown, &read_only);
		if (!shown)
			continue;
		luns[*ret_count] = *lun;
		luns[(*ret_count)++].read_only |= read_only;
	}
	if (*ret_count == 0) {
		free(luns);
		return NULL;
	}
	return luns;
}
