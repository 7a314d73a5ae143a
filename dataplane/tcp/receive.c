/*
 * The receiving direction: a byte stream becomes headers, data segments and trailers (padding and data digest).
 *
 * tcp_receive() reads once or a few times when the socket is readable; tcp_input() runs the state machine over the bytes:
 *
 *   HEADER --whole, digest right--> iscsi_receive_header() --OK--> DATA --complete--> TRAILER --> iscsi_receive_done()
 *      ^                                     | WAIT                                                        |
 *      |                                     v                                                             |
 *      |                              REFUSED_HEADER (offered again after resume)                          |
 *      +---------------------------------------------------------------------------------------------------+
 *
 * Any call into the iSCSI layer may drop the connection: `closed` is looked at after each.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "crc32c.h"
#include "dataplane/tcp/connection.h"

#define RECEIVE_BYTES        (64 * 1024) /* a read when small PDUs are expected */
#define RECEIVE_HEADER_BYTES 2048        /* a read when long data segments are: payload should not come this way */
#define BIG_BYTES            (16 * 1024)
#define DIRECT_BYTES         4096        /* a rest of a data segment worth a readv() of its own */
#define READS_PER_EVENT      4

struct cursor {
	const uint8_t *at, *end;
};

static uint32_t left(const struct cursor *c)
{
	return (uint32_t)(c->end - c->at);
}

static bool digest_matches(uint32_t crc, const uint8_t *wire)
{
	uint32_t value = crc32c_value(crc);

	return wire[0] == (value & 0xff) && wire[1] == (value >> 8 & 0xff) && wire[2] == (value >> 16 & 0xff) &&
	       wire[3] == value >> 24;
}

/* The PDU is complete: false stops the input loop. */
static bool pdu_done(struct tcp_connection *tcp)
{
	tcp->state = TCP_HEADER;
	tcp->header_bytes = 0;
	if (iscsi_receive_done(tcp->mover.connection) == ISCSI_RECEIVE_WAIT)
		tcp->paused = true;
	return !tcp->closed && !tcp->paused;
}

static bool data_done(struct tcp_connection *tcp)
{
	if (tcp->trailer_want == 0)
		return pdu_done(tcp);
	tcp->state = TCP_TRAILER;
	tcp->trailer_bytes = 0;
	return true;
}

/* Offers a whole header; false stops the input loop. `header` may be tcp->header. */
static bool offer_header(struct tcp_connection *tcp, const uint8_t *header, uint32_t header_bytes)
{
	uint32_t data_bytes = bhs_data_bytes(header);

	tcp->mover.sink.list = NULL;
	switch (iscsi_receive_header(tcp->mover.connection, header)) {
	case ISCSI_RECEIVE_CLOSED:
		return false;
	case ISCSI_RECEIVE_WAIT:
		if (header != tcp->header)
			memcpy(tcp->header, header, header_bytes);
		tcp->header_bytes = header_bytes;
		tcp->state = TCP_REFUSED_HEADER;
		tcp->paused = true;
		return false;
	case ISCSI_RECEIVE_OK:
		break;
	}
	tcp->data_bytes = tcp->data_left = data_bytes;
	tcp->trailer_want = pdu_padded(data_bytes) - data_bytes + (tcp->data_digest && data_bytes ? 4 : 0);
	tcp->crc = CRC32C_INIT;
	if (data_bytes == 0)
		return pdu_done(tcp);
	tcp->big = data_bytes >= BIG_BYTES;
	tcp->state = TCP_DATA;
	return true;
}

/* Bytes of the whole header, as far as the bytes at hand tell; 0: it has an AHS that no PDU of its kind has, so there is
 * no sense in waiting for it (the banners of other protocols end here). */
static uint32_t header_length(const struct tcp_connection *tcp, const uint8_t *bhs)
{
	uint32_t ahs = bhs_ahs_bytes(bhs);

	if (ahs > ISCSI_AHS_MAX_BYTES || (ahs && bhs_opcode(bhs) != ISCSI_SCSI_COMMAND))
		return 0;
	return ISCSI_BHS_BYTES + ahs + (tcp->header_digest ? 4 : 0);
}

