/* A reactor's worth of machinery for tests of store and lun: context, mailbox, pool, a temporary directory, a loop. */
#ifndef LUNETTE_TESTS_STORE_RIG_H
#define LUNETTE_TESTS_STORE_RIG_H

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "dataplane/store/driver.h"

#define RIG_WAIT_MS 20000

struct rig {
	struct mailbox mailbox;
	struct offload *pool;
	struct store_ctx *ctx;
	char dir[64];
};

static inline void rig_dir(struct rig *rig)
{
	snprintf(rig->dir, sizeof rig->dir, "/tmp/lunette-store-XXXXXX");
	assert_non_null(mkdtemp(rig->dir));
}

static inline void rig_init(struct rig *rig, unsigned depth)
{
	struct err err = {0};

	memset(rig, 0, sizeof *rig);
	assert_int_equal(mailbox_init(&rig->mailbox), 0);
	rig->pool = offload_new(2);
	assert_non_null(rig->pool);
	rig->ctx = store_ctx_new(depth, rig->pool, &rig->mailbox, &err);
	if (!rig->ctx)
		fail_msg("%s", err.text);
}

static inline void rig_fini(struct rig *rig)
{
	char command[128];

	store_ctx_free(rig->ctx);
	offload_free(rig->pool);
	mailbox_fini(&rig->mailbox);
	if (!rig->dir[0])
		return;
	snprintf(command, sizeof command, "rm -rf %s", rig->dir);
	assert_int_equal(system(command), 0);
}

/* One turn of the loop: sleeps until there is something, as a reactor does. */
static inline void rig_turn(struct rig *rig)
{
	struct pollfd fds[2] = {{.fd = store_ctx_fd(rig->ctx), .events = POLLIN},
				{.fd = mailbox_fd(&rig->mailbox), .events = POLLIN}};

	store_ctx_flush(rig->ctx);
	assert_int_not_equal(poll(fds, 2, RIG_WAIT_MS), 0); /* 0: a wake-up is lost */
	if (fds[1].revents)
		mailbox_run(&rig->mailbox);
	if (fds[0].revents)
		store_ctx_reap(rig->ctx);
}

static inline void rig_drain(struct rig *rig)
{
	while (store_ctx_in_flight(rig->ctx))
		rig_turn(rig);
}

static inline struct store *rig_store(struct rig *rig, const char *kind, const char *params)
{
	struct err err = {0};
	struct store *store = store_open(kind, params, rig->dir[0] ? rig->dir : NULL, &err);

	if (!store)
		fail_msg("%s", err.text);
	return store;
}

static inline struct store_object *rig_object(struct store *store, const char *id, uint64_t bytes)
{
	struct err err = {0};
	struct store_object *object = NULL;

	if (store_object_create(store, id, bytes, true, &err) < 0 ||
	    store_object_open(store, id, bytes, false, &object, &err) < 0)
		fail_msg("%s", err.text);
	return object;
}

struct rig_io {
	struct store_io io;
	struct iovec iov;
	int result;
	bool done;
};

static inline void rig_io_done(struct store_io *io, int result)
{
	struct rig_io *r = container_of(io, struct rig_io, io);

	assert_false(r->done);
	r->done = true;
	r->result = result;
}

static inline void rig_io_start(struct rig *rig, struct rig_io *r, struct store_object *object, enum store_op op,
				uint64_t offset, void *bytes, uint64_t len, bool fua)
{
	memset(r, 0xa5, sizeof *r); /* nothing may depend on zeroed memory */
	r->done = false;
	r->iov = (struct iovec){bytes, len};
	r->io.op = op;
	r->io.object = object;
	r->io.offset_bytes = offset;
	r->io.len_bytes = len;
	r->io.iov = &r->iov;
	r->io.iov_count = 1;
	r->io.fua = fua;
	r->io.keep_allocated = false;
	r->io.done = rig_io_done;
	store_submit(rig->ctx, &r->io);
}

static inline int rig_io(struct rig *rig, struct store_object *object, enum store_op op, uint64_t offset, void *bytes,
			 uint64_t len)
{
	struct rig_io r;

	rig_io_start(rig, &r, object, op, offset, bytes, len, false);
	while (!r.done)
		rig_turn(rig);
	return r.result;
}

/* A small generator, so that a failing seed can be run again. */
static inline uint32_t rig_random(uint64_t *state)
{
	*state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(*state >> 33);
}

static inline void rig_fill(uint64_t *seed, uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)rig_random(seed);
}

#endif
