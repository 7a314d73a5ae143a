/* POPULATE TOKEN, RECEIVE ROD TOKEN INFORMATION, WRITE USING TOKEN. PROTOCOL B099. */
#include "clock.h"
#include "tests/unit/scsi/copy_world.h"

static uint8_t token[COPY_TOKEN_BYTES];

/* --- parameter lists --- */

static void ranges_start(uint32_t header_bytes)
{
	memset(list, 0, sizeof list);
	list_bytes = header_bytes;
}

static void ranges_add(uint64_t lba, uint32_t blocks)
{
	put_be64(list + list_bytes, lba);
	put_be32(list + list_bytes + 8, blocks);
	list_bytes += 16;
}

static void ranges_end(uint32_t header_bytes)
{
	put_be16(list, (uint16_t)(list_bytes - 2));
	put_be16(list + header_bytes - 2, (uint16_t)(list_bytes - header_bytes));
}

static void send_token_list(unsigned nexus, uint64_t lun, uint8_t action, uint32_t list_id)
{
	uint8_t cdb[16] = { 0x83, action };

	put_be32(cdb + 6, list_id);
	put_be32(cdb + 10, list_bytes);
	world_run(&world, world.nexus[nexus], lun, cdb, 16, list, list_bytes, &outcome);
}

static void information(unsigned nexus, uint64_t lun, uint32_t list_id)
{
	uint8_t cdb[16] = { 0x84, 0x07 };

	put_be32(cdb + 2, list_id);
	put_be32(cdb + 10, 4096);
	world_run(&world, world.nexus[nexus], lun, cdb, 16, NULL, 0, &outcome);
}

/* A token for one range of LUN 0. */
static void populate(uint64_t lba, uint32_t blocks)
{
	ranges_start(16);
	ranges_add(lba, blocks);
	ranges_end(16);
	send_token_list(0, 0, 0x10, 1);
	expect_good();
	information(0, 0, 1);
	expect_good();
	memcpy(token, outcome.data + 38, sizeof token);
}

static void write_start(uint64_t offset)
{
	ranges_start(536);
	put_be64(list + 8, offset);
	memcpy(list + 16, token, sizeof token);
}

/* One range of the LUN. */
static void write_using(uint64_t lun, uint64_t offset, uint64_t lba, uint32_t blocks)
{
	write_start(offset);
	ranges_add(lba, blocks);
	ranges_end(536);
	send_token_list(0, lun, 0x11, 2);
}

/* --- tests --- */

static void a_token_stands_for_the_data_of_its_ranges(void **state)
{
	(void)state;
	stamp(0, 0, 2000, 1);
	ranges_start(16);
	ranges_add(1000, 600);
	ranges_add(0, 100);
	ranges_add(500, 300);
	ranges_end(16);
	send_token_list(0, 0, 0x10, 1);
	expect_good();
	information(0, 0, 1);
	memcpy(token, outcome.data + 38, sizeof token);
	write_start(0);
	ranges_add(100, 650);
	ranges_add(3000, 350);
	ranges_end(536);
	send_token_list(0, LUN_1, 0x11, 2);
	expect_good();
	expect_stamps(LUN_1, 100, 600, 1000, 1);
	expect_stamps(LUN_1, 700, 50, 0, 1);
	expect_stamps(LUN_1, 3000, 50, 50, 1);
	expect_stamps(LUN_1, 3050, 300, 500, 1);
}

static void a_token_is_used_from_an_offset_on(void **state)
{
	(void)state;
	stamp(0, 0, 1000, 1);
	populate(0, 1000);
	write_using(LUN_1, 990, 5, 10);
	expect_good();
	expect_stamps(LUN_1, 5, 10, 990, 1);
	write_using(LUN_1, 990, 5, 11);
	expect_sense(KEY_ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_LIST);
	write_using(LUN_1, UINT64_MAX, 5, 1);
	expect_sense(KEY_ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_LIST);
}

