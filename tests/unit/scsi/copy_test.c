/* EXTENDED COPY and the RECEIVE COPY commands. PROTOCOL B090 to B098 by their numbers. */
#include "tests/unit/scsi/copy_world.h"

static void blocks_are_copied_from_one_lun_to_another(void **state)
{
	(void)state;
	stamp(0, 100, 2000, 1);
	stamp(LUN_1, 0, 2048, 2);
	copy_over(1, 100, 10, 2000);
	expect_good();
	expect_stamps(LUN_1, 10, 2000, 100, 1);
	expect_stamps(LUN_1, 0, 10, 0, 2);
	expect_stamps(LUN_1, 2010, 38, 2010, 2);
	expect_stamps(0, 100, 2000, 100, 1);
}

static void segments_are_copied_one_after_the_other(void **state)
{
	(void)state;
	stamp(0, 0, 300, 1);
	list_start(1);
	list_cscd(world.lun);
	list_cscd(second.lun);
	list_segment(0, 1, 0, 1000, 300);
	list_segment(1, 0, 1000, 2000, 300); /* needs what the first one wrote */
	list_segment(0, 0, 2000, 3000, 300);
	xcopy_from(0);
	expect_good();
	expect_stamps(0, 3000, 300, 0, 1);
}

static void b091_one_descriptor_and_both_ids_zero_copy_within_the_lun(void **state)
{
	(void)state;
	stamp(0, 0, 64, 1);
	list_start(1);
	list_cscd(world.lun);
	list_segment(0, 0, 0, 4096, 64);
	xcopy_from(0);
	expect_good();
	expect_stamps(0, 4096, 64, 0, 1);
}

/* As source and as destination, behind a segment that is good: nothing at all is copied. */
static void b090_the_lun_of_another_tenant_is_not_reachable(void **state)
{
	(void)state;
	for (unsigned foreign_is = 0; foreign_is < 2; foreign_is++) {
		stamp(0, 0, 64, 1);
		stamp(LUN_1, 0, 64, 2);
		list_start(1);
		list_cscd(world.lun);
		list_cscd(second.lun);
		list_cscd(foreign.lun);
		list_segment(0, 1, 0, 0, 64);
		list_segment(foreign_is ? 0 : 2, foreign_is ? 2 : 1, 0, 0, 64);
		xcopy_from(0);
		expect_sense(KEY_COPY_ABORTED, ASC_COPY_TARGET_NOT_REACHABLE);
		expect_stamps(LUN_1, 0, 64, 0, 2);
	}
	/* Its own tenant may. */
	list_start(1);
	list_cscd(foreign.lun);
	list_segment(0, 0, 0, 100, 64);
	xcopy_from(2);
	expect_good();
}

static void what_no_lun_is_called_is_not_reachable(void **state)
{
	(void)state;
	for (unsigned change = 0; change < 5; change++) {
		uint8_t *d;

		list_start(1);
		d = list_cscd(world.lun);
		list_segment(0, 0, 0, 100, 1);
		switch (change) {
		case 0: d[8 + 15] ^= 1; break;  /* another name */
		case 1: d[5] = 0x13; break;     /* a port's */
		case 2: d[5] = 2; break;        /* EUI-64 */
		case 3: d[7] = 8; break;        /* the beginning of the name */
		default: d[7] = 0; break;
		}
		xcopy_from(0);
		expect_sense(KEY_COPY_ABORTED, ASC_COPY_TARGET_NOT_REACHABLE);
	}
}

static void a_lun_is_reached_by_its_t10_identification_too(void **state)
{
	uint8_t *d;

	(void)state;
	stamp(LUN_1, 0, 8, 1);
	list_start(1);
	d = list_cscd(second.lun);
	memset(d + 4, 0, 24);
	d[4] = 2;
	d[5] = DESIGNATOR_T10;
	d[7] = 12;
	memcpy(d + 8, "LUNETTE LN02", 12);
	list_segment(0, 0, 0, 100, 8);
	xcopy_from(0);
	expect_good();
	expect_stamps(LUN_1, 100, 8, 0, 1);
}

static void b093_ids_that_no_descriptor_has_are_not_reachable(void **state)
{
	static const uint16_t ids[][2] = { { 0xffff, 0 }, { 0, 0xffff }, { 1, 0 }, { 0, 1 }, { 0xf800, 0 } };

	(void)state;
	for (unsigned i = 0; i < sizeof ids / sizeof ids[0]; i++) {
		list_start(1);
		list_cscd(world.lun);
		list_segment(ids[i][0], ids[i][1], 0, 100, 1);
		xcopy_from(0);
		expect_sense(KEY_COPY_ABORTED, ASC_COPY_TARGET_NOT_REACHABLE);
	}
	list_start(1); /* no descriptor at all */
	list_segment(0, 0, 0, 100, 1);
	xcopy_from(0);
	expect_sense(KEY_COPY_ABORTED, ASC_COPY_TARGET_NOT_REACHABLE);
}

