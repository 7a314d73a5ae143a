/* The life of a LUN: growing under I/O, flushing, degraded objects, failures, extents, locks. */
#include <pthread.h>
#include <unistd.h>

#include "clock.h"
#include "dataplane/lun/lun_private.h"
#include "dataplane/store/fault.h"
#include "tests/unit/lun/rig.h"

#define MIB (UINT64_C(1) << 20)

struct fixture {
	struct rig rig;
	struct store *store;
	struct lun *lun;
	json_t *map;
	uint8_t *bytes;
	struct sgl list;
	unsigned seen[STORE_OP_COUNT];
};

static void trace(const struct store_io *io, void *arg)
{
	((struct fixture *)arg)->seen[io->op]++;
}

static void rules(struct fixture *f, const char *json)
{
	struct err err = {0};

	if (store_fault_set_rules(f->store, json, &err) < 0)
		fail_msg("%s", err.text);
}

/* Eight objects of 128 KiB behind a fault store. */
static void fixture_init(struct fixture *f, const char *inner)
{
	char params[128];

	memset(f, 0, sizeof *f);
	rig_init(&f->rig, 64);
	rig_dir(&f->rig);
	snprintf(params, sizeof params, "{\"inner\": {\"kind\": \"%s\"}}", inner);
	f->store = rig_store(&f->rig, "fault", params);
	store_fault_trace(f->store, trace, f);
	f->map = plan(NULL, MIB, 512, 131072, f->store);
	f->lun = lun_on(f->store, f->map, 512);
	f->bytes = aligned_alloc(4096, MIB);
	memset(f->bytes, 0x77, MIB);
	f->list = (struct sgl){.count = 1, .len_bytes = 4096, .element = {{f->bytes, 4096}}};
}

static void fixture_fini(struct fixture *f)
{
	lun_close(f->lun);
	store_close(f->store);
	json_decref(f->map);
	rig_fini(&f->rig);
	free(f->bytes);
}

static int io(struct fixture *f, enum lun_op op, uint64_t lba, uint64_t blocks)
{
	f->list.len_bytes = (uint32_t)blocks * 512;
	f->list.element[0].iov_len = f->list.len_bytes;
	return rig_lun_io(&f->rig, f->lun, op, lba, blocks, op == LUN_UNMAP ? NULL : &f->list, 0);
}

static const struct iovec *seen_iov;

static void trace_iov(const struct store_io *io, void *arg)
{
	(void)arg;
	seen_iov = io->iov;
}

static void a_read_gets_the_lists_own_elements(void **state)
{
	struct fixture f;

	(void)state;
	fixture_init(&f, "memory");
	store_fault_trace(f.store, trace_iov, NULL);
	assert_int_equal(io(&f, LUN_READ, 8, 8), 0);
	assert_ptr_equal(seen_iov, f.list.element);
	fixture_fini(&f);
}

static void the_first_error_wins_and_the_request_completes_once(void **state)
{
	struct fixture f;

	(void)state;
	fixture_init(&f, "memory");
	rules(&f, "[{\"op\": \"write\", \"object\": \"lun1.0001\", \"error\": \"EIO\", \"delay_ms\": 1},"
		  " {\"op\": \"write\", \"object\": \"lun1.0000\", \"error\": \"ENOSPC\", \"delay_ms\": 30}]");
	assert_int_equal(io(&f, LUN_WRITE, 200, 100), -EIO);
	assert_int_equal(io(&f, LUN_WRITE, 200, 100), 0);
	fixture_fini(&f);
}

