/* SANITIZE: what it writes, what it lets through meanwhile, how it fails, how it goes on after a restart. */
#include <fcntl.h>

#include "tests/unit/scsi/documents.h"

#define CAPACITY (WORLD_BYTES / 512)
#define SLOW     (16u << 20) /* bytes a second: half a second for a pass */
#define FAST     (1u << 30)

enum { OVERWRITE = 0x01, BLOCK_ERASE = 0x02, EXIT_FAILURE_MODE = 0x1f, IMMED = 0x80, AUSE = 0x20, INVERT = 0x80 };
enum { MAPPED = 0, DEALLOCATED = 1 }; /* PROVISIONING STATUS */

static int begin(void **state)
{
	(void)state;
	scsi_sanitize_set_rate(FAST);
	return begin_with((struct world_options){ 0 });
}

static void overwrite(unsigned nexus, uint8_t flags, uint8_t header, const char *pattern)
{
	uint8_t list[4 + 512] = { header };
	size_t len = strlen(pattern);

	put_be16(list + 2, (uint16_t)len);
	memcpy(list + 4, pattern, len);
	send_from(nexus, (uint8_t[]){ 0x48, OVERWRITE | flags, 0, 0, 0, 0, 0, 0, (uint8_t)(len + 4), 0 }, 10, list, len + 4);
}

static void no_list(uint8_t action, uint8_t flags)
{
	send((uint8_t[]){ 0x48, action | flags, 0, 0, 0, 0, 0, 0, 0, 0 }, 10);
}

static void expect_pattern(uint64_t lba, const char *pattern)
{
	send_block(0, 0x88, 0, lba, 2, NULL, 0);
	expect_good();
	for (unsigned i = 0; i < 1024; i++)
		assert_int_equal(outcome.data[i], (uint8_t)pattern[i % 512 % strlen(pattern)]);
}

static bool running(void)
{
	send(BYTES(0x00, 0, 0, 0, 0, 0));
	return outcome.status == SCSI_CHECK_CONDITION && outcome.key == KEY_NOT_READY && outcome.asc == ASC_SANITIZE_IN_PROGRESS;
}

static void wait_for_the_end(void)
{
	for (unsigned i = 0; running(); i++) {
		assert_true(i < 10000);
		usleep(5000);
	}
}

static json_t *document(void)
{
	return document_of("sanitize");
}

/* --- what it does --- */

static void overwrite_puts_the_pattern_into_every_block(void **state)
{
	(void)state;
	fill_blocks(0, 256, 0x11);
	overwrite(0, 0, 1, "abc");
	expect_good();
	for (uint64_t lba = 0; lba < CAPACITY; lba += 1022)
		expect_pattern(lba, "abc");
	expect_pattern(CAPACITY - 2, "abc");
	assert_null(document());
	fill_blocks(7, 1, 0x22);
	expect_blocks(7, 1, 0x22);
}

static void inverted_passes_end_with_the_pattern_itself(void **state)
{
	(void)state;
	for (uint8_t passes = 1; passes < 4; passes++) {
		overwrite(0, 0, INVERT | passes, "xyz");
		expect_good();
		expect_pattern(0, "xyz");
		expect_pattern(CAPACITY - 2, "xyz");
	}
}

/* GET LBA STATUS tells of one range, the whole LUN, in this state. */
static void expect_all(uint8_t provisioning_status)
{
	send(BYTES(0x9e, 0x12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0));
	expect_good();
	assert_int_equal(get_be32(outcome.data), 4 + 16);
	assert_int_equal(get_be32(outcome.data + 16), CAPACITY);
	assert_int_equal(outcome.data[20], provisioning_status);
}

static void block_erase_leaves_nothing_mapped(void **state)
{
	(void)state;
	fill_blocks(0, 256, 0x11);
	fill_blocks(CAPACITY - 256, 256, 0x11);
	no_list(BLOCK_ERASE, 0);
	expect_good();
	expect_blocks(0, 256, 0);
	expect_blocks(CAPACITY - 256, 256, 0);
	expect_all(DEALLOCATED);
}

static void fully_provisioned(uint8_t byte)
{
	options.thick = true;
	renew_world();
	for (uint64_t lba = 0; lba < CAPACITY; lba += 256)
		fill_blocks(lba, 256, byte);
}

static void expect_all_zeroes_and_mapped(void)
{
	for (uint64_t lba = 0; lba < CAPACITY; lba += 256)
		expect_blocks(lba, 256, 0);
	expect_all(MAPPED);
	assert_null(document());
}

