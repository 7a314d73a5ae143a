/*
 * The life of a task (scsi.h). Order of the checks in scsi_task_begin(), SAM-5 5.3 and SPC-4 5.9: logical unit, unit
 * attention, operation code, access state, reservation, sanitize, CDB fields, medium, write protection, the command's own
 * fields.
 */
#include <assert.h>

#include "clock.h"
#include "dataplane/scsi/internal.h"

/* --- ends of commands --- */

void scsi_set_sense(struct scsi_task *task, const struct scsi_sense *sense)
{
	struct scsi_lu *lu = scsi_task_lu(task);

	task->status = SCSI_CHECK_CONDITION;
	task->data_in_bytes = 0;
	task->sense_len_bytes =
		scsi_sense_encode(sense, lu && atomic_load_explicit(&lu->descriptor_sense, memory_order_relaxed),
				  task->sense);
}

void scsi_task_fail(struct scsi_task *task, uint8_t key, uint16_t asc_ascq)
{
	scsi_set_sense(task, &(struct scsi_sense){ .key = key, .asc_ascq = asc_ascq });
}

void scsi_task_give_up(struct scsi_task *task, uint8_t key, uint16_t asc_ascq)
{
	scsi_task_fail(task, key, asc_ascq);
	scsi_order_leave(task);
}

bool scsi_refuse(struct scsi_task *task, uint16_t asc_ascq)
{
	scsi_task_fail(task, KEY_ILLEGAL_REQUEST, asc_ascq);
	return false;
}

bool scsi_refuse_field(struct scsi_task *task, unsigned cdb_byte)
{
	scsi_set_sense(task, &(struct scsi_sense){ .key = KEY_ILLEGAL_REQUEST, .asc_ascq = ASC_INVALID_FIELD_IN_CDB,
						   .has_field = true, .field_in_cdb = true,
						   .field_byte = (uint16_t)cdb_byte });
	return false;
}

void scsi_refuse_list(struct scsi_task *task, unsigned list_byte)
{
	scsi_set_sense(task, &(struct scsi_sense){ .key = KEY_ILLEGAL_REQUEST, .asc_ascq = ASC_INVALID_FIELD_IN_LIST,
						   .has_field = true, .field_byte = (uint16_t)list_byte });
}

void scsi_fail_errno(struct scsi_task *task, int error, bool write)
{
	struct scsi_sense sense = scsi_sense_from_errno(error, write);

	scsi_set_sense(task, &sense);
}

static void release_what_it_holds(struct scsi_task *task)
{
	if (task->lock.lun) {
		lun_lock_release(&task->lock);
		task->lock.lun = NULL;
	}
	if (task->atomic)
		scsi_atomic_release(task);
	if (task->scratch.owner != SGL_NOBODY) {
		sgl_release(task->reactor->pool, &task->scratch, SGL_SCSI);
		task->scratch.owner = SGL_NOBODY;
	}
}

void scsi_go_on_in_background(struct scsi_task *task)
{
	task->background = true;
	scsi_order_leave(task);
	task->answered(task);
}

void scsi_finish(struct scsi_task *task)
{
	release_what_it_holds(task);
	if (__builtin_expect(task->abandoned.lu != NULL, 0))
		scsi_abandoned_is_done(&task->abandoned);
	scsi_order_leave(task);
	task->done(task);
}

/* --- parameter data --- */

void scsi_reply_append(struct scsi_reply *reply, const void *bytes, uint32_t len_bytes)
{
	if (reply->len_bytes < reply->task->data_bytes && len_bytes)
		sgl_copy_in(&reply->task->data, reply->len_bytes, bytes, len_bytes);
	reply->len_bytes += len_bytes;
}

void scsi_reply_patch(struct scsi_reply *reply, uint32_t offset, const void *bytes, uint32_t len_bytes)
{
	if (offset < reply->task->data_bytes)
		sgl_copy_in(&reply->task->data, offset, bytes, len_bytes);
}

