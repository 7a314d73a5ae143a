/*
 * Asymmetric logical unit access (SPC-4 5.15): the state of one target port group, as a pure function of what happens to
 * it. No clock, no lock, no I/O: port_groups.c runs it in a worker, a simulation can run it for a cluster.
 *
 *                 CONFIGURED, SET                        CONFIGURED (transitioning)
 *    active/optimized, active/non-optimized,   ------------------------------------->   transitioning
 *    standby, unavailable                      <-------------------------------------   until deadline_ns
 *                                               CONFIGURED (another state); TIME: back to where it came from, failed
 *
 * A change from one state to another is indivisible. Only an administrator (or what decides for a cluster) makes a group
 * transitioning, for a move that takes time; that is bounded by ALUA_TRANSITION_S, which initiators are told.
 */
#ifndef LUNETTE_SCSI_ALUA_H
#define LUNETTE_SCSI_ALUA_H

#include <stdbool.h>
#include <stdint.h>

#define ALUA_TRANSITION_S 60 /* IMPLICIT TRANSITION TIME of REPORT TARGET PORT GROUPS */

enum alua_state { /* ASYMMETRIC ACCESS STATE, SPC-4 table 275 */
	ALUA_OPTIMIZED = 0x0, ALUA_NONOPTIMIZED = 0x1, ALUA_STANDBY = 0x2, ALUA_UNAVAILABLE = 0x3, ALUA_TRANSITIONING = 0xf,
};

enum alua_status { ALUA_STATUS_NONE = 0, ALUA_STATUS_EXPLICIT = 1, ALUA_STATUS_IMPLICIT = 2 }; /* STATUS CODE */

/* What an administrator says about a group. */
struct alua_configured {
	uint16_t tag;              /* target port group: the portal group tag */
	uint16_t relative_port_id; /* of the one port in it */
	uint8_t  state;            /* enum alua_state */
	bool     preferred;        /* PREF */
	uint64_t revision;         /* of these words; an explicit state is older or newer than they */
};

struct alua_group {
	struct alua_configured configured;
	uint8_t  state;       /* enum alua_state: in force */
	uint8_t  status;      /* enum alua_status: how it came to that */
	uint8_t  from;        /* transitioning: the state before */
	uint64_t deadline_ns; /* transitioning: until then */
};

struct alua_event {
	enum { ALUA_CONFIGURED, ALUA_SET, ALUA_UNSET, ALUA_TIME } kind;
	struct alua_configured configured; /* CONFIGURED */
	uint8_t state;                     /* SET: one of the four that SET TARGET PORT GROUPS may ask for. UNSET: it does
					      not hold any more */
	uint64_t now_ns;
};

/* What initiators are to be told. */
enum alua_effect { ALUA_NOTHING, ALUA_CHANGED, ALUA_TRANSITION_FAILED };

/* A group that is new: in the state that is configured, which is nobody's change. */
void alua_init(struct alua_group *group, const struct alua_configured *configured, uint64_t now_ns);
enum alua_effect alua_step(struct alua_group *group, const struct alua_event *event);

/* Names in configuration and documents: "active_optimized" ... ; -1: no such. */
const char *alua_state_name(uint8_t state);
int alua_state_of_name(const char *name);

#endif
