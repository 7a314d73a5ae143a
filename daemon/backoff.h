/*
 * How long to wait before a dead child is started again (issue: "restarted with back-off"). A pure function.
 *
 * The first death after a good life costs no delay. A child that dies within BACKOFF_QUICK_MS again and again waits
 * 100, 200, 400 ... ms, at most BACKOFF_MAX_MS. A life between quick and good takes one step back.
 */
#ifndef LUNETTE_DAEMON_BACKOFF_H
#define LUNETTE_DAEMON_BACKOFF_H

#include <stdint.h>

#define BACKOFF_FIRST_MS 100
#define BACKOFF_MAX_MS   10000
#define BACKOFF_QUICK_MS 1000  /* a shorter life is a quick death */
#define BACKOFF_GOOD_MS  30000 /* a life this long clears the record */

struct backoff {
	unsigned step; /* 0: no delay next; n: BACKOFF_FIRST_MS << (n - 1) next */
};

/* A child that lived lived_ms died: the milliseconds until its successor may start. */
unsigned backoff_next(struct backoff *backoff, uint64_t lived_ms);

#endif