static void many(unsigned cscds, unsigned segments)
{
	list_start(1);
	for (unsigned i = 0; i < cscds; i++)
		list_cscd(world.lun);
	for (unsigned i = 0; i < segments; i++)
		list_segment(0, 0, 0, 100, 1);
	xcopy_from(0);
}

static void b094_lists_that_are_too_long_are_refused(void **state)
{
	(void)state;
	many(COPY_CSCD_MAX, COPY_SEGMENT_MAX);
	expect_good();
	many(COPY_CSCD_MAX + 1, 1);
	expect_sense(KEY_ILLEGAL_REQUEST, ASC_TOO_MANY_CSCDS);
	many(1, COPY_SEGMENT_MAX + 1);
	expect_sense(KEY_ILLEGAL_REQUEST, ASC_TOO_MANY_SEGMENTS);
	many(COPY_CSCD_MAX + 1, 2 * COPY_SEGMENT_MAX);
	expect_sense(KEY_ILLEGAL_REQUEST, ASC_PARAMETER_LIST_LENGTH);
	many(1, 2000); /* B095: as many as fit */
	expect_sense(KEY_ILLEGAL_REQUEST, ASC_PARAMETER_LIST_LENGTH);
}

static void change_length(uint32_t at, unsigned width, uint32_t value)
{
	list_start(1);
	list_cscd(world.lun);
	list_segment(0, 0, 0, 100, 1);
	if (width == 2)
		put_be16(list + at, (uint16_t)value);
	else
		put_be32(list + at, value);
	xcopy_from(0);
}

static void b094_lengths_that_do_not_fit_are_refused(void **state)
{
	(void)state;
	change_length(2, 2, 31);
	expect_sense(KEY_ILLEGAL_REQUEST, ASC_PARAMETER_LIST_LENGTH);
	change_length(2, 2, 64);
	expect_sense(KEY_ILLEGAL_REQUEST, ASC_PARAMETER_LIST_LENGTH);
	change_length(8, 4, 29);
	expect_sense(KEY_ILLEGAL_REQUEST, ASC_PARAMETER_LIST_LENGTH);
	change_length(8, 4, 27);
	expect_sense(KEY_ILLEGAL_REQUEST, ASC_PARAMETER_LIST_LENGTH);
	change_length(8, 4, 0xffffffff);
	expect_sense(KEY_ILLEGAL_REQUEST, ASC_PARAMETER_LIST_LENGTH);
	change_length(12, 4, 1);
	expect_sense(KEY_ILLEGAL_REQUEST, ASC_INLINE_DATA_LENGTH);
	change_length(48 + 2, 2, 0x17);
	expect_sense(KEY_ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_LIST);
}

static void b094_lists_that_are_cut_are_refused(void **state)
{
	(void)state;
	for (uint32_t cut = 1; cut < 16 + 32 + 28; cut++) {
		list_start(1);
		list_cscd(world.lun);
		list_segment(0, 0, 0, 100, 1);
		list_bytes -= cut;
		xcopy_from(0);
		expect_sense(KEY_ILLEGAL_REQUEST, ASC_PARAMETER_LIST_LENGTH);
	}
}

static void descriptors_of_other_types_are_refused(void **state)
{
	(void)state;
	list_start(1);
	list_cscd(world.lun)[0] = 0xe0;
	list_segment(0, 0, 0, 100, 1);
	xcopy_from(0);
	expect_sense(KEY_ILLEGAL_REQUEST, ASC_UNSUPPORTED_CSCD);
	list_start(1);
	list_cscd(world.lun);
	list_segment(0, 0, 0, 100, 1)[0] = 0x03;
	xcopy_from(0);
	expect_sense(KEY_ILLEGAL_REQUEST, ASC_UNSUPPORTED_SEGMENT);
	list_start(1);
	list_cscd(world.lun)[1] = 0x01; /* a tape */
	list_segment(0, 0, 0, 100, 1);
	xcopy_from(0);
	expect_sense(KEY_COPY_ABORTED, ASC_INCORRECT_COPY_TARGET_TYPE);
	list_start(1);
	put_be24(list_cscd(world.lun) + 29, 4096);
	list_segment(0, 0, 0, 100, 1);
	xcopy_from(0);
	expect_sense(KEY_ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_LIST);
}

