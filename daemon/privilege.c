#include "privilege.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "log.h"

#define CAPABILITY_NUMBERS 64

static const char *const usual_users[] = { "lunette", "nobody" };

/* Root, and nobody said who: false when there is nobody to become. */
static bool find_usual(const char *state_dir, struct privilege *privilege)
{
	const struct passwd *pw;
	struct stat st;

	if (stat(state_dir, &st) == 0 && st.st_uid != 0) {
		*privilege = (struct privilege){ true, st.st_uid, st.st_gid };
		return true;
	}
	for (size_t i = 0; i < sizeof usual_users / sizeof usual_users[0]; i++) {
		pw = getpwnam(usual_users[i]);
		if (pw) {
			*privilege = (struct privilege){ true, pw->pw_uid, pw->pw_gid };
			return true;
		}
	}
	return false;
}

static int find_named(const char *user, const char *group, struct privilege *privilege, struct err *err)
{
	const struct passwd *pw = getpwnam(user);
	const struct group *gr;

	if (!pw)
		return err_set(err, -EINVAL, "there is no user %s", log_quoted(user));
	*privilege = (struct privilege){ pw->pw_uid != 0, pw->pw_uid, pw->pw_gid };
	if (group) {
		gr = getgrnam(group);
		if (!gr)
			return err_set(err, -EINVAL, "there is no group %s", log_quoted(group));
		privilege->gid = gr->gr_gid;
	}
	return 0;
}

int privilege_find(const char *user, const char *group, const char *state_dir, struct privilege *ret_privilege,
		   struct err *err)
{
	struct privilege privilege = { .uid = geteuid(), .gid = getegid() };
	int rc;

	if (user && geteuid() != 0)
		return err_set(err, -EPERM, "--user works only when started as root");
	if (user) {
		rc = find_named(user, group, &privilege, err);
		if (rc < 0)
			return rc;
	} else if (geteuid() == 0) {
		find_usual(state_dir, &privilege);
	}
	if (geteuid() == 0 && !privilege.drop)
		log_warning("control and the workers run as root: give them a user of their own with --user");
	*ret_privilege = privilege;
	return 0;
}

/* Permitted and effective become what they have in common with `keep`; nothing is inheritable or ambient. */
static int keep_only(uint64_t keep)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	if (syscall(SYS_capget, &header, data) < 0)
		return -errno;
	for (unsigned i = 0; i < _LINUX_CAPABILITY_U32S_3; i++) {
		data[i].permitted &= (uint32_t)(keep >> (32 * i));
		data[i].effective = data[i].permitted;
		data[i].inheritable = 0;
	}
	return syscall(SYS_capset, &header, data) < 0 ? -errno : 0;
}

static int change_user(const struct privilege *privilege, struct err *err)
{
	for (int capability = 0; capability < CAPABILITY_NUMBERS; capability++)
		prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0 || setgroups(1, &privilege->gid) < 0 ||
	    setresgid(privilege->gid, privilege->gid, privilege->gid) < 0 ||
	    setresuid(privilege->uid, privilege->uid, privilege->uid) < 0)
		return err_errno(err, -errno, "cannot become user %u (--user root stays root)", privilege->uid);
	return 0;
}

int privilege_drop(const struct privilege *privilege, uint64_t keep_capabilities, struct err *err)
{
	int rc = privilege->drop ? change_user(privilege, err) : 0;

	if (rc == 0 && geteuid() != 0) {
		rc = keep_only(keep_capabilities);
		if (rc < 0)
			return err_errno(err, rc, "cannot give up capabilities");
	}
	if (rc < 0)
		return rc;
	if (privilege->drop && setuid(0) == 0)
		return err_set(err, -EPERM, "root could be taken back after becoming user %u", privilege->uid);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_errno(err, -errno, "cannot give up new privileges");
	return 0;
}

void privilege_raise_limits(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
		files.rlim_cur = files.rlim_max;
		if (setrlimit(RLIMIT_NOFILE, &files) < 0)
			log_warning("cannot raise the limit of open files: the number of sessions is limited");
	}
}