static void the_token_comes_with_the_state_of_its_command(void **state)
{
	(void)state;
	populate(0, 1000);
	assert_int_equal(outcome.data_in_bytes, 32 + 4 + 514);
	assert_int_equal(get_be32(outcome.data), outcome.data_in_bytes - 4);
	assert_int_equal(outcome.data[4], 0x10);
	assert_int_equal(outcome.data[5], COPY_COMPLETED);
	assert_int_equal(outcome.data[15], 0xf1);                  /* TRANSFER COUNT in blocks */
	assert_int_equal(get_be64(outcome.data + 16), 1000);
	assert_int_equal(get_be32(outcome.data + 32), 514);
	assert_int_equal(get_be32(token), ROD_CHANGE_VULNERABLE);
	assert_int_equal(get_be16(token + 6), 504);
	assert_int_equal(get_be64(token + 56), 1000 * BLOCK);
	write_using(LUN_1, 0, 0, 10);
	expect_good();
	information(0, LUN_1, 2);
	assert_int_equal(outcome.data[4], 0x11);
	assert_int_equal(outcome.data[5], COPY_COMPLETED);
	assert_int_equal(get_be64(outcome.data + 16), 10);
	assert_int_equal(outcome.data_in_bytes, 32 + 4);
	information(1, 0, 1); /* the token of another nexus */
	expect_sense(KEY_ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_CDB);
}

static void b099_tokens_that_nobody_made_are_refused(void **state)
{
	static const struct {
		unsigned at;
		uint8_t flip;
		uint16_t asc;
	} cases[] = {
		{ 0, 0x80, ASC_TOKEN_TYPE }, { 1, 0x01, ASC_TOKEN_TYPE }, { 7, 0x01, ASC_TOKEN_LENGTH },
		{ 8, 0x01, ASC_TOKEN_UNKNOWN }, { 15, 0x01, ASC_TOKEN_UNKNOWN }, { 16, 0x01, ASC_TOKEN_CORRUPT },
		{ 62, 0x01, ASC_TOKEN_CORRUPT }, { 256, 0x01, ASC_TOKEN_CORRUPT }, { 511, 0x80, ASC_TOKEN_CORRUPT },
	};

	(void)state;
	stamp(LUN_1, 0, 10, 2);
	populate(0, 10);
	for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		token[cases[i].at] ^= cases[i].flip;
		write_using(LUN_1, 0, 0, 10);
		expect_sense(KEY_ILLEGAL_REQUEST, cases[i].asc);
		token[cases[i].at] ^= cases[i].flip;
	}
	expect_stamps(LUN_1, 0, 10, 0, 2);
	write_using(LUN_1, 0, 0, 10);
	expect_good();
}

static void b099_the_token_of_another_tenant_is_unknown(void **state)
{
	(void)state;
	populate(0, 10);
	write_start(0);
	ranges_add(0, 10);
	ranges_end(536);
	send_token_list(2, 0, 0x11, 2);
	expect_sense(KEY_ILLEGAL_REQUEST, ASC_TOKEN_UNKNOWN);
	send_token_list(1, LUN_1, 0x11, 2); /* another initiator of the same LUNs may */
	expect_good();
}

static void b099_a_token_expires(void **state)
{
	struct copy_ranges ranges = { .count = 1, .range = { { 0, 10 } }, .blocks = 10 };
	uint64_t now_ns = clock_now_ns();

	(void)state;
	assert_int_equal(scsi_token_create(world.lu, &ranges, 5, now_ns - 6 * NS_PER_S, token), 0);
	write_using(LUN_1, 0, 0, 10);
	expect_sense(KEY_ILLEGAL_REQUEST, ASC_TOKEN_EXPIRED);
	assert_int_equal(scsi_token_create(world.lu, &ranges, 5, now_ns, token), 0);
	assert_int_equal(scsi_token_use(world.lu, token, now_ns + 4 * NS_PER_S, &ranges), TOKEN_VALID);
	assert_int_equal(scsi_token_use(world.lu, token, now_ns + 8 * NS_PER_S, &ranges), TOKEN_VALID); /* it was used */
	assert_int_equal(scsi_token_use(world.lu, token, now_ns + 17 * NS_PER_S, &ranges), TOKEN_EXPIRED);
	assert_int_equal(world.lu->valid_tokens, 0);
	/* However much it is used. */
	assert_int_equal(scsi_token_create(world.lu, &ranges, TOKEN_INACTIVITY_MAX_S, now_ns, token), 0);
	for (unsigned s = 0; s < TOKEN_LIFETIME_MAX_S; s += 200)
		assert_int_equal(scsi_token_use(world.lu, token, now_ns + s * NS_PER_S, &ranges), TOKEN_VALID);
	assert_int_equal(scsi_token_use(world.lu, token, now_ns + TOKEN_LIFETIME_MAX_S * NS_PER_S, &ranges), TOKEN_EXPIRED);
}

