/*
 * Messages of base/channel.c from a process that has gone mad. Input: one byte that chooses sender, receiver and whether a
 * descriptor comes along, then the datagram. What is accepted must encode to the same bytes again.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "channel.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t buffer[CHANNEL_MESSAGE_MAX], again[CHANNEL_MESSAGE_MAX + 1];

static void send_bytes(int fd, const uint8_t *bytes, size_t len, int with_descriptor)
{
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec iov = { (void *)(uintptr_t)bytes, len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	memset(&control, 0, sizeof control);
	if (with_descriptor) {
		msg.msg_control = &control;
		msg.msg_controllen = sizeof control;
		*CMSG_FIRSTHDR(&msg) = (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET,
							 .cmsg_type = SCM_RIGHTS };
		memcpy(CMSG_DATA(CMSG_FIRSTHDR(&msg)), &fd, sizeof fd);
	}
	if (sendmsg(fd, &msg, 0) != (ssize_t)len)
		abort();
}

/* The descriptor that came with a message; -1: none. */
static int descriptor_of(const struct message *m)
{
	switch (m->kind) {
	case MSG_PEER:
		return m->as.PEER.fd;
	case MSG_KEPT_FD:
		return m->as.KEPT_FD.fd;
	case MSG_STATS:
		return m->as.STATS.fd;
	case MSG_KEEP_FD:
		return m->as.KEEP_FD.fd;
	case MSG_SERVE:
		return m->as.SERVE.memfd;
	case MSG_SERVED:
		return m->as.SERVED.memfd;
	case MSG_LISTEN:
		return m->as.LISTEN.fd;
	case MSG_REPLY:
		return m->as.REPLY.memfd;
	case MSG_HANDOVER:
		return m->as.HANDOVER.fd;
	default:
		return -1;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int pair[2] = { -1, -1 };
	struct message m;
	int rc;

	if (pair[0] < 0 && channel_pair(pair) < 0)
		abort();
	if (size < 2 || size - 1 > CHANNEL_MESSAGE_MAX)
		return 0;
	send_bytes(pair[0], data + 1, size - 1, data[0] & 1);
	rc = channel_receive(pair[1], (enum channel_role)((data[0] >> 1 & 3) % ROLE_ANY),
			     (enum channel_role)((data[0] >> 3 & 3) % ROLE_ANY), buffer, &m);
	if (rc == 0) {
		if (channel_send(pair[0], m.kind, &m.as) != 0 ||
		    recv(pair[1], again, sizeof again, 0) != (ssize_t)(size - 1) || memcmp(again, data + 1, size - 1) != 0)
			abort();
		if (descriptor_of(&m) >= 0)
			close(descriptor_of(&m));
	} else if (rc != -EBADMSG) {
		abort();
	}
	return 0;
}
