/*
 * What only the workers know: sessions, access states, reservations, the state of a mapping, commands that run long. Asked
 * by QUERY, changed by COMMAND.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/change.h"
#include "api/handlers.h"
#include "api/request.h"
#include "api/service.h"

static void ask(struct request *rq, enum message_kind kind, const char *what, void (*done)(struct worker_call *call))
{
	if (!workers_call(&rq->service->workers, kind, -1, what, done, rq))
		answer_error(rq, 503, "out-of-memory", "There is no memory for this request now.");
}

/* About what the path names. */
static void ask_about(struct request *rq, enum message_kind kind, const char *word, void (*done)(struct worker_call *call))
{
	char what[CHANNEL_TEXT_MAX];

	snprintf(what, sizeof what, "%s:%s", word, request_param(rq, 0));
	ask(rq, kind, what, done);
}

/* A command that removes what the path names; a dry run does not send it. */
static void command(struct request *rq, const char *word, void (*done)(struct worker_call *call))
{
	if (rq->dry_run)
		answer_json(rq, 200, json_pack("{s:b, s:s}", "dry_run", 1, "outcome", "deleted"), NULL);
	else
		ask_about(rq, MSG_COMMAND, word, done);
}

/* The value of the first worker that knows; NULL: none does. Borrowed. */
static json_t *first_value(const struct worker_call *call)
{
	for (unsigned i = 0; i < WORKERS_MAX; i++)
		if (call->reply[i].answered && call->reply[i].status == 0)
			return call->reply[i].value;
	return NULL;
}

static bool any_done(const struct worker_call *call)
{
	for (unsigned i = 0; i < WORKERS_MAX; i++)
		if (call->reply[i].answered && call->reply[i].status == 0)
			return true;
	return false;
}

static void audit(struct request *rq, int status, const char *code, const char *object)
{
	struct audit_origin origin;

	audit_origin_of(rq, &origin);
	audit_write(&rq->service->audit, &origin, status, code, object, NULL, NULL);
	if (status < 300)
		events_add(&rq->service->events, "admin", object, "%s by %s", origin.method, origin.actor);
}

static int by_id(const void *a, const void *b)
{
	const char *x = json_string_value(json_object_get(*(json_t *const *)a, "id"));
	const char *y = json_string_value(json_object_get(*(json_t *const *)b, "id"));

	return strcmp(x, y);
}

/* Objects that all have an id, taken; the same ones in order, new reference. */
static json_t *sorted_by_id(json_t *items)
{
	size_t count = json_array_size(items), i;
	json_t **sorted = malloc((count + 1) * sizeof *sorted), *result = json_array(), *item;

	json_array_foreach(items, i, item)
		if (sorted)
			sorted[i] = item;
	if (sorted)
		qsort(sorted, count, sizeof *sorted, by_id);
	for (i = 0; sorted && i < count; i++)
		json_array_append(result, sorted[i]);
	free(sorted);
	json_decref(items);
	return result;
}

/* Adds what a worker said to the items: the objects that have an id. */
static void append_items(json_t *items, json_t *said)
{
	json_t *item;
	size_t i;

	json_array_foreach(said, i, item)
		if (json_is_string(json_object_get(item, "id")))
			json_array_append(items, item);
}

/* The page of these, taken, that the request wants. */
static void answer_page(struct worker_call *call, json_t *items)
{
	struct request *rq = call->arg;
	json_t *page = page_of(rq, items, "id", json_incref(call->unreachable));

	json_decref(items);
	if (page)
		answer_json(rq, 200, page, NULL);
	worker_call_free(call);
}

/* The one of these, taken, whose id stands in the path; 404 with this code when there is none. */
static void answer_one(struct worker_call *call, json_t *items, const char *missing_code, const char *missing)
{
	struct request *rq = call->arg;
	json_t *item, *found = NULL;
	size_t i;

	json_array_foreach(items, i, item)
		if (strcmp(json_string_value(json_object_get(item, "id")), request_param(rq, 0)) == 0)
			found = item;
	if (found)
		answer_json(rq, 200, json_incref(found), NULL);
	else
		answer_error(rq, 404, missing_code, "%s", missing);
	json_decref(items);
	worker_call_free(call);
}

