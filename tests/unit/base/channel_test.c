/* include/channel.h over real sockets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "channel.h"

static uint8_t buffer[CHANNEL_MESSAGE_MAX];

struct pair {
	int a, b;
};

static int open_pair(void **state)
{
	static struct pair pair;
	int fds[2];

	if (channel_pair(fds) < 0)
		return -1;
	pair = (struct pair){ fds[0], fds[1] };
	*state = &pair;
	return 0;
}

static int close_pair(void **state)
{
	struct pair *p = *state;

	close(p->a);
	close(p->b);
	return 0;
}

static unsigned open_descriptors(void)
{
	unsigned count = 0;

	for (int fd = 0; fd < 256; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

static void every_type_of_field_arrives_as_it_was_sent(void **state)
{
	struct pair *p = *state;
	struct msg_WORKER_STATE sent = { 3, 4711, 9, UINT64_C(1) << 40, UINT64_MAX, "killed by SIGSEGV" };
	struct msg_HANDOVER handed = { "default", { (const uint8_t *)"\0\1\2\3", 4 }, p->a };
	struct message m;

	assert_int_equal(channel_send(p->a, MSG_WORKER_STATE, &sent), 0);
	assert_int_equal(channel_receive(p->b, ROLE_SUPERVISOR, ROLE_CONTROL, buffer, &m), 0);
	assert_int_equal(m.kind, MSG_WORKER_STATE);
	assert_memory_equal(&m.as.WORKER_STATE, &sent, sizeof sent);

	assert_int_equal(channel_send(p->a, MSG_HANDOVER, &handed), 0);
	assert_int_equal(channel_receive(p->b, ROLE_WORKER, ROLE_WORKER, buffer, &m), 0);
	assert_string_equal(m.as.HANDOVER.portal, "default");
	assert_int_equal(m.as.HANDOVER.bytes.len_bytes, 4);
	assert_memory_equal(m.as.HANDOVER.bytes.bytes, "\0\1\2\3", 4);
	assert_true(m.as.HANDOVER.fd >= 0 && m.as.HANDOVER.fd != p->a);
	assert_true(fcntl(m.as.HANDOVER.fd, F_GETFD) & FD_CLOEXEC);
	close(m.as.HANDOVER.fd);
}

static void every_kind_has_a_name_and_a_direction_that_is_kept(void **state)
{
	struct pair *p = *state;
	struct message empty, m;

	memset(&empty, 0, sizeof empty); /* a descriptor in it is number 0 */
	for (int kind = MSG_NONE + 1; kind < MSG_COUNT; kind++) {
		unsigned accepted = 0, before = open_descriptors();

		assert_string_not_equal(message_name((enum message_kind)kind), "unknown");
		for (int from = ROLE_SUPERVISOR; from < ROLE_ANY; from++) {
			for (int to = ROLE_SUPERVISOR; to < ROLE_ANY; to++) {
				assert_int_equal(channel_send(p->a, (enum message_kind)kind, &empty.as), 0);
				accepted += channel_receive(p->b, (enum channel_role)from, (enum channel_role)to, buffer, &m) == 0;
			}
		}
		assert_in_range(accepted, 1, 8); /* not by everybody to everybody */
		for (int fd = 3; fd < 256 && open_descriptors() > before; fd++)
			if (fd != p->a && fd != p->b)
				close(fd);
	}
	assert_string_equal(message_name(MSG_NONE), "unknown");
	assert_string_equal(message_name(MSG_COUNT), "unknown");
}

static void bytes_that_are_no_message_are_refused(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
	} rows[] = {
		{ "\0", 1 },                               /* no kind */
		{ "\0\0", 2 },                             /* MSG_NONE */
		{ "\377\377", 2 },                         /* no such kind */
		{ "\0\4\0\0\0\1", 6 },                     /* BEGIN that ends too early */
		{ "\0\4\0\0\0\1\0\0\0\1x", 11 },           /* BEGIN with a byte behind it */
		{ "\0\10\0\0\0\5abc", 9 },                 /* READY: text shorter than it says */
		{ "\0\10\377\377\377\377abc", 9 },         /* READY: a length near 2^32 */
		{ "\0\10\0\0\0\3a\0b", 9 },                /* READY: a NUL inside */
		{ "\0\1\0\0\0\0\0\0\0\0", 10 },            /* PEER without its descriptor */
	};
	struct pair *p = *state;
	struct message m;

	assert_int_equal(MSG_BEGIN, 4);
	assert_int_equal(MSG_READY, 8);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		assert_int_equal(send(p->a, rows[i].bytes, rows[i].len, 0), rows[i].len);
		if (channel_receive(p->b, ROLE_SUPERVISOR, ROLE_CONTROL, buffer, &m) != -EBADMSG)
			fail_msg("row %zu is accepted", i);
		assert_int_equal(send(p->a, rows[i].bytes, rows[i].len, 0), rows[i].len);
		if (channel_receive(p->b, ROLE_CONTROL, ROLE_SUPERVISOR, buffer, &m) != -EBADMSG)
			fail_msg("row %zu is accepted from control", i);
	}
}

