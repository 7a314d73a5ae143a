/*
 * Commands in the statistics (counters.def): each is counted alike in the slots of the worker, its session, its target and
 * its LUN that this reactor writes. A slot is NULL when the segment was full; the LUN's also when there is no such LUN.
 *
 * What every command costs is gathered first: commands of one session and LUN that began in the same turn of the reactor
 * go into the slots together, with one reading of the clock, when responses are sent, when another session or LUN has its
 * turn, or at the end of the turn. What is rare goes there at once.
 */
#include <string.h>

#include "dataplane/iscsi/iscsi.h"

#define COUNTED_IN 4

enum { READS, WRITES };

struct counted {
	struct stats_slot *slot[COUNTED_IN];
};

static struct counted slots_of(const struct iscsi_session *session, const struct iscsi_lun *lun)
{
	const struct iscsi_reactor *reactor = session->reactor;

	return (struct counted){ { reactor->stats, session->stats, session->target_stats,
				   lun && lun->stats ? lun->stats[reactor->index] : NULL } };
}

static void add(const struct iscsi_task *task, enum stats_counter counter)
{
	struct counted in = slots_of(task->session, task->lun);

	for (unsigned i = 0; i < COUNTED_IN; i++)
		if (in.slot[i])
			stats_add(in.slot[i], counter, 1);
}

static void put(const struct iscsi_tally *tally, struct stats_slot *slot, uint64_t took_ns)
{
	static const struct {
		enum stats_counter commands, bytes;
		enum stats_histogram latency;
	} of[] = {
		[READS] = { STAT_reads, STAT_read_bytes, STATS_READ_LATENCY },
		[WRITES] = { STAT_writes, STAT_write_bytes, STATS_WRITE_LATENCY },
	};

	stats_add(slot, STAT_queue_depth, tally->depth);
	for (unsigned i = READS; i <= WRITES; i++) {
		if (!tally->moved[i].commands)
			continue;
		stats_add(slot, of[i].commands, tally->moved[i].commands);
		stats_add(slot, of[i].bytes, tally->moved[i].bytes);
		stats_latencies(slot, of[i].latency, took_ns, tally->moved[i].commands);
	}
}

void iscsi_count_flush(struct iscsi_reactor *reactor)
{
	struct iscsi_tally *tally = &reactor->tally;
	uint64_t took_ns = 0;
	struct counted in;

	if (!tally->session)
		return;
	in = slots_of(tally->session, tally->lun);
	if (tally->moved[READS].commands || tally->moved[WRITES].commands)
		took_ns = stats_now_ns() - tally->began_ns;
	for (unsigned i = 0; i < COUNTED_IN; i++)
		if (in.slot[i])
			put(tally, in.slot[i], took_ns);
	memset(tally, 0, sizeof *tally);
}

static struct iscsi_tally *tally_of(const struct iscsi_task *task)
{
	struct iscsi_reactor *reactor = task->session->reactor;
	struct iscsi_tally *tally = &reactor->tally;

	if (tally->session == task->session && tally->lun == task->lun && tally->began_ns == task->began_ns)
		return tally;
	iscsi_count_flush(reactor);
	tally->session = task->session;
	tally->lun = task->lun;
	tally->began_ns = task->began_ns;
	return tally;
}

void iscsi_count_begin(const struct iscsi_task *task)
{
	if (STATS_COUNTING)
		tally_of(task)->depth++;
}

void iscsi_count_end(const struct iscsi_task *task)
{
	if (STATS_COUNTING)
		tally_of(task)->depth--;
}

static void count_moved(const struct iscsi_task *task, unsigned kind, uint32_t bytes)
{
	struct iscsi_tally *tally = tally_of(task);

	tally->moved[kind].commands++;
	tally->moved[kind].bytes += bytes;
}

static void count_good(const struct iscsi_task *task)
{
	static const enum stats_counter others[] = {
		[SCSI_COUNT_FLUSH] = STAT_flushes,
		[SCSI_COUNT_UNMAP] = STAT_unmaps,
		[SCSI_COUNT_COMPARE] = STAT_compare_writes,
		[SCSI_COUNT_OTHER] = STAT_other_commands,
	};
	enum scsi_count class = scsi_task_class(&task->scsi);
	uint32_t in_bytes = task->scsi.data_in_bytes, expected_bytes = task->read ? task->edtl : 0;

	if (class == SCSI_COUNT_READ)
		count_moved(task, READS, in_bytes < expected_bytes ? in_bytes : expected_bytes);
	else if (class == SCSI_COUNT_WRITE)
		count_moved(task, WRITES, task->wanted_bytes);
	else
		add(task, others[class]);
}

void iscsi_count_response(const struct iscsi_task *task)
{
	const struct scsi_task *scsi = &task->scsi;

	if (!STATS_COUNTING)
		return;
	if (scsi->status == SCSI_GOOD)
		count_good(task);
	if (scsi->status == SCSI_RESERVATION_CONFLICT)
		add(task, STAT_conflicts);
	if (scsi->status == SCSI_CHECK_CONDITION) {
		add(task, STAT_check_conditions);
		if (scsi_task_medium_error(scsi))
			add(task, STAT_medium_errors);
		if (scsi_task_space_error(scsi))
			add(task, STAT_space_errors);
	}
}
