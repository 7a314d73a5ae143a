/*
 * Persistent reservations of one logical unit as a pure state machine (SPC-4 5.13 and 6.16): (state, command) ->
 * (state', effects). No locks, no I/O, no clock, so that the cluster simulation can run it, and so that a change can be
 * computed again when its publication was lost to another writer (PROTOCOL I7).
 *
 * The state is what the document reservation/<lun id> holds. A registration belongs to an I_T nexus: an initiator port
 * (iSCSI name and ISID) and a relative target port; either may be "any".
 */
#ifndef LUNETTE_SCSI_PR_STATE_H
#define LUNETTE_SCSI_PR_STATE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "err.h"

#define PR_REGISTRATIONS_MAX 1024
#define PR_TARGET_PORT_ANY   0
#define PR_NAME_MAX          224

enum pr_type {
	PR_NONE = 0,
	PR_WRITE_EXCLUSIVE = 1, PR_EXCLUSIVE_ACCESS = 3,
	PR_WRITE_EXCLUSIVE_REGISTRANTS = 5, PR_EXCLUSIVE_ACCESS_REGISTRANTS = 6,
	PR_WRITE_EXCLUSIVE_ALL = 7, PR_EXCLUSIVE_ACCESS_ALL = 8,
};

struct pr_nexus {
	char     initiator[PR_NAME_MAX]; /* iSCSI name */
	uint8_t  isid[6];
	bool     any_isid;               /* registered by device name alone (TransportID format 00b) */
	uint16_t target_port;            /* relative target port identifier or PR_TARGET_PORT_ANY */
};

struct pr_registration {
	uint64_t key; /* never 0 */
	struct pr_nexus nexus;
};

struct pr_state {
	uint32_t generation;
	uint8_t  type;      /* enum pr_type */
	bool     aptpl;     /* survives a start of the daemon */
	unsigned holder;    /* index of the registration that holds it; no meaning for PR_NONE and the _ALL types */
	unsigned count;
	struct pr_registration registration[];
};

enum pr_action {
	PR_REGISTER = 0, PR_RESERVE = 1, PR_RELEASE = 2, PR_CLEAR = 3, PR_PREEMPT = 4, PR_PREEMPT_AND_ABORT = 5,
	PR_REGISTER_AND_IGNORE = 6, PR_REGISTER_AND_MOVE = 7,
};

struct pr_command {
	enum pr_action action;
	struct pr_nexus from;    /* who asks */
	uint8_t  type;           /* RESERVE, RELEASE, PREEMPT: the byte with SCOPE (0 is the only one) and TYPE */
	uint64_t key;            /* RESERVATION KEY */
	uint64_t service_key;    /* SERVICE ACTION RESERVATION KEY */
	bool     aptpl, all_target_ports, unregister;
	const struct pr_nexus *others; /* SPEC_I_PT: further nexuses to register; REGISTER AND MOVE: the one to move to */
	unsigned others_count;
};

enum pr_outcome {
	PR_GOOD,
	PR_CONFLICT,            /* RESERVATION CONFLICT status */
	PR_INVALID_LIST,        /* 26h/00 */
	PR_INVALID_TYPE,        /* 24h/00, SCOPE or TYPE */
	PR_INVALID_ACTION,      /* 24h/00, SERVICE ACTION */
	PR_INVALID_RELEASE,     /* 26h/04 */
	PR_NO_ROOM,             /* 55h/04 */
	PR_NO_MEMORY,
};

/* What a change does to the registrants of the old state: an entry per old registration. */
struct pr_effect {
	uint16_t unit_attention; /* ASC << 8 | ASCQ, 0: none */
	bool     preempted;      /* PREEMPT AND ABORT aborts the tasks of this nexus */
};

bool pr_type_valid(uint8_t type);
bool pr_type_all_registrants(uint8_t type);
bool pr_type_registrants_only(uint8_t type); /* the all-registrants types included */
bool pr_type_excludes_reads(uint8_t type);

struct pr_state *pr_state_new(void);                           /* no registrations; NULL: no memory */
bool pr_state_same(const struct pr_state *a, const struct pr_state *b);
bool pr_nexus_matches(const struct pr_nexus *registered, const struct pr_nexus *nexus);
/* Index of the registration of a nexus, -1: not registered. */
int  pr_state_find(const struct pr_state *state, const struct pr_nexus *nexus);
bool pr_state_holds(const struct pr_state *state, unsigned index);

/* Pure. PR_GOOD: *ret_state is a new state (free() it) and *ret_effects an array of old->count entries (free() it; may be
 * NULL when old->count is 0). Nothing is written otherwise. */
enum pr_outcome pr_apply(const struct pr_state *old, const struct pr_command *command, struct pr_state **ret_state,
			 struct pr_effect **ret_effects);

/* The document. epoch: of the daemon's life (struct scsi_services). */
json_t *pr_state_encode(const struct pr_state *state, uint64_t epoch); /* new reference; NULL: no memory */
/* json NULL: the empty state. State without APTPL of another epoch has gone with the power (SPC-4 5.13.5). NULL with
 * *err when the document is damaged. */
struct pr_state *pr_state_decode(const json_t *json, uint64_t epoch, struct err *err);

#endif
