/*
 * The sending direction: queued PDUs become one batch of iovecs and one sendmsg().
 *
 * A batch takes as many PDUs as have room. Sequence numbers are stamped when a PDU enters a batch, so that they are in
 * the order of the stream. A read of many Data-In PDUs stays at the head of the queue until its last PDU is in a batch;
 * its buffers are released by sent() when that batch has gone. Login Responses never carry digests (RFC 7143 6.3.4).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "crc32c.h"
#include "dataplane/tcp/connection.h"

#define IOVS_PER_PDU (3 + TCP_SEND_MAX / SGL_LARGE_BYTES + 1) /* header, trailer, a list slice at any offset */
#define BATCHES_KEPT 64

static struct tcp_batch *batch_new(struct tcp_reactor *reactor)
{
	struct list *node = list_take(&reactor->free_batches);
	struct tcp_batch *batch = node ? container_of(node, struct tcp_batch, link) : malloc(sizeof *batch);

	if (!batch)
		return NULL;
	if (node)
		reactor->batches--;
	batch->iov_count = batch->iov_at = batch->pdu_count = 0;
	batch->left_bytes = 0;
	list_init(&batch->link);
	list_init(&batch->finished);
	return batch;
}

static void batch_free(struct tcp_reactor *reactor, struct tcp_batch *batch)
{
	if (reactor->batches >= BATCHES_KEPT) {
		free(batch);
		return;
	}
	list_append(&reactor->free_batches, &batch->link);
	reactor->batches++;
}

static void add_iov(struct tcp_batch *batch, const void *base, size_t len_bytes)
{
	batch->iov[batch->iov_count++] = (struct iovec){ (void *)(uintptr_t)base, len_bytes };
	batch->left_bytes += len_bytes;
}

static void put_digest(uint8_t *wire, uint32_t crc)
{
	uint32_t value = crc32c_value(crc);

	wire[0] = (uint8_t)value;
	wire[1] = (uint8_t)(value >> 8);
	wire[2] = (uint8_t)(value >> 16);
	wire[3] = (uint8_t)(value >> 24);
}

/* One PDU: the header is in room[].header already; data from memory or a list. */
static void add_pdu(struct tcp_connection *tcp, struct tcp_batch *batch, const void *data, const struct sgl *list,
		    uint32_t offset, uint32_t data_bytes)
{
	uint8_t *header = batch->room[batch->pdu_count].header, *trailer = batch->room[batch->pdu_count].trailer;
	bool login = bhs_opcode(header) == ISCSI_LOGIN_RESPONSE;
	uint32_t header_bytes = ISCSI_BHS_BYTES, padding = pdu_padded(data_bytes) - data_bytes, trailer_bytes = padding;
	unsigned first_data;

	put_be24(header + 5, data_bytes);
	if (tcp->header_digest && !login) {
		put_digest(header + ISCSI_BHS_BYTES, crc32c_update(CRC32C_INIT, header, ISCSI_BHS_BYTES));
		header_bytes += 4;
	}
	add_iov(batch, header, header_bytes);
	batch->pdu_count++;
	if (data_bytes == 0)
		return;
	first_data = batch->iov_count;
	if (list) {
		uint32_t covered;

		batch->iov_count += sgl_slice(list, offset, data_bytes, batch->iov + batch->iov_count,
					      TCP_BATCH_IOVS - batch->iov_count, &covered);
		batch->left_bytes += covered;
	} else {
		add_iov(batch, data, data_bytes);
	}
	memset(trailer, 0, TCP_TRAILER_MAX);
	if (tcp->data_digest && !login) {
		uint32_t crc = CRC32C_INIT;

		for (unsigned i = first_data; i < batch->iov_count; i++)
			crc = crc32c_update(crc, batch->iov[i].iov_base, batch->iov[i].iov_len);
		put_digest(trailer + padding, crc32c_update(crc, trailer, padding));
		trailer_bytes += 4;
	}
	if (trailer_bytes)
		add_iov(batch, trailer, trailer_bytes);
}

/* The next Data-In of a read; true when it was the last, the one with the status (phase collapse, RFC 7143 4.2.4.3). */
static bool add_data_in(struct tcp_connection *tcp, struct tcp_batch *batch, struct iscsi_pdu *pdu)
{
	uint8_t *bhs = batch->room[batch->pdu_count].header;
	uint32_t offset = pdu->sent_bytes, n = pdu->data_bytes - offset;
	uint32_t burst_left = tcp->max_burst_bytes - offset % tcp->max_burst_bytes;
	bool last;

	n = n < tcp->max_send_bytes ? n : tcp->max_send_bytes;
	n = n < burst_left ? n : burst_left;
	last = offset + n == pdu->data_bytes;
	memcpy(bhs, pdu->bhs, ISCSI_BHS_BYTES);
	if (last) {
		bhs[1] |= 0x81; /* F, S */
	} else {
		bhs[1] = n == burst_left ? 0x80 : 0;
		bhs[3] = 0;
		put_be32(bhs + 44, 0);
	}
	put_be32(bhs + 36, pdu->next_datasn++);
	put_be32(bhs + 40, offset);
	iscsi_stamp(tcp->mover.connection, bhs, last);
	if (!last)
		put_be32(bhs + 24, 0); /* StatSN is meaningless without S */
	add_pdu(tcp, batch, NULL, pdu->list, offset, n);
	pdu->sent_bytes += n;
	return last;
}

