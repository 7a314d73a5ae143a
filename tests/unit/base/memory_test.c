/* include/sgl.h, stats.h, list.h, wire.h, crc32c.h, mailbox.h, offload.h: the plain parts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <unistd.h>
#include <cmocka.h>

#include "crc32c.h"
#include "list.h"
#include "mailbox.h"
#include "offload.h"
#include "sgl.h"
#include "stats.h"
#include "wire.h"

/* --- sgl --- */

static void a_list_is_cut_into_aligned_elements(void **state)
{
	static const uint32_t lengths[] = { 0, 1, 512, SGL_SMALL_BYTES, SGL_SMALL_BYTES + 1, SGL_LARGE_BYTES,
					    SGL_LARGE_BYTES + 1, SGL_BYTES_MAX };
	struct sgl_pool *pool = sgl_pool_new(4, SGL_ELEMENTS);
	struct sgl list;

	(void)state;
	for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
		size_t sum = 0;

		assert_true(sgl_alloc(pool, &list, lengths[i], SGL_SCSI));
		for (unsigned e = 0; e < list.count; e++) {
			assert_int_equal((uintptr_t)list.element[e].iov_base % SGL_ALIGN, 0);
			assert_true(list.element[e].iov_len > 0);
			memset(list.element[e].iov_base, 0xee, list.element[e].iov_len);
			sum += list.element[e].iov_len;
		}
		assert_int_equal(sum, lengths[i]);
		assert_int_equal(list.len_bytes, lengths[i]);
		sgl_release(pool, &list, SGL_SCSI);
		assert_int_equal(sgl_pool_in_use(pool), 0);
	}
	sgl_pool_free(pool);
}

static void a_list_beyond_the_limit_is_refused(void **state)
{
	static const uint32_t lengths[] = { SGL_BYTES_MAX + 1, UINT32_MAX - SGL_LARGE_BYTES, UINT32_MAX - 1, UINT32_MAX };
	struct sgl_pool *pool = sgl_pool_new(1, 2 * SGL_ELEMENTS);
	struct sgl list;

	(void)state;
	for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++)
		assert_false(sgl_alloc(pool, &list, lengths[i], SGL_SCSI));
	sgl_pool_free(pool);
}

static void an_empty_pool_says_so_and_gives_again_what_comes_back(void **state)
{
	struct sgl_pool *pool = sgl_pool_new(1, 2);
	struct sgl a, b, c, d;

	(void)state;
	assert_true(sgl_alloc(pool, &a, 100, SGL_SCSI));
	assert_true(sgl_alloc(pool, &b, 100, SGL_SCSI)); /* of the large class: the small one is empty */
	assert_true(sgl_alloc(pool, &c, 100, SGL_SCSI));
	assert_false(sgl_alloc(pool, &d, 100, SGL_SCSI));
	assert_int_equal(sgl_pool_in_use(pool), 3);
	assert_true(a.element[0].iov_base != b.element[0].iov_base && b.element[0].iov_base != c.element[0].iov_base);
	sgl_hand(&b, SGL_SCSI, SGL_ISCSI);
	sgl_release(pool, &b, SGL_ISCSI);
	assert_true(sgl_alloc(pool, &d, SGL_LARGE_BYTES, SGL_SCSI));
	sgl_release(pool, &a, SGL_SCSI);
	sgl_release(pool, &c, SGL_SCSI);
	sgl_release(pool, &d, SGL_SCSI);
	sgl_pool_free(pool);
}

/* How many lists of this length a new user of the pool gets before it is refused. */
static unsigned grab(struct sgl_pool *pool, struct sgl_share *share, struct sgl *lists, uint32_t len_bytes)
{
	bool share_used = false;
	unsigned count = 0;

	while (sgl_alloc_share(pool, share, &lists[count], len_bytes, SGL_SCSI, &share_used))
		count++;
	assert_int_equal(share_used, count > 0);
	return count;
}

