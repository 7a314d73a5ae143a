/* Requests against a flat array (LU-5): every border, both block sizes, memory and file store. */
#include "tests/unit/lun/rig.h"

#define LUN_BYTES (UINT64_C(1) << 20)

/* A list with elements of odd sizes, as sgl_alloc makes them and as slices of immediate data may look. */
static void list_of(struct sgl *list, uint8_t *bytes, uint32_t len, uint32_t element_bytes)
{
	list->count = 0;
	list->owner = SGL_LUN;
	list->len_bytes = len;
	for (uint32_t at = 0; at < len; at += element_bytes) {
		list->element[list->count].iov_base = bytes + at;
		list->element[list->count++].iov_len = len - at < element_bytes ? len - at : element_bytes;
	}
}

struct flat {
	struct rig rig;
	struct store *store;
	struct lun *lun;
	uint8_t *expected, *buffer;
	uint32_t block_bytes;
	uint64_t seed;
};

static void flat_init(struct flat *f, const char *kind, uint32_t block_bytes, uint64_t target)
{
	json_t *map;

	rig_init(&f->rig, 32);
	rig_dir(&f->rig);
	f->store = rig_store(&f->rig, kind, NULL);
	map = plan(NULL, LUN_BYTES, block_bytes, target, f->store);
	f->lun = lun_on(f->store, map, block_bytes);
	json_decref(map);
	f->block_bytes = block_bytes;
	f->expected = calloc(1, LUN_BYTES);
	f->buffer = aligned_alloc(4096, LUN_BYTES + 4096);
	f->seed = target;
	assert_true(f->expected && f->buffer);
}

static void flat_fini(struct flat *f)
{
	lun_close(f->lun);
	store_close(f->store);
	rig_fini(&f->rig);
	free(f->expected);
	free(f->buffer);
}

static void flat_write(struct flat *f, uint64_t lba, uint64_t blocks, uint32_t data_offset, uint32_t element)
{
	uint32_t len = (uint32_t)(blocks * f->block_bytes);
	struct sgl list;

	rig_fill(&f->seed, f->buffer, data_offset + len);
	list_of(&list, f->buffer, data_offset + len, element);
	assert_int_equal(rig_lun_io(&f->rig, f->lun, LUN_WRITE, lba, blocks, &list, data_offset), 0);
	memcpy(f->expected + lba * f->block_bytes, f->buffer + data_offset, len);
}

static void flat_check(struct flat *f, uint64_t lba, uint64_t blocks, uint32_t data_offset, uint32_t element)
{
	uint32_t len = (uint32_t)(blocks * f->block_bytes);
	struct sgl list;

	memset(f->buffer, 0xee, data_offset + len);
	list_of(&list, f->buffer, data_offset + len, element);
	assert_int_equal(rig_lun_io(&f->rig, f->lun, LUN_READ, lba, blocks, &list, data_offset), 0);
	assert_memory_equal(f->buffer + data_offset, f->expected + lba * f->block_bytes, len);
	for (uint32_t i = 0; i < data_offset; i++)
		assert_int_equal(f->buffer[i], 0xee);
}

static void check_all(struct flat *f)
{
	uint64_t blocks = LUN_BYTES / f->block_bytes;

	flat_check(f, 0, blocks, 0, SGL_LARGE_BYTES);
}

/* Around each border: every start and length within `reach` blocks. */
static void borders(const char *kind, uint32_t block_bytes, uint64_t target, uint64_t reach)
{
	struct flat f;
	uint64_t border = target / block_bytes, blocks = LUN_BYTES / block_bytes;

	flat_init(&f, kind, block_bytes, target);
	flat_write(&f, 0, blocks, 0, SGL_LARGE_BYTES);
	for (uint64_t start = border - reach; start <= border + reach; start++) {
		for (uint64_t len = 1; len <= 2 * reach; len++) {
			flat_write(&f, start, len, 0, SGL_SMALL_BYTES);
			flat_check(&f, start, len, 0, SGL_SMALL_BYTES);
		}
	}
	check_all(&f);
	flat_fini(&f);
}

static void a_request_at_any_border_reads_back_what_was_written(void **state)
{
	(void)state;
	borders("memory", 512, 65536, 9);
	borders("memory", 4096, 65536, 5);
	borders("memory", 512, 512 * 37, 9);
	borders("file", 512, 65536, 4);
	borders("file", 4096, 65536, 3);
	borders("file", 512, 512 * 37, 3);
}

