/*
 * Applying a serve document (docs/serve-document.md): the worker comes to serve exactly what it names.
 *
 *   parse -> open new LUNs, grow and change those that stay -> put the configuration in force (new logins see it)
 *         -> every reactor's sessions follow (iscsi/reconfigure.c) -> close LUNs that are gone -> SERVED
 *
 * Opening blocks: it happens here, on the manager thread, never on a reactor. A LUN that cannot be opened is reported in
 * SERVED and left out; the others are served. A document that does not parse changes nothing.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "dataplane/reactor/internal.h"
#include "json_text.h"
#include "log.h"

#define LOCK_POLL_MS 10
#define LOCK_WAIT_MS 3000

struct serving {
	struct worker *worker;
	uint64_t generation;
	json_t *serve, *errors;
	struct iscsi_config *config;
	struct list removed; /* struct iscsi_lun out of the node, to be closed when nobody refers to them */
	unsigned followers_left;
};

static void report_object(struct serving *serving, const char *object, const char *text)
{
	log_error("not served, %s: %s", object, text);
	json_array_append_new(serving->errors, json_pack("{s:s, s:s}", "object", object, "text", text));
}

static void report(struct serving *serving, const char *lun_name, const char *text)
{
	char object[96];

	snprintf(object, sizeof object, "lun:%s", lun_name);
	report_object(serving, object, text);
}

/* --- stores --- */

static struct store *find_store(struct worker *worker, const char *name, const json_t *serve, struct err *err)
{
	const json_t *description = json_object_get(json_object_get(serve, "stores"), name);
	const char *kind = json_string_value(json_object_get(description, "kind"));
	struct worker_store *entry;
	char *params;

	list_for_each(node, &worker->stores) {
		entry = container_of(node, struct worker_store, link);
		if (strcmp(entry->name, name) == 0)
			return entry->store;
	}
	if (!kind) {
		err_set(err, -EINVAL, "store \"%s\" is not in the serve document", name);
		return NULL;
	}
	entry = calloc(1, sizeof *entry);
	params = json_text(json_object_get(description, "params"), JSON_COMPACT);
	if (entry)
		entry->store = store_open(kind, params ? params : "{}", worker->options->state_dir, err);
	else
		err_set(err, -ENOMEM, "out of memory");
	free(params);
	if (!entry || !entry->store) {
		free(entry);
		return NULL;
	}
	snprintf(entry->name, sizeof entry->name, "%s", name);
	list_append(&worker->stores, &entry->link);
	return entry->store;
}

/* --- LUNs --- */

static bool hex_bytes(const char *hex, uint8_t *ret_bytes, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		unsigned byte;

		if (sscanf(hex + 2 * i, "%2x", &byte) != 1)
			return false;
		ret_bytes[i] = (uint8_t)byte;
	}
	return hex[2 * count] == '\0';
}

static bool read_attributes(const char *name, json_t *description, struct lun_attributes *ret)
{
	const char *id, *serial, *naa;
	int block, physical = 0, read_only = 0, thin = 1, removable = 0;

	memset(ret, 0, sizeof *ret);
	if (json_unpack(description, "{s:s, s:s, s:s, s:i, s?i, s?b, s?b, s?b}", "id", &id, "serial", &serial, "naa", &naa,
			"block_size", &block, "physical_block_size", &physical, "read_only", &read_only, "thin", &thin,
			"removable", &removable) != 0)
		return false;
	snprintf(ret->name, sizeof ret->name, "%s", name);
	snprintf(ret->id, sizeof ret->id, "%s", id);
	snprintf(ret->serial, sizeof ret->serial, "%s", serial);
	ret->block_bytes = (uint32_t)block;
	ret->physical_block_bytes = (uint32_t)(physical ? physical : block);
	ret->read_only = read_only;
	ret->thin = thin;
	ret->removable = removable;
	return (block == 512 || block == 4096) && strlen(naa) == 32 && hex_bytes(naa, ret->naa, 16);
}

static void close_lun(struct iscsi_lun *lun)
{
	if (lun->lu)
		scsi_lu_free(lun->lu);
	if (lun->lun)
		lun_close(lun->lun);
	for (unsigned i = 0; lun->stats && lun->stats[i]; i++)
		stats_release(lun->stats[i]);
	free(lun->stats);
	json_decref(lun->serve);
	free(lun);
}

static int abort_nexuses(void *arg, struct scsi_lu *lu, const uint64_t *nexus_ids, unsigned count,
			 void (*done)(void *done_arg), void *done_arg, struct mailbox *reply_to);

