/* The request target, decoded strictly (B116). */
#include "api/target_uri.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct target_uri uri;
static struct problem problem;

static int decode(const char *text)
{
	memset(&problem, 0, sizeof problem);
	return target_uri_decode(text, &uri, &problem);
}

static void a_path_is_split_before_it_is_decoded(void **state)
{
	(void)state;
	assert_int_equal(decode("/api/v1/luns/a%2Fb"), 0);
	assert_int_equal(uri.segment_count, 4);
	assert_string_equal(uri.segment[3], "a/b");
	assert_int_equal(decode("/"), 0);
	assert_int_equal(uri.segment_count, 0);
	assert_int_equal(decode("/%C3%A4"), 0);
	assert_string_equal(uri.segment[0], "\xc3\xa4");
}

static void a_broken_path_is_a_bad_request(void **state)
{
	static const char *const bad[] = {
		"", "api", "*", "http://x/", "/%00", "/a%00b", "/%", "/%4", "/%zz", "/a%", "/%0a", "/%7f", "/a;b", "/..",
		"/a/../b", "/%2e%2e/x", "/%2e", "/.", "/%ff", "/%c3", "/%c0%af", "/%ed%a0%80", "/%f5%80%80%80",
	};

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		print_message("%s\n", bad[i]);
		assert_int_equal(decode(bad[i]), -1);
		assert_int_equal(problem.status, 400);
		assert_string_equal(problem.code, "invalid-path");
	}
}

static void an_odd_path_is_not_found(void **state)
{
	char text[70000] = "/";

	(void)state;
	assert_int_equal(decode("//"), -1);
	assert_int_equal(problem.status, 404);
	assert_int_equal(decode("/a//b"), -1);
	assert_int_equal(problem.status, 404);
	assert_int_equal(decode("/a/"), -1);
	assert_int_equal(problem.status, 404);
	assert_int_equal(decode("/1/2/3/4/5/6/7/8/9"), -1);
	assert_int_equal(problem.status, 404);
	memset(text + 1, 'a', 65536);
	assert_int_equal(decode(text), -1);
	assert_int_equal(problem.status, 404);
}

static void the_longest_segment_fits(void **state)
{
	char text[URI_SEGMENT_MAX + 2] = "/";

	(void)state;
	memset(text + 1, 'a', URI_SEGMENT_MAX - 1);
	assert_int_equal(decode(text), 0);
	assert_int_equal(strlen(uri.segment[0]), URI_SEGMENT_MAX - 1);
}

static void a_query_is_decoded(void **state)
{
	(void)state;
	assert_int_equal(decode("/x?dry_run=true&limit=5&cursor=a%26b+c&flag"), 0);
	assert_string_equal(target_uri_query(&uri, "dry_run"), "true");
	assert_string_equal(target_uri_query(&uri, "limit"), "5");
	assert_string_equal(target_uri_query(&uri, "cursor"), "a&b c");
	assert_string_equal(target_uri_query(&uri, "flag"), "");
	assert_null(target_uri_query(&uri, "none"));
}

static void a_broken_query_is_a_bad_request(void **state)
{
	static const char *const bad[] = { "/x?=1", "/x?a=1&a=2", "/x?a=%", "/x?a=%00", "/x?%ff=1",
					   "/x?0123456789012345678901234567890123456789=1",
					   "/x?a&b&c&d&e&f&g&h&i&j&k&l&m&n&o&p&q" };

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		assert_int_equal(decode(bad[i]), -1);
		assert_int_equal(problem.status, 400);
		assert_string_equal(problem.code, "invalid-query");
	}
}

static void values_have_room_together(void **state)
{
	char text[2 * URI_QUERY_MAX] = "/x?a=";

	(void)state;
	memset(text + 5, 'v', URI_QUERY_MAX - 1);
	assert_int_equal(decode(text), 0);
	assert_int_equal(strlen(target_uri_query(&uri, "a")), URI_QUERY_MAX - 1);
	strcat(text, "&b=");
	assert_int_equal(decode(text), -1);
	text[5 + URI_QUERY_MAX - 1] = 'v';
	assert_int_equal(decode(text), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_path_is_split_before_it_is_decoded),
		cmocka_unit_test(a_broken_path_is_a_bad_request),
		cmocka_unit_test(an_odd_path_is_not_found),
		cmocka_unit_test(the_longest_segment_fits),
		cmocka_unit_test(a_query_is_decoded),
		cmocka_unit_test(a_broken_query_is_a_bad_request),
		cmocka_unit_test(values_have_room_together),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
