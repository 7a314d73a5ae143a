/*
 * Who the children run as. The supervisor keeps what it was started with (virtual IPs need it).
 *
 * Started as root, without --user: as the owner of the state directory when that is not root, else as `lunette` when
 * there is such a user, else as `nobody`. The supervisor decides once and tells every child by number, so that a user that
 * is made meanwhile changes nothing. `--user root` stays root.
 */
#ifndef LUNETTE_DAEMON_PRIVILEGE_H
#define LUNETTE_DAEMON_PRIVILEGE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "err.h"

struct privilege {
	bool  drop; /* false: stay who we are */
	uid_t uid;
	gid_t gid;
};

/* user, group: of the command line, or NULL. state_dir: may be absent. -EINVAL: no such user or group; -EPERM: --user, but
 * not started as root, so that nothing can be dropped. */
int privilege_find(const char *user, const char *group, const char *state_dir, struct privilege *ret_privilege,
		   struct err *err);
/* For ever, in a child, before it opens anything that a peer can reach: the user and all capabilities but those of
 * keep_capabilities (a bit each, 1 << CAP_NET_BIND_SERVICE), and whatever exec could give. Who stays root keeps what root
 * has. 0 or negative errno. */
int privilege_drop(const struct privilege *privilege, uint64_t keep_capabilities, struct err *err);
/* Descriptors up to the hard limit: every session is one. */
void privilege_raise_limits(void);

#endif
