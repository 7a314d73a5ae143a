/* SANITIZE as a command: see sanitize.h. */
#include "dataplane/scsi/sanitize.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define OVERWRITE_HEADER_BYTES 4

enum { IMMED = 0x80, AUSE = 0x20 };                           /* CDB byte 1 */
enum { INVERT = 0x80, TEST = 0x60, OVERWRITE_COUNT = 0x1f };  /* parameter list byte 0 */

/* --- the document --- */

static void hex_of(const struct sanitize_plan *plan, char *ret_hex)
{
	for (unsigned i = 0; i < plan->pattern_bytes; i++)
		snprintf(ret_hex + 2 * i, 3, "%02x", plan->pattern[i]);
	ret_hex[2 * plan->pattern_bytes] = '\0';
}

static bool pattern_of(const char *hex, struct sanitize_plan *plan)
{
	size_t len = strlen(hex);

	if (len % 2 || len / 2 > SANITIZE_PATTERN_MAX || strspn(hex, "0123456789abcdef") != len)
		return false;
	plan->pattern_bytes = (uint16_t)(len / 2);
	for (unsigned i = 0; i < plan->pattern_bytes; i++) {
		unsigned byte;

		if (sscanf(hex + 2 * i, "%2x", &byte) != 1)
			return false;
		plan->pattern[i] = (uint8_t)byte;
	}
	return true;
}

static json_t *encode(const struct sanitize_plan *plan)
{
	char hex[2 * SANITIZE_PATTERN_MAX + 1];

	hex_of(plan, hex);
	return json_pack("{s:s, s:s, s:b, s:b, s:i, s:i, s:I, s:s}", "state", plan->failed ? "failed" : "running", "action",
			 plan->action == SANITIZE_OVERWRITE ? "overwrite" : "block-erase", "unrestricted",
			 plan->unrestricted, "invert", plan->invert, "passes", plan->passes, "pass", plan->pass, "lba",
			 (json_int_t)plan->lba, "pattern", hex);
}

static bool decode(json_t *content, struct sanitize_plan *ret)
{
	const char *state, *action, *pattern;
	int unrestricted, invert, passes, pass;
	json_int_t lba;

	if (json_unpack(content, "{s:s, s:s, s:b, s:b, s:i, s:i, s:I, s:s}", "state", &state, "action", &action,
			"unrestricted", &unrestricted, "invert", &invert, "passes", &passes, "pass", &pass, "lba", &lba,
			"pattern", &pattern) != 0)
		return false;
	*ret = (struct sanitize_plan){ .unrestricted = unrestricted, .invert = invert, .passes = (uint8_t)passes,
				       .pass = (uint8_t)pass, .lba = (uint64_t)lba };
	ret->failed = strcmp(state, "failed") == 0;
	ret->action = strcmp(action, "overwrite") == 0 ? SANITIZE_OVERWRITE : SANITIZE_BLOCK_ERASE;
	return pattern_of(pattern, ret) && passes > 0 && passes <= OVERWRITE_COUNT && pass >= 0 && pass < passes && lba >= 0 &&
	       (ret->action == SANITIZE_BLOCK_ERASE || ret->pattern_bytes) && (ret->failed || strcmp(state, "running") == 0);
}

static int publish(struct sanitize *sanitize, const json_t *content, struct err *err)
{
	struct docstore *documents = sanitize->lu->services.documents;

	return documents ? docstore_publish(documents, sanitize->document, content, sanitize->version, &sanitize->version, err) :
			   0;
}

int sanitize_save(struct sanitize *sanitize, struct err *err)
{
	json_t *content = encode(&sanitize->plan);
	int result = content ? publish(sanitize, content, err) : err_set(err, -ENOMEM, "out of memory");

	json_decref(content);
	return result;
}

int sanitize_remove(struct sanitize *sanitize, struct err *err)
{
	return publish(sanitize, NULL, err);
}

/* --- with the logical unit --- */

