/* Landlock without a library: see confine.h. The numbers are those of the kernel's linux/landlock.h; Debian 12 has an older one. */
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "confine.h"

#define VERSION_LEAST  2 /* before, no file could be moved between directories, and documents are */
#define VERSION_NET    4
#define VERSION_SCOPED 6

/* struct landlock_ruleset_attr, as long as we know it */
struct ruleset {
	uint64_t handled_access_fs, handled_access_net, scoped;
};

enum { NET_BIND_TCP = 1 << 0, NET_CONNECT_TCP = 1 << 1 };
enum { SCOPED_ABSTRACT_UNIX_SOCKET = 1 << 0, SCOPED_SIGNAL = 1 << 1 };

int landlock_version(void)
{
	long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);

	return version >= VERSION_LEAST ? (int)version : 0;
}

/* A directory that is not there needs no rule. */
static int allow_beneath(int ruleset_fd, const char *directory, uint64_t access)
{
	struct landlock_path_beneath_attr rule = { .allowed_access = access };
	int rc;

	rule.parent_fd = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (rule.parent_fd < 0)
		return errno == ENOENT ? 0 : -errno;
	rc = syscall(SYS_landlock_add_rule, ruleset_fd, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0 ? -errno : 0;
	close(rule.parent_fd);
	return rc;
}

static int add_rules(int ruleset_fd, enum confined_role role)
{
	static const char *const installed[] = { "/usr", "/bin", "/lib", "/lib64" };
	int rc = allow_beneath(ruleset_fd, "/", LANDLOCK_ACCESS_FS_REFER);

	for (unsigned i = 0; role == CONFINED_CONTROL && rc == 0 && i < sizeof installed / sizeof installed[0]; i++)
		rc = allow_beneath(ruleset_fd, installed[i], LANDLOCK_ACCESS_FS_EXECUTE);
	return rc;
}

int landlock_install(enum confined_role role)
{
	struct ruleset ruleset = {
		.handled_access_fs = LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_BLOCK |
				     LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO |
				     LANDLOCK_ACCESS_FS_MAKE_SYM | LANDLOCK_ACCESS_FS_REFER,
	};
	int version = landlock_version(), ruleset_fd, rc;

	if (version >= VERSION_NET)
		ruleset.handled_access_net = NET_CONNECT_TCP | (role == CONFINED_WORKER ? NET_BIND_TCP : 0);
	if (version >= VERSION_SCOPED)
		ruleset.scoped = SCOPED_ABSTRACT_UNIX_SOCKET | SCOPED_SIGNAL;
	ruleset_fd = (int)syscall(SYS_landlock_create_ruleset, &ruleset, sizeof ruleset, 0);
	if (ruleset_fd < 0)
		return -errno;
	rc = add_rules(ruleset_fd, role);
	if (rc == 0 && syscall(SYS_landlock_restrict_self, ruleset_fd, 0) < 0)
		rc = -errno;
	close(ruleset_fd);
	return rc;
}
