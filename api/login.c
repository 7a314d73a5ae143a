/* Logging in with a token, for browsers: see session.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/audit.h"
#include "api/handlers.h"
#include "api/request.h"
#include "api/service.h"
#include "clock.h"
#include "log.h"

static void set_cookie(struct request *rq, const char *text, unsigned max_age_s)
{
	snprintf(rq->answer.set_cookie, sizeof rq->answer.set_cookie,
		 SESSION_COOKIE "=%s; Path=/; HttpOnly; SameSite=Strict; Max-Age=%u%s", text, max_age_s,
		 rq->service->options->tls_certificate_path ? "; Secure" : "");
}

/* expires_ms: since 1970; 0: never. */
static void answer_login(struct request *rq, uint64_t expires_ms)
{
	char time[CLOCK_TEXT_LEN];

	clock_format(expires_ms, time);
	answer_json(rq, 200,
		    json_pack("{s:s, s:s, s:o}", "actor", rq->actor, "role", access_name(rq->access), "expires_at",
			      expires_ms ? json_string(time) : json_null()),
		    NULL);
}

static uint64_t first_end(uint64_t a_ms, uint64_t b_ms)
{
	return a_ms && a_ms < b_ms ? a_ms : b_ms;
}

/* The token of the request's own name: what the request came with was checked already. */
static uint64_t token_expires_ms(const struct request *rq)
{
	const struct auth *auth = &rq->service->auth;

	for (unsigned i = 0; i < auth->token_count; i++)
		if (strcmp(auth->tokens[i].name, rq->actor) == 0)
			return auth->tokens[i].expires_ms;
	return 0;
}

void get_login(struct request *rq)
{
	uint64_t left_ns = 0, expires_ms = token_expires_ms(rq), wall_ms = clock_wall_ms();

	if (rq->by_session && session_token(&rq->service->sessions, &rq->service->auth, rq->session, clock_now_ns(), wall_ms,
					    &left_ns))
		expires_ms = first_end(expires_ms, wall_ms + left_ns / NS_PER_MS);
	answer_login(rq, expires_ms);
}

/* The text of the body's only member, or NULL: answered 422. */
static const char *given_token(struct request *rq)
{
	const char *token = json_string_value(json_object_get(rq->json, "token"));
	struct problem problem = { 0 };

	if (token && json_object_size(rq->json) == 1)
		return token;
	problem_set(&problem, 422, "validation-failed", "/token", "Send {\"token\": \"...\"} and nothing else.");
	answer_problem(rq, &problem);
	return NULL;
}

static void audit_login(struct request *rq)
{
	struct audit_origin origin;

	audit_origin_of(rq, &origin);
	audit_write(&rq->service->audit, &origin, 200, "", "login", NULL, NULL);
}

void post_login(struct request *rq)
{
	struct service *s = rq->service;
	const char *text = given_token(rq);
	const struct auth_token *token = NULL;
	uint64_t now_ns = clock_now_ns(), wall_ms = clock_wall_ms();
	enum auth_result result = text ? auth_check_text(&s->auth, text, rq->peer, now_ns, wall_ms, &token) : AUTH_REFUSED;
	char session[SESSION_TEXT];

	if (!text || !request_identify(rq, result, token))
		return;
	if (!session_start(&s->sessions, token, now_ns, session)) {
		answer_error(rq, 503, "unavailable", "The kernel gives no random bytes.");
		return;
	}
	set_cookie(rq, session, SESSION_S);
	explicit_bzero(session, sizeof session);
	audit_login(rq);
	answer_login(rq, first_end(token->expires_ms, wall_ms + SESSION_S * UINT64_C(1000)));
}

void delete_login(struct request *rq)
{
	if (rq->session[0])
		session_end(&rq->service->sessions, rq->session);
	set_cookie(rq, "", 0);
	answer_nothing(rq, 204);
}