static void the_nth_part_fails_until_nothing_fails(void **state)
{
	static const enum lun_op ops[] = {LUN_READ, LUN_WRITE, LUN_UNMAP, LUN_WRITE_SAME};
	struct fixture f;

	(void)state;
	fixture_init(&f, "memory");
	for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++) {
		unsigned nth = 0;
		int rc;

		do {
			char rule[64];

			snprintf(rule, sizeof rule, "[{\"nth\": %u, \"error\": \"ENOSPC\"}]", ++nth);
			rules(&f, rule);
			rc = io(&f, ops[i], 3, 2000);
			assert_int_equal(store_ctx_in_flight(f.rig.ctx), 0);
			if (rc)
				assert_int_equal(rc, -ENOSPC);
		} while (rc);
		assert_int_equal(nth, 9); /* eight objects, then nothing is left to fail */
	}
	fixture_fini(&f);
}

static void the_parts_of_a_request_are_submitted_together(void **state)
{
	struct fixture f;
	struct rig_lun_io r;

	(void)state;
	fixture_init(&f, "memory");
	rules(&f, "[{\"op\": \"write\", \"count\": 0, \"hold\": true}]");
	f.list.len_bytes = 2048 * 512;
	f.list.element[0].iov_len = 2048 * 512;
	rig_lun_start(&f.rig, &r, f.lun, LUN_WRITE, 0, 2048, &f.list, 0);
	assert_int_equal(store_fault_held(f.store), 8);
	assert_false(r.done);
	store_fault_release(f.store);
	rig_drain(&f.rig);
	assert_int_equal(r.result, 0);
	fixture_fini(&f);
}

/* ---- FLUSH ---- */

static void flush_touches_only_objects_with_writes_to_flush(void **state)
{
	struct fixture f;

	(void)state;
	fixture_init(&f, "memory");
	assert_int_equal(io(&f, LUN_FLUSH, 0, 0), 0);
	assert_int_equal(f.seen[STORE_FLUSH], 8); /* what an earlier process may have left */
	assert_int_equal(io(&f, LUN_FLUSH, 0, 0), 0);
	assert_int_equal(f.seen[STORE_FLUSH], 8);
	assert_int_equal(io(&f, LUN_WRITE, 300, 8), 0);
	assert_int_equal(io(&f, LUN_UNMAP, 600, 8), 0);
	assert_int_equal(io(&f, LUN_READ, 0, 8), 0);
	assert_int_equal(io(&f, LUN_FLUSH, 0, 256), 0);
	assert_int_equal(f.seen[STORE_FLUSH], 8);
	assert_int_equal(io(&f, LUN_FLUSH, 0, 0), 0);
	assert_int_equal(f.seen[STORE_FLUSH], 10);
	fixture_fini(&f);
}

static void a_fua_write_needs_no_flush_and_says_so_to_the_store(void **state)
{
	struct fixture f;
	struct rig_lun_io r = {.io = {.op = LUN_WRITE, .blocks = 8, .fua = true, .done = rig_lun_done}};

	(void)state;
	fixture_init(&f, "memory");
	assert_int_equal(io(&f, LUN_FLUSH, 0, 0), 0);
	r.io.lun = f.lun;
	r.io.data = &f.list;
	f.list.len_bytes = 4096;
	f.list.element[0].iov_len = 4096;
	lun_submit(&r.io, f.rig.ctx);
	rig_drain(&f.rig);
	assert_int_equal(r.result, 0);
	assert_int_equal(io(&f, LUN_FLUSH, 0, 0), 0);
	assert_int_equal(f.seen[STORE_FLUSH], 8);
	fixture_fini(&f);
}

static void a_failed_flush_leaves_its_objects_to_the_next_one(void **state)
{
	struct fixture f;

	(void)state;
	fixture_init(&f, "memory");
	assert_int_equal(io(&f, LUN_FLUSH, 0, 0), 0);
	assert_int_equal(io(&f, LUN_WRITE, 0, 8), 0);
	rules(&f, "[{\"op\": \"flush\", \"count\": 2, \"error\": \"EIO\"}]");
	assert_int_equal(io(&f, LUN_FLUSH, 0, 0), -EIO);
	assert_int_equal(io(&f, LUN_FLUSH, 0, 0), -EIO);
	assert_int_equal(io(&f, LUN_FLUSH, 0, 0), 0);
	assert_int_equal(f.seen[STORE_FLUSH], 11);
	assert_int_equal(io(&f, LUN_FLUSH, 0, 0), 0);
	assert_int_equal(f.seen[STORE_FLUSH], 11);
	fixture_fini(&f);
}

