/* Request bodies as strict JSON (B131 to B138). */
#include "api/json_body.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static struct problem problem;

static json_t *decode(const char *text, size_t len)
{
	memset(&problem, 0, sizeof problem);
	return json_body_decode(text, len, &problem);
}

static void refused(const char *text, size_t len)
{
	clock_t start = clock();

	assert_null(decode(text, len));
	assert_int_equal(problem.status, 400);
	assert_string_equal(problem.code, "invalid-json");
	assert_true(clock() - start < CLOCKS_PER_SEC / 2); /* processor time */
}

static void an_object_is_taken(void **state)
{
	static const char text[] = "{\"size_bytes\":9007199254740992,\"a\":-5,\"b\":[1.5,true,null],\"c\":\"\\u00e4\"}";
	json_t *body = decode(text, sizeof text - 1);

	(void)state;
	if (!body)
		fail_msg("%s", problem.detail);
	assert_int_equal(json_integer_value(json_object_get(body, "size_bytes")), INT64_C(9007199254740992));
	json_decref(body);
}

static void what_is_no_object_is_refused(void **state)
{
	static const char *const bad[] = { "", " ", "null", "[]", "\"x\"", "5", "true", "{", "}", "{}x", "{}{}", "{\"a\":1,}",
					   "{a:1}", "{'a':1}", "{\"a\":01}", "{\"a\":+1}", "{\"a\":.5}", "{\"a\":NaN}",
					   "{\"a\":Infinity}", "\xef\xbb\xbf{}", "// x\n{}", "{\"a\":\"\x01\"}" };

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		refused(bad[i], strlen(bad[i]));
}

static void numbers_that_mean_something_else_are_refused(void **state)
{
	static const char *const bad[] = { "{\"a\":9007199254740993}", "{\"a\":18446744073709551616}", "{\"a\":-0}",
					   "{\"a\":-9007199254740993}", "{\"a\":1e999}", "{\"a\":1e400}",
					   "{\"a\":99999999999999999999999999999999999}", "{\"a\":[1,-0]}" };

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		refused(bad[i], strlen(bad[i]));
}

static void a_number_in_a_string_is_text(void **state)
{
	static const char text[] = "{\"a\":\"-0 18446744073709551616 \\\" [[[\"}";
	json_t *body = decode(text, sizeof text - 1);

	(void)state;
	assert_non_null(body);
	json_decref(body);
	refused(text, sizeof text - 3);
}

static void strings_that_are_no_text_are_refused(void **state)
{
	static const char *const bad[] = { "{\"a\":\"\\u0000\"}", "{\"\\u0000\":1}", "{\"a\":\"\\ud800\"}", "{\"a\":\"\\udc00x\"}",
					   "{\"a\":\"\\ud800\\u0041\"}", "{\"a\":\"\xff\"}", "{\"a\":\"\xc0\xaf\"}", "{\"a\":\"\\x\"}",
					   "{\"a\":\"\\", "{\"a\":\"" };

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		refused(bad[i], strlen(bad[i]));
	refused("{\"a\":\"\0\"}", 9);
	refused("{\0\"\0a\0\"\0", 8);
}

static void duplicate_members_are_refused(void **state)
{
	(void)state;
	refused("{\"auth\":false,\"auth\":true}", 26);
	refused("{\"x\":{\"a\":1,\"a\":1}}", 19);
}

static void deep_nesting_is_refused_quickly(void **state)
{
	size_t len = 100000;
	char *text = malloc(len);

	(void)state;
	memset(text, '[', len);
	refused(text, len);
	memcpy(text, "{\"a\":", 5);
	refused(text, len);
	free(text);
}

static void the_deepest_nesting_allowed_is_taken(void **state)
{
	char text[256] = "{\"a\":";
	size_t n = 5;
	json_t *body;

	(void)state;
	for (int i = 1; i < JSON_BODY_DEPTH_MAX; i++)
		text[n++] = '[';
	for (int i = 1; i < JSON_BODY_DEPTH_MAX; i++)
		text[n++] = ']';
	text[n++] = '}';
	body = decode(text, n);
	assert_non_null(body);
	json_decref(body);
}

static void too_many_values_are_refused_before_they_are_stored(void **state)
{
	size_t len = 2 * (JSON_BODY_VALUES_MAX + 10) + 8, n = 6;
	char *text = malloc(len);

	(void)state;
	memcpy(text, "{\"a\":[", 6);
	while (n + 2 < len) {
		text[n++] = '1';
		text[n++] = ',';
	}
	refused(text, n);
	free(text);
}

static void the_problem_does_not_repeat_the_clients_bytes(void **state)
{
	(void)state;
	refused("{\"a\":\x1b[31mevil}", 16);
	assert_null(strstr(problem.detail, "evil"));
	assert_null(strchr(problem.detail, 0x1b));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_object_is_taken),
		cmocka_unit_test(what_is_no_object_is_refused),
		cmocka_unit_test(numbers_that_mean_something_else_are_refused),
		cmocka_unit_test(a_number_in_a_string_is_text),
		cmocka_unit_test(strings_that_are_no_text_are_refused),
		cmocka_unit_test(duplicate_members_are_refused),
		cmocka_unit_test(deep_nesting_is_refused_quickly),
		cmocka_unit_test(the_deepest_nesting_allowed_is_taken),
		cmocka_unit_test(too_many_values_are_refused_before_they_are_stored),
		cmocka_unit_test(the_problem_does_not_repeat_the_clients_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