static void greedy_users_leave_something_for_the_next(void **state)
{
	enum { USERS = 20, COUNT = 64 };
	struct sgl_pool *pool = sgl_pool_new(COUNT, COUNT);
	struct sgl_share share[USERS] = { 0 };
	struct sgl *lists = calloc(USERS * COUNT, sizeof *lists);
	unsigned got[USERS];

	(void)state;
	for (unsigned i = 0; i < USERS; i++) {
		got[i] = grab(pool, &share[i], &lists[i * COUNT], SGL_LARGE_BYTES);
		assert_int_equal(share[i].large, got[i]);
	}
	assert_int_equal(got[0], COUNT / 2);
	assert_int_equal(got[1], COUNT / 4);
	assert_int_equal(got[4], COUNT / 32);
	assert_int_equal(share[0].small, 0);
	assert_true(grab(pool, &share[USERS - 1], &lists[(USERS - 1) * COUNT], 1) > 1); /* they left the small ones alone */
	for (unsigned i = 0; i < USERS; i++) {
		for (unsigned j = 0; j < COUNT; j++)
			if (lists[i * COUNT + j].owner != SGL_NOBODY)
				sgl_release_share(pool, &share[i], &lists[i * COUNT + j], SGL_SCSI);
		assert_int_equal(share[i].small + share[i].large, 0);
	}
	assert_int_equal(sgl_pool_in_use(pool), 0);
	free(lists);
	sgl_pool_free(pool);
}

static void what_is_more_than_a_share_is_given_when_all_is_free(void **state)
{
	struct sgl_pool *pool = sgl_pool_new(1, 4);
	struct sgl_share one = { 0 }, other = { 0 };
	struct sgl small, whole, empty;
	bool share_used;

	(void)state;
	assert_true(sgl_alloc_share(pool, &one, &whole, 4 * SGL_LARGE_BYTES, SGL_SCSI, &share_used));
	assert_true(sgl_alloc_share(pool, &other, &small, 1, SGL_SCSI, &share_used));
	assert_false(sgl_alloc_share(pool, &other, &empty, 1, SGL_SCSI, &share_used));
	assert_true(share_used);
	assert_true(sgl_alloc_share(pool, &other, &empty, 0, SGL_SCSI, &share_used)); /* nothing is always there */
	sgl_release_share(pool, &other, &small, SGL_SCSI);
	sgl_release_share(pool, &one, &whole, SGL_SCSI);
	sgl_pool_free(pool);
}

static void slices_and_copies_see_every_byte_once(void **state)
{
	enum { LEN = 3 * SGL_LARGE_BYTES + 100 };
	struct sgl_pool *pool = sgl_pool_new(0, 4);
	uint8_t *bytes = malloc(LEN), *back = calloc(1, LEN);
	struct iovec iov[SGL_ELEMENTS];
	struct sgl list;
	uint32_t covered;

	(void)state;
	for (size_t i = 0; i < LEN; i++)
		bytes[i] = (uint8_t)(i * 31 + (i >> 8));
	assert_true(sgl_alloc(pool, &list, LEN, SGL_SCSI));
	assert_int_equal(sgl_copy_in(&list, 0, bytes, LEN), LEN);
	assert_int_equal(sgl_copy_out(&list, 0, back, LEN), LEN);
	assert_memory_equal(bytes, back, LEN);
	assert_int_equal(sgl_slice(&list, SGL_LARGE_BYTES - 1, 2, iov, SGL_ELEMENTS, &covered), 2);
	assert_int_equal(covered, 2);
	assert_int_equal(*(uint8_t *)iov[1].iov_base, bytes[SGL_LARGE_BYTES]);
	assert_int_equal(sgl_slice(&list, 0, LEN, iov, 2, &covered), 2);
	assert_int_equal(covered, 2 * SGL_LARGE_BYTES);
	assert_int_equal(sgl_slice(&list, LEN, 1, iov, 2, &covered), 0);
	assert_int_equal(sgl_copy_out(&list, LEN - 5, back, 100), 5);
	assert_int_equal(sgl_copy_in(&list, UINT32_MAX, back, 1), 0);
	sgl_release(pool, &list, SGL_SCSI);
	sgl_pool_free(pool);
	free(bytes);
	free(back);
}