/* The second may not say GOOD because the first has begun: it is not durable yet. */
static void a_flush_beside_a_flush_waits_for_the_store_itself(void **state)
{
	struct fixture f;
	struct rig_lun_io first, second;

	(void)state;
	fixture_init(&f, "memory");
	assert_int_equal(io(&f, LUN_FLUSH, 0, 0), 0);
	assert_int_equal(io(&f, LUN_WRITE, 0, 8), 0);
	rules(&f, "[{\"op\": \"flush\", \"count\": 2, \"hold\": true}]");
	rig_lun_start(&f.rig, &first, f.lun, LUN_FLUSH, 0, 0, NULL, 0);
	rig_lun_start(&f.rig, &second, f.lun, LUN_FLUSH, 0, 0, NULL, 0);
	assert_int_equal(store_fault_held(f.store), 2);
	assert_false(first.done || second.done);
	store_fault_release(f.store);
	rig_drain(&f.rig);
	assert_true(first.done && second.done);
	fixture_fini(&f);
}

static void a_write_during_a_flush_is_left_to_the_next_one(void **state)
{
	struct fixture f;
	struct rig_lun_io flush;

	(void)state;
	fixture_init(&f, "memory");
	assert_int_equal(io(&f, LUN_FLUSH, 0, 0), 0);
	assert_int_equal(io(&f, LUN_WRITE, 0, 8), 0);
	rules(&f, "[{\"op\": \"flush\", \"hold\": true}]");
	rig_lun_start(&f.rig, &flush, f.lun, LUN_FLUSH, 0, 0, NULL, 0);
	assert_int_equal(io(&f, LUN_WRITE, 8, 8), 0);
	store_fault_release(f.store);
	rig_drain(&f.rig);
	assert_int_equal(flush.result, 0);
	assert_int_equal(f.seen[STORE_FLUSH], 9);
	assert_int_equal(io(&f, LUN_FLUSH, 0, 0), 0);
	assert_int_equal(f.seen[STORE_FLUSH], 10);
	fixture_fini(&f);
}

/* ---- growing ---- */

static void grow(struct fixture *f, uint64_t size, int expected)
{
	json_t *map = plan(f->map, size, 512, 0, f->store);
	struct err err = {0};

	assert_int_equal(lun_map_allocate(f->store, f->map, map, true, &err), 0);
	assert_int_equal(lun_remap(f->lun, map, &err), expected);
	json_decref(f->map);
	f->map = map;
}

static void io_in_flight_on_the_old_generation_finishes_and_the_new_one_is_used(void **state)
{
	struct fixture f;
	struct rig_lun_io old;

	(void)state;
	fixture_init(&f, "file");
	rules(&f, "[{\"op\": \"write\", \"hold\": true}]");
	rig_lun_start(&f.rig, &old, f.lun, LUN_WRITE, 0, 8, &f.list, 0);
	while (store_fault_held(f.store) == 0)
		rig_turn(&f.rig);
	grow(&f, MIB + 512 * 100, 1);
	assert_int_equal(lun_capacity_blocks(f.lun), 2148);
	assert_int_equal(io(&f, LUN_WRITE, 2040, 100), 0);
	grow(&f, 3 * MIB, 1);
	assert_int_equal(io(&f, LUN_WRITE, 2140, 100), 0);
	assert_non_null(f.lun->retired); /* the held write's */
	store_fault_release(f.store);
	rig_drain(&f.rig);
	assert_int_equal(old.result, 0);
	grow(&f, 4 * MIB, 1);
	assert_int_equal(io(&f, LUN_READ, 8000, 8), 0);
	grow(&f, 5 * MIB, 1);
	assert_null(f.lun->retired->next); /* the last one only: our slot still names it */
	fixture_fini(&f);
}

