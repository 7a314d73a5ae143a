/*
 * The parameter lists of third-party copy, then the commands that take them.
 *
 * Input: 1 byte that chooses EXTENDED COPY(LID1), (LID4), POPULATE TOKEN or WRITE USING TOKEN, then the list. Properties of the
 * decoders: what is accepted is within the limits that are announced; ranges are disjoint and end. Then the command runs
 * on a logical unit with that name: it ends once and gives everything back. A WRITE USING TOKEN that shows the number of
 * the newest token shows all of that token, or the fuzzer would never find one.
 */
#include "clock.h"
#include "dataplane/scsi/copy.h"
#include "dataplane/scsi/token.h"
#include "tests/unit/scsi/world.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len_bytes);

#define LIST_MAX_BYTES 8192
#define NEWEST_TOKEN   UINT64_C(0x6e65776573742020) /* "newest  " */

static const uint8_t actions[] = { 0x00, 0x01, 0x10, 0x11 };
static struct world world;
static struct outcome outcome;

static void check_copy_list(const uint8_t *bytes, uint32_t len_bytes, bool lid4)
{
	struct copy_list list;
	struct scsi_sense sense;

	if (!copy_list_decode(bytes, len_bytes, lid4, &list, &sense)) {
		assert(sense.key == KEY_ILLEGAL_REQUEST && sense.asc_ascq);
		return;
	}
	assert(list.cscd_count <= COPY_CSCD_MAX && list.segment_count <= COPY_SEGMENT_MAX);
	for (unsigned i = 0; i < list.cscd_count; i++)
		assert(list.cscd[i].designator_len_bytes <= sizeof list.cscd[i].designator);
}

static void check_ranges(const struct copy_ranges *ranges)
{
	uint64_t blocks = 0;

	assert(ranges->count >= 1 && ranges->count <= COPY_RANGE_MAX);
	for (unsigned i = 0; i < ranges->count; i++) {
		assert(ranges->range[i].lba + ranges->range[i].blocks >= ranges->range[i].lba);
		blocks += ranges->range[i].blocks;
	}
	assert(blocks == ranges->blocks);
}

static void check(uint8_t action, const uint8_t *bytes, uint32_t len_bytes)
{
	struct populate_list populate;
	struct write_token_list write;
	struct scsi_sense sense;

	if (action <= 0x01)
		check_copy_list(bytes, len_bytes, action == 0x01);
	else if (action == 0x10 && populate_list_decode(bytes, len_bytes, &populate, &sense))
		check_ranges(&populate.ranges);
	else if (action == 0x11 && write_token_list_decode(bytes, len_bytes, &write, &sense))
		check_ranges(&write.ranges);
}

static void show_newest_token(uint8_t *list, uint32_t len_bytes)
{
	static const struct copy_ranges ranges = { .count = 2, .range = { { 100, 50 }, { 7, 3 } }, .blocks = 53 };

	if (len_bytes >= 536 && get_be64(list + 24) == NEWEST_TOKEN)
		assert(!scsi_token_create(world.lu, &ranges, 60, clock_now_ns(), list + 16));
}

static void run(uint8_t action, const uint8_t *list, uint32_t len_bytes)
{
	uint8_t cdb[16] = { 0x83, action };

	put_be32(cdb + 10, len_bytes);
	world_run(&world, world.nexus[0], 0, cdb, sizeof cdb, list, len_bytes, &outcome);
	assert((outcome.status == SCSI_CHECK_CONDITION) == (outcome.sense_len_bytes != 0));
	assert(world.reactor.copies == 0 && sgl_pool_in_use(world.reactor.pool) == 0);
	scsi_tokens_free(world.lu);
	world.lu->token_count = 0;
	atomic_store(&world.lu->valid_tokens, 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len_bytes)
{
	static bool ready;
	uint8_t list[LIST_MAX_BYTES], *exact;
	uint8_t action;
	uint32_t n;

	if (len_bytes < 1 || len_bytes > LIST_MAX_BYTES)
		return 0;
	if (!ready) {
		world_init(&world, &(struct world_options){ 0 });
		world_run(&world, world.nexus[0], 0, (const uint8_t[6]){ 0x03, 0, 0, 0, 18 }, 6, NULL, 0, &outcome);
	}
	ready = true;
	action = actions[bytes[0] % sizeof actions];
	n = (uint32_t)len_bytes - 1;
	memcpy(list, bytes + 1, n);
	exact = malloc(n + 1u); /* so that one byte too far is seen */
	assert(exact);
	memcpy(exact, list, n);
	if (n)
		check(action, exact, n);
	free(exact);
	if (action == 0x11)
		show_newest_token(list, n);
	run(action, list, n);
	return 0;
}