static bool shows(const struct iscsi_target *target, const char *initiator_name, const char *lun_name)
{
	unsigned count = 0;
	struct iscsi_lun_mapping *mappings = iscsi_target_luns(target, initiator_name, &count);
	bool found = false;

	for (unsigned i = 0; i < count && !found; i++)
		found = strcmp(mappings[i].lun, lun_name) == 0;
	free(mappings);
	return found;
}

/* Any thread: scsi_services.admits. The targets of other workers count too. */
static bool admits(void *arg, struct scsi_lu *lu, uint16_t relative_port_id, const char *initiator_name)
{
	struct worker *worker = arg;
	struct iscsi_config *config = iscsi_node_config(&worker->node);
	const struct iscsi_target *target = iscsi_config_find_port(config, relative_port_id);
	bool admitted = target && iscsi_target_may_log_in(target, initiator_name) &&
			shows(target, initiator_name, lun_attributes(scsi_lu_lun(lu))->name);

	iscsi_config_unref(config);
	return admitted;
}

static bool claim_stats(struct worker *worker, struct iscsi_lun *lun, const char *name)
{
	unsigned count = worker->options->reactor_count;

	lun->stats = calloc(count + 1, sizeof *lun->stats);
	for (unsigned i = 0; lun->stats && i < count; i++)
		lun->stats[i] = stats_claim(worker->node.stats, STATS_LUN, name, i);
	return lun->stats != NULL;
}

/* A target that moves here from another worker: that one may still be closing the LUN, whose objects it has locked. */
static struct lun *open_unlocked(const struct lun_attributes *attributes, struct store *store, const json_t *map,
				 struct err *err)
{
	const struct timespec pause = { .tv_nsec = LOCK_POLL_MS * 1000000 };
	uint64_t give_up_ns = clock_now_ns() + LOCK_WAIT_MS * NS_PER_MS;
	struct lun *lun;

	while (!(lun = lun_open(attributes, store, map, err)) && err->code == -EBUSY && clock_now_ns() < give_up_ns)
		nanosleep(&pause, NULL);
	return lun;
}

static unsigned threshold_of(const json_t *description)
{
	json_int_t percent = json_integer_value(json_object_get(description, "space_threshold_percent"));

	return percent > 0 && percent < 100 ? (unsigned)percent : 0;
}

static struct iscsi_lun *open_lun(struct serving *serving, const char *name, json_t *description, struct err *err)
{
	struct worker *worker = serving->worker;
	const char *store_name = json_string_value(json_object_get(description, "store"));
	struct scsi_services services = { .arg = worker, .documents = worker->documents, .offload = worker->offload,
					  .jobs = worker->jobs,
					  .abort_nexuses = abort_nexuses, .admits = admits,
					  .daemon_epoch = worker->daemon_epoch };
	struct lun_attributes attributes;
	struct iscsi_lun *lun = calloc(1, sizeof *lun);

	if (!lun || !claim_stats(worker, lun, name)) {
		err_set(err, -ENOMEM, "out of memory");
		goto fail;
	}
	if (!read_attributes(name, description, &attributes)) {
		err_set(err, -EINVAL, "its description is not valid");
		goto fail;
	}
	lun->store = find_store(worker, store_name ? store_name : "default", serving->serve, err);
	if (!lun->store)
		goto fail;
	lun->lun = open_unlocked(&attributes, lun->store, json_object_get(description, "map"), err);
	if (!lun->lun)
		goto fail;
	for (unsigned i = 0; i < worker->options->reactor_count; i++)
		lun_set_stats(lun->lun, worker->reactors[i].iscsi.scsi.store, lun->stats[i]);
	lun->lu = scsi_lu_new(lun->lun, &services, err);
	if (!lun->lu)
		goto fail;
	scsi_lu_set_user(lun->lu, lun);
	scsi_lu_set_space_threshold(lun->lu, threshold_of(description));
	lun->serve = json_incref(description);
	lun->unique = ++worker->last_unique;
	list_init(&lun->link);
	return lun;
fail:
	if (lun)
		close_lun(lun);
	return NULL;
}

static bool same_lun(const struct iscsi_lun *lun, const json_t *description)
{
	const char *const fixed[] = { "id", "serial", "naa", "block_size", "store" };

	for (unsigned i = 0; i < sizeof fixed / sizeof fixed[0]; i++)
		if (!json_equal(json_object_get(lun->serve, fixed[i]), json_object_get(description, fixed[i])))
			return false;
	return true;
}