static void block_erase_of_a_fully_provisioned_lun_leaves_zeroes_and_all_mapped(void **state)
{
	(void)state;
	fully_provisioned(0x11);
	no_list(BLOCK_ERASE, 0);
	expect_good();
	expect_all_zeroes_and_mapped();
}

static void block_erase_of_a_fully_provisioned_lun_goes_on_after_a_restart(void **state)
{
	(void)state;
	fully_provisioned(0x11);
	scsi_sanitize_set_rate(SLOW);
	no_list(BLOCK_ERASE, IMMED);
	expect_good();
	assert_true(running());
	restart();
	assert_true(running());
	wait_for_the_end();
	expect_all_zeroes_and_mapped();
}

static void wrong_lists_are_refused_before_anything_is_written(void **state)
{
	static const struct {
		uint8_t len, list[8];
		uint16_t asc;
	} bad[] = {
		{ 4, { 1, 0, 0, 1 }, ASC_INVALID_FIELD_IN_CDB },       /* no pattern */
		{ 5, { 0, 0, 0, 1, 'a' }, ASC_INVALID_FIELD_IN_LIST }, /* no pass */
		{ 5, { 1, 0, 0, 0, 'a' }, ASC_INVALID_FIELD_IN_LIST }, /* pattern of no bytes */
		{ 5, { 1, 0, 2, 1, 'a' }, ASC_INVALID_FIELD_IN_LIST }, /* longer than a block */
		{ 5, { 1, 0, 0, 2, 'a' }, ASC_PARAMETER_LIST_LENGTH }, /* longer than the list */
		{ 5, { 0x21, 0, 0, 1, 'a' }, ASC_INVALID_FIELD_IN_LIST }, /* TEST */
		{ 5, { 1, 1, 0, 1, 'a' }, ASC_INVALID_FIELD_IN_LIST },
	};

	(void)state;
	fill_blocks(0, 1, 0x11);
	for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		send_from(0, (uint8_t[]){ 0x48, OVERWRITE, 0, 0, 0, 0, 0, 0, bad[i].len, 0 }, 10, bad[i].list, bad[i].len);
		expect_sense(KEY_ILLEGAL_REQUEST, bad[i].asc);
	}
	send(BYTES(0x48, OVERWRITE, 0, 0, 0, 0, 0, 0x02, 0x05, 0)); /* more than a block and a header */
	expect_sense(KEY_ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_CDB);
	send(BYTES(0x48, BLOCK_ERASE, 0, 0, 0, 0, 0, 0, 8, 0));
	expect_sense(KEY_ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_CDB);
	send(BYTES(0x48, 0x03, 0, 0, 0, 0, 0, 0, 0, 0)); /* CRYPTOGRAPHIC ERASE: nothing here is encrypted */
	expect_sense(KEY_ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_CDB);
	send_from(0, BYTES(0x48, OVERWRITE, 0, 0, 0, 0, 0, 0, 8, 0), "\1\0\0\4ab", 6); /* half of it came */
	expect_sense(KEY_ILLEGAL_REQUEST, ASC_PARAMETER_LIST_LENGTH);
	expect_blocks(0, 1, 0x11);
}

/* --- meanwhile --- */

static void nothing_else_reaches_the_medium_meanwhile(void **state)
{
	uint8_t block[512] = { 0 };

	(void)state;
	scsi_sanitize_set_rate(SLOW);
	overwrite(0, IMMED, 1, "a");
	expect_good();
	assert_true(running());
	assert_int_equal(outcome.sense[15] & 0x80, 0x80); /* SKSV: progress */
	send_block(1, 0x88, 0, 0, 1, NULL, 0);
	expect_sense(KEY_NOT_READY, ASC_SANITIZE_IN_PROGRESS);
	send_block(1, 0x8a, 0, 0, 1, block, 512);
	expect_sense(KEY_NOT_READY, ASC_SANITIZE_IN_PROGRESS);
	overwrite(1, 0, 1, "b");
	expect_sense(KEY_NOT_READY, ASC_SANITIZE_IN_PROGRESS);
	no_list(EXIT_FAILURE_MODE, 0);
	expect_sense(KEY_NOT_READY, ASC_SANITIZE_IN_PROGRESS);
	send(BYTES(0x12, 0, 0, 0, 36, 0));
	expect_good();
	send(BYTES(0x03, 0, 0, 0, 18, 0)); /* REQUEST SENSE */
	expect_good();
	assert_int_equal(outcome.data[2], KEY_NOT_READY);
	assert_int_equal(get_be16(outcome.data + 12), ASC_SANITIZE_IN_PROGRESS);
	assert_int_equal(outcome.data[15], 0x80);
	scsi_lu_reset(world.lu, NULL);
	send(BYTES(0x00, 0, 0, 0, 0, 0));
	expect_sense(KEY_UNIT_ATTENTION, 0x2903);
	assert_true(running());
	wait_for_the_end();
	expect_pattern(CAPACITY - 2, "a");
}

