#include "privilege.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "log.h"

int privilege_find(const char *user, const char *group, struct privilege *ret_privilege, struct err *err)
{
	struct privilege privilege = { .uid = geteuid(), .gid = getegid() };
	const struct passwd *pw;
	const struct group *gr;

	if (user) {
		if (geteuid() != 0)
			return err_set(err, -EPERM, "--user works only when started as root");
		pw = getpwnam(user);
		if (!pw)
			return err_set(err, -EINVAL, "there is no user %s", log_quoted(user));
		privilege = (struct privilege){ true, pw->pw_uid, pw->pw_gid };
	}
	if (group) {
		gr = getgrnam(group);
		if (!gr)
			return err_set(err, -EINVAL, "there is no group %s", log_quoted(group));
		privilege.gid = gr->gr_gid;
	}
	*ret_privilege = privilege;
	return 0;
}

int privilege_drop(const struct privilege *privilege, struct err *err)
{
	if (privilege->drop) {
		if (setgroups(1, &privilege->gid) < 0 ||
		    setresgid(privilege->gid, privilege->gid, privilege->gid) < 0 ||
		    setresuid(privilege->uid, privilege->uid, privilege->uid) < 0)
			return err_errno(err, -errno, "cannot become user %u", privilege->uid);
		if (privilege->uid != 0 && setuid(0) == 0)
			return err_set(err, -EPERM, "root could be taken back after becoming user %u", privilege->uid);
		/* A change of user makes the process undumpable, and then /proc/self belongs to root. */
		if (prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) < 0)
			return err_errno(err, -errno, "cannot keep /proc/self readable");
	}
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
