/*
 * What this worker serves, as the iSCSI layer sees it: targets, access rules, CHAP credentials, portals. An immutable
 * snapshot made from the serve document (docs/architecture.md), shared by reference count: a login in progress keeps the
 * snapshot it began with. Any thread may hold and read one.
 */
#ifndef LUNETTE_ISCSI_CONFIG_H
#define LUNETTE_ISCSI_CONFIG_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "dataplane/iscsi/pdu.h"
#include "dataplane/scsi/alua.h"
#include "err.h"
#include "secret.h"

#define ISCSI_LUN_MAX         16383 /* largest number of a LUN: flat addressing */
#define ISCSI_R2TS_MAX        8     /* MaxOutstandingR2T we ever agree to */
#define ISCSI_PORTAL_NAME_MAX 64
#define ISCSI_ADDRESS_MAX     272 /* "host:port" or "[v6]:port", with NUL (redirects may name a host) */

struct iscsi_credential {
	char user[256];
	struct secret secret;
};

struct iscsi_auth {
	bool chap;    /* the initiator must prove itself with `peer` */
	bool mutual;  /* and we answer a challenge with `own` */
	struct iscsi_credential peer, own;
};

struct iscsi_lun_mapping {
	uint16_t number;
	bool     read_only;
	char     lun[64];
};

struct iscsi_portal {
	char     name[ISCSI_PORTAL_NAME_MAX];
	char     address[ISCSI_ADDRESS_MAX]; /* as bound; may be a wildcard */
	struct sockaddr_storage bound;
	uint16_t tag;                        /* target portal group tag */
};

/* Negotiation limits of a target; see login.h for the result functions. Defaults in config.c, as a table. */
enum iscsi_digest { /* mask of what we agree to; ANY: as the initiator prefers */
	ISCSI_DIGEST_NONE = 1, ISCSI_DIGEST_CRC32C = 2, ISCSI_DIGEST_ANY = 3,
};
struct iscsi_target_params {
	uint8_t  header_digest, data_digest;                   /* enum iscsi_digest; CRC32C alone: required */
	bool     initial_r2t, immediate_data;                  /* what we offer */
	uint32_t max_recv_data_segment_bytes;                  /* ours, declared */
	uint32_t max_burst_bytes, first_burst_bytes;
	uint16_t max_outstanding_r2t;
	uint16_t time2wait_s, time2retain_s;
	uint16_t queue_depth;                                  /* commands in the CmdSN window */
	uint16_t nop_interval_s, nop_timeout_s;                /* 0: no NOP-In */
	uint16_t max_sessions;                                 /* 0: the global limit alone */
};

struct iscsi_target;   /* opaque; lives as long as the snapshot */
struct iscsi_config;

/* serve: borrowed JSON object. NULL with *err: the document is not valid (nothing was changed). */
struct iscsi_config *iscsi_config_new(const json_t *serve, struct err *err);
struct iscsi_config *iscsi_config_ref(struct iscsi_config *config);
void iscsi_config_unref(struct iscsi_config *config);

/* Global settings ("settings" of the serve document), each with a documented default. */
struct iscsi_settings {
	uint16_t login_timeout_s;          /* absolute, from accept to full feature phase; 15 */
	uint32_t max_connections;          /* of this worker; 16384 */
	uint32_t max_connections_per_address; /* 1024; 0: no such limit on loopback */
	uint32_t max_login_text_bytes;     /* text of one login or text exchange; 65536 */
	uint32_t buffer_bytes;             /* data buffers of one reactor; 64 MiB */
	uint32_t sanitize_bytes_per_s;     /* of one SANITIZE; 256 MiB */
	uint32_t copy_bytes_per_s;         /* of the third-party copies of one reactor; 1 GiB */
};
const struct iscsi_settings *iscsi_config_settings(const struct iscsi_config *config);