static void random_requests(const char *kind, uint32_t block_bytes, uint64_t target, unsigned count)
{
	static const uint32_t elements[] = {SGL_SMALL_BYTES, SGL_LARGE_BYTES, 512 * 35};
	uint64_t blocks = LUN_BYTES / block_bytes;
	struct flat f;

	flat_init(&f, kind, block_bytes, target);
	while (count--) {
		uint64_t lba = rig_random(&f.seed) % blocks, max = blocks - lba < 500 ? blocks - lba : 500;
		uint64_t len = 1 + rig_random(&f.seed) % (rig_random(&f.seed) % 4 ? (max < 16 ? max : 16) : max);
		uint32_t element = elements[rig_random(&f.seed) % 3], offset = rig_random(&f.seed) % 3 * 512;

		if ((offset + len * block_bytes) / element >= SGL_ELEMENTS)
			element = SGL_LARGE_BYTES;
		if (rig_random(&f.seed) % 2)
			flat_write(&f, lba, len, offset, element);
		else
			flat_check(&f, lba, len, offset, element);
	}
	check_all(&f);
	flat_fini(&f);
}

static void random_requests_read_like_a_flat_array(void **state)
{
	(void)state;
	random_requests("memory", 512, 512, 300);
	random_requests("memory", 512, 512 * 3, 1000);
	random_requests("memory", 512, 65536, 1000);
	random_requests("memory", 4096, 4096, 1000);
	random_requests("file", 512, 512 * 61, 200);
	random_requests("file", 512, 65536, 400);
	random_requests("file", 4096, 4096 * 5, 200);
}

static void write_same_and_unmap_change_exactly_their_range(const char *kind, uint32_t block_bytes, uint64_t target)
{
	uint64_t blocks = LUN_BYTES / block_bytes;
	struct flat f;
	struct sgl list;

	flat_init(&f, kind, block_bytes, target);
	flat_write(&f, 0, blocks, 0, SGL_LARGE_BYTES);
	for (unsigned round = 0; round < 60; round++) {
		uint64_t lba = rig_random(&f.seed) % blocks, len = 1 + rig_random(&f.seed) % (blocks - lba);
		unsigned what = round % 4;

		if (what != 3)
			len = len < 40 ? len : 40;
		memset(f.buffer, 0, 512 + block_bytes);
		if (what == 0)
			rig_fill(&f.seed, f.buffer + 512, block_bytes);
		list_of(&list, f.buffer, 512 + block_bytes, SGL_SMALL_BYTES);
		assert_int_equal(rig_lun_io(&f.rig, f.lun, what == 3 ? LUN_UNMAP : LUN_WRITE_SAME, lba, len,
					    what >= 2 ? NULL : &list, 512), 0);
		for (uint64_t i = 0; i < len; i++)
			memcpy(f.expected + (lba + i) * block_bytes, f.buffer + 512, block_bytes);
		check_all(&f);
	}
	flat_fini(&f);
}

static void write_same_and_unmap_read_back_as_what_they_say(void **state)
{
	(void)state;
	write_same_and_unmap_change_exactly_their_range("memory", 512, 512 * 77);
	write_same_and_unmap_change_exactly_their_range("memory", 4096, 65536);
	write_same_and_unmap_change_exactly_their_range("file", 512, 512 * 77);
	write_same_and_unmap_change_exactly_their_range("file", 4096, 65536);
}

static void write_same_of_the_whole_lun_writes_every_block(void **state)
{
	struct flat f;
	struct sgl list;

	(void)state;
	flat_init(&f, "file", 512, 65536);
	rig_fill(&f.seed, f.buffer, 512);
	list_of(&list, f.buffer, 512, SGL_SMALL_BYTES);
	assert_int_equal(rig_lun_io(&f.rig, f.lun, LUN_WRITE_SAME, 0, LUN_BYTES / 512, &list, 0), 0);
	for (uint64_t i = 0; i < LUN_BYTES; i += 512)
		memcpy(f.expected + i, f.buffer, 512);
	check_all(&f);
	flat_fini(&f);
}

static void a_request_beyond_the_capacity_is_erange(void **state)
{
	struct flat f;
	struct sgl list;

	(void)state;
	flat_init(&f, "memory", 512, 65536);
	list_of(&list, f.buffer, 1024, SGL_SMALL_BYTES);
	assert_int_equal(rig_lun_io(&f.rig, f.lun, LUN_READ, 2047, 2, &list, 0), -ERANGE);
	assert_int_equal(rig_lun_io(&f.rig, f.lun, LUN_READ, UINT64_MAX, 2, &list, 0), -ERANGE);
	assert_int_equal(rig_lun_io(&f.rig, f.lun, LUN_UNMAP, 1, UINT64_MAX, NULL, 0), -ERANGE);
	assert_int_equal(rig_lun_io(&f.rig, f.lun, LUN_READ, 2048, 0, &list, 0), 0);
	flat_fini(&f);
}

