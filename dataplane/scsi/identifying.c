/*
 * REPORT and SET IDENTIFYING INFORMATION (SPC-4 6.32, 6.45): bytes and a text that an administrator of the initiators gives
 * to the LU, the same through every path. They live in the document `identifying/<lun id>` and nowhere else: what cannot be
 * published was not set, what cannot be loaded is not reported. Without a document store (tests) there are none.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "dataplane/scsi/internal.h"

enum { TYPE_DEVICE = 0x00, TYPE_TEXT = 0x02, TYPE_SUPPORTED = 0x7f }; /* INFORMATION TYPE: CDB byte 10, bits 7 to 1 */

static const struct {
	uint8_t type;
	uint16_t max_bytes;
	const char *member;
} types[] = {
	{ TYPE_DEVICE, 64, "device" },
	{ TYPE_TEXT, 256, "text" },
};

#define TYPES (sizeof types / sizeof types[0])
#define INFORMATION_MAX_BYTES 256

struct identifying_job {
	struct offload_job job;
	struct scsi_task *task;
	unsigned index;        /* of types */
	int error;             /* negative errno */
	uint16_t len_bytes;
	uint8_t bytes[INFORMATION_MAX_BYTES];
};

static uint8_t type_of(const struct scsi_task *task)
{
	return task->cdb[10] >> 1;
}

static int find_type(const struct scsi_task *task)
{
	for (unsigned i = 0; i < TYPES; i++)
		if (types[i].type == type_of(task))
			return (int)i;
	return -1;
}

static void document_name(const struct scsi_task *task, char *ret_name, size_t size)
{
	snprintf(ret_name, size, "identifying/%s", lun_attributes(task->itl->lu->lun)->id);
}

static void submit(struct scsi_task *task, void (*work)(struct offload_job *job), void (*done)(struct offload_job *job),
		   const uint8_t *bytes, uint32_t len_bytes)
{
	struct identifying_job *job = calloc(1, sizeof *job);

	if (!job) {
		task->status = SCSI_BUSY;
		scsi_finish(task);
		return;
	}
	job->task = task;
	job->index = (unsigned)find_type(task);
	job->len_bytes = (uint16_t)len_bytes;
	if (len_bytes)
		memcpy(job->bytes, bytes, len_bytes);
	job->job.work = work;
	job->job.done = done;
	offload_submit(task->reactor->offload, &job->job, task->reactor->mailbox);
}

/* --- the document: {"device": "hex", "text": "hex"} --- */

static bool read_hex(const char *hex, struct identifying_job *job)
{
	size_t len = strlen(hex);

	if (len % 2 || len / 2 > types[job->index].max_bytes || strspn(hex, "0123456789abcdef") != len)
		return false;
	job->len_bytes = (uint16_t)(len / 2);
	for (unsigned i = 0; i < job->len_bytes; i++) {
		const char digits[3] = { hex[2 * i], hex[2 * i + 1] };

		job->bytes[i] = (uint8_t)strtoul(digits, NULL, 16);
	}
	return true;
}

static void load(struct offload_job *at)
{
	struct identifying_job *job = container_of(at, struct identifying_job, job);
	struct docstore *documents = job->task->itl->lu->services.documents;
	json_t *content = NULL;
	const char *hex;
	uint64_t version;
	char name[64];

	document_name(job->task, name, sizeof name);
	if (documents)
		job->error = docstore_load(documents, name, &content, &version, NULL);
	hex = json_string_value(json_object_get(content, types[job->index].member));
	if (job->error == 0 && hex && !read_hex(hex, job))
		job->error = -EBADMSG;
	json_decref(content);
}

static int set_member(json_t **content, uint64_t version, void *arg, struct err *err)
{
	struct identifying_job *job = arg;
	char hex[2 * INFORMATION_MAX_BYTES + 1] = "";

	(void)version;
	for (unsigned i = 0; i < job->len_bytes; i++)
		snprintf(hex + 2 * i, 3, "%02x", job->bytes[i]);
	if (!*content)
		*content = json_object();
	if (json_object_set_new(*content, types[job->index].member, json_string(hex)) < 0)
		return err_set(err, -ENOMEM, "out of memory");
	return 0;
}

