/* Placement: properties over random configurations. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "cluster/placement.h"

static unsigned seed;

static unsigned dice(unsigned sides)
{
	seed = seed * 1103515245 + 12345;
	return (seed >> 16) % sides;
}

/* `targets` targets, each with up to luns_each of `luns` LUNs. */
static json_t *random_config(unsigned targets, unsigned luns, unsigned luns_each)
{
	json_t *map = json_object();

	for (unsigned t = 0; t < targets; t++) {
		json_t *mappings = json_object();
		char name[32];

		for (unsigned n = luns_each ? dice(luns_each + 1) : 0; n > 0; n--) {
			char number[16], lun[16];

			snprintf(number, sizeof number, "%u", n);
			snprintf(lun, sizeof lun, "vol%u", dice(luns));
			json_object_set_new(mappings, number, json_pack("{s:s}", "lun", lun));
		}
		snprintf(name, sizeof name, "iqn.2026-11.io.x:%u", t);
		json_object_set_new(map, name, json_pack("{s:o}", "luns", mappings));
	}
	return json_pack("{s:o}", "targets", map);
}

static unsigned worker_of(const json_t *placement, const char *target)
{
	json_t *worker = json_object_get(placement, target);

	assert_true(json_is_integer(worker));
	return (unsigned)json_integer_value(worker);
}

static void check(const json_t *config, const json_t *placement, unsigned workers)
{
	json_t *lun_worker = json_object(), *target, *mapping;
	const char *name, *number;

	assert_int_equal(json_object_size(placement), json_object_size(json_object_get(config, "targets")));
	json_object_foreach(json_object_get(config, "targets"), name, target) {
		unsigned worker = worker_of(placement, name);

		assert_in_range(worker, 0, workers - 1);
		json_object_foreach(json_object_get(target, "luns"), number, mapping) {
			const char *lun = json_string_value(json_object_get(mapping, "lun"));
			json_t *seen = json_object_get(lun_worker, lun);

			if (seen)
				assert_int_equal(json_integer_value(seen), worker);
			json_object_set_new(lun_worker, lun, json_integer(worker));
		}
	}
	json_decref(lun_worker);
}

static void targets_that_share_a_lun_are_together_and_nothing_moves_twice(void **state)
{
	(void)state;
	for (seed = 1; seed < 100000; seed += 331) {
		unsigned workers = 1 + dice(8);
		json_t *config = random_config(dice(40), 1 + dice(60), dice(4));
		json_t *first = placement_compute(config, workers, NULL), *second = placement_compute(config, workers, first);

		check(config, first, workers);
		assert_true(json_equal(first, second));
		json_decref(first);
		json_decref(second);
		json_decref(config);
	}
}

static void a_new_target_moves_no_other(void **state)
{
	(void)state;
	for (seed = 1; seed < 50000; seed += 331) {
		json_t *config = random_config(1 + dice(30), 50, 2);
		json_t *first = placement_compute(config, 4, NULL), *second, *worker;
		const char *name;

		json_object_set_new(json_object_get(config, "targets"), "iqn.2026-11.io.x:new", json_pack("{s:{}}", "luns"));
		second = placement_compute(config, 4, first);
		json_object_foreach(first, name, worker)
			assert_true(json_equal(worker, json_object_get(second, name)));
		json_decref(first);
		json_decref(second);
		json_decref(config);
	}
}

static void unrelated_targets_are_spread_evenly(void **state)
{
	json_t *config, *placement, *worker;
	unsigned count[4] = { 0 };
	const char *name;

	(void)state;
	config = random_config(102, 1, 0);
	placement = placement_compute(config, 4, NULL);
	json_object_foreach(placement, name, worker)
		count[json_integer_value(worker)]++;
	for (unsigned i = 0; i < 4; i++)
		assert_in_range(count[i], 25, 26);
	json_decref(placement);
	json_decref(config);
}

static void two_groups_that_become_one_go_where_most_of_them_is(void **state)
{
	json_t *config, *previous, *placement;

	(void)state;
	config = json_pack("{s:{s:{s:{s:{s:s}, s:{s:s}}}, s:{s:{s:{s:s}}}}}", "targets", "iqn.a", "luns", "0", "lun", "x", "1", "lun",
			   "y", "iqn.b", "luns", "0", "lun", "x");
	previous = json_pack("{s:i, s:i}", "iqn.a", 1, "iqn.b", 0);
	placement = placement_compute(config, 2, previous);
	assert_int_equal(worker_of(placement, "iqn.a"), 1);
	assert_int_equal(worker_of(placement, "iqn.b"), 1);
	json_decref(placement);
	placement = placement_compute(config, 1, previous); /* worker 1 is no more */
	assert_int_equal(worker_of(placement, "iqn.a"), 0);
	json_decref(placement);
	json_decref(previous);
	json_decref(config);
	placement = placement_compute(NULL, 3, NULL);
	assert_int_equal(json_object_size(placement), 0);
	json_decref(placement);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(targets_that_share_a_lun_are_together_and_nothing_moves_twice),
		cmocka_unit_test(a_new_target_moves_no_other),
		cmocka_unit_test(unrelated_targets_are_spread_evenly),
		cmocka_unit_test(two_groups_that_become_one_go_where_most_of_them_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
