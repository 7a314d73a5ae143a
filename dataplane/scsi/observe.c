/* What the worker sees of tasks and logical units: for its statistics and for task management. */
#include "dataplane/scsi/internal.h"

enum scsi_count scsi_task_class(const struct scsi_task *task)
{
	if (!task->command)
		return SCSI_COUNT_OTHER;
	switch (task->command->opcode) {
	case 0x08: case 0x28: case 0x88: case 0xa8: /* READ */
		return SCSI_COUNT_READ;
	case 0x0a: case 0x2a: case 0x2e: case 0x8a: case 0x8e: case 0xaa: case 0xae: /* WRITE, WRITE AND VERIFY */
		return SCSI_COUNT_WRITE;
	case 0x35: case 0x91: /* SYNCHRONIZE CACHE */
		return SCSI_COUNT_FLUSH;
	case 0x41: case 0x42: case 0x93: /* WRITE SAME, UNMAP */
		return SCSI_COUNT_UNMAP;
	case 0x89: /* COMPARE AND WRITE */
		return SCSI_COUNT_COMPARE;
	default:
		return SCSI_COUNT_OTHER;
	}
}

bool scsi_task_medium_error(const struct scsi_task *task)
{
	uint8_t key;

	if (task->sense_len_bytes < 3)
		return false;
	key = (task->sense[0] & 0x7f) >= 0x72 ? task->sense[1] & 0xf : task->sense[2] & 0xf;
	return key == KEY_MEDIUM_ERROR || key == KEY_HARDWARE_ERROR;
}

void *scsi_task_user(const struct scsi_task *task)
{
	return task->itl ? task->itl->lu->user : NULL;
}

void scsi_lu_set_user(struct scsi_lu *lu, void *user)
{
	lu->user = user;
}

void scsi_lu_commands_cleared(struct scsi_lu *lu, const struct scsi_nexus *by)
{
	pthread_mutex_lock(&lu->lock);
	list_for_each(node, &lu->itls) {
		struct scsi_itl *itl = container_of(node, struct scsi_itl, in_lu);

		if (itl->nexus != by)
			scsi_ua_set(itl, UA_COMMANDS_CLEARED);
	}
	pthread_mutex_unlock(&lu->lock);
}
