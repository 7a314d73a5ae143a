/*
 * The submission context when the kernel is difficult: io_submit() that takes little or nothing, io_setup() that is short
 * of requests, a completion ring that we do not know. The three calls are ours here and go on to the real ones.
 */
#include <sys/syscall.h>

#include "tests/unit/store/rig.h"

#define MIB (UINT64_C(1) << 20)

static unsigned refuse_submits, refuse_setups;
static bool one_at_a_time, hide_ring;

static long answer(long rc)
{
	return rc < 0 ? -errno : rc;
}

int io_submit(io_context_t aio, long count, struct iocb *iocbs[])
{
	if (refuse_submits) {
		refuse_submits--;
		return -EAGAIN;
	}
	return (int)answer(syscall(SYS_io_submit, aio, one_at_a_time ? 1 : count, iocbs));
}

int io_setup(int depth, io_context_t *ret_aio)
{
	int rc;

	if (refuse_setups) {
		refuse_setups--;
		return -EAGAIN;
	}
	rc = (int)answer(syscall(SYS_io_setup, depth, ret_aio));
	if (rc == 0 && hide_ring)
		((unsigned *)*ret_aio)[4] = 0; /* the magic number */
	return rc;
}

static void write_many(unsigned depth, unsigned refusals)
{
	enum { COUNT = 200 };
	struct rig_io *r = calloc(COUNT, sizeof *r);
	uint8_t *bytes = aligned_alloc(4096, COUNT * 4096), *back = aligned_alloc(4096, COUNT * 4096);
	struct store_object *object;
	struct store *store;
	struct rig rig;
	uint64_t seed = depth;

	rig_init(&rig, depth);
	rig_dir(&rig);
	store = rig_store(&rig, "file", NULL);
	object = rig_object(store, "a", MIB);
	rig_fill(&seed, bytes, COUNT * 4096);
	for (unsigned round = 0; round < 3; round++) {
		refuse_submits = refusals;
		for (unsigned i = 0; i < COUNT; i++)
			rig_io_start(&rig, &r[i], object, STORE_WRITE, i * 4096, bytes + i * 4096, 4096, false);
		assert_int_equal(store_ctx_in_flight(rig.ctx), COUNT);
		rig_drain(&rig);
		for (unsigned i = 0; i < COUNT; i++)
			assert_true(r[i].done && r[i].result == 0);
	}
	assert_int_equal(rig_io(&rig, object, STORE_READ, 0, back, COUNT * 4096), 0);
	assert_memory_equal(bytes, back, COUNT * 4096);
	store_object_close(object);
	store_close(store);
	rig_fini(&rig);
	free(bytes);
	free(back);
	free(r);
}

static void requests_wait_while_the_kernel_says_eagain(void **state)
{
	(void)state;
	write_many(64, 1);
	write_many(256, 50);
	write_many(1, 7);
}

static void a_batch_that_is_taken_in_pieces_is_submitted_whole(void **state)
{
	(void)state;
	one_at_a_time = true;
	write_many(16, 0);
	write_many(300, 3);
	one_at_a_time = false;
}

static void an_unknown_completion_ring_is_read_by_system_call(void **state)
{
	(void)state;
	hide_ring = true;
	write_many(64, 0);
	write_many(300, 3);
	hide_ring = false;
}

static void a_context_is_content_with_less_than_it_asked_for(void **state)
{
	struct mailbox mailbox;
	struct store_ctx *ctx;
	struct err err = {0};

	(void)state;
	refuse_setups = 2;
	write_many(256, 0);
	assert_int_equal(mailbox_init(&mailbox), 0);
	refuse_setups = 1000;
	ctx = store_ctx_new(256, NULL, &mailbox, &err);
	refuse_setups = 0;
	assert_null(ctx);
	assert_int_equal(err.code, -EAGAIN);
	mailbox_fini(&mailbox);
}

static void contexts_have_numbers_of_their_own_until_there_are_too_many(void **state)
{
	struct store_ctx *ctx[STORE_CTX_MAX + 1];
	struct mailbox mailbox;
	struct err err = {0};
	unsigned count = 0;

	(void)state;
	assert_int_equal(mailbox_init(&mailbox), 0);
	while (count <= STORE_CTX_MAX && (ctx[count] = store_ctx_new(1, NULL, &mailbox, &err))) {
		assert_int_equal(store_ctx_index(ctx[count]), count);
		count++;
	}
	assert_int_equal(count, STORE_CTX_MAX);
	assert_int_equal(err.code, -EMFILE);
	store_ctx_free(ctx[5]);
	ctx[5] = store_ctx_new(1, NULL, &mailbox, &err);
	assert_int_equal(store_ctx_index(ctx[5]), 5);
	while (count)
		store_ctx_free(ctx[--count]);
	mailbox_fini(&mailbox);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests_wait_while_the_kernel_says_eagain),
		cmocka_unit_test(a_batch_that_is_taken_in_pieces_is_submitted_whole),
		cmocka_unit_test(an_unknown_completion_ring_is_read_by_system_call),
		cmocka_unit_test(a_context_is_content_with_less_than_it_asked_for),
		cmocka_unit_test(contexts_have_numbers_of_their_own_until_there_are_too_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
