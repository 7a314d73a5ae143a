/* REST against a whole control service: resources, preconditions, roles, pages, tokens, sessions (fixture.h). */
#include "fixture.h"

#define TARGET "iqn.2026-11.io.lunette:t1"

static void three_puts_serve_a_lun(void **state)
{
	struct fixture *f = *state;
	struct answered a = call(f, "PUT", "/luns/vol1", "{\"size_bytes\":1073741824,\"store\":\"memory\"}", 201);
	json_t *lun;

	assert_string_equal(a.location, "/api/v1/luns/vol1");
	assert_true(a.etag[0] == '"');
	assert_string_equal(text_of(&a, "store"), "memory");
	answered_free(&a);
	call_done(f, "PUT", "/targets/" TARGET, "{}", 201);
	call_done(f, "PUT", "/targets/" TARGET "/luns/0", "{\"lun\":\"vol1\"}", 201);
	lun = json_object_get(json_object_get(f->worker.document, "luns"), "vol1");
	assert_int_equal(json_integer_value(json_object_get(lun, "size_bytes")), 1073741824);
	assert_non_null(json_object_get(json_object_get(f->worker.document, "targets"), TARGET));
}

static void the_same_put_again_is_200_and_serves_nothing_new(void **state)
{
	struct fixture *f = *state;
	unsigned serves = f->worker.serves;
	struct answered first = call(f, "PUT", "/luns/same", "{\"size_bytes\":1048576,\"store\":\"memory\"}", 201);
	struct answered again = call(f, "PUT", "/luns/same", "{\"size_bytes\":1048576,\"store\":\"memory\"}", 200);

	assert_string_equal(first.etag, again.etag);
	assert_string_equal(text_of(&first, "serial"), text_of(&again, "serial"));
	assert_int_equal(f->worker.serves, serves + 1);
	answered_free(&first);
	answered_free(&again);
}

static void a_change_needs_the_etag_that_was_read(void **state)
{
	struct fixture *f = *state;
	struct answered made = call(f, "PUT", "/luns/grow", "{\"size_bytes\":1048576,\"store\":\"memory\"}", 201), a;
	struct request_headers h = { .if_match = "\"1\"" };
	const char *bigger = "{\"size_bytes\":2097152,\"store\":\"memory\"}";

	a = call(f, "PUT", "/luns/grow", bigger, 428);
	assert_string_equal(a.code, "precondition-required");
	answered_free(&a);
	a = call_as(f, ADMIN, "PUT", "/api/v1/luns/grow", &h, bigger);
	assert_int_equal(a.status, 412);
	answered_free(&a);
	h.if_match = made.etag;
	a = call_as(f, ADMIN, "PUT", "/api/v1/luns/grow", &h, bigger);
	assert_int_equal(a.status, 200);
	assert_int_equal(json_integer_value(json_object_get(a.json, "size_bytes")), 2097152);
	answered_free(&a);
	a = call_as(f, ADMIN, "PATCH", "/api/v1/luns/grow", &h, "{\"description\":\"x\"}");
	assert_int_equal(a.status, 412);
	answered_free(&a);
	h.if_match = "*";
	a = call_as(f, ADMIN, "PATCH", "/api/v1/luns/grow", &h, "{\"description\":\"x\"}");
	assert_int_equal(a.status, 200);
	answered_free(&a);
	a = call_as(f, ADMIN, "DELETE", "/api/v1/luns/grow", NULL, NULL);
	assert_int_equal(a.status, 428);
	answered_free(&a);
	a = call_as(f, ADMIN, "DELETE", "/api/v1/luns/grow", &h, NULL);
	assert_int_equal(a.status, 204);
	answered_free(&a);
	call_done(f, "GET", "/luns/grow", NULL, 404);
	answered_free(&made);
}

static void if_none_match_creates_only(void **state)
{
	struct fixture *f = *state;
	struct request_headers h = { .if_none_match = "*" };
	struct answered a = call_as(f, ADMIN, "PUT", "/api/v1/luns/once", &h, "{\"size_bytes\":1048576,\"store\":\"memory\"}");

	assert_int_equal(a.status, 201);
	answered_free(&a);
	a = call_as(f, ADMIN, "PUT", "/api/v1/luns/once", &h, "{\"size_bytes\":1048576,\"store\":\"memory\"}");
	assert_int_equal(a.status, 412);
	answered_free(&a);
}

