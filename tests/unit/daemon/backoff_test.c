/* daemon/backoff.h: when a dead child may start again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "daemon/backoff.h"

static void the_first_death_costs_no_delay(void **state)
{
	struct backoff b = { 0 };

	(void)state;
	assert_int_equal(backoff_next(&b, 0), 0);
}

static void quick_deaths_double_the_delay_up_to_the_limit(void **state)
{
	static const unsigned expected[] = { 0, 100, 200, 400, 800, 1600, 3200, 6400, 10000, 10000, 10000 };
	struct backoff b = { 0 };

	(void)state;
	for (unsigned i = 0; i < sizeof expected / sizeof expected[0]; i++)
		assert_int_equal(backoff_next(&b, BACKOFF_QUICK_MS - 1), expected[i]);
	for (unsigned i = 0; i < 100000; i++)
		assert_int_equal(backoff_next(&b, 0), BACKOFF_MAX_MS);
}

static void a_good_life_clears_the_record(void **state)
{
	struct backoff b = { 0 };

	(void)state;
	for (int i = 0; i < 20; i++)
		backoff_next(&b, 0);
	assert_int_equal(backoff_next(&b, BACKOFF_GOOD_MS), 0);
	assert_int_equal(backoff_next(&b, 0), 100);
}

static void a_middling_life_takes_one_step_back(void **state)
{
	struct backoff b = { 0 };

	(void)state;
	for (int i = 0; i < 4; i++)
		backoff_next(&b, 0); /* 0, 100, 200, 400 */
	assert_int_equal(backoff_next(&b, BACKOFF_QUICK_MS), 200);
	assert_int_equal(backoff_next(&b, BACKOFF_QUICK_MS), 100);
	assert_int_equal(backoff_next(&b, BACKOFF_QUICK_MS), 0);
	assert_int_equal(backoff_next(&b, BACKOFF_GOOD_MS - 1), 0);
}

static void a_child_killed_every_few_seconds_never_waits_a_second(void **state)
{
	struct backoff b = { 0 };

	(void)state;
	for (int i = 0; i < 100; i++)
		assert_true(backoff_next(&b, 3000) < 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_death_costs_no_delay),
		cmocka_unit_test(quick_deaths_double_the_delay_up_to_the_limit),
		cmocka_unit_test(a_good_life_clears_the_record),
		cmocka_unit_test(a_middling_life_takes_one_step_back),
		cmocka_unit_test(a_child_killed_every_few_seconds_never_waits_a_second),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