static void a_mapping_that_does_not_follow_is_refused_and_changes_nothing(void **state)
{
	struct fixture f;
	struct err err;
	json_t *map;

	(void)state;
	fixture_init(&f, "memory");
	assert_int_equal(lun_remap(f.lun, f.map, &err), 0);
	map = json_deep_copy(f.map);
	json_array_remove(json_object_get(map, "objects"), 7);
	assert_int_equal(lun_remap(f.lun, map, &err), -ESTALE);
	json_object_set_new(map, "generation", json_integer(2));
	assert_int_equal(lun_remap(f.lun, map, &err), -EINVAL);
	json_object_set_new(map, "block_size", json_integer(4096));
	assert_int_equal(lun_remap(f.lun, map, &err), -EINVAL);
	json_object_set_new(map, "objects", json_null());
	assert_int_equal(lun_remap(f.lun, map, &err), -EINVAL);
	json_decref(map);
	rules(&f, "[{\"op\": \"open\", \"error\": \"EMFILE\"}]");
	map = plan(f.map, 2 * MIB, 512, 0, f.store);
	assert_int_equal(lun_remap(f.lun, map, &err), -EMFILE);
	json_decref(map);
	assert_int_equal(lun_capacity_blocks(f.lun), 2048);
	assert_int_equal(io(&f, LUN_READ, 0, 2048), 0);
	fixture_fini(&f);
}

/* Two reactors write and verify, while the LUN grows by 200 steps. */
struct reactor {
	struct rig rig;
	struct lun *lun;
	uint64_t first_lba;
	_Atomic bool *stop;
	unsigned errors, done;
	pthread_t thread;
};

static void *write_and_verify(void *arg)
{
	struct reactor *r = arg;
	uint8_t *bytes = aligned_alloc(4096, 8192);
	struct sgl list = {.count = 2, .len_bytes = 8192, .element = {{bytes, 4096}, {bytes + 4096, 4096}}};

	while (!atomic_load(r->stop) || r->done < 100) {
		uint64_t lba = r->first_lba + r->done % 10 * 16;
		unsigned char value = (unsigned char)r->done;

		memset(bytes, value, 8192);
		r->errors += rig_lun_io(&r->rig, r->lun, LUN_WRITE, lba, 16, &list, 0) != 0;
		memset(bytes, (unsigned char)~value, 8192);
		r->errors += rig_lun_io(&r->rig, r->lun, LUN_READ, lba, 16, &list, 0) != 0;
		for (unsigned i = 0; i < 8192; i++)
			r->errors += bytes[i] != value;
		r->done++;
	}
	free(bytes);
	return NULL;
}

static void growing_under_io_causes_no_error(void **state)
{
	struct reactor *reactor = calloc(2, sizeof *reactor);
	_Atomic bool stop = false;
	struct fixture f;

	(void)state;
	fixture_init(&f, "memory");
	store_fault_trace(f.store, NULL, NULL);
	for (unsigned i = 0; i < 2; i++) {
		rig_init(&reactor[i].rig, 8);
		reactor[i].lun = f.lun;
		reactor[i].first_lba = 250 + i * 512; /* across a border */
		reactor[i].stop = &stop;
		assert_int_equal(pthread_create(&reactor[i].thread, NULL, write_and_verify, &reactor[i]), 0);
	}
	for (unsigned i = 1; i <= 200; i++)
		grow(&f, MIB + i * 51200, 1);
	atomic_store(&stop, true);
	for (unsigned i = 0; i < 2; i++) {
		pthread_join(reactor[i].thread, NULL);
		assert_int_equal(reactor[i].errors, 0);
		rig_fini(&reactor[i].rig);
	}
	fixture_fini(&f);
	free(reactor);
}

/* ---- degraded objects (LU-7) ---- */

