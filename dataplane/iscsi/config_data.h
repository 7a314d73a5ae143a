/*
 * The inside of a configuration snapshot, for config.c (makes it from the serve document), access.c (decides by it) and
 * send_targets.c (lists it). Immutable once made.
 */
#ifndef LUNETTE_ISCSI_CONFIG_DATA_H
#define LUNETTE_ISCSI_CONFIG_DATA_H

#include <stdatomic.h>

#include "dataplane/iscsi/address.h"
#include "dataplane/iscsi/config.h"
#include "dataplane/iscsi/name_map.h"

/* Initiators under one name, for use in many targets. */
struct iscsi_group {
	char *name;
	char (*members)[ISCSI_NAME_MAX]; /* folded */
	struct name_map by_name;         /* value: the group */
};

/* What a target grants to one initiator, or to the members of one group. */
struct iscsi_entry {
	char initiator[ISCSI_NAME_MAX];   /* folded; "" for a group */
	const struct iscsi_group *group;  /* NULL for an initiator */
	struct iscsi_auth *auth;          /* instead of the target's; NULL: the target's */
	bool read_only;
	bool all_luns;
	uint16_t *luns;                   /* sorted; when not all_luns */
	unsigned lun_count;
};

struct iscsi_relative_port {
	uint16_t tag, id;
};

struct iscsi_target {
	char name[ISCSI_NAME_MAX];
	char alias[256];
	unsigned worker;
	bool open, enabled;
	struct iscsi_target_params params;
	struct iscsi_auth *auth;          /* NULL: none */
	char redirect[ISCSI_ADDRESS_MAX]; /* "" when none */
	bool redirect_permanent;
	const struct iscsi_portal **portals;
	unsigned portal_count;
	struct ip_range *addresses;       /* none: any */
	unsigned address_count;
	struct iscsi_relative_port *relative_ports;
	unsigned relative_port_count;
	struct alua_configured *port_groups; /* what the document says of some */
	unsigned port_group_count;
	bool explicit_alua;
	struct iscsi_lun_mapping *luns;   /* sorted by number */
	unsigned lun_count;
	struct iscsi_entry *initiators;
	unsigned initiator_count;
	struct name_map initiator_by_name;
	struct iscsi_entry *groups;
	unsigned group_count;
};

struct iscsi_config {
	atomic_uint references;
	struct iscsi_settings settings;
	struct iscsi_auth *discovery_auth; /* NULL: none */
	struct iscsi_portal *portals;
	unsigned portal_count;
	struct iscsi_group *groups;
	unsigned group_count;
	struct name_map group_by_name;
	struct iscsi_target *targets;      /* in the order of the document */
	unsigned target_count;
	struct name_map target_by_name;
};

/* Is the initiator admitted on a connection between these addresses? Portal, enabled and redirect are not looked at. */
bool iscsi_target_admits(const struct iscsi_target *target, const char *initiator_name, const struct ip_address *peer,
			 const struct ip_address *local);

#endif