static void a_write_that_was_begun_before_is_not_done_after(void **state)
{
	struct scsi_task *task;
	uint8_t cdb[16], block[512];

	(void)state;
	memset(block, 0x77, sizeof block);
	block_cdb(cdb, 0x8a, 0, 5, 1);
	task = world_task(&world, world.nexus[1], 0, cdb, sizeof cdb, 512);
	assert_int_equal(scsi_task_begin(task), SCSI_NEEDS_DATA_OUT);
	overwrite(0, 0, 1, "q");
	expect_good();
	world_execute(&world, task, block, 512, &outcome);
	assert_int_equal(task->status, SCSI_CHECK_CONDITION);
	scsi_task_end(task);
	free(task);
	expect_pattern(4, "q");
}

static void an_aborted_command_loses_its_answer_and_nothing_else(void **state)
{
	uint8_t list[5] = { 1, 0, 0, 1, 'w' };
	struct scsi_task *task = world_task(&world, world.nexus[1], 0, BYTES(0x48, OVERWRITE, 0, 0, 0, 0, 0, 0, 5, 0), 5);

	(void)state;
	scsi_sanitize_set_rate(SLOW);
	assert_int_equal(scsi_task_begin(task), SCSI_NEEDS_DATA_OUT);
	world_give_data(&world, task, list, sizeof list);
	scsi_task_execute(task);
	assert_true(running());
	task->aborted = true;
	while (!task->tag)
		world_turn(&world);
	assert_true(running());
	sgl_release(world.reactor.pool, &task->data, SGL_SCSI);
	scsi_task_end(task);
	free(task);
	wait_for_the_end();
	expect_pattern(CAPACITY - 2, "w");
}

static void protection_and_reservations_stand_above_it(void **state)
{
	uint8_t list[24] = { 0 };

	(void)state;
	fill_blocks(0, 1, 0x11);
	atomic_store(&world.lu->protect, PROTECT_SOFTWARE);
	overwrite(0, 0, 1, "a");
	expect_sense(KEY_DATA_PROTECT, ASC_SOFTWARE_WRITE_PROTECTED);
	atomic_store(&world.lu->protect, 0);
	put_be64(list + 8, 0x1234);
	send_from(1, BYTES(0x5f, 0, 0, 0, 0, 0, 0, 0, 24, 0), list, 24); /* REGISTER */
	expect_good();
	put_be64(list, 0x1234);
	send_from(1, BYTES(0x5f, 1, 1, 0, 0, 0, 0, 0, 24, 0), list, 24); /* RESERVE, write exclusive */
	expect_good();
	overwrite(0, 0, 1, "a");
	expect_conflict();
	no_list(BLOCK_ERASE, 0);
	expect_conflict();
	expect_blocks(0, 1, 0x11);
	overwrite(1, 0, 1, "a");
	expect_good();
}

/* --- restarts and failures --- */

static void a_restart_goes_on_where_it_was(void **state)
{
	json_t *content;

	(void)state;
	fill_blocks(CAPACITY - 256, 256, 0x11);
	scsi_sanitize_set_rate(SLOW);
	overwrite(0, IMMED, INVERT | 2, "ab");
	expect_good();
	for (unsigned i = 0; i < 3; i++) {
		restart();
		assert_true(running());
		content = document();
		assert_string_equal(json_string_value(json_object_get(content, "state")), "running");
		json_decref(content);
	}
	wait_for_the_end();
	expect_pattern(0, "ab");
	expect_pattern(CAPACITY - 2, "ab");
	assert_null(document());
	restart();
	assert_false(running());
}

static void a_document_that_is_not_valid_keeps_the_lun_closed(void **state)
{
	json_t *content = json_pack("{s:s}", "state", "running");
	struct err err = { 0 };
	char name[64];

	(void)state;
	document_name("sanitize", name);
	assert_int_equal(docstore_publish(options.documents, name, content, 0, NULL, NULL), 0);
	json_decref(content);
	assert_null(scsi_lu_new(world.lun, &world.services, &err));
	assert_non_null(strstr(err.text, "sanitize"));
}

