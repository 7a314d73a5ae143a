#include "channel.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "wire.h"

/* --- messages.def as data: for each kind its name, direction and the places of its fields --- */

enum field_type { FIELD_U32, FIELD_U64, FIELD_TEXT, FIELD_BLOB, FIELD_FD };

struct field {
	enum field_type type;
	size_t offset;
};

/* The macros know the struct they are in by this name. */
#define U32(f)  { FIELD_U32, offsetof(THIS, f) },
#define U64(f)  { FIELD_U64, offsetof(THIS, f) },
#define TEXT(f) { FIELD_TEXT, offsetof(THIS, f) },
#define BLOB(f) { FIELD_BLOB, offsetof(THIS, f) },
#define FD(f)   { FIELD_FD, offsetof(THIS, f) },
#define MESSAGE(name, from, to, fields)                                                                        \
	static const struct field *fields_##name(size_t *ret_count)                                            \
	{                                                                                                      \
		typedef struct msg_##name THIS;                                                                \
		static const struct field table[] = { fields };                                                \
		*ret_count = sizeof table / sizeof table[0];                                                   \
		return table;                                                                                  \
	}
#include "messages.def"
#undef MESSAGE
#undef U32
#undef U64
#undef TEXT
#undef BLOB
#undef FD

struct kind {
	const char *name;
	enum channel_role from, to;
	const struct field *(*fields)(size_t *ret_count);
};

static const struct kind kinds[MSG_COUNT] = {
#define MESSAGE(name, from, to, fields) [MSG_##name] = { #name, ROLE_##from, ROLE_##to, fields_##name },
#include "messages.def"
#undef MESSAGE
};

const char *channel_role_name(enum channel_role role)
{
	static const char *const names[] = { "supervisor", "control", "worker", "any" };

	return names[role];
}

const char *message_name(enum message_kind kind)
{
	return kind > MSG_NONE && kind < MSG_COUNT ? kinds[kind].name : "unknown";
}

static bool may_send(const struct kind *kind, enum channel_role sender, enum channel_role receiver)
{
	return (kind->from == sender || kind->from == ROLE_ANY) && (kind->to == receiver || kind->to == ROLE_ANY);
}

/* --- encode, decode --- */

static void encode_field(struct wire_writer *w, const struct field *field, const void *message, int *ret_fd)
{
	const void *at = (const char *)message + field->offset;
	const struct channel_blob *blob = at;
	size_t len;

	switch (field->type) {
	case FIELD_U32:
		wire_put_u32(w, *(const uint32_t *)at);
		break;
	case FIELD_U64:
		wire_put_u64(w, *(const uint64_t *)at);
		break;
	case FIELD_TEXT:
		len = strnlen(at, CHANNEL_TEXT_MAX - 1);
		wire_put_u32(w, (uint32_t)len);
		wire_put_bytes(w, at, len);
		break;
	case FIELD_BLOB:
		wire_put_u32(w, blob->len_bytes);
		wire_put_bytes(w, blob->bytes, blob->len_bytes);
		break;
	case FIELD_FD:
		*ret_fd = *(const int *)at;
		break;
	}
}

/* False when a TEXT is too long or holds a NUL. */
static bool decode_field(struct wire_reader *r, const struct field *field, void *message, int fd)
{
	void *at = (char *)message + field->offset;
	struct channel_blob *blob = at;
	const uint8_t *bytes;
	uint32_t len;

	switch (field->type) {
	case FIELD_U32:
		*(uint32_t *)at = wire_get_u32(r);
		return true;
	case FIELD_U64:
		*(uint64_t *)at = wire_get_u64(r);
		return true;
	case FIELD_TEXT:
		len = wire_get_u32(r);
		bytes = wire_get_bytes(r, len);
		if (!bytes || len >= CHANNEL_TEXT_MAX || memchr(bytes, '\0', len))
			return false;
		memcpy(at, bytes, len);
		((char *)at)[len] = '\0';
		return true;
	case FIELD_BLOB:
		blob->len_bytes = wire_get_u32(r);
		blob->bytes = wire_get_bytes(r, blob->len_bytes);
		return blob->bytes != NULL;
	case FIELD_FD:
		*(int *)at = fd;
		return fd >= 0;
	}
	return false;
}

