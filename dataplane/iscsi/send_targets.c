/* SendTargets (RFC 7143 appendix C): what an initiator may see and reach from where it asks. Pure functions. */
#include <stdlib.h>
#include <string.h>

#include "dataplane/iscsi/config_data.h"
#include "dataplane/iscsi/keys.h"

/* Bytes of an answer; a thousand targets of many portals. */
#define SEND_TARGETS_MAX_BYTES (16u << 20)

/* Who asks, and on which connection. */
struct inquirer {
	const char *initiator_name;
	struct ip_address peer, local;
};

/* The address by which the inquirer reaches the portal: that of its own connection for a wildcard. False: it cannot. */
static bool reachable_address(const struct iscsi_portal *portal, const struct inquirer *who,
			      struct ip_address *ret_address)
{
	struct ip_address bound = ip_address_of(&portal->bound);
	uint16_t port = bound.port;

	if (ip_is_any(&bound)) {
		/* A listener on :: takes IPv4 as well. */
		if (bound.family == AF_INET && who->local.family != AF_INET)
			return false;
		bound = who->local;
		bound.port = port;
	}
	if (bound.family != who->local.family || (ip_is_loopback(&bound) && !ip_is_loopback(&who->local)))
		return false;
	*ret_address = bound;
	return true;
}

static bool already_listed(const struct iscsi_target *target, unsigned before, const struct inquirer *who,
			   const struct ip_address *address)
{
	struct ip_address earlier;

	for (unsigned i = 0; i < before; i++)
		if (reachable_address(target->portals[i], who, &earlier) && ip_equal(&earlier, address) &&
		    earlier.port == address->port)
			return true;
	return false;
}

/* TargetName and its addresses; nothing when the inquirer may not log in by any portal. */
static void list_target(const struct iscsi_target *target, const struct inquirer *who, struct iscsi_text *answer)
{
	struct ip_address address;
	char endpoint[64];
	bool named = false;

	if (!target->enabled)
		return;
	for (unsigned i = 0; i < target->portal_count; i++) {
		const struct iscsi_portal *portal = target->portals[i];

		if (!reachable_address(portal, who, &address) ||
		    !iscsi_target_admits(target, who->initiator_name, &who->peer, &address) ||
		    already_listed(target, i, who, &address))
			continue;
		if (!named)
			iscsi_text_put(answer, "TargetName", "%s", target->name);
		named = true;
		ip_endpoint_format(&address, endpoint, sizeof endpoint);
		iscsi_text_put(answer, "TargetAddress", "%s,%u", endpoint, portal->tag);
	}
}

char *iscsi_send_targets(const struct iscsi_config *config, const char *which, const char *session_target,
			 const char *initiator_name, const struct iscsi_peer *peer, size_t *ret_len_bytes)
{
	struct inquirer who = { initiator_name, ip_address_of(&peer->peer), ip_address_of(&peer->local) };
	const struct iscsi_target *target;
	struct iscsi_text answer;

	iscsi_text_init(&answer, SEND_TARGETS_MAX_BYTES);
	if (strcmp(which, "All") == 0) {
		for (unsigned i = 0; i < config->target_count; i++)
			list_target(&config->targets[i], &who, &answer);
	} else {
		target = iscsi_config_find_target(config, *which || !session_target ? which : session_target);
		if (target)
			list_target(target, &who, &answer);
	}
	if (!answer.bytes && !answer.bad)
		answer.bytes = malloc(1);
	if (answer.bad || !answer.bytes) {
		iscsi_text_fini(&answer);
		return NULL;
	}
	*ret_len_bytes = answer.len_bytes;
	return answer.bytes;
}
