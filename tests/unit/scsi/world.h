/*
 * A logical unit on the real memory store, a reactor's parts, and a few nexuses: what the SCSI tests and fuzz targets
 * send their commands to. Plain asserts, so that fuzz targets can use it too.
 */
#ifndef LUNETTE_TESTS_SCSI_WORLD_H
#define LUNETTE_TESTS_SCSI_WORLD_H

#include <assert.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/scsi/internal.h"

#define WORLD_BYTES (UINT64_C(8) << 20)
#define WORLD_NEXUSES 3
#define WORLD_DATA    (1u << 20) /* most bytes of data-in that an outcome keeps */

struct world {
	struct store *store;
	struct lun *lun;
	struct scsi_lu *lu;
	struct scsi_services services;
	struct mailbox mailbox;
	struct scsi_reactor reactor;
	struct scsi_inventory *inventory;
	struct scsi_port_groups *groups; /* with explicit_alua */
	bool one_initiator;
	struct scsi_nexus *nexus[WORLD_NEXUSES];
};

struct world_options {
	uint32_t block_bytes, physical_block_bytes;
	uint64_t size_bytes;     /* 0: WORLD_BYTES */
	uint64_t object_bytes;   /* 0: as the store likes */
	bool thick, read_only, removable;
	bool one_initiator;      /* all nexuses are paths of one */
	bool explicit_alua;      /* nexus n is one of target port group 1 + n % 2 */
	struct docstore *documents;
	uint64_t epoch;
	const char *store_kind;  /* NULL: memory */
	const char *store_params;
};

struct outcome {
	enum scsi_begin begin;
	enum scsi_direction direction;
	uint32_t data_bytes, data_in_bytes;
	uint8_t status, key;
	uint16_t asc;
	bool has_information;
	uint64_t information;
	uint8_t sense[SCSI_SENSE_MAX];
	uint8_t sense_len_bytes;
	uint8_t data[WORLD_DATA];
};

static inline struct lun_attributes world_attributes(const struct world_options *options)
{
	struct lun_attributes attributes = {
		.name = "vol1", .id = "0f6b2c52-8f4e-4f51-9d3e-1a2b3c4d5e6f", .serial = "LN0f6b2c528f4e",
		.naa = { 0x6e, 0x0f, 0x6b, 0x2c, 0x52, 0x8f, 0x4e, 0x4f, 0x51, 0x9d, 0x3e, 0x1a, 0x2b, 0x3c, 0x4d, 0x5e },
		.block_bytes = options->block_bytes ? options->block_bytes : 512,
		.physical_block_bytes = options->physical_block_bytes ? options->physical_block_bytes : 4096,
		.thin = !options->thick, .read_only = options->read_only, .removable = options->removable,
	};

	return attributes;
}

static inline struct scsi_port world_port(unsigned index)
{
	struct scsi_port port = { .isid = { 0x40, 0, 0, 0, 0, (uint8_t)index }, .target_name = "iqn.2026-11.io.lunette:t1",
				  .portal_group_tag = 1, .relative_port_id = (uint16_t)(1 + index / 2) };

	snprintf(port.initiator_name, sizeof port.initiator_name, "iqn.1994-05.com.example:host%u", index);
	return port;
}

static inline void world_open_lun(struct world *w, const struct world_options *options)
{
	struct lun_attributes attributes = world_attributes(options);
	struct store_limits limits;
	struct err err = { 0 };
	json_t *map;

	w->store = store_open(options->store_kind ? options->store_kind : "memory",
			      options->store_params ? options->store_params : "{}", "/nonexistent", &err);
	assert(w->store);
	store_get_limits(w->store, &limits);
	map = lun_map_plan(NULL, attributes.id, options->size_bytes ? options->size_bytes : WORLD_BYTES,
			   attributes.block_bytes, options->object_bytes, &limits, &err);
	assert(map && lun_map_allocate(w->store, NULL, map, true, &err) >= 0);
	w->lun = lun_open(&attributes, w->store, map, &err);
	assert(w->lun);
	json_decref(map);
}

