/* A configuration change: see change.h. */
#include "api/change.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/lun_objects.h"
#include "api/service.h"
#include "cluster/secrets.h"
#include "cluster/serve.h"
#include "json_text.h"
#include "log.h"

struct change {
	struct service *service;
	struct request *rq; /* NULL: answered with 202 */
	struct audit_origin origin;
	struct offload_job job;
	struct loop_timer patience;
	struct serve_wait wait;
	char operation[24]; /* "" while there is none */
	struct config_request request;
	char name[URI_SEGMENT_MAX], sub[URI_SEGMENT_MAX];
	char object[2 * URI_SEGMENT_MAX + 16];
	char path[512];     /* of the object, for Location */
	json_t *body;
	/* written by work() */
	int rc;
	struct config_result result;
	uint64_t version;
	struct problem problem;
	struct err err;
	json_t *secrets;
	uint64_t secrets_version;
	json_t *maps;       /* those that changed, or all of them after an import; NULL: none */
	bool unknown;       /* whether it was published, or what it made of secrets and maps */
};

void config_ref_text(const struct config_ref *ref, char *text, size_t size)
{
	const struct config_kind_row *row = &config_kinds[ref->kind];

	if (row->singleton)
		snprintf(text, size, "%s", row->noun);
	else if (row->below_target)
		snprintf(text, size, "%s:%s:%s", row->noun, ref->name, ref->sub);
	else
		snprintf(text, size, "%s:%s", row->noun, ref->name);
}