/* --- stats --- */

static void every_latency_lies_in_its_bucket(void **state)
{
	(void)state;
	for (uint64_t us = 0; us < UINT64_C(200000000); us += 1 + us / 37) {
		unsigned bucket = stats_bucket(us * 1000 + 999);

		assert_true(us * 1000 + 999 < stats_bucket_limit_ns(bucket));
		assert_true(bucket == 0 || us * 1000 >= stats_bucket_limit_ns(bucket - 1));
	}
	assert_int_equal(stats_bucket(UINT64_MAX), STATS_BUCKETS - 1);
	assert_true(stats_bucket_limit_ns(STATS_BUCKETS - 1) == UINT64_MAX);
	for (unsigned b = 1; b < STATS_BUCKETS; b++)
		assert_true(stats_bucket_limit_ns(b) > stats_bucket_limit_ns(b - 1));
}

static void a_slot_is_seen_by_readers_and_reused_when_released(void **state)
{
	int fd = stats_create();
	struct stats_segment *writer = stats_map(fd, 1), *reader = stats_map(fd, 0);
	struct stats_slot *a, *b;

	(void)state;
	assert_non_null(writer);
	assert_non_null(reader);
	stats_clear(writer);
	a = stats_claim(writer, STATS_LUN, "vol1", 0);
	b = stats_claim(writer, STATS_LUN, "vol1", 1);
	assert_true(a && b && a != b);
	stats_add(a, STAT_reads, 5);
	stats_latency(a, STATS_READ_LATENCY, 2000);
	assert_int_equal(atomic_load(&reader->slots_used), 2);
	assert_string_equal(reader->slot[0].name, "vol1");
	assert_int_equal(atomic_load(&reader->slot[0].value[STAT_reads]), 5);
	stats_latencies(a, STATS_READ_LATENCY, 2000, 3);
	assert_int_equal(atomic_load(&reader->slot[0].bucket[STATS_READ_LATENCY][2]), 4);
	assert_int_equal(atomic_load(&reader->slot[0].sum_ns[STATS_READ_LATENCY]), 8000);
	stats_release(a);
	assert_ptr_equal(stats_claim(writer, STATS_SESSION, "s", 0), a);
	assert_int_equal(atomic_load(&a->value[STAT_reads]), 0); /* nothing of the one before */
	stats_clear(writer);
	assert_int_equal(atomic_load(&reader->slots_used), 0);
	stats_unmap(writer);
	stats_unmap(reader);
	close(fd);
}

static void a_full_segment_gives_no_slot(void **state)
{
	int fd = stats_create();
	struct stats_segment *writer = stats_map(fd, 1);

	(void)state;
	stats_clear(writer);
	atomic_store(&writer->slots_used, STATS_SLOTS);
	for (unsigned i = 0; i < STATS_SLOTS; i++)
		atomic_store(&writer->slot[i].kind, STATS_LUN);
	assert_null(stats_claim(writer, STATS_LUN, "x", 0));
	stats_release(NULL);
	stats_unmap(writer);
	close(fd);
}

static void what_is_no_segment_is_not_mapped(void **state)
{
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	assert_null(stats_map(fds[0], 0));
	assert_null(stats_map(-1, 0));
	close(fds[0]);
	close(fds[1]);
}

/* --- list, wire, crc32c --- */

