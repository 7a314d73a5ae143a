/*
 * iSCSI over TCP: the datamover that frames PDUs on a byte stream (RFC 7143 section 4.2, digests section 13.1).
 *
 * Receiving: bytes are read into a buffer of the reactor; a header that is there in whole is decoded where it lies; the
 * data segment goes to the sink that the iSCSI layer names, long ones by readv() straight into it.
 * Sending: put_data() and send_control() queue; tcp_flush() builds PDUs for all that is queued into one batch (headers
 * beside the payload, which stays where the store put it) and sends it with one system call. What the socket does not
 * take stays in the batch until EPOLLOUT.
 */
#ifndef LUNETTE_TCP_H
#define LUNETTE_TCP_H

#include <sys/uio.h>

#include "dataplane/iscsi/datamover.h"
#include "list.h"
#include "poller.h"

#define TCP_RECEIVE_BYTES (256 * 1024) /* the reactor's receive buffer */
#define TCP_SEND_MAX      (256 * 1024) /* largest data segment we make, whatever the peer would take */
#define TCP_BATCH_PDUS    64
#define TCP_BATCH_IOVS    320

/* What the TCP connections of one reactor share. */
struct tcp_reactor {
	int epoll_fd;
	struct list dirty;        /* connections with something to send, flushed at the end of the turn */
	struct list free_batches;
	uint8_t *receive;         /* TCP_RECEIVE_BYTES */
	unsigned batches;
};

int  tcp_reactor_init(struct tcp_reactor *reactor, int epoll_fd); /* 0 or negative errno */
void tcp_reactor_fini(struct tcp_reactor *reactor);
void tcp_reactor_flush(struct tcp_reactor *reactor);              /* end of turn */

/* Takes the socket (non-blocking, connected) in every case; `bytes` were read from it before (a handover). 0 or negative
 * errno: the connection was not attached and the socket is closed. */
int tcp_attach(struct tcp_reactor *reactor, struct iscsi_connection *connection, int fd, const void *bytes,
	       uint32_t len_bytes);

#endif
