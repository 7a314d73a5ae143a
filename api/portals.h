/*
 * Portals: control binds their listening sockets, deposits them with the supervisor (KEEP_FD: they survive control's death,
 * so that a client that connects meanwhile waits) and sends them to the workers (LISTEN, after a worker has been served
 * for the first time: an initiator must not be told that its target does not exist because the worker is young).
 *
 * An address that cannot be bound is tried again every PORTAL_RETRY_MS and reported in the portal's status and in health.
 * Control thread only.
 */
#ifndef LUNETTE_API_PORTALS_H
#define LUNETTE_API_PORTALS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "api/loop.h"
#include "api/workers.h"
#include "err.h"
#include "list.h"

#define PORTAL_RETRY_MS 2000
#define PORTAL_BACKLOG  4096
#define PORTAL_NAME_MAX 64

struct portal {
	struct list link;
	char name[PORTAL_NAME_MAX];
	char address[80];      /* as configured */
	char bound[80];        /* where it really listens (port 0 made a number); "" while it does not */
	uint32_t tag;
	int fd;                /* -1: not bound */
	char trouble[256];     /* why not; "" when all is well */
	bool wanted;           /* mark of portals_apply */
};

struct kept_socket {
	struct list link;
	char name[512];        /* "portal:default:127.0.0.1:3260", "http:127.0.0.1:3261" */
	int fd;
};

struct portals {
	struct list list, kept;
	struct loop *loop;
	struct workers *workers;
	int supervisor_fd;
	bool anything_kept;    /* this is not the first start of the daemon */
	struct loop_timer retry;
};

void portals_init(struct portals *portals, struct loop *loop, struct workers *workers, int supervisor_fd);
void portals_fini(struct portals *portals);
/* KEPT_FD: takes fd over. */
void portals_kept(struct portals *portals, const char *name, int fd);
/* A kept socket of that name, now the caller's; -1: none. */
int  portals_take_kept(struct portals *portals, const char *name);
/* After the first portals_apply: kept sockets that nobody wants are given up. */
void portals_drop_kept(struct portals *portals);
/* Makes the listening sockets what `configured` says: object name -> {"address", "tag"}; may be NULL. */
void portals_apply(struct portals *portals, const json_t *configured);
/* This worker has been served for the first time on its channel: sends it every portal. */
void portals_send_to(struct portals *portals, struct worker *worker);
const struct portal *portals_find(const struct portals *portals, const char *name);
/* {"state": "listening" | "error", "address": ..., "detail": ...}; new reference. */
json_t *portal_status(const struct portals *portals, const char *name);
/* Deposits a socket with the supervisor. */
void portals_keep(struct portals *portals, const char *name, int fd);

/* A listening socket on "address:port", "[v6]:port", non-blocking; or negative errno with words. ret_bound: where it really
 * listens; 80 bytes. */
int socket_listen(const char *address, char *ret_bound, struct err *err);
/* Where a socket listens, as text; 80 bytes. */
void socket_bound(int fd, char *ret_bound);
/* The address is a loopback address; false also for one that is no address. */
bool address_is_loopback(const char *address);

#endif