/* Each way to change block 100; blocks 90 to 109 are the token's. */
static void change_by_write(void)
{
	stamp(0, 100, 1, 3);
}

static void change_by_write_same(void)
{
	uint8_t block[BLOCK] = { 1 };

	send_block(0, 0x93, 0, 100, 1, block, sizeof block);
	expect_good();
}

static void change_by_unmap(void)
{
	uint8_t bytes[24] = { 0, 22, 0, 16 }, cdb[16] = { 0x42, 0, 0, 0, 0, 0, 0, 0, 24 };

	put_be64(bytes + 8, 100);
	put_be32(bytes + 16, 1);
	send_from(0, cdb, 16, bytes, sizeof bytes);
	expect_good();
}

static void change_by_orwrite(void)
{
	uint8_t block[BLOCK] = { 1 };

	send_block(0, 0x8b, 0, 100, 1, block, sizeof block);
	expect_good();
}

static void change_by_write_and_verify(void)
{
	uint8_t block[BLOCK] = { 1 };

	send_block(0, 0x8e, 0, 100, 1, block, sizeof block);
	expect_good();
}

static void change_by_compare_and_write(void)
{
	uint8_t bytes[2 * BLOCK] = { 0 }, cdb[16] = { 0x89 };

	put_be64(bytes, 101);
	put_be32(bytes + 8, 1);
	put_be64(cdb + 2, 100);
	cdb[13] = 1;
	send_from(0, cdb, 16, bytes, sizeof bytes);
	expect_good();
}

static void change_by_copy(void)
{
	list_start(1);
	list_cscd(world.lun);
	list_segment(0, 0, 0, 100, 1);
	xcopy_from(0);
	expect_good();
}

static void change_by_token(void)
{
	uint8_t mine[COPY_TOKEN_BYTES];

	memcpy(mine, token, sizeof mine);
	populate(0, 1);
	write_using(0, 0, 100, 1);
	expect_good();
	memcpy(token, mine, sizeof mine);
}

static void b099_a_token_is_revoked_by_whatever_rewrites_its_source(void **state)
{
	static void (*const changes[])(void) = {
		change_by_write, change_by_write_same, change_by_unmap, change_by_orwrite, change_by_write_and_verify,
		change_by_compare_and_write, change_by_copy, change_by_token,
	};

	(void)state;
	for (unsigned i = 0; i < sizeof changes / sizeof changes[0]; i++) {
		stamp(0, 0, 200, 1);
		stamp(LUN_1, 0, 20, 2);
		populate(90, 20);
		changes[i]();
		write_using(LUN_1, 0, 0, 20);
		if (outcome.status != SCSI_CHECK_CONDITION || outcome.asc != ASC_TOKEN_REVOKED)
			fail_msg("change %u: status %02x, sense %x/%04x", i, outcome.status, outcome.key, outcome.asc);
		expect_stamps(LUN_1, 0, 20, 0, 2);
	}
}

static void writes_beside_the_source_leave_a_token_valid(void **state)
{
	uint8_t bytes[24] = { 0, 22, 0, 16 }, cdb[16] = { 0x42, 0, 0, 0, 0, 0, 0, 0, 24 };

	(void)state;
	stamp(0, 90, 20, 1);
	populate(90, 20);
	stamp(0, 0, 90, 3);
	stamp(0, 110, 90, 3);
	stamp(LUN_1, 90, 20, 3);
	put_be64(bytes + 8, 110);
	put_be32(bytes + 16, 1);
	send_from(0, cdb, 16, bytes, sizeof bytes);
	expect_good();
	write_using(LUN_1, 0, 0, 20);
	expect_good();
	expect_stamps(LUN_1, 0, 20, 90, 1);
}

