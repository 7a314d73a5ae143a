/*
 * The target port groups of one target in this worker (SPC-4 5.15): which state each is in, who is told when it changes,
 * REPORT and SET TARGET PORT GROUPS.
 *
 * The access state is one for a target and portal group: all LUNs of a target share it, as they share the host that
 * serves them by that portal. What a nexus may do meanwhile is in the one word that every command looks at anyway
 * (scsi_itl.allowed); a change recomputes that word for each I_T_L nexus of the target.
 *
 * SET TARGET PORT GROUPS: an offload thread publishes alua/<target>, again when another writer was first; then the states
 * change and the initiators are told; then GOOD. What could not be published did not happen. Each entry carries the
 * revision of the administrator's words that it is newer than; words that come later end it.
 *
 * Locks: scsi_port_groups.lock is taken before scsi_lu.lock.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "clock.h"
#include "dataplane/scsi/internal.h"

#define GROUP_BYTES 12 /* of a descriptor of REPORT TARGET PORT GROUPS with one port */

struct scsi_port_groups {
	struct docstore *documents; /* NULL: what is set lives in this worker's memory only */
	struct offload *offload;
	char document[8 + SCSI_NAME_MAX]; /* "alua/<target>" */
	_Atomic bool sets;          /* SET TARGET PORT GROUPS is there */

	pthread_mutex_t lock;       /* guards all below */
	struct list itls;           /* struct scsi_itl.in_groups */
	uint64_t changes;           /* how many unit attentions there were: for LUs that are addressed later */
	unsigned count;
	struct alua_group group[SCSI_PORT_GROUPS_MAX];
};

struct scsi_port_groups *scsi_port_groups_new(const char *target_name, const struct scsi_services *services)
{
	struct scsi_port_groups *groups = calloc(1, sizeof *groups);

	if (!groups)
		return NULL;
	groups->documents = services->documents;
	groups->offload = services->offload;
	snprintf(groups->document, sizeof groups->document, "alua/%s", target_name);
	pthread_mutex_init(&groups->lock, NULL);
	list_init(&groups->itls);
	return groups;
}

void scsi_port_groups_free(struct scsi_port_groups *groups)
{
	if (!groups)
		return;
	pthread_mutex_destroy(&groups->lock);
	free(groups);
}

bool scsi_port_groups_set_supported(const struct scsi_nexus *nexus)
{
	return nexus->groups && atomic_load_explicit(&nexus->groups->sets, memory_order_relaxed);
}

/* --- states and those who are told; lock held --- */

static struct alua_group *find(struct scsi_port_groups *groups, uint16_t tag)
{
	for (unsigned i = 0; i < groups->count; i++)
		if (groups->group[i].configured.tag == tag)
			return &groups->group[i];
	return NULL;
}

static uint8_t state_of(struct scsi_port_groups *groups, const struct scsi_nexus *nexus)
{
	const struct alua_group *group = find(groups, nexus->port.portal_group_tag);

	return group ? group->state : ALUA_OPTIMIZED;
}

static void recompute(struct scsi_itl *itl, uint8_t state)
{
	pthread_mutex_lock(&itl->lu->lock);
	itl->access_state = state;
	scsi_lu_recompute_itl(itl->lu, itl);
	pthread_mutex_unlock(&itl->lu->lock);
}

/* effects: a mask of (1 << enum alua_effect). by: not told that the state changed (SPC-4 6.45); may be NULL. */
static void tell(struct scsi_port_groups *groups, unsigned effects, struct scsi_nexus *by)
{
	if (!(effects & ~(1u << ALUA_NOTHING)))
		return;
	list_for_each(at, &groups->itls) {
		struct scsi_itl *itl = container_of(at, struct scsi_itl, in_groups);

		recompute(itl, state_of(groups, itl->nexus));
		if (effects & 1u << ALUA_CHANGED && itl->nexus != by)
			scsi_ua_set(itl, UA_ACCESS_STATE_CHANGED);
		if (effects & 1u << ALUA_TRANSITION_FAILED)
			scsi_ua_set(itl, UA_STATE_TRANSITION_FAILED);
	}
	if (by && by->access_changes == groups->changes)
		by->access_changes++;
	groups->changes++;
}

