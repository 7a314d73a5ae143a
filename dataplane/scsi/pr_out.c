/*
 * PERSISTENT RESERVE OUT (SPC-4 6.16): from the parameter list to the published document.
 *
 * Happy path: the list is decoded; an offload thread loads reservation/<lun id>, runs the pure state machine on it and
 * publishes the result (again when another writer was first); back on the reactor the new state is installed, what each
 * nexus may do is recomputed, unit attentions are set, PREEMPT AND ABORT aborts; then GOOD. A publication that fails fails
 * the command: nothing was installed. Several commands at once are put in order by the document's version.
 * Without a document store (tests, the fuzz targets) the state lives in memory, and APTPL is refused.
 */
#include <errno.h>
#include <stdlib.h>

#include "dataplane/scsi/internal.h"
#include "dataplane/scsi/transport_id.h"

#define LIST_BYTES 24 /* the basic parameter list */

struct pr_job {
	struct offload_job job;
	struct scsi_task *task;
	struct scsi_lu *lu;
	struct pr_command command;
	struct pr_nexus *others;  /* command.others */

	/* made by change() */
	enum pr_outcome outcome;
	int error;                /* negative errno of the document store */
	struct pr_state *old, *new; /* new NULL: nothing changed */
	struct pr_effect *effects;
	uint64_t version;
	json_t *content;

	uint64_t *aborted;        /* nexus ids for PREEMPT AND ABORT */
};

/* --- the document --- */

struct pr_state *scsi_pr_load(struct scsi_lu *lu, uint64_t *ret_version, struct err *err)
{
	json_t *content = NULL;
	struct pr_state *state;

	*ret_version = 0;
	if (lu->services.documents && docstore_load(lu->services.documents, lu->document, &content, ret_version, err) < 0)
		return NULL;
	state = pr_state_decode(content, lu->services.daemon_epoch, err);
	json_decref(content);
	return state;
}

static void drop_change(struct pr_job *job)
{
	free(job->old);
	free(job->new);
	free(job->effects);
	job->old = job->new = NULL;
	job->effects = NULL;
}

/* Runs the command on job->old: fills outcome, new, effects. true: there is something to publish. */
static bool compute(struct pr_job *job, bool durable)
{
	job->outcome = pr_apply(job->old, &job->command, &job->new, &job->effects);
	if (job->outcome != PR_GOOD)
		return false;
	if (!durable || !pr_state_same(job->old, job->new))
		return true;
	free(job->new);
	job->new = NULL;
	return false;
}

static bool is_durable(struct scsi_lu *lu, uint64_t version)
{
	bool durable;

	pthread_mutex_lock(&lu->lock);
	durable = version <= lu->pr_durable;
	pthread_mutex_unlock(&lu->lock);
	return durable;
}

static void set_durable(struct scsi_lu *lu, uint64_t version)
{
	pthread_mutex_lock(&lu->lock);
	if (version > lu->pr_durable)
		lu->pr_durable = version;
	pthread_mutex_unlock(&lu->lock);
}

static int change(json_t **content, uint64_t version, void *arg, struct err *err)
{
	struct pr_job *job = arg;
	json_t *encoded;

	drop_change(job);
	job->version = version;
	job->old = pr_state_decode(*content, job->lu->services.daemon_epoch, err);
	if (!job->old)
		return err->code;
	if (!compute(job, is_durable(job->lu, version)))
		return job->outcome == PR_GOOD ? 1 : -ECANCELED;
	encoded = pr_state_encode(job->new, job->lu->services.daemon_epoch);
	if (!encoded)
		return err_set(err, -ENOMEM, "no memory");
	json_decref(*content);
	*content = encoded;
	return 0;
}

/* After a publication that failed: is our version there all the same? */
static bool made_anyway(struct pr_job *job)
{
	struct pr_state *found = NULL;
	uint64_t version = 0;
	bool made = false;

	if (job->new)
		found = scsi_pr_load(job->lu, &version, NULL);
	if (found)
		made = version == job->version + 1 && pr_state_same(found, job->new);
	if (made)
		job->version = version;
	free(found);
	return made;
}

static void pr_work(struct offload_job *offloaded)
{
	struct pr_job *job = container_of(offloaded, struct pr_job, job);
	struct err err = { 0 };

	job->error = docstore_update(job->lu->services.documents, job->lu->document, change, job, &job->version, &err);
	if (job->error > 0 || job->outcome != PR_GOOD)
		job->error = 0;
	if (job->error < 0 && !made_anyway(job))
		drop_change(job);
	if (job->error == 0 && job->new)
		set_durable(job->lu, job->version);
}

