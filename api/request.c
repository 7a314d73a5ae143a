/* A request from header to answer: see request.h. Rendering of problems (RFC 9457) lives here and nowhere else. */
#include "api/request.h"

#include <nettle/sha2.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

#include "api/json_body.h"
#include "api/service.h"
#include "clock.h"
#include "json_text.h"
#include "log.h"

#define REAL_DIGITS  15 /* what a double holds for sure: 0.1 stays 0.1 */
#define PAGE_DEFAULT 100
#define PAGE_MAX     1000

struct request *request_new(struct service *service, const char *peer)
{
	struct request *rq = calloc(1, sizeof *rq);

	if (!rq)
		return NULL;
	rq->service = service;
	list_init(&rq->waiting);
	snprintf(rq->peer, sizeof rq->peer, "%s", peer);
	return rq;
}

void request_free(struct request *rq)
{
	if (!rq)
		return;
	list_remove(&rq->waiting);
	if (rq->release_state)
		rq->release_state(rq->state);
	json_decref(rq->json);
	free(rq->body);
	free(rq->answer.body);
	if (rq->answer.stream)
		rq->answer.stream->leave(rq->answer.stream);
	free(rq);
}

bool request_answered(const struct request *rq)
{
	return rq->answer.status != 0;
}

/* --- answers --- */

static void answered(struct request *rq, int status)
{
	if (rq->answer.status) {
		log_error("a request was answered twice status=%d second=%d", rq->answer.status, status);
		return;
	}
	rq->answer.status = status;
	if (!rq->answer.cache_control[0])
		strcpy(rq->answer.cache_control, "no-store");
	if (rq->on_answered)
		rq->on_answered(rq);
}

void answer_bytes(struct request *rq, int status, const char *content_type, void *bytes, size_t len_bytes)
{
	if (!bytes) {
		answer_nothing(rq, 500);
		return;
	}
	free(rq->answer.body);
	rq->answer.body = bytes;
	rq->answer.len_bytes = len_bytes;
	rq->answer.content_type = content_type;
	answered(rq, status);
}

void answer_text(struct request *rq, int status, const char *content_type, char *text)
{
	answer_bytes(rq, status, content_type, text, text ? strlen(text) : 0);
}

void answer_nothing(struct request *rq, int status)
{
	answered(rq, status);
}

void answer_stream(struct request *rq, struct stream *stream)
{
	if (!stream) {
		answer_error(rq, 503, "out-of-memory", "There is no memory for this request now.");
		return;
	}
	rq->answer.stream = stream;
	rq->answer.content_type = "text/event-stream";
	answered(rq, 200);
}

static void answer_json_as(struct request *rq, int status, const char *content_type, json_t *body)
{
	char *text = body ? json_text(body, JSON_COMPACT | JSON_REAL_PRECISION(REAL_DIGITS)) : NULL;

	json_decref(body);
	answer_text(rq, status, content_type, text);
}

void answer_json(struct request *rq, int status, json_t *body, const char *etag)
{
	if (etag)
		snprintf(rq->answer.etag, sizeof rq->answer.etag, "%s", etag);
	if (etag && status == 200 && rq->route->method == HTTP_GET && rq->if_none_match[0] &&
	    etag_listed(rq->if_none_match, etag)) {
		json_decref(body);
		answer_nothing(rq, 304);
		return;
	}
	answer_json_as(rq, status, "application/json", body);
}

static const char *status_title(int status)
{
	static const struct {
		int status;
		const char *title;
	} titles[] = {
		{ 400, "Bad Request" }, { 401, "Unauthorized" }, { 403, "Forbidden" }, { 404, "Not Found" },
		{ 405, "Method Not Allowed" }, { 406, "Not Acceptable" }, { 409, "Conflict" }, { 412, "Precondition Failed" },
		{ 413, "Content Too Large" }, { 415, "Unsupported Media Type" }, { 422, "Unprocessable Content" },
		{ 428, "Precondition Required" }, { 429, "Too Many Requests" }, { 503, "Service Unavailable" },
		{ 507, "Insufficient Storage" },
	};

	for (size_t i = 0; i < sizeof titles / sizeof titles[0]; i++)
		if (titles[i].status == status)
			return titles[i].title;
	return "Internal Server Error";
}

