/*
 * A worker process: the data plane's manager thread, which talks to supervisor, control and the other workers, and M
 * reactor threads, which serve the I/O (design sections 1 and 3).
 */
#ifndef LUNETTE_WORKER_H
#define LUNETTE_WORKER_H

#include <stdbool.h>

#define WORKER_REACTORS_MAX 64
#define WORKERS_MAX         64

struct worker_options {
	unsigned index;         /* our number, 0 .. worker count - 1 */
	int supervisor_fd;      /* channel to the supervisor; PEER, STATS and BEGIN arrive here first */
	const char *state_dir;  /* STATE/documents: reservations; STATE/store: default file store */
	unsigned reactor_count; /* 1 .. WORKER_REACTORS_MAX */
	bool pin;               /* reactor r runs on the (index * reactor_count + r)-th CPU of the affinity mask */
};

/* Runs until DRAIN or until the supervisor is gone; returns the exit status. */
int worker_main(const struct worker_options *options);

#endif
