/* JSON from and to text while the nth allocation fails: whole or nothing. */
#include "tests/unit/nth.h"

#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static json_t *some_document(void)
{
	return json_pack("{s:s, s:[i,i,i], s:{s:s}}", "a member with a name that is longer than the first room of a buffer",
			 "and a value that is longer than that, too, so that there is more than one allocation", "list", 1, 2, 3,
			 "params", "path", "/var/lib/lunette/store");
}

static void a_text_with_a_key_left_out_for_want_of_memory_is_no_text(void **state)
{
	json_t *json = some_document(), *again;

	(void)state;
	for (nth_start(NTH_MEMORY, ENOMEM, 1); nth_next();) {
		char *text;

		nth_arm();
		text = json_text(json, JSON_COMPACT);
		nth_disarm();
		assert_true(text || nth.failed);
		again = text ? json_loads(text, 0, NULL) : NULL;
		assert_true(!text || json_equal(json, again));
		json_decref(again);
		free(text);
	}
	assert_true(nth.run > 3);
	json_decref(json);
}

static void a_string_cut_short_for_want_of_memory_is_not_read(void **state)
{
	json_t *json = some_document(), *again;
	char *text = json_text(json, 0);

	(void)state;
	for (nth_start(NTH_MEMORY, ENOMEM, 1); nth_next();) {
		nth_arm();
		again = json_read(text, strlen(text), 0, NULL);
		nth_disarm();
		assert_true(again || nth.failed);
		assert_true(!again || json_equal(json, again));
		json_decref(again);
	}
	assert_true(nth.run > 10);
	json_decref(json);
	free(text);
}

/* The room of a string grows at 16, 32, 64 ... characters: for some length it is the closing quote that it grows for. */
static void a_string_that_lost_its_closing_quote_is_not_looked_through_for_it(void **state)
{
	char text[160];

	(void)state;
	for (int len = 1; len < 140; len++) {
		int text_len = snprintf(text, sizeof text, "[\"%0*d\"]", len, 1);

		for (nth_start(NTH_MEMORY, ENOMEM, 1); nth_next();) {
			json_t *json;

			nth_arm();
			json = json_read(text, (size_t)text_len, 0, NULL);
			nth_disarm();
			assert_true(!json == nth.failed);
			if (nth.failed)
				assert_int_equal(nth.seen, nth.run + 1); /* nothing was given after what failed */
			json_decref(json);
		}
		assert_true(nth.run > 3);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_text_with_a_key_left_out_for_want_of_memory_is_no_text),
		cmocka_unit_test(a_string_cut_short_for_want_of_memory_is_not_read),
		cmocka_unit_test(a_string_that_lost_its_closing_quote_is_not_looked_through_for_it),
	};

	nth_watch_json();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
