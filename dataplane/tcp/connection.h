/* A TCP connection's state, shared by tcp.c, receive.c and send.c. */
#ifndef LUNETTE_TCP_CONNECTION_H
#define LUNETTE_TCP_CONNECTION_H

#include "dataplane/iscsi/iscsi.h"
#include "dataplane/tcp/tcp.h"

#define TCP_HEADER_MAX  (ISCSI_BHS_BYTES + ISCSI_AHS_MAX_BYTES + 4) /* with header digest */
#define TCP_TRAILER_MAX 8                                           /* padding and data digest */

/* PDUs built for one sendmsg(). Payload iovecs point into scatter-gather lists, the rest into `room`. */
struct tcp_batch {
	struct list link;
	unsigned iov_count, iov_at, pdu_count;
	size_t left_bytes;
	struct list finished; /* struct iscsi_pdu that end in this batch: sent() when it has gone */
	struct iovec iov[TCP_BATCH_IOVS];
	struct {
		uint8_t header[ISCSI_BHS_BYTES + 4];
		uint8_t trailer[TCP_TRAILER_MAX];
	} room[TCP_BATCH_PDUS];
};

enum tcp_receive_state { TCP_HEADER, TCP_REFUSED_HEADER, TCP_DATA, TCP_TRAILER };

struct tcp_connection {
	struct datamover mover; /* first */
	struct poll_source source;
	struct tcp_reactor *reactor;
	int fd;
	uint32_t events;        /* what epoll was asked for */
	bool closed;

	/* sending */
	struct list queue;      /* struct iscsi_pdu */
	struct list dirty_link; /* reactor->dirty */
	struct tcp_batch *batch; /* partly sent; NULL when nothing is under way */
	bool blocked;           /* the socket is full: waits for EPOLLOUT */
	bool finishing, shut;   /* close when all is sent; our direction is shut */
	uint32_t max_send_bytes;
	uint32_t max_burst_bytes;
	bool header_digest, data_digest;

	/* receiving */
	enum tcp_receive_state state;
	uint8_t header[TCP_HEADER_MAX];
	uint32_t header_bytes;  /* in header[] */
	uint8_t trailer[TCP_TRAILER_MAX];
	uint32_t trailer_bytes, trailer_want;
	uint32_t data_bytes, data_left, crc;
	bool big;               /* the last data segment was long: read headers alone, payload straight into place */
	bool paused, inside;    /* waits for resume(); tcp_input is on the stack */
	uint8_t *stash;         /* bytes read but not processed while paused */
	uint32_t stash_bytes;
};

static inline struct tcp_connection *tcp_of(struct datamover *mover)
{
	return (struct tcp_connection *)mover;
}

void tcp_want(struct tcp_connection *tcp, uint32_t events);
void tcp_queue(struct tcp_connection *tcp, struct iscsi_pdu *pdu);
void tcp_flush(struct tcp_connection *tcp);
void tcp_drop_queue(struct tcp_connection *tcp);
void tcp_receive(struct tcp_connection *tcp);
void tcp_resume(struct tcp_connection *tcp);
/* Processes bytes of the stream; keeps (copies) what cannot be processed now. */
void tcp_input(struct tcp_connection *tcp, const uint8_t *bytes, uint32_t len_bytes);

#endif
