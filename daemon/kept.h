/*
 * Descriptors that the supervisor keeps for control across control's own death: listening sockets (KEEP_FD, DROP_FD,
 * KEPT_FD), so that a client that connects meanwhile waits instead of being refused.
 */
#ifndef LUNETTE_DAEMON_KEPT_H
#define LUNETTE_DAEMON_KEPT_H

#include "channel.h"

#define KEPT_MAX 512

struct kept {
	unsigned count;
	struct kept_fd {
		char name[CHANNEL_TEXT_MAX];
		int  fd;
	} at[KEPT_MAX];
};

/* Takes fd; one of the same name is closed. -ENOSPC (and fd closed) when KEPT_MAX are kept. */
int kept_take(struct kept *kept, const char *name, int fd);
/* Closes it; harmless when there is none of that name. */
void kept_drop(struct kept *kept, const char *name);

#endif