static void add_control(struct tcp_connection *tcp, struct tcp_batch *batch, struct iscsi_pdu *pdu)
{
	uint8_t *bhs = batch->room[batch->pdu_count].header;

	memcpy(bhs, pdu->bhs, ISCSI_BHS_BYTES);
	iscsi_stamp(tcp->mover.connection, bhs, pdu->advances_statsn);
	add_pdu(tcp, batch, pdu->data, pdu->list, 0, pdu->data_bytes);
}

static void batch_fill(struct tcp_connection *tcp, struct tcp_batch *batch)
{
	while (!list_empty(&tcp->queue) && batch->pdu_count < TCP_BATCH_PDUS &&
	       batch->iov_count + IOVS_PER_PDU <= TCP_BATCH_IOVS) {
		struct iscsi_pdu *pdu = container_of(tcp->queue.next, struct iscsi_pdu, link);

		if (pdu->data_in) {
			if (!add_data_in(tcp, batch, pdu))
				continue;
		} else {
			add_control(tcp, batch, pdu);
		}
		list_remove(&pdu->link);
		list_append(&batch->finished, &pdu->link);
	}
}

static void finish_pdus(struct list *pdus)
{
	struct list *node;

	while ((node = list_take(pdus))) {
		struct iscsi_pdu *pdu = container_of(node, struct iscsi_pdu, link);

		pdu->sent(pdu);
	}
}

static void advance(struct tcp_batch *batch, size_t sent_bytes)
{
	batch->left_bytes -= sent_bytes;
	while (sent_bytes) {
		struct iovec *iov = &batch->iov[batch->iov_at];

		if (sent_bytes < iov->iov_len) {
			iov->iov_base = (uint8_t *)iov->iov_base + sent_bytes;
			iov->iov_len -= sent_bytes;
			return;
		}
		sent_bytes -= iov->iov_len;
		batch->iov_at++;
	}
}

/* 1: all gone; 0: the socket is full; negative errno. */
static int send_batch(struct tcp_connection *tcp, struct tcp_batch *batch)
{
	while (batch->left_bytes) {
		struct msghdr msg = { .msg_iov = batch->iov + batch->iov_at,
				      .msg_iovlen = batch->iov_count - batch->iov_at };
		ssize_t n = sendmsg(tcp->fd, &msg, MSG_NOSIGNAL | (list_empty(&tcp->queue) ? 0 : MSG_MORE));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? 0 : -errno;
		tcp->mover.blocked_since_ns = 0;
		advance(batch, (size_t)n);
	}
	return 1;
}

/* All is sent: our direction ends, the peer has ISCSI_FINISH_S to read and close. */
static void finish_stream(struct tcp_connection *tcp)
{
	if (!tcp->finishing || tcp->shut)
		return;
	tcp->shut = true;
	tcp->paused = false;
	shutdown(tcp->fd, SHUT_WR);
}

static void block(struct tcp_connection *tcp)
{
	if (tcp->mover.blocked_since_ns == 0) /* the turn's time: the tick of this turn must not see a later one */
		tcp->mover.blocked_since_ns = tcp->mover.connection->reactor->now_ns;
	tcp->blocked = true;
	tcp_want(tcp, (tcp->paused ? 0U : EPOLLIN) | EPOLLOUT);
}

void tcp_flush(struct tcp_connection *tcp)
{
	tcp->blocked = false;
	while (!tcp->closed && (tcp->batch || !list_empty(&tcp->queue))) {
		struct tcp_batch *batch = tcp->batch ? tcp->batch : batch_new(tcp->reactor);
		int result;

		if (!batch) {
			iscsi_transport_lost(tcp->mover.connection, "no memory to send");
			return;
		}
		if (!tcp->batch)
			batch_fill(tcp, batch);
		tcp->batch = batch;
		result = send_batch(tcp, batch);
		if (result == 0) {
			block(tcp);
			return;
		}
		if (result < 0) {
			iscsi_transport_lost(tcp->mover.connection, strerror(-result));
			return;
		}
		tcp->batch = NULL;
		finish_pdus(&batch->finished);
		batch_free(tcp->reactor, batch);
	}
	if (tcp->closed)
		return;
	finish_stream(tcp);
	tcp_want(tcp, tcp->paused ? 0U : EPOLLIN);
}

void tcp_drop_queue(struct tcp_connection *tcp)
{
	if (tcp->batch) {
		finish_pdus(&tcp->batch->finished);
		batch_free(tcp->reactor, tcp->batch);
		tcp->batch = NULL;
	}
	finish_pdus(&tcp->queue);
}
