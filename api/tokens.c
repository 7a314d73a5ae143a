/*
 * API tokens as resources. Their hashes are in the document `secrets` (auth.h); a change is made there on an offload
 * thread, precondition included, and then taken into use.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/change.h"
#include "api/handlers.h"
#include "api/request.h"
#include "api/service.h"
#include "clock.h"
#include "cluster/config.h"
#include "cluster/secrets.h"

#define TOKEN_LIFE_MAX_S (10LL * 365 * 24 * 3600)

/* Without the hash. */
static json_t *view_of(const char *name, const json_t *entry)
{
	json_int_t created_ms = json_integer_value(json_object_get(entry, "created_ms"));
	json_int_t expires_ms = json_integer_value(json_object_get(entry, "expires_ms"));
	char created[CLOCK_TEXT_LEN], expires[CLOCK_TEXT_LEN];

	clock_format((uint64_t)created_ms, created);
	clock_format((uint64_t)expires_ms, expires);
	return json_pack("{s:s, s:O, s:s, s:o}", "name", name, "role", json_object_get(entry, "role"), "created_at", created,
			 "expires_at", expires_ms ? json_string(expires) : json_null());
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

void list_tokens(struct request *rq)
{
	json_t *tokens = json_object_get(rq->service->secrets, "tokens"), *items = json_array(), *entry, *page;
	const char **names = calloc(json_object_size(tokens) + 1, sizeof *names), *name;
	size_t count = 0;

	if (names) {
		json_object_foreach(tokens, name, entry)
			names[count++] = name;
		qsort(names, count, sizeof *names, by_name);
	}
	for (size_t i = 0; i < count; i++)
		json_array_append_new(items, view_of(names[i], json_object_get(tokens, names[i])));
	free(names);
	page = page_of(rq, items, "name", NULL);
	json_decref(items);
	if (page)
		answer_json(rq, 200, page, NULL);
}

void get_token(struct request *rq)
{
	const char *name = request_param(rq, 0);
	json_t *entry = json_object_get(json_object_get(rq->service->secrets, "tokens"), name);
	json_t *view = entry ? view_of(name, entry) : NULL;
	char etag[80];

	if (!view) {
		answer_error(rq, 404, "no-such-token", "There is no such token.");
		return;
	}
	etag_of(view, etag);
	answer_json(rq, 200, view, etag);
}

/* --- changes --- */

struct token_change {
	struct offload_job job;
	struct request *rq;
	char name[REQUEST_ACTOR_MAX];
	json_t *entry; /* NULL: remove */
	char text[AUTH_TOKEN_TEXT];
	bool existed;
	int rc;
	struct problem problem;
	struct err err;
	json_t *secrets;
	uint64_t version;
};

static unsigned admins(const json_t *tokens)
{
	unsigned count = 0;
	const char *name;
	json_t *entry;

	json_object_foreach((json_t *)(uintptr_t)tokens, name, entry) {
		const char *role = json_string_value(json_object_get(entry, "role"));

		count += role && strcmp(role, "admin") == 0 && json_integer_value(json_object_get(entry, "expires_ms")) == 0;
	}
	return count;
}

/* Runs on the pool thread, again after a lost publish: the precondition holds at the moment of the publish. */
static int change_tokens(json_t **content, uint64_t version, void *arg, struct err *err)
{
	struct token_change *c = arg;
	json_t *tokens, *entry;
	char etag[80] = "";

	(void)version;
	if (!*content)
		*content = json_object();
	tokens = json_object_get(*content, "tokens");
	if (!tokens) {
		json_object_set_new(*content, "tokens", json_object());
		tokens = json_object_get(*content, "tokens");
	}
	entry = json_object_get(tokens, c->name);
	c->existed = entry != NULL;
	if (entry) {
		json_t *view = view_of(c->name, entry);

		etag_of(view, etag);
		json_decref(view);
	}
	if (!entry && !c->entry)
		return problem_set(&c->problem, 404, "no-such-token", "", "There is no such token.");
	if (!request_precondition(c->rq, entry != NULL, etag, &c->problem))
		return -1;
	if (!entry && json_object_size(tokens) >= AUTH_TOKENS_MAX)
		return problem_set(&c->problem, 422, "too-many", "", "There are %d tokens already.", AUTH_TOKENS_MAX);
	if (c->entry ? json_object_set_new(tokens, c->name, json_deep_copy(c->entry)) : json_object_del(tokens, c->name))
		return err_set(err, -ENOMEM, "no memory for the token");
	if (admins(tokens) == 0)
		return problem_set(&c->problem, 409, "last-admin", "",
				   "This is the last admin token that does not expire: make another one first.");
	return 0;
}

static void work(struct offload_job *job)
{
	struct token_change *c = container_of(job, struct token_change, job);
	struct docstore *docs = c->rq->service->docs;

	c->rc = docstore_update(docs, SECRETS_DOCUMENT, change_tokens, c, &c->version, &c->err);
	if (c->rc >= 0)
		c->rc = docstore_load(docs, SECRETS_DOCUMENT, &c->secrets, &c->version, &c->err);
}

static void answer_token(struct token_change *c)
{
	json_t *view = c->entry ? view_of(c->name, c->entry) : NULL;
	char etag[80];

	if (!view) {
		answer_nothing(c->rq, 204);
		return;
	}
	etag_of(view, etag);
	json_object_set_new(view, "token", json_string(c->text));
	if (!c->existed)
		snprintf(c->rq->answer.location, sizeof c->rq->answer.location, "/api/v1/tokens/%s", c->name);
	answer_json(c->rq, c->existed ? 200 : 201, view, etag);
}

static void free_change(struct token_change *c)
{
	explicit_bzero(c->text, sizeof c->text);
	json_decref(c->entry);
	json_decref(c->secrets);
	free(c);
}

static void done(struct offload_job *job)
{
	struct token_change *c = container_of(job, struct token_change, job);
	struct service *s = c->rq->service;
	struct audit_origin origin;
	char object[URI_SEGMENT_MAX];
	json_t *view = c->entry ? view_of(c->name, c->entry) : NULL;
	int status;

	if (c->rc < 0 && c->problem.status == 0)
		problem_of_errno(c->rc, c->err.text, &c->problem);
	status = c->problem.status ? c->problem.status : c->entry ? 201 : 204;
	audit_origin_of(c->rq, &origin);
	snprintf(object, sizeof object, "token:%s", c->name);
	audit_write(&s->audit, &origin, status, c->problem.code, object, NULL, view);
	json_decref(view);
	if (c->problem.status) {
		answer_problem(c->rq, &c->problem);
	} else {
		service_take_secrets(s, json_incref(c->secrets), c->version);
		events_add(&s->events, "config", object, "%s by %s", c->entry ? "made" : "revoked", origin.actor);
		answer_token(c);
	}
	free_change(c);
}

static void start(struct request *rq, struct token_change *c)
{
	c->rq = rq;
	snprintf(c->name, sizeof c->name, "%s", request_param(rq, 0));
	if (rq->dry_run) {
		json_t *body = json_pack("{s:b, s:s}", "dry_run", 1, "outcome", c->entry ? "created" : "deleted");

		answer_json(rq, 200, body, NULL);
		free_change(c);
		return;
	}
	c->job.work = work;
	c->job.done = done;
	offload_submit(rq->service->pool, &c->job, &rq->service->mailbox);
}

/* {"role": "viewer", "expires_in_s": 3600}; 0 with *ret values, or -1 with the problem. */
static int read_body(const json_t *body, int *ret_access, json_int_t *ret_life_s, struct problem *problem)
{
	const json_t *role = json_object_get(body, "role"), *life = json_object_get(body, "expires_in_s");
	const char *name;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)body, name, value)
		if (strcmp(name, "role") != 0 && strcmp(name, "expires_in_s") != 0)
			return problem_set(problem, 422, "validation-failed", "", "A token has the members role and "
										  "expires_in_s only.");
	*ret_access = json_is_string(role) ? access_parse(json_string_value(role)) : -1;
	if (*ret_access <= ACCESS_ANYONE)
		return problem_set(problem, 422, "validation-failed", "/role", "role must be viewer, operator or admin.");
	*ret_life_s = json_integer_value(life);
	if (life && !json_is_null(life) && (!json_is_integer(life) || *ret_life_s < 1 || *ret_life_s > TOKEN_LIFE_MAX_S))
		return problem_set(problem, 422, "validation-failed", "/expires_in_s",
				   "expires_in_s must be a whole number of seconds from 1 to %lld.", TOKEN_LIFE_MAX_S);
	return 0;
}

void put_token(struct request *rq)
{
	struct token_change *c = calloc(1, sizeof *c);
	const char *why = config_rule_check("name", request_param(rq, 0));
	struct problem problem = { 0 };
	uint64_t now_ms = clock_wall_ms();
	json_int_t life_s = 0;
	int access = -1;

	if (why)
		problem_set(&problem, 422, "validation-failed", "", "The name of the token %s.", why);
	else
		read_body(rq->json, &access, &life_s, &problem);
	if (!problem.status && c)
		c->entry = auth_new_token((enum access)access, life_s ? now_ms + (uint64_t)life_s * 1000 : 0, now_ms, c->text);
	if (!problem.status && (!c || !c->entry))
		problem_set(&problem, 503, "out-of-memory", "", "A token cannot be made now.");
	if (problem.status) {
		answer_problem(rq, &problem);
		if (c)
			free_change(c);
		return;
	}
	start(rq, c);
}

void delete_token(struct request *rq)
{
	struct token_change *c = calloc(1, sizeof *c);

	if (c)
		start(rq, c);
	else
		answer_error(rq, 503, "out-of-memory", "There is no memory for this request now.");
}