static struct scsi_task *start(uint64_t lun, uint8_t action, uint32_t list_id)
{
	uint8_t cdb[16] = { 0x83, action };
	struct scsi_task *task;

	put_be32(cdb + 6, list_id);
	put_be32(cdb + 10, list_bytes);
	task = world_task(&world, world.nexus[0], lun, cdb, 16, list_bytes);
	assert_int_equal(scsi_task_begin(task), SCSI_NEEDS_DATA_OUT);
	world_give_data(&world, task, list, list_bytes);
	scsi_task_execute(task);
	return task;
}

static void end(struct scsi_task *task, uint8_t status)
{
	while (!task->tag)
		world_turn(&world);
	assert_int_equal(task->status, status);
	sgl_release(world.reactor.pool, &task->data, SGL_SCSI);
	scsi_task_end(task);
	free(task);
}

static void never(struct lun_lock *lock)
{
	(void)lock;
	fail();
}

static void a_token_is_made_when_writes_that_are_under_way_have_ended(void **state)
{
	struct lun_lock write = { .lun = world.lun, .lba = 95, .blocks = 1, .granted = never, .reply_to = &world.mailbox };
	struct scsi_task *task;

	(void)state;
	for (unsigned aborted = 0; aborted < 2; aborted++) {
		assert_true(lun_lock_take(&write));
		ranges_start(16);
		ranges_add(90, 20);
		ranges_end(16);
		task = start(0, 0x10, 1);
		world_turn(&world);
		assert_int_equal(task->tag, 0);
		assert_int_equal(world.lu->valid_tokens, aborted);
		task->aborted = aborted;
		lun_lock_release(&write);
		end(task, SCSI_GOOD);
		assert_int_equal(world.lu->valid_tokens, 1); /* an aborted command makes none */
	}
}

/* 8 MiB take two turns of the reactor; the source is written to between them. */
static void a_token_that_is_revoked_meanwhile_ends_the_copy(void **state)
{
	struct scsi_task *task;

	(void)state;
	stamp(0, BLOCKS - 1, 1, 1);
	stamp(LUN_1, BLOCKS - 1, 1, 2);
	populate(0, BLOCKS);
	write_start(0);
	ranges_add(0, BLOCKS);
	ranges_end(536);
	task = start(LUN_1, 0x11, 2);
	assert_int_equal(task->tag, 0);
	stamp(0, BLOCKS - 1, 1, 3);
	end(task, SCSI_CHECK_CONDITION);
	expect_stamps(LUN_1, BLOCKS - 1, 1, BLOCKS - 1, 2);
	information(0, LUN_1, 2);
	assert_int_equal(outcome.data[5], COPY_FAILED);
	assert_int_equal(get_be64(outcome.data + 16), COPY_TURN_PIECES * COPY_PIECE_BYTES / BLOCK);
}

/* Its own writes change what it stands for. */
static void a_token_cannot_be_written_over_its_own_source(void **state)
{
	(void)state;
	stamp(0, 0, 2000, 1);
	populate(0, 2000);
	write_using(0, 0, 100, 2000);
	expect_sense(KEY_ILLEGAL_REQUEST, ASC_TOKEN_REVOKED);
	populate(0, 100);
	write_using(0, 0, 100, 100);
	expect_good();
}

static void a_token_is_deleted_when_that_is_asked_for(void **state)
{
	(void)state;
	populate(0, 10);
	write_start(0);
	list[2] = 0x02; /* DEL_TKN */
	ranges_add(0, 10);
	ranges_end(536);
	send_token_list(0, LUN_1, 0x11, 2);
	expect_good();
	assert_int_equal(world.lu->valid_tokens, 0);
	send_token_list(0, LUN_1, 0x11, 2);
	expect_sense(KEY_ILLEGAL_REQUEST, ASC_TOKEN_UNKNOWN);
}

