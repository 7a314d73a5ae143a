/* Writes of one host by several paths (paths.c): no older one lands behind a newer one, though nobody noticed that its path is gone. */
#include "tests/unit/scsi/check.h"

#define OLD 0x11
#define NEW 0x22
#define LBA 64 /* the first write to it stalls: the medium sees it late */

static const char stalling[] =
	"{\"inner\":{\"kind\":\"memory\"},\"rules\":[{\"op\":\"write\",\"offset\":32768,\"length\":512,\"delay_ms\":100,\"stall\":true}]}";

static int one_host(void **state)
{
	(void)state;
	world_init(&world, &(struct world_options){ .one_initiator = true, .store_kind = "fault", .store_params = stalling });
	return 0;
}

static int several_hosts(void **state)
{
	(void)state;
	world_init(&world, &(struct world_options){ .store_kind = "fault", .store_params = stalling });
	return 0;
}

static bool gone(const struct scsi_task *task)
{
	(void)task;
	return true;
}

/* A command with a block of data-out, apart from its end. */
static struct scsi_task *start(unsigned nexus, const uint8_t *cdb, unsigned cdb_len, const uint8_t *out,
			       bool (*path_gone)(const struct scsi_task *))
{
	struct scsi_task *task = world_task(&world, world.nexus[nexus], 0, cdb, cdb_len, 512);

	task->path_gone = path_gone;
	assert_int_equal(scsi_task_begin(task), SCSI_NEEDS_DATA_OUT);
	world_give_data(&world, task, out, 512);
	scsi_task_execute(task);
	return task;
}

static struct scsi_task *start_write(unsigned nexus, uint64_t lba, uint8_t fill, bool (*path_gone)(const struct scsi_task *))
{
	uint8_t cdb[16], bytes[512];

	block_cdb(cdb, 0x8a, 0, lba, 1);
	memset(bytes, fill, sizeof bytes);
	return start(nexus, cdb, sizeof cdb, bytes, path_gone);
}

static struct scsi_task *start_unmap(unsigned nexus, uint64_t lba, uint32_t blocks, bool (*path_gone)(const struct scsi_task *))
{
	uint8_t list[512] = { 0, 22, 0, 16 };

	put_be64(list + 8, lba);
	put_be32(list + 16, blocks);
	return start(nexus, BYTES(0x42, 0, 0, 0, 0, 0, 0, 0, 24, 0), list, path_gone);
}

static bool is_done(const struct scsi_task *task)
{
	return task->tag;
}

static void end(struct scsi_task *task, uint8_t status)
{
	while (!is_done(task))
		world_turn(&world);
	assert_int_equal(task->status, status);
	sgl_release(world.reactor.pool, &task->data, SGL_SCSI);
	scsi_task_end(task);
	free(task);
}

/* Both paths have been used, and neither has writes under way. */
static void use_paths(void)
{
	for (unsigned i = 0; i < 2; i++)
		end(start_write(i, 0, 0, NULL), SCSI_GOOD);
}

static void a_write_waits_for_that_of_another_path(void **state)
{
	struct scsi_task *old, *new;

	(void)state;
	use_paths();
	old = start_write(0, LBA, OLD, NULL);
	new = start_write(1, LBA, NEW, NULL);
	assert_false(is_done(new));
	end(old, SCSI_GOOD);
	end(new, SCSI_GOOD);
	expect_blocks(LBA, 1, NEW);
}

/* What the first path has under way was begun when there was no other. */
static void the_first_write_of_a_new_path_waits_for_those_that_were_there(void **state)
{
	struct scsi_task *old, *new[2];

	(void)state;
	old = start_write(0, LBA, OLD, NULL);
	new[0] = start_write(1, 0, NEW, NULL);
	new[1] = start_write(1, LBA, NEW, NULL);
	assert_false(is_done(new[0]) || is_done(new[1]));
	end(old, SCSI_GOOD);
	end(new[0], SCSI_GOOD);
	end(new[1], SCSI_GOOD);
	expect_blocks(LBA, 1, NEW);
	old = start_write(0, 8, OLD, NULL);
	new[0] = start_write(1, 0, NEW, NULL);
	assert_false(new[0]->lock.exclusive);
	end(old, SCSI_GOOD);
	end(new[0], SCSI_GOOD);
}