/* --- back on the reactor --- */

static void free_job(struct pr_job *job)
{
	drop_change(job);
	free(job->others);
	free(job->aborted);
	free(job);
}

/* Sets the unit attentions; collects who is aborted into aborted (may be NULL), returns their number. */
static unsigned deliver(struct scsi_lu *lu, const struct pr_state *old, const struct pr_effect *effects,
			const struct scsi_itl *self, uint64_t *aborted)
{
	unsigned count = 0;

	list_for_each(at, &lu->itls) {
		struct scsi_itl *itl = container_of(at, struct scsi_itl, in_lu);
		struct pr_nexus nexus = scsi_port_pr_nexus(&itl->nexus->port);
		int index = pr_state_find(old, &nexus);

		if (index < 0)
			continue;
		if (effects[index].unit_attention)
			scsi_ua_set(itl, (enum scsi_ua)scsi_ua_from_asc(effects[index].unit_attention));
		if (effects[index].preempted && itl != self && aborted)
			aborted[count++] = itl->nexus->id;
	}
	return count;
}

static unsigned count_itls(const struct scsi_lu *lu)
{
	unsigned n = 0;

	list_for_each(at, &lu->itls)
		n++;
	return n;
}

/* Takes *new over when it is newer than what is installed. The lu lock is held. */
static void install(struct scsi_lu *lu, struct pr_state **new, uint64_t version)
{
	if (version <= lu->pr_version)
		return;
	free(lu->pr);
	lu->pr = *new;
	lu->pr_version = version;
	*new = NULL;
	scsi_lu_recompute_access(lu);
}

static void set_outcome(struct scsi_task *task, enum pr_outcome outcome)
{
	switch (outcome) {
	case PR_GOOD:
		break;
	case PR_CONFLICT:
		task->status = SCSI_RESERVATION_CONFLICT;
		break;
	case PR_INVALID_LIST:
		scsi_refuse(task, ASC_INVALID_FIELD_IN_LIST);
		break;
	case PR_INVALID_TYPE:
		scsi_refuse_field(task, 2);
		break;
	case PR_INVALID_ACTION:
		scsi_refuse_field(task, 1);
		break;
	case PR_INVALID_RELEASE:
		scsi_refuse(task, ASC_INVALID_RELEASE);
		break;
	case PR_NO_ROOM:
		scsi_refuse(task, ASC_INSUFFICIENT_REGISTRATIONS);
		break;
	case PR_NO_MEMORY:
		task->status = SCSI_BUSY;
		break;
	}
}

static void aborted_all(void *arg)
{
	struct pr_job *job = arg;
	struct scsi_task *task = job->task;

	free_job(job);
	scsi_finish(task);
}

/* Unit attentions, access, and who must be aborted. False: some must be, but there is no memory to say whom. */
static bool apply_change(struct pr_job *job, unsigned *ret_aborted)
{
	struct scsi_lu *lu = job->lu;
	bool aborts = job->command.action == PR_PREEMPT_AND_ABORT;

	pthread_mutex_lock(&lu->lock);
	if (aborts)
		job->aborted = calloc(count_itls(lu) + 1, sizeof *job->aborted);
	*ret_aborted = deliver(lu, job->old, job->effects, job->task->itl, job->aborted);
	install(lu, &job->new, job->version);
	pthread_mutex_unlock(&lu->lock);
	return !aborts || job->aborted;
}

/* The command changed nothing, but found a document that is newer than what we know. */
static void take_over(struct pr_job *job)
{
	pthread_mutex_lock(&job->lu->lock);
	install(job->lu, &job->old, job->version);
	pthread_mutex_unlock(&job->lu->lock);
}

static void pr_done(struct offload_job *offloaded)
{
	struct pr_job *job = container_of(offloaded, struct pr_job, job);
	struct scsi_task *task = job->task;
	struct scsi_lu *lu = job->lu;
	unsigned aborted = 0;
	bool known = true;

	if (job->error)
		scsi_fail_errno(task, job->error, true);
	else
		set_outcome(task, job->outcome);
	if (job->new)
		known = apply_change(job, &aborted);
	else if (job->old)
		take_over(job);
	if (aborted && lu->services.abort_nexuses)
		known = lu->services.abort_nexuses(lu->services.arg, lu, job->aborted, aborted, aborted_all, job,
						   task->reactor->mailbox) == 0;
	else
		aborted = 0;
	if (known && aborted)
		return; /* aborted_all() goes on */
	if (!known) /* preempted, but not aborted: never GOOD */
		scsi_task_fail(task, KEY_HARDWARE_ERROR, ASC_INTERNAL_TARGET_FAILURE);
	aborted_all(job);
}

