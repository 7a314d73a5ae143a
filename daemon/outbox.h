/*
 * Messages on their way to a child. What the channel does not take now waits here, in order, so that a slow child never
 * blocks the supervisor. A child that lets OUTBOX_MAX messages pile up has stopped reading: -ENOBUFS, and it is killed.
 */
#ifndef LUNETTE_DAEMON_OUTBOX_H
#define LUNETTE_DAEMON_OUTBOX_H

#include <stdbool.h>

#include "channel.h"
#include "list.h"

#define OUTBOX_MAX 4096

struct outbox {
	int channel_fd; /* borrowed */
	struct list waiting;
	unsigned count;
};

void outbox_init(struct outbox *outbox, int channel_fd);
void outbox_fini(struct outbox *outbox); /* what waits is dropped, its descriptors closed */
/* A descriptor in `message` stays the caller's (it is duplicated when the message must wait). No BLOBs.
 * 0; negative errno: the channel is dead, or -ENOBUFS, or -ENOMEM. */
int outbox_send(struct outbox *outbox, enum message_kind kind, const void *message);
/* The channel can be written again. 0 or negative errno as above. */
int outbox_flush(struct outbox *outbox);
static inline bool outbox_empty(const struct outbox *outbox)
{
	return list_empty(&outbox->waiting);
}

#endif
