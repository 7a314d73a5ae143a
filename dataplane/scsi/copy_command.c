/*
 * EXTENDED COPY(LID1) and (LID4), COPY OPERATION ABORT and the RECEIVE COPY commands (SPC-4 6.4, 6.5, 6.3, 6.17 to 6.20).
 *
 * The list is decoded, every logical unit and range in it is checked, then, with IMMED, the command is answered; then all of
 * it is copied (copy.h). Errors that this nexus would have got for a READ of the source or a WRITE of the destination
 * (reservation conflict, write protection, medium ejected) are given as such, what goes wrong later as COPY ABORTED with the
 * number of the segment: by the command, or with IMMED by RECEIVE COPY STATUS.
 */
#include <stdlib.h>

#include "dataplane/scsi/copy.h"

enum { UNITS_BYTES = 0x00, UNITS_MIB = 0x02, UNITS_BLOCKS = 0xf1 };

#define STATUS_UPDATE_MS 100 /* when to ask again */

/* --- EXTENDED COPY --- */

struct xcopy {
	struct scsi_task *task;
	struct copy_list list;
	struct scsi_itl *itl[COPY_CSCD_MAX]; /* NULL: not looked up yet */
};

static struct scsi_itl *reach(struct xcopy *x, uint16_t id)
{
	if (id >= x->list.cscd_count) {
		scsi_task_fail(x->task, KEY_COPY_ABORTED, ASC_COPY_TARGET_NOT_REACHABLE);
		return NULL;
	}
	if (!x->itl[id])
		x->itl[id] = copy_reach(x->task, &x->list.cscd[id], id);
	return x->itl[id];
}

static uint64_t segment_bytes(const struct copy_segment *segment, const struct scsi_lu *from, const struct scsi_lu *to)
{
	switch (segment->unit) {
	case COPY_SOURCE_BLOCKS:
		return (uint64_t)segment->amount << from->block_shift;
	case COPY_DESTINATION_BLOCKS:
		return (uint64_t)segment->amount << to->block_shift;
	case COPY_BYTES:
		break;
	}
	return segment->amount;
}

/* Only whole blocks of both sides: there is nowhere to hold a rest. */
static bool exact(const struct copy_extent *extent, const struct copy_segment *segment)
{
	uint32_t mask = (extent->source->lu->block_bytes - 1) | (extent->destination->lu->block_bytes - 1);

	return !(extent->bytes & mask) && !segment->source_offset_bytes && !segment->destination_offset_bytes;
}

/* The segment as an extent; false: the sense is set. */
static bool add_segment(struct xcopy *x, struct scsi_copy *copy, unsigned number)
{
	const struct copy_segment *segment = &x->list.segment[number];
	struct copy_extent extent = { .source = reach(x, segment->source), .source_lba = segment->source_lba,
				      .destination_lba = segment->destination_lba };

	if (extent.source)
		extent.destination = reach(x, segment->destination);
	if (!extent.destination)
		return false;
	extent.bytes = segment_bytes(segment, extent.source->lu, extent.destination->lu);
	if (extent.bytes > COPY_SEGMENT_MAX_BYTES)
		return scsi_refuse(x->task, ASC_INVALID_FIELD_IN_LIST);
	if (!exact(&extent, segment)) {
		scsi_set_sense(x->task, &(struct scsi_sense){ .key = KEY_COPY_ABORTED, .asc_ascq = ASC_INEXACT_SEGMENT,
							      .has_command = true, .command_specific = number });
		return false;
	}
	return copy_add(copy, &extent); /* COPY_SEGMENT_MAX fit */
}

/* The copy of all segments, checked; NULL: sense or status is set. */
static struct scsi_copy *plan(struct xcopy *x)
{
	struct scsi_copy *copy = copy_new(x->task);
	bool good = copy != NULL;

	for (unsigned i = 0; good && i < x->list.segment_count; i++)
		good = add_segment(x, copy, i);
	if (good && copy_check(copy))
		return copy;
	copy_free(copy);
	return NULL;
}