/* No document store: the state in memory is the state. */
static void run_in_memory(struct pr_job *job)
{
	struct scsi_lu *lu = job->lu;
	size_t len_bytes;

	pthread_mutex_lock(&lu->lock);
	len_bytes = sizeof *lu->pr + lu->pr->count * sizeof lu->pr->registration[0];
	job->old = malloc(len_bytes);
	if (job->old) {
		memcpy(job->old, lu->pr, len_bytes);
		compute(job, true);
		job->version = lu->pr_version + 1;
	} else {
		job->outcome = PR_NO_MEMORY;
	}
	pthread_mutex_unlock(&lu->lock);
	pr_done(&job->job);
}

/* --- the parameter list --- */

enum { SPEC_I_PT = 0x08, ALL_TG_PT = 0x04, APTPL = 0x01, UNREG = 0x02 };

bool scsi_prepare_pr_out(struct scsi_task *task)
{
	unsigned action = task->cdb[1] & 0x1f;
	bool typed = action == PR_RESERVE || action == PR_RELEASE;

	if (typed && !pr_type_valid(task->cdb[2]))
		return scsi_refuse_field(task, 2);
	if (get_be32(task->cdb + 5) < LIST_BYTES)
		return scsi_refuse(task, ASC_PARAMETER_LIST_LENGTH);
	return scsi_prepare_length(task);
}

/* relative_port_id 0: through the port that the command came through. */
static bool admitted(const struct pr_job *job, const struct pr_nexus *nexus, uint16_t relative_port_id)
{
	const struct scsi_services *services = &job->lu->services;

	if (!relative_port_id)
		relative_port_id = job->task->nexus->port.relative_port_id;
	return !services->admits || services->admits(services->arg, job->lu, relative_port_id, nexus->initiator);
}

/* TransportIDs that fill exactly [bytes, bytes + len_bytes) into job->others; false: job->outcome says why. */
static bool decode_transport_ids(struct pr_job *job, const uint8_t *bytes, unsigned len_bytes, uint16_t relative_port_id)
{
	job->others = calloc(len_bytes / LIST_BYTES + 1, sizeof *job->others);
	if (!job->others) {
		job->outcome = PR_NO_MEMORY;
		return false;
	}
	job->outcome = PR_INVALID_LIST;
	while (len_bytes) {
		unsigned used = transport_id_decode(bytes, len_bytes, &job->others[job->command.others_count]);

		if (!used || !admitted(job, &job->others[job->command.others_count], relative_port_id))
			return false;
		job->command.others_count++;
		bytes += used;
		len_bytes -= used;
	}
	job->command.others = job->others;
	return job->command.others_count > 0;
}

static bool decode_move(struct pr_job *job, const uint8_t *list, unsigned len_bytes)
{
	job->command.unregister = list[17] & UNREG;
	job->command.aptpl = list[17] & APTPL;
	job->outcome = PR_INVALID_LIST;
	if (get_be32(list + 20) != len_bytes - LIST_BYTES || !get_be16(list + 18))
		return false;
	if (!decode_transport_ids(job, list + LIST_BYTES, len_bytes - LIST_BYTES, get_be16(list + 18)) ||
	    job->command.others_count != 1)
		return false;
	job->others[0].target_port = get_be16(list + 18);
	return true;
}

static bool decode_register(struct pr_job *job, const uint8_t *list, unsigned len_bytes)
{
	bool others = list[20] & SPEC_I_PT && job->command.action == PR_REGISTER;

	job->command.aptpl = list[20] & APTPL;
	job->command.all_target_ports = list[20] & ALL_TG_PT;
	job->outcome = PR_INVALID_LIST;
	if (list[20] & SPEC_I_PT && job->command.action == PR_REGISTER_AND_IGNORE)
		return false;
	if (!others)
		return true;
	if (len_bytes < LIST_BYTES + 4 || get_be32(list + LIST_BYTES) != len_bytes - LIST_BYTES - 4)
		return false;
	return decode_transport_ids(job, list + LIST_BYTES + 4, len_bytes - LIST_BYTES - 4, 0);
}