static void expect_failure_mode(void)
{
	send(BYTES(0x00, 0, 0, 0, 0, 0));
	expect_sense(KEY_MEDIUM_ERROR, ASC_SANITIZE_FAILED);
	send_block(0, 0x88, 0, 0, 1, NULL, 0);
	expect_sense(KEY_MEDIUM_ERROR, ASC_SANITIZE_FAILED);
	send(BYTES(0x12, 0, 0, 0, 36, 0));
	expect_good();
	send(BYTES(0x03, 0, 0, 0, 18, 0));
	expect_good();
	assert_int_equal(outcome.data[2], KEY_MEDIUM_ERROR);
}

static const char second_write_fails[] = "{\"inner\":{\"kind\":\"memory\"},\"rules\":[{\"op\":\"write\",\"nth\":2,\"error\":\"EIO\"}]}";
static const char flush_fails[] = "{\"inner\":{\"kind\":\"memory\"},\"rules\":[{\"op\":\"flush\",\"error\":\"EIO\"}]}";

static void a_restricted_failure_ends_by_success_only(void **state)
{
	(void)state;
	with_store("fault", second_write_fails);
	overwrite(0, 0, 1, "a");
	expect_sense(KEY_MEDIUM_ERROR, ASC_SANITIZE_FAILED);
	expect_failure_mode();
	no_list(EXIT_FAILURE_MODE, 0);
	expect_sense(KEY_ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_CDB);
	overwrite(0, AUSE, 1, "a");
	expect_sense(KEY_ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_CDB);
	restart();
	expect_failure_mode();
	overwrite(0, 0, 1, "b");
	expect_good();
	expect_pattern(0, "b");
}

static void an_unrestricted_failure_can_be_left(void **state)
{
	(void)state;
	with_store("fault", flush_fails);
	no_list(EXIT_FAILURE_MODE, 0); /* there is none: nothing to do */
	expect_good();
	overwrite(0, AUSE, 1, "a");
	expect_sense(KEY_MEDIUM_ERROR, ASC_SANITIZE_FAILED);
	expect_failure_mode();
	no_list(EXIT_FAILURE_MODE, 0);
	expect_good();
	expect_pattern(0, "a");
	assert_null(document());
	restart();
	expect_pattern(0, "a");
}

static void what_cannot_be_noted_is_not_begun(void **state)
{
	int fd;

	(void)state;
	fill_blocks(0, 1, 0x11);
	scratch_remove(root);
	fd = open(root, O_CREAT | O_WRONLY, 0600); /* no directory: no document */
	assert_true(fd >= 0);
	close(fd);
	overwrite(0, 0, 1, "a");
	assert_int_equal(outcome.status, SCSI_CHECK_CONDITION);
	assert_int_not_equal(outcome.asc, ASC_SANITIZE_FAILED);
	expect_blocks(0, 1, 0x11);
	overwrite(0, IMMED, 1, "a");
	assert_int_equal(outcome.status, SCSI_CHECK_CONDITION);
	expect_blocks(0, 1, 0x11);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		DOCUMENTS_TEST(overwrite_puts_the_pattern_into_every_block),
		DOCUMENTS_TEST(inverted_passes_end_with_the_pattern_itself),
		DOCUMENTS_TEST(block_erase_leaves_nothing_mapped),
		DOCUMENTS_TEST(block_erase_of_a_fully_provisioned_lun_leaves_zeroes_and_all_mapped),
		DOCUMENTS_TEST(block_erase_of_a_fully_provisioned_lun_goes_on_after_a_restart),
		DOCUMENTS_TEST(wrong_lists_are_refused_before_anything_is_written),
		DOCUMENTS_TEST(nothing_else_reaches_the_medium_meanwhile),
		DOCUMENTS_TEST(a_write_that_was_begun_before_is_not_done_after),
		DOCUMENTS_TEST(an_aborted_command_loses_its_answer_and_nothing_else),
		DOCUMENTS_TEST(protection_and_reservations_stand_above_it),
		DOCUMENTS_TEST(a_restart_goes_on_where_it_was),
		DOCUMENTS_TEST(a_document_that_is_not_valid_keeps_the_lun_closed),
		DOCUMENTS_TEST(a_restricted_failure_ends_by_success_only),
		DOCUMENTS_TEST(an_unrestricted_failure_can_be_left),
		DOCUMENTS_TEST(what_cannot_be_noted_is_not_begun),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
