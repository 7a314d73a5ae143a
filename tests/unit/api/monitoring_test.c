/* What is measured, asked for by requests: metrics, series, charts, top, live, login. Real I/O is in tests/system. */
#include "fixture.h"

/* Turns the loop until the monitor has taken `more` samples. */
static void sample(struct fixture *f, unsigned more)
{
	struct monitoring *m = &f->service.monitoring;

	for (uint64_t last = m->sampled_ms; more > 0; last = m->sampled_ms) {
		while (m->sampled_ms == last)
			turn(f);
		more--;
	}
}

static json_t *item(json_t *list, const char *key, const char *name)
{
	json_t *value;
	size_t i;

	json_array_foreach(list, i, value)
		if (strcmp(json_string_value(json_object_get(value, key)), name) == 0)
			return value;
	return NULL;
}

static void make_lun(struct fixture *f)
{
	call_done(f, "PUT", "/luns/vol1", "{\"size_bytes\":1048576,\"store\":\"memory\"}", 201);
	sample(f, 2);
}

static void metrics_and_charts_are_listed_by_name(void **state)
{
	struct answered a = call(*state, "GET", "/metrics?limit=5", NULL, 200);
	json_t *items = json_object_get(a.json, "items");

	assert_int_equal(json_array_size(items), 5);
	assert_string_equal(json_string_value(json_object_get(json_array_get(items, 0), "name")), "allocated_bytes");
	assert_true(json_is_string(json_object_get(a.json, "next_cursor")));
	answered_free(&a);
	a = call(*state, "GET", "/metrics", NULL, 200);
	items = json_object_get(a.json, "items");
	assert_int_equal(json_array_size(items), METRICS);
	assert_string_equal(json_string_value(json_object_get(item(items, "name", "cpu_percent"), "how")), "given");
	answered_free(&a);
	a = call(*state, "GET", "/charts", NULL, 200);
	assert_non_null(item(json_object_get(a.json, "items"), "name", "group"));
	answered_free(&a);
}

static void a_series_has_what_was_sampled(void **state)
{
	struct answered a;
	json_t *series, *values;

	make_lun(*state);
	a = call(*state, "GET", "/series?object=lun:*,lun:vol1&metric=size_bytes&from=-5s&step=1", NULL, 200);
	series = json_object_get(a.json, "series");
	assert_int_equal(json_array_size(series), 1);
	values = json_object_get(json_array_get(series, 0), "values");
	assert_true(json_array_size(values) >= 5);
	assert_int_equal((int)json_number_value(json_array_get(values, json_array_size(values) - 1)), 1048576);
	answered_free(&a);
	a = call(*state, "GET", "/series?object=session:*", NULL, 200);
	assert_int_equal(json_array_size(json_object_get(a.json, "series")), 0);
	answered_free(&a);
}

static void what_is_wrong_with_a_question_is_told(void **state)
{
	static const struct {
		const char *target, *code;
		int status;
	} cases[] = {
		{ "/api/v1/series", "invalid-object", 400 }, { "/api/v1/series?object=lun:a,,lun:b", "invalid-object", 400 },
		{ "/api/v1/series?object=lun:*&metric=cpu_percent", "invalid-metric", 400 },
		{ "/api/v1/series?object=lun:gone", "no-such-object", 404 },
		{ "/api/v1/series?object=lun:*&limit=5", "unknown-parameter", 400 },
		{ "/api/v1/charts/none.svg", "no-such-chart", 404 }, { "/api/v1/charts/iops.svg?width=800.5", "invalid-width", 400 },
		{ "/api/v1/charts/group?threshold=nan", "invalid-threshold", 400 },
		{ "/api/v1/charts/group?group=target:none", "no-such-object", 404 },
		{ "/api/v1/top?sort=sessions", "invalid-sort", 400 }, { "/api/v1/live?object=lun", "invalid-object", 400 },
		{ "/assets/none", "not-found", 404 },
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct answered a = call_as(*state, ADMIN, "GET", cases[i].target, NULL, NULL);

		if (a.status != cases[i].status || strcmp(a.code, cases[i].code) != 0)
			fail_msg("%s: %d %s", cases[i].target, a.status, a.text);
		answered_free(&a);
	}
}

static void capacity_of_a_target_is_that_of_its_luns(void **state)
{
	struct request_headers json = { .accept = "application/json" };
	struct answered a;
	json_t *component;

	make_lun(*state);
	call_done(*state, "PUT", "/targets/iqn.2026-11.io.lunette:t", "{}", 201);
	call_done(*state, "PUT", "/targets/iqn.2026-11.io.lunette:t/luns/0", "{\"lun\":\"vol1\"}", 201);
	sample(*state, 1);
	a = call_as(*state, ADMIN, "GET", "/api/v1/charts/group?group=targets", &json, NULL);
	assert_int_equal(a.status, 200);
	component = item(json_object_get(a.json, "components"), "label", "iqn.2026-11.io.lunette:t");
	assert_int_equal((int)json_real_value(json_object_get(component, "second")), 1048576);
	assert_string_equal(text_of(&a, "group"), "targets");
	answered_free(&a);
}