/* Copies bytes of a header into tcp->header until it holds `want`; true when it does. */
static bool gather_header(struct tcp_connection *tcp, struct cursor *c, uint32_t want)
{
	uint32_t n = want - tcp->header_bytes < left(c) ? want - tcp->header_bytes : left(c);

	memcpy(tcp->header + tcp->header_bytes, c->at, n);
	tcp->header_bytes += n;
	c->at += n;
	return tcp->header_bytes == want;
}

static bool input_header(struct tcp_connection *tcp, struct cursor *c)
{
	const uint8_t *header = c->at;
	uint32_t whole;
	bool in_place = tcp->header_bytes == 0 && left(c) >= ISCSI_BHS_BYTES;

	if (!in_place) {
		header = tcp->header;
		if (tcp->header_bytes < ISCSI_BHS_BYTES && !gather_header(tcp, c, ISCSI_BHS_BYTES))
			return false;
	}
	whole = header_length(tcp, header);
	if (whole == 0) {
		iscsi_transport_lost(tcp->mover.connection, "not an iSCSI PDU, or additional header segments too long");
		return false;
	}
	if (in_place && left(c) >= whole) {
		c->at += whole;
	} else {
		header = tcp->header;
		if (!gather_header(tcp, c, whole))
			return false;
	}
	if (tcp->header_digest &&
	    !digest_matches(crc32c_update(CRC32C_INIT, header, whole - 4), header + whole - 4)) {
		iscsi_digest_error(tcp->mover.connection, true);
		return false;
	}
	return offer_header(tcp, header, whole);
}

static bool input_data(struct tcp_connection *tcp, struct cursor *c)
{
	struct iscsi_sink *sink = &tcp->mover.sink;
	uint32_t n = tcp->data_left < left(c) ? tcp->data_left : left(c);

	if (tcp->data_digest)
		tcp->crc = crc32c_update(tcp->crc, c->at, n);
	if (sink->list)
		sink->offset += sgl_copy_in(sink->list, sink->offset, c->at, n);
	c->at += n;
	tcp->data_left -= n;
	return tcp->data_left ? left(c) > 0 : data_done(tcp);
}

static bool input_trailer(struct tcp_connection *tcp, struct cursor *c)
{
	uint32_t n = tcp->trailer_want - tcp->trailer_bytes, padding = pdu_padded(tcp->data_bytes) - tcp->data_bytes;

	n = n < left(c) ? n : left(c);
	memcpy(tcp->trailer + tcp->trailer_bytes, c->at, n);
	tcp->trailer_bytes += n;
	c->at += n;
	if (tcp->trailer_bytes < tcp->trailer_want)
		return false;
	if (tcp->data_digest && !digest_matches(crc32c_update(tcp->crc, tcp->trailer, padding), tcp->trailer + padding)) {
		iscsi_digest_error(tcp->mover.connection, false);
		return false;
	}
	return pdu_done(tcp);
}

/* One step; false when the bytes are used up or processing must stop. */
static bool step(struct tcp_connection *tcp, struct cursor *c)
{
	switch (tcp->state) {
	case TCP_HEADER:
		return left(c) > 0 && input_header(tcp, c);
	case TCP_REFUSED_HEADER:
		return offer_header(tcp, tcp->header, tcp->header_bytes);
	case TCP_DATA:
		return left(c) > 0 && input_data(tcp, c);
	case TCP_TRAILER:
		return left(c) > 0 && input_trailer(tcp, c);
	}
	return false;
}

static void stash(struct tcp_connection *tcp, const struct cursor *c)
{
	tcp->stash = malloc(left(c));
	if (!tcp->stash) {
		iscsi_transport_lost(tcp->mover.connection, "no memory for received bytes");
		return;
	}
	memcpy(tcp->stash, c->at, left(c));
	tcp->stash_bytes = left(c);
}

