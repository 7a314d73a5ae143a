/* What the target says about itself: REPORT LUNS, REQUEST SENSE, supported operation codes and task management functions,
 * logs, diagnostics (SPC-4 clause 6). */
#include "dataplane/scsi/internal.h"

void scsi_test_unit_ready(struct scsi_task *task)
{
	scsi_finish(task); /* what could be wrong was found by scsi_task_begin() */
}

/* SPC-4 6.39: pending sense comes as parameter data, with GOOD. */
void scsi_request_sense(struct scsi_task *task)
{
	struct scsi_sense sense = { .key = KEY_NO_SENSE };
	struct scsi_lu *lu = scsi_task_lu(task);
	uint8_t bytes[SCSI_SENSE_MAX];
	uint16_t number;
	uint8_t len_bytes;

	if (lu && scsi_ua_take(task->itl, &sense.asc_ascq)) {
		sense.key = KEY_UNIT_ATTENTION;
	} else if (lu && scsi_access_state_sense(task->itl, &sense)) {
		;
	} else if (lu && atomic_load(&lu->sanitize_state) != SANITIZE_NONE) {
		sense = scsi_sanitize_sense(lu);
	} else if (lu && atomic_load(&lu->ejected)) {
		sense = (struct scsi_sense){ .key = KEY_NOT_READY, .asc_ascq = ASC_MEDIUM_NOT_PRESENT };
	} else if (!lu && scsi_lun_decode(task->lun, &number) != LUN_WELL_KNOWN_REPORT) {
		sense = (struct scsi_sense){ .key = KEY_ILLEGAL_REQUEST, .asc_ascq = ASC_NO_SUCH_LU };
	}
	len_bytes = scsi_sense_encode(&sense, task->cdb[1] & 1, bytes);
	scsi_reply_bytes(task, bytes, len_bytes);
}

/* --- REPORT LUNS (SPC-4 6.33) --- */

enum { SELECT_ADDRESSED = 0, SELECT_WELL_KNOWN = 1, SELECT_ALL = 2 };

bool scsi_prepare_report_luns(struct scsi_task *task)
{
	uint16_t number;

	/* Other LUN numbers without logical unit are incorrect numbers (SAM-5 4.7.4); LUN 0 answers for the device. */
	if (!task->itl && scsi_lun_decode(task->lun, &number) == LUN_NUMBER && number)
		return scsi_refuse(task, ASC_NO_SUCH_LU);
	if (!task->itl && scsi_lun_decode(task->lun, &number) == LUN_INVALID)
		return scsi_refuse(task, ASC_NO_SUCH_LU);
	if (task->cdb[2] > SELECT_ALL)
		return scsi_refuse_field(task, 2);
	if (get_be32(task->cdb + 6) < 16)
		return scsi_refuse_field(task, 6);
	return scsi_prepare_length(task);
}

static void append_lun(struct scsi_reply *reply, uint64_t lun)
{
	uint8_t bytes[8];

	put_be64(bytes, lun);
	scsi_reply_append(reply, bytes, sizeof bytes);
}

void scsi_report_luns(struct scsi_task *task)
{
	struct scsi_nexus *nexus = task->nexus;
	struct scsi_reply reply = { .task = task };
	uint8_t header[8] = { 0 };

	scsi_reply_append(&reply, header, sizeof header);
	if (task->cdb[2] != SELECT_ADDRESSED)
		append_lun(&reply, UINT64_C(0xc101000000000000));
	if (task->cdb[2] != SELECT_WELL_KNOWN)
		for (unsigned i = 0; i < nexus->inventory->count; i++)
			append_lun(&reply, scsi_lun_encode(nexus->inventory->entry[i].number));
	put_be32(header, reply.len_bytes - 8);
	scsi_reply_patch(&reply, 0, header, 4);
	nexus->first_ua &= ~(1u << UA_LUNS_CHANGED);
	for (unsigned i = 0; i < nexus->inventory->count; i++)
		if (nexus->itl[i])
			scsi_ua_clear(nexus->itl[i], UA_LUNS_CHANGED);
	scsi_reply_finish(&reply);
}

/* --- REPORT SUPPORTED OPERATION CODES (SPC-4 6.35) --- */

