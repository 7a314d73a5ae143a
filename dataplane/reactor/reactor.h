/*
 * A reactor: one thread, one epoll, the connections that live on it, one store context, one buffer pool.
 *
 * Each turn: receive what is there and decode all whole PDUs; run mail; submit all store I/O in one call; reap what
 * completed; send all ready responses of a connection in one call; free what ended. No busy polling: an idle reactor with
 * connections wakes once a second for time-outs, one without connections sleeps.
 */
#ifndef LUNETTE_REACTOR_H
#define LUNETTE_REACTOR_H

#include <pthread.h>

#include "dataplane/iscsi/iscsi.h"
#include "dataplane/tcp/tcp.h"
#include "poller.h"

#define REACTOR_STORE_DEPTH 1024 /* store I/Os in flight at most */

struct worker;
struct listener;

struct reactor {
	struct iscsi_reactor iscsi; /* first */
	struct tcp_reactor tcp;
	struct mailbox mailbox;
	int epoll_fd;
	struct poll_source mail_source, store_source;
	pthread_t thread;
	bool started, stop;
	int cpu;                    /* to run on; -1: any */
	uint64_t ticked_ns;
	struct list listeners;      /* struct listener.link */
	bool listeners_paused;      /* out of descriptors: tried again at the next tick */
	struct worker *worker;
	struct reactor_follow *follow; /* a reconfiguration that is not complete here */
};

int  reactor_init(struct reactor *reactor, struct worker *worker, unsigned index, uint32_t buffer_bytes, struct err *err);
int  reactor_start(struct reactor *reactor, struct err *err);
void reactor_stop(struct reactor *reactor); /* joins; connections are dropped without a word */

/* --- mail to a reactor; any thread --- */

/* Accept on a copy of this listening socket (taken). portal lives as long as the worker. */
int reactor_listen(struct reactor *reactor, const struct iscsi_portal *portal, int fd);
int reactor_unlisten(struct reactor *reactor, const char *portal_name);
/* A connection to serve (fd taken, in every case): accepted, or handed over with the bytes read so far. */
void reactor_adopt(struct reactor *reactor, const struct iscsi_portal *portal, int fd, const void *bytes,
		   uint32_t len_bytes, bool handed_over);
/* done(arg) on reply_to's thread when every session follows config. */
int reactor_follow(struct reactor *reactor, struct iscsi_config *config, struct mailbox *reply_to,
		   void (*done)(void *arg), void *arg);
/* run(reactor, arg) on the reactor's thread, then done(arg) on reply_to's. */
int reactor_call(struct reactor *reactor, void (*run)(struct reactor *reactor, void *arg), struct mailbox *reply_to,
		 void (*done)(void *arg), void *arg);

#endif