void scsi_reply_finish(struct scsi_reply *reply)
{
	struct scsi_task *task = reply->task;

	task->data_in_bytes = reply->len_bytes < task->data_bytes ? reply->len_bytes : task->data_bytes;
	scsi_finish(task);
}

void scsi_reply_bytes(struct scsi_task *task, const void *bytes, size_t len_bytes)
{
	struct scsi_reply reply = { .task = task };

	scsi_reply_append(&reply, bytes, (uint32_t)len_bytes);
	scsi_reply_finish(&reply);
}

/* --- begin --- */

static uint32_t cdb_length_field(const uint8_t *cdb, const struct scsi_command *command)
{
	const uint8_t *at = cdb + command->length_at;

	switch (command->length_width) {
	case 1:
		return at[0];
	case 2:
		return get_be16(at);
	case 4:
		return get_be32(at);
	default:
		return 0;
	}
}

/* prepare() of commands that have nothing but an allocation length or a parameter list length. */
bool scsi_prepare_length(struct scsi_task *task)
{
	uint32_t len_bytes = cdb_length_field(task->cdb, task->command);

	if (task->command->direction == SCSI_DATA_OUT && len_bytes > SCSI_LIST_MAX_BYTES)
		return scsi_refuse(task, ASC_PARAMETER_LIST_LENGTH);
	if (len_bytes > SCSI_DATA_IN_MAX_BYTES)
		len_bytes = SCSI_DATA_IN_MAX_BYTES;
	task->data_bytes = len_bytes;
	task->direction = len_bytes ? (enum scsi_direction)task->command->direction : SCSI_DATA_NONE;
	return true;
}

static bool cdb_valid(struct scsi_task *task)
{
	const struct scsi_command *command = task->command;
	uint8_t action = command->service_action == SCSI_SA_NONE ? 0 : 0x1f;

	if (task->cdb_len_bytes < command->cdb_len_bytes)
		return scsi_refuse_field(task, 0);
	if (task->cdb[1] & ~(command->mask[1] | action))
		return scsi_refuse_field(task, 1);
	for (unsigned i = 2; i < command->cdb_len_bytes; i++)
		if (task->cdb[i] & ~command->mask[i])
			return scsi_refuse_field(task, i);
	return true;
}

#define ACTIVE (1u << (ALLOWED_STATE + ALUA_OPTIMIZED) | 1u << (ALLOWED_STATE + ALUA_NONOPTIMIZED))

static uint8_t state_in(uint32_t allowed)
{
	return (uint8_t)__builtin_ctz(allowed >> ALLOWED_STATE);
}

bool scsi_access_state_sense(struct scsi_itl *itl, struct scsi_sense *ret_sense)
{
	static const uint16_t asc_ascq[16] = {
		[ALUA_STANDBY] = ASC_PORT_STANDBY, [ALUA_UNAVAILABLE] = ASC_PORT_UNAVAILABLE,
		[ALUA_TRANSITIONING] = ASC_ACCESS_STATE_TRANSITION,
	};
	uint8_t state = state_in(atomic_load(&itl->allowed));

	if (!asc_ascq[state])
		return false;
	*ret_sense = (struct scsi_sense){ .key = KEY_NOT_READY, .asc_ascq = asc_ascq[state] };
	return true;
}

static bool reservation_allows(struct scsi_task *task, uint32_t allowed, enum scsi_access access)
{
	if (allowed & 1u << access)
		return true;
	task->status = SCSI_RESERVATION_CONFLICT;
	return false;
}

bool scsi_sanitize_allows(struct scsi_task *task)
{
	struct scsi_lu *lu = task->itl->lu;
	struct scsi_sense sense;

	if (__builtin_expect(atomic_load_explicit(&lu->sanitize_epoch, memory_order_acquire) == task->sanitize_epoch, 1))
		return true;
	sense = (struct scsi_sense){ .key = KEY_NOT_READY, .asc_ascq = ASC_SANITIZE_IN_PROGRESS, .has_progress = true };
	if (atomic_load(&lu->sanitize_state) != SANITIZE_NONE)
		sense = scsi_sanitize_sense(lu);
	scsi_set_sense(task, &sense);
	return false;
}

