/*
 * POPULATE TOKEN and WRITE USING TOKEN (SBC-3 5.7, 5.50): offloaded data transfer, whose client is Windows. Tokens are in
 * token.h, the copying in copy.h; RECEIVE ROD TOKEN INFORMATION is beside the other results in copy_command.c.
 *
 * A token is looked for in the logical units of the nexus that shows it and nowhere else: that of another tenant is unknown.
 * WRITE USING TOKEN needs what a READ of the source and a WRITE of the destination would need. It ends after TOKEN_WRITE_MS
 * at the latest, with GOOD and a transfer count that says how far it came; the client goes on from there. With IMMED nobody
 * waits, and it copies all. POPULATE TOKEN copies nothing: with IMMED, too, it is answered when the token is there.
 */
#include <errno.h>
#include <stdlib.h>

#include "clock.h"
#include "dataplane/scsi/copy.h"
#include "dataplane/scsi/token.h"
#include "log.h"

/* --- POPULATE TOKEN --- */

struct populate {
	struct scsi_task *task;
	struct populate_list list;
	struct copy_result *result;
};

static uint32_t list_id(const struct scsi_task *task)
{
	return get_be32(task->cdb + 6);
}

bool scsi_prepare_token_list(struct scsi_task *task)
{
	if (!get_be32(task->cdb + 10))
		return scsi_refuse(task, ASC_PARAMETER_LIST_LENGTH);
	return scsi_prepare_length(task);
}

static bool ranges_valid(struct scsi_task *task, const struct copy_ranges *ranges)
{
	for (unsigned i = 0; i < ranges->count; i++)
		if (!scsi_block_check(task, ranges->range[i].lba, ranges->range[i].blocks))
			return false;
	if (ranges->blocks << task->itl->lu->block_shift <= TOKEN_BYTES_MAX)
		return true;
	scsi_refuse(task, ASC_INVALID_FIELD_IN_LIST);
	return false;
}

static bool rod_type_supported(uint32_t type)
{
	return !type || type == ROD_POINT_IN_TIME || type == ROD_CHANGE_VULNERABLE || type == ROD_ANY_POINT_IN_TIME;
}

static void end_populate(struct populate *populate, enum copy_state state)
{
	struct scsi_task *task = populate->task;

	copy_result_end(populate->result, task, state);
	free(populate);
	scsi_finish(task);
}

/* No write to the ranges is under way, and none begins before the lock is released. */
static void populate_quiet(struct scsi_task *task)
{
	struct populate *populate = (struct populate *)(uintptr_t)task->state[0];
	struct copy_result *result = populate->result;
	int error;

	if (task->aborted) {
		end_populate(populate, COPY_TERMINATED);
		return;
	}
	error = scsi_token_create(task->itl->lu, &populate->list.ranges, populate->list.inactivity_s, clock_now_ns(),
				  result->token);
	if (error) {
		scsi_refuse(task, ASC_NO_RESOURCES_FOR_TOKEN);
		end_populate(populate, COPY_FAILED);
		return;
	}
	result->has_token = true;
	result->bytes = populate->list.ranges.blocks << task->itl->lu->block_shift;
	end_populate(populate, COPY_COMPLETED);
}

/* The range that holds all ranges is held exclusively for a moment. */
static void quiesce(struct populate *populate)
{
	const struct copy_ranges *ranges = &populate->list.ranges;
	uint64_t first = UINT64_MAX, end = 0;

	for (unsigned i = 0; i < ranges->count; i++) {
		const struct copy_range *range = &ranges->range[i];

		first = range->lba < first ? range->lba : first;
		end = range->lba + range->blocks > end ? range->lba + range->blocks : end;
	}
	populate->task->state[0] = (uintptr_t)populate;
	scsi_block_quiesce(populate->task, first, end - first, true, populate_quiet);
}

/* False: sense or status is set. */
static bool populate_valid(struct populate *populate)
{
	struct scsi_task *task = populate->task;
	struct populate_list *list = &populate->list;

	if (!rod_type_supported(list->rod_type))
		return scsi_refuse(task, ASC_TOKEN_TYPE);
	if (list->inactivity_s > TOKEN_INACTIVITY_MAX_S) {
		scsi_refuse_list(task, 4);
		return false;
	}
	if (!list->inactivity_s)
		list->inactivity_s = TOKEN_INACTIVITY_S;
	if (!ranges_valid(task, &list->ranges))
		return false;
	populate->result = copy_result_new(task, list_id(task));
	return populate->result != NULL;
}

void scsi_populate_token(struct scsi_task *task)
{
	struct populate *populate = calloc(1, sizeof *populate);
	uint8_t *bytes = NULL;
	struct scsi_sense sense;
	bool good = false;

	if (!populate)
		task->status = SCSI_BUSY;
	else if ((bytes = copy_list_bytes(task))) {
		populate->task = task;
		good = populate_list_decode(bytes, task->data_bytes, &populate->list, &sense);
		if (!good)
			scsi_set_sense(task, &sense);
		good = good && populate_valid(populate);
	}
	free(bytes);
	if (good) {
		quiesce(populate);
		return;
	}
	free(populate);
	scsi_finish(task);
}

/* --- WRITE USING TOKEN --- */

struct token_source {
	struct scsi_itl *itl;       /* NULL: zeroes */
	uint64_t id;
	struct copy_ranges ranges;
};

static const uint16_t answers[] = {
	[TOKEN_UNKNOWN] = ASC_TOKEN_UNKNOWN, [TOKEN_CORRUPT] = ASC_TOKEN_CORRUPT,
	[TOKEN_REVOKED] = ASC_TOKEN_REVOKED, [TOKEN_EXPIRED] = ASC_TOKEN_EXPIRED,
};