enum { OPTION_ALL = 0, OPTION_OPCODE = 1, OPTION_ACTION = 2, OPTION_EITHER = 3 };
enum { TIMEOUTS = 0x80, NOT_SUPPORTED = 1, SUPPORTED = 3 };

/* The row that a one-command request names; NULL: no such. false: the option does not fit the operation code. */
static bool requested_row(const struct scsi_task *task, const struct scsi_command **ret_row)
{
	uint8_t option = task->cdb[2] & 0x07, opcode = task->cdb[3];
	uint16_t action = get_be16(task->cdb + 4);
	const struct scsi_command *plain = scsi_command_row(opcode, SCSI_SA_NONE);
	uint8_t probe[2] = { opcode, 0xff };
	bool known;

	scsi_command_find(probe, &known);
	*ret_row = plain ? plain : scsi_command_row(opcode, action);
	if (plain && action && option == OPTION_EITHER)
		*ret_row = NULL;
	if (option == OPTION_OPCODE)
		return plain || !known;
	return option == OPTION_EITHER || !plain;
}

bool scsi_prepare_report_opcodes(struct scsi_task *task)
{
	const struct scsi_command *row;
	uint8_t option = task->cdb[2] & 0x07;

	if (option > OPTION_EITHER || (option != OPTION_ALL && !requested_row(task, &row)))
		return scsi_refuse_field(task, 2);
	return scsi_prepare_length(task);
}

static void append_timeouts(struct scsi_reply *reply)
{
	static const uint8_t none[12] = { 0, 0x0a }; /* no time-outs are stated */

	scsi_reply_append(reply, none, sizeof none);
}

static void all_commands(struct scsi_task *task)
{
	struct scsi_reply reply = { .task = task };
	bool timeouts = task->cdb[2] & TIMEOUTS;
	uint8_t header[4] = { 0 };

	scsi_reply_append(&reply, header, sizeof header);
	for (unsigned i = 0; i < scsi_command_count; i++) {
		const struct scsi_command *row = &scsi_commands[i];
		uint8_t bytes[8] = { row->opcode };

		if (!scsi_command_exists(row, task))
			continue;
		if (row->service_action != SCSI_SA_NONE) {
			put_be16(bytes + 2, (uint16_t)row->service_action);
			bytes[5] = 0x01; /* SERVACTV */
		}
		if (timeouts)
			bytes[5] |= 0x02; /* CTDP */
		put_be16(bytes + 6, row->cdb_len_bytes);
		scsi_reply_append(&reply, bytes, sizeof bytes);
		if (timeouts)
			append_timeouts(&reply);
	}
	put_be32(header, reply.len_bytes - 4);
	scsi_reply_patch(&reply, 0, header, sizeof header);
	scsi_reply_finish(&reply);
}

static void one_command(struct scsi_task *task, const struct scsi_command *row)
{
	struct scsi_reply reply = { .task = task };
	bool timeouts = task->cdb[2] & TIMEOUTS;
	uint8_t header[4] = { 0, NOT_SUPPORTED }, usage[16];

	if (!row || !scsi_command_exists(row, task)) {
		scsi_reply_bytes(task, header, sizeof header);
		return;
	}
	header[1] = (uint8_t)(SUPPORTED | (timeouts ? 0x80 : 0));
	put_be16(header + 2, row->cdb_len_bytes);
	memcpy(usage, row->mask, sizeof usage);
	usage[0] = row->opcode;
	if (row->service_action != SCSI_SA_NONE)
		usage[1] |= (uint8_t)row->service_action;
	scsi_reply_append(&reply, header, sizeof header);
	scsi_reply_append(&reply, usage, row->cdb_len_bytes);
	if (timeouts)
		append_timeouts(&reply);
	scsi_reply_finish(&reply);
}

void scsi_report_opcodes(struct scsi_task *task)
{
	const struct scsi_command *row = NULL;

	if ((task->cdb[2] & 0x07) == OPTION_ALL) {
		all_commands(task);
		return;
	}
	requested_row(task, &row);
	one_command(task, row);
}

/* --- REPORT SUPPORTED TASK MANAGEMENT FUNCTIONS (SPC-4 6.36) --- */