const struct iscsi_target *iscsi_config_find_target(const struct iscsi_config *config, const char *name);
const char *iscsi_target_name(const struct iscsi_target *target);
const char *iscsi_target_alias(const struct iscsi_target *target);  /* "" when none */
unsigned iscsi_target_worker(const struct iscsi_target *target);    /* which worker owns it */
const struct iscsi_target_params *iscsi_target_params(const struct iscsi_target *target);
uint16_t iscsi_target_relative_port(const struct iscsi_target *target, uint16_t portal_tag);
/* The target that a relative target port identifier is of, whichever worker serves it; NULL: none. */
const struct iscsi_target *iscsi_config_find_port(const struct iscsi_config *config, uint16_t relative_port_id);

/* Its target port groups, one for each portal group tag that it is reachable by: malloc'ed array, count; NULL: no memory. */
struct alua_configured *iscsi_target_port_groups(const struct iscsi_target *target, unsigned *ret_count);
bool iscsi_target_explicit_alua(const struct iscsi_target *target); /* initiators may set their states */
/* The targets of this worker, one after the other: after `previous`, the first with NULL; NULL: no more. */
const struct iscsi_target *iscsi_config_next_target(const struct iscsi_config *config, unsigned worker,
						    const struct iscsi_target *previous);

/* Where a connection comes from and by which portal it came in. */
struct iscsi_peer {
	struct sockaddr_storage peer, local; /* getpeername, getsockname */
	const struct iscsi_portal *portal;
};

/* May this initiator log in here, and how must it prove itself? Not found and not allowed look the same to the peer
 * (0x0203 with the same text and timing), the log line tells them apart. */
enum iscsi_access {
	ISCSI_ACCESS_OK, ISCSI_ACCESS_NO_TARGET, ISCSI_ACCESS_DENIED, ISCSI_ACCESS_PORTAL, ISCSI_ACCESS_REDIRECT_TEMPORARY,
	ISCSI_ACCESS_REDIRECT_PERMANENT, ISCSI_ACCESS_UNAVAILABLE,
};
struct iscsi_grant {
	enum iscsi_access access;
	struct iscsi_auth auth;
	char redirect[ISCSI_ADDRESS_MAX];  /* host:port, without tag */
};
void iscsi_access_check(const struct iscsi_config *config, const struct iscsi_target *target, const char *initiator_name,
			const struct iscsi_peer *peer, struct iscsi_grant *ret_grant);
/* Whether an initiator of this name may log in from anywhere at all: its address and portal are not asked. */
bool iscsi_target_may_log_in(const struct iscsi_target *target, const char *initiator_name);
/* Authentication of discovery sessions: separate from that of targets. */
void iscsi_discovery_auth(const struct iscsi_config *config, struct iscsi_auth *ret_auth);
/* LUNs that this initiator sees on the target (NULL: all that the target has), sorted by number: malloc'ed array, count;
 * NULL and 0 when none. */
struct iscsi_lun_mapping *iscsi_target_luns(const struct iscsi_target *target, const char *initiator_name,
					    unsigned *ret_count);

/* Portals that a target is reachable by, or all of them with target NULL. */
const struct iscsi_portal *iscsi_config_portals(const struct iscsi_config *config, unsigned *ret_count);
const struct iscsi_portal *iscsi_config_find_portal(const struct iscsi_config *config, const char *name);

/* SendTargets (RFC 7143 appendix C): the text "TargetName=...\0TargetAddress=...\0..." for what the initiator may see and
 * reach: its address family, its allowed portals; wildcard portals shown with the local address of this connection;
 * IPv6 in brackets without zone; one TargetAddress a portal with ",tag". which: "All", "" (this session's target) or a
 * name. malloc'ed, *ret_len_bytes without extra NUL; NULL when out of memory. */
char *iscsi_send_targets(const struct iscsi_config *config, const char *which, const char *session_target,
			 const char *initiator_name, const struct iscsi_peer *peer, size_t *ret_len_bytes);

#endif