/* Whether there is what the path names; false: answered 404. */
static bool exists(struct request *rq, enum config_kind kind, const char *word)
{
	struct config_ref ref = { kind, request_param(rq, 0), NULL };
	char code[32];

	if (config_find(rq->service->config, &ref))
		return true;
	snprintf(code, sizeof code, "no-such-%s", word);
	answer_error(rq, 404, code, "There is no such %s.", word);
	return false;
}

/* --- targets --- */

static void port_groups_known(struct worker_call *call)
{
	json_t *items = json_array();

	append_items(items, first_value(call));
	answer_page(call, sorted_by_id(items));
}

void list_port_groups(struct request *rq)
{
	if (exists(rq, CONFIG_TARGET, "target"))
		ask_about(rq, MSG_QUERY, "port-groups", port_groups_known);
}

/* --- LUNs --- */

static void map_known(struct worker_call *call)
{
	struct request *rq = call->arg;
	struct config_ref ref = { CONFIG_LUN, request_param(rq, 0), NULL };
	const char *id = json_string_value(json_object_get(config_find(rq->service->config, &ref), "id"));
	json_t *map = first_value(call);
	char etag[80];

	if (!map && id)
		map = json_object_get(rq->service->maps, id);
	if (map) {
		etag_of(map, etag);
		answer_json(rq, 200, json_incref(map), etag);
	} else {
		answer_error(rq, 404, "no-such-map", "The LUN has no map.");
	}
	worker_call_free(call);
}

void get_lun_map(struct request *rq)
{
	if (exists(rq, CONFIG_LUN, "lun"))
		ask_about(rq, MSG_QUERY, "map", map_known);
}

static void reservations_known(struct worker_call *call)
{
	struct request *rq = call->arg;
	json_t *value = first_value(call), *body;

	body = json_is_object(value) ? json_copy(value) :
				       json_pack("{s:i, s:n, s:b, s:n, s:[]}", "generation", 0, "type", "aptpl", 0,
						 "reserved_by", "registrations");
	json_object_set_new(body, "served", json_boolean(json_is_object(value)));
	json_object_set(body, "unreachable", call->unreachable);
	answer_json(rq, 200, body, NULL);
	worker_call_free(call);
}

void get_reservations(struct request *rq)
{
	if (exists(rq, CONFIG_LUN, "lun"))
		ask_about(rq, MSG_QUERY, "reservations", reservations_known);
}

static void reservations_cleared(struct worker_call *call)
{
	struct request *rq = call->arg;
	char object[URI_SEGMENT_MAX + 16];
	bool ok = any_done(call);

	snprintf(object, sizeof object, "reservations:%s", request_param(rq, 0));
	audit(rq, ok ? 204 : 409, ok ? "" : "lun-not-served", object);
	if (ok)
		answer_nothing(rq, 204);
	else
		answer_error(rq, 409, "lun-not-served", "No worker serves this LUN now: assign it to a target that is "
							"served, then clear its reservations.");
	worker_call_free(call);
}

void delete_reservations(struct request *rq)
{
	if (exists(rq, CONFIG_LUN, "lun"))
		command(rq, "reservations-clear", reservations_cleared);
}

/* --- sessions --- */

static bool wanted(const struct request *rq, const json_t *session)
{
	const char *target = request_query(rq, "target");
	const char *has = json_string_value(json_object_get(session, "target"));

	return json_string_value(json_object_get(session, "id")) && (!target || (has && strcmp(has, target) == 0));
}