static void a_get_with_the_etag_is_304(void **state)
{
	struct fixture *f = *state;
	struct answered made = call(f, "PUT", "/luns/fresh", "{\"size_bytes\":1048576,\"store\":\"memory\"}", 201), a;
	struct request_headers h = { .if_none_match = made.etag };

	a = call_as(f, ADMIN, "GET", "/api/v1/luns/fresh", &h, NULL);
	assert_int_equal(a.status, 304);
	assert_null(a.json);
	answered_free(&a);
	answered_free(&made);
}

static void what_was_read_can_be_put_back(void **state)
{
	struct fixture *f = *state;
	struct answered a;
	char *text;

	call_done(f, "PUT", "/luns/back", "{\"size_bytes\":1048576,\"store\":\"memory\"}", 201);
	a = call(f, "GET", "/luns/back", NULL, 200);
	assert_string_equal(json_string_value(json_object_get(json_object_get(a.json, "status"), "state")), "ok");
	text = json_dumps(a.json, 0);
	answered_free(&a);
	call_done(f, "PUT", "/luns/back", text, 200);
	free(text);
}

static void sizes_and_names_that_make_no_sense_are_422(void **state)
{
	static const char *const sizes[] = { "0", "-1", "1", "511", "1048577", "\"10G\"", "null", "true", "1.5", "{}", "[]" };
	static const char *const names[] = { "a%2Fb", "%2e%2e%2fx", ".x", "a%20b", "%25s", "%e2%80%8bx" };
	struct fixture *f = *state;
	char text[128];

	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		struct answered a;

		snprintf(text, sizeof text, "{\"size_bytes\":%s}", sizes[i]);
		a = call(f, "PUT", "/luns/bad", text, 422);
		assert_string_equal(json_string_value(json_object_get(json_array_get(json_object_get(a.json, "errors"), 0),
								      "pointer")), "/size_bytes");
		answered_free(&a);
	}
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		struct answered a;

		snprintf(text, sizeof text, "/api/v1/luns/%s", names[i]);
		a = call_as(f, ADMIN, "PUT", text, NULL, "{\"size_bytes\":1048576}");
		if (a.status != 422)
			fail_msg("%s: %d", names[i], a.status);
		answered_free(&a);
	}
	call_done(f, "PUT", "/luns/bad", "{}", 422);
	call_done(f, "PUT", "/luns/bad", "{\"size_bytes\":1048576,\"colour\":1}", 422);
	call_done(f, "PUT", "/luns/bad", "[]", 400);
	call_done(f, "PUT", "/luns/bad", "", 400);
	call_done(f, "PUT", "/targets/IQN.2026-11.X:y", "{}", 422);
}

static void a_lun_in_use_is_kept_unless_forced(void **state)
{
	struct fixture *f = *state;
	struct request_headers h = { .if_match = "*" };
	struct answered a;

	call_done(f, "PUT", "/luns/used", "{\"size_bytes\":1048576,\"store\":\"memory\"}", 201);
	call_done(f, "PUT", "/targets/" TARGET "u", "{}", 201);
	call_done(f, "PUT", "/targets/" TARGET "u/luns/3", "{\"lun\":\"used\"}", 201);
	a = call_as(f, ADMIN, "DELETE", "/api/v1/luns/used", &h, NULL);
	assert_int_equal(a.status, 409);
	assert_string_equal(a.code, "lun-in-use");
	answered_free(&a);
	a = call_as(f, ADMIN, "DELETE", "/api/v1/luns/used?force=true", &h, NULL);
	assert_int_equal(a.status, 204);
	answered_free(&a);
	call_done(f, "GET", "/targets/" TARGET "u/luns/3", NULL, 404);
}

static void a_dry_run_changes_nothing(void **state)
{
	struct fixture *f = *state;
	struct answered a = call(f, "PUT", "/luns/dry?dry_run=true", "{\"size_bytes\":1048576}", 200);

	assert_true(json_is_true(json_object_get(a.json, "dry_run")));
	assert_string_equal(text_of(&a, "outcome"), "created");
	answered_free(&a);
	call_done(f, "GET", "/luns/dry", NULL, 404);
	call_done(f, "PUT", "/luns/dry?dry_run=yes", "{\"size_bytes\":1048576}", 400);
	call_done(f, "PUT", "/luns/dry?dryrun=true", "{\"size_bytes\":1048576}", 400);
}

