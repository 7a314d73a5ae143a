/* EXTENDED COPY(LID4) with IMMED: a background copy operation (SPC-4 5.17.4.3). */
#include "tests/unit/scsi/copy_world.h"

/* From LUN 0 to LUN 1, with list identifier 4; its command is answered. */
static struct scsi_task *begin_background(void)
{
	struct scsi_task *task;

	list_start(0);
	list_cscd(world.lun);
	list_cscd(second.lun);
	list_segment(0, 1, 0, 0, BLOCKS);
	to_lid4(4, true);
	world_answers = 0;
	task = begin_listed(1);
	assert_int_equal(world_answers, 1);
	assert_int_equal(task->tag, 0); /* and the copy goes on */
	assert_int_equal(task->order, ORDER_OUT);
	return task;
}

static void expect_background(uint8_t copy_state, uint8_t status)
{
	send(BYTES(0x84, 0x05, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 1, 0));
	expect_good();
	assert_int_equal(outcome.data[5], copy_state);
	assert_int_equal(outcome.data[12], status);
}

static void an_immediate_copy_is_answered_and_goes_on(void **state)
{
	struct scsi_task *task;
	uint8_t cdb[16];

	(void)state;
	stamp(0, 0, 1, 1);
	stamp(0, BLOCKS - 1, 1, 1);
	task = begin_background();
	expect_background(COPY_IN_PROGRESS, SCSI_GOOD);
	xcopy_cdb(cdb, 1); /* its identifier is taken */
	send_from(0, cdb, 16, list, list_bytes);
	expect_sense(KEY_ILLEGAL_REQUEST, ASC_OPERATION_IN_PROGRESS);
	assert_true(scsi_task_uses(task, second.lu));
	end_copy(task);
	free(task);
	assert_int_equal(world_answers, 1);
	expect_background(COPY_COMPLETED, SCSI_GOOD);
	expect_stamps(LUN_1, 0, 1, 0, 1);
	expect_stamps(LUN_1, BLOCKS - 1, 1, BLOCKS - 1, 1);
}

static void an_immediate_copy_is_checked_before_it_is_answered(void **state)
{
	uint8_t cdb[16];

	(void)state;
	world_answers = 0;
	list_start(0);
	list_cscd(world.lun);
	list_segment(0, 0, 0, BLOCKS, 1);
	to_lid4(4, true);
	xcopy_cdb(cdb, 1);
	send_from(0, cdb, 16, list, list_bytes);
	expect_sense(KEY_COPY_ABORTED, ASC_NONE);
	list[1] = 3 << 3; /* LIST ID USAGE: nobody could ask for the result */
	put_be32(list + 20, 0);
	send_from(0, cdb, 16, list, list_bytes);
	expect_sense(KEY_ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_LIST);
	assert_int_equal(world_answers, 0);
}

static void a_reservation_stops_an_immediate_copy_and_its_status_says_so(void **state)
{
	struct scsi_task *task;

	(void)state;
	stamp(LUN_1, BLOCKS - 1, 1, 2);
	task = begin_background();
	pr_out(1, LUN_1, 0, 0, 0, 0xabc);
	pr_out(1, LUN_1, 1, 1, 0xabc, 0);
	end_copy(task);
	free(task);
	expect_background(COPY_FAILED, SCSI_RESERVATION_CONFLICT);
	expect_stamps(LUN_1, BLOCKS - 1, 1, BLOCKS - 1, 2);
}

static void an_immediate_copy_is_stopped_by_what_ends_its_nexus_and_by_copy_operation_abort(void **state)
{
	(void)state;
	stamp(LUN_1, BLOCKS - 1, 1, 2);
	for (unsigned way = 0; way < 2; way++) {
		struct scsi_task *task = begin_background();

		if (way) {
			send(BYTES(0x83, 0x1c, 0, 0, 0, 4));
			expect_good();
		} else {
			task->aborted = true;
		}
		end_copy(task);
		free(task);
		expect_background(COPY_TERMINATED, SCSI_CHECK_CONDITION);
		expect_stamps(LUN_1, BLOCKS - 1, 1, BLOCKS - 1, 2);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		COPY_TEST(an_immediate_copy_is_answered_and_goes_on),
		COPY_TEST(an_immediate_copy_is_checked_before_it_is_answered),
		COPY_TEST(a_reservation_stops_an_immediate_copy_and_its_status_says_so),
		COPY_TEST(an_immediate_copy_is_stopped_by_what_ends_its_nexus_and_by_copy_operation_abort),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
