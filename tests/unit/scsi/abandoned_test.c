/* Writes that were given up and may still land (abandoned.c): who would write there meanwhile is told to wait. */
#include "dataplane/store/fault.h"
#include "tests/unit/scsi/copy_world.h"

#define PIECE 64u  /* blocks that are copied */
#define AT    100u /* where to, on LUN 1 */

static int holding_set_up(void **state)
{
	(void)state;
	copy_world_init(&(struct world_options){ .store_kind = "fault", .store_params = "{\"inner\":{\"kind\":\"memory\"},\"rules\":[]}" },
			&(struct world_options){ 0 });
	stamp(0, 0, PIECE, 1);
	return 0;
}

static void hold(const char *rules)
{
	struct err err = { 0 };

	assert_true(store_fault_set_rules(world.store, rules, &err) >= 0);
}

static void until_held(void)
{
	for (unsigned i = 0; store_fault_held(world.store) == 0; i++) {
		assert_true(i < 1000);
		world_turn(&world);
	}
	hold(NULL); /* who comes later is not held */
}

static uint8_t write_from(unsigned nexus, uint64_t lba, uint32_t blocks)
{
	uint8_t *bytes = calloc(blocks, BLOCK), cdb[16];

	block_cdb(cdb, 0x8a, 0, lba, blocks);
	world_run(&world, world.nexus[nexus], LUN_1, cdb, 16, bytes, blocks * BLOCK, &outcome);
	free(bytes);
	return outcome.status;
}

static struct scsi_task *begin_copy(bool immediate)
{
	list_start(4);
	list_cscd(world.lun);
	list_cscd(second.lun);
	list_segment(0, 1, 0, AT, PIECE);
	if (immediate)
		to_lid4(4, true);
	return begin_listed(immediate);
}

static void copy_is_given_up(bool immediate)
{
	struct scsi_task *task;

	hold("[{\"op\": \"write\", \"count\": 0, \"hold\": true}]");
	task = begin_copy(immediate);
	until_held();
	assert_int_equal(write_from(1, 10, 1), SCSI_GOOD);
	task->aborted = true;
	scsi_task_aborted(task);
	assert_int_equal(write_from(1, AT, 1), SCSI_BUSY);
	assert_int_equal(write_from(1, AT + PIECE - 1, 4), SCSI_BUSY);
	assert_int_equal(write_from(1, AT - 1, 1), SCSI_GOOD);
	assert_int_equal(write_from(1, AT + PIECE, 1), SCSI_GOOD);
	list_start(9);
	list_cscd(world.lun);
	list_cscd(second.lun);
	list_segment(0, 1, 0, AT + 8, 1);
	xcopy_from(1);
	expect_sense(KEY_COPY_ABORTED, ASC_NONE);
	store_fault_release(world.store);
	end_copy(task);
	free(task);
	assert_int_equal(write_from(1, AT, 1), SCSI_GOOD);
}

static void nobody_writes_where_a_copy_that_was_given_up_still_does(void **state)
{
	(void)state;
	copy_is_given_up(false);
	copy_is_given_up(true);
}

static void a_copy_that_was_given_up_while_it_read_is_in_nobodys_way(void **state)
{
	struct scsi_task *task;

	(void)state;
	hold("[{\"op\": \"read\", \"count\": 0, \"hold\": true}]");
	task = begin_copy(false);
	until_held();
	task->aborted = true;
	scsi_task_aborted(task);
	assert_int_equal(write_from(1, AT, 1), SCSI_GOOD);
	store_fault_release(world.store);
	end_copy(task);
	free(task);
	expect_zeroes(LUN_1, AT, PIECE);
}

static void nobody_writes_where_a_write_that_was_given_up_still_does(void **state)
{
	static const uint8_t bytes[8 * BLOCK];
	struct scsi_task *task;
	uint8_t cdb[16];

	(void)state;
	hold("[{\"op\": \"write\", \"count\": 0, \"hold\": true}]");
	block_cdb(cdb, 0x8a, 0, AT, 8);
	task = world_task(&world, world.nexus[0], LUN_1, cdb, 16, sizeof bytes);
	assert_int_equal(scsi_task_begin(task), SCSI_NEEDS_DATA_OUT);
	world_give_data(&world, task, bytes, sizeof bytes);
	scsi_task_execute(task);
	until_held();
	task->aborted = true;
	scsi_task_aborted(task);
	assert_int_equal(write_from(1, AT + 7, 1), SCSI_BUSY);
	assert_int_equal(write_from(1, AT + 8, 1), SCSI_GOOD);
	store_fault_release(world.store);
	end_copy(task);
	free(task);
	assert_int_equal(write_from(1, AT, 1), SCSI_GOOD);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, holding_set_up, copy_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(nobody_writes_where_a_copy_that_was_given_up_still_does),
		TEST(a_copy_that_was_given_up_while_it_read_is_in_nobodys_way),
		TEST(nobody_writes_where_a_write_that_was_given_up_still_does),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