/* In both directions, by less and by more than a piece. */
static void b095_ranges_that_overlap_are_moved(void **state)
{
	static const uint64_t starts[][2] = { { 100, 101 }, { 101, 100 }, { 100, 900 }, { 900, 100 }, { 100, 100 } };

	(void)state;
	for (unsigned i = 0; i < sizeof starts / sizeof starts[0]; i++) {
		stamp(0, starts[i][0], 2000, 10 + i);
		list_start(1);
		list_cscd(world.lun);
		list_segment(0, 0, starts[i][0], starts[i][1], 2000);
		xcopy_from(0);
		expect_good();
		expect_stamps(0, starts[i][1], 2000, starts[i][0], 10 + i);
	}
}

static void b095_nothing_is_copied_when_a_range_ends_beyond_its_lun(void **state)
{
	static const uint64_t starts[][2] = { { BLOCKS - 1, 0 }, { 0, BLOCKS - 1 }, { UINT64_MAX, 0 }, { 0, UINT64_MAX - 1 } };

	(void)state;
	stamp(LUN_1, 0, 64, 2);
	for (unsigned i = 0; i < sizeof starts / sizeof starts[0]; i++) {
		list_start(1);
		list_cscd(world.lun);
		list_cscd(second.lun);
		list_segment(0, 1, 0, 0, 64);
		list_segment(0, 1, starts[i][0], starts[i][1], 2);
		xcopy_from(0);
		expect_sense(KEY_COPY_ABORTED, ASC_NONE);
		assert_int_equal(get_be32(outcome.sense + 8), 1); /* the segment */
		expect_stamps(LUN_1, 0, 64, 0, 2);
	}
}

static void b095_nothing_to_copy_is_no_error(void **state)
{
	(void)state;
	copy_over(1, 0, 0, 0);
	expect_good();
	copy_over(1, BLOCKS, 0, 0);
	expect_good();
	list_start(1);
	xcopy_from(0);
	expect_good();
	list_bytes = 0;
	xcopy_from(0);
	expect_good();
}

static void a_segment_in_bytes_is_copied_when_it_is_whole_blocks(void **state)
{
	static const struct {
		uint32_t bytes;
		uint16_t from_offset, to_offset;
		bool good;
	} cases[] = { { 3 * BLOCK, 0, 0, true }, { 3 * BLOCK + 1, 0, 0, false }, { BLOCK, 1, 0, false }, { BLOCK, 0, 1, false } };

	(void)state;
	stamp(0, 0, 3, 1);
	for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		uint8_t *d;

		list_start(1);
		list_cscd(world.lun);
		d = list_segment(0, 0, 0, 100, 0);
		d[0] = 0x0a;
		put_be16(d + 2, 0x1c);
		put_be32(d + 8, cases[i].bytes);
		put_be16(d + 28, cases[i].from_offset);
		put_be16(d + 30, cases[i].to_offset);
		list_bytes += 4;
		put_be32(list + 8, 32);
		xcopy_from(0);
		if (cases[i].good)
			expect_good();
		else
			expect_sense(KEY_COPY_ABORTED, ASC_INEXACT_SEGMENT);
	}
	expect_stamps(0, 100, 3, 0, 1);
}

static void between_blocks_of_512_and_4096_bytes_what_is_whole_is_copied(void **state)
{
	(void)state;
	copy_tear_down(NULL);
	copy_world_init(&(struct world_options){ 0 }, &(struct world_options){ .block_bytes = 4096 });
	stamp(0, 8, 16, 1);
	copy_over(1, 8, 1, 7);
	expect_sense(KEY_COPY_ABORTED, ASC_INEXACT_SEGMENT);
	copy_over(1, 8, 1, 8);
	expect_good();
	list_start(1);
	list_cscd(world.lun);
	list_cscd(second.lun);
	list_segment(0, 1, 16, 2, 1)[1] = 0x02; /* DC: blocks of the destination */
	xcopy_from(0);
	expect_good();
	list_start(1);
	list_cscd(world.lun);
	list_cscd(second.lun);
	list_segment(1, 0, 1, 100, 2);
	xcopy_from(0);
	expect_good();
	expect_stamps(0, 100, 16, 8, 1);
}

/* --- LID4 --- */

static void lid4(uint32_t list_id)
{
	uint8_t cdb[16];

	list_start(0);
	list_cscd(world.lun);
	list_segment(0, 0, 0, 100, 8);
	to_lid4(list_id, false);
	xcopy_cdb(cdb, 1);
	send_from(0, cdb, 16, list, list_bytes);
}

