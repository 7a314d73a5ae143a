/*
 * Commands in the statistics (counters.def): each is counted alike in the slots of the worker, its session, its target and
 * its LUN that this reactor writes. A slot is NULL when the segment was full; the LUN's also when there is no such LUN.
 */
#include "dataplane/iscsi/iscsi.h"

#define COUNTED_IN 4

struct counted {
	struct stats_slot *slot[COUNTED_IN];
};

static inline struct counted slots_of(const struct iscsi_task *task)
{
	const struct iscsi_session *session = task->session;
	const struct iscsi_reactor *reactor = session->reactor;
	const struct iscsi_lun *lun = task->lun;

	return (struct counted){ { reactor->stats, session->stats, session->target_stats,
				   lun && lun->stats ? lun->stats[reactor->index] : NULL } };
}

static void add(const struct iscsi_task *task, enum stats_counter counter, uint64_t n)
{
	struct counted in = slots_of(task);

	for (unsigned i = 0; i < COUNTED_IN; i++)
		if (in.slot[i])
			stats_add(in.slot[i], counter, n);
}

void iscsi_count_begin(const struct iscsi_task *task)
{
	add(task, STAT_queue_depth, 1);
}

void iscsi_count_end(const struct iscsi_task *task)
{
	add(task, STAT_queue_depth, (uint64_t)-1);
}

/* A READ or WRITE took until its last I/O was done; until now when that was not timed. */
static void count_data(const struct iscsi_task *task, enum stats_counter commands, enum stats_counter bytes,
		       enum stats_histogram latency, uint32_t moved_bytes)
{
	struct counted in = slots_of(task);
	uint64_t ended_ns = scsi_task_io_ended_ns(&task->scsi);

	if (!ended_ns)
		ended_ns = stats_now_ns();
	for (unsigned i = 0; i < COUNTED_IN; i++) {
		if (!in.slot[i])
			continue;
		stats_add(in.slot[i], commands, 1);
		stats_add(in.slot[i], bytes, moved_bytes);
		stats_latency(in.slot[i], latency, ended_ns - task->began_ns);
	}
}

static void count_good(const struct iscsi_task *task)
{
	static const enum stats_counter without_data[] = {
		[SCSI_COUNT_FLUSH] = STAT_flushes,
		[SCSI_COUNT_UNMAP] = STAT_unmaps,
		[SCSI_COUNT_COMPARE] = STAT_compare_writes,
		[SCSI_COUNT_OTHER] = STAT_other_commands,
	};
	enum scsi_count class = scsi_task_class(&task->scsi);
	uint32_t in_bytes = task->scsi.data_in_bytes, expected_bytes = task->read ? task->edtl : 0;

	if (class == SCSI_COUNT_READ)
		count_data(task, STAT_reads, STAT_read_bytes, STATS_READ_LATENCY,
			   in_bytes < expected_bytes ? in_bytes : expected_bytes);
	else if (class == SCSI_COUNT_WRITE)
		count_data(task, STAT_writes, STAT_write_bytes, STATS_WRITE_LATENCY, task->wanted_bytes);
	else
		add(task, without_data[class], 1);
}

void iscsi_count_response(const struct iscsi_task *task)
{
	const struct scsi_task *scsi = &task->scsi;

	if (!STATS_COUNTING)
		return;
	if (scsi->status == SCSI_GOOD)
		count_good(task);
	if (scsi->status == SCSI_RESERVATION_CONFLICT)
		add(task, STAT_conflicts, 1);
	if (scsi->status == SCSI_CHECK_CONDITION) {
		add(task, STAT_check_conditions, 1);
		if (scsi_task_medium_error(scsi))
			add(task, STAT_medium_errors, 1);
	}
}
