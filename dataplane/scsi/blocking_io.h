/*
 * I/O on a LUN by a thread that may wait for it, with a store context of its own: what a sanitize does, and what must be
 * done before a LU is served. One at a time. No reactor.
 */
#ifndef LUNETTE_SCSI_BLOCKING_IO_H
#define LUNETTE_SCSI_BLOCKING_IO_H

#include "dataplane/lun/lun.h"
#include "mailbox.h"
#include "offload.h"

#define BLOCKING_IO_LOOK_MS 50

struct blocking_io {
	struct mailbox mailbox;
	struct store_ctx *context;
	void (*idle)(void *arg); /* every BLOCKING_IO_LOOK_MS while it waits; may be NULL */
	void *idle_arg;
	/* private */
	struct lun_io io;
	bool busy;
	int result;
};

/* The rest of *ret is zero. 0 or negative errno. */
int  blocking_io_init(struct blocking_io *ret, struct offload *offload, struct err *err);
void blocking_io_fini(struct blocking_io *b); /* also of one that is all zero, or whose init failed */
/* data: NULL, or a list that holds `blocks` blocks (LUN_WRITE_SAME: one). Written through (FUA). 0 or negative errno. */
int  blocking_io_do(struct blocking_io *b, struct lun *lun, enum lun_op op, uint64_t lba, uint64_t blocks, struct sgl *data);

#endif