void tcp_input(struct tcp_connection *tcp, const uint8_t *bytes, uint32_t len_bytes)
{
	struct cursor c = { bytes, bytes + len_bytes };

	tcp->inside = true;
	while (!tcp->closed && !tcp->paused && step(tcp, &c))
		;
	tcp->inside = false;
	if (tcp->closed)
		return;
	if (tcp->paused && left(&c))
		stash(tcp, &c);
	tcp_want(tcp, (tcp->paused ? 0U : EPOLLIN) | (tcp->blocked ? EPOLLOUT : 0U));
}

void tcp_resume(struct tcp_connection *tcp)
{
	uint8_t *bytes = tcp->stash;
	uint32_t len_bytes = tcp->stash_bytes;

	if (!tcp->paused)
		return;
	tcp->paused = false;
	if (tcp->inside)
		return; /* the loop above goes on */
	tcp->stash = NULL;
	tcp->stash_bytes = 0;
	tcp_input(tcp, bytes, len_bytes);
	free(bytes);
}

/* The rest of a data segment straight into its list, and what follows into the receive buffer. Returns as recv() does;
 * *ret_want: how many bytes were asked for. */
static ssize_t receive_direct(struct tcp_connection *tcp, uint32_t *ret_want)
{
	struct iscsi_sink *sink = &tcp->mover.sink;
	struct iovec iov[SGL_ELEMENTS + 1];
	uint32_t covered, stored;
	unsigned count = sgl_slice(sink->list, sink->offset, tcp->data_left, iov, SGL_ELEMENTS, &covered);
	ssize_t n;

	iov[count] = (struct iovec){ tcp->reactor->receive, RECEIVE_HEADER_BYTES };
	*ret_want = covered + RECEIVE_HEADER_BYTES;
	n = readv(tcp->fd, iov, (int)count + 1);
	if (n <= 0)
		return n;
	stored = (uint32_t)n < covered ? (uint32_t)n : covered;
	if (tcp->data_digest)
		for (uint32_t i = 0, rest = stored; rest; rest -= (uint32_t)iov[i++].iov_len) {
			if (iov[i].iov_len > rest)
				iov[i].iov_len = rest;
			tcp->crc = crc32c_update(tcp->crc, iov[i].iov_base, iov[i].iov_len);
		}
	sink->offset += stored;
	tcp->data_left -= stored;
	if (tcp->data_left == 0)
		data_done(tcp);
	if (!tcp->closed)
		tcp_input(tcp, tcp->reactor->receive, (uint32_t)n - stored);
	return n;
}

static ssize_t receive_buffered(struct tcp_connection *tcp, uint32_t *ret_want)
{
	ssize_t n;

	*ret_want = tcp->big ? RECEIVE_HEADER_BYTES : RECEIVE_BYTES;
	n = recv(tcp->fd, tcp->reactor->receive, *ret_want, 0);
	if (n > 0 && !tcp->shut)
		tcp_input(tcp, tcp->reactor->receive, (uint32_t)n);
	return n;
}

static bool wants_direct(const struct tcp_connection *tcp)
{
	const struct iscsi_sink *sink = &tcp->mover.sink;

	return tcp->state == TCP_DATA && tcp->data_left >= DIRECT_BYTES && !tcp->shut && sink->list &&
	       sink->offset + tcp->data_left <= sink->list->len_bytes;
}

void tcp_receive(struct tcp_connection *tcp)
{
	for (int i = 0; i < READS_PER_EVENT && !tcp->closed && !tcp->paused; i++) {
		uint32_t want;
		ssize_t n = wants_direct(tcp) ? receive_direct(tcp, &want) : receive_buffered(tcp, &want);

		if (n == 0) {
			iscsi_transport_lost(tcp->mover.connection, "closed by the peer");
			return;
		}
		if (n < 0) {
			if (errno != EAGAIN && errno != EINTR)
				iscsi_transport_lost(tcp->mover.connection, strerror(errno));
			return;
		}
		if ((uint32_t)n < want)
			return; /* that was all there is */
	}
}
