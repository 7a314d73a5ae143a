/*
 * The datamover interface (RFC 5047): what the iSCSI layer asks of a transport, and what a transport tells the iSCSI
 * layer. The iSCSI layer never asks whether it is TCP or iSER.
 *
 *   Send_Control       send_control()   a PDU that the iSCSI layer built
 *   Put_Data           put_data()       a task's data-in and its status: TCP makes Data-In PDUs, the last with the status;
 *                                       iSER an RDMA Write and a SCSI Response
 *   Get_Data           get_data()       a range of a task's data-out: TCP makes an R2T, iSER an RDMA Read
 *   Enable_Datamover   enable()         full feature phase begins with these parameters
 *   Connection_Terminate terminate()
 *   Control_Notify     iscsi_receive_header(), iscsi_receive_done()
 *   Data_Completion_Notify iscsi_data_arrived() (TCP: found by the iSCSI layer itself when the last Data-Out came)
 *   Connection_Terminate_Notify iscsi_transport_lost()
 *
 * Everything here happens on the reactor thread that owns the connection.
 */
#ifndef LUNETTE_DATAMOVER_H
#define LUNETTE_DATAMOVER_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/iscsi/login.h"
#include "dataplane/iscsi/pdu.h"
#include "list.h"
#include "sgl.h"

struct datamover;
struct iscsi_connection;
struct iscsi_task;
struct iscsi_r2t;

/* An outgoing PDU; embedded in its owner, the transport's from send_control() or put_data() until sent(). */
struct iscsi_pdu {
	struct list link;
	uint8_t bhs[ISCSI_BHS_BYTES]; /* complete but for lengths and the sequence numbers, which the transport stamps */
	bool    advances_statsn;      /* carries a StatSN of its own; otherwise it shows the next one */
	const void *data;             /* data segment: one piece of memory ... */
	uint32_t data_bytes;
	struct sgl *list;             /* ... or a list (owner SGL_DATAMOVER), data_bytes of it */
	bool     data_in;             /* put_data(): bhs is that of the last Data-In, with status and residual */
	uint32_t sent_bytes;          /* put_data(): bytes of data already in PDUs; the transport's */
	uint32_t next_datasn;         /* likewise */
	void (*sent)(struct iscsi_pdu *pdu); /* the transport is finished with it: sent, or the connection is gone */
};

/* Where the data segment of the incoming PDU goes. The iSCSI layer sets it in iscsi_receive_header() and may set `list` to
 * NULL at any later moment (its task was aborted): the transport looks again before it stores each piece. */
struct iscsi_sink {
	struct sgl *list;   /* bytes [offset, ...) of this list, as long as it reaches; NULL: discard */
	uint32_t offset;
};

enum iscsi_receive {
	ISCSI_RECEIVE_OK,    /* read the data segment into the sink, then call iscsi_receive_done() */
	ISCSI_RECEIVE_WAIT,  /* no buffers or no tasks now: keep this header, stop reading, offer it again after resume() */
	ISCSI_RECEIVE_CLOSED /* the connection was dropped meanwhile: touch nothing any more */
};

struct datamover_ops {
	const char *name; /* "tcp" */
	void (*send_control)(struct datamover *mover, struct iscsi_pdu *pdu);
	void (*put_data)(struct datamover *mover, struct iscsi_pdu *pdu);
	void (*get_data)(struct datamover *mover, struct iscsi_r2t *r2t);
	void (*enable)(struct datamover *mover, const struct iscsi_params *params);
	void (*set_max_send)(struct datamover *mover, uint32_t max_send_bytes); /* re-declared in full feature phase */
	void (*resume)(struct datamover *mover);    /* go on reading */
	void (*finish)(struct datamover *mover);    /* send what is queued, then close: the peer has been answered */
	void (*terminate)(struct datamover *mover); /* close now; sent() of everything queued is called before it returns */
	/* Whether the peer has closed the connection, read or not what it sent before; a system call. */
	bool (*peer_closed)(const struct datamover *mover);
	void (*free)(struct datamover *mover);      /* after terminate(), at the end of the reactor's turn */
	/* The connection is handed to another worker: its descriptor is the caller's now. -1: this transport cannot. */
	int (*release)(struct datamover *mover);
};

/* Embedded first in each transport's connection. */
struct datamover {
	const struct datamover_ops *ops;
	struct iscsi_connection *connection;
	struct iscsi_sink sink;
	uint64_t blocked_since_ns; /* the peer takes no data since then; 0: it does */
};

/* --- notices --- */

/* A whole, digest-checked header: the BHS and, behind it in the same memory, its AHS. Lengths are checked here. */
enum iscsi_receive iscsi_receive_header(struct iscsi_connection *connection, const uint8_t *bhs);
/* Its data segment (possibly empty) is complete and digest-checked. */
enum iscsi_receive iscsi_receive_done(struct iscsi_connection *connection);
void iscsi_digest_error(struct iscsi_connection *connection, bool header);
void iscsi_transport_lost(struct iscsi_connection *connection, const char *why);

#endif