static void writes_that_do_not_overlap_do_not_wait(void **state)
{
	struct scsi_task *old, *new;

	(void)state;
	use_paths();
	old = start_write(0, LBA, OLD, NULL);
	new = start_write(1, LBA + 1, NEW, NULL);
	end(new, SCSI_GOOD);
	assert_false(is_done(old));
	end(old, SCSI_GOOD);
}

static void writes_of_one_path_do_not_wait_for_each_other(void **state)
{
	struct scsi_task *first, *second;

	(void)state;
	use_paths();
	first = start_write(0, LBA, OLD, NULL);
	second = start_write(0, LBA, NEW, NULL);
	end(second, SCSI_GOOD);
	assert_false(is_done(first));
	end(first, SCSI_GOOD);
}

static void hosts_with_one_path_do_not_wait_for_each_other(void **state)
{
	struct scsi_task *first, *second;

	(void)state;
	use_paths();
	first = start_write(0, LBA, OLD, NULL);
	second = start_write(1, LBA, NEW, NULL);
	end(second, SCSI_GOOD);
	assert_false(is_done(first));
	end(first, SCSI_GOOD);
}

static void a_write_whose_path_is_gone_is_not_done(void **state)
{
	(void)state;
	use_paths();
	fill_blocks(8, 1, NEW);
	end(start_write(0, 8, OLD, gone), SCSI_CHECK_CONDITION);
	end(start_unmap(0, 8, 1, gone), SCSI_CHECK_CONDITION);
	expect_blocks(8, 1, NEW);
}

/* It found its path there when it began, and then had to wait for the newer one. */
static void an_old_write_that_waited_for_a_newer_one_is_not_done(void **state)
{
	struct scsi_task *new, *old;

	(void)state;
	use_paths();
	new = start_write(1, LBA, NEW, NULL);
	old = start_write(0, LBA, OLD, gone);
	assert_false(is_done(old));
	end(new, SCSI_GOOD);
	end(old, SCSI_CHECK_CONDITION);
	expect_blocks(LBA, 1, NEW);
}

static void an_unmap_waits_for_the_write_of_another_path(void **state)
{
	struct scsi_task *old, *new, *beside;

	(void)state;
	use_paths();
	old = start_write(0, LBA, OLD, NULL);
	new = start_unmap(1, LBA - 8, 16, NULL);
	beside = start_unmap(1, LBA + 8, 16, NULL);
	assert_false(is_done(new));
	end(beside, SCSI_GOOD);
	assert_false(is_done(old));
	end(old, SCSI_GOOD);
	end(new, SCSI_GOOD);
	expect_blocks(LBA, 1, 0);
}

static void a_write_that_waits_for_another_path_can_be_aborted(void **state)
{
	struct scsi_task *old, *new;

	(void)state;
	use_paths();
	old = start_write(0, LBA, OLD, NULL);
	new = start_write(1, LBA, NEW, NULL);
	new->aborted = true;
	scsi_task_aborted(new);
	assert_true(is_done(new) && !is_done(old));
	end(new, SCSI_GOOD); /* what nobody is told */
	end(old, SCSI_GOOD);
	expect_blocks(LBA, 1, OLD);
}

static void the_path_that_is_left_is_alone_again(void **state)
{
	(void)state;
	use_paths();
	world_drop_nexus(&world, 1);
	end(start_write(0, 8, NEW, gone), SCSI_GOOD);
}

#define ONE_HOST(name)      cmocka_unit_test_setup_teardown(name, one_host, tear_down)
#define SEVERAL_HOSTS(name) cmocka_unit_test_setup_teardown(name, several_hosts, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ONE_HOST(a_write_waits_for_that_of_another_path),
		ONE_HOST(the_first_write_of_a_new_path_waits_for_those_that_were_there),
		ONE_HOST(writes_that_do_not_overlap_do_not_wait),
		ONE_HOST(writes_of_one_path_do_not_wait_for_each_other),
		SEVERAL_HOSTS(hosts_with_one_path_do_not_wait_for_each_other),
		ONE_HOST(a_write_whose_path_is_gone_is_not_done),
		ONE_HOST(an_old_write_that_waited_for_a_newer_one_is_not_done),
		ONE_HOST(an_unmap_waits_for_the_write_of_another_path),
		ONE_HOST(a_write_that_waits_for_another_path_can_be_aborted),
		ONE_HOST(the_path_that_is_left_is_alone_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