static void lid4_copies_and_its_status_can_be_asked_for(void **state)
{
	uint8_t cdb[16] = { 0x84, 0x05, 0xca, 0xfe, 0xba, 0xbe, 0, 0, 0, 0, 0, 0, 1, 0 };

	(void)state;
	stamp(0, 0, 8, 1);
	lid4(0xcafebabe);
	expect_good();
	expect_stamps(0, 100, 8, 0, 1);
	send(cdb, 16);
	expect_good();
	assert_int_equal(outcome.data_in_bytes, 32);
	assert_int_equal(get_be32(outcome.data), 28);
	assert_int_equal(outcome.data[4], 0x01);                  /* RESPONSE TO SERVICE ACTION */
	assert_int_equal(outcome.data[5], COPY_COMPLETED);
	assert_int_equal(get_be64(outcome.data + 16), 8 * BLOCK); /* TRANSFER COUNT */
	assert_int_equal(get_be16(outcome.data + 24), 1);         /* SEGMENTS PROCESSED */
	cdb[5] = 0;
	send(cdb, 16);
	expect_sense(KEY_ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_CDB);
}

static void lid4_headers_of_another_format_are_refused(void **state)
{
	static const uint8_t at[] = { 0, 3, 16 };
	uint8_t cdb[16];

	(void)state;
	for (unsigned i = 0; i < sizeof at; i++) {
		lid4(1);
		expect_good();
		list[at[i]] ^= 0x02;
		xcopy_cdb(cdb, 1);
		send_from(0, cdb, 16, list, list_bytes);
		expect_sense(KEY_ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_LIST);
	}
}

/* --- results --- */

static void status_of(unsigned nexus, uint64_t lun, uint8_t list_id)
{
	uint8_t cdb[16] = { 0x84, 0x00, list_id, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0 };

	world_run(&world, world.nexus[nexus], lun, cdb, 16, NULL, 0, &outcome);
}

static void b097_the_copy_of_another_nexus_is_not_visible(void **state)
{
	(void)state;
	copy_over(7, 0, 0, 100);
	expect_good();
	status_of(1, 0, 7);
	expect_sense(KEY_ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_CDB);
	status_of(0, LUN_1, 7); /* asked of another copy manager */
	expect_sense(KEY_ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_CDB);
	status_of(0, 0, 7);
	expect_good();
	assert_int_equal(outcome.data_in_bytes, 12);
	assert_int_equal(outcome.data[4], 1);
	assert_int_equal(get_be16(outcome.data + 5), 1);
	assert_int_equal(get_be32(outcome.data + 8), 100 * BLOCK);
}

static void a_copy_without_list_identifier_leaves_nothing(void **state)
{
	(void)state;
	list_start(0);
	list[1] = 3 << 3;
	list_cscd(world.lun);
	list_segment(0, 0, 0, 100, 1);
	xcopy_from(0);
	expect_good();
	status_of(0, 0, 0);
	expect_sense(KEY_ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_CDB);
	list[0] = 5; /* no list identifier, but one */
	xcopy_from(0);
	expect_sense(KEY_ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_LIST);
	list[1] = 1 << 3;
	xcopy_from(0);
	expect_sense(KEY_ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_LIST);
}

static void the_details_of_a_failure_are_its_sense_data(void **state)
{
	const uint8_t cdb[16] = { 0x84, 0x04, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0 };

	(void)state;
	copy_over(9, 0, BLOCKS, 1);
	expect_sense(KEY_COPY_ABORTED, ASC_NONE);
	status_of(0, 0, 9);
	assert_int_equal(outcome.data[4], 2);
	send(cdb, 16);
	expect_good();
	assert_int_equal(outcome.data[56], SCSI_CHECK_CONDITION);
	assert_int_equal(get_be16(outcome.data + 58), 18);
	assert_int_equal(outcome.data[60 + 2], KEY_COPY_ABORTED);
	copy_over(9, 0, 0, 1); /* the identifier again */
	expect_good();
	send(cdb, 16);
	expect_good();
	assert_int_equal(outcome.data_in_bytes, 4);
	assert_int_equal(get_be32(outcome.data), 0);
}

static void the_memory_of_copies_is_bounded(void **state)
{
	(void)state;
	for (unsigned id = 1; id <= COPY_RESULTS_MAX + 10; id++) {
		copy_over((uint8_t)id, 0, 0, 1);
		expect_good();
	}
	assert_int_equal(world.nexus[0]->itl[0]->copy_count, COPY_RESULTS_MAX);
	status_of(0, 0, 10);
	expect_sense(KEY_ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_CDB);
	status_of(0, 0, 11);
	expect_good();
}

static void operating_parameters_say_what_is_accepted(void **state)
{
	(void)state;
	send(BYTES(0x84, 0x03, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0));
	expect_good();
	assert_int_equal(get_be32(outcome.data), outcome.data_in_bytes - 4);
	assert_int_equal(get_be16(outcome.data + 8), COPY_CSCD_MAX);
	assert_int_equal(get_be16(outcome.data + 10), COPY_SEGMENT_MAX);
	assert_int_equal(get_be32(outcome.data + 12), COPY_DESCRIPTORS_MAX_BYTES);
	assert_int_equal(outcome.data[37], 9);
	assert_int_equal(outcome.data_in_bytes, 44u + outcome.data[43]);
}