static void pictures_beyond_the_limit_are_refused_and_all_others_answered(void **state)
{
	struct request *rq[RENDER_WAITING_MAX + 1];
	struct fixture *f = *state;

	for (unsigned i = 0; i <= RENDER_WAITING_MAX; i++)
		rq[i] = call_start(f, ADMIN, "GET", "/api/v1/charts/cpu.svg", NULL, NULL);
	assert_int_equal(rq[RENDER_WAITING_MAX]->answer.status, 503);
	assert_int_equal(rq[RENDER_WAITING_MAX]->answer.retry_after_s, 1);
	request_free(rq[RENDER_WAITING_MAX]);
	for (unsigned i = 0; i < RENDER_WAITING_MAX; i++) {
		while (!request_answered(rq[i]))
			turn(f);
		assert_int_equal(rq[i]->answer.status, 200);
		request_free(rq[i]);
	}
	assert_int_equal(f->service.monitoring.charts.waiting, 0);
}

static void a_stop_answers_what_waits(void **state)
{
	struct fixture *f = *state;
	struct request *chart = call_start(f, ADMIN, "GET", "/api/v1/charts/cpu.png", NULL, NULL);
	struct request *series = call_start(f, ADMIN, "GET", "/api/v1/series?object=host:*", NULL, NULL);

	monitoring_stop(&f->service.monitoring);
	assert_true(request_answered(chart) && request_answered(series));
	request_free(chart);
	request_free(series);
}

static size_t read_all(struct stream *stream, char *text, size_t size, size_t piece)
{
	size_t len = 0, n;

	while ((n = stream->read(stream, text + len, piece < size - len - 1 ? piece : size - len - 1)) > 0)
		len += n;
	text[len] = '\0';
	return len;
}

static void a_live_stream_that_is_slow_gets_the_newest_sample(void **state)
{
	struct fixture *f = *state;
	struct request *rq = call_start(f, ADMIN, "GET", "/api/v1/live?object=host:*&metric=cpu_percent,sessions", NULL, NULL);
	char text[8192], newest[64];
	struct stream *stream = rq->answer.stream;

	assert_non_null(stream);
	sample(f, 1);
	assert_int_equal(stream->read(stream, text, 10), 10);
	assert_memory_equal(text, "event: sam", 10);
	sample(f, 2);
	snprintf(newest, sizeof newest, "\"time_ms\":%llu", (unsigned long long)f->service.monitoring.sampled_ms);
	read_all(stream, text, sizeof text, 100);
	assert_non_null(strstr(text, newest));
	assert_non_null(strstr(text, "\"cpu_percent\":"));
	assert_null(strstr(text, "memory_bytes"));
	assert_non_null(strstr(text, "event:"));
	assert_null(strstr(strstr(text, "event:") + 1, "event:"));
	assert_int_equal(read_all(stream, text, sizeof text, sizeof text), 0);
	request_free(rq);
	assert_int_equal(f->service.monitoring.stream_count, 0);
}

static void live_streams_are_limited(void **state)
{
	struct fixture *f = *state;
	struct request *rq[EVENT_STREAMS_MAX + 1];

	for (unsigned i = 0; i <= EVENT_STREAMS_MAX; i++)
		rq[i] = call_start(f, ADMIN, "GET", "/api/v1/live?object=lun:*", NULL, NULL);
	assert_int_equal(rq[EVENT_STREAMS_MAX - 1]->answer.status, 200);
	assert_int_equal(rq[EVENT_STREAMS_MAX]->answer.status, 503);
	for (unsigned i = 0; i <= EVENT_STREAMS_MAX; i++)
		request_free(rq[i]);
}

static void keeping_follows_the_settings(void **state)
{
	struct request_headers any = { .if_match = "*" };
	struct fixture *f = *state;
	struct answered a = call_as(f, ADMIN, "PUT", "/api/v1/settings", &any, "{\"history_keep_days\":7}");

	assert_int_equal(a.status, 200);
	answered_free(&a);
	sample(f, 1);
	assert_int_equal(f->service.monitoring.keep_days, 7);
	a = call_as(f, ADMIN, "PUT", "/api/v1/settings", &any, "{\"history_keep_days\":3651}");
	assert_int_equal(a.status, 422);
	answered_free(&a);
}

/* --- login --- */

/* Logs in; the Cookie header of the session. */
static void log_in(struct fixture *f, char cookie[128])
{
	char body[128];
	struct answered a;

	snprintf(body, sizeof body, "{\"token\":\"%s\"}", f->admin);
	a = call_as(f, NULL, "POST", "/api/v1/login", NULL, body);
	if (a.status != 200)
		fail_msg("%d %s", a.status, a.text);
	snprintf(cookie, 128, "%.*s", (int)strcspn(a.keep->answer.set_cookie, ";"), a.keep->answer.set_cookie);
	assert_non_null(strstr(a.keep->answer.set_cookie, "; HttpOnly; SameSite=Strict; Max-Age=43200"));
	assert_null(strstr(a.keep->answer.set_cookie, "Secure"));
	assert_string_equal(text_of(&a, "role"), "admin");
	answered_free(&a);
}