/* B118: made from the route table. */
static void every_route_refuses_who_may_not(void **state)
{
	struct fixture *f = *state;
	struct answered viewer = call(f, "PUT", "/tokens/looker", "{\"role\":\"viewer\"}", 201);
	const char *tokens[] = { NULL, "", "wrong", "lnt_0000", text_of(&viewer, "token") };
	const struct route *routes;
	char first_body[512] = "";
	size_t count;

	routes = route_table(&count);
	for (size_t r = 0; r < count; r++)
		for (size_t t = 0; t < 5; t++) {
			struct answered a;

			if (routes[r].access == ACCESS_ANYONE || (t == 4 && routes[r].access == ACCESS_VIEWER))
				continue;
			memset(f->service.auth.failures, 0, AUTH_ADDRESSES_MAX * sizeof *f->service.auth.failures);
			a = call_as(f, tokens[t], http_method_name(routes[r].method), routes[r].path,
				    &(struct request_headers){ .request_id = "fixed" }, NULL);
			if (a.status != (t == 4 ? 403 : 401))
				fail_msg("%s %s: %d", http_method_name(routes[r].method), routes[r].path, a.status);
			if (t < 4 && !first_body[0])
				snprintf(first_body, sizeof first_body, "%.511s", a.text);
			if (t < 4)
				assert_string_equal(a.text, first_body);
			answered_free(&a);
		}
	answered_free(&viewer);
}

static void wrong_tokens_are_slowed_and_right_ones_are_not(void **state)
{
	struct fixture *f = *state;
	struct answered a;

	for (int i = 0; i < AUTH_FAILURES_MAX; i++) {
		a = call_as(f, "wrong", "GET", "/api/v1/luns", NULL, NULL);
		assert_int_equal(a.status, 401);
		answered_free(&a);
	}
	a = call_as(f, "wrong", "GET", "/api/v1/luns", NULL, NULL);
	assert_int_equal(a.status, 429);
	assert_true(a.keep->answer.retry_after_s > 0);
	answered_free(&a);
	call_done(f, "GET", "/luns", NULL, 200);
}

static void methods_that_a_path_does_not_have_are_405(void **state)
{
	struct fixture *f = *state;
	struct answered a = call_as(f, ADMIN, "DELETE", "/api/v1/luns", NULL, NULL);

	assert_int_equal(a.status, 405);
	assert_string_equal(a.keep->answer.allow, "GET, HEAD");
	answered_free(&a);
	a = call_as(f, ADMIN, "BREW", "/api/v1/luns/x", NULL, NULL);
	assert_int_equal(a.status, 405);
	assert_string_equal(a.keep->answer.allow, "GET, HEAD, PUT, PATCH, DELETE");
	answered_free(&a);
	a = call_as(f, NULL, "OPTIONS", "*", NULL, NULL);
	assert_int_equal(a.status, 405);
	answered_free(&a);
	a = call_as(f, ADMIN, "GET", "/api/v1/nothing", NULL, NULL);
	assert_int_equal(a.status, 404);
	answered_free(&a);
}

static void bodies_are_limited_before_they_are_read(void **state)
{
	struct fixture *f = *state;
	struct request_headers h = { .content_length = "10737418240" };
	struct answered a = call_as(f, ADMIN, "PUT", "/api/v1/luns/x", &h, NULL);
	char *big = malloc(REQUEST_BODY_MAX + 2);

	assert_int_equal(a.status, 413);
	answered_free(&a);
	memset(big, ' ', REQUEST_BODY_MAX + 1);
	big[REQUEST_BODY_MAX + 1] = '\0';
	a = call_as(f, ADMIN, "PUT", "/api/v1/luns/x", NULL, big);
	assert_int_equal(a.status, 413);
	answered_free(&a);
	free(big);
	h = (struct request_headers){ .content_length = "2" };
	a = call_as(f, ADMIN, "GET", "/api/v1/luns", &h, NULL);
	assert_int_equal(a.status, 400);
	answered_free(&a);
	h = (struct request_headers){ .content_type = "text/xml" };
	a = call_as(f, ADMIN, "PUT", "/api/v1/luns/x", &h, "{}");
	assert_int_equal(a.status, 415);
	answered_free(&a);
}

