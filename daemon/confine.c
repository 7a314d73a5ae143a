#include "confine.h"

#include <string.h>

#include "log.h"

void confine_report(bool seccomp, bool landlock)
{
	if (!seccomp)
		log_warning("--no-seccomp: control and the workers may use every system call");
	else if (!seccomp_available())
		log_warning("seccomp is refused here: control and the workers may use every system call");
	if (!landlock)
		log_warning("--no-landlock: control and the workers are not restricted by Landlock");
	else if (landlock_version() == 0)
		log_notice("this kernel has no Landlock: control and the workers are not restricted by it");
}

void confine(enum confined_role role, bool seccomp, bool landlock, int supervisor_fd)
{
	int rc = landlock && landlock_version() ? landlock_install(role) : 0;

	if (rc < 0)
		log_warning("not restricted by Landlock: %s", strerror(-rc));
	rc = seccomp && seccomp_available() ? seccomp_install(role, supervisor_fd) : 0;
	if (rc < 0)
		log_warning("not restricted by seccomp: %s", strerror(-rc));
}
