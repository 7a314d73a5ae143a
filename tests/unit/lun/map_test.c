/* Planning, checking and allocating the mapping (LU-1, LU-2, LU-4, LU-6). */
#include "dataplane/store/fault.h"
#include "tests/unit/lun/rig.h"

#define GIB (UINT64_C(1) << 30)
#define TIB (UINT64_C(1) << 40)
#define MIB (UINT64_C(1) << 20)

static const struct store_limits wide = {.object_bytes_max = UINT64_C(1) << 50};

static uint64_t number(const json_t *tuple, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(tuple, key));
}

static size_t count_of(const json_t *map)
{
	return json_array_size(json_object_get(map, "objects"));
}

static const json_t *tuple_of(const json_t *map, size_t i)
{
	return json_array_get(json_object_get(map, "objects"), i);
}

static json_t *planned(const json_t *old, uint64_t size, uint32_t block_bytes, uint64_t target,
		       const struct store_limits *limits)
{
	struct err err = {0};
	json_t *map = lun_map_plan(old, "lun1", size, block_bytes, target, limits, &err);

	if (!map)
		fail_msg("%s", err.text);
	assert_true(lun_map_valid(map, &err));
	return map;
}

static void refused(const json_t *old, uint64_t size, uint32_t block_bytes, uint64_t target)
{
	struct err err = {0};

	assert_null(lun_map_plan(old, "lun1", size, block_bytes, target, &wide, &err));
	assert_int_equal(err.code, -EINVAL);
	assert_true(err.text[0]);
}

static void the_number_of_objects_follows_from_size_and_target(void **state)
{
	static const struct {
		uint64_t size, target;
		size_t count;
		uint64_t last_bytes;
	} cases[] = {
		{MIB, 0, 1, MIB},
		{16 * GIB, 0, 1, 16 * GIB},
		{16 * GIB + 512, 0, 2, 512},
		{64 * GIB, 0, 4, 16 * GIB},
		{64 * GIB + MIB, 0, 2, MIB},
		{TIB, 0, 16, 64 * GIB},
		{16 * TIB, 0, 64, 256 * GIB},
		{64 * TIB, 0, 64, TIB},
		{10 * MIB, 4 * MIB, 3, 2 * MIB},
		{10 * MIB, 10 * MIB, 1, 10 * MIB},
		{10 * MIB, 100 * MIB, 1, 10 * MIB},
		{MIB, 512, 2048, 512},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		json_t *map = planned(NULL, cases[i].size, 512, cases[i].target, &wide);
		uint64_t lba = 0;

		assert_int_equal(count_of(map), cases[i].count);
		assert_int_equal(number(map, "generation"), 1);
		for (size_t k = 0; k < count_of(map); k++) {
			assert_int_equal(number(tuple_of(map, k), "first_lba"), lba);
			lba += number(tuple_of(map, k), "blocks");
		}
		assert_int_equal(lba * 512, cases[i].size);
		assert_int_equal(number(tuple_of(map, count_of(map) - 1), "blocks") * 512, cases[i].last_bytes);
		json_decref(map);
	}
}

static void sizes_that_cannot_be_are_refused(void **state)
{
	json_t *old = planned(NULL, 10 * MIB, 512, 4 * MIB, &wide);

	(void)state;
	refused(NULL, MIB - 512, 512, 0);
	refused(NULL, MIB + 1, 512, 0);
	refused(NULL, MIB + 512, 4096, 0);
	refused(NULL, 64 * TIB + 512, 512, 0);
	refused(NULL, UINT64_MAX, 512, 0);
	refused(NULL, 0, 512, 0);
	refused(NULL, MIB, 1024, 0);
	refused(NULL, MIB, 0, 0);
	refused(NULL, MIB, 512, 1000);
	refused(NULL, 64 * TIB, 512, 512);
	refused(NULL, TIB, 512, UINT64_C(1) << 51);
	refused(old, 10 * MIB - 512, 512, 0);
	refused(old, 12 * MIB, 4096, 0);
	json_decref(old);
}