static void held_data_is_none(void **state)
{
	(void)state;
	copy_over(3, 0, 0, 1);
	send(BYTES(0x84, 0x01, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0));
	expect_good();
	assert_int_equal(outcome.data_in_bytes, 4);
	assert_int_equal(get_be32(outcome.data), 0);
}

/* --- access --- */

static void what_is_mapped_read_only_is_no_destination(void **state)
{
	struct scsi_inventory *inventory = scsi_inventory_new(
		(struct scsi_inventory_entry[]){ { 0, false, world.lu }, { 1, true, second.lu } }, 2);

	(void)state;
	assert_true(scsi_nexus_set_inventory(world.nexus[0], inventory));
	scsi_inventory_unref(inventory);
	clear_attentions();
	copy_over(1, 0, 0, 1);
	expect_sense(KEY_DATA_PROTECT, ASC_WRITE_PROTECTED);
	list_start(1);
	list_cscd(second.lun);
	list_cscd(world.lun);
	list_segment(0, 1, 0, 0, 1); /* but a source */
	xcopy_from(0);
	expect_good();
	scsi_lu_read_only_changed(world.lu, true);
	clear_attentions();
	xcopy_from(0);
	expect_sense(KEY_DATA_PROTECT, ASC_WRITE_PROTECTED);
}

/* Nexus 1 reserves one of the two; what nexus 0 may not read it may not copy from, what it may not write not copy to. */
static void reservations_of_both_sides_are_respected(void **state)
{
	static const struct {
		uint64_t reserved;
		uint8_t type;
		bool good;
	} cases[] = { { LUN_1, 1, false }, { LUN_1, 3, false }, { 0, 1, false } };

	(void)state;
	for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		stamp(LUN_1, 0, 1, 2);
		pr_out(1, cases[i].reserved, 0, 0, 0, 0xabc);
		pr_out(1, cases[i].reserved, 1, cases[i].type, 0xabc, 0);
		copy_over(1, 0, 0, 1);
		expect_conflict();
		pr_out(1, cases[i].reserved, 3, 0, 0xabc, 0);
		clear_attentions();
		expect_stamps(LUN_1, 0, 1, 0, 2);
	}
	/* Write exclusive lets others read: LUN 1 is a source. */
	pr_out(1, LUN_1, 0, 0, 0, 0xabc);
	pr_out(1, LUN_1, 1, 1, 0xabc, 0);
	list_start(1);
	list_cscd(second.lun);
	list_cscd(world.lun);
	list_segment(0, 1, 0, 0, 1);
	xcopy_from(0);
	expect_good();
	pr_out(1, LUN_1, 2, 1, 0xabc, 0);
	pr_out(1, LUN_1, 1, 3, 0xabc, 0);
	xcopy_from(0);
	expect_conflict();
}

static void attentions_of_the_other_lun_wait_for_their_own_command(void **state)
{
	(void)state;
	stamp(0, 0, 1, 1);
	scsi_lu_capacity_changed(second.lu);
	copy_over(1, 0, 0, 1);
	expect_good();
	send_to(LUN_1, (const uint8_t[16]){ 0 }, NULL, 0);
	expect_sense(KEY_UNIT_ATTENTION, 0x2a09);
}

/* --- a copy under way --- */

static struct scsi_task *begin_copy(uint16_t blocks)
{
	list_start(4);
	list_cscd(world.lun);
	list_cscd(second.lun);
	list_segment(0, 1, 0, 0, blocks);
	return begin_listed(0);
}

static void a_long_copy_leaves_the_reactor_to_others(void **state)
{
	struct scsi_task *task;

	(void)state;
	stamp(0, 0, 2000, 1);
	stamp(0, BLOCKS - 2000, 2000, 1);
	task = begin_copy(BLOCKS);
	assert_int_equal(task->tag, 0); /* the memory store does everything at once, and still it has not ended */
	status_of(0, 0, 4);
	expect_good();
	assert_int_equal(outcome.data[4], 0);
	assert_int_equal(get_be32(outcome.data + 8), COPY_TURN_PIECES * COPY_PIECE_BYTES);
	list_start(4); /* its identifier is taken */
	list_cscd(world.lun);
	list_segment(0, 0, 0, 0, 1);
	xcopy_from(0);
	expect_sense(KEY_ILLEGAL_REQUEST, ASC_OPERATION_IN_PROGRESS);
	assert_true(scsi_task_uses(task, world.lu) && scsi_task_uses(task, second.lu));
	assert_false(scsi_task_uses(task, foreign.lu));
	end_copy(task);
	assert_int_equal(task->status, SCSI_GOOD);
	free(task);
	expect_stamps(LUN_1, 0, 2000, 0, 1);
	expect_stamps(LUN_1, BLOCKS - 2000, 2000, BLOCKS - 2000, 1);
}

