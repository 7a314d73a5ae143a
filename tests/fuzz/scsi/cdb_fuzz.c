/*
 * Any CDBs with any data, from several nexuses, to a LUN on the memory store.
 *
 * Input: commands, each of them 1 byte (bits 0-1 nexus, bits 2-3 LUN, bit 4: aborted before it is executed), 16 bytes of
 * CDB, 2 bytes of data length, data. Properties: done() once, no byte beyond the list, every buffer comes back, CHECK
 * CONDITION has sense and the others none.
 */
#include "tests/unit/scsi/world.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len_bytes);

static const uint64_t luns[4] = { 0, UINT64_C(0x412c000000000000), UINT64_C(0xc101000000000000), UINT64_MAX };
static struct world world;
static struct outcome outcome;

static void start_anew(void)
{
	static bool ready;

	if (!ready)
		world_init(&world, &(struct world_options){ .removable = true });
	ready = true;
	for (unsigned i = 0; i < WORLD_NEXUSES; i++) {
		struct scsi_port port = world_port(i);

		world_drop_nexus(&world, i);
		world.nexus[i] = scsi_nexus_new(i + 1, &port, world.inventory);
		assert(world.nexus[i]);
	}
	scsi_lu_reset(world.lu, NULL);
	atomic_store(&world.lu->ejected, false);
	assert(scsi_lu_reservations_clear(world.lu, NULL) == 0);
}

static void run(uint8_t how, const uint8_t *cdb, const uint8_t *data, uint32_t len_bytes)
{
	struct scsi_task *task =
		world_task(&world, world.nexus[(how & 3) % WORLD_NEXUSES], luns[how >> 2 & 3], cdb, 16, len_bytes);
	enum scsi_begin begin = scsi_task_begin(task);

	assert((begin == SCSI_NEEDS_DATA_OUT) == (task->direction == SCSI_DATA_OUT && begin != SCSI_FINISHED));
	assert(task->data_bytes <= SCSI_DATA_MAX);
	assert(begin != SCSI_FINISHED || task->status != SCSI_GOOD);
	task->aborted = how & 0x10;
	if (begin != SCSI_FINISHED)
		world_execute(&world, task, data, len_bytes, &outcome);
	assert((task->status == SCSI_CHECK_CONDITION) == (task->sense_len_bytes != 0));
	assert(task->status == SCSI_GOOD || task->data_in_bytes == 0);
	scsi_task_end(task);
	free(task);
	assert(sgl_pool_in_use(world.reactor.pool) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len_bytes)
{
	struct wire_reader r = wire_reader(bytes, len_bytes);

	start_anew();
	for (unsigned i = 0; i < 64 && wire_left(&r) >= 19; i++) {
		uint8_t how = wire_get_u8(&r);
		const uint8_t *cdb = wire_get_bytes(&r, 16);
		uint16_t wanted = wire_get_u16(&r);
		uint32_t data_bytes = wanted < wire_left(&r) ? wanted : (uint32_t)wire_left(&r);

		run(how, cdb, wire_get_bytes(&r, data_bytes), data_bytes);
	}
	return 0;
}
