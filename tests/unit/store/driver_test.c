/* What every kind of store promises (store.h), asked of each. */
#include "tests/unit/store/rig.h"

#define MIB (UINT64_C(1) << 20)

static const char *const kinds[] = {"file", "memory", "fault"};

static const char *params_of(const char *kind)
{
	return strcmp(kind, "fault") == 0 ? "{\"inner\": {\"kind\": \"memory\"}}" : NULL;
}

static void each_kind(void (*check)(struct rig *rig, struct store *store))
{
	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
		struct rig rig;
		struct store *store;

		rig_init(&rig, 8);
		rig_dir(&rig);
		store = rig_store(&rig, kinds[i], params_of(kinds[i]));
		assert_string_equal(store_kind(store), kinds[i]);
		check(&rig, store);
		store_close(store);
		rig_fini(&rig);
	}
}

static void check_read_back(struct rig *rig, struct store *store)
{
	uint8_t *bytes = aligned_alloc(4096, 3 * 65536), *back = aligned_alloc(4096, 3 * 65536);
	struct store_object *object = rig_object(store, "a", MIB);
	uint64_t seed = 1;

	rig_fill(&seed, bytes, 3 * 65536);
	assert_int_equal(rig_io(rig, object, STORE_READ, 0, back, 65536), 0);
	for (size_t i = 0; i < 65536; i++)
		assert_int_equal(back[i], 0);
	assert_int_equal(rig_io(rig, object, STORE_WRITE, 4096, bytes, 3 * 65536), 0);
	assert_int_equal(rig_io(rig, object, STORE_FLUSH, 0, NULL, 0), 0);
	assert_int_equal(rig_io(rig, object, STORE_READ, 4096, back, 3 * 65536), 0);
	assert_memory_equal(bytes, back, 3 * 65536);
	store_object_close(object);
	free(bytes);
	free(back);
}

static void what_was_written_reads_back_and_the_rest_is_zero(void **state)
{
	(void)state;
	each_kind(check_read_back);
}

static void check_unmap(struct rig *rig, struct store *store)
{
	uint8_t *bytes = aligned_alloc(4096, 262144);
	struct store_object *object = rig_object(store, "a", MIB);
	uint64_t allocated, before;

	memset(bytes, 7, 262144);
	assert_int_equal(rig_io(rig, object, STORE_WRITE, 0, bytes, 262144), 0);
	assert_int_equal(store_object_allocated(store, "a", &before), 0);
	assert_true(before >= 262144);
	assert_int_equal(rig_io(rig, object, STORE_UNMAP, 512, NULL, 200000 / 512 * 512), 0);
	assert_int_equal(store_object_allocated(store, "a", &allocated), 0);
	assert_true(allocated < before);
	assert_int_equal(rig_io(rig, object, STORE_READ, 0, bytes, 262144), 0);
	for (size_t i = 0; i < 262144; i++)
		assert_int_equal(bytes[i], i < 512 || i >= 512 + 200000 / 512 * 512 ? 7 : 0);
	store_object_close(object);
	free(bytes);
}

static void an_unmapped_range_is_freed_and_reads_as_zero_to_the_block(void **state)
{
	(void)state;
	each_kind(check_unmap);
}

static void check_extents(struct rig *rig, struct store *store)
{
	uint8_t *bytes = aligned_alloc(4096, 65536);
	struct store_object *object = rig_object(store, "a", MIB);
	uint64_t len;
	bool mapped;

	memset(bytes, 7, 65536);
	assert_int_equal(rig_io(rig, object, STORE_WRITE, 131072, bytes, 65536), 0);
	assert_int_equal(store_object_extent(object, 0, &mapped, &len), 0);
	assert_false(mapped);
	assert_int_equal(len, 131072);
	assert_int_equal(store_object_extent(object, 135168, &mapped, &len), 0);
	assert_true(mapped);
	assert_int_equal(len, 65536 - 4096);
	assert_int_equal(store_object_extent(object, 131072 + 65536, &mapped, &len), 0);
	assert_false(mapped);
	assert_int_equal(len, MIB - 131072 - 65536);
	assert_int_equal(store_object_extent(object, MIB, &mapped, &len), -EINVAL);
	store_object_close(object);
	free(bytes);
}