bool scsi_prepare_report_tmf(struct scsi_task *task)
{
	if (get_be32(task->cdb + 6) < 4)
		return scsi_refuse_field(task, 6);
	return scsi_prepare_length(task);
}

void scsi_report_tmf(struct scsi_task *task)
{
	/* ABORT TASK, ABORT TASK SET, CLEAR TASK SET, LOGICAL UNIT RESET, TARGET RESET */
	uint8_t bytes[16] = { 0x80 | 0x40 | 0x10 | 0x08 | 0x02 };
	bool extended = task->cdb[2] & 0x80;

	if (extended)
		bytes[3] = 0x0c; /* ADDITIONAL DATA LENGTH; no time-outs are stated */
	scsi_reply_bytes(task, bytes, extended ? 16 : 4);
}

/* --- LOG SENSE (SPC-4 6.8): the lists of pages; of thin LUNs, logical block provisioning (SBC-3 6.3.2) --- */

enum { LOG_PROVISIONING = 0x0c };

bool scsi_prepare_log_sense(struct scsi_task *task)
{
	uint8_t page = task->cdb[2] & 0x3f;

	if (page && (page != LOG_PROVISIONING || !task->itl->lu->provisioned))
		return scsi_refuse_field(task, 2);
	if (task->cdb[3] != 0x00 && (page || task->cdb[3] != 0xff))
		return scsi_refuse_field(task, 3);
	if (get_be16(task->cdb + 5))
		return scsi_refuse_field(task, 5);
	return scsi_prepare_length(task);
}

void scsi_log_sense(struct scsi_task *task)
{
	static const uint8_t pages[] = { 0x00, LOG_PROVISIONING };
	static const uint8_t subpages[] = { 0x00, 0x00, 0x00, 0xff, LOG_PROVISIONING, 0x00 };
	const struct scsi_lu *lu = task->itl->lu;
	uint8_t bytes[64];
	struct wire_writer w = wire_writer(bytes, sizeof bytes);

	wire_put_u8(&w, (uint8_t)((task->cdb[2] & 0x3f) | (task->cdb[3] ? 0x40 : 0))); /* SPF */
	wire_put_u8(&w, task->cdb[3]);
	wire_put_u16(&w, 0);
	if (task->cdb[2] & 0x3f)
		scsi_log_provisioning(lu, &w);
	else if (task->cdb[3])
		wire_put_bytes(&w, subpages, lu->provisioned ? sizeof subpages : sizeof subpages - 2);
	else
		wire_put_bytes(&w, pages, lu->provisioned ? sizeof pages : sizeof pages - 1);
	put_be16(bytes + 2, (uint16_t)(wire_written(&w) - 4));
	scsi_reply_bytes(task, bytes, wire_written(&w));
}

/* --- READ DEFECT DATA (SBC-3 5.17, 5.18): the lists are empty, whatever the format --- */

void scsi_read_defect_data(struct scsi_task *task)
{
	bool ten = task->command->cdb_len_bytes == 10;
	uint8_t bytes[8] = { 0, task->cdb[ten ? 2 : 1] & 0x1f }; /* PLISTV, GLISTV and the format, as they were asked for */

	scsi_reply_bytes(task, bytes, ten ? 4 : 8);
}

/* --- diagnostics (SPC-4 6.26 and 6.42): the default self-test --- */

bool scsi_prepare_receive_diagnostic(struct scsi_task *task)
{
	if (!(task->cdb[1] & 1))
		return scsi_refuse_field(task, 1);
	if (task->cdb[2])
		return scsi_refuse_field(task, 2);
	return scsi_prepare_length(task);
}

void scsi_receive_diagnostic(struct scsi_task *task)
{
	static const uint8_t pages[] = { 0x00, 0x00, 0x00, 0x01, 0x00 };

	scsi_reply_bytes(task, pages, sizeof pages);
}

bool scsi_prepare_send_diagnostic(struct scsi_task *task)
{
	if (task->cdb[1] & ~0x04) /* only SELFTEST */
		return scsi_refuse_field(task, 1);
	if (get_be16(task->cdb + 3))
		return scsi_refuse_field(task, 3);
	return true;
}

void scsi_send_diagnostic(struct scsi_task *task)
{
	scsi_finish(task);
}