static void lists_come_in_pages(void **state)
{
	struct fixture *f = *state;
	char target[512] = "/api/v1/initiator-groups?limit=3";
	unsigned seen = 0, pages = 0;

	for (int i = 0; i < 8; i++) {
		snprintf(target, sizeof target, "/api/v1/initiator-groups/g%d", i);
		struct answered a = call_as(f, ADMIN, "PUT", target, NULL, "{}");

		assert_int_equal(a.status, 201);
		answered_free(&a);
	}
	strcpy(target, "/api/v1/initiator-groups?limit=3");
	for (;; pages++) {
		struct answered a = call_as(f, ADMIN, "GET", target, NULL, NULL);
		const char *cursor = json_string_value(json_object_get(a.json, "next_cursor"));

		assert_int_equal(a.status, 200);
		seen += (unsigned)json_array_size(json_object_get(a.json, "items"));
		if (cursor)
			snprintf(target, sizeof target, "/api/v1/initiator-groups?limit=3&cursor=%s", cursor);
		answered_free(&a);
		if (!cursor)
			break;
	}
	assert_int_equal(seen, 8);
	assert_int_equal(pages, 2);
	call_done(f, "GET", "/luns?limit=0", NULL, 400);
	call_done(f, "GET", "/luns?limit=-1", NULL, 400);
	call_done(f, "GET", "/luns?limit=2147483648", NULL, 400);
	call_done(f, "GET", "/luns?limit=", NULL, 400);
	call_done(f, "GET", "/luns?cursor=zz", NULL, 400);
	call_done(f, "GET", "/luns?cursor=", NULL, 400);
}

static void tokens_are_made_used_and_revoked(void **state)
{
	struct fixture *f = *state;
	struct request_headers any = { .if_match = "*" };
	struct answered a = call(f, "PUT", "/tokens/ops", "{\"role\":\"operator\",\"expires_in_s\":60}", 201);
	char token[AUTH_TOKEN_TEXT], etag[80];
	struct request_headers h = { .if_match = etag };

	snprintf(token, sizeof token, "%s", text_of(&a, "token"));
	strcpy(etag, a.etag);
	answered_free(&a);
	a = call_as(f, token, "PUT", "/api/v1/initiator-groups/by-ops", NULL, "{}");
	assert_int_equal(a.status, 201);
	answered_free(&a);
	a = call_as(f, token, "GET", "/api/v1/tokens", NULL, NULL);
	assert_int_equal(a.status, 403);
	answered_free(&a);
	a = call(f, "GET", "/tokens", NULL, 200);
	assert_null(strstr(a.text, token));
	assert_null(strstr(a.text, "sha256"));
	answered_free(&a);
	call_done(f, "PUT", "/tokens/ops", "{\"role\":\"viewer\"}", 428);
	call_done(f, "PUT", "/tokens/x", "{\"role\":\"root\"}", 422);
	call_done(f, "PUT", "/tokens/x", "{}", 422);
	call_done(f, "PUT", "/tokens/x", "{\"role\":\"viewer\",\"expires_in_s\":0}", 422);
	a = call_as(f, ADMIN, "DELETE", "/api/v1/tokens/ops", &h, NULL);
	assert_int_equal(a.status, 204);
	answered_free(&a);
	memset(f->service.auth.failures, 0, AUTH_ADDRESSES_MAX * sizeof *f->service.auth.failures);
	a = call_as(f, token, "GET", "/api/v1/luns", NULL, NULL);
	assert_int_equal(a.status, 401);
	answered_free(&a);
	a = call_as(f, ADMIN, "DELETE", "/api/v1/tokens/admin", &any, NULL);
	assert_int_equal(a.status, 409);
	assert_string_equal(a.code, "last-admin");
	answered_free(&a);
}

static void sessions_come_from_the_workers(void **state)
{
	struct fixture *f = *state;
	struct answered a;

	f->worker.reply = "[{\"id\":\"0-2\",\"target\":\"b\"},{\"id\":\"0-1\",\"target\":\"a\"}]";
	a = call(f, "GET", "/sessions", NULL, 200);
	assert_string_equal(f->worker.last_what, "sessions");
	assert_string_equal(json_string_value(json_object_get(json_array_get(json_object_get(a.json, "items"), 0), "id")), "0-1");
	answered_free(&a);
	call_done(f, "GET", "/sessions/0-2", NULL, 200);
	call_done(f, "GET", "/sessions/0-9", NULL, 404);
	f->worker.reply = NULL;
	call_done(f, "DELETE", "/sessions/0-2", NULL, 204);
	assert_string_equal(f->worker.last_what, "logout:0-2");
	f->worker.reply_status = ENOENT;
	call_done(f, "DELETE", "/sessions/0-2", NULL, 404);
	f->worker.reply_status = 0;
}