/* A LUN that stays: what may change online. */
static void change_lun(struct serving *serving, struct iscsi_lun *lun, const char *name, json_t *description)
{
	struct err err = { 0 };
	bool read_only;
	int grown;

	if (json_equal(lun->serve, description))
		return;
	grown = lun_remap(lun->lun, json_object_get(description, "map"), &err);
	if (grown < 0) {
		report(serving, name, err.text);
		return;
	}
	if (grown)
		scsi_lu_capacity_changed(lun->lu);
	read_only = json_is_true(json_object_get(description, "read_only"));
	if (!read_only && lun_make_writable(lun->lun, &err) < 0) {
		report(serving, name, err.text);
		return;
	}
	scsi_lu_read_only_changed(lun->lu, read_only);
	scsi_lu_set_space_threshold(lun->lu, threshold_of(description));
	json_decref(lun->serve);
	lun->serve = json_incref(description);
}

static void update_luns(struct serving *serving, struct list *ret_opened)
{
	struct iscsi_node *node = &serving->worker->node;
	const char *name;
	json_t *description;

	json_object_foreach(json_object_get(serving->serve, "luns"), name, description) {
		struct err err = { 0 };
		struct iscsi_lun *lun = iscsi_node_find_lun(node, name); /* only this thread changes the table */

		if (lun && same_lun(lun, description)) {
			change_lun(serving, lun, name, description);
			continue;
		}
		lun = open_lun(serving, name, description, &err);
		if (lun)
			list_append(ret_opened, &lun->link);
		else
			report(serving, name, err.text);
	}
}

/* Node lock held. LUNs that the document no longer names, or names with another identity. */
static void take_removed(struct serving *serving)
{
	struct iscsi_node *node = &serving->worker->node;
	const json_t *luns = json_object_get(serving->serve, "luns");

	for (unsigned i = 0; i < ISCSI_LUN_BUCKETS; i++)
		list_for_each_safe(pos, &node->luns[i]) {
			struct iscsi_lun *lun = container_of(pos, struct iscsi_lun, link);
			const json_t *description = json_object_get(luns, lun_attributes(lun->lun)->name);

			if (description && same_lun(lun, description))
				continue;
			list_remove(&lun->link);
			list_append(&serving->removed, &lun->link);
		}
}

/* --- PREEMPT AND ABORT --- */

struct nexus_abort {
	struct iscsi_abort abort; /* first */
	void (*done)(void *arg);
	void *arg;
	uint64_t ids[];
};

static void nexuses_aborted(struct iscsi_abort *abort)
{
	struct nexus_abort *nexus_abort = (struct nexus_abort *)abort;

	nexus_abort->done(nexus_abort->arg);
	free(nexus_abort);
}

static int abort_nexuses(void *arg, struct scsi_lu *lu, const uint64_t *nexus_ids, unsigned count,
			 void (*done)(void *done_arg), void *done_arg, struct mailbox *reply_to)
{
	struct worker *worker = arg;
	struct nexus_abort *nexus_abort = calloc(1, sizeof *nexus_abort + count * sizeof nexus_ids[0]);

	if (!nexus_abort)
		return -ENOMEM;
	memcpy(nexus_abort->ids, nexus_ids, count * sizeof nexus_ids[0]);
	nexus_abort->done = done;
	nexus_abort->arg = done_arg;
	nexus_abort->abort = (struct iscsi_abort){
		.filter = { .lu = lu, .session_ids = nexus_abort->ids, .session_id_count = count },
		.node = &worker->node, .done = nexuses_aborted, .reply_to = reply_to,
	};
	if (iscsi_abort_start(&nexus_abort->abort, NULL) < 0) {
		free(nexus_abort);
		return -ENOMEM;
	}
	return 0;
}

/* --- target port groups --- */

static void update_port_groups(struct serving *serving)
{
	struct worker *worker = serving->worker;
	const struct scsi_services services = { .documents = worker->documents, .offload = worker->offload };
	const struct iscsi_target *target = NULL;

	while ((target = iscsi_config_next_target(serving->config, worker->node.worker, target))) {
		struct err err = { 0 };
		char object[16 + ISCSI_NAME_MAX];

		if (iscsi_node_configure_port_groups(&worker->node, target, &services, &err) == 0)
			continue;
		snprintf(object, sizeof object, "target:%s", iscsi_target_name(target));
		report_object(serving, object, err.text);
	}
}

/* --- the whole --- */

static void answer(struct serving *serving)
{
	struct worker *worker = serving->worker;
	json_t *body = json_pack("{s:O}", "errors", serving->errors);
	char *text = json_text(body, JSON_COMPACT);
	int fd = text ? memfd_with("lunette-served", text, strlen(text)) : -ENOMEM;

	json_decref(body);
	free(text);
	if (fd < 0) {
		log_error("cannot report to control: %s", strerror(-fd));
		return;
	}
	worker_send(worker, MSG_SERVED, &(struct msg_SERVED){ serving->generation, fd });
	close(fd);
}