int channel_send(int fd, enum message_kind kind, const void *message)
{
	uint8_t bytes[CHANNEL_MESSAGE_MAX];
	struct wire_writer w = wire_writer(bytes, sizeof bytes);
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec iov = { .iov_base = bytes };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	int pass_fd = -1;
	size_t count;
	const struct field *fields = kinds[kind].fields(&count);

	wire_put_u16(&w, (uint16_t)kind);
	for (size_t i = 0; i < count; i++)
		encode_field(&w, &fields[i], message, &pass_fd);
	if (w.bad)
		return -EMSGSIZE;
	iov.iov_len = wire_written(&w);
	if (pass_fd >= 0) {
		msg.msg_control = memset(&control, 0, sizeof control);
		msg.msg_controllen = sizeof control;
		*CMSG_FIRSTHDR(&msg) = (struct cmsghdr){ .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS,
							 .cmsg_len = CMSG_LEN(sizeof(int)) };
		memcpy(CMSG_DATA(CMSG_FIRSTHDR(&msg)), &pass_fd, sizeof pass_fd);
	}
	while (sendmsg(fd, &msg, MSG_NOSIGNAL) < 0)
		if (errno != EINTR)
			return errno == EWOULDBLOCK ? -EAGAIN : -errno;
	return 0;
}

static int decode(const uint8_t *bytes, size_t len, int fd, enum channel_role sender, enum channel_role receiver,
		  struct message *ret_message)
{
	struct wire_reader r = wire_reader(bytes, len);
	uint16_t number = wire_get_u16(&r);
	const struct field *fields;
	size_t count;
	bool wants_fd = false;

	if (r.bad || number == MSG_NONE || number >= MSG_COUNT || !may_send(&kinds[number], sender, receiver))
		return -EBADMSG;
	memset(&ret_message->as, 0, sizeof ret_message->as);
	ret_message->kind = number;
	fields = kinds[number].fields(&count);
	for (size_t i = 0; i < count; i++) {
		wants_fd |= fields[i].type == FIELD_FD;
		if (!decode_field(&r, &fields[i], &ret_message->as, fd) || r.bad)
			return -EBADMSG;
	}
	return wire_left(&r) == 0 && wants_fd == (fd >= 0) ? 0 : -EBADMSG;
}

/* The one descriptor that came with a message; more than we allow are closed. */
static int passed_fd(struct msghdr *msg)
{
	int first = -1;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < (c->cmsg_len - CMSG_LEN(0)) / sizeof(int); i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
			if (first < 0)
				first = fd;
			else
				close(fd);
		}
	}
	return first;
}

int channel_receive(int fd, enum channel_role sender, enum channel_role receiver, void *buffer,
		    struct message *ret_message)
{
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(4 * sizeof(int))];
	} control;
	struct iovec iov = { .iov_base = buffer, .iov_len = CHANNEL_MESSAGE_MAX };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control,
			      .msg_controllen = sizeof control };
	ssize_t n;
	int passed, result;

	/* ECONNRESET: the peer closed before it had read all of ours. That is told once, before what it sent. */
	do
		n = recvmsg(fd, &msg, MSG_CMSG_CLOEXEC);
	while (n < 0 && (errno == EINTR || errno == ECONNRESET));
	if (n < 0)
		return errno == EWOULDBLOCK ? -EAGAIN : -errno;
	if (n == 0)
		return -ECONNRESET;
	passed = passed_fd(&msg);
	result = msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)
			 ? -EBADMSG
			 : decode(buffer, (size_t)n, passed, sender, receiver, ret_message);
	if (result < 0 && passed >= 0)
		close(passed);
	return result;
}

int channel_pair(int ret_fds[2])
{
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ret_fds) < 0 ? -errno : 0;
}

/* --- memfds --- */

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

int memfd_with(const char *name, const void *bytes, size_t len_bytes)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	const char *at = bytes;
	int error;

	if (fd < 0)
		return -errno;
	while (len_bytes) {
		ssize_t n = write(fd, at, len_bytes);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			goto fail;
		at += n;
		len_bytes -= (size_t)n;
	}
	if (fcntl(fd, F_ADD_SEALS, SEALS) == 0)
		return fd;
fail:
	error = -errno;
	close(fd);
	return error;
}

int memfd_read(int fd, size_t max_bytes, char **ret_bytes, size_t *ret_len_bytes)
{
	struct stat st;
	int seals = fcntl(fd, F_GET_SEALS);
	size_t done = 0;
	char *bytes;

	if (seals < 0 || (seals & SEALS) != SEALS || fstat(fd, &st) < 0)
		return -EBADMSG;
	if ((uint64_t)st.st_size > max_bytes)
		return -EFBIG;
	bytes = malloc((size_t)st.st_size + 1);
	if (!bytes)
		return -ENOMEM;
	while (done < (size_t)st.st_size) {
		ssize_t n = pread(fd, bytes + done, (size_t)st.st_size - done, (off_t)done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			free(bytes);
			return -EIO;
		}
		done += (size_t)n;
	}
	bytes[done] = '\0';
	*ret_bytes = bytes;
	*ret_len_bytes = done;
	return 0;
}