static void a_worker_that_is_down_is_named_and_blocks_nothing(void **state)
{
	struct fixture *f = *state;
	struct answered a;

	fake_die(f);
	a = call(f, "GET", "/sessions", NULL, 200);
	assert_string_equal(json_string_value(json_array_get(json_object_get(a.json, "unreachable"), 0)), "worker0");
	answered_free(&a);
	a = call(f, "PUT", "/targets/" TARGET "down", "{}", 201);
	assert_int_equal(json_array_size(json_object_get(a.json, "warnings")), 1);
	answered_free(&a);
	a = call(f, "GET", "/health", NULL, 200);
	assert_string_equal(text_of(&a, "status"), "error");
	answered_free(&a);
	fake_connect(f);
	for (int i = 0; i < 100 && !workers_all_served(&f->service.workers); i++)
		turn(f);
	assert_non_null(json_object_get(json_object_get(f->worker.document, "targets"), TARGET "down"));
	a = call(f, "GET", "/health", NULL, 200);
	assert_string_equal(text_of(&a, "status"), "ok");
	answered_free(&a);
}

static void a_slow_worker_costs_a_warning_not_the_change(void **state)
{
	struct fixture *f = *state;
	struct answered a;

	f->worker.silent = true;
	a = call(f, "PUT", "/initiator-groups/slow", "{}", 201);
	assert_int_equal(json_array_size(json_object_get(a.json, "warnings")), 1);
	answered_free(&a);
	call_done(f, "GET", "/initiator-groups/slow", NULL, 200);
	f->worker.silent = false;
	fake_send_json(&f->worker, MSG_SERVED, f->worker.served, 0, "{\"errors\":[]}");
	call_done(f, "PUT", "/initiator-groups/slow2", "{}", 201);
}

static void serve_documents_are_coalesced(void **state)
{
	struct fixture *f = *state;
	struct request *requests[6];
	unsigned serves;
	char target[64];

	f->worker.silent = true;
	serves = f->worker.serves;
	for (int i = 0; i < 6; i++) {
		snprintf(target, sizeof target, "/api/v1/initiator-groups/co%d", i);
		requests[i] = call_start(f, ADMIN, "PUT", target, NULL, "{}");
	}
	for (int i = 0; i < 40 && f->service.workers.generation < f->worker.served + 5; i++)
		turn(f);
	assert_int_equal(f->worker.serves, serves + 1);
	f->worker.silent = false;
	fake_send_json(&f->worker, MSG_SERVED, f->worker.served, 0, "{\"errors\":[]}");
	for (int i = 0; i < 6; i++) {
		for (int n = 0; n < 100 && !request_answered(requests[i]); n++)
			turn(f);
		assert_int_equal(requests[i]->answer.status, 201);
		assert_null(strstr(requests[i]->answer.body, "warnings"));
		request_free(requests[i]);
	}
	assert_int_equal(f->worker.serves, serves + 2);
}

static void trouble_that_a_worker_reports_is_shown(void **state)
{
	struct fixture *f = *state;
	struct answered a;

	f->worker.errors = "[{\"object\":\"lun:sick\",\"text\":\"object 0 is missing\"}]";
	a = call(f, "PUT", "/luns/sick", "{\"size_bytes\":1048576,\"store\":\"memory\"}", 201);
	assert_string_equal(json_string_value(json_array_get(json_object_get(a.json, "warnings"), 0)), "object 0 is missing");
	answered_free(&a);
	a = call(f, "GET", "/health", NULL, 200);
	assert_non_null(strstr(a.text, "object 0 is missing"));
	answered_free(&a);
	f->worker.errors = NULL;
	call_done(f, "PUT", "/initiator-groups/well", "{}", 201);
	a = call(f, "GET", "/health", NULL, 200);
	assert_string_equal(text_of(&a, "status"), "ok");
	answered_free(&a);
}

static json_t *first_reason(struct answered *a)
{
	return json_array_get(json_object_get(a->json, "reasons"), 0);
}

static void a_lun_without_space_is_told(void **state)
{
	struct fixture *f = *state;
	struct stats_slot *tight = stats_claim(segment_of(f), STATS_LUN, "tight", 0);
	struct answered a;

	atomic_store(&tight->value[STAT_space_short], 1);
	a = call(f, "GET", "/health", NULL, 200);
	assert_string_equal(text_of(&a, "status"), "warning");
	assert_string_equal(json_string_value(json_object_get(first_reason(&a), "object")), "lun:tight");
	assert_non_null(strstr(a.text, "space_threshold_percent"));
	answered_free(&a);
	atomic_store(&tight->value[STAT_store_full], 1);
	a = call(f, "GET", "/health", NULL, 200);
	assert_string_equal(text_of(&a, "status"), "error");
	assert_int_equal(json_array_size(json_object_get(a.json, "reasons")), 1);
	assert_non_null(strstr(json_string_value(json_object_get(first_reason(&a), "detail")), "full"));
	answered_free(&a);
	stats_release(tight);
	a = call(f, "GET", "/health", NULL, 200);
	assert_string_equal(text_of(&a, "status"), "ok");
	answered_free(&a);
}

