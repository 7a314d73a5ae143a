/* PERSISTENT RESERVE IN (SPC-4 6.15), and the reservations as the administrator sees them. */
#include <stdio.h>

#include "dataplane/scsi/internal.h"
#include "dataplane/scsi/transport_id.h"

/* The PRGENERATION and ADDITIONAL LENGTH header is written last: the length is that of the whole. */
static void reply_with_header(struct scsi_reply *reply, uint32_t generation)
{
	uint8_t header[8];

	put_be32(header, generation);
	put_be32(header + 4, reply->len_bytes - 8);
	scsi_reply_patch(reply, 0, header, sizeof header);
}

void scsi_pr_read_keys(struct scsi_task *task)
{
	struct scsi_lu *lu = task->itl->lu;
	struct scsi_reply reply = { .task = task };
	uint8_t bytes[8] = { 0 };

	scsi_reply_append(&reply, bytes, 8);
	pthread_mutex_lock(&lu->lock);
	for (unsigned i = 0; i < lu->pr->count; i++) {
		put_be64(bytes, lu->pr->registration[i].key);
		scsi_reply_append(&reply, bytes, 8);
	}
	reply_with_header(&reply, lu->pr->generation);
	pthread_mutex_unlock(&lu->lock);
	scsi_reply_finish(&reply);
}

void scsi_pr_read_reservation(struct scsi_task *task)
{
	struct scsi_lu *lu = task->itl->lu;
	uint8_t bytes[24] = { 0 };
	bool held;

	pthread_mutex_lock(&lu->lock);
	held = lu->pr->type != PR_NONE;
	put_be32(bytes, lu->pr->generation);
	if (held) {
		put_be32(bytes + 4, 16);
		if (!pr_type_all_registrants(lu->pr->type))
			put_be64(bytes + 8, lu->pr->registration[lu->pr->holder].key);
		bytes[21] = lu->pr->type; /* SCOPE 0: the logical unit */
	}
	pthread_mutex_unlock(&lu->lock);
	scsi_reply_bytes(task, bytes, held ? 24 : 8);
}

void scsi_pr_report_capabilities(struct scsi_task *task)
{
	struct scsi_lu *lu = task->itl->lu;
	uint8_t bytes[8] = { 0 };
	uint16_t mask = 0;

	put_be16(bytes, sizeof bytes);
	bytes[2] = 0x08 | 0x04; /* SIP_C, ATP_C */
	/* TMV; ALLOW COMMANDS 100b: the access classes STATUS and READ, as the rows of the command table have them */
	bytes[3] = 0x80 | 4 << 4;
	if (lu->services.documents)
		bytes[2] |= 0x01; /* PTPL_C */
	pthread_mutex_lock(&lu->lock);
	if (lu->pr->aptpl)
		bytes[3] |= 0x01; /* PTPL_A */
	pthread_mutex_unlock(&lu->lock);
	for (uint8_t type = 0; type < 8; type++)
		if (pr_type_valid(type))
			mask |= (uint16_t)(0x100 << type);
	if (pr_type_valid(PR_EXCLUSIVE_ACCESS_ALL))
		mask |= 0x0001;
	put_be16(bytes + 4, mask);
	scsi_reply_bytes(task, bytes, sizeof bytes);
}

static void append_full_status(struct scsi_reply *reply, const struct pr_state *state, unsigned index)
{
	const struct pr_registration *registration = &state->registration[index];
	uint8_t bytes[24 + TRANSPORT_ID_MAX_BYTES] = { 0 };
	unsigned id_bytes = transport_id_encode(&registration->nexus, bytes + 24);

	put_be64(bytes, registration->key);
	if (registration->nexus.target_port == PR_TARGET_PORT_ANY)
		bytes[12] |= 0x02; /* ALL_TG_PT */
	if (pr_state_holds(state, index)) {
		bytes[12] |= 0x01; /* R_HOLDER */
		bytes[13] = state->type;
	}
	put_be16(bytes + 18, registration->nexus.target_port);
	put_be32(bytes + 20, id_bytes);
	scsi_reply_append(reply, bytes, 24 + id_bytes);
}

void scsi_pr_read_full_status(struct scsi_task *task)
{
	struct scsi_lu *lu = task->itl->lu;
	struct scsi_reply reply = { .task = task };
	uint8_t header[8] = { 0 };

	scsi_reply_append(&reply, header, sizeof header);
	pthread_mutex_lock(&lu->lock);
	for (unsigned i = 0; i < lu->pr->count; i++)
		append_full_status(&reply, lu->pr, i);
	reply_with_header(&reply, lu->pr->generation);
	pthread_mutex_unlock(&lu->lock);
	scsi_reply_finish(&reply);
}

/* --- for people --- */

static const char *type_name(uint8_t type)
{
	static const char *const names[] = {
		[PR_WRITE_EXCLUSIVE] = "write-exclusive",
		[PR_EXCLUSIVE_ACCESS] = "exclusive-access",
		[PR_WRITE_EXCLUSIVE_REGISTRANTS] = "write-exclusive-registrants-only",
		[PR_EXCLUSIVE_ACCESS_REGISTRANTS] = "exclusive-access-registrants-only",
		[PR_WRITE_EXCLUSIVE_ALL] = "write-exclusive-all-registrants",
		[PR_EXCLUSIVE_ACCESS_ALL] = "exclusive-access-all-registrants",
	};

	return pr_type_valid(type) ? names[type] : NULL;
}

static json_t *registration_json(const struct pr_state *state, unsigned index)
{
	const struct pr_nexus *nexus = &state->registration[index].nexus;
	char key[19], isid[15];

	snprintf(key, sizeof key, "0x%016llx", (unsigned long long)state->registration[index].key);
	snprintf(isid, sizeof isid, "0x%02x%02x%02x%02x%02x%02x", nexus->isid[0], nexus->isid[1], nexus->isid[2],
		 nexus->isid[3], nexus->isid[4], nexus->isid[5]);
	return json_pack("{s:s, s:s, s:s?, s:o, s:b}", "key", key, "initiator", nexus->initiator, "isid",
			 nexus->any_isid ? NULL : isid, "target_port",
			 nexus->target_port ? json_integer(nexus->target_port) : json_null(), "holder",
			 pr_state_holds(state, index));
}

json_t *scsi_lu_reservations_json(struct scsi_lu *lu)
{
	json_t *registrations = json_array(), *json;
	const char *reserved_by;

	pthread_mutex_lock(&lu->lock);
	for (unsigned i = 0; registrations && i < lu->pr->count; i++)
		json_array_append_new(registrations, registration_json(lu->pr, i));
	reserved_by = lu->reserve6 ? lu->reserve6->nexus->port.initiator_name : NULL;
	json = json_pack("{s:I, s:s?, s:b, s:s?, s:o}", "generation", (json_int_t)lu->pr->generation, "type",
			 type_name(lu->pr->type), "aptpl", lu->pr->aptpl, "reserved_by", reserved_by, "registrations",
			 registrations);
	pthread_mutex_unlock(&lu->lock);
	return json;
}