/* What a sanitize that is under way or has failed lets through (SBC-4 4.11.2). */
static bool no_sanitize(struct scsi_task *task)
{
	struct scsi_lu *lu = task->itl->lu;
	uint32_t state;
	struct scsi_sense sense;

	task->sanitize_epoch = atomic_load(&lu->sanitize_epoch); /* before the state: one that begins later is seen later */
	state = atomic_load_explicit(&lu->sanitize_state, memory_order_acquire);
	if (__builtin_expect(state == SANITIZE_NONE, 1) || task->command->flags & CMD_SANITIZING ||
	    (state == SANITIZE_FAILED && task->command->flags & CMD_SANITIZE))
		return true;
	sense = scsi_sanitize_sense(lu);
	scsi_set_sense(task, &sense);
	return false;
}

static bool medium_allows(struct scsi_task *task, const struct scsi_itl *itl, enum scsi_access access, bool needs_medium)
{
	struct scsi_lu *lu = itl->lu;
	uint32_t protect;

	if (needs_medium && atomic_load_explicit(&lu->ejected, memory_order_relaxed)) {
		scsi_task_fail(task, KEY_NOT_READY, ASC_MEDIUM_NOT_PRESENT);
		return false;
	}
	if (access != ACCESS_WRITE)
		return true;
	protect = atomic_load_explicit(&lu->protect, memory_order_relaxed);
	if (!protect && !itl->read_only)
		return true;
	scsi_task_fail(task, KEY_DATA_PROTECT,
		       protect & (PROTECT_ATTRIBUTE | PROTECT_JOURNAL) || itl->read_only ? ASC_WRITE_PROTECTED :
								       ASC_SOFTWARE_WRITE_PROTECTED);
	return false;
}

/* A path that is in no active state; a transition may be over by now. */
static bool inactive_path(struct scsi_task *task, struct scsi_itl *itl)
{
	struct scsi_sense sense;

	scsi_port_groups_pass_time(itl->nexus->groups, clock_now_ns());
	if (!scsi_access_state_sense(itl, &sense))
		return false;
	scsi_set_sense(task, &sense);
	return true;
}

bool scsi_access_allows(struct scsi_task *task, struct scsi_itl *itl, enum scsi_access access)
{
	uint32_t allowed = atomic_load_explicit(&itl->allowed, memory_order_acquire);
	struct scsi_sense sense;

	if (!(allowed & ACTIVE) && inactive_path(task, itl))
		return false;
	if (!reservation_allows(task, allowed, access))
		return false;
	if (atomic_load(&itl->lu->sanitize_state) == SANITIZE_NONE)
		return medium_allows(task, itl, access, true);
	sense = scsi_sanitize_sense(itl->lu);
	scsi_set_sense(task, &sense);
	return false;
}

/* Finds the I_T_L nexus; without one, only rows with `without` may run (itl stays NULL). */
static bool address_lu(struct scsi_task *task, uint8_t *ret_without)
{
	uint16_t number;
	enum scsi_lun_kind kind = scsi_lun_decode(task->lun, &number);
	int index = kind == LUN_NUMBER ? scsi_inventory_find(task->nexus->inventory, number) : -1;

	*ret_without = kind == LUN_WELL_KNOWN_REPORT ? CMD_WLUN : CMD_NO_LU;
	if (index < 0)
		return true;
	task->itl = scsi_nexus_itl(task->nexus, (unsigned)index);
	if (!task->itl)
		task->status = SCSI_BUSY;
	return task->itl != NULL;
}