static void a_list_keeps_order_through_every_operation(void **state)
{
	struct list head, other, node[4];
	struct list *expected[] = { &node[2], &node[0], &node[3] };
	unsigned i = 0;

	(void)state;
	list_init(&head);
	list_init(&other);
	for (i = 0; i < 4; i++)
		list_init(&node[i]);
	list_append(&head, &node[0]);
	list_append(&head, &node[1]);
	list_prepend(&head, &node[2]);
	list_append(&other, &node[3]);
	list_splice(&head, &other);
	assert_true(list_empty(&other));
	list_splice(&head, &other);
	list_remove(&node[1]);
	list_remove(&node[1]);
	i = 0;
	list_for_each(at, &head)
		assert_ptr_equal(at, expected[i++]);
	assert_int_equal(i, 3);
	assert_ptr_equal(list_take(&head), &node[2]);
	list_for_each_safe(at, &head)
		list_remove(at);
	assert_null(list_take(&head));
}

static void a_reader_remembers_that_it_went_too_far(void **state)
{
	static const uint8_t bytes[] = { 1, 2, 3, 4, 5, 6, 7, 8, 9 };
	struct wire_reader r = wire_reader(bytes, sizeof bytes);

	(void)state;
	assert_int_equal(wire_get_u8(&r), 1);
	assert_int_equal(wire_get_u16(&r), 0x0203);
	assert_int_equal(wire_get_u32(&r), 0x04050607);
	assert_int_equal(wire_left(&r), 2);
	assert_int_equal(wire_get_u32(&r), 0);
	assert_true(r.bad);
	assert_int_equal(wire_get_u8(&r), 0); /* although there would be a byte */
	r = wire_reader(bytes, 3);
	assert_null(wire_get_bytes(&r, SIZE_MAX));
}

static void a_writer_never_writes_behind_its_end(void **state)
{
	uint8_t bytes[8] = { 0 };
	struct wire_writer w = wire_writer(bytes, 7);

	(void)state;
	wire_put_u16(&w, 0x0102);
	wire_put_u32(&w, 0x03040506);
	wire_put_u16(&w, 0xffff);
	assert_true(w.bad);
	wire_put_u8(&w, 0xff);
	assert_int_equal(wire_written(&w), 6);
	assert_memory_equal(bytes, "\1\2\3\4\5\6\0\0", 8);
}

static void crc32c_gives_the_digests_of_rfc_7143(void **state)
{
	uint8_t bytes[48];
	uint32_t whole, parts = CRC32C_INIT;

	(void)state;
	memset(bytes, 0, 32);
	assert_int_equal(crc32c_value(crc32c_update(CRC32C_INIT, bytes, 32)), 0x8a9136aa); /* appendix A.4 */
	memset(bytes, 0xff, 32);
	assert_int_equal(crc32c_value(crc32c_update(CRC32C_INIT, bytes, 32)), 0x62a8ab43);
	for (int i = 0; i < 32; i++)
		bytes[i] = (uint8_t)i;
	assert_int_equal(crc32c_value(crc32c_update(CRC32C_INIT, bytes, 32)), 0x46dd794e);
	assert_int_equal(crc32c_value(crc32c_update(CRC32C_INIT, "123456789", 9)), 0xe3069283);
	whole = crc32c_update(CRC32C_INIT, bytes, 32);
	for (int i = 0; i < 32; i += 8)
		parts = crc32c_update(parts, bytes + i, 8);
	assert_int_equal(whole, parts);
	assert_int_equal(crc32c_update(whole, bytes, 0), whole);
}

/* --- mailbox, offload --- */

enum { SENDERS = 4, LETTERS = 5000 };

struct letter {
	struct mail mail;
	unsigned sender, number;
};

static unsigned next_number[SENDERS], arrived;

static void arrive(struct mail *mail)
{
	struct letter *letter = container_of(mail, struct letter, mail);

	assert_int_equal(letter->number, next_number[letter->sender]);
	next_number[letter->sender]++;
	arrived++;
	free(letter);
}

struct sender {
	struct mailbox *mailbox;
	unsigned number;
};