static void extents_tell_what_is_mapped(void **state)
{
	(void)state;
	each_kind(check_extents);
}

static void check_bounds(struct rig *rig, struct store *store)
{
	uint8_t *bytes = aligned_alloc(4096, 8192);
	struct store_object *object = rig_object(store, "a", MIB), *reader;
	struct err err = {0};

	assert_int_equal(rig_io(rig, object, STORE_READ, MIB - 4096, bytes, 8192), -ERANGE);
	assert_int_equal(rig_io(rig, object, STORE_WRITE, MIB, bytes, 4096), -ERANGE);
	assert_int_equal(rig_io(rig, object, STORE_UNMAP, UINT64_MAX - 4095, NULL, 8192), -ERANGE);
	assert_int_equal(store_object_grown(object, MIB / 2), -EINVAL);
	store_object_close(object);
	assert_int_equal(store_object_resize(store, "a", 2 * MIB, true, &err), 0);
	assert_int_equal(store_object_open(store, "a", MIB, true, &reader, &err), 0);
	assert_int_equal(rig_io(rig, reader, STORE_WRITE, 0, bytes, 4096), -EROFS);
	assert_int_equal(rig_io(rig, reader, STORE_UNMAP, 0, NULL, 4096), -EROFS);
	assert_int_equal(store_object_grown(reader, 2 * MIB), 0);
	assert_int_equal(rig_io(rig, reader, STORE_READ, 2 * MIB - 4096, bytes, 4096), 0);
	store_object_close(reader);
	free(bytes);
}

static void requests_outside_the_object_or_its_mode_are_refused(void **state)
{
	(void)state;
	each_kind(check_bounds);
}

static void count_object(const char *id, uint64_t age_s, void *arg)
{
	assert_true(strcmp(id, "a") == 0 || strcmp(id, "b.0001") == 0);
	assert_true(age_s < 1000);
	++*(unsigned *)arg;
}

static void check_management(struct rig *rig, struct store *store)
{
	struct err err = {0};
	unsigned count = 0;
	uint64_t total, free_bytes;

	(void)rig;
	assert_int_equal(store_object_create(store, "a", MIB, true, &err), 0);
	assert_int_equal(store_object_create(store, "a", MIB, true, &err), -EEXIST);
	assert_int_equal(store_object_create(store, "b.0001", MIB, true, &err), 0);
	assert_int_equal(store_object_create(store, "c", 0, true, &err), -EINVAL);
	assert_int_equal(store_object_create(store, "c", UINT64_MAX, true, &err), -EFBIG);
	assert_int_equal(store_object_list(store, count_object, &count, &err), 0);
	assert_int_equal(count, 2);
	assert_int_equal(store_object_remove(store, "a", &err), 0);
	assert_int_equal(store_object_remove(store, "a", &err), 0);
	count = 0;
	assert_int_equal(store_object_list(store, count_object, &count, &err), 0);
	assert_int_equal(count, 1);
	assert_int_equal(store_space(store, &total, &free_bytes), 0);
	assert_true(total > 0 && free_bytes <= total);
}

static void objects_are_created_listed_and_removed(void **state)
{
	(void)state;
	each_kind(check_management);
}

static void check_ids(struct rig *rig, struct store *store)
{
	static const char *const bad[] = {"", ".", "..", ".hidden", "a/b", "../a", "a b", "a\n", "\xc3\xa4"};
	char longest[STORE_OBJECT_ID_MAX + 1];
	struct err err;

	(void)rig;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_int_equal(store_object_create(store, bad[i], MIB, true, &err), -EINVAL);
	memset(longest, 'x', sizeof longest);
	longest[STORE_OBJECT_ID_MAX] = '\0';
	assert_int_equal(store_object_create(store, longest, MIB, true, &err), -EINVAL);
	longest[STORE_OBJECT_ID_MAX - 1] = '\0';
	assert_int_equal(store_object_create(store, longest, MIB, true, &err), 0);
	assert_int_equal(store_object_remove(store, "../x", &err), -EINVAL);
}