static void the_zero_token_needs_no_source(void **state)
{
	(void)state;
	stamp(0, 0, 100, 1);
	memset(token, 0, sizeof token);
	put_be32(token, 0xffff0001);
	put_be16(token + 6, 504);
	write_using(0, 0, 10, 50);
	expect_good();
	expect_stamps(0, 0, 10, 0, 1);
	expect_zeroes(0, 10, 50);
	expect_stamps(0, 60, 40, 60, 1);
	token[511] = 1;
	write_using(0, 0, 0, 10);
	expect_sense(KEY_ILLEGAL_REQUEST, ASC_TOKEN_CORRUPT);
}

static void lists_of_ranges_are_checked_to_their_end(void **state)
{
	static const struct {
		uint64_t lba;
		uint32_t blocks;
		uint16_t asc;
	} cases[] = {
		{ 5, 1, ASC_INVALID_FIELD_IN_LIST }, /* overlaps the first */
		{ BLOCKS, 1, ASC_LBA_OUT_OF_RANGE }, { UINT64_MAX, 2, ASC_LBA_OUT_OF_RANGE },
		{ BLOCKS - 1, 2, ASC_LBA_OUT_OF_RANGE },
	};

	(void)state;
	populate(0, 10);
	for (unsigned action = 0x10; action <= 0x11; action++) {
		uint32_t header = action == 0x10 ? 16 : 536;

		for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
			write_start(0);
			if (action == 0x10)
				ranges_start(16);
			ranges_add(0, 10);
			ranges_add(cases[i].lba, cases[i].blocks);
			ranges_end(header);
			send_token_list(0, 0, (uint8_t)action, 9);
			expect_sense(KEY_ILLEGAL_REQUEST, cases[i].asc);
		}
		ranges_start(header);
		for (unsigned i = 0; i <= COPY_RANGE_MAX; i++)
			ranges_add(2 * i, 1);
		ranges_end(header);
		send_token_list(0, 0, (uint8_t)action, 9);
		expect_sense(KEY_ILLEGAL_REQUEST, ASC_TOO_MANY_SEGMENTS);
		ranges_start(header);
		ranges_end(header);
		send_token_list(0, 0, (uint8_t)action, 9); /* no range at all */
		expect_sense(KEY_ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_LIST);
	}
}

static void lists_of_ranges_that_are_cut_are_refused(void **state)
{
	(void)state;
	for (uint8_t action = 0x10; action <= 0x11; action++) {
		uint32_t header = action == 0x10 ? 16 : 536;

		for (uint32_t len = 1; len < header + 16; len++) {
			ranges_start(header);
			ranges_add(0, 10);
			ranges_end(header);
			list_bytes = len;
			send_token_list(0, 0, action, 9);
			assert_int_equal(outcome.status, SCSI_CHECK_CONDITION);
			assert_int_equal(outcome.key, KEY_ILLEGAL_REQUEST);
		}
	}
}

static void what_a_token_is_asked_to_be_is_checked(void **state)
{
	static const struct {
		uint8_t flags;
		uint32_t inactivity_s, type;
		uint16_t asc; /* 0: good */
	} cases[] = {
		{ 0, TOKEN_INACTIVITY_MAX_S, 0, 0 }, { 0, TOKEN_INACTIVITY_MAX_S + 1, 0, ASC_INVALID_FIELD_IN_LIST },
		{ 0x02, 0, ROD_CHANGE_VULNERABLE, 0 }, { 0x02, 0, ROD_ANY_POINT_IN_TIME, 0 }, { 0x02, 0, 0x00800002, ASC_TOKEN_TYPE },
		{ 0x02, 0, 0x00010000, ASC_TOKEN_TYPE }, { 0, 0, 0x00010000, 0 }, /* RTV 0: the type is not looked at */
	};

	(void)state;
	for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		ranges_start(16);
		list[2] = cases[i].flags;
		put_be32(list + 4, cases[i].inactivity_s);
		put_be32(list + 8, cases[i].type);
		ranges_add(0, 10);
		ranges_end(16);
		send_token_list(0, 0, 0x10, 9);
		if (cases[i].asc)
			expect_sense(KEY_ILLEGAL_REQUEST, cases[i].asc);
		else
			expect_good();
	}
}