static void run(struct xcopy *x)
{
	struct copy_result *result = NULL;
	struct scsi_copy *copy;

	if (x->list.identified) {
		result = copy_result_new(x->task, x->list.list_id);
		if (!result) {
			scsi_finish(x->task);
			return;
		}
	}
	copy = plan(x);
	if (copy) {
		copy_start(copy, result, x->list.immediate);
		return;
	}
	copy_result_end(result, x->task, COPY_FAILED);
	scsi_finish(x->task);
}

uint8_t *copy_list_bytes(struct scsi_task *task)
{
	uint8_t *bytes = malloc(task->data_bytes);

	if (!bytes) {
		task->status = SCSI_BUSY;
	} else if (sgl_copy_out(&task->data, 0, bytes, task->data_bytes) < task->data_bytes) {
		scsi_refuse(task, ASC_PARAMETER_LIST_LENGTH);
		free(bytes);
		bytes = NULL;
	}
	return bytes;
}

void scsi_extended_copy(struct scsi_task *task)
{
	struct xcopy x = { .task = task };
	struct scsi_sense sense;
	bool lid4 = (task->cdb[1] & 0x1f) == COPY_SA_EXTENDED_COPY_LID4, good;
	uint8_t *bytes = task->data_bytes ? copy_list_bytes(task) : NULL; /* an empty list is not an error */

	if (!bytes) {
		scsi_finish(task);
		return;
	}
	good = copy_list_decode(bytes, task->data_bytes, lid4, &x.list, &sense);
	free(bytes);
	if (good) {
		run(&x);
		return;
	}
	scsi_set_sense(task, &sense);
	scsi_finish(task);
}

/* --- what became of it --- */

/* The result that the CDB names by one or four bytes; NULL: the task is finished. */
static struct copy_result *asked_for(struct scsi_task *task, uint32_t list_id)
{
	struct copy_result *result = copy_result_find(task->itl, list_id);

	if (!result) {
		scsi_refuse_field(task, 2);
		scsi_finish(task);
	}
	return result;
}

/* A copy that runs has more to tell than its result. */
static uint64_t transferred(const struct copy_result *result)
{
	return result->copy ? copy_done_bytes(result->copy) : result->bytes;
}

void scsi_copy_operation_abort(struct scsi_task *task)
{
	struct copy_result *result = asked_for(task, get_be32(task->cdb + 2));

	if (!result)
		return;
	if (result->copy)
		copy_stop(result->copy);
	scsi_finish(task);
}

void scsi_receive_copy_status_lid1(struct scsi_task *task)
{
	struct copy_result *result = asked_for(task, task->cdb[2]);
	uint8_t bytes[12] = { 0 };
	uint64_t count;

	if (!result)
		return;
	count = transferred(result);
	put_be32(bytes, sizeof bytes - 4);
	bytes[4] = result->copy ? 0 : result->state == COPY_COMPLETED ? 1 : 2;
	put_be16(bytes + 5, result->segments);
	bytes[7] = count > UINT32_MAX ? UNITS_MIB : UNITS_BYTES;
	put_be32(bytes + 8, (uint32_t)(count > UINT32_MAX ? count >> 20 : count));
	scsi_reply_bytes(task, bytes, sizeof bytes);
}

/* No data is ever held. */
void scsi_receive_copy_data(struct scsi_task *task)
{
	static const uint8_t none[4];

	if (asked_for(task, task->cdb[2]))
		scsi_reply_bytes(task, none, sizeof none);
}

void scsi_receive_copy_failure(struct scsi_task *task)
{
	struct copy_result *result = asked_for(task, task->cdb[2]);
	uint8_t bytes[60 + SCSI_SENSE_MAX] = { 0 };
	uint32_t len_bytes = 4;

	if (!result)
		return;
	if (!result->copy && result->status != SCSI_GOOD) {
		len_bytes = 60u + result->sense_len_bytes;
		put_be32(bytes, len_bytes - 4);
		bytes[56] = result->status;
		put_be16(bytes + 58, result->sense_len_bytes);
		memcpy(bytes + 60, result->sense, result->sense_len_bytes);
	}
	scsi_reply_bytes(task, bytes, len_bytes);
}