static int status_of(struct fixture *f, const char *method, const char *target, const struct request_headers *headers,
		     const char *body, const char *code)
{
	struct answered a = call_as(f, NULL, method, target, headers, body);
	int status = a.status;

	assert_string_equal(a.code, code);
	answered_free(&a);
	return status;
}

static void a_cookie_reads_and_changes_only_from_the_page_itself(void **state)
{
	static const char body[] = "{\"size_bytes\":1048576,\"store\":\"memory\"}";
	struct request_headers h = { .content_type = "application/json", .host = "h:3261" };
	struct fixture *f = *state;
	char cookie[128];

	log_in(f, cookie);
	h.cookie = cookie;
	assert_int_equal(status_of(f, "GET", "/api/v1/luns", &h, NULL, ""), 200);
	assert_int_equal(status_of(f, "PUT", "/api/v1/luns/a", &h, body, "cross-site"), 403);
	h.origin = "http://h:3262";
	assert_int_equal(status_of(f, "PUT", "/api/v1/luns/a", &h, body, "cross-site"), 403);
	h.origin = "http://h:3261";
	assert_int_equal(status_of(f, "PUT", "/api/v1/luns/a", &h, body, ""), 201);
	h.content_type = NULL;
	assert_int_equal(status_of(f, "PUT", "/api/v1/luns/b", &h, body, "unsupported-media-type"), 415);
	h.sec_fetch_site = "cross-site";
	assert_int_equal(status_of(f, "DELETE", "/api/v1/login", &h, NULL, "cross-site"), 403);
	h.sec_fetch_site = "same-origin";
	assert_int_equal(status_of(f, "DELETE", "/api/v1/login", &h, NULL, ""), 204);
	assert_int_equal(status_of(f, "GET", "/api/v1/luns", &h, NULL, "unauthorized"), 401);
}

static void a_bearer_token_wins_over_a_cookie(void **state)
{
	struct request_headers h = { .authorization = "Bearer wrong" };
	struct fixture *f = *state;
	char cookie[128];
	struct answered a;

	log_in(f, cookie);
	h.cookie = cookie;
	assert_int_equal(status_of(f, "GET", "/api/v1/luns", &h, NULL, "unauthorized"), 401);
	/* with a right one no page has to speak for it */
	a = call_as(f, ADMIN, "PUT", "/api/v1/luns/a", &h, "{\"size_bytes\":1048576,\"store\":\"memory\"}");
	assert_int_equal(a.status, 201);
	answered_free(&a);
}

static void wrong_tokens_and_cookies_are_limited_alike(void **state)
{
	struct request_headers stale = { .cookie = SESSION_COOKIE
					 "=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef" };
	struct fixture *f = *state;
	char cookie[128];

	for (unsigned i = 0; i < AUTH_FAILURES_MAX; i += 2) {
		assert_int_equal(status_of(f, "POST", "/api/v1/login", NULL, "{\"token\":\"x\"}", "unauthorized"), 401);
		assert_int_equal(status_of(f, "GET", "/api/v1/login", &stale, NULL, "unauthorized"), 401);
	}
	assert_int_equal(status_of(f, "POST", "/api/v1/login", NULL, "{\"token\":\"x\"}", "too-many-requests"), 429);
	assert_int_equal(status_of(f, "GET", "/api/v1/login", &stale, NULL, "too-many-requests"), 429);
	log_in(f, cookie);
}

static void a_login_takes_a_token_and_nothing_else(void **state)
{
	static const char *const bad[] = { "{}", "{\"token\":1}", "{\"token\":null}", "{\"token\":\"x\",\"role\":\"admin\"}" };
	struct request_headers page = { .origin = "http://evil", .host = "h", .content_type = "application/json" };

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_int_equal(status_of(*state, "POST", "/api/v1/login", NULL, bad[i], "validation-failed"), 422);
	assert_int_equal(status_of(*state, "POST", "/api/v1/login", &page, "{\"token\":\"x\"}", "cross-site"), 403);
	page.origin = "http://h";
	assert_int_equal(status_of(*state, "POST", "/api/v1/login", &page, "{\"token\":\"x\"}", "unauthorized"), 401);
}

#define T(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(metrics_and_charts_are_listed_by_name),
		T(a_series_has_what_was_sampled),
		T(what_is_wrong_with_a_question_is_told),
		T(capacity_of_a_target_is_that_of_its_luns),
		T(pictures_beyond_the_limit_are_refused_and_all_others_answered),
		T(a_stop_answers_what_waits),
		T(a_live_stream_that_is_slow_gets_the_newest_sample),
		T(live_streams_are_limited),
		T(keeping_follows_the_settings),
		T(a_cookie_reads_and_changes_only_from_the_page_itself),
		T(a_bearer_token_wins_over_a_cookie),
		T(wrong_tokens_and_cookies_are_limited_alike),
		T(a_login_takes_a_token_and_nothing_else),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
