/* RESERVE and RELEASE of SPC-2 5.5, and the medium that is never really removed: PREVENT ALLOW MEDIUM REMOVAL, START STOP
 * UNIT. What other nexuses may do meanwhile is in scsi_lu_access_of(). */
#include "dataplane/scsi/internal.h"

void scsi_reserve(struct scsi_task *task)
{
	struct scsi_lu *lu = task->itl->lu;

	pthread_mutex_lock(&lu->lock);
	if (lu->pr->count || (lu->reserve6 && lu->reserve6 != task->itl)) {
		task->status = SCSI_RESERVATION_CONFLICT;
	} else {
		lu->reserve6 = task->itl;
		scsi_lu_recompute_access(lu);
	}
	pthread_mutex_unlock(&lu->lock);
	scsi_finish(task);
}

void scsi_release(struct scsi_task *task)
{
	struct scsi_lu *lu = task->itl->lu;

	pthread_mutex_lock(&lu->lock);
	if (lu->reserve6 == task->itl) {
		lu->reserve6 = NULL;
		scsi_lu_recompute_access(lu);
	}
	pthread_mutex_unlock(&lu->lock);
	scsi_finish(task);
}

/* --- PREVENT ALLOW MEDIUM REMOVAL (SBC-3 5.15) --- */

bool scsi_prevent_is_allow(const uint8_t *cdb)
{
	return !(cdb[4] & 0x03);
}

bool scsi_prepare_prevent_allow(struct scsi_task *task)
{
	return task->cdb[4] & 0x02 ? scsi_refuse_field(task, 4) : true;
}

void scsi_prevent_allow(struct scsi_task *task)
{
	struct scsi_lu *lu = task->itl->lu;

	pthread_mutex_lock(&lu->lock);
	task->itl->prevent = task->cdb[4] & 0x01;
	pthread_mutex_unlock(&lu->lock);
	scsi_finish(task);
}

static bool removal_prevented(struct scsi_lu *lu)
{
	bool prevented = false;

	pthread_mutex_lock(&lu->lock);
	list_for_each(at, &lu->itls)
		prevented |= container_of(at, struct scsi_itl, in_lu)->prevent;
	pthread_mutex_unlock(&lu->lock);
	return prevented;
}

/* --- START STOP UNIT (SBC-3 5.25) --- */

enum { START = 0x01, LOAD_EJECT = 0x02, NO_FLUSH = 0x04, POWER_CONDITION = 0xf0 };

bool scsi_start_is_start(const uint8_t *cdb)
{
	return (cdb[4] & (POWER_CONDITION | START)) == START;
}

bool scsi_prepare_start_stop(struct scsi_task *task)
{
	struct scsi_lu *lu = task->itl->lu;
	bool moves_medium = !(task->cdb[4] & POWER_CONDITION) && task->cdb[4] & LOAD_EJECT;

	if (!moves_medium)
		return true;
	if (!lun_attributes(lu->lun)->removable)
		return scsi_refuse_field(task, 4);
	return removal_prevented(lu) ? scsi_refuse(task, ASC_REMOVAL_PREVENTED) : true;
}

static void move_medium(struct scsi_task *task)
{
	struct scsi_lu *lu = task->itl->lu;
	bool out = !(task->cdb[4] & START);

	pthread_mutex_lock(&lu->lock);
	if (atomic_exchange(&lu->ejected, out) && !out)
		scsi_ua_set_others(lu, task->itl, UA_MEDIUM_CHANGED);
	pthread_mutex_unlock(&lu->lock);
}

static void stop_flushed(struct lun_io *io, int result)
{
	struct scsi_task *task = scsi_task_of_io(io);

	if (result)
		scsi_fail_errno(task, result, true);
	else if (task->cdb[4] & LOAD_EJECT)
		move_medium(task);
	scsi_finish(task);
}

/* Power conditions, and starting and stopping without moving the medium, mean nothing to a virtual disk: it stays ready. */
void scsi_start_stop(struct scsi_task *task)
{
	uint8_t action = task->cdb[4];

	if (action & POWER_CONDITION || (action & (START | LOAD_EJECT)) == START) {
		scsi_finish(task);
		return;
	}
	if (action & (START | NO_FLUSH)) {
		if (action & LOAD_EJECT)
			move_medium(task);
		scsi_finish(task);
		return;
	}
	task->io.op = LUN_FLUSH;
	task->io.lba = 0;
	task->io.blocks = 0;
	task->io.data = NULL;
	task->io.fua = false;
	scsi_block_submit(task, stop_flushed);
}