static void *post_letters(void *arg)
{
	struct sender *sender = arg;

	for (unsigned i = 0; i < LETTERS; i++) {
		struct letter *letter = calloc(1, sizeof *letter);

		letter->mail.run = arrive;
		letter->sender = sender->number;
		letter->number = i;
		mailbox_post(sender->mailbox, &letter->mail);
	}
	return NULL;
}

static void mail_of_many_threads_arrives_once_and_in_each_ones_order(void **state)
{
	struct mailbox mailbox;
	struct sender sender[SENDERS];
	pthread_t thread[SENDERS];
	struct pollfd p;

	(void)state;
	assert_int_equal(mailbox_init(&mailbox), 0);
	for (unsigned i = 0; i < SENDERS; i++) {
		sender[i] = (struct sender){ &mailbox, i };
		pthread_create(&thread[i], NULL, post_letters, &sender[i]);
	}
	p = (struct pollfd){ .fd = mailbox_fd(&mailbox), .events = POLLIN };
	while (arrived < SENDERS * LETTERS) {
		assert_int_equal(poll(&p, 1, 20000), 1); /* a lost wake-up would end here */
		mailbox_run(&mailbox);
	}
	for (unsigned i = 0; i < SENDERS; i++)
		pthread_join(thread[i], NULL);
	assert_int_equal(poll(&p, 1, 0), 0);
	assert_int_equal(mailbox_run(&mailbox), 0);
	mailbox_fini(&mailbox);
}

struct job {
	struct offload_job job;
	pthread_t worked_on, owner;
	unsigned *finished;
};

static void work(struct offload_job *job)
{
	container_of(job, struct job, job)->worked_on = pthread_self();
}

static void done(struct offload_job *job)
{
	struct job *j = container_of(job, struct job, job);

	assert_true(pthread_equal(pthread_self(), j->owner));
	assert_false(pthread_equal(j->worked_on, j->owner));
	(*j->finished)++;
	free(j);
}

static void offloaded_work_is_done_elsewhere_and_answered_here(void **state)
{
	enum { JOBS = 500 };
	struct offload *pool = offload_new(3);
	struct mailbox mailbox;
	unsigned finished = 0;

	(void)state;
	assert_non_null(pool);
	assert_int_equal(mailbox_init(&mailbox), 0);
	for (int i = 0; i < JOBS; i++) {
		struct job *j = calloc(1, sizeof *j);

		*j = (struct job){ { .work = work, .done = done }, .owner = pthread_self(), .finished = &finished };
		offload_submit(pool, &j->job, &mailbox);
	}
	offload_free(pool); /* waits for all of them */
	mailbox_run(&mailbox);
	assert_int_equal(finished, JOBS);
	mailbox_fini(&mailbox);
	offload_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_list_is_cut_into_aligned_elements),
		cmocka_unit_test(a_list_beyond_the_limit_is_refused),
		cmocka_unit_test(an_empty_pool_says_so_and_gives_again_what_comes_back),
		cmocka_unit_test(greedy_users_leave_something_for_the_next),
		cmocka_unit_test(what_is_more_than_a_share_is_given_when_all_is_free),
		cmocka_unit_test(slices_and_copies_see_every_byte_once),
		cmocka_unit_test(every_latency_lies_in_its_bucket),
		cmocka_unit_test(a_slot_is_seen_by_readers_and_reused_when_released),
		cmocka_unit_test(a_full_segment_gives_no_slot),
		cmocka_unit_test(what_is_no_segment_is_not_mapped),
		cmocka_unit_test(a_list_keeps_order_through_every_operation),
		cmocka_unit_test(a_reader_remembers_that_it_went_too_far),
		cmocka_unit_test(a_writer_never_writes_behind_its_end),
		cmocka_unit_test(crc32c_gives_the_digests_of_rfc_7143),
		cmocka_unit_test(mail_of_many_threads_arrives_once_and_in_each_ones_order),
		cmocka_unit_test(offloaded_work_is_done_elsewhere_and_answered_here),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
