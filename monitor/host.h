/*
 * CPU and memory of the machine and of processes, from procfs (proc(5)). Short reads; any thread, one at a time for each
 * probe. What cannot be read or understood is NAN.
 */
#ifndef LUNETTE_MONITOR_HOST_H
#define LUNETTE_MONITOR_HOST_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* CPU time spent when it was last looked at. All zero at first. */
struct host_probe {
	pid_t pid;           /* 0: the machine */
	double cpu_s;
	uint64_t looked_ns;  /* 0: never */
};

struct host_sample {
	double cpu_percent;  /* of one CPU, since the last look; NAN at the first */
	double memory_bytes; /* resident set; in use, for the machine */
};

/* proc: "/proc", or a directory of a test. pid 0: the machine. Another pid than last time starts anew. */
void host_look(struct host_probe *probe, const char *proc, pid_t pid, uint64_t now_ns, struct host_sample *ret_sample);

#endif