void scsi_receive_copy_parameters(struct scsi_task *task)
{
	static const uint8_t descriptors[] = { COPY_SEGMENT_BLOCKS, COPY_SEGMENT_BYTES_OFFSET, COPY_CSCD_IDENTIFICATION };
	uint8_t bytes[44 + sizeof descriptors] = { 0 };

	put_be32(bytes, sizeof bytes - 4);
	bytes[4] = 1; /* SNLID */
	put_be16(bytes + 8, COPY_CSCD_MAX);
	put_be16(bytes + 10, COPY_SEGMENT_MAX);
	put_be32(bytes + 12, COPY_DESCRIPTORS_MAX_BYTES);
	put_be32(bytes + 16, COPY_SEGMENT_MAX_BYTES);
	put_be16(bytes + 34, COPIES_PER_NEXUS); /* TOTAL CONCURRENT COPIES */
	bytes[36] = COPIES_PER_NEXUS;
	bytes[37] = task->itl->lu->block_shift;   /* DATA SEGMENT GRANULARITY */
	bytes[43] = sizeof descriptors;
	memcpy(bytes + 44, descriptors, sizeof descriptors);
	scsi_reply_bytes(task, bytes, sizeof bytes);
}

/* What RECEIVE COPY STATUS(LID4) and RECEIVE ROD TOKEN INFORMATION have in common; its AVAILABLE DATA is for the caller. */
static void put_status(const struct scsi_task *task, const struct copy_result *result, struct wire_writer *w)
{
	bool by_token = result->service_action == COPY_SA_POPULATE_TOKEN ||
			result->service_action == COPY_SA_WRITE_USING_TOKEN;

	wire_put_u32(w, 0);
	wire_put_u8(w, result->service_action);
	wire_put_u8(w, result->state);
	wire_put_u16(w, result->operations);
	wire_put_u32(w, result->copy ? STATUS_UPDATE_MS : 0);
	wire_put_u8(w, result->status);
	wire_put_u8(w, result->sense_len_bytes);
	wire_put_u8(w, result->sense_len_bytes);
	wire_put_u8(w, by_token ? UNITS_BLOCKS : UNITS_BYTES);
	wire_put_u64(w, transferred(result) >> (by_token ? task->itl->lu->block_shift : 0));
	wire_put_u16(w, result->segments);
	wire_put_zeroes(w, 6);
	wire_put_bytes(w, result->sense, result->sense_len_bytes);
}

void scsi_receive_copy_status_lid4(struct scsi_task *task)
{
	struct copy_result *result = asked_for(task, get_be32(task->cdb + 2));
	uint8_t bytes[32 + SCSI_SENSE_MAX];
	struct wire_writer w = wire_writer(bytes, sizeof bytes);

	if (!result)
		return;
	put_status(task, result, &w);
	put_be32(bytes, (uint32_t)wire_written(&w) - 4);
	scsi_reply_bytes(task, bytes, wire_written(&w));
}

void scsi_receive_rod_token_information(struct scsi_task *task)
{
	struct copy_result *result = asked_for(task, get_be32(task->cdb + 2));
	uint8_t bytes[32 + SCSI_SENSE_MAX + 4 + 2 + COPY_TOKEN_BYTES];
	struct wire_writer w = wire_writer(bytes, sizeof bytes);

	if (!result)
		return;
	put_status(task, result, &w);
	wire_put_u32(&w, result->has_token ? 2 + COPY_TOKEN_BYTES : 0);
	if (result->has_token) {
		wire_put_u16(&w, 0); /* ID FOR CREATING ROD CSCD DESCRIPTOR */
		wire_put_bytes(&w, result->token, COPY_TOKEN_BYTES);
	}
	put_be32(bytes, (uint32_t)wire_written(&w) - 4);
	scsi_reply_bytes(task, bytes, wire_written(&w));
}