static void an_id_that_could_leave_the_store_is_refused(void **state)
{
	(void)state;
	each_kind(check_ids);
}

static void check_depth(struct rig *rig, struct store *store)
{
	enum { COUNT = 300 };
	struct rig_io *r = calloc(COUNT, sizeof *r);
	uint8_t *bytes = aligned_alloc(4096, 4096 * COUNT);
	struct store_object *object = rig_object(store, "a", 4 * MIB);

	memset(bytes, 5, 4096 * COUNT);
	for (unsigned i = 0; i < COUNT; i++)
		rig_io_start(rig, &r[i], object, STORE_WRITE, i * 4096, bytes + i * 4096, 4096, false);
	rig_drain(rig);
	for (unsigned i = 0; i < COUNT; i++)
		assert_true(r[i].done && r[i].result == 0);
	store_object_close(object);
	free(bytes);
	free(r);
}

static void more_requests_than_the_depth_are_queued_not_failed(void **state)
{
	(void)state;
	each_kind(check_depth);
}

/* Each completion submits the next request, as a queue of commands does. */
struct chain {
	struct rig_io r;
	struct store_ctx *ctx;
	unsigned left, deepest, depth;
};

static void chain_next(struct store_io *io, int result)
{
	struct chain *chain = container_of(container_of(io, struct rig_io, io), struct chain, r);

	assert_int_equal(result, 0);
	chain->depth++;
	if (chain->depth > chain->deepest)
		chain->deepest = chain->depth;
	if (chain->left && chain->left--)
		store_submit(chain->ctx, io);
	chain->depth--;
}

static void check_recursion(struct rig *rig, struct store *store)
{
	struct chain chain = {.ctx = rig->ctx, .left = 5000};
	uint8_t *bytes = aligned_alloc(4096, 4096);
	struct store_object *object = rig_object(store, "a", MIB);

	chain.r.iov = (struct iovec){bytes, 4096};
	chain.r.io = (struct store_io){.op = STORE_READ, .object = object, .len_bytes = 4096, .iov = &chain.r.iov,
				       .iov_count = 1, .done = chain_next};
	store_submit(rig->ctx, &chain.r.io);
	rig_drain(rig);
	assert_int_equal(chain.left, 0);
	assert_true(chain.deepest <= STORE_INLINE_NESTING + 1);
	store_object_close(object);
	free(bytes);
}

static void a_chain_of_submissions_does_not_eat_the_stack(void **state)
{
	(void)state;
	each_kind(check_recursion);
}

static bool readable(const struct rig *rig)
{
	struct pollfd fd = {.fd = store_ctx_fd(rig->ctx), .events = POLLIN};

	return poll(&fd, 1, 0) == 1;
}

static void check_idle(struct rig *rig, struct store *store)
{
	uint8_t *bytes = aligned_alloc(4096, 4096);
	struct store_object *object = rig_object(store, "a", MIB);
	unsigned wakeups = 0;

	for (unsigned i = 0; i < 50; i++)
		assert_int_equal(rig_io(rig, object, STORE_READ, 0, bytes, 4096), 0);
	/* The kernel may signal an event shortly after we took it from the ring: one wake-up for nothing at most. */
	while (readable(rig)) {
		assert_int_equal(store_ctx_reap(rig->ctx), 0);
		assert_true(++wakeups <= 1);
	}
	store_object_close(object);
	free(bytes);
}

static void an_idle_context_does_not_wake_its_loop(void **state)
{
	(void)state;
	each_kind(check_idle);
}