static void a_missing_or_short_object_is_a_medium_error_in_its_range_only(void **state)
{
	struct lun_attributes a = attributes(512);
	struct fixture f;
	struct err err = {0};
	char path[128];
	json_t *shown, *objects;
	uint64_t blocks;
	bool mapped;

	(void)state;
	fixture_init(&f, "file");
	lun_close(f.lun);
	assert_int_equal(store_object_remove(f.store, "lun1.0002", &err), 0);
	snprintf(path, sizeof path, "%s/store/lun1.0005", f.rig.dir);
	assert_int_equal(truncate(path, 4096), 0);
	f.lun = lun_open(&a, f.store, f.map, &err);
	assert_non_null(f.lun);
	assert_int_equal(io(&f, LUN_READ, 0, 512), 0);
	assert_int_equal(io(&f, LUN_READ, 512, 8), -ENODATA);
	assert_int_equal(io(&f, LUN_READ, 505, 8), -ENODATA);
	assert_int_equal(io(&f, LUN_WRITE, 760, 8), -ENODATA);
	assert_int_equal(io(&f, LUN_WRITE, 768, 8), 0);
	assert_int_equal(io(&f, LUN_UNMAP, 0, 2048), -ENODATA);
	assert_int_equal(io(&f, LUN_READ, 5 * 256, 8), -ENODATA);
	assert_int_equal(io(&f, LUN_FLUSH, 0, 0), 0);
	assert_int_equal(lun_extent(f.lun, 512, &mapped, &blocks), 0);
	assert_true(mapped);
	shown = lun_map_json(f.lun);
	objects = json_object_get(shown, "objects");
	for (size_t i = 0; i < 8; i++)
		assert_int_equal(json_is_true(json_object_get(json_array_get(objects, i), "degraded")), i == 2 || i == 5);
	json_decref(shown);
	fixture_fini(&f);
}

static void an_object_that_another_process_has_open_fails_the_open(void **state)
{
	struct lun_attributes a = attributes(512);
	struct fixture f;
	struct err err = {0};

	(void)state;
	fixture_init(&f, "file");
	assert_null(lun_open(&a, f.store, f.map, &err)); /* f.lun has it */
	assert_int_equal(err.code, -EBUSY);
	fixture_fini(&f);
}

static void a_read_only_lun_becomes_writable(void **state)
{
	struct lun_attributes a = attributes(512);
	struct fixture f;
	struct err err = {0};

	(void)state;
	fixture_init(&f, "file");
	lun_close(f.lun);
	a.read_only = true;
	f.lun = lun_open(&a, f.store, f.map, &err);
	assert_int_equal(io(&f, LUN_WRITE, 250, 16), -EROFS);
	assert_int_equal(lun_make_writable(f.lun, &err), 0);
	assert_int_equal(io(&f, LUN_WRITE, 250, 16), 0);
	fixture_fini(&f);
}

static void the_nth_open_fails_and_leaks_nothing(void **state)
{
	struct lun_attributes a = attributes(512);
	struct fixture f;
	struct err err = {0};
	struct lun *lun;
	unsigned nth = 0;

	(void)state;
	fixture_init(&f, "memory");
	do {
		char rule[64];

		snprintf(rule, sizeof rule, "[{\"op\": \"open\", \"nth\": %u, \"error\": \"EMFILE\"}]", ++nth);
		rules(&f, rule);
		lun = lun_open(&a, f.store, f.map, &err);
	} while (!lun);
	assert_int_equal(nth, 9);
	lun_close(lun);
	fixture_fini(&f);
}

/* ---- extents, zeroes ---- */

static void extents_run_on_over_object_borders(void **state)
{
	struct fixture f;
	uint64_t blocks;
	bool mapped;

	(void)state;
	fixture_init(&f, "file");
	assert_int_equal(io(&f, LUN_WRITE, 248, 16), 0);
	assert_int_equal(lun_extent(f.lun, 0, &mapped, &blocks), 0);
	assert_false(mapped);
	assert_int_equal(blocks, 248);
	assert_int_equal(lun_extent(f.lun, 250, &mapped, &blocks), 0);
	assert_true(mapped);
	assert_int_equal(blocks, 14);
	assert_int_equal(lun_extent(f.lun, 264, &mapped, &blocks), 0);
	assert_false(mapped);
	assert_int_equal(blocks, 2048 - 264);
	assert_int_equal(lun_extent(f.lun, 2048, &mapped, &blocks), -ERANGE);
	fixture_fini(&f);
}