static void a_text_of_the_longest_length_passes_and_a_longer_one_is_refused(void **state)
{
	struct pair *p = *state;
	uint8_t bytes[CHANNEL_TEXT_MAX + 16] = { 0, MSG_READY };
	struct message m;

	memset(bytes + 6, 'x', CHANNEL_TEXT_MAX);
	bytes[4] = (CHANNEL_TEXT_MAX - 1) >> 8;
	bytes[5] = (CHANNEL_TEXT_MAX - 1) & 0xff;
	assert_true(send(p->a, bytes, 6 + CHANNEL_TEXT_MAX - 1, 0) > 0);
	assert_int_equal(channel_receive(p->b, ROLE_WORKER, ROLE_SUPERVISOR, buffer, &m), 0);
	assert_int_equal(strlen(m.as.READY.text), CHANNEL_TEXT_MAX - 1);
	bytes[4] = CHANNEL_TEXT_MAX >> 8;
	bytes[5] = CHANNEL_TEXT_MAX & 0xff;
	assert_true(send(p->a, bytes, 6 + CHANNEL_TEXT_MAX, 0) > 0);
	assert_int_equal(channel_receive(p->b, ROLE_WORKER, ROLE_SUPERVISOR, buffer, &m), -EBADMSG);
}

/* Sends the bytes with `count` descriptors. */
static void send_with(int fd, const void *bytes, size_t len, unsigned count)
{
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(8 * sizeof(int))];
	} control = { 0 };
	struct iovec iov = { (void *)(uintptr_t)bytes, len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control,
			      .msg_controllen = CMSG_SPACE(count * sizeof(int)) };
	int fds[8] = { 0 };

	*CMSG_FIRSTHDR(&msg) = (struct cmsghdr){ .cmsg_len = CMSG_LEN(count * sizeof(int)), .cmsg_level = SOL_SOCKET,
						 .cmsg_type = SCM_RIGHTS };
	memcpy(CMSG_DATA(CMSG_FIRSTHDR(&msg)), fds, count * sizeof(int));
	assert_true(sendmsg(fd, &msg, 0) == (ssize_t)len);
}

static void descriptors_of_a_refused_message_do_not_leak(void **state)
{
	static const char ready[] = "\0\10\0\0\0\2hi";
	struct pair *p = *state;
	unsigned before = open_descriptors();
	struct message m;

	for (unsigned count = 1; count <= 8; count++) {
		send_with(p->a, ready, sizeof ready - 1, count); /* READY takes none */
		assert_int_equal(channel_receive(p->b, ROLE_CONTROL, ROLE_SUPERVISOR, buffer, &m), -EBADMSG);
		send_with(p->a, "\377\377", 2, count);
		assert_int_equal(channel_receive(p->b, ROLE_CONTROL, ROLE_SUPERVISOR, buffer, &m), -EBADMSG);
		assert_int_equal(open_descriptors(), before);
	}
}

static void an_empty_queue_and_a_dead_peer_are_told_apart(void **state)
{
	struct pair *p = *state;
	struct message m;

	assert_int_equal(channel_receive(p->b, ROLE_WORKER, ROLE_SUPERVISOR, buffer, &m), -EAGAIN);
	assert_int_equal(channel_send(p->a, MSG_READY, &(struct msg_READY){ "last" }), 0);
	close(p->a);
	p->a = dup(p->b);
	assert_int_equal(channel_receive(p->b, ROLE_WORKER, ROLE_SUPERVISOR, buffer, &m), 0);
	assert_int_equal(channel_receive(p->b, ROLE_WORKER, ROLE_SUPERVISOR, buffer, &m), -ECONNRESET);
	assert_true(channel_send(p->b, MSG_DRAIN, &(struct msg_DRAIN){ 1 }) < 0);
}