static unsigned pass_time(struct scsi_port_groups *groups, uint64_t now_ns)
{
	const struct alua_event event = { .kind = ALUA_TIME, .now_ns = now_ns };
	unsigned effects = 0;

	for (unsigned i = 0; i < groups->count; i++)
		effects |= 1u << alua_step(&groups->group[i], &event);
	return effects;
}

void scsi_port_groups_pass_time(struct scsi_port_groups *groups, uint64_t now_ns)
{
	pthread_mutex_lock(&groups->lock);
	tell(groups, pass_time(groups, now_ns), NULL);
	pthread_mutex_unlock(&groups->lock);
}

/* --- nexuses --- */

void scsi_nexus_set_port_groups(struct scsi_nexus *nexus, struct scsi_port_groups *groups)
{
	nexus->groups = groups;
	if (!groups)
		return;
	pthread_mutex_lock(&groups->lock);
	nexus->access_changes = groups->changes;
	pthread_mutex_unlock(&groups->lock);
}

void scsi_port_groups_attach(struct scsi_itl *itl)
{
	struct scsi_port_groups *groups = itl->nexus->groups;

	list_init(&itl->in_groups);
	if (!groups)
		return;
	pthread_mutex_lock(&groups->lock);
	list_append(&groups->itls, &itl->in_groups);
	itl->access_state = state_of(groups, itl->nexus);
	if (itl->nexus->access_changes != groups->changes)
		scsi_ua_set(itl, UA_ACCESS_STATE_CHANGED);
	pthread_mutex_unlock(&groups->lock);
}

void scsi_port_groups_detach(struct scsi_itl *itl)
{
	struct scsi_port_groups *groups = itl->nexus->groups;

	if (!groups)
		return;
	pthread_mutex_lock(&groups->lock);
	list_remove(&itl->in_groups);
	pthread_mutex_unlock(&groups->lock);
}

/* --- what was set, in the document {"groups": {"<tag>": {"state": "standby", "revision": 7}}} --- */

/* The state that was set later than the administrator's words; -1: none. */
static int state_set(const json_t *content, const struct alua_configured *configured)
{
	char tag[8];
	const json_t *entry;
	const char *name;
	int state;

	snprintf(tag, sizeof tag, "%u", configured->tag);
	entry = json_object_get(json_object_get(content, "groups"), tag);
	name = json_string_value(json_object_get(entry, "state"));
	if (!name || (uint64_t)json_integer_value(json_object_get(entry, "revision")) != configured->revision)
		return -1;
	state = alua_state_of_name(name);
	return state == ALUA_TRANSITIONING ? -1 : state;
}

static int put_state(json_t *content, uint16_t tag, uint8_t state, uint64_t revision)
{
	json_t *groups = json_object_get(content, "groups");
	char name[8];

	snprintf(name, sizeof name, "%u", tag);
	if (!json_is_object(groups) && json_object_set_new(content, "groups", json_object()) < 0)
		return -ENOMEM;
	return json_object_set_new(json_object_get(content, "groups"), name,
				   json_pack("{s:s, s:I}", "state", alua_state_name(state), "revision",
					     (json_int_t)revision)) < 0 ? -ENOMEM : 0;
}

/* The group as it goes on under these words, and with what was set since; a mask of effects. */
static unsigned go_on(const struct alua_group *old, const struct alua_configured *configured, int set,
		      struct alua_group *ret_group)
{
	const struct alua_event words = { .kind = ALUA_CONFIGURED, .configured = *configured, .now_ns = clock_now_ns() };
	const struct alua_event state = { .kind = set >= 0 ? ALUA_SET : ALUA_UNSET, .state = (uint8_t)set };
	unsigned effects = 0;

	if (old) {
		*ret_group = *old;
		effects = 1u << alua_step(ret_group, &words);
	} else {
		alua_init(ret_group, configured, words.now_ns);
	}
	return effects | 1u << alua_step(ret_group, &state);
}

