/* What the worker sees of tasks and logical units: for its statistics and for task management. */
#include "dataplane/scsi/copy.h"

static const struct {
	void (*execute)(struct scsi_task *task);
	enum scsi_count count;
} counted[] = { /* everything else is "other" */
	{ scsi_read, SCSI_COUNT_READ },
	{ scsi_write, SCSI_COUNT_WRITE },
	{ scsi_write_verify, SCSI_COUNT_WRITE },
	{ scsi_orwrite, SCSI_COUNT_WRITE },
	{ scsi_write_atomic, SCSI_COUNT_WRITE },
	{ scsi_synchronize_cache, SCSI_COUNT_FLUSH },
	{ scsi_unmap, SCSI_COUNT_UNMAP },
	{ scsi_write_same, SCSI_COUNT_UNMAP },
	{ scsi_compare_and_write, SCSI_COUNT_COMPARE },
};

enum scsi_count scsi_task_class(const struct scsi_task *task)
{
	for (unsigned i = 0; task->command && i < sizeof counted / sizeof counted[0]; i++)
		if (counted[i].execute == task->command->execute)
			return counted[i].count;
	return SCSI_COUNT_OTHER;
}

static bool has_descriptor_sense(const struct scsi_task *task)
{
	return (task->sense[0] & 0x7f) >= 0x72;
}

bool scsi_task_medium_error(const struct scsi_task *task)
{
	uint8_t key;

	if (task->sense_len_bytes < 3)
		return false;
	key = task->sense[has_descriptor_sense(task) ? 1 : 2] & 0xf;
	return key == KEY_MEDIUM_ERROR || key == KEY_HARDWARE_ERROR;
}

bool scsi_task_space_error(const struct scsi_task *task)
{
	unsigned at = has_descriptor_sense(task) ? 2 : 12;

	return task->sense_len_bytes >= at + 2 && get_be16(task->sense + at) == ASC_SPACE_ALLOCATION_FAILED;
}

void *scsi_task_user(const struct scsi_task *task)
{
	return task->itl ? task->itl->lu->user : NULL;
}

uint64_t scsi_lu_other_changes(const struct scsi_lu *lu)
{
	return atomic_load_explicit(&lu->other_changes, memory_order_relaxed);
}

bool scsi_task_uses(const struct scsi_task *task, const struct scsi_lu *lu)
{
	return (task->itl && task->itl->lu == lu) || (task->copy && copy_uses_lu(task->copy, lu));
}

void scsi_lu_set_user(struct scsi_lu *lu, void *user)
{
	lu->user = user;
}
