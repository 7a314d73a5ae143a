/* Who the children run as, and their limits. The supervisor keeps what it was started with (virtual IPs need it). */
#ifndef LUNETTE_DAEMON_PRIVILEGE_H
#define LUNETTE_DAEMON_PRIVILEGE_H

#include <stdbool.h>
#include <sys/types.h>

#include "err.h"

struct privilege {
	bool  drop; /* false: stay who we are */
	uid_t uid;
	gid_t gid;
};

/* Looks up user and group (NULL: stay, or the user's own group). -EINVAL: no such user or group; -EPERM: not started as
 * root, so that nothing can be dropped. */
int privilege_find(const char *user, const char *group, struct privilege *ret_privilege, struct err *err);
/* For ever, in a child, before it opens anything. 0 or negative errno. */
int privilege_drop(const struct privilege *privilege, struct err *err);
/* Descriptors up to the hard limit: every session is one. */
void privilege_raise_limits(void);

#endif