int scsi_port_groups_configure(struct scsi_port_groups *groups, bool sets, const struct alua_configured *configured,
			       unsigned count, struct err *err)
{
	struct alua_group fresh[SCSI_PORT_GROUPS_MAX];
	json_t *content = NULL;
	unsigned effects = 0;
	uint64_t version;

	if (count > SCSI_PORT_GROUPS_MAX)
		return err_set(err, -EINVAL, "more than %d target port groups", SCSI_PORT_GROUPS_MAX);
	if (sets && groups->documents && docstore_load(groups->documents, groups->document, &content, &version, err) < 0)
		return err_wrap(err, "states of target port groups");
	pthread_mutex_lock(&groups->lock);
	for (unsigned i = 0; i < count; i++)
		effects |= go_on(find(groups, configured[i].tag), &configured[i], state_set(content, &configured[i]), &fresh[i]);
	memcpy(groups->group, fresh, count * sizeof fresh[0]);
	groups->count = count;
	atomic_store(&groups->sets, sets);
	tell(groups, effects, NULL);
	pthread_mutex_unlock(&groups->lock);
	json_decref(content);
	return 0;
}

/* --- for REST --- */

static json_t *group_json(const struct alua_group *group)
{
	const struct alua_configured *configured = &group->configured;

	return json_pack("{s:o, s:i, s:s, s:s, s:s, s:b}", "id", json_sprintf("%u", configured->tag),
			 "relative_port_id", configured->relative_port_id, "state", alua_state_name(group->state),
			 "configured_state", alua_state_name(configured->state),
			 "set_by", group->status == ALUA_STATUS_EXPLICIT ? "initiator" : "configuration",
			 "preferred", configured->preferred);
}

json_t *scsi_port_groups_json(struct scsi_port_groups *groups)
{
	json_t *list = json_array();

	scsi_port_groups_pass_time(groups, clock_now_ns());
	pthread_mutex_lock(&groups->lock);
	for (unsigned i = 0; i < groups->count; i++)
		json_array_append_new(list, group_json(&groups->group[i]));
	pthread_mutex_unlock(&groups->lock);
	return list;
}

/* --- REPORT TARGET PORT GROUPS (SPC-4 6.37) --- */

enum { SUPPORTED_STATES = 0x80 | 0x08 | 0x04 | 0x02 | 0x01 }; /* T, U, S, AN, AO */

bool scsi_prepare_report_tpg(struct scsi_task *task)
{
	return scsi_prepare_length(task);
}

static void put_group(struct wire_writer *w, const struct alua_group *group)
{
	wire_put_u8(w, (uint8_t)(group->state | (group->configured.preferred ? 0x80 : 0)));
	wire_put_u8(w, SUPPORTED_STATES);
	wire_put_u16(w, group->configured.tag);
	wire_put_u8(w, 0);
	wire_put_u8(w, group->status);
	wire_put_u8(w, 0);
	wire_put_u8(w, 1); /* TARGET PORT COUNT */
	wire_put_u16(w, 0);
	wire_put_u16(w, group->configured.relative_port_id);
}

static void put_groups(struct wire_writer *w, const struct scsi_nexus *nexus)
{
	struct scsi_port_groups *groups = nexus->groups;
	const struct alua_group own = { .configured = { .tag = nexus->port.portal_group_tag,
							.relative_port_id = nexus->port.relative_port_id } };

	if (!groups) {
		put_group(w, &own);
		return;
	}
	pthread_mutex_lock(&groups->lock);
	tell(groups, pass_time(groups, clock_now_ns()), NULL);
	for (unsigned i = 0; i < groups->count; i++)
		put_group(w, &groups->group[i]);
	pthread_mutex_unlock(&groups->lock);
}

void scsi_report_tpg(struct scsi_task *task)
{
	uint8_t bytes[8 + SCSI_PORT_GROUPS_MAX * GROUP_BYTES];
	struct wire_writer w = wire_writer(bytes, sizeof bytes);

	wire_put_u32(&w, 0);
	if (task->cdb[1] & 0x20) { /* PARAMETER DATA FORMAT: extended header */
		wire_put_u8(&w, 0x10);
		wire_put_u8(&w, ALUA_TRANSITION_S);
		wire_put_u16(&w, 0);
	}
	put_groups(&w, task->nexus);
	put_be32(bytes, (uint32_t)wire_written(&w) - 4);
	scsi_reply_bytes(task, bytes, wire_written(&w));
}

/* --- SET TARGET PORT GROUPS (SPC-4 6.45) --- */

#define LIST_HEADER_BYTES 4
#define LIST_MAX_BYTES    (LIST_HEADER_BYTES + SCSI_PORT_GROUPS_MAX * 4)

