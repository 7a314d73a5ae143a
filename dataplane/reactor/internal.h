/* A worker's manager: what worker.c, serve.c, query.c and limits.c share. Manager thread unless said otherwise. */
#ifndef LUNETTE_REACTOR_INTERNAL_H
#define LUNETTE_REACTOR_INTERNAL_H

#include <jansson.h>
#include <pthread.h>

#include "channel.h"
#include "dataplane/iscsi/iscsi.h"
#include "dataplane/reactor/reactor.h"
#include "dataplane/reactor/worker.h"
#include "poller.h"

#define WORKER_OFFLOAD_THREADS 4
#define WORKER_SERVE_MAX_BYTES (256U << 20) /* a serve document */

struct worker_store {
	struct list link;
	char name[64];
	struct store *store;
};

/* A portal's facts as connections see them; kept until the worker ends, for connections refer to it. */
struct worker_portal {
	struct list link;
	struct iscsi_portal portal;
	int waiting_fd; /* listening socket that came before the reactors; -1: none */
};

struct worker {
	const struct worker_options *options;
	int epoll_fd;
	struct mailbox mailbox;
	struct poll_source mail_source, supervisor_source, control_source, inbox_source;
	uint8_t *buffer;                   /* CHANNEL_MESSAGE_MAX, for receiving */
	int control_fd, inbox_fd, stats_fd;
	int peer_inbox[WORKERS_MAX];       /* write ends; -1: none */
	pthread_mutex_t control_lock;      /* control_fd, which reactors send events to */
	bool begun, stop;
	int exit_status;

	struct iscsi_node node;
	struct offload *offload;
	struct docstore *documents;
	struct scsi_jobs *jobs;
	struct reactor *reactors;          /* NULL until the first serve document */
	struct list stores, portals;

	/* serve.c */
	json_t *serve;                     /* document in force; NULL: none */
	uint64_t generation;
	struct serving *serving;           /* one that is being applied */
	uint64_t last_unique;
	uint64_t daemon_epoch;             /* changes with each start of the daemon */

	/* allocated.c */
	struct {
		struct poll_source source;
		int timer_fd;
		unsigned pass, bucket;     /* its number, and where in node.luns it is */
		const void *asking;        /* what is asked for now; NULL: no pass is under way */
	} allocated;

	/* space.c */
	struct {
		struct poll_source source;
		int timer_fd;
		const void *looking;       /* what is asked for now; NULL: nothing */
	} space;

	uint64_t drain_deadline_ns;        /* 0: not draining */
};

/* worker.c */
int worker_send(struct worker *worker, enum message_kind kind, const void *message); /* to control; any thread */
int worker_start_reactors(struct worker *worker, uint32_t buffer_bytes, struct err *err);

/* serve.c: takes fd. Answers SERVED when everything is in force. */
void worker_serve(struct worker *worker, uint64_t generation, int fd);

/* allocated.c: keeps the LUNs' allocated_bytes up to date from now on; asks for those that are new or were written. */
int worker_allocated_init(struct worker *worker); /* 0 or negative errno */
void worker_refresh_allocated(struct worker *worker);

/* space.c: tells the LUNs what their stores have left from now on. */
int worker_space_init(struct worker *worker); /* 0 or negative errno */

/* query.c */
void worker_query(struct worker *worker, const struct msg_QUERY *query);
void worker_command(struct worker *worker, const struct msg_COMMAND *command);

/* limits.c: connections of this worker, all and per address; any thread. */
void worker_set_limits(uint32_t max_connections, uint32_t max_connections_per_address);
/* fd: its descriptor, which tells how many are left. False: a limit is met; the caller closes. */
bool worker_admit_connection(struct worker *worker, const struct iscsi_peer *peer, int fd);
void worker_connection_closed(const struct iscsi_peer *peer);
unsigned worker_connections(void);

#endif