static void serving_free(struct serving *serving)
{
	json_decref(serving->serve);
	json_decref(serving->errors);
	iscsi_config_unref(serving->config);
	free(serving);
}

/* The content of a memory LUN lives in this process and nowhere else: it ends with the LUN. */
static void remove_lun(struct iscsi_lun *lun)
{
	bool volatile_store = strcmp(store_kind(lun->store), "memory") == 0;
	struct store *store = lun->store;
	json_t *map = volatile_store ? lun_map_json(lun->lun) : NULL;

	close_lun(lun);
	if (map)
		lun_map_remove(store, map, NULL);
	json_decref(map);
}

static void in_force(struct serving *serving)
{
	struct worker *worker = serving->worker;
	struct list *pos;

	while ((pos = list_take(&serving->removed)))
		remove_lun(container_of(pos, struct iscsi_lun, link));
	json_decref(worker->serve);
	worker->serve = json_incref(serving->serve);
	worker->generation = serving->generation;
	worker->serving = NULL;
	worker_refresh_allocated(worker);
	answer(serving);
	serving_free(serving);
}

static void follower_done(void *arg)
{
	struct serving *serving = arg;

	if (--serving->followers_left == 0)
		in_force(serving);
}

static void put_in_force(struct serving *serving)
{
	struct worker *worker = serving->worker;
	struct iscsi_node *node = &worker->node;
	const struct iscsi_settings *settings = iscsi_config_settings(serving->config);
	struct iscsi_config *old;
	struct list opened, *pos;

	list_init(&opened);
	update_luns(serving, &opened);
	scsi_sanitize_set_rate(settings->sanitize_bytes_per_s);
	scsi_copy_set_rate(settings->copy_bytes_per_s);
	update_port_groups(serving);
	worker_set_limits(settings->max_connections, settings->max_connections_per_address);
	pthread_mutex_lock(&node->lock);
	take_removed(serving);
	while ((pos = list_take(&opened)))
		iscsi_node_add_lun(node, container_of(pos, struct iscsi_lun, link));
	old = node->config;
	node->config = iscsi_config_ref(serving->config);
	pthread_mutex_unlock(&node->lock);
	iscsi_config_unref(old);
	serving->followers_left = node->reactor_count;
	for (unsigned i = 0; i < node->reactor_count; i++)
		if (reactor_follow(&worker->reactors[i], serving->config, &worker->mailbox, follower_done, serving) < 0) {
			log_error("out of memory while applying generation %llu", (unsigned long long)serving->generation);
			worker->stop = true; /* the supervisor starts us again, with a whole document */
			worker->exit_status = 1;
		}
}

static json_t *read_document(int fd, struct err *err)
{
	char *text;
	size_t len;
	json_error_t error;
	json_t *serve;
	int result = memfd_read(fd, WORKER_SERVE_MAX_BYTES, &text, &len);

	if (result < 0) {
		err_errno(err, result, "cannot read the serve document");
		return NULL;
	}
	serve = json_read(text, len, 0, &error);
	free(text);
	if (!serve)
		err_set(err, -EINVAL, "the serve document is not JSON: %s", error.text);
	return serve;
}

void worker_serve(struct worker *worker, uint64_t generation, int fd)
{
	struct serving *serving = calloc(1, sizeof *serving);
	struct err err = { 0 };
	json_t *serve = read_document(fd, &err);

	close(fd);
	if (!serving || worker->serving) {
		log_error("serve document %llu ignored: %s", (unsigned long long)generation,
			  worker->serving ? "another is being applied" : "out of memory");
		json_decref(serve);
		free(serving);
		return;
	}
	*serving = (struct serving){ .worker = worker, .generation = generation, .serve = serve,
				     .errors = json_array() };
	list_init(&serving->removed);
	serving->config = serve ? iscsi_config_new(serve, &err) : NULL;
	if (!serving->config ||
	    (!worker->reactors &&
	     worker_start_reactors(worker, iscsi_config_settings(serving->config)->buffer_bytes, &err) < 0)) {
		log_error("serve document %llu not applied: %s", (unsigned long long)generation, err.text);
		json_array_append_new(serving->errors,
				      json_pack("{s:s, s:s}", "object", "worker", "text", err.text));
		answer(serving);
		serving_free(serving);
		return;
	}
	worker->serving = serving;
	put_in_force(serving);
}