static bool refuse_token(struct scsi_task *task, enum token_answer answer)
{
	log_limited(LOG_NOTICE, "token refused, %s initiator=%s target=%s",
		    answer == TOKEN_EXPIRED ? "expired" : answer == TOKEN_REVOKED ? "its data was overwritten" : "not one of ours",
		    log_quoted(task->nexus->port.initiator_name), task->nexus->port.target_name);
	return scsi_refuse(task, answers[answer]);
}

/* Whose token it is, of all logical units that this nexus sees; false: the sense is set. */
static bool find_token(struct scsi_task *task, const uint8_t *token, struct token_source *ret)
{
	const struct scsi_inventory *inventory = task->nexus->inventory;
	enum token_answer answer = TOKEN_UNKNOWN;
	unsigned i;

	for (i = 0; i < inventory->count; i++) {
		answer = scsi_token_use(inventory->entry[i].lu, token, clock_now_ns(), &ret->ranges);
		if (answer != TOKEN_UNKNOWN)
			break;
	}
	if (answer != TOKEN_VALID)
		return refuse_token(task, answer);
	ret->id = scsi_token_id(token);
	ret->itl = scsi_nexus_itl(task->nexus, i);
	if (!ret->itl)
		task->status = SCSI_BUSY;
	return ret->itl != NULL;
}

static bool is_zero_token(const uint8_t *token)
{
	for (unsigned i = 8; i < COPY_TOKEN_BYTES; i++)
		if (token[i])
			return false;
	return true;
}

static bool find_source(struct scsi_task *task, const struct write_token_list *list, struct token_source *ret)
{
	uint32_t type = get_be32(list->token);

	ret->itl = NULL;
	if (get_be16(list->token + 6) != COPY_TOKEN_BYTES - 8)
		return scsi_refuse(task, ASC_TOKEN_LENGTH);
	if (type == (uint32_t)ROD_BLOCK_ZERO)
		return is_zero_token(list->token) || scsi_refuse(task, ASC_TOKEN_CORRUPT);
	if (type != ROD_CHANGE_VULNERABLE)
		return scsi_refuse(task, ASC_TOKEN_TYPE);
	if (!find_token(task, list->token, ret))
		return false;
	if (ret->itl->lu->block_bytes != task->itl->lu->block_bytes || list->offset_blocks > ret->ranges.blocks ||
	    list->ranges.blocks > ret->ranges.blocks - list->offset_blocks) {
		scsi_refuse_list(task, 8);
		return false;
	}
	return true;
}

/* One range of the destination: from the token's ranges, from offset on, in as many extents as it crosses of those. */
static void add_range(struct scsi_copy *copy, const struct token_source *source, struct scsi_itl *destination,
		      struct copy_range to, uint64_t offset)
{
	uint8_t shift = destination->lu->block_shift;

	for (unsigned i = 0; source->itl && to.blocks && i < source->ranges.count; i++) {
		const struct copy_range *from = &source->ranges.range[i];
		uint64_t blocks = from->blocks > offset ? from->blocks - offset : 0;

		blocks = blocks < to.blocks ? blocks : to.blocks;
		if (blocks)
			copy_add(copy, &(struct copy_extent){ source->itl, destination, from->lba + offset, to.lba,
							      blocks << shift });
		offset = blocks ? 0 : offset - from->blocks;
		to.lba += blocks;
		to.blocks -= blocks;
	}
	if (!source->itl && to.blocks)
		copy_add(copy, &(struct copy_extent){ .destination = destination, .destination_lba = to.lba,
						      .bytes = to.blocks << shift });
}

/* NULL: sense or status is set. */
static struct scsi_copy *plan(struct scsi_task *task, const struct write_token_list *list,
			      const struct token_source *source)
{
	struct scsi_copy *copy = copy_new(task);
	uint64_t offset = list->offset_blocks;

	if (!copy)
		return NULL;
	for (unsigned i = 0; i < list->ranges.count; i++) {
		add_range(copy, source, task->itl, list->ranges.range[i], offset);
		offset += list->ranges.range[i].blocks;
	}
	if (source->itl)
		copy_set_token(copy, source->itl->lu, source->id, list->delete_token);
	if (!list->immediate)
		copy_set_deadline(copy, clock_now_ns() + TOKEN_WRITE_MS * NS_PER_MS);
	if (copy_check(copy))
		return copy;
	copy_free(copy);
	return NULL;
}

static void write_using(struct scsi_task *task, const struct write_token_list *list)
{
	struct token_source source;
	struct copy_result *result;
	struct scsi_copy *copy = NULL;

	if (!ranges_valid(task, &list->ranges) || !find_source(task, list, &source)) {
		scsi_finish(task);
		return;
	}
	result = copy_result_new(task, list_id(task));
	if (result)
		copy = plan(task, list, &source);
	if (copy) {
		copy_start(copy, result, list->immediate);
		return;
	}
	copy_result_end(result, task, COPY_FAILED);
	scsi_finish(task);
}

void scsi_write_using_token(struct scsi_task *task)
{
	uint8_t *bytes = copy_list_bytes(task);
	struct write_token_list list;
	struct scsi_sense sense;

	if (!bytes) {
		scsi_finish(task);
	} else if (write_token_list_decode(bytes, task->data_bytes, &list, &sense)) {
		write_using(task, &list);
	} else {
		scsi_set_sense(task, &sense);
		scsi_finish(task);
	}
	free(bytes);
}
