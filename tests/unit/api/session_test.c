/* Sessions of browsers: what a cookie is worth, and where a change may come from. */
#include "api/session.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api/auth.h"
#include "clock.h"

#define NOW  (1000 * NS_PER_S)
#define WALL 1000000

static struct auth auth;
static struct sessions sessions;
static char text[SESSION_TEXT];

static void load(const char *expires_of_a)
{
	char json[512];
	json_t *tokens;

	snprintf(json, sizeof json,
		 "{\"a\":{\"sha256\":\"%064d\",\"role\":\"viewer\",\"expires_ms\":%s},"
		 "\"b\":{\"sha256\":\"%064d\",\"role\":\"admin\",\"expires_ms\":0}}", 1, expires_of_a, 2);
	tokens = json_loads(json, 0, NULL);
	assert_int_equal(auth_load(&auth, tokens), 0);
	json_decref(tokens);
}

static int setup(void **state)
{
	(void)state;
	memset(&sessions, 0, sizeof sessions);
	assert_int_equal(auth_init(&auth), 0);
	load("0");
	assert_true(session_start(&sessions, &auth.tokens[0], NOW, text));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	auth_fini(&auth);
	return 0;
}

static const struct auth_token *token_at(uint64_t now_ns)
{
	return session_token(&sessions, &auth, text, now_ns, WALL, NULL);
}

static void a_session_is_its_token_for_twelve_hours(void **state)
{
	uint64_t left_ns = 0;

	(void)state;
	assert_int_equal(strlen(text), 64);
	assert_string_equal(token_at(NOW)->name, "a");
	assert_ptr_equal(session_token(&sessions, &auth, text, NOW + 1, WALL, &left_ns), &auth.tokens[0]);
	assert_int_equal(left_ns, SESSION_S * NS_PER_S - 1);
	assert_non_null(token_at(NOW + SESSION_S * NS_PER_S - 1));
	assert_null(token_at(NOW + SESSION_S * NS_PER_S));
}

static void a_session_that_was_ended_is_nothing(void **state)
{
	(void)state;
	session_end(&sessions, "not this one");
	assert_non_null(token_at(NOW));
	session_end(&sessions, text);
	assert_null(token_at(NOW));
}

static void a_session_of_a_revoked_or_ended_token_is_nothing(void **state)
{
	json_t *none = json_object();

	(void)state;
	load("999999");
	assert_null(token_at(NOW));
	load("1000001");
	assert_non_null(token_at(NOW));
	assert_int_equal(auth_load(&auth, none), 0);
	json_decref(none);
	assert_null(token_at(NOW));
}

static void the_oldest_session_goes_when_there_are_too_many(void **state)
{
	char more[SESSION_TEXT], second[SESSION_TEXT];

	(void)state;
	assert_true(session_start(&sessions, &auth.tokens[1], NOW + 1, second));
	for (unsigned i = 2; i < SESSIONS_MAX; i++)
		assert_true(session_start(&sessions, &auth.tokens[1], NOW + i, more));
	assert_non_null(token_at(NOW + SESSIONS_MAX));
	assert_true(session_start(&sessions, &auth.tokens[1], NOW + SESSIONS_MAX, more));
	assert_null(token_at(NOW + SESSIONS_MAX));
	assert_non_null(session_token(&sessions, &auth, second, NOW + SESSIONS_MAX, WALL, NULL));
	assert_string_equal(session_token(&sessions, &auth, more, NOW + SESSIONS_MAX, WALL, NULL)->name, "b");
}

static void a_free_place_is_no_session(void **state)
{
	(void)state;
	memset(&sessions, 0, sizeof sessions);
	assert_null(token_at(NOW));
	assert_null(session_token(&sessions, &auth, "", NOW, WALL, NULL));
}

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void the_cookie_is_found_among_others(void **state)
{
	static const char *const good[] = {
		SESSION_COOKIE "=" ID, "a=1; " SESSION_COOKIE "=" ID, SESSION_COOKIE "=" ID "; a=\"x y\"",
		"\t junk;;=;" SESSION_COOKIE "=" ID ";", "x" SESSION_COOKIE "=no; " SESSION_COOKIE "=" ID,
	};

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
		char found[SESSION_TEXT] = "";

		if (!session_of_cookie(good[i], found) || strcmp(found, ID) != 0)
			fail_msg("%s", good[i]);
	}
}

static void junk_is_no_cookie_of_ours(void **state)
{
	static const char *const bad[] = {
		NULL, "", ";", SESSION_COOKIE, SESSION_COOKIE "=", SESSION_COOKIE "=0", SESSION_COOKIE "=" ID "0",
		SESSION_COOKIE "=\"" ID "\"", SESSION_COOKIE " =" ID, "x" SESSION_COOKIE "=" ID, SESSION_COOKIE "= " ID,
		SESSION_COOKIE "=" ID " ", SESSION_COOKIE "=" ID "," SESSION_COOKIE "=" ID,
		SESSION_COOKIE "=" ID "; " SESSION_COOKIE "=" ID, SESSION_COOKIE "=0;" SESSION_COOKIE "=" ID,
		"LUNETTE_SESSION=" ID, SESSION_COOKIE "=0123456789ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef",
	};

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		char found[SESSION_TEXT];

		if (session_of_cookie(bad[i], found))
			fail_msg("%s", bad[i]);
	}
}

static void only_the_same_origin_may_change(void **state)
{
	static const struct {
		const char *site, *origin, *host;
		bool same;
	} cases[] = {
		{ "same-origin", NULL, "h", true }, { "same-origin", "http://other", "h", true },
		{ "same-site", "http://h", "h", false }, { "cross-site", "http://h", "h", false }, { "none", NULL, "h", false },
		{ "", "http://h", "h", false }, { NULL, "http://h:3261", "h:3261", true }, { NULL, "https://H", "h", true },
		{ NULL, "http://h", "h:3261", false }, { NULL, "http://h.evil", "h", false }, { NULL, "null", "h", false },
		{ NULL, NULL, "h", false }, { NULL, "http://h", NULL, false }, { NULL, "http://", "", false },
		{ NULL, "ftp://h", "h", false }, { NULL, "http://h/", "h", false }, { NULL, "evil://x://h", "x://h", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		if (session_same_origin(cases[i].site, cases[i].origin, cases[i].host) != cases[i].same)
			fail_msg("%s %s %s", cases[i].site, cases[i].origin, cases[i].host);
}

#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_session_is_its_token_for_twelve_hours),
		T(a_session_that_was_ended_is_nothing),
		T(a_session_of_a_revoked_or_ended_token_is_nothing),
		T(the_oldest_session_goes_when_there_are_too_many),
		T(a_free_place_is_no_session),
		T(the_cookie_is_found_among_others),
		T(junk_is_no_cookie_of_ours),
		T(only_the_same_origin_may_change),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
