/* Blocking I/O: see blocking_io.h. */
#include "dataplane/scsi/blocking_io.h"

#include <poll.h>
#include <string.h>

#define CONTEXT_DEPTH 32

int blocking_io_init(struct blocking_io *ret, struct offload *offload, struct err *err)
{
	int result;

	memset(ret, 0, sizeof *ret);
	result = mailbox_init(&ret->mailbox);
	if (result < 0) {
		ret->mailbox.event_fd = 0; /* nothing to be closed */
		return err_errno(err, result, "mailbox");
	}
	ret->context = store_ctx_new(CONTEXT_DEPTH, offload, &ret->mailbox, err);
	return ret->context ? 0 : err->code;
}

void blocking_io_fini(struct blocking_io *b)
{
	if (b->context)
		store_ctx_free(b->context);
	if (b->mailbox.event_fd > 0)
		mailbox_fini(&b->mailbox);
}

static void io_done(struct lun_io *io, int result)
{
	struct blocking_io *b = container_of(io, struct blocking_io, io);

	b->result = result;
	b->busy = false;
}

static void turn(struct blocking_io *b)
{
	struct pollfd fds[] = { { store_ctx_fd(b->context), POLLIN, 0 }, { mailbox_fd(&b->mailbox), POLLIN, 0 } };

	store_ctx_flush(b->context);
	if (store_ctx_reap(b->context) + mailbox_run(&b->mailbox))
		return;
	poll(fds, 2, BLOCKING_IO_LOOK_MS);
	if (b->idle)
		b->idle(b->idle_arg);
}

int blocking_io_do(struct blocking_io *b, struct lun *lun, enum lun_op op, uint64_t lba, uint64_t blocks, struct sgl *data)
{
	b->io = (struct lun_io){ .op = op, .lun = lun, .lba = lba, .blocks = blocks, .data = data, .done = io_done,
				 .fua = op == LUN_WRITE || op == LUN_WRITE_SAME };
	b->busy = true;
	lun_submit(&b->io, b->context);
	while (b->busy)
		turn(b);
	return b->result;
}