static void b098_an_aborted_copy_stops(void **state)
{
	struct scsi_task *task;

	(void)state;
	stamp(0, 0, 1, 1);
	stamp(0, BLOCKS - 1, 1, 1);
	stamp(LUN_1, BLOCKS - 1, 1, 2);
	task = begin_copy(BLOCKS);
	task->aborted = true;
	end_copy(task);
	free(task);
	expect_stamps(LUN_1, 0, 1, 0, 1);
	expect_stamps(LUN_1, BLOCKS - 1, 1, BLOCKS - 1, 2);
	assert_int_equal(world.reactor.copies, 0);
}

/* A copy of a whole LUN at an eighth of it a second, until it waits. */
static struct scsi_task *begin_slow_copy(void)
{
	struct scsi_task *task;

	scsi_copy_set_rate(WORLD_BYTES / 8);
	task = begin_copy(BLOCKS);
	while (list_empty(&world.reactor.paused)) {
		assert_int_equal(task->tag, 0);
		world_turn(&world);
	}
	return task;
}

static void a_copy_above_the_rate_waits_for_the_next_second(void **state)
{
	struct scsi_task *task;

	(void)state;
	stamp(0, BLOCKS - 1, 1, 1);
	task = begin_slow_copy();
	assert_true(copy_done_bytes(task->copy) >= WORLD_BYTES / 8);
	assert_true(copy_done_bytes(task->copy) < WORLD_BYTES);
	while (!task->tag) {
		world.reactor.copy_due_ns = 0; /* as if a second had gone */
		scsi_reactor_tick(&world.reactor);
		while (!task->tag && list_empty(&world.reactor.paused))
			world_turn(&world);
	}
	end_copy(task);
	assert_int_equal(task->status, SCSI_GOOD);
	free(task);
	expect_stamps(LUN_1, BLOCKS - 1, 1, BLOCKS - 1, 1);
	scsi_copy_set_rate(SCSI_COPY_BYTES_PER_S);
}

static void an_aborted_copy_that_waits_ends_at_the_next_second(void **state)
{
	struct scsi_task *task;

	(void)state;
	task = begin_slow_copy();
	task->aborted = true;
	scsi_reactor_tick(&world.reactor);
	end_copy(task);
	free(task);
	assert_int_equal(world.reactor.copies, 0);
	scsi_copy_set_rate(SCSI_COPY_BYTES_PER_S);
}

static void copy_operation_abort_stops_it(void **state)
{
	struct scsi_task *task;

	(void)state;
	stamp(LUN_1, BLOCKS - 1, 1, 2);
	task = begin_copy(BLOCKS);
	send(BYTES(0x83, 0x1c, 0, 0, 0, 4));
	expect_good();
	end_copy(task);
	assert_int_equal(task->status, SCSI_CHECK_CONDITION);
	assert_int_equal(task->sense[2], KEY_COPY_ABORTED);
	free(task);
	expect_stamps(LUN_1, BLOCKS - 1, 1, BLOCKS - 1, 2);
	send(BYTES(0x84, 0x05, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 1, 0));
	expect_good();
	assert_int_equal(outcome.data[5], COPY_TERMINATED);
	assert_int_equal(get_be64(outcome.data + 16), COPY_TURN_PIECES * COPY_PIECE_BYTES);
	send(BYTES(0x83, 0x1c, 0, 0, 0, 5));
	expect_sense(KEY_ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_CDB);
}

static void a_reservation_stops_a_copy_that_is_under_way(void **state)
{
	struct scsi_task *task;

	(void)state;
	task = begin_copy(BLOCKS);
	pr_out(1, LUN_1, 0, 0, 0, 0xabc);
	pr_out(1, LUN_1, 1, 1, 0xabc, 0);
	end_copy(task);
	assert_int_equal(task->status, SCSI_RESERVATION_CONFLICT);
	free(task);
}

