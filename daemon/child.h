/*
 * One child of the supervisor, over all its lives. One thread.
 *
 *             child_start()                 child_reaped()
 *   WAITING ----------------> RUNNING -------------------------> WAITING   (start_at_ns: after the back-off)
 *      ^                         |                                  |
 *      `---- start failed -------'        child_retire(): WAITING -> GONE, RUNNING -> GONE when reaped
 *
 * The successor of a child starts only after waitpid() has returned it, so that no I/O of the dead one is still running.
 */
#ifndef LUNETTE_DAEMON_CHILD_H
#define LUNETTE_DAEMON_CHILD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "backoff.h"
#include "channel.h"
#include "outbox.h"
#include "spawn.h"

enum child_state { CHILD_WAITING, CHILD_RUNNING, CHILD_GONE };

struct child {
	enum channel_role role; /* ROLE_CONTROL, ROLE_WORKER */
	unsigned index;
	char name[16];          /* "control", "worker3" */
	enum child_state state;
	bool retired;           /* has no next life */
	uint64_t start_at_ns;   /* WAITING: not before */

	/* of this life: valid while RUNNING */
	pid_t pid;
	int channel_fd;         /* -1: the child closed its end, and is being killed */
	struct outbox outbox;
	uint64_t started_ns;
	bool ready;             /* it said READY */
	char forbidden[48];     /* the system call that it tried and may not use; "": none */

	/* over all lives */
	unsigned starts;
	struct backoff backoff;
	char last_exit[96];     /* "killed by SIGSEGV", "exited with status 1"; "" before the first death */
};

void child_init(struct child *child, enum channel_role role, unsigned index);
/* Makes the channel and the process. `spawn` gives the command line and the lock. On failure: WAITING for the next try,
 * the reason in last_exit, negative errno. */
int child_start(struct child *child, const struct spawn *spawn, uint64_t now_ns);
/* It said FORBIDDEN, and is about to die of it. */
void child_forbidden(struct child *child, const struct msg_FORBIDDEN *message);
/* waitpid() returned it. */
void child_reaped(struct child *child, int wait_status, uint64_t now_ns);
/* SIGKILL; it stays RUNNING until it is reaped. */
void child_kill(struct child *child);
void child_retire(struct child *child);
/* Closes the channel; what waits in the outbox is dropped. */
void child_hang_up(struct child *child);
/* For message WORKER_STATE. */
void child_describe(const struct child *child, uint64_t now_ns, struct msg_WORKER_STATE *ret_state);

#endif
