/* The state directory as the supervisor sees it: made, checked and locked. Everything inside belongs to control. */
#ifndef LUNETTE_DAEMON_STATEDIR_H
#define LUNETTE_DAEMON_STATEDIR_H

#include <sys/types.h>

#include "err.h"

#define STATEDIR_LOCK      "lunetted.lock"
#define STATEDIR_ORPHAN_MS 5000 /* how long a start waits for the children of a supervisor that was killed */
#define STATEDIR_HOLDER_MS 500  /* and for a supervisor that lives: it may be dying */

/* Creates `path` (mode 0700, the last component only) when it is absent, takes the lock, and gives the directory to uid:gid
 * with all in it that belongs to its owner until now (a daemon that ran as somebody else left it).
 *
 * The lock is an flock on path/lunetted.lock, held by the returned descriptor *and by every child that inherits it*: so it is
 * free only when the last process of a daemon is gone, and no worker can still write when the next daemon opens the
 * stores. -EBUSY: another lunetted has it, named in the words; other negative errno: cannot. */
int statedir_open(const char *path, uid_t uid, gid_t gid, struct err *err);

#endif
