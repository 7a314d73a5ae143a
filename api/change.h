/*
 * A configuration change on its way: from the request through an offload thread (lun_objects_commit: objects, secrets,
 * publish) back to the loop, to the workers, and then to the client.
 *
 *   change_start -> work() on a pool thread -> done(): take the new documents, send SERVE -> every worker that is up has
 *   confirmed, or the wait is over -> the answer (200, 201, 204; with "warnings" when a worker is down or slow)
 *
 * One that takes longer than OPERATION_PATIENCE_MS is answered with 202 and goes on as an operation. Each is audited once,
 * whether it was done, refused or failed.
 */
#ifndef LUNETTE_API_CHANGE_H
#define LUNETTE_API_CHANGE_H

#include "api/request.h"
#include "cluster/config.h"

/* Takes rq->json as the body. request: op, ref (strings are copied), force, prune; the preconditions are read from the
 * request's header. */
void change_start(struct request *rq, const struct config_request *request);

/* The view of an object with what control knows about it: "status". Takes view; NULL stays NULL. */
json_t *change_decorate(struct service *service, enum config_kind kind, const char *name, json_t *view);
/* "lun:vol1", "mapping:iqn...:0" */
void config_ref_text(const struct config_ref *ref, char *text, size_t size);
/* What a client is told about an error of the disk or of memory: the translator of this boundary. */
void problem_of_errno(int error, const char *text, struct problem *ret_problem);

#endif