static void the_last_words_of_a_peer_that_read_nothing_are_heard(void **state)
{
	struct pair *p = *state;
	struct message m;

	assert_int_equal(channel_send(p->a, MSG_DRAIN, &(struct msg_DRAIN){ 1 }), 0);
	assert_int_equal(channel_send(p->b, MSG_FATAL, &(struct msg_FATAL){ 9, "the roof is on fire" }), 0);
	close(p->b);
	assert_int_equal(channel_receive(p->a, ROLE_CONTROL, ROLE_SUPERVISOR, buffer, &m), 0);
	assert_int_equal(m.kind, MSG_FATAL);
	assert_int_equal(channel_receive(p->a, ROLE_CONTROL, ROLE_SUPERVISOR, buffer, &m), -ECONNRESET);
	p->b = dup(p->a); /* for the teardown */
}

static void a_full_queue_says_again_later(void **state)
{
	struct pair *p = *state;
	int rc = 0, sent = -1;

	for (; rc == 0 && sent < 1000000; sent++)
		rc = channel_send(p->a, MSG_DRAIN, &(struct msg_DRAIN){ 1 });
	assert_int_equal(rc, -EAGAIN);
	assert_true(sent > 0);
}

static void a_blob_beyond_the_limit_is_not_sent(void **state)
{
	struct pair *p = *state;
	static uint8_t bytes[CHANNEL_MESSAGE_MAX];
	struct msg_HANDOVER m = { "p", { bytes, sizeof bytes }, 0 };
	struct message received;

	assert_int_equal(channel_send(p->a, MSG_HANDOVER, &m), -EMSGSIZE);
	m.bytes.len_bytes = CHANNEL_MESSAGE_MAX - 2 - 4 - 1 - 4;
	assert_int_equal(channel_send(p->a, MSG_HANDOVER, &m), 0);
	assert_int_equal(channel_receive(p->b, ROLE_WORKER, ROLE_WORKER, buffer, &received), 0);
	assert_int_equal(received.as.HANDOVER.bytes.len_bytes, m.bytes.len_bytes);
	close(received.as.HANDOVER.fd);
}

static void a_memfd_carries_its_bytes_and_refuses_changes(void **state)
{
	int fd = memfd_with("test", "0123456789", 10);
	char *bytes = NULL;
	size_t len = 0;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(memfd_read(fd, 10, &bytes, &len), 0);
	assert_int_equal(len, 10);
	assert_string_equal(bytes, "0123456789");
	free(bytes);
	assert_int_equal(memfd_read(fd, 9, &bytes, &len), -EFBIG);
	assert_int_equal(write(fd, "x", 1), -1);
	assert_int_equal(ftruncate(fd, 5), -1);
	close(fd);
	fd = memfd_with("empty", "", 0);
	assert_int_equal(memfd_read(fd, 0, &bytes, &len), 0);
	assert_string_equal(bytes, "");
	free(bytes);
	close(fd);
}

static void a_descriptor_that_could_still_change_is_refused(void **state)
{
	int fds[2], fd = memfd_create("open", MFD_CLOEXEC | MFD_ALLOW_SEALING), file = open("/etc/passwd", O_RDONLY | O_CLOEXEC);
	char *bytes;
	size_t len;

	(void)state;
	assert_int_equal(memfd_read(fd, 100, &bytes, &len), -EBADMSG);
	assert_int_equal(memfd_read(file, 1 << 20, &bytes, &len), -EBADMSG);
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(memfd_read(fds[0], 100, &bytes, &len), -EBADMSG);
	assert_int_equal(memfd_read(-1, 100, &bytes, &len), -EBADMSG);
	close(fd);
	close(file);
	close(fds[0]);
	close(fds[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(every_type_of_field_arrives_as_it_was_sent, open_pair, close_pair),
		cmocka_unit_test_setup_teardown(every_kind_has_a_name_and_a_direction_that_is_kept, open_pair, close_pair),
		cmocka_unit_test_setup_teardown(bytes_that_are_no_message_are_refused, open_pair, close_pair),
		cmocka_unit_test_setup_teardown(a_text_of_the_longest_length_passes_and_a_longer_one_is_refused, open_pair,
						close_pair),
		cmocka_unit_test_setup_teardown(descriptors_of_a_refused_message_do_not_leak, open_pair, close_pair),
		cmocka_unit_test_setup_teardown(an_empty_queue_and_a_dead_peer_are_told_apart, open_pair, close_pair),
		cmocka_unit_test_setup_teardown(the_last_words_of_a_peer_that_read_nothing_are_heard, open_pair, close_pair),
		cmocka_unit_test_setup_teardown(a_full_queue_says_again_later, open_pair, close_pair),
		cmocka_unit_test_setup_teardown(a_blob_beyond_the_limit_is_not_sent, open_pair, close_pair),
		cmocka_unit_test(a_memfd_carries_its_bytes_and_refuses_changes),
		cmocka_unit_test(a_descriptor_that_could_still_change_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