static int load(struct sanitize *sanitize, struct err *err)
{
	struct scsi_lu *lu = sanitize->lu;
	json_t *content = NULL;
	int result;

	if (!lu->services.documents)
		return 0;
	result = docstore_load(lu->services.documents, sanitize->document, &content, &sanitize->version, err);
	if (result < 0 || !content)
		return result;
	if (!decode(content, &sanitize->plan)) {
		json_decref(content);
		return err_set(err, -EBADMSG, "%s is not valid", sanitize->document);
	}
	json_decref(content);
	atomic_store(&lu->sanitize_state, sanitize->plan.failed ? SANITIZE_FAILED : SANITIZE_RUNS);
	sanitize->resumed = !sanitize->plan.failed;
	return sanitize->resumed ? sanitize_start(sanitize) : 0;
}

int scsi_sanitize_init(struct scsi_lu *lu, struct err *err)
{
	struct sanitize *sanitize = calloc(1, sizeof *sanitize);
	pthread_condattr_t monotonic;

	if (!sanitize)
		return err_set(err, -ENOMEM, "out of memory");
	lu->sanitize = sanitize;
	sanitize->lu = lu;
	snprintf(sanitize->document, sizeof sanitize->document, "sanitize/%s", lun_attributes(lu->lun)->id);
	pthread_mutex_init(&sanitize->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&sanitize->wake, &monotonic);
	pthread_condattr_destroy(&monotonic);
	return load(sanitize, err);
}

void scsi_sanitize_fini(struct scsi_lu *lu)
{
	struct sanitize *sanitize = lu->sanitize;

	if (!sanitize)
		return;
	sanitize_stop(sanitize);
	pthread_cond_destroy(&sanitize->wake);
	pthread_mutex_destroy(&sanitize->lock);
	free(sanitize);
}

struct scsi_sense scsi_sanitize_sense(const struct scsi_lu *lu)
{
	if (atomic_load(&lu->sanitize_state) == SANITIZE_FAILED)
		return (struct scsi_sense){ .key = KEY_MEDIUM_ERROR, .asc_ascq = ASC_SANITIZE_FAILED };
	return (struct scsi_sense){ .key = KEY_NOT_READY, .asc_ascq = ASC_SANITIZE_IN_PROGRESS, .has_progress = true,
				    .progress = atomic_load(&lu->sanitize->progress) };
}

/* --- the command --- */

bool scsi_prepare_sanitize(struct scsi_task *task)
{
	uint32_t block_bytes = task->itl->lu->block_bytes, len_bytes = get_be16(task->cdb + 7);

	if (task->command->service_action == SANITIZE_OVERWRITE) {
		if (len_bytes <= OVERWRITE_HEADER_BYTES || len_bytes > OVERWRITE_HEADER_BYTES + block_bytes)
			return scsi_refuse_field(task, 7);
	} else if (len_bytes) {
		return scsi_refuse_field(task, 7);
	}
	return scsi_prepare_length(task);
}

/* The overwrite parameter list (SBC-4 table 118); false: the sense has been set. */
static bool read_list(struct scsi_task *task, struct sanitize_plan *plan)
{
	uint8_t list[OVERWRITE_HEADER_BYTES + SANITIZE_PATTERN_MAX];
	uint32_t len_bytes = sgl_copy_out(&task->data, 0, list, task->data_bytes), pattern_bytes;

	if (len_bytes < task->data_bytes) {
		scsi_refuse(task, ASC_PARAMETER_LIST_LENGTH);
		return false;
	}
	pattern_bytes = get_be16(list + 2);
	if (list[0] & TEST || !(list[0] & OVERWRITE_COUNT) || list[1] || !pattern_bytes ||
	    pattern_bytes > task->itl->lu->block_bytes) {
		scsi_refuse_list(task, list[0] & TEST || !(list[0] & OVERWRITE_COUNT) ? 0 : list[1] ? 1 : 2);
		return false;
	}
	if (pattern_bytes > len_bytes - OVERWRITE_HEADER_BYTES) {
		scsi_refuse(task, ASC_PARAMETER_LIST_LENGTH);
		return false;
	}
	plan->invert = list[0] & INVERT;
	plan->passes = list[0] & OVERWRITE_COUNT;
	plan->pattern_bytes = (uint16_t)pattern_bytes;
	memcpy(plan->pattern, list + OVERWRITE_HEADER_BYTES, pattern_bytes);
	return true;
}