static void secrets_never_come_back(void **state)
{
	struct fixture *f = *state;
	static const char *const paths[] = { "/api/v1/targets/" TARGET "s", "/api/v1/targets", "/api/v1/config", "/api/v1/audit",
					     "/api/v1/tokens", "/api/v1/health", "/metrics" };
	json_t *auth;

	call_done(f, "PUT", "/targets/" TARGET "s",
		  "{\"auth\":{\"chap\":{\"user\":\"u\",\"secret\":\"verysecret123\"}}}", 201);
	for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
		struct answered a = call_as(f, ADMIN, "GET", paths[i], NULL, NULL);

		assert_int_equal(a.status, 200);
		assert_null(strstr(a.keep->answer.body, "verysecret123"));
		assert_null(strstr(a.keep->answer.body, f->admin));
		answered_free(&a);
	}
	auth = json_object_get(json_object_get(json_object_get(f->worker.document, "targets"), TARGET "s"), "auth");
	assert_string_equal(json_string_value(json_object_get(json_object_get(auth, "chap"), "secret")), "verysecret123");
}

static void every_change_is_audited(void **state)
{
	struct fixture *f = *state;
	struct answered a;
	json_t *entry;

	call_done(f, "PUT", "/initiator-groups/audited", "{}", 201);
	call_done(f, "PUT", "/luns/audited", "{\"size_bytes\":5}", 422);
	a = call(f, "GET", "/audit?limit=1", NULL, 200);
	entry = json_array_get(json_object_get(a.json, "items"), 0);
	assert_string_equal(json_string_value(json_object_get(entry, "object")), "lun:audited");
	assert_string_equal(json_string_value(json_object_get(entry, "actor")), "admin");
	assert_int_equal(json_integer_value(json_object_get(entry, "status")), 422);
	answered_free(&a);
	a = call(f, "GET", "/audit?object=initiator-group:audited", NULL, 200);
	assert_int_equal(json_array_size(json_object_get(a.json, "items")), 1);
	answered_free(&a);
}

static void a_restart_keeps_everything(void **state)
{
	struct fixture *f = *state;
	struct answered before, after;
	char token[AUTH_TOKEN_TEXT];

	call_done(f, "PUT", "/luns/kept", "{\"size_bytes\":4194304,\"store\":\"memory\"}", 201);
	before = call(f, "GET", "/luns/kept", NULL, 200);
	strcpy(token, f->admin);
	service_stop(f);
	service_start(f);
	assert_string_equal(token, f->admin);
	after = call(f, "GET", "/luns/kept", NULL, 200);
	assert_string_equal(before.text, after.text);
	assert_string_equal(before.etag, after.etag);
	answered_free(&before);
	answered_free(&after);
	after = call(f, "GET", "/audit?object=lun:kept", NULL, 200);
	assert_int_equal(json_array_size(json_object_get(after.json, "items")), 1);
	answered_free(&after);
}

static void a_configuration_can_be_carried_over(void **state)
{
	static const char *const outcomes[] = { "changed", "same" };
	struct request_headers any = { .if_match = "*" };
	struct fixture *f = *state;
	struct answered a;
	char *text;

	call_done(f, "PUT", "/luns/carried", "{\"size_bytes\":1048576,\"store\":\"memory\"}", 201);
	a = call(f, "GET", "/config", NULL, 200);
	json_object_del(json_object_get(a.json, "luns"), "once");
	json_object_set_new(json_object_get(json_object_get(a.json, "luns"), "carried"), "description", json_string("carried"));
	text = json_dumps(a.json, 0);
	answered_free(&a);
	for (int i = 0; i < 2; i++) {
		a = call_as(f, ADMIN, "PUT", "/api/v1/config", &any, text);
		if (a.status != 200 || strcmp(text_of(&a, "outcome"), outcomes[i]) != 0)
			fail_msg("%d %s", a.status, a.text);
		answered_free(&a);
	}
	call_done(f, "GET", "/luns/once", NULL, 200);
	a = call_as(f, ADMIN, "PUT", "/api/v1/config?prune=true&dry_run=true", &any, text);
	assert_int_equal(a.status, 200);
	assert_non_null(strstr(a.text, "\"delete\""));
	answered_free(&a);
	a = call_as(f, ADMIN, "PUT", "/api/v1/config?prune=true", &any, text);
	assert_int_equal(a.status, 200);
	answered_free(&a);
	call_done(f, "GET", "/luns/once", NULL, 404);
	free(text);
}