static void the_store_limits_lower_a_default_and_refuse_an_explicit_target(void **state)
{
	struct store_limits small = {.object_bytes_max = GIB + 100}, own = wide;
	struct err err = {0};
	json_t *map = planned(NULL, 4 * GIB, 4096, 0, &small);

	(void)state;
	assert_int_equal(count_of(map), 4);
	json_decref(map);
	assert_null(lun_map_plan(NULL, "lun1", 4 * GIB, 4096, 2 * GIB, &small, &err));
	own.target_object_bytes = 3 * MIB;
	map = planned(NULL, 10 * MIB, 512, 0, &own);
	assert_int_equal(count_of(map), 4);
	json_decref(map);
	small.object_bytes_max = 100;
	assert_null(lun_map_plan(NULL, "lun1", 4 * GIB, 4096, 0, &small, &err));
}

static void growing_fills_the_last_object_and_appends(void **state)
{
	json_t *old = planned(NULL, 10 * MIB, 512, 4 * MIB, &wide), *map = planned(old, 17 * MIB, 512, 0, &wide);
	size_t i;

	(void)state;
	assert_int_equal(number(map, "generation"), 2);
	assert_true(json_equal(json_object_get(map, "id"), json_object_get(old, "id")));
	assert_int_equal(count_of(map), 5);
	for (i = 0; i < 4; i++)
		assert_int_equal(number(tuple_of(map, i), "blocks") * 512, 4 * MIB);
	assert_int_equal(number(tuple_of(map, 4), "blocks") * 512, MIB);
	for (i = 0; i < 3; i++)
		assert_string_equal(json_string_value(json_object_get(tuple_of(map, i), "id")),
				    json_string_value(json_object_get(tuple_of(old, i), "id")));
	json_decref(old);
	json_decref(map);
	old = planned(NULL, MIB, 512, 0, &wide);
	map = planned(old, 20 * GIB, 512, 0, &wide);
	assert_int_equal(count_of(map), 2);
	json_decref(old);
	json_decref(map);
}

static void a_broken_mapping_is_refused(void **state)
{
	static const char *const bad[] = {
		"[]",
		"{}",
		"{'id':'m','generation':1,'block_size':512,'objects':[]}",
		"{'id':'','generation':1,'block_size':512,'objects':[{'id':'a','first_lba':0,'blocks':1}]}",
		"{'id':'m','generation':0,'block_size':512,'objects':[{'id':'a','first_lba':0,'blocks':1}]}",
		"{'id':'m','generation':1,'block_size':513,'objects':[{'id':'a','first_lba':0,'blocks':1}]}",
		"{'id':'m','generation':1.5,'block_size':512,'objects':[{'id':'a','first_lba':0,'blocks':1}]}",
		"{'id':'m','generation':1,'block_size':512,'objects':[{'id':'a','first_lba':1,'blocks':1}]}",
		"{'id':'m','generation':1,'block_size':512,'objects':[{'id':'a','first_lba':0,'blocks':0}]}",
		"{'id':'m','generation':1,'block_size':512,'objects':[{'id':'a','first_lba':0,'blocks':-1}]}",
		"{'id':'m','generation':1,'block_size':512,'objects':[{'id':'a','first_lba':0,"
		"'blocks':9223372036854775807}]}",
		"{'id':'m','generation':1,'block_size':512,'objects':[{'id':'../a','first_lba':0,'blocks':1}]}",
		"{'id':'m','generation':1,'block_size':512,'objects':[{'id':'a\\u0000b','first_lba':0,'blocks':1}]}",
		"{'id':'m','generation':1,'block_size':512,'objects':[{'id':7,'first_lba':0,'blocks':1}]}",
		"{'id':'m','generation':1,'block_size':512,'objects':[7]}",
		"{'id':'m','generation':1,'block_size':512,'objects':[{'id':'a','first_lba':0,'blocks':1},"
		"{'id':'b','first_lba':2,'blocks':1}]}",
		"{'id':'m','generation':1,'block_size':512,'objects':[{'id':'a','first_lba':0,'blocks':1},"
		"{'id':'a','first_lba':1,'blocks':1}]}",
	};

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct err err = {0};
		char *text = strdup(bad[i]);
		json_t *map;

		for (char *at = text; *at; at++)
			if (*at == '\'')
				*at = '"';
		map = json_loads(text, JSON_ALLOW_NUL, NULL);
		assert_non_null(map);
		assert_false(lun_map_valid(map, &err));
		assert_int_equal(err.code, -EINVAL);
		json_decref(map);
		free(text);
	}
	assert_false(lun_map_valid(NULL, NULL));
}