/* From here on no other command reaches the medium. false: the task has its answer. */
static bool claim(struct scsi_task *task, const struct sanitize_plan *plan)
{
	struct scsi_lu *lu = task->itl->lu;
	struct sanitize *sanitize = lu->sanitize;
	struct scsi_sense sense;
	bool claimed = false;

	pthread_mutex_lock(&lu->lock);
	sanitize->before = atomic_load(&lu->sanitize_state);
	if (sanitize->before == SANITIZE_RUNS) {
		sense = scsi_sanitize_sense(lu);
		scsi_set_sense(task, &sense);
	} else if (sanitize->before == SANITIZE_FAILED && !sanitize->plan.unrestricted && plan->unrestricted) {
		scsi_refuse_field(task, 1); /* restricted completion mode cannot be left that way (SBC-4 4.11.3) */
	} else {
		claimed = true;
		atomic_fetch_add(&lu->sanitize_epoch, 1);
		atomic_store(&sanitize->progress, 0);
		atomic_store(&lu->sanitize_state, SANITIZE_RUNS);
	}
	pthread_mutex_unlock(&lu->lock);
	return claimed;
}

void scsi_sanitize(struct scsi_task *task)
{
	struct sanitize *sanitize = task->itl->lu->sanitize;
	struct sanitize_plan plan = { .action = (uint8_t)task->command->service_action, .unrestricted = task->cdb[1] & AUSE,
				      .passes = task->itl->lu->provisioned ? 2 : 1 };
	const struct scsi_job_facts facts = { .kind = "sanitize", .lun = lun_attributes(task->itl->lu->lun)->name,
					      .initiator = task->nexus->port.initiator_name };

	if ((plan.action == SANITIZE_OVERWRITE && !read_list(task, &plan)) || !claim(task, &plan)) {
		scsi_finish(task);
		return;
	}
	if (sanitize->has_thread) /* of an earlier one: it has ended or is about to */
		pthread_join(sanitize->thread, NULL);
	sanitize->has_thread = false;
	if (!scsi_job_start(sanitize->lu->services.jobs, &facts, &sanitize->job)) {
		atomic_store(&sanitize->lu->sanitize_state, sanitize->before);
		task->status = SCSI_TASK_SET_FULL;
		scsi_finish(task);
		return;
	}
	sanitize->plan = plan;
	sanitize->resumed = false;
	memset(&sanitize->waiter, 0, sizeof sanitize->waiter);
	sanitize->waiter.task = task;
	sanitize->waiter.reply_to = task->reactor->mailbox;
	sanitize->waiter.immediate = task->cdb[1] & IMMED;
	if (sanitize_start(sanitize) < 0) {
		scsi_job_end(sanitize->job, JOB_FAILED, "no thread could be started");
		atomic_store(&sanitize->lu->sanitize_state, sanitize->before);
		task->status = SCSI_BUSY;
		scsi_finish(task);
	}
}

/* --- EXIT FAILURE MODE --- */

static void leave_failure_mode(struct offload_job *job)
{
	struct scsi_task *task = container_of(job, struct scsi_task, job);
	struct err err = { 0 };

	task->state[0] = (uint64_t)-sanitize_remove(task->itl->lu->sanitize, &err);
}

static void failure_mode_left(struct offload_job *job)
{
	struct scsi_task *task = container_of(job, struct scsi_task, job);

	if (task->state[0])
		scsi_fail_errno(task, -(int)task->state[0], true);
	atomic_store(&task->itl->lu->sanitize_state, task->state[0] ? SANITIZE_FAILED : SANITIZE_NONE);
	scsi_finish(task);
}

void scsi_sanitize_exit(struct scsi_task *task)
{
	struct scsi_lu *lu = task->itl->lu;
	const struct sanitize *sanitize = lu->sanitize;
	bool leave = false;

	pthread_mutex_lock(&lu->lock);
	if (atomic_load(&lu->sanitize_state) == SANITIZE_FAILED) {
		leave = sanitize->plan.unrestricted;
		if (leave)
			atomic_store(&lu->sanitize_state, SANITIZE_RUNS); /* until the document is gone */
		else
			scsi_refuse_field(task, 1);
	}
	pthread_mutex_unlock(&lu->lock);
	if (!leave) {
		scsi_finish(task);
		return;
	}
	task->job.work = leave_failure_mode;
	task->job.done = failure_mode_left;
	offload_submit(task->reactor->offload, &task->job, task->reactor->mailbox);
}
