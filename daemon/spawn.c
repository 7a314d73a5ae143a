#include "spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "confine.h"

#define EXEC_FAILED_STATUS 127
#define INTERNAL_WORDS     10 /* --role R --index N --supervisor-pid P --uid U --gid G */

struct command_line {
	char **argv;
	char   index[16], supervisor_pid[16], uid[16], gid[16];
};

static int make_command_line(const struct spawn *spawn, struct command_line *ret)
{
	char **at = calloc((size_t)spawn->argc + INTERNAL_WORDS + 1, sizeof *at);

	if (!at)
		return -ENOMEM;
	snprintf(ret->index, sizeof ret->index, "%u", spawn->index);
	snprintf(ret->supervisor_pid, sizeof ret->supervisor_pid, "%d", (int)getpid());
	ret->argv = at;
	*at++ = spawn->argv[0];
	*at++ = (char *)"--role";
	*at++ = (char *)spawn->role;
	*at++ = (char *)"--index";
	*at++ = ret->index;
	*at++ = (char *)"--supervisor-pid";
	*at++ = ret->supervisor_pid;
	if (spawn->privilege.drop) {
		snprintf(ret->uid, sizeof ret->uid, "%u", spawn->privilege.uid);
		snprintf(ret->gid, sizeof ret->gid, "%u", spawn->privilege.gid);
		*at++ = (char *)"--uid";
		*at++ = ret->uid;
		*at++ = (char *)"--gid";
		*at++ = ret->gid;
	}
	for (int i = 1; i < spawn->argc; i++)
		*at++ = spawn->argv[i];
	return 0;
}

/* Puts the inherited descriptors in their places and closes all others. */
static int arrange_descriptors(const struct spawn *spawn)
{
	const int source[INHERIT_COUNT] = {
		[INHERIT_STDIN] = open("/dev/null", O_RDONLY | O_CLOEXEC),
		[INHERIT_STDOUT] = STDERR_FILENO,
		[INHERIT_STDERR] = STDERR_FILENO,
		[INHERIT_CHANNEL] = spawn->channel_fd,
		[INHERIT_STATE_LOCK] = spawn->state_lock_fd,
	};
	int above[INHERIT_COUNT];

	/* First out of the way of the places, or one would be overwritten before it is moved. */
	for (int i = 0; i < INHERIT_COUNT; i++) {
		above[i] = fcntl(source[i], F_DUPFD_CLOEXEC, INHERIT_COUNT);
		if (above[i] < 0)
			return -errno;
	}
	for (int i = 0; i < INHERIT_COUNT; i++)
		if (dup2(above[i], i) < 0)
			return -errno;
	return close_range(INHERIT_COUNT, ~0U, 0) < 0 ? -errno : 0;
}

/* A terminal's interrupt and a SIGTERM to the whole process group reach the children too, but stopping them, in order and
 * without losing a session, is the supervisor's decision: it sends DRAIN. */
static void arrange_signals(void)
{
	static const int ignored[] = { SIGINT, SIGTERM, SIGHUP, SIGPIPE };
	sigset_t none;

	for (size_t i = 0; i < sizeof ignored / sizeof ignored[0]; i++)
		signal(ignored[i], SIG_IGN);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static void die_with(pid_t supervisor)
{
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 || getppid() != supervisor)
		_exit(1); /* it died before we asked to be told */
}

pid_t spawn_child(const struct spawn *spawn)
{
	pid_t supervisor = getpid(), pid;
	struct command_line line;
	int rc = make_command_line(spawn, &line);

	if (rc < 0)
		return rc;
	pid = fork();
	if (pid == 0) {
		die_with(supervisor);
		arrange_signals();
		rc = arrange_descriptors(spawn);
		if (rc == 0) {
			execv("/proc/self/exe", line.argv);
			rc = -errno;
		}
		log_error("cannot start %s %u: %s", spawn->role, spawn->index, strerror(-rc));
		_exit(EXEC_FAILED_STATUS);
	}
	rc = pid < 0 ? -errno : 0;
	free(line.argv);
	return rc < 0 ? rc : pid;
}

void spawn_name(const struct options *options)
{
	bool numbered = strcmp(options->role, "worker") == 0;
	char name[24];

	snprintf(name, sizeof name, numbered ? "%s%u" : "%s", options->role, options->index);
	log_open(name, options->log_level);
	snprintf(name, sizeof name, numbered ? "lun-%s%u" : "lun-%s", options->role, options->index);
	prctl(PR_SET_NAME, name, 0, 0, 0);
}

int spawn_enter(const struct options *options, struct err *err)
{
	struct privilege privilege = { options->uid != 0, options->uid, options->gid };
	bool listens = strcmp(options->role, "control") == 0;
	int rc = privilege_drop(&privilege, listens ? UINT64_C(1) << CAP_NET_BIND_SERVICE : 0, err);

#ifdef LUNETTE_SANITIZED
	prctl(PR_SET_DUMPABLE, 1, 0, 0, 0); /* or it cannot trace itself to look for leaks */
#endif
	if (rc == 0)
		die_with((pid_t)options->supervisor_pid); /* again: a change of user forgets it */
	return rc;
}