struct set_job {
	struct offload_job job;
	struct scsi_task *task;
	struct scsi_port_groups *groups;
	int error; /* negative errno of the document store */
	unsigned count;
	struct {
		uint16_t tag;
		uint8_t state;
		uint64_t revision;
	} wanted[SCSI_PORT_GROUPS_MAX];
};

bool scsi_prepare_set_tpg(struct scsi_task *task)
{
	uint32_t len_bytes = get_be32(task->cdb + 6);

	if (len_bytes && (len_bytes < LIST_HEADER_BYTES || len_bytes > LIST_MAX_BYTES || len_bytes % 4))
		return scsi_refuse(task, ASC_PARAMETER_LIST_LENGTH);
	return scsi_prepare_length(task);
}

/* The list to its end, before its first effect; false: the sense has been set. */
static bool decode_list(struct set_job *job, const uint8_t *list, unsigned len_bytes)
{
	for (unsigned at = LIST_HEADER_BYTES; at < len_bytes; at += 4) {
		const struct alua_group *group;

		if (list[at] > ALUA_UNAVAILABLE) { /* transitioning and offline are not for initiators to set */
			scsi_refuse_list(job->task, at);
			return false;
		}
		job->wanted[job->count].tag = get_be16(list + at + 2);
		job->wanted[job->count].state = list[at];
		pthread_mutex_lock(&job->groups->lock);
		group = find(job->groups, job->wanted[job->count].tag);
		job->wanted[job->count++].revision = group ? group->configured.revision : 0;
		pthread_mutex_unlock(&job->groups->lock);
		if (!group) {
			scsi_refuse_list(job->task, at + 2);
			return false;
		}
	}
	return true;
}

static int change(json_t **content, uint64_t version, void *arg, struct err *err)
{
	const struct set_job *job = arg;

	(void)version;
	if (!*content)
		*content = json_object();
	for (unsigned i = 0; i < job->count; i++)
		if (put_state(*content, job->wanted[i].tag, job->wanted[i].state, job->wanted[i].revision) < 0)
			return err_set(err, -ENOMEM, "no memory");
	return 0;
}

static void set_work(struct offload_job *offloaded)
{
	struct set_job *job = container_of(offloaded, struct set_job, job);
	struct err err = { 0 };

	job->error = docstore_update(job->groups->documents, job->groups->document, change, job, NULL, &err);
}

/* Back on the reactor. An administrator who spoke meanwhile has the last word. */
static void set_done(struct offload_job *offloaded)
{
	struct set_job *job = container_of(offloaded, struct set_job, job);
	struct scsi_port_groups *groups = job->groups;
	struct scsi_task *task = job->task;
	unsigned effects = 0;

	if (job->error < 0)
		scsi_task_fail(task, KEY_HARDWARE_ERROR, ASC_SET_PORT_GROUPS_FAILED);
	pthread_mutex_lock(&groups->lock);
	for (unsigned i = 0; i < job->count && job->error >= 0; i++) {
		struct alua_group *group = find(groups, job->wanted[i].tag);
		const struct alua_event event = { .kind = ALUA_SET, .state = job->wanted[i].state };

		if (group && group->configured.revision == job->wanted[i].revision)
			effects |= 1u << alua_step(group, &event);
	}
	tell(groups, effects, task->nexus);
	pthread_mutex_unlock(&groups->lock);
	free(job);
	scsi_finish(task);
}

static void set_start(struct set_job *job)
{
	if (!job->count || !job->groups->documents) { /* an empty list is no error */
		set_done(&job->job);
		return;
	}
	job->job.work = set_work;
	job->job.done = set_done;
	offload_submit(job->groups->offload, &job->job, job->task->reactor->mailbox);
}

void scsi_set_tpg(struct scsi_task *task)
{
	struct set_job *job = calloc(1, sizeof *job);
	uint8_t list[LIST_MAX_BYTES];

	if (!job) {
		task->status = SCSI_BUSY;
		scsi_finish(task);
		return;
	}
	job->task = task;
	job->groups = task->nexus->groups;
	if (sgl_copy_out(&task->data, 0, list, task->data_bytes) < task->data_bytes) {
		scsi_refuse(task, ASC_PARAMETER_LIST_LENGTH);
	} else if (decode_list(job, list, task->data_bytes)) {
		set_start(job);
		return;
	}
	free(job);
	scsi_finish(task);
}