static bool unit_attention_pending(struct scsi_task *task)
{
	uint16_t asc_ascq;

	if (!atomic_load_explicit(&task->itl->ua, memory_order_acquire))
		return false;
	if (task->command && task->command->flags & CMD_UA)
		return false;
	if (!scsi_ua_take(task->itl, &asc_ascq))
		return false;
	scsi_task_fail(task, KEY_UNIT_ATTENTION, asc_ascq);
	return true;
}

static enum scsi_access access_of(const struct scsi_task *task)
{
	const struct scsi_command *command = task->command;

	return command->relaxed && command->relaxed(task->cdb) ? ACCESS_ANY : (enum scsi_access)command->access;
}

/* The state of the path and reservations: one word. */
static bool nexus_allows(struct scsi_task *task)
{
	uint32_t allowed = atomic_load_explicit(&task->itl->allowed, memory_order_acquire);

	if (__builtin_expect(!(allowed & ACTIVE), 0) && !scsi_command_runs_in(task->command, state_in(allowed)) &&
	    inactive_path(task, task->itl))
		return false;
	return reservation_allows(task, allowed, access_of(task));
}

static bool command_allowed(struct scsi_task *task, bool opcode_known, uint8_t without)
{
	if (!task->itl && (!task->command || !(task->command->flags & without)))
		return scsi_refuse(task, without == CMD_WLUN ? ASC_INVALID_OPCODE : ASC_NO_SUCH_LU);
	if (!scsi_order_accepts(task->attribute))
		return scsi_refuse(task, ASC_INVALID_MESSAGE);
	if (task->itl && unit_attention_pending(task))
		return false;
	if (!task->command)
		return opcode_known ? scsi_refuse_field(task, 1) : scsi_refuse(task, ASC_INVALID_OPCODE);
	if (!scsi_command_exists(task->command, task))
		return scsi_refuse(task, ASC_INVALID_OPCODE);
	if (task->itl && (!nexus_allows(task) || !no_sanitize(task)))
		return false;
	if (!cdb_valid(task))
		return false;
	return !task->itl ||
	       medium_allows(task, task->itl, (enum scsi_access)task->command->access, task->command->flags & CMD_MEDIUM);
}

enum scsi_begin scsi_task_begin(struct scsi_task *task)
{
	bool opcode_known;
	uint8_t without;

	task->direction = SCSI_DATA_NONE;
	task->data_bytes = 0;
	task->status = SCSI_GOOD;
	task->sense_len_bytes = 0;
	task->data_in_bytes = 0;
	task->itl = NULL;
	task->order = ORDER_OUT;
	task->abandoned.lu = NULL;
	task->background = false;
	task->copy = NULL;
	task->atomic = NULL;
	task->lock.lun = NULL;
	task->scratch.owner = SGL_NOBODY;
	task->command = scsi_command_find(task->cdb, &opcode_known);
	if (!address_lu(task, &without) || !command_allowed(task, opcode_known, without))
		return SCSI_FINISHED;
	if (!task->command->prepare(task)) {
		task->direction = SCSI_DATA_NONE;
		task->data_bytes = 0;
		return SCSI_FINISHED;
	}
	scsi_order_join(task);
	return task->direction == SCSI_DATA_OUT ? SCSI_NEEDS_DATA_OUT : SCSI_READY;
}

void scsi_task_run(struct scsi_task *task)
{
	if (task->itl && !(task->command->flags & CMD_SANITIZING) && !scsi_sanitize_allows(task)) {
		scsi_finish(task);
	} else if (__builtin_expect(scsi_behind_abandoned(task), 0)) {
		task->status = SCSI_BUSY;
		scsi_finish(task);
	} else {
		task->command->execute(task);
	}
}

void scsi_task_execute(struct scsi_task *task)
{
	if (__builtin_expect(task->order <= ORDER_SIMPLE, 1) || scsi_order_start(task))
		scsi_task_run(task);
}

void scsi_task_end(struct scsi_task *task)
{
	scsi_order_leave(task);
	assert(!task->lock.lun && task->scratch.owner == SGL_NOBODY && !task->copy);
	task->itl = NULL; /* what is left of the task may outlive the LU */
}