static void count_one(const char *id, uint64_t age_s, void *arg)
{
	(void)id, (void)age_s;
	++*(size_t *)arg;
}

static size_t objects_in(struct store *store)
{
	size_t count = 0;

	assert_int_equal(store_object_list(store, count_one, &count, NULL), 0);
	return count;
}

static void a_failure_at_object_k_removes_the_k_made(void **state)
{
	json_t *map = planned(NULL, 10 * MIB, 512, MIB, &wide), *grown = planned(map, 15 * MIB, 512, 0, &wide);
	struct err err;
	char rule[96];
	struct rig rig;
	struct store *store;
	unsigned k;

	(void)state;
	rig_init(&rig, 8);
	rig_dir(&rig);
	store = rig_store(&rig, "fault", "{\"inner\": {\"kind\": \"file\"}}");
	for (k = 1; k <= 10; k++) {
		snprintf(rule, sizeof rule, "[{\"op\": \"create\", \"nth\": %u, \"error\": \"ENOSPC\"}]", k);
		assert_int_equal(store_fault_set_rules(store, rule, &err), 0);
		assert_int_equal(lun_map_allocate(store, NULL, map, true, &err), -ENOSPC);
		assert_int_equal(objects_in(store), 0);
	}
	assert_int_equal(lun_map_allocate(store, NULL, map, true, &err), 0);
	assert_int_equal(objects_in(store), 10);
	for (k = 1; k <= 5; k++) {
		snprintf(rule, sizeof rule, "[{\"op\": \"create\", \"nth\": %u, \"error\": \"ENOSPC\"}]", k);
		assert_int_equal(store_fault_set_rules(store, rule, &err), 0);
		assert_int_equal(lun_map_allocate(store, map, grown, true, &err), -ENOSPC);
		assert_int_equal(objects_in(store), 10);
	}
	assert_int_equal(lun_map_allocate(store, map, grown, true, &err), 0);
	assert_int_equal(objects_in(store), 15);
	assert_int_equal(lun_map_remove(store, grown, &err), 0);
	assert_int_equal(objects_in(store), 0);
	json_decref(map);
	json_decref(grown);
	store_close(store);
	rig_fini(&rig);
}

static void an_object_of_somebody_else_is_not_removed_when_allocating_fails(void **state)
{
	json_t *map = planned(NULL, 3 * MIB, 512, MIB, &wide);
	struct rig rig;
	struct store *store;
	struct err err;

	(void)state;
	rig_init(&rig, 8);
	store = rig_store(&rig, "memory", NULL);
	assert_int_equal(store_object_create(store, "lun1.0001", MIB, true, &err), 0);
	assert_int_equal(lun_map_allocate(store, NULL, map, true, &err), -EEXIST);
	assert_int_equal(objects_in(store), 1);
	json_decref(map);
	store_close(store);
	rig_fini(&rig);
}

static void what_is_allocated_is_the_sum_of_the_objects_that_can_tell(void **state)
{
	json_t *map = planned(NULL, 3 * MIB, 512, MIB, &wide);
	struct rig rig;
	struct store *store;
	struct err err;

	(void)state;
	rig_init(&rig, 8);
	rig_dir(&rig);
	store = rig_store(&rig, "file", NULL);
	assert_int_equal(lun_map_allocate(store, NULL, map, false, &err), 0);
	assert_int_equal(lun_map_allocated(store, map), 3 * MIB);
	assert_int_equal(store_object_remove(store, "lun1.0001", &err), 0);
	assert_int_equal(lun_map_allocated(store, map), 2 * MIB);
	json_decref(map);
	store_close(store);
	rig_fini(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_number_of_objects_follows_from_size_and_target),
		cmocka_unit_test(sizes_that_cannot_be_are_refused),
		cmocka_unit_test(the_store_limits_lower_a_default_and_refuse_an_explicit_target),
		cmocka_unit_test(growing_fills_the_last_object_and_appends),
		cmocka_unit_test(a_broken_mapping_is_refused),
		cmocka_unit_test(a_failure_at_object_k_removes_the_k_made),
		cmocka_unit_test(an_object_of_somebody_else_is_not_removed_when_allocating_fails),
		cmocka_unit_test(what_is_allocated_is_the_sum_of_the_objects_that_can_tell),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