static void stores_that_are_built_in_are_listed(void **state)
{
	struct fixture *f = *state;
	struct answered a = call(f, "GET", "/stores", NULL, 200);

	assert_int_equal(json_array_size(json_object_get(a.json, "items")), 3);
	answered_free(&a);
	a = call(f, "GET", "/stores/memory", NULL, 200);
	assert_string_equal(text_of(&a, "kind"), "memory");
	answered_free(&a);
	call_done(f, "GET", "/stores/none", NULL, 404);
}

static void maps_and_reservations_of_a_lun_are_told(void **state)
{
	struct fixture *f = *state;
	struct answered a;

	call_done(f, "PUT", "/luns/told", "{\"size_bytes\":1048576,\"store\":\"memory\"}", 201);
	f->worker.reply_status = ENOENT; /* no worker serves it */
	a = call(f, "GET", "/luns/told/map", NULL, 200);
	assert_int_equal(json_array_size(json_object_get(a.json, "objects")), 1);
	answered_free(&a);
	a = call(f, "GET", "/luns/told/reservations", NULL, 200);
	assert_true(json_is_false(json_object_get(a.json, "served")));
	answered_free(&a);
	call_done(f, "DELETE", "/luns/told/reservations", NULL, 409);
	f->worker.reply_status = 0;
	f->worker.reply = "{\"generation\":3,\"registrations\":[]}";
	a = call(f, "GET", "/luns/told/reservations", NULL, 200);
	assert_int_equal(json_integer_value(json_object_get(a.json, "generation")), 3);
	answered_free(&a);
	f->worker.reply = NULL;
	call_done(f, "DELETE", "/luns/told/reservations", NULL, 204);
	assert_string_equal(f->worker.last_what, "reservations-clear:told");
	a = call(f, "GET", "/audit?object=reservations:told", NULL, 200);
	assert_int_equal(json_array_size(json_object_get(a.json, "items")), 2);
	answered_free(&a);
	call_done(f, "GET", "/luns/none/map", NULL, 404);
	call_done(f, "GET", "/luns/none/reservations", NULL, 404);
}

/* Occupies a pool thread until the pipe is closed. */
struct plug {
	struct offload_job job;
	int fd;
	bool done;
};

static void plug_work(struct offload_job *job)
{
	char byte;

	assert_int_equal(read(container_of(job, struct plug, job)->fd, &byte, 1), 0);
}

static void plug_done(struct offload_job *job)
{
	container_of(job, struct plug, job)->done = true;
}

static void access_states_come_from_the_worker(void **state)
{
	struct fixture *f = *state;
	struct answered a;

	call_done(f, "GET", "/targets/" TARGET "paths/port-groups", NULL, 404);
	call_done(f, "PUT", "/targets/" TARGET "paths", "{}", 201);
	f->worker.reply = "[{\"id\":\"2\",\"state\":\"standby\"}, {\"state\":\"nobody's\"}, {\"id\":\"1\",\"state\":\"standby\"}]";
	a = call(f, "GET", "/targets/" TARGET "paths/port-groups", NULL, 200);
	assert_string_equal(f->worker.last_what, "port-groups:" TARGET "paths");
	assert_int_equal(json_array_size(json_object_get(a.json, "items")), 2);
	assert_string_equal(json_string_value(json_object_get(json_array_get(json_object_get(a.json, "items"), 0), "id")), "1");
	answered_free(&a);
	f->worker.reply = NULL;
	f->worker.reply_status = ENOENT; /* no worker serves it */
	a = call(f, "GET", "/targets/" TARGET "paths/port-groups", NULL, 200);
	assert_int_equal(json_array_size(json_object_get(a.json, "items")), 0);
	answered_free(&a);
	f->worker.reply_status = 0;
}

