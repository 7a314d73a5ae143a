/* What a client takes: Accept and Accept-Encoding. */
#include "api/accept.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void the_type_that_is_liked_most_is_chosen(void **state)
{
	static const char *const types[] = { "image/svg+xml", "image/png", "application/json" };
	static const struct {
		const char *accept;
		int choice;
	} cases[] = {
		{ "", 0 }, { "*/*", 0 }, { "image/*", 0 }, { "image/png", 1 }, { "IMAGE/PNG", 1 }, { "application/json", 2 },
		{ "text/html", -1 }, { "text/html, */*;q=0.1", 0 }, { "image/svg+xml;q=0.5, image/png", 1 },
		{ "image/svg+xml; q=0.5, image/*;q=0.8", 1 }, { "image/svg+xml;q=0, */*", 1 }, { "*/*;q=0", -1 },
		{ "image/pn", -1 }, { "image", -1 }, { ",,,", -1 }, { ";q=1", -1 }, { "*", -1 }, { "image/png;q=x", -1 },
		{ "application/*", 2 }, { "text/html,application/xhtml+xml,image/webp,*/*;q=0.8", 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		if (accept_choose(cases[i].accept, types, 3) != cases[i].choice)
			fail_msg("%s: %d", cases[i].accept, accept_choose(cases[i].accept, types, 3));
}

static void an_encoding_is_taken_when_it_is_named(void **state)
{
	(void)state;
	assert_true(encoding_accepted("gzip", "gzip"));
	assert_true(encoding_accepted("br;q=1.0, GZIP;q=0.8, *;q=0.1", "gzip"));
	assert_false(encoding_accepted("", "gzip"));
	assert_false(encoding_accepted("gzip;q=0", "gzip"));
	assert_false(encoding_accepted("x-gzip, br", "gzip"));
	assert_false(encoding_accepted("gzipped", "gzip"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_type_that_is_liked_most_is_chosen),
		cmocka_unit_test(an_encoding_is_taken_when_it_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