static inline void world_groups(struct world *w)
{
	const struct alua_configured configured[] = { { .tag = 1, .relative_port_id = 1 }, { .tag = 2, .relative_port_id = 2 } };
	struct err err = { 0 };

	w->groups = scsi_port_groups_new("iqn.2026-11.io.lunette:t1", &w->services);
	assert(w->groups);
	assert(scsi_port_groups_configure(w->groups, true, configured, 2, &err) == 0);
}

static inline void world_nexuses(struct world *w)
{
	struct scsi_inventory_entry entries[] = { { 0, false, w->lu }, { 300, true, w->lu } };

	w->inventory = scsi_inventory_new(entries, 2);
	assert(w->inventory);
	for (unsigned i = 0; i < WORLD_NEXUSES; i++) {
		struct scsi_port port = world_port(i);

		if (w->one_initiator)
			strcpy(port.initiator_name, world_port(0).initiator_name);
		if (w->groups)
			port.portal_group_tag = port.relative_port_id = (uint16_t)(1 + i % 2);
		w->nexus[i] = scsi_nexus_new(i + 1, &port, w->inventory);
		assert(w->nexus[i]);
		scsi_nexus_set_port_groups(w->nexus[i], w->groups);
	}
}

static inline void world_init(struct world *w, const struct world_options *options)
{
	struct err err = { 0 };

	memset(w, 0, sizeof *w);
	world_open_lun(w, options);
	assert(mailbox_init(&w->mailbox) == 0);
	scsi_reactor_init(&w->reactor);
	w->reactor.mailbox = &w->mailbox;
	w->reactor.offload = offload_new(1);
	w->reactor.pool = sgl_pool_new(32, 160);
	w->reactor.store = store_ctx_new(64, w->reactor.offload, &w->mailbox, &err);
	assert(w->reactor.offload && w->reactor.pool && w->reactor.store);
	w->services.documents = options->documents;
	w->services.daemon_epoch = options->epoch;
	w->services.offload = w->reactor.offload;
	w->lu = scsi_lu_new(w->lun, &w->services, &err);
	assert(w->lu);
	if (options->explicit_alua)
		world_groups(w);
	w->one_initiator = options->one_initiator;
	world_nexuses(w);
}

static inline void world_drop_nexus(struct world *w, unsigned index)
{
	scsi_nexus_free(w->nexus[index]);
	w->nexus[index] = NULL;
}

static inline void world_fini(struct world *w)
{
	for (unsigned i = 0; i < WORLD_NEXUSES; i++)
		world_drop_nexus(w, i);
	scsi_inventory_unref(w->inventory);
	scsi_port_groups_free(w->groups);
	scsi_lu_free(w->lu);
	lun_close(w->lun);
	store_close(w->store);
	store_ctx_free(w->reactor.store);
	offload_free(w->reactor.offload);
	assert(sgl_pool_in_use(w->reactor.pool) == 0);
	sgl_pool_free(w->reactor.pool);
	mailbox_fini(&w->mailbox);
}

/* One turn of a reactor: waits until something completed. */
static inline void world_turn(struct world *w)
{
	struct pollfd fds[] = { { store_ctx_fd(w->reactor.store), POLLIN, 0 }, { mailbox_fd(&w->mailbox), POLLIN, 0 } };

	if (scsi_reactor_flush(&w->reactor) + store_ctx_reap(w->reactor.store) + mailbox_run(&w->mailbox))
		return;
	poll(fds, 2, 1000);
	mailbox_run(&w->mailbox);
	store_ctx_reap(w->reactor.store);
}

static inline void world_done(struct scsi_task *task)
{
	assert(task->tag == 0); /* done() comes once */
	task->tag = 1;
}

/* A background operation goes on; the status is that of its command. */
static unsigned world_answers;

static inline void world_answered(struct scsi_task *task)
{
	assert(task->tag == 0 && task->status == 0);
	world_answers++;
}

