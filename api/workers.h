/*
 * Control's end of the workers: their channels, what each serves, questions to all of them, their statistics.
 *
 * SERVE is coalesced: at most one is outstanding per worker; when its SERVED comes and a newer document exists, that is
 * sent next. A worker whose channel breaks counts as down until the supervisor sends a new PEER; being down blocks nothing:
 * waiters go on with a warning, questions are answered without it and name it as unreachable.
 *
 * Control thread only.
 */
#ifndef LUNETTE_API_WORKERS_H
#define LUNETTE_API_WORKERS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "api/loop.h"
#include "channel.h"
#include "list.h"
#include "monitor/collect.h"

#define WORKERS_MAX           64
#define WORKER_SERVE_WAIT_MS  3000 /* how long an answer waits for the workers to have applied a change */
#define WORKER_CALL_WAIT_MS   2000 /* how long a question waits for replies */
#define WORKER_REPLY_MAX      (64 * 1024 * 1024)

struct workers;

struct worker {
	struct workers *workers;
	unsigned index;
	struct loop_watch watch;    /* fd -1: no channel */
	bool greeted;               /* HELLO came on this channel */
	bool listens;               /* it was sent the portals on this channel */
	uint64_t sent, served;      /* generations; sent > served: a SERVE is outstanding */
	json_t *errors;             /* of the last SERVED: array of {"object", "text"}; NULL: none */
	struct stats_segment *stats; /* NULL: not received */
	struct msg_WORKER_STATE state; /* what the supervisor said last */
	uint64_t started_ms;        /* wall clock, by that; 0: it does not run */
};

/* Waits until every worker that is up has applied `generation`, or for WORKER_SERVE_WAIT_MS. */
struct serve_wait {
	struct list link;
	uint64_t generation;
	uint64_t deadline_ns;
	/* warnings: new reference, array of sentences, NULL when all is well */
	void (*done)(struct serve_wait *wait, json_t *warnings);
};

/* A question or a command to all workers that are up (or one). Replies in worker order. */
struct worker_call {
	struct list link;
	uint64_t id;
	uint64_t deadline_ns;
	uint64_t pending; /* a bit per worker */
	struct worker_reply {
		bool answered;
		unsigned status; /* 0 or a positive errno */
		json_t *value;
	} reply[WORKERS_MAX];
	json_t *unreachable; /* array of "worker0": those that are down or did not answer */
	void (*done)(struct worker_call *call); /* frees it with worker_call_free */
	void *arg;
};

struct workers {
	struct loop *loop;
	struct worker worker[WORKERS_MAX];
	unsigned count;          /* from BEGIN */
	uint64_t generation;     /* the newest document; 0: none yet */
	/* The serve document of a worker, new reference. */
	json_t *(*make)(struct workers *workers, unsigned worker);
	void (*event)(struct workers *workers, unsigned worker, const struct msg_EVENT *event);
	void (*served)(struct workers *workers, struct worker *worker); /* SERVED came */
	struct list waits, calls;
	struct loop_timer timer;
	uint64_t next_call;
	void *buffer; /* CHANNEL_MESSAGE_MAX */
};

int  workers_init(struct workers *workers, struct loop *loop); /* 0 or -ENOMEM */
void workers_fini(struct workers *workers);
/* Messages of the supervisor; they take over the descriptors. */
void workers_peer(struct workers *workers, const struct msg_PEER *peer);
void workers_stats(struct workers *workers, const struct msg_STATS *stats);
void workers_state(struct workers *workers, const struct msg_WORKER_STATE *state);

/* A new document exists: sends it to all that have none outstanding. */
void workers_publish(struct workers *workers, uint64_t generation);
void workers_wait(struct workers *workers, struct serve_wait *wait);
/* Every worker of BEGIN has applied some document on its present channel. */
bool workers_all_served(const struct workers *workers);
bool worker_up(const struct worker *worker);
/* One message to every worker that is up: LISTEN, UNLISTEN. */
void workers_broadcast(struct workers *workers, enum message_kind kind, const void *message);
/* kind: MSG_QUERY or MSG_COMMAND. worker: an index, or -1: all. false: no memory (done is not called). */
bool workers_call(struct workers *workers, enum message_kind kind, int worker, const char *what,
		  void (*done)(struct worker_call *call), void *arg);
void worker_call_free(struct worker_call *call);
/* What all workers have counted, added up: see collect(). */
size_t workers_collect(const struct workers *workers, size_t sessions_max, struct counters **ret_list);

#endif
