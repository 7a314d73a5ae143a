#include "outbox.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct letter {
	struct list node;
	int fd; /* ours; -1: none */
	struct message message;
};

/* What the supervisor sends: size of the struct, and place of its descriptor (SIZE_MAX: none). */
static const struct outgoing {
	size_t size_bytes, fd_offset;
} outgoing[MSG_COUNT] = {
	[MSG_PEER] = { sizeof(struct msg_PEER), offsetof(struct msg_PEER, fd) },
	[MSG_KEPT_FD] = { sizeof(struct msg_KEPT_FD), offsetof(struct msg_KEPT_FD, fd) },
	[MSG_STATS] = { sizeof(struct msg_STATS), offsetof(struct msg_STATS, fd) },
	[MSG_BEGIN] = { sizeof(struct msg_BEGIN), SIZE_MAX },
	[MSG_WORKER_STATE] = { sizeof(struct msg_WORKER_STATE), SIZE_MAX },
	[MSG_DRAIN] = { sizeof(struct msg_DRAIN), SIZE_MAX },
};

void outbox_init(struct outbox *outbox, int channel_fd)
{
	outbox->channel_fd = channel_fd;
	outbox->count = 0;
	list_init(&outbox->waiting);
}

static void letter_free(struct outbox *outbox, struct letter *letter)
{
	list_remove(&letter->node);
	outbox->count--;
	if (letter->fd >= 0)
		close(letter->fd);
	free(letter);
}

void outbox_fini(struct outbox *outbox)
{
	list_for_each_safe(at, &outbox->waiting)
		letter_free(outbox, container_of(at, struct letter, node));
}

static int keep(struct outbox *outbox, enum message_kind kind, const void *message)
{
	const struct outgoing *form = &outgoing[kind];
	struct letter *letter;

	if (!form->size_bytes)
		return -EINVAL;
	if (outbox->count == OUTBOX_MAX)
		return -ENOBUFS;
	letter = calloc(1, sizeof *letter);
	if (!letter)
		return -ENOMEM;
	letter->fd = -1;
	letter->message.kind = kind;
	memcpy(&letter->message.as, message, form->size_bytes);
	if (form->fd_offset != SIZE_MAX) {
		int *fd = (int *)((char *)&letter->message.as + form->fd_offset);

		letter->fd = *fd = fcntl(*fd, F_DUPFD_CLOEXEC, 0);
		if (letter->fd < 0) {
			int error = -errno;

			free(letter);
			return error;
		}
	}
	list_append(&outbox->waiting, &letter->node);
	outbox->count++;
	return 0;
}

int outbox_send(struct outbox *outbox, enum message_kind kind, const void *message)
{
	int rc = outbox_empty(outbox) ? channel_send(outbox->channel_fd, kind, message) : -EAGAIN;

	return rc == -EAGAIN ? keep(outbox, kind, message) : rc;
}

int outbox_flush(struct outbox *outbox)
{
	list_for_each_safe(at, &outbox->waiting) {
		struct letter *letter = container_of(at, struct letter, node);
		int rc = channel_send(outbox->channel_fd, letter->message.kind, &letter->message.as);

		if (rc == -EAGAIN)
			return 0;
		if (rc < 0)
			return rc;
		letter_free(outbox, letter);
	}
	return 0;
}