void problem_of_errno(int error, const char *text, struct problem *ret_problem)
{
	static const struct {
		int error, status;
		const char *code;
	} rows[] = {
		{ ENOSPC, 507, "insufficient-storage" }, { EDQUOT, 507, "insufficient-storage" },
		{ EFBIG, 507, "insufficient-storage" },  { ENOMEM, 503, "out-of-memory" },
		{ EAGAIN, 503, "try-again" },            { EBUSY, 409, "busy" },
		{ EINVAL, 422, "validation-failed" },    { EOPNOTSUPP, 422, "not-supported" },
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		if (rows[i].error == abs(error)) {
			problem_set(ret_problem, rows[i].status, rows[i].code, "", "%s", text);
			return;
		}
	problem_set(ret_problem, 500, "storage-failed", "", "%s", text);
}

/* --- on a pool thread --- */

static int load_changed_maps(struct change *c)
{
	const char *id = json_string_value(json_object_get(c->result.after, "id"));
	uint64_t version;
	json_t *map = NULL;
	char name[128];
	int rc;

	if (c->request.op == CONFIG_IMPORT)
		return serve_load_maps(c->service->docs, c->result.config, &c->maps, &c->err);
	if (c->request.ref.kind != CONFIG_LUN || !id)
		return 0;
	snprintf(name, sizeof name, "map/%s", id);
	rc = docstore_load(c->service->docs, name, &map, &version, &c->err);
	if (rc == 0 && map) {
		c->maps = json_object();
		rc = json_object_set_new(c->maps, id, map) < 0 ? -ENOMEM : 0;
	}
	return rc;
}

static void work(struct offload_job *job)
{
	struct change *c = container_of(job, struct change, job);

	c->rc = lun_objects_commit(c->service->docs, c->service->options->state_dir, &c->request, c->origin.dry_run,
				   &c->result, &c->version, &c->problem, &c->err);
	c->unknown = c->rc == -EIO;
	if (c->rc || c->origin.dry_run)
		return;
	if (c->result.secrets_add || c->result.secrets_drop)
		c->unknown = docstore_load(c->service->docs, SECRETS_DOCUMENT, &c->secrets, &c->secrets_version, &c->err) < 0;
	c->unknown |= load_changed_maps(c) < 0;
}

/* --- on the loop --- */

static void free_change(struct change *c)
{
	loop_timer_stop(&c->patience);
	config_result_fini(&c->result);
	json_decref(c->body);
	json_decref(c->secrets);
	json_decref(c->maps);
	free(c);
}

json_t *change_decorate(struct service *service, enum config_kind kind, const char *name, json_t *view)
{
	char object[URI_SEGMENT_MAX + 16];
	const char *trouble;
	json_t *worker;

	if (!view)
		return NULL;
	if (kind == CONFIG_PORTAL)
		json_object_set_new(view, "status", portal_status(&service->portals, name));
	if (kind == CONFIG_LUN || kind == CONFIG_TARGET) {
		snprintf(object, sizeof object, "%s:%s", config_kinds[kind].noun, name);
		trouble = service_trouble(service, object);
		json_object_set_new(view, "status", trouble ? json_pack("{s:s, s:s}", "state", "error", "detail", trouble) :
							      json_pack("{s:s}", "state", "ok"));
		worker = json_object_get(service->placement, name);
		if (kind == CONFIG_TARGET && worker)
			json_object_set_new(json_object_get(view, "status"), "worker", json_incref(worker));
	}
	return view;
}

static void refuse(struct change *c)
{
	struct problem *p = &c->problem;

	if (c->rc < 0) {
		problem_of_errno(c->rc, c->err.text, p);
		log_error("change not done object=%s actor=%s: %s", log_quoted(c->object), c->origin.actor, c->err.text);
	}
	audit_write(&c->service->audit, &c->origin, p->status, p->code, c->object, NULL, NULL);
	if (c->rq)
		answer_problem(c->rq, p);
	else
		operation_finish(&c->service->operations, c->operation, NULL,
				 json_pack("{s:i, s:s, s:s}", "status", p->status, "code", p->code, "detail", p->detail));
	free_change(c);
}

static const char *outcome_text(enum config_outcome outcome)
{
	static const char *const texts[] = { "same", "created", "changed", "deleted" };

	return texts[outcome];
}

static void answer_dry_run(struct change *c)
{
	json_t *body = json_pack("{s:b, s:s, s:O?, s:O?, s:O?}", "dry_run", 1, "outcome", outcome_text(c->result.outcome),
				 "before", c->result.before, "after", c->result.after, "changes", c->result.diff);

	answer_json(c->rq, 200, body, NULL);
}

static json_t *answer_body(struct change *c, json_t *warnings)
{
	json_t *body;

	if (c->request.op == CONFIG_IMPORT)
		body = json_pack("{s:s, s:O?}", "outcome", outcome_text(c->result.outcome), "changes", c->result.diff);
	else if (c->result.outcome == CONFIG_DELETED)
		body = warnings ? json_object() : NULL;
	else
		body = change_decorate(c->service, c->request.ref.kind, c->name, json_incref(c->result.after));
	if (body && warnings)
		json_object_set(body, "warnings", warnings);
	return body;
}

static void answer_done(struct change *c, json_t *warnings)
{
	json_t *body = answer_body(c, warnings);
	int status = c->result.outcome == CONFIG_CREATED ? 201 : body ? 200 : 204;
	char etag[32];

	if (!c->rq) {
		operation_finish(&c->service->operations, c->operation, body, NULL);
		return;
	}
	snprintf(etag, sizeof etag, "\"%" PRIu64 "\"", c->result.revision);
	if (status == 201)
		snprintf(c->rq->answer.location, sizeof c->rq->answer.location, "%.390s", c->path);
	if (body)
		answer_json(c->rq, status, body, c->result.revision ? etag : NULL);
	else
		answer_nothing(c->rq, status);
}

static void served(struct serve_wait *wait, json_t *warnings)
{
	struct change *c = container_of(wait, struct change, wait);
	const char *trouble = c->result.outcome == CONFIG_DELETED ? NULL : service_trouble(c->service, c->object);

	if (trouble) {
		warnings = warnings ? warnings : json_array();
		json_array_append_new(warnings, json_string(trouble));
	}
	answer_done(c, warnings);
	json_decref(warnings);
	free_change(c);
}

/* Maps only ever grow in generation: an older one that comes late is left out. */
static void take_maps(struct service *s, json_t *maps)
{
	const char *id;
	json_t *map;

	json_object_foreach(maps, id, map) {
		json_t *have = json_object_get(s->maps, id);

		if (json_integer_value(json_object_get(have, "generation")) <=
		    json_integer_value(json_object_get(map, "generation")))
			json_object_set(s->maps, id, map);
	}
}

static void forget_map(struct service *s, const json_t *lun)
{
	const char *id = json_string_value(json_object_get(lun, "id"));

	if (id)
		json_object_del(s->maps, id);
}

static void done(struct offload_job *job)
{
	struct change *c = container_of(job, struct change, job);
	struct service *s = c->service;

	loop_timer_stop(&c->patience);
	if (c->unknown)
		refresh_want(&s->refresh);
	if (c->rc) {
		refuse(c);
		return;
	}
	if (c->origin.dry_run) {
		answer_dry_run(c);
		free_change(c);
		return;
	}
	audit_write(&s->audit, &c->origin, c->result.outcome == CONFIG_CREATED ? 201 : 200, "", c->object,
		    c->result.before, c->request.op == CONFIG_IMPORT ? c->result.diff : c->result.after);
	if (c->result.outcome != CONFIG_SAME) {
		events_add(&s->events, "config", c->object, "%s by %s", outcome_text(c->result.outcome), c->origin.actor);
		json_memory_begin();
		take_maps(s, c->maps);
		if (c->result.outcome == CONFIG_DELETED && c->request.ref.kind == CONFIG_LUN)
			forget_map(s, c->result.before);
		if (!json_memory_sufficed())
			refresh_want(&s->refresh);
		if (c->secrets)
			service_take_secrets(s, json_incref(c->secrets), c->secrets_version);
		service_take_config(s, json_incref(c->result.config), c->version);
		service_apply(s);
	}
	c->wait.generation = s->workers.generation;
	c->wait.done = served;
	workers_wait(&s->workers, &c->wait);
}

static void impatient(struct loop_timer *timer)
{
	struct change *c = container_of(timer, struct change, patience);
	struct operation *operation =
		operation_start(&c->service->operations, c->origin.method, c->object, c->origin.actor);
	struct request *rq = c->rq;

	if (!operation)
		return;
	snprintf(c->operation, sizeof c->operation, "%s", operation->id);
	c->rq = NULL;
	snprintf(rq->answer.location, sizeof rq->answer.location, "/api/v1/operations/%s", operation->id);
	answer_json(rq, 202, json_incref(operation->view), NULL);
}

/* "3", W/ and what is no number match nothing; more than there is room for: nothing either. */
static void read_precondition(const struct request *rq, struct config_precondition *p)
{
	const char *at = rq->if_match;

	p->absent = strchr(rq->if_none_match, '*') != NULL;
	if (!rq->has_if_match)
		return;
	p->any = at[0] == '*';
	/* UINT64_MAX is nobody's revision: it makes an If-Match without a usable tag fail with 412 instead of 428 */
	p->revisions[p->count++] = UINT64_MAX;
	while ((at = strchr(at, '"')) && p->count < CONFIG_REVISIONS_MAX) {
		char *end;
		uint64_t revision = strtoull(at + 1, &end, 10);

		if (end != at + 1 && *end == '"')
			p->revisions[p->count++] = revision;
		at = strchr(at + 1, '"');
		if (!at)
			break;
		at++;
	}
}

/* The path that the client used, encoded again: a Location must hold no byte that could end it. */
static void write_path(const struct request *rq, char *text, size_t size)
{
	size_t n = 0;

	for (unsigned i = 0; i < rq->uri.segment_count && n + 4 < size; i++) {
		text[n++] = '/';
		for (const char *c = rq->uri.segment[i]; *c && n + 4 < size; c++)
			n += (size_t)snprintf(text + n, size - n,
					      strchr("/?#%\\\"<>^`{|} ", *c) || (*c & 0x80) ? "%%%02X" : "%c",
					      (unsigned char)*c);
	}
	text[n] = '\0';
}

void change_start(struct request *rq, const struct config_request *request)
{
	struct change *c = calloc(1, sizeof *c);

	if (!c || rq->service->stopping) {
		free(c);
		answer_error(rq, 503, "unavailable", "The daemon cannot take a change now.");
		return;
	}
	c->service = rq->service;
	c->rq = rq;
	c->request = *request;
	snprintf(c->name, sizeof c->name, "%s", request->ref.name ? request->ref.name : "");
	snprintf(c->sub, sizeof c->sub, "%s", request->ref.sub ? request->ref.sub : "");
	c->request.ref.name = c->name;
	c->request.ref.sub = c->sub;
	c->body = rq->json;
	rq->json = NULL;
	c->request.body = c->body;
	read_precondition(rq, &c->request.precondition);
	audit_origin_of(rq, &c->origin);
	if (request->op == CONFIG_IMPORT)
		strcpy(c->object, "config");
	else
		config_ref_text(&c->request.ref, c->object, sizeof c->object);
	write_path(rq, c->path, sizeof c->path);
	c->job.work = work;
	c->job.done = done;
	loop_timer_init(&c->patience, impatient);
	if (!rq->dry_run)
		loop_timer_start(&c->service->loop, &c->patience, c->service->patience_ms);
	offload_submit(c->service->pool, &c->job, &c->service->mailbox);
}
