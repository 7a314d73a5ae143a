/* The fault store's rules, one by one. */
#include "dataplane/store/fault.h"

#include "clock.h"
#include "tests/unit/store/rig.h"

#define MIB (UINT64_C(1) << 20)

struct fixture {
	struct rig rig;
	struct store *store;
	struct store_object *object;
	uint8_t *bytes;
};

static void fixture_init(struct fixture *f, const char *inner)
{
	char params[128];

	rig_init(&f->rig, 8);
	rig_dir(&f->rig);
	snprintf(params, sizeof params, "{\"inner\": {\"kind\": \"%s\"}}", inner);
	f->store = rig_store(&f->rig, "fault", params);
	f->object = rig_object(f->store, "a", MIB);
	f->bytes = aligned_alloc(4096, 4096);
	memset(f->bytes, 3, 4096);
}

static void fixture_fini(struct fixture *f)
{
	store_object_close(f->object);
	store_close(f->store);
	rig_fini(&f->rig);
	free(f->bytes);
}

static void rules(struct fixture *f, const char *json)
{
	struct err err = {0};

	if (store_fault_set_rules(f->store, json, &err) < 0)
		fail_msg("%s", err.text);
}

static int write_at(struct fixture *f, uint64_t offset)
{
	return rig_io(&f->rig, f->object, STORE_WRITE, offset, f->bytes, 4096);
}

static void the_nth_request_fails_and_reaches_nobody(void **state)
{
	static const char *const inners[] = {"memory", "file"};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct fixture f;
		uint64_t len;
		bool mapped;

		fixture_init(&f, inners[i]);
		rules(&f, "[{\"op\": \"write\", \"nth\": 2, \"error\": \"ENOSPC\"}]");
		assert_int_equal(write_at(&f, 0), 0);
		assert_int_equal(write_at(&f, 65536), -ENOSPC);
		assert_int_equal(write_at(&f, 131072), 0);
		assert_int_equal(store_object_extent(f.object, 65536, &mapped, &len), 0);
		assert_false(mapped);
		fixture_fini(&f);
	}
}

static void count_and_ranges_and_objects_narrow_a_rule(void **state)
{
	struct fixture f;

	(void)state;
	fixture_init(&f, "memory");
	rules(&f, "[{\"op\": \"write\", \"offset\": 8192, \"length\": 4096, \"count\": 0, \"error\": \"EIO\"},"
		  " {\"op\": \"write\", \"object\": \"other\", \"count\": 0, \"error\": \"EIO\"},"
		  " {\"op\": \"flush\", \"count\": 2, \"error\": \"EIO\"}]");
	assert_int_equal(write_at(&f, 4096), 0);
	assert_int_equal(write_at(&f, 8192), -EIO);
	assert_int_equal(write_at(&f, 8192), -EIO);
	assert_int_equal(write_at(&f, 12288), 0);
	assert_int_equal(rig_io(&f.rig, f.object, STORE_FLUSH, 0, NULL, 0), -EIO);
	assert_int_equal(rig_io(&f.rig, f.object, STORE_FLUSH, 0, NULL, 0), -EIO);
	assert_int_equal(rig_io(&f.rig, f.object, STORE_FLUSH, 0, NULL, 0), 0);
	fixture_fini(&f);
}

static void a_held_completion_comes_when_it_is_released(void **state)
{
	static const char *const inners[] = {"memory", "file"};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct fixture f;
		struct rig_io held;

		fixture_init(&f, inners[i]);
		rules(&f, "[{\"op\": \"write\", \"hold\": true}]");
		rig_io_start(&f.rig, &held, f.object, STORE_WRITE, 0, f.bytes, 4096, false);
		assert_int_equal(write_at(&f, 65536), 0);
		while (store_fault_held(f.store) == 0)
			rig_turn(&f.rig);
		assert_false(held.done);
		assert_int_equal(store_ctx_in_flight(f.rig.ctx), 1);
		assert_int_equal(store_fault_release(f.store), 1);
		rig_drain(&f.rig);
		assert_true(held.done && held.result == 0);
		fixture_fini(&f);
	}
}

static void a_delayed_completion_comes_late(void **state)
{
	struct fixture f;
	uint64_t start = clock_now_ns();

	(void)state;
	fixture_init(&f, "memory");
	rules(&f, "[{\"op\": \"write\", \"delay_ms\": 30, \"error\": \"EIO\"}, {\"op\": \"write\", \"delay_ms\": 20}]");
	assert_int_equal(write_at(&f, 0), -EIO);
	assert_int_equal(write_at(&f, 0), 0);
	assert_true(clock_now_ns() - start >= 50 * NS_PER_MS);
	fixture_fini(&f);
}

static void management_calls_fail_by_rule(void **state)
{
	struct fixture f;
	struct err err = {0};
	uint64_t total, unused;
	struct store_object *object;

	(void)state;
	fixture_init(&f, "memory");
	rules(&f, "[{\"op\": \"create\", \"object\": \"b\", \"error\": \"ENOSPC\"},"
		  " {\"op\": \"open\", \"error\": \"EMFILE\"},"
		  " {\"op\": \"remove\", \"error\": \"EIO\"}, {\"op\": \"space\", \"error\": \"EIO\"},"
		  " {\"op\": \"grown\", \"error\": \"EIO\"}]");
	assert_int_equal(store_object_create(f.store, "c", MIB, true, &err), 0);
	assert_int_equal(store_object_create(f.store, "b", MIB, true, &err), -ENOSPC);
	assert_int_equal(store_object_open(f.store, "c", MIB, false, &object, &err), -EMFILE);
	assert_int_equal(store_object_remove(f.store, "c", &err), -EIO);
	assert_int_equal(store_object_remove(f.store, "c", &err), 0);
	assert_int_equal(store_space(f.store, &total, &unused), -EIO);
	assert_int_equal(store_object_grown(f.object, 2 * MIB), -EIO);
	fixture_fini(&f);
}

static void trace_fua(const struct store_io *io, void *arg)
{
	unsigned *fua = arg;

	*fua += io->op == STORE_WRITE && io->fua;
}

static void the_trace_sees_every_request_as_it_was_submitted(void **state)
{
	struct fixture f;
	struct rig_io r;
	unsigned fua = 0;

	(void)state;
	fixture_init(&f, "memory");
	store_fault_trace(f.store, trace_fua, &fua);
	rig_io_start(&f.rig, &r, f.object, STORE_WRITE, 0, f.bytes, 4096, true);
	rig_io_start(&f.rig, &r, f.object, STORE_WRITE, 0, f.bytes, 4096, false);
	rig_drain(&f.rig);
	assert_int_equal(fua, 1);
	fixture_fini(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_nth_request_fails_and_reaches_nobody),
		cmocka_unit_test(count_and_ranges_and_objects_narrow_a_rule),
		cmocka_unit_test(a_held_completion_comes_when_it_is_released),
		cmocka_unit_test(a_delayed_completion_comes_late),
		cmocka_unit_test(management_calls_fail_by_rule),
		cmocka_unit_test(the_trace_sees_every_request_as_it_was_submitted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