static void store(struct offload_job *at)
{
	struct identifying_job *job = container_of(at, struct identifying_job, job);
	struct docstore *documents = job->task->itl->lu->services.documents;
	char name[64];

	document_name(job->task, name, sizeof name);
	job->error = documents ? docstore_update(documents, name, set_member, job, NULL, NULL) : -EROFS;
}

/* --- REPORT --- */

bool scsi_prepare_report_identifying(struct scsi_task *task)
{
	if (find_type(task) < 0 && type_of(task) != TYPE_SUPPORTED)
		return scsi_refuse_field(task, 10);
	return scsi_prepare_length(task);
}

static void loaded(struct offload_job *at)
{
	struct identifying_job *job = container_of(at, struct identifying_job, job);
	struct scsi_task *task = job->task;
	uint8_t bytes[4 + INFORMATION_MAX_BYTES] = { 0 };

	if (job->error) {
		scsi_fail_errno(task, job->error, false);
		scsi_finish(task);
	} else {
		put_be16(bytes + 2, job->len_bytes);
		memcpy(bytes + 4, job->bytes, job->len_bytes);
		scsi_reply_bytes(task, bytes, 4u + job->len_bytes);
	}
	free(job);
}

static void report_supported(struct scsi_task *task)
{
	uint8_t bytes[4 + 4 * TYPES] = { 0 };

	put_be16(bytes + 2, 4 * TYPES);
	for (unsigned i = 0; i < TYPES; i++) {
		bytes[4 + 4 * i] = (uint8_t)(types[i].type << 1);
		put_be16(bytes + 4 + 4 * i + 2, types[i].max_bytes);
	}
	scsi_reply_bytes(task, bytes, sizeof bytes);
}

void scsi_report_identifying(struct scsi_task *task)
{
	if (type_of(task) == TYPE_SUPPORTED)
		report_supported(task);
	else
		submit(task, load, loaded, NULL, 0);
}

/* --- SET --- */

bool scsi_prepare_set_identifying(struct scsi_task *task)
{
	int index = find_type(task);

	if (index < 0)
		return scsi_refuse_field(task, 10);
	if (get_be32(task->cdb + 6) > types[index].max_bytes)
		return scsi_refuse_field(task, 6);
	return scsi_prepare_length(task);
}

static void stored(struct offload_job *at)
{
	struct identifying_job *job = container_of(at, struct identifying_job, job);
	struct scsi_task *task = job->task;
	struct scsi_lu *lu = task->itl->lu;

	if (job->error) {
		scsi_fail_errno(task, job->error, true);
	} else {
		pthread_mutex_lock(&lu->lock);
		scsi_ua_set_others(lu, task->itl, UA_IDENTIFIER_CHANGED);
		pthread_mutex_unlock(&lu->lock);
	}
	free(job);
	scsi_finish(task);
}

/* A text is UTF-8 and ends with its only NUL (SPC-4 6.45). Whether it is UTF-8 is for those who read it. */
static bool text_valid(const uint8_t *bytes, uint32_t len_bytes)
{
	return !len_bytes || memchr(bytes, 0, len_bytes) == bytes + len_bytes - 1;
}

void scsi_set_identifying(struct scsi_task *task)
{
	uint8_t bytes[INFORMATION_MAX_BYTES];
	uint32_t len_bytes = task->data_bytes;

	if (len_bytes && sgl_copy_out(&task->data, 0, bytes, len_bytes) < len_bytes) {
		scsi_refuse(task, ASC_PARAMETER_LIST_LENGTH);
		scsi_finish(task);
	} else if (type_of(task) == TYPE_TEXT && !text_valid(bytes, len_bytes)) {
		scsi_refuse_list(task, 0);
		scsi_finish(task);
	} else {
		submit(task, store, stored, bytes, len_bytes);
	}
}
