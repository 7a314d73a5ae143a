/*
 * The supervisor: starts, watches and restarts control and the workers, and holds what must outlive them. It uses nothing
 * but libc, has one thread and one epoll loop, parses nothing that comes from outside, and so has no reason to die.
 *
 * It holds for ever: the lock on the state directory, one statistics segment and one hand-over inbox per worker, and the
 * descriptors that control asked it to keep.
 *
 * Happy path: lock; start the workers, then control; brief each over its new channel (PEER, STATS, KEPT_FD, then BEGIN);
 * control says READY: one line on standard output. A child that dies is reaped and started again (backoff.h); whenever
 * control or a worker starts, the two get a new channel to each other.
 *
 *   SERVING --SIGTERM, SIGINT, FATAL--> DRAIN_WORKERS --all workers gone--> DRAIN_CONTROL --control gone--> exit
 *                                        (deadline: SIGKILL)                 (deadline: SIGKILL)
 *
 * A second signal shortens the deadlines to SUPERVISOR_HURRY_MS. When the supervisor itself is killed, the kernel kills
 * the children (spawn.h).
 */
#ifndef LUNETTE_DAEMON_SUPERVISOR_H
#define LUNETTE_DAEMON_SUPERVISOR_H

#include "options.h"

/* Exit statuses of lunetted. */
enum { EXIT_OK, EXIT_CANNOT, EXIT_USAGE, EXIT_STATE_IN_USE };

#define SUPERVISOR_DRAIN_WORKERS_MS 10000 /* what DRAIN tells the workers */
#define SUPERVISOR_DRAIN_CONTROL_MS 3000  /* what DRAIN tells control */
#define SUPERVISOR_GRACE_MS         1000  /* after that, SIGKILL */
#define SUPERVISOR_HURRY_MS         500

/* Runs until it is told to stop; returns the exit status. argv: handed on to the children. */
int supervisor_run(const struct options *options, int argc, char **argv);

#endif