static void copies_at_a_time_are_limited(void **state)
{
	struct scsi_task *tasks[COPIES_PER_REACTOR];

	(void)state;
	for (unsigned i = 0; i < COPIES_PER_REACTOR; i++) {
		uint8_t cdb[16];

		if (i == COPIES_PER_NEXUS) { /* enough for the first; there is room for others */
			copy_over(1, 0, 0, 1);
			assert_int_equal(outcome.status, SCSI_BUSY);
		}
		list_start((uint8_t)(100 + i));
		list_cscd(world.lun);
		list_cscd(second.lun);
		list_segment(0, 1, 0, 0, BLOCKS);
		xcopy_cdb(cdb, 0);
		tasks[i] = world_task(&world, world.nexus[i / COPIES_PER_NEXUS], 0, cdb, 16, list_bytes);
		assert_int_equal(scsi_task_begin(tasks[i]), SCSI_NEEDS_DATA_OUT);
		assert_true(sgl_alloc(world.reactor.pool, &tasks[i]->data, list_bytes, SGL_SCSI));
		sgl_copy_in(&tasks[i]->data, 0, list, list_bytes);
		scsi_task_execute(tasks[i]);
		assert_int_equal(tasks[i]->tag, 0);
	}
	list_start(1);
	list_cscd(foreign.lun);
	list_segment(0, 0, 0, 100, 1);
	xcopy_from(2);
	assert_int_equal(outcome.status, SCSI_BUSY);
	for (unsigned i = 0; i < COPIES_PER_REACTOR; i++) {
		end_copy(tasks[i]);
		assert_int_equal(tasks[i]->status, SCSI_GOOD);
		free(tasks[i]);
	}
	copy_over(1, 0, 0, 1);
	expect_good();
}

static void never(struct lun_lock *lock)
{
	(void)lock;
	fail();
}

static void a_copy_waits_for_compare_and_write_on_its_destination(void **state)
{
	struct lun_lock lock = { .lun = second.lun, .lba = 50, .blocks = 1, .exclusive = true, .granted = never,
				 .reply_to = &world.mailbox };
	struct scsi_task *task;

	(void)state;
	stamp(0, 0, 100, 1);
	assert_true(lun_lock_take(&lock));
	task = begin_copy(100);
	world_turn(&world);
	assert_int_equal(task->tag, 0);
	lun_lock_release(&lock);
	end_copy(task);
	assert_int_equal(task->status, SCSI_GOOD);
	free(task);
	expect_stamps(LUN_1, 0, 100, 0, 1);
}

static void a_command_whose_lun_changes_its_number_does_not_stay(void **state)
{
	struct scsi_inventory *swapped = scsi_inventory_new(
		(struct scsi_inventory_entry[]){ { 0, false, second.lu }, { 1, false, world.lu } }, 2);
	struct scsi_inventory *without = scsi_inventory_new((struct scsi_inventory_entry[]){ { 0, false, world.lu } }, 1);
	struct scsi_task *task;

	(void)state;
	task = begin_copy(BLOCKS);
	assert_true(scsi_inventory_keeps(tenant, task));
	assert_false(scsi_inventory_keeps(swapped, task));
	assert_false(scsi_inventory_keeps(without, task)); /* what it copies to is gone */
	end_copy(task);
	assert_true(scsi_inventory_keeps(without, task));
	free(task);
	scsi_inventory_unref(swapped);
	scsi_inventory_unref(without);
}

/* --- stores --- */

static void expect_mapped(uint64_t lba, bool mapped)
{
	uint64_t blocks;
	bool is;

	assert_int_equal(lun_extent(second.lun, lba, &is, &blocks), 0);
	assert_int_equal(is, mapped);
}

static void thin_stays_thin(void **state)
{
	(void)state;
	stamp(0, 2048, 512, 1);
	stamp(LUN_1, 0, 2048, 2);
	expect_mapped(1024, true);
	copy_over(1, 0, 0, 4096);
	expect_good();
	expect_mapped(1024, false);
	expect_zeroes(LUN_1, 0, 2048);
	expect_mapped(2048, true);
	expect_stamps(LUN_1, 2048, 512, 2048, 1);
}

static void a_full_destination_keeps_its_space(void **state)
{
	(void)state;
	copy_tear_down(NULL);
	copy_world_init(&(struct world_options){ 0 }, &(struct world_options){ .thick = true });
	stamp(LUN_1, 0, 512, 2);
	copy_over(1, 0, 0, 512);
	expect_good();
	expect_zeroes(LUN_1, 0, 512);
}

static void with_faults(const char *rules)
{
	char params[512];

	copy_tear_down(NULL);
	snprintf(params, sizeof params, "{\"inner\": {\"kind\": \"memory\"}, \"rules\": [%s]}", rules);
	copy_world_init(&(struct world_options){ .store_kind = "fault", .store_params = params }, &(struct world_options){ 0 });
}