/* All sessions of all replies, sorted by id; new array. */
static json_t *merged(const struct request *rq, const struct worker_call *call)
{
	json_t *sessions = json_array(), *session;
	size_t i;

	for (unsigned w = 0; w < WORKERS_MAX; w++)
		json_array_foreach(call->reply[w].value, i, session) {
			if (!wanted(rq, session))
				continue;
			json_object_set_new(session, "worker", json_integer(w));
			json_array_append(sessions, session);
		}
	return sorted_by_id(sessions);
}

static void sessions_known(struct worker_call *call)
{
	answer_page(call, merged(call->arg, call));
}

void list_sessions(struct request *rq)
{
	ask(rq, MSG_QUERY, "sessions", sessions_known);
}

static void session_known(struct worker_call *call)
{
	answer_one(call, merged(call->arg, call), "no-such-session", "There is no such session.");
}

void get_session(struct request *rq)
{
	ask(rq, MSG_QUERY, "sessions", session_known);
}

static void logged_out(struct worker_call *call)
{
	struct request *rq = call->arg;
	char object[URI_SEGMENT_MAX + 16];
	bool ok = any_done(call);

	snprintf(object, sizeof object, "session:%s", request_param(rq, 0));
	audit(rq, ok ? 204 : 404, ok ? "" : "no-such-session", object);
	if (ok)
		answer_nothing(rq, 204);
	else if (json_array_size(call->unreachable))
		answer_error(rq, 503, "worker-unreachable", "A worker does not answer: try again.");
	else
		answer_error(rq, 404, "no-such-session", "There is no such session.");
	worker_call_free(call);
}

void delete_session(struct request *rq)
{
	command(rq, "logout", logged_out);
}

/* --- operations: control's own and the workers' jobs --- */

static json_t *all_operations(const struct request *rq, const struct worker_call *call)
{
	json_t *operations = operations_views(&rq->service->operations);

	for (unsigned w = 0; w < WORKERS_MAX; w++)
		append_items(operations, call->reply[w].value);
	return sorted_by_id(operations);
}

static void operations_known(struct worker_call *call)
{
	answer_page(call, all_operations(call->arg, call));
}

void list_operations(struct request *rq)
{
	ask(rq, MSG_QUERY, "jobs", operations_known);
}

static void operation_known(struct worker_call *call)
{
	answer_one(call, all_operations(call->arg, call), "no-such-operation",
		   "There is no such operation, or it is long forgotten.");
}

void get_operation(struct request *rq)
{
	ask(rq, MSG_QUERY, "jobs", operation_known);
}

/* 0 when a worker did it, else what the one that knows the job says; ENOENT: none knows it. */
static unsigned outcome_of(const struct worker_call *call)
{
	unsigned outcome = ENOENT;

	for (unsigned i = 0; i < WORKERS_MAX; i++)
		if (call->reply[i].answered && call->reply[i].status != ENOENT)
			outcome = call->reply[i].status;
	return outcome;
}

static void job_cancelled(struct worker_call *call)
{
	struct request *rq = call->arg;
	char object[URI_SEGMENT_MAX + 16];
	unsigned outcome = outcome_of(call);

	snprintf(object, sizeof object, "operation:%s", request_param(rq, 0));
	audit(rq, outcome == 0 ? 204 : outcome == ENOENT ? 404 : 409, outcome ? "operation-not-cancelled" : "", object);
	if (outcome == 0)
		answer_nothing(rq, 204);
	else if (outcome == ENOENT && json_array_size(call->unreachable))
		answer_error(rq, 503, "worker-unreachable", "A worker does not answer: try again.");
	else if (outcome == ENOENT)
		answer_error(rq, 404, "no-such-operation", "There is no such operation that a worker runs.");
	else if (outcome == EALREADY)
		answer_error(rq, 409, "operation-ended", "The operation has ended.");
	else
		answer_error(rq, 409, "not-cancellable", "This operation may not stop half way: wait for its end.");
	worker_call_free(call);
}

void delete_operation(struct request *rq)
{
	command(rq, "job-cancel", job_cancelled);
}
