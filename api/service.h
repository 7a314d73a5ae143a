/*
 * Everything that control knows, in one place, owned by its one thread.
 *
 * The documents `config`, `secrets` and `map/<id>` are held as they were last published; a change goes to the disk on an
 * offload thread (change.h) and comes back as newer content. Content is never edited in place.
 */
#ifndef LUNETTE_API_SERVICE_H
#define LUNETTE_API_SERVICE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "api/assets.h"
#include "api/audit.h"
#include "api/auth.h"
#include "api/control.h"
#include "api/events.h"
#include "api/http.h"
#include "api/loop.h"
#include "api/monitoring.h"
#include "api/operations.h"
#include "api/portals.h"
#include "api/refresh.h"
#include "api/request.h"
#include "api/session.h"
#include "api/workers.h"
#include "docstore.h"
#include "mailbox.h"
#include "offload.h"

struct service {
	const struct control_options *options;
	struct loop loop;
	struct mailbox mailbox;
	struct loop_watch mailbox_watch;
	struct offload *pool;
	struct docstore *docs;
	json_t *config;        /* document `config`; NULL: empty */
	uint64_t config_version;
	json_t *secrets;       /* document `secrets`; NULL: empty */
	uint64_t secrets_version;
	json_t *maps;          /* LUN id -> content of map/<id> */
	json_t *placement;     /* target -> worker */
	uint64_t generation;   /* of the newest serve document; grows across lives: starts at the wall clock's ms */
	struct auth auth;
	struct sessions sessions;
	struct events events;
	struct workers workers;
	struct portals portals;
	struct operations operations;
	struct audit audit;
	struct assets assets;
	struct monitoring monitoring;
	struct refresh refresh;
	struct http *http;     /* NULL in tests that call requests by hand */
	uint64_t started_ms;   /* wall clock */
	unsigned patience_ms;  /* of a change before it is answered with 202: OPERATION_PATIENCE_MS, tests have more */
	uint64_t disk_total_bytes, disk_free_bytes; /* of the state directory; 0: unknown */
	bool ready;            /* READY was said */
	bool stopping;
};

/* Loop, pool and empty state. 0 or negative errno with *err. */
int  service_init(struct service *service, const struct control_options *options, struct err *err);
/* Blocking. Opens the audit log and the documents and loads them, makes the first token when there is none. 0 or negative
 * errno with *err. Sends nothing and listens nowhere. */
int  service_load(struct service *service, struct err *err);
void service_fini(struct service *service);

/* Newer content of the documents, from a change or a load; older versions are ignored. References are taken. */
void service_take_config(struct service *service, json_t *config, uint64_t version);
void service_take_secrets(struct service *service, json_t *secrets, uint64_t version);
/* Newer content was taken: computes the placement, reconciles portals, sends the workers the new serve document. */
void service_apply(struct service *service);

/* LUNs served by a worker that reported trouble with `object` ("lun:vol1"): its words, or NULL. Borrowed. */
const char *service_trouble(const struct service *service, const char *object);

#endif