/* The fourth MiB cannot be read or written, or there is no space for it. */
static void what_the_store_cannot_do_ends_the_copy_there(void **state)
{
	static const struct {
		const char *rule;
		uint8_t key;
		uint16_t asc;
	} cases[] = {
		{ "{\"op\": \"read\", \"offset\": 3145728, \"length\": 512, \"count\": 0, \"error\": \"EIO\"}", KEY_COPY_ABORTED, 0x0d01 },
		{ "{\"op\": \"write\", \"offset\": 3145728, \"length\": 512, \"nth\": 3, \"count\": 0, \"error\": \"EIO\"}",
		  KEY_COPY_ABORTED, 0x0d01 },
		{ "{\"op\": \"write\", \"offset\": 3145728, \"length\": 512, \"nth\": 3, \"count\": 0, \"error\": \"ENOSPC\"}",
		  KEY_DATA_PROTECT, ASC_SPACE_ALLOCATION_FAILED },
	};

	(void)state;
	for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		with_faults(cases[i].rule);
		for (uint64_t lba = 0; lba < 10240; lba += 2048) {
			stamp(0, lba, 2048, 1);
			stamp(LUN_1, lba, 2048, 2);
		}
		list_start(1);
		list_cscd(world.lun);
		list_cscd(second.lun);
		list_segment(0, 1, 0, 0, 2048);
		list_segment(0, 1, 2048, 2048, 8192);
		xcopy_from(0);
		expect_sense(cases[i].key, cases[i].asc);
		assert_int_equal(get_be32(outcome.sense + 8), 1);
		expect_stamps(LUN_1, 0, 2048, 0, 1);
		expect_stamps(LUN_1, 8192, 2048, 8192, 2); /* far behind it */
		status_of(0, 0, 1);
		assert_int_equal(outcome.data[4], 2);
		assert_int_equal(get_be32(outcome.data + 8), 3145728);
		assert_int_equal(world.reactor.copies, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		COPY_TEST(blocks_are_copied_from_one_lun_to_another),
		COPY_TEST(segments_are_copied_one_after_the_other),
		COPY_TEST(b091_one_descriptor_and_both_ids_zero_copy_within_the_lun),
		COPY_TEST(b090_the_lun_of_another_tenant_is_not_reachable),
		COPY_TEST(what_no_lun_is_called_is_not_reachable),
		COPY_TEST(a_lun_is_reached_by_its_t10_identification_too),
		COPY_TEST(b093_ids_that_no_descriptor_has_are_not_reachable),
		COPY_TEST(b094_lists_that_are_too_long_are_refused),
		COPY_TEST(b094_lengths_that_do_not_fit_are_refused),
		COPY_TEST(b094_lists_that_are_cut_are_refused),
		COPY_TEST(descriptors_of_other_types_are_refused),
		COPY_TEST(b095_ranges_that_overlap_are_moved),
		COPY_TEST(b095_nothing_is_copied_when_a_range_ends_beyond_its_lun),
		COPY_TEST(b095_nothing_to_copy_is_no_error),
		COPY_TEST(a_segment_in_bytes_is_copied_when_it_is_whole_blocks),
		COPY_TEST(between_blocks_of_512_and_4096_bytes_what_is_whole_is_copied),
		COPY_TEST(lid4_copies_and_its_status_can_be_asked_for),
		COPY_TEST(lid4_headers_of_another_format_are_refused),
		COPY_TEST(b097_the_copy_of_another_nexus_is_not_visible),
		COPY_TEST(a_copy_without_list_identifier_leaves_nothing),
		COPY_TEST(the_details_of_a_failure_are_its_sense_data),
		COPY_TEST(the_memory_of_copies_is_bounded),
		COPY_TEST(operating_parameters_say_what_is_accepted),
		COPY_TEST(held_data_is_none),
		COPY_TEST(what_is_mapped_read_only_is_no_destination),
		COPY_TEST(reservations_of_both_sides_are_respected),
		COPY_TEST(attentions_of_the_other_lun_wait_for_their_own_command),
		COPY_TEST(a_long_copy_leaves_the_reactor_to_others),
		COPY_TEST(b098_an_aborted_copy_stops),
		COPY_TEST(a_copy_above_the_rate_waits_for_the_next_second),
		COPY_TEST(an_aborted_copy_that_waits_ends_at_the_next_second),
		COPY_TEST(copy_operation_abort_stops_it),
		COPY_TEST(a_reservation_stops_a_copy_that_is_under_way),
		COPY_TEST(copies_at_a_time_are_limited),
		COPY_TEST(a_copy_waits_for_compare_and_write_on_its_destination),
		COPY_TEST(a_command_whose_lun_changes_its_number_does_not_stay),
		COPY_TEST(thin_stays_thin),
		COPY_TEST(a_full_destination_keeps_its_space),
		COPY_TEST(what_the_store_cannot_do_ends_the_copy_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