/* false: job->outcome says why, or the sense has been set (outcome PR_GOOD). */
static bool decode_list(struct pr_job *job, const uint8_t *list, unsigned len_bytes)
{
	struct pr_command *command = &job->command;
	bool registers = command->action == PR_REGISTER || command->action == PR_REGISTER_AND_IGNORE;
	bool longer = command->action == PR_REGISTER_AND_MOVE || (registers && list[20] & SPEC_I_PT);

	if (len_bytes != LIST_BYTES && !longer) {
		scsi_refuse(job->task, ASC_PARAMETER_LIST_LENGTH);
		return false;
	}
	command->key = get_be64(list);
	command->service_key = get_be64(list + 8);
	if (registers && !decode_register(job, list, len_bytes))
		return false;
	if (command->action == PR_REGISTER_AND_MOVE && !decode_move(job, list, len_bytes))
		return false;
	job->outcome = PR_INVALID_LIST;
	return !command->aptpl || job->lu->services.documents; /* PTPL_C is 0 without a document store */
}

static struct pr_job *new_job(struct scsi_task *task)
{
	struct pr_job *job = calloc(1, sizeof *job);

	if (!job)
		return NULL;
	job->task = task;
	job->lu = task->itl->lu;
	job->command.action = (enum pr_action)(task->cdb[1] & 0x1f);
	job->command.type = task->cdb[2];
	job->command.from = scsi_port_pr_nexus(&task->nexus->port);
	job->job.work = pr_work;
	job->job.done = pr_done;
	return job;
}

void scsi_pr_out(struct scsi_task *task)
{
	unsigned len_bytes = task->data_bytes;
	uint8_t *list = malloc(len_bytes);
	struct pr_job *job = list ? new_job(task) : NULL;
	bool valid = false;

	if (!job)
		task->status = SCSI_BUSY;
	else if (sgl_copy_out(&task->data, 0, list, len_bytes) < len_bytes)
		scsi_refuse(task, ASC_PARAMETER_LIST_LENGTH);
	else if (!decode_list(job, list, len_bytes))
		set_outcome(task, job->outcome);
	else
		valid = true;
	free(list);
	if (!valid) {
		if (job)
			free_job(job);
		scsi_finish(task);
		return;
	}
	job->outcome = PR_GOOD;
	if (job->lu->services.documents)
		offload_submit(task->reactor->offload, &job->job, task->reactor->mailbox);
	else
		run_in_memory(job);
}

/* --- the administrator's CLEAR --- */

struct clear {
	struct scsi_lu *lu;
	struct pr_state *old, *new;
};

static int change_clear(json_t **content, uint64_t version, void *arg, struct err *err)
{
	struct clear *clear = arg;
	json_t *encoded = NULL;

	(void)version;
	free(clear->old);
	free(clear->new);
	clear->new = pr_state_new();
	clear->old = pr_state_decode(*content, clear->lu->services.daemon_epoch, err);
	if (clear->old && clear->new) {
		clear->new->generation = clear->old->generation + 1;
		encoded = pr_state_encode(clear->new, clear->lu->services.daemon_epoch);
	}
	if (!encoded)
		return clear->old ? err_set(err, -ENOMEM, "no memory") : err->code;
	json_decref(*content);
	*content = encoded;
	return 0;
}

static int clear_documents(struct clear *clear, uint64_t *ret_version, struct err *err)
{
	struct scsi_lu *lu = clear->lu;

	if (lu->services.documents)
		return docstore_update(lu->services.documents, lu->document, change_clear, clear, ret_version, err);
	clear->new = pr_state_new();
	if (!clear->new)
		return err_set(err, -ENOMEM, "no memory");
	pthread_mutex_lock(&lu->lock);
	clear->new->generation = lu->pr->generation + 1;
	*ret_version = lu->pr_version + 1;
	pthread_mutex_unlock(&lu->lock);
	return 0;
}

int scsi_lu_reservations_clear(struct scsi_lu *lu, struct err *err)
{
	struct clear clear = { .lu = lu };
	uint64_t version = 0;
	int error = clear_documents(&clear, &version, err);

	if (error >= 0) {
		pthread_mutex_lock(&lu->lock);
		list_for_each(at, &lu->itls) {
			struct scsi_itl *itl = container_of(at, struct scsi_itl, in_lu);
			struct pr_nexus nexus = scsi_port_pr_nexus(&itl->nexus->port);

			if (pr_state_find(lu->pr, &nexus) >= 0 || lu->reserve6 == itl)
				scsi_ua_set(itl, UA_RESERVATION_PREEMPTED);
		}
		lu->reserve6 = NULL;
		install(lu, &clear.new, version);
		scsi_lu_recompute_access(lu);
		pthread_mutex_unlock(&lu->lock);
	}
	free(clear.old);
	free(clear.new);
	return error < 0 ? error : 0;
}