static void valid_tokens_are_limited_and_spent_ones_give_way(void **state)
{
	uint8_t first[COPY_TOKEN_BYTES];

	(void)state;
	populate(0, 1);
	memcpy(first, token, sizeof first);
	for (unsigned i = 1; i < TOKENS_MAX; i++)
		populate(i, 1);
	ranges_start(16);
	ranges_add(TOKENS_MAX, 1);
	ranges_end(16);
	send_token_list(0, 0, 0x10, 1);
	expect_sense(KEY_ILLEGAL_REQUEST, ASC_NO_RESOURCES_FOR_TOKEN);
	stamp(0, 0, 1, 1); /* revokes the first */
	populate(TOKENS_MAX, 1);
	assert_int_equal(world.lu->token_count, TOKENS_MAX);
	assert_int_equal(world.lu->valid_tokens, TOKENS_MAX);
	memcpy(token, first, sizeof first);
	write_using(LUN_1, 0, 0, 1);
	expect_sense(KEY_ILLEGAL_REQUEST, ASC_TOKEN_UNKNOWN);
}

static void a_token_does_not_get_around_reservations(void **state)
{
	(void)state;
	populate(0, 10);
	pr_out(1, 0, 0, 0, 0, 0xabc);
	pr_out(1, 0, 1, 3, 0xabc, 0); /* exclusive access: nobody else reads the source */
	write_using(LUN_1, 0, 0, 10);
	expect_conflict();
	ranges_start(16);
	ranges_add(0, 10);
	ranges_end(16);
	send_token_list(0, 0, 0x10, 3);
	expect_conflict();
	pr_out(1, 0, 3, 0, 0xabc, 0);
	clear_attentions();
	pr_out(1, LUN_1, 0, 0, 0, 0xabc);
	pr_out(1, LUN_1, 1, 1, 0xabc, 0);
	write_using(LUN_1, 0, 0, 10);
	expect_conflict();
}

/* The first piece of a slow store takes longer than a client waits: GOOD, and how far it came. */
static void a_write_that_takes_too_long_ends_with_a_residual(void **state)
{
	(void)state;
	copy_tear_down(NULL);
	copy_world_init(&(struct world_options){ .store_kind = "fault", .store_params =
			"{\"inner\": {\"kind\": \"memory\"}, \"rules\": [{\"op\": \"read\", \"count\": 4, \"delay_ms\": 3100}]}" },
			&(struct world_options){ 0 });
	populate(0, BLOCKS);
	write_using(LUN_1, 0, 0, BLOCKS);
	expect_good();
	information(0, LUN_1, 2);
	assert_int_equal(outcome.data[5], COPY_RESIDUAL);
	assert_int_equal(get_be64(outcome.data + 16), COPY_LANES * COPY_PIECE_BYTES / BLOCK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		COPY_TEST(a_token_stands_for_the_data_of_its_ranges),
		COPY_TEST(a_token_is_used_from_an_offset_on),
		COPY_TEST(the_token_comes_with_the_state_of_its_command),
		COPY_TEST(b099_tokens_that_nobody_made_are_refused),
		COPY_TEST(b099_the_token_of_another_tenant_is_unknown),
		COPY_TEST(b099_a_token_expires),
		COPY_TEST(b099_a_token_is_revoked_by_whatever_rewrites_its_source),
		COPY_TEST(writes_beside_the_source_leave_a_token_valid),
		COPY_TEST(a_token_is_made_when_writes_that_are_under_way_have_ended),
		COPY_TEST(a_token_that_is_revoked_meanwhile_ends_the_copy),
		COPY_TEST(a_token_cannot_be_written_over_its_own_source),
		COPY_TEST(a_token_is_deleted_when_that_is_asked_for),
		COPY_TEST(the_zero_token_needs_no_source),
		COPY_TEST(lists_of_ranges_are_checked_to_their_end),
		COPY_TEST(lists_of_ranges_that_are_cut_are_refused),
		COPY_TEST(what_a_token_is_asked_to_be_is_checked),
		COPY_TEST(valid_tokens_are_limited_and_spent_ones_give_way),
		COPY_TEST(a_token_does_not_get_around_reservations),
		COPY_TEST(a_write_that_takes_too_long_ends_with_a_residual),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