static void the_null_store_reads_as_zero(void **state)
{
	struct rig rig;
	struct store *store;
	struct store_object *object;
	uint8_t bytes[1024];

	(void)state;
	rig_init(&rig, 8);
	store = rig_store(&rig, "null", NULL);
	object = rig_object(store, "a", UINT64_C(1) << 40);
	memset(bytes, 9, sizeof bytes);
	assert_int_equal(rig_io(&rig, object, STORE_WRITE, UINT64_C(1) << 39, bytes, sizeof bytes), 0);
	assert_int_equal(rig_io(&rig, object, STORE_READ, UINT64_C(1) << 39, bytes, sizeof bytes), 0);
	for (size_t i = 0; i < sizeof bytes; i++)
		assert_int_equal(bytes[i], 0);
	store_object_close(object);
	store_close(store);
	rig_fini(&rig);
}

static void a_full_memory_store_says_enospc_and_recovers(void **state)
{
	struct rig rig;
	struct store *store;
	struct store_object *object;
	uint8_t *bytes = calloc(1, 65536);

	(void)state;
	rig_init(&rig, 8);
	store = rig_store(&rig, "memory", "{\"limit_bytes\": 65536}");
	object = rig_object(store, "a", MIB);
	assert_int_equal(rig_io(&rig, object, STORE_WRITE, 0, bytes, 65536), 0);
	assert_int_equal(rig_io(&rig, object, STORE_WRITE, 65536, bytes, 4096), -ENOSPC);
	assert_int_equal(rig_io(&rig, object, STORE_WRITE, 4096, bytes, 4096), 0);
	assert_int_equal(rig_io(&rig, object, STORE_UNMAP, 0, NULL, 8192), 0);
	assert_int_equal(rig_io(&rig, object, STORE_WRITE, 65536, bytes, 4096), 0);
	store_object_close(object);
	store_close(store);
	rig_fini(&rig);
	free(bytes);
}

static void bad_parameters_are_refused_with_words(void **state)
{
	static const struct {
		const char *kind, *params;
	} bad[] = {
		{"no-such", NULL},
		{NULL, NULL},
		{"file", NULL}, /* and no state directory */
		{"file", "{\"path\": \"relative\"}"},
		{"file", "{\"path\": \"/proc/nothing/here\"}"},
		{"memory", "[]"},
		{"memory", "{"},
		{"fault", "{}"},
		{"fault", "{\"inner\": {\"kind\": \"fault\"}}"},
		{"fault", "{\"inner\": {\"kind\": \"null\"}, \"rules\": {}}"},
		{"fault", "{\"inner\": {\"kind\": \"null\"}, \"rules\": [1]}"},
		{"fault", "{\"inner\": {\"kind\": \"null\"}, \"rules\": [{\"op\": \"wrote\"}]}"},
		{"fault", "{\"inner\": {\"kind\": \"null\"}, \"rules\": [{\"error\": \"EWHAT\"}]}"},
		{"fault", "{\"inner\": {\"kind\": \"null\"}, \"rules\": [{\"nth\": -1}]}"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct err err = {0};

		assert_null(store_open(bad[i].kind, bad[i].params, NULL, &err));
		assert_true(err.code < 0 && err.text[0]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_written_reads_back_and_the_rest_is_zero),
		cmocka_unit_test(an_unmapped_range_is_freed_and_reads_as_zero_to_the_block),
		cmocka_unit_test(extents_tell_what_is_mapped),
		cmocka_unit_test(requests_outside_the_object_or_its_mode_are_refused),
		cmocka_unit_test(objects_are_created_listed_and_removed),
		cmocka_unit_test(an_id_that_could_leave_the_store_is_refused),
		cmocka_unit_test(more_requests_than_the_depth_are_queued_not_failed),
		cmocka_unit_test(a_chain_of_submissions_does_not_eat_the_stack),
		cmocka_unit_test(an_idle_context_does_not_wake_its_loop),
		cmocka_unit_test(the_null_store_reads_as_zero),
		cmocka_unit_test(a_full_memory_store_says_enospc_and_recovers),
		cmocka_unit_test(bad_parameters_are_refused_with_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