static void zeroes_are_written_where_the_store_cannot_punch(void **state)
{
	struct fixture f;
	unsigned writes;

	(void)state;
	fixture_init(&f, "memory");
	assert_int_equal(io(&f, LUN_WRITE, 0, 2048), 0);
	rules(&f, "[{\"op\": \"unmap\", \"count\": 0, \"nth\": 3, \"error\": \"EOPNOTSUPP\"}]");
	writes = f.seen[STORE_WRITE];
	assert_int_equal(rig_lun_io(&f.rig, f.lun, LUN_WRITE_SAME, 1, 2046, NULL, 0), 0);
	assert_int_equal(f.seen[STORE_WRITE] - writes, 8);
	assert_int_equal(io(&f, LUN_READ, 0, 2048), 0);
	for (uint64_t i = 0; i < MIB; i++)
		assert_int_equal(f.bytes[i], i < 512 || i >= MIB - 512 ? 0x77 : 0);
	fixture_fini(&f);
}

/* ---- locks ---- */

static unsigned grants;

static void count_grant(struct lun_lock *lock)
{
	(void)lock;
	grants++;
}

static void a_compare_and_write_excludes_overlapping_writes(void **state)
{
	struct fixture f;
	struct lun_lock write, compare, other;

	(void)state;
	fixture_init(&f, "memory");
	grants = 0;
	compare = (struct lun_lock){.lun = f.lun, .lba = 10, .blocks = 1, .exclusive = true, .granted = count_grant,
				    .reply_to = &f.rig.mailbox};
	write = compare;
	write.exclusive = false;
	other = write;
	other.lba = 11;
	assert_true(lun_lock_take(&compare));
	assert_false(lun_lock_take(&write));
	assert_true(lun_lock_take(&other));
	lun_lock_release(&compare);
	assert_int_equal(mailbox_run(&f.rig.mailbox), 1);
	assert_int_equal(grants, 1);
	lun_lock_release(&write);
	lun_lock_release(&other);
	fixture_fini(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_read_gets_the_lists_own_elements),
		cmocka_unit_test(the_first_error_wins_and_the_request_completes_once),
		cmocka_unit_test(the_nth_part_fails_until_nothing_fails),
		cmocka_unit_test(the_parts_of_a_request_are_submitted_together),
		cmocka_unit_test(flush_touches_only_objects_with_writes_to_flush),
		cmocka_unit_test(a_fua_write_needs_no_flush_and_says_so_to_the_store),
		cmocka_unit_test(a_failed_flush_leaves_its_objects_to_the_next_one),
		cmocka_unit_test(a_flush_beside_a_flush_waits_for_the_store_itself),
		cmocka_unit_test(a_write_during_a_flush_is_left_to_the_next_one),
		cmocka_unit_test(io_in_flight_on_the_old_generation_finishes_and_the_new_one_is_used),
		cmocka_unit_test(a_mapping_that_does_not_follow_is_refused_and_changes_nothing),
		cmocka_unit_test(growing_under_io_causes_no_error),
		cmocka_unit_test(a_missing_or_short_object_is_a_medium_error_in_its_range_only),
		cmocka_unit_test(an_object_that_another_process_has_open_fails_the_open),
		cmocka_unit_test(a_read_only_lun_becomes_writable),
		cmocka_unit_test(the_nth_open_fails_and_leaks_nothing),
		cmocka_unit_test(extents_run_on_over_object_borders),
		cmocka_unit_test(zeroes_are_written_where_the_store_cannot_punch),
		cmocka_unit_test(a_compare_and_write_excludes_overlapping_writes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