static void a_long_change_becomes_an_operation(void **state)
{
	struct fixture *f = *state;
	struct plug plugs[16] = { 0 };
	char target[512];
	int pipe_fds[2];
	struct answered a;

	f->service.patience_ms = 1;
	assert_int_equal(pipe(pipe_fds), 0);
	for (int i = 0; i < 16; i++) {
		plugs[i] = (struct plug){ .job = { .work = plug_work, .done = plug_done }, .fd = pipe_fds[0] };
		offload_submit(f->service.pool, &plugs[i].job, &f->service.mailbox);
	}
	a = call(f, "PUT", "/initiator-groups/long", "{}", 202);
	assert_string_equal(text_of(&a, "state"), "running");
	snprintf(target, sizeof target, "%s", a.location);
	answered_free(&a);
	close(pipe_fds[1]);
	for (int i = 0; i < 100; i++) {
		bool done;

		turn(f);
		a = call_as(f, ADMIN, "GET", target, NULL, NULL);
		assert_int_equal(a.status, 200);
		done = strcmp(text_of(&a, "state"), "succeeded") == 0;
		answered_free(&a);
		if (done)
			break;
		assert_true(i < 99);
	}
	for (int i = 0; i < 16; i++)
		while (!plugs[i].done) /* they are on this stack */
			turn(f);
	close(pipe_fds[0]);
	call_done(f, "GET", "/initiator-groups/long", NULL, 200);
	call_done(f, "GET", "/operations", NULL, 200);
	call_done(f, "GET", "/operations/1", NULL, 404);
}

static void commands_that_run_long_are_operations(void **state)
{
	struct fixture *f = *state;
	struct answered a;

	f->worker.reply = "[{\"id\":\"1790000000002-0\",\"state\":\"running\",\"kind\":\"extended-copy\"},"
			  "{\"id\":\"1790000000001-0\",\"state\":\"succeeded\",\"kind\":\"sanitize\"}]";
	a = call(f, "GET", "/operations", NULL, 200);
	assert_string_equal(f->worker.last_what, "jobs");
	assert_string_equal(json_string_value(json_object_get(json_array_get(json_object_get(a.json, "items"), 0), "kind")),
			    "sanitize");
	answered_free(&a);
	a = call(f, "GET", "/operations/1790000000002-0", NULL, 200);
	assert_string_equal(text_of(&a, "kind"), "extended-copy");
	answered_free(&a);
	f->worker.reply = NULL;
	call_done(f, "DELETE", "/operations/1790000000002-0", NULL, 204);
	assert_string_equal(f->worker.last_what, "job-cancel:1790000000002-0");
	f->worker.reply_status = ENOENT;
	call_done(f, "DELETE", "/operations/1790000000003-0", NULL, 404);
	f->worker.reply_status = EALREADY;
	call_done(f, "DELETE", "/operations/1790000000001-0", NULL, 409);
	f->worker.reply_status = EPERM;
	call_done(f, "DELETE", "/operations/1790000000001-0", NULL, 409);
	f->worker.reply_status = 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(three_puts_serve_a_lun),
		cmocka_unit_test(the_same_put_again_is_200_and_serves_nothing_new),
		cmocka_unit_test(a_change_needs_the_etag_that_was_read),
		cmocka_unit_test(if_none_match_creates_only),
		cmocka_unit_test(a_get_with_the_etag_is_304),
		cmocka_unit_test(what_was_read_can_be_put_back),
		cmocka_unit_test(sizes_and_names_that_make_no_sense_are_422),
		cmocka_unit_test(a_lun_in_use_is_kept_unless_forced),
		cmocka_unit_test(a_dry_run_changes_nothing),
		cmocka_unit_test(every_route_refuses_who_may_not),
		cmocka_unit_test(wrong_tokens_are_slowed_and_right_ones_are_not),
		cmocka_unit_test(methods_that_a_path_does_not_have_are_405),
		cmocka_unit_test(bodies_are_limited_before_they_are_read),
		cmocka_unit_test(lists_come_in_pages),
		cmocka_unit_test(tokens_are_made_used_and_revoked),
		cmocka_unit_test(sessions_come_from_the_workers),
		cmocka_unit_test(a_worker_that_is_down_is_named_and_blocks_nothing),
		cmocka_unit_test(a_slow_worker_costs_a_warning_not_the_change),
		cmocka_unit_test(serve_documents_are_coalesced),
		cmocka_unit_test(trouble_that_a_worker_reports_is_shown),
		cmocka_unit_test(a_lun_without_space_is_told),
		cmocka_unit_test(secrets_never_come_back),
		cmocka_unit_test(every_change_is_audited),
		cmocka_unit_test(a_restart_keeps_everything),
		cmocka_unit_test(a_configuration_can_be_carried_over),
		cmocka_unit_test(stores_that_are_built_in_are_listed),
		cmocka_unit_test(maps_and_reservations_of_a_lun_are_told),
		cmocka_unit_test(access_states_come_from_the_worker),
		cmocka_unit_test(a_long_change_becomes_an_operation),
		cmocka_unit_test(commands_that_run_long_are_operations),
	};

	return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
