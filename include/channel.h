/*
 * Typed messages between our own processes over AF_UNIX SOCK_SEQPACKET, one message a datagram, at most one descriptor
 * with each. The kinds are declared in messages.def; from them come one struct per kind, the encoder, the decoder and
 * the direction check. A message that does not decode, or that this peer may not send, is an error (-EBADMSG): the
 * receiver logs it and drops the message, it never trusts and never asserts.
 *
 * Layout: u16 kind, then the fields in order: U32, U64 big-endian; TEXT and BLOB a u32 length and the bytes.
 * One thread a channel.
 */
#ifndef LUNETTE_CHANNEL_H
#define LUNETTE_CHANNEL_H

#include <stddef.h>
#include <stdint.h>

#define CHANNEL_TEXT_MAX    512         /* bytes of a TEXT, with its NUL */
#define CHANNEL_MESSAGE_MAX (64 * 1024) /* bytes of an encoded message */

enum channel_role { ROLE_SUPERVISOR, ROLE_CONTROL, ROLE_WORKER, ROLE_ANY };

/* "supervisor", "control", "worker". */
const char *channel_role_name(enum channel_role role);

enum message_kind {
	MSG_NONE,
#define MESSAGE(name, from, to, fields) MSG_##name,
#include "messages.def"
#undef MESSAGE
	MSG_COUNT
};

struct channel_blob {
	const uint8_t *bytes;
	uint32_t len_bytes;
};

/* struct msg_<NAME> for each kind. */
#define U32(field)  uint32_t field;
#define U64(field)  uint64_t field;
#define TEXT(field) char field[CHANNEL_TEXT_MAX];
#define BLOB(field) struct channel_blob field;
#define FD(field)   int field;
#define MESSAGE(name, from, to, fields)                                                                        \
	struct msg_##name {                                                                                    \
		fields                                                                                         \
	};
#include "messages.def"
#undef MESSAGE
#undef U32
#undef U64
#undef TEXT
#undef BLOB
#undef FD

/* A received message: `kind` says which member of `as` is valid. Descriptors in it belong to the receiver. */
struct message {
	enum message_kind kind;
	union {
#define MESSAGE(name, from, to, fields) struct msg_##name name;
#include "messages.def"
#undef MESSAGE
	} as;
};

/* What a kind is called, "SERVE". */
const char *message_name(enum message_kind kind);

/* Sends one message: channel_send(fd, MSG_READY, &(struct msg_READY){ .text = "..." }). A descriptor in it stays the
 * caller's. 0; -EAGAIN when the peer's queue is full and the socket does not block; another negative errno: the channel
 * is dead. -EMSGSIZE: does not fit. */
int channel_send(int fd, enum message_kind kind, const void *message);

/* Receives one message sent by a `sender`. 0: *ret_message filled; -EAGAIN: nothing there; -ECONNRESET: the peer is
 * gone; -EBADMSG: not a valid message (descriptors that came with it are closed). `buffer` of CHANNEL_MESSAGE_MAX bytes
 * holds BLOB fields until the next call. */
int channel_receive(int fd, enum channel_role sender, enum channel_role receiver, void *buffer,
		    struct message *ret_message);

/* A connected pair, close-on-exec and non-blocking. 0 or negative errno. */
int channel_pair(int ret_fds[2]);

/* A sealed memfd with these bytes, ready to be sent; negative errno. */
int memfd_with(const char *name, const void *bytes, size_t len_bytes);
/* The whole content of a memfd that a peer sent, malloc'ed with a NUL behind it; refuses more than max_bytes (-EFBIG)
 * and descriptors that are no memfd with the seals on (-EBADMSG). Closes nothing. */
int memfd_read(int fd, size_t max_bytes, char **ret_bytes, size_t *ret_len_bytes);

#endif
