/*
 * Starting a child: fork, then exec of our own file with an internal --role, so that nobody inherits another library's
 * threads, locks or descriptors (design section 1).
 *
 * The list below is the whole inheritance. Everything else (statistics, channels to the others, listening sockets) comes
 * by message over INHERIT_CHANNEL; every other descriptor is closed before the exec.
 */
#ifndef LUNETTE_DAEMON_SPAWN_H
#define LUNETTE_DAEMON_SPAWN_H

#include <sys/types.h>

#include "options.h"
#include "privilege.h"

/* Descriptor numbers in the child. */
enum inherited_fd {
	INHERIT_STDIN,      /* /dev/null */
	INHERIT_STDOUT,     /* our standard error: standard output carries the ready line and nothing else */
	INHERIT_STDERR,     /* log lines */
	INHERIT_CHANNEL,    /* the child's end of its channel to the supervisor */
	INHERIT_STATE_LOCK, /* never used, only held: see statedir.h */
	INHERIT_COUNT
};

struct spawn {
	const char *role; /* "control", "worker" */
	unsigned index;
	struct privilege privilege; /* what the child gives up */
	int    argc;      /* the supervisor's own command line */
	char **argv;
	int    channel_fd, state_lock_fd; /* stay the caller's */
};

/* The child's process id, or a negative errno. A failed exec shows as exit status 127. One thread only. */
pid_t spawn_child(const struct spawn *spawn);

/* First thing in the child after exec: names itself. What only the supervisor's user can open is opened between the two. */
void spawn_name(const struct options *options);
/* Drops privileges, dies with the supervisor. 0 or negative errno. */
int spawn_enter(const struct options *options, struct err *err);

#endif