void answer_problem(struct request *rq, const struct problem *problem)
{
	json_t *body = json_pack("{s:o, s:s, s:i, s:s, s:s, s:s}", "type",
				 json_sprintf("urn:lunette:problem:%s", problem->code), "title",
				 status_title(problem->status), "status", problem->status, "code", problem->code,
				 "detail", problem->detail, "request_id", rq->id);

	if (body && problem->pointer[0])
		json_object_set_new(body, "errors",
				    json_pack("[{s:s, s:s}]", "pointer", problem->pointer, "detail", problem->detail));
	if (problem->status == 401)
		rq->answer.authenticate = true;
	answer_json_as(rq, problem->status, "application/problem+json", body);
}

void answer_error(struct request *rq, int status, const char *code, const char *fmt, ...)
{
	struct problem problem = { .status = status };
	va_list args;

	snprintf(problem.code, sizeof problem.code, "%s", code);
	va_start(args, fmt);
	vsnprintf(problem.detail, sizeof problem.detail, fmt, args);
	va_end(args);
	answer_problem(rq, &problem);
}

/* --- the way in --- */

static void set_id(struct request *rq, const char *given)
{
	uint64_t random = 0;

	if (given && given[0] && strlen(given) <= 64 &&
	    given[strspn(given, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-")] == '\0') {
		snprintf(rq->id, sizeof rq->id, "%s", given);
		return;
	}
	if (getrandom(&random, sizeof random, GRND_NONBLOCK) < 0)
		random = clock_now_ns();
	snprintf(rq->id, sizeof rq->id, "%016llx", (unsigned long long)random);
}

static void refuse(struct request *rq, const struct problem *problem)
{
	answer_problem(rq, problem);
}

static bool refuse_identity(struct request *rq, enum auth_result result)
{
	if (result == AUTH_LIMITED) {
		log_limited(LOG_WARNING, "too many refused requests peer=%s", rq->peer);
		rq->answer.retry_after_s = AUTH_WINDOW_S;
		answer_error(rq, 429, "too-many-requests", "Too many requests with a wrong token from this address.");
	} else {
		log_limited(LOG_NOTICE, "request refused, no valid token peer=%s", rq->peer);
		answer_error(rq, 401, "unauthorized", "A valid bearer token is needed.");
	}
	return false;
}

/* A change that only a cookie speaks for: a page elsewhere could have sent a form here. */
static bool check_origin(struct request *rq, const struct request_headers *h)
{
	size_t len = h->content_type ? strcspn(h->content_type, "; \t") : 0;

	if (!session_same_origin(h->sec_fetch_site, h->origin, h->host)) {
		log_limited(LOG_WARNING, "a change from another site refused origin=%s peer=%s", log_quoted(h->origin), rq->peer);
		answer_error(rq, 403, "cross-site", "A change with a cookie must come from a page of this daemon.");
		return false;
	}
	if (rq->route && rq->route->request[0] && (len < 5 || strncasecmp(h->content_type + len - 4, "json", 4) != 0)) {
		answer_error(rq, 415, "unsupported-media-type", "Send application/json.");
		return false;
	}
	return true;
}

bool request_identify(struct request *rq, enum auth_result result, const struct auth_token *token)
{
	if (result != AUTH_OK)
		return refuse_identity(rq, result);
	snprintf(rq->actor, sizeof rq->actor, "%s", token->name);
	rq->access = token->access;
	return true;
}

/* A bearer token wins over a cookie. Who has neither has tried nothing: that is refused, but not counted. */
static bool authenticate(struct request *rq, int method, const struct request_headers *h)
{
	struct service *s = rq->service;
	const struct auth_token *token = NULL;
	uint64_t now_ns = clock_now_ns(), wall_ms = clock_wall_ms();
	enum auth_result result = AUTH_REFUSED;

	if (h->authorization) {
		result = auth_check(&s->auth, h->authorization, rq->peer, now_ns, wall_ms, &token);
	} else if (rq->session[0]) {
		token = session_token(&s->sessions, &s->auth, rq->session, now_ns, wall_ms, NULL);
		rq->by_session = token != NULL;
		result = token ? AUTH_OK : auth_failed(&s->auth, rq->peer, now_ns);
	}
	if (!request_identify(rq, result, token))
		return false;
	return method == HTTP_GET || !rq->by_session || check_origin(rq, h);
}

static bool check_queries(struct request *rq)
{
	for (unsigned i = 0; i < rq->uri.query_count; i++) {
		if (!route_has_query(rq->route, rq->uri.query[i].name)) {
			answer_error(rq, 400, "unknown-parameter", "This resource has no query parameter of that name%s%s.",
				     rq->route->queries[0] ? "; it knows: " : "", rq->route->queries);
			return false;
		}
	}
	return true;
}

static bool media_type_ok(const char *type)
{
	static const char *const accepted[] = { "application/json", "application/merge-patch+json",
						"application/x-www-form-urlencoded" };
	size_t len = type ? strcspn(type, "; \t") : 0;

	if (len == 0)
		return true;
	for (size_t i = 0; i < sizeof accepted / sizeof accepted[0]; i++)
		if (strlen(accepted[i]) == len && strncasecmp(type, accepted[i], len) == 0)
			return true;
	return false;
}

/* Limits before allocation: what Content-Length promises is judged before a byte of the body is read (B113). */
static bool check_body(struct request *rq, const struct request_headers *h)
{
	unsigned long long length = h->content_length ? strtoull(h->content_length, NULL, 10) : 0;
	bool wanted = rq->route->request[0] != '\0';

	rq->body_max_bytes = !wanted ? 0 : strcmp(rq->route->path, "/api/v1/config") == 0 ? REQUEST_CONFIG_BODY_MAX :
											   REQUEST_BODY_MAX;
	if (!wanted && length > 0) {
		answer_error(rq, 400, "unexpected-body", "This request takes no body.");
		return false;
	}
	if (length > rq->body_max_bytes) {
		answer_error(rq, 413, "body-too-large", "The body may have %zu bytes.", rq->body_max_bytes);
		return false;
	}
	if (wanted && !media_type_ok(h->content_type)) {
		answer_error(rq, 415, "unsupported-media-type", "Send application/json.");
		return false;
	}
	return true;
}

static bool find_route(struct request *rq, int method, const struct request_headers *headers)
{
	unsigned allow;

	rq->route = route_find(method, &rq->uri, &rq->params, &allow);
	if (method >= 0 && (!rq->route || rq->route->access > ACCESS_ANYONE) && !authenticate(rq, method, headers))
		return false;
	if (rq->route && rq->access < rq->route->access) {
		answer_error(rq, 403, "forbidden", "This needs the role %s; the token has the role %s.",
			     access_name(rq->route->access), access_name(rq->access));
		return false;
	}
	if (rq->route)
		return true;
	if (allow == 0 && method >= 0) {
		answer_error(rq, 404, "not-found", "There is no such resource.");
		return false;
	}
	http_allow_text(allow, rq->answer.allow, sizeof rq->answer.allow);
	answer_error(rq, 405, "method-not-allowed", "This resource does not know that method.");
	return false;
}

static void copy_header(char *to, size_t size, const char *value)
{
	snprintf(to, size, "%s", value && strlen(value) < size ? value : "");
}

bool request_begin(struct request *rq, const char *method, const char *target, const struct request_headers *headers)
{
	struct problem problem = { 0 };
	int m = http_method_parse(method), dry_run;

	set_id(rq, headers->request_id);
	copy_header(rq->if_match, sizeof rq->if_match, headers->if_match);
	copy_header(rq->if_none_match, sizeof rq->if_none_match, headers->if_none_match);
	copy_header(rq->last_event_id, sizeof rq->last_event_id, headers->last_event_id);
	copy_header(rq->accept_encoding, sizeof rq->accept_encoding, headers->accept_encoding);
	copy_header(rq->accept, sizeof rq->accept, headers->accept);
	rq->has_if_match = headers->if_match != NULL;
	if (!session_of_cookie(headers->cookie, rq->session))
		rq->session[0] = '\0';
	if (target_uri_decode(target, &rq->uri, &problem) && m >= 0) {
		refuse(rq, &problem);
		return false;
	}
	/* RFC 9112 section 6.1: both is how requests are smuggled past a proxy */
	if (headers->content_length && headers->transfer_encoding) {
		answer_error(rq, 400, "invalid-length", "Send Content-Length or Transfer-Encoding, not both.");
		return false;
	}
	if (headers->repeated) {
		answer_error(rq, 400, "repeated-header", "Send Content-Length, Transfer-Encoding, Host and Authorization once.");
		return false;
	}
	if (!find_route(rq, m, headers) || !check_queries(rq) || !check_body(rq, headers))
		return false;
	/* a page elsewhere must not log its visitor in either; what is no browser says nothing of where it comes from */
	if (m == HTTP_POST && (headers->origin || headers->sec_fetch_site) && !rq->by_session && !check_origin(rq, headers))
		return false;
	dry_run = request_query_flag(rq, "dry_run");
	rq->dry_run = dry_run > 0;
	return dry_run >= 0;
}

bool request_body(struct request *rq, const void *bytes, size_t len_bytes)
{
	char *grown;

	if (len_bytes > rq->body_max_bytes - rq->body_len_bytes) {
		answer_error(rq, rq->body_max_bytes ? 413 : 400, rq->body_max_bytes ? "body-too-large" : "unexpected-body",
			     "The body may have %zu bytes.", rq->body_max_bytes);
		return false;
	}
	grown = realloc(rq->body, rq->body_len_bytes + len_bytes + 1);
	if (!grown) {
		answer_error(rq, 503, "out-of-memory", "There is no memory for this request now.");
		return false;
	}
	rq->body = grown;
	memcpy(rq->body + rq->body_len_bytes, bytes, len_bytes);
	rq->body_len_bytes += len_bytes;
	return true;
}

void request_run(struct request *rq)
{
	struct problem problem = { 0 };

	if (rq->route->request[0]) {
		rq->json = json_body_decode(rq->body ? rq->body : "", rq->body_len_bytes, &problem);
		free(rq->body);
		rq->body = NULL;
		if (!rq->json) {
			refuse(rq, &problem);
			return;
		}
	}
	rq->route->handler(rq);
}

/* --- for handlers --- */

const char *request_param(const struct request *rq, unsigned n)
{
	return n < rq->params.count ? rq->params.value[n] : "";
}

const char *request_query(const struct request *rq, const char *name)
{
	return target_uri_query(&rq->uri, name);
}

int request_query_flag(struct request *rq, const char *name)
{
	const char *value = request_query(rq, name);

	if (!value || strcmp(value, "false") == 0)
		return 0;
	if (strcmp(value, "true") == 0)
		return 1;
	answer_error(rq, 400, "invalid-query", "%s must be true or false.", name);
	return -1;
}

int request_number(struct request *rq, const char *name, int fallback, int most)
{
	const char *text = request_query(rq, name);
	char code[48];
	int number = 0;

	if (!text)
		return fallback;
	if (text[0] && strlen(text) <= 6 && text[strspn(text, "0123456789")] == '\0')
		number = atoi(text);
	if (number >= 1 && number <= most)
		return number;
	snprintf(code, sizeof code, "invalid-%s", name);
	answer_error(rq, 400, code, "%s must be a whole number from 1 to %d.", name, most);
	return -1;
}

void etag_of(const json_t *value, char ret_etag[80])
{
	char *text = json_text(value, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY);

	etag_of_bytes(text, text ? strlen(text) : 0, ret_etag);
	free(text);
}

void etag_of_bytes(const void *bytes, size_t len_bytes, char ret_etag[80])
{
	uint8_t hash[SHA256_DIGEST_SIZE];
	struct sha256_ctx ctx;
	char *out = ret_etag;

	sha256_init(&ctx);
	sha256_update(&ctx, len_bytes, bytes);
	sha256_digest(&ctx, sizeof hash, hash);
	*out++ = '"';
	for (unsigned i = 0; i < 12; i++)
		out += sprintf(out, "%02x", hash[i]);
	strcpy(out, "\"");
}

bool etag_listed(const char *text, const char *etag)
{
	size_t len = strlen(etag);

	for (;;) {
		text += strspn(text, " \t,");
		if (*text == '*')
			return true;
		if (*text == '\0')
			return false;
		if (strncmp(text, etag, len) == 0)
			return true;
		text += strcspn(text, ",");
	}
}

bool request_precondition(const struct request *rq, bool exists, const char *etag, struct problem *problem)
{
	if (rq->if_none_match[0] && exists && etag_listed(rq->if_none_match, etag)) {
		problem_set(problem, 412, "precondition-failed", "", "It exists already.");
		return false;
	}
	if (!rq->has_if_match && exists) {
		problem_set(problem, 428, "precondition-required", "",
			    "It exists: send If-Match with the ETag that you read (or * to change it whatever it is).");
		return false;
	}
	if (rq->has_if_match && (!exists || !etag_listed(rq->if_match, etag))) {
		problem_set(problem, 412, "precondition-failed", "", "%s",
			    exists ? "It was changed since you read it: read it again." : "It does not exist.");
		return false;
	}
	return true;
}

/* --- pages --- */

static void cursor_encode(const char *key, char *out, size_t size)
{
	size_t n = 0;

	for (; *key && n + 3 <= size; key++, n += 2)
		sprintf(out + n, "%02x", (unsigned char)*key);
	out[n] = '\0';
}

static bool cursor_decode(const char *text, char *out, size_t size)
{
	size_t len = strlen(text);

	if (len == 0 || len % 2 || len / 2 >= size || text[strspn(text, "0123456789abcdef")])
		return false;
	for (size_t i = 0; i < len / 2; i++) {
		unsigned byte;

		sscanf(text + 2 * i, "%2x", &byte);
		out[i] = (char)byte;
	}
	out[len / 2] = '\0';
	return true;
}

static json_t *make_page(struct request *rq, const json_t *items, const char *key, int direction, json_t *unreachable)
{
	char after[URI_SEGMENT_MAX] = "", cursor[2 * URI_SEGMENT_MAX] = "";
	const char *given = request_query(rq, "cursor"), *last = NULL;
	json_t *page = json_array(), *item, *body;
	int limit = request_number(rq, "limit", PAGE_DEFAULT, PAGE_MAX);
	size_t i;

	if (limit > 0 && given && !cursor_decode(given, after, sizeof after))
		answer_error(rq, 400, "invalid-cursor", "The cursor is none that was given out.");
	if (request_answered(rq)) {
		json_decref(page);
		json_decref(unreachable);
		return NULL;
	}
	json_array_foreach((json_t *)items, i, item) {
		const char *value = json_string_value(json_object_get(item, key));

		if (!value || (given && strcmp(value, after) * direction <= 0))
			continue;
		if (json_array_size(page) == (size_t)limit) {
			cursor_encode(last, cursor, sizeof cursor);
			break;
		}
		json_array_append(page, item);
		last = value;
	}
	body = json_pack("{s:o, s:o}", "items", page, "next_cursor", cursor[0] ? json_string(cursor) : json_null());
	if (unreachable)
		json_object_set_new(body, "unreachable", unreachable);
	return body;
}

json_t *page_of(struct request *rq, const json_t *items, const char *key, json_t *unreachable)
{
	return make_page(rq, items, key, 1, unreachable);
}

json_t *page_of_descending(struct request *rq, const json_t *items, const char *key)
{
	return make_page(rq, items, key, -1, NULL);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(json_string_value(json_object_get(*(json_t *const *)a, "name")),
		      json_string_value(json_object_get(*(json_t *const *)b, "name")));
}

void answer_list(struct request *rq, json_t *items)
{
	size_t count = json_array_size(items), i;
	json_t **order = calloc(count + 1, sizeof *order), *sorted = json_array(), *item, *page;

	json_array_foreach(items, i, item)
		if (order)
			order[i] = item;
	if (order)
		qsort(order, count, sizeof *order, by_name);
	for (i = 0; order && i < count; i++)
		json_array_append(sorted, order[i]);
	page = page_of(rq, sorted, "name", NULL);
	free(order);
	json_decref(items);
	json_decref(sorted);
	if (page)
		answer_json(rq, 200, page, NULL);
}