static inline void world_sense(const struct scsi_task *task, struct outcome *ret)
{
	const uint8_t *sense = task->sense;

	memcpy(ret->sense, sense, sizeof ret->sense);
	ret->sense_len_bytes = task->sense_len_bytes;
	if (task->status != SCSI_CHECK_CONDITION)
		return;
	if (sense[0] % 0x80 == 0x72) {
		ret->key = sense[1];
		ret->asc = get_be16(sense + 2);
		ret->has_information = task->sense_len_bytes > 8 && sense[8] == 0;
		ret->information = ret->has_information ? get_be64(sense + 12) : 0;
	} else {
		ret->key = sense[2];
		ret->asc = get_be16(sense + 12);
		ret->has_information = sense[0] & 0x80;
		ret->information = get_be32(sense + 3);
	}
}

/* What the iSCSI layer sets before scsi_task_begin(); the rest is poisoned, nothing may depend on zeroed memory. */
static inline struct scsi_task *world_task(struct world *w, struct scsi_nexus *nexus, uint64_t lun, const uint8_t *cdb,
					   unsigned cdb_len, uint32_t expected_bytes)
{
	struct scsi_task *task = malloc(sizeof *task);

	assert(task);
	memset(task, 0x5a, sizeof *task);
	task->nexus = nexus;
	task->reactor = &w->reactor;
	task->lun = lun;
	memset(task->cdb, 0, sizeof task->cdb);
	memcpy(task->cdb, cdb, cdb_len < sizeof task->cdb ? cdb_len : sizeof task->cdb);
	task->cdb_len_bytes = 16;
	task->attribute = 1;
	task->tag = 0;
	task->expected_bytes = expected_bytes;
	task->done = world_done;
	task->answered = world_answered;
	task->path_gone = NULL;
	task->aborted = false;
	return task;
}

/* Gives the task its list: data_bytes for data-in, what the initiator sends for data-out. */
static inline void world_give_data(struct world *w, struct scsi_task *task, const void *out, uint32_t out_len)
{
	uint32_t len = task->data_bytes;

	if (task->direction == SCSI_DATA_OUT && out_len < len)
		len = out_len;
	assert(sgl_alloc(w->reactor.pool, &task->data, len, SGL_SCSI));
	for (unsigned i = 0; i < task->data.count; i++)
		memset(task->data.element[i].iov_base, 0xee, task->data.element[i].iov_len);
	if (task->direction == SCSI_DATA_OUT)
		sgl_copy_in(&task->data, 0, out, len);
}

static inline void world_execute(struct world *w, struct scsi_task *task, const void *out, uint32_t out_len,
				 struct outcome *ret)
{
	bool data = task->direction != SCSI_DATA_NONE;

	if (data)
		world_give_data(w, task, out, out_len);
	scsi_task_execute(task);
	while (!task->tag)
		world_turn(w);
	ret->data_in_bytes = task->data_in_bytes;
	assert(task->data_in_bytes <= task->data_bytes);
	if (task->direction == SCSI_DATA_IN)
		sgl_copy_out(&task->data, 0, ret->data,
			     task->data_in_bytes < WORLD_DATA ? task->data_in_bytes : WORLD_DATA);
	if (data)
		sgl_release(w->reactor.pool, &task->data, SGL_SCSI);
}

static inline void world_run(struct world *w, struct scsi_nexus *nexus, uint64_t lun, const uint8_t *cdb, unsigned cdb_len,
			     const void *out, uint32_t out_len, struct outcome *ret)
{
	struct scsi_task *task = world_task(w, nexus, lun, cdb, cdb_len, out_len);

	memset(ret, 0, offsetof(struct outcome, data));
	ret->begin = scsi_task_begin(task);
	ret->direction = task->direction;
	ret->data_bytes = task->data_bytes;
	if (ret->begin != SCSI_FINISHED)
		world_execute(w, task, out, out_len, ret);
	ret->status = task->status;
	world_sense(task, ret);
	scsi_task_end(task);
	free(task);
}

#endif
