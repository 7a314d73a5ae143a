/*
 * One REST request from its header to its answer, without sockets: http.c feeds it from libmicrohttpd, the unit tests by
 * hand. Control thread only.
 *
 *   request_new -> request_begin (path, role, limits: may answer at once) -> request_body* -> request_run -> handler
 *
 * The handler answers by exactly one of the answer_ functions, at once or later; then on_answered runs. The request
 * belongs to who made it and lives until both it was answered and its maker is done with it (request_free).
 */
#ifndef LUNETTE_API_REQUEST_H
#define LUNETTE_API_REQUEST_H

#include <jansson.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "api/auth.h"
#include "api/route.h"
#include "api/session.h"
#include "api/stream.h"
#include "api/target_uri.h"
#include "list.h"
#include "problem.h"

#define REQUEST_BODY_MAX        (64 * 1024)
#define REQUEST_CONFIG_BODY_MAX (16 * 1024 * 1024) /* PUT /config */
#define REQUEST_ACTOR_MAX       65
#define REQUEST_PEER_MAX        64

/* Header fields that are looked at, once: HEADER(member, name). */
#define REQUEST_HEADERS                         \
	HEADER(authorization, "Authorization")     \
	HEADER(content_type, "Content-Type")       \
	HEADER(content_length, "Content-Length")   \
	HEADER(transfer_encoding, "Transfer-Encoding") \
	HEADER(if_match, "If-Match")               \
	HEADER(if_none_match, "If-None-Match")     \
	HEADER(last_event_id, "Last-Event-ID")     \
	HEADER(accept, "Accept")                   \
	HEADER(accept_encoding, "Accept-Encoding") \
	HEADER(cookie, "Cookie")                   \
	HEADER(host, "Host")                       \
	HEADER(origin, "Origin")                   \
	HEADER(sec_fetch_site, "Sec-Fetch-Site")   \
	HEADER(request_id, "X-Request-Id")

struct request_headers {
#define HEADER(member, name) const char *member; /* NULL: absent; borrowed until request_begin returns */
	REQUEST_HEADERS
#undef HEADER
	bool repeated; /* one of which there must be one came twice */
};

struct answer {
	int status;              /* 0: not answered yet */
	char *body;              /* malloc'ed; NULL: none */
	size_t len_bytes;
	const char *content_type; /* static */
	char etag[80];           /* with its quotes; "" when none */
	char location[400];
	char allow[64];
	char cache_control[40];
	char disposition[96], set_cookie[192];
	const char *content_encoding, *vary; /* static; NULL: none */
	const char *policy;      /* Content-Security-Policy, static; NULL: nothing but inline styles */
	unsigned retry_after_s;
	bool authenticate;       /* WWW-Authenticate: Bearer */
	struct stream *stream;   /* the body, owned; NULL: body */
};

struct service;

struct request {
	struct service *service;
	const struct route *route;     /* NULL until begun, or none */
	struct target_uri uri;
	struct route_params params;
	char id[72];                   /* X-Request-Id, the client's or ours */
	char actor[REQUEST_ACTOR_MAX]; /* the token's name; "" when nobody */
	char peer[REQUEST_PEER_MAX];   /* numeric address without port, for limits, audit and logs */
	enum access access;            /* what the token may */
	char session[SESSION_TEXT];    /* the cookie that it came with, if it is one of ours; "" */
	bool by_session;               /* it is by this cookie that it may do what it may */
	char if_match[128], if_none_match[128], last_event_id[32];
	char accept[512], accept_encoding[128]; /* "": absent, or too long to be looked at */
	bool has_if_match;
	bool dry_run;                  /* ?dry_run=true */
	char *body;
	size_t body_len_bytes, body_max_bytes;
	json_t *json;                  /* the decoded body; NULL when the route takes none */
	struct answer answer;
	void (*on_answered)(struct request *rq); /* may be NULL */
	void *owner;                   /* of who made it */
	void *state;                   /* of the handler, released by release_state (may be NULL) */
	void (*release_state)(void *state);
	struct list waiting;           /* of the handler: in a list of what it waits for */
};

/* NULL: no memory. peer: borrowed for the call. */
struct request *request_new(struct service *service, const char *peer);
void request_free(struct request *rq);

/* method and target as received. True: go on with the body; false: answered already (do not read the body). */
bool request_begin(struct request *rq, const char *method, const char *target, const struct request_headers *headers);
/* The next bytes of the body; false: answered already (413). */
bool request_body(struct request *rq, const void *bytes, size_t len_bytes);
/* The body is complete. */
void request_run(struct request *rq);

bool request_answered(const struct request *rq);

/* --- for handlers --- */

/* The n-th {parameter} of the route's path, decoded. */
const char *request_param(const struct request *rq, unsigned n);
const char *request_query(const struct request *rq, const char *name);
/* Who it is, from a check of credentials; false: answered 401 or 429. */
bool request_identify(struct request *rq, enum auth_result result, const struct auth_token *token);
/* A query parameter "true" or "false", else answers 400 and returns -1; 0 when absent. */
int request_query_flag(struct request *rq, const char *name);

/* A query parameter that is a whole number from 1 to most; else answers 400 and returns -1. */
int request_number(struct request *rq, const char *name, int fallback, int most);

/* All take over `body`. etag may be NULL or "". */
void answer_json(struct request *rq, int status, json_t *body, const char *etag);
void answer_text(struct request *rq, int status, const char *content_type, char *text);
/* bytes: malloc'ed, taken over; NULL: 500. */
void answer_bytes(struct request *rq, int status, const char *content_type, void *bytes, size_t len_bytes);
void answer_nothing(struct request *rq, int status);
void answer_problem(struct request *rq, const struct problem *problem);
void answer_error(struct request *rq, int status, const char *code, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* Server-sent events; takes over the stream. NULL: 503. */
void answer_stream(struct request *rq, struct stream *stream);

/* Answers 412 or 428 as If-Match demands and returns false; exists: the resource is there, with that etag. */
bool request_precondition(const struct request *rq, bool exists, const char *etag, struct problem *problem);
/* `text` has `etag` (or "*") among its comma-separated entity tags. */
bool etag_listed(const char *text, const char *etag);
/* A strong entity tag, with quotes, of a JSON value: the same value always has the same tag. */
void etag_of(const json_t *value, char ret_etag[80]);
void etag_of_bytes(const void *bytes, size_t len_bytes, char ret_etag[80]);

/* One page of `items` (an array of objects, borrowed, sorted by `key`), by ?limit and ?cursor: {"items": [...], "next_cursor":
 * "..."}; a new reference. NULL: answered 400. `unreachable`: taken, may be NULL. */
json_t *page_of(struct request *rq, const json_t *items, const char *key, json_t *unreachable);
/* The same for items sorted the other way. */
json_t *page_of_descending(struct request *rq, const json_t *items, const char *key);
/* Answers with a page of `items` (in any order, taken over) by "name". */
void answer_list(struct request *rq, json_t *items);

#endif
