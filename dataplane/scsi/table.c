/* The command table and its accessors; the rows are in commands.def. */
#include "dataplane/scsi/internal.h"

#define COMMAND(name, text, opcode, sa, len, access, dir, flags, at, width, relaxed_fn, prepare_fn, execute_fn, ...) \
	ROW_##name,
enum row {
#include "dataplane/scsi/commands.def"
	ROW_COUNT
};
#undef COMMAND

#define COMMAND(name, text, opcode, sa, len, access, dir, flags, at, width, relaxed_fn, prepare_fn, execute_fn, ...) \
	[ROW_##name] = { text, opcode, sa, len, access, dir, flags, at, width, { 0xff, __VA_ARGS__ },                 \
			 relaxed_fn, prepare_fn, execute_fn },
const struct scsi_command scsi_commands[] = {
#include "dataplane/scsi/commands.def"
};
#undef COMMAND
const unsigned scsi_command_count = ROW_COUNT;

static uint8_t first_row[256]; /* by opcode: row + 1 of its first service action; 0: none */

__attribute__((constructor)) static void index_rows(void)
{
	for (unsigned row = ROW_COUNT; row-- > 0;)
		first_row[scsi_commands[row].opcode] = (uint8_t)(row + 1);
}

const struct scsi_command *scsi_command_row(uint8_t opcode, int service_action)
{
	if (!first_row[opcode])
		return NULL;
	for (unsigned row = first_row[opcode] - 1u; row < ROW_COUNT; row++)
		if (scsi_commands[row].opcode == opcode && scsi_commands[row].service_action == service_action)
			return &scsi_commands[row];
	return NULL;
}

const struct scsi_command *scsi_command_find(const uint8_t *cdb, bool *ret_opcode_known)
{
	uint8_t first = first_row[cdb[0]];

	*ret_opcode_known = first != 0;
	if (!first)
		return NULL;
	if (scsi_commands[first - 1].service_action == SCSI_SA_NONE)
		return &scsi_commands[first - 1];
	return scsi_command_row(cdb[0], cdb[1] & 0x1f);
}

bool scsi_command_exists(const struct scsi_command *command, const struct scsi_task *task)
{
	const struct scsi_lu *lu = scsi_task_lu(task);

	if (command->flags & CMD_LBP && !(lu && lu->provisioned))
		return false;
	return !(command->flags & CMD_TPGS) || scsi_port_groups_set_supported(task->nexus);
}

bool scsi_command_runs_in(const struct scsi_command *command, uint8_t state)
{
	switch (state) {
	case ALUA_OPTIMIZED:
	case ALUA_NONOPTIMIZED:
		return true;
	case ALUA_STANDBY:
		return command->flags & CMD_STANDBY;
	case ALUA_UNAVAILABLE:
		return command->flags & CMD_UNAVAILABLE;
	case ALUA_TRANSITIONING:
		return command->flags & CMD_TRANSITION;
	default:
		return false;
	}
}