static void a_list_that_is_too_short_for_the_blocks_is_einval(void **state)
{
	struct flat f;
	struct sgl list;

	(void)state;
	flat_init(&f, "memory", 512, 65536);
	list_of(&list, f.buffer, 1024, SGL_SMALL_BYTES);
	assert_int_equal(rig_lun_io(&f.rig, f.lun, LUN_READ, 0, 3, &list, 0), -EINVAL);
	assert_int_equal(rig_lun_io(&f.rig, f.lun, LUN_READ, 0, 2, &list, 1), -EINVAL);
	assert_int_equal(rig_lun_io(&f.rig, f.lun, LUN_READ, 0, 1, &list, 2000), -EINVAL);
	assert_int_equal(rig_lun_io(&f.rig, f.lun, LUN_WRITE_SAME, 0, 1, &list, 1000), -EINVAL);
	flat_fini(&f);
}

/* --- time in the store --- */

static uint64_t timed(const struct stats_slot *slot, enum stats_histogram histogram)
{
	uint64_t count = 0;

	for (unsigned b = 0; b < STATS_BUCKETS; b++)
		count += slot->bucket[histogram][b];
	return count;
}

static void timed_on(const char *kind)
{
	static struct stats_slot slot;
	struct flat f;

	memset(&slot, 0, sizeof slot);
	flat_init(&f, kind, 512, 65536);
	flat_write(&f, 0, 1, 0, SGL_LARGE_BYTES); /* not counted yet */
	lun_set_stats(f.lun, f.rig.ctx, &slot);
	for (unsigned i = 0; i < 4; i++) {
		flat_write(&f, i, 1 + i / 2, 0, SGL_LARGE_BYTES); /* in one turn, where the store does it at once */
		flat_check(&f, i, 1 + i / 2, 0, SGL_LARGE_BYTES);
	}
	flat_check(&f, 0, 512, 0, SGL_LARGE_BYTES); /* over several objects: one */
	assert_int_equal(rig_lun_io(&f.rig, f.lun, LUN_FLUSH, 0, 0, NULL, 0), 0);
	assert_int_equal(rig_lun_io(&f.rig, f.lun, LUN_UNMAP, 0, 8, NULL, 0), 0);
	assert_int_equal(timed(&slot, STATS_STORE_WRITE_LATENCY), 4);
	assert_int_equal(timed(&slot, STATS_STORE_READ_LATENCY), 5);
	assert_true(slot.sum_ns[STATS_STORE_WRITE_LATENCY] > 0 && slot.sum_ns[STATS_STORE_WRITE_LATENCY] < 10 * NS_PER_S);
	assert_true(slot.sum_ns[STATS_STORE_READ_LATENCY] > 0 && slot.sum_ns[STATS_STORE_READ_LATENCY] < 10 * NS_PER_S);
	assert_int_equal(timed(&slot, STATS_READ_LATENCY) + timed(&slot, STATS_WRITE_LATENCY), 0);
	flat_fini(&f);
}

static void each_read_and_write_counts_the_time_in_the_store_once(void **state)
{
	(void)state;
	timed_on("memory");
	timed_on("file");
}

/* One that takes long in the store is not counted with the time of its like that was done at once. */
static void what_takes_long_is_timed_by_itself(void **state)
{
	static struct stats_slot slot;
	struct rig_lun_io io;
	struct store *faulty;
	struct sgl list;
	struct flat f;
	json_t *map;

	(void)state;
	flat_init(&f, "memory", 512, 65536);
	faulty = rig_store(&f.rig, "fault", "{\"inner\": {\"kind\": \"memory\"}, \"rules\": "
					    "[{\"op\": \"write\", \"nth\": 3, \"delay_ms\": 20}]}");
	map = plan(NULL, LUN_BYTES, 512, 65536, faulty);
	lun_close(f.lun);
	f.lun = lun_on(faulty, map, 512);
	json_decref(map);
	lun_set_stats(f.lun, f.rig.ctx, &slot);
	list_of(&list, f.buffer, 512, 512);
	for (unsigned i = 0; i < 3; i++) {
		rig_lun_start(&f.rig, &io, f.lun, LUN_WRITE, i, 1, &list, 0);
		assert_true(io.done == (i < 2));
	}
	while (!io.done)
		rig_turn(&f.rig);
	assert_int_equal(timed(&slot, STATS_STORE_WRITE_LATENCY), 3);
	assert_true(slot.sum_ns[STATS_STORE_WRITE_LATENCY] >= 20 * NS_PER_MS);
	lun_close(f.lun);
	store_close(faulty);
	f.lun = NULL;
	flat_fini(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_request_at_any_border_reads_back_what_was_written),
		cmocka_unit_test(random_requests_read_like_a_flat_array),
		cmocka_unit_test(write_same_and_unmap_read_back_as_what_they_say),
		cmocka_unit_test(write_same_of_the_whole_lun_writes_every_block),
		cmocka_unit_test(a_request_beyond_the_capacity_is_erange),
		cmocka_unit_test(a_list_that_is_too_short_for_the_blocks_is_einval),
		cmocka_unit_test(each_read_and_write_counts_the_time_in_the_store_once),
		cmocka_unit_test(what_takes_long_is_timed_by_itself),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
